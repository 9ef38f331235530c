//! The second factor: codes that change every half minute (RFC 6238), and recovery codes for when the device is lost.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use totp_rs::{Builder, Secret, Totp};
use uuid::Uuid;

/// How many recovery codes there are.
const RECOVERY_CODES: usize = 10;
/// Bytes that are kept of the hash of a recovery code, which nobody can guess.
const HASH_BYTES: usize = 9;
/// Letters of recovery codes: none that is taken for another.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz123456789";

/// What is kept of a user's second factor, in one text: the secret, alone or followed by the last step that was accepted and the
/// hashes of the recovery codes that are left, all joined by dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SecondFactor {
    secret: String,
    last_step: u64,
    recovery: Vec<String>,
}

impl SecondFactor {
    /// A second factor with a secret in base32, and its recovery codes, which are known nowhere else.
    pub(super) fn new(secret: &str) -> (Self, Vec<String>) {
        let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| recovery_code()).collect();
        let recovery = codes.iter().map(|code| hash(&plain(code))).collect();
        (SecondFactor { secret: secret.to_owned(), last_step: 0, recovery }, codes)
    }

    pub(super) fn parse(kept: &str) -> Self {
        let mut parts = kept.split('.');
        SecondFactor {
            secret: parts.next().unwrap_or_default().to_owned(),
            last_step: parts.next().and_then(|step| step.parse().ok()).unwrap_or_default(),
            recovery: parts.map(str::to_owned).collect(),
        }
    }

    /// What is kept, to be read by [`SecondFactor::parse`].
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}.{}", self.secret, self.last_step);
        for code in &self.recovery {
            text.push('.');
            text.push_str(code);
        }
        text
    }

    /// Whether a code is right. One that is, is used up.
    pub(super) fn accept(&mut self, code: &str, now: Timestamp) -> bool {
        let code = code.trim();
        if code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()) {
            let Some(totp) = totp(&self.secret) else { return false };
            let second = u64::try_from(now.as_second()).unwrap_or_default();
            return match totp.check(code, second) {
                Some(step) if step > self.last_step => {
                    self.last_step = step;
                    true
                }
                _ => false,
            };
        }
        let hash = hash(&plain(code));
        let before = self.recovery.len();
        self.recovery.retain(|kept| !bool::from(kept.as_bytes().ct_eq(hash.as_bytes())));
        self.recovery.len() < before
    }
}

/// Shorter secrets than are recommended come from elsewhere and work as long as they are kept.
fn totp(secret: &str) -> Option<Totp> {
    let secret = Secret::try_from_base32(secret).ok().filter(|secret| !secret.as_bytes().is_empty())?;
    Some(Builder::new().with_secret(secret).build_noncompliant())
}

/// A secret in base32.
pub(super) fn base32(secret: [u8; 20]) -> String {
    Secret::from(secret).to_base32()
}

/// The bytes of a secret in base32, when it has as many as ours.
pub(super) fn from_base32(text: &str) -> Option<[u8; 20]> {
    Secret::try_from_base32(text).ok()?.as_bytes().try_into().ok()
}

fn recovery_code() -> String {
    let random = Uuid::new_v4();
    let mut code = String::with_capacity(14);
    // Bytes 6 and 8 are not all random.
    let bytes =
        random.as_bytes().iter().enumerate().filter(|(at, _)| *at != 6 && *at != 8).map(|(_, byte)| byte);
    for (at, byte) in bytes.take(12).enumerate() {
        if at == 6 {
            code.push('-');
        }
        code.push(char::from(LETTERS[usize::from(byte % 32)]));
    }
    code
}

fn plain(code: &str) -> String {
    code.chars().filter(|c| !matches!(c, '-' | ' ')).flat_map(char::to_lowercase).collect()
}

fn hash(code: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(code.as_bytes())[..HASH_BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of the examples of RFC 6238.
    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn codes_are_those_of_the_standard_and_work_once() {
        let (mut factor, _) = SecondFactor::new(SECRET);
        assert!(!factor.accept("287083", at(59)));
        assert!(factor.accept("287082", at(59)));
        assert!(!factor.accept("287082", at(59)), "used");
        let mut factor = SecondFactor::parse(&factor.text());
        assert!(!factor.accept("287082", at(60)), "used, also when read again");
        assert!(factor.accept(" 081804 ", at(1_111_111_109)));
        assert!(!factor.accept("287082", at(59)), "older than the last");
        assert!(factor.accept("005924", at(1_234_567_890 + 30)), "a step late");
        assert!(!factor.accept("279037", at(2_000_000_000 + 90)), "three steps late");
    }

    #[test]
    fn recovery_codes_work_once() {
        let (factor, codes) = SecondFactor::new(SECRET);
        assert_eq!(codes.len(), 10);
        assert!(codes.iter().all(|code| code.len() == 13 && code.as_bytes()[6] == b'-'), "{codes:?}");
        let kept = factor.text();
        assert!(kept.len() < 255, "{kept}");
        assert!(codes.iter().all(|code| !kept.contains(code)));
        let mut factor = SecondFactor::parse(&kept);
        assert_eq!(factor.text(), kept);
        assert!(factor.accept(&codes[3].to_uppercase(), at(0)));
        assert!(!factor.accept(&codes[3], at(0)));
        assert!(factor.accept(&codes[4].replace('-', " "), at(0)));
        for wrong in ["", "-", "aaaaaa-aaaaaa", "12345", "١٢٣٤٥٦"] {
            assert!(!factor.accept(wrong, at(0)), "{wrong}");
        }
    }

    #[test]
    fn a_secret_alone_is_enough() {
        let mut factor = SecondFactor::parse(SECRET);
        assert!(factor.accept("287082", at(59)));
        for broken in ["", "not base32!", "GEZD%"] {
            assert!(!SecondFactor::parse(broken).accept("000000", at(59)), "{broken}");
        }
        assert_eq!(base32(*b"12345678901234567890"), SECRET);
        assert_eq!(from_base32(SECRET), Some(*b"12345678901234567890"));
        assert_eq!(from_base32("GEZDGNBV"), None);
    }
}
