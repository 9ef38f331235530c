//! The database as far as a caller reaches, where it keeps tenants apart by itself.

use std::sync::Arc;

use super::service::ItemsService;
use crate::access::Context;
use crate::db::Database;
use crate::db::row_security::{Reach, Tenants};
use crate::error::Result;
use crate::sql;

impl ItemsService {
    /// The database with no more in reach than the rows of the caller's tenants. Whatever is done for somebody goes through here.
    pub(super) fn database(&self, ctx: &Context) -> Result<Database> {
        if !self.database.has_row_security() {
            return Ok(self.database.clone());
        }
        let Some(tenants) = ctx.rules.tenants(&ctx.schema, ctx.now) else { return Ok(self.database.clone()) };
        let dialect = self.database.dialect();
        let mut reached = Vec::with_capacity(tenants.len());
        for (id, mine) in tenants {
            reached.push(Tenants {
                collection: Arc::from(&*ctx.schema.collection(id).name),
                found: sql::build_found(&ctx.schema, dialect, id, &mine, None)?,
            });
        }
        Ok(self.database.within(Reach::Tenants(reached.into())))
    }
}
