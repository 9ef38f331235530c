//! A look at the text of a document before it is parsed, so that the parser meets nothing large or deep.

use crate::error::{Error, Result};

/// Deepest nesting of braces, brackets and parentheses.
pub(super) const MOST_NESTING: usize = 60;

/// Counts tokens and nesting. Fails with `GraphqlValidation` past the limits.
pub(super) fn check(text: &str, most_tokens: usize) -> Result<()> {
    let bytes = text.as_bytes();
    let (mut at, mut tokens, mut nesting) = (0, 0_usize, 0_usize);
    while let Some(byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b',' => continue,
            b'#' => {
                at = until(bytes, at, |byte| matches!(byte, b'\n' | b'\r'));
                continue;
            }
            b'"' if bytes[start..].starts_with(b"\"\"\"") => at = block_end(bytes, start + 3),
            b'"' => at = string_end(bytes, at),
            b'{' | b'[' | b'(' => {
                nesting += 1;
                if nesting > MOST_NESTING {
                    return Err(Error::graphql(format_args!(
                        "The document is nested more than {MOST_NESTING} levels deep."
                    )));
                }
            }
            b'}' | b']' | b')' => nesting = nesting.saturating_sub(1),
            byte if is_word(*byte) => at = until(bytes, at, |byte| !is_word(byte)),
            _ => {}
        }
        tokens += 1;
        if tokens > most_tokens {
            return Err(Error::graphql(format_args!(
                "The document has more than {most_tokens} tokens (GRAPHQL_QUERY_TOKEN_LIMIT)."
            )));
        }
    }
    Ok(())
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'.') || byte >= 0x80
}

fn until(bytes: &[u8], from: usize, is_end: impl Fn(u8) -> bool) -> usize {
    bytes[from..].iter().position(|byte| is_end(*byte)).map_or(bytes.len(), |length| from + length)
}

fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            b'\\' => 2,
            b'"' | b'\n' => return at + 1,
            _ => 1,
        };
    }
    bytes.len()
}

fn block_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        if bytes[at..].starts_with(b"\\\"\"\"") {
            at += 4;
        } else if bytes[at..].starts_with(b"\"\"\"") {
            return at + 3;
        } else {
            at += 1;
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> usize {
        (0..100).find(|most| check(text, *most).is_ok()).expect("few tokens")
    }

    #[test]
    fn tokens_are_counted_as_a_parser_would() {
        assert_eq!(tokens(""), 0);
        assert_eq!(tokens("{ a }"), 3);
        assert_eq!(tokens("{ a(b: \"x y { # \\\" z\") # { { {\n }"), 8);
        assert_eq!(tokens("{ a(b: \"\"\"x \" y \\\"\"\" {\"\"\") }"), 8);
        assert_eq!(tokens("\"open"), 1);
        assert_eq!(tokens("\"\"\"open"), 1);
        assert_eq!(tokens("query A($b:Int=-1.5e3){c}"), 13);
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(check(&"{".repeat(60), 1000).is_ok());
        assert!(check(&"{a".repeat(61), 1000).is_err());
        assert!(check(&"{a}".repeat(61), 1000).is_ok());
        assert!(check(&"[".repeat(100_000), 1_000_000).is_err());
    }
}
