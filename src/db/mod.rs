//! One driver per database behind one door.
//!
//! Start at [`Database`]. Statements come in as text with parameters, rows go out typed, or straight into JSON. Knows no
//! collection by name.

mod cell;
mod database;
mod json;
mod meter;
mod numeric;
mod row;
mod server;
mod settings;
mod sqlite;
mod transaction;
pub mod introspect;
pub mod lock;
pub mod migrations;
pub mod nodes;
pub mod row_security;
pub mod steps;

#[cfg(test)]
pub mod tests;

pub use database::{Committed, Database, JsonBytes};
pub use json::{write_known, write_text as write_json_text};
pub use row::Row;
pub use settings::{Settings, Target};
pub use transaction::Transaction;
