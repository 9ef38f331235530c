//! Reads the declaration of one field, in short or long form.

use std::borrow::Cow;

use super::declare::{
    ColumnDecl, FieldDecl, KindDecl, Name, SortDecl, ThroughDecl, fields, name_of, names_of,
};
use super::findings::Findings;
use super::keys::{self, Form, Map};
use super::model::{Auto, ColumnType, OnDelete, OnDeselect};
use super::types::{self, Type};
use crate::yaml::{Diagnostic, Node, Style, Yaml, quoted};

/// Reads the field called `name`.
pub fn read(name: Name, node: &Node, findings: &mut Findings) -> FieldDecl {
    let node = rejoin(node);
    match &node.value {
        Yaml::Text(text) => match types::parse(text) {
            Ok((short, required)) => read_short(name, short, required, &node, findings),
            Err(mistake) => {
                types::report(mistake, &node, findings);
                FieldDecl::new(name, KindDecl::Broken)
            }
        },
        Yaml::Map(_) => read_long(name, &node, findings),
        _ => {
            let message = format!("the field {} cannot be {}", quoted(&name.text), node.kind());
            findings.push(
                Diagnostic::error(&node.at, message).expected("a type, or a map with \"type\" or a relation"),
            );
            FieldDecl::new(name, KindDecl::Broken)
        }
    }
}

/// Between brackets YAML ends a value at a comma, so that `{ type: decimal(12,2) }` comes as `type: decimal(12` and `2)`. People write
/// it nevertheless, and what they mean is plain.
pub fn rejoin(node: &Node) -> Cow<'_, Node> {
    let torn = |value: &Node| {
        value.style == Style::Plain
            && value.as_text().is_some_and(|text| text.contains('(') && !text.contains(')'))
    };
    let entries = node.as_map().unwrap_or_default();
    if node.style != Style::Flow || !entries.iter().any(|entry| torn(&entry.value)) {
        return Cow::Borrowed(node);
    }
    let mut whole: Vec<crate::yaml::Entry> = Vec::with_capacity(entries.len());
    for entry in entries {
        let rest = entry.name.trim_end_matches('!').strip_suffix(')');
        let is_rest =
            rest.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
        match whole.last_mut() {
            Some(previous) if is_rest && entry.value.is_null() && torn(&previous.value) => {
                if let Yaml::Text(text) = &mut previous.value.value {
                    text.push(',');
                    text.push_str(&entry.name);
                }
                previous.value.end = entry.key.end;
            }
            _ => whole.push(entry.clone()),
        }
    }
    Cow::Owned(Node { value: Yaml::Map(whole), ..node.clone() })
}

fn read_short(name: Name, short: Type, required: bool, node: &Node, findings: &mut Findings) -> FieldDecl {
    let has_column = form_of(&short).has_column;
    let mut field = FieldDecl::new(name, kind_of_type(short, node));
    if required && !has_column {
        findings.push(Diagnostic::error(&node.at, "\"!\" says nothing about a field without a column"));
    }
    field.column.required = required;
    field
}

