//! From JSON to the stored form of a column.
//!
//! Start at [`column_value`]. What a column cannot hold is refused here, before any SQL, so that the three databases cannot
//! disagree. Rules that a person wrote (`min`, `choices`, ...) are not looked at; see `validate`.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::civil::{Date, DateTime, Time};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;

use crate::error::Error;
use crate::filter::Scalar;
use crate::schema::ColumnType;

/// Why a value does not fit a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is not what the column holds; names what is.
    Expected(&'static str),
    /// A text with more characters than the column has room for.
    TooLong,
    /// A number or date outside of what the column holds.
    OutOfRange,
}

impl Refusal {
    /// The finding for this field.
    pub fn finding(self, collection: &str, field: &str) -> Error {
        match self {
            Refusal::Expected(what) => Error::payload(format_args!("Field \"{field}\" takes {what}")),
            Refusal::TooLong => {
                Error::ValueTooLong { collection: collection.to_owned(), field: field.to_owned() }
            }
            Refusal::OutOfRange => {
                Error::ValueOutOfRange { collection: collection.to_owned(), field: field.to_owned() }
            }
        }
    }
}

/// Brings a JSON value into the form that a column of this type stores. Null stays null.
///
/// Numbers may come as text, moments with any offset; a `hash` is still in the clear (see `hashing`).
pub fn column_value(column_type: &ColumnType, value: &Value) -> Result<Scalar, Refusal> {
    if value.is_null() {
        return Ok(Scalar::Null);
    }
    match column_type {
        ColumnType::String { length } => {
            let text = plain_text(value)?;
            if text.len() > *length as usize && text.chars().count() > *length as usize {
                return Err(Refusal::TooLong);
            }
            Ok(Scalar::Text(text.as_ref().into()))
        }
        ColumnType::Text | ColumnType::Hash => Ok(Scalar::Text(plain_text(value)?.as_ref().into())),
        ColumnType::Integer => whole_number(value, i64::from(i32::MIN), i64::from(i32::MAX)).map(Scalar::Int),
        ColumnType::BigInteger => whole_number(value, i64::MIN, i64::MAX).map(Scalar::Int),
        ColumnType::Float => float(value).map(Scalar::Float),
        ColumnType::Decimal { precision, scale } => {
            let digits = number_text(value, "a number")?;
            decimal(&digits, *precision, *scale).map(|text| Scalar::Text(text.into()))
        }
        ColumnType::Boolean => boolean(value).map(Scalar::Bool),
        ColumnType::Date => date(value).map(|date| Scalar::Text(date.to_string().into())),
        ColumnType::Time => {
            let time = time_of_day(expect_text(value, "a time such as \"10:00:00\"")?)?;
            Ok(stamp(Date::ZERO.to_datetime(time), 11..19))
        }
        ColumnType::DateTime => {
            let moment = moment(value, "a date and time such as \"2026-03-02T10:00:00\"")?;
            Ok(stamp(moment, 0..19))
        }
        ColumnType::Timestamp => {
            let moment = moment(value, "a moment such as \"2026-03-02T10:00:00Z\"")?;
            Ok(stamp(moment, 0..24))
        }
        ColumnType::Json => json_text(value).map(Scalar::Text),
        ColumnType::Csv => csv(value).map(|text| Scalar::Text(text.into())),
        ColumnType::Uuid => {
            let text = expect_text(value, "a UUID")?;
            let uuid = uuid::Uuid::try_parse(text).map_err(|_| Refusal::Expected("a UUID"))?;
            Ok(Scalar::Text(uuid.hyphenated().to_string().into()))
        }
        ColumnType::Binary => {
            let text = expect_text(value, "bytes in base64")?;
            let bytes = BASE64.decode(text).map_err(|_| Refusal::Expected("bytes in base64"))?;
            Ok(Scalar::Bytes(bytes.into()))
        }
        ColumnType::Unknown { .. } => Err(Refusal::Expected("no value: its type cannot be written")),
    }
}

