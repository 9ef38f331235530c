//! What declarations become.

use std::fmt::Write;

use super::{project, samples};
use crate::schema::*;

/// Loads a project that must be good.
fn loaded(yaml: &str) -> Loaded {
    let (loaded, findings) = load(&project(yaml), 7);
    assert!(findings.is_empty(), "{findings:#?}");
    loaded.expect("a model")
}

/// One line per field of a collection.
fn outline(schema: &Schema, name: &str) -> String {
    let collection = schema.get(name).expect("a collection");
    let mut text = String::new();
    for (id, field) in collection.fields() {
        let _ = write!(text, "{}:", field.name);
        if let Some(column) = &field.column {
            let _ = write!(text, " {}", column.column_type);
            for (holds, word) in [
                (!column.nullable, "not null"),
                (collection.key() == Some(id), "key"),
                (column.unique, "unique"),
                (column.indexed, "index"),
                (field.conceal, "conceal"),
                (!field.searchable, "unsearchable"),
            ] {
                if holds {
                    let _ = write!(text, " {word}");
                }
            }
            if let Some(auto) = column.auto {
                let _ = write!(text, " {auto:?}");
            }
            if let Some(default) = &column.default {
                let _ = write!(text, " = {default:?}");
            }
        }
        match &field.kind {
            FieldKind::Plain => {}
            FieldKind::Presentation => text.push_str(" presentation"),
            FieldKind::ManyToOne { related, on_delete } => {
                let _ = write!(text, " -> {} {on_delete:?}", schema.collection(*related).name);
            }
            FieldKind::ManyToAny { allowed, collection_field } => {
                let names: Vec<&str> =
                    allowed.iter().map(|id| schema.collection(*id).name.as_ref()).collect();
                let by = &collection.field(*collection_field).name;
                let _ = write!(text, " -> {} by {by}", names.join("|"));
            }
            FieldKind::OneToMany { related, related_field, junction_field, sort, on_deselect } => {
                let far = schema.collection(*related);
                let _ = write!(text, " <- {}.{}", far.name, far.field(*related_field).name);
                for (word, id) in [("on", junction_field), ("sort", sort)] {
                    if let Some(id) = id {
                        let _ = write!(text, " {word} {}", far.field(*id).name);
                    }
                }
                let _ = write!(text, " {on_deselect:?}");
            }
        }
        text.push('\n');
    }
    text
}

#[track_caller]
fn check(yaml: &str, collection: &str, expected: &[&str]) {
    let outline = outline(&loaded(yaml).schema, collection);
    assert_eq!(outline.lines().collect::<Vec<_>>(), expected, "{yaml}");
}

fn fields(fields: &str) -> String {
    format!("collection: notes\nfields:\n  {}\n", fields.replace('|', "\n  "))
}

#[test]
fn columns() {
    check(
        &fields(
            "title: string(32)!|body: text|price: { type: decimal(12,2), default: 1.5 }|big: bigint|at: { type: time, default: 09:00 }",
        ),
        "notes",
        &[
            "id: uuid not null key Uuid",
            "title: string(32) not null",
            "body: text",
            "price: decimal(12,2) = Value(Number(1.50))",
            "big: bigint",
            "at: time = Value(String(\"09:00:00\"))",
        ],
    );
    check(
        &fields(
            "code: string_pk(8)|made: created_at|changed: { type: updated_at, default: now }|by: created_by|last: updated_by|secret: hash|pin: { type: string, conceal: true }",
        ),
        "notes",
        &[
            "code: string(8) not null key",
            "made: timestamp CreatedAt",
            "changed: timestamp UpdatedAt = Now",
            "by: uuid CreatedBy -> directus_users SetNull",
            "last: uuid UpdatedBy -> directus_users SetNull",
            "secret: hash conceal unsearchable",
            "pin: string(255) conceal unsearchable",
        ],
    );
    check(
        &fields(
            "id: bigint_pk|when: { type: timestamp, default: 2026-01-01T10:00:00+02:00 }|ref: { type: uuid, default: uuid }|list: { type: csv, default: [a] }",
        ),
        "notes",
        &[
            "id: bigint not null key Increment",
            "when: timestamp = Value(String(\"2026-01-01T08:00:00.000Z\"))",
            "ref: uuid = Uuid",
            "list: csv = Value(Array [String(\"a\")])",
        ],
    );
}

