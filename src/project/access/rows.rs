//! The rows that ought to be there, and reading those that are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::declared::{Declared, Name, Rule, derived_id};
use super::rights::Right;
use crate::config::Secrets;
use crate::db::{Database, Row, Transaction};
use crate::error::Result;
use crate::filter::Scalar;
use crate::project::sheet::{Entry, Sheet, string};
use crate::schema::ColumnType;
use crate::sql::rows::{Cell, select};
use crate::sql::{Dialect, Statement};
use crate::yaml::{Node, Position};

pub const ROLES: Sheet = Sheet {
    table: "directus_roles",
    keys: &["id"],
    columns: &[
        ("id", ColumnType::Uuid),
        ("name", string(100)),
        ("icon", string(64)),
        ("description", ColumnType::Text),
        ("parent", ColumnType::Uuid),
    ],
};

pub const POLICIES: Sheet = Sheet {
    table: "directus_policies",
    keys: &["id"],
    columns: &[
        ("id", ColumnType::Uuid),
        ("name", string(100)),
        ("icon", string(64)),
        ("description", ColumnType::Text),
        ("ip_access", ColumnType::Text),
        ("enforce_tfa", ColumnType::Boolean),
        ("admin_access", ColumnType::Boolean),
        ("app_access", ColumnType::Boolean),
    ],
};

pub const GRANTS: Sheet = Sheet {
    table: "directus_access",
    keys: &["id"],
    columns: &[
        ("id", ColumnType::Uuid),
        ("role", ColumnType::Uuid),
        ("user", ColumnType::Uuid),
        ("policy", ColumnType::Uuid),
        ("sort", ColumnType::Integer),
    ],
};

pub const PERMISSIONS: Sheet = Sheet {
    table: "directus_permissions",
    keys: &["id"],
    columns: &[
        ("id", ColumnType::Integer),
        ("policy", ColumnType::Uuid),
        ("collection", string(64)),
        ("action", string(10)),
        ("permissions", ColumnType::Json),
        ("validation", ColumnType::Json),
        ("presets", ColumnType::Json),
        ("fields", ColumnType::Text),
    ],
};

/// Users, as far as service accounts and e-mails go.
pub const USERS: Sheet = Sheet {
    table: "directus_users",
    keys: &["id"],
    columns: &[
        ("id", ColumnType::Uuid),
        ("first_name", string(50)),
        ("email", string(128)),
        ("status", string(16)),
        ("role", ColumnType::Uuid),
        ("token", string(255)),
        ("provider", string(128)),
        ("text_direction", string(255)),
    ],
};

/// What the tables give a role or policy that names none.
pub const ROLE_ICON: &str = "supervised_user_circle";
pub const POLICY_ICON: &str = "badge";

/// A role or policy with its key in the files.
#[derive(Debug, Clone)]
pub struct Keyed {
    pub key: String,
    pub entry: Entry,
}

/// To whom a policy is given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// By the key of the row.
    Role(String),
    /// By the key of the row, or by e-mail as a file names it.
    User(String),
    Visitors,
}

#[derive(Debug, Clone)]
pub struct Grant {
    pub policy: String,
    pub to: Target,
    pub sort: Option<i64>,
}

/// Policy, collection and action.
pub type RightKey = (String, String, &'static str);

/// The same, borrowed.
pub type RightRef<'a> = (&'a str, &'a str, &'a str);

/// One right, and where it is said.
#[derive(Debug, Clone)]
pub struct Permission {
    pub entry: Entry,
    /// Said for the collection by its name: in its own file, or in `_access.yaml`. `None` where a pattern says it.
    pub exact: Option<bool>,
}

#[derive(Debug, Clone)]
pub struct Account {
    pub entry: Entry,
    pub token_env: String,
    pub at: Position,
}

/// Keys of rows by the keys that files have for them.
#[derive(Debug, Default)]
pub struct AccessKeys {
    pub roles: BTreeMap<String, String>,
    pub policies: BTreeMap<String, String>,
}

/// The rows that files ask for.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Parents before their children.
    pub roles: Vec<Keyed>,
    pub policies: Vec<Keyed>,
    pub grants: Vec<Grant>,
    pub permissions: BTreeMap<RightKey, Permission>,
    pub accounts: Vec<Account>,
}

