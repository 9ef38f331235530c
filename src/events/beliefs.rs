//! What nodes remember of users and rights for a moment, and how a change of those acts on the next request of each of them.
//!
//! The node that makes the change forgets at once. Others believe what they read for a short time without asking, so the write is
//! answered only when that time is over: whoever has the answer is judged by the new rights everywhere.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::time::sleep;

use super::ItemEvent;
use crate::db::nodes::Nodes;

/// What was read just before a change may have been noted as read just after it.
const MARGIN: Duration = Duration::from_millis(200);

/// Forgets what these events are about.
pub type Forget = Box<dyn Fn(&[ItemEvent]) + Send + Sync>;

/// What is remembered of some collections.
pub struct Belief {
    /// Whether a collection is among them.
    pub is_about: fn(&str) -> bool,
    /// Forgets it on this node.
    pub forget: Forget,
    /// How long a node believes it without asking the database.
    pub lasts: Duration,
    /// The nodes that may believe it.
    pub nodes: Nodes,
}

impl Belief {
    async fn outlast(&self, events: &[ItemEvent]) {
        (self.forget)(events);
        if self.nodes.has_others().await {
            sleep(self.lasts + MARGIN).await;
        }
    }
}

/// The belief of this process, once there is one.
#[derive(Clone, Default)]
pub(super) struct Beliefs(Arc<ArcSwapOption<Belief>>);

impl Beliefs {
    pub(super) fn set(&self, belief: Belief) {
        self.0.store(Some(Arc::new(belief)));
    }

    /// Forgets what these events are about, here at once and elsewhere before this returns.
    pub(super) async fn forget(&self, events: &[ItemEvent]) {
        let Some(belief) = self.0.load_full() else { return };
        if events.iter().any(|event| (belief.is_about)(&event.collection)) {
            belief.outlast(events).await;
        }
    }

    /// The same for a change that no event tells of.
    pub(super) async fn outlast(&self) {
        if let Some(belief) = self.0.load_full() {
            belief.outlast(&[]).await;
        }
    }

    /// Whether another node may believe something; none where nothing is believed.
    pub(super) async fn has_others(&self) -> bool {
        match self.0.load_full() {
            Some(belief) => belief.nodes.has_others().await,
            None => false,
        }
    }

    /// How many other nodes have ended without a word.
    pub(super) fn vanished_nodes(&self) -> u64 {
        self.0.load_full().map_or(0, |belief| belief.nodes.vanished())
    }

    pub(super) async fn leave(&self) {
        if let Some(belief) = self.0.load_full() {
            belief.nodes.leave().await;
        }
    }
}
