//! Sockets: the messages of the public protocol, and who is told what.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::server::{ADMIN_EMAIL, ADMIN_PASSWORD};
use crate::support::socket::{Socket, code};
use crate::support::{Client, Database, Engine, Server, blog, each_database};

/// `[collection, action, rows, fields]`
async fn somebody(admin: &Client, name: &str, rights: Value) -> (String, Client) {
    let policy = policy(admin, name, rights).await;
    user(admin, name, &[&policy]).await
}

#[tokio::test]
async fn items_are_read_and_written() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let mut socket = Socket::signed_in(&admin).await;
        let made = socket
            .ask(json!({
                "type": "items", "action": "create", "collection": "notes", "uid": 7,
                "data": { "name": "one" }, "query": { "fields": ["id", "name", "must"] },
            }))
            .await;
        let id = made["data"]["id"].clone();
        assert_eq!(
            made,
            json!({ "type": "items", "data": { "id": id, "name": "one", "must": "x" }, "uid": 7 })
        );
        let many = socket
            .ask(json!({
                "type": "items", "action": "create", "collection": "notes", "query": { "fields": ["id", "name"] },
                "data": [{ "name": "two" }, { "name": "three" }],
            }))
            .await;
        let ids = json!([many["data"][0]["id"], many["data"][1]["id"]]);
        assert_eq!(many["data"][1]["name"], "three", "{many}");

        let read = async |socket: &mut Socket, what: Value| {
            let mut message = json!({ "type": "items", "action": "read", "collection": "notes" });
            message.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
            socket.ask(message).await
        };
        let fields = json!({ "fields": ["name"] });
        assert_eq!(
            read(&mut socket, json!({ "id": id, "query": fields })).await["data"],
            json!({ "name": "one" })
        );
        assert_eq!(
            read(&mut socket, json!({ "ids": ids, "query": fields })).await["data"],
            json!([{ "name": "two" }, { "name": "three" }])
        );
        let query = json!({ "fields": ["name"], "filter": { "id": { "_in": ids } }, "sort": ["-name"], "meta": "filter_count" });
        let answer = read(&mut socket, json!({ "query": query })).await;
        assert_eq!(answer["data"], json!([{ "name": "two" }, { "name": "three" }]));
        assert_eq!(answer["meta"], json!({ "filter_count": 2 }));

        let change = json!({
            "type": "items", "action": "update", "collection": "notes", "ids": ids, "data": { "whole": 4 },
            "query": { "fields": ["whole"] },
        });
        assert_eq!(socket.ask(change).await["data"], json!([{ "whole": 4 }, { "whole": 4 }]));
        let change = json!({
            "type": "items", "action": "update", "collection": "notes", "data": { "whole": 5 },
            "query": { "fields": ["whole"], "filter": { "_and": [{ "id": { "_in": ids } }, { "whole": { "_eq": 4 } }] } },
        });
        assert_eq!(socket.ask(change).await["data"], json!([{ "whole": 5 }, { "whole": 5 }]));
        let change = json!({
            "type": "items", "action": "update", "collection": "notes", "id": id, "data": { "name": "uno" },
        });
        let changed = socket.ask(change).await;
        assert_eq!((&changed["data"]["name"], &changed["data"]["must"]), (&json!("uno"), &json!("x")));
        let delete = |what: Value| {
            let mut message = json!({ "type": "items", "action": "delete", "collection": "notes", "uid": "d" });
            message.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
            message
        };
        assert_eq!(
            socket.ask(delete(json!({ "id": id }))).await,
            json!({ "type": "items", "data": id, "uid": "d" })
        );
        assert_eq!(socket.ask(delete(json!({ "ids": ids }))).await["data"], ids);
        assert_eq!(read(&mut socket, json!({ "query": query })).await["data"], json!([]));

        // The only item of a singleton.
        let set = json!({
            "type": "items", "action": "update", "collection": "preferences", "data": { "tagline": "socket" },
            "query": { "fields": ["tagline"] },
        });
        assert_eq!(socket.ask(set).await["data"], json!({ "tagline": "socket" }));

        for (message, expected) in [
            (json!({ "type": "items", "action": "fly", "collection": "notes" }), "INVALID_PAYLOAD"),
            (json!({ "type": "items", "action": "read", "collection": "nope" }), "INVALID_COLLECTION"),
            (json!({ "type": "items", "action": "update", "collection": "notes", "id": 99_999_999, "data": { "whole": 1 } }), "FORBIDDEN"),
            (json!({ "type": "items", "action": "read", "collection": "directus_users" }), "INVALID_COLLECTION"),
            (json!({ "type": "items", "action": "read" }), "INVALID_PAYLOAD"),
            (json!({ "type": "items", "action": "read", "collection": "notes", "query": 5 }), "INVALID_PAYLOAD"),
            (
                json!({ "type": "items", "action": "read", "collection": "notes", "query": { "limit": "x" } }),
                "INVALID_QUERY",
            ),
            (json!({ "type": "items", "action": "create", "collection": "notes" }), "INVALID_PAYLOAD"),
            (json!({ "type": "items", "action": "create", "collection": "notes", "data": [1] }), "INVALID_PAYLOAD"),
            (
                json!({ "type": "items", "action": "create", "collection": "notes", "data": { "must": null } }),
                "FAILED_VALIDATION",
            ),
            (json!({ "type": "items", "action": "delete", "collection": "notes" }), "INVALID_PAYLOAD"),
            (json!({ "type": "items", "action": "read", "collection": "notes", "id": {} }), "INVALID_PAYLOAD"),
            (json!({ "type": "nonsense" }), "INVALID_PAYLOAD"),
            (json!({}), "INVALID_PAYLOAD"),
            (json!([1]), "INVALID_PAYLOAD"),
            (json!({ "type": "ping", "uid": {} }), "INVALID_PAYLOAD"),
        ] {
            let answer = socket.ask(message.clone()).await;
            assert_eq!(code(&answer), expected, "{message}");
        }
        let answer = socket.ask(json!({ "type": "ping", "uid": "p" })).await;
        assert_eq!(answer, json!({ "type": "pong", "uid": "p" }));
    })
    .await;
}

