//! `/assets/files` and `/assets/folder/{id}`: several files as one archive.

use std::borrow::Cow;

use futures::StreamExt as _;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::Api;
use crate::error::{Error, Result};
use crate::server::{Answer, Attachment, Call, object};

/// A route of this file, with what its path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ArchiveRoute<'a> {
    /// `/assets/files`
    Files,
    /// `/assets/folder/{id}`
    Folder(&'a str),
}

impl<'a> ArchiveRoute<'a> {
    /// The route of what follows `/assets`.
    pub(super) fn find(path: &'a [Cow<'a, str>]) -> Option<Self> {
        match path {
            [a] if a == "files" => Some(ArchiveRoute::Files),
            [a, id] if a == "folder" => Some(ArchiveRoute::Folder(id)),
            _ => None,
        }
    }

    /// How logs and figures call it.
    pub(super) fn pattern(self) -> &'static str {
        match self {
            ArchiveRoute::Files => "/assets/files",
            ArchiveRoute::Folder(_) => "/assets/folder/{id}",
        }
    }
}

pub(super) async fn answer(api: &Api, call: &mut Call<'_>, route: ArchiveRoute<'_>) -> Result<Answer> {
    let ctx = api.context(call).await?;
    let body = call.json().await?;
    let library = api.files.library(&api.items);
    let (name, entries) = match route {
        ArchiveRoute::Files => {
            let refused = || Error::payload("\"ids\" must be a list of keys of files.");
            let Some(Value::Array(ids)) = object(body)?.remove("ids") else { return Err(refused()) };
            let ids = ids.iter().map(|id| id.as_str().map(str::to_owned).ok_or_else(refused));
            ("files".to_owned(), library.gather_files(&ctx, &ids.collect::<Result<Vec<_>>>()?).await?)
        }
        ArchiveRoute::Folder(id) => library.gather_folder(&ctx, id).await?,
    };
    let archive = api.transfers.archive(api.files.clone(), entries).await?;
    let moment = TimeZone::UTC.to_datetime(call.now).strftime("%Y%m%d-%H%M%S");
    Ok(Answer::Attachment(Box::new(Attachment {
        file_name: format!("{name}-{moment}.zip"),
        content_type: "application/zip",
        content: archive.into_stream().boxed_local(),
    })))
}
