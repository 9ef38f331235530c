//! The rights of a write: which fields may be named, what is filled in, what must be true, and which rows may be touched.
//!
//! What needs no database is judged while a payload is planned; rows are judged by [`permit`] inside the
//! transaction, before the first of them changes.

use std::sync::Arc;

use serde_json::Value;

use super::nested::{ItemPayload, key_value};
use super::plan::ItemWrite;
use super::run::{Run, first_value, key_field};
use super::service::ItemsService;
use super::tenants;
use super::values::column_value;
use crate::access::{AccessRules, Action, CollectionRules, Context, FieldRules};
use crate::db::Transaction;
use crate::error::{Error, Result};
use crate::filter::{self, Filter, Missing, Operand, Scalar};
use crate::schema::{Collection, CollectionId, FieldId};
use crate::sql::write::{self as statements, Match};
use crate::sql::{self, Dialect};

/// What the caller may do here; `Forbidden` when that is nothing.
pub(super) fn allowed(
    ctx: &Context,
    collection: CollectionId,
    action: Action,
) -> Result<Arc<CollectionRules>> {
    ctx.allowed(collection, action).ok_or(Error::Forbidden)
}

/// Whether all these fields may be named; `Forbidden` otherwise.
pub(super) fn check_fields(rules: &CollectionRules, fields: impl IntoIterator<Item = FieldId>) -> Result<()> {
    match &rules.fields {
        FieldRules::All => Ok(()),
        FieldRules::Some(known) => {
            if fields.into_iter().all(|field| known.contains_key(&field)) {
                Ok(())
            } else {
                Err(Error::Forbidden)
            }
        }
    }
}

/// The payload with the presets that it does not name; `None` when there are none.
pub(super) fn preset(ctx: &Context, rules: &CollectionRules, payload: &ItemPayload) -> Option<ItemPayload> {
    let mut filled: Option<ItemPayload> = None;
    for (name, value) in &rules.presets {
        if !payload.contains_key(name) {
            filled
                .get_or_insert_with(|| payload.clone())
                .insert(name.clone(), ctx.variables().fill_in(value));
        }
    }
    filled
}

/// Findings about an item that breaks the validation of every permission.
pub(super) fn validate(
    ctx: &Context,
    rules: &CollectionRules,
    item: &ItemPayload,
    missing: Missing,
) -> Result<Vec<Error>> {
    let mut findings = Vec::new();
    for rule in &rules.validations {
        let broken = filter::evaluate(rule, item, &ctx.variables(), missing)?;
        if broken.is_empty() {
            return Ok(Vec::new());
        }
        findings.extend(broken.into_iter().map(|broken| Error::FailedValidation {
            message: format!("It breaks \"_{}\".", broken.rule),
            field: broken.field,
            rule: broken.rule,
            details: broken.details,
        }));
    }
    Ok(findings)
}

/// The presets of a new item as values of its columns, for one that was planned as a change.
pub(super) fn preset_columns(
    ctx: &Context,
    rules: &CollectionRules,
    collection: &Collection,
    item: &mut ItemWrite,
) {
    for (name, value) in &rules.presets {
        let Some(field) = collection.find(name).filter(|field| item.value(*field).is_none()) else {
            continue;
        };
        let Some(column) = &collection.field(field).column else { continue };
        if let Ok(value) = column_value(&column.column_type, &ctx.variables().fill_in(value)) {
            item.set(field, value);
            item.sent.push(field);
        }
    }
}

/// The rows in which all of this may be done; `None` for all rows.
fn rows(rules: &CollectionRules, fields: &[FieldId]) -> Option<Filter> {
    let mut parts: Vec<Filter> = rules.rows.iter().cloned().collect();
    for field in fields {
        if let Some(filter) = rules.fields.rows_of(*field)
            && !parts.contains(filter)
        {
            parts.push(filter.clone());
        }
    }
    match parts.len() {
        0 => None,
        1 => parts.pop(),
        _ => Some(Filter::And(parts)),
    }
}

/// Whether the caller may do this to any row, so that none has to be looked at before or behind it.
pub(super) fn is_unconditional(
    ctx: &Context,
    (id, action): (CollectionId, Action),
    item: &ItemWrite,
) -> Result<bool> {
    if ctx.rules.is_everything() {
        return Ok(true);
    }
    let rules = allowed(ctx, id, action)?;
    let is_limited = rules.rows.is_some()
        || rules.tenant.is_some()
        || item.named.iter().any(|field| rules.fields.rows_of(*field).is_some());
    // Where there are tenants, what a row refers to may be of another one.
    let has_tenants = || ctx.rules.tenants(&ctx.schema, ctx.now).is_some_and(|tenants| !tenants.is_empty());
    let may_differ = matches!(*ctx.rules, AccessRules::Limited(_));
    Ok(may_differ && !is_limited && !has_tenants())
}

