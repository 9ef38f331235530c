//! The short form in which the fixed routes describe what they take and give.
//!
//! A word is a type: `string`, `integer`, `number`, `boolean`, `any`, `object`, a format (`uuid`, `email`, `uri`, `date-time`,
//! `binary`), the name of a schema, or values with ` | ` between them. `[word]` is a list, `{ name: word }` an object; `?` behind a
//! word allows null, `!` behind a name makes it required.

use serde_json::{Map, Value, json};

/// The JSON Schema of a word. Fails with the word that means nothing.
pub(super) fn schema(word: &Value) -> Result<Value, String> {
    match word {
        Value::String(text) => text_schema(text),
        Value::Array(items) => match items.as_slice() {
            [item] => Ok(json!({ "type": "array", "items": schema(item)? })),
            _ => Err(word.to_string()),
        },
        Value::Object(members) => {
            let mut properties = Map::new();
            let mut required = Vec::new();
            for (name, word) in members {
                let name = match name.strip_suffix('!') {
                    Some(name) => {
                        required.push(name);
                        name
                    }
                    None => name,
                };
                properties.insert(name.to_owned(), schema(word)?);
            }
            let mut schema = json!({ "type": "object", "properties": properties });
            if !required.is_empty() {
                schema["required"] = json!(required);
            }
            Ok(schema)
        }
        other => Err(other.to_string()),
    }
}

fn text_schema(text: &str) -> Result<Value, String> {
    if let Some(word) = text.strip_suffix('?') {
        return Ok(nullable(text_schema(word)?));
    }
    if text.contains(" | ") {
        return Ok(json!({ "enum": text.split(" | ").collect::<Vec<_>>() }));
    }
    Ok(match text {
        "any" => json!({}),
        "string" | "integer" | "number" | "boolean" | "object" => json!({ "type": text }),
        "uuid" | "email" | "uri" | "date-time" | "binary" => json!({ "type": "string", "format": text }),
        name if name.starts_with(|first: char| first.is_ascii_uppercase()) => reference(name),
        _ => return Err(text.to_owned()),
    })
}

/// A schema that allows null, too.
pub(super) fn nullable(mut schema: Value) -> Value {
    match schema.get("type") {
        Some(Value::String(name)) => {
            schema["type"] = json!([name, "null"]);
            if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
                values.push(Value::Null);
            }
            schema
        }
        _ if schema.as_object().is_some_and(Map::is_empty) => schema,
        _ => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}

/// A reference to a schema of the document.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let check = |word: Value, expected: Value| assert_eq!(schema(&word), Ok(expected), "{word}");
        check(json!("string?"), json!({ "type": ["string", "null"] }));
        check(json!("uuid"), json!({ "type": "string", "format": "uuid" }));
        check(json!("json | cookie"), json!({ "enum": ["json", "cookie"] }));
        check(json!("Error?"), json!({ "anyOf": [reference("Error"), { "type": "null" }] }));
        check(json!(["integer"]), json!({ "type": "array", "items": { "type": "integer" } }));
        check(
            json!({ "a!": "any", "b": "any?" }),
            json!({ "type": "object", "properties": { "a": {}, "b": {} }, "required": ["a"] }),
        );
        assert_eq!(schema(&json!({ "a": "strng" })), Err("strng".to_owned()));
        assert!(schema(&json!(["string", "string"])).is_err());
    }
}
