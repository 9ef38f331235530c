//! Values for fields that are required and that a test says nothing of.

use regex::Regex;
use serde_json::{Value, json};

use crate::schema::{Collection, CollectionId, Column, ColumnType, Field, FieldId, FieldKind};

/// What a required field needs.
pub enum Needed {
    /// This value.
    Value(Value),
    /// The key of an item there.
    Item(CollectionId),
    /// The key of an item there, and the name of its collection in another field.
    AnyItem(CollectionId, FieldId),
}

/// What a field needs when nothing is said of it; `None` for one that can do without.
pub fn needed(collection: &Collection, id: FieldId, field: &Field, number: u64) -> Option<Needed> {
    let column = field.column.as_ref()?;
    let is_key = collection.key() == Some(id);
    let has_own =
        column.auto.is_some() || column.default.is_some() || (is_key && !column.column_type.is_text());
    if has_own || (column.nullable && !column.checks.required && !is_key) {
        return None;
    }
    match &field.kind {
        FieldKind::ManyToOne { related, .. } => Some(Needed::Item(*related)),
        FieldKind::ManyToAny { allowed, collection_field } => {
            allowed.first().map(|target| Needed::AnyItem(*target, *collection_field))
        }
        _ => value(column, number).map(Needed::Value),
    }
}

/// A value that keeps the rules of its column, another one for each number where it can.
fn value(column: &Column, number: u64) -> Option<Value> {
    let checks = &column.checks;
    if let Some(choice) = checks.choices.first() {
        let is_list = column.column_type == ColumnType::Csv;
        return Some(if is_list { json!([choice.value]) } else { choice.value.clone() });
    }
    let least = checks.min.clone();
    Some(match &column.column_type {
        ColumnType::String { length } => json!(text(column, number, *length as usize)?),
        ColumnType::Text | ColumnType::Hash => json!(text(column, number, 60)?),
        ColumnType::Integer | ColumnType::BigInteger => least.unwrap_or_else(|| json!(number)),
        ColumnType::Float | ColumnType::Decimal { .. } => least.unwrap_or_else(|| json!(1)),
        ColumnType::Boolean => json!(false),
        ColumnType::Date => least.unwrap_or_else(|| json!("2026-03-02")),
        ColumnType::Time => least.unwrap_or_else(|| json!("10:00:00")),
        ColumnType::DateTime | ColumnType::Timestamp => least.unwrap_or_else(|| json!("2026-03-02T10:00:00")),
        ColumnType::Json => json!({}),
        ColumnType::Csv => json!(["made up"]),
        ColumnType::Uuid => json!(uuid::Uuid::now_v7()),
        ColumnType::Binary => json!(""),
        ColumnType::Unknown { .. } => return None,
    })
}

fn text(column: &Column, number: u64, length: usize) -> Option<String> {
    let checks = &column.checks;
    let most = checks.max_length.map_or(length, |most| length.min(most as usize));
    let fits = |sample: &String| {
        let characters = sample.chars().count();
        characters <= most && checks.min_length.is_none_or(|least| characters as u64 >= least)
    };
    let pattern = match &checks.pattern {
        Some(pattern) => Some(Regex::new(pattern).ok()?),
        None => None,
    };
    let usual = [format!("made up {number}"), format!("m{number}"), number.to_string()];
    let mail = [format!("m{number}@example.com"), format!("https://example.com/{number}")];
    let letters = (1..=40).map(|width| "A".repeat(width));
    let digits = (1..=40).map(|width| format!("{number:0width$}"));
    usual
        .into_iter()
        .chain(mail)
        .chain(digits)
        .chain(letters)
        .filter(fits)
        .find(|sample| pattern.as_ref().is_none_or(|pattern| pattern.is_match(sample)))
}
