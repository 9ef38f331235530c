//! What the operator decides about imports and exports.

/// Imports and exports.
#[derive(Debug, Clone)]
pub struct TransferConfig {
    /// Most bytes of a file that is imported.
    pub import_max_bytes: u64,
    /// How many are at work at the same time.
    pub at_once: usize,
}
