//! From a query string or a JSON body to a [`Query`].
//!
//! Start at [`parse_string`] and [`parse_object`]; both end in the same code. No schema is needed: names stay as typed.
//! Parameters that are not ours are left alone, for the doors have their own (`access_token`). Those of the public API that
//! would be answered with something else than was asked for are refused.

mod deep;
mod pairs;
mod shape;

use serde_json::{Map, Value};

use super::{Meta, Query, QueryLimits};
use crate::error::{Error, Result};
use crate::filter;

pub use pairs::decode;

use deep::parse_deep;
use shape::{list, natural, paths, whole};

/// Parses a query string, `fields=id,title&filter[status][_eq]=published` say.
///
/// Fails with `InvalidQuery`, naming the parameter, for what cannot be read or passes a limit.
pub fn parse_string(raw: &str, limits: &QueryLimits) -> Result<Query> {
    parse_pairs(&decode(raw)?, limits)
}

/// Parses the decoded names and values of a query string.
pub fn parse_pairs(pairs: &[(String, String)], limits: &QueryLimits) -> Result<Query> {
    parse_object(&pairs::nest(pairs)?, limits)
}

/// Parses an object with the parameters as members, the body of a `SEARCH` say.
pub fn parse_object(object: &Map<String, Value>, limits: &QueryLimits) -> Result<Query> {
    let mut query = Query::default();
    for (name, value) in object {
        match name.as_str() {
            "fields" => query.fields = paths(value, name, limits)?,
            "filter" => query.filter = parse_filter(value, name, limits)?,
            "search" => query.search = parse_search(value, name)?,
            "sort" => query.sort = shape::sort(value, name, limits)?,
            "limit" => query.limit = parse_limit(value, name, limits)?,
            "offset" => query.offset = natural(value, name)?,
            "page" => query.page = natural(value, name)?,
            "cursor" if !is_blank(value) => query.cursor = Some(parse_cursor(value)?),
            "deep" => query.deep = parse_deep(value, limits)?,
            "alias" => query.alias = parse_alias(value, name, limits)?,
            "aggregate" => query.aggregate = parse_aggregate(value, limits)?,
            "groupBy" | "group" => query.group_by = list(value, name, limits)?,
            "meta" => query.meta = parse_meta(value, limits)?,
            "version" if !is_blank(value) && value != "main" => query.version = Some(text(value, name)?),
            "versionRaw" => query.version_raw = parse_flag(value, name)?,
            "export" if !is_blank(value) => query.export = Some(text(value, name)?),
            _ => {}
        }
    }
    Ok(query)
}

fn text(value: &Value, name: &str) -> Result<String> {
    match value {
        Value::String(text) if !text.contains('\0') => Ok(text.clone()),
        _ => Err(Error::query(format_args!("\"{name}\" must be a text"))),
    }
}

/// `versionRaw` alone is true, too.
fn parse_flag(value: &Value, name: &str) -> Result<bool> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if matches!(text.as_str(), "" | "true" | "1") => Ok(true),
        Value::String(text) if matches!(text.as_str(), "false" | "0") => Ok(false),
        Value::Null => Ok(false),
        _ => Err(Error::query(format_args!("\"{name}\" must be true or false"))),
    }
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value == ""
}

/// A value that may also be written as JSON text; `None` where nothing is written.
fn structured(value: &Value, name: &str) -> Result<Option<Value>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => serde_json::from_str(text)
            .map(Some)
            .map_err(|error| Error::query(format_args!("\"{name}\" is not valid JSON: {error}"))),
        other => Ok(Some(other.clone())),
    }
}

fn object(value: &Value, name: &str) -> Result<Option<Map<String, Value>>> {
    match structured(value, name)? {
        None => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => Err(Error::query(format_args!("\"{name}\" must be an object"))),
    }
}

fn parse_filter(value: &Value, name: &str, limits: &QueryLimits) -> Result<Option<filter::Syntax>> {
    let Some(value) = structured(value, name)? else { return Ok(None) };
    let limits = filter::Limits { max_depth: limits.max_depth, max_conditions: limits.max_conditions };
    filter::parse(&value, name, limits).map(Some)
}

fn parse_search(value: &Value, name: &str) -> Result<Option<String>> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        _ => return Err(Error::query(format_args!("\"{name}\" must be a text"))),
    };
    if text.contains('\0') {
        return Err(Error::query(format_args!("\"{name}\" must not contain NUL")));
    }
    Ok((!text.is_empty()).then_some(text))
}

/// `-1` asks for everything there may be.
fn parse_limit(value: &Value, name: &str, limits: &QueryLimits) -> Result<Option<i64>> {
    let Some(limit) = whole(value, name)? else { return Ok(None) };
    if limit < -1 {
        return Err(Error::query(format_args!("\"{name}\" must be -1 or more")));
    }
    if limits.max_limit >= 0 && limit > limits.max_limit {
        return Err(Error::query(format_args!("\"{name}\" must be at most {}", limits.max_limit)));
    }
    Ok(Some(limit))
}

fn parse_cursor(value: &Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        _ => Err(Error::query("\"cursor\" must be a text")),
    }
}

fn parse_alias(
    value: &Value,
    name: &str,
    limits: &QueryLimits,
) -> Result<indexmap::IndexMap<String, String>> {
    let Some(map) = object(value, name)? else { return Ok(Default::default()) };
    shape::within(map.len(), name, limits.max_entries)?;
    map.into_iter()
        .map(|(alias, field)| match field {
            Value::String(field) if !alias.contains('.') && !field.contains('.') => Ok((alias, field)),
            Value::String(_) => {
                Err(Error::query(format_args!("\"{alias}\" in \"{name}\" must not contain a dot")))
            }
            _ => Err(Error::query(format_args!("\"{alias}\" in \"{name}\" must name a field"))),
        })
        .collect()
}

fn parse_aggregate(value: &Value, limits: &QueryLimits) -> Result<indexmap::IndexMap<String, Vec<String>>> {
    let Some(map) = object(value, "aggregate")? else { return Ok(Default::default()) };
    let mut entries = 0;
    map.into_iter()
        .map(|(function, fields)| {
            let fields = list(&fields, "aggregate", limits)?;
            if fields.is_empty() {
                return Err(Error::query(format_args!("\"{function}\" in \"aggregate\" names no field")));
            }
            entries += fields.len();
            shape::within(entries, "aggregate", limits.max_entries)?;
            Ok((function, fields))
        })
        .collect()
}

/// Counts that we do not know are left out, as the public API does.
fn parse_meta(value: &Value, limits: &QueryLimits) -> Result<Meta> {
    let names = list(value, "meta", limits)?;
    let has = |wanted: &str| names.iter().any(|name| name == wanted || name == "*");
    // It is no count, and costs the offset: whoever wants it says so.
    let next_cursor = names.iter().any(|name| name == "next_cursor");
    Ok(Meta { total_count: has("total_count"), filter_count: has("filter_count"), next_cursor })
}

#[cfg(test)]
mod tests;
