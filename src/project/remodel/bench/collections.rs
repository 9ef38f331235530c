//! Edits of collections.

use super::*;

impl Bench<'_> {
    pub(super) fn create_collection(&mut self, payload: &Payload) -> Result<()> {
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

    pub(super) fn create_table(&mut self, name: &str, mut fields: Vec<Payload>) -> Result<()> {
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

    pub(super) fn update_collection(&mut self, name: &str, payload: &Payload) -> Result<()> {
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
    pub(super) fn check_group(&self, name: &str, entry: &Entry) -> Result<()> {
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

    pub(super) fn delete_collection(&mut self, name: &str) -> Result<()> {
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
    pub(super) fn aliases_onto(&self, name: &str) -> Vec<(String, String)> {
        let rows = self.registry.relations.iter().filter(|(key, _)| key[0] == name);
        let places = rows.filter_map(|(_, row)| {
            Some((text_of(row, "one_collection")?.to_owned(), text_of(row, "one_field")?.to_owned()))
        });
        places.filter(|(collection, _)| collection != name).collect()
    }
}
