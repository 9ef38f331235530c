//! The types of the model. Ids are positions inside one [`Schema`] and mean nothing in another.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::number::Number;

/// Position of a collection inside its [`Schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CollectionId(pub u32);

/// Position of a field inside its [`Collection`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldId(pub u32);

/// All collections of a project, the system's included, with their relations resolved.
#[derive(Debug, Default)]
pub struct Schema {
    /// Counts the models this process has had; part of the key of everything that is cached per model.
    pub version: u64,
    collections: Vec<Collection>,
    by_name: HashMap<Arc<str>, CollectionId>,
}

impl Schema {
    /// Puts collections whose relations refer to one another by position under one roof.
    ///
    /// The caller guarantees that every id inside `collections` is valid and that names are unique; `schema::build` does.
    pub fn new(version: u64, collections: Vec<Collection>) -> Self {
        let by_name = collections
            .iter()
            .enumerate()
            .map(|(position, collection)| (collection.name.clone(), CollectionId(position as u32)))
            .collect();
        Schema { version, collections, by_name }
    }

    /// The collection with this name.
    pub fn find(&self, name: &str) -> Option<CollectionId> {
        self.by_name.get(name).copied()
    }

    /// The collection with this name, itself.
    pub fn get(&self, name: &str) -> Option<&Collection> {
        self.find(name).map(|id| self.collection(id))
    }

    /// The collection at this position.
    pub fn collection(&self, id: CollectionId) -> &Collection {
        &self.collections[id.0 as usize]
    }

    /// The field at these positions.
    pub fn field(&self, collection: CollectionId, field: FieldId) -> &Field {
        self.collection(collection).field(field)
    }

    /// All collections with their ids: the system's first, then the project's by name.
    pub fn collections(&self) -> impl Iterator<Item = (CollectionId, &Collection)> {
        self.collections
            .iter()
            .enumerate()
            .map(|(position, collection)| (CollectionId(position as u32), collection))
    }

    /// Every many-to-one field that points at `target`, with its collection.
    pub fn references_to(&self, target: CollectionId) -> impl Iterator<Item = (CollectionId, FieldId)> {
        self.collections().flat_map(move |(id, collection)| {
            collection.fields().filter_map(move |(field_id, field)| match &field.kind {
                FieldKind::ManyToOne { related, .. } if *related == target => Some((id, field_id)),
                _ => None,
            })
        })
    }
}

/// A declared table, or a folder that only groups others.
#[derive(Debug, Clone)]
pub struct Collection {
    /// Name of the collection and of its table.
    pub name: Arc<str>,
    /// Where it comes from.
    pub origin: Origin,
    /// Former names of the table.
    pub was: Vec<String>,
    /// What it is for.
    pub note: Option<String>,
    /// Folder in which people see it.
    pub group: Option<String>,
    /// How one item is shown, fields in `{{ }}`.
    pub display_template: Option<String>,
    /// Field and values of archiving.
    pub archive: Option<Archive>,
    /// Field that orders items when a request names none.
    pub sort: Option<FieldId>,
    /// Holds exactly one item.
    pub singleton: bool,
    /// Not listed for people.
    pub hidden: bool,
    /// What is recorded about writes.
    pub accountability: Tracking,
    /// Content versions are offered.
    pub versioning: bool,
    /// The many-to-one field whose target owns the row.
    pub tenant: Option<FieldId>,
    /// Items are tenants: a filter, as written, finds those that whoever asks belongs to. Null where they are not.
    pub members: Value,
    /// The primary key: one field, for tables that we did not make perhaps more or none.
    pub primary_key: Vec<FieldId>,
    /// Indexes over several fields (those over one stand at the field).
    pub indexes: Vec<Index>,
    /// What is deleted can be restored.
    pub trash: Option<Trash>,
    /// Fields whose values the server counts, and how.
    pub numbers: Vec<(FieldId, Number)>,
    /// Per policy name what it may do, as written.
    pub permissions: Value,
    /// What only the admin UI reads.
    pub ui: Value,
    fields: Vec<Field>,
    by_name: HashMap<Arc<str>, FieldId>,
}