impl Access {
    /// The rows of what is declared.
    pub fn new(declared: &Declared, rights: &[Right]) -> Self {
        let policy_id = |key: &str| declared.policy(key).map(|policy| policy.id.clone());
        let mut access = Access::default();
        for role in parents_first(declared) {
            let parent = role.parent.as_ref().and_then(|parent| declared.role(&parent.text));
            let entry = json!({
                "id": role.id, "name": role.name,
                "icon": role.icon.as_deref().unwrap_or(ROLE_ICON),
                "description": role.description,
                "parent": parent.map(|parent| &parent.id),
            });
            access.roles.push(Keyed { key: role.key.text.clone(), entry: object(entry) });
            access.give(&role.policies, &Target::Role(role.id.clone()), policy_id);
        }
        for policy in &declared.policies {
            let entry = json!({
                "id": policy.id, "name": policy.name,
                "icon": policy.icon.as_deref().unwrap_or(POLICY_ICON),
                "description": policy.description,
                "ip_access": (!policy.ip_access.is_empty()).then(|| policy.ip_access.join(",")),
                "enforce_tfa": policy.enforce_tfa, "admin_access": policy.admin, "app_access": policy.app,
            });
            access.policies.push(Keyed { key: policy.key.text.clone(), entry: object(entry) });
            let roles = policy.roles.iter().filter_map(|role| declared.role(&role.text));
            let targets = roles.map(|role| Target::Role(role.id.clone()));
            let users = policy.users.iter().map(|user| Target::User(user.text.clone()));
            let visitors = policy.visitors.then_some(Target::Visitors);
            for to in targets.chain(users).chain(visitors) {
                access.grant(policy.id.clone(), to, None);
            }
        }
        for account in &declared.accounts {
            let role = account.role.as_ref().and_then(|role| declared.role(&role.text));
            let entry = json!({
                "id": account.id, "first_name": account.name, "status": "active",
                "role": role.map(|role| &role.id),
            });
            access.give(&account.policies, &Target::User(account.id.clone()), policy_id);
            access.accounts.push(Account {
                entry: object(entry),
                token_env: account.token_env.clone(),
                at: account.key.at.clone(),
            });
        }
        for right in rights {
            let Some(policy) = policy_id(&right.policy) else { continue };
            let action = right.action.name();
            let entry = permission(&policy, &right.collection_name, action, &right.rule);
            access.permissions.insert(
                (policy, right.collection_name.clone(), action),
                Permission { entry, exact: right.exact },
            );
        }
        access
    }

    fn give(&mut self, policies: &[Name], to: &Target, policy_id: impl Fn(&str) -> Option<String>) {
        for (position, policy) in policies.iter().enumerate() {
            let Some(policy) = policy_id(&policy.text) else { continue };
            self.grant(policy, to.clone(), Some(position as i64 + 1));
        }
    }

    /// The same gift may be named on both sides.
    fn grant(&mut self, policy: String, to: Target, sort: Option<i64>) {
        match self.grants.iter_mut().find(|grant| grant.policy == policy && grant.to == to) {
            Some(known) => known.sort = known.sort.or(sort),
            None => self.grants.push(Grant { policy, to, sort }),
        }
    }

    /// Files say nothing of access.
    pub fn is_empty(&self) -> bool {
        self.roles.is_empty() && self.policies.is_empty() && self.accounts.is_empty()
    }

    /// What is remembered of the rows made, so that those that no file asks for any more can be told from those of others.
    pub fn to_json(&self) -> Value {
        let ids = |all: &[Keyed]| all.iter().map(|keyed| keyed.entry["id"].clone()).collect::<Vec<_>>();
        json!({
            "roles": ids(&self.roles),
            "policies": ids(&self.policies),
            "grants": self.grants.iter().map(|grant| match &grant.to {
                Target::Role(role) => json!([grant.policy, "role", role]),
                Target::User(user) => json!([grant.policy, "user", user]),
                Target::Visitors => json!([grant.policy]),
            }).collect::<Vec<_>>(),
            "permissions": self.permissions.keys().collect::<Vec<_>>(),
            "accounts": self.accounts.iter().map(|account| account.entry["id"].clone()).collect::<Vec<_>>(),
        })
    }

