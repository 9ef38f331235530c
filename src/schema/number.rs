//! Business numbers: a series such as `INV-{year}-{seq:5}`, and what has a series of its own.
//!
//! Start at [`complete`], which reads what the files say. Who counts is `items`; here is only how a number looks.

use super::declare::KindDecl;
use super::findings::Findings;
use super::model::{Auto, Collection, ColumnType, FieldId};
use super::resolve::Resolver;
use crate::yaml::{Diagnostic, Node, Position, Style, nearest, quoted};

/// Most digits that a number is filled up to: what fits a counter.
const MOST_DIGITS: u8 = 18;
const PLACES: &str = "{year}, {month}, {day}, {seq}, {seq:5} or a field in braces";

/// How the values of a field are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// What a number is made of; exactly one part is [`Piece::Sequence`].
    pub series: Vec<Piece>,
    /// What has a series of its own.
    pub per: Vec<Per>,
    /// As written, for those who write it again.
    pub written: (String, Vec<String>),
}

/// A part of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// This text.
    Text(String),
    /// A part of the moment of creation, in UTC.
    Moment(Period),
    /// The value of another field.
    Field(FieldId),
    /// What is counted, with zeros in front up to so many digits.
    Sequence {
        /// Fewest digits.
        digits: u8,
    },
}

/// A part of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// Four digits.
    Year,
    /// Two digits.
    Month,
    /// Two digits.
    Day,
}

/// What has a series of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// Each year, each month of a year, each day of a month.
    Period(Period),
    /// Each value of a field.
    Field(FieldId),
}

impl Period {
    fn of(name: &str) -> Option<Self> {
        match name {
            "year" => Some(Period::Year),
            "month" => Some(Period::Month),
            "day" => Some(Period::Day),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Period::Year => "year",
            Period::Month => "month",
            Period::Day => "day",
        }
    }

    /// The parts of a date that tell one such period from every other.
    fn told_by(self) -> &'static [Period] {
        match self {
            Period::Year => &[Period::Year],
            Period::Month => &[Period::Year, Period::Month],
            Period::Day => &[Period::Year, Period::Month, Period::Day],
        }
    }
}

/// Reads `number:` of every field of a collection whose tenant and columns are known.
pub fn complete(resolver: &Resolver<'_>, id: usize, collection: &mut Collection, findings: &mut Findings) {
    let decl = &resolver.decls[id];
    for (position, declared) in decl.fields.iter().enumerate() {
        let Some(node) = &declared.column.number else { continue };
        let field = FieldId(position as u32);
        if !matches!(declared.kind, KindDecl::Column { is_key: false, auto: None, .. }) {
            let message = "only a plain field that is not the primary key can be counted in a series";
            findings.push(Diagnostic::error(&node.at, message).expected("a field of type string or text"));
            continue;
        }
        let before = findings.errors();
        let number = Reader { collection, field, findings }.number(node);
        let is_good = findings.errors() == before;
        let Some(number) = number.filter(|_| is_good) else { continue };
        if let Some(column) = &mut collection.field_mut(field).column {
            column.auto = Some(Auto::Number);
            // The server gives it, so that no request has to.
            column.checks.required = false;
        }
        collection.numbers.push((field, number));
    }
}

