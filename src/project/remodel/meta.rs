//! What payloads say about collections, fields and relations, as rows of the registry.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::registry::{ALL_COLLECTIONS, ALL_FIELDS, ALL_RELATIONS, Entry};
use super::super::sheet::Sheet;
use crate::access::Accountability;
use crate::error::{Error, Result};
use crate::filter::{self, Limits, Missing};
use crate::schema::ColumnType;

/// How large the rules of a field may be; like those of permissions.
const LIMITS: Limits = Limits { max_depth: 20, max_conditions: 2000 };

/// A new row about a collection.
pub fn new_collection(name: &str) -> Entry {
    let row = json!({
        "collection": name,
        "hidden": false,
        "singleton": false,
        "archive_app_filter": true,
        "accountability": "all",
        "collapse": "open",
        "versioning": false,
    });
    entry(row)
}

/// A new row about a field.
pub fn new_field(collection: &str, field: &str, sort: i64) -> Entry {
    let row = json!({
        "collection": collection,
        "field": field,
        "readonly": false,
        "hidden": false,
        "sort": sort,
        "width": "full",
        "required": false,
        "searchable": true,
    });
    entry(row)
}

/// A new row about a relation.
pub fn new_relation(collection: &str, field: &str, related: Option<&str>) -> Entry {
    entry(json!({
        "many_collection": collection,
        "many_field": field,
        "one_collection": related,
        "one_deselect_action": "nullify",
    }))
}

fn entry(row: Value) -> Entry {
    match row {
        Value::Object(entry) => entry,
        _ => Entry::new(),
    }
}

/// Takes over what `meta` says about a collection.
pub fn put_collection(entry: &mut Entry, meta: &Map<String, Value>) -> Result<()> {
    put(&ALL_COLLECTIONS, entry, meta, &["collection"])?;
    one_of(entry, "collapse", &["open", "closed", "locked"])?;
    one_of(entry, "accountability", &["all", "activity"])
}

/// Takes over what `meta` says about a field.
pub fn put_field(entry: &mut Entry, meta: &Map<String, Value>) -> Result<()> {
    put(&ALL_FIELDS, entry, meta, &["id", "collection", "field"])?;
    if let Some(rule) = entry.get("validation").filter(|rule| !rule.is_null()) {
        if !rule.is_object() {
            return Err(Error::payload("\"meta.validation\" must be a filter."));
        }
        // Whether it can be held against an item is seen by doing so.
        let nobody = Accountability::default();
        let read = filter::parse(rule, "meta.validation", LIMITS).and_then(|rule| {
            let variables = nobody.variables(Timestamp::UNIX_EPOCH);
            filter::evaluate(&rule, &Map::new(), &variables, Missing::Null)
        });
        read.map_err(|error| Error::payload(format_args!("\"meta.validation\": {error}")))?;
    }
    Ok(())
}

/// Takes over what `meta` says about a relation.
pub fn put_relation(entry: &mut Entry, meta: &Map<String, Value>) -> Result<()> {
    put(&ALL_RELATIONS, entry, meta, &["id", "many_collection", "many_field", "one_collection"])?;
    one_of(entry, "one_deselect_action", &["nullify", "delete"])
}

fn one_of(entry: &Entry, name: &str, words: &[&str]) -> Result<()> {
    match entry.get(name).and_then(Value::as_str) {
        Some(word) if !words.contains(&word) => {
            Err(Error::payload(format_args!("\"meta.{name}\" must be one of {}.", words.join(", "))))
        }
        _ => Ok(()),
    }
}

/// Known columns of a row, each held against its type. What nobody knows is dropped.
fn put(sheet: &Sheet, entry: &mut Entry, meta: &Map<String, Value>, fixed: &[&str]) -> Result<()> {
    let usual = match sheet.table {
        "directus_collections" => new_collection(""),
        "directus_fields" => new_field("", "", 0),
        _ => new_relation("", "", None),
    };
    for (name, kind) in sheet.columns.iter().filter(|(name, _)| !fixed.contains(name)) {
        let Some(value) = meta.get(*name) else { continue };
        let wrong = |what: &str| Err(Error::payload(format_args!("\"meta.{name}\" must be {what}.")));
        let value = match (kind, value) {
            // No column that has a usual value takes null, except those where null says something.
            (_, Value::Null) if *name != "accountability" && *name != "sort" => {
                usual.get(*name).cloned().unwrap_or_default()
            }
            (_, Value::Null) => Value::Null,
            (ColumnType::Boolean, value) if !value.is_boolean() => return wrong("true or false"),
            (ColumnType::Integer, value) => {
                match value.as_i64().and_then(|number| i32::try_from(number).ok()) {
                    Some(number) => json!(number),
                    None => return wrong("a whole number"),
                }
            }
            (_, value) if matches!(*name, "special" | "one_allowed_collections") => match words(value) {
                Some(words) if words.is_empty() => Value::Null,
                Some(words) => json!(words.join(",")),
                None => return wrong("a list of texts"),
            },
            (ColumnType::String { length }, Value::String(text)) => {
                if text.chars().count() > *length as usize {
                    return wrong(&format!("at most {length} characters long"));
                }
                value.clone()
            }
            (ColumnType::String { .. } | ColumnType::Text, value) if !value.is_string() => {
                return wrong("a text");
            }
            (_, value) => value.clone(),
        };
        if value.as_str().is_some_and(|text| text.contains('\0')) {
            return wrong("a text without NUL");
        }
        entry.insert((*name).to_owned(), value);
    }
    Ok(())
}

/// A list of texts without commas, or one text with them.
fn words(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => {
            Some(text.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect())
        }
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().filter(|word| !word.contains([',', '\0'])).map(str::to_owned))
            .collect(),
        _ => None,
    }
}
