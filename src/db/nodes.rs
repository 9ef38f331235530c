//! The nodes that serve one database, so that one knows whether there are others.
//!
//! A node has a row with a lease beside those of locks, renewed while it lives. A SQLite database is served by one process.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;
use uuid::Uuid;

use super::{Database, Row};
use crate::error::Result;
use crate::schema::ColumnType;
use crate::sql::ddl::statement;
use crate::sql::{Dialect, Statement};

/// A node that was killed counts so long.
const LEASE_S: u64 = 6;
const RENEWAL: Duration = Duration::from_secs(2);

/// This node among those of its database.
pub struct Nodes {
    database: Database,
    name: String,
    renewal: Option<JoinHandle<()>>,
    /// Those that were alive when somebody last looked.
    alive: Mutex<HashSet<String>>,
    /// How many have ended without a word since this one joined.
    vanished: AtomicU64,
}

impl Nodes {
    /// From now on others see this node.
    pub async fn join(database: &Database) -> Result<Self> {
        let name = format!("node.{}", Uuid::now_v7().simple());
        let mut nodes = Nodes {
            database: database.clone(),
            name,
            renewal: None,
            alive: Mutex::default(),
            vanished: AtomicU64::new(0),
        };
        if database.dialect() != Dialect::Sqlite {
            run(database, forget_dead(database.dialect())).await?;
            run(database, renew(database.dialect(), &nodes.name)).await?;
            nodes.renewal = Some(tokio::spawn(stay(database.clone(), nodes.name.clone())));
        }
        Ok(nodes)
    }

    /// Whether another node may be at work. When that cannot be found out, one may.
    pub async fn has_others(&self) -> bool {
        let now = match self.database.dialect() {
            Dialect::Sqlite => return false,
            Dialect::Postgres => "now()",
            Dialect::Mysql => "UTC_TIMESTAMP(3)",
        };
        let text = format!(
            "SELECT name, CASE WHEN until > {now} THEN 1 ELSE 0 END FROM tablature_lock \
             WHERE owner = 'node' AND name <> '{}'",
            self.name
        );
        let columns = [ColumnType::Text, ColumnType::BigInteger].into();
        let rows = match self.database.rows(&Statement { columns, ..statement(text) }).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(%error, "other nodes could not be looked for");
                return true;
            }
        };
        let is_alive = |row: &Row| row.int(1) == Some(1);
        let names = |wanted: bool| {
            let found = rows.iter().filter(move |row| is_alive(row) == wanted);
            found.filter_map(|row| row.text(0).map(ToString::to_string))
        };
        let mut alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever leaves takes its row along.
        let vanished = names(false).filter(|name| alive.contains(name)).count();
        self.vanished.fetch_add(vanished as u64, Ordering::Relaxed);
        *alive = names(true).collect();
        !alive.is_empty()
    }

    /// How many nodes that were seen alive have ended without a word, as far as somebody has looked.
    pub fn vanished(&self) -> u64 {
        self.vanished.load(Ordering::Relaxed)
    }

    /// Others see this node no more.
    pub async fn leave(&self) {
        let Some(renewal) = &self.renewal else { return };
        renewal.abort();
        let text = format!("DELETE FROM tablature_lock WHERE name = '{}'", self.name);
        if let Err(error) = run(&self.database, text).await {
            tracing::warn!(%error, "this node will be taken for alive for some seconds");
        }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        if let Some(renewal) = &self.renewal {
            renewal.abort();
        }
    }
}

async fn stay(database: Database, name: String) {
    loop {
        sleep(RENEWAL).await;
        if let Err(error) = run(&database, renew(database.dialect(), &name)).await {
            tracing::warn!(%error, "other nodes could not be told that this one is alive");
        }
    }
}

async fn run(database: &Database, text: String) -> Result<()> {
    let statement = statement(text);
    let done = database.transaction(move |tx| Box::pin(async move { tx.execute(&statement).await })).await;
    done.map(|_| ())
}

fn renew(dialect: Dialect, name: &str) -> String {
    let insert = format!("INSERT INTO tablature_lock (name, owner, until) VALUES ('{name}', 'node', ");
    match dialect {
        Dialect::Sqlite | Dialect::Postgres => format!(
            "{insert}now() + interval '{LEASE_S} seconds') ON CONFLICT (name) DO UPDATE SET until = EXCLUDED.until"
        ),
        Dialect::Mysql => format!(
            "{insert}UTC_TIMESTAMP(3) + INTERVAL {LEASE_S} SECOND) ON DUPLICATE KEY UPDATE until = VALUES(until)"
        ),
    }
}

fn forget_dead(dialect: Dialect) -> String {
    let before = match dialect {
        Dialect::Sqlite | Dialect::Postgres => "now() - interval '1 hour'",
        Dialect::Mysql => "UTC_TIMESTAMP(3) - INTERVAL 1 HOUR",
    };
    format!("DELETE FROM tablature_lock WHERE owner = 'node' AND until < {before}")
}
