//! A random model with rows in it, as the naive evaluator knows them: tables of cells, no SQL.
//!
//! The first table is that of the users. The key is always the first field.

use std::cmp::Ordering;

use serde_json::{Value, json};
use tablature::filter::Scalar;
use tablature::schema::{
    Collection, CollectionId, Column, ColumnType, Field as SchemaField, FieldId, FieldKind, OnDelete,
    OnDeselect, Origin, Schema,
};

use crate::support::random::Random;

/// Position of the users among the tables.
pub const USERS: usize = 0;
/// The moment of every request.
pub const NOW: &str = "2026-03-02T10:00:00.000Z";

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    String,
    Text,
    Integer,
    BigInteger,
    Float,
    /// Kept in hundredths.
    Decimal,
    Boolean,
    Date,
    Time,
    DateTime,
    Timestamp,
    Uuid,
    Csv,
    Json,
}

/// A value. Dates, UUIDs, lists and JSON are texts.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Plain,
    ToOne(usize),
    /// The rows of a table that point here with this field, a many-to-one or many-to-any.
    ToMany {
        table: usize,
        by: usize,
    },
    /// Rows of several tables; another field names the table.
    ToAny {
        tables: Vec<usize>,
        named_by: usize,
    },
}

#[derive(Debug, Clone)]
pub struct Field {
    pub name: String,
    pub kind: Kind,
    /// `None` for lists.
    pub holds: Option<Type>,
    pub conceal: bool,
    pub searchable: bool,
}

impl Field {
    fn new(name: &str, kind: Kind, holds: Option<Type>) -> Self {
        Field { name: name.to_owned(), kind, holds, conceal: false, searchable: true }
    }
}

#[derive(Debug, Clone)]
pub struct Table {
    pub name: String,
    pub fields: Vec<Field>,
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    fn new(name: String, key: Type) -> Self {
        Table { name, fields: vec![Field::new("id", Kind::Plain, Some(key))], rows: Vec::new() }
    }

    fn push(&mut self, name: &str, kind: Kind, holds: Option<Type>) -> usize {
        self.fields.push(Field::new(name, kind, holds));
        self.fields.len() - 1
    }

    pub fn key_type(&self) -> Type {
        self.fields[0].holds.expect("a key has a column")
    }

    pub fn find_row(&self, key: &Cell) -> Option<usize> {
        self.rows.iter().position(|row| row[0] == *key)
    }
}

#[derive(Debug, Clone)]
pub struct Model {
    pub tables: Vec<Table>,
}

impl Type {
    const COMMON: [Type; 15] = [
        Type::String,
        Type::String,
        Type::Text,
        Type::Integer,
        Type::Integer,
        Type::BigInteger,
        Type::Float,
        Type::Decimal,
        Type::Boolean,
        Type::Date,
        Type::Time,
        Type::DateTime,
        Type::Timestamp,
        Type::Csv,
        Type::Json,
    ];

    pub fn has_date(self) -> bool {
        matches!(self, Type::Date | Type::DateTime | Type::Timestamp)
    }

    pub fn has_time(self) -> bool {
        matches!(self, Type::Time | Type::DateTime | Type::Timestamp)
    }

    pub fn is_text(self) -> bool {
        matches!(self, Type::String | Type::Text | Type::Csv)
    }

    pub fn is_number(self) -> bool {
        matches!(self, Type::Integer | Type::BigInteger | Type::Float | Type::Decimal)
    }

    pub fn has_order(self) -> bool {
        self.is_number() || self.has_date() || self.has_time()
    }

    pub fn column(self) -> ColumnType {
        match self {
            Type::String => ColumnType::String { length: 255 },
            Type::Text => ColumnType::Text,
            Type::Integer => ColumnType::Integer,
            Type::BigInteger => ColumnType::BigInteger,
            Type::Float => ColumnType::Float,
            Type::Decimal => ColumnType::Decimal { precision: 10, scale: 2 },
            Type::Boolean => ColumnType::Boolean,
            Type::Date => ColumnType::Date,
            Type::Time => ColumnType::Time,
            Type::DateTime => ColumnType::DateTime,
            Type::Timestamp => ColumnType::Timestamp,
            Type::Uuid => ColumnType::Uuid,
            Type::Csv => ColumnType::Csv,
            Type::Json => ColumnType::Json,
        }
    }

