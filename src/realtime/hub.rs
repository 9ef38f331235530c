//! The one task that knows who listens to what, and tells them.
//!
//! Start at [`Hub::run`]. Events come from a pump of their own, so that whatever takes time here makes nobody miss any. Sockets
//! speak to the hub by [`Command`]s; they are obeyed between two batches of events, so that a subscription is told everything from
//! the moment at which it joined. What has to be read for it is the work of its [`Group`].

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};
use uuid::Uuid;

use super::batch::{Change, Changes, arrange};
use super::caller::{Caller, Standing};
use super::facts::Facts;
use super::group::{Group, GroupKey, Whom};
use super::history::{History, Position};
use super::outbox::Outbox;
use super::subscription::{Subscription, Told};
use super::work::{Batch, Job, Lanes, News};
use super::{Desk, figures, nodes};
use crate::cache::SharedStream;
use crate::error::{Error, Result};
use crate::events::{EventAction, ItemEvent};

/// Events that may wait for the hub.
const MOST_WAITING: usize = 65_536;
/// How long events are gathered once there is one, so that those of one moment are read together.
const GATHERED: Duration = Duration::from_millis(3);
/// Events told together at most.
const MOST_TOGETHER: usize = 4096;
/// How long rights are believed where other nodes may change them.
const BELIEVED: Duration = Duration::from_millis(900);
/// How often it is looked whether there are other nodes, and what could not be read is tried again.
const TICK: Duration = Duration::from_secs(1);
/// How long the hub waits before it asks again who is who, when that cannot be found out.
const RETRY: Duration = Duration::from_millis(250);
/// How long the hub waits for what is just being told to somebody whose rights are others now. What is not told by then is missed.
const SETTLED: Duration = Duration::from_millis(250);

/// What sockets ask of the hub.
pub(super) enum Command {
    /// Somebody is known on this socket, from now on as this caller.
    Enter { socket: u64, caller: Arc<Caller>, outbox: Arc<Outbox> },
    /// Nobody is known on this socket for now.
    Pause { socket: u64 },
    /// The socket is gone.
    Leave { socket: u64 },
    /// Tells what happens from now on, and what happened since then.
    Join { subscription: Arc<Subscription>, resume: Option<Position>, reply: oneshot::Sender<Joined> },
    /// Tells nothing more.
    Part { subscription: u64 },
    /// These items were seen, at some time since then.
    Know { subscription: u64, keys: Vec<Arc<str>>, since: Position },
}

/// How a subscription begins.
pub(super) struct Joined {
    /// Where in the stream.
    pub(super) position: Position,
    /// What is told in place of the first answer; `None` when that is not known.
    pub(super) missed: Option<Vec<Told>>,
    /// Whether the group wants to know which items were seen.
    pub(super) remembers: bool,
}

/// The way to the hub.
#[derive(Clone)]
pub(super) struct Line {
    commands: mpsc::UnboundedSender<Command>,
}

impl Line {
    /// Says something to the hub, which lives as long as the process.
    pub(super) fn say(&self, command: Command) {
        self.commands.send(command).ok();
    }

    /// Joins, and waits until it is so.
    pub(super) async fn join(
        &self,
        subscription: Arc<Subscription>,
        resume: Option<Position>,
    ) -> Result<Joined> {
        let (reply, joined) = oneshot::channel();
        self.say(Command::Join { subscription, resume, reply });
        joined.await.map_err(|_| Error::ServiceUnavailable {
            service: "websockets",
            reason: "The subscription could not begin.".to_owned(),
            retry_after_s: 1,
        })
    }
}

