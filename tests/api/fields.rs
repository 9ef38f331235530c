//! The parameter `fields`, with `alias` and functions: what an answer holds, and in which shape.

use serde_json::{Value, json};

use crate::support::{Client, blog, each_database};

async fn check(admin: &Client, collection: &str, query: Value, expected: Value) {
    let answer = admin.items(collection, query).await;
    assert_eq!(answer.data(), expected, "{}", answer.what);
}

/// Article 1 with these fields.
async fn check_one(admin: &Client, fields: &str, expected: Value) {
    let answer = admin.read("/items/articles/1", json!({ "fields": fields })).await;
    assert_eq!(answer.data(), expected, "{fields}");
}

/// The first three articles with these fields.
async fn check_list(admin: &Client, fields: &str, expected: Value) {
    check(admin, "articles", json!({ "fields": fields, "sort": "id", "limit": 3 }), expected).await;
}

fn writer_2() -> Value {
    json!({
        "id": 2, "name": "Writer 02", "email": "writer2@example.com", "country": "US", "born": "1962-03-11", "rating": 1.5,
        "active": true, "mentor": 1, "pupils": [4, 5], "articles": [25, 17, 9, 1],
    })
}

#[tokio::test]
async fn names_fields() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        check_one(&admin, "title", json!({ "title": "Article 01" })).await;
        check_one(&admin, "id,id,title", json!({ "id": 1, "title": "Article 01" })).await;
        check_one(&admin, "slug,price,views", json!({ "slug": "article-1", "price": "3.50", "views": 37 }))
            .await;
        for form in [
            "fields[]=id&fields[]=title",
            "fields[0]=id&fields[1]=title",
            "fields=id&fields=title",
            "fields=id,%20title",
        ] {
            let answer = admin.get(&format!("/items/articles/1?{form}")).await;
            assert_eq!(answer.data(), json!({ "id": 1, "title": "Article 01" }), "{form}");
        }
        let all = admin.get("/items/articles/1").await.data();
        assert_eq!(admin.get("/items/articles/1?fields=").await.data(), all, "no names are all fields");
        assert_eq!(admin.get("/items/articles/1?fields=*").await.data(), all);
        assert_eq!(all["comments"], json!([25, 50]));
        assert_eq!(all["labels"], json!(["a1", "b1"]));
        assert_eq!(all["extra"], json!({ "k": 1, "list": ["t1"] }));
    })
    .await;
}

#[tokio::test]
async fn follows_relations_to_one_item() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        check_one(
            &admin,
            "id,writer.name,writer.country",
            json!({ "id": 1, "writer": { "name": "Writer 02", "country": "US" } }),
        )
        .await;
        check_one(&admin, "writer", json!({ "writer": 2 })).await;
        check_one(&admin, "writer.*", json!({ "writer": writer_2() })).await;
        check_one(&admin, "writer.mentor.mentor.name", json!({ "writer": { "mentor": { "mentor": null } } }))
            .await;
        check_one(&admin, "writer.mentor.name", json!({ "writer": { "mentor": { "name": "Writer 01" } } }))
            .await;
        let none = admin.get("/items/articles/10?fields=id,writer.name").await.data();
        assert_eq!(none, json!({ "id": 10, "writer": null }));
        let star = admin.get("/items/articles/1?fields=*,writer.*").await.data();
        assert_eq!(star["writer"], writer_2());
        assert_eq!(star["title"], "Article 01");
    })
    .await;
}

#[tokio::test]
async fn follows_relations_to_many_items() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        check_one(&admin, "id,comments", json!({ "id": 1, "comments": [25, 50] })).await;
        let comments = json!([{ "text": "Comment 25", "writer": { "name": "Writer 02" } }, { "text": "Comment 50", "writer": { "name": "Writer 03" } }]);
        check_one(&admin, "comments.text,comments.writer.name", json!({ "comments": comments })).await;
        let list = json!([{ "id": 1, "topics": [1] }, { "id": 2, "topics": [2, 3] }, { "id": 3, "topics": [4, 5, 6] }]);
        check_list(&admin, "id,topics", list).await;
        let names = json!([
            { "topics": [{ "topic": { "name": "sql" } }] },
            { "topics": [{ "topic": { "name": "api" } }, { "topic": { "name": "web" } }] },
            { "topics": [{ "topic": { "name": "web" } }, { "topic": { "name": "ocr" } }, { "topic": { "name": "flow" } }] },
        ]);
        check_list(&admin, "topics.topic.name", names).await;
        check_one(&admin, "topics.*", json!({ "topics": [{ "id": 1, "article": 1, "topic": 2, "position": 1 }] })).await;
        let topic = json!({ "id": 2, "name": "sql", "colour": "#ffffff", "parent": null, "children": [5] });
        check_one(&admin, "topics.topic.*", json!({ "topics": [{ "topic": topic }] })).await;
        let headlines = json!([{ "headline": "Headline 1" }, { "headline": "Titre 1" }]);
        let query = json!({ "fields": "texts.headline", "deep": { "texts": { "_sort": "headline" } } });
        assert_eq!(admin.read("/items/articles/1", query).await.data(), json!({ "texts": headlines }));
    })
    .await;
}

