//! GraphQL over a socket: the protocol `graphql-transport-ws`.
//!
//! Start at [`hear`]. Documents are read, checked and answered by `graphql`; here they become subscriptions of the hub. A query or
//! mutation is answered by one message.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::caller::Caller;
use super::frame::{Fault, message};
use super::group::MOST_KNOWN;
use super::hub::{Command, Joined};
use super::outbox::Ending;
use super::socket::{Connection, SubscriptionName};
use super::subscription::{Spec, Subscription, next_id};
use crate::config::SocketAuth;
use crate::error::{Error, Result};
use crate::events::EventAction;
use crate::graphql::{NoExtra, Request, Scope, errors};
use crate::server::{RouteClass, parse_json};

/// The name of the protocol.
pub(super) const PROTOCOL: &str = "graphql-transport-ws";
/// Longest id of an operation.
const LONGEST_ID: usize = 255;

const BAD_REQUEST: Ending = Ending::Protocol(4400, "invalid message");
const UNAUTHORIZED: Ending = Ending::Protocol(4401, "Unauthorized");
pub(super) const FORBIDDEN: Ending = Ending::Protocol(4403, "Forbidden");
pub(super) const INIT_TIMEOUT: Ending = Ending::Protocol(4408, "Connection initialisation timeout");
const ALREADY_EXISTS: Ending = Ending::Protocol(4409, "Subscriber already exists");
const TOO_MANY_INITS: Ending = Ending::Protocol(4429, "Too many initialisation requests");

/// Answers one message.
pub(super) async fn hear(connection: &mut Connection, text: &str) -> Option<Ending> {
    let Ok(Value::Object(body)) = parse_json(text.as_bytes(), connection.desk.json) else {
        return Some(BAD_REQUEST);
    };
    match body.get("type").and_then(Value::as_str) {
        Some("connection_init") => begin(connection, &body).await,
        Some("ping") => {
            let payload = body.get("payload").filter(|payload| payload.is_object()).map(Value::to_string);
            let members: Vec<_> = payload.iter().map(|payload| ("payload", payload.as_str())).collect();
            connection.send(message("pong", &members, None));
            None
        }
        Some("pong") => None,
        Some("subscribe" | "complete") if !connection.has_begun => Some(UNAUTHORIZED),
        Some("subscribe") => operation(connection, body).await,
        Some("complete") => complete(connection, &body),
        _ => Some(BAD_REQUEST),
    }
}

/// The id of an operation, as JSON.
fn id(body: &Map<String, Value>) -> Option<Arc<str>> {
    let id = body.get("id")?;
    let text = id.as_str()?;
    (!text.is_empty() && text.len() <= LONGEST_ID).then(|| id.to_string().into())
}

async fn begin(connection: &mut Connection, body: &Map<String, Value>) -> Option<Ending> {
    if connection.has_begun {
        return Some(TOO_MANY_INITS);
    }
    let token = body.get("payload").and_then(|payload| payload.get("access_token"));
    let outcome = match token.and_then(Value::as_str).filter(|token| !token.is_empty()) {
        Some(token) => known(connection, token).await.map(Some),
        None if connection.caller.is_some() => Ok(None),
        None if connection.config.auth == SocketAuth::Public => {
            Caller::visitor(&connection.desk, &connection.identity).await.map(Some)
        }
        None => Err(Error::InvalidCredentials),
    };
    match outcome {
        Ok(caller) => {
            if let Some(caller) = caller {
                connection.enter(caller);
            }
            connection.has_begun = true;
            connection.send(message("connection_ack", &[], None));
            None
        }
        Err(error) => {
            let fault = match &error {
                Error::TokenExpired => Fault::new("auth", "TOKEN_EXPIRED", "Token expired."),
                Error::RequestsExceeded { .. } | Error::ServiceUnavailable { .. } => {
                    Fault::of("auth", &error)
                }
                _ => Fault::new("auth", "AUTH_FAILED", "Authentication failed."),
            };
            connection.send(fault.frame(None));
            Some(FORBIDDEN)
        }
    }
}

async fn known(connection: &Connection, token: &str) -> Result<Arc<Caller>> {
    connection.meter.count(RouteClass::Other, None).await?;
    Caller::known(&connection.desk, token.to_owned(), &connection.identity).await
}

