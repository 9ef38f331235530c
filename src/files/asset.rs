//! What is served of a file: its content, or an image made of it.

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use jiff::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::service::text;
use super::transform::{Accepts, Bounds, Format, Policy, Recipe, Wish, busy, folder_of, work};
use super::{Leftover, Library, server_of};
use crate::access::{AccessRules, Context};
use crate::error::{Error, Result};
use crate::storage::Location;

/// Most pixels of an original, and of what is made of it.
const MOST_PIXELS_IN: u64 = 36_000_000;
const MOST_PIXELS_OUT: u64 = 9_000_000;
/// A larger original is not read as a whole.
const MOST_ORIGINAL_BYTES: u64 = 128 << 20;
/// Bytes of an original that count like a million pixels: they are in memory, too.
const BYTES_PER_MEGAPIXEL: u64 = 4 << 20;

/// Files that the settings show to everybody.
const PUBLIC: &str = "project_logo,public_foreground,public_background,public_favicon";

const COLUMNS: &str = "id,storage,filename_disk,filename_download,type,filesize,width,height,modified_on,uploaded_on,\
                       focal_point_x,focal_point_y";

/// Something to serve.
pub struct Asset<'a> {
    /// Its media type.
    pub media_type: String,
    /// The name under which it is kept.
    pub file_name: String,
    /// When the file changed.
    pub modified_at: Option<Timestamp>,
    /// Tells this content from any other: a text for an `ETag`.
    pub tag: String,
    /// Everybody may see it.
    pub is_public: bool,
    /// It depends on what the client reads.
    pub is_negotiated: bool,
    /// Its size in bytes.
    pub size_bytes: u64,
    location: &'a Location,
    content: Content,
}

enum Content {
    Stored(String),
    Made(Bytes),
}

/// The bytes of an asset.
pub type Opened = BoxStream<'static, std::io::Result<Bytes>>;

impl Asset<'_> {
    /// Its bytes from the first number to before the second. Fails with `Forbidden` when the content is gone.
    pub async fn open(&self, from: u64, to: u64) -> Result<Opened> {
        match &self.content {
            Content::Made(bytes) => {
                let part = usize::try_from(from).ok().zip(usize::try_from(to).ok());
                let part = part.filter(|(from, to)| from <= to && *to <= bytes.len());
                let part = part.map(|(from, to)| bytes.slice(from..to)).ok_or(Error::Forbidden)?;
                Ok(stream::iter([Ok(part)]).boxed())
            }
            Content::Stored(_) if from >= to => Ok(stream::empty().boxed()),
            Content::Stored(name) => {
                let range = (from > 0 || to < self.size_bytes).then_some((from, to));
                Ok(self.location.read(name, range).await?.ok_or(Error::Forbidden)?.stream)
            }
        }
    }
}

