//! The model as TypeScript, for the schema parameter of `createDirectus<Schema>()` of the public SDK.
//!
//! An interface per collection, each relation as the key or the item it leads to. Of the system's collections there is what the
//! project adds, since the SDK knows the rest; those that are referred to are listed with their key alone, by which the SDK
//! recognises a relation.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use crate::schema::{self, Auto, Collection, CollectionId, Column, ColumnType, Field, FieldKind, Schema};

/// System collections and the types that the SDK has for them.
const KNOWN: &[(&str, &str)] = &[
    ("directus_access", "DirectusAccess"),
    ("directus_activity", "DirectusActivity"),
    ("directus_collections", "DirectusCollection"),
    ("directus_comments", "DirectusComment"),
    ("directus_dashboards", "DirectusDashboard"),
    ("directus_fields", "DirectusField"),
    ("directus_files", "DirectusFile"),
    ("directus_flows", "DirectusFlow"),
    ("directus_folders", "DirectusFolder"),
    ("directus_notifications", "DirectusNotification"),
    ("directus_operations", "DirectusOperation"),
    ("directus_panels", "DirectusPanel"),
    ("directus_permissions", "DirectusPermission"),
    ("directus_policies", "DirectusPolicy"),
    ("directus_presets", "DirectusPreset"),
    ("directus_relations", "DirectusRelation"),
    ("directus_revisions", "DirectusRevision"),
    ("directus_roles", "DirectusRole"),
    ("directus_settings", "DirectusSettings"),
    ("directus_shares", "DirectusShare"),
    ("directus_translations", "DirectusTranslation"),
    ("directus_users", "DirectusUser"),
    ("directus_versions", "DirectusVersion"),
];

/// TypeScript that compiles with the SDK, strictly.
pub fn typescript(schema: &Schema) -> String {
    let (built_in, _) = schema::load(&[], 0);
    let built_in = built_in.map(|loaded| loaded.schema).unwrap_or_default();
    let mut writer = Writer { schema, built_in, names: BTreeMap::new(), imported: BTreeSet::new() };
    writer.name_all();
    let (system, own): (Vec<_>, Vec<_>) =
        schema.collections().partition(|(_, collection)| collection.is_system());
    let own: Vec<_> =
        own.into_iter().filter(|(_, collection)| collection.fields().next().is_some()).collect();
    let mut body = String::new();
    for (id, collection) in &own {
        let fields: Vec<&Field> = collection.fields().map(|(_, field)| field).collect();
        writer.interface(*id, collection, &fields, &mut body);
    }
    let referred = writer.referred();
    let mut listed = Vec::new();
    for (id, collection) in system {
        let added: Vec<&Field> = collection
            .fields()
            .map(|(_, field)| field)
            .filter(|field| writer.is_added(collection, field))
            .collect();
        let is_known = KNOWN.iter().any(|(name, _)| *name == &*collection.name);
        if is_known && (!added.is_empty() || referred.contains(&id)) {
            let key = collection.key().map(|key| collection.field(key));
            let fields: Vec<&Field> = key.into_iter().chain(added).collect();
            writer.interface(id, collection, &fields, &mut body);
            listed.push((id, collection));
        }
    }
    let mut members = String::new();
    for (id, collection) in own.into_iter().chain(listed) {
        let list = if collection.singleton { "" } else { "[]" };
        let (key, name) = (property(&collection.name), writer.name(id));
        let _ = writeln!(members, "  {key}: {name}{list};");
    }
    let mut out = String::from("// Written by `tablature types`; written anew when the model changes.\n\n");
    if !writer.imported.is_empty() {
        let names: Vec<&str> = writer.imported.iter().copied().collect();
        let _ = writeln!(out, "import type {{ {} }} from '@directus/sdk';\n", names.join(", "));
    }
    let _ = writeln!(
        out,
        "{body}/** All collections, for `createDirectus<Schema>()`. */\nexport interface Schema {{\n{members}}}"
    );
    out
}

struct Writer<'s> {
    schema: &'s Schema,
    built_in: Schema,
    names: BTreeMap<CollectionId, String>,
    imported: BTreeSet<&'static str>,
}

