//! Reads, and the plans kept for those that come again.
//!
//! Start at [`ItemsService::read`]. The text of a query string is the name of its plan: one that was seen before costs neither
//! parsing nor planning. The plan of one item serves every key.

use std::sync::Arc;

use indexmap::IndexMap;
use moka::sync::Cache;

use super::known;
use super::service::ItemsService;
use crate::access::Context;
use crate::db::JsonBytes;
use crate::error::{Error, Result};
use crate::filter::values;
use crate::query::{self, KeySelection, Meta, Plan, Query, QueryLimits, Selection};
use crate::schema::ColumnType;
use crate::sql::{self, Dialect, Param, ReadStatements};

/// Memory that kept plans may take, in bytes, roughly.
const MOST_BYTES: u64 = 16 * 1024 * 1024;
/// Longer query strings are not expected twice.
const LONGEST_KEPT: usize = 4096;

impl ItemsService {
    /// Reads items as the members of one JSON document, `"data":...` and, if asked for, `"meta":...`, written straight from typed
    /// columns.
    ///
    /// Fails with `Forbidden` for what is not there or may not be seen, with `InvalidQuery` for what does not fit or passes a limit.
    pub async fn read(
        &self,
        ctx: &Context,
        collection: &str,
        selection: Selection,
        query: Query,
    ) -> Result<JsonBytes> {
        if query.version.is_some() {
            // Rarely, and large: other reads should not carry it along.
            return Box::pin(self.read_version(ctx, collection, selection, query)).await;
        }
        self.read_main(ctx, collection, selection, query).await
    }

    /// The same of the items themselves, not of a version.
    pub(super) async fn read_main(
        &self,
        ctx: &Context,
        collection: &str,
        selection: Selection,
        query: Query,
    ) -> Result<JsonBytes> {
        let dialect = self.database.dialect();
        let compiled = compile(ctx, dialect, collection, &selection, &query, &self.settings.query)?;
        self.database(ctx)?.read_json(&compiled.plan, &compiled.statements).await
    }

    /// The same for a query string as it came, whose plan is kept.
    pub async fn read_url(
        &self,
        ctx: &Context,
        collection: &str,
        selection: Selection,
        raw: &str,
    ) -> Result<JsonBytes> {
        let key = PlanKey::of(ctx, collection, &selection, ["?", raw]);
        self.read_kept(ctx, collection, selection, key, || {
            query::parse::parse_string(raw, &self.settings.query)
        })
        .await
    }

    /// The same for a query that is asked for in other words: `name` says all that it depends on, beside the key of the item, and
    /// `query` makes it where its plan is not known yet.
    pub async fn read_named(
        &self,
        ctx: &Context,
        collection: &str,
        selection: Selection,
        name: &str,
        query: impl FnOnce() -> Result<Query>,
    ) -> Result<JsonBytes> {
        // No query string begins so.
        let key = PlanKey::of(ctx, collection, &selection, ["\0", name]);
        self.read_kept(ctx, collection, selection, key, query).await
    }

    async fn read_kept(
        &self,
        ctx: &Context,
        collection: &str,
        selection: Selection,
        key: Option<PlanKey>,
        query: impl FnOnce() -> Result<Query>,
    ) -> Result<JsonBytes> {
        if let Some(compiled) = key.as_ref().and_then(|key| self.plans.kept.get(key)) {
            let statements = compiled.for_selection(self.database.dialect(), &selection)?;
            return self.database(ctx)?.read_json(&compiled.plan, &statements).await;
        }
        let query = query()?;
        if query.version.is_some() {
            return Box::pin(self.read_version(ctx, collection, selection, query)).await;
        }
        let dialect = self.database.dialect();
        let compiled = compile(ctx, dialect, collection, &selection, &query, &self.settings.query)?;
        let (plan, statements) = (compiled.plan.clone(), compiled.statements.clone());
        if let Some(key) = key.filter(|_| !compiled.is_personal) {
            self.plans.kept.insert(key, Arc::new(compiled));
        }
        self.database(ctx)?.read_json(&plan, &statements).await
    }

    /// The plan by which one written item is answered, before its key is known, and the query unless the plan was made before.
    /// There is none for what cannot be read so, which whoever has the key will say.
    pub(super) fn answer_plan(
        &self,
        ctx: &Context,
        collection: &str,
        raw: &str,
    ) -> Result<(Option<Arc<Compiled>>, Option<Query>)> {
        let name = PlanKey::named(ctx, collection, Kind::Answer, ["?", raw]);
        if let Some(kept) = name.as_ref().and_then(|name| self.plans.kept.get(name)) {
            return Ok((Some(kept), None));
        }
        let query = query::parse::parse_string(raw, &self.settings.query)?;
        let answer = Query { aggregate: IndexMap::new(), group_by: Vec::new(), ..query.clone() };
        let selection = Selection::Key(any_key(ctx, collection));
        let dialect = self.database.dialect();
        let compiled = compile(ctx, dialect, collection, &selection, &answer, &self.settings.query);
        let Ok(compiled) = compiled.map(Arc::new) else { return Ok((None, Some(query))) };
        if let Some(name) = name.filter(|_| !compiled.is_personal && query.version.is_none()) {
            self.plans.kept.insert(name, compiled.clone());
        }
        Ok((Some(compiled), Some(query)))
    }
}

