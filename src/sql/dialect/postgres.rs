//! PostgreSQL. Parameters come as one of a few types and are cast where the column has another.

use std::fmt::Write as _;

use super::super::Param;
use super::super::ast::Expr;
use super::super::print::Printer;
use crate::filter::Function;
use crate::schema::ColumnType;

/// The type that a parameter must be cast to; none where what is sent compares as it is, with an index, too.
fn cast(column_type: &ColumnType) -> Option<&'static str> {
    match column_type {
        ColumnType::Decimal { .. } => Some("numeric"),
        ColumnType::Date => Some("date"),
        ColumnType::Time => Some("time"),
        ColumnType::DateTime => Some("timestamp"),
        ColumnType::Timestamp => Some("timestamptz"),
        ColumnType::Uuid => Some("uuid"),
        _ => None,
    }
}

pub fn placeholder(printer: &mut Printer, param: &Param, column_type: Option<&ColumnType>) {
    let number = printer.add(param.clone());
    let _ = match column_type.and_then(cast) {
        Some(cast) => write!(printer.text, "CAST(${number} AS {cast})"),
        None => write!(printer.text, "${number}"),
    };
}

pub fn membership(
    printer: &mut Printer,
    value: &Expr,
    list: &Param,
    column_type: &ColumnType,
    negated: bool,
) {
    printer.expr(value);
    printer.text.push_str(if negated { " <> ALL(" } else { " = ANY(" });
    let number = printer.add(list.clone());
    let _ = match column_type {
        ColumnType::Boolean => write!(printer.text, "CAST(CAST(${number} AS int4[]) AS bool[]))"),
        _ => match cast(column_type) {
            Some(cast) => write!(printer.text, "CAST(${number} AS {cast}[]))"),
            None => write!(printer.text, "${number})"),
        },
    };
}

pub fn function(printer: &mut Printer, function: Function, value: &Expr, column_type: &ColumnType) {
    let part = match function {
        Function::Year => "YEAR",
        Function::Month => "MONTH",
        Function::Week => "WEEK",
        Function::Day => "DAY",
        Function::Weekday => "DOW",
        Function::Hour => "HOUR",
        Function::Minute => "MINUTE",
        Function::Second => "SECOND",
    };
    // The seconds have a fraction, which a cast would round.
    let _ = write!(printer.text, "CAST(FLOOR(EXTRACT({part} FROM ");
    printer.expr(value);
    printer.text.push_str(if *column_type == ColumnType::Timestamp {
        " AT TIME ZONE 'UTC')) AS integer)"
    } else {
        ")) AS integer)"
    });
}

pub fn json_length(printer: &mut Printer, value: &Expr) {
    printer.call("CASE WHEN json_typeof(CAST(", value, " AS json)) = 'array'");
    printer.call(" THEN json_array_length(CAST(", value, " AS json))");
    printer.call(" WHEN ", value, " IS NOT NULL THEN 0 END");
}

/// A text that is no key becomes null rather than an error, which a cast alone would be.
pub fn as_key(printer: &mut Printer, text: &Expr, column_type: &ColumnType) {
    let (pattern, key) = match column_type {
        ColumnType::Integer | ColumnType::BigInteger => ("^-?[0-9]{1,18}$", "bigint"),
        ColumnType::Uuid => ("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "uuid"),
        _ => return printer.expr(text),
    };
    printer.call("CASE WHEN ", text, &format!(" ~ '{pattern}'"));
    printer.call(" THEN CAST(", text, &format!(" AS {key}) END"));
}
