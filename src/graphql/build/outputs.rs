//! Types of answers.

use async_graphql::dynamic::{Field as Output, FieldFuture, InputValue, Object, Type, TypeRef, Union};

use super::{Make, Types, fixed, is_field_name};
use crate::schema::{CollectionId, Field, FieldId, FieldKind};

/// A field of an answer. Nobody asks it for its value.
pub fn output(name: impl Into<String>, of: TypeRef) -> Output {
    Output::new(name, of, |_| FieldFuture::from_value(None))
}

impl Types<'_> {
    /// `articles`.
    pub(super) fn item(&mut self, id: CollectionId, name: String) -> (Type, usize) {
        let mut object = described(Object::new(name), self.collection(id).note.as_deref());
        let mut count = 0;
        for (field_id, field) in self.readable(id) {
            if let Some(of) = self.output_type(id, field_id, field) {
                let mut found = output(&*field.name, of.of);
                if let Some(related) = of.takes_arguments_of {
                    found = self.list_arguments(related).into_iter().fold(found, Output::argument);
                }
                if let Some(note) = &field.note {
                    found = found.description(note);
                }
                object = object.field(found);
                // Each argument of a list is about as large as a field.
                count += if of.takes_arguments_of.is_some() { 7 } else { 1 };
            } else {
                continue;
            }
            if let Some(functions) = self.functions(id, field) {
                let functions = self.fixed(functions);
                object = object.field(output(format!("{}_func", field.name), TypeRef::named(functions)));
                count += 1;
            }
        }
        (object.into(), count)
    }

    /// The functions of a field, unless another field has the name under which they would stand.
    fn functions(&self, id: CollectionId, field: &Field) -> Option<&'static str> {
        let (functions, _) = fixed::functions(field)?;
        self.collection(id).find(&format!("{}_func", field.name)).is_none().then_some(functions)
    }

    fn output_type(&mut self, id: CollectionId, field_id: FieldId, field: &Field) -> Option<OutputType> {
        let is_gated = self.shape.read(id).is_some_and(|fields| fields.is_gated(field_id));
        match &field.kind {
            FieldKind::ManyToOne { related, .. } if !field.conceal && self.has_items(*related) => {
                let item = self.name(Make::Item(*related));
                Some(OutputType { of: TypeRef::named(item), takes_arguments_of: Some(*related) })
            }
            FieldKind::OneToMany { related, .. } => {
                if !self.has_items(*related) {
                    return None;
                }
                let item = self.name(Make::Item(*related));
                Some(OutputType { of: TypeRef::named_list(item), takes_arguments_of: Some(*related) })
            }
            FieldKind::ManyToAny { allowed, .. }
                if !field.conceal && !self.open_targets(allowed).is_empty() =>
            {
                Some(OutputType::plain(TypeRef::named(self.name(Make::Union(id, field_id)))))
            }
            FieldKind::Presentation => None,
            FieldKind::Plain | FieldKind::ManyToOne { .. } | FieldKind::ManyToAny { .. } => {
                let column = field.column.as_ref()?;
                if self.collection(id).primary_key.contains(&field_id) {
                    let of = if is_gated { TypeRef::named("ID") } else { TypeRef::named_nn("ID") };
                    return Some(OutputType::plain(of));
                }
                let is_given = column.default.is_some() || column.auto.is_some();
                let of = self.value_type(field);
                let is_there = !column.nullable && !is_given && !is_gated;
                Some(OutputType::plain(if is_there { TypeRef::NonNull(Box::new(of)) } else { of }))
            }
        }
    }

    /// The type of a value that may be missing.
    pub(super) fn value_type(&mut self, field: &Field) -> TypeRef {
        let scalar = self.scalar(fixed::scalar(field));
        let is_list =
            field.column.as_ref().is_some_and(|column| column.column_type == crate::schema::ColumnType::Csv);
        if is_list && !field.conceal { TypeRef::named_list(scalar) } else { TypeRef::named(scalar) }
    }

    /// What lists take.
    pub(super) fn list_arguments(&mut self, id: CollectionId) -> Vec<InputValue> {
        let filter = self.name(Make::Filter(id));
        vec![
            InputValue::new("filter", TypeRef::named(filter)),
            InputValue::new("sort", TypeRef::named_list(TypeRef::STRING)),
            InputValue::new("limit", TypeRef::named(TypeRef::INT)),
            InputValue::new("offset", TypeRef::named(TypeRef::INT)),
            InputValue::new("page", TypeRef::named(TypeRef::INT)),
            InputValue::new("search", TypeRef::named(TypeRef::STRING)),
        ]
    }

    /// `articles_item_union`.
    pub(super) fn union(&mut self, id: CollectionId, field: FieldId, name: String) -> (Type, usize) {
        let FieldKind::ManyToAny { allowed, .. } = &self.schema.field(id, field).kind else {
            return (Union::new(name).into(), 0);
        };
        let targets = self.open_targets(allowed);
        let count = targets.len();
        let union = targets
            .into_iter()
            .fold(Union::new(name), |union, related| union.possible_type(self.name(Make::Item(related))));
        (union.into(), count)
    }

    /// `articles_aggregated`.
    pub(super) fn aggregated(&mut self, id: CollectionId, name: String) -> (Type, usize) {
        let (json, counts) = (self.scalar(fixed::JSON), self.name(Make::Counts(id)));
        let mut object = Object::new(name)
            .field(output("group", TypeRef::named(json)))
            .field(output("countAll", TypeRef::named(TypeRef::INT)))
            .field(output("count", TypeRef::named(counts.as_str())))
            .field(output("countDistinct", TypeRef::named(counts)));
        let mut count = 4;
        if self.readable(id).any(|(_, field)| is_number(field)) {
            let numbers = self.name(Make::Numbers(id));
            for function in ["avg", "sum", "avgDistinct", "sumDistinct", "min", "max"] {
                object = object.field(output(function, TypeRef::named(numbers.as_str())));
                count += 1;
            }
        }
        (object.into(), count)
    }

    /// `articles_aggregated_count`.
    pub(super) fn counts(&mut self, id: CollectionId, name: String) -> (Type, usize) {
        let counted = self.readable(id).filter(|(_, field)| field.column.is_some());
        figures(name, TypeRef::INT, counted.map(|(_, field)| field))
    }

    /// `articles_aggregated_fields`.
    pub(super) fn numbers(&mut self, id: CollectionId, name: String) -> (Type, usize) {
        let numbers = self.readable(id).filter(|(_, field)| is_number(field));
        figures(name, TypeRef::FLOAT, numbers.map(|(_, field)| field))
    }

    /// `articles_mutated`.
    pub(super) fn mutated(&mut self, id: CollectionId, name: String) -> (Type, usize) {
        let (event, item) = (self.fixed(fixed::EVENT), self.name(Make::Item(id)));
        let object = Object::new(name)
            .field(output("key", TypeRef::named_nn(TypeRef::ID)))
            .field(output("event", TypeRef::named(event)))
            .field(output("data", TypeRef::named(item)));
        (object.into(), 3)
    }

    /// `version_articles`: relations as the version has them, which may be any JSON.
    pub(super) fn version(&mut self, id: CollectionId, name: String) -> (Type, usize) {
        let mut object = Object::new(name);
        let mut count = 0;
        for (field_id, field) in self.readable(id) {
            let is_key = self.collection(id).primary_key.contains(&field_id);
            let of = match field.kind {
                FieldKind::Presentation => continue,
                FieldKind::Plain if is_key => TypeRef::named("ID"),
                FieldKind::Plain => self.value_type(field),
                _ => TypeRef::named(self.scalar(fixed::JSON)),
            };
            object = object.field(output(&*field.name, of));
            count += 1;
        }
        (object.into(), count)
    }
}

struct OutputType {
    of: TypeRef,
    /// Takes the arguments of a list of these items.
    takes_arguments_of: Option<CollectionId>,
}

impl OutputType {
    fn plain(of: TypeRef) -> Self {
        OutputType { of, takes_arguments_of: None }
    }
}

fn described(object: Object, note: Option<&str>) -> Object {
    match note {
        Some(note) => object.description(note),
        None => object,
    }
}

fn is_number(field: &Field) -> bool {
    !field.conceal && field.column.as_ref().is_some_and(|column| column.column_type.is_number())
}

fn figures<'f>(name: String, of: &str, fields: impl Iterator<Item = &'f Field>) -> (Type, usize) {
    let mut count = 0;
    let object =
        fields.filter(|field| is_field_name(&field.name)).fold(Object::new(name), |object, field| {
            count += 1;
            object.field(output(&*field.name, TypeRef::named(of)))
        });
    (object.into(), count)
}
