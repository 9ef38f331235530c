//! Every operator on every type. What a filter should find is worked out from the data that was put in.

use serde_json::{Value, json};

use crate::support::{Client, Engine, blog, each_database};

/// Asserts that a filter finds those of these items for which the test holds; `key` is the oracle's view of a
/// row.
async fn check_in(
    admin: &Client,
    collection: &str,
    items: &[Value],
    filter: Value,
    wanted: impl Fn(&Value) -> bool,
) {
    let query = json!({ "filter": filter, "fields": "id", "sort": "id", "limit": -1 });
    let found = admin.items(collection, query).await.ids();
    let expected: Vec<i64> =
        items.iter().filter(|item| wanted(item)).map(|item| item["id"].as_i64().unwrap()).collect();
    assert_eq!(found, expected, "{filter}");
}

/// Whether a text is as the pattern says, in which `%` stands for any text and `_` for any character, as in the
/// public API.
fn like(text: &str, pattern: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => text.is_empty(),
        Some('%') => {
            text.char_indices().any(|(start, _)| like(&text[start..], rest.as_str()))
                || like("", rest.as_str())
        }
        Some(sign) => {
            let mut chars = text.chars();
            chars
                .next()
                .is_some_and(|first| (sign == '_' || sign == first) && like(chars.as_str(), rest.as_str()))
        }
    }
}

struct Samples {
    admin: Client,
    items: Vec<Value>,
}

impl Samples {
    async fn on(engine: Engine) -> Self {
        Samples { admin: blog::shared(engine).await, items: blog::with_keys(blog::samples()) }
    }

    async fn check(&self, filter: Value, wanted: impl Fn(&Value) -> bool) {
        check_in(&self.admin, "samples", &self.items, filter, wanted).await;
    }
}

fn text<'a>(item: &'a Value, field: &str) -> Option<&'a str> {
    item[field].as_str()
}

fn whole(item: &Value) -> Option<i64> {
    item["whole"].as_i64()
}

/// A value of any type in a form that orders as the type does.
fn ordered(item: &Value, field: &str) -> Option<(i128, String)> {
    match (&item[field], field) {
        (Value::Null, _) => None,
        (Value::String(digits), "large") => Some((digits.parse().unwrap(), String::new())),
        (Value::String(digits), "amount") => Some((digits.replace('.', "").parse().unwrap(), String::new())),
        (Value::String(text), _) => Some((0, text.clone())),
        (number, _) => Some(((number.as_f64().unwrap() * 1000.0) as i128, String::new())),
    }
}

