//! Items to files and from files.
//!
//! Start at [`Transfers`]. `write` makes files of rows and `read` rows of files, a few at a time in both directions, so that the
//! number of rows does not matter; `archive` puts files of the library into one; which rows and what may become of them is the business of `items`. Work with files is done on
//! threads of its own.

mod archive;
mod batch;
mod cells;
mod export;
mod format;
mod import;
mod jobs;
mod read;
mod write;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::access::Context;
use crate::config::TransferConfig;
use crate::error::{Error, Result};
use jobs::Jobs;

pub use batch::{Batch, BatchMode};
pub use export::{FileStream, one_file};
pub use format::Format;
pub use import::{Imported, Mode};
pub use jobs::Job;

/// How long a transfer waits for others to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Carries items over, not too many at a time.
pub struct Transfers {
    places: Arc<Semaphore>,
    jobs: Jobs,
    /// Most bytes of a file that is imported.
    pub most_bytes: u64,
}

impl Transfers {
    /// At most so many at the same time, of files that are at most so large.
    pub fn new(config: &TransferConfig) -> Self {
        Transfers {
            places: Arc::new(Semaphore::new(config.at_once)),
            jobs: Jobs::default(),
            most_bytes: config.import_max_bytes,
        }
    }

    /// Notes a transfer that goes on behind the answer.
    pub fn begin(&self, kind: &'static str, ctx: &Context, collection: &str) -> Arc<Job> {
        self.jobs.start(kind, ctx, collection)
    }

    /// Transfers that go on or have ended lately: one's own, for administrators all.
    pub fn list(&self, ctx: &Context) -> Value {
        self.jobs.list(ctx)
    }

    /// One of them.
    pub fn find(&self, ctx: &Context, id: &str) -> Option<Value> {
        self.jobs.find(ctx, id)
    }

    /// A place among those that are at work. Fails with `ServiceUnavailable` when none becomes free.
    async fn place(&self) -> Result<OwnedSemaphorePermit> {
        let busy = || Error::ServiceUnavailable {
            service: "transfer",
            reason: "Too many imports and exports are at work.".to_owned(),
            retry_after_s: 10,
        };
        let place = tokio::time::timeout(PATIENCE, self.places.clone().acquire_owned()).await;
        place.map_err(|_| busy())?.map_err(|_| busy())
    }
}
