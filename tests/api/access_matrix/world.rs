//! Who asks in the matrix, and what they ask about.
//!
//! A row is somebody's own when its mark says so; the mark is a field that the model has anyway, found by [`subjects`], like the
//! field that some callers may not see.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tablature::schema::{
    self, Collection, CollectionId, Column, ColumnType, Field, FieldId, FieldKind, Origin, Schema, SourceFile,
};

use crate::support::access::policy;
use crate::support::doors::{Asker, Door, Outcome, Place};
use crate::support::{Answer, Client, blog};

/// A collection as the matrix sees it.
pub(super) struct Subject {
    pub(super) id: CollectionId,
    pub(super) name: String,
    pub(super) key: String,
    /// The key is a text that the writer gives.
    pub(super) gives_key: bool,
    /// The field that says whose a row is.
    pub(super) mark: String,
    pub(super) is_number: bool,
    /// A field that some may not see, with a value for it.
    pub(super) hidden: Option<(String, Value)>,
    /// Members that a new item needs.
    pub(super) needed: Map<String, Value>,
}

impl Subject {
    /// The same for a request of this caller.
    pub(super) fn place(&self, caller: &Caller) -> Place<'_> {
        let is_readable = caller.right(self, "read").is_some();
        Place { collection: &self.name, key: &self.key, is_readable }
    }

    pub(super) fn own(&self) -> Value {
        if self.is_number { json!(10) } else { json!("own") }
    }

    pub(super) fn own_changed(&self) -> Value {
        if self.is_number { json!(11) } else { json!("own 2") }
    }

    pub(super) fn others(&self) -> Value {
        if self.is_number { json!(1) } else { json!("other") }
    }

    pub(super) fn mark_of(&self, is_own: bool) -> Value {
        if is_own { self.own() } else { self.others() }
    }

    pub(super) fn rule(&self) -> Value {
        let condition = if self.is_number { json!({ "_gte": 10 }) } else { json!({ "_starts_with": "own" }) };
        json!({ &self.mark: condition })
    }

    pub(super) fn item(&self, is_own: bool) -> Value {
        let mut item = self.needed.clone();
        item.insert(self.mark.clone(), self.mark_of(is_own));
        if self.gives_key {
            item.insert(self.key.clone(), json!(uuid::Uuid::new_v4().simple().to_string()[..8]));
        }
        Value::Object(item)
    }

    pub(super) fn path(&self, key: &Value) -> String {
        format!("/items/{}/{}", self.name, key.as_str().map_or_else(|| key.to_string(), str::to_owned))
    }

    pub(super) fn list(&self) -> String {
        format!("/items/{}", self.name)
    }

    /// The marks of these rows, null for one that is gone.
    pub(super) async fn marks(&self, admin: &Client, keys: &[Value]) -> Vec<Value> {
        let filter = json!({ &self.key: { "_in": keys } });
        let rows = admin.items(&self.name, json!({ "filter": filter, "limit": -1 })).await.data();
        let find = |key: &Value| rows.as_array().unwrap().iter().find(|row| row[&self.key] == *key);
        keys.iter().map(|key| find(key).map_or(Value::Null, |row| row[&self.mark].clone())).collect()
    }
}

/// Rows that the administrator has made, to be taken one by one: many at once cost as much as one.
pub(super) struct Rows<'a> {
    pub(super) admin: &'a Client,
    pub(super) subject: &'a Subject,
    pub(super) own: Vec<Value>,
    pub(super) others: Vec<Value>,
}

impl<'a> Rows<'a> {
    pub(super) fn of(subject: &'a Subject, admin: &'a Client) -> Self {
        Rows { admin, subject, own: Vec::new(), others: Vec::new() }
    }

    /// The keys of rows of these owners.
    pub(super) async fn take(&mut self, owners: &[bool]) -> Vec<Value> {
        if self.own.len() < owners.len() || self.others.len() < owners.len() {
            let items: Vec<Value> = (0..24).map(|number| self.subject.item(number % 3 > 0)).collect();
            let made = self.admin.post(&self.subject.list(), json!(items)).await.data();
            for row in made.as_array().unwrap() {
                let is_own = row[&self.subject.mark] == self.subject.own();
                let kind = if is_own { &mut self.own } else { &mut self.others };
                kind.push(row[&self.subject.key].clone());
            }
        }
        let mut one = |is_own: &bool| if *is_own { self.own.pop() } else { self.others.pop() };
        owners.iter().map(|is_own| one(is_own).unwrap()).collect()
    }
}

/// The model of the suite, from its files.
pub(super) fn model() -> Schema {
    let mut files = Vec::new();
    for folder in ["reading", "writing"] {
        for entry in std::fs::read_dir(blog::collections().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            files.push(SourceFile { path: path.display().to_string(), text: text.into() });
        }
    }
    let (loaded, findings) = schema::load(&files, 1);
    loaded.unwrap_or_else(|| panic!("{findings:?}")).schema
}

