//! CSV with headings; its separator may be a comma, a semicolon or a tab.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;

use csv::{ByteRecord, ReaderBuilder};
use serde_json::Map;

use super::{Columns, MOST_DEPTH, MOST_ROW_BYTES, Take, broken, row_too_large};
use crate::error::{Error, Result};
use crate::items::ImportRow;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

pub(super) fn decode(mut file: File, columns: &Columns, take: &mut Take<'_>) -> Result<()> {
    let separator = separator(&mut file).map_err(Error::internal)?;
    let mut reader = ReaderBuilder::new()
        .delimiter(separator)
        .flexible(true)
        .has_headers(false)
        .from_reader(BufReader::new(file));
    let mut record = ByteRecord::new();
    let mut headings: Option<Vec<String>> = None;
    loop {
        let line = reader.position().line();
        let is_there = reader.read_byte_record(&mut record).map_err(|error| broken(line, error))?;
        if !is_there {
            return Ok(());
        }
        // Blank lines before a record are passed over.
        let line = record.position().map_or(line, |position| position.line());
        let Some(headings) = &headings else {
            headings = Some(read_headings(&record).map_err(|error| error.in_line(line))?);
            continue;
        };
        let item = row(headings, &record, columns);
        if let ControlFlow::Break(()) =
            take(ImportRow { line, item: item.map_err(|error| error.in_line(line)) })
        {
            return Ok(());
        }
    }
}

fn read_headings(record: &ByteRecord) -> Result<Vec<String>> {
    let heading = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).map_err(|_| Error::payload("the headings are not UTF-8."))?;
        if text.matches('.').count() > MOST_DEPTH {
            return Err(Error::payload(format_args!("a heading has more than {MOST_DEPTH} dots.")));
        }
        Ok(super::super::cells::restore(text.trim()).to_owned())
    };
    record.iter().map(heading).collect()
}

fn row(
    headings: &[String],
    record: &ByteRecord,
    columns: &Columns,
) -> Result<Map<String, serde_json::Value>> {
    if record.as_slice().len() as u64 > MOST_ROW_BYTES {
        return Err(Error::payload(row_too_large()));
    }
    if record.len() > headings.len() {
        return Err(Error::payload(format_args!(
            "the row has {} cells, for {} headings.",
            record.len(),
            headings.len()
        )));
    }
    let mut row = Map::new();
    for (heading, cell) in headings.iter().zip(record) {
        let text = std::str::from_utf8(cell)
            .map_err(|_| Error::payload(format_args!("\"{heading}\" is not UTF-8.")))?;
        if !heading.is_empty() {
            columns.put(&mut row, heading, text);
        }
    }
    Ok(row)
}

/// What separates the headings, by the first line; afterwards the file is at its start, behind a mark of the byte order.
fn separator(file: &mut File) -> std::io::Result<u8> {
    let mut first = Vec::new();
    BufReader::new(&mut *file).take(MOST_ROW_BYTES).read_until(b'\n', &mut first)?;
    let start = if first.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    file.seek(SeekFrom::Start(start as u64))?;
    let mut is_quoted = false;
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    for byte in first {
        is_quoted ^= byte == b'"';
        if let Some((_, count)) = counts.iter_mut().find(|(separator, _)| *separator == byte && !is_quoted) {
            *count += 1;
        }
    }
    // The first of those that are there most often.
    Ok(counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(separator, _)| *separator))
}
