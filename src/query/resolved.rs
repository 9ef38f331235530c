//! What is asked, in terms of the model and of what the caller may do.

use std::collections::HashMap;
use std::sync::Arc;

use super::cursor::Continuation;
use super::model::{Form, Meta};
use crate::filter::{Filter, Operand, Target};
use crate::schema::{CollectionId, FieldId};

/// A query that fits the schema and the caller's rights.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// What is asked.
    pub query: ResolvedQuery,
    /// Rows that the caller may see.
    pub rules: RowRules,
    /// The query (not the rights) names who asks, or something names the moment, so that it serves this one request only.
    pub is_personal: bool,
    /// How values are written.
    pub form: Form,
}

/// What the caller may see of the collections that a query touches, where that is not everything.
///
/// These rules travel beside the filters, not inside them: whoever opens a table (a level, a join, a sub-select, a count) or
/// looks at a field must ask here, which only two functions of `sql` do.
#[derive(Debug, Clone, Default)]
pub struct RowRules {
    /// Rows, for every collection that is not open as a whole.
    pub rows: HashMap<CollectionId, Filter>,
    /// Rows in which a field may be seen, where that is not in all of them; in the others it is null.
    pub fields: HashMap<(CollectionId, FieldId), Filter>,
}

impl RowRules {
    /// The field where it is null in some rows because the caller may not see it there.
    pub fn gate(&self, collection: CollectionId, field: FieldId) -> Option<FieldId> {
        self.fields.contains_key(&(collection, field)).then_some(field)
    }
}

/// Items or figures.
#[derive(Debug, Clone)]
pub enum ResolvedQuery {
    /// Items.
    Items(ResolvedRead),
    /// Figures about items.
    Aggregate(ResolvedAggregate),
}

/// A read of items, one level of it.
#[derive(Debug, Clone)]
pub struct ResolvedRead {
    /// Where the items are.
    pub collection: CollectionId,
    /// What the answer is; lists below the root.
    pub document: Document,
    /// Keys asked for.
    pub selection: KeySelection,
    /// What each item of the answer holds, in order; empty for items that are bare keys.
    pub output: Vec<ResolvedOutput>,
    /// What the query asks of the rows; the row rules stand in [`Resolved::rules`].
    pub filter: Option<Filter>,
    /// Order; always ends with the primary key, so that it is total.
    pub sort: Vec<Sort>,
    /// Most rows (per parent below the root); `None` for all.
    pub limit: Option<Limit>,
    /// Rows to skip (per parent below the root).
    pub offset: u64,
    /// What to count.
    pub meta: Meta,
    /// At the root: pages that follow one another.
    pub continuation: Option<Continuation>,
}

/// How many rows, and who said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Most rows.
    pub rows: u64,
    /// The query named it; below the root it is then cut by the database, otherwise while reading.
    pub explicit: bool,
}

/// One member of an answer.
#[derive(Debug, Clone)]
pub struct ResolvedOutput {
    /// Name in the answer.
    pub key: Arc<str>,
    /// What stands there.
    pub value: ResolvedValue,
}

/// What a member of an answer is.
#[derive(Debug, Clone)]
pub enum ResolvedValue {
    /// A value of the row.
    Target(Target),
    /// This JSON text.
    Constant(Arc<str>),
    /// An object of its own, about the same row.
    Object(Vec<ResolvedOutput>),
    /// A field shown as `**********` unless null.
    Concealed(FieldId),
    /// The item that a many-to-one points at, or null.
    ToOne {
        /// The many-to-one field.
        field: FieldId,
        /// What is read there.
        read: Box<ResolvedRead>,
    },
    /// The item that a many-to-any points at: read where the query names its collection; elsewhere the bare key, or null
    /// where values are typed.
    ToAny {
        /// The many-to-any field.
        field: FieldId,
        /// What is read per collection.
        reads: Vec<ResolvedRead>,
    },
    /// The items of a one-to-many, as objects.
    ToMany {
        /// The one-to-many field.
        field: FieldId,
        /// What is read there.
        read: Box<ResolvedRead>,
    },
    /// The items of a one-to-many, as bare keys; `read.output` is empty.
    ToManyKeys {
        /// The one-to-many field.
        field: FieldId,
        /// What is read there.
        read: Box<ResolvedRead>,
    },
}

