//! Sockets of those who do not behave: each is closed with a code, and nobody else notices.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::support::server::ServerBuilder;
use crate::support::socket::{Socket, code};
use crate::support::{Client, Database, Server, blog, each_database, until};

async fn server(database: &Database, set: impl Fn(ServerBuilder) -> ServerBuilder) -> Server {
    set(Server::builder(database).collections(&blog::collections())).start().await
}

/// Somebody who behaves, and is told of what happens to the end.
struct Witness {
    socket: Socket,
    admin: Client,
}

impl Witness {
    async fn new(admin: &Client) -> Self {
        let mut socket = Socket::signed_in(admin).await;
        socket.subscribe(json!({ "collection": "quiet", "query": { "fields": ["name"] } })).await;
        Witness { socket, admin: admin.clone() }
    }

    async fn is_well(&mut self) {
        self.admin.create("quiet", json!({ "name": "witness" })).await;
        assert_eq!(self.socket.next().await["data"], json!([{ "name": "witness" }]));
    }
}

#[tokio::test]
async fn what_is_malformed_closes_its_own_socket() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let server = server(&database, |builder| builder.set("WEBSOCKETS_MESSAGE_SIZE", "10kb")).await;
        let admin = server.admin();
        let mut witness = Witness::new(&admin).await;

        // Text that is no message is answered; the socket goes on.
        let mut socket = Socket::signed_in(&admin).await;
        for text in ["", "{", "nonsense", "{\"type\":", "\u{0}", "5", &"[".repeat(500)] {
            socket.send_raw(Message::text(text)).await.unwrap();
            assert_eq!(code(&socket.next().await), "INVALID_PAYLOAD", "{text:?}");
        }
        let deep = format!("{{\"type\":\"items\",\"query\":{}{}}}", "[".repeat(200), "]".repeat(200));
        socket.send_raw(Message::text(deep)).await.unwrap();
        assert_eq!(code(&socket.next().await), "INVALID_PAYLOAD");
        let nul = json!({ "type": "items", "action": "read", "collection": "no\u{0}tes" });
        assert_eq!(code(&socket.ask(nul).await), "INVALID_PAYLOAD");
        socket.send_raw(Message::Ping("x".into())).await.unwrap();
        assert_eq!(socket.ask(json!({ "type": "ping" })).await, json!({ "type": "pong" }));

        socket.send_raw(Message::binary(vec![1, 2, 3])).await.unwrap();
        assert_eq!(socket.closed().await, 1003);
        // Who closes a socket is told that it ended as they said.
        for code in [1000, 4001] {
            let mut socket = Socket::signed_in(&admin).await;
            let frame = CloseFrame { code: code.into(), reason: "enough".into() };
            socket.send_raw(Message::Close(Some(frame))).await.unwrap();
            assert_eq!(socket.closed().await, code);
        }
        let mut socket = Socket::signed_in(&admin).await;
        socket.send_raw(Message::Close(None)).await.unwrap();
        assert_eq!(socket.closed().await, 1005);
        let mut socket = Socket::signed_in(&admin).await;
        socket.send_raw(Message::text("x".repeat(20_000))).await.unwrap();
        assert_eq!(socket.closed().await, 1009);
        // Fragments of one message are counted together.
        let mut socket = Socket::signed_in(&admin).await;
        for number in 0..4 {
            let opcode = if number == 0 { 0x01 } else { 0x00 };
            socket.bytes().write_all(&frame(opcode, &[b'x'; 4000])).await.unwrap();
        }
        assert_eq!(socket.closed().await, 1009);
        for bytes in [
            // Not masked, reserved bits, an unknown opcode, a long control frame, text that is none.
            vec![0x81, 0x02, b'h', b'i'],
            frame(0xf1, b"hi"),
            frame(0x83, b"hi"),
            frame(0x89, &[0; 126]),
            frame(0x81, &[0xff, 0xfe]),
        ] {
            let mut socket = Socket::signed_in(&admin).await;
            socket.bytes().write_all(&bytes).await.unwrap();
            let closed = socket.closed().await;
            assert!([1002, 1006, 1007].contains(&closed), "{bytes:?}: {closed}");
        }
        witness.is_well().await;
    })
    .await;
}

