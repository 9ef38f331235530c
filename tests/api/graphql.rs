//! `/graphql`: reads.

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::{Answer, Client, blog, each_database};

/// Sends a document with variables.
pub async fn ask(client: &Client, query: &str, variables: Value) -> Answer {
    client.post("/graphql", json!({ "query": query, "variables": variables })).await
}

async fn check(client: &Client, query: &str, expected: Value) {
    let answer = ask(client, query, json!({})).await;
    let body = answer.json();
    assert_eq!(body.get("errors"), None, "{query}: {body}");
    assert_eq!(even(&body["data"]), even(&expected), "{query}");
}

/// The same with numbers as JavaScript has them: `3.50` is `3.5`.
pub fn even(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(entries) => entries.iter().map(even).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, member)| (name.clone(), even(member))).collect())
        }
        other => other.clone(),
    }
}

/// Refused as a whole: `status` and the code of the only error.
async fn refused(client: &Client, query: &str, variables: Value) -> Value {
    let errors = ask(client, query, variables).await.refused(400, "GRAPHQL_VALIDATION");
    errors[0]["extensions"]["errors"].clone()
}

#[tokio::test]
async fn items_have_the_types_of_the_schema() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        check(
            admin,
            "{ articles(sort: [\"id\"], limit: 2) { id title views price score featured labels extra writer { name id } } }",
            json!({ "articles": [
                { "id": "1", "title": "Article 01", "views": 37, "price": 3.5, "score": 3.375, "featured": false,
                  "labels": ["a1", "b1"], "extra": { "k": 1, "list": ["t1"] },
                  "writer": { "name": "Writer 02", "id": "2" } },
                { "id": "2", "title": "Article 02", "views": 74, "price": 7.0, "score": 2.375, "featured": false,
                  "labels": ["a2", "b0"], "extra": { "k": 2, "list": ["t2"] },
                  "writer": { "name": "Writer 03", "id": "3" } },
            ] }),
        )
        .await;
        check(
            admin,
            "{ samples_by_id(id: 1) { large amount flag local day clock moment code secret shape list with_default } }",
            json!({ "samples_by_id": {
                "large": "1000000007", "amount": 10.07, "flag": false, "local": "2024-01-15T10:01:00",
                "day": "2024-01-10", "clock": "09:30:00", "moment": "2023-01-10T08:00:01.000Z",
                "code": "aaaaaaaa-0000-4000-8000-000000000001", "secret": "**********",
                "shape": { "n": 1, "deep": { "k": "v1", "list": [1, 2, 1] } }, "list": ["l1", "m1"],
                "with_default": "standard",
            } }),
        )
        .await;
        check(
            admin,
            "{ samples_by_id(id: \"1\") { local_func { year m: month __typename hour } shape_func { count } } \
               articles_by_id(id: 2) { topics_func { count } } }",
            json!({
                "samples_by_id": {
                    "local_func": { "year": 2024, "m": 1, "__typename": "datetime_functions", "hour": 10 },
                    "shape_func": { "count": 0 },
                },
                "articles_by_id": { "topics_func": { "count": 2 } },
            }),
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn members_stand_in_the_order_in_which_they_are_asked_for() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        let answer = ask(
            admin,
            "query Q { z: articles(limit: 1, sort: \"id\") { t: title __typename b: id title \
               few: comments(limit: 1, sort: \"-id\") { id } all: comments(sort: \"id\") { n: id __typename } } \
               __typename a: topics_by_id(id: 1) { name } }",
            json!({}),
        )
        .await;
        let all: Vec<i64> = (1..=60).filter(|n| n * 7 % 25 + 1 == 1).collect();
        let few = all.last().expect("comments");
        let shown: Vec<String> = all.iter().map(|n| format!(r#"{{"n":"{n}","__typename":"comments"}}"#)).collect();
        assert_eq!(
            answer.text(),
            format!(
                "{{\"data\":{{\"z\":[{{\"t\":\"Article 01\",\"__typename\":\"articles\",\"b\":\"1\",\"title\":\"Article 01\",\
                 \"few\":[{{\"id\":\"{few}\"}}],\"all\":[{}]}}],\"__typename\":\"Query\",\"a\":{{\"name\":\"rust\"}}}}}}",
                shown.join(",")
            )
        );
    })
    .await;
}

