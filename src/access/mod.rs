//! Who asks, and what that allows.
//!
//! Start at [`Context`]: it travels with every request to its end. [`Directory`] holds the roles, policies and permissions as the
//! database has them; [`Directory::rules`] makes the [`AccessRules`] of one set of policies. Nothing is allowed unless they say
//! so.

mod address;
mod app_access;
mod directory;
mod permission;
mod rules;
mod share;
mod subjects;
mod tenancy;

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::filter::Variables;
use crate::schema::{CollectionId, Schema};

pub use address::AddressList;
pub use directory::{Directory, Grant, Policy, PolicyRow, Role, Who};
pub use permission::{Fields, Permission, PermissionRow, Rows};
pub use rules::{AccessRules, CollectionRules, FieldRules, Limited, Narrowed};
pub use share::{Share, Shared};
pub use tenancy::{TenantRule, joined, owner};

/// Everything a request is judged by; the snapshots in it stay the same to the end.
#[derive(Debug, Clone)]
pub struct Context {
    /// Who asks.
    pub accountability: Arc<Accountability>,
    /// What that allows.
    pub rules: Arc<AccessRules>,
    /// The model.
    pub schema: Arc<Schema>,
    /// The moment the request came in.
    pub now: Timestamp,
    /// Names the request in logs and answers.
    pub request_id: Uuid,
}

impl Context {
    /// What is allowed for this collection and action; `None` when nothing is.
    pub fn allowed(&self, collection: CollectionId, action: Action) -> Option<Arc<CollectionRules>> {
        self.rules.collection(collection, action, self.now)
    }

    /// Whether no item of a collection is hidden from the caller.
    pub fn sees_every_item(&self, collection: CollectionId) -> bool {
        self.allowed(collection, Action::Read).is_some_and(|rules| rules.rows.is_none())
    }

    /// What the variables of filters, presets and validations stand for.
    pub fn variables(&self) -> Variables<'_> {
        self.accountability.variables(self.now)
    }
}

/// Who asks.
#[derive(Debug, Clone, Default)]
pub struct Accountability {
    /// Key of the user; `None` for visitors and for the server itself.
    pub user: Option<String>,
    /// The user's role.
    pub role: Option<String>,
    /// The role and those it descends from.
    pub roles: Vec<String>,
    /// Policies in force.
    pub policies: Vec<String>,
    /// A policy gives everything.
    pub admin: bool,
    /// A policy opens the admin UI.
    pub app: bool,
    /// The tenant that was chosen among one's own.
    pub tenant: Option<String>,
    /// Client address.
    pub ip: Option<IpAddr>,
    /// `User-Agent` of the request, cut to 255 characters.
    pub user_agent: Option<String>,
    /// `Origin` of the request, cut to 255 characters.
    pub origin: Option<String>,
    /// What `$CURRENT_USER.path` stands for in presets and validations, by its path; read when something is written.
    pub own: Option<Map<String, Value>>,
    /// The session in which it is asked, by its hash; `None` for static tokens.
    pub session: Option<String>,
}

impl Accountability {
    /// What the variables of filters stand for at this moment.
    pub fn variables(&self, now: Timestamp) -> Variables<'_> {
        Variables {
            now,
            user: self.user.as_deref(),
            role: self.role.as_deref(),
            roles: &self.roles,
            policies: &self.policies,
            own: self.own.as_ref(),
        }
    }
}

/// What may be done to items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Make an item.
    Create,
    /// See it.
    Read,
    /// Change it.
    Update,
    /// Remove it.
    Delete,
    /// Give others access to it.
    Share,
}

impl Action {
    /// Every action.
    pub const ALL: [Action; 5] =
        [Action::Create, Action::Read, Action::Update, Action::Delete, Action::Share];

    /// The name that permissions have for it.
    pub fn name(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Read => "read",
            Action::Update => "update",
            Action::Delete => "delete",
            Action::Share => "share",
        }
    }

    /// The action of this name.
    pub fn find(name: &str) -> Option<Self> {
        Action::ALL.into_iter().find(|action| action.name() == name)
    }
}
