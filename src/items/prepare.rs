//! From a payload to a plan: what can be decided without the database, and so inside of a transaction, too.
//!
//! Start at [`Shaper::shape`].

use std::collections::{HashSet, VecDeque};

use indexmap::IndexMap;
use serde_json::Value;

use super::files::OwnValues;
use super::nested::{Planner, key_text, key_value};
use super::plan::{ItemWrite, Target};
use super::read::compile;
use super::rights;
use super::run::key_field;
use super::service::{ItemsService, ItemsSettings};
use super::validate::Rules;
use super::write::{Keys, Operation, Prepared, Targets, Work};
use crate::access::{Action, Context};
use crate::error::{Error, Result};
use crate::filter::Target as FilterTarget;
use crate::query::{Meta, Plan, Query, Selection};
use crate::schema::{Collection, CollectionId};
use crate::sql::Dialect;
use crate::sql::write as statements;

/// What shapes depend on beside the request.
#[derive(Clone)]
pub(super) struct Shaper {
    dialect: Dialect,
    settings: ItemsSettings,
    rules: std::sync::Arc<Rules>,
}

impl ItemsService {
    pub(super) fn shaper(&self, ctx: &Context) -> Shaper {
        Shaper {
            dialect: self.database.dialect(),
            settings: self.settings.clone(),
            rules: self.rules(&ctx.schema),
        }
    }
}

impl Operation {
    /// The right that it takes.
    pub(super) fn action(&self) -> Action {
        match self {
            Operation::Create(_) | Operation::CreateMany(_) => Action::Create,
            Operation::Update(..) | Operation::UpdateEach(_) => Action::Update,
            Operation::Delete(_) => Action::Delete,
        }
    }
}

impl Shaper {
    /// The collection, if this may be done there at all and it is one that is written to.
    pub(super) fn admit(&self, ctx: &Context, collection: &str, action: Action) -> Result<CollectionId> {
        let id = ctx.schema.find(collection).ok_or(Error::Forbidden)?;
        rights::allowed(ctx, id, action)?;
        key_field(ctx.schema.collection(id))?;
        Ok(id)
    }

    /// Rights of fields, shapes, values, rules, defaults. Secrets are still in the clear.
    pub(super) fn shape(
        &self,
        ctx: &Context,
        id: CollectionId,
        operation: Operation,
        keeps_automatic: bool,
    ) -> Result<Prepared> {
        self.shape_own(ctx, id, operation, keeps_automatic, Vec::new())
    }

    /// The same with what the server itself says of each item.
    pub(super) fn shape_own(
        &self,
        ctx: &Context,
        id: CollectionId,
        operation: Operation,
        keeps_automatic: bool,
        own: Vec<OwnValues>,
    ) -> Result<Prepared> {
        let mut planner = self.planner(ctx, keeps_automatic);
        planner.own = VecDeque::from(own);
        self.plan(&mut planner, ctx.schema.collection(id), id, operation)
    }

    /// The items of payloads of which parts are still missing, with whatever is wrong with them left for later.
    pub(super) fn rehearse(
        &self,
        ctx: &Context,
        id: CollectionId,
        target: Target,
        payloads: &[super::ItemPayload],
    ) -> Result<Vec<ItemWrite>> {
        let mut planner = self.planner(ctx, false);
        payloads.iter().map(|payload| planner.rehearse(id, target, payload)).collect()
    }

    fn planner<'c>(&'c self, ctx: &'c Context, keeps_automatic: bool) -> Planner<'c> {
        Planner {
            ctx,
            rules: &self.rules,
            max_depth: self.settings.max_relational_depth,
            keeps_automatic,
            own: VecDeque::new(),
            findings: Vec::new(),
        }
    }

    fn plan(
        &self,
        planner: &mut Planner<'_>,
        collection: &Collection,
        id: CollectionId,
        operation: Operation,
    ) -> Result<Prepared> {
        let dialect = self.dialect;
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

    pub(super) fn check_batch(&self, count: usize) -> Result<()> {
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
        let dialect = self.dialect;
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
}
