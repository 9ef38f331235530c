//! From schema steps to the statements that change a database.
//!
//! Start at [`statements`]. PostgreSQL and MariaDB change tables in place, step by step ([`step_statements`]); SQLite can add
//! columns and rename, everything else rebuilds the table, once for all steps that concern it (`sqlite`).

mod convert;
mod count;
mod mysql;
mod postgres;
mod sqlite;
pub mod types;

pub use count::count_statement;

use std::sync::Arc;

use super::ident::quote;
use super::{Dialect, Statement};
use crate::error::Result;
use crate::schema::{
    ColumnType, DatabaseStructure, DefaultValue, Fill, ForeignKey, OnDelete, SchemaStep, Table, TableColumn,
    TableIndex,
};
use types::{declared_type, literal};

/// The statements that run these steps on a database that looks like `actual`, in order.
///
/// With `allow_loss`, values that do not fit a new type are cut or become null; without, the caller has counted them as none.
/// Fails where a table cannot be changed without losing what we do not understand.
pub fn statements(
    dialect: Dialect,
    steps: &[SchemaStep],
    actual: &DatabaseStructure,
    allow_loss: bool,
) -> Result<Vec<Statement>> {
    let texts = match dialect {
        Dialect::Sqlite => sqlite::statements(steps, actual)?,
        Dialect::Postgres | Dialect::Mysql => {
            let mut now = actual.clone();
            let mut texts = Vec::new();
            for step in steps {
                texts.extend(step_statements(dialect, step, &now, allow_loss));
                now.apply(step);
            }
            texts
        }
    };
    Ok(texts.into_iter().map(statement).collect())
}

/// A statement without parameters and result.
pub fn statement(text: String) -> Statement {
    Statement { text: Arc::from(text), params: Vec::new(), columns: Arc::from([]) }
}

/// The statements of one step; `now` is what the database has just before it.
fn step_statements(
    dialect: Dialect,
    step: &SchemaStep,
    now: &DatabaseStructure,
    allow_loss: bool,
) -> Vec<String> {
    let name = |name: &str| quote(dialect, name);
    match step {
        SchemaStep::CreateTable { table } => match dialect {
            Dialect::Mysql => vec![mysql::create_table(table)],
            Dialect::Sqlite | Dialect::Postgres => {
                let mut all = vec![create_table(dialect, table, &table.name)];
                all.extend(table.indexes.iter().map(|index| add_index(dialect, &table.name, index)));
                all
            }
        },
        SchemaStep::RenameTable { from, to } => {
            vec![format!("ALTER TABLE {} RENAME TO {}", name(from), name(to))]
        }
        SchemaStep::RenameColumn { table, from, to } => {
            vec![format!("ALTER TABLE {} RENAME COLUMN {} TO {}", name(table), name(from), name(to))]
        }
        SchemaStep::AddColumn { table, column, .. } => {
            vec![format!("ALTER TABLE {} ADD COLUMN {}", name(table), column_definition(dialect, column))]
        }
        SchemaStep::ChangeColumn { table, from, to, fill } => match dialect {
            Dialect::Mysql => mysql::change_column(table, from, to, *fill, allow_loss),
            Dialect::Sqlite | Dialect::Postgres => postgres::change_column(table, from, to, *fill),
        },
        SchemaStep::DropColumn { table, column } => {
            vec![format!("ALTER TABLE {} DROP COLUMN {}", name(table), name(column))]
        }
        SchemaStep::AddIndex { table, index } => vec![match dialect {
            Dialect::Mysql => mysql::add_index(table, now.table(table), index),
            Dialect::Sqlite | Dialect::Postgres => add_index(dialect, table, index),
        }],
        SchemaStep::DropIndex { table, index } => vec![match dialect {
            Dialect::Mysql => format!("ALTER TABLE {} DROP INDEX {}", name(table), name(&index.name)),
            Dialect::Postgres if index.is_constraint => {
                format!("ALTER TABLE {} DROP CONSTRAINT {}", name(table), name(&index.name))
            }
            Dialect::Sqlite | Dialect::Postgres => format!("DROP INDEX {}", name(&index.name)),
        }],
        SchemaStep::AddForeignKey { table, key } => {
            vec![format!("ALTER TABLE {} ADD {}", name(table), foreign_key(dialect, table, key))]
        }
        SchemaStep::DropForeignKey { table, key } => {
            let kind = match dialect {
                Dialect::Mysql => "FOREIGN KEY",
                Dialect::Sqlite | Dialect::Postgres => "CONSTRAINT",
            };
            key.name
                .iter()
                .map(|key| format!("ALTER TABLE {} DROP {kind} {}", name(table), name(key)))
                .collect()
        }
        SchemaStep::DropTable { table } => vec![format!("DROP TABLE {}", name(table))],
    }
}

/// `CREATE TABLE` with columns, primary key and foreign keys.
fn create_table(dialect: Dialect, table: &Table, as_name: &str) -> String {
    let mut parts: Vec<String> =
        table.columns.iter().map(|column| column_definition(dialect, column)).collect();
    // A counted key of SQLite says so at its column.
    let is_inline = dialect == Dialect::Sqlite && table.columns.iter().any(|column| column.is_counted);
    if !table.primary_key.is_empty() && !is_inline {
        parts.push(format!("PRIMARY KEY ({})", names(dialect, &table.primary_key)));
    }
    parts.extend(table.foreign_keys.iter().map(|key| foreign_key(dialect, &table.name, key)));
    format!("CREATE TABLE {} (\n  {}\n)", quote(dialect, as_name), parts.join(",\n  "))
}