/// Starts the hub and its pump; other nodes are told and heard over this stream.
pub(super) fn start(desk: Arc<Desk>, others: Option<SharedStream>) -> Line {
    let (commands, orders) = mpsc::unbounded_channel();
    let (sender, events) = mpsc::channel(MOST_WAITING);
    let state = Arc::new(PumpState::default());
    let intake = Intake { hub: sender, state: state.clone() };
    let hears_others = others.is_some();
    if let Some(others) = others {
        nodes::start(others, desk.events.listen(), intake.clone());
    }
    tokio::spawn(pump(desk.events.listen(), intake));
    let changed = desk.auth.changes();
    let stream: Arc<str> = Uuid::now_v7().simple().to_string().into();
    let hub = Hub {
        history: History::new(stream, desk.config.history),
        schema: desk.schema().version,
        desk,
        sockets: HashMap::new(),
        subscriptions: HashMap::new(),
        groups: HashMap::new(),
        lanes: Arc::new(Lanes::new()),
        changed,
        reviewed: Instant::now(),
        has_others: true,
        hears_others,
        vanished: 0,
        state,
    };
    tokio::spawn(hub.run(orders, events));
    Line { commands }
}

/// The way of events to the hub.
#[derive(Clone)]
pub(super) struct Intake {
    hub: mpsc::Sender<(Change, Instant)>,
    state: Arc<PumpState>,
}

impl Intake {
    /// Hands an event on. What comes faster than the hub works is lost, which everybody is told.
    pub(super) fn take(&self, change: Change, at: Instant) {
        self.state.waiting.fetch_add(1, Ordering::Relaxed);
        if self.hub.try_send((change, at)).is_err() {
            self.state.waiting.fetch_sub(1, Ordering::Relaxed);
            self.lose();
        }
    }

    /// Something did not arrive.
    pub(super) fn lose(&self) {
        self.state.has_lost.store(true, Ordering::Release);
        self.state.lost.notify_one();
    }
}

/// What is known of events beside themselves.
#[derive(Default)]
struct PumpState {
    lost: Notify,
    has_lost: AtomicBool,
    waiting: AtomicUsize,
}

async fn lost(state: &PumpState) {
    while !state.has_lost.swap(false, Ordering::AcqRel) {
        state.lost.notified().await;
    }
}

