//! Passwords and the like: Argon2id hashes of what is sent; and static tokens, which nobody can guess and a plain hash protects.
//!
//! Hashing is slow on purpose, so it runs on the blocking pool and before any transaction is open.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::error::{Error, Result};

/// Memory in KiB, passes and lanes, as OWASP recommends for Argon2id.
const COST: (u32, u32, u32) = (19_456, 2, 1);

/// What is kept of a token begins so, which no token may.
const TOKEN_MARK: &str = "sha256:";

/// What is kept of a static token. Nobody who reads it can use it, since [`is_token_hash`] refuses it as a token.
pub fn token_hash(token: &str) -> String {
    let mut text = String::with_capacity(TOKEN_MARK.len() + 64);
    text.push_str(TOKEN_MARK);
    for byte in Sha256::digest(token.as_bytes()) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Does a text say of itself that it is what is kept of a token?
pub fn is_token_hash(text: &str) -> bool {
    text.starts_with(TOKEN_MARK)
}

/// Is the text an Argon2 hash already, as in an import?
pub fn is_hash(text: &str) -> bool {
    argon2::password_hash::phc::PasswordHash::new(text).is_ok_and(|hash| {
        hash.algorithm.as_str().starts_with("argon2") && hash.salt.is_some() && hash.hash.is_some()
    })
}

/// The hash of a text in the PHC form, with a salt of its own. What is a hash already stays as it is.
pub async fn hash(text: Arc<str>) -> Result<Arc<str>> {
    if is_hash(&text) {
        return Ok(text);
    }
    in_pool(move || hash_now(&text)).await?
}

/// The hash of a text, whatever it looks like.
pub async fn hash_of(text: Arc<str>) -> Result<Arc<str>> {
    in_pool(move || hash_now(&text)).await?
}

/// Runs slow work on passwords in the blocking pool, as many at once as there are cores: each takes 19 MiB and tens of
/// milliseconds.
pub async fn in_pool<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    static PERMITS: LazyLock<Semaphore> =
        LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)));
    let permit = PERMITS.acquire().await.map_err(Error::internal)?;
    tokio::task::spawn_blocking(move || {
        // Given back when the work is done, also when nobody waits for it any more.
        let _permit = permit;
        work()
    })
    .await
    .map_err(Error::internal)
}

/// Whether a hash is weaker than those made here, and is to be made anew when the text is at hand.
pub fn is_outdated(hash: &str) -> bool {
    let (memory, passes, _) = COST;
    let Ok(hash) = argon2::password_hash::phc::PasswordHash::new(hash) else { return true };
    let cost = Params::try_from(&hash);
    hash.algorithm.as_str() != "argon2id"
        || !cost.is_ok_and(|cost| cost.m_cost() >= memory && cost.t_cost() >= passes)
}

fn hash_now(text: &str) -> Result<Arc<str>> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None)
        .map_err(|error| Error::internal(anyhow::anyhow!("{error}")))?;
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash =
        hasher.hash_password(text.as_bytes()).map_err(|error| Error::internal(anyhow::anyhow!("{error}")))?;
    Ok(hash.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_is_made_once() {
        let first = hash("secret".into()).await.expect("a hash");
        assert!(first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{first}");
        assert_eq!(hash(first.clone()).await.expect("a hash"), first);
        assert_ne!(hash("secret".into()).await.expect("a hash"), first);
        assert!(!is_hash("$argon2"));
        assert!(!is_outdated(&first));
        for weak in [first.replace("m=19456", "m=4096"), first.replace("argon2id", "argon2i"), String::new()]
        {
            assert!(is_outdated(&weak), "{weak}");
        }
    }
}
