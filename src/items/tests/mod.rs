//! Writes on real databases.

#![expect(clippy::unwrap_used, reason = "tests")]

mod answers;
mod nested;
mod platform;
mod reads;
mod single;
mod world;
