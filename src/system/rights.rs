//! What somebody may do, told to themselves.

use serde_json::{Map, Value, json};

use crate::access::{AccessRules, Action, Context, Fields, Limited, Rows};
use crate::error::Result;
use crate::items::ItemsService;
use crate::schema::CollectionId;

/// Per collection and action: whether everything, something or nothing is allowed, in which fields, and what is filled in.
pub fn of_collections(ctx: &Context) -> Value {
    let mut all = Map::new();
    for (id, collection) in ctx.schema.collections() {
        let actions: Map<String, Value> = match &*ctx.rules {
            AccessRules::Everything => {
                let full = json!({ "access": "full", "fields": ["*"] });
                Action::ALL.iter().map(|action| (action.name().to_owned(), full.clone())).collect()
            }
            AccessRules::Limited(limited) => {
                if Action::ALL.iter().all(|action| limited.permissions(id, *action).is_empty()) {
                    continue;
                }
                let of_action =
                    |action: &Action| (action.name().to_owned(), of_action(ctx, limited, id, *action));
                Action::ALL.iter().map(of_action).collect()
            }
            AccessRules::Nothing | AccessRules::Shared(_) | AccessRules::Narrowed(_) => continue,
        };
        all.insert(collection.name.to_string(), Value::Object(actions));
    }
    Value::Object(all)
}

fn of_action(ctx: &Context, limited: &Limited, id: CollectionId, action: Action) -> Value {
    let permissions = limited.permissions(id, action);
    if permissions.is_empty() {
        return json!({ "access": "none" });
    }
    let is_full = permissions.iter().any(|permission| permission.rows == Rows::All);
    let collection = ctx.schema.collection(id);
    let mut fields: Vec<&str> = Vec::new();
    let mut presets = Map::new();
    for permission in &permissions {
        match &permission.fields {
            Fields::All => fields = vec!["*"],
            Fields::Named(names) if fields != ["*"] => {
                let known = names.iter().filter(|name| collection.find(name).is_some());
                for name in known {
                    if !fields.contains(&name.as_str()) {
                        fields.push(name);
                    }
                }
            }
            Fields::Named(_) => {}
        }
        let filled = permission.presets.iter();
        presets.extend(filled.map(|(name, value)| (name.clone(), ctx.variables().fill_in(value))));
    }
    let mut told = json!({ "access": if is_full { "full" } else { "partial" }, "fields": fields });
    if !presets.is_empty() {
        told["presets"] = Value::Object(presets);
    }
    told
}

/// Whether the caller may change, remove and share an item, or any item of the collection where none is named.
///
/// What is not there and what is hidden may both not be touched. For the only item of a singleton also what may be changed of it.
pub async fn of_item(
    items: &ItemsService,
    ctx: &Context,
    collection: &str,
    key: Option<&str>,
) -> Result<Value> {
    let id = ctx.schema.find(collection);
    let mut told = Map::new();
    for action in [Action::Update, Action::Delete, Action::Share] {
        let is_allowed = match (id, key) {
            (None, _) => false,
            (Some(_), Some(key)) => items.may(ctx, collection, action, key).await?,
            (Some(id), None) => ctx.allowed(id, action).is_some(),
        };
        let mut of_action = json!({ "access": is_allowed });
        if let Some(id) = id.filter(|id| {
            is_allowed && action == Action::Update && key.is_none() && ctx.schema.collection(*id).singleton
        }) {
            let (fields, presets) = match &*ctx.rules {
                AccessRules::Limited(limited) => {
                    let mut of_collection = super::rights::of_action(ctx, limited, id, action);
                    (of_collection["fields"].take(), of_collection["presets"].take())
                }
                _ => (json!(["*"]), Value::Null),
            };
            of_action["fields"] = fields;
            of_action["presets"] = presets;
        }
        told.insert(action.name().to_owned(), of_action);
    }
    Ok(Value::Object(told))
}
