//! Where the three databases differ in the text of reads.
//!
//! Each function here asks the file of the dialect; a dialect that has not answered does not compile.

mod mysql;
mod postgres;
pub(super) mod sqlite;

use super::ast::Expr;
use super::print::Printer;
use super::{Dialect, ListKind, Param};
use crate::filter::{Function, Scalar};
use crate::query::AggregateFunction;
use crate::schema::ColumnType;

use super::ast::{Figures, Seek};

/// How a value of a list of this type is sent.
pub fn list_kind(dialect: Dialect, column_type: &ColumnType) -> ListKind {
    match column_type {
        ColumnType::Integer | ColumnType::BigInteger | ColumnType::Boolean => ListKind::Int,
        ColumnType::Float => ListKind::Float,
        // SQLite has no decimals; it stores them as whole numbers.
        ColumnType::Decimal { .. } if dialect == Dialect::Sqlite => ListKind::Int,
        _ => ListKind::Text,
    }
}

/// A value in the form that the database compares with columns of this type.
pub fn stored(dialect: Dialect, value: &Scalar, column_type: &ColumnType) -> Scalar {
    match dialect {
        Dialect::Sqlite => sqlite::stored(value, column_type),
        Dialect::Postgres => value.clone(),
        Dialect::Mysql => mysql::stored(value, column_type),
    }
}

impl Printer {
    /// `?1`, `$1` or `?`, with the cast that makes it a value of its type.
    pub(super) fn placeholder(&mut self, param: &Param, column_type: Option<&ColumnType>) {
        match self.dialect {
            Dialect::Sqlite => sqlite::placeholder(self, param),
            Dialect::Postgres => postgres::placeholder(self, param, column_type),
            Dialect::Mysql => mysql::placeholder(self, param, column_type),
        }
    }

    /// `value IN (list)`.
    pub(super) fn membership(&mut self, value: &Expr, list: &Param, column_type: &ColumnType, negated: bool) {
        match self.dialect {
            Dialect::Sqlite => sqlite::membership(self, value, list, negated),
            Dialect::Postgres => postgres::membership(self, value, list, column_type, negated),
            Dialect::Mysql => mysql::membership(self, value, list, column_type, negated),
        }
    }

    /// A text in lower case.
    pub(super) fn lower(&mut self, value: &Expr) {
        match self.dialect {
            Dialect::Sqlite => self.call("tablature_lower(", value, ")"),
            Dialect::Postgres => self.call("lower(", value, " COLLATE \"und-x-icu\")"),
            Dialect::Mysql => self.call("lower(", value, ")"),
        }
    }

    /// What follows a pattern.
    pub(super) fn escape(&mut self) {
        self.text.push_str(match self.dialect {
            Dialect::Sqlite | Dialect::Postgres => r" ESCAPE '\'",
            // The backslash it is already, and in a text here it would escape the quote.
            Dialect::Mysql => "",
        });
    }

    /// A date that is kept as milliseconds since 1970, which only SQLite has.
    pub(super) fn moment(&mut self, column: &Expr, column_type: &ColumnType) {
        match self.dialect {
            Dialect::Sqlite => sqlite::moment(self, column, column_type),
            Dialect::Postgres | Dialect::Mysql => self.expr(column),
        }
    }

    /// A part of a date or time.
    pub(super) fn function(&mut self, function: Function, value: &Expr, column_type: &ColumnType) {
        match self.dialect {
            Dialect::Sqlite => sqlite::function(self, function, value),
            Dialect::Postgres => postgres::function(self, function, value, column_type),
            Dialect::Mysql => mysql::function(self, function, value),
        }
    }

    /// How many entries a JSON list has; what is no list has none.
    pub(super) fn json_length(&mut self, value: &Expr) {
        match self.dialect {
            Dialect::Sqlite => sqlite::json_length(self, value),
            Dialect::Postgres => postgres::json_length(self, value),
            Dialect::Mysql => mysql::json_length(self, value),
        }
    }

