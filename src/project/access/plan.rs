//! The steps from the rows that are there to those that files ask for.
//!
//! A row that files know is made and kept as they say. A row that was made for something that no file says any more is removed.
//! All others belong to whoever made them: they are left alone and reported, and removed on request, except for those that make
//! administrators, without whom nobody could undo it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Value, json};

use super::rows::{
    Access, Found, GRANTS, PERMISSIONS, POLICIES, ROLES, RightRef, Source, Target, USERS, grant_id, meaning,
    remembered, text,
};
use crate::db::Transaction;
use crate::error::Result;
use crate::filter::Scalar;
use crate::project::sheet::{Entry, Sheet};
use crate::schema::ColumnType;
use crate::sql::rows::{Cell, delete, select, update};

/// One change of a row of roles, policies, access, permissions or users.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessStep {
    /// What it is about, in the words of people.
    pub subject: Subject,
    /// What is done.
    pub change: Change,
    /// Users who would lose the role that is removed.
    pub holders: u64,
}

/// What a step is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A role, by name.
    Role(String),
    /// A policy, by name.
    Policy(String),
    /// A service account, by name.
    Account(String),
    /// A policy given to somebody.
    Grant {
        /// The policy, by name.
        policy: String,
        /// Who has it.
        to: String,
    },
    /// What a policy allows.
    Right {
        /// The policy, by name.
        policy: String,
        /// The collection.
        collection: String,
        /// The action.
        action: String,
    },
}

/// What becomes of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It is made with these values.
    Make(Entry),
    /// These values change.
    Set(String, Entry),
    /// It goes.
    Remove(String),
}

/// The steps, and what is left as it is.
#[derive(Debug, Clone, Default)]
pub struct AccessPlan {
    pub steps: Vec<AccessStep>,
    pub notes: Vec<String>,
}

impl AccessPlan {
    /// Compares. `before` is what was remembered of the rows made the last time.
    pub async fn make(
        source: &mut Source<'_>,
        access: &Access,
        before: Option<&Value>,
        prune: bool,
    ) -> Result<Self> {
        let found = Found::read(source, access, before).await?;
        let mut maker = Maker { access, found: &found, before, prune, plan: AccessPlan::default() };
        maker.roles();
        maker.policies();
        maker.accounts();
        maker.grants();
        maker.permissions();
        let mut plan = maker.plan;
        // A project that says nothing of access keeps it elsewhere.
        if access.is_empty() {
            plan.notes.clear();
        }
        Ok(plan)
    }
}

/// Runs steps: what others refer to is made first and removed last.
pub async fn run(transaction: &mut Transaction, steps: &[AccessStep]) -> Result<()> {
    let (removals, rest): (Vec<&AccessStep>, Vec<_>) =
        steps.iter().partition(|step| matches!(step.change, Change::Remove(_)));
    for step in rest.into_iter().chain(removals.into_iter().rev()) {
        step.run(transaction).await?;
    }
    Ok(())
}

/// Role and policy that the first start of a server makes: every database has them, and no file needs to say so.
pub const ADMINISTRATOR: &str = "Administrator";

struct Maker<'a> {
    access: &'a Access,
    found: &'a Found,
    before: Option<&'a Value>,
    prune: bool,
    plan: AccessPlan,
}

