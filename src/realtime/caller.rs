//! Who speaks over a socket, and what that allows now.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use uuid::Uuid;

use super::Desk;
use crate::access::{AccessRules, Accountability, Context};
use crate::auth::Client;
use crate::config::Secret;
use crate::error::Result;
use crate::schema::Schema;

/// From where a socket was opened.
#[derive(Debug, Clone, Default)]
pub(super) struct Identity {
    pub(super) address: Option<IpAddr>,
    pub(super) user_agent: Option<String>,
    pub(super) origin: Option<String>,
    pub(super) tenant: Option<String>,
}

impl Identity {
    pub(super) fn client(&self) -> Client<'_> {
        Client {
            address: self.address,
            user_agent: self.user_agent.as_deref(),
            origin: self.origin.as_deref(),
            tenant: self.tenant.as_deref(),
        }
    }
}

/// Somebody with a token, or a visitor.
pub(super) struct Caller {
    token: Option<Secret<String>>,
    identity: Identity,
    expires: Option<Timestamp>,
    /// As of the last look; nothing for somebody whose token is good no more.
    standing: ArcSwapOption<Standing>,
}

/// What somebody may do, under one model.
#[derive(Clone)]
pub(super) struct Standing {
    pub(super) accountability: Arc<Accountability>,
    pub(super) rules: Arc<AccessRules>,
    pub(super) schema: Arc<Schema>,
}

impl Standing {
    /// A request of theirs at this moment.
    pub(super) fn context(&self) -> Context {
        Context {
            accountability: self.accountability.clone(),
            rules: self.rules.clone(),
            schema: self.schema.clone(),
            now: Timestamp::now(),
            request_id: Uuid::now_v7(),
        }
    }
}

impl Caller {
    /// Whoever has this token. Fails with `InvalidCredentials` and its like when that is nobody.
    pub(super) async fn known(desk: &Desk, token: String, identity: &Identity) -> Result<Arc<Caller>> {
        let expires = desk.auth.end_of(&token);
        Self::new(desk, Some(Secret::new(token)), identity, expires).await
    }

    /// Somebody without one.
    pub(super) async fn visitor(desk: &Desk, identity: &Identity) -> Result<Arc<Caller>> {
        Self::new(desk, None, identity, None).await
    }

    async fn new(
        desk: &Desk,
        token: Option<Secret<String>>,
        identity: &Identity,
        expires: Option<Timestamp>,
    ) -> Result<Arc<Caller>> {
        let caller = Caller { token, identity: identity.clone(), expires, standing: ArcSwapOption::empty() };
        caller.context(desk).await?;
        Ok(Arc::new(caller))
    }

    /// When the token ends by itself.
    pub(super) fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// What somebody is asked by who looks at many at once.
    pub(super) fn bearer(&self) -> (Option<&str>, Client<'_>) {
        (self.token.as_ref().map(|token| token.expose().as_str()), self.identity.client())
    }

    /// A request of theirs at this moment. Fails with `InvalidCredentials` and its like when they may send none any more.
    pub(super) async fn context(&self, desk: &Desk) -> Result<Context> {
        let (schema, now) = (desk.schema(), Timestamp::now());
        let (token, client) = self.bearer();
        let (accountability, rules) = match token {
            Some(token) => desk.auth.authenticate(&schema, token, client, now).await?,
            None => desk.auth.visit(&schema, client, now).await?,
        };
        let standing = Standing { accountability, rules, schema };
        let context = standing.context();
        self.standing.store(Some(Arc::new(standing)));
        Ok(context)
    }

    /// What was found of them when somebody looked last.
    pub(super) fn standing(&self) -> Option<Arc<Standing>> {
        self.standing.load_full()
    }

    pub(super) fn stand(&self, standing: Option<Standing>) {
        self.standing.store(standing.map(Arc::new));
    }
}
