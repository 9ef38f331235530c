//! A row in memory, for those who need its values rather than its JSON.

use std::sync::Arc;

use crate::filter::Scalar;

/// Values of one row, in the order of `Statement::columns`, in canonical form (see [`Scalar`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The values.
    pub values: Vec<Scalar>,
}

impl Row {
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
