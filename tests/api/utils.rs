//! Small services: random texts, hashes, going back to a revision, moving items once, empty caches.

use serde_json::json;

use crate::support::access::{policy, user};
use crate::support::{blog, each_database};

#[tokio::test]
async fn random_texts_and_hashes() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let visitor = blog::shared_visitor(engine).await;
        let random = async |path: &str| visitor.get(path).await.data().as_str().unwrap().to_owned();
        let one = random("/utils/random/string").await;
        assert_eq!(one.len(), 32);
        assert_ne!(one, random("/utils/random/string").await);
        assert_eq!(random("/utils/random/string?length=12").await.len(), 12);
        for wrong in ["0", "501", "-1", "x", ""] {
            visitor.get(&format!("/utils/random/string?length={wrong}")).await.refused(400, "INVALID_QUERY");
        }
        let hash = admin.post("/utils/hash/generate", json!({ "string": "abc" })).await.data();
        assert!(hash.as_str().unwrap().starts_with("$argon2id$"), "{hash}");
        let of_hash = admin.post("/utils/hash/generate", json!({ "string": hash })).await.data();
        assert_ne!(of_hash, hash, "a hash is a text like any other");
        for (string, hash, expected) in
            [("abc", &hash, true), ("abd", &hash, false), ("abc", &json!("nonsense"), false)]
        {
            let body = json!({ "string": string, "hash": hash });
            assert_eq!(admin.post("/utils/hash/verify", body).await.data(), json!(expected), "{string}");
        }
        let greedy = hash.as_str().unwrap().replace("m=19456", "m=4194304");
        let body = json!({ "string": "abc", "hash": greedy });
        assert_eq!(admin.post("/utils/hash/verify", body).await.data(), false);
        for body in [json!({}), json!({ "string": "" }), json!({ "string": 1 })] {
            admin.post("/utils/hash/generate", body.clone()).await.refused(400, "INVALID_PAYLOAD");
            admin.post("/utils/hash/verify", body).await.refused(400, "INVALID_PAYLOAD");
        }
        visitor.post("/utils/hash/generate", json!({ "string": "abc" })).await.refused(403, "FORBIDDEN");
        visitor
            .post("/utils/hash/verify", json!({ "string": "a", "hash": "b" }))
            .await
            .refused(403, "FORBIDDEN");
        assert_eq!(admin.request("POST", "/utils/cache/clear").send().await.status, 200);
        visitor.request("POST", "/utils/cache/clear").send().await.refused(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn an_item_goes_back_to_a_revision() {
    each_database(async |engine| {
        let (server, database) = blog::own(engine).await;
        let admin = server.admin();
        let note = admin.create("notes", json!({ "name": "first", "whole": 1 })).await["id"].clone();
        let path = format!("/items/notes/{note}");
        admin.patch(&path, json!({ "name": "second", "whole": null })).await.data();
        admin.patch(&path, json!({ "whole": 3 })).await.data();
        let revisions = async || {
            let query = json!({ "filter": { "collection": "notes", "item": note.to_string() }, "fields": "id", "sort": "id" });
            admin.read("/revisions", query).await.column("id")
        };
        let kept = revisions().await;
        let revert = async |id: &serde_json::Value| admin.request("POST", &format!("/utils/revert/{id}")).send().await;
        revert(&kept[1]).await.no_content();
        let now = admin.get(&format!("{path}?fields=name,whole")).await.data();
        assert_eq!(now, json!({ "name": "second", "whole": null }));
        revert(&kept[0]).await.no_content();
        assert_eq!(admin.get(&format!("{path}?fields=name,whole")).await.data(), json!({ "name": "first", "whole": 1 }));
        assert_eq!(revisions().await.len(), 5, "going back is a change like any other");
        for unknown in ["99999999", "x", "0"] {
            revert(&json!(unknown.trim_matches('"'))).await.refused(403, "FORBIDDEN");
        }

        // What is masked there stays what it is.
        let id = admin.create("values", json!({ "lock": "sesame", "secret": "one" })).await["id"].clone();
        let value = format!("/items/values/{id}");
        admin.patch(&value, json!({ "secret": "two" })).await.data();
        let query = json!({ "filter": { "collection": "values", "item": id.to_string() }, "fields": "id", "sort": "-id" });
        let last = admin.read("/revisions", query).await.column("id")[0].clone();
        revert(&last).await.no_content();
        let secret = database.rows(&format!("SELECT secret FROM {} WHERE id = {id}", engine.quote("values"))).await;
        assert_eq!(secret[0][0], "two");

        // Rights are those of the change itself.
        let rights = json!([
            ["notes", "read", {}, ["*"]],
            ["notes", "update", {}, ["name"]],
            ["directus_revisions", "read", {}, ["*"]],
        ]);
        let writing = policy(&admin, "writing names", rights).await;
        let (_, ada) = user(&admin, "ada", &[&writing]).await;
        admin.patch(&path, json!({ "name": "named", "whole": 7 })).await.data();
        let back = async |id: &serde_json::Value| ada.request("POST", &format!("/utils/revert/{id}")).send().await;
        back(&kept[0]).await.refused(403, "FORBIDDEN");
        admin.patch(&path, json!({ "whole": 1 })).await.data();
        back(&kept[0]).await.no_content();
        assert_eq!(admin.get(&format!("{path}?fields=name")).await.data()["name"], "first");
        server.visitor().request("POST", "/utils/revert/1").send().await.refused(403, "FORBIDDEN");
        admin.delete(&path).await.no_content();
        revert(&kept[0]).await.refused(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn an_item_is_moved_once_under_a_key() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let album = admin.create("albums", json!({ "name": "a" })).await["id"].clone();
        let tracks: Vec<_> =
            (1..=4).map(|n| json!({ "name": format!("t{n}"), "album": album, "position": n })).collect();
        let keys = admin.post("/items/tracks", json!(tracks)).await.column("id");
        let order = async || admin.get("/items/tracks?sort=position&fields=name").await.column("name");
        let send = |key: &str, from: usize, to: usize| {
            let request = admin.request("POST", "/utils/sort/tracks").header("idempotency-key", key);
            request.json(&json!({ "item": keys[from], "to": keys[to] })).send()
        };
        assert_eq!(send("one", 3, 0).await.status, 200);
        assert_eq!(order().await, ["t4", "t1", "t2", "t3"]);
        assert_eq!(send("two", 0, 3).await.status, 200);
        assert_eq!(order().await, ["t1", "t4", "t2", "t3"]);
        // Sent again, it changes nothing more.
        assert_eq!(send("one", 3, 0).await.status, 200);
        assert_eq!(order().await, ["t1", "t4", "t2", "t3"]);
        send("one", 1, 0).await.refused(422, "UNPROCESSABLE_CONTENT");
    })
    .await;
}
