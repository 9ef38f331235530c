//! Whether a written value fits the type of a column, and the one way to write it.

use std::cmp::Ordering;
use std::str::FromStr;

use base64::Engine;
use bigdecimal::BigDecimal;
use serde_json::{Number, Value};

use super::model::ColumnType;
use crate::yaml::{Node, Yaml};

/// The value in the form that the field takes over the API; `Err` says what was expected.
pub fn fit(node: &Node, column_type: &ColumnType) -> Result<Value, String> {
    let text = || node.as_text();
    let number = || match &node.value {
        Yaml::Number(number) => Some(number),
        _ => None,
    };
    let fitted = match column_type {
        ColumnType::String { length } => {
            text().filter(|text| text.chars().count() <= *length as usize).map(Value::from)
        }
        ColumnType::Text => text().map(Value::from),
        ColumnType::Integer => {
            number().and_then(Number::as_i64).and_then(|number| i32::try_from(number).ok()).map(Value::from)
        }
        ColumnType::BigInteger => number().and_then(Number::as_i64).map(Value::from),
        ColumnType::Float => {
            number().filter(|number| number.as_f64().is_some_and(f64::is_finite)).cloned().map(Value::Number)
        }
        ColumnType::Decimal { precision, scale } => {
            number().and_then(|number| decimal(number, *precision, *scale))
        }
        ColumnType::Boolean => node.as_bool().map(Value::from),
        ColumnType::Date => text()
            .filter(|text| text.len() == 10)
            .and_then(|text| jiff::civil::Date::from_str(text).ok())
            .map(|date| Value::from(date.to_string())),
        ColumnType::Time => text()
            .filter(|text| text.len() <= 8)
            .and_then(|text| jiff::civil::Time::from_str(text).ok())
            .map(|time| Value::from(time.strftime("%H:%M:%S").to_string())),
        ColumnType::DateTime => text()
            .filter(|text| (16..=19).contains(&text.len()))
            .and_then(|text| jiff::civil::DateTime::from_str(text).ok())
            .map(|moment| Value::from(moment.strftime("%Y-%m-%dT%H:%M:%S").to_string())),
        ColumnType::Timestamp => text()
            .and_then(|text| jiff::Timestamp::from_str(text).ok())
            .map(|moment| Value::from(format!("{moment:.3}"))),
        ColumnType::Json => Some(node.to_json()),
        ColumnType::Csv => node.as_list().and_then(|items| {
            items
                .iter()
                .map(|item| item.as_text().filter(|text| !text.contains(',')).map(Value::from))
                .collect()
        }),
        ColumnType::Uuid => text()
            .filter(|text| text.len() == 36)
            .and_then(|text| uuid::Uuid::try_parse(text).ok())
            .map(|uuid| Value::from(uuid.to_string())),
        ColumnType::Binary => text()
            .filter(|text| base64::engine::general_purpose::STANDARD.decode(text).is_ok())
            .map(Value::from),
        ColumnType::Hash | ColumnType::Unknown { .. } => None,
    };
    fitted.ok_or_else(|| describe(column_type))
}

/// What a value of this type looks like.
pub fn describe(column_type: &ColumnType) -> String {
    match column_type {
        ColumnType::String { length } => format!("a text of at most {length} characters"),
        ColumnType::Text => "a text".to_owned(),
        ColumnType::Integer => "a whole number of 32 bits".to_owned(),
        ColumnType::BigInteger => "a whole number of 64 bits".to_owned(),
        ColumnType::Float => "a number".to_owned(),
        ColumnType::Decimal { precision, scale } => {
            format!(
                "a number with at most {} digits before the point and {scale} behind it",
                precision - scale
            )
        }
        ColumnType::Boolean => "true or false".to_owned(),
        ColumnType::Date => "a date like 2026-03-02".to_owned(),
        ColumnType::Time => "a time like 10:00:00".to_owned(),
        ColumnType::DateTime => "a date and time like 2026-03-02T10:00:00".to_owned(),
        ColumnType::Timestamp => "a moment like 2026-03-02T10:00:00Z".to_owned(),
        ColumnType::Json => "any value".to_owned(),
        ColumnType::Csv => "a list of texts without commas".to_owned(),
        ColumnType::Uuid => "a UUID like 01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
        ColumnType::Binary => "bytes in base64".to_owned(),
        ColumnType::Hash | ColumnType::Unknown { .. } => "no value".to_owned(),
    }
}

/// The number with all digits of its scale, when it has no more than those.
fn decimal(number: &Number, precision: u8, scale: u8) -> Option<Value> {
    let exact = BigDecimal::from_str(&number.to_string()).ok()?;
    let scaled = exact.with_scale(i64::from(scale));
    let most = BigDecimal::from(10u64.pow(u32::from(precision - scale)));
    let fits = scaled == exact && scaled.abs() < most;
    fits.then(|| Number::from_str(&scaled.to_plain_string()).ok()).flatten().map(Value::Number)
}

/// Order of two fitted values of one column.
pub fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            let exact = |number: &Number| BigDecimal::from_str(&number.to_string()).ok();
            Some(exact(left)?.cmp(&exact(right)?))
        }
        // Dates and times are written so that their text sorts like they do.
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => None,
    }
}
