//! The model changed over the API: collections, fields and relations, and the files that follow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::form::Form;
use crate::support::random::Random;
use crate::support::{Client, Database, Engine, Project, each_database};

const BOOKS: &str = "collection: books
# Somebody wrote this by hand.
note: What we lend
fields:
  id: integer_pk
  title: string(80)!          # as it is printed
  pages: { type: integer, min: 1, default: 10 } # never none
  isbn: { type: string(20), unique: true }
";

fn key() -> Value {
    json!({
        "field": "id", "type": "integer", "meta": { "hidden": true },
        "schema": { "is_primary_key": true, "has_auto_increment": true },
    })
}

async fn make(admin: &Client, name: &str, fields: Value) -> Value {
    let mut all = vec![key()];
    all.extend(fields.as_array().unwrap().iter().cloned());
    let payload = json!({ "collection": name, "meta": {}, "schema": {}, "fields": all });
    admin.post("/collections", payload).await.data()
}

async fn relate(admin: &Client, from: (&str, &str), to: Value, meta: Value) -> Value {
    let payload = json!({
        "collection": from.0, "field": from.1, "related_collection": to, "meta": meta,
        "schema": if to.is_null() { Value::Null } else { json!({ "on_delete": "CASCADE" }) },
    });
    admin.post("/relations", payload).await.data()
}

fn text(project: &Project, name: &str) -> String {
    let files = project.files();
    let found = files.into_iter().find(|(file, _)| file == name);
    found.map(|(_, bytes)| String::from_utf8(bytes).unwrap()).unwrap_or_default()
}

/// Articles with tags (m2m), blocks (m2a) and translations, made by requests only.
async fn make_articles(admin: &Client) {
    let alias = |field: &str, special: &str| json!({ "field": field, "type": "alias", "meta": { "special": [special] }, "schema": null });
    let m2o = |field: &str| json!({ "field": field, "type": "integer", "meta": { "special": ["m2o"] } });
    let string = |field: &str| json!({ "field": field, "type": "string", "meta": {} });
    let aliases = json!([
        string("title"),
        alias("tags", "m2m"),
        alias("blocks", "m2a"),
        alias("translations", "translations")
    ]);
    make(admin, "articles", aliases).await;
    make(admin, "tags", json!([string("name")])).await;
    make(admin, "texts", json!([string("content")])).await;
    make(admin, "pictures", json!([string("url")])).await;
    let code = json!({ "field": "code", "type": "string", "meta": {}, "schema": { "is_primary_key": true, "max_length": 8 } });
    admin
        .post(
            "/collections",
            json!({ "collection": "languages", "meta": {}, "schema": {}, "fields": [code] }),
        )
        .await
        .data();
    make(admin, "articles_tags", json!([m2o("articles_id"), m2o("tags_id")])).await;
    make(admin, "articles_blocks", json!([m2o("articles_id"), string("item"), string("collection"), { "field": "sort", "type": "integer" }])).await;
    let language =
        json!({ "field": "languages_code", "type": "string", "meta": {}, "schema": { "max_length": 8 } });
    make(admin, "articles_translations", json!([m2o("articles_id"), language, string("summary")])).await;
    for (junction, alias, far) in [
        ("articles_tags", "tags", "tags_id"),
        ("articles_blocks", "blocks", "item"),
        ("articles_translations", "translations", "languages_code"),
    ] {
        let sort = if alias == "blocks" { json!("sort") } else { Value::Null };
        let meta = json!({ "one_field": alias, "junction_field": far, "sort_field": sort, "one_deselect_action": "delete" });
        relate(admin, (junction, "articles_id"), json!("articles"), meta).await;
    }
    let back = json!({ "junction_field": "articles_id" });
    relate(admin, ("articles_tags", "tags_id"), json!("tags"), back.clone()).await;
    relate(admin, ("articles_translations", "languages_code"), json!("languages"), back).await;
    let any = json!({
        "one_collection_field": "collection", "one_allowed_collections": ["texts", "pictures"],
        "junction_field": "articles_id",
    });
    relate(admin, ("articles_blocks", "item"), Value::Null, any).await;
}

async fn use_articles(admin: &Client) {
    admin.create("languages", json!([{ "code": "fr" }, { "code": "en" }])).await;
    let article = json!({
        "title": "One",
        "tags": [{ "tags_id": { "name": "red" } }],
        "blocks": [
            { "collection": "pictures", "item": { "url": "a.png" } },
            { "collection": "texts", "item": { "content": "b" } },
        ],
        "translations": [{ "languages_code": "fr", "summary": "Un" }],
    });
    admin.create("articles", article).await;
    let fields =
        "title,tags.tags_id.name,blocks.item:texts.content,blocks.item:pictures.url,translations.summary";
    let read = admin.items("articles", json!({ "fields": fields })).await.data();
    let expected = json!([{
        "title": "One",
        "tags": [{ "tags_id": { "name": "red" } }],
        "blocks": [{ "item": { "url": "a.png" } }, { "item": { "content": "b" } }],
        "translations": [{ "summary": "Un" }],
    }]);
    assert_eq!(read, expected);
}

