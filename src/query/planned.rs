//! How it is answered: a tree with one node per relation.

use std::sync::Arc;

use super::resolved::{Document, Figure, KeySelection, Limit, RowRules, Sort};
use crate::filter::{Filter, Target};
use crate::schema::{CollectionId, ColumnType, FieldId};

/// How a query is answered.
#[derive(Debug, Clone)]
pub enum Plan {
    /// With items.
    Items(ReadPlan),
    /// With figures about items.
    Aggregate(AggregatePlan),
}

/// A tree of levels, one statement each: how a [`ResolvedRead`](super::ResolvedRead) is fetched and written.
#[derive(Debug, Clone)]
pub struct ReadPlan {
    /// What the document is.
    pub document: Document,
    /// Every level, parents before children; the root is the first.
    pub nodes: Vec<ReadNode>,
    /// Rows that the caller may see.
    pub rules: RowRules,
    /// A count of rows without the query's filter.
    pub total_count: Option<CountPlan>,
    /// A count of rows with it.
    pub filter_count: Option<CountPlan>,
}

/// How rows are counted.
#[derive(Debug, Clone)]
pub struct CountPlan {
    /// Where.
    pub collection: CollectionId,
    /// Which rows.
    pub filter: Option<Filter>,
    /// Keys asked for.
    pub selection: KeySelection,
}

/// One level: one statement, and how its rows are written.
#[derive(Debug, Clone)]
pub struct ReadNode {
    /// Where the rows are.
    pub collection: CollectionId,
    /// Columns to select, in order.
    pub columns: Vec<ReadColumn>,
    /// Members of each item, in order; empty with `bare` set.
    pub output: Vec<OutputMember>,
    /// Items are written as the bare value of this column.
    pub bare: Option<usize>,
    /// How rows are matched to the parent level; `None` at the root.
    pub link: Option<Link>,
    /// Which rows.
    pub filter: Option<Filter>,
    /// Keys asked for, at the root. Only `sql` reads them: a plan that is used again may be asked for others.
    pub selection: KeySelection,
    /// Order; empty where no order can be seen.
    pub sort: Vec<Sort>,
    /// Most rows. The statement applies it, except below the root when it is not explicit: then whoever reads the rows
    /// keeps so many per parent.
    pub limit: Option<Limit>,
    /// Rows to skip (per parent below the root); the statement does.
    pub offset: u64,
    /// At the root: the cursor of the next page is answered.
    pub cursor: Option<CursorPlan>,
    /// For singletons without a row: the answer, as JSON text.
    pub defaults: Option<String>,
}

/// How the cursor of a page is made.
#[derive(Debug, Clone, PartialEq)]
pub struct CursorPlan {
    /// Columns by which the rows are sorted, by position.
    pub columns: Vec<usize>,
    /// What was asked, in short.
    pub hash: [u8; 8],
    /// Rows of a full page; a shorter one is the last.
    pub page: u64,
}

/// A column that a level selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadColumn {
    /// What is selected.
    pub target: Target,
    /// Null in rows in which this field may not be seen. What only holds levels together has no gate.
    pub gate: Option<FieldId>,
    /// How it is written.
    pub format: ValueFormat,
}

/// How a value is written to JSON.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ValueFormat {
    /// By the type of the column.
    Typed(ColumnType),
    /// `**********` unless null.
    Concealed,
    /// A whole number as a JSON string (counts, functions).
    NumberText,
    /// A sum of exact numbers with this scale, as a JSON string.
    SumText {
        /// Digits behind the point.
        scale: u8,
    },
    /// As a JSON string, though by its type it is a number.
    Quoted(ColumnType),
    /// The number that this format would write as a text.
    Bare(Box<ValueFormat>),
}

/// One member of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputMember {
    /// The key as JSON with its colon, `"title":`, rendered once.
    pub rendered_key: Arc<[u8]>,
    /// What follows it.
    pub value: MemberValue,
}

