//! Reads from the catalogues what the database has.
//!
//! Start at [`introspect`]. A handful of statements per database, whatever the number of tables.

mod mysql;
mod postgres;
mod sqlite;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::{Database, Row, Transaction};
use crate::error::Result;
use crate::schema::{ColumnType, DatabaseStructure, OnDelete, Table, TableIndex};
use crate::sql::{Dialect, Statement};

/// Reads the structure of the database.
pub async fn introspect(database: &Database) -> Result<DatabaseStructure> {
    let dialect = database.dialect();
    let mut answers = Vec::new();
    for statement in catalogue(dialect) {
        answers.push(database.rows(&statement).await?);
    }
    Ok(assemble(dialect, &answers))
}

/// Reads the structure of the database as it is inside of a transaction.
pub async fn introspect_in(transaction: &mut Transaction) -> Result<DatabaseStructure> {
    let dialect = transaction.dialect();
    let mut answers = Vec::new();
    for statement in catalogue(dialect) {
        answers.push(transaction.rows(&statement).await?);
    }
    Ok(assemble(dialect, &answers))
}

fn catalogue(dialect: Dialect) -> Vec<Statement> {
    match dialect {
        Dialect::Sqlite => sqlite::catalogue(),
        Dialect::Postgres => postgres::catalogue(),
        Dialect::Mysql => mysql::catalogue(),
    }
}

/// `answers` are those to the statements of [`catalogue`], in the same order.
fn assemble(dialect: Dialect, answers: &[Vec<Row>]) -> DatabaseStructure {
    let mut structure = DatabaseStructure::default();
    match dialect {
        Dialect::Sqlite => sqlite::assemble(answers, &mut structure),
        Dialect::Postgres => postgres::assemble(answers, &mut structure),
        Dialect::Mysql => mysql::assemble(answers, &mut structure),
    }
    structure
}

fn query(text: &str, columns: &[ColumnType]) -> Statement {
    Statement { text: Arc::from(text), params: Vec::new(), columns: Arc::from(columns) }
}

fn text(row: &Row, column: usize) -> &str {
    row.text(column).map_or("", |text| text)
}

fn table<'a>(structure: &'a mut DatabaseStructure, name: &str) -> &'a mut Table {
    structure
        .tables
        .entry(name.to_owned())
        .or_insert_with(|| Table { name: name.to_owned(), ..Table::default() })
}

/// Adds a column to the index of this name, which begins with the first one.
fn add_to_index(table: &mut Table, name: &str, column: &str, unique: bool, is_constraint: bool) {
    match table.indexes.iter_mut().find(|index| index.name == name) {
        Some(index) => index.columns.push(column.to_owned()),
        None => table.indexes.push(TableIndex {
            name: name.to_owned(),
            columns: vec![column.to_owned()],
            unique,
            is_constraint,
        }),
    }
}

fn on_delete(rule: &str) -> OnDelete {
    match rule {
        "CASCADE" | "c" => OnDelete::Cascade,
        "SET NULL" | "n" => OnDelete::SetNull,
        "RESTRICT" | "r" => OnDelete::Restrict,
        _ => OnDelete::NoAction,
    }
}
