//! Types of arguments.

use std::collections::HashSet;

use async_graphql::dynamic::{InputObject, InputValue, Type, TypeRef};

use super::{Make, Types, fixed, is_field_name};
use crate::schema::{CollectionId, ColumnType, Field, FieldId, FieldKind};

impl Types<'_> {
    /// `articles_filter`, `articles_quantifier_filter`.
    pub(super) fn filter(&mut self, id: CollectionId, name: String, is_quantified: bool) -> (Type, usize) {
        let mut input = InputObject::new(name);
        // Fields may have any of these names, and two that are made of several names may be alike: the first has it.
        let mut taken = HashSet::from(["_and", "_or", "_some", "_none"].map(str::to_owned));
        let mut count = taken.len();
        for (_, field) in self.readable(id) {
            for (name, of) in self.conditions(id, field) {
                if taken.insert(name.clone()) {
                    input = input.field(InputValue::new(name, TypeRef::named(of)));
                    count += 1;
                }
            }
        }
        let filter = self.name(Make::Filter(id));
        input = input
            .field(InputValue::new("_and", TypeRef::named_list(filter.as_str())))
            .field(InputValue::new("_or", TypeRef::named_list(filter.as_str())));
        if is_quantified {
            input = input
                .field(InputValue::new("_some", TypeRef::named(filter.as_str())))
                .field(InputValue::new("_none", TypeRef::named(filter)));
        }
        (input.into(), count)
    }

    /// What a filter may say of one field.
    fn conditions(&mut self, id: CollectionId, field: &Field) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        let is_free = |name: &str| self.collection(id).find(name).is_none();
        let functions = format!("{}_func", field.name);
        let functions =
            fixed::functions(field).filter(|_| is_free(&functions)).map(|(_, of)| (functions, of));
        match &field.kind {
            FieldKind::ManyToOne { related, .. } if !field.conceal && self.has_items(*related) => {
                found.push((field.name.to_string(), self.name(Make::Filter(*related))));
                return found;
            }
            FieldKind::OneToMany { related, .. } => {
                if !self.has_items(*related) {
                    return found;
                }
                found.push((field.name.to_string(), self.name(Make::Quantified(*related))));
            }
            FieldKind::ManyToAny { allowed, .. } if !field.conceal => {
                for related in self.open_targets(allowed) {
                    let name = format!("{}__{}", field.name, self.collection(related).name);
                    if self.collection(id).find(&name).is_none() {
                        found.push((name, self.name(Make::Filter(related))));
                    }
                }
                found.push((field.name.to_string(), self.fixed(fixed::operators(field))));
            }
            FieldKind::Presentation => return found,
            FieldKind::Plain | FieldKind::ManyToOne { .. } | FieldKind::ManyToAny { .. } => {
                if field.column.is_none() {
                    return found;
                }
                found.push((field.name.to_string(), self.fixed(fixed::operators(field))));
            }
        }
        if let Some((name, of)) = functions {
            found.push((name, self.fixed(of)));
        }
        found
    }

    /// Whether new items of this collection have a type.
    pub(super) fn has_create(&self, id: CollectionId) -> bool {
        self.shape.create(id).is_some_and(|fields| self.is_written(id, |field| fields.contains(field)))
    }

    /// Whether changes of items of this collection have one.
    pub(super) fn has_update(&self, id: CollectionId) -> bool {
        self.shape.update(id).is_some_and(|fields| self.is_written(id, |field| fields.contains(field)))
    }

    fn is_written(&self, id: CollectionId, may: impl Fn(FieldId) -> bool) -> bool {
        let collection = self.collection(id);
        self.has_types(id)
            && collection
                .fields()
                .any(|(id, field)| may(id) && is_field_name(&field.name) && takes_values(field))
    }

    /// `create_articles_input`.
    pub(super) fn create(&mut self, id: CollectionId, name: String) -> (Type, usize) {
        let mut input = InputObject::new(name);
        let mut count = 0;
        for (field_id, field) in self.collection(id).fields() {
            let Some(fields) = self.shape.create(id).filter(|fields| fields.contains(field_id)) else {
                continue;
            };
            let is_given = fields.is_given(field_id);
            let Some(mut of) = self.input_type(id, field_id, field, true) else { continue };
            let is_filled_in = is_given || self.collection(id).is_system();
            if field.kind == FieldKind::Plain && !is_filled_in && is_needed(field) {
                of = TypeRef::NonNull(Box::new(of));
            }
            input = input.field(InputValue::new(&*field.name, of));
            count += 1;
        }
        (input.into(), count)
    }

    /// `update_articles_input`.
    pub(super) fn update(&mut self, id: CollectionId, name: String) -> (Type, usize) {
        let mut input = InputObject::new(name);
        let mut count = 0;
        for (field_id, field) in self.collection(id).fields() {
            if !self.shape.update(id).is_some_and(|fields| fields.contains(field_id)) {
                continue;
            }
            let Some(of) = self.input_type(id, field_id, field, false) else { continue };
            input = input.field(InputValue::new(&*field.name, of));
            count += 1;
        }
        (input.into(), count)
    }

    fn input_type(
        &mut self,
        id: CollectionId,
        field_id: FieldId,
        field: &Field,
        is_new: bool,
    ) -> Option<TypeRef> {
        if !is_field_name(&field.name) {
            return None;
        }
        match &field.kind {
            FieldKind::ManyToOne { related, .. } => {
                if let Some(nested) = self.nested(*related, is_new) {
                    return Some(TypeRef::named(nested));
                }
            }
            FieldKind::OneToMany { related, .. } => {
                return self.nested(*related, is_new).map(TypeRef::named_list);
            }
            // A key, or an item of whichever collection.
            FieldKind::ManyToAny { .. } => return Some(TypeRef::named(self.scalar(fixed::JSON))),
            FieldKind::Presentation => return None,
            FieldKind::Plain => {}
        }
        if !takes_values(field) {
            return None;
        }
        if self.collection(id).primary_key.contains(&field_id) {
            return Some(TypeRef::named("ID"));
        }
        Some(self.value_type(field))
    }

    /// What stands for an item inside another. New items may lead to items that are there, which are then changed.
    fn nested(&mut self, related: CollectionId, is_new: bool) -> Option<String> {
        let (create, update) = (self.has_create(related), self.has_update(related));
        match (create, update) {
            (true, _) if is_new => Some(self.name(Make::Create(related))),
            (_, true) => Some(self.name(Make::Update(related))),
            (true, false) => Some(self.name(Make::Create(related))),
            (false, false) => None,
        }
    }
}

/// Whether a request may give it a value of its own.
fn takes_values(field: &Field) -> bool {
    field.column.as_ref().is_some_and(|column| !matches!(column.column_type, ColumnType::Unknown { .. }))
}

/// Whether an item cannot be made without it.
fn is_needed(field: &Field) -> bool {
    field
        .column
        .as_ref()
        .is_some_and(|column| !column.nullable && column.default.is_none() && column.auto.is_none())
}
