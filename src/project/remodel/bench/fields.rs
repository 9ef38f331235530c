//! Edits of fields and their columns.

use super::*;

impl Bench<'_> {
    pub(super) fn create_field(&mut self, collection: &str, payload: &Payload) -> Result<()> {
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

    pub(super) fn put_new_field(
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

    pub(super) fn check_field_group(&self, collection: &str, field: &str, entry: &Entry) -> Result<()> {
        match text_of(entry, "group") {
            Some(group) if group == field => Err(Error::payload("a field cannot be its own group.")),
            Some(group) if group.chars().count() > 64 || collection.is_empty() => {
                Err(Error::payload("\"meta.group\" names no field."))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn update_field(&mut self, collection: &str, field: &str, payload: &Payload) -> Result<()> {
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

    pub(super) fn change_column(
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

    pub(super) fn add_index(&mut self, table: &str, field: &str, unique: bool) {
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

    pub(super) fn drop_index(&mut self, table: &str, field: &str, unique: bool) {
        let found = self.structure.table(table);
        let index = found.and_then(|table| table.index_over(&[field.to_owned()], unique)).cloned();
        if let Some(index) = index {
            self.step(SchemaStep::DropIndex { table: table.to_owned(), index });
        }
    }

    /// Takes a field out with all that speaks of it.
    pub(super) fn delete_field(&mut self, collection: &str, field: &str) {
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
    pub(super) fn drop_reference(&mut self, collection: &str, field: &str) {
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
}
