//! The table that a collection asks for.

use crate::schema::{
    Auto, Collection, Column, ColumnType, DefaultValue, Field, FieldKind, ForeignKey, Schema, Table,
    TableColumn, TableIndex,
};

/// Longest name of an index or constraint: that of PostgreSQL.
const MOST_CHARACTERS: usize = 63;

/// The table that holds the items of a collection, with its indexes and foreign keys.
///
/// Every many-to-one has an index of its own, because the other side is read through it; that of the system's tables is
/// declared where it is wanted.
pub fn desired_table(schema: &Schema, collection: &Collection) -> Table {
    let mut table = Table { name: collection.name.to_string(), ..Table::default() };
    table.primary_key =
        collection.primary_key.iter().map(|id| collection.field(*id).name.to_string()).collect();
    for (_, field) in collection.fields() {
        let Some(column) = &field.column else { continue };
        table.columns.push(desired_column(&table, field, column));
        add_own_indexes(&mut table, field, column);
        if let FieldKind::ManyToOne { related, on_delete } = &field.kind {
            let related = schema.collection(*related);
            let Some(key) = related.key() else { continue };
            table.foreign_keys.push(ForeignKey {
                name: Some(foreign_key_name(&table.name, &field.name)),
                columns: vec![field.name.to_string()],
                target: related.name.to_string(),
                target_columns: vec![related.field(key).name.to_string()],
                on_delete: *on_delete,
            });
        }
    }
    for index in &collection.indexes {
        let columns = index.fields.iter().map(|id| collection.field(*id).name.to_string()).collect();
        add_index(&mut table, columns, index.unique);
    }
    let unique: Vec<Vec<String>> =
        table.indexes.iter().filter(|index| index.unique).map(|index| index.columns.clone()).collect();
    table.indexes.retain(|index| index.unique || !unique.contains(&index.columns));
    table
}

fn desired_column(table: &Table, field: &Field, column: &Column) -> TableColumn {
    let is_key = table.primary_key.iter().any(|name| *name == *field.name);
    TableColumn {
        name: field.name.to_string(),
        column_type: column.column_type.clone(),
        declared: None,
        nullable: column.nullable && !is_key,
        default: column.default.as_ref().and_then(|default| stored_default(&column.column_type, default)),
        is_counted: column.auto == Some(Auto::Increment),
        is_generated: false,
        keeps_milliseconds: false,
    }
}

/// Only constants stand in the database, so that rows which other tools write get them too; the rest is filled by the server.
fn stored_default(column_type: &ColumnType, default: &DefaultValue) -> Option<DefaultValue> {
    match default {
        DefaultValue::Value(value) if *column_type != ColumnType::Hash && !value.is_null() => {
            Some(DefaultValue::Value(super::canonical_default(column_type, value)))
        }
        DefaultValue::Expression(text) => Some(DefaultValue::Expression(text.clone())),
        DefaultValue::Value(_) | DefaultValue::Now | DefaultValue::Uuid => None,
    }
}

fn add_own_indexes(table: &mut Table, field: &Field, column: &Column) {
    let names = vec![field.name.to_string()];
    if table.primary_key == names {
        return;
    }
    if column.unique {
        add_index(table, names, true);
    } else if column.indexed || matches!(field.kind, FieldKind::ManyToOne { .. }) {
        add_index(table, names, false);
    }
}

fn add_index(table: &mut Table, columns: Vec<String>, unique: bool) {
    if table.index_over(&columns, unique).is_none() {
        let name = index_name(&table.name, &columns, unique);
        table.indexes.push(TableIndex { name, columns, unique, is_constraint: false });
    }
}

/// Name of an index or unique constraint: `<table>_<columns>_index` or `_unique`.
pub fn index_name(table: &str, columns: &[String], unique: bool) -> String {
    shorten(format!("{table}_{}_{}", columns.join("_"), if unique { "unique" } else { "index" }))
}

/// Name of a foreign key: `<table>_<column>_foreign`.
pub fn foreign_key_name(table: &str, column: &str) -> String {
    shorten(format!("{table}_{column}_foreign"))
}

/// Cuts what is too long and puts a hash of the whole behind it, so that names stay apart.
fn shorten(name: String) -> String {
    if name.chars().count() <= MOST_CHARACTERS && name.len() <= MOST_CHARACTERS {
        return name;
    }
    // FNV-1a: stable over versions, which the hasher of the standard library is not.
    let hash =
        name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let mut end = MOST_CHARACTERS - 9;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}_{hash:08x}", &name[..end])
}
