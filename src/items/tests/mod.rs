//! Writes on real databases.

#![expect(clippy::unwrap_used, reason = "tests")]

mod nested;
mod single;
mod world;
