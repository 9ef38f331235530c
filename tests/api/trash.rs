//! The trash: what is deleted can be restored, with everything that went with it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::{Client, Database, Engine, Project, Server, each_database};

const FIRMS: &str = "collection: firms
trash: { keep: 30d }
fields:
  id: integer_pk
  code: { type: string(10), unique: true }
  secret: hash
  total: \"decimal(10,2)\"
  day: date
  made: created_at
  data: json
  bytes: binary
  parent: m2o(firms)
  bills: o2m(bills.firm)
  tags: m2m(tags)
  blocks: { m2a: [texts] }
";

const BILLS: &str = "collection: bills
fields:
  id: uuid_pk
  firm: { m2o: firms, required: true, on_delete: cascade }
  lines: o2m(entries.bill)
  number: { type: string, number: \"B{seq}\" }
";

const ENTRIES: &str = "collection: entries
fields:
  id: integer_pk
  bill: { m2o: bills, required: true, on_delete: cascade }
  text: string
";

const VISITS: &str = "collection: visits
fields:
  id: integer_pk
  firm: m2o(firms)
  owner: m2o(directus_users)
  strict: { m2o: firms, on_delete: restrict }
";

async fn started(engine: Engine) -> (Server, Project, Client) {
    let plain = |name: &str| format!("collection: {name}\nfields:\n  id: integer_pk\n  name: string\n");
    let files = [
        ("firms.yaml", FIRMS),
        ("bills.yaml", BILLS),
        ("entries.yaml", ENTRIES),
        ("visits.yaml", VISITS),
        ("tags.yaml", &plain("tags")),
        ("texts.yaml", &format!("{}trash: true\n", plain("texts"))),
    ];
    let project = Project::new(Database::fresh(engine).await, &files).await;
    let server = project.server().start().await;
    let admin = server.admin();
    admin.create("tags", json!({ "id": 1, "name": "t" })).await;
    (server, project, admin)
}

const WHOLE: &str = "/items/firms/1?fields=*,bills.*,bills.lines.*,tags.tags_id.name,blocks.collection,blocks.item.name,parent";

/// A firm with everything that can hang on it.
async fn fill(admin: &Client) {
    let firm = json!({
        "id": 1, "code": "F1", "secret": "s3cret", "total": "12.50", "day": "2026-01-02", "data": { "a": [1, { "$ref": "x" }] },
        "bytes": "AAEC/w==", "parent": 1, "tags": [{ "tags_id": 1 }],
        "bills": [{ "lines": [{ "text": "one" }, { "text": "two" }] }, { "lines": [] }],
        "blocks": [{ "collection": "texts", "item": { "name": "block" } }],
    });
    admin.create("firms", json!({ "id": 1, "code": "tmp" })).await;
    admin.patch("/items/firms/1", firm).await.data();
    admin.create("visits", json!({ "id": 1, "firm": 1 })).await;
    admin.create("visits", json!({ "id": 2, "firm": 1 })).await;
}

async fn listed(client: &Client, collection: &str) -> Vec<Value> {
    client.get(&format!("/tablature/trash/{collection}")).await.data().as_array().cloned().unwrap()
}

fn restore_path(entry: &Value) -> String {
    format!(
        "/tablature/trash/{}/{}/restore",
        entry["collection"].as_str().unwrap(),
        entry["id"].as_str().unwrap()
    )
}

#[tokio::test]
async fn an_item_comes_back_with_all_that_went_with_it() {
    each_database(async |engine| {
        let (_server, project, admin) = started(engine).await;
        fill(&admin).await;
        let before = admin.get(WHOLE).await.data();
        let hash = project.database.rows("SELECT secret FROM firms").await;
        admin.delete("/items/firms/1").await.no_content();

        admin.get("/items/firms/1").await.refused(403, "FORBIDDEN");
        assert_eq!(admin.get("/items/firms?aggregate[count]=*").await.data(), json!([{ "count": "0" }]));
        for table in ["bills", "entries", "firms_tags", "firms_blocks"] {
            assert_eq!(project.database.count(table, "1 = 1").await, 0, "{table}");
        }
        assert_eq!(
            admin.get("/items/visits?sort=id&fields=firm").await.column("firm"),
            [Value::Null, Value::Null]
        );
        // Somebody else's visit meanwhile.
        admin.create("firms", json!({ "id": 2, "code": "F2" })).await;
        admin.patch("/items/visits/2", json!({ "firm": 2 })).await.data();

        let entries = listed(&admin, "firms").await;
        assert_eq!(entries.len(), 1, "{entries:?}");
        assert_eq!((&entries[0]["collection"], &entries[0]["item"]), (&json!("firms"), &json!("1")));
        assert!(entries[0]["expires_at"].is_string() && entries[0].get("content").is_none());
        assert_eq!(admin.post(&restore_path(&entries[0]), json!({})).await.data(), 1);

        assert_eq!(admin.get(WHOLE).await.data(), before);
        assert_eq!(
            project.database.rows("SELECT secret FROM firms WHERE id = 1").await,
            hash,
            "the hash is the same"
        );
        assert_eq!(admin.get("/items/visits?sort=id&fields=firm").await.column("firm"), [json!(1), json!(2)]);
        assert!(listed(&admin, "firms").await.is_empty());
        admin.post(&restore_path(&entries[0]), json!({})).await.refused(403, "FORBIDDEN");
        // Keys go on behind those that came back.
        assert_eq!(admin.create("firms", json!({ "code": "F3" })).await["id"], 3);
        let created = "collection = 'firms' AND item = '1' AND action = 'create'";
        assert_eq!(
            project.database.count("directus_activity", created).await,
            2,
            "a return is recorded as a creation"
        );
    })
    .await;
}

#[tokio::test]
async fn a_place_that_is_taken_is_told() {
    each_database(async |engine| {
        let (_server, project, admin) = started(engine).await;
        fill(&admin).await;
        admin.delete("/items/firms/1").await.no_content();
        let entry = listed(&admin, "firms").await.remove(0);
        // Unique values of what is in the trash are free.
        let other = admin.create("firms", json!({ "id": 7, "code": "F1" })).await;
        admin.post(&restore_path(&entry), json!({})).await.refused(400, "RECORD_NOT_UNIQUE");
        assert_eq!(listed(&admin, "firms").await.len(), 1, "it stays where it is");
        assert_eq!(project.database.count("bills", "1 = 1").await, 0, "nothing came back");
        admin.patch("/items/firms/7", json!({ "code": "F7" })).await.data();
        admin.delete("/items/tags/1").await.no_content();
        admin.post(&restore_path(&entry), json!({})).await.refused(400, "INVALID_FOREIGN_KEY");
        admin.create("tags", json!({ "id": 1, "name": "again" })).await;
        assert_eq!(admin.post(&restore_path(&entry), json!({})).await.data(), 1);
        assert_eq!(other["id"], 7);
    })
    .await;
}

#[tokio::test]
async fn what_may_not_be_deleted_is_not_in_the_trash() {
    each_database(async |engine| {
        let (_server, _project, admin) = started(engine).await;
        admin.create("firms", json!({ "id": 1, "code": "a" })).await;
        admin.create("visits", json!({ "strict": 1 })).await;
        admin.delete("/items/firms/1").await.refused(400, "INVALID_FOREIGN_KEY");
        assert!(listed(&admin, "firms").await.is_empty());
        // Collections without a trash have none, and neither has the system.
        admin.delete("/items/tags/1").await.no_content();
        for collection in ["tags", "nope", "directus_users"] {
            admin.get(&format!("/tablature/trash/{collection}")).await.refused(403, "FORBIDDEN");
        }
        admin.get("/tablature/trash/firms?limit=x").await.refused(400, "INVALID_QUERY");
        admin.get("/tablature/trash/firms?before=x").await.refused(403, "FORBIDDEN");
        admin.post("/tablature/trash/firms/x/restore", json!({})).await.refused(403, "FORBIDDEN");
        admin
            .delete("/tablature/trash/firms/01a1fce2-1a0c-7005-8b9a-de0ef255b2c2")
            .await
            .refused(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn entries_are_listed_purged_and_forgotten() {
    each_database(async |engine| {
        let (server, project, admin) = started(engine).await;
        let rows: Vec<Value> = (1..=5).map(|n| json!({ "id": n, "name": format!("x{n}") })).collect();
        admin.post("/items/texts", json!(rows)).await.data();
        admin.request("DELETE", "/items/texts").json(&json!([1, 2, 3, 4, 5])).send().await.no_content();
        let entries = listed(&admin, "texts").await;
        let items = |entries: &[Value]| {
            entries.iter().map(|entry| entry["item"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(items(&entries), ["5", "4", "3", "2", "1"]);
        assert!(entries.iter().all(|entry| entry["expires_at"].is_null()), "kept without end");
        let page = format!("/tablature/trash/texts?limit=2&before={}", entries[1]["id"].as_str().unwrap());
        assert_eq!(items(admin.get(&page).await.data().as_array().unwrap()), ["3", "2"]);

        admin
            .delete(&format!("/tablature/trash/texts/{}", entries[0]["id"].as_str().unwrap()))
            .await
            .no_content();
        assert_eq!(listed(&admin, "texts").await.len(), 4);
        admin.delete("/tablature/trash/texts").await.no_content();
        assert!(listed(&admin, "texts").await.is_empty());

        admin.create("firms", json!({ "id": 9, "code": "old" })).await;
        admin.delete("/items/firms/9").await.no_content();
        let entry = listed(&admin, "firms").await.remove(0);
        let past =
            engine.pick("'2020-01-01T00:00:00.000Z'", "'2020-01-01T00:00:00Z'", "'2020-01-01 00:00:00'");
        project.database.execute(&format!("UPDATE tablature_trash SET expires_at = {past}")).await;
        assert!(listed(&admin, "firms").await.is_empty(), "its time is over");
        admin.post(&restore_path(&entry), json!({})).await.refused(403, "FORBIDDEN");
        drop(server);
        let _server = project.server().start().await;
        for _ in 0..100 {
            if project.database.count("tablature_trash", "1 = 1").await == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("what was there long enough is still there");
    })
    .await;
}

#[tokio::test]
async fn everybody_restores_what_they_deleted() {
    each_database(async |engine| {
        let (_server, _project, admin) = started(engine).await;
        let rights = json!([
            ["firms", "read", {}, ["*"]],
            ["firms", "delete", { "code": { "_starts_with": "open" } }, ["*"]],
        ]);
        let rights = policy(&admin, "clerks", rights).await;
        let (_, one) = user(&admin, "one", &[&rights]).await;
        let (_, two) = user(&admin, "two", &[&rights]).await;
        admin.create("firms", json!({ "id": 1, "code": "open1" })).await;
        admin.create("firms", json!({ "id": 2, "code": "closed" })).await;
        one.delete("/items/firms/1").await.no_content();
        one.delete("/items/firms/2").await.refused(403, "FORBIDDEN");
        admin.delete("/items/firms/2").await.no_content();
        let entry = listed(&one, "firms").await.remove(0);
        assert!(listed(&two, "firms").await.is_empty());
        assert_eq!(listed(&admin, "firms").await.len(), 2);
        two.post(&restore_path(&entry), json!({})).await.refused(403, "FORBIDDEN");
        two.delete(&format!("/tablature/trash/firms/{}", entry["id"].as_str().unwrap()))
            .await
            .refused(403, "FORBIDDEN");
        admin.with_token(None).get("/tablature/trash/firms").await.refused(403, "FORBIDDEN");
        assert_eq!(one.post(&restore_path(&entry), json!({})).await.data(), 1);
    })
    .await;
}

#[tokio::test]
async fn how_long_is_read_from_the_file() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[]).await;
        let refused = |trash: &str, said: &[&str]| {
            project.write("it.yaml", format!("collection: it\ntrash: {trash}\nfields:\n  id: uuid_pk\n"));
            project.run(&["plan"]).refused(said);
        };
        refused("{ keep: 30 }", &["it.yaml:2:", "keep"]);
        refused("{ keep: 3w }", &["it.yaml:2:16", "30d or 12h"]);
        refused("{ keep: 0d }", &["it.yaml:2:16"]);
        refused("{ for: 3d }", &["it.yaml:2:", "for"]);
        refused("yes please", &["it.yaml:2:", "trash"]);
        for good in ["true", "false", "{ keep: 12h }"] {
            project.write("it.yaml", format!("collection: it\ntrash: {good}\nfields:\n  id: uuid_pk\n"));
            project.run(&["plan"]).ok();
        }
    })
    .await;
}