    /// These rows without those that were not made yet.
    pub fn made_of(&self, before: Option<&Value>) -> Self {
        let made = self.to_json();
        let keeps = |what: &str, position: usize| {
            let key = made.get(what).and_then(|list| list.get(position));
            let known = before.and_then(|before| before.get(what)).and_then(Value::as_array);
            known.is_some_and(|known| key.is_some_and(|key| known.contains(key)))
        };
        fn kept<T: Clone>(all: &[T], is_kept: impl Fn(usize) -> bool) -> Vec<T> {
            all.iter().enumerate().filter(|(at, _)| is_kept(*at)).map(|(_, item)| item.clone()).collect()
        }
        let permissions = self.permissions.iter().enumerate();
        Access {
            roles: kept(&self.roles, |at| keeps("roles", at)),
            policies: kept(&self.policies, |at| keeps("policies", at)),
            grants: kept(&self.grants, |at| keeps("grants", at)),
            accounts: kept(&self.accounts, |at| keeps("accounts", at)),
            permissions: permissions
                .filter(|(at, _)| keeps("permissions", *at))
                .map(|(_, (key, permission))| (key.clone(), permission.clone()))
                .collect(),
        }
    }

    /// The rows of roles and policies by their keys.
    pub fn keys(&self) -> AccessKeys {
        let by_key = |all: &[Keyed]| {
            let pairs = all
                .iter()
                .map(|keyed| (keyed.key.clone(), text(&keyed.entry, "id").unwrap_or_default().to_owned()));
            pairs.collect()
        };
        AccessKeys { roles: by_key(&self.roles), policies: by_key(&self.policies) }
    }

    /// E-mails by which files name users.
    pub fn emails(&self) -> BTreeSet<String> {
        let named = self.grants.iter().filter_map(|grant| match &grant.to {
            Target::User(user) if user.contains('@') => Some(user.clone()),
            _ => None,
        });
        named.collect()
    }

    /// The tokens of service accounts, as far as their variables are set.
    pub fn with_tokens(mut self, secrets: &Secrets) -> Self {
        for account in &mut self.accounts {
            let Some(token) = secrets.get(&account.token_env) else { continue };
            let hash = crate::auth::static_hash(token.expose());
            account.entry.insert("token".to_owned(), Value::String(hash));
        }
        self
    }
}

