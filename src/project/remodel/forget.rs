//! Taking what is gone out of permissions, and out of what people kept about it.
//!
//! A field that is deleted leaves the lists and presets of permissions. A permission whose filter or validation names it is removed
//! as a whole: without the condition it would allow more than anybody decided, and kept as it is it would come to life again
//! with the next field of that name.

use serde_json::{Map, Value};

use super::super::registry::{self, Gone};
use super::bench::Removed;
use crate::db::Transaction;
use crate::error::Result;
use crate::filter::Scalar;
use crate::filter::names::Name;
use crate::schema::{CollectionId, ColumnType, FieldKind, Schema};
use crate::sql::rows::{Cell, delete, select, update};

const TABLE: &str = "directus_permissions";

const COLUMNS: &[(&str, ColumnType)] = &[
    ("id", ColumnType::Integer),
    ("collection", ColumnType::String { length: 64 }),
    ("permissions", ColumnType::Json),
    ("validation", ColumnType::Json),
    ("presets", ColumnType::Json),
    ("fields", ColumnType::Text),
];

/// Removes what speaks of these collections and fields. Gives whether permissions changed. `schema` is the model that still has
/// them.
pub async fn forget(transaction: &mut Transaction, schema: &Schema, removed: &Removed) -> Result<bool> {
    if removed.collections.is_empty() && removed.fields.is_empty() {
        return Ok(false);
    }
    let dialect = transaction.dialect();
    for name in &removed.collections {
        let cell =
            Cell::new("collection", ColumnType::String { length: 64 }, Scalar::Text(name.as_str().into()));
        for table in ["directus_presets", "directus_comments", "directus_versions", "directus_shares"] {
            transaction.execute(&delete(dialect, table, std::slice::from_ref(&cell))).await?;
        }
    }
    let mut changed = false;
    let rows = transaction.rows(&select(dialect, TABLE, COLUMNS, &[])).await?;
    for row in rows {
        let Some(id) = row.int(0) else { continue };
        let place = [Cell::new("id", ColumnType::Integer, Scalar::Int(id))];
        let json = |column: usize| -> Value {
            row.text(column).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
        };
        let collection = row.text(1).map_or("", |name| name);
        let walk = Walk { schema, removed };
        let is_void = removed.collections.contains(collection)
            || walk.names(schema.find(collection), collection, &json(2))
            || walk.names(schema.find(collection), collection, &json(3));
        if is_void {
            transaction.execute(&delete(dialect, TABLE, &place)).await?;
            changed = true;
            continue;
        }
        let is_gone = |field: &str| removed.fields.contains(&(collection.to_owned(), field.to_owned()));
        let mut cells = Vec::new();
        if let Some(fields) = row.text(5)
            && fields.split(',').any(|field| is_gone(field.trim()))
        {
            let rest: Vec<&str> = fields.split(',').filter(|field| !is_gone(field.trim())).collect();
            let rest = if rest.is_empty() { Scalar::Null } else { Scalar::Text(rest.join(",").into()) };
            cells.push(Cell::new("fields", ColumnType::Text, rest));
        }
        if let Value::Object(presets) = json(4)
            && presets.keys().any(|field| is_gone(field))
        {
            let rest: Map<String, Value> = presets.into_iter().filter(|(field, _)| !is_gone(field)).collect();
            let rest = Scalar::Text(Value::Object(rest).to_string().into());
            cells.push(Cell::new("presets", ColumnType::Json, rest));
        }
        if !cells.is_empty() {
            transaction.execute(&update(dialect, TABLE, &cells, &place)).await?;
            changed = true;
        }
    }
    Ok(changed)
}

/// The same for what went with a change of the files, with the rows that described it.
pub async fn forget_fields(transaction: &mut Transaction, schema: &Schema, gone: Gone) -> Result<bool> {
    let dialect = transaction.dialect();
    let name = |column: &'static str, value: &str| {
        Cell::new(column, ColumnType::String { length: 64 }, Scalar::Text(value.into()))
    };
    for table in &gone.collections {
        for (rows, column) in [
            ("directus_fields", "collection"),
            ("directus_relations", "many_collection"),
            ("directus_collections", "collection"),
        ] {
            if rows == "directus_collections" {
                registry::empty_collection(transaction, table).await?;
            }
            transaction.execute(&delete(dialect, rows, &[name(column, table)])).await?;
        }
    }
    for (collection, field) in &gone.fields {
        let place = [name("collection", collection), name("field", field)];
        transaction.execute(&delete(dialect, "directus_fields", &place)).await?;
        let place = [name("many_collection", collection), name("many_field", field)];
        transaction.execute(&delete(dialect, "directus_relations", &place)).await?;
    }
    let removed = Removed {
        collections: gone.collections.into_iter().collect(),
        fields: gone.fields.into_iter().collect(),
    };
    forget(transaction, schema, &removed).await
}

/// Looks through filters for what is gone.
struct Walk<'a> {
    schema: &'a Schema,
    removed: &'a Removed,
}

impl Walk<'_> {
    fn names(&self, id: Option<CollectionId>, collection: &str, filter: &Value) -> bool {
        match filter {
            Value::Array(parts) => parts.iter().any(|part| self.names(id, collection, part)),
            Value::Object(members) => {
                members.iter().any(|(key, below)| self.member(id, collection, key, below))
            }
            _ => false,
        }
    }

    fn member(&self, id: Option<CollectionId>, collection: &str, key: &str, below: &Value) -> bool {
        if key.starts_with('_') {
            return self.names(id, collection, below);
        }
        let (field, scope) = match Name::parse(key) {
            Name::Function { field, .. } => (field, None),
            Name::Field(field) => (field, None),
            Name::Scoped { field, collection } => (field, Some(collection)),
        };
        if self.removed.fields.contains(&(collection.to_owned(), field.to_owned()))
            || scope.is_some_and(|scope| self.removed.collections.contains(scope))
        {
            return true;
        }
        let Some(here) = id.map(|id| self.schema.collection(id)) else { return false };
        let Some(found) = here.find(field) else { return false };
        let next = match &here.field(found).kind {
            FieldKind::ManyToOne { related, .. } | FieldKind::OneToMany { related, .. } => Some(*related),
            FieldKind::ManyToAny { .. } => scope.and_then(|scope| self.schema.find(scope)),
            FieldKind::Plain | FieldKind::Presentation => None,
        };
        match next {
            Some(next) => self.names(Some(next), &self.schema.collection(next).name.clone(), below),
            None => false,
        }
    }
}
