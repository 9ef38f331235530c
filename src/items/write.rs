//! A write, from payload to answer, as one visible list of steps: see `ItemsService::carry_out`.

use std::collections::HashMap;
use std::sync::Arc;

use futures::FutureExt as _;
use serde_json::Value;

use super::accounts;
use super::at_once::with_key;
use super::files::OwnValues;
use super::hashing;
use super::known::Done;
use super::nested::{ItemPayload, key_json};
use super::plan::ItemWrite;
use super::run::{Run, RunContext, first_value, key_field};
use super::service::ItemsService;
use crate::access::{Action, Context};
use crate::error::{Error, Result};
use crate::events::EventAction;
use crate::filter::Scalar;
use crate::query::Query;
use crate::schema::{Collection, CollectionId, ColumnType};
use crate::sql::Statement;

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

/// A write that has passed every check that needs no database; see `prepare`.
#[derive(Clone)]
pub(super) struct Prepared {
    pub collection: CollectionId,
    pub is_single: bool,
    pub work: Work,
}

#[derive(Clone)]
pub(super) enum Work {
    Create(Vec<ItemWrite>),
    Update(Box<ItemWrite>, Keys),
    UpdateEach(Vec<ItemWrite>),
    Singleton(Box<ItemWrite>, Statement),
    Delete(Keys),
    DeleteSingleton(Statement),
}

/// The keys of the items meant.
#[derive(Clone)]
pub(super) enum Keys {
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
        let ctx = &*self.with_own(ctx).await?;
        let prepared = self.prepare(ctx, collection, operation, false).await?;
        let is_single = prepared.is_single;
        let id = prepared.collection;
        let keys = self.carry_out(ctx, prepared).await?;
        let collection = ctx.schema.collection(id);
        Ok(Written { keys: keys.iter().map(|key| key_json(collection, key)).collect(), is_single })
    }

    /// The same for items as they ought to be: who made them and when is taken from the payload where it says so.
    pub async fn put(&self, ctx: &Context, collection: &str, operation: Operation) -> Result<Written> {
        let ctx = &*self.with_own(ctx).await?;
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
        self.prepare_own(ctx, collection, operation, keeps_automatic, Vec::new()).await
    }

    /// The same with what the server itself says of each item.
    pub(super) async fn prepare_own(
        &self,
        ctx: &Context,
        collection: &str,
        operation: Operation,
        keeps_automatic: bool,
        own: Vec<OwnValues>,
    ) -> Result<Prepared> {
        let shaper = self.shaper(ctx);
        let id = shaper.admit(ctx, collection, operation.action())?;
        let operation = match self.events.hooks().is_empty() {
            true => operation,
            // Rarely, and large: other writes should not carry it along.
            false => Box::pin(self.ask_hooks(ctx, ctx.schema.collection(id), operation)).await?,
        };
        self.prepare_unheard(ctx, id, operation, keeps_automatic, own).await
    }

    /// The same without asking hooks.
    pub(super) async fn prepare_unheard(
        &self,
        ctx: &Context,
        id: CollectionId,
        operation: Operation,
        keeps_automatic: bool,
        own: Vec<OwnValues>,
    ) -> Result<Prepared> {
        let mut prepared = self.shaper(ctx).shape_own(ctx, id, operation, keeps_automatic, own)?;
        accounts::check(self, ctx, &mut prepared).await?;
        prepared.hash_secrets(ctx).await?;
        Ok(prepared)
    }

    /// Blocking hooks see each payload; what they give back is checked like any other.
    pub(super) async fn ask_hooks(
        &self,
        ctx: &Context,
        collection: &Collection,
        operation: Operation,
    ) -> Result<Operation> {
        let hooks = self.events.hooks();
        if hooks.is_empty() {
            return Ok(operation);
        }
        let name = &collection.name;
        let action = match operation.action() {
            Action::Create => EventAction::Create,
            Action::Delete => EventAction::Delete,
            Action::Read | Action::Update | Action::Share => EventAction::Update,
        };
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

    /// One transaction, then the announcement.
    pub(super) async fn carry_out(&self, ctx: &Context, prepared: Prepared) -> Result<Vec<Scalar>> {
        let with = self.run_context(ctx);
        let committed = self
            .database(ctx)?
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
            marks: self.marks.clone(),
            limits: self.settings.query.clone(),
        }
    }
}

impl Prepared {
    /// Inside the transaction. Gives the keys.
    pub(super) async fn run(self, run: &mut Run<'_>) -> Result<Vec<Scalar>> {
        self.run_known(run).await.map(|done| done.keys)
    }