/// A moment in the form of a column; `None` where the column holds none.
pub fn now_value(column_type: &ColumnType, now: Timestamp) -> Option<Scalar> {
    let moment = TimeZone::UTC.to_datetime(now);
    let part = match column_type {
        ColumnType::Date => 0..10,
        ColumnType::Time => 11..19,
        ColumnType::DateTime => 0..19,
        ColumnType::Timestamp => 0..24,
        _ => return None,
    };
    Some(stamp(moment, part))
}

/// These characters of a moment such as `2026-03-02T10:00:00.000Z`. Years of more than four digits are refused before.
fn stamp(moment: DateTime, part: Range<usize>) -> Scalar {
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let mut put = |at: usize, digits: usize, value: u32| {
        let mut rest = value;
        for place in (at..at + digits).rev() {
            text[place] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    };
    put(0, 4, moment.year().unsigned_abs().into());
    put(5, 2, moment.month().unsigned_abs().into());
    put(8, 2, moment.day().unsigned_abs().into());
    put(11, 2, moment.hour().unsigned_abs().into());
    put(14, 2, moment.minute().unsigned_abs().into());
    put(17, 2, moment.second().unsigned_abs().into());
    put(20, 3, moment.millisecond().unsigned_abs().into());
    Scalar::Text(String::from_utf8_lossy(&text[part]).into())
}

/// Compact JSON text of a value as it stands, a text being a JSON text.
pub fn compact_json(value: &Value) -> Result<Arc<str>, Refusal> {
    if holds_nul(value) {
        return Err(Refusal::Expected("JSON without NUL characters"));
    }
    Ok(value.to_string().into())
}

/// A text that is JSON itself stands for what it says, as clients that encode twice expect.
fn json_text(value: &Value) -> Result<Arc<str>, Refusal> {
    match value {
        Value::String(text) => {
            let inner: Value = serde_json::from_str(text).map_err(|_| Refusal::Expected("JSON"))?;
            compact_json(&inner)
        }
        other => compact_json(other),
    }
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(entries) => entries.iter().any(holds_nul),
        Value::Object(members) => members.iter().any(|(key, value)| key.contains('\0') || holds_nul(value)),
        _ => false,
    }
}

fn expect_text<'v>(value: &'v Value, what: &'static str) -> Result<&'v str, Refusal> {
    value.as_str().ok_or(Refusal::Expected(what))
}

/// A text, or a number as it is written.
fn plain_text(value: &Value) -> Result<Cow<'_, str>, Refusal> {
    let text = match value {
        Value::String(text) => Cow::Borrowed(text.as_str()),
        Value::Number(number) => Cow::Owned(number.to_string()),
        _ => return Err(Refusal::Expected("a text")),
    };
    if text.contains('\0') { Err(Refusal::Expected("a text without NUL characters")) } else { Ok(text) }
}

/// The digits of a JSON number or of a text that is one.
fn number_text<'v>(value: &'v Value, what: &'static str) -> Result<Cow<'v, str>, Refusal> {
    match value {
        Value::Number(number) => Ok(Cow::Owned(number.to_string())),
        Value::String(text) => Ok(Cow::Borrowed(text.trim())),
        _ => Err(Refusal::Expected(what)),
    }
}

fn whole_number(value: &Value, least: i64, most: i64) -> Result<i64, Refusal> {
    const WHAT: &str = "a whole number";
    if let Some(number) = value.as_i64().filter(|number| (least..=most).contains(number)) {
        return Ok(number);
    }
    let text = number_text(value, WHAT)?;
    let number = Digits::parse(&text).ok_or(Refusal::Expected(WHAT))?;
    // `5.0` and `1e3` are whole in JSON; as a text they are not, since PostgreSQL refuses them there.
    let is_whole =
        if value.is_string() { !text.contains(['.', 'e', 'E']) } else { number.fraction_is_zero() };
    if !is_whole {
        return Err(Refusal::Expected(WHAT));
    }
    let parsed = number.to_i64().ok_or(Refusal::OutOfRange)?;
    if (least..=most).contains(&parsed) { Ok(parsed) } else { Err(Refusal::OutOfRange) }
}

