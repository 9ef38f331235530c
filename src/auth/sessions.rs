//! Sessions: opened by every way to sign in, renewed by refresh tokens, ended in families.
//!
//! A session is a row under the hash of its refresh token. Renewing it makes a new row and leaves the old one, which names the
//! new one, so that a token that comes back can be told from one that never was. Whoever locks rows here locks the owner first.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::second_factor::SecondFactor;
use super::store::{OpenSession, SESSION_COLUMNS, Session, Table, USER_COLUMNS, User, later, moment, text};
use super::token::{NewToken, Owner};
use super::{Authenticator, Client, token};
use crate::db::Transaction;
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::schema::Schema;

/// A refresh token that comes back within this time after its use is a request sent twice; later it is stolen.
const GRACE: Duration = Duration::from_secs(10);
/// Longest text of a header that is kept.
const MOST_CHARACTERS: usize = 255;

/// How a client keeps what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Both tokens come in the body.
    Json,
    /// The refresh token comes in a cookie.
    Cookie,
    /// One token in a cookie, which is the session.
    Session,
}

/// What a client is given.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// To send with requests; in the mode `session` it is renewed by itself.
    pub access_token: String,
    /// How long that works.
    pub expires: Duration,
    /// For the next pair; works once. `None` in the mode `session`.
    pub refresh_token: Option<String>,
}

/// Why a session was not renewed, or whom it was renewed for.
enum Renewal {
    /// For this user, or for whoever opened a share.
    Renewed(Option<User>),
    Refused,
    Replayed,
}

impl Authenticator {
    /// Opens a session for somebody who has proven to be its owner, and notes that they signed in.
    ///
    /// Fails with `InvalidCredentials` when the owner is a user who is gone or not active, and with `InvalidOtp` when the user has
    /// a second factor.
    pub async fn open_session(
        &self,
        schema: &Arc<Schema>,
        owner: Owner,
        mode: Mode,
        client: Client<'_>,
        now: Timestamp,
    ) -> Result<Tokens> {
        self.open(schema, owner, None, mode, client, now).await
    }

    /// The same for somebody who may have shown a code of their second factor.
    pub(super) async fn open(
        &self,
        schema: &Arc<Schema>,
        owner: Owner,
        code: Option<String>,
        mode: Mode,
        client: Client<'_>,
        now: Timestamp,
    ) -> Result<Tokens> {
        let refresh_token = token::random();
        let session = self.new_session(&refresh_token, owner.clone(), mode, client, now);
        let schema_here = schema.clone();
        let owner_here = owner.clone();
        let forgotten_before = self.forgotten_before(now);
        let user = match &owner {
            Owner::User(user) => user.as_str(),
            Owner::Share(_) => "",
        };
        let record = self.record(client, "login", user, now);
        let opened = self.store.db.repeatable_transaction(move |tx| {
            Box::pin(async move {
                let user = match &owner_here {
                    Owner::User(id) => {
                        let user = locked_user(tx, &schema_here, id, now).await?;
                        use_code(tx, &schema_here, &user, code.as_deref(), now).await?;
                        Some(user)
                    }
                    Owner::Share(_) => None,
                };
                forget_old_sessions(tx, &schema_here, &owner_here, now, forgotten_before).await?;
                if user.is_some() {
                    note(tx, &schema_here, record).await?;
                }
                insert_session(tx, &schema_here, session).await?;
                Ok(user)
            })
        });
        let user = opened.await?.into_inner();
        let opened = Opened { owner: &owner, user: user.as_ref(), refresh_token, mode, client };
        self.tokens(schema, opened, now).await
    }

