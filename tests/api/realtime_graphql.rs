//! GraphQL subscriptions over a socket, `graphql-transport-ws`.

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::server::{ADMIN_EMAIL, ADMIN_PASSWORD};
use crate::support::socket::{Socket, code};
use crate::support::{Client, Database, Server, blog, each_database};

const PROTOCOL: &[(&str, &str)] = &[("sec-websocket-protocol", "graphql-transport-ws")];

async fn open(client: &Client) -> Socket {
    Socket::open_at(client, "/graphql", PROTOCOL).await.expect("a socket")
}

async fn begun(client: &Client) -> Socket {
    let mut socket = open(client).await;
    let init = json!({ "type": "connection_init", "payload": { "access_token": client.token() } });
    assert_eq!(socket.ask(init).await, json!({ "type": "connection_ack" }));
    socket
}

fn subscribe(id: &str, query: &str) -> Value {
    json!({ "id": id, "type": "subscribe", "payload": { "query": query } })
}

/// Subscribes, and waits until what happens is told.
async fn listen(socket: &mut Socket, id: &str, query: &str) {
    socket.send(subscribe(id, query)).await;
    // Messages are answered one after the other.
    assert_eq!(socket.ask(json!({ "type": "ping" })).await, json!({ "type": "pong" }));
}

fn next(id: &str, data: Value) -> Value {
    json!({ "type": "next", "id": id, "payload": { "data": data } })
}

#[tokio::test]
async fn documents_are_told_what_happens() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let mut socket = begun(&admin).await;
        listen(&mut socket, "1", "subscription { things_mutated { key event data { name } } }").await;
        listen(&mut socket, "2", "subscription { gone: things_mutated(event: delete) { k: key event } }").await;
        let variables = json!({
            "id": "3", "type": "subscribe",
            "payload": {
                "query": "subscription A($e: EventEnum) { notes_mutated(event: $e) { data { title: name children { name } } } }",
                "variables": { "e": "update" }, "operationName": "A",
            },
        });
        socket.send(variables).await;
        let thing = admin.create("things", json!({ "name": "one" })).await["id"].clone();
        let path = format!("/items/things/{}", thing.as_str().unwrap());
        let told = |event: &str, data: Value| {
            next("1", json!({ "things_mutated": { "key": thing, "event": event, "data": data } }))
        };
        assert_eq!(socket.next().await, told("create", json!({ "name": "one" })));
        admin.patch(&path, json!({ "name": "two" })).await.data();
        assert_eq!(socket.next().await, told("update", json!({ "name": "two" })));
        admin.delete(&path).await.no_content();
        let mut both = [socket.next().await, socket.next().await];
        both.sort_by_key(|message| message["id"].as_str().map(str::to_owned));
        assert_eq!(both[0], told("delete", Value::Null));
        assert_eq!(both[1], next("2", json!({ "gone": { "k": thing, "event": "delete" } })));
        let note =
            admin.create("notes", json!({ "name": "n", "children": [{ "name": "c" }] })).await["id"].clone();
        admin.patch(&format!("/items/notes/{note}"), json!({ "name": "m" })).await.data();
        let data = json!({ "title": "m", "children": [{ "name": "c" }] });
        assert_eq!(socket.next().await, next("3", json!({ "notes_mutated": { "data": data } })));

        // What is over is told no more, and its id is free again.
        socket.send(json!({ "id": "1", "type": "complete" })).await;
        listen(&mut socket, "1", "subscription { quiet_mutated { event } }").await;
        admin.create("things", json!({ "name": "unheard" })).await;
        admin.create("quiet", json!({ "name": "heard" })).await;
        assert_eq!(socket.next().await, next("1", json!({ "quiet_mutated": { "event": "create" } })));

        // Queries and mutations are answered, too.
        socket.send(subscribe("4", "{ notes(filter: { name: { _eq: \"m\" } }) { name } }")).await;
        assert_eq!(socket.next().await, next("4", json!({ "notes": [{ "name": "m" }] })));
        assert_eq!(socket.next().await, json!({ "type": "complete", "id": "4" }));
        socket.send(subscribe("5", "mutation { create_notes_item(data: { name: \"made\" }) { name } }")).await;
        assert_eq!(socket.next().await, next("5", json!({ "create_notes_item": { "name": "made" } })));
        assert_eq!(socket.next().await["type"], "complete");

        for wrong in [
            "subscription { nope_mutated { event } }",
            "subscription { notes_mutated { nope } }",
            "subscription { a: notes_mutated { event } b: things_mutated { event } }",
            "subscription {",
            "",
        ] {
            let answer = socket.ask(subscribe("6", wrong)).await;
            assert_eq!((&answer["type"], &answer["id"]), (&json!("error"), &json!("6")), "{wrong}");
            assert!(answer["payload"][0]["message"].is_string(), "{answer}");
        }
        socket.silent().await;
    })
    .await;
}

#[tokio::test]
async fn the_system_is_listened_to_by_the_names_of_its_collections() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let rights = json!([["directus_folders", "read", { "name": { "_eq": "open" } }, ["id", "name"]]]);
        let policy = policy(&admin, "folders", rights).await;
        let (_, reader) = user(&admin, "reader", &[&policy]).await;
        let (mut all, mut some) = (begun(&admin).await, begun(&reader).await);
        for socket in [&mut all, &mut some] {
            let query = "subscription { directus_folders_mutated(event: create) { event data { name } } }";
            listen(socket, "1", query).await;
        }
        for hidden in ["directus_users", "directus_sessions", "directus_activity", "folders"] {
            let answer =
                some.ask(subscribe("2", &format!("subscription {{ {hidden}_mutated {{ event }} }}")));
            assert_eq!(answer.await["type"], "error", "{hidden}");
        }
        for name in ["closed", "open"] {
            admin.post("/folders", json!({ "name": name })).await.data();
        }
        let told = |name: &str| {
            let data = json!({ "event": "create", "data": { "name": name } });
            next("1", json!({ "directus_folders_mutated": data }))
        };
        assert_eq!([all.next().await, all.next().await], [told("closed"), told("open")]);
        assert_eq!(some.next().await, told("open"));
        some.silent().await;
    })
    .await;
}

