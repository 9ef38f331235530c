//! Filters on an item that is not in the database yet: the validation rules of permissions.
//!
//! Start at [`evaluate`]. Values are JSON as the request sent them, so they are compared by what they mean: numbers by value, also
//! where one is a text; moments and dates in time; everything else as text.

use std::cmp::Ordering;

use bigdecimal::BigDecimal;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use regex::RegexBuilder;
use serde_json::{Map, Value, json};

use super::variables::Meaning;
use super::{Syntax, Variables};
use crate::error::{Error, Result};

/// Most bytes that a compiled pattern may take.
const MOST_PATTERN_BYTES: usize = 1024 * 1024;

/// What a field that was not sent counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Null: the item is new.
    Null,
    /// Whatever it should be: the item keeps what it has.
    Fits,
}

/// A condition that an item breaks.
#[derive(Debug, Clone, PartialEq)]
pub struct Broken {
    /// Name of the field.
    pub field: String,
    /// The operator without its underscore.
    pub rule: &'static str,
    /// What was asked, as the public API shows it (`valid`, `invalid`, `substring`).
    pub details: Map<String, Value>,
}

/// The conditions that an item breaks; none when it fits.
///
/// Fails with `InvalidQuery` for an operator that does not exist and for a pattern that cannot be compiled.
pub fn evaluate(
    syntax: &Syntax,
    item: &Map<String, Value>,
    variables: &Variables<'_>,
    missing: Missing,
) -> Result<Vec<Broken>> {
    match syntax {
        Syntax::And(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(evaluate(part, item, variables, missing)?);
            }
            Ok(all)
        }
        Syntax::Or(parts) => any(parts, |part| evaluate(part, item, variables, missing)),
        Syntax::Field { name, conditions } => {
            let mut all = Vec::new();
            match item.get(name) {
                None if missing == Missing::Fits => {}
                value => {
                    for condition in conditions {
                        let value = value.unwrap_or(&Value::Null);
                        all.extend(judge(condition, name, value, variables, missing)?);
                    }
                }
            }
            Ok(all)
        }
        Syntax::Operator { name, .. } => {
            Err(Error::query(format_args!("\"{name}\" needs a field around it")))
        }
        Syntax::Quantified { .. } => {
            Err(Error::query("\"_some\" and \"_none\" need a one-to-many field around them"))
        }
    }
}

/// Nothing when one of the parts holds, or when there are none.
fn any(parts: &[Syntax], mut judge: impl FnMut(&Syntax) -> Result<Vec<Broken>>) -> Result<Vec<Broken>> {
    let mut all = Vec::new();
    for part in parts {
        let broken = judge(part)?;
        if broken.is_empty() {
            return Ok(Vec::new());
        }
        all.extend(broken);
    }
    Ok(all)
}

/// A condition on the value of one field.
fn judge(
    condition: &Syntax,
    field: &str,
    value: &Value,
    variables: &Variables<'_>,
    missing: Missing,
) -> Result<Vec<Broken>> {
    let nothing = Map::new();
    match condition {
        Syntax::And(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(judge(part, field, value, variables, missing)?);
            }
            Ok(all)
        }
        Syntax::Or(parts) => any(parts, |part| judge(part, field, value, variables, missing)),
        Syntax::Operator { name, operand } => operator(name, operand, field, value, variables),
        Syntax::Field { .. } => match value {
            Value::Object(item) => evaluate(condition, item, variables, missing),
            // The items of a list must all fit.
            Value::Array(items) => {
                let mut all = Vec::new();
                for item in items {
                    all.extend(evaluate(
                        condition,
                        item.as_object().unwrap_or(&nothing),
                        variables,
                        missing,
                    )?);
                }
                Ok(all)
            }
            // A bare key says nothing about the item it belongs to.
            _ => evaluate(condition, &nothing, variables, Missing::Null),
        },
        Syntax::Quantified { negated, conditions } => {
            let items = value.as_array().map_or(&[][..], Vec::as_slice);
            let mut fits = false;
            for item in items {
                let item = item.as_object().unwrap_or(&nothing);
                let mut broken = Vec::new();
                for condition in conditions {
                    broken.extend(evaluate(condition, item, variables, missing)?);
                }
                fits |= broken.is_empty();
            }
            let rule = if *negated { "none" } else { "some" };
            Ok(if fits == *negated { vec![broken(field, rule, Map::new())] } else { Vec::new() })
        }
    }
}

fn broken(field: &str, rule: &'static str, details: Map<String, Value>) -> Broken {
    Broken { field: field.to_owned(), rule, details }
}

