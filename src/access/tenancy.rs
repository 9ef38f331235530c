//! Tenants: rows that belong to one, and who belongs to which.
//!
//! A collection with `members:` holds tenants; the filter there finds those of whoever asks. A collection with `tenant:` has rows
//! of tenants. Both hold for everybody but administrators, on top of every permission.

use std::collections::BTreeSet;

use crate::filter::{self, Condition, Env, Filter, Found, Limits, Operand, Target, values};
use crate::schema::{CollectionId, FieldId, FieldKind, Origin, Schema};

/// How large a filter of `members:` may be.
const LIMITS: Limits = Limits { max_depth: 20, max_conditions: 2000 };

/// Whose a row is.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantRule {
    /// The field that names the tenant.
    pub field: FieldId,
    /// Where tenants are.
    pub tenants: CollectionId,
    /// Those of whoever asks, narrowed to the chosen one.
    pub mine: Filter,
}

/// Whether anything belongs to tenants at all.
pub(super) fn is_used(schema: &Schema) -> bool {
    schema.collections().any(|(_, collection)| collection.tenant.is_some() || !collection.members.is_null())
}

/// The collections that hold tenants.
pub(super) fn collections(schema: &Schema) -> BTreeSet<CollectionId> {
    schema.collections().filter_map(|(id, _)| owner(schema, id)).map(|(tenants, _)| tenants).collect()
}

/// Where the tenants of a collection are, and the field that names them; the field is missing for tenants themselves.
pub fn owner(schema: &Schema, id: CollectionId) -> Option<(CollectionId, Option<FieldId>)> {
    let collection = schema.collection(id);
    if let Some(field) = collection.tenant {
        let FieldKind::ManyToOne { related, .. } = collection.field(field).kind else { return None };
        return Some((related, Some(field)));
    }
    (!collection.members.is_null()).then_some((id, None))
}

/// The many-to-one fields of a junction (or of the rows of translations) that lead to rows of tenants, with where their tenants
/// are and the field there that names them. Such a row belongs to whom the rows belong that it joins.
///
/// Each is given as (field, collection of tenants, field there that names the tenant).
pub fn joined(schema: &Schema, id: CollectionId) -> Vec<(FieldId, CollectionId, Option<FieldId>)> {
    let collection = schema.collection(id);
    if collection.origin != Origin::Generated {
        return Vec::new();
    }
    let leads = collection.fields().filter_map(|(field, declared)| match declared.kind {
        FieldKind::ManyToOne { related, .. } => {
            owner(schema, related).map(|(tenants, tenant)| (field, tenants, tenant))
        }
        _ => None,
    });
    leads.collect()
}

/// The tenants that whoever asks belongs to, or the one chosen among them. Nobody belongs to what says nothing of members.
pub(super) fn mine(env: &Env<'_>, found: &mut Found, tenants: CollectionId, chosen: Option<&str>) -> Filter {
    let nobody = || Filter::Or(Vec::new());
    let collection = env.schema.collection(tenants);
    let members = filter::parse(&collection.members, "members", LIMITS)
        .and_then(|syntax| filter::resolve(env, found, tenants, &syntax));
    let members = match members {
        Ok(filter) => filter,
        Err(error) => {
            tracing::warn!(collection = &*collection.name, %error, "nobody is found to belong to a tenant");
            return nobody();
        }
    };
    let Some(chosen) = chosen else { return members };
    let key = collection.key().and_then(|key| Some((key, collection.field(key).column.as_ref()?)));
    let Some((key, column)) = key else { return nobody() };
    match values::coerce(&chosen.into(), &column.column_type) {
        Some(value) => {
            let condition = Condition::Equal(Operand { value, column_type: column.column_type.clone() });
            Filter::And(vec![Filter::Compare { target: Target::Field(key), condition }, members])
        }
        None => nobody(),
    }
}

/// The rows of a collection that belong to these tenants.
pub(super) fn rows(field: Option<FieldId>, mine: Filter) -> Filter {
    match field {
        Some(field) => Filter::ToOne { field, filter: Box::new(mine) },
        None => mine,
    }
}
