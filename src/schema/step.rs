//! One step of a change of the database, and what it may cost.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ColumnType, DefaultValue, ForeignKey, Table, TableColumn, TableIndex};

/// What `plan` shows and `apply` does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SchemaStep {
    /// Makes a table with its columns, keys and indexes; foreign keys to tables that are made after it follow as steps.
    CreateTable {
        /// The table.
        table: Table,
    },
    /// Gives a table another name.
    RenameTable {
        /// Its name so far.
        from: String,
        /// Its name from now on.
        to: String,
    },
    /// Gives a column another name.
    RenameColumn {
        /// Its table.
        table: String,
        /// Its name so far.
        from: String,
        /// Its name from now on.
        to: String,
    },
    /// Adds a column.
    AddColumn {
        /// Its table.
        table: String,
        /// The column.
        column: TableColumn,
        /// What rows that are there get.
        fill: Fill,
    },
    /// Changes one aspect of a column: type, nullability or default.
    ChangeColumn {
        /// Its table.
        table: String,
        /// The column so far.
        from: TableColumn,
        /// The column from now on, of the same name.
        to: TableColumn,
        /// What rows without a value get, when null is no longer allowed.
        fill: Fill,
    },
    /// Drops a column.
    DropColumn {
        /// Its table.
        table: String,
        /// Its name.
        column: String,
    },
    /// Adds an index or a unique constraint.
    AddIndex {
        /// Its table.
        table: String,
        /// The index.
        index: TableIndex,
    },
    /// Drops an index or a unique constraint.
    DropIndex {
        /// Its table.
        table: String,
        /// The index.
        index: TableIndex,
    },
    /// Adds a foreign key.
    AddForeignKey {
        /// Its table.
        table: String,
        /// The key.
        key: ForeignKey,
    },
    /// Drops a foreign key.
    DropForeignKey {
        /// Its table.
        table: String,
        /// The key.
        key: ForeignKey,
    },
    /// Drops a table.
    DropTable {
        /// Its name.
        table: String,
    },
}

/// What rows that have no value get when a column comes to require one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fill {
    /// Nothing: they keep null, or, where null is not allowed, there must be none.
    Nothing,
    /// The default of the column.
    Default,
    /// The moment of the change.
    Now,
    /// A new UUID each.
    Uuid,
}

/// What must be counted before a step may run.
#[derive(Debug, Clone, PartialEq)]
pub enum Risk {
    /// Rows whose value does not survive the new type; `to` says which.
    Convert {
        /// Type so far.
        from: ColumnType,
        /// Type from now on.
        to: ColumnType,
        /// What does not fit may become null, or (texts) be cut.
        can_lose: bool,
    },
    /// Rows that would have no value where one is required.
    NoValue,
    /// Rows of a table that get a column which requires a value nobody gave.
    NewWithoutValue,
    /// Rows with a value in a column that is dropped.
    Drop,
    /// Rows of a table that is dropped.
    DropTable,
    /// Rows that share what is to be unique.
    Duplicates,
    /// Rows that point at nothing.
    Dangling,
}

/// A step and what it costs in the database at hand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// The step.
    pub step: SchemaStep,
    /// What it costs; `None` when no row is touched.
    pub loss: Option<Loss>,
}

/// What a step would cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Rows concerned.
    pub rows: u64,
    /// One sentence for people.
    pub text: String,
    /// No flag makes it possible: the rows must be changed first.
    pub is_impossible: bool,
}

impl SchemaStep {
    /// The table it is about, by the name it has when the step begins.
    pub fn table(&self) -> &str {
        match self {
            SchemaStep::CreateTable { table } => &table.name,
            SchemaStep::RenameTable { from, .. } => from,
            SchemaStep::RenameColumn { table, .. }
            | SchemaStep::AddColumn { table, .. }
            | SchemaStep::ChangeColumn { table, .. }
            | SchemaStep::DropColumn { table, .. }
            | SchemaStep::AddIndex { table, .. }
            | SchemaStep::DropIndex { table, .. }
            | SchemaStep::AddForeignKey { table, .. }
            | SchemaStep::DropForeignKey { table, .. }
            | SchemaStep::DropTable { table } => table,
        }
    }

