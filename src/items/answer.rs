//! A write with its answer, once or as often as it is sent.
//!
//! Start at `ItemsService::write`. What is answered of a row that is known anyway is not read. Without an idempotency key the rest
//! is read after the commit, unless it is at hand before; with one it is read and stored inside the transaction, so that there is
//! never the one without the other.

use std::sync::Arc;

use futures::FutureExt as _;
use jiff::SignedDuration;

use super::files::{FILES, OwnValues};
use super::idempotency::{self, IdempotencyKey, StoredAnswer};
use super::known::Done;
use super::nested::key_text;
use super::precondition::{Condition, Precondition};
use super::read::{Compiled, compile};
use super::run::{Run, RunContext};
use super::service::ItemsService;
use super::steps::Steps;
use super::write::{Operation, Prepared};
use crate::access::Context;
use crate::db::{JsonBytes, Transaction};
use crate::error::{Error, Result};
use crate::events::ItemEvent;
use crate::query::{Plan, Query, QueryLimits, Selection, parse};
use crate::schema::CollectionId;
use crate::sql::{Dialect, ReadStatements, journal as statements};

/// Answers are kept this long.
const KEPT: SignedDuration = SignedDuration::from_hours(24);
/// Old answers are thrown away this often.
const FORGET_EVERY_S: i64 = 600;

/// What a write answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteAnswer {
    /// 200 with a body, 204 without.
    pub status: u16,
    /// Members of the answer, `"data":...`.
    pub body: Option<JsonBytes>,
    /// The answer of an earlier request with the same idempotency key.
    pub is_replay: bool,
}

/// What is done in one transaction.
#[derive(Clone)]
pub(super) enum Work {
    /// One operation.
    One(Box<One>),
    /// Several, one after the other.
    Many(Steps),
}

/// One operation with what is answered to it.
#[derive(Clone)]
pub(super) struct One {
    pub collection: String,
    pub prepared: Prepared,
    pub asked: Option<Asked>,
    pub condition: Option<Condition>,
    /// Rows are as they were written; see `known`.
    pub keeps_rows: bool,
}

/// What is to be answered of the items written.
#[derive(Clone)]
pub(super) enum Asked {
    /// What this query says.
    Query(Box<Query>),
    /// What this query string says, with its plan for one item where that could be made beforehand.
    Url(Arc<str>, Option<Arc<Compiled>>),
}

/// What became of it.
pub(super) enum Outcome {
    /// It was done before.
    Replay(WriteAnswer),
    /// The members of the answer, if it has any.
    Done(Option<JsonBytes>),
    /// The answer is read after the commit.
    ToRead(Arc<Plan>, Arc<ReadStatements>),
}

impl One {
    async fn run(
        self,
        tx: &mut Transaction,
        with: RunContext,
        limits: &QueryLimits,
        reads_now: bool,
    ) -> Result<(Outcome, Vec<ItemEvent>)> {
        let ctx = with.ctx.clone();
        if let Some(condition) = &self.condition {
            condition.check(tx, &ctx, &self.collection, limits).await?;
        }
        let place = (self.prepared.collection, self.prepared.is_single);
        let mut run = Run::new(tx, with);
        let mut done = Box::pin(self.prepared.run_known(&mut run)).await?;
        done.rows = done.rows.filter(|_| self.keeps_rows);
        let events = run.finish().await?;
        let outcome = match outcome(&ctx, tx.dialect(), self.asked.as_ref(), place, done, limits)? {
            Outcome::ToRead(plan, statements) if reads_now || is_at_hand(tx.dialect(), &statements) => {
                Outcome::Done(readable(tx.read_json(&plan, &statements).await)?)
            }
            outcome => outcome,
        };
        Ok((outcome, events))
    }
}

