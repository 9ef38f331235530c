//! The statements that reads are made of, as a tree.
//!
//! A name in it is an [`Ident`] from the schema, a value a [`Param`]; there is no place for text that came from a caller.

use std::sync::Arc;

use super::Param;
use crate::filter::{Comparison, Function};
use crate::query::AggregateFunction;
use crate::schema::ColumnType;

/// The name of a table or column; quoted when printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ident(pub Arc<str>);

/// A table within one statement, printed as `t0`, `t1`, ...
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Alias(pub u32);

/// One `SELECT`.
#[derive(Debug, Clone, PartialEq)]
pub struct Select {
    /// What is selected.
    pub columns: Vec<Expr>,
    /// Where from.
    pub from: From,
    /// To-one relations followed.
    pub joins: Vec<Join>,
    /// What must hold, all of it.
    pub conditions: Vec<Expr>,
    /// What groups are made of.
    pub group_by: Vec<Expr>,
    /// The order.
    pub order: Vec<Order>,
    /// Most rows.
    pub limit: Option<Expr>,
    /// Rows to skip.
    pub offset: Option<Expr>,
}

impl Select {
    /// A select from one table with nothing asked of it.
    pub fn from_table(table: Ident, alias: Alias) -> Self {
        Select::from(From::Table { table, alias })
    }

    /// A select from the rows of another, which are called `w`.
    pub fn from_select(rows: Select) -> Self {
        Select::from(From::Select(Box::new(rows)))
    }

    fn from(from: From) -> Self {
        Select {
            columns: Vec::new(),
            from,
            joins: Vec::new(),
            conditions: Vec::new(),
            group_by: Vec::new(),
            order: Vec::new(),
            limit: None,
            offset: None,
        }
    }
}

/// What rows are taken from.
#[derive(Debug, Clone, PartialEq)]
pub enum From {
    /// A table.
    Table {
        /// Its name.
        table: Ident,
        /// Its name here.
        alias: Alias,
    },
    /// The rows of another select, whose columns are called `c0`, `c1`, ...
    Select(Box<Select>),
}

/// A `LEFT JOIN` that finds at most one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Join {
    /// The table.
    pub table: Ident,
    /// Its name here.
    pub alias: Alias,
    /// Joins that only the condition of this one needs.
    pub inner: Vec<Join>,
    /// What must hold, all of it.
    pub on: Vec<Expr>,
}

/// One term of an order. Nulls are larger than everything.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// What is compared.
    pub value: Expr,
    /// From large to small.
    pub descending: bool,
    /// The value may be null.
    pub nullable: bool,
}

/// A value or a condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A column of a table.
    Column(Alias, Ident),
    /// A column that keeps dates as milliseconds since 1970, in the form of its type.
    Moment(Box<Expr>, ColumnType),
    /// A column of the select in `FROM`, by position.
    Output(usize),
    /// A value that the caller chose, as a value of this type; `None` for the numbers of the statement itself.
    Param(Param, Option<ColumnType>),
    /// The number 1.
    One,
    /// True.
    True,
    /// False.
    False,
    /// All of these; at least one.
    And(Vec<Expr>),
    /// Any of these; at least one.
    Or(Vec<Expr>),
    /// The opposite.
    Not(Box<Expr>),
    /// Two values compared.
    Compare(Box<Expr>, Comparison, Box<Expr>),
    /// A value is, or is not, among those of a list of values of this type.
    In {
        /// The value.
        value: Box<Expr>,
        /// The list.
        list: Param,
        /// Type of its values.
        column_type: ColumnType,
        /// Must not be among them.
        negated: bool,
    },
    /// A value lies between two others, or does not.
    Between {
        /// The value.
        value: Box<Expr>,
        /// Smallest.
        low: Box<Expr>,
        /// Largest.
        high: Box<Expr>,
        /// Must not lie there.
        negated: bool,
    },
    /// A text matches a pattern.
    Like {
        /// The text.
        value: Box<Expr>,
        /// The pattern, in lower case where case does not count.
        pattern: Param,
        /// Upper and lower case are the same.
        ignore_case: bool,
        /// Must not match.
        negated: bool,
    },
    /// A value is null, or is not.
    Null(Box<Expr>, bool),
    /// A text is empty.
    IsEmptyText(Box<Expr>),
    /// There is such a row, or there is none.
    Exists(Box<Select>, bool),
    /// The one value of a select.
    Scalar(Box<Select>),
    /// A function of a date or time of this type.
    Function(Function, Box<Expr>, ColumnType),
    /// How many entries a list of this type (JSON or CSV) has.
    Length(Box<Expr>, ColumnType),
    /// A value as text.
    AsText(Box<Expr>),
    /// A many-to-any field (text) names a key of this type.
    KeyIs {
        /// The key.
        key: Box<Expr>,
        /// The text of the field.
        text: Box<Expr>,
        /// Type of the key.
        column_type: ColumnType,
        /// Which of the two is looked up, by its index, for each value of the other.
        seek: Seek,
    },
    /// A value is, or (`true`) is not, among the values of a select, none of which is null.
    Among(Box<Expr>, Box<Select>, bool),
    /// The value where the condition is true, null elsewhere.
    If(Box<Expr>, Box<Expr>),
    /// A figure; of whole rows without a value.
    Aggregate(AggregateFunction, Option<Box<Expr>>, Figures),
    /// The number of a row among those with the same value, in this order, from 1.
    RowNumber(Box<Expr>, Vec<Order>),
}

/// The side of a comparison that an index finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seek {
    /// The key.
    Key,
    /// The text that names it.
    Text,
}

/// What a figure is computed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figures {
    /// Exact numbers, to be shown: sums are texts.
    ExactShown,
    /// Exact numbers, to sort by.
    ExactSorted,
    /// Everything else.
    Plain,
}