    /// Changes a refresh token, or the token of a session in the mode `session`, for a new one.
    ///
    /// Fails with `InvalidCredentials` when it is unknown, used, or its user is gone.
    pub async fn refresh(
        &self,
        schema: &Arc<Schema>,
        presented: &str,
        mode: Mode,
        client: Client<'_>,
        now: Timestamp,
    ) -> Result<Tokens> {
        let old = self.session_hash(presented, mode)?;
        let known = self.store.session(schema, &old).await?;
        let owner = known.and_then(|session| session.owner()).ok_or(Error::InvalidCredentials)?;
        if let Owner::Share(share) = &owner {
            // It is no further use of the share, which has to be open still.
            self.opened_share(schema, share, now).await?;
        }
        let new_token = token::random();
        let new = self.new_session(&new_token, owner.clone(), mode, client, now);
        // The row stays alive for as long as what was issued with it may still be on its way or in use.
        let linger = if mode == Mode::Session { GRACE } else { self.access_token_ttl };
        let retired_until = later(now, linger);
        let used_lately_until = later(now, linger.saturating_sub(GRACE));
        let (schema_here, old_here, owner_here) = (schema.clone(), old.clone(), owner.clone());
        let outcome = self.store.db.repeatable_transaction(move |tx| {
            Box::pin(async move {
                let user = match locked_owner(tx, &schema_here, &owner_here, now).await {
                    Ok(user) => user,
                    Err(Error::InvalidCredentials) => return Ok(Renewal::Refused),
                    Err(error) => return Err(error),
                };
                let sessions = Table::new(&schema_here, "directus_sessions")?;
                let rows = sessions.locked(tx, SESSION_COLUMNS, "token", &old_here).await?;
                let Some(session) = rows.first().map(Session::from_row).transpose()? else {
                    return Ok(Renewal::Refused);
                };
                if session.next_token.is_some() {
                    let is_late = session.expires < used_lately_until;
                    return Ok(if is_late { Renewal::Replayed } else { Renewal::Refused });
                }
                if session.expires <= now {
                    return Ok(Renewal::Refused);
                }
                let used = vec![("next_token", text(&new.token)), ("expires", moment(retired_until))];
                sessions.update(tx, &old_here, used).await?;
                insert_session(tx, &schema_here, new).await?;
                Ok(Renewal::Renewed(user))
            })
        });
        match outcome.await?.into_inner() {
            Renewal::Renewed(user) => {
                let opened =
                    Opened { owner: &owner, user: user.as_ref(), refresh_token: new_token, mode, client };
                self.tokens(schema, opened, now).await
            }
            Renewal::Refused => Err(Error::InvalidCredentials),
            Renewal::Replayed => {
                tracing::warn!("a refresh token came back after its use; its sessions end");
                self.end_family(schema, owner, old).await?;
                Err(Error::InvalidCredentials)
            }
        }
    }

    /// Ends the session of a refresh token, or of a token in the mode `session`, and with it the access tokens issued in it.
    pub async fn logout(&self, schema: &Arc<Schema>, presented: &str, mode: Mode) -> Result<()> {
        let Ok(hash) = self.session_hash(presented, mode) else { return Ok(()) };
        let known = self.store.session(schema, &hash).await?;
        match known.and_then(|session| session.owner()) {
            Some(owner) => self.end_family(schema, owner, hash).await,
            None => Ok(()),
        }
    }

    /// Ends a session, those that it came of and those that came of it.
    async fn end_family(&self, schema: &Arc<Schema>, owner: Owner, hash: String) -> Result<()> {
        let schema = schema.clone();
        let ended = self.store.db.repeatable_transaction(move |tx| {
            Box::pin(async move {
                if let Owner::User(id) = &owner {
                    Table::new(&schema, "directus_users")?.locked(tx, &["id"], "id", id).await?;
                }
                let sessions = Table::new(&schema, "directus_sessions")?;
                let all = sessions_of(tx, &schema, &owner).await?;
                let family: Vec<Scalar> = family(&all, &hash).into_iter().map(text).collect();
                if !family.is_empty() {
                    sessions.delete(tx, "token", &family).await?;
                }
                Ok(())
            })
        });
        ended.await?.into_inner();
        self.forget_everywhere().await;
        Ok(())
    }

