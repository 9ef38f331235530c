//! Items as files: `export=` on reads, `/utils/import`, and how far transfers are.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Seek as _, SeekFrom, Write as _};
use std::sync::Arc;

use actix_web::http::StatusCode;
use bytes::Bytes;
use futures::StreamExt as _;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::Api;
use crate::access::{Action, Context};
use crate::error::{Error, Result};
use crate::files::{Said, Source};
use crate::items::ItemPayload;
use crate::query::{Query, Selection, parse};
use crate::server::{Answer, Attachment, Call, entries, object};
use crate::transfer::{Batch, BatchMode, FileStream, Format, Imported, Job, Mode, one_file};

/// A batch is taken as a whole.
const MOST_BATCH_BYTES: u64 = 16 << 20;

/// A route of this file, with what its path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TransferRoute<'a> {
    /// `/utils/import`
    ImportBatch,
    /// `/utils/import/{collection}`
    Import(&'a str),
    /// `/utils/export/{collection}`
    Export(&'a str),
    /// `/tablature/transfers`
    List,
    /// `/tablature/transfers/{id}`
    One(&'a str),
}

impl<'a> TransferRoute<'a> {
    /// The route of a path.
    pub(super) fn find(path: &'a [Cow<'a, str>]) -> Option<Self> {
        match path {
            [a, b] if a == "utils" && b == "import" => Some(TransferRoute::ImportBatch),
            [a, b, collection] if a == "utils" && b == "import" => Some(TransferRoute::Import(collection)),
            [a, b, collection] if a == "utils" && b == "export" => Some(TransferRoute::Export(collection)),
            [a, b] if a == "tablature" && b == "transfers" => Some(TransferRoute::List),
            [a, b, id] if a == "tablature" && b == "transfers" => Some(TransferRoute::One(id)),
            _ => None,
        }
    }

    /// How logs and figures call it.
    pub(super) fn pattern(self) -> &'static str {
        match self {
            TransferRoute::ImportBatch => "/utils/import",
            TransferRoute::Import(_) => "/utils/import/{collection}",
            TransferRoute::Export(_) => "/utils/export/{collection}",
            TransferRoute::List => "/tablature/transfers",
            TransferRoute::One(_) => "/tablature/transfers/{id}",
        }
    }

    /// Its methods, as `Allow` lists them.
    pub(super) fn methods(self) -> &'static str {
        match self {
            TransferRoute::ImportBatch | TransferRoute::Import(_) | TransferRoute::Export(_) => "POST",
            TransferRoute::List | TransferRoute::One(_) => "GET, HEAD",
        }
    }
}

pub(super) async fn answer(
    api: &Api,
    call: &mut Call<'_>,
    ctx: &Context,
    route: TransferRoute<'_>,
) -> Result<Answer> {
    match route {
        TransferRoute::ImportBatch => import_batch(api, call, ctx).await,
        TransferRoute::Import(collection) => import(api, call, ctx, collection).await,
        TransferRoute::Export(collection) => export(api, call, ctx, collection).await,
        // Visitors have begun nothing.
        _ if ctx.accountability.user.is_none() => Err(Error::Forbidden),
        TransferRoute::List => Ok(Answer::Document(json!({ "data": api.transfers.list(ctx) }))),
        TransferRoute::One(id) => {
            let found = api.transfers.find(ctx, id).ok_or(Error::Forbidden)?;
            Ok(Answer::Document(json!({ "data": found })))
        }
    }
}

/// How an import is to be done.
struct Options {
    mode: Mode,
    is_background: bool,
}

impl Options {
    fn read(call: &Call<'_>) -> Result<Self> {
        let mut options = Options { mode: Mode::AllOrNothing, is_background: false };
        for (name, value) in call.parameters()? {
            match (name.as_str(), value.as_str()) {
                ("mode", mode) => {
                    options.mode = Mode::find(mode)
                        .ok_or_else(|| Error::query("\"mode\" is either all-or-nothing or skip-bad"))?;
                }
                ("background", value) => options.is_background = switch("background", value)?,
                _ => {}
            }
        }
        Ok(options)
    }
}

async fn import(api: &Api, call: &mut Call<'_>, ctx: &Context, collection: &str) -> Result<Answer> {
    let options = Options::read(call)?;
    // Whoever may not is told so before anything is sent.
    api.items.may_import(ctx, collection)?;
    let file = receive(call, api.transfers.most_bytes).await?;
    if options.is_background {
        let job = api.transfers.begin("import", ctx, collection);
        let answer = json!({ "data": { "id": job.id } });
        let (items, transfers) = (api.items.clone(), api.transfers.clone());
        let (ctx, collection) = (ctx.clone(), collection.to_owned());
        tokio::spawn(async move {
            let progress = job.progress.clone();
            let done = transfers.import(&items, &ctx, &collection, file, options.mode, progress).await;
            finish(&job, &collection, done);
        });
        return Ok(Answer::WithStatus(StatusCode::ACCEPTED, answer));
    }
    let done = api.transfers.import(&api.items, ctx, collection, file, options.mode, Arc::default()).await?;
    match options.mode {
        Mode::AllOrNothing => Ok(Answer::Done),
        Mode::SkipBad => Ok(Answer::Document(json!({ "data": told(&done) }))),
    }
}

