//! From patterns to one right per policy, collection and action.
//!
//! The most exact scope that says something of an action decides it: a collection by its name, then patterns, of which the longer
//! one counts, then `*`. What no scope mentions is not allowed.

use std::collections::BTreeMap;

use super::declared::{Declared, Name, RightDecl, Rule};
use crate::access::Action;
use crate::schema::findings::Findings;
use crate::schema::{Collection, CollectionId, Schema};
use crate::yaml::{Diagnostic, Position, quoted};

/// What one policy may do with one collection.
#[derive(Debug)]
pub struct Right {
    /// Key of the policy.
    pub policy: String,
    pub collection: CollectionId,
    pub collection_name: String,
    pub action: Action,
    pub rule: Rule,
    /// Where it is said.
    pub at: Position,
    /// Said for this collection by its name, in its file (`true`) or in `_access.yaml` (`false`).
    pub exact: Option<bool>,
    /// What the scope says is checked where the collection's file is read.
    pub is_checked: bool,
}

/// Every right, in the order of policies, collections and actions.
pub fn expand(declared: &Declared, schema: &Schema, findings: &mut Findings) -> Vec<Right> {
    let mut rights = Vec::new();
    for policy in &declared.policies {
        let own: Vec<&RightDecl> =
            declared.rights.iter().filter(|right| right.policy == policy.key.text).collect();
        check_scopes(&own, schema, findings);
        for (id, collection) in schema.collections() {
            let mut decided: BTreeMap<&str, (usize, &RightDecl)> = BTreeMap::new();
            for right in &own {
                let Some(weight) = weight(&right.scope, collection) else { continue };
                let best = decided.entry(right.action.name()).or_insert((weight, right));
                if weight > best.0 {
                    *best = (weight, right);
                }
            }
            for (_, right) in decided.into_values() {
                let Some(rule) = &right.rule else { continue };
                let is_exact = right.scope.text == *collection.name;
                rights.push(Right {
                    policy: policy.key.text.clone(),
                    collection: id,
                    collection_name: collection.name.to_string(),
                    action: right.action,
                    rule: rule.clone(),
                    at: right.at.clone(),
                    exact: is_exact.then_some(right.is_local),
                    is_checked: right.is_local,
                });
            }
        }
    }
    rights
}

/// Scopes that mean nothing, and two places that say something of the same thing.
fn check_scopes(own: &[&RightDecl], schema: &Schema, findings: &mut Findings) {
    let mut seen: BTreeMap<(&str, &str), &RightDecl> = BTreeMap::new();
    let mut reported: Option<&Position> = None;
    for right in own {
        let scope = &right.scope;
        if let Some(first) = seen.insert((&scope.text, right.action.name()), right) {
            let message = format!(
                "what {} may {} in {} stands in {}:{} already",
                quoted(&right.policy),
                right.action.name(),
                scope.text,
                first.at.file,
                first.at.line
            );
            findings.push(Diagnostic::error(&right.at, message));
        }
        if reported == Some(&scope.at) || schema.collections().any(|(_, c)| weight(scope, c).is_some()) {
            continue;
        }
        reported = Some(&scope.at);
        let is_pattern = scope.text.contains('*');
        let what = if is_pattern { "no collection matches" } else { "there is no collection" };
        let diagnostic = Diagnostic::error(&scope.at, format!("{what} {}", quoted(&scope.text)));
        let names = schema.collections().map(|(_, collection)| &*collection.name);
        match is_pattern {
            true => findings.push(diagnostic),
            false => findings.push_nearest(diagnostic, &scope.text, names),
        }
    }
}

/// How exactly a scope means a collection; `None` when it does not mean it.
fn weight(scope: &Name, collection: &Collection) -> Option<usize> {
    let text = scope.text.as_str();
    if text == &*collection.name {
        return Some(usize::MAX);
    }
    if !text.contains('*') || (collection.is_system() && !text.starts_with("directus_")) {
        return None;
    }
    let is_meant = match text.strip_suffix("/*") {
        Some(group) => collection.group.as_deref() == Some(group),
        None => is_like(text, &collection.name),
    };
    is_meant.then_some(text.len())
}

/// Whether a name fits a pattern in which `*` stands for any characters.
fn is_like(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*", "a", true),
            ("client_*", "client_invoices", true),
            ("client_*", "clients", false),
            ("*_lines", "invoice_lines", true),
            ("*_lines", "invoice_lines_old", false),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "ac", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(is_like(pattern, name), expected, "{pattern} {name}");
        }
    }
}
