//! Rows to JSON without a tree in between.
//!
//! [`level`] writes the rows of one level into one buffer, with gaps where other levels belong; [`document`] copies the pieces
//! into the answer once.

pub(super) mod aggregate;
pub(super) mod document;
pub(super) mod level;
mod known;
pub(super) mod value;

pub use known::write_known;
pub use value::write_text;
