//! What becomes of related items when one is deleted, moved or referred to twice.

use serde_json::{Value, json};

use crate::support::{blog, each_database};

#[tokio::test]
async fn a_deletion_ends_as_each_relation_says() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let anchor = async || admin.create("anchors", json!({ "name": "anchor" })).await["id"].clone();
        let end = async |field: &str, anchor: &Value| {
            admin.create("ends", json!({ "name": field, field: anchor })).await["id"].clone()
        };
        let key = anchor().await;
        let row = end("nulls", &key).await;
        admin.delete(&format!("/items/anchors/{key}")).await.no_content();
        assert_eq!(
            admin.get(&format!("/items/ends/{row}?fields=nulls")).await.data(),
            json!({ "nulls": null })
        );

        let key = anchor().await;
        let row = end("falls", &key).await;
        admin.delete(&format!("/items/anchors/{key}")).await.no_content();
        admin.get(&format!("/items/ends/{row}")).await.refused(403, "FORBIDDEN");

        for field in ["holds", "waits"] {
            let key = anchor().await;
            let row = end(field, &key).await;
            let answer = admin.delete(&format!("/items/anchors/{key}")).await;
            answer.refused(400, "INVALID_FOREIGN_KEY");
            assert_eq!(
                admin.get(&format!("/items/ends/{row}?fields={field}")).await.data(),
                json!({ field: key })
            );
            let others = admin.create("anchors", json!({ "name": "free" })).await["id"].clone();
            admin
                .delete_with("/items/anchors", json!([others, key]))
                .await
                .refused(400, "INVALID_FOREIGN_KEY");
            assert_eq!(
                admin.get(&format!("/items/anchors/{others}")).await.status,
                200,
                "all of them or none"
            );
            admin.delete(&format!("/items/ends/{row}")).await.no_content();
            admin.delete(&format!("/items/anchors/{key}")).await.no_content();
        }
    })
    .await;
}

#[tokio::test]
async fn junction_rows_go_with_either_end() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let body = json!({
            "name": "album", "stickers": [{ "genres_id": { "name": "A" } }, { "genres_id": { "name": "B" } }],
            "texts": [{ "languages_code": "en", "title": "T" }],
            "parts": [{ "collection": "text_parts", "item": { "content": "x" } }],
        });
        let fields = "id,stickers.id,stickers.sort,stickers.genres_id,texts.id,parts.id";
        let album = admin.post(&format!("/items/albums?fields={fields}"), body).await.data();
        let stickers = album["stickers"].as_array().unwrap();
        assert_eq!(stickers.len(), 2);
        let genre = &stickers[0]["genres_id"];
        admin.delete(&format!("/items/genres/{genre}")).await.no_content();
        let left =
            admin.get(&format!("/items/albums/{}?fields=stickers.genres_id", album["id"])).await.data();
        assert_eq!(left, json!({ "stickers": [{ "genres_id": stickers[1]["genres_id"] }] }));
        admin.delete(&format!("/items/albums/{}", album["id"])).await.no_content();
        let key = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        for (collection, id) in [
            ("albums_genres", &stickers[1]["id"]),
            ("albums_translations", &album["texts"][0]["id"]),
            ("albums_parts", &album["parts"][0]["id"]),
        ] {
            admin.get(&format!("/items/{collection}/{}", key(id))).await.refused(403, "FORBIDDEN");
        }
        assert_eq!(admin.get(&format!("/items/genres/{}", stickers[1]["genres_id"])).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn a_list_keeps_its_order() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let tracks = json!([{ "name": "third", "position": 3 }, { "name": "first", "position": 1 }, { "name": "second", "position": 2 }]);
        let album = admin.post("/items/albums?fields=id,tracks.name", json!({ "name": "a", "tracks": tracks })).await.data();
        assert_eq!(album["tracks"], json!([{ "name": "first" }, { "name": "second" }, { "name": "third" }]));
        let stickers = json!([{ "sort": 2, "genres_id": { "name": "B" } }, { "sort": 1, "genres_id": { "name": "A" } }]);
        let album = admin.post("/items/albums?fields=stickers.genres_id.name", json!({ "name": "a", "stickers": stickers })).await.data();
        let expected = json!([{ "genres_id": { "name": "A" } }, { "genres_id": { "name": "B" } }]);
        assert_eq!(album["stickers"], expected);
    })
    .await;
}

