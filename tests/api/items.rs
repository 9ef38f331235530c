//! Create, read, update and delete: one, many, by keys and by query.

use serde_json::{Value, json};

use crate::support::{Client, blog, each_database};

/// A note with these members, and its key.
async fn note(admin: &Client, body: Value) -> i64 {
    admin.create("notes", body).await["id"].as_i64().unwrap()
}

#[tokio::test]
async fn reads_one_item_by_any_kind_of_key() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let writer = admin.get("/items/writers/1").await.data();
        let expected = json!({
            "id": 1, "name": "Writer 01", "email": "writer1@example.com", "country": "DE", "born": "1961-02-11", "rating": 0.75,
            "active": true, "mentor": null, "pupils": [2, 3], "articles": [24, 16, 8],
        });
        assert_eq!(writer, expected);
        let keys: Vec<&String> = writer.as_object().unwrap().keys().collect();
        let declared = ["id", "name", "email", "country", "born", "rating", "active", "mentor", "pupils", "articles"];
        assert_eq!(keys, declared, "fields come in the order of declaration");

        let quote = admin.get(&format!("/items/quote_blocks/{}", blog::QUOTES[0])).await.data();
        assert_eq!(quote, json!({ "id": blog::QUOTES[0], "quote": "To be", "by": 1 }));
        assert_eq!(admin.get("/items/languages/fr").await.data()["name"], "Français");
        for name in ["with space", "ünï", "a/b", "per%cent"] {
            admin.create("places", json!({ "id": name, "name": "Odd" })).await;
            let (_, encoded) = blog_key(name);
            assert_eq!(admin.get(&format!("/items/places/{encoded}")).await.data()["id"], name);
            admin.delete(&format!("/items/places/{encoded}")).await.no_content();
        }
        admin.get("/items/writers/1/?fields=id").await.data();
    })
    .await;
}

#[tokio::test]
async fn a_filter_holds_for_one_item_too() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let filter = json!({ "mentor": { "name": { "_eq": "Writer 01" } }, "id": { "_lt": 100 } });
        // Twice, as the second time a kept plan is used.
        for _ in 0..2 {
            for (key, is_there) in [(2, true), (1, false), (3, true), (4, false)] {
                let query = json!({ "fields": "id", "filter": filter, "search": "Writer" });
                let answer = admin.read(&format!("/items/writers/{key}"), query).await;
                if is_there {
                    assert_eq!(answer.data(), json!({ "id": key }));
                } else {
                    answer.refused(403, "FORBIDDEN");
                }
            }
        }
        admin.get("/items/writers/1?search=nothing+like+it").await.refused(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn versions_are_refused_rather_than_answered_with_something_else() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        admin.get("/items/writers/1?version=draft").await.refused(403, "FORBIDDEN");
        admin
            .patch("/items/writers/1?version=draft", json!({ "country": "XX" }))
            .await
            .refused(400, "INVALID_QUERY");
        assert_eq!(admin.get("/items/writers/1?version=main").await.data()["country"], "DE");
    })
    .await;
}

/// A key as it is, and as it stands in a path.
fn blog_key(name: &str) -> (&str, String) {
    (name, percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string())
}

