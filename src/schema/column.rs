//! A declared column and the rules for its values, held against its type.

use regex::RegexBuilder;
use serde_json::Value;

use super::declare::{ColumnDecl, Name};
use super::findings::Findings;
use super::model::{Auto, Checks, Choice, Column, ColumnType, DefaultValue};
use super::values::{compare, fit};
use crate::yaml::{Diagnostic, Node, Position, Yaml, nearest, quoted};

/// Largest compiled pattern, in bytes; what is larger would make every write slow.
pub const MOST_PATTERN_BYTES: usize = 4 * 1024 * 1024;

/// The column of the field called `name`.
pub fn build(
    name: &Name,
    decl: &ColumnDecl,
    column_type: ColumnType,
    auto: Option<Auto>,
    findings: &mut Findings,
) -> Column {
    let mut column = Column::new(column_type);
    column.auto = auto;
    column.nullable = !decl.required;
    column.unique = decl.unique;
    column.indexed = decl.index;
    column.checks.required = decl.required;
    if (decl.unique || decl.index) && matches!(column.column_type, ColumnType::Json | ColumnType::Binary) {
        let message = format!("the type {} cannot have an index", column.column_type);
        findings.push(Diagnostic::error(&name.at, message));
    }
    let before = findings.errors();
    read_choices(decl, &mut column, findings);
    read_bounds(decl, &mut column, findings);
    read_pattern(decl, &mut column, findings);
    let rules_are_good = findings.errors() == before;
    if let Some(node) = decl.default.as_ref().filter(|node| !node.is_null()) {
        column.default = default(node, &column, rules_are_good, findings);
    }
    column
}

fn read_choices(decl: &ColumnDecl, column: &mut Column, findings: &mut Findings) {
    let Some(node) = &decl.choices else { return };
    // Entries of a list are chosen one by one.
    let entry_type = match &column.column_type {
        ColumnType::Csv => ColumnType::Text,
        ColumnType::Boolean | ColumnType::Json | ColumnType::Binary | ColumnType::Hash => {
            let message = format!("\"choices\" does not apply to the type {}", column.column_type);
            findings.push(Diagnostic::error(&node.at, message));
            return;
        }
        other => other.clone(),
    };
    let labelled: Vec<(Node, Option<String>)> = match &node.value {
        Yaml::List(items) => items.iter().map(|item| (item.clone(), None)).collect(),
        Yaml::Map(entries) => {
            let key = |entry: &crate::yaml::Entry| match entry_type.is_text() {
                // A key like `2024` is a text where the field holds texts.
                true => Node { value: Yaml::Text(entry.name.clone()), ..entry.key.clone() },
                false => entry.key.clone(),
            };
            entries.iter().map(|entry| (key(entry), entry.value.as_text().map(str::to_owned))).collect()
        }
        _ => Vec::new(),
    };
    if labelled.is_empty() {
        findings.push(Diagnostic::error(&node.at, "there are no choices"));
    }
    let mut seen = std::collections::HashSet::new();
    for (node, label) in labelled {
        match fit(&node, &entry_type) {
            Ok(value) => {
                if !seen.insert(value.to_string()) {
                    findings.push(Diagnostic::error(
                        &node.at,
                        format!("the choice {} stands twice", shown(&node)),
                    ));
                }
                column.checks.choices.push(Choice { value, label });
            }
            Err(expected) => {
                let message =
                    format!("the choice {} does not fit the type {}", shown(&node), column.column_type);
                findings.push(Diagnostic::error(&node.at, message).expected(expected));
            }
        }
    }
}

fn read_bounds(decl: &ColumnDecl, column: &mut Column, findings: &mut Findings) {
    let column_type = &column.column_type;
    let is_ordered = column_type.is_number() || column_type.has_date() || column_type.has_time();
    let mut bound = |name: &str, node: &Option<Node>| {
        let node = node.as_ref()?;
        if !is_ordered {
            let message = format!("\"{name}\" does not apply to the type {column_type}");
            let diagnostic = Diagnostic::error(&node.at, message);
            findings.push(if has_length(column_type) {
                diagnostic.expected(format!("\"{name}_length\""))
            } else {
                diagnostic
            });
            return None;
        }
        fit(node, column_type)
            .map_err(|expected| {
                let message = format!("{name} {} does not fit the type {column_type}", shown(node));
                findings.push(Diagnostic::error(&node.at, message).expected(expected));
            })
            .ok()
    };
    let checks = &mut column.checks;
    checks.min = bound("min", &decl.min);
    checks.max = bound("max", &decl.max);
    if let (Some(min), Some(max), Some(node)) = (&checks.min, &checks.max, &decl.max)
        && compare(min, max).is_some_and(|order| order.is_gt())
    {
        findings.push(Diagnostic::error(&node.at, "max is smaller than min"));
    }
    let mut length = |name: &str, count: &Option<(u64, Position)>| {
        let (count, at) = count.as_ref()?;
        if !has_length(column_type) {
            findings
                .push(Diagnostic::error(at, format!("\"{name}\" does not apply to the type {column_type}")));
            return None;
        }
        Some(*count)
    };
    checks.min_length = length("min_length", &decl.min_length);
    checks.max_length = length("max_length", &decl.max_length);
    if let (Some(min), Some(max), Some((_, at))) = (checks.min_length, checks.max_length, &decl.max_length)
        && min > max
    {
        findings.push(Diagnostic::error(at, "max_length is smaller than min_length"));
    }
}

