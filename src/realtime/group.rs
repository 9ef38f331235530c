//! Subscriptions that are told the very same: one question, one set of rights.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytestring::ByteString;
use futures::FutureExt as _;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::timeout_at;

use super::Desk;
use super::batch::Changes;
use super::caller::Standing;
use super::facts::{Facts, Sieve};
use super::graphql;
use super::history::Position;
use super::subscription::{Spec, Subscription, Told, Watch};
use super::work::{Handed, Job, Lanes, Mailbox, News};
use crate::access::Context;
use crate::error::{Error, Result};
use crate::events::EventAction;
use crate::schema::ColumnType;

/// Keys that a group remembers to tell of their end.
pub(super) const MOST_KNOWN: usize = 1000;

/// Which members of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whom {
    All,
    /// Those of one socket.
    Socket(u64),
    /// This subscription.
    One(u64),
}

impl Whom {
    fn is(self, subscription: &Subscription) -> bool {
        match self {
            Whom::All => true,
            Whom::Socket(socket) => subscription.socket == socket,
            Whom::One(id) => subscription.id == id,
        }
    }
}

/// By what groups are told apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct GroupKey {
    spec: Arc<str>,
    rules: u64,
    schema: u64,
    /// Only where the question names who asks.
    person: Option<Person>,
}

impl GroupKey {
    pub(super) fn of(spec: &Spec, standing: &Standing) -> Self {
        let who = &standing.accountability;
        GroupKey {
            spec: spec.text.clone(),
            rules: standing.rules.id(),
            schema: standing.schema.version,
            person: spec.is_personal.then(|| Person {
                user: who.user.clone(),
                roles: who.roles.clone(),
                policies: who.policies.clone(),
            }),
        }
    }
}

/// What a question that names who asks may mean by it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Person {
    user: Option<String>,
    /// Their own role first.
    roles: Vec<String>,
    policies: Vec<String>,
}

/// One group. The hub says what it has to do; what takes reading is done by a task of its own.
pub(super) struct Group {
    desk: Arc<Desk>,
    lanes: Arc<Lanes>,
    spec: Arc<Spec>,
    standing: Standing,
    sieve: Option<Sieve>,
    watch: Mutex<Watch>,
    members: Mutex<HashMap<u64, Member>>,
    mailbox: Mutex<Mailbox>,
    /// Another job is done.
    turned: Notify,
    /// Its reads took long the last time.
    is_slow: AtomicBool,
    /// Something could not be read: they are told so when it can be again.
    is_behind: AtomicBool,
}

/// Somebody who is told.
struct Member {
    subscription: Arc<Subscription>,
    /// Events of the stream before it joined, which are not told.
    since: u64,
}

impl Group {
    pub(super) fn new(desk: &Arc<Desk>, lanes: &Arc<Lanes>, spec: Arc<Spec>, standing: Standing) -> Self {
        let ctx = standing.context();
        let watch = match spec.wants(EventAction::Delete) {
            true => spec.watch(&ctx),
            false => Watch::Nothing,
        };
        let sieve = Sieve::of(&spec, &ctx);
        Group {
            desk: desk.clone(),
            lanes: lanes.clone(),
            spec,
            standing,
            sieve,
            watch: Mutex::new(watch),
            members: Mutex::default(),
            mailbox: Mutex::default(),
            turned: Notify::new(),
            is_slow: AtomicBool::new(false),
            is_behind: AtomicBool::new(false),
        }
    }

    /// From now on it is told, too.
    pub(super) fn add(self: &Arc<Self>, subscription: Arc<Subscription>, since: &Position) {
        let member = Member { subscription, since: since.number };
        self.members().insert(member.subscription.id, member);
        if !self.mailbox().is_idle() {
            self.post(Job::Welcome);
        }
    }

    /// From now on it is told nothing, whatever is being read.
    pub(super) fn remove(&self, subscription: u64) {
        self.members().remove(&subscription);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members().is_empty()
    }

    pub(super) fn has(&self, whom: Whom) -> bool {
        self.members().values().any(|member| whom.is(&member.subscription))
    }

    /// What decides whether it is told of a row, as far as the row itself shows it.
    pub(super) fn sieve(&self) -> Option<&Sieve> {
        self.sieve.as_ref()
    }

