//! SQLite, in process.
//!
//! Start at [`SqliteDatabase`]. Reads whose cost is bounded run in place on the calling thread, each thread with a connection of its
//! own; the others on a few reader threads. All writes go through one thread that commits them in groups (`writer`).

mod connection;
mod error;
mod readers;
mod rows;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::meter::Meter;
use super::{JsonBytes, Row, Settings, Transaction};
use crate::error::{Error, Result};
use crate::query::Plan;
use crate::sql::{ReadStatements, Statement};
pub(super) use writer::SqliteTransaction;

/// One database file and the threads that serve it.
#[derive(Clone)]
pub(super) struct SqliteDatabase {
    shared: Arc<Shared>,
}

struct Shared {
    options: Arc<connection::Options>,
    readers: readers::Readers,
    writer: writer::Writer,
    meter: Meter,
}

impl SqliteDatabase {
    pub(super) fn open(path: &std::path::Path, settings: &Settings) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let options = Arc::new(connection::Options {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            path: path.to_owned(),
            statement_timeout: settings.statement_timeout,
        });
        let meter = Meter::new("sqlite");
        // The writer makes the file, so it comes first.
        let writer = writer::Writer::start(&options, meter.clone())?;
        let readers = readers::Readers::start(&options, settings.sqlite_readers)?;
        Ok(SqliteDatabase { shared: Arc::new(Shared { options, readers, writer, meter }) })
    }

    pub(super) async fn read_json(
        &self,
        plan: &Arc<Plan>,
        statements: &Arc<ReadStatements>,
    ) -> Result<JsonBytes> {
        let shared = &self.shared;
        if statements.is_bounded {
            return connection::in_place(&shared.options, |connection| {
                rows::read_json(connection, plan, statements, &shared.meter)
            });
        }
        let (plan, statements, meter) = (plan.clone(), statements.clone(), shared.meter.clone());
        shared.readers.run(move |connection| rows::read_json(connection, &plan, &statements, &meter)).await
    }

    /// On a thread and a connection of its own, so that a slow reader holds up nobody.
    pub(super) async fn read_pieces(
        &self,
        plan: &Arc<Plan>,
        statements: &Arc<ReadStatements>,
        pieces: mpsc::Sender<JsonBytes>,
    ) -> Result<()> {
        let (plan, statements, options) = (plan.clone(), statements.clone(), self.shared.options.clone());
        let meter = self.shared.meter.clone();
        let (reply, answer) = oneshot::channel();
        let run = move || {
            let result = connection::open_streaming(&options).and_then(|mut connection| {
                let start = Instant::now();
                let result = rows::read_pieces(&mut connection, &plan, &statements, &meter, &pieces);
                meter.record(1, start);
                result
            });
            // Nobody waits any more: nobody is told.
            let _ = reply.send(result);
        };
        thread::Builder::new().name("sqlite-stream".to_owned()).spawn(run).map_err(Error::internal)?;
        answer.await.map_err(|_| Error::internal(anyhow::anyhow!("a read of the database panicked")))?
    }

    pub(super) async fn rows(&self, statement: &Statement) -> Result<Vec<Row>> {
        let (statement, meter) = (statement.clone(), self.shared.meter.clone());
        let run = move |connection: &mut rusqlite::Connection| {
            let start = Instant::now();
            let rows = rows::rows(connection, &statement);
            meter.record(1, start);
            rows
        };
        self.shared.readers.run(run).await
    }

    pub(super) async fn transaction<T, F>(&self, body: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Transaction) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        self.shared.writer.run(body, writer::Kind::Grouped).await
    }

    pub(super) async fn schema_transaction<T, F>(&self, body: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Transaction) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        self.shared.writer.run(body, writer::Kind::Schema).await
    }
}
