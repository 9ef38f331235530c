//! From the text of a query string to nested JSON: `a[b][c]=1` becomes `{"a": {"b": {"c": "1"}}}`.

use std::borrow::Cow;

use percent_encoding::percent_decode;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Deepest nesting of brackets.
const MOST_BRACKETS: usize = 64;

/// Decodes a query string into names and values, in order.
///
/// Fails with `InvalidQuery` where bytes are not UTF-8, or a `%` is not followed by two hexadecimal digits.
pub fn decode(raw: &str) -> Result<Vec<(String, String)>> {
    raw.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode_part(name)?, decode_part(value)?))
        })
        .collect()
}

fn decode_part(part: &str) -> Result<String> {
    let is_encoded = |rest: &str| rest.len() >= 2 && rest.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit);
    if !part.split('%').skip(1).all(is_encoded) {
        return Err(Error::query("the query string has a malformed percent-encoding"));
    }
    let spaced: Cow<'_, str> =
        if part.contains('+') { Cow::Owned(part.replace('+', " ")) } else { Cow::Borrowed(part) };
    match percent_decode(spaced.as_bytes()).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(Error::query("the query string is not UTF-8")),
    }
}

/// Nests pairs by the brackets in their names. A name given twice becomes a list.
pub fn nest(pairs: &[(String, String)]) -> Result<Map<String, Value>> {
    let mut root = Map::new();
    for (name, value) in pairs {
        let (first, rest) = match name.find('[') {
            // A name cannot begin with a bracket.
            Some(at) if at > 0 => name.split_at(at),
            _ => (name.as_str(), ""),
        };
        let mut segments = vec![first];
        segments.extend(brackets(rest, name)?);
        if segments.len() > MOST_BRACKETS {
            return Err(Error::query(format_args!(
                "\"{first}\" is nested more than {MOST_BRACKETS} levels deep"
            )));
        }
        insert(&mut root, &segments, value);
    }
    for value in root.values_mut() {
        lists(value);
    }
    Ok(root)
}

fn brackets<'a>(mut rest: &'a str, name: &str) -> Result<Vec<&'a str>> {
    let mut segments = Vec::new();
    while !rest.is_empty() {
        let inner = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let Some((segment, after)) = inner else {
            return Err(Error::query(format_args!("the brackets of \"{name}\" do not match")));
        };
        segments.push(segment);
        rest = after;
    }
    Ok(segments)
}

/// Puts a value where the segments lead. An empty segment is the next free number, so that lists are maps until the end.
fn insert(map: &mut Map<String, Value>, segments: &[&str], value: &str) {
    let Some((first, rest)) = segments.split_first() else { return };
    let key = if first.is_empty() { map.len().to_string() } else { (*first).to_owned() };
    if rest.is_empty() {
        match map.get_mut(&key) {
            None => {
                map.insert(key, Value::from(value));
            }
            Some(Value::Array(values)) => values.push(Value::from(value)),
            Some(Value::Object(inner)) => insert(inner, &[""], value),
            Some(existing) => {
                let before = existing.take();
                *existing = Value::Array(vec![before, Value::from(value)]);
            }
        }
        return;
    }
    let slot = map.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if !slot.is_object() {
        // `a=1&a[b]=2`: what came first stays as the first entry.
        let before = slot.take();
        let entries = match before {
            Value::Array(entries) => entries,
            other => vec![other],
        };
        let entries = entries.into_iter().enumerate().map(|(at, entry)| (at.to_string(), entry));
        *slot = Value::Object(entries.collect());
    }
    if let Value::Object(inner) = slot {
        insert(inner, rest, value);
    }
}

/// Turns maps whose keys are all numbers into lists, in the order of the numbers.
fn lists(value: &mut Value) {
    let Value::Object(map) = value else { return };
    for inner in map.values_mut() {
        lists(inner);
    }
    let numbers: Option<Vec<u32>> = map.keys().map(|key| key.parse().ok()).collect();
    if let Some(numbers) = numbers.filter(|numbers| !numbers.is_empty()) {
        let mut entries: Vec<(u32, Value)> =
            numbers.into_iter().zip(std::mem::take(map).into_iter().map(|(_, entry)| entry)).collect();
        entries.sort_by_key(|(number, _)| *number);
        *value = Value::Array(entries.into_iter().map(|(_, entry)| entry).collect());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(raw: &str, expected: &str) {
        let got = match decode(raw).and_then(|pairs| nest(&pairs)) {
            Ok(map) => Value::Object(map).to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, expected, "{raw}");
    }

    #[test]
    fn nesting() {
        check("", "{}");
        check("a=1&b=x%20y+z", r#"{"a":"1","b":"x y z"}"#);
        check("a", r#"{"a":""}"#);
        check("a=1&a=2", r#"{"a":["1","2"]}"#);
        check("a[]=1&a[]=2", r#"{"a":["1","2"]}"#);
        check("a[]=1", r#"{"a":["1"]}"#);
        check("a[1]=y&a[0]=x", r#"{"a":["x","y"]}"#);
        check("f[x][_gt]=20", r#"{"f":{"x":{"_gt":"20"}}}"#);
        check("f%5Bx%5D%5B_null%5D", r#"{"f":{"x":{"_null":""}}}"#);
        check("f[_or][0][a]=1&f[_or][1][b]=2", r#"{"f":{"_or":[{"a":"1"},{"b":"2"}]}}"#);
        check("f[x][_in][]=1&f[x][_in][]=2", r#"{"f":{"x":{"_in":["1","2"]}}}"#);
        check("a=1&a[b]=2", r#"{"a":{"0":"1","b":"2"}}"#);
        check("[a]=1", r#"{"[a]":"1"}"#);
        check("a[b=1", "Invalid query: the brackets of \"a[b\" do not match");
        check("a[b]c=1", "Invalid query: the brackets of \"a[b]c\" do not match");
        check("a=%ff", "Invalid query: the query string is not UTF-8");
        for malformed in ["a=%", "a=%4", "a=%zz", "%é=1", "a=100%&b=1"] {
            check(malformed, "Invalid query: the query string has a malformed percent-encoding");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(raw in "[a-c=&%+\\[\\]0-9é]{0,60}") {
            let _ = decode(&raw).and_then(|pairs| nest(&pairs));
        }
    }
}
