//! Where things are declared.

use std::collections::HashMap;

use crate::yaml::Position;

/// Place of every collection and field that a file declares. What a relation generates stands where the relation does.
#[derive(Debug, Default, Clone)]
pub struct SourceMap {
    collections: HashMap<String, Position>,
    fields: HashMap<String, HashMap<String, Position>>,
}

impl SourceMap {
    /// Where the name of the collection stands.
    pub fn collection(&self, collection: &str) -> Option<&Position> {
        self.collections.get(collection)
    }

    /// Where the name of the field stands.
    pub fn field(&self, collection: &str, field: &str) -> Option<&Position> {
        self.fields.get(collection)?.get(field)
    }

    pub(super) fn add_collection(&mut self, collection: &str, at: &Position) {
        self.collections.insert(collection.to_owned(), at.clone());
    }

    pub(super) fn add_field(&mut self, collection: &str, field: &str, at: &Position) {
        self.fields.entry(collection.to_owned()).or_default().insert(field.to_owned(), at.clone());
    }
}
