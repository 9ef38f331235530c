//! What texts stand for: a table says nothing about types, but the collection does.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::super::cells::restore;
use crate::schema::{Collection, ColumnType, FieldKind};

/// The columns of a collection.
pub(in crate::transfer) struct Columns {
    types: HashMap<String, ColumnType>,
    lists: Vec<String>,
}

impl Columns {
    pub(in crate::transfer) fn of(collection: &Collection) -> Self {
        let (mut types, mut lists) = (HashMap::new(), Vec::new());
        for (_, field) in collection.fields() {
            if let Some(column) = &field.column {
                types.insert(field.name.to_string(), column.column_type.clone());
            }
            if matches!(field.kind, FieldKind::OneToMany { .. }) {
                lists.push(field.name.to_string());
            }
        }
        Columns { types, lists }
    }

    /// The type of a column.
    pub(super) fn column_type(&self, name: &str) -> Option<&ColumnType> {
        self.types.get(name)
    }

    /// Puts the text of a cell where its heading says: `author.name` leads into an object.
    pub(super) fn put(&self, row: &mut Map<String, Value>, heading: &str, text: &str) {
        match heading.split_once('.') {
            Some((first, rest)) if !self.types.contains_key(heading) => {
                // Nothing there is no object with nothing in it.
                if !text.is_empty() {
                    let value = match self.types.get(first) {
                        // Numbers within JSON are no texts.
                        Some(ColumnType::Json) => {
                            serde_json::from_str(text).unwrap_or_else(|_| restore(text).into())
                        }
                        _ => loose(restore(text)),
                    };
                    insert(row, first, rest, value);
                }
            }
            // A value that has its parts in other columns is not taken away by an empty one.
            _ if text.is_empty() && row.contains_key(heading) => {}
            _ => drop(row.insert(heading.to_owned(), self.value(heading, text))),
        }
    }

    /// The value that a text is in a column.
    pub(super) fn value(&self, name: &str, text: &str) -> Value {
        if text.is_empty() {
            return Value::Null;
        }
        match self.types.get(name) {
            Some(ColumnType::Json) => {
                // A text that is no JSON is one in JSON.
                serde_json::from_str(text)
                    .unwrap_or_else(|_| Value::String(Value::String(restore(text).to_owned()).to_string()))
            }
            Some(ColumnType::Csv) => match serde_json::from_str(text) {
                Ok(list @ Value::Array(_)) => list,
                _ => restore(text).split(',').map(str::to_owned).collect(),
            },
            Some(ColumnType::Boolean) => match text {
                "true" | "TRUE" | "True" | "1" => Value::Bool(true),
                "false" | "FALSE" | "False" | "0" => Value::Bool(false),
                other => Value::String(other.to_owned()),
            },
            Some(_) => {
                let is_object =
                    text.starts_with('{') && !self.types.get(name).is_some_and(ColumnType::is_text);
                match is_object.then(|| serde_json::from_str(text)) {
                    // A related item.
                    Some(Ok(object @ Value::Object(_))) => object,
                    _ => Value::String(restore(text).to_owned()),
                }
            }
            None => loose(restore(text)),
        }
    }

    /// A row of a format that knows types, with texts in JSON columns as what the API takes: text that is JSON.
    pub(super) fn mend(&self, mut row: Map<String, Value>) -> Map<String, Value> {
        for (name, value) in &mut row {
            if let (Value::String(text), Some(ColumnType::Json)) = (&*value, self.types.get(name)) {
                *value = self.value(name, text);
            }
        }
        row
    }

    /// The values of an element that may be there several times.
    pub(super) fn listed(&self, name: &str, values: Vec<Value>) -> Value {
        let is_list = values.len() > 1
            || self.lists.iter().any(|list| list == name)
            || self.types.get(name) == Some(&ColumnType::Csv);
        let mut values = values;
        // One empty element is no list with nothing in it.
        let is_list = is_list && values.as_slice() != [Value::Null];
        if is_list { Value::Array(values) } else { values.pop().unwrap_or(Value::Null) }
    }
}

/// A text of which nothing is known.
fn loose(text: &str) -> Value {
    let is_json = text.starts_with(['{', '[']) || matches!(text, "true" | "false" | "null");
    match is_json.then(|| serde_json::from_str(text)) {
        Some(Ok(value)) => value,
        _ => Value::String(text.to_owned()),
    }
}

/// As deep as a heading has dots, of which a file has few.
fn insert(row: &mut Map<String, Value>, first: &str, rest: &str, value: Value) {
    let place = row.entry(first).or_insert(Value::Null);
    if !place.is_object() {
        *place = Value::Object(Map::new());
    }
    let Value::Object(members) = place else { return };
    match rest.split_once('.') {
        Some((next, rest)) => insert(members, next, rest, value),
        None => drop(members.insert(rest.to_owned(), value)),
    }
}