#[tokio::test]
async fn compares_values_of_every_type() {
    each_database(async |engine| {
        let samples = Samples::on(engine).await;
        let fields = ["whole", "large", "ratio", "amount", "local", "day", "clock", "moment"];
        for field in fields {
            let value = samples.items[4][field].clone();
            let pivot = ordered(&samples.items[4], field).unwrap();
            let is = |wanted: fn(&(i128, String), &(i128, String)) -> bool| {
                let pivot = pivot.clone();
                move |item: &Value| ordered(item, field).is_some_and(|own| wanted(&own, &pivot))
            };
            samples.check(json!({ field: { "_lt": value } }), is(|own, pivot| own < pivot)).await;
            samples.check(json!({ field: { "_lte": value } }), is(|own, pivot| own <= pivot)).await;
            samples.check(json!({ field: { "_gt": value } }), is(|own, pivot| own > pivot)).await;
            samples.check(json!({ field: { "_gte": value } }), is(|own, pivot| own >= pivot)).await;
            let until = samples.items[7][field].clone();
            let end = ordered(&samples.items[7], field).unwrap();
            let between = |item: &Value| ordered(item, field).map(|own| own >= pivot && own <= end);
            samples
                .check(json!({ field: { "_between": [value, until] } }), |item| between(item) == Some(true))
                .await;
            samples
                .check(json!({ field: { "_nbetween": [value, until] } }), |item| between(item) == Some(false))
                .await;
        }
        for field in fields.into_iter().chain(["word", "prose", "flag", "code"]) {
            let value = samples.items[4][field].clone();
            let other = samples.items[8][field].clone();
            let given = |item: &Value| !item[field].is_null();
            samples.check(json!({ field: { "_eq": value } }), |item| item[field] == value).await;
            samples
                .check(json!({ field: { "_neq": value } }), |item| given(item) && item[field] != value)
                .await;
            let either = |item: &Value| item[field] == value || item[field] == other;
            samples.check(json!({ field: { "_in": [value, other] } }), either).await;
            samples
                .check(json!({ field: { "_nin": [value, other] } }), |item| given(item) && !either(item))
                .await;
        }
        for field in fields.into_iter().chain(["word", "prose", "flag", "code", "shape", "list", "secret"]) {
            let null = |item: &Value| item[field].is_null();
            samples.check(json!({ field: { "_null": true } }), null).await;
            samples.check(json!({ field: { "_nnull": true } }), |item| !null(item)).await;
            samples.check(json!({ field: { "_null": false } }), |item| !null(item)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn takes_values_in_every_form_that_means_the_same() {
    each_database(async |engine| {
        let samples = Samples::on(engine).await;
        samples.check(json!({ "whole": { "_eq": "10" } }), |item| whole(item) == Some(10)).await;
        samples
            .check(json!({ "whole": { "_in": "10,20" } }), |item| matches!(whole(item), Some(10 | 20)))
            .await;
        samples.check(json!({ "whole": { "_in": 10 } }), |item| whole(item) == Some(10)).await;
        samples
            .check(json!({ "whole": { "_between": "10,20" } }), |item| matches!(whole(item), Some(10 | 20)))
            .await;
        samples.check(json!({ "flag": { "_eq": "true" } }), |item| item["flag"] == true).await;
        samples.check(json!({ "flag": { "_eq": false } }), |item| item["flag"] == false).await;
        samples.check(json!({ "flag": { "_neq": true } }), |item| item["flag"] == false).await;
        samples.check(json!({ "large": { "_eq": 3_000_000_021_i64 } }), |item| item["id"] == 3).await;
        samples.check(json!({ "amount": { "_eq": 10.07 } }), |item| item["id"] == 1).await;
        samples.check(json!({ "amount": { "_eq": "10.070" } }), |item| item["id"] == 1).await;
        samples
            .check(json!({ "amount": { "_gt": "10.069999999999" } }), |item| !item["amount"].is_null())
            .await;
        samples.check(json!({ "whole": { "_neq": null } }), |item| !item["whole"].is_null()).await;
        samples.check(json!({ "whole": { "_eq": null } }), |item| item["whole"].is_null()).await;
        samples
            .check(json!({ "code": { "_eq": "AAAAAAAA-0000-4000-8000-000000000005" } }), |item| {
                item["id"] == 5
            })
            .await;
        // Half past nine in Paris is half past eight in UTC, where moments are kept.
        samples
            .check(json!({ "moment": { "_eq": "2023-05-10T10:00:05+02:00" } }), |item| item["id"] == 5)
            .await;
        let may = |item: &Value| text(item, "local").is_some_and(|local| local >= "2024-05");
        samples.check(json!({ "local": { "_gte": "2024-05-01" } }), may).await;
    })
    .await;
}

#[tokio::test]
async fn looks_into_texts() {
    each_database(async |engine| {
        let samples = Samples::on(engine).await;
        type Pattern = fn(&str) -> String;
        let operators: [(&str, Pattern); 3] = [
            ("contains", |part| format!("%{part}%")),
            ("starts_with", |part| format!("{part}%")),
            ("ends_with", |part| format!("%{part}")),
        ];
        let parts = [
            "a",
            "A",
            "ta",
            "BE",
            "appa",
            "%",
            "_",
            "zeta%",
            "eta_x",
            "g_m%y",
            "'",
            "\\",
            "gamma ray",
            "épsilon",
        ];
        for (name, pattern) in operators {
            for part in parts {
                let exact = |item: &Value| text(item, "word").map(|word| like(word, &pattern(part)));
                let folded = |item: &Value| {
                    let word = text(item, "word")?.to_lowercase();
                    Some(like(&word, &pattern(part).to_lowercase()))
                };
                let check = async |operator: String, test: &dyn Fn(&Value) -> bool| {
                    samples.check(json!({ "word": { operator: part } }), test).await;
                };
                check(format!("_{name}"), &|item| exact(item) == Some(true)).await;
                check(format!("_n{name}"), &|item| exact(item) == Some(false)).await;
                check(format!("_i{name}"), &|item| folded(item) == Some(true)).await;
                check(format!("_ni{name}"), &|item| folded(item) == Some(false)).await;
            }
        }
        samples.check(json!({ "prose": { "_empty": true } }), |item| text(item, "prose") == Some("")).await;
        samples.check(json!({ "prose": { "_nempty": true } }), |item| text(item, "prose") != Some("")).await;
        samples.check(json!({ "word": { "_eq": "delta" } }), |_| false).await;
        samples
            .check(json!({ "word": { "_in": ["Delta", "DELTA", "'; drop table samples; --"] } }), |item| {
                item["id"] == 4
            })
            .await;
        samples.check(json!({ "word": { "_eq": "Delta " } }), |_| false).await;
        samples.check(json!({ "word": { "_eq": "epsilon" } }), |_| false).await;
    })
    .await;
}

#[tokio::test]
async fn joins_conditions() {
    each_database(async |engine| {
        let samples = Samples::on(engine).await;
        let above = |item: &Value, least| whole(item).is_some_and(|whole| whole > least);
        let below = |item: &Value, most| whole(item).is_some_and(|whole| whole < most);
        samples
            .check(json!({ "whole": { "_gt": 0, "_lt": 40 } }), |item| above(item, 0) && below(item, 40))
            .await;
        let two = json!({ "whole": { "_gt": 0 }, "flag": { "_eq": true } });
        samples.check(two, |item| above(item, 0) && item["flag"] == true).await;
        let and = json!({ "_and": [{ "whole": { "_gt": 0 } }, { "whole": { "_lt": 30 } }] });
        samples.check(and, |item| above(item, 0) && below(item, 30)).await;
        let or = json!({ "_or": [{ "whole": { "_null": true } }, { "whole": { "_eq": 0 } }] });
        samples.check(or, |item| whole(item).is_none_or(|whole| whole == 0)).await;
        let outer = json!({ "_or": [{ "whole": { "_lt": -30 } }, { "whole": { "_gt": 30 } }] });
        let nested = json!({ "_and": [outer, { "flag": { "_eq": true } }] });
        samples.check(nested, |item| (below(item, -30) || above(item, 30)) && item["flag"] == true).await;
        for everything in [json!({}), json!({ "_and": [] }), json!({ "_or": [] }), json!({ "_and": [{}] })] {
            samples.check(everything, |_| true).await;
        }
    })
    .await;
}

#[tokio::test]
async fn takes_filters_in_brackets() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let ids =
            async |query: &str| admin.get(&format!("/items/samples?fields=id&sort=id&{query}")).await.ids();
        assert_eq!(ids("filter[whole][_gt]=20").await, [9, 10, 11]);
        assert_eq!(ids("filter[whole][_in]=10,20").await, [7, 8]);
        assert_eq!(ids("filter[whole][_in][]=10&filter[whole][_in][]=20").await, [7, 8]);
        assert_eq!(ids("filter[whole][_null]").await, [12]);
        assert_eq!(ids("filter%5Bwhole%5D%5B_between%5D=10,20").await, [7, 8]);
        assert_eq!(ids("filter[_or][0][whole][_eq]=10&filter[_or][1][word][_eq]=alpha").await, [1, 7]);
        assert_eq!(ids("filter[_and][0][whole][_gt]=10&filter[_and][1][flag][_eq]=true").await, [8, 10]);
        let articles =
            admin.get("/items/articles?fields=id&sort=id&filter[writer][country][_eq]=FR").await.ids();
        assert_eq!(articles, [4, 12, 28]);
    })
    .await;
}

#[tokio::test]
async fn calls_functions_of_dates_and_times() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let articles = blog::with_keys(blog::articles());
        let part = |item: &Value, field: &str, from: usize, to: usize| -> Option<i64> {
            item[field].as_str().map(|text| text[from..to].parse().unwrap())
        };
        let check = async |filter: Value, wanted: &dyn Fn(&Value) -> bool| {
            check_in(&admin, "articles", &articles, filter, wanted).await;
        };
        check(json!({ "year(day)": { "_eq": 2023 } }), &|_| true).await;
        check(json!({ "month(day)": { "_eq": 3 } }), &|item| part(item, "day", 5, 7) == Some(3)).await;
        check(json!({ "day(day)": { "_lt": 5 } }), &|item| {
            part(item, "day", 8, 10).is_some_and(|day| day < 5)
        })
        .await;
        check(json!({ "hour(published_on)": { "_gt": 20 } }), &|item| {
            part(item, "published_on", 11, 13).is_some_and(|hour| hour > 20)
        })
        .await;
        check(json!({ "minute(at)": { "_in": [7, 14] } }), &|item| {
            matches!(part(item, "at", 3, 5), Some(7 | 14))
        })
        .await;
        check(json!({ "second(published_on)": { "_eq": 30 } }), &|item| !item["published_on"].is_null())
            .await;
        let sunday_first = |item: &Value| {
            let day: jiff::civil::Date = item["day"].as_str().unwrap().parse().unwrap();
            day.weekday().to_sunday_zero_offset()
        };
        check(json!({ "weekday(day)": { "_eq": 0 } }), &|item| sunday_first(item) == 0).await;
        let week = |item: &Value| {
            let day: jiff::civil::Date = item["day"].as_str().unwrap().parse().unwrap();
            day.iso_week_date().week()
        };
        check(json!({ "week(day)": { "_lte": 2 } }), &|item| week(item) <= 2).await;
        check(json!({ "writer": { "year(born)": { "_eq": 1963 } } }), &|item| item["writer"] == 3).await;
        let links = blog::articles_topics();
        let topics = |item: &Value| links.iter().filter(|link| link["article"] == item["id"]).count();
        check(json!({ "count(topics)": { "_eq": 0 } }), &|item| topics(item) == 0).await;
        check(json!({ "count(topics)": { "_gte": 2 } }), &|item| topics(item) >= 2).await;
    })
    .await;
}

