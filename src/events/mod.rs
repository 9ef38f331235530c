//! What happened to items, told to whoever wants to know.
//!
//! Start at [`Events`]. Filter hooks see a payload before it is written and may change or refuse it. Events are rows of the
//! outbox, written in the transaction they tell of; after the commit [`Events::dispatch`] hands them to the listeners of this
//! node, and only then are they removed, so that a crash delays them and never loses them. Knows nobody who listens.

mod beliefs;
mod hooks;
mod outbox;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot};

use crate::db::{Committed, Database};
use crate::schema::Collection;

pub use beliefs::Belief;
use beliefs::Beliefs;
pub use hooks::{FilterHook, Hooks};

/// Events of many who write at the same time are handed on together, this often.
const PAUSE: Duration = Duration::from_millis(2);

/// For so many pauses a slow listener is waited for.
const MOST_PAUSES: u32 = 50;

/// Events that a slow listener may be behind before it misses some.
const BROADCAST_CAPACITY: usize = 4096;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventAction {
    /// An item was made.
    Create,
    /// An item was changed.
    Update,
    /// An item was removed.
    Delete,
}

impl EventAction {
    /// Its name in activity and events.
    pub fn name(self) -> &'static str {
        match self {
            EventAction::Create => "create",
            EventAction::Update => "update",
            EventAction::Delete => "delete",
        }
    }

    /// Name of the event: `items.create`, for system collections `users.create`.
    pub fn event_of(self, collection: &Collection) -> Arc<str> {
        let scope = if collection.is_system() {
            collection.name.strip_prefix("directus_").unwrap_or(&collection.name)
        } else {
            "items"
        };
        format!("{scope}.{}", self.name()).into()
    }
}

/// Something that was committed.
#[derive(Debug, Clone)]
pub struct ItemEvent {
    /// Number of its row in the outbox.
    pub outbox_id: i64,
    /// Name of the event, `items.create`.
    pub event: Arc<str>,
    /// Name of the collection.
    pub collection: Arc<str>,
    /// Key of the item, as text.
    pub key: Arc<str>,
    /// What was sent, as a JSON object; `None` for a deletion.
    pub payload: Option<Arc<str>>,
    /// Who did it, as a JSON object with `user`, `role`, `admin`.
    pub accountability: Arc<str>,
}

/// Fan-out to the listeners of this node. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    hooks: Arc<Hooks>,
    listeners: Listeners,
    beliefs: Beliefs,
    committed: mpsc::UnboundedSender<Announced>,
}

/// Events on their way to the listeners.
struct Announced {
    events: Vec<ItemEvent>,
    /// Told when the listeners have been.
    told: Option<oneshot::Sender<()>>,
}

/// The ways to the listeners of this node.
#[derive(Clone)]
struct Listeners {
    all: broadcast::Sender<Arc<ItemEvent>>,
}

impl Listeners {
    fn tell(&self, event: ItemEvent) {
        // Nobody listening is no fault.
        let _ = self.all.send(Arc::new(event));
    }

    /// More events wait for a listener than it should be told on top of.
    fn are_behind(&self) -> bool {
        self.all.len() >= BROADCAST_CAPACITY / 2
    }

    /// Waits for those who are behind, but not for long. Gives whether they have caught up.
    async fn wait(&self) -> bool {
        for _ in 0..MOST_PAUSES {
            if !self.are_behind() {
                return true;
            }
            tokio::time::sleep(PAUSE).await;
        }
        false
    }
}

