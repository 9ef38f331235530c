//! What stands in the files, with its places: roles, policies, service accounts, and rights as they are written.

use std::collections::{HashMap, HashSet};

use uuid::{Uuid, uuid};

use crate::access::Action;
use crate::schema::Loaded;
use crate::schema::findings::Findings;
use crate::schema::keys::{self, Map};
use crate::yaml::{Diagnostic, Entry, Node, Position, quoted};

/// Key of the policy of visitors. It need not be declared.
pub const PUBLIC: &str = "public";

/// What keys are derived in, so that one key means one row in every database.
const NAMESPACE: Uuid = uuid!("6f0d7a52-61d4-5c39-9b4f-2e6a1f3c8d07");

/// Longest name of a role or policy that the tables take.
const MOST_NAME: usize = 100;

/// The key of the row that a key of a file stands for.
pub fn derived_id(kind: &str, key: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{kind}:{key}").as_bytes())
}

/// A name with its place.
#[derive(Debug, Clone)]
pub struct Name {
    pub text: String,
    pub at: Position,
}

#[derive(Debug)]
pub struct Role {
    pub key: Name,
    pub id: String,
    pub name: String,
    pub icon: Option<String>,
    pub description: Option<String>,
    pub parent: Option<Name>,
    pub policies: Vec<Name>,
}

#[derive(Debug)]
pub struct Policy {
    pub key: Name,
    pub id: String,
    pub name: String,
    pub icon: Option<String>,
    pub description: Option<String>,
    pub admin: bool,
    pub app: bool,
    pub enforce_tfa: bool,
    pub ip_access: Vec<String>,
    pub roles: Vec<Name>,
    pub users: Vec<Name>,
    pub visitors: bool,
}

#[derive(Debug)]
pub struct ServiceAccount {
    pub key: Name,
    pub id: String,
    pub name: String,
    pub role: Option<Name>,
    pub policies: Vec<Name>,
    pub token_env: String,
}

/// What a policy may do with a collection, or with all that a pattern means.
#[derive(Debug)]
pub struct RightDecl {
    pub policy: String,
    /// The collection or pattern as written.
    pub scope: Name,
    /// Stands in the file of the collection.
    pub is_local: bool,
    pub action: Action,
    /// `None` for `false`.
    pub rule: Option<Rule>,
    pub at: Position,
}

/// The conditions of a right; without any it is without limits.
#[derive(Debug, Clone, Default)]
pub struct Rule {
    pub filter: Option<Node>,
    pub fields: Option<Vec<Name>>,
    pub validation: Option<Node>,
    pub presets: Option<Node>,
}

/// Everything that files say about access.
#[derive(Debug, Default)]
pub struct Declared {
    pub roles: Vec<Role>,
    pub policies: Vec<Policy>,
    pub accounts: Vec<ServiceAccount>,
    pub rights: Vec<RightDecl>,
}

impl Declared {
    /// Reads `_access.yaml` and the parts of collection files. What is wrong is reported, what is right is kept.
    pub fn read(root: Option<&Node>, loaded: Option<&Loaded>, findings: &mut Findings) -> Self {
        let mut declared = Declared::default();
        if let Some(root) = root {
            declared.read_file(root, findings);
        }
        let parts = loaded.map(|loaded| loaded.access.as_slice()).unwrap_or_default();
        for part in parts {
            for entry in part.permissions.as_ref().and_then(Node::as_map).unwrap_or_default() {
                if declared.policy(&entry.name).is_none() && entry.name != PUBLIC {
                    let known = declared.policies.iter().map(|policy| policy.key.text.as_str());
                    let known = known.chain([PUBLIC]);
                    let message = format!("there is no policy {}", quoted(&entry.name));
                    findings.push_nearest(Diagnostic::error(&entry.key.at, message), &entry.name, known);
                    continue;
                }
                let scope = Name { text: part.collection.clone(), at: entry.key.at.clone() };
                declared.read_rights(&entry.name, &scope, true, &entry.value);
            }
        }
        declared.add_public();
        declared.check(findings);
        declared
    }

    fn read_file(&mut self, root: &Node, findings: &mut Findings) {
        if root.as_map().is_none() {
            let message = format!("the file cannot be {}", root.kind());
            findings.push(Diagnostic::error(&root.at, message).expected("a map"));
            return;
        }
        // What is wrong inside is reported here; the rest is read nevertheless, so that nobody is told that it is not there.
        Map::read(root, &[keys::access::FILE], "the file", findings);
        let entries = |name: &str| root.get(name).and_then(Node::as_map).unwrap_or_default();
        self.roles = entries("roles").iter().map(role).collect();
        self.accounts = entries("service_accounts").iter().filter_map(account).collect();
        for entry in entries("policies") {
            self.policies.push(policy(entry));
            for scope in entry.value.get("collections").and_then(Node::as_map).unwrap_or_default() {
                self.read_rights(&entry.name, &name_of_key(scope), false, &scope.value);
            }
        }
    }

