//! The OpenAPI 3.1 document of what one caller may use.
//!
//! `fixed` holds the routes that every model has, written in the short form that `words` reads; `items` makes those of collections,
//! and `schemas` describes their items.

mod fixed;
mod items;
mod operation;
mod schemas;
mod words;

use serde_json::{Map, Value, json};

use crate::access::{Action, Context};
use schemas::Schemas;

/// Version of what the document describes; that of the program is told to nobody here, since visitors may read this.
const VERSION: &str = "1.0.0";

/// Tells whether there is a route: a method in upper case, a path whose places stand in braces.
pub type IsRoute = fn(&str, &str) -> bool;

/// Describes every route, collection and field that the caller of this context may use.
pub fn document(ctx: &Context, public_url: &str, is_route: IsRoute) -> Value {
    let mut schemas = Schemas::new(ctx);
    let mut paths = Map::new();
    for (path, operations) in fixed::paths() {
        let allowed: Map<String, Value> = operations
            .iter()
            .filter(|operation| operation.access.allows(ctx))
            .map(|operation| (operation.method.clone(), operation.value.clone()))
            .collect();
        if !allowed.is_empty() {
            paths.insert(path.clone(), Value::Object(allowed));
        }
    }
    items::add(ctx, &mut schemas, &mut paths);
    for (path, methods) in &mut paths {
        if let Some(methods) = methods.as_object_mut() {
            methods.retain(|method, _| is_route(&method.to_uppercase(), path));
        }
    }
    paths.retain(|_, methods| methods.as_object().is_some_and(|methods| !methods.is_empty()));
    paths.sort_keys();
    let mut components = schemas.finish();
    components.extend(fixed::schemas());
    components.sort_keys();
    // A document that names what it does not show would not be whole.
    keep_named(&paths, &mut components);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tablature",
            "version": VERSION,
            "description": "Made from the model, for the rights of whoever asks: what is not here may not be used.\n\n\
                Lists also take `SEARCH`, with the parameters of `GET` in the body as `query`; OpenAPI 3.1 has no word for it.",
        },
        "servers": [{ "url": public_url }],
        "security": [{}, { "bearer": [] }, { "access_token": [] }, { "session": [] }],
        "tags": tags(&paths),
        "paths": paths,
        "components": {
            "schemas": components,
            "parameters": operation::parameters(),
            "responses": operation::responses(),
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "access_token": { "type": "apiKey", "in": "query", "name": "access_token" },
                "session": { "type": "apiKey", "in": "cookie", "name": "directus_session_token" },
            },
        },
    })
}

/// The tags that operations have, each once.
fn tags(paths: &Map<String, Value>) -> Value {
    let operations = paths.values().filter_map(Value::as_object).flat_map(Map::values);
    let mut names: Vec<&str> = operations.filter_map(|operation| operation["tags"][0].as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(|name| json!({ "name": name })).collect()
}

/// Drops schemas that nothing leads to.
fn keep_named(paths: &Map<String, Value>, components: &mut Map<String, Value>) {
    let mut named = vec!["Error".to_owned()];
    for path in paths.values() {
        references(path, &mut named);
    }
    let mut next = 0;
    while let Some(name) = named.get(next).cloned() {
        if let Some(schema) = components.get(&name) {
            let mut found = Vec::new();
            references(schema, &mut found);
            found.retain(|name| !named.contains(name));
            named.extend(found);
        }
        next += 1;
    }
    components.retain(|name, _| named.contains(name));
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if let Some(name) = members.get("$ref").and_then(Value::as_str)
                && let Some(name) = name.strip_prefix("#/components/schemas/")
                && !found.iter().any(|known| known == name)
            {
                found.push(name.to_owned());
            }
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(entries) => entries.iter().for_each(|entry| references(entry, found)),
        _ => {}
    }
}

/// Who may use an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Access {
    /// Everybody.
    Anyone,
    /// Whoever is signed in.
    User,
    /// Administrators.
    Admin,
    /// Who may do this to items of this collection.
    To(Action, String),
    /// Who may do this to items of any collection.
    ToAny(Action),
}