#[tokio::test]
async fn arguments_mean_what_they_do_over_rest() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        let cases = [
            ("(filter: { status: { _eq: \"draft\" } }, sort: [\"id\"])", json!({ "filter": { "status": { "_eq": "draft" } } })),
            ("(filter: { writer: { country: { _in: [\"FR\", \"DE\"] } } }, sort: [\"id\"], limit: -1)", json!({ "filter": { "writer": { "country": { "_in": ["FR", "DE"] } } }, "limit": -1 })),
            ("(filter: { comments: { _some: { score: { _gte: 6 } } } }, sort: [\"id\"])", json!({ "filter": { "comments": { "_some": { "score": { "_gte": 6 } } } } })),
            ("(filter: { comments: { _none: { score: { _gte: 1 } } } }, sort: [\"id\"])", json!({ "filter": { "comments": { "_none": { "score": { "_gte": 1 } } } } })),
            ("(filter: { _or: [{ id: { _eq: 1 } }, { _and: [{ views: { _lt: 20 } }, { featured: { _eq: false } }] }] }, sort: [\"id\"])", json!({ "filter": { "_or": [{ "id": { "_eq": 1 } }, { "_and": [{ "views": { "_lt": 20 } }, { "featured": { "_eq": false } }] }] } })),
            ("(filter: { day_func: { month: { _eq: 3 } } }, sort: [\"id\"])", json!({ "filter": { "month(day)": { "_eq": 3 } } })),
            ("(filter: { comments_func: { count: { _gt: 2 } } }, sort: [\"id\"])", json!({ "filter": { "count(comments)": { "_gt": 2 } } })),
            ("(filter: { blocks: { item__quote_blocks: { by: { id: { _eq: 1 } } } } }, sort: [\"id\"])", json!({ "filter": { "blocks": { "item:quote_blocks": { "by": { "id": { "_eq": 1 } } } } } })),
            ("(search: \"Article 2\", sort: [\"id\"], offset: 2, limit: 3)", json!({ "search": "Article 2", "offset": 2, "limit": 3 })),
            ("(sort: [\"id\"], page: 2, limit: 7)", json!({ "page": 2, "limit": 7 })),
        ];
        for (arguments, mut query) in cases {
            query["sort"] = json!("id");
            query["fields"] = json!("id");
            let expected: Vec<String> =
                admin.items("articles", query).await.ids().iter().map(i64::to_string).collect();
            assert!(!expected.is_empty(), "{arguments} finds something");
            let answer = ask(admin, &format!("{{ articles{arguments} {{ id }} }}"), json!({})).await.json();
            let found: Vec<&str> = answer["data"]["articles"]
                .as_array()
                .unwrap_or_else(|| panic!("{arguments}: {answer}"))
                .iter()
                .filter_map(|item| item["id"].as_str())
                .collect();
            assert_eq!(found, expected, "{arguments}");
        }
        // A limit of a list below counts per parent, as `deep` does.
        let deep = json!({ "fields": "id,comments.id", "sort": "id", "limit": 5, "deep": { "comments": { "_limit": 1, "_sort": "-score,id", "_filter": { "score": { "_gt": 1 } } } } });
        let mut expected = admin.items("articles", deep).await.data();
        for article in expected.as_array_mut().unwrap() {
            article["id"] = json!(article["id"].to_string());
            for comment in article["comments"].as_array_mut().unwrap() {
                comment["id"] = json!(comment["id"].to_string());
            }
        }
        check(
            admin,
            "{ articles(limit: 5, sort: [\"id\"]) { id comments(limit: 1, sort: [\"-score\", \"id\"], filter: { score: { _gt: 1 } }) { id } } }",
            json!({ "articles": expected }),
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn fragments_unions_and_directives() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        check(
            admin,
            "query { articles(limit: 4, sort: \"id\") { ...A blocks { collection item { __typename ... on text_blocks { content } ...Quote } } } } \
             fragment A on articles { ... on articles { id } } \
             fragment Quote on quote_blocks { quote by { ...W } } \
             fragment W on writers { name }",
            json!({ "articles": [
                { "id": "1", "blocks": [
                    { "collection": "text_blocks", "item": { "__typename": "text_blocks", "content": "Block text 1" } },
                    { "collection": "image_blocks", "item": { "__typename": "image_blocks" } },
                    { "collection": "quote_blocks", "item": { "__typename": "quote_blocks", "quote": "To be", "by": { "name": "Writer 01" } } },
                ] },
                { "id": "2", "blocks": [
                    { "collection": "text_blocks", "item": { "__typename": "text_blocks", "content": "Block text 2" } },
                ] },
                { "id": "3", "blocks": [
                    { "collection": "image_blocks", "item": { "__typename": "image_blocks" } },
                    { "collection": "text_blocks", "item": { "__typename": "text_blocks", "content": "Block text 3" } },
                ] },
                { "id": "4", "blocks": [
                    { "collection": "quote_blocks", "item": { "__typename": "quote_blocks", "quote": "Or not", "by": { "name": "Writer 02" } } },
                ] },
            ] }),
        )
        .await;
        check(
            admin,
            "{ articles(limit: 2, sort: \"id\") { blocks(limit: 1) { item { ... on image_blocks { width } } } } }",
            json!({ "articles": [{ "blocks": [{ "item": {} }] }, { "blocks": [{ "item": {} }] }] }),
        )
        .await;
        let query = "query Q($x: Boolean!, $y: Boolean = false) { \
            topics(limit: 1, sort: \"id\") { id @include(if: $y) name @include(if: $x) ... @skip(if: $x) { colour } } \
            other: topics(limit: 1) @include(if: $y) { id } }";
        for (variables, expected) in [
            (json!({ "x": true }), json!({ "topics": [{ "name": "rust" }] })),
            (json!({ "x": false }), json!({ "topics": [{ "colour": "#000000" }] })),
            (
                json!({ "x": true, "y": true }),
                json!({ "topics": [{ "id": "1", "name": "rust" }], "other": [{ "id": "1" }] }),
            ),
        ] {
            let answer = ask(admin, query, variables.clone()).await.json();
            assert_eq!(answer, json!({ "data": expected }), "{variables}");
        }
        check(admin, "{ topics(limit: 1) { id @skip(if: true) } }", json!({ "topics": [{}] })).await;
    })
    .await;
}

