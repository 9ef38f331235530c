//! Images made of images: what a request wishes (`wish`), what that comes to for one file (`recipe`), and the work itself (`work`,
//! `shape`, `encode`), which is bounded before anything is decoded.

mod encode;
mod operation;
mod recipe;
mod shape;
mod wish;
mod work;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::config::AssetsConfig;
use crate::error::{Error, Result};

pub(super) use recipe::{Policy, Recipe};
pub use wish::{Accepts, Wish};
pub(super) use work::{Bounds, work};

/// Pixels of all images that are worked on at the same time, in millions.
const MOST_MEGAPIXELS: u32 = 72;
/// Folder of what was made.
pub(super) const FOLDER: &str = "transforms";

/// Where images made of this content are kept.
pub(super) fn folder_of(filename_disk: &str) -> String {
    format!("{FOLDER}/{filename_disk}")
}

/// The formats in which images are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Jpeg,
    Png,
    Webp,
    Tiff,
    Avif,
}

impl Format {
    /// The format of a media type, where it can be read.
    pub(super) fn of_readable(media_type: &str) -> Option<Self> {
        match media_type {
            "image/jpeg" => Some(Format::Jpeg),
            "image/png" => Some(Format::Png),
            "image/webp" => Some(Format::Webp),
            "image/tiff" => Some(Format::Tiff),
            _ => None,
        }
    }

    fn find(name: &str) -> Option<Self> {
        match name {
            "jpg" | "jpeg" => Some(Format::Jpeg),
            "png" => Some(Format::Png),
            "webp" => Some(Format::Webp),
            "tiff" => Some(Format::Tiff),
            "avif" => Some(Format::Avif),
            _ => None,
        }
    }

    pub(super) fn media_type(self) -> &'static str {
        match self {
            Format::Jpeg => "image/jpeg",
            Format::Png => "image/png",
            Format::Webp => "image/webp",
            Format::Tiff => "image/tiff",
            Format::Avif => "image/avif",
        }
    }

    pub(super) fn extension(self) -> &'static str {
        match self {
            Format::Jpeg => "jpg",
            Format::Png => "png",
            Format::Webp => "webp",
            Format::Tiff => "tiff",
            Format::Avif => "avif",
        }
    }
}

/// Where images are made: so many at a time, each of them once.
pub(super) struct Workshop {
    places: Arc<Semaphore>,
    megapixels: Arc<Semaphore>,
    timeout: Duration,
    /// What is being made, by name.
    at_work: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

/// A place in the workshop. The work goes on with it when nobody waits any more.
pub(super) struct Place {
    _place: OwnedSemaphorePermit,
    _megapixels: OwnedSemaphorePermit,
}

impl Workshop {
    pub(super) fn new(config: &AssetsConfig) -> Self {
        Workshop {
            places: Arc::new(Semaphore::new(config.most_concurrent)),
            megapixels: Arc::new(Semaphore::new(MOST_MEGAPIXELS as usize)),
            timeout: config.timeout,
            at_work: Mutex::default(),
        }
    }

    /// Waits for a place for an image of so many millions of pixels.
    ///
    /// Fails with `ServiceUnavailable` when there is none in time.
    pub(super) async fn enter(&self, megapixels: u32) -> Result<Place> {
        let wanted = megapixels.clamp(1, MOST_MEGAPIXELS);
        let enter = async {
            let place = self.places.clone().acquire_owned().await;
            let megapixels = self.megapixels.clone().acquire_many_owned(wanted).await;
            Some(Place { _place: place.ok()?, _megapixels: megapixels.ok()? })
        };
        timeout(self.timeout, enter).await.ok().flatten().ok_or_else(busy)
    }

    /// Makes whoever wants the same thing wait for the first.
    pub(super) async fn alone(&self, name: &str) -> Result<OwnedMutexGuard<()>> {
        timeout(self.timeout, self.lock_of(name).lock_owned()).await.map_err(|_| busy())
    }

    /// The same without waiting; `None` where somebody is first.
    pub(super) fn try_alone(&self, name: &str) -> Option<OwnedMutexGuard<()>> {
        self.lock_of(name).try_lock_owned().ok()
    }

    fn lock_of(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        match at_work.get(name).and_then(Weak::upgrade) {
            Some(lock) => lock,
            None => {
                at_work.retain(|_, lock| lock.strong_count() > 0);
                let lock = Arc::new(tokio::sync::Mutex::new(()));
                at_work.insert(name.to_owned(), Arc::downgrade(&lock));
                lock
            }
        }
    }

    /// How long a request waits.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }
}

pub(super) fn busy() -> Error {
    Error::ServiceUnavailable {
        service: "assets",
        reason: "Too many images are being made.".to_owned(),
        retry_after_s: 5,
    }
}

fn illegal(reason: impl Into<String>) -> Error {
    Error::IllegalTransformation { reason: reason.into() }
}
