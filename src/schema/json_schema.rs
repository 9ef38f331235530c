//! The JSON Schemas of collection files and of `_access.yaml`, for completion and checks in editors.
//!
//! Printed from the tables that the reader itself goes by. It knows one file at a time, so that it cannot see references that lead to
//! nothing; everything it refuses, the reader refuses too.

use serde_json::{Map, Value, json};

use super::keys::{self, Form, Key, Shape};
use super::types::{self, SHORT_FORMS, ShortForm};

/// The rest of a `decimal(12,2)` that YAML tore apart between brackets.
const TORN_REST: &str = "^[0-9]+\\)!?$";

/// The JSON Schema (draft 2020-12) of one collection file.
pub fn json_schema() -> Value {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Collection",
        "description": "One collection of a Tablature project",
    });
    if let (Value::Object(schema), Value::Object(body)) = (&mut schema, object(&[keys::COLLECTION])) {
        schema.extend(body);
        schema.insert(
            "if".to_owned(),
            json!({ "properties": { "collection": { "pattern": "^directus_" } }, "required": ["collection"] }),
        );
        schema.insert("then".to_owned(), json!({ "propertyNames": { "enum": keys::SYSTEM_ADDITION } }));
        schema.insert("$defs".to_owned(), definitions());
    }
    schema
}

/// The JSON Schema of `_access.yaml`.
pub fn access_json_schema() -> Value {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Access",
        "description": "Roles, policies and service accounts of a Tablature project",
    });
    if let (Value::Object(schema), Value::Object(body)) = (&mut schema, object(&[keys::access::FILE])) {
        schema.extend(body);
        schema.insert("$defs".to_owned(), json!({ "name": name_definition() }));
    }
    schema
}

fn name_definition() -> Value {
    json!({ "type": "string", "pattern": format!("^{}$", keys::NAME_PATTERN), "description": keys::NAME_RULE })
}

fn definitions() -> Value {
    let field: Vec<Value> =
        std::iter::once(json!({ "$ref": "#/$defs/short" })).chain(keys::FORMS.iter().map(form)).collect();
    json!({
        "name": name_definition(),
        "type": { "description": "A type", "anyOf": spellings("") },
        "short": { "description": "A type, with ! behind it when it is required", "anyOf": spellings("!?") },
        "field": { "description": "A type, or a map with a type or a relation", "anyOf": field },
    })
}

/// The short forms: each name that may stand alone, for completion, and one pattern for all the rest.
fn spellings(behind: &str) -> Vec<Value> {
    let alone = SHORT_FORMS.iter().filter(|form| types::stands_alone(form));
    let mut all: Vec<Value> =
        alone.clone().map(|form| json!({ "const": form.name, "description": form.about })).collect();
    if !behind.is_empty() {
        let names: Vec<&str> = alone.map(|form| form.name).collect();
        all.push(json!({ "type": "string", "pattern": format!("^({})!$", names.join("|")) }));
    }
    let with_arguments = |form: &ShortForm| {
        let pattern = format!("^{}{behind}$", types::pattern(form)?);
        Some(json!({ "type": "string", "pattern": pattern, "description": form.about }))
    };
    all.extend(SHORT_FORMS.iter().filter_map(with_arguments));
    // What YAML leaves of `decimal(12,2)` between brackets; its rest comes as a key.
    all.push(json!({ "type": "string", "pattern": "^decimal\\( *[0-9]+$" }));
    all
}

/// One long form of a field.
fn form(form: &Form) -> Value {
    let column: &[Key] = if form.has_column { keys::COLUMN } else { &[] };
    let mut schema = object(&[std::slice::from_ref(&form.key), keys::COMMON, column, form.own]);
    schema["required"] = json!(
        std::iter::once(&form.key)
            .chain(form.own.iter().filter(|key| key.required))
            .map(|key| key.name)
            .collect::<Vec<_>>()
    );
    if form.key.name == "type" {
        // A type may be a relation in short form, with what that relation takes.
        let relations =
            keys::FORMS.iter().filter(|form| SHORT_FORMS.iter().any(|short| short.name == form.key.name));
        for (name, own) in properties(&relations.map(|form| form.own).collect::<Vec<_>>()) {
            schema["properties"][name] = own;
        }
        schema["patternProperties"] = json!({ TORN_REST: { "type": "null" } });
    }
    schema
}

fn object(tables: &[&[Key]]) -> Value {
    let required: Vec<&str> =
        tables.iter().flat_map(|table| table.iter()).filter(|key| key.required).map(|key| key.name).collect();
    let mut schema =
        json!({ "type": "object", "properties": properties(tables), "additionalProperties": false });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn properties(tables: &[&[Key]]) -> Map<String, Value> {
    let mut properties = Map::new();
    for key in tables.iter().flat_map(|table| table.iter()) {
        let mut schema = shape(&key.takes);
        schema["description"] = json!(key.about);
        match properties.get_mut(key.name) {
            None => {
                properties.insert(key.name.to_owned(), schema);
            }
            Some(known) if *known == schema => {}
            // `sort` is a name for one relation, a flag or name for another.
            Some(known) => *known = json!({ "anyOf": [known.clone(), schema] }),
        }
    }
    properties
}

fn shape(shape: &Shape) -> Value {
    match shape {
        Shape::Name => json!({ "$ref": "#/$defs/name" }),
        Shape::FarField => {
            json!({ "type": "string", "pattern": format!("^{0}\\.{0}$", keys::NAME_PATTERN) })
        }
        Shape::Type => json!({ "$ref": "#/$defs/type" }),
        Shape::Text => json!({ "type": "string" }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Count => json!({ "type": "integer", "minimum": 0 }),
        Shape::OneOf(words) => json!({ "enum": words }),
        Shape::Scalar => json!({ "type": ["string", "number", "boolean"] }),
        Shape::Null => json!({ "type": "null" }),
        Shape::Anything => json!({}),
        Shape::AnyMap => json!({ "type": "object" }),
        Shape::AnyList => json!({ "type": "array" }),
        Shape::Object(keys) => object(&[keys]),
        Shape::MapOf(Shape::Field) => json!({
            "type": "object",
            "patternProperties": {
                format!("^{}$", keys::NAME_PATTERN): { "$ref": "#/$defs/field" },
                TORN_REST: { "type": "null" },
            },
            "additionalProperties": false,
        }),
        Shape::MapOf(inner) => json!({ "type": "object", "additionalProperties": self::shape(inner) }),
        Shape::ListOf(inner) => json!({ "type": "array", "minItems": 1, "items": self::shape(inner) }),
        Shape::Either(shapes) => json!({ "anyOf": shapes.iter().map(self::shape).collect::<Vec<_>>() }),
        Shape::Field => json!({ "$ref": "#/$defs/field" }),
    }
}
