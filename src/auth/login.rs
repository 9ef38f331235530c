//! Signing in and out, and the tokens that come of it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::store::{Session, Table, User, later, locked_session, moment, text};
use super::{Authenticator, Client, token};
use crate::db::Transaction;
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::schema::Schema;

/// Every failed sign-in takes this long, longer than any of its branches, so that time tells nothing.
const FAILURE_TIME: Duration = Duration::from_millis(500);
/// A refresh token that comes back within this time after its use is a request sent twice; later it is stolen.
const GRACE: Duration = Duration::from_secs(10);
/// Longest chain of refresh tokens that is followed when a family ends.
const MOST_GENERATIONS: usize = 10_000;

/// What a client is given.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// To send with requests.
    pub access_token: String,
    /// How long that works.
    pub expires: Duration,
    /// For the next pair; works once.
    pub refresh_token: String,
}

impl Authenticator {
    /// Checks a password. Fails with `InvalidCredentials`, alike in words and time for known and unknown, suspended and foreign users.
    pub async fn login(
        &self,
        schema: &Arc<Schema>,
        email: &str,
        password: String,
        client: Client<'_>,
        now: Timestamp,
    ) -> Result<Tokens> {
        let end = Instant::now() + FAILURE_TIME;
        let outcome = self.try_login(schema, email, password, client, now).await;
        if outcome.is_err() {
            tokio::time::sleep_until(end).await;
        }
        outcome
    }

    async fn try_login(
        &self,
        schema: &Arc<Schema>,
        email: &str,
        password: String,
        client: Client<'_>,
        now: Timestamp,
    ) -> Result<Tokens> {
        let user = self.store.user_by_email(schema, email).await?;
        let hash = user.as_ref().and_then(|user| user.password.clone());
        let is_right = self.passwords.verify(password, hash).await?;
        // A second factor cannot be checked here yet, and must not be passed over.
        let may = |user: &User| user.is_active() && user.provider == "default" && !user.has_second_factor;
        let user = user.filter(|user| is_right && may(user)).ok_or(Error::InvalidCredentials)?;

        let refresh_token = token::random();
        let session = self.new_session(&refresh_token, &user.id, client, now);
        let schema_here = schema.clone();
        let id = user.id.clone();
        let committed = self.store.db.transaction(move |tx| {
            Box::pin(async move {
                // The user's row first: sign-ins of one user then wait for each other instead of locking each other out.
                let users = Table::new(&schema_here, "directus_users")?;
                users.update(tx, &id, vec![("last_access", moment(now))]).await?;
                forget_old_sessions(tx, &schema_here, &id, now).await?;
                insert_session(tx, &schema_here, session).await?;
                Ok(())
            })
        });
        committed.await?.into_inner();
        self.tokens(schema, &user, refresh_token, now).await
    }

    /// Changes a refresh token for a new pair. Fails with `InvalidCredentials` when it is unknown, used, or its user is gone.
    pub async fn refresh(
        &self,
        schema: &Arc<Schema>,
        refresh_token: &str,
        client: Client<'_>,
        now: Timestamp,
    ) -> Result<Tokens> {
        let old = token::hash(refresh_token);
        let new_token = token::random();
        let new = self.new_session(&new_token, "", client, now);
        let schema_here = schema.clone();
        let retired_until = later(now, self.access_token_ttl);
        let used_lately_until = later(now, self.access_token_ttl.saturating_sub(GRACE));
        let outcome = self.store.db.transaction(move |tx| {
            Box::pin(async move {
                let Some(session) = locked_session(tx, &schema_here, &old).await? else { return Ok(None) };
                if session.next_token.is_some() {
                    if session.expires < used_lately_until {
                        end_family(tx, &schema_here, session).await?;
                    }
                    return Ok(None);
                }
                let Some(user) = session.user.filter(|_| session.expires > now) else { return Ok(None) };
                // The row stays for as long as the access token that was issued with it.
                let sessions = Table::new(&schema_here, "directus_sessions")?;
                let used = vec![("next_token", text(&new.token)), ("expires", moment(retired_until))];
                sessions.update(tx, &old, used).await?;
                insert_session(tx, &schema_here, NewSession { user: user.clone(), ..new }).await?;
                Ok(Some(user))
            })
        });
        let user = outcome.await?.into_inner().ok_or(Error::InvalidCredentials);
        if user.is_err() {
            self.forget_all();
        }
        let user = self.store.user_by_id(schema, &user?).await?.filter(User::is_active);
        self.tokens(schema, &user.ok_or(Error::InvalidCredentials)?, new_token, now).await
    }

