//! One node at a time changes the schema.
//!
//! SQLite has one writer, and a PostgreSQL transaction holds an advisory lock to its end ([`hold_in`]): both vanish with the
//! process. MariaDB commits at every step, so there a row with a lease says who is at work ([`Lease`]), renewed while work goes
//! on. Beside it the holder keeps a lock of its connection, so that the lease of a process that was killed ends at once, and only
//! that of a machine that vanished has to run out.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{Committed, Database, Transaction};
use crate::error::{Error, Result};
use crate::schema::ColumnType;
use crate::sql::ddl::statement;
use crate::sql::{Dialect, Statement};

/// Any number will do, as long as it stays the same.
const ADVISORY_LOCK: i64 = 7_217_060_402;
const LEASE_S: u64 = 20;
const RENEWAL: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// Waits for the lock and holds it to the end of the transaction. On SQLite the transaction is the lock.
pub async fn hold_in(transaction: &mut Transaction) -> Result<()> {
    if transaction.dialect() == Dialect::Postgres {
        transaction.execute(&statement(format!("SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))).await?;
    }
    Ok(())
}

/// Waits until no other connection to this MariaDB database makes the system tables; elsewhere the transaction sees to that.
/// To be followed by [`end_alone`], whatever happens in between.
pub async fn begin_alone(transaction: &mut Transaction) -> Result<()> {
    let wait_s = LONGEST_WAIT.as_secs();
    if transaction.dialect() == Dialect::Mysql
        && !ask(transaction, &format!("SELECT GET_LOCK({MIGRATION_LOCK_NAME}, {wait_s})")).await?
    {
        return Err(Error::Conflict { reason: "Another node is still making the system tables.".to_owned() });
    }
    Ok(())
}

/// Lets the next one make the system tables.
pub async fn end_alone(transaction: &mut Transaction) -> Result<()> {
    if transaction.dialect() == Dialect::Mysql {
        ask(transaction, &format!("SELECT RELEASE_LOCK({MIGRATION_LOCK_NAME})")).await?;
    }
    Ok(())
}

/// The right to change the schema of a MariaDB database, until dropped.
pub struct Lease {
    database: Database,
    owner: Arc<str>,
    renewal: JoinHandle<()>,
    /// Dropping it lets go of the lock of the connection.
    _connection: oneshot::Sender<()>,
}

/// How owners are called that keep a lock of their connection, too.
const WITH_LOCK: &str = "lock-";
/// Locks are per server, not per database.
const LOCK_NAME: &str = "CONCAT('tablature.', LEFT(SHA1(DATABASE()), 32))";

const MIGRATION_LOCK_NAME: &str = "CONCAT('tablature.migrate.', LEFT(SHA1(DATABASE()), 32))";

impl Lease {
    /// Waits until no other node holds it.
    ///
    /// Fails with `Conflict` when another node is still at work after two minutes.
    pub async fn acquire(database: &Database) -> Result<Self> {
        let id = Uuid::now_v7().simple().to_string();
        let deadline = Instant::now() + LONGEST_WAIT;
        loop {
            let (connection, has_lock) = lock_connection(database).await?;
            // Who has the lock now knows that the last one who had it is gone.
            let owner: Arc<str> = if has_lock { format!("{WITH_LOCK}{id}") } else { id.clone() }.into();
            let or_gone = if has_lock { format!(" OR owner LIKE '{WITH_LOCK}%'") } else { String::new() };
            if take(database, &owner, &or_gone).await? {
                let renewal = tokio::spawn(renew(database.clone(), owner.clone()));
                return Ok(Lease { database: database.clone(), owner, renewal, _connection: connection });
            }
            drop(connection);
            if Instant::now() > deadline {
                let reason = "another node is changing the schema".to_owned();
                return Err(Error::Conflict { reason });
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Who holds it, as other nodes see it.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Gives it back at once. A lease that is merely dropped is found to be free by the next one.
    pub async fn release(self) -> Result<()> {
        self.renewal.abort();
        let text = format!("DELETE FROM tablature_lock WHERE name = 'schema' AND owner = '{}'", self.owner);
        run(&self.database, vec![statement(text)]).await.map(|_| ())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

/// Takes the lock of a connection that is kept until the sender is dropped; gives whether it was free.
async fn lock_connection(database: &Database) -> Result<(oneshot::Sender<()>, bool)> {
    let (keep, kept) = oneshot::channel();
    let (tell, told) = oneshot::channel();
    let database = database.clone();
    let work = async move {
        let result = database
            .transaction(|transaction| {
                Box::pin(async move {
                    let has_lock = ask(transaction, &format!("SELECT GET_LOCK({LOCK_NAME}, 0)")).await?;
                    tell.send(has_lock).ok();
                    if has_lock {
                        // Ends when the sender is dropped; nothing is ever sent.
                        kept.await.ok();
                        ask(transaction, &format!("SELECT RELEASE_LOCK({LOCK_NAME})")).await?;
                    }
                    Ok(())
                })
            })
            .await;
        if let Err(error) = result {
            tracing::warn!(%error, "the lock on the schema was lost");
        }
    };
    tokio::spawn(work);
    Ok((keep, told.await.unwrap_or(false)))
}

async fn ask(transaction: &mut Transaction, text: &str) -> Result<bool> {
    let statement = Statement { columns: [ColumnType::BigInteger].into(), ..statement(text.to_owned()) };
    let rows = transaction.rows(&statement).await?;
    Ok(rows.first().and_then(|row| row.int(0)) == Some(1))
}

async fn renew(database: Database, owner: Arc<str>) {
    loop {
        sleep(RENEWAL).await;
        if let Err(error) = take(&database, &owner, "").await {
            tracing::warn!(%error, "the lease on the schema could not be renewed");
        }
    }
}

/// Takes the lease, or prolongs one's own. The clock is that of the database, the same for all nodes.
async fn take(database: &Database, owner: &str, or_gone: &str) -> Result<bool> {
    let make =
        "INSERT IGNORE INTO tablature_lock (name, owner, until) VALUES ('schema', '', '1970-01-02 00:00:00')";
    let take = format!(
        "UPDATE tablature_lock SET owner = '{owner}', until = UTC_TIMESTAMP(3) + INTERVAL {LEASE_S} SECOND \
         WHERE name = 'schema' AND (owner = '{owner}' OR until < UTC_TIMESTAMP(3){or_gone})"
    );
    // Two nodes in each other's way: the one that is refused simply has not got it.
    match run(database, vec![statement(make.to_owned())]).await {
        Err(Error::Conflict { .. } | Error::Deadlock) => return Ok(false),
        other => other?,
    };
    match run(database, vec![statement(take)]).await {
        Err(Error::Conflict { .. } | Error::Deadlock) => Ok(false),
        other => other.map(|touched| touched > 0),
    }
}

/// Runs statements in one transaction and returns how many rows the last one touched.
async fn run(database: &Database, statements: Vec<Statement>) -> Result<u64> {
    let result = database
        .transaction(|transaction| {
            Box::pin(async move {
                let mut touched = 0;
                for statement in &statements {
                    touched = transaction.execute(statement).await?;
                }
                Ok(touched)
            })
        })
        .await;
    result.map(Committed::into_inner)
}
