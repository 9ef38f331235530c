//! The door: one value that stands for whichever database is configured.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use metrics::gauge;
use sqlx::{MySql, Postgres};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::row_security::Reach;
use super::server::ServerDatabase;
use super::sqlite::SqliteDatabase;
use super::{Row, Settings, Target, Transaction};
use crate::error::{Error, Result};
use crate::query::Plan;
use crate::sql::{Dialect, ReadStatements, Statement};

/// A finished JSON document (or a part of one), never parsed again.
pub type JsonBytes = Vec<u8>;

/// How often a transaction that was ended for a deadlock is begun anew.
const MOST_REPEATS: u32 = 15;
/// How long to wait before; longer each time.
const REPEAT_AFTER: Duration = Duration::from_millis(10);

/// The configured database. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    driver: Driver,
}

#[derive(Clone)]
enum Driver {
    Sqlite(SqliteDatabase),
    Postgres(ServerDatabase<Postgres>),
    Mysql(ServerDatabase<MySql>),
}

/// Proof that a transaction was committed: only transactions and [`Database::write_at_once`] make it, so nothing rolled back can
/// be announced.
#[derive(Debug)]
pub struct Committed<T>(T);

impl<T> Committed<T> {
    /// What the transaction returned.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// The same proof of something made of it.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Committed<U> {
        Committed(make(self.0))
    }
}

impl<T, U> Committed<(T, U)> {
    /// Parts what a transaction returned; the second half keeps the proof.
    pub fn split(self) -> (Committed<U>, T) {
        (Committed(self.0.1), self.0.0)
    }
}

impl Database {
    /// Opens the file, or connects to the server once.
    ///
    /// Fails with `ServiceUnavailable` when it cannot be reached.
    pub async fn connect(settings: &Settings) -> Result<Self> {
        let driver = match &settings.target {
            Target::Sqlite { path } => Driver::Sqlite(SqliteDatabase::open(path, settings)?),
            Target::Postgres { url } => Driver::Postgres(ServerDatabase::connect(url, settings).await?),
            Target::Mysql { url } => Driver::Mysql(ServerDatabase::connect(url, settings).await?),
        };
        Ok(Database { driver })
    }

    /// The same database with no more in reach than this, where it keeps tenants apart by itself.
    pub fn within(&self, reach: Reach) -> Self {
        let driver = match &self.driver {
            Driver::Postgres(driver) => Driver::Postgres(driver.within(reach)),
            other => other.clone(),
        };
        Database { driver }
    }

    /// Whether it keeps tenants apart by itself (`TENANCY_RLS`).
    pub fn has_row_security(&self) -> bool {
        matches!(&self.driver, Driver::Postgres(driver) if driver.has_row_security())
    }

    /// Which SQL it speaks.
    pub fn dialect(&self) -> Dialect {
        match self.driver {
            Driver::Sqlite(_) => Dialect::Sqlite,
            Driver::Postgres(_) => Dialect::Postgres,
            Driver::Mysql(_) => Dialect::Mysql,
        }
    }

    /// Asks the database for a sign of life. Fails with `ServiceUnavailable` when there is none.
    pub async fn check(&self) -> Result<()> {
        self.rows(&crate::sql::probe()).await.map(|_| ())
    }

    /// Brings the gauges of the pool up to date. SQLite has none: its connections are as many as its threads.
    pub fn measure_pool(&self) {
        let (used, idle) = match &self.driver {
            Driver::Sqlite(_) => return,
            Driver::Postgres(driver) => driver.connections(),
            Driver::Mysql(driver) => driver.connections(),
        };
        gauge!("tablature_db_connections", "state" => "used").set(used as f64);
        gauge!("tablature_db_connections", "state" => "idle").set(idle as f64);
    }

    /// Runs a plan and writes the members of the answer: `"data":...` and, if asked for, `,"meta":...`.
    ///
    /// Fails with `Forbidden` when one item is asked for and there is none.
    pub async fn read_json(&self, plan: &Arc<Plan>, statements: &Arc<ReadStatements>) -> Result<JsonBytes> {
        match &self.driver {
            Driver::Sqlite(database) => database.read_json(plan, statements).await,
            Driver::Postgres(database) => database.read_json(plan, statements).await,
            Driver::Mysql(database) => database.read_json(plan, statements).await,
        }
    }