#[tokio::test]
async fn variables_are_coerced_and_checked_each_time() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        let query = "query Q($id: ID!, $n: Int = 1, $f: comments_filter) { \
            articles_by_id(id: $id) { id comments(limit: $n, sort: [\"id\"], filter: $f) { id } } }";
        // The same document, whose plan is kept after the first request.
        for _ in 0..2 {
            for (variables, expected) in [
                (json!({ "id": 1 }), json!({ "id": "1", "comments": [{ "id": "25" }] })),
                (
                    json!({ "id": "1", "n": 2 }),
                    json!({ "id": "1", "comments": [{ "id": "25" }, { "id": "50" }] }),
                ),
                (
                    json!({ "id": 2, "n": null }),
                    json!({ "id": "2", "comments": [{ "id": "18" }, { "id": "43" }] }),
                ),
                (
                    json!({ "id": 2, "n": -1, "f": { "id": { "_gt": 20 } } }),
                    json!({ "id": "2", "comments": [{ "id": "43" }] }),
                ),
            ] {
                let answer = ask(admin, query, variables.clone()).await.json();
                assert_eq!(answer, json!({ "data": { "articles_by_id": expected } }), "{variables}");
            }
            for wrong in [
                json!({}),
                json!({ "id": null }),
                json!({ "id": { "a": 1 } }),
                json!({ "id": 1, "n": "x" }),
                json!({ "id": 1, "n": 1.5 }),
                json!({ "id": 1, "f": { "nope": { "_eq": 1 } } }),
                json!({ "id": 1, "f": { "id": { "_eq": [1] } } }),
            ] {
                refused(admin, query, wrong).await;
            }
        }
        let several = "query A { topics_by_id(id: 1) { name } } query B { topics_by_id(id: 2) { name } }";
        let named = |name: Value| json!({ "query": several, "operationName": name });
        let answer = admin.post("/graphql", named(json!("B"))).await.json();
        assert_eq!(answer, json!({ "data": { "topics_by_id": { "name": "sql" } } }));
        admin.post("/graphql", named(Value::Null)).await.refused(400, "GRAPHQL_VALIDATION");
        admin.post("/graphql", named(json!("C"))).await.refused(400, "GRAPHQL_VALIDATION");
    })
    .await;
}

#[tokio::test]
async fn figures() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        check(
            admin,
            "{ all: articles_aggregated { countAll n: count { id price __typename } countDistinct { status } } \
               sums: articles_aggregated { sum { views price } min { views } max { price } __typename group } }",
            json!({
                "all": [{ "countAll": 30, "n": { "id": 30, "price": 25, "__typename": "articles_aggregated_count" },
                          "countDistinct": { "status": 3 } }],
                "sums": [{ "sum": { "views": 1550, "price": 1312.5 }, "min": { "views": 3 }, "max": { "price": 101.5 },
                           "__typename": "articles_aggregated", "group": null }],
            }),
        )
        .await;
        let mean = ask(admin, "{ articles_aggregated { avg { views } } }", json!({})).await.json();
        let mean = mean["data"]["articles_aggregated"][0]["avg"]["views"].as_f64().expect("a number");
        assert!((mean - 1550.0 / 30.0).abs() < 1e-6, "{mean}");
        check(
            admin,
            "{ articles_aggregated(groupBy: [\"status\"], sort: [\"-count.id\"], filter: { id: { _lt: 20 } }) { group count { id } } }",
            json!({ "articles_aggregated": [
                { "group": { "status": "published" }, "count": { "id": 10 } },
                { "group": { "status": "archived" }, "count": { "id": 5 } },
                { "group": { "status": "draft" }, "count": { "id": 4 } },
            ] }),
        )
        .await;
        check(
            admin,
            "{ articles_aggregated(groupBy: [\"year(day)\"]) { group } none: articles_aggregated { __typename } }",
            json!({
                "articles_aggregated": [{ "group": { "day_year": "2023" } }],
                "none": [{ "__typename": "articles_aggregated" }],
            }),
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn what_fails_for_one_field_leaves_the_others() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        let answer =
            ask(admin, "{ a: topics_by_id(id: 999) { id } b: topics_by_id(id: 1) { id } }", json!({})).await;
        assert_eq!(answer.status, 200);
        let body = answer.json();
        assert_eq!(body["data"], json!({ "a": null, "b": { "id": "1" } }));
        assert_eq!(body["errors"][0]["extensions"]["code"], "FORBIDDEN");
        assert_eq!(body["errors"][0]["path"], json!(["a"]));
        // A list may not be null, so nothing is left above it.
        let body =
            ask(admin, "{ a: topics(sort: [\"nope\"]) { id } b: topics_by_id(id: 1) { id } }", json!({}))
                .await
                .json();
        assert_eq!(body["data"], Value::Null);
        assert_eq!(body["errors"][0]["path"], json!(["a"]));
    })
    .await;
}