#[tokio::test]
async fn subscriptions_are_told_what_happens() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let mut socket = Socket::signed_in(&admin).await;
        admin.create("things", json!({ "name": "before" })).await;
        let query = json!({ "fields": ["name"] });
        let first = socket.subscribe(json!({ "collection": "things", "uid": "a", "query": query })).await;
        assert_eq!(
            first,
            json!({ "type": "subscription", "event": "init", "data": [{ "name": "before" }], "uid": "a" })
        );
        let id = admin.create("things", json!({ "name": "one" })).await["id"].clone();
        let path = format!("/items/things/{}", id.as_str().unwrap());
        assert_eq!(
            socket.next().await,
            json!({ "type": "subscription", "event": "create", "data": [{ "name": "one" }], "uid": "a" })
        );
        admin.patch(&path, json!({ "name": "two" })).await.data();
        assert_eq!(
            socket.next().await,
            json!({ "type": "subscription", "event": "update", "data": [{ "name": "two" }], "uid": "a" })
        );
        admin.delete(&path).await.no_content();
        assert_eq!(
            socket.next().await,
            json!({ "type": "subscription", "event": "delete", "data": [id], "uid": "a" })
        );
        // Clients look at one item of each message, so there is one.
        admin.post("/items/things", json!([{ "name": "left" }, { "name": "right" }])).await.data();
        let mut told = [socket.next().await["data"].clone(), socket.next().await["data"].clone()];
        told.sort_by_key(Value::to_string);
        assert_eq!(told, [json!([{ "name": "left" }]), json!([{ "name": "right" }])]);
        let over = socket.ask(json!({ "type": "unsubscribe", "uid": "a" })).await;
        assert_eq!(over, json!({ "type": "subscription", "event": "unsubscribe", "uid": "a" }));
        admin.create("things", json!({ "name": "unheard" })).await;
        socket.silent().await;

        // By event, by filter, by item; keys of numbers are numbers; what is written over the socket is told, too.
        let first = socket.subscribe(json!({ "collection": "notes", "uid": "d", "event": "delete" })).await;
        assert_eq!(first, json!({ "type": "subscription", "event": "init", "uid": "d" }));
        let create = json!({
            "type": "items", "action": "create", "collection": "notes", "data": { "name": "n" },
            "query": { "fields": ["id"] },
        });
        let note = socket.ask(create).await["data"]["id"].clone();
        let filter = json!({ "fields": ["name"], "filter": { "name": { "_eq": "wanted" } } });
        let first = socket.subscribe(json!({ "collection": "notes", "uid": "f", "query": filter })).await;
        assert_eq!(first["data"], json!([]));
        let item =
            json!({ "collection": "notes", "uid": "i", "item": note, "query": { "fields": ["name"] } });
        assert_eq!(socket.subscribe(item).await["data"], json!({ "name": "n" }));
        let path = format!("/items/notes/{note}");
        admin.patch(&path, json!({ "name": "m" })).await.data();
        assert_eq!(
            socket.next().await,
            json!({ "type": "subscription", "event": "update", "data": { "name": "m" }, "uid": "i" })
        );
        admin.create("notes", json!({ "name": "unwanted" })).await;
        socket.silent().await;
        admin.create("notes", json!({ "name": "wanted" })).await;
        assert_eq!(
            socket.next().await,
            json!({ "type": "subscription", "event": "create", "data": [{ "name": "wanted" }], "uid": "f" })
        );
        admin.delete(&path).await.no_content();
        let mut told = [socket.next().await, socket.next().await, socket.next().await];
        told.sort_by_key(|message| message["uid"].as_str().map(str::to_owned));
        for (message, uid) in told.iter().zip(["d", "f", "i"]) {
            assert_eq!(
                message,
                &json!({ "type": "subscription", "event": "delete", "data": [note], "uid": uid })
            );
        }
        // What is rolled back is told to nobody.
        let transaction = json!({ "operations": [
            { "action": "create", "collection": "notes", "data": { "name": "wanted" } },
            { "action": "create", "collection": "notes", "data": { "must": null } },
        ] });
        assert!(admin.post("/tablature/transaction", transaction).await.status >= 400);
        socket.silent().await;
        socket.ask(json!({ "type": "unsubscribe" })).await;

        // Many at once are one message.
        socket.subscribe(json!({ "collection": "things", "query": query })).await;
        let many: Vec<Value> = (0..50).map(|number| json!({ "name": format!("t{number}") })).collect();
        admin.post("/items/things", json!(many)).await.data();
        let mut names = Vec::new();
        while names.len() < 50 {
            let message = socket.next().await;
            assert_eq!(message["event"], "create");
            names.extend(message["data"].as_array().unwrap().iter().map(|item| item["name"].clone()));
        }
        names.sort_by_key(|name| name.as_str().map(str::to_owned));
        names.dedup();
        assert_eq!(names.len(), 50);

        for (message, expected) in [
            (json!({ "collection": "nope" }), "INVALID_COLLECTION"),
            (json!({ "collection": "directus_sessions" }), "INVALID_COLLECTION"),
            (json!({}), "INVALID_PAYLOAD"),
            (json!({ "collection": "notes", "event": "read" }), "INVALID_PAYLOAD"),
            (json!({ "collection": "notes", "item": "999999" }), "FORBIDDEN"),
            (json!({ "collection": "notes", "query": { "fields": ["nope"] } }), "FORBIDDEN"),
            (json!({ "collection": "notes", "query": { "aggregate": { "count": "*" } } }), "INVALID_QUERY"),
            (json!({ "collection": "notes", "resume": 5 }), "INVALID_PAYLOAD"),
        ] {
            let mut asked = message.clone();
            asked["type"] = json!("subscribe");
            let answer = socket.ask(asked).await;
            assert_eq!((code(&answer), &answer["type"]), (expected, &json!("subscribe")), "{message}");
        }
    })
    .await;
}

