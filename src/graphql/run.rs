//! Carries an operation out: each field of the root is one read or one write through `items`.

use async_graphql::parser::types::{Field, OperationType};
use futures::future::LocalBoxFuture;
use futures::{StreamExt as _, stream};
use serde_json::{Map, Value, json};

use super::build::{Built, Root, bare_name};
use super::document::{Operation, Prepared, RootField};
use super::introspect;
use super::request::Request;
use super::select::Selector;
use super::service::GraphQl;
use super::values;
use crate::access::Context;
use crate::db::JsonBytes;
use crate::error::{Error, Result};
use crate::items::{self, ItemsService, document};
use crate::query::{Members, Query, Selection};
use crate::schema::CollectionId;
use crate::server;

/// Answers fields of the roots that are no collection's: see [`super::Roots`].
pub trait Extra {
    /// Does it. `arguments` fit what was described.
    fn answer<'a>(
        &'a self,
        ctx: &'a Context,
        field: &'a str,
        arguments: Map<String, Value>,
    ) -> LocalBoxFuture<'a, Result<ExtraAnswer>>;

    /// Makes or changes items of a collection; the answer is as `items` gives it, `None` where they may not be read.
    fn write<'a>(
        &'a self,
        items: &'a ItemsService,
        ctx: &'a Context,
        collection: &'a str,
        operation: items::Operation,
        answer: Option<Query>,
    ) -> LocalBoxFuture<'a, Result<Option<JsonBytes>>> {
        Box::pin(async move { Ok(items.write(ctx, collection, operation, answer, None).await?.body) })
    }
}

/// What such a field is answered with.
#[derive(Debug, Clone, PartialEq)]
pub enum ExtraAnswer {
    /// This; what is selected of it is shown.
    Value(Value),
    /// These items of a collection, which the caller may read.
    Items(String, Selection),
}

/// For scopes that have nothing but items.
#[derive(Debug, Clone, Copy)]
pub struct NoExtra;

impl Extra for NoExtra {
    fn answer<'a>(
        &'a self,
        _: &'a Context,
        _: &'a str,
        _: Map<String, Value>,
    ) -> LocalBoxFuture<'a, Result<ExtraAnswer>> {
        Box::pin(async { Err(Error::Forbidden) })
    }
}

/// One request under way.
pub(super) struct Run<'a> {
    pub(super) door: &'a GraphQl,
    pub(super) ctx: &'a Context,
    pub(super) built: &'a Built,
    pub(super) prepared: &'a Prepared,
    pub(super) extra: &'a dyn Extra,
}

/// A field of a root that is not skipped.
pub(super) struct Active<'a> {
    pub(super) field: &'a RootField,
    pub(super) entries: Vec<&'a Field>,
}

/// Fields of a query's root that are read at the same time: a long document shall not take every connection.
const READS_AT_ONCE: usize = 4;
/// The start of what `items` answers.
const DATA: usize = b"\"data\":".len();