#[test]
fn references() {
    check(
        &fields(
            "a: m2o(tags)|b: m2o(companies)!|c: { o2o: companies, on_delete: cascade }|d: file|e: { type: image, required: true }|up: m2o(notes)",
        ),
        "notes",
        &[
            "id: uuid not null key Uuid",
            "a: integer -> tags SetNull",
            "b: uuid not null -> companies Restrict",
            "c: uuid unique -> companies Cascade",
            "d: uuid -> directus_files SetNull",
            "e: uuid not null -> directus_files Restrict",
            "up: uuid -> notes SetNull",
        ],
    );
    check(
        &fields(
            "kind: string|about: { a2o: [companies, tags], collection_field: kind }|line: { alias: divider }|contacts: { o2m: contacts.note, on_deselect: delete, sort: name }",
        ),
        "notes",
        &[
            "id: uuid not null key Uuid",
            "kind: string(255)",
            "about: string(255) -> companies|tags by kind",
            "line: presentation",
            "contacts: <- contacts.note sort name Delete",
        ],
    );
    check(
        "collection: notes\nfields: { kind: string, about: { a2o: [companies, links], collection_field: kind } }\n\
         === links.yaml\ncollection: links\nfields: { notes: o2m(notes.about) }\n",
        "links",
        &["id: uuid not null key Uuid", "notes: <- notes.about Nullify"],
    );
}

#[test]
fn junctions() {
    let yaml = fields(
        "tags: { m2m: tags, sort: true }|next: m2m(notes)|files: files|blocks: { m2a: [tags, companies], sort: true }|people: { m2m: companies, through: contacts }",
    );
    check(
        &yaml,
        "notes",
        &[
            "id: uuid not null key Uuid",
            "tags: <- notes_tags.notes_id on tags_id sort sort Delete",
            "next: <- notes_notes.notes_id on related_notes_id Delete",
            "files: <- notes_directus_files.notes_id on directus_files_id Delete",
            "blocks: <- notes_blocks.notes_id on item sort sort Delete",
            "people: <- contacts.note on company Delete",
        ],
    );
    check(
        &yaml,
        "notes_tags",
        &[
            "id: integer not null key Increment",
            "notes_id: uuid index -> notes Cascade",
            "tags_id: integer index -> tags Cascade",
            "sort: integer",
        ],
    );
    check(
        &yaml,
        "notes_blocks",
        &[
            "id: integer not null key Increment",
            "notes_id: uuid index -> notes Cascade",
            "item: string(255) -> tags|companies by collection",
            "collection: string(64)",
            "sort: integer",
        ],
    );
    // The other side may go through a junction that was made for this one.
    check(
        "collection: notes\nfields: { labels: m2m(labels) }\n\
         === labels.yaml\ncollection: labels\nfields: { notes: { m2m: notes, through: notes_labels } }\n",
        "labels",
        &["id: uuid not null key Uuid", "notes: <- notes_labels.labels_id on notes_id Delete"],
    );
}

#[test]
fn translations() {
    let yaml = "collection: notes\nfields: { texts: { translations: { title: string!, price: decimal(5,2) } } }\n\
                === languages.yaml\ncollection: languages\nfields: { code: string_pk(8) }\n";
    check(
        yaml,
        "notes",
        &["id: uuid not null key Uuid", "texts: <- notes_translations.notes_id on languages_code Delete"],
    );
    check(
        yaml,
        "notes_translations",
        &[
            "id: integer not null key Increment",
            "notes_id: uuid index -> notes Cascade",
            "languages_code: string(8) index -> languages Cascade",
            "title: string(255) not null",
            "price: decimal(5,2)",
        ],
    );
    let loaded = loaded(yaml);
    let made = loaded.schema.get("notes_translations").expect("a collection");
    assert_eq!((made.origin, made.hidden), (Origin::Generated, true));
    assert_eq!(made.indexes, [Index { fields: vec![FieldId(1), FieldId(2)], unique: true }]);
}