impl Collection {
    /// A collection with these fields and nothing else declared. Field names must be unique.
    pub fn new(name: impl Into<Arc<str>>, origin: Origin, fields: Vec<Field>) -> Self {
        let by_name = fields
            .iter()
            .enumerate()
            .map(|(position, field)| (field.name.clone(), FieldId(position as u32)))
            .collect();
        Collection {
            name: name.into(),
            origin,
            was: Vec::new(),
            note: None,
            group: None,
            display_template: None,
            archive: None,
            sort: None,
            singleton: false,
            hidden: false,
            accountability: Tracking::All,
            versioning: false,
            tenant: None,
            members: Value::Null,
            primary_key: Vec::new(),
            indexes: Vec::new(),
            trash: None,
            numbers: Vec::new(),
            permissions: Value::Null,
            ui: Value::Null,
            fields,
            by_name,
        }
    }

    /// The field with this name.
    pub fn find(&self, name: &str) -> Option<FieldId> {
        self.by_name.get(name).copied()
    }

    /// The field at this position.
    pub fn field(&self, id: FieldId) -> &Field {
        &self.fields[id.0 as usize]
    }

    /// The field at this position, to finish building it.
    pub fn field_mut(&mut self, id: FieldId) -> &mut Field {
        &mut self.fields[id.0 as usize]
    }

    /// Adds a field behind the others. Its name must be new.
    pub fn push(&mut self, field: Field) -> FieldId {
        let id = FieldId(self.fields.len() as u32);
        self.by_name.insert(field.name.clone(), id);
        self.fields.push(field);
        id
    }

    /// All fields with their ids, in the order of declaration.
    pub fn fields(&self) -> impl Iterator<Item = (FieldId, &Field)> {
        self.fields.iter().enumerate().map(|(position, field)| (FieldId(position as u32), field))
    }

    /// The primary key when it is exactly one field, as that of every collection we make is.
    pub fn key(&self) -> Option<FieldId> {
        match self.primary_key.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    /// Belongs to the product: name begins with `directus_`.
    pub fn is_system(&self) -> bool {
        self.origin == Origin::System
    }
}

/// Where a collection is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Made by `migrations/`, reachable through its own endpoints only.
    System,
    /// A YAML file declares it.
    Yaml,
    /// Made by a relation of a YAML file: a junction or the rows of translations.
    Generated,
    /// Found in the database, unknown to every file; served as it is and never altered.
    Database,
}

/// What is recorded about writes to a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracking {
    /// Activity and revisions.
    All,
    /// Activity only.
    Activity,
    /// Nothing.
    Nothing,
}

/// What becomes of deleted items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trash {
    /// Hours for which they are kept; without end where there is none.
    pub keep: Option<u32>,
}

/// How items are archived.
#[derive(Debug, Clone, PartialEq)]
pub struct Archive {
    /// The field that says whether an item is archived.
    pub field: FieldId,
    /// Its value when archived.
    pub archived: Value,
    /// Its value when restored.
    pub restored: Value,
}

/// An index over several fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Fields in order.
    pub fields: Vec<FieldId>,
    /// No two rows may agree in all of them.
    pub unique: bool,
}

/// One field of a collection.
#[derive(Debug, Clone)]
pub struct Field {
    /// Name of the field, and of its column when it has one.
    pub name: Arc<str>,
    /// Former names of the column.
    pub was: Vec<String>,
    /// What it holds or points at.
    pub kind: FieldKind,
    /// The column; `None` for fields that hold nothing themselves.
    pub column: Option<Column>,
    /// What it is for.
    pub note: Option<String>,
    /// Not shown in forms.
    pub hidden: bool,
    /// Shown in forms, not edited there.
    pub readonly: bool,
    /// Answers show `**********` instead of the value, and nothing but a null test may ask for it.
    pub conceal: bool,
    /// `search` looks here.
    pub searchable: bool,
    /// What must be true of values that are sent, a filter as written; null for nothing.
    pub validation: Value,
    /// What whoever breaks it is told.
    pub validation_message: Option<String>,
}

