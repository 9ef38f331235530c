//! Policies: rows, fields, presets and validation, over REST.

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::server::{binary, settings};
use crate::support::{blog, each_database};

/// Own articles as a whole, published ones in part; comments of what is seen; writes to notes.
fn writer() -> Value {
    json!([
        ["articles", "read", { "status": { "_eq": "published" } }, ["id", "title", "status", "comments"]],
        ["articles", "read", { "views": { "_gt": 30 } }, ["id", "views", "title", "writer"]],
        ["comments", "read", { "article": { "status": { "_eq": "published" } } }, ["id", "article"]],
        ["writers", "read", {}, ["id", "name"]],
    ])
}

#[tokio::test]
async fn rows_and_fields_are_judged_per_row() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        blog::seed(&admin).await;
        let policy = policy(&admin, "reader", writer()).await;
        let (_, reader) = user(&admin, "reader", &[&policy]).await;

        let all = admin
            .items("articles", json!({ "fields": "id,status,views,title", "limit": -1, "sort": "id" }))
            .await
            .data();
        let seen = reader
            .items("articles", json!({ "fields": "id,status,views,title", "limit": -1, "sort": "id" }))
            .await
            .data();
        let expected: Vec<Value> = all
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|row| {
                let published = row["status"] == "published";
                let popular = row["views"].as_i64().is_some_and(|views| views > 30);
                (published || popular).then(|| {
                    json!({
                        "id": row["id"], "title": row["title"],
                        "status": if published { row["status"].clone() } else { Value::Null },
                        "views": if popular { row["views"].clone() } else { Value::Null },
                    })
                })
            })
            .collect();
        assert_eq!(seen, json!(expected));

        // What is hidden in a row can be asked for in none of the ways.
        let popular = expected.iter().filter(|row| !row["views"].is_null()).count();
        let hidden = json!({ "fields": "id", "limit": -1, "filter": { "views": { "_lte": 30 } } });
        assert_eq!(reader.items("articles", hidden).await.data(), json!([]));
        let nulls = json!({ "fields": "id", "limit": -1, "filter": { "views": { "_null": true } } });
        let nulls = reader.items("articles", nulls).await.ids().len();
        assert_eq!(nulls, expected.len() - popular);
        let counted = reader
            .items("articles", json!({ "aggregate": { "count": ["*", "views"], "max": ["views"] } }))
            .await
            .data();
        assert_eq!(
            counted[0]["count"],
            json!({ "*": expected.len().to_string(), "views": popular.to_string() })
        );
        let grouped = reader
            .items("articles", json!({ "aggregate": { "count": "*" }, "groupBy": ["status"] }))
            .await
            .data();
        assert!(grouped.as_array().expect("groups").iter().all(|row| row["status"] != "draft"), "{grouped}");
        for refused in [
            "fields=body",
            "fields=id&sort=slug",
            "fields=id&filter[body][_null]=true",
            "fields=id&filter[comments][text][_null]=true",
            "aggregate[max]=price",
            "fields=writer.born",
        ] {
            reader.get(&format!("/items/articles?{refused}")).await.refused(403, "FORBIDDEN");
        }
        reader.get("/items/topics").await.refused(403, "FORBIDDEN");
        let meta = reader.get("/items/articles?fields=id&meta=*&limit=1").await.json()["meta"].clone();
        assert_eq!(meta["total_count"], json!(expected.len()));

        // A change acts on the next request.
        let permissions = admin
            .get(&format!("/permissions?filter[policy][_eq]={policy}&filter[collection][_eq]=articles"))
            .await;
        let ids: Vec<Value> = permissions.column("id");
        admin.delete_with("/permissions", json!(ids)).await.no_content();
        reader.get("/items/articles").await.refused(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn writes_are_judged_before_anything_is_written() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let rights = json!([
            ["notes", "read", {}, ["*"]],
            ["notes", "create", null, ["name", "must"], { "must": "preset" }, { "name": { "_nstarts_with": "bad" } }],
            ["notes", "update", { "name": { "_starts_with": "mine" } }, ["must"]],
            ["notes", "delete", { "name": { "_starts_with": "mine" } }, null],
        ]);
        let policy = policy(&admin, "clerk", rights).await;
        let (_, clerk) = user(&admin, "clerk", &[&policy]).await;
        let visitor = server.visitor();

        let mine = clerk.post("/items/notes", json!({ "name": "mine 1" })).await.data();
        assert_eq!(mine["must"], "preset");
        clerk.post("/items/notes", json!({ "name": "bad" })).await.refused(400, "FAILED_VALIDATION");
        let theirs = admin.post("/items/notes", json!({ "name": "theirs" })).await.data();
        let (mine, theirs) = (mine["id"].clone(), theirs["id"].clone());
        let path = |id: &Value| format!("/items/notes/{}", id.as_str().map_or(id.to_string(), str::to_owned));

        clerk.patch(&path(&mine), json!({ "must": "changed" })).await.data();
        clerk.patch(&path(&mine), json!({ "name": "other" })).await.refused(403, "FORBIDDEN");
        clerk.patch(&path(&theirs), json!({ "must": "x" })).await.refused(403, "FORBIDDEN");
        clerk.patch("/items/notes", json!({ "keys": [mine, theirs], "data": { "must": "x" } })).await.refused(403, "FORBIDDEN");
        clerk.patch("/items/notes", json!([{ "id": mine, "must": "x" }, { "id": theirs, "must": "x" }])).await.refused(403, "FORBIDDEN");
        clerk.delete_with("/items/notes", json!([mine, theirs])).await.refused(403, "FORBIDDEN");
        clerk.delete(&path(&theirs)).await.refused(403, "FORBIDDEN");
        visitor.post("/items/notes", json!({ "name": "x" })).await.refused(403, "FORBIDDEN");
        assert_eq!(admin.get(&path(&mine)).await.data()["must"], "changed");
        assert_eq!(admin.items("notes", json!({ "fields": "id" })).await.data().as_array().map(Vec::len), Some(2));
        clerk.delete(&path(&mine)).await.no_content();
    })
    .await;
}

