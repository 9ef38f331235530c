//! From a [`Query`] to a [`Resolved`] one: names become ids, wildcards are expanded, limits applied.
//!
//! Start at [`resolve`]. What the caller may not see is refused here and nowhere later; which rows the caller may see is
//! collected in [`Resolved::rules`] for every collection that the query touches.

mod aggregate;
mod fields;
mod members;
mod order;
mod search;
mod window;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

use super::cursor::{self, Continuation};
use super::{
    DeepQuery, Document, Form, KeySelection, Member, Members, Meta, Query, QueryLimits, Resolved,
    ResolvedQuery, ResolvedRead, RowRules, Selection, Sort, SortPath,
};
use crate::access::{Action, CollectionRules, Context, FieldRules};
use crate::error::{Error, Result};
use crate::filter::{self, Env, Filter, Found, Operand, Syntax, Target, values};
use crate::schema::{CollectionId, FieldId, Schema};

/// Resolves a query against a collection.
///
/// Fails with `Forbidden` for a collection or field that is not there or may not be read, and for a key that can belong
/// to no item; with `InvalidQuery` for everything else that does not fit.
pub fn resolve(
    ctx: &Context,
    collection: &str,
    selection: &Selection,
    query: &Query,
    limits: &QueryLimits,
) -> Result<Resolved> {
    let rights = Rights { ctx, known: RefCell::default() };
    let may_read = |collection, field| rights.may_read(collection, field);
    let is_open = |collection| rights.is_open(collection);
    let env = Env {
        schema: &ctx.schema,
        variables: ctx.variables(),
        may_read: &may_read,
        is_open: &is_open,
        is_rule: false,
    };
    let mut resolver = Resolver { env, rights: &rights, limits, found: Found::default(), levels: 0 };
    let id = ctx.schema.find(collection).ok_or(Error::Forbidden)?;
    // A folder has no table behind it.
    if !rights.is_open(id) || ctx.schema.collection(id).fields().next().is_none() {
        return Err(Error::Forbidden);
    }
    let form = if query.members.is_some() { Form::Typed } else { Form::Plain };
    let query = resolver.root(id, selection, query)?;
    let found = resolver.found;
    let rules = rights.row_rules(&found.touched);
    // No page is asked for twice.
    let is_page = matches!(&query, ResolvedQuery::Items(read) if read.continuation.as_ref().is_some_and(|c| c.after.is_some()));
    Ok(Resolved {
        query,
        rules,
        is_personal: is_page || found.is_personal || rights.is_momentary(&found.touched),
        form,
    })
}

/// What the caller may read, looked up once per collection.
struct Rights<'a> {
    ctx: &'a Context,
    known: RefCell<HashMap<CollectionId, Option<Arc<CollectionRules>>>>,
}

impl Rights<'_> {
    fn of(&self, collection: CollectionId) -> Option<Arc<CollectionRules>> {
        let mut known = self.known.borrow_mut();
        known.entry(collection).or_insert_with(|| self.ctx.allowed(collection, Action::Read)).clone()
    }

    fn is_open(&self, collection: CollectionId) -> bool {
        self.of(collection).is_some()
    }

    fn may_read(&self, collection: CollectionId, field: FieldId) -> bool {
        self.of(collection).is_some_and(|rules| rules.fields.contains(field))
    }

    /// The field may be seen in every row that may be seen at all.
    fn sees_everywhere(&self, collection: CollectionId, field: FieldId) -> bool {
        self.of(collection).is_some_and(|rules| rules.fields.rows_of(field).is_none())
    }

    /// What the statements have to respect. A collection that is not open shows no rows, whatever led there.
    fn row_rules(&self, touched: &BTreeSet<CollectionId>) -> RowRules {
        let mut all = RowRules::default();
        for collection in touched {
            let Some(rules) = self.of(*collection) else {
                all.rows.insert(*collection, Filter::Or(Vec::new()));
                continue;
            };
            all.rows.extend(rules.rows.clone().map(|filter| (*collection, filter)));
            if let FieldRules::Some(fields) = &rules.fields {
                let gated = fields.iter().filter_map(|(field, rows)| Some((*field, rows.clone()?)));
                all.fields.extend(gated.map(|(field, rows)| ((*collection, field), rows)));
            }
        }
        all
    }

    fn is_momentary(&self, touched: &BTreeSet<CollectionId>) -> bool {
        touched.iter().any(|collection| self.of(*collection).is_some_and(|rules| rules.is_momentary))
    }
}