/// `?mode=&dryRun=&dangerouslyAllowDelete=` with a JSON file `[{"collection":...,"items":[...]}]`.
async fn import_batch(api: &Api, call: &mut Call<'_>, ctx: &Context) -> Result<Answer> {
    ctx.accountability.user.as_ref().ok_or(Error::Forbidden)?;
    let mut batch =
        Batch { items: Vec::new(), mode: BatchMode::Add, is_rehearsal: false, removes_others: false };
    for (name, value) in call.parameters()? {
        match name.as_str() {
            "mode" => {
                batch.mode =
                    BatchMode::find(&value).ok_or_else(|| Error::query("\"mode\" is either add or merge"))?;
            }
            "dryRun" => batch.is_rehearsal = switch("dryRun", &value)?,
            "dangerouslyAllowDelete" => batch.removes_others = switch("dangerouslyAllowDelete", &value)?,
            _ => {}
        }
    }
    let (format, file) = receive(call, api.transfers.most_bytes.min(MOST_BATCH_BYTES)).await?;
    if format != Format::Json {
        return Err(Error::payload("a batch is a JSON file."));
    }
    batch.items = collections(file)?;
    let done = api.transfers.import_batch(&api.items, ctx, batch).await?;
    Ok(Answer::Document(json!({ "data": done })))
}

fn switch(name: &str, value: &str) -> Result<bool> {
    match value {
        "true" | "1" | "" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Error::query(format_args!("\"{name}\" is either true or false"))),
    }
}

/// The collections of a batch with their items.
fn collections(mut file: File) -> Result<Vec<(String, Vec<ItemPayload>)>> {
    let refused = || Error::payload("a batch is a list of {\"collection\":...,\"items\":[{...}]}.");
    file.seek(SeekFrom::Start(0)).map_err(Error::internal)?;
    // The parser refuses what is nested deeper than any item.
    let parsed: Value = serde_json::from_reader(BufReader::new(file)).map_err(|_| refused())?;
    let Value::Array(parts) = parsed else { return Err(refused()) };
    let part = |part: Value| {
        let Value::Object(mut part) = part else { return Err(refused()) };
        let (Some(Value::String(name)), Some(Value::Array(items))) =
            (part.remove("collection"), part.remove("items"))
        else {
            return Err(refused());
        };
        let items = items.into_iter().map(|item| match item {
            Value::Object(item) => Ok(item),
            _ => Err(refused()),
        });
        Ok((name, items.collect::<Result<_>>()?))
    };
    parts.into_iter().map(part).collect()
}

/// `{"format":...,"query":{...},"file":{...}}`: makes a file of the library behind the answer.
async fn export(api: &Api, call: &mut Call<'_>, ctx: &Context, collection: &str) -> Result<Answer> {
    let mut body = object(call.json().await?)?;
    let format = match body.get("format") {
        Some(Value::String(format)) => format.clone(),
        _ => return Err(Error::payload("\"format\" must be a text.")),
    };
    let needed = |name: &str| Error::payload(format_args!("\"{name}\" must be an object."));
    let query = match body.remove("query") {
        Some(Value::Object(query)) => parse::parse_object(&query, &api.limits)?,
        _ => return Err(needed("query")),
    };
    let Some(Value::Object(file)) = body.remove("file") else { return Err(needed("file")) };
    let library = api.files.library(&api.items);
    library.may(ctx, Action::Create, &file)?;
    let job = api.transfers.begin("export", ctx, collection);
    let Some(format) = Format::find(&format) else {
        // The public API answers so, too; whoever looks at the transfer learns why there is no file.
        let error = Error::payload("\"format\" is none of csv, json, xml, yaml, xlsx.");
        job.end(json!({ "state": "failed", "errors": entries(&error) }));
        return Ok(Answer::Empty);
    };
    // What may not be read is told at once.
    let rows = api.transfers.export(&api.items, ctx, collection, query, format).await?;
    let name = file_name(collection, format, call);
    let (items, files) = (api.items.clone(), api.files.clone());
    let ctx = ctx.clone();
    // On this thread, where requests live: content comes in as it does from them.
    actix_web::rt::spawn(async move {
        let said = Said { file_name: Some(name.clone()), content_type: Some(format.media_type().to_owned()) };
        let mut rows = Rows(rows);
        let mut payload = file;
        payload.entry("title").or_insert_with(|| json!(name));
        let library = files.library(&items);
        let done = match library.take(&ctx, payload, said, &mut rows).await {
            Ok(upload) => library.create(&ctx, vec![upload], Query::default()).await,
            Err(error) => Err(error),
        };
        match done {
            Ok(_) => {
                tracing::info!(transfer = %job.id, "exported");
                job.end(json!({ "state": "done" }));
            }
            Err(error) => {
                tracing::warn!(transfer = %job.id, %error, "an export failed");
                job.end(json!({ "state": "failed", "errors": entries(&error) }));
            }
        }
    });
    Ok(Answer::Empty)
}

