//! Defaults in one form, whichever side they come from.

use std::str::FromStr;

use bigdecimal::BigDecimal;
use serde_json::{Number, Value};

use crate::schema::ColumnType;

/// A constant default in the form in which two of them can be compared: numbers as numbers, truth values as such, decimals as
/// text with full scale, everything else (JSON and lists, too) as the text that is stored.
pub fn canonical_default(column_type: &ColumnType, value: &Value) -> Value {
    let text = || match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match column_type {
        ColumnType::Boolean => match text().to_ascii_lowercase().as_str() {
            "1" | "t" | "true" | "b'1'" => Value::Bool(true),
            "0" | "f" | "false" | "b'0'" => Value::Bool(false),
            _ => value.clone(),
        },
        ColumnType::Integer | ColumnType::BigInteger => {
            text().parse::<i64>().map_or_else(|_| value.clone(), Value::from)
        }
        ColumnType::Float => {
            text().parse().ok().and_then(Number::from_f64).map_or_else(|| value.clone(), Value::Number)
        }
        ColumnType::Decimal { scale, .. } => BigDecimal::from_str(&text()).map_or_else(
            |_| value.clone(),
            |number| number.with_scale(i64::from(*scale)).to_plain_string().into(),
        ),
        ColumnType::Json => Value::String(value.to_string()),
        ColumnType::Csv => match value {
            Value::Array(entries) => {
                let texts = entries
                    .iter()
                    .map(|entry| entry.as_str().map_or_else(|| entry.to_string(), str::to_owned));
                Value::String(texts.collect::<Vec<_>>().join(","))
            }
            _ => Value::String(text()),
        },
        _ => Value::String(text()),
    }
}
