//! The one door to rows.
//!
//! Start at [`ItemsService`]. Every adapter (REST, GraphQL, sockets, flows) reads and writes through it, so that none can permit
//! what another refuses. `write` lists the steps of a write, `nested` turns payloads into trees of items, `run` carries them out
//! in one transaction. Nothing here knows HTTP.

mod accounts;
mod answer;
mod at_once;
mod defaults;
mod explain;
mod faults;
mod files;
pub mod hashing;
mod idempotency;
mod import;
mod journal;
mod known;
pub mod nested;
mod numbers;
mod own;
pub mod plan;
mod relations;
mod rights;
mod render;
pub mod run;
mod seed;
mod precondition;
mod prepare;
mod reach;
mod read;
mod service;
mod shares;
mod steps;
pub mod sort;
mod subjects;
mod stream;
mod tenants;
mod trash;
pub mod validate;
pub mod values;
mod versions;
pub mod write;

pub use accounts::is_address;
pub use answer::WriteAnswer;
pub use explain::{Explanation, Question};
pub use files::{LEFT_EVENT, OWN as OWN_OF_FILES, OwnValues, Stored};
pub use idempotency::IdempotencyKey;
pub use import::{ImportProgress, ImportRow, ImportRows};
pub use journal::Journal;
pub use nested::ItemPayload;
pub use precondition::{Precondition, entity_tag};
pub use service::{ItemsService, ItemsSettings};
pub use steps::{Step, StepAction};
pub use stream::Pieces;
pub use versions::{Marks, SavedVersion, document};
pub use write::{Operation, Targets, Written};

#[cfg(test)]
mod tests;