    /// The hash under which the session of a token is kept.
    fn session_hash(&self, presented: &str, mode: Mode) -> Result<String> {
        if mode != Mode::Session {
            return Ok(token::hash(presented));
        }
        match self.keys.verify(presented) {
            Ok(Some(access)) if access.is_session => Ok(access.session),
            _ => Err(Error::InvalidCredentials),
        }
    }

    /// The session that an access token was issued in.
    pub fn session_of(&self, access_token: &str) -> Option<String> {
        self.keys.verify(access_token).ok().flatten().map(|access| access.session)
    }

    /// The sessions of a user that go on, the latest to end first.
    pub async fn sessions(&self, schema: &Schema, user: &str, now: Timestamp) -> Result<Vec<OpenSession>> {
        self.store.open_sessions(schema, user, now).await
    }

    /// Ends one session of a user, by its id. Fails with `Forbidden` when the user has no such session.
    pub async fn end_session(&self, schema: &Arc<Schema>, user: &str, id: &str) -> Result<()> {
        let session = self.store.session(schema, id).await?;
        let owner = session.and_then(|session| session.owner());
        match owner {
            Some(Owner::User(owner)) if owner == user => {
                self.end_family(schema, Owner::User(owner), id.to_owned()).await
            }
            _ => Err(Error::Forbidden),
        }
    }

    /// Ends every session of a user.
    pub async fn end_all_sessions(&self, schema: &Arc<Schema>, user: &str) -> Result<()> {
        let (schema, user) = (schema.clone(), user.to_owned());
        let ended = self.store.db.repeatable_transaction(move |tx| {
            Box::pin(async move {
                Table::new(&schema, "directus_users")?.locked(tx, &["id"], "id", &user).await?;
                end_sessions(tx, &schema, &user, None).await
            })
        });
        ended.await?.into_inner();
        self.forget_everywhere().await;
        Ok(())
    }

    /// A record of what a user does to their own account.
    pub(super) fn record(
        &self,
        client: Client<'_>,
        action: &'static str,
        user: &str,
        now: Timestamp,
    ) -> Record {
        Record {
            action,
            user: user.to_owned(),
            now,
            ip: client.address.map(|address| address.to_string()),
            user_agent: client.user_agent.map(cut),
            origin: client.origin.map(cut),
        }
    }

    async fn tokens(&self, schema: &Schema, opened: Opened<'_>, now: Timestamp) -> Result<Tokens> {
        let Opened { owner, user, refresh_token, mode, client } = opened;
        // A share gives no more than itself.
        let (role, admin, app) = match (user, owner) {
            (Some(user), _) => {
                let directory = self.directory(schema).await?;
                let who = directory.who(Some(&user.id), user.role.as_deref(), client.address);
                (user.role.clone(), who.admin, who.app)
            }
            (None, Owner::Share(share)) => (self.role_of_share(schema, share).await?, false, false),
            (None, Owner::User(_)) => (None, false, false),
        };
        let is_session = mode == Mode::Session;
        let life = if is_session { self.session_ttl } else { self.access_token_ttl };
        let token =
            NewToken { owner, role, app, admin, session: &token::hash(&refresh_token), is_session, life };
        let access_token = self.keys.sign(token, now)?;
        Ok(Tokens { access_token, expires: life, refresh_token: (!is_session).then_some(refresh_token) })
    }

    fn new_session(
        &self,
        refresh_token: &str,
        owner: Owner,
        mode: Mode,
        client: Client<'_>,
        now: Timestamp,
    ) -> NewSession {
        let life = if mode == Mode::Session { self.session_ttl } else { self.refresh_token_ttl };
        NewSession {
            token: token::hash(refresh_token),
            owner,
            expires: later(now, life),
            ip: client.address.map(|address| address.to_string()),
            user_agent: client.user_agent.map(cut),
            origin: client.origin.map(cut),
        }
    }

