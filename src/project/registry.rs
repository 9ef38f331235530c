//! `directus_collections`, `directus_fields` and `directus_relations`: the model as other tools read it from the database.
//!
//! [`Registry::of`] derives the rows, [`sync`] writes those that differ. What somebody else wrote into a row and no file says
//! stays; only rows that we made for something that no file declares any more are removed.

mod rows;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::sheet::{Sheet, string};
use crate::db::{Database, Transaction};
use crate::error::Result;
use crate::filter::Scalar;
use crate::schema::{ColumnType, DatabaseStructure, Schema};
use crate::sql::rows::{Cell, delete, insert, select, update};

pub use super::sheet::Entry;

/// The rows of the three tables, by their keys.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Registry {
    /// By collection.
    pub collections: BTreeMap<Vec<String>, Entry>,
    /// By collection and field.
    pub fields: BTreeMap<Vec<String>, Entry>,
    /// By the collection and field on the many side.
    pub relations: BTreeMap<Vec<String>, Entry>,
}

/// The tables with all their columns, in the order in which they are answered.
pub(super) const ALL_COLLECTIONS: Sheet = Sheet {
    table: "directus_collections",
    keys: &["collection"],
    columns: &[
        ("collection", string(64)),
        ("icon", string(64)),
        ("note", ColumnType::Text),
        ("display_template", string(255)),
        ("hidden", ColumnType::Boolean),
        ("singleton", ColumnType::Boolean),
        ("translations", ColumnType::Json),
        ("archive_field", string(64)),
        ("archive_app_filter", ColumnType::Boolean),
        ("archive_value", string(255)),
        ("unarchive_value", string(255)),
        ("sort_field", string(64)),
        ("accountability", string(255)),
        ("color", string(255)),
        ("item_duplication_fields", ColumnType::Json),
        ("sort", ColumnType::Integer),
        ("group", string(64)),
        ("collapse", string(255)),
        ("preview_url", string(255)),
        ("versioning", ColumnType::Boolean),
    ],
};

/// See [`ALL_COLLECTIONS`].
pub(super) const ALL_FIELDS: Sheet = Sheet {
    table: "directus_fields",
    keys: &["collection", "field"],
    columns: &[
        ("id", ColumnType::Integer),
        ("collection", string(64)),
        ("field", string(64)),
        ("special", ColumnType::Text),
        ("interface", string(64)),
        ("options", ColumnType::Json),
        ("display", string(64)),
        ("display_options", ColumnType::Json),
        ("readonly", ColumnType::Boolean),
        ("hidden", ColumnType::Boolean),
        ("sort", ColumnType::Integer),
        ("width", string(30)),
        ("translations", ColumnType::Json),
        ("note", ColumnType::Text),
        ("conditions", ColumnType::Json),
        ("required", ColumnType::Boolean),
        ("group", string(64)),
        ("validation", ColumnType::Json),
        ("validation_message", ColumnType::Text),
        ("searchable", ColumnType::Boolean),
    ],
};

/// See [`ALL_COLLECTIONS`].
pub(super) const ALL_RELATIONS: Sheet = Sheet {
    table: "directus_relations",
    keys: &["many_collection", "many_field"],
    columns: &[
        ("id", ColumnType::Integer),
        ("many_collection", string(64)),
        ("many_field", string(64)),
        ("one_collection", string(64)),
        ("one_field", string(64)),
        ("one_collection_field", string(64)),
        ("one_allowed_collections", ColumnType::Text),
        ("junction_field", string(64)),
        ("sort_field", string(64)),
        ("one_deselect_action", string(255)),
    ],
};

/// What files speak of: all but the numbers of rows.
const FIELDS: Sheet = without_number(&ALL_FIELDS);
/// See [`FIELDS`].
const RELATIONS: Sheet = without_number(&ALL_RELATIONS);

const fn without_number(sheet: &Sheet) -> Sheet {
    let columns = match sheet.columns {
        [(_, ColumnType::Integer), rest @ ..] => rest,
        all => all,
    };
    Sheet { table: sheet.table, keys: sheet.keys, columns }
}

impl Registry {
    /// The rows that say what this model says. What `built_in` declares is known to every tool and has none.
    pub fn of(schema: &Schema, built_in: &Schema) -> Self {
        rows::registry(schema, built_in)
    }

