//! Golden SQL.
