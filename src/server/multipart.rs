//! Bodies in parts (`multipart/form-data`), read piece by piece.
//!
//! Start at [`Call::parts`]. Nothing is gathered here: whoever asks for a part takes its pieces, and says how many bytes of it may
//! be too many. What is left of a body goes back to the request, so that its connection can be used again.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures::{Stream, StreamExt};
use tokio::time::timeout;

use super::body::IDLE;
use super::call::{Call, media_type};
use crate::error::{Error, Result};

/// Most parts of one body.
const MOST_PARTS: usize = 100;

/// The body of a request for as long as somebody else reads it.
pub struct Lent<'c> {
    place: &'c mut Payload,
    payload: Rc<RefCell<Payload>>,
}

impl<'c> Lent<'c> {
    pub(super) fn new(place: &'c mut Payload) -> Self {
        let payload = Rc::new(RefCell::new(place.take()));
        Lent { place, payload }
    }

    fn reader(&self) -> Reader {
        Reader(self.payload.clone())
    }

    /// The next piece of a body that has no parts; `None` at its end.
    pub async fn piece(&mut self) -> Result<Option<Bytes>> {
        let next = timeout(IDLE, self.reader().next()).await;
        match next {
            Ok(None) => Ok(None),
            Ok(Some(Ok(piece))) => Ok(Some(piece)),
            Ok(Some(Err(_))) => Err(ended_early()),
            Err(_) => Err(too_slow()),
        }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        std::mem::swap(self.place, &mut self.payload.borrow_mut());
    }
}

struct Reader(Rc<RefCell<Payload>>);

impl Stream for Reader {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.borrow_mut().poll_next_unpin(cx)
    }
}

/// The parts of a body, in order.
pub struct Parts<'c> {
    multipart: Multipart,
    seen: usize,
    // Behind the reader: what is left goes back when nobody reads any more.
    _lent: Lent<'c>,
}

/// One part.
pub struct Part {
    /// Its name in the form.
    pub name: String,
    /// The name of the file that it is, when it is one.
    pub file_name: Option<String>,
    /// The media type that the client says it has.
    pub content_type: Option<String>,
    /// Gone at its end, behind which nobody may ask it.
    field: Option<Field>,
}

impl Call<'_> {
    /// Whether the body has parts.
    pub fn is_multipart(&self) -> bool {
        self.header("content-type")
            .is_some_and(|value| media_type(value).eq_ignore_ascii_case("multipart/form-data"))
    }

    /// The parts of the body.
    pub fn parts(&mut self) -> Parts<'_> {
        let headers = self.http.headers();
        let lent = Lent::new(self.payload);
        Parts { multipart: Multipart::new(headers, lent.reader()), seen: 0, _lent: lent }
    }

    /// The body as it comes in.
    pub fn pieces(&mut self) -> Lent<'_> {
        Lent::new(self.payload)
    }
}

impl Parts<'_> {
    /// The next part, when the one before has been read to its end; `None` when there is none.
    ///
    /// Fails with `InvalidPayload` on what is malformed or too many.
    pub async fn next(&mut self) -> Result<Option<Part>> {
        let field = match timeout(IDLE, self.multipart.next()).await {
            Ok(None) => return Ok(None),
            Ok(Some(Ok(field))) => field,
            Ok(Some(Err(error))) => return Err(malformed(&error)),
            Err(_) => return Err(too_slow()),
        };
        self.seen += 1;
        if self.seen > MOST_PARTS {
            return Err(Error::payload(format_args!("the body has more than {MOST_PARTS} parts.")));
        }
        let disposition = field.content_disposition();
        let text = |value: Option<&str>| value.map(str::to_owned);
        Ok(Some(Part {
            name: text(disposition.and_then(|of| of.get_name())).unwrap_or_default(),
            file_name: disposition.and_then(|of| {
                of.get_filename_ext()
                    .and_then(|name| String::from_utf8(name.value.clone()).ok())
                    .or_else(|| text(of.get_filename()))
            }),
            content_type: field.content_type().map(|of| of.essence_str().to_owned()),
            field: Some(field),
        }))
    }
}

impl Part {
    /// The next piece of it; `None` at its end.
    pub async fn piece(&mut self) -> Result<Option<Bytes>> {
        let Some(field) = &mut self.field else { return Ok(None) };
        match timeout(IDLE, field.next()).await {
            Ok(None) => {
                self.field = None;
                Ok(None)
            }
            Ok(Some(Ok(piece))) => Ok(Some(piece)),
            Ok(Some(Err(error))) => Err(malformed(&error)),
            Err(_) => Err(too_slow()),
        }
    }

    /// All of it as text. Fails with `InvalidPayload` when it is longer, or no text.
    pub async fn text(&mut self, most_bytes: usize) -> Result<String> {
        let mut all = Vec::new();
        while let Some(piece) = self.piece().await? {
            if all.len() + piece.len() > most_bytes {
                return Err(Error::payload(format_args!("the fields are larger than {most_bytes} bytes.")));
            }
            all.extend_from_slice(&piece);
        }
        String::from_utf8(all).map_err(|_| Error::payload("a field is not UTF-8."))
    }
}

fn malformed(error: &MultipartError) -> Error {
    Error::payload(format_args!("the body is no form in parts: {error}."))
}

fn ended_early() -> Error {
    Error::payload("the body ended early or is malformed.")
}

fn too_slow() -> Error {
    Error::payload("the body did not arrive in time.")
}
