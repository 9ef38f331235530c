//! Order, pages, search, `deep` and `meta`.

use serde_json::{Value, json};

use crate::support::{Client, Engine, blog, each_database};

struct Articles(Client);

impl Articles {
    async fn on(engine: Engine) -> Self {
        Articles(blog::shared(engine).await)
    }

    async fn check(&self, mut query: Value, expected: impl AsRef<[i64]>) {
        query["fields"] = json!("id");
        let answer = self.0.items("articles", query).await;
        assert_eq!(answer.ids(), expected.as_ref(), "{}", answer.what);
    }

    async fn refused(&self, query: Value) {
        self.0.items("articles", query).await.refused(400, "INVALID_QUERY");
    }
}

#[tokio::test]
async fn sorts() {
    each_database(async |engine| {
        let articles = Articles::on(engine).await;
        let seeded = blog::with_keys(blog::articles());
        let id = |item: &Value| item["id"].as_i64().unwrap();
        let sorted_by = |key: &dyn Fn(&Value) -> (i64, i64)| {
            let mut items = seeded.clone();
            items.sort_by_key(|item| key(item));
            items.iter().map(id).collect::<Vec<_>>()
        };
        let views = |item: &Value| item["views"].as_i64().unwrap();
        articles.check(json!({ "limit": 4 }), [30, 29, 28, 27]).await;
        articles.check(json!({ "sort": "views", "limit": -1 }), sorted_by(&|item| (views(item), 0))).await;
        articles.check(json!({ "sort": "-views", "limit": -1 }), sorted_by(&|item| (-views(item), 0))).await;
        articles
            .check(
                json!({ "sort": ["featured", "-id"], "limit": -1 }),
                sorted_by(&|item| (i64::from(item["featured"] == true), -id(item))),
            )
            .await;
        let price =
            |item: &Value| item["price"].as_str().map(|text| text.replace('.', "").parse::<i64>().unwrap());
        articles
            .check(
                json!({ "sort": "price,id", "limit": -1 }),
                sorted_by(&|item| (price(item).unwrap_or(i64::MAX), id(item))),
            )
            .await;
        articles
            .check(
                json!({ "sort": "-price,id", "limit": -1 }),
                sorted_by(&|item| (-price(item).unwrap_or(i64::MAX), id(item))),
            )
            .await;
        articles
            .check(
                json!({ "sort": "-writer.country,id", "limit": 12 }),
                [10, 20, 30, 1, 6, 9, 14, 17, 22, 25, 2, 7],
            )
            .await;
        articles
            .check(
                json!({ "sort": "writer.mentor.name,id", "limit": 12 }),
                [1, 2, 9, 17, 18, 25, 26, 3, 4, 11, 12, 19],
            )
            .await;
        articles.check(json!({ "sort": "year(published_on),id", "limit": 6 }), [1, 2, 3, 5, 6, 7]).await;
        articles.check(json!({ "sort": "", "limit": 2 }), [30, 29]).await;
        let words =
            articles.0.items("samples", json!({ "sort": "word", "fields": "word", "limit": 11 })).await;
        let by_code_point = [
            "Beta",
            "Delta",
            "KAPPA",
            "Theta",
            "alpha",
            "eta_x",
            "gamma ray",
            "iota",
            "lambda",
            "zeta%",
            "épsilon",
        ];
        assert_eq!(words.column("word"), by_code_point, "text sorts by code point everywhere");
        articles.0.items("articles", json!({ "sort": "nope" })).await.refused(403, "FORBIDDEN");
        articles.0.items("articles", json!({ "sort": "writer.nope" })).await.refused(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn cuts_pages() {
    each_database(async |engine| {
        let articles = Articles::on(engine).await;
        articles.check(json!({ "limit": 3 }), [30, 29, 28]).await;
        articles.check(json!({ "limit": 0 }), []).await;
        articles.check(json!({ "limit": 4, "page": 2 }), [26, 25, 24, 23]).await;
        articles.check(json!({ "limit": 4, "page": 1, "offset": 9 }), [30, 29, 28, 27]).await;
        articles.check(json!({ "limit": 4, "offset": 2 }), [28, 27, 26, 25]).await;
        articles.check(json!({ "limit": 2, "offset": 28 }), [2, 1]).await;
        articles.check(json!({ "limit": 3, "offset": 500 }), []).await;
        articles.check(json!({ "limit": 3, "offset": i64::MAX }), []).await;
        articles.check(json!({ "limit": -1, "offset": 27 }), [3, 2, 1]).await;
        let everything = articles.0.items("comments", json!({ "limit": -1, "fields": "id" })).await.ids();
        assert_eq!(everything, (1..=60).collect::<Vec<_>>());
        for query in [
            json!({ "limit": -5 }),
            json!({ "limit": "abc" }),
            json!({ "limit": "1.5" }),
            json!({ "offset": -1 }),
            json!({ "page": "x" }),
            json!({ "limit": "99999999999999999999" }),
            json!({ "page": -1 }),
        ] {
            articles.refused(query).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_limit_stands_when_none_is_named() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let many: Vec<Value> = (0..130).map(|n| json!({ "name": "limit", "whole": n })).collect();
        admin.post("/items/notes?fields=id", Value::Array(many)).await.data();
        let filter = json!({ "name": { "_eq": "limit" } });
        let count = async |query: Value| admin.items("notes", query).await.data().as_array().unwrap().len();
        assert_eq!(count(json!({ "filter": filter })).await, 100);
        assert_eq!(count(json!({ "filter": filter, "limit": -1 })).await, 130);
        assert_eq!(count(json!({ "filter": filter, "limit": 120 })).await, 120);
    })
    .await;
}

#[tokio::test]
async fn searches() {
    each_database(async |engine| {
        let articles = Articles::on(engine).await;
        articles
            .check(
                json!({ "search": "Article 1", "sort": "id" }),
                [1, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19],
            )
            .await;
        articles.check(json!({ "search": "aRTICLE 02", "sort": "id" }), [2]).await;
        let published =
            json!({ "search": "lorem", "filter": { "status": { "_eq": "published" } }, "sort": "id" });
        articles.check(published, [1, 9, 13, 17, 21, 29]).await;
        articles.check(json!({ "search": "nothing like this" }), []).await;
        articles.check(json!({ "search": "", "limit": 2 }), [30, 29]).await;
        let secrets = articles.0.items("samples", json!({ "search": "secret3", "fields": "id" })).await;
        assert_eq!(secrets.ids(), [] as [i64; 0], "a concealed value cannot be searched for");
        let numbers = articles.0.items("samples", json!({ "search": "-50", "fields": "id" })).await;
        assert_eq!(numbers.ids(), [1], "a number is found by its value");
        let codes = json!({ "search": "aaaaaaaa-0000-4000-8000-000000000003", "fields": "id" });
        assert_eq!(articles.0.items("samples", codes).await.ids(), [3], "a UUID is found by its value");
        articles.0.items("samples", json!({ "search": "'; --\"`\\ %_" })).await.data();
    })
    .await;
}

#[tokio::test]
async fn shapes_nested_lists() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let check = async |query: Value, expected: Value| {
            let answer = admin.items("articles", query).await;
            assert_eq!(answer.data(), expected, "{}", answer.what);
        };
        let sorted = json!({ "fields": "id,comments.score", "deep": { "comments": { "_sort": "-score,id" } }, "limit": 2, "sort": "id" });
        let scores = json!([{ "score": 4 }, { "score": 2 }]);
        check(sorted, json!([{ "id": 1, "comments": scores }, { "id": 2, "comments": scores }])).await;
        let filtered = json!({
            "fields": "id,comments.score", "deep": { "comments": { "_filter": { "score": { "_gt": 3 } } } }, "limit": 4, "sort": "id",
        });
        let answer = admin.items("articles", filtered).await.data();
        assert_eq!(answer[0], json!({ "id": 1, "comments": [{ "score": 4 }] }));
        assert_eq!(answer[3], json!({ "id": 4, "comments": [{ "score": 4 }, { "score": 6 }] }));
        let second = json!([{ "id": 1, "comments": [{ "id": 50 }] }, { "id": 2, "comments": [{ "id": 43 }] }]);
        let offset = json!({ "_limit": 1, "_offset": 1, "_sort": "id" });
        check(json!({ "fields": "id,comments.id", "deep": { "comments": offset }, "limit": 2, "sort": "id" }), second.clone()).await;
        let page = json!({ "_limit": 1, "_page": 2, "_sort": "id" });
        check(json!({ "fields": "id,comments.id", "deep": { "comments": page }, "limit": 2, "sort": "id" }), second).await;
        let none = json!({ "fields": "id,comments.id", "deep": { "comments": { "_limit": 0 } }, "limit": 1, "sort": "id" });
        check(none, json!([{ "id": 1, "comments": [] }])).await;
        let named = json!({ "topic": { "name": { "_in": ["rust", "api"] } } });
        let through = json!({ "fields": "id,topics.topic.name", "deep": { "topics": { "_filter": named } }, "limit": 2, "sort": "id" });
        check(through, json!([{ "id": 1, "topics": [] }, { "id": 2, "topics": [{ "topic": { "name": "api" } }] }])).await;
        let reversed = json!({
            "fields": "blocks.collection,blocks.item:text_blocks.content", "deep": { "blocks": { "_sort": "-sort" } },
            "limit": 1, "sort": "id",
        });
        let blocks = json!([
            { "collection": "quote_blocks", "item": blog::QUOTES[0] },
            { "collection": "image_blocks", "item": 1 },
            { "collection": "text_blocks", "item": { "content": "Block text 1" } },
        ]);
        check(reversed, json!([{ "blocks": blocks }])).await;
        let bracket = admin.get("/items/articles?fields=id,comments.id&deep[comments][_limit]=1&limit=2&sort=id").await;
        assert_eq!(bracket.data(), json!([{ "id": 1, "comments": [{ "id": 25 }] }, { "id": 2, "comments": [{ "id": 18 }] }]));
    })
    .await;
}

#[tokio::test]
async fn shapes_lists_in_nested_lists() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let deep = json!({ "articles": { "_limit": 2, "_sort": "id", "comments": { "_limit": 1, "_sort": "-id" } } });
        let query = json!({ "fields": "id,articles.id,articles.comments.id", "deep": deep, "sort": "id", "limit": 2 });
        let expected = json!([
            { "id": 1, "articles": [{ "id": 8, "comments": [{ "id": 51 }] }, { "id": 16, "comments": [{ "id": 45 }] }] },
            { "id": 2, "articles": [{ "id": 1, "comments": [{ "id": 50 }] }, { "id": 9, "comments": [{ "id": 44 }] }] },
        ]);
        assert_eq!(admin.items("writers", query).await.data(), expected);
        // A limit counts per parent, ties in the order are broken by key.
        let per_parent = json!({ "articles": { "_limit": 1, "_sort": "featured", "_filter": { "views": { "_gte": 0 } } } });
        let query = json!({ "fields": "articles.id", "deep": per_parent, "sort": "id", "limit": 3 });
        let first = json!([{ "articles": [{ "id": 8 }] }, { "articles": [{ "id": 1 }] }, { "articles": [{ "id": 2 }] }]);
        assert_eq!(admin.items("writers", query).await.data(), first);
    })
    .await;
}

