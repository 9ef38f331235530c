//! One method of a path, and the parts that all of them share.

use serde_json::{Map, Value, json};

use super::words::reference;

/// Errors that every operation may be answered with.
const ALWAYS: &[(&str, &str)] = &[
    ("400", "InvalidRequest"),
    ("401", "InvalidCredentials"),
    ("403", "Forbidden"),
    ("414", "RequestLineTooLong"),
    ("429", "RequestsExceeded"),
    ("431", "HeadersTooLarge"),
    ("503", "ServiceUnavailable"),
];

/// Errors of operations that read a body.
const OF_BODIES: &[(&str, &str)] = &[
    ("409", "Conflict"),
    ("413", "LimitExceeded"),
    ("415", "UnsupportedMediaType"),
    ("422", "UnprocessableContent"),
];

/// Builds an operation.
pub(super) struct Operation {
    members: Map<String, Value>,
    parameters: Vec<Value>,
    answers: Map<String, Value>,
    takes_body: bool,
}

impl Operation {
    /// The method (lower case) of a path, which tells the id of the operation and its parameters in the path.
    pub(super) fn new(method: &str, path: &str, tag: &str, summary: &str) -> Self {
        let mut id = method.to_owned();
        let mut parameters = Vec::new();
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            let name = segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}'));
            if let Some(name) = name {
                parameters.push(json!({
                    "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 },
                }));
                id.push_str("By");
            }
            push_camel(&mut id, name.unwrap_or(segment));
        }
        let mut members = Map::new();
        members.insert("operationId".to_owned(), json!(id));
        members.insert("tags".to_owned(), json!([tag]));
        members.insert("summary".to_owned(), json!(summary));
        Operation { members, parameters, answers: Map::new(), takes_body: false }
    }

    /// Says more than the summary.
    pub(super) fn describe(&mut self, text: &str) {
        self.members.insert("description".to_owned(), json!(text));
    }

    /// A parameter that many operations share.
    pub(super) fn shared_parameter(&mut self, name: &str) {
        self.parameters.push(json!({ "$ref": format!("#/components/parameters/{name}") }));
    }

    /// A parameter of the URL.
    pub(super) fn parameter(&mut self, name: &str, is_required: bool, schema: Value) {
        self.parameters
            .push(json!({ "name": name, "in": "query", "required": is_required, "schema": schema }));
    }

    /// A body of this media type.
    pub(super) fn body(&mut self, media_type: &str, schema: Value, is_required: bool) {
        self.takes_body = true;
        let body = self.members.entry("requestBody").or_insert_with(|| json!({ "content": {} }));
        body["required"] = json!(is_required);
        body["content"][media_type] = json!({ "schema": schema });
    }

    /// An answer with this status.
    pub(super) fn answer(&mut self, status: &str, description: &str, content: Option<(&str, Value)>) {
        let answer = self.answers.entry(status).or_insert_with(|| json!({ "description": description }));
        if let Some((media_type, schema)) = content {
            answer["content"][media_type] =
                if schema == json!({}) { json!({}) } else { json!({ "schema": schema }) };
        }
    }

    /// An answer with `data`.
    pub(super) fn data(&mut self, description: &str, schema: Value) {
        let envelope = json!({ "type": "object", "properties": { "data": schema }, "required": ["data"] });
        self.answer("200", description, Some(("application/json", envelope)));
    }

    /// An answer to read about in the error form.
    pub(super) fn error(&mut self, status: &str, response: &str) {
        self.answers
            .entry(status)
            .or_insert_with(|| json!({ "$ref": format!("#/components/responses/{response}") }));
    }

    /// The finished operation, with the errors that it may be answered with.
    pub(super) fn finish(mut self, reads_bodies: bool) -> Value {
        for (status, response) in ALWAYS {
            self.error(status, response);
        }
        if self.takes_body || reads_bodies {
            for (status, response) in OF_BODIES {
                self.error(status, response);
            }
        }
        if !self.parameters.is_empty() {
            // What a path names may be a path of its own.
            self.error("404", "RouteNotFound");
            self.members.insert("parameters".to_owned(), Value::Array(self.parameters));
        }
        self.answers.sort_keys();
        self.members.insert("responses".to_owned(), Value::Object(self.answers));
        Value::Object(self.members)
    }
}

