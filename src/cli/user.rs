//! `user`: users and their tokens, for whoever has a shell but no password.

use clap::Subcommand;

use super::Outcome;
use super::output::{complain, say};
use crate::app::App;
use crate::auth::{create_administrator, renew_static_token};
use crate::config::Secret;
use crate::error::{Error, Result};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make an administrator.
    Create {
        /// E-mail to sign in with.
        #[arg(long)]
        email: String,
        /// Password; generated and printed when left out.
        #[arg(long)]
        password: Option<String>,
    },
    /// Give a user a new static token and print it; the old one stops working.
    Token {
        /// E-mail of the user.
        email: String,
    },
}

pub(super) async fn run(app: &App, command: Command) -> Result<Outcome> {
    let schema = app.project.store().schema();
    match command {
        Command::Create { email, password } => {
            if !email.contains('@') {
                complain(format_args!("`{email}` is no e-mail address"));
                return Ok(Outcome::Misused);
            }
            let password = password.map(Secret::new);
            match create_administrator(&app.db, &schema, &email, password.as_ref(), None).await {
                Ok(new) => {
                    say(format_args!("made the administrator {}", new.email));
                    if let Some(password) = new.generated_password {
                        say(format_args!("password: {}", password.expose()));
                    }
                    Ok(Outcome::Done)
                }
                Err(Error::RecordNotUnique { .. }) => {
                    complain(format_args!("there is a user {email} already"));
                    Ok(Outcome::Failed)
                }
                Err(error) => Err(error),
            }
        }
        Command::Token { email } => match renew_static_token(&app.db, &schema, &email).await {
            Ok(token) => {
                say(token.expose());
                Ok(Outcome::Done)
            }
            Err(Error::Forbidden) => {
                complain(format_args!("there is no user {email}"));
                Ok(Outcome::Failed)
            }
            Err(error) => Err(error),
        },
    }
}