#[tokio::test]
async fn counts() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let meta = async |query: Value| admin.items("articles", query).await.json()["meta"].clone();
        let drafts = json!({ "status": { "_eq": "draft" } });
        assert_eq!(
            meta(json!({ "limit": 1, "meta": "filter_count", "filter": drafts })).await,
            json!({ "filter_count": 7 })
        );
        assert_eq!(meta(json!({ "limit": 1, "meta": "total_count" })).await, json!({ "total_count": 30 }));
        let both = json!({ "filter_count": 7, "total_count": 30 });
        assert_eq!(meta(json!({ "limit": 1, "meta": "*", "filter": drafts })).await, both);
        assert_eq!(
            meta(json!({ "limit": 1, "meta": "total_count,filter_count", "filter": drafts })).await,
            both
        );
        let searched = json!({ "limit": 1, "meta": "filter_count", "search": "lorem" });
        assert_eq!(meta(searched).await, json!({ "filter_count": 12 }));
        assert_eq!(meta(json!({ "limit": 1 })).await, Value::Null, "no count without being asked");
        let related = json!({ "comments": { "score": { "_gte": 0 } } });
        assert_eq!(
            meta(json!({ "meta": "filter_count", "filter": related })).await,
            json!({ "filter_count": 25 })
        );
    })
    .await;
}

