//! Queries: made at random, and written as the public API takes them.

use serde_json::{Map, Value, json};

use crate::filter::{Filter, Function, Maker, Target};
use crate::model::{Kind, Model, Type};
use crate::policy::Viewer;
use crate::support::random::Random;

/// One level of a read.
#[derive(Debug, Clone, Default)]
pub struct Level {
    /// `*` is asked for.
    pub star: bool,
    pub members: Vec<Member>,
    pub filter: Option<Filter>,
    pub search: Option<String>,
    pub sort: Vec<Sort>,
    pub limit: Option<i64>,
    pub offset: Option<u64>,
    pub page: Option<u64>,
}

/// A member that is asked for by name.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its key, where that is an alias.
    pub alias: Option<String>,
    pub what: What,
}

#[derive(Debug, Clone)]
pub enum What {
    Value(Target),
    /// A relation with what is wanted behind it.
    Below(usize, Level),
    /// A many-to-any with what is wanted per table.
    Any(usize, Vec<(usize, Level)>),
}

impl What {
    pub fn field(&self) -> usize {
        match self {
            What::Value(target) => target.field(),
            What::Below(field, _) | What::Any(field, _) => *field,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Sort {
    pub path: Vec<usize>,
    pub target: Target,
    pub descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    Count,
    CountDistinct,
    CountAll,
    Sum,
    SumDistinct,
    Avg,
    AvgDistinct,
    Min,
    Max,
}

impl Figure {
    pub const ALL: [Figure; 9] = [
        Figure::Count,
        Figure::CountDistinct,
        Figure::CountAll,
        Figure::Sum,
        Figure::SumDistinct,
        Figure::Avg,
        Figure::AvgDistinct,
        Figure::Min,
        Figure::Max,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Figure::Count => "count",
            Figure::CountDistinct => "countDistinct",
            Figure::CountAll => "countAll",
            Figure::Sum => "sum",
            Figure::SumDistinct => "sumDistinct",
            Figure::Avg => "avg",
            Figure::AvgDistinct => "avgDistinct",
            Figure::Min => "min",
            Figure::Max => "max",
        }
    }

    fn fits(self, holds: Type, conceal: bool) -> bool {
        let has_order = holds.has_order() || holds.is_text();
        match self {
            Figure::Count | Figure::CountAll => true,
            _ if conceal => false,
            Figure::CountDistinct => has_order || matches!(holds, Type::Uuid | Type::Boolean),
            Figure::Min | Figure::Max => has_order,
            _ => holds.is_number(),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Figures {
    pub groups: Vec<Target>,
    /// Functions with their fields; `None` for whole rows.
    pub figures: Vec<(Figure, Vec<Option<usize>>)>,
    /// Terms: a group, or a figure by its positions.
    pub sort: Vec<(Term, bool)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term {
    Group(usize),
    Figure(usize, usize),
}

/// Which rows are asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Keys {
    Any,
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Clone)]
pub struct Query {
    pub table: usize,
    pub keys: Keys,
    pub level: Level,
    pub figures: Option<Figures>,
    pub total_count: bool,
    pub filter_count: bool,
}

/// Makes queries that somebody may ask, or (lax) that name anything.
pub struct Asker<'a> {
    pub viewer: &'a Viewer<'a>,
    pub is_lax: bool,
}

impl Asker<'_> {
    fn model(&self) -> &Model {
        self.viewer.model
    }

    fn may_name(&self, table: usize, field: usize) -> bool {
        let leads_on = match self.model().field(table, field).kind {
            Kind::ToMany { table: to, .. } => self.viewer.is_open(to),
            _ => true,
        };
        self.is_lax || (self.viewer.may_read(table, field) && leads_on)
    }

    fn fields(&self, table: usize) -> Vec<usize> {
        (0..self.model().tables[table].fields.len()).filter(|field| self.may_name(table, *field)).collect()
    }

    pub fn query(&self, random: &mut Random) -> Query {
        let tables: Vec<usize> = (0..self.model().tables.len())
            .filter(|table| self.is_lax || self.viewer.is_open(*table))
            .collect();
        let table = if tables.is_empty() { 1 } else { *random.pick(&tables) };
        let mut level = self.level(random, table, 2);
        let keys = match random.below(8) {
            0 => {
                level.filter = None;
                level.search = None;
                level.sort.clear();
                (level.limit, level.offset, level.page) = (None, None, None);
                Keys::One(self.any_key(random, table))
            }
            1 => Keys::Many((0..1 + random.below(3)).map(|_| self.any_key(random, table)).collect()),
            _ => Keys::Any,
        };
        let figures = (keys == Keys::Any && random.one_in(4)).then(|| self.figures(random, table)).flatten();
        if figures.is_some() {
            level.sort.clear();
            level.members.clear();
        }
        Query {
            table,
            figures,
            level,
            total_count: !matches!(keys, Keys::One(_)) && random.one_in(3),
            filter_count: !matches!(keys, Keys::One(_)) && random.one_in(3),
            keys,
        }
    }

    fn any_key(&self, random: &mut Random, table: usize) -> String {
        let key = crate::model::key(self.model().tables[table].key_type(), 1 + random.below(8) as i64);
        crate::filter::key_text(&key)
    }

    pub fn filter(&self, random: &mut Random, table: usize) -> Option<Filter> {
        let may_name = |table: usize, field: usize| self.may_name(table, field);
        let maker = Maker { model: self.model(), may_name: &may_name, is_rule: false };
        let depth = random.below(4);
        maker.filter(random, table, depth)
    }

    fn level(&self, random: &mut Random, table: usize, depth: usize) -> Level {
        let mut level = Level { star: random.one_in(4), ..Level::default() };
        let fields = self.fields(table);
        let mut taken: Vec<usize> = Vec::new();
        for number in 0..random.below(5) {
            if fields.is_empty() {
                break;
            }
            let field = *random.pick(&fields);
            let alias = random.one_in(8).then(|| format!("other{number}"));
            // What is asked for twice under one name is one wish.
            if alias.is_none() && taken.contains(&field) {
                continue;
            }
            if alias.is_none() {
                taken.push(field);
            }
            let what = self.member(random, table, field, depth);
            level.members.push(Member { alias, what });
        }
        if level.members.is_empty() {
            level.star = true;
        }
        if random.one_in(3) {
            level.filter = self.filter(random, table);
        }
        if random.one_in(8) {
            let texts = ["a", "BET", "é", "1", "2", "0.50", "12.34", "zz", "_y", "k1", "2026"];
            level.search = Some((*random.pick(&texts)).to_owned());
        }
        if random.one_in(3) {
            level.sort = (0..1 + random.below(2)).filter_map(|_| self.sort(random, table)).collect();
        }
        match random.below(8) {
            0 => level.limit = Some(random.below(4) as i64),
            1 => level.limit = Some(-1),
            2 => level.offset = Some(random.below(3) as u64),
            3 => (level.limit, level.page) = (Some(2), Some(1 + random.below(3) as u64)),
            4 => (level.limit, level.offset) = (Some(2), Some(random.below(3) as u64)),
            _ => {}
        }
        level
    }

    fn member(&self, random: &mut Random, table: usize, field: usize, depth: usize) -> What {
        let found = self.model().field(table, field);
        let goes_on = depth > 0 && !random.one_in(4);
        match &found.kind {
            Kind::ToOne(to) if goes_on => What::Below(field, self.level(random, *to, depth - 1)),
            Kind::ToMany { table: to, .. } if goes_on => {
                What::Below(field, self.level(random, *to, depth - 1))
            }
            Kind::ToMany { .. } if random.one_in(2) => What::Value(Target::Count(field)),
            Kind::ToAny { tables, .. } if goes_on => {
                let mut tables = tables.clone();
                if random.one_in(2) {
                    tables.truncate(1);
                }
                let levels = tables.into_iter().map(|to| (to, self.level(random, to, depth - 1)));
                What::Any(field, levels.collect())
            }
            _ => match found.holds.and_then(|holds| Function::any(random, holds)) {
                Some(function) if !found.conceal && random.one_in(4) => {
                    What::Value(Target::Function(function, field))
                }
                _ if matches!(found.holds, Some(Type::Csv | Type::Json)) && random.one_in(4) => {
                    What::Value(Target::Count(field))
                }
                _ => What::Value(Target::Field(field)),
            },
        }
    }

    fn sort(&self, random: &mut Random, table: usize) -> Option<Sort> {
        let descending = random.one_in(2);
        let mut path = Vec::new();
        let mut here = table;
        loop {
            let fields = self.fields(here);
            if fields.is_empty() {
                return None;
            }
            let field = *random.pick(&fields);
            let found = self.model().field(here, field);
            match found.kind {
                Kind::ToOne(to) | Kind::ToMany { table: to, .. } if path.len() < 2 && random.one_in(2) => {
                    path.push(field);
                    here = to;
                }
                Kind::ToMany { .. } => return Some(Sort { path, target: Target::Count(field), descending }),
                _ if found.conceal => return None,
                _ => {
                    let holds = found.holds?;
                    let target = match Function::any(random, holds).filter(|_| random.one_in(3)) {
                        Some(function) => Target::Function(function, field),
                        None if holds == Type::Json => Target::Count(field),
                        None => Target::Field(field),
                    };
                    return Some(Sort { path, target, descending });
                }
            }
        }
    }

    fn figures(&self, random: &mut Random, table: usize) -> Option<Figures> {
        let columns: Vec<usize> = self
            .fields(table)
            .into_iter()
            .filter(|field| self.model().field(table, *field).holds.is_some())
            .collect();
        let mut groups: Vec<Target> = Vec::new();
        for _ in 0..random.below(3) {
            let Some(field) = (!columns.is_empty()).then(|| *random.pick(&columns)) else { break };
            let found = self.model().field(table, field);
            let holds = found.holds?;
            if found.conceal {
                continue;
            }
            let target = match Function::any(random, holds).filter(|_| random.one_in(2)) {
                Some(function) => Target::Function(function, field),
                None if holds == Type::Json => Target::Count(field),
                None => Target::Field(field),
            };
            if !groups.contains(&target) {
                groups.push(target);
            }
        }
        let mut figures: Vec<(Figure, Vec<Option<usize>>)> = Vec::new();
        for _ in 0..1 + random.below(3) {
            let figure = *random.pick(&Figure::ALL);
            if figures.iter().any(|(known, _)| *known == figure) {
                continue;
            }
            let mut of: Vec<Option<usize>> = Vec::new();
            if matches!(figure, Figure::Count | Figure::CountAll) && random.one_in(2) {
                of.push(None);
            }
            for _ in 0..random.below(3) {
                let Some(field) = (!columns.is_empty()).then(|| *random.pick(&columns)) else { break };
                let found = self.model().field(table, field);
                if figure.fits(found.holds?, found.conceal) && !of.contains(&Some(field)) {
                    of.push(Some(field));
                }
            }
            if !of.is_empty() {
                figures.push((figure, of));
            }
        }
        if figures.is_empty() {
            figures.push((Figure::Count, vec![None]));
        }
        let mut sort: Vec<(Term, bool)> = Vec::new();
        if !groups.is_empty() {
            for _ in 0..random.below(3) {
                let term = match random.one_in(2) {
                    true => Term::Group(random.below(groups.len())),
                    false => {
                        let figure = random.below(figures.len());
                        Term::Figure(figure, random.below(figures[figure].1.len()))
                    }
                };
                if !sort.iter().any(|(known, _)| *known == term) {
                    sort.push((term, random.one_in(2)));
                }
            }
        }
        Some(Figures { groups, figures, sort })
    }
}

impl Query {
    /// The parameters as the members of an object.
    pub fn written(&self, model: &Model) -> Value {
        let mut object = Map::new();
        let mut paths = Vec::new();
        match &self.figures {
            Some(figures) => figures.write(model, self.table, &mut object),
            None => self.level.paths(model, self.table, "", &mut paths),
        }
        if !paths.is_empty() {
            object.insert("fields".to_owned(), json!(paths));
        }
        for (name, value) in self.level.parameters(model, self.table) {
            object.entry(name).or_insert(value);
        }
        if self.figures.is_none() {
            let (alias, deep) = self.level.below(model, self.table);
            object.insert("alias".to_owned(), alias);
            object.insert("deep".to_owned(), deep);
        }
        let counts = [(self.total_count, "total_count"), (self.filter_count, "filter_count")];
        let counts: Vec<&str> =
            counts.into_iter().filter(|(wanted, _)| *wanted).map(|(_, name)| name).collect();
        if !counts.is_empty() {
            object.insert("meta".to_owned(), json!(counts));
        }
        Value::Object(object)
    }
}

impl Level {
    fn paths(&self, model: &Model, table: usize, before: &str, paths: &mut Vec<String>) {
        if self.star {
            paths.push(format!("{before}*"));
        }
        for member in &self.members {
            let found = model.field(table, member.what.field());
            let name = member.alias.as_deref().unwrap_or(&found.name);
            match &member.what {
                What::Value(target) if member.alias.is_none() => {
                    paths.push(format!("{before}{}", target.name(model, table)));
                }
                What::Value(_) => paths.push(format!("{before}{name}")),
                What::Below(field, level) => {
                    let (Kind::ToOne(to) | Kind::ToMany { table: to, .. }) = model.field(table, *field).kind
                    else {
                        panic!("no relation")
                    };
                    level.paths(model, to, &format!("{before}{name}."), paths);
                }
                What::Any(_, levels) => {
                    for (to, level) in levels {
                        level.paths(
                            model,
                            *to,
                            &format!("{before}{name}:{}.", model.tables[*to].name),
                            paths,
                        );
                    }
                }
            }
        }
    }

    fn parameters(&self, model: &Model, table: usize) -> Map<String, Value> {
        let mut object = Map::new();
        let mut add = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                object.insert(name.to_owned(), value);
            }
        };
        add("filter", self.filter.as_ref().map(|filter| filter.written(model, table)));
        add("search", self.search.as_ref().map(|text| json!(text)));
        let sort: Vec<String> = self.sort.iter().map(|sort| sort.written(model, table)).collect();
        add("sort", (!sort.is_empty()).then(|| json!(sort)));
        add("limit", self.limit.map(|limit| json!(limit)));
        add("offset", self.offset.map(|offset| json!(offset)));
        add("page", self.page.map(|page| json!(page)));
        object
    }

