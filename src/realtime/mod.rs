//! What happens, told to those who listen while it happens.
//!
//! Start at [`Realtime`]. The `hub` is one task per process: it takes committed events in and hands them to each `group` of
//! listeners who ask the same with the same rights. A group reads once, through `items` and with those rights, what there is to
//! tell, beside other groups (`work`). A socket is a task of its own (`socket`) that speaks one protocol (`public` or `graphql`);
//! between it and the hub stands an `outbox` of bounded size. Nothing here decides what may be seen.

mod batch;
mod caller;
mod facts;
mod figures;
mod frame;
mod graphql;
mod group;
mod history;
mod hub;
mod nodes;
mod outbox;
mod public;
mod socket;
mod subscription;
mod work;

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::auth::Authenticator;
use crate::cache::SharedStream;
use crate::config::{DoorConfig, SocketAuth, SocketsConfig};
use crate::error::{Error, Result};
use crate::events::Events;
use crate::graphql::GraphQl;
use crate::items::ItemsService;
use crate::project::SchemaStore;
use crate::query::QueryLimits;
use crate::schema::Schema;
use crate::server::{Answer, Call, JsonLimits};

use caller::{Caller, Identity};
use hub::Line;
use socket::Connection;

/// What everything in this room works with.
pub struct Desk {
    /// Rows.
    pub items: Arc<ItemsService>,
    /// Who is there.
    pub auth: Arc<Authenticator>,
    /// The model.
    pub schemas: Arc<SchemaStore>,
    /// Documents.
    pub graphql: Arc<GraphQl>,
    /// What is committed.
    pub events: Events,
    /// Limits of queries.
    pub limits: QueryLimits,
    /// Limits of messages.
    pub json: JsonLimits,
    /// What the operator decided.
    pub config: SocketsConfig,
    /// People sign in with e-mail and password here.
    pub has_passwords: bool,
}

impl Desk {
    fn schema(&self) -> Arc<Schema> {
        self.schemas.schema()
    }
}

/// The doors to sockets.
pub struct Realtime {
    desk: Arc<Desk>,
    hub: Line,
    open: Arc<Open>,
    next_socket: AtomicU64,
}

/// A protocol, by where it is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Items and subscriptions as JSON.
    Public,
    /// GraphQL.
    GraphQl,
}

impl Door {
    fn name(self) -> &'static str {
        match self {
            Door::Public => "rest",
            Door::GraphQl => "graphql",
        }
    }

    /// How logs and figures call it.
    pub fn pattern(self) -> &'static str {
        match self {
            Door::Public => "/websocket",
            Door::GraphQl => "/graphql (socket)",
        }
    }
}

impl Realtime {
    /// Starts the hub, which ends with the process; other nodes are told and heard over this stream.
    pub fn start(desk: Desk, others: Option<SharedStream>) -> Self {
        let desk = Arc::new(desk);
        let hub = hub::start(desk.clone(), others);
        Realtime { desk, hub, open: Arc::default(), next_socket: AtomicU64::new(1) }
    }