/// One subscriber sees some rows and fields, another others, a third a single item by who they are.
#[tokio::test]
async fn everybody_is_told_what_they_may_see() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let some = json!([["notes", "read", { "whole": { "_gt": 10 } }, ["id", "name"]]]);
        let (_, some) = somebody(&admin, "some", some).await;
        let own = json!([["notes", "read", { "created_by": { "_eq": "$CURRENT_USER" } }, ["*"]],
            ["notes", "create", {}, ["*"]], ["notes", "update", {}, ["*"]], ["notes", "delete", {}, ["*"]]]);
        let owner = policy(&admin, "owner", own).await;
        let (_, one) = user(&admin, "one", &[&owner]).await;
        let (_, two) = user(&admin, "two", &[&owner]).await;
        let keyless = json!([["notes", "read", {}, ["name"]]]);
        let (_, keyless) = somebody(&admin, "keyless", keyless).await;
        let (_, nobody) = somebody(&admin, "nobody", json!([["things", "read", {}, ["*"]]])).await;

        let query = json!({ "fields": ["name"] });
        let message = json!({ "collection": "notes", "query": query });
        let mut sockets = Vec::new();
        for client in [&admin, &some, &one, &two, &keyless] {
            let mut socket = Socket::signed_in(client).await;
            assert_eq!(socket.subscribe(message.clone()).await["data"], json!([]));
            sockets.push(socket);
        }
        let mut refused = Socket::signed_in(&nobody).await;
        for collection in ["notes", "nope"] {
            let answer = refused.ask(json!({ "type": "subscribe", "collection": collection })).await;
            assert_eq!(code(&answer), "FORBIDDEN", "what is there is not told");
        }
        let answer = sockets[1]
            .ask(json!({ "type": "subscribe", "collection": "notes", "query": { "fields": ["must"] } }))
            .await;
        assert_eq!(code(&answer), "FORBIDDEN");
        let hidden = json!({ "fields": ["name"], "filter": { "must": { "_eq": "x" } } });
        let answer =
            sockets[1].ask(json!({ "type": "subscribe", "collection": "notes", "query": hidden })).await;
        assert_eq!(code(&answer), "FORBIDDEN");

        // Whom each event reaches: the administrator, some, one, two, and who sees no keys.
        let mut expect = async |event: &str, data: Value, reached: [bool; 5]| {
            for (number, (socket, reached)) in sockets.iter_mut().zip(reached).enumerate() {
                let what = format!("{event} for {number}");
                if reached {
                    let told = socket.next().await;
                    assert_eq!((&told["event"], &told["data"]), (&json!(event), &data), "{what}: {told}");
                }
            }
            for (socket, reached) in sockets.iter_mut().zip(reached) {
                if !reached {
                    socket.silent().await;
                }
            }
        };
        let small = one.create("notes", json!({ "name": "small", "whole": 1 })).await["id"].clone();
        expect("create", json!([{ "name": "small" }]), [true, false, true, false, true]).await;
        let large = two.create("notes", json!({ "name": "large", "whole": 50 })).await["id"].clone();
        expect("create", json!([{ "name": "large" }]), [true, true, false, true, true]).await;
        // A change that makes a row visible to some, and one that hides it again.
        one.patch(&format!("/items/notes/{small}"), json!({ "whole": 20 })).await.data();
        expect("update", json!([{ "name": "small" }]), [true, true, true, false, true]).await;
        one.patch(&format!("/items/notes/{small}"), json!({ "whole": 2 })).await.data();
        expect("update", json!([{ "name": "small" }]), [true, false, true, false, true]).await;
        // The end of a row is told to those who could see it when it ended.
        admin.delete(&format!("/items/notes/{small}")).await.no_content();
        expect("delete", json!([small]), [true, false, true, false, false]).await;
        admin.delete(&format!("/items/notes/{large}")).await.no_content();
        expect("delete", json!([large]), [true, true, false, true, false]).await;
        drop(server);
    })
    .await;
}

