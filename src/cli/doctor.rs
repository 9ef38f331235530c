//! `doctor`: what is well and what is not, one line each.

use jiff::Timestamp;

use super::Outcome;
use super::output::say;
use crate::app::App;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::files::broken_off;
use crate::sql::Dialect;
use crate::storage::Storage;

pub(super) async fn run(config: Config) -> Outcome {
    say("ok       configuration");
    let app = match App::open(config).await {
        Ok(app) => app,
        Err(error) => {
            say(format_args!("problem  database: {}", explain(&error)));
            return Outcome::Failed;
        }
    };
    let name = match app.db.dialect() {
        Dialect::Sqlite => "SQLite",
        Dialect::Postgres => "PostgreSQL",
        Dialect::Mysql => "MariaDB or MySQL",
    };
    say(format_args!("ok       database, {name}"));
    let is_stored = check_storage(&app).await;
    match check_collections(&app).await {
        Ok(0) if !is_stored => Outcome::Failed,
        Ok(0) => Outcome::Done,
        Ok(_) => Outcome::Failed,
        Err(error) => {
            say(format_args!("problem  collections: {}", explain(&error)));
            Outcome::Failed
        }
    }
}

/// Whether every place for content can be reached, and what broken uploads left there.
async fn check_storage(app: &App) -> bool {
    let storage = Storage::new(&app.config.files.locations);
    let mut is_well = true;
    for location in storage.all() {
        match broken_off(location, Timestamp::now()).await {
            Ok(left) if left.is_empty() => say(format_args!("ok       storage, {}", location.name())),
            Ok(left) => say(format_args!(
                "note     storage, {}: {} upload(s) broke off more than a day ago; a running server sweeps them up",
                location.name(),
                left.len()
            )),
            Err(error) => {
                is_well = false;
                say(format_args!("problem  storage, {}: {}", location.name(), explain(&error)));
            }
        }
    }
    is_well
}

/// Compares files and database, and counts the problems.
async fn check_collections(app: &App) -> Result<usize> {
    let folder = app.project.folder();
    if !folder.is_dir() {
        say(format_args!("note     there is no folder {}, see COLLECTIONS_PATH", folder.display()));
    }
    let report = app.project.plan(false).await?;
    let refusals = report.refusals(false);
    for refusal in &refusals {
        say(format_args!("problem  {refusal}"));
    }
    let waiting = report.steps.len();
    if waiting == 0 && refusals.is_empty() {
        say("ok       the database is as the collections say");
    } else {
        say(format_args!("note     {waiting} step(s) to apply, see `tablature plan`"));
    }
    for drift in report.drift() {
        say(format_args!("note     {drift}"));
    }
    Ok(refusals.len())
}

fn explain(error: &Error) -> String {
    match error {
        Error::Internal { cause, .. } => format!("{cause:#}"),
        other => other.to_string(),
    }
}
