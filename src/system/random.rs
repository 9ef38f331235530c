//! Random texts.

use std::iter;

use uuid::Uuid;

use crate::error::{Error, Result};

/// Characters that stand in addresses as they are.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Longest text.
const MOST_CHARACTERS: usize = 500;

/// A text of this many characters that nobody can guess. Fails with `InvalidQuery` for more than there may be.
pub fn text(characters: usize) -> Result<String> {
    if characters == 0 || characters > MOST_CHARACTERS {
        return Err(Error::query(format_args!("\"length\" must be 1 to {MOST_CHARACTERS}")));
    }
    let character = |byte: u8| char::from(ALPHABET[usize::from(byte & 0x3f)]);
    Ok(iter::repeat_with(random_bytes).flatten().take(characters).map(character).collect())
}

/// The bytes of a random UUID in which every bit is random.
fn random_bytes() -> impl Iterator<Item = u8> {
    let bytes = Uuid::new_v4().into_bytes();
    bytes.into_iter().enumerate().filter(|(position, _)| !matches!(position, 6 | 8)).map(|(_, byte)| byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let one = text(32).expect("a text");
        assert_eq!(one.len(), 32);
        assert!(one.bytes().all(|byte| ALPHABET.contains(&byte)), "{one}");
        assert_ne!(one, text(32).expect("a text"));
        assert!(text(0).is_err() && text(501).is_err());
    }
}
