//! The folders that users write: reading them, keeping the database in step, watching, and writing back.
//!
//! Start at [`Project`]. Whoever answers requests holds the [`SchemaStore`] and takes the current model from it per request. A
//! broken file never replaces a good model; it is reported beside it. Knows nothing of HTTP.

pub mod access;
mod adopt;
mod adoption;
mod apply;
mod catalogue;
mod change;
mod files;
mod home_writer;
mod pull;
mod registry;
mod remodel;
mod report;
mod rewrite;
pub mod rule_tests;
mod sheet;
mod snapshot;
mod store;
mod watch;
mod write_back;

#[cfg(test)]
mod tests;

pub use adopt::Catalogue;
pub use apply::{ApplyOptions, Project};
pub use catalogue::{Shown, System};
pub use remodel::{Edit, Remodelled};
pub use report::Report;
pub use snapshot::{Snapshot, read_yaml};
pub use store::{SchemaStore, Status};
pub use watch::{Watch, follow_others};
