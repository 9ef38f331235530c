//! Taking home what the database has: new files for unknown tables, small edits for the rest.
//!
//! Files keep their comments and order; where nothing differs no byte changes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::access::home::{Place, Wanted, differences};
use super::access::{self, Found, Source};
use super::adopt::Catalogue;
use super::apply::{ProjectFiles, broken};
use super::change::compare;
use super::files::Files;
use super::registry::Registry;
use super::write_back::Choices;
use super::{Project, adopt, files, write_back};
use crate::db::introspect::introspect;
use crate::db::steps;
use crate::error::{Error, Result};
use crate::schema::{
    Collection, DefaultValue, Field, Origin, Schema, SchemaStep, SourceFile, SourceMap, TableColumn,
};
use crate::yaml::{Diagnostic, Node, edit, emit, parse};

impl Project {
    /// Writes what the database has and the files do not: tables, columns, types, defaults and nullability that differ, what was
    /// said over the API about any of it since the files were applied, and rights. Gives one line per change.
    pub async fn pull(&self) -> Result<Vec<String>> {
        let (loaded, diagnostics) = self.load().await?;
        let loaded = loaded.ok_or_else(|| broken(&diagnostics))?;
        let structure = introspect(&self.database).await?;
        let registry = Registry::read(&self.database).await?;
        let version = loaded.schema.version;
        let adopted = adopt::merge(&loaded.schema, &structure, &registry, version);
        let applied = steps::applied_model(&self.database).await?.map(|(model, _)| model);
        let before = applied.as_ref().and_then(|applied| applied.get("access"));
        let found = Found::read(&mut Source::Database(&self.database), &loaded.access, before).await?;
        let made = loaded.access.made_of(before);
        let applied = applied.as_ref().map(Registry::from_json);
        let diff = compare(&loaded.schema, &structure, self.built_in(), self.database.dialect(), false);
        let now = Catalogue { structure, registry };
        let (folder, built_in) = (self.folder.clone(), self.built_in_shared());
        let work = move || {
            let mut writer = Writer::new(&folder)?;
            writer.take_tables(&adopted, &now.registry);
            writer.take_columns(&loaded.schema, &adopted, &loaded.sources, &now.registry)?;
            for step in &diff.steps {
                if let SchemaStep::ChangeColumn { table, from, .. } = step {
                    writer.take_change(&adopted, &loaded.sources, table, from, &now.registry)?;
                }
            }
            writer.take_rights(&loaded, &adopted, &found, &Wanted::All { made: &made })?;
            if let Some(applied) = applied {
                writer.take_rows(&built_in, (&loaded.schema, &loaded.sources), applied, &now)?;
            }
            writer.write()
        };
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
    }
}

impl Project {
    /// Writes what somebody changed in roles, policies and permissions since the files were applied last, and gives one line per
    /// change. A project without `_access.yaml` does not keep access in files, and is left alone.
    ///
    /// Fails with an internal error where a file cannot be written.
    pub async fn write_back_access(&self) -> Result<Vec<String>> {
        let _changing = self.changing.lock().await;
        let Some(applied) = self.applied().clone() else { return Ok(Vec::new()) };
        if !self.folder.join(access::FILE_NAME).is_file() {
            return Ok(Vec::new());
        }
        let (Some(files), _) = self.load().await? else { return Ok(Vec::new()) };
        let found = Found::read(&mut Source::Database(&self.database), &applied, None).await?;
        let folder = self.folder.clone();
        let schema = self.store().schema();
        let work = move || {
            let mut writer = Writer::new(&folder)?;
            writer.take_rights(&files, &schema, &found, &Wanted::Since(&applied))?;
            writer.write()
        };
        // What is still in front of the files' last application stays so: whoever watches takes over the new files at once.
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
    }
}

/// Texts as they will be, before any of them is written.
pub(super) struct Writer {
    folder: PathBuf,
    /// By path as findings name it.
    texts: BTreeMap<String, String>,
    changed: BTreeMap<String, Vec<String>>,
    /// What stood in files before they were changed; nothing in those that are new.
    former: BTreeMap<String, Option<String>>,
}

