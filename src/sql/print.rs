//! From the tree to text and parameters.
//!
//! What differs between the databases is asked of `dialect`.

use std::fmt::Write as _;

use super::ast::{Alias, Expr, From, Ident, Join, Order, Select};
use super::ident::push_quoted;
use super::{Dialect, Param};
use crate::filter::Comparison;
use crate::schema::ColumnType;

/// Terms that are joined by one word without further parentheses.
const MOST_IN_A_ROW: usize = 100;

/// A text in the making.
pub struct Printer {
    pub(super) dialect: Dialect,
    pub(super) text: String,
    pub(super) params: Vec<Param>,
    /// See [`Printer::tail`].
    passes_over_rows: bool,
}

/// Prints a select; parameters stand in the order of their placeholders.
pub fn print(dialect: Dialect, select: &Select) -> (String, Vec<Param>) {
    let mut printer =
        Printer { dialect, text: String::with_capacity(512), params: Vec::new(), passes_over_rows: false };
    printer.select(select);
    (printer.text, printer.params)
}

impl Printer {
    /// Takes a parameter and gives its number, from 1.
    pub(super) fn add(&mut self, param: Param) -> usize {
        self.params.push(param);
        self.params.len()
    }

    /// A value with something before and behind it.
    pub(super) fn call(&mut self, before: &str, value: &Expr, after: &str) {
        self.text.push_str(before);
        self.expr(value);
        self.text.push_str(after);
    }

    fn select(&mut self, select: &Select) {
        self.text.push_str("SELECT ");
        self.list(&select.columns, |printer, column| printer.expr(column));
        self.text.push_str(" FROM ");
        match &select.from {
            From::Table { table, alias } => self.table(table, *alias),
            From::Select(inner) => {
                self.text.push('(');
                // The columns of a nested select need names to be called by.
                self.nested(inner);
                self.text.push_str(") AS w");
            }
        }
        self.tail(select);
    }

    fn nested(&mut self, select: &Select) {
        self.text.push_str("SELECT ");
        for (position, column) in select.columns.iter().enumerate() {
            if position > 0 {
                self.text.push_str(", ");
            }
            self.expr(column);
            let _ = write!(self.text, " AS c{position}");
        }
        self.text.push_str(" FROM ");
        if let From::Table { table, alias } = &select.from {
            self.table(table, *alias);
        }
        self.tail(select);
    }

    /// Everything behind `FROM table`.
    fn tail(&mut self, select: &Select) {
        for join in &select.joins {
            self.join(join);
        }
        if !select.conditions.is_empty() {
            self.text.push_str(" WHERE ");
            // SQLite 3.51 makes joins of `EXISTS`, and with an offset goes on with the next row of the join rather than with the
            // next of the table: one row comes twice, as the one that is passed over and again. A sign in front prevents that.
            let passes_over_rows = self.dialect == Dialect::Sqlite && select.offset.is_some();
            let outer = std::mem::replace(&mut self.passes_over_rows, passes_over_rows);
            self.all(&select.conditions);
            self.passes_over_rows = outer;
        }
        if !select.group_by.is_empty() {
            self.text.push_str(" GROUP BY ");
            self.list(&select.group_by, |printer, value| printer.expr(value));
        }
        self.order(&select.order);
        for (word, value) in [(" LIMIT ", &select.limit), (" OFFSET ", &select.offset)] {
            if let Some(value) = value {
                self.call(word, value, "");
            }
        }
    }

    fn order(&mut self, order: &[Order]) {
        if !order.is_empty() {
            self.text.push_str(" ORDER BY ");
            self.list(order, |printer, term| printer.order_term(term));
        }
    }

    fn join(&mut self, join: &Join) {
        self.text.push_str(" LEFT JOIN ");
        if join.inner.is_empty() {
            self.table(&join.table, join.alias);
        } else {
            self.text.push('(');
            self.table(&join.table, join.alias);
            for inner in &join.inner {
                self.join(inner);
            }
            self.text.push(')');
        }
        self.text.push_str(" ON ");
        self.all(&join.on);
    }

    fn table(&mut self, table: &Ident, alias: Alias) {
        push_quoted(&mut self.text, self.dialect, &table.0);
        let _ = write!(self.text, " AS t{}", alias.0);
    }

    fn list<T>(&mut self, items: &[T], mut print: impl FnMut(&mut Self, &T)) {
        for (position, item) in items.iter().enumerate() {
            if position > 0 {
                self.text.push_str(", ");
            }
            print(self, item);
        }
    }

    /// Conditions without a bracket around them.
    fn all(&mut self, conditions: &[Expr]) {
        for (position, condition) in conditions.iter().enumerate() {
            if position > 0 {
                self.text.push_str(" AND ");
            }
            self.expr(condition);
        }
    }

