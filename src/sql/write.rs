//! `INSERT`, `UPDATE`, `DELETE` and the small `SELECT`s that go with them.
//!
//! Start at [`insert`]. A text depends on the collection and on which of its columns are named, never on values. Every
//! parameter is cast to the kind it is sent as and then to the type of its column, so that null needs no type of its own.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use super::dialect::sqlite::{milliseconds, moment_format};
use super::ident::{push_quoted, quote};
use super::{Dialect, ListKind, NullKind, Param, Statement};
use crate::filter::Scalar;
use crate::schema::{Collection, ColumnType, Field, FieldId};

/// Most rows that one `INSERT` with a list of `VALUES` carries.
const ROWS_PER_INSERT: usize = 100;
/// Most parameters of one statement on MariaDB, with room to spare.
const PARAMS_PER_STATEMENT: usize = 60_000;

/// Values of one row, as many as there are columns.
pub type WriteRow = Vec<Scalar>;

/// How rows of equal columns reach the database.
#[derive(Debug)]
pub enum Insert {
    /// One statement each, all rows at once.
    Statements(Vec<Statement>),
    /// One statement, run once per list of parameters.
    Each(Statement, Vec<Vec<Param>>),
}

/// Inserts rows that all name the same columns.
///
/// `INSERT INTO "t" ("a", "b") VALUES (?1, ?2)`; many rows are one prepared statement run again and again on SQLite,
/// one list per column on PostgreSQL, and lists of `VALUES` on MariaDB. With `counted`, a statement returns the keys that the
/// database counted, in the order of the rows (MariaDB: the caller asks for the first).
pub fn insert(
    dialect: Dialect,
    collection: &Collection,
    columns: &[FieldId],
    rows: Vec<WriteRow>,
    counted: Option<FieldId>,
) -> Insert {
    let rows = in_milliseconds(collection, columns, rows);
    match dialect {
        Dialect::Sqlite => {
            let statement = insert_values(dialect, collection, columns, 1, counted);
            let types = column_types(collection, columns);
            let rows = rows.into_iter().map(|row| row_params(dialect, &types, row)).collect();
            Insert::Each(statement, rows)
        }
        Dialect::Postgres if rows.len() > 1 => {
            Insert::Statements(vec![insert_lists(collection, columns, rows, counted)])
        }
        Dialect::Postgres | Dialect::Mysql => {
            let types = column_types(collection, columns);
            let most = (PARAMS_PER_STATEMENT / columns.len().max(1)).clamp(1, ROWS_PER_INSERT);
            let mut statements = Vec::with_capacity(rows.len().div_ceil(most));
            let mut rows = rows.into_iter().peekable();
            while rows.peek().is_some() {
                let chunk: Vec<WriteRow> = rows.by_ref().take(most).collect();
                let mut statement = insert_values(dialect, collection, columns, chunk.len(), counted);
                statement.params =
                    chunk.into_iter().flat_map(|row| row_params(dialect, &types, row)).collect();
                statements.push(statement);
            }
            Insert::Statements(statements)
        }
    }
}

fn insert_values(
    dialect: Dialect,
    collection: &Collection,
    columns: &[FieldId],
    rows: usize,
    counted: Option<FieldId>,
) -> Statement {
    let mut text = insert_head(dialect, collection, columns);
    if columns.is_empty() {
        match dialect {
            Dialect::Sqlite | Dialect::Postgres => text.push_str(" DEFAULT VALUES"),
            Dialect::Mysql => {
                text.push_str(" VALUES ");
                text.push_str(&vec!["()"; rows].join(","));
            }
        }
    } else {
        text.push_str(" VALUES ");
        let types = column_types(collection, columns);
        let mut number = 0;
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { ",(" });
            for (position, column_type) in types.iter().enumerate() {
                number += 1;
                if position > 0 {
                    text.push(',');
                }
                push_placeholder(&mut text, dialect, number, column_type);
            }
            text.push(')');
        }
    }
    let returned = push_returning(&mut text, dialect, collection, counted.as_slice());
    Statement { text: text.into(), params: Vec::new(), columns: returned }
}

