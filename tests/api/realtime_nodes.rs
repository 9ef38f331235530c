//! Two nodes on one database and one Redis: what happens on one is told by the other, and what may be missing is told, too.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::redis::Redis;
use crate::support::server::{ADMIN_EMAIL, ADMIN_PASSWORD};
use crate::support::socket::{Socket, code};
use crate::support::{Database, Engine, Server, blog, each_database};

#[tokio::test]
async fn events_reach_the_other_node() {
    each_database(async |engine| {
        if engine == Engine::Sqlite {
            // A file has one server.
            return;
        }
        let database = Database::fresh(engine).await;
        let dir = database.dir().to_owned();
        let Some(mut redis) = Redis::start(&dir) else { return };
        let builder = Server::builder(&database).collections(&blog::collections()).set("REDIS", &redis.url());
        let (first, second) = (builder.start().await, builder.start().await);
        let (admin, far) = (first.admin(), second.admin());
        let large = json!([["notes", "read", { "whole": { "_gt": 10 } }, ["id", "name"]]]);
        let policy = policy(&admin, "large", large).await;
        let (_, some) = user(&admin, "large", &[&policy]).await;

        let query = json!({ "fields": ["name"] });
        let mut near = Socket::signed_in(&admin).await;
        let mut all = Socket::signed_in(&far).await;
        let mut some = Socket::signed_in(&far.with_token(some.token())).await;
        for (socket, resume) in [(&mut near, true), (&mut all, true), (&mut some, false)] {
            let message = json!({ "collection": "notes", "uid": 1, "resume": resume, "query": query });
            socket.subscribe(message).await;
        }
        let small = admin.create("notes", json!({ "name": "small", "whole": 1 })).await["id"].clone();
        let made = admin.create("notes", json!({ "name": "large", "whole": 11 })).await["id"].clone();
        for socket in [&mut near, &mut all] {
            let mut names = Vec::new();
            while names.len() < 2 {
                names.extend(socket.next().await["data"].as_array().unwrap().iter().cloned());
            }
            assert_eq!(names, [json!({ "name": "small" }), json!({ "name": "large" })]);
        }
        assert_eq!(some.next().await["data"], json!([{ "name": "large" }]));
        admin.delete(&format!("/items/notes/{small}")).await.no_content();
        admin.delete(&format!("/items/notes/{made}")).await.no_content();
        for socket in [&mut near, &mut all] {
            let mut gone = Vec::new();
            while gone.len() < 2 {
                gone.extend(socket.next().await["data"].as_array().unwrap().iter().cloned());
            }
            assert_eq!(gone, [small.clone(), made.clone()]);
        }
        assert_eq!(some.next().await["data"], json!([made]));
        far.create("notes", json!({ "name": "back" })).await;
        for socket in [&mut near, &mut all] {
            assert_eq!(socket.next().await["data"], json!([{ "name": "back" }]));
        }
        some.silent().await;

        // Redis goes away: who is near is told, and writes do not wait.
        redis.kill();
        let began = Instant::now();
        admin.create("notes", json!({ "name": "meanwhile", "whole": 12 })).await;
        assert!(began.elapsed().as_secs_f64() < 1.0, "{:?}", began.elapsed());
        assert_eq!(near.next().await["data"], json!([{ "name": "meanwhile" }]));
        all.silent().await;
        some.silent().await;
        redis.restart(&dir);
        // It has forgotten what nobody had read: everybody begins anew, those who know of positions are told why.
        let named = |message: &Value| message["event"].clone();
        assert_eq!(named(&until_anew(&mut all).await), "missed");
        let begun = all.next().await;
        assert_eq!(begun["event"], "init");
        let names: Vec<&Value> = begun["data"].as_array().unwrap().iter().map(|item| &item["name"]).collect();
        assert_eq!(names, ["back", "meanwhile"]);
        let begun = until_anew(&mut some).await;
        assert_eq!((&begun["event"], &begun["data"]), (&json!("init"), &json!([{ "name": "meanwhile" }])));
        // From then on everything arrives again. What waited for Redis may come once more, perhaps in the same message.
        admin.create("notes", json!({ "name": "after", "whole": 13 })).await;
        for socket in [&mut all, &mut some] {
            loop {
                let heard = socket.next().await;
                let items = heard["data"].as_array().cloned().unwrap_or_default();
                if heard["event"] == "create" && items.contains(&json!({ "name": "after" })) {
                    break;
                }
            }
        }
    })
    .await;
}