impl<'a> Library<'a> {
    /// What is to be served of a file to this caller.
    ///
    /// Fails with `Forbidden` where there is none for them, with `InvalidQuery` and `IllegalTransformation` for wishes that cannot be
    /// met.
    pub async fn asset(
        &self,
        ctx: &Context,
        key: &str,
        wish: Option<&Wish>,
        accepts: Accepts,
    ) -> Result<Asset<'a>> {
        let is_shown = match self.find(ctx, key, "id").await {
            Ok(_) => false,
            Err(Error::Forbidden) if self.is_shown_to_all(ctx, key).await? => true,
            Err(error) => return Err(error),
        };
        let file = self.find(&server_of(ctx), key, COLUMNS).await?;
        let location = text(&file, "storage").and_then(|name| self.files.storage.find(&name));
        let location = location.ok_or(Error::Forbidden)?;
        let name = text(&file, "filename_disk").ok_or(Error::Forbidden)?;
        let media_type = text(&file, "type").unwrap_or_else(|| "application/octet-stream".to_owned());
        let recipe = match (wish, Format::of_readable(&media_type)) {
            (Some(wish), original) => self.recipe(ctx, &file, wish, accepts, original).await?,
            (None, _) => None,
        };
        let tag = tag(&file, recipe.as_ref());
        let (content, size_bytes) = match &recipe {
            Some(recipe) => Box::pin(self.made(location, &name, &tag, recipe, &file)).await?,
            None => {
                let object = location.find(&name).await?.ok_or(Error::Forbidden)?;
                (Content::Stored(name), object.size_bytes)
            }
        };
        let is_visitor = ctx.accountability.user.is_none() && !matches!(*ctx.rules, AccessRules::Shared(_));
        Ok(Asset {
            media_type: recipe.as_ref().map_or(media_type, |recipe| recipe.format.media_type().to_owned()),
            file_name: text(&file, "filename_download").unwrap_or_else(|| key.to_owned()),
            modified_at: text(&file, "modified_on").and_then(|at| at.parse().ok()),
            tag,
            is_public: is_shown || is_visitor,
            is_negotiated: recipe.is_some_and(|recipe| recipe.is_negotiated),
            size_bytes,
            location,
            content,
        })
    }

    /// Whether the settings show this file to everybody, as the logo of a project is shown to who is not signed in.
    async fn is_shown_to_all(&self, ctx: &Context, key: &str) -> Result<bool> {
        let settings = self.settings(ctx, PUBLIC).await?;
        Ok(settings.values().any(|value| value.as_str().is_some_and(|shown| shown.eq_ignore_ascii_case(key))))
    }

    /// What is to be made of a file; `None` where nothing can be, and the file itself is served.
    async fn recipe(
        &self,
        ctx: &Context,
        file: &Map<String, Value>,
        wish: &Wish,
        accepts: Accepts,
        original: Option<Format>,
    ) -> Result<Option<Recipe>> {
        let settings = self.settings(ctx, "storage_asset_transform,storage_asset_presets").await?;
        let most_operations = self.files.config.assets.most_operations;
        let number = |name: &str| file.get(name).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        let focal = (number("focal_point_x"), number("focal_point_y"));
        // What is not allowed is refused for every file alike.
        let format = original.unwrap_or(Format::Png);
        let recipe = Policy::read(&settings).recipe(wish, accepts, format, focal, most_operations)?;
        Ok(original.map(|_| recipe))
    }

    /// An image, made now or before.
    async fn made(
        &self,
        location: &Location,
        name: &str,
        tag: &str,
        recipe: &Recipe,
        file: &Map<String, Value>,
    ) -> Result<(Content, u64)> {
        let kept = format!("{}/{tag}.{}", folder_of(name), recipe.format.extension());
        if let Some(object) = location.find(&kept).await? {
            return Ok((Content::Stored(kept), object.size_bytes));
        }
        let _alone = self.files.workshop.alone(&format!("{}:{kept}", location.name())).await?;
        // Whoever was here before may have made it.
        if let Some(object) = location.find(&kept).await? {
            return Ok((Content::Stored(kept), object.size_bytes));
        }
        let size = location.find(name).await?.ok_or(Error::Forbidden)?.size_bytes;
        let pixels = |name: &str| file.get(name).and_then(Value::as_u64);
        let pixels =
            pixels("width").zip(pixels("height")).map_or(MOST_PIXELS_IN, |(w, h)| w.saturating_mul(h));
        let megapixels = pixels.div_ceil(1_000_000).max(size.div_ceil(BYTES_PER_MEGAPIXEL));
        let place = self.files.workshop.enter(u32::try_from(megapixels).unwrap_or(u32::MAX)).await?;
        let original = location.read_whole(name, MOST_ORIGINAL_BYTES).await?.ok_or(Error::Forbidden)?;
        let recipe = recipe.clone();
        let bounds = Bounds {
            most_dimension: self.files.config.assets.most_dimension,
            most_pixels_in: MOST_PIXELS_IN,
            most_pixels_out: MOST_PIXELS_OUT,
        };
        let working = tokio::task::spawn_blocking(move || {
            let made = work(&original, &recipe, bounds);
            // Held until the work is over, also when nobody waits for it any more.
            drop(place);
            made
        });
        let made = timeout(self.files.workshop.timeout(), working).await.map_err(|_| busy())?;
        // What makes a decoder panic is no image that we can read.
        let made: Bytes = made
            .map_err(|_| Error::IllegalTransformation { reason: "The image cannot be read.".to_owned() })??
            .into();
        // A place that takes nothing more still serves.
        if let Err(error) = location.put(&kept, made.clone()).await {
            tracing::warn!(%error, "an image that was made could not be kept");
        }
        let size_bytes = made.len() as u64;
        self.files.leftovers.send(Leftover::Made(location.name().to_owned(), size_bytes)).ok();
        Ok((Content::Made(made), size_bytes))
    }
}

/// Tells content, and what was made of it, from any other.
fn tag(file: &Map<String, Value>, recipe: Option<&Recipe>) -> String {
    let mut digest = Sha256::new();
    for name in ["storage", "filename_disk", "filesize", "uploaded_on"] {
        digest.update(file.get(name).map(Value::to_string).unwrap_or_default());
        digest.update([0]);
    }
    if let Some(recipe) = recipe {
        digest.update(recipe.text());
    }
    digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
