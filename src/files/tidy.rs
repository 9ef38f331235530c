//! Removes content that no item has: behind items that are gone or have other content, and behind uploads that came to nothing.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, interval, sleep_until};
use uuid::Uuid;

use super::sweep::{self, Made};
use super::{FILES, Leftover, Library, as_server, transform};
use crate::error::Result;
use crate::events::ItemEvent;
use crate::items::{LEFT_EVENT, Stored};
use crate::query::Selection;
use crate::schema::Schema;

/// Longer than any transaction runs.
const UNDECIDED_FOR: Duration = Duration::from_secs(120);
/// After a failure it is tried again this much later.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Uploads in pieces that nobody goes on with are looked for this often.
const EXPIRE_EVERY: Duration = Duration::from_secs(300);

/// Content that may have no item, on its way to who looks.
pub struct Leftovers {
    received: mpsc::UnboundedReceiver<Leftover>,
}

impl Leftovers {
    pub(super) fn new(received: mpsc::UnboundedReceiver<Leftover>) -> Self {
        Leftovers { received }
    }
}

/// Tidies up until the process ends. `events` are those of the committed writes, `schema` gives the model of now.
pub async fn tidy(
    library: Library<'_>,
    schema: impl Fn() -> Arc<Schema> + Send,
    mut events: broadcast::Receiver<Arc<ItemEvent>>,
    mut leftovers: Leftovers,
) {
    let mut later: Vec<(Instant, Stored)> = Vec::new();
    let mut made = Made::default();
    let mut expiry = interval(EXPIRE_EVERY);
    loop {
        let next = later.iter().map(|(at, _)| *at).min();
        let stored = tokio::select! {
            event = events.recv() => match event {
                Ok(event) => left(&event),
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "content of removed files may stay in the storage");
                    None
                }
                Err(broadcast::error::RecvError::Closed) => return,
            },
            Some(leftover) = leftovers.received.recv() => match leftover {
                Leftover::Nobodys(stored) => Some(stored),
                Leftover::Undecided(stored) => {
                    later.push((Instant::now() + UNDECIDED_FOR, stored));
                    None
                }
                Leftover::Settled(stored) => {
                    library.unmark(&stored).await;
                    None
                }
                Leftover::Made(location, bytes) => {
                    library.keep_small(&mut made, &location, bytes).await;
                    None
                }
            },
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                let due = later.iter().position(|(at, _)| *at <= Instant::now());
                due.map(|due| later.swap_remove(due).1)
            }
            _ = expiry.tick() => {
                library.expire_uploads().await;
                library.sweep(&schema()).await;
                None
            }
        };
        let Some(stored) = stored else { continue };
        if let Err(error) = library.remove_if_nobodys(&schema(), &stored).await {
            tracing::warn!(%error, name = stored.filename_disk, "content without a file could not be removed yet");
            later.push((Instant::now() + AGAIN_AFTER, stored));
        }
    }
}

fn left(event: &ItemEvent) -> Option<Stored> {
    if *event.event != *LEFT_EVENT {
        return None;
    }
    serde_json::from_str(event.payload.as_deref()?).ok()
}

impl Library<'_> {
    /// Removes content and the images made of it, unless an item has it.
    pub(super) async fn remove_if_nobodys(&self, schema: &Arc<Schema>, stored: &Stored) -> Result<()> {
        let ctx = as_server(schema, Timestamp::now(), Uuid::now_v7());
        let query = json!({ "fields": "id", "limit": 1, "filter": {
            "storage": { "_eq": stored.storage }, "filename_disk": { "_eq": stored.filename_disk },
        } });
        let found = self.read(&ctx, FILES, Selection::Query, query).await?;
        let is_somebodys = found.as_array().is_none_or(|found: &Vec<Value>| !found.is_empty());
        let Some(location) = self.files.storage.find(&stored.storage) else { return Ok(()) };
        if !is_somebodys {
            location.remove(&stored.filename_disk).await?;
            location.remove_folder(&transform::folder_of(&stored.filename_disk)).await?;
        }
        location.remove(&sweep::mark_of(&stored.filename_disk)).await
    }
}
