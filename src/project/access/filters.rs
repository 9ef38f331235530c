//! Rules held against the model: names, operators and values of filters, fields, presets, each with its place.
//!
//! A filter is walked along the tree of the file, so that a finding stands where the wrong word does; whether a word is wrong is
//! asked of the room `filter`, condition by condition.

use std::collections::BTreeMap;

use jiff::Timestamp;
use regex::Regex;
use serde_json::{Value, json};

use super::declared::Rule;
use super::rights::Right;
use crate::error::Error;
use crate::filter::names::Name as FilterName;
use crate::filter::parse::OPERATORS;
use crate::filter::{self, Env, Found, Limits, Variables};
use crate::schema::findings::Findings;
use crate::schema::{CollectionId, ColumnType, FieldKind, Schema, SourceMap};
use crate::yaml::{Diagnostic, Entry, Node, emit, parse, quoted};

/// More generous than for requests, which strangers write.
const LIMITS: Limits = Limits { max_depth: 20, max_conditions: 2000 };

/// Stands for whoever asks, while nobody does.
const SOMEBODY: &str = "00000000-0000-4000-8000-000000000000";

/// Reports everything in the rules that does not fit the model.
pub fn check(rights: &[Right], schema: &Schema, findings: &mut Findings) {
    let mut done: BTreeMap<(String, u32, u32, &str), ()> = BTreeMap::new();
    for right in rights {
        // A pattern has one text for many collections, and many patterns have few texts: each is looked at once per collection.
        let place =
            (right.at.file.to_string(), right.at.line, right.at.column, right.collection_name.as_str());
        if done.insert(place, ()).is_some() {
            continue;
        }
        let mut own = Findings::default();
        let checker = Checker { schema };
        checker.rule(right.collection, &right.rule, right.is_checked, &mut own);
        let mut found = own.into_sorted();
        if right.exact.is_none() {
            // It must be said which of the many collections is meant.
            for diagnostic in &mut found {
                diagnostic.expected = Some(format!("a rule that fits {} as well", right.collection_name));
            }
        }
        findings.extend(found);
    }
}

/// The same for the filters that say who belongs to a tenant. They are kept without places: what is wrong stands at the collection.
pub fn check_members(schema: &Schema, sources: &SourceMap, findings: &mut Findings) {
    for (id, collection) in schema.collections().filter(|(_, collection)| !collection.members.is_null()) {
        let text = emit::document(&collection.members);
        let (Some(node), _) = parse("members", text.as_bytes()) else { continue };
        let mut own = Findings::default();
        Checker { schema }.whole(id, &node, "members", false, &mut own);
        let Some(at) = sources.collection(&collection.name) else { continue };
        for found in own.into_sorted() {
            let message = format!("members: {}", found.message);
            findings.push(Diagnostic { message, ..found.at(at) });
        }
    }
}

/// Reports everything in one rule that does not fit the model.
pub fn check_rule(schema: &Schema, collection: CollectionId, rule: &Rule, findings: &mut Findings) {
    Checker { schema }.rule(collection, rule, false, findings);
}

struct Checker<'a> {
    schema: &'a Schema,
}