impl Maker<'_> {
    fn push(&mut self, subject: Subject, change: Change) {
        self.plan.steps.push(AccessStep { subject, change, holders: 0 });
    }

    /// Makes a row, or sets what differs in the one that is there.
    fn keep(&mut self, subject: Subject, sheet: &Sheet, wanted: &Entry, found: Option<&Entry>) {
        let Some(found) = found else {
            return self.push(subject, Change::Make(wanted.clone()));
        };
        let differs = |name: &str, value: &Value| found.get(name).unwrap_or(&Value::Null) != value;
        let changed: Entry = wanted
            .iter()
            .filter(|(name, value)| differs(name, value))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if !changed.is_empty() {
            let key = sheet.key_of(found).pop().unwrap_or_default();
            self.push(subject, Change::Set(key, changed));
        }
    }

    fn roles(&mut self) {
        let kept: BTreeSet<&str> =
            self.access.roles.iter().filter_map(|role| text(&role.entry, "id")).collect();
        for role in &self.access.roles {
            let id = text(&role.entry, "id").unwrap_or_default();
            let subject = Subject::Role(self.name_of_role(id));
            self.keep(subject, &ROLES, &role.entry, self.found.roles.get(id));
        }
        let ours = remembered(self.before, "roles");
        let administrators: BTreeSet<String> = self.administrators().into_iter().map(str::to_owned).collect();
        for id in self.found.roles.keys().filter(|id| !kept.contains(id.as_str())) {
            let name = self.name_of_role(id);
            if !ours.contains(id) && (!self.prune || administrators.contains(id.as_str())) {
                if !(administrators.contains(id.as_str()) && name == ADMINISTRATOR) {
                    self.plan.notes.push(format!("no file declares the role {name}"));
                }
                continue;
            }
            self.plan.steps.push(AccessStep {
                subject: Subject::Role(name),
                change: Change::Remove(id.clone()),
                holders: self.found.holders.get(id).copied().unwrap_or(0),
            });
        }
    }

    fn policies(&mut self) {
        let kept: BTreeSet<&str> =
            self.access.policies.iter().filter_map(|policy| text(&policy.entry, "id")).collect();
        for policy in &self.access.policies {
            let id = text(&policy.entry, "id").unwrap_or_default();
            let subject = Subject::Policy(self.name_of_policy(id));
            self.keep(subject, &POLICIES, &policy.entry, self.found.policies.get(id));
        }
        let ours = remembered(self.before, "policies");
        for (id, entry) in self.found.policies.iter().filter(|(id, _)| !kept.contains(id.as_str())) {
            let name = self.name_of_policy(id);
            if !ours.contains(id) && (!self.prune || is_admin(entry)) {
                if !(is_admin(entry) && name == ADMINISTRATOR) {
                    self.plan.notes.push(format!("no file declares the policy {name}"));
                }
                continue;
            }
            self.push(Subject::Policy(name), Change::Remove(id.clone()));
        }
    }

    fn accounts(&mut self) {
        let access = self.access;
        for account in &access.accounts {
            let id = text(&account.entry, "id").unwrap_or_default();
            let subject = Subject::Account(text(&account.entry, "first_name").unwrap_or_default().to_owned());
            let found = self.found.users.get(id);
            if account.entry.get("token").is_none()
                && found.is_none_or(|found| text(found, "token").is_none())
            {
                self.plan.notes.push(format!(
                    "{}:{}: {} is not set, so {} cannot sign in",
                    account.at.file,
                    account.at.line,
                    account.token_env,
                    SubjectName(&subject)
                ));
            }
            let mut wanted = account.entry.clone();
            if found.is_none() {
                wanted.insert("provider".to_owned(), json!("default"));
                wanted.insert("text_direction".to_owned(), json!("auto"));
            }
            self.keep(subject, &USERS, &wanted, found);
        }
        let kept: BTreeSet<&str> =
            access.accounts.iter().filter_map(|account| text(&account.entry, "id")).collect();
        for id in remembered(self.before, "accounts").iter().filter(|id| !kept.contains(id.as_str())) {
            let Some(user) = self.found.users.get(id) else { continue };
            if text(user, "status") != Some("suspended") || text(user, "token").is_some() {
                let name = text(user, "first_name").unwrap_or_default().to_owned();
                self.push(Subject::Account(name), Change::Remove(id.clone()));
            }
        }
    }

    fn grants(&mut self) {
        let mut there: BTreeMap<(String, Target), Vec<&Entry>> = BTreeMap::new();
        for entry in self.found.grants.values() {
            there.entry(grant_key(entry)).or_default().push(entry);
        }
        let access = self.access;
        let mut kept: BTreeSet<(String, Target)> = BTreeSet::new();
        for grant in &access.grants {
            let to = match &grant.to {
                Target::User(named) => match self.found.user(named) {
                    Some(id) => Target::User(id),
                    None => {
                        let policy = self.name_of_policy(&grant.policy);
                        let note = format!("there is no user {named} yet to give the policy {policy} to");
                        self.plan.notes.push(note);
                        continue;
                    }
                },
                other => other.clone(),
            };
            let key = (grant.policy.clone(), to);
            let (role, user) = match &key.1 {
                Target::Role(role) => (Some(role), None),
                Target::User(user) => (None, Some(user)),
                Target::Visitors => (None, None),
            };
            let found = there.get(&key).and_then(|rows| rows.first()).copied();
            let mut wanted = Entry::new();
            if found.is_none() {
                let to = role.or(user).map_or("visitors", String::as_str);
                wanted.insert("id".to_owned(), json!(grant_id(&grant.policy, to)));
                wanted.insert("policy".to_owned(), json!(grant.policy));
                wanted.insert("role".to_owned(), json!(role));
                wanted.insert("user".to_owned(), json!(user));
            }
            if let Some(sort) = grant.sort {
                wanted.insert("sort".to_owned(), json!(sort));
            }
            let subject = self.grant_subject(&key);
            self.keep(subject, &GRANTS, &wanted, found);
            kept.insert(key);
        }
        let ours: BTreeSet<(String, Target)> = self.remembered_grants();
        for (key, rows) in &there {
            let is_kept = kept.contains(key);
            let extra = rows.iter().skip(usize::from(is_kept));
            let is_ours = !is_kept && ours.contains(key);
            for entry in extra {
                let is_lasting = self.found.policies.get(&key.0).is_some_and(is_admin);
                let is_first = is_lasting && self.name_of_policy(&key.0) == ADMINISTRATOR;
                let subject = self.grant_subject(key);
                if is_ours || (self.prune && !is_lasting) {
                    let id = text(entry, "id").unwrap_or_default().to_owned();
                    self.push(subject, Change::Remove(id));
                } else if !is_kept && !is_first {
                    self.plan.notes.push(format!("no file says that {}", Given(&subject)));
                }
            }
        }
    }

    fn permissions(&mut self) {
        let mut there: BTreeMap<RightRef<'_>, Vec<(i64, &Entry)>> = BTreeMap::new();
        for (id, entry) in &self.found.permissions {
            let part = |name: &str| text(entry, name).unwrap_or_default();
            let key = (part("policy"), part("collection"), part("action"));
            there.entry(key).or_default().push((*id, entry));
        }
        let access = self.access;
        for ((policy, collection, action), permission) in &access.permissions {
            let subject = self.right_subject(policy, collection, action);
            let rows = there.get(&(policy.as_str(), collection.as_str(), *action));
            let Some((id, found)) = rows.and_then(|rows| rows.first()) else {
                self.push(subject, Change::Make(permission.entry.clone()));
                continue;
            };
            let (old, new) = (meaning(found), meaning(&permission.entry));
            let parts = [
                ("permissions", old.0 != new.0),
                ("validation", old.1 != new.1),
                ("presets", old.2 != new.2),
                ("fields", old.3 != new.3),
            ];
            let value = |name: &str| permission.entry.get(name).cloned().unwrap_or_default();
            let changed: Entry = parts
                .iter()
                .filter(|(_, differs)| *differs)
                .map(|(name, _)| ((*name).to_owned(), value(name)))
                .collect();
            if !changed.is_empty() {
                self.push(subject, Change::Set(id.to_string(), changed));
            }
        }
        let ours = self.remembered_permissions();
        for ((policy, collection, action), rows) in there {
            let key = [policy, collection, action].map(str::to_owned);
            let is_known =
                access.permissions.keys().any(|(p, c, a)| p == policy && c == collection && *a == action);
            let is_ours = !is_known && ours.contains(&key);
            for (id, _) in rows.into_iter().skip(usize::from(is_known)) {
                let subject = self.right_subject(policy, collection, action);
                if is_ours || self.prune {
                    self.push(subject, Change::Remove(id.to_string()));
                } else {
                    self.plan.notes.push(format!("no file says that {}", Given(&subject)));
                }
            }
        }
    }

    fn name_of_role(&self, id: &str) -> String {
        let declared = self.access.roles.iter().map(|role| &role.entry);
        name_of(declared, &self.found.roles, id)
    }

    fn name_of_policy(&self, id: &str) -> String {
        let declared = self.access.policies.iter().map(|policy| &policy.entry);
        name_of(declared, &self.found.policies, id)
    }

    fn grant_subject(&self, (policy, to): &(String, Target)) -> Subject {
        let to = match to {
            Target::Role(id) => format!("the role {}", self.name_of_role(id)),
            Target::Visitors => "visitors".to_owned(),
            Target::User(id) => {
                let account = self.access.accounts.iter().find(|a| text(&a.entry, "id") == Some(id));
                let user = account.map(|account| &account.entry).or_else(|| self.found.users.get(id));
                let name = user.and_then(|user| text(user, "email").or_else(|| text(user, "first_name")));
                format!("the user {}", name.unwrap_or(id))
            }
        };
        Subject::Grant { policy: self.name_of_policy(policy), to }
    }

    fn right_subject(&self, policy: &str, collection: &str, action: &str) -> Subject {
        Subject::Right {
            policy: self.name_of_policy(policy),
            collection: collection.to_owned(),
            action: action.to_owned(),
        }
    }

    /// Roles that a policy for everything is given to.
    fn administrators(&self) -> BTreeSet<&str> {
        let gives_all = |grant: &&Entry| {
            let policy = text(grant, "policy").and_then(|id| self.found.policies.get(id));
            policy.is_some_and(is_admin)
        };
        self.found.grants.values().filter(gives_all).filter_map(|grant| text(grant, "role")).collect()
    }

    fn remembered_grants(&self) -> BTreeSet<(String, Target)> {
        let list = self.before.and_then(|before| before.get("grants")).and_then(Value::as_array);
        let part = |entry: &Value, at: usize| entry.get(at).and_then(Value::as_str).map(str::to_owned);
        let read = |entry: &Value| {
            let to = match (part(entry, 1).as_deref(), part(entry, 2)) {
                (Some("role"), Some(role)) => Target::Role(role),
                (Some("user"), Some(user)) => Target::User(self.found.user(&user)?),
                _ => Target::Visitors,
            };
            Some((part(entry, 0)?, to))
        };
        list.into_iter().flatten().filter_map(read).collect()
    }

    fn remembered_permissions(&self) -> BTreeSet<[String; 3]> {
        let list = self.before.and_then(|before| before.get("permissions")).and_then(Value::as_array);
        let read = |entry: &Value| {
            let part = |at: usize| entry.get(at).and_then(Value::as_str).map(str::to_owned);
            Some([part(0)?, part(1)?, part(2)?])
        };
        list.into_iter().flatten().filter_map(read).collect()
    }
}

