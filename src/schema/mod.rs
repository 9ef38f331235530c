//! The model of a project: collections, fields and the relations between them.
//!
//! Start at [`Schema`]. It is immutable: a change makes a new one, and whoever holds the old one keeps a consistent view to the
//! end of the request. Nothing here knows SQL, permissions or HTTP.

pub mod model;
pub mod structure;
pub mod step;
pub mod diff;

pub use diff::{Diff, DiffOptions, diff};
pub use model::*;
pub use step::*;
pub use structure::*;
