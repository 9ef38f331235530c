//! `/graphql`: documents as other programs write them, and how they are told what is wrong.

use serde_json::{Value, json};

use super::graphql::{ask, even};
use crate::support::{Client, blog, each_database};

/// Sends a body as it is: the values of `json!` lose how a number was written.
async fn send(client: &Client, body: &str) -> Value {
    client.request("POST", "/graphql").body(body, "application/json").send().await.json()
}

/// What is told of a document that does not fit.
async fn mistakes(client: &Client, query: &str) -> Vec<Value> {
    let errors = ask(client, query, json!({})).await.refused(400, "GRAPHQL_VALIDATION");
    errors[0]["extensions"]["errors"].as_array().expect("mistakes").clone()
}

#[tokio::test]
async fn numbers_are_taken_however_they_are_written() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = &server.admin();
        for (written, kept) in [
            ("3.50", 3.5),
            ("1e3", 1000.0),
            ("1.5E+2", 150.0),
            ("12e-1", 1.2),
            ("2.0", 2.0),
            ("7", 7.0),
            ("0.10000000000000000000000", 0.1),
        ] {
            let literal = format!("mutation {{ create_notes_item(data: {{ must: \"x\", ratio: {written} }}) {{ ratio }} }}");
            let made = ask(admin, &literal, json!({})).await.json();
            assert_eq!(even(&made), json!({ "data": { "create_notes_item": { "ratio": kept } } }), "{written}");
            let body = format!(
                "{{\"query\":\"mutation($r: Float, $j: JSON) {{ create_notes_item(data: {{ must: \\\"x\\\", ratio: $r, shape: $j }}) \
                 {{ ratio shape }} }}\",\"variables\":{{\"r\":{written},\"j\":{{\"n\":{written}}}}}}}"
            );
            let made = send(admin, &body).await;
            let expected = json!({ "ratio": kept, "shape": { "n": kept } });
            assert_eq!(even(&made), json!({ "data": { "create_notes_item": expected } }), "{written}");
            let found = format!("{{ notes_aggregated(filter: {{ ratio: {{ _eq: {written} }} }}) {{ countAll }} }}");
            let found = ask(admin, &found, json!({})).await.json();
            assert_eq!(found, json!({ "data": { "notes_aggregated": [{ "countAll": 2 }] } }), "{written}");
        }
        for too_much in ["1e999", "-1e400"] {
            let query = format!("{{ notes(filter: {{ ratio: {{ _eq: {too_much} }} }}) {{ id }} }}");
            mistakes(admin, &query).await;
        }
        let long = "9".repeat(50_000);
        for query in [
            "mutation { create_notes_item(data: { must: \"x\", ratio: 1e999 }) { id } }".to_owned(),
            format!("mutation {{ create_notes_item(data: {{ must: \"x\", ratio: 0.{long} }}) {{ id ratio }} }}"),
            format!("{{ notes(filter: {{ ratio: {{ _eq: 0.{long} }} }}) {{ id }} }}"),
        ] {
            // However it is answered, it is no fault of the server.
            let answer = ask(admin, &query, json!({})).await;
            assert!(answer.status < 500, "{}", answer.text());
            assert!(!answer.text().contains("INTERNAL_SERVER_ERROR"), "{}", answer.text());
        }
    })
    .await;
}

#[tokio::test]
async fn nothing_is_done_after_an_answer_is_lost() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = &server.admin();
        let note = admin.create("notes", json!({ "must": "x", "name": "old" })).await["id"].clone();
        admin.create("notes", json!({ "must": "x", "handle": "taken" })).await;
        // A list may not be null, so that of a list that fails the whole answer is lost; of one item it is not.
        for (middle, last) in [
            ("update_notes_items(ids: [$id], data: { handle: \"taken\" }) { id }", "a"),
            ("update_notes_item(id: $id, data: { handle: \"taken\" }) { id }", "c"),
        ] {
            let query = format!(
                "mutation($id: ID!) {{ a: update_notes_item(id: $id, data: {{ name: \"a\" }}) {{ name }} b: {middle} \
                 c: update_notes_item(id: $id, data: {{ name: \"c\" }}) {{ name }} }}"
            );
            let body = ask(admin, &query, json!({ "id": note })).await.json();
            assert_eq!(body["errors"].as_array().map(Vec::len), Some(1), "{body}");
            assert_eq!(body["data"].is_null(), last == "a", "{body}");
            let kept = admin.get(&format!("/items/notes/{note}")).await.data();
            assert_eq!(kept["name"], last, "{middle}");
        }
    })
    .await;
}