#[tokio::test]
async fn a_query_that_names_the_caller_is_read_for_each() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let everything =
            policy(&admin, "all", json!([["notes", "read", {}, ["*"]], ["notes", "create", {}, ["*"]]]))
                .await;
        let (_, one) = user(&admin, "one", &[&everything]).await;
        let (_, two) = user(&admin, "two", &[&everything]).await;
        let query = json!({ "fields": ["name"], "filter": { "created_by": { "_eq": "$CURRENT_USER" } } });
        let mut first = Socket::signed_in(&one).await;
        let mut second = Socket::signed_in(&two).await;
        for socket in [&mut first, &mut second] {
            socket.subscribe(json!({ "collection": "notes", "query": query })).await;
        }
        one.create("notes", json!({ "name": "of one" })).await;
        assert_eq!(first.next().await["data"], json!([{ "name": "of one" }]));
        two.create("notes", json!({ "name": "of two" })).await;
        assert_eq!(second.next().await["data"], json!([{ "name": "of two" }]));
        first.silent().await;
        second.silent().await;
        drop(server);
    })
    .await;
}

#[tokio::test]
async fn a_change_of_rights_acts_on_open_sockets() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let policy = policy(&admin, "reader", json!([["notes", "read", {}, ["id", "name"]]])).await;
        let (id, reader) = user(&admin, "reader", &[&policy]).await;
        let mut socket = Socket::signed_in(&reader).await;
        let query = json!({ "fields": ["name"] });
        socket.subscribe(json!({ "collection": "notes", "query": query })).await;
        let note = admin.create("notes", json!({ "name": "seen" })).await["id"].clone();
        assert_eq!(socket.next().await["data"], json!([{ "name": "seen" }]));

        let found = admin.get(&format!("/permissions?filter[policy][_eq]={policy}")).await.data()[0].clone();
        let permission = format!("/permissions/{}", found["id"]);
        let narrow = json!({ "permissions": { "whole": { "_gt": 10 } } });
        admin.patch(&permission, narrow).await.data();
        admin.create("notes", json!({ "name": "hidden", "whole": 1 })).await;
        admin.delete(&format!("/items/notes/{note}")).await.no_content();
        socket.silent().await;
        admin.create("notes", json!({ "name": "large", "whole": 11 })).await;
        assert_eq!(socket.next().await["data"], json!([{ "name": "large" }]));
        // Its field is hidden: there is nothing left to read.
        admin.patch(&permission, json!({ "permissions": {}, "fields": ["id"] })).await.data();
        admin.create("notes", json!({ "name": "unreadable" })).await;
        socket.silent().await;
        admin.patch(&permission, json!({ "fields": ["id", "name"] })).await.data();
        admin.create("notes", json!({ "name": "again" })).await;
        assert_eq!(socket.next().await["data"], json!([{ "name": "again" }]));

        admin.patch(&format!("/users/{id}"), json!({ "status": "suspended" })).await.data();
        let told = socket.next().await;
        assert_eq!((code(&told), &told["type"]), ("AUTH_FAILED", &json!("auth")));
        assert_eq!(socket.closed().await, 1005);
    })
    .await;
}

