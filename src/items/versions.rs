//! Content versions: changes of an item that are kept beside it until somebody takes them over.
//!
//! A version is read by making its changes in a transaction that is undone, so that whatever an item is read by (relations, functions,
//! aliases) is read of a version, too. Nobody sees more of an item through a version than without it.

mod payloads;

use std::sync::Arc;

use futures::FutureExt as _;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::nested::{ItemPayload, key_text, key_value};
use super::read::{Compiled, compile};
use super::rights::key_operand;
use super::run::{Run, first_value, key_field};
use super::service::ItemsService;
use super::values::{column_value, now_value};
use super::write::{Operation, Targets};
use crate::access::{AccessRules, Action, CollectionRules, Context, FieldRules};
use crate::db::{JsonBytes, Row, Transaction};
use crate::error::{Error, Result};
use crate::filter::{Filter, Scalar};
use crate::query::{Query, Selection, parse};
use crate::schema::{Auto, Collection, CollectionId, ColumnType, FieldId, Schema};
use crate::sql;
use crate::sql::write::{self as statements, Insert, Match, Texts};

const VERSIONS: &str = "directus_versions";

/// Makes of the content of an item a mark that is another as soon as the content is. With a key of its own: whoever sees a mark may
/// see less of the item.
pub type Marks = Arc<dyn Fn(&[u8]) -> String + Send + Sync>;

