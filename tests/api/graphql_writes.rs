//! `/graphql`: mutations, other methods, the schema as a file.

use serde_json::{Value, json};

use super::graphql::{ask, even};
use crate::support::access::{policy, user};
use crate::support::{Client, Database, Project, blog, each_database};

async fn done(client: &Client, query: &str, variables: Value) -> Value {
    let body = ask(client, query, variables).await.json();
    assert_eq!(body.get("errors"), None, "{query}: {body}");
    even(&body["data"])
}

#[tokio::test]
async fn items_are_made_changed_and_removed() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        let handle = format!("graphql-{}", engine.pick("a", "b", "c"));
        let made = done(
            admin,
            "mutation M($handle: String) { one: create_notes_item(data: { name: \"n\", whole: 4, must: \"y\", handle: $handle, shape: { a: [1] }, ratio: 1.5 }) { id __typename name whole shape ratio must } }",
            json!({ "handle": handle }),
        )
        .await;
        let id = made["one"]["id"].clone();
        assert_eq!(
            made["one"],
            json!({ "id": id, "__typename": "notes", "name": "n", "whole": 4.0, "shape": { "a": [1.0] }, "ratio": 1.5, "must": "y" })
        );
        let many = done(
            admin,
            "mutation { create_notes_items(data: [{ name: \"p\", must: \"a\" }, { name: \"q\", must: \"b\" }]) { id name } }",
            json!({}),
        )
        .await;
        let ids: Vec<Value> =
            many["create_notes_items"].as_array().expect("a list").iter().map(|item| item["id"].clone()).collect();
        assert_eq!(many["create_notes_items"][1]["name"], "q");
        let changed = done(
            admin,
            "mutation M($id: ID!, $ids: [ID]!, $data: update_notes_input!) { \
               a: update_notes_item(id: $id, data: $data) { name whole } \
               b: update_notes_items(ids: $ids, data: { whole: 7 }, sort: [\"-name\"]) { name whole } \
               c: update_notes_batch(data: [{ id: $id, name: \"z\" }]) { id name } }",
            json!({ "id": id, "ids": ids, "data": { "name": "m", "parent": null } }),
        )
        .await;
        assert_eq!(
            changed,
            json!({
                "a": { "name": "m", "whole": 4.0 },
                "b": [{ "name": "q", "whole": 7.0 }, { "name": "p", "whole": 7.0 }],
                "c": [{ "id": id, "name": "z" }],
            })
        );
        let nested = done(
            admin,
            "mutation { create_albums_item(data: { name: \"al\", label: { name: \"lab\" }, tracks: [{ name: \"t1\" }, { name: \"t2\" }], \
               genres: [{ genre: { name: \"g\" } }] }) { name label { name } tracks { name } genres { genre { name } } } }",
            json!({}),
        )
        .await;
        assert_eq!(
            nested["create_albums_item"],
            json!({ "name": "al", "label": { "name": "lab" }, "tracks": [{ "name": "t1" }, { "name": "t2" }],
                    "genres": [{ "genre": { "name": "g" } }] })
        );
        let removed = done(
            admin,
            "mutation M($id: ID!, $ids: [ID]!) { x: delete_notes_item(id: $id) { gone: id } delete_notes_items(ids: $ids) { ids } }",
            json!({ "id": id, "ids": ids }),
        )
        .await;
        assert_eq!(removed, json!({ "x": { "gone": id }, "delete_notes_items": { "ids": ids } }));
        let after = ask(admin, "query Q($id: ID!) { notes_by_id(id: $id) { id } }", json!({ "id": id })).await.json();
        assert_eq!(after["data"], json!({ "notes_by_id": null }));
    })
    .await;
}