    /// A request of its members at this moment.
    pub(super) fn context(&self) -> Context {
        self.standing.context()
    }

    /// Whether it has to remember what was seen.
    pub(super) fn remembers(&self) -> bool {
        matches!(*self.watch(), Watch::Known(_))
    }

    /// What was seen so far.
    pub(super) fn known(&self) -> Vec<Arc<str>> {
        match &*self.watch() {
            Watch::Known(keys) => keys.iter().cloned().collect(),
            Watch::Nothing | Watch::Everything => Vec::new(),
        }
    }

    /// Whether something was left untold for an error, which is asked once.
    pub(super) fn take_behind(&self) -> bool {
        self.is_behind.swap(false, Ordering::Relaxed)
    }

    fn fall_behind(&self) {
        self.is_behind.store(true, Ordering::Relaxed);
    }

    /// Tells every member what happened: at once where nothing has to be read for it.
    pub(super) fn tell(self: &Arc<Self>, news: &News) {
        if self.mailbox().is_idle() && !self.must_read(news) {
            // It has nothing to wait for, and mostly nothing to do: most rows are nothing to most groups.
            if news.changes.has_deletions() || self.remembers() {
                self.tell_now(news).now_or_never();
            }
            return;
        }
        self.post(Job::Tell(news.clone()));
    }

    /// Does this after what it has to do already. Only the hub says so.
    pub(super) fn post(self: &Arc<Self>, job: Job) {
        let handed = self.mailbox().hand_in(job);
        match handed {
            Handed::Now(job) => {
                tokio::spawn(self.clone().work(job));
            }
            Handed::Queued => {}
            Handed::Overflowed => {
                tracing::warn!(
                    collection = &*self.spec.collection,
                    "listeners read more slowly than things happen, and begin anew"
                );
                self.fall_behind();
            }
        }
    }

    async fn work(self: Arc<Self>, first: Job) {
        let mut job = Some(first);
        while let Some(next) = job {
            if self.is_empty() {
                // Nobody is left to hear of it.
            } else if !next.reads() {
                self.perform(next).await;
            } else {
                let was_slow = self.is_slow.load(Ordering::Relaxed);
                let is_slow = self.lanes.run(was_slow, self.perform(next)).await;
                self.is_slow.store(is_slow, Ordering::Relaxed);
            }
            job = self.mailbox().next();
            self.turned.notify_waiters();
        }
    }

    async fn perform(&self, job: Job) {
        match job {
            Job::Tell(news) => self.tell_now(&news).await,
            Job::Inherit(keys) => {
                if let Err(error) = self.inherit(&keys).await {
                    tracing::warn!(%error, "what a subscription has seen could not be read again");
                    self.fall_behind();
                }
            }
            Job::Know { subscription, keys, gone } => {
                self.know(keys);
                let told = self.gone(&self.standing.context(), &gone);
                for told in &told {
                    self.send_one(told, None, |member| member.subscription.id == subscription);
                }
            }
            Job::CatchUp { changes, mut joined, reply } => {
                joined.missed = self.catch_up(&changes).await.unwrap_or_default();
                reply.send(joined).ok();
            }
            Job::BeginAnew { position, whom } => self.begin_anew(&position, whom).await,
            Job::Welcome => {}
        }
    }

    /// Waits for what is being told now, until then at most. Says whether something is left to be told after that.
    pub(super) async fn settle(&self, until: Instant) -> bool {
        let turn = self.mailbox().turns;
        loop {
            let turned = self.turned.notified();
            {
                let mailbox = self.mailbox();
                if mailbox.is_idle() || mailbox.turns != turn {
                    return !mailbox.is_idle();
                }
            }
            if timeout_at(until.into(), turned).await.is_err() {
                return true;
            }
        }
    }

    /// Of items that a group with other rights has seen, those that this one may see, are seen here, too.
    async fn inherit(&self, keys: &[Arc<str>]) -> Result<()> {
        let among: Vec<&Arc<str>> = keys.iter().collect();
        let ctx = self.standing.context();
        let seen = self.spec.visible(&self.desk, &ctx, Some(&among), MOST_KNOWN).await?;
        self.know(seen);
        Ok(())
    }