    /// What has been over since then need not be told from what never was: no token of its family is alive any more.
    fn forgotten_before(&self, now: Timestamp) -> Timestamp {
        let longest = self.refresh_token_ttl.max(self.session_ttl);
        jiff::SignedDuration::try_from(longest)
            .ok()
            .and_then(|longest| now.checked_sub(longest).ok())
            .unwrap_or(Timestamp::MIN)
    }
}

/// A session that was just written.
struct Opened<'a> {
    owner: &'a Owner,
    user: Option<&'a User>,
    refresh_token: String,
    mode: Mode,
    client: Client<'a>,
}

#[derive(Clone)]
struct NewSession {
    token: String,
    owner: Owner,
    expires: Timestamp,
    ip: Option<String>,
    user_agent: Option<String>,
    origin: Option<String>,
}

fn cut(header: &str) -> String {
    header.chars().take(MOST_CHARACTERS).collect()
}

fn optional(value: Option<&String>) -> Scalar {
    value.map_or(Scalar::Null, |value| text(value))
}

async fn insert_session(tx: &mut Transaction, schema: &Schema, session: NewSession) -> Result<()> {
    let (column, owner) = match &session.owner {
        Owner::User(user) => ("user", user),
        Owner::Share(share) => ("share", share),
    };
    let row = vec![
        ("token", text(&session.token)),
        (column, text(owner)),
        ("expires", moment(session.expires)),
        ("ip", optional(session.ip.as_ref())),
        ("user_agent", optional(session.user_agent.as_ref())),
        ("origin", optional(session.origin.as_ref())),
    ];
    Table::new(schema, "directus_sessions")?.insert(tx, row).await
}

/// An active user, whose row stays as it is to the end of the transaction, and who was seen now.
async fn locked_user(tx: &mut Transaction, schema: &Schema, id: &str, now: Timestamp) -> Result<User> {
    let users = Table::new(schema, "directus_users")?;
    let rows = users.locked(tx, USER_COLUMNS, "id", id).await?;
    let user = rows.first().map(User::from_row).filter(User::is_active).ok_or(Error::InvalidCredentials)?;
    users.update(tx, id, vec![("last_access", moment(now))]).await?;
    Ok(user)
}

/// The owner of a session, who stays as they are to the end of the transaction; a user, where it is one.
async fn locked_owner(
    tx: &mut Transaction,
    schema: &Schema,
    owner: &Owner,
    now: Timestamp,
) -> Result<Option<User>> {
    match owner {
        Owner::User(id) => locked_user(tx, schema, id, now).await.map(Some),
        Owner::Share(id) => {
            let rows = Table::new(schema, "directus_shares")?.locked(tx, &["id"], "id", id).await?;
            if rows.is_empty() { Err(Error::InvalidCredentials) } else { Ok(None) }
        }
    }
}

/// Uses up the code that the user's second factor asks for, if there is one. Fails with `InvalidOtp`.
async fn use_code(
    tx: &mut Transaction,
    schema: &Schema,
    user: &User,
    code: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    let Some(kept) = &user.second_factor else { return Ok(()) };
    let mut factor = SecondFactor::parse(kept);
    if !code.is_some_and(|code| factor.accept(code, now)) {
        return Err(Error::InvalidOtp);
    }
    let users = Table::new(schema, "directus_users")?;
    users.update(tx, &user.id, vec![("tfa_secret", text(&factor.text()))]).await?;
    Ok(())
}

/// A record of what a user did to their own account.
#[derive(Clone)]
pub(super) struct Record {
    action: &'static str,
    user: String,
    now: Timestamp,
    ip: Option<String>,
    user_agent: Option<String>,
    origin: Option<String>,
}

