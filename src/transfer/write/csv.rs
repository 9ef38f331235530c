//! Rows as CSV: texts in quotes, numbers and booleans without, nothing for null, no line break at the end.

use serde_json::Value;

use super::super::cells::defuse;
use super::spool::Spool;
use super::{Next, Put, rows};
use crate::error::Result;

/// The file is handed on in pieces of about this size.
const PIECE_BYTES: usize = 64 << 10;

pub(super) fn encode(is_flat: bool, next: &mut Next<'_>, put: &mut Put<'_>) -> Result<()> {
    let mut out = Vec::new();
    if is_flat {
        let mut is_first = true;
        while let Some(piece) = next()? {
            for row in rows(&piece)? {
                if std::mem::take(&mut is_first) {
                    line(row.keys().map(|name| Cell::Text(name)), &mut out);
                }
                out.push(b'\n');
                line(row.values().map(Cell::Value), &mut out);
            }
            put(std::mem::take(&mut out))?;
        }
        return Ok(());
    }
    let mut spool = Spool::fill(next)?;
    line(spool.columns.iter().map(|name| Cell::Text(name)), &mut out);
    while let Some(row) = spool.next()? {
        out.push(b'\n');
        line(spool.columns.iter().map(|name| Cell::Value(row.get(name).unwrap_or(&Value::Null))), &mut out);
        if out.len() > PIECE_BYTES {
            put(std::mem::take(&mut out))?;
        }
    }
    put(out)
}

enum Cell<'c> {
    Text(&'c str),
    Value(&'c Value),
}

fn line<'c>(cells: impl Iterator<Item = Cell<'c>>, out: &mut Vec<u8>) {
    for (position, cell) in cells.enumerate() {
        if position > 0 {
            out.push(b',');
        }
        match cell {
            Cell::Value(Value::Null) => {}
            Cell::Value(value @ (Value::Bool(_) | Value::Number(_))) => {
                out.extend_from_slice(value.to_string().as_bytes());
            }
            Cell::Value(Value::String(text)) => quoted(&defuse(text), out),
            Cell::Value(value) => quoted(&value.to_string(), out),
            Cell::Text(text) => quoted(&defuse(text), out),
        }
    }
}

fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for (position, part) in text.split('"').enumerate() {
        if position > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'"');
}