impl Writer {
    pub(super) fn new(folder: &Path) -> Result<Self> {
        let read = files::read(folder).map_err(Error::internal)?;
        Ok(Writer::on(folder, read))
    }

    /// The same with files that were read before.
    pub(super) fn on(folder: &Path, read: Files) -> Self {
        let text = |file: SourceFile| Some((file.path, String::from_utf8(file.text).ok()?));
        let texts = read.collections.into_iter().chain(read.access).filter_map(text).collect();
        Writer { folder: folder.to_owned(), texts, changed: BTreeMap::new(), former: BTreeMap::new() }
    }

    /// The files as they will be.
    pub(super) fn files(&self) -> Files {
        let access = format!("{}/{}", self.root(), access::FILE_NAME);
        let file =
            |path: &String, text: &String| SourceFile { path: path.clone(), text: text.clone().into() };
        Files {
            collections: self
                .texts
                .iter()
                .filter(|(path, _)| **path != access)
                .map(|(path, text)| file(path, text))
                .collect(),
            access: self.texts.get(&access).map(|text| file(&access, text)),
        }
    }

    /// Something is to be written.
    pub(super) fn is_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Removes a file.
    pub(super) fn remove_file(&mut self, file: &str) {
        self.former.entry(file.to_owned()).or_insert_with(|| self.texts.get(file).cloned());
        self.texts.remove(file);
        self.note(file, format!("{file}: removed"));
    }

    /// The folder as findings name it.
    pub(super) fn root(&self) -> String {
        let name = self.folder.file_name();
        name.map_or_else(|| "collections".into(), |name| name.to_string_lossy().into_owned())
    }

    pub(super) fn text(&self, file: &str) -> Option<&str> {
        self.texts.get(file).map(String::as_str)
    }

    pub(super) fn change(&mut self, file: &str, text: String, what: String) {
        self.former.entry(file.to_owned()).or_insert_with(|| self.texts.get(file).cloned());
        self.texts.insert(file.to_owned(), text);
        self.note(file, what);
    }

    /// What rows of roles, policies and permissions say. A right that names what is not there stays in the database only, where it
    /// allows nothing.
    pub(super) fn take_rights(
        &mut self,
        files: &ProjectFiles,
        adopted: &Schema,
        found: &Found,
        wanted: &Wanted<'_>,
    ) -> Result<()> {
        let root = self.root();
        let has_file = |name: &str| files.sources.collection(name).is_some();
        let mut edits = differences(&files.access, found, wanted, has_file);
        edits.retain(|edit| {
            let (collection, right) = match (&edit.place, edit.path.as_slice(), &edit.value) {
                (Place::Collection(name), _, Some(value)) => (name, value),
                (Place::Access, [_, _, what, name, _], Some(value)) if what == "collections" => (name, value),
                _ => return true,
            };
            let is_known = files.schema.find(collection).is_some()
                || self
                    .texts
                    .keys()
                    .any(|file| file.starts_with(&root) && file.ends_with(&format!("/{collection}.yaml")));
            is_known && (right.is_boolean() || access::fits(adopted, collection, right))
        });
        self.take_access(edits, &files.sources)
    }

    fn note(&mut self, file: &str, what: String) {
        self.changed.entry(file.to_owned()).or_default().push(what);
    }

    /// One file for each table that no file declares. Names that the format does not take stay in the database only.
    fn take_tables(&mut self, adopted: &Schema, registry: &Registry) {
        let root = self.root();
        for (_, collection) in adopted.collections().filter(|(_, c)| c.origin == Origin::Database) {
            let mut file = write_back::collection(adopted, collection, registry, Choices::Rules);
            if !is_writable(collection, &file) {
                continue;
            }
            let group = collection.group.as_deref().filter(|group| is_name(group));
            if group.is_none()
                && let Some(group) = &collection.group
            {
                file.insert("group".to_owned(), json!(group));
            }
            let folder = group.map_or_else(String::new, |group| format!("/{group}"));
            let path = format!("{root}{folder}/{}.yaml", collection.name);
            if !self.texts.contains_key(&path) {
                self.texts.insert(path.clone(), emit::document(&Value::Object(file)));
                self.note(&path, format!("{path}: new, {} fields", collection.fields().count()));
            }
        }
    }

