//! Declarations as they stand in the files: names are not resolved yet, everything knows its place.
//!
//! Start at [`collection`], which reads one file.

use std::collections::HashMap;

use serde_json::Value;

use super::findings::Findings;
use super::keys::{self, Map};
use super::model::{Auto, ColumnType, OnDelete, OnDeselect, Origin, Tracking, Trash};
use super::{field, keys::is_name};
use crate::yaml::{Diagnostic, Node, Position, quoted};

/// Most fields of a collection: what every database takes as columns.
const MOST_FIELDS: usize = 1000;

/// A name that refers to something, with its place.
#[derive(Debug, Clone)]
pub struct Name {
    pub text: String,
    pub at: Position,
}

/// One collection as declared.
#[derive(Debug, Clone)]
pub struct CollectionDecl {
    pub name: Name,
    pub origin: Origin,
    pub was: Vec<Name>,
    pub note: Option<String>,
    pub group: Option<String>,
    pub display_template: Option<(String, Position)>,
    pub archive: Option<ArchiveDecl>,
    pub sort: Option<Name>,
    pub singleton: bool,
    pub hidden: bool,
    pub accountability: Tracking,
    pub versioning: bool,
    pub trash: Option<Trash>,
    pub tenant: Option<Name>,
    pub members: Value,
    pub fields: Vec<FieldDecl>,
    pub indexes: Vec<IndexDecl>,
    pub permissions: Option<Node>,
    pub tests: Option<Node>,
    pub ui: Value,
}

#[derive(Debug, Clone)]
pub struct ArchiveDecl {
    pub field: Name,
    pub archived: Node,
    pub restored: Node,
}

#[derive(Debug, Clone)]
pub struct IndexDecl {
    pub fields: Vec<Name>,
    pub unique: bool,
}

/// One field as declared.
#[derive(Debug, Clone)]
pub struct FieldDecl {
    pub name: Name,
    pub kind: KindDecl,
    pub column: ColumnDecl,
    pub note: Option<String>,
    pub hidden: bool,
    pub readonly: bool,
    pub validation: Value,
    pub validation_message: Option<String>,
}

/// What is said about a column besides its type.
#[derive(Debug, Clone, Default)]
pub struct ColumnDecl {
    pub required: bool,
    pub unique: bool,
    pub index: bool,
    pub default: Option<Node>,
    pub choices: Option<Node>,
    pub min: Option<Node>,
    pub max: Option<Node>,
    pub min_length: Option<(u64, Position)>,
    pub max_length: Option<(u64, Position)>,
    pub pattern: Option<(String, Position)>,
    pub number: Option<Node>,
    pub conceal: bool,
    pub searchable: Option<bool>,
    pub was: Vec<String>,
}

/// What a field is, by the names it uses.
#[derive(Debug, Clone)]
pub enum KindDecl {
    Column {
        column_type: ColumnType,
        auto: Option<Auto>,
        is_key: bool,
    },
    ToOne {
        target: Name,
        on_delete: Option<(OnDelete, Position)>,
        one_to_one: bool,
        auto: Option<Auto>,
    },
    ToAny {
        targets: Vec<Name>,
        collection_field: Name,
    },
    ToMany {
        target: Name,
        field: Name,
        on_deselect: OnDeselect,
        sort: Option<Name>,
        junction: Option<Name>,
    },
    /// m2m whose junction is still to be made or found.
    ManyToMany {
        target: Name,
        through: Option<ThroughDecl>,
        sort: SortDecl,
    },
    /// m2a whose junction is still to be made.
    ManyToManyAny {
        targets: Vec<Name>,
        sort: bool,
    },
    /// Translations whose collection is still to be made.
    Translations {
        languages: Name,
        fields: Vec<FieldDecl>,
    },
    /// One of the three above, its junction known by name.
    Through {
        junction: Name,
        near: Name,
        far: Name,
        sort: Option<Name>,
    },
    Presentation,
    /// Reported already; whoever refers to it is not told again.
    Broken,
}

#[derive(Debug, Clone)]
pub struct ThroughDecl {
    pub junction: Name,
    /// The two columns, when they are named.
    pub columns: Option<(Name, Name)>,
}

#[derive(Debug, Clone)]
pub enum SortDecl {
    No,
    Yes(Position),
    By(Name),
}

impl CollectionDecl {
    /// A collection with nothing but fields.
    pub fn new(name: Name, origin: Origin, fields: Vec<FieldDecl>) -> Self {
        CollectionDecl {
            name,
            origin,
            was: Vec::new(),
            note: None,
            group: None,
            display_template: None,
            archive: None,
            sort: None,
            singleton: false,
            hidden: false,
            accountability: Tracking::All,
            versioning: false,
            trash: None,
            tenant: None,
            members: Value::Null,
            fields,
            indexes: Vec::new(),
            permissions: None,
            tests: None,
            ui: Value::Null,
        }
    }

