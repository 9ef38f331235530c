//! The same requests through every door: REST, GraphQL and sockets.
//!
//! Start at [`Asker`]. What a door has no word for is `None`; an [`Outcome`] is the same whatever the door, so that a scenario can
//! say what is right without knowing which it stands at.

use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::client::{Answer, Client};
use super::socket::Socket;

/// A way to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Rest,
    GraphQl,
    Socket,
}

/// What came of a request.
pub struct Outcome {
    /// The request and its answer, for messages.
    pub what: String,
    /// The first error.
    pub code: Option<String>,
    pub data: Value,
    /// The answer as it came.
    pub text: String,
    /// `filter_count`, where it was asked for and the door tells it.
    pub count: Option<Value>,
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.what)
    }
}

impl Outcome {
    pub fn is_ok(&self) -> bool {
        self.code.is_none()
    }

    /// One member of each item.
    #[track_caller]
    pub fn column(&self, name: &str) -> Vec<Value> {
        let rows = self.data.as_array().unwrap_or_else(|| panic!("not a list: {self:?}"));
        rows.iter().map(|row| row[name].clone()).collect()
    }
}

/// Items that a change is about.
pub enum Which<'a> {
    One(&'a Value),
    These(&'a [Value]),
    /// What this query finds.
    Found(Value),
}

/// A collection, as far as a request must know it.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub collection: &'a str,
    pub key: &'a str,
    /// Whether the caller may read it at all; GraphQL answers changes with items only then.
    pub is_readable: bool,
}

/// Somebody at a door.
pub struct Asker {
    door: Door,
    client: Client,
    socket: Mutex<Option<Socket>>,
}

impl Asker {
    pub fn new(door: Door, client: Client) -> Self {
        Asker { door, client, socket: Mutex::default() }
    }

    /// Whether the smallest of several values can be asked for: GraphQL compares numbers and dates only.
    pub fn compares(&self, is_number: bool) -> bool {
        is_number || self.door != Door::GraphQl
    }

    /// Reads one item: its key.
    pub async fn item(&self, place: Place<'_>, key: &Value) -> Outcome {
        match self.door {
            Door::Rest => rest(self.client.get(&path_of(place, key)).await),
            Door::GraphQl => {
                let Place { collection, key: name, .. } = place;
                let field = format!("{collection}_by_id");
                self.graphql("query", &field, &format!("(id: {})", literal(key)), &format!("{{ {name} }}"))
                    .await
            }
            Door::Socket => self.items_message(place, "read", json!({ "id": key })).await,
        }
    }

    /// Reads items or figures.
    pub async fn items(&self, place: Place<'_>, query: &Value) -> Option<Outcome> {
        Some(match self.door {
            Door::Rest => rest(self.client.items(place.collection, query.clone()).await),
            Door::GraphQl => {
                let (field, arguments, selection) = graphql_read(place.collection, query)?;
                self.graphql("query", &field, &arguments, &selection).await
            }
            Door::Socket => self.items_message(place, "read", json!({ "query": query })).await,
        })
    }

    /// Makes an item, or several when `data` is a list.
    pub async fn create(&self, place: Place<'_>, data: &Value) -> Outcome {
        match self.door {
            Door::Rest => rest(self.client.post(&list_of(place), data.clone()).await),
            Door::GraphQl => {
                let field =
                    format!("create_{}_item{}", place.collection, if data.is_array() { "s" } else { "" });
                self.graphql("mutation", &field, &format!("(data: {})", literal(data)), &answer_of(place))
                    .await
            }
            Door::Socket => self.items_message(place, "create", json!({ "data": data })).await,
        }
    }

    /// Changes items alike.
    pub async fn update(&self, place: Place<'_>, which: Which<'_>, data: &Value) -> Option<Outcome> {
        let Place { collection, .. } = place;
        Some(match (self.door, which) {
            (Door::Rest, Which::One(key)) => {
                rest(self.client.patch(&path_of(place, key), data.clone()).await)
            }
            (Door::Rest, Which::These(keys)) => {
                rest(self.client.patch(&list_of(place), json!({ "keys": keys, "data": data })).await)
            }
            (Door::Rest, Which::Found(query)) => {
                rest(self.client.patch(&list_of(place), json!({ "query": query, "data": data })).await)
            }
            (Door::GraphQl, Which::One(key)) => {
                let arguments = format!("(id: {}, data: {})", literal(key), literal(data));
                self.graphql("mutation", &format!("update_{collection}_item"), &arguments, &answer_of(place))
                    .await
            }
            (Door::GraphQl, Which::These(keys)) => {
                let arguments = format!("(ids: {}, data: {})", literal(&json!(keys)), literal(data));
                self.graphql("mutation", &format!("update_{collection}_items"), &arguments, &answer_of(place))
                    .await
            }
            (Door::GraphQl, Which::Found(_)) => return None,
            (Door::Socket, which) => {
                let mut message = named(which);
                message["data"] = data.clone();
                self.items_message(place, "update", message).await
            }
        })
    }

