//! Where the content of files is kept: folders of this machine and buckets of object stores.
//!
//! Start at [`Storage`]; a [`Location`] is one place. Names are flat and made by us: nothing that a client says is ever part of
//! one. An object is there as a whole or not at all. Knows nothing of files as items.

mod failure;
mod local;
mod s3;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResultPayload, ObjectStore, ObjectStoreExt};

use crate::config::{LocationConfig, LocationDriver};
use crate::error::{Error, Result};
use failure::failure;
pub use writer::Writer;

/// All places, in the order of the configuration.
pub struct Storage {
    locations: Vec<Location>,
}

/// One place.
pub struct Location {
    name: String,
    driver: LocationDriver,
    /// Opened when it is first needed: a disk that is away must not keep the server from starting.
    opened: OnceLock<Opened>,
}

#[derive(Clone)]
struct Opened {
    /// What is written here has reached the disk when the write returns.
    durable: Arc<dyn ObjectStore>,
    /// The same place, for what can be made again.
    fast: Arc<dyn ObjectStore>,
}

/// What is known of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its name.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// When it was written.
    pub written_at: Timestamp,
}

/// A part of an object, or all of it.
pub struct Reading {
    /// Size of the whole object.
    pub size_bytes: u64,
    /// The bytes asked for.
    pub stream: BoxStream<'static, std::io::Result<Bytes>>,
}

impl Storage {
    /// The places of the configuration; none is opened yet.
    pub fn new(locations: &[LocationConfig]) -> Self {
        let locations = locations.iter().map(|config| Location {
            name: config.name.clone(),
            driver: config.driver.clone(),
            opened: OnceLock::new(),
        });
        Storage { locations: locations.collect() }
    }

    /// The place for new content.
    pub fn first(&self) -> Option<&Location> {
        self.locations.first()
    }

    /// The place with this name.
    pub fn find(&self, name: &str) -> Option<&Location> {
        self.locations.iter().find(|location| location.name == name)
    }

    /// All of them.
    pub fn all(&self) -> &[Location] {
        &self.locations
    }
}

impl Location {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn open(&self) -> Result<&Opened> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let opened = match &self.driver {
            LocationDriver::Local { root } => local::open(root),
            LocationDriver::S3(config) => s3::open(config),
        };
        let (durable, fast) = opened.map_err(|error| failure(&self.name, &error))?;
        Ok(self.opened.get_or_init(|| Opened { durable, fast }))
    }

    /// Begins an object of this name. It is there once [`Writer::finish`] returns.
    pub fn write(&self, name: &str) -> Result<Writer> {
        Ok(Writer::new(self.name.clone(), self.open()?.durable.clone(), path(name)?, self.piece_bytes()))
    }

    /// How much is gathered before it is sent.
    fn piece_bytes(&self) -> usize {
        match self.driver {
            LocationDriver::Local { .. } => 1 << 20,
            // Stores take at most 10,000 pieces of at least 5 MB.
            LocationDriver::S3(_) => 8 << 20,
        }
    }

    /// Writes a small object at once; one that is lost can be made again.
    pub async fn put(&self, name: &str, content: Bytes) -> Result<()> {
        let written = self.open()?.fast.put(&path(name)?, content.into()).await;
        written.map(drop).map_err(|error| failure(&self.name, &error))
    }

    /// What is known of an object; `None` when there is none.
    pub async fn find(&self, name: &str) -> Result<Option<Object>> {
        match self.open()?.fast.head(&path(name)?).await {
            Ok(meta) => Ok(Some(object(meta))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failure(&self.name, &error)),
        }
    }

    /// Reads an object, or the bytes of it from the first to the one before the second number; `None` when there is none.
    pub async fn read(&self, name: &str, range: Option<(u64, u64)>) -> Result<Option<Reading>> {
        let range = range.map(|(from, to)| GetRange::Bounded(from..to));
        let options = GetOptions { range, ..GetOptions::default() };
        let found = match self.open()?.fast.get_opts(&path(name)?, options).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failure(&self.name, &error)),
        };
        let size_bytes = found.meta.size;
        let stream = match found.payload {
            GetResultPayload::File(file, _) => local::stream(file, found.range),
            GetResultPayload::Stream(stream) => stream.map_err(std::io::Error::from).boxed(),
        };
        Ok(Some(Reading { size_bytes, stream }))
    }

    /// All of an object, when it has at most so many bytes; `None` when there is none.
    pub async fn read_whole(&self, name: &str, most_bytes: u64) -> Result<Option<Bytes>> {
        let Some(mut reading) = self.read(name, None).await? else { return Ok(None) };
        if reading.size_bytes > most_bytes {
            return Err(Error::IllegalTransformation {
                reason: "The content is too large to be worked on.".to_owned(),
            });
        }
        let mut all = Vec::with_capacity(usize::try_from(reading.size_bytes).unwrap_or_default());
        while let Some(piece) = reading.stream.next().await {
            let piece = piece.map_err(|error| {
                failure(&self.name, &object_store::Error::Generic { store: "stream", source: error.into() })
            })?;
            all.extend_from_slice(&piece);
        }
        Ok(Some(all.into()))
    }

    /// Removes an object; one that is not there is gone already.
    pub async fn remove(&self, name: &str) -> Result<()> {
        match self.open()?.fast.delete(&path(name)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failure(&self.name, &error)),
        }
    }

    /// The objects in a folder.
    pub async fn list(&self, folder: &str) -> Result<Vec<Object>> {
        let listed = self.open()?.fast.list(Some(&path(folder)?)).map_ok(object).try_collect().await;
        listed.map_err(|error| failure(&self.name, &error))
    }

    /// Removes every object in a folder.
    pub async fn remove_folder(&self, folder: &str) -> Result<()> {
        for object in self.list(folder).await? {
            self.remove(&object.name).await?;
        }
        match &self.driver {
            LocationDriver::Local { root } => local::remove_empty(root, folder),
            LocationDriver::S3(_) => Ok(()),
        }
    }
}

fn object(meta: object_store::ObjectMeta) -> Object {
    Object {
        name: meta.location.to_string(),
        size_bytes: meta.size,
        written_at: Timestamp::from_second(meta.last_modified.timestamp()).unwrap_or(Timestamp::UNIX_EPOCH),
    }
}

/// A name as a path. What could leave the place, or mean something else there, is the name of nothing.
fn path(name: &str) -> Result<Path> {
    let is_plain =
        |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', '#', '\0']);
    if name.len() > 512 || !name.split('/').all(is_plain) {
        return Err(Error::Forbidden);
    }
    Path::parse(name).map_err(|_| Error::Forbidden)
}
