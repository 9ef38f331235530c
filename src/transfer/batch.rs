//! Flat items of several collections that refer to one another, all of them or none.
//!
//! Start at [`Transfers::import_batch`]. It decides which items are made and which are changed, brings them into an order in which
//! what is referred to comes first, and hands them to the items as the operations of one transaction; keys that the database gives
//! are references between those.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::Transfers;
use crate::access::Context;
use crate::error::{Error, Result};
use crate::items::{ItemPayload, ItemsService, Step, StepAction};
use crate::query::{QueryLimits, Selection, parse};
use crate::schema::{Auto, Collection, CollectionId, ColumnType, FieldKind};

/// Keys that are asked for at a time.
const AT_ONCE: usize = 200;
/// Most items of a collection that are looked through for those to remove.
const MOST_LOOKED_THROUGH: usize = 100_000;

/// What becomes of items whose key is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchMode {
    /// All items are made; one whose key is taken, or that the database numbers, gets another.
    Add,
    /// They are changed.
    Merge,
}

/// Items of several collections, and what is to be done with them.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Collections with their items, as they were sent.
    pub items: Vec<(String, Vec<ItemPayload>)>,
    /// What becomes of items whose key is there.
    pub mode: BatchMode,
    /// Nothing is kept of it.
    pub is_rehearsal: bool,
    /// Removes the items of these collections that are not among these.
    pub removes_others: bool,
}

impl BatchMode {
    /// The mode of this name.
    pub fn find(name: &str) -> Option<Self> {
        match name {
            "add" => Some(BatchMode::Add),
            "merge" => Some(BatchMode::Merge),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            BatchMode::Add => "add",
            BatchMode::Merge => "merge",
        }
    }
}

impl Transfers {
    /// Writes all of it in one transaction, and says of each collection which keys were there, are new, are gone, or have become
    /// others.
    ///
    /// Fails with `Forbidden` for who may not make and change items there, with `InvalidPayload` for items that are not flat and
    /// for collections that refer to one another in a circle, and with whatever is wrong with an item.
    pub async fn import_batch(&self, items: &ItemsService, ctx: &Context, batch: Batch) -> Result<Value> {
        let Batch { items: sent, mode, is_rehearsal, removes_others } = batch;
        let _place = self.place().await?;
        let mut parts = Vec::with_capacity(sent.len());
        for (name, rows) in sent {
            let id = items.may_import(ctx, &name)?;
            if parts.iter().any(|part: &Part| part.id == id) {
                return Err(Error::payload(format_args!("\"{name}\" is there twice.")));
            }
            parts.push(Part::new(ctx, id, rows)?);
        }
        let parts = in_order(ctx, parts)?;
        let mut plan = Plan { ctx, steps: Vec::new(), places: HashMap::new(), told: Vec::new() };
        let mut others = Vec::new();
        for part in parts {
            let there = keys_there(items, ctx, &part, mode).await?;
            if removes_others && mode == BatchMode::Merge {
                others.push((part.name.clone(), others_of(items, ctx, &part).await?));
            }
            plan.add(part, &there, mode)?;
        }
        // What refers goes before what it refers to.
        for (name, keys) in others.into_iter().rev() {
            plan.remove(&name, keys);
        }
        let members = match (plan.steps.is_empty(), is_rehearsal) {
            (true, _) => None,
            (false, true) => Some(items.rehearse(ctx, plan.steps).await.map_err(plain)?),
            (false, false) => items.transact(ctx, plan.steps, None).await.map_err(plain)?.body,
        };
        let answer = data_of(&members.unwrap_or_default())?;
        let collections: Map<String, Value> =
            plan.told.into_iter().map(|told| (told.name.clone(), told.finish(&answer))).collect();
        Ok(json!({ "applied": !is_rehearsal, "mode": mode.name(), "collections": collections }))
    }
}

/// `data` of the members of an answer.
fn data_of(members: &[u8]) -> Result<Value> {
    let text = [b"{", members, b"}"].concat();
    let mut document: Value = serde_json::from_slice(&text).map_err(Error::internal)?;
    Ok(document["data"].take())
}

/// Whoever sent items knows nothing of operations.
fn plain(error: Error) -> Error {
    match error {
        Error::InOperation { error, .. } => *error,
        Error::Several(all) => Error::Several(all.into_iter().map(plain).collect()),
        error => error,
    }
}

/// The items of one collection.
struct Part {
    id: CollectionId,
    name: String,
    key: String,
    rows: Vec<ItemPayload>,
    /// Fields that refer to collections.
    references: Vec<(String, CollectionId)>,
}

