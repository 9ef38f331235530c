//! One driver per database behind one door.
//!
//! Start at [`Database`]. Statements come in as text with parameters, rows go out typed, or straight into JSON. Knows no
//! collection by name.

mod database;
mod row;

pub use database::{Committed, Database, JsonBytes, Transaction};
pub use row::Row;
