//! Reading the folder of collections.

use std::fs;
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::access;
use crate::schema::SourceFile;

/// Deepest nesting of folders that is looked into; a link that leads back up ends here.
const MOST_DEPTH: usize = 16;

/// Differs when and only when something in the files does.
pub type Fingerprint = Vec<u8>;

fn fingerprint<'a>(files: impl Iterator<Item = &'a SourceFile>) -> Fingerprint {
    let mut digest = Sha256::new();
    for file in files {
        for part in [file.path.as_bytes(), &file.text] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
    }
    digest.finalize().to_vec()
}

/// The files of a project: its collections, and the one that says who may do what.
#[derive(Debug, Default, Clone)]
pub struct Files {
    /// Sorted by path.
    pub collections: Vec<SourceFile>,
    /// `_access.yaml`.
    pub access: Option<SourceFile>,
}

impl Files {
    /// Differs when and only when something in the files does.
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(self.collections.iter().chain(&self.access))
    }
}

/// Reads `_access.yaml` and every other `.yaml` and `.yml` below a folder, sorted by path. What else begins with `_` or `.` is not
/// a collection. A folder that is not there is an empty one.
pub fn read(folder: &Path) -> io::Result<Files> {
    let mut found = Vec::new();
    let root = folder.file_name().map_or_else(|| "collections".into(), |name| name.to_string_lossy());
    collect(folder, &root, 0, &mut found)?;
    found.sort_by(|left, right| left.path.cmp(&right.path));
    let access = match fs::read(folder.join(access::FILE_NAME)) {
        Ok(text) => Some(SourceFile { path: format!("{root}/{}", access::FILE_NAME), text }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    Ok(Files { collections: found, access })
}

fn collect(folder: &Path, shown: &str, depth: usize, found: &mut Vec<SourceFile>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(['_', '.']) {
            continue;
        }
        let path = entry.path();
        let shown = format!("{shown}/{name}");
        // Follows links: a project may keep shared collections elsewhere.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if metadata.is_dir() {
            if depth < MOST_DEPTH {
                collect(&path, &shown, depth + 1, found)?;
            }
        } else if name.ends_with(".yaml") || name.ends_with(".yml") {
            match fs::read(&path) {
                Ok(text) => found.push(SourceFile { path: shown, text }),
                // Removed between listing and reading, as editors do when they save.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
