//! SQLite's errors in the caller's terms.

use std::time::Duration;

use rusqlite::ErrorCode;
use rusqlite::ffi;

use crate::error::Error;

/// Marks a statement that the deadline interrupted, until [`with_timeout`] fills in the limit.
const UNKNOWN_MS: u64 = 0;

/// Fills the limit into the error of an interrupted statement.
pub(super) fn with_timeout(error: Error, timeout: Duration) -> Error {
    match error {
        Error::StatementTimeout { most_ms: UNKNOWN_MS } => {
            Error::StatementTimeout { most_ms: timeout.as_millis() as u64 }
        }
        other => other,
    }
}

/// What went wrong, as a caller can be told.
pub(super) fn translate(error: rusqlite::Error) -> Error {
    let rusqlite::Error::SqliteFailure(failure, message) = &error else { return Error::internal(error) };
    let message = message.as_deref().unwrap_or_default();
    match failure.code {
        ErrorCode::ConstraintViolation => constraint(failure.extended_code, message),
        ErrorCode::OperationInterrupted => Error::StatementTimeout { most_ms: UNKNOWN_MS },
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            unavailable("It is locked by another process.", &error)
        }
        ErrorCode::DiskFull => unavailable("The disk is full.", &error),
        ErrorCode::SystemIoFailure => unavailable("The disk cannot be read or written.", &error),
        ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied => {
            unavailable("Its file cannot be opened or written.", &error)
        }
        ErrorCode::TooBig => Error::payload("a value is larger than the database takes"),
        _ if message.contains("LIKE or GLOB pattern too complex") => {
            Error::query("the text to look for is too long")
        }
        _ => Error::internal(error),
    }
}

fn unavailable(reason: &str, cause: &rusqlite::Error) -> Error {
    tracing::error!(%cause, "the database is unavailable");
    Error::ServiceUnavailable { service: "database", reason: reason.to_owned(), retry_after_s: 1 }
}

/// SQLite names the columns of a unique or not-null constraint (`table.column, table.column`), and none of a foreign key.
fn constraint(extended_code: i32, message: &str) -> Error {
    let columns = message.split_once("failed: ").map_or("", |(_, columns)| columns);
    let collection = columns.split('.').next().unwrap_or_default().to_owned();
    let fields: Vec<&str> =
        columns.split(", ").map(|column| column.split_once('.').map_or(column, |(_, field)| field)).collect();
    let field = fields.join(", ");
    match extended_code {
        // `ON DELETE RESTRICT` is carried out, and reported, as a trigger.
        ffi::SQLITE_CONSTRAINT_TRIGGER if message.contains("FOREIGN KEY") => unknown_reference(),
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
            Error::RecordNotUnique { collection, field, value: serde_json::Value::Null }
        }
        ffi::SQLITE_CONSTRAINT_NOTNULL => Error::NotNullViolation { collection, field },
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => unknown_reference(),
        _ => Error::payload("a rule of the database forbids a value"),
    }
}

fn unknown_reference() -> Error {
    Error::InvalidForeignKey {
        collection: String::new(),
        field: String::new(),
        value: serde_json::Value::Null,
    }
}
