//! Subscriptions: what to listen to, what to read when it happens, and how to tell it. Who listens and when is not decided here.

use async_graphql::parser::types::{Field, OperationType};
use serde_json::Value;

use super::build::{Root, bare_name};
use super::request::Request;
use super::run::{NoExtra, Run, active};
use super::select::Selector;
use super::service::GraphQl;
use super::shape::Scope;
use super::values;
use crate::access::Context;
use crate::error::{Error, Result};
use crate::query::{Members, Query};
use crate::schema::CollectionId;

/// A subscription to what happens to the items of a collection: `articles_mutated(event: create) { key event data { title } }`.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// The collection.
    pub collection: String,
    /// `create`, `update` or `delete`; `None` for all.
    pub event: Option<String>,
    /// How the item is read; `None` where nothing of it is asked for. Nothing is read of what was deleted.
    pub data: Option<Query>,
    /// Two subscriptions of callers with the same rights that have the same name are told the same.
    pub name: String,
    key: String,
    parts: Vec<(String, Part)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Key,
    Event,
    Data,
    TypeName,
}

impl GraphQl {
    /// Whether a request is for a subscription. Fails with `GraphqlValidation` for what does not fit.
    pub async fn is_subscription(&self, ctx: &Context, request: &Request) -> Result<bool> {
        let built = self.built(ctx, Scope::Items).await?;
        let prepared = self.prepared(&built, &request.query).await?;
        let (_, operation) = prepared.operation(request.operation_name.as_deref())?;
        Ok(operation.kind == OperationType::Subscription)
    }

    /// Reads and checks a subscription of this caller.
    ///
    /// Fails with `GraphqlValidation` for what does not fit, and for what is no subscription to one collection.
    pub async fn subscription(&self, ctx: &Context, request: &Request) -> Result<Subscription> {
        let built = self.built(ctx, Scope::Items).await?;
        let prepared = self.prepared(&built, &request.query).await?;
        let run = Run { door: self, ctx, built: &built, prepared: &prepared, extra: &NoExtra };
        let (position, operation) = prepared.operation(request.operation_name.as_deref())?;
        if operation.kind != OperationType::Subscription {
            return Err(Error::graphql("Only subscriptions are listened to."));
        }
        let registry = built.checker.registry();
        let variables = values::variables(registry, &operation.variables, &request.variables)?;
        let selector = run.selector(&variables);
        let active = active(operation, &variables);
        let ([only], Some(type_name)) = (active.as_slice(), registry.subscription_type.as_deref()) else {
            return Err(Error::graphql("A subscription has to have exactly one field."));
        };
        let (Some(Root::Mutated(id)), Some(first)) = (&only.field.root, only.entries.first()) else {
            return Err(Error::graphql("A subscription has to name a collection."));
        };
        let arguments = selector.checked_arguments(type_name, first)?;
        let event = arguments.get("event").and_then(Value::as_str).map(str::to_owned);
        let of =
            built.field(type_name, &first.name.node).map(|field| bare_name(&field.ty)).unwrap_or_default();
        let (mut parts, mut data) = (Vec::new(), None);
        for (name, fields) in selector.collect(of, &only.entries) {
            let Some(field) = fields.first() else { continue };
            let part = match field.name.node.as_str() {
                "key" => Part::Key,
                "event" => Part::Event,
                "data" if data.is_some() => {
                    return Err(Error::graphql("\"data\" can be asked for once only."));
                }
                "data" => {
                    data = Some(self.item_query(&selector, of, *id, &fields)?);
                    Part::Data
                }
                _ => Part::TypeName,
            };
            parts.push((name.to_owned(), part));
        }
        Ok(Subscription {
            collection: ctx.schema.collection(*id).name.to_string(),
            event,
            data,
            name: run.plan_name(position, only.field, &variables),
            key: only.field.key.clone(),
            parts,
        })
    }

    fn item_query(
        &self,
        selector: &Selector<'_>,
        of: &str,
        id: CollectionId,
        fields: &[&Field],
    ) -> Result<Query> {
        let item = selector.built.field(of, "data").map(|field| bare_name(&field.ty)).unwrap_or_default();
        let members = Members::Items(selector.items(item, id, fields)?);
        Ok(Query { members: Some(members), ..Query::default() })
    }
}

impl Subscription {
    /// Whether it is about this event: `create`, `update` or `delete`.
    pub fn wants(&self, event: &str) -> bool {
        self.event.as_deref().is_none_or(|wanted| wanted == event)
    }

    /// The members of a message, `"data":{...}`: what happened to the item with this key, and what it holds, as JSON text.
    pub fn message(&self, event: &str, key: &Value, data: Option<&[u8]>) -> Vec<u8> {
        let key = match key {
            Value::Number(number) => Value::from(number.to_string()),
            other => other.clone(),
        };
        let mut out = format!("\"data\":{{\"{}\":{{", self.key).into_bytes();
        for (position, (name, part)) in self.parts.iter().enumerate() {
            if position > 0 {
                out.push(b',');
            }
            out.extend_from_slice(format!("\"{name}\":").as_bytes());
            match part {
                Part::Key => out.extend_from_slice(key.to_string().as_bytes()),
                Part::Event => out.extend_from_slice(Value::from(event).to_string().as_bytes()),
                Part::Data => out.extend_from_slice(data.unwrap_or(b"null")),
                Part::TypeName => {
                    let of = format!("{}_mutated", self.collection);
                    out.extend_from_slice(Value::from(of).to_string().as_bytes());
                }
            }
        }
        out.extend_from_slice(b"}}");
        out
    }
}

/// What a refused subscription is told, as GraphQL has it.
pub fn errors(error: &Error) -> Vec<Value> {
    match error {
        Error::GraphqlValidation { errors } => errors.clone(),
        other => crate::server::entries(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_hold_what_was_asked_for_in_order() {
        let subscription = Subscription {
            collection: "articles".to_owned(),
            event: Some("create".to_owned()),
            data: None,
            name: String::new(),
            key: "a".to_owned(),
            parts: vec![
                ("data".to_owned(), Part::Data),
                ("k".to_owned(), Part::Key),
                ("event".to_owned(), Part::Event),
                ("__typename".to_owned(), Part::TypeName),
            ],
        };
        assert!(subscription.wants("create") && !subscription.wants("delete"));
        let text = |members: Vec<u8>| String::from_utf8(members).expect("text");
        assert_eq!(
            text(subscription.message("create", &json!(7), Some(b"{\"t\":1}"))),
            r#""data":{"a":{"data":{"t":1},"k":"7","event":"create","__typename":"articles_mutated"}}"#
        );
        assert!(text(subscription.message("delete", &json!("x"), None)).contains(r#""data":null"#));
    }
}
