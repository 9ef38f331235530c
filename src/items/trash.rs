//! The trash: what is deleted from a collection that has one can be restored for a while.
//!
//! An entry holds the row of the item, the rows that its deletion takes with it, and who referred to it. They are gone from their
//! tables, so that no read has to leave them out and no unique value stays taken. Start at `Run::keep_in_trash` and
//! [`ItemsService::restore`].

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::FutureExt as _;
use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use super::idempotency::moment;
use super::nested::{as_text, key_json, key_text, key_value};
use super::plan::{ItemWrite, Target};
use super::rights;
use super::run::{Run, key_field};
use super::service::ItemsService;
use crate::access::{Action, Context};
use crate::db::Row;
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::schema::{Collection, CollectionId, ColumnType, FieldId, FieldKind, OnDelete, Origin, Schema};
use crate::sql::trash::{self as statements, Which};
use crate::sql::write::{self as rows, Match};

/// Most rows that one deletion takes to the trash with the item.
const MOST_ROWS: usize = 10_000;
/// Most entries of a list.
const MOST_LISTED: u64 = 1000;
/// Entries of a list when none are asked for.
const LISTED: u64 = 100;

/// What goes to the trash with one item.
#[derive(Default)]
struct Gathered {
    /// The item itself first.
    rows: Vec<(CollectionId, Vec<(FieldId, Scalar)>)>,
    /// Rows that referred to it, and do no more: collection, key and field.
    references: Vec<(CollectionId, Scalar, FieldId)>,
}

