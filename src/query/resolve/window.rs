//! `limit`, `offset` and `page`.

use super::{Level, Resolver};
use crate::query::Limit;

/// Which part of the rows is wanted.
#[derive(Debug, Default)]
pub struct Window {
    /// Most rows.
    pub limit: Option<Limit>,
    /// Rows to skip.
    pub offset: u64,
}

impl Resolver<'_> {
    /// The window of a level.
    ///
    /// Skipping makes a limit explicit: only the database can do it, and then it cuts, too.
    pub(super) fn window(&self, level: &Level<'_>) -> Window {
        let most = u64::try_from(self.limits.max_limit).ok();
        let rows = match level.limit {
            Some(limit) => u64::try_from(limit).ok().or(most),
            None => match u64::try_from(self.limits.default_limit) {
                Ok(default) => Some(most.map_or(default, |most| most.min(default))),
                Err(_) => most,
            },
        };
        let offset = match (level.page, rows) {
            // A page takes the place of the offset; the pages before the first are the first.
            (Some(page), Some(rows)) => page.saturating_sub(1).saturating_mul(rows),
            (Some(_), None) => 0,
            (None, _) => level.offset.unwrap_or(0),
        };
        // Databases count in 64-bit numbers with a sign.
        let offset = offset.min(i64::MAX as u64);
        let explicit = level.limit.is_some() || offset > 0;
        Window { limit: rows.map(|rows| Limit { rows, explicit }), offset }
    }
}