impl Writer<'_> {
    /// Gives each collection a name that no other has.
    fn name_all(&mut self) {
        let mut taken: BTreeSet<String> = KNOWN.iter().map(|(_, name)| (*name).to_owned()).collect();
        taken.insert("Schema".to_owned());
        for (id, collection) in self.schema.collections() {
            let base = pascal(&collection.name);
            let mut name = base.clone();
            let mut number = 2;
            while !taken.insert(name.clone()) {
                name = format!("{base}{number}");
                number += 1;
            }
            self.names.insert(id, name);
        }
    }

    fn name(&self, id: CollectionId) -> &str {
        self.names.get(&id).map_or("unknown", String::as_str)
    }

    /// System collections that a relation of the project leads to.
    fn referred(&self) -> BTreeSet<CollectionId> {
        let mut found = BTreeSet::new();
        for (_, collection) in self.schema.collections() {
            for (_, field) in collection.fields() {
                if collection.is_system() && !self.is_added(collection, field) {
                    continue;
                }
                match &field.kind {
                    FieldKind::ManyToOne { related, .. } | FieldKind::OneToMany { related, .. } => {
                        found.insert(*related);
                    }
                    FieldKind::ManyToAny { allowed, .. } => found.extend(allowed),
                    FieldKind::Plain | FieldKind::Presentation => {}
                }
            }
        }
        found
    }

    /// Whether a field of a system collection is the project's.
    fn is_added(&self, collection: &Collection, field: &Field) -> bool {
        self.built_in.get(&collection.name).is_none_or(|known| known.find(&field.name).is_none())
    }

    fn interface(&mut self, id: CollectionId, collection: &Collection, fields: &[&Field], out: &mut String) {
        comment(collection.note.as_deref(), "", out);
        let _ = writeln!(out, "export interface {} {{", self.name(id));
        for field in fields {
            let Some(type_text) = self.field_type(field) else { continue };
            comment(field.note.as_deref(), "  ", out);
            let _ = writeln!(out, "  {}: {type_text};", property(&field.name));
        }
        out.push_str("}\n\n");
    }

    /// `None` for what holds nothing.
    fn field_type(&mut self, field: &Field) -> Option<String> {
        let or_null = field.column.as_ref().is_some_and(|column| column.nullable);
        let mut kinds = match &field.kind {
            FieldKind::Plain => plain(field)?,
            FieldKind::ManyToOne { related, .. } => vec![self.key(*related), self.item(*related)?],
            FieldKind::ManyToAny { allowed, .. } => {
                let items: Vec<String> = allowed.iter().filter_map(|id| self.item(*id)).collect();
                std::iter::once("string".to_owned()).chain(items).collect()
            }
            FieldKind::OneToMany { related, .. } => {
                return Some(format!("{}[] | {}[]", self.key(*related), self.item(*related)?));
            }
            FieldKind::Presentation => return None,
        };
        if or_null {
            kinds.push("null".to_owned());
        }
        kinds.dedup();
        Some(kinds.join(" | "))
    }

    /// The type of a related item.
    fn item(&mut self, id: CollectionId) -> Option<String> {
        let collection = self.schema.collection(id);
        if !collection.is_system() {
            return Some(self.name(id).to_owned());
        }
        let (_, name) = KNOWN.iter().find(|(known, _)| *known == &*collection.name)?;
        self.imported.insert(name);
        Some(format!("{name}<Schema>"))
    }

    fn key(&self, id: CollectionId) -> String {
        let collection = self.schema.collection(id);
        let column = collection.key().and_then(|key| collection.field(key).column.as_ref());
        column.map_or("string", |column| column_type(&column.column_type)).to_owned()
    }
}

/// The type of a column that refers to nothing.
fn plain(field: &Field) -> Option<Vec<String>> {
    let column = field.column.as_ref()?;
    Some(choices(column).unwrap_or_else(|| vec![column_type(&column.column_type).to_owned()]))
}