#[tokio::test]
async fn presets_and_rules_name_fields_of_the_user() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let preset = json!({ "must": "$CURRENT_USER.email", "name": "$CURRENT_USER.role.name" });
        let mine = json!({ "must": { "_eq": "$CURRENT_USER.email" } });
        // A note none of whose parts is called like the user's title: without a title there is nothing to compare with.
        let strange = json!({ "children": { "_none": { "name": { "_eq": "$CURRENT_USER.title" } } } });
        let rights = json!([
            ["notes", "create", {}, ["name", "must", "parent"], preset, mine],
            ["notes", "read", strange, ["*"]],
        ]);
        let policy = policy(&admin, "owner", rights).await;
        let (id, owner) = user(&admin, "owner", &[&policy]).await;
        let path = format!("/users/{id}");
        admin.patch(&path, json!({ "role": { "name": "Editors" }, "title": "Chief" })).await.data();
        let made = owner.post("/items/notes", json!({})).await.data();
        assert_eq!((&made["must"], &made["name"]), (&json!("owner@example.com"), &json!("Editors")));
        let refused = owner.post("/items/notes", json!({ "must": "somebody@example.com" })).await;
        refused.refused(400, "FAILED_VALIDATION");
        admin.patch(&path, json!({ "email": "new@example.com" })).await.data();
        let made = owner.post("/items/notes", json!({ "name": "Chief", "parent": made["id"] })).await.data();
        assert_eq!(made["must"], "new@example.com");

        let names = async || owner.items("notes", json!({ "sort": "id" })).await.column("name");
        assert_eq!(names().await, ["Chief"]);
        admin.patch(&path, json!({ "title": null })).await.data();
        assert!(names().await.is_empty());
        admin.patch(&path, json!({ "title": "Other" })).await.data();
        assert_eq!(names().await, ["Editors", "Chief"]);
    })
    .await;
}

