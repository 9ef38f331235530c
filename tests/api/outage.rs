//! The database goes away under load and comes back: 503 with `Retry-After`, then all goes on, and nothing is
//! lost.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Client, Database, Engine, Server, blog, each_database};

/// The server that may be stopped and started, as `tests/services/start.sh --name outage` describes it.
struct Outage {
    url: String,
    start: String,
    stop: String,
}

impl Outage {
    fn of(engine: Engine) -> Option<Self> {
        let name = engine.pick("", "POSTGRES", "MARIADB");
        let variable = |what: &str| std::env::var(format!("TEST_OUTAGE_{name}_{what}")).ok();
        Some(Outage { url: variable("URL")?, start: variable("START")?, stop: variable("STOP")? })
    }

    async fn run(script: &str) {
        let script = script.to_owned();
        let status =
            tokio::task::spawn_blocking(move || Command::new(&script).status()).await.expect("it runs");
        assert!(status.is_ok_and(|status| status.success()), "the script of the database server failed");
    }
}

/// One client's history: writes that were acknowledged, and everything that was neither that nor a 503.
#[derive(Default)]
struct History {
    acknowledged: Vec<String>,
    refused: usize,
    slowest: Duration,
    wrong: Vec<String>,
}

async fn client(number: usize, admin: Client, stop: Arc<AtomicBool>) -> History {
    let mut history = History::default();
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let name = format!("outage {number} {turn}");
        let began = Instant::now();
        let is_write = turn % 2 == 0;
        let request = if is_write {
            admin
                .request("POST", "/items/notes?fields=id")
                .json(&json!({ "name": name, "children": [{ "name": "child" }] }))
        } else {
            admin.request("GET", "/items/articles?fields=id,comments.text&limit=5")
        };
        match request.timeout(Duration::from_secs(30)).try_send().await {
            Ok(answer) if answer.status == 200 => {
                if is_write {
                    history.acknowledged.push(name);
                }
            }
            Ok(answer) if answer.status == 503 => {
                history.refused += 1;
                let seconds = answer.header("retry-after").and_then(|value| value.parse::<u32>().ok());
                if seconds.is_none() || answer.errors()[0]["extensions"]["code"] != "SERVICE_UNAVAILABLE" {
                    history.wrong.push(format!("{answer:?} {:?}", answer.headers));
                }
            }
            Ok(answer) => history.wrong.push(format!("{answer:?}")),
            Err(error) => history.wrong.push(format!("{error:?}")),
        }
        history.slowest = history.slowest.max(began.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    history
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_is_stopped_and_started_under_load() {
    each_database(async |engine| {
        if engine == Engine::Sqlite {
            eprintln!("SQLite has no server that could be stopped");
            return;
        }
        let Some(outage) = Outage::of(engine) else {
            eprintln!("no server of {engine} may be stopped: TEST_OUTAGE_* is not set");
            return;
        };
        let database = Database::on_server(engine, Some(outage.url.clone())).await;
        let mut server = Server::start(&database, &blog::collections()).await;
        let admin = server.admin();
        blog::seed(&admin).await;
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..8).map(|number| tokio::spawn(client(number, admin.clone(), stop.clone()))).collect();
        let mut recoveries = Vec::new();
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(400)).await;
            Outage::run(&outage.stop).await;
            tokio::time::sleep(Duration::from_millis(600)).await;
            assert_eq!(admin.get("/server/ping").await.status, 200);
            let health = admin.get("/server/health").await;
            assert_eq!((health.status, &health.json()["status"]), (503, &json!("error")), "{health:?}");
            Outage::run(&outage.start).await;
            let began = Instant::now();
            loop {
                let answer = admin.get("/items/articles/1?fields=title").await;
                if answer.status == 200 {
                    break;
                }
                assert_eq!(answer.status, 503, "{answer:?}");
                assert!(began.elapsed() < Duration::from_secs(20), "it does not recover");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            recoveries.push(began.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        stop.store(true, Ordering::Relaxed);
        let mut whole = History::default();
        for client in clients {
            let one = client.await.expect("a client");
            whole.acknowledged.extend(one.acknowledged);
            whole.wrong.extend(one.wrong);
            whole.refused += one.refused;
            whole.slowest = whole.slowest.max(one.slowest);
        }
        assert!(server.is_running());
        let (acknowledged, refused) = (whole.acknowledged.len(), whole.refused);
        eprintln!(
            "{engine}: {acknowledged} writes acknowledged, {refused} requests refused with 503, slowest answer {:?}, recovered after \
             {recoveries:?}",
            whole.slowest
        );
        assert!(whole.wrong.is_empty(), "{} answers were neither 200 nor 503:\n{}", whole.wrong.len(), whole.wrong[..1].join("\n"));
        assert!(refused > 0 && acknowledged > 50, "the load met the outage");
        assert!(recoveries.iter().all(|took| *took < Duration::from_secs(2)), "{recoveries:?}");
        let names = database.rows("SELECT name FROM notes WHERE name LIKE 'outage %'").await.concat();
        let there: std::collections::HashSet<&String> = names.iter().collect();
        let lost: Vec<&String> = whole.acknowledged.iter().filter(|name| !there.contains(name)).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        let half = database.number(
            "SELECT count(*) FROM notes p WHERE p.name LIKE 'outage %' AND NOT EXISTS (SELECT 1 FROM notes c WHERE c.parent = p.id)",
        );
        assert_eq!(half.await, 0, "half written");
    })
    .await;
}

/// What comes closest to an outage of a file: another process holds on to it.
#[tokio::test]
async fn a_locked_file_refuses_writes_and_serves_reads() {
    each_database(async |engine| {
        if engine != Engine::Sqlite {
            eprintln!("{engine} has no file that could be locked");
            return;
        }
        let (server, database) = blog::own(engine).await;
        let admin = server.admin();
        admin.create("notes", json!({ "name": "before" })).await;
        let file = database.file();
        let (locked, lock_taken) = std::sync::mpsc::channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let holder = std::thread::spawn(move || {
            let connection = rusqlite::Connection::open(file).expect("the file");
            connection.busy_timeout(Duration::from_secs(10)).expect("a timeout");
            connection.execute_batch("BEGIN IMMEDIATE").expect("the lock");
            locked.send(()).expect("the scenario waits");
            released.recv().ok();
            connection.execute_batch("ROLLBACK").expect("the end");
        });
        lock_taken.recv().expect("the lock is taken");
        let write = admin.request("POST", "/items/notes").json(&json!({ "name": "refused" })).send();
        let read = async {
            for _ in 0..20 {
                assert_eq!(admin.get("/items/notes?fields=name").await.column("name"), ["before"]);
            }
        };
        let (refused, ()) = tokio::join!(write, read);
        refused.refused(503, "SERVICE_UNAVAILABLE");
        assert!(refused.header("retry-after").is_some(), "{:?}", refused.headers);
        release.send(()).expect("the lock is held");
        holder.join().expect("the lock is released");
        admin.create("notes", json!({ "name": "after" })).await;
        assert_eq!(admin.get("/items/notes?fields=name&sort=id").await.column("name"), ["before", "after"]);
    })
    .await;
}

#[tokio::test]
async fn a_database_that_is_not_there_stops_the_start_with_a_reason() {
    each_database(async |engine| {
        let mut database = Database::fresh(engine).await;
        let port = crate::support::server::free_port();
        let there = database.url.clone();
        database.url = engine.pick(
            "sqlite:/proc/no/such/folder/data.db".to_owned(),
            format!("postgres://tablature:hidden-password@127.0.0.1:{port}/x"),
            format!("mysql://tablature:hidden-password@127.0.0.1:{port}/x"),
        );
        let printed = Server::builder(&database)
            .collections(&blog::collections())
            .set("DB_ACQUIRE_TIMEOUT", "2s")
            .fails_to_start();
        database.url = there;
        assert!(printed.to_lowercase().contains("database"), "{printed}");
        assert!(!printed.contains("hidden-password"), "{printed}");
    })
    .await;
}
