//! Items that come in great numbers: from a file, a batch at a time.
//!
//! An item with a key that is there is changed, every other one is made. Either all of them are written in one transaction
//! (`import_all`), or each that can be (`import_some`); never are all of them in memory.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt as _;
use tokio::sync::mpsc;

use super::accounts;
use super::nested::{ItemPayload, Planner, key_text, key_value};
use super::plan::{ItemWrite, Target};
use super::rights;
use super::run::{Run, RunContext, first_value, key_field};
use super::service::ItemsService;
use super::write::Prepared;
use crate::access::{Action, Context};
use crate::db::Transaction;
use crate::error::{Error, Result};
use crate::events::{EventAction, ItemEvent};
use crate::filter::Scalar;
use crate::schema::{Collection, CollectionId};
use crate::sql::Dialect;
use crate::sql::write::{self as statements, Match};

/// Events that are kept to be announced; of more only the numbers of their rows.
const MOST_EVENTS: usize = 10_000;

/// Batches that are planned ahead of the one that is written.
const AHEAD: usize = 1;

/// One item of a file.
#[derive(Debug)]
pub struct ImportRow {
    /// Line in which it begins.
    pub line: u64,
    /// The item, or why it is none.
    pub item: Result<ItemPayload>,
}

/// The next items of a file.
#[derive(Debug)]
pub enum ImportRows {
    /// Some.
    Batch(Vec<ImportRow>),
    /// There are no more; whoever stops without saying so has failed.
    End,
}

/// How far an import is.
#[derive(Debug, Default)]
pub struct ImportProgress {
    /// Items written; until the end of an import of all or nothing, those that will be.
    pub written: AtomicU64,
    /// Items that cannot be written.
    pub refused: AtomicU64,
    /// Batches written.
    pub batches: AtomicU64,
}

/// An item that is ready to be written.
#[derive(Clone)]
struct Planned {
    line: u64,
    item: ItemWrite,
}

/// What the planner tells the transaction.
enum Part {
    Batch(Vec<Planned>),
    End,
}

impl ItemsService {
    /// Whether the caller may import items here: it takes the right to make them and the right to change them.
    pub fn may_import(&self, ctx: &Context, collection: &str) -> Result<CollectionId> {
        let id = ctx.schema.find(collection).ok_or(Error::Forbidden)?;
        for action in [Action::Create, Action::Update] {
            rights::allowed(ctx, id, action)?;
        }
        let collection = ctx.schema.collection(id);
        if collection.is_system() {
            return Err(Error::Forbidden);
        }
        if collection.singleton {
            return Err(Error::payload("a singleton has one item and takes no file of items."));
        }
        key_field(collection).map(|_| id)
    }

    /// What is wrong with these items, as far as no database is needed to know.
    pub fn check_rows(&self, ctx: &Context, id: CollectionId, rows: Vec<ImportRow>) -> Vec<Error> {
        let rules = self.rules(&ctx.schema);
        let mut planner = self.planner(ctx, &rules);
        let check = |row: ImportRow| {
            let planned = row.item.and_then(|item| plan(&mut planner, id, item));
            planned.err().map(|error| error.in_line(row.line))
        };
        rows.into_iter().filter_map(check).collect()
    }

    /// Writes all items in one transaction, or none. The batch with the number `careful` is written item by item, so that a
    /// failure in it names its line.
    pub async fn import_all(
        &self,
        ctx: &Context,
        id: CollectionId,
        mut rows: mpsc::Receiver<ImportRows>,
        progress: Arc<ImportProgress>,
        careful: Option<u64>,
    ) -> Result<()> {
        let ctx = &*self.with_own(ctx).await?;
        let (sender, parts) = mpsc::channel(AHEAD);
        let planning = async move {
            while let Some(next) = rows.recv().await {
                let part = match next {
                    ImportRows::Batch(rows) => Part::Batch(self.plan_rows(ctx, id, rows).await?),
                    ImportRows::End => Part::End,
                };
                let is_end = matches!(part, Part::End);
                if sender.send(part).await.is_err() || is_end {
                    // The transaction has failed, and says why.
                    return Ok(());
                }
            }
            Err(broken_off())
        };
        let with = self.run_context(ctx);
        let database = self.database(ctx)?;
        let writing = database.transaction(move |tx| {
            async move { write_all(tx, &with, parts, &progress, careful).await }.boxed()
        });
        let (planned, written) = tokio::join!(planning, writing);
        planned?;
        self.events.dispatch_many(&self.database, written?).await;
        Ok(())
    }