/// A frame as clients send them, masked with nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match u8::try_from(payload.len()) {
        Ok(length) if length < 126 => bytes.push(0x80 | length),
        _ => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(payload.len()).expect("short").to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

#[tokio::test]
async fn floods_and_silence_are_ended() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let server = server(&database, |builder| {
            builder
                .set("WEBSOCKETS_MESSAGE_RATE", "20")
                .set("WEBSOCKETS_HEARTBEAT_PERIOD", "1")
                .set("WEBSOCKETS_SUBSCRIPTION_LIMIT", "3")
                .set("WEBSOCKETS_CLIENT_LIMIT", "6")
        })
        .await;
        let admin = server.admin();
        let mut witness = Witness::new(&admin).await;

        let mut socket = Socket::signed_in(&admin).await;
        for number in 0..3 {
            socket.subscribe(json!({ "collection": "notes", "uid": number })).await;
        }
        let answer = socket.ask(json!({ "type": "subscribe", "collection": "notes", "uid": 3 })).await;
        assert_eq!(code(&answer), "LIMIT_EXCEEDED");
        // One in the place of another is no further one.
        assert_eq!(socket.subscribe(json!({ "collection": "notes", "uid": 2 })).await["event"], "init");
        for _ in 0..200 {
            if socket.send_raw(Message::text("{\"type\":\"ping\"}")).await.is_err() {
                break;
            }
        }
        assert_eq!(socket.closed().await, 1008);
        let mut socket = Socket::signed_in(&admin).await;
        for _ in 0..200 {
            if socket.send_raw(Message::Ping("x".into())).await.is_err() {
                break;
            }
        }
        assert_eq!(socket.closed().await, 1008);

        witness.is_well().await;

        // Who does not answer pings is gone; who does, is not.
        let mut silent = Socket::signed_in(&admin).await;
        silent.is_rude = true;
        let listening = async {
            let heard = witness.socket.hear(Duration::from_secs(4)).await;
            assert!(heard.is_none(), "{heard:?}");
        };
        let (code, ()) = futures::join!(silent.closed(), listening);
        assert_eq!(code, 1008);
        witness.is_well().await;

        // So many of one address.
        let mut many = Vec::new();
        for _ in 0..5 {
            many.push(Socket::signed_in(&admin).await);
        }
        assert_eq!(Socket::open_at(&admin, "/websocket", &[]).await.err(), Some(429));
        drop(many);
        until("a place is free again", async || Socket::open_at(&admin, "/websocket", &[]).await.is_ok())
            .await;
    })
    .await;
}

#[tokio::test]
async fn messages_are_counted_like_requests() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let server = server(&database, |builder| {
            builder
                .set("RATE_LIMITER_ENABLED", "true")
                .set("RATE_LIMITER_POINTS", "20")
                .set("RATE_LIMITER_DURATION", "60")
        })
        .await;
        let mut socket = Socket::signed_in(&server.admin()).await;
        let read = json!({ "type": "items", "action": "read", "collection": "notes" });
        let mut codes = Vec::new();
        for _ in 0..20 {
            let answer = socket.ask(read.clone()).await;
            codes.push(answer["error"]["code"].as_str().map(str::to_owned));
        }
        assert_eq!(codes[0], None);
        assert_eq!(codes[19].as_deref(), Some("REQUESTS_EXCEEDED"), "{codes:?}");
    })
    .await;
}

