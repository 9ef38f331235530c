//! What somebody wants to be told, and how it is read.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytestring::ByteString;
use serde_json::Value;

use super::Desk;
use super::frame::message;
use super::graphql;
use super::group::is_passing;
use super::history::Position;
use super::outbox::{Ending, Outbox};
use crate::access::{Action, Context};
use crate::error::{Error, Result};
use crate::events::EventAction;
use crate::filter::Syntax;
use crate::query::{Meta, Query, Selection};
use crate::schema::Collection;

/// So many items are read by a plan that is kept; more are read together.
const READ_ONE_BY_ONE: usize = 4;
/// What stands before an item, as reads write it.
const DATA: &[u8] = b"\"data\":";
/// Items of one message at most.
const ITEMS_PER_MESSAGE: usize = 500;
/// So many items that changed together come as lists, so that an import floods nobody; fewer are told in a message each.
const TOLD_AS_LIST: usize = 100;
/// Messages that wait until the first answer of a subscription is sent.
const MOST_HELD: usize = 1000;
/// An empty list, as reads write it.
const NOTHING: &[u8] = b"\"data\":[]";

/// What is asked: equal ones of equal rights are read once.
#[derive(Debug)]
pub(super) struct Spec {
    /// All of it, as text.
    pub(super) text: Arc<str>,
    pub(super) collection: Arc<str>,
    /// Only this is told.
    pub(super) event: Option<EventAction>,
    /// Only this item is told of.
    pub(super) item: Option<Arc<str>>,
    /// What is answered first.
    first: Query,
    /// What is read of items that changed.
    later: Query,
    /// It names who asks.
    pub(super) is_personal: bool,
    shape: Shape,
}

/// How it is told.
#[derive(Debug)]
enum Shape {
    /// By messages of the public protocol, with what the query asks for.
    Items,
    /// By documents, one for each item.
    Document(Box<crate::graphql::Subscription>),
}

impl Spec {
    /// Fails with `InvalidQuery` for what cannot be told piece by piece.
    pub(super) fn new(
        collection: &str,
        event: Option<EventAction>,
        item: Option<&str>,
        raw: &str,
        query: Query,
    ) -> Result<Self> {
        let is_whole = query.aggregate.is_empty()
            && query.group_by.is_empty()
            && query.version.is_none()
            && query.export.is_none()
            && query.cursor.is_none();
        if !is_whole {
            return Err(Error::query(
                "\"aggregate\", \"groupBy\", \"version\", \"export\" and \"cursor\" cannot be subscribed to",
            ));
        }
        let later =
            Query { limit: Some(-1), offset: None, page: None, meta: Meta::default(), ..query.clone() };
        let action = event.map(EventAction::name);
        Ok(Spec {
            text: serde_json::json!([collection, action, item, raw]).to_string().into(),
            collection: collection.into(),
            event,
            item: item.map(Into::into),
            first: query,
            later,
            is_personal: raw.contains("$CURRENT"),
            shape: Shape::Items,
        })
    }

    /// What a document asks for.
    pub(super) fn graphql(asked: crate::graphql::Subscription, event: Option<EventAction>) -> Self {
        Spec {
            text: serde_json::json!(["graphql", asked.collection, asked.name]).to_string().into(),
            collection: asked.collection.as_str().into(),
            event,
            item: None,
            first: Query::default(),
            later: Query::default(),
            // Whatever way of writing it the document chose.
            is_personal: format!("{:?}", asked.data).contains("$CURRENT"),
            shape: Shape::Document(Box::new(asked)),
        }
    }

    /// Whether it ends when something is missed, since it has no message that begins anew.
    pub(super) fn ends_with_a_gap(&self) -> bool {
        matches!(self.shape, Shape::Document(_))
    }

    /// Whether this is told at all.
    pub(super) fn wants(&self, action: EventAction) -> bool {
        self.event.is_none_or(|event| event == action)
    }

    /// What items must be like.
    pub(super) fn filter(&self) -> Option<&Syntax> {
        self.later.filter.as_ref()
    }

