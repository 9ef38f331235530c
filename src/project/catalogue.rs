//! Collections, fields and relations as answers show them: what the database has, with what its registry says about it.
//!
//! Start at [`System`], which knows what every database has; the rest comes from the [`Catalogue`] of the moment.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Catalogue;
use super::registry::{ALL_COLLECTIONS, ALL_FIELDS, ALL_RELATIONS, Entry, Registry};
use super::remodel::{shown_default, type_name};
use super::sheet::Sheet;
use crate::schema::diff::desired_table;
use crate::schema::{ColumnType, ForeignKey, OnDelete, Schema, Table, TableColumn};

/// What the system's own collections are; the same in every database.
pub struct System {
    registry: Registry,
    tables: BTreeMap<String, Table>,
}

/// One thing of the model with the names it goes by.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The collection it is, or belongs to.
    pub collection: String,
    /// Its field; empty for a collection.
    pub field: String,
    /// As it is answered.
    pub value: Value,
}

impl System {
    /// What the model of the system says.
    pub fn new(built_in: &Schema) -> Self {
        let tables = built_in
            .collections()
            .map(|(_, collection)| (collection.name.to_string(), desired_table(built_in, collection)));
        System { registry: Registry::of_system(built_in), tables: tables.collect() }
    }

    /// Whether the collection belongs to the system.
    pub fn has(&self, collection: &str) -> bool {
        self.tables.contains_key(collection)
    }

    /// All collections: those of the project by name, then the system's.
    pub fn collections(&self, catalogue: &Catalogue) -> Vec<Shown> {
        let tables = catalogue.structure.tables.keys().filter(|name| !is_kept(name));
        let rows = catalogue.registry.collections.keys().map(|key| &key[0]).filter(|name| !is_kept(name));
        let names: std::collections::BTreeSet<&String> = tables.chain(rows).collect();
        let own = names.into_iter().filter_map(|name| self.collection(catalogue, name));
        own.chain(self.tables.keys().filter_map(|name| self.collection(catalogue, name))).collect()
    }

    /// One collection.
    pub fn collection(&self, catalogue: &Catalogue, name: &str) -> Option<Shown> {
        if name.starts_with("tablature_") || (is_kept(name) && !self.has(name)) {
            return None;
        }
        let key = vec![name.to_owned()];
        let row = catalogue.registry.collections.get(&key).filter(|_| !self.has(name));
        let system = self.registry.collections.get(&key);
        let has_table = catalogue.structure.table(name).is_some();
        if row.is_none() && system.is_none() && !has_table {
            return None;
        }
        let meta = match (row, system) {
            (Some(row), _) => collection_meta(row),
            (None, Some(row)) => of_system(collection_meta(row)),
            (None, None) => Value::Null,
        };
        let schema = if has_table { json!({ "name": name, "comment": null }) } else { Value::Null };
        let value = json!({ "collection": name, "meta": meta, "schema": schema });
        Some(Shown { collection: name.to_owned(), field: String::new(), value })
    }

    /// All fields, collection by collection.
    pub fn all_fields(&self, catalogue: &Catalogue) -> Vec<Shown> {
        let names = self.collections(catalogue).into_iter().map(|shown| shown.collection);
        names.flat_map(|name| self.fields(catalogue, &name)).collect()
    }

    /// The fields of a collection: columns in their order, then those that hold nothing.
    pub fn fields(&self, catalogue: &Catalogue, collection: &str) -> Vec<Shown> {
        if self.collection(catalogue, collection).is_none() {
            return Vec::new();
        }
        let rows = fields_of(&catalogue.registry, collection);
        let system = fields_of(&self.registry, collection);
        let table = catalogue.structure.table(collection);
        let own = self.tables.get(collection);
        let mut shown = Vec::new();
        for column in table.map(|table| table.columns.as_slice()).unwrap_or_default() {
            // What a system table has and nobody knows is nobody's field.
            let is_known = |name: &str| system.contains_key(name) || rows.contains_key(name);
            if own.is_some() && !is_known(&column.name) {
                continue;
            }
            // The system knows the types of its columns better than what the database calls them.
            let declared = own.and_then(|own| own.column(&column.name)).map(|known| TableColumn {
                default: column.default.clone(),
                declared: column.declared.clone(),
                ..known.clone()
            });
            let column = declared.as_ref().unwrap_or(column);
            let (row, system_row) = (rows.get(column.name.as_str()), system.get(column.name.as_str()));
            shown.extend(
                table.map(|table| field(table, column, *row.unwrap_or(&None), *system_row.unwrap_or(&None))),
            );
        }
        let is_alias = |name: &str| table.is_none_or(|table| table.column(name).is_none());
        let mut aliases: Vec<(i64, Shown)> = Vec::new();
        for (known, is_system) in [(&rows, false), (&system, true)] {
            for (name, row) in known.iter().filter(|(name, _)| is_alias(name)) {
                let Some(row) = row else { continue };
                let sort = row.get("sort").and_then(Value::as_i64).unwrap_or(i64::MAX);
                aliases.push((sort, alias(collection, name, row, is_system)));
            }
        }
        aliases.sort_by_key(|(sort, _)| *sort);
        shown.extend(aliases.into_iter().map(|(_, alias)| alias));
        shown
    }

