//! An open transaction, whichever driver it belongs to.

use sqlx::{MySql, Postgres};

use super::server::{Server, ServerTransaction};
use super::sqlite::SqliteTransaction;
use super::{JsonBytes, Row};
use crate::error::{Error, Result};
use crate::query::Plan;
use crate::sql::{Dialect, Param, ReadStatements, Statement};

/// An open transaction. Dropped without a commit it leaves nothing behind.
pub struct Transaction {
    driver: Driver,
}

pub(super) enum Driver {
    Sqlite(SqliteTransaction),
    Postgres(ServerTransaction<Postgres>),
    Mysql(ServerTransaction<MySql>),
}

impl Transaction {
    pub(super) fn new(driver: Driver) -> Self {
        Transaction { driver }
    }

    pub(super) fn driver(&mut self) -> &mut Driver {
        &mut self.driver
    }

    pub(super) fn into_driver(self) -> Driver {
        self.driver
    }

    /// Which SQL it speaks.
    pub fn dialect(&self) -> Dialect {
        match self.driver {
            Driver::Sqlite(_) => Dialect::Sqlite,
            Driver::Postgres(_) => Dialect::Postgres,
            Driver::Mysql(_) => Dialect::Mysql,
        }
    }

    /// Runs one statement and returns how many rows it touched.
    pub async fn execute(&mut self, statement: &Statement) -> Result<u64> {
        match &mut self.driver {
            Driver::Sqlite(transaction) => transaction.execute(statement),
            Driver::Postgres(transaction) => {
                Ok(Postgres::rows_affected(&transaction.execute(statement).await?))
            }
            Driver::Mysql(transaction) => Ok(MySql::rows_affected(&transaction.execute(statement).await?)),
        }
    }

    /// Runs one statement and returns its rows.
    pub async fn rows(&mut self, statement: &Statement) -> Result<Vec<Row>> {
        match &mut self.driver {
            Driver::Sqlite(transaction) => transaction.rows(statement),
            Driver::Postgres(transaction) => transaction.rows(statement).await,
            Driver::Mysql(transaction) => transaction.rows(statement).await,
        }
    }

    /// Runs one `INSERT` of one row and returns the number that the database counted for its key.
    ///
    /// On PostgreSQL the statement ends in `RETURNING` that key. On SQLite it may, too; without it the key must be the number of
    /// the row, as a counting key is. MariaDB is asked for the last one.
    pub async fn insert_counted(&mut self, statement: &Statement) -> Result<i64> {
        let rows = match &mut self.driver {
            Driver::Sqlite(transaction) if statement.columns.is_empty() => {
                return transaction.insert_numbered(statement);
            }
            Driver::Sqlite(transaction) => transaction.rows(statement)?,
            Driver::Postgres(transaction) => transaction.rows(statement).await?,
            Driver::Mysql(transaction) => {
                let id = MySql::last_insert_id(&transaction.execute(statement).await?);
                let id = id.and_then(|id| i64::try_from(id).ok()).filter(|id| *id > 0);
                return id.ok_or_else(|| Error::internal(anyhow::anyhow!("an insert counted no key")));
            }
        };
        rows.first()
            .and_then(|row| row.int(0))
            .ok_or_else(|| Error::internal(anyhow::anyhow!("an insert returned no key")))
    }

    /// Runs one statement once per parameter list and returns how many rows were touched in all.
    ///
    /// On SQLite this reuses the prepared statement, so it is the way to write many rows there.
    pub async fn execute_each(&mut self, statement: &Statement, lists: &[Vec<Param>]) -> Result<u64> {
        if let Driver::Sqlite(transaction) = &mut self.driver {
            return transaction.execute_each(statement, lists);
        }
        let mut touched = 0;
        for params in lists {
            touched += self.execute(&Statement { params: params.clone(), ..statement.clone() }).await?;
        }
        Ok(touched)
    }

    /// Runs a read plan inside the transaction; see [`super::Database::read_json`].
    pub async fn read_json(&mut self, plan: &Plan, statements: &ReadStatements) -> Result<JsonBytes> {
        match &mut self.driver {
            Driver::Sqlite(transaction) => transaction.read_json(plan, statements),
            Driver::Postgres(transaction) => transaction.read_json(plan, statements).await,
            Driver::Mysql(transaction) => transaction.read_json(plan, statements).await,
        }
    }
}