    /// Writes each of these items that can be written. Gives what is wrong with the others.
    pub async fn import_some(&self, ctx: &Context, id: CollectionId, rows: Vec<ImportRow>) -> Vec<Error> {
        let mut refused = Vec::new();
        let ctx = &match self.with_own(ctx).await {
            Ok(ctx) => ctx.into_owned(),
            Err(error) => return vec![error],
        };
        let mut planned = Vec::with_capacity(rows.len());
        for row in rows {
            let line = row.line;
            match self.plan_rows(ctx, id, vec![row]).await {
                Ok(one) => planned.extend(one),
                Err(error) => refused.push(error.in_line(line)),
            }
        }
        if self.write_some(ctx, planned.clone()).await.is_ok() {
            return refused;
        }
        for one in planned {
            let line = one.line;
            if let Err(error) = self.write_some(ctx, vec![one]).await {
                refused.push(error.in_line(line));
            }
        }
        refused
    }

    async fn write_some(&self, ctx: &Context, planned: Vec<Planned>) -> Result<()> {
        if planned.is_empty() {
            return Ok(());
        }
        let with = self.run_context(ctx);
        let committed = self
            .database(ctx)?
            .repeatable_transaction(move |tx| {
                async move {
                    let mut run = Run::new(tx, with);
                    run.put_all(planned.into_iter().map(|planned| planned.item).collect()).await?;
                    Ok(((), run.finish().await?))
                }
                .boxed()
            })
            .await?;
        self.events.dispatch(committed.split().0).await;
        Ok(())
    }

    /// Hooks, rights, values and secrets of some items.
    async fn plan_rows(&self, ctx: &Context, id: CollectionId, rows: Vec<ImportRow>) -> Result<Vec<Planned>> {
        let collection = ctx.schema.collection(id);
        let mut lines = Vec::with_capacity(rows.len());
        let mut payloads = Vec::with_capacity(rows.len());
        for row in rows {
            let payload = row.item.map_err(|error| error.in_line(row.line))?;
            lines.push(row.line);
            payloads.push(if self.events.hooks().is_empty() {
                payload
            } else {
                let action =
                    if has_key(collection, &payload)? { EventAction::Update } else { EventAction::Create };
                let filtered = self.events.hooks().filter(ctx, &collection.name, action, payload).await;
                filtered.map_err(|error| error.in_line(row.line))?
            });
        }
        let mut items = Vec::with_capacity(payloads.len());
        {
            let rules = self.rules(&ctx.schema);
            let mut planner = self.planner(ctx, &rules);
            for (line, payload) in lines.iter().zip(payloads) {
                items.push(plan(&mut planner, id, payload).map_err(|error| error.in_line(*line))?);
            }
        }
        let mut prepared = Prepared::of(id, items);
        accounts::check(self, ctx, &mut prepared).await?;
        prepared.hash_secrets(ctx).await?;
        Ok(lines
            .into_iter()
            .zip(prepared.into_created())
            .map(|(line, item)| Planned { line, item })
            .collect())
    }

    fn planner<'c>(&self, ctx: &'c Context, rules: &'c super::validate::Rules) -> Planner<'c> {
        Planner {
            ctx,
            rules,
            max_depth: self.settings.max_relational_depth,
            // Who made an item and when is what the file says, for those who may say so.
            keeps_automatic: ctx.rules.is_everything(),
            own: VecDeque::new(),
            findings: Vec::new(),
        }
    }
}

/// Whether an item names its key.
fn has_key(collection: &Collection, payload: &ItemPayload) -> Result<bool> {
    let name = &collection.field(key_field(collection)?).name;
    Ok(payload.get(&**name).is_some_and(|key| !key.is_null()))
}

