//! Running statements: parameters in, rows out.

use std::rc::Rc;
use std::time::Instant;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{CachedStatement, Connection};
use tokio::sync::mpsc;

use super::error::translate;
use crate::db::cell::{Cell, RowView};
use crate::db::json::aggregate::AggregateWriter;
use crate::db::json::document::{self, Counts, ROWS_PER_PIECE};
use crate::db::json::level::{KeySet, Level, LevelWriter};
use crate::db::meter::Meter;
use crate::db::{JsonBytes, Row};
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::query::{Plan, ReadPlan};
use crate::schema::ColumnType;
use crate::sql::{Param, ReadStatements, Statement};

impl RowView for rusqlite::Row<'_> {
    fn cell(&self, column: usize, _: &ColumnType) -> Result<Cell<'_>> {
        Ok(match self.get_ref(column).map_err(translate)? {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(value) => Cell::Int(value),
            ValueRef::Real(value) => Cell::Float(value),
            ValueRef::Text(text) => Cell::Text(simdutf8::basic::from_utf8(text).map_err(Error::internal)?),
            ValueRef::Blob(bytes) => Cell::Bytes(bytes),
        })
    }
}

/// Lists that are bound to a statement. They must live until it is dropped, with its bindings: a list that nobody else holds is
/// freed by rusqlite without the values in it.
type Lists = Vec<Rc<Vec<Value>>>;

fn bind(
    prepared: &mut CachedStatement<'_>,
    params: &[Param],
    parent_keys: &[Scalar],
    lists: &mut Lists,
) -> Result<()> {
    for (position, param) in params.iter().enumerate() {
        let place = position + 1;
        match param {
            Param::Value(scalar) => bind_scalar(prepared, place, scalar),
            Param::Null(_) => prepared.raw_bind_parameter(place, rusqlite::types::Null),
            Param::List(_, values) => bind_list(prepared, place, values, lists),
            Param::ParentKeys(_) => bind_list(prepared, place, parent_keys, lists),
        }
        .map_err(translate)?;
    }
    Ok(())
}

fn bind_scalar(prepared: &mut CachedStatement<'_>, place: usize, scalar: &Scalar) -> rusqlite::Result<()> {
    match scalar {
        Scalar::Null => prepared.raw_bind_parameter(place, rusqlite::types::Null),
        Scalar::Bool(value) => prepared.raw_bind_parameter(place, value),
        Scalar::Int(value) => prepared.raw_bind_parameter(place, value),
        Scalar::Float(value) => prepared.raw_bind_parameter(place, value),
        Scalar::Text(text) => prepared.raw_bind_parameter(place, &**text),
        Scalar::Bytes(bytes) => prepared.raw_bind_parameter(place, &**bytes),
    }
}

fn bind_list(
    prepared: &mut CachedStatement<'_>,
    place: usize,
    values: &[Scalar],
    lists: &mut Lists,
) -> rusqlite::Result<()> {
    let values = values.iter().map(|scalar| match scalar {
        Scalar::Null => Value::Null,
        Scalar::Bool(value) => Value::Integer(i64::from(*value)),
        Scalar::Int(value) => Value::Integer(*value),
        Scalar::Float(value) => Value::Real(*value),
        Scalar::Text(text) => Value::Text(text.to_string()),
        Scalar::Bytes(bytes) => Value::Blob(bytes.to_vec()),
    });
    let list = Rc::new(values.collect());
    prepared.raw_bind_parameter(place, &list)?;
    lists.push(list);
    Ok(())
}

