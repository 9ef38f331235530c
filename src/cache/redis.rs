//! Redis, which nodes share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisResult, Script, cmd};

use super::rate::Outcome;
use crate::error::{Error, Result};

/// Longest wait for a connection and for an answer: a request can do without it.
const PATIENCE: Duration = Duration::from_millis(300);
/// How long nobody asks again once it did not answer.
const AWAY: Duration = Duration::from_secs(1);

/// The generic cell rate algorithm on the clock of Redis: gives the debt of the key and how long it has to wait.
const TAKE: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local step, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local ends = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local early = ends + step - window - now
if early > 0 then
    return {ends - now, early}
end
redis.call('SET', KEYS[1], string.format('%.0f', ends + step), 'PX', math.ceil((ends + step - now) / 1000))
return {ends + step - now, 0}";

/// Gives back one that was taken, and forgets a key that owes nothing any more.
const GIVE_BACK: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local ends = tonumber(redis.call('GET', KEYS[1]) or 0) - tonumber(ARGV[1])
if ends <= now then
    redis.call('DEL', KEYS[1])
else
    redis.call('SET', KEYS[1], string.format('%.0f', ends), 'PX', math.ceil((ends - now) / 1000))
end";

/// A way to Redis. Cheap to clone.
#[derive(Clone)]
pub struct Redis {
    shared: Arc<Shared>,
}

struct Shared {
    connection: ConnectionManager,
    take: Script,
    give_back: Script,
    began: Instant,
    /// Milliseconds since `began` before which nobody asks; 0 when it answers.
    away_until_ms: AtomicU64,
}

impl Redis {
    /// Connects with the first question. Must be called within the runtime. Fails on what is no address of Redis.
    pub fn new(url: &str) -> Result<Self> {
        // For `rediss://`: the only cryptography that is linked, unless an embedder chose another.
        rustls::crypto::ring::default_provider().install_default().ok();
        // The address may hold a password, so the parser's own message is not repeated.
        let client =
            Client::open(url).map_err(|_| Error::internal(anyhow::anyhow!("REDIS is no valid address")))?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_number_of_retries(0);
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(Error::internal)?;
        let shared = Shared {
            connection,
            take: Script::new(TAKE),
            give_back: Script::new(GIVE_BACK),
            began: Instant::now(),
            away_until_ms: AtomicU64::new(0),
        };
        Ok(Redis { shared: Arc::new(shared) })
    }

    /// Takes one from a quota. `None` when Redis does not answer.
    pub(super) async fn take(&self, key: &str, step_us: u64, window_us: u64) -> Option<Outcome> {
        let mut invocation = self.shared.take.prepare_invoke();
        invocation.key(key).arg(step_us).arg(window_us);
        let mut connection = self.shared.connection.clone();
        let (debt_us, wait_us): (u64, u64) =
            self.ask(async move { invocation.invoke_async(&mut connection).await }).await?;
        Some(Outcome { debt_us, wait_us })
    }

    /// Gives back one that was taken, if it answers.
    pub(super) async fn give_back(&self, key: &str, step_us: u64) {
        let mut invocation = self.shared.give_back.prepare_invoke();
        invocation.key(key).arg(step_us);
        let mut connection = self.shared.connection.clone();
        self.ask(async move { invocation.invoke_async::<()>(&mut connection).await }).await;
    }

    /// Forgets a key, if it answers.
    pub(super) async fn forget(&self, key: &str) {
        let mut connection = self.shared.connection.clone();
        self.ask(async move { cmd("DEL").arg(key).query_async::<()>(&mut connection).await }).await;
    }

    async fn ask<T>(&self, question: impl Future<Output = RedisResult<T>>) -> Option<T> {
        let shared = &self.shared;
        let now_ms = u64::try_from(shared.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let away_until_ms = shared.away_until_ms.load(Ordering::Relaxed);
        if now_ms < away_until_ms {
            return None;
        }
        match question.await {
            Ok(answer) => {
                if away_until_ms > 0 && shared.away_until_ms.swap(0, Ordering::Relaxed) > 0 {
                    tracing::info!("Redis answers again");
                }
                Some(answer)
            }
            Err(error) => {
                let until_ms = now_ms + AWAY.as_millis() as u64;
                if shared.away_until_ms.swap(until_ms, Ordering::Relaxed) == 0 {
                    tracing::warn!(%error, "Redis does not answer; this node goes on by itself");
                }
                None
            }
        }
    }
}
