//! The difference between two models, the first of which stands in for the database.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::{Diff, DiffOptions, diff, index_name};
use crate::schema::{DatabaseStructure, Schema, SourceFile, TableColumn, load};

fn model(files: &[&str]) -> Schema {
    let file = |(number, text): (usize, &&str)| SourceFile {
        path: format!("collections/{number}.yaml"),
        text: text.as_bytes().to_vec(),
    };
    let files: Vec<SourceFile> = files.iter().enumerate().map(file).collect();
    let (loaded, findings) = load(&files, 1);
    loaded.unwrap_or_else(|| panic!("{findings:?}")).schema
}

fn compare(desired: &Schema, actual: &DatabaseStructure, prune: bool) -> Diff {
    let built_in = model(&[]);
    let is_stored_alike =
        |actual: &TableColumn, wanted: &TableColumn| actual.column_type == wanted.column_type;
    diff(desired, actual, DiffOptions { built_in: &built_in, is_stored_alike: &is_stored_alike, prune })
}

/// The database in which this model has been applied.
fn applied(files: &[&str]) -> DatabaseStructure {
    let mut structure = DatabaseStructure::default();
    compare(&model(files), &structure.clone(), false).steps.iter().for_each(|step| structure.apply(step));
    structure
}

fn check_pruning(before: &[&str], after: &[&str], prune: bool, expected: &[&str]) {
    let (mut structure, desired) = (applied(before), model(after));
    let found = compare(&desired, &structure, prune);
    let steps: Vec<String> = found.steps.iter().map(ToString::to_string).collect();
    assert_eq!(steps, expected);
    // Nothing is left to do afterwards, whatever the steps were.
    found.steps.iter().for_each(|step| structure.apply(step));
    assert_eq!(compare(&desired, &structure, prune).steps, []);
}

fn check(before: &str, after: &str, expected: &[&str]) {
    check_pruning(&[before], &[after], false, expected);
}

const PLAIN: &str = "collection: a\nfields: { id: uuid_pk, x: string }";

#[test]
fn what_is_alike_needs_no_step() {
    check(PLAIN, PLAIN, &[]);
    check_pruning(&[PLAIN], &[PLAIN], true, &[]);
}

#[test]
fn columns_come_change_and_stay() {
    check(
        PLAIN,
        "collection: a\nfields: { id: uuid_pk, x: string, y: integer! }",
        &["add a.y: integer, required"],
    );
    check(
        PLAIN,
        "collection: a\nfields: { id: uuid_pk, x: { type: text, default: none, unique: true } }",
        &["change a.x: string(255) to text, default \"none\"", "add unique constraint on a (x)"],
    );
    check(PLAIN, "collection: a\nfields: { id: uuid_pk, x: string! }", &["change a.x: required"]);
    check(
        PLAIN,
        "collection: a\nfields: { id: uuid_pk, x: { type: string, required: true, default: none } }",
        &["change a.x: default \"none\"", "change a.x: required"],
    );
    check(PLAIN, "collection: a\nfields: { id: uuid_pk }", &[]);
    check(PLAIN, "collection: a\nfields: { id: uuid_pk, z: { type: string, was: x } }", &["rename a.x to z"]);
    // What the server fills needs two steps: the rows that are there get their value in between.
    check(
        PLAIN,
        "collection: a\nfields: { id: uuid_pk, x: string, at: created_at! }",
        &["add a.at: timestamp", "change a.at: required"],
    );
}

#[test]
fn indexes_that_are_declared_no_more_go() {
    let indexed = "collection: a\nfields: { id: uuid_pk, x: { type: string, index: true } }";
    check(PLAIN, indexed, &["add index on a (x)"]);
    check(indexed, PLAIN, &["drop index on a (x)"]);
}

#[test]
fn references_come_when_both_sides_are_there() {
    let (one, many) =
        ("collection: b\nfields: { id: uuid_pk }", "collection: a\nfields: { id: uuid_pk, b: m2o(b) }");
    let both = &["create table b (1 columns)", "create table a (2 columns)"];
    let mut system = applied(&[]);
    let found = compare(&model(&[one, many]), &system, false);
    assert_eq!(found.steps.iter().map(ToString::to_string).collect::<Vec<_>>(), both);
    found.steps.iter().for_each(|step| system.apply(step));
    assert_eq!(system.table("a").unwrap().foreign_keys.len(), 1);
    // In a circle one key has to wait.
    let circle = ["collection: b\nfields: { id: uuid_pk, a: m2o(a) }", many];
    let expected =
        &["create table a (2 columns)", "create table b (2 columns)", "add foreign key a (b) to b"];
    check_pruning(&[], &circle, false, expected);
    // A key is taken off while the type below it changes.
    check_pruning(
        &[one, many],
        &["collection: b\nfields: { id: string_pk(36) }", many],
        false,
        &[
            "drop foreign key a (b) to b",
            "change a.b: uuid to string(36)",
            "change b.id: uuid to string(36)",
            "add foreign key a (b) to b",
        ],
    );
}

#[test]
fn only_pruning_drops() {
    let b = "collection: b\nfields: { id: uuid_pk, a: m2o(a) }";
    check_pruning(&[PLAIN, b], &["collection: a\nfields: { id: uuid_pk }"], false, &[]);
    check_pruning(
        &[PLAIN, b],
        &["collection: a\nfields: { id: uuid_pk }"],
        true,
        &["drop foreign key b (a) to a", "drop a.x", "drop table b"],
    );
}

#[test]
fn what_nobody_declares_keeps_its_indexes() {
    let full = "collection: a\nfields: { id: uuid_pk, x: { type: string, index: true }, y: { type: string, unique: true }, b: m2o(a) }\nindexes: [[x, y]]";
    let bare = "collection: a\nfields: { id: uuid_pk }";
    check(full, bare, &[]);
    check_pruning(
        &[full],
        &[bare],
        true,
        &[
            "drop foreign key a (b) to a",
            "drop index on a (x)",
            "drop unique constraint on a (y)",
            "drop index on a (b)",
            "drop index on a (x, y)",
            "drop a.x",
            "drop a.y",
            "drop a.b",
        ],
    );
    let noted =
        |prune| compare(&model(&[bare]), &applied(&[full, "collection: b\nfields: { n: text }"]), prune);
    assert_eq!(noted(false).unknown_columns, ["a.x", "a.y", "a.b"]);
    assert_eq!(noted(false).unknown_tables, ["b"]);
    // What is dropped is a step, and needs no note.
    assert_eq!((noted(true).unknown_columns, noted(true).unknown_tables), (vec![], vec![]));
}

#[test]
fn tables_keep_their_rows_under_a_new_name() {
    let renamed = "collection: c\nwas: a\nfields: { id: uuid_pk, y: { type: string, was: x } }";
    check(PLAIN, renamed, &["rename table a to c", "rename c.x to y"]);
}

#[test]
fn long_names_stay_apart() {
    let (left, right) = ("a".repeat(60), "a".repeat(61));
    let names = [index_name(&left, &["x".to_owned()], true), index_name(&right, &["x".to_owned()], true)];
    assert!(names.iter().all(|name| name.len() <= 63));
    assert_ne!(names[0], names[1]);
}