fn is_admin(policy: &Entry) -> bool {
    policy.get("admin_access") == Some(&Value::Bool(true))
}

fn name_of<'a>(
    mut declared: impl Iterator<Item = &'a Entry>,
    found: &'a BTreeMap<String, Entry>,
    id: &str,
) -> String {
    let declared = declared.find(|entry| text(entry, "id") == Some(id));
    let name = declared.or_else(|| found.get(id)).and_then(|entry| text(entry, "name"));
    name.unwrap_or(id).to_owned()
}

/// Policy and receiver of a row of `directus_access`.
pub fn grant_key(entry: &Entry) -> (String, Target) {
    let to = match (text(entry, "role"), text(entry, "user")) {
        (Some(role), _) => Target::Role(role.to_owned()),
        (None, Some(user)) => Target::User(user.to_owned()),
        (None, None) => Target::Visitors,
    };
    (text(entry, "policy").unwrap_or_default().to_owned(), to)
}

impl AccessStep {
    /// What it would cost, when it costs something that cannot be had back.
    pub fn loss(&self) -> Option<String> {
        match self.holders {
            0 => None,
            1 => Some("1 user would lose the role".to_owned()),
            many => Some(format!("{many} users would lose the role")),
        }
    }

    fn sheet(&self) -> &'static Sheet {
        match self.subject {
            Subject::Role(_) => &ROLES,
            Subject::Policy(_) => &POLICIES,
            Subject::Account(_) => &USERS,
            Subject::Grant { .. } => &GRANTS,
            Subject::Right { .. } => &PERMISSIONS,
        }
    }

    async fn run(&self, transaction: &mut Transaction) -> Result<()> {
        let dialect = transaction.dialect();
        let sheet = self.sheet();
        let key = |id: &String| sheet.key_cells(std::slice::from_ref(id));
        let statement = match &self.change {
            Change::Make(entry) => sheet.insertion(dialect, entry),
            Change::Set(id, values) => update(dialect, sheet.table, &sheet.cells(values), &key(id)),
            // What an account did keeps its author.
            Change::Remove(id) if matches!(self.subject, Subject::Account(_)) => {
                let gone = json!({ "status": "suspended", "token": null });
                let gone = gone.as_object().cloned().unwrap_or_default();
                update(dialect, sheet.table, &sheet.cells(&gone), &key(id))
            }
            Change::Remove(id) => {
                release(transaction, sheet.table, id).await?;
                delete(dialect, sheet.table, &key(id))
            }
        };
        transaction.execute(&statement).await.map(|_| ())
    }
}

