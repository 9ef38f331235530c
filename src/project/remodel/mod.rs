//! Changing the model over the API: collections, fields and relations, one request at a time.
//!
//! Start at [`Project::remodel`]. A request becomes [`Edit`]s; the [`mod@bench`] works out what they mean for tables and registry
//! rows, without touching either; then both change in one transaction where the database can.

mod activity;
mod bench;
mod column;
mod forget;
mod home;
mod meta;

use std::sync::Arc;

use serde_json::{Map, Value};

use super::access::Source;
use super::adopt::Catalogue;
use super::registry::Registry;
use super::{Project, adopt};
use crate::db::introspect::{introspect, introspect_in};
use crate::db::lock::{Lease, hold_in};
use crate::db::row_security;
use crate::db::{Committed, Database, Transaction, steps};
use crate::error::{Error, Result};
use crate::items::Journal;
use crate::schema::{DatabaseStructure, Schema, SchemaStep};
use crate::sql::Dialect;
use bench::{Bench, Work};
pub(super) use column::{shown_default, type_name};
pub(super) use forget::forget_fields;
use home::Undoing;
pub(super) use home::{Home, Written};

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
    /// Carries out edits, all or none of them, and serves the model they make. Activity says whose they are.
    ///
    /// Fails with `InvalidPayload` for what makes no sense or would lose data nobody asked to lose, with `Forbidden` for what
    /// belongs to the system.
    pub async fn remodel(&self, edits: Vec<Edit>, author: Journal) -> Result<Remodelled> {
        let _changing = self.changing.lock().await;
        let undo = Undoing::default();
        let request = Request {
            edits: Arc::new(edits),
            author,
            built_in: self.built_in_shared(),
            schema: self.store().schema(),
            home: Arc::new(self.home()),
            undo: undo.clone(),
        };
        let done = match self.database.dialect() {
            Dialect::Mysql => request.run_step_by_step(&self.database).await,
            Dialect::Sqlite | Dialect::Postgres => request.run_in_transaction(&self.database).await,
        };
        // Whether it was cut off before the end or at the commit: files and database go together.
        let done = done.inspect_err(|_| undo.run())?;
        let Done { structure, registry, work, hash, written } = done;
        self.know(hash);
        for step in &work.steps {
            tracing::info!(%step, "schema step applied over the API");
        }
        if let Some(written) = written {
            self.take_over(written);
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
    author: Journal,
    built_in: Arc<Schema>,
    /// The model before.
    schema: Arc<Schema>,
    home: Arc<Home>,
    undo: Undoing,
}

struct Done {
    structure: DatabaseStructure,
    registry: Registry,
    work: Outcome,
    hash: String,
    written: Option<Written>,
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
        bench.check_tenants(&self.schema)?;
        Ok(bench.finish())
    }

    /// SQLite and PostgreSQL: all of it, or nothing.
    async fn run_in_transaction(self, database: &Database) -> Result<Done> {
        let has_row_security = database.has_row_security();
        let result = database
            .schema_transaction(move |transaction| {
                Box::pin(async move {
                    hold_in(transaction).await?;
                    let structure = introspect_in(transaction).await?;
                    let mut registry = Registry::read_in(transaction).await?;
                    let work = self.plan(transaction.dialect(), &structure, &registry)?;
                    let counted = steps::count_in(transaction, work.steps.clone(), &structure).await?;
                    refuse(counted)?;
                    if work.steps.is_empty() {
                        let now = structure.clone();
                        return self.finish(transaction, work, &mut registry, (structure, now)).await;
                    }
                    // A rule of the database that names a column would keep it from being changed.
                    let schema = self.schema.clone();
                    row_security::lift(transaction).await?;
                    steps::run_in(transaction, &work.steps, &structure, true).await.map_err(of_caller)?;
                    let now = introspect_in(transaction).await?;
                    let done = self.finish(transaction, work, &mut registry, (structure, now)).await?;
                    let declared = done.written.as_ref().map_or(&*schema, |written| written.schema());
                    row_security::sync(transaction, declared, has_row_security).await?;
                    Ok(done)
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
        let now = if work.steps.is_empty() { structure.clone() } else { introspect(database).await? };
        let result = database
            .transaction(|transaction| {
                Box::pin(async move { self.finish(transaction, work, &mut registry, (structure, now)).await })
            })
            .await;
        result.map(Committed::into_inner)
    }

    async fn finish(
        self,
        transaction: &mut Transaction,
        work: Work,
        before: &mut Registry,
        (old, structure): (DatabaseStructure, DatabaseStructure),
    ) -> Result<Done> {
        let Work { steps, mut registry, removed } = work;
        registry.save(transaction, before).await?;
        let changed_access = forget::forget(transaction, &self.schema, &removed).await?;
        let mut hash = steps::mark_changed(transaction).await?;
        // Read again, for the ids of new rows.
        let registry = Registry::read_in(transaction).await?;
        activity::write(transaction, self.author, &self.edits, (before, &registry)).await?;
        let before = Catalogue { structure: old, registry: std::mem::take(before) };
        let after = Catalogue { structure, registry };
        let found = match changed_access {
            true => self.home.found(&mut Source::Transaction(transaction)).await?,
            false => None,
        };
        let dialect = transaction.dialect();
        let written = self.home.write(&self.built_in, dialect, (&before, &after), found.as_ref(), &self.undo);
        if let Some(remembered) = written.as_ref().and_then(Written::remembered)
            && Some(&remembered.1) != self.home.known.as_ref()
        {
            // The files say all of it, so what they said is remembered as applied.
            steps::remember_model(transaction, &remembered.0, &remembered.1).await?;
            hash = remembered.1;
        }
        let Catalogue { structure, registry } = after;
        Ok(Done { structure, registry, work: Outcome { steps, changed_access }, hash, written })
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
        status.drift = self.drift(&catalogue.structure);
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
        let after = Catalogue::read(&self.database).await?;
        let before = self.store().catalogue();
        // The files of this node may be others, or not yet be those that say it.
        let home = self.home();
        let dialect = self.database.dialect();
        if let Some(said) = home.say(&self.built_in_shared(), dialect, (&before, &after), None) {
            self.take_over(said);
        }
        self.serve(after);
        if let Some(now) = now {
            self.know(now);
        }
        Ok(true)
    }
}
