//! Rows about items of any collection: comments, revisions, activity, shares, versions. Nobody learns from them what they may not see of the
//! items themselves.
//!
//! Such a row is seen by whoever may read its item, on top of what permissions say of the row. What it holds of the item is seen by
//! those who may read every field there.

use super::rules::{CollectionRules, FieldRules};
use crate::filter::{Condition, Filter, Operand, Scalar, Target};
use crate::schema::{Collection, CollectionId, ColumnType, FieldId, Schema};

const COLLECTIONS: [&str; 5] =
    ["directus_activity", "directus_comments", "directus_revisions", "directus_shares", "directus_versions"];
/// What rows hold of their items.
const CONTENTS: [&str; 2] = ["data", "delta"];

/// Where a row names its item.
pub(super) struct Subject {
    collection: FieldId,
    item: FieldId,
    contents: Vec<FieldId>,
    /// Who did it, of what is recorded about everybody.
    user: Option<FieldId>,
}

/// Where the rows of a collection name their items; `None` for rows that are about none.
pub(super) fn of(schema: &Schema, id: CollectionId) -> Option<Subject> {
    let collection = schema.collection(id);
    if !COLLECTIONS.contains(&&*collection.name) {
        return None;
    }
    Some(Subject {
        collection: collection.find("collection")?,
        item: collection.find("item")?,
        contents: CONTENTS.iter().filter_map(|name| collection.find(name)).collect(),
        user: collection.find("user"),
    })
}

impl Subject {
    /// The rows about an item of this collection that these rules find.
    pub(super) fn about(&self, related: CollectionId, rules: &CollectionRules) -> Filter {
        Filter::About {
            collection_field: self.collection,
            field: self.item,
            collection: related,
            filter: Box::new(rules.rows.clone().unwrap_or(Filter::And(Vec::new()))),
        }
    }

    /// The rows that tell what this user did.
    pub(super) fn done_by(&self, user: &str) -> Option<Filter> {
        let operand = Operand { value: Scalar::Text(user.into()), column_type: ColumnType::Uuid };
        let target = Target::Field(self.user?);
        Some(Filter::Compare { target, condition: Condition::Equal(operand) })
    }

    /// The same fields, with what rows hold of items in the rows about these collections only.
    pub(super) fn narrow<'c>(
        &self,
        own: &Collection,
        fields: FieldRules,
        open: impl Iterator<Item = &'c Collection>,
    ) -> FieldRules {
        if self.contents.is_empty() {
            return fields;
        }
        let names = open.map(|collection| Operand {
            value: Scalar::Text(collection.name.clone()),
            column_type: ColumnType::Text,
        });
        let target = Target::Field(self.collection);
        let seen = Filter::Compare { target, condition: Condition::In(names.collect()) };
        let mut fields = match fields {
            FieldRules::All => own.fields().map(|(id, _)| (id, None)).collect(),
            FieldRules::Some(fields) => fields,
        };
        for field in &self.contents {
            if let Some(rows) = fields.get_mut(field) {
                *rows = Some(match rows.take() {
                    Some(rows) => Filter::And(vec![rows, seen.clone()]),
                    None => seen.clone(),
                });
            }
        }
        FieldRules::Some(fields)
    }
}

/// Every field of the collection may be read, in every row that may be.
pub(super) fn is_open(collection: &Collection, rules: &CollectionRules) -> bool {
    match &rules.fields {
        FieldRules::All => true,
        FieldRules::Some(fields) => {
            collection.fields().all(|(field, _)| matches!(fields.get(&field), Some(None)))
        }
    }
}
