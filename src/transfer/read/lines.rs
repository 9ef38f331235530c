//! A reader that knows in which line it is, and refuses rows that are too large to be held.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use super::MOST_ROW_BYTES;

/// Where a reader is.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    line_breaks: Rc<Cell<u64>>,
    row_bytes: Rc<Cell<u64>>,
}

impl Place {
    /// The line of the byte that was read last.
    pub(super) fn line(&self) -> u64 {
        self.line_breaks.get() + 1
    }

    /// What is read from now on belongs to another row.
    pub(super) fn begin_row(&self) {
        self.row_bytes.set(0);
    }

    /// The row that is being read is too large.
    pub(super) fn is_row_too_large(&self) -> bool {
        self.row_bytes.get() > MOST_ROW_BYTES
    }
}

/// Counts what is taken out of it, however far ahead it reads.
pub(super) struct Counted {
    inner: BufReader<File>,
    place: Place,
}

impl Counted {
    pub(super) fn new(file: File) -> (Self, Place) {
        let place = Place::default();
        (Counted { inner: BufReader::new(file), place: place.clone() }, place)
    }

    fn count(&self, taken: &[u8]) {
        let breaks = taken.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.place.line_breaks.set(self.place.line_breaks.get() + breaks);
        self.place.row_bytes.set(self.place.row_bytes.get() + taken.len() as u64);
    }

    fn check(&self) -> io::Result<()> {
        if self.place.is_row_too_large() { Err(io::Error::other(super::row_too_large())) } else { Ok(()) }
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        let count = self.inner.read(buffer)?;
        self.count(&buffer[..count]);
        Ok(count)
    }
}

impl BufRead for Counted {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.check()?;
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        let taken = self.inner.buffer();
        self.count(&taken[..amount.min(taken.len())]);
        self.inner.consume(amount);
    }
}
