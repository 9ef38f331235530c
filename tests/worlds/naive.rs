//! What a query must be answered with, found by looking at every row.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use crate::filter::{Filter, Judge, Target, Test, is_like, key_text};
use crate::model::{Cell, Kind, Model, Type, USERS, about, decimal};
use crate::policy::Viewer;
use crate::query::{Figure, Figures, Keys, Level, Query, Sort, Term, What};

/// Rows of an answer when the query names no limit.
const DEFAULT_LIMIT: usize = 100;

/// The answer, or `None` for a refusal.
pub fn answer(viewer: &Viewer<'_>, query: &Query) -> Option<Value> {
    let naive = Naive { viewer, model: viewer.model, judge: viewer.judge() };
    if naive.is_refused(query) {
        return None;
    }
    let Query { table, level, .. } = query;
    let visible = viewer.rows(*table);
    let key = |row: &usize| key_text(&naive.model.tables[*table].rows[*row][0]);
    let asked: Vec<usize> = match &query.keys {
        Keys::Any => visible.clone(),
        Keys::One(one) => visible.iter().copied().filter(|row| key(row) == *one).collect(),
        Keys::Many(keys) => visible.iter().copied().filter(|row| keys.contains(&key(row))).collect(),
    };
    let found = naive.found(*table, &asked, level);
    let mut members = Map::new();
    let data = match (&query.figures, &query.keys) {
        (Some(figures), _) => naive.figures(*table, &found, level, figures),
        (None, Keys::One(_)) => naive.item(*table, *found.first()?, level),
        (None, keys) => {
            let rows = naive.sorted(*table, found.clone(), &level.sort);
            // As many as keys, where nothing else is said.
            let most = if matches!(keys, Keys::Many(_)) { usize::MAX } else { DEFAULT_LIMIT };
            window(rows, level, most).into_iter().map(|row| naive.item(*table, row, level)).collect()
        }
    };
    members.insert("data".to_owned(), data);
    let mut meta = Map::new();
    if query.total_count {
        meta.insert("total_count".to_owned(), json!(visible.len()));
    }
    if query.filter_count {
        meta.insert("filter_count".to_owned(), json!(found.len()));
    }
    if !meta.is_empty() {
        members.insert("meta".to_owned(), Value::Object(meta));
    }
    Some(Value::Object(members))
}

struct Naive<'a> {
    viewer: &'a Viewer<'a>,
    model: &'a Model,
    judge: Judge<'a>,
}

