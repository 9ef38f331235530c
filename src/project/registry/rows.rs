//! The rows that say what a model says.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Entry, Registry};
use crate::schema::{
    Auto, Collection, CollectionId, ColumnType, Field, FieldId, FieldKind, OnDeselect, Origin, Schema,
    Tracking,
};

pub fn registry(schema: &Schema, built_in: &Schema) -> Registry {
    let mut registry = Registry::default();
    for (id, collection) in
        schema.collections().filter(|(_, collection)| collection.origin != Origin::Database)
    {
        if !collection.is_system() {
            let entry = collection_entry(collection);
            registry.collections.insert(vec![collection.name.to_string()], entry);
        }
        let own = built_in.get(&collection.name).filter(|_| collection.is_system());
        for (position, (field_id, field)) in collection.fields().enumerate() {
            if own.is_some_and(|own| own.find(&field.name).is_some()) {
                continue;
            }
            let key = vec![collection.name.to_string(), field.name.to_string()];
            let entry = field_entry(schema, collection, field, position);
            registry.fields.insert(key.clone(), entry);
            if let Some(entry) = relation_entry(schema, id, collection, field_id, field) {
                registry.relations.insert(key, entry);
            }
        }
    }
    add_folders(&mut registry);
    registry
}

/// The rows that the system's own collections would have.
pub fn system(built_in: &Schema) -> Registry {
    let mut registry = Registry::default();
    for (id, collection) in built_in.collections() {
        registry.collections.insert(vec![collection.name.to_string()], collection_entry(collection));
        for (position, (field_id, field)) in collection.fields().enumerate() {
            let key = vec![collection.name.to_string(), field.name.to_string()];
            let entry = field_entry(built_in, collection, field, position);
            registry.fields.insert(key.clone(), entry);
            if let Some(entry) = relation_entry(built_in, id, collection, field_id, field) {
                registry.relations.insert(key, entry);
            }
        }
    }
    registry
}

/// A group that is no collection is a folder, which has a row and no table.
fn add_folders(registry: &mut Registry) {
    let groups: Vec<String> = registry
        .collections
        .values()
        .filter_map(|entry| entry.get("group").and_then(Value::as_str).map(str::to_owned))
        .collect();
    for group in groups {
        let row = json!({
            "collection": group,
            "hidden": false,
            "singleton": false,
            "versioning": false,
            "archive_app_filter": true,
            "collapse": "open",
        });
        if let Value::Object(entry) = row {
            registry.collections.entry(vec![group]).or_insert(entry);
        }
    }
}

fn put(entry: &mut Entry, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        entry.insert(name.to_owned(), value.into());
    }
}

fn collection_entry(collection: &Collection) -> Entry {
    let mut entry = Map::new();
    let ui = |name: &str| collection.ui.get(name).filter(|value| !value.is_null()).cloned();
    put(&mut entry, "collection", Some(collection.name.as_ref()));
    put(&mut entry, "icon", ui("icon"));
    put(&mut entry, "note", collection.note.clone());
    put(&mut entry, "display_template", collection.display_template.clone());
    put(&mut entry, "hidden", Some(collection.hidden));
    put(&mut entry, "singleton", Some(collection.singleton));
    put(&mut entry, "translations", ui("translations"));
    if let Some(archive) = &collection.archive {
        put(&mut entry, "archive_field", Some(collection.field(archive.field).name.as_ref()));
        put(&mut entry, "archive_value", Some(as_text(&archive.archived)));
        put(&mut entry, "unarchive_value", Some(as_text(&archive.restored)));
    }
    put(&mut entry, "sort_field", collection.sort.map(|id| collection.field(id).name.to_string()));
    let tracking = match collection.accountability {
        Tracking::All => Some("all"),
        Tracking::Activity => Some("activity"),
        Tracking::Nothing => None,
    };
    put(&mut entry, "accountability", tracking);
    put(&mut entry, "color", ui("color"));
    // A collection in a folder of its own name would hold itself.
    let group = collection.group.as_deref().filter(|group| *group != collection.name.as_ref());
    put(&mut entry, "group", group);
    put(&mut entry, "versioning", Some(collection.versioning));
    for name in ["preview_url", "item_duplication_fields", "sort"] {
        put(&mut entry, name, ui(name));
    }
    put(&mut entry, "archive_app_filter", ui("archive_app_filter").or(Some(Value::Bool(true))));
    put(&mut entry, "collapse", ui("collapse").or_else(|| Some(json!("open"))));
    entry
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn field_entry(schema: &Schema, collection: &Collection, field: &Field, position: usize) -> Entry {
    let mut entry = Map::new();
    let ui = collection.ui.get("fields").and_then(|fields| fields.get(field.name.as_ref()));
    let ui = |name: &str| ui.and_then(|ui| ui.get(name)).filter(|value| !value.is_null()).cloned();
    put(&mut entry, "collection", Some(collection.name.as_ref()));
    put(&mut entry, "field", Some(field.name.as_ref()));
    let special = specials(schema, field);
    put(&mut entry, "special", (!special.is_empty()).then(|| special.join(",")));
    put(&mut entry, "interface", ui("interface"));
    put(&mut entry, "options", ui("options").or_else(|| choices(field)));
    put(&mut entry, "display", ui("display"));
    put(&mut entry, "display_options", ui("display_options"));
    put(&mut entry, "readonly", Some(field.readonly));
    put(&mut entry, "hidden", Some(field.hidden));
    put(&mut entry, "sort", Some(position as i64 + 1));
    put(&mut entry, "width", ui("width").or_else(|| Some(json!("full"))));
    put(&mut entry, "translations", ui("translations"));
    put(&mut entry, "note", field.note.clone());
    let is_required = field.column.as_ref().is_some_and(|column| column.checks.required);
    put(&mut entry, "required", ui("required").or(Some(Value::Bool(is_required))));
    put(&mut entry, "conditions", ui("conditions"));
    put(&mut entry, "group", ui("group"));
    put(&mut entry, "validation", Some(field.validation.clone()).filter(|rule| !rule.is_null()));
    put(&mut entry, "validation_message", field.validation_message.clone());
    put(&mut entry, "searchable", Some(field.searchable));
    entry
}

fn choices(field: &Field) -> Option<Value> {
    let checks = &field.column.as_ref()?.checks;
    let choices: Vec<Value> = checks
        .choices
        .iter()
        .map(|choice| {
            let text = choice.label.clone().unwrap_or_else(|| as_text(&choice.value));
            json!({ "text": text, "value": choice.value })
        })
        .collect();
    (!choices.is_empty()).then(|| json!({ "choices": choices }))
}

/// What a field does beyond its type, in the words of the public layout.
fn specials(schema: &Schema, field: &Field) -> Vec<&'static str> {
    let mut all = Vec::new();
    match &field.kind {
        FieldKind::Plain | FieldKind::ManyToAny { .. } => {}
        FieldKind::Presentation => all.extend(["alias", "no-data"]),
        FieldKind::ManyToOne { related, .. } => match schema.collection(*related).name.as_ref() {
            "directus_files" => all.push("file"),
            _ => all.push("m2o"),
        },
        FieldKind::OneToMany { related, junction_field, .. } => {
            let junction = junction_field.map(|id| &schema.field(*related, id).kind);
            all.push(match junction {
                None => "o2m",
                Some(FieldKind::ManyToAny { .. }) => "m2a",
                Some(FieldKind::ManyToOne { related, .. }) => match schema.collection(*related).name.as_ref()
                {
                    "directus_files" => "files",
                    "languages" => "translations",
                    _ => "m2m",
                },
                Some(_) => "m2m",
            });
        }
    }
    let Some(column) = &field.column else { return all };
    match column.auto {
        Some(Auto::Uuid) => all.push("uuid"),
        Some(Auto::CreatedAt) => all.push("date-created"),
        Some(Auto::UpdatedAt) => all.push("date-updated"),
        Some(Auto::CreatedBy) => all.push("user-created"),
        Some(Auto::UpdatedBy) => all.push("user-updated"),
        Some(Auto::CreatedByRole) => all.push("role-created"),
        Some(Auto::UpdatedByRole) => all.push("role-updated"),
        Some(Auto::Increment | Auto::Number) | None => {}
    }
    match column.column_type {
        ColumnType::Csv => all.push("cast-csv"),
        ColumnType::Json => all.push("cast-json"),
        ColumnType::Boolean => all.push("cast-boolean"),
        ColumnType::Hash => all.extend(["hash", "conceal"]),
        _ => {}
    }
    if field.conceal && column.column_type != ColumnType::Hash {
        all.push("conceal");
    }
    all
}

