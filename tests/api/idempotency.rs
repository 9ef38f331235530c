//! A write that is sent again with its `Idempotency-Key` is done once. (`durability` has the same with a server
//! that is killed.)

use serde_json::{Value, json};

use crate::support::{Answer, Client, blog, each_database};

async fn send(admin: &Client, method: &str, path: &str, key: &str, body: &Value) -> Answer {
    admin.request(method, path).header("Idempotency-Key", key).json(body).send().await
}

fn fresh_key() -> String {
    uuid::Uuid::now_v7().to_string()
}

async fn notes_named(admin: &Client, name: &str) -> usize {
    let query = json!({ "filter": { "name": { "_eq": name } }, "limit": -1, "fields": "id" });
    admin.items("notes", query).await.ids().len()
}

#[tokio::test]
async fn a_second_request_gets_the_first_answer() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let (key, name) = (fresh_key(), format!("once {}", &fresh_key()[9..]));
        let body = json!({ "name": name, "children": [{ "name": "child" }] });
        let first = send(&admin, "POST", "/items/notes", &key, &body).await;
        first.data();
        let second = send(&admin, "POST", "/items/notes", &key, &body).await;
        assert_eq!((second.status, &second.bytes), (200, &first.bytes));
        assert_eq!(notes_named(&admin, &name).await, 1);

        let other = send(&admin, "POST", "/items/notes", &key, &json!({ "name": name, "whole": 2 })).await;
        assert!(matches!(other.status, 409 | 422), "another body under the same key: {other:?}");
        other.errors();
        assert_eq!(notes_named(&admin, &name).await, 1);

        let fresh = send(&admin, "POST", "/items/notes", &fresh_key(), &body).await;
        fresh.data();
        assert_eq!(notes_named(&admin, &name).await, 2, "another key is another write");
    })
    .await;
}

#[tokio::test]
async fn requests_at_the_same_time_write_once() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        for round in 0..10 {
            let (key, name) = (fresh_key(), format!("race {round} {}", &fresh_key()[24..]));
            let body = json!({ "name": name });
            let one = || send(&admin, "POST", "/items/notes", &key, &body);
            let (first, second, third) = tokio::join!(one(), one(), one());
            let answers = [first, second, third];
            let done: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
            assert!(!done.is_empty(), "{answers:?}");
            assert!(done.iter().all(|answer| answer.bytes == done[0].bytes), "{answers:?}");
            assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 409)), "{answers:?}");
            assert_eq!(notes_named(&admin, &name).await, 1);
        }
    })
    .await;
}

#[tokio::test]
async fn updates_and_deletes_too() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let id = admin.create("notes", json!({ "name": "n", "whole": 1 })).await["id"].clone();
        let path = format!("/items/notes/{id}");
        let key = fresh_key();
        let change = json!({ "whole": 2 });
        let first = send(&admin, "PATCH", &path, &key, &change).await;
        first.data();
        admin.patch(&path, json!({ "whole": 3 })).await.data();
        let second = send(&admin, "PATCH", &path, &key, &change).await;
        assert_eq!(second.bytes, first.bytes);
        assert_eq!(admin.get(&path).await.data()["whole"], 3, "the second sending changed nothing");

        let key = fresh_key();
        let delete = || admin.request("DELETE", &path).header("Idempotency-Key", &key).send();
        delete().await.no_content();
        delete().await.no_content();
    })
    .await;
}

#[tokio::test]
async fn a_key_belongs_to_one_path_and_one_person() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let key = fresh_key();
        let name = format!("path {}", &key[24..]);
        send(&admin, "POST", "/items/notes", &key, &json!({ "name": name })).await.data();
        let elsewhere = send(&admin, "POST", "/items/labels", &key, &json!({ "name": name })).await;
        // Refused or done, but never answered with the note.
        if elsewhere.status == 200 {
            assert!(elsewhere.data().get("city").is_some(), "{elsewhere:?}");
        } else {
            assert!(matches!(elsewhere.status, 409 | 422), "{elsewhere:?}");
        }
        let visitor = admin.with_token(None);
        let stolen = send(&visitor, "POST", "/items/notes", &key, &json!({ "name": name })).await;
        assert!(matches!(stolen.status, 401 | 403), "{stolen:?}");
    })
    .await;
}

#[tokio::test]
async fn a_refusal_may_be_tried_again() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let key = fresh_key();
        let handle = format!("again-{key}");
        let taken = admin.create("notes", json!({ "handle": handle })).await["id"].clone();
        let body = json!({ "handle": handle });
        send(&admin, "POST", "/items/notes", &key, &body).await.refused(400, "RECORD_NOT_UNIQUE");
        admin.delete(&format!("/items/notes/{taken}")).await.no_content();
        let again = send(&admin, "POST", "/items/notes", &key, &body).await;
        assert!(matches!(again.status, 200 | 400), "{again:?}");
        let refused = send(&admin, "POST", "/items/notes", &"k".repeat(10_000), &body).await;
        assert!((400..500).contains(&refused.status), "a key of 10,000 characters: {refused:?}");
    })
    .await;
}