#[tokio::test]
async fn refuses_parameters_that_mean_nothing() {
    each_database(async |engine| {
        let articles = Articles::on(engine).await;
        let admin = &articles.0;
        for query in
            ["deep={bad", "aggregate={bad", "filter={bad", "deep=[]", "deep=text", "alias=x", "filter=1"]
        {
            admin.get(&format!("/items/articles?{query}")).await.refused(400, "INVALID_QUERY");
        }
        articles.refused(json!({ "deep": { "comments": { "_limit": "x" } } })).await;
        articles.refused(json!({ "deep": { "comments": { "_filter": { "score": { "_foo": 1 } } } } })).await;
        let mut filter = json!({ "name": { "_eq": "rust" } });
        for _ in 0..12 {
            filter = json!({ "parent": filter });
        }
        admin.items("topics", json!({ "filter": filter })).await.refused(400, "INVALID_QUERY");
        let sort = format!("{}.name", ["parent"; 12].join("."));
        admin.items("topics", json!({ "sort": sort })).await.refused(400, "INVALID_QUERY");
        let conditions: Vec<Value> = (0..600).map(|n| json!({ "views": { "_eq": n } })).collect();
        let body = json!({ "query": { "filter": { "_or": conditions } } });
        let answer = admin.search("/items/articles", body).await;
        assert!((400..500).contains(&answer.status), "{answer:?}");
        answer.errors();
    })
    .await;
}
