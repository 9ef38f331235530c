//! The model of a project: collections, fields and the relations between them.
//!
//! Start at [`Schema`]. It is immutable: a change makes a new one, and whoever holds the old one keeps a consistent view to the
//! end of the request. [`load()`] makes one from the files of a project: `declare` and `field` read declarations with their places,
//! `generate` adds junctions, `resolve`, `column` and `check` turn all of it into the model. Nothing here knows SQL, who may do
//! what, or HTTP.

mod check;
mod column;
mod declare;
pub mod diff;
mod field;
pub(crate) mod findings;
mod generate;
mod json_schema;
pub(crate) mod keys;
mod load;
mod merge;
pub mod model;
pub mod number;
mod resolve;
mod source;
pub mod step;
pub mod structure;
mod system;
mod types;
mod values;

pub use diff::{Diff, DiffOptions, diff};
pub use json_schema::{access_json_schema, json_schema};
pub use load::{AccessPart, Loaded, SourceFile, load};
pub use merge::{FoundReference, merge_database_tables};
pub use model::*;
pub use source::SourceMap;
pub use step::*;
pub use structure::*;

#[cfg(test)]
mod tests;
