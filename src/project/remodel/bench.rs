//! What edits mean for tables and registry rows. Nothing here touches the database.

mod collections;
mod fields;
mod relations;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::super::registry::{Entry, Registry};
use super::Edit;
use super::column::{self, shorten, type_name};
use super::meta;
use crate::error::{Error, Result};
use crate::schema::diff::{foreign_key_name, index_name, is_reserved};
use crate::schema::keys::is_name;
use crate::schema::{
    ColumnType, DatabaseStructure, DefaultValue, Fill, ForeignKey, OnDelete, Schema, SchemaStep, Table,
    TableColumn, TableIndex,
};
use crate::sql::Dialect;
use crate::sql::ddl::types::is_stored_alike;

/// What is to be done.
pub struct Work {
    pub steps: Vec<SchemaStep>,
    /// The rows as they are to be.
    pub registry: Registry,
    pub removed: Removed,
}

/// What will be gone, for those who speak of it.
#[derive(Debug, Default, Clone)]
pub struct Removed {
    pub collections: BTreeSet<String>,
    /// Collection and field.
    pub fields: BTreeSet<(String, String)>,
}

/// Tables and rows as they will be after the edits so far.
pub struct Bench<'a> {
    built_in: &'a Schema,
    dialect: Dialect,
    structure: DatabaseStructure,
    registry: Registry,
    steps: Vec<SchemaStep>,
    removed: Removed,
}

type Payload = Map<String, Value>;

fn key(collection: &str, field: &str) -> Vec<String> {
    vec![collection.to_owned(), field.to_owned()]
}

fn text_of<'a>(entry: &'a Entry, name: &str) -> Option<&'a str> {
    entry.get(name).and_then(Value::as_str)
}

impl<'a> Bench<'a> {
    pub fn new(
        built_in: &'a Schema,
        dialect: Dialect,
        structure: DatabaseStructure,
        registry: Registry,
    ) -> Self {
        let (steps, removed) = (Vec::new(), Removed::default());
        Bench { built_in, dialect, structure, registry, steps, removed }
    }

    pub fn finish(self) -> Work {
        Work { steps: self.steps, registry: self.registry, removed: self.removed }
    }

    pub fn edit(&mut self, edit: &Edit) -> Result<()> {
        match edit {
            Edit::CreateCollection(payload) => self.create_collection(payload),
            Edit::UpdateCollection(name, payload) => self.update_collection(name, payload),
            Edit::DeleteCollection(name) => self.delete_collection(name),
            Edit::CreateField(collection, payload) => self.create_field(collection, payload),
            Edit::UpdateField(collection, field, payload) => self.update_field(collection, field, payload),
            Edit::DeleteField(collection, field) => {
                self.check_own_field(collection, field)?;
                if self.structure.table(collection).is_some_and(|table| table.is_view) {
                    return Err(Error::payload("a view is changed in the database."));
                }
                if let Some(table) = self.structure.table(collection)
                    && table.primary_key.iter().any(|name| name == field)
                {
                    return Err(Error::payload("a primary key cannot be deleted."));
                }
                self.delete_field(collection, field);
                Ok(())
            }
            Edit::CreateRelation(payload) => self.create_relation(payload),
            Edit::UpdateRelation(collection, field, payload) => {
                self.update_relation(collection, field, payload)
            }
            Edit::DeleteRelation(collection, field) => self.delete_relation(collection, field),
        }
    }

    /// Whose a row is must stay known: without the field everybody would reach what belongs to one tenant.
    pub fn check_tenants(&self, schema: &Schema) -> Result<()> {
        for (_, collection) in schema.collections() {
            let Some(tenant) = collection.tenant.map(|id| collection.field(id).name.to_string()) else {
                continue;
            };
            let Some(table) = self.structure.table(&collection.name) else { continue };
            if !table.foreign_keys.iter().any(|key| key.columns == [tenant.clone()]) {
                return Err(Error::payload(format_args!(
                    "\"{}.{tenant}\" says to which tenant an item belongs.",
                    collection.name
                )));
            }
        }
        Ok(())
    }

    fn step(&mut self, step: SchemaStep) {
        self.structure.apply(&step);
        self.steps.push(step);
    }

    fn table(&self, name: &str) -> Option<&Table> {
        self.structure.table(name).filter(|_| !name.to_ascii_lowercase().starts_with("tablature_"))
    }

    /// What belongs to the system stays as it is.
    fn check_own_field(&self, collection: &str, field: &str) -> Result<()> {
        let is_built_in = self.built_in.get(collection).is_some_and(|own| own.find(field).is_some());
        if is_built_in || collection.to_ascii_lowercase().starts_with("tablature_") {
            return Err(Error::Forbidden);
        }
        Ok(())
    }
}

fn index_on(table: &str, field: &str, unique: bool) -> TableIndex {
    let columns = vec![field.to_owned()];
    TableIndex { name: index_name(table, &columns, unique), columns, unique, is_constraint: false }
}

/// The key of a collection for which none is asked.
fn counted_key() -> Payload {
    let field = json!({
        "field": "id",
        "type": "integer",
        "meta": { "hidden": true, "interface": "numeric", "readonly": true },
        "schema": { "is_primary_key": true, "has_auto_increment": true },
    });
    match field {
        Value::Object(field) => field,
        _ => Payload::new(),
    }
}

fn add_special(entry: &mut Entry, word: &str) {
    let known = text_of(entry, "special").unwrap_or_default();
    if known.split(',').any(|part| part == word) {
        return;
    }
    let all = if known.is_empty() { word.to_owned() } else { format!("{known},{word}") };
    entry.insert("special".to_owned(), json!(all));
}

/// The type of a new field: what is said, or `alias` where the rest says that it has no column.
fn kind_of(payload: &Payload) -> Result<Option<String>> {
    if let Some(kind) = kind_given(payload)? {
        return Ok(Some(kind));
    }
    let is_alias = payload.get("schema").is_some_and(Value::is_null);
    Ok(is_alias.then(|| "alias".to_owned()))
}

fn kind_given(payload: &Payload) -> Result<Option<String>> {
    match payload.get("type") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(kind)) => Ok(Some(kind.clone())),
        Some(_) => Err(Error::payload("\"type\" must be a text.")),
    }
}

fn object_in(payload: &Payload, name: &str) -> Result<Option<Payload>> {
    match payload.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map.clone())),
        Some(_) => Err(Error::payload(format_args!("\"{name}\" must be an object."))),
    }
}

fn text_in(payload: &Payload, name: &str) -> Result<String> {
    match payload.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()) {
        Some(text) => Ok(text.to_owned()),
        None => Err(Error::payload(format_args!("\"{name}\" is required."))),
    }
}

fn name_in(payload: &Payload, name: &str) -> Result<String> {
    let text = text_in(payload, name)?;
    check_name(&text, name)?;
    Ok(text)
}

fn check_name(text: &str, what: &str) -> Result<()> {
    if is_name(text) {
        return Ok(());
    }
    Err(Error::payload(format_args!(
        "\"{what}\" must be made of letters, digits and _, begin with no digit and have at most 63 characters."
    )))
}
