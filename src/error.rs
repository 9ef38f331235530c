//! What a caller can be told.
//!
//! Start at [`Error`]. One variant, one stable wire code; the codes are those of the public API where it has one.
//! Nothing here knows HTTP (status numbers live in `server`) or a database driver (`db` translates driver errors).

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Result of everything that can fail towards a caller.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One reason why a request is refused. Variants say what the caller can do about it, not which library failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body, or a value in it, cannot be used.
    #[error("Invalid payload: {reason}")]
    InvalidPayload {
        /// What is wrong, naming the field.
        reason: String,
    },
    /// A query parameter cannot be used.
    #[error("Invalid query: {reason}")]
    InvalidQuery {
        /// What is wrong, naming the parameter, field or operator.
        reason: String,
    },
    /// Not allowed, or not there: the two look the same to a caller.
    #[error("You don't have permission to access this.")]
    Forbidden,
    /// No such route, or no such method on it.
    #[error("Route {path} doesn't exist.")]
    RouteNotFound {
        /// The path asked for.
        path: String,
    },
    /// The route is there, but not with this method.
    #[error("Invalid method \"{current}\" used. Should be one of: {}.", .allowed.join(", "))]
    MethodNotAllowed {
        /// The method used.
        current: String,
        /// Those it takes.
        allowed: Vec<&'static str>,
    },
    /// A GraphQL document that does not fit what the caller may use, or is none.
    #[error("GraphQL validation error.")]
    GraphqlValidation {
        /// What is wrong, as GraphQL has it: `message`, and `locations` where they are known.
        errors: Vec<Value>,
    },
    /// Wrong e-mail, password or static token.
    #[error("Invalid user credentials.")]
    InvalidCredentials,
    /// A token that was not made here, or was changed.
    #[error("Invalid token.")]
    InvalidToken,
    /// A token whose time is over.
    #[error("Token expired.")]
    TokenExpired,
    /// A value breaks a rule of its field.
    #[error("Validation failed for field \"{field}\". {message}")]
    FailedValidation {
        /// Name of the field, with the path for nested items.
        field: String,
        /// Rule that is broken, as the public API names it (`required`, `nnull`, `gte`, `regex`, `in`, ...).
        rule: &'static str,
        /// Further members of `extensions` (`valid`, `invalid`, `substring`, ...).
        details: Map<String, Value>,
        /// One sentence for people.
        message: String,
    },
    /// A unique value is taken.
    #[error("Value for field \"{field}\" in collection \"{collection}\" has to be unique.")]
    RecordNotUnique {
        /// Collection written to.
        collection: String,
        /// Field, or the fields of a composite key joined by `, `.
        field: String,
        /// The value that is taken, when known.
        value: Value,
    },
    /// A reference to nothing, or the deletion of something that is still referred to.
    #[error("Invalid foreign key for field \"{field}\" in collection \"{collection}\".")]
    InvalidForeignKey {
        /// Collection written to.
        collection: String,
        /// The referring field.
        field: String,
        /// The value that refers to nothing, when known.
        value: Value,
    },
    /// A null where the column takes none.
    #[error("Value for field \"{field}\" in collection \"{collection}\" can't be null.")]
    NotNullViolation {
        /// Collection written to.
        collection: String,
        /// The field.
        field: String,
    },
    /// A number or date outside of what the column holds.
    #[error("Value for field \"{field}\" in collection \"{collection}\" is out of range.")]
    ValueOutOfRange {
        /// Collection written to.
        collection: String,
        /// The field.
        field: String,
    },
    /// A text longer than the column.
    #[error("Value for field \"{field}\" in collection \"{collection}\" is too long.")]
    ValueTooLong {
        /// Collection written to.
        collection: String,
        /// The field.
        field: String,
    },
    /// The item is not as the caller knows it.
    #[error("The item has changed since it was read, or is gone.")]
    PreconditionFailed,
    /// One operation of several cannot be done, so that none was.
    #[error("{error}")]
    InOperation {
        /// Its number, from 0.
        index: usize,
        /// What is wrong with it.
        error: Box<Error>,
    },
    /// A limit of the server is passed.
    #[error("{limit} is exceeded: at most {most} allowed.")]
    LimitExceeded {
        /// Name of the limit's setting.
        limit: &'static str,
        /// Its value.
        most: u64,
    },
    /// A file is larger than it may be.
    #[error("The content is too large: at most {most_bytes} bytes ({limit}) are taken.")]
    ContentTooLarge {
        /// Name of the limit's setting.
        limit: &'static str,
        /// Its value.
        most_bytes: u64,
    },
    /// A part of a file is asked for that it does not have.
    #[error("The range cannot be satisfied: the content has {size_bytes} bytes.")]
    RangeNotSatisfiable {
        /// Size of the content.
        size_bytes: u64,
    },
    /// An image cannot be transformed.
    #[error("Illegal asset transformation. {reason}")]
    IllegalTransformation {
        /// Why.
        reason: String,
    },
    /// The body is of a media type that is not read here.
    #[error("Unsupported media type \"{media_type}\".")]
    UnsupportedMediaType {
        /// The type sent.
        media_type: String,
    },
    /// The request is well formed and cannot be done.
    #[error("{reason}")]
    UnprocessableContent {
        /// Why.
        reason: String,
    },
    /// The same thing is being done right now.
    #[error("{reason}")]
    Conflict {
        /// What is going on.
        reason: String,
    },
    /// The database ended a transaction because it and another one waited for each other.
    #[error("Another request is changing the same items; nothing was changed by this one.")]
    Deadlock,
    /// The user signs in elsewhere than with this provider.
    #[error("Invalid provider.")]
    InvalidProvider,
    /// The code of the second factor is missing or wrong.
    #[error("Invalid user OTP.")]
    InvalidOtp,
    /// Somebody asks more often than allowed.
    #[error("Too many requests, retry after {retry_after_s}s.")]
    RequestsExceeded {
        /// Most requests in the time of the limit.
        limit: u32,
        /// When to try again, in seconds.
        retry_after_s: u32,
        /// The same as a moment.
        reset: Timestamp,
    },
    /// Something the server needs is away; the same request may work later.
    #[error("Service \"{service}\" is unavailable. {reason}")]
    ServiceUnavailable {
        /// What is away: `database`, `schema`, ...
        service: &'static str,
        /// Why, without addresses or credentials.
        reason: String,
        /// When to try again, in seconds.
        retry_after_s: u32,
    },
    /// The statement took longer than the limit of the server.
    #[error("The database took longer than {most_ms} ms for this request.")]
    StatementTimeout {
        /// Value of the limit, in milliseconds.
        most_ms: u64,
    },
    /// What is wrong with one item of a file.
    #[error("Line {line}: {cause}")]
    InLine {
        /// Where the item begins in the file.
        line: u64,
        /// What is wrong; neither several findings nor in a line itself.
        cause: Box<Error>,
    },
    /// Several findings at once; never nested, never empty.
    #[error("{} errors", .0.len())]
    Several(Vec<Error>),
    /// Something nobody expected. The cause goes to the log only.
    #[error("An unexpected error occurred ({id}).")]
    Internal {
        /// Names the log line.
        id: Uuid,
        /// What happened.
        #[source]
        cause: anyhow::Error,
    },
}

