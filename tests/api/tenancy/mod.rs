//! Tenants of one database know nothing of each other.
//!
//! `alike` holds the strongest form of that; here is what is around it.

mod alike;
mod firms;

use serde_json::json;

use self::firms::{FIRM, PROJECT, TAG, collections, guarded, guarded_world, key, world};
use crate::support::{Database, Engine, Project, each_database, engines, until};

#[tokio::test]
async fn somebody_with_several_tenants_chooses_one() {
    each_database(async |engine| {
        let (server, _database, me) = world(engine, true).await;
        let admin = server.admin();
        let mine = me.get("/users/me?fields=id").await.data()["id"].clone();
        let membership = json!({ "firm": key(FIRM, 2), "user": mine, "name": "also here" });
        let membership = admin.create("people", membership).await;

        let count = async |tenant: Option<&str>| {
            let mut request = me.request("GET", "/items/projects?aggregate[count]=*");
            if let Some(tenant) = tenant {
                request = request.header("x-tenant", tenant);
            }
            request.send().await.data()[0]["count"].clone()
        };
        assert_eq!(count(None).await, "16");
        assert_eq!(count(Some(&key(FIRM, 1))).await, "8");
        assert_eq!(count(Some(&key(FIRM, 2))).await, "8");
        assert_eq!(count(Some(&key(FIRM, 3))).await, "0");
        assert_eq!(count(Some("nonsense")).await, "0");
        let alias = me
            .request("GET", "/items/projects?aggregate[count]=*")
            .header("x-organization-id", &key(FIRM, 2));
        assert_eq!(alias.send().await.data()[0]["count"], "8");

        me.post("/items/tags", json!({ "name": "whose?" })).await.refused(400, "INVALID_PAYLOAD");
        let body = json!({ "name": "theirs" });
        let chosen =
            me.request("POST", "/items/tags").header("x-tenant", &key(FIRM, 2)).json(&body).send().await;
        assert_eq!(chosen.data()["firm"], key(FIRM, 2));
        // Between one's own firms there are no references either.
        let across = json!({ "firm": key(FIRM, 1), "title": "x", "project": key(PROJECT, 2000) });
        me.post("/items/tasks", across).await.refused(400, "INVALID_FOREIGN_KEY");
        let across = json!({ "projects_id": key(PROJECT, 1000), "tags_id": key(TAG, 2000) });
        me.post("/items/projects_tags", across).await.refused(400, "INVALID_FOREIGN_KEY");
        let path = format!("/items/projects/{}", key(PROJECT, 1000));
        let across = json!({ "tags": [{ "tags_id": key(TAG, 2000) }] });
        me.patch(&path, across).await.refused(400, "INVALID_FOREIGN_KEY");

        // The end of a membership acts on the next request.
        let path = format!("/items/people/{}", membership["id"].as_str().expect("a key"));
        admin.patch(&path, json!({ "active": false })).await.data();
        assert_eq!(count(None).await, "8");
    })
    .await;
}