#[tokio::test]
async fn a_schema_has_what_its_reader_may_use() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        blog::seed(&admin).await;
        let read = json!([
            ["articles", "read", { "status": { "_eq": "published" } }, ["id", "title", "writer", "status"]],
            ["comments", "create", {}, ["text"]],
        ]);
        let policy = policy(&admin, "describer", read).await;
        let (_, reader) = user(&admin, "describer", &[&policy]).await;
        check(
            &reader,
            "{ articles(limit: 2, sort: [\"id\"]) { id writer status } }",
            json!({ "articles": [
                { "id": "1", "writer": 2, "status": "published" },
                { "id": "2", "writer": 3, "status": "published" },
            ] }),
        )
        .await;
        for hidden in [
            "{ articles { body } }",
            "{ articles { writer { name } } }",
            "{ articles { comments { id } } }",
            "{ articles(filter: { body: { _null: true } }) { id } }",
            "{ articles(filter: { writer: { name: { _eq: \"x\" } } }) { id } }",
            "{ articles_aggregated { count { body } } }",
            "{ comments { id } }",
            "{ writers { id } }",
            "mutation { create_articles_item(data: { title: \"x\" }) { id } }",
            "mutation { create_comments_item(data: { score: 1 }) }",
            "mutation { delete_articles_item(id: 1) { id } }",
            "subscription { comments_mutated { key } }",
        ] {
            refused(&reader, hidden, json!({})).await;
        }
        let described = ask(
            &reader,
            "{ __schema { types { name } queryType { fields { name } } mutationType { fields { name } } } articles_by_id(id: 1) { id } }",
            json!({}),
        )
        .await
        .json();
        let names = |list: &Value| -> Vec<String> {
            let list = list.as_array().expect("a list");
            list.iter().map(|entry| entry["name"].as_str().expect("a name").to_owned()).collect()
        };
        let schema = &described["data"]["__schema"];
        assert_eq!(
            names(&schema["queryType"]["fields"]),
            ["articles", "articles_by_id", "articles_aggregated"]
        );
        assert_eq!(
            names(&schema["mutationType"]["fields"]),
            ["create_comments_item", "create_comments_items"]
        );
        assert_eq!(described["data"]["articles_by_id"], json!({ "id": "1" }));
        let types = names(&schema["types"]);
        assert!(!types.iter().any(|name| name.contains("writers") || name == "comments"), "{types:?}");
        let created = ask(&reader, "mutation { create_comments_item(data: { text: \"x\" }) }", json!({})).await.json();
        assert_eq!(created, json!({ "data": { "create_comments_item": true } }));

        let visitor = server.visitor();
        refused(&visitor, "{ articles { id } }", json!({})).await;
        check(&visitor, "{ _empty __typename }", json!({ "_empty": null, "__typename": "Query" })).await;

        // A change of rights, and one of the model, is a change of the schema.
        let right = json!({ "policy": policy, "collection": "writers", "action": "read", "fields": ["id", "name"] });
        admin.post("/permissions", right).await.data();
        check(
            &reader,
            "{ articles(limit: 1, sort: [\"id\"]) { writer { name } } }",
            json!({ "articles": [{ "writer": { "name": "Writer 02" } }] }),
        )
        .await;
        let field = json!({ "field": "fresh", "type": "string", "schema": {}, "meta": {} });
        admin.post("/fields/topics", field).await.data();
        check(&admin, "{ topics_by_id(id: 1) { fresh } }", json!({ "topics_by_id": { "fresh": null } })).await;
    })
    .await;
}