/// What follows the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberValue {
    /// This JSON text.
    Constant(Arc<[u8]>),
    /// An object of its own, about the same row.
    Object(Vec<OutputMember>),
    /// The value of this column.
    Column(usize),
    /// The item of this child node whose key is in this column, or null.
    ToOne {
        /// Position in `columns`.
        column: usize,
        /// Position in `nodes`.
        node: usize,
    },
    /// The item of one of these child nodes, by the name in `collection_column`; the bare key where none is read.
    ToAny {
        /// Position in `columns` of the key.
        column: usize,
        /// Position in `columns` of the name of the collection.
        collection_column: usize,
        /// Collections that may be named, with their nodes.
        nodes: Vec<AnyTarget>,
        /// The bare key stands for items that no node reads; else null does.
        shows_keys: bool,
    },
    /// The items of this child node that refer to the key in this column.
    ToMany {
        /// Position in `columns`.
        column: usize,
        /// Position in `nodes`.
        node: usize,
    },
}

/// One collection that a many-to-any may point at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnyTarget {
    /// Name of the collection.
    pub collection: Arc<str>,
    /// Node that reads it; `None`: the bare key is written.
    pub node: Option<usize>,
    /// Type of its primary key.
    pub key_type: ColumnType,
}

/// How the rows of a level belong to those of the level above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Position in `nodes` of the level above.
    pub parent: usize,
    /// Column of this level that is compared with the keys from above; also in `columns` at `column`.
    pub field: FieldId,
    /// Position in `columns` of that column.
    pub column: usize,
    /// Only rows whose many-to-any field names this collection.
    pub any: Option<AnyLink>,
    /// At most one row per key (many-to-one); otherwise a list.
    pub single: bool,
}

/// The second half of a link through a many-to-any field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnyLink {
    /// Field that names the collection.
    pub collection_field: FieldId,
    /// The name it must hold.
    pub collection: Arc<str>,
}

/// How figures about the rows of a collection are computed and written: one statement.
#[derive(Debug, Clone)]
pub struct AggregatePlan {
    /// Where the rows are.
    pub collection: CollectionId,
    /// Rows that the caller may see.
    pub rules: RowRules,
    /// Which rows.
    pub filter: Option<Filter>,
    /// What groups are made of; these are also the first columns.
    pub group_by: Vec<Target>,
    /// Columns to select, in order.
    pub columns: Vec<AggregateColumn>,
    /// Members of each object of the answer, in order.
    pub output: Vec<AggregateMember>,
    /// Order of the groups.
    pub sort: Vec<AggregateSort>,
    /// Most groups; `None` where there is but one.
    pub limit: Option<u64>,
    /// Groups to skip.
    pub offset: u64,
    /// A count of rows without the query's filter.
    pub total_count: Option<CountPlan>,
    /// A count of rows with it.
    pub filter_count: Option<CountPlan>,
}

/// A column of an [`AggregatePlan`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AggregateColumn {
    /// What is selected.
    pub value: AggregateExpr,
    /// How it is written; for the parts of an average, how the part would be.
    pub format: ValueFormat,
}

/// What a column of an [`AggregatePlan`] holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AggregateExpr {
    /// One term of the group.
    Group(Target),
    /// A figure. Columns hold means of floating point numbers only; those of exact numbers are computed while writing.
    Figure(Figure),
}

/// One member of an object of figures.
#[derive(Debug, Clone)]
pub struct AggregateMember {
    /// The key as JSON with its colon, rendered once.
    pub rendered_key: Arc<[u8]>,
    /// What follows it.
    pub value: AggregateValue,
}

/// What follows the key.
#[derive(Debug, Clone)]
pub enum AggregateValue {
    /// The value of this column.
    Column(usize),
    /// The mean of exact numbers, computed from two columns while writing, as a JSON string; null where the count is 0.
    Average {
        /// Position of the sum in `columns`.
        sum: usize,
        /// Position of the count in `columns`.
        count: usize,
        /// Digits behind the point of the numbers.
        scale: u8,
        /// As a number instead.
        is_bare: bool,
    },
    /// An object, one member per field.
    Object(Vec<AggregateMember>),
    /// This JSON text.
    Constant(Arc<[u8]>),
}

/// Order of groups by one term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AggregateSort {
    /// What is compared; means of exact numbers, too.
    pub value: AggregateExpr,
    /// From large to small.
    pub descending: bool,
}
