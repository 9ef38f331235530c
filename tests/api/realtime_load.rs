//! Many sockets and many writes: every socket gets every event that it may see, and none other.
//!
//! The size is that of the environment: `REALTIME_SOCKETS`, `REALTIME_WRITES` a second, `REALTIME_SECONDS`. `docs/performance.md` has
//! the command of the large run and what it measured.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::access::policy;
use crate::support::socket::Socket;
use crate::support::{Client, Database, Server, blog, each_database};

/// So long nothing may come before it is taken that nothing will.
const QUIET: Duration = Duration::from_secs(5);

fn size(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name}")))
}

/// What one socket heard: the numbers of writes, and how long each was on its way.
struct Heard {
    user: usize,
    numbers: Vec<usize>,
    delays: Vec<Duration>,
}

/// Listens until nothing came for a while after the end of the writes.
async fn listen(mut socket: Socket, user: usize, began: Instant, is_over: Arc<AtomicBool>) -> Heard {
    let mut heard = Heard { user, numbers: Vec::new(), delays: Vec::new() };
    loop {
        let was_over = is_over.load(Ordering::Acquire);
        match socket.hear(QUIET).await {
            None if was_over => return heard,
            None => {}
            Some(Err(code)) => panic!("closed with {code}"),
            Some(Ok(message)) => {
                let at = began.elapsed();
                assert_eq!(message["event"], "create", "{message}");
                for item in message["data"].as_array().expect("a list") {
                    let text = item["name"].as_str().expect("a name");
                    let (number, sent_us) = text.split_once(' ').expect("a number and a moment");
                    heard.numbers.push(number.parse().expect("a number"));
                    let sent = Duration::from_micros(sent_us.parse().expect("a moment"));
                    heard.delays.push(at.saturating_sub(sent));
                }
            }
        }
    }
}

async fn write(admin: Client, users: Vec<Value>, writes: usize, per_second: usize, began: Instant) {
    let (turns, orders) = mpsc::channel::<usize>(1);
    let orders = Arc::new(tokio::sync::Mutex::new(orders));
    let mut writers = Vec::new();
    for _ in 0..8 {
        let (admin, users, orders) = (admin.clone(), users.clone(), orders.clone());
        writers.push(tokio::spawn(async move {
            loop {
                let Some(number) = orders.lock().await.recv().await else { return };
                let name = format!("{number} {}", began.elapsed().as_micros());
                let item = json!({ "name": name, "handle": number.to_string(), "must": users[number % users.len()] });
                admin.post("/items/notes?fields=id", item).await.data();
            }
        }));
    }
    for number in 0..writes {
        let due = Duration::from_secs_f64(number as f64 / per_second as f64);
        tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
        turns.send(number).await.expect("a writer");
    }
    drop(turns);
    for writer in writers {
        writer.await.expect("no panic");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_socket_gets_what_it_may_see() {
    each_database(async |engine| {
        let sockets = size("REALTIME_SOCKETS", 200);
        let per_second = size("REALTIME_WRITES", 50);
        let seconds = size("REALTIME_SECONDS", 3);
        let users = size("REALTIME_USERS", 20);
        let database = Database::fresh(engine).await;
        let server = Server::builder(&database)
            .collections(&blog::collections())
            .set("WEBSOCKETS_CLIENT_LIMIT", "1000000")
            .set("LOG_LEVEL", "warn")
            .start()
            .await;
        let admin = server.admin();
        // Each user reads the notes that name it.
        let own = json!([["notes", "read", { "must": { "_eq": "$CURRENT_USER" } }, ["id", "name"]]]);
        let policy = policy(&admin, "own", own).await;
        let people: Vec<Value> = (0..users)
            .map(|number| {
                json!({
                    "email": format!("u{number}@example.com"), "token": format!("token-of-listener-{number}"),
                    "policies": [{ "policy": policy }], "status": "active",
                })
            })
            .collect();
        let ids = admin.post("/users?limit=-1&fields=id", json!(people)).await.column("id");
        let before = memory(&server);
        let mut open = Vec::new();
        for number in 0..sockets {
            let user = number % users;
            let token = format!("token-of-listener-{user}");
            let mut socket = Socket::signed_in(&admin.with_token(Some(&token))).await;
            let query = json!({ "fields": ["name"] });
            let first = socket.subscribe(json!({ "collection": "notes", "event": "create", "query": query })).await;
            assert_eq!(first["event"], "init");
            open.push((socket, user));
        }
        let idle = memory(&server);
        let began = Instant::now();
        let is_over = Arc::new(AtomicBool::new(false));
        let listening: Vec<_> = open
            .into_iter()
            .map(|(socket, user)| tokio::spawn(listen(socket, user, began, is_over.clone())))
            .collect();
        let writes = per_second * seconds;
        write(admin.clone(), ids, writes, per_second, began).await;
        let took = began.elapsed();
        is_over.store(true, Ordering::Release);
        let busy = memory(&server);
        let mut delays = Vec::new();
        for listener in listening {
            let heard = listener.await.expect("no panic");
            let expected: HashSet<usize> = (0..writes).filter(|number| number % users == heard.user).collect();
            let found: HashSet<usize> = heard.numbers.iter().copied().collect();
            assert_eq!(found.len(), heard.numbers.len(), "something was told twice");
            let missing: Vec<_> = expected.difference(&found).collect();
            assert!(missing.is_empty(), "user {} misses {missing:?}", heard.user);
            assert_eq!(found, expected, "user {} was told of others", heard.user);
            delays.extend(heard.delays);
        }
        delays.sort_unstable();
        let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize];
        eprintln!(
            "{engine}: {sockets} sockets of {users} users, {writes} writes in {took:.1?}, {} messages; delay p50 {:.1?}, \
             p99 {:.1?}, most {:.1?}; memory (anonymous) before {before} kB, with sockets {idle} kB, under load {busy} kB",
            delays.len(),
            at(0.5),
            at(0.99),
            at(1.0),
        );
        let figures = admin.get("/metrics").await.text();
        let missed = figures.lines().find(|line| line.starts_with("tablature_realtime_missed_total"));
        assert_eq!(missed, None, "something was missed");
    })
    .await;
}

/// Anonymous memory of the server, in kB.
fn memory(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process())).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a figure");
    line.trim().trim_end_matches("kB").trim().parse().expect("a number")
}
