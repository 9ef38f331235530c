//! Uploads in pieces (TUS 1.0): begun, gone on with after any break, and in the end a file like any other.
//!
//! What has come in so far lies in the storage, one object per piece beside one that says what it shall become. So an upload outlives
//! the process, any node goes on with it, and nothing that is half there is ever an item.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use uuid::Uuid;

use super::receive::Said;
use super::{Library, Opened, Source, Upload};
use crate::access::{Action, Context};
use crate::error::{Error, Result};
use crate::items::ItemPayload;
use crate::query::Query;
use crate::storage::{Location, Object};

/// Folder of what has come in.
const FOLDER: &str = "tus";
/// Name of what says what it becomes.
const PLAN: &str = "plan";
/// Most pieces of an upload.
const MOST_PIECES: usize = 10_000;
/// Most bytes of a plan.
const MOST_PLAN_BYTES: u64 = 1 << 20;

/// What an upload shall become.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    user: Option<String>,
    size_bytes: u64,
    file_name: Option<String>,
    content_type: Option<String>,
    payload: ItemPayload,
    /// The file that gets other content.
    replaces: Option<String>,
    /// The head that the client sent, for those who ask.
    metadata: String,
}

/// What a client says when it begins.
#[derive(Debug, Clone, Default)]
pub struct Beginning {
    /// Size of the whole.
    pub size_bytes: u64,
    /// What it says of the file.
    pub said: Said,
    /// Fields of the item; `storage` names the location, `id` perhaps a file that is there.
    pub payload: ItemPayload,
    /// All that as it was sent.
    pub metadata: String,
}

/// How far an upload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Its name.
    pub id: String,
    /// Bytes that are there.
    pub offset: u64,
    /// Size of the whole.
    pub size_bytes: u64,
    /// When it is given up unless more comes in.
    pub expires_at: Timestamp,
    /// What the client said of it.
    pub metadata: String,
    /// The file that it became, where the caller may see it.
    pub file: Option<String>,
}

/// An upload as it lies in the storage.
struct Found<'a> {
    location: &'a Location,
    folder: String,
    plan: Plan,
    /// Names and sizes, in the order of the content.
    pieces: Vec<(String, u64)>,
    offset: u64,
    count: usize,
    touched_at: Timestamp,
}

