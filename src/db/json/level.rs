//! The rows of one level as JSON pieces.
//!
//! Each row is rendered as it arrives. Where a member is read by another level, a gap is left, and the key that fills it is
//! collected for that level's statement.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::cell::{Cell, RowView};
use super::value;
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::query::{AnyTarget, MemberValue, OutputMember, ReadNode, ReadPlan, ValueFormat};
use crate::schema::ColumnType;

/// Marks the absence of a slot, a row or a successor.
pub(in crate::db) const NONE: u32 = u32::MAX;

/// A primary key or reference, as it is compared between levels.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::db) enum Key {
    Int(i64),
    Uuid(u128),
    Text(Box<str>),
}

impl Key {
    /// The key in this cell; `None` for null.
    fn of(cell: Cell<'_>) -> Result<Option<Key>> {
        Ok(Some(match cell {
            Cell::Null => return Ok(None),
            Cell::Int(value) => Key::Int(value),
            Cell::Uuid(value) => Key::Uuid(value),
            Cell::Text(text) => Key::of_text(text),
            other => {
                let mut text = Vec::new();
                other.write_text(&ColumnType::Text, &mut text)?;
                Key::Text(String::from_utf8(text).map_err(Error::internal)?.into())
            }
        }))
    }

    /// A UUID in canonical form is compared as a number; any other text as it is, so that it goes back to the database unchanged.
    fn of_text(text: &str) -> Key {
        if text.len() == 36
            && !text.bytes().any(|byte| byte.is_ascii_uppercase())
            && let Ok(uuid) = uuid::Uuid::try_parse(text)
        {
            return Key::Uuid(uuid.as_u128());
        }
        Key::Text(text.into())
    }

    /// The key that this text (of a many-to-any field) stands for in a collection whose keys have this type.
    fn of_any(text: &str, key_type: &ColumnType) -> Option<Key> {
        match key_type {
            ColumnType::Integer | ColumnType::BigInteger => text.parse().ok().map(Key::Int),
            // PostgreSQL would refuse the whole statement for a text that is none.
            ColumnType::Uuid => Some(Key::of_text(text)).filter(|key| matches!(key, Key::Uuid(_))),
            _ => Some(Key::of_text(text)),
        }
    }

    /// The key as a many-to-any field holds it.
    fn into_text(self) -> Key {
        match self {
            Key::Int(number) => Key::Text(itoa::Buffer::new().format(number).into()),
            other => other,
        }
    }

    /// The form in which a statement takes it.
    pub(in crate::db) fn to_scalar(&self) -> Scalar {
        match self {
            Key::Int(value) => Scalar::Int(*value),
            Key::Text(text) => Scalar::Text(Arc::from(&**text)),
            Key::Uuid(value) => {
                let mut buffer = uuid::Uuid::encode_buffer();
                Scalar::Text(Arc::from(
                    &*uuid::Uuid::from_u128(*value).hyphenated().encode_lower(&mut buffer),
                ))
            }
        }
    }
}

/// Different keys in the order of their first appearance; a key's position is its slot.
#[derive(Debug, Default)]
pub(in crate::db) struct KeySet {
    slots: HashMap<Key, u32, foldhash::fast::RandomState>,
}

impl KeySet {
    fn slot(&mut self, key: Key) -> u32 {
        let next = self.slots.len() as u32;
        *self.slots.entry(key).or_insert(next)
    }

    pub(in crate::db) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(in crate::db) fn len(&self) -> usize {
        self.slots.len()
    }

    /// All keys, for the statement of the level that they lead to.
    pub(in crate::db) fn scalars(&self) -> Vec<Scalar> {
        self.slots.keys().map(Key::to_scalar).collect()
    }
}

