//! A write with its answer, once or as often as it is sent.
//!
//! Start at `ItemsService::write`. Without an idempotency key the answer is read after the commit, unless it is at hand before;
//! with one it is read and stored inside the transaction, so that there is never the one without the other.

use futures::FutureExt as _;
use jiff::SignedDuration;

use super::idempotency::{self, IdempotencyKey, StoredAnswer};
use super::nested::key_text;
use super::read::{Compiled, compile};
use super::run::Run;
use super::service::ItemsService;
use super::write::{Operation, Prepared};
use crate::access::Context;
use crate::db::JsonBytes;
use crate::error::{Error, Result};
use crate::events::ItemEvent;
use crate::filter::Scalar;
use crate::query::{Query, Selection};
use crate::sql::{Dialect, journal as statements};

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

/// What is answered after a write.
enum Answer {
    /// Nothing.
    Empty,
    /// An empty list.
    NoItems,
    /// These items.
    Items(Box<Query>, Selection),
}

/// An answer, or what is still to be read for it.
enum Body {
    /// The members of the answer, if it has any.
    Ready(Option<JsonBytes>),
    /// After the commit.
    ToRead(Compiled),
}

/// SQLite's one writing connection has the rows in its cache, while a commit makes every other drop its own. Answers of several
/// levels are left to the others all the same: they would hold up whoever writes next.
fn is_at_hand(dialect: Dialect, read: &Compiled) -> bool {
    dialect == Dialect::Sqlite && read.statements.levels.len() == 1
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
        let answer = answer.filter(|_| !matches!(operation, Operation::Delete(_)));
        let Some(key) = idempotency else {
            let prepared = self.prepare(ctx, collection, operation, false).await?;
            let body = match self.write_and_read(ctx, collection, prepared, answer).await? {
                Body::Ready(body) => body,
                Body::ToRead(read) => readable(self.database.read_json(&read.plan, &read.statements).await)?,
            };
            return Ok(WriteAnswer { status: status(body.as_ref()), body, is_replay: false });
        };
        let _guard = self.running.start(&key)?;
        self.forget_old_answers(ctx).await;
        // A repeated request meets no hook and no check again: only its answer.
        if let Some(StoredAnswer { status, body }) = idempotency::find(&self.database, &key).await? {
            return Ok(WriteAnswer { status, body, is_replay: true });
        }
        let prepared = self.prepare(ctx, collection, operation, false).await?;
        self.write_once(ctx, collection, prepared, answer, key).await
    }

    /// The write, and with it the answer where that is at hand.
    async fn write_and_read(
        &self,
        ctx: &Context,
        collection: &str,
        prepared: Prepared,
        answer: Option<Query>,
    ) -> Result<Body> {
        let with = self.run_context(ctx);
        let limits = self.settings.query.clone();
        let collection = collection.to_owned();
        let committed = self
            .database
            .repeatable_transaction(move |tx| {
                async move {
                    let ctx = with.ctx.clone();
                    let is_single = prepared.is_single;
                    let mut run = Run::new(tx, with);
                    let keys = prepared.run(&mut run).await?;
                    let events = run.finish().await?;
                    let body = match choose(answer, &keys, is_single) {
                        Answer::Empty => Body::Ready(None),
                        Answer::NoItems => Body::Ready(Some(NO_ITEMS.to_vec())),
                        Answer::Items(query, selection) => {
                            match compile(&ctx, tx.dialect(), &collection, &selection, &query, &limits) {
                                Ok(read) if is_at_hand(tx.dialect(), &read) => {
                                    Body::Ready(readable(tx.read_json(&read.plan, &read.statements).await)?)
                                }
                                Ok(read) => Body::ToRead(read),
                                Err(error) => Body::Ready(readable(Err(error))?),
                            }
                        }
                    };
                    Ok((body, events))
                }
                .boxed()
            })
            .await?;
        let (events, body) = committed.split();
        self.events.dispatch(events).await;
        Ok(body)
    }

    /// The key, the write and the answer in one transaction.
    async fn write_once(
        &self,
        ctx: &Context,
        collection: &str,
        prepared: Prepared,
        answer: Option<Query>,
        key: IdempotencyKey,
    ) -> Result<WriteAnswer> {
        let with = self.run_context(ctx);
        let limits = self.settings.query.clone();
        let collection = collection.to_owned();
        let committed = self
            .database
            .repeatable_transaction(move |tx| {
                async move {
                    let ctx = with.ctx.clone();
                    if let Some(StoredAnswer { status, body }) = idempotency::claim(tx, &ctx, &key).await? {
                        let replay = WriteAnswer { status, body, is_replay: true };
                        return Ok((replay, Vec::<ItemEvent>::new()));
                    }
                    let is_single = prepared.is_single;
                    let mut run = Run::new(tx, with);
                    let keys = prepared.run(&mut run).await?;
                    let events = run.finish().await?;
                    let body = match choose(answer, &keys, is_single) {
                        Answer::Empty => None,
                        Answer::NoItems => Some(NO_ITEMS.to_vec()),
                        Answer::Items(query, selection) => {
                            match compile(&ctx, tx.dialect(), &collection, &selection, &query, &limits) {
                                Ok(read) => readable(tx.read_json(&read.plan, &read.statements).await)?,
                                Err(error) => readable(Err(error))?,
                            }
                        }
                    };
                    let status = status(body.as_ref());
                    idempotency::store(tx, &key, status, body.as_deref()).await?;
                    Ok((WriteAnswer { status, body, is_replay: false }, events))
                }
                .boxed()
            })
            .await?;
        let (events, answer) = committed.split();
        self.events.dispatch(events).await;
        Ok(answer)
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

fn choose(answer: Option<Query>, keys: &[Scalar], is_single: bool) -> Answer {
    let Some(mut query) = answer else { return Answer::Empty };
    query.aggregate.clear();
    query.group_by.clear();
    match (keys, is_single) {
        ([], true) => Answer::Empty,
        ([], false) => Answer::NoItems,
        ([key, ..], true) => Answer::Items(Box::new(query), Selection::Key(key_text(key).to_string())),
        (keys, false) => {
            // All that was written is answered, unless the caller wants fewer.
            query.limit = query.limit.or(Some(-1));
            let keys = keys.iter().map(|key| key_text(key).to_string()).collect();
            Answer::Items(Box::new(query), Selection::Keys(keys))
        }
    }
}
