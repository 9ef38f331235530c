//! The protocol of the public API: JSON messages with a `type`.
//!
//! Start at [`hear`]. Each message is answered before the next one is read.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::caller::Caller;
use super::frame::{Fault, message, with_members};
use super::group::MOST_KNOWN;
use super::history::Position;
use super::hub::Command;
use super::outbox::Ending;
use super::socket::{Connection, SubscriptionName};
use super::subscription::{Spec, Subscription, Told, next_id};
use crate::access::{Action, Context};
use crate::auth::{Credentials, Mode, Tokens};
use crate::config::SocketAuth;
use crate::error::{Error, Result};
use crate::events::EventAction;
use crate::items::{Operation, Targets};
use crate::query::{Query, Selection, parse};
use crate::schema::{Collection, ColumnType, Schema};
use crate::server::{RouteClass, parse_json};

/// Longest name that a client gives to a message.
const LONGEST_UID: usize = 255;
/// System collections whose rows are secrets, or are not items.
const NOT_TOLD: &[&str] = &["directus_sessions", "directus_migrations", "directus_extensions"];

pub(super) fn ping() -> String {
    message("ping", &[], None)
}

pub(super) fn auth_timeout() -> String {
    Fault::new("auth", "AUTH_TIMEOUT", "Nobody said in time who they are.").frame(None)
}

pub(super) fn expired() -> String {
    Fault::new("auth", "TOKEN_EXPIRED", "Token expired.").frame(None)
}

pub(super) fn revoked() -> String {
    Fault::new("auth", "AUTH_FAILED", "The session is over.").frame(None)
}

/// What a message is answered with: a fault, and the name of the message.
type Answered = Result<Option<String>, (Fault, Option<Arc<str>>)>;

/// Answers one message.
pub(super) async fn hear(connection: &mut Connection, text: &str) -> Option<Ending> {
    let body = match parse_json(text.as_bytes(), connection.desk.json) {
        Ok(Value::Object(body)) => body,
        Ok(_) => {
            connection.send(invalid("server", "a message must be an object.").frame(None));
            return None;
        }
        Err(error) => {
            connection.send(Fault::of("server", &error).frame(None));
            return None;
        }
    };
    let uid = match uid(&body) {
        Ok(uid) => uid,
        Err(fault) => {
            connection.send(fault.frame(None));
            return None;
        }
    };
    let kind = body.get("type").and_then(Value::as_str).unwrap_or_default();
    if kind == "auth" {
        return sign_in(connection, &body, uid).await;
    }
    if connection.caller.is_none() {
        connection.send(Fault::new("auth", "AUTH_FAILED", "Say who you are first.").frame(uid.as_deref()));
        return Some(Ending::Refused);
    }
    let answered = match kind {
        "ping" => Ok(Some(message("pong", &[], uid.as_deref()))),
        "pong" => Ok(None),
        "items" => items(connection, body, uid).await,
        "subscribe" => subscribe(connection, &body, uid).await,
        "unsubscribe" => Ok(Some(unsubscribe(connection, uid))),
        _ => Err((invalid("server", "\"type\" is none that is known."), uid)),
    };
    match answered {
        Ok(Some(frame)) => connection.send(frame),
        Ok(None) => {}
        Err((fault, uid)) => connection.send(fault.frame(uid.as_deref())),
    }
    None
}

fn invalid(kind: &'static str, reason: &str) -> Fault {
    Fault::of(kind, &Error::payload(reason))
}

/// What the client calls a message, as JSON.
fn uid(body: &Map<String, Value>) -> Result<Option<Arc<str>>, Fault> {
    match body.get("uid") {
        None | Some(Value::Null) => Ok(None),
        Some(uid @ (Value::String(_) | Value::Number(_))) => {
            let text = uid.to_string();
            if text.len() > LONGEST_UID {
                return Err(invalid("server", "\"uid\" is too long."));
            }
            Ok(Some(text.into()))
        }
        Some(_) => Err(invalid("server", "\"uid\" must be a text or a number.")),
    }
}