    /// Runs a plan and hands on its rows a few at a time, each time as a JSON list, in one snapshot of the rows of its first level and
    /// without the statement timeout. Returns when all is read, or when nobody takes pieces any more.
    ///
    /// It holds a connection (and now and then a second one) for as long as that takes.
    pub async fn read_pieces(
        &self,
        plan: &Arc<Plan>,
        statements: &Arc<ReadStatements>,
        pieces: mpsc::Sender<JsonBytes>,
    ) -> Result<()> {
        match &self.driver {
            Driver::Sqlite(database) => database.read_pieces(plan, statements, pieces).await,
            Driver::Postgres(database) => database.read_pieces(plan, statements, pieces).await,
            Driver::Mysql(database) => database.read_pieces(plan, statements, pieces).await,
        }
    }

    /// Runs one reading statement outside of any transaction and returns its rows.
    pub async fn rows(&self, statement: &Statement) -> Result<Vec<Row>> {
        match &self.driver {
            Driver::Sqlite(database) => database.rows(statement).await,
            Driver::Postgres(database) => database.rows(statement).await,
            Driver::Mysql(database) => database.rows(statement).await,
        }
    }

    /// Runs one writing statement that commits by itself and returns its rows. `None` where nothing was done, because there is no
    /// connection that is certainly alive: a write whose connection is lost half way cannot be sent again, and nobody knows
    /// what became of it. Only PostgreSQL has such statements.
    pub async fn write_at_once(&self, statement: &Statement) -> Result<Option<Committed<Vec<Row>>>> {
        match &self.driver {
            Driver::Postgres(database) => Ok(database.write_at_once(statement).await?.map(Committed)),
            Driver::Sqlite(_) | Driver::Mysql(_) => Ok(None),
        }
    }

    /// Runs `body` in one transaction: all of it or, when it fails, panics or is cancelled, nothing.
    ///
    /// The body must not wait for anything but the transaction: on SQLite it runs on the one writer thread.
    pub async fn transaction<T, F>(&self, body: F) -> Result<Committed<T>>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Transaction) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        let result = match &self.driver {
            Driver::Sqlite(database) => database.transaction(body).await,
            Driver::Postgres(database) => database.transaction(body, false).await,
            Driver::Mysql(database) => database.transaction(body, false).await,
        };
        result.map(Committed)
    }

    /// The same for a body that may run again: a transaction that a server ends for a deadlock is begun anew.
    pub async fn repeatable_transaction<T, F>(&self, body: F) -> Result<Committed<T>>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Transaction) -> BoxFuture<'t, Result<T>> + Clone + Send + 'static,
    {
        // The one writer of SQLite waits for nobody.
        if self.dialect() != Dialect::Sqlite {
            for repeat in 0..MOST_REPEATS {
                match self.transaction(body.clone()).await {
                    Err(Error::Deadlock) => tracing::debug!(repeat, "a transaction was ended for a deadlock"),
                    result => return result,
                }
                // Whoever went on needs a moment to finish, and those who met must not meet again at the same moment.
                let spread = Uuid::new_v4().as_u128() % 8;
                tokio::time::sleep(REPEAT_AFTER * (repeat + 1) * (1 + spread as u32)).await;
            }
        }
        self.transaction(body).await
    }

    /// Runs `body` in a transaction that is undone in any case, to see what a change would make of the rows.
    pub async fn rehearsal<T, F>(&self, body: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Transaction) -> BoxFuture<'t, Result<T>> + Clone + Send + 'static,
    {
        let told: Arc<Mutex<Option<T>>> = Arc::default();
        let kept = told.clone();
        let undone = self.repeatable_transaction(move |tx| {
            Box::pin(async move {
                let value = body(tx).await?;
                *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
                // What fails is undone; nobody sees this error.
                Err::<(), _>(Error::Conflict { reason: "This was a rehearsal.".to_owned() })
            })
        });
        let failure = undone.await.err();
        let value = told.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (value, failure) {
            (Some(value), _) => Ok(value),
            (None, Some(failure)) => Err(failure),
            (None, None) => Err(Error::internal(anyhow::anyhow!("a rehearsal told nothing"))),
        }
    }

    /// A transaction for changes of the schema: without the statement timeout; on SQLite without foreign keys, which are checked
    /// before the commit, so that tables can be rebuilt.
    ///
    /// MariaDB commits by itself at each change of a table: there it is a series of statements.
    pub async fn schema_transaction<T, F>(&self, body: F) -> Result<Committed<T>>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Transaction) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        let result = match &self.driver {
            Driver::Sqlite(database) => database.schema_transaction(body).await,
            Driver::Postgres(database) => database.transaction(body, true).await,
            Driver::Mysql(database) => database.transaction(body, true).await,
        };
        result.map(Committed)
    }
}
