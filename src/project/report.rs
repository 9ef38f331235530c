//! What `plan` shows.

use std::fmt;

use crate::schema::{ColumnType, Diff, PlannedStep, SchemaStep};

/// The difference between the files and the database, with its cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Steps in order.
    pub steps: Vec<PlannedStep>,
    /// Differences that no step can remove.
    pub problems: Vec<String>,
    /// Tables that no file declares.
    pub unknown_tables: Vec<String>,
    /// Columns that no file declares, as `table.column`.
    pub unknown_columns: Vec<String>,
}

impl Report {
    pub(super) fn new(diff: Diff, steps: Vec<PlannedStep>) -> Self {
        let Diff { problems, unknown_tables, unknown_columns, .. } = diff;
        Report { steps, problems, unknown_tables, unknown_columns }
    }

    /// There is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.problems.is_empty()
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
        all
    }

    /// What the database has and no file declares.
    pub fn drift(&self) -> Vec<String> {
        let tables = self.unknown_tables.iter().map(|table| format!("no file declares the table {table}"));
        let columns = self.unknown_columns.iter().map(|column| format!("no file declares {column}"));
        tables.chain(columns).collect()
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
            Report { steps, problems: Vec::new(), ..self.clone() }
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
        for problem in &self.problems {
            writeln!(f, "  impossible: {problem}")?;
        }
        for line in self.drift() {
            writeln!(f, "  note: {line}")?;
        }
        Ok(())
    }
}
