//! The one thread that writes.
//!
//! It takes what has queued up, runs each request's work in a savepoint of its own, and commits all of it at once: one sync of the
//! disk for many requests. Nothing waits for company: the queue is drained, never timed. A request is answered after the commit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use futures::FutureExt;
use futures::future::BoxFuture;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::connection::{self, Options};
use super::error::translate;
use super::rows;
use crate::db::meter::Meter;
use crate::db::transaction::Driver;
use crate::db::{JsonBytes, Row, Transaction};
use crate::error::{Error, Result};
use crate::query::Plan;
use crate::sql::{Param, ReadStatements, Statement};

/// Most requests in one commit.
const GROUP: usize = 64;

/// How a request's work is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Together with others.
    Grouped,
    /// Alone, with foreign keys off meanwhile and checked before the commit: tables are rebuilt by drop and rename.
    Schema,
}

/// The way to the thread. It ends when this is dropped and the queue is empty.
pub(super) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
}

trait Job: Send {
    fn kind(&self) -> Kind;
    /// Does the work and says whether it is to be committed.
    fn run(&mut self, transaction: &mut Transaction) -> bool;
    /// Answers: with the outcome of the work, or with the failure of the group.
    fn answer(self: Box<Self>, failure: Option<Error>);
}

struct Work<T, F> {
    kind: Kind,
    body: Option<F>,
    result: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Job for Work<T, F>
where
    T: Send + 'static,
    F: for<'t> FnOnce(&'t mut Transaction) -> BoxFuture<'t, Result<T>> + Send + 'static,
{
    fn kind(&self) -> Kind {
        self.kind
    }

    fn run(&mut self, transaction: &mut Transaction) -> bool {
        let Some(body) = self.body.take() else { return false };
        // Everything that a transaction offers is ready at once on this thread, so one look at the future finishes it.
        let result = match catch_unwind(AssertUnwindSafe(|| body(transaction).now_or_never())) {
            Ok(Some(result)) => result,
            Ok(None) => {
                Err(Error::internal(anyhow::anyhow!("a transaction waited for something outside of it")))
            }
            Err(_) => Err(Error::internal(anyhow::anyhow!("a transaction panicked"))),
        };
        let is_ok = result.is_ok();
        self.result = Some(result);
        is_ok
    }

    fn answer(self: Box<Self>, failure: Option<Error>) {
        let result = match (failure, self.result) {
            // Its own failure says more than that of the group.
            (_, Some(Err(error))) => Err(error),
            (Some(error), _) => Err(error),
            (None, Some(result)) => result,
            (None, None) => Err(Error::internal(anyhow::anyhow!("a transaction was not run"))),
        };
        // The caller may have gone away; what is committed stays committed.
        let _ = self.reply.send(result);
    }
}

impl Writer {
    pub(super) fn start(options: &Arc<Options>, meter: Meter) -> Result<Self> {
        let connection = connection::open_writer(options)?;
        let (jobs, queue) = mpsc::channel();
        let thread = Thread { options: options.clone(), meter, connection: Some(connection) };
        thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || thread.serve(&queue))
            .map_err(Error::internal)?;
        Ok(Writer { jobs })
    }

    pub(super) async fn run<T, F>(&self, body: F, kind: Kind) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Transaction) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let gone = || Error::internal(anyhow::anyhow!("the writing thread of the database has ended"));
        self.jobs.send(Box::new(Work { kind, body: Some(body), result: None, reply })).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

struct Thread {
    options: Arc<Options>,
    meter: Meter,
    /// `None` while a transaction holds it, and after it could not be opened again.
    connection: Option<Connection>,
}

impl Thread {
    fn serve(mut self, queue: &mpsc::Receiver<Box<dyn Job>>) {
        let mut next = queue.recv().ok();
        while let Some(first) = next.take() {
            let kind = first.kind();
            let mut group = vec![first];
            while kind == Kind::Grouped && group.len() < GROUP {
                match queue.try_recv() {
                    Ok(job) if job.kind() == Kind::Grouped => group.push(job),
                    Ok(job) => {
                        next = Some(job);
                        break;
                    }
                    Err(_) => break,
                }
            }
            let failures = self.commit(&mut group, kind);
            for (job, failure) in group.into_iter().zip(failures) {
                job.answer(failure);
            }
            if next.is_none() {
                next = queue.recv().ok();
            }
        }
    }

    /// Runs a group and commits it. The answer has one entry per job: why it is not in the database, beside its own failure.
    fn commit(&mut self, group: &mut [Box<dyn Job>], kind: Kind) -> Vec<Option<Error>> {
        let started = self.begin(kind);
        let outcome = started.and_then(|transaction| {
            let (transaction, outcome) = self.run_all(transaction, group, kind);
            self.connection = transaction.map(|transaction| transaction.connection);
            outcome
        });
        if kind == Kind::Schema {
            self.pragma("PRAGMA foreign_keys = ON");
        }
        let Err(error) = outcome else { return group.iter().map(|_| None).collect() };
        self.pragma("ROLLBACK");
        let reason = error.to_string();
        let mut first = Some(error);
        group.iter().map(|_| Some(first.take().unwrap_or_else(|| repeat(&reason)))).collect()
    }