    /// As one JSON value, for remembering and comparing.
    pub fn to_json(&self) -> Value {
        let list = |entries: &BTreeMap<Vec<String>, Entry>| -> Vec<Value> {
            entries.values().cloned().map(Value::Object).collect()
        };
        json!({
            "collections": list(&self.collections),
            "fields": list(&self.fields),
            "relations": list(&self.relations),
        })
    }

    /// The rows that were remembered as such a value.
    pub fn from_json(remembered: &Value) -> Self {
        let mut registry = Registry::default();
        for (sheet, entries) in registry.all_sheets() {
            let rows = remembered.get(sheet.table.trim_start_matches("directus_")).and_then(Value::as_array);
            let rows = rows.into_iter().flatten().filter_map(Value::as_object);
            *entries = rows.map(|entry| (sheet.key_of(entry), entry.clone())).collect();
        }
        registry
    }

    /// What would stand there for the system's own collections, which every tool knows.
    pub fn of_system(built_in: &Schema) -> Self {
        rows::system(built_in)
    }

    /// Reads the rows that the database has, with all their columns.
    pub async fn read(database: &Database) -> Result<Self> {
        let dialect = database.dialect();
        let mut registry = Registry::default();
        for (sheet, entries) in registry.all_sheets() {
            let found = database.rows(&select(dialect, sheet.table, sheet.columns, &[])).await?;
            *entries = found.iter().map(|row| sheet.entry(row)).collect();
        }
        Ok(registry)
    }

    /// The same inside of a transaction.
    pub async fn read_in(transaction: &mut Transaction) -> Result<Self> {
        let dialect = transaction.dialect();
        let mut registry = Registry::default();
        for (sheet, entries) in registry.all_sheets() {
            let found = transaction.rows(&select(dialect, sheet.table, sheet.columns, &[])).await?;
            *entries = found.iter().map(|row| sheet.entry(row)).collect();
        }
        Ok(registry)
    }

    /// Writes what differs from the rows that were read before.
    pub async fn save(&mut self, transaction: &mut Transaction, before: &mut Registry) -> Result<()> {
        let dialect = transaction.dialect();
        for ((sheet, wanted), (_, found)) in self.all_sheets().into_iter().zip(before.all_sheets()) {
            for (key, entry) in parents_first(wanted, found) {
                match found.get(key) {
                    None => {
                        let cells = sheet.cells(entry);
                        transaction.execute(&insert(dialect, sheet.table, &cells)).await?;
                    }
                    Some(old) => {
                        let changed = sheet.changes(old, entry, |_| true);
                        if !changed.is_empty() {
                            let statement = update(dialect, sheet.table, &changed, &sheet.key_cells(key));
                            transaction.execute(&statement).await?;
                        }
                    }
                }
            }
            for key in found.keys().filter(|key| !wanted.contains_key(*key)) {
                if sheet.table == ALL_COLLECTIONS.table {
                    empty_collection(transaction, &key[0]).await?;
                }
                transaction.execute(&delete(dialect, sheet.table, &sheet.key_cells(key))).await?;
            }
        }
        Ok(())
    }

