//! Changing columns in place on PostgreSQL.

use super::convert::convert;
use super::{default_text, fill_expression};
use crate::schema::{Fill, TableColumn};
use crate::sql::Dialect;
use crate::sql::ident::quote;

const DIALECT: Dialect = Dialect::Postgres;

/// `ALTER COLUMN` for type, default and null.
pub fn change_column(table: &str, from: &TableColumn, to: &TableColumn, fill: Fill) -> Vec<String> {
    let name = quote(DIALECT, &to.name);
    let table = quote(DIALECT, table);
    let alter = format!("ALTER TABLE {table} ALTER COLUMN {name}");
    let mut all = Vec::new();
    let is_retyped = from.column_type != to.column_type;
    // The old default may not be a value of the new type.
    if from.default.is_some() && (is_retyped || to.default.is_none()) {
        all.push(format!("{alter} DROP DEFAULT"));
    }
    if is_retyped {
        let declared = super::declared_type(DIALECT, &to.column_type);
        let value = convert(DIALECT, &name, &from.column_type, &to.column_type).expression();
        all.push(format!("{alter} TYPE {declared} USING {value}"));
    }
    if let Some(default) = default_text(DIALECT, to)
        && (is_retyped || from.default != to.default)
    {
        all.push(format!("{alter} SET DEFAULT {default}"));
    }
    if let Some(value) = fill_expression(DIALECT, to, fill) {
        all.push(format!("UPDATE {table} SET {name} = {value} WHERE {name} IS NULL"));
    }
    match (from.nullable, to.nullable) {
        (true, false) => all.push(format!("{alter} SET NOT NULL")),
        (false, true) => all.push(format!("{alter} DROP NOT NULL")),
        _ => {}
    }
    all
}