/// A mark without a key, for those who show none.
pub(super) fn plain_marks() -> Marks {
    Arc::new(|content| Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A version, as it is kept.
#[derive(Debug, Clone, Default)]
pub struct SavedVersion {
    /// Its key in the database.
    pub id: String,
    /// Collection of the item.
    pub collection: String,
    /// Key of the item, as text.
    pub item: String,
    /// Mark of the item when the version was made.
    pub hash: Option<String>,
    /// What it changes; `None` when nothing was saved yet.
    pub delta: Option<ItemPayload>,
}

impl ItemsService {
    /// The version with this key. Fails with `Forbidden` for whoever may not see it, or not the item.
    pub async fn version(&self, ctx: &Context, id: &str) -> Result<SavedVersion> {
        self.find_version(ctx, Selection::Key(id.to_owned()), json!({ "fields": "id" })).await
    }

    /// The item as it is, with all that it has, and its mark.
    pub async fn mark(&self, ctx: &Context, collection: &str, item: &str) -> Result<String> {
        let all = Context { rules: Arc::new(AccessRules::Everything), ..ctx.clone() };
        let (dialect, key) = (self.database.dialect(), Selection::Key(item.to_owned()));
        let read = compile(&all, dialect, collection, &key, &Query::default(), &self.settings.query)?;
        let content = self.database(ctx)?.read_json(&read.plan, &read.statements).await?;
        Ok((self.marks)(&content))
    }

    /// What a version changes, as far as the caller may see it: fields that may be read in the item as it is, and in items below it
    /// those that may be read in every row.
    pub async fn shown(
        &self,
        ctx: &Context,
        version: &SavedVersion,
        delta: &ItemPayload,
    ) -> Result<ItemPayload> {
        let id = ctx.schema.find(&version.collection).ok_or(Error::Forbidden)?;
        let key = key_value(ctx.schema.collection(id), &Value::from(version.item.as_str()))?;
        let (database, ctx) = (self.database(ctx)?, ctx.clone());
        let seen = database.transaction(move |tx| async move { narrowed(tx, &ctx, id, &key).await }.boxed());
        Ok(payloads::shown(&seen.await?.into_inner(), id, delta))
    }

    /// Adds changes to a version and gives all that it changes now. The caller has to be allowed to change the item so.
    ///
    /// Fails like the change itself would.
    pub async fn save_version(
        &self,
        ctx: &Context,
        version: &SavedVersion,
        payload: ItemPayload,
    ) -> Result<ItemPayload> {
        let ctx = &*self.with_own(ctx).await?;
        let id = ctx.schema.find(&version.collection).ok_or(Error::Forbidden)?;
        let collection = ctx.schema.collection(id);
        let mut payload = without_key(collection, payload);
        let change = Operation::Update(Targets::Key(version.item.clone()), payload.clone());
        self.try_change(ctx, &version.collection, change).await?;
        payloads::seal(&ctx.schema, id, &mut payload).await?;
        stamp(ctx, collection, &mut payload);
        let told = payloads::masked(&ctx.schema, id, &payload);
        let database = self.database(ctx)?;
        let (ctx, version) = (ctx.clone(), version.clone());
        let saved = database.repeatable_transaction(move |tx| {
            async move {
                let delta = merge(tx, &ctx, &version, payload).await?;
                note(tx, &ctx, &version, &told).await?;
                Ok(delta)
            }
            .boxed()
        });
        Ok(saved.await?.into_inner())
    }

    /// Changes an item, unless it is another than the one with this mark; gives its key.
    ///
    /// Fails with `UnprocessableContent` when it is, with `Forbidden` when it is not there or may not be changed so.
    pub async fn change_unchanged(
        &self,
        ctx: &Context,
        version: &SavedVersion,
        payload: ItemPayload,
        mark: &str,
    ) -> Result<Value> {
        let ctx = &*self.with_own(ctx).await?;
        let id = ctx.schema.find(&version.collection).ok_or(Error::Forbidden)?;
        let collection = ctx.schema.collection(id);
        let key = key_value(collection, &Value::from(version.item.as_str()))?;
        let payload = without_stamps(collection, without_key(collection, payload));
        let change = Operation::Update(Targets::Key(version.item.clone()), payload);
        let prepared = self.prepare(ctx, &version.collection, change, false).await?;
        let (with, mark) = (self.run_context(ctx), mark.to_owned());
        let database = self.database(ctx)?;
        let committed = database.repeatable_transaction(move |tx| {
            async move {
                let mut run = Run::new(tx, with);
                if !run.is_there(id, &key).await? {
                    return Err(Error::Forbidden);
                }
                if run.mark_of(id, &key).await? != mark {
                    return Err(Error::UnprocessableContent {
                        reason: "The item was changed since it was looked at.".to_owned(),
                    });
                }
                let keys = prepared.run(&mut run).await?;
                Ok((keys, run.finish().await?))
            }
            .boxed()
        });
        let (events, keys) = committed.await?.split();
        self.events.dispatch(events).await;
        let key = keys.first().ok_or(Error::Forbidden)?;
        Ok(super::nested::key_json(collection, key))
    }

    /// Makes a change that is undone at once, to see whether it could be made.
    async fn try_change(&self, ctx: &Context, collection: &str, operation: Operation) -> Result<()> {
        let prepared = self.prepare(ctx, collection, operation, false).await?;
        let with = self.run_context(ctx);
        let database = self.database(ctx)?;
        let changed =
            database.rehearsal(move |tx| async move { prepared.run(&mut Run::new(tx, with)).await }.boxed());
        if changed.await?.is_empty() { Err(Error::Forbidden) } else { Ok(()) }
    }

    /// Reads an item as one of its versions has it.
    pub(super) async fn read_version(
        &self,
        ctx: &Context,
        collection: &str,
        selection: Selection,
        mut query: Query,
    ) -> Result<JsonBytes> {
        let Some(version) = query.version.take() else { return Err(Error::Forbidden) };
        let id = ctx.schema.find(collection).ok_or(Error::Forbidden)?;
        let found = ctx.schema.collection(id);
        let key = match &selection {
            Selection::Key(key) => key_value(found, &Value::from(key.as_str()))?,
            Selection::Singleton => self.only_key(ctx, found).await?.ok_or(Error::Forbidden)?,
            Selection::Query | Selection::Keys(_) => {
                return Err(Error::query(
                    "\"version\" is for one item: ask for it by its key, as in /items/{collection}/{id}?version=",
                ));
            }
        };
        let filter = json!({
            "key": { "_eq": version },
            "collection": { "_eq": collection },
            "item": { "_eq": &*key_text(&key) },
        });
        let wanted = json!({ "fields": "id", "filter": filter, "limit": 1 });
        let version = self.find_version(ctx, Selection::Query, wanted).await?;
        let Some(delta) = version.delta.clone().filter(|delta| !delta.is_empty()) else {
            return self.read_main(ctx, collection, selection, query).await;
        };
        if query.version_raw {
            let main = self.read_main(ctx, collection, selection, query).await?;
            return payloads::overlaid(&main, self.shown(ctx, &version, &delta).await?);
        }
        self.read_changed(ctx, (id, key), selection, query, delta).await
    }

    /// Makes the changes of a version, reads the item, and undoes them.
    async fn read_changed(
        &self,
        ctx: &Context,
        (id, key): (CollectionId, Scalar),
        selection: Selection,
        query: Query,
        delta: ItemPayload,
    ) -> Result<JsonBytes> {
        let all = Context { rules: Arc::new(AccessRules::Everything), ..ctx.clone() };
        let name = ctx.schema.collection(id).name.clone();
        let change = Operation::Update(Targets::Key(key_text(&key).to_string()), delta.clone());
        let mut prepared = self.prepare_unheard(&all, id, change, false, Vec::new()).await?;
        let stamps = stamps_of(ctx.schema.collection(id), &delta);
        let mut is_first = true;
        prepared.for_each_item(&mut |item| {
            for (field, value) in stamps.iter().filter(|_| is_first) {
                item.set(*field, value.clone());
            }
            is_first = false;
        });
        let (database, ctx, with) = (self.database(ctx)?, ctx.clone(), self.run_context(&all));
        let limits = self.settings.query.clone();
        database
            .rehearsal(move |tx| {
                async move {
                    let dialect = tx.dialect();
                    let bare = Query { fields: vec![vec![key_name(&ctx.schema, id)?]], ..Query::default() };
                    let main = compile(&ctx, dialect, &name, &selection, &bare, &limits)?;
                    tx.read_json(&main.plan, &main.statements).await?;
                    let seen = narrowed(tx, &ctx, id, &key).await?;
                    prepared.run(&mut Run::new(tx, with)).await?;
                    let read: Compiled = compile(&seen, dialect, &name, &selection, &query, &limits)?;
                    tx.read_json(&read.plan, &read.statements).await
                }
                .boxed()
            })
            .await
    }

    /// The version that a query of the caller finds.
    async fn find_version(&self, ctx: &Context, selection: Selection, query: Value) -> Result<SavedVersion> {
        let Value::Object(query) = query else { return Err(Error::Forbidden) };
        let query = parse::parse_object(&query, &self.settings.query)?;
        let found = document(&self.read_main(ctx, VERSIONS, selection, query).await?)?;
        let found = if found.is_array() { &found[0] } else { &found };
        let id = found["id"].as_str().ok_or(Error::Forbidden)?;
        let versions = ctx.schema.get(VERSIONS).ok_or(Error::Forbidden)?;
        let columns = ["id", "collection", "item", "hash", "delta"];
        let columns: Vec<FieldId> = columns.iter().filter_map(|name| versions.find(name)).collect();
        let values = [Scalar::Text(id.into())];
        let matches = [Match { field: key_field(versions)?, values: &values }];
        let statement = statements::lookup(self.database.dialect(), versions, &columns, &matches);
        let rows = self.database(ctx)?.rows(&statement).await?;
        let version = rows.first().map(SavedVersion::from_row).ok_or(Error::Forbidden)??;
        if !self.may(ctx, &version.collection, Action::Read, &version.item).await? {
            return Err(Error::Forbidden);
        }
        Ok(version)
    }

    /// The key of the only item of a singleton.
    async fn only_key(&self, ctx: &Context, collection: &Collection) -> Result<Option<Scalar>> {
        let key = key_field(collection)?;
        let statement = statements::select_first_key(self.database.dialect(), collection, key);
        Ok(self.database(ctx)?.rows(&statement).await?.into_iter().find_map(first_value))
    }
}

impl SavedVersion {
    fn from_row(row: &Row) -> Result<Self> {
        let text = |column| row.text(column).map(|text| text.to_string());
        let delta = match row.text(4) {
            Some(text) => match serde_json::from_str(text).map_err(Error::internal)? {
                Value::Object(delta) => Some(delta),
                _ => None,
            },
            None => None,
        };
        Ok(SavedVersion {
            id: text(0).unwrap_or_default(),
            collection: text(1).unwrap_or_default(),
            item: text(2).unwrap_or_default(),
            hash: text(3),
            delta,
        })
    }
}

impl Run<'_> {
    /// The mark of an item as it is now.
    pub(super) async fn mark_of(&mut self, id: CollectionId, key: &Scalar) -> Result<String> {
        let ctx = Context { rules: Arc::new(AccessRules::Everything), ..self.with.ctx.clone() };
        let name = ctx.schema.collection(id).name.clone();
        let selection = Selection::Key(key_text(key).to_string());
        let limits = self.with.limits.clone();
        let read = compile(&ctx, self.tx.dialect(), &name, &selection, &Query::default(), &limits)?;
        let content = self.tx.read_json(&read.plan, &read.statements).await?;
        Ok((self.with.marks)(&content))
    }
}

/// `data` of an answer.
pub fn document(members: &[u8]) -> Result<Value> {
    let text = [b"{", members, b"}"].concat();
    let mut document: Value = serde_json::from_slice(&text).map_err(Error::internal)?;
    Ok(document["data"].take())
}

/// The same rights, without the fields that may not be seen in this item as it is: what a version changes must not open them.
async fn narrowed(tx: &mut Transaction, ctx: &Context, id: CollectionId, key: &Scalar) -> Result<Context> {
    let Some(rules) = ctx.allowed(id, Action::Read) else { return Err(Error::Forbidden) };
    let FieldRules::Some(fields) = &rules.fields else { return Ok(ctx.clone()) };
    let mut seen = fields.clone();
    let mut known: Vec<(&Filter, bool)> = Vec::new();
    for (field, rows) in fields {
        let Some(rows) = rows else { continue };
        let is_seen = match known.iter().find(|(other, _)| *other == rows) {
            Some((_, is_seen)) => *is_seen,
            None => {
                let operand = key_operand(ctx.schema.collection(id), key)?;
                let statement = sql::build_permitted(&ctx.schema, tx.dialect(), id, vec![operand], rows)?;
                let is_seen = !tx.rows(&statement).await?.is_empty();
                known.push((rows, is_seen));
                is_seen
            }
        };
        if !is_seen {
            seen.remove(field);
        }
    }
    let rules = CollectionRules {
        rows: rules.rows.clone(),
        fields: FieldRules::Some(seen),
        is_momentary: rules.is_momentary,
        ..CollectionRules::default()
    };
    Ok(Context { rules: Arc::new(AccessRules::narrowed(ctx.rules.clone(), id, rules)), ..ctx.clone() })
}

fn key_name(schema: &Schema, id: CollectionId) -> Result<String> {
    let collection = schema.collection(id);
    Ok(collection.field(key_field(collection)?).name.to_string())
}

fn without_key(collection: &Collection, mut payload: ItemPayload) -> ItemPayload {
    if let Some(key) = collection.key() {
        payload.remove(&*collection.field(key).name);
    }
    payload
}

fn is_stamp(auto: Option<Auto>) -> bool {
    matches!(auto, Some(Auto::UpdatedAt | Auto::UpdatedBy | Auto::UpdatedByRole))
}

/// Columns that say who changed an item and when.
fn stamp_columns(
    collection: &Collection,
) -> impl Iterator<Item = (FieldId, &str, &ColumnType, Option<Auto>)> {
    collection.fields().filter_map(|(id, field)| {
        let column = field.column.as_ref().filter(|column| is_stamp(column.auto))?;
        Some((id, &*field.name, &column.column_type, column.auto))
    })
}

/// Notes in a version who changed it and when.
fn stamp(ctx: &Context, collection: &Collection, payload: &mut ItemPayload) {
    let who = &ctx.accountability;
    for (_, name, column_type, auto) in stamp_columns(collection) {
        let value = match auto {
            Some(Auto::UpdatedBy) => json!(who.user),
            Some(Auto::UpdatedByRole) => json!(who.role),
            _ => match now_value(column_type, ctx.now) {
                Some(Scalar::Text(text)) => json!(&*text),
                _ => continue,
            },
        };
        payload.insert(name.to_owned(), value);
    }
}

/// What a version notes there, as values of the columns.
fn stamps_of(collection: &Collection, delta: &ItemPayload) -> Vec<(FieldId, Scalar)> {
    stamp_columns(collection)
        .filter_map(|(id, name, column_type, _)| {
            Some((id, column_value(column_type, delta.get(name)?).ok()?))
        })
        .collect()
}

/// Whoever takes over a version changes the item now.
fn without_stamps(collection: &Collection, mut payload: ItemPayload) -> ItemPayload {
    for (_, name, ..) in stamp_columns(collection) {
        payload.remove(name);
    }
    payload
}

/// Brings the changes together with those that the version has, whose row nobody else changes meanwhile.
async fn merge(
    tx: &mut Transaction,
    ctx: &Context,
    version: &SavedVersion,
    payload: ItemPayload,
) -> Result<ItemPayload> {
    let versions = ctx.schema.get(VERSIONS).ok_or(Error::Forbidden)?;
    let (key, field) = (key_field(versions)?, versions.find("delta").ok_or(Error::Forbidden)?);
    let keys = [Scalar::Text(version.id.as_str().into())];
    let matches = [Match { field: key, values: &keys }];
    let rows = tx.rows(&statements::select(tx.dialect(), versions, &[field], &matches)).await?;
    let known = rows.first().ok_or(Error::Forbidden)?;
    let mut delta: ItemPayload = match known.text(0) {
        Some(text) => serde_json::from_str(text).unwrap_or_default(),
        None => Map::new(),
    };
    delta.extend(payload);
    let mut values = vec![(field, Scalar::Text(Value::Object(delta.clone()).to_string().into()))];
    for (id, _, column_type, auto) in stamp_columns(versions) {
        let value = match auto {
            Some(Auto::UpdatedAt) => now_value(column_type, ctx.now).unwrap_or(Scalar::Null),
            _ => ctx.accountability.user.as_deref().map_or(Scalar::Null, |user| Scalar::Text(user.into())),
        };
        values.push((id, value));
    }
    tx.execute(&statements::update(tx.dialect(), versions, values, key, &keys, &[])).await?;
    Ok(delta)
}

/// A record of what was saved in a version, and the revision that goes with it.
async fn note(tx: &mut Transaction, ctx: &Context, version: &SavedVersion, told: &Value) -> Result<()> {
    let text = |text: &str| Scalar::Text(text.into());
    let optional = |value: &Option<String>| value.as_deref().map_or(Scalar::Null, text);
    let who = &ctx.accountability;
    let timestamp = now_value(&ColumnType::Timestamp, ctx.now).unwrap_or(Scalar::Null);
    let activity = vec![
        ("action", text("version_save")),
        ("user", optional(&who.user)),
        ("timestamp", timestamp),
        ("ip", optional(&who.ip.map(|ip| ip.to_string()))),
        ("user_agent", optional(&who.user_agent)),
        ("collection", text(&version.collection)),
        ("item", text(&version.item)),
        ("origin", optional(&who.origin)),
    ];
    let activity = insert_counted(tx, &ctx.schema, "directus_activity", activity).await?;
    let told = told.to_string();
    let revision = vec![
        ("activity", Scalar::Int(activity)),
        ("collection", text(&version.collection)),
        ("item", text(&version.item)),
        ("data", text(&told)),
        ("delta", text(&told)),
        ("version", text(&version.id)),
    ];
    insert_counted(tx, &ctx.schema, "directus_revisions", revision).await.map(|_| ())
}

/// Inserts a row and gives the number that the database counted for it.
async fn insert_counted(
    tx: &mut Transaction,
    schema: &Schema,
    collection: &str,
    row: Vec<(&str, Scalar)>,
) -> Result<i64> {
    let lacks = || Error::internal(anyhow::anyhow!("the model lacks columns of {collection}"));
    let collection = schema.get(collection).ok_or_else(lacks)?;
    let columns: Option<Vec<FieldId>> = row.iter().map(|(name, _)| collection.find(name)).collect();
    let values = row.into_iter().map(|(_, value)| value).collect();
    let (columns, key) = (columns.ok_or_else(lacks)?, key_field(collection)?);
    let statement = match statements::insert(
        tx.dialect(),
        collection,
        &columns,
        vec![values],
        Some(key),
        &Texts::default(),
    ) {
        Insert::Each(mut statement, rows) => {
            statement.params = rows.into_iter().next().unwrap_or_default();
            Some(statement)
        }
        Insert::Statements(list) => list.into_iter().next(),
    };
    tx.insert_counted(&statement.ok_or_else(lacks)?).await
}
