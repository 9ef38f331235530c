//! What a set of policies allows, per collection and action.
//!
//! Rows and fields are united: a row may be touched when some permission says so, a field of a row when some permission that
//! names the field finds that row.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Action;
use super::app_access;
use super::directory::{Policy, Who};
use super::permission::{Fields, Permission, Rows};
use super::share::Shared;
use super::subjects::{self, Subject};
use super::tenancy::{self, TenantRule};
use crate::error::Result;
use crate::filter::{self, Env, Filter, Found, Syntax, Variables};
use crate::schema::{CollectionId, FieldId, Schema};

/// Fields of users that decide over rights or identity: `*` does not mean them where something is written, only their names do.
const USER_FIELDS_BY_NAME: &[&str] =
    &["role", "policies", "status", "provider", "external_identifier", "auth_data", "token", "tfa_secret"];

static EVERYTHING: LazyLock<Arc<CollectionRules>> = LazyLock::new(Arc::default);

/// What a set of policies allows. Two callers with equal rules share one value and one [`AccessRules::id`].
#[derive(Debug)]
pub enum AccessRules {
    /// An administrator: everything.
    Everything,
    /// Nothing at all.
    Nothing,
    /// What permissions say.
    Limited(Limited),
    /// One item that somebody shared.
    Shared(Shared),
    /// Less than others allow, for one request.
    Narrowed(Narrowed),
}

/// What other rules allow, with the reading of one collection allowed otherwise.
#[derive(Debug)]
pub struct Narrowed {
    id: u64,
    inner: Arc<AccessRules>,
    collection: CollectionId,
    rules: Arc<CollectionRules>,
}

impl AccessRules {
    /// Part of the key of everything that is cached per set of rights.
    pub fn id(&self) -> u64 {
        match self {
            AccessRules::Everything => 1,
            AccessRules::Nothing => 0,
            AccessRules::Limited(limited) => limited.id,
            AccessRules::Shared(shared) => shared.id,
            AccessRules::Narrowed(narrowed) => narrowed.id,
        }
    }

    /// What is allowed for this collection and action at this moment; `None` when nothing is.
    pub fn collection(
        &self,
        collection: CollectionId,
        action: Action,
        now: Timestamp,
    ) -> Option<Arc<CollectionRules>> {
        match self {
            AccessRules::Everything => Some(EVERYTHING.clone()),
            AccessRules::Nothing => None,
            AccessRules::Limited(limited) => limited.collection(collection, action, now),
            AccessRules::Shared(shared) => shared.collection(collection, action, now),
            AccessRules::Narrowed(narrowed) => match action {
                Action::Read if collection == narrowed.collection => Some(narrowed.rules.clone()),
                _ => narrowed.inner.collection(collection, action, now),
            },
        }
    }

    /// The tenants whose rows may be touched, as filters on the collections of tenants; `None` for everybody's.
    pub fn tenants(&self, schema: &Schema, now: Timestamp) -> Option<Vec<(CollectionId, Filter)>> {
        match self {
            AccessRules::Everything => None,
            AccessRules::Nothing => Some(Vec::new()),
            AccessRules::Limited(limited) => {
                let belonging = |id| (id, limited.belonging(id, None, now));
                Some(tenancy::collections(schema).into_iter().map(belonging).collect())
            }
            AccessRules::Shared(shared) => shared.tenants(schema, now),
            AccessRules::Narrowed(narrowed) => narrowed.inner.tenants(schema, now),
        }
    }

    /// The same rules, with these for reading one collection.
    pub fn narrowed(inner: Arc<AccessRules>, collection: CollectionId, rules: CollectionRules) -> Self {
        AccessRules::Narrowed(Narrowed { id: next_id(), inner, collection, rules: Arc::new(rules) })
    }

    /// Whether this is an administrator.
    pub fn is_everything(&self) -> bool {
        matches!(self, AccessRules::Everything)
    }
}

