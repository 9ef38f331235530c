//! One value of a row as a driver hands it over, and its canonical text forms.
//!
//! The three drivers decode into [`Cell`]; everything behind it is the same for all of them, so that equal rows give equal bytes.

use std::io::Write as _;
use std::sync::Arc;

use jiff::civil;

use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::schema::ColumnType;

/// A value borrowed from a row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cell<'r> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'r str),
    Bytes(&'r [u8]),
    Uuid(u128),
    Date(civil::Date),
    Time(civil::Time),
    /// A local time, or a moment in UTC: the type of the column tells which.
    Moment(civil::DateTime),
    /// PostgreSQL's binary form of `numeric`.
    Numeric(&'r [u8]),
}

/// A row of any driver.
pub(super) trait RowView {
    /// The value in this column, read as a column of this type.
    fn cell(&self, column: usize, column_type: &ColumnType) -> Result<Cell<'_>>;
}

/// Reports a value that does not fit the type of its column; the cause goes to the log only.
pub(super) fn misfit(cell: &Cell<'_>, column_type: &ColumnType) -> Error {
    let kind = match cell {
        Cell::Null => "null",
        Cell::Bool(_) => "a truth value",
        Cell::Int(_) => "a whole number",
        Cell::Float(_) => "a floating point number",
        Cell::Text(_) => "a text",
        Cell::Bytes(_) => "bytes",
        Cell::Uuid(_) => "a UUID",
        Cell::Date(_) | Cell::Time(_) | Cell::Moment(_) => "a date or time",
        Cell::Numeric(_) => "a decimal",
    };
    Error::internal(anyhow::anyhow!("the database returned {kind} for a column of type {column_type}"))
}

impl Cell<'_> {
    /// The value in the canonical form of its type (see [`Scalar`]).
    pub(super) fn to_scalar(self, column_type: &ColumnType) -> Result<Scalar> {
        let scalar = match (self, column_type) {
            (Cell::Null, _) => Scalar::Null,
            (Cell::Bool(value), _) => Scalar::Bool(value),
            (Cell::Int(value), ColumnType::Boolean) => Scalar::Bool(value != 0),
            (Cell::Int(value), ColumnType::Float) => Scalar::Float(value as f64),
            (Cell::Int(value), ColumnType::Integer | ColumnType::BigInteger) => Scalar::Int(value),
            (Cell::Float(value), ColumnType::Float) => Scalar::Float(value),
            (Cell::Bytes(value), _) => Scalar::Bytes(Arc::from(value)),
            (Cell::Text(text), _) => Scalar::Text(Arc::from(text)),
            _ => {
                let mut text = Vec::with_capacity(32);
                self.write_text(column_type, &mut text)?;
                let text = String::from_utf8(text).map_err(Error::internal)?;
                match column_type {
                    ColumnType::Integer | ColumnType::BigInteger => {
                        Scalar::Int(text.parse().map_err(Error::internal)?)
                    }
                    _ => Scalar::Text(Arc::from(text)),
                }
            }
        };
        Ok(scalar)
    }

    /// Writes the canonical text of the value, unquoted and unescaped.
    pub(super) fn write_text(self, column_type: &ColumnType, out: &mut Vec<u8>) -> Result<()> {
        match (self, column_type) {
            (Cell::Null, _) => {}
            (Cell::Text(text), _) => out.extend_from_slice(text.as_bytes()),
            (Cell::Bool(value), _) => out.extend_from_slice(if value { b"true" } else { b"false" }),
            (Cell::Int(value), ColumnType::Decimal { scale, .. }) => write_scaled(value.into(), *scale, out),
            (Cell::Int(value), ColumnType::Timestamp | ColumnType::DateTime) => {
                // Other servers keep moments in SQLite as milliseconds since 1970.
                let moment = jiff::Timestamp::from_millisecond(value).map_err(Error::internal)?;
                write_moment(moment.to_zoned(jiff::tz::TimeZone::UTC).datetime(), column_type, out);
            }
            (Cell::Int(value), ColumnType::Boolean) => {
                out.extend_from_slice(if value != 0 { b"true" } else { b"false" });
            }
            (Cell::Int(value), _) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
            (Cell::Float(value), _) => write_float(value, out),
            (Cell::Uuid(value), _) => {
                let mut buffer = uuid::Uuid::encode_buffer();
                out.extend_from_slice(
                    uuid::Uuid::from_u128(value).hyphenated().encode_lower(&mut buffer).as_bytes(),
                );
            }
            (Cell::Date(date), _) => write_date(date, out),
            (Cell::Time(time), _) => write_time(time, out),
            (Cell::Moment(moment), _) => write_moment(moment, column_type, out),
            (Cell::Numeric(bytes), _) => super::numeric::write_postgres_numeric(bytes, out)?,
            (Cell::Bytes(_), _) => return Err(misfit(&self, column_type)),
        }
        Ok(())
    }
}

