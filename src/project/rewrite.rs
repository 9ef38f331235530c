//! A change of the database as the smallest change of the files that says the same.
//!
//! [`Writer::rewrite`] renders the database before and after the change in the words of the format, and carries over what differs
//! between the two: what the change did not touch is not touched in the files either, however they say it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::adopt::{self, Catalogue};
use super::pull::{Writer, as_long, is_name, is_writable, unwritable};
use super::registry::Registry;
use super::write_back::{self, Choices};
use crate::error::Result;
use crate::schema::keys::FORMS;
use crate::schema::{Collection, Origin, Schema, SourceMap};
use crate::yaml::{Node, Yaml, edit, emit, parse};

type Members = Map<String, Value>;

/// One collection in the words of the format.
#[derive(Default)]
struct Described {
    /// Everything but its fields.
    head: Members,
    fields: Members,
}

impl Writer {
    /// Writes what differs between two states of the database into the files of `declared`, wherever they speak of it; a collection
    /// that is new gets a file, that of one that is gone is removed.
    pub(super) fn rewrite(
        &mut self,
        built_in: &Schema,
        declared: (&Schema, &SourceMap),
        before: &Catalogue,
        after: &Catalogue,
    ) -> Result<()> {
        let old = adopt::merge(built_in, &before.structure, &before.registry, 0);
        let new = adopt::merge(built_in, &after.structure, &after.registry, 0);
        let (schema, sources) = declared;
        let file_of = |name: &str| {
            schema.get(name).filter(|known| known.origin == Origin::Yaml)?;
            sources.collection(name).map(|at| at.file.to_string())
        };
        for (_, collection) in old.collections().filter(|(_, known)| !known.is_system()) {
            if new.get(&collection.name).is_none()
                && let Some(file) = file_of(&collection.name)
            {
                self.remove_file(&file);
            }
        }
        for (_, collection) in new.collections() {
            let own = built_in.get(&collection.name);
            let now = describe(&new, collection, after, own);
            let then = old.get(&collection.name).map(|known| describe(&old, known, before, own));
            match (collection.is_system(), file_of(&collection.name), then) {
                (false, None, None) if schema.get(&collection.name).is_none() => {
                    self.add_collection(collection, now, after);
                }
                (false, Some(file), Some(then)) => {
                    self.patch_head(&file, &then.head, &now.head)?;
                    self.patch_fields(&file, &collection.name, &then.fields, &now.fields)?;
                }
                (true, _, Some(then)) => {
                    let file = self.addition(&collection.name);
                    match file {
                        Some(file) => {
                            self.patch_fields(&file, &collection.name, &then.fields, &now.fields)?;
                        }
                        None => self.add_to_system(&collection.name, &then.fields, &now.fields),
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes what somebody said over the API about collections, fields and relations since these files were applied, while nobody
    /// could write it into them. `applied` are the rows that they made then.
    pub(super) fn take_rows(
        &mut self,
        built_in: &Schema,
        declared: (&Schema, &SourceMap),
        applied: Registry,
        now: &Catalogue,
    ) -> Result<()> {
        let (schema, sources) = declared;
        let mut before = Catalogue { structure: now.structure.clone(), registry: applied };
        let is_declared =
            |place: &[String]| schema.get(&place[0]).is_some_and(|known| known.find(&place[1]).is_some());
        // What no file knows yet is taken home by itself; how it is shown is not.
        for (place, row) in now.registry.fields.iter().filter(|(place, _)| !is_declared(place)) {
            let mut row = row.clone();
            row.retain(|name, _| !write_back::PRESENTATION.contains(&name.as_str()));
            before.registry.fields.insert(place.clone(), row);
        }
        self.rewrite(built_in, declared, &before, now)?;
        // Only a request takes away both a row and what it is about.
        let is_gone = |table: &str, column: Option<&str>| {
            now.structure
                .table(table)
                .is_none_or(|found| column.is_some_and(|name| found.column(name).is_none()))
        };
        let Registry { collections, fields, .. } = &before.registry;
        let file_of = |name: &str| sources.collection(name).map(|at| at.file.to_string());
        for place in collections.keys().filter(|place| !now.registry.collections.contains_key(*place)) {
            if is_gone(&place[0], None)
                && let Some(file) = file_of(&place[0])
            {
                self.remove_file(&file);
            }
        }
        for place in fields.keys().filter(|place| !now.registry.fields.contains_key(*place)) {
            if is_gone(&place[0], Some(&place[1]))
                && let Some(file) = file_of(&place[0]).or_else(|| self.addition(&place[0]))
            {
                self.take_out(&file, &["fields", &place[1]])?;
            }
        }
        Ok(())
    }

    fn add_collection(&mut self, collection: &Collection, described: Described, after: &Catalogue) {
        let Described { mut head, fields } = described;
        let sort = |name: &str| {
            let place = vec![collection.name.to_string(), name.to_owned()];
            let row = after.registry.fields.get(&place);
            row.and_then(|row| row.get("sort")).and_then(Value::as_i64).unwrap_or(i64::MAX)
        };
        let mut ordered: Vec<(String, Value)> = fields.into_iter().collect();
        ordered.sort_by_key(|(name, _)| sort(name));
        let mut file: Members = Map::new();
        file.insert("collection".to_owned(), json!(collection.name));
        let group = head.shift_remove("group");
        let group = group.as_ref().and_then(Value::as_str);
        if let Some(group) = group.filter(|group| !is_name(group)) {
            file.insert("group".to_owned(), json!(group));
        }
        let behind = ["indexes", "ui"];
        file.extend(
            head.iter()
                .filter(|(key, _)| !behind.contains(&key.as_str()))
                .map(|(k, v)| (k.clone(), v.clone())),
        );
        file.insert("fields".to_owned(), Value::Object(ordered.into_iter().collect()));
        file.extend(head.into_iter().filter(|(key, _)| behind.contains(&key.as_str())));
        if !is_writable(collection, &file) {
            return;
        }
        let folder =
            group.filter(|group| is_name(group)).map_or_else(String::new, |group| format!("/{group}"));
        let path = format!("{}{folder}/{}.yaml", self.root(), collection.name);
        if self.text(&path).is_none() {
            let count = collection.fields().count();
            self.change(&path, emit::document(&Value::Object(file)), format!("{path}: new, {count} fields"));
        }
    }

    fn add_to_system(&mut self, collection: &str, then: &Members, now: &Members) {
        let new: Members = now
            .iter()
            .filter(|(name, _)| !then.contains_key(*name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if !new.is_empty() {
            let path = format!("{}/{collection}.yaml", self.root());
            let text = emit::document(&json!({ "collection": collection, "fields": new }));
            self.change(&path, text, format!("{path}: new, {} fields", new.len()));
        }
    }

    fn patch_head(&mut self, file: &str, then: &Members, now: &Members) -> Result<()> {
        self.patch(file, &[], then, now)?;
        // A file belongs to the group that its folder is called, unless it says otherwise.
        let folder = file.rsplit('/').nth(1).filter(|_| file.matches('/').count() > 1);
        let was = then.get("group").and_then(Value::as_str);
        if was.is_some() && !now.contains_key("group") && folder == was {
            self.put(file, &["group"], &Value::Null)?;
        }
        Ok(())
    }

    /// Carries over what differs between two maps.
    fn patch(&mut self, file: &str, path: &[&str], then: &Members, now: &Members) -> Result<()> {
        let keys: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
        for key in keys {
            let mut place = path.to_vec();
            place.push(key);
            match (then.get(key), now.get(key)) {
                (old, new) if old == new => {}
                (Some(Value::Object(old)), Some(Value::Object(new))) if self.is_map(file, &place) => {
                    self.patch(file, &place, old, new)?;
                }
                (_, Some(new)) => self.put(file, &place, new)?,
                (_, None) => self.take_out(file, &place)?,
            }
        }
        Ok(())
    }

    fn patch_fields(&mut self, file: &str, collection: &str, then: &Members, now: &Members) -> Result<()> {
        let names: Vec<&String> =
            now.keys().chain(then.keys().filter(|name| !now.contains_key(*name))).collect();
        for name in names {
            let place = ["fields", name.as_str()];
            match (then.get(name), now.get(name)) {
                (old, new) if old == new => {}
                (_, None) => self.take_out(file, &place)?,
                (old, Some(new)) if self.is_map(file, &place) => {
                    let long = |value: &Value| match value {
                        Value::Object(map) => map.clone(),
                        short => as_long(short),
                    };
                    self.patch_field(file, &place, &old.map(long).unwrap_or_default(), &long(new))?;
                }
                (_, Some(new)) => {
                    self.put(file, &place, new)?;
                    tracing::debug!(collection, field = name, "a field is written into its file");
                }
            }
        }
        Ok(())
    }

    /// A field that stands there in long form keeps what the change did not touch.
    fn patch_field(&mut self, file: &str, place: &[&str; 2], then: &Members, now: &Members) -> Result<()> {
        let is_form = |key: &str| FORMS.iter().any(|form| form.key.name == key);
        let form =
            |map: &Members| map.iter().find(|(key, _)| is_form(key)).map(|(k, v)| (k.clone(), v.clone()));
        let (old, new) = (form(then), form(now));
        if old != new {
            if let Some((key, value)) = &new {
                self.put(file, &[place[0], place[1], key], value)?;
            }
            for other in FORMS.iter().map(|form| form.key.name) {
                if new.as_ref().is_some_and(|(key, _)| key != other) {
                    self.take_out(file, &[place[0], place[1], other])?;
                }
            }
        }
        let rest = |map: &Members| -> Members {
            map.iter().filter(|(key, _)| !is_form(key)).map(|(k, v)| (k.clone(), v.clone())).collect()
        };
        self.patch(file, place, &rest(then), &rest(now))
    }

    fn is_map(&self, file: &str, path: &[&str]) -> bool {
        self.look(file, path, |node| node.as_map().is_some()).unwrap_or(false)
    }

    fn look<T>(&self, file: &str, path: &[&str], what: impl Fn(&Node) -> T) -> Option<T> {
        let (root, _) = parse(file, self.text(file)?.as_bytes());
        let root = root?;
        path.iter().try_fold(&root, |node, step| node.get(step)).map(what)
    }

    /// Makes this stand at a path, with all that has to stand around it.
    fn put(&mut self, file: &str, path: &[&str], value: &Value) -> Result<()> {
        let Some(text) = self.text(file).map(str::to_owned) else { return Ok(()) };
        if let Some(there) = self.look(file, path, Node::to_json) {
            if there != *value {
                let edited = edit::set(file, &text, path, value).map_err(unwritable)?;
                self.change(file, edited, format!("{file}: {} set", path.join(".")));
            }
            return Ok(());
        }
        let takes = |length: &usize| {
            let takes = |node: &Node| matches!(node.value, Yaml::Map(_) | Yaml::Null);
            self.look(file, &path[..*length], takes).unwrap_or(false)
        };
        let Some(length) = (0..path.len()).rev().find(takes) else { return Ok(()) };
        let (there, missing) = path.split_at(length);
        let [first, rest @ ..] = missing else { return Ok(()) };
        let nested = rest.iter().rev().fold(value.clone(), |value, key| json!({ *key: value }));
        let edited = edit::insert(file, &text, there, first, &nested).map_err(unwritable)?;
        self.change(file, edited, format!("{file}: {} added", path.join(".")));
        Ok(())
    }

    fn take_out(&mut self, file: &str, path: &[&str]) -> Result<()> {
        let Some(text) = self.text(file).map(str::to_owned) else { return Ok(()) };
        if self.look(file, path, |_| ()).is_some() {
            let edited = edit::remove(file, &text, path).map_err(unwritable)?;
            self.change(file, edited, format!("{file}: {} removed", path.join(".")));
        }
        Ok(())
    }
}

fn describe(
    schema: &Schema,
    collection: &Collection,
    catalogue: &Catalogue,
    own: Option<&Collection>,
) -> Described {
    let registry = &catalogue.registry;
    let mut head = write_back::collection(schema, collection, registry, Choices::Options);
    head.shift_remove("collection");
    let fields = match head.shift_remove("fields") {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    if let Some(own) = own {
        // Of a collection of the system only what is added to it is ours to describe.
        let added = fields.into_iter().filter(|(name, _)| own.find(name).is_none()).collect();
        return Described { head: Map::new(), fields: added };
    }
    if let Some(group) = &collection.group {
        head.insert("group".to_owned(), json!(group));
    }
    let shown: Members = collection
        .fields()
        .map(|(_, field)| (field.name.to_string(), write_back::presentation(collection, field, registry)))
        .filter(|(_, ui)| !ui.is_empty())
        .map(|(name, ui)| (name, Value::Object(ui)))
        .collect();
    if !shown.is_empty() {
        let ui = head.entry("ui").or_insert_with(|| json!({}));
        if let Value::Object(ui) = ui {
            ui.insert("fields".to_owned(), Value::Object(shown));
        }
    }
    Described { head, fields }
}
