//! Every action on every collection of the model, by callers of every kind: what comes of each is derived from the rule that gives
//! the right, not written down.
//!
//! Start at [`every_action_by_everybody`]. A row is somebody's own when its mark says so; the mark is a field that the model has
//! anyway, found by [`subjects`], like the field that some callers may not see.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tablature::schema::{
    self, Collection, CollectionId, Column, ColumnType, Field, FieldId, FieldKind, Origin, Schema, SourceFile,
};

use crate::support::access::policy;
use crate::support::{Answer, Client, blog, each_database};

/// A collection as the matrix sees it.
struct Subject {
    id: CollectionId,
    name: String,
    key: String,
    /// The key is a text that the writer gives.
    gives_key: bool,
    /// The field that says whose a row is.
    mark: String,
    is_number: bool,
    /// A field that some may not see, with a value for it.
    hidden: Option<(String, Value)>,
    /// Members that a new item needs.
    needed: Map<String, Value>,
}

impl Subject {
    fn own(&self) -> Value {
        if self.is_number { json!(10) } else { json!("own") }
    }

    fn own_changed(&self) -> Value {
        if self.is_number { json!(11) } else { json!("own 2") }
    }

    fn others(&self) -> Value {
        if self.is_number { json!(1) } else { json!("other") }
    }

    fn mark_of(&self, is_own: bool) -> Value {
        if is_own { self.own() } else { self.others() }
    }

    fn rule(&self) -> Value {
        let condition = if self.is_number { json!({ "_gte": 10 }) } else { json!({ "_starts_with": "own" }) };
        json!({ &self.mark: condition })
    }

    fn item(&self, is_own: bool) -> Value {
        let mut item = self.needed.clone();
        item.insert(self.mark.clone(), self.mark_of(is_own));
        if self.gives_key {
            item.insert(self.key.clone(), json!(uuid::Uuid::new_v4().simple().to_string()[..8]));
        }
        Value::Object(item)
    }

    fn path(&self, key: &Value) -> String {
        format!("/items/{}/{}", self.name, key.as_str().map_or_else(|| key.to_string(), str::to_owned))
    }

    fn list(&self) -> String {
        format!("/items/{}", self.name)
    }

    /// The marks of these rows, null for one that is gone.
    async fn marks(&self, admin: &Client, keys: &[Value]) -> Vec<Value> {
        let filter = json!({ &self.key: { "_in": keys } });
        let rows = admin.items(&self.name, json!({ "filter": filter, "limit": -1 })).await.data();
        let find = |key: &Value| rows.as_array().unwrap().iter().find(|row| row[&self.key] == *key);
        keys.iter().map(|key| find(key).map_or(Value::Null, |row| row[&self.mark].clone())).collect()
    }
}

/// Rows that the administrator has made, to be taken one by one: many at once cost as much as one.
struct Rows<'a> {
    admin: &'a Client,
    subject: &'a Subject,
    own: Vec<Value>,
    others: Vec<Value>,
}

impl<'a> Rows<'a> {
    fn of(subject: &'a Subject, admin: &'a Client) -> Self {
        Rows { admin, subject, own: Vec::new(), others: Vec::new() }
    }

