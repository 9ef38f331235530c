//! Flat items of several collections at once.

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::form::Form;
use crate::support::{Answer, Client, Database, Project, each_database};

const MODEL: &[(&str, &str)] = &[
    (
        "authors.yaml",
        "collection: authors\nfields:\n  id: integer_pk\n  name: string!\n  books: o2m(books.author)\n",
    ),
    (
        "books.yaml",
        "collection: books\nfields:\n  id: uuid_pk\n  title: string!\n  author: m2o(authors)\n  sequel_of: m2o(books)\n",
    ),
    ("a.yaml", "collection: a\nfields:\n  id: integer_pk\n  b: m2o(b)\n"),
    ("b.yaml", "collection: b\nfields:\n  id: integer_pk\n  a: m2o(a)\n"),
];

const FIRST: &str = "00000000-0000-4000-8000-000000000001";
const SECOND: &str = "00000000-0000-4000-8000-000000000002";

async fn batch(who: &Client, how: &str, content: &Value) -> Answer {
    let form = Form::new().file("batch.json", "application/json", content.to_string().as_bytes());
    form.send(who, "POST", &format!("/utils/import{how}")).await
}

/// Books before their authors, a sequel before what it follows.
fn library() -> Value {
    json!([
        { "collection": "books", "items": [
            { "id": SECOND, "title": "two", "author": 7, "sequel_of": FIRST },
            { "id": FIRST, "title": "one", "author": 7 },
        ] },
        { "collection": "authors", "items": [{ "id": 7, "name": "Ada" }, { "name": "Bo" }] },
    ])
}

#[tokio::test]
async fn what_belongs_together_stays_together() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, MODEL).await;
        let server = project.server().start().await;
        let admin = server.admin();
        admin.create("authors", json!({ "name": "taken" })).await;

        let tried = batch(&admin, "?dryRun=true", &library()).await.data();
        assert_eq!((&tried["applied"], &tried["mode"]), (&json!(false), &json!("add")));
        assert_eq!(tried["collections"]["authors"]["new"].as_array().map(Vec::len), Some(2));
        assert_eq!(admin.items("books", json!({})).await.data(), json!([]), "nothing is kept of a rehearsal");

        let done = batch(&admin, "", &library()).await.data();
        assert_eq!(done["applied"], true);
        let ada = done["collections"]["authors"]["mapped"]["7"].clone();
        assert!(ada.is_number(), "{done}");
        assert_eq!(
            done["collections"]["books"],
            json!({ "existing": [], "new": [FIRST, SECOND], "deleted": [], "mapped": {} })
        );
        let books = admin.get("/items/books?sort=title&fields=id,title,author.name,sequel_of").await.data();
        assert_eq!(
            books,
            json!([
                { "id": FIRST, "title": "one", "author": { "name": "Ada" }, "sequel_of": null },
                { "id": SECOND, "title": "two", "author": { "name": "Ada" }, "sequel_of": FIRST },
            ])
        );

        // Once more: everything is new again, and belongs to the new.
        let again = batch(&admin, "?mode=add", &library()).await.data();
        let mapped = &again["collections"]["books"]["mapped"];
        let copy = admin.get(&format!("/items/books/{}", mapped[SECOND].as_str().unwrap())).await.data();
        assert_eq!(copy["sequel_of"], mapped[FIRST]);
        assert_eq!(copy["author"], again["collections"]["authors"]["mapped"]["7"]);
        assert_ne!(copy["author"], ada);
        assert_eq!(admin.items("books", json!({})).await.data().as_array().map(Vec::len), Some(4));

        // What is there is changed, what was not sent goes where that is asked for.
        let change = json!([
            { "collection": "books", "items": [
                { "id": FIRST, "title": "uno" },
                { "id": "00000000-0000-4000-8000-000000000003", "title": "three", "sequel_of": FIRST },
            ] },
        ]);
        let merged = batch(&admin, "?mode=merge&dangerouslyAllowDelete=true", &change).await.data();
        let told = &merged["collections"]["books"];
        assert_eq!(told["existing"], json!([FIRST]));
        assert_eq!(told["new"], json!(["00000000-0000-4000-8000-000000000003"]));
        assert_eq!(told["deleted"].as_array().map(Vec::len), Some(3));
        let titles = admin.get("/items/books?sort=id").await.column("title");
        assert_eq!(titles, ["uno", "three"]);
    })
    .await;
}

