//! Changing the model over the API: collections, fields and relations, one request at a time.
//!
//! Start at [`Project::remodel`]. A request becomes [`Edit`]s; the [`bench`] works out what they mean for tables and registry
//! rows, without touching either; then both change in one transaction where the database can.

mod bench;
mod column;
mod forget;
mod meta;

use std::sync::Arc;

use serde_json::{Map, Value};

use super::adopt::Catalogue;
use super::registry::Registry;
use super::{Project, adopt};
use crate::db::introspect::{introspect, introspect_in};
use crate::db::lock::{Lease, hold_in};
use crate::db::{Committed, Database, Transaction, steps};
use crate::error::{Error, Result};
use crate::schema::{DatabaseStructure, Schema, SchemaStep};
use crate::sql::Dialect;
use bench::{Bench, Work};
pub(super) use column::{shown_default, type_name};
pub(super) use forget::forget_fields;

/// One wish, with its payload as it was sent.
#[derive(Debug, Clone)]
pub enum Edit {
    /// Makes a collection, with its table unless it is a folder.
    CreateCollection(Map<String, Value>),
    /// Changes what is known about a collection.
    UpdateCollection(String, Map<String, Value>),
    /// Removes a collection with its table and all that refers to it.
    DeleteCollection(String),
    /// Adds a field to a collection.
    CreateField(String, Map<String, Value>),
    /// Changes a field.
    UpdateField(String, String, Map<String, Value>),
    /// Removes a field with its column.
    DeleteField(String, String),
    /// Makes a field a reference.
    CreateRelation(Map<String, Value>),
    /// Changes a reference.
    UpdateRelation(String, String, Map<String, Value>),
    /// Makes a reference a plain field again.
    DeleteRelation(String, String),
}

/// What a change did.
#[derive(Debug, Clone, Default)]
pub struct Remodelled {
    /// Permissions changed with it.
    pub changed_access: bool,
}

impl Project {
    /// Carries out edits, all or none of them, and serves the model they make.
    ///
    /// Fails with `InvalidPayload` for what makes no sense or would lose data nobody asked to lose, with `Forbidden` for what
    /// belongs to the system.
    pub async fn remodel(&self, edits: Vec<Edit>) -> Result<Remodelled> {
        let _changing = self.changing.lock().await;
        let request = Request {
            edits: Arc::new(edits),
            built_in: self.built_in_shared(),
            schema: self.store().schema(),
        };
        let done = match self.database.dialect() {
            Dialect::Mysql => request.run_step_by_step(&self.database).await?,
            Dialect::Sqlite | Dialect::Postgres => request.run_in_transaction(&self.database).await?,
        };
        let Done { structure, registry, work, hash } = done;
        self.know(hash);
        for step in &work.steps {
            tracing::info!(%step, "schema step applied over the API");
        }
        self.serve(Catalogue { structure, registry });
        if work.changed_access {
            self.store().announce_access();
        }
        Ok(Remodelled { changed_access: work.changed_access })
    }
}

/// Edits with what they are judged by.
#[derive(Clone)]
struct Request {
    edits: Arc<Vec<Edit>>,
    built_in: Arc<Schema>,
    /// The model before.
    schema: Arc<Schema>,
}

struct Done {
    structure: DatabaseStructure,
    registry: Registry,
    work: Outcome,
    hash: String,
}

#[derive(Default)]
struct Outcome {
    steps: Vec<SchemaStep>,
    changed_access: bool,
}

impl Request {
    fn plan(&self, dialect: Dialect, structure: &DatabaseStructure, registry: &Registry) -> Result<Work> {
        let mut bench = Bench::new(&self.built_in, dialect, structure.clone(), registry.clone());
        for edit in self.edits.iter() {
            bench.edit(edit)?;
        }
        Ok(bench.finish())
    }

