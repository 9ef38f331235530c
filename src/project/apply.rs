//! From files to a model that is served and a database that fits it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Mutex;

use super::System;
use super::access::{self, Access, AccessPlan, Source};
use super::adopt::Catalogue;
use super::change::{Change, Model, compare, made_before};
use super::files::Fingerprint;
use super::registry::Registry;
use super::remodel::{Home, Written};
use super::{Report, SchemaStore, Status, adopt, files};
use crate::config::Secrets;
use crate::db::introspect::introspect;
use crate::db::migrations::migrate;
use crate::db::{Database, steps};
use crate::error::{Error, Result};
use crate::schema::findings::Findings;
use crate::schema::{DatabaseStructure, Schema, SourceMap, load};
use crate::sql::Dialect;
use crate::yaml::{Diagnostic, Node};

/// A project: its folder of collections and its database.
pub struct Project {
    pub(super) database: Database,
    pub(super) folder: PathBuf,
    built_in: Arc<Schema>,
    store: Arc<SchemaStore>,
    secrets: Secrets,
    writes_back: bool,
    /// One change at a time in this process; between processes the database decides.
    pub(super) changing: Mutex<()>,
    /// Who may do what, as files said when they were applied last.
    applied: std::sync::Mutex<Option<Access>>,
    /// Fingerprint of the files as they were read last.
    read_last: std::sync::Mutex<Option<Fingerprint>>,
    /// The model that the files made last, and the mark of the last change of the database that this process knows of.
    current: std::sync::Mutex<Current>,
}

struct Current {
    declared: Arc<Schema>,
    /// What the files themselves say, where that is less.
    filed: Arc<Schema>,
    /// The files as they would be, where they cannot be written.
    overlay: Option<files::Files>,
    hash: Option<String>,
}

