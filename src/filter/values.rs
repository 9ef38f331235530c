//! From the values of a query to the values of columns.
//!
//! Start at [`coerce`]. A value that a column of the type could never hold has no [`Scalar`]; the caller says where it stood.

use jiff::civil::{DateTime, Time};
use jiff::fmt::temporal::{Pieces, PiecesOffset};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Number, Value};
use uuid::Uuid;

use super::Scalar;
use crate::schema::ColumnType;

/// Most digits of a decimal number, so that `1e999999999` costs nothing.
const MOST_DIGITS: usize = 80;

/// The value in the form that columns of this type take; null is null for every type.
pub fn coerce(value: &Value, column_type: &ColumnType) -> Option<Scalar> {
    if value.is_null() {
        return Some(Scalar::Null);
    }
    match column_type {
        ColumnType::String { .. } | ColumnType::Text | ColumnType::Hash | ColumnType::Unknown { .. } => {
            text(value)
        }
        ColumnType::Csv => match value {
            Value::Array(entries) => {
                let entries: Option<Vec<&str>> = entries.iter().map(Value::as_str).collect();
                Some(Scalar::Text(entries?.join(",").into()))
            }
            _ => text(value),
        },
        ColumnType::Integer | ColumnType::BigInteger => integer(value).map(Scalar::Int),
        ColumnType::Float => float(value).map(Scalar::Float),
        ColumnType::Decimal { .. } => match value {
            Value::Number(number) => decimal(&number_text(number)),
            Value::String(text) => decimal(text),
            _ => None,
        }
        .map(|text| Scalar::Text(text.into())),
        ColumnType::Boolean => boolean(value).map(Scalar::Bool),
        ColumnType::Uuid => {
            let key = Uuid::try_parse(value.as_str()?.trim()).ok()?;
            Some(Scalar::Text(key.hyphenated().to_string().into()))
        }
        ColumnType::Date | ColumnType::DateTime | ColumnType::Timestamp => {
            let instant = instant(value.as_str()?)?;
            Some(civil(instant, column_type))
        }
        ColumnType::Time => time(value.as_str()?),
        ColumnType::Json | ColumnType::Binary => None,
    }
}

/// A moment in the form that columns of this type take; `None` where they hold no dates, times or texts.
pub fn moment(moment: Timestamp, column_type: &ColumnType) -> Option<Scalar> {
    let civil_now = moment.to_zoned(TimeZone::UTC).datetime();
    match column_type {
        ColumnType::Date | ColumnType::DateTime | ColumnType::Timestamp => {
            let whole = if *column_type == ColumnType::DateTime { second(civil_now) } else { civil_now };
            Some(civil(whole, column_type))
        }
        ColumnType::Time => Some(Scalar::Text(format!("{:.0}", second(civil_now).time()).into())),
        _ if column_type.is_text() => Some(civil(civil_now, &ColumnType::Timestamp)),
        _ => None,
    }
}

/// Cut to the second.
fn second(moment: DateTime) -> DateTime {
    let cut = moment.with().subsec_nanosecond(0).build();
    cut.unwrap_or(moment)
}

fn text(value: &Value) -> Option<Scalar> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number_text(number),
        Value::Bool(value) => value.to_string(),
        _ => return None,
    };
    // No database stores it, and PostgreSQL fails on it.
    (!text.contains('\0')).then(|| Scalar::Text(text.into()))
}

fn number_text(number: &Number) -> String {
    number.to_string()
}

fn integer(value: &Value) -> Option<i64> {
    let text = match value {
        Value::Number(number) => {
            if let Some(whole) = number.as_i64() {
                return Some(whole);
            }
            number_text(number)
        }
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    // By way of the decimal form, so that `10.0` and `1e3` are whole numbers and no digit is lost.
    text.parse().ok().or_else(|| decimal(&text)?.parse().ok())
}

fn float(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) => match text.as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        Value::Number(number) => match number.as_i64()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
        _ => None,
    }
}