    /// The rights behind a collection or pattern: a word, a list of actions, or a map of them.
    fn read_rights(&mut self, policy: &str, scope: &Name, is_local: bool, node: &Node) {
        let mut add = |action: Action, rule: Option<Rule>, at: &Position| {
            self.rights.push(RightDecl {
                policy: policy.to_owned(),
                scope: scope.clone(),
                is_local,
                action,
                rule,
                at: at.clone(),
            });
        };
        if let Some(entries) = node.as_map() {
            for entry in entries {
                let Some(action) = Action::find(&entry.name) else { continue };
                let rule = match entry.value.as_bool() {
                    Some(allowed) => allowed.then(Rule::default),
                    None => Some(rule(&entry.value)),
                };
                add(action, rule, &entry.key.at);
            }
            return;
        }
        for word in node.as_list().unwrap_or(std::slice::from_ref(node)) {
            match word.as_text() {
                Some("all") => {
                    Action::ALL.iter().for_each(|action| add(*action, Some(Rule::default()), &word.at))
                }
                Some("none") => Action::ALL.iter().for_each(|action| add(*action, None, &word.at)),
                Some(text) => {
                    if let Some(action) = Action::find(text) {
                        add(action, Some(Rule::default()), &word.at);
                    }
                }
                None => {}
            }
        }
    }

    /// The policy of visitors is there as soon as somebody says something of it.
    fn add_public(&mut self) {
        let right = self.rights.iter().find(|right| right.policy == PUBLIC);
        if let Some(right) = right.filter(|_| self.policy(PUBLIC).is_none()) {
            let key = Name { text: PUBLIC.to_owned(), at: right.at.clone() };
            self.policies.push(Policy {
                id: derived_id("policy", PUBLIC).to_string(),
                name: PUBLIC.to_owned(),
                icon: None,
                description: None,
                admin: false,
                app: false,
                enforce_tfa: false,
                ip_access: Vec::new(),
                roles: Vec::new(),
                users: Vec::new(),
                visitors: true,
                key,
            });
        }
    }

    pub fn role(&self, key: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.key.text == key)
    }

    pub fn policy(&self, key: &str) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.key.text == key)
    }

    fn check(&self, findings: &mut Findings) {
        self.check_references(findings);
        self.check_parents(findings);
        let names = self.roles.iter().map(|role| (&role.key, &role.name));
        let names = names.chain(self.policies.iter().map(|policy| (&policy.key, &policy.name)));
        for (key, _) in names.filter(|(_, name)| name.chars().count() > MOST_NAME || name.is_empty()) {
            let message = format!("a name has 1 to {MOST_NAME} characters");
            findings.push(Diagnostic::error(&key.at, message));
        }
        let mut ids: HashMap<&str, &Name> = HashMap::new();
        let all = self.roles.iter().map(|role| (&role.id, &role.key));
        let all = all.chain(self.policies.iter().map(|policy| (&policy.id, &policy.key)));
        let all = all.chain(self.accounts.iter().map(|account| (&account.id, &account.key)));
        for (id, key) in all {
            if Uuid::parse_str(id).is_err() {
                let message = format!("the \"id\" of {} is no UUID", quoted(&key.text));
                findings.push(Diagnostic::error(&key.at, message));
            } else if let Some(other) = ids.insert(id, key) {
                let message =
                    format!("{} and {} have the same \"id\"", quoted(&other.text), quoted(&key.text));
                findings.push(Diagnostic::error(&key.at, message));
            }
        }
        for policy in &self.policies {
            for text in policy.ip_access.iter().filter(|text| !is_address(text)) {
                let message = format!("{} of {} is no address", quoted(text), quoted(&policy.key.text));
                let expected = "an address, a network as in 10.0.0.0/8, or a range as in 10.0.0.1-10.0.0.9";
                findings.push(Diagnostic::error(&policy.key.at, message).expected(expected));
            }
            if policy.visitors && (policy.admin || policy.app || policy.enforce_tfa) {
                let message = "visitors cannot have \"admin\", \"app\" or \"enforce_tfa\": they are nobody";
                findings.push(Diagnostic::error(&policy.key.at, message));
            }
        }
    }

    fn check_references(&self, findings: &mut Findings) {
        let roles: Vec<&str> = self.roles.iter().map(|role| role.key.text.as_str()).collect();
        let policies: Vec<&str> = self.policies.iter().map(|policy| policy.key.text.as_str()).collect();
        let mut check = |what: &str, name: &Name, known: &[&str]| {
            if !known.contains(&name.text.as_str()) {
                let message = format!("there is no {what} {}", quoted(&name.text));
                findings.push_nearest(
                    Diagnostic::error(&name.at, message),
                    &name.text,
                    known.iter().copied(),
                );
            }
        };
        for role in &self.roles {
            role.parent.iter().for_each(|parent| check("role", parent, &roles));
            role.policies.iter().for_each(|policy| check("policy", policy, &policies));
        }
        for policy in &self.policies {
            policy.roles.iter().for_each(|role| check("role", role, &roles));
        }
        for account in &self.accounts {
            account.role.iter().for_each(|role| check("role", role, &roles));
            account.policies.iter().for_each(|policy| check("policy", policy, &policies));
        }
    }

    /// A role that descends from itself is reported once, where the circle is entered first.
    fn check_parents(&self, findings: &mut Findings) {
        let mut reported: HashSet<&str> = HashSet::new();
        for role in &self.roles {
            let mut path: Vec<&str> = vec![&role.key.text];
            let mut next = role.parent.as_ref();
            while let Some(parent) = next {
                if let Some(start) = path.iter().position(|key| *key == parent.text) {
                    let circle = &path[start..];
                    if !circle.iter().any(|key| reported.contains(key)) {
                        let message =
                            format!("roles in a circle: {} -> {}", circle.join(" -> "), parent.text);
                        let expected = "a parent that does not descend from this role";
                        findings.push(Diagnostic::error(&parent.at, message).expected(expected));
                    }
                    reported.extend(circle);
                    break;
                }
                path.push(&parent.text);
                next = self.role(&parent.text).and_then(|role| role.parent.as_ref());
            }
        }
    }
}

