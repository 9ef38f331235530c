//! From a [`Resolved`] query to a [`Plan`]: which columns each level selects and how its rows are written.
//!
//! Start at [`plan`]. No SQL and no right is decided here.

mod aggregate;
mod defaults;
mod read;

use std::sync::Arc;

use super::{KeySelection, Meta, Plan, Resolved, ResolvedQuery, ValueFormat};
use crate::filter::{Filter, Target};
use crate::query::CountPlan;
use crate::schema::{CollectionId, Schema};

/// Plans a resolved query.
pub fn plan(schema: &Schema, resolved: Resolved) -> Plan {
    match resolved.query {
        ResolvedQuery::Items(read) => Plan::Items(read::plan(schema, read, resolved.rules)),
        ResolvedQuery::Aggregate(aggregate) => {
            Plan::Aggregate(aggregate::plan(schema, aggregate, resolved.rules))
        }
    }
}

/// The counts that `meta` asks for: all rows, and those of the filter.
fn counts(
    meta: Meta,
    collection: CollectionId,
    filter: Option<Filter>,
    selection: KeySelection,
) -> (Option<CountPlan>, Option<CountPlan>) {
    let all = CountPlan { collection, filter: None, selection: KeySelection::Any };
    let total = meta.total_count.then_some(all);
    let filtered = meta.filter_count.then_some(CountPlan { collection, filter, selection });
    (total, filtered)
}

/// How a value of the row is written.
fn format(schema: &Schema, collection: CollectionId, target: &Target) -> ValueFormat {
    match target {
        Target::Field(id) => match &schema.field(collection, *id).column {
            Some(column) => ValueFormat::Typed(column.column_type.clone()),
            None => ValueFormat::NumberText,
        },
        Target::Function(..) | Target::Count(_) => ValueFormat::NumberText,
    }
}

/// A key of an object with its colon.
fn rendered_key(key: &str) -> Arc<[u8]> {
    let mut rendered = serde_json::Value::from(key).to_string().into_bytes();
    rendered.push(b':');
    rendered.into()
}