    /// Few values, so that they meet.
    pub fn any(self, random: &mut Random) -> Cell {
        let text = |random: &mut Random, choices: &[&str]| Cell::Text((*random.pick(choices)).to_owned());
        match self {
            Type::String | Type::Text => text(
                random,
                &["", "alpha", "Beta", "beta", "ALPHA", "a%b", "x_y", "Élan", "élan", "gamma ray"],
            ),
            Type::Integer => Cell::Int(*random.pick(&[-2, -1, 0, 1, 2, 3, 7])),
            Type::BigInteger => Cell::Int(*random.pick(&[-3, 0, 1, 9_007_199_254_740_993])),
            Type::Float => Cell::Float(*random.pick(&[-1.5, -0.25, 0.25, 0.5, 1.75])),
            Type::Decimal => Cell::Int(*random.pick(&[-125, 0, 50, 100, 1234])),
            Type::Boolean => Cell::Bool(random.one_in(2)),
            Type::Date => {
                text(random, &["2024-02-29", "2025-12-31", "2026-03-01", "2026-03-02", "2027-01-01"])
            }
            Type::Time => text(random, &["00:00:00", "08:30:15", "23:59:59"]),
            Type::DateTime => {
                text(random, &["2024-02-29T23:59:59", "2025-12-31T00:00:00", "2026-03-02T10:00:00"])
            }
            Type::Timestamp => text(
                random,
                &[
                    "2024-02-29T23:59:59.999Z",
                    "2026-03-01T10:00:00.000Z",
                    "2026-03-02T10:00:00.000Z",
                    "2026-03-02T10:00:00.001Z",
                ],
            ),
            Type::Uuid => key(Type::Uuid, 1 + random.below(4) as i64),
            Type::Csv => text(random, &["", "a", "a,b", "b,c,d"]),
            Type::Json => text(random, &["{\"a\": [1]}", "[]", "[1, \"x\"]", "\"text\"", "7"]),
        }
    }
}

/// The key with this number.
pub fn key(holds: Type, number: i64) -> Cell {
    match holds {
        Type::Integer => Cell::Int(number),
        Type::Uuid => Cell::Text(format!("00000000-0000-4000-8000-{number:012}")),
        _ => Cell::Text(format!("k{number}")),
    }
}

impl Cell {
    pub fn is_null(&self) -> bool {
        *self == Cell::Null
    }

    /// The order of two values of one type, neither of them null.
    pub fn order(&self, other: &Cell) -> Ordering {
        match (self, other) {
            (Cell::Bool(one), Cell::Bool(other)) => one.cmp(other),
            (Cell::Int(one), Cell::Int(other)) => one.cmp(other),
            (Cell::Float(one), Cell::Float(other)) => one.total_cmp(other),
            (Cell::Text(one), Cell::Text(other)) => one.as_bytes().cmp(other.as_bytes()),
            _ => panic!("{self:?} and {other:?} are of different types"),
        }
    }

    /// The same with null as the largest of all.
    pub fn order_with_nulls(&self, other: &Cell) -> Ordering {
        match (self.is_null(), other.is_null()) {
            (false, false) => self.order(other),
            (one, other) => one.cmp(&other),
        }
    }

    pub fn text(&self) -> &str {
        match self {
            Cell::Text(text) => text,
            other => panic!("{other:?} is no text"),
        }
    }

    /// As an answer shows it.
    pub fn shown(&self, holds: Type) -> Value {
        match (self, holds) {
            (Cell::Null, _) => Value::Null,
            (Cell::Bool(value), _) => json!(value),
            (Cell::Int(value), Type::Integer) => json!(value),
            (Cell::Int(value), Type::Decimal) => json!(decimal(*value)),
            (Cell::Int(value), _) => json!(value.to_string()),
            (Cell::Float(value), _) => about(*value),
            (Cell::Text(text), Type::Csv) if text.is_empty() => json!([]),
            (Cell::Text(text), Type::Csv) => json!(text.split(',').collect::<Vec<_>>()),
            (Cell::Text(text), Type::Json) => serde_json::from_str(text).expect("JSON"),
            (Cell::Text(text), _) => json!(text),
        }
    }