#[tokio::test]
async fn knows_who_asks_and_when() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let mark = json!({ "_eq": "dynamic" });
        let id = admin.create("notes", json!({ "name": "dynamic" })).await["id"].as_i64().unwrap();
        let found = async |field: &str, condition: Value| {
            let filter = json!({ "name": mark, field: condition });
            admin.items("notes", json!({ "filter": filter, "fields": "id" })).await.ids()
        };
        assert_eq!(found("created_at", json!({ "_lte": "$NOW" })).await, [id]);
        assert_eq!(found("created_at", json!({ "_gt": "$NOW(-1 day)" })).await, [id]);
        assert_eq!(found("created_at", json!({ "_gt": "$NOW(+1 day)" })).await, [] as [i64; 0]);
        assert_eq!(found("created_at", json!({ "_lt": "$NOW(2 hours)" })).await, [id]);
        assert_eq!(
            found("created_at", json!({ "_between": ["$NOW(-1 year)", "$NOW(1 month)"] })).await,
            [id]
        );
        assert_eq!(found("created_by", json!({ "_eq": "$CURRENT_USER" })).await, [id]);
        assert_eq!(found("created_by", json!({ "_neq": "$CURRENT_USER" })).await, [] as [i64; 0]);
        assert_eq!(found("created_by", json!({ "_in": ["$CURRENT_USER"] })).await, [id]);
        assert_eq!(found("created_by", json!({ "email": { "_eq": "admin@example.com" } })).await, [id]);
        assert_eq!(found("created_by", json!({ "role": { "_eq": "$CURRENT_ROLE" } })).await, [id]);
    })
    .await;
}

