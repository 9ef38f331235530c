//! What the database has and no file declares, as part of the model that is served.
//!
//! Types come from the catalogue, references from foreign keys; what the rows of `directus_fields` and `directus_relations` say
//! about such tables is taken over: lists and JSON in texts, hashes, automatic values, the other ends of references.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::registry::{Entry, Registry};
use crate::db::Database;
use crate::db::introspect::introspect;
use crate::error::Result;
use crate::schema::diff::is_reserved;
use crate::schema::{
    Archive, Auto, Collection, CollectionId, Column, ColumnType, DatabaseStructure, DefaultValue, Field,
    FieldId, FieldKind, FoundReference, Index, OnDeselect, Origin, Schema, Table, TableColumn, Tracking,
    merge_database_tables,
};

/// What the database has and what its registry says about it: all that is known besides the files.
#[derive(Debug, Default, Clone)]
pub struct Catalogue {
    /// Tables, columns, keys.
    pub structure: DatabaseStructure,
    /// The rows of `directus_collections`, `directus_fields` and `directus_relations`.
    pub registry: Registry,
}

impl Catalogue {
    /// Reads both.
    pub async fn read(database: &Database) -> Result<Self> {
        let structure = introspect(database).await?;
        let registry = Registry::read(database).await?;
        Ok(Catalogue { structure, registry })
    }
}

/// The declared model with everything else that the database has.
pub fn merge(schema: &Schema, structure: &DatabaseStructure, registry: &Registry, version: u64) -> Schema {
    let tables = unknown_tables(schema, structure).map(|table| found_collection(table, registry)).collect();
    let merged = merge_database_tables(schema, tables, version);
    let mut collections: Vec<Collection> =
        merged.collections().map(|(_, collection)| collection.clone()).collect();
    for collection in collections.iter_mut().filter(|collection| collection.origin != Origin::Database) {
        let Some(table) = structure.table(&collection.name) else { continue };
        for column in &table.columns {
            if let Some(known) = collection.find(&column.name) {
                // A reference that files do not speak of, because they could not follow or nobody told them.
                let found = table.foreign_keys.iter().find(|key| key.columns == [column.name.clone()]);
                let target = found.and_then(|key| Some((merged.find(&key.target)?, key.on_delete)));
                let field = collection.field(known);
                let is_plain = field.kind == FieldKind::Plain && !collection.is_system();
                if let Some((related, on_delete)) = target.filter(|_| is_plain) {
                    collection.field_mut(known).kind = FieldKind::ManyToOne { related, on_delete };
                }
                continue;
            }
            // A column that the system does not know is somebody's field only where it was made one.
            let place = vec![table.name.clone(), column.name.clone()];
            if collection.is_system() && !registry.fields.contains_key(&place) {
                continue;
            }
            let (mut field, reference) = found_field(table, column, registry);
            if let Some((related, on_delete)) = reference
                && let Some(related) = merged.find(&related)
            {
                field.kind = FieldKind::ManyToOne { related, on_delete };
            }
            collection.push(field);
        }
    }
    for collection in &mut collections {
        let Some(table) = structure.table(&collection.name) else { continue };
        for found in table.columns.iter().filter(|column| column.keeps_milliseconds) {
            let Some(id) = collection.find(&found.name) else { continue };
            if let Some(column) = &mut collection.field_mut(id).column {
                column.keeps_milliseconds = true;
            }
        }
    }
    let with_columns = Schema::new(version, collections);
    with_relations(&with_columns, registry)
}

fn unknown_tables<'a>(
    schema: &'a Schema,
    structure: &'a DatabaseStructure,
) -> impl Iterator<Item = &'a Table> {
    let tables = structure.tables.values();
    tables.filter(|table| {
        schema.find(&table.name).is_none() && !is_reserved(&table.name) && !table.columns.is_empty()
    })
}

fn found_collection(table: &Table, registry: &Registry) -> (Collection, Vec<FoundReference>) {
    let mut references = Vec::new();
    let mut fields = Vec::with_capacity(table.columns.len());
    for column in &table.columns {
        let (field, reference) = found_field(table, column, registry);
        if let Some((related, on_delete)) = reference {
            references.push((FieldId(fields.len() as u32), related, on_delete));
        }
        fields.push(field);
    }
    let mut collection = Collection::new(table.name.as_str(), Origin::Database, fields);
    let ids = |collection: &Collection, names: &[String]| -> Option<Vec<FieldId>> {
        names.iter().map(|name| collection.find(name)).collect()
    };
    collection.primary_key = ids(&collection, &table.primary_key).unwrap_or_default();
    let many = table.indexes.iter().filter(|index| index.columns.len() > 1);
    collection.indexes = many
        .filter_map(|index| Some(Index { fields: ids(&collection, &index.columns)?, unique: index.unique }))
        .collect();
    if let Some(entry) = registry.collections.get(&vec![table.name.clone()]) {
        describe(&mut collection, entry);
    }
    (collection, references)
}

