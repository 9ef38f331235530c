//! Content versions: changes of an item beside it.

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::{Client, Database, Engine, Project, Server, each_database};

const AUTHORS: &str = "collection: authors\nfields:\n  id: integer_pk\n  name: string\n";
const TAGS: &str = "collection: tags\nfields:\n  id: integer_pk\n  name: string\n";
const ARTICLES: &str = "collection: articles\nversioning: true\nfields:\n  id: integer_pk\n  title: string\n  \
    status: { type: string, default: draft }\n  views: { type: integer, min: 0 }\n  secret: string\n  \
    code: { type: string, unique: true }\n  lock: { type: hash }\n  author: { m2o: authors }\n  \
    comments: { o2m: remarks.article }\n  tags: { m2m: tags }\n  changed: updated_at\n  changer: updated_by\n";
const REMARKS: &str =
    "collection: remarks\nfields:\n  id: integer_pk\n  text: string!\n  article: { m2o: articles }\n";
const FRONT: &str =
    "collection: front\nsingleton: true\nversioning: true\nfields:\n  id: integer_pk\n  title: string\n";

struct House {
    _server: Server,
    admin: Client,
    visitor: Client,
    project: Project,
}

impl House {
    async fn new(engine: Engine) -> House {
        let files = [
            ("authors.yaml", AUTHORS),
            ("tags.yaml", TAGS),
            ("articles.yaml", ARTICLES),
            ("remarks.yaml", REMARKS),
            ("front.yaml", FRONT),
        ];
        let project = Project::new(Database::fresh(engine).await, &files).await;
        let server = project.server().start().await;
        let (admin, visitor) = (server.admin(), server.visitor());
        admin
            .post("/items/authors", json!([{ "id": 1, "name": "Ada" }, { "id": 2, "name": "Bob" }]))
            .await
            .data();
        admin.post("/items/tags", json!([{ "id": 1, "name": "x" }, { "id": 2, "name": "y" }])).await.data();
        for id in 1..=3 {
            let article = json!({
                "id": id, "title": format!("Main {id}"), "views": 1, "secret": "hidden", "code": format!("c{id}"), "author": 1,
                "comments": [{ "text": "first" }], "tags": [{ "tags_id": 1 }],
            });
            admin.create("articles", article).await;
        }
        House { _server: server, admin, visitor, project }
    }

    async fn version(&self, item: &str, key: &str) -> String {
        let new = json!({ "key": key, "name": "V", "collection": "articles", "item": item });
        self.admin.post("/versions", new).await.data()["id"].as_str().unwrap().to_owned()
    }

    async fn save(&self, id: &str, change: Value) -> Value {
        self.admin.post(&format!("/versions/{id}/save"), change).await.data()
    }
}

