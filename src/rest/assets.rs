//! `/assets/{id}` and `/assets/{id}/{name}`: the content of files, and images made of them.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Api;
use crate::error::{Error, Result};
use crate::files::{Accepts, Asset, Wish};
use crate::server::{Answer, Body, Call, Content};

/// What needs no encoding in a name (RFC 8187).
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'!').remove(b'~');

/// A page of somebody else's making runs nothing here and sends nothing anywhere.
const SANDBOX: &str = "sandbox; default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
/// Browsers show documents with a part of their own, which a sandbox keeps out.
const DOCUMENT: &str = "default-src 'none'; object-src 'self'; base-uri 'none'; form-action 'none'";

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

pub(super) async fn answer(api: &Api, call: &mut Call<'_>, id: &str, name: Option<&str>) -> Result<Answer> {
    let ctx = api.context(call).await?;
    let parameters = call.parameters()?;
    let wish = Wish::parse(&parameters, api.files.config().assets.most_operations)?;
    let accepts = Accepts::parse(call.header("accept").unwrap_or_default());
    let asset = api.files.library(&api.items).asset(&ctx, id, wish.as_ref(), accepts).await?;
    let is_download = parameters.iter().any(|(name, value)| name == "download" && value != "false");
    let tag = format!("\"{}\"", asset.tag);
    let mut headers = headers(api, &asset, &tag);
    if is_known(call, &asset, &tag) {
        return Ok(content(StatusCode::NOT_MODIFIED, headers, Body::Empty));
    }
    let is_active = !is_harmless(&asset.media_type);
    let disposition = disposition(is_download || is_active, name.unwrap_or(&asset.file_name));
    headers.push((header::CONTENT_DISPOSITION, disposition));
    headers.push((header::CONTENT_TYPE, asset.media_type.clone()));
    let size = asset.size_bytes;
    let range = call.header("range").filter(|_| is_same(call, &asset, &tag));
    match range.map_or(Wanted::All, |range| wanted(range, size)) {
        Wanted::All => {
            let stream = asset.open(0, size).await?;
            Ok(content(StatusCode::OK, headers, Body::Stream(size, stream)))
        }
        Wanted::Part(from, to) => {
            headers.push((header::CONTENT_RANGE, format!("bytes {from}-{}/{size}", to - 1)));
            let stream = asset.open(from, to).await?;
            Ok(content(StatusCode::PARTIAL_CONTENT, headers, Body::Stream(to - from, stream)))
        }
        Wanted::Nothing => Err(Error::RangeNotSatisfiable { size_bytes: size }),
    }
}

fn content(status: StatusCode, headers: Vec<(HeaderName, String)>, body: Body) -> Answer {
    Answer::Content(Box::new(Content { status, headers, body }))
}

fn headers(api: &Api, asset: &Asset<'_>, tag: &str) -> Vec<(HeaderName, String)> {
    let whose = if asset.is_public { "public" } else { "private" };
    let seconds = api.files.config().assets.cache_ttl.as_secs();
    let policy = if asset.media_type == "application/pdf" { DOCUMENT } else { SANDBOX };
    let mut headers = vec![
        (header::ETAG, tag.to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::CACHE_CONTROL, format!("{whose}, max-age={seconds}")),
        (header::CONTENT_SECURITY_POLICY, policy.to_owned()),
        (RESOURCE_POLICY, "cross-origin".to_owned()),
    ];
    if let Some(date) = asset.modified_at.and_then(http_date) {
        headers.push((header::LAST_MODIFIED, date));
    }
    // What depends on who asks, or on what they read, must not be given to others from a cache.
    let mut vary: Vec<&str> = Vec::new();
    if !asset.is_public {
        vary.extend(["Authorization", "Cookie"]);
    }
    if asset.is_negotiated {
        vary.push("Accept");
    }
    if !vary.is_empty() {
        headers.push((header::VARY, vary.join(", ")));
    }
    headers
}

/// Whether the client has this content already.
fn is_known(call: &Call<'_>, asset: &Asset<'_>, tag: &str) -> bool {
    match call.header("if-none-match") {
        Some(known) => known.trim() == "*" || known.split(',').any(|entry| weak(entry.trim()) == tag),
        None => {
            let since = call.header("if-modified-since").and_then(parse_date);
            since.zip(asset.modified_at).is_some_and(|(since, at)| at.as_second() <= since.as_second())
        }
    }
}

/// A part is given only of the content that the client has the rest of.
fn is_same(call: &Call<'_>, asset: &Asset<'_>, tag: &str) -> bool {
    match call.header("if-range").map(str::trim) {
        None => true,
        Some(known) if known.starts_with('"') => known == tag,
        Some(date) => parse_date(date)
            .zip(asset.modified_at)
            .is_some_and(|(date, at)| at.as_second() == date.as_second()),
    }
}

