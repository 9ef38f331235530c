//! Folders of this machine.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

use crate::error::Result;

/// Bytes read at once.
const PIECE_BYTES: u64 = 256 << 10;
/// What a crash left half written is removed when it is older than any upload takes.
const ABANDONED_AFTER: Duration = Duration::from_secs(86_400);

/// A folder as a store: durable, and fast. Both are the same place.
pub(super) fn open(root: &Path) -> object_store::Result<(Arc<dyn ObjectStore>, Arc<dyn ObjectStore>)> {
    std::fs::create_dir_all(root)
        .map_err(|error| object_store::Error::Generic { store: "local", source: error.into() })?;
    remove_abandoned(root);
    let store = LocalFileSystem::new_with_prefix(root)?;
    Ok((Arc::new(store.clone().with_fsync(true)), Arc::new(store)))
}

/// What is being written has a number behind a `#` in its name until it is whole.
fn remove_abandoned(root: &Path) {
    let Ok(entries) = std::fs::read_dir(root) else { return };
    let now = SystemTime::now();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_unfinished = name
            .to_string_lossy()
            .rsplit_once('#')
            .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit()));
        let age =
            entry.metadata().and_then(|of| of.modified()).ok().and_then(|at| now.duration_since(at).ok());
        if is_unfinished && age.is_some_and(|age| age > ABANDONED_AFTER) {
            // Whoever else tidies up here is welcome.
            std::fs::remove_file(entry.path()).ok();
        }
    }
}

/// A part of a file, read where waiting is allowed.
pub(super) fn stream(file: File, range: Range<u64>) -> BoxStream<'static, std::io::Result<Bytes>> {
    stream::try_unfold((file, range), |(file, range)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let read = tokio::task::spawn_blocking(move || read_piece(file, range));
        read.await.unwrap_or_else(|error| Err(std::io::Error::other(error))).map(Some)
    })
    .boxed()
}

fn read_piece(mut file: File, range: Range<u64>) -> std::io::Result<(Bytes, (File, Range<u64>))> {
    let length = PIECE_BYTES.min(range.end - range.start);
    file.seek(SeekFrom::Start(range.start))?;
    let mut piece = Vec::with_capacity(length as usize);
    let read = (&mut file).take(length).read_to_end(&mut piece)? as u64;
    if read < length {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok((piece.into(), (file, range.start + length..range.end)))
}

/// Removes a folder with nothing in it; stores have none, disks do.
pub(super) fn remove_empty(root: &Path, folder: &str) -> Result<()> {
    // One that is not there, or not empty, may stay what it is.
    std::fs::remove_dir(root.join(folder)).ok();
    Ok(())
}