fn operator(
    name: &str,
    operand: &Value,
    field: &str,
    value: &Value,
    variables: &Variables<'_>,
) -> Result<Vec<Broken>> {
    let operand = variables.fill_in(operand);
    let is_null = value.is_null();
    let text = || as_text(value);
    let wanted = as_text(&operand);
    let wanted = wanted.as_str();
    let order = || compare(value, &operand);
    let list = || entries(&operand);
    let among = || list().iter().any(|entry| compare(value, entry) == Some(Ordering::Equal));
    let lower = || (text().to_lowercase(), wanted.to_lowercase());
    let is_empty = || match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(entries) => entries.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    let between = || match list().as_slice() {
        [low, high] => {
            let above = compare(value, low).is_some_and(Ordering::is_ge);
            above && compare(value, high).is_some_and(Ordering::is_le)
        }
        _ => false,
    };
    // What is not known (a variable without a value) is neither equal nor different.
    let is_void = operand.is_null();
    let asked = !matches!(operand, Value::Bool(false));
    let (rule, holds, shown) = match name {
        "_eq" if is_void => ("null", is_null, None),
        "_neq" if is_void => ("nnull", !is_null, None),
        "_eq" => ("eq", order() == Some(Ordering::Equal), Some("valid")),
        "_neq" => ("neq", order() != Some(Ordering::Equal), Some("invalid")),
        "_lt" => ("lt", order() == Some(Ordering::Less), Some("valid")),
        "_lte" => ("lte", order().is_some_and(Ordering::is_le), Some("valid")),
        "_gt" => ("gt", order() == Some(Ordering::Greater), Some("valid")),
        "_gte" => ("gte", order().is_some_and(Ordering::is_ge), Some("valid")),
        "_in" => ("in", among(), Some("valid")),
        "_nin" => ("nin", !list().is_empty() && !among(), Some("invalid")),
        "_between" => ("between", between(), Some("valid")),
        "_nbetween" => ("nbetween", !is_null && !between(), Some("invalid")),
        "_null" => ("null", is_null == asked, None),
        "_nnull" => ("nnull", is_null != asked, None),
        "_empty" => ("empty", is_empty() == asked, None),
        "_nempty" => ("nempty", is_empty() != asked, None),
        "_contains" => ("contains", !is_null && text().contains(wanted), Some("substring")),
        "_ncontains" => ("ncontains", !text().contains(wanted), Some("substring")),
        "_icontains" => {
            let (text, wanted) = lower();
            ("icontains", !is_null && text.contains(&wanted), Some("substring"))
        }
        "_nicontains" => {
            let (text, wanted) = lower();
            ("nicontains", !text.contains(&wanted), Some("substring"))
        }
        "_starts_with" => ("starts_with", !is_null && text().starts_with(wanted), Some("substring")),
        "_nstarts_with" => ("nstarts_with", !text().starts_with(wanted), Some("substring")),
        "_istarts_with" => {
            let (text, wanted) = lower();
            ("istarts_with", !is_null && text.starts_with(&wanted), Some("substring"))
        }
        "_nistarts_with" => {
            let (text, wanted) = lower();
            ("nistarts_with", !text.starts_with(&wanted), Some("substring"))
        }
        "_ends_with" => ("ends_with", !is_null && text().ends_with(wanted), Some("substring")),
        "_nends_with" => ("nends_with", !text().ends_with(wanted), Some("substring")),
        "_iends_with" => {
            let (text, wanted) = lower();
            ("iends_with", !is_null && text.ends_with(&wanted), Some("substring"))
        }
        "_niends_with" => {
            let (text, wanted) = lower();
            ("niends_with", !text.ends_with(&wanted), Some("substring"))
        }
        "_regex" => ("regex", !is_null && matches(wanted, &text())?, None),
        _ => return Err(Error::query(format_args!("\"{name}\" is not an operator"))),
    };
    if holds {
        return Ok(Vec::new());
    }
    let mut details = Map::new();
    if let Some(shown) = shown {
        details.insert(shown.to_owned(), operand.clone());
    }
    Ok(vec![broken(field, rule, details)])
}

/// A pattern, with or without slashes around it. Linear in time, whatever it says.
fn matches(pattern: &str, text: &str) -> Result<bool> {
    let bare = pattern.strip_prefix('/').and_then(|pattern| pattern.strip_suffix('/')).unwrap_or(pattern);
    let compiled = RegexBuilder::new(bare).size_limit(MOST_PATTERN_BYTES).build();
    let compiled = compiled.map_err(|_| Error::query("\"_regex\" holds a pattern that cannot be used"))?;
    Ok(compiled.is_match(text))
}

fn as_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The order of two values; `None` where they cannot be compared.
fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    if left.is_null() || right.is_null() {
        return None;
    }
    // An item that is sent whole is compared by its key.
    let left = left.get("id").filter(|_| left.is_object()).unwrap_or(left);
    if let (Some(left), Some(right)) = (number(left), number(right)) {
        return Some(left.cmp(&right));
    }
    let (left, right) = (as_text(left), as_text(right));
    if let (Some(left), Some(right)) = (moment(&left), moment(&right)) {
        return Some(left.cmp(&right));
    }
    Some(left.cmp(&right))
}

fn number(value: &Value) -> Option<BigDecimal> {
    match value {
        Value::Number(number) => number.to_string().parse().ok(),
        Value::String(text) if text.len() <= 64 => text.trim().parse().ok(),
        _ => None,
    }
}

/// A moment, or a date or time of day taken as UTC.
fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    let civil: DateTime = text.parse().ok()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

