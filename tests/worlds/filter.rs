//! Filters: made at random, written as JSON, and judged row by row in the logic of three values.

use std::cmp::Ordering;

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use crate::model::{Cell, Kind, Model, NOW, Type, USERS};
use crate::policy::{Caller, Viewer};
use crate::support::random::Random;

/// A function of a date or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    Year,
    Month,
    Week,
    Day,
    Weekday,
    Hour,
    Minute,
    Second,
}

impl Function {
    const OF_DATES: [Function; 5] =
        [Function::Year, Function::Month, Function::Week, Function::Day, Function::Weekday];
    const OF_TIMES: [Function; 3] = [Function::Hour, Function::Minute, Function::Second];

    pub fn any(random: &mut Random, holds: Type) -> Option<Function> {
        match (holds.has_date(), holds.has_time()) {
            (true, true) if random.one_in(2) => Some(*random.pick(&Function::OF_TIMES)),
            (true, _) => Some(*random.pick(&Function::OF_DATES)),
            (false, true) => Some(*random.pick(&Function::OF_TIMES)),
            (false, false) => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Function::Year => "year",
            Function::Month => "month",
            Function::Week => "week",
            Function::Day => "day",
            Function::Weekday => "weekday",
            Function::Hour => "hour",
            Function::Minute => "minute",
            Function::Second => "second",
        }
    }

    fn of(self, text: &str) -> i64 {
        let number = |part: &str| part.parse().expect("digits");
        let date = || text[..10].parse::<Date>().expect("a date");
        let time = text.split_once('T').map_or(text, |(_, time)| time);
        match self {
            Function::Year => number(&text[..4]),
            Function::Month => number(&text[5..7]),
            Function::Day => number(&text[8..10]),
            Function::Week => i64::from(date().iso_week_date().week()),
            Function::Weekday => i64::from(date().weekday().to_sunday_zero_offset()),
            Function::Hour => number(&time[..2]),
            Function::Minute => number(&time[3..5]),
            Function::Second => number(&time[6..8]),
        }
    }
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    Field(usize),
    Function(Function, usize),
    /// Of a list of rows, of a CSV or JSON list.
    Count(usize),
}

impl Target {
    pub fn field(&self) -> usize {
        match self {
            Target::Field(field) | Target::Function(_, field) | Target::Count(field) => *field,
        }
    }

    pub fn name(&self, model: &Model, table: usize) -> String {
        let name = &model.field(table, self.field()).name;
        match self {
            Target::Field(_) => name.clone(),
            Target::Function(function, _) => format!("{}({name})", function.name()),
            Target::Count(_) => format!("count({name})"),
        }
    }

    /// The name in an answer.
    pub fn key(&self, model: &Model, table: usize) -> String {
        let name = &model.field(table, self.field()).name;
        match self {
            Target::Field(_) => name.clone(),
            Target::Function(function, _) => format!("{name}_{}", function.name()),
            Target::Count(_) => format!("{name}_count"),
        }
    }

