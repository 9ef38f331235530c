//! Tablature: a headless data platform in one binary.
//!
//! The rooms in reading order; `ARCHITECTURE.md` draws them. A room uses those above it in this list, never those below.

pub mod error;
pub mod config;
pub mod telemetry;
pub mod yaml;
pub mod schema;
pub mod filter;
pub mod access;
pub mod query;
pub mod sql;
pub mod db;
pub mod events;
pub mod items;
pub mod auth;
pub mod project;
pub mod server;
