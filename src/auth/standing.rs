//! Those who stay: callers of open connections, who are judged anew whenever something changes.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use super::callers::Caller;
use super::store::{SESSION_COLUMNS, Session, User};
use super::token::AccessToken;
use super::{Authenticator, Client, Owner, static_hash, token};
use crate::access::{AccessRules, Accountability};
use crate::error::{Error, Result};
use crate::schema::Schema;

/// Values that one statement looks for.
const VALUES_AT_ONCE: usize = 500;

/// What a token says of whom it speaks for.
enum Claim {
    Visitor,
    Session(AccessToken),
    Static,
    Refused(Error),
}

impl Authenticator {
    /// Told whenever users, sessions or rights may have changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// When a token ends by itself; `None` for those that do not, and for what is no token.
    pub fn end_of(&self, token: &str) -> Option<Timestamp> {
        self.keys.verify(token).ok().flatten().map(|access| access.expires)
    }

    /// The same as [`Authenticator::authenticate`] and [`Authenticator::visit`] for many at once, in few statements and believing
    /// nothing of what was known before.
    pub async fn authenticate_all(
        &self,
        schema: &Arc<Schema>,
        bearers: &[(Option<&str>, Client<'_>)],
        now: Timestamp,
    ) -> Result<Vec<Result<(Arc<Accountability>, Arc<AccessRules>)>>> {
        // Another node may have changed it since it was read.
        self.directories.forget();
        let directory = self.directory(schema).await?;
        let claims: Vec<Claim> = bearers.iter().map(|(token, _)| self.claim(*token)).collect();
        let sessions = self.sessions_of_claims(schema, &claims).await?;
        let users = self.users_of_claims(schema, &claims).await?;
        let tokens: Vec<&str> = bearers
            .iter()
            .zip(&claims)
            .filter(|(_, claim)| matches!(claim, Claim::Static))
            .filter_map(|((token, _), _)| *token)
            .collect();
        let by_token = self.users_of_tokens(schema, &tokens).await?;
        let mut found = Vec::with_capacity(bearers.len());
        for ((token, client), claim) in bearers.iter().zip(claims) {
            let caller = match claim {
                Claim::Visitor => Ok(Caller::visitor()),
                Claim::Refused(error) => Err(error),
                Claim::Session(access) => {
                    let is_alive = sessions.get(&access.session).is_some_and(|session| {
                        session.owner().as_ref() == Some(&access.owner) && session.expires > now
                    });
                    match (&access.owner, is_alive) {
                        (_, false) => Err(Error::InvalidCredentials),
                        (Owner::User(id), true) => active(users.get(id)).map(|user| {
                            Caller::new(user, Some(access.expires)).in_session(Some(access.session))
                        }),
                        (Owner::Share(share), true) => match self.opened_share(schema, share, now).await {
                            Ok((share, ends)) => Ok(Caller::of_share(share, ends.min(access.expires))),
                            Err(error @ Error::ServiceUnavailable { .. }) => return Err(error),
                            Err(_) => Err(Error::InvalidCredentials),
                        },
                    }
                }
                Claim::Static => {
                    let token = token.unwrap_or_default();
                    let user = by_token.get(&static_hash(token)).or_else(|| by_token.get(token));
                    active(user).map(|user| Caller::new(user, None))
                }
            };
            found.push(caller.and_then(|caller| caller.speak(&directory, schema, *client, now)));
        }
        Ok(found)
    }

    fn claim(&self, token: Option<&str>) -> Claim {
        let Some(token) = token else { return Claim::Visitor };
        match self.keys.verify(token) {
            Ok(Some(access)) => Claim::Session(access),
            Ok(None) if token::may_be_static(token) => Claim::Static,
            Ok(None) => Claim::Refused(Error::InvalidCredentials),
            Err(error) => Claim::Refused(error),
        }
    }

    async fn sessions_of_claims(
        &self,
        schema: &Schema,
        claims: &[Claim],
    ) -> Result<HashMap<String, Session>> {
        let hashes: Vec<&str> = claims
            .iter()
            .filter_map(|claim| match claim {
                Claim::Session(access) => Some(access.session.as_str()),
                _ => None,
            })
            .collect();
        let mut sessions = HashMap::with_capacity(hashes.len());
        for hashes in hashes.chunks(VALUES_AT_ONCE) {
            let rows = self.store.rows(schema, "directus_sessions", SESSION_COLUMNS, "token", hashes).await?;
            for row in &rows {
                let session = Session::from_row(row)?;
                sessions.insert(session.token.clone(), session);
            }
        }
        Ok(sessions)
    }

    async fn users_of_claims(&self, schema: &Schema, claims: &[Claim]) -> Result<HashMap<String, User>> {
        let mut ids: Vec<&str> = claims
            .iter()
            .filter_map(|claim| match claim {
                Claim::Session(AccessToken { owner: Owner::User(user), .. }) => Some(user.as_str()),
                _ => None,
            })
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let mut users = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(VALUES_AT_ONCE) {
            let found = self.store.users(schema, "id", ids).await?;
            users.extend(found.into_iter().map(|user| (user.id.clone(), user)));
        }
        Ok(users)
    }

    /// Users by what is kept of their static tokens.
    async fn users_of_tokens(&self, schema: &Schema, tokens: &[&str]) -> Result<HashMap<String, User>> {
        let hashes: Vec<String> = tokens.iter().map(|token| static_hash(token)).collect();
        let mut kept: Vec<&str> = hashes.iter().map(String::as_str).chain(tokens.iter().copied()).collect();
        kept.sort_unstable();
        kept.dedup();
        let mut users = HashMap::with_capacity(tokens.len());
        for kept in kept.chunks(VALUES_AT_ONCE) {
            let found = self.store.users(schema, "token", kept).await?;
            users.extend(found.into_iter().filter_map(|user| Some((user.token.clone()?, user))));
        }
        Ok(users)
    }
}

fn active(user: Option<&User>) -> Result<User> {
    user.filter(|user| user.is_active()).cloned().ok_or(Error::InvalidCredentials)
}
