//! Row level security of PostgreSQL, kept in step with the model.
//!
//! [`Reach`] says whose rows a [`Database`] may touch; [`sync`] makes the rules of the tables those of the model.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Database, Row, Transaction};
use crate::error::Result;
use crate::filter::Scalar;
use crate::schema::Schema;
use crate::sql::row_security::{self, TablePolicy};
use crate::sql::{Dialect, Statement};

/// Whose rows may be touched, where the database keeps tenants apart; it makes no difference elsewhere.
#[derive(Debug, Clone, Default)]
pub enum Reach {
    /// Everybody's: administrators, and the server itself.
    #[default]
    Everything,
    /// Those of these tenants only.
    Tenants(Arc<[Tenants]>),
}

/// The tenants of one collection of tenants.
#[derive(Debug, Clone)]
pub struct Tenants {
    /// The collection.
    pub collection: Arc<str>,
    /// Finds their keys.
    pub found: Statement,
}

/// What is wrong between the model and the rules in force.
struct Difference {
    dropped: Vec<String>,
    made: Vec<TablePolicy>,
}

/// Whether the rules in force are those of the model.
pub async fn is_in_step(database: &Database, schema: &Schema) -> Result<bool> {
    if database.dialect() != Dialect::Postgres {
        return Ok(true);
    }
    let rows = database.rows(&row_security::select_policies()).await?;
    let Difference { dropped, made } = difference(&rows, schema, database.has_row_security());
    Ok(dropped.is_empty() && made.is_empty())
}

/// Makes the rules those of the model; without row level security takes away those that are left of it.
pub async fn sync(transaction: &mut Transaction, schema: &Schema, is_wanted: bool) -> Result<()> {
    if transaction.dialect() != Dialect::Postgres {
        return Ok(());
    }
    let rows = transaction.rows(&row_security::select_policies()).await?;
    let Difference { dropped, made } = difference(&rows, schema, is_wanted);
    for statement in dropped.iter().flat_map(|table| row_security::drop_policy(table)) {
        transaction.execute(&statement).await?;
    }
    for statement in made.iter().flat_map(TablePolicy::create) {
        transaction.execute(&statement).await?;
    }
    Ok(())
}

/// Takes all rules away for the rest of the transaction: a column that one names cannot be changed.
pub async fn lift(transaction: &mut Transaction) -> Result<()> {
    if transaction.dialect() != Dialect::Postgres {
        return Ok(());
    }
    let rows = transaction.rows(&row_security::select_policies()).await?;
    for table in in_force(&rows).keys() {
        for statement in row_security::drop_policy(table) {
            transaction.execute(&statement).await?;
        }
    }
    Ok(())
}

fn in_force(rows: &[Row]) -> BTreeMap<String, String> {
    let text = |row: &Row, column: usize| match row.values.get(column) {
        Some(Scalar::Text(text)) => text.to_string(),
        _ => String::new(),
    };
    rows.iter().map(|row| (text(row, 0), text(row, 1))).collect()
}

fn difference(rows: &[Row], schema: &Schema, is_wanted: bool) -> Difference {
    let in_force = in_force(rows);
    let wanted = if is_wanted { row_security::policies(schema) } else { Vec::new() };
    let is_kept =
        |table: &str, comment: &str| wanted.iter().any(|policy| policy.table == table && policy.is(comment));
    let dropped = in_force.iter().filter(|(table, comment)| !is_kept(table, comment));
    let dropped = dropped.map(|(table, _)| table.clone()).collect();
    let is_there =
        |policy: &TablePolicy| in_force.get(&policy.table).is_some_and(|comment| policy.is(comment));
    let made = wanted.iter().filter(|policy| !is_there(policy)).cloned().collect();
    Difference { dropped, made }
}
