//! Changes of every kind are told: those of many items at once, of their order, and those that a socket makes itself.

use serde_json::{Value, json};

use crate::support::socket::{Socket, code};
use crate::support::{blog, each_database};

#[tokio::test]
async fn an_item_that_moves_is_told_with_those_that_make_room() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let album = admin.create("albums", json!({ "name": "a" })).await["id"].clone();
        let tracks: Vec<_> =
            (1..=4).map(|n| json!({ "name": format!("t{n}"), "album": album, "position": n })).collect();
        let keys = admin.post("/items/tracks", json!(tracks)).await.column("id");
        let mut socket = Socket::signed_in(&admin).await;
        let query = json!({ "fields": ["name", "position"] });
        socket.subscribe(json!({ "collection": "tracks", "event": "update", "query": query })).await;
        let history = async || {
            let query = json!({ "filter": { "collection": "tracks" }, "fields": "id" });
            admin.read("/activity", query).await.column("id").len()
        };
        let before = history().await;
        let moved = admin.post("/utils/sort/tracks", json!({ "item": keys[2], "to": keys[0] })).await;
        assert_eq!(moved.status, 200);
        let mut told = Vec::new();
        while told.len() < 3 {
            told.extend(socket.next().await["data"].as_array().expect("a list").iter().cloned());
        }
        told.sort_by_key(|track| track["position"].as_i64());
        let expected = ["t3", "t1", "t2"].iter().zip(1..);
        let expected: Vec<Value> =
            expected.map(|(name, position)| json!({ "name": name, "position": position })).collect();
        assert_eq!(told, expected);
        // Nothing moves, and nothing is told; who may not move anything tells nothing either.
        let same = json!({ "item": keys[2], "to": keys[2] });
        assert_eq!(admin.post("/utils/sort/tracks", same.clone()).await.status, 200);
        server.visitor().post("/utils/sort/tracks", same).await.refused(403, "FORBIDDEN");
        socket.silent().await;
        assert_eq!(history().await, before);
    })
    .await;
}

#[tokio::test]
async fn items_are_changed_each_in_its_way() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let made = json!([{ "name": "a", "whole": 1 }, { "name": "b", "whole": 2 }]);
        let keys = admin.post("/items/notes", made).await.column("id");
        let mut socket = Socket::signed_in(&admin).await;
        let update = |data: Value| json!({ "type": "items", "action": "update", "collection": "notes", "data": data, "uid": 1 });
        let mut each =
            update(json!([{ "id": keys[1], "name": "bb" }, { "id": keys[0], "whole": 5 }]));
        each["query"] = json!({ "fields": ["name", "whole"] });
        let answer = socket.ask(each).await;
        let data = answer["data"].as_array().expect("a list");
        assert_eq!(data.len(), 2, "{answer}");
        for item in [json!({ "name": "a", "whole": 5 }), json!({ "name": "bb", "whole": 2 })] {
            assert!(data.contains(&item), "{answer}");
        }
        // One without a key, one that is no object, and keys beside a list: nothing is changed.
        let mut beside = update(json!([{ "id": keys[0], "name": "no" }]));
        beside["ids"] = json!(keys);
        for wrong in [
            update(json!([{ "id": keys[0], "name": "no" }, { "name": "no" }])),
            update(json!([{ "id": keys[0], "name": "no" }, 5])),
            update(json!([{ "id": keys[0], "name": "no" }, null])),
            beside,
        ] {
            assert_eq!(code(&socket.ask(wrong).await), "INVALID_PAYLOAD");
        }
        let names = admin.get("/items/notes?fields=name&sort=id").await.column("name");
        assert_eq!(names, ["a", "bb"]);
    })
    .await;
}

#[tokio::test]
async fn an_item_is_listened_to_however_its_key_is_written() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let thing = admin.create("things", json!({ "name": "one" })).await["id"].clone();
        let key = thing.as_str().expect("a key");
        let mut socket = Socket::signed_in(&admin).await;
        for (uid, key) in [(1, key.to_uppercase()), (2, key.to_owned())] {
            let query = json!({ "fields": ["name"] });
            let message = json!({ "collection": "things", "item": key, "uid": uid, "query": query });
            assert_eq!(socket.subscribe(message).await["data"], json!({ "name": "one" }));
        }
        admin.patch(&format!("/items/things/{key}"), json!({ "name": "two" })).await.data();
        let mut uids = Vec::new();
        for _ in 0..2 {
            let told = socket.next().await;
            assert_eq!(told["data"], json!({ "name": "two" }));
            uids.extend(told["uid"].as_i64());
        }
        uids.sort_unstable();
        assert_eq!(uids, [1, 2]);
    })
    .await;
}
