//! `/graphql`: names of the model that mean something in GraphQL, too.

use serde_json::{Value, json};

use super::graphql::ask;
use crate::support::{Client, Database, Project, each_database};

async fn check(admin: &Client, query: &str, expected: Value) {
    let body = ask(admin, query, json!({})).await.json();
    assert_eq!(body, json!({ "data": expected }), "{query}");
}

#[tokio::test]
async fn names_that_mean_something_stand_in_nobodys_way() {
    each_database(async |engine| {
        let odd = "collection: odd\nfields:\n  id: integer_pk\n  _and: string\n  _or: string\n  _some: string\n  _none: string\n  \
                   \"on\": string\n  \"true\": string\n  type: string\n  group: string\n  countAll: integer\n  day: date\n  \
                   day_func: string\n  filter: string\n  inner: o2m(odd_filter.outer)\n";
        let filter = "collection: odd_filter\nfields:\n  id: integer_pk\n  outer: m2o(odd)\n";
        let by_id = "collection: odd_by_id\nfields:\n  key: integer_pk\n  name: string\n";
        let fragment = "collection: fragment\nfields:\n  id: integer_pk\n  name: string\n";
        let files = [("odd.yaml", odd), ("odd_filter.yaml", filter), ("odd_by_id.yaml", by_id), ("fragment.yaml", fragment)];
        let project = Project::new(Database::fresh(engine).await, &files).await;
        let server = project.server().start().await;
        let admin = &server.admin();
        check(
            admin,
            "mutation { create_odd_item(data: { _and: \"a\", _some: \"s\", on: \"o\", true: \"t\", group: \"g\", countAll: 4, \
               day: \"2026-03-04\", day_func: \"f\", filter: \"x\", inner: [{}] }) { id _and _or _some _none on true group countAll day day_func } }",
            json!({ "create_odd_item": {
                "id": "1", "_and": "a", "_or": null, "_some": "s", "_none": null, "on": "o", "true": "t", "group": "g", "countAll": 4,
                "day": "2026-03-04", "day_func": "f",
            } }),
        )
        .await;
        // In a filter the words of filters win.
        check(
            admin,
            "{ odd(filter: { _and: [{ on: { _eq: \"o\" } }, { day_func: { _eq: \"f\" } }], inner: { _some: { id: { _eq: 1 } } } }) { filter } }",
            json!({ "odd": [{ "filter": "x" }] }),
        )
        .await;
        check(
            admin,
            "{ odd_aggregated(groupBy: [\"group\"]) { group countAll max { countAll } } }",
            json!({ "odd_aggregated": [{ "group": { "group": "g" }, "countAll": 1, "max": { "countAll": 4 } }] }),
        )
        .await;
        check(
            admin,
            "mutation { create_odd_by_id_item(data: { name: \"n\" }) { key } update_odd_by_id_batch(data: [{ key: 1, name: \"m\" }]) { name } \
               create_fragment_item(data: { name: \"f\" }) { name } }",
            json!({
                "create_odd_by_id_item": { "key": "1" },
                "update_odd_by_id_batch": [{ "name": "m" }],
                "create_fragment_item": { "name": "f" },
            }),
        )
        .await;
        // A list has the name that something beside another list would have.
        check(
            admin,
            "{ odd_by_id { name } odd_by_id_by_id(id: 1) { name } odd_filter { id outer { on } } fragment { name } }",
            json!({
                "odd_by_id": [{ "name": "m" }],
                "odd_by_id_by_id": { "name": "m" },
                "odd_filter": [{ "id": "1", "outer": { "on": "o" } }],
                "fragment": [{ "name": "f" }],
            }),
        )
        .await;
    })
    .await;
}
