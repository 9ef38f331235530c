//! Reads on real databases: the same answer, byte for byte, from each of them.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::world::{administrator, beside, object};
use crate::access::Context;
use crate::db::introspect::introspect;
use crate::db::{Database, Settings, Target, migrations, steps};
use crate::events::{Events, Hooks};
use crate::items::{ItemsService, ItemsSettings, Operation};
use crate::query::Selection;
use crate::schema::{DiffOptions, Schema, SourceFile, diff, load};

struct Shelf {
    items: ItemsService,
    ctx: Context,
}

impl Shelf {
    /// `/articles/1?fields=title`, as in the golden tests.
    async fn read(&self, request: &str) -> String {
        let (path, raw) = request.split_once('?').unwrap_or((request, ""));
        let mut parts = path.trim_start_matches('/').splitn(2, '/');
        let collection = parts.next().unwrap();
        let selection = match (parts.next(), collection.ends_with('!')) {
            (Some(keys), _) if keys.contains(',') => {
                Selection::Keys(keys.split(',').map(str::to_owned).collect())
            }
            (Some(key), _) => Selection::Key(key.to_owned()),
            (None, true) => Selection::Singleton,
            (None, false) => Selection::Query,
        };
        let collection = collection.trim_end_matches('!');
        match self.items.read_url(&self.ctx, collection, selection, raw).await {
            Ok(bytes) => String::from_utf8(bytes).unwrap(),
            Err(error) => format!("{}: {error}", error.code()),
        }
    }

    async fn check(&self, request: &str, expected: &str) {
        let got = self.read(request).await;
        let dialect = self.items.database.dialect();
        assert_eq!(got, expected, "{request} on {dialect:?}");
    }

    /// Keys that a filter finds.
    async fn check_filter(&self, filter: &str, expected: &str) {
        let request = format!("/articles?fields=id&sort=id&limit=-1&filter={filter}");
        let answer: Value = serde_json::from_str(&format!("{{{}}}", self.read(&request).await)).unwrap();
        let keys: Vec<String> =
            answer["data"].as_array().unwrap().iter().map(|item| item["id"].to_string()).collect();
        let dialect = self.items.database.dialect();
        assert_eq!(keys.join(" "), expected, "{filter} on {dialect:?}");
    }
}

fn model() -> Schema {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile/model");
    let files: Vec<SourceFile> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| SourceFile {
            path: path.file_name().unwrap().to_string_lossy().into_owned(),
            text: std::fs::read(&path).unwrap(),
        })
        .collect();
    let (model, findings) = load(&files, 1);
    model.unwrap_or_else(|| panic!("{findings:?}")).schema
}

async fn shelves() -> Vec<Shelf> {
    let name = format!("tablature_{}", uuid::Uuid::new_v4().simple());
    let path = std::env::temp_dir().join(format!("{name}.db"));
    let mut targets = vec![Target::Sqlite { path }];
    if let Ok(url) = std::env::var("TEST_POSTGRES_URL") {
        let url = beside(Target::Postgres { url: url.clone() }, &url, &name).await;
        targets.push(Target::Postgres { url });
    }
    if let Ok(url) = std::env::var("TEST_MARIADB_URL") {
        targets.push(Target::Mysql { url: beside(Target::Mysql { url: url.clone() }, &url, &name).await });
    }
    let schema = Arc::new(model());
    let mut shelves = Vec::new();
    for target in targets {
        let database = Database::connect(&Settings::new(target)).await.unwrap();
        make_tables(&database, &schema).await;
        let events = Events::start(database.clone(), Hooks::default());
        let items = ItemsService::new(database, events, ItemsSettings::default());
        let mut ctx = administrator(schema.clone());
        ctx.accountability = Arc::new(crate::access::Accountability { admin: true, ..Default::default() });
        let shelf = Shelf { items, ctx };
        fill(&shelf).await;
        shelves.push(shelf);
    }
    shelves
}

