//! Tables that are in the database and in no file, served beside the declared collections.

use super::model::{Collection, FieldId, FieldKind, OnDelete, Schema};

/// A reference found in the database: the column, the table it refers to, and what a deletion there does.
pub type FoundReference = (FieldId, String, OnDelete);

/// A new model with these tables behind the collections of `schema`, whose ids stay as they are. References lead to collections and
/// tables by name; those to nothing remain plain columns. Tables whose name a collection has are left out: that one is declared.
pub fn merge_database_tables(
    schema: &Schema,
    tables: Vec<(Collection, Vec<FoundReference>)>,
    version: u64,
) -> Schema {
    let mut collections: Vec<Collection> =
        schema.collections().map(|(_, collection)| collection.clone()).collect();
    let mut references = Vec::new();
    for (table, found) in tables {
        if schema.find(&table.name).is_none() {
            references.push((collections.len(), found));
            collections.push(table);
        }
    }
    let names = Schema::new(version, collections.clone());
    for (position, found) in references {
        for (field, related, on_delete) in found {
            if let Some(related) = names.find(&related) {
                collections[position].field_mut(field).kind = FieldKind::ManyToOne { related, on_delete };
            }
        }
    }
    Schema::new(version, collections)
}