    /// Columns its risk is about.
    pub fn columns(&self) -> Vec<&str> {
        match self {
            SchemaStep::ChangeColumn { to, .. } => vec![&to.name],
            SchemaStep::DropColumn { column, .. } => vec![column],
            SchemaStep::AddIndex { index, .. } => index.columns.iter().map(String::as_str).collect(),
            SchemaStep::AddForeignKey { key, .. } => key.columns.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// What to count before it may run.
    pub fn risk(&self) -> Option<Risk> {
        match self {
            SchemaStep::AddColumn { column, fill, .. } => {
                let is_lacking = !column.nullable && !column.is_counted && *fill == Fill::Nothing;
                (is_lacking && column.default.is_none()).then_some(Risk::NewWithoutValue)
            }
            SchemaStep::ChangeColumn { from, to, .. } if from.column_type != to.column_type => {
                (!widens(&from.column_type, &to.column_type)).then(|| Risk::Convert {
                    from: from.column_type.clone(),
                    to: to.column_type.clone(),
                    can_lose: to.nullable || to.column_type.is_text(),
                })
            }
            SchemaStep::ChangeColumn { from, to, fill, .. } => {
                (from.nullable && !to.nullable && *fill == Fill::Nothing).then_some(Risk::NoValue)
            }
            SchemaStep::DropColumn { .. } => Some(Risk::Drop),
            SchemaStep::DropTable { .. } => Some(Risk::DropTable),
            SchemaStep::AddIndex { index, .. } => index.unique.then_some(Risk::Duplicates),
            SchemaStep::AddForeignKey { .. } => Some(Risk::Dangling),
            SchemaStep::CreateTable { .. }
            | SchemaStep::RenameTable { .. }
            | SchemaStep::RenameColumn { .. }
            | SchemaStep::DropIndex { .. }
            | SchemaStep::DropForeignKey { .. } => None,
        }
    }

    /// What it costs when `rows` rows are concerned.
    pub fn loss(&self, rows: u64) -> Option<Loss> {
        if rows == 0 {
            return None;
        }
        let table = self.table();
        let columns = self.columns().join(", ");
        let rows_of = if rows == 1 { format!("1 row of {table}") } else { format!("{rows} rows of {table}") };
        let have = if rows == 1 { "has" } else { "have" };
        let loses = |text: String| Some(Loss { rows, text, is_impossible: false });
        let refuses = |text: String| Some(Loss { rows, text, is_impossible: true });
        match self.risk()? {
            Risk::Convert { from, to: ColumnType::String { length }, .. } if from.is_text() => {
                loses(format!("{rows_of} would lose the part of `{columns}` behind {length} characters"))
            }
            Risk::Convert { to, can_lose: true, .. } => {
                loses(format!("{rows_of} would lose `{columns}`, which does not fit {to}"))
            }
            Risk::Convert { to, can_lose: false, .. } => refuses(format!(
                "{rows_of} {have} a `{columns}` that does not fit {to} and may not be null: change these rows first"
            )),
            Risk::NoValue => refuses(format!(
                "{rows_of} {have} no `{columns}`, which is to be required: give the field a default or fill these rows first"
            )),
            Risk::NewWithoutValue => {
                let SchemaStep::AddColumn { column, .. } = self else { return None };
                refuses(format!(
                    "{rows_of} would have no `{}`, which is required: give the field a default",
                    column.name
                ))
            }
            Risk::Drop => loses(format!("{rows_of} would lose `{columns}`")),
            Risk::DropTable => loses(format!("{rows_of} would be lost")),
            Risk::Duplicates => refuses(format!(
                "{rows_of} share a value of `{columns}`, which is to be unique: change these rows first"
            )),
            Risk::Dangling => {
                let SchemaStep::AddForeignKey { key, .. } = self else { return None };
                refuses(format!(
                    "{rows_of} {have} a `{columns}` that is no item of {}: change these rows first",
                    key.target
                ))
            }
        }
    }
}

/// Every value of `from` has an exact counterpart in `to`.
pub fn widens(from: &ColumnType, to: &ColumnType) -> bool {
    use ColumnType as T;
    match (from, to) {
        (T::String { length: old }, T::String { length: new }) => old <= new,
        (T::Hash, T::String { length }) => *length >= 255,
        (T::String { length }, T::Hash) => *length <= 255,
        (T::Uuid, T::String { length }) => *length >= 36,
        (T::Integer, T::String { length }) => *length >= 11,
        (T::BigInteger, T::String { length }) => *length >= 20,
        (T::Binary | T::Unknown { .. }, _) | (_, T::Binary | T::Unknown { .. }) => false,
        (_, T::Text | T::Csv) => true,
        (T::Integer, T::BigInteger | T::Float) => true,
        (T::Boolean, T::Integer | T::BigInteger) => true,
        (T::Integer, T::Decimal { precision, scale }) => precision.saturating_sub(*scale) >= 10,
        (T::Decimal { precision, scale }, T::Decimal { precision: new_precision, scale: new_scale }) => {
            new_scale >= scale && new_precision.saturating_sub(*new_scale) >= precision.saturating_sub(*scale)
        }
        (T::Date, T::DateTime | T::Timestamp) | (T::DateTime, T::Timestamp) => true,
        (from, to) => from == to,
    }
}

impl fmt::Display for SchemaStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SchemaStep::CreateTable { table } => {
                write!(f, "create table {} ({} columns)", table.name, table.columns.len())
            }
            SchemaStep::RenameTable { from, to } => write!(f, "rename table {from} to {to}"),
            SchemaStep::RenameColumn { table, from, to } => write!(f, "rename {table}.{from} to {to}"),
            SchemaStep::AddColumn { table, column, .. } => {
                write!(f, "add {table}.{}: {}", column.name, column.column_type)?;
                if !column.nullable {
                    f.write_str(", required")?;
                }
                column.default.as_ref().map_or(Ok(()), |default| write!(f, ", {}", default_text(default)))
            }
            SchemaStep::ChangeColumn { table, from, to, .. } => {
                let mut parts = Vec::new();
                if from.column_type != to.column_type {
                    parts.push(format!("{} to {}", from.column_type, to.column_type));
                }
                match (from.nullable, to.nullable) {
                    (true, false) => parts.push("required".to_owned()),
                    (false, true) => parts.push("may be null".to_owned()),
                    _ => {}
                }
                if from.default != to.default {
                    parts.push(to.default.as_ref().map_or("no default".to_owned(), default_text));
                }
                write!(f, "change {table}.{}: {}", to.name, parts.join(", "))
            }
            SchemaStep::DropColumn { table, column } => write!(f, "drop {table}.{column}"),
            SchemaStep::AddIndex { table, index } => {
                let kind = if index.unique { "unique constraint" } else { "index" };
                write!(f, "add {kind} on {table} ({})", index.columns.join(", "))
            }
            SchemaStep::DropIndex { table, index } => {
                let kind = if index.unique { "unique constraint" } else { "index" };
                write!(f, "drop {kind} on {table} ({})", index.columns.join(", "))
            }
            SchemaStep::AddForeignKey { table, key } => {
                write!(f, "add foreign key {table} ({}) to {}", key.columns.join(", "), key.target)
            }
            SchemaStep::DropForeignKey { table, key } => {
                write!(f, "drop foreign key {table} ({}) to {}", key.columns.join(", "), key.target)
            }
            SchemaStep::DropTable { table } => write!(f, "drop table {table}"),
        }
    }
}

fn default_text(default: &DefaultValue) -> String {
    match default {
        DefaultValue::Value(value) => format!("default {value}"),
        DefaultValue::Now => "default now".to_owned(),
        DefaultValue::Uuid => "default uuid".to_owned(),
        DefaultValue::Expression(text) => format!("default {text}"),
    }
}
