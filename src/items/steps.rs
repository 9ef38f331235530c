//! Many operations in one transaction, of which later ones may name what earlier ones gave.
//!
//! Start at [`ItemsService::transact`]. What names nothing is prepared before the transaction like any other write. What does is
//! rehearsed without the parts that are still missing, which finds the secrets to hash and most of what is forbidden, and is
//! shaped inside the transaction, when its references are known: rights and rules always judge the real values.

use futures::FutureExt as _;
use serde_json::{Map, Value, json};

use super::accounts;
use super::answer::{Work, WriteAnswer};
use super::idempotency::IdempotencyKey;
use super::nested::{ItemPayload, key_json, key_text};
use super::plan::Target;
use super::prepare::Shaper;
use super::read::compile;
use super::run::{Run, key_field};
use super::service::ItemsService;
use super::write::{Operation, Prepared, Secrets, Targets};
use crate::access::{Action, Context};
use crate::db::JsonBytes;
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::query::{Query, QueryLimits, Selection, parse};
use crate::schema::Schema;

/// Most operations of one transaction.
pub const MOST_STEPS: usize = 500;
/// The member that stands for a value of an earlier answer.
const REFERENCE: &str = "$ref";
/// Deepest place of a payload that is looked at; bodies are no deeper.
const MOST_DEPTH: usize = 100;
/// Collections of the system that are written like any other.
const SYSTEM: &[&str] =
    &["directus_users", "directus_roles", "directus_policies", "directus_access", "directus_permissions"];

/// One operation of a transaction, as it was sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Step {
    /// What is done.
    pub action: StepAction,
    /// Where.
    pub collection: String,
    /// By what later operations know its answer.
    pub name: Option<String>,
    /// Which fields are answered, as in a query; the key alone without them.
    pub fields: Option<Value>,
    /// An item, a list of items, or what items get.
    pub data: Option<Value>,
    /// The item meant.
    pub key: Option<Value>,
    /// The items meant.
    pub keys: Option<Value>,
    /// A query that finds them.
    pub query: Option<Value>,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StepAction {
    /// Reads items as they are at this point of the transaction.
    #[default]
    Read,
    /// Makes one item or several.
    Create,
    /// Changes items.
    Update,
    /// Removes items.
    Delete,
}

/// The operations of a transaction, ready to run.
#[derive(Clone)]
pub(super) struct Steps {
    shaper: Shaper,
    all: Vec<ReadyStep>,
}

#[derive(Clone)]
struct ReadyStep {
    step: Step,
    work: StepWork,
}

#[derive(Clone)]
enum StepWork {
    Read,
    Write(Box<Prepared>),
    /// Shaped when its references are known.
    Later(Secrets),
}