/// What is answered of what was done: here, to one item or several.
pub(super) fn outcome(
    ctx: &Context,
    dialect: Dialect,
    asked: Option<&Asked>,
    (id, is_single): (CollectionId, bool),
    done: Done,
    limits: &QueryLimits,
) -> Result<Outcome> {
    let Some(asked) = asked else { return Ok(Outcome::Done(None)) };
    let first = match (done.keys.first(), is_single) {
        (None, true) => return Ok(Outcome::Done(None)),
        (None, false) => return Ok(Outcome::Done(Some(NO_ITEMS.to_vec()))),
        (Some(first), _) => key_text(first),
    };
    if let Asked::Url(_, Some(kept)) = asked {
        let has_order = ctx.schema.collection(id).sort.is_some();
        let fits = is_single || (done.in_order && kept.takes_all && !has_order);
        if let Some(rows) = done.rows.as_ref().filter(|_| fits)
            && let Some(body) = kept.answer_of(rows, !is_single)?
        {
            return Ok(Outcome::Done(Some(body)));
        }
        if is_single {
            let statements = kept.for_selection(dialect, &Selection::Key(first.to_string()))?;
            return Ok(Outcome::ToRead(kept.plan.clone(), statements));
        }
    }
    let mut query = asked.query(limits)?;
    let selection = if is_single {
        Selection::Key(first.to_string())
    } else {
        // All that was written is answered, unless the caller wants fewer.
        query.limit = query.limit.or(Some(-1));
        Selection::Keys(done.keys.iter().map(|key| key_text(key).to_string()).collect())
    };
    match compile(ctx, dialect, &ctx.schema.collection(id).name, &selection, &query, limits) {
        Ok(read) => Ok(Outcome::ToRead(read.plan, read.statements)),
        Err(error) => Ok(Outcome::Done(readable(Err(error))?)),
    }
}

impl Asked {
    /// The query; figures are no answer to a write.
    fn query(&self, limits: &QueryLimits) -> Result<Query> {
        let mut query = match self {
            Asked::Query(query) => (**query).clone(),
            Asked::Url(raw, _) => parse::parse_string(raw, limits)?,
        };
        query.aggregate.clear();
        query.group_by.clear();
        Ok(query)
    }
}

/// SQLite's one writing connection has the rows in its cache, while a commit makes every other drop its own. Answers of several
/// levels are left to the others all the same: they would hold up whoever writes next.
fn is_at_hand(dialect: Dialect, statements: &ReadStatements) -> bool {
    dialect == Dialect::Sqlite && statements.levels.len() == 1
}

