//! Demonstration data: a folder of `<collection>.json`, each a list of items, into a database that has none of them.
//!
//! Start at `ItemsService::load_folder`. Items pass the same checks as everybody's. References may form circles: collections
//! are loaded in the order of what they refer to, and a reference that cannot be kept waiting is set afterwards.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use futures::FutureExt as _;

use super::nested::ItemPayload;
use super::plan::{ItemWrite, Target};
use super::run::{Run, key_field};
use super::service::ItemsService;
use super::write::{Operation, Prepared};
use crate::access::Context;
use crate::db::lock::{Lease, hold_in};
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::schema::{CollectionId, FieldId, FieldKind, Schema};
use crate::sql::write as statements;
use crate::sql::{Dialect, Statement};

/// Items of one collection, and the references that are set once everything is there.
struct Load {
    prepared: Prepared,
    later: Vec<ItemWrite>,
}

impl ItemsService {
    /// Loads a folder in one transaction and gives the number of items; `None`, and nothing is done, when one of the
    /// collections holds items already. Of several nodes that start at once, one loads and the others wait for it.
    ///
    /// Fails with `InvalidPayload` for a file that is no list of objects or names no collection.
    pub async fn load_folder(&self, ctx: &Context, folder: &Path) -> Result<Option<usize>> {
        let mut files = read_folder(ctx, folder).await?;
        let first_keys = self.first_keys(ctx, files.keys().copied())?;
        for statement in &first_keys {
            if !self.database.rows(statement).await?.is_empty() {
                return Ok(None);
            }
        }
        let order = in_order(&ctx.schema, &files)?;
        let mut loads = Vec::with_capacity(order.len());
        let mut count = 0;
        for id in order {
            let payloads = files.remove(&id).unwrap_or_default();
            count += payloads.len();
            let waiting: HashSet<CollectionId> = files.keys().copied().chain([id]).collect();
            loads.push(self.prepare_load(ctx, id, payloads, &waiting).await?);
        }
        let lease = match self.database.dialect() {
            Dialect::Mysql => Some(Lease::acquire(&self.database).await?),
            Dialect::Sqlite | Dialect::Postgres => None,
        };
        let loaded = self.load_if_empty(ctx, first_keys, loads).await;
        if let Some(lease) = lease {
            lease.release().await?;
        }
        Ok(loaded?.then_some(count))
    }

    /// Writes everything, unless another node was faster.
    async fn load_if_empty(
        &self,
        ctx: &Context,
        first_keys: Vec<Statement>,
        loads: Vec<Load>,
    ) -> Result<bool> {
        let with = self.run_context(ctx);
        let committed = self
            .database
            .transaction(move |tx| {
                async move {
                    hold_in(tx).await?;
                    for statement in &first_keys {
                        if !tx.rows(statement).await?.is_empty() {
                            return Ok((false, Vec::new()));
                        }
                    }
                    let mut run = Run::new(tx, with);
                    let mut later = Vec::new();
                    for load in loads {
                        load.prepared.run(&mut run).await?;
                        later.extend(load.later);
                    }
                    for item in later {
                        run.set_columns(&item).await?;
                    }
                    Ok((true, run.finish().await?))
                }
                .boxed()
            })
            .await?;
        let (events, is_loaded) = committed.split();
        self.events.dispatch(events).await;
        Ok(is_loaded)
    }

    /// Asks for an item of each of these collections.
    fn first_keys(
        &self,
        ctx: &Context,
        collections: impl Iterator<Item = CollectionId>,
    ) -> Result<Vec<Statement>> {
        collections
            .map(|id| ctx.schema.collection(id))
            // Users and roles are there before any data is.
            .filter(|collection| !collection.is_system())
            .map(|collection| {
                let key = key_field(collection)?;
                Ok(statements::select_first_key(self.database.dialect(), collection, key))
            })
            .collect()
    }

