//! From what a document selects to the members of an answer.

use async_graphql::Positioned;
use async_graphql::parser::types::{Field, Selection, SelectionSet};
use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::build::{Built, bare_name};
use super::document::Fragments;
use super::values;
use crate::error::{Error, Result};
use crate::query::{DeepQuery, FigureMember, Member, QueryLimits, Wanted, WantedFigure};
use crate::schema::{CollectionId, FieldKind, Schema};

const TYPE_NAME: &str = "__typename";

/// What stays the same while a document is walked.
#[derive(Clone, Copy)]
pub(super) struct Selector<'a> {
    pub(super) built: &'a Built,
    pub(super) schema: &'a Schema,
    pub(super) fragments: &'a Fragments,
    pub(super) variables: &'a Map<String, Value>,
    pub(super) limits: &'a QueryLimits,
}

/// Fields by their names in the answer, in order.
type Collected<'a> = IndexMap<&'a str, Vec<&'a Field>>;

impl<'a> Selector<'a> {
    /// The selected fields of an object of this type. Fields of one name belong together.
    pub(super) fn collect(&self, type_name: &str, fields: &[&'a Field]) -> Collected<'a> {
        let mut found = Collected::new();
        for field in fields {
            self.gather(type_name, &field.selection_set.node, &mut found);
        }
        found
    }

    fn gather(&self, type_name: &str, set: &'a SelectionSet, found: &mut Collected<'a>) {
        for selection in &set.items {
            if !values::is_shown(selection.node.directives(), self.variables) {
                continue;
            }
            match &selection.node {
                Selection::Field(Positioned { node: field, .. }) => {
                    found.entry(field.response_key().node.as_str()).or_default().push(field);
                }
                Selection::InlineFragment(inline) => {
                    let condition = inline.node.type_condition.as_ref();
                    if condition.is_none_or(|on| self.is_a(type_name, &on.node.on.node)) {
                        self.gather(type_name, &inline.node.selection_set.node, found);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.fragments.get(&spread.node.fragment_name.node)
                        && self.is_a(type_name, &fragment.node.type_condition.node.on.node)
                    {
                        self.gather(type_name, &fragment.node.selection_set.node, found);
                    }
                }
            }
        }
    }

    fn is_a(&self, type_name: &str, condition: &str) -> bool {
        type_name == condition || self.built.possible(condition).contains(&type_name)
    }

    /// The members of items of a collection.
    pub(super) fn items(
        &self,
        type_name: &str,
        collection: CollectionId,
        fields: &[&'a Field],
    ) -> Result<Vec<Member>> {
        let mut members = Vec::new();
        for (key, fields) in self.collect(type_name, fields) {
            let wanted = self.wanted(type_name, collection, &fields)?;
            members.push(Member { key: key.into(), wanted });
        }
        Ok(members)
    }

    fn wanted(&self, type_name: &str, collection: CollectionId, fields: &[&'a Field]) -> Result<Wanted> {
        let Some(first) = fields.first() else { return Err(lost(type_name, "")) };
        let name = first.name.node.as_str();
        if name == TYPE_NAME {
            return Ok(Wanted::Constant(text(type_name)));
        }
        let of = self.built.field(type_name, name).ok_or_else(|| lost(type_name, name))?;
        let below = bare_name(&of.ty);
        let found = self.schema.collection(collection);
        let Some(id) = found.find(name) else {
            let field = name.strip_suffix("_func").ok_or_else(|| lost(type_name, name))?;
            return Ok(Wanted::Object(self.functions(below, field, fields)));
        };
        if first.selection_set.node.items.is_empty() {
            return Ok(Wanted::Value(name.to_owned()));
        }
        let field = name.to_owned();
        match &found.field(id).kind {
            FieldKind::ManyToOne { related, .. } | FieldKind::OneToMany { related, .. } => {
                let mut query = self.arguments(type_name, *related, first)?;
                query.members = Some(self.items(below, *related, fields)?);
                Ok(Wanted::Related { field, query: Box::new(query) })
            }
            FieldKind::ManyToAny { .. } => {
                let mut queries = Vec::new();
                for possible in self.built.possible(below) {
                    let related = self.schema.find(possible).ok_or_else(|| lost(below, possible))?;
                    let members = Some(self.items(possible, related, fields)?);
                    queries.push((possible.to_owned(), DeepQuery { members, ..DeepQuery::default() }));
                }
                Ok(Wanted::RelatedAny { field, queries })
            }
            FieldKind::Plain | FieldKind::Presentation => Err(lost(type_name, name)),
        }
    }

    /// `day_func { year month }`.
    fn functions(&self, type_name: &str, field: &str, fields: &[&'a Field]) -> Vec<Member> {
        let collected = self.collect(type_name, fields);
        let members = collected.iter().filter_map(|(key, fields)| {
            let wanted = match fields.first()?.name.node.as_str() {
                TYPE_NAME => Wanted::Constant(text(type_name)),
                function => Wanted::Value(format!("{function}({field})")),
            };
            Some(Member { key: (*key).into(), wanted })
        });
        members.collect()
    }

    /// The members of groups of figures.
    pub(super) fn figures(&self, type_name: &str, fields: &[&'a Field]) -> Vec<FigureMember> {
        let collected = self.collect(type_name, fields);
        let members = collected.iter().filter_map(|(key, fields)| {
            let name = fields.first()?.name.node.as_str();
            let wanted = match name {
                TYPE_NAME => WantedFigure::Constant(text(type_name)),
                "group" => WantedFigure::Group,
                "countAll" => WantedFigure::Figure(name.to_owned(), "*".to_owned()),
                function => {
                    let below = bare_name(&self.built.field(type_name, function)?.ty);
                    let inner = self.collect(below, fields);
                    let inner = inner.iter().filter_map(|(key, fields)| {
                        let wanted = match fields.first()?.name.node.as_str() {
                            TYPE_NAME => WantedFigure::Constant(text(below)),
                            field => WantedFigure::Figure(function.to_owned(), field.to_owned()),
                        };
                        Some(FigureMember { key: (*key).into(), wanted })
                    });
                    WantedFigure::Object(inner.collect())
                }
            };
            Some(FigureMember { key: (*key).into(), wanted })
        });
        members.collect()
    }

    /// What of a value of this type is selected.
    pub(super) fn project(&self, type_name: &str, value: &Value, fields: &[&'a Field]) -> Value {
        match value {
            Value::Array(entries) => {
                entries.iter().map(|entry| self.project(type_name, entry, fields)).collect()
            }
            Value::Object(members)
                if fields.iter().any(|field| !field.selection_set.node.items.is_empty()) =>
            {
                let mut out = Map::new();
                for (key, fields) in self.collect(type_name, fields) {
                    let Some(first) = fields.first() else { continue };
                    let name = first.name.node.as_str();
                    let projected = match self.built.field(type_name, name) {
                        _ if name == TYPE_NAME => Value::from(type_name),
                        Some(of) => {
                            let below = bare_name(&of.ty);
                            self.project(below, members.get(name).unwrap_or(&Value::Null), &fields)
                        }
                        None => Value::Null,
                    };
                    out.insert(key.to_owned(), projected);
                }
                Value::Object(out)
            }
            // Where an object is expected, nothing else is one.
            _ if fields.iter().any(|field| !field.selection_set.node.items.is_empty()) => Value::Null,
            other => typed(type_name, other),
        }
    }
}

/// A value as its type has it.
fn typed(type_name: &str, value: &Value) -> Value {
    match (type_name, value) {
        ("ID" | "GraphQLBigInt", Value::Number(number)) => Value::from(number.to_string()),
        ("Float" | "Int", Value::String(text)) => {
            text.parse::<serde_json::Number>().map_or_else(|_| value.clone(), Value::Number)
        }
        _ => value.clone(),
    }
}

fn text(type_name: &str) -> std::sync::Arc<str> {
    Value::from(type_name).to_string().into()
}

/// What was checked against a schema is in it.
fn lost(type_name: &str, name: &str) -> Error {
    Error::internal(anyhow::anyhow!("{type_name}.{name} was checked, and is not there"))
}
