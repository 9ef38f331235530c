//! The value behind the door: schemas and documents that were made before, and the way from a request to its answer.

use std::sync::{Arc, Weak};

use moka::sync::Cache;

use super::build::{Built, Describe, build};
use super::document::{Prepared, prepare};
use super::met::Met;
use super::request::Request;
use super::run::{Extra, Run};
use super::shape::{Caller, Scope, Shape};
use crate::access::Context;
use crate::config::GraphqlConfig;
use crate::error::{Error, Result};
use crate::items::ItemsService;
use crate::query::QueryLimits;

/// Memory that kept schemas may take, in bytes, roughly.
const MOST_SCHEMA_BYTES: u64 = 256 << 20;
/// The same for documents.
const MOST_DOCUMENT_BYTES: u64 = 16 << 20;
/// The same for what schemas say of themselves.
const MOST_DESCRIPTION_BYTES: u64 = 16 << 20;
/// Sets of rights whose schema is remembered; an entry takes some hundred bytes.
const MOST_RIGHTS: u64 = 10_000;
/// Callers for whom a new model is described before they ask.
const MOST_CALLERS: u64 = 100;
/// Longer documents are not expected twice.
const LONGEST_KEPT: usize = 64 << 10;

/// Answers GraphQL requests. One for the whole process.
pub struct GraphQl {
    pub(super) items: Arc<ItemsService>,
    pub(super) limits: QueryLimits,
    pub(super) config: GraphqlConfig,
    describe: Describe,
    /// Schemas by what they are made of.
    built: Cache<(u64, Arc<Shape>), Arc<Built>>,
    /// The same by whose they are.
    known: Cache<RightsKey, Weak<Built>>,
    /// Who asked lately, by key; `None` for visitors.
    callers: Cache<(Option<String>, Scope), ()>,
    documents: Cache<(u64, Box<str>), Arc<Prepared>>,
    /// Documents that came lately.
    met: Met,
    /// Descriptions of schemas, by document and variables.
    pub(super) descriptions: Cache<(u64, String), Arc<str>>,
}

/// On what the schema of a caller depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct RightsKey {
    schema: u64,
    rules: u64,
    scope: Scope,
    caller: Caller,
}

impl GraphQl {
    /// Nothing is kept yet. `describe` adds to schemas what the adapter answers by itself.
    pub fn new(
        items: Arc<ItemsService>,
        limits: QueryLimits,
        config: GraphqlConfig,
        describe: Describe,
    ) -> Self {
        // No schema counts for less than its share, so that there are never more than the operator wants.
        let least = MOST_SCHEMA_BYTES / config.schemas.max(1);
        let built = Cache::builder()
            .max_capacity(MOST_SCHEMA_BYTES)
            .weigher(move |_, built: &Arc<Built>| {
                u32::try_from((built.size_bytes as u64).max(least)).unwrap_or(u32::MAX)
            })
            .build();
        let documents = Cache::builder()
            .max_capacity(MOST_DOCUMENT_BYTES)
            .weigher(|_, prepared: &Arc<Prepared>| u32::try_from(prepared.size_bytes).unwrap_or(u32::MAX))
            .build();
        let descriptions = Cache::builder()
            .max_capacity(MOST_DESCRIPTION_BYTES)
            .weigher(|key: &(u64, String), text: &Arc<str>| {
                u32::try_from(key.1.len() + text.len()).unwrap_or(u32::MAX)
            })
            .build();
        let (known, callers) = (Cache::new(MOST_RIGHTS), Cache::new(MOST_CALLERS));
        GraphQl {
            items,
            limits,
            config,
            describe,
            built,
            known,
            callers,
            documents,
            met: Met::default(),
            descriptions,
        }
    }

    /// How much a request may ask for.
    pub fn config(&self) -> &GraphqlConfig {
        &self.config
    }

    /// Answers a request with the members of a JSON document: `data`, and `errors` where there are any.
    ///
    /// Fails with `GraphqlValidation` for what cannot be done at all, and with `MethodNotAllowed` for a mutation where
    /// `may_change` is false. What fails for one field of the root only is told in the answer.
    pub async fn answer(
        &self,
        ctx: &Context,
        scope: Scope,
        request: &Request,
        may_change: bool,
        extra: &dyn Extra,
    ) -> Result<Vec<u8>> {
        let built = self.built(ctx, scope).await?;
        let prepared = self.prepared(&built, &request.query).await?;
        let run = Run { door: self, ctx, built: &built, prepared: &prepared, extra };
        run.answer(request, may_change).await
    }

    /// Users (`None` for visitors) who asked lately, so that whoever changes the model can have it described for them.
    pub fn callers(&self) -> Vec<(Option<String>, Scope)> {
        self.callers.iter().map(|(caller, ())| caller.as_ref().clone()).collect()
    }

    /// Builds the schema of a caller before it is asked for.
    pub async fn get_ready(&self, ctx: &Context, scope: Scope) -> Result<()> {
        self.built(ctx, scope).await.map(drop)
    }

    /// The schema of what the caller may use, in the language of schemas.
    pub async fn sdl(&self, ctx: &Context, scope: Scope) -> Result<String> {
        Ok(self.built(ctx, scope).await?.checker.sdl())
    }

    /// The schema of a caller.
    pub(super) async fn built(&self, ctx: &Context, scope: Scope) -> Result<Arc<Built>> {
        let caller = Caller::of(ctx, scope);
        let key = RightsKey { schema: ctx.schema.version, rules: ctx.rules.id(), scope, caller };
        if let Some(built) = self.known.get(&key).and_then(|known| known.upgrade()) {
            return Ok(built);
        }
        let shape = Arc::new(Shape::of(ctx, scope));
        let place = (ctx.schema.version, shape.clone());
        let built = match self.built.get(&place) {
            Some(built) => built,
            None => {
                let (kept, schema, describe) = (self.built.clone(), ctx.schema.clone(), self.describe);
                // Large models take their time, which other requests of this thread need not wait for. Whoever asks for the same
                // meanwhile waits for this one.
                let make =
                    move || kept.try_get_with(place, || build(&schema, &shape, describe).map(Arc::new));
                let made = tokio::task::spawn_blocking(make).await.map_err(Error::internal)?;
                made.map_err(|error| Error::internal(anyhow::anyhow!("no schema could be built: {error:?}")))?
            }
        };
        self.known.insert(key, Arc::downgrade(&built));
        self.callers.insert((ctx.accountability.user.clone(), scope), ());
        Ok(built)
    }

    /// A document, read and checked; one that was sent before costs neither.
    pub(super) async fn prepared(&self, built: &Built, query: &str) -> Result<Arc<Prepared>> {
        let key = (built.id, Box::from(query));
        if let Some(prepared) = self.documents.get(&key) {
            return Ok(prepared);
        }
        let is_kept = query.len() <= LONGEST_KEPT && self.met.before(&key);
        let prepared = prepare(built, query, &self.config, self.limits.max_depth, is_kept).await?;
        let prepared = Arc::new(prepared);
        if is_kept {
            self.documents.insert(key, prepared.clone());
        }
        Ok(prepared)
    }
}

/// The schema of what the caller of this context may use, in the language of schemas.
pub fn sdl(ctx: &Context, scope: Scope, describe: Describe) -> Result<String> {
    Ok(build(&ctx.schema, &Shape::of(ctx, scope), describe)?.checker.sdl())
}
