//! Keeps the storage from filling up with what nobody needs: content of uploads that broke off, and images that were made long ago.
//!
//! Content gets a mark before it is there and loses it once there is an item, or the content is gone. A process that ends in
//! between leaves the mark behind, and whoever finds it a day later removes what no item has. Content without a mark is never
//! looked at: it may be that of another server.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Library, transform};
use crate::error::Result;
use crate::items::Stored;
use crate::schema::Schema;
use crate::storage::{Location, Object};

/// Folder of the marks.
const FOLDER: &str = "unsettled";
/// How long content may be without an item; no upload takes as long.
const SETTLED_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// Images that were made, as far as they were counted: bytes per location.
pub(super) type Made = HashMap<String, u64>;

/// The mark of content.
pub(super) fn mark_of(filename_disk: &str) -> String {
    format!("{FOLDER}/{filename_disk}")
}

/// Marks of uploads that broke off more than a day ago.
pub async fn broken_off(location: &Location, now: Timestamp) -> Result<Vec<Object>> {
    let mut marks = location.list(FOLDER).await?;
    marks.retain(|mark| now.duration_since(mark.written_at) > SETTLED_WITHIN);
    Ok(marks)
}

impl Library<'_> {
    /// Takes the mark from content that has an item.
    pub(super) async fn unmark(&self, stored: &Stored) {
        let Some(location) = self.files.storage.find(&stored.storage) else { return };
        if let Err(error) = location.remove(&mark_of(&stored.filename_disk)).await {
            tracing::warn!(%error, name = stored.filename_disk, "a mark could not be removed yet");
        }
    }

    /// Removes what uploads left behind that broke off.
    pub(super) async fn sweep(&self, schema: &Arc<Schema>) {
        for location in self.files.storage.all() {
            // What is away is in the log; there will be another time.
            let Ok(marks) = broken_off(location, Timestamp::now()).await else { continue };
            for mark in marks {
                let Some(filename_disk) = mark.name.rsplit('/').next() else { continue };
                let stored =
                    Stored { storage: location.name().to_owned(), filename_disk: filename_disk.to_owned() };
                match self.remove_if_nobodys(schema, &stored).await {
                    Ok(()) => tracing::info!(name = stored.filename_disk, "swept up after an upload"),
                    Err(error) => {
                        tracing::warn!(%error, name = stored.filename_disk, "an upload could not be swept up yet");
                    }
                }
            }
        }
    }

    /// Counts an image that was made. When there are more bytes of them than allowed, the oldest go.
    pub(super) async fn keep_small(&self, made: &mut Made, location: &str, bytes: u64) {
        let most = self.files.config.assets.most_cache_bytes;
        let Some(location) = self.files.storage.find(location) else { return };
        let known = made.get(location.name()).map(|known| known + bytes);
        // What was made before the process began is counted with the first.
        let total = match known {
            Some(total) if total <= most => Ok(total),
            _ => shrink(location, most).await,
        };
        match total {
            Ok(total) => drop(made.insert(location.name().to_owned(), total)),
            Err(error) => tracing::warn!(%error, "images that were made could not be counted"),
        }
    }
}

/// Removes the oldest images until there is room again. Gives how many bytes are left.
async fn shrink(location: &Location, most: u64) -> Result<u64> {
    let mut images = location.list(transform::FOLDER).await?;
    let mut total: u64 = images.iter().map(|image| image.size_bytes).sum();
    if total <= most {
        return Ok(total);
    }
    images.sort_by_key(|image| image.written_at);
    // Some more than needed, so that the next image does not have to look again.
    let enough = most / 10 * 9;
    for image in images {
        if total <= enough {
            break;
        }
        location.remove(&image.name).await?;
        total -= image.size_bytes;
    }
    Ok(total)
}
