//! Tables of MariaDB and MySQL. Every statement commits by itself, so each must leave something that works.

use super::convert::convert;
use super::{column_definition, default_text, fill_expression, foreign_key, names};
use crate::schema::{ColumnType, Fill, Table, TableColumn, TableIndex};
use crate::sql::Dialect;
use crate::sql::ident::quote;

const DIALECT: Dialect = Dialect::Mysql;

/// How many characters of a long text an index looks at: the most that every row format takes.
const LONG_TEXT_PREFIX: u16 = 191;

/// `CREATE TABLE` with columns, keys and indexes in one statement, so that it is there as a whole or not at all.
pub fn create_table(table: &Table) -> String {
    let mut parts: Vec<String> =
        table.columns.iter().map(|column| column_definition(DIALECT, column)).collect();
    if !table.primary_key.is_empty() {
        parts.push(format!("PRIMARY KEY ({})", names(DIALECT, &table.primary_key)));
    }
    for index in &table.indexes {
        let kind = if index.unique { "UNIQUE KEY" } else { "KEY" };
        let columns: Vec<String> =
            index.columns.iter().map(|name| indexed(name, table.column(name), index.unique)).collect();
        parts.push(format!("{kind} {} ({})", quote(DIALECT, &index.name), columns.join(", ")));
    }
    parts.extend(table.foreign_keys.iter().map(|key| foreign_key(DIALECT, &table.name, key)));
    format!(
        "CREATE TABLE {} (\n  {}\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin",
        quote(DIALECT, &table.name),
        parts.join(",\n  ")
    )
}

fn indexed(name: &str, column: Option<&TableColumn>, unique: bool) -> String {
    let is_long = column.is_some_and(|column| {
        matches!(
            column.column_type,
            ColumnType::Text | ColumnType::Csv | ColumnType::Json | ColumnType::Binary
        )
    });
    match is_long && !unique {
        true => format!("{}({LONG_TEXT_PREFIX})", quote(DIALECT, name)),
        false => quote(DIALECT, name),
    }
}

/// `ADD INDEX` on a table that is there.
pub fn add_index(table: &str, now: Option<&Table>, index: &TableIndex) -> String {
    let kind = if index.unique { "UNIQUE KEY" } else { "KEY" };
    let column = |name: &str| now.and_then(|table| table.column(name));
    let columns: Vec<String> =
        index.columns.iter().map(|name| indexed(name, column(name), index.unique)).collect();
    let name = quote(DIALECT, &index.name);
    format!("ALTER TABLE {} ADD {kind} {name} ({})", quote(DIALECT, table), columns.join(", "))
}

/// `MODIFY COLUMN`, after the values have been brought into a form that it takes.
pub fn change_column(
    table: &str,
    from: &TableColumn,
    to: &TableColumn,
    fill: Fill,
    allow_loss: bool,
) -> Vec<String> {
    let name = quote(DIALECT, &to.name);
    let table = quote(DIALECT, table);
    let mut all = Vec::new();
    let is_retyped = from.column_type != to.column_type;
    if is_retyped {
        let conversion = convert(DIALECT, &name, &from.column_type, &to.column_type);
        if let Some(fits) = conversion.fits.as_ref().filter(|_| allow_loss) {
            let rest = &conversion.rest;
            all.push(format!("UPDATE {table} SET {name} = {rest} WHERE {name} IS NOT NULL AND NOT ({fits})"));
        }
        // `MODIFY` reads most values as they are; texts that mean a truth value or a moment it does not.
        if from.column_type.is_text() && conversion.value != name {
            all.push(format!("UPDATE {table} SET {name} = {} WHERE {name} IS NOT NULL", conversion.value));
        }
    }
    if let Some(value) = fill_expression(DIALECT, to, fill) {
        all.push(format!("UPDATE {table} SET {name} = {value} WHERE {name} IS NULL"));
    }
    // `ALTER COLUMN` leaves everything else about the column as it is, which `MODIFY` does not.
    if !is_retyped && from.nullable == to.nullable {
        all.push(match default_text(DIALECT, to) {
            Some(default) => format!("ALTER TABLE {table} ALTER COLUMN {name} SET DEFAULT {default}"),
            None => format!("ALTER TABLE {table} ALTER COLUMN {name} DROP DEFAULT"),
        });
    } else {
        let definition = column_definition(DIALECT, to);
        // A moment is `NOT NULL` by itself on old servers unless the opposite is said.
        let null = if to.nullable && to.default.is_none() { " NULL" } else { "" };
        all.push(format!("ALTER TABLE {table} MODIFY COLUMN {definition}{null}"));
    }
    all
}