/// Takes events in as fast as they come.
async fn pump(mut events: broadcast::Receiver<Arc<ItemEvent>>, intake: Intake) {
    loop {
        match events.recv().await {
            Ok(event) => {
                if let Some(change) = Change::of(&event) {
                    intake.take(change, Instant::now());
                }
            }
            Err(RecvError::Lagged(count)) => {
                tracing::warn!(count, "events came faster than they could be taken in; listeners begin anew");
                intake.lose();
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// What is known of rows that changed, where it spares some of these groups a read of their own.
async fn facts(
    desk: &Desk,
    collection: &str,
    groups: &HashMap<GroupKey, Arc<Group>>,
    changes: &Changes,
) -> Option<Arc<Facts>> {
    let sieves = || groups.values().filter_map(|group| group.sieve());
    let keys: Vec<&Arc<str>> = changes.created.iter().chain(&changes.updated).collect();
    if keys.is_empty() || sieves().nth(1).is_none() {
        return None;
    }
    let ctx = groups.values().next()?.context();
    match Facts::read(desk, &ctx, collection, sieves(), &keys).await {
        Ok(facts) => Some(Arc::new(facts)),
        Err(error) => {
            tracing::debug!(%error, collection, "what changed is not known beforehand; each group looks for itself");
            None
        }
    }
}

/// Somebody on a socket.
struct Attended {
    caller: Arc<Caller>,
    outbox: Arc<Outbox>,
    subscriptions: Vec<u64>,
    /// Where the stream stood when the caller was known no more.
    lost_at: Option<Position>,
    /// Something from before that was not told any more.
    is_owed: bool,
}

struct Hub {
    desk: Arc<Desk>,
    sockets: HashMap<u64, Attended>,
    subscriptions: HashMap<u64, (Arc<Subscription>, Option<GroupKey>)>,
    /// By collection.
    groups: HashMap<Arc<str>, HashMap<GroupKey, Arc<Group>>>,
    lanes: Arc<Lanes>,
    history: History,
    changed: watch::Receiver<u64>,
    /// When callers were last looked at, and with which model.
    reviewed: Instant,
    schema: u64,
    has_others: bool,
    /// What other nodes do is told here, too.
    hears_others: bool,
    /// Nodes that had ended without a word at the last look.
    vanished: u64,
    state: Arc<PumpState>,
}

impl Hub {
    async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
        mut events: mpsc::Receiver<(Change, Instant)>,
    ) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        let state = self.state.clone();
        loop {
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => return,
                },
                count = events.recv_many(&mut batch, MOST_TOGETHER) => {
                    if count == 0 {
                        return;
                    }
                    sleep(GATHERED).await;
                    while batch.len() < MOST_TOGETHER && let Ok(event) = events.try_recv() {
                        batch.push(event);
                    }
                    self.take(&mut batch).await;
                }
                changed = self.changed.changed() => match changed {
                    Ok(()) => self.review().await,
                    Err(_) => return,
                },
                () = lost(&state) => self.lose(),
                _ = ticks.tick() => self.tick().await,
            }
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Enter { socket, caller, outbox } => self.enter(socket, caller, outbox).await,
            Command::Pause { socket } => self.pause(socket).await,
            Command::Leave { socket } => {
                let Some(attended) = self.sockets.remove(&socket) else { return };
                for subscription in attended.subscriptions {
                    self.part(subscription);
                }
            }
            Command::Join { subscription, resume, reply } => self.join(subscription, resume, reply).await,
            Command::Part { subscription } => self.part(subscription),
            Command::Know { subscription, keys, since } => {
                if let Some((known, Some(key))) = self.subscriptions.get(&subscription)
                    && let Some(group) =
                        self.groups.get(&known.spec.collection).and_then(|groups| groups.get(key))
                {
                    let changes = self.history.since(&since, &known.spec.collection).unwrap_or_default();
                    let is_gone = |change: &Change| change.action == EventAction::Delete;
                    let gone = changes.into_iter().filter(is_gone).map(|change| change.key).collect();
                    group.post(Job::Know { subscription, keys, gone });
                }
            }
        }
        figures::subscriptions(
            self.subscriptions.len(),
            self.groups.values().map(|groups| groups.len()).sum(),
        );
    }

    /// A new caller on a socket, or the next one: what is subscribed to goes on with the rights of that one.
    async fn enter(&mut self, socket: u64, caller: Arc<Caller>, outbox: Arc<Outbox>) {
        let (mut subscriptions, mut has_missed) = (Vec::new(), false);
        if let Some(before) = self.sockets.remove(&socket) {
            subscriptions = before.subscriptions;
            has_missed = before.is_owed || before.lost_at.is_some_and(|at| at != self.history.position());
        }
        has_missed |= self.place_all(&subscriptions, &caller).await;
        let attended = Attended { caller, outbox, subscriptions, lost_at: None, is_owed: false };
        self.sockets.insert(socket, attended);
        if has_missed {
            self.begin_anew(Whom::Socket(socket));
        }
    }

    async fn pause(&mut self, socket: u64) {
        let Some(attended) = self.sockets.get_mut(&socket) else { return };
        attended.lost_at.get_or_insert(self.history.position());
        let (caller, subscriptions) = (attended.caller.clone(), attended.subscriptions.clone());
        caller.stand(None);
        let is_owed = self.place_all(&subscriptions, &caller).await;
        if let Some(attended) = self.sockets.get_mut(&socket) {
            attended.is_owed |= is_owed;
        }
    }

    async fn join(
        &mut self,
        subscription: Arc<Subscription>,
        resume: Option<Position>,
        reply: oneshot::Sender<Joined>,
    ) {
        let Some(attended) = self.sockets.get_mut(&subscription.socket) else { return };
        let (caller, id) = (attended.caller.clone(), subscription.id);
        attended.subscriptions.push(id);
        self.subscriptions.insert(id, (subscription.clone(), None));
        self.place_all(&[id], &caller).await;
        let collection = &subscription.spec.collection;
        let Some((_, Some(key))) = self.subscriptions.get(&id) else { return };
        let Some(group) = self.groups.get(collection).and_then(|groups| groups.get(key)) else { return };
        let joined = Joined { position: self.history.position(), missed: None, remembers: group.remembers() };
        match resume.and_then(|resume| self.history.since(&resume, collection)) {
            Some(mut changes) => {
                let changes = arrange(&mut changes).swap_remove(collection).unwrap_or_default();
                group.post(Job::CatchUp { changes, joined, reply });
            }
            None => {
                reply.send(joined).ok();
            }
        }
    }

    fn part(&mut self, id: u64) {
        let Some((subscription, key)) = self.subscriptions.remove(&id) else { return };
        if let Some(attended) = self.sockets.get_mut(&subscription.socket) {
            attended.subscriptions.retain(|other| *other != id);
        }
        self.unplace(&subscription, key.as_ref());
    }

    fn unplace(&mut self, subscription: &Subscription, key: Option<&GroupKey>) {
        let Some(key) = key else { return };
        let collection = &subscription.spec.collection;
        let Some(groups) = self.groups.get_mut(collection) else { return };
        if let Some(group) = groups.get_mut(key) {
            group.remove(subscription.id);
            if group.is_empty() {
                groups.remove(key);
            }
        }
        if groups.is_empty() {
            self.groups.remove(collection);
        }
    }

    /// Puts subscriptions into the groups of what their caller may do now. Says whether one of them, which is told nothing from
    /// now on, was not told all that happened before.
    async fn place_all(&mut self, subscriptions: &[u64], caller: &Caller) -> bool {
        let until = Instant::now() + SETTLED;
        let mut is_owed = false;
        for subscription in subscriptions {
            is_owed |= self.place(*subscription, caller, until).await;
        }
        is_owed
    }

    async fn place(&mut self, id: u64, caller: &Caller, until: Instant) -> bool {
        let Some((subscription, old)) = self.subscriptions.get(&id).cloned() else { return false };
        let standing = caller.standing();
        let key = standing.as_ref().map(|standing| GroupKey::of(&subscription.spec, standing));
        if key == old {
            return false;
        }
        let collection = subscription.spec.collection.clone();
        let old_group = old.as_ref().and_then(|old| self.groups.get(&collection)?.get(old)).cloned();
        let (mut known, mut is_owed) = (Vec::new(), false);
        if let Some(old_group) = old_group {
            is_owed = old_group.settle(until).await;
            known = old_group.known();
        }
        self.unplace(&subscription, old.as_ref());
        if let (Some(standing), Some(key)) = (standing, &key) {
            let groups = self.groups.entry(collection).or_default();
            let group = groups.entry(key.clone()).or_insert_with(|| {
                let (spec, standing) = (subscription.spec.clone(), (*standing).clone());
                Arc::new(Group::new(&self.desk, &self.lanes, spec, standing))
            });
            let position = self.history.position();
            group.add(subscription, &position);
            if group.remembers() && !known.is_empty() {
                group.post(Job::Inherit(known));
            }
            if std::mem::take(&mut is_owed) {
                group.post(Job::BeginAnew { position, whom: Whom::One(id) });
            }
        }
        if let Some((_, place)) = self.subscriptions.get_mut(&id) {
            *place = key;
        }
        is_owed
    }

    /// Events that came together.
    async fn take(&mut self, batch: &mut Vec<(Change, Instant)>) {
        let waiting = self.state.waiting.fetch_sub(batch.len(), Ordering::Relaxed) - batch.len();
        figures::waiting(waiting);
        let Some(began) = batch.iter().map(|(_, at)| *at).min() else { return };
        let mut changes: Vec<Change> = batch.drain(..).map(|(change, _)| change).collect();
        self.look_again().await;
        let count = changes.len();
        let arranged = arrange(&mut changes);
        let before = self.history.position();
        for change in changes {
            self.history.push(change);
        }
        let batch = Arc::new(Batch::new((before, self.history.position()), count, began));
        for (collection, changes) in arranged {
            let Some(groups) = self.groups.get(&collection) else { continue };
            let facts = facts(&self.desk, &collection, groups, &changes).await;
            let news = News { changes: Arc::new(changes), facts, batches: vec![batch.clone()] };
            groups.values().for_each(|group| group.tell(&news));
        }
    }

    /// Something did not arrive: everybody begins anew.
    fn lose(&mut self) {
        figures::missed();
        self.history.interrupt();
        self.begin_anew(Whom::All);
    }

    /// Subscriptions begin anew.
    fn begin_anew(&self, whom: Whom) {
        let groups = self.groups.values().flat_map(HashMap::values);
        for group in groups.filter(|group| group.has(whom)) {
            group.post(Job::BeginAnew { position: self.history.position(), whom });
        }
    }

    async fn tick(&mut self) {
        if self.sockets.is_empty() {
            return;
        }
        self.has_others = self.desk.events.has_other_nodes().await;
        let vanished = self.desk.events.vanished_nodes();
        if std::mem::replace(&mut self.vanished, vanished) < vanished && self.hears_others {
            tracing::warn!(
                "a node ended without a word, perhaps before it told all that it did; listeners begin anew"
            );
            self.lose();
        }
        self.look_again().await;
        let groups = self.groups.values().flat_map(HashMap::values);
        for group in groups.filter(|group| group.take_behind()) {
            group.post(Job::BeginAnew { position: self.history.position(), whom: Whom::All });
        }
    }

    /// Looks at callers again where something about them may have changed since the last time.
    async fn look_again(&mut self) {
        let is_old = self.has_others && self.reviewed.elapsed() >= BELIEVED;
        let has_changed = self.changed.has_changed().unwrap_or(false);
        if is_old || has_changed || self.schema != self.desk.schema().version {
            self.review().await;
        }
    }

    /// Finds out anew what everybody may do, ends those who may not be here, and groups the others by it. Whoever's rights cannot
    /// be found out is told nothing meanwhile.
    async fn review(&mut self) {
        self.changed.mark_unchanged();
        if self.sockets.is_empty() {
            return;
        }
        let (schema, attended, outcomes) = loop {
            self.changed.borrow_and_update();
            let schema = self.desk.schema();
            self.reviewed = Instant::now();
            let attended: Vec<(u64, Arc<Caller>)> = self
                .sockets
                .iter()
                .filter(|(_, attended)| attended.lost_at.is_none())
                .map(|(socket, attended)| (*socket, attended.caller.clone()))
                .collect();
            let bearers: Vec<_> = attended.iter().map(|(_, caller)| caller.bearer()).collect();
            match self.desk.auth.authenticate_all(&schema, &bearers, Timestamp::now()).await {
                Ok(outcomes) => break (schema, attended.clone(), outcomes),
                Err(error) => {
                    tracing::warn!(%error, "who listens cannot be judged now; nobody is told anything meanwhile");
                    sleep(RETRY).await;
                }
            }
        };
        self.schema = schema.version;
        let until = Instant::now() + SETTLED;
        for ((socket, caller), outcome) in attended.into_iter().zip(outcomes) {
            let standing = match outcome {
                Ok((accountability, rules)) => {
                    Some(Standing { accountability, rules, schema: schema.clone() })
                }
                Err(error) => {
                    if let Some(attended) = self.sockets.get_mut(&socket) {
                        attended.lost_at = Some(self.history.position());
                        attended.outbox.revoke(error);
                    }
                    None
                }
            };
            caller.stand(standing);
            let Some(attended) = self.sockets.get(&socket) else { continue };
            let mut is_owed = false;
            for subscription in attended.subscriptions.clone() {
                is_owed |= self.place(subscription, &caller, until).await;
            }
            if let Some(attended) = self.sockets.get_mut(&socket) {
                attended.is_owed |= is_owed;
            }
        }
    }
}