#[tokio::test]
async fn an_item_that_is_not_there_is_not_changed() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        let mutation = "mutation { a: update_notes_item(id: 99999999, data: { name: \"n\" }) { id } \
             b: update_notes_items(ids: [99999999], data: { name: \"n\" }) { id } }";
        let body = ask(admin, mutation, json!({})).await.json();
        assert_eq!(body["data"], json!({ "a": null, "b": [] }));
        assert_eq!(body["errors"].as_array().map(Vec::len), Some(1));
        assert_eq!(body["errors"][0]["path"], json!(["a"]));
        assert_eq!(body["errors"][0]["extensions"]["code"], "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn texts_hold_what_is_written_with_escapes() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        let mutation = r#"mutation { create_notes_item(data: { must: "\uD83D\uDE00 \u{1F600} \u00e9 \u{22}\t\\uD83D" }) { must } }"#;
        let made = done(admin, mutation, json!({})).await;
        assert_eq!(made["create_notes_item"]["must"], "😀 😀 é \"\t\\uD83D");
        let half = r#"mutation { create_notes_item(data: { must: "\uD83D" }) { must } }"#;
        ask(admin, half, json!({})).await.refused(400, "GRAPHQL_VALIDATION");
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_written_is_told_per_field() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = &server.admin();
        let body = ask(
            admin,
            "mutation { a: create_notes_item(data: { must: \"x\", handle: \"h\" }) { handle } \
               b: create_notes_item(data: { must: \"x\", handle: \"h\" }) { handle } \
               c: create_notes_item(data: { must: \"x\", handle: \"i\" }) { handle } }",
            json!({}),
        )
        .await
        .json();
        assert_eq!(body["data"], json!({ "a": { "handle": "h" }, "b": null, "c": { "handle": "i" } }));
        assert_eq!(body["errors"].as_array().map(Vec::len), Some(1));
        assert_eq!(body["errors"][0]["path"], json!(["b"]));
        assert_eq!(body["errors"][0]["extensions"]["code"], "RECORD_NOT_UNIQUE");
        // What does not fit is found before anything is done.
        ask(
            admin,
            "mutation M($d: create_notes_input!) { a: create_notes_item(data: { must: \"x\" }) { id } b: create_notes_item(data: $d) { id } }",
            json!({ "d": { "must": "x", "nope": 1 } }),
        )
        .await
        .refused(400, "GRAPHQL_VALIDATION");
        ask(
            admin,
            "mutation M($n: JSON) { a: create_notes_item(data: { must: \"x\" }) { id } b: create_notes_item(data: { must: \"x\", whole: $n }) { id } }",
            json!({ "n": "seven" }),
        )
        .await
        .refused(400, "GRAPHQL_VALIDATION");
        assert_eq!(admin.items("notes", json!({})).await.ids().len(), 2);
        // Set and read as one.
        let set = done(admin, "mutation { update_preferences(data: { tagline: \"t\" }) { tagline site_name per_page } }", json!({})).await;
        assert_eq!(set["update_preferences"], json!({ "tagline": "t", "site_name": "Unnamed", "per_page": 3.0 }));
        let read = done(admin, "{ preferences { tagline __typename id } }", json!({})).await;
        assert_eq!(read["preferences"], json!({ "tagline": "t", "__typename": "preferences", "id": "1" }));
    })
    .await;
}

#[tokio::test]
async fn a_singleton_without_an_item_has_every_member() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let read = done(&server.admin(), "{ preferences { t: tagline per_page __typename id site_name } }", json!({})).await;
        assert_eq!(
            read["preferences"],
            json!({ "t": null, "per_page": 3.0, "__typename": "preferences", "id": null, "site_name": "Unnamed" })
        );
    })
    .await;
}

