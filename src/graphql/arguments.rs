//! From arguments to the parameters of a query.

use async_graphql::parser::types::Field;
use serde_json::{Map, Value};

use super::select::Selector;
use super::values;
use crate::error::Result;
use crate::query::{DeepQuery, Query, parse};
use crate::schema::{Collection, CollectionId, FieldKind, Schema};

impl<'a> Selector<'a> {
    /// The arguments of a field of this type, checked: literals with variables in them could not be before.
    pub(super) fn checked_arguments(&self, type_name: &str, field: &Field) -> Result<Map<String, Value>> {
        let arguments = values::arguments(&field.arguments, self.variables);
        let registry = self.built.checker.registry();
        if let Some(known) = self.built.field(type_name, &field.name.node) {
            for (name, argument) in &known.args {
                match arguments.get(name) {
                    Some(value) => values::check(registry, &argument.ty, value, name)?,
                    None if argument.ty.ends_with('!') => {
                        values::check(registry, &argument.ty, &Value::Null, name)?;
                    }
                    None => {}
                }
            }
        }
        Ok(arguments)
    }

    /// The parameters of a query that arguments name.
    pub(super) fn query(&self, collection: CollectionId, mut arguments: Map<String, Value>) -> Result<Query> {
        if let Some(filter) = arguments.get_mut("filter") {
            *filter = condition(self.schema, collection, filter.take());
        }
        parse::parse_object(&arguments, self.limits)
    }

    /// The same for what a relation leads to.
    pub(super) fn arguments(
        &self,
        type_name: &str,
        related: CollectionId,
        field: &Field,
    ) -> Result<DeepQuery> {
        if field.arguments.is_empty() {
            return Ok(DeepQuery::default());
        }
        let query = self.query(related, self.checked_arguments(type_name, field)?)?;
        Ok(DeepQuery {
            filter: query.filter,
            search: query.search,
            sort: query.sort,
            limit: query.limit,
            offset: query.offset,
            page: query.page,
            ..DeepQuery::default()
        })
    }
}

/// A filter in the words of REST: `day_func: { year: ... }` is `year(day)`, `item__texts` is `item:texts`.
fn condition(schema: &Schema, id: CollectionId, filter: Value) -> Value {
    let members = match filter {
        Value::Object(members) => members,
        Value::Array(entries) => {
            return entries.into_iter().map(|entry| condition(schema, id, entry)).collect();
        }
        other => return other,
    };
    let collection = schema.collection(id);
    let mut out = Map::new();
    for (name, value) in members {
        if matches!(name.as_str(), "_and" | "_or" | "_some" | "_none") {
            // A list may have holes where a variable was not given.
            if !value.is_null() {
                out.insert(name, condition(schema, id, value));
            }
            continue;
        }
        if let Some(field) = collection.find(&name) {
            let related = match &collection.field(field).kind {
                FieldKind::ManyToOne { related, .. } | FieldKind::OneToMany { related, .. } => Some(*related),
                _ => None,
            };
            let value = match related {
                Some(related) => condition(schema, related, value),
                None => value,
            };
            out.insert(name, value);
        } else if let Some(field) = function_field(collection, &name).filter(|_| !is_value(&value)) {
            for (function, operators) in value.as_object().into_iter().flatten() {
                out.insert(format!("{function}({field})"), operators.clone());
            }
        } else if let Some((field, related)) = scope(schema, collection, &name) {
            let scoped = format!("{field}:{}", schema.collection(related).name);
            out.insert(scoped, condition(schema, related, value));
        } else {
            out.insert(name, value);
        }
    }
    Value::Object(out)
}

/// Neither an object nor a hole where a variable was not given.
fn is_value(value: &Value) -> bool {
    !matches!(value, Value::Object(_) | Value::Null)
}

fn function_field<'n>(collection: &Collection, name: &'n str) -> Option<&'n str> {
    name.strip_suffix("_func").filter(|field| collection.find(field).is_some())
}

/// Names may have two underscores themselves, so every place where they can part is tried.
fn scope<'n>(schema: &Schema, collection: &Collection, name: &'n str) -> Option<(&'n str, CollectionId)> {
    name.match_indices("__").find_map(|(at, _)| {
        let (field, related) = (&name[..at], schema.find(&name[at + 2..])?);
        let found = collection.field(collection.find(field)?);
        match &found.kind {
            FieldKind::ManyToAny { allowed, .. } if allowed.contains(&related) => Some((field, related)),
            _ => None,
        }
    })
}
