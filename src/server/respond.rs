//! From results to HTTP: the envelope, and the one place that knows status numbers.

use std::io;

use actix_http::body::{BodyStream, SizedStream};
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use futures::stream::{BoxStream, LocalBoxStream};
use serde_json::{Value, json};

use crate::error::Error;

/// What a request is answered with when all went well.
#[derive(Debug)]
pub enum Answer {
    /// The members of the answer, `"data":...` and perhaps `"meta":...`, as JSON text; the braces come here.
    Members(Vec<u8>),
    /// The same of one item, with its tag.
    Tagged(Vec<u8>, String),
    /// A whole JSON document.
    Document(Value),
    /// A whole JSON document with another status than 200.
    WithStatus(StatusCode, Value),
    /// A text of this media type.
    Text(&'static str, String),
    /// A file to keep, as it is made.
    Attachment(Box<Attachment>),
    /// Nothing to tell.
    Empty,
    /// Nothing to tell, with status 200, where the public API does so.
    Done,
    /// Go there instead.
    Redirect(String),
    /// Go there instead, and with `GET` whatever this was.
    SeeOther(String),
    /// The methods that this route has.
    Methods(&'static str),
    /// What is neither JSON nor a text of ours.
    Content(Box<Content>),
    /// The connection becomes a socket.
    Socket(Box<HttpResponse>),
}

/// An answer with headers of its own.
#[derive(Debug)]
pub struct Content {
    /// Its status.
    pub status: StatusCode,
    /// Its headers. One that cannot be one is left out.
    pub headers: Vec<(HeaderName, String)>,
    /// What it holds.
    pub body: Body,
}

/// What an answer of [`Content`] holds.
pub enum Body {
    /// Nothing.
    Empty,
    /// All of it.
    Whole(Bytes),
    /// So many bytes, as they come.
    Stream(u64, BoxStream<'static, io::Result<Bytes>>),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Body::Empty => f.write_str("Empty"),
            Body::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Body::Stream(bytes, _) => write!(f, "Stream({bytes} bytes)"),
        }
    }
}

/// A file that is sent while it is made.
pub struct Attachment {
    /// How it may be called where it is kept.
    pub file_name: String,
    /// Its media type.
    pub content_type: &'static str,
    /// Its bytes.
    pub content: LocalBoxStream<'static, io::Result<Bytes>>,
}

impl std::fmt::Debug for Attachment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Attachment({})", self.file_name)
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

pub(super) fn answer(answer: Answer) -> HttpResponse {
    match answer {
        Answer::Members(members) => json_members(members),
        Answer::Tagged(members, tag) => tagged(json_members(members), tag),
        Answer::Document(value) => json_bytes(StatusCode::OK, value.to_string().into_bytes()),
        Answer::WithStatus(status, value) => json_bytes(status, value.to_string().into_bytes()),
        Answer::Text(media_type, text) => HttpResponse::Ok().content_type(media_type).body(text),
        Answer::Attachment(file) => attachment(*file),
        Answer::Empty => HttpResponse::new(StatusCode::NO_CONTENT),
        Answer::Done => HttpResponse::new(StatusCode::OK),
        Answer::Redirect(location) => redirect(StatusCode::FOUND, location),
        Answer::SeeOther(location) => redirect(StatusCode::SEE_OTHER, location),
        Answer::Methods(methods) => {
            let mut response = HttpResponse::new(StatusCode::NO_CONTENT);
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
            response
        }
        Answer::Content(content) => self::content(*content),
        Answer::Socket(response) => *response,
    }
}

fn content(content: Content) -> HttpResponse {
    let mut response = HttpResponse::new(content.status);
    for (name, value) in content.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    match content.body {
        Body::Empty => response,
        Body::Whole(bytes) => response.set_body(bytes).map_into_boxed_body(),
        Body::Stream(size, stream) => response.set_body(SizedStream::new(size, stream)).map_into_boxed_body(),
    }
}

fn json_members(mut members: Vec<u8>) -> HttpResponse {
    members.insert(0, b'{');
    members.push(b'}');
    json_bytes(StatusCode::OK, members)
}

fn tagged(mut response: HttpResponse, tag: String) -> HttpResponse {
    if let Ok(tag) = HeaderValue::try_from(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn attachment(file: Attachment) -> HttpResponse {
    let mut response =
        HttpResponse::with_body(StatusCode::OK, BodyStream::new(file.content)).map_into_boxed_body();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    // A quote or a line break would end the name, or the header.
    let is_safe = |letter: &char| !letter.is_control() && !matches!(letter, '"' | '\\' | '/');
    let name: String = file.file_name.chars().filter(|letter| letter.is_ascii() && is_safe(letter)).collect();
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

fn redirect(status: StatusCode, location: String) -> HttpResponse {
    match HeaderValue::try_from(location) {
        Ok(location) => {
            let mut response = HttpResponse::new(status);
            response.headers_mut().insert(header::LOCATION, location);
            response
        }
        Err(failure) => error(&Error::internal(failure)),
    }
}

pub(super) fn error(error: &Error) -> HttpResponse {
    let mut response = json_bytes(status(error), envelope(error).to_string().into_bytes());
    if let Some(seconds) = retry_after_s(error) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Error::MethodNotAllowed { allowed, .. } = error
        && let Ok(value) = HeaderValue::try_from(allowed.join(", "))
    {
        response.headers_mut().insert(header::ALLOW, value);
    }
    if let Error::RangeNotSatisfiable { size_bytes } = error
        && let Ok(value) = HeaderValue::try_from(format!("bytes */{size_bytes}"))
    {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    response
}

fn json_bytes(status: StatusCode, body: Vec<u8>) -> HttpResponse {
    let mut response = HttpResponse::with_body(status, body).map_into_boxed_body();
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// `{"errors":[{"message":...,"extensions":{"code":...,...}}]}`, one entry per finding.
fn envelope(error: &Error) -> Value {
    json!({ "errors": entries(error) })
}

/// What a caller is told of an error: an entry per finding.
pub fn entries(error: &Error) -> Vec<Value> {
    let entry = |error: &Error| {
        let mut extensions = error.extensions();
        extensions.insert("code".to_owned(), json!(error.code()));
        json!({ "message": error.to_string(), "extensions": extensions })
    };
    match error {
        Error::Several(all) => all.iter().map(entry).collect(),
        one => vec![entry(one)],
    }
}

/// The status number of an error. Exhaustive: a new error must choose.
pub fn status(error: &Error) -> StatusCode {
    match error {
        Error::InvalidPayload { .. }
        | Error::InvalidQuery { .. }
        | Error::FailedValidation { .. }
        | Error::RecordNotUnique { .. }
        | Error::InvalidForeignKey { .. }
        | Error::NotNullViolation { .. }
        | Error::ValueOutOfRange { .. }
        | Error::ValueTooLong { .. }
        | Error::IllegalTransformation { .. }
        | Error::GraphqlValidation { .. } => StatusCode::BAD_REQUEST,
        Error::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
        Error::ContentTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Error::RangeNotSatisfiable { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
        Error::InvalidCredentials | Error::InvalidOtp | Error::TokenExpired => StatusCode::UNAUTHORIZED,
        Error::Forbidden | Error::InvalidToken | Error::InvalidProvider => StatusCode::FORBIDDEN,
        Error::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        Error::InOperation { error, .. } => status(error),
        Error::RouteNotFound { .. } => StatusCode::NOT_FOUND,
        Error::Conflict { .. } | Error::Deadlock => StatusCode::CONFLICT,
        Error::LimitExceeded { limit: "request line", .. } => StatusCode::URI_TOO_LONG,
        Error::LimitExceeded { limit: "request headers", .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Error::LimitExceeded { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Error::RequestsExceeded { .. } => StatusCode::TOO_MANY_REQUESTS,
        Error::UnsupportedMediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Error::UnprocessableContent { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Error::ServiceUnavailable { .. } | Error::StatementTimeout { .. } => StatusCode::SERVICE_UNAVAILABLE,
        Error::InLine { cause, .. } => status(cause),
        Error::Several(all) => {
            // Findings of one request differ in what they say, rarely in kind; the gravest speaks for all.
            all.iter().map(status).max().unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
        }
        Error::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn retry_after_s(error: &Error) -> Option<u32> {
    match error {
        Error::ServiceUnavailable { retry_after_s, .. } | Error::RequestsExceeded { retry_after_s, .. } => {
            Some(*retry_after_s)
        }
        // The same statement would take as long again, but the load that slowed it down may be gone.
        Error::StatementTimeout { .. } => Some(5),
        Error::InOperation { error, .. } => retry_after_s(error),
        Error::InLine { cause, .. } => retry_after_s(cause),
        Error::Several(all) => all.iter().filter_map(retry_after_s).max(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes() {
        let error =
            Error::from_findings(vec![Error::Forbidden, Error::payload("no.")]).expect_err("two findings");
        assert_eq!(status(&error), StatusCode::FORBIDDEN);
        assert_eq!(
            envelope(&error),
            json!({ "errors": [
                { "message": "You don't have permission to access this.", "extensions": { "code": "FORBIDDEN" } },
                { "message": "Invalid payload: no.", "extensions": { "reason": "no.", "code": "INVALID_PAYLOAD" } },
            ] })
        );
    }

    #[test]
    fn unexpected_errors_tell_their_id_only() {
        let error = Error::internal(anyhow::anyhow!("the password is hunter2"));
        let text = envelope(&error).to_string();
        assert!(!text.contains("hunter2") && text.contains("\"id\":"), "{text}");
    }

    #[test]
    fn what_is_away_says_when_to_come_back() {
        let error =
            Error::ServiceUnavailable { service: "database", reason: String::new(), retry_after_s: 2 };
        let response = super::error(&error);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            response.headers().get("retry-after").map(|value| value.as_bytes()),
            Some(b"2".as_slice())
        );
    }
}
