//! Items written together with those they are related to, in one request.

use serde_json::{Value, json};

use crate::support::{Client, blog, each_database};

const ALBUM: &str = "name,label.name,cover.name,tracks.name,tracks.position,chapters.name,genres.note,genres.genre.name,\
     parts.collection,parts.item:text_parts.content,parts.item:sound_parts.seconds,texts.languages_code,texts.title";

/// Lists come in the order of their keys.
fn in_order() -> Value {
    let by_key = json!({ "_sort": "id" });
    json!({ "tracks": by_key, "chapters": by_key, "genres": by_key, "parts": by_key, "texts": { "_sort": "languages_code" } })
}

async fn make(admin: &Client, body: Value) -> Value {
    let fields = "id,label,cover,tracks.id,chapters.id,genres.id,genres.genre,parts.id,parts.item,texts.id";
    let answer = admin
        .request("POST", "/items/albums")
        .query(&json!({ "fields": fields, "deep": in_order() }))
        .json(&body);
    answer.send().await.data()
}

async fn change(admin: &Client, album: &Value, body: Value) -> Value {
    let request = admin.request("PATCH", &format!("/items/albums/{}", album["id"]));
    request.query(&json!({ "fields": ALBUM, "deep": in_order() })).json(&body).send().await.data()
}

/// One list of an album, one text of each entry.
fn names(album: &Value, list: &str, path: &[&str]) -> Vec<String> {
    let entries = album[list].as_array().unwrap_or_else(|| panic!("no {list} in {album}"));
    let name = |entry: &Value| {
        let value = path.iter().fold(entry, |value, key| &value[key]);
        value.as_str().unwrap_or_else(|| panic!("no {path:?} in {entry}")).to_owned()
    };
    entries.iter().map(name).collect()
}

#[tokio::test]
async fn creates_everything_around_an_item() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let body = json!({
            "name": "whole",
            "label": { "name": "Label" },
            "cover": { "name": "Cover" },
            "tracks": [{ "name": "t1" }, { "name": "t2", "takes": [{ "name": "first" }, { "name": "second" }] }],
            "chapters": [{ "name": "c1" }],
            "genres": [{ "note": "n", "genre": { "name": "jazz" } }],
            "parts": [
                { "collection": "text_parts", "item": { "content": "hi" } },
                { "collection": "sound_parts", "item": { "seconds": 9 } },
            ],
            "texts": [{ "languages_code": "en", "title": "Title" }, { "languages_code": "fr", "title": "Titre" }],
        });
        let request = admin.request("POST", "/items/albums").query(&json!({ "fields": ALBUM, "deep": in_order() }));
        let made = request.json(&body).send().await.data();
        let expected = json!({
            "name": "whole",
            "label": { "name": "Label" },
            "cover": { "name": "Cover" },
            "tracks": [{ "name": "t1", "position": null }, { "name": "t2", "position": null }],
            "chapters": [{ "name": "c1" }],
            "genres": [{ "note": "n", "genre": { "name": "jazz" } }],
            "parts": [
                { "collection": "text_parts", "item": { "content": "hi" } },
                { "collection": "sound_parts", "item": { "seconds": 9 } },
            ],
            "texts": [{ "languages_code": "en", "title": "Title" }, { "languages_code": "fr", "title": "Titre" }],
        });
        assert_eq!(made, expected);
        let takes = json!({ "filter": { "track": { "album": { "name": { "_eq": "whole" } } } }, "fields": "name", "sort": "id" });
        assert_eq!(admin.items("takes", takes).await.column("name"), ["first", "second"]);
    })
    .await;
}

#[tokio::test]
async fn creates_many_with_children_each() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let album = |n: i64| json!({ "name": format!("batch {n}"), "tracks": [{ "name": format!("{n}a") }, { "name": format!("{n}b") }] });
        let bodies: Vec<Value> = (0..40).map(album).collect();
        let answer = admin.post("/items/albums?fields=name,tracks.name&deep[tracks][_sort]=id", Value::Array(bodies)).await.data();
        for (n, made) in answer.as_array().unwrap().iter().enumerate() {
            let tracks = json!([{ "name": format!("{n}a") }, { "name": format!("{n}b") }]);
            assert_eq!(made, &json!({ "name": format!("batch {n}"), "tracks": tracks }));
        }
        let body = json!({ "name": "kid", "parent": { "name": "root" }, "children": [{ "name": "k1", "children": [{ "name": "k2" }] }] });
        let made = admin.post("/items/notes?fields=name,parent.name,children.name,children.children.name", body).await.data();
        let expected = json!({
            "name": "kid", "parent": { "name": "root" }, "children": [{ "name": "k1", "children": [{ "name": "k2" }] }],
        });
        assert_eq!(made, expected, "within one collection, upwards and downwards");
    })
    .await;
}

