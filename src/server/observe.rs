//! One log line and one figure per request.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use metrics::{Histogram, histogram};
use uuid::Uuid;

use crate::error::Error;

/// A request that takes this long is worth a warning.
const SLOW: Duration = Duration::from_secs(1);

type Key = (&'static str, &'static str, u16);

thread_local! {
    /// Looking a figure up in the registry costs more than the figure; routes, methods and statuses are few.
    static DURATIONS: RefCell<HashMap<Key, Histogram>> = RefCell::new(HashMap::new());
}

/// How a request ended.
pub(super) struct Outcome<'a> {
    pub(super) route: &'static str,
    pub(super) method: &'a Method,
    pub(super) status: StatusCode,
    pub(super) duration: Duration,
    pub(super) request_id: Uuid,
}

pub(super) fn record(outcome: &Outcome<'_>, error: Option<&Error>) {
    let method = method_name(outcome.method);
    let seconds = outcome.duration.as_secs_f64();
    DURATIONS.with_borrow_mut(|durations| {
        durations
            .entry((outcome.route, method, outcome.status.as_u16()))
            .or_insert_with(|| {
                histogram!(
                    "tablature_http_request_duration_seconds",
                    "route" => outcome.route,
                    "method" => method,
                    "status" => outcome.status.as_str().to_owned(),
                )
            })
            .record(seconds);
    });
    log(outcome, method, error);
}

fn log(outcome: &Outcome<'_>, method: &'static str, error: Option<&Error>) {
    let Outcome { route, status, duration, request_id, .. } = outcome;
    let status = status.as_u16();
    let duration_ms = duration.as_secs_f64() * 1000.0;
    if let Some(error) = error.filter(|_| status >= 500) {
        let (error_id, cause) = match error {
            Error::Internal { id, cause } => (id.to_string(), format!("{cause:#}")),
            other => (String::new(), other.to_string()),
        };
        tracing::error!(%request_id, method, route, status, duration_ms, error_id, cause, "request failed");
    } else if *duration >= SLOW {
        tracing::warn!(%request_id, method, route, status, duration_ms, "request was slow");
    } else {
        tracing::debug!(%request_id, method, route, status, duration_ms, "request");
    }
}

/// Methods that callers invent must not become figures of their own.
fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "SEARCH" => "SEARCH",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