fn relation_entry(
    schema: &Schema,
    id: CollectionId,
    collection: &Collection,
    field_id: FieldId,
    field: &Field,
) -> Option<Entry> {
    let mut entry = Map::new();
    put(&mut entry, "many_collection", Some(collection.name.as_ref()));
    put(&mut entry, "many_field", Some(field.name.as_ref()));
    let mut others: BTreeMap<CollectionId, &Field> = BTreeMap::new();
    match &field.kind {
        FieldKind::ManyToOne { related, .. } => {
            put(&mut entry, "one_collection", Some(schema.collection(*related).name.as_ref()));
            others.extend(far_side(schema, *related, id, field_id).map(|far| (*related, far)));
        }
        FieldKind::ManyToAny { allowed, collection_field } => {
            put(&mut entry, "one_collection_field", Some(collection.field(*collection_field).name.as_ref()));
            let names: Vec<&str> = allowed.iter().map(|id| schema.collection(*id).name.as_ref()).collect();
            put(&mut entry, "one_allowed_collections", Some(names.join(",")));
        }
        _ => return None,
    }
    let mut action = "nullify";
    if let Some(far) = others.values().next()
        && let FieldKind::OneToMany { sort, on_deselect, .. } = &far.kind
    {
        put(&mut entry, "one_field", Some(far.name.as_ref()));
        put(&mut entry, "sort_field", sort.map(|id| collection.field(id).name.to_string()));
        if *on_deselect == OnDeselect::Delete {
            action = "delete";
        }
    }
    put(&mut entry, "junction_field", partner(schema, id, collection, field_id));
    put(&mut entry, "one_deselect_action", Some(action));
    Some(entry)
}

/// The one-to-many of `one` that this many-to-one is the other end of.
fn far_side(schema: &Schema, one: CollectionId, many: CollectionId, many_field: FieldId) -> Option<&Field> {
    schema.collection(one).fields().map(|(_, field)| field).find(|field| {
        matches!(&field.kind, FieldKind::OneToMany { related, related_field, .. }
            if *related == many && *related_field == many_field)
    })
}

/// In a junction, the field that leads to the other side: some collection reads this one through both.
fn partner(schema: &Schema, id: CollectionId, collection: &Collection, field: FieldId) -> Option<String> {
    let ways =
        schema.collections().flat_map(|(_, other)| other.fields()).filter_map(|(_, way)| match &way.kind {
            FieldKind::OneToMany { related, related_field, junction_field: Some(junction_field), .. }
                if *related == id =>
            {
                Some((*related_field, *junction_field))
            }
            _ => None,
        });
    let mut ways = ways.filter_map(|(near, far)| match field {
        field if field == near => Some(far),
        field if field == far => Some(near),
        _ => None,
    });
    ways.next().map(|id| collection.field(id).name.to_string())
}