impl Checker<'_> {
    fn rule(&self, collection: CollectionId, rule: &Rule, is_checked: bool, findings: &mut Findings) {
        if let Some(node) = &rule.filter {
            self.whole(collection, node, "where", false, findings);
        }
        if let Some(node) = &rule.validation {
            self.whole(collection, node, "validation", true, findings);
        }
        // Of a file's own collection they were looked at with its fields.
        if !is_checked {
            let names = rule.fields.iter().flatten().filter(|name| name.text != "*");
            for name in names {
                self.field(collection, &name.text, &name.at, findings);
            }
        }
        for entry in rule.presets.as_ref().and_then(Node::as_map).unwrap_or_default() {
            if is_checked || self.field(collection, &entry.name, &entry.key.at, findings) {
                self.preset(collection, entry, findings);
            }
        }
    }

    /// Whether there is a field with this name; says so when there is none.
    fn field(
        &self,
        collection: CollectionId,
        name: &str,
        at: &crate::yaml::Position,
        findings: &mut Findings,
    ) -> bool {
        let collection = self.schema.collection(collection);
        if collection.find(name).is_some() {
            return true;
        }
        let message = format!("{} has no field {}", collection.name, quoted(name));
        let names = collection.fields().map(|(_, field)| &*field.name);
        findings.push_nearest(Diagnostic::error(at, message), name, names);
        false
    }

    /// A preset must be a value that the field can be compared with.
    fn preset(&self, collection: CollectionId, entry: &Entry, findings: &mut Findings) {
        let Some(id) = self.schema.collection(collection).find(&entry.name) else { return };
        let field = self.schema.field(collection, id);
        let Some(column) = &field.column else { return };
        let is_free = matches!(column.column_type, ColumnType::Json | ColumnType::Binary | ColumnType::Hash);
        if is_free || field.conceal || entry.value.is_null() || !entry.value.is_scalar() {
            return;
        }
        let condition = json!({ &entry.name: { "_eq": entry.value.to_json() } });
        if let Err(error) = self.resolve(collection, &condition, "presets") {
            let message = format!("{} does not fit the field {}", entry.value.to_json(), quoted(&entry.name));
            let message = if matches!(error, Error::Forbidden) { reason(&error) } else { message };
            findings.push(Diagnostic::error(&entry.value.at, message));
        }
    }

    /// A filter: part by part, and as a whole when the parts are well.
    fn whole(
        &self,
        collection: CollectionId,
        node: &Node,
        name: &str,
        is_validation: bool,
        findings: &mut Findings,
    ) {
        let before = findings.errors();
        let walk = Walk { checker: self, is_validation };
        walk.members(collection, node, 0, findings);
        let has_pattern = is_validation && node.to_json().to_string().contains("\"_regex\"");
        if findings.errors() == before
            && !has_pattern
            && let Err(error) = self.resolve(collection, &node.to_json(), name)
        {
            findings.push(Diagnostic::error(&node.at, reason(&error)));
        }
    }

    fn resolve(&self, collection: CollectionId, filter: &Value, name: &str) -> Result<(), Error> {
        let syntax = filter::parse(filter, name, LIMITS)?;
        let keys = [SOMEBODY.to_owned()];
        let variables = Variables {
            now: Timestamp::UNIX_EPOCH,
            user: Some(SOMEBODY),
            role: Some(SOMEBODY),
            roles: &keys,
            policies: &keys,
            own: None,
        };
        let env =
            Env { schema: self.schema, variables, may_read: &|_, _| true, is_open: &|_| true, is_rule: true };
        filter::resolve(&env, &mut Found::default(), collection, &syntax).map(|_| ())
    }
}

/// What a caller would be told, without the words for callers.
fn reason(error: &Error) -> String {
    match error {
        Error::InvalidQuery { reason } | Error::InvalidPayload { reason } => reason.clone(),
        Error::Forbidden => "a name in this condition leads to nothing".to_owned(),
        other => other.to_string(),
    }
}

/// On the way through one filter.
struct Walk<'a> {
    checker: &'a Checker<'a>,
    is_validation: bool,
}