impl ItemsService {
    /// Does it and reads the items that it was about, as far as the caller may see them, with `answer` saying which fields.
    /// Deletions, changes of nothing, and writes whose result the caller may not read are answered without a body.
    ///
    /// With an idempotency key fails with `Conflict` while the same request is at work, and with `UnprocessableContent` when
    /// the key came with another body before.
    pub async fn write(
        &self,
        ctx: &Context,
        collection: &str,
        operation: Operation,
        answer: Option<Query>,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<WriteAnswer> {
        if answer.as_ref().is_some_and(|query| query.version.is_some()) {
            return Err(not_a_version());
        }
        let ctx = &*self.with_own(ctx).await?;
        let asked = answer.map(|query| Asked::Query(Box::new(query)));
        self.write_asked(ctx, collection, operation, asked, idempotency, None).await
    }

    /// The same with a query string that says what is answered, and for an item that has to be as the caller knows it. Fails with
    /// `PreconditionFailed` when it is not.
    pub async fn write_url(
        &self,
        ctx: &Context,
        collection: &str,
        operation: Operation,
        raw: &str,
        idempotency: Option<IdempotencyKey>,
        precondition: Option<Precondition>,
    ) -> Result<WriteAnswer> {
        let ctx = &*self.with_own(ctx).await?;
        let (plan, query) = self.answer_plan(ctx, collection, raw)?;
        if query.as_ref().is_some_and(|query| query.version.is_some()) {
            return Err(not_a_version());
        }
        let query = || match query {
            Some(query) => Ok(query),
            None => parse::parse_string(raw, &self.settings.query),
        };
        let condition = match precondition {
            Some(tags) => Some(Condition::new(tags, &operation, query()?)?),
            None => None,
        };
        let asked = Some(Asked::Url(raw.into(), plan));
        self.write_asked(ctx, collection, operation, asked, idempotency, condition).await
    }

    async fn write_asked(
        &self,
        ctx: &Context,
        collection: &str,
        operation: Operation,
        asked: Option<Asked>,
        idempotency: Option<IdempotencyKey>,
        condition: Option<Condition>,
    ) -> Result<WriteAnswer> {
        let asked = asked.filter(|_| !matches!(operation, Operation::Delete(_)));
        let prepare = async || {
            let prepared = self.prepare(ctx, collection, operation, false).await?;
            let written = ctx.schema.collection(prepared.collection);
            let keeps_rows = self.keeps_rows(ctx, &self.rules(&ctx.schema), written).await?;
            let collection = collection.to_owned();
            Ok(Work::One(Box::new(One { collection, prepared, asked, condition, keeps_rows })))
        };
        self.once(ctx, idempotency, prepare).await
    }

    /// Does what `prepare` prepares; once, where it has a key.
    pub(super) async fn once(
        &self,
        ctx: &Context,
        idempotency: Option<IdempotencyKey>,
        prepare: impl AsyncFnOnce() -> Result<Work>,
    ) -> Result<WriteAnswer> {
        let Some(key) = idempotency else {
            // Writes are large, and reads should not carry them along.
            let work = Box::pin(prepare()).await?;
            let body = match Box::pin(self.work(ctx, work, None)).await? {
                Outcome::Replay(answer) => return Ok(answer),
                Outcome::Done(body) => body,
                Outcome::ToRead(plan, statements) => {
                    readable(self.database(ctx)?.read_json(&plan, &statements).await)?
                }
            };
            return Ok(WriteAnswer { status: status(body.as_ref()), body, is_replay: false });
        };
        Box::pin(self.once_under(ctx, key, prepare)).await
    }

    /// The same under a key.
    async fn once_under(
        &self,
        ctx: &Context,
        key: IdempotencyKey,
        prepare: impl AsyncFnOnce() -> Result<Work>,
    ) -> Result<WriteAnswer> {
        let _guard = self.running.start(&key)?;
        self.forget_old_answers(ctx).await;
        // A repeated request meets no hook and no check again: only its answer.
        if let Some(StoredAnswer { status, body }) = idempotency::find(&self.database, &key).await? {
            return Ok(WriteAnswer { status, body, is_replay: true });
        }
        let work = Box::pin(prepare()).await?;
        match Box::pin(self.work(ctx, work, Some(key))).await? {
            Outcome::Replay(answer) => Ok(answer),
            Outcome::Done(body) => Ok(WriteAnswer { status: status(body.as_ref()), body, is_replay: false }),
            Outcome::ToRead(..) => {
                Err(Error::internal(anyhow::anyhow!("an answer under a key was not read in its transaction")))
            }
        }
    }

    /// Does what is no write of items, once where it has a key. It is committed by itself before its answer is stored: should the
    /// process end between the two, a request that is sent again finds the change made and no answer.
    pub async fn once_beside(
        &self,
        ctx: &Context,
        idempotency: Option<IdempotencyKey>,
        work: impl AsyncFnOnce() -> Result<Option<JsonBytes>>,
    ) -> Result<WriteAnswer> {
        let Some(key) = idempotency else {
            let body = work().await?;
            return Ok(WriteAnswer { status: status(body.as_ref()), body, is_replay: false });
        };
        let _guard = self.running.start(&key)?;
        self.forget_old_answers(ctx).await;
        if let Some(StoredAnswer { status, body }) = idempotency::find(&self.database, &key).await? {
            return Ok(WriteAnswer { status, body, is_replay: true });
        }
        let body = work().await?;
        let answer = WriteAnswer { status: status(body.as_ref()), body, is_replay: false };
        let (stored, ctx) = (answer.clone(), ctx.clone());
        self.database
            .transaction(move |tx| {
                async move {
                    if idempotency::claim(tx, &ctx, &key).await?.is_none() {
                        idempotency::store(tx, &key, stored.status, stored.body.as_deref()).await?;
                    }
                    Ok(())
                }
                .boxed()
            })
            .await?;
        Ok(answer)
    }

    /// Writes files: like [`ItemsService::write`], with what the server itself says of each.
    pub async fn write_files(
        &self,
        ctx: &Context,
        operation: Operation,
        own: Vec<OwnValues>,
        answer: Query,
    ) -> Result<WriteAnswer> {
        let ctx = &*self.with_own(ctx).await?;
        let prepare = async || {
            let prepared = self.prepare_own(ctx, FILES, operation, false, own).await?;
            let one = One {
                collection: FILES.to_owned(),
                prepared,
                asked: Some(Asked::Query(Box::new(answer))),
                condition: None,
                keeps_rows: false,
            };
            Ok(Work::One(Box::new(one)))
        };
        self.once(ctx, None, prepare).await
    }

    /// The write and, where that is at hand or belongs under a key, the answer in one transaction.
    async fn work(&self, ctx: &Context, work: Work, key: Option<IdempotencyKey>) -> Result<Outcome> {
        if let (Work::One(one), None, Dialect::Postgres) = (&work, &key, self.database.dialect())
            && let Some(outcome) = Box::pin(self.at_once(ctx, one)).await?
        {
            return Ok(outcome);
        }
        let with = self.run_context(ctx);
        let limits = self.settings.query.clone();
        let committed = self
            .database(ctx)?
            .repeatable_transaction(move |tx| {
                async move {
                    let ctx = with.ctx.clone();
                    if let Some(key) = &key
                        && let Some(StoredAnswer { status, body }) = idempotency::claim(tx, &ctx, key).await?
                    {
                        let replay = WriteAnswer { status, body, is_replay: true };
                        return Ok((Outcome::Replay(replay), Vec::<ItemEvent>::new()));
                    }
                    let (outcome, events) = match work {
                        // On the heap: what may run here is large, and the stack of a thread is not.
                        Work::One(one) => Box::pin(one.run(tx, with, &limits, key.is_some())).await?,
                        Work::Many(steps) => {
                            let mut run = Run::new(tx, with);
                            let body = Box::pin(steps.run(&mut run, &limits)).await?;
                            (Outcome::Done(Some(body)), run.finish().await?)
                        }
                    };
                    if let (Some(key), Outcome::Done(body)) = (&key, &outcome) {
                        idempotency::store(tx, key, status(body.as_ref()), body.as_deref()).await?;
                    }
                    Ok((outcome, events))
                }
                .boxed()
            })
            .await?;
        let (events, outcome) = committed.split();
        self.events.dispatch(events).await;
        Ok(outcome)
    }

    /// Answers older than a day are thrown away now and then; when that fails they stay a little longer.
    async fn forget_old_answers(&self, ctx: &Context) {
        if !self.is_time_to_forget(ctx, FORGET_EVERY_S) {
            return;
        }
        let Ok(before) = ctx.now.checked_sub(KEPT) else { return };
        let statement = statements::forget_answers(self.database.dialect(), &idempotency::moment(before));
        let done =
            self.database.transaction(move |tx| async move { tx.execute(&statement).await }.boxed()).await;
        if let Err(error) = done {
            tracing::warn!(%error, "old answers under idempotency keys could not be thrown away yet");
        }
    }
}

const NO_ITEMS: &[u8] = b"\"data\":[]";

fn status(body: Option<&JsonBytes>) -> u16 {
    if body.is_some() { 200 } else { 204 }
}

/// What can be written may still be hidden from who wrote it.
fn readable(read: Result<JsonBytes>) -> Result<Option<JsonBytes>> {
    match read {
        Ok(body) => Ok(Some(body)),
        Err(Error::Forbidden) => Ok(None),
        Err(error) => Err(error),
    }
}

fn not_a_version() -> Error {
    Error::query("\"version\" is for reading; a version is changed by saving into it")
}