/// Runs a statement and hands its rows to `take`.
fn each(
    connection: &Connection,
    statement: &Statement,
    parent_keys: &[Scalar],
    mut take: impl FnMut(&rusqlite::Row<'_>) -> Result<()>,
) -> Result<()> {
    let mut lists = Lists::new();
    let mut prepared = connection.prepare_cached(&statement.text).map_err(translate)?;
    bind(&mut prepared, &statement.params, parent_keys, &mut lists)?;
    let mut rows = prepared.raw_query();
    while let Some(row) = rows.next().map_err(translate)? {
        take(row)?;
    }
    Ok(())
}

pub(super) fn rows(connection: &Connection, statement: &Statement) -> Result<Vec<Row>> {
    let mut found = Vec::new();
    each(connection, statement, &[], |row| {
        found.push(Row::read(row, &statement.columns)?);
        Ok(())
    })?;
    Ok(found)
}

pub(super) fn execute(connection: &Connection, statement: &Statement) -> Result<u64> {
    let mut lists = Lists::new();
    let mut prepared = connection.prepare_cached(&statement.text).map_err(translate)?;
    bind(&mut prepared, &statement.params, &[], &mut lists)?;
    run(&mut prepared, connection)
}

pub(super) fn execute_each(
    connection: &Connection,
    statement: &Statement,
    rows: &[Vec<Param>],
) -> Result<u64> {
    let mut lists = Lists::new();
    let mut prepared = connection.prepare_cached(&statement.text).map_err(translate)?;
    let mut touched = 0;
    for params in rows {
        bind(&mut prepared, params, &[], &mut lists)?;
        touched += run(&mut prepared, connection)?;
    }
    Ok(touched)
}

/// Steps to the end; rows that a `PRAGMA` or `RETURNING` gives are passed over.
fn run(prepared: &mut CachedStatement<'_>, connection: &Connection) -> Result<u64> {
    let before = connection.total_changes();
    let mut rows = prepared.raw_query();
    while rows.next().map_err(translate)?.is_some() {}
    drop(rows);
    Ok(connection.total_changes().saturating_sub(before))
}

fn count(connection: &Connection, statement: Option<&Statement>) -> Result<Option<i64>> {
    let Some(statement) = statement else { return Ok(None) };
    let mut count = None;
    each(connection, statement, &[], |row| {
        if let Cell::Int(value) = row.cell(0, &ColumnType::BigInteger)? {
            count = Some(value);
        }
        Ok(())
    })?;
    Ok(count)
}

/// Reads in one snapshot: several statements see the same rows.
pub(super) fn read_json(
    connection: &mut Connection,
    plan: &Plan,
    statements: &ReadStatements,
    meter: &Meter,
) -> Result<JsonBytes> {
    let is_single =
        statements.levels.len() == 1 && statements.total_count.is_none() && statements.filter_count.is_none();
    if is_single {
        return read_json_inside(connection, plan, statements, meter);
    }
    let snapshot = Snapshot::begin(connection)?;
    let result = read_json_inside(snapshot.0, plan, statements, meter);
    drop(snapshot);
    result
}

/// An open read transaction; its end loses nothing, whichever way it comes.
struct Snapshot<'c>(&'c Connection);

impl<'c> Snapshot<'c> {
    fn begin(connection: &'c Connection) -> Result<Self> {
        connection.prepare_cached("BEGIN").and_then(|mut begin| begin.execute([])).map_err(translate)?;
        Ok(Snapshot(connection))
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        let _ = self.0.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
    }
}

/// Reads inside whatever transaction there is.
pub(super) fn read_json_inside(
    connection: &Connection,
    plan: &Plan,
    statements: &ReadStatements,
    meter: &Meter,
) -> Result<JsonBytes> {
    let start = Instant::now();
    let mut run = 0;
    let result = read_levels(connection, plan, statements, &mut run);
    meter.record(run, start);
    result
}

fn read_levels(
    connection: &Connection,
    plan: &Plan,
    statements: &ReadStatements,
    run: &mut u64,
) -> Result<JsonBytes> {
    let counts = |run: &mut u64| -> Result<Counts> {
        *run += u64::from(statements.total_count.is_some()) + u64::from(statements.filter_count.is_some());
        Ok(Counts {
            total: count(connection, statements.total_count.as_ref())?,
            filtered: count(connection, statements.filter_count.as_ref())?,
        })
    };
    match plan {
        Plan::Items(plan) => {
            let levels = read_items(connection, plan, statements, run)?;
            document::assemble(plan, levels, counts(run)?)
        }
        Plan::Aggregate(plan) => {
            let mut writer = AggregateWriter::new(plan);
            for statement in &statements.levels {
                each(connection, statement, &[], |row| writer.push(row))?;
                *run += 1;
            }
            Ok(writer.finish(counts(run)?))
        }
    }
}