    /// One field.
    pub fn field(&self, catalogue: &Catalogue, collection: &str, name: &str) -> Option<Shown> {
        self.fields(catalogue, collection).into_iter().find(|shown| shown.field == name)
    }

    /// All relations, the project's first.
    pub fn relations(&self, catalogue: &Catalogue) -> Vec<Shown> {
        let mut all: BTreeMap<(bool, Vec<String>), Shown> = BTreeMap::new();
        for (key, row) in &catalogue.registry.relations {
            let is_there = catalogue.structure.table(&key[0]).is_some_and(|t| t.column(&key[1]).is_some());
            if is_there && !self.registry.relations.contains_key(key) {
                let reference = reference(catalogue, &key[0], &key[1]);
                all.insert((is_kept(&key[0]), key.clone()), relation(key, Some((row, false)), reference));
            }
        }
        for (key, row) in &self.registry.relations {
            let reference = reference(catalogue, &key[0], &key[1]);
            all.insert((true, key.clone()), relation(key, Some((row, true)), reference));
        }
        for table in catalogue.structure.tables.values().filter(|table| !is_kept(&table.name)) {
            for found in table.foreign_keys.iter().filter(|found| found.columns.len() == 1) {
                let key = vec![table.name.clone(), found.columns[0].clone()];
                all.entry((false, key.clone())).or_insert_with(|| relation(&key, None, Some((table, found))));
            }
        }
        all.into_values().collect()
    }
}

fn is_kept(name: &str) -> bool {
    crate::schema::diff::is_reserved(name)
}

fn fields_of<'a>(registry: &'a Registry, collection: &str) -> BTreeMap<&'a str, Option<&'a Entry>> {
    let rows = registry.fields.iter().filter(|(key, _)| key[0] == collection);
    rows.map(|(key, row)| (key[1].as_str(), Some(row))).collect()
}

fn reference<'a>(
    catalogue: &'a Catalogue,
    collection: &str,
    field: &str,
) -> Option<(&'a Table, &'a ForeignKey)> {
    let table = catalogue.structure.table(collection)?;
    let found = table.foreign_keys.iter().find(|key| key.columns == [field.to_owned()])?;
    Some((table, found))
}

/// The row with every column of its table, in their order; what is not said has its usual value.
fn whole(sheet: &Sheet, row: &Entry, usual: &[(&str, Value)]) -> Map<String, Value> {
    let value = |name: &str| match row.get(name) {
        Some(value) => value.clone(),
        None => {
            usual.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()).unwrap_or_default()
        }
    };
    sheet.columns.iter().map(|(name, _)| ((*name).to_owned(), value(name))).collect()
}

fn listed(map: &mut Map<String, Value>, name: &str) {
    if let Some(Value::String(text)) = map.get(name) {
        let words: Vec<&str> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
        let list = if words.is_empty() { Value::Null } else { json!(words) };
        map.insert(name.to_owned(), list);
    }
}

fn of_system(meta: Value) -> Value {
    match meta {
        Value::Object(mut map) => {
            map.shift_remove("id");
            map.insert("system".to_owned(), Value::Bool(true));
            Value::Object(map)
        }
        other => other,
    }
}

fn collection_meta(row: &Entry) -> Value {
    let usual = [("archive_app_filter", json!(true)), ("collapse", json!("open"))];
    Value::Object(whole(&ALL_COLLECTIONS, row, &usual))
}

fn field_meta(row: &Entry, is_system: bool, adds_json: bool) -> Value {
    let mut map = whole(&ALL_FIELDS, row, &[("width", json!("full"))]);
    if adds_json && !map.get("special").and_then(Value::as_str).is_some_and(|all| all.contains("json")) {
        let known = map.get("special").and_then(Value::as_str).unwrap_or_default();
        let all = if known.is_empty() { "cast-json".to_owned() } else { format!("{known},cast-json") };
        map.insert("special".to_owned(), json!(all));
    }
    listed(&mut map, "special");
    let meta = Value::Object(map);
    if is_system { of_system(meta) } else { meta }
}