/// The part of the rows that a level asks for.
fn window(rows: Vec<usize>, level: &Level, default_limit: usize) -> Vec<usize> {
    let limit = match level.limit {
        None => default_limit,
        Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    let offset = match level.page {
        Some(_) if limit == usize::MAX => 0,
        Some(page) => (page as usize).saturating_sub(1) * limit,
        None => level.offset.unwrap_or(0) as usize,
    };
    rows.into_iter().skip(offset).take(limit).collect()
}

/// What becomes of a member.
enum Shown {
    /// It is no part of the answer.
    Not,
    As(String, Value),
}

impl Naive<'_> {
    fn to_many(&self, table: usize, field: usize) -> Option<usize> {
        match self.model.field(table, field).kind {
            Kind::ToMany { table: to, .. } => Some(to),
            _ => None,
        }
    }

    /// A list of bare keys shows the keys of its rows.
    fn shows_keys(&self, to: usize) -> bool {
        self.viewer.is_open(to) && self.viewer.may_read(to, 0)
    }

    fn is_refused(&self, query: &Query) -> bool {
        let Query { table, level, figures, .. } = query;
        let refuses = |field: &usize| !self.viewer.may_read(*table, *field);
        if !self.viewer.is_open(*table) {
            return true;
        }
        match figures {
            Some(figures) => {
                let fields = figures.figures.iter().flat_map(|(_, of)| of.iter().flatten());
                fields.copied().chain(figures.groups.iter().map(Target::field)).any(|field| refuses(&field))
                    || level.filter.as_ref().is_some_and(|filter| self.refuses_filter(*table, filter))
            }
            None => self.refuses_level(*table, level, true),
        }
    }

    /// Something that the level names is hidden. Order means something for lists only.
    fn refuses_level(&self, table: usize, level: &Level, is_list: bool) -> bool {
        let members = level.members.iter().any(|member| match &member.what {
            What::Value(target) => self.refuses_target(table, target),
            What::Below(field, below) => {
                let (Kind::ToOne(to) | Kind::ToMany { table: to, .. }) = self.model.field(table, *field).kind
                else {
                    panic!("no relation")
                };
                let is_list = self.to_many(table, *field).is_some();
                // What lies behind a closed door is left out, whatever was asked of it.
                !self.viewer.may_read(table, *field)
                    || (self.viewer.is_open(to) && self.refuses_level(to, below, is_list))
            }
            What::Any(field, levels) => {
                !self.viewer.may_read(table, *field)
                    || levels
                        .iter()
                        .any(|(to, below)| self.viewer.is_open(*to) && self.refuses_level(*to, below, false))
            }
        });
        members
            || level.filter.as_ref().is_some_and(|filter| self.refuses_filter(table, filter))
            || (is_list && level.sort.iter().any(|sort| self.refuses_sort(table, sort)))
            // Of an item of which nothing is left to show, the key is shown.
            || (self.is_bare(table, level) && !self.viewer.may_read(table, 0))
    }

    fn refuses_target(&self, table: usize, target: &Target) -> bool {
        let is_closed = match (target, self.to_many(table, target.field())) {
            (Target::Count(_), Some(to)) => !self.viewer.is_open(to),
            _ => false,
        };
        is_closed || !self.viewer.may_read(table, target.field())
    }

    fn refuses_sort(&self, table: usize, sort: &Sort) -> bool {
        let mut here = table;
        for hop in &sort.path {
            let (Kind::ToOne(to) | Kind::ToMany { table: to, .. }) = self.model.field(here, *hop).kind else {
                panic!("no relation")
            };
            if !self.viewer.may_read(here, *hop) || !self.viewer.is_open(to) {
                return true;
            }
            here = to;
        }
        self.refuses_target(here, &sort.target)
    }

    fn refuses_filter(&self, table: usize, filter: &Filter) -> bool {
        let hides = |field: usize| !self.viewer.may_read(table, field);
        match filter {
            Filter::And(parts) | Filter::Or(parts) => {
                parts.iter().any(|part| self.refuses_filter(table, part))
            }
            Filter::Value { target, test } => self.refuses_target(table, target) || self.refuses_test(test),
            Filter::ToOne { field, is } => {
                let Kind::ToOne(to) = self.model.field(table, *field).kind else { panic!("no many-to-one") };
                // A closed collection is noticed by the first of its fields that is named.
                hides(*field) || self.refuses_filter(to, is)
            }
            Filter::ToMany { field, is, .. } => {
                let to = self.to_many(table, *field).expect("a list");
                hides(*field) || !self.viewer.is_open(to) || self.refuses_filter(to, is)
            }
            Filter::List { field, .. } => {
                hides(*field) || !self.viewer.is_open(self.to_many(table, *field).expect("a list"))
            }
            Filter::ToAny { field, table: to, is } => hides(*field) || self.refuses_filter(*to, is),
        }
    }

    fn refuses_test(&self, test: &Test) -> bool {
        let Test::User { path, .. } = test else { return false };
        let mut table = USERS;
        path.iter().any(|field| {
            let is_hidden = !self.viewer.may_read(table, *field);
            if let Kind::ToOne(to) | Kind::ToMany { table: to, .. } = self.model.field(table, *field).kind {
                table = to;
            }
            is_hidden
        })
    }

    /// The rows among these that the filter and the search find.
    fn found(&self, table: usize, rows: &[usize], level: &Level) -> Vec<usize> {
        let is_found = |row: &usize| {
            let fits = |filter: &Filter| self.judge.judge(table, Some(*row), filter) == Some(true);
            level.filter.as_ref().is_none_or(fits)
                && level.search.as_ref().is_none_or(|text| self.contains(table, *row, text))
        };
        rows.iter().copied().filter(is_found).collect()
    }

    fn contains(&self, table: usize, row: usize, text: &str) -> bool {
        self.model.tables[table].fields.iter().enumerate().any(|(field, found)| {
            if found.conceal || !found.searchable || !self.viewer.may_read(table, field) {
                return false;
            }
            let (Some(holds), cell) = (found.holds, self.judge.cell(table, Some(row), field)) else {
                return false;
            };
            match (holds, cell) {
                (_, Cell::Null) => false,
                (Type::String | Type::Text | Type::Csv, cell) => {
                    is_like(&cell.text().to_lowercase(), &format!("%{}%", text.to_lowercase()))
                }
                (Type::Integer | Type::BigInteger, Cell::Int(number)) => text.parse() == Ok(number),
                (Type::Decimal, Cell::Int(number)) => {
                    decimal(number) == text || decimal(number) == format!("{text}.00")
                }
                (Type::Uuid, cell) => cell.text() == text,
                _ => false,
            }
        })
    }

    fn sorted(&self, table: usize, mut rows: Vec<usize>, sort: &[Sort]) -> Vec<usize> {
        rows.sort_by(|one, other| {
            for term in sort {
                let of =
                    |row: &usize| self.term(table, Some(*row), &term.path, &term.target, term.descending);
                let order = of(one).order_with_nulls(&of(other));
                let order = if term.descending { order.reverse() } else { order };
                if order.is_ne() {
                    return order;
                }
            }
            let key = |row: &usize| &self.model.tables[table].rows[*row][0];
            key(one).order(key(other))
        });
        rows
    }

    /// What a row is sorted by: behind a list the smallest, or largest, of its values.
    fn term(
        &self,
        table: usize,
        row: Option<usize>,
        path: &[usize],
        target: &Target,
        descending: bool,
    ) -> Cell {
        let Some((hop, rest)) = path.split_first() else { return self.judge.value(table, row, target) };
        if let Kind::ToOne(to) = self.model.field(table, *hop).kind {
            return self.term(to, self.judge.follow(table, row, *hop), rest, target, descending);
        }
        let (to, items) = self.judge.items(table, row, *hop);
        let values = items.into_iter().map(|item| self.term(to, Some(item), rest, target, descending));
        let values = values.filter(|value| !value.is_null());
        let extreme = match descending {
            true => values.max_by(Cell::order),
            false => values.min_by(Cell::order),
        };
        extreme.unwrap_or(Cell::Null)
    }

    /// Nothing is left of the members that the level asks for.
    fn is_bare(&self, table: usize, level: &Level) -> bool {
        let shows_star = level.star && !self.starred(table, level).is_empty();
        let mut wishes = level.members.iter().map(|member| &member.what);
        !shows_star && wishes.all(|what| self.is_left_out(table, what))
    }

    fn is_left_out(&self, table: usize, what: &What) -> bool {
        match what {
            What::Value(Target::Field(field)) => {
                self.to_many(table, *field).is_some_and(|to| !self.shows_keys(to))
            }
            What::Below(field, _) => match self.model.field(table, *field).kind {
                Kind::ToOne(to) | Kind::ToMany { table: to, .. } => !self.viewer.is_open(to),
                _ => false,
            },
            What::Value(_) | What::Any(..) => false,
        }
    }

    /// The fields that `*` adds to the members named.
    fn starred(&self, table: usize, level: &Level) -> Vec<usize> {
        let is_named = |field: usize| {
            level.members.iter().any(|member| {
                let is_field = !matches!(member.what, What::Value(Target::Function(..) | Target::Count(_)));
                member.alias.is_none() && is_field && member.what.field() == field
            })
        };
        (0..self.model.tables[table].fields.len())
            .filter(|field| {
                let is_shown = self.to_many(table, *field).is_none_or(|to| self.shows_keys(to));
                self.viewer.may_read(table, *field) && is_shown && !is_named(*field)
            })
            .collect()
    }

    fn item(&self, table: usize, row: usize, level: &Level) -> Value {
        if self.is_bare(table, level) {
            return self.shown(table, row, &Target::Field(0));
        }
        let mut members = Map::new();
        if level.star {
            for field in self.starred(table, level) {
                let what = What::Value(Target::Field(field));
                if let Shown::As(key, value) = self.member(table, row, &what) {
                    members.insert(key, value);
                }
            }
        }
        for member in &level.members {
            if let Shown::As(key, value) = self.member(table, row, &member.what) {
                members.insert(member.alias.clone().unwrap_or(key), value);
            }
        }
        Value::Object(members)
    }

    fn shown(&self, table: usize, row: usize, target: &Target) -> Value {
        let value = self.judge.value(table, Some(row), target);
        match target {
            Target::Field(field) => {
                let found = self.model.field(table, *field);
                match found.conceal && !value.is_null() {
                    true => json!("**********"),
                    false => value.shown(found.holds.expect("a column")),
                }
            }
            // Functions and counts are texts.
            _ => value.shown(Type::BigInteger),
        }
    }

    fn member(&self, table: usize, row: usize, what: &What) -> Shown {
        if self.is_left_out(table, what) {
            return Shown::Not;
        }
        let name = self.model.field(table, what.field()).name.clone();
        let value = match what {
            What::Value(Target::Field(field)) if self.to_many(table, *field).is_some() => {
                let (to, items) = self.judge.items(table, Some(row), *field);
                let items = self.sorted(to, items, &[]);
                items.into_iter().map(|item| self.shown(to, item, &Target::Field(0))).collect()
            }
            What::Value(Target::Field(field))
                if matches!(self.model.field(table, *field).kind, Kind::ToAny { .. }) =>
            {
                self.shown(table, row, &Target::Field(*field))
            }
            What::Value(target) => {
                return Shown::As(target.key(self.model, table), self.shown(table, row, target));
            }
            What::Below(field, level) => match self.model.field(table, *field).kind {
                Kind::ToOne(to) => {
                    let found: Vec<usize> = self.judge.follow(table, Some(row), *field).into_iter().collect();
                    let found = self.found(to, &found, level);
                    found.first().map_or(Value::Null, |item| self.item(to, *item, level))
                }
                _ => {
                    let (to, items) = self.judge.items(table, Some(row), *field);
                    let items = self.sorted(to, self.found(to, &items, level), &level.sort);
                    let items = window(items, level, DEFAULT_LIMIT);
                    items.into_iter().map(|item| self.item(to, item, level)).collect()
                }
            },
            What::Any(field, levels) => self.any_item(table, row, *field, levels),
        };
        Shown::As(name, value)
    }

    /// Rows of tables that the query does not read are shown as their keys.
    fn any_item(&self, table: usize, row: usize, field: usize, levels: &[(usize, Level)]) -> Value {
        let Kind::ToAny { tables, named_by } = &self.model.field(table, field).kind else { panic!("no any") };
        let Cell::Text(key) = self.judge.cell(table, Some(row), field) else { return Value::Null };
        let name = &self.model.tables[table].rows[row][*named_by];
        let named = tables.iter().find(|to| *name == Cell::Text(self.model.tables[**to].name.clone()));
        let Some(to) = named else { return json!(key) };
        match levels.iter().find(|(table, _)| table == to).filter(|(to, _)| self.viewer.is_open(*to)) {
            Some((to, level)) => {
                let found: Vec<usize> =
                    self.judge.follow_any(table, Some(row), field, *to).into_iter().collect();
                let found = self.found(*to, &found, level);
                found.first().map_or(Value::Null, |item| self.item(*to, *item, level))
            }
            None => match (self.model.tables[*to].key_type(), key.parse::<i64>()) {
                (Type::Integer, Ok(number)) => json!(number),
                _ => json!(key),
            },
        }
    }

    fn figures(&self, table: usize, rows: &[usize], level: &Level, figures: &Figures) -> Value {
        let mut groups: Vec<(Vec<Cell>, Vec<usize>)> = Vec::new();
        if figures.groups.is_empty() {
            groups.push((Vec::new(), rows.to_vec()));
        } else {
            for row in rows {
                let cells: Vec<Cell> =
                    figures.groups.iter().map(|group| self.judge.value(table, Some(*row), group)).collect();
                match groups.iter_mut().find(|(known, _)| *known == cells) {
                    Some((_, rows)) => rows.push(*row),
                    None => groups.push((cells, vec![*row])),
                }
            }
        }
        groups.sort_by(|one, other| self.group_order(table, figures, one, other));
        let numbers: Vec<usize> = (0..groups.len()).collect();
        let shown = if figures.groups.is_empty() { numbers } else { window(numbers, level, DEFAULT_LIMIT) };
        shown.into_iter().map(|at| self.group(table, figures, &groups[at])).collect()
    }

    fn group_order(
        &self,
        table: usize,
        figures: &Figures,
        one: &(Vec<Cell>, Vec<usize>),
        other: &(Vec<Cell>, Vec<usize>),
    ) -> Ordering {
        let value = |group: &(Vec<Cell>, Vec<usize>), term: &Term| match term {
            Term::Group(at) => group.0[*at].clone(),
            Term::Figure(at, of) => {
                let (figure, fields) = &figures.figures[*at];
                self.figure(table, &group.1, *figure, fields[*of])
            }
        };
        let rest = (0..figures.groups.len()).map(|at| (Term::Group(at), false));
        for (term, descending) in figures.sort.iter().copied().chain(rest) {
            let order = value(one, &term).order_with_nulls(&value(other, &term));
            if order.is_ne() {
                return if descending { order.reverse() } else { order };
            }
        }
        Ordering::Equal
    }

    fn group(&self, table: usize, figures: &Figures, (cells, rows): &(Vec<Cell>, Vec<usize>)) -> Value {
        let mut members = Map::new();
        for (group, cell) in figures.groups.iter().zip(cells) {
            let holds = match group {
                Target::Field(_) => group.holds(self.model, table),
                _ => Type::BigInteger,
            };
            members.insert(group.key(self.model, table), cell.shown(holds));
        }
        for (figure, fields) in &figures.figures {
            let shown = |field: &Option<usize>| {
                let cell = self.figure(table, rows, *figure, *field);
                let holds = field.and_then(|field| self.model.field(table, field).holds);
                match (figure, cell, holds) {
                    (_, Cell::Null, _) => Value::Null,
                    (Figure::Count | Figure::CountAll | Figure::CountDistinct, Cell::Int(count), _) => {
                        json!(count.to_string())
                    }
                    (Figure::Sum | Figure::SumDistinct, Cell::Int(sum), Some(Type::Decimal)) => {
                        json!(decimal(sum))
                    }
                    (Figure::Sum | Figure::SumDistinct, Cell::Int(sum), _) => json!(sum.to_string()),
                    (Figure::Avg | Figure::AvgDistinct, Cell::Float(mean), _) => about(mean),
                    (_, cell, holds) => cell.shown(holds.expect("a column")),
                }
            };
            let value = match fields.as_slice() {
                [None] => shown(&None),
                _ => {
                    let name = |field: &Option<usize>| match field {
                        Some(field) => self.model.field(table, *field).name.clone(),
                        None => "*".to_owned(),
                    };
                    Value::Object(fields.iter().map(|field| (name(field), shown(field))).collect())
                }
            };
            members.insert(figure.name().to_owned(), value);
        }
        Value::Object(members)
    }

    fn figure(&self, table: usize, rows: &[usize], figure: Figure, field: Option<usize>) -> Cell {
        let Some(field) = field else { return Cell::Int(rows.len() as i64) };
        let values = rows.iter().map(|row| self.judge.cell(table, Some(*row), field));
        let mut values: Vec<Cell> = values.filter(|value| !value.is_null()).collect();
        if matches!(figure, Figure::CountDistinct | Figure::SumDistinct | Figure::AvgDistinct) {
            values.sort_by(Cell::order);
            values.dedup();
        }
        let hundredths = self.model.field(table, field).holds == Some(Type::Decimal);
        let number = |cell: &Cell| match cell {
            Cell::Int(number) if hundredths => *number as f64 / 100.0,
            Cell::Int(number) => *number as f64,
            Cell::Float(number) => *number,
            other => panic!("{other:?} is no number"),
        };
        match figure {
            Figure::Count | Figure::CountAll | Figure::CountDistinct => Cell::Int(values.len() as i64),
            _ if values.is_empty() => Cell::Null,
            Figure::Min => values.into_iter().min_by(Cell::order).unwrap_or(Cell::Null),
            Figure::Max => values.into_iter().max_by(Cell::order).unwrap_or(Cell::Null),
            Figure::Avg | Figure::AvgDistinct => {
                Cell::Float(values.iter().map(number).sum::<f64>() / values.len() as f64)
            }
            Figure::Sum | Figure::SumDistinct => match values[0] {
                Cell::Float(_) => Cell::Float(values.iter().map(number).sum()),
                _ => Cell::Int(
                    values.iter().map(|cell| if let Cell::Int(number) = cell { *number } else { 0 }).sum(),
                ),
            },
        }
    }
}

/// Whether an answer is the one expected; numbers about which only their value is said may be written in any way.
pub fn is_same(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::Object(expected), got) if expected.contains_key("~") => {
            let number = match got {
                Value::String(text) => text.parse::<f64>().ok(),
                other => other.as_f64(),
            };
            let wanted = expected["~"].as_f64().unwrap_or(f64::NAN);
            number.is_some_and(|number| (number - wanted).abs() <= 1e-9 * wanted.abs().max(1.0))
        }
        (Value::Object(expected), Value::Object(got)) => {
            let same =
                |(key, value): (&String, &Value)| got.get(key).is_some_and(|found| is_same(value, found));
            expected.len() == got.len() && expected.iter().all(same)
        }
        (Value::Array(expected), Value::Array(got)) => {
            expected.len() == got.len()
                && expected.iter().zip(got).all(|(expected, got)| is_same(expected, got))
        }
        (expected, got) => expected == got,
    }
}