    /// The keys of rows of these owners.
    async fn take(&mut self, owners: &[bool]) -> Vec<Value> {
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
fn model() -> Schema {
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
fn subjects(schema: &Schema) -> Vec<Subject> {
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
fn free_column(field: &Field) -> Option<&Column> {
    let column = field.column.as_ref().filter(|_| field.kind == FieldKind::Plain)?;
    let checks = &column.checks;
    let is_checked = !checks.choices.is_empty() || checks.pattern.is_some() || checks.min.is_some();
    (!is_checked && column.auto.is_none() && !column.unique && !field.conceal).then_some(column)
}

fn made_up(column_type: &ColumnType) -> Option<Value> {
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
fn needed(collection: &Collection, mark: &str) -> Option<Map<String, Value>> {
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
struct Right {
    only_own: bool,
    hides: bool,
}

/// Somebody who asks.
struct Caller {
    name: &'static str,
    rights: BTreeMap<&'static str, Right>,
    /// Only for every other collection.
    half: bool,
    client: Client,
}

const ACTIONS: [&str; 4] = ["read", "create", "update", "delete"];

impl Caller {
    fn right(&self, subject: &Subject, action: &str) -> Option<Right> {
        (!self.half || subject.id.0.is_multiple_of(2)).then(|| self.rights.get(action).copied()).flatten()
    }

    /// Whether this may be done to rows of these owners.
    fn may(&self, subject: &Subject, action: &str, owners: &[bool], names_hidden: bool) -> bool {
        self.right(subject, action).is_some_and(|right| {
            (!right.only_own || owners.iter().all(|is_own| *is_own)) && !(right.hides && names_hidden)
        })
    }

    /// The rows among these that are seen.
    fn sees<'a>(&self, subject: &Subject, rows: &'a [Value], owners: &[bool]) -> Vec<&'a Value> {
        let rows = rows.iter().zip(owners);
        rows.filter(|(_, is_own)| self.may(subject, "read", &[**is_own], false)).map(|(row, _)| row).collect()
    }

    /// The rights as rows of the system's tables.
    fn permissions(&self, subjects: &[Subject], schema: &Schema) -> Value {
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

fn rights(only_own: bool, hides: bool, actions: &[&'static str]) -> BTreeMap<&'static str, Right> {
    actions.iter().map(|action| (*action, Right { only_own, hides })).collect()
}

/// Everybody, signed in; the visitors' policy lets them see what is their own.
async fn callers(admin: &Client, subjects: &[Subject], schema: &Schema) -> Vec<Caller> {
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
        let mut caller = Caller { name, rights, half, client: admin.with_token(None) };
        let policy = policy(admin, name, caller.permissions(subjects, schema)).await;
        if name == "visitor" {
            admin.post("/access", json!({ "role": null, "user": null, "policy": policy })).await.data();
        } else {
            let token = format!("token-of-the-{name}-in-the-matrix");
            let user = json!({ "email": format!("{name}@example.com"), "token": token, "role": role });
            let user = admin.post("/users", user).await.data()["id"].clone();
            admin.post("/access", json!({ "user": user, "policy": policy })).await.data();
            caller.client = admin.with_token(Some(&token));
        }
        callers.push(caller);
    }
    callers
}

/// What was not as the rule says.
#[derive(Default)]
struct Findings {
    wrong: Vec<String>,
    allowed: usize,
    refused: usize,
}

impl Findings {
    fn check(&mut self, caller: &Caller, answer: &Answer, expected: &str) {
        let got = match answer.status {
            200 | 204 => "ok".to_owned(),
            _ => answer.errors()[0]["extensions"]["code"].as_str().unwrap().to_owned(),
        };
        match expected {
            "ok" => self.allowed += 1,
            _ => self.refused += 1,
        }
        if got != expected {
            self.wrong.push(format!("{} expected {expected}: {answer:?}", caller.name));
        }
    }

    fn same(&mut self, caller: &Caller, what: &str, got: &Value, expected: &Value) {
        if got != expected {
            self.wrong.push(format!("{} {what}: {got}, not {expected}", caller.name));
        }
    }
}

fn ok_if(allowed: bool) -> &'static str {
    if allowed { "ok" } else { "FORBIDDEN" }
}

#[tokio::test]
async fn every_action_by_everybody() {
    let schema = model();
    let subjects = subjects(&schema);
    assert!(subjects.len() > 20, "most of the model takes part");
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let callers = callers(&admin, &subjects, &schema).await;
        let mut findings = Findings::default();
        for subject in &subjects {
            let mut rows = Rows::of(subject, &admin);
            for caller in &callers {
                read(&mut rows, caller, &mut findings).await;
                create(&admin, caller, subject, &mut findings).await;
                update(&mut rows, caller, &mut findings).await;
                delete(&mut rows, caller, &mut findings).await;
            }
        }
        eprintln!("{engine}: {} allowed, {} refused", findings.allowed, findings.refused);
        let wrong = &findings.wrong;
        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
        assert!(findings.allowed > 1000 && findings.refused > 1000);
    })
    .await;
}

async fn read(rows_of: &mut Rows<'_>, caller: &Caller, findings: &mut Findings) {
    let Rows { subject, .. } = *rows_of;
    let owners = [true, false];
    let rows = rows_of.take(&owners).await;
    for (row, is_own) in rows.iter().zip(owners) {
        let answer = caller.client.get(&subject.path(row)).await;
        findings.check(caller, &answer, ok_if(caller.may(subject, "read", &[is_own], false)));
    }
    let is_open = caller.right(subject, "read").is_some();
    let seen = caller.sees(subject, &rows, &owners);
    let filter = json!({ &subject.key: { "_in": rows } });
    let ask = async |query: Value| caller.client.items(&subject.name, query).await;
    let list =
        ask(json!({ "filter": filter, "sort": subject.key, "fields": subject.key, "meta": "filter_count" }))
            .await;
    findings.check(caller, &list, ok_if(is_open));
    let count = ask(json!({ "filter": filter, "aggregate": { "count": "*", "min": subject.mark } })).await;
    findings.check(caller, &count, ok_if(is_open));
    let groups =
        ask(json!({ "filter": filter, "aggregate": { "count": "*" }, "groupBy": [subject.mark] })).await;
    findings.check(caller, &groups, ok_if(is_open));
    if is_open && list.status == 200 && count.status == 200 && groups.status == 200 {
        let mut expected: Vec<Value> = seen.iter().map(|row| (*row).clone()).collect();
        let by_text = |keys: &mut Vec<Value>| keys.sort_by_key(Value::to_string);
        let mut keys = list.column(&subject.key);
        by_text(&mut expected);
        by_text(&mut keys);
        let of = |what: &str| format!("{what} of {}", subject.name);
        findings.same(caller, &of("list"), &json!(keys), &json!(expected));
        findings.same(caller, &of("meta"), &list.json()["meta"]["filter_count"], &json!(seen.len()));
        let figures = &count.data()[0];
        findings.same(caller, &of("count"), &figures["count"], &json!(seen.len().to_string()));
        let smallest = if seen.len() == 2 { subject.others() } else { subject.own() };
        findings.same(caller, &of("smallest"), &figures["min"][&subject.mark], &smallest);
        findings.same(caller, &of("groups"), &json!(groups.column("count").len()), &json!(seen.len()));
    }
    if let Some((hidden, _)) = &subject.hidden {
        let expected = ok_if(caller.may(subject, "read", &[], true));
        for query in [
            json!({ "fields": [hidden] }),
            json!({ "fields": [subject.key], "alias": { "x": hidden } }),
            json!({ "fields": ["x"], "alias": { "x": hidden } }),
            json!({ "fields": [subject.key], "filter": { hidden: { "_null": true } } }),
            json!({ "fields": [subject.key], "sort": [hidden] }),
            json!({ "aggregate": { "count": [hidden] } }),
            json!({ "aggregate": { "count": "*" }, "groupBy": [hidden] }),
        ] {
            // An alias that nothing asks for says nothing.
            let is_asked = query["alias"].is_null() || query["fields"] == json!(["x"]);
            let expected = if is_asked { expected } else { ok_if(is_open) };
            findings.check(caller, &ask(query).await, expected);
        }
    }
}

async fn create(admin: &Client, caller: &Caller, subject: &Subject, findings: &mut Findings) {
    let count = async || {
        let figures = admin.items(&subject.name, json!({ "aggregate": { "count": "*" } })).await.data();
        figures[0]["count"].as_str().unwrap().parse::<usize>().unwrap()
    };
    let right = caller.right(subject, "create");
    let judged = |is_own: bool, names_hidden: bool| match right {
        None => "FORBIDDEN",
        Some(right) if right.hides && names_hidden => "FORBIDDEN",
        Some(right) if right.only_own && !is_own => "FAILED_VALIDATION",
        Some(_) => "ok",
    };
    let before = count().await;
    let mut made = 0;
    for is_own in [true, false] {
        let answer = caller.client.post(&subject.list(), subject.item(is_own)).await;
        findings.check(caller, &answer, judged(is_own, false));
        made += usize::from(judged(is_own, false) == "ok");
    }
    let several = json!([subject.item(true), subject.item(false)]);
    let answer = caller.client.post(&subject.list(), several).await;
    findings.check(caller, &answer, judged(false, false));
    made += if judged(false, false) == "ok" { 2 } else { 0 };
    if let Some((hidden, value)) = &subject.hidden {
        let mut item = subject.item(true);
        item[hidden] = value.clone();
        findings.check(caller, &caller.client.post(&subject.list(), item).await, judged(true, true));
        made += usize::from(judged(true, true) == "ok");
    }
    findings.same(
        caller,
        &format!("new rows of {}", subject.name),
        &json!(count().await - before),
        &json!(made),
    );
}

async fn update(rows_of: &mut Rows<'_>, caller: &Caller, findings: &mut Findings) {
    let Rows { admin, subject, .. } = *rows_of;
    let change = json!({ &subject.mark: subject.own_changed() });
    let of = |what: &str| format!("{what} of {}", subject.name);
    for is_own in [true, false] {
        let rows = rows_of.take(&[is_own]).await;
        let may = caller.may(subject, "update", &[is_own], false);
        let answer = caller.client.patch(&subject.path(&rows[0]), change.clone()).await;
        findings.check(caller, &answer, ok_if(may));
        let expected = if may { subject.own_changed() } else { subject.mark_of(is_own) };
        findings.same(caller, &of("change"), &subject.marks(admin, &rows).await[0], &expected);
        if let Some((hidden, value)) = &subject.hidden {
            let answer = caller.client.patch(&subject.path(&rows[0]), json!({ hidden: value })).await;
            // A row that was changed is one's own from then on.
            findings.check(caller, &answer, ok_if(caller.may(subject, "update", &[is_own || may], true)));
        }
    }
    for owners in [[true, true], [true, false]] {
        let may = caller.may(subject, "update", &owners, false);
        let expected: Vec<Value> = owners
            .iter()
            .map(|is_own| if may { subject.own_changed() } else { subject.mark_of(*is_own) })
            .collect();
        let rows = rows_of.take(&owners).await;
        let body = json!({ "keys": rows, "data": change });
        findings.check(caller, &caller.client.patch(&subject.list(), body).await, ok_if(may));
        findings.same(caller, &of("changes"), &json!(subject.marks(admin, &rows).await), &json!(expected));

        let rows = rows_of.take(&owners).await;
        let each = |key: &Value| json!({ &subject.key: key, &subject.mark: subject.own_changed() });
        let body = rows.iter().map(each).collect();
        findings.check(caller, &caller.client.patch(&subject.list(), body).await, ok_if(may));
        findings.same(
            caller,
            &of("changes each"),
            &json!(subject.marks(admin, &rows).await),
            &json!(expected),
        );

        // A query finds what may be seen, and all of that must be allowed.
        let rows = rows_of.take(&owners).await;
        let query = json!({ "filter": { &subject.key: { "_in": rows } } });
        let body = json!({ "query": query, "data": change });
        let answer = caller.client.patch(&subject.list(), body).await;
        let (may, found) = by_query(caller, subject, "update", &owners);
        findings.check(caller, &answer, ok_if(may));
        let marks = owners.iter().zip(&found).map(|(is_own, is_found)| match may && *is_found {
            true => subject.own_changed(),
            false => subject.mark_of(*is_own),
        });
        let marks: Vec<Value> = marks.collect();
        findings.same(
            caller,
            &of("changes by query"),
            &json!(subject.marks(admin, &rows).await),
            &json!(marks),
        );
    }
}

/// Whether a change of what a query finds among rows of these owners is allowed, and which of them it finds.
fn by_query(caller: &Caller, subject: &Subject, action: &str, owners: &[bool]) -> (bool, Vec<bool>) {
    let found: Vec<bool> =
        owners.iter().map(|is_own| caller.may(subject, "read", &[*is_own], false)).collect();
    let meant: Vec<bool> =
        owners.iter().zip(&found).filter(|(_, is_found)| **is_found).map(|(is_own, _)| *is_own).collect();
    let is_open = caller.right(subject, "read").is_some();
    (is_open && caller.may(subject, action, &meant, false), found)
}

async fn delete(rows_of: &mut Rows<'_>, caller: &Caller, findings: &mut Findings) {
    let Rows { admin, subject, .. } = *rows_of;
    let of = |what: &str| format!("{what} of {}", subject.name);
    let left = |owners: &[bool], gone: &[bool]| {
        let marks = owners.iter().zip(gone);
        let marks = marks.map(|(is_own, gone)| if *gone { Value::Null } else { subject.mark_of(*is_own) });
        Value::Array(marks.collect())
    };
    for is_own in [true, false] {
        let rows = rows_of.take(&[is_own]).await;
        let may = caller.may(subject, "delete", &[is_own], false);
        findings.check(caller, &caller.client.delete(&subject.path(&rows[0])).await, ok_if(may));
        let marks = json!(subject.marks(admin, &rows).await);
        findings.same(caller, &of("deletion"), &marks, &left(&[is_own], &[may]));
    }
    for owners in [[true, true], [true, false]] {
        let rows = rows_of.take(&owners).await;
        let may = caller.may(subject, "delete", &owners, false);
        let answer = caller.client.delete_with(&subject.list(), json!(rows)).await;
        findings.check(caller, &answer, ok_if(may));
        let marks = json!(subject.marks(admin, &rows).await);
        findings.same(caller, &of("deletions"), &marks, &left(&owners, &[may, may]));

        let rows = rows_of.take(&owners).await;
        let query = json!({ "query": { "filter": { &subject.key: { "_in": rows } } } });
        let answer = caller.client.delete_with(&subject.list(), query).await;
        let (may, found) = by_query(caller, subject, "delete", &owners);
        findings.check(caller, &answer, ok_if(may));
        let gone: Vec<bool> = found.iter().map(|is_found| may && *is_found).collect();
        let marks = json!(subject.marks(admin, &rows).await);
        findings.same(caller, &of("deletions by query"), &marks, &left(&owners, &gone));
    }
}

/// A list of items that is written through the items above.
struct Nesting<'a> {
    above: &'a Subject,
    field: String,
    below: &'a Subject,
    /// The field below that refers to the item above.
    by: String,
    /// Who is taken out is deleted.
    deletes: bool,
}

fn nestings<'a>(schema: &Schema, subjects: &'a [Subject]) -> Vec<Nesting<'a>> {
    let subject = |id: CollectionId| subjects.iter().find(|subject| subject.id == id);
    let mut found = Vec::new();
    for above in subjects {
        for (_, field) in schema.collection(above.id).fields() {
            let FieldKind::OneToMany { related, related_field, on_deselect, .. } = &field.kind else {
                continue;
            };
            let by = schema.field(*related, *related_field);
            if let (FieldKind::ManyToOne { .. }, Some(below)) = (&by.kind, subject(*related)) {
                found.push(Nesting {
                    above,
                    field: field.name.to_string(),
                    below,
                    by: by.name.to_string(),
                    deletes: *on_deselect == schema::OnDeselect::Delete,
                });
            }
        }
    }
    found
}

#[tokio::test]
async fn nested_writes_by_everybody() {
    let schema = model();
    let subjects = subjects(&schema);
    let nestings = nestings(&schema, &subjects);
    assert!(nestings.len() > 8, "most lists of the model take part");
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let callers = callers(&admin, &subjects, &schema).await;
        let mut findings = Findings::default();
        for nesting in &nestings {
            let mut rows = (Rows::of(nesting.above, &admin), Rows::of(nesting.below, &admin));
            for caller in &callers {
                nest(&admin, &mut rows, caller, nesting, &mut findings).await;
            }
        }
        eprintln!(
            "{engine}: {} lists, {} allowed, {} refused",
            nestings.len(),
            findings.allowed,
            findings.refused
        );
        let wrong = &findings.wrong;
        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
        assert!(findings.allowed > 100 && findings.refused > 100);
    })
    .await;
}

