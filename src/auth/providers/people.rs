//! Who somebody is here whom a provider vouched for.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Identity;
use crate::auth::store::{Table, text};
use crate::auth::{Authenticator, Client, Mode, Owner, Tokens};
use crate::config::ProviderConfig;
use crate::db::Transaction;
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::schema::Schema;

/// Somebody whom a provider vouched for, who may have shown a code of their second factor here.
pub struct Vouched<'a> {
    /// Who vouched.
    pub provider: &'a ProviderConfig,
    /// For whom.
    pub identity: &'a Identity,
    /// The code.
    pub otp: Option<String>,
}

impl Authenticator {
    /// Opens a session for somebody whom a provider vouched for, and makes them a user where that is allowed.
    ///
    /// Fails with `InvalidCredentials` and `InvalidProvider` as their user cannot be told; with `InvalidOtp` when they have a second
    /// factor here and the code is missing or wrong; with `RequestsExceeded` after too many wrong codes.
    pub async fn sign_in_elsewhere(
        &self,
        schema: &Arc<Schema>,
        vouched: Vouched<'_>,
        mode: Mode,
        client: Client<'_>,
        now: Timestamp,
    ) -> Result<Tokens> {
        let Vouched { provider, identity, otp } = vouched;
        let user = self.user_of(schema, provider, identity).await?;
        // A second factor is guessed at here like at any other door.
        let guess = match &otp {
            Some(_) => {
                let user = self.store.user_by_id(schema, &user).await?.ok_or(Error::InvalidCredentials)?;
                Some(self.guess(schema, user.account(), now).await?)
            }
            None => None,
        };
        let opened = self.open(schema, Owner::User(user), otp, mode, client, now).await;
        match (&opened, guess) {
            (Ok(_), Some(guess)) => guess.succeeded().await,
            (Err(Error::InvalidOtp), Some(guess)) => guess.failed(),
            (Err(_), Some(guess)) => guess.withdrawn().await,
            (_, None) => {}
        }
        opened
    }

    /// The key of the user that somebody is here, who is made one where that is allowed.
    ///
    /// Fails with `InvalidCredentials` when they are nobody here, and with `InvalidProvider` when their e-mail or their identifier
    /// belongs to a user of another provider: nobody becomes somebody else by having a provider say their e-mail.
    async fn user_of(
        &self,
        schema: &Arc<Schema>,
        provider: &ProviderConfig,
        identity: &Identity,
    ) -> Result<String> {
        let owner = match &identity.email {
            Some(email) => self.store.user_by_email(schema, email).await?.map(|user| user.id),
            None => None,
        };
        let mut tries = 0;
        loop {
            tries += 1;
            let task = Task {
                schema: schema.clone(),
                provider: provider.clone(),
                identity: identity.clone(),
                owner: owner.clone(),
            };
            let found = self
                .store
                .db
                .repeatable_transaction(move |tx| Box::pin(async move { task.run(tx).await }))
                .await;
            match found.map(|committed| committed.into_inner()) {
                Ok(found) => {
                    if found.is_changed {
                        self.forget_all();
                    }
                    return Ok(found.user);
                }
                // Twice at once: the other one made the user that this one finds now.
                Err(Error::RecordNotUnique { .. }) if tries < 2 => {}
                Err(Error::RecordNotUnique { .. }) => return Err(Error::InvalidProvider),
                Err(error) => return Err(error),
            }
        }
    }
}

struct Found {
    user: String,
    is_changed: bool,
}

/// One look for a user, with what may be changed of them.
#[derive(Clone)]
struct Task {
    schema: Arc<Schema>,
    provider: ProviderConfig,
    identity: Identity,
    /// Who has the e-mail.
    owner: Option<String>,
}

impl Task {
    async fn run(self, tx: &mut Transaction) -> Result<Found> {
        let users = Table::new(&self.schema, "directus_users")?;
        let columns = ["id", "provider", "external_identifier", "auth_data", "status"];
        let rows = users.locked(tx, &columns, "external_identifier", &self.identity.identifier).await?;
        // Collations may take different texts for equal; here they must be the same byte for byte.
        let is_theirs =
            |value: Option<&Arc<str>>| value.is_some_and(|kept| **kept == *self.identity.identifier);
        let Some(row) = rows.iter().find(|row| is_theirs(row.text(2))) else {
            return self.register(tx, &users).await;
        };
        if row.text(1).is_none_or(|provider| **provider != *self.provider.name) {
            return Err(Error::InvalidProvider);
        }
        let issuer = row.text(3).and_then(|data| serde_json::from_str::<Value>(data).ok());
        let issuer = issuer.as_ref().and_then(|data| data.get("iss")).and_then(Value::as_str);
        // The same subject of another issuer is another person.
        if issuer.is_some_and(|issuer| Some(issuer) != self.identity.issuer.as_deref()) {
            return Err(Error::InvalidProvider);
        }
        let user = row.text(0).map(|id| id.to_string()).unwrap_or_default();
        if row.text(4).is_none_or(|status| **status != *"active") {
            return Err(Error::InvalidCredentials);
        }
        let mut changes = vec![("auth_data", self.auth_data())];
        if self.provider.sync_user_info {
            let optional = |value: &Option<String>| value.as_deref().map(text);
            changes.extend(optional(&self.identity.first_name).map(|name| ("first_name", name)));
            changes.extend(optional(&self.identity.last_name).map(|name| ("last_name", name)));
            let is_free = self.owner.as_ref().is_none_or(|owner| *owner == user);
            changes.extend(optional(&self.identity.email).filter(|_| is_free).map(|email| ("email", email)));
        }
        if let Some(role) = &self.identity.role {
            changes.push(("role", role.as_deref().map_or(Scalar::Null, text)));
        }
        let is_changed = changes.len() > 1;
        users.update(tx, &user, changes).await?;
        Ok(Found { user, is_changed })
    }

    async fn register(&self, tx: &mut Transaction, users: &Table<'_>) -> Result<Found> {
        if self.owner.is_some() {
            return Err(Error::InvalidProvider);
        }
        if !self.provider.allow_public_registration {
            return Err(Error::InvalidCredentials);
        }
        let user = Uuid::now_v7().to_string();
        let optional = |value: Option<&String>| value.map_or(Scalar::Null, |value| text(value));
        let role = match &self.identity.role {
            Some(role) => role.as_ref(),
            None => self.provider.default_role.as_ref(),
        };
        let row = vec![
            ("id", text(&user)),
            ("status", text("active")),
            ("provider", text(&self.provider.name)),
            ("external_identifier", text(&self.identity.identifier)),
            ("email", optional(self.identity.email.as_ref())),
            ("first_name", optional(self.identity.first_name.as_ref())),
            ("last_name", optional(self.identity.last_name.as_ref())),
            ("role", optional(role)),
            ("auth_data", self.auth_data()),
        ];
        users.insert(tx, row).await?;
        Ok(Found { user, is_changed: false })
    }

    /// What is kept of a sign-in elsewhere: who vouched for it. Tokens of the provider are not ours to keep.
    fn auth_data(&self) -> Scalar {
        match &self.identity.issuer {
            Some(issuer) => text(&json!({ "iss": issuer }).to_string()),
            None => Scalar::Null,
        }
    }
}