#[tokio::test]
async fn new_items_have_to_be_among_the_rows_that_may_be_made() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let rights = json!([
            ["notes", "read", {}, ["*"]],
            ["notes", "create", { "created_by": { "_eq": "$CURRENT_USER" }, "parent": { "name": { "_eq": "open" } } }, ["*"]],
        ]);
        let policy = policy(&admin, "author", rights).await;
        let (_, author) = user(&admin, "author", &[&policy]).await;
        let open = admin.create("notes", json!({ "name": "open" })).await["id"].clone();
        let shut = admin.create("notes", json!({ "name": "shut" })).await["id"].clone();
        author.post("/items/notes", json!({ "name": "a", "parent": open })).await.data();
        author.post("/items/notes", json!({ "name": "b", "parent": shut })).await.refused(403, "FORBIDDEN");
        author.post("/items/notes", json!({ "name": "c" })).await.refused(403, "FORBIDDEN");
        let mixed = json!([{ "name": "d", "parent": open }, { "name": "e", "parent": shut }]);
        author.post("/items/notes", mixed).await.refused(403, "FORBIDDEN");
        assert_eq!(admin.items("notes", json!({ "aggregate": { "count": "*" } })).await.data()[0]["count"], "3");
    })
    .await;
}

#[tokio::test]
async fn refusals_are_explained() {
    each_database(async |engine| {
        let (server, database) = blog::own(engine).await;
        let admin = server.admin();
        blog::seed(&admin).await;
        let policy = policy(&admin, "reader", writer()).await;
        let (id, reader) = user(&admin, "reader", &[&policy]).await;
        let draft = json!({ "fields": "id", "limit": 1, "filter": { "status": { "_eq": "draft" }, "views": { "_lte": 30 } } });
        let draft = admin.items("articles", draft).await.ids()[0];
        let ask = async |query: Value| {
            let mut query = query;
            query["user"] = json!(id);
            admin.read("/tablature/explain", query).await.data()
        };

        let hidden = ask(json!({ "collection": "articles", "item": draft.to_string() })).await;
        assert_eq!((&hidden["allowed"], &hidden["reason"]), (&json!(false), &json!("row_not_found")));
        assert_eq!(hidden["permissions"].as_array().map(Vec::len), Some(2));
        assert!(hidden["sql"]["text"].as_str().is_some_and(|sql| sql.contains("status")), "{hidden}");
        assert_eq!(hidden["policies"][0]["name"], "reader");
        assert_eq!(hidden["policies"][0]["given_by"], "user");
        let unnamed = ask(json!({ "collection": "articles", "field": "body" })).await;
        assert_eq!(unnamed["reason"], "field_not_named");
        let closed = ask(json!({ "collection": "topics" })).await;
        assert_eq!(closed["reason"], "no_permission");
        let open = ask(json!({ "collection": "writers", "field": "name", "item": "1" })).await;
        assert_eq!((&open["allowed"], &open["permissions"][0]["decides"]), (&json!(true), &json!(true)));
        let never = ask(json!({ "collection": "writers", "action": "delete" })).await;
        assert_eq!(never["allowed"], false);

        // The id of a refused request leads to the same.
        let refused = reader.get(&format!("/items/articles/{draft}")).await;
        refused.refused(403, "FORBIDDEN");
        let request = refused.header("x-request-id").expect("an id").to_owned();
        let told = admin.get(&format!("/tablature/explain?request={request}")).await.data();
        assert_eq!((&told["reason"], &told["user"]), (&json!("row_not_found"), &json!(id)));
        assert_eq!(told["request"]["path"], format!("/items/articles/{draft}"));

        let explain = |arguments: &[&str]| {
            let mut command = binary(database.dir(), &settings(&database));
            let ran = command.env("COLLECTIONS_PATH", blog::collections()).arg("explain").args(arguments).output();
            let ran = ran.expect("the binary runs");
            (ran.status.code(), String::from_utf8_lossy(&ran.stdout).into_owned())
        };
        let (code, said) = explain(&["--user", "reader@example.com", "--collection", "articles"]);
        assert!(code == Some(0) && said.contains("allowed: permission") && said.contains("sql SELECT"), "{said}");
        let (code, said) = explain(&["--collection", "articles"]);
        assert!(code == Some(1) && said.contains("refused: no permission"), "{said}");

        reader.get("/tablature/explain?collection=articles").await.refused(403, "FORBIDDEN");
        for wrong in ["", "?collection=nope", "?collection=articles&action=fly", "?collection=articles&x=1", "?request=1",
            "?collection=articles&field=nope"] {
            let answer = admin.get(&format!("/tablature/explain{wrong}")).await;
            assert!(matches!(answer.status, 200 | 400), "{answer:?}");
            assert!(answer.status == 400 || answer.data()["allowed"] == false, "{answer:?}");
        }
    })
    .await;
}
