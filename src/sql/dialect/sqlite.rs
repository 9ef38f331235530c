//! SQLite. Texts stand for dates and UUIDs, whole numbers for truth values and, scaled, for decimals.

use std::fmt::Write as _;

use super::super::Param;
use super::super::ast::Expr;
use super::super::print::Printer;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use crate::filter::{Function, Scalar};
use crate::schema::ColumnType;

/// Decimals are compared as the whole numbers that they are stored as, those with too many digits as floating point numbers,
/// which SQLite compares exactly with whole ones.
pub fn stored(value: &Scalar, column_type: &ColumnType) -> Scalar {
    match (value, column_type) {
        (Scalar::Text(text), ColumnType::Decimal { scale, .. }) => scaled(text, usize::from(*scale)),
        (Scalar::Bool(value), _) => Scalar::Int(i64::from(*value)),
        _ => value.clone(),
    }
}

fn scaled(decimal: &str, scale: usize) -> Scalar {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let mut digits = String::with_capacity(decimal.len() + scale + 2);
    digits.push_str(whole);
    if fraction.len() <= scale {
        let _ = write!(digits, "{fraction:0<scale$}");
        if let Ok(number) = digits.parse() {
            return Scalar::Int(number);
        }
    } else {
        digits.push_str(&fraction[..scale]);
        digits.push('.');
        digits.push_str(&fraction[scale..]);
    }
    digits.parse().map_or(Scalar::Null, Scalar::Float)
}

pub fn placeholder(printer: &mut Printer, param: &Param) {
    let number = printer.add(param.clone());
    let _ = write!(printer.text, "?{number}");
}

pub fn membership(printer: &mut Printer, value: &Expr, list: &Param, negated: bool) {
    printer.expr(value);
    printer.text.push_str(if negated {
        " NOT IN (SELECT value FROM rarray("
    } else {
        " IN (SELECT value FROM rarray("
    });
    placeholder(printer, list);
    printer.text.push_str("))");
}

pub fn function(printer: &mut Printer, function: Function, value: &Expr) {
    let format = match function {
        Function::Year => "%Y",
        Function::Month => "%m",
        Function::Week => "%V",
        Function::Day => "%d",
        Function::Weekday => "%w",
        Function::Hour => "%H",
        Function::Minute => "%M",
        Function::Second => "%S",
    };
    let _ = write!(printer.text, "CAST(strftime('{format}', ");
    printer.expr(value);
    printer.text.push_str(") AS integer)");
}

/// Milliseconds since 1970 in the form of a date; a text, such as a default of the database leaves, in the same form.
pub fn moment(printer: &mut Printer, column: &Expr, column_type: &ColumnType) {
    let format = moment_format(column_type);
    let _ = write!(printer.text, "CASE typeof(");
    printer.call("", column, ") WHEN 'text' THEN strftime('");
    printer.text.push_str(format);
    printer.call("', ", column, ") ELSE strftime('");
    printer.text.push_str(format);
    printer.call("', ", column, "/1000.0, 'unixepoch') END");
}

/// The form of a date for SQLite's own function.
pub fn moment_format(column_type: &ColumnType) -> &'static str {
    match column_type {
        ColumnType::Date => "%Y-%m-%d",
        ColumnType::Timestamp => "%Y-%m-%dT%H:%M:%fZ",
        _ => "%Y-%m-%dT%H:%M:%S",
    }
}

/// A canonical date as milliseconds since 1970; what is none stays as it is.
pub fn milliseconds(value: Scalar) -> Scalar {
    let Scalar::Text(text) = &value else { return value };
    let text = text.trim_end_matches('Z');
    let moment = match text.len() {
        10 => text.parse::<Date>().map(|date| date.to_datetime(Time::midnight())),
        _ => text.parse::<DateTime>(),
    };
    match moment.map(|moment| TimeZone::UTC.to_timestamp(moment)) {
        Ok(Ok(moment)) => Scalar::Int(moment.as_millisecond()),
        _ => value,
    }
}

pub fn json_length(printer: &mut Printer, value: &Expr) {
    printer.call("json_array_length(", value, ")");
}

/// A text that is no number becomes 0 rather than an error.
pub fn as_key(printer: &mut Printer, text: &Expr, column_type: &ColumnType) {
    match column_type {
        ColumnType::Integer | ColumnType::BigInteger => printer.call("CAST(", text, " AS integer)"),
        _ => printer.expr(text),
    }
}
