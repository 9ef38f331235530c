//! From files to a model that is served and a database that fits it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::files::Fingerprint;
use super::registry::{self, Registry};
use super::{Report, SchemaStore, Status, adopt, files};
use crate::db::introspect::{introspect, introspect_in};
use crate::db::lock::{Lease, hold_in};
use crate::db::migrations::migrate;
use crate::db::{Committed, Database, Transaction, steps};
use crate::error::{Error, Result};
use crate::schema::diff::desired_table;
use crate::schema::{DatabaseStructure, Diff, DiffOptions, Loaded, Origin, Schema, diff, load};
use crate::sql::Dialect;
use crate::sql::ddl::types::is_stored_alike;
use crate::yaml::Diagnostic;

/// A project: its folder of collections and its database.
pub struct Project {
    pub(super) database: Database,
    pub(super) folder: PathBuf,
    built_in: Arc<Schema>,
    store: Arc<SchemaStore>,
    /// One change at a time in this process; between processes the database decides.
    changing: Mutex<()>,
    /// Fingerprint of the files as they were read last.
    read_last: std::sync::Mutex<Option<Fingerprint>>,
}

/// What a person allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ApplyOptions {
    /// Run steps that lose data.
    pub allow_destructive: bool,
    /// Drop tables and columns that no file declares.
    pub prune: bool,
    /// Leave out steps that would lose data, where the model can be served without them.
    pub skip_refused: bool,
}

/// What became of an attempt to change the database.
pub(super) struct Outcome {
    pub report: Report,
    /// Why nothing was changed; empty when it was.
    pub refusals: Vec<String>,
    /// The database as it is now.
    pub structure: DatabaseStructure,
}

impl Project {
    /// Makes the system tables and begins with the model of the system alone.
    pub async fn open(database: Database, folder: &Path) -> Result<Self> {
        migrate(&database).await?;
        let built_in = Arc::new(built_in()?);
        let store = Arc::new(SchemaStore::new(built_in_copy(&built_in)));
        // Events about files name whole paths.
        let folder = std::path::absolute(folder).map_err(Error::internal)?;
        Ok(Project {
            database,
            folder,
            built_in,
            store,
            changing: Mutex::default(),
            read_last: std::sync::Mutex::default(),
        })
    }

    /// Where the current model is found, per request.
    pub fn store(&self) -> Arc<SchemaStore> {
        self.store.clone()
    }

    /// The folder of collections.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads the files, brings the database in line and serves the model.
    ///
    /// Fails with `UnprocessableContent` when the files are broken or a step would lose data and the model cannot be served without
    /// it; the message says which.
    pub async fn start(&self) -> Result<()> {
        let _changing = self.changing.lock().await;
        let (loaded, diagnostics) = self.load().await?;
        let Some(loaded) = loaded else {
            return Err(broken(&diagnostics));
        };
        let options = ApplyOptions { skip_refused: true, ..ApplyOptions::default() };
        let outcome = self.change(Arc::new(loaded.schema), options).await?;
        let (schema, outcome) = outcome;
        if !outcome.refusals.is_empty() {
            return Err(refused(&outcome.refusals));
        }
        self.publish(&schema, &outcome, &diagnostics).await
    }

