//! Counts what steps would cost, and runs them.
//!
//! On SQLite and PostgreSQL all steps run in the transaction that is handed in ([`run_in`]). On MariaDB every statement commits:
//! the plan and the step it has come to are written down first, so that the next start finishes what was cut off
//! ([`run_recorded`], [`resume`]).

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::introspect::introspect;
use super::lock::Lease;
use super::{Committed, Database, Row, Transaction};
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::schema::{ColumnType, DatabaseStructure, PlannedStep, SchemaStep};
use crate::sql::ddl::types::is_stored_alike;
use crate::sql::ddl::{self, count_statement, statement};
use crate::sql::rows::{self, Cell};
use crate::sql::{Dialect, Statement};

/// How often progress is written down while tables are only being added.
const RECORD_AFTER: Duration = Duration::from_secs(1);

/// Counts the rows that each step would touch.
pub async fn count(
    database: &Database,
    steps: Vec<SchemaStep>,
    actual: &DatabaseStructure,
) -> Result<Vec<PlannedStep>> {
    let mut counts = Vec::with_capacity(steps.len());
    for position in 0..steps.len() {
        let rows = match count_statement(database.dialect(), &steps, position, actual) {
            Some(statement) => first_number(&database.rows(&statement).await?),
            None => 0,
        };
        counts.push(rows);
    }
    Ok(planned(steps, counts))
}

/// The same inside of a transaction, where the rows cannot change any more before the steps run.
///
/// PostgreSQL is made to wait for writers of the tables concerned first; SQLite has no other writer.
pub async fn count_in(
    transaction: &mut Transaction,
    steps: Vec<SchemaStep>,
    actual: &DatabaseStructure,
) -> Result<Vec<PlannedStep>> {
    let dialect = transaction.dialect();
    let mut counts = Vec::with_capacity(steps.len());
    for position in 0..steps.len() {
        let rows = match count_statement(dialect, &steps, position, actual) {
            Some(counting) => {
                let table = steps[position].table();
                if dialect == Dialect::Postgres && actual.table(table).is_some_and(|table| !table.is_view) {
                    let name = crate::sql::ident::quote(dialect, table);
                    transaction
                        .execute(&statement(format!("LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")))
                        .await?;
                }
                first_number(&transaction.rows(&counting).await?)
            }
            None => 0,
        };
        counts.push(rows);
    }
    Ok(planned(steps, counts))
}

fn planned(steps: Vec<SchemaStep>, counts: Vec<u64>) -> Vec<PlannedStep> {
    let with_loss = |(step, rows): (SchemaStep, u64)| PlannedStep { loss: step.loss(rows), step };
    steps.into_iter().zip(counts).map(with_loss).collect()
}

fn first_number(rows: &[Row]) -> u64 {
    rows.first().and_then(|row| row.int(0)).and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
}

/// Runs all steps in a transaction of SQLite or PostgreSQL.
pub async fn run_in(
    transaction: &mut Transaction,
    steps: &[SchemaStep],
    actual: &DatabaseStructure,
    allow_loss: bool,
) -> Result<()> {
    for statement in ddl::statements(transaction.dialect(), steps, actual, allow_loss)? {
        transaction.execute(&statement).await.map_err(|error| failed(&statement, error))?;
    }
    Ok(())
}

/// Keeps errors of the database that a person can act on, and names the statement in the log for the others.
fn failed(statement: &Statement, error: Error) -> Error {
    let cause = match &error {
        Error::Internal { cause, .. } => format!("{cause:#}"),
        other => other.to_string(),
    };
    tracing::error!(statement = %statement.text, cause, "a change of the schema failed");
    error
}

/// What `tablature_apply` holds while a MariaDB database is being changed.
#[derive(Serialize, Deserialize)]
struct Recorded {
    steps: Vec<SchemaStep>,
    allow_loss: bool,
}

