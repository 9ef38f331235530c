//! The first sheet of a workbook; its first row has the headings.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use calamine::{DataRef, Reader as _, Xlsx, XlsxError};
use serde_json::{Map, Number, Value};
use zip::ZipArchive;

use super::super::cells::defuse;
use super::{Columns, MOST_ROW_BYTES, Take, broken, row_too_large};
use crate::error::{Error, Result};
use crate::items::ImportRow;
use crate::schema::ColumnType;

/// Most bytes of all files of the archive together, unpacked.
const MOST_UNPACKED_BYTES: u64 = 1 << 30;
/// Most bytes of the texts that cells share, which are all in memory.
const MOST_SHARED_BYTES: u64 = 64 << 20;
/// Most files in the archive.
const MOST_FILES: usize = 1000;

pub(super) fn decode(mut file: File, columns: &Columns, take: &mut Take<'_>) -> Result<()> {
    check_size(&file)?;
    file.seek(SeekFrom::Start(0)).map_err(Error::internal)?;
    let mut book: Xlsx<_> = Xlsx::new(BufReader::new(file)).map_err(unreadable)?;
    let Some(name) = book.sheet_names().into_iter().next() else { return Ok(()) };
    let mut cells = book.worksheet_cells_reader(&name).map_err(unreadable)?;
    let mut headings: Vec<(u32, String)> = Vec::new();
    let mut row = Map::new();
    let mut row_bytes = 0;
    let mut current = None;
    let mut first_row = None;
    loop {
        let next = cells.next_cell().map_err(unreadable)?;
        let place = next.as_ref().map(|cell| cell.get_position());
        let row_number = place.map(|(row, _)| row);
        if current.is_some() && current != row_number {
            let line = u64::from(current.unwrap_or_default()) + 1;
            let row = std::mem::take(&mut row);
            let is_heading = first_row == current;
            if !is_heading && !row.is_empty() && take(ImportRow { line, item: Ok(row) }).is_break() {
                return Ok(());
            }
            row_bytes = 0;
        }
        let (Some(cell), Some((number, column))) = (next, place) else { return Ok(()) };
        current = Some(number);
        let first_row = *first_row.get_or_insert(number);
        if number == first_row {
            headings.push((column, text(cell.get_value())));
            continue;
        }
        let Some((_, heading)) =
            headings.iter().find(|(place, heading)| *place == column && !heading.is_empty())
        else {
            continue;
        };
        let value = cell.get_value();
        row_bytes += text_length(value);
        if row_bytes > MOST_ROW_BYTES {
            return Err(broken(u64::from(number) + 1, row_too_large()));
        }
        put(columns, &mut row, heading, value);
    }
}

fn put(columns: &Columns, row: &mut Map<String, Value>, heading: &str, value: &DataRef<'_>) {
    let column_type = columns.column_type(heading);
    let is_text = column_type.is_some_and(ColumnType::is_text);
    let value = match value {
        DataRef::Empty => return,
        DataRef::Bool(value) if !is_text => Value::Bool(*value),
        DataRef::Int(value) if !is_text => Value::from(*value),
        DataRef::Float(value) if !is_text => number(*value),
        DataRef::DateTime(moment) => match column_type {
            Some(
                ColumnType::Integer | ColumnType::Float | ColumnType::BigInteger | ColumnType::Decimal { .. },
            ) => number(moment.as_f64()),
            column_type => {
                let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
                let (date, time) =
                    (format!("{year:04}-{month:02}-{day:02}"), format!("{hour:02}:{minute:02}:{second:02}"));
                Value::String(match column_type {
                    Some(ColumnType::Date) => date,
                    Some(ColumnType::Time) => time,
                    Some(ColumnType::Timestamp) => format!("{date}T{time}Z"),
                    _ => format!("{date}T{time}"),
                })
            }
        },
        // A workbook knows what is a formula: its texts have got no apostrophes.
        other => return columns.put(row, heading, &defuse(&text(other))),
    };
    match (&value, column_type) {
        (Value::Bool(_) | Value::Number(_), None) => columns.put(row, heading, &value.to_string()),
        _ => drop(row.insert(heading.to_owned(), value)),
    }
}

fn text(value: &DataRef<'_>) -> String {
    match value {
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Bool(value) => value.to_string(),
        DataRef::Int(value) => value.to_string(),
        DataRef::Float(value) => number(*value).to_string(),
        DataRef::DateTime(moment) => moment.as_f64().to_string(),
        DataRef::Error(_) | DataRef::Empty => String::new(),
    }
}

fn text_length(value: &DataRef<'_>) -> u64 {
    match value {
        DataRef::String(text) => text.len() as u64,
        DataRef::SharedString(text) => text.len() as u64,
        _ => 8,
    }
}

/// Cells know no whole numbers.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return Value::from(value as i64);
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// Unpacks everything once and keeps nothing, so that a small archive is not a large one.
fn check_size(file: &File) -> Result<()> {
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|_| no_workbook())?;
    if archive.len() > MOST_FILES {
        return Err(too_large());
    }
    let mut left = MOST_UNPACKED_BYTES;
    for position in 0..archive.len() {
        let entry = archive.by_index(position).map_err(|_| no_workbook())?;
        let most = if entry.name().is_ok_and(|name| name.ends_with("sharedStrings.xml")) {
            left.min(MOST_SHARED_BYTES)
        } else {
            left
        };
        let size = io::copy(&mut entry.take(most + 1), &mut io::sink()).map_err(|_| no_workbook())?;
        if size > most {
            return Err(too_large());
        }
        left -= size;
    }
    Ok(())
}

fn unreadable(error: XlsxError) -> Error {
    tracing::debug!(%error, "a workbook cannot be read");
    no_workbook()
}

fn no_workbook() -> Error {
    Error::payload("the file is no workbook (.xlsx).")
}

fn too_large() -> Error {
    Error::payload("the workbook is too large when it is unpacked.")
}