#[tokio::test]
async fn a_session_that_ends_closes_its_sockets() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let visitor = server.visitor();
        let login = json!({ "email": ADMIN_EMAIL, "password": ADMIN_PASSWORD });
        let tokens = visitor.post("/auth/login", login).await.data();
        let session = visitor.with_token(tokens["access_token"].as_str());
        let mut socket = Socket::signed_in(&session).await;
        let mut other = Socket::signed_in(&server.admin()).await;
        visitor.post("/auth/logout", json!({ "refresh_token": tokens["refresh_token"] })).await.no_content();
        assert_eq!(code(&socket.next().await), "AUTH_FAILED");
        assert_eq!(socket.closed().await, 1005);
        assert_eq!(other.ask(json!({ "type": "ping" })).await, json!({ "type": "pong" }));
    })
    .await;
}

#[tokio::test]
async fn people_sign_in_over_the_socket() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let visitor = server.visitor();
        let mut socket = Socket::open(&visitor).await;
        let login = json!({ "type": "auth", "email": ADMIN_EMAIL, "password": ADMIN_PASSWORD, "uid": "in" });
        let answer = socket.ask(login).await;
        assert_eq!((&answer["status"], &answer["uid"]), (&json!("ok"), &json!("in")), "{answer}");
        let refresh = json!({ "type": "auth", "refresh_token": answer["refresh_token"] });
        let next = socket.ask(refresh.clone()).await;
        assert_eq!(next["status"], "ok", "{next}");
        assert_ne!(next["refresh_token"], answer["refresh_token"]);
        let read = json!({ "type": "items", "action": "read", "collection": "notes" });
        assert_eq!(socket.ask(read).await["data"], json!([]));
        // It works once.
        let answer = socket.ask(refresh).await;
        assert_eq!(code(&answer), "AUTH_FAILED");
        assert_eq!(socket.closed().await, 1005);

        // Guesses are counted like those over HTTP.
        for guess in 0..11 {
            let mut socket = Socket::open(&visitor).await;
            let wrong = json!({ "type": "auth", "email": "guess@example.com", "password": "wrong" });
            let answer = socket.ask(wrong).await;
            let expected = if guess < 10 { "AUTH_FAILED" } else { "REQUESTS_EXCEEDED" };
            assert_eq!(code(&answer), expected, "guess {guess}");
            assert_eq!(socket.closed().await, 1005);
        }
        visitor
            .post("/auth/login", json!({ "email": "guess@example.com", "password": "wrong" }))
            .await
            .refused(429, "REQUESTS_EXCEEDED");
    })
    .await;
}