fn plan(planner: &mut Planner<'_>, id: CollectionId, mut payload: ItemPayload) -> Result<ItemWrite> {
    let schema = planner.ctx.schema.clone();
    let collection = schema.collection(id);
    let name = &collection.field(key_field(collection)?).name;
    let planned = match payload.get(&**name).filter(|key| !key.is_null()) {
        Some(key) => {
            let key = key_value(collection, key)?;
            planner.plan(id, Target::Upsert, Some(key), &payload)
        }
        None => {
            payload.shift_remove(&**name);
            planner.plan(id, Target::Create, None, &payload)
        }
    };
    // What one item is found to be is nothing of the next.
    planner.findings.clear();
    planned
}

async fn write_all(
    tx: &mut Transaction,
    with: &RunContext,
    mut parts: mpsc::Receiver<Part>,
    progress: &ImportProgress,
    careful: Option<u64>,
) -> Result<(Vec<ItemEvent>, Vec<i64>)> {
    let (mut events, mut others) = (Vec::new(), Vec::new());
    loop {
        let part = match tx.dialect() {
            // This is the thread of the one writer, on which nothing can be awaited.
            Dialect::Sqlite => parts.blocking_recv(),
            Dialect::Postgres | Dialect::Mysql => parts.recv().await,
        };
        let planned = match part {
            Some(Part::Batch(planned)) => planned,
            Some(Part::End) => return Ok((events, others)),
            None => return Err(broken_off()),
        };
        let count = planned.len() as u64;
        let mut run = Run::new(tx, with.clone());
        if careful == Some(progress.batches.load(Ordering::Relaxed)) {
            for Planned { line, item } in planned {
                run.put_all(vec![item]).await.map_err(|error| error.in_line(line))?;
            }
        } else {
            run.put_all(planned.into_iter().map(|planned| planned.item).collect()).await?;
        }
        let new = run.finish().await?;
        if events.len() + new.len() <= MOST_EVENTS && others.is_empty() {
            events.extend(new);
        } else {
            others.extend(new.into_iter().map(|event| event.outbox_id));
        }
        progress.written.fetch_add(count, Ordering::Relaxed);
        progress.batches.fetch_add(1, Ordering::Relaxed);
    }
}

fn broken_off() -> Error {
    Error::UnprocessableContent { reason: "The import broke off.".to_owned() }
}

impl Run<'_> {
    /// Writes items of one collection: those with a key that is there are changed, the others are made, next to one another
    /// together.
    async fn put_all(&mut self, items: Vec<ItemWrite>) -> Result<()> {
        let Some(id) = items.first().map(|item| item.collection) else { return Ok(()) };
        let keys: Vec<Scalar> = items.iter().filter_map(|item| item.key.clone()).collect();
        let mut there = self.keys_there(id, &keys).await?;
        let mut new = Vec::new();
        for item in items {
            let key = item.key.as_ref().map(key_text);
            match key {
                Some(key) if there.contains(&key) => {
                    // It may be one of those that are still to be made.
                    self.create_all(std::mem::take(&mut new)).await?;
                    self.change(item).await?.ok_or(Error::Forbidden)?;
                }
                Some(key) => {
                    new.push(self.made_new(item)?);
                    there.insert(key);
                }
                None => new.push(item),
            }
        }
        self.create_all(new).await.map(|_| ())
    }

    /// Which of these keys are those of items.
    async fn keys_there(&mut self, id: CollectionId, keys: &[Scalar]) -> Result<HashSet<Arc<str>>> {
        if keys.is_empty() {
            return Ok(HashSet::new());
        }
        let schema = self.schema();
        let collection = schema.collection(id);
        let key = key_field(collection)?;
        let matches = [Match { field: key, values: keys }];
        let statement = statements::select(self.tx.dialect(), collection, &[key], &matches);
        let rows = self.tx.rows(&statement).await?;
        Ok(rows.into_iter().filter_map(first_value).map(|key| key_text(&key)).collect())
    }
}
