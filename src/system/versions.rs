//! Content versions: what is saved in one, how it compares with the item, and taking it over.

use serde_json::{Map, Value, json};

use super::{Reply, SystemItems, payloads};
use crate::access::Context;
use crate::error::{Error, Result};
use crate::items::{ItemPayload, Operation, WriteAnswer};
use crate::query::Selection;

const VERSIONS: &str = "directus_versions";
/// The item itself.
const MAIN: &str = "main";

impl SystemItems<'_> {
    /// Makes versions of items.
    ///
    /// Fails with `InvalidPayload` for a version without a key or with that of the item itself, with `UnprocessableContent` for a key
    /// that the item has already.
    pub async fn create_versions(
        &self,
        ctx: &Context,
        operation: Operation,
        reply: Reply,
    ) -> Result<WriteAnswer> {
        for version in payloads(&operation) {
            for needed in ["key", "collection", "item"] {
                if version.get(needed).is_none_or(Value::is_null) {
                    return Err(Error::payload(format_args!("\"{needed}\" is required.")));
                }
            }
            check_key(version)?;
            only(version, &["id", "key", "name", "collection", "item"])?;
        }
        self.write(ctx, VERSIONS, operation, reply).await
    }

    /// Renames versions; what they change is saved into them instead.
    pub async fn update_versions(
        &self,
        ctx: &Context,
        operation: Operation,
        reply: Reply,
    ) -> Result<WriteAnswer> {
        let changes: &[ItemPayload] = match &operation {
            Operation::Update(_, change) => std::slice::from_ref(change),
            Operation::UpdateEach(changes) => changes,
            _ => &[],
        };
        for change in changes {
            check_key(change)?;
            only(change, &["id", "key", "name"])?;
        }
        self.write(ctx, VERSIONS, operation, reply).await
    }

    /// Saves changes in a version and gives all that it changes now. Whoever saves has to be allowed to change the item so.
    pub async fn save_version(&self, ctx: &Context, id: &str, change: ItemPayload) -> Result<Value> {
        let version = self.items.version(ctx, id).await?;
        let delta = self.items.save_version(ctx, &version, change).await?;
        Ok(Value::Object(self.items.shown(ctx, &version, &delta).await?))
    }

    /// What a version changes beside the item as it is, and whether the item was changed since the version was made.
    pub async fn compare_version(&self, ctx: &Context, id: &str) -> Result<Value> {
        let version = self.items.version(ctx, id).await?;
        let mark = self.items.mark(ctx, &version.collection, &version.item).await?;
        let key = Selection::Key(version.item.clone());
        let main = self.read(ctx, &version.collection, key, json!({})).await?;
        let delta = version.delta.clone().unwrap_or_default();
        let mut current = self.items.shown(ctx, &version, &delta).await?;
        if let Some((name, value)) = key_of(ctx, &version.collection, &main) {
            current.insert(name, value);
        }
        Ok(json!({
            "outdated": version.hash.is_some_and(|hash| hash != mark),
            "mainHash": mark,
            "current": current,
            "main": main,
        }))
    }

    /// Makes of the item what a version says, or in some fields only, unless the item was changed since it was compared. Gives the key of
    /// the item.
    ///
    /// Fails with `UnprocessableContent` when it was, and for a version that changes nothing.
    pub async fn promote_version(
        &self,
        ctx: &Context,
        id: &str,
        main_hash: &str,
        fields: Option<&[String]>,
    ) -> Result<Value> {
        let mut version = self.items.version(ctx, id).await?;
        let mut delta = version.delta.take().unwrap_or_default();
        if let Some(fields) = fields {
            delta.retain(|name, _| fields.contains(name));
        }
        if delta.is_empty() {
            return Err(Error::UnprocessableContent {
                reason: "The version changes nothing of the item.".to_owned(),
            });
        }
        self.items.change_unchanged(ctx, &version, delta, main_hash).await
    }
}

fn check_key(version: &ItemPayload) -> Result<()> {
    match version.get("key") {
        Some(Value::String(key)) if key == MAIN => {
            Err(Error::payload(format_args!("\"{MAIN}\" is the item itself, and no key of a version.")))
        }
        Some(Value::String(key)) if key.is_empty() => Err(Error::payload("\"key\" must not be empty.")),
        None | Some(Value::String(_)) => Ok(()),
        Some(_) => Err(Error::payload("\"key\" must be a text.")),
    }
}

fn only(version: &ItemPayload, known: &[&str]) -> Result<()> {
    match version.keys().find(|name| !known.contains(&name.as_str())) {
        Some(other) => Err(Error::payload(format_args!("\"{other}\" of a version cannot be set."))),
        None => Ok(()),
    }
}

/// The key of an item, as far as it is told.
fn key_of(ctx: &Context, collection: &str, item: &Value) -> Option<(String, Value)> {
    let collection = ctx.schema.get(collection)?;
    let name = &collection.field(collection.key()?).name;
    let item: &Map<String, Value> = item.as_object()?;
    Some((name.to_string(), item.get(&**name)?.clone()))
}