/// The token ends while the socket is open: another one keeps it open, and what was subscribed to goes on.
#[tokio::test]
async fn tokens_are_renewed_on_an_open_socket() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let server = Server::builder(&database)
            .collections(&blog::collections())
            .set("ACCESS_TOKEN_TTL", "2s")
            .set("WEBSOCKETS_REST_AUTH_TIMEOUT", "2")
            .start()
            .await;
        let (admin, visitor) = (server.admin(), server.visitor());
        let mut socket = Socket::open(&visitor).await;
        let login = json!({ "type": "auth", "email": ADMIN_EMAIL, "password": ADMIN_PASSWORD });
        let answer = socket.ask(login.clone()).await;
        let query = json!({ "fields": ["name"] });
        socket.subscribe(json!({ "collection": "things", "uid": "s", "query": query })).await;
        let told = socket.next().await;
        assert_eq!((code(&told), &told["type"]), ("TOKEN_EXPIRED", &json!("auth")));
        // Nobody is known now.
        admin.create("things", json!({ "name": "meanwhile" })).await;
        socket.silent().await;
        let renewed = json!({ "type": "auth", "refresh_token": answer["refresh_token"] });
        assert_eq!(socket.ask(renewed).await["status"], "ok");
        // What happened meanwhile is there.
        let begun = socket.next().await;
        assert_eq!((&begun["event"], &begun["data"]), (&json!("init"), &json!([{ "name": "meanwhile" }])));
        admin.create("things", json!({ "name": "after" })).await;
        assert_eq!(socket.next().await["data"], json!([{ "name": "after" }]));
        // Nobody renews it any more.
        assert_eq!(code(&socket.next().await), "TOKEN_EXPIRED");
        assert_eq!(code(&socket.next().await), "AUTH_TIMEOUT");
        assert_eq!(socket.closed().await, 1005);
    })
    .await;
}

