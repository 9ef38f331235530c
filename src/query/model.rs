//! What is asked, as typed: the value that every door builds.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::filter::Syntax;

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
