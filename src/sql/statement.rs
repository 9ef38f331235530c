//! What leaves this room: text with parameters.

use std::sync::Arc;

use crate::filter::Scalar;
use crate::schema::ColumnType;

/// The databases we speak to. Closed: a feature that one of them has not answered does not compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// SQLite 3.46 or newer, in process.
    Sqlite,
    /// PostgreSQL 13 or newer.
    Postgres,
    /// MariaDB 10.6 or newer, MySQL 8.
    Mysql,
}

/// One statement: a text that depends on the shape of the request only, and its parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// SQL. Placeholders are `?1` (SQLite), `$1` (PostgreSQL) or `?` in order (MariaDB).
    pub text: Arc<str>,
    /// One per placeholder.
    pub params: Vec<Param>,
    /// Types of the columns of the result, in order; empty where none is read.
    pub columns: Arc<[ColumnType]>,
}

/// The value of a placeholder, already in the form that this database stores.
///
/// PostgreSQL is sent `int8`, `float8`, `bool`, `text`, `bytea` or an array of one of them; a cast in the SQL text turns it into
/// what the column is (`CAST($1 AS uuid)`). MariaDB is sent lists as one JSON array. SQLite is sent lists through `rarray`.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    /// One value.
    Value(Scalar),
    /// Null where other values of this kind may stand: PostgreSQL keeps the type that a placeholder was first sent with.
    Null(NullKind),
    /// Any number of values; none of them is null where they are keys.
    List(ListKind, Vec<Scalar>),
    /// The keys of the rows of the level above, known only when that level has been read.
    ParentKeys(ListKind),
}

/// What a null stands in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NullKind {
    /// True or false.
    Bool,
    /// Whole numbers.
    Int,
    /// Floating point numbers.
    Float,
    /// Texts, UUIDs, dates and decimals among them.
    Text,
    /// Bytes.
    Bytes,
}

/// What a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListKind {
    /// True or false.
    Bool,
    /// Whole numbers.
    Int,
    /// Floating point numbers.
    Float,
    /// Texts (UUIDs, dates and decimals among them).
    Text,
    /// Bytes.
    Bytes,
}

/// The smallest question there is.
pub fn probe() -> Statement {
    Statement { text: "SELECT 1".into(), params: Vec::new(), columns: Arc::from([ColumnType::BigInteger]) }
}

/// Asks which tables have triggers, so that a row may be another one than was written.
pub fn select_triggered(dialect: Dialect) -> Statement {
    let text = match dialect {
        Dialect::Sqlite => "SELECT DISTINCT tbl_name FROM sqlite_master WHERE type='trigger'",
        Dialect::Postgres => {
            "SELECT DISTINCT CAST(c.relname AS text) FROM pg_trigger t JOIN pg_class c ON c.oid=t.tgrelid \
             WHERE NOT t.tgisinternal AND pg_table_is_visible(c.oid)"
        }
        Dialect::Mysql => {
            "SELECT DISTINCT event_object_table FROM information_schema.triggers WHERE event_object_schema=DATABASE()"
        }
    };
    Statement { text: text.into(), params: Vec::new(), columns: Arc::from([ColumnType::Text]) }
}

/// The statements of a plan.
#[derive(Debug, Clone)]
pub struct ReadStatements {
    /// One per node of a read plan, in the same order; a single one for figures. Where one key is asked for, it is the last
    /// parameter of the first.
    pub levels: Vec<Statement>,
    /// For `meta.total_count`.
    pub total_count: Option<Statement>,
    /// For `meta.filter_count`.
    pub filter_count: Option<Statement>,
    /// The database can answer the root level with bounded work: by key, or a short page along an index.
    pub is_bounded: bool,
}
