//! Files of tenants: who belongs to one sees nothing of what belongs to another, on whatever way.

use image::ImageFormat;
use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::form::{Form, picture, upload};
use crate::support::{Client, Database, Engine, Project, Server, each_database};
use crate::tus;

const FILES: [(&str, &str); 5] = [
    (
        "firms.yaml",
        "collection: firms\nmembers: { people: { user: { _eq: $CURRENT_USER } } }\n\
         fields:\n  id: uuid_pk\n  name: string!\n  people: { o2m: people.firm }\n",
    ),
    (
        "people.yaml",
        "collection: people\ntenant: firm\nfields:\n  id: uuid_pk\n  firm: { m2o: firms, required: true, on_delete: cascade }\n\
         \x20 user: m2o(directus_users)\n  photo: image\n",
    ),
    ("directus_files.yaml", "collection: directus_files\ntenant: firm\nfields:\n  firm: m2o(firms)\n"),
    ("directus_folders.yaml", "collection: directus_folders\ntenant: firm\nfields:\n  firm: m2o(firms)\n"),
    ("notes.yaml", "collection: notes\nfields:\n  id: uuid_pk\n  file: file\n"),
];

struct World {
    server: Server,
    _project: Project,
    admin: Client,
    ann: Client,
    bob: Client,
}

async fn world(engine: Engine) -> World {
    let project = Project::new(Database::fresh(engine).await, &FILES).await;
    let server = project.server().set("TUS_ENABLED", "true").start().await;
    let admin = server.admin();
    let mut rights = Vec::new();
    for collection in ["firms", "people", "notes", "directus_files", "directus_folders"] {
        for action in ["read", "create", "update", "delete"] {
            rights.push(json!([collection, action, {}, ["*"]]));
        }
    }
    let everything = policy(&admin, "everything", json!(rights)).await;
    let mut clients = Vec::new();
    for name in ["ann", "bob"] {
        let (key, client) = user(&admin, name, &[&everything]).await;
        let firm = admin.create("firms", json!({ "name": format!("firm of {name}") })).await;
        admin.create("people", json!({ "firm": firm["id"], "user": key })).await;
        clients.push(client);
    }
    let bob = clients.pop().unwrap();
    let ann = clients.pop().unwrap();
    World { server, _project: project, admin, ann, bob }
}

fn id(item: &Value) -> &str {
    item["id"].as_str().expect("a key")
}

#[tokio::test]
async fn files_belong_to_the_firm_of_who_uploads() {
    each_database(async |engine| {
        let World { server, _project, admin, ann, bob } = world(engine).await;
        let png = picture(16, 12, ImageFormat::Png);
        let folder = bob.post("/folders", json!({ "name": "secret folder" })).await.data();
        let form = Form::new().field("folder", id(&folder)).file("secret.png", "image/png", &png);
        let theirs = form.send(&bob, "POST", "/files").await.data();
        assert!(theirs["firm"].is_string() && folder["firm"] == theirs["firm"], "{theirs}");
        let mine = upload(&ann, "mine.png", "image/png", &png).await;
        assert_ne!(mine["firm"], theirs["firm"]);

        // Rows, counts, relations, filters, searches.
        let all = ann.get("/files?fields=*.*&meta=*").await;
        assert_eq!(all.json()["meta"]["total_count"].to_string().trim_matches('"'), "1");
        for path in [
            "/files?fields=*.*",
            "/folders?fields=*",
            "/files?search=secret",
            "/files?filter={\"title\":{\"_contains\":\"ecret\"}}",
            "/files?filter={\"folder\":{\"name\":{\"_contains\":\"secret\"}}}",
            "/files?aggregate[count]=*&groupBy=title",
            "/items/people?fields=photo.*",
            "/items/firms?fields=*.*",
        ] {
            let answer = ann.get(path).await;
            assert!(
                answer.status == 200 && !answer.text().to_lowercase().contains("secret"),
                "{path}: {answer:?}"
            );
            assert!(!answer.text().contains(id(&theirs)), "{path}: {answer:?}");
        }

        // Content, images of it, also once they are made, and what is said where there is nothing.
        let (there, nowhere) = (id(&theirs).to_owned(), "c0ffee00-0000-4000-8000-00000000dead");
        assert_eq!(bob.get(&format!("/assets/{there}?width=8")).await.status, 200);
        for tail in ["", "?width=8", "?key=system-small-cover", "/secret.png", "?download"] {
            let answer = ann.get(&format!("/assets/{there}{tail}")).await;
            let other = ann.get(&format!("/assets/{nowhere}{tail}")).await;
            answer.refused(403, "FORBIDDEN");
            assert_eq!(answer.bytes, other.bytes, "{tail}");
            assert_eq!(answer.header("etag"), None);
        }
        for (method, body) in [("PATCH", json!({ "title": "x" })), ("DELETE", Value::Null)] {
            let request = |key: &str| ann.request(method, &format!("/files/{key}")).json(&body).send();
            let (answer, other) = (request(&there).await, request(nowhere).await);
            answer.refused(403, "FORBIDDEN");
            assert_eq!(answer.bytes, other.bytes);
        }
        let replace = |key: &str| {
            let path = format!("/files/{key}");
            let ann = ann.clone();
            async move { Form::new().file("x.txt", "text/plain", b"x").send(&ann, "PATCH", &path).await }
        };
        let (answer, other) = (replace(&there).await, replace(nowhere).await);
        answer.refused(403, "FORBIDDEN");
        assert_eq!(answer.bytes, other.bytes);

        // Nothing of mine refers to theirs, and nothing moves there.
        for body in [json!({ "folder": id(&folder) }), json!({ "firm": theirs["firm"] })] {
            let answer = ann.patch(&format!("/files/{}", id(&mine)), body.clone()).await;
            assert!(matches!(answer.status, 400 | 403), "{body}: {answer:?}");
        }
        let form = Form::new().field("folder", id(&folder)).file("x.txt", "text/plain", b"x");
        form.send(&ann, "POST", "/files").await.refused(400, "INVALID_FOREIGN_KEY");
        let form =
            Form::new().field("firm", theirs["firm"].as_str().unwrap()).file("x.txt", "text/plain", b"x");
        assert!(matches!(form.send(&ann, "POST", "/files").await.status, 400 | 403));
        ann.post("/items/notes", json!({ "file": there })).await.refused(400, "INVALID_FOREIGN_KEY");

        // An upload in pieces ends where any other does.
        let place = tus::place(&tus::begin(&ann, 5, &[("filename", "p.txt")]).await);
        tus::send(&bob, &place, 0, b"hello").await.refused(403, "FORBIDDEN");
        let last = tus::send(&ann, &place, 0, b"hello").await;
        let own = ann.get(&format!("/files/{}", last.header("directus-file-id").unwrap())).await.data();
        assert_eq!(own["firm"], mine["firm"]);
        tus::begin(&ann, 5, &[("id", &there)]).await;
        assert_eq!(bob.get(&format!("/assets/{there}")).await.bytes, png);

        // Administrators see everything; what they upload belongs to nobody until they say so.
        assert_eq!(admin.get("/files?fields=id").await.data().as_array().map(Vec::len), Some(3));
        let nobodys = upload(&admin, "a.txt", "text/plain", b"a").await;
        assert_eq!(nobodys["firm"], Value::Null);
        ann.get(&format!("/assets/{}", id(&nobodys))).await.refused(403, "FORBIDDEN");
        server.visitor().get(&format!("/assets/{there}")).await.refused(403, "FORBIDDEN");
    })
    .await;
}
