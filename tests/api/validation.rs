//! Rules of fields: each broken one is named, all at once.

use serde_json::{Value, json};

use crate::support::{Client, blog, each_database};

/// The rules that a body breaks, as (field, rule), sorted.
async fn findings(admin: &Client, body: Value) -> Vec<(String, String)> {
    let answer = admin.post("/items/strict", body).await;
    let mut found = Vec::new();
    for error in answer.refused(400, "FAILED_VALIDATION") {
        let extensions = &error["extensions"];
        assert_eq!(extensions["code"], "FAILED_VALIDATION", "{answer:?}");
        let field = extensions["field"].as_str().unwrap_or_else(|| panic!("no field: {answer:?}"));
        assert!(error["message"].as_str().unwrap().contains(field), "{answer:?}");
        found.push((
            field.to_owned(),
            extensions["type"].as_str().unwrap_or_else(|| panic!("no type: {answer:?}")).to_owned(),
        ));
    }
    found.sort();
    found
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(field, rule)| ((*field).to_owned(), (*rule).to_owned())).collect()
}

fn valid() -> Value {
    json!({
        "title": "Fine", "age": 20, "share": "10.00", "mail": "a@b", "colour": "red", "size": 2, "since": "2024-01-01", "marks": ["x"],
    })
}

#[tokio::test]
async fn takes_what_keeps_the_rules() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        admin.create("strict", valid()).await;
        admin.create("strict", json!({ "title": "no" })).await;
        let edges = json!({ "title": "ünïcödé10x", "age": 18, "share": "99.50", "size": 3, "since": "2020-01-01", "marks": ["a", "b", "c"] });
        admin.create("strict", edges).await;
        admin.create("strict", json!({ "title": "ok", "age": null, "mail": null, "colour": null, "marks": null })).await;
    })
    .await;
}

#[tokio::test]
async fn names_every_broken_rule() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let check = async |field: &str, value: Value, rule: &str| {
            let mut body = valid();
            body[field] = value;
            assert_eq!(findings(&admin, body).await, pairs(&[(field, rule)]), "{field}");
        };
        check("age", json!(17), "gte").await;
        check("age", json!(121), "lte").await;
        check("share", json!("0.49"), "gte").await;
        check("share", json!("99.51"), "lte").await;
        check("mail", json!("nobody"), "regex").await;
        check("colour", json!("pink"), "in").await;
        check("size", json!(4), "in").await;
        check("since", json!("2019-12-31"), "gte").await;
        check("title", Value::Null, "nnull").await;
        let mut body = valid();
        body.as_object_mut().unwrap().remove("title");
        assert_eq!(findings(&admin, body).await, pairs(&[("title", "required")]));
        for (field, value) in [
            ("title", json!("x")),
            ("title", json!("far too long")),
            ("marks", json!([])),
            ("marks", json!(["a", "b", "c", "d"])),
        ] {
            let mut body = valid();
            body[field] = value;
            let found = findings(&admin, body).await;
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].0, field);
        }
        let answer = admin.post("/items/strict", json!({ "title": "Fine", "age": 3 })).await;
        assert_eq!(answer.errors()[0]["extensions"]["valid"], 18);
    })
    .await;
}

#[tokio::test]
async fn names_all_of_them_at_once() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let body = json!({ "age": 3, "mail": "x", "colour": "pink", "since": "1999-01-01" });
        let expected = pairs(&[
            ("age", "gte"),
            ("colour", "in"),
            ("mail", "regex"),
            ("since", "gte"),
            ("title", "required"),
        ]);
        assert_eq!(findings(&admin, body).await, expected);
        let title = format!("v{}", uuid::Uuid::now_v7().simple())[..10].to_owned();
        let batch =
            admin.post("/items/strict", json!([{ "title": title }, { "title": title, "age": 1 }, {}])).await;
        let errors = batch.refused(400, "FAILED_VALIDATION");
        assert_eq!(errors[0]["extensions"]["field"], "age");
        let filter = json!({ "filter": { "title": { "_eq": title } } });
        assert_eq!(admin.items("strict", filter).await.data(), json!([]), "nothing of a refused batch stays");
    })
    .await;
}

#[tokio::test]
async fn holds_on_updates_too() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let id = admin.create("strict", valid()).await["id"].clone();
        let path = format!("/items/strict/{id}");
        let refused = admin.patch(&path, json!({ "age": 1, "title": null })).await;
        assert_eq!(refused.refused(400, "FAILED_VALIDATION").len(), 2);
        admin.patch(&path, json!({ "mail": "c@d" })).await.data();
        let many = json!({ "keys": [id], "data": { "size": 9 } });
        admin.patch("/items/strict", many).await.refused(400, "FAILED_VALIDATION");
        assert_eq!(admin.get(&path).await.data()["age"], 20);
        let note = admin.create("notes", json!({ "name": "n" })).await["id"].clone();
        let refused = admin
            .patch(&format!("/items/notes/{note}"), json!({ "must": null }))
            .await
            .refused(400, "FAILED_VALIDATION");
        assert_eq!(
            refused[0]["extensions"],
            json!({ "code": "FAILED_VALIDATION", "field": "must", "type": "nnull", "path": [] })
        );
    })
    .await;
}

#[tokio::test]
async fn unique_values_are_named() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let handle = |n: u8| format!("unique-{n}-{}", uuid::Uuid::now_v7());
        let (first, second) = (handle(1), handle(2));
        admin.create("notes", json!({ "handle": first })).await;
        let id = admin.create("notes", json!({ "handle": second })).await["id"].clone();
        let expected =
            json!({ "code": "RECORD_NOT_UNIQUE", "collection": "notes", "field": "handle", "value": first });
        let again =
            admin.post("/items/notes", json!({ "handle": first })).await.refused(400, "RECORD_NOT_UNIQUE");
        assert_eq!(again[0]["extensions"], expected);
        let moved = admin
            .patch(&format!("/items/notes/{id}"), json!({ "handle": first }))
            .await
            .refused(400, "RECORD_NOT_UNIQUE");
        assert_eq!(moved[0]["extensions"], expected);
        admin.create("notes", json!({ "handle": first.to_uppercase() })).await;
        admin.create("notes", json!({ "handle": null })).await;
        admin.create("notes", json!({ "handle": null })).await;

        let pair = json!({ "title": "pair", "pair_a": "a", "pair_b": second[9..19] });
        admin.create("strict", pair.clone()).await;
        let errors = admin.post("/items/strict", pair).await.refused(400, "RECORD_NOT_UNIQUE");
        let field = errors[0]["extensions"]["field"].as_str().unwrap().to_owned();
        assert!(field.contains("pair_a") && field.contains("pair_b"), "{field} names both");
    })
    .await;
}