fn column_definition(dialect: Dialect, column: &TableColumn) -> String {
    let name = quote(dialect, &column.name);
    if column.is_counted {
        let declared = declared_type(dialect, &column.column_type);
        return match dialect {
            Dialect::Sqlite => format!("{name} integer NOT NULL PRIMARY KEY AUTOINCREMENT"),
            Dialect::Postgres => format!("{name} {declared} GENERATED BY DEFAULT AS IDENTITY"),
            Dialect::Mysql => format!("{name} {declared} NOT NULL AUTO_INCREMENT"),
        };
    }
    let declared = column.declared.clone().unwrap_or_else(|| declared_type(dialect, &column.column_type));
    let null = if column.nullable { "" } else { " NOT NULL" };
    let default = default_text(dialect, column).map_or_else(String::new, |text| format!(" DEFAULT {text}"));
    format!("{name} {declared}{null}{default}")
}

/// What stands behind `DEFAULT`.
fn default_text(dialect: Dialect, column: &TableColumn) -> Option<String> {
    match column.default.as_ref()? {
        DefaultValue::Value(value) => Some(literal(dialect, &column.column_type, value)),
        DefaultValue::Expression(text) => Some(match dialect {
            Dialect::Sqlite => format!("({text})"),
            Dialect::Postgres | Dialect::Mysql => text.clone(),
        }),
        DefaultValue::Now => Some("CURRENT_TIMESTAMP".to_owned()),
        DefaultValue::Uuid => None,
    }
}

fn add_index(dialect: Dialect, table: &str, index: &TableIndex) -> String {
    let table = quote(dialect, table);
    let columns = names(dialect, &index.columns);
    let name = quote(dialect, &index.name);
    match (dialect, index.unique) {
        (Dialect::Postgres, true) => format!("ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE ({columns})"),
        (_, true) => format!("CREATE UNIQUE INDEX {name} ON {table} ({columns})"),
        (_, false) => format!("CREATE INDEX {name} ON {table} ({columns})"),
    }
}

fn foreign_key(dialect: Dialect, table: &str, key: &ForeignKey) -> String {
    let behaviour = match key.on_delete {
        OnDelete::SetNull => " ON DELETE SET NULL",
        OnDelete::Cascade => " ON DELETE CASCADE",
        OnDelete::Restrict => " ON DELETE RESTRICT",
        OnDelete::NoAction => "",
    };
    let name = match &key.name {
        Some(name) => name.clone(),
        None => crate::schema::diff::foreign_key_name(table, &key.columns.join("_")),
    };
    format!(
        "CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}){behaviour}",
        quote(dialect, &name),
        names(dialect, &key.columns),
        quote(dialect, &key.target),
        names(dialect, &key.target_columns)
    )
}

fn names(dialect: Dialect, names: &[String]) -> String {
    names.iter().map(|name| quote(dialect, name)).collect::<Vec<_>>().join(", ")
}

/// What rows without a value get, as an expression; `None` for nothing.
fn fill_expression(dialect: Dialect, column: &TableColumn, fill: Fill) -> Option<String> {
    match fill {
        Fill::Nothing => None,
        Fill::Default => match column.default.as_ref()? {
            DefaultValue::Value(value) => Some(literal(dialect, &column.column_type, value)),
            DefaultValue::Now | DefaultValue::Uuid | DefaultValue::Expression(_) => None,
        },
        Fill::Now => Some(now(dialect, &column.column_type)),
        Fill::Uuid => Some(match dialect {
            Dialect::Sqlite => "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || \
                                substr(hex(randomblob(2)), 2) || '-' || substr('89ab', abs(random() % 4) + 1, 1) || \
                                substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))"
                .to_owned(),
            Dialect::Postgres => "gen_random_uuid()".to_owned(),
            Dialect::Mysql => "lower(uuid())".to_owned(),
        }),
    }
}

/// The moment by the clock of the database, in the form of a column of this type.
pub fn now(dialect: Dialect, column_type: &ColumnType) -> String {
    let text = match (dialect, column_type) {
        (Dialect::Sqlite, ColumnType::Date) => "date('now')",
        (Dialect::Sqlite, ColumnType::Time) => "time('now')",
        (Dialect::Sqlite, ColumnType::DateTime) => "strftime('%Y-%m-%dT%H:%M:%S', 'now')",
        (Dialect::Sqlite, _) => "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
        (Dialect::Postgres, ColumnType::Date) => "CAST(now() AT TIME ZONE 'UTC' AS date)",
        (Dialect::Postgres, ColumnType::Time) => {
            "CAST(date_trunc('second', now() AT TIME ZONE 'UTC') AS time)"
        }
        (Dialect::Postgres, ColumnType::DateTime) => "date_trunc('second', now() AT TIME ZONE 'UTC')",
        (Dialect::Postgres, _) => "date_trunc('milliseconds', now())",
        (Dialect::Mysql, ColumnType::Date) => "UTC_DATE()",
        (Dialect::Mysql, ColumnType::Time) => "UTC_TIME()",
        (Dialect::Mysql, ColumnType::DateTime) => "UTC_TIMESTAMP()",
        (Dialect::Mysql, _) => "UTC_TIMESTAMP(3)",
    };
    text.to_owned()
}