impl Run<'_> {
    /// Keeps items of a collection with a trash, before they are deleted.
    pub(super) async fn keep_in_trash(&mut self, id: CollectionId, keys: &[Scalar]) -> Result<()> {
        let schema = self.schema();
        let collection = schema.collection(id);
        let Some(trash) = &collection.trash else { return Ok(()) };
        let key = key_field(collection)?;
        let found = self.whole_rows(collection, key, keys).await?;
        let mut gathered: Vec<Gathered> = Vec::with_capacity(found.len());
        let mut frontier: Vec<(Scalar, usize)> = Vec::with_capacity(found.len());
        for row in found {
            let Some((_, key)) = row.iter().find(|(field, _)| *field == key) else { continue };
            frontier.push((key.clone(), gathered.len()));
            gathered.push(Gathered { rows: vec![(id, row)], references: Vec::new() });
        }
        let roots: Vec<Scalar> = frontier.iter().map(|(key, _)| key.clone()).collect();
        let mut seen: HashSet<(CollectionId, Arc<str>)> =
            roots.iter().map(|key| (id, key_text(key))).collect();
        let mut waiting = vec![(id, frontier)];
        while let Some((id, keys)) = waiting.pop() {
            for (child, field, values, is_cascade) in referring(&schema, id, &keys) {
                let next = self.gather(&mut gathered, &mut seen, (child, field), &values, &keys, is_cascade);
                let next = next.await?;
                if !next.is_empty() {
                    waiting.push((child, next));
                }
            }
        }
        let ctx = self.with.ctx.clone();
        let expires =
            trash.keep.and_then(|kept| ctx.now.checked_add(SignedDuration::from_hours(kept.into())).ok());
        let optional = |text: Option<Arc<str>>| text.map_or(Scalar::Null, Scalar::Text);
        let dialect = self.tx.dialect();
        for (entry, key) in gathered.into_iter().zip(&roots) {
            let values = [
                Scalar::Text(uuid::Uuid::now_v7().hyphenated().to_string().into()),
                Scalar::Text(collection.name.clone()),
                Scalar::Text(key_text(key)),
                Scalar::Text(moment(ctx.now)),
                optional(ctx.accountability.user.as_deref().map(Arc::from)),
                optional(expires.map(moment)),
                Scalar::Text(entry.to_json(&schema).to_string().into()),
            ];
            self.tx.execute(&statements::insert(dialect, values)).await?;
        }
        Ok(())
    }

    /// Rows that refer to these keys: those that go along are kept and followed further, of the others only the reference.
    async fn gather(
        &mut self,
        gathered: &mut [Gathered],
        seen: &mut HashSet<(CollectionId, Arc<str>)>,
        (child, field): (CollectionId, FieldId),
        values: &[Scalar],
        keys: &[(Scalar, usize)],
        is_cascade: bool,
    ) -> Result<Vec<(Scalar, usize)>> {
        let schema = self.schema();
        let collection = schema.collection(child);
        let root_of: HashMap<Arc<str>, usize> =
            keys.iter().map(|(key, root)| (key_text(key), *root)).collect();
        let mut next = Vec::new();
        for row in self.whole_rows(collection, field, values).await? {
            let value = |wanted: FieldId| {
                row.iter().find(|(field, _)| *field == wanted).map(|(_, value)| value.clone())
            };
            let root = value(field).and_then(|value| root_of.get(&key_text(&value)).copied());
            let (Some(root), Some(key)) = (root, collection.key().and_then(value)) else { continue };
            if !is_cascade {
                gathered[root].references.push((child, key, field));
                continue;
            }
            if seen.insert((child, key_text(&key))) {
                if gathered[root].rows.len() >= MOST_ROWS {
                    let reason = format!("More than {MOST_ROWS} items would go to the trash with one.");
                    return Err(Error::UnprocessableContent { reason });
                }
                gathered[root].rows.push((child, row));
                next.push((key, root));
            }
        }
        Ok(next)
    }

    async fn whole_rows(
        &mut self,
        collection: &Collection,
        field: FieldId,
        values: &[Scalar],
    ) -> Result<Vec<Vec<(FieldId, Scalar)>>> {
        let columns: Vec<FieldId> =
            collection.fields().filter(|(_, field)| !field.is_alias()).map(|(id, _)| id).collect();
        let statement = rows::select(self.tx.dialect(), collection, &columns, &[Match { field, values }]);
        let found = self.tx.rows(&statement).await?;
        Ok(found.into_iter().map(|row| columns.iter().copied().zip(row.values).collect()).collect())
    }

    async fn restore(&mut self, id: CollectionId, content: &Value) -> Result<Scalar> {
        let schema = self.schema();
        let mut waiting = items(&schema, content);
        let Some(root) = waiting.first().and_then(|item| item.key.clone()) else {
            return Err(unreadable());
        };
        let mut later: Vec<ItemWrite> = Vec::new();
        let mut above = None;
        while !waiting.is_empty() {
            // Each row behind those that it refers to; in a circle one goes first without its reference.
            let is_ready =
                |item: &ItemWrite| referred(&schema, item).all(|target| !is_among(&waiting, target));
            let position = waiting.iter().position(is_ready);
            let mut item = waiting.remove(position.unwrap_or(0));
            if position.is_none() {
                later.extend(without_references(&schema, &mut item, &waiting));
            }
            let entry = self.restore_row(item, above).await?;
            above = above.or(Some(entry));
        }
        for item in later {
            self.set_columns(&item).await?;
        }
        for reference in content["references"].as_array().into_iter().flatten() {
            self.restore_reference(reference, &root).await?;
        }
        self.allow((id, Action::Delete), &[], std::slice::from_ref(&root)).await?;
        Ok(root)
    }

    /// Lets a row refer to the item again, unless it refers to something else by now or is gone.
    async fn restore_reference(&mut self, reference: &Value, root: &Scalar) -> Result<()> {
        let schema = self.schema();
        let child = reference["collection"].as_str().and_then(|name| schema.find(name));
        let Some(collection) = child.map(|child| schema.collection(child)) else { return Ok(()) };
        let field = reference["field"].as_str().and_then(|name| collection.find(name));
        let (Some(child), Some(field), Ok(key)) = (child, field, key_value(collection, &reference["key"]))
        else {
            return Ok(());
        };
        let matches = [Match { field: key_field(collection)?, values: std::slice::from_ref(&key) }];
        let statement = rows::select(self.tx.dialect(), collection, &[field], &matches);
        let found = self.tx.rows(&statement).await?;
        if found.first().and_then(|row| row.values.first()) == Some(&Scalar::Null) {
            let item = set(child, key, vec![(field, root.clone())]);
            self.change_many(item.clone(), item.key.into_iter().collect()).await?;
        }
        Ok(())
    }
}