impl Run<'_> {
    /// The members of the answer.
    pub(super) async fn answer(&self, request: &Request, may_change: bool) -> Result<Vec<u8>> {
        let (position, operation) = self.prepared.operation(request.operation_name.as_deref())?;
        let is_mutation = match operation.kind {
            OperationType::Query => false,
            OperationType::Mutation if !may_change => {
                return Err(Error::MethodNotAllowed { current: "GET".to_owned(), allowed: vec!["POST"] });
            }
            OperationType::Mutation => true,
            OperationType::Subscription => {
                return Err(Error::graphql("Subscriptions are answered over a WebSocket."));
            }
        };
        let registry = self.built.checker.registry();
        let variables = values::variables(registry, &operation.variables, &request.variables)?;
        let selector = self.selector(&variables);
        let active = active(operation, &variables);
        let described = self.described(operation, &active, &variables).await?;
        let mut output = Output::default();
        if is_mutation {
            // All of it is looked at before any of it is done.
            let planned: Vec<_> =
                active.iter().map(|active| self.plan_change(&selector, active)).collect::<Result<_>>()?;
            for (active, change) in active.iter().zip(planned) {
                let value = match change {
                    Some(change) => Box::pin(self.change(&selector, active, change)).await,
                    None => Ok(self.type_name(operation.kind).into()),
                };
                // Where that leaves no answer, nobody would be told of what is done after it.
                let is_over = value.is_err() && active.field.is_required;
                output.push(active.field, value);
                if is_over {
                    break;
                }
            }
        } else {
            let (selector, described) = (&selector, described.as_ref());
            let read = async |active: &Active<'_>| match &active.field.root {
                Some(root) => self.read(selector, position, active, root).await,
                None => Ok(match described.and_then(|all| all.get(&active.field.key)) {
                    Some(value) => value.to_string().into(),
                    None => self.type_name(operation.kind).into(),
                }),
            };
            let mut values = stream::iter(&active).map(read).buffered(READS_AT_ONCE);
            for active in &active {
                let Some(value) = values.next().await else { break };
                if let Err(error @ Error::GraphqlValidation { .. }) = value {
                    return Err(error);
                }
                output.push(active.field, value);
            }
        }
        Ok(output.finish())
    }

    pub(super) fn selector<'s>(&'s self, variables: &'s Map<String, Value>) -> Selector<'s> {
        Selector {
            built: self.built,
            schema: &self.ctx.schema,
            fragments: &self.prepared.fragments,
            variables,
            limits: &self.door.limits,
        }
    }

    /// `__typename` of a root.
    fn type_name(&self, kind: OperationType) -> String {
        let registry = self.built.checker.registry();
        let name = match kind {
            OperationType::Query => Some(registry.query_type.as_str()),
            OperationType::Mutation => registry.mutation_type.as_deref(),
            OperationType::Subscription => registry.subscription_type.as_deref(),
        };
        Value::from(name.unwrap_or_default()).to_string()
    }

    /// What the schema says of itself, where that is asked for.
    async fn described(
        &self,
        operation: &Operation,
        active: &[Active<'_>],
        variables: &Map<String, Value>,
    ) -> Result<Option<Map<String, Value>>> {
        let is_about_schema = |active: &&Active<'_>| {
            active.field.root.is_none()
                && active.entries.first().is_some_and(|field| field.name.node != "__typename")
        };
        let asked: Vec<Field> = active
            .iter()
            .filter(is_about_schema)
            .flat_map(|active| active.entries.iter().map(|field| (*field).clone()))
            .collect();
        if asked.is_empty() {
            return Ok(None);
        }
        // One document may have several operations that ask for different things.
        let asked_for: Vec<&str> = active.iter().map(|active| active.field.key.as_str()).collect();
        let key = (self.prepared.id, json!([operation.name, asked_for, variables]).to_string());
        if let Some(text) = self.door.descriptions.get(&key) {
            return serde_json::from_str(&text).map(Some).map_err(Error::internal);
        }
        let described =
            introspect::describe(self.built, &self.prepared.fragments, operation, asked, variables).await?;
        let text = Value::Object(described.clone()).to_string();
        if self.prepared.is_kept {
            self.door.descriptions.insert(key, text.into());
        }
        Ok(Some(described))
    }

    /// One field of the query's root, as JSON text.
    async fn read(
        &self,
        selector: &Selector<'_>,
        position: usize,
        active: &Active<'_>,
        root: &Root,
    ) -> Result<Written> {
        let Some(first) = active.entries.first() else { return Ok("null".into()) };
        let id = match root {
            Root::Items(id) | Root::ById(id) | Root::Aggregated(id) => *id,
            Root::ByVersion(id) => return self.read_version(selector, active, first, *id).await,
            Root::Extra(name) => return self.ask_extra(selector, active, first, name).await,
            _ => return Ok("null".into()),
        };
        let collection = self.ctx.schema.collection(id);
        let selection = match root {
            Root::ById(_) => Selection::Key(self.key(selector, first)?),
            Root::Items(_) if collection.singleton => Selection::Singleton,
            _ => Selection::Query,
        };
        let query = || self.query(selector, active, first, root, id);
        let items = &self.door.items;
        let members = match self.prepared.is_kept {
            true => {
                let name = self.plan_name(position, active.field, selector.variables);
                items.read_named(self.ctx, &collection.name, selection, &name, query).await?
            }
            false => items.read(self.ctx, &collection.name, selection, query()?).await?,
        };
        Ok(Written::members(members))
    }

    /// Says all that a read depends on but the key of the item.
    pub(super) fn plan_name(
        &self,
        position: usize,
        field: &RootField,
        variables: &Map<String, Value>,
    ) -> String {
        let mut name = format!("{}.{position}.{}", self.prepared.id, field.key);
        for used in &field.uses {
            name.push('\0');
            match variables.get(used) {
                Some(value) => name.push_str(&value.to_string()),
                // No JSON is this.
                None => name.push('-'),
            }
        }
        name
    }

    fn query(
        &self,
        selector: &Selector<'_>,
        active: &Active<'_>,
        first: &Field,
        root: &Root,
        id: CollectionId,
    ) -> Result<Query> {
        let registry = self.built.checker.registry();
        let arguments = selector.checked_arguments(&registry.query_type, first)?;
        let mut query = selector.query(id, arguments)?;
        let of = self.built.field(&registry.query_type, &first.name.node).map(|field| bare_name(&field.ty));
        let of = of.unwrap_or_default();
        query.members = Some(match root {
            Root::Aggregated(_) => Members::Figures(selector.figures(of, &active.entries)),
            _ => Members::Items(selector.items(of, id, &active.entries)?),
        });
        Ok(query)
    }

    /// The key that the argument `id` names.
    pub(super) fn key(&self, selector: &Selector<'_>, field: &Field) -> Result<String> {
        let written = field.get_argument("id").and_then(|id| values::value(&id.node, selector.variables));
        match written {
            Some(Value::String(text)) => Ok(text),
            Some(Value::Number(number)) => Ok(number.to_string()),
            _ => Err(Error::graphql("Argument \"id\" must be a text or a whole number.")),
        }
    }

    /// An item with what a version changes of it, as the version has it.
    async fn read_version(
        &self,
        selector: &Selector<'_>,
        active: &Active<'_>,
        first: &Field,
        id: CollectionId,
    ) -> Result<Written> {
        let registry = self.built.checker.registry();
        let arguments = selector.checked_arguments(&registry.query_type, first)?;
        let of = self.built.field(&registry.query_type, &first.name.node).map(|field| bare_name(&field.ty));
        let of = of.unwrap_or_default();
        let collection = self.ctx.schema.collection(id);
        let selection = match collection.singleton {
            true => Selection::Singleton,
            false => Selection::Key(self.key(selector, first)?),
        };
        let mut query = selector.query(id, arguments)?;
        query.version_raw = true;
        let selected = selector.collect(of, &active.entries);
        let names = selected.values().filter_map(|fields| Some(fields.first()?.name.node.as_str()));
        query.fields = names.filter(|name| *name != "__typename").map(|name| vec![name.to_owned()]).collect();
        let members = self.door.items.read(self.ctx, &collection.name, selection, query).await?;
        let shown = selector.project(of, &document(&members)?, &active.entries);
        Ok(shown.to_string().into())
    }

    /// A field that the adapter answers.
    pub(super) async fn ask_extra(
        &self,
        selector: &Selector<'_>,
        active: &Active<'_>,
        first: &Field,
        name: &str,
    ) -> Result<Written> {
        let registry = self.built.checker.registry();
        let is_query =
            self.built.queries.get(name).is_some_and(|root| Some(root) == active.field.root.as_ref());
        let type_name = match &registry.mutation_type {
            Some(mutation) if !is_query || self.built.field(&registry.query_type, name).is_none() => mutation,
            _ => &registry.query_type,
        };
        let arguments = selector.checked_arguments(type_name, first)?;
        let of = self.built.field(type_name, name).map(|field| bare_name(&field.ty)).unwrap_or_default();
        match self.extra.answer(self.ctx, name, arguments).await? {
            ExtraAnswer::Value(value) => Ok(selector.project(of, &value, &active.entries).to_string().into()),
            ExtraAnswer::Items(collection, selection) => {
                let id = self.ctx.schema.find(&collection).ok_or(Error::Forbidden)?;
                let members = Members::Items(selector.items(of, id, &active.entries)?);
                let query = Query { members: Some(members), ..Query::default() };
                let members = self.door.items.read(self.ctx, &collection, selection, query).await?;
                Ok(Written::members(members))
            }
        }
    }
}

