//! Signing in with a password.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::guesses::Guess;
use super::sessions::{Mode, Tokens};
use super::store::{Table, User};
use super::token::Owner;
use super::{Authenticator, Client, password};
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::items::hashing;
use crate::schema::Schema;

/// Every failed sign-in takes this long, longer than any of its branches, so that time tells nothing.
const FAILURE_TIME: Duration = Duration::from_millis(500);

/// What somebody knows who signs in.
#[derive(Clone)]
pub struct Credentials {
    /// Their e-mail.
    pub email: String,
    /// Their password.
    pub password: String,
    /// A code of their second factor, or a recovery code.
    pub otp: Option<String>,
}

impl Authenticator {
    /// Checks a password, and a code where the user has a second factor.
    ///
    /// Fails with `InvalidCredentials`, alike in words and time for known and unknown, suspended and foreign users; with
    /// `InvalidOtp` when only the code is missing or wrong; with `RequestsExceeded` after too many wrong guesses at one account.
    pub async fn login(
        &self,
        schema: &Arc<Schema>,
        credentials: Credentials,
        mode: Mode,
        client: Client<'_>,
        now: Timestamp,
    ) -> Result<Tokens> {
        let end = Instant::now() + FAILURE_TIME;
        let guess = self.guess(schema, &credentials.email, now).await?;
        let has_code = credentials.otp.is_some();
        let outcome = self.try_login(schema, credentials, mode, client, now).await;
        match &outcome {
            Ok(_) => guess.succeeded().await,
            Err(Error::InvalidCredentials) => guess.failed(),
            Err(Error::InvalidOtp) if has_code => guess.failed(),
            Err(_) => guess.withdrawn().await,
        }
        if outcome.is_err() {
            tokio::time::sleep_until(end).await;
        }
        outcome
    }

    /// Whether this is the password of a user who keeps it here; a wrong one counts as a guess.
    ///
    /// Fails with `InvalidCredentials`, or with `RequestsExceeded` after too many wrong guesses.
    pub(super) async fn prove_password(
        &self,
        schema: &Arc<Schema>,
        user: &User,
        password: String,
        now: Timestamp,
    ) -> Result<()> {
        let guess = self.guess(schema, user.account(), now).await?;
        match password::verify(password, user.password.clone()).await {
            Ok(true) => {
                guess.succeeded().await;
                Ok(())
            }
            Ok(false) => {
                guess.failed();
                Err(Error::InvalidCredentials)
            }
            Err(error) => {
                guess.withdrawn().await;
                Err(error)
            }
        }
    }

    /// Begins a guess at an account, as often as the project's settings allow.
    pub(super) async fn guess(&self, schema: &Schema, account: &str, now: Timestamp) -> Result<Guess<'_>> {
        let row = self.store.settings(schema, &["auth_login_attempts"]).await?;
        let most_in_a_row = match &row {
            Some(row) => row.int(0).and_then(|most| u64::try_from(most).ok()).filter(|most| *most > 0),
            None => Some(MOST_IN_A_ROW),
        };
        self.guesses.begin(account, most_in_a_row, now).await
    }

    async fn try_login(
        &self,
        schema: &Arc<Schema>,
        credentials: Credentials,
        mode: Mode,
        client: Client<'_>,
        now: Timestamp,
    ) -> Result<Tokens> {
        let Credentials { email, password, otp } = credentials;
        let user = self.store.user_by_email(schema, &email).await?;
        let hash = user.as_ref().and_then(|user| user.password.clone());
        let is_right = password::verify(password.clone(), hash).await?;
        let may = |user: &User| user.is_active() && user.provider == "default";
        let user = user.filter(|user| is_right && may(user)).ok_or(Error::InvalidCredentials)?;
        self.renew_hash(schema, &user, password).await?;
        self.open(schema, Owner::User(user.id), otp, mode, client, now).await
    }

    /// A password that was hashed with less work than is usual now is hashed anew, since it is at hand.
    async fn renew_hash(&self, schema: &Arc<Schema>, user: &User, password: String) -> Result<()> {
        let Some(old) = user.password.clone().filter(|hash| hashing::is_outdated(hash)) else {
            return Ok(());
        };
        let hash = hashing::hash(password.into()).await?;
        let (schema, id) = (schema.clone(), user.id.clone());
        let renewed = self.store.db.repeatable_transaction(move |tx| {
            Box::pin(async move {
                let users = Table::new(&schema, "directus_users")?;
                let rows = users.locked(tx, &["password"], "id", &id).await?;
                let is_unchanged =
                    rows.first().and_then(|row| row.text(0)).is_some_and(|kept| **kept == *old);
                if is_unchanged {
                    users.update(tx, &id, vec![("password", Scalar::Text(hash))]).await?;
                }
                Ok(())
            })
        });
        renewed.await?.into_inner();
        Ok(())
    }
}

/// Wrong guesses in a row that lock an account, where no settings are kept.
const MOST_IN_A_ROW: u64 = 25;