/// Fields that refer to these items, with the values they refer by, and whether the row goes with the item.
fn referring(
    schema: &Schema,
    id: CollectionId,
    keys: &[(Scalar, usize)],
) -> Vec<(CollectionId, FieldId, Vec<Scalar>, bool)> {
    let values: Vec<Scalar> = keys.iter().map(|(key, _)| key.clone()).collect();
    let mut found = Vec::new();
    for (child, collection) in schema.collections().filter(|(_, collection)| collection.key().is_some()) {
        for (field, declared) in collection.fields() {
            match &declared.kind {
                FieldKind::ManyToOne { related, on_delete: OnDelete::Cascade } if *related == id => {
                    found.push((child, field, values.clone(), true));
                }
                FieldKind::ManyToOne { related, on_delete: OnDelete::SetNull } if *related == id => {
                    found.push((child, field, values.clone(), false));
                }
                // Rows of junctions that we made go with the item, though no foreign key takes them.
                FieldKind::ManyToAny { allowed, .. }
                    if allowed.contains(&id) && collection.origin == Origin::Generated =>
                {
                    found.push((child, field, values.iter().cloned().map(as_text).collect(), true));
                }
                _ => {}
            }
        }
    }
    found
}

impl Gathered {
    fn to_json(&self, schema: &Schema) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|(id, row)| {
                let collection = schema.collection(*id);
                let values: Map<String, Value> = row
                    .iter()
                    .map(|(field, value)| (collection.field(*field).name.to_string(), kept(value)))
                    .collect();
                json!({ "collection": &*collection.name, "values": values })
            })
            .collect();
        let references: Vec<Value> = self
            .references
            .iter()
            .map(|(id, key, field)| {
                let collection = schema.collection(*id);
                let name = &*collection.field(*field).name;
                json!({ "collection": &*collection.name, "key": key_json(collection, key), "field": name })
            })
            .collect();
        json!({ "rows": rows, "references": references })
    }
}

/// A stored value as JSON that gives it back as it was.
fn kept(value: &Scalar) -> Value {
    match value {
        Scalar::Null => Value::Null,
        Scalar::Bool(value) => json!(value),
        Scalar::Int(value) => json!(value),
        Scalar::Float(value) => json!(value),
        Scalar::Text(text) => json!(&**text),
        Scalar::Bytes(bytes) => json!(BASE64.encode(bytes)),
    }
}

fn given_back(column_type: &ColumnType, value: &Value) -> Scalar {
    match (column_type, value) {
        (_, Value::Bool(value)) => Scalar::Bool(*value),
        (ColumnType::Float, Value::Number(number)) => number.as_f64().map_or(Scalar::Null, Scalar::Float),
        (_, Value::Number(number)) => match number.as_i64() {
            Some(number) => Scalar::Int(number),
            None => number.as_f64().map_or(Scalar::Null, Scalar::Float),
        },
        (ColumnType::Binary, Value::String(text)) => {
            BASE64.decode(text).map_or(Scalar::Null, |bytes| Scalar::Bytes(bytes.into()))
        }
        (_, Value::String(text)) => Scalar::Text(text.as_str().into()),
        (_, Value::Null | Value::Array(_) | Value::Object(_)) => Scalar::Null,
    }
}