impl Part {
    fn new(ctx: &Context, id: CollectionId, rows: Vec<ItemPayload>) -> Result<Self> {
        let collection = ctx.schema.collection(id);
        let key =
            collection.key().map(|key| collection.field(key).name.to_string()).ok_or(Error::Forbidden)?;
        for row in &rows {
            for (name, value) in row {
                let is_alias = collection.find(name).is_some_and(|field| collection.field(field).is_alias());
                let is_nested = value.is_object() && reference(collection, name).is_some();
                if is_alias || is_nested {
                    return Err(Error::payload(format_args!(
                        "items of a batch are flat: \"{name}\" of \"{}\" belongs to another collection.",
                        collection.name
                    )));
                }
            }
        }
        let references = collection.fields().filter_map(|(_, field)| {
            reference(collection, &field.name).map(|related| (field.name.to_string(), related))
        });
        let references = references.collect();
        Ok(Part { id, name: collection.name.to_string(), key, rows, references })
    }

    fn keys(&self) -> impl Iterator<Item = &Value> {
        self.rows.iter().filter_map(|row| row.get(&self.key)).filter(|key| !key.is_null())
    }
}

/// The collection that a field refers to.
fn reference(collection: &Collection, name: &str) -> Option<CollectionId> {
    match collection.field(collection.find(name)?).kind {
        FieldKind::ManyToOne { related, .. } => Some(related),
        _ => None,
    }
}

/// What is referred to comes first.
fn in_order(ctx: &Context, mut waiting: Vec<Part>) -> Result<Vec<Part>> {
    let mut ordered: Vec<Part> = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let is_free = |part: &Part| {
            let mut references = part.references.iter().filter(|(_, related)| *related != part.id);
            !references.any(|(_, related)| waiting.iter().any(|other| other.id == *related))
        };
        let Some(next) = waiting.iter().position(is_free) else {
            let names: Vec<&str> = waiting.iter().map(|part| &*ctx.schema.collection(part.id).name).collect();
            return Err(Error::payload(format_args!(
                "some of these collections refer to one another in a circle: {}.",
                names.join(", ")
            )));
        };
        ordered.push(waiting.remove(next));
    }
    Ok(ordered)
}

/// Which keys of the items sent are those of items, as far as that matters.
async fn keys_there(
    items: &ItemsService,
    ctx: &Context,
    part: &Part,
    mode: BatchMode,
) -> Result<HashSet<String>> {
    let mut there = HashSet::new();
    if mode == BatchMode::Add && (is_numbered(ctx, part) || !is_made_up(ctx, part)) {
        return Ok(there);
    }
    let keys: Vec<&Value> = part.keys().collect();
    for some in keys.chunks(AT_ONCE) {
        let filter = json!({ &part.key: { "_in": some } });
        there.extend(read_keys(items, ctx, part, Some(filter), keys.len()).await?.iter().map(as_text));
    }
    Ok(there)
}

/// Items that are there and were not sent.
async fn others_of(items: &ItemsService, ctx: &Context, part: &Part) -> Result<Vec<Value>> {
    let sent: HashSet<String> = part.keys().map(as_text).collect();
    let mut all = read_keys(items, ctx, part, None, MOST_LOOKED_THROUGH).await?;
    all.retain(|key| !sent.contains(&as_text(key)));
    Ok(all)
}

async fn read_keys(
    items: &ItemsService,
    ctx: &Context,
    part: &Part,
    filter: Option<Value>,
    most: usize,
) -> Result<Vec<Value>> {
    let mut keys = Vec::new();
    loop {
        let mut query = json!({ "fields": part.key, "sort": part.key, "limit": -1, "offset": keys.len() });
        if let Some(filter) = &filter {
            query["filter"] = filter.clone();
        }
        let Value::Object(query) = query else { return Err(Error::Forbidden) };
        let query = parse::parse_object(&query, &QueryLimits::default())?;
        let members = items.read(ctx, &part.name, Selection::Query, query).await?;
        let before = keys.len();
        if let Value::Array(rows) = data_of(&members)? {
            keys.extend(rows.into_iter().map(|mut row| row[&part.key].take()));
        }
        // A server may answer fewer at a time than there are.
        if keys.len() == before {
            return Ok(keys);
        }
        if keys.len() > most {
            return Err(Error::LimitExceeded { limit: "items to look through", most: most as u64 });
        }
    }
}

fn key_column<'c>(ctx: &'c Context, part: &Part) -> Option<&'c crate::schema::Column> {
    let collection = ctx.schema.collection(part.id);
    collection.field(collection.key()?).column.as_ref()
}

/// Whether the database numbers the items.
fn is_numbered(ctx: &Context, part: &Part) -> bool {
    key_column(ctx, part).is_some_and(|column| column.auto == Some(Auto::Increment))
}

/// Whether a new key can be made up.
fn is_made_up(ctx: &Context, part: &Part) -> bool {
    key_column(ctx, part).is_some_and(|column| column.column_type == ColumnType::Uuid)
}

