//! Carries out planned writes inside one transaction.
//!
//! Start at [`Run::create_all`] and [`Run::change`]. To-one items are written before the row, to-many items after it; new rows
//! of one collection go together. No value is checked here any more, except what only the database knows.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::accounts;
use super::defaults;
use super::journal::{CountingStep, Journal, counting_step};
use super::known::KnownRow;
use super::nested::{as_text, key_text};
use super::plan::{ItemWrite, Target, ToOne};
use super::render::row_json;
use super::rights;
use super::validate::{CollectionRules, Rules};
use super::versions::Marks;
use crate::access::{Action, Context};
use crate::db::{Row, Transaction};
use crate::error::{Error, Result};
use crate::events::{EventAction, ItemEvent};
use crate::filter::{Missing, Scalar};
use crate::query::QueryLimits;
use crate::schema::{Auto, Collection, CollectionId, FieldId, FieldKind, Origin, Schema, Tracking};
use crate::sql::write::{self as statements, Insert, Match};
use crate::sql::{Dialect, Param, Statement};

/// Keys in one statement.
const KEYS_PER_STATEMENT: usize = 10_000;

/// A future of one of the steps, which call one another to any depth.
pub(super) type Step<'s, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 's>>;

/// What a transaction needs to know.
#[derive(Clone)]
pub struct RunContext {
    /// Who asks, when, and the model.
    pub ctx: Context,
    /// Rules of the model.
    pub rules: Arc<Rules>,
    /// See [`CountingStep`].
    pub counting_step: CountingStep,
    /// See [`Marks`].
    pub marks: Marks,
    /// What a query may ask for.
    pub limits: QueryLimits,
}

/// An open transaction and what it has done so far.
pub struct Run<'t> {
    pub(super) tx: &'t mut Transaction,
    pub(super) with: RunContext,
    pub(super) journal: Journal,
    /// Something is changed or removed that may have made somebody an administrator.
    pub(super) may_lose_administrators: bool,
    /// The only tenant of the caller, per collection of tenants, once it was looked for.
    pub(super) tenants: Vec<(CollectionId, Scalar)>,
}

/// A row that was written.
#[derive(Debug, Clone)]
pub struct WrittenItem {
    /// Its key.
    pub key: Scalar,
    /// Its entry in the journal.
    pub entry: usize,
    /// Its values, as far as they are known.
    pub values: KnownRow,
}

impl<'t> Run<'t> {
    /// Nothing is written yet.
    pub fn new(tx: &'t mut Transaction, with: RunContext) -> Self {
        let journal = Journal::new(&with.ctx);
        Run { tx, with, journal, may_lose_administrators: false, tenants: Vec::new() }
    }

    /// Writes activity, revisions and outbox. The last step.
    pub async fn finish(mut self) -> Result<Vec<ItemEvent>> {
        self.check_administrators().await?;
        self.journal.write(self.tx, &self.with.counting_step).await
    }

    /// An administrator asks: no row needs to be looked at before it changes.
    pub(super) fn is_unlimited(&self) -> bool {
        self.with.ctx.rules.is_everything()
    }

    pub(super) fn schema(&self) -> Arc<Schema> {
        self.with.ctx.schema.clone()
    }