/// Takes over what is known about a collection besides its columns.
fn describe(collection: &mut Collection, entry: &Entry) {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
    let flag = |name: &str| entry.get(name).and_then(Value::as_bool).unwrap_or(false);
    collection.note = text("note");
    collection.display_template = text("display_template");
    collection.group = text("group");
    collection.hidden = flag("hidden");
    collection.singleton = flag("singleton");
    collection.versioning = flag("versioning");
    collection.accountability = match text("accountability").as_deref() {
        Some("all") => Tracking::All,
        Some(_) => Tracking::Activity,
        None => Tracking::Nothing,
    };
    collection.sort = text("sort_field").and_then(|name| collection.find(&name));
    collection.archive = text("archive_field").and_then(|name| {
        let value = |name: &str| text(name).map_or(Value::Null, Value::String);
        let (archived, restored) = (value("archive_value"), value("unarchive_value"));
        Some(Archive { field: collection.find(&name)?, archived, restored })
    });
    let mut ui = Map::new();
    let usual = |name: &str, value: &Value| match name {
        "collapse" => value == "open",
        "archive_app_filter" => *value == Value::Bool(true),
        _ => value.is_null(),
    };
    for name in [
        "icon",
        "color",
        "translations",
        "preview_url",
        "item_duplication_fields",
        "sort",
        "collapse",
        "archive_app_filter",
    ] {
        if let Some(value) = entry.get(name).filter(|value| !usual(name, value)) {
            ui.insert(name.to_owned(), value.clone());
        }
    }
    if !ui.is_empty() {
        collection.ui = Value::Object(ui);
    }
}

type Reference = (String, crate::schema::OnDelete);

fn found_field(table: &Table, column: &TableColumn, registry: &Registry) -> (Field, Option<Reference>) {
    let entry = registry.fields.get(&vec![table.name.clone(), column.name.clone()]);
    let special = entry.and_then(|entry| entry.get("special")).and_then(Value::as_str).unwrap_or_default();
    let is_special = |name: &str| special.split(',').any(|part| part.trim() == name);
    let names = std::slice::from_ref(&column.name);
    let is_key = table.primary_key == names;

    let mut stored = Column::new(match &column.column_type {
        ColumnType::Text | ColumnType::Json if is_special("cast-csv") || is_special("csv") => ColumnType::Csv,
        ColumnType::Text if is_special("cast-json") || is_special("json") => ColumnType::Json,
        ColumnType::String { length: 255 } | ColumnType::Text if is_special("hash") => ColumnType::Hash,
        ColumnType::Integer if is_special("cast-boolean") || is_special("boolean") => ColumnType::Boolean,
        ColumnType::DateTime if is_special("cast-timestamp") => ColumnType::Timestamp,
        other => other.clone(),
    });
    stored.auto = match () {
        () if column.is_counted => Some(Auto::Increment),
        () if is_special("uuid") => Some(Auto::Uuid),
        () if is_special("date-created") => Some(Auto::CreatedAt),
        () if is_special("date-updated") => Some(Auto::UpdatedAt),
        () if is_special("user-created") => Some(Auto::CreatedBy),
        () if is_special("user-updated") => Some(Auto::UpdatedBy),
        () if is_special("role-created") => Some(Auto::CreatedByRole),
        () if is_special("role-updated") => Some(Auto::UpdatedByRole),
        () => None,
    };
    stored.nullable = column.nullable;
    stored.default = column.default.clone().map(|default| for_api(&stored.column_type, default));
    stored.unique = !is_key && table.index_over(names, true).is_some();
    stored.indexed = !is_key && table.index_over(names, false).is_some();
    stored.checks.required =
        !column.nullable && stored.default.is_none() && stored.auto.is_none() && !column.is_generated;

    let mut field = Field::plain(column.name.as_str(), stored);
    let flag = |name: &str| entry.and_then(|entry| entry.get(name)).and_then(Value::as_bool);
    field.note = entry.and_then(|entry| entry.get("note")).and_then(Value::as_str).map(str::to_owned);
    field.hidden = flag("hidden").unwrap_or(false);
    field.readonly = column.is_generated || flag("readonly").unwrap_or(false);
    field.conceal = is_special("conceal") || is_special("hash");
    field.searchable = flag("searchable").unwrap_or(true) && !field.conceal;
    describe_rules(&mut field, entry);
    let key = table.foreign_keys.iter().find(|key| key.columns == names);
    (field, key.map(|key| (key.target.clone(), key.on_delete)))
}

