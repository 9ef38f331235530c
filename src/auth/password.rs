//! Comparing passwords, slowly and alike for everybody.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordVerifier};

use crate::error::Result;
use crate::items::hashing;

/// A hash of nothing that anybody knows, with our own cost: compared where there is no user, so that it takes as long.
const DUMMY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$dGFibGF0dXJlLWR1bW15$V3Xw0mC1eo2bpQ5H0sU9jGgkbE3u6X1c2kq9mS7rYfA";

/// Most memory that comparing one password may take.
const MOST_MEMORY_KIB: u32 = 256 << 10;

/// Whether the password has this hash. Without a hash the answer is no, after the same work.
pub(super) async fn verify(password: String, hash: Option<String>) -> Result<bool> {
    hashing::in_pool(move || {
        let known = hash.is_some();
        known & matches(&password, hash.as_deref().unwrap_or(DUMMY))
    })
    .await
}

fn matches(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        is_affordable(&hash) && Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
    })
}

/// Whoever may write a hash must not choose how much of this machine comparing with it takes.
fn is_affordable(hash: &PasswordHash) -> bool {
    Params::try_from(hash)
        .is_ok_and(|cost| cost.m_cost() <= MOST_MEMORY_KIB && cost.t_cost() <= 20 && cost.p_cost() <= 16)
}

#[cfg(test)]
mod tests {
    use argon2::PasswordHasher;

    use super::*;

    #[tokio::test]
    async fn passwords() {
        let hash = Argon2::default().hash_password(b"right").expect("hashed").to_string();
        let check = async |password: &str, hash: Option<&str>| {
            verify(password.to_owned(), hash.map(str::to_owned)).await.expect("compared")
        };
        assert!(check("right", Some(&hash)).await);
        assert!(!check("wrong", Some(&hash)).await);
        assert!(!check("right", None).await);
        assert!(!check("right", Some("no hash")).await);
        let greedy = hash.replace("m=19456", "m=4194304");
        assert!(!check("right", Some(&greedy)).await, "this would take 4 GiB");
    }

    #[test]
    fn the_dummy_takes_the_work_of_a_real_hash() {
        let dummy = PasswordHash::new(DUMMY).expect("a hash");
        let real = Argon2::default().hash_password(b"x").expect("hashed").to_string();
        let real = PasswordHash::new(&real).expect("a hash");
        assert_eq!((dummy.algorithm, &dummy.params), (real.algorithm, &real.params));
    }
}