    fn take_columns(
        &mut self,
        declared: &Schema,
        adopted: &Schema,
        sources: &SourceMap,
        registry: &Registry,
    ) -> Result<()> {
        let is_declared = |origin| matches!(origin, Origin::Yaml | Origin::System);
        for (_, collection) in adopted.collections().filter(|(_, c)| is_declared(c.origin)) {
            let Some(known) = declared.get(&collection.name) else { continue };
            for (id, field) in collection.fields().filter(|(_, field)| known.find(&field.name).is_none()) {
                let Some(value) = write_back::field(adopted, collection, id, field, registry, Choices::Rules)
                else {
                    continue;
                };
                if is_name(&field.name) {
                    self.add_field(sources, &collection.name, &field.name, &value)?;
                }
            }
        }
        Ok(())
    }

    fn add_field(&mut self, sources: &SourceMap, collection: &str, field: &str, value: &Value) -> Result<()> {
        let file = sources.collection(collection).map(|at| at.file.to_string());
        // What is added to a collection of the system stands in a file that does nothing else.
        let file = file.or_else(|| self.addition(collection));
        let file = file.unwrap_or_else(|| format!("{}/{collection}.yaml", self.root()));
        let edited = match self.texts.get(&file) {
            Some(text) if has_fields(&file, text) => edit::insert(&file, text, &["fields"], field, value),
            Some(text) => edit::insert(&file, text, &[], "fields", &json!({ field: value })),
            None => Ok(emit::document(&json!({ "collection": collection, "fields": { field: value } }))),
        };
        let edited = edited.map_err(unwritable)?;
        self.texts.insert(file.clone(), edited);
        self.note(&file, format!("{file}: {collection}.{field} added"));
        Ok(())
    }

    /// The texts that are to be written, and what undoes it.
    pub(super) fn undoing(&self) -> Undo {
        Undo { folder: self.folder.clone(), former: self.former.clone() }
    }

    /// The file that adds fields to a collection of the system.
    pub(super) fn addition(&self, collection: &str) -> Option<String> {
        let named = |(file, text): &(&String, &String)| {
            let (root, _) = parse(file, text.as_bytes());
            let name = root.as_ref().and_then(|root| root.get("collection")).and_then(Node::as_text);
            name == Some(collection)
        };
        let files = self.texts.iter().filter(|(_, text)| text.contains(collection));
        files.filter(named).map(|(file, _)| file.clone()).next()
    }

    /// Writes a column as the database has it. A short form is replaced, of a long one only the keys that differ.
    fn take_change(
        &mut self,
        adopted: &Schema,
        sources: &SourceMap,
        table: &str,
        actual: &TableColumn,
        registry: &Registry,
    ) -> Result<()> {
        let place = sources.field(table, &actual.name);
        let Some(file) = place.map(|at| at.file.to_string()) else { return Ok(()) };
        let Some(text) = self.texts.get(&file).cloned() else { return Ok(()) };
        let Some(collection) = adopted.get(table) else { return Ok(()) };
        let Some(id) = collection.find(&actual.name) else { return Ok(()) };
        let field = as_found(collection, collection.field(id), actual);
        let value = write_back::field(adopted, collection, id, &field, registry, Choices::Rules);
        let Some(value) = value else { return Ok(()) };
        let (root, _) = parse(&file, text.as_bytes());
        let there =
            root.as_ref().and_then(|root| root.get("fields")).and_then(|fields| fields.get(&actual.name));
        let Some(there) = there.map(|node| node.to_json()) else { return Ok(()) };
        let path = ["fields", actual.name.as_str()];
        let edited = match (&there, &value) {
            (Value::Object(old), _) => {
                let long = match &value {
                    Value::Object(map) => map.clone(),
                    short => as_long(short),
                };
                let mut text = text.clone();
                for key in ["type", "required", "default"] {
                    let at = [path[0], path[1], key];
                    text = match (old.get(key), long.get(key)) {
                        (old, new) if old == new => text,
                        (Some(_), Some(new)) => edit::set(&file, &text, &at, new).map_err(unwritable)?,
                        (None, Some(new)) => {
                            edit::insert(&file, &text, &path, key, new).map_err(unwritable)?
                        }
                        (Some(_), None) => edit::remove(&file, &text, &at).map_err(unwritable)?,
                        (None, None) => text,
                    };
                }
                text
            }
            (old, new) if *old == *new => text.clone(),
            (_, new) => edit::set(&file, &text, &path, new).map_err(unwritable)?,
        };
        if edited != text {
            self.texts.insert(file.clone(), edited);
            self.note(&file, format!("{file}: {table}.{} changed", actual.name));
        }
        Ok(())
    }