#[tokio::test]
async fn rows_and_fields_are_judged_as_over_rest() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        blog::seed(&admin).await;
        let rights = json!([
            ["articles", "read", { "status": { "_eq": "published" } }, ["id", "title", "status", "comments"]],
            ["articles", "read", { "views": { "_gt": 30 } }, ["id", "views", "title", "writer"]],
            ["comments", "read", { "article": { "status": { "_eq": "published" } } }, ["id", "article"]],
            ["writers", "read", { "id": { "_lt": 4 } }, ["id", "name"]],
            ["notes", "create", {}, ["name", "must"], { "must": "given" }, { "name": { "_neq": "bad" } }],
            ["notes", "read", { "name": { "_neq": "unseen" } }, ["id", "name", "must"]],
            ["notes", "update", { "name": { "_eq": "mine" } }, ["name"]],
        ]);
        let policy = policy(&admin, "reader", rights).await;
        let (_, reader) = user(&admin, "reader", &[&policy]).await;
        let fields = "id,title,status,views,writer.id,writer.name,comments.id";
        let rest =
            reader.items("articles", json!({ "fields": fields, "sort": "id", "limit": -1 })).await.data();
        let selection = "id title status views writer { id name } comments { id }";
        let graphql =
            done(&reader, &format!("{{ articles(sort: [\"id\"], limit: -1) {{ {selection} }} }}"), json!({}))
                .await;
        // Keys are texts here.
        fn keyed(value: &mut Value) {
            match value {
                Value::Object(members) => {
                    for (name, member) in members {
                        match member {
                            Value::Number(number) if name == "id" => *member = json!(number.to_string()),
                            other => keyed(other),
                        }
                    }
                }
                Value::Array(entries) => entries.iter_mut().for_each(keyed),
                _ => {}
            }
        }
        let mut expected = rest;
        keyed(&mut expected);
        assert_eq!(graphql["articles"], even(&expected));
        assert!(!expected.as_array().expect("a list").is_empty());

        // Presets, validation and rows hold; what was written and cannot be seen is not shown.
        let made = done(
            &reader,
            "mutation { create_notes_item(data: { name: \"mine\" }) { id name must } }",
            json!({}),
        )
        .await;
        let id = made["create_notes_item"]["id"].clone();
        assert_eq!(made["create_notes_item"], json!({ "id": id, "name": "mine", "must": "given" }));
        let unseen =
            done(&reader, "mutation { create_notes_item(data: { name: \"unseen\" }) { id } }", json!({}))
                .await;
        assert_eq!(unseen, json!({ "create_notes_item": null }));
        for (mutation, code) in [
            ("mutation { x: create_notes_item(data: { name: \"bad\" }) { id } }", "FAILED_VALIDATION"),
            ("mutation { x: update_notes_item(id: 999, data: { name: \"a\" }) { id } }", "FORBIDDEN"),
        ] {
            let body = ask(&reader, mutation, json!({})).await.json();
            assert_eq!(body["data"], json!({ "x": null }), "{mutation}");
            assert_eq!(body["errors"][0]["extensions"]["code"], code, "{mutation}");
        }
        let mutation =
            "mutation M($id: ID!) { update_notes_item(id: $id, data: { name: \"others\" }) { name } }";
        let changed = done(&reader, mutation, json!({ "id": id })).await;
        assert_eq!(changed["update_notes_item"]["name"], "others");
        let body = ask(&reader, mutation, json!({ "id": id })).await.json();
        assert_eq!(body["errors"][0]["extensions"]["code"], "FORBIDDEN", "no longer mine");
    })
    .await;
}

#[tokio::test]
async fn methods_and_bodies() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        let read = admin
            .read(
                "/graphql",
                json!({ "query": "query Q($n: Int) { topics(limit: $n, sort: \"id\") { name } }", "variables": { "n": 1 } }),
            )
            .await
            .json();
        assert_eq!(read, json!({ "data": { "topics": [{ "name": "rust" }] } }));
        let mutation = json!({ "query": "mutation { create_notes_item(data: { must: \"x\" }) { id } }" });
        let errors = admin.read("/graphql", mutation).await.refused(405, "METHOD_NOT_ALLOWED");
        assert_eq!(errors[0]["extensions"]["allowed"], json!(["POST"]));
        admin.post("/graphql", json!({})).await.refused(400, "INVALID_PAYLOAD");
        admin.post("/graphql", json!([{ "query": "{ __typename }" }])).await.refused(400, "INVALID_PAYLOAD");
        admin.post("/graphql", json!({ "query": "{ __typename }", "variables": 7 })).await.refused(400, "INVALID_PAYLOAD");
        admin.read("/graphql", json!({ "query": "{ __typename }", "variables": "{" })).await.refused(400, "INVALID_QUERY");
        let form = admin.request("POST", "/graphql").body("query={__typename}", "application/x-www-form-urlencoded");
        form.send().await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
        ask(admin, "subscription { notes_mutated { key } }", json!({})).await.refused(400, "GRAPHQL_VALIDATION");
    })
    .await;
}

