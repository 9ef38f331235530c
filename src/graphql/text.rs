//! A look at the text of a document before it is parsed, so that the parser meets nothing large or deep.

use std::borrow::Cow;

use crate::error::{Error, Result};

/// Deepest nesting of braces, brackets and parentheses.
pub(super) const MOST_NESTING: usize = 60;

/// Counts tokens and nesting. Fails with `GraphqlValidation` past the limits, and for an object of an argument that names a member
/// twice: a parser keeps the last, and nobody is told of the others.
pub(super) fn check(text: &str, most_tokens: usize) -> Result<()> {
    let bytes = text.as_bytes();
    let (mut at, mut tokens, mut members) = (0, 0_usize, Members::default());
    while let Some(byte) = bytes.get(at) {
        let start = at;
        at += 1;
        let before = members.word.take();
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b',' => {
                members.word = before;
                continue;
            }
            b'#' => {
                members.word = before;
                at = until(bytes, at, |byte| matches!(byte, b'\n' | b'\r'));
                continue;
            }
            b'"' if bytes[start..].starts_with(b"\"\"\"") => at = block_end(bytes, start + 3),
            b'"' => at = string_end(bytes, at),
            b'{' | b'[' | b'(' => {
                members.open(*byte);
                if members.open.len() > MOST_NESTING {
                    return Err(Error::graphql(format_args!(
                        "The document is nested more than {MOST_NESTING} levels deep."
                    )));
                }
            }
            b'}' | b']' | b')' => members.close(*byte),
            b':' => {
                if let Some(name) = before
                    && !members.add(name)
                {
                    return Err(Error::graphql(format_args!(
                        "There can be only one input field named \"{name}\"."
                    )));
                }
            }
            byte if is_word(*byte) => {
                at = until(bytes, at, |byte| !is_word(byte));
                members.word = text.get(start..at);
            }
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

/// The members of the objects that are open at a place of a document.
#[derive(Default)]
struct Members<'t> {
    /// What is open: for an object of an argument, where its members begin among the names.
    open: Vec<Option<usize>>,
    names: Vec<&'t str>,
    parentheses: usize,
    /// The word before this place, if nothing but space is between.
    word: Option<&'t str>,
}

impl<'t> Members<'t> {
    fn open(&mut self, byte: u8) {
        // Braces elsewhere are selections, where a name may come again.
        let is_object = byte == b'{' && self.parentheses > 0;
        self.open.push(is_object.then_some(self.names.len()));
        self.parentheses += usize::from(byte == b'(');
    }

    fn close(&mut self, byte: u8) {
        self.parentheses = self.parentheses.saturating_sub(usize::from(byte == b')'));
        if let Some(Some(first)) = self.open.pop() {
            self.names.truncate(first);
        }
    }

    /// Whether the innermost object does not have it yet.
    fn add(&mut self, name: &'t str) -> bool {
        let Some(Some(first)) = self.open.last() else { return true };
        let is_new = !self.names[*first..].contains(&name);
        self.names.push(name);
        is_new
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'.') || byte >= 0x80
}

fn until(bytes: &[u8], from: usize, is_end: impl Fn(u8) -> bool) -> usize {
    bytes[from..].iter().position(|byte| is_end(*byte)).map_or(bytes.len(), |length| from + length)
}

/// The same with the characters that are written as `\u{1F600}` or as the two halves `\uD83D\uDE00`: the parser reads neither, and
/// programs that write documents write both.
pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let (mut at, mut copied, mut out) = (0, 0, String::new());
    while let Some(byte) = bytes.get(at) {
        at = match byte {
            b'#' => until(bytes, at, |byte| matches!(byte, b'\n' | b'\r')),
            b'"' if bytes[at..].starts_with(b"\"\"\"") => block_end(bytes, at + 3),
            b'"' => {
                let end = string_end(bytes, at + 1).min(bytes.len());
                while let Some(found) = text.get(at..end).and_then(|rest| rest.find('\\')) {
                    at += found;
                    match escaped(text.get(at..end).unwrap_or_default()) {
                        Some((character, length)) => {
                            out.push_str(&text[copied..at]);
                            match character {
                                '"' | '\\' | '\0'..='\x1f' => {
                                    out.push_str(&format!("\\u{:04x}", u32::from(character)));
                                }
                                other => out.push(other),
                            }
                            at += length;
                            copied = at;
                        }
                        // The backslash and what it is about.
                        None => at = text.ceil_char_boundary(at + 2),
                    }
                }
                end
            }
            _ => at + 1,
        };
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// The character that such an escape at the start of a text stands for, and the length of the escape.
fn escaped(text: &str) -> Option<(char, usize)> {
    let rest = text.strip_prefix("\\u")?;
    if let Some(braced) = rest.strip_prefix('{') {
        let digits = braced.split_once('}')?.0;
        let character = char::from_u32(hexadecimal(digits)?)?;
        return Some((character, digits.len() + "\\u{}".len()));
    }
    let high = hexadecimal(rest.get(..4)?)?;
    let low = hexadecimal(rest.get(4..)?.strip_prefix("\\u")?.get(..4)?)?;
    let halves = [u16::try_from(high).ok()?, u16::try_from(low).ok()?];
    // Other pairs are two characters, which the parser reads.
    let is_pair = matches!(high, 0xd800..=0xdbff);
    let character = is_pair.then(|| char::decode_utf16(halves).next())?.and_then(Result::ok)?;
    Some((character, "\\uD83D\\uDE00".len()))
}

fn hexadecimal(digits: &str) -> Option<u32> {
    let is_plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| is_plain)
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
    fn escapes_that_the_parser_does_not_read() {
        let check = |text: &str, expected: &str| assert_eq!(unescaped(text), expected, "{text}");
        check(r#"{ a(b: "x\uD83D\uDE00y \u{1f600} \u{e9}") }"#, "{ a(b: \"x😀y 😀 é\") }");
        check(r#"{ a(b: "\u{22}\u{5C}\u{0}") }"#, r#"{ a(b: "\u0022\u005c\u0000") }"#);
        for same in [
            "{ a }",
            r#"{ a(b: "\u00e9 \n \\uD83D\uDE00") }"#,
            r#"{ a(b: "\uD83D") }"#,
            r#"{ a(b: "\uDE00\uD83D \u0041\u0042") }"#,
            r#"{ a(b: "\u{110000} \u{} \u{+41} \u{41") }"#,
            r#"{ a(b: """\u{41}""") } # "\u{41}" "#,
            r#"{ a(b: "\"#,
            r#"{ a(b: "\é\u"#,
        ] {
            check(same, same);
        }
    }

    #[test]
    fn a_member_is_named_once() {
        let is_fine = |text: &str| check(text, 1000).is_ok();
        assert!(is_fine(
            "{ a: b a: b c(d: { e: 1, f: { e: 2 }, g: [{ e: 3 } { e: 4 }] } h: { e: 5 }) { e: f e: f } }"
        ));
        assert!(is_fine("query($a: A = { b: c, d: b }) { e(f: { g: \"g:\" h: $a }) }"));
        assert!(!is_fine("{ c(d: { e: 1, e: 2 }) }"));
        assert!(!is_fine("{ c(d: { f: { e: 1 } e #e:\n : 1, e:2 }) }"));
        assert!(!is_fine("query($a: A = { b: 1, b: 2 }) { c }"));
        assert!(!is_fine("{ a { c(d: [{ e: {} f: 1 e: 2 }]) } }"));
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(check(&"{".repeat(60), 1000).is_ok());
        assert!(check(&"{a".repeat(61), 1000).is_err());
        assert!(check(&"{a}".repeat(61), 1000).is_ok());
        assert!(check(&"[".repeat(100_000), 1_000_000).is_err());
    }
}
