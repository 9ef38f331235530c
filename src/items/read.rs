//! Reading items.

use super::answer::compile;
use super::service::ItemsService;
use crate::access::Context;
use crate::db::JsonBytes;
use crate::error::Result;
use crate::query::{Query, Selection};

impl ItemsService {
    /// Reads items as the members of an answer.
    pub async fn read(&self, ctx: &Context, collection: &str, selection: Selection, query: Query) -> Result<JsonBytes> {
        let (plan, statements) = compile(ctx, self.database.dialect(), collection, &selection, &query, &self.settings.query)?;
        self.database.read_json(&plan, &statements).await
    }
}