#[tokio::test]
async fn a_version_is_read_as_it_is_and_as_it_would_be() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let writers = "collection: writers\nfields:\n  id: integer_pk\n  name: string\n";
        let essays = "collection: essays\nversioning: true\nfields:\n  id: integer_pk\n  title: string\n  price: decimal(8,2)\n  writer: m2o(writers)\n";
        let project = Project::new(database, &[("writers.yaml", writers), ("essays.yaml", essays)]).await;
        let server = project.server().start().await;
        let admin = server.admin();
        admin.post("/items/writers", json!([{ "name": "A" }, { "name": "B" }])).await.data();
        admin.post("/items/essays", json!({ "title": "old", "price": "1.50", "writer": 1 })).await.data();
        let version = json!({ "key": "next", "name": "Next", "collection": "essays", "item": "1" });
        let version = admin.post("/versions", version).await.data()["id"].clone();
        let version = version.as_str().expect("a key");
        admin.post(&format!("/versions/{version}/save"), json!({ "title": "new", "writer": 2 })).await.data();
        let read = done(
            &admin,
            "{ a: essays_by_id(id: 1) { title writer { name } } \
               b: essays_by_id(id: 1, version: \"next\") { title price writer { name } } \
               c: essays_by_version(id: 1, version: \"next\") { t: title price writer __typename id } }",
            json!({}),
        )
        .await;
        assert_eq!(
            read,
            json!({
                "a": { "title": "old", "writer": { "name": "A" } },
                "b": { "title": "new", "price": 1.5, "writer": { "name": "B" } },
                "c": { "t": "new", "price": 1.5, "writer": 2.0, "__typename": "version_essays", "id": "1" },
            })
        );
    })
    .await;
}

#[tokio::test]
async fn the_schema_is_a_file() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let things = "collection: things\nfields:\n  id: uuid_pk\n  title: string!\n  count: bigint\n  owner: m2o(directus_users)\npermissions:\n  reader: { read: { fields: [id, title] } }\n";
        let access = "policies:\n  reader: {}\nroles:\n  clerk: { policies: [reader] }\n";
        let project = Project::new(database, &[("things.yaml", things), ("_access.yaml", access)]).await;
        let server = project.server().start().await;
        let admin = server.admin();
        let answer = admin.get("/server/specs/graphql").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
        let sdl = answer.text();
        for part in ["type things {", "\ttitle: String!\n", "\tcount: GraphQLBigInt\n", "input create_things_input {", "type directus_users {", "type Subscription {"] {
            assert!(sdl.contains(part), "{part} in {sdl}");
        }
        let system = admin.get("/server/specs/graphql/system").await.text();
        assert!(system.contains("\tusers(") && system.contains("type directus_users {"), "{system}");
        assert!(!system.contains("type things {"), "{system}");
        let nobody = server.visitor().get("/server/specs/graphql").await.text();
        assert!(!nobody.contains("things"), "{nobody}");
        let printed = project.run(&["graphql-schema"]);
        assert!(printed.ok().contains("input create_things_input {"));
        let printed = project.run(&["graphql-schema", "--role", "clerk"]);
        let clerk = printed.ok();
        assert!(clerk.contains("type things {") && !clerk.contains("create_things") && !clerk.contains("GraphQLBigInt"), "{clerk}");
        let printed = project.run(&["graphql-schema", "--system"]);
        assert!(printed.ok().contains("\tusers("));
    })
    .await;
}