/// A number for a set of rights that is like no other.
pub(super) fn next_id() -> u64 {
    // 0 and 1 are taken by those who may do nothing and everything.
    static NEXT: AtomicU64 = AtomicU64::new(2);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// What is allowed for one collection and action.
#[derive(Debug, Default)]
pub struct CollectionRules {
    /// Rows that may be touched; `None` for all.
    pub rows: Option<Filter>,
    /// Fields that may be touched.
    pub fields: FieldRules,
    /// Some of these must be true of an item that is sent; none means that everything is.
    pub validations: Vec<Syntax>,
    /// Values filled in where the request has none; a later permission has the last word.
    pub presets: Map<String, Value>,
    /// Whose a row is, where rows belong to tenants; [`CollectionRules::rows`] says so already for rows that are there.
    pub tenant: Option<TenantRule>,
    /// A filter names the moment, so that this serves one request only.
    pub is_momentary: bool,
}

/// Fields that may be touched.
#[derive(Debug, Default, Clone, PartialEq)]
pub enum FieldRules {
    /// All, in every row that may be touched.
    #[default]
    All,
    /// These; those with a filter in the rows it finds only.
    Some(HashMap<FieldId, Option<Filter>>),
}

impl FieldRules {
    /// Whether this field may be touched in any row.
    pub fn contains(&self, field: FieldId) -> bool {
        match self {
            FieldRules::All => true,
            FieldRules::Some(fields) => fields.contains_key(&field),
        }
    }

    /// The rows in which this field may be touched, where that is not all of them.
    pub fn rows_of(&self, field: FieldId) -> Option<&Filter> {
        match self {
            FieldRules::All => None,
            FieldRules::Some(fields) => fields.get(&field).and_then(Option::as_ref),
        }
    }
}

/// What was fitted to the model so far; `None` where nothing is allowed.
type Known = HashMap<(CollectionId, Action), Option<Arc<CollectionRules>>>;

/// What permissions allow to one set of policies (and to one user, where they name the user) under one model.
///
/// Filters are fitted to the model when a collection is first asked for.
pub struct Limited {
    id: u64,
    schema: Arc<Schema>,
    who: Who,
    policies: Vec<Arc<Policy>>,
    known: RwLock<Known>,
}

impl std::fmt::Debug for Limited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limited").field("id", &self.id).field("who", &self.who).finish_non_exhaustive()
    }
}

impl Limited {
    /// Nothing is fitted to the model yet.
    pub fn new(policies: Vec<Arc<Policy>>, schema: Arc<Schema>, who: Who) -> Self {
        Limited { id: next_id(), schema, who, policies, known: RwLock::default() }
    }