    /// Reads the files again and takes over what can be taken over. What cannot leaves the model that is served as it is and is
    /// reported in the status.
    ///
    /// Fails only when the files or the database cannot be reached.
    pub async fn reload(&self) -> Result<()> {
        let _changing = self.changing.lock().await;
        let (loaded, diagnostics) = self.load().await?;
        let Some(loaded) = loaded else {
            for diagnostic in diagnostics.iter().filter(|diagnostic| diagnostic.is_error()) {
                tracing::error!(finding = %diagnostic, "the collections cannot be used, the last good model is served on");
            }
            let status = Status { diagnostics: texts(&diagnostics), is_behind: true, ..Status::default() };
            self.store.report(status);
            return Ok(());
        };
        match self.change(Arc::new(loaded.schema), ApplyOptions::default()).await {
            Ok((schema, outcome)) if outcome.refusals.is_empty() => {
                self.publish(&schema, &outcome, &diagnostics).await?;
                tracing::info!(version = self.store.schema().version, "the model was reloaded");
                Ok(())
            }
            Ok((_, outcome)) => {
                for refusal in &outcome.refusals {
                    tracing::error!(
                        refusal,
                        "the collections were not applied, the last good model is served on"
                    );
                }
                self.store.report(Status {
                    diagnostics: texts(&diagnostics),
                    is_behind: true,
                    pending: outcome.refusals.clone(),
                    drift: outcome.report.drift(),
                    ..Status::default()
                });
                Ok(())
            }
            Err(error) => {
                let pending = vec![format!("the database could not be changed: {error}")];
                let diagnostics = texts(&diagnostics);
                self.store.report(Status { diagnostics, is_behind: true, pending, ..Status::default() });
                Err(error)
            }
        }
    }

    /// What `apply` would do.
    pub async fn plan(&self, prune: bool) -> Result<Report> {
        self.check_prune(prune)?;
        let (schema, diagnostics) = self.load().await?;
        let schema = schema.ok_or_else(|| broken(&diagnostics))?.schema;
        let structure = introspect(&self.database).await?;
        let diff = compare(&schema, &structure, &self.built_in, self.database.dialect(), prune);
        let counted = steps::count(&self.database, diff.steps.clone(), &structure).await?;
        Ok(Report::new(diff, counted))
    }

    /// Brings the database in line with the files.
    ///
    /// Fails with `UnprocessableContent`, and changes nothing, when the files are broken or a step is not allowed.
    pub async fn apply(&self, options: ApplyOptions) -> Result<Report> {
        self.check_prune(options.prune)?;
        let _changing = self.changing.lock().await;
        let (loaded, diagnostics) = self.load().await?;
        let schema = loaded.ok_or_else(|| broken(&diagnostics))?.schema;
        let (schema, outcome) = self.change(Arc::new(schema), options).await?;
        if !outcome.refusals.is_empty() {
            return Err(refused(&outcome.refusals));
        }
        self.publish(&schema, &outcome, &diagnostics).await?;
        Ok(outcome.report)
    }

    /// A folder that is not there declares nothing, which is how one starts with a database that is there; but when the rest is to
    /// be dropped it is more likely a mistyped path.
    fn check_prune(&self, prune: bool) -> Result<()> {
        if prune && !self.folder.is_dir() {
            let reason = format!("there is no folder {}: everything would be dropped", self.folder.display());
            return Err(Error::UnprocessableContent { reason });
        }
        Ok(())
    }

    /// The model of the files and where its parts stand, with all findings.
    pub(super) async fn load(&self) -> Result<(Option<Loaded>, Vec<Diagnostic>)> {
        let folder = self.folder.clone();
        let version = self.store.next_version();
        let work = move || {
            let files = files::read(&folder)?;
            Ok::<_, std::io::Error>((files::fingerprint(&files), load(&files, version)))
        };
        let read = tokio::task::spawn_blocking(work).await.map_err(Error::internal)?;
        let (fingerprint, loaded) = read.map_err(|error| {
            Error::internal(anyhow::Error::from(error).context("the collections cannot be read"))
        })?;
        *self.last() = Some(fingerprint);
        Ok(loaded)
    }

    /// The files are not what they were when they were read last.
    pub(super) async fn has_new_files(&self) -> Result<bool> {
        let folder = self.folder.clone();
        let work = move || files::read(&folder).map(|files| files::fingerprint(&files));
        let now =
            tokio::task::spawn_blocking(work).await.map_err(Error::internal)?.map_err(Error::internal)?;
        Ok(self.last().as_ref() != Some(&now))
    }

