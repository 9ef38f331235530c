//! What stands in rows that changed, read once for everybody, so that nobody's query runs for rows that it is sure not to find.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::Desk;
use super::subscription::{Spec, parsed};
use crate::access::{AccessRules, Action, Context};
use crate::error::Result;
use crate::filter::{self, Env, Filter, Found, Syntax};
use crate::query::{Query, Selection};
use crate::schema::{CollectionId, FieldId};

/// Rows that are read together.
const ROWS_TOGETHER: usize = 500;

/// What decides whether a group is told of a row, as far as the row's own values show it.
pub(super) struct Sieve {
    /// All of these must hold, with fields that count as unknown.
    filters: Vec<(Filter, BTreeSet<FieldId>)>,
    /// Fields that are needed, with their names.
    fields: Vec<(FieldId, Box<str>)>,
}

impl Sieve {
    /// `None` where no value of a row alone decides anything.
    pub(super) fn of(spec: &Spec, ctx: &Context) -> Option<Self> {
        let id = ctx.schema.find(&spec.collection)?;
        let collection = ctx.schema.collection(id);
        let rules = ctx.allowed(id, Action::Read)?;
        let mut filters = Vec::new();
        if let Some(rows) = rules.rows.as_ref().filter(|_| !rules.is_momentary) {
            filters.push((rows.clone(), BTreeSet::new()));
        }
        if let Some(asked) = spec.filter().and_then(|syntax| resolved(ctx, id, syntax)) {
            // What is hidden in some rows is compared as null there.
            let is_hidden = |field: &FieldId| rules.fields.rows_of(*field).is_some();
            let hidden = collection.fields().map(|(id, _)| id).filter(is_hidden).collect();
            filters.push((asked, hidden));
        }
        let mut telling = BTreeSet::new();
        for (filter, hidden) in &filters {
            let mut found = BTreeSet::new();
            filter::telling_fields(filter, collection, &mut found);
            telling.extend(found.difference(hidden));
        }
        let name = |id: FieldId| (id, Box::from(&*collection.field(id).name));
        let fields: Vec<_> = telling.into_iter().map(name).collect();
        (!fields.is_empty() && !collection.singleton).then_some(Sieve { filters, fields })
    }

    /// Whether a query might find this row.
    fn lets_through(&self, row: &Map<String, Value>) -> bool {
        self.filters.iter().all(|(filter, hidden)| {
            filter::may_be(filter, true, &|field| {
                let (_, name) = self.fields.iter().find(|(id, _)| *id == field && !hidden.contains(id))?;
                row.get(&**name)
            })
        })
    }
}

/// The filter that somebody asked for, unless it says something else at each moment. What its caller may not name is found out
/// when it is read.
fn resolved(ctx: &Context, id: CollectionId, syntax: &Syntax) -> Option<Filter> {
    let env = Env {
        schema: &ctx.schema,
        variables: ctx.variables(),
        may_read: &|_, _| true,
        is_open: &|_| true,
        is_rule: false,
    };
    let mut found = Found::default();
    filter::resolve(&env, &mut found, id, syntax).ok().filter(|_| !found.names_moment)
}

/// Values of rows that changed, by key.
pub(super) struct Facts {
    rows: HashMap<Arc<str>, Map<String, Value>>,
}

/// Keys, by what becomes of them.
#[derive(Default)]
pub(super) struct Sifted<'k> {
    /// These may be found.
    pub(super) open: Vec<&'k Arc<str>>,
    /// These are there, and are sure not to be found.
    pub(super) hidden: Vec<&'k Arc<str>>,
}

impl Facts {
    /// Reads what these sieves need of these rows.
    pub(super) async fn read<'s>(
        desk: &Desk,
        ctx: &Context,
        collection: &str,
        sieves: impl Iterator<Item = &'s Sieve>,
        keys: &[&Arc<str>],
    ) -> Result<Self> {
        let mut rows = HashMap::new();
        let Some(key) = ctx.schema.get(collection).and_then(|found| Some(found.field(found.key()?))) else {
            return Ok(Facts { rows });
        };
        let mut names: BTreeSet<&str> = BTreeSet::from([&*key.name]);
        names.extend(sieves.flat_map(|sieve| sieve.fields.iter().map(|(_, name)| &**name)));
        let fields: Vec<Vec<String>> = names.iter().map(|name| vec![(*name).to_owned()]).collect();
        let query = || Query { fields: fields.clone(), limit: Some(-1), ..Query::default() };
        let all = Context { rules: Arc::new(AccessRules::Everything), ..ctx.clone() };
        for keys in keys.chunks(ROWS_TOGETHER) {
            let selection = Selection::Keys(keys.iter().map(|key| key.to_string()).collect());
            let members = desk.items.read(&all, collection, selection, query()).await?;
            for row in parsed(&members)? {
                let Value::Object(row) = row else { continue };
                let key: Arc<str> = match row.get(&*key.name) {
                    Some(Value::String(text)) => text.as_str().into(),
                    Some(Value::Number(number)) => number.to_string().into(),
                    _ => continue,
                };
                rows.insert(key, row);
            }
        }
        Ok(Facts { rows })
    }

    /// What was read of several batches, in their order: the last that was read of a row counts.
    pub(super) fn joined(all: &[Arc<Facts>]) -> Self {
        let rows = all.iter().flat_map(|facts| &facts.rows);
        Facts { rows: rows.map(|(key, row)| (key.clone(), row.clone())).collect() }
    }

    /// Whatever is not known here may be found.
    pub(super) fn sift<'k>(&self, sieve: &Sieve, keys: &[&'k Arc<str>]) -> Sifted<'k> {
        let mut sifted = Sifted::default();
        for key in keys {
            match self.rows.get(*key) {
                Some(row) if !sieve.lets_through(row) => sifted.hidden.push(key),
                _ => sifted.open.push(key),
            }
        }
        sifted
    }

    /// Whether this row was there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.rows.contains_key(key)
    }
}