#[tokio::test]
async fn versions_are_made_of_items_that_are_there() {
    each_database(async |engine| {
        let house = House::new(engine).await;
        let admin = &house.admin;
        let post = async |body: Value| admin.post("/versions", body).await;
        let new = |key: &str, collection: &str, item: &str| json!({ "key": key, "collection": collection, "item": item });
        let made = post(new("draft", "articles", "1")).await.data();
        assert_eq!((&made["key"], &made["item"], &made["delta"]), (&json!("draft"), &json!("1"), &Value::Null));
        assert!(made["hash"].as_str().is_some_and(|hash| hash.len() > 20), "{made}");
        let id = made["id"].as_str().unwrap();
        post(new("draft", "articles", "1")).await.refused(422, "UNPROCESSABLE_CONTENT");
        post(new("draft", "articles", "2")).await.data();
        post(new("main", "articles", "1")).await.refused(400, "INVALID_PAYLOAD");
        post(json!({ "collection": "articles", "item": "1" })).await.refused(400, "INVALID_PAYLOAD");
        post(json!({ "key": "x", "item": "1" })).await.refused(400, "INVALID_PAYLOAD");
        for set in ["delta", "hash"] {
            let mut forged = new("forged", "articles", "1");
            forged[set] = json!({ "title": "x" });
            post(forged).await.refused(400, "INVALID_PAYLOAD");
        }
        for (collection, item) in [("articles", "99"), ("articles", "x"), ("nothing", "1")] {
            post(new("b", collection, item)).await.refused(403, "FORBIDDEN");
        }
        post(new("b", "authors", "1")).await.refused(422, "UNPROCESSABLE_CONTENT");
        post(new("b", "directus_users", "1")).await.refused(422, "UNPROCESSABLE_CONTENT");

        let path = format!("/versions/{id}");
        assert_eq!(admin.patch(&path, json!({ "key": "next", "name": "Next" })).await.data()["key"], "next");
        house.version("1", "other").await;
        admin.patch(&path, json!({ "key": "other" })).await.refused(422, "UNPROCESSABLE_CONTENT");
        admin.patch(&path, json!({ "key": "main" })).await.refused(400, "INVALID_PAYLOAD");
        for change in [json!({ "delta": {} }), json!({ "item": "2" }), json!({ "hash": "x" })] {
            admin.patch(&path, change.clone()).await.refused(400, "INVALID_PAYLOAD");
            admin.patch("/versions", json!({ "keys": [id], "data": change })).await.refused(400, "INVALID_PAYLOAD");
        }
        admin.delete(&path).await.no_content();
        admin.get(&path).await.refused(403, "FORBIDDEN");
        for path in ["save", "promote"] {
            let body = json!({ "mainHash": "x" });
            admin.post(&format!("/versions/{id}/{path}"), body).await.refused(403, "FORBIDDEN");
        }
        admin.get(&format!("/versions/{id}/compare")).await.refused(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn an_item_is_read_as_a_version_has_it() {
    each_database(async |engine| {
        let house = House::new(engine).await;
        let (admin, database) = (&house.admin, &house.project.database);
        let id = house.version("1", "draft").await;
        let read = async |query: &str| admin.get(&format!("/items/articles/1?version=draft&{query}")).await;
        assert_eq!(read("fields=title").await.data(), json!({ "title": "Main 1" }), "nothing is saved yet");
        house.save(&id, json!({ "title": "Draft" })).await;
        let saved = house.save(&id, json!({ "views": 77, "author": 2 })).await;
        assert_eq!((&saved["title"], &saved["views"], &saved["author"]), (&json!("Draft"), &json!(77), &json!(2)));
        let seen = read("fields=title,views,author.name,year(changed)&alias[name]=title").await.data();
        assert_eq!((&seen["title"], &seen["views"], &seen["author"]["name"]), (&json!("Draft"), &json!(77), &json!("Bob")));
        assert!(seen["changed_year"].is_string() || seen["changed_year"].is_number(), "{seen}");
        assert_eq!(read("fields=name&alias[name]=title").await.data(), json!({ "name": "Draft" }));

        // Relations in every form, new items too, none of which is kept.
        let comment = admin.get("/items/articles/1?fields=comments").await.data()["comments"][0].clone();
        house
            .save(&id, json!({
                "comments": { "create": [{ "text": "second" }], "update": [{ "id": comment, "text": "edited" }], "delete": [] },
                "tags": { "create": [{ "tags_id": { "name": "new tag" } }], "update": [], "delete": [] },
                "author": { "name": "Made up" },
            }))
            .await;
        let seen = read("fields=comments.text,tags.tags_id.name,author.name&deep[comments][_sort]=text").await.data();
        assert_eq!(seen["comments"], json!([{ "text": "edited" }, { "text": "second" }]));
        assert_eq!(seen["author"], json!({ "name": "Made up" }));
        let tags: Vec<_> = seen["tags"].as_array().unwrap().iter().map(|tag| tag["tags_id"]["name"].clone()).collect();
        assert_eq!(tags, ["x", "new tag"]);
        for (table, count) in [("remarks", 3), ("authors", 2), ("tags", 2)] {
            assert_eq!(database.count(table, "1 = 1").await, count, "{table} is as it was");
        }
        let main = admin.get("/items/articles/1?fields=title,author.name,comments.text").await.data();
        let expected = json!({ "title": "Main 1", "author": { "name": "Ada" }, "comments": [{ "text": "first" }] });
        assert_eq!(main, expected);
        assert_eq!(read("version=main&fields=title").await.status, 400, "one version");
        assert_eq!(admin.get("/items/articles/1?version=main&fields=title").await.data()["title"], "Main 1");

        let raw = read("versionRaw=true&fields=title,author,comments,secret").await.data();
        assert_eq!(raw["author"], json!({ "name": "Made up" }));
        assert_eq!(raw["comments"]["create"], json!([{ "text": "second" }]));
        assert_eq!((&raw["title"], &raw["secret"]), (&json!("Draft"), &json!("hidden")));

        admin.get("/items/articles/1?version=nope&fields=title").await.refused(403, "FORBIDDEN");
        admin.get("/items/articles/2?version=draft&fields=title").await.refused(403, "FORBIDDEN");
        admin.get("/items/articles?version=draft").await.refused(400, "INVALID_QUERY");
        admin.patch("/items/articles/1?version=draft", json!({ "title": "x" })).await.refused(400, "INVALID_QUERY");
        assert_eq!(admin.get("/items/articles/1?fields=title").await.data()["title"], "Main 1");
    })
    .await;
}

#[tokio::test]
async fn a_singleton_has_versions() {
    each_database(async |engine| {
        let house = House::new(engine).await;
        let admin = &house.admin;
        let front = admin.patch("/items/front", json!({ "title": "Main" })).await.data()["id"].clone();
        let new = json!({ "key": "spring", "collection": "front", "item": front.to_string() });
        let id = admin.post("/versions", new).await.data()["id"].as_str().unwrap().to_owned();
        house.save(&id, json!({ "title": "Spring" })).await;
        assert_eq!(
            admin.get("/items/front?version=spring&fields=title").await.data(),
            json!({ "title": "Spring" })
        );
        assert_eq!(admin.get("/items/front?fields=title").await.data(), json!({ "title": "Main" }));
        admin.get("/items/front?version=autumn").await.refused(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn what_is_saved_would_be_taken() {
    each_database(async |engine| {
        let house = House::new(engine).await;
        let (admin, database) = (&house.admin, &house.project.database);
        let id = house.version("1", "draft").await;
        let before = database.count("directus_activity", "action <> 'version_save'").await;
        let save = async |body: Value| admin.post(&format!("/versions/{id}/save"), body).await;
        save(json!({ "views": "many" })).await.refused(400, "INVALID_PAYLOAD");
        save(json!({ "views": -1 })).await.refused(400, "FAILED_VALIDATION");
        save(json!({ "code": "c2" })).await.refused(400, "RECORD_NOT_UNIQUE");
        save(json!({ "author": 99 })).await.refused(400, "INVALID_FOREIGN_KEY");
        save(json!({ "comments": { "create": [{ "text": null }] } })).await.refused_with(400);
        save(json!([1])).await.refused(400, "INVALID_PAYLOAD");
        let compared = admin.get(&format!("/versions/{id}/compare")).await.data();
        assert_eq!(compared["current"], json!({ "id": 1 }), "nothing of that is kept");

        let saved = save(json!({ "lock": "open sesame", "title": "T", "id": 2, "unknown": 1 })).await.data();
        assert_eq!(
            (&saved["lock"], saved.get("id"), saved.get("unknown")),
            (&json!("**********"), None, None)
        );
        for (table, column) in [("directus_versions", "delta"), ("directus_revisions", "data")] {
            let rows = database.rows(&format!("SELECT {column} FROM {table}")).await.concat();
            assert!(rows.iter().all(|text| !text.contains("sesame")), "{table}: {rows:?}");
        }
        let query = json!({ "filter": { "version": { "_eq": id } }, "fields": "data,activity.action" });
        let noted = admin.read("/revisions", query).await.data();
        assert_eq!(
            (&noted[0]["activity"]["action"], &noted[0]["data"]["title"]),
            (&json!("version_save"), &json!("T"))
        );
        assert_eq!(database.count("directus_activity", "action <> 'version_save'").await, before);
        // Saved at the same time, both are kept.
        let (one, other) = tokio::join!(save(json!({ "title": "A" })), save(json!({ "views": 9 })));
        assert_eq!((one.status, other.status), (200, 200));
        let current = admin.get(&format!("/versions/{id}/compare")).await.data()["current"].clone();
        assert_eq!((&current["title"], &current["views"]), (&json!("A"), &json!(9)));
    })
    .await;
}

#[tokio::test]
async fn a_version_is_compared_and_promoted() {
    each_database(async |engine| {
        let house = House::new(engine).await;
        let admin = &house.admin;
        let id = house.version("1", "draft").await;
        let path = |what: &str| format!("/versions/{id}/{what}");
        let promote = async |body: Value| admin.post(&path("promote"), body).await;
        let compare = async || admin.get(&path("compare")).await.data();
        promote(json!({})).await.refused(400, "INVALID_PAYLOAD");
        let hash = compare().await["mainHash"].clone();
        promote(json!({ "mainHash": hash })).await.refused(422, "UNPROCESSABLE_CONTENT");
        house
            .save(&id, json!({ "title": "Draft", "views": 5, "comments": { "create": [{ "text": "new" }] } }))
            .await;
        let compared = compare().await;
        assert_eq!((&compared["outdated"], &compared["main"]["title"]), (&json!(false), &json!("Main 1")));
        assert_eq!((&compared["current"]["title"], &compared["current"]["id"]), (&json!("Draft"), &json!(1)));
        assert!(
            compared["current"]["changed"].is_string() && compared["current"]["changer"].is_string(),
            "{compared}"
        );

        admin.patch("/items/articles/1", json!({ "views": 2 })).await.data();
        assert_eq!(compare().await["outdated"], true);
        promote(json!({ "mainHash": compared["mainHash"] })).await.refused(422, "UNPROCESSABLE_CONTENT");
        promote(json!({ "mainHash": "bad" })).await.refused(422, "UNPROCESSABLE_CONTENT");
        let hash = compare().await["mainHash"].clone();
        promote(json!({ "mainHash": hash, "fields": "title" })).await.refused(400, "INVALID_PAYLOAD");
        assert_eq!(promote(json!({ "mainHash": hash, "fields": ["title"] })).await.data(), json!(1));
        let now = admin.get("/items/articles/1?fields=title,views,comments.text").await.data();
        assert_eq!(now, json!({ "title": "Draft", "views": 2, "comments": [{ "text": "first" }] }));
        let hash = compare().await["mainHash"].clone();
        // Of two at the same time one finds the item changed.
        let both = futures::future::join_all((0..2).map(|_| promote(json!({ "mainHash": hash })))).await;
        let mut statuses: Vec<u16> = both.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 422], "{both:?}");
        let now =
            admin.get("/items/articles/1?fields=views,comments.text&deep[comments][_sort]=id").await.data();
        assert_eq!(now, json!({ "views": 5, "comments": [{ "text": "first" }, { "text": "new" }] }));
    })
    .await;
}

#[tokio::test]
async fn a_version_gives_no_more_than_the_item() {
    each_database(async |engine| {
        let house = House::new(engine).await;
        let admin = &house.admin;
        let all = json!([
            ["directus_versions", "read", {}, ["*"]],
            ["directus_versions", "create", {}, ["key", "name", "collection", "item"]],
            ["directus_versions", "update", {}, ["*"]],
            ["directus_versions", "delete", {}, ["*"]],
        ]);
        let versions = policy(admin, "versions", all).await;
        // Reads what is published, and the secret of what many look at.
        let reading = json!([
            ["articles", "read", { "status": { "_eq": "published" } }, ["id", "title", "author", "views", "status"]],
            ["articles", "read", { "_and": [{ "status": { "_eq": "published" } }, { "views": { "_gt": 50 } }] }, ["secret"]],
        ]);
        let reading = policy(admin, "reading", reading).await;
        let (_, reader) = user(admin, "reader", &[&versions, &reading]).await;
        let writing = json!([
            ["articles", "read", {}, ["id", "title", "status"]],
            ["articles", "update", { "status": { "_eq": "draft" } }, ["title"], null, { "title": { "_neq": "bad" } }],
        ]);
        let writing = policy(admin, "writing", writing).await;
        let (_, writer) = user(admin, "writer", &[&versions, &writing]).await;
        let (_, nobody) = user(admin, "nobody", &[]).await;
        admin.patch("/items/articles/2", json!({ "status": "published" })).await.data();
        let draft = house.version("1", "v").await;
        let published = house.version("2", "v").await;
        // What the versions change would open them, if that counted.
        let change = json!({ "status": "published", "views": 90, "title": "New", "author": { "name": "Secret author" } });
        for id in [&draft, &published] {
            house.save(id, change.clone()).await;
        }

        let ids = reader.get("/versions?fields=id,delta").await.data();
        assert_eq!(ids, json!([{ "id": published, "delta": null }]), "those of items out of sight are, too");
        reader.get(&format!("/versions/{draft}")).await.refused(403, "FORBIDDEN");
        reader.get(&format!("/versions/{draft}/compare")).await.refused(403, "FORBIDDEN");
        reader.get("/items/articles/1?version=v&fields=title").await.refused(403, "FORBIDDEN");
        let seen = reader.get("/items/articles/2?version=v").await.data();
        assert_eq!((&seen["title"], &seen["views"]), (&json!("New"), &json!(90)));
        assert_eq!(seen.get("secret"), None, "{seen}");
        reader.get("/items/articles/2?version=v&fields=secret").await.refused(403, "FORBIDDEN");
        let nested = reader.get("/items/articles/2?version=v&fields=title,author.name").await;
        assert!(!nested.text().contains("Secret author"), "{nested:?}");
        let raw = reader.get("/items/articles/2?version=v&versionRaw=true").await;
        assert!(!raw.text().contains("Secret author") && !raw.text().contains("hidden"), "{raw:?}");
        let compared = reader.get(&format!("/versions/{published}/compare")).await;
        assert_eq!(compared.data()["current"]["title"], "New");
        assert!(!compared.text().contains("Secret author") && !compared.text().contains("hidden"), "{compared:?}");
        let hash = compared.data()["mainHash"].clone();
        let save = async |client: &Client, id: &str, body: Value| client.post(&format!("/versions/{id}/save"), body).await;
        let promote = async |client: &Client, id: &str| {
            let hash = admin.get(&format!("/versions/{id}/compare")).await.data()["mainHash"].clone();
            client.post(&format!("/versions/{id}/promote"), json!({ "mainHash": hash })).await
        };
        save(&reader, &published, json!({ "title": "x" })).await.refused(403, "FORBIDDEN");
        promote(&reader, &published).await.refused(403, "FORBIDDEN");
        assert!(hash.is_string());

        // Whoever may change the title of drafts saves and promotes that, and nothing else.
        let own = json!({ "key": "mine", "collection": "articles", "item": "1" });
        let own = writer.post("/versions?fields=id", own).await.data()["id"].as_str().unwrap().to_owned();
        save(&writer, &own, json!({ "views": 1 })).await.refused(403, "FORBIDDEN");
        save(&writer, &own, json!({ "title": "bad" })).await.refused(400, "FAILED_VALIDATION");
        save(&writer, &published, json!({ "title": "x" })).await.refused(403, "FORBIDDEN");
        let saved = save(&writer, &own, json!({ "title": "Mine" })).await.data();
        assert_eq!(saved, json!({ "title": "Mine" }));
        promote(&writer, &draft).await.refused(403, "FORBIDDEN");
        assert_eq!(admin.get("/items/articles/1?fields=title").await.data()["title"], "Main 1");
        assert_eq!(promote(&writer, &own).await.data(), json!(1));
        assert_eq!(admin.get("/items/articles/1?fields=title").await.data()["title"], "Mine");
        for body in [
            json!({ "key": "x", "collection": "articles", "item": "1", "hash": "x" }),
            json!({ "key": "x", "collection": "articles", "item": "1", "delta": { "views": 9 } }),
        ] {
            writer.post("/versions", body).await.refused(400, "INVALID_PAYLOAD");
        }
        reader.post("/versions", json!({ "key": "r", "collection": "articles", "item": "1" })).await.refused(403, "FORBIDDEN");

        for client in [&nobody, &house.visitor] {
            client.get("/versions").await.refused(403, "FORBIDDEN");
            client.get(&format!("/versions/{published}/compare")).await.refused(403, "FORBIDDEN");
            save(client, &published, json!({ "title": "x" })).await.refused(403, "FORBIDDEN");
            promote(client, &published).await.refused(403, "FORBIDDEN");
            client.get("/items/articles/2?version=v").await.refused(403, "FORBIDDEN");
        }
    })
    .await;
}
