//! Filters that go through relations.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::support::{Client, Engine, blog, each_database};

/// The seeded data, joined up for an oracle.
struct Model {
    admin: Client,
    writers: HashMap<i64, Value>,
    comments: Vec<Value>,
    links: Vec<Value>,
    reactions: Vec<Value>,
    topics: HashMap<i64, Value>,
}

fn by_key(items: Vec<Value>) -> HashMap<i64, Value> {
    blog::with_keys(items).into_iter().map(|item| (item["id"].as_i64().unwrap(), item)).collect()
}

impl Model {
    async fn on(engine: Engine) -> Self {
        Model {
            admin: blog::shared(engine).await,
            writers: by_key(blog::writers()),
            comments: blog::with_keys(blog::comments()),
            links: blog::articles_topics(),
            reactions: blog::with_keys(blog::reactions()),
            topics: by_key(blog::topics()),
        }
    }

    async fn check(&self, filter: Value, wanted: impl Fn(&Value) -> bool) {
        let query = json!({ "filter": filter, "fields": "id", "sort": "id", "limit": -1 });
        let found = self.admin.items("articles", query).await.ids();
        let articles = blog::with_keys(blog::articles());
        let expected: Vec<i64> =
            articles.iter().filter(|item| wanted(item)).map(|item| item["id"].as_i64().unwrap()).collect();
        assert_eq!(found, expected, "{filter}");
    }

    fn writer(&self, item: &Value) -> Option<&Value> {
        item["writer"].as_i64().map(|key| &self.writers[&key])
    }

    fn comments<'a>(&'a self, article: &'a Value) -> impl Iterator<Item = &'a Value> {
        self.comments.iter().filter(|comment| comment["article"] == article["id"])
    }

    fn topics<'a>(&'a self, article: &'a Value) -> impl Iterator<Item = &'a str> {
        let links = self.links.iter().filter(|link| link["article"] == article["id"]);
        links.map(|link| self.topics[&link["topic"].as_i64().unwrap()]["name"].as_str().unwrap())
    }
}

fn score(comment: &Value) -> i64 {
    comment["score"].as_i64().unwrap()
}

#[tokio::test]
async fn through_one_item() {
    each_database(async |engine| {
        let model = Model::on(engine).await;
        let country = |item: &Value| model.writer(item).map(|writer| writer["country"].as_str().unwrap());
        model
            .check(json!({ "writer": { "country": { "_eq": "FR" } } }), |item| country(item) == Some("FR"))
            .await;
        model
            .check(json!({ "writer": { "country": { "_neq": "FR" } } }), |item| {
                country(item).is_some_and(|it| it != "FR")
            })
            .await;
        model.check(json!({ "writer": { "_eq": 3 } }), |item| item["writer"] == 3).await;
        model
            .check(json!({ "writer": { "id": { "_in": [2, 3] } } }), |item| {
                item["writer"] == 2 || item["writer"] == 3
            })
            .await;
        model.check(json!({ "writer": { "_null": true } }), |item| item["writer"].is_null()).await;
        model.check(json!({ "writer": { "_nnull": true } }), |item| !item["writer"].is_null()).await;
        let mentor = |item: &Value| model.writer(item).and_then(|writer| writer["mentor"].as_i64());
        let two_levels = json!({ "writer": { "mentor": { "name": { "_eq": "Writer 01" } } } });
        model.check(two_levels, |item| mentor(item) == Some(1)).await;
        let either =
            json!({ "writer": { "_or": [{ "country": { "_eq": "FR" } }, { "rating": { "_gt": 5 } }] } });
        model
            .check(either, |item| {
                model
                    .writer(item)
                    .is_some_and(|it| it["country"] == "FR" || it["rating"].as_f64().unwrap() > 5.0)
            })
            .await;
        let outside =
            json!({ "_or": [{ "writer": { "country": { "_eq": "JP" } } }, { "views": { "_lt": 10 } }] });
        model
            .check(outside, |item| country(item) == Some("JP") || item["views"].as_i64().unwrap() < 10)
            .await;
    })
    .await;
}