#[tokio::test]
async fn relations_of_every_kind_are_made_by_requests() {
    each_database(async |engine| {
        for write_back in ["true", "false"] {
            let project = Project::new(Database::fresh(engine).await, &[]).await;
            let server = project.server().set("WRITE_BACK", write_back).start().await;
            let admin = server.admin();
            make_articles(&admin).await;
            use_articles(&admin).await;
            let relation = admin.get("/relations/articles_blocks/item").await.data();
            assert_eq!(relation["related_collection"], Value::Null);
            assert_eq!(relation["meta"]["one_allowed_collections"], json!(["texts", "pictures"]));
            let field = admin.get("/fields/articles/tags").await.data();
            assert_eq!((&field["type"], &field["meta"]["special"]), (&json!("alias"), &json!(["m2m"])));

            // What refers to a collection goes with it.
            admin.delete("/collections/tags").await.no_content();
            admin.get("/fields/articles_tags/tags_id").await.refused(403, "FORBIDDEN");
            admin.delete("/fields/articles_translations/articles_id").await.no_content();
            admin.get("/fields/articles/translations").await.refused(403, "FORBIDDEN");
            let columns = project.database.columns("articles_tags").await;
            assert_eq!(columns, ["id", "articles_id"]);
            assert_eq!(admin.items("articles", json!({ "fields": "title" })).await.column("title"), ["One"]);
            if write_back == "true" {
                project.run(&["plan"]).says(&["The database is as the files say."]);
                let before = project.files();
                project.run(&["pull"]).ok();
                assert_eq!(project.files(), before, "there is nothing left to take home");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn changes_become_small_edits_of_the_files() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[("books.yaml", BOOKS)]).await;
        let server = project.server().set("WATCH", "true").set("WRITE_BACK", "true").start().await;
        let admin = server.admin();
        let field = json!({
            "field": "shelf", "type": "string", "schema": { "max_length": 12 },
            "meta": { "interface": "input", "width": "half", "note": "Where it stands", "conditions": [{ "name": "c", "rule": {} }] },
        });
        admin.post("/fields/books", field).await.data();
        let longer = json!({ "schema": { "max_length": 120 }, "meta": { "readonly": true } });
        admin.patch("/fields/books/title", longer).await.data();
        admin.patch("/fields/books/pages", json!({ "schema": { "default_value": 20 } })).await.data();
        admin.delete("/fields/books/isbn").await.no_content();
        admin.patch("/collections/books", json!({ "meta": { "icon": "book", "note": "What people take" } })).await.data();
        let expected = "collection: books
# Somebody wrote this by hand.
note: What people take
fields:
  id: integer_pk
  title: { type: string(120), required: true, readonly: true }          # as it is printed
  pages: { type: integer, min: 1, default: 20 } # never none
  shelf: { type: string(12), note: Where it stands }
ui:
  fields:
    shelf:
      interface: input
      width: half
      conditions:
        - { name: c, rule: {} }
  icon: book
";
        assert_eq!(text(&project, "books.yaml"), expected);
        project.run(&["plan"]).says(&["The database is as the files say."]);
        let before = project.files();
        project.run(&["pull"]).ok();
        assert_eq!(project.files(), before);
        // Who watches has not made something else of it.
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(text(&project, "books.yaml"), expected);
        admin.post("/items/books", json!({ "title": "x", "pages": 0 })).await.refused(400, "FAILED_VALIDATION");
        assert_eq!(admin.create("books", json!({ "title": "x" })).await["pages"], 20);

        // New collections are new files, in the folder of their group; what is deleted is removed.
        admin.post("/collections", json!({ "collection": "lending", "schema": null, "meta": { "icon": "folder" } })).await.data();
        let loans = json!({ "collection": "loans", "schema": {}, "meta": { "group": "lending" }, "fields": [key(), { "field": "book", "type": "integer" }] });
        admin.post("/collections", loans).await.data();
        relate(&admin, ("loans", "book"), json!("books"), json!({ "one_field": "loans" })).await;
        assert!(text(&project, "lending/loans.yaml").contains("  book: { m2o: books, on_delete: cascade }\n"), "{}", text(&project, "lending/loans.yaml"));
        assert!(text(&project, "books.yaml").contains("  loans: o2m(loans.book)\n"), "{}", text(&project, "books.yaml"));
        admin.delete("/collections/loans").await.no_content();
        assert_eq!(text(&project, "lending/loans.yaml"), "");
        assert_eq!(text(&project, "books.yaml"), expected);
        project.run(&["plan"]).says(&["The database is as the files say."]);
        let health = admin.get("/server/health").await.json();
        assert_eq!(health["checks"]["schema"]["drift"], json!([]), "{health}");
    })
    .await;
}

#[tokio::test]
async fn where_files_are_left_alone_the_difference_is_told() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[("books.yaml", BOOKS)]).await;
        let server = project.server().set("WRITE_BACK", "false").start().await;
        let admin = server.admin();
        let before = project.files();
        admin.post("/fields/books", json!({ "field": "shelf", "type": "string", "meta": {} })).await.data();
        admin.delete("/fields/books/isbn").await.no_content();
        admin.patch("/fields/books/title", json!({ "schema": { "max_length": 120 } })).await.data();
        assert_eq!(project.files(), before);
        let long = "x".repeat(100);
        let made = admin.create("books", json!({ "title": long, "shelf": "A" })).await;
        assert_eq!((&made["shelf"], &made["title"], made.get("isbn")), (&json!("A"), &json!(long), None));
        let health = admin.get("/server/health").await.json();
        let drift = health["checks"]["schema"]["drift"].to_string();
        for said in ["books.shelf", "add books.isbn", "change books.title"] {
            assert!(drift.contains(said), "{said} in {drift}");
        }
        let plan = admin.get("/tablature/schema/plan").await.data();
        assert!(plan["steps"].to_string().contains("add books.isbn"), "{plan}");
    })
    .await;
}

