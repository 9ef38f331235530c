//! The model that is being served, and what is wrong with the one that is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::adopt::Catalogue;
use crate::schema::Schema;

/// Holds the current model. Reading it costs no lock; a new one is seen by the next request.
pub struct SchemaStore {
    schema: ArcSwap<Schema>,
    catalogue: ArcSwap<Catalogue>,
    status: ArcSwap<Status>,
    versions: AtomicU64,
    access: watch::Sender<()>,
    models: watch::Sender<()>,
}

/// How the files, the model and the database stand to each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Version of the model being served; grows with every change.
    pub version: u64,
    /// Findings in the files as they are now, as `file:line:column: message`. With errors among them the model is an older one.
    pub diagnostics: Vec<String>,
    /// The files cannot be used, or changing the database failed: the model is an older one.
    pub is_behind: bool,
    /// Steps that wait for somebody to allow them, each with what it would cost.
    pub pending: Vec<String>,
    /// What the database has and no file declares, and differences that no step can remove.
    pub drift: Vec<String>,
}

impl SchemaStore {
    /// Begins with this model.
    pub fn new(schema: Schema) -> Self {
        let version = schema.version;
        SchemaStore {
            schema: ArcSwap::from_pointee(schema),
            catalogue: ArcSwap::default(),
            status: ArcSwap::from_pointee(Status { version, ..Status::default() }),
            versions: AtomicU64::new(version),
            access: watch::Sender::new(()),
            models: watch::Sender::new(()),
        }
    }

    /// The model for the request that begins now.
    pub fn schema(&self) -> Arc<Schema> {
        self.schema.load_full()
    }

    /// What the database has beneath that model.
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue.load_full()
    }

    /// How things stand.
    pub fn status(&self) -> Arc<Status> {
        self.status.load_full()
    }

    /// Told whenever files changed who may do what.
    pub fn access_changes(&self) -> watch::Receiver<()> {
        self.access.subscribe()
    }

    /// Told whenever there is another model.
    pub fn model_changes(&self) -> watch::Receiver<()> {
        self.models.subscribe()
    }

    pub(super) fn announce_access(&self) {
        self.access.send_replace(());
    }

    /// A version that no model has had.
    pub(super) fn next_version(&self) -> u64 {
        self.versions.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn publish(&self, schema: Schema, catalogue: Catalogue, status: Status) {
        let status = Status { version: schema.version, ..status };
        self.catalogue.store(Arc::new(catalogue));
        self.schema.store(Arc::new(schema));
        self.status.store(Arc::new(status));
        self.models.send_replace(());
    }

    /// Keeps the model and says what is wrong.
    pub(super) fn report(&self, status: Status) {
        let version = self.schema.load().version;
        self.status.store(Arc::new(Status { version, ..status }));
    }
}