    fn logic(&mut self, parts: &[Expr], word: &str) {
        // A row of terms is as deep as it is long where the text is read, and SQLite goes no deeper than 1,000.
        let together = parts.len().div_ceil(MOST_IN_A_ROW);
        self.text.push('(');
        for (position, parts) in parts.chunks(together.max(1)).enumerate() {
            if position > 0 {
                self.text.push_str(word);
            }
            match parts {
                [part] => self.expr(part),
                parts => self.logic(parts, word),
            }
        }
        self.text.push(')');
    }

    pub(super) fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Column(alias, name) => {
                let _ = write!(self.text, "t{}.", alias.0);
                push_quoted(&mut self.text, self.dialect, &name.0);
            }
            Expr::Moment(column, column_type) => self.moment(column, column_type),
            Expr::Output(position) => {
                let _ = write!(self.text, "w.c{position}");
            }
            Expr::Param(param, column_type) => self.placeholder(param, column_type.as_ref()),
            Expr::One => self.text.push('1'),
            // Understood by all three, and folded away by their planners.
            Expr::True => self.text.push_str("1 = 1"),
            Expr::False => self.text.push_str("1 = 0"),
            Expr::And(parts) => self.logic(parts, " AND "),
            Expr::Or(parts) => self.logic(parts, " OR "),
            Expr::Not(inner) => self.call("NOT (", inner, ")"),
            Expr::Compare(left, comparison, right) => {
                self.expr(left);
                self.text.push_str(match comparison {
                    Comparison::Equal => " = ",
                    Comparison::NotEqual => " <> ",
                    Comparison::Less => " < ",
                    Comparison::LessOrEqual => " <= ",
                    Comparison::Greater => " > ",
                    Comparison::GreaterOrEqual => " >= ",
                });
                self.expr(right);
            }
            Expr::In { value, list, column_type, negated } => {
                self.membership(value, list, column_type, *negated);
            }
            Expr::Between { value, low, high, negated } => {
                self.expr(value);
                self.text.push_str(if *negated { " NOT BETWEEN " } else { " BETWEEN " });
                self.expr(low);
                self.text.push_str(" AND ");
                self.expr(high);
            }
            Expr::Like { value, pattern, ignore_case, negated } => {
                if *ignore_case {
                    self.lower(value);
                } else {
                    self.expr(value);
                }
                self.text.push_str(if *negated { " NOT LIKE " } else { " LIKE " });
                self.placeholder(pattern, None);
                self.escape();
            }
            Expr::Null(value, is_null) => {
                self.call("", value, if *is_null { " IS NULL" } else { " IS NOT NULL" });
            }
            Expr::IsEmptyText(value) => self.call("", value, " = ''"),
            Expr::Exists(select, exists) => {
                if self.passes_over_rows {
                    self.text.push('+');
                }
                self.text.push_str(if *exists { "EXISTS (" } else { "NOT EXISTS (" });
                self.select(select);
                self.text.push(')');
            }
            Expr::Scalar(select) => {
                self.text.push('(');
                self.select(select);
                self.text.push(')');
            }
            Expr::Among(value, select, negated) => {
                self.expr(value);
                self.text.push_str(if *negated { " NOT IN (" } else { " IN (" });
                self.select(select);
                self.text.push(')');
            }
            Expr::If(condition, value) => {
                self.call("CASE WHEN ", condition, " THEN ");
                self.call("", value, " END");
            }
            Expr::Function(function, value, column_type) => self.function(*function, value, column_type),
            Expr::Length(value, ColumnType::Json) => self.json_length(value),
            Expr::Length(value, _) => {
                // Entries are joined by commas; the empty text is the empty list.
                self.call("CASE WHEN ", value, " = '' THEN 0 ELSE ");
                self.call("LENGTH(", value, ") - ");
                self.call("LENGTH(REPLACE(", value, ", ',', '')) + 1 END");
            }
            Expr::AsText(value) => self.as_text(value),
            Expr::KeyIs { key, text, column_type, seek } => self.key_is(key, text, column_type, *seek),
            Expr::Aggregate(function, value, figures) => {
                self.aggregate(*function, value.as_deref(), *figures);
            }
            Expr::RowNumber(partition, order) => {
                self.call("ROW_NUMBER() OVER (PARTITION BY ", partition, "");
                self.order(order);
                self.text.push(')');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_reads_very_many_terms() {
        let connection = rusqlite::Connection::open_in_memory().expect("a database");
        let check = |expr: Expr, expected: bool| {
            let mut printer = Printer {
                dialect: Dialect::Sqlite,
                text: "SELECT ".to_owned(),
                params: Vec::new(),
                passes_over_rows: false,
            };
            printer.expr(&expr);
            let found: bool = connection.query_row(&printer.text, [], |row| row.get(0)).expect("an answer");
            assert_eq!(found, expected);
        };
        for count in [1, 100, 101, 5000, 20_001] {
            let mut terms = vec![Expr::False; count];
            check(Expr::Or(terms.clone()), false);
            terms[count - 1] = Expr::True;
            check(Expr::Or(terms), true);
            let mut terms = vec![Expr::True; count];
            check(Expr::And(terms.clone()), true);
            terms[count / 2] = Expr::False;
            check(Expr::And(terms), false);
        }
    }
}
