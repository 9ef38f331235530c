//! Emptying the outbox: behind the listeners, and after a crash.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{ItemEvent, Listeners};
use crate::db::{Database, Row, Transaction};
use crate::error::Result;
use crate::sql::{Dialect, journal as statements};

/// Delivered rows are removed together, this often.
const REMOVAL_EVERY: Duration = Duration::from_millis(250);
/// Rows that somebody else left behind are looked for this often.
const RECOVERY_EVERY: Duration = Duration::from_secs(60);
/// A row this old on a shared database belongs to a node that is gone.
const GRACE: SignedDuration = SignedDuration::from_secs(60);
/// Rows in one statement.
pub(super) const ROWS_AT_ONCE: usize = 4096;

/// Removes rows that were delivered, and dispatches those that nobody delivered. Ends when nobody can send any more.
pub(super) async fn sweep(
    database: Database,
    listeners: Listeners,
    mut delivered: mpsc::UnboundedReceiver<Vec<i64>>,
) {
    let mut recovery = interval(RECOVERY_EVERY);
    recovery.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick comes at once; the first recovery is the caller's.
    recovery.tick().await;
    loop {
        let mut waiting = tokio::select! {
            ids = delivered.recv() => match ids {
                Some(ids) => ids,
                None => return,
            },
            _ = recovery.tick(), if database.dialect() != Dialect::Sqlite => {
                if let Err(error) = recover(&database, &listeners, GRACE).await {
                    tracing::warn!(%error, "the outbox could not be looked through; it will be again");
                }
                continue;
            }
        };
        while !waiting.is_empty() {
            // Nobody listens to the channel meanwhile, so that those who write do not wake this task each time.
            sleep(REMOVAL_EVERY).await;
            while let Ok(ids) = delivered.try_recv() {
                waiting.extend(ids);
            }
            remove(&database, &mut waiting).await;
            if delivered.is_closed() && delivered.is_empty() {
                return;
            }
        }
    }
}

/// Rows younger than this may be at work elsewhere.
pub(super) fn grace(database: &Database) -> SignedDuration {
    match database.dialect() {
        // The file has one writer: us. A second ahead, so that nothing of this moment is left.
        Dialect::Sqlite => SignedDuration::from_secs(-1),
        Dialect::Postgres | Dialect::Mysql => GRACE,
    }
}

/// Removes these rows; what cannot be removed now stays for the next time.
async fn remove(database: &Database, waiting: &mut Vec<i64>) {
    while !waiting.is_empty() {
        let ids: Vec<i64> = waiting.iter().take(ROWS_AT_ONCE).copied().collect();
        let count = ids.len();
        let statement = statements::delete_outbox(database.dialect(), &ids);
        let removed =
            database.transaction(move |tx| async move { tx.execute(&statement).await }.boxed()).await;
        if let Err(error) = removed {
            tracing::warn!(%error, "delivered events could not be removed from the outbox yet");
            return;
        }
        waiting.drain(..count);
    }
}

/// Dispatches and removes rows older than `grace`, each on one node only. Gives how many.
pub(super) async fn recover(
    database: &Database,
    listeners: &Listeners,
    grace: SignedDuration,
) -> Result<usize> {
    let before = Timestamp::now().saturating_sub(grace).unwrap_or(Timestamp::now());
    let before = before.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    let mut count = 0;
    loop {
        let (listeners, before) = (listeners.clone(), before.clone());
        let found = database
            .transaction(move |tx| async move { claim(tx, &listeners, &before).await }.boxed())
            .await?
            .into_inner();
        count += found;
        if found < ROWS_AT_ONCE {
            return Ok(count);
        }
    }
}

/// Sending waits for nobody, so it may happen inside: the rows were committed by their own transaction long ago.
async fn claim(tx: &mut Transaction, listeners: &Listeners, before: &str) -> Result<usize> {
    let rows = tx.rows(&statements::claim_outbox(tx.dialect(), before, ROWS_AT_ONCE as u32)).await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let ids: Vec<i64> = rows.iter().filter_map(|row| row.int(0)).collect();
    for event in rows.iter().filter_map(event) {
        listeners.tell(event);
    }
    tx.execute(&statements::delete_outbox(tx.dialect(), &ids)).await?;
    Ok(rows.len())
}

/// The events with these numbers.
pub(super) async fn read(database: &Database, ids: &[i64]) -> Result<Vec<ItemEvent>> {
    let rows = database.rows(&statements::read_outbox(database.dialect(), ids)).await?;
    Ok(rows.iter().filter_map(event).collect())
}

fn event(row: &Row) -> Option<ItemEvent> {
    Some(ItemEvent {
        outbox_id: row.int(0)?,
        event: row.text(1)?.clone(),
        collection: row.text(2)?.clone(),
        key: row.text(3)?.clone(),
        payload: row.text(4).cloned(),
        accountability: row.text(5).cloned().unwrap_or_else(|| Arc::from("{}")),
    })
}