/// The collections that have a mark, and whose items need nothing that cannot be made up.
pub(super) fn subjects(schema: &Schema) -> Vec<Subject> {
    // What the server sets by itself says nothing of an owner.
    let mut kept = Vec::new();
    for (_, collection) in schema.collections() {
        for (_, field) in collection.fields() {
            match &field.kind {
                FieldKind::OneToMany { related, sort: Some(sort), .. } => kept.push((*related, *sort)),
                FieldKind::ManyToAny { collection_field, .. } => {
                    kept.push((schema.find(&collection.name).unwrap(), *collection_field));
                }
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    for (id, collection) in schema.collections() {
        if collection.is_system() || collection.singleton || collection.origin == Origin::Database {
            continue;
        }
        let Some(key) = collection.key() else { continue };
        let is_kept =
            |place: FieldId| kept.contains(&(id, place)) || collection.sort == Some(place) || place == key;
        let is_mark = |(place, field): &(FieldId, &Field)| {
            let column = free_column(field).filter(|_| !is_kept(*place));
            column.is_some_and(|column| match column.column_type {
                ColumnType::String { length } => length >= 5,
                ColumnType::Text | ColumnType::Integer => true,
                _ => false,
            })
        };
        let Some((mark_id, mark)) = collection.fields().find(is_mark) else { continue };
        let hidden = collection.fields().find_map(|(place, field)| {
            let is_other = place != mark_id && !is_kept(place);
            let column = free_column(field).filter(|column| is_other && column.nullable)?;
            let value = made_up(&column.column_type)?;
            Some((field.name.to_string(), value))
        });
        let Some(needed) = needed(collection, &mark.name) else { continue };
        let column = mark.column.as_ref().unwrap();
        let key_column = collection.field(key).column.as_ref().unwrap();
        found.push(Subject {
            id,
            name: collection.name.to_string(),
            key: collection.field(key).name.to_string(),
            gives_key: key_column.auto.is_none(),
            mark: mark.name.to_string(),
            is_number: column.column_type == ColumnType::Integer,
            hidden,
            needed,
        });
    }
    found
}

/// The column of a field that takes any value.
pub(super) fn free_column(field: &Field) -> Option<&Column> {
    let column = field.column.as_ref().filter(|_| field.kind == FieldKind::Plain)?;
    let checks = &column.checks;
    let is_checked = !checks.choices.is_empty() || checks.pattern.is_some() || checks.min.is_some();
    (!is_checked && column.auto.is_none() && !column.unique && !field.conceal).then_some(column)
}

pub(super) fn made_up(column_type: &ColumnType) -> Option<Value> {
    Some(match column_type {
        ColumnType::String { .. } | ColumnType::Text => json!("x"),
        ColumnType::Integer | ColumnType::Float => json!(3),
        ColumnType::Decimal { .. } => json!("1.5"),
        ColumnType::Boolean => json!(true),
        ColumnType::Date => json!("2026-03-02"),
        ColumnType::Time => json!("10:00:00"),
        _ => return None,
    })
}

/// What must be sent beside the mark; `None` where that is a reference.
pub(super) fn needed(collection: &Collection, mark: &str) -> Option<Map<String, Value>> {
    let mut needed = Map::new();
    for (id, field) in collection.fields() {
        let Some(column) = &field.column else { continue };
        let is_set = column.nullable || column.default.is_some() || column.auto.is_some();
        if is_set || collection.key() == Some(id) || *field.name == *mark {
            continue;
        }
        if field.kind != FieldKind::Plain {
            return None;
        }
        needed.insert(field.name.to_string(), made_up(&column.column_type)?);
    }
    Some(needed)
}

/// In which rows something is allowed, and in which fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Right {
    pub(super) only_own: bool,
    pub(super) hides: bool,
}

/// Somebody who asks.
pub(super) struct Caller {
    pub(super) name: &'static str,
    pub(super) rights: BTreeMap<&'static str, Right>,
    /// Only for every other collection.
    pub(super) half: bool,
    pub(super) client: Client,
    pub(super) asker: Asker,
}

pub(super) const ACTIONS: [&str; 4] = ["read", "create", "update", "delete"];

impl Caller {
    pub(super) fn right(&self, subject: &Subject, action: &str) -> Option<Right> {
        (!self.half || subject.id.0.is_multiple_of(2)).then(|| self.rights.get(action).copied()).flatten()
    }

    /// Whether this may be done to rows of these owners.
    pub(super) fn may(&self, subject: &Subject, action: &str, owners: &[bool], names_hidden: bool) -> bool {
        self.right(subject, action).is_some_and(|right| {
            (!right.only_own || owners.iter().all(|is_own| *is_own)) && !(right.hides && names_hidden)
        })
    }

    /// The rows among these that are seen.
    pub(super) fn sees<'a>(&self, subject: &Subject, rows: &'a [Value], owners: &[bool]) -> Vec<&'a Value> {
        let rows = rows.iter().zip(owners);
        rows.filter(|(_, is_own)| self.may(subject, "read", &[**is_own], false)).map(|(row, _)| row).collect()
    }

    /// The rights as rows of the system's tables.
    pub(super) fn permissions(&self, subjects: &[Subject], schema: &Schema) -> Value {
        let mut rows = Vec::new();
        for subject in subjects {
            for action in ACTIONS {
                let Some(right) = self.right(subject, action) else { continue };
                let names = schema.collection(subject.id).fields().map(|(_, field)| field.name.to_string());
                let hidden = subject.hidden.as_ref().filter(|_| right.hides).map(|(name, _)| name);
                let fields: Vec<String> = match hidden {
                    Some(hidden) => names.filter(|name| name != hidden).collect(),
                    None => vec!["*".to_owned()],
                };
                let rule = if right.only_own { subject.rule() } else { json!({}) };
                // Who makes rows makes rows of one's own.
                let (rows_of, validation) =
                    if action == "create" { (json!({}), rule) } else { (rule, Value::Null) };
                rows.push(json!([subject.name, action, rows_of, fields, null, validation]));
            }
        }
        Value::Array(rows)
    }
}

