//! The library of files: how content comes in, what is known of it, and what is served.
//!
//! Start at [`Library`]. Every way in (a form, an address to fetch from, an upload in pieces) ends in `receive`, which streams
//! content into the storage and looks at it, and in `Library::create` or `Library::replace`, which write the item over the one door
//! to rows. Content is there before its item is, and goes after its item is gone; `tidy` removes what no item has. Nothing here
//! knows HTTP.

mod asset;
mod detect;
mod fetch;
mod gather;
mod metadata;
mod names;
mod receive;
mod service;
mod sweep;
mod tidy;
mod transform;
mod tus;

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::access::{AccessRules, Accountability, Context};
use crate::config::FilesConfig;
use crate::error::{Error, Result};
use crate::items::{ItemsService, Stored};
use crate::outbound::Outbound;
use crate::query::{QueryLimits, Selection, parse};
use crate::schema::Schema;
use crate::storage::Storage;

pub use asset::{Asset, Opened};
pub use gather::{Packed, PackedContent};
pub use receive::{Received, Said};
pub use service::{Upload, form_value};
pub use sweep::broken_off;
pub use tidy::{Leftovers, tidy};
pub use transform::{Accepts, Wish};
pub use tus::{Beginning, Progress};

/// The collection of files.
pub const FILES: &str = "directus_files";

/// What the library needs, once for the whole process.
pub struct Files {
    config: FilesConfig,
    storage: Storage,
    outbound: Arc<Outbound>,
    workshop: transform::Workshop,
    /// Where content goes that may have no item.
    leftovers: mpsc::UnboundedSender<Leftover>,
}

/// What has become of content, for whoever tidies up.
enum Leftover {
    /// It has no item.
    Nobodys(Stored),
    /// A transaction that would give it one may be on its way still.
    Undecided(Stored),
    /// It has one.
    Settled(Stored),
    /// An image was made and kept: the name of its location, and its size.
    Made(String, u64),
}

impl Files {
    /// The library over the places of the configuration, and what [`tidy()`] works on.
    pub fn new(config: &FilesConfig, outbound: Arc<Outbound>) -> (Self, Leftovers) {
        let (leftovers, left) = mpsc::unbounded_channel();
        let files = Files {
            storage: Storage::new(&config.locations),
            workshop: transform::Workshop::new(&config.assets),
            config: config.clone(),
            outbound,
            leftovers,
        };
        (files, Leftovers::new(left))
    }

    /// The library, with the door to rows.
    pub fn library<'a>(&'a self, items: &'a ItemsService) -> Library<'a> {
        Library { files: self, items }
    }

    /// What the operator decided.
    pub fn config(&self) -> &FilesConfig {
        &self.config
    }
}

/// The library of files.
#[derive(Clone, Copy)]
pub struct Library<'a> {
    files: &'a Files,
    items: &'a ItemsService,
}

/// Where content comes from.
pub trait Source {
    /// The next bytes; `None` at the end.
    fn piece(&mut self) -> impl Future<Output = Result<Option<Bytes>>>;
}

/// The server itself, for what it has to know whoever asks.
fn as_server(schema: &Arc<Schema>, now: Timestamp, request_id: Uuid) -> Context {
    Context {
        accountability: Arc::new(Accountability { admin: true, ..Accountability::default() }),
        rules: Arc::new(AccessRules::Everything),
        schema: schema.clone(),
        now,
        request_id,
    }
}

fn server_of(ctx: &Context) -> Context {
    as_server(&ctx.schema, ctx.now, ctx.request_id)
}

impl Library<'_> {
    /// `data` of what a query finds.
    async fn read(
        &self,
        ctx: &Context,
        collection: &str,
        selection: Selection,
        query: Value,
    ) -> Result<Value> {
        let Value::Object(query) = query else { return Err(Error::Forbidden) };
        let query = parse::parse_object(&query, &QueryLimits::default())?;
        let mut document = b"{".to_vec();
        document.extend(self.items.read(ctx, collection, selection, query).await?);
        document.push(b'}');
        let mut document: Map<String, Value> = serde_json::from_slice(&document).map_err(Error::internal)?;
        Ok(document.remove("data").unwrap_or_default())
    }
}
