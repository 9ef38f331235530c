//! Connections kept open.
//!
//! sqlx's own pool asks the server whether a connection still lives each time one is given back, which is a round trip per request;
//! here only a connection that was used to a clean end is kept, and every other is closed.

use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use sqlx::{ConnectOptions as _, Connection as _, Executor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::{Server, discard, is_lost, translate, unavailable};
use crate::db::Settings;
use crate::error::{Error, Result};

/// Pause between two attempts to reach a server that is away.
const RETRY: Duration = Duration::from_millis(100);

/// For so long after it was used a connection is taken to be alive without asking.
const FRESH: Duration = Duration::from_secs(1);

/// Prepared statements that a connection keeps.
pub(super) const STATEMENT_CACHE: usize = 500;
/// With this many prepared, a connection closes them all before it is used again: a single one that had to go in favour of
/// another would cost a round trip (PostgreSQL) or the delayed acknowledgement of a packet without an answer (MariaDB: 40 ms)
/// in the middle of a request.
const STATEMENTS_FULL: usize = STATEMENT_CACHE - 20;

/// A bounded number of connections.
pub(super) struct Pool<S: Server> {
    shared: Arc<Shared<S>>,
}

struct Shared<S: Server> {
    options: <S::Connection as sqlx::Connection>::Options,
    session: Vec<String>,
    settings: Settings,
    permits: Arc<Semaphore>,
    /// Those that nobody uses, with the thread whose event loop wakes them: another thread can use them, but slower.
    idle: Mutex<Vec<Kept<S>>>,
}

/// An open connection.
struct Kept<S: Server> {
    thread: ThreadId,
    connection: S::Connection,
    /// It reaches the rows of some tenants only.
    is_confined: bool,
    /// When it was opened or given back.
    used_at: Instant,
}

/// A connection in use. Dropped without [`Pooled::release`] it is closed, since nobody knows where its protocol stands.
pub(super) struct Pooled<S: Server> {
    kept: Option<Kept<S>>,
    shared: Arc<Shared<S>>,
    was_idle: bool,
    _permit: OwnedSemaphorePermit,
}

impl<S: Server> Pool<S>
where
    for<'c> &'c mut S::Connection: Executor<'c, Database = S>,
{
    pub(super) fn new(
        options: <S::Connection as sqlx::Connection>::Options,
        session: Vec<String>,
        settings: &Settings,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(settings.pool_size.max(1) as usize));
        let shared =
            Shared { options, session, settings: settings.clone(), permits, idle: Mutex::new(Vec::new()) };
        Pool { shared: Arc::new(shared) }
    }

    /// How many connections are in use, and how many are open and idle.
    pub(super) fn connections(&self) -> (usize, usize) {
        let shared = &self.shared;
        let most = shared.settings.pool_size.max(1) as usize;
        let used = most.saturating_sub(shared.permits.available_permits());
        let idle = shared.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).len();
        (used, idle)
    }

    /// Waits for a connection, and for a server that is away, up to the limit of the settings.
    pub(super) async fn acquire(&self) -> Result<Pooled<S>> {
        let shared = &self.shared;
        let deadline = Instant::now() + shared.settings.acquire_timeout;
        let permit = match shared.permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => tokio::time::timeout_at(deadline, shared.permits.clone().acquire_owned())
                .await
                .map_err(|_| unavailable("All connections are in use."))?
                .map_err(Error::internal)?,
        };
        let pooled =
            |kept, was_idle| Pooled { kept: Some(kept), shared: shared.clone(), was_idle, _permit: permit };
        if let Some(kept) = shared.take_idle() {
            return Ok(pooled(kept, true));
        }
        let connection = tokio::time::timeout_at(deadline, shared.connect(deadline))
            .await
            .map_err(|_| unavailable("It cannot be reached."))??;
        let (thread, used_at) = (thread::current().id(), Instant::now());
        Ok(pooled(Kept { thread, connection, is_confined: false, used_at }, false))
    }
}