    /// These were seen.
    fn know(&self, keys: impl IntoIterator<Item = Arc<str>>) {
        let mut watch = self.watch();
        let Watch::Known(known) = &mut *watch else { return };
        for key in keys {
            if known.len() >= MOST_KNOWN && !known.contains(&key) {
                return;
            }
            known.insert(key);
        }
    }

    async fn tell_now(&self, news: &News) {
        let Some((before, after)) = news.between() else { return };
        match self.read(&news.changes, news.facts.as_deref()).await {
            Ok(told) => self.send(&told, before, after),
            Err(error) => {
                tracing::warn!(%error, collection = &*self.spec.collection, "events could not be read; listeners are told so");
                self.fall_behind();
            }
        }
    }

    /// Whether [`Group::read`] has to read something for this.
    fn must_read(&self, news: &News) -> bool {
        let remembers = self.remembers();
        let lists =
            [(EventAction::Create, &news.changes.created), (EventAction::Update, &news.changes.updated)];
        lists.into_iter().filter(|(action, _)| remembers || self.spec.wants(*action)).any(|(_, keys)| {
            let keys = self.spec.of(keys);
            match (&self.sieve, &news.facts) {
                (Some(sieve), Some(facts)) => !facts.sift(sieve, &keys).open.is_empty(),
                _ => !keys.is_empty(),
            }
        })
    }

    async fn read(&self, changes: &Changes, facts: Option<&Facts>) -> Result<Vec<Told>> {
        let ctx = self.standing.context();
        let mut told = Vec::new();
        told.extend(self.gone(&ctx, &changes.replaced));
        for (action, keys) in
            [(EventAction::Create, &changes.created), (EventAction::Update, &changes.updated)]
        {
            let mut keys = self.spec.of(keys);
            if let (Some(sieve), Some(facts)) = (&self.sieve, facts) {
                let sifted = facts.sift(sieve, &keys);
                self.watch().forget(&sifted.hidden);
                keys = sifted.open;
            }
            let mut seen = None;
            if self.spec.wants(action) && !keys.is_empty() {
                let read = self.spec.read(&self.desk, &ctx, action, &keys).await?;
                seen = if read.messages.is_empty() { Some(Vec::new()) } else { read.seen };
                told.extend(read.messages.into_iter().map(|members| Told::new(action.name(), members)));
            }
            self.learn(&ctx, &keys, seen).await?;
        }
        told.extend(self.gone(&ctx, &changes.deleted));
        Ok(told)
    }

    /// Remembers which of these items may be seen now, so that their end is told, and only theirs. `read` are those that were just
    /// seen, where that is known.
    async fn learn(&self, ctx: &Context, keys: &[&Arc<str>], read: Option<Vec<Arc<str>>>) -> Result<()> {
        if keys.is_empty() || !self.remembers() {
            return Ok(());
        }
        let seen = match read {
            Some(seen) if seen.is_empty() || self.spec.shows_keys(ctx) => seen,
            _ => self.spec.visible(&self.desk, ctx, Some(keys), MOST_KNOWN).await?,
        };
        let is_lost = |key: &&Arc<str>| match &*self.watch() {
            Watch::Known(known) => known.contains(*key) && !seen.contains(key),
            Watch::Nothing | Watch::Everything => false,
        };
        let lost: Vec<&Arc<str>> = keys.iter().copied().filter(is_lost).collect();
        if !lost.is_empty() {
            // What is gone by now is told by an event of its own, for which it must be known still.
            let facts = Facts::read(&self.desk, ctx, &self.spec.collection, [].into_iter(), &lost).await?;
            let hidden: Vec<&Arc<str>> = lost.into_iter().filter(|key| facts.has(key)).collect();
            self.watch().forget(&hidden);
        }
        self.know(seen);
        Ok(())
    }