impl Access {
    /// `anyone`, `user`, `admin`, or an action and perhaps a collection: `read directus_files`.
    fn read(text: &str) -> Option<Self> {
        Some(match text {
            "anyone" => Access::Anyone,
            "user" => Access::User,
            "admin" => Access::Admin,
            _ => match text.split_once(' ') {
                Some((action, collection)) => Access::To(Action::find(action)?, collection.to_owned()),
                None => Access::ToAny(Action::find(text)?),
            },
        })
    }

    fn allows(&self, ctx: &Context) -> bool {
        match self {
            Access::Anyone => true,
            Access::User => ctx.accountability.user.is_some(),
            Access::Admin => ctx.rules.is_everything(),
            Access::To(action, collection) => {
                ctx.schema.find(collection).is_some_and(|id| ctx.allowed(id, *action).is_some())
            }
            Access::ToAny(action) => {
                let mut of_project = ctx.schema.collections().filter(|(_, found)| !found.is_system());
                of_project.any(|(id, _)| ctx.allowed(id, *action).is_some())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::access::{AccessRules, Accountability};
    use crate::schema::{SourceFile, load};

    fn context(rules: AccessRules) -> Context {
        let yaml = "collection: articles\nfields:\n  id: integer_pk\n  title: string(80)!\n  price: decimal(10,2)\n  \
                    tags: csv\n  author: m2o(authors)\n";
        let authors =
            "collection: authors\nfields:\n  id: uuid_pk\n  name: string\n  articles: o2m(articles.author)\n";
        let file =
            |path: &str, text: &str| SourceFile { path: path.to_owned(), text: text.as_bytes().to_vec() };
        let (loaded, findings) = load(&[file("articles.yaml", yaml), file("authors.yaml", authors)], 1);
        let loaded = loaded.unwrap_or_else(|| panic!("{findings:?}"));
        Context {
            accountability: Arc::new(Accountability::default()),
            rules: Arc::new(rules),
            schema: Arc::new(loaded.schema),
            now: Timestamp::UNIX_EPOCH,
            request_id: Uuid::nil(),
        }
    }

    #[test]
    fn items_are_described_field_by_field() {
        let document = document(&context(AccessRules::Everything), "http://localhost", |_, _| true);
        let schemas = &document["components"]["schemas"];
        let articles = &schemas["ItemsArticles"]["properties"];
        assert_eq!(articles["id"], json!({ "type": "integer", "readOnly": true }));
        assert_eq!(articles["title"], json!({ "type": "string", "maxLength": 80 }));
        assert_eq!(articles["price"]["type"], json!(["string", "null"]));
        assert_eq!(articles["tags"], json!({ "type": ["array", "null"], "items": { "type": "string" } }));
        assert_eq!(
            articles["author"]["anyOf"],
            json!([
                { "type": "string", "format": "uuid" },
                { "$ref": "#/components/schemas/ItemsAuthors" },
                { "type": "null" },
            ])
        );
        assert_eq!(schemas["ItemsArticlesCreate"]["required"], json!(["title"]));
        assert_eq!(schemas["ItemsArticlesUpdate"].get("required"), None);
        assert_eq!(document["paths"]["/items/articles/{id}"]["patch"]["tags"], json!(["Items"]));
        assert!(document["paths"]["/users"]["post"].is_object() && document["paths"]["/metrics"].is_object());
    }

    #[test]
    fn what_may_not_be_used_is_not_there() {
        let document = document(&context(AccessRules::Nothing), "http://localhost", |_, _| true);
        let paths = document["paths"].as_object().expect("paths");
        assert!(paths.contains_key("/server/ping") && paths.contains_key("/auth/login"));
        assert!(
            !paths.keys().any(|path| path.starts_with("/items") || path.starts_with("/metrics")),
            "{paths:?}"
        );
        assert!(!document["components"]["schemas"].to_string().contains("articles"));
    }

    #[test]
    fn nothing_refers_to_what_is_missing() {
        for rules in [AccessRules::Everything, AccessRules::Nothing] {
            let document = document(&context(rules), "http://localhost", |_, _| true);
            let mut named = Vec::new();
            references(&document, &mut named);
            let schemas = document["components"]["schemas"].as_object().expect("schemas");
            assert_eq!(named.iter().find(|name| !schemas.contains_key(*name)), None);
        }
    }
}
