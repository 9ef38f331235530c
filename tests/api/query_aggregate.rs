//! `aggregate` and `groupBy`.

use serde_json::{Value, json};

use crate::support::{Client, blog, each_database};

async fn check(admin: &Client, query: Value, expected: Value) {
    let answer = admin.items("articles", query).await;
    assert_eq!(answer.data(), expected, "{}", answer.what);
}

#[tokio::test]
async fn counts() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        check(admin, json!({ "aggregate": { "count": "*" } }), json!([{ "count": "30" }])).await;
        check(admin, json!({ "aggregate": { "count": "id" } }), json!([{ "count": { "id": "30" } }])).await;
        check(admin, json!({ "aggregate": { "count": "price" } }), json!([{ "count": { "price": "25" } }]))
            .await;
        check(
            admin,
            json!({ "aggregate": { "count": ["price", "body"] } }),
            json!([{ "count": { "price": "25", "body": "24" } }]),
        )
        .await;
        check(
            admin,
            json!({ "aggregate": { "countDistinct": "status" } }),
            json!([{ "countDistinct": { "status": "3" } }]),
        )
        .await;
        let published = json!({ "status": { "_eq": "published" } });
        check(
            admin,
            json!({ "aggregate": { "count": "*" }, "filter": published }),
            json!([{ "count": "16" }]),
        )
        .await;
        check(admin, json!({ "aggregate": { "count": "*" }, "search": "lorem" }), json!([{ "count": "12" }]))
            .await;
        let bracket = admin.get("/items/articles?aggregate[count]=*").await;
        assert_eq!(bracket.data(), json!([{ "count": "30" }]));
        let nobody = json!({ "id": { "_lt": 0 } });
        check(
            admin,
            json!({ "aggregate": { "count": "*", "sum": "views" }, "filter": nobody }),
            json!([{ "count": "0", "sum": { "views": null } }]),
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn adds_up_exactly() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        let articles = blog::articles();
        let views: i64 = articles.iter().map(|item| item["views"].as_i64().unwrap()).sum();
        let cents =
            |item: &Value| item["price"].as_str().map(|text| text.replace('.', "").parse::<i64>().unwrap());
        let prices: Vec<i64> = articles.iter().filter_map(cents).collect();
        let total: i64 = prices.iter().sum();
        check(
            admin,
            json!({ "aggregate": { "sum": "views" } }),
            json!([{ "sum": { "views": views.to_string() } }]),
        )
        .await;
        let money = format!("{}.{:02}", total / 100, total % 100);
        check(admin, json!({ "aggregate": { "sum": "price" } }), json!([{ "sum": { "price": money } }]))
            .await;
        let average =
            admin.items("articles", json!({ "aggregate": { "avg": ["price", "views"] } })).await.data();
        let price: f64 = average[0]["avg"]["price"].as_str().unwrap().parse().unwrap();
        assert!((price - total as f64 / 100.0 / prices.len() as f64).abs() < 1e-9, "{average}");
        let viewed: f64 = average[0]["avg"]["views"].as_str().unwrap().parse().unwrap();
        assert!((viewed - views as f64 / 30.0).abs() < 1e-9, "{average}");
        let scores: f64 = articles.iter().map(|item| item["score"].as_f64().unwrap()).sum();
        let sum = admin.items("articles", json!({ "aggregate": { "sum": "score" } })).await.data();
        assert_eq!(sum[0]["sum"]["score"].as_f64(), Some(scores), "{sum}");
        let distinct = json!({ "aggregate": { "sumDistinct": "position", "avgDistinct": "position" } });
        let distinct = admin.items("articles", distinct).await.data();
        assert_eq!(distinct[0]["sumDistinct"]["position"], "465");
        let average: f64 = distinct[0]["avgDistinct"]["position"].as_str().unwrap().parse().unwrap();
        assert!((average - 15.5).abs() < 1e-9, "{distinct}");
    })
    .await;
}

