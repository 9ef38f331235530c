//! What the server puts into a row itself: defaults, keys, who and when.

use std::sync::Arc;

use super::plan::{ItemWrite, Target};
use super::validate::{CollectionRules, Fill, missing};
use super::values::now_value;
use crate::access::Context;
use crate::error::Error;
use crate::filter::Scalar;
use crate::schema::{Auto, Collection, ColumnType, DefaultValue, Field, FieldId};

/// Gives a new row a value in every column, so that it is the same on every database. What is required and missing becomes
/// a finding.
pub fn complete_new(
    ctx: &Context,
    collection: &Collection,
    rules: &CollectionRules,
    item: &mut ItemWrite,
    findings: &mut Vec<Error>,
    keeps_automatic: bool,
) {
    let sent = std::mem::take(&mut item.values);
    let mut sent = sent.into_iter().peekable();
    let mut values = Vec::with_capacity(rules.columns.len());
    for (id, fill) in &rules.columns {
        while sent.peek().is_some_and(|(field, _)| field < id) {
            sent.next();
        }
        let own = sent.next_if(|(field, _)| field == id).map(|(_, value)| value);
        let field = collection.field(*id);
        let column_type = field.column.as_ref().map_or(&ColumnType::Text, |column| &column.column_type);
        let filled = match (own, fill) {
            // A place that is filled when the item is written; only who imports brings a number.
            (own, Fill::Number) => {
                let own = own.filter(|own| keeps_automatic && *own != Scalar::Null);
                if own.is_none() {
                    item.sent.retain(|field| field != id);
                }
                Some(own.unwrap_or(Scalar::Null))
            }
            (own, Fill::Auto(auto)) => match (own, automatic(ctx, *auto, column_type, true)) {
                (Some(own), automatic) if keeps_automatic || automatic.is_none() => Some(own),
                // A row that must say when it was changed, or says now unless told otherwise, was so when it was made.
                (None, None) if *auto == Auto::UpdatedAt && (is_required(field) || is_now(field)) => {
                    now_value(column_type, ctx.now)
                }
                (_, automatic) => Some(automatic.unwrap_or(Scalar::Null)),
            },
            (Some(own), _) => Some(own),
            // Another item's key comes later; its place is kept.
            (None, _) if item.given.contains(id) => Some(Scalar::Null),
            (None, Fill::Value(value)) => Some(value.clone()),
            (None, Fill::Now) => now_value(column_type, ctx.now),
            (None, Fill::Uuid) => Some(Scalar::Text(new_uuid())),
            (None, Fill::Counted | Fill::Database) => None,
            (None, Fill::Required) => {
                // A value that was refused has its finding already.
                if !findings.iter().any(|finding| names_field(finding, &field.name)) {
                    findings.push(missing(&field.name));
                }
                None
            }
        };
        if let Some(value) = filled {
            if collection.key() == Some(*id) {
                item.key = Some(value.clone());
            }
            values.push((*id, value));
        }
    }
    item.values = values;
}

/// Sets who changed a row and when.
pub fn complete_change(ctx: &Context, collection: &Collection, item: &mut ItemWrite) {
    // The key says which row; it is not changed.
    if let Some(key) = collection.key() {
        item.values.retain(|(field, _)| *field != key);
        item.sent.retain(|field| *field != key);
    }
    // A number is given once.
    for (number, _) in &collection.numbers {
        item.values.retain(|(field, _)| field != number);
        item.sent.retain(|field| field != number);
    }
    for (id, field) in collection.fields() {
        let Some(column) = &field.column else { continue };
        let Some(auto) = column.auto else { continue };
        if let Some(value) = automatic(ctx, auto, &column.column_type, false) {
            item.set(id, value);
            if !item.sent.contains(&id) {
                item.sent.push(id);
            }
        }
    }
}

/// Turns a change of an item that is not there into its creation, with the key that was sent.
pub fn become_new(
    ctx: &Context,
    collection: &Collection,
    rules: &CollectionRules,
    item: &mut ItemWrite,
    findings: &mut Vec<Error>,
) {
    item.target = Target::Create;
    let changes = |id: FieldId| {
        let column = collection.field(id).column.as_ref();
        matches!(
            column.and_then(|column| column.auto),
            Some(Auto::UpdatedAt | Auto::UpdatedBy | Auto::UpdatedByRole)
        )
    };
    item.values.retain(|(field, _)| !changes(*field));
    item.sent.retain(|field| !changes(*field));
    if let (Some(key), Some(value)) = (collection.key(), item.key.clone()) {
        item.set(key, value);
        item.sent.insert(0, key);
    }
    complete_new(ctx, collection, rules, item, findings, false);
}

/// What an automatic field gets; `None` when this is not its occasion.
fn automatic(ctx: &Context, auto: Auto, column_type: &ColumnType, is_new: bool) -> Option<Scalar> {
    let key =
        |key: &Option<String>| Some(key.as_deref().map_or(Scalar::Null, |key| Scalar::Text(key.into())));
    match (auto, is_new) {
        (Auto::CreatedAt, true) | (Auto::UpdatedAt, false) => now_value(column_type, ctx.now),
        (Auto::CreatedBy, true) | (Auto::UpdatedBy, false) => key(&ctx.accountability.user),
        (Auto::CreatedByRole, true) | (Auto::UpdatedByRole, false) => key(&ctx.accountability.role),
        _ => None,
    }
}

fn is_now(field: &Field) -> bool {
    field.column.as_ref().is_some_and(|column| column.default == Some(DefaultValue::Now))
}

fn is_required(field: &Field) -> bool {
    field.column.as_ref().is_some_and(|column| !column.nullable)
}

fn names_field(finding: &Error, name: &str) -> bool {
    match finding {
        Error::FailedValidation { field, .. }
        | Error::ValueTooLong { field, .. }
        | Error::ValueOutOfRange { field, .. } => field == name,
        Error::InvalidPayload { reason } => reason.starts_with(&format!("Field \"{name}\"")),
        _ => false,
    }
}

/// A new key. Version 7: later ones are larger, which keeps indexes compact.
fn new_uuid() -> Arc<str> {
    uuid::Uuid::now_v7().hyphenated().to_string().into()
}
