//! Makes the collections that relations need: junctions, and the rows of translations.
//!
//! What comes out are declarations like those of files, so that everything behind treats both alike.

use std::collections::HashMap;

use super::declare::{CollectionDecl, FieldDecl, IndexDecl, KindDecl, Name, SortDecl};
use super::findings::Findings;
use super::keys::is_name;
use super::model::{Auto, ColumnType, OnDelete, Origin};
use crate::yaml::{Diagnostic, Position, quoted};

/// Names of all declared collections, and of those whose file could not be read.
pub struct Known<'a> {
    pub declared: &'a HashMap<String, usize>,
    pub unread: &'a [String],
}

impl Known<'_> {
    /// Whether a reference leads somewhere. Reports when it does not, unless the file that should declare it is broken anyway.
    pub fn check(&self, target: &Name, findings: &mut Findings) -> bool {
        if self.declared.contains_key(&target.text) {
            return true;
        }
        if !self.unread.contains(&target.text) {
            let diagnostic =
                Diagnostic::error(&target.at, format!("there is no collection {}", quoted(&target.text)));
            findings.push_nearest(diagnostic, &target.text, self.declared.keys().map(String::as_str));
        }
        false
    }
}

/// Replaces the relations of these declarations that need a junction, and answers the collections made for them.
pub fn run(decls: &mut [CollectionDecl], known: &Known<'_>, findings: &mut Findings) -> Vec<CollectionDecl> {
    let mut made: Vec<CollectionDecl> = Vec::new();
    let mut made_by: HashMap<String, String> = HashMap::new();
    for decl in decls {
        let owner = decl.name.text.clone();
        let tracking = decl.accountability;
        for field in &mut decl.fields {
            let generated = match std::mem::replace(&mut field.kind, KindDecl::Broken) {
                KindDecl::ManyToMany { target, through: None, sort } => {
                    if !known.check(&target, findings) {
                        continue;
                    }
                    junction(&owner, field, &target, sort, findings)
                }
                KindDecl::ManyToManyAny { targets, sort } => {
                    // Every name is looked at, so that all that are wrong are reported.
                    let all_known =
                        targets.iter().filter(|target| !known.check(target, findings)).count() == 0;
                    if !all_known {
                        continue;
                    }
                    Some(junction_to_any(&owner, field, targets, sort))
                }
                KindDecl::Translations { languages, fields } => {
                    if !known.check(&languages, findings) {
                        continue;
                    }
                    translations(&owner, field, languages, fields, findings)
                }
                other => {
                    field.kind = other;
                    continue;
                }
            };
            let Some((mut collection, kind)) = generated else { continue };
            let name = collection.name.text.clone();
            let path = format!("{owner}.{}", field.name.text);
            if known.declared.contains_key(&name) {
                let message =
                    format!("this relation would make the collection {}, which is declared", quoted(&name));
                let diagnostic = Diagnostic::error(&field.name.at, message);
                findings.push(if name.ends_with("_translations") {
                    diagnostic.expected("an o2m to it")
                } else {
                    diagnostic.expected(format!("\"through: {name}\""))
                });
            } else if let Some(other) = made_by.get(&name) {
                let message = format!(
                    "{path} would make the collection {}, which {other} makes already",
                    quoted(&name)
                );
                let diagnostic = Diagnostic::error(&field.name.at, message);
                findings.push(diagnostic.expected("\"through\" with an own junction for one of them"));
            } else if columns_fit(&collection, &field.name.at, findings) {
                made_by.insert(name, path);
                collection.hidden = true;
                collection.accountability = tracking;
                field.kind = kind;
                made.push(collection);
            }
        }
    }
    made
}

fn columns_fit(collection: &CollectionDecl, at: &Position, findings: &mut Findings) -> bool {
    let names = std::iter::once(&collection.name).chain(collection.fields.iter().map(|field| &field.name));
    let mut fit = true;
    for name in names.filter(|name| !is_name(&name.text)) {
        let message = format!("this relation would make the name {}, which is too long", quoted(&name.text));
        findings.push(Diagnostic::error(at, message).expected("at most 63 characters"));
        fit = false;
    }
    fit
}

fn named(text: impl Into<String>, at: &Position) -> Name {
    Name { text: text.into(), at: at.clone() }
}

fn key_field(at: &Position) -> FieldDecl {
    let kind =
        KindDecl::Column { column_type: ColumnType::Integer, auto: Some(Auto::Increment), is_key: true };
    FieldDecl::new(named("id", at), kind)
}

