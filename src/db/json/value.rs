//! One value as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::super::cell::{self, Cell};
use crate::error::{Error, Result};
use crate::query::ValueFormat;
use crate::schema::ColumnType;

/// What stands for a value that nobody is shown.
pub(in crate::db) const CONCEALED: &[u8] = b"\"**********\"";

/// Type with which a column of this format is read.
pub(in crate::db) fn read_type(format: &ValueFormat) -> &ColumnType {
    match format {
        ValueFormat::Typed(column_type) => column_type,
        ValueFormat::Concealed => &ColumnType::Text,
        ValueFormat::NumberText => &ColumnType::BigInteger,
        ValueFormat::SumText { .. } => &ColumnType::Text,
        ValueFormat::Quoted(column_type) => column_type,
        ValueFormat::Bare(format) => read_type(format),
    }
}

/// Writes a value in the form that answers give it.
pub(in crate::db) fn write(cell: Cell<'_>, format: &ValueFormat, out: &mut Vec<u8>) -> Result<()> {
    if matches!(cell, Cell::Null) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    match format {
        ValueFormat::Typed(column_type) => write_typed(cell, column_type, out),
        ValueFormat::Concealed => {
            out.extend_from_slice(CONCEALED);
            Ok(())
        }
        ValueFormat::NumberText => quoted(out, |out| cell.write_text(&ColumnType::BigInteger, out)),
        ValueFormat::SumText { scale } => quoted(out, |out| write_sum(cell, *scale, out)),
        ValueFormat::Quoted(column_type) => quoted(out, |out| cell.write_text(column_type, out)),
        ValueFormat::Bare(format) => {
            let start = out.len();
            write(cell, format, out)?;
            bare(out, start);
            Ok(())
        }
    }
}

/// Takes the quotes from the number at `start`. A text that is none (tables of others may hold `NaN`) keeps them.
fn bare(out: &mut Vec<u8>, start: usize) {
    let is_number =
        out[start..].strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).is_some_and(|text| {
            text.first() != Some(&b'.') && text.iter().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.'))
        });
    if is_number {
        out.pop();
        out.remove(start);
    }
}

/// Writes a sum: SQLite sums the scaled whole numbers it stores, the others answer with the point in place.
fn write_sum(cell: Cell<'_>, scale: u8, out: &mut Vec<u8>) -> Result<()> {
    match cell {
        Cell::Text(text) if !text.contains('.') => {
            let value: i128 = text.parse().map_err(Error::internal)?;
            cell::write_scaled(value, scale, out);
            Ok(())
        }
        other => other.write_text(&ColumnType::Text, out),
    }
}

fn write_typed(cell: Cell<'_>, column_type: &ColumnType, out: &mut Vec<u8>) -> Result<()> {
    match column_type {
        ColumnType::Integer | ColumnType::Boolean | ColumnType::Float => cell.write_text(column_type, out),
        ColumnType::String { .. } | ColumnType::Text | ColumnType::Hash | ColumnType::Unknown { .. } => {
            match cell {
                Cell::Text(text) => {
                    write_text(text, out);
                    Ok(())
                }
                other => quoted(out, |out| other.write_text(column_type, out)),
            }
        }
        ColumnType::BigInteger
        | ColumnType::Decimal { .. }
        | ColumnType::Date
        | ColumnType::Time
        | ColumnType::DateTime
        | ColumnType::Timestamp
        | ColumnType::Uuid => match cell {
            // Text of a table that others fill may hold anything.
            Cell::Text(text) => {
                write_text(text, out);
                Ok(())
            }
            other => quoted(out, |out| other.write_text(column_type, out)),
        },
        ColumnType::Json => cell.write_text(column_type, out),
        ColumnType::Csv => match cell {
            Cell::Text(text) => {
                write_list(text, out);
                Ok(())
            }
            other => Err(cell::misfit(&other, column_type)),
        },
        ColumnType::Binary => match cell {
            Cell::Bytes(bytes) => {
                write_text(&BASE64.encode(bytes), out);
                Ok(())
            }
            Cell::Text(text) => {
                write_text(&BASE64.encode(text), out);
                Ok(())
            }
            other => Err(cell::misfit(&other, column_type)),
        },
    }
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
    out.push(b'"');
    write(out)?;
    out.push(b'"');
    Ok(())
}