async fn nest(
    admin: &Client,
    (parents, items): &mut (Rows<'_>, Rows<'_>),
    caller: &Caller,
    nesting: &Nesting<'_>,
    findings: &mut Findings,
) {
    let Nesting { above, field, below, by, deletes } = nesting;
    // Whether rows below may be changed this way, as if each had been sent on its own.
    let may = |action: &str, is_own: bool| caller.may(below, action, &[is_own], false);
    let may_above = |is_own: bool| caller.may(above, "update", &[is_own], false);
    let makes = |is_own: bool| match caller.right(below, "create") {
        None => "FORBIDDEN",
        Some(right) if right.only_own && !is_own => "FAILED_VALIDATION",
        Some(_) => "ok",
    };
    for (parent_is_own, is_own) in [(true, true), (true, false), (false, true)] {
        let what = |how: &str| format!("{how} {} through {}.{field}", below.name, above.name);
        let mut fresh = async || {
            let parent = parents.take(&[parent_is_own]).await.remove(0);
            let child = items.take(&[is_own]).await.remove(0);
            (parent, child)
        };
        let attach = async |(parent, child): (Value, Value)| {
            admin.patch(&below.path(&child), json!({ by: parent })).await.data();
            (parent, child)
        };
        let send = async |parent: &Value, change: Value| {
            caller.client.patch(&above.path(parent), json!({ field: change })).await
        };
        let first = |rest: &'static str| if may_above(parent_is_own) { rest } else { "FORBIDDEN" };
        let children = async |parent: &Value| {
            let query = json!({ "filter": { by: { "_eq": parent } }, "fields": below.key, "limit": -1 });
            admin.items(&below.name, query).await.column(&below.key)
        };

        let (parent, _) = fresh().await;
        let answer = send(&parent, json!({ "create": [below.item(is_own)] })).await;
        // What the caller has no right to at all is refused before values are looked at.
        let expected = if caller.right(above, "update").is_none() { "FORBIDDEN" } else { makes(is_own) };
        let expected = if expected == "ok" { first("ok") } else { expected };
        findings.check(caller, &answer, expected);
        let made = json!(children(&parent).await.len());
        findings.same(caller, &what("creating"), &made, &json!(usize::from(expected == "ok")));

        let (parent, child) = attach(fresh().await).await;
        let change = json!({ &below.key: child, &below.mark: below.own_changed() });
        let answer = send(&parent, json!({ "update": [change] })).await;
        let expected = first(ok_if(may("update", is_own)));
        findings.check(caller, &answer, expected);
        let mark = if expected == "ok" { below.own_changed() } else { below.mark_of(is_own) };
        findings.same(caller, &what("changing"), &below.marks(admin, &[child]).await[0], &mark);

        let (parent, child) = attach(fresh().await).await;
        let answer = send(&parent, json!({ "delete": [child] })).await;
        let expected = first(ok_if(may("update", is_own) && (!deletes || may("delete", is_own))));
        findings.check(caller, &answer, expected);
        let rest = children(&parent).await;
        findings.same(caller, &what("taking out"), &json!(rest.len()), &json!(usize::from(expected != "ok")));

        let (parent, child) = attach(fresh().await).await;
        let answer = send(&parent, json!([])).await;
        findings.check(caller, &answer, expected);
        let rest = children(&parent).await;
        findings.same(caller, &what("emptying"), &json!(rest.len()), &json!(usize::from(expected != "ok")));
        drop(child);

        let (parent, child) = fresh().await;
        let answer = send(&parent, json!([child])).await;
        let expected = first(ok_if(may("update", is_own)));
        findings.check(caller, &answer, expected);
        let count = children(&parent).await.len();
        findings.same(caller, &what("taking in"), &json!(count), &json!(usize::from(expected == "ok")));
    }
}
