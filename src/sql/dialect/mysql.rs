//! MariaDB and MySQL.

use std::fmt::Write as _;

use super::super::Param;
use super::super::ast::Expr;
use super::super::print::Printer;
use crate::filter::{Function, Scalar};
use crate::schema::ColumnType;

/// Moments have a space in the middle and no zone.
pub fn stored(value: &Scalar, column_type: &ColumnType) -> Scalar {
    match (value, column_type) {
        (Scalar::Text(text), ColumnType::DateTime | ColumnType::Timestamp) => {
            Scalar::Text(text.replace('T', " ").trim_end_matches('Z').into())
        }
        (Scalar::Bool(value), _) => Scalar::Int(i64::from(*value)),
        _ => value.clone(),
    }
}

/// A text beside a number or a date would be compared as floating point, without the index.
fn cast(column_type: &ColumnType) -> Option<&'static str> {
    match column_type {
        ColumnType::Decimal { .. } => Some("decimal(65,30)"),
        ColumnType::Date => Some("date"),
        ColumnType::Time => Some("time(6)"),
        ColumnType::DateTime | ColumnType::Timestamp => Some("datetime(6)"),
        _ => None,
    }
}

pub fn placeholder(printer: &mut Printer, param: &Param, column_type: Option<&ColumnType>) {
    printer.add(param.clone());
    let _ = match column_type.and_then(cast) {
        Some(cast) => write!(printer.text, "CAST(? AS {cast})"),
        None => write!(printer.text, "?"),
    };
}

/// The list is one JSON array, opened as a table with the type and collation of the column, so that its index is used.
pub fn membership(
    printer: &mut Printer,
    value: &Expr,
    list: &Param,
    column_type: &ColumnType,
    negated: bool,
) {
    printer.expr(value);
    printer.text.push_str(if negated { " NOT IN (" } else { " IN (" });
    printer.text.push_str("SELECT jt.v FROM JSON_TABLE(?, '$[*]' COLUMNS (v ");
    printer.add(list.clone());
    let _ = match column_type {
        ColumnType::Integer | ColumnType::BigInteger => write!(printer.text, "bigint"),
        ColumnType::Boolean => write!(printer.text, "tinyint"),
        ColumnType::Float => write!(printer.text, "double"),
        ColumnType::Decimal { .. } => write!(printer.text, "decimal(65,30)"),
        ColumnType::Date => write!(printer.text, "date"),
        ColumnType::Time => write!(printer.text, "time(6)"),
        ColumnType::DateTime | ColumnType::Timestamp => write!(printer.text, "datetime(6)"),
        ColumnType::Uuid => write!(printer.text, "char(36) {COLLATION}"),
        ColumnType::String { length } => write!(printer.text, "varchar({length}) {COLLATION}"),
        _ => write!(printer.text, "longtext {COLLATION}"),
    };
    printer.text.push_str(" PATH '$')) AS jt");
    if negated {
        // A value that does not fit becomes null, beside which nothing would ever be outside of the list.
        printer.text.push_str(" WHERE jt.v IS NOT NULL");
    }
    printer.text.push(')');
}

const COLLATION: &str = "CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin";

pub fn function(printer: &mut Printer, function: Function, value: &Expr) {
    let (before, after) = match function {
        Function::Year => ("YEAR(", ")"),
        Function::Month => ("MONTH(", ")"),
        Function::Week => ("WEEK(", ", 3)"),
        Function::Day => ("DAYOFMONTH(", ")"),
        Function::Weekday => ("(DAYOFWEEK(", ") - 1)"),
        Function::Hour => ("HOUR(", ")"),
        Function::Minute => ("MINUTE(", ")"),
        Function::Second => ("SECOND(", ")"),
    };
    printer.call(before, value, after);
}

pub fn json_length(printer: &mut Printer, value: &Expr) {
    printer.call("CASE WHEN JSON_TYPE(", value, ") = 'ARRAY'");
    printer.call(" THEN JSON_LENGTH(", value, ")");
    printer.call(" WHEN ", value, " IS NOT NULL THEN 0 END");
}

/// A text that is no number becomes 0 rather than an error.
pub fn as_key(printer: &mut Printer, text: &Expr, column_type: &ColumnType) {
    match column_type {
        ColumnType::Integer | ColumnType::BigInteger => printer.call("CAST(", text, " AS signed)"),
        _ => printer.expr(text),
    }
}