/// Writes a list of texts that is stored joined by commas; the empty text is the empty list.
fn write_list(text: &str, out: &mut Vec<u8>) {
    out.push(b'[');
    if !text.is_empty() {
        for (position, entry) in text.split(',').enumerate() {
            if position > 0 {
                out.push(b',');
            }
            write_text(entry, out);
        }
    }
    out.push(b']');
}

/// Writes a JSON string.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(position) = first_escaped(rest) {
        out.extend_from_slice(&rest[..position]);
        let byte = rest[position];
        match ESCAPES[usize::from(byte)] {
            b'u' => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            letter => out.extend_from_slice(&[b'\\', letter]),
        }
        rest = &rest[position + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Where the first byte stands that JSON wants escaped.
fn first_escaped(bytes: &[u8]) -> Option<usize> {
    const CHUNK: usize = 32;
    let is_escaped = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    // A whole chunk is looked at without a branch, which the compiler turns into few instructions.
    let is_plain = |chunk: &&[u8]| !chunk.iter().fold(false, |found, byte| found | is_escaped(byte));
    let start = CHUNK * bytes.chunks_exact(CHUNK).take_while(is_plain).count();
    bytes[start..].iter().position(is_escaped).map(|position| start + position)
}

/// For each byte the letter behind its backslash, `u` for a code, 0 for none.
static ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = b'u';
        byte += 1;
    }
    table[b'\n' as usize] = b'n';
    table[b'\r' as usize] = b'r';
    table[b'\t' as usize] = b't';
    table[0x08] = b'b';
    table[0x0c] = b'f';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(cell: Cell<'_>, format: ValueFormat, expected: &str) {
        let mut out = Vec::new();
        assert!(write(cell, &format, &mut out).is_ok());
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn values_take_the_form_of_their_type() {
        use ColumnType::*;
        check(Cell::Null, ValueFormat::Typed(Integer), "null");
        check(Cell::Int(7), ValueFormat::Typed(Integer), "7");
        check(Cell::Int(7), ValueFormat::Typed(BigInteger), "\"7\"");
        check(Cell::Int(1), ValueFormat::Typed(Boolean), "true");
        check(Cell::Int(350), ValueFormat::Typed(Decimal { precision: 10, scale: 2 }), "\"3.50\"");
        check(Cell::Text("a,b"), ValueFormat::Typed(Csv), r#"["a","b"]"#);
        check(Cell::Text(""), ValueFormat::Typed(Csv), "[]");
        check(Cell::Text(r#"{"a": 1}"#), ValueFormat::Typed(Json), r#"{"a": 1}"#);
        check(Cell::Bytes(&[1, 2]), ValueFormat::Typed(Binary), "\"AQI=\"");
        check(Cell::Text("secret"), ValueFormat::Concealed, "\"**********\"");
        check(Cell::Int(12), ValueFormat::NumberText, "\"12\"");
        let bare = |format| ValueFormat::Bare(Box::new(format));
        check(Cell::Int(12), bare(ValueFormat::NumberText), "12");
        check(Cell::Int(-350), bare(ValueFormat::Typed(Decimal { precision: 10, scale: 2 })), "-3.50");
        check(Cell::Text("NaN"), bare(ValueFormat::Typed(Decimal { precision: 10, scale: 2 })), "\"NaN\"");
        check(Cell::Int(7), ValueFormat::Quoted(Integer), "\"7\"");
        check(Cell::Text("131250"), ValueFormat::SumText { scale: 2 }, "\"1312.50\"");
        check(Cell::Text("1312.50"), ValueFormat::SumText { scale: 2 }, "\"1312.50\"");
        check(Cell::Int(0), ValueFormat::Typed(Timestamp), "\"1970-01-01T00:00:00.000Z\"");
    }

    #[test]
    fn texts_are_escaped_as_serde_does() {
        let all: String = (0u8..128).map(char::from).chain("é🚀\u{7f}\u{2028}".chars()).collect();
        let mut out = Vec::new();
        write_text(&all, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), serde_json::json!(all).to_string());
    }
    proptest! {
        #[test]
        fn texts_are_escaped_as_everybody_does(
            text in "([a-zé\u{1f600} ]{0,70}[\u{0}-\u{1f}\"\\\\\u{7f}é]{0,2}){0,4}",
        ) {
            let mut out = Vec::new();
            write_text(&text, &mut out);
            prop_assert_eq!(String::from_utf8_lossy(&out), serde_json::to_string(&text).expect("a text"));
        }
    }
}
