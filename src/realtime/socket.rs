//! One open socket: reading, writing, and every way in which it ends.
//!
//! Start at [`Connection::serve`]. What a message means is the business of the protocol (`public`). Reading and writing
//! take turns in one task; between them, and between the hub and the writing side, stands the outbox.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::error::PayloadError;
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, ProtocolError, Session};
use futures::FutureExt as _;
use jiff::Timestamp;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until, timeout};

use super::caller::{Caller, Identity};
use super::hub::{Command, Line};
use super::outbox::{Ending, Next, Outbox};
use super::subscription::Subscription;
use super::{Desk, Door, Place, figures, graphql, public};
use crate::access::Context;
use crate::config::{DoorConfig, SocketAuth};
use crate::error::{Error, Result};
use crate::server::{Meter, RouteClass, Socket};

/// How long a client may take to read what was sent before the end.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Over how many seconds messages are counted.
const BURST_S: f64 = 5.0;

/// One socket and whoever is there.
pub(super) struct Connection {
    pub(super) id: u64,
    pub(super) door: Door,
    /// GraphQL: the client has begun.
    pub(super) has_begun: bool,
    pub(super) desk: Arc<Desk>,
    pub(super) hub: Line,
    pub(super) config: DoorConfig,
    pub(super) identity: Identity,
    pub(super) caller: Option<Arc<Caller>>,
    pub(super) meter: Meter,
    pub(super) outbox: Arc<Outbox>,
    /// By what the client calls them; those without a name by their number.
    pub(super) subscriptions: HashMap<SubscriptionName, Arc<Subscription>>,
    /// Until then somebody has to say who they are.
    auth_by: Option<Instant>,
    /// Then the token ends.
    expires_at: Option<Instant>,
    allowance: Allowance,
    place: Place,
}

/// What a subscription of one socket is found by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum SubscriptionName {
    /// As the client calls it.
    Given(Arc<str>),
    /// It has no name.
    Number(u64),
}

/// What happens next on a socket.
enum Happening {
    Message(Option<Result<AggregatedMessage, ProtocolError>>),
    AuthTimeout,
    Expired,
    Beat,
    Interrupted(Result<Ending>),
    Stopped,
}

impl Connection {
    #[expect(clippy::too_many_arguments, reason = "called in one place, which has just made all of it")]
    pub(super) fn new(
        id: u64,
        door: Door,
        desk: Arc<Desk>,
        hub: Line,
        config: DoorConfig,
        identity: Identity,
        caller: Option<Arc<Caller>>,
        meter: Meter,
        place: Place,
    ) -> Self {
        let outbox = Arc::new(Outbox::new(desk.config.queue_messages, desk.config.queue_bytes));
        let allowance = Allowance::new(desk.config.messages_per_second);
        let mut connection = Connection {
            id,
            door,
            has_begun: false,
            desk,
            hub,
            identity,
            caller: None,
            meter,
            outbox,
            subscriptions: HashMap::new(),
            auth_by: Some(Instant::now() + config.auth_timeout),
            config,
            expires_at: None,
            allowance,
            place,
        };
        if let Some(caller) = caller {
            connection.enter(caller);
        }
        connection
    }

    /// Speaks with the client to the end.
    pub(super) async fn serve(mut self, socket: Socket) {
        let Socket { session, stream } = socket;
        let most_bytes = self.desk.config.most_message_bytes;
        let stream =
            stream.max_frame_size(most_bytes).aggregate_continuations().max_continuation_size(most_bytes);
        let (id, hub, outbox) = (self.id, self.hub.clone(), self.outbox.clone());
        {
            let mut writing = pin!(write(session.clone(), outbox.clone()));
            let mut reading = pin!(self.read(stream, session));
            tokio::select! {
                ending = &mut writing => figures::ended(ending.name()),
                ending = &mut reading => {
                    outbox.end(ending);
                    figures::ended(ending.name());
                    timeout(LAST_WORDS, writing).await.ok();
                }
            }
        }
        for subscription in self.subscriptions.values() {
            subscription.end();
        }
        hub.say(Command::Leave { socket: id });
    }