    /// `alias` and `deep` of this level.
    fn below(&self, model: &Model, table: usize) -> (Value, Value) {
        let mut alias = Map::new();
        let mut deep = Map::new();
        for member in &self.members {
            let found = model.field(table, member.what.field());
            if let Some(name) = &member.alias {
                let meant = match &member.what {
                    What::Value(target) => target.name(model, table),
                    _ => found.name.clone(),
                };
                alias.insert(name.clone(), json!(meant));
            }
            let name = member.alias.as_deref().unwrap_or(&found.name);
            let mut add = |name: String, to: usize, level: &Level| {
                let mut object: Map<String, Value> = level
                    .parameters(model, to)
                    .into_iter()
                    .map(|(name, value)| (format!("_{name}"), value))
                    .collect();
                let (alias, deeper) = level.below(model, to);
                if alias.as_object().is_some_and(|alias| !alias.is_empty()) {
                    object.insert("_alias".to_owned(), alias);
                }
                object.extend(deeper.as_object().cloned().unwrap_or_default());
                if !object.is_empty() {
                    deep.insert(name, Value::Object(object));
                }
            };
            match &member.what {
                What::Value(_) => {}
                What::Below(field, level) => {
                    let (Kind::ToOne(to) | Kind::ToMany { table: to, .. }) = model.field(table, *field).kind
                    else {
                        panic!("no relation")
                    };
                    add(name.to_owned(), to, level);
                }
                What::Any(_, levels) => {
                    for (to, level) in levels {
                        add(format!("{name}:{}", model.tables[*to].name), *to, level);
                    }
                }
            }
        }
        (Value::Object(alias), Value::Object(deep))
    }
}

