//! `Idempotency-Key`: a write that is sent again gets the answer of the first time.
//!
//! The answer is stored in the transaction of the write itself, so there is never one without the other. Requests with the
//! same key that run at the same moment on this node get a conflict; on other nodes they wait at the unique key.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::values::now_value;
use crate::access::Context;
use crate::db::{Database, Row, Transaction};
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::schema::ColumnType;
use crate::sql::journal as statements;

/// The key of a request, made unrecognisable together with who asks for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    id: Arc<str>,
    body_hash: Arc<str>,
}

impl IdempotencyKey {
    /// The key as the caller sent it, for this caller, method and path (with its query), and the body that came with it.
    pub fn new(caller: &str, method: &str, path: &str, key: &str, body: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        for part in [caller, method, path, key] {
            // The length keeps one part from running into the next.
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        IdempotencyKey { id: hex(&hasher.finalize()), body_hash: hex(&Sha256::digest(body)) }
    }
}

fn hex(bytes: &[u8]) -> Arc<str> {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

/// Keys at work on this node.
#[derive(Clone, Default)]
pub(super) struct Running(Arc<Mutex<HashSet<Arc<str>>>>);

/// Gives the key free again.
pub(super) struct RunningGuard {
    running: Running,
    id: Arc<str>,
}

impl Running {
    /// Fails with `Conflict` while a request with this key is at work.
    pub(super) fn start(&self, key: &IdempotencyKey) -> Result<RunningGuard> {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !ids.insert(key.id.clone()) {
            return Err(at_work());
        }
        Ok(RunningGuard { running: self.clone(), id: key.id.clone() })
    }
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        self.running.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// What was answered the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredAnswer {
    pub status: u16,
    pub body: Option<Vec<u8>>,
}

/// Takes the key, or finds the answer that is stored under it.
///
/// Fails with `UnprocessableContent` when the key came with another body before.
pub(super) async fn claim(
    tx: &mut Transaction,
    ctx: &Context,
    key: &IdempotencyKey,
) -> Result<Option<StoredAnswer>> {
    let dialect = tx.dialect();
    let now = moment(ctx.now);
    let statement = statements::claim_idempotency(dialect, &key.id, &key.body_hash, &now);
    if tx.execute(&statement).await? > 0 {
        return Ok(None);
    }
    let rows = tx.rows(&statements::stored_answer(dialect, &key.id)).await?;
    match rows.first() {
        Some(row) => stored(row, key).map(Some),
        None => Err(at_work()),
    }
}

/// The answer that is stored under the key, read before any work is done for it.
pub(super) async fn find(database: &Database, key: &IdempotencyKey) -> Result<Option<StoredAnswer>> {
    let rows = database.rows(&statements::stored_answer(database.dialect(), &key.id)).await?;
    rows.first().map(|row| stored(row, key)).transpose()
}

fn stored(row: &Row, key: &IdempotencyKey) -> Result<StoredAnswer> {
    if row.text(0).is_none_or(|hash| *hash != key.body_hash) {
        let reason = "This idempotency key was used with another body.".to_owned();
        return Err(Error::UnprocessableContent { reason });
    }
    let status = row.int(1).and_then(|status| u16::try_from(status).ok()).unwrap_or(204);
    let body = row.text(2).map(|text| text.as_bytes().to_vec());
    Ok(StoredAnswer { status, body })
}

fn at_work() -> Error {
    Error::Conflict { reason: "A request with this idempotency key is being worked on.".to_owned() }
}

/// Stores the answer under a key that was taken in the same transaction.
pub(super) async fn store(
    tx: &mut Transaction,
    key: &IdempotencyKey,
    status: u16,
    body: Option<&[u8]>,
) -> Result<()> {
    let text = body.map(std::str::from_utf8).transpose().map_err(Error::internal)?;
    let statement = statements::store_answer(tx.dialect(), &key.id, i64::from(status), text);
    tx.execute(&statement).await.map(|_| ())
}

/// A moment as it is stored.
pub(super) fn moment(at: jiff::Timestamp) -> Arc<str> {
    match now_value(&ColumnType::Timestamp, at) {
        Some(Scalar::Text(text)) => text,
        _ => Arc::from(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_counts() {
        let key = |caller, method, path, key| IdempotencyKey::new(caller, method, path, key, b"body");
        let one = key("u", "POST", "/items/a", "k");
        assert_eq!(one, key("u", "POST", "/items/a", "k"));
        for other in [
            key("v", "POST", "/items/a", "k"),
            key("u", "PATCH", "/items/a", "k"),
            key("uP", "OST", "/items/a", "k"),
        ] {
            assert_ne!(one.id, other.id);
        }
        assert_ne!(one.body_hash, IdempotencyKey::new("u", "POST", "/items/a", "k", b"other").body_hash);
    }

    #[test]
    fn a_key_runs_once_at_a_time() {
        let running = Running::default();
        let key = IdempotencyKey::new("u", "POST", "/", "k", b"");
        let guard = running.start(&key).expect("it is free");
        assert!(matches!(running.start(&key), Err(Error::Conflict { .. })));
        drop(guard);
        assert!(running.start(&key).is_ok());
    }
}
