//! What a transaction has done so far, written down at its end: activity, revisions and the outbox, in few statements.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::values::now_value;
use crate::access::Context;
use crate::db::{Transaction, write_json_text};
use crate::error::{Error, Result};
use crate::events::{EventAction, ItemEvent};
use crate::filter::Scalar;
use crate::schema::{Collection, ColumnType, Tracking};
use crate::sql::journal::{self as statements, JournalHead, JournalRow};
use crate::sql::rows::{Cell, insert};
use crate::sql::{Dialect, Param, Statement};

/// Rows of one `INSERT` on MariaDB.
const ROWS_PER_INSERT: usize = 100;

/// By how much MariaDB counts up, asked once per process; 0 while unknown.
pub type CountingStep = Arc<AtomicI64>;

/// The entries of one transaction.
#[derive(Debug, Clone)]
pub struct Journal {
    head: JournalHead,
    entries: Vec<JournalRow>,
}

impl Journal {
    /// Nothing has happened yet.
    pub fn new(ctx: &Context) -> Self {
        let who = &ctx.accountability;
        let text = |text: &Option<String>| text.as_deref().map(Arc::from);
        let timestamp = match now_value(&ColumnType::Timestamp, ctx.now) {
            Some(Scalar::Text(text)) => text,
            _ => Arc::from(""),
        };
        let mut accountability = Vec::with_capacity(128);
        for (name, value) in [("{\"user\":", &who.user), (",\"role\":", &who.role)] {
            accountability.extend_from_slice(name.as_bytes());
            match value {
                Some(value) => write_json_text(value, &mut accountability),
                None => accountability.extend_from_slice(b"null"),
            }
        }
        let is_admin: &[u8] = if who.admin { b",\"admin\":true}" } else { b",\"admin\":false}" };
        accountability.extend_from_slice(is_admin);
        let head = JournalHead {
            user: text(&who.user),
            timestamp,
            ip: who.ip.map(|ip| ip.to_string().into()),
            user_agent: text(&who.user_agent),
            origin: text(&who.origin),
            accountability: String::from_utf8_lossy(&accountability).into(),
        };
        Journal { head, entries: Vec::new() }
    }

    /// Who does it and when.
    pub fn head(&self) -> &JournalHead {
        &self.head
    }

    /// Notes what happened to one item; `data` is the item afterwards, `delta` what changed. Gives the number of the entry.
    pub fn push(
        &mut self,
        collection: &Collection,
        action: EventAction,
        item: Arc<str>,
        data: Option<Arc<str>>,
        delta: Option<Arc<str>>,
        parent: Option<usize>,
    ) -> usize {
        let has_revision = collection.accountability == Tracking::All && action != EventAction::Delete;
        self.entries.push(JournalRow {
            action: action.name(),
            event: action.event_of(collection),
            collection: collection.name.clone(),
            item,
            has_activity: collection.accountability != Tracking::Nothing,
            has_revision,
            data,
            delta,
            parent,
        });
        self.entries.len() - 1
    }

    /// Notes an event that history does without.
    pub fn push_aside(
        &mut self,
        collection: &Collection,
        event: &str,
        item: Arc<str>,
        payload: Option<Arc<str>>,
    ) {
        self.entries.push(JournalRow {
            action: EventAction::Delete.name(),
            event: event.into(),
            collection: collection.name.clone(),
            item,
            has_activity: false,
            has_revision: false,
            data: None,
            delta: payload,
            parent: None,
        });
    }

    /// Notes what happened to a part of the model, which is no item: for [`Journal::write_activity`].
    pub fn push_note(&mut self, collection: &str, action: EventAction, item: Arc<str>) {
        self.entries.push(JournalRow {
            action: action.name(),
            event: "".into(),
            collection: collection.into(),
            item,
            has_activity: true,
            has_revision: false,
            data: None,
            delta: None,
            parent: None,
        });
    }

    /// Writes activity and nothing else.
    pub async fn write_activity(self, tx: &mut Transaction) -> Result<()> {
        let text = |text: &Option<Arc<str>>| text.clone().map_or(Scalar::Null, Scalar::Text);
        for row in &self.entries {
            let cells = [
                Cell::new("action", ColumnType::Text, Scalar::Text(row.action.into())),
                Cell::new("user", ColumnType::Uuid, text(&self.head.user)),
                Cell::now("timestamp"),
                Cell::new("ip", ColumnType::Text, text(&self.head.ip)),
                Cell::new("user_agent", ColumnType::Text, text(&self.head.user_agent)),
                Cell::new("collection", ColumnType::Text, Scalar::Text(row.collection.clone())),
                Cell::new("item", ColumnType::Text, Scalar::Text(row.item.clone())),
                Cell::new("origin", ColumnType::Text, text(&self.head.origin)),
            ];
            tx.execute(&insert(tx.dialect(), "directus_activity", &cells)).await?;
        }
        Ok(())
    }

    /// Puts an entry under another one, made later.
    pub fn set_parent(&mut self, entry: usize, parent: usize) {
        if let Some(row) = self.entries.get_mut(entry) {
            row.parent = Some(parent);
        }
    }

    /// Writes everything and gives what is to be announced after the commit.
    pub async fn write(mut self, tx: &mut Transaction, step: &CountingStep) -> Result<Vec<ItemEvent>> {
        if self.entries.is_empty() {
            return Ok(Vec::new());
        }
        self.drop_parents_without_revision();
        let ids = match tx.dialect() {
            Dialect::Postgres => {
                let statement = statements::write_all_postgres(&self.head, &self.entries);
                let rows = tx.rows(&statement).await?;
                rows.iter().filter_map(|row| row.int(0)).collect()
            }
            Dialect::Sqlite | Dialect::Mysql => self.write_tables(tx, step).await?,
        };
        Ok(self.into_events(ids))
    }

