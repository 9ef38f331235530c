//! Taking home what the rows say and the files do not: each difference as a small edit of the file that speaks of it.
//!
//! [`differences`] is pure; `pull` and the write-back of changes over the API both write what it finds.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::declared::{PUBLIC, derived_id};
use super::plan::{ADMINISTRATOR, grant_key};
use super::rows::{Access, Found, Keyed, POLICY_ICON, ROLE_ICON, RightRef, Target, meaning, text};
use crate::project::sheet::Entry;

/// Where an edit goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// `_access.yaml`.
    Access,
    /// The file of this collection.
    Collection(String),
}

/// One edit: what is to stand at a path. `None` for nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    pub place: Place,
    pub path: Vec<String>,
    pub value: Option<Value>,
}

/// Which differences count.
pub enum Wanted<'a> {
    /// All of them, except what was not applied yet: of that only `made` tells what was removed.
    All {
        /// What was made by the last change.
        made: &'a Access,
    },
    /// Those between the rows and what was applied last: what somebody changed since.
    Since(&'a Access),
}

/// The edits that make files say what the rows say. `has_file` tells whether a collection has a file to speak in.
pub fn differences(
    access: &Access,
    found: &Found,
    wanted: &Wanted<'_>,
    has_file: impl Fn(&str) -> bool,
) -> Vec<Edit> {
    let administrators: BTreeSet<&str> = found
        .policies
        .iter()
        .filter(|(_, policy)| policy.get("admin_access") == Some(&json!(true)) && is_first(policy))
        .map(|(id, _)| id.as_str())
        .collect();
    let mut home = Home { access, found, wanted, administrators, edits: Vec::new() };
    let (roles, policies) = home.keys();
    home.roles(&roles, &policies);
    home.policies(&policies);
    home.grants(&roles, &policies);
    home.permissions(&policies, has_file);
    home.edits
}

fn is_first(entry: &Entry) -> bool {
    text(entry, "name") == Some(ADMINISTRATOR)
}

struct Home<'a> {
    access: &'a Access,
    found: &'a Found,
    wanted: &'a Wanted<'a>,
    administrators: BTreeSet<&'a str>,
    edits: Vec<Edit>,
}

/// Key in the files by key of the row, and whether it stands there already.
type Keys = BTreeMap<String, (String, bool)>;

impl<'a> Home<'a> {
    fn push(&mut self, place: Place, path: &[&str], value: Option<Value>) {
        let path = path.iter().map(|step| (*step).to_owned()).collect();
        self.edits.push(Edit { place, path, value });
    }

