//! Every key of the format, with what it takes and what it is for.
//!
//! One table for two readers: [`check`] holds files against it, and the JSON Schema for editors is printed from it, so that the two
//! cannot drift.

pub mod access;

use std::collections::HashMap;

use super::findings::Findings;
use super::types;
use crate::yaml::{Diagnostic, Entry, Node, Yaml, quoted};

/// One key of a map.
#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    pub takes: Shape,
    pub about: &'static str,
    pub required: bool,
}

/// What a key takes.
#[derive(Debug)]
pub enum Shape {
    /// The name of a collection or field.
    Name,
    /// A collection and one of its fields: `invoice_lines.invoice`.
    FarField,
    /// A short form of a type.
    Type,
    /// Any text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number that is not negative.
    Count,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A text, number or boolean.
    Scalar,
    /// `null`.
    Null,
    /// Anything at all.
    Anything,
    /// A map with any content.
    AnyMap,
    /// A map with these keys.
    Object(&'static [Key]),
    /// A map of any names to this.
    MapOf(&'static Shape),
    /// A list of at least one of these.
    ListOf(&'static Shape),
    /// A list with any content, perhaps none.
    AnyList,
    /// The first of these that fits by its kind.
    Either(&'static [Shape]),
    /// The declaration of a field, which its own reader checks.
    Field,
}

const fn key(name: &'static str, takes: Shape, about: &'static str) -> Key {
    Key { name, takes, about, required: false }
}

const fn needed(name: &'static str, takes: Shape, about: &'static str) -> Key {
    Key { name, takes, about, required: true }
}

const NAMES: Shape = Shape::Either(&[Shape::Name, Shape::ListOf(&Shape::Name)]);

/// Keys of a collection file.
pub const COLLECTION: &[Key] = &[
    needed("collection", Shape::Name, "Name of the table and of the API path"),
    key("was", NAMES, "Former name (or list of them): the table is renamed, never dropped and made anew"),
    key("note", Shape::Text, "What it is for"),
    key(
        "group",
        Shape::Either(&[Shape::Text, Shape::Null]),
        "Folder in which people see it; the name of the folder that holds the file when left out",
    ),
    key("display_template", Shape::Text, "How one item is shown, fields in {{ }}"),
    key(
        "archive",
        Shape::Object(&[
            needed("field", Shape::Name, "The field that says whether an item is archived"),
            needed("archived", Shape::Scalar, "Its value when archived"),
            needed("restored", Shape::Scalar, "Its value when restored"),
        ]),
        "Archiving sets the field to one value, restoring to the other",
    ),
    key(
        "sort",
        Shape::Name,
        "Field that orders items when a request names none; the primary key when left out",
    ),
    key("singleton", Shape::Flag, "Holds exactly one item"),
    key("hidden", Shape::Flag, "Not listed for people (junctions, say)"),
    key(
        "accountability",
        Shape::OneOf(&["all", "activity", "none"]),
        "What is recorded about writes: activity and revisions, activity only, nothing",
    ),
    key("versioning", Shape::Flag, "Content versions are offered"),
    key(
        "trash",
        Shape::Either(&[
            Shape::Flag,
            Shape::Object(&[needed("keep", Shape::Text, "For how long, as in 30d or 12h")]),
        ]),
        "What is deleted can be restored: true, or for how long",
    ),
    key("tenant", Shape::Name, "The m2o field whose target owns the row"),
    key("members", Shape::AnyMap, "Items are tenants; the filter finds those that whoever asks belongs to"),
    needed(
        "fields",
        Shape::MapOf(&Shape::Field),
        "Name to field, in order; an id: uuid_pk is added when none is a key",
    ),
    key(
        "indexes",
        Shape::ListOf(&Shape::Either(&[
            Shape::ListOf(&Shape::Name),
            Shape::Object(&[
                needed("fields", Shape::ListOf(&Shape::Name), "Fields in order"),
                key("unique", Shape::Flag, "No two rows may agree in all of them"),
            ]),
        ])),
        "Indexes over several fields",
    ),
    key("permissions", Shape::MapOf(&access::RIGHTS), "Per policy: what it may do here"),
    key("tests", access::TESTS, "Requests and what must become of them, run by `tablature check`"),
    key(
        "ui",
        Shape::AnyMap,
        "What only the admin UI reads: icon, colour, translations, interface and width per field",
    ),
];

/// Keys of a file that adds to a system collection.
pub const SYSTEM_ADDITION: &[&str] = &["collection", "fields", "permissions", "tests"];
/// System collections whose rows may belong to tenants, by a field that was added to them.
pub const OF_TENANTS: &[&str] = &["directus_files", "directus_folders"];

/// Keys that every field may have.
pub const COMMON: &[Key] = &[
    key("note", Shape::Text, "What it is for"),
    key("hidden", Shape::Flag, "Not shown in forms"),
    key("readonly", Shape::Flag, "Shown in forms, not edited there"),
    key("validation", Shape::AnyMap, "A filter that an item must fit when it is sent"),
    key("validation_message", Shape::Text, "What whoever breaks it is told"),
];

const NUMBER: Shape = Shape::Object(&[
    needed(
        "series",
        Shape::Text,
        "How a number looks: texts, {year}, {month}, {day}, {field} and {seq} or {seq:5}",
    ),
    key(
        "per",
        Shape::ListOf(&Shape::Name),
        "What has a series of its own: tenant, year, month, day or fields",
    ),
]);

/// Keys of fields that hold a column.
pub const COLUMN: &[Key] = &[
    key("required", Shape::Flag, "The column is not null, and a request without it is refused"),
    key("unique", Shape::Flag, "No two items may have the same value"),
    key("index", Shape::Flag, "Has an index"),
    key("default", Shape::Anything, "Value when none is sent; now for dates and times, uuid for uuid"),
    key(
        "choices",
        Shape::Either(&[Shape::ListOf(&Shape::Scalar), Shape::MapOf(&Shape::Text)]),
        "The only values allowed: a list, or a map of value to label",
    ),
    key("min", Shape::Scalar, "Smallest number, earliest date or time"),
    key("max", Shape::Scalar, "Largest number, latest date or time"),
    key("min_length", Shape::Count, "Fewest characters of a text, or entries of a csv"),
    key("max_length", Shape::Count, "Most characters of a text, or entries of a csv"),
    key("pattern", Shape::Text, "Regular expression that a text must match"),
    key(
        "number",
        Shape::Either(&[Shape::Text, NUMBER]),
        "The server counts: a series such as INV-{year}-{seq:5}, without gaps",
    ),
    key("conceal", Shape::Flag, "Answers show ********** instead of the value"),
    key("searchable", Shape::Flag, "false: search leaves it out"),
    key("was", NAMES, "Former name (or list of them): the column is renamed"),
];

/// One way to declare a field in long form, known by the key that it must have.
#[derive(Debug)]
pub struct Form {
    pub key: Key,
    /// Holds a column, and takes the keys of one.
    pub has_column: bool,
    /// Keys that only this form takes.
    pub own: &'static [Key],
}

const ON_DELETE: Key = key(
    "on_delete",
    Shape::OneOf(&["restrict", "cascade", "set_null", "no_action"]),
    "What becomes of this row when the item it points at is deleted",
);

const THROUGH: Key = key(
    "through",
    Shape::Either(&[
        Shape::Name,
        Shape::Object(&[
            needed("collection", Shape::Name, "The junction"),
            needed("from", Shape::Name, "Its m2o that points here"),
            needed("to", Shape::Name, "Its m2o that points at the other side"),
        ]),
    ]),
    "An own collection as junction",
);

/// All forms; `type` is the first.
pub const FORMS: &[Form] = &[
    Form {
        key: key("type", Shape::Type, "A short form, without the exclamation mark"),
        has_column: true,
        own: &[],
    },
    Form {
        key: key("m2o", Shape::Name, "Points at one item of this collection"),
        has_column: true,
        own: &[ON_DELETE],
    },
    Form {
        key: key("o2o", Shape::Name, "Points at one item of this collection, each at most once"),
        has_column: true,
        own: &[ON_DELETE],
    },
    Form {
        key: key("o2m", Shape::FarField, "The items of another collection whose field points here"),
        has_column: false,
        own: &[
            key(
                "on_deselect",
                Shape::OneOf(&["nullify", "delete"]),
                "What becomes of an item that is taken out",
            ),
            key("sort", Shape::Name, "Field of the other collection that orders the items"),
            key("junction", Shape::Name, "Where the other collection is a junction: its field that leads on"),
        ],
    },
    Form {
        key: key("m2m", Shape::Name, "Many of this collection, through a junction"),
        has_column: false,
        own: &[
            THROUGH,
            key(
                "sort",
                Shape::Either(&[Shape::Flag, Shape::Name]),
                "true: kept in order; with through: the field of the junction that keeps it",
            ),
        ],
    },
    Form {
        key: key("m2a", Shape::ListOf(&Shape::Name), "Many of any of these collections, through a junction"),
        has_column: false,
        own: &[key("sort", Shape::Flag, "Kept in order")],
    },
    Form {
        key: key("a2o", Shape::ListOf(&Shape::Name), "One item of any of these collections"),
        has_column: true,
        own: &[needed("collection_field", Shape::Name, "The field that names the collection")],
    },
    Form {
        key: key("translations", Shape::MapOf(&Shape::Field), "Fields that exist once per language"),
        has_column: false,
        own: &[key("languages", Shape::Name, "The collection of languages; languages when left out")],
    },
    Form {
        key: key("alias", Shape::Name, "Shown in forms only, holds nothing"),
        has_column: false,
        own: &[],
    },
];

/// The form with this key.
pub fn form(name: &str) -> &'static Form {
    FORMS.iter().find(|form| form.key.name == name).unwrap_or(&FORMS[0])
}

/// Whether a text may name a collection or field.
pub fn is_name(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

/// The same for editors.
pub const NAME_PATTERN: &str = "[A-Za-z_][A-Za-z0-9_]{0,62}";

/// How a name has to look.
pub const NAME_RULE: &str =
    "a name of letters, digits and _, not beginning with a digit, at most 63 characters";

impl Shape {
    /// What could stand here, for messages.
    pub fn describe(&self) -> String {
        match self {
            Shape::Name => NAME_RULE.to_owned(),
            Shape::FarField => "a collection and its field, as in invoice_lines.invoice".to_owned(),
            Shape::Type => "a type".to_owned(),
            Shape::Text => "a text".to_owned(),
            Shape::Flag => "true or false".to_owned(),
            Shape::Count => "a whole number".to_owned(),
            Shape::OneOf([only]) => format!("\"{only}\""),
            Shape::OneOf(words) => one_of(words),
            Shape::Scalar => "a single value".to_owned(),
            Shape::Null => "null".to_owned(),
            Shape::Anything => "a value".to_owned(),
            Shape::AnyMap | Shape::Object(_) | Shape::MapOf(_) => "a map".to_owned(),
            Shape::ListOf(Shape::Name) => "a list of names".to_owned(),
            Shape::ListOf(_) | Shape::AnyList => "a list".to_owned(),
            Shape::Either(shapes) => {
                let mut all: Vec<String> = shapes.iter().map(Shape::describe).collect();
                all.dedup();
                all.join(", or ")
            }
            Shape::Field => "a field".to_owned(),
        }
    }

    /// Whether the kind of a value is right, whatever is inside.
    fn fits_kind(&self, node: &Node) -> bool {
        match self {
            Shape::Name | Shape::FarField | Shape::Type | Shape::Text | Shape::OneOf(_) => {
                node.as_text().is_some()
            }
            Shape::Flag => node.as_bool().is_some(),
            Shape::Count => matches!(node.value, Yaml::Number(_)),
            Shape::Scalar => node.is_scalar() && !node.is_null(),
            Shape::Null => node.is_null(),
            Shape::Anything => true,
            Shape::AnyMap | Shape::Object(_) | Shape::MapOf(_) => node.as_map().is_some(),
            Shape::ListOf(_) | Shape::AnyList => node.as_list().is_some(),
            Shape::Either(shapes) => shapes.iter().any(|shape| shape.fits_kind(node)),
            Shape::Field => node.as_text().is_some() || node.as_map().is_some(),
        }
    }
}

/// Words as a sentence: `a, b or c`.
pub fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [front @ .., last] => format!("{} or {last}", front.join(", ")),
    }
}

/// Holds a value against a shape; `name` is the key it stands behind. Reports everything that is wrong inside.
pub fn check(name: &str, node: &Node, shape: &Shape, findings: &mut Findings) -> bool {
    if !shape.fits_kind(node) {
        let message = format!("{} cannot be {}", quoted(name), node.kind());
        findings.push(Diagnostic::error(&node.at, message).expected(shape.describe()));
        return false;
    }
    let before = findings.errors();
    match shape {
        Shape::Name => check_name(node, findings),
        Shape::FarField => {
            let text = node.as_text().unwrap_or_default();
            if !text.split_once('.').is_some_and(|(collection, field)| is_name(collection) && is_name(field))
            {
                let message = format!("{} cannot be {}", quoted(name), quoted(text));
                findings.push(Diagnostic::error(&node.at, message).expected(shape.describe()));
            }
        }
        Shape::Type => types::check(node, findings),
        Shape::Count => {
            if !matches!(&node.value, Yaml::Number(number) if number.as_u64().is_some_and(|count| count <= 1_000_000_000))
            {
                let message = format!("{} cannot be {}", quoted(name), node.to_json());
                findings.push(Diagnostic::error(&node.at, message).expected(shape.describe()));
            }
        }
        Shape::OneOf(words) => {
            let text = node.as_text().unwrap_or_default();
            if !words.contains(&text) {
                let message = format!("{} cannot be {}", quoted(name), quoted(text));
                let diagnostic = Diagnostic::error(&node.at, message).expected(shape.describe());
                findings.push_nearest(diagnostic, text, words.iter().copied());
            }
        }
        Shape::Object(keys) => {
            Map::read(node, &[keys], name, findings);
        }
        // What fields are is checked where they are read.
        Shape::MapOf(Shape::Field) => {}
        Shape::MapOf(inner) => {
            for entry in node.as_map().unwrap_or_default() {
                check(&entry.name, &entry.value, inner, findings);
            }
        }
        Shape::ListOf(inner) => {
            let items = node.as_list().unwrap_or_default();
            if items.is_empty() {
                findings.push(Diagnostic::error(&node.at, format!("the list of {} is empty", quoted(name))));
            }
            for item in items {
                check(name, item, inner, findings);
            }
        }
        Shape::Either(shapes) => {
            if let Some(shape) = shapes.iter().find(|shape| shape.fits_kind(node)) {
                check(name, node, shape, findings);
            }
        }
        Shape::Text
        | Shape::Flag
        | Shape::Scalar
        | Shape::Null
        | Shape::Anything
        | Shape::AnyMap
        | Shape::AnyList
        | Shape::Field => {}
    }
    findings.errors() == before
}

/// Reports a text that cannot name a collection or field.
pub fn check_name(node: &Node, findings: &mut Findings) {
    let text = node.as_text().unwrap_or_default();
    if !is_name(text) {
        findings
            .push(Diagnostic::error(&node.at, format!("{} is not a name", quoted(text))).expected(NAME_RULE));
    }
}

/// A map whose keys are known: what was written behind those that are as they should be.
pub struct Map<'a> {
    good: HashMap<&'static str, &'a Entry>,
}

impl<'a> Map<'a> {
    /// Checks every entry against the tables and reports keys that are unknown, of the wrong kind, or missing.
    pub fn read(node: &'a Node, tables: &[&'static [Key]], what: &str, findings: &mut Findings) -> Self {
        Map::read_with(node, tables, what, findings, |_| None)
    }