/// Rules that stand in the registry only.
fn describe_rules(field: &mut Field, entry: Option<&Entry>) {
    let Some(entry) = entry else { return };
    field.validation = entry.get("validation").filter(|rule| rule.is_object()).cloned().unwrap_or_default();
    field.validation_message = entry.get("validation_message").and_then(Value::as_str).map(str::to_owned);
}

/// Defaults of lists and JSON stand as text in the database.
fn for_api(column_type: &ColumnType, default: DefaultValue) -> DefaultValue {
    match (column_type, default) {
        (ColumnType::Json, DefaultValue::Value(Value::String(text))) => {
            DefaultValue::Value(serde_json::from_str(&text).unwrap_or(Value::String(text)))
        }
        (ColumnType::Csv, DefaultValue::Value(Value::String(text))) => {
            DefaultValue::Value(json!(text.split(',').filter(|part| !part.is_empty()).collect::<Vec<_>>()))
        }
        (_, default) => default,
    }
}

/// Adds what only the registry knows and no file declares: the other ends of references, references to one of several collections,
/// and fields that hold nothing.
fn with_relations(schema: &Schema, registry: &Registry) -> Schema {
    let mut collections: Vec<Collection> =
        schema.collections().map(|(_, collection)| collection.clone()).collect();
    let text = |entry: &Entry, name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
    for entry in registry.relations.values() {
        let many = text(entry, "many_collection").and_then(|name| schema.find(&name));
        let (Some(many), Some(many_field)) = (many, text(entry, "many_field")) else { continue };
        let is_plain = |id| schema.collection(many).field(id).kind == FieldKind::Plain;
        if !schema.collection(many).find(&many_field).is_some_and(is_plain) {
            continue;
        }
        let names = text(entry, "one_allowed_collections").unwrap_or_default();
        let allowed: Vec<CollectionId> =
            names.split(',').filter_map(|name| schema.find(name.trim())).collect();
        let naming = text(entry, "one_collection_field").and_then(|name| schema.collection(many).find(&name));
        if let (Some(id), Some(collection_field), false) =
            (schema.collection(many).find(&many_field), naming, allowed.is_empty())
        {
            collections[many.0 as usize].field_mut(id).kind =
                FieldKind::ManyToAny { allowed, collection_field };
        }
    }
    for entry in registry.relations.values() {
        let many = text(entry, "many_collection").and_then(|name| schema.find(&name));
        let one = text(entry, "one_collection").and_then(|name| schema.find(&name));
        let (Some(many), Some(one), Some(alias)) = (many, one, text(entry, "one_field")) else { continue };
        let far = &collections[many.0 as usize];
        let Some(related_field) = text(entry, "many_field").and_then(|name| far.find(&name)) else {
            continue;
        };
        let kind = FieldKind::OneToMany {
            related: many,
            related_field,
            junction_field: text(entry, "junction_field").and_then(|name| far.find(&name)),
            sort: text(entry, "sort_field").and_then(|name| far.find(&name)),
            on_deselect: match text(entry, "one_deselect_action").as_deref() {
                Some("delete") => OnDeselect::Delete,
                _ => OnDeselect::Nullify,
            },
        };
        let points_here =
            matches!(&far.field(related_field).kind, FieldKind::ManyToOne { related, .. } if *related == one);
        let near = &mut collections[one.0 as usize];
        if points_here && near.find(&alias).is_none() {
            let mut field = Field::new(Arc::<str>::from(alias.as_str()), kind, None);
            describe_alias(&mut field, registry.fields.get(&vec![near.name.to_string(), alias]));
            near.push(field);
        }
    }
    for (place, entry) in &registry.fields {
        let Some(id) = schema.find(&place[0]) else { continue };
        let near = &mut collections[id.0 as usize];
        let has_alias = text(entry, "special").is_some_and(|special| is_alias(&special));
        if has_alias && near.find(&place[1]).is_none() {
            let mut field = Field::new(Arc::<str>::from(place[1].as_str()), FieldKind::Presentation, None);
            describe_alias(&mut field, Some(entry));
            near.push(field);
        }
    }
    Schema::new(schema.version, collections)
}

/// Whether a field of these specials holds nothing itself.
fn is_alias(special: &str) -> bool {
    let words = ["alias", "no-data", "group", "o2m", "m2m", "m2a", "o2a", "files", "translations"];
    special.split(',').any(|word| words.contains(&word.trim()))
}

fn describe_alias(field: &mut Field, entry: Option<&Entry>) {
    let Some(entry) = entry else { return };
    let flag = |name: &str| entry.get(name).and_then(Value::as_bool).unwrap_or(false);
    field.note = entry.get("note").and_then(Value::as_str).map(str::to_owned);
    field.hidden = flag("hidden");
    field.readonly = flag("readonly");
    describe_rules(field, Some(entry));
}