/// The canonical form of a decimal number: no exponent, no zeros that say nothing, no `-0`.
pub fn decimal(text: &str) -> Option<String> {
    let text = text.trim();
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], unsigned[at + 1..].parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let reach = usize::try_from(exponent.unsigned_abs()).ok()?;
    if whole.len() + fraction.len() + reach > MOST_DIGITS {
        return None;
    }
    let mut digits = format!("{whole}{fraction}");
    // Where the point stands, counted in digits from the left.
    let mut point = whole.len() as i64 + i64::from(exponent);
    while point < 0 {
        digits.insert(0, '0');
        point += 1;
    }
    while (digits.len() as i64) < point {
        digits.push('0');
    }
    let (whole, fraction) = digits.split_at(point as usize);
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let mut canonical = String::with_capacity(digits.len() + 3);
    if negative && !(whole.is_empty() && fraction.is_empty()) {
        canonical.push('-');
    }
    canonical.push_str(if whole.is_empty() { "0" } else { whole });
    if !fraction.is_empty() {
        canonical.push('.');
        canonical.push_str(fraction);
    }
    Some(canonical)
}

/// A date with or without a time and an offset, in UTC.
fn instant(text: &str) -> Option<DateTime> {
    let pieces = Pieces::parse(text.trim()).ok()?;
    if pieces.time_zone_annotation().is_some() {
        return None;
    }
    let date = pieces.date();
    let civil = date.to_datetime(pieces.time().unwrap_or(Time::midnight()));
    let instant = match pieces.offset() {
        Some(offset) => civil.checked_sub(SignedDuration::from_secs(i64::from(seconds(offset)))).ok()?,
        None => civil,
    };
    // The databases agree on the years from 1 to 9999 only.
    (instant.year() >= 1).then_some(instant)
}

fn seconds(offset: PiecesOffset) -> i32 {
    match offset {
        PiecesOffset::Zulu => 0,
        other => other.to_numeric_offset().seconds(),
    }
}