fn as_text(key: &Value) -> String {
    match key {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Where the key of an item will be answered: the number of the operation, and the place in its answer.
type Place = (usize, usize);

struct Plan<'c> {
    ctx: &'c Context,
    steps: Vec<Step>,
    /// Items that get a key, by collection and the key that they were sent with.
    places: HashMap<(CollectionId, String), Place>,
    told: Vec<Told>,
}

/// What is told of a collection.
struct Told {
    name: String,
    key: String,
    existing: Vec<Value>,
    /// New items, with the key that they were sent with.
    new: Vec<(Place, Option<String>)>,
    deleted: Vec<Value>,
}

impl Plan<'_> {
    fn add(&mut self, part: Part, there: &HashSet<String>, mode: BatchMode) -> Result<()> {
        let is_numbered = is_numbered(self.ctx, &part);
        let Part { id, name, key, rows, references } = part;
        let mut told =
            Told { name, key: key.clone(), existing: Vec::new(), new: Vec::new(), deleted: Vec::new() };
        let (mut changed, mut new) = (Vec::new(), Vec::new());
        for mut row in rows {
            let sent = row.get(&key).filter(|key| !key.is_null()).cloned();
            let is_there = sent.as_ref().is_some_and(|sent| there.contains(&as_text(sent)));
            if is_there && mode == BatchMode::Merge {
                told.existing.extend(sent);
                changed.push(row);
                continue;
            }
            if sent.is_none() || is_there || (mode == BatchMode::Add && is_numbered) {
                row.shift_remove(&key);
            }
            new.push((sent.map(|sent| as_text(&sent)), row));
        }
        let own: Vec<&str> =
            references.iter().filter(|(_, related)| *related == id).map(|(name, _)| name.as_str()).collect();
        while !new.is_empty() {
            // Items that others of the same collection refer to come before them.
            let waiting: HashSet<String> = new.iter().filter_map(|(sent, _)| sent.clone()).collect();
            let is_free = |row: &ItemPayload, sent: &Option<String>| {
                own.iter().all(|field| {
                    let referred = row.get(*field).filter(|value| !value.is_null()).map(as_text);
                    referred.is_none_or(|referred| {
                        !waiting.contains(&referred) || sent.as_ref() == Some(&referred)
                    })
                })
            };
            let (now, later): (Vec<_>, Vec<_>) = new.into_iter().partition(|(sent, row)| is_free(row, sent));
            if now.is_empty() {
                return Err(Error::payload(format_args!(
                    "items of \"{}\" refer to one another in a circle.",
                    told.name
                )));
            }
            new = later;
            let step = self.steps.len();
            let mut data = Vec::with_capacity(now.len());
            let mut places = Vec::with_capacity(now.len());
            for (index, (sent, mut row)) in now.into_iter().enumerate() {
                self.refer(&references, &mut row);
                data.push(Value::Object(row));
                if let Some(sent) = &sent {
                    places.push((sent.clone(), (step, index)));
                }
                told.new.push(((step, index), sent));
            }
            self.places.extend(places.into_iter().map(|(sent, place)| ((id, sent), place)));
            self.push(StepAction::Create, &told.name, Value::Array(data));
        }
        if !changed.is_empty() {
            changed.iter_mut().for_each(|row| self.refer(&references, row));
            let data = changed.into_iter().map(Value::Object).collect();
            self.push(StepAction::Update, &told.name, Value::Array(data));
        }
        self.told.push(told);
        Ok(())
    }

    fn remove(&mut self, name: &str, keys: Vec<Value>) {
        if keys.is_empty() {
            return;
        }
        self.steps.push(Step {
            action: StepAction::Delete,
            collection: name.to_owned(),
            keys: Some(Value::Array(keys.clone())),
            ..Step::default()
        });
        if let Some(told) = self.told.iter_mut().find(|told| told.name == name) {
            told.deleted = keys;
        }
    }

    fn push(&mut self, action: StepAction, collection: &str, data: Value) {
        self.steps.push(Step {
            action,
            collection: collection.to_owned(),
            name: Some(format!("step{}", self.steps.len())),
            data: Some(data),
            ..Step::default()
        });
    }

    /// Puts the keys that items will have in the place of those that they were sent with.
    fn refer(&self, references: &[(String, CollectionId)], row: &mut ItemPayload) {
        for (field, related) in references {
            let Some(value) = row.get_mut(field).filter(|value| !value.is_null()) else { continue };
            if let Some((step, index)) = self.places.get(&(*related, as_text(value))) {
                let related = self.ctx.schema.collection(*related);
                let key = related.key().map(|key| &*related.field(key).name).unwrap_or_default();
                *value = json!({ "$ref": format!("step{step}.{index}.{key}") });
            }
        }
    }
}

impl Told {
    fn finish(self, answer: &Value) -> Value {
        let (mut new, mut mapped) = (Vec::new(), Map::new());
        for ((step, index), sent) in self.new {
            let key = answer[step][index][&self.key].clone();
            if let Some(sent) = sent.filter(|sent| *sent != as_text(&key)) {
                mapped.insert(sent, key.clone());
            }
            new.push(key);
        }
        json!({ "existing": self.existing, "new": new, "deleted": self.deleted, "mapped": mapped })
    }
}
