//! A database that was served by somebody else: what of it is understood, and what is not.
//!
//! Start at [`Project::adoption`], which only looks. The one thing that is changed here, and only when asked, are static tokens
//! that stand in the clear.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt as _;

use super::Project;
use super::adopt;
use super::apply::broken;
use super::registry::Registry;
use super::sheet::string;
use crate::db::Row;
use crate::db::introspect::introspect;
use crate::error::Result;
use crate::filter::Scalar;
use crate::items::hashing;
use crate::schema::{ColumnType, FieldKind, Origin, Schema};
use crate::sql::rows::{Cell, select, update};

/// Words of `special` that say something to us, or only to forms.
const SPECIALS: &[&str] = &[
    "alias",
    "boolean",
    "cast-boolean",
    "cast-csv",
    "cast-datetime",
    "cast-json",
    "cast-timestamp",
    "conceal",
    "csv",
    "date-created",
    "date-updated",
    "file",
    "files",
    "group",
    "hash",
    "json",
    "m2a",
    "m2m",
    "m2o",
    "no-data",
    "o2m",
    "role-created",
    "role-updated",
    "translations",
    "user-created",
    "user-updated",
    "uuid",
];
const ACTIONS: &[&str] = &["create", "read", "update", "delete", "share"];

/// What was found.
#[derive(Debug, Default)]
pub struct Adoption {
    /// What is served.
    pub served: Vec<String>,
    /// What is not understood, or not as one might expect.
    pub notes: Vec<String>,
}

impl Project {
    /// Looks at a database as it is served and tells what of it is not understood. Nothing is changed.
    pub async fn adoption(&self) -> Result<Adoption> {
        let (loaded, diagnostics) = self.load().await?;
        let loaded = loaded.ok_or_else(|| broken(&diagnostics))?;
        let structure = introspect(&self.database).await?;
        let registry = Registry::read(&self.database).await?;
        let model = adopt::merge(&loaded.schema, &structure, &registry, loaded.schema.version);
        let mut adoption = Adoption::default();
        adoption.look_at_tables(&model);
        adoption.look_at_registry(&model, &registry);
        for (table, columns) in READ {
            let rows = self.database.rows(&select(self.database.dialect(), table, columns, &[])).await?;
            match *table {
                "directus_users" => adoption.look_at_users(&rows),
                "directus_permissions" => adoption.look_at_permissions(&model, &rows),
                "directus_flows" => adoption.look_at_flows(&rows),
                "directus_extensions" => adoption.look_at_extensions(&rows),
                _ => {}
            }
        }
        Ok(adoption)
    }

    /// Puts hashes in the place of static tokens that stand in the clear, so that whoever reads the database cannot use them. The
    /// server that made them would not know them any more. Gives how many there were.
    pub async fn hash_tokens(&self) -> Result<usize> {
        let changed = self.database.transaction(|tx| {
            async move {
                let dialect = tx.dialect();
                let columns = [("id", ColumnType::Uuid), ("token", string(255))];
                let rows = tx.rows(&select(dialect, "directus_users", &columns, &[])).await?;
                let mut changed = 0;
                for row in &rows {
                    let (Some(id), Some(token)) = (row.values.first(), row.text(1)) else { continue };
                    if hashing::is_token_hash(token) {
                        continue;
                    }
                    let hash = Scalar::Text(hashing::token_hash(token).into());
                    let cells = [Cell::new("token", string(255), hash)];
                    let user = [Cell::new("id", ColumnType::Uuid, id.clone())];
                    tx.execute(&update(dialect, "directus_users", &cells, &user)).await?;
                    changed += 1;
                }
                Ok(changed)
            }
            .boxed()
        });
        Ok(changed.await?.into_inner())
    }
}

/// Tables of the system that are looked at, with their columns.
const READ: &[(&str, &[(&str, ColumnType)])] = &[
    ("directus_users", &[("provider", string(128)), ("password", string(255)), ("token", string(255))]),
    ("directus_permissions", &[("collection", string(64)), ("action", string(10))]),
    ("directus_flows", &[("status", string(255))]),
    ("directus_extensions", &[("folder", string(255))]),
];

