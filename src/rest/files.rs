//! `/files`: the library. Reading, searching and removing are those of any collection; content comes in here.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::Value;

use super::{Api, items, tus};
use crate::access::{Action, Context};
use crate::db::JsonBytes;
use crate::error::{Error, Result};
use crate::files::{FILES, Said, Source, Upload, form_value};
use crate::items::ItemPayload;
use crate::query::{Query, parse};
use crate::server::{Answer, Call, Part, Parts, object};

/// Most bytes of the fields of a form together.
const MOST_FIELD_BYTES: usize = 1 << 20;

/// A route of this file, with what its path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FilesRoute<'a> {
    /// `/files`
    List,
    /// `/files/{id}`
    One(&'a str),
    /// `/files/import`
    Import,
    /// `/files/tus`
    Begin,
    /// `/files/tus/{id}`
    GoOn(&'a str),
}

impl<'a> FilesRoute<'a> {
    /// The route of what follows `/files`.
    pub(super) fn find(path: &'a [Cow<'a, str>]) -> Option<Self> {
        match path {
            [] => Some(FilesRoute::List),
            [a] if a == "import" => Some(FilesRoute::Import),
            [a] if a == "tus" => Some(FilesRoute::Begin),
            [a, id] if a == "tus" => Some(FilesRoute::GoOn(id)),
            [id] => Some(FilesRoute::One(id)),
            _ => None,
        }
    }

    /// How logs and figures call it.
    pub(super) fn pattern(self) -> &'static str {
        match self {
            FilesRoute::List => "/files",
            FilesRoute::One(_) => "/files/{id}",
            FilesRoute::Import => "/files/import",
            FilesRoute::Begin => "/files/tus",
            FilesRoute::GoOn(_) => "/files/tus/{id}",
        }
    }

    /// Its methods, as `Allow` lists them.
    pub(super) fn methods(self) -> &'static str {
        match self {
            FilesRoute::List => "GET, HEAD, POST, PATCH, DELETE, SEARCH",
            FilesRoute::One(_) => "GET, HEAD, PATCH, DELETE",
            FilesRoute::Import => "POST",
            FilesRoute::Begin => "POST",
            FilesRoute::GoOn(_) => "GET, HEAD, PATCH, DELETE",
        }
    }
}

pub(super) async fn answer(api: &Api, call: &mut Call<'_>, route: FilesRoute<'_>) -> Result<Answer> {
    if let FilesRoute::Begin | FilesRoute::GoOn(_) = route {
        tus::greet(api, call);
    }
    let ctx = api.context(call).await?;
    match (route, call.method.as_str()) {
        (FilesRoute::List, "POST") => Box::pin(create(api, call, &ctx)).await,
        (FilesRoute::List, _) => Box::pin(items::list(api, call, &ctx, FILES)).await,
        (FilesRoute::One(id), "PATCH") if call.is_multipart() => Box::pin(replace(api, call, &ctx, id)).await,
        (FilesRoute::One(id), _) => Box::pin(items::one(api, call, &ctx, FILES, id)).await,
        (FilesRoute::Import, _) => Box::pin(import(api, call, &ctx)).await,
        (FilesRoute::Begin, _) => Box::pin(tus::begin(api, call, &ctx)).await,
        (FilesRoute::GoOn(id), _) => Box::pin(tus::go_on(api, call, &ctx, id)).await,
    }
}

impl Source for Part {
    async fn piece(&mut self) -> Result<Option<Bytes>> {
        Part::piece(self).await
    }
}

