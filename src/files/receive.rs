//! Streams content into the storage and looks at it on the way: the one way in.

use bytes::Bytes;

use super::metadata::{self, Facts};
use super::{Files, Leftover, Source, detect, names, sweep};
use crate::error::{Error, Result};
use crate::items::Stored;
use crate::storage::Location;

/// How much of an image is kept at hand to be looked at.
const HEAD_BYTES: usize = 512 << 10;
/// A larger image whose head does not tell its size is not read again for it.
const MOST_REREAD_BYTES: u64 = 64 << 20;

/// What a client says of content.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// Its name.
    pub file_name: Option<String>,
    /// Its media type.
    pub content_type: Option<String>,
}

/// Content that is in the storage and has no item yet. Dropped, it is removed again.
pub struct Received {
    pub(super) stored: Stored,
    pub(super) size_bytes: u64,
    pub(super) media_type: String,
    pub(super) file_name: Option<String>,
    pub(super) facts: Facts,
    fate: Fate,
    leftovers: tokio::sync::mpsc::UnboundedSender<Leftover>,
}

/// What becomes of content.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It has no item.
    Nobodys,
    /// A transaction is on its way.
    Undecided,
    /// It has one.
    Kept,
}

impl Received {
    /// A transaction begins that gives it an item.
    pub(super) fn offer(&mut self) {
        self.fate = Fate::Undecided;
    }

    /// The transaction was committed, or not.
    pub(super) fn settle(&mut self, is_kept: bool) {
        self.fate = if is_kept { Fate::Kept } else { Fate::Nobodys };
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        let stored = self.stored.clone();
        let leftover = match self.fate {
            Fate::Nobodys => Leftover::Nobodys(stored),
            Fate::Undecided => Leftover::Undecided(stored),
            Fate::Kept => Leftover::Settled(stored),
        };
        // Without the one who tidies up the process is about to end.
        self.leftovers.send(leftover).ok();
    }
}

/// How much is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    /// Most bytes.
    pub most_bytes: u64,
    /// The setting that says so.
    pub limit: &'static str,
}

impl Bound {
    pub(super) fn check(self, bytes: u64) -> Result<()> {
        if bytes > self.most_bytes {
            return Err(Error::ContentTooLarge { limit: self.limit, most_bytes: self.most_bytes });
        }
        Ok(())
    }
}

impl Files {
    pub(super) fn upload_bound(&self) -> Bound {
        Bound { most_bytes: self.config.most_upload_bytes, limit: "FILES_MAX_UPLOAD_SIZE" }
    }

    /// The place that is asked for, or that for new content.
    pub(super) fn location(&self, name: Option<&str>) -> Result<&Location> {
        match name {
            Some(name) => self
                .storage
                .find(name)
                .ok_or_else(|| Error::payload("\"storage\" is none of the locations of this server.")),
            None => {
                self.storage.first().ok_or_else(|| Error::internal(anyhow::anyhow!("no storage location")))
            }
        }
    }

    /// Takes content in. Its item comes next.
    ///
    /// Fails with `ContentTooLarge` past the bound, with `InvalidPayload` for a type that is not taken.
    pub(super) async fn receive(
        &self,
        location: &Location,
        said: Said,
        source: &mut impl Source,
        bound: Bound,
    ) -> Result<Received> {
        let file_name = said.file_name.as_deref().and_then(names::for_download);
        let mut waiting: Vec<Bytes> = Vec::new();
        let mut head: Vec<u8> = Vec::new();
        let mut size_bytes = 0;
        while head.len() < detect::ENOUGH_BYTES {
            let Some(piece) = source.piece().await? else { break };
            size_bytes += piece.len() as u64;
            bound.check(size_bytes)?;
            fill(&mut head, &piece);
            waiting.push(piece);
        }
        let media_type = detect::media_type(&head, said.content_type.as_deref(), file_name.as_deref());
        if !detect::is_taken(&media_type, &self.config.allowed_types) {
            return Err(Error::payload(format_args!("files of type \"{media_type}\" are not taken.")));
        }
        let is_image = detect::is_image(&media_type);
        let extension = detect::extension(&head, file_name.as_deref());
        let name = names::on_disk(extension.as_deref());
        let mut writer = location.write(&name)?;
        for piece in waiting {
            writer.put(piece).await?;
        }
        while let Some(piece) = source.piece().await? {
            size_bytes += piece.len() as u64;
            bound.check(size_bytes)?;
            if is_image {
                fill(&mut head, &piece);
            }
            writer.put(piece).await?;
        }
        // From here on it is somebody's to remove, should this not be carried through.
        let mut received = Received {
            stored: Stored { storage: location.name().to_owned(), filename_disk: name },
            size_bytes,
            media_type,
            file_name,
            facts: Facts::default(),
            fate: Fate::Nobodys,
            leftovers: self.leftovers.clone(),
        };
        // Should the process end before there is an item, this tells whoever sweeps.
        location.put(&sweep::mark_of(&received.stored.filename_disk), Bytes::new()).await?;
        writer.finish().await?;
        if is_image {
            received.facts = self.look(location, &received, head).await?;
        }
        Ok(received)
    }

    /// What an image says of itself, mostly in its first bytes.
    async fn look(&self, location: &Location, received: &Received, head: Vec<u8>) -> Result<Facts> {
        let _place = self.workshop.enter(1).await?;
        let is_whole = head.len() as u64 == received.size_bytes;
        let facts = self.look_at(head.into(), &received.media_type).await?;
        if is_whole || facts.size.is_some() || received.size_bytes > MOST_REREAD_BYTES {
            return Ok(facts);
        }
        match location.read_whole(&received.stored.filename_disk, MOST_REREAD_BYTES).await? {
            Some(whole) => self.look_at(whole, &received.media_type).await,
            None => Ok(facts),
        }
    }

    async fn look_at(&self, bytes: Bytes, media_type: &str) -> Result<Facts> {
        let kept = self.config.kept_metadata.clone();
        let media_type = media_type.to_owned();
        let looked =
            tokio::task::spawn_blocking(move || metadata::look(&bytes, &media_type, kept.as_deref()));
        // A picture that confuses who looks at it is one of which nothing is known.
        Ok(looked.await.unwrap_or_default())
    }
}

fn fill(head: &mut Vec<u8>, piece: &[u8]) {
    let room = HEAD_BYTES.saturating_sub(head.len()).min(piece.len());
    head.extend_from_slice(&piece[..room]);
}