/// References to roles and policies: the table and column, and whether the row goes with what it refers to. SQLite follows no
/// reference by itself while tables may change.
const REFERENCES: &[(&str, &str, &str, bool)] = &[
    ("directus_roles", "directus_roles", "parent", false),
    ("directus_roles", "directus_users", "role", false),
    ("directus_roles", "directus_settings", "public_registration_role", false),
    ("directus_roles", "directus_access", "role", true),
    ("directus_roles", "directus_presets", "role", true),
    ("directus_roles", "directus_shares", "role", true),
    ("directus_shares", "directus_sessions", "share", true),
    ("directus_policies", "directus_access", "policy", true),
    ("directus_policies", "directus_permissions", "policy", true),
];

/// Lets go of a row that is about to be removed.
async fn release(transaction: &mut Transaction, table: &str, id: &str) -> Result<()> {
    let dialect = transaction.dialect();
    for (_, table, column, goes) in REFERENCES.iter().filter(|(target, ..)| *target == table) {
        let mine = [Cell::new(column, ColumnType::Uuid, Scalar::Text(id.into()))];
        if !goes {
            let nothing = Cell::new(column, ColumnType::Uuid, Scalar::Null);
            transaction.execute(&update(dialect, table, &[nothing], &mine)).await?;
            continue;
        }
        if REFERENCES.iter().any(|(target, ..)| target == table) {
            let columns = [("id", ColumnType::Uuid)];
            let rows = transaction.rows(&select(dialect, table, &columns, &mine)).await?;
            for id in rows.iter().filter_map(|row| row.text(0)) {
                Box::pin(release(transaction, table, id)).await?;
            }
        }
        transaction.execute(&delete(dialect, table, &mine)).await?;
    }
    Ok(())
}

