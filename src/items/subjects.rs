//! What rows about items need beyond those of any other collection: comments are made by whoever may read the item, versions are kept
//! of items that are there, and neither is moved to another item.
//!
//! Every write passes here, nested ones included. Who sees such rows is decided by their rules (`access::subjects`).

use std::sync::Arc;

use serde_json::Value;

use super::nested::key_value;
use super::plan::ItemWrite;
use super::run::{Run, Step};
use crate::access::Action;
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::schema::{Collection, CollectionId, FieldId};
use crate::sql::write::{self as statements, Match};

const COMMENTS: &str = "directus_comments";
const VERSIONS: &str = "directus_versions";
/// What such a row is about, and what only the server says of it.
const FIXED: [&str; 5] = ["collection", "item", "user_created", "hash", "delta"];

fn is_about_items(collection: &Collection) -> bool {
    matches!(&*collection.name, COMMENTS | VERSIONS)
}

impl Run<'_> {
    /// Before new rows: their items are there, and whoever makes the rows may read them. Fails with `Forbidden`, and with
    /// `UnprocessableContent` for a version of an item whose collection has none.
    pub(super) async fn check_new_subjects(&mut self, items: &mut [ItemWrite]) -> Result<()> {
        let schema = self.schema();
        let first = items.first().map(|item| schema.collection(item.collection));
        match first.filter(|collection| is_about_items(collection)) {
            Some(collection) => self.check_subjects(collection, items).await,
            None => Ok(()),
        }
    }

    /// On the heap: few writes come here, and all of them make room on the stack for what they may have to wait for.
    fn check_subjects<'s>(
        &'s mut self,
        collection: &'s Collection,
        items: &'s mut [ItemWrite],
    ) -> Step<'s, ()> {
        Box::pin(async move {
            let schema = self.schema();
            for item in items {
                let is_version = &*collection.name == VERSIONS;
                if !self.is_unlimited() && names_any(collection, item, &FIXED[2..]) {
                    return Err(Error::Forbidden);
                }
                let (target, key) = self.subject(collection, item)?;
                let related = schema.collection(target);
                if is_version && !related.versioning {
                    return Err(Error::UnprocessableContent {
                        reason: format!("\"{}\" keeps no versions of its items.", related.name),
                    });
                }
                let key = match key_value(related, &Value::from(&*key)) {
                    Ok(key) => key,
                    // An administrator writes about whatever there was.
                    Err(_) if self.is_unlimited() && !is_version => continue,
                    Err(error) => return Err(error),
                };
                let must_be_there = is_version || !self.is_unlimited();
                if must_be_there && !self.is_there(target, &key).await? {
                    return Err(Error::Forbidden);
                }
                self.allow((target, Action::Read), &[], std::slice::from_ref(&key)).await?;
                if is_version {
                    let mark = self.mark_of(target, &key).await?;
                    if let Some(field) = collection.find("hash") {
                        item.set(field, Scalar::Text(mark.into()));
                    }
                }
            }
            Ok(())
        })
    }

    /// Before a change: a row goes on to be about the item that it was about. Fails with `Forbidden`.
    pub(super) fn check_changed_subject(&self, item: &ItemWrite) -> Result<()> {
        let schema = self.schema();
        let collection = schema.collection(item.collection);
        if is_about_items(collection) && names_any(collection, item, &FIXED) {
            return Err(Error::Forbidden);
        }
        Ok(())
    }

    /// After a write: no item has two versions of the same key. Fails with `UnprocessableContent`.
    pub(super) async fn check_versions(&mut self, id: CollectionId, keys: &[Scalar]) -> Result<()> {
        let schema = self.schema();
        let versions = schema.collection(id);
        if &*versions.name == VERSIONS { self.check_keys(versions, keys).await } else { Ok(()) }
    }

    fn check_keys<'s>(&'s mut self, versions: &'s Collection, keys: &'s [Scalar]) -> Step<'s, ()> {
        Box::pin(async move {
            let columns: Vec<FieldId> =
                ["collection", "item", "key"].iter().filter_map(|name| versions.find(name)).collect();
            let Some(key) = versions.key() else { return Ok(()) };
            let dialect = self.tx.dialect();
            let written = [Match { field: key, values: keys }];
            for row in self.tx.rows(&statements::lookup(dialect, versions, &columns, &written)).await? {
                let same: Vec<Match<'_>> = columns
                    .iter()
                    .zip(&row.values)
                    .map(|(field, value)| Match { field: *field, values: std::slice::from_ref(value) })
                    .collect();
                let found = self.tx.rows(&statements::lookup(dialect, versions, &columns, &same)).await?;
                // Collations may take different keys for equal.
                if found.iter().filter(|other| other.values == row.values).count() > 1 {
                    return Err(Error::UnprocessableContent {
                        reason: "The item has a version of this key already.".to_owned(),
                    });
                }
            }
            Ok(())
        })
    }

    /// The collection that a new row names, and the key.
    fn subject(&self, collection: &Collection, item: &ItemWrite) -> Result<(CollectionId, Arc<str>)> {
        let text = |name: &str| match collection.find(name).and_then(|field| item.value(field)) {
            Some(Scalar::Text(text)) => Ok(text.clone()),
            _ => Err(Error::Forbidden),
        };
        let target = self.schema().find(&text("collection")?).ok_or(Error::Forbidden)?;
        Ok((target, text("item")?))
    }
}

fn names_any(collection: &Collection, item: &ItemWrite, names: &[&str]) -> bool {
    item.named.iter().any(|field| names.contains(&&*collection.field(*field).name))
}
