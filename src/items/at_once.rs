//! Writes that are one statement: where nothing has to be looked at between the row, its history and the commit, PostgreSQL is sent
//! all of it at once.
//!
//! Start at [`ItemsService::at_once`]. What comes of it is what `run` does step by step; whatever is out of the ordinary is left to
//! that.

use std::sync::Arc;

use super::answer::{One, Outcome, outcome};
use super::faults;
use super::journal::Journal;
use super::known::{Done, KnownRow};
use super::nested::key_text;
use super::plan::{ItemWrite, Target};
use super::rights;
use super::run::{delta, has_equal_columns, key_field, snapshot_columns};
use super::service::ItemsService;
use super::validate::Rules;
use super::write::{Keys, Work};
use crate::access::{Action, Context};
use crate::db::Row;
use crate::error::{Error, Result};
use crate::events::EventAction;
use crate::filter::Scalar;
use crate::schema::{Auto, Collection, CollectionId, FieldId, Origin};
use crate::sql::at_once::{self as statements, NewRow, Written};
use crate::sql::{Dialect, Statement};

/// A new row with its key (null where the database counts it) and what was sent.
type New<'a> = (&'a ItemWrite, Scalar, Arc<str>);

/// A write as one statement.
struct AtOnce<'a> {
    statement: Statement,
    what: What<'a>,
}

enum What<'a> {
    /// New rows.
    Create(Vec<New<'a>>),
    /// A change of one row, with what was sent and the columns that come back.
    Update(&'a ItemWrite, Scalar, Arc<str>, Vec<FieldId>),
}

impl ItemsService {
    /// Does it with one statement of PostgreSQL. `None` where it takes more than one, or nothing was done.
    pub(super) async fn at_once(&self, ctx: &Context, one: &One) -> Result<Option<Outcome>> {
        if self.database.has_row_security() {
            return Ok(None);
        }
        let id = one.prepared.collection;
        let collection = ctx.schema.collection(id);
        let rules = self.rules(&ctx.schema);
        let mut journal = Journal::new(ctx);
        let Some(AtOnce { statement, what }) = plan(ctx, &rules, collection, id, one, &journal)? else {
            return Ok(None);
        };
        let written = match self.database.write_at_once(&statement).await {
            Ok(Some(written)) => written,
            // Whoever may do it again does it step by step.
            Ok(None) | Err(Error::Deadlock) => return Ok(None),
            Err(error) => {
                let items: Vec<ItemWrite> = match what {
                    What::Create(rows) => rows.into_iter().map(|(item, ..)| item.clone()).collect(),
                    What::Update(item, ..) => vec![item.clone()],
                };
                return Err(faults::of_rows(error, collection, &items));
            }
        };
        let (events, done) = written
            .map(|rows| {
                let done = what.done(collection, &rows, &mut journal, one.keeps_rows);
                (done, journal.into_events(rows.iter().filter_map(|row| row.int(0)).collect()))
            })
            .split();
        self.events.dispatch(events).await;
        let place = (id, one.prepared.is_single);
        outcome(ctx, Dialect::Postgres, one.asked.as_ref(), place, done?, &self.settings.query).map(Some)
    }
}

/// The statement, where one is enough.
fn plan<'a>(
    ctx: &Context,
    rules: &Rules,
    collection: &Collection,
    id: CollectionId,
    one: &'a One,
    journal: &Journal,
) -> Result<Option<AtOnce<'a>>> {
    // Tables of others may be views, and those of the system have rules of their own.
    let is_ours = matches!(collection.origin, Origin::Yaml | Origin::Generated);
    if !is_ours || one.condition.is_some() {
        return Ok(None);
    }
    let key = key_field(collection)?;
    let own = rules.of(&ctx.schema, id);
    let written = |event| Written { head: journal.head(), event, collection, texts: &own.texts };
    match &one.prepared.work {
        Work::Create(items) => {
            let Some(rows) = new_rows(ctx, collection, id, key, items)? else { return Ok(None) };
            let columns: Vec<FieldId> = items
                .first()
                .map(|item| item.values.iter().map(|(field, _)| *field).collect())
                .unwrap_or_default();
            let new = rows.iter().map(|(item, key, delta)| NewRow {
                values: item.values.iter().map(|(_, value)| value.clone()).collect(),
                item: (*key != Scalar::Null).then(|| key_text(key)),
                delta: delta.clone(),
            });
            let event = EventAction::Create.event_of(collection);
            let statement = statements::insert(written(&event), &columns, key, new.collect());
            Ok(Some(AtOnce { statement, what: What::Create(rows) }))
        }
        Work::Update(item, Keys::Known(keys)) => {
            let ([value], Target::Update) = (keys.as_slice(), item.target) else { return Ok(None) };
            let is_plain = item.is_flat() && !item.values.is_empty();
            if !is_plain || !rights::is_unconditional(ctx, (id, Action::Update), item)? {
                return Ok(None);
            }
            let delta = delta(collection, item);
            let returned = snapshot_columns(collection, key);
            let event = EventAction::Update.event_of(collection);
            let told = (key_text(value), delta.clone());
            let statement =
                statements::update(written(&event), item.values.clone(), (key, value), told, &returned);
            Ok(Some(AtOnce { statement, what: What::Update(item, value.clone(), delta, returned) }))
        }
        _ => Ok(None),
    }
}