#[tokio::test]
async fn reads_one_of_every_type() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let expected = json!({
            "id": 1, "word": "alpha", "prose": "Text number 1 with words", "whole": -50, "large": "1000000007", "ratio": 1.75,
            "amount": "10.07", "flag": false, "shape": { "n": 1, "deep": { "k": "v1", "list": [1, 2, 1] } }, "list": ["l1", "m1"],
            "local": "2024-01-15T10:01:00", "day": "2024-01-10", "clock": "09:30:00", "moment": "2023-01-10T08:00:01.000Z",
            "code": "aaaaaaaa-0000-4000-8000-000000000001", "secret": "**********", "with_default": "standard",
            "number_default": 7,
        });
        assert_eq!(admin.get("/items/samples/1").await.data(), expected);
        let nulls = admin.get("/items/samples/12").await.data();
        for field in ["word", "whole", "large", "amount", "flag", "shape", "list", "local", "day", "clock", "moment", "code", "secret"] {
            assert_eq!(nulls[field], Value::Null, "{field}");
        }
        assert_eq!(nulls["prose"], "");
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_is_forbidden() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let paths = [
            "/items/writers/999999",
            "/items/writers/abc",
            "/items/writers/1.5",
            "/items/writers/99999999999999999999",
            "/items/quote_blocks/not-a-uuid",
            "/items/quote_blocks/c0ffee00-0000-4000-8000-00000000ffff",
            "/items/languages/xx",
            "/items/missing",
            "/items/missing/1",
            "/items/directus_users",
            "/items/tablature_outbox",
        ];
        for path in paths {
            admin.get(path).await.refused(403, "FORBIDDEN");
        }
        admin.post("/items/missing", json!({})).await.refused(403, "FORBIDDEN");
        admin.patch("/items/missing/1", json!({})).await.refused(403, "FORBIDDEN");
        admin.get("/nope/nothing").await.refused(404, "ROUTE_NOT_FOUND");
        admin.post("/nope", json!({})).await.refused(404, "ROUTE_NOT_FOUND");
        admin.request("PUT", "/items/notes").json(&json!({})).send().await.refused(404, "ROUTE_NOT_FOUND");
    })
    .await;
}

#[tokio::test]
async fn creates_one_and_answers_with_the_whole_item() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let me = admin.get("/users/me?fields=id").await.data()["id"].clone();
        let mut item = admin.create("notes", json!({ "name": "one", "whole": 1 })).await;
        let created = item["created_at"].take();
        let created = created.as_str().expect("a moment of creation");
        assert!(created.len() == 24 && created.ends_with('Z'), "{created} has milliseconds and a zone");
        assert!(item["id"].take().as_i64().is_some());
        let expected = json!({
            "id": null, "name": "one", "whole": 1, "handle": null, "must": "x", "flag": null, "shape": null, "ratio": null,
            "position": null, "parent": null, "children": [], "created_at": null, "updated_at": null, "created_by": me,
            "updated_by": null,
        });
        assert_eq!(item, expected);

        let chosen = admin.post("/items/notes?fields=name,must", json!({ "name": "f" })).await.data();
        assert_eq!(chosen, json!({ "name": "f", "must": "x" }));
        let nested = json!({ "shape": { "a": [1, { "b": null }], "z": "ü" }, "ratio": "12.345" });
        let chosen = admin.post("/items/notes?fields=shape,ratio", nested.clone()).await.data();
        assert_eq!(chosen, nested);
        let ignored = admin.post("/items/notes?fields=name", json!({ "name": "ok", "nope": 1, "__proto__": { "x": 1 } })).await;
        assert_eq!(ignored.data(), json!({ "name": "ok" }), "unknown keys are dropped");
    })
    .await;
}

#[tokio::test]
async fn creates_with_every_kind_of_key() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let made = admin.create("things", json!({ "name": "made" })).await["id"].as_str().unwrap().to_owned();
        assert_eq!((made.len(), made.as_bytes()[14]), (36, b'7'), "{made} is a UUID v7");
        let given = uuid::Uuid::now_v7().to_string();
        let thing = admin.create("things", json!({ "id": given.to_uppercase(), "name": "given" })).await;
        assert_eq!(thing["id"], given, "keys are kept in lower case");
        assert_eq!(
            admin.get(&format!("/items/things/{}", given.to_uppercase())).await.data()["name"],
            "given"
        );

        let place = admin.create("places", json!({ "id": "harbour", "name": "Harbour" })).await;
        assert_eq!(place, json!({ "id": "harbour", "name": "Harbour" }));
        let twice = admin.post("/items/places", json!({ "id": "harbour", "name": "Again" })).await;
        let errors = twice.refused(400, "RECORD_NOT_UNIQUE");
        let expected =
            json!({ "code": "RECORD_NOT_UNIQUE", "collection": "places", "field": "id", "value": "harbour" });
        assert_eq!(errors[0]["extensions"], expected);
        let missing =
            admin.post("/items/places", json!({ "name": "No key" })).await.refused(400, "FAILED_VALIDATION");
        assert_eq!(
            missing[0]["extensions"],
            json!({ "code": "FAILED_VALIDATION", "field": "id", "type": "required", "path": [] })
        );
        assert_eq!(admin.get("/items/places/harbour").await.data()["name"], "Harbour");
    })
    .await;
}

