//! Texts of writes on the three databases.

use super::*;
use crate::schema::{Auto, Column, Field, Origin};

const ID: FieldId = FieldId(0);
const DATABASES: [Dialect; 3] = [Dialect::Sqlite, Dialect::Postgres, Dialect::Mysql];

/// A table whose name needs quoting, with a counted key, a decimal, a moment and a UUID.
fn collection() -> Collection {
    let plain = |name: &str, column_type| Field::plain(name, Column::new(column_type));
    let id = Column { auto: Some(Auto::Increment), ..Column::new(ColumnType::Integer) };
    let fields = vec![
        Field::plain("id", id),
        plain("to\"tal", ColumnType::Decimal { precision: 12, scale: 2 }),
        plain("at", ColumnType::Timestamp),
        plain("owner", ColumnType::Uuid),
    ];
    let mut collection = Collection::new("or`der", Origin::Yaml, fields);
    collection.primary_key = vec![ID];
    collection
}

fn text(text: &str) -> Scalar {
    Scalar::Text(text.into())
}

fn check(make: impl Fn(Dialect) -> Statement, expected: [&str; 3], params: [&str; 3]) {
    for ((dialect, expected), params) in DATABASES.into_iter().zip(expected).zip(params) {
        let statement = make(dialect);
        assert_eq!(&*statement.text, expected);
        let shown: Vec<String> = statement.params.iter().map(shown).collect();
        assert_eq!(shown.join(" "), params, "{dialect:?}");
    }
}

