//! Roles, policies, access and permissions, as they were at one moment.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use moka::sync::Cache;

use super::rules::{AccessRules, Limited};
use super::share::ShareKey;
use super::tenancy;
use super::{Action, AddressList, Permission, PermissionRow};
use crate::schema::Schema;

/// Most roles that one may descend from.
const MOST_ROLES: usize = 100;
/// Sets of rules that are kept; one per set of policies, and per user where rules name the user.
const MOST_RULES: u64 = 20_000;
/// Shares whose rules are kept.
const MOST_SHARES: u64 = 5_000;

/// A row of `directus_roles`.
#[derive(Debug, Clone)]
pub struct Role {
    /// Key.
    pub id: String,
    /// The role above, whose policies it has, too.
    pub parent: Option<String>,
}

/// A row of `directus_policies`.
#[derive(Debug, Clone)]
pub struct PolicyRow {
    /// Key.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Allows everything.
    pub admin: bool,
    /// Opens the admin UI.
    pub app: bool,
    /// Demands a second factor.
    pub enforce_tfa: bool,
    /// Addresses from which it is in force, separated by commas.
    pub ip_access: String,
}

/// A row of `directus_access`: a policy given to a role, to a user, or (neither) to visitors.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Role.
    pub role: Option<String>,
    /// User.
    pub user: Option<String>,
    /// Policy.
    pub policy: String,
    /// Position among those of the same role or user.
    pub sort: i64,
}

/// A policy with its permissions.
#[derive(Debug)]
pub struct Policy {
    /// The row.
    pub row: PolicyRow,
    /// Where it is in force.
    pub addresses: AddressList,
    permissions: HashMap<(Arc<str>, Action), Vec<Arc<Permission>>>,
    is_personal: bool,
    own_paths: Vec<Arc<str>>,
}

impl Policy {
    /// What it allows for this collection and action.
    pub fn permissions(&self, collection: &Arc<str>, action: Action) -> &[Arc<Permission>] {
        self.permissions.get(&(collection.clone(), action)).map_or(&[], Vec::as_slice)
    }

    /// Paths behind `$CURRENT_USER.` in presets and validations.
    pub fn own_paths(&self) -> &[Arc<str>] {
        &self.own_paths
    }

    /// Everything it allows.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Permission>> {
        self.permissions.values().flatten()
    }
}

/// What a caller is, by the roles and policies in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Who {
    /// Key of the user; `None` for visitors.
    pub user: Option<String>,
    /// The user's role.
    pub role: Option<String>,
    /// The role and those it descends from.
    pub roles: Vec<String>,
    /// Policies in force, those of the outermost role first.
    pub policies: Vec<String>,
    /// One of them allows everything.
    pub admin: bool,
    /// One of them opens the admin UI.
    pub app: bool,
    /// One of them demands a second factor.
    pub enforce_tfa: bool,
    /// The tenant that was chosen among the caller's own.
    pub tenant: Option<String>,
}

/// A snapshot of who may do what. Made anew when one of its tables changes.
pub struct Directory {
    roles: HashMap<String, Role>,
    policies: HashMap<String, Arc<Policy>>,
    grants: Vec<Grant>,
    rules: Cache<RulesKey, Arc<AccessRules>>,
    pub(super) shared: Cache<ShareKey, Arc<AccessRules>>,
    everything: Arc<AccessRules>,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").field("policies", &self.policies.len()).finish_non_exhaustive()
    }
}

/// What rules depend on.
#[derive(Debug, PartialEq, Eq, Hash)]
struct RulesKey {
    schema: u64,
    policies: Vec<String>,
    app: bool,
    /// Only where a rule names the user or the role.
    person: Option<Person>,
}

/// What the variables of a rule stand for.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Person {
    user: Option<String>,
    role: Option<String>,
    roles: Vec<String>,
    tenant: Option<String>,
}

