//! Pages by cursor: the same rows in the same order as by offset, whatever is sorted by, and as fast at the end as at the beginning.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::random::Random;
use crate::support::{Client, Database, Engine, Project, Server, each_database, long};

const THINGS: &str = "collection: things
fields:
  id: integer_pk
  word: string(10)
  whole: { type: integer, required: true, index: true }
  amount: \"decimal(8,2)\"
  ratio: float
  flag: boolean
  day: date
  moment: timestamp
  part: m2o(things)
indexes:
  - [whole, id]
";

async fn started(engine: Engine, count: usize) -> (Server, Project, Client) {
    let project = Project::new(Database::fresh(engine).await, &[("things.yaml", THINGS)]).await;
    let server = project.server().set("QUERY_LIMIT_MAX", "-1").start().await;
    let admin = server.admin();
    let mut random = Random::new(11);
    let words = ["a", "B", "", "ä", "zz", "a b"];
    let mut rows = Vec::with_capacity(count);
    for n in 0..count {
        let mut maybe = |value: Value| if random.one_in(4) { Value::Null } else { value };
        rows.push(json!({
            "word": maybe(json!(words[n * 7 % words.len()])), "whole": n * 31 % 9, "amount": maybe(json!(format!("{}.5", n * 13 % 5))),
            "ratio": maybe(json!((n * 17 % 4) as f64 / 3.0)), "flag": maybe(json!(n % 2 == 0)),
            "day": maybe(json!(format!("2024-01-0{}", 1 + n % 5))), "moment": maybe(json!(format!("2024-01-01T00:00:00.00{}Z", n % 3))),
        }));
    }
    for chunk in rows.chunks(1000) {
        admin.post("/items/things?fields=id&limit=0", json!(chunk)).await.data();
    }
    (server, project, admin)
}

/// All rows, page by page, following cursors. The last page may be empty.
async fn by_cursor(client: &Client, query: &Value, page: usize) -> Vec<i64> {
    let mut all = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut query = query.clone();
        query["limit"] = json!(page);
        query["meta"] = json!("next_cursor");
        if let Some(cursor) = &cursor {
            query["cursor"] = json!(cursor);
        }
        let answer = client.items("things", query).await;
        all.extend(answer.ids());
        match answer.json()["meta"]["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return all,
        }
        assert!(all.len() < 100_000, "pages without end: {answer:?}");
    }
}

#[tokio::test]
async fn the_same_rows_in_the_same_order_as_by_offset() {
    each_database(async |engine| {
        let (_server, _project, admin) = started(engine, 120).await;
        let fields = ["id", "word", "whole", "amount", "ratio", "flag", "day", "moment"];
        let mut random = Random::new(5);
        let rounds = if long() { 300 } else { 60 };
        for _ in 0..rounds {
            let sort: Vec<String> = (0..random.below(4))
                .map(|_| format!("{}{}", if random.one_in(2) { "-" } else { "" }, random.pick(&fields)))
                .collect();
            let filter = match random.below(3) {
                0 => json!({}),
                1 => json!({ "whole": { "_gt": 2 } }),
                _ => json!({ "_or": [{ "word": { "_null": true } }, { "flag": { "_eq": true } }] }),
            };
            let query = json!({ "sort": sort.join(","), "filter": filter, "fields": "id" });
            let mut whole = query.clone();
            whole["limit"] = json!(-1);
            let expected = admin.items("things", whole).await.ids();
            let page = 1 + random.below(40);
            assert_eq!(by_cursor(&admin, &query, page).await, expected, "{query}, pages of {page}");
        }
    })
    .await;
}

#[tokio::test]
async fn rows_that_come_and_go_shift_nothing() {
    each_database(async |engine| {
        let (_server, _project, admin) = started(engine, 30).await;
        let page = async |cursor: Option<String>| {
            let query = json!({ "sort": "-id", "limit": 10, "fields": "id", "meta": "next_cursor,filter_count", "cursor": cursor.unwrap_or_default() });
            let answer = admin.items("things", query).await;
            (answer.ids(), answer.json()["meta"].clone())
        };
        let (first, meta) = page(None).await;
        assert_eq!(first, (21..=30).rev().collect::<Vec<_>>());
        assert_eq!(meta["filter_count"], 30, "a count is of all pages");
        admin.create("things", json!({ "whole": 1 })).await;
        admin.delete("/items/things/21").await.no_content();
        let (second, meta) = page(meta["next_cursor"].as_str().map(str::to_owned)).await;
        assert_eq!(second, (11..=20).rev().collect::<Vec<_>>());
        assert_eq!(meta["filter_count"], 30);
        let (third, meta) = page(meta["next_cursor"].as_str().map(str::to_owned)).await;
        assert_eq!(third, (1..=10).rev().collect::<Vec<_>>());
        let (rest, meta) = page(meta["next_cursor"].as_str().map(str::to_owned)).await;
        assert!(rest.is_empty() && meta["next_cursor"].is_null());
    })
    .await;
}