    /// One table after the other.
    async fn write_tables(&self, tx: &mut Transaction, step: &CountingStep) -> Result<Vec<i64>> {
        let dialect = tx.dialect();
        let step = counting_step(tx, step).await?;
        let recorded: Vec<usize> = self.positions(|row| row.has_activity);
        let values: Vec<Vec<Param>> = recorded
            .iter()
            .map(|entry| statements::activity_values(dialect, &self.head, &self.entries[*entry]))
            .collect();
        let activity_ids = insert_counted(tx, statements::insert_activity, values, step).await?;
        let mut activity_of = vec![0; self.entries.len()];
        for (entry, id) in recorded.iter().zip(activity_ids) {
            activity_of[*entry] = id;
        }

        // A revision needs the number of the one above it: those without one go first, and so on downwards.
        let mut revision_of = vec![None; self.entries.len()];
        let mut waiting: Vec<usize> = self.positions(|row| row.has_revision);
        while !waiting.is_empty() {
            let is_ready = |entry: &usize| {
                self.entries[*entry].parent.is_none_or(|parent| revision_of[parent].is_some())
            };
            let (ready, later): (Vec<usize>, Vec<usize>) = waiting.iter().partition(|entry| is_ready(entry));
            if ready.is_empty() {
                return Err(Error::internal(anyhow::anyhow!("revisions lie under one another in a circle")));
            }
            let values = ready
                .iter()
                .map(|entry| {
                    let row = &self.entries[*entry];
                    let parent = row.parent.and_then(|parent| revision_of[parent]);
                    statements::revision_values(dialect, row, activity_of[*entry], parent)
                })
                .collect();
            let ids = insert_counted(tx, statements::insert_revisions, values, step).await?;
            for (entry, id) in ready.iter().zip(ids) {
                revision_of[*entry] = Some(id);
            }
            waiting = later;
        }

        let values =
            self.entries.iter().map(|row| statements::outbox_values(dialect, &self.head, row)).collect();
        insert_counted(tx, statements::insert_outbox, values, step).await
    }

    fn positions(&self, which: impl Fn(&JournalRow) -> bool) -> Vec<usize> {
        (0..self.entries.len()).filter(|entry| which(&self.entries[*entry])).collect()
    }

    /// An item above may be of a collection that keeps no revisions.
    fn drop_parents_without_revision(&mut self) {
        let has_revision: Vec<bool> = self.entries.iter().map(|row| row.has_revision).collect();
        for row in &mut self.entries {
            row.parent = row.parent.filter(|parent| has_revision.get(*parent).copied().unwrap_or(false));
        }
    }

    /// What is to be announced of entries whose rows have these numbers.
    pub fn into_events(self, ids: Vec<i64>) -> Vec<ItemEvent> {
        let accountability = self.head.accountability;
        self.entries
            .into_iter()
            .zip(ids)
            .map(|(row, outbox_id)| ItemEvent {
                outbox_id,
                event: row.event,
                collection: row.collection,
                key: row.item,
                payload: row.delta,
                accountability: accountability.clone(),
            })
            .collect()
    }
}

/// Inserts rows into a table that counts its keys, and gives these keys in order.
async fn insert_counted(
    tx: &mut Transaction,
    make: fn(Dialect, usize, bool) -> Statement,
    rows: Vec<Vec<Param>>,
    step: i64,
) -> Result<Vec<i64>> {
    let dialect = tx.dialect();
    let mut ids = Vec::with_capacity(rows.len());
    let mut rows = rows.into_iter();
    match dialect {
        // The one writer counts by one from the first row on, so only that one has to be asked for its number.
        Dialect::Sqlite | Dialect::Postgres => {
            let Some(first_row) = rows.next() else { return Ok(ids) };
            let mut first = make(dialect, 1, true);
            first.params = first_row;
            let first_id = tx.insert_counted(&first).await?;
            let rest: Vec<Vec<Param>> = rows.collect();
            ids.extend((first_id..).take(rest.len() + 1));
            if !rest.is_empty() {
                tx.execute_each(&make(dialect, 1, false), &rest).await?;
            }
        }
        // Rows of one statement are numbered without gaps, and the first number is the one reported.
        Dialect::Mysql => loop {
            let chunk: Vec<Vec<Param>> = rows.by_ref().take(ROWS_PER_INSERT).collect();
            if chunk.is_empty() {
                break;
            }
            let count = chunk.len();
            let mut statement = make(dialect, count, true);
            statement.params = chunk.into_iter().flatten().collect();
            let first_id = tx.insert_counted(&statement).await?;
            ids.extend((0..count as i64).map(|position| first_id + position * step));
        },
    }
    Ok(ids)
}

/// By how much the database counts up.
pub async fn counting_step(tx: &mut Transaction, known: &CountingStep) -> Result<i64> {
    if tx.dialect() != Dialect::Mysql {
        return Ok(1);
    }
    let step = known.load(Ordering::Relaxed);
    if step > 0 {
        return Ok(step);
    }
    let rows = tx.rows(&statements::counting_step()).await?;
    let step = rows.first().and_then(|row| row.int(0)).unwrap_or(1).max(1);
    known.store(step, Ordering::Relaxed);
    Ok(step)
}