    pub(super) fn write(self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for (file, notes) in self.changed {
            let inside = file.split_once('/').map_or(file.as_str(), |(_, inside)| inside);
            let path = self.folder.join(inside);
            let written = match self.texts.get(&file) {
                Some(text) => replace(&path, text),
                None => fs::remove_file(&path),
            };
            written.map_err(|error| {
                Error::internal(anyhow::Error::from(error).context(format!("{file} cannot be written")))
            })?;
            lines.extend(notes);
        }
        Ok(lines)
    }
}

/// Files as they were before a change that did not come about.
pub(super) struct Undo {
    folder: PathBuf,
    former: BTreeMap<String, Option<String>>,
}

impl Undo {
    /// Puts them back.
    pub(super) fn run(self) {
        for (file, text) in self.former {
            let inside = file.split_once('/').map_or(file.as_str(), |(_, inside)| inside);
            let path = self.folder.join(inside);
            let done = match text {
                Some(text) => replace(&path, &text),
                None => fs::remove_file(&path),
            };
            if let Err(error) = done {
                tracing::error!(file, %error, "a change was not made, and its file could not be put back");
            }
        }
    }
}

fn has_fields(file: &str, text: &str) -> bool {
    parse(file, text.as_bytes()).0.is_some_and(|root| root.get("fields").is_some())
}

/// Whether the format has words for a table with this file: names that it takes, and a key.
pub(super) fn is_writable(collection: &Collection, file: &serde_json::Map<String, Value>) -> bool {
    let key = collection.key().map(|id| &*collection.field(id).name);
    let has_key = key.is_some_and(|key| file.get("fields").is_some_and(|fields| fields.get(key).is_some()));
    has_key && is_name(&collection.name) && collection.fields().all(|(_, field)| is_name(&field.name))
}

/// Puts a file in the place of another in one stroke, so that nobody reads half of it.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    // Begins with a dot, so that it is not read as a collection meanwhile.
    let draft = folder.join(format!(".{name}.{}", std::process::id()));
    fs::write(&draft, text)?;
    fs::rename(&draft, path)
}

/// The declared field with the column that the database has.
fn as_found(collection: &Collection, declared: &Field, actual: &TableColumn) -> Field {
    let mut field = declared.clone();
    if let Some(column) = &mut field.column {
        column.column_type.clone_from(&actual.column_type);
        column.nullable = actual.nullable;
        if matches!(actual.default, Some(DefaultValue::Value(_)) | None)
            && !matches!(column.default, Some(DefaultValue::Now | DefaultValue::Uuid))
        {
            column.default.clone_from(&actual.default);
        }
    }
    if collection.key().map(|id| &collection.field(id).name) == Some(&field.name)
        && let Some(column) = &mut field.column
    {
        column.default = None;
    }
    field
}

/// `string(32)!` as the map that says the same.
pub(super) fn as_long(short: &Value) -> serde_json::Map<String, Value> {
    let mut map = serde_json::Map::new();
    if let Some(text) = short.as_str() {
        map.insert("type".to_owned(), json!(text.trim_end_matches('!')));
        if text.ends_with('!') {
            map.insert("required".to_owned(), Value::Bool(true));
        }
    }
    map
}

pub(super) fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|other| other.is_ascii_alphanumeric() || other == '_')
        && name.len() <= 63
}

pub(super) fn unwritable(diagnostic: Diagnostic) -> Error {
    Error::UnprocessableContent { reason: format!("The files cannot be changed: {diagnostic}") }
}