fn push_camel(id: &mut String, segment: &str) {
    let mut is_start = true;
    for c in segment.chars() {
        if c.is_alphanumeric() {
            if is_start {
                id.extend(c.to_uppercase());
            } else {
                id.push(c);
            }
            is_start = false;
        } else {
            is_start = true;
            // `a_b` and `ab` are not the same.
            if c == '_' {
                id.push('_');
            }
        }
    }
}

/// The answers that operations share.
pub(super) fn responses() -> Value {
    let all = [
        (
            "InvalidRequest",
            "The request is malformed, or a value breaks a rule; `extensions.code` tells which",
        ),
        ("InvalidCredentials", "Signing in failed, or the token is unknown or expired"),
        ("Forbidden", "Not allowed, or not there: the two look the same"),
        ("RouteNotFound", "There is no such route, or it does not have this method"),
        ("Conflict", "The same thing is being done right now"),
        ("LimitExceeded", "A limit of the server is passed; `extensions.limit` names it"),
        ("RequestLineTooLong", "The URL is longer than the server takes"),
        ("UnsupportedMediaType", "The body is of a media type that is not read here"),
        ("UnprocessableContent", "The request is well formed and cannot be done"),
        ("RequestsExceeded", "Too many requests; `Retry-After` tells when to come back"),
        ("HeadersTooLarge", "The headers are larger than the server takes"),
        ("RangeNotSatisfiable", "The file has no such part"),
        ("PreconditionFailed", "The item is no longer what `If-Match` says"),
        ("ServiceUnavailable", "Something the server needs is away; `Retry-After` tells when to come back"),
    ];
    let response = |description: &str| json!({ "description": description, "content": { "application/json": { "schema": reference("Error") } } });
    all.iter().map(|(name, about)| ((*name).to_owned(), response(about))).collect::<Map<_, _>>().into()
}

/// The parameters of reads, by name.
pub(super) fn parameters() -> Value {
    let list = json!({ "type": "array", "items": { "type": "string" } });
    let object = json!({ "type": "object" });
    let natural = json!({ "type": "integer", "minimum": 0, "maximum": i32::MAX });
    let plain = |name: &str, schema: &Value, about: &str| {
        let mut parameter =
            json!({ "name": name, "in": "query", "required": false, "description": about, "schema": schema });
        if schema["type"] == "array" {
            parameter["style"] = json!("form");
            parameter["explode"] = json!(false);
        }
        parameter
    };
    let as_json = |name: &str, about: &str| {
        json!({
            "name": name, "in": "query", "required": false, "description": about,
            "content": { "application/json": { "schema": object } },
        })
    };
    let all = [
        plain(
            "fields",
            &list,
            "Fields of the answer, with dots into relations: `title,author.name`. `*` stands for all",
        ),
        as_json("filter", "Which items: `{\"status\":{\"_eq\":\"published\"}}`"),
        plain("search", &json!({ "type": "string" }), "A text to look for in every searchable field"),
        plain("sort", &list, "Fields to sort by, `-` before those that go down"),
        plain(
            "limit",
            &json!({ "type": "integer", "minimum": -1, "maximum": i32::MAX }),
            "Most items; -1 for as many as allowed",
        ),
        plain("offset", &natural, "Items to leave out at the start"),
        plain("page", &natural, "Which page of `limit` items, from 1 on"),
        as_json("deep", "Parameters for relations: `{\"comments\":{\"_limit\":3}}`"),
        as_json("alias", "Other names for fields: `{\"headline\":\"title\"}`"),
        as_json("aggregate", "Figures instead of items: `{\"count\":\"*\",\"sum\":[\"price\"]}`"),
        plain("groupBy", &list, "Fields to group figures by"),
        plain("meta", &list, "Counts beside the items: `total_count`, `filter_count`, `*`"),
        plain(
            "export",
            &json!({ "enum": ["csv", "json", "xml", "yaml", "xlsx"] }),
            "Answer with a file of this format instead",
        ),
        plain("version", &json!({ "type": "string" }), "Key of the content version to show"),
    ];
    all.into_iter()
        .map(|parameter| (parameter["name"].as_str().unwrap_or_default().to_owned(), parameter))
        .collect::<Map<_, _>>()
        .into()
}