#[tokio::test]
async fn creates_many_in_order_or_not_at_all() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let bodies = json!([{ "name": "a" }, { "name": "b", "whole": 2 }]);
        let made = admin.post("/items/notes?fields=name,whole", bodies).await.data();
        assert_eq!(made, json!([{ "name": "a", "whole": null }, { "name": "b", "whole": 2 }]));
        assert_eq!(admin.post("/items/notes", json!([])).await.data(), json!([]));

        let many: Vec<Value> =
            (0..250).map(|n| json!({ "name": "bulk", "whole": n, "handle": format!("bulk-{n}") })).collect();
        let made = admin.post("/items/notes?fields=id,whole&limit=-1", Value::Array(many)).await;
        let wholes: Vec<i64> = made.column("whole").iter().map(|n| n.as_i64().unwrap()).collect();
        assert_eq!(wholes, (0..250).collect::<Vec<_>>(), "items come back in the order sent");

        let broken = json!([{ "name": "half", "handle": "half-1" }, { "name": "half", "handle": "bulk-7" }]);
        admin.post("/items/notes", broken).await.refused(400, "RECORD_NOT_UNIQUE");
        let left = admin.items("notes", json!({ "filter": { "name": { "_eq": "half" } } })).await.data();
        assert_eq!(left, json!([]), "nothing of a refused batch stays");
    })
    .await;
}

#[tokio::test]
async fn updates_one() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let me = admin.get("/users/me?fields=id").await.data()["id"].clone();
        let id = note(&admin, json!({ "name": "n", "whole": 1 })).await;
        let path = format!("/items/notes/{id}");
        let changed = admin
            .patch(&format!("{path}?fields=name,whole,updated_by,updated_at"), json!({ "whole": 5 }))
            .await;
        let changed = changed.data();
        assert_eq!((&changed["name"], &changed["whole"]), (&json!("n"), &json!(5)));
        assert_eq!(changed["updated_by"], me);
        assert!(changed["updated_at"].is_string());
        let both = admin.patch(&path, json!({ "name": null, "shape": { "k": [] } })).await.data();
        assert_eq!(
            (&both["name"], &both["shape"], &both["whole"]),
            (&Value::Null, &json!({ "k": [] }), &json!(5))
        );
        admin.patch(&path, json!({})).await.data();
        admin.patch("/items/notes/999999999", json!({ "whole": 5 })).await.no_content();

        admin.create("places", json!({ "id": "old key", "name": "Moves" })).await;
        admin.patch("/items/places/old%20key", json!({ "name": "Moved" })).await.data();
        assert_eq!(admin.get("/items/places/old%20key").await.data()["name"], "Moved");
    })
    .await;
}

#[tokio::test]
async fn updates_many() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let one = note(&admin, json!({ "name": "many" })).await;
        let two = note(&admin, json!({ "name": "many" })).await;
        let by_keys = json!({ "keys": [one, two], "data": { "whole": 9 } });
        let changed = admin.patch("/items/notes?fields=whole", by_keys).await.data();
        assert_eq!(changed, json!([{ "whole": 9 }, { "whole": 9 }]));

        let query = json!({ "filter": { "id": { "_in": [one, two] }, "whole": { "_eq": 9 } } });
        let by_query = json!({ "query": query, "data": { "name": "renamed" } });
        admin.patch("/items/notes", by_query).await.data();
        assert_eq!(admin.get(&format!("/items/notes/{two}")).await.data()["name"], "renamed");

        let each = json!([{ "id": two, "whole": 2 }, { "id": one, "whole": 1 }]);
        let changed = admin.patch("/items/notes?fields=id,whole&sort=whole", each).await.data();
        assert_eq!(changed.as_array().map(Vec::len), Some(2));
        assert_eq!(admin.get(&format!("/items/notes/{one}")).await.data()["whole"], 1);
        assert_eq!(admin.get(&format!("/items/notes/{two}")).await.data()["whole"], 2);

        admin.patch("/items/notes", json!({ "data": { "whole": 1 } })).await.refused(400, "INVALID_PAYLOAD");
        admin.patch("/items/notes", json!([{ "whole": 1 }])).await.refused(400, "INVALID_PAYLOAD");
        let broken = json!([{ "id": one, "whole": 77 }, { "id": two, "whole": "seven" }]);
        assert_eq!(admin.patch("/items/notes", broken).await.status, 400);
        assert_eq!(
            admin.get(&format!("/items/notes/{one}")).await.data()["whole"],
            1,
            "nothing of a refused batch stays"
        );
    })
    .await;
}

