//! What every request passes on its way in and out.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use actix_http::ConnectionType;
use actix_web::dev;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures::FutureExt;
use jiff::Timestamp;
use uuid::{Builder, Uuid};

use super::body::{self, JsonLimits};
use super::cors::Cors;
use super::gate::{Gate, RouteClass, Tally};
use super::observe::{self, Outcome};
use super::respond::Answer;
use super::{Call, address, compress, path, respond};
use crate::config::TrustedProxies;
use crate::error::{Error, Result};

/// Longest request line.
const MOST_REQUEST_LINE_BYTES: usize = 8 << 10;
/// Most bytes of headers.
const MOST_HEADER_BYTES: usize = 16 << 10;

/// An answer that a browser shows as a page loads nothing, runs nothing and is framed by nobody.
const NOTHING_RUNS: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Whoever knows the routes and answers them.
pub trait Routes: Send + Sync + 'static {
    /// Answers one request. Fails with `RouteNotFound` when there is no such route, or no such method on it.
    fn answer(&self, call: &mut Call<'_>) -> impl Future<Output = Result<Answer>>;

    /// What the route of a path is, for the limits; also of a path that has none.
    fn class(&self, path: &[Cow<'_, str>]) -> RouteClass;

    /// The server is about to stop: whatever lives on behind an answer comes to its end.
    fn stop(&self) {}
}

/// What the edge needs to know.
pub(super) struct Edge<R> {
    pub(super) routes: Arc<R>,
    pub(super) limits: JsonLimits,
    pub(super) trusted_proxies: TrustedProxies,
    pub(super) address_header: Option<String>,
    pub(super) compression: bool,
    pub(super) gate: Arc<Gate>,
    pub(super) cors: Option<Cors>,
    pub(super) hsts: Option<HeaderValue>,
    /// The server is about to stop: connections are not kept.
    pub(super) is_stopping: Arc<AtomicBool>,
}

/// One request from end to end.
pub(super) async fn handle<R: Routes>(
    request: HttpRequest,
    payload: Payload,
    edge: Data<Edge<R>>,
) -> HttpResponse {
    let started = Instant::now();
    let now = Timestamp::now();
    let id = request_id(&request, now);
    let route = Cell::new("unknown");
    let mut payload = payload.into_inner();

    let tally = Tally::default();
    let noted = RefCell::default();

    let answering = answer(
        &edge,
        &request,
        &mut payload,
        id,
        now,
        Notes { route: &route, tally: &tally, headers: &noted },
    );
    let result = AssertUnwindSafe(answering).catch_unwind().await.unwrap_or_else(|_| {
        // What the panic says is in the log already, without the values that it may hold.
        Err(Error::internal(anyhow::anyhow!("a panic, see the line before")))
    });
    // A connection whose body was not read to its end cannot be used again, and a client that still sends would not listen.
    body::drain(&mut payload, &request).await;

    let (mut response, error) = match result {
        Ok(answer) => (respond::answer(answer), None),
        Err(error) => (respond::error(&error), Some(error)),
    };
    add_headers(&mut response, id);
    let headers = response.headers_mut();
    tally.add_headers(headers);
    for (name, value) in noted.take() {
        headers.append(name, value);
    }
    if let Some(cors) = &edge.cors {
        cors.add_headers(&request, headers);
    }
    if let Some(hsts) = &edge.hsts {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, hsts.clone());
    }
    if edge.is_stopping.load(Ordering::Relaxed) {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    let outcome = Outcome {
        route: route.get(),
        method: request.method(),
        status: response.status(),
        duration: started.elapsed(),
        request_id: id,
    };
    observe::record(&outcome, error.as_ref());
    if edge.compression { compress::compress(&request, response) } else { response }
}

/// What becomes known of a request on its way, for its headers and its log line.
#[derive(Clone, Copy)]
pub(super) struct Notes<'a> {
    pub(super) route: &'a Cell<&'static str>,
    pub(super) tally: &'a Tally,
    pub(super) headers: &'a RefCell<Vec<(HeaderName, HeaderValue)>>,
}

async fn answer<R: Routes>(
    edge: &Edge<R>,
    request: &HttpRequest,
    payload: &mut dev::Payload,
    id: Uuid,
    now: Timestamp,
    notes: Notes<'_>,
) -> Result<Answer> {
    check_size(request)?;
    if edge.cors.is_some() && Cors::is_preflight(request) {
        notes.route.set("preflight");
        return Ok(Answer::Empty);
    }
    let segments = path::segments(request.uri().path())?;
    let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
    let address = address::client_address(request, &edge.trusted_proxies, edge.address_header.as_deref());
    edge.gate.admit(edge.routes.class(&segments), address, now, notes.tally).await?;
    let mut call = Call {
        method,
        path: &segments,
        id,
        now,
        address,
        host: address::asked_host(request, &edge.trusted_proxies),
        http: request,
        payload,
        limits: edge.limits,
        gate: &edge.gate,
        notes,
        given: None,
    };
    edge.routes.answer(&mut call).await
}

fn check_size(request: &HttpRequest) -> Result<()> {
    let uri = request.uri();
    let line_bytes = uri.path().len() + uri.query().map_or(0, str::len);
    if line_bytes > MOST_REQUEST_LINE_BYTES {
        return Err(Error::LimitExceeded { limit: "request line", most: MOST_REQUEST_LINE_BYTES as u64 });
    }
    let header_bytes: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if header_bytes > MOST_HEADER_BYTES {
        return Err(Error::LimitExceeded { limit: "request headers", most: MOST_HEADER_BYTES as u64 });
    }
    Ok(())
}

fn add_headers(response: &mut HttpResponse, id: Uuid) {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Content of files says itself how long it lasts and what it may do.
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(NOTHING_RUNS));
    }
    headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let id: &str = id.hyphenated().encode_lower(&mut text);
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, value);
    }
}

/// The id that a proxy gave, when it is one, or a new one.
fn request_id(request: &HttpRequest, now: Timestamp) -> Uuid {
    let given =
        request.headers().get(REQUEST_ID).and_then(|value| Uuid::try_parse_ascii(value.as_bytes()).ok());
    given.unwrap_or_else(|| next_id(now))
}

/// A UUID v7 whose random part is drawn once per thread and then counted: it must be unique, not hard to guess, and asking the
/// system for randomness for every request is slow.
fn next_id(now: Timestamp) -> Uuid {
    thread_local! {
        static COUNTER: Cell<u128> = Cell::new(Uuid::new_v4().as_u128());
    }
    let count = COUNTER.get().wrapping_add(1);
    COUNTER.set(count);
    let mut random = [0; 10];
    random.copy_from_slice(&count.to_be_bytes()[6..]);
    let ms = u64::try_from(now.as_millisecond()).unwrap_or_default();
    Builder::from_unix_timestamp_millis(ms, &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_unique_and_in_order() {
        let now = Timestamp::now();
        let ids: Vec<Uuid> = (0..1000).map(|_| next_id(now)).collect();
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        let distinct: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
    }
}