/// A place in a row that another level fills.
#[derive(Debug, Clone, Copy)]
pub(in crate::db) struct Gap {
    /// Where it is, in `Level::bytes`.
    pub(in crate::db) offset: u32,
    /// The level that fills it.
    pub(in crate::db) node: u32,
    /// Slot of the key there; [`NONE`] for null.
    pub(in crate::db) slot: u32,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub(in crate::db) struct LevelRow {
    /// Start in `Level::bytes`.
    pub(in crate::db) start: u32,
    /// First of its gaps in `Level::gaps`.
    pub(in crate::db) first_gap: u32,
    /// The next row with the same key from above, in order.
    pub(in crate::db) next: u32,
}

/// Rows that belong to one key of the level above.
#[derive(Debug, Clone, Copy)]
pub(in crate::db) struct Chain {
    pub(in crate::db) first: u32,
    last: u32,
    count: u64,
}

/// The rows of one level.
#[derive(Debug, Default)]
pub(in crate::db) struct Level {
    pub(in crate::db) bytes: Vec<u8>,
    pub(in crate::db) rows: Vec<LevelRow>,
    pub(in crate::db) gaps: Vec<Gap>,
    /// By slot of the key in the level above.
    pub(in crate::db) chains: Vec<Chain>,
    /// By what the last row is sorted, as a JSON list, where a cursor is asked for.
    pub(in crate::db) last: Vec<u8>,
}

impl Level {
    /// Positions that end the row at `position`: in `bytes` and in `gaps`.
    pub(in crate::db) fn ends(&self, position: usize) -> (u32, u32) {
        match self.rows.get(position + 1) {
            Some(next) => (next.start, next.first_gap),
            None => (self.bytes.len() as u32, self.gaps.len() as u32),
        }
    }
}

/// Turns the rows of one statement into a [`Level`].
pub(in crate::db) struct LevelWriter<'p> {
    plan: &'p ReadPlan,
    node: &'p ReadNode,
    /// Formats of the columns, and the types they are read with.
    read_types: Vec<&'p ColumnType>,
    /// Keys for the levels below, by node.
    below: &'p mut [KeySet],
    /// Keys from the level above; `None` at the root.
    above: Option<KeySet>,
    level: Level,
    /// Rows of a list before this one are separated by commas right away (root without gaps).
    is_flat_root: bool,
    most_per_key: u64,
}

impl<'p> LevelWriter<'p> {
    /// `key_sets` has one entry per node of the plan; that of this node is taken.
    pub(in crate::db) fn new(plan: &'p ReadPlan, position: usize, key_sets: &'p mut [KeySet]) -> Self {
        let node = &plan.nodes[position];
        let above = node.link.as_ref().map(|_| std::mem::take(&mut key_sets[position]));
        let chains = above.as_ref().map_or(0, KeySet::len);
        // A limit that the query did not name is cut here rather than by the database: see `query::Limit`.
        let most_per_key = match (&node.link, node.limit) {
            (Some(_), Some(limit)) if !limit.explicit => limit.rows,
            _ => u64::MAX,
        };
        LevelWriter {
            plan,
            node,
            read_types: node.columns.iter().map(|column| value::read_type(&column.format)).collect(),
            below: key_sets,
            above,
            level: Level {
                chains: vec![Chain { first: NONE, last: NONE, count: 0 }; chains],
                ..Level::default()
            },
            is_flat_root: plan.nodes.len() == 1,
            most_per_key,
        }
    }

    /// Keys that the statement of this level is asked with.
    pub(in crate::db) fn parent_keys(&self) -> Vec<Scalar> {
        self.above.as_ref().map(KeySet::scalars).unwrap_or_default()
    }

    /// Takes one row.
    pub(in crate::db) fn push(&mut self, row: &impl RowView) -> Result<()> {
        let position = self.level.rows.len() as u32;
        if let (Some(link), Some(above)) = (&self.node.link, &self.above) {
            let key = Key::of(row.cell(link.column, self.read_types[link.column])?)?;
            // Keys compare more loosely in some databases than here (case, trailing space); such a row belongs to nobody.
            let Some(slot) = key.and_then(|key| above.slots.get(&key).copied()) else { return Ok(()) };
            let chain = &mut self.level.chains[slot as usize];
            if chain.count >= self.most_per_key {
                return Ok(());
            }
            chain.count += 1;
            if chain.first == NONE {
                chain.first = position;
            } else {
                self.level.rows[chain.last as usize].next = position;
            }
            chain.last = position;
        }
        if self.is_flat_root && position > 0 {
            self.level.bytes.push(b',');
        }
        if self.level.bytes.len() > (u32::MAX / 2) as usize {
            return Err(Error::query("the answer is larger than 2 GiB; ask for less at a time"));
        }
        self.level.rows.push(LevelRow {
            start: self.level.bytes.len() as u32,
            first_gap: self.level.gaps.len() as u32,
            next: NONE,
        });
        if let Some(cursor) = &self.node.cursor {
            self.remember(row, &cursor.columns)?;
        }
        match self.node.bare {
            Some(column) => self.column(row, column),
            None => self.object(row, &self.node.output),
        }
    }

