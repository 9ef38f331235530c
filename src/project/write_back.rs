//! A collection as the YAML that a person would write.

use serde_json::{Map, Value, json};

use super::registry::Registry;
use crate::schema::{
    Auto, Collection, Column, ColumnType, DefaultValue, Field, FieldId, FieldKind, OnDelete, OnDeselect,
    Schema, Tracking,
};

/// Whether what a form offers is taken for all that may be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choices {
    /// It is: what is pulled from a database becomes rules.
    Rules,
    /// It is not: a change over the API changes the form only.
    Options,
}

/// What the registry says about how a field is shown, and nothing else does.
pub const PRESENTATION: &[&str] =
    &["interface", "options", "display", "display_options", "width", "translations", "conditions", "group"];

/// The whole file of a collection.
pub fn collection(
    schema: &Schema,
    collection: &Collection,
    registry: &Registry,
    taken: Choices,
) -> Map<String, Value> {
    let mut file = Map::new();
    file.insert("collection".to_owned(), json!(collection.name));
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            file.insert(name.to_owned(), value);
        }
    };
    let name_of = |id: FieldId| collection.field(id).name.to_string();
    put("note", collection.note.as_ref().map(|note| json!(note)));
    put("display_template", collection.display_template.as_ref().map(|template| json!(template)));
    put(
        "archive",
        collection.archive.as_ref().and_then(|archive| {
            let value = |value: &Value| archive_value(collection.field(archive.field), value);
            let (archived, restored) = (value(&archive.archived)?, value(&archive.restored)?);
            Some(json!({ "field": name_of(archive.field), "archived": archived, "restored": restored }))
        }),
    );
    put("sort", collection.sort.map(|id| json!(name_of(id))));
    put("singleton", collection.singleton.then_some(Value::Bool(true)));
    put("hidden", collection.hidden.then_some(Value::Bool(true)));
    put(
        "accountability",
        match collection.accountability {
            Tracking::All => None,
            Tracking::Activity => Some(json!("activity")),
            Tracking::Nothing => Some(json!("none")),
        },
    );
    put("versioning", collection.versioning.then_some(Value::Bool(true)));
    put(
        "trash",
        collection
            .trash
            .map(|trash| trash.keep.map_or(json!(true), |hours| json!({ "keep": format!("{hours}h") }))),
    );
    let fields: Map<String, Value> = collection
        .fields()
        .filter_map(|(id, field)| {
            Some((field.name.to_string(), self::field(schema, collection, id, field, registry, taken)?))
        })
        .collect();
    put("fields", Some(Value::Object(fields)));
    let indexes: Vec<Value> = collection
        .indexes
        .iter()
        .map(|index| {
            let names: Vec<String> = index.fields.iter().map(|id| name_of(*id)).collect();
            if index.unique { json!({ "fields": names, "unique": true }) } else { json!(names) }
        })
        .collect();
    put("indexes", (!indexes.is_empty()).then_some(Value::Array(indexes)));
    put("ui", (!collection.ui.is_null()).then(|| collection.ui.clone()));
    file
}

/// What the registry says about how a field is shown, in the words of `ui:`.
pub fn presentation(collection: &Collection, field: &Field, registry: &Registry) -> Map<String, Value> {
    let mut ui = Map::new();
    let place = vec![collection.name.to_string(), field.name.to_string()];
    let Some(row) = registry.fields.get(&place) else { return ui };
    for name in PRESENTATION {
        let usual = *name == "width" && row.get(*name) == Some(&json!("full"));
        if let Some(value) = row.get(*name).filter(|value| !value.is_null() && !usual) {
            ui.insert((*name).to_owned(), value.clone());
        }
    }
    let is_required = field.column.as_ref().is_some_and(|column| !column.nullable);
    if row.get("required").and_then(Value::as_bool).is_some_and(|said| said != is_required && said) {
        ui.insert("required".to_owned(), Value::Bool(true));
    }
    ui
}