#[tokio::test]
async fn writes_the_item_referred_to() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let album = make(&admin, json!({ "name": "a", "label": { "name": "old", "city": "Paris" } })).await;
        let renamed = change(&admin, &album, json!({ "label": { "id": album["label"], "name": "new" } })).await;
        assert_eq!(renamed["label"], json!({ "name": "new" }));
        let label = admin.get(&format!("/items/labels/{}", album["label"])).await.data();
        assert_eq!(label["city"], "Paris", "what is not named stays");
        assert_eq!(change(&admin, &album, json!({ "label": null })).await["label"], Value::Null);
        assert_eq!(change(&admin, &album, json!({ "label": album["label"] })).await["label"], json!({ "name": "new" }));
        assert_eq!(change(&admin, &album, json!({ "label": { "name": "third" } })).await["label"], json!({ "name": "third" }));

        let unknown = admin.post("/items/tracks", json!({ "name": "t", "album": 99_999_999 })).await;
        let errors = unknown.refused(400, "INVALID_FOREIGN_KEY");
        assert_eq!(errors[0]["extensions"]["collection"], "tracks");
        assert_eq!(errors[0]["extensions"]["field"], "album");
        let place = json!({ "text": "at", "subject_type": "places", "subject": { "id": "nested-place", "name": "Nested" } });
        let fields = "subject_type,subject:places.name";
        let remark = admin.post(&format!("/items/remarks?fields={fields}"), place).await.data();
        assert_eq!(remark, json!({ "subject_type": "places", "subject": { "name": "Nested" } }));
    })
    .await;
}

#[tokio::test]
async fn changes_a_list_step_by_step() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let album = make(&admin, json!({ "name": "a", "tracks": [{ "name": "keep" }, { "name": "edit" }, { "name": "drop" }] })).await;
        let track = |position: usize| album["tracks"][position]["id"].clone();
        let steps = json!({
            "create": [{ "name": "added" }], "update": [{ "id": track(1), "name": "edited" }], "delete": [track(2)],
        });
        let changed = change(&admin, &album, json!({ "tracks": steps })).await;
        assert_eq!(names(&changed, "tracks", &["name"]), ["keep", "edited", "added"]);
        let dropped = admin.get(&format!("/items/tracks/{}?fields=name,album", track(2))).await.data();
        assert_eq!(dropped, json!({ "name": "drop", "album": null }), "what is taken out is let go");

        let album = make(&admin, json!({ "name": "a", "chapters": [{ "name": "one" }, { "name": "two" }] })).await;
        let second = album["chapters"][1]["id"].clone();
        let changed = change(&admin, &album, json!({ "chapters": { "create": [], "update": [], "delete": [second] } })).await;
        assert_eq!(names(&changed, "chapters", &["name"]), ["one"]);
        admin.get(&format!("/items/chapters/{second}")).await.refused(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn what_stands_below_an_item_belongs_to_it() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let other = make(&admin, json!({ "name": "other" })).await;
        let album = make(&admin, json!({ "name": "a", "tracks": [{ "name": "old" }] })).await;
        let old = album["tracks"][0]["id"].clone();
        let (elsewhere, new) = (json!({ "id": other["id"], "name": "renamed" }), json!({ "name": "third" }));
        let tracks = json!({
            "create": [{ "name": "object", "album": elsewhere }, { "name": "key", "album": other["id"] },
                       { "name": "new", "album": new }, { "name": "none", "album": null }],
            "update": [{ "id": old, "name": "kept", "album": elsewhere }],
        });
        let changed = change(&admin, &album, json!({ "tracks": tracks })).await;
        assert_eq!(names(&changed, "tracks", &["name"]), ["kept", "object", "key", "new", "none"]);
        let fields = "name,tracks.name";
        let other = admin.get(&format!("/items/albums/{}?fields={fields}", other["id"])).await.data();
        assert_eq!(other, json!({ "name": "other", "tracks": [] }), "nothing is done to another one");
    })
    .await;
}

#[tokio::test]
async fn replaces_a_list() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let album = make(&admin, json!({ "name": "a", "tracks": [{ "name": "one" }, { "name": "two" }], "chapters": [{ "name": "c" }] })).await;
        let first = album["tracks"][0]["id"].clone();
        let second = album["tracks"][1]["id"].clone();
        let changed = change(&admin, &album, json!({ "tracks": [first, { "name": "three" }] })).await;
        assert_eq!(names(&changed, "tracks", &["name"]), ["one", "three"]);
        let old = admin.get(&format!("/items/tracks/{second}?fields=name,album")).await.data();
        assert_eq!(old, json!({ "name": "two", "album": null }));
        let changed = change(&admin, &album, json!({ "tracks": [{ "id": first, "name": "uno" }] })).await;
        assert_eq!(names(&changed, "tracks", &["name"]), ["uno"]);
        assert_eq!(change(&admin, &album, json!({ "tracks": null })).await["tracks"], json!([]), "null is none");
        let chapter = album["chapters"][0]["id"].clone();
        assert_eq!(change(&admin, &album, json!({ "chapters": [] })).await["chapters"], json!([]));
        admin.get(&format!("/items/chapters/{chapter}")).await.refused(403, "FORBIDDEN");

        let other = make(&admin, json!({ "name": "b", "tracks": [second] })).await;
        assert_eq!(other["tracks"], json!([{ "id": second }]), "an item that is there already is taken in");
    })
    .await;
}

