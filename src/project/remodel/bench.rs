//! What edits mean for tables and registry rows. Nothing here touches the database.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::super::registry::{Entry, Registry};
use super::Edit;
use super::column::{self, shorten, type_name};
use super::meta;
use crate::error::{Error, Result};
use crate::schema::diff::{foreign_key_name, index_name, is_reserved};
use crate::schema::keys::is_name;
use crate::schema::{
    ColumnType, DatabaseStructure, DefaultValue, Fill, ForeignKey, OnDelete, Schema, SchemaStep, Table,
    TableColumn, TableIndex,
};
use crate::sql::Dialect;
use crate::sql::ddl::types::is_stored_alike;

/// What is to be done.
pub struct Work {
    pub steps: Vec<SchemaStep>,
    /// The rows as they are to be.
    pub registry: Registry,
    pub removed: Removed,
}

/// What will be gone, for those who speak of it.
#[derive(Debug, Default, Clone)]
pub struct Removed {
    pub collections: BTreeSet<String>,
    /// Collection and field.
    pub fields: BTreeSet<(String, String)>,
}

/// Tables and rows as they will be after the edits so far.
pub struct Bench<'a> {
    built_in: &'a Schema,
    dialect: Dialect,
    structure: DatabaseStructure,
    registry: Registry,
    steps: Vec<SchemaStep>,
    removed: Removed,
}

type Payload = Map<String, Value>;

fn key(collection: &str, field: &str) -> Vec<String> {
    vec![collection.to_owned(), field.to_owned()]
}

fn text_of<'a>(entry: &'a Entry, name: &str) -> Option<&'a str> {
    entry.get(name).and_then(Value::as_str)
}

impl<'a> Bench<'a> {
    pub fn new(
        built_in: &'a Schema,
        dialect: Dialect,
        structure: DatabaseStructure,
        registry: Registry,
    ) -> Self {
        let (steps, removed) = (Vec::new(), Removed::default());
        Bench { built_in, dialect, structure, registry, steps, removed }
    }

    pub fn finish(self) -> Work {
        Work { steps: self.steps, registry: self.registry, removed: self.removed }
    }

    pub fn edit(&mut self, edit: &Edit) -> Result<()> {
        match edit {
            Edit::CreateCollection(payload) => self.create_collection(payload),
            Edit::UpdateCollection(name, payload) => self.update_collection(name, payload),
            Edit::DeleteCollection(name) => self.delete_collection(name),
            Edit::CreateField(collection, payload) => self.create_field(collection, payload),
            Edit::UpdateField(collection, field, payload) => self.update_field(collection, field, payload),
            Edit::DeleteField(collection, field) => {
                self.check_own_field(collection, field)?;
                if self.structure.table(collection).is_some_and(|table| table.is_view) {
                    return Err(Error::payload("a view is changed in the database."));
                }
                if let Some(table) = self.structure.table(collection)
                    && table.primary_key.iter().any(|name| name == field)
                {
                    return Err(Error::payload("a primary key cannot be deleted."));
                }
                self.delete_field(collection, field);
                Ok(())
            }
            Edit::CreateRelation(payload) => self.create_relation(payload),
            Edit::UpdateRelation(collection, field, payload) => {
                self.update_relation(collection, field, payload)
            }
            Edit::DeleteRelation(collection, field) => self.delete_relation(collection, field),
        }
    }

    /// Whose a row is must stay known: without the field everybody would reach what belongs to one tenant.
    pub fn check_tenants(&self, schema: &Schema) -> Result<()> {
        for (_, collection) in schema.collections() {
            let Some(tenant) = collection.tenant.map(|id| collection.field(id).name.to_string()) else {
                continue;
            };
            let Some(table) = self.structure.table(&collection.name) else { continue };
            if !table.foreign_keys.iter().any(|key| key.columns == [tenant.clone()]) {
                return Err(Error::payload(format_args!(
                    "\"{}.{tenant}\" says to which tenant an item belongs.",
                    collection.name
                )));
            }
        }
        Ok(())
    }

    fn step(&mut self, step: SchemaStep) {
        self.structure.apply(&step);
        self.steps.push(step);
    }

    fn table(&self, name: &str) -> Option<&Table> {
        self.structure.table(name).filter(|_| !name.to_ascii_lowercase().starts_with("tablature_"))
    }