#[tokio::test]
async fn through_many_items() {
    each_database(async |engine| {
        let model = Model::on(engine).await;
        let high = |item: &Value| model.comments(item).any(|comment| score(comment) >= 6);
        model.check(json!({ "comments": { "score": { "_gte": 6 } } }), high).await;
        model.check(json!({ "comments": { "_some": { "score": { "_gte": 6 } } } }), high).await;
        model.check(json!({ "comments": { "_none": { "score": { "_gte": 6 } } } }), |item| !high(item)).await;
        let same =
            json!({ "_and": [{ "score": { "_eq": 6 } }, { "writer": { "name": { "_eq": "Writer 04" } } }] });
        let both =
            |item: &Value| model.comments(item).any(|comment| score(comment) == 6 && comment["writer"] == 4);
        model.check(json!({ "comments": { "_some": same } }), both).await;
        model.check(json!({ "comments": { "_none": same } }), |item| !both(item)).await;
        // Two conditions side by side may be met by two different comments, on one path by one only.
        let apart = json!({ "_and": [
            { "comments": { "_some": { "score": { "_lt": 2 } } } },
            { "comments": { "_some": { "score": { "_gt": 4 } } } },
        ] });
        let low = |item: &Value| model.comments(item).any(|comment| score(comment) < 2);
        let top = |item: &Value| model.comments(item).any(|comment| score(comment) > 4);
        model.check(apart, |item| low(item) && top(item)).await;
        let kinds = json!({ "comments": { "reactions": { "kind": { "_eq": "laugh" } } } });
        let laughed = |item: &Value| {
            model.comments(item).any(|comment| {
                model
                    .reactions
                    .iter()
                    .any(|reaction| reaction["comment"] == comment["id"] && reaction["kind"] == "laugh")
            })
        };
        model.check(kinds, laughed).await;
    })
    .await;
}

#[tokio::test]
async fn through_junctions() {
    each_database(async |engine| {
        let model = Model::on(engine).await;
        let named = json!({ "topic": { "name": { "_in": ["rust", "sql"] } } });
        let has = |item: &Value| model.topics(item).any(|name| name == "rust" || name == "sql");
        model.check(json!({ "topics": { "_some": named } }), has).await;
        model.check(json!({ "topics": named }), has).await;
        model.check(json!({ "topics": { "_none": named } }), |item| !has(item)).await;
        let wide = json!({ "blocks": { "_some": { "item:image_blocks": { "width": { "_gte": 200 } } } } });
        model.check(wide, |item| item["id"] == 3).await;
        let quoted = json!({ "blocks": { "item:quote_blocks": { "by": { "name": { "_eq": "Writer 02" } } } } });
        model.check(quoted, |item| item["id"] == 4).await;
        let texts = json!({ "blocks": { "collection": { "_eq": "text_blocks" } } });
        model.check(texts, |item| matches!(item["id"].as_i64(), Some(1..=3))).await;
        let french = json!({ "texts": { "_some": { "languages_code": { "_eq": "fr" }, "headline": { "_eq": "Titre 2" } } } });
        model.check(french, |item| item["id"] == 2).await;
    })
    .await;
}

#[tokio::test]
async fn through_the_same_collection() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let names = async |filter: Value| {
            let found =
                admin.items("topics", json!({ "filter": filter, "fields": "name", "sort": "id" })).await;
            found.column("name").iter().map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(json!({ "parent": { "name": { "_eq": "rust" } } })).await, ["web"]);
        assert_eq!(names(json!({ "children": { "name": { "_eq": "web" } } })).await, ["rust"]);
        assert_eq!(names(json!({ "parent": { "_nnull": true } })).await, ["web", "ocr", "flow"]);
        let found = admin.items(
            "writers",
            json!({
                "filter": { "articles": { "status": { "_eq": "published" } } }, "fields": "id", "sort": "id",
            }),
        );
        assert_eq!(found.await.ids(), [2, 3, 6, 7], "each writer once, however many articles match");
    })
    .await;
}

/// The pages of a list that is filtered through a one-to-many are the parts of the whole.
#[tokio::test]
async fn pages_of_filtered_lists() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let filter = json!({ "comments": { "_some": { "score": { "_gte": 0 } } } });
        let page = async |limit: i64, offset: usize| {
            let query = json!({ "filter": filter, "fields": "id", "limit": limit, "offset": offset });
            admin.items("articles", query).await.ids()
        };
        let whole = page(-1, 0).await;
        assert!(whole.len() > 20);
        for offset in [1, 2, 7] {
            assert_eq!(page(-1, offset).await, whole[offset..]);
            assert_eq!(page(3, offset).await, whole[offset..offset + 3]);
        }
    })
    .await;
}
