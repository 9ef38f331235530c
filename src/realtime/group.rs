//! Subscriptions that are told the very same: one question, one set of rights.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytestring::ByteString;
use serde_json::Value;

use super::Desk;
use super::batch::Changes;
use super::caller::Standing;
use super::facts::{Facts, Sieve};
use super::graphql;
use super::history::Position;
use super::subscription::{Spec, Subscription, Told, Watch};
use crate::access::Context;
use crate::error::{Error, Result};
use crate::events::EventAction;
use crate::schema::ColumnType;

/// Keys that a group remembers to tell of their end.
pub(super) const MOST_KNOWN: usize = 1000;

/// Which members of a group.
pub(super) type Whom<'a> = dyn Fn(&Subscription) -> bool + Send + Sync + 'a;

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

/// One group.
pub(super) struct Group {
    spec: Arc<Spec>,
    standing: Standing,
    watch: Watch,
    sieve: Option<Sieve>,
    members: HashMap<u64, Arc<Subscription>>,
    /// Something could not be read: they are told so when it can be again.
    pub(super) is_behind: bool,
}

impl Group {
    pub(super) fn new(spec: Arc<Spec>, standing: Standing) -> Self {
        let ctx = standing.context();
        let watch = match spec.wants(EventAction::Delete) {
            true => spec.watch(&ctx),
            false => Watch::Nothing,
        };
        let sieve = Sieve::of(&spec, &ctx);
        Group { spec, standing, watch, sieve, members: HashMap::new(), is_behind: false }
    }

    pub(super) fn add(&mut self, subscription: Arc<Subscription>) {
        self.members.insert(subscription.id, subscription);
    }