/// The registry keeps these as text, a file as what the field holds.
fn archive_value(field: &Field, value: &Value) -> Option<Value> {
    let Value::String(text) = value else { return Some(value.clone()).filter(|value| !value.is_null()) };
    match field.column.as_ref()?.column_type {
        ColumnType::Boolean => text.parse::<bool>().ok().map(Value::Bool),
        ColumnType::Integer | ColumnType::BigInteger => text.parse::<i64>().ok().map(Value::from),
        _ => Some(value.clone()),
    }
}

/// One field: short where that says all. `None` for what the format has no word for.
pub fn field(
    schema: &Schema,
    collection: &Collection,
    id: FieldId,
    field: &Field,
    registry: &Registry,
    taken: Choices,
) -> Option<Value> {
    let is_key = collection.key() == Some(id);
    if !is_expressible(schema, field, is_key) {
        return None;
    }
    let mut long = Map::new();
    let mut short = match &field.kind {
        FieldKind::Presentation => return None,
        FieldKind::OneToMany { .. } => {
            let (short, rest) = to_many(schema, field)?;
            long.extend(rest);
            short
        }
        FieldKind::ManyToAny { allowed, collection_field } => {
            let names: Vec<&str> = allowed.iter().map(|id| schema.collection(*id).name.as_ref()).collect();
            long.insert("a2o".to_owned(), json!(names));
            long.insert("collection_field".to_owned(), json!(collection.field(*collection_field).name));
            None
        }
        FieldKind::ManyToOne { related, on_delete } => {
            let column = field.column.as_ref()?;
            let (short, rest) = to_one(schema, &schema.collection(*related).name, *on_delete, column);
            long.extend(rest);
            short
        }
        FieldKind::Plain => {
            let name = column_type(field.column.as_ref()?, is_key)?;
            long.insert("type".to_owned(), json!(name));
            Some(name)
        }
    };
    if let Some(column) = &field.column {
        let is_auto = matches!(column.auto, Some(Auto::CreatedAt | Auto::UpdatedAt));
        let is_required = !column.nullable && !is_key;
        if is_required {
            match (&mut short, long.len()) {
                (Some(short), 0..=1) => short.push('!'),
                _ => short = None,
            }
            long.insert("required".to_owned(), Value::Bool(true));
        }
        let mut rest = Map::new();
        describe_column(
            column,
            &mut rest,
            is_key || is_auto,
            matches!(field.kind, FieldKind::ManyToOne { .. }),
        );
        if taken == Choices::Rules
            && let Some(choices) = choices(collection, field, registry)
        {
            rest.insert("choices".to_owned(), choices);
        }
        if let Some((_, number)) = collection.numbers.iter().find(|(numbered, _)| *numbered == id) {
            let (series, per) = &number.written;
            let long = json!({ "series": series, "per": per });
            rest.insert("number".to_owned(), if per.is_empty() { json!(series) } else { long });
        }
        if field.conceal && column.column_type != ColumnType::Hash {
            rest.insert("conceal".to_owned(), Value::Bool(true));
        }
        if !field.searchable && !field.conceal {
            rest.insert("searchable".to_owned(), Value::Bool(false));
        }
        if !rest.is_empty() {
            short = None;
            long.extend(rest);
        }
    }
    if let Some(note) = &field.note {
        short = None;
        long.insert("note".to_owned(), json!(note));
    }
    for (name, value) in [("hidden", field.hidden), ("readonly", field.readonly)] {
        if value {
            short = None;
            long.insert(name.to_owned(), Value::Bool(true));
        }
    }
    if field.validation.as_object().is_some_and(|rule| !rule.is_empty()) {
        short = None;
        long.insert("validation".to_owned(), field.validation.clone());
        if let Some(message) = &field.validation_message {
            long.insert("validation_message".to_owned(), json!(message));
        }
    }
    Some(short.map_or_else(|| Value::Object(long), Value::String))
}

