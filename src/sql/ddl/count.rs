//! Counting the rows that a step would touch, before it runs.

use std::sync::Arc;

use super::convert::convert;
use super::statement;
use crate::schema::{ColumnType, DatabaseStructure, Risk, SchemaStep};
use crate::sql::ident::quote;
use crate::sql::{Dialect, Statement};

/// The statement that counts the rows at risk (one column, one row), to be run before any of `steps`.
///
/// `position` is that of the step. `None` when the step risks nothing, or is about something that another step makes first.
pub fn count_statement(
    dialect: Dialect,
    steps: &[SchemaStep],
    position: usize,
    actual: &DatabaseStructure,
) -> Option<Statement> {
    let step = &steps[position];
    let risk = step.risk()?;
    let before = &steps[..position];
    let name = former_table(before, step.table());
    let table = actual.table(name)?;
    let column_names: Vec<&str> =
        step.columns().into_iter().map(|column| former_column(before, step.table(), column)).collect();
    if column_names.iter().any(|column| table.column(column).is_none()) {
        return None;
    }
    let from = quote(dialect, name);
    let columns: Vec<String> = column_names.iter().map(|column| quote(dialect, column)).collect();
    let count_where = |condition: String| format!("SELECT COUNT(*) FROM {from} WHERE {condition}");
    let text = match risk {
        Risk::Convert { from: old, to, .. } => {
            let column = columns.first()?;
            let fits = convert(dialect, column, &old, &to).fits?;
            count_where(format!("{column} IS NOT NULL AND NOT ({fits})"))
        }
        Risk::NoValue => count_where(format!("{} IS NULL", columns.first()?)),
        Risk::Drop => count_where(format!("{} IS NOT NULL", columns.first()?)),
        Risk::NewWithoutValue | Risk::DropTable => format!("SELECT COUNT(*) FROM {from}"),
        Risk::Duplicates => {
            let given: Vec<String> = columns.iter().map(|column| format!("{column} IS NOT NULL")).collect();
            let sum = match dialect {
                Dialect::Sqlite | Dialect::Postgres => "CAST(COALESCE(SUM(number), 0) AS bigint)",
                Dialect::Mysql => "CAST(COALESCE(SUM(number), 0) AS signed)",
            };
            format!(
                "SELECT {sum} FROM (SELECT COUNT(*) AS number FROM {from} WHERE {} GROUP BY {} HAVING COUNT(*) > 1) shared",
                given.join(" AND "),
                columns.join(", ")
            )
        }
        Risk::Dangling => {
            let SchemaStep::AddForeignKey { key, .. } = step else { return None };
            let (Some(column), Some(target_column)) = (columns.first(), key.target_columns.first()) else {
                return None;
            };
            let target_name = former_table(before, &key.target);
            let target_column = former_column(before, &key.target, target_column);
            match actual.table(target_name).and_then(|target| target.column(target_column)) {
                // The table referred to is new, and empty.
                None => count_where(format!("{column} IS NOT NULL")),
                Some(target) => {
                    let is_alike =
                        table.column(column_names[0]).is_some_and(|c| c.column_type == target.column_type);
                    let cast = |text: String| match (is_alike, dialect) {
                        (true, _) => text,
                        (false, Dialect::Mysql) => format!("CAST({text} AS char)"),
                        (false, Dialect::Sqlite | Dialect::Postgres) => format!("CAST({text} AS text)"),
                    };
                    let target_table = quote(dialect, target_name);
                    let left = cast(format!("one.{}", quote(dialect, target_column)));
                    let right = cast(format!("many.{column}"));
                    format!(
                        "SELECT COUNT(*) FROM {from} many WHERE many.{column} IS NOT NULL \
                         AND NOT EXISTS (SELECT 1 FROM {target_table} one WHERE {left} = {right})"
                    )
                }
            }
        }
    };
    Some(Statement { columns: Arc::from([ColumnType::BigInteger]), ..statement(text) })
}

/// The name that a table has before these steps.
fn former_table<'a>(before: &'a [SchemaStep], name: &'a str) -> &'a str {
    let renamed = before.iter().rev().find_map(|step| match step {
        SchemaStep::RenameTable { from, to } if to == name => Some(from.as_str()),
        _ => None,
    });
    renamed.unwrap_or(name)
}

fn former_column<'a>(before: &'a [SchemaStep], table: &str, name: &'a str) -> &'a str {
    let renamed = before.iter().rev().find_map(|step| match step {
        SchemaStep::RenameColumn { table: renamed, from, to } if renamed == table && to == name => {
            Some(from.as_str())
        }
        _ => None,
    });
    renamed.unwrap_or(name)
}
