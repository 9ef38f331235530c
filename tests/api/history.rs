//! Activity and revisions: rows that are written with each change.

use serde_json::{Value, json};

use crate::support::{Database, blog, each_database};

/// Who did what to an item, in order.
async fn activity(database: &Database, collection: &str, item: &Value) -> Vec<String> {
    let condition = format!("collection = '{collection}' AND item = '{}'", key(item));
    let rows =
        database.rows(&format!("SELECT action FROM directus_activity WHERE {condition} ORDER BY id")).await;
    rows.into_iter().map(|mut row| row.remove(0)).collect()
}

/// `data` and `delta` of the revisions of an item, in order.
async fn revisions(database: &Database, collection: &str, item: &Value) -> Vec<(Value, Value)> {
    let condition = format!("collection = '{collection}' AND item = '{}'", key(item));
    let sql = format!("SELECT data, delta FROM directus_revisions WHERE {condition} ORDER BY id");
    let parse = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| panic!("not JSON: {text}"));
    database.rows(&sql).await.iter().map(|row| (parse(&row[0]), parse(&row[1]))).collect()
}

fn key(item: &Value) -> String {
    item.as_str().map_or_else(|| item.to_string(), str::to_owned)
}

#[tokio::test]
async fn every_change_is_recorded() {
    each_database(async |engine| {
        let (admin, database) = blog::shared_with_database(engine).await;
        let id = admin.create("notes", json!({ "name": "h", "whole": 1 })).await["id"].clone();
        let path = format!("/items/notes/{id}");
        admin.patch(&path, json!({ "whole": 2 })).await.data();
        admin.patch(&path, json!({ "whole": 2 })).await.data();
        admin.delete(&path).await.no_content();
        assert_eq!(activity(database, "notes", &id).await, ["create", "update", "update", "delete"]);

        let revisions = revisions(database, "notes", &id).await;
        assert_eq!(revisions.len(), 3, "a revision for each write that leaves a row: {revisions:?}");
        let sent = json!({ "name": "h", "whole": 1 });
        assert_eq!(revisions[0], (sent.clone(), sent), "on creation, what was sent");
        let (data, delta) = &revisions[1];
        assert_eq!(delta["whole"], 2);
        assert!(delta.get("name").is_none(), "{delta}");
        assert_eq!((&data["name"], &data["whole"], &data["id"]), (&json!("h"), &json!(2), &id), "the item as it became");

        let user = admin.get("/users/me?fields=id").await.data()["id"].as_str().unwrap().to_owned();
        let column = engine.quote("user");
        let condition = format!("collection = 'notes' AND item = '{id}' AND {column} = '{user}' AND ip IS NOT NULL");
        assert_eq!(database.count("directus_activity", &condition).await, 4, "each says who and from where");
        let linked = format!(
            "SELECT count(*) FROM directus_revisions r JOIN directus_activity a ON a.id = r.activity \
             WHERE r.collection = 'notes' AND r.item = '{id}' AND a.item = r.item AND a.collection = r.collection"
        );
        assert_eq!(database.number(&linked).await, 3, "each revision belongs to its activity");
    })
    .await;
}

#[tokio::test]
async fn nested_writes_are_recorded_one_by_one() {
    each_database(async |engine| {
        let (admin, database) = blog::shared_with_database(engine).await;
        let body =
            json!({ "name": "a", "tracks": [{ "name": "t1" }, { "name": "t2" }], "label": { "name": "l" } });
        let album = admin.post("/items/albums?fields=id,label,tracks.id", body).await.data();
        assert_eq!(activity(database, "albums", &album["id"]).await, ["create"]);
        assert_eq!(activity(database, "labels", &album["label"]).await, ["create"]);
        for track in album["tracks"].as_array().unwrap() {
            assert_eq!(activity(database, "tracks", &track["id"]).await, ["create"]);
            assert_eq!(revisions(database, "tracks", &track["id"]).await.len(), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn a_collection_says_how_much_is_recorded() {
    each_database(async |engine| {
        let (admin, database) = blog::shared_with_database(engine).await;
        let counts = async |collection: &str| {
            let condition = format!("collection = '{collection}'");
            let activity = database.count("directus_activity", &condition).await;
            (activity, database.count("directus_revisions", &condition).await)
        };
        for (collection, expected) in [("quiet", (0, 0)), ("counted", (3, 0))] {
            let before = counts(collection).await;
            let id = admin.create(collection, json!({ "name": "x" })).await["id"].clone();
            admin.patch(&format!("/items/{collection}/{id}"), json!({ "name": "y" })).await.data();
            admin.delete(&format!("/items/{collection}/{id}")).await.no_content();
            let after = counts(collection).await;
            assert_eq!((after.0 - before.0, after.1 - before.1), expected, "{collection}");
        }
    })
    .await;
}

#[tokio::test]
async fn nothing_is_recorded_about_what_was_refused() {
    each_database(async |engine| {
        let (server, database) = blog::own(engine).await;
        database.watch_outbox().await;
        let admin = server.admin();
        let before = database.count("directus_activity", "1 = 1").await;
        admin.post("/items/notes", json!([{ "name": "ok" }, { "whole": "wrong" }])).await.refused_with(400);
        admin
            .post("/items/albums", json!({ "name": "a", "tracks": [{ "name": "t" }, { "name": null }] }))
            .await
            .refused_with(400);
        admin.post("/items/strict", json!([{ "title": "fine" }, { "title": null }])).await.refused_with(400);
        admin.patch("/items/notes/424242", json!({ "name": "nobody" })).await.no_content();
        admin.delete("/items/notes/424242").await.no_content();
        assert_eq!(database.count("directus_activity", "1 = 1").await, before);
        assert_eq!(database.count("directus_revisions", "1 = 1").await, 0);
        assert_eq!(database.count("seen_events", "1 = 1").await, 0);
    })
    .await;
}

#[tokio::test]
async fn secrets_stay_out_of_the_history() {
    each_database(async |engine| {
        let (server, database) = blog::own(engine).await;
        database.watch_outbox().await;
        let admin = server.admin();
        let id =
            admin.create("values", json!({ "lock": "open sesame", "secret": "under the mat" })).await["id"]
                .clone();
        admin
            .patch(&format!("/items/values/{id}"), json!({ "secret": "elsewhere", "lock": "new sesame" }))
            .await
            .data();
        for (table, columns) in [("directus_revisions", "data, delta"), ("seen_events", "payload")] {
            let condition = format!("collection = 'values' AND item = '{id}'");
            let rows = database.rows(&format!("SELECT {columns} FROM {table} WHERE {condition}")).await;
            for text in rows.concat() {
                for secret in ["sesame", "under the mat", "elsewhere"] {
                    assert!(!text.contains(secret), "{table} holds a secret: {text}");
                }
            }
        }
    })
    .await;
}