impl Sort {
    fn written(&self, model: &Model, table: usize) -> String {
        let mut text = if self.descending { "-".to_owned() } else { String::new() };
        let mut here = table;
        for hop in &self.path {
            text.push_str(&model.field(here, *hop).name);
            text.push('.');
            if let Kind::ToOne(to) | Kind::ToMany { table: to, .. } = model.field(here, *hop).kind {
                here = to;
            }
        }
        text + &self.target.name(model, here)
    }
}

impl Figures {
    fn write(&self, model: &Model, table: usize, object: &mut Map<String, Value>) {
        let field_name = |field: &Option<usize>| match field {
            Some(field) => model.field(table, *field).name.clone(),
            None => "*".to_owned(),
        };
        let figures: Map<String, Value> = self
            .figures
            .iter()
            .map(|(figure, of)| (figure.name().to_owned(), of.iter().map(field_name).collect()))
            .collect();
        object.insert("aggregate".to_owned(), Value::Object(figures));
        if !self.groups.is_empty() {
            let groups: Vec<String> = self.groups.iter().map(|group| group.name(model, table)).collect();
            object.insert("groupBy".to_owned(), json!(groups));
        }
        let terms = self.sort.iter().map(|(term, descending)| {
            let name = match term {
                Term::Group(at) => self.groups[*at].name(model, table),
                Term::Figure(at, of) => {
                    let (figure, fields) = &self.figures[*at];
                    match &fields[*of] {
                        Some(field) => format!("{}.{}", figure.name(), model.field(table, *field).name),
                        None => figure.name().to_owned(),
                    }
                }
            };
            format!("{}{name}", if *descending { "-" } else { "" })
        });
        let terms: Vec<String> = terms.collect();
        if !terms.is_empty() {
            object.insert("sort".to_owned(), json!(terms));
        }
    }
}
