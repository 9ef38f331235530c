//! `doctor`: what is well and what is not, one line each.

use super::Outcome;
use super::output::say;
use crate::app::App;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::sql::Dialect;

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
    match check_collections(&app).await {
        Ok(0) => Outcome::Done,
        Ok(_) => Outcome::Failed,
        Err(error) => {
            say(format_args!("problem  collections: {}", explain(&error)));
            Outcome::Failed
        }
    }
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
