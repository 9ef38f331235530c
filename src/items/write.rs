//! A write, from payload to answer, as one visible list of steps: see `ItemsService::carry_out`.

use std::collections::HashSet;
use std::sync::Arc;

use futures::FutureExt as _;
use indexmap::IndexMap;
use serde_json::Value;

use super::accounts;
use super::hashing;
use super::nested::{ItemPayload, Planner, key_json, key_text, key_value};
use super::plan::{ItemWrite, Target};
use super::read::compile;
use super::rights;
use super::run::{Run, RunContext, first_value, key_field};
use super::service::ItemsService;
use crate::access::{Action, Context};
use crate::error::{Error, Result};
use crate::events::EventAction;
use crate::filter::{Scalar, Target as FilterTarget};
use crate::query::{Meta, Plan, Query, Selection};
use crate::schema::{Collection, CollectionId, ColumnType};
use crate::sql::Statement;
use crate::sql::write as statements;

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Operation {
    /// Makes one item (of a singleton: sets it).
    Create(ItemPayload),
    /// Makes many items, all or none.
    CreateMany(Vec<ItemPayload>),
    /// Gives items the same values.
    Update(Targets, ItemPayload),
    /// Changes many items, each named by the primary key in its payload.
    UpdateEach(Vec<ItemPayload>),
    /// Removes items.
    Delete(Targets),
}

/// Which items are changed or removed.
#[derive(Debug, Clone)]
pub enum Targets {
    /// The one with this key, as it stands in a path.
    Key(String),
    /// Those with these keys.
    Keys(Vec<Value>),
    /// Those that a query finds, when the write happens.
    Query(Box<Query>),
    /// The only item of a singleton; a change makes it when it is not there.
    Singleton,
}

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// Keys, in the order of the payloads; without those that were not there.
    pub keys: Vec<Value>,
    /// One item was asked for, so one is answered.
    pub is_single: bool,
}

/// A write that has passed every check that needs no database.
#[derive(Clone)]
pub(super) struct Prepared {
    pub collection: CollectionId,
    pub is_single: bool,
    work: Work,
}

#[derive(Clone)]
enum Work {
    Create(Vec<ItemWrite>),
    Update(Box<ItemWrite>, Keys),
    UpdateEach(Vec<ItemWrite>),
    Singleton(Box<ItemWrite>, Statement),
    Delete(Keys),
    DeleteSingleton(Statement),
}

/// The keys of the items meant.
#[derive(Clone)]
enum Keys {
    /// These.
    Known(Vec<Scalar>),
    /// Those in this column of what the statement finds.
    Found {
        statement: Box<Statement>,
        column: usize,
        /// More than this are refused.
        most: Option<u64>,
    },
}

impl ItemsService {
    /// Does it, and tells whoever listens once it is committed.
    pub async fn change(&self, ctx: &Context, collection: &str, operation: Operation) -> Result<Written> {
        let prepared = self.prepare(ctx, collection, operation, false).await?;
        let is_single = prepared.is_single;
        let id = prepared.collection;
        let keys = self.carry_out(ctx, prepared).await?;
        let collection = ctx.schema.collection(id);
        Ok(Written { keys: keys.iter().map(|key| key_json(collection, key)).collect(), is_single })
    }

    /// The same for items as they ought to be: who made them and when is taken from the payload where it says so.
    pub async fn put(&self, ctx: &Context, collection: &str, operation: Operation) -> Result<Written> {
        let prepared = self.prepare(ctx, collection, operation, true).await?;
        let is_single = prepared.is_single;
        let id = prepared.collection;
        let keys = self.carry_out(ctx, prepared).await?;
        let collection = ctx.schema.collection(id);
        Ok(Written { keys: keys.iter().map(|key| key_json(collection, key)).collect(), is_single })
    }

