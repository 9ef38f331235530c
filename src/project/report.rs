//! What `plan` shows.

use std::fmt;

use super::access::{AccessPlan, AccessStep};
use crate::schema::{ColumnType, Diff, PlannedStep, SchemaStep};

/// The difference between the files and the database, with its cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Steps in order.
    pub steps: Vec<PlannedStep>,
    /// What then changes in roles, policies and permissions.
    pub access: Vec<AccessStep>,
    /// Differences that no step can remove.
    pub problems: Vec<String>,
    /// Tables that no file declares.
    pub unknown_tables: Vec<String>,
    /// Columns that no file declares, as `table.column`.
    pub unknown_columns: Vec<String>,
    /// Roles, policies and permissions that no file declares, and those that wait for something.
    pub unknown_access: Vec<String>,
}

impl Report {
    pub(super) fn new(diff: Diff, steps: Vec<PlannedStep>, access: AccessPlan) -> Self {
        let Diff { problems, unknown_tables, unknown_columns, .. } = diff;
        let AccessPlan { steps: access, notes: unknown_access } = access;
        Report { steps, access, problems, unknown_tables, unknown_columns, unknown_access }
    }

    /// There is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.access.is_empty() && self.problems.is_empty()
    }

    /// What stands in the way, one sentence each. Empty when the steps may run.
    pub fn refusals(&self, allow_destructive: bool) -> Vec<String> {
        let mut all = self.problems.clone();
        for PlannedStep { step, loss } in &self.steps {
            let Some(loss) = loss else { continue };
            if loss.is_impossible {
                all.push(format!("{step}: {}", loss.text));
            } else if !allow_destructive {
                all.push(format!("{step}: {} (needs --allow-destructive)", loss.text));
            }
        }
        if !allow_destructive {
            let losses = self.access.iter().filter_map(|step| Some((step, step.loss()?)));
            all.extend(losses.map(|(step, loss)| format!("{step}: {loss} (needs --allow-destructive)")));
        }
        all
    }

    /// What the database has and no file declares.
    pub fn drift(&self) -> Vec<String> {
        let tables = self.unknown_tables.iter().map(|table| format!("no file declares the table {table}"));
        let columns = self.unknown_columns.iter().map(|column| format!("no file declares {column}"));
        tables.chain(columns).chain(self.unknown_access.iter().cloned()).collect()
    }

    pub(super) fn bare_steps(&self) -> Vec<SchemaStep> {
        self.steps.iter().map(|planned| planned.step.clone()).collect()
    }

    /// Everything but the steps that would cost something, when the model can be served without those: all columns are there and
    /// hold values of their type. `None` when it cannot.
    pub(super) fn without_refused(&self) -> Option<Report> {
        let can_wait = |planned: &PlannedStep| match &planned.step {
            SchemaStep::AddIndex { .. } | SchemaStep::AddForeignKey { .. } => true,
            SchemaStep::ChangeColumn { from, to, .. } => {
                let is_string = |column_type: &ColumnType| matches!(column_type, ColumnType::String { .. });
                from.column_type == to.column_type
                    || (is_string(&from.column_type) && is_string(&to.column_type))
            }
            _ => false,
        };
        let is_servable = self.steps.iter().all(|planned| planned.loss.is_none() || can_wait(planned));
        is_servable.then(|| {
            let steps = self.steps.iter().filter(|planned| planned.loss.is_none()).cloned().collect();
            let access = self.access.iter().filter(|step| step.loss().is_none()).cloned().collect();
            Report { steps, access, problems: Vec::new(), ..self.clone() }
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            writeln!(f, "The database is as the files say.")?;
        }
        for PlannedStep { step, loss } in &self.steps {
            writeln!(f, "  {step}")?;
            if let Some(loss) = loss {
                let mark = if loss.is_impossible { "impossible" } else { "destructive" };
                writeln!(f, "    {mark}: {}", loss.text)?;
            }
        }
        for step in &self.access {
            writeln!(f, "  {step}")?;
            if let Some(loss) = step.loss() {
                writeln!(f, "    destructive: {loss}")?;
            }
        }
        for problem in &self.problems {
            writeln!(f, "  impossible: {problem}")?;
        }
        for line in self.drift() {
            writeln!(f, "  note: {line}")?;
        }
        Ok(())
    }
}
