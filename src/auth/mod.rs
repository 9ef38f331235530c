//! Who is there: signing in, tokens, and the accountability of every request.
//!
//! Start at [`Authenticator::authenticate`], which every request passes, and [`Authenticator::login`]. Every way to sign in ends
//! in [`Authenticator::open_session`]. Knows no HTTP.

mod accounts;
mod callers;
mod directory;
mod enrolment;
mod guesses;
mod login;
mod password;
pub mod providers;
mod second_factor;
mod secret;
mod sessions;
mod setup;
mod shares;
mod standing;
mod store;
mod token;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use uuid::Uuid;

use crate::access::{AccessRules, Accountability, Directory};
use crate::cache::Redis;
use crate::config::{AuthConfig, Secret};
use crate::db::{Database, Row};
use crate::error::{Error, Result};
use crate::events::Events;
use crate::schema::Schema;

use crate::items::Marks;

pub use crate::items::hashing::token_hash as static_hash;
pub use accounts::{Accounts, Links, NewUser, Request};
pub use callers::{BELIEVED, Client};
use callers::{Caller, Callers};
use directory::Directories;
pub use enrolment::{Holder, NewSecret};
use guesses::Guesses;
pub use login::Credentials;
pub use secret::load_secret;
pub use sessions::{Mode, Tokens};
pub use setup::{NewAdministrator, create_administrator, ensure_administrator, renew_static_token};
pub use store::OpenSession;
use store::Store;
use token::Keys;
pub use token::Owner;

/// Longest page that is noted.
const MOST_PAGE_CHARACTERS: usize = 255;

/// Makes accountabilities out of tokens, and tokens out of passwords.
pub struct Authenticator {
    store: Store,
    /// `None` where nobody listens.
    events: Option<Events>,
    keys: Keys,
    callers: Callers,
    directories: Directories,
    /// Counts how often all were forgotten.
    changes: watch::Sender<u64>,
    visitor: Arc<Caller>,
    guesses: Guesses,
    access_token_ttl: Duration,
    refresh_token_ttl: Duration,
    session_ttl: Duration,
}

impl Authenticator {
    /// An authenticator that signs with this secret.
    pub fn new(db: Database, secret: &Secret<String>, config: &AuthConfig) -> Self {
        let keys = Keys::new(secret);
        Authenticator {
            store: Store::new(db),
            events: None,
            guesses: Guesses::new(keys.clone(), None),
            keys,
            callers: Callers::new(),
            directories: Directories::new(),
            changes: watch::Sender::new(0),
            visitor: Arc::new(Caller::visitor()),
            access_token_ttl: config.access_token_ttl,
            refresh_token_ttl: config.refresh_token_ttl,
            session_ttl: config.session_ttl,
        }
    }

    /// Who sends a request with this token, and what that allows.
    ///
    /// What was found is believed for a second, so that a change made by another node acts within one. Fails with
    /// `InvalidCredentials` for a token that nobody has, `TokenExpired` or `InvalidToken` for one that is no longer or not valid.
    pub async fn authenticate(
        &self,
        schema: &Arc<Schema>,
        token: &str,
        client: Client<'_>,
        now: Timestamp,
    ) -> Result<(Arc<Accountability>, Arc<AccessRules>)> {
        let directory = self.directory(schema).await?;
        let digest = token::digest(token);
        if let Some(caller) = self.callers.find(&digest) {
            return caller.speak(&directory, schema, client, now);
        }
        let generation = self.callers.generation();
        // Rarely, and large: requests should not carry it along.
        let caller = Arc::new(Box::pin(self.look_up(schema, token, now)).await?);
        self.callers.keep(digest, caller.clone(), generation);
        caller.speak(&directory, schema, client, now)
    }

    /// What somebody without a token may do.
    pub async fn visit(
        &self,
        schema: &Arc<Schema>,
        client: Client<'_>,
        now: Timestamp,
    ) -> Result<(Arc<Accountability>, Arc<AccessRules>)> {
        let directory = self.directory(schema).await?;
        self.visitor.speak(&directory, schema, client, now)
    }

    /// What this user (a visitor, without one) may do, for those who ask on somebody's behalf. Fails with `Forbidden` for a user who
    /// is not there or not active.
    pub async fn stand_for(
        &self,
        schema: &Arc<Schema>,
        user: Option<&str>,
        now: Timestamp,
    ) -> Result<(Arc<Accountability>, Arc<AccessRules>)> {
        let Some(user) = user else { return self.visit(schema, Client::default(), now).await };
        let found = self.store.user_by_id(schema, user).await?.filter(store::User::is_active);
        let caller = Caller::new(found.ok_or(Error::Forbidden)?, None);
        caller.speak(&self.directory(schema).await?, schema, Client::default(), now)
    }