    pub fn holds(&self, model: &Model, table: usize) -> Type {
        match self {
            Target::Field(field) => model.field(table, *field).holds.expect("a column"),
            Target::Function(..) | Target::Count(_) => Type::Integer,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    const EQUALITY: [Comparison; 2] = [Comparison::Equal, Comparison::NotEqual];
    const ALL: [Comparison; 6] = [
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ];

    fn name(self) -> &'static str {
        match self {
            Comparison::Equal => "_eq",
            Comparison::NotEqual => "_neq",
            Comparison::Less => "_lt",
            Comparison::LessOrEqual => "_lte",
            Comparison::Greater => "_gt",
            Comparison::GreaterOrEqual => "_gte",
        }
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// Something to compare with.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    Cell(Cell),
    CurrentUser,
    CurrentRole,
    /// `$NOW` and some days.
    Now(i64),
}

impl Operand {
    fn written(&self, holds: Type) -> Value {
        match self {
            Operand::Cell(cell) => cell.operand(holds),
            Operand::CurrentUser => json!("$CURRENT_USER"),
            Operand::CurrentRole => json!("$CURRENT_ROLE"),
            Operand::Now(0) => json!("$NOW"),
            Operand::Now(days) => json!(format!("$NOW({days} days)")),
        }
    }

    /// `None` where a variable stands for nothing.
    fn value(&self, caller: &Caller, holds: Type) -> Option<Cell> {
        match self {
            Operand::Cell(cell) => Some(cell.clone()),
            Operand::CurrentUser => caller.user.clone().map(Cell::Text),
            Operand::CurrentRole => caller.role.clone().map(Cell::Text),
            Operand::Now(days) => {
                let date: Date = NOW[..10].parse().expect("a date");
                let date = date.checked_add(jiff::Span::new().days(*days)).expect("a date");
                Some(Cell::Text(match holds {
                    Type::Date => date.to_string(),
                    Type::DateTime => format!("{date}{}", &NOW[10..19]),
                    _ => format!("{date}{}", &NOW[10..]),
                }))
            }
        }
    }
}

/// Several values to compare with.
#[derive(Debug, Clone, PartialEq)]
pub enum List {
    Cells(Vec<Cell>),
    Roles,
    Policies,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Anywhere,
    Start,
    End,
}

/// What is asked of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    Null(bool),
    Compare(Comparison, Operand),
    In {
        list: List,
        negated: bool,
    },
    Between {
        low: Cell,
        high: Cell,
        negated: bool,
    },
    Like {
        text: String,
        place: Place,
        ignore_case: bool,
        negated: bool,
    },
    Empty(bool),
    /// Compared with what is found at the user who asks: fields to follow, the last holds the values.
    User {
        test: UserTest,
        path: Vec<usize>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserTest {
    Compare(Comparison),
    In { negated: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Some row of the list, said with `_some`.
    Some,
    /// The same, not said.
    Plain,
    None,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Value {
        target: Target,
        test: Test,
    },
    ToOne {
        field: usize,
        is: Box<Filter>,
    },
    ToMany {
        field: usize,
        how: How,
        is: Box<Filter>,
    },
    /// The list is empty, or is not.
    List {
        field: usize,
        is_empty: bool,
    },
    ToAny {
        field: usize,
        table: usize,
        is: Box<Filter>,
    },
}

/// Which fields a filter may name, and whether it is the filter of a permission.
pub struct Maker<'a> {
    pub model: &'a Model,
    pub may_name: &'a dyn Fn(usize, usize) -> bool,
    pub is_rule: bool,
}

impl Maker<'_> {
    /// `None` where the table has nothing that may be named.
    pub fn filter(&self, random: &mut Random, table: usize, depth: usize) -> Option<Filter> {
        if depth > 0 && random.one_in(3) {
            let parts: Vec<Filter> =
                (0..1 + random.below(3)).filter_map(|_| self.filter(random, table, depth - 1)).collect();
            return Some(if random.one_in(2) { Filter::And(parts) } else { Filter::Or(parts) });
        }
        let fields: Vec<usize> = (0..self.model.tables[table].fields.len())
            .filter(|field| (self.may_name)(table, *field))
            .collect();
        if fields.is_empty() {
            return None;
        }
        let field = *random.pick(&fields);
        let found = self.model.field(table, field);
        match &found.kind {
            Kind::ToOne(to) if depth > 0 && !random.one_in(3) => {
                let is = Box::new(self.filter(random, *to, depth - 1)?);
                Some(Filter::ToOne { field, is })
            }
            Kind::ToMany { table: to, .. } => {
                if random.one_in(6) {
                    return Some(Filter::List { field, is_empty: random.one_in(2) });
                }
                if depth == 0 || random.one_in(6) {
                    let target = Target::Count(field);
                    let test = self.number_test(random);
                    return Some(Filter::Value { target, test });
                }
                let how = *random.pick(&[How::Some, How::Plain, How::None]);
                let is = Box::new(self.filter(random, *to, depth - 1)?);
                Some(Filter::ToMany { field, how, is })
            }
            Kind::ToAny { tables, .. } if depth > 0 && !random.one_in(3) => {
                let to = *random.pick(tables);
                let is = Box::new(self.filter(random, to, depth - 1)?);
                Some(Filter::ToAny { field, table: to, is })
            }
            _ => Some(self.value(random, table, field)),
        }
    }

    fn number_test(&self, random: &mut Random) -> Test {
        let operand = Operand::Cell(Cell::Int(random.below(4) as i64));
        Test::Compare(*random.pick(&Comparison::ALL), operand)
    }

    fn value(&self, random: &mut Random, table: usize, field: usize) -> Filter {
        let found = self.model.field(table, field);
        let holds = found.holds.expect("a column");
        let target = Target::Field(field);
        if found.conceal || random.one_in(8) {
            return Filter::Value { target, test: Test::Null(random.one_in(2)) };
        }
        if random.one_in(4)
            && let Some(function) = Function::any(random, holds)
        {
            let numbers = [2, 3, 9, 10, 29, 2024, 2026];
            let operand = Operand::Cell(Cell::Int(*random.pick(&numbers)));
            let test = Test::Compare(*random.pick(&Comparison::ALL), operand);
            return Filter::Value { target: Target::Function(function, field), test };
        }
        if matches!(holds, Type::Csv | Type::Json) && (holds == Type::Json || random.one_in(3)) {
            return match random.one_in(3) {
                true => Filter::Value { target, test: Test::Null(random.one_in(2)) },
                false => Filter::Value { target: Target::Count(field), test: self.number_test(random) },
            };
        }
        Filter::Value { target, test: self.test(random, table, field, holds) }
    }

    fn any_cell(&self, random: &mut Random, table: usize, field: usize, holds: Type) -> Cell {
        let rows = &self.model.tables[table].rows;
        if !rows.is_empty() && random.one_in(2) {
            let cell = &random.pick(rows)[field];
            if !cell.is_null() {
                return cell.clone();
            }
        }
        match self.model.field(table, field).kind {
            Kind::ToOne(_) => crate::model::key(holds, 1 + random.below(5) as i64),
            _ => holds.any(random),
        }
    }

    fn test(&self, random: &mut Random, table: usize, field: usize, holds: Type) -> Test {
        let negated = random.one_in(2);
        if random.one_in(5)
            && let Some(test) = self.user_test(random, holds)
        {
            return test;
        }
        match random.below(6) {
            0 if holds == Type::Uuid => match random.below(4) {
                0 => Test::In { list: List::Roles, negated },
                1 => Test::In { list: List::Policies, negated },
                2 => Test::Compare(*random.pick(&Comparison::EQUALITY), Operand::CurrentRole),
                _ => Test::Compare(*random.pick(&Comparison::EQUALITY), Operand::CurrentUser),
            },
            1 if holds == Type::Uuid => Test::Compare(Comparison::Equal, Operand::CurrentUser),
            0 if holds.has_date() => {
                let now = Operand::Now(random.below(3) as i64 - 1);
                Test::Compare(*random.pick(&Comparison::ALL), now)
            }
            0..=2 if holds.is_text() => {
                if random.one_in(5) {
                    return Test::Empty(random.one_in(2));
                }
                let pieces = ["a", "A", "lph", "beta", "é", "É", "%", "_", "x_", "", "b,c"];
                Test::Like {
                    text: (*random.pick(&pieces)).to_owned(),
                    place: *random.pick(&[Place::Anywhere, Place::Start, Place::End]),
                    ignore_case: random.one_in(2),
                    negated,
                }
            }
            1 | 2 if holds.has_order() => {
                let one = self.any_cell(random, table, field, holds);
                let other = self.any_cell(random, table, field, holds);
                let (low, high) = if one.order(&other).is_le() { (one, other) } else { (other, one) };
                Test::Between { low, high, negated }
            }
            3 => {
                let cells = (0..1 + random.below(3)).map(|_| self.any_cell(random, table, field, holds));
                Test::In { list: List::Cells(cells.collect()), negated }
            }
            _ => {
                let comparisons: &[Comparison] =
                    if holds.has_order() { &Comparison::ALL } else { &Comparison::EQUALITY };
                let cell = self.any_cell(random, table, field, holds);
                Test::Compare(*random.pick(comparisons), Operand::Cell(cell))
            }
        }
    }

    /// A comparison with something of the user who asks that has this type.
    fn user_test(&self, random: &mut Random, holds: Type) -> Option<Test> {
        let model = self.model;
        let may_end = |table: usize, field: usize| {
            let found = model.field(table, field);
            let is_alike = found.holds == Some(holds) && !matches!(holds, Type::Csv | Type::Json);
            is_alike && !found.conceal && (self.may_name)(table, field)
        };
        let mut paths: Vec<Vec<usize>> = Vec::new();
        for (field, found) in model.tables[USERS].fields.iter().enumerate() {
            if may_end(USERS, field) {
                paths.push(vec![field]);
            }
            let to = match found.kind {
                Kind::ToOne(to) => to,
                // Only rules may follow lists.
                Kind::ToMany { table, by }
                    if self.is_rule && matches!(model.field(table, by).kind, Kind::ToOne(_)) =>
                {
                    table
                }
                _ => continue,
            };
            if (self.may_name)(USERS, field) {
                let ends = (0..model.tables[to].fields.len()).filter(|end| may_end(to, *end));
                paths.extend(ends.map(|end| vec![field, end]));
            }
        }
        if paths.is_empty() {
            return None;
        }
        let path = random.pick(&paths).clone();
        let follows_list = matches!(model.field(USERS, path[0]).kind, Kind::ToMany { .. });
        let test = match random.below(3) {
            0 => UserTest::In { negated: random.one_in(2) },
            _ if follows_list || !holds.has_order() => UserTest::Compare(*random.pick(&Comparison::EQUALITY)),
            _ => UserTest::Compare(*random.pick(&Comparison::ALL)),
        };
        Some(Test::User { test, path })
    }
}

impl Filter {
    /// As the public API writes it.
    pub fn written(&self, model: &Model, table: usize) -> Value {
        let one = |name: &str, value: Value| json!({ name: value });
        let list =
            |parts: &[Filter]| Value::Array(parts.iter().map(|part| part.written(model, table)).collect());
        match self {
            Filter::And(parts) => one("_and", list(parts)),
            Filter::Or(parts) => one("_or", list(parts)),
            Filter::Value { target, test } => {
                let holds = target.holds(model, table);
                one(&target.name(model, table), test.written(model, holds))
            }
            Filter::ToOne { field, is } => {
                let Kind::ToOne(to) = model.field(table, *field).kind else { panic!("no many-to-one") };
                one(&model.field(table, *field).name, is.written(model, to))
            }
            Filter::ToMany { field, how, is } => {
                let Kind::ToMany { table: to, .. } = model.field(table, *field).kind else {
                    panic!("no list")
                };
                let is = is.written(model, to);
                let is = match how {
                    How::Some => one("_some", is),
                    How::None => one("_none", is),
                    How::Plain => is,
                };
                one(&model.field(table, *field).name, is)
            }
            Filter::List { field, is_empty } => one(
                &model.field(table, *field).name,
                one(if *is_empty { "_null" } else { "_nnull" }, json!(true)),
            ),
            Filter::ToAny { field, table: to, is } => {
                let name = format!("{}:{}", model.field(table, *field).name, model.tables[*to].name);
                one(&name, is.written(model, *to))
            }
        }
    }

    /// Names a variable that stands for nothing.
    fn is_void(&self, caller: &Caller) -> bool {
        match self {
            Filter::And(parts) | Filter::Or(parts) => parts.iter().any(|part| part.is_void(caller)),
            Filter::Value { test, .. } => test.is_void(caller),
            Filter::ToOne { is, .. } | Filter::ToMany { is, .. } | Filter::ToAny { is, .. } => {
                is.is_void(caller)
            }
            Filter::List { .. } => false,
        }
    }
}

impl Test {
    fn written(&self, model: &Model, holds: Type) -> Value {
        let mut members = Map::new();
        let sign = |negated: bool, name: &str| format!("_{}{name}", if negated { "n" } else { "" });
        let (name, operand) = match self {
            Test::Null(true) => ("_null".to_owned(), json!(true)),
            Test::Null(false) => ("_nnull".to_owned(), json!(true)),
            Test::Compare(comparison, operand) => (comparison.name().to_owned(), operand.written(holds)),
            Test::In { list, negated } => {
                let operand = match list {
                    List::Cells(cells) => cells.iter().map(|cell| cell.operand(holds)).collect(),
                    List::Roles => json!(["$CURRENT_ROLES"]),
                    List::Policies => json!(["$CURRENT_POLICIES"]),
                };
                (sign(*negated, "in"), operand)
            }
            Test::Between { low, high, negated } => {
                (sign(*negated, "between"), json!([low.operand(holds), high.operand(holds)]))
            }
            Test::Like { text, place, ignore_case, negated } => {
                let place = match place {
                    Place::Anywhere => "contains",
                    Place::Start => "starts_with",
                    Place::End => "ends_with",
                };
                let case = if *ignore_case { "i" } else { "" };
                (sign(*negated, &format!("{case}{place}")), json!(text))
            }
            Test::Empty(true) => ("_empty".to_owned(), json!(true)),
            Test::Empty(false) => ("_nempty".to_owned(), json!(true)),
            Test::User { test, path } => {
                let mut table = USERS;
                let mut text = "$CURRENT_USER".to_owned();
                for field in path {
                    text.push('.');
                    text.push_str(&model.field(table, *field).name);
                    table = match model.field(table, *field).kind {
                        Kind::ToOne(to) | Kind::ToMany { table: to, .. } => to,
                        _ => table,
                    };
                }
                let name = match test {
                    UserTest::Compare(comparison) => comparison.name().to_owned(),
                    UserTest::In { negated } => sign(*negated, "in"),
                };
                (name, json!(text))
            }
        };
        members.insert(name, operand);
        Value::Object(members)
    }

    fn is_void(&self, caller: &Caller) -> bool {
        match self {
            Test::Compare(_, Operand::CurrentUser) | Test::User { .. } => caller.user.is_none(),
            Test::Compare(_, Operand::CurrentRole) => caller.role.is_none(),
            Test::In { list: List::Roles, .. } => caller.roles.is_empty(),
            Test::In { list: List::Policies, .. } => caller.policies.is_empty(),
            _ => false,
        }
    }
}

/// True, false, or (`None`) unknown.
pub type Truth = Option<bool>;

/// Looks at rows: as somebody sees them, or (the filters of permissions) as they are.
pub struct Judge<'a> {
    pub model: &'a Model,
    pub caller: &'a Caller,
    /// Whose eyes; `None` for nobody's.
    pub viewer: Option<&'a Viewer<'a>>,
}

impl Judge<'_> {
    /// What a filter says of a row; without a row (a reference to nothing) every column is null.
    pub fn judge(&self, table: usize, row: Option<usize>, filter: &Filter) -> Truth {
        match filter {
            Filter::And(parts) => {
                let truths: Vec<Truth> = parts.iter().map(|part| self.judge(table, row, part)).collect();
                if truths.contains(&Some(false)) {
                    Some(false)
                } else if truths.contains(&None) {
                    None
                } else {
                    Some(true)
                }
            }
            // In the public API an empty list asks for nothing.
            Filter::Or(parts) if parts.is_empty() => Some(true),
            Filter::Or(parts) => {
                let truths: Vec<Truth> = parts.iter().map(|part| self.judge(table, row, part)).collect();
                if truths.contains(&Some(true)) {
                    Some(true)
                } else if truths.contains(&None) {
                    None
                } else {
                    Some(false)
                }
            }
            Filter::Value { target, test } => {
                let value = self.value(table, row, target);
                self.test(&value, target.holds(self.model, table), test)
            }
            Filter::ToOne { field, is } => {
                let Kind::ToOne(to) = self.model.field(table, *field).kind else { panic!("no many-to-one") };
                self.judge(to, self.follow(table, row, *field), is)
            }
            Filter::ToMany { field, how, is } => {
                if *how == How::None && (is.is_void(self.caller) || self.is_unknown(is)) {
                    return Some(false);
                }
                let (to, items) = self.items(table, row, *field);
                let found = items.into_iter().any(|item| self.judge(to, Some(item), is) == Some(true));
                Some(found != (*how == How::None))
            }
            Filter::List { field, is_empty } => {
                Some(self.items(table, row, *field).1.is_empty() == *is_empty)
            }
            Filter::ToAny { field, table: to, is } => {
                let item = self.follow_any(table, row, *field, *to);
                Some(item.is_some_and(|item| self.judge(*to, Some(item), is) == Some(true)))
            }
        }
    }