fn shown(param: &Param) -> String {
    let scalar = |scalar: &Scalar| match scalar {
        Scalar::Text(text) => format!("'{text}'"),
        Scalar::Int(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    match param {
        Param::Value(value) => scalar(value),
        Param::List(kind, values) => format!("{kind:?}{:?}", values.iter().map(scalar).collect::<Vec<_>>()),
        other => format!("{other:?}"),
    }
}

fn rows(count: usize) -> Vec<WriteRow> {
    (0..count).map(|_| vec![text("1.50"), text("2026-03-02T10:00:00.000Z"), Scalar::Null]).collect()
}

fn inserted(dialect: Dialect, count: usize) -> Statement {
    let columns = [FieldId(1), FieldId(2), FieldId(3)];
    match insert(dialect, &collection(), &columns, rows(count), Some(ID), &Texts::default()) {
        Insert::Each(mut statement, mut lists) => {
            assert_eq!(lists.len(), count);
            statement.params = lists.remove(0);
            statement
        }
        Insert::Statements(mut list) => list.remove(0),
    }
}

#[test]
fn one_row() {
    check(
        |dialect| inserted(dialect, 1),
        [
            r#"INSERT INTO "or`der" ("to""tal","at","owner") VALUES (?1,?2,?3) RETURNING "id""#,
            r#"INSERT INTO "or`der" ("to""tal","at","owner") VALUES (CAST(CAST($1 AS text) AS numeric(12,2)),CAST(CAST($2 AS text) AS timestamptz),CAST(CAST($3 AS text) AS uuid)) RETURNING "id""#,
            r#"INSERT INTO `or``der` (`to"tal`,`at`,`owner`) VALUES (?,?,?)"#,
        ],
        [
            "150 '2026-03-02T10:00:00.000Z' Null(Text)",
            "'1.50' '2026-03-02T10:00:00.000Z' Null(Text)",
            "'1.50' '2026-03-02 10:00:00.000' Null(Text)",
        ],
    );
}

#[test]
fn many_rows() {
    check(
        |dialect| inserted(dialect, 2),
        [
            r#"INSERT INTO "or`der" ("to""tal","at","owner") VALUES (?1,?2,?3) RETURNING "id""#,
            r#"INSERT INTO "or`der" ("to""tal","at","owner") SELECT CAST(r.c0 AS numeric(12,2)),CAST(r.c1 AS timestamptz),CAST(r.c2 AS uuid) FROM unnest(CAST($1 AS text[]),CAST($2 AS text[]),CAST($3 AS text[])) WITH ORDINALITY AS r(c0,c1,c2,n) ORDER BY r.n RETURNING "id""#,
            r#"INSERT INTO `or``der` (`to"tal`,`at`,`owner`) VALUES (?,?,?),(?,?,?)"#,
        ],
        [
            "150 '2026-03-02T10:00:00.000Z' Null(Text)",
            r#"Text["'1.50'", "'1.50'"] Text["'2026-03-02T10:00:00.000Z'", "'2026-03-02T10:00:00.000Z'"] Text["Null", "Null"]"#,
            "'1.50' '2026-03-02 10:00:00.000' Null(Text) '1.50' '2026-03-02 10:00:00.000' Null(Text)",
        ],
    );
    let Insert::Statements(list) = insert(
        Dialect::Mysql,
        &collection(),
        &[FieldId(1)],
        vec![vec![Scalar::Null]; 250],
        None,
        &Texts::default(),
    ) else {
        panic!("MariaDB takes lists of values");
    };
    assert_eq!(list.iter().map(|statement| statement.params.len()).collect::<Vec<_>>(), [100, 100, 50]);
}

#[test]
fn a_row_of_nothing() {
    let text = |dialect, count| match insert(
        dialect,
        &collection(),
        &[],
        vec![Vec::new(); count],
        Some(ID),
        &Texts::default(),
    ) {
        Insert::Each(statement, _) => statement.text,
        Insert::Statements(list) => list[0].text.clone(),
    };
    assert_eq!(&*text(Dialect::Sqlite, 1), r#"INSERT INTO "or`der" DEFAULT VALUES RETURNING "id""#);
    assert_eq!(&*text(Dialect::Postgres, 1), r#"INSERT INTO "or`der" DEFAULT VALUES RETURNING "id""#);
    assert_eq!(
        &*text(Dialect::Postgres, 2),
        r#"INSERT INTO "or`der" SELECT FROM generate_series(1,CAST($1 AS int8)) RETURNING "id""#
    );
    assert_eq!(&*text(Dialect::Mysql, 2), "INSERT INTO `or``der` () VALUES (),()");
}

#[test]
fn changes() {
    let keys = [Scalar::Int(1), Scalar::Int(2), Scalar::Int(3)];
    check(
        |dialect| update(dialect, &collection(), vec![(FieldId(1), text("2.00"))], ID, &keys[..1], &[ID]),
        [
            r#"UPDATE "or`der" SET "to""tal"=?1 WHERE "id"=?2 RETURNING "id""#,
            r#"UPDATE "or`der" SET "to""tal"=CAST(CAST($1 AS text) AS numeric(12,2)) WHERE "id"=CAST($2 AS int8) RETURNING "id""#,
            r#"UPDATE `or``der` SET `to"tal`=? WHERE `id`=?"#,
        ],
        ["200 1", "'2.00' 1", "'2.00' 1"],
    );
    check(
        |dialect| update(dialect, &collection(), vec![(FieldId(3), Scalar::Null)], ID, &keys, &[]),
        [
            r#"UPDATE "or`der" SET "owner"=?1 WHERE "id" IN (SELECT value FROM rarray(?2))"#,
            r#"UPDATE "or`der" SET "owner"=CAST(CAST($1 AS text) AS uuid) WHERE "id"=ANY(CAST($2 AS int8[]))"#,
            "UPDATE `or``der` SET `owner`=? WHERE `id` IN (?,?,?,?)",
        ],
        [r#"Null(Text) Int["1", "2", "3"]"#, r#"Null(Text) Int["1", "2", "3"]"#, "Null(Text) 1 2 3 3"],
    );
}

#[test]
fn removal_and_reading() {
    let keys = [text("a"), text("b")];
    let owner = [Match { field: FieldId(3), values: &keys[..1] }, Match { field: FieldId(3), values: &keys }];
    check(
        |dialect| delete(dialect, &collection(), &owner, &[]),
        [
            r#"DELETE FROM "or`der" WHERE "owner"=?1 AND "owner" IN (SELECT value FROM rarray(?2))"#,
            r#"DELETE FROM "or`der" WHERE "owner"=CAST(CAST($1 AS text) AS uuid) AND "owner"=ANY(CAST($2 AS uuid[]))"#,
            "DELETE FROM `or``der` WHERE `owner`=? AND `owner` IN (?,?)",
        ],
        [r#"'a' Text["'a'", "'b'"]"#, r#"'a' Text["'a'", "'b'"]"#, "'a' 'a' 'b'"],
    );
    check(
        |dialect| select(dialect, &collection(), &[ID, FieldId(2)], &owner[..1]),
        [
            r#"SELECT "id","at" FROM "or`der" WHERE "owner"=?1"#,
            r#"SELECT "id","at" FROM "or`der" WHERE "owner"=CAST(CAST($1 AS text) AS uuid) FOR UPDATE"#,
            "SELECT `id`,`at` FROM `or``der` WHERE `owner`=? FOR UPDATE",
        ],
        ["'a'", "'a'", "'a'"],
    );
}
