//! Turns declarations into the model: names become ids, relations are held against their far side.

use std::collections::HashMap;

use super::column;
use super::declare::{CollectionDecl, FieldDecl, KindDecl, Name, SortDecl, ThroughDecl};
use super::findings::Findings;
use super::generate::Known;
use super::model::{
    Collection, CollectionId, Column, ColumnType, Field, FieldId, FieldKind, OnDelete, OnDeselect,
};
use crate::yaml::{Diagnostic, quoted};

/// Everything that is declared, in the order of the ids to come.
pub struct Resolver<'a> {
    pub decls: &'a [CollectionDecl],
    pub known: Known<'a>,
}

/// Most characters of a key that an a2o field can hold.
const ANY_KEY_LENGTH: u32 = 255;

impl Resolver<'_> {
    /// The collection at this position, with all that concerns only it still to be checked by its caller.
    pub fn collection(&self, id: usize, findings: &mut Findings) -> Collection {
        let decl = &self.decls[id];
        let fields: Vec<Field> = decl.fields.iter().map(|field| self.field(decl, field, findings)).collect();
        let primary_key = decl.fields.iter().enumerate().filter_map(|(position, field)| match field.kind {
            KindDecl::Column { is_key: true, .. } => Some(FieldId(position as u32)),
            _ => None,
        });
        let primary_key = primary_key.take(1).collect();
        let mut collection = Collection::new(decl.name.text.as_str(), decl.origin, fields);
        collection.primary_key = primary_key;
        collection.was = decl.was.iter().map(|name| name.text.clone()).collect();
        collection.note = decl.note.clone();
        collection.group = decl.group.clone();
        collection.display_template = decl.display_template.as_ref().map(|(template, _)| template.clone());
        collection.singleton = decl.singleton;
        collection.hidden = decl.hidden;
        collection.accountability = decl.accountability;
        collection.versioning = decl.versioning;
        collection.trash = decl.trash;
        collection.permissions = decl.permissions.as_ref().map(|node| node.to_json()).unwrap_or_default();
        collection.ui = decl.ui.clone();
        collection
    }

    fn field(&self, decl: &CollectionDecl, declared: &FieldDecl, findings: &mut Findings) -> Field {
        let kind = self.kind(decl, declared, findings);
        let column = self.column(declared, findings);
        let is_hash = column.as_ref().is_some_and(|column| column.column_type == ColumnType::Hash);
        let mut field = Field::new(declared.name.text.as_str(), kind.unwrap_or(FieldKind::Plain), column);
        field.was = declared.column.was.clone();
        field.note = declared.note.clone();
        field.hidden = declared.hidden;
        field.readonly = declared.readonly;
        field.validation = declared.validation.clone();
        field.validation_message = declared.validation_message.clone();
        // A hash in the clear is of no use to anybody but a thief, and finding by a concealed value would reveal it.
        field.conceal = declared.column.conceal || is_hash;
        field.searchable = declared.column.searchable.unwrap_or(true) && !field.conceal;
        field
    }

    fn column(&self, declared: &FieldDecl, findings: &mut Findings) -> Option<Column> {
        let name = &declared.name;
        match &declared.kind {
            KindDecl::Column { column_type, auto, is_key } => {
                let mut column = column::build(name, &declared.column, column_type.clone(), *auto, findings);
                if *is_key {
                    column.nullable = false;
                    // A text key is the writer's to give; the others make themselves.
                    column.checks.required = auto.is_none() && column.default.is_none();
                }
                Some(column)
            }
            KindDecl::ToOne { target, one_to_one, auto, .. } => {
                let key = self.known.declared.get(&target.text).and_then(|id| self.decls[*id].key_type());
                // Without a target there is nothing to hold defaults against, and its absence is reported already.
                let key = key?.clone();
                let mut column = column::build(name, &declared.column, key, *auto, findings);
                column.unique |= one_to_one;
                Some(column)
            }
            KindDecl::ToAny { .. } => {
                let key = ColumnType::String { length: ANY_KEY_LENGTH };
                Some(column::build(name, &declared.column, key, None, findings))
            }
            _ => None,
        }
    }

    /// `None` when something is wrong with it, which is reported.
    fn kind(
        &self,
        decl: &CollectionDecl,
        declared: &FieldDecl,
        findings: &mut Findings,
    ) -> Option<FieldKind> {
        match &declared.kind {
            KindDecl::Column { .. } => Some(FieldKind::Plain),
            KindDecl::Presentation => Some(FieldKind::Presentation),
            KindDecl::ToOne { target, on_delete, .. } => {
                let related = self.find(target, findings)?;
                let required = declared.column.required;
                let on_delete = match on_delete {
                    Some((OnDelete::SetNull, at)) if required => {
                        let message = "set_null needs a reference that may be null, and this one is required";
                        findings
                            .push(Diagnostic::error(at, message).expected("restrict, cascade or no_action"));
                        return None;
                    }
                    Some((on_delete, _)) => *on_delete,
                    None if required => OnDelete::Restrict,
                    None => OnDelete::SetNull,
                };
                Some(FieldKind::ManyToOne { related, on_delete })
            }
            KindDecl::ToAny { targets, collection_field } => {
                let allowed: Vec<_> =
                    targets.iter().filter_map(|target| self.find(target, findings)).collect();
                let field = self.field_of(decl, collection_field, findings)?;
                let names_texts = match &decl.fields[field.0 as usize].kind {
                    KindDecl::Column { column_type, .. } => {
                        matches!(column_type, ColumnType::String { .. } | ColumnType::Text)
                    }
                    KindDecl::Broken => true,
                    _ => false,
                };
                if !names_texts {
                    let message = format!("{} cannot name collections", quoted(&collection_field.text));
                    findings.push(
                        Diagnostic::error(&collection_field.at, message).expected("a field of type string"),
                    );
                    return None;
                }
                (allowed.len() == targets.len())
                    .then_some(FieldKind::ManyToAny { allowed, collection_field: field })
            }
            KindDecl::ToMany { target, field, on_deselect, sort, junction } => {
                let related = self.find(target, findings)?;
                let far = &self.decls[related.0 as usize];
                let related_field = self.pointing_here(decl, far, field, findings)?;
                let sort = self.sort_of(far, sort.as_ref(), findings);
                let junction_field = match junction {
                    Some(name) => Some(self.leading_on(far, name, findings)?),
                    None => None,
                };
                Some(FieldKind::OneToMany {
                    related,
                    related_field,
                    junction_field,
                    sort,
                    on_deselect: *on_deselect,
                })
            }
            KindDecl::ManyToMany { target, through: Some(through), sort } => {
                self.many_to_many(decl, target, through, sort, findings)
            }
            KindDecl::Through { junction, near, far, sort } => {
                let related = self.find(junction, findings)?;
                let between = &self.decls[related.0 as usize];
                Some(FieldKind::OneToMany {
                    related,
                    related_field: self.field_of(between, near, findings)?,
                    junction_field: Some(self.field_of(between, far, findings)?),
                    sort: self.sort_of(between, sort.as_ref(), findings),
                    on_deselect: OnDeselect::Delete,
                })
            }
            // Relations that need a junction are replaced or marked as broken before.
            KindDecl::ManyToMany { .. }
            | KindDecl::ManyToManyAny { .. }
            | KindDecl::Translations { .. }
            | KindDecl::Broken => None,
        }
    }

    fn many_to_many(
        &self,
        decl: &CollectionDecl,
        target: &Name,
        through: &ThroughDecl,
        sort: &SortDecl,
        findings: &mut Findings,
    ) -> Option<FieldKind> {
        self.find(target, findings)?;
        let related = self.find(&through.junction, findings)?;
        let between = &self.decls[related.0 as usize];
        let (near, far) = match &through.columns {
            Some((from, to)) => {
                let near = self.to_one(between, from, &decl.name.text, findings);
                let far = self.to_one(between, to, &target.text, findings);
                (near?, far?)
            }
            None => {
                let near = self.only_to_one(between, &decl.name.text, through, findings);
                if target.text == decl.name.text {
                    // One m2o cannot be both ends; with two of them the message above says what to write.
                    if near.is_some() {
                        let message =
                            format!("{} has one m2o to {} and needs two", between.name.text, target.text);
                        findings.push(Diagnostic::error(&through.junction.at, message));
                    }
                    return None;
                }
                let far = self.only_to_one(between, &target.text, through, findings);
                (near?, far?)
            }
        };
        let by_name = |at| Name { text: "sort".to_owned(), at };
        let sort = match sort {
            SortDecl::No => None,
            SortDecl::Yes(at) => Some(by_name(at.clone())),
            SortDecl::By(name) => Some(name.clone()),
        };
        Some(FieldKind::OneToMany {
            related,
            related_field: near,
            junction_field: Some(far),
            sort: self.sort_of(between, sort.as_ref(), findings),
            // A row of a junction that lost one of its ends says nothing.
            on_deselect: OnDeselect::Delete,
        })
    }

    /// The only m2o of a junction that points at a collection.
    fn only_to_one(
        &self,
        between: &CollectionDecl,
        target: &str,
        through: &ThroughDecl,
        findings: &mut Findings,
    ) -> Option<FieldId> {
        if between.fields.iter().any(|field| matches!(field.kind, KindDecl::Broken)) {
            return None;
        }
        let points = |field: &FieldDecl| matches!(&field.kind, KindDecl::ToOne { target: to, .. } if to.text == target);
        let found: Vec<usize> = between
            .fields
            .iter()
            .enumerate()
            .filter(|(_, field)| points(field))
            .map(|(position, _)| position)
            .collect();
        if let [only] = found.as_slice() {
            return Some(FieldId(*only as u32));
        }
        let junction = &between.name.text;
        let message = if found.is_empty() {
            format!("no m2o field of {junction} points at {target}")
        } else {
            let names: Vec<&str> =
                found.iter().map(|position| between.fields[*position].name.text.as_str()).collect();
            format!("several fields of {junction} point at {target}: {}", names.join(", "))
        };
        let expected = if found.is_empty() {
            "a junction with an m2o to each side".to_owned()
        } else {
            format!("\"through: {{ collection: {junction}, from: ..., to: ... }}\"")
        };
        findings.push(Diagnostic::error(&through.junction.at, message).expected(expected));
        None
    }

    /// A named m2o of a junction, which has to point at `target`.
    fn to_one(
        &self,
        between: &CollectionDecl,
        name: &Name,
        target: &str,
        findings: &mut Findings,
    ) -> Option<FieldId> {
        let id = self.field_of(between, name, findings)?;
        match &between.fields[id.0 as usize].kind {
            KindDecl::ToOne { target: to, .. } if to.text == target => Some(id),
            KindDecl::Broken => None,
            KindDecl::ToOne { target: to, .. } => {
                let message =
                    format!("{}.{} points at {}, not at {target}", between.name.text, name.text, to.text);
                findings.push(Diagnostic::error(&name.at, message));
                None
            }
            _ => {
                let message = format!("{}.{} is not an m2o field", between.name.text, name.text);
                findings.push(Diagnostic::error(&name.at, message));
                None
            }
        }
    }

    /// The far field of an o2m, which has to point back.
    fn pointing_here(
        &self,
        here: &CollectionDecl,
        far: &CollectionDecl,
        name: &Name,
        findings: &mut Findings,
    ) -> Option<FieldId> {
        let id = self.field_of(far, name, findings)?;
        let here = &here.name.text;
        let path = format!("{}.{}", far.name.text, name.text);
        let message = match &far.fields[id.0 as usize].kind {
            KindDecl::ToOne { target, .. } if target.text == *here => return Some(id),
            KindDecl::ToAny { targets, .. } if targets.iter().any(|target| target.text == *here) => {
                return Some(id);
            }
            KindDecl::Broken => return None,
            KindDecl::ToOne { target, .. } => format!("{path} points at {}, not at {here}", target.text),
            KindDecl::ToAny { .. } => format!("{path} does not allow {here}"),
            _ => format!("{path} is not an m2o field"),
        };
        let back = far
            .fields
            .iter()
            .find(|field| matches!(&field.kind, KindDecl::ToOne { target, .. } if target.text == *here));
        let suggestion = back.map(|field| format!("{}.{}", far.name.text, field.name.text));
        findings.push(Diagnostic { suggestion, ..Diagnostic::error(&name.at, message) });
        None
    }

    /// The field of a junction that leads to its other side.
    fn leading_on(&self, far: &CollectionDecl, name: &Name, findings: &mut Findings) -> Option<FieldId> {
        let id = self.field_of(far, name, findings)?;
        match &far.fields[id.0 as usize].kind {
            KindDecl::ToOne { .. } | KindDecl::ToAny { .. } => Some(id),
            KindDecl::Broken => None,
            _ => {
                let message = format!("{}.{} leads to no other item", far.name.text, name.text);
                findings.push(Diagnostic::error(&name.at, message).expected("an m2o or a2o field"));
                None
            }
        }
    }

    fn find(&self, name: &Name, findings: &mut Findings) -> Option<CollectionId> {
        if !self.known.check(name, findings) {
            return None;
        }
        self.known.declared.get(&name.text).map(|id| CollectionId(*id as u32))
    }

    /// The field of a collection with this name.
    pub fn field_of(&self, decl: &CollectionDecl, name: &Name, findings: &mut Findings) -> Option<FieldId> {
        if let Some(position) = decl.position(&name.text) {
            return Some(FieldId(position as u32));
        }
        let message = format!("{} has no field {}", decl.name.text, quoted(&name.text));
        let candidates = decl.fields.iter().map(|field| field.name.text.as_str());
        findings.push_nearest(Diagnostic::error(&name.at, message), &name.text, candidates);
        None
    }

    /// The field of a collection with this name, which must hold a column.
    pub fn column_of(&self, decl: &CollectionDecl, name: &Name, findings: &mut Findings) -> Option<FieldId> {
        let id = self.field_of(decl, name, findings)?;
        if decl.fields[id.0 as usize].has_column() {
            return Some(id);
        }
        let message = format!("{}.{} holds no column", decl.name.text, name.text);
        findings.push(Diagnostic::error(&name.at, message));
        None
    }

    fn sort_of(
        &self,
        decl: &CollectionDecl,
        sort: Option<&Name>,
        findings: &mut Findings,
    ) -> Option<FieldId> {
        sort.and_then(|name| self.column_of(decl, name, findings))
    }
}

/// Positions by name.
pub fn index(decls: &[CollectionDecl]) -> HashMap<String, usize> {
    decls.iter().enumerate().map(|(id, decl)| (decl.name.text.clone(), id)).collect()
}