fn has_length(column_type: &ColumnType) -> bool {
    matches!(column_type, ColumnType::String { .. } | ColumnType::Text | ColumnType::Csv)
}

fn read_pattern(decl: &ColumnDecl, column: &mut Column, findings: &mut Findings) {
    let Some((pattern, at)) = &decl.pattern else { return };
    if !matches!(column.column_type, ColumnType::String { .. } | ColumnType::Text) {
        let message = format!("\"pattern\" does not apply to the type {}", column.column_type);
        findings.push(Diagnostic::error(at, message));
        return;
    }
    match RegexBuilder::new(pattern).size_limit(MOST_PATTERN_BYTES).nest_limit(50).build() {
        Ok(_) => column.checks.pattern = Some(pattern.clone()),
        Err(error) => {
            // The library draws the pattern over several lines; its last line says what is wrong.
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            findings.push(Diagnostic::error(at, format!("the pattern does not compile: {reason}")));
        }
    }
}

fn default(
    node: &Node,
    column: &Column,
    rules_are_good: bool,
    findings: &mut Findings,
) -> Option<DefaultValue> {
    let column_type = &column.column_type;
    let has_clock = column_type.has_date() || column_type.has_time();
    match node.as_text() {
        Some("now") if has_clock => return Some(DefaultValue::Now),
        Some("uuid") if *column_type == ColumnType::Uuid => return Some(DefaultValue::Uuid),
        _ => {}
    }
    let value = match fit(node, column_type) {
        Ok(value) => value,
        Err(expected) => {
            let expected = match column_type {
                _ if has_clock => format!("now, or {expected}"),
                ColumnType::Uuid => format!("uuid, or {expected}"),
                _ => expected,
            };
            let message = format!("the default {} does not fit the type {column_type}", shown(node));
            findings.push(Diagnostic::error(&node.at, message).expected(expected));
            return None;
        }
    };
    if rules_are_good && let Some(broken) = broken_rule(&value, &column.checks) {
        let diagnostic = Diagnostic::error(&node.at, format!("the default {} {}", shown(node), broken.0));
        findings.push(Diagnostic { suggestion: broken.1, ..diagnostic });
    }
    Some(DefaultValue::Value(value))
}

/// The first rule that a default breaks, with the choice that looks most like it.
fn broken_rule(value: &Value, checks: &Checks) -> Option<(&'static str, Option<String>)> {
    if let Value::Array(entries) = value {
        let is_chosen = |entry: &Value| checks.choices.iter().any(|choice| choice.value == *entry);
        let length = entries.len() as u64;
        return if !checks.choices.is_empty() && !entries.iter().all(is_chosen) {
            Some(("is not among the choices", None))
        } else {
            broken_length(length, checks).map(|message| (message, None))
        };
    }
    if !checks.choices.is_empty() && !checks.choices.iter().any(|choice| choice.value == *value) {
        let texts = checks.choices.iter().filter_map(|choice| choice.value.as_str());
        let near = value.as_str().and_then(|text| nearest(text, texts)).map(str::to_owned);
        return Some(("is not among the choices", near));
    }
    if checks.min.as_ref().and_then(|min| compare(value, min)).is_some_and(|order| order.is_lt()) {
        return Some(("is smaller than min", None));
    }
    if checks.max.as_ref().and_then(|max| compare(value, max)).is_some_and(|order| order.is_gt()) {
        return Some(("is larger than max", None));
    }
    let text = value.as_str()?;
    if let Some(message) = broken_length(text.chars().count() as u64, checks) {
        return Some((message, None));
    }
    let pattern = checks.pattern.as_ref()?;
    let compiled = RegexBuilder::new(pattern).size_limit(MOST_PATTERN_BYTES).nest_limit(50).build().ok()?;
    (!compiled.is_match(text)).then_some(("does not match the pattern", None))
}

fn broken_length(length: u64, checks: &Checks) -> Option<&'static str> {
    if checks.min_length.is_some_and(|min| length < min) {
        return Some("is shorter than min_length");
    }
    checks.max_length.is_some_and(|max| length > max).then_some("is longer than max_length")
}

/// A written value for a message.
fn shown(node: &Node) -> String {
    match &node.value {
        Yaml::Text(text) => quoted(text),
        Yaml::List(_) | Yaml::Map(_) => format!("({})", node.kind()),
        _ => node.to_json().to_string(),
    }
}