/// A key as one could be.
fn any_key(ctx: &Context, collection: &str) -> String {
    let found = ctx.schema.get(collection);
    let column = found.and_then(|found| found.field(found.key()?).column.as_ref());
    match column.map(|column| &column.column_type) {
        Some(ColumnType::Integer | ColumnType::BigInteger) => "0".to_owned(),
        _ => uuid::Uuid::nil().to_string(),
    }
}

/// A read, ready to run.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) plan: Arc<Plan>,
    pub(super) statements: Arc<ReadStatements>,
    /// Good for this one request only.
    is_personal: bool,
    /// It shows columns of the rows as they are; see `known`.
    pub(super) is_plain: bool,
    /// Of several items asked for by their keys the query leaves none out and says nothing of their order.
    pub(super) takes_all: bool,
}

/// Resolves and plans a query and writes its statements.
pub(super) fn compile(
    ctx: &Context,
    dialect: Dialect,
    collection: &str,
    selection: &Selection,
    query: &Query,
    limits: &QueryLimits,
) -> Result<Compiled> {
    let resolved = query::resolve(ctx, collection, selection, query, limits)?;
    let is_personal = resolved.is_personal;
    let plan = query::plan(&ctx.schema, resolved);
    let statements = sql::build_read(&ctx.schema, dialect, &plan)?;
    let takes_all = query.sort.is_empty()
        && (query.limit, query.offset, query.page, &query.cursor) == (None, None, None, &None)
        && query.meta == Meta::default();
    let is_plain = known::is_plain(&plan);
    Ok(Compiled { plan: Arc::new(plan), statements: Arc::new(statements), is_personal, is_plain, takes_all })
}

impl Compiled {
    /// The statements with the key that is asked for now in place of the one they were written with.
    pub(super) fn for_selection(
        &self,
        dialect: Dialect,
        selection: &Selection,
    ) -> Result<Arc<ReadStatements>> {
        let (Selection::Key(key), Plan::Items(plan)) = (selection, &*self.plan) else {
            return Ok(self.statements.clone());
        };
        let Some(KeySelection::One(known)) = plan.nodes.first().map(|root| &root.selection) else {
            return Ok(self.statements.clone());
        };
        let value = values::coerce(&key.as_str().into(), &known.column_type).ok_or(Error::Forbidden)?;
        let mut statements = (*self.statements).clone();
        if let Some(last) = statements.levels.first_mut().and_then(|root| root.params.last_mut()) {
            *last = Param::Value(sql::dialect::stored(dialect, &value, &known.column_type));
        }
        Ok(Arc::new(statements))
    }

    /// What it takes in memory, roughly.
    fn size_bytes(&self) -> usize {
        let texts: usize = self.statements.levels.iter().map(|statement| statement.text.len()).sum();
        // Beside the texts there are columns and rendered keys, which grow with them.
        1024 + 6 * texts
    }
}

/// Plans that were made before.
pub(super) struct PlanCache {
    kept: Cache<PlanKey, Arc<Compiled>, foldhash::quality::RandomState>,
}

impl Default for PlanCache {
    fn default() -> Self {
        let weigh = |key: &PlanKey, compiled: &Arc<Compiled>| {
            u32::try_from(key.text.len() + compiled.size_bytes()).unwrap_or(u32::MAX)
        };
        let kept = Cache::builder()
            .max_capacity(MOST_BYTES)
            .weigher(weigh)
            .build_with_hasher(foldhash::quality::RandomState::default());
        PlanCache { kept }
    }
}

impl PlanCache {
    pub(super) fn forget(&self) {
        self.kept.invalidate_all();
    }
}

/// What a plan depends on.
#[derive(Debug, PartialEq, Eq, Hash)]
struct PlanKey {
    schema: u64,
    rules: u64,
    kind: Kind,
    /// The collection and the query string, or what stands for it.
    text: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Query,
    Key,
    Singleton,
    /// One item that was written.
    Answer,
}

impl PlanKey {
    /// `None` for what is not kept: lists of keys, long texts, and texts with a credential in them.
    fn of(ctx: &Context, collection: &str, selection: &Selection, [mark, raw]: [&str; 2]) -> Option<Self> {
        let kind = match selection {
            Selection::Query => Kind::Query,
            Selection::Key(_) => Kind::Key,
            Selection::Singleton => Kind::Singleton,
            Selection::Keys(_) => return None,
        };
        PlanKey::named(ctx, collection, kind, [mark, raw])
    }

    fn named(ctx: &Context, collection: &str, kind: Kind, [mark, raw]: [&str; 2]) -> Option<Self> {
        if raw.len() > LONGEST_KEPT || raw.contains("access_token") {
            return None;
        }
        let text = [collection, mark, raw].concat().into();
        Some(PlanKey { schema: ctx.schema.version, rules: ctx.rules.id(), kind, text })
    }
}
