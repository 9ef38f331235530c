//! `/schema` and `/tablature/schema`: the model as a whole, compared and brought in line.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::Api;
use crate::error::{Error, Result};
use crate::items::Journal;
use crate::project::{ApplyOptions, Report, Snapshot, read_yaml};
use crate::server::{Answer, Call, object};

/// Most bytes of a model in a form, and of what stands beside it.
const MOST_FILE_BYTES: usize = 16 << 20;
const MOST_FIELD_BYTES: usize = 64 << 10;

/// A route of this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SnapshotRoute {
    /// `/schema/snapshot`
    Snapshot,
    /// `/schema/diff`
    Diff,
    /// `/schema/apply`
    Apply,
    /// `/tablature/schema/plan`
    Plan,
    /// `/tablature/schema/apply`
    ApplyFiles,
}

impl SnapshotRoute {
    /// The route of a path.
    pub(super) fn find(path: &[Cow<'_, str>]) -> Option<Self> {
        match path {
            [a, b] if a == "schema" => match b.as_ref() {
                "snapshot" => Some(SnapshotRoute::Snapshot),
                "diff" => Some(SnapshotRoute::Diff),
                "apply" => Some(SnapshotRoute::Apply),
                _ => None,
            },
            [a, b, c] if a == "tablature" && b == "schema" => match c.as_ref() {
                "plan" => Some(SnapshotRoute::Plan),
                "apply" => Some(SnapshotRoute::ApplyFiles),
                _ => None,
            },
            _ => None,
        }
    }

    /// How logs and figures call it.
    pub(super) fn pattern(self) -> &'static str {
        match self {
            SnapshotRoute::Snapshot => "/schema/snapshot",
            SnapshotRoute::Diff => "/schema/diff",
            SnapshotRoute::Apply => "/schema/apply",
            SnapshotRoute::Plan => "/tablature/schema/plan",
            SnapshotRoute::ApplyFiles => "/tablature/schema/apply",
        }
    }

    /// Its methods, as `Allow` lists them.
    pub(super) fn methods(self) -> &'static str {
        match self {
            SnapshotRoute::Snapshot | SnapshotRoute::Plan => "GET, HEAD",
            SnapshotRoute::Diff | SnapshotRoute::Apply | SnapshotRoute::ApplyFiles => "POST",
        }
    }
}

pub(super) async fn answer(api: &Api, call: &mut Call<'_>, route: SnapshotRoute) -> Result<Answer> {
    let ctx = api.administrator(call).await?;
    match route {
        SnapshotRoute::Snapshot => snapshot(api, call),
        SnapshotRoute::Diff => {
            let force = flag(call, "force")?;
            let document = document(call).await?;
            let wanted = Snapshot::read(&document, api.project.dialect(), force)?;
            let now = current(api);
            match now.difference(&wanted) {
                Value::Null => Ok(Answer::Empty),
                difference => Ok(data(json!({ "hash": now.hash(), "diff": difference }))),
            }
        }
        SnapshotRoute::Apply => {
            let force = flag(call, "force")?;
            let body = document(call).await?;
            let (Some(hash), Some(difference)) = (body.get("hash").and_then(Value::as_str), body.get("diff"))
            else {
                return Err(Error::payload("\"hash\" and \"diff\" are required."));
            };
            if !difference.is_object() {
                return Err(Error::payload("\"diff\" must be an object."));
            }
            let now = current(api);
            if !force && hash != now.hash() {
                return Err(Error::payload(
                    "the model has changed since the difference was made; make it again.",
                ));
            }
            let edits = now.edits(difference)?;
            if !edits.is_empty() {
                api.project.remodel(edits, Journal::new(&ctx)).await?;
                api.auth.forget_everywhere().await;
            }
            Ok(Answer::Empty)
        }
        SnapshotRoute::Plan => {
            let report = api.project.plan(flag(call, "prune")?).await?;
            Ok(data(described(&report)))
        }
        SnapshotRoute::ApplyFiles => {
            let body = object(call.json().await?)?;
            let options = options(&body)?;
            let report = api.project.apply(options).await?;
            api.auth.forget_everywhere().await;
            Ok(data(described(&report)))
        }
    }
}

fn data(value: Value) -> Answer {
    Answer::Document(json!({ "data": value }))
}

fn current(api: &Api) -> Snapshot {
    Snapshot::of(&api.system, &api.schemas.catalogue(), api.project.dialect())
}

fn snapshot(api: &Api, call: &Call<'_>) -> Result<Answer> {
    let parameters = call.parameters()?;
    let export = parameters.iter().find(|(name, _)| name == "export").map(|(_, value)| value.as_str());
    let snapshot = current(api);
    match export {
        None => Ok(data(snapshot.to_json())),
        Some("json") => Ok(Answer::Document(snapshot.to_json())),
        Some("yaml") => Ok(Answer::Text("text/yaml; charset=utf-8", snapshot.to_yaml())),
        Some(_) => Err(Error::query("\"export\" must be \"json\" or \"yaml\".")),
    }
}

/// The body, which may be YAML as well, and the file of a form.
async fn document(call: &mut Call<'_>) -> Result<Value> {
    if call.is_multipart() {
        let mut parts = call.parts();
        while let Some(mut part) = parts.next().await? {
            if part.file_name.is_some() {
                let text = part.text(MOST_FILE_BYTES).await?;
                return serde_json::from_str(&text).or_else(|_| read_yaml(text.as_bytes()));
            }
            part.text(MOST_FIELD_BYTES).await?;
        }
        return Err(Error::payload("the form has no file."));
    }
    let is_yaml = call.header("content-type").is_some_and(|media_type| media_type.contains("yaml"));
    if is_yaml {
        return read_yaml(&call.bytes().await?);
    }
    Ok(call.json().await?.unwrap_or_default())
}

/// A parameter that is there alone or is `true`.
fn flag(call: &Call<'_>, name: &str) -> Result<bool> {
    let parameters = call.parameters()?;
    match parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()) {
        None | Some("false") => Ok(false),
        Some("" | "true") => Ok(true),
        Some(_) => Err(Error::query(format_args!("\"{name}\" must be true or false."))),
    }
}

fn options(body: &Map<String, Value>) -> Result<ApplyOptions> {
    let flag = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(Error::payload(format_args!("\"{name}\" must be true or false."))),
    };
    Ok(ApplyOptions {
        allow_destructive: flag("allow_destructive")?,
        prune: flag("prune")?,
        ..ApplyOptions::default()
    })
}

/// A plan as people and programs read it.
fn described(report: &Report) -> Value {
    let steps: Vec<Value> = report
        .steps
        .iter()
        .map(|planned| {
            let loss = planned.loss.as_ref().map(
                |loss| json!({ "rows": loss.rows, "text": loss.text, "is_impossible": loss.is_impossible }),
            );
            json!({ "step": planned.step.to_string(), "loss": loss })
        })
        .collect();
    let access: Vec<Value> =
        report.access.iter().map(|step| json!({ "step": step.to_string(), "loss": step.loss() })).collect();
    json!({
        "is_empty": report.is_empty(),
        "steps": steps,
        "access": access,
        "problems": report.problems,
        "refusals": report.refusals(false),
        "drift": report.drift(),
    })
}
