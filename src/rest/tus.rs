//! `/files/tus`: uploads in pieces, as the TUS protocol 1.0 has them, with its extensions creation, termination and expiration.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::fmt::rfc2822;
use serde_json::Value;

use super::{Api, not_found};
use crate::access::Context;
use crate::error::{Error, Result};
use crate::files::{Beginning, Progress, Said, Source, form_value};
use crate::items::ItemPayload;
use crate::server::{Answer, Body, Call, Content, Lent};

const VERSION: &str = "1.0.0";
const EXTENSIONS: &str = "creation,termination,expiration";
/// Most bytes of what a client says of a file.
const MOST_METADATA_BYTES: usize = 8 << 10;

const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const VERSIONS: HeaderName = HeaderName::from_static("tus-version");
const EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
const MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
/// As the public API names the file that an upload became.
const FILE_ID: HeaderName = HeaderName::from_static("directus-file-id");

type Headers = Vec<(HeaderName, String)>;

/// What is spoken here. Nobody has to be signed in for that.
pub(super) fn options(api: &Api, methods: &'static str) -> Answer {
    let headers = vec![
        (header::ALLOW, methods.to_owned()),
        (RESUMABLE, VERSION.to_owned()),
        (VERSIONS, VERSION.to_owned()),
        (EXTENSION, EXTENSIONS.to_owned()),
        (MAX_SIZE, api.files.config().most_upload_bytes.to_string()),
    ];
    told(StatusCode::NO_CONTENT, headers)
}

/// What stands in every answer, errors among them.
pub(super) fn greet(api: &Api, call: &Call<'_>) {
    if api.files.config().tus.enabled {
        call.set_header(RESUMABLE, VERSION);
    }
}

/// `POST /files/tus`: a new upload.
pub(super) async fn begin(api: &Api, call: &mut Call<'_>, ctx: &Context) -> Result<Answer> {
    if let Some(refusal) = refusal(api, call)? {
        return Ok(refusal);
    }
    let size_bytes = number(call, "upload-length")?;
    let metadata = call.header("upload-metadata").unwrap_or_default().to_owned();
    let (said, payload) = understand(ctx, &metadata)?;
    let library = api.files.library(&api.items);
    let mut progress = library.begin_upload(ctx, Beginning { size_bytes, said, payload, metadata }).await?;
    let location = format!("{}/files/tus/{}", api.public_url, progress.id);
    if size_bytes == 0 {
        let id = progress.id.clone();
        progress = library.go_on(ctx, &id, 0, &mut Nothing).await?;
    }
    let mut headers = vec![(header::LOCATION, location)];
    headers.extend(file(&progress));
    headers.extend(expiry(&progress));
    Ok(told(StatusCode::CREATED, headers))
}

/// `/files/tus/{id}`: asks how far an upload is, goes on with it, gives it up.
pub(super) async fn go_on(api: &Api, call: &mut Call<'_>, ctx: &Context, id: &str) -> Result<Answer> {
    if let Some(refusal) = refusal(api, call)? {
        return Ok(refusal);
    }
    let library = api.files.library(&api.items);
    match call.method.as_str() {
        "PATCH" => {
            let content_type = call.header("content-type").unwrap_or_default();
            if !content_type.eq_ignore_ascii_case("application/offset+octet-stream") {
                let media_type = content_type.chars().take(100).collect();
                return Err(Error::UnsupportedMediaType { media_type });
            }
            let offset = number(call, "upload-offset")?;
            let progress = library.go_on(ctx, id, offset, &mut call.pieces()).await?;
            let mut headers = vec![(OFFSET, progress.offset.to_string())];
            headers.extend(file(&progress));
            headers.extend(expiry(&progress));
            Ok(told(StatusCode::NO_CONTENT, headers))
        }
        "DELETE" => {
            library.abandon_upload(ctx, id).await?;
            Ok(told(StatusCode::NO_CONTENT, Vec::new()))
        }
        _ => {
            let progress = library.progress(ctx, id).await?;
            let mut headers =
                vec![(OFFSET, progress.offset.to_string()), (LENGTH, progress.size_bytes.to_string())];
            if !progress.metadata.is_empty() {
                headers.push((METADATA, progress.metadata.clone()));
            }
            headers.extend(expiry(&progress));
            Ok(told(StatusCode::OK, headers))
        }
    }
}

impl Source for Lent<'_> {
    async fn piece(&mut self) -> Result<Option<Bytes>> {
        Lent::piece(self).await
    }
}

struct Nothing;

impl Source for Nothing {
    async fn piece(&mut self) -> Result<Option<Bytes>> {
        Ok(None)
    }
}

/// Another version of the protocol is refused with the one that is spoken here.
fn refusal(api: &Api, call: &Call<'_>) -> Result<Option<Answer>> {
    if !api.files.config().tus.enabled {
        return Err(not_found(call));
    }
    if call.header("tus-resumable") == Some(VERSION) {
        return Ok(None);
    }
    Ok(Some(told(StatusCode::PRECONDITION_FAILED, vec![(VERSIONS, VERSION.to_owned())])))
}

fn told(status: StatusCode, headers: Headers) -> Answer {
    Answer::Content(Box::new(Content { status, headers, body: Body::Empty }))
}

fn file(progress: &Progress) -> Option<(HeaderName, String)> {
    Some((FILE_ID, progress.file.clone()?))
}

/// An upload that became a file does not expire.
fn expiry(progress: &Progress) -> Option<(HeaderName, String)> {
    if progress.offset == progress.size_bytes {
        return None;
    }
    Some((EXPIRES, rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&progress.expires_at).ok()?))
}

fn number(call: &Call<'_>, name: &str) -> Result<u64> {
    let number = call.header(name).filter(|text| text.bytes().all(|c| c.is_ascii_digit()));
    let number = number.and_then(|text| text.parse().ok());
    number.ok_or_else(|| Error::payload(format_args!("the header \"{name}\" must be a whole number.")))
}

/// What `Upload-Metadata` says: names, each perhaps with a value in base64.
fn understand(ctx: &Context, metadata: &str) -> Result<(Said, ItemPayload)> {
    let unreadable =
        || Error::payload("the header \"Upload-Metadata\" must be pairs of a name and a value in base64.");
    if metadata.len() > MOST_METADATA_BYTES {
        return Err(unreadable());
    }
    let (mut said, mut payload) = (Said::default(), ItemPayload::new());
    for pair in metadata.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once(' ').unwrap_or((pair, ""));
        let value = STANDARD.decode(value.trim()).map_err(|_| unreadable())?;
        let value = String::from_utf8(value).map_err(|_| unreadable())?;
        let name: Cow<'_, str> = name.into();
        match name.as_ref() {
            "filename" | "name" => said.file_name = Some(value),
            "filetype" | "type" => said.content_type = Some(value),
            "filename_download" => {
                said.file_name.get_or_insert_with(|| value.clone());
                payload.insert("filename_download".to_owned(), Value::String(value));
            }
            _ => {
                let value = form_value(&ctx.schema, &name, value);
                payload.insert(name.into_owned(), value);
            }
        }
    }
    Ok((said, payload))
}
