//! `deep`: the same parameters again, per relation.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::shape::{natural, sort, within};
use super::{object, parse_alias, parse_filter, parse_limit, parse_search};
use crate::error::{Error, Result};
use crate::query::{DeepQuery, QueryLimits};

/// Parses `deep`. Members with an underscore in front are parameters, the others relations one level further.
pub fn parse_deep(value: &Value, limits: &QueryLimits) -> Result<IndexMap<String, DeepQuery>> {
    let Some(map) = object(value, "deep")? else { return Ok(IndexMap::new()) };
    let mut deep = DeepQuery::default();
    level(&mut deep, &map, "deep", 0, limits)?;
    if deep != (DeepQuery { deep: deep.deep.clone(), ..DeepQuery::default() }) {
        return Err(Error::query("parameters in \"deep\" need a relation around them"));
    }
    Ok(deep.deep)
}

fn level(
    query: &mut DeepQuery,
    map: &Map<String, Value>,
    path: &str,
    depth: usize,
    limits: &QueryLimits,
) -> Result<()> {
    if depth > limits.max_depth {
        return Err(Error::query(format_args!(
            "\"deep\" is nested more than {} levels deep",
            limits.max_depth
        )));
    }
    within(map.len(), path, limits.max_entries)?;
    for (key, value) in map {
        let name = format!("{path}.{key}");
        match key.as_str() {
            "_filter" => query.filter = parse_filter(value, &name, limits)?,
            "_search" => query.search = parse_search(value, &name)?,
            "_sort" => query.sort = sort(value, &name, limits)?,
            "_limit" => query.limit = parse_limit(value, &name, limits)?,
            "_offset" => query.offset = natural(value, &name)?,
            "_page" => query.page = natural(value, &name)?,
            "_alias" => query.alias = parse_alias(value, &name, limits)?,
            _ if key.starts_with('_') && !value.is_object() => {
                return Err(Error::query(format_args!("\"{key}\" in \"{path}\" is not a parameter")));
            }
            _ => {
                let Value::Object(inner) = value else {
                    return Err(Error::query(format_args!("\"{name}\" must be an object")));
                };
                let mut below = DeepQuery::default();
                level(&mut below, inner, &name, depth + 1, limits)?;
                query.deep.insert(key.clone(), below);
            }
        }
    }
    Ok(())
}