    /// Like [`Map::read`], with a word on keys that exist and have no business here.
    pub fn read_with(
        node: &'a Node,
        tables: &[&'static [Key]],
        what: &str,
        findings: &mut Findings,
        misplaced: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let keys = || tables.iter().flat_map(|table| table.iter());
        let mut good = HashMap::new();
        for entry in node.as_map().unwrap_or_default() {
            match keys().find(|key| key.name == entry.name) {
                Some(key) => {
                    if check(key.name, &entry.value, &key.takes, findings) {
                        good.insert(key.name, entry);
                    }
                }
                None => match misplaced(&entry.name) {
                    Some(message) => findings.push(Diagnostic::error(&entry.key.at, message)),
                    None => {
                        let diagnostic =
                            Diagnostic::error(&entry.key.at, format!("unknown key {}", quoted(&entry.name)));
                        findings.push_nearest(diagnostic, &entry.name, keys().map(|key| key.name));
                    }
                },
            }
        }
        for key in keys().filter(|key| key.required && node.get(key.name).is_none()) {
            findings.push(Diagnostic::error(&node.at, format!("{what} has no \"{}\"", key.name)));
        }
        Map { good }
    }

    /// The value of a key, when it is there and as it should be.
    pub fn get(&self, name: &str) -> Option<&'a Node> {
        self.good.get(name).map(|entry| &entry.value)
    }

    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.as_text()
    }

    pub fn flag(&self, name: &str) -> Option<bool> {
        self.get(name)?.as_bool()
    }

    pub fn count(&self, name: &str) -> Option<u64> {
        match &self.get(name)?.value {
            Yaml::Number(number) => number.as_u64(),
            _ => None,
        }
    }

    /// A text or a list of texts.
    pub fn names(&self, name: &str) -> Vec<String> {
        match self.get(name) {
            None => Vec::new(),
            Some(node) => match node.as_list() {
                Some(items) => items.iter().filter_map(Node::as_text).map(str::to_owned).collect(),
                None => node.as_text().map(str::to_owned).into_iter().collect(),
            },
        }
    }
}
