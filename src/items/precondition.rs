//! `If-Match`: an item is written only while it is as the caller knows it.
//!
//! The tag of an item is made of what a read of the same address answers the same caller, so that it costs nothing but a hash.
//! Inside the transaction of the write the item is locked first, then read and compared: of two writers with one tag the second
//! waits for the first and is refused.

use sha2::{Digest, Sha256};

use super::nested::key_value;
use super::read::compile;
use super::run::key_field;
use super::write::{Operation, Targets};
use crate::access::Context;
use crate::db::Transaction;
use crate::error::{Error, Result};
use crate::query::{Query, QueryLimits, Selection};
use crate::sql::Dialect;
use crate::sql::write::{self as statements, Match};

/// Bytes of the hash that a tag shows.
const TAG_BYTES: usize = 16;

/// The tag of what a read answered, `"data":...` without the braces around it, with its quotes.
pub fn entity_tag(members: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut tag = String::with_capacity(2 + 2 * TAG_BYTES);
    tag.push('"');
    for byte in Sha256::digest(members).into_iter().take(TAG_BYTES) {
        tag.extend([byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)])));
    }
    tag.push('"');
    tag
}

/// What the caller knows of the item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// It is there.
    Exists,
    /// It has one of these tags.
    Tags(Vec<String>),
}

impl Precondition {
    /// Reads the value of `If-Match`. A weak tag says too little to write by, and none is made here.
    pub fn parse(header: &str) -> Self {
        if header.trim() == "*" {
            return Precondition::Exists;
        }
        let tags = header.split(',').map(str::trim).filter(|tag| tag.starts_with('"'));
        Precondition::Tags(tags.map(str::to_owned).collect())
    }

    /// Whether what a read answers fits.
    pub fn holds(&self, members: &[u8]) -> bool {
        match self {
            Precondition::Exists => true,
            Precondition::Tags(tags) => tags.contains(&entity_tag(members)),
        }
    }
}

/// A precondition with the read that it is held against.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    tags: Precondition,
    selection: Selection,
    query: Query,
}

impl Condition {
    /// Fails with `PreconditionFailed` for an operation on several items, which have no tag.
    pub(super) fn new(tags: Precondition, operation: &Operation, query: Query) -> Result<Self> {
        let selection = match operation {
            Operation::Update(Targets::Key(key), _) | Operation::Delete(Targets::Key(key)) => {
                Selection::Key(key.clone())
            }
            Operation::Update(Targets::Singleton, _) | Operation::Delete(Targets::Singleton) => {
                Selection::Singleton
            }
            _ => return Err(Error::PreconditionFailed),
        };
        Ok(Condition { tags, selection, query })
    }

    /// Locks the item and compares. Fails with `PreconditionFailed`, also where there is no such item for this caller.
    pub(super) async fn check(
        &self,
        tx: &mut Transaction,
        ctx: &Context,
        collection: &str,
        limits: &QueryLimits,
    ) -> Result<()> {
        let dialect = tx.dialect();
        let found = ctx.schema.get(collection).ok_or(Error::Forbidden)?;
        let key = key_field(found)?;
        // The one writer of SQLite has the database to itself.
        if dialect != Dialect::Sqlite {
            let key_value = match &self.selection {
                Selection::Key(text) => Some(key_value(found, &text.as_str().into()).map_err(missing)?),
                _ => None,
            };
            let matches: Vec<Match<'_>> = key_value
                .iter()
                .map(|value| Match { field: key, values: std::slice::from_ref(value) })
                .collect();
            tx.rows(&statements::select(dialect, found, &[key], &matches)).await?;
        }
        let read =
            compile(ctx, dialect, collection, &self.selection, &self.query, limits).map_err(missing)?;
        let members = tx.read_json(&read.plan, &read.statements).await.map_err(missing)?;
        if self.tags.holds(&members) { Ok(()) } else { Err(Error::PreconditionFailed) }
    }
}

/// What is not there has no tag.
fn missing(error: Error) -> Error {
    match error {
        Error::Forbidden => Error::PreconditionFailed,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        let tag = entity_tag(b"\"data\":{}");
        assert_eq!(tag.len(), 2 + 2 * TAG_BYTES);
        let holds = |header: &str| Precondition::parse(header).holds(b"\"data\":{}");
        assert!(holds(&tag) && holds("*") && holds(&format!("\"other\", {tag}")));
        assert!(!holds(&format!("W/{tag}")) && !holds("\"other\"") && !holds(""));
    }
}