#[tokio::test]
async fn a_cursor_belongs_to_its_list() {
    each_database(async |engine| {
        let (_server, _project, admin) = started(engine, 30).await;
        let query = json!({ "sort": "whole", "limit": 5, "fields": "id", "meta": "next_cursor" });
        let answer = admin.items("things", query).await;
        let cursor = answer.json()["meta"]["next_cursor"].as_str().unwrap().to_owned();
        let refused = async |query: Value| {
            admin.items("things", query).await.refused(400, "INVALID_QUERY");
        };
        refused(json!({ "sort": "-whole", "cursor": cursor })).await;
        refused(json!({ "sort": "whole", "cursor": cursor, "filter": { "flag": { "_eq": true } } })).await;
        refused(json!({ "sort": "whole", "cursor": cursor, "search": "a" })).await;
        refused(json!({ "sort": "whole", "cursor": cursor, "offset": 1 })).await;
        refused(json!({ "sort": "whole", "cursor": cursor, "page": 2 })).await;
        refused(json!({ "sort": "part.word", "meta": "next_cursor" })).await;
        refused(json!({ "sort": "year(day)", "meta": "next_cursor" })).await;
        for wrong in ["x", "AAAA", "!!!", &cursor[1..], &"A".repeat(3000)] {
            refused(json!({ "sort": "whole", "cursor": wrong })).await;
        }
        // Other fields, another page size and another caller go on with the same cursor.
        let query = json!({ "sort": "whole", "limit": 3, "fields": "word", "cursor": cursor });
        assert_eq!(admin.items("things", query).await.data().as_array().map(Vec::len), Some(3));
        assert!(
            admin.items("things", json!({ "meta": "*" })).await.json()["meta"].get("next_cursor").is_none()
        );
    })
    .await;
}

#[tokio::test]
async fn what_is_hidden_is_in_no_cursor() {
    each_database(async |engine| {
        let (_server, _project, admin) = started(engine, 40).await;
        let rights = json!([["things", "read", {}, ["id", "whole"]], ["things", "read", { "whole": { "_eq": 1 } }, ["word"]]]);
        let rights = policy(&admin, "reader", rights).await;
        let (_, reader) = user(&admin, "reader", &[&rights]).await;
        for sort in ["word", "-word", "whole", "-whole,word"] {
            let query = json!({ "sort": sort, "fields": "id" });
            let mut whole = query.clone();
            whole["limit"] = json!(-1);
            let expected = reader.items("things", whole).await.ids();
            assert_eq!(by_cursor(&reader, &query, 7).await, expected, "{sort}");
        }
        reader.items("things", json!({ "sort": "amount", "meta": "next_cursor" })).await.refused(403, "FORBIDDEN");
        let keyless = policy(&admin, "keyless", json!([["things", "read", {}, ["whole"]]])).await;
        let (_, keyless) = user(&admin, "keyless", &[&keyless]).await;
        keyless.items("things", json!({ "meta": "next_cursor" })).await.refused(400, "INVALID_QUERY");
    })
    .await;
}

#[tokio::test]
async fn the_last_page_is_as_fast_as_the_first() {
    each_database(async |engine| {
        let count = if long() { 100_000 } else { 20_000 };
        let (_server, _project, admin) = started(engine, count).await;
        for sort in ["id", "-whole", "whole"] {
            let query = json!({ "sort": sort, "fields": "id", "limit": 1000, "meta": "next_cursor" });
            let mut times: Vec<Duration> = Vec::new();
            let mut cursor = String::new();
            let mut seen = 0;
            loop {
                let mut query = query.clone();
                query["cursor"] = json!(cursor);
                let began = Instant::now();
                let answer = admin.items("things", query).await;
                times.push(began.elapsed());
                seen += answer.ids().len();
                match answer.json()["meta"]["next_cursor"].as_str() {
                    Some(next) => cursor = next.to_owned(),
                    None => break,
                }
            }
            assert_eq!(seen, count);
            let median = |times: &[Duration]| {
                let mut sorted = times.to_vec();
                sorted.sort();
                sorted[sorted.len() / 2]
            };
            let (first, last) = (median(&times[..times.len() / 2]), median(&times[times.len() / 2..]));
            eprintln!("{count} rows by {sort}: pages take {first:?} at first and {last:?} at last");
            assert!(last < first * 4 + Duration::from_millis(20), "{first:?}, {last:?}");
        }
    })
    .await;
}