fn text<'b>(body: &'b Map<String, Value>, name: &str) -> Option<&'b str> {
    body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty() && !text.contains('\0'))
}

/// A key, as it stands in paths.
fn key(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() && !text.contains('\0') => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A key as events have it.
fn known_key(collection: &Collection, key: String) -> String {
    let column = collection.key().and_then(|key| collection.field(key).column.as_ref());
    match Uuid::try_parse(key.trim()) {
        Ok(id) if column.is_some_and(|column| column.column_type == ColumnType::Uuid) => {
            id.hyphenated().to_string()
        }
        _ => key,
    }
}

async fn sign_in(
    connection: &mut Connection,
    body: &Map<String, Value>,
    uid: Option<Arc<str>>,
) -> Option<Ending> {
    match credentials(connection, body).await {
        Ok((caller, refresh_token)) => {
            let refresh_token = refresh_token.map(|token| Value::from(token).to_string());
            let mut members = vec![("status", "\"ok\"")];
            members.extend(refresh_token.as_deref().map(|token| ("refresh_token", token)));
            // Before subscriptions go on: what they are told comes behind it.
            connection.send(message("auth", &members, uid.as_deref()));
            connection.enter(caller);
            None
        }
        Err(error) => {
            let fault = match &error {
                Error::TokenExpired => Fault::new("auth", "TOKEN_EXPIRED", "Token expired."),
                Error::InvalidOtp
                | Error::RequestsExceeded { .. }
                | Error::ServiceUnavailable { .. }
                | Error::Internal { .. } => Fault::of("auth", &error),
                _ => Fault::new("auth", "AUTH_FAILED", "Authentication failed."),
            };
            connection.send(fault.frame(uid.as_deref()));
            (connection.config.auth != SocketAuth::Public).then_some(Ending::Refused)
        }
    }
}

/// Whoever shows these, and a token for later where one is used up for it.
async fn credentials(
    connection: &Connection,
    body: &Map<String, Value>,
) -> Result<(Arc<Caller>, Option<String>)> {
    let Connection { desk, identity, meter, .. } = connection;
    if let Some(token) = text(body, "access_token") {
        meter.count(RouteClass::Other, None).await?;
        return Ok((Caller::known(desk, token.to_owned(), identity).await?, None));
    }
    meter.count(RouteClass::SignIn, None).await?;
    let (schema, client, now) = (desk.schema(), identity.client(), Timestamp::now());
    let tokens: Tokens = if let Some(token) = text(body, "refresh_token") {
        desk.auth.refresh(&schema, token, Mode::Json, client, now).await?
    } else if let (Some(email), Some(password), true) =
        (text(body, "email"), text(body, "password"), desk.has_passwords)
    {
        let otp = text(body, "otp").map(str::to_owned);
        let credentials = Credentials { email: email.to_owned(), password: password.to_owned(), otp };
        desk.auth.login(&schema, credentials, Mode::Json, client, now).await?
    } else {
        return Err(Error::InvalidCredentials);
    };
    Ok((Caller::known(desk, tokens.access_token, identity).await?, tokens.refresh_token))
}

fn query(connection: &Connection, body: &Map<String, Value>) -> Result<Query> {
    let mut query = match body.get("query") {
        None | Some(Value::Null) => Query::default(),
        Some(Value::Object(query)) => parse::parse_object(query, &connection.desk.limits)?,
        Some(_) => return Err(Error::payload("\"query\" must be an object.")),
    };
    query.export = None;
    Ok(query)
}

/// A collection that is there. Who may not do everything is not told which are.
fn find<'s>(
    kind: &'static str,
    ctx: &Context,
    schema: &'s Schema,
    name: Option<&str>,
    may_be_told: fn(&Collection) -> bool,
) -> Result<&'s Collection, Fault> {
    let name = name.ok_or_else(|| invalid(kind, "\"collection\" is required."))?;
    let found = schema.get(name);
    match found.filter(|collection| may_be_told(collection)) {
        Some(collection) => Ok(collection),
        None if found.is_some() || ctx.rules.is_everything() => {
            let reason = "The provided collection does not exists or is not accessible.";
            Err(Fault::new(kind, "INVALID_COLLECTION", reason))
        }
        None => Err(Fault::of(kind, &Error::Forbidden)),
    }
}