impl Error {
    /// An [`Error::Internal`] with a fresh id.
    pub fn internal(cause: impl Into<anyhow::Error>) -> Self {
        Error::Internal { id: Uuid::now_v7(), cause: cause.into() }
    }

    /// An [`Error::InvalidPayload`].
    pub fn payload(reason: impl fmt::Display) -> Self {
        Error::InvalidPayload { reason: reason.to_string() }
    }

    /// An [`Error::InvalidQuery`].
    pub fn query(reason: impl fmt::Display) -> Self {
        Error::InvalidQuery { reason: reason.to_string() }
    }

    /// An [`Error::GraphqlValidation`] with one finding.
    pub fn graphql(message: impl fmt::Display) -> Self {
        Error::GraphqlValidation { errors: vec![json!({ "message": shortened(message.to_string()) })] }
    }

    /// The same about the item that begins in this line of a file.
    pub fn in_line(self, line: u64) -> Self {
        match self {
            Error::Several(all) => Error::Several(all.into_iter().map(|error| error.in_line(line)).collect()),
            Error::InLine { .. } => self,
            cause => Error::InLine { line, cause: Box::new(cause) },
        }
    }

    /// Joins findings: none is `Ok`, one is itself, more are [`Error::Several`], flat.
    pub fn from_findings(findings: Vec<Error>) -> Result<()> {
        let mut flat = Vec::with_capacity(findings.len());
        for finding in findings {
            match finding {
                Error::Several(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        match flat.len() {
            0 => Ok(()),
            1 => Err(flat.remove(0)),
            _ => Err(Error::Several(flat)),
        }
    }

    /// The same as a refusal of one operation of several. What is no fault of the operation, or is tried again, stays as it is.
    pub fn in_operation(self, index: usize) -> Self {
        match self {
            Error::Several(all) => {
                Error::Several(all.into_iter().map(|error| error.in_operation(index)).collect())
            }
            Error::Deadlock
            | Error::Internal { .. }
            | Error::ServiceUnavailable { .. }
            | Error::StatementTimeout { .. } => self,
            error => Error::InOperation { index, error: Box::new(error) },
        }
    }

    /// The stable code, as it stands in `extensions.code`.
    pub fn code(&self) -> &'static str {
        match self {
            Error::InvalidPayload { .. } => "INVALID_PAYLOAD",
            Error::InvalidQuery { .. } => "INVALID_QUERY",
            Error::Forbidden => "FORBIDDEN",
            Error::RouteNotFound { .. } => "ROUTE_NOT_FOUND",
            Error::MethodNotAllowed { .. } => "METHOD_NOT_ALLOWED",
            Error::GraphqlValidation { .. } => "GRAPHQL_VALIDATION",
            Error::InvalidCredentials => "INVALID_CREDENTIALS",
            Error::InvalidToken => "INVALID_TOKEN",
            Error::TokenExpired => "TOKEN_EXPIRED",
            Error::FailedValidation { .. } => "FAILED_VALIDATION",
            Error::RecordNotUnique { .. } => "RECORD_NOT_UNIQUE",
            Error::InvalidForeignKey { .. } => "INVALID_FOREIGN_KEY",
            Error::NotNullViolation { .. } => "NOT_NULL_VIOLATION",
            Error::ValueOutOfRange { .. } => "VALUE_OUT_OF_RANGE",
            Error::ValueTooLong { .. } => "VALUE_TOO_LONG",
            Error::PreconditionFailed => "PRECONDITION_FAILED",
            Error::InOperation { error, .. } => error.code(),
            Error::LimitExceeded { .. } => "LIMIT_EXCEEDED",
            Error::ContentTooLarge { .. } => "CONTENT_TOO_LARGE",
            Error::RangeNotSatisfiable { .. } => "RANGE_NOT_SATISFIABLE",
            Error::IllegalTransformation { .. } => "ILLEGAL_ASSET_TRANSFORMATION",
            Error::UnsupportedMediaType { .. } => "UNSUPPORTED_MEDIA_TYPE",
            Error::UnprocessableContent { .. } => "UNPROCESSABLE_CONTENT",
            Error::Conflict { .. } | Error::Deadlock => "CONFLICT",
            Error::InvalidProvider => "INVALID_PROVIDER",
            Error::InvalidOtp => "INVALID_OTP",
            Error::RequestsExceeded { .. } => "REQUESTS_EXCEEDED",
            Error::ServiceUnavailable { .. } => "SERVICE_UNAVAILABLE",
            Error::StatementTimeout { .. } => "STATEMENT_TIMEOUT",
            Error::InLine { cause, .. } => cause.code(),
            Error::Several(all) => all.first().map_or("INTERNAL_SERVER_ERROR", Error::code),
            Error::Internal { .. } => "INTERNAL_SERVER_ERROR",
        }
    }

    /// Members of `extensions` beside the code.
    pub fn extensions(&self) -> Map<String, Value> {
        let value = match self {
            Error::InvalidPayload { reason } | Error::InvalidQuery { reason } => json!({ "reason": reason }),
            Error::UnprocessableContent { reason }
            | Error::Conflict { reason }
            | Error::IllegalTransformation { reason } => {
                json!({ "reason": reason })
            }
            Error::ContentTooLarge { limit, most_bytes } => json!({ "limit": limit, "most": most_bytes }),
            Error::RangeNotSatisfiable { size_bytes } => json!({ "size": size_bytes }),
            Error::Deadlock => json!({ "reason": self.to_string() }),
            Error::RouteNotFound { path } => json!({ "path": path }),
            Error::MethodNotAllowed { current, allowed } => json!({ "current": current, "allowed": allowed }),
            Error::GraphqlValidation { errors } => json!({ "errors": errors }),
            Error::FailedValidation { field, rule, details, .. } => {
                let mut map = details.clone();
                map.insert("field".to_owned(), json!(field));
                map.insert("type".to_owned(), json!(rule));
                map.entry("path").or_insert_with(|| json!([]));
                return map;
            }
            Error::RecordNotUnique { collection, field, value }
            | Error::InvalidForeignKey { collection, field, value } => {
                json!({ "collection": collection, "field": field, "value": value })
            }
            Error::NotNullViolation { collection, field }
            | Error::ValueOutOfRange { collection, field }
            | Error::ValueTooLong { collection, field } => {
                json!({ "collection": collection, "field": field })
            }
            Error::InOperation { index, error } => {
                let mut map = error.extensions();
                map.insert("operation".to_owned(), json!(index));
                return map;
            }
            Error::LimitExceeded { limit, most } => json!({ "limit": limit, "most": most }),
            Error::UnsupportedMediaType { media_type } => json!({ "mediaType": media_type }),
            Error::RequestsExceeded { limit, reset, .. } => {
                json!({ "limit": limit, "reset": reset.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string() })
            }
            Error::ServiceUnavailable { service, reason, .. } => {
                json!({ "service": service, "reason": reason })
            }
            Error::StatementTimeout { most_ms } => {
                json!({ "limit": "STATEMENT_TIMEOUT", "most": most_ms })
            }
            Error::InLine { line, cause } => {
                let mut map = cause.extensions();
                map.insert("line".to_owned(), json!(line));
                return map;
            }
            Error::Internal { id, .. } => json!({ "id": id.to_string() }),
            Error::Forbidden
            | Error::PreconditionFailed
            | Error::InvalidProvider
            | Error::InvalidCredentials
            | Error::InvalidOtp
            | Error::InvalidToken
            | Error::TokenExpired
            | Error::Several(_) => json!({}),
        };
        match value {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }
}

/// Longest message that repeats what a caller wrote, in letters.
const LONGEST_MESSAGE: usize = 500;

/// A message that may hold names of any length.
pub fn shortened(message: String) -> String {
    match message.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    }
}
