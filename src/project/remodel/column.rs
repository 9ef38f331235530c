//! Types and columns in the words of the public API.

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::filter::values::coerce;
use crate::schema::diff::canonical_default;
use crate::schema::{ColumnType, DefaultValue, Table, TableColumn};

/// Longest `string`, in characters: what every database stores in a row.
const MOST_STRING: u64 = 16_383;
/// Longest text that can be a key everywhere.
const MOST_KEY: u64 = 255;
/// Most digits of a `decimal`: what fits 64 bits.
const MOST_DIGITS: u64 = 18;

/// The type of a column as fields have it, by the column and what is said about it.
pub fn type_name(column: &TableColumn, special: &str) -> &'static str {
    let is_special = |name: &str| special.split(',').any(|part| part.trim() == name);
    match &column.column_type {
        ColumnType::Text | ColumnType::Json if is_special("cast-csv") || is_special("csv") => "csv",
        ColumnType::Text if is_special("cast-json") || is_special("json") => "json",
        ColumnType::String { .. } | ColumnType::Text if is_special("hash") => "hash",
        ColumnType::Integer if is_special("cast-boolean") || is_special("boolean") => "boolean",
        ColumnType::DateTime if is_special("cast-timestamp") => "timestamp",
        ColumnType::String { .. } => "string",
        ColumnType::Text => "text",
        ColumnType::Integer => "integer",
        ColumnType::BigInteger => "bigInteger",
        ColumnType::Float => "float",
        ColumnType::Decimal { .. } => "decimal",
        ColumnType::Boolean => "boolean",
        ColumnType::Date => "date",
        ColumnType::Time => "time",
        ColumnType::DateTime => "dateTime",
        ColumnType::Timestamp => "timestamp",
        ColumnType::Json => "json",
        ColumnType::Csv => "csv",
        ColumnType::Uuid => "uuid",
        ColumnType::Hash => "hash",
        ColumnType::Binary | ColumnType::Unknown { .. } => "unknown",
    }
}

/// The column type of a field type, with the lengths that `schema` names.
pub fn column_type(name: &str, schema: &Map<String, Value>, is_key: bool) -> Result<ColumnType> {
    let number = |key: &str, usual: u64, range: std::ops::RangeInclusive<u64>| {
        let value = match schema.get(key).filter(|value| !value.is_null()) {
            None => return Ok(usual),
            Some(value) => value,
        };
        value.as_u64().filter(|number| range.contains(number)).ok_or_else(|| {
            Error::payload(format_args!(
                "\"schema.{key}\" must be a whole number from {} to {}.",
                range.start(),
                range.end()
            ))
        })
    };
    Ok(match name {
        "string" => {
            let most = if is_key { MOST_KEY } else { MOST_STRING };
            ColumnType::String { length: number("max_length", 255, 1..=most)? as u32 }
        }
        "hash" => ColumnType::String { length: 255 },
        "text" | "csv" => ColumnType::Text,
        "integer" => ColumnType::Integer,
        "bigInteger" => ColumnType::BigInteger,
        "float" => ColumnType::Float,
        "decimal" => {
            let precision = number("numeric_precision", 10, 1..=MOST_DIGITS)?;
            let scale = number("numeric_scale", 5.min(precision), 0..=precision)?;
            ColumnType::Decimal { precision: precision as u8, scale: scale as u8 }
        }
        "boolean" => ColumnType::Boolean,
        "json" => ColumnType::Json,
        "dateTime" => ColumnType::DateTime,
        "date" => ColumnType::Date,
        "time" => ColumnType::Time,
        "timestamp" => ColumnType::Timestamp,
        "uuid" => ColumnType::Uuid,
        "binary" => ColumnType::Binary,
        other => return Err(Error::payload(format_args!("\"type\" cannot be \"{}\".", shorten(other)))),
    })
}

/// A column as `schema` wants it.
pub struct Wanted {
    pub column: TableColumn,
    pub is_key: bool,
    pub unique: bool,
    pub indexed: bool,
}

/// The new column of a field.
pub fn new_column(field: &str, kind: &str, schema: &Map<String, Value>) -> Result<Wanted> {
    let is_key = flag(schema, "is_primary_key")?.unwrap_or(false);
    let column_type = column_type(kind, schema, is_key)?;
    let is_counted = is_key && flag(schema, "has_auto_increment")?.unwrap_or(false);
    if is_counted && !matches!(column_type, ColumnType::Integer | ColumnType::BigInteger) {
        return Err(Error::payload(format_args!("\"{field}\" cannot count: it is no whole number.")));
    }
    let can_be_key = matches!(
        column_type,
        ColumnType::Integer | ColumnType::BigInteger | ColumnType::Uuid | ColumnType::String { .. }
    );
    if is_key && !can_be_key {
        return Err(Error::payload(format_args!("a primary key cannot be of the type \"{kind}\".")));
    }
    let unique = flag(schema, "is_unique")?.unwrap_or(false) && !is_key;
    let indexed = flag(schema, "is_indexed")?.unwrap_or(false) && !is_key;
    check_index(field, kind, &column_type, unique || indexed)?;
    let default = match schema.get("default_value") {
        Some(value) if !is_counted => default(field, &column_type, value)?,
        _ => None,
    };
    let column = TableColumn {
        name: field.to_owned(),
        nullable: !is_key && flag(schema, "is_nullable")?.unwrap_or(true),
        column_type,
        declared: None,
        default,
        is_counted,
        is_generated: false,
        keeps_milliseconds: false,
    };
    Ok(Wanted { column, is_key, unique, indexed })
}