/// A form with files, each behind its fields; or items without content, as JSON.
async fn create(api: &Api, call: &mut Call<'_>, ctx: &Context) -> Result<Answer> {
    let query = query(api, call)?;
    let library = api.files.library(&api.items);
    if !call.is_multipart() {
        let body = call.json().await?;
        let (payloads, is_single) = match body {
            Some(Value::Array(list)) => {
                let list = list.into_iter().map(|item| object(Some(item))).collect::<Result<_>>()?;
                (list, false)
            }
            other => (vec![object(other)?], true),
        };
        return Ok(told(library.declare(ctx, payloads, is_single, query).await?));
    }
    library.may(ctx, Action::Create, &ItemPayload::new())?;
    let mut parts = call.parts();
    let mut form = Form::default();
    let mut uploads: Vec<Upload> = Vec::new();
    while let Some((payload, mut part)) = form.next_file(ctx, &mut parts).await? {
        let said = said(&part);
        uploads.push(library.take(ctx, payload, said, &mut part).await?);
    }
    if uploads.is_empty() {
        return Err(Error::payload("no files were included in the body."));
    }
    Ok(told(library.create(ctx, uploads, query).await?))
}

/// A form with one file, whose content an item gets, or with fields alone.
async fn replace(api: &Api, call: &mut Call<'_>, ctx: &Context, id: &str) -> Result<Answer> {
    let query = query(api, call)?;
    let library = api.files.library(&api.items);
    library.may(ctx, Action::Update, &ItemPayload::new())?;
    let mut parts = call.parts();
    let mut form = Form::default();
    let mut upload: Option<Upload> = None;
    while let Some((payload, mut part)) = form.next_file(ctx, &mut parts).await? {
        if upload.is_some() {
            return Err(Error::payload("a file has one content only."));
        }
        let said = said(&part);
        upload = Some(library.take_for(ctx, id, payload, said, &mut part).await?);
    }
    let Some(upload) = upload else {
        return Err(Error::payload("no files were included in the body."));
    };
    Ok(told(library.replace(ctx, id, upload, query).await?))
}

/// `{"url":...,"data":{...}}`: a file that is fetched from elsewhere.
async fn import(api: &Api, call: &mut Call<'_>, ctx: &Context) -> Result<Answer> {
    let query = query(api, call)?;
    let mut body = object(call.json().await?)?;
    let Some(Value::String(url)) = body.remove("url") else {
        return Err(Error::payload("\"url\" is required."));
    };
    let data = match body.remove("data") {
        None | Some(Value::Null) => ItemPayload::new(),
        Some(data) => object(Some(data))?,
    };
    let library = api.files.library(&api.items);
    let upload = library.fetch(ctx, &url, data).await?;
    Ok(told(library.create(ctx, vec![upload], query).await?))
}

/// The fields of a form that stand before a file.
#[derive(Default)]
struct Form {
    field_bytes: usize,
}

impl Form {
    /// The next file, with the fields since the one before.
    async fn next_file(
        &mut self,
        ctx: &Context,
        parts: &mut Parts<'_>,
    ) -> Result<Option<(ItemPayload, Part)>> {
        let mut payload = ItemPayload::new();
        while let Some(mut part) = parts.next().await? {
            if part.file_name.is_some() {
                return Ok(Some((payload, part)));
            }
            let text = part.text(MOST_FIELD_BYTES - self.field_bytes).await?;
            self.field_bytes += text.len();
            let value = form_value(&ctx.schema, &part.name, text);
            payload.insert(std::mem::take(&mut part.name), value);
        }
        Ok(None)
    }
}

fn said(part: &Part) -> Said {
    Said { file_name: part.file_name.clone(), content_type: part.content_type.clone() }
}

fn query(api: &Api, call: &Call<'_>) -> Result<Query> {
    parse::parse_pairs(&call.parameters()?, &api.limits)
}

fn told(members: Option<JsonBytes>) -> Answer {
    members.map_or(Answer::Empty, Answer::Members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let check = |path: &str, expected: Option<&str>| {
            let segments: Vec<Cow<'_, str>> =
                path.split('/').filter(|part| !part.is_empty()).map(Cow::Borrowed).collect();
            assert_eq!(FilesRoute::find(&segments).map(FilesRoute::pattern), expected, "{path}");
        };
        check("", Some("/files"));
        check("1", Some("/files/{id}"));
        check("import", Some("/files/import"));
        check("tus", Some("/files/tus"));
        check("tus/1", Some("/files/tus/{id}"));
        check("1/2", None);
        check("tus/1/2", None);
    }
}
