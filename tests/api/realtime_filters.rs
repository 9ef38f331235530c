//! Whoever listens hears of exactly those rows that a read would find, whatever the filter, and whether it is a question or a rule.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::random::Random;
use crate::support::socket::Socket;
use crate::support::{Client, blog, each_database};

/// So many items, each of which changes once in each part of the scenario.
const ITEMS: usize = 40;
/// So long nothing may come before it is taken that nothing will.
const QUIET: Duration = Duration::from_millis(900);

/// Filters over values that databases like to see differently, alone and together.
fn filters() -> Vec<Value> {
    vec![
        json!({ "whole": { "_eq": 1 } }),
        json!({ "whole": { "_neq": 1 } }),
        json!({ "whole": { "_in": [1, 2] } }),
        json!({ "whole": { "_nin": [1, 2] } }),
        json!({ "whole": { "_null": true } }),
        json!({ "whole": { "_gt": 0 } }),
        json!({ "name": { "_eq": "a" } }),
        json!({ "name": { "_neq": "a" } }),
        json!({ "name": { "_in": ["a", "B", "ä"] } }),
        json!({ "name": { "_nin": ["a", "b"] } }),
        json!({ "name": { "_empty": true } }),
        json!({ "name": { "_icontains": "A" } }),
        json!({ "flag": { "_eq": true } }),
        json!({ "flag": { "_nnull": true }, "whole": { "_nnull": true } }),
        json!({ "ratio": { "_eq": "1.5" } }),
        json!({ "parent": { "_null": true } }),
        json!({ "parent": { "name": { "_eq": "above" } } }),
        json!({ "created_at": { "_null": true } }),
        json!({ "_or": [{ "whole": { "_eq": 2 } }, { "name": { "_eq": "b" } }, { "parent": { "name": { "_null": true } } }] }),
        json!({ "_and": [{ "whole": { "_gte": 1 } }, { "name": { "_in": ["a", "b"] } }] }),
        json!({ "_or": [{ "_and": [{ "flag": { "_eq": false } }, { "whole": { "_eq": 0 } }] }, { "name": { "_null": true } }] }),
    ]
}

fn item(random: &mut Random, parents: &[Value]) -> Value {
    let names =
        [json!(null), json!(""), json!("a"), json!("A"), json!("a "), json!("ä"), json!("b"), json!("B")];
    json!({
        "name": random.pick(&names),
        "whole": random.pick(&[json!(null), json!(0), json!(1), json!(2)]),
        "flag": random.pick(&[json!(null), json!(true), json!(false)]),
        "ratio": random.pick(&[json!(null), json!("1.5"), json!("2")]),
        "parent": random.pick(parents),
    })
}

/// Keys by the number of the subscription that they were told to.
type Told = BTreeMap<usize, BTreeSet<i64>>;

/// What sockets are told of an event until all of them are quiet; nothing is told twice. Others than these events may come where
/// `has_others`.
async fn heard(sockets: &mut [Socket], event: &str, has_others: bool) -> Told {
    let listen = async |socket: &mut Socket| {
        let mut told = Told::new();
        while let Some(message) = socket.hear(QUIET).await {
            let message = message.expect("an open socket");
            if message["event"] != event {
                assert!(has_others, "{message}");
                continue;
            }
            let number = message["uid"].as_u64().expect("a number") as usize;
            for entry in message["data"].as_array().expect("a list") {
                let key = entry.as_i64().or_else(|| entry["id"].as_i64()).expect("a key");
                assert!(told.entry(number).or_default().insert(key), "told twice: {message}");
            }
        }
        told
    };
    join_all(sockets.iter_mut().map(listen)).await.into_iter().flatten().collect()
}

/// What reads find of these items, by the number of the filter.
async fn found(admin: &Client, keys: &[Value]) -> Told {
    let mut found = Told::new();
    for (number, filter) in filters().into_iter().enumerate() {
        let filter = json!({ "_and": [{ "id": { "_in": keys } }, filter] });
        let rows = admin.get(&format!("/items/notes?limit=-1&fields=id&filter={filter}")).await.column("id");
        if !rows.is_empty() {
            found.insert(number, rows.iter().filter_map(Value::as_i64).collect());
        }
    }
    found
}

#[tokio::test]
async fn what_is_told_is_what_a_read_finds() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let above = json!([{ "name": "above" }, { "name": null }]);
        let mut parents = admin.post("/items/notes?fields=id", above).await.column("id");
        parents.push(json!(null));

        // The filters as questions of one socket, and as rules of somebody each.
        let mut asked = [Socket::signed_in(&admin).await];
        let mut ruled = Vec::new();
        for (number, filter) in filters().into_iter().enumerate() {
            let query = json!({ "fields": ["id"], "filter": filter, "limit": 1 });
            asked[0].subscribe(json!({ "collection": "notes", "query": query, "uid": number })).await;
            let rights = json!([["notes", "read", filter, ["id", "name"]]]);
            let policy = policy(&admin, &format!("p{number}"), rights).await;
            let (_, client) = user(&admin, &format!("u{number}"), &[&policy]).await;
            let mut socket = Socket::signed_in(&client).await;
            let query = json!({ "fields": ["id"] });
            socket.subscribe(json!({ "collection": "notes", "query": query, "uid": number })).await;
            ruled.push(socket);
        }
        let mut random = Random::new(5);
        let mut keys = Vec::new();
        for _ in 0..ITEMS {
            keys.push(admin.create("notes", item(&mut random, &parents)).await["id"].clone());
        }
        let expected = found(&admin, &keys).await;
        assert!(expected.len() > 15, "too few filters find anything");
        assert_eq!(heard(&mut asked, "create", false).await, expected, "questions");
        assert_eq!(heard(&mut ruled, "create", false).await, expected, "rules");

        for key in &keys {
            admin.patch(&format!("/items/notes/{key}"), item(&mut random, &parents)).await.data();
        }
        let expected = found(&admin, &keys).await;
        assert_eq!(heard(&mut asked, "update", false).await, expected, "questions");
        assert_eq!(heard(&mut ruled, "update", false).await, expected, "rules");

        // Who may read every key hears of every end, the others of the end of what they could see. Some change right before it, which
        // nobody may be told any more.
        for (number, key) in keys.iter().enumerate() {
            if number % 2 == 0 {
                admin
                    .patch(&format!("/items/notes/{key}"), json!({ "handle": format!("h{number}") }))
                    .await
                    .data();
            }
            admin.delete(&format!("/items/notes/{key}")).await.no_content();
        }
        let all: BTreeSet<i64> = keys.iter().filter_map(Value::as_i64).collect();
        let everything: Told = (0..filters().len()).map(|number| (number, all.clone())).collect();
        assert_eq!(heard(&mut asked, "delete", true).await, everything, "questions");
        assert_eq!(heard(&mut ruled, "delete", true).await, expected, "rules");
        drop(server);
    })
    .await;
}
