//! What came out against what was expected.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::str::FromStr as _;

use bigdecimal::BigDecimal;
use serde_json::Value;

/// Where `actual` does not have what `expected` has; objects may have more.
pub fn difference(expected: &Value, actual: &Value) -> Option<String> {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            expected.iter().find_map(|(name, value)| match actual.get(name) {
                Some(found) => difference(value, found).map(|rest| format!("{name}: {rest}")),
                None => Some(format!("there is no {name}")),
            })
        }
        (Value::Array(expected), Value::Array(actual)) => rows(expected, actual, false),
        (expected, actual) if is_same(expected, actual) => None,
        (expected, actual) => Some(format!("expected {expected}, got {actual}")),
    }
}

/// Numbers count by value, however they are written.
fn is_same(expected: &Value, actual: &Value) -> bool {
    if expected == actual {
        return true;
    }
    let number = |value: &Value| match value {
        Value::Number(number) => BigDecimal::from_str(&number.to_string()).ok(),
        Value::String(text) => BigDecimal::from_str(text).ok(),
        _ => None,
    };
    let is_number = expected.is_number() || actual.is_number();
    is_number
        && matches!((number(expected), number(actual)), (Some(a), Some(b)) if a.cmp(&b) == Ordering::Equal)
}

/// Rows against rows: each expected one is there, and no other; in this order when the request asks for one.
pub fn rows(expected: &[Value], actual: &[Value], is_ordered: bool) -> Option<String> {
    if expected.len() != actual.len() {
        return Some(format!("expected {} rows, got {}: {}", expected.len(), actual.len(), shown(actual)));
    }
    if is_ordered {
        return expected.iter().zip(actual).find_map(|(expected, actual)| difference(expected, actual));
    }
    let mut left: Vec<&Value> = actual.iter().collect();
    for row in expected {
        match left.iter().position(|found| difference(row, found).is_none()) {
            Some(at) => {
                left.swap_remove(at);
            }
            None => return Some(format!("expected a row {row}, got {}", shown(actual))),
        }
    }
    None
}

/// Keys against the keys of rows, in any order.
pub fn keys(expected: &[Value], actual: &[Value], key: &str) -> Option<String> {
    let mut found = Vec::with_capacity(actual.len());
    for row in actual {
        match row.get(key) {
            Some(value) => found.push(value.clone()),
            None => return Some(format!("the rows have no {key} to tell them by: {}", shown(actual))),
        }
    }
    rows(expected, &found, false)
        .map(|_| format!("expected the keys {}, got {}", shown(expected), shown(&found)))
}

/// The fields that each row has.
pub fn fields(expected: &[&str], actual: &[Value]) -> Option<String> {
    let expected: BTreeSet<&str> = expected.iter().copied().collect();
    let is_other = |row: &&Value| {
        let names = row.as_object().into_iter().flat_map(|row| row.keys().map(String::as_str));
        names.collect::<BTreeSet<_>>() != expected
    };
    if actual.is_empty() {
        return Some("there are no rows to have fields".to_owned());
    }
    let row = actual.iter().find(is_other)?;
    let names: Vec<&str> =
        row.as_object().into_iter().flat_map(|row| row.keys().map(String::as_str)).collect();
    Some(format!("expected the fields {}, got {}", Vec::from_iter(expected).join(", "), names.join(", ")))
}

fn shown(values: &[Value]) -> String {
    const MOST: usize = 400;
    let text = Value::Array(values.to_vec()).to_string();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(expected: Value, actual: Value, told: Option<&str>) {
        assert_eq!(difference(&expected, &actual).as_deref(), told, "{expected} {actual}");
    }

    #[test]
    fn differences() {
        check(json!({ "a": 1 }), json!({ "a": 1, "b": 2 }), None);
        check(json!({ "a": 1 }), json!({ "a": "1.00" }), None);
        check(json!({ "a": "1" }), json!({ "a": "1.0" }), Some("a: expected \"1\", got \"1.0\""));
        check(json!({ "a": null }), json!({}), Some("there is no a"));
        check(json!([{ "a": 2 }, { "a": 1 }]), json!([{ "a": 1 }, { "a": 2 }]), None);
        check(json!([{ "a": 2 }]), json!([]), Some("expected 1 rows, got 0: []"));
        check(json!([1, 1]), json!([1, 2]), Some("expected a row 1, got [1,2]"));
        assert!(rows(&[json!(1), json!(2)], &[json!(2), json!(1)], true).is_some());
        assert_eq!(
            keys(&[json!("b"), json!("a")], &[json!({ "id": "a" }), json!({ "id": "b" })], "id"),
            None
        );
        assert!(keys(&[json!("a")], &[json!({ "id": "b" })], "id").is_some());
        assert!(keys(&[json!("a")], &[json!({ "x": "a" })], "id").is_some());
        assert_eq!(fields(&["a", "b"], &[json!({ "b": 1, "a": 1 })]), None);
        assert!(fields(&["a"], &[json!({ "b": 1, "a": 1 })]).is_some());
        assert!(fields(&["a"], &[]).is_some());
    }
}