    fn begin(&mut self, kind: Kind) -> Result<SqliteTransaction> {
        if self.connection.is_none() {
            self.connection = Some(connection::open_writer(&self.options)?);
        }
        if kind == Kind::Schema {
            self.pragma("PRAGMA foreign_keys = OFF");
        }
        let Some(connection) = self.connection.take() else {
            return Err(Error::internal(anyhow::anyhow!("the writing connection is away")));
        };
        let begun =
            connection.prepare_cached("BEGIN IMMEDIATE").and_then(|mut statement| statement.execute([]));
        if let Err(error) = begun {
            self.connection = Some(connection);
            return Err(translate(error));
        }
        Ok(SqliteTransaction { connection, options: self.options.clone(), meter: self.meter.clone() })
    }

    /// Runs every job in its savepoint, then commits. Gives the connection back in any case.
    fn run_all(
        &self,
        transaction: SqliteTransaction,
        group: &mut [Box<dyn Job>],
        kind: Kind,
    ) -> (Option<SqliteTransaction>, Result<()>) {
        let mut transaction = Transaction::new(Driver::Sqlite(transaction));
        let outcome = group.iter_mut().try_for_each(|job| {
            batch(&mut transaction, "SAVEPOINT request")?;
            if !job.run(&mut transaction) {
                batch(&mut transaction, "ROLLBACK TO request")?;
            }
            // Fails when SQLite has rolled everything back by itself (disk full, say): then the whole group is lost.
            batch(&mut transaction, "RELEASE request")
        });
        let outcome = outcome.and_then(|()| {
            if kind == Kind::Schema {
                check_references(&mut transaction)?;
            }
            batch(&mut transaction, "COMMIT")
        });
        match transaction.into_driver() {
            Driver::Sqlite(transaction) => (Some(transaction), outcome),
            _ => (None, outcome),
        }
    }

    /// Runs a statement whose failure changes nothing.
    fn pragma(&self, text: &str) {
        if let Some(connection) = &self.connection {
            let _ = connection.execute_batch(text);
        }
    }
}

/// The failure of a group, told to the second of it and those behind.
fn repeat(reason: &str) -> Error {
    Error::ServiceUnavailable { service: "database", reason: reason.to_owned(), retry_after_s: 1 }
}

fn batch(transaction: &mut Transaction, text: &str) -> Result<()> {
    match transaction.driver() {
        Driver::Sqlite(sqlite) => sqlite
            .connection
            .prepare_cached(text)
            .and_then(|mut statement| statement.execute([]))
            .map(drop)
            .map_err(translate),
        _ => Err(Error::internal(anyhow::anyhow!("the writing thread holds a foreign transaction"))),
    }
}

fn check_references(transaction: &mut Transaction) -> Result<()> {
    let Driver::Sqlite(sqlite) = transaction.driver() else { return Ok(()) };
    let broken =
        sqlite.connection.query_row("SELECT \"table\" FROM pragma_foreign_key_check LIMIT 1", [], |row| {
            row.get::<_, String>(0)
        });
    match broken {
        Ok(collection) => {
            Err(Error::InvalidForeignKey { collection, field: String::new(), value: serde_json::Value::Null })
        }
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(()),
        Err(error) => Err(translate(error)),
    }
}

/// An open transaction on the writing thread.
pub(in crate::db) struct SqliteTransaction {
    connection: Connection,
    options: Arc<Options>,
    meter: Meter,
}

impl SqliteTransaction {
    fn timed<T>(&mut self, work: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let connection = &mut self.connection;
        let result = connection::with_deadline(&self.options, || work(connection));
        self.meter.record(1, start);
        result
    }

    pub(in crate::db) fn execute(&mut self, statement: &Statement) -> Result<u64> {
        self.timed(|connection| rows::execute(connection, statement))
    }

    /// Runs one `INSERT` and returns the number of the row.
    pub(in crate::db) fn insert_numbered(&mut self, statement: &Statement) -> Result<i64> {
        self.timed(|connection| {
            rows::execute(connection, statement)?;
            Ok(connection.last_insert_rowid())
        })
    }

    pub(in crate::db) fn rows(&mut self, statement: &Statement) -> Result<Vec<Row>> {
        self.timed(|connection| rows::rows(connection, statement))
    }

    pub(in crate::db) fn execute_each(&mut self, statement: &Statement, lists: &[Vec<Param>]) -> Result<u64> {
        self.timed(|connection| rows::execute_each(connection, statement, lists))
    }

    pub(in crate::db) fn read_json(&mut self, plan: &Plan, statements: &ReadStatements) -> Result<JsonBytes> {
        let connection = &self.connection;
        connection::with_deadline(&self.options, || {
            rows::read_json_inside(connection, plan, statements, &self.meter)
        })
    }
}