fn insert_head(dialect: Dialect, collection: &Collection, columns: &[FieldId]) -> String {
    let mut text = String::with_capacity(64 + columns.len() * 24);
    text.push_str("INSERT INTO ");
    push_quoted(&mut text, dialect, &collection.name);
    if !columns.is_empty() || dialect == Dialect::Mysql {
        text.push_str(" (");
        for (position, column) in columns.iter().enumerate() {
            if position > 0 {
                text.push(',');
            }
            push_quoted(&mut text, dialect, &collection.field(*column).name);
        }
        text.push(')');
    }
    text
}

/// Many rows with one list per column, so that the text does not depend on how many.
fn insert_lists(
    collection: &Collection,
    columns: &[FieldId],
    rows: Vec<WriteRow>,
    counted: Option<FieldId>,
) -> Statement {
    let dialect = Dialect::Postgres;
    let types = column_types(collection, columns);
    let mut text = insert_head(dialect, collection, columns);
    let mut params = Vec::with_capacity(types.len().max(1));
    if types.is_empty() {
        text.push_str(" SELECT FROM generate_series(1,CAST($1 AS int8))");
        params.push(Param::Value(Scalar::Int(rows.len() as i64)));
    } else {
        let (mut lists, mut names) = (String::new(), String::new());
        text.push_str(" SELECT ");
        for (position, column_type) in types.iter().enumerate() {
            if position > 0 {
                text.push(',');
                lists.push(',');
            }
            let (sent, stored) = (sent_type(column_type), postgres_type(column_type));
            let _ = match sent == stored {
                true => write!(text, "r.c{position}"),
                false => write!(text, "CAST(r.c{position} AS {stored})"),
            };
            let _ = write!(lists, "CAST(${} AS {sent}[])", position + 1);
            let _ = write!(names, "c{position},");
        }
        let _ = write!(text, " FROM unnest({lists}) WITH ORDINALITY AS r({names}n) ORDER BY r.n");
        let mut values: Vec<Vec<Scalar>> = types.iter().map(|_| Vec::with_capacity(rows.len())).collect();
        for row in rows {
            for (list, value) in values.iter_mut().zip(row) {
                list.push(value);
            }
        }
        params.extend(
            types.iter().zip(values).map(|(column_type, list)| Param::List(sent_kind(column_type), list)),
        );
    }
    let returned = push_returning(&mut text, dialect, collection, counted.as_slice());
    Statement { text: text.into(), params, columns: returned }
}