    /// What belongs to the system stays as it is.
    fn check_own_field(&self, collection: &str, field: &str) -> Result<()> {
        let is_built_in = self.built_in.get(collection).is_some_and(|own| own.find(field).is_some());
        if is_built_in || collection.to_ascii_lowercase().starts_with("tablature_") {
            return Err(Error::Forbidden);
        }
        Ok(())
    }

    // Collections

    fn create_collection(&mut self, payload: &Payload) -> Result<()> {
        let name = name_in(payload, "collection")?;
        if is_reserved(&name.to_ascii_lowercase()) {
            return Err(Error::payload("names that begin with \"directus_\" or \"tablature_\" are kept."));
        }
        let tables = self.structure.tables.keys();
        let rows = self.registry.collections.keys().map(|key| &key[0]);
        if tables.chain(rows).any(|known| known.eq_ignore_ascii_case(&name)) {
            return Err(Error::payload(format_args!("the collection \"{name}\" is there already.")));
        }
        let meta = object_in(payload, "meta")?;
        let schema = object_in(payload, "schema")?;
        if meta.is_none() && schema.is_none() {
            // Nothing would be made, so there is nothing to be seen.
            return Err(Error::Forbidden);
        }
        let fields = match payload.get("fields") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(fields)) => fields
                .iter()
                .map(|field| field.as_object().cloned())
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| Error::payload("\"fields\" must hold objects."))?,
            Some(_) => return Err(Error::payload("\"fields\" must be a list.")),
        };
        if let Some(meta) = &meta {
            let mut entry = meta::new_collection(&name);
            meta::put_collection(&mut entry, meta)?;
            self.check_group(&name, &entry)?;
            self.registry.collections.insert(vec![name.clone()], entry);
        }
        if let Some(schema) = schema {
            let note = schema.get("comment").filter(|note| note.is_string());
            if let (Some(note), Some(entry)) = (note, self.registry.collections.get_mut(&vec![name.clone()]))
                && entry.get("note").is_none_or(Value::is_null)
            {
                entry.insert("note".to_owned(), note.clone());
            }
            self.create_table(&name, fields)?;
        }
        Ok(())
    }

    fn create_table(&mut self, name: &str, mut fields: Vec<Payload>) -> Result<()> {
        let is_key = |field: &Payload| {
            field.get("schema").and_then(|schema| schema.get("is_primary_key")).and_then(Value::as_bool)
                == Some(true)
        };
        match fields.iter().filter(|field| is_key(field)).count() {
            0 => fields.insert(0, counted_key()),
            1 => {}
            _ => return Err(Error::payload("a collection has one primary key.")),
        }
        let mut table = Table { name: name.to_owned(), ..Table::default() };
        let mut seen: BTreeSet<String> = BTreeSet::new();
        for (position, payload) in fields.iter().enumerate() {
            let field = name_in(payload, "field")?;
            if !seen.insert(field.to_ascii_lowercase()) {
                return Err(Error::payload(format_args!("the field \"{field}\" stands there twice.")));
            }
            let Some(kind) = kind_of(payload)? else {
                return Err(Error::payload(format_args!("the field \"{field}\" needs a \"type\".")));
            };
            if kind != "alias" {
                let schema = object_in(payload, "schema")?.unwrap_or_default();
                let wanted = column::new_column(&field, &kind, &schema)?;
                if wanted.is_key {
                    table.primary_key = vec![field.clone()];
                }
                for (_, unique) in
                    [(wanted.unique, true), (wanted.indexed, false)].iter().filter(|(is, _)| *is)
                {
                    table.indexes.push(index_on(name, &field, *unique));
                }
                table.columns.push(wanted.column);
            }
            self.put_new_field(name, &field, &kind, payload, position as i64 + 1)?;
        }
        self.step(SchemaStep::CreateTable { table });
        Ok(())
    }

    fn update_collection(&mut self, name: &str, payload: &Payload) -> Result<()> {
        if is_reserved(&name.to_ascii_lowercase()) {
            return Err(Error::Forbidden);
        }
        let Some(meta) = object_in(payload, "meta")? else {
            let is_known =
                self.table(name).is_some() || self.registry.collections.contains_key(&vec![name.to_owned()]);
            return if is_known { Ok(()) } else { Err(Error::Forbidden) };
        };
        let known = self.registry.collections.get(&vec![name.to_owned()]).cloned();
        if known.is_none() && self.table(name).is_none() {
            check_name(name, "collection")?;
        }
        let mut entry = known.unwrap_or_else(|| meta::new_collection(name));
        meta::put_collection(&mut entry, &meta)?;
        self.check_group(name, &entry)?;
        self.registry.collections.insert(vec![name.to_owned()], entry);
        Ok(())
    }

    /// A group is another collection, and not one that stands below this one.
    fn check_group(&self, name: &str, entry: &Entry) -> Result<()> {
        let mut group = text_of(entry, "group").map(str::to_owned);
        let mut most = self.registry.collections.len() + 1;
        if let Some(group) = &group
            && !self.registry.collections.contains_key(&vec![group.clone()])
            && group != name
        {
            let group = shorten(group);
            return Err(Error::payload(format_args!("there is no collection \"{group}\" to be the group.")));
        }
        while let Some(above) = group {
            if above == name || most == 0 {
                return Err(Error::payload("a collection cannot stand in a group below itself."));
            }
            most -= 1;
            let row = self.registry.collections.get(&vec![above]);
            group = row.and_then(|row| text_of(row, "group")).map(str::to_owned);
        }
        Ok(())
    }

    fn delete_collection(&mut self, name: &str) -> Result<()> {
        if is_reserved(&name.to_ascii_lowercase()) {
            return Err(Error::Forbidden);
        }
        // What refers here goes first, with the fields that show it.
        let referring: Vec<(String, String)> = self
            .structure
            .tables
            .values()
            .filter(|table| table.name != name)
            .flat_map(|table| {
                table
                    .foreign_keys
                    .iter()
                    .filter(|key| key.target == name && key.columns.len() == 1)
                    .map(|key| (table.name.clone(), key.columns[0].clone()))
            })
            .chain(
                self.registry
                    .relations
                    .iter()
                    .filter(|(key, row)| text_of(row, "one_collection") == Some(name) && key[0] != name)
                    .map(|(key, _)| (key[0].clone(), key[1].clone())),
            )
            .collect();
        for (collection, field) in referring {
            let is_key = self.table(&collection).is_some_and(|table| table.primary_key.contains(&field));
            if is_key || self.check_own_field(&collection, &field).is_err() {
                self.drop_reference(&collection, &field);
            } else {
                self.delete_field(&collection, &field);
            }
        }
        for (collection, field) in self.aliases_onto(name) {
            self.delete_field(&collection, &field);
        }
        for row in self.registry.relations.values_mut() {
            let Some(allowed) = text_of(row, "one_allowed_collections") else { continue };
            let rest: Vec<&str> = allowed.split(',').filter(|allowed| *allowed != name).collect();
            let rest = if rest.is_empty() { Value::Null } else { json!(rest.join(",")) };
            row.insert("one_allowed_collections".to_owned(), rest);
        }
        self.registry.relations.retain(|key, _| key[0] != name);
        let fields: Vec<String> =
            self.registry.fields.keys().filter(|key| key[0] == name).map(|key| key[1].clone()).collect();
        self.registry.fields.retain(|key, _| key[0] != name);
        self.registry.collections.remove(&vec![name.to_owned()]);
        for row in self.registry.collections.values_mut() {
            if text_of(row, "group") == Some(name) {
                row.insert("group".to_owned(), Value::Null);
            }
        }
        let columns = self.table(name).map(|table| table.columns.clone()).unwrap_or_default();
        let names = columns.into_iter().map(|column| column.name).chain(fields);
        self.removed.fields.extend(names.map(|field| (name.to_owned(), field)));
        self.removed.collections.insert(name.to_owned());
        if let Some(table) = self.table(name) {
            if table.is_view {
                return Err(Error::payload("a view is dropped in the database."));
            }
            self.step(SchemaStep::DropTable { table: name.to_owned() });
        }
        Ok(())
    }

    /// Fields of other collections that show the items of this one.
    fn aliases_onto(&self, name: &str) -> Vec<(String, String)> {
        let rows = self.registry.relations.iter().filter(|(key, _)| key[0] == name);
        let places = rows.filter_map(|(_, row)| {
            Some((text_of(row, "one_collection")?.to_owned(), text_of(row, "one_field")?.to_owned()))
        });
        places.filter(|(collection, _)| collection != name).collect()
    }

    // Fields

    fn create_field(&mut self, collection: &str, payload: &Payload) -> Result<()> {
        let Some(table) = self.table(collection).filter(|table| !table.is_view) else {
            return Err(Error::Forbidden);
        };
        let field = name_in(payload, "field")?;
        let mut columns = table.columns.iter().map(|column| column.name.as_str());
        let mut rows = self.registry.fields.keys().filter(|key| key[0] == collection);
        let is_there = columns.any(|known| known.eq_ignore_ascii_case(&field))
            || rows.any(|key| key[1].eq_ignore_ascii_case(&field))
            || self.built_in.get(collection).is_some_and(|own| own.find(&field).is_some());
        if is_there {
            return Err(Error::payload(format_args!("\"{collection}\" has a field \"{field}\" already.")));
        }
        // Without a type nothing is made, as the public API has it.
        let Some(kind) = kind_of(payload)? else { return Ok(()) };
        if kind != "alias" {
            let schema = object_in(payload, "schema")?.unwrap_or_default();
            let wanted = column::new_column(&field, &kind, &schema)?;
            if wanted.is_key {
                return Err(Error::payload(format_args!("\"{collection}\" has a primary key already.")));
            }
            let is_filled =
                !wanted.column.nullable && matches!(wanted.column.default, Some(DefaultValue::Value(_)));
            let fill = if is_filled { Fill::Default } else { Fill::Nothing };
            self.step(SchemaStep::AddColumn { table: collection.to_owned(), column: wanted.column, fill });
            for (_, unique) in [(wanted.unique, true), (wanted.indexed, false)].iter().filter(|(is, _)| *is) {
                self.add_index(collection, &field, *unique);
            }
        }
        let group = payload.get("meta").and_then(|meta| meta.get("group")).and_then(Value::as_str);
        let siblings = self
            .registry
            .fields
            .iter()
            .filter(|(key, row)| key[0] == collection && text_of(row, "group") == group);
        let last = siblings.filter_map(|(_, row)| row.get("sort").and_then(Value::as_i64)).max();
        self.put_new_field(collection, &field, &kind, payload, last.unwrap_or(0) + 1)
    }

    fn put_new_field(
        &mut self,
        collection: &str,
        field: &str,
        kind: &str,
        payload: &Payload,
        sort: i64,
    ) -> Result<()> {
        let meta = object_in(payload, "meta")?;
        // Some databases keep lists and JSON as text: what they are stands beside the column.
        let is_json = kind == "json";
        if meta.is_none() && !is_json && kind != "alias" {
            return Ok(());
        }
        let mut entry = meta::new_field(collection, field, sort);
        meta::put_field(&mut entry, &meta.unwrap_or_default())?;
        if entry.get("sort").is_none_or(Value::is_null) {
            entry.insert("sort".to_owned(), json!(sort));
        }
        if is_json {
            add_special(&mut entry, "cast-json");
        }
        self.check_field_group(collection, field, &entry)?;
        self.registry.fields.insert(key(collection, field), entry);
        Ok(())
    }

    fn check_field_group(&self, collection: &str, field: &str, entry: &Entry) -> Result<()> {
        match text_of(entry, "group") {
            Some(group) if group == field => Err(Error::payload("a field cannot be its own group.")),
            Some(group) if group.chars().count() > 64 || collection.is_empty() => {
                Err(Error::payload("\"meta.group\" names no field."))
            }
            _ => Ok(()),
        }
    }

    fn update_field(&mut self, collection: &str, field: &str, payload: &Payload) -> Result<()> {
        self.check_own_field(collection, field)?;
        let place = key(collection, field);
        let known = self.registry.fields.get(&place).cloned();
        let table = self.table(collection).cloned();
        let column = table.as_ref().and_then(|table| table.column(field)).cloned();
        if known.is_none() && column.is_none() {
            return Err(Error::Forbidden);
        }
        let kind = kind_given(payload)?;
        if let (Some(table), Some(column), Some(schema)) = (table, column, object_in(payload, "schema")?) {
            let special = known.as_ref().and_then(|row| text_of(row, "special")).unwrap_or_default();
            let kind = kind.as_deref().filter(|kind| *kind != "alias");
            let known_kind = type_name(&column, special);
            self.change_column(&table, &column, (kind, known_kind), &schema)?;
            if kind == Some("json") {
                let sort =
                    known.as_ref().and_then(|row| row.get("sort")).and_then(Value::as_i64).unwrap_or(1);
                let mut entry = known.clone().unwrap_or_else(|| meta::new_field(collection, field, sort));
                add_special(&mut entry, "cast-json");
                self.registry.fields.insert(place.clone(), entry);
            }
        }
        if let Some(meta) = object_in(payload, "meta")? {
            let known = self.registry.fields.get(&place).cloned();
            let mut entry = known.unwrap_or_else(|| meta::new_field(collection, field, 1));
            meta::put_field(&mut entry, &meta)?;
            self.check_field_group(collection, field, &entry)?;
            self.registry.fields.insert(place, entry);
        }
        Ok(())
    }

    fn change_column(
        &mut self,
        table: &Table,
        old: &TableColumn,
        kinds: (Option<&str>, &str),
        schema: &Payload,
    ) -> Result<()> {
        let (wanted, unique, indexed) = column::changed_column(table, old, kinds, schema)?;
        if old.is_generated || table.is_view {
            return match wanted == *old {
                true => Ok(()),
                false => Err(Error::payload("a computed column is changed in the database.")),
            };
        }
        let is_retyped = !is_stored_alike(self.dialect, old, &wanted);
        let is_referred_to = self
            .structure
            .tables
            .values()
            .flat_map(|other| other.foreign_keys.iter().map(move |key| (other.name.as_str(), key)));
        let has_key = is_referred_to.into_iter().any(|(other, key)| {
            (other == table.name && key.columns.contains(&old.name))
                || (key.target == table.name && key.target_columns.contains(&old.name))
        });
        if is_retyped && has_key {
            return Err(Error::payload("the type of a field with a relation cannot be changed."));
        }
        let mut last = old.clone();
        let mut changes = Vec::new();
        if is_retyped {
            last = TableColumn { nullable: old.nullable, ..wanted.clone() };
            changes.push((last.clone(), Fill::Nothing));
        } else if wanted.default != old.default {
            last.default.clone_from(&wanted.default);
            changes.push((last.clone(), Fill::Nothing));
        }
        if wanted.nullable != old.nullable {
            last.nullable = wanted.nullable;
            let is_filled = matches!(last.default, Some(DefaultValue::Value(_))) && !last.nullable;
            changes.push((last, if is_filled { Fill::Default } else { Fill::Nothing }));
        }
        let name = table.name.clone();
        // An index may not fit the new type.
        if is_retyped && matches!(wanted.column_type, ColumnType::Json | ColumnType::Binary) {
            for unique in [true, false] {
                self.drop_index(&name, &old.name, unique);
            }
        }
        let mut from = old.clone();
        for (to, fill) in changes {
            self.step(SchemaStep::ChangeColumn { table: name.clone(), from, to: to.clone(), fill });
            from = to;
        }
        match unique {
            Some(true) => self.add_index(&name, &old.name, true),
            Some(false) => self.drop_index(&name, &old.name, true),
            None => {}
        }
        match indexed {
            Some(true) => self.add_index(&name, &old.name, false),
            // Every reference has an index.
            Some(false) if !table.foreign_keys.iter().any(|key| key.columns.contains(&old.name)) => {
                self.drop_index(&name, &old.name, false);
            }
            Some(false) | None => {}
        }
        Ok(())
    }

    fn add_index(&mut self, table: &str, field: &str, unique: bool) {
        let names = [field.to_owned()];
        let Some(found) = self.structure.table(table) else { return };
        if found.index_over(&names, unique).is_some() || found.primary_key == names {
            return;
        }
        let mut index = index_on(table, field, unique);
        let taken = |name: &str| {
            self.structure.tables.values().any(|table| table.indexes.iter().any(|index| index.name == name))
        };
        let mut number = 1;
        while taken(&index.name) {
            number += 1;
            index.name = format!("{}_{number}", index_on(table, field, unique).name);
        }
        self.step(SchemaStep::AddIndex { table: table.to_owned(), index });
    }

    fn drop_index(&mut self, table: &str, field: &str, unique: bool) {
        let found = self.structure.table(table);
        let index = found.and_then(|table| table.index_over(&[field.to_owned()], unique)).cloned();
        if let Some(index) = index {
            self.step(SchemaStep::DropIndex { table: table.to_owned(), index });
        }
    }

    /// Takes a field out with all that speaks of it.
    fn delete_field(&mut self, collection: &str, field: &str) {
        let place = key(collection, field);
        let row = self.registry.relations.get(&place).cloned();
        self.drop_reference(collection, field);
        if let Some(row) = row
            && let (Some(one), Some(alias)) = (text_of(&row, "one_collection"), text_of(&row, "one_field"))
            && self.check_own_field(one, alias).is_ok()
        {
            self.registry.fields.remove(&key(one, alias));
            self.removed.fields.insert((one.to_owned(), alias.to_owned()));
        }
        for (many, row) in &mut self.registry.relations {
            let clears = |row: &mut Entry, name: &str| {
                if text_of(row, name) == Some(field) {
                    row.insert(name.to_owned(), Value::Null);
                }
            };
            if many[0] == collection {
                for name in ["sort_field", "junction_field", "one_collection_field"] {
                    clears(row, name);
                }
            }
            if text_of(row, "one_collection") == Some(collection) {
                clears(row, "one_field");
            }
        }
        if let Some(row) = self.registry.collections.get_mut(&vec![collection.to_owned()]) {
            for name in ["sort_field", "archive_field"] {
                if text_of(row, name) == Some(field) {
                    row.insert(name.to_owned(), Value::Null);
                }
            }
        }
        for (known, row) in &mut self.registry.fields {
            if known[0] == collection && text_of(row, "group") == Some(field) {
                row.insert("group".to_owned(), Value::Null);
            }
        }
        let was_known = self.registry.fields.remove(&place).is_some();
        let table = self.structure.table(collection);
        let has_column = table.is_some_and(|table| !table.is_view && table.column(field).is_some());
        if has_column {
            let indexes: Vec<TableIndex> = table
                .map(|table| {
                    let has = |index: &&TableIndex| index.columns.iter().any(|column| column == field);
                    table.indexes.iter().filter(has).cloned().collect()
                })
                .unwrap_or_default();
            for index in indexes {
                self.step(SchemaStep::DropIndex { table: collection.to_owned(), index });
            }
            self.step(SchemaStep::DropColumn { table: collection.to_owned(), column: field.to_owned() });
        }
        if was_known || has_column {
            self.removed.fields.insert((collection.to_owned(), field.to_owned()));
        }
    }

    /// Makes a reference a plain field.
    fn drop_reference(&mut self, collection: &str, field: &str) {
        let names = [field.to_owned()];
        let keys: Vec<ForeignKey> = self
            .structure
            .table(collection)
            .map(|table| table.foreign_keys.iter().filter(|key| key.columns == names).cloned().collect())
            .unwrap_or_default();
        let had_key = !keys.is_empty();
        for key in keys {
            self.step(SchemaStep::DropForeignKey { table: collection.to_owned(), key });
        }
        if had_key
            && let Some(index) =
                self.structure.table(collection).and_then(|table| table.index_over(&names, false))
            && (index.name == index_name(collection, &names, false)
                || index.name == foreign_key_name(collection, field))
        {
            let index = index.clone();
            self.step(SchemaStep::DropIndex { table: collection.to_owned(), index });
        }
        self.registry.relations.remove(&key(collection, field));
    }

    // Relations

    fn create_relation(&mut self, payload: &Payload) -> Result<()> {
        let (collection, field) = (text_in(payload, "collection")?, text_in(payload, "field")?);
        self.check_own_field(&collection, &field)?;
        let unknown = || {
            let path = format!("{}.{}", shorten(&collection), shorten(&field));
            Error::payload(format_args!("there is no field \"{path}\"."))
        };
        let table = self.table(&collection).cloned().ok_or_else(unknown)?;
        let column = table.column(&field).cloned().ok_or_else(unknown)?;
        let place = key(&collection, &field);
        let is_there = self.registry.relations.contains_key(&place)
            || table.foreign_keys.iter().any(|key| key.columns == [field.clone()]);
        if is_there {
            return Err(Error::payload(format_args!("\"{collection}.{field}\" has a relation already.")));
        }
        let related = match payload.get("related_collection") {
            None | Some(Value::Null) => None,
            Some(Value::String(related)) => Some(related.clone()),
            Some(_) => return Err(Error::payload("\"related_collection\" must be a text.")),
        };
        let meta = object_in(payload, "meta")?.unwrap_or_default();
        let schema = object_in(payload, "schema")?.unwrap_or_default();
        let mut entry = meta::new_relation(&collection, &field, related.as_deref());
        meta::put_relation(&mut entry, &meta)?;
        self.check_relation(&collection, &entry)?;
        match &related {
            Some(related) => {
                let on_delete = on_delete(&schema, column.nullable)?.unwrap_or(OnDelete::NoAction);
                self.add_foreign_key(&collection, &column, related, on_delete)?;
            }
            None if text_of(&entry, "one_allowed_collections").is_none() => {
                return Err(Error::payload(
                    "a relation needs \"related_collection\", or \"meta.one_allowed_collections\".",
                ));
            }
            None => {}
        }
        self.registry.relations.insert(place, entry);
        Ok(())
    }

    fn add_foreign_key(
        &mut self,
        collection: &str,
        column: &TableColumn,
        related: &str,
        on_delete: OnDelete,
    ) -> Result<()> {
        let missing =
            || Error::payload(format_args!("there is no collection \"{}\" to refer to.", shorten(related)));
        let target = self.table(related).filter(|table| !table.is_view).ok_or_else(missing)?;
        let [target_key] = target.primary_key.as_slice() else {
            return Err(Error::payload(format_args!("\"{related}\" has no key that can be referred to.")));
        };
        let Some(key_column) = target.column(target_key).cloned() else { return Err(missing()) };
        if !is_comparable(self.dialect, column, &key_column) {
            return Err(Error::payload(format_args!(
                "\"{collection}.{}\" and the key of \"{related}\" are of different types.",
                column.name
            )));
        }
        let key = ForeignKey {
            name: Some(self.free_key_name(foreign_key_name(collection, &column.name))),
            columns: vec![column.name.clone()],
            target: related.to_owned(),
            target_columns: vec![target_key.clone()],
            on_delete,
        };
        // The other side is read through it.
        let has_unique = |table: &Table| table.index_over(std::slice::from_ref(&column.name), true).is_some();
        if !self.structure.table(collection).is_some_and(has_unique) {
            self.add_index(collection, &column.name, false);
        }
        self.step(SchemaStep::AddForeignKey { table: collection.to_owned(), key });
        Ok(())
    }

    fn free_key_name(&self, wanted: String) -> String {
        let keys = || self.structure.tables.values().flat_map(|table| &table.foreign_keys);
        let taken = |name: &str| keys().any(|key| key.name.as_deref() == Some(name));
        let mut name = wanted.clone();
        let mut number = 1;
        while taken(&name) {
            number += 1;
            name = format!("{wanted}_{number}");
        }
        name
    }

    /// Names that a relation mentions have to be there.
    fn check_relation(&self, collection: &str, entry: &Entry) -> Result<()> {
        let table = self.table(collection);
        for name in ["junction_field", "sort_field", "one_collection_field"] {
            let Some(field) = text_of(entry, name) else { continue };
            if table.is_some_and(|table| table.column(field).is_none()) {
                return Err(Error::payload(format_args!(
                    "\"meta.{name}\": there is no field \"{collection}.{}\".",
                    shorten(field)
                )));
            }
        }
        for allowed in text_of(entry, "one_allowed_collections").into_iter().flat_map(|all| all.split(',')) {
            if self.table(allowed).is_none() {
                return Err(Error::payload(format_args!(
                    "\"meta.one_allowed_collections\": there is no collection \"{}\".",
                    shorten(allowed)
                )));
            }
        }
        if let Some(alias) = text_of(entry, "one_field") {
            check_name(alias, "meta.one_field")?;
        }
        Ok(())
    }

    fn update_relation(&mut self, collection: &str, field: &str, payload: &Payload) -> Result<()> {
        self.check_own_field(collection, field)?;
        let place = key(collection, field);
        let known = self.registry.relations.get(&place).cloned();
        let table = self.table(collection).cloned();
        let reference = table.as_ref().and_then(|table| {
            table.foreign_keys.iter().find(|key| key.columns == [field.to_owned()]).cloned()
        });
        if known.is_none() && reference.is_none() {
            return Err(Error::Forbidden);
        }
        if let Some(meta) = object_in(payload, "meta")? {
            let related = reference.as_ref().map(|key| key.target.as_str());
            let mut entry = known.unwrap_or_else(|| meta::new_relation(collection, field, related));
            meta::put_relation(&mut entry, &meta)?;
            self.check_relation(collection, &entry)?;
            self.registry.relations.insert(place, entry);
        }
        if let (Some(schema), Some(reference), Some(table)) =
            (object_in(payload, "schema")?, reference, table)
        {
            let nullable = table.column(field).is_some_and(|column| column.nullable);
            if let Some(on_delete) = on_delete(&schema, nullable)?
                && on_delete != reference.on_delete
            {
                let name = Some(foreign_key_name(collection, field));
                let wanted =
                    ForeignKey { on_delete, name: reference.name.clone().or(name), ..reference.clone() };
                let table = collection.to_owned();
                self.step(SchemaStep::DropForeignKey { table: table.clone(), key: reference });
                self.step(SchemaStep::AddForeignKey { table, key: wanted });
            }
        }
        Ok(())
    }

    fn delete_relation(&mut self, collection: &str, field: &str) -> Result<()> {
        self.check_own_field(collection, field)?;
        let names = [field.to_owned()];
        let is_there = self.registry.relations.contains_key(&key(collection, field))
            || self
                .table(collection)
                .is_some_and(|table| table.foreign_keys.iter().any(|k| k.columns == names));
        if !is_there {
            return Err(Error::Forbidden);
        }
        self.drop_reference(collection, field);
        Ok(())
    }
}