/// Who comes back with a position is given what they missed, or is told that this is not known any more.
#[tokio::test]
async fn a_client_that_comes_back_misses_nothing_unknowingly() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let server = Server::builder(&database)
            .collections(&blog::collections())
            .set("WEBSOCKETS_HISTORY", "20")
            .start()
            .await;
        let admin = server.admin();
        let subscribe = |resume: Value| {
            json!({ "collection": "things", "uid": 1, "resume": resume, "query": { "fields": ["name"] } })
        };
        let mut socket = Socket::signed_in(&admin).await;
        let first = socket.subscribe(subscribe(json!(true))).await;
        assert!(first["position"].is_string(), "{first}");
        let kept = admin.create("things", json!({ "name": "kept" })).await["id"].clone();
        let position = socket.next().await["position"].clone();
        drop(socket);

        admin.create("things", json!({ "name": "missed" })).await;
        let path = format!("/items/things/{}", kept.as_str().unwrap());
        admin.patch(&path, json!({ "name": "changed" })).await.data();
        let gone = admin.create("things", json!({ "name": "short" })).await["id"].clone();
        admin.delete(&format!("/items/things/{}", gone.as_str().unwrap())).await.no_content();
        admin.create("notes", json!({ "name": "elsewhere" })).await;
        let mut socket = Socket::signed_in(&admin).await;
        let mut told = vec![socket.subscribe(subscribe(position.clone())).await];
        while told.last().is_some_and(|message| message["event"] != "resumed") {
            told.push(socket.next().await);
        }
        let seen: Vec<(Value, Value)> =
            told.iter().map(|message| (message["event"].clone(), message["data"].clone())).collect();
        assert_eq!(
            seen,
            [
                (json!("create"), json!([{ "name": "missed" }])),
                (json!("update"), json!([{ "name": "changed" }])),
                (json!("delete"), json!([gone])),
                (json!("resumed"), Value::Null),
            ]
        );
        let now = told.last().unwrap()["position"].clone();
        assert_ne!(now, position);
        // Nothing happened since: nothing but that is told.
        let mut again = Socket::signed_in(&admin).await;
        assert_eq!(again.subscribe(subscribe(now)).await["event"], "resumed");
        admin.create("things", json!({ "name": "live" })).await;
        assert_eq!(again.next().await["data"], json!([{ "name": "live" }]));

        // More than is kept, and what never was.
        for number in 0..21 {
            admin.create("quiet", json!({ "name": number.to_string() })).await;
        }
        for unknown in [position, json!("nonsense"), json!("other-5")] {
            let mut socket = Socket::signed_in(&admin).await;
            assert_eq!(socket.subscribe(subscribe(unknown)).await["event"], "missed");
            let begun = socket.next().await;
            assert_eq!(
                (&begun["event"], begun["data"].as_array().map(Vec::len)),
                (&json!("init"), Some(3)),
                "{begun}"
            );
        }

        // Who sees some of the rows only is told of deletions only where it is known what they saw.
        let rights = json!([["things", "read", { "name": { "_starts_with": "k" } }, ["*"]]]);
        let (_, some) = somebody(&admin, "some", rights).await;
        let mut socket = Socket::signed_in(&some).await;
        let position = socket.subscribe(subscribe(json!(true))).await["position"].clone();
        drop(socket);
        admin.delete(&path).await.no_content();
        let mut socket = Socket::signed_in(&some).await;
        assert_eq!(socket.subscribe(subscribe(position)).await["event"], "missed");
        assert_eq!(socket.next().await["event"], "init");
    })
    .await;
}

/// Tenants of one database are told nothing of each other.
#[tokio::test]
async fn tenants_hear_nothing_of_each_other() {
    each_database(async |engine| {
        let tenants = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/tenants");
        // PostgreSQL keeps them apart by itself, too.
        let database = match engine {
            Engine::Postgres => Database::fresh_of_plain_role().await,
            _ => Database::fresh(engine).await,
        };
        let is_guarded = (engine == Engine::Postgres).to_string();
        let server =
            Server::builder(&database).collections(&tenants).set("TENANCY_RLS", &is_guarded).start().await;
        let admin = server.admin();
        let rights =
            json!([["tags", "read", {}, ["*"]], ["firms", "read", {}, ["*"]], ["people", "read", {}, ["*"]]]);
        let policy = policy(&admin, "member", rights).await;
        let mut sockets = Vec::new();
        let mut firms = Vec::new();
        for name in ["north", "south"] {
            let (id, client) = user(&admin, name, &[&policy]).await;
            let firm = admin.create("firms", json!({ "name": name })).await["id"].clone();
            admin.create("people", json!({ "firm": firm, "user": id, "name": name })).await;
            let mut socket = Socket::signed_in(&client).await;
            socket.subscribe(json!({ "collection": "tags", "query": { "fields": ["name"] } })).await;
            sockets.push(socket);
            firms.push(firm);
        }
        for (number, firm) in firms.iter().enumerate() {
            let name = format!("tag {number}");
            let tag = admin.create("tags", json!({ "firm": firm, "name": name })).await["id"].clone();
            assert_eq!(sockets[number].next().await["data"], json!([{ "name": name }]));
            admin.delete(&format!("/items/tags/{}", tag.as_str().unwrap())).await.no_content();
            assert_eq!(sockets[number].next().await["data"], json!([tag]));
            sockets[1 - number].silent().await;
        }
    })
    .await;
}