/// The parameters of one level, from the query itself or from `deep`.
struct Level<'q> {
    filter: Option<&'q Syntax>,
    search: Option<&'q str>,
    sort: &'q [SortPath],
    limit: Option<i64>,
    offset: Option<u64>,
    page: Option<u64>,
    deep: Option<&'q IndexMap<String, DeepQuery>>,
    alias: Option<&'q IndexMap<String, String>>,
    members: Option<&'q [Member]>,
}

impl<'q> Level<'q> {
    const EMPTY: Level<'static> = Level {
        filter: None,
        search: None,
        sort: &[],
        limit: None,
        offset: None,
        page: None,
        deep: None,
        alias: None,
        members: None,
    };

    fn of_query(query: &'q Query) -> Self {
        Level {
            filter: query.filter.as_ref(),
            search: query.search.as_deref(),
            sort: &query.sort,
            limit: query.limit,
            offset: query.offset,
            page: query.page,
            deep: Some(&query.deep),
            alias: Some(&query.alias),
            members: match &query.members {
                Some(Members::Items(members)) => Some(members),
                Some(Members::Figures(_)) | None => None,
            },
        }
    }

    fn of_deep(query: &'q DeepQuery) -> Self {
        Level {
            filter: query.filter.as_ref(),
            search: query.search.as_deref(),
            sort: &query.sort,
            limit: query.limit,
            offset: query.offset,
            page: query.page,
            deep: Some(&query.deep),
            alias: Some(&query.alias),
            members: query.members.as_deref(),
        }
    }

    /// The parameters of a relation of this level; the alias counts where there is one.
    fn below(&self, key: &str) -> Level<'q> {
        self.deep.and_then(|deep| deep.get(key)).map_or(Level::EMPTY, Level::of_deep)
    }
}

/// What each level needs: what stays the same, and what was seen so far.
struct Resolver<'a> {
    env: Env<'a>,
    rights: &'a Rights<'a>,
    limits: &'a QueryLimits,
    found: Found,
    levels: usize,
}