impl Walk<'_> {
    /// The members of a map that asks of an item of this collection.
    fn members(&self, collection: CollectionId, node: &Node, depth: usize, findings: &mut Findings) {
        let Some(entries) = node.as_map() else {
            let message = format!("conditions cannot be {}", node.kind());
            findings.push(Diagnostic::error(&node.at, message).expected("a map"));
            return;
        };
        // The reader of YAML limits the depth, too; the room `filter` says where it is too much.
        if depth > LIMITS.max_depth * 4 {
            return;
        }
        for entry in entries {
            match entry.name.as_str() {
                "_and" | "_or" => match entry.value.as_list() {
                    Some(parts) => {
                        parts.iter().for_each(|part| self.members(collection, part, depth + 1, findings));
                    }
                    None => {
                        let message = format!("{} cannot be {}", quoted(&entry.name), entry.value.kind());
                        findings.push(Diagnostic::error(&entry.value.at, message).expected("a list"));
                    }
                },
                name if name.starts_with('_') && !self.is_field(collection, name) => {
                    let message = format!("{} needs a field around it", quoted(name));
                    findings.push(Diagnostic::error(&entry.key.at, message));
                }
                _ => self.field(collection, entry, depth, findings),
            }
        }
    }

    fn is_field(&self, collection: CollectionId, name: &str) -> bool {
        self.checker.schema.collection(collection).find(name).is_some()
    }

    /// A field with what is asked of it.
    fn field(&self, collection: CollectionId, entry: &Entry, depth: usize, findings: &mut Findings) {
        let schema = self.checker.schema;
        let at = &entry.key.at;
        let (name, scope) = match FilterName::parse(&entry.name) {
            FilterName::Field(name) | FilterName::Function { field: name, .. } => (name, None),
            FilterName::Scoped { field, collection } => (field, Some(collection)),
        };
        if !self.checker.field(collection, name, at, findings) {
            return;
        }
        let Some(id) = schema.collection(collection).find(name) else { return };
        let related = match (&schema.field(collection, id).kind, scope) {
            (FieldKind::ManyToOne { related, .. } | FieldKind::OneToMany { related, .. }, None) => {
                Some(*related)
            }
            (FieldKind::ManyToAny { allowed, .. }, Some(scope)) => {
                let found = allowed.iter().copied().find(|id| *schema.collection(*id).name == *scope);
                if found.is_none() {
                    let message = format!("{} does not lead to {}", quoted(name), quoted(scope));
                    let names = allowed.iter().map(|id| &*schema.collection(*id).name);
                    findings.push_nearest(Diagnostic::error(at, message), scope, names);
                    return;
                }
                found
            }
            _ => None,
        };
        if entry.value.as_map().is_none() {
            let message = format!("{} cannot be {}", quoted(&entry.name), entry.value.kind());
            let expected = "conditions, as in { _eq: ... }";
            findings.push(Diagnostic::error(&entry.value.at, message).expected(expected));
            return;
        }
        let subject = Subject { collection, field: &entry.name, related };
        self.conditions(&subject, &entry.value, depth + 1, findings);
    }

    fn conditions(&self, subject: &Subject<'_>, node: &Node, depth: usize, findings: &mut Findings) {
        if depth > LIMITS.max_depth * 4 {
            return;
        }
        for entry in node.as_map().unwrap_or_default() {
            match (entry.name.as_str(), subject.related) {
                ("_and" | "_or", _) => {
                    for part in entry.value.as_list().unwrap_or_default() {
                        self.conditions(subject, part, depth + 1, findings);
                    }
                }
                ("_some" | "_none", Some(related)) => {
                    self.members_of_related(related, &entry.value, depth + 1, findings);
                }
                (name, Some(related)) if !name.starts_with('_') || self.is_field(related, name) => {
                    self.field(related, entry, depth + 1, findings);
                }
                _ => self.operator(subject, entry, findings),
            }
        }
    }

    /// Operators directly below `_some` ask of the key.
    fn members_of_related(&self, related: CollectionId, node: &Node, depth: usize, findings: &mut Findings) {
        let schema = self.checker.schema;
        let key = schema.collection(related).key().map(|id| schema.field(related, id).name.to_string());
        let is_operator = |entry: &Entry| OPERATORS.contains(&entry.name.as_str());
        let entries = node.as_map().unwrap_or_default();
        if let Some(key) = key.filter(|_| entries.iter().any(is_operator)) {
            let subject = Subject { collection: related, field: &key, related: None };
            entries.iter().filter(|entry| is_operator(entry)).for_each(|entry| {
                self.operator(&subject, entry, findings);
            });
            return;
        }
        self.members(related, node, depth, findings);
    }

    fn operator(&self, subject: &Subject<'_>, entry: &Entry, findings: &mut Findings) {
        let name = entry.name.as_str();
        if !OPERATORS.contains(&name) {
            let what = if name.starts_with('_') { "operator" } else { "operator or relation" };
            let message = format!("{} is no {what}", quoted(name));
            findings.push_nearest(Diagnostic::error(&entry.key.at, message), name, OPERATORS.iter().copied());
            return;
        }
        if name == "_regex" && self.is_validation {
            let pattern = entry.value.as_text().unwrap_or_default();
            if entry.value.as_text().is_none() || Regex::new(pattern).is_err() {
                let message = format!("{} is no regular expression", entry.value.to_json());
                findings.push(Diagnostic::error(&entry.value.at, message));
            }
            return;
        }
        if self.is_validation && entry.value.to_json().to_string().contains("\"$CURRENT_USER.") {
            let message = "a validation looks at what is sent, and cannot look up a field of the user";
            findings.push(Diagnostic::error(&entry.value.at, message));
            return;
        }
        let condition = json!({ subject.field: { name: entry.value.to_json() } });
        if let Err(error) = self.checker.resolve(subject.collection, &condition, "the condition") {
            findings.push(Diagnostic::error(&entry.key.at, reason(&error)));
        }
    }
}

/// The field that conditions are about.
struct Subject<'a> {
    collection: CollectionId,
    /// As written, with its function or scope.
    field: &'a str,
    /// Where it leads.
    related: Option<CollectionId>,
}