fn name_of_key(entry: &Entry) -> Name {
    Name { text: entry.name.clone(), at: entry.key.at.clone() }
}

fn text(node: &Node, key: &str) -> Option<String> {
    node.get(key).and_then(Node::as_text).map(str::to_owned)
}

fn flag(node: &Node, key: &str) -> bool {
    node.get(key).and_then(Node::as_bool).unwrap_or(false)
}

fn name(node: &Node) -> Option<Name> {
    Some(Name { text: node.as_text()?.to_owned(), at: node.at.clone() })
}

fn names(node: &Node, key: &str) -> Vec<Name> {
    node.get(key).and_then(Node::as_list).unwrap_or_default().iter().filter_map(name).collect()
}

fn id(entry: &Entry, kind: &str) -> String {
    match text(&entry.value, "id") {
        Some(id) => id.to_lowercase(),
        None => derived_id(kind, &entry.name).to_string(),
    }
}

fn role(entry: &Entry) -> Role {
    Role {
        key: name_of_key(entry),
        id: id(entry, "role"),
        name: text(&entry.value, "name").unwrap_or_else(|| entry.name.clone()),
        icon: text(&entry.value, "icon"),
        description: text(&entry.value, "description"),
        parent: entry.value.get("parent").and_then(name),
        policies: names(&entry.value, "policies"),
    }
}

fn policy(entry: &Entry) -> Policy {
    let node = &entry.value;
    Policy {
        key: name_of_key(entry),
        id: id(entry, "policy"),
        name: text(node, "name").unwrap_or_else(|| entry.name.clone()),
        icon: text(node, "icon"),
        description: text(node, "description"),
        admin: flag(node, "admin"),
        app: flag(node, "app"),
        enforce_tfa: flag(node, "enforce_tfa"),
        ip_access: names(node, "ip_access").into_iter().map(|name| name.text).collect(),
        roles: names(node, "roles"),
        users: names(node, "users"),
        visitors: flag(node, "visitors") || entry.name == PUBLIC,
    }
}

/// `None` where the variable of the token is not named, which was reported.
fn account(entry: &Entry) -> Option<ServiceAccount> {
    let node = &entry.value;
    Some(ServiceAccount {
        key: name_of_key(entry),
        id: id(entry, "service_account"),
        name: text(node, "name").unwrap_or_else(|| entry.name.clone()),
        role: node.get("role").and_then(name),
        policies: names(node, "policies"),
        token_env: text(node, "token_env")?,
    })
}

/// The conditions of a right.
pub fn rule(node: &Node) -> Rule {
    let fields = node.get("fields").map(|fields| match fields.as_list() {
        Some(list) => list.iter().filter_map(name).collect(),
        None => name(fields).into_iter().collect(),
    });
    Rule {
        filter: node.get("where").cloned(),
        fields,
        validation: node.get("validation").cloned(),
        presets: node.get("presets").cloned(),
    }
}

/// An address, a network or a range of addresses.
fn is_address(text: &str) -> bool {
    let is_single = |text: &str| text.trim().parse::<std::net::IpAddr>().is_ok();
    if let Some((first, last)) = text.split_once('-') {
        return is_single(first) && is_single(last);
    }
    match text.split_once('/') {
        None => is_single(text),
        Some((address, bits)) => {
            let most = if address.contains(':') { 128 } else { 32 };
            is_single(address) && bits.parse::<u8>().is_ok_and(|bits| bits <= most)
        }
    }
}
