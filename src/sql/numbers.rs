//! The counters of business numbers: rows of `tablature_numbers`, one per series.
//!
//! A row that counts stays locked to the end of the transaction, so that whoever comes next counts on from what was committed.

use std::sync::Arc;

use super::ident::quote;
use super::{Dialect, Param, Statement};
use crate::filter::Scalar;
use crate::schema::ColumnType;

const TABLE: &str = "tablature_numbers";

/// A series, by the text that names it and what people see of it.
#[derive(Debug, Clone)]
pub struct Series<'a> {
    /// Key of the row.
    pub id: &'a str,
    /// Name of the collection.
    pub collection: &'a str,
    /// Name of the field.
    pub field: &'a str,
    /// What has this series, as JSON.
    pub scope: &'a str,
}

/// Counts on by this many and, on PostgreSQL and SQLite, returns the last number; MariaDB is asked with [`last`].
pub fn advance(dialect: Dialect, series: &Series<'_>, by: i64) -> Statement {
    let sum = match dialect {
        Dialect::Sqlite | Dialect::Postgres => "\"tablature_numbers\".\"last\"+excluded.\"last\"",
        Dialect::Mysql => "`last`+VALUES(`last`)",
    };
    let mut statement = count(dialect, series, by, sum);
    if dialect != Dialect::Mysql {
        statement.text = format!("{} RETURNING \"last\"", statement.text).into();
        statement.columns = Arc::from([ColumnType::BigInteger]);
    }
    statement
}

/// Makes sure that a series goes on behind this number.
pub fn reach(dialect: Dialect, series: &Series<'_>, number: i64) -> Statement {
    let larger = match dialect {
        Dialect::Sqlite => "max(\"tablature_numbers\".\"last\",excluded.\"last\")",
        Dialect::Postgres => "greatest(\"tablature_numbers\".\"last\",excluded.\"last\")",
        Dialect::Mysql => "greatest(`last`,VALUES(`last`))",
    };
    count(dialect, series, number, larger)
}

fn count(dialect: Dialect, series: &Series<'_>, number: i64, otherwise: &str) -> Statement {
    let names: Vec<String> =
        ["id", "collection", "field", "scope", "last"].map(|name| quote(dialect, name)).to_vec();
    let marks = match dialect {
        Dialect::Sqlite => "?1,?2,?3,?4,?5",
        Dialect::Postgres => {
            "CAST($1 AS text),CAST($2 AS text),CAST($3 AS text),CAST($4 AS text),CAST($5 AS int8)"
        }
        Dialect::Mysql => "?,?,?,?,?",
    };
    let head = format!("INSERT INTO {} ({}) VALUES ({marks})", quote(dialect, TABLE), names.join(","));
    let text = match dialect {
        Dialect::Sqlite | Dialect::Postgres => {
            format!("{head} ON CONFLICT (\"id\") DO UPDATE SET \"last\"={otherwise}")
        }
        Dialect::Mysql => format!("{head} ON DUPLICATE KEY UPDATE `last`={otherwise}"),
    };
    let texts = [series.id, series.collection, series.field, series.scope];
    let mut params: Vec<Param> =
        texts.iter().map(|text| Param::Value(Scalar::Text((*text).into()))).collect();
    params.push(Param::Value(Scalar::Int(number)));
    Statement { text: text.into(), params, columns: Arc::from([]) }
}

/// Reads how far a series has come.
pub fn last(dialect: Dialect, id: &str) -> Statement {
    let mark = match dialect {
        Dialect::Sqlite => "?1",
        Dialect::Postgres => "CAST($1 AS text)",
        Dialect::Mysql => "?",
    };
    let lock = if dialect == Dialect::Sqlite { "" } else { " FOR UPDATE" };
    let text = format!(
        "SELECT {} FROM {} WHERE {}={mark}{lock}",
        quote(dialect, "last"),
        quote(dialect, TABLE),
        quote(dialect, "id"),
    );
    Statement {
        text: text.into(),
        params: vec![Param::Value(Scalar::Text(id.into()))],
        columns: Arc::from([ColumnType::BigInteger]),
    }
}