impl Directory {
    /// Puts the rows together. A permission that cannot be read allows nothing, and is reported.
    pub fn new(
        roles: Vec<Role>,
        policies: Vec<PolicyRow>,
        mut grants: Vec<Grant>,
        permissions: &[PermissionRow],
    ) -> Self {
        let mut policies: HashMap<String, Policy> = policies
            .into_iter()
            .map(|row| {
                let addresses = AddressList::parse(&row.ip_access);
                let policy = Policy {
                    addresses,
                    permissions: HashMap::new(),
                    is_personal: false,
                    own_paths: Vec::new(),
                    row,
                };
                (policy.row.id.clone(), policy)
            })
            .collect();
        for row in permissions {
            let Some(policy) = policies.get_mut(&row.policy) else { continue };
            match Permission::read(row) {
                Ok(Some(permission)) => {
                    policy.is_personal |= permission.is_personal;
                    policy.own_paths.extend(permission.own_paths.iter().cloned());
                    let place = (permission.collection.clone(), permission.action);
                    policy.permissions.entry(place).or_default().push(Arc::new(permission));
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(
                    permission = row.id, collection = row.collection, action = row.action, %error,
                    "a permission cannot be read and allows nothing"
                ),
            }
        }
        grants.sort_by_key(|grant| grant.sort);
        let policies = policies.into_iter().map(|(id, policy)| (id, Arc::new(policy))).collect();
        Directory {
            roles: roles.into_iter().map(|role| (role.id.clone(), role)).collect(),
            policies,
            grants,
            rules: Cache::new(MOST_RULES),
            shared: Cache::new(MOST_SHARES),
            everything: Arc::new(AccessRules::Everything),
        }
    }

    /// A policy by its key.
    pub fn policy(&self, id: &str) -> Option<&Arc<Policy>> {
        self.policies.get(id)
    }

    /// What this user is (a visitor, without one) when asking from this address.
    ///
    /// Somebody without a role has the policies of visitors, too.
    pub fn who(&self, user: Option<&str>, role: Option<&str>, address: Option<IpAddr>) -> Who {
        let mut who = Who {
            user: user.map(str::to_owned),
            role: role.map(str::to_owned),
            roles: self.ancestry(role),
            ..Who::default()
        };
        for (policy, _) in self.given(user, role) {
            if !policy.addresses.admits(address) || who.policies.contains(&policy.row.id) {
                continue;
            }
            who.policies.push(policy.row.id.clone());
            who.admin |= policy.row.admin;
            who.app |= policy.row.app || policy.row.admin;
            who.enforce_tfa |= policy.row.enforce_tfa;
        }
        who
    }

    /// The policies given to a user (a visitor, without one), in force or not, each with what gives it: `visitors`, `role` or
    /// `user`. Those of the outermost role come first.
    pub fn given(
        &self,
        user: Option<&str>,
        role: Option<&str>,
    ) -> impl Iterator<Item = (&Arc<Policy>, &'static str)> {
        let is_to = |grant: &Grant, role: Option<&str>, user: Option<&str>| {
            grant.role.as_deref() == role && grant.user.as_deref() == user
        };
        let mut given: Vec<(&Grant, &'static str)> = Vec::new();
        if role.is_none() {
            let to_visitors = self.grants.iter().filter(|grant| is_to(grant, None, None));
            given.extend(to_visitors.map(|grant| (grant, "visitors")));
        }
        for role in self.ancestry(role).iter().rev() {
            let to_role = self.grants.iter().filter(|grant| is_to(grant, Some(role), None));
            given.extend(to_role.map(|grant| (grant, "role")));
        }
        if user.is_some() {
            let to_user = self.grants.iter().filter(|grant| is_to(grant, None, user));
            given.extend(to_user.map(|grant| (grant, "user")));
        }
        given.into_iter().filter_map(|(grant, by)| Some((self.policies.get(&grant.policy)?, by)))
    }

    /// The role and those above it, each of them once: a circle ends where it began.
    fn ancestry(&self, role: Option<&str>) -> Vec<String> {
        let mut roles: Vec<String> = Vec::new();
        let mut next = role.and_then(|role| self.roles.get(role));
        while let Some(role) = next.filter(|role| roles.len() < MOST_ROLES && !roles.contains(&role.id)) {
            roles.push(role.id.clone());
            next = role.parent.as_ref().and_then(|parent| self.roles.get(parent));
        }
        roles
    }

    /// What that allows under this model. Callers with equal policies share one value, unless a rule names the user.
    pub fn rules(&self, schema: &Arc<Schema>, who: &Who) -> Arc<AccessRules> {
        if who.admin {
            return self.everything.clone();
        }
        let policies: Vec<Arc<Policy>> =
            who.policies.iter().filter_map(|id| self.policies.get(id)).cloned().collect();
        let is_personal =
            who.app || policies.iter().any(|policy| policy.is_personal) || tenancy::is_used(schema);
        let person = is_personal.then(|| Person {
            user: who.user.clone(),
            role: who.role.clone(),
            roles: who.roles.clone(),
            tenant: who.tenant.clone(),
        });
        let key = RulesKey { schema: schema.version, policies: who.policies.clone(), app: who.app, person };
        self.rules.get_with(key, || {
            Arc::new(AccessRules::Limited(Limited::new(policies, schema.clone(), who.clone())))
        })
    }
}
