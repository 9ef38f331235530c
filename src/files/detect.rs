//! What kind of content it is: what its first bytes say counts more than what a client says.

use infer::MatcherType;

/// Bytes that are enough to know.
pub(super) const ENOUGH_BYTES: usize = 16 << 10;

/// Nothing is known.
const UNKNOWN: &str = "application/octet-stream";

/// The media type of content that begins like this, with what the client says of it.
pub(super) fn media_type(head: &[u8], said: Option<&str>, name: Option<&str>) -> String {
    let said = said.map(str::to_ascii_lowercase).filter(|said| is_media_type(said) && said != UNKNOWN);
    let named = name
        .and_then(|name| mime_guess::from_path(name).first_raw())
        .map(str::to_owned)
        .filter(|named| named != UNKNOWN);
    let mut claimed = said.into_iter().chain(named);
    if is_svg(head) {
        return "image/svg+xml".to_owned();
    }
    match infer::get(head) {
        // Many formats are packed or marked up like these; a claim may say which, as long as it could be true.
        Some(kind) if is_wrapping(kind.mime_type()) => claimed
            .find(|claim| wraps(kind.mime_type(), claim))
            .unwrap_or_else(|| kind.mime_type().to_owned()),
        Some(kind) if kind.matcher_type() == MatcherType::Text && kind.mime_type() != "text/html" => {
            claimed.find(|claim| !has_signature(claim)).unwrap_or_else(|| kind.mime_type().to_owned())
        }
        Some(kind) => kind.mime_type().to_owned(),
        None => {
            let mut claimed = claimed.filter(|claim| !has_signature(claim));
            let plain = if is_text(head) { "text/plain" } else { UNKNOWN };
            claimed.next().unwrap_or_else(|| plain.to_owned())
        }
    }
}

/// Whether this type would have been found in the content.
fn has_signature(media_type: &str) -> bool {
    matches!(
        media_type,
        "image/jpeg"
            | "image/png"
            | "image/gif"
            | "image/webp"
            | "image/tiff"
            | "image/bmp"
            | "image/avif"
            | "image/heif"
            | "image/heic"
            | "image/svg+xml"
            | "image/x-icon"
            | "image/vnd.microsoft.icon"
            | "application/pdf"
            | "application/zip"
            | "application/gzip"
            | "video/mp4"
            | "video/webm"
            | "audio/ogg"
    )
}

fn is_wrapping(media_type: &str) -> bool {
    matches!(media_type, "application/zip" | "text/xml" | "application/x-ole-storage" | "application/gzip")
}

/// Whether content of the first type may be of the second as well.
fn wraps(found: &str, claim: &str) -> bool {
    match found {
        "text/xml" => claim.ends_with("+xml") || claim == "application/xml",
        "application/gzip" => claim.contains("gzip") || claim.contains("compressed") || claim.contains("tar"),
        _ => claim.starts_with("application/") && !has_signature(claim) && claim != "application/javascript",
    }
}

/// Markup that draws, wherever its element stands behind declarations and remarks.
fn is_svg(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&head[..head.len().min(4096)]);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    text.starts_with('<')
        && text.to_ascii_lowercase().contains("<svg")
        && !text.to_ascii_lowercase().contains("<html")
}

fn is_text(head: &[u8]) -> bool {
    // The last character may have been cut.
    let valid = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && error.valid_up_to() + 4 > head.len(),
    };
    valid && !head.contains(&0)
}

/// Whether it is written like a media type.
pub(super) fn is_media_type(text: &str) -> bool {
    let is_name = |part: &str| {
        (1..=127).contains(&part.len())
            && part.bytes().all(|c| c.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&c))
    };
    text.split_once('/').is_some_and(|(left, right)| is_name(left) && is_name(right))
}

/// Whether a type is among those that are taken.
pub(super) fn is_taken(media_type: &str, allowed: &[String]) -> bool {
    allowed.iter().any(|allowed| {
        let Some((left, right)) = allowed.split_once('/') else { return false };
        let Some((own, rest)) = media_type.split_once('/') else { return false };
        (left == "*" || left == own) && (right == "*" || right == rest)
    })
}

/// Whether its kind of image is measured, and its own metadata read.
pub(super) fn is_image(media_type: &str) -> bool {
    matches!(
        media_type,
        "image/jpeg" | "image/png" | "image/gif" | "image/webp" | "image/tiff" | "image/bmp" | "image/avif"
    )
}

/// The usual extension of a type, where content itself tells.
pub(super) fn extension(head: &[u8], name: Option<&str>) -> Option<String> {
    let named = name.and_then(super::names::extension).map(str::to_ascii_lowercase);
    named.or_else(|| infer::get(head).map(|kind| kind.extension().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

    #[test]
    fn content_counts_more_than_claims() {
        let check = |head: &[u8], said: Option<&str>, name: Option<&str>, expected: &str| {
            assert_eq!(media_type(head, said, name), expected, "{said:?} {name:?}");
        };
        check(PNG, Some("image/png"), Some("a.png"), "image/png");
        check(PNG, Some("text/html"), Some("a.html"), "image/png");
        check(b"<html><script>alert(1)</script>", Some("image/png"), Some("a.png"), "text/html");
        check(b"  <!doctype html>\n<p>", Some("text/plain"), Some("a.txt"), "text/html");
        check(b"no picture at all", Some("image/png"), Some("a.png"), "text/plain");
        check(b"\x00\x01\x02\x03", Some("image/jpeg"), None, "application/octet-stream");
        check(b"<svg xmlns='http://www.w3.org/2000/svg'/>", Some("image/png"), None, "image/svg+xml");
        check(b"<?xml version='1.0'?><!-- x --><svg/>", Some("text/xml"), None, "image/svg+xml");
        check(b"a,b\n1,2\n", Some("text/csv"), Some("a.csv"), "text/csv");
        check(b"a,b\n1,2\n", None, Some("a.csv"), "text/csv");
        check(b"a,b\n1,2\n", Some("application/octet-stream"), Some("a"), "text/plain");
        check(b"<?xml version='1.0'?><feed/>", Some("application/atom+xml"), None, "application/atom+xml");
        check(b"PK\x03\x04 and the rest of it", Some("application/epub+zip"), None, "application/epub+zip");
        check(b"PK\x03\x04 and the rest of it", Some("image/png"), Some("a.png"), "application/zip");
        check(b"hello", Some("no type"), None, "text/plain");
        check(b"", None, None, "text/plain");
    }

    #[test]
    fn allowed_types() {
        let check = |media_type: &str, allowed: &[&str], expected| {
            let allowed: Vec<String> = allowed.iter().map(|entry| (*entry).to_owned()).collect();
            assert_eq!(is_taken(media_type, &allowed), expected, "{media_type} {allowed:?}");
        };
        check("image/png", &["*/*"], true);
        check("image/png", &["image/*"], true);
        check("image/png", &["application/pdf", "image/png"], true);
        check("image/svg+xml", &["image/png"], false);
        check("text/html", &["image/*"], false);
    }
}
