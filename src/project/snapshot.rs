//! The whole model as one document, what differs between two of them, and the edits that remove the difference.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::catalogue::{Shown, System};
use super::{Catalogue, Edit};
use crate::error::{Error, Result};
use crate::sql::Dialect;
use crate::yaml::{emit, parse};

/// The release of the public API whose documents these are.
pub const RELEASE: &str = "12.4.0";

/// Most entries of a document.
const MOST_ENTRIES: usize = 20_000;

/// A model as one document.
pub struct Snapshot {
    vendor: &'static str,
    /// By collection.
    collections: BTreeMap<Vec<String>, Value>,
    /// By collection and field, in their order.
    fields: Vec<(Vec<String>, Value)>,
    /// By collection and field.
    relations: BTreeMap<Vec<String>, Value>,
}

impl Snapshot {
    /// The model as it is; what every database has is left out.
    pub fn of(system: &System, catalogue: &Catalogue, dialect: Dialect) -> Self {
        let is_own = |shown: &Shown| shown.value["meta"]["system"] != Value::Bool(true);
        let own = |shown: Vec<Shown>| shown.into_iter().filter(is_own).collect::<Vec<_>>();
        let place = |shown: &Shown| vec![shown.collection.clone(), shown.field.clone()];
        let collections = own(system.collections(catalogue))
            .into_iter()
            .map(|shown| (vec![shown.collection.clone()], tidy(shown.value)));
        let fields = own(system.all_fields(catalogue)).into_iter();
        // What a system table has and nobody made a field has no row.
        let fields = fields.filter(|shown| !system.has(&shown.collection) || !shown.value["meta"].is_null());
        let relations = own(system.relations(catalogue)).into_iter();
        Snapshot {
            vendor: vendor(dialect),
            collections: collections.collect(),
            fields: fields.map(|shown| (place(&shown), tidy(shown.value))).collect(),
            relations: relations.map(|shown| (place(&shown), tidy(shown.value))).collect(),
        }
    }

    /// The document.
    pub fn to_json(&self) -> Value {
        let list = |entries: &BTreeMap<Vec<String>, Value>| entries.values().cloned().collect::<Value>();
        json!({
            "version": 1,
            "directus": RELEASE,
            "vendor": self.vendor,
            "collections": list(&self.collections),
            "fields": self.fields.iter().map(|(_, field)| field.clone()).collect::<Value>(),
            "systemFields": [],
            "relations": list(&self.relations),
        })
    }

    /// The document as YAML.
    pub fn to_yaml(&self) -> String {
        emit::document(&self.to_json())
    }