    /// Keeps the values by which this row is sorted; the row may be the last of its page.
    fn remember(&mut self, row: &impl RowView, columns: &[usize]) -> Result<()> {
        self.level.last.clear();
        for (position, column) in columns.iter().enumerate() {
            self.level.last.push(if position == 0 { b'[' } else { b',' });
            let cell = row.cell(*column, self.read_types[*column])?;
            value::write(cell, &self.node.columns[*column].format, &mut self.level.last)?;
        }
        self.level.last.push(b']');
        Ok(())
    }

    fn column(&mut self, row: &impl RowView, column: usize) -> Result<()> {
        let cell = row.cell(column, self.read_types[column])?;
        value::write(cell, &self.node.columns[column].format, &mut self.level.bytes)
    }

    fn object(&mut self, row: &impl RowView, members: &'p [OutputMember]) -> Result<()> {
        self.level.bytes.push(b'{');
        for (position, member) in members.iter().enumerate() {
            if position > 0 {
                self.level.bytes.push(b',');
            }
            self.level.bytes.extend_from_slice(&member.rendered_key);
            match &member.value {
                MemberValue::Column(column) => self.column(row, *column)?,
                MemberValue::Constant(text) => self.level.bytes.extend_from_slice(text),
                MemberValue::Object(members) => self.object(row, members)?,
                MemberValue::ToOne { column, node } | MemberValue::ToMany { column, node } => {
                    let slot = match Key::of(row.cell(*column, self.read_types[*column])?)? {
                        Some(key) if self.is_named_by_text(*node) => self.below[*node].slot(key.into_text()),
                        Some(key) => self.below[*node].slot(key),
                        None => NONE,
                    };
                    self.gap(*node, slot);
                }
                MemberValue::ToAny { column, collection_column, nodes, shows_keys } => {
                    self.any(row, (*column, *collection_column), nodes, *shows_keys)?;
                }
            }
        }
        self.level.bytes.push(b'}');
        Ok(())
    }

    /// The rows of this level refer to their parent through a many-to-any field, which holds keys as text.
    fn is_named_by_text(&self, node: usize) -> bool {
        self.plan.nodes[node].link.as_ref().is_some_and(|link| link.any.is_some())
    }

    fn gap(&mut self, node: usize, slot: u32) {
        self.level.gaps.push(Gap { offset: self.level.bytes.len() as u32, node: node as u32, slot });
    }

    fn any(
        &mut self,
        row: &impl RowView,
        (column, collection_column): (usize, usize),
        targets: &[AnyTarget],
        shows_keys: bool,
    ) -> Result<()> {
        let key = row.cell(column, &ColumnType::Text)?;
        let collection = row.cell(collection_column, &ColumnType::Text)?;
        let target = match collection {
            Cell::Text(name) => targets.iter().find(|target| &*target.collection == name),
            _ => None,
        };
        if !shows_keys && target.is_none_or(|target| target.node.is_none()) {
            self.level.bytes.extend_from_slice(b"null");
            return Ok(());
        }
        let (Cell::Text(text), Some(target)) = (key, target) else {
            return value::write(key, &ValueFormat::Typed(ColumnType::Text), &mut self.level.bytes);
        };
        let key = Key::of_any(text, &target.key_type);
        match (target.node, key) {
            (Some(node), Some(key)) => {
                let slot = self.below[node].slot(key);
                self.gap(node, slot);
            }
            (None, Some(Key::Int(number))) => {
                value::write(
                    Cell::Int(number),
                    &ValueFormat::Typed(target.key_type.clone()),
                    &mut self.level.bytes,
                )?;
            }
            (Some(_), None) => self.level.bytes.extend_from_slice(b"null"),
            (None, _) => value::write_text(text, &mut self.level.bytes),
        }
        Ok(())
    }

    /// All rows have been taken.
    pub(in crate::db) fn finish(self) -> Level {
        self.level
    }
}