#[tokio::test]
async fn raw_sql_does_not_cross_row_level_security() {
    if !engines().contains(&Engine::Postgres) {
        return;
    }
    let (server, database, me) = guarded_world(true).await;
    let (mine, theirs) = (key(FIRM, 1), key(FIRM, 2));
    let tables =
        [("firms", 1), ("people", 1), ("projects", 8), ("tasks", 24), ("tags", 4), ("projects_tags", 8)];
    let as_mine = format!("SET tablature.tenants = '{{\"firms\": [\"{mine}\"]}}'");
    for (table, rows) in tables {
        assert_eq!(database.count(table, "true").await, 0, "{table}: nobody said for whom");
        // The number of the last statement is what counts.
        let read = |who: &str| format!("{who}; SELECT count(*) FROM {table}");
        let counted =
            |rows: Vec<Vec<String>>| rows.last().expect("a row")[0].parse::<i64>().expect("a number");
        assert_eq!(counted(database.rows(&read(&as_mine)).await), rows, "{table}");
        assert_eq!(counted(database.rows(&read("SET tablature.tenants = '{}'")).await), 0, "{table}");
        assert_eq!(counted(database.rows(&read("SET tablature.tenants = ''")).await), 0, "{table}");
        assert_eq!(counted(database.rows(&read("SET tablature.tenants = '*'")).await), 2 * rows, "{table}");
    }
    for (what, sql) in [
        (
            "a new row of theirs",
            format!("INSERT INTO tags (id, firm, name) VALUES (gen_random_uuid(), '{theirs}', 'x')"),
        ),
        ("giving a row away", format!("UPDATE tags SET firm = '{theirs}'")),
        (
            "joining what is theirs",
            format!(
                "INSERT INTO projects_tags (projects_id, tags_id) VALUES ('{}', '{}')",
                key(PROJECT, 1000),
                key(TAG, 2000)
            ),
        ),
    ] {
        let said = database.refusal(&format!("{as_mine}; {sql}")).await;
        assert!(said.contains("row-level security"), "{what}: {said}");
    }
    database.execute(&format!("{as_mine}; UPDATE tags SET name = 'mine now'; DELETE FROM tasks")).await;
    let admin = server.admin();
    let counted =
        admin.items("tags", json!({ "filter": { "name": { "_eq": "mine now" } }, "fields": "firm" })).await;
    assert_eq!(counted.column("firm"), vec![json!(mine); 4]);
    let left = admin.items("tasks", json!({ "fields": "firm", "limit": -1 })).await;
    assert_eq!(left.column("firm"), vec![json!(theirs); 24]);

    // Connections go from hand to hand, and each request reaches what its own caller may.
    let count = "/items/projects?aggregate[count]=*";
    for _ in 0..20 {
        let visitor = server.visitor();
        let (mine, all, none) = tokio::join!(me.get(count), admin.get(count), visitor.get(count));
        assert_eq!(mine.data()[0]["count"], "8");
        assert_eq!(all.data()[0]["count"], "16");
        none.refused(403, "FORBIDDEN");
    }
}

#[tokio::test]
async fn row_level_security_follows_the_model() {
    if !engines().contains(&Engine::Postgres) {
        return;
    }
    let of_superuser = Database::fresh(Engine::Postgres).await;
    let said = guarded(&of_superuser, &collections()).fails_to_start();
    assert!(said.contains("TENANCY_RLS") && said.contains("superuser"), "{said}");

    let firms = "collection: firms\nmembers: { people: { user: { _eq: $CURRENT_USER } } }\nfields:\n  name: string\n  people: { o2m: people.firm }\n";
    let people =
        "collection: people\ntenant: firm\nfields:\n  firm: m2o(firms)\n  user: m2o(directus_users)\n";
    let notes = "collection: notes\ntenant: firm\nfields:\n  firm: m2o(firms)\n  text: string\n";
    let files = [("firms.yaml", firms), ("people.yaml", people), ("notes.yaml", notes)];
    let project = Project::new(Database::fresh_of_plain_role().await, &files).await;
    let database = &project.database;
    let policies = async || {
        let found = database.rows("SELECT tablename FROM pg_policies ORDER BY 1").await;
        found.into_iter().map(|mut row| row.remove(0)).collect::<Vec<_>>()
    };
    let server = project.server().set("TENANCY_RLS", "true").set("WATCH", "true").start().await;
    assert_eq!(policies().await, ["firms", "notes", "people"]);
    let admin = server.admin();
    let firm = admin.create("firms", json!({ "name": "one" })).await["id"].clone();
    admin.create("notes", json!({ "firm": firm, "text": "12" })).await;

    // A column that a rule names is renamed, and one of another type comes in: the rules go with it.
    let renamed =
        "collection: notes\ntenant: owner\nfields:\n  owner: { m2o: firms, was: firm }\n  text: text\n";
    project.write("notes.yaml", renamed);
    until("the owner is known", async || admin.get("/items/notes?fields=owner").await.status == 200).await;
    assert_eq!(policies().await, ["firms", "notes", "people"]);
    assert_eq!(database.count("notes", "true").await, 0);
    // Rows without a tenant belong to everybody.
    project.write("notes.yaml", renamed.replace("tenant: owner\n", ""));
    until("the rule is gone", async || policies().await == ["firms", "people"]).await;
    assert_eq!(database.count("notes", "true").await, 1);
    // What somebody switched off by hand is switched on again.
    database.execute("ALTER TABLE people DISABLE ROW LEVEL SECURITY").await;
    drop(server);
    let server = project.server().set("TENANCY_RLS", "true").start().await;
    let is_on = "SELECT relrowsecurity::text FROM pg_class WHERE relname = 'people'";
    assert_eq!(database.rows(is_on).await, [["true"]]);
    drop(server);
    let server = project.server().start().await;
    assert_eq!(policies().await, Vec::<String>::new());
    assert_eq!(database.count("firms", "true").await, 1);
    drop(server);
}