    /// Compares with something of the user that is not there.
    fn is_unknown(&self, filter: &Filter) -> bool {
        match filter {
            Filter::And(parts) | Filter::Or(parts) => parts.iter().any(|part| self.is_unknown(part)),
            Filter::Value { test: Test::User { path, .. }, .. } => self.of_user(path).0.is_empty(),
            Filter::ToOne { is, .. } | Filter::ToMany { is, .. } | Filter::ToAny { is, .. } => {
                self.is_unknown(is)
            }
            Filter::Value { .. } | Filter::List { .. } => false,
        }
    }

    /// The field may be seen in this row.
    fn is_seen(&self, table: usize, row: Option<usize>, field: usize) -> bool {
        self.viewer.is_none_or(|viewer| viewer.sees_field(table, row, field))
    }

    fn is_visible(&self, table: usize, row: usize) -> bool {
        self.viewer.is_none_or(|viewer| viewer.sees(table, row))
    }

    /// A column, null where it may not be seen.
    pub fn cell(&self, table: usize, row: Option<usize>, field: usize) -> Cell {
        match row {
            Some(at) if self.is_seen(table, row, field) => self.model.tables[table].rows[at][field].clone(),
            _ => Cell::Null,
        }
    }

    pub fn value(&self, table: usize, row: Option<usize>, target: &Target) -> Cell {
        match target {
            Target::Field(field) => self.cell(table, row, *field),
            Target::Function(function, field) => match self.cell(table, row, *field) {
                Cell::Null => Cell::Null,
                cell => Cell::Int(function.of(cell.text())),
            },
            Target::Count(field) => match self.model.field(table, *field).holds {
                None if self.is_seen(table, row, *field) => {
                    Cell::Int(self.items(table, row, *field).1.len() as i64)
                }
                None => Cell::Null,
                Some(holds) => match (self.cell(table, row, *field), holds) {
                    (Cell::Null, _) => Cell::Null,
                    (cell, Type::Csv) if cell.text().is_empty() => Cell::Int(0),
                    (cell, Type::Csv) => Cell::Int(cell.text().split(',').count() as i64),
                    (cell, _) => {
                        let value: Value = serde_json::from_str(cell.text()).expect("JSON");
                        Cell::Int(value.as_array().map_or(0, Vec::len) as i64)
                    }
                },
            },
        }
    }