#[test]
fn parts_of_collections() {
    let loaded = loaded(
        "collection: notes\nwas: [memos]\nnote: What was said\ngroup: talk\nsort: title\ntenant: company\nhidden: true\n\
         accountability: activity\nversioning: true\nsingleton: true\ndisplay_template: \"{{ title }}\"\n\
         archive: { field: status, archived: gone, restored: here }\nindexes: [[title, status], { fields: [company], unique: true }]\n\
         fields: { id: integer_pk, title: { type: string, was: name }, status: { type: string, choices: { gone: Gone, here: Here } }, company: m2o(companies), line: { alias: divider } }\n\
         permissions: { public: { read: { fields: [title], where: { status: { _eq: here } } } } }\nui: { icon: chat }\n",
    );
    let notes = loaded.schema.get("notes").expect("a collection");
    assert_eq!(loaded.schema.version, 7);
    assert_eq!((notes.origin, notes.was.as_slice()), (Origin::Yaml, ["memos".to_owned()].as_slice()));
    assert_eq!((notes.group.as_deref(), notes.note.as_deref()), (Some("talk"), Some("What was said")));
    assert_eq!(
        (notes.sort, notes.tenant, notes.key()),
        (Some(FieldId(1)), Some(FieldId(3)), Some(FieldId(0)))
    );
    assert_eq!(
        (notes.hidden, notes.versioning, notes.singleton, notes.accountability),
        (true, true, true, Tracking::Activity)
    );
    assert_eq!(
        notes.archive,
        Some(Archive { field: FieldId(2), archived: "gone".into(), restored: "here".into() })
    );
    assert_eq!(
        notes.indexes,
        [
            Index { fields: vec![FieldId(1), FieldId(2)], unique: false },
            Index { fields: vec![FieldId(3)], unique: true }
        ]
    );
    assert_eq!(notes.field(FieldId(1)).was, ["name"]);
    assert_eq!(notes.permissions["public"]["read"]["fields"][0], "title");
    assert_eq!(
        notes.ui,
        serde_json::json!({ "icon": "chat", "fields": { "line": { "interface": "divider" } } })
    );
    let place = loaded.sources.field("notes", "status").expect("a place");
    assert_eq!((place.file.as_ref(), place.line), ("notes.yaml", 14));
    assert_eq!(loaded.sources.collection("notes").map(|place| place.line), Some(1));
    assert!(loaded.sources.collection("directus_users").is_none());
}

#[test]
fn groups_are_folders() {
    let group = |path: &str, more: &str| {
        let text = format!("collection: notes\n{more}fields: {{}}\n").into_bytes();
        let (loaded, findings) = load(&[SourceFile { path: path.to_owned(), text }], 1);
        assert_eq!(findings, []);
        loaded.and_then(|loaded| loaded.schema.get("notes").and_then(|notes| notes.group.clone()))
    };
    assert_eq!(group("collections/crm/notes.yaml", "").as_deref(), Some("crm"));
    assert_eq!(group("collections/crm/deep/notes.yaml", "").as_deref(), Some("deep"));
    assert_eq!(group("collections/notes.yaml", ""), None);
    // Whatever the folder of everything is called; and the collection that names its folder stands above it.
    assert_eq!(group("schema/notes.yaml", ""), None);
    assert_eq!(group("schema/crm/notes.yaml", "").as_deref(), Some("crm"));
    assert_eq!(group("collections/notes/notes.yaml", ""), None);
    assert_eq!(group("collections/crm/notes/notes.yaml", "").as_deref(), Some("crm"));
    assert_eq!(group("notes.yaml", ""), None);
    assert_eq!(group("collections/crm/notes.yaml", "group: null\n"), None);
    assert_eq!(group("collections/crm/notes.yaml", "group: sales\n").as_deref(), Some("sales"));
}

