//! One change of the database on its way: planned, judged, run and remembered, at once or step by step.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::access::{self, Access, AccessPlan, Source};
use super::apply::{ApplyOptions, Outcome};
use super::files::Fingerprint;
use super::registry::{self, Registry};
use super::remodel::forget_fields;
use super::{Report, files};
use crate::db::introspect::{introspect, introspect_in};
use crate::db::lock::{Lease, hold_in};
use crate::db::row_security;
use crate::db::{Committed, Database, Transaction, steps};
use crate::error::Result;
use crate::schema::diff::desired_table;
use crate::schema::{DatabaseStructure, Diff, DiffOptions, Origin, Schema, SchemaStep, diff};
use crate::sql::Dialect;
use crate::sql::ddl::types::is_stored_alike;

/// The model as it is remembered in the database.
pub(super) struct Model {
    registry: Registry,
    pub(super) json: Value,
    pub(super) hash: String,
}

impl Model {
    pub(super) fn of(schema: &Schema, access: &Access, built_in: &Schema) -> Self {
        let registry = Registry::of(schema, built_in);
        let declared = schema.collections().filter(|(_, collection)| collection.origin != Origin::Database);
        let tables: Vec<Value> =
            declared.map(|(_, collection)| json!(desired_table(schema, collection))).collect();
        let mut json = registry.to_json();
        if let Value::Object(map) = &mut json {
            map.insert("tables".to_owned(), Value::Array(tables));
            map.insert("access".to_owned(), access.to_json());
        }
        let digest = Sha256::digest(json.to_string().as_bytes());
        let hash = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Model { registry, json, hash }
    }
}

/// A change on its way: what the files say, and what the database is to be compared with.
pub(super) struct Change {
    pub(super) schema: Arc<Schema>,
    /// The model before.
    pub(super) served: Arc<Schema>,
    pub(super) access: Access,
    pub(super) built_in: Arc<Schema>,
    pub(super) model: Model,
    pub(super) options: ApplyOptions,
    /// The folder, and what was in it.
    pub(super) source: Option<(PathBuf, Fingerprint)>,
}

impl Change {
    /// The files are not what they were when they were read: somebody wrote into them while this waited for its turn.
    fn is_stale(&self) -> bool {
        let Some((folder, read)) = &self.source else { return false };
        files::read(folder).is_ok_and(|files| files.fingerprint() != *read)
    }

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

    async fn plan_access(&self, source: &mut Source<'_>, before: Option<&Value>) -> Result<AccessPlan> {
        AccessPlan::make(source, &self.access, made_before(before), self.options.prune).await
    }

    /// The database as it is, when neither it nor the model has changed since the last time.
    async fn unchanged(&self, database: &Database) -> Result<Option<Outcome>> {
        let applied = steps::applied_model(database).await?;
        let Some((before, _)) = applied.filter(|(_, hash)| *hash == self.model.hash) else {
            return Ok(None);
        };
        let structure = introspect(database).await?;
        let diff = self.compare(&structure, database.dialect());
        let access = self.plan_access(&mut Source::Database(database), Some(&before)).await?;
        let is_same = diff.steps.is_empty()
            && diff.problems.is_empty()
            && access.steps.is_empty()
            && row_security::is_in_step(database, &self.schema).await?;
        let report = Report::new(diff, Vec::new(), access);
        Ok(is_same.then_some(Outcome { report, refusals: Vec::new(), structure }))
    }

