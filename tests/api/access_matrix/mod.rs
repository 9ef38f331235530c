//! Every action on every collection of the model, by callers of every kind and through every door: what comes of each is derived
//! from the rule that gives the right, not written down.
//!
//! Start at [`every_action`]. `world` has the callers and what they ask about; `nested` writes through lists of other items.

mod nested;
mod world;

use serde_json::{Value, json};

use self::world::{Caller, Findings, Rows, Subject, callers, model, ok_if, subjects};
use crate::support::doors::{Door, Which};
use crate::support::{Client, Database, Engine, Server, blog, each_database};

#[tokio::test]
async fn every_action_by_everybody_over_rest() {
    every_action(Door::Rest).await;
}

#[tokio::test]
async fn every_action_by_everybody_over_graphql() {
    every_action(Door::GraphQl).await;
}

#[tokio::test]
async fn every_action_by_everybody_over_sockets() {
    every_action(Door::Socket).await;
}

/// Visitors may speak over sockets, too.
async fn open_to_visitors(engine: Engine) -> (Server, Database) {
    let database = Database::fresh(engine).await;
    let builder = Server::builder(&database).collections(&blog::collections());
    (builder.set("WEBSOCKETS_REST_AUTH", "public").start().await, database)
}

async fn every_action(door: Door) {
    let schema = model();
    let subjects = subjects(&schema);
    assert!(subjects.len() > 20, "most of the model takes part");
    each_database(async |engine| {
        let (server, _database) = open_to_visitors(engine).await;
        let admin = server.admin();
        let callers = callers(&admin, &subjects, &schema, door).await;
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
    let place = subject.place(caller);
    for (row, is_own) in rows.iter().zip(owners) {
        let answer = caller.asker.item(place, row).await;
        findings.came(caller, &answer, ok_if(caller.may(subject, "read", &[is_own], false)));
    }
    let is_open = caller.right(subject, "read").is_some();
    let seen = caller.sees(subject, &rows, &owners);
    let filter = json!({ &subject.key: { "_in": rows } });
    let ask = async |query: Value| caller.asker.items(place, &query).await;
    let said = async |query: Value| ask(query).await.expect("every door has a word for it");
    let list =
        said(json!({ "filter": filter, "sort": subject.key, "fields": subject.key, "meta": "filter_count" }))
            .await;
    findings.came(caller, &list, ok_if(is_open));
    let compares = caller.asker.compares(subject.is_number);
    let aggregate =
        if compares { json!({ "count": "*", "min": subject.mark }) } else { json!({ "count": "*" }) };
    let count = said(json!({ "filter": filter, "aggregate": aggregate })).await;
    findings.came(caller, &count, ok_if(is_open));
    let groups =
        said(json!({ "filter": filter, "aggregate": { "count": "*" }, "groupBy": [subject.mark] })).await;
    findings.came(caller, &groups, ok_if(is_open));
    if is_open && list.is_ok() && count.is_ok() && groups.is_ok() {
        let mut expected: Vec<String> = seen.iter().map(|row| plain(row)).collect();
        let mut keys: Vec<String> = list.column(&subject.key).iter().map(plain).collect();
        expected.sort();
        keys.sort();
        let of = |what: &str| format!("{what} of {}", subject.name);
        findings.same(caller, &of("list"), &json!(keys), &json!(expected));
        if let Some(told) = &list.count {
            findings.same(caller, &of("meta"), told, &json!(seen.len()));
        }
        let figures = &count.data[0];
        findings.same(caller, &of("count"), &json!(plain(&figures["count"])), &json!(seen.len().to_string()));
        if compares {
            let smallest = if seen.len() == 2 { subject.others() } else { subject.own() };
            findings.same(caller, &of("smallest"), &figures["min"][&subject.mark], &smallest);
        }
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
            if let Some(answer) = ask(query).await {
                findings.came(caller, &answer, expected);
            }
        }
    }
}

/// A key or number without regard to whether the door writes it as a text.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
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
    let place = subject.place(caller);
    let before = count().await;
    let mut made = 0;
    for is_own in [true, false] {
        let answer = caller.asker.create(place, &subject.item(is_own)).await;
        findings.came(caller, &answer, judged(is_own, false));
        made += usize::from(judged(is_own, false) == "ok");
    }
    let several = json!([subject.item(true), subject.item(false)]);
    findings.came(caller, &caller.asker.create(place, &several).await, judged(false, false));
    made += if judged(false, false) == "ok" { 2 } else { 0 };
    if let Some((hidden, value)) = &subject.hidden {
        let mut item = subject.item(true);
        item[hidden] = value.clone();
        findings.came(caller, &caller.asker.create(place, &item).await, judged(true, true));
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
    let place = subject.place(caller);
    let change = json!({ &subject.mark: subject.own_changed() });
    let of = |what: &str| format!("{what} of {}", subject.name);
    for is_own in [true, false] {
        let rows = rows_of.take(&[is_own]).await;
        let may = caller.may(subject, "update", &[is_own], false);
        let one = async |data: &Value| {
            let answer = caller.asker.update(place, Which::One(&rows[0]), data).await;
            answer.expect("every door has a word for it")
        };
        findings.came(caller, &one(&change).await, ok_if(may));
        let expected = if may { subject.own_changed() } else { subject.mark_of(is_own) };
        findings.same(caller, &of("change"), &subject.marks(admin, &rows).await[0], &expected);
        if let Some((hidden, value)) = &subject.hidden {
            // A row that was changed is one's own from then on.
            let expected = ok_if(caller.may(subject, "update", &[is_own || may], true));
            findings.came(caller, &one(&json!({ hidden: value })).await, expected);
        }
    }
    for owners in [[true, true], [true, false]] {
        let may = caller.may(subject, "update", &owners, false);
        let expected: Vec<Value> = owners
            .iter()
            .map(|is_own| if may { subject.own_changed() } else { subject.mark_of(*is_own) })
            .collect();
        let rows = rows_of.take(&owners).await;
        if let Some(answer) = caller.asker.update(place, Which::These(&rows), &change).await {
            findings.came(caller, &answer, ok_if(may));
            let marks = json!(subject.marks(admin, &rows).await);
            findings.same(caller, &of("changes"), &marks, &json!(expected));
        }

        let rows = rows_of.take(&owners).await;
        let each = |key: &Value| json!({ &subject.key: key, &subject.mark: subject.own_changed() });
        if let Some(answer) = caller.asker.update_each(place, &rows.iter().map(each).collect()).await {
            findings.came(caller, &answer, ok_if(may));
            let marks = json!(subject.marks(admin, &rows).await);
            findings.same(caller, &of("changes each"), &marks, &json!(expected));
        }

        // A query finds what may be seen, and all of that must be allowed.
        let rows = rows_of.take(&owners).await;
        let query = json!({ "filter": { &subject.key: { "_in": rows } } });
        let Some(answer) = caller.asker.update(place, Which::Found(query), &change).await else { continue };
        let (may, found) = by_query(caller, subject, "update", &owners);
        findings.came(caller, &answer, ok_if(may));
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
    let place = subject.place(caller);
    let of = |what: &str| format!("{what} of {}", subject.name);
    let left = |owners: &[bool], gone: &[bool]| {
        let marks = owners.iter().zip(gone);
        let marks = marks.map(|(is_own, gone)| if *gone { Value::Null } else { subject.mark_of(*is_own) });
        Value::Array(marks.collect())
    };
    for is_own in [true, false] {
        let rows = rows_of.take(&[is_own]).await;
        let may = caller.may(subject, "delete", &[is_own], false);
        if let Some(answer) = caller.asker.delete(place, Which::One(&rows[0])).await {
            findings.came(caller, &answer, ok_if(may));
            let marks = json!(subject.marks(admin, &rows).await);
            findings.same(caller, &of("deletion"), &marks, &left(&[is_own], &[may]));
        }
    }
    for owners in [[true, true], [true, false]] {
        let rows = rows_of.take(&owners).await;
        let may = caller.may(subject, "delete", &owners, false);
        if let Some(answer) = caller.asker.delete(place, Which::These(&rows)).await {
            findings.came(caller, &answer, ok_if(may));
            let marks = json!(subject.marks(admin, &rows).await);
            findings.same(caller, &of("deletions"), &marks, &left(&owners, &[may, may]));
        }

        let rows = rows_of.take(&owners).await;
        let query = json!({ "filter": { &subject.key: { "_in": rows } } });
        let Some(answer) = caller.asker.delete(place, Which::Found(query)).await else { continue };
        let (may, found) = by_query(caller, subject, "delete", &owners);
        findings.came(caller, &answer, ok_if(may));
        let gone: Vec<bool> = found.iter().map(|is_found| may && *is_found).collect();
        let marks = json!(subject.marks(admin, &rows).await);
        findings.same(caller, &of("deletions by query"), &marks, &left(&owners, &gone));
    }
}