#[tokio::test]
async fn what_was_changed_while_files_were_left_alone_is_pulled() {
    each_database(async |engine| {
        let loans = "collection: loans # lent\nfields:\n  id: integer_pk\n  book: m2o(books)\n";
        let with_loans = format!("{BOOKS}  loans: o2m(loans.book)\n");
        let files = [("books.yaml", with_loans.as_str()), ("lending/loans.yaml", loans)];
        let project = Project::new(Database::fresh(engine).await, &files).await;
        let before = project.files();
        {
            let server = project.server().set("WRITE_BACK", "false").start().await;
            let admin = server.admin();
            project.run(&["pull"]).ok();
            assert_eq!(project.files(), before, "nothing has changed, so no file changes");
            let field = json!({
                "field": "shelf", "type": "string", "schema": { "max_length": 12 },
                "meta": { "interface": "input", "width": "half", "note": "Where it stands" },
            });
            admin.post("/fields/books", field).await.data();
            let shown = json!({ "meta": { "readonly": true, "width": "half" } });
            admin.patch("/fields/books/title", shown).await.data();
            let usual = json!({ "schema": { "default_value": 20 }, "meta": { "note": "How many" } });
            admin.patch("/fields/books/pages", usual).await.data();
            admin.delete("/fields/books/isbn").await.no_content();
            let meta = json!({ "icon": "book", "note": "What people take", "display_template": "{{title}}" });
            admin.patch("/collections/books", json!({ "meta": meta })).await.data();
            let meta = json!({ "hidden": true, "group": null });
            admin.patch("/collections/loans", json!({ "meta": meta })).await.data();
            admin.patch("/fields/books/loans", json!({ "meta": { "note": "Who has it" } })).await.data();
            assert_eq!(project.files(), before, "files are left alone");
        }
        // A file that somebody edits meanwhile keeps what they wrote.
        project.write("lending/loans.yaml", format!("{loans}  until: date\n"));
        project.run(&["pull"]).ok();
        let says = |file: &str, lines: &[&str]| {
            let text = text(&project, file);
            for line in lines {
                assert!(text.lines().any(|found| found == *line), "{line} in\n{text}");
            }
        };
        says(
            "books.yaml",
            &[
                "# Somebody wrote this by hand.",
                "note: What people take",
                "  title: { type: string(80), required: true, readonly: true }          # as it is printed",
                "  pages: { type: integer, min: 1, default: 20, note: How many } # never none",
                "  loans: { o2m: loans.book, note: Who has it }",
                "  shelf: { type: string(12), note: Where it stands }",
                "  icon: book",
                "    shelf: { interface: input, width: half }",
            ],
        );
        assert!(!text(&project, "books.yaml").contains("isbn"), "{}", text(&project, "books.yaml"));
        says(
            "lending/loans.yaml",
            &[
                "collection: loans # lent",
                "hidden: true",
                "group: null",
                "  book: m2o(books)",
                "  until: date",
            ],
        );
        let after = project.files();
        project.run(&["pull"]).ok();
        assert_eq!(project.files(), after, "it is at home");

        // A server that starts with them serves all of it.
        let mut server = project.server().set("WRITE_BACK", "false").start().await;
        let admin = server.admin();
        let books = admin.get("/collections/books").await.data();
        assert_eq!(
            (&books["meta"]["icon"], &books["meta"]["note"]),
            (&json!("book"), &json!("What people take"))
        );
        let title = admin.get("/fields/books/title").await.data();
        assert_eq!((&title["meta"]["readonly"], &title["meta"]["width"]), (&json!(true), &json!("half")));
        admin.get("/fields/books/isbn").await.refused(403, "FORBIDDEN");
        assert_eq!(admin.get("/fields/loans/until").await.status, 200);

        // What was deleted goes from the files as well.
        admin.delete("/collections/loans").await.no_content();
        project.run(&["pull"]).ok();
        assert_eq!(text(&project, "lending/loans.yaml"), "");
        assert!(!text(&project, "books.yaml").contains("loans"), "{}", text(&project, "books.yaml"));
        server.kill();
        project.run(&["plan"]).says(&["The database is as the files say."]);
    })
    .await;
}

