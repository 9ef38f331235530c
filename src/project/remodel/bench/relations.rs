//! Edits of relations, with the foreign keys under them.

use super::*;

impl Bench<'_> {
    pub(super) fn create_relation(&mut self, payload: &Payload) -> Result<()> {
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

    pub(super) fn add_foreign_key(
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

    pub(super) fn free_key_name(&self, wanted: String) -> String {
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
    pub(super) fn check_relation(&self, collection: &str, entry: &Entry) -> Result<()> {
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

    pub(super) fn update_relation(&mut self, collection: &str, field: &str, payload: &Payload) -> Result<()> {
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

    pub(super) fn delete_relation(&mut self, collection: &str, field: &str) -> Result<()> {
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