async fn items(connection: &mut Connection, body: Map<String, Value>, uid: Option<Arc<str>>) -> Answered {
    const KIND: &str = "items";
    let action = match text(&body, "action") {
        Some("create") => Action::Create,
        Some("read") => Action::Read,
        Some("update") => Action::Update,
        Some("delete") => Action::Delete,
        _ => {
            let reason = "\"action\" must be create, read, update or delete.";
            return Err((invalid(KIND, reason), None));
        }
    };
    let fail = |error: Error| (Fault::of(KIND, &error), uid.clone());
    let ctx = connection.admitted().await.map_err(fail)?;
    let schema = ctx.schema.clone();
    let is_item = |collection: &Collection| !collection.is_system();
    let collection = find(KIND, &ctx, &schema, text(&body, "collection"), is_item);
    let collection = collection.map_err(|fault| (fault, uid.clone()))?;
    let query = query(connection, &body).map_err(fail)?;
    let members = match action {
        Action::Read => read(connection, &ctx, collection, &body, query).await,
        Action::Delete => delete(connection, &ctx, collection, body, query).await,
        _ => write(connection, &ctx, collection, action, body, query).await,
    };
    let members = members.map_err(fail)?;
    let frame = with_members(KIND, &members, uid.as_deref());
    frame.map(Some).ok_or_else(|| fail(Error::internal(anyhow::anyhow!("an answer is no text"))))
}

async fn read(
    connection: &Connection,
    ctx: &Context,
    collection: &Collection,
    body: &Map<String, Value>,
    query: Query,
) -> Result<Vec<u8>> {
    let selection = match (body.get("id"), body.get("ids")) {
        (Some(id), _) if !id.is_null() => Selection::Key(key(id).ok_or_else(wrong_key)?),
        (_, Some(Value::Array(ids))) => {
            Selection::Keys(ids.iter().map(|id| key(id).ok_or_else(wrong_key)).collect::<Result<_>>()?)
        }
        (_, Some(ids)) if !ids.is_null() => return Err(Error::payload("\"ids\" must be an array.")),
        _ if collection.singleton => Selection::Singleton,
        _ => Selection::Query,
    };
    connection.desk.items.read(ctx, &collection.name, selection, query).await
}

fn wrong_key() -> Error {
    Error::payload("a key must be a text or a number.")
}

/// The items meant by `id`, `ids` or `query`.
fn targets(collection: &Collection, body: &mut Map<String, Value>, query: &Query) -> Result<Targets> {
    match (body.remove("id"), body.remove("ids")) {
        (Some(id), _) if !id.is_null() => Ok(Targets::Key(key(&id).ok_or_else(wrong_key)?)),
        (_, Some(Value::Array(ids))) => Ok(Targets::Keys(ids)),
        (_, Some(ids)) if !ids.is_null() => Err(Error::payload("\"ids\" must be an array.")),
        _ if collection.singleton => Ok(Targets::Singleton),
        _ if body.get("query").is_some_and(Value::is_object) => Ok(Targets::Query(Box::new(query.clone()))),
        _ => Err(Error::payload("\"id\", \"ids\" or \"query\" is required.")),
    }
}

/// Whether a message says by their keys which items are meant.
fn names_items(body: &Map<String, Value>) -> bool {
    ["id", "ids"].iter().any(|name| body.get(*name).is_some_and(|value| !value.is_null()))
}

fn payload(value: Value) -> Result<Map<String, Value>> {
    match value {
        Value::Object(payload) => Ok(payload),
        _ => Err(Error::payload("\"data\" must hold objects.")),
    }
}

