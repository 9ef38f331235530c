//! Mutations of items.

use async_graphql::parser::types::Field;
use serde_json::{Map, Value, json};

use super::build::{Number, Root, bare_name};
use super::run::{Active, Run, Written};
use super::select::Selector;
use crate::error::{Error, Result};
use crate::items::{Operation, Targets};
use crate::query::{Members, Query};
use crate::schema::CollectionId;

/// What a field of the mutation's root will do.
pub(super) enum Change {
    /// Changes items and answers with them; without a query the caller may not read them.
    Write { collection: CollectionId, operation: Operation, answer: Option<Box<Query>>, number: Number },
    /// Removes items and answers with their keys.
    Delete { collection: CollectionId, targets: Targets, told: Value },
    /// What the adapter does.
    Extra(String),
}

impl Run<'_> {
    /// Looks at all that a field of the root says; `None` for `__typename`. Fails with `GraphqlValidation` for what does not fit.
    pub(super) fn plan_change(&self, selector: &Selector<'_>, active: &Active<'_>) -> Result<Option<Change>> {
        let (Some(root), Some(first)) = (&active.field.root, active.entries.first()) else { return Ok(None) };
        if let Root::Extra(name) = root {
            return Ok(Some(Change::Extra(name.to_string())));
        }
        let registry = self.built.checker.registry();
        let type_name = registry.mutation_type.as_deref().unwrap_or_default();
        let mut arguments = selector.checked_arguments(type_name, first)?;
        let data = arguments.remove("data");
        let ids = arguments.remove("ids");
        let (collection, number, operation) = match root {
            Root::Create(id, Number::One) => (*id, Number::One, Operation::Create(object(data)?)),
            Root::Create(id, Number::Many) => (*id, Number::Many, Operation::CreateMany(objects(data)?)),
            Root::Update(id, Number::One) => {
                let target = Targets::Key(self.key(selector, first)?);
                (*id, Number::One, Operation::Update(target, object(data)?))
            }
            Root::Update(id, Number::Many) => {
                (*id, Number::Many, Operation::Update(Targets::Keys(keys(ids)), object(data)?))
            }
            Root::UpdateBatch(id) => (*id, Number::Many, Operation::UpdateEach(objects(data)?)),
            Root::UpdateSingleton(id) => {
                (*id, Number::One, Operation::Update(Targets::Singleton, object(data)?))
            }
            Root::Delete(id, Number::One) => {
                let key = self.key(selector, first)?;
                let told = json!({ "id": key });
                return Ok(Some(Change::Delete { collection: *id, targets: Targets::Key(key), told }));
            }
            Root::Delete(id, Number::Many) => {
                let keys = keys(ids);
                let told = json!({ "ids": keys });
                return Ok(Some(Change::Delete { collection: *id, targets: Targets::Keys(keys), told }));
            }
            _ => return Ok(None),
        };
        let answer = self.answer_query(selector, active, first, (type_name, collection), arguments)?;
        Ok(Some(Change::Write { collection, operation, answer: answer.map(Box::new), number }))
    }

    /// What is read of the items that were written; `None` where they may not be read.
    fn answer_query(
        &self,
        selector: &Selector<'_>,
        active: &Active<'_>,
        first: &Field,
        (type_name, collection): (&str, CollectionId),
        arguments: Map<String, Value>,
    ) -> Result<Option<Query>> {
        if first.selection_set.node.items.is_empty() {
            return Ok(None);
        }
        let of = self.built.field(type_name, &first.name.node).map(|field| bare_name(&field.ty));
        let mut query = selector.query(collection, arguments)?;
        let members = selector.items(of.unwrap_or_default(), collection, &active.entries)?;
        query.members = Some(Members::Items(members));
        Ok(Some(query))
    }

    /// Does it; the answer is JSON text.
    pub(super) async fn change(
        &self,
        selector: &Selector<'_>,
        active: &Active<'_>,
        change: Change,
    ) -> Result<Written> {
        let schema = self.ctx.schema.clone();
        match change {
            Change::Write { collection, operation, answer, number } => {
                let name = &schema.collection(collection).name;
                let is_read = answer.is_some();
                let is_one = matches!(operation, Operation::Update(Targets::Key(_), _));
                let answer = answer.map(|query| *query);
                let items = &self.door.items;
                let written = self.extra.write(items, self.ctx, name, operation, answer).await?;
                Ok(match (written, number) {
                    (Some(members), _) => Written::members(members),
                    (None, _) if !is_read => "true".into(),
                    // Nothing is hidden from who sees every item: there is none.
                    (None, _) if is_one && self.ctx.sees_every_item(collection) => {
                        return Err(Error::Forbidden);
                    }
                    // It was written, and cannot be seen.
                    (None, Number::One) => "null".into(),
                    (None, Number::Many) => "[]".into(),
                })
            }
            Change::Delete { collection, targets, told } => {
                let name = &schema.collection(collection).name;
                self.door.items.change(self.ctx, name, Operation::Delete(targets)).await?;
                let registry = self.built.checker.registry();
                let type_name = registry.mutation_type.as_deref().unwrap_or_default();
                let field = active.entries.first().map(|field| field.name.node.as_str()).unwrap_or_default();
                let of = self.built.field(type_name, field).map(|field| bare_name(&field.ty));
                let shown = selector.project(of.unwrap_or_default(), &told, &active.entries);
                Ok(shown.to_string().into())
            }
            Change::Extra(name) => match active.entries.first() {
                Some(first) => self.ask_extra(selector, active, first, &name).await,
                None => Ok("null".into()),
            },
        }
    }
}

fn object(data: Option<Value>) -> Result<Map<String, Value>> {
    match data {
        Some(Value::Object(members)) => Ok(members),
        _ => Err(Error::graphql("Argument \"data\" must be an object.")),
    }
}

/// A list of objects; one stands for a list of one.
fn objects(data: Option<Value>) -> Result<Vec<Map<String, Value>>> {
    match data {
        Some(Value::Array(entries)) => entries.into_iter().map(|entry| object(Some(entry))).collect(),
        Some(one @ Value::Object(_)) => Ok(vec![object(Some(one))?]),
        _ => Ok(Vec::new()),
    }
}

/// Keys as texts, as the type `ID` has them.
fn keys(ids: Option<Value>) -> Vec<Value> {
    let text = |id: Value| match id {
        Value::Number(number) => Value::from(number.to_string()),
        other => other,
    };
    match ids {
        Some(Value::Array(entries)) => entries.into_iter().map(text).collect(),
        Some(Value::Null) | None => Vec::new(),
        Some(one) => vec![text(one)],
    }
}
