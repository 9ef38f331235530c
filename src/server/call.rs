//! One request, as the adapters see it.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::body::{self, JsonLimits};
use super::edge::Notes;
use super::gate::{Gate, RouteClass};
use super::path;
use crate::error::{Error, Result};

/// One request. Nothing of its body is read until somebody asks for it.
pub struct Call<'a> {
    /// `GET`, `SEARCH`, ...; `HEAD` is `GET` without its body.
    pub method: Method,
    /// The parts of the path between its slashes, decoded.
    pub path: &'a [Cow<'a, str>],
    /// Names the request in logs and answers.
    pub id: Uuid,
    /// The moment the request came in.
    pub now: Timestamp,
    /// Client address.
    pub address: Option<IpAddr>,
    /// Host and port that the client asked, which it may have invented.
    pub host: Option<&'a str>,
    pub(super) http: &'a HttpRequest,
    pub(super) payload: &'a mut Payload,
    pub(super) limits: JsonLimits,
    pub(super) gate: &'a Arc<Gate>,
    pub(super) notes: Notes<'a>,
    /// What stands in place of what the client sent, in a call inside another.
    pub(super) given: Option<Given<'a>>,
}

/// Parameters and body of a call inside another.
#[derive(Clone)]
pub(super) struct Given<'a> {
    parameters: &'a str,
    body: Bytes,
}

/// What a call inside another asks for: see [`Call::within`].
pub struct Inner {
    /// Like [`Call::method`].
    pub method: Method,
    /// Like [`Call::path`].
    pub path: Vec<Cow<'static, str>>,
    /// The parameters of its URL, encoded.
    pub parameters: String,
    /// Its body as JSON; empty for none.
    pub body: Bytes,
    /// Nothing comes from the client.
    pub(super) payload: Payload,
}

impl Inner {
    /// A call with nothing but a method and a path.
    pub fn new(method: Method, path: Vec<Cow<'static, str>>) -> Self {
        Inner { method, path, parameters: String::new(), body: Bytes::new(), payload: Payload::None }
    }
}

/// How a request says who sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials<'a> {
    /// Not at all.
    Nobody,
    /// By a token.
    Token(Cow<'a, str>),
}

impl<'a> Call<'a> {
    /// Notes which route this is, for logs and figures: a pattern such as `/items/{collection}`, never what was sent.
    pub fn set_route(&self, pattern: &'static str) {
        self.notes.route.set(pattern);
    }

    /// A call as whoever sent this one could have sent it: of the same caller from the same place, and part of the same answer.
    pub fn within<'b>(&'b self, inner: &'b mut Inner) -> Call<'b> {
        Call {
            method: inner.method.clone(),
            path: &inner.path,
            id: self.id,
            now: self.now,
            address: self.address,
            host: self.host,
            http: self.http,
            payload: &mut inner.payload,
            limits: self.limits,
            gate: self.gate,
            notes: self.notes,
            given: Some(Given { parameters: &inner.parameters, body: inner.body.clone() }),
        }
    }

    /// Counts a call inside another one: what is guessed there is guessed as often as it is asked for.
    pub async fn count_within(&self, class: RouteClass) -> Result<()> {
        self.gate.admit_within(class, self.address, self.now, self.notes.tally).await
    }

    /// Counts the request against what its user may send, once it is known who that is; a call inside another was counted with
    /// that one. Fails with `RequestsExceeded`.
    pub async fn count_user(&self, user: &str) -> Result<()> {
        if self.given.is_some() {
            return Ok(());
        }
        self.gate.admit_user(user, self.now, self.notes.tally).await
    }

    /// Parameters of the URL in order, decoded, without the token.
    pub fn parameters(&self) -> Result<Vec<(String, String)>> {
        let mut pairs = path::pairs(self.raw_parameters())?;
        pairs.retain(|(name, _)| name != "access_token");
        Ok(pairs)
    }