impl<S: Server> Shared<S> {
    fn take_idle(&self) -> Option<Kept<S>> {
        let here = thread::current().id();
        let mut idle = self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let own = idle.iter().rposition(|kept| kept.thread == here);
        match own {
            Some(position) => Some(idle.swap_remove(position)),
            None => idle.pop(),
        }
    }

    fn give_back(&self, mut kept: Kept<S>) {
        kept.used_at = Instant::now();
        self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(kept);
    }

    async fn connect(&self, deadline: Instant) -> Result<S::Connection>
    where
        for<'c> &'c mut S::Connection: Executor<'c, Database = S>,
    {
        loop {
            match self.open().await {
                Ok(connection) => return Ok(connection),
                Err(error @ Error::ServiceUnavailable { .. }) if Instant::now() + RETRY >= deadline => {
                    return Err(error);
                }
                Err(Error::ServiceUnavailable { .. }) => tokio::time::sleep(RETRY).await,
                Err(error) => return Err(error),
            }
        }
    }

    async fn open(&self) -> Result<S::Connection>
    where
        for<'c> &'c mut S::Connection: Executor<'c, Database = S>,
    {
        let failed = |error| translate::<S>(error, &self.settings);
        let mut connection = self.options.connect().await.map_err(failed)?;
        for text in &self.session {
            connection.execute(sqlx::AssertSqlSafe(text.clone())).await.map_err(failed)?;
        }
        connection.shrink_buffers();
        Ok(connection)
    }
}

impl<S: Server> Pooled<S> {
    /// The connection itself.
    pub(super) fn get(&mut self) -> Result<&mut S::Connection> {
        match &mut self.kept {
            Some(kept) => Ok(&mut kept.connection),
            None => Err(Error::internal(anyhow::anyhow!("a connection is used after its release"))),
        }
    }

    /// It lay idle before, so that the server may have closed it since.
    pub(super) fn was_idle(&self) -> bool {
        self.was_idle
    }

    /// It was used or opened just now, so that the server has hardly had the time to close it.
    pub(super) fn is_fresh(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.used_at.elapsed() < FRESH)
    }

    /// It reaches the rows of some tenants only.
    pub(super) fn is_confined(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.is_confined)
    }

    /// Notes what it reaches from now on, before that is so.
    pub(super) fn set_confined(&mut self, is_confined: bool) {
        if let Some(kept) = &mut self.kept {
            kept.is_confined = is_confined;
        }
    }

    /// Ends a read: gives the connection back where it still serves. `None` where it was lost while it lay idle, so that the
    /// read is worth another try.
    pub(super) fn settle<T>(self, result: Result<T>) -> Option<Result<T>> {
        match result {
            Err(error) if is_lost(&error) => (!self.was_idle).then_some(Err(error)),
            result => {
                self.release();
                Some(result)
            }
        }
    }

    /// Gives it back; only after a clean end.
    pub(super) fn release(mut self) {
        let is_full = |kept: &Kept<S>| kept.connection.cached_statements_size() >= STATEMENTS_FULL;
        if self.kept.as_ref().is_some_and(is_full) {
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(self.empty());
            }
        } else if let Some(kept) = self.kept.take() {
            self.shared.give_back(kept);
        }
    }

    /// Closes the prepared statements, waits until the server has done so, and gives the connection back.
    async fn empty(mut self) {
        let Some(Kept { connection, .. }) = &mut self.kept else { return };
        let emptied = async {
            connection.clear_cached_statements().await?;
            connection.ping().await
        };
        let is_empty = matches!(tokio::time::timeout(Duration::from_secs(5), emptied).await, Ok(Ok(())));
        if let Some(kept) = self.kept.take_if(|_| is_empty) {
            self.shared.give_back(kept);
        }
    }
}

impl<S: Server> Drop for Pooled<S> {
    fn drop(&mut self) {
        if let Some(kept) = self.kept.take() {
            discard::<S>(kept.connection);
        }
    }
}
