//! What the drivers count: statements and the time they take.

use std::time::Instant;

use metrics::{Counter, Histogram, counter, histogram};

/// Handles of the metrics, looked up once.
#[derive(Clone)]
pub(super) struct Meter {
    statements: Counter,
    seconds: Histogram,
}

impl Meter {
    pub(super) fn new(database: &'static str) -> Self {
        Meter {
            statements: counter!("tablature_sql_statements_total", "database" => database),
            seconds: histogram!("tablature_sql_seconds", "database" => database),
        }
    }

    /// Counts `statements` that began at `start` and have just ended.
    pub(super) fn record(&self, statements: u64, start: Instant) {
        self.statements.increment(statements);
        self.seconds.record(start.elapsed().as_secs_f64());
    }
}