#[tokio::test]
async fn only_administrators_change_and_others_see_what_they_may_use() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[("books.yaml", BOOKS)]).await;
        let server = project.server().start().await;
        let admin = server.admin();
        make(
            &admin,
            "secrets",
            json!([{ "field": "book", "type": "integer" }, { "field": "word", "type": "string" }]),
        )
        .await;
        relate(&admin, ("secrets", "book"), json!("books"), json!({ "one_field": "secrets" })).await;
        let reader = policy(
            &admin,
            "reader",
            json!([
                ["books", "read", { "isbn": { "_nnull": true } }, ["id", "title", "pages"]],
                ["books", "create", {}, ["title", "pages"], { "pages": 3 }],
                ["directus_collections", "read", {}, ["*"]],
                ["directus_fields", "read", {}, ["*"]],
                ["directus_relations", "read", {}, ["*"]],
            ]),
        )
        .await;
        let (_, reader) = user(&admin, "reader", &[&reader]).await;
        let of_project = |rows: Value| -> Vec<Value> {
            let is_own = |row: &&Value| !row["collection"].as_str().unwrap().starts_with("directus_");
            rows.as_array().unwrap().iter().filter(is_own).cloned().collect()
        };
        let own = of_project(reader.get("/collections").await.data());
        assert_eq!((own.len(), &own[0]["collection"]), (1, &json!("books")));
        let fields = of_project(reader.get("/fields").await.data());
        let names: Vec<&Value> = fields.iter().map(|field| &field["field"]).collect();
        assert_eq!(names, ["id", "title", "pages"]);
        server.visitor().get("/collections").await.refused(403, "FORBIDDEN");
        assert_eq!(of_project(reader.get("/relations").await.data()), Vec::<Value>::new());
        reader.get("/fields/books/isbn").await.refused(403, "FORBIDDEN");
        reader.get("/fields/secrets").await.refused(403, "FORBIDDEN");
        reader.get("/collections/secrets").await.refused(403, "FORBIDDEN");
        reader.get("/relations/secrets/book").await.refused(403, "FORBIDDEN");
        for who in [&reader, &server.visitor()] {
            who.post("/collections", json!({ "collection": "mine", "schema": {} }))
                .await
                .refused(403, "FORBIDDEN");
            who.patch("/collections/books", json!({ "meta": { "note": "x" } }))
                .await
                .refused(403, "FORBIDDEN");
            who.delete("/collections/books").await.refused(403, "FORBIDDEN");
            who.post("/fields/books", json!({ "field": "x", "type": "string" }))
                .await
                .refused(403, "FORBIDDEN");
            who.delete("/fields/books/title").await.refused(403, "FORBIDDEN");
            who.delete("/relations/secrets/book").await.refused(403, "FORBIDDEN");
            who.get("/schema/snapshot").await.refused(403, "FORBIDDEN");
            who.post("/schema/apply", json!({})).await.refused(403, "FORBIDDEN");
            who.get("/tablature/schema/plan").await.refused(403, "FORBIDDEN");
        }

        // A field leaves the lists of permissions; the condition on one takes the permission with it.
        admin.create("books", json!({ "title": "a", "isbn": "1" })).await;
        assert_eq!(reader.items("books", json!({})).await.data().as_array().unwrap().len(), 1);
        admin.delete("/fields/books/pages").await.no_content();
        let shown = reader.items("books", json!({})).await.data();
        assert_eq!(shown, json!([{ "id": 1, "title": "a" }]));
        admin.post("/fields/books", json!({ "field": "pages", "type": "integer" })).await.data();
        reader.items("books", json!({ "fields": "pages" })).await.refused(403, "FORBIDDEN");
        assert_eq!(reader.items("books", json!({})).await.data(), json!([{ "id": 1, "title": "a" }]));
        admin.delete("/fields/books/isbn").await.no_content();
        reader.items("books", json!({})).await.refused(403, "FORBIDDEN");
        admin.post("/fields/books", json!({ "field": "isbn", "type": "string" })).await.data();
        reader.items("books", json!({})).await.refused(403, "FORBIDDEN");
        let left = admin
            .read("/permissions", json!({ "filter": { "collection": { "_eq": "books" } } }))
            .await
            .data();
        assert_eq!(left.as_array().unwrap().len(), 1, "{left}");
        assert_eq!((&left[0]["fields"], &left[0]["presets"]), (&json!(["title"]), &json!({})));
    })
    .await;
}

#[tokio::test]
async fn a_field_that_files_drop_leaves_permissions_as_well() {
    each_database(async |engine| {
        let with_loans = format!("{BOOKS}  loans: o2m(loans.book)\n");
        let loans = "collection: loans\nfields:\n  id: integer_pk\n  book: m2o(books)\n";
        let files = [("books.yaml", with_loans.as_str()), ("loans.yaml", loans)];
        let project = Project::new(Database::fresh(engine).await, &files).await;
        let server = project.server().set("WRITE_BACK", "false").start().await;
        let admin = server.admin();
        let rights = json!([
            ["books", "read", {}, ["title", "loans"]],
            ["books", "update", { "_or": [{ "loans": { "id": { "_gt": 1 } } }, { "title": { "_eq": "a" } }] }, ["title"]],
        ]);
        policy(&admin, "p", rights).await;
        project.write("books.yaml", BOOKS);
        assert_eq!(admin.get("/tablature/schema/plan").await.data()["refusals"], json!([]));
        admin.post("/tablature/schema/apply", json!({})).await.data();
        let left = admin.read("/permissions", json!({ "filter": { "collection": { "_eq": "books" } } })).await.data();
        assert_eq!(left.as_array().unwrap().len(), 1, "{left}");
        assert_eq!((&left[0]["action"], &left[0]["fields"]), (&json!("read"), &json!(["title"])));

        // Dropping what files do not speak of has to be asked for.
        project.write("books.yaml", BOOKS.replace("  pages: { type: integer, min: 1, default: 10 } # never none\n", ""));
        admin.create("books", json!({ "title": "a", "pages": 5 })).await;
        let plan = admin.get("/tablature/schema/plan?prune=true").await.data();
        assert_eq!(plan["steps"][0]["step"], "drop books.pages", "{plan}");
        assert_eq!(plan["steps"][0]["loss"]["rows"], 1, "{plan}");
        let prune = json!({ "prune": true });
        admin.post("/tablature/schema/apply", prune).await.refused(422, "UNPROCESSABLE_CONTENT");
        let prune = json!({ "prune": true, "allow_destructive": true });
        admin.post("/tablature/schema/apply", prune).await.data();
        assert_eq!(project.database.columns("books").await, ["id", "title", "isbn"]);
        assert_eq!(admin.get("/tablature/schema/plan").await.data()["is_empty"], true);
    })
    .await;
}

