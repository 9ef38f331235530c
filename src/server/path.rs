//! From the bytes of a URL to text.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use smallvec::SmallVec;

use crate::error::{Error, Result};

/// The parts of a path between its slashes, decoded.
pub(super) type Segments<'a> = SmallVec<[Cow<'a, str>; 4]>;

/// Splits a path; a slash at its end says nothing. Fails with `InvalidQuery` on what is no text.
pub(super) fn segments(path: &str) -> Result<Segments<'_>> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(Segments::new());
    }
    path.split('/').map(|segment| decode(segment, "the path")).collect()
}

/// Splits a query string into its names and values, in order.
pub(super) fn pairs(query: &str) -> Result<Vec<(String, String)>> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode_form(name, "a parameter name")?;
            let value = decode_form(value, &name)?;
            Ok((name, value))
        })
        .collect()
}

fn decode_form(text: &str, what: &str) -> Result<String> {
    if text.contains('+') {
        decode(&text.replace('+', " "), what).map(Cow::into_owned)
    } else {
        decode(text, what).map(Cow::into_owned)
    }
}

fn decode<'a>(text: &'a str, what: &str) -> Result<Cow<'a, str>> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let well_formed = text.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes();
        digits.len() >= 2 && digits[..2].iter().all(u8::is_ascii_hexdigit)
    });
    if !well_formed {
        return Err(Error::query(format_args!("{what} has a malformed percent-encoding.")));
    }
    let decoded = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| Error::query(format_args!("{what} is not UTF-8.")))?;
    if decoded.contains('\0') {
        return Err(Error::query(format_args!("{what} holds a null character.")));
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let check = |path, expected: Option<&[&str]>| {
            let found = segments(path).ok().map(|all| all.iter().map(|s| s.to_string()).collect::<Vec<_>>());
            assert_eq!(
                found.as_deref(),
                expected.map(|e| e.iter().map(|s| s.to_string()).collect::<Vec<_>>()).as_deref(),
                "{path}"
            );
        };
        check("/", Some(&[]));
        check("/items/a/1", Some(&["items", "a", "1"]));
        check("/items/a/1/", Some(&["items", "a", "1"]));
        check("/items//1", Some(&["items", "", "1"]));
        check("/items/a%2Fb", Some(&["items", "a/b"]));
        check("/items/%C3%BC", Some(&["items", "ü"]));
        check("/items/%ff", None);
        check("/items/%00", None);
        check("/items/%", None);
        check("/items/%zz", None);
    }

    #[test]
    fn query_strings() {
        let check = |query, expected: Option<&[(&str, &str)]>| {
            let expected = expected
                .map(|all| all.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect::<Vec<_>>());
            assert_eq!(pairs(query).ok(), expected, "{query}");
        };
        check("", Some(&[]));
        check("a=1&b[c]=x+y&&d", Some(&[("a", "1"), ("b[c]", "x y"), ("d", "")]));
        check("a=%2B&b=c=d", Some(&[("a", "+"), ("b", "c=d")]));
        check("filter=%7B%22a%22%3A1%7D", Some(&[("filter", "{\"a\":1}")]));
        check("a=%e9", None);
        check("a%00=1", None);
        check("a=%2", None);
    }
}