    /// Position of the field with this name.
    pub fn position(&self, field: &str) -> Option<usize> {
        self.fields.iter().position(|candidate| candidate.name.text == field)
    }

    /// The field with this name.
    pub fn field(&self, name: &str) -> Option<&FieldDecl> {
        self.fields.iter().find(|field| field.name.text == name)
    }

    /// Type of the primary key.
    pub fn key_type(&self) -> Option<&ColumnType> {
        self.fields.iter().find_map(|field| match &field.kind {
            KindDecl::Column { column_type, is_key: true, .. } => Some(column_type),
            _ => None,
        })
    }
}

impl FieldDecl {
    /// A field of which only the kind is known.
    pub fn new(name: Name, kind: KindDecl) -> Self {
        FieldDecl {
            name,
            kind,
            column: ColumnDecl::default(),
            note: None,
            hidden: false,
            readonly: false,
            validation: Value::Null,
            validation_message: None,
        }
    }

    /// Holds a column; unknown for what is broken, which is taken for yes.
    pub fn has_column(&self) -> bool {
        matches!(
            self.kind,
            KindDecl::Column { .. } | KindDecl::ToOne { .. } | KindDecl::ToAny { .. } | KindDecl::Broken
        )
    }
}

/// The text of a node as a reference.
pub fn name_of(node: &Node) -> Name {
    Name { text: node.as_text().unwrap_or_default().to_owned(), at: node.at.clone() }
}

/// All texts of a node, which is one or a list of them.
pub fn names_of(node: Option<&Node>) -> Vec<Name> {
    match node {
        None => Vec::new(),
        Some(node) => node.as_list().unwrap_or(std::slice::from_ref(node)).iter().map(name_of).collect(),
    }
}

/// Reads one file. `None` when it does not even have a name to be known by.
pub fn collection(
    root: &Node,
    group: Option<&str>,
    origin: Origin,
    findings: &mut Findings,
) -> Option<CollectionDecl> {
    if root.as_map().is_none() {
        findings.push(
            Diagnostic::error(&root.at, format!("a collection cannot be {}", root.kind())).expected("a map"),
        );
        return None;
    }
    let map = Map::read(root, &[keys::COLLECTION], "the collection", findings);
    let name = name_of(map.get("collection")?);
    let fields = map.get("fields").map(|node| fields(node, findings)).unwrap_or_default();
    let mut decl = CollectionDecl::new(name, origin, fields);
    decl.was = names_of(map.get("was"));
    decl.note = map.text("note").map(str::to_owned);
    decl.group = match map.get("group") {
        Some(node) => {
            if node.as_text() == Some(decl.name.text.as_str()) {
                findings.push(Diagnostic::error(&node.at, "a collection cannot be its own group"));
            }
            node.as_text().map(str::to_owned)
        }
        None => group.map(str::to_owned),
    };
    decl.display_template = map.get("display_template").map(name_of).map(|name| (name.text, name.at));
    decl.archive = map.get("archive").and_then(|node| {
        Some(ArchiveDecl {
            field: name_of(node.get("field")?),
            archived: node.get("archived")?.clone(),
            restored: node.get("restored")?.clone(),
        })
    });
    decl.sort = map.get("sort").map(name_of);
    decl.singleton = map.flag("singleton").unwrap_or(false);
    decl.hidden = map.flag("hidden").unwrap_or(false);
    decl.accountability = match map.text("accountability") {
        Some("none") => Tracking::Nothing,
        Some("activity") => Tracking::Activity,
        _ => Tracking::All,
    };
    decl.versioning = map.flag("versioning").unwrap_or(false);
    decl.trash = map.get("trash").and_then(|node| trash(node, findings));
    decl.tenant = map.get("tenant").map(name_of);
    decl.members = map.get("members").map(Node::to_json).unwrap_or_default();
    decl.indexes = map.get("indexes").and_then(Node::as_list).unwrap_or_default().iter().map(index).collect();
    decl.permissions = map.get("permissions").cloned();
    decl.tests = map.get("tests").cloned();
    decl.ui = map.get("ui").map(Node::to_json).unwrap_or_default();
    present_aliases(root, &mut decl);
    Some(decl)
}

