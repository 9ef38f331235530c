//! `/items` and `/utils/sort`: rows of the project's collections.

use serde_json::{Map, Value};

use super::{Api, transfer};
use crate::access::Context;
use crate::error::{Error, Result};
use crate::items::{IdempotencyKey, Operation, Precondition, Targets, entity_tag};
use crate::query::{Query, Selection, parse};
use crate::schema::Collection;
use crate::server::{Answer, Call, object};

/// Longest `Idempotency-Key`.
const MOST_KEY_CHARACTERS: usize = 255;

pub(super) async fn collection(api: &Api, call: &mut Call<'_>, ctx: &Context, name: &str) -> Result<Answer> {
    find(ctx, name)?;
    list(api, call, ctx, name).await
}

pub(super) async fn item(
    api: &Api,
    call: &mut Call<'_>,
    ctx: &Context,
    name: &str,
    key: &str,
) -> Result<Answer> {
    find(ctx, name)?;
    one(api, call, ctx, name, key).await
}

/// The items of a collection, the system's included.
pub(super) async fn list(api: &Api, call: &mut Call<'_>, ctx: &Context, name: &str) -> Result<Answer> {
    let singleton = ctx.schema.get(name).ok_or(Error::Forbidden)?.singleton;
    match call.method.as_str() {
        "POST" => create(api, call, ctx, name).await,
        "PATCH" if singleton => {
            let (body, key) = write_body(call, ctx).await?;
            let operation = Operation::Update(Targets::Singleton, object(body)?);
            write(api, call, ctx, name, operation, key).await
        }
        "PATCH" => update(api, call, ctx, name).await,
        "DELETE" => delete(api, call, ctx, name).await,
        "SEARCH" => search(api, call, ctx, name).await,
        _ => {
            if singleton {
                return read_one(api, call, ctx, name, Selection::Singleton).await;
            }
            if transfer::is_asked_for(call)
                && let Some(answer) =
                    Box::pin(transfer::exported(api, call, ctx, name, &Selection::Query)).await?
            {
                return Ok(answer);
            }
            api.items.read_url(ctx, name, Selection::Query, call.raw_parameters()).await.map(Answer::Members)
        }
    }
}

/// One item of a collection, the system's included.
pub(super) async fn one(
    api: &Api,
    call: &mut Call<'_>,
    ctx: &Context,
    name: &str,
    key: &str,
) -> Result<Answer> {
    let targets = Targets::Key(key.to_owned());
    match call.method.as_str() {
        "PATCH" => {
            let (body, idempotency) = write_body(call, ctx).await?;
            let operation = Operation::Update(targets, object(body)?);
            write(api, call, ctx, name, operation, idempotency).await
        }
        "DELETE" => {
            let (_, idempotency) = write_body(call, ctx).await?;
            write(api, call, ctx, name, Operation::Delete(targets), idempotency).await
        }
        _ => read_one(api, call, ctx, name, Selection::Key(key.to_owned())).await,
    }
}

/// One item with its tag, by which it can be written back.
async fn read_one(
    api: &Api,
    call: &Call<'_>,
    ctx: &Context,
    name: &str,
    selection: Selection,
) -> Result<Answer> {
    if transfer::is_asked_for(call)
        && let Some(answer) = Box::pin(transfer::exported(api, call, ctx, name, &selection)).await?
    {
        return Ok(answer);
    }
    let members = api.items.read_url(ctx, name, selection, call.raw_parameters()).await?;
    let tag = entity_tag(&members);
    Ok(Answer::Tagged(members, tag))
}

/// `/utils/sort/{collection}`, `{"item":...,"to":...}`: moves one item to the place of another.
pub(super) async fn sort(api: &Api, call: &mut Call<'_>, ctx: &Context, name: &str) -> Result<Answer> {
    find(ctx, name)?;
    let (body, idempotency) = write_body(call, ctx).await?;
    let body = object(body)?;
    let key =
        |name: &str| body.get(name).ok_or_else(|| Error::payload(format_args!("\"{name}\" is required.")));
    api.items.move_item(ctx, name, (key("item")?, key("to")?), idempotency).await?;
    Ok(Answer::Done)
}

async fn create(api: &Api, call: &mut Call<'_>, ctx: &Context, name: &str) -> Result<Answer> {
    let (body, key) = write_body(call, ctx).await?;
    write(api, call, ctx, name, creation(body)?, key).await
}

async fn update(api: &Api, call: &mut Call<'_>, ctx: &Context, name: &str) -> Result<Answer> {
    let (body, key) = write_body(call, ctx).await?;
    write(api, call, ctx, name, changes(api, body)?, key).await
}

/// One item or an array of them.
pub(super) fn creation(body: Option<Value>) -> Result<Operation> {
    Ok(match body {
        Some(Value::Array(items)) => Operation::CreateMany(objects(items)?),
        other => Operation::Create(object(other)?),
    })
}

/// An array of items with their keys, or `data` for those that `keys` or `query` name.
pub(super) fn changes(api: &Api, body: Option<Value>) -> Result<Operation> {
    Ok(match body {
        Some(Value::Array(items)) => Operation::UpdateEach(objects(items)?),
        other => {
            let mut body = object(other)?;
            let targets = targets(api, &mut body)?;
            let data = body.remove("data").ok_or_else(|| Error::payload("\"data\" is required."))?;
            Operation::Update(targets, object(Some(data))?)
        }
    })
}