fn float(value: &Value) -> Result<f64, Refusal> {
    const WHAT: &str = "a number";
    let text = number_text(value, WHAT)?;
    // Keeps `NaN`, `inf` and the like out, which the parser of the language takes.
    Digits::parse(&text).ok_or(Refusal::Expected(WHAT))?;
    let number: f64 = text.parse().map_err(|_| Refusal::Expected(WHAT))?;
    if number.is_finite() { Ok(number) } else { Err(Refusal::OutOfRange) }
}

fn boolean(value: &Value) -> Result<bool, Refusal> {
    let text = match value {
        Value::Bool(value) => return Ok(*value),
        Value::Number(number) => Cow::Owned(number.to_string()),
        Value::String(text) => Cow::Borrowed(text.as_str()),
        _ => return Err(Refusal::Expected("true or false")),
    };
    match text.as_ref() {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(Refusal::Expected("true or false")),
    }
}

fn csv(value: &Value) -> Result<String, Refusal> {
    const WHAT: &str = "a list of texts";
    match value {
        Value::Array(entries) => {
            let texts = entries.iter().map(plain_text).collect::<Result<Vec<_>, _>>();
            Ok(texts.map_err(|_| Refusal::Expected(WHAT))?.join(","))
        }
        Value::String(_) => plain_text(value).map(Cow::into_owned),
        _ => Err(Refusal::Expected(WHAT)),
    }
}

/// A date; of a whole moment its date as written.
fn date(value: &Value) -> Result<Date, Refusal> {
    const WHAT: &str = "a date such as \"2026-03-02\"";
    let text = expect_text(value, WHAT)?;
    let parsed = match text.get(..10) {
        Some(start) if text.len() > 10 => {
            moment(value, WHAT)?;
            start.parse::<Date>()
        }
        _ => text.parse::<Date>(),
    };
    let date = parsed.map_err(|_| Refusal::Expected(WHAT))?;
    if text.len() < 10 || !text.as_bytes()[..4].iter().all(u8::is_ascii_digit) {
        return Err(Refusal::Expected(WHAT));
    }
    if (1..=9999).contains(&date.year()) { Ok(date) } else { Err(Refusal::OutOfRange) }
}

fn time_of_day(text: &str) -> Result<Time, Refusal> {
    const REFUSED: Refusal = Refusal::Expected("a time such as \"10:00:00\"");
    let bytes = text.as_bytes();
    let shaped = bytes.len() >= 5 && bytes[2] == b':' && bytes[..2].iter().all(u8::is_ascii_digit);
    if !shaped { Err(REFUSED) } else { text.parse::<Time>().map_err(|_| REFUSED) }
}

/// A date with or without a time, brought to UTC when it names an offset.
fn moment(value: &Value, what: &'static str) -> Result<DateTime, Refusal> {
    let refused = Refusal::Expected(what);
    let text = expect_text(value, what)?.trim();
    let starts_with_date = text.len() >= 10
        && text.is_char_boundary(10)
        && text.as_bytes()[..4].iter().all(u8::is_ascii_digit)
        && text.as_bytes()[4] == b'-'
        && text.as_bytes()[7] == b'-';
    if !starts_with_date || text.contains('[') {
        return Err(refused);
    }
    let date = text[..10].parse::<Date>().map_err(|_| refused)?;
    let rest = &text[10..];
    let (time, offset_s) = match rest.as_bytes().first() {
        None => (Time::midnight(), 0),
        Some(b'T' | b't' | b' ') => {
            let (clock, offset_s) = split_offset(rest[1..].trim()).ok_or(refused)?;
            (time_of_day(clock).map_err(|_| refused)?, offset_s)
        }
        Some(_) => return Err(refused),
    };
    let local = date.to_datetime(time);
    let moment =
        local.checked_sub(jiff::SignedDuration::from_secs(offset_s)).map_err(|_| Refusal::OutOfRange)?;
    if (1..=9999).contains(&moment.year()) { Ok(moment) } else { Err(Refusal::OutOfRange) }
}

