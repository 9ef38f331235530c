//! Business numbers: the next of a series for every new item, counted in the transaction that writes it.
//!
//! The row of the counter stays locked until the commit, and a transaction that ends otherwise takes its count back, so that
//! there are neither gaps nor doubles. Numbers that an import brings are kept, and the series goes on behind them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::tz::TimeZone;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::nested::key_text;
use super::plan::ItemWrite;
use super::run::Run;
use super::values::column_value;
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::schema::number::{Number, Per, Period, Piece};
use crate::schema::{Collection, FieldId};
use crate::sql::Dialect;
use crate::sql::numbers::{self as statements, Series};

/// Items of one series, by their place among those that are written together.
#[derive(Default)]
struct Members {
    /// To be numbered, in order.
    new: Vec<usize>,
    /// The largest number that was brought.
    brought: Option<i64>,
}

impl Run<'_> {
    /// Gives new items of one collection their numbers. What they belong to and point at is known by now.
    pub(super) async fn give_numbers(&mut self, items: &mut [ItemWrite]) -> Result<()> {
        let Some(first) = items.first() else { return Ok(()) };
        let schema = self.schema();
        let collection = schema.collection(first.collection);
        for (field, number) in &collection.numbers {
            // In the order of their names, so that two transactions never wait for each other.
            let mut series: BTreeMap<String, Members> = BTreeMap::new();
            for (position, item) in items.iter().enumerate() {
                let members = series.entry(self.scope(number, item)).or_default();
                match item.value(*field) {
                    None | Some(Scalar::Null) => members.new.push(position),
                    Some(own) => {
                        let brought = self.counted(collection, number, item, own);
                        members.brought = members.brought.max(brought);
                    }
                }
            }
            for (scope, members) in series {
                self.count(collection, (*field, number), &scope, members, items).await?;
            }
        }
        Ok(())
    }

    async fn count(
        &mut self,
        collection: &Collection,
        (field, number): (FieldId, &Number),
        scope: &str,
        members: Members,
        items: &mut [ItemWrite],
    ) -> Result<()> {
        let dialect = self.tx.dialect();
        let declared = collection.field(field);
        let id = series_id(&collection.name, &declared.name, scope);
        let series = Series { id: &id, collection: &collection.name, field: &declared.name, scope };
        if let Some(brought) = members.brought {
            let statement = statements::reach(dialect, &series, brought);
            self.tx.execute(&statement).await?;
        }
        let count = members.new.len() as i64;
        if count == 0 {
            return Ok(());
        }
        let statement = statements::advance(dialect, &series, count);
        let rows = match dialect {
            Dialect::Sqlite | Dialect::Postgres => self.tx.rows(&statement).await?,
            Dialect::Mysql => {
                self.tx.execute(&statement).await?;
                self.tx.rows(&statements::last(dialect, &id)).await?
            }
        };
        let last = rows.first().and_then(|row| row.int(0));
        let last = last.ok_or_else(|| Error::internal(anyhow::anyhow!("a series has no counter")))?;
        let Some(column) = &declared.column else { return Ok(()) };
        for (position, counted) in members.new.into_iter().zip(last - count + 1..) {
            let item = &mut items[position];
            let text = self.rendered(number, item, counted);
            let value = column_value(&column.column_type, &Value::String(text))
                .map_err(|refusal| refusal.finding(&collection.name, &declared.name))?;
            item.set(field, value);
            if !item.sent.contains(&field) {
                item.sent.push(field);
            }
        }
        Ok(())
    }

    /// What has the series of an item, as JSON.
    fn scope(&self, number: &Number, item: &ItemWrite) -> String {
        let parts: Vec<Value> = number
            .per
            .iter()
            .map(|per| match per {
                Per::Period(Period::Year) => json!(self.moment("%Y")),
                Per::Period(Period::Month) => json!(self.moment("%Y-%m")),
                Per::Period(Period::Day) => json!(self.moment("%Y-%m-%d")),
                Per::Field(field) => match item.value(*field) {
                    None | Some(Scalar::Null) => Value::Null,
                    Some(value) => Value::String(key_text(value).to_string()),
                },
            })
            .collect();
        Value::Array(parts).to_string()
    }

    fn moment(&self, format: &str) -> String {
        TimeZone::UTC.to_datetime(self.with.ctx.now).strftime(format).to_string()
    }

    fn push_piece(&self, out: &mut String, piece: &Piece, item: &ItemWrite) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Moment(Period::Year) => out.push_str(&self.moment("%Y")),
            Piece::Moment(Period::Month) => out.push_str(&self.moment("%m")),
            Piece::Moment(Period::Day) => out.push_str(&self.moment("%d")),
            Piece::Field(field) => out.push_str(&item.value(*field).map(key_text).unwrap_or_default()),
            Piece::Sequence { .. } => {}
        }
    }

    fn rendered(&self, number: &Number, item: &ItemWrite, counted: i64) -> String {
        let mut text = String::new();
        for piece in &number.series {
            match piece {
                Piece::Sequence { digits } => {
                    let _ = write!(text, "{counted:0width$}", width = usize::from(*digits));
                }
                other => self.push_piece(&mut text, other, item),
            }
        }
        text
    }

    /// What was counted in a number that was brought; `None` where it does not look like one of the series.
    fn counted(
        &self,
        collection: &Collection,
        number: &Number,
        item: &ItemWrite,
        own: &Scalar,
    ) -> Option<i64> {
        let at = number.series.iter().position(|piece| matches!(piece, Piece::Sequence { .. }))?;
        let (mut before, mut behind) = (String::new(), String::new());
        number.series[..at].iter().for_each(|piece| self.push_piece(&mut before, piece, item));
        number.series[at + 1..].iter().for_each(|piece| self.push_piece(&mut behind, piece, item));
        let text = key_text(own);
        let digits = text.strip_prefix(before.as_str())?.strip_suffix(behind.as_str())?;
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let counted = digits.parse().ok().filter(|_| is_number);
        if counted.is_none() {
            tracing::debug!(collection = %collection.name, "a number that was brought is not of its series");
        }
        counted
    }
}

/// The key of a counter: a name of any length in 64 characters.
fn series_id(collection: &str, field: &str, scope: &str) -> String {
    let mut hasher = Sha256::new();
    for part in [collection, field, scope] {
        // The length keeps one part from running into the next.
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