    /// Makes new items, all of one collection, with everything below them.
    pub fn create_all(&mut self, mut items: Vec<ItemWrite>) -> Step<'_, Vec<WrittenItem>> {
        Box::pin(async move {
            let mut below_entries = Vec::with_capacity(items.len());
            for item in &mut items {
                below_entries.push(self.write_to_one(item).await?);
            }
            self.stamp(&mut items).await?;
            self.give_numbers(&mut items).await?;
            self.check_new_shares(&items).await?;
            self.check_new_subjects(&mut items).await?;
            let keys = self.insert_rows(&items).await?;
            if let Some(first) = items.first() {
                self.keep_apart(first.collection, &keys, None).await?;
                self.check_versions(first.collection, &keys).await?;
            }
            let judged = self.to_judge(&items, &keys);
            let mut written = Vec::with_capacity(items.len());
            let mut parents = Vec::new();
            for ((item, key), below) in items.into_iter().zip(keys).zip(below_entries) {
                let schema = self.schema();
                let collection = schema.collection(item.collection);
                let delta = Some(delta(collection, &item));
                let entry = self.journal.push(
                    collection,
                    EventAction::Create,
                    key_text(&key),
                    delta.clone(),
                    delta,
                    item.parent,
                );
                for child in below {
                    self.journal.set_parent(child, entry);
                }
                if !item.to_many.is_empty() {
                    parents.push((key.clone(), entry, true, item.to_many));
                }
                written.push(WrittenItem { key, entry, values: item.values });
            }
            self.write_to_many(parents).await?;
            for (collection, fields, keys) in judged {
                self.allow((collection, Action::Create), &fields, &keys).await?;
            }
            Ok(written)
        })
    }

    /// Changes one item with everything below it. `None` when there is no such item and none is to be made.
    pub fn change(&mut self, mut item: ItemWrite) -> Step<'_, Option<WrittenItem>> {
        Box::pin(async move {
            let schema = self.schema();
            let collection = schema.collection(item.collection);
            let Some(key) = item.key.clone() else { return Ok(None) };
            let is_new = item.target == Target::Upsert
                && !self.is_unlimited()
                && !self.is_there(item.collection, &key).await?;
            if !is_new {
                self.allow_change(&item, std::slice::from_ref(&key)).await?;
            }
            if item.target == Target::Update && !item.to_one.is_empty() {
                let found = self.snapshots(collection, std::slice::from_ref(&key)).await?;
                if found.is_empty() {
                    return Ok(None);
                }
            }
            let below = self.write_to_one(&mut item).await?;
            let rows = self.update_rows(collection, &item, std::slice::from_ref(&key)).await?;
            let Some(Changed { data, values, .. }) = rows.into_iter().next() else {
                return match item.target {
                    Target::Upsert => self.become_new(item, below).await.map(Some),
                    Target::Create | Target::Update => Ok(None),
                };
            };
            self.keep_apart(item.collection, std::slice::from_ref(&key), Some(&item.named)).await?;
            let delta = Some(delta(collection, &item));
            let entry =
                self.journal.push(collection, EventAction::Update, key_text(&key), data, delta, item.parent);
            for child in below {
                self.journal.set_parent(child, entry);
            }
            if !item.to_many.is_empty() {
                self.write_to_many(vec![(key.clone(), entry, false, item.to_many)]).await?;
            }
            Ok(Some(WrittenItem { key, entry, values }))
        })
    }

    /// Sets the only item of a singleton, which has this key, or none yet.
    pub async fn set_singleton(&mut self, mut item: ItemWrite, key: Option<Scalar>) -> Result<WrittenItem> {
        let Some(key) = key else { return self.become_new(item, Vec::new()).await };
        item.key = Some(key);
        self.change(item).await?.ok_or(Error::Forbidden)
    }

    /// Gives the items with these keys the same values. Gives the keys that are there, and their rows where they are known.
    pub async fn change_many(
        &mut self,
        item: ItemWrite,
        keys: Vec<Scalar>,
    ) -> Result<(Vec<Scalar>, Option<Vec<KnownRow>>)> {
        let mut changed = Vec::with_capacity(keys.len());
        if !item.is_flat() {
            for key in keys {
                let one = ItemWrite { key: Some(key), ..item.clone() };
                changed.extend(self.change(one).await?.map(|written| written.key));
            }
            return Ok((changed, None));
        }
        let mut known = Vec::with_capacity(keys.len());
        let schema = self.schema();
        let collection = schema.collection(item.collection);
        for chunk in keys.chunks(KEYS_PER_STATEMENT) {
            self.allow_change(&item, chunk).await?;
            let rows = self.update_rows(collection, &item, chunk).await?;
            self.keep_apart(item.collection, chunk, Some(&item.named)).await?;
            let delta = Some(delta(collection, &item));
            for Changed { key, data, values } in rows {
                let text = key_text(&key);
                self.journal.push(collection, EventAction::Update, text, data, delta.clone(), item.parent);
                changed.push(key);
                known.push(values);
            }
        }
        Ok((changed, Some(known)))
    }

    /// Sets columns of one item and leaves no trace in the journal: the second half of its creation.
    pub(super) async fn set_columns(&mut self, item: &ItemWrite) -> Result<()> {
        let schema = self.schema();
        let collection = schema.collection(item.collection);
        self.update_rows(collection, item, item.key.as_slice()).await.map(|_| ())
    }

    /// Removes items. Gives the keys that were there.
    pub async fn delete(
        &mut self,
        id: CollectionId,
        keys: &[Scalar],
        parent: Option<usize>,
    ) -> Result<Vec<Scalar>> {
        let schema = self.schema();
        let collection = schema.collection(id);
        let key = key_field(collection)?;
        let mut removed = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(KEYS_PER_STATEMENT) {
            self.allow((id, Action::Delete), &[], chunk).await?;
            if collection.trash.is_some() {
                // Rarely, and large: on the heap.
                Box::pin(self.keep_in_trash(id, chunk)).await?;
            }
            self.let_go_of_accounts(id, chunk).await?;
            let matches = [Match { field: key, values: chunk }];
            let left = self.content_of(collection, chunk).await?;
            let statement = statements::delete(self.tx.dialect(), collection, &matches, &[key]);
            let found = match self.tx.dialect() {
                Dialect::Sqlite | Dialect::Postgres => self.tx.rows(&statement).await,
                Dialect::Mysql => {
                    let select = statements::select(Dialect::Mysql, collection, &[key], &matches);
                    let found = self.tx.rows(&select).await?;
                    self.tx.execute(&statement).await.map(|_| found)
                }
            };
            let found = match found {
                Ok(found) => found,
                Err(error) => return Err(self.fault_of_delete(error, id, chunk).await),
            };
            self.may_lose_administrators |= accounts::makes_administrators(&collection.name);
            let found: Vec<Scalar> = found.into_iter().filter_map(first_value).collect();
            self.remove_references(id, &found).await?;
            self.leave_content(collection, left);
            removed.extend(found);
        }
        for key in &removed {
            self.journal.push(collection, EventAction::Delete, key_text(key), None, None, parent);
        }
        Ok(removed)
    }

    /// Rows of junctions that we made and that point at items which are gone. A many-to-any has no foreign key to do it.
    async fn remove_references(&mut self, id: CollectionId, keys: &[Scalar]) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let schema = self.schema();
        let texts: Vec<Scalar> = keys.iter().cloned().map(as_text).collect();
        let name = [Scalar::Text(schema.collection(id).name.clone())];
        for (_, junction) in schema.collections().filter(|(_, junction)| junction.origin == Origin::Generated)
        {
            for (field_id, field) in junction.fields() {
                let FieldKind::ManyToAny { allowed, collection_field } = &field.kind else { continue };
                if !allowed.contains(&id) {
                    continue;
                }
                let matches = [
                    Match { field: *collection_field, values: &name },
                    Match { field: field_id, values: &texts },
                ];
                self.tx.execute(&statements::delete(self.tx.dialect(), junction, &matches, &[])).await?;
            }
        }
        Ok(())
    }

    /// Writes the items that this one points at, and takes over their keys. Gives their entries.
    async fn write_to_one(&mut self, item: &mut ItemWrite) -> Result<Vec<usize>> {
        let mut entries = Vec::with_capacity(item.to_one.len());
        for ToOne { field, as_text: is_text, item: below } in std::mem::take(&mut item.to_one) {
            let written = match below.target {
                Target::Create => self.create_all(vec![below]).await?.pop(),
                Target::Update | Target::Upsert => self.change(below).await?,
            };
            let written = written.ok_or(Error::Forbidden)?;
            item.set(field, if is_text { as_text(written.key) } else { written.key });
            entries.push(written.entry);
        }
        Ok(entries)
    }

    /// An item with a key that nobody has: it is made after all.
    async fn become_new(&mut self, item: ItemWrite, below: Vec<usize>) -> Result<WrittenItem> {
        let item = self.made_new(item)?;
        let written = self.create_all(vec![item]).await?.pop().ok_or(Error::Forbidden)?;
        for entry in below {
            self.journal.set_parent(entry, written.entry);
        }
        Ok(written)
    }

    /// An item that was planned as a change, complete as one that is made.
    pub(super) fn made_new(&self, mut item: ItemWrite) -> Result<ItemWrite> {
        let schema = self.schema();
        let collection = schema.collection(item.collection);
        let ctx = self.with.ctx.clone();
        let allowed = rights::allowed(&ctx, item.collection, Action::Create)?;
        rights::check_fields(&allowed, item.named.iter().copied())?;
        let mut findings = match &item.upserted {
            Some(payload) => {
                let preset = rights::preset(&ctx, &allowed, payload);
                rights::validate(&ctx, &allowed, preset.as_ref().unwrap_or(payload), Missing::Null)?
            }
            None => Vec::new(),
        };
        rights::preset_columns(&ctx, &allowed, collection, &mut item);
        item.given.extend(allowed.tenant.iter().map(|rule| rule.field));
        let rules = self.with.rules.of(&schema, item.collection);
        defaults::become_new(&ctx, collection, &rules, &mut item, &mut findings);
        Error::from_findings(findings)?;
        Ok(item)
    }

    /// Puts back a row that was deleted, as it was. Gives its entry.
    pub(super) async fn restore_row(&mut self, item: ItemWrite, parent: Option<usize>) -> Result<usize> {
        let schema = self.schema();
        let collection = schema.collection(item.collection);
        let keys = self.insert_rows(std::slice::from_ref(&item)).await?;
        let key = keys.first().map(key_text).unwrap_or_default();
        let delta = Some(delta(collection, &item));
        Ok(self.journal.push(collection, EventAction::Create, key, delta.clone(), delta, parent))
    }

    /// Inserts rows, those next to one another with equal columns together, and gives their keys.
    async fn insert_rows(&mut self, items: &[ItemWrite]) -> Result<Vec<Scalar>> {
        let mut keys = Vec::with_capacity(items.len());
        let schema = self.schema();
        for group in items.chunk_by(has_equal_columns) {
            let Some(first) = group.first() else { continue };
            let collection = schema.collection(first.collection);
            match self.insert_group(collection, group).await {
                Ok(inserted) => keys.extend(inserted),
                Err(error) => return Err(self.fault(error, collection, group).await),
            }
        }
        self.check_new_accounts(items).await?;
        Ok(keys)
    }

    async fn insert_group(&mut self, collection: &Collection, group: &[ItemWrite]) -> Result<Vec<Scalar>> {
        let dialect = self.tx.dialect();
        let key = key_field(collection)?;
        let columns: Vec<FieldId> = group
            .first()
            .map(|item| item.values.iter().map(|(field, _)| *field).collect())
            .unwrap_or_default();
        let is_given = columns.contains(&key);
        let is_counted =
            collection.field(key).column.as_ref().is_some_and(|column| column.auto == Some(Auto::Increment));
        let rows =
            group.iter().map(|item| item.values.iter().map(|(_, value)| value.clone()).collect()).collect();
        let returned = (!is_given).then_some(key);
        let rules = self.rules_of(group);
        match statements::insert(dialect, collection, &columns, rows, returned, &rules.texts) {
            Insert::Each(statement, rows) if is_given => {
                self.tx.execute_each(&statement, &rows).await?;
            }
            Insert::Each(statement, rows) => return self.insert_each(statement, rows, is_counted).await,
            Insert::Statements(list) if is_given => {
                for statement in &list {
                    self.tx.execute(statement).await?;
                }
                if is_counted && dialect == Dialect::Postgres {
                    self.tx.rows(&statements::advance_counter(collection, key)).await?;
                }
            }
            Insert::Statements(list) => return self.insert_counted(list, columns.len(), group.len()).await,
        }
        group.iter().map(|item| item.value(key).cloned().ok_or(Error::Forbidden)).collect()
    }

    async fn insert_each(
        &mut self,
        mut statement: Statement,
        rows: Vec<Vec<Param>>,
        is_counted: bool,
    ) -> Result<Vec<Scalar>> {
        let mut keys = Vec::with_capacity(rows.len());
        for row in rows {
            statement.params = row;
            if is_counted {
                keys.push(Scalar::Int(self.tx.insert_counted(&statement).await?));
            } else {
                keys.extend(self.tx.rows(&statement).await?.into_iter().filter_map(first_value));
            }
        }
        Ok(keys)
    }

    async fn insert_counted(
        &mut self,
        list: Vec<Statement>,
        columns: usize,
        rows: usize,
    ) -> Result<Vec<Scalar>> {
        let mut keys = Vec::with_capacity(rows);
        for statement in &list {
            if self.tx.dialect() != Dialect::Mysql {
                keys.extend(self.tx.rows(statement).await?.into_iter().filter_map(first_value));
                continue;
            }
            let step = counting_step(self.tx, &self.with.counting_step).await?;
            let first = self.tx.insert_counted(statement).await?;
            let count = statement.params.len().checked_div(columns).unwrap_or(rows);
            keys.extend((0..count as i64).map(|position| Scalar::Int(first + position * step)));
        }
        Ok(keys)
    }

    /// Changes rows; gives each that is there as it is afterwards.
    async fn update_rows(
        &mut self,
        collection: &Collection,
        item: &ItemWrite,
        keys: &[Scalar],
    ) -> Result<Vec<Changed>> {
        if item.values.is_empty() {
            return self.snapshots(collection, keys).await;
        }
        let dialect = self.tx.dialect();
        let key = key_field(collection)?;
        let left = self.replaced_content(collection, item, keys).await?;
        let returned = snapshot_columns(collection, key);
        let values = item.values.clone();
        let statement = match keys {
            [only] => {
                let rules = self.rules_of(std::slice::from_ref(item));
                statements::update_one(dialect, collection, values, (key, only), &returned, &rules.texts)
            }
            keys => statements::update(dialect, collection, values, key, keys, &returned),
        };
        let done = match dialect {
            Dialect::Sqlite | Dialect::Postgres => self.tx.rows(&statement).await,
            Dialect::Mysql => self.tx.execute(&statement).await.map(|_| Vec::new()),
        };
        if done.is_ok() {
            self.check_changed_accounts(item, keys).await?;
            self.check_versions(item.collection, keys).await?;
            self.leave_content(collection, left);
        }
        match done {
            Err(error) => Err(self.fault(error, collection, std::slice::from_ref(item)).await),
            Ok(_) if dialect == Dialect::Mysql => self.snapshots(collection, keys).await,
            Ok(rows) => Ok(rows.into_iter().filter_map(|row| snapshot(collection, &returned, row)).collect()),
        }
    }

    async fn snapshots(&mut self, collection: &Collection, keys: &[Scalar]) -> Result<Vec<Changed>> {
        let key = key_field(collection)?;
        let columns = snapshot_columns(collection, key);
        let matches = [Match { field: key, values: keys }];
        let statement = statements::select(self.tx.dialect(), collection, &columns, &matches);
        let rows = self.tx.rows(&statement).await?;
        Ok(rows.into_iter().filter_map(|row| snapshot(collection, &columns, row)).collect())
    }

    /// The rules of the collection of these items, which is the same for all.
    fn rules_of(&self, items: &[ItemWrite]) -> Arc<CollectionRules> {
        let collection = items.first().map_or(CollectionId(0), |item| item.collection);
        self.with.rules.of(&self.with.ctx.schema, collection)
    }
}