/// `true`, or for how long: days or hours.
fn trash(node: &Node, findings: &mut Findings) -> Option<Trash> {
    let Some(keep) = node.get("keep") else {
        return (node.as_bool() == Some(true)).then_some(Trash { keep: None });
    };
    let text = keep.as_text().unwrap_or_default();
    let hours = match text.strip_suffix('d') {
        Some(days) => days.parse::<u16>().ok().map(|days| u32::from(days) * 24),
        None => text.strip_suffix('h').and_then(|hours| hours.parse::<u16>().ok()).map(u32::from),
    };
    if hours.is_none_or(|hours| hours == 0) {
        let message = format!("{} is no time to keep something", quoted(text));
        findings.push(Diagnostic::error(&keep.at, message).expected("days or hours, as in 30d or 12h"));
        return None;
    }
    Some(Trash { keep: hours })
}

fn index(node: &Node) -> IndexDecl {
    match node.as_list() {
        Some(_) => IndexDecl { fields: names_of(Some(node)), unique: false },
        None => IndexDecl {
            fields: names_of(node.get("fields")),
            unique: node.get("unique").and_then(Node::as_bool).unwrap_or(false),
        },
    }
}

/// Reads a map of fields. Two names that differ only in case would be one column to some databases.
pub fn fields(node: &Node, findings: &mut Findings) -> Vec<FieldDecl> {
    let whole = field::rejoin(node);
    let entries = whole.as_map().unwrap_or_default();
    if let Some(entry) = entries.get(MOST_FIELDS) {
        let message = format!("a collection has at most {MOST_FIELDS} fields");
        findings.push(Diagnostic::error(&entry.key.at, message));
    }
    let mut fields: Vec<FieldDecl> = Vec::new();
    let mut taken: HashMap<String, (String, u32)> = HashMap::new();
    for entry in entries.iter().take(MOST_FIELDS) {
        if !is_name(&entry.name) {
            let message = format!("{} cannot name a field", quoted(&entry.name));
            findings.push(Diagnostic::error(&entry.key.at, message).expected(keys::NAME_RULE));
            continue;
        }
        let name = Name { text: entry.name.clone(), at: entry.key.at.clone() };
        match taken.get(&entry.name.to_lowercase()) {
            Some((other, line)) => {
                let message =
                    format!("{} claims the column of {} in line {line}", quoted(&entry.name), quoted(other));
                findings.push(Diagnostic::error(&entry.key.at, message));
            }
            None => {
                taken.insert(entry.name.to_lowercase(), (entry.name.clone(), entry.key.at.line));
                fields.push(field::read(name, &entry.value, findings));
            }
        }
    }
    fields
}

/// Says in the part for the admin UI what an alias shows, unless that part says it itself.
fn present_aliases(root: &Node, decl: &mut CollectionDecl) {
    let fields = root.get("fields").and_then(Node::as_map).unwrap_or_default();
    for entry in fields {
        let Some(shown) = entry.value.get("alias").and_then(Node::as_text) else { continue };
        if !decl.ui.is_object() {
            decl.ui = Value::Object(serde_json::Map::new());
        }
        let mut place = Some(&mut decl.ui);
        for step in ["fields", &entry.name] {
            place = place
                .and_then(|value| value.as_object_mut())
                .map(|map| map.entry(step).or_insert_with(|| Value::Object(serde_json::Map::new())));
        }
        if let Some(map) = place.and_then(|value| value.as_object_mut()) {
            map.entry("interface").or_insert_with(|| Value::from(shown));
        }
    }
}

/// Makes sure that there is one primary key: adds `id` when none is declared.
pub fn ensure_key(decl: &mut CollectionDecl, findings: &mut Findings) {
    let is_key = |field: &&FieldDecl| matches!(field.kind, KindDecl::Column { is_key: true, .. });
    let mut keys = decl.fields.iter().filter(is_key);
    if let Some(first) = keys.next() {
        for other in keys {
            let message = format!(
                "{} is a second primary key; {} is one already",
                quoted(&other.name.text),
                quoted(&first.name.text)
            );
            findings.push(Diagnostic::error(&other.name.at, message));
        }
        return;
    }
    if let Some(field) = decl.fields.iter().find(|field| field.name.text.eq_ignore_ascii_case("id")) {
        if !matches!(field.kind, KindDecl::Broken) {
            let message = "no field is the primary key, and \"id\" cannot be added because it is declared as something else";
            let expected = "\"uuid_pk\", \"integer_pk\", \"bigint_pk\" or \"string_pk\"";
            findings.push(Diagnostic::error(&field.name.at, message).expected(expected));
        }
        return;
    }
    let name = Name { text: "id".to_owned(), at: decl.name.at.clone() };
    let kind = KindDecl::Column { column_type: ColumnType::Uuid, auto: Some(Auto::Uuid), is_key: true };
    decl.fields.insert(0, FieldDecl::new(name, kind));
}