impl<'a> Resolver<'a> {
    fn schema(&self) -> &'a Schema {
        self.env.schema
    }

    fn root(
        &mut self,
        collection: CollectionId,
        selection: &Selection,
        query: &Query,
    ) -> Result<ResolvedQuery> {
        self.touch(collection)?;
        let wants_figures = match &query.members {
            Some(Members::Figures(_)) => true,
            Some(Members::Items(_)) => false,
            None => !query.aggregate.is_empty() || !query.group_by.is_empty(),
        };
        if wants_figures && *selection == Selection::Query {
            return self.aggregate(collection, query).map(ResolvedQuery::Aggregate);
        }
        let level = Level::of_query(query);
        let paths: Vec<&[String]> = query.fields.iter().map(Vec::as_slice).collect();
        let output = self.output(collection, &paths, &level)?;
        let (document, keys, filter) = match selection {
            Selection::Query => (Document::List, KeySelection::Any, self.filter(collection, &level)?),
            Selection::Keys(keys) => {
                let keys = keys.iter().map(|key| self.key(collection, key)).collect::<Result<_>>()?;
                (Document::List, KeySelection::Many(keys), self.filter(collection, &level)?)
            }
            Selection::Key(key) => {
                let key = KeySelection::One(self.key(collection, key)?);
                (Document::One, key, self.filter(collection, &level)?)
            }
            Selection::Singleton => (Document::Singleton, KeySelection::Any, None),
        };
        let is_list = document == Document::List;
        let window = match selection {
            // As many rows as keys, unless less is asked for.
            Selection::Keys(_) if level.limit.is_none() => {
                window::Window { limit: None, ..self.window(&level) }
            }
            _ if is_list => self.window(&level),
            _ => window::Window::default(),
        };
        let order = if matches!(selection, Selection::Key(_)) {
            Vec::new()
        } else {
            let asked = if is_list { level.sort } else { &[] };
            self.order(collection, asked, None)?
        };
        let continuation = if is_list { self.continuation(collection, query, &order)? } else { None };
        Ok(ResolvedQuery::Items(ResolvedRead {
            collection,
            document,
            selection: keys,
            output,
            filter,
            sort: order,
            limit: window.limit,
            offset: window.offset,
            meta: if is_list { query.meta } else { Meta::default() },
            continuation,
        }))
    }

    /// How the pages of a list follow one another, where that is asked for.
    ///
    /// Fails with `InvalidQuery` for an order that goes by more than fields of the items themselves, and for keys that are hidden.
    fn continuation(
        &self,
        collection: CollectionId,
        query: &Query,
        order: &[Sort],
    ) -> Result<Option<Continuation>> {
        if query.cursor.is_none() && !query.meta.next_cursor {
            return Ok(None);
        }
        if query.offset.is_some() || query.page.is_some() {
            return Err(Error::query("\"cursor\" takes the place of \"offset\" and \"page\""));
        }
        let found = self.schema().collection(collection);
        let fields: Option<Vec<FieldId>> = order
            .iter()
            .map(|sort| match sort.target {
                Target::Field(field) if sort.path.is_empty() && found.field(field).column.is_some() => {
                    Some(field)
                }
                _ => None,
            })
            .collect();
        let fields = fields.ok_or_else(|| {
            Error::query("\"cursor\" follows an order by fields of the items themselves only")
        })?;
        // The order ends with the key; one that may not be seen may not stand in a cursor either.
        let is_seen = found.key().is_some_and(|key| {
            self.rights.may_read(collection, key) && self.rights.sees_everywhere(collection, key)
        });
        if !is_seen {
            return Err(Error::query("\"cursor\" needs a primary key that may be read"));
        }
        let hash = cursor::hash(&found.name, query, order);
        let after = match &query.cursor {
            Some(text) => Some(cursor::after(text, hash, found, order, &fields)?),
            None => None,
        };
        Ok(Some(Continuation { after, fields, hash }))
    }

    /// Counts a level and remembers its collection.
    fn touch(&mut self, collection: CollectionId) -> Result<()> {
        self.levels += 1;
        if self.levels > self.limits.max_levels {
            let most = self.limits.max_levels;
            return Err(Error::query(format_args!("\"fields\" follows more than {most} relations")));
        }
        self.found.touched.insert(collection);
        Ok(())
    }

    /// The filter and the search of a level.
    fn filter(&mut self, collection: CollectionId, level: &Level<'_>) -> Result<Option<Filter>> {
        let filter = match level.filter {
            Some(syntax) => Some(filter::resolve(&self.env, &mut self.found, collection, syntax)?),
            None => None,
        };
        let search = level.search.map(|text| self.search(collection, text));
        let asks = |filter: &Filter| !matches!(filter, Filter::And(parts) if parts.is_empty());
        Ok(match (filter.filter(asks), search) {
            (Some(filter), Some(search)) => Some(Filter::And(vec![filter, search])),
            (one, other) => one.or(other),
        })
    }

    /// A key as its column takes it. One that cannot be a key belongs to no item, which callers are told like a hidden one.
    fn key(&self, collection: CollectionId, key: &str) -> Result<Operand> {
        let id = self.schema().collection(collection).key().ok_or(Error::Forbidden)?;
        let column = self.schema().field(collection, id).column.as_ref().ok_or(Error::Forbidden)?;
        let value = values::coerce(&Value::from(key), &column.column_type).ok_or(Error::Forbidden)?;
        Ok(Operand { value, column_type: column.column_type.clone() })
    }
}