    /// The steps that need no database: rights, hooks, shapes, values, rules, defaults, hashes.
    pub(super) async fn prepare(
        &self,
        ctx: &Context,
        collection: &str,
        operation: Operation,
        keeps_automatic: bool,
    ) -> Result<Prepared> {
        let id = ctx.schema.find(collection).ok_or(Error::Forbidden)?;
        let (action, event) = match &operation {
            Operation::Create(_) | Operation::CreateMany(_) => (Action::Create, EventAction::Create),
            Operation::Update(..) | Operation::UpdateEach(_) => (Action::Update, EventAction::Update),
            Operation::Delete(_) => (Action::Delete, EventAction::Delete),
        };
        rights::allowed(ctx, id, action)?;
        let collection = ctx.schema.collection(id);
        key_field(collection)?;
        let operation = self.ask_hooks(ctx, collection, event, operation).await?;
        let rules = self.rules(&ctx.schema);
        let mut planner = Planner {
            ctx,
            rules: &rules,
            max_depth: self.settings.max_relational_depth,
            keeps_automatic,
            findings: Vec::new(),
        };
        let mut prepared = self.plan(&mut planner, collection, id, operation)?;
        accounts::check(self, ctx, &mut prepared).await?;
        prepared.hash_secrets(ctx).await?;
        Ok(prepared)
    }

    fn plan(
        &self,
        planner: &mut Planner<'_>,
        collection: &Collection,
        id: CollectionId,
        operation: Operation,
    ) -> Result<Prepared> {
        let dialect = self.database.dialect();
        let (is_single, work) = match operation {
            Operation::Create(payload) if collection.singleton => {
                let item = planner.plan(id, Target::Upsert, None, &payload)?;
                let statement = statements::select_first_key(dialect, collection, key_field(collection)?);
                (true, Work::Singleton(Box::new(item), statement))
            }
            Operation::Create(payload) => {
                (true, Work::Create(vec![planner.plan(id, Target::Create, None, &payload)?]))
            }
            Operation::CreateMany(payloads) => {
                self.check_batch(payloads.len())?;
                let items = payloads.iter().map(|payload| planner.plan(id, Target::Create, None, payload));
                (false, Work::Create(items.collect::<Result<_>>()?))
            }
            Operation::Update(Targets::Singleton, payload) => {
                let item = planner.plan(id, Target::Upsert, None, &payload)?;
                let statement = statements::select_first_key(dialect, collection, key_field(collection)?);
                (true, Work::Singleton(Box::new(item), statement))
            }
            Operation::Update(targets, payload) => {
                let (is_single, keys) = self.keys(planner.ctx, collection, targets)?;
                let item = planner.plan(id, Target::Update, None, &payload)?;
                (is_single, Work::Update(Box::new(item), keys))
            }
            Operation::UpdateEach(payloads) => {
                self.check_batch(payloads.len())?;
                let key_name = &collection.field(key_field(collection)?).name;
                let mut items = Vec::with_capacity(payloads.len());
                for payload in &payloads {
                    let key = payload.get(&**key_name).filter(|key| !key.is_null()).ok_or_else(|| {
                        Error::payload(format_args!("Every item needs its primary key \"{key_name}\""))
                    })?;
                    let key = key_value(collection, key)?;
                    items.push(planner.plan(id, Target::Update, Some(key), payload)?);
                }
                (false, Work::UpdateEach(items))
            }
            Operation::Delete(Targets::Singleton) => {
                let statement = statements::select_first_key(dialect, collection, key_field(collection)?);
                (true, Work::DeleteSingleton(statement))
            }
            Operation::Delete(targets) => {
                let (is_single, keys) = self.keys(planner.ctx, collection, targets)?;
                (is_single, Work::Delete(keys))
            }
        };
        Ok(Prepared { collection: id, is_single, work })
    }