/// A row that was changed.
struct Changed {
    key: Scalar,
    /// The row afterwards as JSON, where revisions are kept.
    data: Option<Arc<str>>,
    /// Its values, as far as they came back.
    values: KnownRow,
}

/// What was sent, as JSON.
pub(super) fn delta(collection: &Collection, item: &ItemWrite) -> Arc<str> {
    let sent = item.sent.iter().filter_map(|field| item.value(*field).map(|value| (*field, value)));
    row_json(collection, sent).into()
}

/// The primary key; writes need one.
pub(super) fn key_field(collection: &Collection) -> Result<FieldId> {
    collection.key().ok_or_else(|| {
        Error::payload(format_args!("\"{}\" has no single primary key and is only read", collection.name))
    })
}

/// The key first, then, where revisions are kept, every other column.
pub(super) fn snapshot_columns(collection: &Collection, key: FieldId) -> Vec<FieldId> {
    let mut columns = vec![key];
    if collection.accountability == Tracking::All {
        columns.extend(
            collection.fields().filter(|(id, field)| !field.is_alias() && *id != key).map(|(id, _)| id),
        );
    }
    columns
}

fn snapshot(collection: &Collection, columns: &[FieldId], row: Row) -> Option<Changed> {
    let key = row.values.first()?.clone();
    let data = (collection.accountability == Tracking::All)
        .then(|| row_json(collection, columns.iter().copied().zip(&row.values)).into());
    Some(Changed { key, data, values: columns.iter().copied().zip(row.values).collect() })
}

pub(super) fn first_value(row: Row) -> Option<Scalar> {
    row.values.into_iter().next()
}

pub(super) fn has_equal_columns(left: &ItemWrite, right: &ItemWrite) -> bool {
    left.values.len() == right.values.len()
        && left.values.iter().zip(&right.values).all(|((left, _), (right, _))| left == right)
}