    /// Of these items those that it is about.
    pub(super) fn of<'k>(&self, keys: &'k [Arc<str>]) -> Vec<&'k Arc<str>> {
        keys.iter().filter(|key| self.item.as_ref().is_none_or(|item| *item == **key)).collect()
    }

    /// What is answered first: the members of a message; none where only one kind of event is wanted.
    ///
    /// Fails where nothing of it may be seen.
    pub(super) async fn begin(&self, desk: &Desk, ctx: &Context) -> Result<Option<Vec<u8>>> {
        let is_singleton = ctx.schema.get(&self.collection).is_some_and(|collection| collection.singleton);
        let mut query = self.first.clone();
        if self.event.is_some() {
            query.limit = Some(0);
            query.meta = Meta::default();
            let selection = if is_singleton { Selection::Singleton } else { Selection::Query };
            desk.items.read(ctx, &self.collection, selection, query).await?;
            return Ok(None);
        }
        let selection = match &self.item {
            Some(_) if is_singleton => Selection::Singleton,
            Some(item) => Selection::Key(item.to_string()),
            None => Selection::Query,
        };
        desk.items.read(ctx, &self.collection, selection, query).await.map(Some)
    }

    /// What may be seen of these items that changed.
    pub(super) async fn read(
        &self,
        desk: &Desk,
        ctx: &Context,
        action: EventAction,
        keys: &[&Arc<str>],
    ) -> Result<Read> {
        let mut found = Vec::new();
        if keys.is_empty() {
            return Ok(Read::default());
        }
        if let Shape::Document(asked) = &self.shape {
            return self.read_documents(desk, ctx, asked, action, keys).await;
        }
        if let Some(item) = &self.item {
            let is_singleton = ctx.schema.get(&self.collection).is_some_and(|found| found.singleton);
            let selection =
                if is_singleton { Selection::Singleton } else { Selection::Key(item.to_string()) };
            found.extend(seen(desk.items.read(ctx, &self.collection, selection, self.later.clone()).await)?);
            return Ok(Read { messages: found, seen: None });
        }
        let has_filter = self.later.filter.is_some() || self.later.search.is_some();
        if keys.len() <= READ_ONE_BY_ONE && !has_filter {
            let mut seen = Vec::new();
            for key in keys {
                let Some(members) = self.read_one(desk, ctx, key, &self.later).await? else { continue };
                let item = members.strip_prefix(DATA).unwrap_or_default();
                found.push([DATA, b"[", item, b"]"].concat());
                seen.push(Arc::clone(key));
            }
            return Ok(Read { messages: found, seen: Some(seen) });
        }
        for keys in keys.chunks(ITEMS_PER_MESSAGE) {
            let selection = Selection::Keys(keys.iter().map(|key| key.to_string()).collect());
            let read = desk.items.read(ctx, &self.collection, selection, self.later.clone()).await;
            let Some(members) = seen(read)?.filter(|members| members != NOTHING) else { continue };
            match keys.len() {
                1 | TOLD_AS_LIST.. => found.push(members),
                _ => found.extend(one_by_one(&members)?),
            }
        }
        Ok(Read { messages: found, seen: None })
    }

    /// What may be seen of one item. The plan of it is kept.
    async fn read_one(
        &self,
        desk: &Desk,
        ctx: &Context,
        key: &Arc<str>,
        query: &Query,
    ) -> Result<Option<Vec<u8>>> {
        let selection = Selection::Key(key.to_string());
        let make = || Ok(query.clone());
        seen(desk.items.read_named(ctx, &self.collection, selection, &self.text, make).await)
    }

    /// The same as documents, one for each item.
    async fn read_documents(
        &self,
        desk: &Desk,
        ctx: &Context,
        asked: &crate::graphql::Subscription,
        action: EventAction,
        keys: &[&Arc<str>],
    ) -> Result<Read> {
        let Some(query) = &asked.data else {
            let seen = self.visible(desk, ctx, Some(keys), ITEMS_PER_MESSAGE).await?;
            let message = |key: &Arc<str>| asked.message(action.name(), &Value::from(&**key), None);
            return Ok(Read { messages: seen.iter().map(message).collect(), seen: Some(seen) });
        };
        let (mut found, mut seen) = (Vec::new(), Vec::new());
        let shows_key = self.shows_keys(ctx);
        for key in keys {
            let Some(members) = self.read_one(desk, ctx, key, query).await? else { continue };
            seen.push(Arc::clone(key));
            let key = if shows_key { Value::from(&***key) } else { Value::Null };
            found.push(asked.message(action.name(), &key, members.strip_prefix(DATA)));
        }
        Ok(Read { messages: found, seen: Some(seen) })
    }

    /// That these items are gone, as members of messages.
    pub(super) fn gone(&self, keys: Vec<Value>) -> Vec<Vec<u8>> {
        let delete = EventAction::Delete.name();
        match &self.shape {
            Shape::Items => vec![format!("\"data\":{}", Value::from(keys)).into_bytes()],
            Shape::Document(asked) => keys.iter().map(|key| asked.message(delete, key, None)).collect(),
        }
    }

    /// The message for whoever calls the subscription this.
    pub(super) fn frame(&self, told: &Told, uid: Option<&str>, position: Option<&Position>) -> ByteString {
        match &self.shape {
            Shape::Items => told.frame(uid, position),
            Shape::Document(_) => graphql::next(uid.unwrap_or("null"), &told.members).into(),
        }
    }

    /// Keys of items that may be seen and that the query finds: of these, or of the first so many.
    pub(super) async fn visible(
        &self,
        desk: &Desk,
        ctx: &Context,
        among: Option<&[&Arc<str>]>,
        most: usize,
    ) -> Result<Vec<Arc<str>>> {
        let Some(key) = key_name(ctx, &self.collection) else { return Ok(Vec::new()) };
        let query = Query {
            fields: vec![vec![key.clone()]],
            filter: self.first.filter.clone(),
            search: self.first.search.clone(),
            limit: Some(i64::try_from(most).unwrap_or(i64::MAX)),
            ..Query::default()
        };
        let mut keys = Vec::new();
        let chunks: Vec<Selection> = match (among, &self.item) {
            (None, None) => vec![Selection::Query],
            (None, Some(item)) => vec![Selection::Keys(vec![item.to_string()])],
            (Some(among), _) => among
                .chunks(ITEMS_PER_MESSAGE)
                .map(|keys| Selection::Keys(keys.iter().map(|key| key.to_string()).collect()))
                .collect(),
        };
        for selection in chunks {
            let read = desk.items.read(ctx, &self.collection, selection, query.clone()).await;
            let Some(members) = seen(read)? else { continue };
            keys.extend(parsed(&members)?.iter().filter_map(|row| match &row[&key] {
                Value::String(text) => Some(Arc::from(text.as_str())),
                Value::Number(number) => Some(Arc::from(number.to_string())),
                // Hidden in this row.
                _ => None,
            }));
        }
        Ok(keys)
    }

    /// Of which items somebody with these rights is told that they are gone.
    pub(super) fn watch(&self, ctx: &Context) -> Watch {
        match self.key_rules(ctx) {
            None => Watch::Nothing,
            Some((true, true)) => Watch::Everything,
            Some(_) => Watch::Known(HashSet::new()),
        }
    }

    /// Whether the key may be seen of every item that may be.
    pub(super) fn shows_keys(&self, ctx: &Context) -> bool {
        matches!(self.key_rules(ctx), Some((_, true)))
    }

    /// Whether all rows may be seen, and whether their keys may be seen wherever they may; `None` where no key may be.
    fn key_rules(&self, ctx: &Context) -> Option<(bool, bool)> {
        let id = ctx.schema.find(&self.collection)?;
        let key = ctx.schema.collection(id).key()?;
        let rules = ctx.allowed(id, Action::Read).filter(|rules| rules.fields.contains(key))?;
        Some((rules.rows.is_none(), rules.fields.rows_of(key).is_none()))
    }
}