/// Writes the plan down, runs it step by step, and strikes it out.
pub async fn run_recorded(
    database: &Database,
    lease: &Lease,
    steps: Vec<SchemaStep>,
    allow_loss: bool,
) -> Result<()> {
    if steps.is_empty() {
        return Ok(());
    }
    let plan = Recorded { steps, allow_loss };
    let text = serde_json::to_string(&plan).map_err(Error::internal)?;
    let dialect = database.dialect();
    let cells = [
        Cell::new("id", ColumnType::Integer, Scalar::Int(1)),
        Cell::new("plan", ColumnType::Text, Scalar::Text(text.into())),
        Cell::new("next_step", ColumnType::Integer, Scalar::Int(0)),
        Cell::now("started_at"),
        Cell::new("node", ColumnType::Text, Scalar::Text(lease.owner().into())),
    ];
    execute(database, vec![rows::insert(dialect, "tablature_apply", &cells)]).await?;
    let result = run_from(database, &plan, 0).await;
    if !matches!(result, Err(Error::ServiceUnavailable { .. })) {
        // A plan that failed for a reason of its own would fail again: the next comparison shows what is left of it.
        execute(database, vec![rows::delete(dialect, "tablature_apply", &[])]).await?;
    }
    result
}

/// A plan was cut off, and waits to be finished.
pub async fn is_unfinished(database: &Database) -> Result<bool> {
    let columns = [("id", ColumnType::Integer)];
    let found = database.rows(&rows::select(database.dialect(), "tablature_apply", &columns, &[])).await?;
    Ok(!found.is_empty())
}

/// Finishes a plan that was cut off. Gives whether there was one.
pub async fn resume(database: &Database) -> Result<bool> {
    let columns = [("plan", ColumnType::Text), ("next_step", ColumnType::Integer)];
    let found = database.rows(&rows::select(database.dialect(), "tablature_apply", &columns, &[])).await?;
    let Some(row) = found.first() else { return Ok(false) };
    let next = row.int(1).and_then(|next| usize::try_from(next).ok()).unwrap_or(0);
    let plan = row.text(0).and_then(|text| serde_json::from_str::<Recorded>(text).ok());
    let result = match plan {
        Some(plan) => {
            tracing::warn!(
                next_step = next,
                steps = plan.steps.len(),
                "finishing a change of the schema that was cut off"
            );
            run_from(database, &plan, next).await
        }
        None => {
            tracing::warn!("the plan of a change that was cut off cannot be read and is dropped");
            Ok(())
        }
    };
    match result {
        Err(error @ Error::ServiceUnavailable { .. }) => return Err(error),
        // It would fail again: the next comparison shows what is left of it.
        Err(error) => {
            tracing::error!(%error, "the change that was cut off cannot be finished and is dropped")
        }
        Ok(()) => {}
    }
    execute(database, vec![rows::delete(database.dialect(), "tablature_apply", &[])]).await?;
    Ok(true)
}

async fn run_from(database: &Database, plan: &Recorded, next: usize) -> Result<()> {
    let dialect = database.dialect();
    let mut structure = introspect(database).await?;
    let mut recorded = Instant::now();
    for (position, step) in plan.steps.iter().enumerate().skip(next) {
        if !is_done(dialect, step, &structure)
            && let Err(error) = run_step(database, step, &structure, plan.allow_loss).await
        {
            // The server finishes a statement whose client was killed: it may have been done meanwhile.
            let now = introspect(database).await?;
            if !is_done(dialect, step, &now) {
                return Err(error);
            }
        }
        structure.apply(step);
        // What only adds is recognised as done by what is there; that is not worth a commit each time.
        let only_adds = matches!(
            step,
            SchemaStep::CreateTable { .. } | SchemaStep::AddIndex { .. } | SchemaStep::AddForeignKey { .. }
        );
        if !only_adds || recorded.elapsed() > RECORD_AFTER {
            let number = Cell::new("next_step", ColumnType::Integer, Scalar::Int(position as i64 + 1));
            execute(database, vec![rows::update(dialect, "tablature_apply", &[number], &[])]).await?;
            recorded = Instant::now();
        }
    }
    Ok(())
}

async fn run_step(
    database: &Database,
    step: &SchemaStep,
    structure: &DatabaseStructure,
    allow_loss: bool,
) -> Result<()> {
    for change in ddl::statements(database.dialect(), std::slice::from_ref(step), structure, allow_loss)? {
        let done = execute(database, vec![change.clone()]).await;
        done.map_err(|error| of_step(step, failed(&change, error)))?;
    }
    Ok(())
}

/// Says which step it was, to whoever has to change a file because of it.
fn of_step(step: &SchemaStep, error: Error) -> Error {
    match error {
        Error::UnprocessableContent { reason } => {
            Error::UnprocessableContent { reason: format!("cannot {step}: {reason}") }
        }
        Error::Internal { id, cause } => {
            Error::Internal { id, cause: cause.context(format!("cannot {step}")) }
        }
        other => other,
    }
}

