//! Who asks, and what that allows.
//!
//! Start at [`Context`]: it travels with every request to its end. Nothing is allowed unless [`AccessRules`] say so.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::filter::Filter;
use crate::schema::{CollectionId, FieldId, Schema};

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
    /// Client address.
    pub ip: Option<IpAddr>,
    /// `User-Agent` of the request, cut to 255 characters.
    pub user_agent: Option<String>,
    /// `Origin` of the request, cut to 255 characters.
    pub origin: Option<String>,
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

/// What a set of policies allows. Two callers with equal rules share one value and one [`AccessRules::id`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessRules {
    /// An administrator: everything.
    Everything,
    /// Nothing at all.
    Nothing,
}

/// What is allowed for one collection and action.
#[derive(Debug, Clone)]
pub struct CollectionRules {
    /// Rows that may be touched; `None` for all.
    pub rows: Option<Filter>,
    /// Fields that may be touched; `None` for all.
    pub fields: Option<Vec<FieldId>>,
}

impl AccessRules {
    /// Part of the key of everything that is cached per set of rights.
    pub fn id(&self) -> u64 {
        match self {
            AccessRules::Everything => 1,
            AccessRules::Nothing => 0,
        }
    }

    /// What is allowed for this collection and action; `None` when nothing is.
    pub fn collection(&self, _collection: CollectionId, _action: Action) -> Option<CollectionRules> {
        match self {
            AccessRules::Everything => Some(CollectionRules { rows: None, fields: None }),
            AccessRules::Nothing => None,
        }
    }
}
