//! Answers what `/graphql/system` has beside items: each field by the endpoint of REST that it stands for, so that rights, limits and
//! checks are the same.

use std::borrow::Cow;
use std::future::{Future, poll_fn};

use actix_web::http::Method;
use futures::future::LocalBoxFuture;
use serde_json::{Map, Value};

use super::table::{MUTATIONS, QUERIES, Stands, Told};
use crate::access::Context;
use crate::db::JsonBytes;
use crate::error::{Error, Result};
use crate::graphql::{Extra, ExtraAnswer};
use crate::items::{ItemsService, Operation, document};
use crate::query::{Query, Selection};
use crate::rest::route::Route;
use crate::rest::{Api, limits, not_found, system};
use crate::server::{Answer, Body, Call, Inner};
use crate::system::Reply;

/// Stack that an endpoint may need, in bytes; unoptimised builds need most of it.
const LEAST_STACK: usize = 1 << 20;
/// What it gets where there is less.
const MORE_STACK: usize = 2 << 20;

/// The fields of one request.
pub(super) struct SystemFields<'a, 'c> {
    pub(super) api: &'a Api,
    /// The request whose document asks for them.
    pub(super) call: &'a Call<'c>,
}

impl Extra for SystemFields<'_, '_> {
    fn answer<'a>(
        &'a self,
        _: &'a Context,
        field: &'a str,
        arguments: Map<String, Value>,
    ) -> LocalBoxFuture<'a, Result<ExtraAnswer>> {
        Box::pin(async move {
            let stands = QUERIES.iter().chain(MUTATIONS).find(|stands| stands.name == field);
            let stands = stands.ok_or(Error::Forbidden)?;
            let answer = self.ask(stands, &arguments).await?;
            told(stands, answer, arguments)
        })
    }

    fn write<'a>(
        &'a self,
        _: &'a ItemsService,
        ctx: &'a Context,
        collection: &'a str,
        operation: Operation,
        answer: Option<Query>,
    ) -> LocalBoxFuture<'a, Result<Option<JsonBytes>>> {
        let reply = Reply { query: answer, idempotency: None };
        Box::pin(system::write(self.api, ctx, collection, operation, reply))
    }
}

impl SystemFields<'_, '_> {
    /// Sends the request that a field stands for, inside the one that asks.
    async fn ask(&self, stands: &Stands, arguments: &Map<String, Value>) -> Result<Answer> {
        let mut inner = request(stands, arguments)?;
        let mut call = self.call.within(&mut inner);
        let path = call.path;
        let route = Route::find(path).filter(|route| route.takes(call.method.as_str()));
        let route = route.ok_or_else(|| not_found(&call))?;
        call.count_within(limits::class(path)).await?;
        // The request that asks stands on the stack already.
        let mut answering = Box::pin(self.api.go(&mut call, route));
        poll_fn(|task| stacker::maybe_grow(LEAST_STACK, MORE_STACK, || answering.as_mut().poll(task))).await
    }
}

/// The request of a field: arguments that the path names stand there, the others in the body or, where there is none, in parameters.
fn request(stands: &Stands, arguments: &Map<String, Value>) -> Result<Inner> {
    let (method, pattern) = stands.request.split_once(" /").unwrap_or(("GET", stands.request));
    let mut rest = arguments.clone();
    let mut path: Vec<Cow<'static, str>> = Vec::new();
    for part in pattern.split('/') {
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            None => path.push(part.into()),
            Some(name) => path.extend(rest.remove(name).as_ref().and_then(text).map(Cow::Owned)),
        }
    }
    let method = Method::from_bytes(method.as_bytes()).map_err(Error::internal)?;
    let has_body = method == Method::POST || method == Method::PATCH;
    let mut inner = Inner::new(method, path);
    let mut parameters = url::form_urlencoded::Serializer::new(String::new());
    if let Told::Items(_) = stands.told {
        parameters.append_pair("fields", "id");
    }
    if has_body {
        // A change stands in one argument; where there is more, it is a member of the body.
        let body = match rest.remove("data") {
            Some(data) if rest.is_empty() => data,
            None if stands.takes.starts_with("data: ") => Value::Object(rest),
            data => {
                rest.extend(data.map(|data| ("data".to_owned(), data)));
                Value::Object(rest)
            }
        };
        inner.body = body.to_string().into();
    } else {
        for (name, value) in rest.iter().filter_map(|(name, value)| Some((name, text(value)?))) {
            parameters.append_pair(name, &value);
        }
    }
    inner.parameters = parameters.finish();
    Ok(inner)
}

