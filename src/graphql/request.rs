//! What a caller sends.

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// A document with what belongs to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// The document.
    pub query: String,
    /// Values of its variables.
    pub variables: Map<String, Value>,
    /// Which of its operations is meant.
    pub operation_name: Option<String>,
}

impl Request {
    /// From the body of a request. Fails with `InvalidPayload`.
    pub fn from_body(mut body: Map<String, Value>) -> Result<Self> {
        let query = match body.remove("query") {
            Some(Value::String(query)) if !query.trim().is_empty() => query,
            Some(Value::String(_) | Value::Null) | None => {
                return Err(Error::payload("Must provide a query string."));
            }
            Some(_) => return Err(Error::payload("\"query\" must be a text.")),
        };
        let variables = match body.remove("variables") {
            Some(Value::Object(variables)) => variables,
            Some(Value::Null) | None => Map::new(),
            Some(Value::String(text)) if text.trim().is_empty() => Map::new(),
            Some(_) => return Err(Error::payload("\"variables\" must be an object.")),
        };
        let operation_name = match body.remove("operationName") {
            Some(Value::String(name)) if !name.is_empty() => Some(name),
            Some(Value::String(_) | Value::Null) | None => None,
            Some(_) => return Err(Error::payload("\"operationName\" must be a text.")),
        };
        Ok(Request { query, variables, operation_name })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(body: Value, expected: Option<Request>) {
        let Value::Object(map) = body.clone() else { panic!("an object") };
        assert_eq!(Request::from_body(map).ok(), expected, "{body}");
    }

    #[test]
    fn bodies() {
        let bare = Request { query: "{a}".to_owned(), ..Request::default() };
        check(json!({ "query": "{a}" }), Some(bare.clone()));
        check(
            json!({ "query": "{a}", "variables": null, "operationName": null, "extensions": {} }),
            Some(bare),
        );
        let mut variables = Map::new();
        variables.insert("x".to_owned(), json!([1]));
        let full = Request { query: "{a}".to_owned(), variables, operation_name: Some("Q".to_owned()) };
        check(json!({ "query": "{a}", "variables": { "x": [1] }, "operationName": "Q" }), Some(full));
        for wrong in [
            json!({}),
            json!({ "query": "" }),
            json!({ "query": 7 }),
            json!({ "query": "{a}", "variables": [] }),
            json!({ "query": "{a}", "operationName": 7 }),
        ] {
            check(wrong, None);
        }
    }
}
