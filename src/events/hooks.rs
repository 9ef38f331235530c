//! Hooks that see a payload before it is written.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::{Map, Value};

use super::EventAction;
use crate::access::Context;
use crate::error::Result;

/// Sees the payload of a create or update, or nothing of a delete, and gives back what is to be written, or refuses.
///
/// What it gives back passes all checks afterwards. It runs before the transaction, so it may wait.
pub trait FilterHook: Send + Sync {
    /// Looks at one payload.
    fn filter<'h>(
        &'h self,
        ctx: &'h Context,
        collection: &'h str,
        action: EventAction,
        payload: Map<String, Value>,
    ) -> BoxFuture<'h, Result<Map<String, Value>>>;
}

/// The filter hooks in the order in which they run.
#[derive(Clone, Default)]
pub struct Hooks {
    filters: Vec<Arc<dyn FilterHook>>,
}

impl Hooks {
    /// Adds a hook behind those that are there.
    pub fn add(&mut self, hook: Arc<dyn FilterHook>) {
        self.filters.push(hook);
    }

    /// Nothing to ask.
    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// Lets every hook see the payload in turn.
    pub async fn filter(
        &self,
        ctx: &Context,
        collection: &str,
        action: EventAction,
        mut payload: Map<String, Value>,
    ) -> Result<Map<String, Value>> {
        for hook in &self.filters {
            payload = hook.filter(ctx, collection, action, payload).await?;
        }
        Ok(payload)
    }
}