    /// That these are gone, as far as the group may know of them.
    fn gone(&self, ctx: &Context, keys: &[Arc<str>]) -> Vec<Told> {
        let mut keys = self.spec.of(keys);
        match &mut *self.watch() {
            Watch::Nothing => return Vec::new(),
            Watch::Everything => {}
            Watch::Known(known) => keys.retain(|key| known.remove(*key)),
        }
        if keys.is_empty() || !self.spec.wants(EventAction::Delete) {
            return Vec::new();
        }
        let collection = ctx.schema.get(&self.spec.collection);
        let key = collection.and_then(|collection| Some(collection.field(collection.key()?)));
        let column = key.and_then(|key| key.column.as_ref());
        let is_number = column.is_some_and(|column| column.column_type == ColumnType::Integer);
        let keys: Vec<Value> = keys
            .into_iter()
            .map(|key| match key.parse::<i64>() {
                Ok(number) if is_number => Value::from(number),
                _ => Value::from(&**key),
            })
            .collect();
        let gone = self.spec.gone(keys).into_iter();
        gone.map(|members| Told::new(EventAction::Delete.name(), members)).collect()
    }

    /// Tells every member these things. Only the last of them stands at the end of what happened: whoever comes back from before
    /// gets all of it again.
    fn send(&self, told: &[Told], before: &Position, after: &Position) {
        for (number, one) in told.iter().enumerate() {
            let position = if number + 1 == told.len() { after } else { before };
            self.send_one(one, Some(position), |member| member.since <= before.number);
        }
    }

    /// The text is written once for all who call their subscription the same.
    fn send_one(&self, told: &Told, position: Option<&Position>, whom: impl Fn(&Member) -> bool) {
        let mut frames: HashMap<(Option<Arc<str>>, bool), ByteString> = HashMap::new();
        for Member { subscription: member, .. } in self.members().values().filter(|member| whom(member)) {
            let frame = frames.entry((member.uid.clone(), member.wants_position)).or_insert_with(|| {
                self.spec.frame(told, member.uid.as_deref(), position.filter(|_| member.wants_position))
            });
            member.send(frame.clone());
        }
    }

    /// Something was lost: these members begin anew, and those who know of positions are told why.
    async fn begin_anew(&self, position: &Position, whom: Whom) {
        if self.spec.ends_with_a_gap() {
            for Member { subscription: member, .. } in self.members().values() {
                if whom.is(member) {
                    member.send(graphql::missed(member.uid.as_deref().unwrap_or("null")).into());
                    member.end();
                }
            }
            return;
        }
        let ctx = self.standing.context();
        let begun = match self.spec.begin(&self.desk, &ctx).await {
            Ok(members) => members.unwrap_or_default(),
            Err(error) if is_passing(&error) => {
                tracing::warn!(%error, collection = &*self.spec.collection, "a subscription could not begin anew yet");
                self.fall_behind();
                return;
            }
            // The members may see nothing of it any more.
            Err(_) => return,
        };
        if self.remembers() {
            match self.spec.visible(&self.desk, &ctx, None, MOST_KNOWN).await {
                // Others may know of what is gone, and are still to be told.
                Ok(seen) if whom != Whom::All => self.know(seen),
                Ok(seen) => *self.watch() = Watch::Known(seen.into_iter().collect()),
                Err(error) => {
                    tracing::warn!(%error, "what a subscription may see could not be read yet");
                    self.fall_behind();
                    return;
                }
            }
        }
        self.send_one(&Told::new("missed", Vec::new()), Some(position), |member| {
            member.subscription.wants_position && whom.is(&member.subscription)
        });
        self.send_one(&Told::new("init", begun), Some(position), |member| whom.is(&member.subscription));
    }

    /// What one member missed, or `None` when that cannot be told: for whoever comes back.
    async fn catch_up(&self, changes: &Changes) -> Result<Option<Vec<Told>>> {
        // Which of them this member was shown is not known any more.
        if changes.has_deletions() && self.remembers() {
            return Ok(None);
        }
        self.read(changes, None).await.map(Some)
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        lock(&self.watch)
    }

    fn members(&self) -> MutexGuard<'_, HashMap<u64, Member>> {
        lock(&self.members)
    }

    fn mailbox(&self) -> MutexGuard<'_, Mailbox> {
        lock(&self.mailbox)
    }
}

/// What a lock guards here is never half changed.
fn lock<T>(guarded: &Mutex<T>) -> MutexGuard<'_, T> {
    guarded.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the same may work later.
pub(super) fn is_passing(error: &Error) -> bool {
    matches!(
        error,
        Error::ServiceUnavailable { .. } | Error::StatementTimeout { .. } | Error::Internal { .. }
    )
}
