//! `/tablature`: what the public API has no word for.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Api, items};
use crate::access::Context;
use crate::error::{Error, Result};
use crate::items::{Step, StepAction};
use crate::server::{Answer, Call, object};

/// A route of this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OurRoute {
    /// `/tablature/transaction`
    Transaction,
}

impl OurRoute {
    /// The route of what follows `/tablature`.
    pub(super) fn find(path: &[Cow<'_, str>]) -> Option<Self> {
        match path {
            [a] if a == "transaction" => Some(OurRoute::Transaction),
            _ => None,
        }
    }

    /// How logs and figures call it.
    pub(super) fn pattern(self) -> &'static str {
        match self {
            OurRoute::Transaction => "/tablature/transaction",
        }
    }

    /// Its methods, as `Allow` lists them.
    pub(super) fn methods(self) -> &'static str {
        match self {
            OurRoute::Transaction => "POST",
        }
    }
}

pub(super) async fn answer(api: &Api, call: &mut Call<'_>, route: OurRoute) -> Result<Answer> {
    let ctx = api.context(call).await?;
    match route {
        OurRoute::Transaction => transaction(api, call, &ctx).await,
    }
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
