//! Comparing passwords, slowly and alike for everybody.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordVerifier};
use tokio::sync::Semaphore;

use crate::error::{Error, Result};

/// A hash of nothing that anybody knows, with our own cost: compared where there is no user, so that it takes as long.
const DUMMY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$dGFibGF0dXJlLWR1bW15$V3Xw0mC1eo2bpQ5H0sU9jGgkbE3u6X1c2kq9mS7rYfA";

/// Compares passwords, as many at once as there are cores: each takes 19 MiB and tens of milliseconds.
pub(super) struct Passwords {
    permits: Arc<Semaphore>,
}

impl Passwords {
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Passwords { permits: Arc::new(Semaphore::new(cores)) }
    }

    /// Whether the password has this hash. Without a hash the answer is no, after the same work.
    pub(super) async fn verify(&self, password: String, hash: Option<String>) -> Result<bool> {
        let permit = self.permits.clone().acquire_owned().await.map_err(Error::internal)?;
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let known = hash.is_some();
            known & matches(&password, hash.as_deref().unwrap_or(DUMMY))
        })
        .await
        .map_err(Error::internal)
    }
}

fn matches(password: &str, hash: &str) -> bool {
    match PasswordHash::new(hash) {
        Ok(hash) => Argon2::default().verify_password(password.as_bytes(), &hash).is_ok(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use argon2::PasswordHasher;

    use super::*;

    #[tokio::test]
    async fn passwords() {
        let hash = Argon2::default().hash_password(b"right").expect("hashed").to_string();
        let passwords = Passwords::new();
        let verify = |password: &str, hash: Option<&str>| {
            passwords.verify(password.to_owned(), hash.map(str::to_owned))
        };
        assert!(verify("right", Some(&hash)).await.expect("compared"));
        assert!(!verify("wrong", Some(&hash)).await.expect("compared"));
        assert!(!verify("right", None).await.expect("compared"));
        assert!(!verify("right", Some("no hash")).await.expect("compared"));
    }

    #[test]
    fn the_dummy_takes_the_work_of_a_real_hash() {
        let dummy = PasswordHash::new(DUMMY).expect("a hash");
        let real = Argon2::default().hash_password(b"x").expect("hashed").to_string();
        let real = PasswordHash::new(&real).expect("a hash");
        assert_eq!((dummy.algorithm, &dummy.params), (real.algorithm, &real.params));
    }
}
