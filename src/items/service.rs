//! The value behind the door.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwapOption;

use super::idempotency::Running;
use super::journal::CountingStep;
use super::read::PlanCache;
use super::validate::Rules;
use super::versions::{Marks, plain_marks};
use crate::access::Context;
use crate::db::Database;
use crate::error::Result;
use crate::events::Events;
use crate::query::QueryLimits;
use crate::schema::Schema;

/// Limits of reads and writes, from the configuration.
#[derive(Debug, Clone)]
pub struct ItemsSettings {
    /// What a query may ask for.
    pub query: QueryLimits,
    /// Levels of items below the first in one payload.
    pub max_relational_depth: usize,
    /// Items that one request may change; `None` for any number.
    pub max_batch: Option<u64>,
}

impl Default for ItemsSettings {
    fn default() -> Self {
        ItemsSettings { query: QueryLimits::default(), max_relational_depth: 10, max_batch: None }
    }
}

/// Reads and writes items. One for the whole process.
pub struct ItemsService {
    pub(super) database: Database,
    pub(super) events: Events,
    pub(super) settings: ItemsSettings,
    pub(super) counting_step: CountingStep,
    pub(super) running: Running,
    pub(super) plans: PlanCache,
    pub(super) marks: Marks,
    /// When answers under idempotency keys were last thrown away, in seconds since 1970.
    last_forgotten_s: AtomicI64,
    rules: ArcSwapOption<Rules>,
}

impl ItemsService {
    /// A door to this database that announces through these events.
    pub fn new(database: Database, events: Events, settings: ItemsSettings) -> Self {
        ItemsService {
            database,
            events,
            settings,
            counting_step: CountingStep::default(),
            running: Running::default(),
            plans: PlanCache::default(),
            marks: plain_marks(),
            last_forgotten_s: AtomicI64::new(0),
            rules: ArcSwapOption::empty(),
        }
    }

    /// The same door, with marks that have a key.
    pub fn with_marks(self, marks: Marks) -> Self {
        ItemsService { marks, ..self }
    }

    /// Forgets what was planned for reads that may come again.
    pub fn forget_plans(&self) {
        self.plans.forget();
    }

    /// Whether the database answers. Fails with `ServiceUnavailable` when it does not.
    pub async fn check_database(&self) -> Result<()> {
        self.database.check().await
    }

    /// The compiled rules of a model; made anew when the model has changed.
    pub(super) fn rules(&self, schema: &Schema) -> Arc<Rules> {
        if let Some(rules) = self.rules.load().as_ref().filter(|rules| rules.version == schema.version) {
            return rules.clone();
        }
        let rules = Arc::new(Rules::new(schema));
        // A request that still works with an older model keeps its rules to itself.
        let is_newer = self.rules.load().as_ref().is_none_or(|known| known.version < schema.version);
        if is_newer {
            self.rules.store(Some(rules.clone()));
        }
        rules
    }

    /// Is it time to throw old answers away? True for one caller per interval.
    pub(super) fn is_time_to_forget(&self, ctx: &Context, every_s: i64) -> bool {
        let now_s = ctx.now.as_second();
        let last_s = self.last_forgotten_s.load(Ordering::Relaxed);
        now_s - last_s >= every_s
            && self
                .last_forgotten_s
                .compare_exchange(last_s, now_s, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}
