//! `INSERT`, `UPDATE`, `DELETE` and the small `SELECT`s that go with them.
//!
//! Start at [`insert`]. A text depends on the collection and on which of its columns are named, never on values. Every
//! parameter is cast to the kind it is sent as and then to the type of its column, so that null needs no type of its own.

mod texts;
pub(super) mod values;

use std::fmt::Write as _;
use std::sync::Arc;

use super::dialect::sqlite::{milliseconds, moment_format};
use super::ident::{push_quoted, quote};
use super::{Dialect, Param, Statement};
use crate::filter::Scalar;
use crate::schema::{Collection, ColumnType, FieldId};

pub use texts::{Kind, Texts};
pub use values::stored;
use values::{
    column_type, column_types, in_milliseconds, keeps_milliseconds, list, postgres_type, push_placeholder,
    row_params, sent_kind, sent_type,
};

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
    texts: &Texts,
) -> Insert {
    let rows = in_milliseconds(collection, columns, rows);
    let types = column_types(collection, columns);
    let one = || {
        let make = || insert_values(dialect, collection, columns, 1, counted);
        texts.get(Kind::Insert { counted: counted.is_some() }, columns, make)
    };
    match dialect {
        Dialect::Sqlite => {
            let rows = rows.into_iter().map(|row| row_params(dialect, &types, row)).collect();
            Insert::Each(one(), rows)
        }
        Dialect::Postgres if rows.len() > 1 => {
            let make = || insert_lists(collection, columns, counted);
            let mut statement = texts.get(Kind::InsertLists { counted: counted.is_some() }, columns, make);
            statement.params = match types.is_empty() {
                true => vec![Param::Value(Scalar::Int(rows.len() as i64))],
                false => lists(&types, rows),
            };
            Insert::Statements(vec![statement])
        }
        Dialect::Postgres | Dialect::Mysql => {
            let most = (PARAMS_PER_STATEMENT / columns.len().max(1)).clamp(1, ROWS_PER_INSERT);
            let mut statements = Vec::with_capacity(rows.len().div_ceil(most));
            let mut rows = rows.into_iter().peekable();
            while rows.peek().is_some() {
                let chunk: Vec<WriteRow> = rows.by_ref().take(most).collect();
                let mut statement = match chunk.len() {
                    1 => one(),
                    count => insert_values(dialect, collection, columns, count, counted),
                };
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

pub(super) fn insert_head(dialect: Dialect, collection: &Collection, columns: &[FieldId]) -> String {
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
fn insert_lists(collection: &Collection, columns: &[FieldId], counted: Option<FieldId>) -> Statement {
    let dialect = Dialect::Postgres;
    let types = column_types(collection, columns);
    let mut text = insert_head(dialect, collection, columns);
    if types.is_empty() {
        text.push_str(" SELECT FROM generate_series(1,CAST($1 AS int8))");
    } else {
        let (mut lists, mut names) = (String::new(), String::new());
        text.push_str(" SELECT ");
        push_list_columns(&mut text, &types);
        for (position, column_type) in types.iter().enumerate() {
            if position > 0 {
                lists.push(',');
            }
            let _ = write!(lists, "CAST(${} AS {}[])", position + 1, sent_type(column_type));
            let _ = write!(names, "c{position},");
        }
        let _ = write!(text, " FROM unnest({lists}) WITH ORDINALITY AS r({names}n) ORDER BY r.n");
    }
    let returned = push_returning(&mut text, dialect, collection, counted.as_slice());
    Statement { text: text.into(), params: Vec::new(), columns: returned }
}

/// The columns `c0`, `c1` and so on of `r`, as they were sent, as their columns take them.
pub(super) fn push_list_columns(text: &mut String, types: &[ColumnType]) {
    for (position, column_type) in types.iter().enumerate() {
        if position > 0 {
            text.push(',');
        }
        let (sent, stored) = (sent_type(column_type), postgres_type(column_type));
        let _ = match sent == stored {
            true => write!(text, "r.c{position}"),
            false => write!(text, "CAST(r.c{position} AS {stored})"),
        };
    }
}

/// Rows as one list per column.
pub(super) fn lists(types: &[ColumnType], rows: Vec<WriteRow>) -> Vec<Param> {
    let mut values: Vec<Vec<Scalar>> = types.iter().map(|_| Vec::with_capacity(rows.len())).collect();
    for row in rows {
        for (list, value) in values.iter_mut().zip(row) {
            list.push(value);
        }
    }
    types.iter().zip(values).map(|(column_type, list)| Param::List(sent_kind(column_type), list)).collect()
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
    let columns: Vec<FieldId> = values.iter().map(|(field, _)| *field).collect();
    let mut statement = update_text(dialect, collection, &columns, key, keys, returned);
    statement.params = update_params(dialect, collection, values, key, keys);
    statement
}

/// The same of one row, with a text that may be known.
pub fn update_one(
    dialect: Dialect,
    collection: &Collection,
    values: Vec<(FieldId, Scalar)>,
    (key, value): (FieldId, &Scalar),
    returned: &[FieldId],
    texts: &Texts,
) -> Statement {
    let columns: Vec<FieldId> = values.iter().map(|(field, _)| *field).collect();
    let keys = std::slice::from_ref(value);
    let make = || update_text(dialect, collection, &columns, key, keys, returned);
    let mut statement = texts.get(Kind::Update, &columns, make);
    statement.params = update_params(dialect, collection, values, key, keys);
    statement
}

fn update_text(
    dialect: Dialect,
    collection: &Collection,
    columns: &[FieldId],
    key: FieldId,
    keys: &[Scalar],
    returned: &[FieldId],
) -> Statement {
    let mut text = String::with_capacity(256);
    push_update(&mut text, dialect, collection, columns, 0);
    text.push_str(" WHERE ");
    push_equals(&mut text, dialect, collection, key, keys, columns.len());
    let columns = push_returning(&mut text, dialect, collection, returned);
    Statement { text: text.into(), params: Vec::new(), columns }
}

/// `UPDATE "t" SET "a" = $1`, with so many parameters in front.
pub(super) fn push_update(
    text: &mut String,
    dialect: Dialect,
    collection: &Collection,
    columns: &[FieldId],
    before: usize,
) {
    text.push_str("UPDATE ");
    push_quoted(text, dialect, &collection.name);
    text.push_str(" SET ");
    for (position, column) in columns.iter().enumerate() {
        if position > 0 {
            text.push(',');
        }
        let field = collection.field(*column);
        push_quoted(text, dialect, &field.name);
        text.push('=');
        push_placeholder(text, dialect, before + position + 1, column_type(field));
    }
}

/// New values of columns, then the keys.
pub(super) fn update_params(
    dialect: Dialect,
    collection: &Collection,
    values: Vec<(FieldId, Scalar)>,
    key: FieldId,
    keys: &[Scalar],
) -> Vec<Param> {
    let mut params = Vec::with_capacity(values.len() + 1);
    for (field, value) in values {
        let field = collection.field(field);
        let value = if keeps_milliseconds(field) { milliseconds(value) } else { value };
        params.push(stored(dialect, column_type(field), value));
    }
    add_equal(&mut params, dialect, collection, key, keys);
    params
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
        push_equals(text, dialect, collection, condition.field, condition.values, params.len());
        add_equal(params, dialect, collection, condition.field, condition.values);
    }
}

/// `"id"=$1`, or membership in a list whose length does not show in the text (MariaDB: rounded up to a power of two), with so
/// many parameters in front. Takes what [`add_equal`] adds.
pub(super) fn push_equals(
    text: &mut String,
    dialect: Dialect,
    collection: &Collection,
    field: FieldId,
    values: &[Scalar],
    before: usize,
) {
    let field = collection.field(field);
    let column_type = column_type(field);
    push_quoted(text, dialect, &field.name);
    let number = before + 1;
    if values.len() == 1 {
        text.push('=');
        push_placeholder(text, dialect, number, column_type);
        return;
    }
    match dialect {
        Dialect::Sqlite => {
            let _ = write!(text, " IN (SELECT value FROM rarray(?{number}))");
        }
        Dialect::Postgres => {
            let _ = write!(text, "=ANY(CAST(${number} AS {}[]))", postgres_type(column_type));
        }
        Dialect::Mysql => {
            text.push_str(" IN (");
            for position in 0..values.len().next_power_of_two() {
                if position > 0 {
                    text.push(',');
                }
                push_placeholder(text, dialect, number + position, column_type);
            }
            text.push(')');
        }
    }
}

/// The parameters of [`push_equals`].
fn add_equal(
    params: &mut Vec<Param>,
    dialect: Dialect,
    collection: &Collection,
    field: FieldId,
    values: &[Scalar],
) {
    let column_type = column_type(collection.field(field));
    match (dialect, values) {
        (_, [only]) => params.push(stored(dialect, column_type, only.clone())),
        (Dialect::Sqlite | Dialect::Postgres, _) => params.push(list(dialect, column_type, values)),
        (Dialect::Mysql, _) => {
            let padding = std::iter::repeat(values.last().unwrap_or(&Scalar::Null));
            let padded = values.iter().chain(padding).take(values.len().next_power_of_two());
            params.extend(padded.map(|value| stored(dialect, column_type, value.clone())));
        }
    }
}

/// `RETURNING` these columns, where the database can; gives their types.
pub(super) fn push_returning(
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

#[cfg(test)]
mod tests;
