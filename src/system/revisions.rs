//! Going back to an earlier state of an item.

use serde_json::{Map, Value, json};

use super::{SystemItems, everything};
use crate::access::Context;
use crate::error::{Error, Result};
use crate::items::{Operation, Targets};
use crate::query::Selection;
use crate::schema::{Collection, ColumnType};

const REVISIONS: &str = "directus_revisions";

impl SystemItems<'_> {
    /// Makes an item what a revision says it was, as far as that differs from what it is. The caller has to be allowed both to read
    /// the revision and to make that change.
    ///
    /// Fails with `Forbidden` otherwise, with `InvalidPayload` for a revision that holds no state of an item.
    pub async fn revert(&self, ctx: &Context, revision: &str) -> Result<()> {
        let fields = json!({ "fields": "collection,item,data,version" });
        let revision = self.read(ctx, REVISIONS, Selection::Key(revision.to_owned()), fields).await?;
        let (Some(name), Some(item)) = (revision["collection"].as_str(), revision["item"].as_str()) else {
            return Err(Error::Forbidden);
        };
        let collection = ctx.schema.get(name).ok_or(Error::Forbidden)?;
        let Some(data) = revision["data"].as_object().filter(|_| revision["version"].is_null()) else {
            return Err(Error::payload("the revision holds no state of an item to go back to."));
        };
        let key = Selection::Key(item.to_owned());
        let now = self.read(&everything(ctx), name, key, json!({ "fields": "*" })).await?;
        let change = difference(collection, data, &now);
        let change = Operation::Update(Targets::Key(item.to_owned()), change);
        let written = self.items.change(ctx, name, change).await?;
        if written.keys.is_empty() { Err(Error::Forbidden) } else { Ok(()) }
    }
}

/// The values of a state that are others now. What nobody sees is not known there, and what the server fills in it fills in anew.
fn difference(collection: &Collection, state: &Map<String, Value>, now: &Value) -> Map<String, Value> {
    let changes = state.iter().filter(|(name, value)| {
        let Some(id) = collection.find(name) else { return false };
        let field = collection.field(id);
        let Some(column) = &field.column else { return false };
        let is_secret = field.conceal || column.column_type == ColumnType::Hash;
        !is_secret && column.auto.is_none() && collection.key() != Some(id) && now[name.as_str()] != **value
    });
    changes.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Auto, Column, Field, FieldId, Origin};

    #[test]
    fn only_what_differs_and_can_be_known_is_changed() {
        let mut secret = Field::plain("secret", Column::new(ColumnType::Text));
        secret.conceal = true;
        let mut updated = Column::new(ColumnType::Timestamp);
        updated.auto = Some(Auto::UpdatedAt);
        let fields = vec![
            Field::plain("id", Column::new(ColumnType::Integer)),
            Field::plain("name", Column::new(ColumnType::Text)),
            Field::plain("number", Column::new(ColumnType::Integer)),
            Field::plain("hash", Column::new(ColumnType::Hash)),
            Field::plain("updated", updated),
            secret,
        ];
        let mut collection = Collection::new("t", Origin::Yaml, fields);
        collection.primary_key = vec![FieldId(0)];
        let state = json!({
            "id": 1, "name": "before", "number": null, "hash": "**********", "updated": "2026-01-01", "secret": "**********",
            "gone": 1,
        });
        let now = json!({ "id": 2, "name": "now", "number": null, "updated": "2026-01-02" });
        let state = state.as_object().cloned().unwrap_or_default();
        let changes = difference(&collection, &state, &now);
        assert_eq!(Value::Object(changes), json!({ "name": "before" }));
    }
}