#[tokio::test]
async fn an_item_is_referred_to_once_where_that_is_declared() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let cover = admin.create("covers", json!({ "name": "one" })).await["id"].clone();
        let album = admin.create("albums", json!({ "name": "a", "cover": cover })).await;
        assert_eq!(album["cover"], cover);
        let twice = admin.post("/items/albums", json!({ "name": "b", "cover": cover })).await;
        let errors = twice.refused(400, "RECORD_NOT_UNIQUE");
        assert_eq!(errors[0]["extensions"]["field"], "cover");
    })
    .await;
}

#[tokio::test]
async fn an_item_refers_to_its_own_kind() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let one = admin.create("albums", json!({ "name": "one" })).await["id"].clone();
        let two = admin.create("albums", json!({ "name": "two", "twin": one })).await["id"].clone();
        admin.patch(&format!("/items/albums/{one}"), json!({ "twin": two })).await.data();
        let both = admin.get(&format!("/items/albums/{one}?fields=name,twin.name,twin.twin.name,twin_of.name")).await.data();
        let expected = json!({ "name": "one", "twin": { "name": "two", "twin": { "name": "one" } }, "twin_of": [{ "name": "two" }] });
        assert_eq!(both, expected, "a cycle is no trouble");
        admin.patch(&format!("/items/albums/{one}"), json!({ "twin": one })).await.data();
        admin.delete(&format!("/items/albums/{one}")).await.no_content();
        assert_eq!(admin.get(&format!("/items/albums/{two}?fields=twin")).await.data(), json!({ "twin": null }));
    })
    .await;
}

#[tokio::test]
async fn an_item_refers_to_one_of_several_collections() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let label = admin.create("labels", json!({ "name": "L" })).await["id"].clone();
        admin.create("places", json!({ "id": "quay", "name": "Quay" })).await;
        let first = admin
            .create("remarks", json!({ "text": "r", "subject_type": "labels", "subject": label }))
            .await["id"]
            .clone();
        let second = admin
            .create("remarks", json!({ "text": "r", "subject_type": "places", "subject": "quay" }))
            .await["id"]
            .clone();
        let fields = "subject_type,subject:labels.name,subject:places.name";
        let read = async |id: &Value| {
            admin.read(&format!("/items/remarks/{id}"), json!({ "fields": fields })).await.data()
        };
        assert_eq!(read(&first).await, json!({ "subject_type": "labels", "subject": { "name": "L" } }));
        assert_eq!(read(&second).await, json!({ "subject_type": "places", "subject": { "name": "Quay" } }));
        let filter =
            json!({ "subject:places": { "name": { "_eq": "Quay" } }, "id": { "_in": [first, second] } });
        assert_eq!(
            admin.items("remarks", json!({ "filter": filter, "fields": "id" })).await.column("id"),
            [second]
        );
        let wrong = admin.post("/items/remarks", json!({ "subject_type": "writers", "subject": 1 })).await;
        assert!((400..500).contains(&wrong.status), "{wrong:?}");
    })
    .await;
}

#[tokio::test]
async fn items_are_sorted_by_what_a_many_to_any_points_at() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let text = "sorted by subject";
        for (kind, subject) in [
            ("places", json!({ "id": "sort-b", "name": "b" })),
            ("labels", json!({ "name": "a" })),
            ("places", json!({ "id": "sort-a", "name": "a" })),
            ("places", json!({ "id": "sort-c", "name": "c" })),
        ] {
            admin.create("remarks", json!({ "text": text, "subject_type": kind, "subject": subject })).await;
        }
        let sorted = async |sort: &str| {
            let query = json!({ "filter": { "text": { "_eq": text } }, "sort": sort, "fields": "subject:places.name" });
            let rows = admin.items("remarks", query).await.data();
            let name = |row: &Value| row["subject"]["name"].as_str().unwrap_or("-").to_owned();
            rows.as_array().expect("a list").iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(sorted("subject:places.name").await, ["a", "b", "c", "-"]);
        assert_eq!(sorted("-subject:places.name").await, ["-", "c", "b", "a"]);
        for (sort, status, code) in [
            ("subject:albums.name", 403, "FORBIDDEN"),
            ("subject:places.nope", 403, "FORBIDDEN"),
            ("subject.name", 400, "INVALID_QUERY"),
            ("text:places.name", 400, "INVALID_QUERY"),
        ] {
            admin.items("remarks", json!({ "sort": sort })).await.refused(status, code);
        }
    })
    .await;
}