/// Fails where two documents differ first.
#[track_caller]
fn same(left: &Value, right: &Value, path: &str) {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            assert_eq!(left.keys().collect::<Vec<_>>(), right.keys().collect::<Vec<_>>(), "{path}");
            left.iter().for_each(|(key, value)| same(value, &right[key], &format!("{path}.{key}")));
        }
        (Value::Array(left), Value::Array(right)) => {
            let named = |value: &Value| format!("{} {}", value["collection"], value["field"]);
            let names = |list: &[Value]| list.iter().map(named).collect::<Vec<_>>();
            assert_eq!(names(left), names(right), "{path}");
            left.iter()
                .zip(right)
                .for_each(|(one, other)| same(one, other, &format!("{path}[{}]", named(one))));
        }
        _ => assert_eq!(left, right, "{path}"),
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[("books.yaml", BOOKS)]).await;
        let server = project.server().start().await;
        let admin = server.admin();
        admin.create("books", json!([{ "title": "a" }, { "title": "a" }])).await;
        make(
            &admin,
            "loans",
            json!([{ "field": "book", "type": "integer" }, { "field": "note", "type": "string" }]),
        )
        .await;
        admin.create("loans", json!([{ "book": 7 }])).await;
        let before = (project.files(), admin.get("/schema/snapshot").await.data());
        let cases = [
            ("POST", "/collections", json!({ "collection": "" , "schema": {} })),
            ("POST", "/collections", json!({ "schema": {} })),
            ("POST", "/collections", json!({ "collection": "a b", "schema": {} })),
            ("POST", "/collections", json!({ "collection": "directus_mine", "schema": {} })),
            ("POST", "/collections", json!({ "collection": "Tablature_mine", "schema": {} })),
            ("POST", "/collections", json!({ "collection": "BOOKS", "schema": {} })),
            (
                "POST",
                "/collections",
                json!({ "collection": "c", "schema": {}, "fields": [{ "field": "x" }] }),
            ),
            (
                "POST",
                "/collections",
                json!({ "collection": "c", "schema": {}, "fields": [{ "field": "x", "type": "nope" }] }),
            ),
            ("POST", "/collections", json!({ "collection": "c", "schema": {}, "fields": [key(), key()] })),
            ("POST", "/collections", json!({ "collection": "c", "schema": {}, "meta": { "hidden": "yes" } })),
            ("POST", "/collections", json!({ "collection": "c", "schema": {}, "meta": { "group": "nope" } })),
            (
                "POST",
                "/collections",
                json!([{ "collection": "c", "schema": {} }, { "collection": "c", "schema": {} }]),
            ),
            ("POST", "/collections", json!("text")),
            ("PATCH", "/collections", json!({ "collection": "books" })),
            ("PATCH", "/collections/books", json!({ "meta": { "group": "books" } })),
            ("POST", "/fields/books", json!({ "field": "title", "type": "string" })),
            ("POST", "/fields/books", json!({ "field": "TITLE", "type": "string" })),
            ("POST", "/fields/books", json!({ "field": "x\u{0}", "type": "string" })),
            ("POST", "/fields/books", json!({ "field": "x", "type": 5 })),
            (
                "POST",
                "/fields/books",
                json!({ "field": "x", "type": "string", "schema": { "max_length": 0 } }),
            ),
            (
                "POST",
                "/fields/books",
                json!({ "field": "x", "type": "string", "schema": { "is_nullable": false } }),
            ),
            (
                "POST",
                "/fields/books",
                json!({ "field": "x", "type": "integer", "schema": { "default_value": "many" } }),
            ),
            (
                "POST",
                "/fields/books",
                json!({ "field": "x", "type": "json", "schema": { "is_unique": true } }),
            ),
            (
                "POST",
                "/fields/books",
                json!({ "field": "x", "type": "string", "meta": { "validation": { "x": { "_nope": 1 } } } }),
            ),
            ("PATCH", "/fields/books/title", json!({ "schema": { "is_unique": true } })),
            ("PATCH", "/fields/books/title", json!({ "type": "integer", "schema": {} })),
            ("PATCH", "/fields/books/id", json!({ "type": "string", "schema": {} })),
            ("PATCH", "/fields/books", json!([{ "type": "string" }])),
            ("DELETE", "/fields/books/id", Value::Null),
            (
                "POST",
                "/relations",
                json!({ "collection": "loans", "field": "nope", "related_collection": "books" }),
            ),
            (
                "POST",
                "/relations",
                json!({ "collection": "loans", "field": "note", "related_collection": "books" }),
            ),
            (
                "POST",
                "/relations",
                json!({ "collection": "loans", "field": "book", "related_collection": "nope" }),
            ),
            (
                "POST",
                "/relations",
                json!({ "collection": "loans", "field": "book", "related_collection": "books" }),
            ),
            (
                "POST",
                "/relations",
                json!({ "collection": "loans", "field": "note", "related_collection": null }),
            ),
            ("POST", "/schema/diff", json!({ "foo": 1 })),
            ("POST", "/schema/apply", json!({ "hash": "x", "diff": {} })),
            ("POST", "/schema/apply", json!({ "hash": 1 })),
        ];
        for (method, path, body) in cases {
            let answer = admin.request(method, path).json(&body).send().await;
            assert_eq!(answer.status, 400, "{method} {path} {body}: {}", answer.text());
            assert_eq!(answer.errors()[0]["extensions"]["code"], "INVALID_PAYLOAD", "{method} {path} {body}");
        }
        for (method, path, body) in [
            ("POST", "/fields/nope", json!({ "field": "x", "type": "string" })),
            ("PATCH", "/fields/books/nope", json!({ "meta": {} })),
            ("PATCH", "/fields/directus_users/email", json!({ "meta": { "hidden": true } })),
            ("DELETE", "/fields/directus_users/email", Value::Null),
            ("DELETE", "/collections/directus_users", Value::Null),
            ("PATCH", "/collections/directus_users", json!({ "meta": { "hidden": true } })),
            ("GET", "/collections/tablature_schema", Value::Null),
            ("GET", "/fields/tablature_schema", Value::Null),
            ("DELETE", "/relations/books/title", Value::Null),
        ] {
            let answer = admin.request(method, path).json(&body).send().await;
            assert_eq!(answer.status, 403, "{method} {path} {body}: {}", answer.text());
        }
        assert_eq!(
            (project.files(), admin.get("/schema/snapshot").await.data()),
            before,
            "nothing of it is left"
        );
    })
    .await;
}