    /// The parameters of the URL as they came.
    pub fn raw_parameters(&self) -> &'a str {
        self.given.as_ref().map_or_else(|| self.http.query_string(), |given| given.parameters)
    }

    /// The value of a header, when it is text. What is said of the request as a whole means nothing for a call inside it.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        if self.given.is_some() && matches!(name, "content-type" | "idempotency-key" | "if-match") {
            return None;
        }
        self.http.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// The token in `Authorization: Bearer` or in `access_token`. Fails with `InvalidPayload` when both are there.
    pub fn credentials(&self) -> Result<Credentials<'a>> {
        let in_header = self
            .http
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| Cow::Borrowed(token.trim()));
        let query = self.http.query_string();
        let in_query = if query.contains("access_token") {
            path::pairs(query)?
                .into_iter()
                .find(|(name, _)| name == "access_token")
                .map(|(_, token)| Cow::Owned(token))
        } else {
            None
        };
        match (in_header, in_query) {
            (Some(_), Some(_)) => Err(Error::payload(
                "the token is sent twice, in the Authorization header and in access_token.",
            )),
            (Some(token), None) | (None, Some(token)) if !token.is_empty() => Ok(Credentials::Token(token)),
            _ => Ok(Credentials::Nobody),
        }
    }

    /// The value of a cookie; `None` when it is empty.
    pub fn cookie(&self, name: &str) -> Option<&'a str> {
        let sent = self.http.headers().get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
        let pairs = sent.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(|(known, value)| *known == name && !value.is_empty()).map(|(_, value)| value).next()
    }

    /// Sends a cookie with the answer, whatever that is: the text of a `Set-Cookie` header.
    pub fn set_cookie(&self, cookie: &str) {
        if let Ok(value) = HeaderValue::from_str(cookie) {
            self.notes.headers.borrow_mut().push((header::SET_COOKIE, value));
        }
    }

    /// Sends a header with the answer, whatever that is.
    pub fn set_header(&self, name: HeaderName, value: &'static str) {
        self.notes.headers.borrow_mut().push((name, HeaderValue::from_static(value)));
    }

    /// The path with its parameters, as it was sent.
    pub fn target(&self) -> &'a str {
        self.http.uri().path_and_query().map_or("/", |target| target.as_str())
    }

    /// The body as it was sent, at most as long as allowed.
    pub async fn bytes(&mut self) -> Result<Bytes> {
        if let Some(given) = &self.given {
            return Ok(given.body.clone());
        }
        body::read(self.payload, body::announced(self.http), self.limits.most_bytes).await
    }

    /// The body as JSON; `None` when there is none. Fails with `UnsupportedMediaType` when it is something else.
    pub async fn json(&mut self) -> Result<Option<Value>> {
        let bytes = self.bytes().await?;
        self.parse(&bytes)
    }

    /// The body as a form of the web, names and values in order. Only for those who know what a form of another site may do.
    ///
    /// Fails with `UnsupportedMediaType` when it is something else.
    pub async fn form(&mut self) -> Result<Vec<(String, String)>> {
        let bytes = self.bytes().await?;
        let content_type = self.header("content-type").unwrap_or_default();
        if !media_type(content_type).eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(unsupported(content_type));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| Error::payload("the form is not UTF-8."))?;
        path::pairs(text)
    }

    /// A body that was read before, as JSON; like [`Call::json`].
    pub fn parse(&self, bytes: &[u8]) -> Result<Option<Value>> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let content_type = self.header("content-type").unwrap_or_default();
        if self.given.is_none() && !is_json(content_type) {
            // A form of another site can send these without asking, so none of them may change anything.
            return Err(unsupported(content_type));
        }
        body::parse_json(bytes, self.limits).map(Some)
    }
}

pub(super) fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn unsupported(content_type: &str) -> Error {
    Error::UnsupportedMediaType { media_type: media_type(content_type).chars().take(100).collect() }
}

fn is_json(content_type: &str) -> bool {
    let media_type = media_type(content_type).to_ascii_lowercase();
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types() {
        for json in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
            assert!(is_json(json), "{json}");
        }
        for other in ["", "text/plain", "application/x-www-form-urlencoded", "text/json"] {
            assert!(!is_json(other), "{other}");
        }
    }
}