impl Field {
    /// A plain field with this column.
    pub fn plain(name: impl Into<Arc<str>>, column: Column) -> Self {
        Field::new(name, FieldKind::Plain, Some(column))
    }

    /// A field with nothing else declared.
    pub fn new(name: impl Into<Arc<str>>, kind: FieldKind, column: Option<Column>) -> Self {
        Field {
            name: name.into(),
            was: Vec::new(),
            kind,
            column,
            note: None,
            hidden: false,
            readonly: false,
            conceal: false,
            searchable: true,
            validation: Value::Null,
            validation_message: None,
        }
    }

    /// Holds no column.
    pub fn is_alias(&self) -> bool {
        self.column.is_none()
    }
}

/// What a field is besides its column.
///
/// A many-to-many is a [`FieldKind::OneToMany`] onto its junction: that is how it is read and written over the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldKind {
    /// Just its column.
    Plain,
    /// The column refers to the primary key of one other collection.
    ManyToOne {
        /// The collection referred to.
        related: CollectionId,
        /// What becomes of this row when the item referred to is deleted.
        on_delete: OnDelete,
    },
    /// The column (text) holds the key of an item of one of several collections.
    ManyToAny {
        /// Collections allowed, in the order declared.
        allowed: Vec<CollectionId>,
        /// The text field of this collection that names the collection.
        collection_field: FieldId,
    },
    /// No column: the items of another collection that refer here.
    OneToMany {
        /// The collection that refers here (for m2m and m2a the junction).
        related: CollectionId,
        /// Its referring field: a `ManyToOne` to here, or a `ManyToAny` that allows here.
        related_field: FieldId,
        /// For m2m and m2a: the field of the junction that leads on to the other side.
        junction_field: Option<FieldId>,
        /// Field of `related` that orders the items.
        sort: Option<FieldId>,
        /// What becomes of an item that is taken out.
        on_deselect: OnDeselect,
    },
    /// No column and no data: a divider, a notice in a form.
    Presentation,
}

/// What becomes of a row when the item it refers to is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnDelete {
    /// The reference becomes null.
    SetNull,
    /// The row is deleted too.
    Cascade,
    /// The deletion is refused.
    Restrict,
    /// The deletion is refused by the database at the end of the statement.
    NoAction,
}

/// What becomes of an item that is taken out of a one-to-many relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDeselect {
    /// Its reference becomes null.
    Nullify,
    /// It is deleted.
    Delete,
}

/// A stored column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// What it holds.
    pub column_type: ColumnType,
    /// Null is allowed.
    pub nullable: bool,
    /// Value when none is sent.
    pub default: Option<DefaultValue>,
    /// Set by the server.
    pub auto: Option<Auto>,
    /// No two rows may have the same value.
    pub unique: bool,
    /// Has an index of its own.
    pub indexed: bool,
    /// Rules for values.
    pub checks: Checks,
    /// Dates are kept as milliseconds since 1970, by whoever made the table (on SQLite only).
    pub keeps_milliseconds: bool,
}

impl Column {
    /// A nullable column without rules.
    pub fn new(column_type: ColumnType) -> Self {
        Column {
            column_type,
            nullable: true,
            default: None,
            auto: None,
            unique: false,
            indexed: false,
            checks: Checks::default(),
            keeps_milliseconds: false,
        }
    }
}

