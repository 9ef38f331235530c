//! What system collections do beyond what every collection does.
//!
//! Start at [`SystemItems`]: one file per subject. Rows are read and written through `items`; what is here happens around that. Knows no
//! HTTP.

mod comments;
mod extensions;
mod info;
mod notifications;
pub mod random;
mod revisions;
pub mod rights;
mod versions;

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::access::{AccessRules, Context};
use crate::auth::{Authenticator, Links};
use crate::error::{Error, Result};
use crate::items::{IdempotencyKey, ItemPayload, ItemsService, Operation, WriteAnswer, document};
use crate::mail::Mailer;
use crate::query::{Query, QueryLimits, Selection, parse};

/// The services that system collections need.
#[derive(Clone, Copy)]
pub struct SystemItems<'a> {
    /// Rows.
    pub items: &'a ItemsService,
    /// Who is there.
    pub auth: &'a Authenticator,
    /// Letters.
    pub mailer: &'a Mailer,
    /// Where they lead.
    pub links: &'a Links,
}

/// How a write is answered.
#[derive(Debug, Default)]
pub struct Reply {
    /// Which fields of what was written are told.
    pub query: Option<Query>,
    /// Under this key it is done once.
    pub idempotency: Option<IdempotencyKey>,
}

impl SystemItems<'_> {
    async fn write(
        &self,
        ctx: &Context,
        collection: &str,
        operation: Operation,
        reply: Reply,
    ) -> Result<WriteAnswer> {
        self.items.write(ctx, collection, operation, reply.query, reply.idempotency).await
    }

    /// Items of a collection as far as the caller may see them.
    async fn read(
        &self,
        ctx: &Context,
        collection: &str,
        selection: Selection,
        query: Value,
    ) -> Result<Value> {
        let Value::Object(query) = query else { return Err(Error::query("a query is an object")) };
        let query = parse::parse_object(&query, &QueryLimits::default())?;
        document(&self.items.read(ctx, collection, selection, query).await?)
    }
}

/// The server itself, on behalf of whoever asks.
fn everything(ctx: &Context) -> Context {
    Context { rules: Arc::new(AccessRules::Everything), ..ctx.clone() }
}

/// The payloads of a creation.
fn payloads(operation: &Operation) -> &[ItemPayload] {
    match operation {
        Operation::Create(payload) => std::slice::from_ref(payload),
        Operation::CreateMany(payloads) => payloads,
        _ => &[],
    }
}

fn text<'a>(payload: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    payload.get(name).and_then(Value::as_str)
}