    /// SQLite and PostgreSQL: all of it, or nothing.
    async fn run_in_transaction(self, database: &Database) -> Result<Done> {
        let result = database
            .schema_transaction(|transaction| {
                Box::pin(async move {
                    hold_in(transaction).await?;
                    let structure = introspect_in(transaction).await?;
                    let mut registry = Registry::read_in(transaction).await?;
                    let work = self.plan(transaction.dialect(), &structure, &registry)?;
                    let counted = steps::count_in(transaction, work.steps.clone(), &structure).await?;
                    refuse(counted)?;
                    steps::run_in(transaction, &work.steps, &structure, true).await.map_err(of_caller)?;
                    let structure =
                        if work.steps.is_empty() { structure } else { introspect_in(transaction).await? };
                    self.finish(transaction, work, &mut registry, structure).await
                })
            })
            .await;
        result.map(Committed::into_inner)
    }

    /// MariaDB: under a lease, each step for itself, resumed when it is cut off.
    async fn run_step_by_step(self, database: &Database) -> Result<Done> {
        let lease = Lease::acquire(database).await?;
        let outcome = self.run_with_lease(database, &lease).await;
        let released = lease.release().await;
        outcome.and_then(|outcome| released.map(|()| outcome))
    }

    async fn run_with_lease(self, database: &Database, lease: &Lease) -> Result<Done> {
        steps::resume(database).await?;
        let structure = introspect(database).await?;
        let mut registry = Registry::read(database).await?;
        let work = self.plan(database.dialect(), &structure, &registry)?;
        let counted = steps::count(database, work.steps.clone(), &structure).await?;
        refuse(counted)?;
        steps::run_recorded(database, lease, work.steps.clone(), true).await.map_err(of_caller)?;
        let structure = if work.steps.is_empty() { structure } else { introspect(database).await? };
        let result = database
            .transaction(|transaction| {
                Box::pin(async move { self.finish(transaction, work, &mut registry, structure).await })
            })
            .await;
        result.map(Committed::into_inner)
    }

    async fn finish(
        self,
        transaction: &mut Transaction,
        work: Work,
        before: &mut Registry,
        structure: DatabaseStructure,
    ) -> Result<Done> {
        let Work { steps, mut registry, removed } = work;
        registry.save(transaction, before).await?;
        let changed_access = forget::forget(transaction, &self.schema, &removed).await?;
        let hash = steps::mark_changed(transaction).await?;
        // Read again, for the ids of new rows.
        let registry = Registry::read_in(transaction).await?;
        Ok(Done { structure, registry, work: Outcome { steps, changed_access }, hash })
    }
}

/// Whoever deletes wants to lose what is deleted. Nobody wants to lose values by changing a type.
fn refuse(counted: Vec<crate::schema::PlannedStep>) -> Result<()> {
    for planned in counted {
        let Some(loss) = planned.loss else { continue };
        let is_wanted = matches!(planned.step, SchemaStep::DropColumn { .. } | SchemaStep::DropTable { .. });
        if !is_wanted {
            return Err(Error::payload(loss.text));
        }
    }
    Ok(())
}

/// What the database refuses is refused to the caller.
fn of_caller(error: Error) -> Error {
    match error {
        Error::UnprocessableContent { reason } => Error::InvalidPayload { reason },
        other => other,
    }
}

impl Project {
    /// Puts the model that files and database make together in front of the next request.
    pub(super) fn serve(&self, catalogue: Catalogue) {
        let declared = self.declared();
        let served =
            adopt::merge(&declared, &catalogue.structure, &catalogue.registry, self.store().next_version());
        let mut status = self.store().status().as_ref().clone();
        status.drift = self.drift(&declared, &catalogue.structure);
        self.store().publish(served, catalogue, status);
    }

    /// Looks whether another node has changed the model, and takes it over. Gives whether it had.
    pub(super) async fn follow(&self) -> Result<bool> {
        let now = steps::applied_hash(&self.database).await?;
        if now == self.known() {
            return Ok(false);
        }
        let _changing = self.changing.lock().await;
        let now = steps::applied_hash(&self.database).await?;
        let structure = introspect(&self.database).await?;
        let registry = Registry::read(&self.database).await?;
        self.serve(Catalogue { structure, registry });
        if let Some(now) = now {
            self.know(now);
        }
        Ok(true)
    }
}