/// `10:00:00+02:00` is `10:00:00` and 7200 seconds.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock.trim_end(), 0));
    }
    let Some(position) = text.rfind(['+', '-']) else {
        return Some((text, 0));
    };
    let (clock, offset) = text.split_at(position);
    let digits: String = offset[1..].chars().filter(|character| *character != ':').collect();
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || !matches!(digits.len(), 2 | 4) {
        return None;
    }
    let hours: i64 = digits[..2].parse().ok()?;
    let minutes: i64 = if digits.len() == 4 { digits[2..].parse().ok()? } else { 0 };
    if hours > 15 || minutes > 59 {
        return None;
    }
    let seconds = (hours * 60 + minutes) * 60;
    Some((clock.trim_end(), if offset.starts_with('-') { -seconds } else { seconds }))
}

/// An exact number: `0.whole × 10^point`, digits without leading zeros.
struct Digits {
    negative: bool,
    digits: Vec<u8>,
    /// Where the point stands, counted from the first digit.
    point: i64,
}

impl Digits {
    fn parse(text: &str) -> Option<Digits> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(position) => {
                let exponent = &unsigned[position + 1..];
                let bare = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
                if bare.is_empty() || !bare.bytes().all(|byte| byte.is_ascii_digit()) {
                    return None;
                }
                // Beyond this a number is out of every range, or nothing.
                let magnitude = bare.parse::<i64>().unwrap_or(1_000_000).min(1_000_000);
                let signed = if exponent.starts_with('-') { -magnitude } else { magnitude };
                (&unsigned[..position], signed)
            }
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0').collect();
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..zeros);
        let point = if digits.is_empty() { 0 } else { whole.len() as i64 + exponent - zeros as i64 };
        Some(Digits { negative, digits, point })
    }

    fn fraction_is_zero(&self) -> bool {
        let start = self.point.clamp(0, self.digits.len() as i64) as usize;
        self.digits[start..].iter().all(|digit| *digit == 0)
    }

    /// The whole part; `None` past 64 bits.
    fn to_i64(&self) -> Option<i64> {
        if self.digits.is_empty() {
            return Some(0);
        }
        if self.point > 19 {
            return None;
        }
        let mut number: i128 = 0;
        for position in 0..self.point.max(0) as usize {
            number = number * 10 + i128::from(self.digits.get(position).copied().unwrap_or(0));
        }
        i64::try_from(if self.negative { -number } else { number }).ok()
    }
}

