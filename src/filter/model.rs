//! The types of the filter language.

use std::sync::Arc;

use crate::schema::{CollectionId, ColumnType, FieldId};

/// A filter as written: names and values unchecked, shape checked, depth and size within the limits.
#[derive(Debug, Clone, PartialEq)]
pub enum Syntax {
    /// All of these; empty is true.
    And(Vec<Syntax>),
    /// Any of these; empty is true, as in the public API.
    Or(Vec<Syntax>),
    /// A field, a function of a field (`year(day)`), or a field with an m2a scope (`item:texts`), and what is asked of it.
    Field {
        /// As written.
        name: String,
        /// Conditions on it, and conditions on what it points at, all of which must hold.
        conditions: Vec<Syntax>,
    },
    /// `_some` and `_none` of a one-to-many.
    Quantified {
        /// `_none`.
        negated: bool,
        /// What must hold (all of it) for some item, or for none.
        conditions: Vec<Syntax>,
    },
    /// An operator with its operand.
    Operator {
        /// As written, with the underscore.
        name: String,
        /// As written.
        operand: serde_json::Value,
    },
}

/// A filter that fits its collection.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// All of these; empty is true.
    And(Vec<Filter>),
    /// Any of these; empty is false.
    Or(Vec<Filter>),
    /// The opposite; unknown stays unknown.
    Not(Box<Filter>),
    /// A condition on a value of the row itself.
    Compare {
        /// What is looked at.
        target: Target,
        /// What must be true of it.
        condition: Condition,
    },
    /// A condition on the item that a many-to-one points at; where it points at nothing, every value of that item is null.
    ToOne {
        /// The many-to-one field.
        field: FieldId,
        /// What must hold there.
        filter: Box<Filter>,
    },
    /// A condition on the item that a many-to-any points at, true only if it lies in that collection.
    ToAny {
        /// The many-to-any field.
        field: FieldId,
        /// The collection named.
        collection: CollectionId,
        /// What must hold there.
        filter: Box<Filter>,
    },
    /// A condition on the item that two plain columns name, true only if it lies in that collection. Only rules ask so.
    About {
        /// The column that holds the name of the collection.
        collection_field: FieldId,
        /// The column that holds the key of the item, as text.
        field: FieldId,
        /// The collection named.
        collection: CollectionId,
        /// What must hold there.
        filter: Box<Filter>,
    },
    /// At least one item of a one-to-many satisfies this.
    Some {
        /// The one-to-many field.
        field: FieldId,
        /// What must hold there.
        filter: Box<Filter>,
    },
    /// A comparison with a value of the user who asks, or with several: `$CURRENT_USER.email`, `$CURRENT_USER.teams.id`.
    CurrentUser {
        /// What is looked at.
        target: Target,
        /// How it must compare.
        test: UserTest,
        /// The user's key; null for visitors.
        user: Operand,
        /// Where users are.
        users: CollectionId,
        /// Relations to follow from the user; one-to-many fields in rules only.
        path: Vec<FieldId>,
        /// The field found there.
        field: FieldId,
    },
    /// No item of a one-to-many satisfies this.
    None {
        /// The one-to-many field.
        field: FieldId,
        /// What must not hold there.
        filter: Box<Filter>,
    },
}

impl Filter {
    /// Whether it looks at nothing but a row and what that points at, however many rows there are.
    pub fn stays_near(&self) -> bool {
        match self {
            Filter::And(parts) | Filter::Or(parts) => parts.iter().all(Filter::stays_near),
            Filter::Not(inner)
            | Filter::ToOne { filter: inner, .. }
            | Filter::ToAny { filter: inner, .. }
            | Filter::About { filter: inner, .. } => inner.stays_near(),
            Filter::Compare { target, .. } => !matches!(target, Target::Count(_)),
            Filter::CurrentUser { .. } => true,
            Filter::Some { .. } | Filter::None { .. } => false,
        }
    }