    pub(super) fn remove(&mut self, subscription: u64) {
        self.members.remove(&subscription);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn members(&self) -> impl Iterator<Item = &Arc<Subscription>> {
        self.members.values()
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
        matches!(self.watch, Watch::Known(_))
    }

    /// What was seen so far.
    pub(super) fn known(&self) -> Vec<Arc<str>> {
        match &self.watch {
            Watch::Known(keys) => keys.iter().cloned().collect(),
            Watch::Nothing | Watch::Everything => Vec::new(),
        }
    }

    /// These were seen.
    pub(super) fn know(&mut self, keys: impl IntoIterator<Item = Arc<str>>) {
        let Watch::Known(known) = &mut self.watch else { return };
        for key in keys {
            if known.len() >= MOST_KNOWN && !known.contains(&key) {
                return;
            }
            known.insert(key);
        }
    }

    /// Of items that a group with other rights has seen, those that this one may see, are seen here, too.
    pub(super) async fn inherit(&mut self, desk: &Desk, keys: &[Arc<str>]) -> Result<()> {
        if !self.remembers() || keys.is_empty() {
            return Ok(());
        }
        let among: Vec<&Arc<str>> = keys.iter().collect();
        let ctx = self.standing.context();
        let seen = self.spec.visible(desk, &ctx, Some(&among), MOST_KNOWN).await?;
        self.know(seen);
        Ok(())
    }

    /// Tells every member what happened. `before` and `after` are the places in the stream around it; `facts` are what is known of
    /// the rows.
    pub(super) async fn tell(
        &mut self,
        desk: &Desk,
        (changes, facts): (&Changes, Option<&Facts>),
        (before, after): (&Position, &Position),
    ) {
        match self.read(desk, changes, facts).await {
            Ok(told) => self.send(&told, before, after),
            Err(error) => {
                tracing::warn!(%error, collection = &*self.spec.collection, "events could not be read; listeners are told so");
                self.is_behind = true;
            }
        }
    }

    async fn read(&mut self, desk: &Desk, changes: &Changes, facts: Option<&Facts>) -> Result<Vec<Told>> {
        let ctx = self.standing.context();
        let spec = self.spec.clone();
        let mut told = Vec::new();
        told.extend(self.gone(&ctx, &changes.replaced));
        for (action, keys) in
            [(EventAction::Create, &changes.created), (EventAction::Update, &changes.updated)]
        {
            let mut keys = spec.of(keys);
            if let (Some(sieve), Some(facts)) = (&self.sieve, facts) {
                let sifted = facts.sift(sieve, &keys);
                self.watch.forget(&sifted.hidden);
                keys = sifted.open;
            }
            let mut seen = None;
            if spec.wants(action) && !keys.is_empty() {
                let read = spec.read(desk, &ctx, action, &keys).await?;
                seen = if read.messages.is_empty() { Some(Vec::new()) } else { read.seen };
                told.extend(read.messages.into_iter().map(|members| Told::new(action.name(), members)));
            }
            self.learn(desk, &ctx, &keys, seen).await?;
        }
        told.extend(self.gone(&ctx, &changes.deleted));
        Ok(told)
    }

    /// Remembers which of these items may be seen now, so that their end is told, and only theirs. `read` are those that were just
    /// seen, where that is known.
    async fn learn(
        &mut self,
        desk: &Desk,
        ctx: &Context,
        keys: &[&Arc<str>],
        read: Option<Vec<Arc<str>>>,
    ) -> Result<()> {
        let spec = self.spec.clone();
        let Watch::Known(known) = &self.watch else { return Ok(()) };
        if keys.is_empty() {
            return Ok(());
        }
        let seen = match read {
            Some(seen) if seen.is_empty() || spec.shows_keys(ctx) => seen,
            _ => spec.visible(desk, ctx, Some(keys), MOST_KNOWN).await?,
        };
        let lost: Vec<&Arc<str>> =
            keys.iter().copied().filter(|key| known.contains(*key) && !seen.contains(key)).collect();
        if !lost.is_empty() {
            // What is gone by now is told by an event of its own, for which it must be known still.
            let facts = Facts::read(desk, ctx, &spec.collection, [].into_iter(), &lost).await?;
            let hidden: Vec<&Arc<str>> = lost.into_iter().filter(|key| facts.has(key)).collect();
            self.watch.forget(&hidden);
        }
        self.know(seen);
        Ok(())
    }

    /// That these are gone, as far as the group may know of them.
    fn gone(&mut self, ctx: &Context, keys: &[Arc<str>]) -> Vec<Told> {
        let mut keys = self.spec.of(keys);
        match &mut self.watch {
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
            self.send_one(one, position, |_| true);
        }
    }

    /// The text is written once for all who call their subscription the same.
    fn send_one(&self, told: &Told, position: &Position, whom: impl Fn(&Subscription) -> bool) {
        let mut frames: HashMap<(Option<Arc<str>>, bool), ByteString> = HashMap::new();
        for member in self.members.values().filter(|member| whom(member)) {
            let frame = frames.entry((member.uid.clone(), member.wants_position)).or_insert_with(|| {
                self.spec.frame(told, member.uid.as_deref(), member.wants_position.then_some(position))
            });
            member.send(frame.clone());
        }
    }

    /// Something was lost: these members begin anew, and those who know of positions are told why.
    pub(super) async fn begin_anew(&mut self, desk: &Desk, position: &Position, whom: &Whom<'_>) {
        if self.spec.ends_with_a_gap() {
            for member in self.members.values().filter(|member| whom(member)) {
                member.send(graphql::missed(member.uid.as_deref().unwrap_or("null")).into());
                member.end();
            }
            self.is_behind = false;
            return;
        }
        let ctx = self.standing.context();
        let begun = match self.spec.begin(desk, &ctx).await {
            Ok(members) => members.unwrap_or_default(),
            Err(error) if is_passing(&error) => {
                tracing::warn!(%error, collection = &*self.spec.collection, "a subscription could not begin anew yet");
                self.is_behind = true;
                return;
            }
            // The members may see nothing of it any more.
            Err(_) => {
                self.is_behind = false;
                return;
            }
        };
        if let Watch::Known(known) = &mut self.watch {
            *known = HashSet::new();
            match self.spec.visible(desk, &ctx, None, MOST_KNOWN).await {
                Ok(seen) => self.know(seen),
                Err(error) => {
                    tracing::warn!(%error, "what a subscription may see could not be read yet");
                    self.is_behind = true;
                    return;
                }
            }
        }
        self.is_behind = false;
        self.send_one(&Told::new("missed", Vec::new()), position, |member| {
            member.wants_position && whom(member)
        });
        self.send_one(&Told::new("init", begun), position, whom);
    }

    /// What one member missed, or `None` when that cannot be told: for whoever comes back.
    pub(super) async fn catch_up(&mut self, desk: &Desk, changes: &Changes) -> Result<Option<Vec<Told>>> {
        // Which of them this member was shown is not known any more.
        if changes.has_deletions() && self.remembers() {
            return Ok(None);
        }
        self.read(desk, changes, None).await.map(Some)
    }
}

/// Whether the same may work later.
pub(super) fn is_passing(error: &Error) -> bool {
    matches!(
        error,
        Error::ServiceUnavailable { .. } | Error::StatementTimeout { .. } | Error::Internal { .. }
    )
}