#[test]
fn system_collections_may_be_added_to() {
    let loaded = loaded(
        "collection: notes\nfields: { owner: m2o(directus_users) }\n\
         === directus_users.yaml\ncollection: directus_users\nfields: { nick: string, notes: o2m(notes.owner) }\n",
    );
    let users = loaded.schema.get("directus_users").expect("a collection");
    assert!(users.is_system());
    let last: Vec<&str> =
        users.fields().map(|(_, field)| field.name.as_ref()).skip_while(|name| *name != "policies").collect();
    assert_eq!(last, ["policies", "nick", "notes"]);
    assert!(loaded.sources.field("directus_users", "nick").is_some());
    assert!(loaded.sources.field("directus_users", "email").is_none());
    let names: Vec<&str> =
        loaded.schema.collections().map(|(_, collection)| collection.name.as_ref()).collect();
    let (system, own) =
        names.split_at(names.iter().position(|name| !name.starts_with("directus_")).unwrap_or(0));
    assert!(
        system.is_sorted() && own.is_sorted() && own == ["companies", "contacts", "notes", "tags"],
        "{names:?}"
    );
}

#[test]
fn documented_example_loads() {
    let text = include_str!("../../../docs/collections.md");
    let example =
        text.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let project = format!(
        "{example}=== companies.yaml\ncollection: companies\nfields: {{ name: string }}\n\
         === projects.yaml\ncollection: projects\nfields: {{}}\n=== tags.yaml\ncollection: tags\nfields: {{}}\n\
         === text_blocks.yaml\ncollection: text_blocks\nfields: {{}}\n=== image_blocks.yaml\ncollection: image_blocks\nfields: {{}}\n\
         === invoice_lines.yaml\ncollection: invoice_lines\nfields: {{ invoice: m2o(client_invoices), position: integer }}\n"
    );
    let files: Vec<SourceFile> = super::project(&project).split_off(super::OTHERS.len());
    let (loaded, findings) = load(&files, 1);
    assert_eq!(findings, []);
    let schema = loaded.expect("a model").schema;
    let total = schema
        .get("client_invoices")
        .and_then(|invoices| invoices.find("total").map(|id| invoices.field(id)));
    let column = total.and_then(|field| field.column.as_ref()).expect("a column");
    assert_eq!(column.column_type, ColumnType::Decimal { precision: 12, scale: 2 });
}

#[test]
fn tables_of_the_database_join() {
    let loaded = loaded("collection: notes\nfields: {}\n");
    let table = |name: &str| {
        let fields = vec![
            Field::plain("id", Column::new(ColumnType::Integer)),
            Field::plain("ref", Column::new(ColumnType::Uuid)),
        ];
        Collection::new(name, Origin::Database, fields)
    };
    let tables = vec![
        (
            table("old"),
            vec![
                (FieldId(1), "notes".to_owned(), OnDelete::Cascade),
                (FieldId(0), "gone".to_owned(), OnDelete::NoAction),
            ],
        ),
        (table("older"), vec![(FieldId(0), "old".to_owned(), OnDelete::NoAction)]),
        (table("notes"), Vec::new()),
    ];
    let merged = merge_database_tables(&loaded.schema, tables, 8);
    assert_eq!(merged.version, 8);
    assert_eq!(merged.find("notes"), loaded.schema.find("notes"));
    assert_eq!(merged.get("notes").map(|notes| notes.origin), Some(Origin::Yaml));
    assert_eq!(outline(&merged, "old"), "id: integer\nref: uuid -> notes Cascade\n");
    assert_eq!(outline(&merged, "older"), "id: integer -> old NoAction\nref: uuid\n");
}

#[test]
fn samples_have_the_size_they_should() {
    let (_, files) = samples().into_iter().next().expect("the platform");
    let (loaded, _) = load(&files, 1);
    let schema = loaded.expect("a model").schema;
    let own = schema.collections().filter(|(_, collection)| collection.origin == Origin::Yaml).count();
    assert_eq!(own, 62);
}
