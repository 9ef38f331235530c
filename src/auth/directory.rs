//! Who may do what, as the database says: loaded when first asked for, kept until something about it changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use serde_json::Value;
use tokio::sync::Mutex;

use super::callers::BELIEVED;
use super::store::Store;
use crate::access::{Directory, Grant, PermissionRow, PolicyRow, Role};
use crate::db::Row;
use crate::error::{Error, Result};
use crate::schema::Schema;

/// The directory of this process.
pub(super) struct Directories {
    current: ArcSwapOption<Loaded>,
    /// One loads while the others wait. Holds when that last failed because the database is away.
    loading: Mutex<Option<Outage>>,
    generation: AtomicU64,
}

/// The database was away.
struct Outage {
    at: Instant,
    service: &'static str,
    reason: String,
    retry_after_s: u32,
}

impl Outage {
    fn of(error: &Error) -> Option<Self> {
        let Error::ServiceUnavailable { service, reason, retry_after_s } = error else { return None };
        Some(Outage { at: Instant::now(), service, reason: reason.clone(), retry_after_s: *retry_after_s })
    }

    fn error(&self) -> Error {
        Error::ServiceUnavailable {
            service: self.service,
            reason: self.reason.clone(),
            retry_after_s: self.retry_after_s,
        }
    }
}

struct Loaded {
    directory: Arc<Directory>,
    at: Instant,
    /// What had been forgotten by then.
    generation: u64,
    /// What it was made of, to notice that nothing has changed.
    rows: Rows,
}

impl Directories {
    pub(super) fn new() -> Self {
        Directories {
            current: ArcSwapOption::empty(),
            loading: Mutex::default(),
            generation: AtomicU64::new(0),
        }
    }

    /// What was loaded is believed no more.
    pub(super) fn forget(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// The directory as it is now.
    pub(super) async fn current(&self, store: &Store, schema: &Schema) -> Result<Arc<Directory>> {
        match self.believed() {
            Some(directory) => Ok(directory),
            // Rarely, and large: requests should not carry it along.
            None => Box::pin(self.load(store, schema)).await,
        }
    }

    async fn load(&self, store: &Store, schema: &Schema) -> Result<Arc<Directory>> {
        let began = Instant::now();
        let mut failed = self.loading.lock().await;
        if let Some(directory) = self.believed() {
            return Ok(directory);
        }
        // Who waited for an attempt that failed does not wait for another of its own.
        if let Some(outage) = failed.as_ref().filter(|outage| outage.at >= began) {
            return Err(outage.error());
        }
        let generation = self.generation.load(Ordering::Acquire);
        let rows = Rows::read(store, schema).await.inspect_err(|error| {
            *failed = Outage::of(error);
        })?;
        let known = self.current.load_full();
        // The same rows are the same directory: what was compiled for it stays.
        let directory = match known.as_ref().filter(|known| known.rows == rows) {
            Some(known) => known.directory.clone(),
            None => Arc::new(rows.directory()),
        };
        // What changes while this is read makes it good for this request only.
        let loaded = Loaded { directory: directory.clone(), at: Instant::now(), generation, rows };
        self.current.store(Some(Arc::new(loaded)));
        Ok(directory)
    }

    fn believed(&self) -> Option<Arc<Directory>> {
        let loaded = self.current.load();
        let generation = self.generation.load(Ordering::Acquire);
        let is_believed =
            |loaded: &&Arc<Loaded>| loaded.generation == generation && loaded.at.elapsed() < BELIEVED;
        loaded.as_ref().filter(is_believed).map(|loaded| loaded.directory.clone())
    }
}

/// The rows that a directory is made of.
#[derive(PartialEq)]
struct Rows {
    roles: Vec<Row>,
    policies: Vec<Row>,
    access: Vec<Row>,
    permissions: Vec<Row>,
}

impl Rows {
    async fn read(store: &Store, schema: &Schema) -> Result<Self> {
        let policy = ["id", "name", "admin_access", "app_access", "enforce_tfa", "ip_access"];
        let permission =
            ["id", "policy", "collection", "action", "permissions", "validation", "presets", "fields"];
        Ok(Rows {
            roles: store.all(schema, "directus_roles", &["id", "parent"]).await?,
            policies: store.all(schema, "directus_policies", &policy).await?,
            access: store.all(schema, "directus_access", &["role", "user", "policy", "sort"]).await?,
            permissions: store.all(schema, "directus_permissions", &permission).await?,
        })
    }

    fn directory(&self) -> Directory {
        let roles = self.roles.iter().map(|row| Role { id: required(row, 0), parent: text(row, 1) });
        let policies = self.policies.iter().map(|row| PolicyRow {
            id: required(row, 0),
            name: required(row, 1),
            admin: row.bool(2) == Some(true),
            app: row.bool(3) == Some(true),
            enforce_tfa: row.bool(4) == Some(true),
            ip_access: required(row, 5),
        });
        let grants = self.access.iter().map(|row| Grant {
            role: text(row, 0),
            user: text(row, 1),
            policy: required(row, 2),
            sort: row.int(3).unwrap_or(i64::MAX),
        });
        let permissions: Vec<PermissionRow> = self
            .permissions
            .iter()
            .map(|row| PermissionRow {
                id: row.int(0).map(|id| id.to_string()).or_else(|| text(row, 0)).unwrap_or_default(),
                policy: required(row, 1),
                collection: required(row, 2),
                action: required(row, 3),
                permissions: json(row, 4),
                validation: json(row, 5),
                presets: json(row, 6),
                fields: text(row, 7).map(|list| list.split(',').map(|name| name.trim().to_owned()).collect()),
            })
            .collect();
        Directory::new(roles.collect(), policies.collect(), grants.collect(), &permissions)
    }
}

fn text(row: &Row, column: usize) -> Option<String> {
    row.text(column).map(|text| text.to_string())
}

fn required(row: &Row, column: usize) -> String {
    text(row, column).unwrap_or_default()
}

/// A JSON column. What is no JSON becomes a text, which no filter is, so that the permission allows nothing.
fn json(row: &Row, column: usize) -> Value {
    match row.text(column) {
        Some(text) => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_string())),
        None => Value::Null,
    }
}
