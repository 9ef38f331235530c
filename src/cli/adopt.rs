//! `adopt`: what is understood of a database that was served by somebody else.

use super::Outcome;
use super::output::say;
use crate::app::App;
use crate::error::Result;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Put hashes in the place of static tokens that stand in the clear. Who made them would not know them any more.
    #[arg(long)]
    hash_tokens: bool,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<Outcome> {
    if arguments.hash_tokens {
        let count = app.project.hash_tokens().await?;
        say(format_args!("hashed {count} static token(s)"));
        return Ok(Outcome::Done);
    }
    let adoption = app.project.adoption().await?;
    for line in adoption.served {
        say(format_args!("served   {line}"));
    }
    for note in adoption.notes {
        say(format_args!("note     {note}"));
    }
    Ok(Outcome::Done)
}