#[tokio::test]
async fn finds_ends() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        let ends = json!({ "aggregate": { "min": "views", "max": "views" } });
        check(admin, ends, json!([{ "min": { "views": 3 }, "max": { "views": 100 } }])).await;
        let several = json!({ "aggregate": { "min": ["day", "price", "published_on"], "max": ["day", "price", "at"] } });
        let expected = json!([{
            "min": { "day": "2023-01-13", "price": "3.50", "published_on": "2024-02-02T01:15:30" },
            "max": { "day": "2023-12-24", "price": "101.50", "at": "23:41:00" },
        }]);
        check(admin, several, expected).await;
        let moments = admin.items("samples", json!({ "aggregate": { "max": ["moment", "large", "ratio"] } })).await.data();
        let expected = json!([{ "max": { "moment": "2023-11-10T08:00:11.000Z", "large": "11000000077", "ratio": 16.75 } }]);
        assert_eq!(moments, expected);
    })
    .await;
}

#[tokio::test]
async fn groups() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        let by_status = json!([
            { "status": "archived", "count": "7" }, { "status": "draft", "count": "7" }, { "status": "published", "count": "16" },
        ]);
        check(admin, json!({ "aggregate": { "count": "*" }, "groupBy": "status", "sort": "status" }), by_status.clone()).await;
        let bracket = admin.get("/items/articles?aggregate[count]=*&groupBy[]=status&sort=status").await;
        assert_eq!(bracket.data(), by_status);
        let two = json!({ "aggregate": { "count": "*" }, "groupBy": ["status", "featured"], "sort": ["status", "featured"] });
        let expected = json!([
            { "status": "archived", "featured": false, "count": "6" }, { "status": "archived", "featured": true, "count": "1" },
            { "status": "draft", "featured": false, "count": "6" }, { "status": "draft", "featured": true, "count": "1" },
            { "status": "published", "featured": false, "count": "14" }, { "status": "published", "featured": true, "count": "2" },
        ]);
        check(admin, two, expected).await;
        let months = json!({ "aggregate": { "count": "id" }, "groupBy": "month(day)", "sort": "month(day)", "limit": 2 });
        check(admin, months, json!([
            { "day_month": "1", "count": { "id": "2" } }, { "day_month": "2", "count": { "id": "3" } },
        ])).await;
        let writers = json!({ "aggregate": { "count": "*" }, "groupBy": "writer", "sort": "writer", "limit": 2 });
        check(admin, writers, json!([{ "writer": 1, "count": "3" }, { "writer": 2, "count": "4" }])).await;
        let alone = json!({ "groupBy": "status", "sort": "status" });
        check(admin, alone, json!([{ "status": "archived" }, { "status": "draft" }, { "status": "published" }])).await;
        let largest = json!({ "aggregate": { "count": "*" }, "groupBy": "status", "sort": "-count", "limit": 1 });
        check(admin, largest, json!([{ "status": "published", "count": "16" }])).await;
        let sums = json!({ "aggregate": { "sum": "price" }, "groupBy": "featured", "sort": "featured" });
        let sums = admin.items("articles", sums).await.data();
        assert_eq!((&sums[1]["featured"], &sums[1]["sum"]["price"]), (&json!(true), &json!("245.00")));
    })
    .await;
}

#[tokio::test]
async fn refuses_what_cannot_be_aggregated() {
    each_database(async |engine| {
        let admin = &blog::shared(engine).await;
        let refused = async |query: Value, status: u16| {
            let answer = admin.items("articles", query).await;
            assert_eq!(answer.status, status, "{answer:?}");
            answer.errors();
        };
        refused(json!({ "aggregate": { "median": "views" } }), 400).await;
        refused(json!({ "aggregate": { "sum": "nope" } }), 403).await;
        refused(json!({ "aggregate": { "sum": "title" } }), 400).await;
        refused(json!({ "aggregate": { "sum": "*" } }), 400).await;
        refused(json!({ "groupBy": "nope" }), 403).await;
        refused(json!({ "groupBy": "writer.country", "aggregate": { "count": "*" } }), 400).await;
        admin.get("/items/articles?aggregate=count").await.refused(400, "INVALID_QUERY");
    })
    .await;
}