    fn collection(
        &self,
        collection: CollectionId,
        action: Action,
        now: Timestamp,
    ) -> Option<Arc<CollectionRules>> {
        let place = (collection, action);
        if let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&place) {
            return known.clone();
        }
        let rules = self.unite(collection, action, now).map(Arc::new);
        if rules.as_ref().is_none_or(|rules| !rules.is_momentary) {
            self.known.write().unwrap_or_else(PoisonError::into_inner).insert(place, rules.clone());
        }
        rules
    }

    /// The permissions that count for this collection and action.
    pub fn permissions(&self, collection: CollectionId, action: Action) -> Vec<Arc<Permission>> {
        let name = &self.schema.collection(collection).name;
        let mut permissions: Vec<Arc<Permission>> =
            self.policies.iter().flat_map(|policy| policy.permissions(name, action)).cloned().collect();
        if self.who.app {
            permissions.extend(app_access::permissions(name, action).iter().cloned());
        }
        permissions
    }

    /// One permission's rows as a filter that fits the model; `None` for all rows.
    ///
    /// Fails where it names what is not there: such a permission allows nothing.
    pub fn rows(
        &self,
        permission: &Permission,
        id: CollectionId,
        found: &mut Found,
        now: Timestamp,
    ) -> Result<Option<Filter>> {
        let Rows::Where(syntax) = &permission.rows else { return Ok(None) };
        filter::resolve(&self.env(now), found, id, syntax).map(Some)
    }

    /// Rules may name everything.
    fn env(&self, now: Timestamp) -> Env<'_> {
        let who = &self.who;
        Env {
            schema: &self.schema,
            variables: Variables {
                now,
                user: who.user.as_deref(),
                role: who.role.as_deref(),
                roles: &who.roles,
                policies: &who.policies,
                own: None,
            },
            may_read: &|_, _| true,
            is_open: &|_| true,
            is_rule: true,
        }
    }

    /// The paths from the user that presets and validations name, without their `$CURRENT_USER.`.
    pub fn own_paths(&self) -> impl Iterator<Item = &str> {
        self.policies.iter().flat_map(|policy| policy.own_paths()).map(|path| &**path)
    }

    /// Whether a permission names this field.
    pub fn names(&self, permission: &Permission, id: CollectionId, field: FieldId) -> bool {
        self.fields(permission, id).is_none_or(|fields| fields.contains(&field))
    }

    /// The rows of a collection that belong to a tenant of the caller; the tenants themselves without a field that names one.
    pub fn belonging(&self, tenants: CollectionId, field: Option<FieldId>, now: Timestamp) -> Filter {
        let chosen = self.who.tenant.as_deref();
        tenancy::rows(field, tenancy::mine(&self.env(now), &mut Found::default(), tenants, chosen))
    }

    fn unite(&self, id: CollectionId, action: Action, now: Timestamp) -> Option<CollectionRules> {
        let mut found = Found::default();
        let mut parts: Vec<Part> = Vec::new();
        for permission in self.permissions(id, action) {
            match self.rows(&permission, id, &mut found, now) {
                Ok(rows) => parts.push(Part { fields: self.fields(&permission, id), rows, permission }),
                Err(error) => tracing::warn!(
                    policy = &*permission.policy, collection = &*permission.collection,
                    action = action.name(), %error,
                    "a permission does not fit the model and allows nothing"
                ),
            }
        }
        if parts.is_empty() {
            return None;
        }
        let mut presets = Map::new();
        for part in &parts {
            presets.extend(part.permission.presets.clone());
        }
        let validations: Option<Vec<Syntax>> =
            parts.iter().map(|part| part.permission.validation.clone()).collect();
        let every: Vec<&Part> = parts.iter().collect();
        let mut rows = any_row(&every);
        let mut tenant = None;
        if let Some((tenants, field)) = tenancy::owner(&self.schema, id) {
            let mine = tenancy::mine(&self.env(now), &mut found, tenants, self.who.tenant.as_deref());
            let belonging = tenancy::rows(field, mine.clone());
            rows = Some(both(belonging, rows));
            tenant = field.map(|field| TenantRule { field, tenants, mine });
        }
        for (field, tenants, named_by) in tenancy::joined(&self.schema, id) {
            let mine = tenancy::mine(&self.env(now), &mut found, tenants, self.who.tenant.as_deref());
            let filter = Box::new(tenancy::rows(named_by, mine));
            rows = Some(both(Filter::ToOne { field, filter }, rows));
        }
        let mut united = CollectionRules {
            rows,
            tenant,
            fields: self.field_rules(id, &parts),
            validations: validations.unwrap_or_default(),
            presets,
            is_momentary: found.names_moment,
        };
        if let Some(subject) = subjects::of(&self.schema, id).filter(|_| action != Action::Create) {
            self.keep_to_items(&mut united, id, &subject, now);
        }
        Some(united)
    }

    /// Rows about items are those about items that may be read.
    fn keep_to_items(
        &self,
        rules: &mut CollectionRules,
        id: CollectionId,
        subject: &Subject,
        now: Timestamp,
    ) {
        let mut seen = Vec::new();
        let mut open = Vec::new();
        for (other, collection) in self.schema.collections() {
            // Nobody writes about what is written about items.
            if collection.key().is_none() || subjects::of(&self.schema, other).is_some() {
                continue;
            }
            let Some(readable) = self.collection(other, Action::Read, now) else { continue };
            rules.is_momentary |= readable.is_momentary;
            seen.push(subject.about(other, &readable));
            if subjects::is_open(collection, &readable) {
                open.push(collection);
            }
        }
        // Rules of others than users of the admin UI may be shared by several users, so they cannot name one.
        if let Some(user) = self.who.user.as_deref().filter(|_| self.who.app) {
            seen.extend(subject.done_by(user));
        }
        rules.rows = Some(both(Filter::Or(seen), rules.rows.take()));
        let fields = std::mem::take(&mut rules.fields);
        rules.fields = subject.narrow(self.schema.collection(id), fields, open.into_iter());
    }

    /// The fields that a permission names; `None` for all.
    fn fields(&self, permission: &Permission, id: CollectionId) -> Option<Vec<FieldId>> {
        let collection = self.schema.collection(id);
        match &permission.fields {
            Fields::All
                if &*collection.name == "directus_users"
                    && matches!(permission.action, Action::Create | Action::Update) =>
            {
                let is_meant = |name: &str| !USER_FIELDS_BY_NAME.contains(&name);
                Some(
                    collection
                        .fields()
                        .filter(|(_, field)| is_meant(&field.name))
                        .map(|(id, _)| id)
                        .collect(),
                )
            }
            Fields::All => None,
            Fields::Named(names) => Some(names.iter().filter_map(|name| collection.find(name)).collect()),
        }
    }

    fn field_rules(&self, id: CollectionId, parts: &[Part]) -> FieldRules {
        if parts.iter().all(|part| part.fields.is_none()) {
            return FieldRules::All;
        }
        let mut fields = HashMap::new();
        for (field, _) in self.schema.collection(id).fields() {
            let covering: Vec<&Part> = parts.iter().filter(|part| part.covers(field)).collect();
            if covering.is_empty() {
                continue;
            }
            let rows = if covering.len() == parts.len() { None } else { any_row(&covering) };
            fields.insert(field, rows);
        }
        FieldRules::Some(fields)
    }
}

fn both(one: Filter, other: Option<Filter>) -> Filter {
    match other {
        Some(other) => Filter::And(vec![one, other]),
        None => one,
    }
}

/// A permission, fitted to the model.
struct Part {
    permission: Arc<Permission>,
    rows: Option<Filter>,
    fields: Option<Vec<FieldId>>,
}

impl Part {
    fn covers(&self, field: FieldId) -> bool {
        self.fields.as_ref().is_none_or(|fields| fields.contains(&field))
    }
}

/// The rows that one of these finds at least; `None` for all.
fn any_row(parts: &[&Part]) -> Option<Filter> {
    let mut filters: Vec<Filter> = Vec::with_capacity(parts.len());
    for part in parts {
        let filter = part.rows.as_ref()?;
        if !filters.contains(filter) {
            filters.push(filter.clone());
        }
    }
    Some(if filters.len() == 1 { filters.remove(0) } else { Filter::Or(filters) })
}