#[tokio::test]
async fn a_snapshot_makes_the_same_model_elsewhere() {
    each_database(async |engine| {
        let here = Project::new(Database::fresh(engine).await, &[("books.yaml", BOOKS)]).await;
        let server = here.server().start().await;
        let admin = server.admin();
        make_articles(&admin).await;
        admin.post("/fields/directus_users", json!({ "field": "nickname", "type": "string", "meta": {} })).await.data();
        let snapshot = admin.get("/schema/snapshot").await.data();
        let yaml = admin.get("/schema/snapshot?export=yaml").await;
        assert!(yaml.text().starts_with("version: 1\n"), "{}", yaml.text());
        same(&admin.get("/schema/snapshot?export=json").await.json(), &snapshot, "");
        assert_eq!(admin.post("/schema/diff", snapshot.clone()).await.status, 204, "nothing differs from itself");

        let there = Project::new(Database::fresh(engine).await, &[]).await;
        let other_server = there.server().set("WRITE_BACK", "true").start().await;
        let other = other_server.admin();
        let diff = other.request("POST", "/schema/diff").body(yaml.text(), "text/yaml").send().await.data();
        other.post("/schema/apply", diff.clone()).await.no_content();
        same(&other.get("/schema/snapshot").await.data(), &snapshot, "");
        assert_eq!(other.post("/schema/diff", snapshot.clone()).await.status, 204);
        use_articles(&other).await;
        other.patch("/users/me", json!({ "nickname": "Ada" })).await.data();
        // A difference is for the model it was made for.
        other.post("/schema/apply", diff).await.refused(400, "INVALID_PAYLOAD");

        // And back to what it was, with what changed in between.
        admin.delete("/collections/pictures").await.no_content();
        admin.patch("/fields/articles/title", json!({ "meta": { "note": "Headline", "options": { "a": { "b": 1 } } }, "schema": { "max_length": 99 } })).await.data();
        let wanted = admin.get("/schema/snapshot").await.data();
        let diff = other.post("/schema/diff", wanted.clone()).await.data();
        let changes = diff["diff"]["fields"].as_array().unwrap();
        let title = changes.iter().find(|entry| entry["field"] == "title").unwrap();
        assert!(title["diff"].as_array().unwrap().contains(&json!({ "kind": "E", "path": ["schema", "max_length"], "lhs": 255, "rhs": 99 })), "{title}");
        other.post("/schema/apply", diff).await.no_content();
        same(&other.get("/schema/snapshot").await.data(), &wanted, "");
        there.run(&["plan"]).says(&["The database is as the files say."]);
    })
    .await;
}

