//! `/tablature/explain`: why somebody may or may not do something. For administrators.
//!
//! `?user=&collection=&action=&item=&field=` asks about a user (a visitor, without one); `?request=` about a request that was
//! answered 403, by its `X-Request-Id`.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Api;
use super::files::FilesRoute;
use super::route::Route;
use crate::access::{Action, Context};
use crate::error::{Error, Result};
use crate::files::FILES;
use crate::items::Question;
use crate::server::{Answer, Call};

/// Refused requests that are remembered, and how long.
const MOST_DENIALS: u64 = 10_000;
const KEPT: Duration = Duration::from_secs(60 * 60);

/// Requests that were answered 403 by this node, by their id.
pub struct Denials {
    kept: Cache<Uuid, Arc<Denial>>,
}

impl Default for Denials {
    fn default() -> Self {
        Denials { kept: Cache::builder().max_capacity(MOST_DENIALS).time_to_live(KEPT).build() }
    }
}

/// One of them.
struct Denial {
    user: Option<String>,
    method: String,
    path: String,
    at: String,
    question: Question,
}

/// Keeps what an explanation needs of a refused request that was about a collection.
pub(super) async fn remember(api: &Api, call: &Call<'_>, route: &Route<'_>) {
    let (collection, item) = match route {
        Route::Items(collection) => (*collection, None),
        Route::Item(collection, key) => (*collection, Some((*key).to_owned())),
        Route::System(system) => (system.collection, None),
        Route::SystemItem(system, key) => (system.collection, Some((*key).to_owned())),
        Route::Sort(collection) => (*collection, None),
        Route::Files(FilesRoute::One(key)) => (FILES, Some((*key).to_owned())),
        Route::Files(_) => (FILES, None),
        Route::Asset(key, _) => (FILES, Some((*key).to_owned())),
        _ => return,
    };
    let action = match (call.method.as_str(), route) {
        (_, Route::Sort(_)) | ("PATCH", _) => Action::Update,
        ("POST", _) => Action::Create,
        ("DELETE", _) => Action::Delete,
        _ => Action::Read,
    };
    // Whoever was let in to be refused is known still.
    let Ok(ctx) = api.caller(call).await else { return };
    let denial = Denial {
        user: ctx.accountability.user.clone(),
        method: call.method.to_string(),
        path: format!("/{}", call.path.join("/")),
        at: call.now.to_string(),
        question: Question { collection: collection.to_owned(), action, item, field: None },
    };
    api.denials.kept.insert(call.id, Arc::new(denial));
}

pub(super) async fn explain(api: &Api, call: &Call<'_>, ctx: &Context) -> Result<Answer> {
    let (mut user, mut request) = (None, None);
    let (mut collection, mut action, mut item, mut field) = (None, None, None, None);
    for (name, value) in call.parameters()? {
        let place = match name.as_ref() {
            "user" => &mut user,
            "request" => &mut request,
            "collection" => &mut collection,
            "action" => &mut action,
            "item" => &mut item,
            "field" => &mut field,
            "access_token" => continue,
            other => return Err(Error::query(format_args!("\"{other}\" is no parameter of an explanation"))),
        };
        *place = Some(value.to_string());
    }
    if let Some(request) = request {
        return denial(api, ctx, &request, field).await;
    }
    let needed = |name: &str| Error::query(format_args!("\"{name}\" is required"));
    let action = action.unwrap_or_else(|| "read".to_owned());
    let question = Question {
        collection: collection.ok_or_else(|| needed("collection"))?,
        action: Action::find(&action)
            .ok_or_else(|| Error::query(format_args!("\"{action}\" is not an action")))?,
        item,
        field,
    };
    let explanation = explanation(api, ctx, user.as_deref(), &question).await?;
    Ok(Answer::Document(json!({ "data": explanation })))
}

/// What was refused, and why by the rights of now.
async fn denial(api: &Api, ctx: &Context, request: &str, field: Option<String>) -> Result<Answer> {
    let id = Uuid::parse_str(request).map_err(|_| Error::query("\"request\" is not the id of a request"))?;
    let unknown = || Error::query("no request of this id was refused by this node within the last hour");
    let denial = api.denials.kept.get(&id).ok_or_else(unknown)?;
    let question = Question { field, ..denial.question.clone() };
    let mut told = explanation(api, ctx, denial.user.as_deref(), &question).await?;
    if let Value::Object(members) = &mut told {
        let request = json!({ "id": id, "method": denial.method, "path": denial.path, "at": denial.at });
        members.insert("request".to_owned(), request);
    }
    Ok(Answer::Document(json!({ "data": told })))
}

async fn explanation(api: &Api, ctx: &Context, user: Option<&str>, question: &Question) -> Result<Value> {
    let stood_for = api.auth.stand_for(&ctx.schema, user, ctx.now).await;
    let (accountability, rules) = stood_for.map_err(|error| match error {
        Error::Forbidden => Error::query("there is no active user of this key"),
        other => other,
    })?;
    let subject = Context { accountability, rules, ..ctx.clone() };
    let directory = api.auth.directory(&ctx.schema).await?;
    match api.items.explain(&subject, &directory, question).await {
        // The request may have named what is not there, which is reason enough.
        Err(Error::InvalidQuery { reason }) => Ok(json!({ "allowed": false, "reason": reason })),
        other => other,
    }
}
