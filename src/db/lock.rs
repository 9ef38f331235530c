//! One node at a time changes the schema.
//!
//! SQLite has one writer, and a PostgreSQL transaction holds an advisory lock to its end ([`hold_in`]): both vanish with the
//! process. MariaDB commits at every step, so there a row with a lease says who is at work ([`Lease`]), renewed while work goes on.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{Committed, Database, Transaction};
use crate::error::{Error, Result};
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

/// The right to change the schema of a MariaDB database, until dropped.
pub struct Lease {
    database: Database,
    owner: Arc<str>,
    renewal: JoinHandle<()>,
}

impl Lease {
    /// Waits until no other node holds it.
    ///
    /// Fails with `Conflict` when another node is still at work after two minutes.
    pub async fn acquire(database: &Database) -> Result<Self> {
        let owner: Arc<str> = Uuid::now_v7().simple().to_string().into();
        let deadline = Instant::now() + LONGEST_WAIT;
        while !take(database, &owner).await? {
            if Instant::now() > deadline {
                let reason = "another node is changing the schema".to_owned();
                return Err(Error::Conflict { reason });
            }
            sleep(Duration::from_millis(100)).await;
        }
        let renewal = tokio::spawn(renew(database.clone(), owner.clone()));
        Ok(Lease { database: database.clone(), owner, renewal })
    }

    /// Who holds it, as other nodes see it.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Gives it back at once. A lease that is merely dropped runs out by itself.
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

async fn renew(database: Database, owner: Arc<str>) {
    loop {
        sleep(RENEWAL).await;
        if let Err(error) = take(&database, &owner).await {
            tracing::warn!(%error, "the lease on the schema could not be renewed");
        }
    }
}

/// Takes the lease, or prolongs one's own. The clock is that of the database, the same for all nodes.
async fn take(database: &Database, owner: &str) -> Result<bool> {
    let until = format!("UTC_TIMESTAMP(3) + INTERVAL {LEASE_S} SECOND");
    let make =
        "INSERT IGNORE INTO tablature_lock (name, owner, until) VALUES ('schema', '', '1970-01-02 00:00:00')";
    let take = format!(
        "UPDATE tablature_lock SET owner = '{owner}', until = {until} \
         WHERE name = 'schema' AND (owner = '{owner}' OR until < UTC_TIMESTAMP(3))"
    );
    // Two nodes in each other's way: the one that is refused simply has not got it.
    match run(database, vec![statement(make.to_owned())]).await {
        Err(Error::Conflict { .. }) => return Ok(false),
        other => other?,
    };
    match run(database, vec![statement(take)]).await {
        Err(Error::Conflict { .. }) => Ok(false),
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
