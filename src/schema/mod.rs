//! The model of a project: collections, fields and the relations between them.
//!
//! Start at [`Schema`]. It is immutable: a change makes a new one, and whoever holds the old one keeps a consistent view to the
//! end of the request. Nothing here knows SQL, permissions or HTTP.

pub mod model;

pub use model::*;