    /// Differs when the model does.
    pub fn hash(&self) -> String {
        let digest = Sha256::digest(self.to_json().to_string().as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads a document that somebody sends. With `force`, one of another database or release is taken.
    pub fn read(document: &Value, dialect: Dialect, force: bool) -> Result<Self> {
        let wrong = |reason: String| Err(Error::InvalidPayload { reason });
        if document.get("version") != Some(&json!(1)) {
            return wrong("\"version\" must be 1.".to_owned());
        }
        let word = |name: &str| document.get(name).and_then(Value::as_str);
        let (Some(release), Some(vendor)) = (word("directus"), word("vendor")) else {
            return wrong("\"directus\" and \"vendor\" must be texts.".to_owned());
        };
        if !VENDORS.contains(&vendor) {
            return wrong("\"vendor\" names no database.".to_owned());
        }
        if !force && (release != RELEASE || vendor != self::vendor(dialect)) {
            return wrong(
                "the document is of another release or database; it is taken nevertheless with \"force\"."
                    .to_owned(),
            );
        }
        let list = |name: &str| -> Result<Vec<Map<String, Value>>> {
            let items = match document.get(name) {
                Some(Value::Array(items)) if items.len() <= MOST_ENTRIES => items,
                _ => return Err(Error::payload(format_args!("\"{name}\" must be a list."))),
            };
            let maps: Option<Vec<_>> = items.iter().map(|item| item.as_object().cloned()).collect();
            maps.ok_or_else(|| Error::payload(format_args!("\"{name}\" must hold objects.")))
        };
        let key = |map: &Map<String, Value>, names: &[&str]| -> Result<Vec<String>> {
            names
                .iter()
                .map(|name| match map.get(*name).and_then(Value::as_str) {
                    Some(text) if !text.is_empty() => Ok(text.to_owned()),
                    _ => Err(Error::payload(format_args!("\"{name}\" is required."))),
                })
                .collect()
        };
        let place = ["collection", "field"];
        let mut snapshot = Snapshot {
            vendor: self::vendor(dialect),
            collections: BTreeMap::new(),
            fields: Vec::new(),
            relations: BTreeMap::new(),
        };
        for map in list("collections")? {
            snapshot.collections.insert(key(&map, &place[..1])?, tidy(Value::Object(map)));
        }
        for map in list("fields")? {
            snapshot.fields.push((key(&map, &place)?, tidy(Value::Object(map))));
        }
        for map in list("relations")? {
            snapshot.relations.insert(key(&map, &place)?, tidy(Value::Object(map)));
        }
        Ok(snapshot)
    }

    /// What has to change in this model so that it becomes the other one; null when nothing has.
    pub fn difference(&self, wanted: &Snapshot) -> Value {
        let map = |fields: &[(Vec<String>, Value)]| fields.iter().cloned().collect::<BTreeMap<_, _>>();
        let keys = |map: &BTreeMap<Vec<String>, Value>| map.keys().cloned().collect::<Vec<_>>();
        let collections = compare(&self.collections, &wanted.collections, &keys(&wanted.collections));
        // Columns are made in the order in which they are told.
        let order: Vec<Vec<String>> = wanted.fields.iter().map(|(key, _)| key.clone()).collect();
        let fields = compare(&map(&self.fields), &map(&wanted.fields), &order);
        let relations = compare(&self.relations, &wanted.relations, &keys(&wanted.relations));
        if collections.is_empty() && fields.is_empty() && relations.is_empty() {
            return Value::Null;
        }
        json!({ "collections": collections, "fields": fields, "systemFields": [], "relations": relations })
    }

    /// The edits that carry out a difference.
    ///
    /// Fails with `InvalidPayload` for what is no difference.
    pub fn edits(&self, difference: &Value) -> Result<Vec<Edit>> {
        let own_fields: BTreeMap<Vec<String>, Value> = self.fields.iter().cloned().collect();
        let collections = changes(difference, "collections", &["collection"], &self.collections)?;
        let fields = changes(difference, "fields", &["collection", "field"], &own_fields)?;
        let relations = changes(difference, "relations", &["collection", "field"], &self.relations)?;
        let gone_collections: BTreeSet<&String> =
            collections.iter().filter(|(_, change)| change.is_gone()).map(|(key, _)| &key[0]).collect();
        let is_gone = |key: &[String]| {
            gone_collections.contains(&key[0])
                || fields.iter().any(|(field, change)| field == key && change.is_gone())
        };
        let mut edits = Vec::new();
        for (key, _) in relations.iter().filter(|(key, change)| change.is_gone() && !is_gone(key)) {
            edits.push(Edit::DeleteRelation(key[0].clone(), key[1].clone()));
        }
        for (key, change) in &fields {
            if change.is_gone() && !gone_collections.contains(&key[0]) {
                edits.push(Edit::DeleteField(key[0].clone(), key[1].clone()));
            }
        }
        edits.extend(gone_collections.iter().map(|name| Edit::DeleteCollection((*name).clone())));
        let mut new: Vec<(&String, Map<String, Value>)> = Vec::new();
        for (key, change) in &collections {
            match change {
                Change::New(value) => {
                    let mut payload = value.clone();
                    let own = fields.iter().filter(|(field, _)| field[0] == key[0]);
                    let own = own.filter_map(|(_, change)| match change {
                        Change::New(field) => Some(Value::Object(field.clone())),
                        _ => None,
                    });
                    payload.insert("fields".to_owned(), own.collect());
                    new.push((&key[0], payload));
                }
                Change::Changed(value) => edits.push(Edit::UpdateCollection(key[0].clone(), value.clone())),
                Change::Gone => {}
            }
        }
        let new_names: BTreeSet<String> = new.iter().map(|(name, _)| (*name).clone()).collect();
        edits.extend(groups_first(new).into_iter().map(Edit::CreateCollection));
        for (key, change) in &fields {
            match change {
                Change::New(value) if !new_names.contains(&key[0]) => {
                    edits.push(Edit::CreateField(key[0].clone(), value.clone()));
                }
                Change::Changed(value) => {
                    edits.push(Edit::UpdateField(key[0].clone(), key[1].clone(), value.clone()));
                }
                Change::New(_) | Change::Gone => {}
            }
        }
        for (key, change) in relations {
            match change {
                Change::New(value) => edits.push(Edit::CreateRelation(value)),
                Change::Changed(value) => {
                    edits.push(Edit::UpdateRelation(key[0].clone(), key[1].clone(), value));
                }
                Change::Gone => {}
            }
        }
        Ok(edits)
    }
}

const VENDORS: &[&str] = &["postgres", "mysql", "sqlite", "cockroachdb", "mssql", "oracle", "redshift"];

fn vendor(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "sqlite",
        Dialect::Postgres => "postgres",
        Dialect::Mysql => "mysql",
    }
}

/// Reads a document of YAML.
pub fn read_yaml(text: &[u8]) -> Result<Value> {
    let (root, findings) = parse("body", text);
    match (root, findings.into_iter().find(|finding| finding.is_error())) {
        (_, Some(finding)) => Err(Error::payload(finding)),
        (Some(root), None) => Ok(root.to_json()),
        (None, None) => Ok(Value::Null),
    }
}

/// Without what is of one database only: row numbers, names of constraints.
fn tidy(mut value: Value) -> Value {
    if let Some(meta) = value.get_mut("meta").and_then(Value::as_object_mut) {
        meta.shift_remove("id");
        meta.shift_remove("system");
    }
    if let Some(schema) = value.get_mut("schema").and_then(Value::as_object_mut) {
        for name in ["comment", "constraint_name", "sql", "schema", "foreign_key_schema"] {
            schema.shift_remove(name);
        }
        if schema.get("data_type").is_some_and(|data_type| data_type == "bytea") {
            // The type has no name of its own in answers.
            value["type"] = json!("binary");
        }
    }
    value
}

enum Change {
    New(Map<String, Value>),
    Changed(Map<String, Value>),
    Gone,
}

impl Change {
    fn is_gone(&self) -> bool {
        matches!(self, Change::Gone)
    }
}

fn compare(
    now: &BTreeMap<Vec<String>, Value>,
    wanted: &BTreeMap<Vec<String>, Value>,
    order: &[Vec<String>],
) -> Vec<Value> {
    let gone = now.keys().filter(|key| !wanted.contains_key(*key));
    let mut all = Vec::new();
    for key in order.iter().chain(gone) {
        let diff = match (now.get(key), wanted.get(key)) {
            (None, Some(new)) => vec![json!({ "kind": "N", "rhs": new })],
            (Some(old), None) => vec![json!({ "kind": "D", "lhs": old })],
            (Some(old), Some(new)) => {
                let mut list = Vec::new();
                differences(old, new, &mut Vec::new(), &mut list);
                list
            }
            (None, None) => Vec::new(),
        };
        if diff.is_empty() {
            continue;
        }
        let mut entry = Map::new();
        entry.insert("collection".to_owned(), json!(key[0]));
        if let Some(field) = key.get(1) {
            entry.insert("field".to_owned(), json!(field));
        }
        let related =
            wanted.get(key).or_else(|| now.get(key)).and_then(|value| value.get("related_collection"));
        entry.extend(related.map(|related| ("related_collection".to_owned(), related.clone())));
        entry.insert("diff".to_owned(), Value::Array(diff));
        all.push(Value::Object(entry));
    }
    all
}

/// What differs between two values, member by member.
fn differences(old: &Value, new: &Value, path: &mut Vec<String>, list: &mut Vec<Value>) {
    if old == new {
        return;
    }
    let (Value::Object(left), Value::Object(right)) = (old, new) else {
        list.push(json!({ "kind": "E", "path": path, "lhs": old, "rhs": new }));
        return;
    };
    let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    for key in keys {
        path.push(key.clone());
        match (left.get(key), right.get(key)) {
            (Some(old), Some(new)) => differences(old, new, path, list),
            // What a shorter document does not speak of stays.
            (Some(_), None) if path.len() == 2 || path.len() == 1 => {}
            (Some(old), None) => list.push(json!({ "kind": "D", "path": path, "lhs": old })),
            (None, Some(new)) => list.push(json!({ "kind": "N", "path": path, "rhs": new })),
            (None, None) => {}
        }
        path.pop();
    }
}

/// The changes of one part of a difference, with what each thing is to be.
fn changes(
    difference: &Value,
    part: &str,
    names: &[&str],
    now: &BTreeMap<Vec<String>, Value>,
) -> Result<Vec<(Vec<String>, Change)>> {
    let wrong = || Error::payload(format_args!("\"diff.{part}\" cannot be read."));
    let entries = match difference.get(part) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(entries)) if entries.len() <= MOST_ENTRIES => entries,
        Some(_) => return Err(wrong()),
    };
    let mut all = Vec::new();
    for entry in entries {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
        let key: Vec<String> =
            names.iter().map(|name| text(name)).collect::<Option<_>>().ok_or_else(wrong)?;
        let list = entry.get("diff").and_then(Value::as_array).ok_or_else(wrong)?;
        let whole = list.iter().find(|change| change.get("path").is_none_or(Value::is_null));
        let change = match (whole, now.get(&key)) {
            (Some(change), known) => match (change.get("kind").and_then(Value::as_str), known) {
                (Some("N"), _) => {
                    Change::New(change.get("rhs").and_then(Value::as_object).cloned().ok_or_else(wrong)?)
                }
                (Some("D"), _) => Change::Gone,
                _ => return Err(wrong()),
            },
            (None, Some(known)) => {
                let mut value = known.clone();
                for change in list {
                    carry_out(&mut value, change).ok_or_else(wrong)?;
                }
                Change::Changed(value.as_object().cloned().ok_or_else(wrong)?)
            }
            (None, None) => return Err(wrong()),
        };
        all.push((key, change));
    }
    Ok(all)
}

