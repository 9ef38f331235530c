//! Figures as JSON.

use super::super::cell::{self, Cell, RowView};
use super::super::numeric;
use super::document::{Counts, write_meta};
use super::value;
use crate::error::{Error, Result};
use crate::query::{AggregateColumn, AggregateMember, AggregatePlan, AggregateValue};
use crate::schema::ColumnType;

/// Writes one group after the other.
pub(in crate::db) struct AggregateWriter<'p> {
    plan: &'p AggregatePlan,
    out: Vec<u8>,
    is_first: bool,
}

impl<'p> AggregateWriter<'p> {
    pub(in crate::db) fn new(plan: &'p AggregatePlan) -> Self {
        AggregateWriter { plan, out: b"\"data\":[".to_vec(), is_first: true }
    }

    /// Takes one group.
    pub(in crate::db) fn push(&mut self, row: &impl RowView) -> Result<()> {
        if !self.is_first {
            self.out.push(b',');
        }
        self.is_first = false;
        object(row, &self.plan.columns, &self.plan.output, &mut self.out)
    }

    /// The finished members of the answer.
    pub(in crate::db) fn finish(mut self, counts: Counts) -> Vec<u8> {
        self.out.push(b']');
        write_meta(counts, &mut self.out);
        self.out
    }
}

fn object(
    row: &impl RowView,
    columns: &[AggregateColumn],
    members: &[AggregateMember],
    out: &mut Vec<u8>,
) -> Result<()> {
    out.push(b'{');
    for (position, member) in members.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&member.rendered_key);
        match &member.value {
            AggregateValue::Column(column) => {
                let format = &columns[*column].format;
                value::write(row.cell(*column, value::read_type(format))?, format, out)?;
            }
            AggregateValue::Average { sum, count, scale, is_bare } => {
                average(row, *sum, *count, *scale, *is_bare, out)?;
            }
            AggregateValue::Constant(text) => out.extend_from_slice(text),
            AggregateValue::Object(members) => object(row, columns, members, out)?,
        }
    }
    out.push(b'}');
    Ok(())
}

fn average(
    row: &impl RowView,
    sum: usize,
    count: usize,
    scale: u8,
    is_bare: bool,
    out: &mut Vec<u8>,
) -> Result<()> {
    let Cell::Int(count) = row.cell(count, &ColumnType::BigInteger)? else {
        return Err(Error::internal(anyhow::anyhow!("a count is no number")));
    };
    let mean = match row.cell(sum, &ColumnType::Text)? {
        Cell::Text(text) if text.contains('.') => numeric::average(text, count)?,
        Cell::Text(text) => {
            // SQLite sums the scaled whole numbers that it stores.
            let mut placed = Vec::with_capacity(text.len() + 2);
            cell::write_scaled(text.parse().map_err(Error::internal)?, scale, &mut placed);
            numeric::average(&String::from_utf8_lossy(&placed), count)?
        }
        _ => None,
    };
    match mean {
        Some(mean) if is_bare => out.extend_from_slice(mean.as_bytes()),
        Some(mean) => value::write_text(&mean, out),
        None => out.extend_from_slice(b"null"),
    }
    Ok(())
}