/// Whether the database already looks as it does after the step.
fn is_done(dialect: Dialect, step: &SchemaStep, structure: &DatabaseStructure) -> bool {
    let table = structure.table(step.table());
    match step {
        SchemaStep::CreateTable { .. } => table.is_some(),
        SchemaStep::RenameTable { from, to } => {
            structure.table(from).is_none() && structure.table(to).is_some()
        }
        SchemaStep::RenameColumn { from, to, .. } => {
            table.is_some_and(|table| table.column(from).is_none() && table.column(to).is_some())
        }
        SchemaStep::AddColumn { column, .. } => {
            table.is_some_and(|table| table.column(&column.name).is_some())
        }
        SchemaStep::ChangeColumn { to, .. } => {
            table.and_then(|table| table.column(&to.name)).is_some_and(|column| {
                is_stored_alike(dialect, column, to)
                    && column.nullable == to.nullable
                    && column.default == to.default
            })
        }
        SchemaStep::DropColumn { column, .. } => table.is_none_or(|table| table.column(column).is_none()),
        SchemaStep::AddIndex { index, .. } => {
            table.is_some_and(|table| table.indexes.iter().any(|i| i.name == index.name))
        }
        SchemaStep::DropIndex { index, .. } => {
            table.is_none_or(|table| table.indexes.iter().all(|i| i.name != index.name))
        }
        SchemaStep::AddForeignKey { key, .. } => {
            table.is_some_and(|table| table.foreign_keys.iter().any(|k| k.name == key.name))
        }
        SchemaStep::DropForeignKey { key, .. } => {
            table.is_none_or(|table| table.foreign_keys.iter().all(|k| k.name != key.name))
        }
        SchemaStep::DropTable { .. } => table.is_none(),
    }
}

/// The model that was applied last, as text, and its hash.
pub async fn applied_model(database: &Database) -> Result<Option<(Value, String)>> {
    let columns = [("model", ColumnType::Json), ("model_hash", ColumnType::Text)];
    let found = database.rows(&rows::select(database.dialect(), "tablature_schema", &columns, &[])).await?;
    Ok(found.first().and_then(|row| {
        let model = serde_json::from_str(row.text(0)?).ok()?;
        Some((model, row.text(1)?.to_string()))
    }))
}

/// The mark of the last change: differs after each.
pub async fn applied_hash(database: &Database) -> Result<Option<String>> {
    let columns = [("model_hash", ColumnType::Text)];
    let found = database.rows(&rows::select(database.dialect(), "tablature_schema", &columns, &[])).await?;
    Ok(found.first().and_then(|row| row.text(0)).map(|hash| hash.to_string()))
}

/// Marks the database as changed by something else than files, for other nodes and for the next comparison. Gives the mark.
pub async fn mark_changed(transaction: &mut Transaction) -> Result<String> {
    let dialect = transaction.dialect();
    let mark = Uuid::now_v7().simple().to_string();
    let cell = Cell::new("model_hash", ColumnType::Text, Scalar::Text(mark.as_str().into()));
    transaction.execute(&rows::update(dialect, "tablature_schema", &[cell], &[])).await?;
    Ok(mark)
}

/// Remembers the model that is applied now.
pub async fn remember_model(transaction: &mut Transaction, model: &Value, hash: &str) -> Result<()> {
    let dialect = transaction.dialect();
    transaction.execute(&rows::delete(dialect, "tablature_schema", &[])).await?;
    let cells = [
        Cell::new("id", ColumnType::Integer, Scalar::Int(1)),
        Cell::new("model", ColumnType::Json, Scalar::Text(model.to_string().into())),
        Cell::new("model_hash", ColumnType::Text, Scalar::Text(hash.into())),
        Cell::now("applied_at"),
    ];
    transaction.execute(&rows::insert(dialect, "tablature_schema", &cells)).await.map(|_| ())
}

async fn execute(database: &Database, statements: Vec<Statement>) -> Result<()> {
    let result = database
        .schema_transaction(|transaction| {
            Box::pin(async move {
                for statement in &statements {
                    transaction.execute(statement).await?;
                }
                Ok(())
            })
        })
        .await;
    result.map(Committed::into_inner)
}
