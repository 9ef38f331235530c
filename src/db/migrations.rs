//! Runs `migrations/`: the tables that the product itself needs.
//!
//! Each file runs once and is recorded. On SQLite and PostgreSQL a file is one transaction; on MariaDB each statement commits,
//! and all of them can be repeated, so that a run that was cut off is simply run again.

use std::collections::BTreeSet;

use super::{Committed, Database, Transaction};
use crate::error::Result;
use crate::filter::Scalar;
use crate::schema::ColumnType;
use crate::sql::ddl::{now, statement};
use crate::sql::ident::quote;
use crate::sql::rows::{self, Cell};
use crate::sql::{Dialect, Statement};

/// A file of `migrations/`.
struct Migration {
    version: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
    mysql: &'static str,
}

/// The files of this name in the folders of the three databases.
macro_rules! migration {
    ($version:literal, $name:literal, $file:literal) => {
        Migration {
            version: $version,
            name: $name,
            sqlite: include_str!(concat!("../../migrations/sqlite/", $file)),
            postgres: include_str!(concat!("../../migrations/postgres/", $file)),
            mysql: include_str!(concat!("../../migrations/mysql/", $file)),
        }
    };
}

const MIGRATIONS: &[Migration] = &[
    migration!(1, "system_tables", "0001_system_tables.sql"),
    migration!(2, "numbers_and_trash", "0002_numbers_and_trash.sql"),
];

/// Makes or completes the system tables. Cheap when there is nothing to do; two nodes may call it at once.
pub async fn migrate(database: &Database) -> Result<()> {
    let dialect = database.dialect();
    let count = database.rows(&exists(dialect)).await?;
    let is_there = count.first().and_then(|row| row.int(0)).is_some_and(|count| count > 0);
    if is_there {
        let known = versions(database.rows(&recorded(dialect)).await?);
        if MIGRATIONS.iter().all(|migration| known.contains(&migration.version)) {
            return Ok(());
        }
    }
    database.schema_transaction(|transaction| Box::pin(alone(transaction))).await.map(Committed::into_inner)
}

async fn alone(transaction: &mut Transaction) -> Result<()> {
    super::lock::begin_alone(transaction).await?;
    let result = run(transaction).await;
    super::lock::end_alone(transaction).await?;
    result
}

async fn run(transaction: &mut Transaction) -> Result<()> {
    let dialect = transaction.dialect();
    if dialect == Dialect::Postgres {
        super::lock::hold_in(transaction).await?;
    }
    let count = transaction.rows(&exists(dialect)).await?;
    let known = match count.first().and_then(|row| row.int(0)) {
        Some(1..) => versions(transaction.rows(&recorded(dialect)).await?),
        _ => BTreeSet::new(),
    };
    let found = transaction.rows(&tables(dialect)).await?;
    let found: BTreeSet<String> =
        found.iter().filter_map(|row| row.text(0)).map(|name| name.to_string()).collect();
    for migration in MIGRATIONS.iter().filter(|migration| !known.contains(&migration.version)) {
        let text = match dialect {
            Dialect::Sqlite => migration.sqlite,
            Dialect::Postgres => migration.postgres,
            Dialect::Mysql => migration.mysql,
        };
        let parts = split(text).into_iter();
        // A table that somebody else made is left as it is, without indexes of ours.
        for part in parts.filter(|part| migration.version > 1 || !is_index_on(part, &found)) {
            transaction.execute(&statement(part)).await?;
        }
        record(transaction, migration).await?;
        tracing::info!(version = migration.version, name = migration.name, "migration applied");
    }
    Ok(())
}

async fn record(transaction: &mut Transaction, migration: &Migration) -> Result<()> {
    let dialect = transaction.dialect();
    let (table, version) = (quote(dialect, "tablature_migrations"), migration.version);
    let moment = now(dialect, &ColumnType::Timestamp);
    let names = ["version", "name", "applied_at"].map(|name| quote(dialect, name)).join(", ");
    // Its statements before this one may have been run by a process that was cut off.
    let text = format!(
        "INSERT INTO {table} ({names}) SELECT {version}, '{}', {moment} FROM (SELECT 1 AS one) once \
         WHERE NOT EXISTS (SELECT 1 FROM {table} WHERE {} = {version})",
        migration.name,
        quote(dialect, "version")
    );
    transaction.execute(&statement(text)).await.map(|_| ())
}

/// The statements of a file: each ends with a semicolon at the end of a line.
fn split(text: &str) -> Vec<String> {
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    let code = code.join("\n");
    code.split(";\n")
        .map(|part| part.trim().trim_end_matches(';').to_owned())
        .filter(|part| !part.is_empty())
        .collect()
}

/// Whether a statement makes an index on one of these tables. MariaDB makes its own with the tables.
fn is_index_on(part: &str, tables: &BTreeSet<String>) -> bool {
    let Some((head, rest)) = part.split_once(" ON \"") else { return false };
    let table = rest.split('"').next().unwrap_or_default();
    !head.starts_with("CREATE TABLE") && tables.contains(table)
}

/// The tables of the system that are there.
fn tables(dialect: Dialect) -> Statement {
    let text = match dialect {
        Dialect::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'directus%'",
        Dialect::Postgres => {
            "SELECT CAST(c.relname AS text) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = current_schema() AND c.relname LIKE 'directus%'"
        }
        Dialect::Mysql => {
            "SELECT TABLE_NAME FROM information_schema.TABLES \
             WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE 'directus%'"
        }
    };
    Statement { columns: [ColumnType::Text].into(), ..statement(text.to_owned()) }
}

fn exists(dialect: Dialect) -> Statement {
    let text = match dialect {
        Dialect::Sqlite => "SELECT COUNT(*) FROM sqlite_master WHERE name = 'tablature_migrations'",
        Dialect::Postgres => {
            "SELECT COUNT(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = current_schema() AND c.relname = 'tablature_migrations'"
        }
        Dialect::Mysql => {
            "SELECT COUNT(*) FROM information_schema.TABLES \
             WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'tablature_migrations'"
        }
    };
    Statement { columns: [ColumnType::BigInteger].into(), ..statement(text.to_owned()) }
}

fn recorded(dialect: Dialect) -> Statement {
    let any: &[Cell] = &[];
    rows::select(dialect, "tablature_migrations", &[("version", ColumnType::Integer)], any)
}

fn versions(rows: Vec<super::Row>) -> BTreeSet<i64> {
    rows.iter().filter_map(|row| row.values.first()).filter_map(number).collect()
}

fn number(value: &Scalar) -> Option<i64> {
    match value {
        Scalar::Int(number) => Some(*number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{MIGRATIONS, split};

    #[test]
    fn files_are_split_into_statements() {
        for migration in MIGRATIONS {
            for text in [migration.sqlite, migration.postgres, migration.mysql] {
                let parts = split(text);
                assert_eq!(parts.len(), text.lines().filter(|line| line.ends_with(';')).count());
                assert!(parts.iter().all(|part| part.starts_with("CREATE ") && !part.contains(';')));
            }
        }
    }
}
