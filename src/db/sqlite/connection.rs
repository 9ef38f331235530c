//! Connections: how they are opened, what SQL functions they know, and the deadline of their statements.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use super::error;
use crate::error::Result;

/// What every connection to one file shares.
pub(super) struct Options {
    /// Tells databases of one process apart.
    pub(super) id: u64,
    pub(super) path: PathBuf,
    pub(super) statement_timeout: Duration,
}

thread_local! {
    /// This thread's reading connections, by [`Options::id`].
    static IN_PLACE: RefCell<Vec<(u64, Connection)>> = const { RefCell::new(Vec::new()) };
    /// When the statement that runs on this thread must have ended.
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Runs `work` on this thread's own reading connection, opened at the first call.
pub(super) fn in_place<T>(options: &Options, work: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
    IN_PLACE.with_borrow_mut(|connections| {
        let position = match connections.iter().position(|(id, _)| *id == options.id) {
            Some(position) => position,
            None => {
                connections.push((options.id, open_reader(options)?));
                connections.len() - 1
            }
        };
        with_deadline(options, || work(&mut connections[position].1))
    })
}

/// Runs `work` with the statement deadline set.
pub(super) fn with_deadline<T>(options: &Options, work: impl FnOnce() -> Result<T>) -> Result<T> {
    DEADLINE.set(Some(Instant::now() + options.statement_timeout));
    let result = work();
    DEADLINE.set(None);
    result.map_err(|failure| error::with_timeout(failure, options.statement_timeout))
}

pub(super) fn open_reader(options: &Options) -> Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(&options.path, flags).map_err(error::translate)?;
    prepare(&connection).map_err(error::translate)?;
    Ok(connection)
}

/// A reader for long reads: pages of the file that it has read are not counted among the memory of the process.
pub(super) fn open_streaming(options: &Options) -> Result<Connection> {
    let connection = open_reader(options)?;
    connection.pragma_update(None, "mmap_size", 0).map_err(error::translate)?;
    Ok(connection)
}

pub(super) fn open_writer(options: &Options) -> Result<Connection> {
    if let Some(folder) = options.path.parent() {
        std::fs::create_dir_all(folder).map_err(crate::error::Error::internal)?;
    }
    let connection = Connection::open(&options.path).map_err(error::translate)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(error::translate)?;
    // A commit is durable when it is answered; group commit pays for it (see `writer`).
    connection.pragma_update(None, "synchronous", "FULL").map_err(error::translate)?;
    // What a savepoint needs to be rolled back is kept in memory instead of a file; there is one per request.
    connection.pragma_update(None, "temp_store", "MEMORY").map_err(error::translate)?;
    prepare(&connection).map_err(error::translate)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    /// Virtual machine steps between two looks at the clock.
    const STEPS: i32 = 20_000;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "mmap_size", 256 * 1024 * 1024_i64)?;
    connection.pragma_update(None, "cache_size", -16_000)?;
    // One plan per statement, whatever is bound: otherwise a parameter behind LIMIT has SQLite prepare the statement anew for
    // every request.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // `LIKE` tells cases apart, as in the other databases; `tablature_lower` is there for the rest.
    connection.pragma_update(None, "case_sensitive_like", true)?;
    connection.set_prepared_statement_cache_capacity(500);
    connection
        .progress_handler(STEPS, Some(|| DEADLINE.get().is_some_and(|deadline| Instant::now() > deadline)))?;
    rusqlite::vtab::array::load_module(connection)?;
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("tablature_lower", 1, flags, |context| {
        Ok(match context.get_raw(0) {
            ValueRef::Text(text) => Some(String::from_utf8_lossy(text).to_lowercase()),
            _ => None,
        })
    })?;
    connection.create_aggregate_function("tablature_sum", 1, flags, ExactSum)
}

/// Sum of whole numbers that cannot overflow; its result is text.
struct ExactSum;

impl Aggregate<Option<i128>, Option<String>> for ExactSum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Option<i128>> {
        Ok(None)
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut Option<i128>) -> rusqlite::Result<()> {
        match context.get_raw(0) {
            ValueRef::Null => {}
            ValueRef::Integer(value) => *sum = Some(sum.unwrap_or(0) + i128::from(value)),
            // A column that is declared exact holds nothing else, unless another program wrote it.
            other => {
                let found = format!("tablature_sum was given {:?}", other.data_type());
                return Err(rusqlite::Error::UserFunctionError(found.into()));
            }
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<Option<i128>>) -> rusqlite::Result<Option<String>> {
        Ok(sum.flatten().map(|sum| sum.to_string()))
    }
}
