//! GraphQL: the same rows through another door.
//!
//! Start at [`GraphQl::answer`]. `shape` is what one set of rights shows, `build` makes a schema of it, which is used to check and
//! to describe documents only. What a document selects becomes the same `Query` as that of a REST request (`select`, `arguments`)
//! and is answered by `items` (`run`); no resolver ever runs. Nothing here knows routes.

mod arguments;
mod build;
mod document;
mod introspect;
mod measure;
mod met;
mod request;
mod run;
mod select;
mod service;
mod shape;
mod subscribe;
mod text;
mod values;
mod write;

pub use build::{Describe, Roots, output};
pub use request::Request;
pub use run::{Extra, ExtraAnswer, NoExtra};
pub use service::{GraphQl, sdl};
pub use shape::{Caller, Scope};
pub use subscribe::{Subscription, errors};