    /// The same with what is known of the rows.
    pub(super) async fn run_known(self, run: &mut Run<'_>) -> Result<Done> {
        match self.work {
            Work::Create(items) => {
                let schema = run.schema();
                let key = key_field(schema.collection(self.collection))?;
                // What stands below an item may lead back to it.
                let is_known = items.iter().all(ItemWrite::is_flat);
                let in_order = !items.iter().any(|item| item.sent.contains(&key));
                let mut done = Done { keys: Vec::with_capacity(items.len()), rows: None, in_order };
                let mut rows = Vec::with_capacity(if is_known { items.len() } else { 0 });
                for written in run.create_all(items).await? {
                    if is_known {
                        rows.push(with_key(written.values, key, &written.key));
                    }
                    done.keys.push(written.key);
                }
                done.rows = is_known.then_some(rows);
                Ok(done)
            }
            Work::Update(item, keys) => {
                let keys = keys.find(run).await?;
                let (keys, rows) = run.change_many(*item, keys).await?;
                let in_order = keys.len() < 2;
                Ok(Done { keys, rows, in_order })
            }
            Work::UpdateEach(items) => {
                let mut keys = Vec::with_capacity(items.len());
                for item in items {
                    keys.extend(run.change(item).await?.map(|written| written.key));
                }
                Ok(Done::of_keys(keys))
            }
            Work::Singleton(item, statement) => {
                let found = run.tx.rows(&statement).await?.into_iter().find_map(first_value);
                let written = run.set_singleton(*item, found).await?;
                Ok(Done::of_keys(vec![written.key]))
            }
            Work::Delete(keys) => {
                let keys = keys.find(run).await?;
                run.delete(self.collection, &keys, None).await.map(Done::of_keys)
            }
            Work::DeleteSingleton(statement) => {
                let found = run.tx.rows(&statement).await?.into_iter().find_map(first_value);
                run.delete(self.collection, found.as_slice(), None).await.map(Done::of_keys)
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

    /// Items that were planned one by one.
    pub(super) fn of(collection: CollectionId, items: Vec<ItemWrite>) -> Self {
        Prepared { collection, is_single: false, work: Work::Create(items) }
    }

    /// The new items, in order.
    pub(super) fn into_created(self) -> Vec<ItemWrite> {
        match self.work {
            Work::Create(items) => items,
            _ => Vec::new(),
        }
    }

    /// Secrets are hashed before the transaction: it takes a while.
    pub(super) async fn hash_secrets(&mut self, ctx: &Context) -> Result<()> {
        let mut secrets = Secrets::default();
        self.for_each_secret(ctx, &mut |value| secrets.note(value));
        if secrets.hashes.is_empty() {
            return Ok(());
        }
        Box::pin(secrets.hash()).await?;
        self.conceal(ctx, secrets)
    }

    /// Puts hashes in the place of secrets. Fails with `InvalidPayload` for one whose hash was not made.
    pub(super) fn conceal(&mut self, ctx: &Context, mut secrets: Secrets) -> Result<()> {
        let mut is_missing = false;
        self.for_each_secret(ctx, &mut |value| {
            let Scalar::Text(text) = value else { return };
            match secrets.hashes.get_mut(text).and_then(Vec::pop) {
                Some(hash) => *text = hash,
                None => is_missing = true,
            }
        });
        if is_missing {
            return Err(Error::payload("A secret must stand in the request itself."));
        }
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
        self.for_each_item(&mut |item| each_secret(ctx, item, visit));
    }
}

/// The secrets of one item, without those below it.
fn each_secret(ctx: &Context, item: &mut ItemWrite, visit: &mut dyn FnMut(&mut Scalar)) {
    let collection = ctx.schema.collection(item.collection);
    for (field, value) in &mut item.values {
        let column = collection.field(*field).column.as_ref();
        if column.is_some_and(|column| column.column_type == ColumnType::Hash) && *value != Scalar::Null {
            visit(value);
        }
    }
}

/// Secrets in the clear with the hashes that are kept of them, each with a salt of its own.
#[derive(Clone, Default)]
pub(super) struct Secrets {
    hashes: HashMap<Arc<str>, Vec<Arc<str>>>,
}

impl Secrets {
    /// Notes every secret of these items, nested ones included.
    pub(super) fn note_all(&mut self, ctx: &Context, items: &mut [ItemWrite]) {
        for item in items {
            item.for_each(&mut |item| each_secret(ctx, item, &mut |value| self.note(value)));
        }
    }

    fn note(&mut self, value: &Scalar) {
        if let Scalar::Text(text) = value {
            self.hashes.entry(text.clone()).or_default().push(Arc::clone(text));
        }
    }

    /// Makes the hashes of all that were noted.
    pub(super) async fn hash(&mut self) -> Result<()> {
        for hash in self.hashes.values_mut().flatten() {
            *hash = hashing::hash(hash.clone()).await?;
        }
        Ok(())
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
