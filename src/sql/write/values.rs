//! Values as parameters of writes, and the placeholders that take them.
//!
//! Start at [`stored`].

use std::borrow::Cow;
use std::fmt::Write as _;

use super::WriteRow;
use crate::filter::Scalar;
use crate::schema::{Collection, ColumnType, Field, FieldId};
use crate::sql::dialect::sqlite::milliseconds;
use crate::sql::{Dialect, ListKind, NullKind, Param};

pub(in crate::sql) fn list(dialect: Dialect, column_type: &ColumnType, values: &[Scalar]) -> Param {
    let values: Vec<Scalar> = values
        .iter()
        .filter(|value| **value != Scalar::Null)
        .map(|value| stored_scalar(dialect, column_type, value.clone()))
        .collect();
    let kind = match values.first() {
        Some(Scalar::Int(_)) => ListKind::Int,
        Some(Scalar::Float(_)) => ListKind::Float,
        Some(_) => ListKind::Text,
        None if matches!(column_type, ColumnType::Integer | ColumnType::BigInteger) => ListKind::Int,
        None => ListKind::Text,
    };
    Param::List(kind, values)
}

pub(in crate::sql) fn keeps_milliseconds(field: &Field) -> bool {
    field.column.as_ref().is_some_and(|column| column.keeps_milliseconds)
}

/// Dates as whoever made the table keeps them.
pub(in crate::sql) fn in_milliseconds(
    collection: &Collection,
    columns: &[FieldId],
    mut rows: Vec<WriteRow>,
) -> Vec<WriteRow> {
    for (position, column) in columns.iter().enumerate() {
        if keeps_milliseconds(collection.field(*column)) {
            for value in rows.iter_mut().filter_map(|row| row.get_mut(position)) {
                *value = milliseconds(std::mem::replace(value, Scalar::Null));
            }
        }
    }
    rows
}

pub(in crate::sql) fn column_types(collection: &Collection, columns: &[FieldId]) -> Vec<ColumnType> {
    columns.iter().map(|column| column_type(collection.field(*column)).clone()).collect()
}

pub(in crate::sql) fn column_type(field: &Field) -> &ColumnType {
    field.column.as_ref().map_or(&ColumnType::Text, |column| &column.column_type)
}

pub(in crate::sql) fn row_params(dialect: Dialect, types: &[ColumnType], row: WriteRow) -> Vec<Param> {
    row.into_iter().zip(types).map(|(value, column_type)| stored(dialect, column_type, value)).collect()
}

/// A canonical value as a parameter of this database.
pub fn stored(dialect: Dialect, column_type: &ColumnType, value: Scalar) -> Param {
    match stored_scalar(dialect, column_type, value) {
        Scalar::Null => Param::Null(null_kind(column_type)),
        value => Param::Value(value),
    }
}

/// As what the values of a column are sent.
fn null_kind(column_type: &ColumnType) -> NullKind {
    match sent_kind(column_type) {
        ListKind::Bool => NullKind::Bool,
        ListKind::Int => NullKind::Int,
        ListKind::Float => NullKind::Float,
        ListKind::Text => NullKind::Text,
        ListKind::Bytes => NullKind::Bytes,
    }
}

fn stored_scalar(dialect: Dialect, column_type: &ColumnType, value: Scalar) -> Scalar {
    match (dialect, column_type, value) {
        // SQLite has no exact numbers but whole ones: cents, as it were.
        (Dialect::Sqlite, ColumnType::Decimal { scale, .. }, Scalar::Text(text)) => {
            scaled(&text, usize::from(*scale)).map_or(Scalar::Text(text), Scalar::Int)
        }
        (Dialect::Mysql, ColumnType::Timestamp | ColumnType::DateTime, Scalar::Text(text)) => {
            Scalar::Text(text.trim_end_matches('Z').replace('T', " ").into())
        }
        (_, _, value) => value,
    }
}

/// `-1.50` with scale 2 is -150; `None` when it has other digits or too many.
fn scaled(text: &str, scale: usize) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    (fraction.len() == scale).then(|| format!("{whole}{fraction}").parse().ok()).flatten()
}

pub(in crate::sql) fn push_placeholder(
    text: &mut String,
    dialect: Dialect,
    number: usize,
    column_type: &ColumnType,
) {
    let _ = match dialect {
        Dialect::Sqlite => write!(text, "?{number}"),
        Dialect::Mysql => write!(text, "?"),
        Dialect::Postgres => {
            let (sent, stored) = (sent_type(column_type), postgres_type(column_type));
            if sent == stored {
                write!(text, "CAST(${number} AS {sent})")
            } else {
                write!(text, "CAST(CAST(${number} AS {sent}) AS {stored})")
            }
        }
    };
}

/// What PostgreSQL is sent the values of a column as.
pub(in crate::sql) fn sent_type(column_type: &ColumnType) -> &'static str {
    match sent_kind(column_type) {
        ListKind::Bool => "bool",
        ListKind::Int => "int8",
        ListKind::Float => "float8",
        ListKind::Text => "text",
        ListKind::Bytes => "bytea",
    }
}

pub(in crate::sql) fn sent_kind(column_type: &ColumnType) -> ListKind {
    match column_type {
        ColumnType::Boolean => ListKind::Bool,
        ColumnType::Integer | ColumnType::BigInteger => ListKind::Int,
        ColumnType::Float => ListKind::Float,
        ColumnType::Binary => ListKind::Bytes,
        _ => ListKind::Text,
    }
}

/// The type that a text is cast to before it reaches a column.
pub(in crate::sql) fn postgres_type(column_type: &ColumnType) -> Cow<'static, str> {
    Cow::Borrowed(match column_type {
        ColumnType::Decimal { precision, scale } => return format!("numeric({precision},{scale})").into(),
        ColumnType::String { .. }
        | ColumnType::Text
        | ColumnType::Csv
        | ColumnType::Hash
        | ColumnType::Unknown { .. } => "text",
        ColumnType::Integer | ColumnType::BigInteger => "int8",
        ColumnType::Float => "float8",
        ColumnType::Boolean => "bool",
        ColumnType::Date => "date",
        ColumnType::Time => "time",
        ColumnType::DateTime => "timestamp",
        ColumnType::Timestamp => "timestamptz",
        ColumnType::Json => "json",
        ColumnType::Uuid => "uuid",
        ColumnType::Binary => "bytea",
    })
}