#[tokio::test]
async fn batches_that_are_refused() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, MODEL).await;
        let server = project.server().start().await;
        let admin = server.admin();
        let one = |collection: &str, item: Value| json!([{ "collection": collection, "items": [item] }]);
        for (how, content, status, code) in [
            ("?mode=replace", library(), 400, "INVALID_QUERY"),
            ("?dryRun=perhaps", library(), 400, "INVALID_QUERY"),
            ("", json!({}), 400, "INVALID_PAYLOAD"),
            ("", json!([{ "collection": "books" }]), 400, "INVALID_PAYLOAD"),
            ("", one("books", json!(1)), 400, "INVALID_PAYLOAD"),
            ("", one("authors", json!({ "name": "x", "books": [FIRST] })), 400, "INVALID_PAYLOAD"),
            ("", one("books", json!({ "title": "x", "author": { "name": "y" } })), 400, "INVALID_PAYLOAD"),
            ("", one("directus_users", json!({ "email": "x@example.com" })), 403, "FORBIDDEN"),
            ("", one("nope", json!({})), 403, "FORBIDDEN"),
            ("", one("authors", json!({ "name": null })), 400, "FAILED_VALIDATION"),
            ("", json!([{ "collection": "a", "items": [] }, { "collection": "b", "items": [] }]), 400, "INVALID_PAYLOAD"),
            ("", json!([{ "collection": "a", "items": [] }, { "collection": "a", "items": [] }]), 400, "INVALID_PAYLOAD"),
            (
                "",
                json!([{ "collection": "books", "items": [
                    { "id": FIRST, "title": "x", "sequel_of": SECOND }, { "id": SECOND, "title": "y", "sequel_of": FIRST },
                ] }]),
                400,
                "INVALID_PAYLOAD",
            ),
        ] {
            batch(&admin, how, &content).await.refused(status, code);
        }
        let broken = Form::new().file("batch.json", "application/json", b"[{").send(&admin, "POST", "/utils/import").await;
        broken.refused(400, "INVALID_PAYLOAD");
        let csv = Form::new().file("batch.csv", "text/csv", b"a\n1\n").send(&admin, "POST", "/utils/import").await;
        csv.refused(400, "INVALID_PAYLOAD");
        admin.post("/utils/import", library()).await.refused(415, "UNSUPPORTED_MEDIA_TYPE");

        // All or nothing: the books are good, an author is not.
        let mut half = library();
        half[1]["items"][1] = json!({ "name": null });
        assert!(batch(&admin, "", &half).await.status >= 400);
        assert_eq!(admin.items("books", json!({})).await.data(), json!([]));
        assert_eq!(admin.items("authors", json!({})).await.data(), json!([]));

        let rights = json!([
            ["books", "read", {}, ["*"]],
            ["books", "create", {}, ["*"], null, { "title": { "_neq": "two" } }],
            ["books", "update", {}, ["*"]],
        ]);
        let some = policy(&admin, "some", rights).await;
        let (_, writer) = user(&admin, "writer", &[&some]).await;
        batch(&writer, "", &library()).await.refused(403, "FORBIDDEN");
        batch(&writer, "", &one("books", json!({ "title": "two" }))).await.refused(400, "FAILED_VALIDATION");
        assert_eq!(batch(&writer, "", &one("books", json!({ "title": "one" }))).await.status, 200);
        let removing = "?mode=merge&dangerouslyAllowDelete=true";
        let answer = batch(&writer, removing, &one("books", json!({ "title": "x" }))).await;
        answer.refused(403, "FORBIDDEN");
        batch(&server.visitor(), "", &library()).await.refused(403, "FORBIDDEN");
    })
    .await;
}