    /// Changes items each in its own way; each carries its key.
    pub async fn update_each(&self, place: Place<'_>, items: &Value) -> Option<Outcome> {
        Some(match self.door {
            Door::Rest => rest(self.client.patch(&list_of(place), items.clone()).await),
            Door::GraphQl => {
                let field = format!("update_{}_batch", place.collection);
                self.graphql("mutation", &field, &format!("(data: {})", literal(items)), &answer_of(place))
                    .await
            }
            Door::Socket => return None,
        })
    }

    pub async fn delete(&self, place: Place<'_>, which: Which<'_>) -> Option<Outcome> {
        let Place { collection, .. } = place;
        Some(match (self.door, which) {
            (Door::Rest, Which::One(key)) => rest(self.client.delete(&path_of(place, key)).await),
            (Door::Rest, Which::These(keys)) => {
                rest(self.client.delete_with(&list_of(place), json!(keys)).await)
            }
            (Door::Rest, Which::Found(query)) => {
                rest(self.client.delete_with(&list_of(place), json!({ "query": query })).await)
            }
            (Door::GraphQl, Which::One(key)) => {
                let arguments = format!("(id: {})", literal(key));
                self.graphql("mutation", &format!("delete_{collection}_item"), &arguments, "{ id }").await
            }
            (Door::GraphQl, Which::These(keys)) => {
                let arguments = format!("(ids: {})", literal(&json!(keys)));
                self.graphql("mutation", &format!("delete_{collection}_items"), &arguments, "{ ids }").await
            }
            (Door::GraphQl, Which::Found(_)) => return None,
            (Door::Socket, which) => self.items_message(place, "delete", named(which)).await,
        })
    }

    async fn graphql(&self, kind: &str, field: &str, arguments: &str, selection: &str) -> Outcome {
        let query = format!("{kind} {{ it: {field}{arguments} {selection} }}");
        let answer = self.client.post("/graphql", json!({ "query": query })).await;
        let body = answer.json();
        let code = body["errors"][0]["extensions"]["code"].as_str();
        // Of several mistakes in a document any one is told.
        let text =
            if code == Some("GRAPHQL_VALIDATION") { "not in the schema".to_owned() } else { answer.text() };
        // What somebody may not use is not in their schema.
        let code = code.map(|code| if code == "GRAPHQL_VALIDATION" { "FORBIDDEN" } else { code }.to_owned());
        let what = format!("{query} => {answer:?}");
        assert!(code.is_some() || (answer.status == 200 && body["errors"].is_null()), "{what}");
        Outcome { what, code, data: body["data"]["it"].clone(), text, count: None }
    }

    async fn items_message(&self, place: Place<'_>, action: &str, mut message: Value) -> Outcome {
        message["type"] = json!("items");
        message["action"] = json!(action);
        message["collection"] = json!(place.collection);
        let mut kept = self.socket.lock().await;
        if kept.is_none() {
            *kept = Some(match self.client.token() {
                Some(_) => Socket::signed_in(&self.client).await,
                None => Socket::open(&self.client).await,
            });
        }
        let socket = kept.as_mut().expect("it was opened");
        let what = message.to_string();
        let answer = socket.ask(message).await;
        let what = format!("{what} => {answer}");
        let code = answer["error"]["code"].as_str().map(|code| {
            // A collection without a right and one that is not there are told alike.
            if code == "INVALID_COLLECTION" { "FORBIDDEN" } else { code }.to_owned()
        });
        assert!(code.is_some() == (answer["status"] == "error"), "{what}");
        let count = answer["meta"].get("filter_count").cloned();
        Outcome { what, code, data: answer["data"].clone(), text: answer.to_string(), count }
    }
}

fn rest(answer: Answer) -> Outcome {
    let what = format!("{answer:?}");
    let text = answer.text();
    match answer.status {
        204 => Outcome { what, code: None, data: Value::Null, text, count: None },
        200 => {
            let body = answer.json();
            let count = body["meta"].get("filter_count").cloned();
            Outcome { what, code: None, data: body["data"].clone(), text, count }
        }
        _ => {
            let code = answer.errors()[0]["extensions"]["code"].as_str().map(str::to_owned);
            assert!(code.is_some(), "{what}");
            Outcome { what, code, data: Value::Null, text, count: None }
        }
    }
}

