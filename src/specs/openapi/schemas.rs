//! The items of collections as JSON Schemas: as they are read, as they are made, as they are changed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::words::{nullable, reference};
use crate::access::{Action, CollectionRules, Context};
use crate::schema::{Auto, Collection, CollectionId, Column, ColumnType, Field, FieldId, FieldKind};

/// Schemas of the document, made when something first leads to them.
pub(super) struct Schemas<'c> {
    ctx: &'c Context,
    names: BTreeMap<CollectionId, String>,
    made: BTreeSet<String>,
    finished: Map<String, Value>,
}

/// What an item is described for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Read,
    Create,
    Update,
}

impl Form {
    fn action(self) -> Action {
        match self {
            Form::Read => Action::Read,
            Form::Create => Action::Create,
            Form::Update => Action::Update,
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Form::Read => "",
            Form::Create => "Create",
            Form::Update => "Update",
        }
    }
}

impl<'c> Schemas<'c> {
    pub(super) fn new(ctx: &'c Context) -> Self {
        let mut taken: BTreeSet<String> = super::fixed::schemas().keys().cloned().collect();
        let mut names = BTreeMap::new();
        for (id, collection) in ctx.schema.collections() {
            let base = component_name(collection);
            let mut name = base.clone();
            let mut number = 2;
            while !taken.insert(name.clone()) {
                name = format!("{base}{number}");
                number += 1;
            }
            names.insert(id, name);
        }
        Schemas { ctx, names, made: BTreeSet::new(), finished: Map::new() }
    }

    /// An item as it is read.
    pub(super) fn read(&mut self, id: CollectionId) -> Value {
        self.item(id, Form::Read)
    }

    /// An item that is to be made.
    pub(super) fn create(&mut self, id: CollectionId) -> Value {
        self.item(id, Form::Create)
    }

    /// What is to be changed of an item.
    pub(super) fn update(&mut self, id: CollectionId) -> Value {
        self.item(id, Form::Update)
    }

    /// All schemas, by name.
    pub(super) fn finish(self) -> Map<String, Value> {
        self.finished
    }

    /// A reference to the schema; an empty one where nothing of the collection may be touched in this way.
    fn item(&mut self, id: CollectionId, form: Form) -> Value {
        let Some(rules) = self.ctx.allowed(id, form.action()) else { return json!({ "type": "object" }) };
        let name = format!("{}{}", self.names.get(&id).map_or("Item", String::as_str), form.suffix());
        // Noted before it is made: relations lead back here.
        if self.made.insert(name.clone()) {
            let schema = self.object(id, form, &rules);
            self.finished.insert(name.clone(), schema);
        }
        reference(&name)
    }

    fn object(&mut self, id: CollectionId, form: Form, rules: &CollectionRules) -> Value {
        let schema = self.ctx.schema.clone();
        let collection = schema.collection(id);
        let mut properties = Map::new();
        let mut required = Vec::new();
        for (field_id, field) in collection.fields() {
            let is_key = collection.primary_key.contains(&field_id);
            if !rules.fields.contains(field_id) || (form != Form::Read && !is_written(field, is_key)) {
                continue;
            }
            let Some(mut described) = self.field(field, is_key, form) else { continue };
            if form == Form::Read && rules.fields.rows_of(field_id).is_some() {
                described = nullable(described);
            }
            if let Some(note) = &field.note {
                described["description"] = json!(note);
            }
            if form == Form::Read && !is_written(field, is_key) {
                described["readOnly"] = json!(true);
            }
            properties.insert(field.name.to_string(), described);
            if form == Form::Create && !collection.singleton && is_required(field_id, field, rules) {
                required.push(&*field.name);
            }
        }
        let mut object = json!({ "type": "object", "properties": properties });
        if !required.is_empty() {
            object["required"] = json!(required);
        }
        object
    }

    /// `None` for what is only shown in forms.
    fn field(&mut self, field: &Field, is_key: bool, form: Form) -> Option<Value> {
        let own = field.column.as_ref().map(|column| {
            if field.conceal {
                return json!({ "type": ["string", "null"] });
            }
            let schema = column_schema(column, form != Form::Read);
            if column.nullable && !is_key { nullable(schema) } else { schema }
        });
        Some(match &field.kind {
            FieldKind::Plain => own?,
            FieldKind::ManyToOne { related, .. } => {
                let key = self.key(*related);
                self.any_of(vec![key], &[*related], form, true)
            }
            FieldKind::ManyToAny { allowed, .. } => {
                self.any_of(vec![json!({ "type": ["string", "integer"] })], allowed, form, true)
            }
            FieldKind::OneToMany { related, .. } => {
                let key = self.key(*related);
                let entry = self.any_of(vec![key], &[*related], form, false);
                let list = json!({ "type": "array", "items": entry });
                match form {
                    Form::Read => list,
                    Form::Create | Form::Update => {
                        json!({ "anyOf": [list, self.detailed(*related), { "type": "null" }] })
                    }
                }
            }
            FieldKind::Presentation => return None,
        })
    }

    /// `{"create":[...],"update":[...],"delete":[...]}`.
    fn detailed(&mut self, related: CollectionId) -> Value {
        let key = self.key(related);
        let (create, update) = (self.create(related), self.update(related));
        json!({
            "type": "object",
            "properties": {
                "create": { "type": "array", "items": create },
                "update": { "type": "array", "items": update },
                "delete": { "type": "array", "items": key },
            },
        })
    }