/// Carries out one change of a value; `None` where it makes no sense.
fn carry_out(value: &mut Value, change: &Value) -> Option<()> {
    let path: Vec<Value> = change.get("path")?.as_array()?.clone();
    let kind = change.get("kind")?.as_str()?;
    let (last, above) = path.split_last()?;
    let mut place = value;
    for key in above {
        place = match (place, key) {
            (Value::Object(map), Value::String(key)) => map.entry(key.as_str()).or_insert_with(|| json!({})),
            (Value::Array(items), Value::Number(number)) => {
                items.get_mut(usize::try_from(number.as_u64()?).ok()?)?
            }
            _ => return None,
        };
        if place.is_null() {
            *place = json!({});
        }
    }
    let rhs = || change.get("rhs").cloned().unwrap_or_default();
    match (kind, place, last) {
        ("N" | "E", Value::Object(map), Value::String(key)) => {
            map.insert(key.clone(), rhs());
        }
        ("D", Value::Object(map), Value::String(key)) if above.len() < 2 => {
            map.insert(key.clone(), Value::Null);
        }
        // Inside of a value that is JSON itself.
        ("D", Value::Object(map), Value::String(key)) => {
            map.shift_remove(key);
        }
        ("N" | "E", Value::Array(items), Value::Number(number)) => {
            *items.get_mut(usize::try_from(number.as_u64()?).ok()?)? = rhs();
        }
        ("A", Value::Object(map), Value::String(key)) => {
            let items = map.get_mut(key)?.as_array_mut()?;
            let index = usize::try_from(change.get("index")?.as_u64()?).ok()?;
            let item = change.get("item")?;
            match item.get("kind")?.as_str()? {
                "D" => items.truncate(index.min(items.len())),
                _ if index < items.len() => items[index] = item.get("rhs").cloned().unwrap_or_default(),
                _ => items.push(item.get("rhs").cloned().unwrap_or_default()),
            }
        }
        _ => return None,
    }
    Some(())
}

/// Collections in an order in which each comes behind the one that is its group.
fn groups_first(new: Vec<(&String, Map<String, Value>)>) -> Vec<Map<String, Value>> {
    let mut waiting = new;
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let names: BTreeSet<String> = waiting.iter().map(|(name, _)| (*name).clone()).collect();
        let group = |payload: &Map<String, Value>| {
            payload.get("meta").and_then(|meta| meta.get("group")).and_then(Value::as_str).map(str::to_owned)
        };
        let (ready, rest): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|(_, payload)| group(payload).is_none_or(|group| !names.contains(&group)));
        // Groups in a circle are refused by whoever makes them.
        let (ready, rest) = if ready.is_empty() { (rest, Vec::new()) } else { (ready, rest) };
        ordered.extend(ready.into_iter().map(|(_, payload)| payload));
        waiting = rest;
    }
    ordered
}