/// Sends reads and writes all the time until told to stop; gives what failed.
fn busy(admin: Client, stop: Arc<AtomicBool>) -> tokio::task::JoinHandle<Vec<String>> {
    tokio::spawn(async move {
        let mut failed = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            for (method, path, body) in [
                ("GET", "/items/books?fields=*&limit=1", Value::Null),
                ("POST", "/items/books?fields=id", json!({ "title": "t" })),
                ("GET", "/fields/books", Value::Null),
            ] {
                let request = admin.request(method, path);
                let request = if body.is_null() { request } else { request.json(&body) };
                match request.try_send().await {
                    Ok(answer) if answer.status == 200 => {}
                    Ok(answer) => failed.push(format!("{method} {path}: {}", answer.text())),
                    Err(error) => failed.push(format!("{error:?}")),
                }
            }
        }
        failed
    })
}

#[tokio::test]
async fn requests_are_served_while_the_model_changes() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[("books.yaml", BOOKS)]).await;
        let server = project.server().set("WATCH", "true").set("WRITE_BACK", "true").start().await;
        let admin = server.admin();
        let stop = Arc::new(AtomicBool::new(false));
        let at_work = [busy(admin.clone(), stop.clone()), busy(admin.clone(), stop.clone())];
        for round in 0..8 {
            let name = format!("extra_{round}");
            admin.post("/fields/books", json!({ "field": name, "type": "string", "meta": {} })).await.data();
            let payload = json!({ "title": "with it", &name: "v" });
            assert_eq!(admin.create("books", payload).await[&name], "v");
        }
        stop.store(true, Ordering::Relaxed);
        for task in at_work {
            assert_eq!(task.await.unwrap(), Vec::<String>::new());
        }
    })
    .await;
}

#[tokio::test]
async fn nodes_change_the_model_together() {
    each_database(async |engine| {
        if engine == Engine::Sqlite {
            return;
        }
        let project = Project::new(Database::fresh(engine).await, &[("books.yaml", BOOKS)]).await;
        let one = project.server().set("WATCH", "true").set("WRITE_BACK", "true").start().await;
        let two = project.server().set("WATCH", "true").set("WRITE_BACK", "true").start().await;
        let (left, right) = (one.admin(), two.admin());
        left.post("/fields/books", json!({ "field": "shelf", "type": "string", "meta": {} })).await.data();
        // Whoever has the answer finds the field everywhere.
        assert_eq!(right.create("books", json!({ "title": "a", "shelf": "B" })).await["shelf"], "B");
        left.delete("/fields/books/shelf").await.no_content();
        right.items("books", json!({ "fields": "shelf" })).await.refused(403, "FORBIDDEN");
        right.items("books", json!({})).await.data();

        let add = async |admin: &Client, side: &str| {
            for number in 0..4 {
                let field = format!("{side}_{number}");
                admin
                    .post("/fields/books", json!({ "field": field, "type": "integer", "meta": {} }))
                    .await
                    .data();
            }
        };
        tokio::join!(add(&left, "left"), add(&right, "right"));
        let columns = project.database.columns("books").await;
        let file = text(&project, "books.yaml");
        for side in ["left", "right"] {
            for number in 0..4 {
                let field = format!("{side}_{number}");
                assert!(columns.contains(&field), "{field} in {columns:?}");
                assert!(file.contains(&format!("  {field}: integer\n")), "{field} in {file}");
            }
        }
        assert!(!columns.contains(&"shelf".to_owned()));
        project.run(&["plan"]).says(&["The database is as the files say."]);
    })
    .await;
}

#[tokio::test]
async fn a_kill_leaves_the_old_model_or_the_new_one() {
    each_database(async |engine| {
        if engine == Engine::Mariadb {
            return;
        }
        let mut random = Random::new(7);
        let project = Project::new(Database::fresh(engine).await, &[("books.yaml", BOOKS)]).await;
        for round in 0..6_u64 {
            let mut server = project.server().set("WATCH", "true").set("WRITE_BACK", "true").start().await;
            let admin = server.admin();
            let name = format!("made_{round}");
            let fields: Vec<Value> = (0..20)
                .map(|number| json!({ "field": format!("f_{number}"), "type": "string", "meta": { "note": "n" } }))
                .chain([key()])
                .collect();
            let payload = json!({ "collection": name, "schema": {}, "meta": { "note": "whole" }, "fields": fields });
            let sent = admin.clone();
            let request = tokio::spawn(async move {
                sent.request("POST", "/collections").json(&payload).try_send().await.map(|answer| answer.status)
            });
            tokio::time::sleep(Duration::from_millis(random.below(60) as u64 + 2)).await;
            server.kill();
            let answered = request.await.unwrap().ok() == Some(200);
            let server = project.server().set("WATCH", "true").set("WRITE_BACK", "true").start().await;
            let admin = server.admin();
            let found = admin.get(&format!("/collections/{name}")).await;
            if answered {
                assert_eq!(found.status, 200, "what was answered is there");
            }
            if found.status == 200 {
                let found = admin.get(&format!("/fields/{name}")).await.data();
                assert_eq!(found.as_array().unwrap().len(), 21, "{found}");
                admin.create(&name, json!({ "f_19": "x" })).await;
            } else {
                assert!(project.database.columns(&name).await.is_empty());
            }
            project.run(&["plan"]).says(&["The database is as the files say."]);
        }
    })
    .await;
}