fn list_of(place: Place<'_>) -> String {
    format!("/items/{}", place.collection)
}

fn path_of(place: Place<'_>, key: &Value) -> String {
    let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
    format!("/items/{}/{key}", place.collection)
}

fn named(which: Which<'_>) -> Value {
    match which {
        Which::One(key) => json!({ "id": key }),
        Which::These(keys) => json!({ "ids": keys }),
        Which::Found(query) => json!({ "query": query }),
    }
}

fn answer_of(place: Place<'_>) -> String {
    if place.is_readable { format!("{{ {} }}", place.key) } else { String::new() }
}

/// A value as GraphQL writes it in a document.
pub fn literal(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: Vec<String> =
                members.iter().map(|(name, value)| format!("{name}: {}", literal(value))).collect();
            format!("{{ {} }}", members.join(", "))
        }
        Value::Array(entries) => {
            let entries: Vec<String> = entries.iter().map(literal).collect();
            format!("[{}]", entries.join(", "))
        }
        plain => plain.to_string(),
    }
}

/// The names of a parameter that is one name or a list.
fn names(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// A read of REST in the words of GraphQL: field, arguments and selection.
fn graphql_read(collection: &str, query: &Value) -> Option<(String, String, String)> {
    let mut arguments = Vec::new();
    for name in ["filter", "search", "limit", "offset", "page"] {
        if let Some(value) = query.get(name) {
            arguments.push(format!("{name}: {}", literal(value)));
        }
    }
    for name in ["sort", "groupBy"] {
        if let Some(value) = query.get(name) {
            arguments.push(format!("{name}: {}", literal(&json!(names(value)))));
        }
    }
    let arguments = if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) };
    if let Some(aggregate) = query.get("aggregate") {
        let mut selection = Vec::new();
        for (function, fields) in aggregate.as_object()? {
            match names(fields).as_slice() {
                ["*"] if function == "count" => selection.push("count: countAll".to_owned()),
                fields => selection.push(format!("{function} {{ {} }}", fields.join(" "))),
            }
        }
        if query.get("groupBy").is_some() {
            selection.push("group".to_owned());
        }
        let selection = format!("{{ {} }}", selection.join(" "));
        return Some((format!("{collection}_aggregated"), arguments, selection));
    }
    let alias = query.get("alias").and_then(Value::as_object).cloned().unwrap_or_default();
    let fields = names(query.get("fields")?);
    // Here an alias is part of what is asked.
    if alias.keys().any(|name| !fields.contains(&name.as_str())) {
        return None;
    }
    let selection = Selection::of(&fields, query.get("deep").unwrap_or(&Value::Null), &alias)?;
    Some((collection.to_owned(), arguments, selection.to_string()))
}

/// What is asked of items, level by level.
#[derive(Default)]
struct Selection {
    /// Plain fields and relations, with what is asked below.
    fields: Vec<(String, String, Option<Selection>)>,
}

impl Selection {
    /// `None` for wild cards, which GraphQL does not know.
    fn of(paths: &[&str], deep: &Value, alias: &Map<String, Value>) -> Option<Self> {
        let mut selection = Selection::default();
        let mut below: Vec<(&str, Vec<&str>)> = Vec::new();
        for path in paths {
            match path.split_once('.') {
                Some((relation, rest)) => match below.iter_mut().find(|(name, _)| *name == relation) {
                    Some((_, paths)) => paths.push(rest),
                    None => below.push((relation, vec![rest])),
                },
                None if path.contains('*') => return None,
                None => {
                    let written = match alias.get(*path).and_then(Value::as_str) {
                        Some(field) => format!("{path}: {field}"),
                        None => (*path).to_owned(),
                    };
                    selection.fields.push((written, String::new(), None));
                }
            }
        }
        for (relation, paths) in below {
            let deep = &deep[relation];
            let arguments: Vec<String> = ["filter", "limit", "offset", "page", "search", "sort"]
                .into_iter()
                .filter_map(|name| {
                    let value = deep.get(format!("_{name}"))?;
                    Some(format!("{name}: {}", literal(value)))
                })
                .collect();
            let arguments = match arguments.is_empty() {
                true => String::new(),
                false => format!("({})", arguments.join(", ")),
            };
            let inner = Selection::of(&paths, deep, &Map::new())?;
            selection.fields.push((relation.to_owned(), arguments, Some(inner)));
        }
        Some(selection)
    }
}

impl std::fmt::Display for Selection {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("{ ")?;
        for (name, arguments, below) in &self.fields {
            write!(out, "{name}{arguments} ")?;
            if let Some(below) = below {
                write!(out, "{below} ")?;
            }
        }
        out.write_str("}")
    }
}