/// Type of a column. How each database stores it is `sql`'s business.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ColumnType {
    /// Text of at most `length` characters.
    String {
        /// Most characters.
        length: u32,
    },
    /// Text of any length.
    Text,
    /// 32-bit whole number.
    Integer,
    /// 64-bit whole number; a JSON string in answers.
    BigInteger,
    /// 64-bit floating point.
    Float,
    /// Exact number; a JSON string with full scale in answers.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
    },
    /// True or false.
    Boolean,
    /// `2026-03-02`.
    Date,
    /// `10:00:00`.
    Time,
    /// `2026-03-02T10:00:00`, no zone.
    DateTime,
    /// `2026-03-02T10:00:00.000Z`.
    Timestamp,
    /// Any JSON.
    Json,
    /// A list of texts, stored joined by commas.
    Csv,
    /// UUID, lower case with hyphens.
    Uuid,
    /// Argon2id hash of what is sent.
    Hash,
    /// Bytes, base64 in JSON.
    Binary,
    /// A type of the database that is none of ours; read as text, never written.
    Unknown {
        /// Its name in the database.
        sql_type: String,
    },
}

impl ColumnType {
    /// Kept as text in Rust and in JSON, and compared as text.
    pub fn is_text(&self) -> bool {
        matches!(self, ColumnType::String { .. } | ColumnType::Text | ColumnType::Csv | ColumnType::Hash)
    }

    /// A number of any kind.
    pub fn is_number(&self) -> bool {
        matches!(
            self,
            ColumnType::Integer | ColumnType::BigInteger | ColumnType::Float | ColumnType::Decimal { .. }
        )
    }

    /// Has a date in it.
    pub fn has_date(&self) -> bool {
        matches!(self, ColumnType::Date | ColumnType::DateTime | ColumnType::Timestamp)
    }

    /// Has a time of day in it.
    pub fn has_time(&self) -> bool {
        matches!(self, ColumnType::Time | ColumnType::DateTime | ColumnType::Timestamp)
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ColumnType::String { length } => write!(f, "string({length})"),
            ColumnType::Text => f.write_str("text"),
            ColumnType::Integer => f.write_str("integer"),
            ColumnType::BigInteger => f.write_str("bigint"),
            ColumnType::Float => f.write_str("float"),
            ColumnType::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            ColumnType::Boolean => f.write_str("boolean"),
            ColumnType::Date => f.write_str("date"),
            ColumnType::Time => f.write_str("time"),
            ColumnType::DateTime => f.write_str("datetime"),
            ColumnType::Timestamp => f.write_str("timestamp"),
            ColumnType::Json => f.write_str("json"),
            ColumnType::Csv => f.write_str("csv"),
            ColumnType::Uuid => f.write_str("uuid"),
            ColumnType::Hash => f.write_str("hash"),
            ColumnType::Binary => f.write_str("binary"),
            ColumnType::Unknown { sql_type } => write!(f, "unknown({sql_type})"),
        }
    }
}

/// Value of a column when none is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum DefaultValue {
    /// This value, already in the form that the field takes over the API.
    Value(Value),
    /// The moment of writing, in the form of the column.
    Now,
    /// A new UUID.
    Uuid,
    /// An expression of the database that is none of ours.
    Expression(String),
}

/// Who fills a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auto {
    /// A new UUID v7 when none is sent.
    Uuid,
    /// The database counts.
    Increment,
    /// The next of a series without gaps; see [`Collection::numbers`].
    Number,
    /// The moment of creation.
    CreatedAt,
    /// The moment of the last change.
    UpdatedAt,
    /// The user who created the item.
    CreatedBy,
    /// The user who changed it last.
    UpdatedBy,
    /// The role of the user who created the item.
    CreatedByRole,
    /// The role of the user who changed it last.
    UpdatedByRole,
}

/// Rules that a value must satisfy, besides its type.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Checks {
    /// A request without a value is refused (the column is not null, too).
    pub required: bool,
    /// The only values allowed.
    pub choices: Vec<Choice>,
    /// Smallest number, earliest date or time.
    pub min: Option<Value>,
    /// Largest number, latest date or time.
    pub max: Option<Value>,
    /// Fewest characters, or entries of a list.
    pub min_length: Option<u64>,
    /// Most characters, or entries of a list.
    pub max_length: Option<u64>,
    /// Regular expression that a text must match somewhere.
    pub pattern: Option<String>,
}

/// One allowed value.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The value.
    pub value: Value,
    /// How it is shown, when that differs.
    pub label: Option<String>,
}