/// An array of keys, or those that `keys` or `query` name.
async fn delete(api: &Api, call: &mut Call<'_>, ctx: &Context, name: &str) -> Result<Answer> {
    let (body, key) = write_body(call, ctx).await?;
    let targets = match body {
        Some(Value::Array(keys)) => Targets::Keys(keys),
        other => targets(api, &mut object(other)?)?,
    };
    write(api, call, ctx, name, Operation::Delete(targets), key).await
}

/// The items that `keys` or `query` of a body name.
fn targets(api: &Api, body: &mut Map<String, Value>) -> Result<Targets> {
    match (body.remove("keys"), body.remove("query")) {
        (Some(Value::Array(keys)), _) => Ok(Targets::Keys(keys)),
        (Some(_), _) => Err(Error::payload("\"keys\" must be an array.")),
        (None, Some(Value::Object(query))) => {
            Ok(Targets::Query(Box::new(parse::parse_object(&query, &api.limits)?)))
        }
        (None, Some(_)) => Err(Error::payload("\"query\" must be an object.")),
        (None, None) => Err(Error::payload("\"keys\" or \"query\" is required.")),
    }
}

/// Parameters in the body instead of the URL, and perhaps keys.
async fn search(api: &Api, call: &mut Call<'_>, ctx: &Context, name: &str) -> Result<Answer> {
    let (selection, mut query) = search_body(api, call).await?;
    let selection = match selection {
        Selection::Query if ctx.schema.get(name).is_some_and(|found| found.singleton) => Selection::Singleton,
        other => other,
    };
    if let Some(format) = query.export.take() {
        return Box::pin(transfer::file(api, call, ctx, name, &selection, query, &format)).await;
    }
    api.items.read(ctx, name, selection, query).await.map(Answer::Members)
}

async fn search_body(api: &Api, call: &mut Call<'_>) -> Result<(Selection, Query)> {
    let mut body = object(call.json().await?)?;
    let query = match body.remove("query") {
        Some(Value::Object(query)) => parse::parse_object(&query, &api.limits)?,
        Some(_) => return Err(Error::payload("\"query\" must be an object.")),
        None => url_query(api, call)?,
    };
    let selection = match body.remove("keys") {
        Some(Value::Array(keys)) => Selection::Keys(keys.iter().map(key_text).collect::<Result<_>>()?),
        Some(_) => return Err(Error::payload("\"keys\" must be an array.")),
        None => Selection::Query,
    };
    Ok((selection, query))
}

pub(super) fn url_query(api: &Api, call: &Call<'_>) -> Result<Query> {
    parse::parse_pairs(&call.parameters()?, &api.limits)
}

/// The collection, unless it belongs to the system: those have endpoints of their own.
fn find<'c>(ctx: &'c Context, name: &str) -> Result<&'c Collection> {
    ctx.schema.get(name).filter(|collection| !collection.is_system()).ok_or(Error::Forbidden)
}

fn key_text(key: &Value) -> Result<String> {
    match key {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(Error::payload("\"keys\" must hold texts or numbers.")),
    }
}

fn objects(items: Vec<Value>) -> Result<Vec<Map<String, Value>>> {
    items
        .into_iter()
        .map(|item| match item {
            Value::Object(map) => Ok(map),
            _ => Err(Error::payload("every entry of the array must be an object.")),
        })
        .collect()
}

/// The body of a write, and the key under which it is done once.
pub(super) async fn write_body(
    call: &mut Call<'_>,
    ctx: &Context,
) -> Result<(Option<Value>, Option<IdempotencyKey>)> {
    let bytes = call.bytes().await?;
    let key = match call.header("idempotency-key") {
        None => None,
        Some(key) if key.is_empty() || key.chars().count() > MOST_KEY_CHARACTERS => {
            let reason = format_args!("Idempotency-Key must have 1 to {MOST_KEY_CHARACTERS} characters.");
            return Err(Error::payload(reason));
        }
        Some(key) => {
            let caller = ctx.accountability.user.as_deref().unwrap_or_default();
            Some(IdempotencyKey::new(caller, call.method.as_str(), call.target(), key, &bytes))
        }
    };
    Ok((call.parse(&bytes)?, key))
}

async fn write(
    api: &Api,
    call: &Call<'_>,
    ctx: &Context,
    name: &str,
    operation: Operation,
    key: Option<IdempotencyKey>,
) -> Result<Answer> {
    let is_one = matches!(operation, Operation::Update(Targets::Key(_) | Targets::Singleton, _));
    let condition = call.header("if-match").map(Precondition::parse);
    let written = api.items.write_url(ctx, name, operation, call.raw_parameters(), key, condition);
    let answer = Box::pin(written).await?;
    Ok(match answer.body {
        None => Answer::Empty,
        Some(members) if is_one => {
            let tag = entity_tag(&members);
            Answer::Tagged(members, tag)
        }
        Some(members) => Answer::Members(members),
    })
}
