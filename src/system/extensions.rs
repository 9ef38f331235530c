//! What is known of extensions.

use serde_json::{Value, json};

use super::SystemItems;
use crate::access::Context;
use crate::error::Result;
use crate::query::Selection;

impl SystemItems<'_> {
    /// Every extension that the caller may see.
    pub async fn extensions(&self, ctx: &Context) -> Result<Vec<Value>> {
        let fields = json!({ "fields": "*", "sort": "folder", "limit": -1 });
        let rows = self.read(ctx, "directus_extensions", Selection::Query, fields).await?;
        let told = |row: &Value| {
            json!({
                "id": row["id"],
                "name": row["folder"],
                "bundle": row["bundle"],
                "meta": row,
                // What an extension holds is known once it runs.
                "schema": null,
            })
        };
        Ok(rows.as_array().into_iter().flatten().map(told).collect())
    }
}
