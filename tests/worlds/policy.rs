//! Policies, made at random, and what somebody sees who has them.
//!
//! A row is seen when some permission finds it, a field of a row when some permission that names the field finds the row.

use serde_json::{Value, json};
use tablature::access::{Directory, Grant, PermissionRow, PolicyRow, Role};

use crate::filter::{Filter, Judge, Maker};
use crate::model::{Model, Type, USERS, key};
use crate::support::random::Random;

/// What a policy allows to be read of one table.
#[derive(Debug, Clone)]
pub struct Right {
    pub table: usize,
    /// `None` for all.
    pub rows: Option<Filter>,
    /// `None` for all.
    pub fields: Option<Vec<usize>>,
}

pub type Policy = Vec<Right>;

/// Who asks.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    pub user: Option<String>,
    pub role: Option<String>,
    pub roles: Vec<String>,
    /// Keys of the policies in force.
    pub policies: Vec<String>,
}

/// Somebody to whom a policy is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    User(i64),
    /// 1 is below 2.
    Role(i64),
    Visitors,
}

/// All policies and who has them.
#[derive(Debug, Clone)]
pub struct Policies {
    pub policies: Vec<Policy>,
    pub grants: Vec<(Holder, usize)>,
}

pub fn policy_key(position: usize) -> String {
    key(Type::Uuid, 201 + position as i64).text().to_owned()
}

fn role_key(number: i64) -> String {
    key(Type::Uuid, 100 + number).text().to_owned()
}

fn user_key(number: i64) -> String {
    key(Type::Uuid, number).text().to_owned()
}

impl Policies {
    pub fn any(random: &mut Random, model: &Model) -> Policies {
        let count = 1 + random.below(3);
        let policies: Vec<Policy> = (0..count).map(|_| any_policy(random, model)).collect();
        let mut grants = Vec::new();
        for policy in 0..count {
            let holder = match random.below(6) {
                0 => Holder::Role(1),
                1 => Holder::Role(2),
                2 => Holder::Visitors,
                _ => Holder::User(1),
            };
            grants.push((holder, policy));
            if random.one_in(3) {
                grants.push((Holder::User(1 + random.below(2) as i64), policy));
            }
        }
        Policies { policies, grants }
    }

    /// The user with this number (a visitor, without one), as a holder of this role.
    pub fn caller(&self, user: Option<i64>, role: Option<i64>) -> Caller {
        let roles: Vec<i64> = role.map_or(Vec::new(), |role| (role..=2).collect());
        let holds = |holder: &Holder| match holder {
            Holder::User(number) => user == Some(*number),
            Holder::Role(number) => roles.contains(number),
            // Who has no role has what visitors have.
            Holder::Visitors => role.is_none(),
        };
        let mut policies: Vec<String> = Vec::new();
        for (holder, policy) in &self.grants {
            let key = policy_key(*policy);
            if holds(holder) && !policies.contains(&key) {
                policies.push(key);
            }
        }
        Caller {
            user: user.map(user_key),
            role: role.map(role_key),
            roles: roles.into_iter().map(role_key).collect(),
            policies,
        }
    }

    /// The rights that these policies unite.
    pub fn rights<'a>(&'a self, caller: &Caller) -> Vec<&'a Right> {
        let in_force = self.policies.iter().enumerate();
        let in_force = in_force.filter(|(position, _)| caller.policies.contains(&policy_key(*position)));
        in_force.flat_map(|(_, policy)| policy).collect()
    }

    /// The same as rows of the system's tables.
    pub fn directory(&self, model: &Model) -> Directory {
        let role =
            |number: i64, parent: Option<i64>| Role { id: role_key(number), parent: parent.map(role_key) };
        let roles = vec![role(1, Some(2)), role(2, None)];
        let policies = (0..self.policies.len()).map(|position| PolicyRow {
            id: policy_key(position),
            name: format!("policy {position}"),
            admin: false,
            app: false,
            enforce_tfa: false,
            ip_access: String::new(),
        });
        let grants = self.grants.iter().map(|(holder, policy)| {
            let (role, user) = match holder {
                Holder::User(number) => (None, Some(user_key(*number))),
                Holder::Role(number) => (Some(role_key(*number)), None),
                Holder::Visitors => (None, None),
            };
            Grant { role, user, policy: policy_key(*policy), sort: 1 }
        });
        let mut permissions = Vec::new();
        for (position, policy) in self.policies.iter().enumerate() {
            for right in policy {
                permissions.push(PermissionRow {
                    id: permissions.len().to_string(),
                    policy: policy_key(position),
                    collection: model.tables[right.table].name.clone(),
                    action: "read".to_owned(),
                    permissions: right
                        .rows
                        .as_ref()
                        .map_or(json!({}), |rows| rows.written(model, right.table)),
                    validation: Value::Null,
                    presets: Value::Null,
                    fields: Some(right.field_names(model)),
                });
            }
        }
        Directory::new(roles, policies.collect(), grants.collect(), &permissions)
    }

    /// For messages.
    pub fn shown(&self, model: &Model) -> Value {
        let policies = self.policies.iter().map(|policy| {
            let rights = policy.iter().map(|right| {
                json!({
                    "collection": model.tables[right.table].name,
                    "permissions": right.rows.as_ref().map(|rows| rows.written(model, right.table)),
                    "fields": right.field_names(model).join(","),
                })
            });
            rights.collect::<Value>()
        });
        json!({ "policies": policies.collect::<Value>(), "grants": format!("{:?}", self.grants) })
    }
}

