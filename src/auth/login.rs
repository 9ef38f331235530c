//! Signing in with a password.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

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
}

impl Authenticator {
    /// Checks a password. Fails with `InvalidCredentials`, alike in words and time for known and unknown, suspended and foreign users.
    pub async fn login(
        &self,
        schema: &Arc<Schema>,
        credentials: Credentials,
        mode: Mode,
        client: Client<'_>,
        now: Timestamp,
    ) -> Result<Tokens> {
        let end = Instant::now() + FAILURE_TIME;
        let outcome = self.try_login(schema, credentials, mode, client, now).await;
        if outcome.is_err() {
            tokio::time::sleep_until(end).await;
        }
        outcome
    }

    async fn try_login(
        &self,
        schema: &Arc<Schema>,
        credentials: Credentials,
        mode: Mode,
        client: Client<'_>,
        now: Timestamp,
    ) -> Result<Tokens> {
        let Credentials { email, password } = credentials;
        let user = self.store.user_by_email(schema, &email).await?;
        let hash = user.as_ref().and_then(|user| user.password.clone());
        let is_right = password::verify(password.clone(), hash).await?;
        // A second factor cannot be checked here yet, and must not be passed over.
        let may = |user: &User| user.is_active() && user.provider == "default" && !user.has_second_factor;
        let user = user.filter(|user| is_right && may(user)).ok_or(Error::InvalidCredentials)?;
        self.renew_hash(schema, &user, password).await?;
        self.open_session(schema, Owner::User(user.id), mode, client, now).await
    }

    /// A password that was hashed with less work than is usual now is hashed anew, since it is at hand.
    async fn renew_hash(&self, schema: &Arc<Schema>, user: &User, password: String) -> Result<()> {
        let Some(old) = user.password.clone().filter(|hash| hashing::is_outdated(hash)) else {
            return Ok(());
        };
        let hash = hashing::hash(password.into()).await?;
        let (schema, id) = (schema.clone(), user.id.clone());
        let renewed = self.store.db.transaction(move |tx| {
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