/// The rows of an entry, the item itself first. What the model has no more is left out.
fn items(schema: &Schema, content: &Value) -> Vec<ItemWrite> {
    let mut items = Vec::new();
    for row in content["rows"].as_array().into_iter().flatten() {
        let Some(id) = row["collection"].as_str().and_then(|name| schema.find(name)) else { continue };
        let collection = schema.collection(id);
        let members = row["values"].as_object().into_iter().flatten();
        let mut values: Vec<(FieldId, Scalar)> = members
            .filter_map(|(name, value)| {
                let field = collection.find(name)?;
                let column = collection.field(field).column.as_ref()?;
                Some((field, given_back(&column.column_type, value)))
            })
            .collect();
        values.sort_by_key(|(field, _)| *field);
        let key = values.iter().find(|(field, _)| collection.key() == Some(*field));
        let Some(key) = key.map(|(_, key)| key.clone()) else { continue };
        items.push(set(id, key, values));
    }
    items
}

fn set(collection: CollectionId, key: Scalar, values: Vec<(FieldId, Scalar)>) -> ItemWrite {
    ItemWrite {
        collection,
        key: Some(key),
        target: Target::Update,
        sent: values.iter().map(|(field, _)| *field).collect(),
        named: Vec::new(),
        values,
        upserted: None,
        given: Vec::new(),
        to_one: Vec::new(),
        to_many: Vec::new(),
        parent: None,
    }
}

/// What a row refers to: collection and key.
fn referred<'a>(schema: &'a Schema, item: &'a ItemWrite) -> impl Iterator<Item = (CollectionId, &'a Scalar)> {
    let collection = schema.collection(item.collection);
    item.values.iter().filter_map(|(field, value)| match collection.field(*field).kind {
        FieldKind::ManyToOne { related, .. } if *value != Scalar::Null => Some((related, value)),
        _ => None,
    })
}

fn is_among(items: &[ItemWrite], (collection, key): (CollectionId, &Scalar)) -> bool {
    items.iter().any(|item| item.collection == collection && item.key.as_ref() == Some(key))
}

/// Takes out the references to rows that are still to come (and to the row itself), to be set later.
fn without_references(schema: &Schema, item: &mut ItemWrite, waiting: &[ItemWrite]) -> Option<ItemWrite> {
    let own = (item.collection, item.key.clone());
    let mut later = Vec::new();
    let collection = schema.collection(item.collection);
    for (field, value) in &mut item.values {
        let FieldKind::ManyToOne { related, .. } = collection.field(*field).kind else { continue };
        let is_own = own.0 == related && own.1.as_ref() == Some(value);
        if *value != Scalar::Null && (is_own || is_among(waiting, (related, value))) {
            later.push((*field, std::mem::replace(value, Scalar::Null)));
        }
    }
    (!later.is_empty()).then(|| item.key.clone().map(|key| set(item.collection, key, later))).flatten()
}

fn unreadable() -> Error {
    Error::internal(anyhow::anyhow!("an entry of the trash holds no item"))
}

impl ItemsService {
    /// What was deleted from a collection, the latest first: administrators see everything, others what they deleted themselves.
    /// `before` is the key of an entry to go on behind.
    ///
    /// Fails with `Forbidden` for a collection without a trash, and for those who may not delete there.
    pub async fn trash(
        &self,
        ctx: &Context,
        collection: &str,
        limit: Option<u64>,
        before: Option<&str>,
    ) -> Result<Value> {
        let found = self.trash_of(ctx, collection)?;
        let before = before.map(key).transpose()?;
        let now = moment(ctx.now);
        let which = Which {
            collection: Some(&found.name),
            by: deleted_by(ctx)?,
            before: before.as_deref(),
            kept_at: Some(&now),
            ..Which::default()
        };
        let most = limit.unwrap_or(LISTED).min(MOST_LISTED);
        let statement = statements::select(self.database.dialect(), &which, most, false);
        let rows = self.database.rows(&statement).await?;
        Ok(Value::Array(rows.iter().map(entry).collect()))
    }

