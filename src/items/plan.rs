//! What a write is, once it has been checked: a tree of items.
//!
//! Made by `nested`, carried out by `run`. Everything that can be known without the database is decided in here.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::filter::Scalar;
use crate::schema::{CollectionId, FieldId, OnDeselect};

/// One item to write.
#[derive(Debug, Clone)]
pub struct ItemWrite {
    /// Where it lies.
    pub collection: CollectionId,
    /// Its key, when the payload names one.
    pub key: Option<Scalar>,
    /// Is there such an item?
    pub target: Target,
    /// Columns and their values, ordered by field; complete for a new item, otherwise what was sent.
    pub values: Vec<(FieldId, Scalar)>,
    /// Columns that the payload named; what the revision shows.
    pub sent: Vec<FieldId>,
    /// Every field that the payload or the relation above sets: what rights are judged by.
    pub named: Vec<FieldId>,
    /// The payload of an upsert by somebody whose rights may differ when the item turns out to be new.
    pub upserted: Option<Arc<Map<String, Value>>>,
    /// Columns whose value is known only when another item has been written.
    pub given: Vec<FieldId>,
    /// Items that this one points at, written before it.
    pub to_one: Vec<ToOne>,
    /// Items that point at this one, written after it.
    pub to_many: Vec<ToMany>,
    /// Entry of the journal of the item above, set while writing.
    pub parent: Option<usize>,
}

/// Whether the item is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// It is new.
    Create,
    /// It is there, or else nothing happens.
    Update,
    /// It is changed when it is there and made when it is not.
    Upsert,
}

/// An item pointed at.
#[derive(Debug, Clone)]
pub struct ToOne {
    /// Column that takes its key.
    pub field: FieldId,
    /// The column is a many-to-any: its key is kept as text.
    pub as_text: bool,
    /// The item.
    pub item: ItemWrite,
}

/// Items pointing here, through one field.
#[derive(Debug, Clone)]
pub struct ToMany {
    /// The relation, as one for all items of the collection.
    pub link: ToManyLink,
    /// What becomes of them.
    pub change: ToManyChange,
}

/// How items point at the one above.
#[derive(Debug, Clone, PartialEq)]
pub struct ToManyLink {
    /// Where they lie.
    pub collection: CollectionId,
    /// Column that takes the key of the item above.
    pub field: FieldId,
    /// For a many-to-any: the column that takes the name of the collection above, and that name.
    pub any: Option<(FieldId, Arc<str>)>,
    /// Column that orders them.
    pub sort: Option<FieldId>,
    /// What becomes of one that is taken out.
    pub on_deselect: OnDeselect,
}

/// What becomes of the items of a one-to-many.
#[derive(Debug, Clone)]
pub enum ToManyChange {
    /// These are all of them; others are taken out.
    Replace(Vec<Child>),
    /// Only what is named here changes.
    Detailed {
        /// New items, put behind the others.
        create: Vec<ItemWrite>,
        /// Items changed; they point here afterwards.
        update: Vec<ItemWrite>,
        /// Items taken out.
        delete: Vec<Scalar>,
    },
}

/// One entry of the full list.
#[derive(Debug, Clone)]
pub enum Child {
    /// An item that is there, as it is.
    Key(Scalar),
    /// An item to write.
    Item(ItemWrite),
}

impl ItemWrite {
    /// Sets a column.
    pub fn set(&mut self, field: FieldId, value: Scalar) {
        match self.values.binary_search_by_key(&field, |(field, _)| *field) {
            Ok(position) => self.values[position].1 = value,
            Err(position) => self.values.insert(position, (field, value)),
        }
    }

    /// The value of a column, when one is sent or filled in.
    pub fn value(&self, field: FieldId) -> Option<&Scalar> {
        let position = self.values.binary_search_by_key(&field, |(field, _)| *field).ok()?;
        Some(&self.values[position].1)
    }

    /// Concerns no other item.
    pub fn is_flat(&self) -> bool {
        self.to_one.is_empty() && self.to_many.is_empty()
    }

    /// This item and every one below, for what must be done to each before the transaction.
    pub fn for_each(&mut self, visit: &mut dyn FnMut(&mut ItemWrite)) {
        visit(self);
        for to_one in &mut self.to_one {
            to_one.item.for_each(visit);
        }
        for to_many in &mut self.to_many {
            match &mut to_many.change {
                ToManyChange::Replace(children) => {
                    for child in children {
                        if let Child::Item(item) = child {
                            item.for_each(visit);
                        }
                    }
                }
                ToManyChange::Detailed { create, update, .. } => {
                    for item in create.iter_mut().chain(update) {
                        item.for_each(visit);
                    }
                }
            }
        }
    }
}