/// The fields of the root that are asked for with these variables.
pub(super) fn active<'o>(operation: &'o Operation, variables: &Map<String, Value>) -> Vec<Active<'o>> {
    let asked = |field: &'o RootField| {
        let entries = field.entries.iter().filter(|entry| values::is_shown(&entry.conditions, variables));
        let entries: Vec<&Field> = entries.map(|entry| &entry.field).collect();
        (!entries.is_empty()).then_some(Active { field, entries })
    };
    operation.roots.iter().filter_map(asked).collect()
}

/// The value of one field, as JSON text.
pub(super) struct Written {
    bytes: Vec<u8>,
    /// Where the value begins: what `items` answers has a name before it, which is not worth moving all of it.
    from: usize,
}

impl Written {
    /// What `items` answers.
    pub(super) fn members(bytes: Vec<u8>) -> Self {
        Written { from: DATA.min(bytes.len()), bytes }
    }

    fn value(&self) -> &[u8] {
        self.bytes.get(self.from..).unwrap_or_default()
    }
}

impl<T: Into<Vec<u8>>> From<T> for Written {
    fn from(text: T) -> Self {
        Written { bytes: text.into(), from: 0 }
    }
}

/// The answer while it is written.
#[derive(Default)]
struct Output<'a> {
    fields: Vec<(&'a RootField, Written)>,
    errors: Vec<Value>,
    /// Something that may not be null is.
    is_null: bool,
}