    /// Checks items; references to collections that are still `waiting` (its own included) are taken out, to be set later.
    async fn prepare_load(
        &self,
        ctx: &Context,
        id: CollectionId,
        payloads: Vec<ItemPayload>,
        waiting: &HashSet<CollectionId>,
    ) -> Result<Load> {
        let collection = ctx.schema.collection(id);
        let key = key_field(collection)?;
        let operation = Operation::CreateMany(payloads);
        let mut prepared = self
            .prepare(ctx, &collection.name, operation, true)
            .await
            .map_err(|error| Error::payload(format_args!("{}.json: {}", collection.name, told(&error))))?;
        let delayed: Vec<FieldId> = collection
            .fields()
            .filter(|(_, field)| match &field.kind {
                FieldKind::ManyToOne { related, .. } => {
                    waiting.contains(related) && field.column.as_ref().is_some_and(|column| column.nullable)
                }
                _ => false,
            })
            .map(|(field, _)| field)
            .collect();
        let mut later = Vec::new();
        for item in prepared.created() {
            let references: Vec<(FieldId, Scalar)> = delayed
                .iter()
                .filter_map(|field| {
                    Some((*field, item.value(*field).filter(|value| **value != Scalar::Null)?.clone()))
                })
                .collect();
            let Some(key) = item.value(key).cloned().filter(|_| !references.is_empty()) else { continue };
            for (field, _) in &references {
                item.set(*field, Scalar::Null);
            }
            later.push(ItemWrite {
                collection: id,
                key: Some(key),
                target: Target::Update,
                values: references,
                sent: Vec::new(),
                named: Vec::new(),
                upserted: None,
                given: Vec::new(),
                to_one: Vec::new(),
                to_many: Vec::new(),
                parent: None,
            });
        }
        Ok(Load { prepared, later })
    }
}

/// The findings in one line.
fn told(error: &Error) -> String {
    match error {
        Error::Several(all) => all.iter().map(Error::to_string).collect::<Vec<_>>().join("; "),
        one => one.to_string(),
    }
}

async fn read_folder(ctx: &Context, folder: &Path) -> Result<HashMap<CollectionId, Vec<ItemPayload>>> {
    let unreadable = |path: &Path, error: std::io::Error| {
        Error::payload(format_args!("{} cannot be read: {error}", path.display()))
    };
    let mut files = HashMap::new();
    let mut entries = tokio::fs::read_dir(folder).await.map_err(|error| unreadable(folder, error))?;
    while let Some(entry) = entries.next_entry().await.map_err(|error| unreadable(folder, error))? {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let id = ctx
            .schema
            .find(&name)
            .ok_or_else(|| Error::payload(format_args!("{name}.json: there is no collection \"{name}\"")))?;
        let text = tokio::fs::read(&path).await.map_err(|error| unreadable(&path, error))?;
        let items: Vec<ItemPayload> = serde_json::from_slice(&text)
            .map_err(|error| Error::payload(format_args!("{name}.json is no list of objects: {error}")))?;
        files.insert(id, items);
    }
    Ok(files)
}

/// The collections, each behind those that it must refer to, and as far as possible behind all that it refers to.
///
/// Fails with `InvalidPayload` where required references form a circle.
fn in_order(schema: &Schema, files: &HashMap<CollectionId, Vec<ItemPayload>>) -> Result<Vec<CollectionId>> {
    let mut waiting: Vec<CollectionId> = files.keys().copied().collect();
    waiting.sort();
    let mut order = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let refers = |id: &CollectionId, only_required: bool| {
            schema.collection(*id).fields().any(|(_, field)| match &field.kind {
                FieldKind::ManyToOne { related, .. } => {
                    let is_required = field.column.as_ref().is_some_and(|column| !column.nullable);
                    related != id && waiting.contains(related) && (is_required || !only_required)
                }
                _ => false,
            })
        };
        let next = waiting
            .iter()
            .position(|id| !refers(id, false))
            .or_else(|| waiting.iter().position(|id| !refers(id, true)))
            .ok_or_else(|| {
                let names: Vec<&str> = waiting.iter().map(|id| &*schema.collection(*id).name).collect();
                Error::payload(format_args!("Required references form a circle: {}", names.join(", ")))
            })?;
        order.push(waiting.remove(next));
    }
    Ok(order)
}