/// A value as a path or a parameter holds it; nothing for `null`.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn told(stands: &Stands, answer: Answer, arguments: Map<String, Value>) -> Result<ExtraAnswer> {
    let value = match stands.told {
        Told::Done => Value::Bool(true),
        Told::Nothing => Value::Null,
        Told::Arguments => Value::Object(arguments),
        Told::Data => content(answer)?.unwrap_or_default(),
        Told::Items(collection) => match content(answer)? {
            None | Some(Value::Null) => Value::Bool(true),
            Some(named) => return items(collection, &named),
        },
    };
    Ok(ExtraAnswer::Value(value))
}

/// The items that an answer names by their keys.
fn items(collection: &str, named: &Value) -> Result<ExtraAnswer> {
    let key = |item: &Value| item["id"].as_str().map(str::to_owned).ok_or(Error::Forbidden);
    let selection = match named {
        Value::Array(items) if items.is_empty() => return Ok(ExtraAnswer::Value(named.clone())),
        Value::Array(items) => Selection::Keys(items.iter().map(key).collect::<Result<_>>()?),
        one => Selection::Key(key(one)?),
    };
    Ok(ExtraAnswer::Items(collection.to_owned(), selection))
}

/// What an answer holds: its `data`, or all of it; `None` where it holds nothing.
fn content(answer: Answer) -> Result<Option<Value>> {
    Ok(match answer {
        Answer::Members(members) | Answer::Tagged(members, _) => Some(document(&members)?),
        Answer::Document(mut value) | Answer::WithStatus(_, mut value) => Some(match value.get_mut("data") {
            Some(data) => data.take(),
            None => value,
        }),
        Answer::Text(media_type, text) if media_type.starts_with("application/json") => {
            Some(serde_json::from_str(&text).map_err(Error::internal)?)
        }
        Answer::Text(_, text) => Some(Value::String(text)),
        Answer::Content(content) => match content.body {
            Body::Whole(bytes) => Some(Value::String(String::from_utf8_lossy(&bytes).into_owned())),
            Body::Empty | Body::Stream(..) => None,
        },
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(name: &str, arguments: Value, expected: (&str, &str, &str, &str)) {
        let stands = QUERIES.iter().chain(MUTATIONS).find(|stands| stands.name == name).expect("a field");
        let Value::Object(arguments) = arguments else { panic!("arguments") };
        let inner = request(stands, &arguments).expect("a request");
        let body = String::from_utf8(inner.body.to_vec()).expect("text");
        let found = (inner.method.as_str(), &*inner.path.join("/"), &*inner.parameters, &*body);
        assert_eq!(found, expected, "{name}");
    }

    #[test]
    fn fields_stand_for_requests() {
        check(
            "auth_login",
            json!({ "email": "a@b", "password": "x" }),
            ("POST", "auth/login", "", r#"{"email":"a@b","password":"x"}"#),
        );
        check(
            "users_register_verify",
            json!({ "token": "a&b" }),
            ("GET", "users/register/verify-email", "token=a%26b", ""),
        );
        check("utils_random_string", json!({ "length": null }), ("GET", "utils/random/string", "", ""));
        check("server_specs_graphql", json!({}), ("GET", "server/specs/graphql", "", ""));
        check(
            "server_specs_graphql",
            json!({ "scope": "system" }),
            ("GET", "server/specs/graphql/system", "", ""),
        );
        check(
            "update_fields_item",
            json!({ "collection": "a", "field": "b/c", "data": { "type": "string" } }),
            ("PATCH", "fields/a/b/c", "", r#"{"type":"string"}"#),
        );
        check(
            "delete_fields_item",
            json!({ "collection": "a", "field": "b" }),
            ("DELETE", "fields/a/b", "", ""),
        );
        check("utils_revert", json!({ "revision": 7 }), ("POST", "utils/revert/7", "", "{}"));
        check(
            "import_file",
            json!({ "url": "http://a", "data": { "title": "t" } }),
            ("POST", "files/import", "fields=id", r#"{"url":"http://a","data":{"title":"t"}}"#),
        );
        check(
            "update_users_me",
            json!({ "data": { "title": "t" } }),
            ("PATCH", "users/me", "fields=id", r#"{"title":"t"}"#),
        );
        check("users_me", json!({}), ("GET", "users/me", "fields=id", ""));
    }

    #[test]
    fn every_field_stands_for_a_route() {
        for stands in QUERIES.iter().chain(MUTATIONS) {
            let (method, pattern) = stands.request.split_once(' ').expect("method and path");
            let pattern = pattern.replace("{name}", "{collection}").replace("{scope}", "system");
            assert!(crate::rest::is_route(method, &pattern), "{}", stands.name);
        }
        assert!(QUERIES.iter().all(|query| query.request.starts_with("GET ")), "reading changes nothing");
    }
}
