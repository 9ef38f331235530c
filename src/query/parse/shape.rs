//! Lists, numbers and paths, in the forms in which parameters write them.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::query::{FieldPath, QueryLimits, SortPath};

/// A list of texts: a JSON list, a text with commas, or both mixed.
pub fn list(value: &Value, name: &str, limits: &QueryLimits) -> Result<Vec<String>> {
    let mut entries = Vec::new();
    let mut split = |text: &str| {
        entries.extend(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned));
    };
    match value {
        Value::Null => {}
        Value::String(text) => split(text),
        Value::Array(parts) => {
            for part in parts {
                match part {
                    Value::String(text) => split(text),
                    _ => return Err(not_a_list(name)),
                }
            }
        }
        _ => return Err(not_a_list(name)),
    }
    within(entries.len(), name, limits.max_entries)?;
    Ok(entries)
}

fn not_a_list(name: &str) -> Error {
    Error::query(format_args!("\"{name}\" must be a list of names"))
}

/// Refuses more entries than the limit.
pub fn within(count: usize, name: &str, most: usize) -> Result<()> {
    if count > most {
        return Err(Error::query(format_args!("\"{name}\" has more than {most} entries")));
    }
    Ok(())
}

/// Paths split at their dots.
pub fn paths(value: &Value, name: &str, limits: &QueryLimits) -> Result<Vec<FieldPath>> {
    let entries = list(value, name, limits)?;
    entries.iter().map(|entry| path(entry, name, limits)).collect()
}

fn path(entry: &str, name: &str, limits: &QueryLimits) -> Result<FieldPath> {
    let path: FieldPath = entry.split('.').map(str::to_owned).collect();
    if path.len() > limits.max_depth {
        let most = limits.max_depth;
        return Err(Error::query(format_args!("\"{entry}\" in \"{name}\" is more than {most} levels deep")));
    }
    Ok(path)
}

/// Paths with a direction each.
pub fn sort(value: &Value, name: &str, limits: &QueryLimits) -> Result<Vec<SortPath>> {
    let entries = list(value, name, limits)?;
    entries
        .iter()
        .map(|entry| {
            let (descending, rest) = match entry.strip_prefix('-') {
                Some(rest) => (true, rest),
                None => (false, entry.as_str()),
            };
            Ok(SortPath { path: path(rest, name, limits)?, descending })
        })
        .collect()
}

/// A whole number, also as text; `None` where nothing is written.
pub fn whole(value: &Value, name: &str) -> Result<Option<i64>> {
    let number = match value {
        Value::Null => return Ok(None),
        Value::String(text) if text.trim().is_empty() => return Ok(None),
        Value::String(text) => text.trim().parse().ok(),
        Value::Number(number) => number.as_i64(),
        _ => None,
    };
    match number {
        Some(number) => Ok(Some(number)),
        None => Err(Error::query(format_args!("\"{name}\" must be a whole number"))),
    }
}

/// A whole number from 0.
pub fn natural(value: &Value, name: &str) -> Result<Option<u64>> {
    match whole(value, name)? {
        None => Ok(None),
        Some(number) => match u64::try_from(number) {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Error::query(format_args!("\"{name}\" must be 0 or more"))),
        },
    }
}
