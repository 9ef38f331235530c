//! Stopping under load: whoever has sent a request gets an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::server::ADMIN_TOKEN;
use crate::support::{Engine, blog, each_database, raw};

/// What happened to the requests of one client until the server was gone.
#[derive(Default)]
struct Seen {
    answered: AtomicUsize,
    broken: AtomicUsize,
}

/// Sends requests over new connections and kept ones until nobody listens any more.
async fn load(address: String, stop: Arc<AtomicBool>, seen: Arc<Seen>, keep: bool) {
    let body = r#"{"name":"load","children":[{"name":"a"},{"name":"b"}]}"#;
    let read = format!(
        "GET /items/articles?fields=*,comments.* HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n\r\n"
    );
    let write = format!(
        "POST /items/notes HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN_TOKEN}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect(&address).await else { return };
        loop {
            turn += 1;
            let request = if turn % 2 == 0 { &read } else { &write };
            if stream.write_all(request.as_bytes()).await.is_err() {
                seen.broken.fetch_add(1, Ordering::Relaxed);
                break;
            }
            match raw::read_answer(&mut stream).await {
                Ok(answer) if answer.status == 200 => {
                    seen.answered.fetch_add(1, Ordering::Relaxed);
                    let closes = answer.head.to_ascii_lowercase().contains("connection: close");
                    if closes || !keep {
                        break;
                    }
                }
                Ok(answer) => panic!("{answer:?}"),
                Err(_) => {
                    seen.broken.fetch_add(1, Ordering::Relaxed);
                    break;
                }
            }
        }
    }
}

async fn stops_without_a_reset(engine: Engine, keep: bool) {
    let (mut server, _database) = blog::own(engine).await;
    blog::seed(&server.admin()).await;
    let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Seen::default()));
    let address = format!("127.0.0.1:{}", server.port());
    let clients: Vec<_> =
        (0..16).map(|_| tokio::spawn(load(address.clone(), stop.clone(), seen.clone(), keep))).collect();
    while seen.answered.load(Ordering::Relaxed) < 100 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.terminate();
    let status = server.ended(Duration::from_secs(20)).await;
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("a client");
    }
    assert!(status.success(), "{status}: {}", server.printed());
    let (answered, broken) = (seen.answered.load(Ordering::Relaxed), seen.broken.load(Ordering::Relaxed));
    eprintln!("{engine}: {answered} requests answered, {broken} broken, connections kept: {keep}");
    assert_eq!(broken, 0, "requests that were sent and not answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_connections_are_answered_to_the_end() {
    each_database(async |engine| stops_without_a_reset(engine, false).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_connections_are_answered_to_the_end() {
    each_database(async |engine| stops_without_a_reset(engine, true).await).await;
}

#[tokio::test]
async fn a_request_in_flight_is_finished() {
    each_database(async |engine| {
        let (mut server, database) = blog::own(engine).await;
        let address = format!("127.0.0.1:{}", server.port());
        let mut stream = TcpStream::connect(&address).await.expect("a connection");
        let body = r#"{"name":"slow sender"}"#;
        let head = format!(
            "POST /items/notes HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN_TOKEN}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.expect("its head is sent");
        stream.write_all(&body.as_bytes()[..5]).await.expect("a part of its body is sent");
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.terminate();
        tokio::time::sleep(Duration::from_millis(200)).await;
        stream.write_all(&body.as_bytes()[5..]).await.expect("the rest is sent");
        let answer = raw::read_answer(&mut stream).await.expect("an answer");
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(server.ended(Duration::from_secs(20)).await.success());
        assert_eq!(database.count("notes", "name = 'slow sender'").await, 1);
    })
    .await;
}