fn field(table: &Table, column: &TableColumn, row: Option<&Entry>, system: Option<&Entry>) -> Shown {
    let known = row.or(system);
    let special = known.and_then(|row| row.get("special")).and_then(Value::as_str).unwrap_or_default();
    let kind = type_name(column, special);
    let meta = known.map(|row| field_meta(row, system.is_some(), kind == "json"));
    let value = json!({
        "collection": table.name,
        "field": column.name,
        "type": kind,
        "schema": column_schema(table, column),
        "meta": meta,
    });
    Shown { collection: table.name.clone(), field: column.name.clone(), value }
}

fn alias(collection: &str, name: &str, row: &Entry, is_system: bool) -> Shown {
    let value = json!({
        "collection": collection,
        "field": name,
        "type": "alias",
        "schema": null,
        "meta": field_meta(row, is_system, false),
    });
    Shown { collection: collection.to_owned(), field: name.to_owned(), value }
}

/// A column in the words of the public API. Types are named as PostgreSQL names them, whatever the database.
fn column_schema(table: &Table, column: &TableColumn) -> Value {
    let names = std::slice::from_ref(&column.name);
    let is_key = table.primary_key == names;
    let key = table.foreign_keys.iter().find(|key| key.columns == names);
    let max_length = match column.column_type {
        ColumnType::String { length } => json!(length),
        ColumnType::Hash => json!(255),
        _ => Value::Null,
    };
    let (precision, scale) = match column.column_type {
        ColumnType::Integer => (json!(32), json!(0)),
        ColumnType::BigInteger => (json!(64), json!(0)),
        ColumnType::Float => (json!(53), Value::Null),
        ColumnType::Decimal { precision, scale } => (json!(precision), json!(scale)),
        _ => (Value::Null, Value::Null),
    };
    json!({
        "name": column.name,
        "table": table.name,
        "data_type": data_type(&column.column_type),
        "default_value": shown_default(&table.name, column),
        "generation_expression": null,
        "max_length": max_length,
        "numeric_precision": precision,
        "numeric_scale": scale,
        "is_generated": column.is_generated,
        "is_nullable": column.nullable && !is_key,
        "is_unique": is_key || table.index_over(names, true).is_some(),
        "is_indexed": table.index_over(names, false).is_some(),
        "is_primary_key": table.primary_key.contains(&column.name),
        "has_auto_increment": column.is_counted,
        "foreign_key_table": key.map(|key| &key.target),
        "foreign_key_column": key.and_then(|key| key.target_columns.first()),
        "comment": null,
    })
}

fn data_type(column_type: &ColumnType) -> &str {
    match column_type {
        ColumnType::String { .. } | ColumnType::Hash => "character varying",
        ColumnType::Text | ColumnType::Csv => "text",
        ColumnType::Integer => "integer",
        ColumnType::BigInteger => "bigint",
        ColumnType::Float => "double precision",
        ColumnType::Decimal { .. } => "numeric",
        ColumnType::Boolean => "boolean",
        ColumnType::Date => "date",
        ColumnType::Time => "time without time zone",
        ColumnType::DateTime => "timestamp without time zone",
        ColumnType::Timestamp => "timestamp with time zone",
        ColumnType::Json => "json",
        ColumnType::Uuid => "uuid",
        ColumnType::Binary => "bytea",
        ColumnType::Unknown { sql_type } => sql_type,
    }
}

fn relation(key: &[String], row: Option<(&Entry, bool)>, reference: Option<(&Table, &ForeignKey)>) -> Shown {
    let named = row.and_then(|(row, _)| row.get("one_collection")).filter(|name| !name.is_null()).cloned();
    let related = named.or_else(|| reference.map(|(_, found)| json!(found.target)));
    let meta = row.map(|(row, is_system)| {
        let mut map = whole(&ALL_RELATIONS, row, &[("one_deselect_action", json!("nullify"))]);
        listed(&mut map, "one_allowed_collections");
        let meta = Value::Object(map);
        if is_system { of_system(meta) } else { meta }
    });
    let schema = reference.map(|(table, found)| {
        json!({
            "constraint_name": found.name,
            "table": table.name,
            "column": found.columns.first(),
            "foreign_key_table": found.target,
            "foreign_key_column": found.target_columns.first(),
            "on_update": "NO ACTION",
            "on_delete": match found.on_delete {
                OnDelete::SetNull => "SET NULL",
                OnDelete::Cascade => "CASCADE",
                OnDelete::Restrict => "RESTRICT",
                OnDelete::NoAction => "NO ACTION",
            },
        })
    });
    let value = json!({
        "collection": key[0],
        "field": key[1],
        "related_collection": related,
        "schema": schema,
        "meta": meta,
    });
    Shown { collection: key[0].clone(), field: key[1].clone(), value }
}
