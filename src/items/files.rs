//! What rows of files need beyond those of any other collection: only the server says where their content is, and content that no
//! row has any more is told of, so that it can be removed after the commit.
//!
//! Every write passes here, nested ones included.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::nested::{ItemPayload, key_text};
use super::plan::ItemWrite;
use super::run::{Run, key_field};
use crate::access::Context;
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::schema::{Collection, FieldId};
use crate::sql::write::{self as statements, Match};

/// The collection of files.
pub(super) const FILES: &str = "directus_files";

/// The event that tells of content that no row has any more; its payload is a [`Stored`].
pub const LEFT_EVENT: &str = "files.left";

/// What only the server says of a file. Whoever could name the content of another file could read or remove it.
pub const OWN: [&str; 6] = ["storage", "filename_disk", "filesize", "tus_id", "tus_data", "uploaded_on"];

/// What the server itself says of an item that somebody writes: no right is needed for it.
#[derive(Debug, Clone, Default)]
pub struct OwnValues {
    /// What is so, whatever the payload says.
    pub always: ItemPayload,
    /// What is so where neither the payload nor a preset says anything.
    pub otherwise: ItemPayload,
}

impl OwnValues {
    pub(super) fn join(self, payload: &mut ItemPayload) {
        for (name, value) in self.otherwise {
            payload.entry(name).or_insert(value);
        }
        payload.extend(self.always);
    }
}

/// Where content is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The location.
    pub storage: String,
    /// The name there.
    pub filename_disk: String,
}

/// Judges what a request says of a file. Fails with `Forbidden` where that is the server's to say; administrators may say it, as
/// long as it is the name of something.
pub(super) fn check_payload(ctx: &Context, collection: &Collection, payload: &ItemPayload) -> Result<()> {
    if *collection.name != *FILES {
        return Ok(());
    }
    if !ctx.rules.is_everything() {
        return if OWN.iter().any(|name| payload.contains_key(*name)) {
            Err(Error::Forbidden)
        } else {
            Ok(())
        };
    }
    match payload.get("filename_disk") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(name)) if is_plain(name) => Ok(()),
        Some(_) => Err(Error::payload("\"filename_disk\" must be a file name, without any folder.")),
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && !name.starts_with('.')
        && !name.contains(|c: char| c.is_control() || matches!(c, '/' | '\\' | '#' | ':'))
}

/// Content that rows had, with their keys.
pub(super) type Left = Vec<(Arc<str>, Stored)>;

impl Run<'_> {
    /// Before rows are removed: their content.
    pub(super) async fn content_of(&mut self, collection: &Collection, keys: &[Scalar]) -> Result<Left> {
        if *collection.name != *FILES || keys.is_empty() {
            return Ok(Vec::new());
        }
        let key = key_field(collection)?;
        let Some(columns) = columns(collection, key) else { return Ok(Vec::new()) };
        let matches = [Match { field: key, values: keys }];
        let statement = statements::select(self.tx.dialect(), collection, &columns, &matches);
        let rows = self.tx.rows(&statement).await?;
        let left = rows.iter().filter_map(|row| {
            let text = |at: usize| row.text(at).map(|text| text.to_string());
            let stored = Stored { storage: text(1)?, filename_disk: text(2)? };
            Some((key_text(row.values.first()?), stored))
        });
        Ok(left.collect())
    }

    /// Before rows are changed: their content, where it is another one afterwards.
    pub(super) async fn replaced_content(
        &mut self,
        collection: &Collection,
        item: &ItemWrite,
        keys: &[Scalar],
    ) -> Result<Left> {
        if *collection.name != *FILES {
            return Ok(Vec::new());
        }
        let value = |name: &str| collection.find(name).and_then(|field| item.value(field));
        let Some(name) = value("filename_disk") else { return Ok(Vec::new()) };
        let name = name.clone();
        let mut left = self.content_of(collection, keys).await?;
        left.retain(|(_, stored)| name != Scalar::Text(stored.filename_disk.as_str().into()));
        Ok(left)
    }

    /// Tells of content that no row has any more.
    pub(super) fn leave_content(&mut self, collection: &Collection, left: Left) {
        for (key, stored) in left {
            let payload = serde_json::to_string(&stored).ok().map(Arc::from);
            self.journal.push_aside(collection, LEFT_EVENT, key, payload);
        }
    }
}

fn columns(collection: &Collection, key: FieldId) -> Option<[FieldId; 3]> {
    Some([key, collection.find("storage")?, collection.find("filename_disk")?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_on_disk() {
        for name in ["a.png", "0190-ab.tar.gz", "ü"] {
            assert!(is_plain(name), "{name}");
        }
        for name in ["", ".", "..", "../a", "a/b", "a\\b", "a\0", "a\r\n", ".hidden", "a#1", "C:a"] {
            assert!(!is_plain(name), "{name}");
        }
    }
}