async fn write(
    connection: &Connection,
    ctx: &Context,
    collection: &Collection,
    action: Action,
    mut body: Map<String, Value>,
    query: Query,
) -> Result<Vec<u8>> {
    let data = body.remove("data").ok_or_else(|| Error::payload("\"data\" is required."))?;
    let (operation, answer) = match (action, data) {
        (Action::Create, Value::Array(items)) => {
            let items = items.into_iter().map(payload).collect::<Result<_>>()?;
            (Operation::CreateMany(items), shown(query))
        }
        (Action::Create, data) => (Operation::Create(payload(data)?), shown(query)),
        (_, Value::Array(items)) if !names_items(&body) && !collection.singleton => {
            let items = items.into_iter().map(payload).collect::<Result<_>>()?;
            (Operation::UpdateEach(items), shown(query))
        }
        (_, data) => {
            let targets = targets(collection, &mut body, &query)?;
            // The public protocol answers one changed item whole, whatever is asked.
            let answer = if matches!(targets, Targets::Key(_)) { Query::default() } else { shown(query) };
            (Operation::Update(targets, payload(data)?), answer)
        }
    };
    let items = &connection.desk.items;
    let is_one = matches!(operation, Operation::Update(Targets::Key(_), _));
    let written = Box::pin(items.write(ctx, &collection.name, operation, Some(answer), None)).await?;
    match written.body {
        Some(body) => Ok(body),
        // Nothing is hidden from who sees every item: there is none.
        None if is_one && ctx.schema.find(&collection.name).is_some_and(|id| ctx.sees_every_item(id)) => {
            Err(Error::Forbidden)
        }
        None => Ok(b"\"data\":null".to_vec()),
    }
}

/// What is shown of items that were written, whichever they were.
fn shown(query: Query) -> Query {
    Query { filter: None, search: None, limit: None, offset: None, page: None, cursor: None, ..query }
}

async fn delete(
    connection: &Connection,
    ctx: &Context,
    collection: &Collection,
    mut body: Map<String, Value>,
    query: Query,
) -> Result<Vec<u8>> {
    let targets = targets(collection, &mut body, &query)?;
    let operation = Operation::Delete(targets);
    let written = Box::pin(connection.desk.items.change(ctx, &collection.name, operation)).await?;
    let keys = match written.keys {
        mut keys if written.is_single => keys.pop().unwrap_or_default(),
        keys => Value::Array(keys),
    };
    Ok(format!("\"data\":{keys}").into_bytes())
}

fn unsubscribe(connection: &mut Connection, uid: Option<Arc<str>>) -> String {
    let is_meant = |name: &SubscriptionName| {
        uid.as_ref().is_none_or(|uid| *name == SubscriptionName::Given(uid.clone()))
    };
    let ended: Vec<_> = connection.subscriptions.extract_if(|name, _| is_meant(name)).collect();
    for (_, subscription) in ended {
        subscription.end();
        connection.hub.say(Command::Part { subscription: subscription.id });
    }
    message("subscription", &[("event", "\"unsubscribe\"")], uid.as_deref())
}