struct Reader<'a> {
    collection: &'a Collection,
    field: FieldId,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    fn number(&mut self, node: &Node) -> Option<Number> {
        let series = node.get("series").unwrap_or(node);
        let text = series.as_text()?;
        let pieces = self.series(series, text)?;
        let column = self.collection.field(self.field).column.as_ref()?;
        let fits = match column.column_type {
            ColumnType::String { .. } | ColumnType::Text => true,
            ColumnType::Integer | ColumnType::BigInteger => {
                matches!(pieces.as_slice(), [Piece::Sequence { digits: 0 }])
            }
            _ => false,
        };
        if !fits {
            let message = format!("this series does not fit the type {}", column.column_type);
            let expected = "a string or text, or \"{seq}\" alone for a whole number";
            self.findings.push(Diagnostic::error(&series.at, message).expected(expected));
        }
        if column.default.is_some() || !column.checks.choices.is_empty() {
            let message = "a field that is counted in a series has neither a default nor choices";
            self.findings.push(Diagnostic::error(&node.at, message));
        }
        let names = node.get("per").and_then(Node::as_list).unwrap_or_default();
        let per: Vec<Per> = names.iter().filter_map(|name| self.per(name)).collect();
        let written_per = names.iter().filter_map(Node::as_text).map(str::to_owned).collect();
        let is_unique = column.unique
            || self.collection.indexes.iter().any(|index| index.unique && index.fields.contains(&self.field));
        if is_unique {
            for (per, name) in per.iter().zip(names) {
                self.check_told_apart(&pieces, *per, name);
            }
        }
        Some(Number { series: pieces, per, written: (text.to_owned(), written_per) })
    }

    /// Numbers of two series look alike where nothing in them tells which series they are of.
    fn check_told_apart(&mut self, pieces: &[Piece], per: Per, name: &Node) {
        let missing: Vec<&str> = match per {
            Per::Period(period) => period
                .told_by()
                .iter()
                .filter(|part| !pieces.contains(&Piece::Moment(**part)))
                .map(|part| part.name())
                .collect(),
            // What is unique is so within a tenant.
            Per::Field(field) if self.collection.tenant == Some(field) => return,
            Per::Field(field) if pieces.contains(&Piece::Field(field)) => return,
            Per::Field(field) => vec![&self.collection.field(field).name],
        };
        if !missing.is_empty() {
            let message = format!(
                "numbers would come twice: they are unique, and counted anew per {} without showing it",
                name.as_text().unwrap_or_default()
            );
            let shown: Vec<String> = missing.iter().map(|part| format!("{{{part}}}")).collect();
            let expected = format!("{} in the series", shown.join(" and "));
            self.findings.push(Diagnostic::error(&name.at, message).expected(expected));
        }
    }

    fn per(&mut self, node: &Node) -> Option<Per> {
        let name = node.as_text()?;
        if let Some(period) = Period::of(name) {
            return Some(Per::Period(period));
        }
        if name == "tenant" {
            if let Some(tenant) = self.collection.tenant {
                return Some(Per::Field(tenant));
            }
            if self.collection.find(name).is_none() {
                let message = format!("{} has no tenant", self.collection.name);
                let expected = "\"tenant:\" at the collection, or a field";
                self.findings.push(Diagnostic::error(&node.at, message).expected(expected));
                return None;
            }
        }
        self.other_field(name, &node.at).map(Per::Field)
    }

    /// Splits a series into its pieces; every fault is reported where it stands.
    fn series(&mut self, node: &Node, text: &str) -> Option<Vec<Piece>> {
        let before = self.findings.errors();
        let mut pieces: Vec<Piece> = Vec::new();
        let mut rest = text;
        let place = |rest: &str| place(node, text, rest);
        while let Some(start) = rest.find(['{', '}']) {
            if start > 0 {
                pieces.push(Piece::Text(rest[..start].to_owned()));
            }
            let at = place(&rest[start..]);
            let inside = rest[start..].strip_prefix('{').and_then(|inside| inside.split_once('}'));
            let Some((inside, behind)) = inside else {
                let what = if rest[start..].starts_with('{') { "is not closed" } else { "closes nothing" };
                let brace = &rest[start..=start];
                self.findings.push(Diagnostic::error(&at, format!("a \"{brace}\" of the series {what}")));
                return None;
            };
            if let Some(piece) = self.piece(inside, &at) {
                pieces.push(piece);
            }
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        let counted = pieces.iter().filter(|piece| matches!(piece, Piece::Sequence { .. })).count();
        if counted != 1 && self.findings.errors() == before {
            let message = match counted {
                0 => "the series counts nothing".to_owned(),
                _ => format!("the series counts {counted} times"),
            };
            self.findings.push(
                Diagnostic::error(&node.at, message).expected("one \"{seq}\", as in INV-{year}-{seq:5}"),
            );
        }
        (self.findings.errors() == before).then_some(pieces)
    }

    fn piece(&mut self, inside: &str, at: &Position) -> Option<Piece> {
        let (name, digits) = match inside.split_once(':') {
            Some((name, digits)) => (name, Some(digits)),
            None => (inside, None),
        };
        if name == "seq" {
            let digits = match digits {
                None => Some(0),
                Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse::<u8>().ok(),
                Some(_) => None,
            };
            let Some(digits) = digits.filter(|digits| *digits <= MOST_DIGITS) else {
                let message = format!("{} is no number of digits", quoted(inside));
                let expected = format!("1 to {MOST_DIGITS} digits, as in {{seq:5}}");
                self.findings.push(Diagnostic::error(at, message).expected(expected));
                return None;
            };
            return Some(Piece::Sequence { digits });
        }
        if digits.is_some() {
            let message = format!("only \"seq\" has digits behind a colon, not {}", quoted(name));
            self.findings.push(Diagnostic::error(at, message));
            return None;
        }
        match Period::of(name) {
            Some(period) => Some(Piece::Moment(period)),
            None => self.other_field(name, at).map(Piece::Field),
        }
    }

    /// A field of the item that is known before it is written.
    fn other_field(&mut self, name: &str, at: &Position) -> Option<FieldId> {
        let Some(id) = self.collection.find(name) else {
            let message = format!("{} has no field {}", self.collection.name, quoted(name));
            let fields = self.collection.fields().map(|(_, field)| &*field.name);
            let known = fields.chain(["year", "month", "day", "seq"]);
            let suggestion = nearest(name, known).map(str::to_owned);
            let diagnostic = Diagnostic::error(at, message).expected(PLACES);
            self.findings.push(Diagnostic { suggestion, ..diagnostic });
            return None;
        };
        let field = self.collection.field(id);
        let is_known = field.column.as_ref().is_some_and(|column| {
            let is_counted = matches!(column.auto, Some(Auto::Increment | Auto::Number));
            let is_short = !matches!(
                column.column_type,
                ColumnType::Json | ColumnType::Binary | ColumnType::Hash | ColumnType::Unknown { .. }
            );
            id != self.field && !is_counted && is_short && !field.conceal
        });
        if !is_known {
            let message = format!("a number cannot be made of {}", quoted(name));
            let expected = "a field with a plain value that is known before the item is written";
            self.findings.push(Diagnostic::error(at, message).expected(expected));
            return None;
        }
        Some(id)
    }
}

/// Where a part of a text stands in the file; of a text over several lines, where it begins.
fn place(node: &Node, text: &str, rest: &str) -> Position {
    let quote = match node.style {
        Style::Plain => 0,
        Style::Quoted => 1,
        Style::BlockText | Style::Flow | Style::Block => return node.at.clone(),
    };
    let before = text[..text.len() - rest.len()].chars().count() as u32;
    Position { column: node.at.column + quote + before, ..node.at.clone() }
}
