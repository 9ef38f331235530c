//! Rows kept in a temporary file until it is known which columns they have.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use indexmap::{IndexMap, IndexSet};

use super::{MOST_COLUMNS, Next, Row, flatten, rows, too_many_columns};
use crate::error::{Error, Result};

/// All rows, flat, and the names of their columns in the order of their first appearance.
pub(super) struct Spool {
    pub(super) columns: IndexSet<String>,
    file: BufReader<File>,
    left: u64,
}

impl Spool {
    pub(super) fn fill(next: &mut Next<'_>) -> Result<Spool> {
        let mut file = BufWriter::new(tempfile::tempfile().map_err(Error::internal)?);
        let mut columns: IndexMap<String, bool> = IndexMap::new();
        let mut count = 0;
        while let Some(piece) = next()? {
            for row in rows(&piece)? {
                let mut flat = Row::new();
                flatten(row, &mut flat);
                for (name, value) in &flat {
                    match columns.get_mut(name) {
                        Some(is_used) => *is_used |= !value.is_null(),
                        None => drop(columns.insert(name.clone(), !value.is_null())),
                    }
                }
                if columns.len() > MOST_COLUMNS {
                    return Err(too_many_columns());
                }
                write(&mut file, &flat).map_err(Error::internal)?;
                count += 1;
            }
        }
        let mut file = file.into_inner().map_err(Error::internal)?;
        file.seek(SeekFrom::Start(0)).map_err(Error::internal)?;
        // A place with objects in some rows and nothing in others is no column because of the latter.
        let leads_on = |name: &str| {
            columns.keys().any(|other| other.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
        };
        let used = columns.iter().filter(|(name, is_used)| **is_used || !leads_on(name));
        let columns = used.map(|(name, _)| name.clone()).collect();
        Ok(Spool { columns, file: BufReader::new(file), left: count })
    }

    /// The next row, whose members are in no order.
    pub(super) fn next(&mut self) -> Result<Option<Row>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let mut length = [0; 8];
        self.file.read_exact(&mut length).map_err(Error::internal)?;
        let mut bytes = vec![0; u64::from_le_bytes(length) as usize];
        self.file.read_exact(&mut bytes).map_err(Error::internal)?;
        serde_json::from_slice(&bytes).map(Some).map_err(Error::internal)
    }
}

fn write(file: &mut impl Write, row: &Row) -> std::io::Result<()> {
    let bytes = serde_json::to_vec(row)?;
    file.write_all(&(bytes.len() as u64).to_le_bytes())?;
    file.write_all(&bytes)
}
