//! What a share opens: one item for reading, and never more than its maker could show now.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::rules::{AccessRules, CollectionRules, FieldRules, next_id};
use super::{Action, Directory, Who};
use crate::filter::{Condition, Filter, Operand, Target, values};
use crate::schema::{CollectionId, Schema};

/// A share, as far as rights go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Share {
    /// Key.
    pub id: String,
    /// Collection of the item.
    pub collection: String,
    /// Key of the item, as text.
    pub item: String,
    /// Role with whose rights the item is seen; `None` for those of visitors.
    pub role: Option<String>,
    /// Who made the share.
    pub maker: String,
    /// The maker's role.
    pub maker_role: Option<String>,
    /// Without one the maker can do nothing where a policy demands it.
    pub maker_has_second_factor: bool,
}

/// What the rights of a share depend on.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ShareKey {
    schema: u64,
    share: Share,
    /// In force for its role, and for its maker.
    policies: [Vec<String>; 2],
}

/// The rights of whoever opened a share.
#[derive(Debug)]
pub struct Shared {
    pub(super) id: u64,
    collection: CollectionId,
    item: Filter,
    by_role: Arc<AccessRules>,
    by_maker: Arc<AccessRules>,
}

impl Shared {
    /// The one item, in the fields and only while it is among the rows that the role may read, and that the maker may read and share.
    pub(super) fn collection(
        &self,
        collection: CollectionId,
        action: Action,
        now: Timestamp,
    ) -> Option<Arc<CollectionRules>> {
        if collection != self.collection || action != Action::Read {
            return None;
        }
        let by_role = self.by_role.collection(collection, Action::Read, now)?;
        let by_maker = self.by_maker.collection(collection, Action::Read, now)?;
        let given = self.by_maker.collection(collection, Action::Share, now)?;
        let mut rows = vec![self.item.clone()];
        rows.extend([&by_role, &by_maker, &given].into_iter().filter_map(|rules| rules.rows.clone()));
        Some(Arc::new(CollectionRules {
            rows: Some(Filter::And(rows)),
            fields: common(&by_role.fields, &by_maker.fields),
            is_momentary: [&by_role, &by_maker, &given].iter().any(|rules| rules.is_momentary),
            ..CollectionRules::default()
        }))
    }

    /// Those of the maker: nobody else is there who could belong to one.
    pub(super) fn tenants(&self, schema: &Schema, now: Timestamp) -> Option<Vec<(CollectionId, Filter)>> {
        self.by_maker.tenants(schema, now)
    }
}

/// The fields that both name, in the rows in which both do.
fn common(one: &FieldRules, other: &FieldRules) -> FieldRules {
    let (one, other) = match (one, other) {
        (FieldRules::All, fields) | (fields, FieldRules::All) => return fields.clone(),
        (FieldRules::Some(one), FieldRules::Some(other)) => (one, other),
    };
    let both = one.iter().filter_map(|(field, rows)| {
        let others = other.get(field)?;
        let rows = match (rows, others) {
            (Some(rows), Some(others)) => Some(Filter::And(vec![rows.clone(), others.clone()])),
            (rows, others) => rows.as_ref().or(others.as_ref()).cloned(),
        };
        Some((*field, rows))
    });
    FieldRules::Some(both.collect())
}

impl Directory {
    /// What whoever opened a share is, and what that allows under this model.
    pub fn shared(
        &self,
        schema: &Arc<Schema>,
        share: &Share,
        address: Option<IpAddr>,
    ) -> (Who, Arc<AccessRules>) {
        let mut maker = self.who(Some(&share.maker), share.maker_role.as_deref(), address);
        if maker.enforce_tfa && !share.maker_has_second_factor {
            maker = Who { user: maker.user, role: maker.role, ..Who::default() };
        }
        let role = self.who(None, share.role.as_deref(), address);
        let policies = [role.policies.clone(), maker.policies.clone()];
        let key = ShareKey { schema: schema.version, share: share.clone(), policies };
        let rules = self.shared.get_with(key, || {
            // What the role's rules say of the current user they say of the maker: nobody else is there.
            let seen = Who { user: Some(share.maker.clone()), ..role.clone() };
            Arc::new(self.share_rules(schema, share, &seen, &maker))
        });
        (Who { admin: false, app: false, ..role }, rules)
    }

    fn share_rules(&self, schema: &Arc<Schema>, share: &Share, role: &Who, maker: &Who) -> AccessRules {
        let Some(collection) = schema.find(&share.collection) else { return AccessRules::Nothing };
        // Users, tokens and rights are shown by their own endpoints alone.
        if schema.collection(collection).is_system() {
            return AccessRules::Nothing;
        }
        let declared = schema.collection(collection);
        let key = declared.key().and_then(|key| Some((key, declared.field(key).column.as_ref()?)));
        let Some((key, column)) = key else { return AccessRules::Nothing };
        let column_type = column.column_type.clone();
        let Some(value) = values::coerce(&share.item.as_str().into(), &column_type) else {
            return AccessRules::Nothing;
        };
        let condition = Condition::Equal(Operand { value, column_type });
        AccessRules::Shared(Shared {
            id: next_id(),
            collection,
            item: Filter::Compare { target: Target::Field(key), condition },
            by_role: self.rules(schema, role),
            by_maker: self.rules(schema, maker),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::FieldId;

    #[test]
    fn fields_have_to_be_named_by_both() {
        let none = || Filter::Or(Vec::new());
        let all = || Filter::And(Vec::new());
        let some = |fields: &[(u32, Option<Filter>)]| {
            FieldRules::Some(fields.iter().map(|(id, rows)| (FieldId(*id), rows.clone())).collect())
        };
        let mine = some(&[(1, None), (2, Some(none())), (3, Some(none())), (4, None)]);
        let theirs = some(&[(1, None), (2, Some(all())), (3, None), (5, None)]);
        let both = Filter::And(vec![none(), all()]);
        let expected = some(&[(1, None), (2, Some(both)), (3, Some(none()))]);
        assert_eq!(common(&mine, &theirs), expected);
        assert_eq!(common(&FieldRules::All, &mine), mine);
        assert_eq!(common(&mine, &FieldRules::All), mine);
    }
}