    /// The key, or an item of one of these collections.
    fn any_of(
        &mut self,
        mut kinds: Vec<Value>,
        related: &[CollectionId],
        form: Form,
        or_null: bool,
    ) -> Value {
        for id in related {
            let forms: &[Form] = match form {
                Form::Read => &[Form::Read],
                // A nested item with a key that is there is changed, any other is made.
                Form::Create | Form::Update => &[Form::Create, Form::Update],
            };
            for form in forms {
                if self.ctx.allowed(*id, form.action()).is_some() {
                    kinds.push(self.item(*id, *form));
                }
            }
        }
        if or_null {
            kinds.push(json!({ "type": "null" }));
        }
        if kinds.len() == 1 { kinds.remove(0) } else { json!({ "anyOf": kinds }) }
    }

    fn key(&self, id: CollectionId) -> Value {
        let collection = self.ctx.schema.collection(id);
        let column = collection.key().and_then(|key| collection.field(key).column.as_ref());
        column.map_or_else(
            || json!({ "type": ["string", "integer"] }),
            |column| type_schema(&column.column_type, false),
        )
    }
}

/// `ItemsClientInvoices`; of the system's collections `Users`.
fn component_name(collection: &Collection) -> String {
    let (mut name, rest) = match collection.name.strip_prefix("directus_").filter(|_| collection.is_system())
    {
        Some(rest) => (String::new(), rest),
        None => ("Items".to_owned(), &*collection.name),
    };
    for part in rest.split(|c: char| !c.is_ascii_alphanumeric()) {
        let mut letters = part.chars();
        if let Some(first) = letters.next() {
            name.push(first.to_ascii_uppercase());
            name.push_str(letters.as_str());
        }
    }
    name
}

/// Whether a request may give it a value.
fn is_written(field: &Field, is_key: bool) -> bool {
    match &field.column {
        Some(Column { column_type: ColumnType::Unknown { .. }, .. }) => false,
        Some(column) => match column.auto {
            None => true,
            Some(Auto::Uuid) => true,
            Some(Auto::Increment) => !is_key,
            Some(_) => false,
        },
        None => matches!(field.kind, FieldKind::OneToMany { .. }),
    }
}

/// Whether an item cannot be made without it.
fn is_required(id: FieldId, field: &Field, rules: &CollectionRules) -> bool {
    let is_given = rules.presets.contains_key(&*field.name)
        || rules.tenant.as_ref().is_some_and(|rule| rule.field == id);
    field.column.as_ref().is_some_and(|column| {
        let is_filled = column.default.is_some() || column.auto.is_some() || is_given;
        !is_filled && (column.checks.required || !column.nullable)
    })
}

fn column_schema(column: &Column, is_input: bool) -> Value {
    let mut schema = type_schema(&column.column_type, is_input);
    let checks = &column.checks;
    let is_list = column.column_type == ColumnType::Csv;
    if !checks.choices.is_empty() && column.column_type != ColumnType::Json {
        let values: Vec<&Value> = checks.choices.iter().map(|choice| &choice.value).collect();
        if is_list {
            schema["items"]["enum"] = json!(values);
        } else {
            schema["enum"] = json!(values);
        }
    }
    if matches!(column.column_type, ColumnType::Integer | ColumnType::Float) {
        for (name, bound) in [("minimum", &checks.min), ("maximum", &checks.max)] {
            if let Some(bound) = bound {
                schema[name] = bound.clone();
            }
        }
    }
    let lengths = if is_list { ["minItems", "maxItems"] } else { ["minLength", "maxLength"] };
    if is_list || matches!(column.column_type, ColumnType::String { .. } | ColumnType::Text) {
        for (name, length) in lengths.iter().zip([checks.min_length, checks.max_length]) {
            if let Some(length) = length {
                schema[*name] = json!(length);
            }
        }
    }
    if let Some(pattern) = checks.pattern.as_ref().filter(|pattern| is_portable(pattern)) {
        schema["pattern"] = json!(pattern);
    }
    schema
}

/// Whether a regular expression means the same to everybody's regular expressions.
fn is_portable(pattern: &str) -> bool {
    !["(?", "\\p", "\\P", "\\A", "\\z", "\\Q", "[[", "&&", "\\x{", "\\u{"]
        .iter()
        .any(|own| pattern.contains(own))
}

fn type_schema(column_type: &ColumnType, is_input: bool) -> Value {
    // Whole numbers that JavaScript would round are texts in answers, and may be either in requests.
    let exact = |format: &str| {
        if is_input {
            json!({ "type": ["string", "number"], "format": format })
        } else {
            json!({ "type": "string", "format": format })
        }
    };
    match column_type {
        ColumnType::String { length } => json!({ "type": "string", "maxLength": length }),
        ColumnType::Text | ColumnType::Unknown { .. } | ColumnType::Hash => json!({ "type": "string" }),
        ColumnType::Integer => json!({ "type": "integer" }),
        ColumnType::BigInteger => exact("int64"),
        ColumnType::Float => json!({ "type": "number", "format": "double" }),
        ColumnType::Decimal { .. } => exact("decimal"),
        ColumnType::Boolean => json!({ "type": "boolean" }),
        ColumnType::Date => json!({ "type": "string", "format": "date" }),
        // No format of JSON Schema: those that exist have a zone.
        ColumnType::Time => json!({ "type": "string", "examples": ["10:00:00"] }),
        ColumnType::DateTime => json!({ "type": "string", "examples": ["2026-03-02T10:00:00"] }),
        ColumnType::Timestamp => json!({ "type": "string", "format": "date-time" }),
        ColumnType::Json => json!({}),
        ColumnType::Csv => json!({ "type": "array", "items": { "type": "string" } }),
        ColumnType::Uuid => json!({ "type": "string", "format": "uuid" }),
        ColumnType::Binary => json!({ "type": "string", "contentEncoding": "base64" }),
    }
}
