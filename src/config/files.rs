//! What the operator decides about files.

use std::path::PathBuf;
use std::time::Duration;

use super::Secret;

/// Files.
#[derive(Debug, Clone)]
pub struct FilesConfig {
    /// Where content is kept; new content goes to the first.
    pub locations: Vec<LocationConfig>,
    /// Most bytes of one file.
    pub most_upload_bytes: u64,
    /// Media types that are taken, each perhaps with `*` behind its slash.
    pub allowed_types: Vec<String>,
    /// Parts of an image's own metadata that are kept; `None` for all.
    pub kept_metadata: Option<Vec<String>>,
    /// Most bytes of one file that is fetched from elsewhere.
    pub most_import_bytes: u64,
    /// Longest time that may take.
    pub import_timeout: Duration,
    /// Uploads in pieces.
    pub tus: TusConfig,
    /// What is served of them.
    pub assets: AssetsConfig,
}

/// One place where content is kept.
#[derive(Debug, Clone)]
pub struct LocationConfig {
    /// Its name, as files have it.
    pub name: String,
    /// What it is.
    pub driver: LocationDriver,
}

/// What a place is.
#[derive(Debug, Clone)]
pub enum LocationDriver {
    /// A folder.
    Local {
        /// The folder.
        root: PathBuf,
    },
    /// A bucket of an object store that speaks S3.
    S3(S3Config),
}

/// A bucket.
#[derive(Debug, Clone)]
pub struct S3Config {
    /// Its name.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// Where the store is; `None` for Amazon's own.
    pub endpoint: Option<String>,
    /// Who we are to it; without, what the machine itself may do.
    pub key: Option<String>,
    /// What proves it.
    pub secret: Option<Secret<String>>,
    /// Folder in the bucket.
    pub root: String,
    /// The bucket stands in the path of an address, not in its host.
    pub force_path_style: bool,
}

/// Uploads in pieces (TUS).
#[derive(Debug, Clone)]
pub struct TusConfig {
    /// They are taken.
    pub enabled: bool,
    /// Most bytes of one piece, told to clients.
    pub chunk_bytes: u64,
    /// How long an upload that was begun waits for its next piece.
    pub expires_after: Duration,
}

/// What is served of files.
#[derive(Debug, Clone)]
pub struct AssetsConfig {
    /// How long browsers may keep it.
    pub cache_ttl: Duration,
    /// Most bytes of images that are kept, per location.
    pub most_cache_bytes: u64,
    /// Images that are made at the same time.
    pub most_concurrent: usize,
    /// Longest time that a request waits for one.
    pub timeout: Duration,
    /// Largest width and height of what is transformed.
    pub most_dimension: u32,
    /// Most operations on one image.
    pub most_operations: usize,
}