/// `{"type":"subscribe","collection":...}`, perhaps with `event`, `item`, `query`, `uid` and `resume`.
async fn subscribe(
    connection: &mut Connection,
    body: &Map<String, Value>,
    uid: Option<Arc<str>>,
) -> Answered {
    const KIND: &str = "subscribe";
    let fail = |error: Error| (Fault::of(KIND, &error), uid.clone());
    let ctx = connection.admitted().await.map_err(fail)?;
    let schema = ctx.schema.clone();
    let may_be_told = |collection: &Collection| !NOT_TOLD.contains(&&*collection.name);
    let collection = find(KIND, &ctx, &schema, text(body, "collection"), may_be_told);
    let collection = collection.map_err(|fault| (fault, uid.clone()))?;
    let spec = spec(connection, collection, body).map_err(fail)?;
    let resume = match body.get("resume") {
        None | Some(Value::Null | Value::Bool(false)) => Resume::No,
        Some(Value::Bool(true)) => Resume::FromNow,
        Some(Value::String(text)) => Resume::From(Position::parse(text)),
        Some(_) => return Err(fail(Error::payload("\"resume\" must be true or a position."))),
    };
    let name = uid.clone().map(SubscriptionName::Given);
    if let Some(before) = name.as_ref().and_then(|name| connection.subscriptions.remove(name)) {
        before.end();
        connection.hub.say(Command::Part { subscription: before.id });
    }
    let most = connection.desk.config.most_subscriptions;
    if connection.subscriptions.len() >= most {
        let limit = "WEBSOCKETS_SUBSCRIPTION_LIMIT";
        return Err(fail(Error::LimitExceeded { limit, most: most as u64 }));
    }
    let id = next_id();
    let wants_position = !matches!(resume, Resume::No);
    let outbox = connection.outbox.clone();
    let subscription =
        Subscription::new(id, connection.id, uid.clone(), Arc::new(spec), wants_position, outbox);
    let subscription = Arc::new(subscription);
    let begun = begin(connection, &ctx, &subscription, resume).await;
    match begun {
        Ok(()) => {
            connection.subscriptions.insert(name.unwrap_or(SubscriptionName::Number(id)), subscription);
            Ok(None)
        }
        Err(error) => {
            subscription.end();
            connection.hub.say(Command::Part { subscription: id });
            Err(fail(error))
        }
    }
}

/// Whether and from where a subscription goes on.
enum Resume {
    No,
    FromNow,
    /// `None` for what is no position of ours, and so is not known.
    From(Option<Position>),
}

fn spec(connection: &Connection, collection: &Collection, body: &Map<String, Value>) -> Result<Spec> {
    let event = match body.get("event") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) if name == "create" => Some(EventAction::Create),
        Some(Value::String(name)) if name == "update" => Some(EventAction::Update),
        Some(Value::String(name)) if name == "delete" => Some(EventAction::Delete),
        Some(_) => return Err(Error::payload("\"event\" must be create, update or delete.")),
    };
    let item = match body.get("item") {
        None | Some(Value::Null) => None,
        Some(item) => Some(known_key(collection, key(item).ok_or_else(wrong_key)?)),
    };
    let raw = body.get("query").map(Value::to_string).unwrap_or_default();
    Spec::new(&collection.name, event, item.as_deref(), &raw, query(connection, body)?)
}

/// Joins first and reads then, so that nothing falls between the two; what happens meanwhile waits until the first answer is sent.
async fn begin(
    connection: &Connection,
    ctx: &Context,
    subscription: &Arc<Subscription>,
    resume: Resume,
) -> Result<()> {
    let (desk, spec) = (&connection.desk, &subscription.spec);
    let (from, goes_on) = match resume {
        Resume::No | Resume::FromNow => (None, false),
        Resume::From(from) => (from, true),
    };
    let joined = connection.hub.join(subscription.clone(), from.clone()).await?;
    let uid = subscription.uid.as_deref();
    let answer = |told: &Told, position: Option<&Position>| {
        connection.outbox.push(told.frame(uid, position.filter(|_| subscription.wants_position)));
    };
    let now = Some(&joined.position);
    if let Some(missed) = &joined.missed {
        // Whoever goes away before the last of them gets all of them again.
        missed.iter().for_each(|told| answer(told, from.as_ref()));
        answer(&Told::new("resumed", Vec::new()), now);
    } else {
        if goes_on {
            answer(&Told::new("missed", Vec::new()), now);
        }
        if joined.remembers {
            let seen = spec.visible(desk, ctx, None, MOST_KNOWN).await?;
            let (subscription, since) = (subscription.id, joined.position.clone());
            connection.hub.say(Command::Know { subscription, keys: seen, since });
        }
        let first = spec.begin(desk, ctx).await?;
        answer(&Told::new("init", first.unwrap_or_default()), now);
    }
    subscription.release();
    Ok(())
}