/// The column of a field after a change, and whether it is to be unique and indexed, where that is said.
pub fn changed_column(
    table: &Table,
    old: &TableColumn,
    (kind, known_kind): (Option<&str>, &str),
    schema: &Map<String, Value>,
) -> Result<(TableColumn, Option<bool>, Option<bool>)> {
    let field = &old.name;
    let is_key = table.primary_key.contains(field);
    let mut column = old.clone();
    let names_length =
        ["max_length", "numeric_precision", "numeric_scale"].iter().any(|key| schema.contains_key(*key));
    let kind = kind.unwrap_or(known_kind);
    if kind != "unknown" && (kind != known_kind || names_length) {
        let with_lengths = lengths(old, schema);
        let wanted = column_type(kind, &with_lengths, is_key)?;
        // A hash lies in a column of texts, whatever its length.
        let stays = kind == known_kind && kind == "hash";
        if wanted != column.column_type && !stays {
            column.column_type = wanted;
            column.declared = None;
        }
    }
    if is_key && column.column_type != old.column_type {
        return Err(Error::payload("the type of a primary key cannot be changed."));
    }
    if let Some(value) = schema.get("default_value")
        && !old.is_counted
        && value != &shown_default(&table.name, old)
    {
        column.default = default(field, &column.column_type, value)?;
    }
    if let Some(nullable) = flag(schema, "is_nullable")? {
        column.nullable = nullable && !is_key;
    }
    let unique = flag(schema, "is_unique")?.filter(|_| !is_key);
    let indexed = flag(schema, "is_indexed")?.filter(|_| !is_key);
    check_index(field, kind, &column.column_type, unique == Some(true) || indexed == Some(true))?;
    Ok((column, unique, indexed))
}

/// What `schema` says about lengths, completed by those of the column.
fn lengths(old: &TableColumn, schema: &Map<String, Value>) -> Map<String, Value> {
    let mut all = Map::new();
    match old.column_type {
        ColumnType::String { length } => {
            all.insert("max_length".to_owned(), json!(length));
        }
        ColumnType::Decimal { precision, scale } => {
            all.insert("numeric_precision".to_owned(), json!(precision));
            all.insert("numeric_scale".to_owned(), json!(scale));
        }
        _ => {}
    }
    for key in ["max_length", "numeric_precision", "numeric_scale"] {
        if let Some(value) = schema.get(key).filter(|value| !value.is_null()) {
            all.insert(key.to_owned(), value.clone());
        }
    }
    all
}

fn check_index(field: &str, kind: &str, column_type: &ColumnType, has_index: bool) -> Result<()> {
    match column_type {
        ColumnType::Json | ColumnType::Binary if has_index => {
            Err(Error::payload(format_args!("\"{field}\" of the type \"{kind}\" cannot have an index.")))
        }
        _ => Ok(()),
    }
}

/// The default that a payload asks for.
fn default(field: &str, column_type: &ColumnType, value: &Value) -> Result<Option<DefaultValue>> {
    if value.is_null() {
        return Ok(None);
    }
    let has_clock = column_type.has_date() || column_type.has_time();
    if has_clock && let Some("now()" | "NOW()" | "CURRENT_TIMESTAMP" | "current_timestamp") = value.as_str() {
        return Ok(Some(DefaultValue::Now));
    }
    let refused = || Error::payload(format_args!("the default of \"{field}\" does not fit its type."));
    let fits = match (column_type, value) {
        (ColumnType::Json, Value::String(text)) => serde_json::from_str::<Value>(text).is_ok(),
        (ColumnType::Json, _) => true,
        (ColumnType::String { length }, Value::String(text)) => {
            text.chars().count() <= *length as usize && !text.contains('\0')
        }
        (ColumnType::Text, Value::String(text)) => !text.contains('\0'),
        (ColumnType::Binary | ColumnType::Unknown { .. }, _) => false,
        (ColumnType::Text, Value::Array(entries)) => entries.iter().all(Value::is_string),
        (_, Value::Array(_) | Value::Object(_)) => false,
        (other, value) => coerce(value, other).is_some(),
    };
    if !fits {
        return Err(refused());
    }
    let canonical = match (column_type, value) {
        (ColumnType::Json, Value::String(text)) => Value::String(text.clone()),
        (ColumnType::Text, Value::Array(_)) => canonical_default(&ColumnType::Csv, value),
        (column_type, value) => canonical_default(column_type, value),
    };
    Ok(Some(DefaultValue::Value(canonical)))
}

/// The default of a column as answers show it.
pub fn shown_default(table: &str, column: &TableColumn) -> Value {
    if column.is_counted {
        return json!(format!("nextval('{table}_{}_seq'::regclass)", column.name));
    }
    match &column.default {
        None => Value::Null,
        Some(DefaultValue::Value(Value::String(text))) if column.column_type == ColumnType::Json => {
            serde_json::from_str(text).unwrap_or_else(|_| json!(text))
        }
        Some(DefaultValue::Value(value)) => value.clone(),
        Some(DefaultValue::Now) => json!("CURRENT_TIMESTAMP"),
        Some(DefaultValue::Uuid) => json!("gen_random_uuid()"),
        Some(DefaultValue::Expression(text)) => json!(text),
    }
}

/// A truth value of a payload; null is none.
pub fn flag(map: &Map<String, Value>, name: &str) -> Result<Option<bool>> {
    match map.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(_) => Err(Error::payload(format_args!("\"{name}\" must be true or false."))),
    }
}

/// A word of a payload for a message.
pub fn shorten(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(60).collect()
}