    /// The row that a many-to-one leads to.
    pub fn follow(&self, table: usize, row: Option<usize>, field: usize) -> Option<usize> {
        let Kind::ToOne(to) = self.model.field(table, field).kind else { panic!("no many-to-one") };
        let key = self.cell(table, row, field);
        let found = self.model.tables[to].find_row(&key).filter(|_| !key.is_null())?;
        self.is_visible(to, found).then_some(found)
    }

    /// The row that a many-to-any leads to, if it lies in this table.
    pub fn follow_any(&self, table: usize, row: Option<usize>, field: usize, to: usize) -> Option<usize> {
        let Kind::ToAny { named_by, .. } = self.model.field(table, field).kind else {
            panic!("no many-to-any")
        };
        let at = row.filter(|_| self.is_seen(table, row, field))?;
        let cells = &self.model.tables[table].rows[at];
        if cells[named_by] != Cell::Text(self.model.tables[to].name.clone()) || cells[field].is_null() {
            return None;
        }
        let found =
            self.model.tables[to].rows.iter().position(|row| key_text(&row[0]) == cells[field].text())?;
        self.is_visible(to, found).then_some(found)
    }

    /// The table and the rows of a list.
    pub fn items(&self, table: usize, row: Option<usize>, field: usize) -> (usize, Vec<usize>) {
        let Kind::ToMany { table: to, by } = self.model.field(table, field).kind else { panic!("no list") };
        let Some(at) = row.filter(|_| self.is_seen(table, row, field)) else { return (to, Vec::new()) };
        let key = &self.model.tables[table].rows[at][0];
        let refers = |cells: &[Cell]| match self.model.field(to, by).kind {
            Kind::ToAny { named_by, .. } => {
                cells[named_by] == Cell::Text(self.model.tables[table].name.clone())
                    && cells[by] == Cell::Text(key_text(key))
            }
            _ => cells[by] == *key,
        };
        let rows = self.model.tables[to].rows.iter().enumerate();
        let found = rows.filter(|(at, cells)| refers(cells) && self.is_visible(to, *at)).map(|(at, _)| at);
        (to, found.collect())
    }

