//! From what a caller asks to a read plan.
//!
//! `parse` makes a [`Query`] (names as typed), `resolve` a [`ResolvedQuery`] (ids, rights, limits), `plan` a [`ReadPlan`] (one
//! node per relation). Plain functions: no I/O, no clock, no SQL.

pub mod model;

pub use model::*;