#[tokio::test]
async fn rules_of_fields_are_enforced() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[]).await;
        let server = project.server().set("WRITE_BACK", "true").start().await;
        let admin = server.admin();
        let age = json!({ "field": "age", "type": "integer", "meta": { "validation": { "_and": [{ "age": { "_gte": 18 } }] }, "validation_message": "too young" } });
        make(&admin, "people", json!([age, { "field": "name", "type": "string" }])).await;
        let told = admin.post("/items/people", json!({ "age": 17 })).await.refused(400, "FAILED_VALIDATION");
        assert!(told[0]["message"].as_str().unwrap().contains("too young"), "{told:?}");
        let made = admin.create("people", json!({ "name": "a" })).await;
        admin.patch(&format!("/items/people/{}", made["id"]), json!({ "age": 3 })).await.refused(400, "FAILED_VALIDATION");
        admin.create("people", json!({ "age": 18 })).await;
        assert!(text(&project, "people.yaml").contains("validation_message: too young"), "{}", text(&project, "people.yaml"));
        // The same from the file alone.
        drop(server);
        let server = project.server().start().await;
        server.admin().post("/items/people", json!({ "age": 17 })).await.refused(400, "FAILED_VALIDATION");
    })
    .await;
}

#[tokio::test]
async fn changes_are_told_and_made_once() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[("books.yaml", BOOKS)]).await;
        let server = project.server().start().await;
        let admin = server.admin();
        let field = json!({ "field": "shelf", "type": "integer", "meta": { "note": "where" }, "schema": {} });
        let once = async |path: &str, body: &Value| {
            let request = admin.request("POST", path).header("idempotency-key", "the same");
            request.json(body).send().await
        };
        let made = once("/fields/books", &field).await.data();
        assert_eq!(once("/fields/books", &field).await.data(), made, "the answer of the first time");
        admin.post("/fields/books", field.clone()).await.refused(400, "INVALID_PAYLOAD");
        let other = json!({ "field": "other", "type": "integer", "meta": {}, "schema": {} });
        once("/fields/books", &other).await.refused(422, "UNPROCESSABLE_CONTENT");
        admin.patch("/fields/books/shelf", json!({ "meta": { "note": "there" } })).await.data();
        relate(&admin, ("books", "shelf"), json!("books"), json!({})).await;
        admin.delete("/fields/books/shelf").await.no_content();
        make(&admin, "notes", json!([{ "field": "text", "type": "string", "meta": {} }])).await;
        admin.delete("/collections/notes").await.no_content();
        // What fails leaves no trace.
        admin.post("/fields/nope", field).await.refused(403, "FORBIDDEN");

        let rows = admin
            .get("/activity?sort=id&filter[collection][_in]=directus_collections,directus_fields,directus_relations&fields=*")
            .await
            .data();
        let id = made["meta"]["id"].to_string();
        let told: Vec<(&str, &str)> = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row["action"].as_str().unwrap(), row["collection"].as_str().unwrap()))
            .collect();
        let (collections, fields) = ("directus_collections", "directus_fields");
        assert_eq!(
            told,
            [
                ("create", fields),
                ("update", fields),
                ("create", "directus_relations"),
                ("delete", fields),
                ("create", collections),
                ("create", fields),
                ("create", fields),
                ("delete", collections),
            ]
        );
        for row in [0, 1, 3] {
            assert_eq!(rows[row]["item"], id.as_str(), "{rows}");
        }
        assert_eq!((&rows[4]["item"], &rows[7]["item"]), (&json!("notes"), &json!("notes")));
        assert!(rows[0]["user"].is_string() && rows[0]["ip"] == "127.0.0.1", "{rows}");
        assert_eq!(admin.get("/revisions?filter[collection]=directus_fields").await.data(), json!([]));
    })
    .await;
}

#[tokio::test]
async fn models_come_as_files_of_forms() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[("books.yaml", BOOKS)]).await;
        let server = project.server().start().await;
        let admin = server.admin();
        let snapshots = [
            admin.get("/schema/snapshot?export=json").await,
            admin.get("/schema/snapshot?export=yaml").await,
        ];
        admin.delete("/fields/books/pages").await.no_content();
        for (snapshot, name, media_type) in
            [(&snapshots[0], "a.json", "application/json"), (&snapshots[1], "a.yaml", "text/yaml")]
        {
            let form = Form::new().field("note", "x").file(name, media_type, &snapshot.bytes);
            let difference = form.send(&admin, "POST", "/schema/diff").await.data();
            assert_eq!(difference["diff"]["fields"][0]["field"], "pages", "{name}: {difference}");
        }
        let form = Form::new().file("a.yaml", "text/yaml", &snapshots[1].bytes);
        let difference = form.send(&admin, "POST", "/schema/diff").await.data();
        let form = Form::new().file("d.json", "application/json", difference.to_string().as_bytes());
        form.send(&admin, "POST", "/schema/apply").await.no_content();
        assert_eq!(admin.get("/fields/books/pages").await.data()["type"], "integer");
        Form::new()
            .field("a", "b")
            .send(&admin, "POST", "/schema/diff")
            .await
            .refused(400, "INVALID_PAYLOAD");
    })
    .await;
}