/// Two columns of which one may hold the keys of the other.
fn is_comparable(dialect: Dialect, column: &TableColumn, key: &TableColumn) -> bool {
    let is_text = |column: &TableColumn| matches!(column.column_type, ColumnType::String { .. });
    (is_text(column) && is_text(key))
        || column.column_type == key.column_type
        || is_stored_alike(dialect, column, &TableColumn { is_counted: false, ..key.clone() })
        // A counted key of SQLite is called an integer whatever was asked for.
        || (dialect == Dialect::Sqlite
            && key.is_counted
            && matches!(column.column_type, ColumnType::Integer | ColumnType::BigInteger))
}

fn on_delete(schema: &Payload, is_nullable: bool) -> Result<Option<OnDelete>> {
    let rule = match schema.get("on_delete") {
        None | Some(Value::Null) => return Ok(None),
        Some(rule) => rule.as_str().unwrap_or_default().to_ascii_uppercase(),
    };
    match rule.as_str() {
        "SET NULL" if !is_nullable => {
            Err(Error::payload("\"schema.on_delete\" cannot be SET NULL where null is not allowed."))
        }
        "SET NULL" => Ok(Some(OnDelete::SetNull)),
        "CASCADE" => Ok(Some(OnDelete::Cascade)),
        "RESTRICT" => Ok(Some(OnDelete::Restrict)),
        "NO ACTION" => Ok(Some(OnDelete::NoAction)),
        _ => {
            Err(Error::payload("\"schema.on_delete\" must be one of SET NULL, CASCADE, RESTRICT, NO ACTION."))
        }
    }
}

