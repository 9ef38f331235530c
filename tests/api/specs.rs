//! The API described for programs: per caller over HTTP, per user and role on the command line.

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::{Database, Project, blog, each_database};

#[tokio::test]
async fn a_document_shows_what_its_reader_may_use() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let read = json!([
            ["articles", "read", {}, ["id", "title", "writer"]],
            ["articles", "create", {}, ["title"]]
        ]);
        let policy = policy(&admin, "describer", read).await;
        let (_, reader) = user(&admin, "describer", &[&policy]).await;

        let all = admin.get("/server/specs/oas").await.json();
        assert_eq!(all["openapi"], "3.1.0");
        for path in ["/items/articles", "/items/comments/{id}", "/users", "/metrics"] {
            assert!(all["paths"][path].is_object(), "{path} is told to administrators");
        }

        let seen = reader.get("/server/specs/oas").await.json();
        let methods = |path: &str| -> Vec<String> {
            seen["paths"][path].as_object().map(|all| all.keys().cloned().collect()).unwrap_or_default()
        };
        assert_eq!(methods("/items/articles"), ["get", "post"]);
        assert_eq!(methods("/items/articles/{id}"), ["get"]);
        assert_eq!(methods("/users/me"), ["get", "patch"], "whoever is signed in");
        for path in ["/items/comments", "/users", "/roles", "/metrics", "/tablature/explain"] {
            assert_eq!(methods(path), Vec::<String>::new(), "{path} is not told to others");
        }
        let names = |schema: &str| -> Vec<String> {
            let properties = &seen["components"]["schemas"][schema]["properties"];
            properties.as_object().map(|all| all.keys().cloned().collect()).unwrap_or_default()
        };
        assert_eq!(names("ItemsArticles"), ["id", "title", "writer"]);
        assert_eq!(names("ItemsArticlesCreate"), ["title"]);
        let writer = &seen["components"]["schemas"]["ItemsArticles"]["properties"]["writer"];
        assert!(!writer.to_string().contains("ItemsWriters"), "writers may not be read: {writer}");
        assert!(!seen.to_string().contains("reactions"), "nothing else is named");

        let visitor = server.visitor().get("/server/specs/oas").await.json();
        assert!(visitor["paths"]["/auth/login"]["post"].is_object());
        assert!(
            visitor["paths"].get("/users/me").is_none() && visitor["paths"].get("/items/articles").is_none()
        );

        // A change of rights is a change of the document.
        let right = json!({ "policy": policy, "collection": "comments", "action": "read", "fields": ["id"] });
        admin.post("/permissions", right).await.data();
        let seen = reader.get("/server/specs/oas").await.json();
        assert!(seen["paths"]["/items/comments"]["get"].is_object());
        assert_eq!(seen["components"]["schemas"]["ItemsArticles"]["properties"].get("comments"), None);
    })
    .await;
}

#[tokio::test]
async fn commands_print_documents_and_types() {
    each_database(async |engine| {
        let notes = "collection: notes\nfields:\n  id: integer_pk\n  text: text!\npermissions:\n  reader:\n    read: true\n";
        let access = "roles:\n  reader: { name: Reader, policies: [reader] }\npolicies:\n  reader: {}\n";
        let files = [("notes.yaml", notes), ("_access.yaml", access)];
        let project = Project::new(Database::fresh(engine).await, &files).await;
        project.run(&["apply"]).ok();
        let print = |arguments: &[&str]| -> Value {
            serde_json::from_str(project.run(arguments).ok()).expect("a document")
        };
        let all = print(&["openapi"]);
        assert!(all["paths"]["/items/notes"]["post"].is_object() && all["paths"]["/metrics"].is_object());
        let of_role = print(&["openapi", "--role", "Reader"]);
        assert!(of_role["paths"]["/items/notes"]["get"].is_object() && of_role["paths"]["/users/me"].is_object());
        assert_eq!(of_role["paths"]["/items/notes"].get("post"), None);
        assert_eq!(print(&["openapi", "--visitor"])["paths"].get("/items/notes"), None);
        project.run(&["openapi", "--role", "Nobody"]).refused(&["there is no role Nobody"]);
        project.run(&["openapi", "--user", "nobody@example.com"]).refused(&["there is no user"]);
        let types = project.run(&["types"]);
        assert!(types.ok().contains("export interface Notes {\n  id: number;\n  text: string;\n}"), "{}", types.ok());
        assert!(types.ok().contains("  notes: Notes[];"));
    })
    .await;
}