impl Adoption {
    fn look_at_tables(&mut self, model: &Schema) {
        let found = model.collections().filter(|(_, collection)| collection.origin == Origin::Database);
        let mut count = 0;
        for (_, collection) in found {
            count += 1;
            let name = &collection.name;
            let keys: Vec<&str> =
                collection.primary_key.iter().map(|key| &*collection.field(*key).name).collect();
            match keys.as_slice() {
                [_] => {}
                [] => {
                    self.note(format_args!("{name} has no primary key: it is listed, and nothing is written"))
                }
                several => self.note(format_args!(
                    "{name} has a primary key of several columns ({}): it is listed, and nothing is written",
                    several.join(", ")
                )),
            }
            for (_, field) in collection.fields() {
                if let Some(ColumnType::Unknown { sql_type }) =
                    field.column.as_ref().map(|column| &column.column_type)
                {
                    let what = format!("{name}.{} is of the type {sql_type}", field.name);
                    self.note(format_args!("{what}: it is read as text, and not written"));
                }
            }
        }
        self.served.push(format!("{count} tables and views that no file declares"));
    }

    fn look_at_registry(&mut self, model: &Schema, registry: &Registry) {
        let text = |entry: &super::registry::Entry, name: &str| {
            entry.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
        };
        for entry in registry.fields.values() {
            let (collection, field) = (text(entry, "collection"), text(entry, "field"));
            let Some(found) = model.get(&collection) else { continue };
            let special = text(entry, "special");
            let words: Vec<&str> =
                special.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
            for word in words.iter().filter(|word| !SPECIALS.contains(word)) {
                self.note(format_args!("{collection}.{field}: the special \"{word}\" means nothing here"));
            }
            let is_for_forms = words.iter().any(|word| ["no-data", "group"].contains(word));
            let is_relation =
                words.iter().any(|word| ["o2m", "m2m", "m2a", "files", "translations"].contains(word));
            if found.find(&field).is_none() && is_relation && !is_for_forms {
                self.note(format_args!("{collection}.{field}: the other end of this relation was not found"));
            }
        }
        for entry in registry.relations.values() {
            let (many, field) = (text(entry, "many_collection"), text(entry, "many_field"));
            let Some(found) = model.get(&many).filter(|found| found.origin == Origin::Database) else {
                continue;
            };
            let is_known = found.find(&field).is_some_and(|id| found.field(id).kind != FieldKind::Plain);
            if !is_known {
                let one = text(entry, "one_collection");
                let what = format!("the relation {many}.{field} to {one} has no foreign key");
                self.note(format_args!("{what}: the field is a plain value"));
            }
        }
    }

    fn look_at_users(&mut self, rows: &[Row]) {
        let mut providers: BTreeMap<String, usize> = BTreeMap::new();
        let (mut clear, mut foreign) = (0, 0);
        for row in rows {
            if let Some(provider) = row.text(0).filter(|provider| &***provider != "default") {
                *providers.entry(provider.to_string()).or_default() += 1;
            }
            foreign += usize::from(row.text(1).is_some_and(|password| !hashing::is_hash(password)));
            clear += usize::from(row.text(2).is_some_and(|token| !hashing::is_token_hash(token)));
        }
        self.served.push(format!("{} users, who sign in as before", rows.len()));
        for (provider, count) in providers {
            self.note(format_args!("{count} user(s) sign in through \"{provider}\", see AUTH_PROVIDERS"));
        }
        if foreign > 0 {
            self.note(format_args!(
                "{foreign} password(s) are kept in a form that is not known: ask for new ones"
            ));
        }
        if clear > 0 {
            self.note(format_args!(
                "{clear} static token(s) stand in the clear: they work, and `tablature adopt --hash-tokens` hashes them"
            ));
        }
    }

    fn look_at_permissions(&mut self, model: &Schema, rows: &[Row]) {
        let mut unknown: BTreeSet<String> = BTreeSet::new();
        for row in rows {
            let (collection, action) = (text(row, 0), text(row, 1));
            if model.find(collection).is_none() {
                unknown
                    .insert(format!("permissions name {collection}, which is not there: they allow nothing"));
            } else if !ACTIONS.contains(&action) {
                unknown.insert(format!("permissions name the action {action}, which means nothing here"));
            }
        }
        self.served.push(format!("{} permissions", rows.len()));
        self.notes.extend(unknown);
    }

    fn look_at_flows(&mut self, rows: &[Row]) {
        let active = rows.iter().filter(|row| text(row, 0) == "active").count();
        self.served.push(format!("{} flows, as data", rows.len()));
        if active > 0 {
            self.note(format_args!("{active} flow(s) are active: they are kept, and not run"));
        }
    }

    fn look_at_extensions(&mut self, rows: &[Row]) {
        if !rows.is_empty() {
            let names: Vec<&str> = rows.iter().map(|row| text(row, 0)).collect();
            self.note(format_args!("extensions are kept as data, and not loaded: {}", names.join(", ")));
        }
    }

    fn note(&mut self, note: std::fmt::Arguments<'_>) {
        self.notes.push(note.to_string());
    }
}

fn text(row: &Row, column: usize) -> &str {
    row.text(column).map_or("", |text| text)
}