/// One term of an order.
#[derive(Debug, Clone, PartialEq)]
pub struct Sort {
    /// Relations to follow from the collection; a one-to-many sorts by its smallest (largest, if descending) value.
    pub path: Vec<SortHop>,
    /// What is compared there.
    pub target: Target,
    /// From large to small. Nulls are larger than everything.
    pub descending: bool,
    /// The primary key at the end, which is compared in every row, also where the caller may not see it: of rows with equal
    /// (or hidden) values some order has to be the same each time.
    pub breaks_ties: bool,
}

/// A relation on the way to what is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortHop {
    /// The relation.
    pub field: FieldId,
    /// Of a many-to-any: the collection. Items of others have no value.
    pub within: Option<CollectionId>,
}

/// Figures about the rows of a collection.
#[derive(Debug, Clone)]
pub struct ResolvedAggregate {
    /// Where the rows are.
    pub collection: CollectionId,
    /// What each group is made of, with the name in the answer.
    pub group_by: Vec<(Arc<str>, Target)>,
    /// What is computed, in order.
    pub figures: Vec<Figure>,
    /// What each group of the answer holds, where the query tells it member by member; else one member per function.
    pub output: Option<Vec<ResolvedFigure>>,
    /// What the query asks of the rows.
    pub filter: Option<Filter>,
    /// Order of the groups: by position in `group_by` or in `figures`.
    pub sort: Vec<GroupSort>,
    /// Most groups; `None` for all.
    pub limit: Option<u64>,
    /// Groups to skip.
    pub offset: u64,
    /// What to count.
    pub meta: Meta,
}

/// One member of a group of figures.
#[derive(Debug, Clone)]
pub struct ResolvedFigure {
    /// Name in the answer.
    pub key: Arc<str>,
    /// What stands there.
    pub value: ResolvedFigureValue,
}

/// What a member of a group of figures is.
#[derive(Debug, Clone)]
pub enum ResolvedFigureValue {
    /// This JSON text.
    Constant(Arc<str>),
    /// A figure.
    Figure(Figure),
    /// What the group has in common.
    Group,
    /// An object of its own.
    Object(Vec<ResolvedFigure>),
}

/// One computed figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// Function.
    pub function: AggregateFunction,
    /// What it is computed of; `None` for whole rows.
    pub field: Option<FieldId>,
}

/// Order of groups by one term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupSort {
    /// Which term.
    pub by: GroupTerm,
    /// From large to small.
    pub descending: bool,
}

/// A term that groups can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupTerm {
    /// Position in `group_by`.
    Group(usize),
    /// Position in `figures`.
    Figure(usize),
}

/// Functions of `aggregate`. Counts, sums and averages are JSON strings in answers (floats are numbers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AggregateFunction {
    /// Rows with a value, or all rows.
    Count,
    /// Different values.
    CountDistinct,
    /// All rows.
    CountAll,
    /// Sum.
    Sum,
    /// Sum of different values.
    SumDistinct,
    /// Mean.
    Avg,
    /// Mean of different values.
    AvgDistinct,
    /// Smallest value.
    Min,
    /// Largest value.
    Max,
}

/// The form of the answer's `data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// An array of items.
    List,
    /// One item; none is `Forbidden`.
    One,
    /// One item; where there is none, [`ReadNode::defaults`](super::ReadNode::defaults).
    Singleton,
}

/// Rows of a level by their primary keys.
#[derive(Debug, Clone, PartialEq)]
pub enum KeySelection {
    /// Whatever the filter finds.
    Any,
    /// The row with this key.
    One(Operand),
    /// The rows with these keys.
    Many(Vec<Operand>),
}
