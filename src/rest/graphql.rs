//! `/graphql`: the same items in another language; and `/graphql/system` with what the system has beside them.

mod describe;
mod system;
mod table;

use std::borrow::Cow;

use actix_web::http::{StatusCode, header};
use serde_json::{Map, Value};

use super::Api;
use crate::access::Context;
use crate::error::{Error, Result};
use crate::graphql::{NoExtra, Request, Scope};
use crate::server::{Answer, Body, Call, Content, entries, object};

pub use describe::describe;
use system::SystemFields;

/// A route of this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GraphqlRoute {
    /// `/graphql`
    Items,
    /// `/graphql/system`
    System,
    /// `/server/specs/graphql`
    Sdl,
    /// `/server/specs/graphql/system`
    SystemSdl,
}

impl GraphqlRoute {
    /// The route of what follows `/graphql`.
    pub(super) fn find(path: &[Cow<'_, str>]) -> Option<Self> {
        match path {
            [] => Some(GraphqlRoute::Items),
            [a] if a == "system" => Some(GraphqlRoute::System),
            _ => None,
        }
    }

    /// The route of what follows `/server/specs/graphql`.
    pub(super) fn find_sdl(path: &[Cow<'_, str>]) -> Option<Self> {
        match path {
            [] => Some(GraphqlRoute::Sdl),
            [a] if a == "items" => Some(GraphqlRoute::Sdl),
            [a] if a == "system" => Some(GraphqlRoute::SystemSdl),
            _ => None,
        }
    }

    /// How logs and figures call it.
    pub(super) fn pattern(self) -> &'static str {
        match self {
            GraphqlRoute::Items => "/graphql",
            GraphqlRoute::System => "/graphql/system",
            GraphqlRoute::Sdl => "/server/specs/graphql",
            GraphqlRoute::SystemSdl => "/server/specs/graphql/system",
        }
    }

    /// Its methods, as `Allow` lists them.
    pub(super) fn methods(self) -> &'static str {
        match self {
            GraphqlRoute::Items | GraphqlRoute::System => "GET, HEAD, POST",
            GraphqlRoute::Sdl | GraphqlRoute::SystemSdl => "GET, HEAD",
        }
    }
}

pub(super) async fn answer(api: &Api, call: &mut Call<'_>, route: GraphqlRoute) -> Result<Answer> {
    let ctx = api.context(call).await?;
    let scope = match route {
        GraphqlRoute::Items => Scope::Items,
        GraphqlRoute::System => Scope::System,
        GraphqlRoute::Sdl => return sdl(api, &ctx, Scope::Items).await,
        GraphqlRoute::SystemSdl => return sdl(api, &ctx, Scope::System).await,
    };
    let may_change = call.method.as_str() == "POST";
    let body = if may_change { call.json().await? } else { Some(Value::Object(parameters(call)?)) };
    match body {
        Some(Value::Array(bodies)) if api.graphql.config().batch > 0 => {
            several(api, call, &ctx, scope, bodies).await
        }
        body => {
            let request = Request::from_body(object(body)?)?;
            one(api, call, &ctx, scope, &request, may_change).await.map(Answer::Members)
        }
    }
}

/// Answers one request.
async fn one(
    api: &Api,
    call: &Call<'_>,
    ctx: &Context,
    scope: Scope,
    request: &Request,
    may_change: bool,
) -> Result<Vec<u8>> {
    match scope {
        Scope::Items => api.graphql.answer(ctx, scope, request, may_change, &NoExtra).await,
        Scope::System => {
            let extra = SystemFields { api, call };
            api.graphql.answer(ctx, scope, request, may_change, &extra).await
        }
    }
}

/// Several requests, one after the other; each has its own answer in the list.
async fn several(
    api: &Api,
    call: &Call<'_>,
    ctx: &Context,
    scope: Scope,
    bodies: Vec<Value>,
) -> Result<Answer> {
    let most = api.graphql.config().batch;
    if bodies.len() > most {
        return Err(Error::LimitExceeded { limit: "GRAPHQL_MAX_BATCH", most: most as u64 });
    }
    let mut out = b"[".to_vec();
    for body in bodies {
        let answer = match object(Some(body)).and_then(Request::from_body) {
            Ok(request) => one(api, call, ctx, scope, &request, true).await,
            Err(error) => Err(error),
        };
        if out.len() > 1 {
            out.push(b',');
        }
        out.push(b'{');
        match answer {
            Ok(members) => out.extend_from_slice(&members),
            Err(error @ Error::Internal { .. }) => return Err(error),
            Err(error) => {
                out.extend_from_slice(b"\"errors\":");
                out.extend_from_slice(Value::Array(entries(&error)).to_string().as_bytes());
            }
        }
        out.push(b'}');
    }
    out.push(b']');
    Ok(Answer::Content(Box::new(Content {
        status: StatusCode::OK,
        headers: vec![(header::CONTENT_TYPE, "application/json; charset=utf-8".to_owned())],
        body: Body::Whole(out.into()),
    })))
}

/// The schema of what the caller may use, as a file.
async fn sdl(api: &Api, ctx: &Context, scope: Scope) -> Result<Answer> {
    if !api.graphql.config().introspection {
        return Err(Error::Forbidden);
    }
    let text = api.graphql.sdl(ctx, scope).await?;
    let name = match scope {
        Scope::Items => "items",
        Scope::System => "system",
    };
    let disposition = format!("attachment; filename=\"{name}.graphql\"");
    Ok(Answer::Content(Box::new(Content {
        status: StatusCode::OK,
        headers: vec![
            (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
            (header::CONTENT_DISPOSITION, disposition),
        ],
        body: Body::Whole(text.into()),
    })))
}

/// The parameters of a `GET`, as the body of a `POST` would have them.
fn parameters(call: &Call<'_>) -> Result<Map<String, Value>> {
    let mut body = Map::new();
    for (name, value) in call.parameters()? {
        let value = match name.as_str() {
            "variables" if !value.trim().is_empty() => serde_json::from_str(&value)
                .map_err(|error| Error::query(format_args!("\"variables\" is not valid JSON: {error}")))?,
            _ => Value::from(value),
        };
        body.insert(name, value);
    }
    Ok(body)
}