#[tokio::test]
async fn follows_relations_to_items_of_several_collections() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let quote = blog::QUOTES[0];
        let junction = json!([
            { "collection": "text_blocks", "sort": 1, "item": "1" },
            { "collection": "image_blocks", "sort": 2, "item": "1" },
            { "collection": "quote_blocks", "sort": 3, "item": quote },
        ]);
        check_one(&admin, "blocks.collection,blocks.sort,blocks.item", json!({ "blocks": junction })).await;
        let scoped = json!([
            { "collection": "text_blocks", "item": { "content": "Block text 1" } },
            { "collection": "image_blocks", "item": { "width": 100 } },
            { "collection": "quote_blocks", "item": quote },
        ]);
        let fields = "blocks.collection,blocks.item:text_blocks.content,blocks.item:image_blocks.width";
        check_one(&admin, fields, json!({ "blocks": scoped })).await;
        let stars = json!([
            { "item": { "id": 1, "content": "Block text 1" } },
            { "item": 1 },
            { "item": { "id": quote, "quote": "To be", "by": 1 } },
        ]);
        check_one(&admin, "blocks.item:text_blocks.*,blocks.item:quote_blocks.*", json!({ "blocks": stars }))
            .await;
        let nested = json!([{ "item": 1 }, { "item": 1 }, { "item": { "by": { "name": "Writer 01" } } }]);
        check_one(&admin, "blocks.item:quote_blocks.by.name", json!({ "blocks": nested })).await;
        let unknown = admin.get("/items/articles/1?fields=blocks.item:writers.name").await;
        unknown.refused(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn expands_wildcards_at_any_depth() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let rust = json!({ "id": 1, "name": "rust", "colour": "#000000", "parent": null, "children": [4] });
        let web = json!({ "id": 4, "name": "web", "colour": "#ffffff", "parent": 1, "children": [] });
        let mut two = web.clone();
        two["parent"] = rust.clone();
        assert_eq!(admin.get("/items/topics/4?fields=*.*").await.data(), two);
        let mut three = two.clone();
        three["parent"]["children"] = json!([web]);
        assert_eq!(admin.get("/items/topics/4?fields=*.*.*").await.data(), three);
        let named = json!([
            { "name": "rust", "children": [{ "name": "web" }], "parent": null },
            { "name": "web", "children": [], "parent": { "name": "rust" } },
        ]);
        let query = json!({ "fields": "name,children.name,parent.name", "filter": { "id": { "_in": [1, 4] } }, "sort": "id" });
        check(&admin, "topics", query, named).await;
        let deep = admin.get("/items/articles/1?fields=*.*").await.data();
        assert_eq!(deep["comments"][0]["text"], "Comment 25");
        assert_eq!(deep["comments"][0]["reactions"].as_array().unwrap().len(), 1);
        assert_eq!(deep["blocks"][0]["collection"], "text_blocks");
        assert_eq!(deep["writer"]["articles"], json!([25, 17, 9, 1]));
    })
    .await;
}

#[tokio::test]
async fn renames_fields() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let one = async |query: Value| admin.read("/items/articles/1", query).await.data();
        let titled = one(json!({ "fields": "id,head", "alias": { "head": "title" } })).await;
        assert_eq!(titled, json!({ "id": 1, "head": "Article 01" }));
        let bracket = admin.get("/items/articles/1?fields=id,head&alias[head]=title").await.data();
        assert_eq!(bracket, titled);
        let few = json!({ "fields": "few.text", "alias": { "few": "comments" }, "deep": { "few": { "_limit": 1, "_sort": "-score" } } });
        assert_eq!(one(few).await, json!({ "few": [{ "text": "Comment 50" }] }));
        let both = json!({
            "fields": "low.score,high.score", "alias": { "low": "comments", "high": "comments" },
            "deep": { "low": { "_sort": "score", "_limit": 1 }, "high": { "_sort": "-score", "_limit": 1 } },
        });
        assert_eq!(one(both).await, json!({ "low": [{ "score": 2 }], "high": [{ "score": 4 }] }));
        let unknown = json!({ "fields": "x", "alias": { "x": "nope" } });
        admin.read("/items/articles/1", unknown).await.refused(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn calls_functions() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        check_one(&admin, "id,year(day)", json!({ "id": 1, "day_year": "2023" })).await;
        check_one(&admin, "month(day),day(day),hour(at)", json!({ "day_month": "2", "day_day": "2", "at_hour": "1" })).await;
        check_one(&admin, "writer.year(born)", json!({ "writer": { "born_year": "1962" } })).await;
        let counted = json!([
            { "id": 1, "comments_count": "2" }, { "id": 2, "comments_count": "2" }, { "id": 3, "comments_count": "2" },
        ]);
        check_list(&admin, "id,count(comments)", counted).await;
        admin.get("/items/articles/1?fields=year(title)").await.refused(400, "INVALID_QUERY");
        admin.get("/items/articles/1?fields=count(title)").await.refused(400, "INVALID_QUERY");
        admin.get("/items/articles/1?fields=decade(day)").await.refused(400, "INVALID_QUERY");
    })
    .await;
}

#[tokio::test]
async fn refuses_fields_that_are_not_there() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        for fields in [
            "nope",
            "id,writer.nope",
            "nope.name",
            "comments.nope",
            "topics.topic.nope",
            "constructor",
            "id;drop",
            "\"id\"",
        ] {
            let answer = admin.read("/items/articles/1", json!({ "fields": fields })).await;
            assert!(answer.status == 403 || answer.status == 400, "{answer:?}");
            answer.errors();
        }
        let deep = ["parent"; 12].join(".");
        admin
            .items("topics", json!({ "fields": format!("{deep}.name") }))
            .await
            .refused(400, "INVALID_QUERY");
        let most = ["parent"; 9].join(".");
        assert_eq!(admin.items("topics", json!({ "fields": format!("{most}.name") })).await.status, 200);
    })
    .await;
}