    /// Makes the next look at the files find them new.
    pub(super) fn forget_files(&self) {
        *self.last() = None;
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<Fingerprint>> {
        // Nothing panics while it is held, and an old fingerprint would do no harm.
        self.read_last.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn built_in(&self) -> &Schema {
        &self.built_in
    }

    async fn publish(&self, schema: &Schema, outcome: &Outcome, diagnostics: &[Diagnostic]) -> Result<()> {
        let served = adopt::served(&self.database, schema, &outcome.structure).await?;
        let skipped = outcome.report.refusals(false);
        self.store.publish(
            served,
            Status {
                diagnostics: texts(diagnostics),
                drift: outcome.report.drift(),
                pending: skipped,
                ..Status::default()
            },
        );
        Ok(())
    }

    async fn change(&self, schema: Arc<Schema>, options: ApplyOptions) -> Result<(Arc<Schema>, Outcome)> {
        let model = Model::of(&schema, &self.built_in);
        let change = Change { schema: schema.clone(), built_in: self.built_in.clone(), model, options };
        let outcome = match self.database.dialect() {
            Dialect::Mysql => change.run_step_by_step(&self.database).await?,
            Dialect::Sqlite | Dialect::Postgres => change.run_in_transaction(&self.database).await?,
        };
        if outcome.refusals.is_empty() {
            let applied = outcome.report.steps.iter().filter(|planned| planned.loss.is_none());
            let mut steps = 0;
            for planned in applied {
                tracing::debug!(step = %planned.step, "schema step applied");
                steps += 1;
            }
            if steps > 0 {
                tracing::info!(steps, "the database was brought in line with the collections");
            }
        }
        Ok((schema, outcome))
    }
}

/// The model as it is remembered in the database.
struct Model {
    registry: Registry,
    json: Value,
    hash: String,
}

impl Model {
    fn of(schema: &Schema, built_in: &Schema) -> Self {
        let registry = Registry::of(schema, built_in);
        let declared = schema.collections().filter(|(_, collection)| collection.origin != Origin::Database);
        let tables: Vec<Value> =
            declared.map(|(_, collection)| json!(desired_table(schema, collection))).collect();
        let mut json = registry.to_json();
        if let Value::Object(map) = &mut json {
            map.insert("tables".to_owned(), Value::Array(tables));
        }
        let digest = Sha256::digest(json.to_string().as_bytes());
        let hash = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Model { registry, json, hash }
    }
}

struct Change {
    schema: Arc<Schema>,
    built_in: Arc<Schema>,
    model: Model,
    options: ApplyOptions,
}

impl Change {
    fn compare(&self, structure: &DatabaseStructure, dialect: Dialect) -> Diff {
        compare(&self.schema, structure, &self.built_in, dialect, self.options.prune)
    }

    /// The steps that may run, or why none may.
    fn judge(&self, report: &Report) -> (Report, Vec<String>) {
        let refusals = report.refusals(self.options.allow_destructive);
        match report.without_refused() {
            Some(allowed) if self.options.skip_refused && !refusals.is_empty() => (allowed, Vec::new()),
            _ => (report.clone(), refusals),
        }
    }

    /// The database as it is, when neither it nor the model has changed since the last time.
    async fn unchanged(&self, database: &Database) -> Result<Option<Outcome>> {
        let applied = steps::applied_model(database).await?;
        if applied.is_none_or(|(_, hash)| hash != self.model.hash) {
            return Ok(None);
        }
        let structure = introspect(database).await?;
        let diff = self.compare(&structure, database.dialect());
        let is_same = diff.steps.is_empty() && diff.problems.is_empty();
        let report = Report::new(diff, Vec::new());
        Ok(is_same.then_some(Outcome { report, refusals: Vec::new(), structure }))
    }

    /// SQLite and PostgreSQL: all of it, or nothing.
    async fn run_in_transaction(self, database: &Database) -> Result<Outcome> {
        if let Some(outcome) = self.unchanged(database).await? {
            return Ok(outcome);
        }
        let before = steps::applied_model(database).await?.map(|(model, _)| model);
        let result = database
            .schema_transaction(|transaction| {
                Box::pin(async move {
                    hold_in(transaction).await?;
                    let structure = introspect_in(transaction).await?;
                    let diff = self.compare(&structure, transaction.dialect());
                    let counted = steps::count_in(transaction, diff.steps.clone(), &structure).await?;
                    let report = Report::new(diff, counted);
                    let (allowed, refusals) = self.judge(&report);
                    if !refusals.is_empty() {
                        return Ok(Outcome { report, refusals, structure });
                    }
                    let run = allowed.bare_steps();
                    steps::run_in(transaction, &run, &structure, self.options.allow_destructive).await?;
                    let structure =
                        if run.is_empty() { structure } else { introspect_in(transaction).await? };
                    self.finish(transaction, before.as_ref(), &structure).await?;
                    Ok(Outcome { report, refusals, structure })
                })
            })
            .await;
        result.map(Committed::into_inner)
    }

    /// MariaDB: under a lease, each step for itself, resumed when it is cut off.
    async fn run_step_by_step(self, database: &Database) -> Result<Outcome> {
        if !steps::is_unfinished(database).await?
            && let Some(outcome) = self.unchanged(database).await?
        {
            return Ok(outcome);
        }
        let lease = Lease::acquire(database).await?;
        let outcome = self.run_with_lease(database, &lease).await;
        let released = lease.release().await;
        outcome.and_then(|outcome| released.map(|()| outcome))
    }

    async fn run_with_lease(self, database: &Database, lease: &Lease) -> Result<Outcome> {
        steps::resume(database).await?;
        let structure = introspect(database).await?;
        let diff = self.compare(&structure, database.dialect());
        let counted = steps::count(database, diff.steps.clone(), &structure).await?;
        let report = Report::new(diff, counted);
        let (allowed, refusals) = self.judge(&report);
        if !refusals.is_empty() {
            return Ok(Outcome { report, refusals, structure });
        }
        let run = allowed.bare_steps();
        let is_changed = !run.is_empty();
        steps::run_recorded(database, lease, run, self.options.allow_destructive).await?;
        let structure = if is_changed { introspect(database).await? } else { structure };
        let before = steps::applied_model(database).await?.map(|(model, _)| model);
        let now = structure.clone();
        let result = database
            .transaction(|transaction| {
                Box::pin(async move { self.finish(transaction, before.as_ref(), &now).await })
            })
            .await;
        result.map(|_| Outcome { report, refusals, structure })
    }

    /// Writes down what the database now looks like to others.
    async fn finish(
        self,
        transaction: &mut Transaction,
        before: Option<&Value>,
        structure: &DatabaseStructure,
    ) -> Result<()> {
        let Model { registry, json, hash } = self.model;
        registry::sync(transaction, registry, before, structure).await?;
        steps::remember_model(transaction, &json, &hash).await
    }
}

/// The model of the system alone.
pub(super) fn built_in() -> Result<Schema> {
    let (loaded, diagnostics) = load(&[], 0);
    loaded.map(|loaded| loaded.schema).ok_or_else(|| broken(&diagnostics))
}

fn built_in_copy(schema: &Schema) -> Schema {
    let collections = schema.collections().map(|(_, collection)| collection.clone()).collect();
    Schema::new(schema.version, collections)
}

pub(super) fn compare(
    schema: &Schema,
    structure: &DatabaseStructure,
    built_in: &Schema,
    dialect: Dialect,
    prune: bool,
) -> Diff {
    let is_alike = |actual: &_, wanted: &_| is_stored_alike(dialect, actual, wanted);
    diff(schema, structure, DiffOptions { built_in, is_stored_alike: &is_alike, prune })
}

pub(super) fn broken(diagnostics: &[Diagnostic]) -> Error {
    let errors: Vec<String> = diagnostics.iter().filter(|d| d.is_error()).map(ToString::to_string).collect();
    Error::UnprocessableContent { reason: format!("The collections cannot be used:\n{}", errors.join("\n")) }
}

fn refused(refusals: &[String]) -> Error {
    Error::UnprocessableContent { reason: format!("The database was not changed:\n{}", refusals.join("\n")) }
}

fn texts(diagnostics: &[Diagnostic]) -> Vec<String> {
    diagnostics.iter().map(ToString::to_string).collect()
}
