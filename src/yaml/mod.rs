//! YAML as people write it: a tree with positions, what is wrong with it, and small edits that leave the rest of a file alone.
//!
//! Start at [`parse()`], which turns bytes into a [`Node`] and findings, and never fails in another way. [`edit`] changes one place
//! of a text, [`emit`] writes a fresh one. Nothing here knows what a node means.

mod diagnostic;
pub mod edit;
pub mod emit;
mod node;
mod parse;
mod scalar;

pub use diagnostic::{Diagnostic, Severity, nearest, quoted};
pub use node::{Entry, Node, Point, Position, Style, Yaml};
pub use parse::{MOST_BYTES, MOST_DEPTH, MOST_NODES, parse};

#[cfg(test)]
mod tests;
