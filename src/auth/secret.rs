//! The key that signs tokens, made when the operator gave none.

use std::io::{self, Write as _};
use std::path::Path;

use super::token;
use crate::config::Secret;

const FILE: &str = "secret";

/// The configured key, or the one kept in this folder, or a new one that is kept there from now on.
pub fn load_secret(configured: Option<&Secret<String>>, folder: &Path) -> io::Result<Secret<String>> {
    if let Some(secret) = configured {
        return Ok(secret.clone());
    }
    let path = folder.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) if text.trim().len() >= 32 => return Ok(Secret::new(text.trim().to_owned())),
        Ok(_) => {
            let problem = format!("{} holds no key of at least 32 characters", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    std::fs::create_dir_all(folder)?;
    let secret = token::random();
    match private_file(&path) {
        Ok(mut file) => {
            file.write_all(secret.as_bytes())?;
            file.sync_all()?;
            tracing::info!(
                path = %path.display(),
                "made a key for signing tokens, since SECRET is not set; several nodes must share one"
            );
            Ok(Secret::new(secret))
        }
        // Another process that starts at the same time was first; its key counts.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::read_to_string(&path).map(|text| Secret::new(text.trim().to_owned()))
        }
        Err(error) => Err(error),
    }
}

/// A new file that only its owner can read.
fn private_file(path: &Path) -> io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_made_once_and_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("data");
        let first = load_secret(None, &folder).expect("made");
        assert_eq!(load_secret(None, &folder).expect("kept"), first);
        let configured = Secret::new("x".repeat(32));
        assert_eq!(load_secret(Some(&configured), &folder).expect("given"), configured);
        std::fs::write(folder.join(FILE), "short").expect("written");
        assert!(load_secret(None, &folder).is_err());
    }
}
