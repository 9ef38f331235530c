//! Plain statements on one table, for the few tables that are read and written without a query.

use std::sync::Arc;

use super::ddl::now;
use super::ddl::types::declared_type;
use super::ident::quote;
use super::{Dialect, NullKind, Param, Statement};
use crate::filter::Scalar;
use crate::schema::ColumnType;

/// A value for a column.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    column: &'static str,
    column_type: ColumnType,
    content: Content,
}

#[derive(Debug, Clone, PartialEq)]
enum Content {
    Value(Scalar),
    /// The moment by the clock of the database.
    Now,
}

impl Cell {
    /// This value, in canonical form.
    pub fn new(column: &'static str, column_type: ColumnType, value: Scalar) -> Self {
        Cell { column, column_type, content: Content::Value(value) }
    }

    /// The moment of writing.
    pub fn now(column: &'static str) -> Self {
        Cell { column, column_type: ColumnType::Timestamp, content: Content::Now }
    }
}

/// `SELECT` of these columns of all rows, or of those with these values.
pub fn select(
    dialect: Dialect,
    table: &str,
    columns: &[(&'static str, ColumnType)],
    filter: &[Cell],
) -> Statement {
    let mut writer = Writer::new(dialect);
    let names: Vec<String> = columns.iter().map(|(name, _)| quote(dialect, name)).collect();
    let text =
        format!("SELECT {} FROM {}{}", names.join(", "), quote(dialect, table), writer.condition(filter));
    writer.finish(text, columns.iter().map(|(_, column_type)| column_type.clone()).collect())
}

/// `SELECT` that finds a row when one has a value in this column.
pub fn select_any_with(dialect: Dialect, table: &str, column: &str) -> Statement {
    let (table, column) = (quote(dialect, table), quote(dialect, column));
    let text = format!("SELECT 1 FROM {table} WHERE {column} IS NOT NULL LIMIT 1");
    Writer::new(dialect).finish(text, vec![ColumnType::Integer])
}

/// `INSERT` of one row.
pub fn insert(dialect: Dialect, table: &str, cells: &[Cell]) -> Statement {
    let mut writer = Writer::new(dialect);
    let names: Vec<String> = cells.iter().map(|cell| quote(dialect, cell.column)).collect();
    let values: Vec<String> = cells.iter().map(|cell| writer.parameter(cell)).collect();
    let table = quote(dialect, table);
    let text = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "));
    writer.finish(text, Vec::new())
}

/// `UPDATE` of the rows with these values.
pub fn update(dialect: Dialect, table: &str, cells: &[Cell], filter: &[Cell]) -> Statement {
    let mut writer = Writer::new(dialect);
    let settings: Vec<String> = cells
        .iter()
        .map(|cell| format!("{} = {}", quote(dialect, cell.column), writer.parameter(cell)))
        .collect();
    let text =
        format!("UPDATE {} SET {}{}", quote(dialect, table), settings.join(", "), writer.condition(filter));
    writer.finish(text, Vec::new())
}

/// `DELETE` of the rows with these values.
pub fn delete(dialect: Dialect, table: &str, filter: &[Cell]) -> Statement {
    let mut writer = Writer::new(dialect);
    let text = format!("DELETE FROM {}{}", quote(dialect, table), writer.condition(filter));
    writer.finish(text, Vec::new())
}

struct Writer {
    dialect: Dialect,
    params: Vec<Param>,
}

impl Writer {
    fn new(dialect: Dialect) -> Self {
        Writer { dialect, params: Vec::new() }
    }

    fn parameter(&mut self, cell: &Cell) -> String {
        let param = match (&cell.content, self.dialect) {
            (Content::Now, dialect) => return now(dialect, &cell.column_type),
            (Content::Value(Scalar::Null), _) => Param::Null(null_kind(&cell.column_type)),
            (Content::Value(Scalar::Bool(value)), Dialect::Sqlite | Dialect::Mysql) => {
                Param::Value(Scalar::Int(i64::from(*value)))
            }
            (Content::Value(value), _) => Param::Value(value.clone()),
        };
        self.params.push(param);
        let number = self.params.len();
        match self.dialect {
            Dialect::Sqlite => format!("?{number}"),
            Dialect::Postgres => {
                let declared = declared_type(self.dialect, &cell.column_type);
                format!("CAST(${number} AS {})", declared.replace(" COLLATE \"C\"", ""))
            }
            Dialect::Mysql => "?".to_owned(),
        }
    }

    fn condition(&mut self, filter: &[Cell]) -> String {
        let all: Vec<String> = filter
            .iter()
            .map(|cell| match cell.content {
                Content::Value(Scalar::Null) => format!("{} IS NULL", quote(self.dialect, cell.column)),
                _ => format!("{} = {}", quote(self.dialect, cell.column), self.parameter(cell)),
            })
            .collect();
        if all.is_empty() { String::new() } else { format!(" WHERE {}", all.join(" AND ")) }
    }

    fn finish(self, text: String, columns: Vec<ColumnType>) -> Statement {
        Statement { text: Arc::from(text), params: self.params, columns: Arc::from(columns) }
    }
}

fn null_kind(column_type: &ColumnType) -> NullKind {
    match column_type {
        ColumnType::Boolean => NullKind::Bool,
        ColumnType::Integer | ColumnType::BigInteger => NullKind::Int,
        ColumnType::Float => NullKind::Float,
        ColumnType::Binary => NullKind::Bytes,
        _ => NullKind::Text,
    }
}