/// Makes sure that the caller may do this to every one of these items and that they satisfy a further condition; nothing has been
/// changed yet.
///
/// Fails with `Forbidden`, for an item that is not there as for one that may not be touched.
pub(super) async fn permit(
    tx: &mut Transaction,
    ctx: &Context,
    (id, action): (CollectionId, Action),
    fields: &[FieldId],
    keys: &[Scalar],
    further: Option<Filter>,
) -> Result<()> {
    let rules = allowed(ctx, id, action)?;
    let filter = match (rows(&rules, fields), further) {
        (Some(rows), Some(further)) => Some(Filter::And(vec![rows, further])),
        (one, other) => one.or(other),
    };
    let Some(filter) = filter.filter(|_| !keys.is_empty()) else { return Ok(()) };
    let collection = ctx.schema.collection(id);
    // The one writer of SQLite has the database to itself.
    if tx.dialect() != Dialect::Sqlite {
        lock(tx, collection, keys).await?;
    }
    let operands = keys.iter().map(|key| key_operand(collection, key)).collect::<Result<_>>()?;
    let statement = sql::build_permitted(&ctx.schema, tx.dialect(), id, operands, &filter)?;
    if tx.rows(&statement).await?.len() < keys.len() { Err(Error::Forbidden) } else { Ok(()) }
}

impl ItemsService {
    /// Whether the caller may do this to the item with this key, which has to be there.
    pub async fn may(&self, ctx: &Context, collection: &str, action: Action, key: &str) -> Result<bool> {
        let Some(id) = ctx.schema.find(collection) else { return Ok(false) };
        let Some(rules) = ctx.allowed(id, action) else { return Ok(false) };
        let collection = ctx.schema.collection(id);
        let Ok(key) = key_value(collection, &Value::from(key)) else { return Ok(false) };
        let rows = rules.rows.clone().unwrap_or(Filter::And(Vec::new()));
        let operand = key_operand(collection, &key)?;
        let statement = sql::build_permitted(&ctx.schema, self.database.dialect(), id, vec![operand], &rows)?;
        Ok(!self.database(ctx)?.rows(&statement).await?.is_empty())
    }
}

/// A key to compare with.
pub(super) fn key_operand(collection: &Collection, key: &Scalar) -> Result<Operand> {
    let column = collection.field(key_field(collection)?).column.as_ref().ok_or(Error::Forbidden)?;
    Ok(Operand { value: key.clone(), column_type: column.column_type.clone() })
}

impl Run<'_> {
    /// See [`permit`].
    pub(super) async fn allow(
        &mut self,
        place: (CollectionId, Action),
        fields: &[FieldId],
        keys: &[Scalar],
    ) -> Result<()> {
        permit(self.tx, &self.with.ctx, place, fields, keys, None).await
    }

    /// New items, with the fields they name, that have to be among the rows that may be made once they are there with everything
    /// below them: those next to one another that name the same fields together.
    pub(super) fn to_judge(
        &self,
        items: &[ItemWrite],
        keys: &[Scalar],
    ) -> Vec<(CollectionId, Vec<FieldId>, Vec<Scalar>)> {
        if self.is_unlimited() {
            return Vec::new();
        }
        let mut judged: Vec<(CollectionId, Vec<FieldId>, Vec<Scalar>)> = Vec::new();
        for (item, key) in items.iter().zip(keys) {
            match judged.last_mut() {
                Some((_, fields, keys)) if *fields == item.named => keys.push(key.clone()),
                _ => judged.push((item.collection, item.named.clone(), vec![key.clone()])),
            }
        }
        judged
    }

    /// The same for a change.
    pub(super) async fn allow_change(&mut self, item: &ItemWrite, keys: &[Scalar]) -> Result<()> {
        if self.is_unlimited() || keys.is_empty() {
            return Ok(());
        }
        self.check_changed_share(item)?;
        self.check_changed_subject(item)?;
        let rules = allowed(&self.with.ctx, item.collection, Action::Update)?;
        let schema = self.schema();
        let further = tenants::stays(schema.collection(item.collection), rules.tenant.as_ref(), item)?;
        let place = (item.collection, Action::Update);
        permit(self.tx, &self.with.ctx, place, &item.named, keys, further).await
    }

    /// Whether an item with this key is there, for changes that make it when it is not.
    pub(super) async fn is_there(&mut self, id: CollectionId, key: &Scalar) -> Result<bool> {
        let schema = self.schema();
        Ok(!lock(self.tx, schema.collection(id), std::slice::from_ref(key)).await?.is_empty())
    }
}

/// Keeps others from changing these rows until the end of the transaction, so that what is judged is what is changed.
async fn lock(tx: &mut Transaction, collection: &Collection, keys: &[Scalar]) -> Result<Vec<Scalar>> {
    let key = key_field(collection)?;
    let matches = [Match { field: key, values: keys }];
    let statement = statements::select(tx.dialect(), collection, &[key], &matches);
    Ok(tx.rows(&statement).await?.into_iter().filter_map(first_value).collect())
}