async fn make_tables(database: &Database, schema: &Schema) {
    let built_in = load(&[], 0).0.unwrap().schema;
    migrations::migrate(database).await.unwrap();
    let actual = introspect(database).await.unwrap();
    let options = DiffOptions { built_in: &built_in, is_stored_alike: &|_, _| true, prune: false };
    let changes = diff(schema, &actual, options).steps;
    database
        .schema_transaction(move |tx| {
            Box::pin(async move { steps::run_in(tx, &changes, &actual, false).await })
        })
        .await
        .unwrap();
}

const STATUS: [&str; 3] = ["draft", "published", "archived"];
const SLUGS: [&str; 12] = [
    "alpha",
    "Beta",
    "gamma ray",
    "Délta",
    "épsilon",
    "zeta%",
    "eta_x",
    "back\\slash",
    "iota",
    "KAPPA",
    "лямбда",
    "x",
];

async fn fill(shelf: &Shelf) {
    let quote = "c0ffee00-0000-4000-8000-000000000061";
    let mut articles = Vec::new();
    for i in 1_i64..=12 {
        let is_last = i == 12;
        let value = |value: Value| if is_last { Value::Null } else { value };
        articles.push(json!({
            "status": STATUS[i as usize % 3],
            "sort": 13 - i,
            "title": format!("Article {i:02}"),
            "slug": SLUGS[i as usize - 1],
            "body": value(json!(if i == 3 { String::new() } else { format!("Body of article {i}. ünïcødé \"{i}\"") })),
            "views": value(json!((i - 6) * 10)),
            "price": value(json!(format!("{}.{:02}", i * 10, i * 7 % 100))),
            "score": value(json!(i as f64 * 1.5)),
            "big": value(json!((i * 1_000_000_007).to_string())),
            "published_on": value(json!(format!("2024-{i:02}-15T{:02}:15:30", i + 9))),
            "day": value(json!(format!("2024-{i:02}-{:02}", i + 9))),
            "at": value(json!(format!("{:02}:30:00", i + 8))),
            "seen": value(json!(format!("2023-{i:02}-10T08:00:{i:02}.250Z"))),
            "featured": value(json!(i % 2 == 0)),
            "extra": value(if i % 3 == 0 { json!([i, "x"]) } else { json!({ "n": i }) }),
            "labels": value(json!(if i % 4 == 0 { vec![] } else { vec![format!("l{}", i % 3), "m".to_owned()] })),
            "token": value(json!(format!("aaaaaaaa-0000-4000-8000-{i:012}"))),
            "secret": value(json!("s")),
            "author": if i % 5 == 0 { Value::Null } else { json!(i % 4 + 1) },
        }));
    }
    let authors = json!([
        { "name": "Ada", "country": "FR", "born": "1961-02-11", "active": true },
        { "name": "Bob", "country": "DE", "born": "1962-03-11", "active": false, "manager": 1 },
        { "name": "Cid", "country": "FR", "born": "1963-04-11", "active": true, "manager": 1 },
        { "name": "Dee", "country": null, "active": true, "manager": 2 },
    ]);
    let comments: Vec<Value> = (1..=20)
        .map(|i| json!({ "text": format!("Comment {i}"), "score": i * 11 % 7, "sort": i, "article": i * 7 % 9 + 1, "author": i % 4 + 1 }))
        .collect();
    let tags = json!([{ "name": "rust" }, { "name": "sql" }, { "name": "web", "parent": 1 }]);
    let links: Vec<Value> =
        (1..=9).map(|i| json!({ "articles_id": i, "tags_id": i % 3 + 1, "sort": i })).collect();
    let all: [(&str, Value); 11] = [
        ("authors", authors),
        ("articles", Value::from(articles)),
        ("comments", Value::from(comments)),
        ("tags", tags),
        ("articles_tags", Value::from(links)),
        ("texts", json!([{ "content": "one" }, { "content": "two" }])),
        ("images", json!([{ "url": "a.png", "width": 100 }, { "url": "b.png", "width": 300 }])),
        ("quotes", json!([{ "id": quote, "quote": "To be", "by": 1 }])),
        (
            "articles_blocks",
            json!([
                { "articles_id": 1, "collection": "texts", "item": "1" },
                { "articles_id": 1, "collection": "images", "item": "2" },
                { "articles_id": 2, "collection": "quotes", "item": quote },
            ]),
        ),
        (
            "notes",
            json!([{ "id": "c0ffee00-0000-4000-8000-000000000071", "text": "n", "subject_type": "articles", "subject": "5" }, { "id": "c0ffee00-0000-4000-8000-000000000072", "text": "seen", "subject_type": "images", "subject": "2" }]),
        ),
        ("settings", json!([])),
    ];
    for (collection, rows) in all {
        let rows: Vec<Map<String, Value>> = rows.as_array().unwrap().iter().cloned().map(object).collect();
        shelf.items.change(&shelf.ctx, collection, Operation::CreateMany(rows)).await.unwrap();
    }
}