    async fn read(&mut self, mut stream: AggregatedMessageStream, mut session: Session) -> Ending {
        let mut heartbeat = self.desk.config.heartbeat.map(|period| {
            let mut ticks = interval_at(Instant::now() + period, period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        let mut was_heard = true;
        loop {
            let happening = tokio::select! {
                message = stream.recv() => Happening::Message(message),
                () = at(self.auth_by) => Happening::AuthTimeout,
                () = at(self.expires_at) => Happening::Expired,
                () = beat(heartbeat.as_mut()) => Happening::Beat,
                interrupted = self.outbox.interrupted() => Happening::Interrupted(interrupted),
                () = self.place.stopped() => Happening::Stopped,
            };
            let message = match happening {
                Happening::Message(message) => message,
                Happening::AuthTimeout if self.door == Door::GraphQl => return graphql::INIT_TIMEOUT,
                Happening::AuthTimeout => {
                    self.send(public::auth_timeout());
                    return Ending::Refused;
                }
                Happening::Expired | Happening::Interrupted(Err(_)) if self.door == Door::GraphQl => {
                    return graphql::FORBIDDEN;
                }
                Happening::Expired | Happening::Interrupted(Err(Error::TokenExpired)) => {
                    self.expire().await;
                    continue;
                }
                Happening::Beat if !was_heard => return Ending::Silent,
                Happening::Beat => {
                    was_heard = false;
                    self.send(public::ping());
                    continue;
                }
                Happening::Interrupted(Ok(ending)) => return ending,
                Happening::Stopped => return Ending::GoingAway,
                Happening::Interrupted(Err(_)) => {
                    self.send(public::revoked());
                    return Ending::Refused;
                }
            };
            was_heard = true;
            let ending = match message {
                None => Some(Ending::Left),
                Some(Ok(AggregatedMessage::Close(reason))) => {
                    Some(Ending::Closed(reason.map(|reason| reason.code.into())))
                }
                Some(Err(error)) => Some(ending_of(&error)),
                Some(Ok(_)) if !self.allowance.take() => Some(Ending::Flood),
                Some(Ok(AggregatedMessage::Text(text))) => {
                    figures::received();
                    self.hear(&text).await
                }
                Some(Ok(AggregatedMessage::Binary(_))) => Some(Ending::Binary),
                Some(Ok(AggregatedMessage::Ping(bytes))) => {
                    session.pong(&bytes).await.is_err().then_some(Ending::Left)
                }
                Some(Ok(AggregatedMessage::Pong(_))) => None,
            };
            if let Some(ending) = ending {
                return ending;
            }
        }
    }

    /// Answers one message.
    async fn hear(&mut self, text: &str) -> Option<Ending> {
        let heard = match self.door {
            Door::Public => AssertUnwindSafe(public::hear(self, text)).catch_unwind().await,
            Door::GraphQl => AssertUnwindSafe(graphql::hear(self, text)).catch_unwind().await,
        };
        heard.unwrap_or_else(|_| {
            // What the panic says is in the log already, without the values that it may hold.
            tracing::error!("a message of a socket ended in a panic");
            Some(Ending::Broken)
        })
    }

    pub(super) fn send(&self, frame: String) {
        self.outbox.push(frame.into());
    }

    /// Somebody is known from now on.
    pub(super) fn enter(&mut self, caller: Arc<Caller>) {
        self.auth_by = None;
        self.expires_at = caller.expires().map(|expires| {
            let left = expires.duration_since(Timestamp::now());
            Instant::now() + Duration::try_from(left).unwrap_or_default()
        });
        self.caller = Some(caller.clone());
        self.hub.say(Command::Enter { socket: self.id, caller, outbox: self.outbox.clone() });
    }

    /// The token is over: another one may follow.
    async fn expire(&mut self) {
        self.send(public::expired());
        self.expires_at = None;
        self.caller = None;
        if self.config.auth == SocketAuth::Public
            && let Ok(visitor) = Caller::visitor(&self.desk, &self.identity).await
        {
            self.enter(visitor);
            return;
        }
        self.hub.say(Command::Pause { socket: self.id });
        self.auth_by = Some(Instant::now() + self.config.auth_timeout);
    }

    /// Who sends the message that is being worked on. Fails with `InvalidCredentials` and its like, and with `Forbidden` while
    /// nobody is known.
    pub(super) async fn context(&self) -> Result<Context> {
        match &self.caller {
            Some(caller) => caller.context(&self.desk).await,
            None => Err(Error::Forbidden),
        }
    }

    /// The same, counted like a request.
    pub(super) async fn admitted(&self) -> Result<Context> {
        let ctx = self.context().await?;
        self.meter.count(RouteClass::Other, ctx.accountability.user.as_deref()).await?;
        Ok(ctx)
    }
}

async fn write(mut session: Session, outbox: Arc<Outbox>) -> Ending {
    let ending = loop {
        match outbox.next().await {
            Next::Frame(frame) => {
                let written = tokio::select! {
                    written = session.text(frame) => written,
                    () = outbox.given_up() => break Ending::Slow,
                };
                if written.is_err() {
                    return Ending::Left;
                }
                figures::sent(1);
            }
            Next::End(ending) => break ending,
        }
    };
    // A client that reads nothing at all does not read this either.
    timeout(LAST_WORDS, session.close(ending.close_reason())).await.ok();
    ending
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn beat(heartbeat: Option<&mut Interval>) {
    match heartbeat {
        Some(heartbeat) => {
            heartbeat.tick().await;
        }
        None => std::future::pending().await,
    }
}

fn ending_of(error: &ProtocolError) -> Ending {
    match error {
        ProtocolError::Overflow => Ending::TooLarge,
        ProtocolError::Io(error) => match error.kind() {
            ErrorKind::InvalidData => Ending::NotText,
            // The connection ended without a close frame.
            _ if error.get_ref().is_some_and(|cause| cause.is::<PayloadError>()) => Ending::Left,
            // Fragments that are too large together.
            ErrorKind::Other => Ending::TooLarge,
            _ => Ending::Left,
        },
        _ => Ending::Malformed,
    }
}

impl Ending {
    fn name(self) -> &'static str {
        match self {
            Ending::Left | Ending::Closed(_) => "left",
            Ending::Refused => "refused",
            Ending::Slow => "slow",
            Ending::Flood => "flood",
            Ending::Silent => "silent",
            Ending::TooLarge => "too large",
            Ending::Malformed => "malformed",
            Ending::Binary => "binary",
            Ending::NotText => "not text",
            Ending::GoingAway => "going away",
            Ending::Broken => "broken",
            Ending::Protocol(..) => "protocol",
        }
    }

    /// The codes of RFC 6455; see `docs/realtime.md`.
    fn close_reason(self) -> Option<CloseReason> {
        let (code, description) = match self {
            Ending::Left | Ending::Refused => return None,
            // What the client said is said back: its side takes that for how the socket ended.
            Ending::Closed(code) => {
                let code = code.filter(|code| is_sent(*code))?;
                return Some(CloseReason { code: CloseCode::from(code), description: None });
            }
            Ending::Slow => (CloseCode::Again, "messages are read too slowly"),
            Ending::Flood => (CloseCode::Policy, "too many messages"),
            Ending::Silent => (CloseCode::Policy, "no answer to a ping"),
            Ending::TooLarge => (CloseCode::Size, "the message is too large"),
            Ending::Malformed => (CloseCode::Protocol, "malformed frame"),
            Ending::Binary => (CloseCode::Unsupported, "messages are text"),
            Ending::NotText => (CloseCode::Invalid, "the message is not UTF-8"),
            Ending::GoingAway => (CloseCode::Away, "the server goes away"),
            Ending::Broken => (CloseCode::Error, "unexpected error"),
            Ending::Protocol(code, description) => (CloseCode::Other(code), description),
        };
        Some(CloseReason { code, description: Some(description.to_owned()) })
    }
}

/// Whether a code may stand in a frame; the rest are names for what happens without one.
fn is_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// How many messages a client may send: so many a second, and those of some seconds at once.
struct Allowance {
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Allowance {
    fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second);
        Allowance { per_second, left: per_second * BURST_S, at: Instant::now() }
    }

    fn take(&mut self) -> bool {
        let now = Instant::now();
        let earned = now.duration_since(self.at).as_secs_f64() * self.per_second;
        self.left = (self.left + earned).min(self.per_second * BURST_S);
        self.at = now;
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }
}