/// The canonical text of an instant; fractions of a second that the column cannot hold still count in comparisons.
fn civil(instant: DateTime, column_type: &ColumnType) -> Scalar {
    let date = instant.date();
    let text = match column_type {
        ColumnType::Date => date.to_string(),
        ColumnType::DateTime => format!("{date}T{}", instant.time()),
        _ => {
            let time = instant.time();
            let millisecond = time.subsec_nanosecond() / 1_000_000;
            let (hour, minute, second) = (time.hour(), time.minute(), time.second());
            format!("{date}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
        }
    };
    Scalar::Text(text.into())
}

/// A time of day, alone or taken from a date.
fn time(text: &str) -> Option<Scalar> {
    let time = match text.trim().parse::<Time>() {
        Ok(time) => time,
        Err(_) => instant(text)?.time(),
    };
    Some(Scalar::Text(time.to_string().into()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(column_type: ColumnType, value: Value, expected: &str) {
        let got = match coerce(&value, &column_type) {
            None => "none".to_owned(),
            Some(Scalar::Null) => "null".to_owned(),
            Some(Scalar::Bool(value)) => value.to_string(),
            Some(Scalar::Int(number)) => number.to_string(),
            Some(Scalar::Float(number)) => format!("{number:?}"),
            Some(Scalar::Text(text)) => format!("'{text}'"),
            Some(Scalar::Bytes(bytes)) => format!("{bytes:?}"),
        };
        assert_eq!(got, expected, "{value} as {column_type}");
    }

    #[test]
    fn numbers() {
        let integer = || ColumnType::Integer;
        check(integer(), json!(10), "10");
        check(integer(), json!("10"), "10");
        check(integer(), json!(10.0), "10");
        check(integer(), json!("1e3"), "1000");
        check(integer(), json!(1.5), "none");
        check(integer(), json!("abc"), "none");
        check(integer(), json!(true), "none");
        check(integer(), json!(99_999_999_999_i64), "99999999999");
        check(integer(), json!("99999999999999999999"), "none");
        check(ColumnType::BigInteger, json!("-9223372036854775808"), "-9223372036854775808");
        check(ColumnType::Float, json!(4.5), "4.5");
        check(ColumnType::Float, json!("1e400"), "none");
        check(ColumnType::Float, json!("NaN"), "none");
        let decimal = || ColumnType::Decimal { precision: 10, scale: 2 };
        check(decimal(), json!(30.75), "'30.75'");
        check(decimal(), json!("030.750"), "'30.75'");
        check(decimal(), json!("-0.00"), "'0'");
        check(decimal(), json!("1.5e3"), "'1500'");
        check(decimal(), json!("15E-3"), "'0.015'");
        check(decimal(), json!(".5"), "'0.5'");
        check(decimal(), json!("1e999999999"), "none");
        check(decimal(), json!("1,5"), "none");
        check(decimal(), json!("."), "none");
        check(decimal(), json!(""), "none");
    }

    #[test]
    fn dates() {
        let datetime = || ColumnType::DateTime;
        check(ColumnType::Date, json!("2024-05-14"), "'2024-05-14'");
        check(ColumnType::Date, json!("2024-05-14T23:30:00-02:00"), "'2024-05-15'");
        check(ColumnType::Date, json!("yesterday"), "none");
        check(ColumnType::Date, json!("2024-02-30"), "none");
        check(ColumnType::Date, json!("-000001-01-01"), "none");
        check(ColumnType::Date, json!(20240514), "none");
        check(datetime(), json!("2024-05-15T10:05:00"), "'2024-05-15T10:05:00'");
        check(datetime(), json!("2024-05-15 10:05"), "'2024-05-15T10:05:00'");
        check(datetime(), json!("2024-05-15"), "'2024-05-15T00:00:00'");
        check(datetime(), json!("2024-05-15T10:05:00+02:00"), "'2024-05-15T08:05:00'");
        check(datetime(), json!("2024-05-15T10:05:00.5Z"), "'2024-05-15T10:05:00.5'");
        check(ColumnType::Timestamp, json!("2023-05-10T08:00:05.000Z"), "'2023-05-10T08:00:05.000Z'");
        check(ColumnType::Timestamp, json!("2023-05-10"), "'2023-05-10T00:00:00.000Z'");
        check(ColumnType::Time, json!("13:30"), "'13:30:00'");
        check(ColumnType::Time, json!("13:30:15"), "'13:30:15'");
        check(ColumnType::Time, json!("25:00"), "none");
    }

    #[test]
    fn others() {
        let string = || ColumnType::String { length: 255 };
        check(string(), json!("a"), "'a'");
        check(string(), json!(5), "'5'");
        check(string(), json!(true), "'true'");
        check(string(), json!(null), "null");
        check(string(), json!([1]), "none");
        check(string(), json!("a\0b"), "none");
        check(ColumnType::Csv, json!(["a", "b"]), "'a,b'");
        check(ColumnType::Boolean, json!(true), "true");
        check(ColumnType::Boolean, json!("false"), "false");
        check(ColumnType::Boolean, json!(1), "true");
        check(ColumnType::Boolean, json!("maybe"), "none");
        check(
            ColumnType::Uuid,
            json!("AAAAAAAA-0000-4000-8000-000000000005"),
            "'aaaaaaaa-0000-4000-8000-000000000005'",
        );
        check(ColumnType::Uuid, json!("zzz"), "none");
        check(ColumnType::Json, json!({"a": 1}), "none");
    }

    #[test]
    fn moments() {
        let now: Timestamp = "2026-03-02T10:00:01.234567Z".parse().expect("a moment");
        let check = |column_type: ColumnType, expected: Option<&str>| {
            let expected = expected.map(|text| Scalar::Text(text.into()));
            assert_eq!(moment(now, &column_type), expected, "{column_type}");
        };
        check(ColumnType::Timestamp, Some("2026-03-02T10:00:01.234Z"));
        check(ColumnType::DateTime, Some("2026-03-02T10:00:01"));
        check(ColumnType::Date, Some("2026-03-02"));
        check(ColumnType::Time, Some("10:00:01"));
        check(ColumnType::Text, Some("2026-03-02T10:00:01.234Z"));
        check(ColumnType::Integer, None);
    }
}
