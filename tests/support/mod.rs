//! What every scenario of the black-box suite stands on.
//!
//! Start at [`each_database`] and [`blog::shared`]. Servers are real processes of the binary under test,
//! databases are fresh ones on the servers named in the environment (see `tests/services/start.sh`), requests
//! go over the wire.

pub mod access;
pub mod blog;
pub mod client;
pub mod database;
pub mod doors;
pub mod form;
pub mod project;
pub mod provider;
pub mod random;
pub mod raw;
pub mod redis;
pub mod s3;
pub mod reference;
pub mod server;
pub mod smtp;
pub mod socket;

pub use client::{Answer, Client};
pub use database::{Database, Engine};
pub use project::Project;
pub use server::Server;

use std::time::{Duration, Instant};

/// The databases that this run is about: those in `TEST_DATABASES`, or SQLite alone.
pub fn engines() -> Vec<Engine> {
    let named = std::env::var("TEST_DATABASES").unwrap_or_else(|_| "sqlite".to_owned());
    let names = named.split([',', ' ']).filter(|name| !name.is_empty());
    names.map(|name| Engine::from_name(name).unwrap_or_else(|| panic!("unknown database {name:?}"))).collect()
}

/// Runs a scenario on every database of this run, one after the other.
pub async fn each_database(scenario: impl AsyncFn(Engine)) {
    for engine in engines() {
        eprintln!("on {engine}");
        // On the heap, as a long scenario makes a large future.
        Box::pin(scenario(engine)).await;
    }
}

/// Whether the long form of a scenario is asked for, with `TEST_LONG=1`.
pub fn long() -> bool {
    std::env::var("TEST_LONG").is_ok_and(|value| value == "1")
}

/// Waits until this holds, and says how long it took.
pub async fn until(what: &str, holds: impl AsyncFn() -> bool) -> Duration {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}
