//! From what a caller asks to a read plan.
//!
//! `parse` makes a [`Query`] (names as typed), `resolve` a [`ResolvedQuery`] (ids, rights, limits), `plan` a [`ReadPlan`] (one
//! node per relation). Plain functions: no I/O, no clock, no SQL.

pub mod cursor;
pub mod model;
pub mod parse;
pub mod resolve;
pub mod resolved;
pub mod plan;
pub mod planned;

pub use model::*;
pub use plan::plan;
pub use planned::*;
pub use resolve::resolve;
pub use resolved::*;