    /// Blocking hooks see each payload; what they give back is checked like any other.
    async fn ask_hooks(
        &self,
        ctx: &Context,
        collection: &Collection,
        action: EventAction,
        operation: Operation,
    ) -> Result<Operation> {
        let hooks = self.events.hooks();
        if hooks.is_empty() {
            return Ok(operation);
        }
        let name = &collection.name;
        Ok(match operation {
            Operation::Create(payload) => Operation::Create(hooks.filter(ctx, name, action, payload).await?),
            Operation::Update(targets, payload) => {
                Operation::Update(targets, hooks.filter(ctx, name, action, payload).await?)
            }
            Operation::CreateMany(payloads) => {
                let mut filtered = Vec::with_capacity(payloads.len());
                for payload in payloads {
                    filtered.push(hooks.filter(ctx, name, action, payload).await?);
                }
                Operation::CreateMany(filtered)
            }
            Operation::UpdateEach(payloads) => {
                let mut filtered = Vec::with_capacity(payloads.len());
                for payload in payloads {
                    filtered.push(hooks.filter(ctx, name, action, payload).await?);
                }
                Operation::UpdateEach(filtered)
            }
            Operation::Delete(targets) => {
                hooks.filter(ctx, name, action, ItemPayload::new()).await?;
                Operation::Delete(targets)
            }
        })
    }

    fn check_batch(&self, count: usize) -> Result<()> {
        match self.settings.max_batch {
            Some(most) if count as u64 > most => {
                Err(Error::LimitExceeded { limit: "MAX_BATCH_MUTATION", most })
            }
            _ => Ok(()),
        }
    }

    /// The keys meant; whether one item is meant.
    fn keys(&self, ctx: &Context, collection: &Collection, targets: Targets) -> Result<(bool, Keys)> {
        match targets {
            Targets::Key(key) => Ok((true, Keys::Known(vec![key_value(collection, &Value::String(key))?]))),
            Targets::Keys(keys) => {
                self.check_batch(keys.len())?;
                let mut seen = HashSet::with_capacity(keys.len());
                let mut known = Vec::with_capacity(keys.len());
                for key in &keys {
                    let key = key_value(collection, key)?;
                    if seen.insert(key_text(&key)) {
                        known.push(key);
                    }
                }
                Ok((false, Keys::Known(known)))
            }
            Targets::Query(query) => Ok((false, self.find_keys(ctx, collection, *query)?)),
            Targets::Singleton => Ok((true, Keys::Known(Vec::new()))),
        }
    }

    /// The query with the key as its only field.
    fn find_keys(&self, ctx: &Context, collection: &Collection, query: Query) -> Result<Keys> {
        let key = key_field(collection)?;
        let query = Query {
            fields: vec![vec![collection.field(key).name.to_string()]],
            alias: IndexMap::new(),
            aggregate: IndexMap::new(),
            group_by: Vec::new(),
            meta: Meta::default(),
            ..query
        };
        let dialect = self.database.dialect();
        let limits = &self.settings.query;
        let read = compile(ctx, dialect, &collection.name, &Selection::Query, &query, limits)?;
        let columns = match &*read.plan {
            Plan::Items(plan) => plan.nodes.first().map(|node| &node.columns),
            Plan::Aggregate(_) => None,
        };
        let column = columns
            .and_then(|columns| columns.iter().position(|column| column.target == FilterTarget::Field(key)));
        match (column, read.statements.levels.first()) {
            (Some(column), Some(statement)) => Ok(Keys::Found {
                statement: Box::new(statement.clone()),
                column,
                most: self.settings.max_batch,
            }),
            _ => Err(Error::internal(anyhow::anyhow!("a plan that finds items does not read their keys"))),
        }
    }

    /// One transaction, then the announcement.
    pub(super) async fn carry_out(&self, ctx: &Context, prepared: Prepared) -> Result<Vec<Scalar>> {
        let with = self.run_context(ctx);
        let committed = self
            .database
            .repeatable_transaction(move |tx| {
                async move {
                    let mut run = Run::new(tx, with);
                    let keys = prepared.run(&mut run).await?;
                    Ok((keys, run.finish().await?))
                }
                .boxed()
            })
            .await?;
        let (committed, keys) = committed.split();
        self.events.dispatch(committed).await;
        Ok(keys)
    }

