//! From a request to a socket, which lives on when the request is answered.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::FromRequest;
use actix_web::http::Method;
use actix_web::web::Payload;
use futures::FutureExt as _;
use jiff::Timestamp;

use super::gate::{Gate, RouteClass, Tally};
use super::{Answer, Call};
use crate::error::{Error, Result};

/// An open socket: both of its directions.
pub struct Socket {
    /// Towards the client.
    pub session: actix_ws::Session,
    /// From the client.
    pub stream: actix_ws::MessageStream,
}

/// Counts what a socket is used for like the requests of its client.
pub struct Meter {
    gate: Arc<Gate>,
    address: Option<IpAddr>,
}

impl Meter {
    /// Counts one use. Fails with `RequestsExceeded`.
    pub async fn count(&self, class: RouteClass, user: Option<&str>) -> Result<()> {
        let (now, tally) = (Timestamp::now(), Tally::default());
        self.gate.admit(class, self.address, now, &tally).await?;
        match user {
            Some(user) => self.gate.admit_user(user, now, &tally).await,
            None => Ok(()),
        }
    }
}

impl Call<'_> {
    /// Whether a socket is asked for.
    pub fn asks_for_socket(&self) -> bool {
        self.method == Method::GET
            && self.header("upgrade").is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
    }

    /// Opens a socket, which speaks the first of these protocols that the client offers, if it offers any.
    ///
    /// Fails with `InvalidPayload` when the request is malformed.
    pub fn upgrade(&mut self, protocols: &[&str]) -> Result<(Answer, Socket)> {
        let malformed = || Error::payload("the request cannot be upgraded to a socket.");
        let body = Payload::from_request(self.http, self.payload).now_or_never();
        let body = body.and_then(|body| body.ok()).ok_or_else(malformed)?;
        let (response, session, stream) =
            actix_ws::handle_with_protocols(self.http, body, protocols).map_err(|_| malformed())?;
        Ok((Answer::Socket(Box::new(response)), Socket { session, stream }))
    }

    /// What counts the uses of the socket that this request opens.
    pub fn meter(&self) -> Meter {
        Meter { gate: self.gate.clone(), address: self.address }
    }
}