    /// The protocol that is spoken at a path.
    pub fn door(&self, path: &[Cow<'_, str>]) -> Option<Door> {
        [Door::Public, Door::GraphQl].into_iter().find(|door| {
            self.config(*door)
                .is_some_and(|config| config.path.split('/').skip(1).eq(path.iter().map(AsRef::as_ref)))
        })
    }

    fn config(&self, door: Door) -> Option<&DoorConfig> {
        match door {
            Door::Public => self.desk.config.rest.as_ref(),
            Door::GraphQl => self.desk.config.graphql.as_ref(),
        }
    }

    /// Opens a socket for whoever has this token, or for somebody yet to be known.
    ///
    /// Fails with `InvalidCredentials` and its like for a token that is not good, and where one is demanded and missing; with
    /// `RequestsExceeded` and `ServiceUnavailable` when there are too many sockets.
    pub async fn accept(&self, call: &mut Call<'_>, door: Door, token: Option<String>) -> Result<Answer> {
        let route = || Error::RouteNotFound { path: format!("/{}", call.path.join("/")) };
        let config = self.config(door).cloned().ok_or_else(route)?;
        if !call.asks_for_socket() {
            return Err(route());
        }
        let place = self.open.enter(door, call.address, &config, &self.desk.config, call.now)?;
        let identity = Identity {
            address: call.address,
            user_agent: call.header("user-agent").map(str::to_owned),
            origin: call.header("origin").map(str::to_owned),
            tenant: call.header("x-tenant").or_else(|| call.header("x-organization-id")).map(str::to_owned),
        };
        let caller = match (token, config.auth) {
            (Some(token), _) => Some(Caller::known(&self.desk, token, &identity).await?),
            (None, SocketAuth::Strict) => return Err(Error::InvalidCredentials),
            (None, SocketAuth::Public) if door == Door::Public => {
                Some(Caller::visitor(&self.desk, &identity).await?)
            }
            (None, SocketAuth::Public | SocketAuth::Handshake) => None,
        };
        let meter = call.meter();
        let protocols: &[&str] = if door == Door::GraphQl { &[graphql::PROTOCOL] } else { &[] };
        let offers = call.header("sec-websocket-protocol").unwrap_or_default();
        if !protocols.iter().all(|protocol| offers.split(',').any(|offered| offered.trim() == *protocol)) {
            return Err(Error::payload("the protocol graphql-transport-ws has to be offered."));
        }
        let (answer, socket) = call.upgrade(protocols)?;
        let id = self.next_socket.fetch_add(1, Ordering::Relaxed);
        let connection = Connection::new(
            id,
            door,
            self.desk.clone(),
            self.hub.clone(),
            config,
            identity,
            caller,
            meter,
            place,
        );
        // On the thread of the connection, which ends with it.
        actix_web::rt::spawn(connection.serve(socket));
        Ok(answer)
    }

    /// What clients are told of sockets.
    pub fn describe(&self) -> Value {
        let door = |config: &Option<DoorConfig>| {
            config.as_ref().map_or(
                Value::Bool(false),
                |config| json!({ "authentication": config.auth.name(), "path": config.path }),
            )
        };
        let config = &self.desk.config;
        json!({
            "rest": door(&config.rest),
            "graphql": door(&config.graphql),
            "heartbeat": config.heartbeat.map_or(Value::Bool(false), |period| json!(period.as_secs())),
        })
    }

    /// Every socket is told that the server goes away, and no other is opened.
    pub fn stop(&self) {
        self.open.stopping.send_replace(true);
    }
}

/// The sockets that are open.
#[derive(Default)]
struct Open {
    stopping: watch::Sender<bool>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    by_door: HashMap<&'static str, usize>,
    by_address: HashMap<Option<IpAddr>, usize>,
}

/// The place that an open socket takes; free again when it is gone.
struct Place {
    open: Arc<Open>,
    door: Door,
    address: Option<IpAddr>,
}

impl Place {
    /// Returns when the server is about to stop.
    async fn stopped(&self) {
        // The sender is held by this place.
        self.open.stopping.subscribe().wait_for(|is_stopping| *is_stopping).await.ok();
    }
}

impl Open {
    fn enter(
        self: &Arc<Self>,
        door: Door,
        address: Option<IpAddr>,
        config: &DoorConfig,
        limits: &SocketsConfig,
        now: Timestamp,
    ) -> Result<Place> {
        if *self.stopping.borrow() {
            return Err(full("The server is about to stop."));
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let Counts { by_door, by_address } = &mut *counts;
        let of_door = by_door.entry(door.name()).or_default();
        if config.most_connections.is_some_and(|most| *of_door >= most) {
            return Err(full("There are as many sockets as there may be."));
        }
        let of_address = by_address.entry(address).or_default();
        if *of_address >= limits.most_per_client {
            return Err(Error::RequestsExceeded {
                limit: u32::try_from(limits.most_per_client).unwrap_or(u32::MAX),
                retry_after_s: 10,
                reset: now.checked_add(jiff::SignedDuration::from_secs(10)).unwrap_or(now),
            });
        }
        *of_address += 1;
        *of_door += 1;
        figures::opened(door.name());
        Ok(Place { open: self.clone(), door, address })
    }
}

fn full(reason: &str) -> Error {
    Error::ServiceUnavailable { service: "websockets", reason: reason.to_owned(), retry_after_s: 10 }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.open.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.by_door.get_mut(self.door.name()) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = counts.by_address.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.by_address.remove(&self.address);
            }
        }
        figures::closed(self.door.name());
    }
}
