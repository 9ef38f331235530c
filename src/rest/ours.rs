//! `/tablature`: what the public API has no word for.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::{Api, items};
use crate::access::Context;
use crate::error::{Error, Result};
use crate::items::{Step, StepAction};
use crate::server::{Answer, Call, object};

/// A route of this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OurRoute<'a> {
    /// `/tablature/transaction`
    Transaction,
    /// `/tablature/trash/{collection}`
    Trash(&'a str),
    /// `/tablature/trash/{collection}/{id}`
    TrashEntry(&'a str, &'a str),
    /// `/tablature/trash/{collection}/{id}/restore`
    Restore(&'a str, &'a str),
}

impl<'a> OurRoute<'a> {
    /// The route of what follows `/tablature`.
    pub(super) fn find(path: &'a [Cow<'a, str>]) -> Option<Self> {
        match path {
            [a] if a == "transaction" => Some(OurRoute::Transaction),
            [a, collection] if a == "trash" => Some(OurRoute::Trash(collection)),
            [a, collection, id] if a == "trash" => Some(OurRoute::TrashEntry(collection, id)),
            [a, collection, id, b] if a == "trash" && b == "restore" => {
                Some(OurRoute::Restore(collection, id))
            }
            _ => None,
        }
    }

    /// How logs and figures call it.
    pub(super) fn pattern(self) -> &'static str {
        match self {
            OurRoute::Transaction => "/tablature/transaction",
            OurRoute::Trash(_) => "/tablature/trash/{collection}",
            OurRoute::TrashEntry(..) => "/tablature/trash/{collection}/{id}",
            OurRoute::Restore(..) => "/tablature/trash/{collection}/{id}/restore",
        }
    }

    /// Its methods, as `Allow` lists them.
    pub(super) fn methods(self) -> &'static str {
        match self {
            OurRoute::Transaction | OurRoute::Restore(..) => "POST",
            OurRoute::Trash(_) => "GET, HEAD, DELETE",
            OurRoute::TrashEntry(..) => "DELETE",
        }
    }
}

pub(super) async fn answer(api: &Api, call: &mut Call<'_>, route: OurRoute<'_>) -> Result<Answer> {
    let ctx = api.context(call).await?;
    match route {
        OurRoute::Transaction => transaction(api, call, &ctx).await,
        OurRoute::Trash(collection) if call.method.as_str() == "DELETE" => {
            api.items.empty_trash(&ctx, collection, None).await.map(|()| Answer::Empty)
        }
        OurRoute::Trash(collection) => trash(api, call, &ctx, collection).await,
        OurRoute::TrashEntry(collection, id) => {
            api.items.empty_trash(&ctx, collection, Some(id)).await.map(|()| Answer::Empty)
        }
        OurRoute::Restore(collection, id) => {
            let key = api.items.restore(&ctx, collection, id).await?;
            Ok(Answer::Document(json!({ "data": key })))
        }
    }
}

/// `?limit=&before=`: what was deleted, the latest first.
async fn trash(api: &Api, call: &Call<'_>, ctx: &Context, collection: &str) -> Result<Answer> {
    let (mut limit, mut before) = (None, None);
    for (name, value) in call.parameters()? {
        match name.as_str() {
            "limit" => {
                let number = value.parse().map_err(|_| Error::query("\"limit\" must be a whole number"))?;
                limit = Some(number);
            }
            "before" => before = Some(value),
            _ => {}
        }
    }
    let data = api.items.trash(ctx, collection, limit, before.as_deref()).await?;
    Ok(Answer::Document(json!({ "data": data })))
}

/// `{"operations":[...]}`: all of them or none.
async fn transaction(api: &Api, call: &mut Call<'_>, ctx: &Context) -> Result<Answer> {
    let (body, idempotency) = items::write_body(call, ctx).await?;
    let mut body = object(body)?;
    let Some(Value::Array(operations)) = body.remove("operations") else {
        return Err(Error::payload("\"operations\" must be an array."));
    };
    if let Some((name, _)) = body.into_iter().next() {
        return Err(Error::payload(format_args!("\"{name}\" means nothing beside \"operations\".")));
    }
    let steps = operations.into_iter().enumerate();
    let steps = steps.map(|(index, operation)| step(operation).map_err(|error| error.in_operation(index)));
    let answer = api.items.transact(ctx, steps.collect::<Result<_>>()?, idempotency).await?;
    Ok(answer.body.map_or(Answer::Empty, Answer::Members))
}

/// One operation. A member that is not known is more likely a slip than meant for nobody.
fn step(operation: Value) -> Result<Step> {
    let mut operation = object(Some(operation))?;
    let mut step = Step {
        action: match text(&mut operation, "action")?.as_str() {
            "create" => StepAction::Create,
            "update" => StepAction::Update,
            "delete" => StepAction::Delete,
            "read" => StepAction::Read,
            _ => {
                return Err(Error::payload(
                    "\"action\" must be \"create\", \"update\", \"delete\" or \"read\".",
                ));
            }
        },
        collection: text(&mut operation, "collection")?,
        ..Step::default()
    };
    for (name, value) in operation {
        match name.as_str() {
            "as" => step.name = Some(step_name(value)?),
            "fields" => step.fields = Some(value),
            "data" => step.data = Some(value),
            "key" => step.key = Some(value),
            "keys" => step.keys = Some(value),
            "query" => step.query = Some(value),
            _ => return Err(Error::payload(format_args!("\"{name}\" means nothing in an operation."))),
        }
    }
    Ok(step)
}

fn text(operation: &mut Map<String, Value>, name: &str) -> Result<String> {
    match operation.remove(name) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(Error::payload(format_args!("\"{name}\" is required, a text."))),
    }
}

fn step_name(value: Value) -> Result<String> {
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
    };
    match value {
        Value::String(name) if is_name(&name) => Ok(name),
        _ => {
            Err(Error::payload("\"as\" must be a name of letters, digits and _, not beginning with a digit."))
        }
    }
}
