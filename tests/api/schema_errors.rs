//! Mistakes in files: all of them at once, with file, line, column and the nearest name.

use serde_json::json;

use crate::support::{Database, Project, each_database};

#[tokio::test]
async fn all_mistakes_of_all_files_are_reported_with_their_place() {
    each_database(async |engine| {
        let files = [
            ("one.yaml", "collection: one\nfields:\n  id: uuid_pk\n  name: strin\n  other: m2o(twoo)\n"),
            ("two.yaml", "collection: two\nfelds:\n  id: uuid_pk\nfields:\n  id: uuid_pk\n  total: { type: decimal(12,2), default: abc }\n"),
            ("deep/three.yaml", "collection: three\nfields:\n  id: uuid_pk\n  a: { type: integer, min: x }\n  a: string\n"),
            ("four.yaml", "collection: six\nfields:\n  id: uuid_pk\n"),
            ("six.yaml", "collection: six\nfields:\n  id: uuid_pk\n"),
            ("five.yaml", "collection: five\nfields: [\n"),
        ];
        let project = Project::new(Database::fresh(engine).await, &files).await;
        for command in ["plan", "apply"] {
            let ran = project.run(&[command]);
            let said = [
                "one.yaml:4:9", "string", "one.yaml:5:", "twoo", "two", "two.yaml:2:1", "felds", "fields", "two.yaml:6:", "three.yaml:4:",
                "three.yaml:5:3", "six.yaml:1:", "four.yaml:1", "five.yaml:",
            ];
            ran.refused(&said);
        }
        assert!(project.database.columns("one").await.is_empty(), "nothing is applied");
        let printed = project.server().fails_to_start();
        assert!(printed.contains("one.yaml:4:9"), "{printed}");
    })
    .await;
}

#[tokio::test]
async fn every_kind_of_mistake_is_named() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[]).await;
        let refused = |text: &str, said: &[&str]| {
            project.write("it.yaml", text);
            project.run(&["plan"]).refused(&["it.yaml:"]);
            project.run(&["plan"]).says(said);
        };
        let field = |line: &str| format!("collection: it\nfields:\n  id: uuid_pk\n  name: string\n{line}\n");
        refused("collection: 'no way'\nfields:\n  id: uuid_pk\n", &["no way"]);
        refused("collection: \"qu\\\"ote\"\nfields:\n  id: uuid_pk\n", &["qu"]);
        refused("collection: directus_mine\nfields:\n  id: uuid_pk\n", &["directus_mine"]);
        refused("fields:\n  id: uuid_pk\n", &["collection"]);
        refused("collection: it\n", &["fields"]);
        refused(&field("  \"a'b\": string"), &["a'b"]);
        refused(&field("  lines: o2m(it.nothing)"), &["nothing"]);
        refused(&field("  lines: o2m(it.name)"), &["name"]);
        refused(&field("  up: { m2o: it, on_delete: explode }"), &["explode"]);
        refused(&field("  up: { m2o: it, required: true, on_delete: set_null }"), &["set_null"]);
        refused(&field("  s: { type: string, choices: [1, 2] }"), &["choice 1", "choice 2"]);
        refused(&field("  s: { type: string, pattern: '(' }"), &["pattern"]);
        refused(&field("  s: { type: string, default: [] }"), &["default"]);
        refused(&field("  d: { type: date, default: '2024-02-30' }"), &["2024-02-30"]);
        refused(&field("  d: \"decimal(40,2)\""), &["decimal"]);
        refused(&field("  s: { typ: string }"), &["typ", "type"]);
        refused(&field("sort: nope"), &["nope"]);
        refused(&field("archive: { field: nope, archived: a, restored: b }"), &["nope"]);
        refused(&field("indexes:\n  - [nope]"), &["nope"]);
        refused(&field("tenant: name"), &["tenant"]);
        refused(&field("  key: integer_pk"), &["primary key"]);
        refused("\u{0}", &[]);
        refused("just text", &[]);
        refused("- a\n- b\n", &[]);
    })
    .await;
}

#[tokio::test]
async fn one_column_belongs_to_one_field() {
    each_database(async |engine| {
        let twice = [
            ("a.yaml", "collection: a\nfields:\n  id: uuid_pk\n  x: { m2m: b }\n"),
            ("b.yaml", "collection: b\nfields:\n  id: uuid_pk\n"),
            ("a_b.yaml", "collection: a_b\nfields:\n  id: uuid_pk\n  a_id: string\n"),
        ];
        let project = Project::new(Database::fresh(engine).await, &twice).await;
        project.run(&["plan"]).refused(&["a_b"]);
    })
    .await;
}

#[tokio::test]
async fn cycles_are_legal_while_one_reference_may_be_null() {
    each_database(async |engine| {
        let a = "collection: a\nfields:\n  id: uuid_pk\n  b: { m2o: b, required: true }\n";
        let b = "collection: b\nfields:\n  id: uuid_pk\n  a: m2o(a)\n";
        let project = Project::new(Database::fresh(engine).await, &[("a.yaml", a), ("b.yaml", b)]).await;
        project.run(&["apply"]).ok();
        let server = project.server().start().await;
        let admin = server.admin();
        let b = admin.create("b", json!({})).await["id"].clone();
        let a = admin.create("a", json!({ "b": b })).await["id"].clone();
        let path = format!("/items/b/{}?fields=a.b.id", b.as_str().unwrap());
        assert_eq!(admin.patch(&path, json!({ "a": a })).await.data(), json!({ "a": { "b": { "id": b } } }));
        drop(server);
        project.write("b.yaml", "collection: b\nfields:\n  id: uuid_pk\n  a: { m2o: a, required: true }\n");
        project.run(&["plan"]).refused(&["null"]);
    })
    .await;
}