struct SubjectName<'a>(&'a Subject);

impl fmt::Display for SubjectName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Subject::Role(name) => write!(f, "role {name}"),
            Subject::Policy(name) => write!(f, "policy {name}"),
            Subject::Account(name) => write!(f, "service account {name}"),
            Subject::Grant { policy, to } => write!(f, "policy {policy} of {to}"),
            Subject::Right { policy, collection, action } => {
                write!(f, "right of {policy} to {action} {collection}")
            }
        }
    }
}

/// As a statement: "the policy A is given to the role B".
struct Given<'a>(&'a Subject);

impl fmt::Display for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Subject::Grant { policy, to } => write!(f, "{to} has the policy {policy}"),
            Subject::Right { policy, collection, action } => write!(f, "{policy} may {action} {collection}"),
            other => write!(f, "there is the {}", SubjectName(other)),
        }
    }
}

impl fmt::Display for AccessStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.subject, &self.change) {
            (Subject::Grant { policy, to }, Change::Make(_)) => write!(f, "give policy {policy} to {to}"),
            (Subject::Grant { policy, to }, Change::Remove(_)) => write!(f, "take policy {policy} from {to}"),
            (Subject::Right { policy, collection, action }, Change::Make(entry)) => {
                write!(f, "allow {policy} to {action} {collection}")?;
                describe_right(f, entry)
            }
            (Subject::Right { policy, collection, action }, Change::Remove(_)) => {
                write!(f, "no longer allow {policy} to {action} {collection}")
            }
            (subject @ Subject::Right { .. }, Change::Set(_, values)) => {
                write!(f, "change {}:", SubjectName(subject))?;
                describe_right(f, values)
            }
            (subject @ Subject::Account(_), Change::Remove(_)) => {
                write!(f, "suspend {}", SubjectName(subject))
            }
            (subject, Change::Make(_)) => write!(f, "make {}", SubjectName(subject)),
            (subject, Change::Remove(_)) => write!(f, "remove {}", SubjectName(subject)),
            (subject, Change::Set(_, values)) => {
                let said: Vec<String> = values
                    .iter()
                    .map(|(name, value)| match (name.as_str(), value) {
                        ("token", _) => "token".to_owned(),
                        (name, Value::String(text)) => format!("{name} {text}"),
                        (name, value) => format!("{name} {value}"),
                    })
                    .collect();
                write!(f, "change {}: {}", SubjectName(subject), said.join(", "))
            }
        }
    }
}

/// The conditions of a right, cut where they are long.
fn describe_right(f: &mut fmt::Formatter<'_>, entry: &Entry) -> fmt::Result {
    const MOST: usize = 100;
    let mut said = Vec::new();
    for (name, word) in
        [("permissions", "where"), ("fields", "fields"), ("validation", "validation"), ("presets", "presets")]
    {
        let shown = match entry.get(name) {
            None | Some(Value::Null) => continue,
            Some(Value::Object(map)) if map.is_empty() && entry.contains_key("policy") => continue,
            Some(Value::String(text)) if text == "*" && entry.contains_key("policy") => continue,
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        };
        let shown = match shown.char_indices().nth(MOST) {
            Some((end, _)) => format!("{}…", &shown[..end]),
            None => shown,
        };
        said.push(format!("{word} {shown}"));
    }
    if said.is_empty() { Ok(()) } else { write!(f, " {}", said.join(", ")) }
}