#[tokio::test]
async fn each_is_told_what_its_rights_show() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let rights = json!([["notes", "read", { "created_by": { "_eq": "$CURRENT_USER" } }, ["id", "name"]],
            ["notes", "create", {}, ["*"]], ["notes", "delete", {}, ["*"]]]);
        let policy = policy(&admin, "own", rights).await;
        let (_, one) = user(&admin, "one", &[&policy]).await;
        let (id, two) = user(&admin, "two", &[&policy]).await;
        let query = "subscription { notes_mutated { event key data { name } } }";
        let bare = "subscription { notes_mutated { event } }";
        let mut sockets = Vec::new();
        for client in [&one, &two] {
            let mut socket = begun(client).await;
            listen(&mut socket, "full", query).await;
            listen(&mut socket, "bare", bare).await;
            // Fields and collections that are hidden are not there.
            for hidden in ["notes_mutated { data { must } }", "things_mutated { event }"] {
                let answer = socket.ask(subscribe("x", &format!("subscription {{ {hidden} }}"))).await;
                assert_eq!(answer["type"], "error", "{hidden}");
            }
            sockets.push(socket);
        }
        let note = one.create("notes", json!({ "name": "of one" })).await["id"].clone();
        for (event, data) in [("create", json!({ "name": "of one" })), ("delete", Value::Null)] {
            if event == "delete" {
                one.delete(&format!("/items/notes/{note}")).await.no_content();
            }
            let mut both = [sockets[0].next().await, sockets[0].next().await];
            both.sort_by_key(|message| message["id"].as_str().map(str::to_owned));
            assert_eq!(both[0], next("bare", json!({ "notes_mutated": { "event": event } })));
            let full = json!({ "event": event, "key": note.to_string(), "data": data });
            assert_eq!(both[1], next("full", json!({ "notes_mutated": full })));
        }
        sockets[1].silent().await;
        admin.patch(&format!("/users/{id}"), json!({ "status": "suspended" })).await.data();
        assert_eq!(sockets[1].closed().await, 4403);
    })
    .await;
}

#[tokio::test]
async fn the_protocol_is_kept() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let builder = Server::builder(&database).collections(&blog::collections());
        let server = builder
            .clone()
            .set("ACCESS_TOKEN_TTL", "2s")
            .set("WEBSOCKETS_GRAPHQL_AUTH_TIMEOUT", "1")
            .start()
            .await;
        let admin = server.admin();
        assert_eq!(Socket::open_at(&admin, "/graphql", &[]).await.err(), Some(400));
        let info = admin.get("/server/info").await.data()["websocket"]["graphql"].clone();
        assert_eq!(info, json!({ "authentication": "handshake", "path": "/graphql" }));

        let mut socket = open(&admin).await;
        assert_eq!(socket.closed().await, 4408);
        let mut socket = open(&admin).await;
        socket.send(subscribe("1", "{ notes { id } }")).await;
        assert_eq!(socket.closed().await, 4401);
        for payload in [json!({}), json!({ "access_token": "nope" })] {
            let mut socket = open(&admin).await;
            let answer = socket.ask(json!({ "type": "connection_init", "payload": payload })).await;
            assert_eq!(code(&answer), "AUTH_FAILED");
            assert_eq!(socket.closed().await, 4403);
        }
        let mut socket = begun(&admin).await;
        let pong = socket.ask(json!({ "type": "ping", "payload": { "at": 5 } })).await;
        assert_eq!(pong, json!({ "type": "pong", "payload": { "at": 5 } }));
        socket.send(json!({ "type": "connection_init" })).await;
        assert_eq!(socket.closed().await, 4429);
        let mut socket = begun(&admin).await;
        listen(&mut socket, "1", "subscription { notes_mutated { event } }").await;
        socket.send(subscribe("1", "subscription { notes_mutated { event } }")).await;
        assert_eq!(socket.closed().await, 4409);
        for wrong in [json!({ "type": "nonsense" }), json!([]), json!({ "type": "subscribe", "id": 5 })] {
            let mut socket = begun(&admin).await;
            socket.send(wrong).await;
            assert_eq!(socket.closed().await, 4400);
        }
        // A token that ends, ends its socket.
        let login = json!({ "email": ADMIN_EMAIL, "password": ADMIN_PASSWORD });
        let tokens = server.visitor().post("/auth/login", login).await.data();
        let mut socket = begun(&admin.with_token(tokens["access_token"].as_str())).await;
        assert_eq!(socket.closed().await, 4403);
        drop(server);

        let server = builder.set("WEBSOCKETS_GRAPHQL_AUTH", "public").start().await;
        let mut socket = open(&server.visitor()).await;
        assert_eq!(
            socket.ask(json!({ "type": "connection_init" })).await,
            json!({ "type": "connection_ack" })
        );
        let answer = socket.ask(subscribe("1", "subscription { notes_mutated { event } }")).await;
        assert_eq!(answer["type"], "error", "visitors see nothing: {answer}");
    })
    .await;
}
