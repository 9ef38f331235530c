//! Writes on real databases.

#![expect(clippy::unwrap_used, reason = "tests")]

mod answers;
mod nested;
mod single;
mod world;