/// New rows that can be written together, without anything before or behind them.
fn new_rows<'a>(
    ctx: &Context,
    collection: &Collection,
    id: CollectionId,
    key: FieldId,
    items: &'a [ItemWrite],
) -> Result<Option<Vec<New<'a>>>> {
    let is_counted =
        collection.field(key).column.as_ref().is_some_and(|column| column.auto == Some(Auto::Increment));
    let is_uniform = items.windows(2).all(|pair| has_equal_columns(&pair[0], &pair[1]));
    if items.is_empty() || !is_uniform || !collection.numbers.is_empty() {
        return Ok(None);
    }
    let mut rows = Vec::with_capacity(items.len());
    for item in items {
        let given = item.value(key);
        // Where a counted key is given, the counter has to be told; where several are counted, nobody knows whose they are.
        let fits = match given {
            Some(Scalar::Null) => false,
            Some(_) => !is_counted,
            None => is_counted && items.len() == 1,
        };
        let is_alone = item.is_flat() && item.target == Target::Create;
        if !fits || !is_alone || !rights::is_unconditional(ctx, (id, Action::Create), item)? {
            return Ok(None);
        }
        rows.push((item, given.cloned().unwrap_or(Scalar::Null), delta(collection, item)));
    }
    Ok(Some(rows))
}

impl What<'_> {
    /// Notes what was done. The first columns of `rows` are the number of the event and, of new rows, the key.
    fn done(
        self,
        collection: &Collection,
        rows: &[Row],
        journal: &mut Journal,
        keeps_rows: bool,
    ) -> Result<Done> {
        match self {
            What::Create(new) => {
                let key = key_field(collection)?;
                let in_order = !new.iter().any(|(item, ..)| item.sent.contains(&key));
                let mut done = Done { keys: Vec::with_capacity(new.len()), rows: None, in_order };
                let mut known: Vec<KnownRow> = Vec::with_capacity(new.len());
                for ((item, given, delta), row) in new.into_iter().zip(rows) {
                    let text = row.text(1).cloned().unwrap_or_default();
                    let value = match given {
                        Scalar::Null => counted(&text)?,
                        given => given,
                    };
                    let action = EventAction::Create;
                    journal.push(collection, action, text, Some(delta.clone()), Some(delta), None);
                    if keeps_rows {
                        known.push(with_key(item.values.clone(), key, &value));
                    }
                    done.keys.push(value);
                }
                done.rows = keeps_rows.then_some(known);
                Ok(done)
            }
            What::Update(_, key, delta, returned) => {
                let Some(row) = rows.first() else { return Ok(Done::default()) };
                journal.push(collection, EventAction::Update, key_text(&key), None, Some(delta), None);
                let known = returned.into_iter().zip(row.values.iter().skip(1).cloned()).collect();
                Ok(Done { keys: vec![key], rows: keeps_rows.then(|| vec![known]), in_order: true })
            }
        }
    }
}

/// A key that the database counted.
fn counted(text: &str) -> Result<Scalar> {
    text.parse().map(Scalar::Int).map_err(Error::internal)
}

/// A row with its key.
pub(super) fn with_key(mut row: KnownRow, key: FieldId, value: &Scalar) -> KnownRow {
    if !row.iter().any(|(field, _)| *field == key) {
        row.push((key, value.clone()));
    }
    row
}