/// Every request of the golden tests, twice, so that the second comes from a kept plan.
#[tokio::test]
async fn answers_are_equal_on_every_database() {
    let shelves = shelves().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile/reads");
    let mut wrong = Vec::new();
    for case in std::fs::read_dir(folder).unwrap() {
        let case = case.unwrap().path();
        if case.join("schema.yaml").exists() {
            continue;
        }
        for request in std::fs::read_to_string(case.join("query.txt")).unwrap().lines() {
            let mut answers = Vec::new();
            for shelf in &shelves {
                answers.push(shelf.read(request).await);
                answers.push(shelf.read(request).await);
            }
            let is_fine = answers[0].starts_with("\"data\"") || answers[0].starts_with("FORBIDDEN");
            if !is_fine || answers.iter().any(|answer| *answer != answers[0]) {
                wrong.push(format!("{request}\n  {}", answers.join("\n  ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn reads_find_and_show_what_is_there() {
    for shelf in shelves().await {
        shelf.check("/articles/1?fields=title,price,big,seen,published_on,at,day,featured,extra,labels,secret,token,score", concat!(
            r#""data":{"title":"Article 01","price":"10.07","big":"1000000007","seen":"2023-01-10T08:00:01.250Z","#,
            r#""published_on":"2024-01-15T10:15:30","at":"09:30:00","day":"2024-01-10","featured":false,"extra":{"n":1},"#,
            r#""labels":["l1","m"],"secret":"**********","token":"aaaaaaaa-0000-4000-8000-000000000001","score":1.5}"#)).await;
        shelf
            .check(
                "/images?fields=id,notes.text",
                r#""data":[{"id":1,"notes":[]},{"id":2,"notes":[{"text":"seen"}]}]"#,
            )
            .await;
        shelf.check("/articles?fields=id&limit=3", r#""data":[{"id":12},{"id":11},{"id":10}]"#).await;
        shelf.check("/articles/2?fields=id", r#""data":{"id":2}"#).await;
        shelf.check("/articles/3?fields=id", r#""data":{"id":3}"#).await;
        shelf.check("/articles/99?fields=id", "FORBIDDEN: You don't have permission to access this.").await;
        shelf.check("/articles/abc?fields=id", "FORBIDDEN: You don't have permission to access this.").await;
        shelf.check("/articles/1?fields=title.x", r#""data":1"#).await;
        shelf
            .check(
                "/articles/1?fields=author.name,tags.tags_id.name,comments",
                r#""data":{"author":{"name":"Bob"},"tags":[{"tags_id":{"name":"sql"}}],"comments":[9,18]}"#,
            )
            .await;
        shelf
            .check(
                "/articles/1?fields=blocks.item,blocks.collection",
                r#""data":{"blocks":[{"item":"1","collection":"texts"},{"item":"2","collection":"images"}]}"#,
            )
            .await;
        shelf
            .check(
                "/articles/1?fields=blocks.item:texts.content",
                r#""data":{"blocks":[{"item":{"content":"one"}},{"item":2}]}"#,
            )
            .await;
        shelf
            .check(
                "/notes?fields=subject:articles.title",
                r#""data":[{"subject":{"title":"Article 05"}},{"subject":2}]"#,
            )
            .await;
        shelf.check("/articles/1?fields=year(day),count(comments),count(extra),count(labels),week(day)", r#""data":{"day_year":"2024","comments_count":"2","extra_count":"0","labels_count":"2","day_week":"2"}"#).await;
        shelf
            .check("/articles?fields=id&sort=views,id&limit=2&offset=10", r#""data":[{"id":11},{"id":12}]"#)
            .await;
        shelf.check("/articles?fields=id&sort=-views,id&limit=2", r#""data":[{"id":12},{"id":11}]"#).await;
        shelf
            .check(
                "/articles?fields=id&sort=-author.country,id&limit=4",
                r#""data":[{"id":3},{"id":5},{"id":7},{"id":10}]"#,
            )
            .await;
        shelf
            .check(
                "/articles?fields=id&sort=slug&limit=4",
                r#""data":[{"id":2},{"id":4},{"id":10},{"id":1}]"#,
            )
            .await;
        shelf.check("/articles?fields=id,comments.id&sort=id&limit=2&deep={\"comments\":{\"_limit\":1,\"_offset\":1,\"_sort\":\"id\"}}", r#""data":[{"id":1,"comments":[{"id":18}]},{"id":2,"comments":[{"id":13}]}]"#).await;
        shelf
            .check(
                "/articles?fields=id&limit=1&sort=id&meta=*&filter={\"views\":{\"_gt\":0}}",
                r#""data":[{"id":7}],"meta":{"total_count":12,"filter_count":5}"#,
            )
            .await;
        shelf.check("/articles?aggregate={\"sum\":\"views,price\",\"avg\":\"price,views\",\"count\":\"price\",\"min\":\"day\",\"max\":\"price\"}", concat!(
            r#""data":[{"sum":{"views":"0","price":"664.62"},"avg":{"price":"60.4200000000000000","views":"0.00000000000000000000"},"#,
            r#""count":{"price":"11"},"min":{"day":"2024-01-10"},"max":{"price":"110.77"}}]"#)).await;
        shelf.check("/articles?aggregate[count]=*&groupBy=status&sort=-count,status", r#""data":[{"status":"archived","count":"4"},{"status":"draft","count":"4"},{"status":"published","count":"4"}]"#).await;
        shelf
            .check(
                "/articles?aggregate[count]=id&groupBy=month(day)&sort=month(day)&limit=1",
                r#""data":[{"day_month":"1","count":{"id":"1"}}]"#,
            )
            .await;
        shelf
            .check(
                "/settings!",
                r#""data":{"id":null,"site_name":"Unnamed","count":3,"fee":"1.50","total":"9"}"#,
            )
            .await;
    }
}

#[tokio::test]
async fn filters_find_the_same_rows() {
    for shelf in shelves().await {
        let cases = [
            (r#"{"views":{"_in":"10,20"}}"#, "7 8"),
            (r#"{"views":{"_nin":[10,20]}}"#, "1 2 3 4 5 6 9 10 11"),
            (r#"{"views":{"_nbetween":[-10,20]}}"#, "1 2 3 4 9 10 11"),
            (r#"{"views":{"_null":true}}"#, "12"),
            (r#"{"price":{"_eq":30.21}}"#, "3"),
            (r#"{"price":{"_gt":"100.7"}}"#, "11"),
            (r#"{"price":{"_lt":"10.0700001"}}"#, "1"),
            (r#"{"price":{"_in":["10.07",20.14]}}"#, "1 2"),
            (r#"{"price":{"_nin":["10.07",20.14]}}"#, "3 4 5 6 7 8 9 10 11"),
            (r#"{"score":{"_in":[1.5,3]}}"#, "1 2"),
            (r#"{"big":{"_gte":"10000000070"}}"#, "10 11"),
            (r#"{"slug":{"_contains":"a"}}"#, "1 2 3 4 6 7 8 9"),
            (r#"{"slug":{"_icontains":"A"}}"#, "1 2 3 4 6 7 8 9 10"),
            (r#"{"slug":{"_icontains":"É"}}"#, "4 5"),
            (r#"{"slug":{"_icontains":"ЛЯМ"}}"#, "11"),
            (r#"{"slug":{"_contains":"\\"}}"#, "8"),
            (r#"{"slug":{"_starts_with":"b"}}"#, "8"),
            (r#"{"slug":{"_istarts_with":"B"}}"#, "2 8"),
            (r#"{"slug":{"_ends_with":"a"}}"#, "1 2 4 9"),
            (r#"{"slug":{"_nin":["alpha","x"]}}"#, "2 3 4 5 6 7 8 9 10 11"),
            (r#"{"slug":{"_in":["ALPHA","x "]}}"#, ""),
            (r#"{"body":{"_empty":true}}"#, "3 12"),
            (r#"{"body":{"_nempty":true}}"#, "1 2 4 5 6 7 8 9 10 11"),
            (r#"{"body":{"_nin":["x"]}}"#, "1 2 3 4 5 6 7 8 9 10 11"),
            (r#"{"featured":{"_neq":true}}"#, "1 3 5 7 9 11"),
            (r#"{"featured":{"_in":[true]}}"#, "2 4 6 8 10"),
            (r#"{"extra":{"_nnull":true}}"#, "1 2 3 4 5 6 7 8 9 10 11"),
            (r#"{"token":{"_in":["AAAAAAAA-0000-4000-8000-000000000005"]}}"#, "5"),
            (r#"{"day":{"_between":["2024-03-01","2024-06-30"]}}"#, "3 4 5 6"),
            (r#"{"day":{"_in":["2024-05-14"]}}"#, "5"),
            (r#"{"published_on":{"_eq":"2024-05-15T14:15:30"}}"#, "5"),
            (r#"{"published_on":{"_in":["2024-05-15T14:15:30"]}}"#, "5"),
            (r#"{"published_on":{"_lt":"2024-02-15T11:15:30.5"}}"#, "1 2"),
            (r#"{"seen":{"_eq":"2023-05-10T10:00:05.250%2B02:00"}}"#, "5"),
            (r#"{"seen":{"_in":["2023-05-10T08:00:05.250Z"]}}"#, "5"),
            (r#"{"seen":{"_lt":"$NOW"}}"#, "1 2 3 4 5 6 7 8 9 10 11"),
            (r#"{"at":{"_gte":"18:30"}}"#, "10 11"),
            (r#"{"at":{"_in":["18:30"]}}"#, "10"),
            (r#"{"month(day)":{"_in":[3,4]}}"#, "3 4"),
            (r#"{"hour(seen)":{"_eq":8},"second(seen)":{"_lt":3}}"#, "1 2"),
            (r#"{"count(comments)":{"_eq":3}}"#, "6 8"),
            (r#"{"author":{"_null":true}}"#, "5 10"),
            (r#"{"author":{"country":{"_null":true}}}"#, "3 5 7 10 11"),
            (r#"{"author":{"manager":{"name":{"_eq":"Bob"}}}}"#, "3 7 11"),
            (r#"{"author":{"year(born)":{"_eq":1963}}}"#, "2 6"),
            (
                r#"{"comments":{"_some":{"_and":[{"score":{"_eq":6}},{"author":{"name":{"_eq":"Ada"}}}]}}}"#,
                "4",
            ),
            (r#"{"comments":{"score":{"_gte":5}}}"#, "3 4 8 9"),
            (r#"{"comments":{"_none":{"score":{"_gte":5}}}}"#, "1 2 5 6 7 10 11 12"),
            (r#"{"tags":{"tags_id":{"parent":{"name":{"_eq":"rust"}}}}}"#, "2 5 8"),
            (r#"{"blocks":{"item:images":{"width":{"_gte":200}}}}"#, "1"),
            (r#"{"blocks":{"item:quotes":{"by":{"name":{"_eq":"Ada"}}}}}"#, "2"),
            (r#"{"_or":[]}"#, "1 2 3 4 5 6 7 8 9 10 11 12"),
            (r#"{"_or":[{"views":{"_null":true}},{"views":{"_eq":0}}]}"#, "6 12"),
        ];
        for (filter, expected) in cases {
            shelf.check_filter(filter, expected).await;
        }
    }
}