#[tokio::test]
async fn deletes_one_many_and_by_query() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let mut ids = Vec::new();
        for whole in 1..=6 {
            ids.push(note(&admin, json!({ "name": "to delete", "whole": whole })).await);
        }
        let path = format!("/items/notes/{}", ids[0]);
        admin.delete(&path).await.no_content();
        admin.get(&path).await.refused(403, "FORBIDDEN");
        admin.delete(&path).await.no_content();
        admin.delete_with("/items/notes", json!([ids[1], ids[2]])).await.no_content();
        admin.delete_with("/items/notes", json!({ "keys": [ids[3]] })).await.no_content();
        let filter = json!({ "name": { "_eq": "to delete" }, "whole": { "_eq": 5 } });
        admin.delete_with("/items/notes", json!({ "query": { "filter": filter } })).await.no_content();
        let left = admin.items("notes", json!({ "filter": { "name": { "_eq": "to delete" } } })).await;
        assert_eq!(left.ids(), [ids[5]]);
        admin.delete("/items/notes").await.refused(400, "INVALID_PAYLOAD");
        assert_eq!(admin.get(&format!("/items/notes/{}", ids[5])).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn search_method_reads() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let query = json!({ "fields": ["id", "name"], "filter": { "country": { "_eq": "FR" } }, "sort": ["-id"] });
        let found = admin.search("/items/writers", json!({ "query": query })).await.data();
        assert_eq!(found, json!([{ "id": 5, "name": "Writer 05" }]));
        let found = admin.search("/items/writers?fields=id,name", json!({ "keys": [3, 1] })).await.data();
        assert_eq!(found, json!([{ "id": 1, "name": "Writer 01" }, { "id": 3, "name": "Writer 03" }]));
        let found = admin.search("/items/writers", json!({ "keys": [3, 1], "query": { "fields": ["id"] } })).await;
        assert_eq!(found.ids(), [1, 3]);
        let grouped = json!({ "query": { "aggregate": { "count": "*" }, "groupBy": ["country"], "sort": ["country"] } });
        let grouped = admin.search("/items/writers", grouped).await.data();
        assert_eq!(grouped[0], json!({ "country": "BR", "count": "1" }));
    })
    .await;
}

/// Requests that change the same items in opposite orders wait for each other until the database ends one of them.
#[tokio::test]
async fn requests_in_each_others_way_are_all_carried_out() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let mut ids = Vec::new();
        for number in 0..20 {
            ids.push(note(&admin, json!({ "name": format!("contended {number}") })).await);
        }
        for round in 0..3 {
            let answers = (0..2).map(|turn| {
                let name = format!("round {round}, turn {turn}");
                let mut items: Vec<Value> = ids.iter().map(|id| json!({ "id": id, "name": name })).collect();
                if turn % 2 == 1 {
                    items.reverse();
                }
                admin.request("PATCH", "/items/notes?fields=id").json(&Value::Array(items)).send()
            });
            for answer in futures::future::join_all(answers).await {
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
        }
        let query = json!({ "fields": "name", "filter": { "id": { "_in": ids } } });
        let names = admin.items("notes", query).await.column("name");
        assert!(names.iter().all(|name| *name == names[0]), "one request after the other: {names:?}");
    })
    .await;
}