    /// Ends the session of a refresh token, and with it the access tokens issued in it.
    pub async fn logout(&self, schema: &Arc<Schema>, refresh_token: &str) -> Result<()> {
        let hash = token::hash(refresh_token);
        let schema = schema.clone();
        let ended = self.store.db.transaction(move |tx| {
            Box::pin(async move {
                match locked_session(tx, &schema, &hash).await? {
                    Some(session) => end_family(tx, &schema, session).await,
                    None => Ok(()),
                }
            })
        });
        ended.await?.into_inner();
        self.forget_all();
        Ok(())
    }

    async fn tokens(
        &self,
        schema: &Schema,
        user: &User,
        refresh_token: String,
        now: Timestamp,
    ) -> Result<Tokens> {
        let who = self.directory(schema).await?.who(Some(&user.id), user.role.as_deref(), None);
        let session = token::hash(&refresh_token);
        let life = self.access_token_ttl;
        let access_token = self.keys.sign(&user.id, user.role.as_deref(), who.admin, &session, now, life)?;
        Ok(Tokens { access_token, expires: life, refresh_token })
    }

    fn new_session(&self, refresh_token: &str, user: &str, client: Client<'_>, now: Timestamp) -> NewSession {
        NewSession {
            token: token::hash(refresh_token),
            user: user.to_owned(),
            expires: later(now, self.refresh_token_ttl),
            ip: client.address.map(|address| address.to_string()),
            user_agent: client.user_agent.map(str::to_owned),
            origin: client.origin.map(|origin| origin.chars().take(255).collect()),
        }
    }
}

struct NewSession {
    token: String,
    user: String,
    expires: Timestamp,
    ip: Option<String>,
    user_agent: Option<String>,
    origin: Option<String>,
}

async fn insert_session(tx: &mut Transaction, schema: &Schema, session: NewSession) -> Result<()> {
    let optional = |value: Option<String>| value.map_or(Scalar::Null, |value| text(&value));
    let row = vec![
        ("token", text(&session.token)),
        ("user", text(&session.user)),
        ("expires", moment(session.expires)),
        ("ip", optional(session.ip)),
        ("user_agent", optional(session.user_agent)),
        ("origin", optional(session.origin)),
    ];
    Table::new(schema, "directus_sessions")?.insert(tx, row).await
}

async fn forget_old_sessions(
    tx: &mut Transaction,
    schema: &Schema,
    user: &str,
    now: Timestamp,
) -> Result<()> {
    let sessions = Table::new(schema, "directus_sessions")?;
    let rows = sessions.locked(tx, &["token", "expires"], "user", user).await?;
    let old: Vec<Scalar> = rows
        .iter()
        .filter(|row| {
            let expires = row.text(1).and_then(|text| text.parse::<Timestamp>().ok());
            expires.is_some_and(|expires| expires < now)
        })
        .filter_map(|row| row.text(0))
        .map(|token| Scalar::Text(token.clone()))
        .collect();
    if !old.is_empty() {
        sessions.delete(tx, "token", &old).await?;
    }
    Ok(())
}

/// Deletes a session, those that came before it, and those that came of it.
async fn end_family(tx: &mut Transaction, schema: &Schema, session: Session) -> Result<()> {
    let sessions = Table::new(schema, "directus_sessions")?;
    let mut family = vec![text(&session.token)];
    let mut next = session.next_token;
    while let Some(token) = next.take().filter(|_| family.len() < MOST_GENERATIONS) {
        let row = locked_session(tx, schema, &token).await?;
        family.push(text(&token));
        next = row.and_then(|session| session.next_token);
    }
    let mut before = session.token;
    while family.len() < MOST_GENERATIONS {
        let rows = sessions.locked(tx, &["token"], "next_token", &before).await?;
        let Some(token) = rows.first().and_then(|row| row.text(0)) else { break };
        before = token.to_string();
        family.push(text(&before));
    }
    sessions.delete(tx, "token", &family).await?;
    Ok(())
}
