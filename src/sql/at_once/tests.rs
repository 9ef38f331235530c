//! Texts of writes that are one statement.

use super::*;
use crate::schema::{Auto, Column, Origin};

const ID: FieldId = FieldId(0);

/// A table with a column of each kind that revisions show in a way of their own.
fn collection(key: ColumnType, auto: Option<Auto>) -> Collection {
    let plain = |name: &str, column_type| Field::plain(name, Column::new(column_type));
    let fields = vec![
        Field::plain("id", Column { auto, ..Column::new(key) }),
        plain("to\"tal", ColumnType::Decimal { precision: 12, scale: 2 }),
        plain("at", ColumnType::Timestamp),
        plain("share", ColumnType::Float),
        plain("tags", ColumnType::Csv),
        plain("secret", ColumnType::Hash),
    ];
    let mut collection = Collection::new("orders", Origin::Yaml, fields);
    collection.primary_key = vec![ID];
    collection
}

fn text(text: &str) -> Scalar {
    Scalar::Text(text.into())
}

fn written<'a>(
    collection: &'a Collection,
    head: &'a JournalHead,
    event: &'a Arc<str>,
    texts: &'a Texts,
) -> Written<'a> {
    Written { head, event, collection, texts }
}

fn inserted(collection: &Collection, items: &[Option<&str>]) -> Statement {
    let (head, texts) = (JournalHead::default(), Texts::default());
    let event = "items.create".into();
    let row = |item: &Option<&str>| NewRow {
        values: vec![text("1.50"), Scalar::Null],
        item: item.map(Arc::from),
        delta: "{}".into(),
    };
    let rows = items.iter().map(row).collect();
    insert(written(collection, &head, &event, &texts), &[FieldId(1), FieldId(2)], ID, rows)
}

#[test]
fn one_row() {
    let statement = inserted(&collection(ColumnType::Uuid, None), &[Some("a")]);
    assert_eq!(
        &*statement.text,
        concat!(
            r#"WITH r AS (SELECT CAST($9 AS text) AS item,CAST($10 AS text) AS delta,1 AS n),"#,
            r#"i AS (INSERT INTO "orders" ("to""tal","at") VALUES (CAST(CAST($11 AS text) AS numeric(12,2)),"#,
            r#"CAST(CAST($12 AS text) AS timestamptz))),"#,
            r#"a AS (INSERT INTO "directus_activity" ("action","user","timestamp","ip","user_agent","collection","item","origin") "#,
            r#"SELECT 'create',CAST(CAST($1 AS text) AS uuid),CAST(CAST($2 AS text) AS timestamptz),CAST($3 AS text),"#,
            r#"CAST($4 AS text),CAST($8 AS text),r.item,CAST($5 AS text) FROM r ORDER BY r.n RETURNING "id","item"),"#,
            r#"v AS (INSERT INTO "directus_revisions" ("activity","collection","item","data","delta") "#,
            r#"SELECT a."id",CAST($8 AS text),r.item,CAST(r.delta AS json),CAST(r.delta AS json) FROM r JOIN a USING (item) "#,
            r#"ORDER BY r.n) "#,
            r#"INSERT INTO "tablature_outbox" ("created_at","event","collection","item","payload","accountability") "#,
            r#"SELECT CAST(CAST($2 AS text) AS timestamptz),CAST($7 AS text),CAST($8 AS text),r.item,r.delta,CAST($6 AS text) "#,
            r#"FROM r ORDER BY r.n RETURNING "id","item""#,
        )
    );
    assert_eq!(statement.params.len(), 12);
}

#[test]
fn a_row_whose_key_is_counted() {
    let statement = inserted(&collection(ColumnType::Integer, Some(Auto::Increment)), &[None]);
    let start = concat!(
        r#"WITH i AS (INSERT INTO "orders" ("to""tal","at") VALUES (CAST(CAST($11 AS text) AS numeric(12,2)),"#,
        r#"CAST(CAST($12 AS text) AS timestamptz)) RETURNING "id"),"#,
        r#"r AS (SELECT CAST(i."id" AS text) AS item,CAST($10 AS text) AS delta,1 AS n FROM i),a AS ("#,
    );
    assert!(statement.text.starts_with(start), "{}", statement.text);
}

