//! The events that leave with a write: rows of the outbox, made in the same transaction.

use serde_json::{Value, json};

use crate::support::{Database, blog, each_database};

/// Events about an item of the outbox, in order.
async fn events(database: &Database, collection: &str, item: &Value) -> Vec<String> {
    let item = item.as_str().map_or_else(|| item.to_string(), str::to_owned);
    let condition = format!("collection = '{collection}' AND item = '{item}'");
    let rows = database.rows(&format!("SELECT event FROM seen_events WHERE {condition} ORDER BY id")).await;
    rows.into_iter().map(|mut row| row.remove(0)).collect()
}

#[tokio::test]
async fn each_write_leaves_its_events_and_no_others() {
    each_database(async |engine| {
        let (server, database) = blog::own(engine).await;
        database.watch_outbox().await;
        let admin = server.admin();
        let id = admin.create("notes", json!({ "name": "e" })).await["id"].clone();
        let path = format!("/items/notes/{id}");
        admin.patch(&path, json!({ "name": "f" })).await.data();
        admin.delete(&path).await.no_content();
        let seen = events(&database, "notes", &id).await;
        let kinds = ["create", "update", "delete"];
        assert_eq!(seen.len(), 3, "{seen:?}");
        assert!(seen.iter().zip(kinds).all(|(event, kind)| event.contains(kind)), "{seen:?}");
        let first =
            database.rows("SELECT payload, accountability FROM seen_events ORDER BY id").await[0].clone();
        let payload: Value = serde_json::from_str(&first[0]).unwrap();
        assert_eq!(payload["name"], "e", "the event of a creation says what was made: {payload}");
        assert!(first[1].contains("-"), "it says who did it: {}", first[1]);

        let body = json!({ "name": "a", "tracks": [{ "name": "t1" }, { "name": "t2" }] });
        let album = admin.post("/items/albums?fields=id,tracks.id", body).await.data();
        assert_eq!(events(&database, "albums", &album["id"]).await.len(), 1);
        for track in album["tracks"].as_array().unwrap() {
            assert_eq!(events(&database, "tracks", &track["id"]).await.len(), 1);
        }
        assert_eq!(database.count("seen_events", "1 = 1").await, 6, "no other event");

        admin.create("quiet", json!({ "name": "q" })).await;
        assert_eq!(
            database.count("seen_events", "collection = 'quiet'").await,
            1,
            "events do not hang on the history"
        );
    })
    .await;
}
