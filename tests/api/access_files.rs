//! Roles, policies and permissions as files: from a saved file to the next request, and back from the API into the file.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, Database, Project, each_database, until};

const ACCESS: &str = "# who may do what
roles:
  writer: { name: Writer, policies: [writer] } # those who write
policies:
  writer:
service_accounts:
  robot: { role: writer, token_env: ROBOT_TOKEN }
";

const NOTES: &str = "collection: notes
fields:
  id: integer_pk
  title: string!
  owner: created_by
permissions:
  public: { read: { fields: [id, title] } } # for all
  writer: { create: true, read: { where: { owner: { _eq: $CURRENT_USER } } } }
tests:
  people: { anna: { role: writer }, bert: { role: writer } }
  given: { notes: { hers: { title: Hers, owner: $anna } } }
  cases:
    - { as: anna, read: notes, expect: { keys: [$hers] } }
    - { as: bert, read: notes, expect: { count: 0 } }
    - { as: public, read: notes, query: { fields: [owner] }, expect: refused }
";

fn text(project: &Project, name: &str) -> String {
    let files = project.files();
    let (_, bytes) = files.into_iter().find(|(file, _)| file == name).unwrap();
    String::from_utf8(bytes).unwrap()
}

async fn titles(client: &Client) -> Vec<Value> {
    client.items("notes", json!({ "fields": "title" })).await.column("title")
}

#[tokio::test]
async fn files_decide_and_follow() {
    each_database(async |engine| {
        let files = [("_access.yaml", ACCESS), ("notes.yaml", NOTES)];
        let project = Project::new(Database::fresh(engine).await, &files).await;
        let server = project
            .server()
            .set("WATCH", "true")
            .set("WRITE_BACK", "true")
            .set("ROBOT_TOKEN", "token-of-the-robot")
            .start()
            .await;
        let admin = server.admin();
        let robot = admin.with_token(Some("token-of-the-robot"));
        let visitor = server.visitor();
        assert!(!server.printed().contains("token-of-the-robot"));
        admin.post("/items/notes", json!({ "title": "of the administrator" })).await.data();
        robot.post("/items/notes", json!({ "title": "of the robot" })).await.data();
        assert_eq!(titles(&robot).await, ["of the robot"]);
        assert_eq!(titles(&visitor).await.len(), 2);
        visitor.items("notes", json!({ "sort": "owner" })).await.refused(403, "FORBIDDEN");

        // A saved file acts without a restart.
        project.write("notes.yaml", NOTES.replace("create: true, read: {", "create: false, read: {"));
        until("the robot no longer writes", async || {
            robot.request("POST", "/items/notes").json(&json!({ "title": "x" })).send().await.status == 403
        })
        .await;

        let written = titles(&robot).await;

        // A broken one changes nothing: what was open stays so, and nothing opens.
        let broken = NOTES.replace("owner: { _eq", "ownr: { _eq");
        project.write("notes.yaml", &broken);
        until("the mistake is reported", async || {
            admin.get("/server/health").await.json()["checks"].to_string().contains("warn")
        })
        .await;
        assert_eq!(titles(&robot).await, written);
        let new = json!({ "title": "z" });
        robot.post("/items/notes", new).await.refused(403, "FORBIDDEN");
        project.write("notes.yaml", NOTES);
        until("it is mended", async || {
            robot.request("POST", "/items/notes").json(&json!({ "title": "y" })).send().await.status == 200
        })
        .await;

        // What is changed over the API counts at once, and comes into the file that speaks of it.
        let filter = json!({ "filter": { "policy": { "name": { "_eq": "public" } } }, "fields": "id" });
        let id = admin.read("/permissions", filter).await.data()[0]["id"].clone();
        admin.patch(&format!("/permissions/{id}"), json!({ "fields": ["title"] })).await.data();
        visitor.items("notes", json!({ "fields": "id" })).await.refused(403, "FORBIDDEN");
        let expected = NOTES.replace("fields: [id, title] } } # for all", "fields: [title] } } # for all");
        until("it is written back", async || text(&project, "notes.yaml") == expected).await;
        let made = admin.post("/policies", json!({ "name": "Reader" })).await.data();
        let line = format!("  reader: {{ id: {}, name: Reader }}", made["id"].as_str().unwrap());
        let expected = ACCESS.replace("  writer:\nservice", &format!("  writer:\n{line}\nservice"));
        until("so is a policy", async || text(&project, "_access.yaml") == expected).await;

        // Nothing is left to do, and the tests still hold.
        tokio::time::sleep(Duration::from_secs(2)).await;
        project.run(&["plan"]).says(&["The database is as the files say."]);
        project.run(&["check"]).says(&["3 passed, 0 failed"]);
        let writer = "writer: { create: true, read: { where: { owner: { _eq: $CURRENT_USER } } } }";
        project.write("notes.yaml", NOTES.replace(writer, "writer: [create, read]"));
        project.run(&["check"]).refused(&[
            "collections/notes.yaml:14:40: bert, read notes: expected 0 rows, got 1",
            "2 passed, 1 failed",
        ]);
    })
    .await;
}
