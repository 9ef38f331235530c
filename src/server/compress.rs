//! Smaller answers, for those who ask and where it pays.

use actix_http::encoding::Encoder;
use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header::{self, ContentEncoding, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

/// Below this, headers outweigh what is saved.
const LEAST_BYTES: u64 = 1024;

/// Compresses an answer that is long enough with the best that the client accepts.
pub(super) fn compress(request: &HttpRequest, mut response: HttpResponse) -> HttpResponse {
    let is_long = matches!(response.body().size(), BodySize::Sized(bytes) if bytes >= LEAST_BYTES);
    // Parts of content are counted in its own bytes, and most of it is compressed already.
    if !is_long || response.headers().contains_key(header::ACCEPT_RANGES) {
        return response;
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    let accepted = request.headers().get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    match accepted.and_then(choose) {
        Some(encoding) => {
            response.map_body(|head, body| Encoder::response(encoding, head, body)).map_into_boxed_body()
        }
        None => response,
    }
}

fn choose(accepted: &str) -> Option<ContentEncoding> {
    let accepts = |name: &str| {
        accepted.split(',').any(|entry| {
            let (encoding, quality) = entry.split_once(';').unwrap_or((entry, ""));
            let refused = quality.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0);
            encoding.trim().eq_ignore_ascii_case(name) && !refused
        })
    };
    if accepts("br") {
        Some(ContentEncoding::Brotli)
    } else if accepts("gzip") {
        Some(ContentEncoding::Gzip)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings() {
        let check = |accepted, expected| assert_eq!(choose(accepted), expected, "{accepted}");
        check("gzip, deflate, br", Some(ContentEncoding::Brotli));
        check("GZIP", Some(ContentEncoding::Gzip));
        check("br;q=0, gzip;q=0.5", Some(ContentEncoding::Gzip));
        check("identity", None);
        check("", None);
    }
}