#[tokio::test]
async fn who_reads_too_slowly_is_let_go() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let server = server(&database, |builder| {
            builder.set("WEBSOCKETS_QUEUE_MESSAGES", "20").set("WEBSOCKETS_QUEUE_SIZE", "1mb")
        })
        .await;
        let admin = server.admin();
        let mut witness = Witness::new(&admin).await;
        let mut slow = Socket::signed_in(&admin).await;
        slow.subscribe(json!({ "collection": "notes", "query": { "fields": ["shape"] } })).await;
        let large: Value = json!({ "text": "x".repeat(200_000) });
        let slow_ones = r#"tablature_sockets_closed_total{reason="slow"}"#;
        for number in 0..200 {
            admin.post("/items/notes?fields=id", json!({ "shape": large })).await.data();
            if number % 10 == 0 {
                let figures = admin.get("/metrics").await.text();
                if figures.lines().any(|line| line.starts_with(slow_ones)) {
                    break;
                }
                assert!(number < 190, "still open after {number} messages");
            }
        }
        assert!([1013, 1006].contains(&slow.closed().await));
        witness.is_well().await;
        let figures = admin.get("/metrics").await.text();
        for name in [
            "tablature_sockets{protocol=\"rest\"} 1",
            "tablature_socket_subscriptions 1",
            "tablature_socket_messages_total{direction=\"out\"}",
            "tablature_realtime_events_total",
            "tablature_realtime_lag_seconds",
        ] {
            assert!(figures.contains(name), "no {name}");
        }
    })
    .await;
}

#[tokio::test]
async fn who_goes_without_a_word_has_left() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let server = server(&database, |builder| builder).await;
        let admin = server.admin();
        drop(Socket::signed_in(&admin).await);
        let mut within_a_frame = Socket::signed_in(&admin).await;
        within_a_frame.bytes().write_all(&frame(0x81, b"{\"type\":\"ping\"}")[..9]).await.unwrap();
        drop(within_a_frame);
        let closed = async || {
            let figures = admin.get("/metrics").await.text();
            let is_closed = |line: &&str| line.starts_with("tablature_sockets_closed_total");
            figures.lines().filter(is_closed).map(str::to_owned).collect::<Vec<_>>()
        };
        until("both are gone", async || {
            closed().await == [r#"tablature_sockets_closed_total{reason="left"} 2"#]
        })
        .await;
    })
    .await;
}

/// Whether a connection is there, as the system sees it on the side of the server.
#[cfg(target_os = "linux")]
fn is_connected(server: u16, client: u16) -> bool {
    let connections = std::fs::read_to_string("/proc/net/tcp").expect("connections");
    connections.lines().any(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let mut ends_with =
            |port: u16| columns.next().is_some_and(|at| at.ends_with(&format!(":{port:04X}")));
        ends_with(server) && ends_with(client)
    })
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_connection_of_who_reads_nothing_ends() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let server = server(&database, |builder| {
            builder
                .set("WEBSOCKETS_QUEUE_MESSAGES", "20")
                .set("WEBSOCKETS_QUEUE_SIZE", "1mb")
                .set("SEND_TIMEOUT", "2s")
        })
        .await;
        let admin = server.admin();
        let mut slow = Socket::signed_in(&admin).await;
        slow.subscribe(json!({ "collection": "notes", "query": { "fields": ["shape"] } })).await;
        let client = slow.bytes().local_addr().unwrap().port();
        let port = slow.bytes().peer_addr().unwrap().port();
        assert!(is_connected(port, client));
        let large = json!({ "text": "x".repeat(200_000) });
        for _ in 0..60 {
            admin.post("/items/notes?fields=id", json!({ "shape": large })).await.data();
        }
        until("the connection is gone", async || !is_connected(port, client)).await;
        // Whoever reads goes on.
        Witness::new(&admin).await.is_well().await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_stops_says_so() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let mut server = server(&database, |builder| builder).await;
        let admin = server.admin();
        let mut socket = Socket::signed_in(&admin).await;
        socket.subscribe(json!({ "collection": "notes" })).await;
        let mut unknown = Socket::open(&admin).await;
        server.terminate();
        assert_eq!(socket.closed().await, 1001);
        assert_eq!(unknown.closed().await, 1001);
        assert!(server.ended(Duration::from_secs(10)).await.success());
    })
    .await;
}