#[tokio::test]
async fn changes_lists_through_junctions() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let genres = json!([{ "genre": { "name": "G1" } }, { "genre": { "name": "G2" } }]);
        let album = make(&admin, json!({ "name": "a", "genres": genres })).await;
        let link = |position: usize| album["genres"][position]["id"].clone();
        let genre = album["genres"][0]["genre"].clone();
        let steps = json!({
            "create": [{ "genre": { "name": "G3" } }, { "genre": genre }],
            "update": [{ "id": link(0), "note": "n", "genre": { "id": genre, "name": "G1b" } }],
            "delete": [link(1)],
        });
        let changed = change(&admin, &album, json!({ "genres": steps })).await;
        assert_eq!(names(&changed, "genres", &["genre", "name"]), ["G1b", "G3", "G1b"]);
        assert_eq!(changed["genres"][0]["note"], "n");
        let changed = change(&admin, &album, json!({ "genres": [link(0)] })).await;
        assert_eq!(names(&changed, "genres", &["genre", "name"]), ["G1b"]);
        let dropped = album["genres"][1]["genre"].clone();
        assert_eq!(
            admin.get(&format!("/items/genres/{dropped}?fields=name")).await.data()["name"],
            "G2",
            "the far side stays"
        );
    })
    .await;
}

#[tokio::test]
async fn changes_lists_of_several_collections() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let text = |content: &str| json!({ "collection": "text_parts", "item": { "content": content } });
        let album = make(&admin, json!({ "name": "a", "parts": [text("one"), text("two")] })).await;
        let part = |position: usize| album["parts"][position]["id"].clone();
        let item: i64 = match &album["parts"][0]["item"] {
            Value::String(key) => key.parse().unwrap(),
            key => key.as_i64().unwrap(),
        };
        let steps = json!({
            "create": [{ "collection": "sound_parts", "item": { "seconds": 7 } }],
            "update": [{ "id": part(0), "collection": "text_parts", "item": { "id": item, "content": "ONE" } }],
            "delete": [part(1)],
        });
        let changed = change(&admin, &album, json!({ "parts": steps })).await;
        let expected = json!([
            { "collection": "text_parts", "item": { "content": "ONE" } },
            { "collection": "sound_parts", "item": { "seconds": 7 } },
        ]);
        assert_eq!(changed["parts"], expected);
        let wrong = json!({ "name": "w", "parts": [{ "collection": "labels", "item": { "name": "x" } }] });
        let answer = admin.post("/items/albums", wrong).await;
        assert!((400..500).contains(&answer.status), "{answer:?}");
    })
    .await;
}

#[tokio::test]
async fn refuses_all_of_it_or_nothing() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let name = format!("refused-{}", uuid::Uuid::now_v7());
        let refused =
            async |body: Value, code: &str| admin.post("/items/albums", body).await.refused(400, code);
        refused(json!({ "name": name, "tracks": "string" }), "INVALID_PAYLOAD").await;
        refused(json!({ "name": name, "tracks": { "foo": 1 } }), "INVALID_PAYLOAD").await;
        refused(json!({ "name": name, "tracks": { "create": 1 } }), "INVALID_PAYLOAD").await;
        let missing = json!({ "name": name, "tracks": [99_999_999] });
        admin.post("/items/albums", missing).await.refused(403, "FORBIDDEN");
        refused(json!({ "name": name, "label": "text" }), "INVALID_PAYLOAD").await;
        let label = json!({ "name": name });
        let late = json!({ "name": name, "label": label, "tracks": [{ "name": "ok" }, { "name": null }] });
        let errors = refused(late, "FAILED_VALIDATION").await;
        let expected =
            json!({ "code": "FAILED_VALIDATION", "field": "name", "type": "nnull", "path": ["tracks", 1] });
        assert_eq!(errors[0]["extensions"], expected, "with the way to what is wrong");
        let filter = json!({ "filter": { "name": { "_eq": name } } });
        assert_eq!(admin.items("albums", filter.clone()).await.data(), json!([]));
        assert_eq!(
            admin.items("labels", filter).await.data(),
            json!([]),
            "what came before the refusal is undone"
        );

        let dropped = admin.post(
            "/items/albums?fields=name,tracks.name",
            json!({ "name": "unknown", "tracks": [{ "name": "ok", "nope": 1 }] }),
        );
        assert_eq!(dropped.await.data(), json!({ "name": "unknown", "tracks": [{ "name": "ok" }] }));
    })
    .await;
}

#[tokio::test]
async fn a_deep_nest_is_refused_by_name() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let mut body = json!({ "name": "bottom" });
        for _ in 0..200 {
            body = json!({ "name": "level", "children": [body] });
        }
        let answer = admin.post("/items/notes", body).await;
        assert!((400..500).contains(&answer.status), "{answer:?}");
        answer.errors();
        let mut body = json!({ "name": "bottom" });
        for _ in 0..5 {
            body = json!({ "name": "level", "children": [body] });
        }
        let made = admin
            .post("/items/notes?fields=children.children.children.children.children.name", body)
            .await
            .data();
        assert_eq!(made.to_string().matches("bottom").count(), 1);
    })
    .await;
}