fn read_long(name: Name, node: &Node, findings: &mut Findings) -> FieldDecl {
    let entries = node.as_map().unwrap_or_default();
    let mut forms = keys::FORMS.iter().filter(|form| node.get(form.key.name).is_some());
    let Some(declared) = forms.next() else {
        // The nearest key of a misspelt `tpye` is worth more than the news that none was found.
        let misspelt = entries.iter().find_map(|entry| {
            let known = keys::COMMON.iter().chain(keys::COLUMN).any(|known| known.name == entry.name);
            let near = crate::yaml::nearest(&entry.name, keys::FORMS.iter().map(|form| form.key.name));
            near.filter(|_| !known).map(|near| (entry, near))
        });
        match misspelt {
            Some((entry, near)) => findings.push(Diagnostic {
                suggestion: Some(near.to_owned()),
                ..Diagnostic::error(&entry.key.at, format!("unknown key {}", quoted(&entry.name)))
            }),
            None => {
                let message = format!("the field {} has neither a type nor a relation", quoted(&name.text));
                findings.push(Diagnostic::error(&node.at, message).expected("\"type\" or a relation"));
            }
        }
        return FieldDecl::new(name, KindDecl::Broken);
    };
    if let Some(second) = forms.next() {
        let message = format!("a field has either \"{}\" or \"{}\"", declared.key.name, second.key.name);
        findings.push(Diagnostic::error(&node.at, message));
        return FieldDecl::new(name, KindDecl::Broken);
    }
    // `type: m2o(companies)` takes the keys of `m2o: companies`.
    let short = match declared.key.name {
        "type" => node.get("type").and_then(Node::as_text).and_then(|text| types::parse(text).ok()),
        _ => None,
    };
    let form = short.as_ref().map_or(declared, |(short, _)| form_of(short));
    let column: &[keys::Key] = if form.has_column { keys::COLUMN } else { &[] };
    let tables = [std::slice::from_ref(&declared.key), keys::COMMON, column, form.own];
    let what = format!("the field {}", quoted(&name.text));
    let map = Map::read_with(node, &tables, &what, findings, |key| misplaced(key, form));

    let kind = match short {
        Some((short, _)) => map.get("type").map(|node| kind_of_type(short, node)),
        None => kind_of_form(form, &map, findings),
    };
    let mut field = FieldDecl::new(name, kind.unwrap_or(KindDecl::Broken));
    complete(&mut field.kind, &map);
    field.note = map.text("note").map(str::to_owned);
    field.hidden = map.flag("hidden").unwrap_or(false);
    field.readonly = map.flag("readonly").unwrap_or(false);
    field.validation = map.get("validation").map(Node::to_json).unwrap_or_default();
    field.validation_message = map.text("validation_message").map(str::to_owned);
    field.column = column_of(&map);
    field
}

/// A word on a key that exists and means nothing for this form.
fn misplaced(key: &str, form: &Form) -> Option<String> {
    let exists = keys::COLUMN.iter().any(|known| known.name == key)
        || keys::FORMS.iter().any(|other| other.own.iter().any(|known| known.name == key));
    let what = match form.key.name {
        "type" => "a field of this type".to_owned(),
        relation => format!("\"{relation}\""),
    };
    exists.then(|| format!("\"{key}\" does not apply to {what}"))
}

fn column_of(map: &Map<'_>) -> ColumnDecl {
    let placed_count = |name: &str| Some((map.count(name)?, map.get(name)?.at.clone()));
    ColumnDecl {
        required: map.flag("required").unwrap_or(false),
        unique: map.flag("unique").unwrap_or(false),
        index: map.flag("index").unwrap_or(false),
        default: map.get("default").cloned(),
        choices: map.get("choices").cloned(),
        min: map.get("min").cloned(),
        max: map.get("max").cloned(),
        min_length: placed_count("min_length"),
        max_length: placed_count("max_length"),
        pattern: map.get("pattern").map(name_of).map(|name| (name.text, name.at)),
        number: map.get("number").cloned(),
        conceal: map.flag("conceal").unwrap_or(false),
        searchable: map.flag("searchable"),
        was: map.names("was"),
    }
}

/// The form whose keys a short form takes.
fn form_of(short: &Type) -> &'static Form {
    keys::form(match short {
        Type::Column(_) | Type::Key(_) | Type::Word("created_at" | "updated_at") => "type",
        Type::Word("files") => "m2m",
        Type::Word(_) => "m2o",
        Type::Relation { kind, .. } => kind,
    })
}