fn index_on(table: &str, field: &str, unique: bool) -> TableIndex {
    let columns = vec![field.to_owned()];
    TableIndex { name: index_name(table, &columns, unique), columns, unique, is_constraint: false }
}

/// The key of a collection for which none is asked.
fn counted_key() -> Payload {
    let field = json!({
        "field": "id",
        "type": "integer",
        "meta": { "hidden": true, "interface": "numeric", "readonly": true },
        "schema": { "is_primary_key": true, "has_auto_increment": true },
    });
    match field {
        Value::Object(field) => field,
        _ => Payload::new(),
    }
}

fn add_special(entry: &mut Entry, word: &str) {
    let known = text_of(entry, "special").unwrap_or_default();
    if known.split(',').any(|part| part == word) {
        return;
    }
    let all = if known.is_empty() { word.to_owned() } else { format!("{known},{word}") };
    entry.insert("special".to_owned(), json!(all));
}

/// The type of a new field: what is said, or `alias` where the rest says that it has no column.
fn kind_of(payload: &Payload) -> Result<Option<String>> {
    if let Some(kind) = kind_given(payload)? {
        return Ok(Some(kind));
    }
    let is_alias = payload.get("schema").is_some_and(Value::is_null);
    Ok(is_alias.then(|| "alias".to_owned()))
}

fn kind_given(payload: &Payload) -> Result<Option<String>> {
    match payload.get("type") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(kind)) => Ok(Some(kind.clone())),
        Some(_) => Err(Error::payload("\"type\" must be a text.")),
    }
}

fn object_in(payload: &Payload, name: &str) -> Result<Option<Payload>> {
    match payload.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map.clone())),
        Some(_) => Err(Error::payload(format_args!("\"{name}\" must be an object."))),
    }
}

fn text_in(payload: &Payload, name: &str) -> Result<String> {
    match payload.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()) {
        Some(text) => Ok(text.to_owned()),
        None => Err(Error::payload(format_args!("\"{name}\" is required."))),
    }
}

fn name_in(payload: &Payload, name: &str) -> Result<String> {
    let text = text_in(payload, name)?;
    check_name(&text, name)?;
    Ok(text)
}

fn check_name(text: &str, what: &str) -> Result<()> {
    if is_name(text) {
        return Ok(());
    }
    Err(Error::payload(format_args!(
        "\"{what}\" must be made of letters, digits and _, begin with no digit and have at most 63 characters."
    )))
}