    fn all_sheets(&mut self) -> [(&'static Sheet, &mut BTreeMap<Vec<String>, Entry>); 3] {
        [
            (&ALL_COLLECTIONS, &mut self.collections),
            (&ALL_FIELDS, &mut self.fields),
            (&ALL_RELATIONS, &mut self.relations),
        ]
    }

    fn sheets(&mut self) -> [(&'static Sheet, &mut BTreeMap<Vec<String>, Entry>); 3] {
        [
            (&ALL_COLLECTIONS, &mut self.collections),
            (&FIELDS, &mut self.fields),
            (&RELATIONS, &mut self.relations),
        ]
    }
}

/// Collections and fields, by their names, that were known before and are gone.
#[derive(Debug, Default)]
pub struct Gone {
    pub collections: Vec<String>,
    pub fields: Vec<(String, String)>,
}

/// Brings the rows in line with `wanted`. `before` is what was remembered of the last time, `structure` what the database has now.
/// Gives what was removed.
pub async fn sync(
    transaction: &mut Transaction,
    mut wanted: Registry,
    before: Option<&Value>,
    structure: &DatabaseStructure,
) -> Result<Gone> {
    let dialect = transaction.dialect();
    let mut gone = Gone::default();
    for (sheet, entries) in wanted.sheets() {
        let found = transaction.rows(&select(dialect, sheet.table, sheet.columns, &[])).await?;
        let found: BTreeMap<Vec<String>, Entry> = found.iter().map(|row| sheet.entry(row)).collect();
        let name = sheet.table.trim_start_matches("directus_");
        let made = before.and_then(|before| before.get(name)).and_then(Value::as_array);
        let made: BTreeMap<Vec<String>, &Entry> = made
            .into_iter()
            .flatten()
            .filter_map(Value::as_object)
            .map(|entry| (sheet.key_of(entry), entry))
            .collect();
        let is_gone = |key: &&Vec<String>| !entries.contains_key(*key) && !is_stored(key, structure);
        for key in made.keys().filter(|key| found.contains_key(*key)).filter(is_gone) {
            if sheet.table == ALL_COLLECTIONS.table {
                empty_collection(transaction, &key[0]).await?;
                gone.collections.push(key[0].clone());
            } else if sheet.table == FIELDS.table {
                gone.fields.push((key[0].clone(), key[1].clone()));
            }
            transaction.execute(&delete(dialect, sheet.table, &sheet.key_cells(key))).await?;
        }
        let mut new = Vec::new();
        for (key, entry) in parents_first(entries, &found) {
            match found.get(key) {
                None => new.push(sheet.insertion(dialect, entry)),
                Some(old) => {
                    // What somebody said over the API stays until the files say something new about it.
                    let base = made.get(key);
                    let said = |name: &str| {
                        base.and_then(|base| base.get(name)).is_some_and(|value| !value.is_null())
                    };
                    let is_new = |name: &str| base.is_none_or(|base| base.get(name) != entry.get(name));
                    let mut news = old.clone();
                    for (name, _) in sheet.columns.iter().filter(|(name, _)| is_new(name)) {
                        news.insert((*name).to_owned(), entry.get(*name).cloned().unwrap_or_default());
                    }
                    let changed = sheet.changes(old, &news, said);
                    if !changed.is_empty() {
                        let statement = update(dialect, sheet.table, &changed, &sheet.key_cells(key));
                        transaction.execute(&statement).await?;
                    }
                }
            }
        }
        // All insertions have the same text.
        if let Some(first) = new.first().cloned() {
            let lists: Vec<_> = new.into_iter().map(|statement| statement.params).collect();
            transaction.execute_each(&first, &lists).await?;
        }
    }
    Ok(gone)
}

/// The table, or the column, is in the database although no file declares it: what is known about it stays.
fn is_stored(key: &[String], structure: &DatabaseStructure) -> bool {
    let table = key.first().and_then(|name| structure.table(name));
    match key.get(1) {
        None => table.is_some(),
        Some(column) => table.is_some_and(|table| table.column(column).is_some()),
    }
}

/// Removes what refers to a collection that is gone, and takes others out of a folder that is.
pub(super) async fn empty_collection(transaction: &mut Transaction, name: &str) -> Result<()> {
    let dialect = transaction.dialect();
    let cell = |column: &'static str| Cell::new(column, string(64), Scalar::Text(name.into()));
    for table in ["directus_comments", "directus_versions", "directus_shares"] {
        transaction.execute(&delete(dialect, table, &[cell("collection")])).await?;
    }
    let nothing = Cell::new("group", string(64), Scalar::Null);
    transaction
        .execute(&update(dialect, ALL_COLLECTIONS.table, &[nothing], &[cell("group")]))
        .await
        .map(|_| ())
}

/// Rows in an order in which each comes behind the one that its `group` refers to.
fn parents_first<'a>(
    entries: &'a BTreeMap<Vec<String>, Entry>,
    found: &BTreeMap<Vec<String>, Entry>,
) -> Vec<(&'a Vec<String>, &'a Entry)> {
    let mut known: BTreeSet<&str> = found.keys().map(|key| key[0].as_str()).collect();
    let mut waiting: Vec<(&Vec<String>, &Entry)> = entries.iter().collect();
    let mut ordered = Vec::with_capacity(waiting.len());
    loop {
        let is_ready = |(_, entry): &(&Vec<String>, &Entry)| {
            entry.get("group").and_then(Value::as_str).is_none_or(|group| known.contains(group))
        };
        let (ready, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_ready);
        if ready.is_empty() {
            // Groups in a circle, which loading refuses; the database would say so.
            ordered.extend(rest);
            return ordered;
        }
        known.extend(ready.iter().map(|(key, _)| key[0].as_str()));
        ordered.extend(ready);
        waiting = rest;
    }
}