pub(super) fn rights(only_own: bool, hides: bool, actions: &[&'static str]) -> BTreeMap<&'static str, Right> {
    actions.iter().map(|action| (*action, Right { only_own, hides })).collect()
}

/// Everybody, signed in; the visitors' policy lets them see what is their own.
pub(super) async fn callers(
    admin: &Client,
    subjects: &[Subject],
    schema: &Schema,
    door: Door,
) -> Vec<Caller> {
    let kinds = [
        ("everything", rights(false, false, &ACTIONS), false),
        ("owner", rights(true, true, &ACTIONS), false),
        ("reader", rights(false, true, &["read"]), false),
        ("creator", rights(false, false, &["create"]), false),
        ("changer", rights(true, false, &["update", "delete"]), false),
        ("half", rights(false, false, &ACTIONS), true),
        ("nobody", BTreeMap::new(), false),
        ("visitor", rights(true, true, &["read"]), false),
    ];
    // Who has no role has what visitors have.
    let role = admin.post("/roles", json!({ "name": "Plain" })).await.data()["id"].clone();
    let mut callers = Vec::new();
    for (name, rights, half) in kinds {
        let visitor = admin.with_token(None);
        let asker = Asker::new(door, visitor.clone());
        let mut caller = Caller { name, rights, half, client: visitor, asker };
        let policy = policy(admin, name, caller.permissions(subjects, schema)).await;
        if name == "visitor" {
            admin.post("/access", json!({ "role": null, "user": null, "policy": policy })).await.data();
        } else {
            let token = format!("token-of-the-{name}-in-the-matrix");
            let user = json!({ "email": format!("{name}@example.com"), "token": token, "role": role });
            let user = admin.post("/users", user).await.data()["id"].clone();
            admin.post("/access", json!({ "user": user, "policy": policy })).await.data();
            caller.client = admin.with_token(Some(&token));
            caller.asker = Asker::new(door, caller.client.clone());
        }
        callers.push(caller);
    }
    callers
}

/// What was not as the rule says.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) wrong: Vec<String>,
    pub(super) allowed: usize,
    pub(super) refused: usize,
}

impl Findings {
    pub(super) fn check(&mut self, caller: &Caller, answer: &Answer, expected: &str) {
        let code = match answer.status {
            200 | 204 => "ok".to_owned(),
            _ => answer.errors()[0]["extensions"]["code"].as_str().unwrap().to_owned(),
        };
        self.note(caller, &code, expected, answer);
    }

    pub(super) fn came(&mut self, caller: &Caller, outcome: &Outcome, expected: &str) {
        self.note(caller, outcome.code.as_deref().unwrap_or("ok"), expected, outcome);
    }

    fn note(&mut self, caller: &Caller, got: &str, expected: &str, what: &dyn std::fmt::Debug) {
        match expected {
            "ok" => self.allowed += 1,
            _ => self.refused += 1,
        }
        if got != expected {
            self.wrong.push(format!("{} expected {expected}: {what:?}", caller.name));
        }
    }

    pub(super) fn same(&mut self, caller: &Caller, what: &str, got: &Value, expected: &Value) {
        if got != expected {
            self.wrong.push(format!("{} {what}: {got}, not {expected}", caller.name));
        }
    }
}

pub(super) fn ok_if(allowed: bool) -> &'static str {
    if allowed { "ok" } else { "FORBIDDEN" }
}
