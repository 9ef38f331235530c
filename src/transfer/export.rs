//! Rows that a query finds, as a file.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinHandle;

use super::{Format, Transfers, write};
use crate::access::Context;
use crate::error::{Error, Result};
use crate::items::ItemsService;
use crate::query::Query;

/// Pieces of a file that are made ahead of whoever takes them.
const AHEAD: usize = 4;
/// How long whoever takes a file may take nothing.
const IDLE: Duration = Duration::from_secs(60);

/// A file that is being made.
pub struct FileStream {
    first: Option<Bytes>,
    pieces: mpsc::Receiver<Bytes>,
    making: Option<JoinHandle<Result<()>>>,
}

impl Transfers {
    /// Makes a file of the items that a query finds; of all of them, when it names no limit.
    ///
    /// Fails with `Forbidden` for what is not there or may not be seen, with `InvalidQuery` for what does not fit, with
    /// `UnprocessableContent` for what the format has no room for.
    pub async fn export(
        &self,
        items: &ItemsService,
        ctx: &Context,
        collection: &str,
        query: Query,
        format: Format,
    ) -> Result<FileStream> {
        let place = self.place().await?;
        let mut rows = items.read_pieces(ctx, collection, query)?;
        FileStream::begin(place, move |runtime, put| {
            let is_flat = rows.is_flat;
            write::encode(format, is_flat, &mut || runtime.block_on(rows.next()), put)
        })
        .await
    }
}

impl FileStream {
    /// Begins to make a file on a thread of its own, which keeps its place to the end.
    pub(super) async fn begin(
        place: OwnedSemaphorePermit,
        make: impl FnOnce(&Handle, &mut write::Put<'_>) -> Result<()> + Send + 'static,
    ) -> Result<Self> {
        let runtime = Handle::current();
        let (sender, pieces) = mpsc::channel::<Bytes>(AHEAD);
        let making = tokio::task::spawn_blocking(move || {
            let _place = place;
            let mut put = |piece: Vec<u8>| {
                if piece.is_empty() {
                    return Ok(());
                }
                let sent = runtime.block_on(sender.send_timeout(piece.into(), IDLE));
                // Whoever asked has gone, or listens no more.
                sent.map_err(|_| Error::UnprocessableContent { reason: "Nobody takes the file.".to_owned() })
            };
            make(&runtime, &mut put)
        });
        let mut file = FileStream { first: None, pieces, making: Some(making) };
        // What fails at once is told as what it is, not by an answer that breaks off.
        file.first = file.take().await?;
        Ok(file)
    }

    /// The next bytes; `None` at the end of the file. Fails when it cannot be made to its end.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.take().await,
        }
    }

    async fn take(&mut self) -> Result<Option<Bytes>> {
        if let Some(piece) = self.pieces.recv().await {
            return Ok(Some(piece));
        }
        match self.making.take() {
            Some(making) => making.await.map_err(Error::internal)?.map(|()| None),
            None => Ok(None),
        }
    }

    /// The same for those who know bytes and failures only. What fails is logged, since nobody can be told any more.
    pub fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + 'static {
        futures::stream::try_unfold(self, |mut file| async move {
            match file.next().await {
                Ok(piece) => Ok(piece.map(|piece| (piece, file))),
                Err(error) => {
                    tracing::warn!(%error, "an export broke off");
                    Err(io::Error::other("the export broke off"))
                }
            }
        })
    }
}

/// A file of one item, or of a list of items.
pub fn one_file(format: Format, items: Value) -> Result<Vec<u8>> {
    let list = if items.is_array() { items } else { Value::Array(vec![items]) };
    let mut pieces = Some(list.to_string().into_bytes());
    let mut file = Vec::new();
    let mut put = |bytes: Vec<u8>| {
        file.extend(bytes);
        Ok(())
    };
    write::encode(format, false, &mut || Ok(pieces.take()), &mut put)?;
    Ok(file)
}