impl Library<'_> {
    /// Begins an upload. Fails with `Forbidden` where the caller could not make the file in the end.
    pub async fn begin_upload(&self, ctx: &Context, beginning: Beginning) -> Result<Progress> {
        let Beginning { size_bytes, said, mut payload, metadata } = beginning;
        self.files.upload_bound().check(size_bytes)?;
        let named = payload.get("id").and_then(|id| id.as_str()).map(str::to_owned);
        let replaces = match named {
            Some(id) if self.find(ctx, &id, "id").await.is_ok() => {
                payload.shift_remove("id");
                Some(id)
            }
            _ => None,
        };
        let action = if replaces.is_some() { Action::Update } else { Action::Create };
        self.may(ctx, action, &payload)?;
        let storage = payload.get("storage").and_then(|name| name.as_str()).map(str::to_owned);
        let location = self.files.location(storage.as_deref())?;
        let id = Uuid::new_v4().to_string();
        let plan = Plan {
            user: ctx.accountability.user.clone(),
            size_bytes,
            file_name: said.file_name,
            content_type: said.content_type,
            payload,
            replaces,
            metadata: metadata.clone(),
        };
        let plan = serde_json::to_vec(&plan).map_err(Error::internal)?;
        location.put(&format!("{FOLDER}/{id}/{PLAN}"), plan.into()).await?;
        let expires_at = self.expires_at(ctx.now);
        Ok(Progress { id, offset: 0, size_bytes, expires_at, metadata, file: None })
    }

    /// How far an upload of this caller is. Fails with `Forbidden` where there is none.
    pub async fn progress(&self, ctx: &Context, id: &str) -> Result<Progress> {
        let found = self.find_upload(ctx, id).await?;
        Ok(self.progress_of(id, &found))
    }

    /// Gives an upload up, with all that has come in.
    pub async fn abandon_upload(&self, ctx: &Context, id: &str) -> Result<()> {
        let _alone = self.files.workshop.alone(&format!("{FOLDER}:{id}")).await?;
        let found = self.find_upload(ctx, id).await?;
        found.location.remove_folder(&found.folder).await
    }

    /// Goes on with an upload; with its last byte it becomes a file.
    ///
    /// Fails with `Conflict` when it is elsewhere than the client thinks, or somebody else is at it. What came in before a break stays.
    pub async fn go_on(
        &self,
        ctx: &Context,
        id: &str,
        offset: u64,
        source: &mut impl Source,
    ) -> Result<Progress> {
        let Some(_alone) = self.files.workshop.try_alone(&format!("{FOLDER}:{id}")) else {
            return Err(Error::Conflict { reason: "Another request is at this upload.".to_owned() });
        };
        let found = self.find_upload(ctx, id).await?;
        if found.offset != offset {
            let reason = format!("The upload is at {} bytes.", found.offset);
            return Err(Error::Conflict { reason });
        }
        if found.count >= MOST_PIECES {
            return Err(Error::payload(format_args!("an upload has at most {MOST_PIECES} pieces.")));
        }
        let left = found.plan.size_bytes - found.offset;
        let came = Box::pin(self.take_piece(&found, source, left)).await?;
        let now = if came > 0 { self.find_upload(ctx, id).await? } else { found };
        let mut progress = self.progress_of(id, &now);
        if now.offset == now.plan.size_bytes {
            progress.file = Box::pin(self.complete(ctx, now)).await?;
        }
        Ok(progress)
    }

    /// Keeps what comes in; gives how much it was.
    async fn take_piece(&self, found: &Found<'_>, source: &mut impl Source, left: u64) -> Result<u64> {
        // No two pieces have the same name, so that none is ever written over.
        let name = format!("{}/{:020}-{}", found.folder, found.offset, Uuid::new_v4().simple());
        let mut writer = found.location.write(&name)?;
        let mut came = 0;
        let mut broken = None;
        loop {
            match source.piece().await {
                Ok(Some(piece)) if came + piece.len() as u64 > left => {
                    broken = Some(Error::payload("more came in than the upload has."));
                    break;
                }
                Ok(Some(piece)) => {
                    came += piece.len() as u64;
                    writer.put(piece).await?;
                }
                Ok(None) => break,
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            }
        }
        if came > 0 {
            writer.finish().await?;
        }
        broken.map_or(Ok(came), Err)
    }

    /// All of it is there: it becomes a file in the same way as any other content.
    async fn complete(&self, ctx: &Context, found: Found<'_>) -> Result<Option<String>> {
        let Found { location, folder, plan, pieces, .. } = found;
        let said = Said { file_name: plan.file_name, content_type: plan.content_type };
        let mut source = Pieces { location, waiting: pieces.into_iter(), open: None };
        let answer = Query { fields: vec![vec!["id".to_owned()]], ..Query::default() };
        let body = match plan.replaces {
            Some(key) => {
                let upload = Box::pin(self.take_for(ctx, &key, plan.payload, said, &mut source)).await?;
                Box::pin(self.replace(ctx, &key, upload, answer)).await?
            }
            None => {
                let upload: Upload = Box::pin(self.take(ctx, plan.payload, said, &mut source)).await?;
                Box::pin(self.create(ctx, vec![upload], answer)).await?
            }
        };
        if let Err(error) = location.remove_folder(&folder).await {
            tracing::warn!(%error, folder, "the pieces of an upload that became a file could not be removed yet");
        }
        let id = body.and_then(|members| {
            let document = [b"{".as_slice(), &members, b"}"].concat();
            let document: serde_json::Value = serde_json::from_slice(&document).ok()?;
            document["data"]["id"].as_str().map(str::to_owned)
        });
        Ok(id)
    }

    async fn find_upload(&self, ctx: &Context, id: &str) -> Result<Found<'_>> {
        // Only what we named ourselves is looked for.
        let id = Uuid::try_parse(id).map_err(|_| Error::Forbidden)?;
        let folder = format!("{FOLDER}/{}", id.hyphenated());
        for location in self.files.storage.all() {
            let plan = location.read_whole(&format!("{folder}/{PLAN}"), MOST_PLAN_BYTES).await?;
            let Some(plan) = plan else { continue };
            let plan: Plan = serde_json::from_slice(&plan).map_err(Error::internal)?;
            if plan.user != ctx.accountability.user && !ctx.rules.is_everything() {
                return Err(Error::Forbidden);
            }
            let objects = location.list(&folder).await?;
            let touched_at = objects.iter().map(|object| object.written_at).max().unwrap_or(ctx.now);
            if self.expires_at(touched_at) < ctx.now {
                return Err(Error::Forbidden);
            }
            let count = objects.len();
            let (pieces, offset) = in_order(objects);
            return Ok(Found { location, folder, plan, pieces, offset, count, touched_at });
        }
        Err(Error::Forbidden)
    }

    fn progress_of(&self, id: &str, found: &Found<'_>) -> Progress {
        Progress {
            id: id.to_owned(),
            offset: found.offset,
            size_bytes: found.plan.size_bytes,
            expires_at: self.expires_at(found.touched_at),
            metadata: found.plan.metadata.clone(),
            file: None,
        }
    }

    fn expires_at(&self, touched_at: Timestamp) -> Timestamp {
        let after =
            SignedDuration::try_from(self.files.config.tus.expires_after).unwrap_or(SignedDuration::ZERO);
        touched_at.saturating_add(after).unwrap_or(touched_at)
    }

    /// Removes uploads that nobody goes on with.
    pub(super) async fn expire_uploads(&self) {
        if !self.files.config.tus.enabled {
            return;
        }
        let now = Timestamp::now();
        for location in self.files.storage.all() {
            let objects = match location.list(FOLDER).await {
                Ok(objects) => objects,
                // It is in the log; there will be another time.
                Err(_) => continue,
            };
            let mut touched: HashMap<String, Timestamp> = HashMap::new();
            for object in objects {
                let Some((folder, _)) = object.name.rsplit_once('/') else { continue };
                let at = touched.entry(folder.to_owned()).or_insert(object.written_at);
                *at = (*at).max(object.written_at);
            }
            for (folder, _) in touched.into_iter().filter(|(_, at)| self.expires_at(*at) < now) {
                if let Err(error) = location.remove_folder(&folder).await {
                    tracing::warn!(%error, folder, "an abandoned upload could not be removed yet");
                }
            }
        }
    }
}