impl ItemsService {
    /// Does all of it or nothing, and answers one entry per operation: `"data":[...]`.
    ///
    /// A failure is [`Error::InOperation`], with the number of the operation. Fails with `LimitExceeded` for too many of them.
    pub async fn transact(
        &self,
        ctx: &Context,
        steps: Vec<Step>,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<WriteAnswer> {
        let ctx = &*self.with_own(ctx).await?;
        let prepare = async || self.prepare_steps(ctx, steps).await.map(Work::Many);
        self.once(ctx, idempotency, prepare).await
    }

    /// Does the same and undoes it. Gives what would be answered.
    pub async fn rehearse(&self, ctx: &Context, steps: Vec<Step>) -> Result<JsonBytes> {
        let ctx = &*self.with_own(ctx).await?;
        let steps = self.prepare_steps(ctx, steps).await?;
        let (with, limits) = (self.run_context(ctx), self.settings.query.clone());
        self.database(ctx)?
            .rehearsal(move |tx| {
                async move { Box::pin(steps.run(&mut Run::new(tx, with), &limits)).await }.boxed()
            })
            .await
    }

    async fn prepare_steps(&self, ctx: &Context, steps: Vec<Step>) -> Result<Steps> {
        if steps.len() > MOST_STEPS {
            return Err(Error::LimitExceeded {
                limit: "operations of a transaction",
                most: MOST_STEPS as u64,
            });
        }
        let shaper = self.shaper(ctx);
        shaper.check_batch(steps.iter().map(|step| step.data.as_ref().map_or(0, items_in)).sum())?;
        let mut names: Vec<String> = Vec::new();
        let mut all = Vec::with_capacity(steps.len());
        for (index, step) in steps.into_iter().enumerate() {
            let name = step.name.clone();
            let ready = Box::pin(self.prepare_step(ctx, &shaper, step, &names)).await;
            all.push(ready.map_err(|error| error.in_operation(index))?);
            if let Some(name) = name {
                if names.contains(&name) {
                    let error = Error::payload(format_args!("\"{name}\" is the name of two operations."));
                    return Err(error.in_operation(index));
                }
                names.push(name);
            }
        }
        Ok(Steps { shaper, all })
    }

    async fn prepare_step(
        &self,
        ctx: &Context,
        shaper: &Shaper,
        mut step: Step,
        names: &[String],
    ) -> Result<ReadyStep> {
        let is_ours = step.collection.starts_with("directus_") && !SYSTEM.contains(&step.collection.as_str());
        if is_ours || ctx.schema.find(&step.collection).is_none() {
            return Err(Error::Forbidden);
        }
        let mut refers = false;
        for part in [&step.data, &step.key, &step.keys, &step.query].into_iter().flatten() {
            refers |= check_references(part, names, 0)?;
        }
        if step.action == StepAction::Read {
            return Ok(ReadyStep { step, work: StepWork::Read });
        }
        if !refers {
            let operation = step.operation(&ctx.schema, &self.settings.query)?;
            let prepared = self.prepare(ctx, &step.collection, operation, false).await?;
            step.data = None;
            return Ok(ReadyStep { step, work: StepWork::Write(Box::new(prepared)) });
        }
        let id = shaper.admit(ctx, &step.collection, step.action.right())?;
        self.ask_hooks_early(ctx, &mut step).await?;
        let target = if step.action == StepAction::Create { Target::Create } else { Target::Update };
        let payloads = payloads(step.data.as_ref()).map(without_references).collect::<Vec<ItemPayload>>();
        let mut items = shaper.rehearse(ctx, id, target, &payloads)?;
        let passwords = accounts::judge(ctx, &mut |visit| {
            items.iter_mut().for_each(|item| item.for_each(visit));
        })?;
        if !passwords.is_empty() {
            self.check_passwords(&ctx.schema, &passwords).await?;
        }
        let mut secrets = Secrets::default();
        secrets.note_all(ctx, &mut items);
        secrets.hash().await?;
        Ok(ReadyStep { step, work: StepWork::Later(secrets) })
    }

    /// Blocking hooks may take their time, so they see references as they were sent.
    async fn ask_hooks_early(&self, ctx: &Context, step: &mut Step) -> Result<()> {
        let collection = ctx.schema.get(&step.collection).ok_or(Error::Forbidden)?;
        let nobody = Targets::Keys(Vec::new());
        let operation = match (step.action, step.data.take()) {
            (StepAction::Delete, _) => Operation::Delete(nobody),
            (StepAction::Update, Some(Value::Array(items))) => Operation::UpdateEach(objects(items)?),
            (StepAction::Update, data) => Operation::Update(nobody, object(data)?),
            (_, Some(Value::Array(items))) => Operation::CreateMany(objects(items)?),
            (_, data) => Operation::Create(object(data)?),
        };
        let list = |items: Vec<ItemPayload>| Value::Array(items.into_iter().map(Value::Object).collect());
        step.data = match self.ask_hooks(ctx, collection, operation).await? {
            Operation::Create(item) | Operation::Update(_, item) => Some(Value::Object(item)),
            Operation::CreateMany(items) | Operation::UpdateEach(items) => Some(list(items)),
            Operation::Delete(_) => None,
        };
        Ok(())
    }
}

impl Steps {
    /// Inside the transaction.
    pub(super) async fn run(self, run: &mut Run<'_>, limits: &QueryLimits) -> Result<Vec<u8>> {
        let mut answers = Answers::default();
        for (index, ReadyStep { step, work }) in self.all.into_iter().enumerate() {
            let name = step.name.clone();
            let answer = Box::pin(step.run(work, run, &self.shaper, limits, &answers)).await;
            let answer = answer.map_err(|error| error.in_operation(index))?;
            answers.all.push((name, answer));
        }
        let data: Vec<Value> = answers.all.into_iter().map(|(_, answer)| answer).collect();
        Ok(format!("\"data\":{}", Value::Array(data)).into_bytes())
    }
}

/// What the operations so far answered, with their names.
#[derive(Default)]
struct Answers {
    all: Vec<(Option<String>, Value)>,
}

impl Step {
    async fn run(
        mut self,
        work: StepWork,
        run: &mut Run<'_>,
        shaper: &Shaper,
        limits: &QueryLimits,
        answers: &Answers,
    ) -> Result<Value> {
        let ctx = run.with.ctx.clone();
        for part in [&mut self.data, &mut self.key, &mut self.keys, &mut self.query].into_iter().flatten() {
            answers.fill_in(part)?;
        }
        let prepared = match work {
            StepWork::Read => return self.read(run, limits).await,
            StepWork::Write(prepared) => *prepared,
            StepWork::Later(secrets) => {
                let id = shaper.admit(&ctx, &self.collection, self.action.right())?;
                let operation = self.operation(&ctx.schema, limits)?;
                let mut prepared = shaper.shape(&ctx, id, operation, false)?;
                accounts::judge(&ctx, &mut |visit| prepared.for_each_item(visit))?;
                prepared.conceal(&ctx, secrets)?;
                prepared
            }
        };
        let is_single = prepared.is_single;
        let keys = Box::pin(prepared.run(run)).await?;
        if self.action == StepAction::Delete {
            return Ok(Value::Null);
        }
        self.answer(run, limits, &keys, is_single).await
    }

