//! Tables of the system as plain rows: read whole, compared by their keys, written column by column.

use serde_json::{Map, Value};

use crate::db::Row;
use crate::filter::Scalar;
use crate::schema::ColumnType;
use crate::sql::rows::{Cell, insert};
use crate::sql::{Dialect, Statement};

/// A row: column to value in the form of the API.
pub type Entry = Map<String, Value>;

/// One table, as far as it is read and written here.
pub struct Sheet {
    pub table: &'static str,
    pub keys: &'static [&'static str],
    pub columns: &'static [(&'static str, ColumnType)],
}

pub const fn string(length: u32) -> ColumnType {
    ColumnType::String { length }
}

impl Sheet {
    pub fn entry(&self, row: &Row) -> (Vec<String>, Entry) {
        let values = self.columns.iter().zip(&row.values);
        let entry: Entry =
            values.map(|((name, kind), value)| ((*name).to_owned(), to_json(kind, value))).collect();
        (self.key_of(&entry), entry)
    }

    pub fn key_of(&self, entry: &Entry) -> Vec<String> {
        let part = |key: &&str| match entry.get(*key) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        self.keys.iter().map(part).collect()
    }

    pub fn key_cells(&self, key: &[String]) -> Vec<Cell> {
        let kind = |name: &str| {
            let column = self.columns.iter().find(|(column, _)| *column == name);
            column.map_or(ColumnType::Text, |(_, kind)| kind.clone())
        };
        let cells = self.keys.iter().zip(key).map(|(name, value)| {
            let kind = kind(name);
            let value = match (&kind, value.parse()) {
                (ColumnType::Integer, Ok(number)) => Scalar::Int(number),
                _ => Scalar::Text(value.as_str().into()),
            };
            Cell::new(name, kind, value)
        });
        cells.collect()
    }

    pub fn insertion(&self, dialect: Dialect, entry: &Entry) -> Statement {
        let cells: Vec<Cell> = self
            .columns
            .iter()
            .filter(|(name, kind)| !(*kind == ColumnType::Integer && self.keys == [*name]))
            .map(|(name, kind)| Cell::new(name, kind.clone(), to_scalar(kind, entry.get(*name))))
            .collect();
        insert(dialect, self.table, &cells)
    }

    /// What is said now and differs. A column about which nothing is said any more is emptied only where we had filled it.
    pub fn changes(&self, old: &Entry, new: &Entry, is_ours: impl Fn(&str) -> bool) -> Vec<Cell> {
        let differs = |name: &str| {
            let (old, new) = (old.get(name).unwrap_or(&Value::Null), new.get(name).unwrap_or(&Value::Null));
            old != new && (!new.is_null() || is_ours(name)) && name != "id"
        };
        let columns = self.columns.iter().filter(|(name, _)| differs(name));
        columns.map(|(name, kind)| Cell::new(name, kind.clone(), to_scalar(kind, new.get(*name)))).collect()
    }

    /// The cells of these columns.
    pub fn cells(&self, entry: &Entry) -> Vec<Cell> {
        let columns = self.columns.iter().filter(|(name, _)| entry.contains_key(*name));
        columns.map(|(name, kind)| Cell::new(name, kind.clone(), to_scalar(kind, entry.get(*name)))).collect()
    }
}

fn to_json(kind: &ColumnType, value: &Scalar) -> Value {
    match (value, kind) {
        (Scalar::Bool(value), _) => Value::Bool(*value),
        (Scalar::Int(number), _) => Value::from(*number),
        (Scalar::Text(text), ColumnType::Json) => {
            serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_string()))
        }
        (Scalar::Text(text), _) => Value::String(text.to_string()),
        (Scalar::Null | Scalar::Float(_) | Scalar::Bytes(_), _) => Value::Null,
    }
}

fn to_scalar(kind: &ColumnType, value: Option<&Value>) -> Scalar {
    match (value.unwrap_or(&Value::Null), kind) {
        (Value::Null, _) => Scalar::Null,
        (other, ColumnType::Json) => Scalar::Text(other.to_string().into()),
        (Value::Bool(value), _) => Scalar::Bool(*value),
        (Value::Number(number), _) => number.as_i64().map_or(Scalar::Null, Scalar::Int),
        (Value::String(text), ColumnType::String { length }) => {
            Scalar::Text(text.chars().take(*length as usize).collect::<String>().into())
        }
        (Value::String(text), _) => Scalar::Text(text.as_str().into()),
        (other, _) => Scalar::Text(other.to_string().into()),
    }
}