/// Whether the format has words for who fills the field. What it has none for stays in the database.
fn is_expressible(schema: &Schema, field: &Field, is_key: bool) -> bool {
    let Some(column) = &field.column else { return true };
    let refers_to_users = matches!(&field.kind, FieldKind::ManyToOne { related, .. }
        if schema.collection(*related).name.as_ref() == "directus_users");
    let is_plain = field.kind == FieldKind::Plain;
    let is_counted = matches!(column.column_type, ColumnType::Integer | ColumnType::BigInteger);
    match column.auto {
        Some(Auto::CreatedBy | Auto::UpdatedBy) => refers_to_users,
        Some(Auto::CreatedByRole | Auto::UpdatedByRole) => false,
        Some(Auto::CreatedAt | Auto::UpdatedAt) => is_plain && column.column_type == ColumnType::Timestamp,
        Some(Auto::Increment) => is_key,
        Some(Auto::Uuid | Auto::Number) | None => !(is_key && is_counted),
    }
}

fn describe_column(column: &Column, rest: &mut Map<String, Value>, is_known: bool, is_reference: bool) {
    if column.unique && !is_known {
        rest.insert("unique".to_owned(), Value::Bool(true));
    }
    // Every reference has an index anyway.
    if column.indexed && !column.unique && !is_reference {
        rest.insert("index".to_owned(), Value::Bool(true));
    }
    if is_known {
        return;
    }
    match &column.default {
        Some(DefaultValue::Value(value)) => {
            rest.insert("default".to_owned(), plain_number(&column.column_type, value));
        }
        Some(DefaultValue::Now) if column.column_type.has_date() || column.column_type.has_time() => {
            rest.insert("default".to_owned(), json!("now"));
        }
        Some(DefaultValue::Uuid) => {
            rest.insert("default".to_owned(), json!("uuid"));
        }
        Some(DefaultValue::Now | DefaultValue::Expression(_)) | None => {
            if column.column_type == ColumnType::Uuid && column.auto == Some(Auto::Uuid) {
                rest.insert("default".to_owned(), json!("uuid"));
            }
        }
    }
}

/// Decimals are texts over the API and numbers in a file.
fn plain_number(column_type: &ColumnType, value: &Value) -> Value {
    match (column_type, value) {
        (ColumnType::Decimal { .. }, Value::String(text)) => {
            let text =
                if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
            serde_json::from_str(text).unwrap_or_else(|_| value.clone())
        }
        _ => value.clone(),
    }
}

fn column_type(column: &Column, is_key: bool) -> Option<String> {
    let text = match (&column.column_type, is_key) {
        (ColumnType::Uuid, true) => "uuid_pk".to_owned(),
        (ColumnType::Integer, true) => "integer_pk".to_owned(),
        (ColumnType::BigInteger, true) => "bigint_pk".to_owned(),
        (ColumnType::String { length: 255 }, true) => "string_pk".to_owned(),
        (ColumnType::String { length }, true) => format!("string_pk({length})"),
        (_, true) | (ColumnType::Unknown { .. }, _) => return None,
        (ColumnType::String { length: 255 }, false) => "string".to_owned(),
        (ColumnType::Timestamp, false) => match column.auto {
            Some(Auto::CreatedAt) => "created_at".to_owned(),
            Some(Auto::UpdatedAt) => "updated_at".to_owned(),
            _ => "timestamp".to_owned(),
        },
        (other, false) => other.to_string(),
    };
    Some(text)
}

