//! Writes through a list of another item: as if each row had been sent on its own.

use serde_json::{Value, json};
use tablature::schema::{self, CollectionId, FieldKind, Schema};

use super::world::{Caller, Findings, Rows, Subject, callers, model, ok_if, subjects};
use crate::support::doors::Door;
use crate::support::{Client, blog, each_database};

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
        let callers = callers(&admin, &subjects, &schema, Door::Rest).await;
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
