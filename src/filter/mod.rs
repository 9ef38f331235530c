//! The filter language: what stands in `filter`, in `deep._filter`, in row rules and in validation rules.
//!
//! A filter is parsed without a schema into [`Syntax`], then resolved against a collection into a [`Filter`] whose names
//! are ids and whose values have the type of their column. Nothing here knows SQL.

pub mod model;
pub mod parse;
pub mod values;
pub mod variables;
pub mod names;
pub mod resolve;
mod evaluate;
mod sieve;

pub use evaluate::{Broken, Missing, evaluate};
pub use model::*;
pub use parse::{Limits, parse};
pub use resolve::{Env, Found, resolve};
pub use sieve::{may_be, telling_fields};
pub use variables::Variables;