#[test]
fn many_rows() {
    let statement = inserted(&collection(ColumnType::Uuid, None), &[Some("a"), Some("b"), Some("c")]);
    let start = concat!(
        r#"WITH r AS MATERIALIZED (SELECT * FROM unnest(CAST($9 AS text[]),CAST($10 AS text[]),CAST($11 AS text[]),"#,
        r#"CAST($12 AS text[])) WITH ORDINALITY AS r(item,delta,c0,c1,n)),"#,
        r#"i AS (INSERT INTO "orders" ("to""tal","at") SELECT CAST(r.c0 AS numeric(12,2)),CAST(r.c1 AS timestamptz) "#,
        r#"FROM r ORDER BY r.n),a AS ("#,
    );
    assert!(statement.text.starts_with(start), "{}", statement.text);
    let Some(Param::List(ListKind::Text, totals)) = statement.params.get(10) else { panic!("a list") };
    assert_eq!(totals.len(), 3);
}

#[test]
fn what_is_not_tracked_is_not_recorded() {
    let mut plain = collection(ColumnType::Uuid, None);
    plain.accountability = Tracking::Activity;
    let text = inserted(&plain, &[Some("a")]).text;
    assert!(text.contains("directus_activity") && !text.contains("directus_revisions"), "{text}");
    plain.accountability = Tracking::Nothing;
    assert!(!inserted(&plain, &[Some("a")]).text.contains("directus_activity"));
}

#[test]
fn a_change() {
    let (head, texts, event) = (JournalHead::default(), Texts::default(), "items.update".into());
    let collection = collection(ColumnType::Uuid, None);
    let all: Vec<FieldId> = collection.fields().map(|(id, _)| id).collect();
    let values = vec![(FieldId(1), text("2.00"))];
    let key = (ID, &text("a"));
    let statement =
        update(written(&collection, &head, &event, &texts), values, key, ("a".into(), "{}".into()), &all);
    assert_eq!(
        &*statement.text,
        concat!(
            r#"WITH u AS (UPDATE "orders" SET "to""tal"=CAST(CAST($11 AS text) AS numeric(12,2)) "#,
            r#"WHERE "id"=CAST(CAST($12 AS text) AS uuid) RETURNING "id","to""tal","at","share","tags","secret"),"#,
            r#"a AS (INSERT INTO "directus_activity" ("action","user","timestamp","ip","user_agent","collection","item","origin") "#,
            r#"SELECT 'update',CAST(CAST($1 AS text) AS uuid),CAST(CAST($2 AS text) AS timestamptz),CAST($3 AS text),"#,
            r#"CAST($4 AS text),CAST($8 AS text),CAST($9 AS text),CAST($5 AS text) FROM u RETURNING "id","item"),"#,
            r#"v AS (INSERT INTO "directus_revisions" ("activity","collection","item","data","delta") "#,
            r#"SELECT a."id",CAST($8 AS text),CAST($9 AS text),(SELECT row_to_json(s) FROM (SELECT "#,
            r#"CAST(u."id" AS text) AS "id",CAST(u."to""tal" AS text) AS "to""tal","#,
            r#"CASE WHEN isfinite(u."at") THEN to_char(u."at" AT TIME ZONE 'UTC','YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') "#,
            r#"ELSE CAST(u."at" AS text) END AS "at","#,
            r#"CASE WHEN u."share" IN ('NaN','Infinity','-Infinity') THEN NULL ELSE u."share" END AS "share","#,
            r#"to_json(string_to_array(u."tags",',')) AS "tags","#,
            r#"CASE WHEN u."secret" IS NULL THEN NULL ELSE '**********' END AS "secret") AS s),CAST(CAST($10 AS text) AS json) "#,
            r#"FROM u,a),"#,
            r#"o AS (INSERT INTO "tablature_outbox" ("created_at","event","collection","item","payload","accountability") "#,
            r#"SELECT CAST(CAST($2 AS text) AS timestamptz),CAST($7 AS text),CAST($8 AS text),CAST($9 AS text),"#,
            r#"CAST($10 AS text),CAST($6 AS text) FROM u RETURNING "id") "#,
            r#"SELECT o."id",u."id",u."to""tal",u."at",u."share",u."tags",u."secret" FROM u,o"#,
        )
    );
    assert_eq!(statement.params.len(), 12);
    assert_eq!(statement.columns.len(), 7);
}