#[tokio::test]
async fn doors_open_as_configured() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let builder = Server::builder(&database).collections(&blog::collections());
        let builder = builder.set("WEBSOCKETS_REST_PATH", "/live/socket");
        let at = "/live/socket";

        let server = builder.clone().set("WEBSOCKETS_REST_AUTH", "strict").start().await;
        let (admin, visitor) = (server.admin(), server.visitor());
        let info = admin.get("/server/info").await.data()["websocket"].clone();
        assert_eq!(info["rest"], json!({ "authentication": "strict", "path": at }), "{info}");
        assert_eq!(info["heartbeat"], 30);
        assert_eq!(Socket::open_at(&visitor, at, &[]).await.err(), Some(401));
        assert_eq!(Socket::open_at(&visitor, &format!("{at}?access_token=nope"), &[]).await.err(), Some(401));
        assert_eq!(Socket::open_at(&visitor, "/websocket", &[]).await.err(), Some(404));
        visitor.get(at).await.refused(404, "ROUTE_NOT_FOUND");
        let token = format!("{at}?access_token={}", admin.token().unwrap());
        let mut socket = Socket::open_at(&visitor, &token, &[]).await.ok().unwrap();
        let read = json!({ "type": "items", "action": "read", "collection": "notes" });
        assert_eq!(socket.ask(read.clone()).await["data"], json!([]));
        let bearer = format!("Bearer {}", admin.token().unwrap());
        let mut socket = Socket::open_at(&visitor, at, &[("authorization", &bearer)]).await.ok().unwrap();
        assert_eq!(socket.ask(read.clone()).await["data"], json!([]));
        // A cookie speaks for pages of this host only.
        let login = json!({ "email": ADMIN_EMAIL, "password": ADMIN_PASSWORD, "mode": "session" });
        let answer = visitor.post("/auth/login", login).await;
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        let evil = [("cookie", cookie.as_str()), ("origin", "https://evil.example")];
        assert_eq!(Socket::open_at(&visitor, at, &evil).await.err(), Some(403));
        let origin = format!("http://{}", visitor.address());
        let own = [("cookie", cookie.as_str()), ("origin", origin.as_str())];
        let mut socket = Socket::open_at(&visitor, at, &own).await.ok().unwrap();
        assert_eq!(socket.ask(read.clone()).await["data"], json!([]));
        drop(server);

        let server = builder.clone().set("WEBSOCKETS_REST_AUTH", "public").start().await;
        let (admin, visitor) = (server.admin(), server.visitor());
        let mut socket = Socket::open_at(&visitor, at, &[]).await.ok().unwrap();
        assert_eq!(code(&socket.ask(read.clone()).await), "FORBIDDEN");
        let wrong = json!({ "type": "auth", "access_token": "nope" });
        assert_eq!(code(&socket.ask(wrong).await), "AUTH_FAILED");
        let right = json!({ "type": "auth", "access_token": admin.token() });
        assert_eq!(socket.ask(right).await["status"], "ok");
        assert_eq!(socket.ask(read.clone()).await["data"], json!([]));
        drop(server);

        let server = builder.set("WEBSOCKETS_REST_AUTH_TIMEOUT", "1").start().await;
        let visitor = server.visitor();
        let mut socket = Socket::open_at(&visitor, at, &[]).await.ok().unwrap();
        assert_eq!(code(&socket.ask(read).await), "AUTH_FAILED");
        assert_eq!(socket.closed().await, 1005);
        let mut socket = Socket::open_at(&visitor, at, &[]).await.ok().unwrap();
        let told = socket.hear(Duration::from_secs(3)).await.unwrap().unwrap();
        assert_eq!(code(&told), "AUTH_TIMEOUT");
        assert_eq!(socket.closed().await, 1005);
        drop(server);

        let server = Server::builder(&database)
            .collections(&blog::collections())
            .set("WEBSOCKETS_ENABLED", "false")
            .start()
            .await;
        assert_eq!(Socket::open_at(&server.visitor(), "/websocket", &[]).await.err(), Some(404));
        assert_eq!(server.admin().get("/server/info").await.data()["websocket"], false);
    })
    .await;
}
