//! Transfers that go on behind an answer, and how far they are. Known to the node that does them, until an hour after their end.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use moka::sync::Cache;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::access::Context;
use crate::items::ImportProgress;

/// Transfers that are remembered, and how long.
const MOST_JOBS: u64 = 1000;
const KEPT: Duration = Duration::from_secs(60 * 60);

/// All that are remembered.
#[derive(Clone)]
pub(super) struct Jobs {
    kept: Cache<Uuid, Arc<Job>>,
}

/// One transfer.
pub struct Job {
    /// Names it.
    pub id: Uuid,
    kind: &'static str,
    collection: String,
    user: Option<String>,
    started: Timestamp,
    /// How far it is.
    pub progress: Arc<ImportProgress>,
    /// `None` while it is at work, then what became of it.
    outcome: Mutex<Option<Value>>,
}

impl Default for Jobs {
    fn default() -> Self {
        Jobs { kept: Cache::builder().max_capacity(MOST_JOBS).time_to_live(KEPT).build() }
    }
}

impl Jobs {
    pub(super) fn start(&self, kind: &'static str, ctx: &Context, collection: &str) -> Arc<Job> {
        let job = Arc::new(Job {
            id: Uuid::now_v7(),
            kind,
            collection: collection.to_owned(),
            user: ctx.accountability.user.clone(),
            started: ctx.now,
            progress: Arc::default(),
            outcome: Mutex::new(None),
        });
        self.kept.insert(job.id, job.clone());
        job
    }

    /// Those that somebody may know of: their own, administrators all.
    fn of<'j>(&'j self, ctx: &'j Context) -> impl Iterator<Item = Arc<Job>> + 'j {
        let user = &ctx.accountability.user;
        self.kept
            .iter()
            .map(|(_, job)| job)
            .filter(move |job| ctx.rules.is_everything() || (user.is_some() && job.user == *user))
    }

    pub(super) fn list(&self, ctx: &Context) -> Value {
        let mut all: Vec<Arc<Job>> = self.of(ctx).collect();
        all.sort_by_key(|job| job.id);
        all.iter().map(|job| job.told()).collect()
    }

    pub(super) fn find(&self, ctx: &Context, id: &str) -> Option<Value> {
        let id = Uuid::parse_str(id).ok()?;
        self.of(ctx).find(|job| job.id == id).map(|job| job.told())
    }
}

impl Job {
    /// Notes that it is over; `outcome` has `state` and what else there is to tell.
    pub fn end(&self, outcome: Value) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }

    fn told(&self) -> Value {
        let count = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
        let mut told = json!({
            "id": self.id,
            "kind": self.kind,
            "collection": self.collection,
            "user": self.user,
            "started": self.started.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            "state": "running",
            "written": count(&self.progress.written),
            "refused": count(&self.progress.refused),
        });
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Value::Object(told), Some(Value::Object(outcome))) = (&mut told, outcome.as_ref()) {
            told.extend(outcome.clone());
        }
        told
    }
}