/// Writes `value / 10^scale` with all digits of the scale.
pub(super) fn write_scaled(value: i128, scale: u8, out: &mut Vec<u8>) {
    if scale == 0 {
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        return;
    }
    if value < 0 {
        out.push(b'-');
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(value.unsigned_abs()).as_bytes();
    let scale = usize::from(scale);
    if digits.len() > scale {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(fraction);
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + scale - digits.len(), b'0');
        out.extend_from_slice(digits);
    }
}

/// Writes a number as JavaScript would: the shortest digits, whole numbers without a point. Not a number becomes `null`.
pub(super) fn write_float(value: f64, out: &mut Vec<u8>) {
    if !value.is_finite() {
        out.extend_from_slice(b"null");
    } else if value == value.trunc() && value.abs() < 9_007_199_254_740_992.0 {
        out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
    } else {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    }
}

fn write_two(value: i8, out: &mut Vec<u8>) {
    out.push(b'0' + (value / 10) as u8);
    out.push(b'0' + (value % 10) as u8);
}

fn write_date(date: civil::Date, out: &mut Vec<u8>) {
    let year = date.year();
    if (0..=9999).contains(&year) {
        write_two((year / 100) as i8, out);
        write_two((year % 100) as i8, out);
    } else {
        // Writing to a vector cannot fail.
        let _ = write!(out, "{year:05}");
    }
    out.push(b'-');
    write_two(date.month(), out);
    out.push(b'-');
    write_two(date.day(), out);
}

fn write_time(time: civil::Time, out: &mut Vec<u8>) {
    write_two(time.hour(), out);
    out.push(b':');
    write_two(time.minute(), out);
    out.push(b':');
    write_two(time.second(), out);
}

fn write_moment(moment: civil::DateTime, column_type: &ColumnType, out: &mut Vec<u8>) {
    write_date(moment.date(), out);
    out.push(b'T');
    write_time(moment.time(), out);
    if *column_type == ColumnType::Timestamp {
        let milliseconds = moment.time().millisecond();
        out.push(b'.');
        out.push(b'0' + (milliseconds / 100) as u8);
        write_two((milliseconds % 100) as i8, out);
        out.push(b'Z');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn scaled_numbers_keep_all_digits() {
        let check =
            |value, scale, expected: &str| assert_eq!(text(|out| write_scaled(value, scale, out)), expected);
        check(1234, 2, "12.34");
        check(5, 2, "0.05");
        check(-5, 3, "-0.005");
        check(0, 2, "0.00");
        check(-120, 0, "-120");
        check(i128::from(i64::MIN), 2, "-92233720368547758.08");
    }

    #[test]
    fn floats_are_written_as_javascript_does() {
        let check = |value, expected: &str| assert_eq!(text(|out| write_float(value, out)), expected);
        check(62.0, "62");
        check(0.75, "0.75");
        check(-0.1, "-0.1");
        check(f64::NAN, "null");
        check(1e15, "1000000000000000");
        check(1.5e300, "1.5e+300");
    }

    #[test]
    fn moments_carry_what_their_type_has() {
        let moment = civil::date(2026, 3, 2).at(9, 5, 7, 80_000_000);
        let check = |column_type, expected: &str| {
            assert_eq!(text(|out| write_moment(moment, &column_type, out)), expected);
        };
        check(ColumnType::DateTime, "2026-03-02T09:05:07");
        check(ColumnType::Timestamp, "2026-03-02T09:05:07.080Z");
    }
}
