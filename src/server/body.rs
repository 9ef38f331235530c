//! Reading a request's body within limits.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut};
use futures::StreamExt;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// How long a client may be silent in the middle of a body.
pub(super) const IDLE: Duration = Duration::from_secs(30);

/// How much of a body that is not used is still read, so that a client that only listens once everything is sent gets its answer.
const DRAINED_BYTES: usize = 64 << 20;
/// How long a client may be silent meanwhile.
const DRAIN_IDLE: Duration = Duration::from_secs(1);

/// What a JSON body may be.
#[derive(Debug, Clone, Copy)]
pub struct JsonLimits {
    /// Largest size.
    pub most_bytes: usize,
    /// Deepest nesting.
    pub most_depth: usize,
}

/// Reads the whole body, of which the client announced this length. One that comes in one piece is not copied.
pub(super) async fn read(payload: &mut Payload, announced: Option<u64>, most_bytes: usize) -> Result<Bytes> {
    if announced.is_some_and(|bytes| bytes > most_bytes as u64) {
        return Err(too_large(most_bytes));
    }
    let Some(first) = next(payload).await? else { return Ok(Bytes::new()) };
    if first.len() > most_bytes {
        return Err(too_large(most_bytes));
    }
    let Some(second) = next(payload).await? else { return Ok(first) };
    let mut all = BytesMut::from(first);
    let mut piece = second;
    loop {
        if all.len() + piece.len() > most_bytes {
            return Err(too_large(most_bytes));
        }
        all.extend_from_slice(&piece);
        match next(payload).await? {
            Some(next) => piece = next,
            None => return Ok(all.freeze()),
        }
    }
}

async fn next(payload: &mut Payload) -> Result<Option<Bytes>> {
    match tokio::time::timeout(IDLE, payload.next()).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(piece))) => Ok(Some(piece)),
        Ok(Some(Err(_))) => Err(Error::payload("the body ended early or is malformed.")),
        Err(_) => Err(Error::payload("the body did not arrive in time.")),
    }
}

/// Reads what is left of a body and forgets it, unless more is announced than is worth it.
pub(super) async fn drain(payload: &mut Payload, request: &HttpRequest) {
    let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    let is_worth_it = announced(request).map_or(is_chunked, |bytes| bytes <= DRAINED_BYTES as u64);
    if !is_worth_it {
        return;
    }
    let mut read = 0;
    while read < DRAINED_BYTES {
        match tokio::time::timeout(DRAIN_IDLE, payload.next()).await {
            Ok(Some(Ok(piece))) => read += piece.len(),
            _ => break,
        }
    }
}

/// The length that the client announced.
pub(super) fn announced(request: &HttpRequest) -> Option<u64> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(most_bytes: usize) -> Error {
    Error::payload(format_args!("the body is larger than MAX_PAYLOAD_SIZE, {most_bytes} bytes."))
}

/// Parses a body. Fails with `InvalidPayload` on what is no JSON, and on what is nested too deep, before anything is built.
pub fn parse_json(body: &[u8], limits: JsonLimits) -> Result<Value> {
    if depth(body) > limits.most_depth {
        return Err(Error::payload(format_args!(
            "the body is nested deeper than MAX_JSON_DEPTH, {} levels.",
            limits.most_depth
        )));
    }
    serde_json::from_slice(body)
        .map_err(|error| Error::payload(format_args!("the body is not JSON: {error}.")))
}

/// The object in a body; no body at all is an empty one. Fails with `InvalidPayload` on everything else.
pub fn object(body: Option<Value>) -> Result<Map<String, Value>> {
    match body {
        None => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map),
        Some(_) => Err(Error::payload("the body must be an object.")),
    }
}

/// Deepest nesting of brackets outside of texts.
fn depth(json: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    let mut in_text = false;
    let mut escaped = false;
    for byte in json {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depths() {
        let check = |json: &str, expected| assert_eq!(depth(json.as_bytes()), expected, "{json}");
        check("1", 0);
        check("{}", 1);
        check(r#"{"a":[{"b":1}],"c":[]}"#, 3);
        check(r#"{"a":"[[[[\"[["}"#, 1);
        check("]]]][", 1);
    }

    #[test]
    fn bodies() {
        let limits = JsonLimits { most_bytes: 100, most_depth: 3 };
        let check = |json: &[u8], valid| assert_eq!(parse_json(json, limits).is_ok(), valid, "{json:?}");
        check(br#"{"a":[1.10,2]}"#, true);
        check(br#"{"a":[[[1]]]}"#, false);
        check(br#"{"a":"#, false);
        check(b"\"\xff\"", false);
        check(br#""\ud800""#, false);
        check(b"{} x", false);
    }

    #[test]
    fn numbers_stay_as_written() {
        let value = parse_json(
            b"[1.10, 123456789012345678901234567890]",
            JsonLimits { most_bytes: 99, most_depth: 9 },
        );
        assert_eq!(value.expect("valid").to_string(), "[1.10,123456789012345678901234567890]");
    }
}
