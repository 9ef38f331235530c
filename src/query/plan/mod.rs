//! From a [`Resolved`] query to a [`Plan`]: which columns each level selects and how its rows are written.
//!
//! Start at [`plan`]. No SQL and no right is decided here.

mod aggregate;
mod defaults;
mod read;

use std::sync::Arc;

use super::{Form, KeySelection, Meta, Plan, Resolved, ResolvedQuery, ValueFormat};
use crate::filter::{Filter, Target};
use crate::query::CountPlan;
use crate::schema::{CollectionId, ColumnType, Schema};

/// Plans a resolved query.
pub fn plan(schema: &Schema, resolved: Resolved) -> Plan {
    let Resolved { query, rules, form, .. } = resolved;
    match query {
        ResolvedQuery::Items(read) => Plan::Items(read::plan(schema, read, rules, form)),
        ResolvedQuery::Aggregate(aggregate) => {
            Plan::Aggregate(aggregate::plan(schema, aggregate, rules, form))
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
fn format(schema: &Schema, collection: CollectionId, target: &Target, form: Form) -> ValueFormat {
    let Target::Field(id) = target else { return number(ValueFormat::NumberText, form) };
    let Some(column) = &schema.field(collection, *id).column else {
        return number(ValueFormat::NumberText, form);
    };
    let is_key = schema.collection(collection).primary_key.contains(id);
    match (form, &column.column_type) {
        (Form::Typed, whole @ ColumnType::Integer) if is_key => ValueFormat::Quoted(whole.clone()),
        (Form::Typed, exact @ ColumnType::Decimal { .. }) if !is_key => {
            number(ValueFormat::Typed(exact.clone()), form)
        }
        (_, column_type) => ValueFormat::Typed(column_type.clone()),
    }
}

/// A number that REST writes as a text.
fn number(text: ValueFormat, form: Form) -> ValueFormat {
    match form {
        Form::Plain => text,
        Form::Typed => ValueFormat::Bare(Box::new(text)),
    }
}

/// A key of an object with its colon.
fn rendered_key(key: &str) -> Arc<[u8]> {
    let mut rendered = serde_json::Value::from(key).to_string().into_bytes();
    rendered.push(b':');
    rendered.into()
}