    /// Puts an item back with everything that went with it. Gives its key.
    ///
    /// Fails with `Forbidden` for an entry that is not there or is somebody else's, with `RecordNotUnique` and `InvalidForeignKey`
    /// where the item does not fit any more.
    pub async fn restore(&self, ctx: &Context, collection: &str, id: &str) -> Result<Value> {
        self.trash_of(ctx, collection)?;
        let with = self.run_context(ctx);
        let (name, id) = (collection.to_owned(), key(id)?);
        let committed = self
            .database(ctx)?
            .repeatable_transaction(move |tx| {
                async move {
                    let ctx = with.ctx.clone();
                    let dialect = tx.dialect();
                    let now = moment(ctx.now);
                    let which = Which {
                        collection: Some(&name),
                        id: Some(&id),
                        by: deleted_by(&ctx)?,
                        kept_at: Some(&now),
                        ..Which::default()
                    };
                    let rows = tx.rows(&statements::select(dialect, &which, 1, true)).await?;
                    let content = rows.first().and_then(|row| row.text(6)).ok_or(Error::Forbidden)?;
                    let content: Value = serde_json::from_str(content).map_err(Error::internal)?;
                    tx.execute(&statements::delete(dialect, &which)).await?;
                    let found = ctx.schema.find(&name).ok_or(Error::Forbidden)?;
                    let mut run = Run::new(tx, with);
                    let key = Box::pin(run.restore(found, &content)).await?;
                    let events = run.finish().await?;
                    Ok((key_json(ctx.schema.collection(found), &key), events))
                }
                .boxed()
            })
            .await?;
        let (events, key) = committed.split();
        self.events.dispatch(events).await;
        Ok(key)
    }

    /// Removes an entry for good, or all that the caller sees.
    pub async fn empty_trash(&self, ctx: &Context, collection: &str, id: Option<&str>) -> Result<()> {
        self.trash_of(ctx, collection)?;
        let (name, id) = (collection.to_owned(), id.map(key).transpose()?);
        let by = deleted_by(ctx)?.map(str::to_owned);
        let removed = self.database.transaction(move |tx| {
            async move {
                let which = Which {
                    collection: Some(&name),
                    id: id.as_deref(),
                    by: by.as_deref(),
                    ..Which::default()
                };
                let removed = tx.execute(&statements::delete(tx.dialect(), &which)).await?;
                if removed == 0 && id.is_some() { Err(Error::Forbidden) } else { Ok(()) }
            }
            .boxed()
        });
        removed.await.map(|_| ())
    }

    /// Removes every entry whose time is over.
    pub async fn forget_trash(&self, now: jiff::Timestamp) -> Result<()> {
        let now = moment(now);
        let forgotten = self.database.transaction(move |tx| {
            async move {
                let which = Which { expired_at: Some(&now), ..Which::default() };
                tx.execute(&statements::delete(tx.dialect(), &which)).await
            }
            .boxed()
        });
        forgotten.await.map(|_| ())
    }

    fn trash_of<'c>(&self, ctx: &'c Context, collection: &str) -> Result<&'c Collection> {
        let id = ctx.schema.find(collection).ok_or(Error::Forbidden)?;
        rights::allowed(ctx, id, Action::Delete)?;
        Some(ctx.schema.collection(id)).filter(|found| found.trash.is_some()).ok_or(Error::Forbidden)
    }
}

/// Whose entries the caller sees; `None` for all.
fn deleted_by(ctx: &Context) -> Result<Option<&str>> {
    if ctx.rules.is_everything() {
        return Ok(None);
    }
    ctx.accountability.user.as_deref().map(Some).ok_or(Error::Forbidden)
}

/// A key of an entry; what can be none belongs to no entry.
fn key(text: &str) -> Result<String> {
    let key = uuid::Uuid::try_parse(text).map_err(|_| Error::Forbidden)?;
    Ok(key.hyphenated().to_string())
}

fn entry(row: &Row) -> Value {
    let text = |column: usize| row.text(column).map_or(Value::Null, |text| json!(&**text));
    json!({
        "id": text(0), "collection": text(1), "item": text(2), "deleted_at": text(3), "deleted_by": text(4),
        "expires_at": text(5),
    })
}