    /// SQLite and PostgreSQL: all of it, or nothing.
    pub(super) async fn run_in_transaction(self, database: &Database) -> Result<Option<Outcome>> {
        if let Some(outcome) = self.unchanged(database).await? {
            return Ok(Some(outcome));
        }
        let before = steps::applied_model(database).await?.map(|(model, _)| model);
        let has_row_security = database.has_row_security();
        let result = database
            .schema_transaction(move |transaction| {
                Box::pin(async move {
                    hold_in(transaction).await?;
                    if self.is_stale() {
                        return Ok(None);
                    }
                    let structure = introspect_in(transaction).await?;
                    let diff = self.compare(&structure, transaction.dialect());
                    let counted = steps::count_in(transaction, diff.steps.clone(), &structure).await?;
                    let mut source = Source::Transaction(transaction);
                    let access = self.plan_access(&mut source, before.as_ref()).await?;
                    let report = Report::new(diff, counted, access);
                    let (allowed, refusals) = self.judge(&report);
                    if !refusals.is_empty() {
                        return Ok(Some(Outcome { report, refusals, structure }));
                    }
                    let run = allowed.bare_steps();
                    if !run.is_empty() {
                        row_security::lift(transaction).await?;
                    }
                    steps::run_in(transaction, &run, &structure, self.options.allow_destructive).await?;
                    let structure =
                        if run.is_empty() { structure } else { introspect_in(transaction).await? };
                    row_security::sync(transaction, &self.schema, has_row_security).await?;
                    self.finish(transaction, before.as_ref(), &structure, &allowed).await?;
                    Ok(Some(Outcome { report, refusals, structure }))
                })
            })
            .await;
        result.map(Committed::into_inner)
    }

    /// MariaDB: under a lease, each step for itself, resumed when it is cut off.
    pub(super) async fn run_step_by_step(self, database: &Database) -> Result<Option<Outcome>> {
        if !steps::is_unfinished(database).await?
            && let Some(outcome) = self.unchanged(database).await?
        {
            return Ok(Some(outcome));
        }
        let lease = Lease::acquire(database).await?;
        let outcome = self.run_with_lease(database, &lease).await;
        let released = lease.release().await;
        outcome.and_then(|outcome| released.map(|()| outcome))
    }

    async fn run_with_lease(self, database: &Database, lease: &Lease) -> Result<Option<Outcome>> {
        steps::resume(database).await?;
        if self.is_stale() {
            return Ok(None);
        }
        let structure = introspect(database).await?;
        let diff = self.compare(&structure, database.dialect());
        let counted = steps::count(database, diff.steps.clone(), &structure).await?;
        let before = steps::applied_model(database).await?.map(|(model, _)| model);
        let access = self.plan_access(&mut Source::Database(database), before.as_ref()).await?;
        let report = Report::new(diff, counted, access);
        let (allowed, refusals) = self.judge(&report);
        if !refusals.is_empty() {
            return Ok(Some(Outcome { report, refusals, structure }));
        }
        let run = allowed.bare_steps();
        let is_changed = !run.is_empty();
        steps::run_recorded(database, lease, run, self.options.allow_destructive).await?;
        let structure = if is_changed { introspect(database).await? } else { structure };
        let now = structure.clone();
        let result = database
            .transaction(|transaction| {
                Box::pin(async move { self.finish(transaction, before.as_ref(), &now, &allowed).await })
            })
            .await;
        result.map(|_| Some(Outcome { report, refusals, structure }))
    }

    /// Writes down what the database now looks like to others, and who may do what.
    async fn finish(
        self,
        transaction: &mut Transaction,
        before: Option<&Value>,
        structure: &DatabaseStructure,
        done: &Report,
    ) -> Result<()> {
        let Model { registry, json, hash } = self.model;
        let mut gone = registry::sync(transaction, registry, before, structure).await?;
        for planned in &done.steps {
            match &planned.step {
                SchemaStep::DropColumn { table, column } => gone.fields.push((table.clone(), column.clone())),
                SchemaStep::DropTable { table } => gone.collections.push(table.clone()),
                _ => {}
            }
        }
        // First the rights that speak of what is gone, then what the files say about rights.
        forget_fields(transaction, &self.served, gone).await?;
        access::run(transaction, &done.access).await?;
        steps::remember_model(transaction, &json, &hash).await
    }
}

/// What the last change remembered of the rows it made for access.
pub(super) fn made_before(before: Option<&Value>) -> Option<&Value> {
    before.and_then(|before| before.get("access"))
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