fn weak(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

fn http_date(at: Timestamp) -> Option<String> {
    rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()
}

fn parse_date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok()
}

/// What a request wants of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    All,
    /// From the first byte to before the second.
    Part(u64, u64),
    /// What it does not have.
    Nothing,
}

/// One range of bytes. What is no such range, or several, is answered with everything (RFC 9110, 14.2).
fn wanted(range: &str, size: u64) -> Wanted {
    let Some((first, last)) = range.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-'))
    else {
        return Wanted::All;
    };
    let number = |text: &str| {
        let text = text.trim();
        // A number beyond all numbers is beyond the end, too.
        (!text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()))
            .then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (number(first), number(last)) {
        (Some(from), Some(to)) if from > to => Wanted::All,
        (Some(from), _) if from >= size && (last.trim().is_empty() || number(last).is_some()) => {
            Wanted::Nothing
        }
        (Some(from), Some(to)) => Wanted::Part(from, to.saturating_add(1).min(size)),
        (Some(from), None) if last.trim().is_empty() => Wanted::Part(from, size),
        (None, Some(0)) if first.trim().is_empty() => Wanted::Nothing,
        (None, Some(_)) if first.trim().is_empty() && size == 0 => Wanted::Nothing,
        (None, Some(count)) if first.trim().is_empty() => Wanted::Part(size.saturating_sub(count), size),
        _ => Wanted::All,
    }
}

/// Whether a browser that shows it runs nothing of it.
fn is_harmless(media_type: &str) -> bool {
    match media_type.split_once('/') {
        Some(("image", kind)) => !kind.contains("svg") && !kind.contains("xml"),
        Some(("audio" | "video" | "font", kind)) => !kind.contains("xml"),
        _ => matches!(media_type, "text/plain" | "text/csv" | "application/pdf" | "application/json"),
    }
}

/// How a browser treats it, and under which name (RFC 6266). Nothing in a name ends the header.
fn disposition(is_attachment: bool, name: &str) -> String {
    let kind = if is_attachment { "attachment" } else { "inline" };
    let clean: String = name.chars().filter(|c| !c.is_control()).collect();
    let clean = clean.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    let clean = if clean.is_empty() { "file" } else { clean };
    let plain: String =
        clean.chars().map(|c| if c.is_ascii() && !matches!(c, '"' | '%') { c } else { '_' }).collect();
    if plain == clean {
        return format!("{kind}; filename=\"{plain}\"");
    }
    format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{}", utf8_percent_encode(clean, PLAIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let check = |range, expected| assert_eq!(wanted(range, 18), expected, "{range}");
        check("bytes=0-4", Wanted::Part(0, 5));
        check("bytes=5-", Wanted::Part(5, 18));
        check("bytes=-3", Wanted::Part(15, 18));
        check("bytes=-99", Wanted::Part(0, 18));
        check("bytes=10-99", Wanted::Part(10, 18));
        check("bytes=17-17", Wanted::Part(17, 18));
        check("bytes=18-", Wanted::Nothing);
        check("bytes=900-999", Wanted::Nothing);
        check("bytes=99999999999999999999999-", Wanted::Nothing);
        check("bytes=-0", Wanted::Nothing);
        check("bytes=4-0", Wanted::All);
        check("bytes=0-4,6-7", Wanted::All);
        check("bytes=a-b", Wanted::All);
        check("bytes=-", Wanted::All);
        check("lines=0-4", Wanted::All);
        assert_eq!(wanted("bytes=0-", 0), Wanted::Nothing);
    }

    #[test]
    fn names_in_headers() {
        let check = |name, expected: &str| assert_eq!(disposition(false, name), expected, "{name:?}");
        check("pic.png", "inline; filename=\"pic.png\"");
        check("a \"b\".png", "inline; filename=\"a _b_.png\"; filename*=UTF-8''a%20%22b%22.png");
        check("été.png", "inline; filename=\"_t_.png\"; filename*=UTF-8''%C3%A9t%C3%A9.png");
        check("a\r\nX: y.png", "inline; filename=\"aX: y.png\"");
        check("../../etc/passwd", "inline; filename=\"passwd\"");
        check("..\\", "inline; filename=\"file\"");
        check("", "inline; filename=\"file\"");
        assert!(disposition(true, "a").starts_with("attachment;"));
    }

    #[test]
    fn what_runs() {
        for harmless in
            ["image/png", "image/avif", "video/mp4", "audio/mpeg", "text/plain", "application/pdf"]
        {
            assert!(is_harmless(harmless), "{harmless}");
        }
        for active in [
            "text/html",
            "image/svg+xml",
            "application/xhtml+xml",
            "text/xml",
            "application/javascript",
            "x",
            "",
        ] {
            assert!(!is_harmless(active), "{active}");
        }
    }

    #[test]
    fn dates() {
        let at = parse_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date");
        assert_eq!(http_date(at).as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(parse_date("yesterday"), None);
    }
}
