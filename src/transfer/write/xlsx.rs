//! Rows as a workbook with one sheet. It is written to a temporary file, since an archive is only whole at its end.

use std::io::{Read, Seek, SeekFrom};

use rust_xlsxwriter::{Workbook, Worksheet, XlsxError};
use serde_json::Value;

use super::spool::Spool;
use super::{Next, Put, rows};
use crate::error::{Error, Result};

/// Rows of a sheet, the names of the columns among them.
const MOST_ROWS: u32 = 1_048_576;

const PIECE_BYTES: usize = 64 << 10;

pub(super) fn encode(is_flat: bool, next: &mut Next<'_>, put: &mut Put<'_>) -> Result<()> {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet_with_constant_memory().map_err(failure)?;
    let mut row_number = 0;
    if is_flat {
        while let Some(piece) = next()? {
            for row in rows(&piece)? {
                if row_number == 0 {
                    names(sheet, row.keys())?;
                }
                row_number += 1;
                line(sheet, row_number, row.values())?;
            }
        }
    } else {
        let mut spool = Spool::fill(next)?;
        names(sheet, spool.columns.iter())?;
        while let Some(row) = spool.next()? {
            row_number += 1;
            let values = spool.columns.iter().map(|name| row.get(name).unwrap_or(&Value::Null));
            line(sheet, row_number, values)?;
        }
    }
    let mut file = tempfile::tempfile().map_err(Error::internal)?;
    workbook.save_to_writer(&mut file).map_err(failure)?;
    file.seek(SeekFrom::Start(0)).map_err(Error::internal)?;
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let count = (&file).take(PIECE_BYTES as u64).read_to_end(&mut piece).map_err(Error::internal)?;
        if count == 0 {
            return Ok(());
        }
        put(piece)?;
    }
}

fn names<'n>(sheet: &mut Worksheet, names: impl Iterator<Item = &'n String>) -> Result<()> {
    for (column, name) in names.enumerate() {
        sheet.write_string(0, column as u16, name).map_err(failure)?;
    }
    Ok(())
}

/// Nothing is ever written as a formula.
fn line<'v>(sheet: &mut Worksheet, row: u32, values: impl Iterator<Item = &'v Value>) -> Result<()> {
    if row >= MOST_ROWS {
        let reason = format!("A sheet has room for {} items; ask for fewer, or for CSV.", MOST_ROWS - 1);
        return Err(Error::UnprocessableContent { reason });
    }
    for (column, value) in values.enumerate() {
        let column = column as u16;
        match value {
            Value::Null => continue,
            Value::Bool(value) => sheet.write_boolean(row, column, *value),
            Value::Number(number) => match number.as_f64() {
                // Beyond these a sheet would round.
                Some(value) if value.abs() < 1e15 => sheet.write_number(row, column, value),
                _ => sheet.write_string(row, column, number.to_string()),
            },
            Value::String(text) => sheet.write_string(row, column, text),
            value => sheet.write_string(row, column, value.to_string()),
        }
        .map_err(failure)?;
    }
    Ok(())
}

fn failure(error: XlsxError) -> Error {
    match error {
        XlsxError::MaxStringLengthExceeded => Error::UnprocessableContent {
            reason: "A text is longer than the 32767 characters of a cell; ask for CSV.".to_owned(),
        },
        other => Error::internal(other),
    }
}
