//! From what a store says to what a caller is told.

use std::io;

use crate::error::Error;

/// Stores tell the same thing several times over.
const MOST_CHARACTERS: usize = 1000;
/// When to try again.
const RETRY_AFTER_S: u32 = 30;

/// What a caller is told of a place that does not do what it should; the log has the rest.
pub(super) fn failure(location: &str, error: &object_store::Error) -> Error {
    let reason = match io_kind(error) {
        Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => "It is full.",
        Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => {
            "It cannot be written to."
        }
        _ => "It cannot be used now.",
    };
    let text: String = error.to_string().chars().take(MOST_CHARACTERS).collect();
    tracing::error!(location, error = text, "the storage failed");
    Error::ServiceUnavailable {
        service: "storage",
        reason: format!("Storage location \"{location}\": {reason}"),
        retry_after_s: RETRY_AFTER_S,
    }
}

/// What the operating system said, if it was the one.
fn io_kind(error: &object_store::Error) -> Option<io::ErrorKind> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut deepest = None;
    while let Some(error) = cause {
        // Others are wrapped around what it said.
        deepest = error.downcast_ref::<io::Error>().map(io::Error::kind).or(deepest);
        cause = error.source();
    }
    deepest
}