    /// The items written: their keys, and the fields that were asked for as far as the caller may see them.
    async fn answer(
        &self,
        run: &mut Run<'_>,
        limits: &QueryLimits,
        keys: &[Scalar],
        is_single: bool,
    ) -> Result<Value> {
        let ctx = run.with.ctx.clone();
        let collection = ctx.schema.get(&self.collection).ok_or(Error::Forbidden)?;
        let key_name = collection.field(key_field(collection)?).name.to_string();
        let mut items: Vec<Value> =
            keys.iter().map(|key| json!({ &key_name: key_json(collection, key) })).collect();
        if let Some(fields) = self.fields.as_ref().filter(|_| !keys.is_empty()) {
            let parameters = Map::from_iter([("fields".to_owned(), fields.clone())]);
            let mut query = parse::parse_object(&parameters, limits)?;
            query.fields.push(vec![key_name.clone()]);
            query.limit = Some(-1);
            let selection = Selection::Keys(keys.iter().map(|key| key_text(key).to_string()).collect());
            match self.select(run, limits, selection, &query).await {
                Ok(Value::Array(found)) => {
                    for item in &mut items {
                        let key = &item[&key_name];
                        if let Some(found) = found.iter().find(|found| found[&key_name] == *key) {
                            *item = found.clone();
                        }
                    }
                }
                // What can be written may still be hidden from who wrote it.
                Ok(_) | Err(Error::Forbidden) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(if is_single { items.into_iter().next().unwrap_or_default() } else { Value::Array(items) })
    }

    async fn read(&self, run: &mut Run<'_>, limits: &QueryLimits) -> Result<Value> {
        let mut parameters = match &self.query {
            None => Map::new(),
            Some(Value::Object(query)) => query.clone(),
            Some(_) => return Err(Error::payload("\"query\" must be an object.")),
        };
        parameters.extend(self.fields.clone().map(|fields| ("fields".to_owned(), fields)));
        let query = parse::parse_object(&parameters, limits)?;
        let is_singleton =
            run.with.ctx.schema.get(&self.collection).is_some_and(|collection| collection.singleton);
        let selection = match (&self.key, &self.keys) {
            (Some(key), None) => Selection::Key(text_of(key)?),
            (None, Some(Value::Array(keys))) => {
                Selection::Keys(keys.iter().map(text_of).collect::<Result<_>>()?)
            }
            (None, None) if is_singleton => Selection::Singleton,
            (None, None) => Selection::Query,
            _ => return Err(Error::payload("Either \"key\", or \"keys\" with an array.")),
        };
        self.select(run, limits, selection, &query).await
    }

    async fn select(
        &self,
        run: &mut Run<'_>,
        limits: &QueryLimits,
        selection: Selection,
        query: &Query,
    ) -> Result<Value> {
        let ctx = run.with.ctx.clone();
        let read = compile(&ctx, run.tx.dialect(), &self.collection, &selection, query, limits)?;
        let members = run.tx.read_json(&read.plan, &read.statements).await?;
        let text = [b"{", members.as_slice(), b"}"].concat();
        let mut document: Value = serde_json::from_slice(&text).map_err(Error::internal)?;
        Ok(document["data"].take())
    }

    /// The operation that this stands for, once nothing in it is a reference any more.
    fn operation(&self, schema: &Schema, limits: &QueryLimits) -> Result<Operation> {
        let is_singleton = schema.get(&self.collection).is_some_and(|collection| collection.singleton);
        let data = self.data.clone();
        Ok(match self.action {
            StepAction::Read => return Err(Error::internal(anyhow::anyhow!("a read is no write"))),
            StepAction::Create => match data {
                Some(Value::Array(items)) => Operation::CreateMany(objects(items)?),
                data => Operation::Create(object(data)?),
            },
            StepAction::Update => match data {
                Some(Value::Array(items)) => Operation::UpdateEach(objects(items)?),
                data => Operation::Update(self.targets(is_singleton, limits)?, object(data)?),
            },
            StepAction::Delete => Operation::Delete(self.targets(is_singleton, limits)?),
        })
    }

    fn targets(&self, is_singleton: bool, limits: &QueryLimits) -> Result<Targets> {
        match (&self.key, &self.keys, &self.query) {
            (Some(key), None, None) => text_of(key).map(Targets::Key),
            (None, Some(Value::Array(keys)), None) => Ok(Targets::Keys(keys.clone())),
            (None, None, Some(Value::Object(query))) => {
                Ok(Targets::Query(Box::new(parse::parse_object(query, limits)?)))
            }
            (None, None, None) if is_singleton => Ok(Targets::Singleton),
            (None, Some(_), None) => Err(Error::payload("\"keys\" must be an array.")),
            (None, None, Some(_)) => Err(Error::payload("\"query\" must be an object.")),
            _ => Err(Error::payload("One of \"key\", \"keys\" and \"query\" is required.")),
        }
    }
}

impl StepAction {
    fn right(self) -> Action {
        match self {
            StepAction::Read => Action::Read,
            StepAction::Create => Action::Create,
            StepAction::Update => Action::Update,
            StepAction::Delete => Action::Delete,
        }
    }
}

impl Answers {
    /// Puts values in the place of references.
    fn fill_in(&self, value: &mut Value) -> Result<()> {
        if let Some(path) = reference(value) {
            let found = self.find(path).cloned().ok_or_else(|| {
                Error::payload(format_args!("\"{path}\" is nothing that an earlier operation answered."))
            })?;
            *value = found;
            return Ok(());
        }
        match value {
            Value::Array(entries) => entries.iter_mut().try_for_each(|entry| self.fill_in(entry)),
            Value::Object(members) => members.values_mut().try_for_each(|member| self.fill_in(member)),
            _ => Ok(()),
        }
    }

    /// `invoice.lines.0.id`: members and positions, from the answer of that name.
    fn find(&self, path: &str) -> Option<&Value> {
        let mut steps = path.split('.');
        let name = steps.next()?;
        let (_, answer) = self.all.iter().find(|(known, _)| known.as_deref() == Some(name))?;
        steps.try_fold(answer, |here, step| match here {
            Value::Object(members) => members.get(step),
            Value::Array(entries) => entries.get(step.parse::<usize>().ok()?),
            _ => None,
        })
    }
}

/// The path of a reference: an object with nothing but `$ref`, and in it a text that begins like a name. Others are data, such as
/// the `#/$defs/address` of a JSON Schema.
fn reference(value: &Value) -> Option<&str> {
    let members = value.as_object().filter(|members| members.len() == 1)?;
    let path = members.get(REFERENCE)?.as_str()?;
    path.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_').then_some(path)
}

/// Whether there is a reference inside. Fails with `InvalidPayload` for one to no earlier operation.
fn check_references(value: &Value, names: &[String], depth: usize) -> Result<bool> {
    if depth > MOST_DEPTH {
        return Err(Error::LimitExceeded { limit: "depth of the body", most: MOST_DEPTH as u64 });
    }
    if let Some(path) = reference(value) {
        let name = path.split('.').next().unwrap_or_default();
        if !names.iter().any(|known| known == name) {
            return Err(Error::payload(format_args!("No earlier operation is called \"{name}\".")));
        }
        return Ok(true);
    }
    let inside: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Array(entries) => Box::new(entries.iter()),
        Value::Object(members) => Box::new(members.values()),
        _ => return Ok(false),
    };
    let mut refers = false;
    for value in inside {
        refers |= check_references(value, names, depth + 1)?;
    }
    Ok(refers)
}

/// The payload without what is known only later.
fn without_references(payload: &ItemPayload) -> ItemPayload {
    let members = payload.iter().filter(|(_, value)| reference(value).is_none());
    members.map(|(name, value)| (name.clone(), stripped(value))).collect()
}

fn stripped(value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(without_references(members)),
        Value::Array(entries) => {
            Value::Array(entries.iter().filter(|entry| reference(entry).is_none()).map(stripped).collect())
        }
        other => other.clone(),
    }
}

/// The payloads of an operation, whether it has one or a list of them.
fn payloads(data: Option<&Value>) -> impl Iterator<Item = &ItemPayload> {
    let list = match data {
        Some(Value::Array(items)) => items.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    list.iter().filter_map(Value::as_object)
}

fn items_in(data: &Value) -> usize {
    data.as_array().map_or(1, Vec::len)
}

fn object(data: Option<Value>) -> Result<ItemPayload> {
    match data {
        Some(Value::Object(item)) => Ok(item),
        Some(_) => Err(Error::payload("\"data\" must be an object or an array of objects.")),
        None => Err(Error::payload("\"data\" is required.")),
    }
}

fn objects(items: Vec<Value>) -> Result<Vec<ItemPayload>> {
    items.into_iter().map(|item| object(Some(item))).collect()
}

fn text_of(key: &Value) -> Result<String> {
    match key {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(Error::payload("A key must be a text or a number.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers() -> Answers {
        let one = (Some("invoice".to_owned()), json!({ "id": 7, "lines": [{ "id": "a" }, { "id": "b" }] }));
        Answers { all: vec![(None, Value::Null), one] }
    }

    #[test]
    fn references_become_values() {
        let check = |value: Value, expected: Option<Value>| {
            let mut filled = value.clone();
            let done = answers().fill_in(&mut filled);
            assert_eq!(done.ok().map(|()| filled), expected, "{value}");
        };
        check(json!({ "$ref": "invoice.id" }), Some(json!(7)));
        check(json!([1, { "x": { "$ref": "invoice.lines.1.id" } }]), Some(json!([1, { "x": "b" }])));
        check(json!({ "$ref": "invoice.lines.2.id" }), None);
        check(json!({ "$ref": "invoice.nope" }), None);
        // Data, not references.
        for data in
            [json!({ "$ref": "#/$defs/a" }), json!({ "$ref": "invoice", "and": 1 }), json!({ "$ref": 1 })]
        {
            check(data.clone(), Some(data));
        }
    }

    #[test]
    fn references_point_backwards() {
        let names = ["a".to_owned()];
        let check = |value: Value| check_references(&value, &names, 0).ok();
        assert_eq!(check(json!({ "x": [{ "$ref": "a.id" }] })), Some(true));
        assert_eq!(check(json!({ "x": [{ "$ref": "b.id" }] })), None);
        assert_eq!(check(json!({ "x": 1 })), Some(false));
    }

    #[test]
    fn rehearsals_leave_references_out() {
        let payload = json!({ "a": { "$ref": "x.id" }, "b": [1, { "$ref": "x.id" }], "c": { "d": { "$ref": "x" }, "e": 2 } });
        let payload = payload.as_object().expect("an object");
        assert_eq!(Value::Object(without_references(payload)), json!({ "b": [1], "c": { "e": 2 } }));
    }
}
