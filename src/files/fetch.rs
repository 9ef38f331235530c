//! Files that are fetched from elsewhere.

use bytes::Bytes;
use serde_json::Value;
use url::Url;

use super::receive::{Bound, Said};
use super::{Library, Source, Upload};
use crate::access::{Action, Context};
use crate::error::{Error, Result};
use crate::items::ItemPayload;
use crate::outbound::{Budget, Download, Failure};

impl Source for Download {
    async fn piece(&mut self) -> Result<Option<Bytes>> {
        Download::piece(self).await.map_err(|failure| unreachable_content(&failure))
    }
}

impl Library<'_> {
    /// Fetches the content of a new item.
    ///
    /// Fails with `Forbidden` before anything is asked where the caller may make no file, with `ServiceUnavailable` when the other
    /// end does not give it, whatever the reason.
    pub async fn fetch(&self, ctx: &Context, url: &str, mut payload: ItemPayload) -> Result<Upload> {
        self.may(ctx, Action::Create, &payload)?;
        let config = &self.files.config;
        let bound = Bound { most_bytes: config.most_import_bytes, limit: "FILES_MAX_IMPORT_SIZE" };
        let storage = match payload.shift_remove("storage") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name),
            Some(_) => return Err(Error::payload("\"storage\" must be a text.")),
        };
        let location = self.files.location(storage.as_deref())?;
        let most_bytes = usize::try_from(bound.most_bytes).unwrap_or(usize::MAX);
        let budget = Budget { time: config.import_timeout, most_bytes };
        let mut download =
            self.files.outbound.download(url, budget).await.map_err(|failure| match failure {
                Failure::NoAddress => Error::payload("\"url\" must be an address with http or https."),
                other => unreachable_content(&other),
            })?;
        if let Some(bytes) = download.announced_bytes() {
            bound.check(bytes)?;
        }
        let said =
            Said { file_name: last_part(url), content_type: download.content_type().map(str::to_owned) };
        let received = Box::pin(self.files.receive(location, said, &mut download, bound)).await?;
        Ok(Upload { payload, received })
    }
}

/// Why there is no content: the log has it, a caller learns nothing about networks that it cannot see.
fn unreachable_content(failure: &Failure) -> Error {
    tracing::info!(%failure, "a file could not be fetched");
    Error::ServiceUnavailable {
        service: "external-file",
        reason: "The file could not be fetched from its address.".to_owned(),
        retry_after_s: 30,
    }
}

/// The name that an address ends in.
fn last_part(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let last = url.path_segments()?.next_back()?.to_owned();
    let name = percent_encoding::percent_decode_str(&last).decode_utf8().ok()?.into_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_addresses() {
        let check = |url, expected: Option<&str>| assert_eq!(last_part(url).as_deref(), expected, "{url}");
        check("http://a.example/pics/b%20c.png?x=1#y", Some("b c.png"));
        check("http://a.example/", None);
        check("http://a.example", None);
        check("http://a.example/%ff", None);
    }
}