/// Writes a text as JSON, quotes included.
pub fn push_json_text(out: &mut String, text: &str) {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut rest = text;
    while let Some(position) = first_escaped(rest.as_bytes()) {
        out.push_str(&rest[..position]);
        let _ = match rest.as_bytes()[position] {
            b'\n' => out.write_str("\\n"),
            b'\r' => out.write_str("\\r"),
            b'\t' => out.write_str("\\t"),
            0x08 => out.write_str("\\b"),
            0x0c => out.write_str("\\f"),
            byte @ (b'"' | b'\\') => write!(out, "\\{}", char::from(byte)),
            byte => write!(out, "\\u{byte:04x}"),
        };
        rest = &rest[position + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

/// Where the first byte stands that JSON wants escaped.
fn first_escaped(bytes: &[u8]) -> Option<usize> {
    const CHUNK: usize = 32;
    let is_escaped = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    // A whole chunk is looked at without a branch, which the compiler turns into few instructions.
    let is_plain = |chunk: &&[u8]| !chunk.iter().fold(false, |found, byte| found | is_escaped(byte));
    let start = CHUNK * bytes.chunks_exact(CHUNK).take_while(is_plain).count();
    bytes[start..].iter().position(is_escaped).map(|position| start + position)
}

/// Changes columns of the rows with these keys.
///
/// `UPDATE "t" SET "a" = $1 WHERE "id" = ANY($2) RETURNING ...`. On PostgreSQL and SQLite the rows as they are afterwards come
/// back with the columns of `returned`; MariaDB returns nothing, see [`select`].
pub fn update(
    dialect: Dialect,
    collection: &Collection,
    values: Vec<(FieldId, Scalar)>,
    key: FieldId,
    keys: &[Scalar],
    returned: &[FieldId],
) -> Statement {
    let mut text = format!("UPDATE {} SET ", quote(dialect, &collection.name));
    let mut params = Vec::with_capacity(values.len() + keys.len());
    for (position, (field, value)) in values.into_iter().enumerate() {
        let field = collection.field(field);
        let column_type = field.column.as_ref().map_or(&ColumnType::Text, |column| &column.column_type);
        let value = if keeps_milliseconds(field) { milliseconds(value) } else { value };
        if position > 0 {
            text.push(',');
        }
        push_quoted(&mut text, dialect, &field.name);
        text.push('=');
        push_placeholder(&mut text, dialect, params.len() + 1, column_type);
        params.push(stored(dialect, column_type, value));
    }
    text.push_str(" WHERE ");
    push_equals(&mut text, &mut params, dialect, collection, key, keys);
    let columns = push_returning(&mut text, dialect, collection, returned);
    Statement { text: text.into(), params, columns }
}

/// Conditions on rows: all of them must hold.
#[derive(Debug, Clone)]
pub struct Match<'a> {
    /// The column.
    pub field: FieldId,
    /// It has one of these values.
    pub values: &'a [Scalar],
}

/// Removes the rows that match. On PostgreSQL and SQLite the columns of `returned` come back.
pub fn delete(
    dialect: Dialect,
    collection: &Collection,
    matches: &[Match<'_>],
    returned: &[FieldId],
) -> Statement {
    let mut text = format!("DELETE FROM {}", quote(dialect, &collection.name));
    let mut params = Vec::new();
    push_where(&mut text, &mut params, dialect, collection, matches);
    let columns = push_returning(&mut text, dialect, collection, returned);
    Statement { text: text.into(), params, columns }
}

/// Reads columns of the rows that match.
pub fn lookup(
    dialect: Dialect,
    collection: &Collection,
    columns: &[FieldId],
    matches: &[Match<'_>],
) -> Statement {
    let (mut text, returned) = select_from(dialect, collection, columns);
    let mut params = Vec::new();
    push_where(&mut text, &mut params, dialect, collection, matches);
    Statement { text: text.into(), params, columns: returned }
}

/// Reads columns of the rows in which a text column has this value, in upper or lower case.
///
/// Databases differ in what they take for the same letter beyond ASCII, so the caller compares again.
pub fn lookup_ignoring_case(
    dialect: Dialect,
    collection: &Collection,
    columns: &[FieldId],
    field: FieldId,
    value: &str,
) -> Statement {
    let (mut text, returned) = select_from(dialect, collection, columns);
    let _ = write!(text, " WHERE lower({})=lower(", quote(dialect, &collection.field(field).name));
    push_placeholder(&mut text, dialect, 1, &ColumnType::Text);
    text.push(')');
    let params = vec![Param::Value(Scalar::Text(value.into()))];
    Statement { text: text.into(), params, columns: returned }
}

/// Reads columns of the rows that match, and keeps others from changing them until the end of the transaction.
pub fn select(
    dialect: Dialect,
    collection: &Collection,
    columns: &[FieldId],
    matches: &[Match<'_>],
) -> Statement {
    let (mut text, returned) = select_from(dialect, collection, columns);
    let mut params = Vec::new();
    push_where(&mut text, &mut params, dialect, collection, matches);
    match dialect {
        // The one writer has the database to itself.
        Dialect::Sqlite => {}
        Dialect::Postgres | Dialect::Mysql => text.push_str(" FOR UPDATE"),
    }
    Statement { text: text.into(), params, columns: returned }
}

fn select_from(
    dialect: Dialect,
    collection: &Collection,
    columns: &[FieldId],
) -> (String, Arc<[ColumnType]>) {
    let mut text = String::from("SELECT ");
    let returned = push_columns(&mut text, dialect, collection, columns);
    let _ = write!(text, " FROM {}", quote(dialect, &collection.name));
    (text, returned)
}

/// Reads the key of the only row of a singleton.
pub fn select_first_key(dialect: Dialect, collection: &Collection, key: FieldId) -> Statement {
    let mut text = String::from("SELECT ");
    let columns = push_columns(&mut text, dialect, collection, &[key]);
    let _ = write!(
        text,
        " FROM {} ORDER BY {} LIMIT 1",
        quote(dialect, &collection.name),
        quote(dialect, &collection.field(key).name)
    );
    Statement { text: text.into(), params: Vec::new(), columns }
}

/// Reads every key with its position, in order, those without a position last.
pub fn select_in_order(dialect: Dialect, collection: &Collection, sort: FieldId, key: FieldId) -> Statement {
    let mut text = String::from("SELECT ");
    let columns = push_columns(&mut text, dialect, collection, &[key, sort]);
    let sort = quote(dialect, &collection.field(sort).name);
    let _ = write!(
        text,
        " FROM {} ORDER BY {sort} IS NULL,{sort},{}",
        quote(dialect, &collection.name),
        quote(dialect, &collection.field(key).name)
    );
    match dialect {
        Dialect::Sqlite => {}
        Dialect::Postgres | Dialect::Mysql => text.push_str(" FOR UPDATE"),
    }
    Statement { text: text.into(), params: Vec::new(), columns }
}

/// Reads the largest value of a column among the rows that match.
pub fn select_largest(
    dialect: Dialect,
    collection: &Collection,
    of: FieldId,
    matches: &[Match<'_>],
) -> Statement {
    let mut text = format!(
        "SELECT MAX({}) FROM {}",
        quote(dialect, &collection.field(of).name),
        quote(dialect, &collection.name)
    );
    let mut params = Vec::new();
    push_where(&mut text, &mut params, dialect, collection, matches);
    Statement { text: text.into(), params, columns: Arc::from([ColumnType::BigInteger]) }
}

/// Lets PostgreSQL go on counting behind the largest key, after keys were given by hand.
pub fn advance_counter(collection: &Collection, key: FieldId) -> Statement {
    let table = quote(Dialect::Postgres, &collection.name);
    let column = &collection.field(key).name;
    let text = format!(
        "SELECT setval(s.name,GREATEST((SELECT COALESCE(MAX({}),1) FROM {table}),nextval(s.name)-1)) FROM \
         (SELECT pg_get_serial_sequence($1,$2) AS name) AS s WHERE s.name IS NOT NULL",
        quote(Dialect::Postgres, column)
    );
    let params = vec![Param::Value(Scalar::Text(table.into())), Param::Value(Scalar::Text(column.clone()))];
    Statement { text: text.into(), params, columns: Arc::from([ColumnType::BigInteger]) }
}

fn push_where(
    text: &mut String,
    params: &mut Vec<Param>,
    dialect: Dialect,
    collection: &Collection,
    matches: &[Match<'_>],
) {
    for (position, condition) in matches.iter().enumerate() {
        text.push_str(if position == 0 { " WHERE " } else { " AND " });
        push_equals(text, params, dialect, collection, condition.field, condition.values);
    }
}

/// `"id"=$1`, or membership in a list whose length does not show in the text (MariaDB: rounded up to a power of two).
fn push_equals(
    text: &mut String,
    params: &mut Vec<Param>,
    dialect: Dialect,
    collection: &Collection,
    field: FieldId,
    values: &[Scalar],
) {
    let field = collection.field(field);
    let column_type = field.column.as_ref().map_or(&ColumnType::Text, |column| &column.column_type);
    push_quoted(text, dialect, &field.name);
    if let [only] = values {
        text.push('=');
        push_placeholder(text, dialect, params.len() + 1, column_type);
        params.push(stored(dialect, column_type, only.clone()));
        return;
    }
    let number = params.len() + 1;
    match dialect {
        Dialect::Sqlite => {
            let _ = write!(text, " IN (SELECT value FROM rarray(?{number}))");
            params.push(list(dialect, column_type, values));
        }
        Dialect::Postgres => {
            let _ = write!(text, "=ANY(CAST(${number} AS {}[]))", postgres_type(column_type));
            params.push(list(dialect, column_type, values));
        }
        Dialect::Mysql => {
            let count = values.len().next_power_of_two();
            text.push_str(" IN (");
            for position in 0..count {
                if position > 0 {
                    text.push(',');
                }
                push_placeholder(text, dialect, params.len() + 1, column_type);
                let value = values.get(position).or(values.last()).cloned().unwrap_or(Scalar::Null);
                params.push(stored(dialect, column_type, value));
            }
            text.push(')');
        }
    }
}

fn list(dialect: Dialect, column_type: &ColumnType, values: &[Scalar]) -> Param {
    let values: Vec<Scalar> = values
        .iter()
        .filter(|value| **value != Scalar::Null)
        .map(|value| stored_scalar(dialect, column_type, value.clone()))
        .collect();
    let kind = match values.first() {
        Some(Scalar::Int(_)) => ListKind::Int,
        Some(Scalar::Float(_)) => ListKind::Float,
        Some(_) => ListKind::Text,
        None if matches!(column_type, ColumnType::Integer | ColumnType::BigInteger) => ListKind::Int,
        None => ListKind::Text,
    };
    Param::List(kind, values)
}

/// `RETURNING` these columns, where the database can; gives their types.
fn push_returning(
    text: &mut String,
    dialect: Dialect,
    collection: &Collection,
    returned: &[FieldId],
) -> Arc<[ColumnType]> {
    if returned.is_empty() || dialect == Dialect::Mysql {
        return Arc::from([]);
    }
    text.push_str(" RETURNING ");
    push_columns(text, dialect, collection, returned)
}

fn push_columns(
    text: &mut String,
    dialect: Dialect,
    collection: &Collection,
    columns: &[FieldId],
) -> Arc<[ColumnType]> {
    let types = column_types(collection, columns);
    for (position, (column, column_type)) in columns.iter().zip(&types).enumerate() {
        if position > 0 {
            text.push(',');
        }
        let field = collection.field(*column);
        let name = quote(dialect, &field.name);
        match (dialect, column_type) {
            _ if keeps_milliseconds(field) => {
                let format = moment_format(column_type);
                let _ = write!(
                    text,
                    "CASE typeof({name}) WHEN 'text' THEN strftime('{format}',{name}) ELSE \
                     strftime('{format}',{name}/1000.0,'unixepoch') END"
                );
            }
            (Dialect::Postgres, ColumnType::Unknown { .. }) => {
                let _ = write!(text, "CAST({name} AS text)");
            }
            (Dialect::Mysql, ColumnType::Unknown { .. }) => {
                let _ = write!(text, "CAST({name} AS char)");
            }
            _ => text.push_str(&name),
        }
    }
    types.into()
}

fn keeps_milliseconds(field: &Field) -> bool {
    field.column.as_ref().is_some_and(|column| column.keeps_milliseconds)
}

/// Dates as whoever made the table keeps them.
fn in_milliseconds(collection: &Collection, columns: &[FieldId], mut rows: Vec<WriteRow>) -> Vec<WriteRow> {
    for (position, column) in columns.iter().enumerate() {
        if keeps_milliseconds(collection.field(*column)) {
            for value in rows.iter_mut().filter_map(|row| row.get_mut(position)) {
                *value = milliseconds(std::mem::replace(value, Scalar::Null));
            }
        }
    }
    rows
}

fn column_types(collection: &Collection, columns: &[FieldId]) -> Vec<ColumnType> {
    columns
        .iter()
        .map(|column| match &collection.field(*column).column {
            Some(column) => column.column_type.clone(),
            None => ColumnType::Text,
        })
        .collect()
}

fn row_params(dialect: Dialect, types: &[ColumnType], row: WriteRow) -> Vec<Param> {
    row.into_iter().zip(types).map(|(value, column_type)| stored(dialect, column_type, value)).collect()
}

/// A canonical value as a parameter of this database.
pub fn stored(dialect: Dialect, column_type: &ColumnType, value: Scalar) -> Param {
    match stored_scalar(dialect, column_type, value) {
        Scalar::Null => Param::Null(null_kind(column_type)),
        value => Param::Value(value),
    }
}

/// As what the values of a column are sent.
fn null_kind(column_type: &ColumnType) -> NullKind {
    match sent_kind(column_type) {
        ListKind::Bool => NullKind::Bool,
        ListKind::Int => NullKind::Int,
        ListKind::Float => NullKind::Float,
        ListKind::Text => NullKind::Text,
        ListKind::Bytes => NullKind::Bytes,
    }
}

fn stored_scalar(dialect: Dialect, column_type: &ColumnType, value: Scalar) -> Scalar {
    match (dialect, column_type, value) {
        // SQLite has no exact numbers but whole ones: cents, as it were.
        (Dialect::Sqlite, ColumnType::Decimal { scale, .. }, Scalar::Text(text)) => {
            scaled(&text, usize::from(*scale)).map_or(Scalar::Text(text), Scalar::Int)
        }
        (Dialect::Mysql, ColumnType::Timestamp | ColumnType::DateTime, Scalar::Text(text)) => {
            Scalar::Text(text.trim_end_matches('Z').replace('T', " ").into())
        }
        (_, _, value) => value,
    }
}

/// `-1.50` with scale 2 is -150; `None` when it has other digits or too many.
fn scaled(text: &str, scale: usize) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    (fraction.len() == scale).then(|| format!("{whole}{fraction}").parse().ok()).flatten()
}

fn push_placeholder(text: &mut String, dialect: Dialect, number: usize, column_type: &ColumnType) {
    let _ = match dialect {
        Dialect::Sqlite => write!(text, "?{number}"),
        Dialect::Mysql => write!(text, "?"),
        Dialect::Postgres => {
            let (sent, stored) = (sent_type(column_type), postgres_type(column_type));
            if sent == stored {
                write!(text, "CAST(${number} AS {sent})")
            } else {
                write!(text, "CAST(CAST(${number} AS {sent}) AS {stored})")
            }
        }
    };
}

/// What PostgreSQL is sent the values of a column as.
fn sent_type(column_type: &ColumnType) -> &'static str {
    match sent_kind(column_type) {
        ListKind::Bool => "bool",
        ListKind::Int => "int8",
        ListKind::Float => "float8",
        ListKind::Text => "text",
        ListKind::Bytes => "bytea",
    }
}

fn sent_kind(column_type: &ColumnType) -> ListKind {
    match column_type {
        ColumnType::Boolean => ListKind::Bool,
        ColumnType::Integer | ColumnType::BigInteger => ListKind::Int,
        ColumnType::Float => ListKind::Float,
        ColumnType::Binary => ListKind::Bytes,
        _ => ListKind::Text,
    }
}

/// The type that a text is cast to before it reaches a column.
fn postgres_type(column_type: &ColumnType) -> Cow<'static, str> {
    Cow::Borrowed(match column_type {
        ColumnType::Decimal { precision, scale } => return format!("numeric({precision},{scale})").into(),
        ColumnType::String { .. }
        | ColumnType::Text
        | ColumnType::Csv
        | ColumnType::Hash
        | ColumnType::Unknown { .. } => "text",
        ColumnType::Integer | ColumnType::BigInteger => "int8",
        ColumnType::Float => "float8",
        ColumnType::Boolean => "bool",
        ColumnType::Date => "date",
        ColumnType::Time => "time",
        ColumnType::DateTime => "timestamp",
        ColumnType::Timestamp => "timestamptz",
        ColumnType::Json => "json",
        ColumnType::Uuid => "uuid",
        ColumnType::Binary => "bytea",
    })
}

#[cfg(test)]
mod tests;
