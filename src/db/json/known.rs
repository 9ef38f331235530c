//! Rows whose values are known without asking a database, in the form of answers.

use super::super::cell::{Cell, RowView};
use super::document::{self, Counts};
use super::level::{KeySet, LevelWriter};
use crate::db::JsonBytes;
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::query::{Document, ReadPlan};
use crate::schema::ColumnType;

/// The values of one row, by column of the plan.
struct Known<'v>(&'v [&'v Scalar]);

impl RowView for Known<'_> {
    fn cell(&self, column: usize, _: &ColumnType) -> Result<Cell<'_>> {
        let value = self.0.get(column);
        let value = value.ok_or_else(|| Error::internal(anyhow::anyhow!("a known row lacks a column")))?;
        Ok(match value {
            Scalar::Null => Cell::Null,
            Scalar::Bool(value) => Cell::Bool(*value),
            Scalar::Int(value) => Cell::Int(*value),
            Scalar::Float(value) => Cell::Float(*value),
            Scalar::Text(text) => Cell::Text(text),
            Scalar::Bytes(bytes) => Cell::Bytes(bytes),
        })
    }
}

/// Writes the members of an answer, `"data":...`, from rows in canonical form that have one value for each column of the plan's
/// only level. With `is_list` they are a list, whatever the plan says.
pub fn write_known(plan: &ReadPlan, rows: &[Vec<&Scalar>], is_list: bool) -> Result<JsonBytes> {
    let mut key_sets: Vec<KeySet> = plan.nodes.iter().map(|_| KeySet::default()).collect();
    let mut writer = LevelWriter::new(plan, 0, &mut key_sets);
    for row in rows {
        writer.push(&Known(row))?;
    }
    let levels = vec![writer.finish()];
    let document = if is_list { Document::List } else { plan.document };
    document::assemble_as(document, plan, levels, Counts::default())
}