/// The values of a field that has no others.
fn choices(column: &Column) -> Option<Vec<String>> {
    let is_meant = matches!(
        column.column_type,
        ColumnType::String { .. } | ColumnType::Text | ColumnType::Integer | ColumnType::Float
    );
    if !is_meant || column.checks.choices.is_empty() || column.auto == Some(Auto::Increment) {
        return None;
    }
    let values = column.checks.choices.iter().map(|choice| match &choice.value {
        text @ Value::String(_) => Some(text.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    values.collect()
}

/// The type of a value; `json`, `csv` and `datetime` are words of the SDK, which knows what may be done with such fields.
fn column_type(column_type: &ColumnType) -> &'static str {
    match column_type {
        ColumnType::Integer | ColumnType::Float => "number",
        ColumnType::Boolean => "boolean",
        ColumnType::Date | ColumnType::DateTime | ColumnType::Timestamp => "'datetime'",
        ColumnType::Json => "'json'",
        ColumnType::Csv => "'csv'",
        ColumnType::String { .. }
        | ColumnType::Text
        | ColumnType::BigInteger
        | ColumnType::Decimal { .. }
        | ColumnType::Time
        | ColumnType::Uuid
        | ColumnType::Hash
        | ColumnType::Binary
        | ColumnType::Unknown { .. } => "string",
    }
}

fn comment(text: Option<&str>, indent: &str, out: &mut String) {
    let Some(text) = text.map(|text| text.replace("*/", "* /")).filter(|text| !text.trim().is_empty()) else {
        return;
    };
    let lines: Vec<&str> = text.trim().lines().map(str::trim).collect();
    let _ = writeln!(out, "{indent}/** {} */", lines.join(&format!("\n{indent} * ")));
}

/// A property name, in quotes where it needs them.
fn property(name: &str) -> String {
    let mut letters = name.chars();
    let is_plain = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if is_plain { name.to_owned() } else { Value::from(name).to_string() }
}

/// `client_invoices` as `ClientInvoices`.
fn pascal(name: &str) -> String {
    let mut out = String::new();
    for part in name.split(|letter: char| !letter.is_ascii_alphanumeric()) {
        let mut letters = part.chars();
        if let Some(first) = letters.next() {
            // A type cannot begin with a digit.
            if out.is_empty() && first.is_ascii_digit() {
                out.push('_');
            }
            out.push(first.to_ascii_uppercase());
            out.push_str(letters.as_str());
        }
    }
    if out.is_empty() { "Collection".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::SourceFile;

    #[test]
    fn collections_become_interfaces() {
        let files = [
            (
                "articles.yaml",
                "collection: articles\nnote: What we */ write\nfields:\n  id: integer_pk\n  title: string!\n  \
                 status: { type: string, choices: [draft, done] }\n  price: decimal(10,2)\n  on: date\n  tags: csv\n  \
                 author: m2o(directus_users)\n  comments: o2m(comments.article)\n",
            ),
            ("comments.yaml", "collection: comments\nfields:\n  id: uuid_pk\n  article: m2o(articles)!\n"),
            ("site.yaml", "collection: site\nsingleton: true\nfields:\n  id: integer_pk\n  name: string\n"),
        ];
        let files =
            files.map(|(path, text)| SourceFile { path: path.to_owned(), text: text.as_bytes().to_vec() });
        let (loaded, findings) = schema::load(&files, 1);
        let written = typescript(&loaded.unwrap_or_else(|| panic!("{findings:?}")).schema);
        for line in [
            "import type { DirectusUser } from '@directus/sdk';",
            "/** What we * / write */",
            "  id: number;",
            "  title: string;",
            "  status: \"draft\" | \"done\" | null;",
            "  price: string | null;",
            "  on: 'datetime' | null;",
            "  tags: 'csv' | null;",
            "  author: string | DirectusUser<Schema> | null;",
            "  comments: string[] | Comments[];",
            "  article: number | Articles;",
            "export interface DirectusUsers {\n  id: string;\n}",
            "  articles: Articles[];",
            "  site: Site;",
            "  directus_users: DirectusUsers[];",
        ] {
            assert!(written.contains(line), "{line} is not in\n{written}");
        }
    }

    #[test]
    fn names() {
        assert_eq!(pascal("client_invoices"), "ClientInvoices");
        assert_eq!(pascal("2024 budget"), "_2024Budget");
        assert_eq!(pascal("é"), "Collection");
        assert_eq!(property("a_b1"), "a_b1");
        assert_eq!(property("a-b"), "\"a-b\"");
    }
}
