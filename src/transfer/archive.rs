//! Files of the library as one archive, made while it is sent: never more than a few pieces of it are in memory.

use std::io::{self, Write};
use std::sync::Arc;

use futures::TryStreamExt as _;
use jiff::tz::TimeZone;
use tokio::runtime::Handle;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::write::Put;
use super::{FileStream, Transfers};
use crate::error::{Error, Result};
use crate::files::{Files, Packed, PackedContent};

/// Bytes that are handed on together.
const PIECE_BYTES: usize = 64 << 10;
/// Larger content needs other numbers in an archive, which some readers do not know.
const LARGE: u64 = 0xF000_0000;

impl Transfers {
    /// Begins an archive. What is gone by the time its turn comes is left out.
    ///
    /// Fails with `ServiceUnavailable` when too many files are made already.
    pub async fn archive(&self, files: Arc<Files>, entries: Vec<Packed>) -> Result<FileStream> {
        let place = self.place().await?;
        FileStream::begin(place, move |runtime, put| {
            let mut archive =
                ZipWriter::new_stream(Pieces { gathered: Vec::with_capacity(PIECE_BYTES), put });
            for entry in &entries {
                add(runtime, &files, &mut archive, entry)?;
            }
            let mut pieces = archive.finish().map_err(broken)?.into_inner();
            pieces.flush().map_err(|error| broken(error.into()))
        })
        .await
    }
}

fn add<W: Write + io::Seek>(
    runtime: &Handle,
    files: &Files,
    archive: &mut ZipWriter<W>,
    entry: &Packed,
) -> Result<()> {
    let Some(content) = &entry.content else {
        return archive.add_directory(entry.path.as_str(), SimpleFileOptions::default()).map_err(broken);
    };
    let Some(mut stream) = runtime.block_on(files.open(content))? else {
        tracing::warn!(path = entry.path, "content is gone, and an archive is made without it");
        return Ok(());
    };
    archive.start_file(entry.path.as_str(), options(content)).map_err(broken)?;
    while let Some(piece) = runtime.block_on(stream.try_next()).map_err(|error| broken(error.into()))? {
        archive.write_all(&piece).map_err(|error| broken(error.into()))?;
    }
    Ok(())
}

fn options(content: &PackedContent) -> SimpleFileOptions {
    let method =
        if is_packed(&content.media_type) { CompressionMethod::Stored } else { CompressionMethod::Deflated };
    let options = SimpleFileOptions::default()
        .compression_method(method)
        .large_file(content.size_bytes.is_none_or(|size| size >= LARGE));
    let moment = content.modified_at.map(|at| TimeZone::UTC.to_datetime(at));
    let moment = moment.and_then(|at| {
        let part = |number: i8| u8::try_from(number).ok();
        let year = u16::try_from(at.year()).ok()?;
        zip::DateTime::from_date_and_time(
            year,
            part(at.month())?,
            part(at.day())?,
            part(at.hour())?,
            part(at.minute())?,
            part(at.second())?,
        )
        .ok()
    });
    match moment {
        Some(moment) => options.last_modified_time(moment),
        None => options,
    }
}

/// Whether content is as small as it gets.
fn is_packed(media_type: &str) -> bool {
    match media_type.split_once('/') {
        Some(("image", kind)) => !matches!(kind, "svg+xml" | "bmp" | "tiff"),
        Some(("audio" | "video", _)) => true,
        _ => matches!(media_type, "application/zip" | "application/gzip" | "application/pdf"),
    }
}

fn broken(error: zip::result::ZipError) -> Error {
    Error::internal(anyhow::Error::from(error).context("an archive broke off"))
}

/// What is written, in pieces worth sending.
struct Pieces<'p, 'q> {
    gathered: Vec<u8>,
    put: &'p mut Put<'q>,
}

impl Write for Pieces<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.gathered, Vec::with_capacity(PIECE_BYTES));
        (self.put)(piece).map_err(|error| io::Error::other(error.to_string()))
    }
}
