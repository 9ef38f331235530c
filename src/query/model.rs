//! The types that a read passes through.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::cursor::Continuation;
use crate::filter::{Filter, Operand, Syntax, Target};
use crate::schema::{CollectionId, ColumnType, FieldId};

/// What is asked, as typed. Every door builds this same value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    /// Paths of `fields`, split at the dots; empty means all (`*`).
    pub fields: Vec<FieldPath>,
    /// `filter`.
    pub filter: Option<Syntax>,
    /// `search`.
    pub search: Option<String>,
    /// `sort`: paths, each with its direction.
    pub sort: Vec<SortPath>,
    /// `limit`; `-1` for all.
    pub limit: Option<i64>,
    /// `offset`.
    pub offset: Option<u64>,
    /// `page`, from 1.
    pub page: Option<u64>,
    /// `cursor`, as a page before answered it.
    pub cursor: Option<String>,
    /// `deep`, by relation (or alias of one) at this level.
    pub deep: IndexMap<String, DeepQuery>,
    /// `alias`: new name to field name.
    pub alias: IndexMap<String, String>,
    /// `aggregate`: function name to field names (`*` for whole rows).
    pub aggregate: IndexMap<String, Vec<String>>,
    /// `groupBy`: fields or functions of fields.
    pub group_by: Vec<String>,
    /// `meta`: what to count beside the list.
    pub meta: Meta,
    /// `version`: the key of the version in which the item is read; `None` for the item itself.
    pub version: Option<String>,
    /// `versionRaw`: relations as the version has them, not as they would be.
    pub version_raw: bool,
    /// `export`: the format of a file to answer with, as named. Whoever answers looks at it; the rows are the same.
    pub export: Option<String>,
    /// What an answer holds where it is told member by member; `fields`, `alias` and `aggregate` then say nothing.
    pub members: Option<Members>,
}

/// A path of names, the last of which may be `*`.
pub type FieldPath = Vec<String>;

/// One entry of `sort`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortPath {
    /// Names from the collection outwards.
    pub path: Vec<String>,
    /// From large to small.
    pub descending: bool,
}

/// What `deep` says of one relation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeepQuery {
    /// `_filter`.
    pub filter: Option<Syntax>,
    /// `_search`.
    pub search: Option<String>,
    /// `_sort`.
    pub sort: Vec<SortPath>,
    /// `_limit`, per parent; `-1` for all.
    pub limit: Option<i64>,
    /// `_offset`, per parent.
    pub offset: Option<u64>,
    /// `_page`, per parent, from 1.
    pub page: Option<u64>,
    /// `_alias`.
    pub alias: IndexMap<String, String>,
    /// Relations one level further.
    pub deep: IndexMap<String, DeepQuery>,
    /// What the items hold where it is told member by member.
    pub members: Option<Vec<Member>>,
}

/// What an answer holds, told member by member. Its values are then [`Form::Typed`].
#[derive(Debug, Clone, PartialEq)]
pub enum Members {
    /// Of each item.
    Items(Vec<Member>),
    /// Of each group of figures.
    Figures(Vec<FigureMember>),
}

/// One member of the items of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Name in the answer.
    pub key: Arc<str>,
    /// What stands there.
    pub wanted: Wanted,
}

/// What is wanted of one member of an item.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// This JSON text, whatever the item holds.
    Constant(Arc<str>),
    /// A field without anything behind it, or a function of a field.
    Value(String),
    /// An object of its own, about the same item.
    Object(Vec<Member>),
    /// What a relation leads to.
    Related {
        /// The field.
        field: String,
        /// Which items, and what of them.
        query: Box<DeepQuery>,
    },
    /// What a many-to-any leads to; null in collections that are not named.
    RelatedAny {
        /// The field.
        field: String,
        /// By collection.
        queries: Vec<(String, DeepQuery)>,
    },
}

/// One member of a group of figures.
#[derive(Debug, Clone, PartialEq)]
pub struct FigureMember {
    /// Name in the answer.
    pub key: Arc<str>,
    /// What stands there.
    pub wanted: WantedFigure,
}

/// What is wanted of one member of a group of figures.
#[derive(Debug, Clone, PartialEq)]
pub enum WantedFigure {
    /// This JSON text.
    Constant(Arc<str>),
    /// A figure: a function, and a field or `*`.
    Figure(String, String),
    /// What the group has in common, by the names of `groupBy`; null without groups.
    Group,
    /// An object of its own.
    Object(Vec<FigureMember>),
}

/// How values are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// As over REST: exact numbers, counts and sums are texts.
    #[default]
    Plain,
    /// As their types in a GraphQL schema have it: what is a number there is one, and primary keys are texts.
    Typed,
}

/// What to count beside the list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Meta {
    /// Rows without the filter.
    pub total_count: bool,
    /// Rows with the filter.
    pub filter_count: bool,
    /// Where the next page begins.
    pub next_cursor: bool,
}

/// Which items a read is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Selection {
    /// Those that the query finds.
    Query,
    /// The one with this key; nothing else of the query chooses rows.
    Key(String),
    /// Those with these keys, which the query may narrow further.
    Keys(Vec<String>),
    /// The only item of a singleton; where there is none yet, its defaults.
    Singleton,
}

/// Limits that a query must respect, from the configuration.
#[derive(Debug, Clone)]
pub struct QueryLimits {
    /// Rows when the query names no limit, and rows per parent when `deep` names none.
    pub default_limit: i64,
    /// Most rows a query may ask for; `-1` for no limit.
    pub max_limit: i64,
    /// Deepest nesting of fields, filter, sort and deep.
    pub max_depth: usize,
    /// Most conditions in a filter.
    pub max_conditions: usize,
    /// Most entries of `fields`, `sort`, `groupBy`, `alias`.
    pub max_entries: usize,
    /// Most relations one read may follow, each of which costs a statement.
    pub max_levels: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        QueryLimits {
            default_limit: 100,
            max_limit: -1,
            max_depth: 10,
            max_conditions: 500,
            max_entries: 200,
            max_levels: 500,
        }
    }
}

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
    pub path: Vec<FieldId>,
    /// What is compared there.
    pub target: Target,
    /// From large to small. Nulls are larger than everything.
    pub descending: bool,
    /// The primary key at the end, which is compared in every row, also where the caller may not see it: of rows with equal
    /// (or hidden) values some order has to be the same each time.
    pub breaks_ties: bool,
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

/// How a query is answered.
#[derive(Debug, Clone)]
pub enum Plan {
    /// With items.
    Items(ReadPlan),
    /// With figures about items.
    Aggregate(AggregatePlan),
}

/// A tree of levels, one statement each: how a [`ResolvedRead`] is fetched and written.
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

/// The form of the answer's `data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// An array of items.
    List,
    /// One item; none is `Forbidden`.
    One,
    /// One item; where there is none, [`ReadNode::defaults`].
    Singleton,
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