/// The pieces that follow one another, and how far they reach. Of two with the same beginning the longer one counts: what a client
/// was told to be there stays.
fn in_order(objects: Vec<Object>) -> (Vec<(String, u64)>, u64) {
    let mut longest: BTreeMap<u64, (String, u64)> = BTreeMap::new();
    for object in objects {
        let start = object.name.rsplit('/').next().and_then(|name| name.split_once('-'));
        let Some(start) = start.and_then(|(start, _)| start.parse::<u64>().ok()) else { continue };
        let known = longest.get(&start).map_or(0, |(_, size)| *size);
        if object.size_bytes > known {
            longest.insert(start, (object.name, object.size_bytes));
        }
    }
    let mut offset = 0;
    let mut pieces = Vec::new();
    while let Some((name, size)) = longest.remove(&offset) {
        offset += size;
        pieces.push((name, size));
    }
    (pieces, offset)
}

/// Pieces, one behind the other.
struct Pieces<'a> {
    location: &'a Location,
    waiting: std::vec::IntoIter<(String, u64)>,
    open: Option<Opened>,
}

impl Source for Pieces<'_> {
    async fn piece(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(open) = &mut self.open {
                match open.next().await {
                    Some(Ok(piece)) => return Ok(Some(piece)),
                    Some(Err(error)) => return Err(Error::internal(error)),
                    None => self.open = None,
                }
            }
            let Some((name, _)) = self.waiting.next() else { return Ok(None) };
            let reading = self.location.read(&name, None).await?.ok_or(Error::Forbidden)?;
            self.open = Some(reading.stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_follow_one_another() {
        let object = |name: &str, size_bytes| Object {
            name: format!("tus/u/{name}"),
            size_bytes,
            written_at: Timestamp::UNIX_EPOCH,
        };
        let start = |offset: u64, tail: &str| format!("{offset:020}-{tail}");
        let objects = vec![
            object("plan", 99),
            object(&start(15, "d"), 5),
            object(&start(0, "a"), 10),
            object(&start(0, "b"), 4),
            object(&start(10, "c"), 5),
            object(&start(40, "lost"), 5),
            object("nonsense-1", 5),
        ];
        let (pieces, offset) = in_order(objects);
        assert_eq!((pieces.len(), offset), (3, 20));
        assert_eq!(in_order(Vec::new()), (Vec::new(), 0));
    }
}