    /// As a filter names it.
    pub fn operand(&self, holds: Type) -> Value {
        match (self, holds) {
            (Cell::Float(value), _) => json!(value),
            (Cell::Text(text), _) => json!(text),
            _ => self.shown(holds),
        }
    }

    /// As the database is given it.
    pub fn scalar(&self, holds: Type) -> Scalar {
        match (self, holds) {
            (Cell::Null, _) => Scalar::Null,
            (Cell::Bool(value), _) => Scalar::Bool(*value),
            (Cell::Int(value), Type::Decimal) => Scalar::Text(decimal(*value).into()),
            (Cell::Int(value), _) => Scalar::Int(*value),
            (Cell::Float(value), _) => Scalar::Float(*value),
            (Cell::Text(text), _) => Scalar::Text(text.as_str().into()),
        }
    }
}

/// Hundredths as a decimal number.
pub fn decimal(hundredths: i64) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    let digits = hundredths.unsigned_abs();
    format!("{sign}{}.{:02}", digits / 100, digits % 100)
}

/// A number of an expected answer that may be written in any way.
pub fn about(number: f64) -> Value {
    json!({ "~": number })
}

impl Model {
    /// Two to four tables, junctions among them, and the users. `prefix` makes the names of tables differ from those of other worlds.
    pub fn any(random: &mut Random, prefix: &str) -> Model {
        let mut users = Table::new("directus_users".to_owned(), Type::Uuid);
        users.push("name", Kind::Plain, Some(Type::String));
        users.push("level", Kind::Plain, Some(Type::Integer));
        users.push("team", Kind::ToOne(1), Some(Type::Integer));
        let mut tables = vec![users];
        let count = 2 + random.below(3);
        for number in 1..=count {
            // The users point at the first.
            let key = if number == 1 {
                Type::Integer
            } else {
                *random.pick(&[Type::Integer, Type::String, Type::Uuid])
            };
            let mut table = Table::new(format!("{prefix}{}", ["", "a", "b", "c", "d"][number]), key);
            for number in 0..2 + random.below(4) {
                let at = table.push(&format!("f{number}"), Kind::Plain, Some(*random.pick(&Type::COMMON)));
                let field = &mut table.fields[at];
                field.conceal = field.holds == Some(Type::String) && random.one_in(10);
                field.searchable = !random.one_in(10);
            }
            tables.push(table);
        }
        let key_of = |tables: &[Table], table: usize| tables[table].key_type();
        for from in 1..=count {
            if random.one_in(2) {
                tables[from].push("owner", Kind::ToOne(USERS), Some(Type::Uuid));
            }
            for number in 0..random.below(3) {
                let to = 1 + random.below(count);
                let holds = key_of(&tables, to);
                tables[from].push(&format!("one{number}"), Kind::ToOne(to), Some(holds));
            }
        }
        if random.one_in(2) {
            let (left, right) = (1 + random.below(count), 1 + random.below(count));
            let mut junction = Table::new(format!("{prefix}m"), Type::Integer);
            junction.push("left", Kind::ToOne(left), Some(key_of(&tables, left)));
            junction.push("right", Kind::ToOne(right), Some(key_of(&tables, right)));
            junction.push("note", Kind::Plain, Some(Type::String));
            tables.push(junction);
        }
        let mut junction_of_any = None;
        if random.one_in(2) {
            let owner = 1 + random.below(count);
            let mut targets = vec![1 + random.below(count), 1 + random.below(count)];
            targets.dedup();
            let mut junction = Table::new(format!("{prefix}y"), Type::Integer);
            junction.push("parent", Kind::ToOne(owner), Some(key_of(&tables, owner)));
            let kind = Kind::ToAny { tables: targets.clone(), named_by: 3 };
            junction.push("item", kind, Some(Type::String));
            junction.push("collection", Kind::Plain, Some(Type::String));
            tables.push(junction);
            junction_of_any = Some((tables.len() - 1, targets));
        }
        // Lists on the other side of most references.
        for table in 0..tables.len() {
            for by in 0..tables[table].fields.len() {
                if let Kind::ToOne(to) = tables[table].fields[by].kind
                    && !random.one_in(4)
                {
                    let name = format!("many{}", tables[to].fields.len());
                    tables[to].push(&name, Kind::ToMany { table, by }, None);
                }
            }
        }
        if let Some((table, targets)) = junction_of_any
            && random.one_in(2)
        {
            tables[targets[0]].push("uses", Kind::ToMany { table, by: 2 }, None);
        }
        let mut model = Model { tables };
        model.fill(random);
        model
    }