fn to_one(
    schema: &Schema,
    related: &str,
    on_delete: OnDelete,
    column: &Column,
) -> (Option<String>, Map<String, Value>) {
    let mut long = Map::new();
    let is_user = related == "directus_users" && schema.find(related).is_some();
    let short = match column.auto {
        Some(Auto::CreatedBy) if is_user => "created_by".to_owned(),
        Some(Auto::UpdatedBy) if is_user => "updated_by".to_owned(),
        _ if related == "directus_files" => "file".to_owned(),
        _ if column.unique => format!("o2o({related})"),
        _ => format!("m2o({related})"),
    };
    match short.split_once('(') {
        Some((kind, _)) => long.insert(kind.to_owned(), json!(related)),
        None => long.insert("type".to_owned(), json!(short)),
    };
    let usual = if column.nullable { OnDelete::SetNull } else { OnDelete::Restrict };
    if on_delete == usual || (usual == OnDelete::Restrict && on_delete == OnDelete::NoAction) {
        return (Some(short), long);
    }
    let name = match on_delete {
        OnDelete::SetNull => "set_null",
        OnDelete::Cascade => "cascade",
        OnDelete::Restrict => "restrict",
        OnDelete::NoAction => "no_action",
    };
    long.insert("on_delete".to_owned(), json!(name));
    (None, long)
}

fn to_many(schema: &Schema, field: &Field) -> Option<(Option<String>, Map<String, Value>)> {
    let FieldKind::OneToMany { related, related_field, junction_field, sort, on_deselect } = &field.kind
    else {
        return None;
    };
    let far = schema.collection(*related);
    let near_name = &far.field(*related_field).name;
    let mut long = Map::new();
    // A junction whose rows stay when they lose an end is an o2m that leads on.
    let through = junction_field.filter(|_| *on_deselect == OnDeselect::Delete);
    let through = through.and_then(|id| match &far.field(id).kind {
        FieldKind::ManyToOne { related, .. } => Some((id, schema.collection(*related).name.to_string())),
        _ => None,
    });
    let mut short = None;
    match through {
        Some((far_field, target)) => {
            long.insert("m2m".to_owned(), json!(target));
            let to = &far.field(far_field).name;
            long.insert("through".to_owned(), json!({ "collection": far.name, "from": near_name, "to": to }));
        }
        None => {
            let target = format!("{}.{near_name}", far.name);
            long.insert("o2m".to_owned(), json!(target));
            short = Some(format!("o2m({target})"));
            if *on_deselect == OnDeselect::Delete {
                long.insert("on_deselect".to_owned(), json!("delete"));
                short = None;
            }
            // Until its field leads somewhere, a junction is a collection like others.
            let leads_on = |id: &&FieldId| {
                matches!(far.field(**id).kind, FieldKind::ManyToOne { .. } | FieldKind::ManyToAny { .. })
            };
            if let Some(id) = junction_field.as_ref().filter(leads_on) {
                long.insert("junction".to_owned(), json!(far.field(*id).name));
                short = None;
            }
        }
    }
    if let Some(sort) = sort {
        long.insert("sort".to_owned(), json!(far.field(*sort).name));
        short = None;
    }
    Some((short, long))
}

/// Choices that a form offers and nothing else is taken.
fn choices(collection: &Collection, field: &Field, registry: &Registry) -> Option<Value> {
    let column_type = &field.column.as_ref()?.column_type;
    if !matches!(column_type, ColumnType::String { .. } | ColumnType::Text | ColumnType::Integer) {
        return None;
    }
    let options =
        registry.fields.get(&vec![collection.name.to_string(), field.name.to_string()])?.get("options")?;
    if options.get("allowOther").and_then(Value::as_bool) == Some(true) {
        return None;
    }
    let choices = options.get("choices")?.as_array().filter(|choices| !choices.is_empty())?;
    let pairs: Option<Vec<(&Value, &str)>> = choices
        .iter()
        .map(|choice| {
            Some((choice.get("value").filter(|value| !value.is_null())?, choice.get("text")?.as_str()?))
        })
        .collect();
    let pairs = pairs?;
    let label = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let is_plain = pairs.iter().all(|(value, text)| label(value) == **text);
    Some(match is_plain {
        true => Value::Array(pairs.iter().map(|(value, _)| (*value).clone()).collect()),
        false => Value::Object(pairs.iter().map(|(value, text)| (label(value), json!(text))).collect()),
    })
}