/// Messages of one item each: clients look at the first item of what happened, and at no other.
fn one_by_one(members: &[u8]) -> Result<Vec<Vec<u8>>> {
    Ok(parsed(members)?.iter().map(|item| format!("\"data\":[{item}]").into_bytes()).collect())
}

/// The items of a list as reads write it.
pub(super) fn parsed(members: &[u8]) -> Result<Vec<Value>> {
    let text = [b"{".as_slice(), members, b"}"].concat();
    let mut document: Value = serde_json::from_slice(&text).map_err(Error::internal)?;
    Ok(match document["data"].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    })
}

/// What was read of items that changed.
#[derive(Default)]
pub(super) struct Read {
    /// Members of messages.
    pub(super) messages: Vec<Vec<u8>>,
    /// The items that were found, where that is known.
    pub(super) seen: Option<Vec<Arc<str>>>,
}

/// What cannot be seen is nothing to tell.
fn seen(read: Result<Vec<u8>>) -> Result<Option<Vec<u8>>> {
    match read {
        Ok(members) => Ok(Some(members)),
        Err(error) if is_passing(&error) => Err(error),
        // The model or the rights are others than when the subscription began.
        Err(_) => Ok(None),
    }
}

fn key_name(ctx: &Context, collection: &str) -> Option<String> {
    let collection: &Collection = ctx.schema.get(collection)?;
    Some(collection.field(collection.key()?).name.to_string())
}

