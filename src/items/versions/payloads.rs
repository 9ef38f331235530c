//! Payloads of versions, item by item: what may be seen of them, and what is kept instead of secrets.

use serde_json::{Map, Value, json};

use super::document;
use crate::access::{Action, Context};
use crate::db::JsonBytes;
use crate::error::Result;
use crate::items::hashing;
use crate::items::nested::ItemPayload;
use crate::schema::{Collection, CollectionId, ColumnType, FieldId, FieldKind, Schema};

/// What stands for a value that nobody may see.
const CONCEALED: &str = "**********";

/// Where a member of a payload leads: collections of the objects in it.
fn related(
    schema: &Schema,
    collection: &Collection,
    field: FieldId,
    payload: &ItemPayload,
) -> Option<CollectionId> {
    match &collection.field(field).kind {
        FieldKind::ManyToOne { related, .. } | FieldKind::OneToMany { related, .. } => Some(*related),
        FieldKind::ManyToAny { allowed, collection_field } => {
            let naming = &collection.field(*collection_field).name;
            let named = schema.find(payload.get(&**naming)?.as_str()?)?;
            allowed.contains(&named).then_some(named)
        }
        FieldKind::Plain | FieldKind::Presentation => None,
    }
}

/// Rewrites the objects of a relation: one, a list of them, or `create` and `update` with lists of them.
fn map_items(value: &Value, map: &mut dyn FnMut(&ItemPayload) -> ItemPayload) -> Value {
    let mut list = |entries: &[Value]| -> Value {
        let entry = |entry: &Value| match entry {
            Value::Object(item) => Value::Object(map(item)),
            key => key.clone(),
        };
        entries.iter().map(entry).collect()
    };
    match value {
        Value::Array(entries) => list(entries),
        Value::Object(parts)
            if !parts.is_empty()
                && parts.keys().all(|part| matches!(part.as_str(), "create" | "update" | "delete")) =>
        {
            let part = |(name, value): (&String, &Value)| {
                let value = value.as_array().map_or_else(|| value.clone(), |entries| list(entries));
                (name.clone(), value)
            };
            Value::Object(parts.iter().map(part).collect())
        }
        Value::Object(item) => Value::Object(map(item)),
        other => other.clone(),
    }
}

fn is_secret(collection: &Collection, field: FieldId) -> bool {
    let field = collection.field(field);
    field.conceal || field.column.as_ref().is_some_and(|column| column.column_type == ColumnType::Hash)
}

/// What of a payload may be seen by whoever may see these fields of its item.
pub(super) fn shown(ctx: &Context, id: CollectionId, payload: &ItemPayload) -> ItemPayload {
    part(ctx, id, payload, true)
}

/// Below the first item no row is there yet for which a field could be open or not.
fn part(ctx: &Context, id: CollectionId, payload: &ItemPayload, is_first: bool) -> ItemPayload {
    let collection = ctx.schema.collection(id);
    let Some(rules) = ctx.allowed(id, Action::Read) else { return Map::new() };
    let seen = |field| rules.fields.contains(field) && (is_first || rules.fields.rows_of(field).is_none());
    let members = payload.iter().filter_map(|(name, value)| {
        let field = collection.find(name).filter(|field| seen(*field))?;
        let value = match related(&ctx.schema, collection, field, payload) {
            _ if is_secret(collection, field) && !value.is_null() => Value::from(CONCEALED),
            Some(related) => map_items(value, &mut |item| part(ctx, related, item, false)),
            None => value.clone(),
        };
        Some((name.clone(), value))
    });
    members.collect()
}

/// A payload without its secrets.
pub(super) fn masked(schema: &Schema, id: CollectionId, payload: &ItemPayload) -> Value {
    fn mask(schema: &Schema, id: CollectionId, payload: &ItemPayload) -> ItemPayload {
        let collection = schema.collection(id);
        let members = payload.iter().filter_map(|(name, value)| {
            let field = collection.find(name)?;
            let value = match related(schema, collection, field, payload) {
                _ if is_secret(collection, field) && !value.is_null() => Value::from(CONCEALED),
                Some(related) => map_items(value, &mut |item| mask(schema, related, item)),
                None => value.clone(),
            };
            Some((name.clone(), value))
        });
        members.collect()
    }
    Value::Object(mask(schema, id, payload))
}

/// Keeps hashes instead of what is hashed.
pub(super) async fn seal(schema: &Schema, id: CollectionId, payload: &mut ItemPayload) -> Result<()> {
    fn visit(
        schema: &Schema,
        id: CollectionId,
        payload: &ItemPayload,
        each: &mut dyn FnMut(&str) -> Value,
    ) -> ItemPayload {
        let collection = schema.collection(id);
        let is_hash = |field: FieldId| {
            let column = collection.field(field).column.as_ref();
            column.is_some_and(|column| column.column_type == ColumnType::Hash)
        };
        let members = payload.iter().map(|(name, value)| {
            let Some(field) = collection.find(name) else { return (name.clone(), value.clone()) };
            let value = match (value, related(schema, collection, field, payload)) {
                (Value::String(text), _) if is_hash(field) => each(text),
                (_, Some(related)) => map_items(value, &mut |item| visit(schema, related, item, each)),
                (_, None) => value.clone(),
            };
            (name.clone(), value)
        });
        members.collect()
    }
    let mut open: Vec<String> = Vec::new();
    visit(schema, id, payload, &mut |text| {
        open.push(text.to_owned());
        Value::Null
    });
    if open.is_empty() {
        return Ok(());
    }
    let mut hashes = Vec::with_capacity(open.len());
    for text in open {
        hashes.push(hashing::hash(text.into()).await?);
    }
    let mut hashes = hashes.into_iter();
    *payload = visit(schema, id, payload, &mut |_| hashes.next().map_or(Value::Null, |hash| json!(&*hash)));
    Ok(())
}

/// The members of an answer, with these in place of those of the same name.
pub(super) fn overlaid(members: &[u8], over: ItemPayload) -> Result<JsonBytes> {
    let mut data = document(members)?;
    if let Value::Object(item) = &mut data {
        for (name, value) in over {
            if let Some(member) = item.get_mut(&name) {
                *member = value;
            }
        }
    }
    Ok([b"\"data\":", data.to_string().as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_relations_are_found_in_every_form() {
        let mut mark = |item: &ItemPayload| {
            let mut item = item.clone();
            item.insert("seen".to_owned(), json!(true));
            item
        };
        let mut check = |value: Value, expected: Value| assert_eq!(map_items(&value, &mut mark), expected);
        check(json!(7), json!(7));
        check(json!(null), json!(null));
        check(json!({ "name": "x" }), json!({ "name": "x", "seen": true }));
        check(json!({}), json!({ "seen": true }));
        check(json!([1, { "id": 2 }]), json!([1, { "id": 2, "seen": true }]));
        check(
            json!({ "create": [{}], "update": [{ "id": 1 }], "delete": [3] }),
            json!({ "create": [{ "seen": true }], "update": [{ "id": 1, "seen": true }], "delete": [3] }),
        );
    }

    #[test]
    fn only_what_was_asked_for_is_put_over() {
        let members = br#""data":{"id":1,"title":"Main"}"#.to_vec();
        let over = json!({ "title": "Draft", "secret": "x" });
        let over = over.as_object().cloned().unwrap_or_default();
        let overlaid = overlaid(&members, over).expect("members");
        assert_eq!(String::from_utf8_lossy(&overlaid), r#""data":{"id":1,"title":"Draft"}"#);
    }
}