fn entries(operand: &Value) -> Vec<Value> {
    match operand {
        Value::Array(entries) => entries.clone(),
        Value::String(text) if text.is_empty() => Vec::new(),
        Value::String(text) => text.split(',').map(|part| json!(part.trim())).collect(),
        Value::Null => Vec::new(),
        other => vec![other.clone()],
    }
}

impl Variables<'_> {
    /// A value with what its variables stand for: null, or nothing in a list, where that is nothing.
    pub fn fill_in(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => match self.meaning(text) {
                Meaning::Text | Meaning::Malformed => value.clone(),
                Meaning::UserField(path) => match self.own {
                    Some(own) => own.get(&path.join(".")).cloned().unwrap_or(Value::Null),
                    None => value.clone(),
                },
                Meaning::Moment(moment) => json!(moment.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()),
                Meaning::Key(key) => json!(key),
                Meaning::Keys(keys) => json!(keys),
            },
            Value::Array(entries) => {
                let filled = entries.iter().flat_map(|entry| match (entry, self.fill_in(entry)) {
                    (Value::String(_), Value::Array(several)) => several,
                    (Value::String(_), Value::Null) => Vec::new(),
                    (_, one) => vec![one],
                });
                Value::Array(filled.collect())
            }
            Value::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), self.fill_in(value))).collect()
            }
            other => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{Limits, parse};

    fn check(rule: Value, item: Value, missing: Missing, expected: &str) {
        let limits = Limits { max_depth: 10, max_conditions: 100 };
        let syntax = parse(&rule, "validation", limits).expect("a filter");
        let roles = ["r1".to_owned(), "r2".to_owned()];
        let variables = Variables {
            now: "2026-03-02T10:00:00Z".parse().expect("a moment"),
            user: Some("u1"),
            role: None,
            roles: &roles,
            policies: &[],
            own: None,
        };
        let item_map = item.as_object().expect("an item");
        let broken = evaluate(&syntax, item_map, &variables, missing).expect("operators that exist");
        let shown: Vec<String> = broken.iter().map(|one| format!("{}:{}", one.field, one.rule)).collect();
        assert_eq!(shown.join(" "), expected, "{rule} {item}");
    }

    #[test]
    fn values_are_compared_by_what_they_mean() {
        let fits = |rule, item| check(rule, item, Missing::Null, "");
        fits(json!({ "a": { "_eq": 5 } }), json!({ "a": "5.0" }));
        fits(json!({ "a": { "_gt": "9" } }), json!({ "a": 10 }));
        fits(json!({ "a": { "_lt": "$NOW" } }), json!({ "a": "2026-03-02" }));
        fits(json!({ "a": { "_gte": "$NOW(-1 day)" } }), json!({ "a": "2026-03-02T00:00:00" }));
        fits(json!({ "a": { "_in": ["$CURRENT_ROLES"] } }), json!({ "a": "r2" }));
        fits(json!({ "a": { "_eq": "$CURRENT_USER" } }), json!({ "a": { "id": "u1" } }));
        fits(json!({ "a": { "_between": [1, 3] } }), json!({ "a": 3 }));
        fits(json!({ "a": { "_regex": "^[A-Z]{3}$" } }), json!({ "a": "EUR" }));
        fits(json!({ "a": { "_nempty": true } }), json!({ "a": "x" }));
        fits(json!({ "_or": [{ "a": { "_eq": 1 } }, { "b": { "_eq": 2 } }] }), json!({ "b": 2 }));
        fits(
            json!({ "lines": { "_some": { "n": { "_gt": 1 } } } }),
            json!({ "lines": [{ "n": 1 }, { "n": 2 }] }),
        );
    }

    #[test]
    fn what_is_broken_is_named() {
        let breaks = |rule, item, expected| check(rule, item, Missing::Null, expected);
        breaks(json!({ "a": { "_eq": 5 } }), json!({ "a": 6 }), "a:eq");
        breaks(json!({ "a": { "_eq": 5 } }), json!({}), "a:eq");
        breaks(json!({ "a": { "_nnull": true } }), json!({ "a": null }), "a:nnull");
        breaks(json!({ "a": { "_icontains": "FOO" } }), json!({ "a": "bar" }), "a:icontains");
        breaks(json!({ "a": { "_eq": "$CURRENT_ROLE" } }), json!({ "a": "x" }), "a:null");
        breaks(json!({ "a": { "_nin": ["$CURRENT_POLICIES"] } }), json!({ "a": "x" }), "a:nin");
        breaks(json!({ "a": { "b": { "_eq": 1 } } }), json!({ "a": 7 }), "b:eq");
        breaks(json!({ "a": { "_eq": 1 }, "b": { "_in": ["x"] } }), json!({ "b": "y" }), "a:eq b:in");
        breaks(json!({ "a": { "_none": { "n": { "_eq": 1 } } } }), json!({ "a": [{ "n": 1 }] }), "a:none");
    }

    #[test]
    fn what_stays_as_it_is_fits() {
        check(json!({ "a": { "_eq": 5 } }), json!({ "b": 1 }), Missing::Fits, "");
        check(json!({ "a": { "_eq": 5 } }), json!({ "a": null }), Missing::Fits, "a:eq");
    }
}