/// A reference whose row goes with what it points at.
fn end(name: &str, target: &Name, at: &Position) -> FieldDecl {
    let kind = KindDecl::ToOne {
        target: target.clone(),
        on_delete: Some((OnDelete::Cascade, at.clone())),
        one_to_one: false,
        auto: None,
    };
    let mut field = FieldDecl::new(named(name, at), kind);
    field.column.index = true;
    field
}

fn plain(name: &str, column_type: ColumnType, at: &Position) -> FieldDecl {
    FieldDecl::new(named(name, at), KindDecl::Column { column_type, auto: None, is_key: false })
}

type Made = (CollectionDecl, KindDecl);

fn junction(
    owner: &str,
    field: &FieldDecl,
    target: &Name,
    sort: SortDecl,
    findings: &mut Findings,
) -> Option<Made> {
    let at = &field.name.at;
    let near = format!("{owner}_id");
    let far =
        if target.text == owner { format!("related_{owner}_id") } else { format!("{}_id", target.text) };
    let mut fields = vec![key_field(at), end(&near, &named(owner, at), at), end(&far, target, at)];
    let sort = match sort {
        SortDecl::No => None,
        SortDecl::Yes(_) => {
            fields.push(plain("sort", ColumnType::Integer, at));
            Some(named("sort", at))
        }
        SortDecl::By(name) => {
            let message = "a field to sort by can only be named with \"through\"";
            findings.push(Diagnostic::error(&name.at, message).expected("\"sort: true\""));
            return None;
        }
    };
    let name = named(format!("{owner}_{}", target.text), at);
    let kind = KindDecl::Through { junction: name.clone(), near: named(near, at), far: named(far, at), sort };
    Some((CollectionDecl::new(name, Origin::Generated, fields), kind))
}

fn junction_to_any(owner: &str, field: &FieldDecl, targets: Vec<Name>, sort: bool) -> Made {
    let at = &field.name.at;
    let near = format!("{owner}_id");
    let collection_field = plain("collection", ColumnType::String { length: 64 }, at);
    let item = FieldDecl::new(
        named("item", at),
        KindDecl::ToAny { targets, collection_field: collection_field.name.clone() },
    );
    let mut fields = vec![key_field(at), end(&near, &named(owner, at), at), item, collection_field];
    if sort {
        fields.push(plain("sort", ColumnType::Integer, at));
    }
    let name = named(format!("{owner}_{}", field.name.text), at);
    let mut collection = CollectionDecl::new(name.clone(), Origin::Generated, fields);
    collection
        .indexes
        .push(IndexDecl { fields: vec![named("collection", at), named("item", at)], unique: false });
    let kind = KindDecl::Through {
        junction: name,
        near: named(near, at),
        far: named("item", at),
        sort: sort.then(|| named("sort", at)),
    };
    (collection, kind)
}

fn translations(
    owner: &str,
    field: &FieldDecl,
    languages: Name,
    texts: Vec<FieldDecl>,
    findings: &mut Findings,
) -> Option<Made> {
    let at = &field.name.at;
    let near = format!("{owner}_id");
    let far = "languages_code";
    let mut fields = vec![key_field(at), end(&near, &named(owner, at), at), end(far, &languages, at)];
    let mut all_good = true;
    for text in texts {
        let is_plain = matches!(
            text.kind,
            KindDecl::Column { is_key: false, .. } | KindDecl::ToOne { .. } | KindDecl::Broken
        );
        if !is_plain {
            let message = format!("{} cannot be translated", quoted(&text.name.text));
            findings.push(
                Diagnostic::error(&text.name.at, message).expected("a field with a column that is not a key"),
            );
            all_good = false;
        } else if fields.iter().take(3).any(|own| own.name.text.eq_ignore_ascii_case(&text.name.text)) {
            let message =
                format!("{} is a column that the translations have already", quoted(&text.name.text));
            findings.push(Diagnostic::error(&text.name.at, message));
            all_good = false;
        } else {
            fields.push(text);
        }
    }
    let name = named(format!("{owner}_translations"), at);
    let mut collection = CollectionDecl::new(name.clone(), Origin::Generated, fields);
    // One row per language.
    collection
        .indexes
        .push(IndexDecl { fields: vec![named(near.clone(), at), named(far, at)], unique: true });
    let kind = KindDecl::Through { junction: name, near: named(near, at), far: named(far, at), sort: None };
    all_good.then_some((collection, kind))
}