/// The items whose end somebody is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Watch {
    /// None: not even their keys may be seen.
    Nothing,
    /// Every one, since every one may be seen.
    Everything,
    /// Those that were seen: what the rows of others were called is not told when they are gone.
    Known(HashSet<Arc<str>>),
}

impl Watch {
    /// These may not be seen any more.
    pub(super) fn forget(&mut self, keys: &[&Arc<str>]) {
        if let Watch::Known(known) = self {
            keys.iter().for_each(|key| {
                known.remove(*key);
            });
        }
    }
}

/// A number that no other subscription has.
pub(super) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A subscription of one socket.
pub(super) struct Subscription {
    pub(super) id: u64,
    pub(super) socket: u64,
    /// What the client calls it, as JSON.
    pub(super) uid: Option<Arc<str>>,
    pub(super) spec: Arc<Spec>,
    /// It is told where in the stream each message stands.
    pub(super) wants_position: bool,
    outbox: Arc<Outbox>,
    /// Messages that came before the first answer; none from then on.
    held: Mutex<Option<Vec<ByteString>>>,
    is_over: AtomicBool,
}

impl Subscription {
    pub(super) fn new(
        id: u64,
        socket: u64,
        uid: Option<Arc<str>>,
        spec: Arc<Spec>,
        wants_position: bool,
        outbox: Arc<Outbox>,
    ) -> Self {
        let held = Mutex::new(Some(Vec::new()));
        Subscription { id, socket, uid, spec, wants_position, outbox, held, is_over: AtomicBool::new(false) }
    }

    /// Sends a message, behind the first answer.
    pub(super) fn send(&self, frame: ByteString) {
        if self.is_over() {
            return;
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *held {
            None => self.outbox.push(frame),
            Some(held) if held.len() < MOST_HELD => held.push(frame),
            Some(_) => self.outbox.end(Ending::Slow),
        }
    }

    /// The first answer is sent.
    pub(super) fn release(&self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for frame in held.take().unwrap_or_default() {
            self.outbox.push(frame);
        }
    }

    /// Whether nothing is sent any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Nothing is sent any more.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }
}

/// One thing to tell: the name of the event, and the members of its message.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) event: &'static str,
    pub(super) members: Vec<u8>,
}

impl Told {
    pub(super) fn new(event: &'static str, members: Vec<u8>) -> Self {
        Told { event, members }
    }

    /// The message of the public protocol.
    pub(super) fn frame(&self, uid: Option<&str>, position: Option<&Position>) -> ByteString {
        let event = format!("\"{}\"", self.event);
        let position = position.map(|position| format!("\"{position}\""));
        let mut members = vec![("event", event.as_str())];
        members.extend(position.as_deref().map(|position| ("position", position)));
        let mut text = message("subscription", &members, uid);
        if let (false, Ok(data)) = (self.members.is_empty(), std::str::from_utf8(&self.members)) {
            let end = text.len() - 1;
            text.insert_str(end, data);
            text.insert(end, ',');
        }
        text.into()
    }
}
