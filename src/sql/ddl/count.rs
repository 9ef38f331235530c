//! Counting the rows that a step would touch, before it runs.

use std::sync::Arc;

use super::convert::convert;
use super::{fill_expression, statement};
use crate::schema::{ColumnType, DatabaseStructure, Fill, Risk, SchemaStep, Table, TableColumn};
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
    if risk != Risk::Duplicates && column_names.iter().any(|column| table.column(column).is_none()) {
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
        Risk::Duplicates => duplicates(dialect, before, table, step)?,
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

/// Counts the rows that share what is to be unique once the steps before it have run: those may add a column with a value for all
/// rows, or give one to the rows that have none. `None` when no two rows can share it.
fn duplicates(dialect: Dialect, before: &[SchemaStep], table: &Table, step: &SchemaStep) -> Option<String> {
    let (mut groups, mut given) = (Vec::new(), Vec::new());
    for name in step.columns() {
        let former = former_column(before, step.table(), name);
        let fill = match filled(before, step.table(), name) {
            // New values are all different.
            Some((_, Fill::Uuid)) => return None,
            Some((column, fill)) => fill_expression(dialect, column, fill),
            None => None,
        };
        match (table.column(former).map(|column| quote(dialect, &column.name)), fill) {
            (Some(column), Some(value)) => groups.push(format!("COALESCE({column}, {value})")),
            (Some(column), None) => {
                given.push(format!("{column} IS NOT NULL"));
                groups.push(column);
            }
            // The same value in every row, which tells none of them apart.
            (None, Some(_)) => {}
            (None, None) => return None,
        }
    }
    let from = quote(dialect, &table.name);
    let where_given =
        if given.is_empty() { String::new() } else { format!(" WHERE {}", given.join(" AND ")) };
    let group_by = if groups.is_empty() { String::new() } else { format!(" GROUP BY {}", groups.join(", ")) };
    let whole = match dialect {
        Dialect::Sqlite | Dialect::Postgres => "bigint",
        Dialect::Mysql => "signed",
    };
    Some(format!(
        "SELECT CAST(COALESCE(SUM(number), 0) AS {whole}) FROM \
         (SELECT COUNT(*) AS number FROM {from}{where_given}{group_by} HAVING COUNT(*) > 1) shared"
    ))
}

/// The last of these steps that gives rows without a value in this column one, and what they get.
fn filled<'a>(before: &'a [SchemaStep], table: &str, name: &str) -> Option<(&'a TableColumn, Fill)> {
    before.iter().rev().find_map(|step| match step {
        SchemaStep::ChangeColumn { table: changed, to, fill, .. }
            if changed == table && to.name == name && *fill != Fill::Nothing =>
        {
            Some((to, *fill))
        }
        // Whatever it is for, a default of a new column is what rows that are there get.
        SchemaStep::AddColumn { table: changed, column, .. } if changed == table && column.name == name => {
            Some((column, Fill::Default))
        }
        _ => None,
    })
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