    /// A value as text.
    pub(super) fn as_text(&mut self, value: &Expr) {
        match self.dialect {
            Dialect::Sqlite | Dialect::Postgres => self.call("CAST(", value, " AS text)"),
            Dialect::Mysql => self.call("CAST(", value, " AS char CHARACTER SET utf8mb4)"),
        }
    }

    /// The text of a many-to-any field names this key. The side that is not looked up is converted.
    pub(super) fn key_is(&mut self, key: &Expr, text: &Expr, column_type: &ColumnType, seek: Seek) {
        if column_type.is_text() {
            self.call("", key, " = ");
            return self.expr(text);
        }
        match seek {
            Seek::Text => {
                self.call("", text, " = ");
                self.as_text(key);
                if self.dialect == Dialect::Mysql {
                    // What a cast makes has the collation of the connection, which would come before that of the column.
                    self.text.push_str(" COLLATE utf8mb4_nopad_bin");
                }
            }
            Seek::Key => {
                self.call("", key, " = ");
                match self.dialect {
                    Dialect::Sqlite => sqlite::as_key(self, text, column_type),
                    Dialect::Postgres => postgres::as_key(self, text, column_type),
                    Dialect::Mysql => mysql::as_key(self, text, column_type),
                }
            }
        }
    }

    /// A figure.
    pub(super) fn aggregate(&mut self, function: AggregateFunction, value: Option<&Expr>, figures: Figures) {
        let is_sum = matches!(function, AggregateFunction::Sum | AggregateFunction::SumDistinct);
        let is_total = is_sum && figures == Figures::ExactSorted && self.dialect == Dialect::Sqlite;
        let (before, after) = match (is_sum, figures, self.dialect) {
            (true, Figures::ExactShown, Dialect::Sqlite) => ("tablature_sum(", ")"),
            // A sum of whole numbers may be too large for SQLite; to sort by, floating point will do.
            _ if is_total => ("TOTAL(", ") END"),
            (true, Figures::ExactShown, Dialect::Postgres) => ("CAST(SUM(", ") AS text)"),
            (true, Figures::ExactShown, Dialect::Mysql) => ("CAST(SUM(", ") AS char)"),
            _ => (aggregate_name(function), ")"),
        };
        if let Some(value) = value.filter(|_| is_total) {
            // That total is 0 where there is nothing, which the sum is not.
            self.call("CASE WHEN COUNT(", value, ") > 0 THEN ");
        }
        self.text.push_str(before);
        let distinct = matches!(
            function,
            AggregateFunction::CountDistinct
                | AggregateFunction::SumDistinct
                | AggregateFunction::AvgDistinct
        );
        if distinct {
            self.text.push_str("DISTINCT ");
        }
        match value {
            Some(value) => self.expr(value),
            None => self.text.push('*'),
        }
        self.text.push_str(after);
    }

    /// The direction of a term of an order, and where its nulls stand.
    pub(super) fn order_term(&mut self, order: &super::ast::Order) {
        match self.dialect {
            Dialect::Sqlite => {
                self.expr(&order.value);
                self.text.push_str(match (order.descending, order.nullable) {
                    (false, false) => "",
                    (true, false) => " DESC",
                    (false, true) => " NULLS LAST",
                    (true, true) => " DESC NULLS FIRST",
                });
            }
            Dialect::Postgres => {
                self.expr(&order.value);
                self.text.push_str(if order.descending { " DESC" } else { "" });
            }
            Dialect::Mysql => {
                if order.nullable {
                    self.call("", &order.value, " IS NULL");
                    self.text.push_str(if order.descending { " DESC, " } else { ", " });
                }
                self.expr(&order.value);
                self.text.push_str(if order.descending { " DESC" } else { "" });
            }
        }
    }
}

fn aggregate_name(function: AggregateFunction) -> &'static str {
    match function {
        AggregateFunction::Count | AggregateFunction::CountDistinct | AggregateFunction::CountAll => "COUNT(",
        AggregateFunction::Sum | AggregateFunction::SumDistinct => "SUM(",
        AggregateFunction::Avg | AggregateFunction::AvgDistinct => "AVG(",
        AggregateFunction::Min => "MIN(",
        AggregateFunction::Max => "MAX(",
    }
}