    /// What was there when the files were applied last.
    fn applied(&self) -> &'a Access {
        match self.wanted {
            Wanted::All { made } => made,
            Wanted::Since(applied) => applied,
        }
    }

    /// Whether a row as it is now is news.
    fn is_news(&self, applied: Option<&Entry>, now: &Entry) -> bool {
        match self.wanted {
            Wanted::All { .. } => true,
            Wanted::Since(_) => applied.is_none_or(|applied| {
                applied.iter().any(|(name, value)| now.get(name).unwrap_or(&Value::Null) != value)
            }),
        }
    }

    fn keys(&self) -> (Keys, Keys) {
        let given_by: BTreeMap<&str, &str> = self
            .found
            .grants
            .values()
            .filter_map(|grant| Some((text(grant, "role")?, text(grant, "policy")?)))
            .collect();
        let is_left_out = |id: &str, entry: &Entry| {
            is_first(entry) && given_by.get(id).is_some_and(|policy| self.administrators.contains(policy))
        };
        let roles = keys(&self.access.roles, &self.found.roles, is_left_out);
        let policies =
            keys(&self.access.policies, &self.found.policies, |id, _| self.administrators.contains(id));
        (roles, policies)
    }

    fn roles(&mut self, roles: &Keys, policies: &Keys) {
        for (id, entry) in &self.found.roles {
            let Some((key, is_declared)) = roles.get(id) else { continue };
            let applied = entry_of(&self.applied().roles, id);
            if !self.is_news(applied, entry) {
                continue;
            }
            let parent =
                text(entry, "parent").and_then(|parent| roles.get(parent)).map(|(key, _)| json!(key));
            let said = [
                ("name", said(entry, "name", key)),
                ("icon", said(entry, "icon", ROLE_ICON)),
                ("description", said(entry, "description", "")),
                ("parent", parent),
            ];
            if !is_declared {
                let mut value = with_id(id, "role", key);
                value.extend(said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
                let mut given: Vec<(i64, &String)> = Vec::new();
                for grant in self.found.grants.values() {
                    let (policy, to) = grant_key(grant);
                    if to == Target::Role(id.clone())
                        && let Some((policy, _)) = policies.get(&policy)
                    {
                        given.push((grant.get("sort").and_then(Value::as_i64).unwrap_or(0), policy));
                    }
                }
                given.sort();
                if !given.is_empty() {
                    let given: Vec<&String> = given.into_iter().map(|(_, policy)| policy).collect();
                    value.insert("policies".to_owned(), json!(given));
                }
                self.push(Place::Access, &["roles", key], Some(Value::Object(value)));
                continue;
            }
            let Some(declared) = entry_of(&self.access.roles, id) else { continue };
            for (name, value) in said {
                if declared.get(name).unwrap_or(&Value::Null) != entry.get(name).unwrap_or(&Value::Null) {
                    self.push(Place::Access, &["roles", key, name], value);
                }
            }
        }
        self.removed("roles", &self.access.roles, &self.found.roles, &self.applied().roles);
    }

    fn policies(&mut self, policies: &Keys) {
        for (id, entry) in &self.found.policies {
            let Some((key, is_declared)) = policies.get(id) else { continue };
            let applied = entry_of(&self.applied().policies, id);
            if !self.is_news(applied, entry) {
                continue;
            }
            let flag = |name: &str| (entry.get(name) == Some(&json!(true))).then_some(json!(true));
            let addresses = text(entry, "ip_access").filter(|list| !list.trim().is_empty());
            let addresses = addresses.map(|list| json!(list.split(',').map(str::trim).collect::<Vec<_>>()));
            let said = [
                ("name", "name", said(entry, "name", key)),
                ("icon", "icon", said(entry, "icon", POLICY_ICON)),
                ("description", "description", said(entry, "description", "")),
                ("admin", "admin_access", flag("admin_access")),
                ("app", "app_access", flag("app_access")),
                ("enforce_tfa", "enforce_tfa", flag("enforce_tfa")),
                ("ip_access", "ip_access", addresses),
            ];
            if !is_declared {
                let mut value = with_id(id, "policy", key);
                value.extend(said.into_iter().filter_map(|(name, _, value)| Some((name.to_owned(), value?))));
                self.push(Place::Access, &["policies", key], Some(Value::Object(value)));
                continue;
            }
            let Some(declared) = entry_of(&self.access.policies, id) else { continue };
            for (name, column, value) in said {
                if declared.get(column).unwrap_or(&Value::Null) != entry.get(column).unwrap_or(&Value::Null) {
                    self.push(Place::Access, &["policies", key, name], value);
                }
            }
        }
        self.removed("policies", &self.access.policies, &self.found.policies, &self.applied().policies);
    }

    /// What was made and is gone was removed by somebody.
    fn removed(
        &mut self,
        what: &str,
        declared: &[Keyed],
        found: &BTreeMap<String, Entry>,
        applied: &[Keyed],
    ) {
        for keyed in declared {
            let id = text(&keyed.entry, "id").unwrap_or_default();
            if !found.contains_key(id) && entry_of(applied, id).is_some() {
                self.push(Place::Access, &[what, &keyed.key], None);
            }
        }
    }

    fn grants(&mut self, roles: &Keys, policies: &Keys) {
        let resolve = |access: &Access| -> BTreeSet<(String, Target)> {
            let grants = access.grants.iter().filter_map(|grant| {
                let to = match &grant.to {
                    Target::User(named) => Target::User(self.found.user(named)?),
                    other => other.clone(),
                };
                Some((grant.policy.clone(), to))
            });
            grants.collect()
        };
        let (declared, applied) = (resolve(self.access), resolve(self.applied()));
        let found: BTreeSet<(String, Target)> = self.found.grants.values().map(grant_key).collect();
        let accounts: BTreeSet<&str> =
            self.access.accounts.iter().filter_map(|account| text(&account.entry, "id")).collect();
        for (policy, to) in found.difference(&declared) {
            let Some((key, _)) = policies.get(policy) else { continue };
            if matches!(self.wanted, Wanted::Since(_)) && applied.contains(&(policy.clone(), to.clone())) {
                continue;
            }
            match to {
                Target::Role(role) => {
                    // A new role came with its policies.
                    if roles.get(role).is_some_and(|(_, is_declared)| *is_declared)
                        && let Some((role, _)) = roles.get(role)
                    {
                        self.push(Place::Access, &["policies", key, "roles", "+"], Some(json!(role)));
                    }
                }
                Target::User(user) if accounts.contains(user.as_str()) => {}
                Target::User(user) => {
                    let email = self.found.users.get(user).and_then(|user| text(user, "email"));
                    let named = email.unwrap_or(user).to_owned();
                    self.push(Place::Access, &["policies", key, "users", "+"], Some(json!(named)));
                }
                Target::Visitors if key == PUBLIC => {}
                Target::Visitors => {
                    self.push(Place::Access, &["policies", key, "visitors"], Some(json!(true)));
                }
            }
        }
        for (policy, to) in declared.difference(&found) {
            if !applied.contains(&(policy.clone(), to.clone())) || !self.found.policies.contains_key(policy) {
                continue;
            }
            let Some((key, _)) = policies.get(policy) else { continue };
            match to {
                Target::Role(role) => {
                    if let Some((role, _)) = roles.get(role) {
                        self.push(Place::Access, &["policies", key, "roles", "-"], Some(json!(role)));
                        self.push(Place::Access, &["roles", role, "policies", "-"], Some(json!(key)));
                    }
                }
                Target::User(user) => {
                    let email = self.found.users.get(user).and_then(|user| text(user, "email"));
                    for named in [Some(user.as_str()), email].into_iter().flatten() {
                        self.push(Place::Access, &["policies", key, "users", "-"], Some(json!(named)));
                    }
                }
                Target::Visitors => self.push(Place::Access, &["policies", key, "visitors"], None),
            }
        }
    }

    fn permissions(&mut self, policies: &Keys, has_file: impl Fn(&str) -> bool) {
        // Of several rows for the same the first is the one that files speak of.
        let mut found: BTreeMap<RightRef<'_>, &Entry> = BTreeMap::new();
        for entry in self.found.permissions.values() {
            let part = |name: &str| text(entry, name).unwrap_or_default();
            found.entry((part("policy"), part("collection"), part("action"))).or_insert(entry);
        }
        let (declared, applied) = (&self.access.permissions, &self.applied().permissions);
        let row = |map: &'a BTreeMap<_, super::rows::Permission>, key: &RightRef<'_>| {
            let is_it =
                |known: &(String, String, &str)| (known.0.as_str(), known.1.as_str(), known.2) == *key;
            map.iter().find(|(known, _)| is_it(known)).map(|(_, permission)| permission)
        };
        let mut changed: Vec<(RightRef<'_>, Option<&Entry>)> = Vec::new();
        for (key, entry) in &found {
            let differs = |known: Option<&super::rows::Permission>| {
                known.is_none_or(|known| meaning(&known.entry) != meaning(entry))
            };
            let is_news = matches!(self.wanted, Wanted::All { .. }) || differs(row(applied, key));
            if is_news && differs(row(declared, key)) {
                changed.push((*key, Some(entry)));
            }
        }
        for (policy, collection, action) in declared.keys() {
            let key = (policy.as_str(), collection.as_str(), *action);
            let is_removed = row(applied, &key).is_some() && self.found.policies.contains_key(policy);
            if is_removed && !found.contains_key(&key) {
                changed.push((key, None));
            }
        }
        // Keys of rows differ from database to database, those of files do not.
        changed.sort_by_key(|((policy, collection, action), _)| {
            (policies.get(*policy).map(|(key, _)| key), *collection, *action)
        });
        for ((policy, collection, action), entry) in changed {
            let Some((key, _)) = policies.get(policy) else { continue };
            let known = row(declared, &(policy, collection, action));
            let local = match known.and_then(|known| known.exact) {
                Some(is_local) => is_local,
                None => has_file(collection),
            };
            let (place, path) = match local {
                true => (Place::Collection(collection.to_owned()), vec!["permissions", key]),
                false => (Place::Access, vec!["policies", key, "collections", collection]),
            };
            let mut path = path;
            path.push(action);
            // Where a pattern allows it, nothing said would not be enough.
            let value = entry.map(right).unwrap_or(Value::Bool(false));
            self.push(place, &path, Some(value));
        }
    }
}

/// Keys of declared rows as the files have them, of others made from their names.
fn keys(
    declared: &[Keyed],
    found: &BTreeMap<String, Entry>,
    is_left_out: impl Fn(&str, &Entry) -> bool,
) -> Keys {
    let mut keys: Keys = BTreeMap::new();
    for keyed in declared {
        let id = text(&keyed.entry, "id").unwrap_or_default();
        keys.insert(id.to_owned(), (keyed.key.clone(), true));
    }
    let mut taken: BTreeSet<String> = keys.values().map(|(key, _)| key.clone()).collect();
    taken.insert(PUBLIC.to_owned());
    for (id, entry) in found {
        if keys.contains_key(id) || is_left_out(id, entry) {
            continue;
        }
        if *id == derived_id("policy", PUBLIC).to_string() {
            keys.insert(id.clone(), (PUBLIC.to_owned(), false));
            continue;
        }
        let name = text(entry, "name").unwrap_or_default();
        let mut slug = String::new();
        for word in name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
            if !slug.is_empty() {
                slug.push('_');
            }
            slug.push_str(&word.to_lowercase());
        }
        if slug.is_empty() {
            slug.push_str("unnamed");
        }
        let mut key = slug.clone();
        let mut number = 2;
        while !taken.insert(key.clone()) {
            key = format!("{slug}_{number}");
            number += 1;
        }
        keys.insert(id.clone(), (key, false));
    }
    keys
}

