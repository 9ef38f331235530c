//! What the server tells its operator: log lines and figures.
//!
//! Start at [`start_logs`] and [`Metrics`]. Nothing here knows what it measures.

mod logs;
mod metrics;

pub use logs::start_logs;
pub use metrics::Metrics;