    /// What somebody with the role of this name or key may do, whoever it is; `None` when there is no such role.
    pub async fn stand_for_role(
        &self,
        schema: &Arc<Schema>,
        role: &str,
    ) -> Result<Option<(Arc<Accountability>, Arc<AccessRules>)>> {
        let rows = self.store.all(schema, "directus_roles", &["id", "name"]).await?;
        let is_meant = |row: &&Row| (0..2).any(|column| row.text(column).is_some_and(|text| **text == *role));
        let Some(id) = rows.iter().find(is_meant).and_then(|row| row.text(0)) else { return Ok(None) };
        let directory = self.directory(schema).await?;
        // Nobody in particular, but somebody.
        let nobody = Uuid::nil().to_string();
        let who = directory.who(Some(&nobody), Some(id), None);
        let rules = directory.rules(schema, &who);
        let accountability = Accountability {
            user: who.user,
            role: who.role,
            roles: who.roles,
            policies: who.policies,
            admin: who.admin,
            app: who.app,
            ..Accountability::default()
        };
        Ok(Some((Arc::new(accountability), rules)))
    }

    /// The key of the user with this key or e-mail.
    pub async fn find_user(&self, schema: &Schema, user: &str) -> Result<Option<String>> {
        let found = match user.contains('@') {
            true => self.store.user_by_email(schema, user).await?,
            false => self.store.user_by_id(schema, user).await?,
        };
        Ok(found.map(|user| user.id))
    }

    /// A mark of some content that nobody else can make.
    pub fn marks(&self) -> Marks {
        let keys = self.keys.clone();
        Arc::new(move |content| token::base64(&keys.mark("content of an item", &[content])))
    }

    /// Whether a text has this hash, as those of passwords are.
    pub async fn has_hash(&self, text: String, hash: String) -> Result<bool> {
        password::verify(text, Some(hash)).await
    }

    /// Notes on which page a user is, which is no change of the account.
    pub async fn note_page(&self, schema: &Arc<Schema>, user: &str, page: &str) -> Result<()> {
        if page.chars().count() > MOST_PAGE_CHARACTERS {
            return Err(Error::ValueTooLong {
                collection: "directus_users".to_owned(),
                field: "last_page".to_owned(),
            });
        }
        let (schema, user, page) = (schema.clone(), user.to_owned(), store::text(page));
        let noted = self.store.db.repeatable_transaction(move |tx| {
            Box::pin(async move {
                store::Table::new(&schema, "directus_users")?
                    .update(tx, &user, vec![("last_page", page)])
                    .await
            })
        });
        noted.await?.into_inner();
        Ok(())
    }

    /// Who may do what, as the database says now.
    pub async fn directory(&self, schema: &Schema) -> Result<Arc<Directory>> {
        self.directories.current(&self.store, schema).await
    }

    /// The same authenticator, whose changes act on every node.
    pub fn with_events(self, events: Events) -> Self {
        Authenticator { events: Some(events), ..self }
    }

    /// The same authenticator, which counts guesses in a Redis that nodes share.
    pub fn with_redis(self, redis: Redis) -> Self {
        Authenticator { guesses: Guesses::new(self.keys.clone(), Some(redis)), ..self }
    }

    /// Sessions, users or the model changed in a way that no event tells of: returns when no node believes what it knew before.
    pub async fn forget_everywhere(&self) {
        self.forget_all();
        if let Some(events) = &self.events {
            events.outlast_beliefs().await;
        }
    }

    /// Nobody who was known is believed any more: for those who change users, roles, policies or sessions.
    pub fn forget_all(&self) {
        self.callers.forget_all();
        self.directories.forget();
        self.changes.send_modify(|count| *count += 1);
    }

    async fn look_up(&self, schema: &Schema, token: &str, now: Timestamp) -> Result<Caller> {
        let (user, expires, session) = match self.keys.verify(token)? {
            Some(access) => {
                let is_alive = self.store.session(schema, &access.session).await?.is_some_and(|session| {
                    session.owner().as_ref() == Some(&access.owner) && session.expires > now
                });
                if !is_alive {
                    return Err(Error::InvalidCredentials);
                }
                let user = match &access.owner {
                    Owner::User(user) => user,
                    Owner::Share(share) => {
                        let (share, ends) = self.opened_share(schema, share, now).await?;
                        return Ok(Caller::of_share(share, ends.min(access.expires)));
                    }
                };
                (self.store.user_by_id(schema, user).await?, Some(access.expires), Some(access.session))
            }
            None if token::may_be_static(token) => {
                (self.store.user_by_token(schema, token).await?, None, None)
            }
            None => return Err(Error::InvalidCredentials),
        };
        let user = user.filter(store::User::is_active).ok_or(Error::InvalidCredentials)?;
        Ok(Caller::new(user, expires).in_session(session))
    }
}
