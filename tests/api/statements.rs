//! How many statements a read costs: one per level of relations, whatever the number of rows.

use serde_json::{Value, json};

use crate::support::{Client, blog, each_database};

/// Statements that one read sends to the database, once its plan is known. The server may have something else
/// to do at the same moment (removing events that were delivered, say), so the least of several counts is what
/// the read costs.
async fn cost(admin: &Client, collection: &str, query: &Value) -> u64 {
    let (mut counting, mut with_read) = (u64::MAX, u64::MAX);
    for _ in 0..6 {
        let before = admin.statements().await;
        let between = admin.statements().await;
        admin.items(collection, query.clone()).await.data();
        counting = counting.min(between - before);
        with_read = with_read.min(admin.statements().await - between);
    }
    with_read - counting
}

/// Four levels below the list, each with a filter, an order and a limit.
fn four_levels(limit: i64) -> Value {
    let fields = "id,name,articles.title,articles.comments.text,articles.comments.reactions.kind,articles.comments.reactions.writer.name";
    let deep = json!({ "articles": {
        "_filter": { "views": { "_gte": 0 } }, "_sort": "-views", "_limit": limit,
        "comments": {
            "_filter": { "score": { "_gte": 0 } }, "_sort": "-score,id", "_limit": limit,
            "reactions": { "_filter": { "weight": { "_gte": 0 } }, "_sort": "weight,-id", "_limit": limit },
        },
    } });
    json!({ "fields": fields, "deep": deep, "sort": "name", "filter": { "id": { "_gt": 0 } }, "limit": limit })
}

#[tokio::test]
async fn one_statement_per_level_whatever_the_number_of_rows() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        blog::seed(&admin).await;
        for limit in [1, 3, 50] {
            let query = four_levels(limit);
            let statements = cost(&admin, "writers", &query).await;
            assert!(statements <= 5, "{statements} statements for five levels, limit {limit}");
            assert!(statements >= 2, "{statements} statements cannot be: the counter does not count");
        }
        let found = admin.items("writers", four_levels(50)).await.data();
        let levels = found.to_string().matches("\"kind\"").count();
        assert!(levels > 20, "the read reaches the last level: {found}");

        let mut counted = four_levels(50);
        counted["meta"] = json!("filter_count");
        let with_count = cost(&admin, "writers", &counted).await;
        let without = cost(&admin, "writers", &four_levels(50)).await;
        assert!(with_count <= without + 1, "{with_count} with the count, {without} without");
    })
    .await;
}

#[tokio::test]
async fn levels_side_by_side_cost_one_each() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        blog::seed(&admin).await;
        let cases = [
            ("writers", json!({ "filter": { "id": { "_eq": 1 } }, "fields": "id,name,country" }), 1),
            ("writers", json!({ "fields": "id,name", "limit": -1 }), 1),
            ("articles", json!({ "fields": "id,writer.name,writer.mentor.name", "limit": -1 }), 3),
            ("articles", json!({ "fields": "id,comments.text,topics.topic.name", "limit": -1 }), 4),
            ("articles", json!({ "fields": "blocks.item:text_blocks.content,blocks.item:image_blocks.width,blocks.item:quote_blocks.quote", "limit": -1 }), 5),
            ("articles", json!({ "aggregate": { "count": "*" }, "groupBy": "status" }), 1),
            ("articles", json!({ "fields": "id", "filter": { "comments": { "reactions": { "kind": { "_eq": "like" } } } }, "sort": "writer.name" }), 1),
        ];
        for (collection, query, most) in cases {
            let statements = cost(&admin, collection, &query).await;
            assert!((1..=most).contains(&statements), "{statements} statements, at most {most} wanted: {query}");
        }
    })
    .await;
}