    fn fill(&mut self, random: &mut Random) {
        for (position, table) in self.tables.iter_mut().enumerate() {
            let count = if position == USERS { 3 } else { random.below(10) as i64 };
            let width = table.fields.len();
            for number in 1..=count {
                let mut row = vec![Cell::Null; width];
                row[0] = key(table.key_type(), number);
                table.rows.push(row);
            }
        }
        let keys: Vec<Vec<Cell>> =
            self.tables.iter().map(|table| table.rows.iter().map(|row| row[0].clone()).collect()).collect();
        let names: Vec<String> = self.tables.iter().map(|table| table.name.clone()).collect();
        for table in &mut self.tables {
            let fields = table.fields.clone();
            for row in &mut table.rows {
                for (position, field) in fields.iter().enumerate().skip(1) {
                    match (&field.kind, field.holds) {
                        (Kind::ToOne(to), Some(holds)) => {
                            row[position] = reference(random, &keys[*to], holds)
                        }
                        (Kind::ToAny { tables, named_by }, _) => {
                            let to = *random.pick(tables);
                            let target = reference(random, &keys[to], Type::Integer);
                            row[position] = match target {
                                Cell::Int(number) => Cell::Text(number.to_string()),
                                other => other,
                            };
                            row[*named_by] = match random.below(10) {
                                0 => Cell::Null,
                                1 => Cell::Text("nowhere".to_owned()),
                                _ => Cell::Text(names[to].clone()),
                            };
                        }
                        (Kind::Plain, Some(holds)) if field.name != "collection" && !random.one_in(4) => {
                            row[position] = holds.any(random);
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    /// The same model as the library knows it.
    pub fn schema(&self, version: u64) -> Schema {
        let collections = self.tables.iter().enumerate().map(|(position, table)| {
            let fields = table.fields.iter().map(|field| {
                let kind = match &field.kind {
                    Kind::Plain => FieldKind::Plain,
                    Kind::ToOne(to) => {
                        FieldKind::ManyToOne { related: id(*to), on_delete: OnDelete::NoAction }
                    }
                    Kind::ToMany { table, by } => FieldKind::OneToMany {
                        related: id(*table),
                        related_field: FieldId(*by as u32),
                        junction_field: None,
                        sort: None,
                        on_deselect: OnDeselect::Nullify,
                    },
                    Kind::ToAny { tables, named_by } => FieldKind::ManyToAny {
                        allowed: tables.iter().map(|table| id(*table)).collect(),
                        collection_field: FieldId(*named_by as u32),
                    },
                };
                let mut made = SchemaField::new(
                    field.name.as_str(),
                    kind,
                    field.holds.map(|holds| Column::new(holds.column())),
                );
                made.conceal = field.conceal;
                made.searchable = field.searchable;
                made
            });
            let origin = if position == USERS { Origin::System } else { Origin::Yaml };
            let mut collection = Collection::new(table.name.as_str(), origin, fields.collect());
            collection.primary_key = vec![FieldId(0)];
            collection
        });
        Schema::new(version, collections.collect())
    }

    pub fn field(&self, table: usize, field: usize) -> &Field {
        &self.tables[table].fields[field]
    }
}

fn id(table: usize) -> CollectionId {
    CollectionId(table as u32)
}

/// A key of one of these rows, now and then null or of a row that is not there.
fn reference(random: &mut Random, keys: &[Cell], holds: Type) -> Cell {
    match random.below(10) {
        0 | 1 => Cell::Null,
        2 => key(holds, 99),
        _ if keys.is_empty() => Cell::Null,
        _ => random.pick(keys).clone(),
    }
}