fn entry_of<'a>(all: &'a [Keyed], id: &str) -> Option<&'a Entry> {
    all.iter().map(|keyed| &keyed.entry).find(|entry| text(entry, "id") == Some(id))
}

/// A text, unless it is what stands there when nothing is said.
fn said(entry: &Entry, column: &str, usual: &str) -> Option<Value> {
    text(entry, column).filter(|text| *text != usual).map(|text| json!(text))
}

fn with_id(id: &str, kind: &str, key: &str) -> Map<String, Value> {
    let mut value = Map::new();
    if derived_id(kind, key).to_string() != id {
        value.insert("id".to_owned(), json!(id));
    }
    value
}

/// A right as a person would write it.
fn right(entry: &Entry) -> Value {
    let (filter, validation, presets, fields) = meaning(entry);
    let mut value = Map::new();
    let mut put = |name: &str, part: Value| {
        if !part.is_null() {
            value.insert(name.to_owned(), part);
        }
    };
    put("where", filter);
    if !fields.contains("*") {
        let written = text(entry, "fields").unwrap_or_default();
        let names: Vec<&str> = written.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        // A right without any field is none.
        if names.is_empty() {
            return Value::Bool(false);
        }
        put("fields", json!(names));
    }
    put("validation", validation);
    put("presets", presets);
    if value.is_empty() { Value::Bool(true) } else { Value::Object(value) }
}
