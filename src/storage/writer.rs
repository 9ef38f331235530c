//! An object that is being written.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart};

use super::failure::failure;
use crate::error::{Error, Result};

/// Pieces on their way at the same time.
const MOST_CONCURRENT: usize = 2;

/// An object that is being written. Dropped before its end it leaves nothing behind.
pub struct Writer {
    location: String,
    store: Arc<dyn ObjectStore>,
    path: Path,
    piece_bytes: usize,
    state: State,
}

enum State {
    /// Short so far: it is written at once.
    Short(Vec<Bytes>, usize),
    /// It goes in pieces.
    Long(WriteMultipart),
    /// It is there, or was given up.
    Over,
}

impl Writer {
    pub(super) fn new(location: String, store: Arc<dyn ObjectStore>, path: Path, piece_bytes: usize) -> Self {
        Writer { location, store, path, piece_bytes, state: State::Short(Vec::new(), 0) }
    }

    /// Adds bytes.
    pub async fn put(&mut self, piece: Bytes) -> Result<()> {
        if let State::Short(pieces, size) = &mut self.state {
            *size += piece.len();
            pieces.push(piece);
            if *size >= self.piece_bytes {
                let pieces = std::mem::take(pieces);
                let upload = self.store.put_multipart(&self.path).await;
                let upload = upload.map_err(|error| failure(&self.location, &error))?;
                let mut long = WriteMultipart::new_with_chunk_size(upload, self.piece_bytes);
                pieces.into_iter().for_each(|piece| long.put(piece));
                self.state = State::Long(long);
            }
            return Ok(());
        }
        let State::Long(long) = &mut self.state else { return Err(over()) };
        long.wait_for_capacity(MOST_CONCURRENT).await.map_err(|error| failure(&self.location, &error))?;
        long.put(piece);
        Ok(())
    }

    /// Makes the object be there, all of it at once.
    pub async fn finish(mut self) -> Result<()> {
        let written = match std::mem::replace(&mut self.state, State::Over) {
            State::Short(pieces, _) => self.store.put(&self.path, PutPayload::from_iter(pieces)).await,
            State::Long(long) => long.finish().await,
            State::Over => return Err(over()),
        };
        written.map(drop).map_err(|error| failure(&self.location, &error))
    }
}

fn over() -> Error {
    Error::internal(anyhow::anyhow!("an object was written to after its end"))
}

impl Drop for Writer {
    fn drop(&mut self) {
        let State::Long(long) = std::mem::replace(&mut self.state, State::Over) else { return };
        let location = std::mem::take(&mut self.location);
        // Stores keep pieces until they are told; without a runtime the process is about to end.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(error) = long.abort().await {
                tracing::warn!(location, %error, "what was written of a file could not be removed");
            }
        });
    }
}