#[tokio::test]
async fn mistakes_are_told_where_they_are_and_in_few_words() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        let body = ask(
            admin,
            "{\n  topics_by_id(id: 1) { name }\n  nope: topics_by_id(id: 999999) { id }\n}",
            json!({}),
        )
        .await
        .json();
        assert_eq!(
            body["errors"],
            json!([{
                "message": "You don't have permission to access this.",
                "locations": [{ "line": 3, "column": 3 }],
                "extensions": { "code": "FORBIDDEN" },
                "path": ["nope"],
            }])
        );
        let told = mistakes(admin, "{ topics {").await;
        assert_eq!(told[0]["locations"], json!([{ "line": 1, "column": 11 }]), "{told:?}");
        let message = told[0]["message"].as_str().expect("a message");
        assert!(message.starts_with("Syntax Error: expected ") && !message.contains('\n'), "{message}");
        // What is wrong with a long document is said briefly.
        for query in [
            format!("{{ topics(search: \"{}\") {{ id }}", "x".repeat(300_000)),
            format!("{{ {} }}", "x".repeat(300_000)),
            format!("{{ ...{} }}", "x".repeat(300_000)),
            (0..600).fold("{ __typename ".to_owned(), |text, n| format!("{text} wrong_{n}")) + " }",
        ] {
            let told = mistakes(admin, &query).await;
            let length: usize = told.iter().map(|mistake| mistake.to_string().len()).sum();
            assert!(length < 20_000, "{length} letters");
        }
    })
    .await;
}

#[tokio::test]
async fn what_means_two_things_or_none_is_refused() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        for (query, reason) in [
            ("{ topics(filter: { id: { _eq: 1 }, id: { _eq: 2 } }) { id } }", "only one input field named \"id\""),
            ("query($f: topics_filter = { id: { _eq: 1, _eq: 2 } }) { topics(filter: $f) { id } }", "\"_eq\""),
            ("query($y: Boolean) { topics { id @include(if: $y) } }", "expecting type \"Boolean!\""),
            (
                "query($y: Boolean) { topics { ...F } } fragment F on topics { id @skip(if: $y) }",
                "expecting type \"Boolean!\"",
            ),
        ] {
            let told = mistakes(admin, query).await;
            assert!(told[0]["message"].as_str().is_some_and(|text| text.contains(reason)), "{query}: {told:?}");
        }
        let query = "query($y: Boolean = false) { topics_by_id(id: 1) { id @skip(if: $y) name @include(if: $y) } }";
        let body = ask(admin, query, json!({})).await.json();
        assert_eq!(body, json!({ "data": { "topics_by_id": { "id": "1" } } }));
        // A function without conditions asks for nothing, like a field without any.
        let query = "query($f: datetime_function_filter_operators) { samples_aggregated(filter: { local_func: $f }) { countAll } }";
        let all = ask(admin, "{ samples_aggregated { countAll } }", json!({})).await.json();
        for variables in [json!({}), json!({ "f": null }), json!({ "f": {} })] {
            assert_eq!(ask(admin, query, variables.clone()).await.json(), all, "{variables}");
        }
        for method in ["PUT", "PATCH", "DELETE", "SEARCH"] {
            let answer = admin.request(method, "/graphql").send().await;
            answer.refused(405, "METHOD_NOT_ALLOWED");
            assert_eq!(answer.header("Allow"), Some("GET, HEAD, POST"), "{method}");
        }
        let mutation = json!({ "query": "mutation { create_notes_item(data: { must: \"x\" }) { id } }" });
        assert_eq!(admin.read("/graphql", mutation).await.header("Allow"), Some("POST"));
    })
    .await;
}
