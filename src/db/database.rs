//! The door: one value that stands for whichever database is configured.

use futures::future::BoxFuture;

use super::Row;
use crate::error::{Error, Result};
use crate::query::Plan;
use crate::sql::{Dialect, ReadStatements, Statement};

/// A finished JSON document (or a part of one), never parsed again.
pub type JsonBytes = Vec<u8>;

/// The configured database. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    dialect: Dialect,
}

/// Proof that a transaction was committed: only [`Database::transaction`] makes it, so nothing rolled back can be announced.
#[derive(Debug)]
pub struct Committed<T>(T);

impl<T> Committed<T> {
    /// What the transaction returned.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// An open transaction. Dropped without a commit it leaves nothing behind.
pub struct Transaction {
    dialect: Dialect,
}

impl Database {
    /// Which SQL it speaks.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Runs the levels of a plan and writes the rows as the members of the answer: `"data":...` and, if asked for, `,"meta":...`.
    ///
    /// Fails with `Forbidden` when one item is asked for and there is none.
    pub async fn read_json(&self, _plan: &Plan, _statements: &ReadStatements) -> Result<JsonBytes> {
        Err(Error::internal(anyhow::anyhow!("no driver")))
    }

    /// Runs one statement outside of any transaction and returns its rows.
    pub async fn rows(&self, _statement: &Statement) -> Result<Vec<Row>> {
        Err(Error::internal(anyhow::anyhow!("no driver")))
    }

    /// Runs `body` in one transaction: all of it or, when it fails, panics or is cancelled, nothing.
    ///
    /// The body must not wait for anything but the transaction: on SQLite it runs on the one writer thread.
    pub async fn transaction<T, F>(&self, body: F) -> Result<Committed<T>>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Transaction) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        let mut transaction = Transaction { dialect: self.dialect };
        body(&mut transaction).await.map(Committed)
    }
}

impl Transaction {
    /// Which SQL it speaks.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Runs one statement and returns how many rows it touched.
    pub async fn execute(&mut self, _statement: &Statement) -> Result<u64> {
        Err(Error::internal(anyhow::anyhow!("no driver")))
    }

    /// Runs one statement and returns its rows.
    pub async fn rows(&mut self, _statement: &Statement) -> Result<Vec<Row>> {
        Err(Error::internal(anyhow::anyhow!("no driver")))
    }

    /// Runs one `INSERT` of one row and returns the number that the database counted for its key.
    ///
    /// On SQLite and PostgreSQL the statement ends in `RETURNING` that key; MariaDB is asked for the last one.
    pub async fn insert_counted(&mut self, _statement: &Statement) -> Result<i64> {
        Err(Error::internal(anyhow::anyhow!("no driver")))
    }

    /// Runs one statement once per parameter list; on SQLite this reuses the prepared statement.
    pub async fn execute_each(
        &mut self,
        _statement: &Statement,
        _rows: &[Vec<crate::sql::Param>],
    ) -> Result<u64> {
        Err(Error::internal(anyhow::anyhow!("no driver")))
    }
}