async fn operation(connection: &mut Connection, mut body: Map<String, Value>) -> Option<Ending> {
    let Some(id) = id(&body) else { return Some(BAD_REQUEST) };
    let Some(Value::Object(payload)) = body.remove("payload") else { return Some(BAD_REQUEST) };
    let name = SubscriptionName::Given(id.clone());
    if connection.subscriptions.get(&name).is_some_and(|subscription| !subscription.is_over()) {
        return Some(ALREADY_EXISTS);
    }
    let outcome = match Request::from_body(payload) {
        Ok(request) => Box::pin(work(connection, &id, &request)).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(Some(subscription)) => {
            connection.subscriptions.insert(name, subscription);
        }
        Ok(None) => connection.send(framed("complete", &id, "")),
        Err(error) => {
            let fault = errors(&error);
            if let Error::Internal { .. } = &error {
                // Into the log, with its cause.
                Fault::of("graphql", &error);
            }
            connection.send(framed("error", &id, &Value::from(fault).to_string()));
        }
    }
    None
}

/// A message about an operation.
fn framed(kind: &str, id: &str, payload: &str) -> String {
    let payload = (!payload.is_empty()).then_some(("payload", payload));
    let members: Vec<_> = std::iter::once(("id", id)).chain(payload).collect();
    message(kind, &members, None)
}

/// A message of an operation that goes on: `members` stand in its payload.
pub(super) fn next(id: &str, members: &[u8]) -> String {
    framed("next", id, &format!("{{{}}}", String::from_utf8_lossy(members)))
}

/// The last message of a subscription that cannot go on.
pub(super) fn missed(id: &str) -> String {
    let error = json!([{
        "message": "Something was missed. Subscribe again.", "extensions": { "code": "EVENTS_MISSED" },
    }]);
    framed("error", id, &error.to_string())
}

/// Does what a document asks. Gives what goes on from then on, if anything does.
async fn work(
    connection: &mut Connection,
    id: &Arc<str>,
    request: &Request,
) -> Result<Option<Arc<Subscription>>> {
    let ctx = connection.admitted().await?;
    let desk = connection.desk.clone();
    if !desk.graphql.is_subscription(&ctx, request).await? {
        let members = Box::pin(desk.graphql.answer(&ctx, Scope::Items, request, true, &NoExtra)).await?;
        connection.send(next(id, &members));
        return Ok(None);
    }
    let asked = desk.graphql.subscription(&ctx, request).await?;
    let most = desk.config.most_subscriptions;
    connection.subscriptions.retain(|_, subscription| !subscription.is_over());
    if connection.subscriptions.len() >= most {
        return Err(Error::LimitExceeded { limit: "WEBSOCKETS_SUBSCRIPTION_LIMIT", most: most as u64 });
    }
    let event = asked.event.as_deref().and_then(|name| {
        [EventAction::Create, EventAction::Update, EventAction::Delete]
            .into_iter()
            .find(|action| action.name() == name)
    });
    let spec = Arc::new(Spec::graphql(asked, event));
    let (number, outbox) = (next_id(), connection.outbox.clone());
    let subscription =
        Subscription::new(number, connection.id, Some(id.clone()), spec.clone(), false, outbox);
    let subscription = Arc::new(subscription);
    let joined = connection.hub.join(subscription.clone(), None).await;
    let seen = match joined {
        Ok(Joined { remembers: true, position, .. }) => {
            let seen = spec.visible(&desk, &ctx, None, MOST_KNOWN).await;
            seen.map(|keys| Some(Command::Know { subscription: number, keys, since: position }))
        }
        other => other.map(|_| None),
    };
    match seen {
        Ok(seen) => {
            seen.into_iter().for_each(|seen| connection.hub.say(seen));
            subscription.release();
            Ok(Some(subscription))
        }
        Err(error) => {
            subscription.end();
            connection.hub.say(Command::Part { subscription: number });
            Err(error)
        }
    }
}

fn complete(connection: &mut Connection, body: &Map<String, Value>) -> Option<Ending> {
    let Some(id) = id(body) else { return Some(BAD_REQUEST) };
    if let Some(subscription) = connection.subscriptions.remove(&SubscriptionName::Given(id)) {
        subscription.end();
        connection.hub.say(Command::Part { subscription: subscription.id });
    }
    None
}