    pub(super) fn run_context(&self, ctx: &Context) -> RunContext {
        RunContext {
            ctx: ctx.clone(),
            rules: self.rules(&ctx.schema),
            counting_step: self.counting_step.clone(),
        }
    }
}

impl Prepared {
    /// Inside the transaction.
    pub(super) async fn run(self, run: &mut Run<'_>) -> Result<Vec<Scalar>> {
        match self.work {
            Work::Create(items) => {
                Ok(run.create_all(items).await?.into_iter().map(|written| written.key).collect())
            }
            Work::Update(item, keys) => {
                let keys = keys.find(run).await?;
                run.change_many(*item, keys).await
            }
            Work::UpdateEach(items) => {
                let mut keys = Vec::with_capacity(items.len());
                for item in items {
                    keys.extend(run.change(item).await?.map(|written| written.key));
                }
                Ok(keys)
            }
            Work::Singleton(item, statement) => {
                let found = run.tx.rows(&statement).await?.into_iter().find_map(first_value);
                let written = run.set_singleton(*item, found).await?;
                Ok(vec![written.key])
            }
            Work::Delete(keys) => {
                let keys = keys.find(run).await?;
                run.delete(self.collection, &keys, None).await
            }
            Work::DeleteSingleton(statement) => {
                let found = run.tx.rows(&statement).await?.into_iter().find_map(first_value);
                run.delete(self.collection, found.as_slice(), None).await
            }
        }
    }

    /// The new items, in order.
    pub(super) fn created(&mut self) -> &mut [ItemWrite] {
        match &mut self.work {
            Work::Create(items) => items,
            _ => &mut [],
        }
    }

    /// Secrets are hashed before the transaction: it takes a while.
    async fn hash_secrets(&mut self, ctx: &Context) -> Result<()> {
        let mut places: Vec<Arc<str>> = Vec::new();
        self.for_each_secret(ctx, &mut |value| {
            if let Scalar::Text(text) = value {
                places.push(text.clone());
            }
        });
        if places.is_empty() {
            return Ok(());
        }
        let mut hashes = Vec::with_capacity(places.len());
        for text in places {
            hashes.push(hashing::hash(text).await?);
        }
        let mut hashes = hashes.into_iter();
        self.for_each_secret(ctx, &mut |value| {
            if let (Scalar::Text(text), Some(hash)) = (value, hashes.next()) {
                *text = hash;
            }
        });
        Ok(())
    }

    /// Every item that is written, nested ones included.
    pub(super) fn for_each_item(&mut self, visit: &mut dyn FnMut(&mut ItemWrite)) {
        let items: &mut [ItemWrite] = match &mut self.work {
            Work::Create(items) | Work::UpdateEach(items) => items,
            Work::Update(item, _) | Work::Singleton(item, _) => std::slice::from_mut(item),
            Work::Delete(_) | Work::DeleteSingleton(_) => return,
        };
        for item in items {
            item.for_each(visit);
        }
    }

    fn for_each_secret(&mut self, ctx: &Context, visit: &mut dyn FnMut(&mut Scalar)) {
        self.for_each_item(&mut |item| {
            let collection = ctx.schema.collection(item.collection);
            for (field, value) in &mut item.values {
                let column = collection.field(*field).column.as_ref();
                if column.is_some_and(|column| column.column_type == ColumnType::Hash)
                    && *value != Scalar::Null
                {
                    visit(value);
                }
            }
        });
    }
}

impl Keys {
    async fn find(self, run: &mut Run<'_>) -> Result<Vec<Scalar>> {
        match self {
            Keys::Known(keys) => Ok(keys),
            Keys::Found { statement, column, most } => {
                let rows = run.tx.rows(&statement).await?;
                if let Some(most) = most.filter(|most| rows.len() as u64 > *most) {
                    return Err(Error::LimitExceeded { limit: "MAX_BATCH_MUTATION", most });
                }
                Ok(rows.into_iter().filter_map(|row| row.values.into_iter().nth(column)).collect())
            }
        }
    }
}
