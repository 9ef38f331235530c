//! The paths of collections: `/items/{collection}` for each, and those of the system's that have routes like them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::operation::Operation;
use super::schemas::Schemas;
use crate::access::{Action, Context};
use crate::schema::{Collection, CollectionId};

/// What a segment of a path may hold as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-').remove(b'.').remove(b'~');

/// System collections that have no routes like the others.
const OTHERS: &[&str] =
    &["directus_collections", "directus_extensions", "directus_fields", "directus_relations"];

/// Parameters of reads of many items.
const OF_LISTS: &[&str] = &[
    "fields",
    "filter",
    "search",
    "sort",
    "limit",
    "offset",
    "page",
    "deep",
    "alias",
    "aggregate",
    "groupBy",
    "meta",
    "export",
];
/// Parameters of reads of one item.
const OF_ITEMS: &[&str] = &["fields", "deep", "alias", "version"];

/// Adds the paths of everything that the caller may do something with.
pub(super) fn add(ctx: &Context, schemas: &mut Schemas<'_>, paths: &mut Map<String, Value>) {
    for (id, collection) in ctx.schema.collections() {
        let own_route = collection.name.strip_prefix("directus_").filter(|_| collection.is_system());
        if OTHERS.contains(&&*collection.name) {
            continue;
        }
        let writes = collection.key().is_some();
        let path = match own_route {
            Some(name) => format!("/{name}"),
            None => format!("/items/{}", utf8_percent_encode(&collection.name, SEGMENT)),
        };
        let group = Group { ctx, id, collection, tag: tag(collection), path, writes };
        group.add_list(schemas, paths);
        if !group.is_settings() {
            group.add_item(schemas, paths);
        }
    }
}

/// `Items`, or the name of a system collection as people write it.
fn tag(collection: &Collection) -> String {
    let name =
        collection.name.strip_prefix("directus_").filter(|_| collection.is_system()).unwrap_or("items");
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The two paths of a collection.
struct Group<'c> {
    ctx: &'c Context,
    id: CollectionId,
    collection: &'c Collection,
    tag: String,
    path: String,
    writes: bool,
}

impl Group<'_> {
    fn may(&self, action: Action) -> bool {
        let has_route = match action {
            Action::Read => true,
            Action::Create | Action::Delete => self.writes && !self.is_settings(),
            Action::Update | Action::Share => self.writes,
        };
        has_route && self.ctx.allowed(self.id, action).is_some()
    }

    /// The one item of a system collection, which is there and stays.
    fn is_settings(&self) -> bool {
        self.collection.singleton && self.collection.is_system()
    }

    fn operation(&self, method: &str, path: &str, what: &str) -> Operation {
        let mut operation =
            Operation::new(method, path, &self.tag, &format!("{what} `{}`", self.collection.name));
        if let Some(note) = &self.collection.note {
            operation.describe(note);
        }
        operation
    }

    fn add_list(&self, schemas: &mut Schemas<'_>, paths: &mut Map<String, Value>) {
        let mut methods = Map::new();
        let path = &self.path;
        let is_single = self.collection.singleton;
        let item = schemas.read(self.id);
        let items = json!({ "type": "array", "items": item });
        if self.may(Action::Read) {
            let what = if is_single { "Read the item of" } else { "List items of" };
            let mut operation = self.operation("get", path, what);
            let parameters = if is_single { OF_ITEMS } else { OF_LISTS };
            parameters.iter().for_each(|name| operation.shared_parameter(name));
            if is_single {
                operation.data("The item", item.clone());
            } else {
                let envelope = json!({
                    "type": "object",
                    "properties": { "data": items, "meta": { "type": "object" } },
                });
                operation.answer("200", "The items", Some(("application/json", envelope)));
                for media_type in ["text/csv", "text/xml", "text/yaml"] {
                    operation.answer("200", "The items", Some((media_type, json!({}))));
                }
            }
            methods.insert("get".to_owned(), operation.finish(false));
        }
        if self.may(Action::Create) {
            let mut operation = self.operation("post", path, "Make items of");
            operation.shared_parameter("fields");
            let one = schemas.create(self.id);
            let body = json!({ "anyOf": [one, { "type": "array", "items": one }] });
            operation.body("application/json", body, false);
            self.written(&mut operation, json!({ "anyOf": [item, items] }));
            methods.insert("post".to_owned(), operation.finish(true));
        }
        if self.may(Action::Update) {
            let mut operation = self.operation(
                "patch",
                path,
                if is_single { "Change the item of" } else { "Change items of" },
            );
            operation.shared_parameter("fields");
            let one = schemas.update(self.id);
            if is_single {
                operation.body("application/json", one, false);
                self.written(&mut operation, item.clone());
            } else {
                let meant = targets();
                let mut body = meant.clone();
                body["properties"]["data"] = one.clone();
                body["required"] = json!(["data"]);
                let each = json!({ "type": "array", "items": one });
                operation.body("application/json", json!({ "anyOf": [body, each] }), true);
                self.written(&mut operation, items.clone());
            }
            methods.insert("patch".to_owned(), operation.finish(true));
        }
        if self.may(Action::Delete) {
            let mut operation = self.operation("delete", path, "Remove items of");
            let keys = json!({ "type": "array", "items": { "type": ["string", "integer"] } });
            operation.body("application/json", json!({ "anyOf": [keys, targets()] }), true);
            operation.answer("204", "Removed", None);
            methods.insert("delete".to_owned(), operation.finish(true));
        }
        insert(paths, path, methods);
    }

    fn add_item(&self, schemas: &mut Schemas<'_>, paths: &mut Map<String, Value>) {
        let mut methods = Map::new();
        let path = format!("{}/{{id}}", self.path);
        let item = schemas.read(self.id);
        if self.may(Action::Read) {
            let mut operation = self.operation("get", &path, "Read an item of");
            OF_ITEMS.iter().for_each(|name| operation.shared_parameter(name));
            operation.data("The item", item.clone());
            methods.insert("get".to_owned(), operation.finish(false));
        }
        if self.may(Action::Update) {
            let mut operation = self.operation("patch", &path, "Change an item of");
            operation.shared_parameter("fields");
            operation.body("application/json", schemas.update(self.id), false);
            self.written(&mut operation, item);
            methods.insert("patch".to_owned(), operation.finish(true));
        }
        if self.may(Action::Delete) {
            let mut operation = self.operation("delete", &path, "Remove an item of");
            operation.answer("204", "Removed", None);
            methods.insert("delete".to_owned(), operation.finish(true));
        }
        insert(paths, &path, methods);
    }

    fn written(&self, operation: &mut Operation, data: Value) {
        operation.data("What was written, as far as it may be read", data);
        operation.answer("204", "Written, and nothing of it may be read", None);
    }
}

/// Adds methods to a path. Those that are described already are more special.
fn insert(paths: &mut Map<String, Value>, path: &str, methods: Map<String, Value>) {
    let known = paths.entry(path).or_insert_with(|| json!({}));
    for (method, operation) in methods {
        if known.get(&method).is_none() {
            known[&method] = operation;
        }
    }
}

/// The items that a body means: by their keys or by a query.
fn targets() -> Value {
    json!({
        "type": "object",
        "properties": {
            "keys": { "type": "array", "items": { "type": ["string", "integer"] } },
            "query": { "type": "object" },
        },
    })
}