/// Keeps a record in the activity.
pub(super) async fn note(tx: &mut Transaction, schema: &Schema, record: Record) -> Result<()> {
    let row = vec![
        ("action", text(record.action)),
        ("user", text(&record.user)),
        ("timestamp", moment(record.now)),
        ("ip", optional(record.ip.as_ref())),
        ("user_agent", optional(record.user_agent.as_ref())),
        ("collection", text("directus_users")),
        ("item", text(&record.user)),
        ("origin", optional(record.origin.as_ref())),
    ];
    Table::new(schema, "directus_activity")?.insert(tx, row).await
}

/// Ends the sessions of a user, but not the family of the one with this hash. Locks nothing but them: the user is locked.
pub(super) async fn end_sessions(
    tx: &mut Transaction,
    schema: &Schema,
    user: &str,
    but: Option<&str>,
) -> Result<()> {
    let all = sessions_of(tx, schema, &Owner::User(user.to_owned())).await?;
    let kept = but.map(|hash| family(&all, hash)).unwrap_or_default();
    let ended = all.iter().filter(|session| !kept.contains(session.token.as_str()));
    let ended: Vec<Scalar> = ended.map(|session| text(&session.token)).collect();
    if !ended.is_empty() {
        Table::new(schema, "directus_sessions")?.delete(tx, "token", &ended).await?;
    }
    Ok(())
}

/// Every session of an owner, alive or not.
async fn sessions_of(tx: &mut Transaction, schema: &Schema, owner: &Owner) -> Result<Vec<Session>> {
    let (column, key) = match owner {
        Owner::User(user) => ("user", user),
        Owner::Share(share) => ("share", share),
    };
    let sessions = Table::new(schema, "directus_sessions")?;
    let rows = sessions.locked(tx, SESSION_COLUMNS, column, key).await?;
    rows.iter().map(Session::from_row).collect()
}

async fn forget_old_sessions(
    tx: &mut Transaction,
    schema: &Schema,
    owner: &Owner,
    now: Timestamp,
    forgotten_before: Timestamp,
) -> Result<()> {
    let sessions = sessions_of(tx, schema, owner).await?;
    let is_old = |session: &&Session| {
        let ends = if session.next_token.is_some() { forgotten_before } else { now };
        session.expires < ends
    };
    let old: Vec<Scalar> = sessions.iter().filter(is_old).map(|session| text(&session.token)).collect();
    if !old.is_empty() {
        Table::new(schema, "directus_sessions")?.delete(tx, "token", &old).await?;
    }
    Ok(())
}

/// The hashes of a session, of those that it came of, and of those that came of it.
fn family<'s>(all: &'s [Session], hash: &'s str) -> HashSet<&'s str> {
    let next = |session: &'s Session| Some((session.token.as_str(), session.next_token.as_deref()?));
    let forwards: HashMap<&str, &str> = all.iter().filter_map(next).collect();
    let backwards: HashMap<&str, &str> = forwards.iter().map(|(old, new)| (*new, *old)).collect();
    let mut family = HashSet::from([hash]);
    for links in [forwards, backwards] {
        let mut at = hash;
        while let Some(step) = links.get(at).filter(|step| family.insert(step)) {
            at = step;
        }
    }
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_found_from_any_member() {
        let session = |token: &str, next: Option<&str>| Session {
            token: token.to_owned(),
            user: Some("u".to_owned()),
            expires: Timestamp::UNIX_EPOCH,
            next_token: next.map(str::to_owned),
            share: None,
        };
        let all = [
            session("a1", Some("a2")),
            session("a2", Some("a3")),
            session("a3", None),
            session("b1", Some("b2")),
            session("b2", None),
            session("c1", Some("c1")),
        ];
        let check = |hash, expected: &[&str]| {
            let mut found: Vec<&str> = family(&all, hash).into_iter().collect();
            found.sort_unstable();
            assert_eq!(found, expected, "{hash}");
        };
        check("a1", &["a1", "a2", "a3"]);
        check("a2", &["a1", "a2", "a3"]);
        check("a3", &["a1", "a2", "a3"]);
        check("b2", &["b1", "b2"]);
        check("c1", &["c1"]);
    }
}