/// What a node committed right before it was killed, it may have told nobody: listeners of the others begin anew.
#[tokio::test]
async fn a_node_that_is_killed_may_have_kept_something() {
    each_database(async |engine| {
        if engine == Engine::Sqlite {
            return;
        }
        let database = Database::fresh(engine).await;
        let dir = database.dir().to_owned();
        let Some(redis) = Redis::start(&dir) else { return };
        let builder = Server::builder(&database).collections(&blog::collections()).set("REDIS", &redis.url());
        let (first, mut second) = (builder.start().await, builder.start().await);
        let mut third = builder.start().await;
        let query = json!({ "fields": ["name"] });
        let mut socket = Socket::signed_in(&first.admin()).await;
        socket.subscribe(json!({ "collection": "notes", "resume": true, "query": query })).await;
        second.admin().create("notes", json!({ "name": "told" })).await;
        assert_eq!(socket.next().await["data"], json!([{ "name": "told" }]));
        // Whoever leaves in good order has told everything.
        third.terminate();
        third.ended(Duration::from_secs(20)).await;
        // Its lease has to end, which takes longer than a message may.
        second.kill();
        let missed = socket.hear(Duration::from_secs(20)).await.expect("a message").expect("an open socket");
        assert_eq!(missed["event"], "missed", "{missed}");
        let begun = socket.next().await;
        assert_eq!((&begun["event"], &begun["data"]), (&json!("init"), &json!([{ "name": "told" }])));
        socket.silent().await;
    })
    .await;
}

/// The next message that begins a subscription anew, or says why.
async fn until_anew(socket: &mut Socket) -> Value {
    loop {
        let heard = socket.next().await;
        if heard["event"] == "missed" || heard["event"] == "init" {
            return heard;
        }
    }
}

/// What a node has sent to a Redis that answers too late is sent again, and with it what happened since then.
#[tokio::test]
async fn a_redis_that_stands_still_loses_nothing() {
    each_database(async |engine| {
        if engine == Engine::Sqlite {
            return;
        }
        let database = Database::fresh(engine).await;
        let Some(redis) = Redis::start(database.dir()) else { return };
        let builder = Server::builder(&database).collections(&blog::collections()).set("REDIS", &redis.url());
        let (first, second) = (builder.start().await, builder.start().await);
        let admin = first.admin();
        let mut far = Socket::signed_in(&second.admin()).await;
        let query = json!({ "fields": ["name"], "limit": -1 });
        far.subscribe(json!({ "collection": "notes", "query": query })).await;
        admin.create("notes", json!({ "name": "before" })).await;
        assert_eq!(far.next().await["data"], json!([{ "name": "before" }]));

        redis.pause();
        let began = Instant::now();
        let mut missing = BTreeSet::new();
        while began.elapsed() < Duration::from_secs(4) {
            let name = format!("note {}", missing.len());
            admin.create("notes", json!({ "name": name })).await;
            missing.insert(name);
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        redis.go_on();
        while !missing.is_empty() {
            let heard = far.next().await;
            for item in heard["data"].as_array().expect("a list") {
                missing.remove(item["name"].as_str().expect("a name"));
            }
        }
    })
    .await;
}

/// With and without Redis: a change of rights made on one node acts on sockets of the other.
#[tokio::test]
async fn rights_are_those_of_the_other_node() {
    each_database(async |engine| {
        if engine == Engine::Sqlite {
            return;
        }
        let database = Database::fresh(engine).await;
        let builder = Server::builder(&database).collections(&blog::collections());
        let (first, second) = (builder.start().await, builder.start().await);
        let (admin, far) = (first.admin(), second.admin());
        let policy = policy(&admin, "reader", json!([["notes", "read", {}, ["id", "name"]]])).await;
        let (id, reader) = user(&admin, "reader", &[&policy]).await;
        let mut socket = Socket::signed_in(&far.with_token(reader.token())).await;
        socket.subscribe(json!({ "collection": "notes", "query": { "fields": ["name"] } })).await;
        far.create("notes", json!({ "name": "seen" })).await;
        assert_eq!(socket.next().await["data"], json!([{ "name": "seen" }]));
        let found = admin.get(&format!("/permissions?filter[policy][_eq]={policy}")).await.data()[0].clone();
        let none = json!({ "permissions": { "whole": { "_gt": 10 } } });
        admin.patch(&format!("/permissions/{}", found["id"]), none).await.data();
        far.create("notes", json!({ "name": "hidden" })).await;
        socket.silent().await;
        admin.patch(&format!("/users/{id}"), json!({ "status": "suspended" })).await.data();
        assert_eq!(code(&socket.next().await), "AUTH_FAILED");
        assert_eq!(socket.closed().await, 1005);

        let login = json!({ "email": ADMIN_EMAIL, "password": ADMIN_PASSWORD });
        let tokens = first.visitor().post("/auth/login", login).await.data();
        let mut socket = Socket::signed_in(&far.with_token(tokens["access_token"].as_str())).await;
        let logout = json!({ "refresh_token": tokens["refresh_token"] });
        first.visitor().post("/auth/logout", logout).await.no_content();
        assert_eq!(code(&socket.next().await), "AUTH_FAILED");
    })
    .await;
}
