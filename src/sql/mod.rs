//! From plans to SQL text: the only room that writes SQL.
//!
//! Names reach the text as they stand in the schema, quoted by one function; values reach the database as [`Param`]s.
//! `dialect` is the only place where the three databases differ in text.

pub mod statement;
pub mod ident;
pub mod ast;
mod print;
pub mod dialect;
mod expr;
mod read;
mod tenancy;
pub mod row_security;
pub mod ddl;
pub mod rows;
pub mod write;
pub mod at_once;
pub mod journal;
pub mod numbers;
pub mod trash;

use read::statement_of;
pub use read::{build_permitted, build_read};
pub use statement::*;
pub use tenancy::{Reference, build_found, build_strangers};
