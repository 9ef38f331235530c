//! `If-Match`: who writes what somebody else has changed meanwhile is told so.

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::{Answer, Client, blog, each_database};

async fn send(client: &Client, method: &str, path: &str, tag: &str, body: &Value) -> Answer {
    let request = client.request(method, path).header("If-Match", tag);
    if method == "DELETE" { request.send().await } else { request.json(body).send().await }
}

fn tag(answer: &Answer) -> String {
    let tag = answer.header("etag").unwrap_or_else(|| panic!("no tag: {answer:?}"));
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 20, "a strong tag: {tag}");
    tag.to_owned()
}

#[tokio::test]
async fn an_item_is_written_while_it_is_as_known() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let id = admin.create("notes", json!({ "name": "n", "whole": 1 })).await["id"].clone();
        let path = format!("/items/notes/{id}");
        let first = tag(&admin.get(&path).await);
        assert_eq!(tag(&admin.get(&path).await), first, "the same item has the same tag");

        let changed = send(&admin, "PATCH", &path, &first, &json!({ "whole": 2 })).await;
        assert_eq!(changed.data()["whole"], 2);
        let second = tag(&changed);
        assert_eq!(tag(&admin.get(&path).await), second, "the answer of a change carries the next tag");
        assert_ne!(first, second);

        let late = send(&admin, "PATCH", &path, &first, &json!({ "whole": 3 })).await;
        late.refused(412, "PRECONDITION_FAILED");
        send(&admin, "DELETE", &path, &first, &Value::Null).await.refused(412, "PRECONDITION_FAILED");
        for wrong in [format!("W/{second}"), "\"\"".to_owned(), "nonsense".to_owned()] {
            send(&admin, "PATCH", &path, &wrong, &json!({ "whole": 3 }))
                .await
                .refused(412, "PRECONDITION_FAILED");
        }
        assert_eq!(admin.get(&path).await.data()["whole"], 2);

        send(&admin, "PATCH", &path, "*", &json!({ "whole": 4 })).await.data();
        let third = tag(&admin.get(&path).await);
        let listed = format!("{first}, {third}");
        send(&admin, "DELETE", &path, &listed, &Value::Null).await.no_content();
        send(&admin, "PATCH", &path, "*", &json!({ "whole": 5 })).await.refused(412, "PRECONDITION_FAILED");
    })
    .await;
}

#[tokio::test]
async fn a_tag_is_of_what_was_asked_for() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let id = admin.create("notes", json!({ "name": "n", "whole": 1 })).await["id"].clone();
        let names = format!("/items/notes/{id}?fields=name");
        let known = tag(&admin.get(&names).await);
        admin.patch(&format!("/items/notes/{id}"), json!({ "whole": 2 })).await.data();
        // Nothing that this caller looked at has changed.
        send(&admin, "PATCH", &names, &known, &json!({ "name": "m" })).await.data();
        send(&admin, "PATCH", &names, &known, &json!({ "name": "o" }))
            .await
            .refused(412, "PRECONDITION_FAILED");
    })
    .await;
}

#[tokio::test]
async fn of_many_writers_with_one_tag_one_is_first() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let id = admin.create("notes", json!({ "name": "n", "whole": 0 })).await["id"].clone();
        let path = format!("/items/notes/{id}");
        for round in 1..=5 {
            let known = tag(&admin.get(&path).await);
            let one = |n: i64| {
                let (admin, path, known) = (admin.clone(), path.clone(), known.clone());
                async move {
                    send(&admin, "PATCH", &path, &known, &json!({ "whole": round * 100 + n })).await.status
                }
            };
            let statuses = futures::future::join_all((0..20).map(one)).await;
            assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
            assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 19, "{statuses:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn lists_have_no_tag_and_hidden_items_look_like_none() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let id = admin.create("notes", json!({ "name": "hidden", "whole": 1 })).await["id"].clone();
        for (method, body) in [
            ("POST", json!({ "name": "n" })),
            ("PATCH", json!([{ "id": id, "whole": 9 }])),
            ("PATCH", json!({ "keys": [id], "data": { "whole": 9 } })),
        ] {
            send(&admin, method, "/items/notes", "\"x\"", &body).await.refused(412, "PRECONDITION_FAILED");
        }
        assert!(admin.get("/items/notes").await.header("etag").is_none());
        assert_eq!(admin.get(&format!("/items/notes/{id}")).await.data()["whole"], 1);

        let rights = json!([["notes", "read", { "name": { "_neq": "hidden" } }, ["id", "whole"]], ["notes", "update", {}, ["whole"]]]);
        let rights = policy(&admin, "writer", rights).await;
        let (_, writer) = user(&admin, "writer", &[&rights]).await;
        for path in [format!("/items/notes/{id}"), "/items/notes/999999".to_owned()] {
            send(&writer, "PATCH", &path, "*", &json!({ "whole": 2 })).await.refused(412, "PRECONDITION_FAILED");
        }
        // Users and other items of the system have tags, too.
        let me = admin.get("/users?limit=1").await.data()[0]["id"].as_str().unwrap().to_owned();
        let path = format!("/users/{me}");
        let known = tag(&admin.get(&path).await);
        let changed = send(&admin, "PATCH", &path, &known, &json!({ "title": "Dr." })).await;
        assert_eq!(changed.data()["title"], "Dr.");
        send(&admin, "PATCH", &path, &known, &json!({ "title": "No." })).await.refused(412, "PRECONDITION_FAILED");
    })
    .await;
}

#[tokio::test]
async fn singletons_have_tags() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let path = "/items/preferences";
        admin.patch(path, json!({ "site_name": "one" })).await.data();
        let known = tag(&admin.get(path).await);
        send(&admin, "PATCH", path, &known, &json!({ "site_name": "two" })).await.data();
        send(&admin, "PATCH", path, &known, &json!({ "site_name": "three" }))
            .await
            .refused(412, "PRECONDITION_FAILED");
        assert_eq!(admin.get(path).await.data()["site_name"], "two");
    })
    .await;
}