fn read_items(
    connection: &Connection,
    plan: &ReadPlan,
    statements: &ReadStatements,
    run: &mut u64,
) -> Result<Vec<Level>> {
    let mut key_sets: Vec<KeySet> = plan.nodes.iter().map(|_| KeySet::default()).collect();
    let mut levels = Vec::with_capacity(plan.nodes.len());
    for (position, statement) in statements.levels.iter().enumerate() {
        if position > 0 && key_sets[position].is_empty() {
            levels.push(Level::default());
            continue;
        }
        let mut writer = LevelWriter::new(plan, position, &mut key_sets);
        let parent_keys = writer.parent_keys();
        each(connection, statement, &parent_keys, |row| writer.push(row))?;
        levels.push(writer.finish());
        *run += 1;
    }
    Ok(levels)
}

/// Reads in one snapshot and hands on rows a few at a time; see `Database::read_pieces`. Blocks while nobody takes them.
pub(super) fn read_pieces(
    connection: &mut Connection,
    plan: &Plan,
    statements: &ReadStatements,
    meter: &Meter,
    pieces: &mpsc::Sender<JsonBytes>,
) -> Result<()> {
    let snapshot = Snapshot::begin(connection)?;
    let connection = snapshot.0;
    let plan = match plan {
        Plan::Items(plan) => plan,
        Plan::Aggregate(_) => {
            let members = read_json_inside(connection, plan, statements, meter)?;
            let _ = pieces.blocking_send(document::list_of(members));
            return Ok(());
        }
    };
    let Some((first, below)) = statements.levels.split_first() else { return Ok(()) };
    let mut lists = Lists::new();
    let mut prepared = connection.prepare_cached(&first.text).map_err(translate)?;
    bind(&mut prepared, &first.params, &[], &mut lists)?;
    let mut rows = prepared.raw_query();
    let mut is_over = false;
    while !is_over {
        let mut key_sets: Vec<KeySet> = plan.nodes.iter().map(|_| KeySet::default()).collect();
        let mut writer = LevelWriter::new(plan, 0, &mut key_sets);
        let mut count = 0;
        while count < ROWS_PER_PIECE && !is_over {
            match rows.next().map_err(translate)? {
                Some(row) => {
                    writer.push(row)?;
                    count += 1;
                }
                None => is_over = true,
            }
        }
        let mut levels = vec![writer.finish()];
        if count == 0 {
            break;
        }
        for (position, statement) in below.iter().enumerate() {
            let position = position + 1;
            if key_sets[position].is_empty() {
                levels.push(Level::default());
                continue;
            }
            let mut writer = LevelWriter::new(plan, position, &mut key_sets);
            let parent_keys = writer.parent_keys();
            each(connection, statement, &parent_keys, |row| writer.push(row))?;
            levels.push(writer.finish());
        }
        if pieces.blocking_send(document::piece(plan, levels)).is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::ListKind;

    #[test]
    fn lists_outlive_their_bindings() {
        let connection = Connection::open_in_memory().expect("memory");
        rusqlite::vtab::array::load_module(&connection).expect("arrays");
        let mut lists = Lists::new();
        let mut prepared = connection.prepare_cached("SELECT value FROM rarray(?1)").expect("a statement");
        let list = Param::List(ListKind::Text, vec![Scalar::Text("a".into())]);
        bind(&mut prepared, &[list], &[], &mut lists).expect("bound");
        assert_eq!(Rc::strong_count(&lists[0]), 2);
        drop(prepared);
        // Only now is it ours alone, so that we free it, whole.
        assert_eq!(Rc::strong_count(&lists[0]), 1);
    }
}
