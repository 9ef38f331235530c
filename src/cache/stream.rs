//! A list of entries in Redis that nodes add to and follow.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult, cmd};

use crate::error::{Error, Result};

/// Longest wait for a connection, and for an answer beyond what was asked to wait.
const PATIENCE: Duration = Duration::from_secs(1);
/// Entries of one answer.
const ENTRIES_AT_ONCE: usize = 500;
/// The one field of an entry.
const FIELD: &str = "e";

/// What an answer of `XREAD` holds: per list, per entry, its fields.
type Lists = Option<Vec<(String, Vec<(String, Vec<Vec<u8>>)>)>>;

/// The way to one list.
pub struct SharedStream {
    client: Client,
    key: String,
}

/// A connection that follows or adds to it.
pub struct StreamConnection {
    connection: MultiplexedConnection,
    key: String,
}

impl SharedStream {
    /// The list under this key. Fails on what is no address of Redis.
    pub fn new(url: &str, key: String) -> Result<Self> {
        // The address may hold a password, so the parser's own message is not repeated.
        let client =
            Client::open(url).map_err(|_| Error::internal(anyhow::anyhow!("REDIS is no valid address")))?;
        Ok(SharedStream { client, key })
    }

    /// A connection of its own, which answers as long as `longest_wait` is waited for entries at most.
    pub async fn connect(&self, longest_wait: Duration) -> Result<StreamConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(longest_wait + PATIENCE));
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await;
        Ok(StreamConnection { connection: connection.map_err(away)?, key: self.key.clone() })
    }
}

impl StreamConnection {
    /// Adds an entry, and forgets the oldest beyond so many.
    pub async fn append(&mut self, entry: &[u8], most: usize) -> Result<()> {
        let mut command = cmd("XADD");
        command.arg(&self.key).arg("MAXLEN").arg("~").arg(most).arg("*").arg(FIELD).arg(entry);
        let id: RedisResult<String> = command.query_async(&mut self.connection).await;
        id.map(drop).map_err(away)
    }

    /// Names the process that keeps the list: another one may not have all of it.
    pub async fn keeper(&mut self) -> Result<String> {
        let told: RedisResult<String> = cmd("INFO").arg("server").query_async(&mut self.connection).await;
        let told = told.map_err(away)?;
        let run = told.lines().find_map(|line| line.strip_prefix("run_id:"));
        Ok(run.unwrap_or_default().trim().to_owned())
    }

    /// The id of the last entry.
    pub async fn end(&mut self) -> Result<String> {
        let mut command = cmd("XREVRANGE");
        command.arg(&self.key).arg("+").arg("-").arg("COUNT").arg(1);
        let last: RedisResult<Vec<(String, Vec<Vec<u8>>)>> = command.query_async(&mut self.connection).await;
        Ok(last.map_err(away)?.into_iter().next().map_or_else(|| "0-0".to_owned(), |(id, _)| id))
    }

    /// Entries behind this one with their ids; waits so long for the first.
    pub async fn read(&mut self, after: &str, wait: Duration) -> Result<Vec<(String, Vec<u8>)>> {
        let mut command = cmd("XREAD");
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        command.arg("COUNT").arg(ENTRIES_AT_ONCE).arg("BLOCK").arg(wait_ms);
        command.arg("STREAMS").arg(&self.key).arg(after);
        let lists: RedisResult<Lists> = command.query_async(&mut self.connection).await;
        let entries = lists.map_err(away)?.unwrap_or_default().into_iter().flat_map(|(_, entries)| entries);
        Ok(entries.map(|(id, mut fields)| (id, fields.pop().unwrap_or_default())).collect())
    }
}

fn away(error: RedisError) -> Error {
    Error::ServiceUnavailable { service: "redis", reason: error.category().to_owned(), retry_after_s: 1 }
}
