//! What the API looks like, written down for programs: an OpenAPI document and TypeScript types, both made from the model.
//!
//! Start at [`Specs::openapi`], which describes what one caller may use, and at [`typescript()`]. Nothing here answers requests;
//! the routes that are the same for every model stand in `openapi/fixed/*.yaml`, and a test of `rest` holds them against the
//! router.

mod openapi;
mod typescript;

use std::sync::Arc;

use moka::sync::Cache;

use crate::access::Context;

pub use openapi::{IsRoute, document};
pub use typescript::typescript;

/// Memory that kept documents may take, in bytes.
const MOST_BYTES: u64 = 16 << 20;

/// Documents, kept per model and set of rights.
pub struct Specs {
    public_url: String,
    is_route: IsRoute,
    documents: Cache<Key, Arc<str>>,
}

/// What a document depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    schema: u64,
    rules: u64,
    is_user: bool,
}

impl Specs {
    /// Nothing is kept yet; documents will name this address of the server, and routes that there are.
    pub fn new(public_url: &str, is_route: IsRoute) -> Self {
        let documents = Cache::builder()
            .max_capacity(MOST_BYTES)
            .weigher(|_, text: &Arc<str>| u32::try_from(text.len()).unwrap_or(u32::MAX))
            .build();
        Specs { public_url: public_url.to_owned(), is_route, documents }
    }

    /// The OpenAPI document of what this caller may use, as JSON.
    pub fn openapi(&self, ctx: &Context) -> Arc<str> {
        let key = Key {
            schema: ctx.schema.version,
            rules: ctx.rules.id(),
            is_user: ctx.accountability.user.is_some(),
        };
        self.documents.get_with(key, || document(ctx, &self.public_url, self.is_route).to_string().into())
    }
}