#[tokio::test]
async fn refuses_what_is_no_filter() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let refused = async |filter: Value, named: &str| {
            let answer = admin.items("samples", json!({ "filter": filter })).await;
            let errors = answer.refused(400, "INVALID_QUERY");
            let said = errors[0]["message"].as_str().unwrap();
            assert!(said.contains(named), "{said:?} does not name {named:?}");
        };
        refused(json!({ "whole": { "_foo": 1 } }), "_foo").await;
        refused(json!({ "_eq": 1 }), "_eq").await;
        refused(json!({ "whole": { "_in": [] } }), "_in").await;
        refused(json!({ "whole": { "_nin": [] } }), "_nin").await;
        refused(json!({ "whole": { "_between": [1] } }), "_between").await;
        refused(json!({ "word": { "_regex": "^a" } }), "_regex").await;
        refused(json!({ "word": { "_lt": "m" } }), "word").await;
        refused(json!({ "whole": { "_contains": "1" } }), "whole").await;
        refused(json!({ "flag": { "_gt": true } }), "flag").await;
        refused(json!({ "secret": { "_eq": "secret3" } }), "secret").await;
        refused(json!({ "secret": { "_starts_with": "s" } }), "secret").await;
        refused(json!({ "whole": { "_eq": "ten" } }), "whole").await;
        refused(json!({ "whole": { "_eq": 1.5 } }), "whole").await;
        refused(json!({ "flag": { "_eq": "maybe" } }), "flag").await;
        refused(json!({ "day": { "_gt": "yesterday" } }), "day").await;
        refused(json!({ "code": { "_eq": "zzz" } }), "code").await;
        refused(json!({ "year(word)": { "_eq": 1 } }), "word").await;
        refused(json!({ "decade(day)": { "_eq": 1 } }), "decade").await;
        refused(json!({ "_and": 1 }), "_and").await;
        refused(json!({ "_or": [1] }), "_or").await;
        refused(json!([1, 2]), "filter").await;
        admin.get("/items/samples?filter=abc").await.refused(400, "INVALID_QUERY");
        admin.get("/items/samples?filter={\"whole\":").await.refused(400, "INVALID_QUERY");
        admin.items("samples", json!({ "filter": { "nope": { "_eq": 1 } } })).await.refused(403, "FORBIDDEN");
        admin
            .items("articles", json!({ "filter": { "writer": { "nope": { "_eq": 1 } } } }))
            .await
            .refused(403, "FORBIDDEN");
    })
    .await;
}