    fn test(&self, value: &Cell, holds: Type, test: &Test) -> Truth {
        let known = |truth: bool| (!value.is_null()).then_some(truth);
        match test {
            Test::Null(is_null) => Some(value.is_null() == *is_null),
            Test::Empty(true) => Some(value.is_null() || value.text().is_empty()),
            Test::Empty(false) => (!value.is_null()).then(|| !value.text().is_empty()),
            Test::Compare(comparison, operand) => match operand.value(self.caller, holds) {
                None => Some(false),
                Some(_) if value.is_null() => None,
                Some(operand) => Some(comparison.holds(value.order(&operand))),
            },
            Test::In { list, negated } => {
                let keys = |keys: &[String]| keys.iter().cloned().map(Cell::Text).collect();
                let cells: Vec<Cell> = match list {
                    List::Cells(cells) => cells.clone(),
                    List::Roles => keys(&self.caller.roles),
                    List::Policies => keys(&self.caller.policies),
                };
                if cells.is_empty() { Some(false) } else { known(cells.contains(value) != *negated) }
            }
            Test::Between { low, high, negated } => {
                if value.is_null() {
                    return None;
                }
                let lies = value.order(low).is_ge() && value.order(high).is_le();
                Some(lies != *negated)
            }
            Test::Like { text, place, ignore_case, negated } => {
                if value.is_null() {
                    return None;
                }
                let (value, text) = match ignore_case {
                    true => (value.text().to_lowercase(), text.to_lowercase()),
                    false => (value.text().to_owned(), text.clone()),
                };
                let pattern = match place {
                    Place::Anywhere => format!("%{text}%"),
                    Place::Start => format!("{text}%"),
                    Place::End => format!("%{text}"),
                };
                Some(is_like(&value, &pattern) != *negated)
            }
            Test::User { test, path } => {
                let (values, follows_list) = self.of_user(path);
                let among = |negated: bool| match (values.is_empty(), value.is_null()) {
                    (true, _) => Some(false),
                    (false, true) => None,
                    (false, false) => Some(values.contains(value) != negated),
                };
                match test {
                    UserTest::In { negated } => among(*negated),
                    UserTest::Compare(comparison) if follows_list => {
                        among(*comparison == Comparison::NotEqual)
                    }
                    UserTest::Compare(comparison) => match values.first() {
                        Some(found) if !value.is_null() => Some(comparison.holds(value.order(found))),
                        _ => None,
                    },
                }
            }
        }
    }