fn kind_of_type(short: Type, node: &Node) -> KindDecl {
    let name = |text: &str| Name { text: text.to_owned(), at: node.at.clone() };
    let to_one = |target: &str, one_to_one, auto| KindDecl::ToOne {
        target: name(target),
        on_delete: None,
        one_to_one,
        auto,
    };
    let timestamp =
        |auto| KindDecl::Column { column_type: ColumnType::Timestamp, auto: Some(auto), is_key: false };
    match short {
        Type::Column(column_type) => KindDecl::Column { column_type, auto: None, is_key: false },
        Type::Key(column_type) => {
            let auto = match column_type {
                ColumnType::Uuid => Some(Auto::Uuid),
                ColumnType::Integer | ColumnType::BigInteger => Some(Auto::Increment),
                _ => None,
            };
            KindDecl::Column { column_type, auto, is_key: true }
        }
        Type::Word("created_at") => timestamp(Auto::CreatedAt),
        Type::Word("updated_at") => timestamp(Auto::UpdatedAt),
        Type::Word("created_by") => to_one("directus_users", false, Some(Auto::CreatedBy)),
        Type::Word("updated_by") => to_one("directus_users", false, Some(Auto::UpdatedBy)),
        Type::Word("files") => {
            KindDecl::ManyToMany { target: name("directus_files"), through: None, sort: SortDecl::No }
        }
        Type::Word(_) => to_one("directus_files", false, None),
        Type::Relation { kind: "o2m", collection, field } => KindDecl::ToMany {
            target: name(&collection),
            field: name(&field.unwrap_or_default()),
            on_deselect: OnDeselect::Nullify,
            sort: None,
            junction: None,
        },
        Type::Relation { kind: "m2m", collection, .. } => {
            KindDecl::ManyToMany { target: name(&collection), through: None, sort: SortDecl::No }
        }
        Type::Relation { kind, collection, .. } => to_one(&collection, kind == "o2o", None),
    }
}

fn kind_of_form(form: &Form, map: &Map<'_>, findings: &mut Findings) -> Option<KindDecl> {
    let node = map.get(form.key.name)?;
    let name = |text: &str| Name { text: text.to_owned(), at: node.at.clone() };
    Some(match form.key.name {
        "m2o" | "o2o" => KindDecl::ToOne {
            target: name_of(node),
            on_delete: None,
            one_to_one: form.key.name == "o2o",
            auto: None,
        },
        "a2o" => KindDecl::ToAny {
            targets: names_of(Some(node)),
            collection_field: name_of(map.get("collection_field")?),
        },
        "o2m" => {
            let (target, field) = node.as_text()?.split_once('.')?;
            KindDecl::ToMany {
                target: name(target),
                field: name(field),
                on_deselect: OnDeselect::Nullify,
                sort: None,
                junction: None,
            }
        }
        "m2m" => KindDecl::ManyToMany { target: name_of(node), through: None, sort: SortDecl::No },
        "m2a" => KindDecl::ManyToManyAny { targets: names_of(Some(node)), sort: false },
        "translations" => {
            KindDecl::Translations { languages: name("languages"), fields: fields(node, findings) }
        }
        "alias" => KindDecl::Presentation,
        _ => return None,
    })
}

/// Puts what the form's own keys say into the kind.
fn complete(kind: &mut KindDecl, map: &Map<'_>) {
    match kind {
        KindDecl::ToOne { on_delete, .. } => {
            let read = map.get("on_delete").and_then(|node| {
                let read = match node.as_text()? {
                    "restrict" => OnDelete::Restrict,
                    "cascade" => OnDelete::Cascade,
                    "set_null" => OnDelete::SetNull,
                    _ => OnDelete::NoAction,
                };
                Some((read, node.at.clone()))
            });
            *on_delete = read;
        }
        KindDecl::ToMany { on_deselect, sort, junction, .. } => {
            *junction = map.get("junction").map(name_of);
            if map.text("on_deselect") == Some("delete") {
                *on_deselect = OnDeselect::Delete;
            }
            *sort = map.get("sort").map(name_of);
        }
        KindDecl::ManyToMany { through, sort, .. } => {
            *through = map.get("through").map(|node| match node.get("collection") {
                None => ThroughDecl { junction: name_of(node), columns: None },
                Some(junction) => ThroughDecl {
                    junction: name_of(junction),
                    columns: node.get("from").map(name_of).zip(node.get("to").map(name_of)),
                },
            });
            *sort = match map.get("sort") {
                Some(node) if node.as_text().is_some() => SortDecl::By(name_of(node)),
                Some(node) if node.as_bool() == Some(true) => SortDecl::Yes(node.at.clone()),
                _ => SortDecl::No,
            };
        }
        KindDecl::ManyToManyAny { sort, .. } => *sort = map.flag("sort").unwrap_or(false),
        KindDecl::Translations { languages, .. } => {
            if let Some(node) = map.get("languages") {
                *languages = name_of(node);
            }
        }
        _ => {}
    }
}