impl<'a> Output<'a> {
    /// Adds a field.
    fn push(&mut self, field: &'a RootField, value: Result<Written>) {
        let value = value.unwrap_or_else(|error| {
            if let Error::Internal { id, cause } = &error {
                tracing::error!(error_id = %id, cause = format!("{cause:#}"), "a field of GraphQL failed");
            }
            self.is_null |= field.is_required;
            let at = field.entries.first().map(|entry| introspect::place(&entry.field.response_key().pos));
            for mut entry in server::entries(&error) {
                entry["locations"] = at.iter().cloned().collect();
                entry["path"] = json!([field.key]);
                self.errors.push(entry);
            }
            "null".into()
        });
        self.fields.push((field, value));
    }

    fn finish(self) -> Vec<u8> {
        let sizes = self.fields.iter().map(|(field, value)| field.key.len() + value.value().len() + 4);
        let mut members = Vec::with_capacity(sizes.sum::<usize>() + 32);
        members.extend_from_slice(b"\"data\":");
        if self.is_null {
            members.extend_from_slice(b"null");
        } else {
            members.push(b'{');
            for (number, (field, value)) in self.fields.iter().enumerate() {
                members.extend_from_slice(if number == 0 { b"\"" } else { b",\"" });
                // A name of GraphQL has nothing that JSON would escape.
                members.extend_from_slice(field.key.as_bytes());
                members.extend_from_slice(b"\":");
                members.extend_from_slice(value.value());
            }
            members.push(b'}');
        }
        if !self.errors.is_empty() {
            members.extend_from_slice(b",\"errors\":");
            members.extend_from_slice(Value::Array(self.errors).to_string().as_bytes());
        }
        members
    }
}
