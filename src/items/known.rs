//! Rows as a write has left them, where every value of them is known: what is answered of them needs no read.
//!
//! Start at [`Compiled::answer_of`]. A row is known where nobody but this server can have had a say in it: its table is declared by
//! the project and has no triggers.

use std::collections::HashSet;

use super::read::Compiled;
use super::service::ItemsService;
use super::validate::Rules;
use crate::access::Context;
use crate::db::{self, JsonBytes};
use crate::error::Result;
use crate::filter::{Scalar, Target};
use crate::query::{MemberValue, Plan, ReadPlan};
use crate::schema::{Collection, FieldId, Origin};
use crate::sql;

/// The values of a row; those of columns that are not named are not known.
pub(super) type KnownRow = Vec<(FieldId, Scalar)>;

/// What was written.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Keys, in the order of the payloads; without those that were not there.
    pub keys: Vec<Scalar>,
    /// The rows to these keys, where they are known.
    pub rows: Option<Vec<KnownRow>>,
    /// The rows come in the order of their keys.
    pub in_order: bool,
}

impl Done {
    /// Keys of rows that are not known.
    pub(super) fn of_keys(keys: Vec<Scalar>) -> Self {
        Done { keys, rows: None, in_order: false }
    }
}

impl ItemsService {
    /// Whether rows of this collection are as they were written.
    pub(super) async fn keeps_rows(
        &self,
        ctx: &Context,
        rules: &Rules,
        collection: &Collection,
    ) -> Result<bool> {
        if !matches!(collection.origin, Origin::Yaml | Origin::Generated) {
            return Ok(false);
        }
        let ask = async || -> Result<HashSet<_>> {
            let statement = sql::select_triggered(self.database.dialect());
            let rows = self.database(ctx)?.rows(&statement).await?;
            Ok(rows.iter().filter_map(|row| row.text(0).cloned()).collect())
        };
        let triggered = match rules.triggered.get() {
            Some(known) => known,
            None => Box::pin(rules.triggered.get_or_try_init(ask)).await?,
        };
        Ok(!triggered.contains(&collection.name))
    }
}

impl Compiled {
    /// The answer about rows that are known; `None` where it takes more than their values.
    pub(super) fn answer_of(&self, rows: &[KnownRow], is_list: bool) -> Result<Option<JsonBytes>> {
        let Plan::Items(plan) = &*self.plan else { return Ok(None) };
        if !self.is_plain {
            return Ok(None);
        }
        let mut known = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(values) = by_column(plan, row) else { return Ok(None) };
            known.push(values);
        }
        db::write_known(plan, &known, is_list).map(Some)
    }
}

/// The values of a row by column of the only level of a plan.
fn by_column<'r>(plan: &ReadPlan, row: &'r KnownRow) -> Option<Vec<&'r Scalar>> {
    let columns = plan.nodes.first()?.columns.iter();
    let value = |field: FieldId| row.iter().find(|(known, _)| *known == field).map(|(_, value)| value);
    columns
        .map(|column| match column.target {
            Target::Field(field) => value(field),
            Target::Function(..) | Target::Count(_) => None,
        })
        .collect()
}

/// Whether a plan shows columns of the rows themselves as they are, to somebody who may see all of them.
pub(super) fn is_plain(plan: &Plan) -> bool {
    let Plan::Items(plan) = plan else { return false };
    let [node] = plan.nodes.as_slice() else { return false };
    node.filter.is_none()
        && node.cursor.is_none()
        && node.bare.is_none()
        && plan.rules.rows.is_empty()
        && plan.total_count.is_none()
        && plan.filter_count.is_none()
        && node
            .columns
            .iter()
            .all(|column| column.gate.is_none() && matches!(column.target, Target::Field(_)))
        && node.output.iter().all(|member| matches!(member.value, MemberValue::Column(_)))
}
