//! A row in memory, for those who need its values rather than its JSON.

use std::sync::Arc;

use super::cell::RowView;
use crate::error::Result;
use crate::filter::Scalar;
use crate::schema::ColumnType;

/// Values of one row, in the order of `Statement::columns`, in canonical form (see [`Scalar`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The values.
    pub values: Vec<Scalar>,
}

impl Row {
    pub(super) fn read(row: &impl RowView, columns: &[ColumnType]) -> Result<Row> {
        let values = columns.iter().enumerate();
        let values =
            values.map(|(position, column_type)| row.cell(position, column_type)?.to_scalar(column_type));
        Ok(Row { values: values.collect::<Result<_>>()? })
    }

    /// The text in this column; `None` for null or another type.
    pub fn text(&self, column: usize) -> Option<&Arc<str>> {
        match self.values.get(column) {
            Some(Scalar::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The whole number in this column; `None` for null or another type.
    pub fn int(&self, column: usize) -> Option<i64> {
        match self.values.get(column) {
            Some(Scalar::Int(number)) => Some(*number),
            _ => None,
        }
    }

    /// The truth value in this column; `None` for null or another type.
    pub fn bool(&self, column: usize) -> Option<bool> {
        match self.values.get(column) {
            Some(Scalar::Bool(value)) => Some(*value),
            _ => None,
        }
    }
}
