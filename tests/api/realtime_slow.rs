//! A listener whose question takes long to answer delays nobody else, and is told everything in the end.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::socket::Socket;
use crate::support::{Database, Engine, Server, blog, each_database};

/// How long the slow one is waited for.
const LONG: Duration = Duration::from_secs(60);
/// Changes while the slow one is being read for.
const CHANGES: usize = 10;

#[tokio::test]
async fn a_slow_listener_delays_nobody_else() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let server = Server::builder(&database)
            .collections(&blog::collections())
            .set("MAX_FILTER_CONDITIONS", "1000")
            // Two of them will be busy with what is slow.
            .set("DB_SQLITE_READERS", "4")
            .start()
            .await;
        let admin = server.admin();
        let track = admin.create("tracks", json!({ "name": "first" })).await["id"].clone();
        // PostgreSQL is made to wait below. Nothing holds up a reader of a file, and MariaDB opens what refers to a table to write to
        // it, so that it takes much to compare there.
        let (takes, conditions) = engine.pick((2000, 250), (1, 1), (2000, 80));
        let take = json!({ "name": "never found ".repeat(20), "track": track });
        for _ in 0..5 {
            admin.post("/items/takes?fields=id", json!(vec![take.clone(); takes])).await.data();
        }
        let conditions: Vec<Value> =
            (0..conditions).map(|at| json!({ "name": { "_icontains": format!("found{at}") } })).collect();
        let question =
            json!({ "fields": ["name"], "filter": { "takes": { "_none": { "_or": conditions } } } });
        let slowly = json!({ "collection": "tracks", "event": "update", "query": question, "resume": true });
        let quickly = json!({ "collection": "tracks", "event": "update", "query": { "fields": ["name"] } });

        let rights = json!([["tracks", "read", {}, ["*"]], ["takes", "read", {}, ["*"]]]);
        let policy = policy(&admin, "listeners", rights).await;
        let (left, leaving) = user(&admin, "leaving", &[&policy]).await;
        let mut quick = Socket::signed_in(&admin).await;
        let mut slow = Socket::signed_in(&admin).await;
        let mut leaving = Socket::signed_in(&leaving).await;
        quick.subscribe(quickly.clone()).await;
        slow.subscribe(slowly.clone()).await;
        leaving.subscribe(slowly).await;
        let rename = async |name: &str| {
            admin.patch(&format!("/items/tracks/{track}?fields=id"), json!({ "name": name })).await.data();
        };

        let held = match engine {
            Engine::Postgres => Some(database.hold("takes").await),
            Engine::Sqlite | Engine::Mariadb => None,
        };
        for change in 0..CHANGES {
            rename(&change.to_string()).await;
            assert_eq!(quick.next().await["data"], json!([{ "name": change.to_string() }]));
        }
        // Somebody joins, and somebody has to go.
        let mut late = Socket::signed_in(&admin).await;
        late.subscribe(quickly).await;
        admin.patch(&format!("/users/{left}"), json!({ "status": "suspended" })).await.data();
        rename("last").await;
        for socket in [&mut quick, &mut late] {
            assert_eq!(socket.next().await["data"], json!([{ "name": "last" }]));
        }
        assert!(slow.hear(Duration::ZERO).await.is_none(), "it took too little to be slow");
        drop(held);

        // What happened meanwhile is told together.
        let until = async |socket: &mut Socket, name: &str| {
            let mut told = Vec::new();
            while told.last() != Some(&json!(name)) {
                let message = socket.hear(LONG).await.expect("a message").expect("an open socket");
                assert_eq!(message["event"], "update", "{message}");
                told.push(message["data"][0]["name"].clone());
            }
            told
        };
        let told = until(&mut slow, "last").await;
        assert!(told.len() < 4, "{told:?}");
        while let Some(Ok(message)) = leaving.hear(Duration::from_secs(5)).await {
            assert_ne!(message["type"], "subscription", "{message}");
        }
        rename("again").await;
        for socket in [&mut quick, &mut late] {
            assert_eq!(socket.next().await["data"], json!([{ "name": "again" }]));
        }
        let told = until(&mut slow, "again").await;
        assert!(told.len() < 4, "{told:?}");
        drop(server);
    })
    .await;
}
