//! Requests that become sockets. What is spoken over them is the business of `realtime`.

use super::Api;
use crate::error::Result;
use crate::realtime::Door;
use crate::server::{Answer, Call, Credentials};

/// Opens a socket for whoever the request says it is from.
///
/// A cookie speaks for its user only where the page is of an allowed origin: browsers open sockets for every page.
pub(super) async fn open(api: &Api, call: &mut Call<'_>, door: Door) -> Result<Answer> {
    let Some(realtime) = &api.realtime else { return Err(super::not_found(call)) };
    let token = match call.credentials()? {
        Credentials::Token(token) => Some(token.into_owned()),
        Credentials::Nobody => match api.cookies.session(call) {
            Some(token) => {
                api.cookies.check_origin(call)?;
                Some(token.to_owned())
            }
            None => None,
        },
    };
    realtime.accept(call, door, token).await
}