    /// The comparisons with something of the user who asks that stand anywhere in it.
    pub fn of_user<'f>(&'f self, found: &mut Vec<&'f Filter>) {
        match self {
            Filter::And(parts) | Filter::Or(parts) => parts.iter().for_each(|part| part.of_user(found)),
            Filter::Not(inner)
            | Filter::ToOne { filter: inner, .. }
            | Filter::ToAny { filter: inner, .. }
            | Filter::About { filter: inner, .. }
            | Filter::Some { filter: inner, .. }
            | Filter::None { filter: inner, .. } => inner.of_user(found),
            Filter::CurrentUser { .. } => found.push(self),
            Filter::Compare { .. } => {}
        }
    }
}

/// What a condition looks at, or what is sorted or grouped by, within one collection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// The column of a field.
    Field(FieldId),
    /// A function of the column of a field.
    Function(Function, FieldId),
    /// How many items a one-to-many has, or how many entries a JSON or CSV list.
    Count(FieldId),
}

/// Functions of dates and times; each gives a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    /// Year.
    Year,
    /// Month, 1 to 12.
    Month,
    /// Week of the year by ISO 8601, 1 to 53.
    Week,
    /// Day of the month, 1 to 31.
    Day,
    /// Day of the week, 0 (Sunday) to 6.
    Weekday,
    /// Hour, 0 to 23.
    Hour,
    /// Minute, 0 to 59.
    Minute,
    /// Second, 0 to 59.
    Second,
}

/// What must be true of a value. Except for the null tests, null satisfies none of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// `_null` (true) and `_nnull` (false).
    Null(bool),
    /// `_eq`.
    Equal(Operand),
    /// `_neq`.
    NotEqual(Operand),
    /// `_lt`.
    Less(Operand),
    /// `_lte`.
    LessOrEqual(Operand),
    /// `_gt`.
    Greater(Operand),
    /// `_gte`.
    GreaterOrEqual(Operand),
    /// `_in`.
    In(Vec<Operand>),
    /// `_nin`.
    NotIn(Vec<Operand>),
    /// `_between`, both ends included.
    Between(Operand, Operand),
    /// `_nbetween`.
    NotBetween(Operand, Operand),
    /// `_contains`, `_starts_with`, `_ends_with` and their `i` and `n` forms. `%` and `_` in the text are wild cards, as in
    /// the public API.
    Like {
        /// Text to look for.
        text: Operand,
        /// Where.
        place: Place,
        /// Upper and lower case are the same.
        ignore_case: bool,
        /// Must not be found.
        negated: bool,
    },
    /// `_empty` (true): null or the empty text; `_nempty` (false): neither.
    Empty(bool),
    /// `_regex`; only validation rules may use it.
    Matches(String),
}

/// How two values must compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`.
    Equal,
    /// `<>`.
    NotEqual,
    /// `<`.
    Less,
    /// `<=`.
    LessOrEqual,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterOrEqual,
}

/// How a value must compare with what is found at the user who asks. Where nothing is found, it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserTest {
    /// With the one value there.
    Compare(Comparison),
    /// It is among the values there, or (`negated`) there are values and it is not among them.
    Among {
        /// Must not be among them.
        negated: bool,
    },
}

/// Where a text is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Anywhere.
    Anywhere,
    /// At the start.
    Start,
    /// At the end.
    End,
}

/// A value to compare with, checked against the type of what it is compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Operand {
    /// The value.
    pub value: Scalar,
    /// Type of the column (or of the function's result) that it is compared with.
    pub column_type: ColumnType,
}

/// A value in the form in which columns of its type take it.
///
/// Texts of dates, times, UUIDs and decimals are canonical: `2026-03-02`, `10:00:00`, `2026-03-02T10:00:00`,
/// `2026-03-02T10:00:00.000Z`, lower-case UUIDs, decimals without exponent.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// Null.
    Null,
    /// True or false.
    Bool(bool),
    /// Whole numbers.
    Int(i64),
    /// Floating point; never NaN or infinite.
    Float(f64),
    /// Everything else that has a text form.
    Text(Arc<str>),
    /// Bytes.
    Bytes(Arc<[u8]>),
}