/// Tells the listeners what was committed, and hands on the numbers of what they were told.
async fn forward(
    listeners: Listeners,
    mut committed: mpsc::UnboundedReceiver<Announced>,
    delivered: mpsc::UnboundedSender<Vec<i64>>,
) {
    // A listener who is slow is waited for once, and then misses what it misses until it has caught up.
    let mut is_patient = true;
    while let Some(first) = committed.recv().await {
        let mut ids = Vec::with_capacity(first.events.len());
        let mut next = Some(first);
        let mut count = 0;
        while let Some(Announced { events, told }) = next {
            for event in events {
                ids.push(event.outbox_id);
                if listeners.are_behind() {
                    is_patient = is_patient && listeners.wait().await;
                } else {
                    is_patient = true;
                }
                listeners.tell(event);
            }
            // Who does not wait any more need not be told.
            let _ = told.map(|told| told.send(()));
            count += 1;
            next = committed.try_recv().ok();
        }
        // The task ends with the process only; what is not removed is dispatched at the next start.
        let _ = delivered.send(ids);
        // Where many write, nobody listens to the channel for a moment, so that they do not wake this task and the listeners
        // each time. Who writes alone is told of at once.
        if count > 1 {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Events {
    /// Starts the tasks that tell the listeners and empty the outbox behind them; they end when the last clone is gone.
    ///
    /// Events that an earlier process left behind are dispatched once [`Events::recover`] is called.
    pub fn start(database: Database, hooks: Hooks) -> Self {
        let listeners = Listeners { all: broadcast::channel(BROADCAST_CAPACITY).0 };
        let (delivered, finished) = mpsc::unbounded_channel();
        let (committed, announced) = mpsc::unbounded_channel();
        tokio::spawn(outbox::sweep(database, listeners.clone(), finished));
        tokio::spawn(forward(listeners.clone(), announced, delivered));
        Events { hooks: Arc::new(hooks), listeners, beliefs: Beliefs::default(), committed }
    }

    /// The filter hooks.
    pub fn hooks(&self) -> &Hooks {
        &self.hooks
    }

    /// Every event from now on. A listener that falls far behind is told how many it missed.
    pub fn listen(&self) -> broadcast::Receiver<Arc<ItemEvent>> {
        self.listeners.all.subscribe()
    }

    /// From now on a write to what this belief is about is answered when nobody believes the old any more.
    pub fn believe(&self, belief: Belief) {
        self.beliefs.set(belief);
    }

    /// Returns when nobody believes any more what was read before now; for changes of sessions, which are no events.
    pub async fn outlast_beliefs(&self) {
        self.beliefs.outlast().await;
    }

    /// Whether another node may change what this one believes.
    pub async fn has_other_nodes(&self) -> bool {
        self.beliefs.has_others().await
    }

    /// How many other nodes have ended without a word, as far as [`Events::has_other_nodes`] has seen: what such a node committed last,
    /// it may have told nobody.
    pub fn vanished_nodes(&self) -> u64 {
        self.beliefs.vanished_nodes()
    }

    /// The last act of a node: others need not wait for it.
    pub async fn leave(&self) {
        self.beliefs.leave().await;
    }

    /// Announces what was committed.
    pub async fn dispatch(&self, committed: Committed<Vec<ItemEvent>>) {
        self.announce(committed.into_inner()).await;
    }

    async fn announce(&self, events: Vec<ItemEvent>) {
        if events.is_empty() {
            return;
        }
        self.beliefs.forget(&events).await;
        // The task that takes it ends with the process only.
        let _ = self.committed.send(Announced { events, told: None });
    }

    /// The same; returns when the listeners have been told, so that not all of many events are on their way at once.
    async fn announce_in_turn(&self, events: Vec<ItemEvent>) {
        self.beliefs.forget(&events).await;
        let (told, done) = oneshot::channel();
        if self.committed.send(Announced { events, told: Some(told) }).is_ok() {
            let _ = done.await;
        }
    }

    /// Announces what was committed, where it may be too much to be kept in memory: these events, and those whose rows in the
    /// outbox have these numbers.
    pub async fn dispatch_many(&self, database: &Database, committed: Committed<(Vec<ItemEvent>, Vec<i64>)>) {
        let (others, events) = committed.split();
        self.announce_in_turn(events).await;
        for ids in others.into_inner().chunks(outbox::ROWS_AT_ONCE) {
            match outbox::read(database, ids).await {
                Ok(events) => self.announce_in_turn(events).await,
                // They are in the outbox still, and are found there like those of a process that ended.
                Err(error) => tracing::warn!(%error, "events could not be read back yet"),
            }
        }
    }

    /// Dispatches what an earlier process committed and did not get to announce. Called once, when the listeners are there.
    ///
    /// On a database of its own (SQLite) that is everything in the outbox; on a shared one what has been there for a while,
    /// since younger rows may be those of another node at work.
    pub async fn recover(&self, database: &Database) -> crate::error::Result<usize> {
        outbox::recover(database, &self.listeners, outbox::grace(database)).await
    }
}