    /// What is found at the user who asks, who may compare with all that is their own.
    fn of_user(&self, path: &[usize]) -> (Vec<Cell>, bool) {
        let plain = Judge { model: self.model, caller: self.caller, viewer: None };
        let mut table = USERS;
        let mut follows_list = false;
        let user = self.caller.user.clone().map(Cell::Text);
        let mut rows: Vec<usize> =
            user.and_then(|user| self.model.tables[USERS].find_row(&user)).into_iter().collect();
        let (last, hops) = path.split_last().expect("a field");
        for hop in hops {
            match self.model.field(table, *hop).kind {
                Kind::ToOne(to) => {
                    rows = rows.iter().filter_map(|row| plain.follow(table, Some(*row), *hop)).collect();
                    table = to;
                }
                _ => {
                    follows_list = true;
                    let lists: Vec<(usize, Vec<usize>)> =
                        rows.iter().map(|row| plain.items(table, Some(*row), *hop)).collect();
                    let Kind::ToMany { table: to, .. } = self.model.field(table, *hop).kind else {
                        panic!("no list")
                    };
                    rows = lists.into_iter().flat_map(|(_, items)| items).collect();
                    table = to;
                }
            }
        }
        let values =
            rows.iter().map(|row| plain.cell(table, Some(*row), *last)).filter(|cell| !cell.is_null());
        (values.collect(), follows_list)
    }
}

/// A key as a many-to-any field holds it.
pub fn key_text(key: &Cell) -> String {
    match key {
        Cell::Int(number) => number.to_string(),
        other => other.text().to_owned(),
    }
}

/// `%` stands for any text, `_` for any character.
pub fn is_like(text: &str, pattern: &str) -> bool {
    let mut pattern = pattern.chars();
    match pattern.next() {
        None => text.is_empty(),
        Some('%') => {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.into_iter().any(|at| is_like(&text[at..], pattern.as_str()))
        }
        Some(wanted) => {
            let mut text = text.chars();
            text.next().is_some_and(|found| {
                (wanted == '_' || wanted == found) && is_like(text.as_str(), pattern.as_str())
            })
        }
    }
}
