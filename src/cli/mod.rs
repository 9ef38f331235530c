//! The commands of the binary.
//!
//! Start at [`run`]. What a command has to say goes to standard output, what went wrong to standard error, and its exit code is 0
//! when it went well, 1 when it did not, 2 when the command line or the configuration is wrong.

mod adopt;
mod check;
mod doctor;
mod explain;
mod output;
mod specs;
mod transfer;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::app::App;
use crate::config::{Config, LogLevel, settings};
use crate::error::{Error, Result};
use crate::events::Hooks;
use crate::project::ApplyOptions;
use crate::schema;
use output::{complain, say};

/// A headless data platform: YAML collections become tables and an API.
#[derive(Debug, Parser)]
#[command(name = "tablature", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Apply the collections and serve the API.
    Serve {
        /// Take over changed files while serving, whatever WATCH says.
        #[arg(long, conflicts_with = "no_watch")]
        watch: bool,
        /// Leave changed files alone until the next start, whatever WATCH says.
        #[arg(long)]
        no_watch: bool,
    },
    /// Show what `apply` would change in the database.
    Plan {
        /// Include dropping what no file declares.
        #[arg(long)]
        prune: bool,
    },
    /// Change the database so that it is as the files say.
    Apply {
        /// Also make changes that lose data.
        #[arg(long)]
        allow_destructive: bool,
        /// Also drop what no file declares.
        #[arg(long)]
        prune: bool,
    },
    /// Change the files so that they say what is in the database.
    Pull,
    /// Print the JSON Schema of a kind of file, for editors.
    Schema {
        /// Which kind.
        #[arg(value_enum, default_value_t = SchemaKind::Collection)]
        kind: SchemaKind,
    },
    /// Print the documentation of all settings.
    Settings,
    /// Make administrators and tokens.
    User {
        #[command(subcommand)]
        command: user::Command,
    },
    /// Tell why a user may or may not do something, and the SQL it becomes.
    Explain(explain::Arguments),
    /// Write the items of a file into a collection.
    Import(transfer::Import),
    /// Write the items of a collection into a file.
    Export(transfer::Export),
    /// Print the OpenAPI document of the model.
    Openapi(specs::OpenApi),
    /// Print the GraphQL schema of the model.
    GraphqlSchema(specs::GraphqlSchema),
    /// Print TypeScript types of the model, for the public SDK.
    Types,
    /// Try the rule tests of the files in a throwaway database.
    Check {
        /// Folders of collections; COLLECTIONS_PATH when none is named.
        folders: Vec<PathBuf>,
    },
    /// Tell what is understood of a database that was served by somebody else. Changes nothing.
    Adopt(adopt::Arguments),
    /// Check configuration, database and drift.
    Doctor,
}

/// Files that have a JSON Schema.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum SchemaKind {
    /// A collection.
    Collection,
    /// `_access.yaml`.
    Access,
}

/// What a command ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    Failed,
    Misused,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        ExitCode::from(match outcome {
            Outcome::Done => 0,
            Outcome::Failed => 1,
            Outcome::Misused => 2,
        })
    }
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let command = Arguments::parse().command;
    match &command {
        Command::Schema { kind } => {
            let schema = match kind {
                SchemaKind::Collection => schema::json_schema(),
                SchemaKind::Access => schema::access_json_schema(),
            };
            say(format_args!("{schema:#}"));
            return Outcome::Done.into();
        }
        Command::Settings => {
            output::print(settings::documentation());
            return Outcome::Done.into();
        }
        _ => {}
    }
    let mut config = match Config::load() {
        Ok(config) => config,
        Err(errors) => {
            complain(errors);
            return Outcome::Misused.into();
        }
    };
    match &command {
        Command::Serve { watch, no_watch } => {
            config.project.watch = *watch || (config.project.watch && !no_watch);
        }
        // Standard output belongs to what the command has to say.
        _ => config.log.level = LogLevel::Silent,
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(dispatch(command, config)),
        Err(error) => Err(Error::internal(error)),
    };
    match result {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            complain_about(&error);
            Outcome::Failed.into()
        }
    }
}

async fn dispatch(command: Command, config: Config) -> Result<Outcome> {
    if matches!(command, Command::Doctor) {
        return Ok(doctor::run(config).await);
    }
    let command = match command {
        Command::Check { folders } => return Ok(check::run(config, folders).await),
        other => other,
    };
    let app = App::open(config).await?;
    match command {
        Command::Serve { .. } => app.serve(Hooks::default()).await?,
        Command::Plan { prune } => output::print(app.project.plan(prune).await?),
        Command::Apply { allow_destructive, prune } => {
            let options = ApplyOptions { allow_destructive, prune, ..ApplyOptions::default() };
            output::print(app.project.apply(options).await?);
        }
        Command::Pull => {
            let changes = app.project.pull().await?;
            if changes.is_empty() {
                say("The files say what is in the database.");
            }
            changes.iter().for_each(say);
        }
        Command::User { command } => return user::run(&app, command).await,
        Command::Explain(arguments) => return explain::run(&app, arguments).await,
        Command::Openapi(arguments) => return specs::openapi(&app, arguments).await,
        Command::Import(arguments) => return transfer::import(&app, arguments).await,
        Command::Export(arguments) => return transfer::export(&app, arguments).await,
        Command::Adopt(arguments) => return adopt::run(&app, arguments).await,
        Command::GraphqlSchema(arguments) => return specs::graphql_schema(&app, arguments).await,
        Command::Types => return specs::types(&app).await,
        Command::Schema { .. } | Command::Settings | Command::Check { .. } | Command::Doctor => {}
    }
    Ok(Outcome::Done)
}

/// Whoever runs a command may see the cause that callers of the API may not.
fn complain_about(error: &Error) {
    match error {
        Error::Internal { cause, .. } => complain(format_args!("{cause:#}")),
        other => complain(other),
    }
}