fn object(value: Value) -> Entry {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Parents first; a circle, which was reported, ends where it began.
fn parents_first(declared: &Declared) -> Vec<&super::declared::Role> {
    let mut ordered: Vec<&super::declared::Role> = Vec::new();
    for role in &declared.roles {
        let mut chain = vec![role];
        while let Some(parent) = chain.last().and_then(|role| role.parent.as_ref())
            && let Some(parent) = declared.role(&parent.text)
            && !chain.iter().any(|role| role.key.text == parent.key.text)
        {
            chain.push(parent);
        }
        for role in chain.into_iter().rev() {
            if !ordered.iter().any(|known| known.key.text == role.key.text) {
                ordered.push(role);
            }
        }
    }
    ordered
}

fn permission(policy: &str, collection: &str, action: &str, rule: &Rule) -> Entry {
    let json_of = |node: &Option<Node>| node.as_ref().map(Node::to_json).filter(|value| !is_empty(value));
    let fields = rule.fields.as_ref().map(|fields| {
        let names: Vec<&str> = fields.iter().map(|name| name.text.as_str()).collect();
        names.join(",")
    });
    object(json!({
        "policy": policy, "collection": collection, "action": action,
        "permissions": json_of(&rule.filter).unwrap_or_else(|| json!({})),
        "validation": json_of(&rule.validation),
        "presets": json_of(&rule.presets),
        "fields": fields.unwrap_or_else(|| "*".to_owned()),
    }))
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(Map::is_empty)
}

/// A permission as it is understood, so that two ways to write the same compare as equal.
pub fn meaning(entry: &Entry) -> (Value, Value, Value, BTreeSet<String>) {
    let part = |name: &str| match entry.get(name) {
        Some(value) if !is_empty(value) => value.clone(),
        _ => Value::Null,
    };
    let written = entry.get("fields").and_then(Value::as_str).unwrap_or_default();
    let mut fields: BTreeSet<String> =
        written.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    // A deletion is about no field.
    if fields.contains("*") || entry.get("action") == Some(&json!("delete")) {
        fields = BTreeSet::from(["*".to_owned()]);
    }
    (part("permissions"), part("validation"), part("presets"), fields)
}

/// Where rows are read: outside of any transaction, or inside of one.
pub enum Source<'a> {
    Database(&'a Database),
    Transaction(&'a mut Transaction),
}

impl Source<'_> {
    pub fn dialect(&self) -> Dialect {
        match self {
            Source::Database(database) => database.dialect(),
            Source::Transaction(transaction) => transaction.dialect(),
        }
    }

    pub async fn rows(&mut self, statement: &Statement) -> Result<Vec<Row>> {
        match self {
            Source::Database(database) => database.rows(statement).await,
            Source::Transaction(transaction) => transaction.rows(statement).await,
        }
    }

    async fn entries(&mut self, sheet: &Sheet, filter: &[Cell]) -> Result<BTreeMap<String, Entry>> {
        let found = self.rows(&select(self.dialect(), sheet.table, sheet.columns, filter)).await?;
        let entries = found.iter().map(|row| sheet.entry(row));
        Ok(entries.filter_map(|(mut key, entry)| Some((key.pop()?, entry))).collect())
    }
}

/// The rows that are there, by their keys.
#[derive(Debug, Default)]
pub struct Found {
    pub roles: BTreeMap<String, Entry>,
    pub policies: BTreeMap<String, Entry>,
    pub grants: BTreeMap<String, Entry>,
    /// In the order of their numbers.
    pub permissions: BTreeMap<i64, Entry>,
    /// Users that are named somewhere: service accounts, those with policies of their own, those of e-mails in files.
    pub users: BTreeMap<String, Entry>,
    /// How many users have each role that may have to go.
    pub holders: BTreeMap<String, u64>,
}

impl Found {
    /// Reads them.
    pub async fn read(source: &mut Source<'_>, access: &Access, before: Option<&Value>) -> Result<Self> {
        let mut found = Found {
            roles: source.entries(&ROLES, &[]).await?,
            policies: source.entries(&POLICIES, &[]).await?,
            grants: source.entries(&GRANTS, &[]).await?,
            ..Found::default()
        };
        let permissions = source.entries(&PERMISSIONS, &[]).await?;
        found.permissions =
            permissions.into_iter().filter_map(|(key, entry)| Some((key.parse().ok()?, entry))).collect();
        let ids = access.accounts.iter().filter_map(|account| text(&account.entry, "id"));
        let granted = found.grants.values().filter_map(|grant| text(grant, "user"));
        let ids: BTreeSet<String> =
            ids.chain(granted).map(str::to_owned).chain(remembered(before, "accounts")).collect();
        for id in ids {
            let cell = Cell::new("id", ColumnType::Uuid, Scalar::Text(id.into()));
            found.users.extend(source.entries(&USERS, &[cell]).await?);
        }
        for email in access.emails() {
            let spellings: BTreeSet<String> = BTreeSet::from([email.to_lowercase(), email]);
            for email in spellings {
                let cell = Cell::new("email", string(128), Scalar::Text(email.into()));
                found.users.extend(source.entries(&USERS, &[cell]).await?);
            }
        }
        let kept: BTreeSet<&str> = access.roles.iter().filter_map(|role| text(&role.entry, "id")).collect();
        let going: Vec<String> =
            found.roles.keys().filter(|id| !kept.contains(id.as_str())).cloned().collect();
        for id in going {
            let cell = Cell::new("role", ColumnType::Uuid, Scalar::Text(id.as_str().into()));
            let columns = [("id", ColumnType::Uuid)];
            let holders = source.rows(&select(source.dialect(), USERS.table, &columns, &[cell])).await?;
            found.holders.insert(id, holders.len() as u64);
        }
        Ok(found)
    }

    /// The key of a user whom a file names by e-mail, or by key.
    pub fn user(&self, named: &str) -> Option<String> {
        if !named.contains('@') {
            return Some(named.to_lowercase());
        }
        let is_theirs = |entry: &Entry| {
            text(entry, "email").is_some_and(|email| email.to_lowercase() == named.to_lowercase())
        };
        self.users.iter().find(|(_, entry)| is_theirs(entry)).map(|(id, _)| id.clone())
    }
}

/// The text of a column.
pub fn text<'a>(entry: &'a Entry, column: &str) -> Option<&'a str> {
    entry.get(column).and_then(Value::as_str)
}

/// Keys that were remembered of the last time.
pub fn remembered(before: Option<&Value>, what: &str) -> BTreeSet<String> {
    let list = before.and_then(|before| before.get(what)).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The key of the row that gives a policy to somebody.
pub fn grant_id(policy: &str, to: &str) -> String {
    derived_id("access", &format!("{policy}:{to}")).to_string()
}