impl Right {
    fn field_names(&self, model: &Model) -> Vec<String> {
        match &self.fields {
            None => vec!["*".to_owned()],
            Some(fields) => fields.iter().map(|field| model.field(self.table, *field).name.clone()).collect(),
        }
    }
}

fn any_policy(random: &mut Random, model: &Model) -> Policy {
    let everything = |_: usize, _: usize| true;
    let maker = Maker { model, may_name: &everything, is_rule: true };
    let mut policy = Vec::new();
    for table in 0..model.tables.len() {
        if random.one_in(if table == USERS { 2 } else { 5 }) {
            continue;
        }
        for _ in 0..1 + usize::from(random.one_in(4)) {
            let depth = random.below(3);
            let rows = if random.one_in(3) { None } else { maker.filter(random, table, depth) };
            let fields = (!random.one_in(3)).then(|| {
                let keeps = 2 + random.below(4);
                let all = 0..model.tables[table].fields.len();
                all.filter(|field| (*field == 0 && !random.one_in(6)) || !random.one_in(keeps)).collect()
            });
            policy.push(Right { table, rows, fields });
        }
    }
    policy
}

/// The eyes of somebody.
pub struct Viewer<'a> {
    pub model: &'a Model,
    pub caller: &'a Caller,
    pub rights: Vec<&'a Right>,
}

impl<'a> Viewer<'a> {
    pub fn new(model: &'a Model, policies: &'a Policies, caller: &'a Caller) -> Self {
        Viewer { model, caller, rights: policies.rights(caller) }
    }

    fn of(&self, table: usize) -> impl Iterator<Item = &Right> {
        self.rights.iter().copied().filter(move |right| right.table == table)
    }

    fn finds(&self, right: &Right, row: Option<usize>) -> bool {
        // The filter of a permission says what it means: no other permission limits what it looks at.
        let judge = Judge { model: self.model, caller: self.caller, viewer: None };
        right.rows.as_ref().is_none_or(|rows| judge.judge(right.table, row, rows) == Some(true))
    }

    pub fn is_open(&self, table: usize) -> bool {
        self.of(table).next().is_some()
    }

    pub fn may_read(&self, table: usize, field: usize) -> bool {
        self.of(table).any(|right| right.covers(field))
    }

    pub fn sees(&self, table: usize, row: usize) -> bool {
        self.of(table).any(|right| self.finds(right, Some(row)))
    }

    pub fn sees_field(&self, table: usize, row: Option<usize>, field: usize) -> bool {
        // A missing row is nobody's secret; only what is not in every permission depends on what they say of it.
        if row.is_none() && self.of(table).all(|right| right.covers(field)) {
            return true;
        }
        self.of(table).any(|right| right.covers(field) && self.finds(right, row))
    }

    /// The rows of a table that may be seen.
    pub fn rows(&self, table: usize) -> Vec<usize> {
        (0..self.model.tables[table].rows.len()).filter(|row| self.sees(table, *row)).collect()
    }

    pub fn judge(&self) -> Judge<'_> {
        Judge { model: self.model, caller: self.caller, viewer: Some(self) }
    }
}

impl Right {
    fn covers(&self, field: usize) -> bool {
        self.fields.as_ref().is_none_or(|fields| fields.contains(&field))
    }
}