/// What the files say.
pub(super) struct ProjectFiles {
    pub schema: Schema,
    pub access: Access,
    /// Where collections and fields are declared.
    pub sources: SourceMap,
    /// What stands behind `tests:`; that of `_access.yaml` first.
    pub tests: Vec<Node>,
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
            current: std::sync::Mutex::new(Current {
                declared: built_in.clone(),
                filed: built_in.clone(),
                overlay: None,
                hash: None,
            }),
            built_in,
            store,
            secrets: Secrets::default(),
            writes_back: false,
            changing: Mutex::default(),
            applied: std::sync::Mutex::default(),
            read_last: std::sync::Mutex::default(),
        })
    }

    /// Looks for the tokens of service accounts here.
    pub fn with_secrets(self, secrets: Secrets) -> Self {
        Project { secrets, ..self }
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
        let (schema, outcome) = self.change(loaded, options).await?;
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
        match self.change(loaded, ApplyOptions::default()).await {
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
        let (loaded, diagnostics) = self.load().await?;
        let ProjectFiles { schema, access, .. } = loaded.ok_or_else(|| broken(&diagnostics))?;
        let structure = introspect(&self.database).await?;
        let diff = compare(&schema, &structure, &self.built_in, self.database.dialect(), prune);
        let counted = steps::count(&self.database, diff.steps.clone(), &structure).await?;
        let before = steps::applied_model(&self.database).await?.map(|(model, _)| model);
        let mut source = Source::Database(&self.database);
        let access = AccessPlan::make(&mut source, &access, made_before(before.as_ref()), prune).await?;
        Ok(Report::new(diff, counted, access))
    }

    /// Brings the database in line with the files.
    ///
    /// Fails with `UnprocessableContent`, and changes nothing, when the files are broken or a step is not allowed.
    pub async fn apply(&self, options: ApplyOptions) -> Result<Report> {
        self.check_prune(options.prune)?;
        let _changing = self.changing.lock().await;
        let (loaded, diagnostics) = self.load().await?;
        let loaded = loaded.ok_or_else(|| broken(&diagnostics))?;
        let (schema, outcome) = self.change(loaded, options).await?;
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

    /// The model as it would be served: that of the files, with the tables that only the database knows. Nothing is changed.
    pub async fn model(&self) -> Result<Arc<Schema>> {
        let (loaded, diagnostics) = self.load().await?;
        let ProjectFiles { schema, .. } = loaded.ok_or_else(|| broken(&diagnostics))?;
        let Catalogue { structure, registry } = Catalogue::read(&self.database).await?;
        Ok(Arc::new(adopt::merge(&schema, &structure, &registry, schema.version)))
    }

    /// The model of the files and where its parts stand, with all findings.
    pub(super) async fn load(&self) -> Result<(Option<ProjectFiles>, Vec<Diagnostic>)> {
        let folder = self.folder.clone();
        let version = self.store.next_version();
        let secrets = self.secrets.clone();
        let work = move || {
            let files = files::read(&folder)?;
            Ok::<_, std::io::Error>((files.fingerprint(), understand(&files, version, &secrets)))
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
        let work = move || files::read(&folder).map(|files| files.fingerprint());
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

    pub(super) fn applied(&self) -> std::sync::MutexGuard<'_, Option<Access>> {
        // A clone of it is taken or put, nothing else happens while it is held.
        self.applied.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn built_in(&self) -> &Schema {
        &self.built_in
    }

    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        self.database.dialect()
    }

    /// What every database has.
    pub fn system(&self) -> System {
        System::new(&self.built_in)
    }

    pub(super) fn built_in_shared(&self) -> Arc<Schema> {
        self.built_in.clone()
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Current> {
        // Values are taken or put, nothing else happens while it is held.
        self.current.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The model of the files as it was applied last.
    pub(super) fn declared(&self) -> Arc<Schema> {
        self.current().declared.clone()
    }

    /// Serves what the files would say from now on.
    pub(super) fn take_over(&self, written: Written) {
        let Written { files, loaded, is_in_files, .. } = written;
        let schema = Arc::new(loaded.schema);
        let mut current = self.current();
        current.declared = schema.clone();
        if is_in_files {
            current.filed = schema;
            current.overlay = None;
            // Whoever watches need not look at what was written here.
            *self.last() = Some(files.fingerprint());
            *self.applied() = Some(loaded.access);
        } else {
            current.overlay = Some(files);
        }
    }

    /// What a change over the API needs to know of the files.
    pub(super) fn home(&self) -> Home {
        let current = self.current();
        Home {
            folder: self.folder.clone(),
            secrets: self.secrets.clone(),
            is_writable: self.writes_back && self.folder.is_dir(),
            overlay: current.overlay.clone(),
            applied: self.applied().clone(),
            known: current.hash.clone(),
        }
    }

    /// Writes what is changed over the API into the files.
    pub fn with_write_back(self, writes_back: bool) -> Self {
        Project { writes_back, ..self }
    }

    /// The mark of the last change that this process knows of.
    pub(super) fn known(&self) -> Option<String> {
        self.current().hash.clone()
    }

    pub(super) fn know(&self, hash: String) {
        self.current().hash = Some(hash);
    }

    /// Where the database differs from the files, one sentence each.
    pub(super) fn drift(&self, structure: &DatabaseStructure) -> Vec<String> {
        let filed = self.current().filed.clone();
        let diff = compare(&filed, structure, &self.built_in, self.database.dialect(), false);
        let steps = diff.steps.iter().map(|step| format!("the files differ: {step}")).collect::<Vec<_>>();
        let unknown = Report::new(diff, Vec::new(), AccessPlan::default()).drift();
        steps.into_iter().chain(unknown).collect()
    }

    async fn publish(
        &self,
        schema: &Arc<Schema>,
        outcome: &Outcome,
        diagnostics: &[Diagnostic],
    ) -> Result<()> {
        let registry = Registry::read(&self.database).await?;
        let catalogue = Catalogue { structure: outcome.structure.clone(), registry };
        let served = adopt::merge(schema, &catalogue.structure, &catalogue.registry, schema.version);
        let mut current = self.current();
        current.declared = schema.clone();
        current.filed = schema.clone();
        current.overlay = None;
        drop(current);
        let skipped = outcome.report.refusals(false);
        self.store.publish(
            served,
            catalogue,
            Status {
                diagnostics: texts(diagnostics),
                drift: outcome.report.drift(),
                pending: skipped,
                ..Status::default()
            },
        );
        Ok(())
    }

    async fn change(&self, files: ProjectFiles, options: ApplyOptions) -> Result<(Arc<Schema>, Outcome)> {
        let mut files = files;
        for _ in 0..MOST_LOOKS {
            let (schema, outcome) = self.change_once(files, options).await?;
            if let Some(outcome) = outcome {
                return Ok((schema, outcome));
            }
            // Another node has written into them while this one waited for its turn.
            let (loaded, diagnostics) = self.load().await?;
            files = loaded.ok_or_else(|| broken(&diagnostics))?;
        }
        Err(Error::Conflict { reason: "The collections are being changed all the time.".to_owned() })
    }

    async fn change_once(
        &self,
        files: ProjectFiles,
        options: ApplyOptions,
    ) -> Result<(Arc<Schema>, Option<Outcome>)> {
        let ProjectFiles { schema, access, .. } = files;
        let schema = Arc::new(schema);
        let model = Model::of(&schema, &access, &self.built_in);
        let access_here = access.clone();
        let built_in = self.built_in.clone();
        let served = self.store.schema();
        let source = self.last().clone().map(|read| (self.folder.clone(), read));
        let change = Change { schema: schema.clone(), served, access, built_in, model, options, source };
        let outcome = match self.database.dialect() {
            Dialect::Mysql => change.run_step_by_step(&self.database).await?,
            Dialect::Sqlite | Dialect::Postgres => change.run_in_transaction(&self.database).await?,
        };
        let Some(outcome) = outcome else { return Ok((schema, None)) };
        if outcome.refusals.is_empty() {
            *self.applied() = Some(access_here);
            if let Some(hash) = steps::applied_hash(&self.database).await? {
                self.know(hash);
            }
            let applied = outcome.report.steps.iter().filter(|planned| planned.loss.is_none());
            let mut steps = 0;
            for planned in applied {
                tracing::debug!(step = %planned.step, "schema step applied");
                steps += 1;
            }
            if steps > 0 {
                tracing::info!(steps, "the database was brought in line with the collections");
            }
            let access = &outcome.report.access;
            access.iter().for_each(|step| tracing::debug!(%step, "access step applied"));
            if !access.is_empty() {
                tracing::info!(steps = access.len(), "roles, policies and permissions were brought in line");
                self.store.announce_access();
            }
        }
        Ok((schema, Some(outcome)))
    }
}

/// How often files are read again because they changed meanwhile.
const MOST_LOOKS: usize = 10;

/// All that files say, with all that is wrong in them.
pub(super) fn understand(
    files: &files::Files,
    version: u64,
    secrets: &Secrets,
) -> (Option<ProjectFiles>, Vec<Diagnostic>) {
    let (loaded, diagnostics) = load(&files.collections, version);
    let mut findings = Findings::default();
    let access = access::read(files.access.as_ref(), loaded.as_ref(), &mut findings);
    let is_good = findings.errors() == 0;
    findings.extend(diagnostics);
    let files = loaded.zip(access).filter(|_| is_good).map(|(loaded, (access, tests))| ProjectFiles {
        schema: loaded.schema,
        access: access.with_tokens(secrets),
        sources: loaded.sources,
        tests: tests.into_iter().chain(loaded.access.into_iter().filter_map(|part| part.tests)).collect(),
    });
    (files, findings.into_sorted())
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