/// A file that is made, as the content of one that is kept.
struct Rows(FileStream);

impl Source for Rows {
    async fn piece(&mut self) -> Result<Option<Bytes>> {
        self.0.next().await
    }
}

fn told(done: &Imported) -> Value {
    let errors: Vec<Value> = done.faults.iter().flat_map(entries).collect();
    json!({ "written": done.written, "refused": done.refused, "errors": errors })
}

/// Notes how a transfer in the background ended, for whoever asks and in the log.
fn finish(job: &Job, collection: &str, done: Result<Imported>) {
    match done {
        Ok(done) => {
            tracing::info!(transfer = %job.id, collection, written = done.written, refused = done.refused, "imported");
            let mut outcome = told(&done);
            outcome["state"] = json!("done");
            job.end(outcome);
        }
        Err(error) => {
            tracing::warn!(transfer = %job.id, collection, %error, "an import failed");
            job.end(json!({ "state": "failed", "written": 0, "errors": entries(&error) }));
        }
    }
}

/// The file of a form, into a temporary file. Other parts say nothing.
async fn receive(call: &mut Call<'_>, most_bytes: u64) -> Result<(Format, File)> {
    if !call.is_multipart() {
        let media_type = call.header("content-type").unwrap_or_default().chars().take(100).collect();
        return Err(Error::UnsupportedMediaType { media_type });
    }
    let mut parts = call.parts();
    while let Some(mut part) = parts.next().await? {
        if part.file_name.is_none() {
            part.text(1 << 16).await?;
            continue;
        }
        let format = Format::of_file(part.content_type.as_deref(), part.file_name.as_deref());
        let format = format.ok_or_else(|| Error::UnsupportedMediaType {
            media_type: part.content_type.clone().unwrap_or_default().chars().take(100).collect(),
        })?;
        let mut file = tempfile::tempfile().map_err(Error::internal)?;
        let mut size = 0;
        while let Some(piece) = part.piece().await? {
            size += piece.len() as u64;
            if size > most_bytes {
                return Err(Error::LimitExceeded { limit: "IMPORT_MAX_SIZE", most: most_bytes });
            }
            // Into the cache of the system, which is faster than handing it to another thread.
            file.write_all(&piece).map_err(Error::internal)?;
        }
        return Ok((format, file));
    }
    Err(Error::payload("the form has no file."))
}

/// How a file of items is called.
fn file_name(collection: &str, format: Format, call: &Call<'_>) -> String {
    let date = TimeZone::UTC.to_datetime(call.now).strftime("%Y-%m-%dT%H-%M-%S");
    format!("{collection} {date}.{}", format.name())
}

/// Whether the URL may ask for a file. The way to one is long, and other reads shall not carry its room about.
pub(super) fn is_asked_for(call: &Call<'_>) -> bool {
    call.raw_parameters().contains("export")
}

/// The file that `export` in the URL asks for; `None` when there is no such parameter.
pub(super) async fn exported(
    api: &Api,
    call: &Call<'_>,
    ctx: &Context,
    collection: &str,
    selection: &Selection,
) -> Result<Option<Answer>> {
    let mut query = parse::parse_string(call.raw_parameters(), &api.limits)?;
    let Some(format) = query.export.take() else { return Ok(None) };
    file(api, call, ctx, collection, selection, query, &format).await.map(Some)
}

/// What a read finds, as a file of this format.
pub(super) async fn file(
    api: &Api,
    call: &Call<'_>,
    ctx: &Context,
    collection: &str,
    selection: &Selection,
    query: Query,
    format: &str,
) -> Result<Answer> {
    let known = || Format::ALL.map(Format::name).join(", ");
    let format = Format::find(format)
        .ok_or_else(|| Error::query(format_args!("\"export\" is none of {}", known())))?;
    let content = match selection {
        Selection::Query => {
            let file = api.transfers.export(&api.items, ctx, collection, query, format).await?;
            file.into_stream().boxed_local()
        }
        one => {
            let item = api.items.read_one(ctx, collection, one.clone(), query).await?;
            // A single object is JSON by itself; every other format has rows.
            let bytes = match (format, item) {
                (Format::Json, item @ Value::Object(_)) => item.to_string().into_bytes(),
                (format, item) => one_file(format, item)?,
            };
            futures::stream::iter([Ok(bytes.into())]).boxed_local()
        }
    };
    let file_name = file_name(collection, format, call);
    Ok(Answer::Attachment(Box::new(Attachment { file_name, content_type: format.content_type(), content })))
}