/// A decimal with exactly `scale` digits behind the point, further ones rounded half away from zero as PostgreSQL does.
fn decimal(text: &str, precision: u8, scale: u8) -> Result<String, Refusal> {
    let number = Digits::parse(text).ok_or(Refusal::Expected("a number"))?;
    let scale = usize::from(scale);
    let room = usize::from(precision).saturating_sub(scale) as i64;
    if !number.digits.is_empty() && number.point > room {
        return Err(Refusal::OutOfRange);
    }
    // Digits of the result, read as one whole number: `point + scale` of them.
    let wanted = number.point + scale as i64;
    let mut result: Vec<u8> = if wanted >= 0 {
        (0..wanted as usize).map(|position| number.digits.get(position).copied().unwrap_or(0)).collect()
    } else {
        Vec::new()
    };
    let rounds_up = wanted >= 0 && number.digits.get(wanted as usize).is_some_and(|digit| *digit >= 5);
    if rounds_up {
        let mut position = result.len();
        loop {
            if position == 0 {
                result.insert(0, 1);
                break;
            }
            position -= 1;
            if result[position] < 9 {
                result[position] += 1;
                break;
            }
            result[position] = 0;
        }
    }
    if result.len() > scale + room as usize {
        return Err(Refusal::OutOfRange);
    }
    while result.len() <= scale {
        result.insert(0, 0);
    }
    let is_zero = result.iter().all(|digit| *digit == 0);
    let mut written = String::with_capacity(result.len() + 2);
    if number.negative && !is_zero {
        written.push('-');
    }
    let whole = result.len() - scale;
    for (position, digit) in result.iter().enumerate() {
        if position == whole {
            written.push('.');
        }
        written.push(char::from(b'0' + digit));
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(column_type: ColumnType, value: Value, expected: Scalar) {
        assert_eq!(column_value(&column_type, &value), Ok(expected), "{column_type} {value}");
    }

    fn refused(column_type: ColumnType, value: Value, expected: Refusal) {
        match (column_value(&column_type, &value), expected) {
            (Err(Refusal::Expected(_)), Refusal::Expected(_)) => {}
            (got, expected) => assert_eq!(got, Err(expected), "{column_type} {value}"),
        }
    }

    fn text(text: &str) -> Scalar {
        Scalar::Text(text.into())
    }

    const WRONG: Refusal = Refusal::Expected("");

    #[test]
    fn whole_numbers() {
        check(ColumnType::Integer, json!(5), Scalar::Int(5));
        check(ColumnType::Integer, json!("-5"), Scalar::Int(-5));
        check(ColumnType::Integer, serde_json::from_str("1e3").expect("JSON"), Scalar::Int(1000));
        check(ColumnType::Integer, serde_json::from_str("5.0").expect("JSON"), Scalar::Int(5));
        check(ColumnType::BigInteger, json!(i64::MIN), Scalar::Int(i64::MIN));
        check(ColumnType::BigInteger, json!("9223372036854775807"), Scalar::Int(i64::MAX));
        refused(ColumnType::Integer, json!(1.5), WRONG);
        refused(ColumnType::Integer, json!("1.5"), WRONG);
        refused(ColumnType::Integer, json!("abc"), WRONG);
        refused(ColumnType::Integer, json!(""), WRONG);
        refused(ColumnType::Integer, json!(true), WRONG);
        refused(ColumnType::Integer, json!([1]), WRONG);
        refused(ColumnType::Integer, json!(2_147_483_648_i64), Refusal::OutOfRange);
        refused(ColumnType::BigInteger, json!("9223372036854775808"), Refusal::OutOfRange);
        refused(
            ColumnType::BigInteger,
            serde_json::from_str("1e999999999").expect("JSON"),
            Refusal::OutOfRange,
        );
    }

    #[test]
    fn decimals() {
        let money = || ColumnType::Decimal { precision: 10, scale: 3 };
        check(money(), json!("12.345"), text("12.345"));
        check(money(), json!(12), text("12.000"));
        check(money(), json!("12.3455"), text("12.346"));
        check(money(), json!("-12.3455"), text("-12.346"));
        check(money(), json!("-0.0001"), text("0.000"));
        check(money(), json!("0.0005"), text("0.001"));
        check(money(), json!("0.00049"), text("0.000"));
        check(money(), json!("9.9996"), text("10.000"));
        check(money(), json!(".5"), text("0.500"));
        check(money(), serde_json::from_str("1.5e2").expect("JSON"), text("150.000"));
        check(money(), json!("0e99999999999"), text("0.000"));
        refused(money(), json!("99999999999"), Refusal::OutOfRange);
        refused(money(), json!("9999999.9996"), Refusal::OutOfRange);
        refused(money(), json!("1e99999999999"), Refusal::OutOfRange);
        refused(money(), json!("NaN"), WRONG);
        refused(money(), json!("."), WRONG);
        check(ColumnType::Decimal { precision: 3, scale: 0 }, json!("99.5"), text("100"));
        check(ColumnType::Decimal { precision: 2, scale: 2 }, json!("0.999e-5"), text("0.00"));
    }

    #[test]
    fn floats_and_booleans() {
        check(ColumnType::Float, json!("1.5"), Scalar::Float(1.5));
        check(ColumnType::Float, json!(1), Scalar::Float(1.0));
        refused(ColumnType::Float, json!("inf"), WRONG);
        refused(ColumnType::Float, json!("NaN"), WRONG);
        refused(ColumnType::Float, json!("1e400"), Refusal::OutOfRange);
        for value in [json!(true), json!(1), json!("true"), json!("1")] {
            check(ColumnType::Boolean, value, Scalar::Bool(true));
        }
        refused(ColumnType::Boolean, json!("maybe"), WRONG);
        refused(ColumnType::Boolean, json!(2), WRONG);
    }

    #[test]
    fn texts() {
        let short = || ColumnType::String { length: 3 };
        check(short(), json!("üüü"), text("üüü"));
        check(short(), json!(12), text("12"));
        refused(short(), json!("abcd"), Refusal::TooLong);
        refused(short(), json!("a\0b"), WRONG);
        refused(short(), json!({}), WRONG);
        check(ColumnType::Csv, json!(["a", "b"]), text("a,b"));
        check(ColumnType::Csv, json!("a,b"), text("a,b"));
        check(ColumnType::Csv, json!([]), text(""));
        refused(ColumnType::Csv, json!([{}]), WRONG);
        check(ColumnType::Json, json!({ "a": [1, null] }), text(r#"{"a":[1,null]}"#));
        check(ColumnType::Json, json!("[1]"), text("[1]"));
        refused(ColumnType::Json, json!("{bad"), WRONG);
        refused(ColumnType::Json, json!({ "a": "\0" }), WRONG);
        let id = "AAAAAAAA-0000-4000-8000-000000000001";
        check(ColumnType::Uuid, json!(id), text(&id.to_lowercase()));
        refused(ColumnType::Uuid, json!("zzz"), WRONG);
        check(ColumnType::Binary, json!("aGk="), Scalar::Bytes(b"hi".as_slice().into()));
        refused(ColumnType::Binary, json!("h!"), WRONG);
    }

    #[test]
    fn dates_and_times() {
        check(ColumnType::Date, json!("2026-03-02"), text("2026-03-02"));
        check(ColumnType::Date, json!("2026-03-02T23:00:00Z"), text("2026-03-02"));
        refused(ColumnType::Date, json!("yesterday"), WRONG);
        refused(ColumnType::Date, json!("2026-02-30"), WRONG);
        refused(ColumnType::Date, json!("20260302"), WRONG);
        check(ColumnType::Time, json!("10:00"), text("10:00:00"));
        check(ColumnType::Time, json!("10:00:01.5"), text("10:00:01"));
        refused(ColumnType::Time, json!("25:00:00"), WRONG);
        refused(ColumnType::Time, json!("noon!"), WRONG);
        check(ColumnType::DateTime, json!("2026-03-02T10:00:00.789"), text("2026-03-02T10:00:00"));
        check(ColumnType::DateTime, json!("2026-03-02T10:00:00+02:00"), text("2026-03-02T08:00:00"));
        check(ColumnType::DateTime, json!("2026-03-02"), text("2026-03-02T00:00:00"));
        check(ColumnType::Timestamp, json!("2026-03-02 10:00:00.5"), text("2026-03-02T10:00:00.500Z"));
        check(ColumnType::Timestamp, json!("2026-01-01T00:30:00+0100"), text("2025-12-31T23:30:00.000Z"));
        refused(ColumnType::Timestamp, json!("soon"), WRONG);
        refused(ColumnType::Timestamp, json!("2026-03-02Tx"), WRONG);
        refused(ColumnType::Timestamp, json!("0001-01-01T00:00:00+02:00"), Refusal::OutOfRange);
        refused(ColumnType::DateTime, json!("äääääääääää"), WRONG);
        refused(ColumnType::Timestamp, json!("2026-03-02T10:00:00+ä"), WRONG);
    }
}
