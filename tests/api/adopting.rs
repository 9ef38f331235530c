//! A database that another server made and filled is served in place.

use serde_json::{Value, json};

use crate::support::reference::{self, Reference};
use crate::support::server::{ADMIN_EMAIL, ADMIN_PASSWORD};
use crate::support::{Client, Database, Engine, Project, each_database};

const TOKEN: &str = "token-in-the-clear-of-a-reader";
const PASSWORD: &str = "Passw0rd-of-reader";

/// Asked of both servers, by the administrator and by a reader with few rights.
const QUESTIONS: &[&str] = &[
    "/items/articles?sort=id&fields=*",
    "/items/articles?sort=-published,id&fields=id,title,published,stamp,day,at&limit=3",
    "/items/articles?sort=id&fields=id,author.name,tags.tags_id.name,author.articles.title",
    "/items/articles?filter[published][_gt]=2024-03-01T00:00:00&sort=id&fields=id,published",
    "/items/articles?filter[day][_in]=2024-01-02,2024-01-04&sort=id&fields=id,day",
    "/items/articles?filter[stamp][_between]=2024-01-02T00:00:00Z,2024-01-04T00:00:00Z&sort=id&fields=id,stamp",
    "/items/articles?filter[year(published)][_eq]=2024&sort=id&fields=id,month(published),day(day)",
    "/items/articles?filter[flag][_eq]=true&sort=id&fields=id,flag,list,extra",
    "/items/articles?filter[author][name][_contains]=uthor 2&sort=id&fields=id,author",
    "/items/articles?filter[tags][tags_id][name][_eq]=t1&sort=id&fields=id",
    "/items/articles?search=3&sort=id&fields=id,title",
    "/items/articles?page=2&limit=2&sort=id&fields=id&meta=total_count,filter_count",
    "/items/articles?aggregate[count]=*&groupBy=flag&sort=flag",
    "/items/articles?aggregate[min]=published,day&aggregate[max]=number",
    "/items/articles/2?fields=*.*",
    "/items/articles/99",
    "/items/authors?sort=id&deep[articles][_sort]=-id&deep[articles][_limit]=1&fields=name,articles.id,articles.title",
    "/items/hidden",
    "/items/settings",
    "/items/nope",
    "/users/me?fields=id,email,role,status,first_name",
    "/users?sort=email&fields=email,role.name,policies.policy.name",
    "/roles?sort=name&fields=name,policies.policy.name",
    "/activity?sort=id&limit=5&fields=action,collection,item",
    "/revisions?sort=id&limit=3&fields=collection,item,data,delta",
];

async fn login(visitor: &Client, email: &str, password: &str) -> Client {
    let answer = visitor.post("/auth/login", json!({ "email": email, "password": password })).await.data();
    visitor.with_token(Some(answer["access_token"].as_str().unwrap()))
}

fn field(name: &str, kind: &str, special: &[&str]) -> Value {
    json!({ "field": name, "type": kind, "schema": {}, "meta": { "special": special } })
}

/// Makes a model and fills it, through the server's own API.
async fn fill(admin: &Client) {
    let id = json!({ "field": "id", "type": "integer", "schema": { "is_primary_key": true, "has_auto_increment": true }, "meta": {} });
    let table = async |name: &str, meta: Value, mut fields: Vec<Value>| {
        fields.insert(0, id.clone());
        admin
            .post("/collections", json!({ "collection": name, "schema": {}, "meta": meta, "fields": fields }))
            .await
            .data();
    };
    table("authors", json!({}), vec![field("name", "string", &[])]).await;
    table("tags", json!({}), vec![field("name", "string", &[])]).await;
    table("hidden", json!({}), vec![field("name", "string", &[])]).await;
    table("settings", json!({ "singleton": true }), vec![field("title", "string", &[])]).await;
    let plain = vec![
        field("title", "string", &[]),
        field("body", "text", &[]),
        field("number", "integer", &[]),
        field("large", "bigInteger", &[]),
        field("ratio", "float", &[]),
        field("flag", "boolean", &["cast-boolean"]),
        field("published", "dateTime", &[]),
        field("stamp", "timestamp", &["cast-timestamp"]),
        field("day", "date", &[]),
        field("at", "time", &[]),
        field("extra", "json", &["cast-json"]),
        field("list", "csv", &["cast-csv"]),
        field("secret", "hash", &["hash", "conceal"]),
        field("made", "timestamp", &["date-created", "cast-timestamp"]),
        field("author", "integer", &["m2o"]),
    ];
    table("articles", json!({ "sort_field": null }), plain).await;
    table(
        "articles_tags",
        json!({ "hidden": true }),
        vec![field("articles_id", "integer", &[]), field("tags_id", "integer", &[])],
    )
    .await;
    let alias = async |table: &str, name: &str, special: &str| {
        let body = json!({ "field": name, "type": "alias", "meta": { "special": [special] } });
        admin.post(&format!("/fields/{table}"), body).await.data();
    };
    alias("authors", "articles", "o2m").await;
    alias("articles", "tags", "m2m").await;
    let relation = async |many: &str, field: &str, one: &str, meta: Value| {
        let body = json!({ "collection": many, "field": field, "related_collection": one, "meta": meta, "schema": { "on_delete": "SET NULL" } });
        admin.post("/relations", body).await.data();
    };
    relation("articles", "author", "authors", json!({ "one_field": "articles" })).await;
    relation(
        "articles_tags",
        "articles_id",
        "articles",
        json!({ "one_field": "tags", "junction_field": "tags_id" }),
    )
    .await;
    relation("articles_tags", "tags_id", "tags", json!({ "junction_field": "articles_id" })).await;

    let named = |prefix: &str| (1..=3).map(|n| json!({ "name": format!("{prefix}{n}") })).collect::<Vec<_>>();
    admin.post("/items/authors", json!(named("Author "))).await.data();
    admin.post("/items/tags", json!(named("t"))).await.data();
    admin.post("/items/hidden", json!(named("h"))).await.data();
    admin.patch("/items/settings", json!({ "title": "Adopted" })).await.data();
    for n in 1..=6 {
        let article = json!({
            "title": format!("Article {n}"), "body": format!("Text {n}"), "number": n * 10, "large": (n * 1_000_000_007_i64).to_string(),
            "ratio": n as f64 * 1.5, "flag": n % 2 == 0, "published": format!("2024-0{n}-15T10:0{n}:00"),
            "stamp": format!("2024-01-0{n}T12:00:00Z"), "day": format!("2024-01-0{n}"), "at": format!("0{n}:30:00"),
            "extra": { "n": n, "deep": [1, { "x": null }] }, "list": ["a", format!("b{n}")], "secret": "s3cret", "author": 1 + n % 3,
            "tags": [{ "tags_id": 1 + n % 3 }],
        });
        admin.post("/items/articles", article).await.data();
    }
    admin.patch("/items/articles/3", json!({ "title": "Article three", "day": null })).await.data();

    let role = admin.post("/roles", json!({ "name": "Readers" })).await.data()["id"].clone();
    let policy = admin.post("/policies", json!({ "name": "reading" })).await.data()["id"].clone();
    admin.post("/access", json!({ "role": role, "policy": policy })).await.data();
    let right = |collection: &str, permissions: Value, fields: &[&str]| json!({ "policy": policy, "collection": collection, "action": "read", "permissions": permissions, "fields": fields });
    let rights = json!([
        right(
            "articles",
            json!({ "number": { "_lt": 50 } }),
            &["id", "title", "published", "stamp", "day", "flag", "author", "tags"]
        ),
        right("authors", json!({}), &["*"]),
    ]);
    admin.post("/permissions", rights).await.data();
    let user = json!({ "email": "reader@example.com", "password": PASSWORD, "token": TOKEN, "role": role, "status": "active" });
    admin.post("/users", user).await.data();
    let flow = admin.post("/flows", json!({ "name": "At night", "trigger": "schedule", "status": "active", "options": { "cron": "0 3 * * *" } }));
    let flow = flow.await.data()["id"].clone();
    let operation = json!({ "flow": flow, "key": "first", "type": "log", "position_x": 1, "position_y": 1, "options": { "message": "m" } });
    admin.post("/operations", operation).await.data();
}

/// The same number is the same, also as a text: we answer as on PostgreSQL on every database.
fn alike(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| alike(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, left)| right.get(name).is_some_and(|right| alike(left, right)))
        }
        (Value::Number(number), Value::String(text)) | (Value::String(text), Value::Number(number)) => {
            text.parse::<f64>().ok() == number.as_f64()
        }
        _ => left == right,
    }
}

async fn answers(client: &Client) -> Vec<(u16, Value)> {
    let mut all = Vec::new();
    for question in QUESTIONS {
        let answer = client.get(question).await;
        all.push((answer.status, if answer.status == 200 { answer.data() } else { Value::Null }));
    }
    all
}

#[tokio::test]
async fn what_the_reference_made_answers_the_same() {
    let Some(folder) = reference::folder() else { return };
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let theirs = Reference::start(&folder, &database).await;
        let admin = login(&theirs.visitor, ADMIN_EMAIL, ADMIN_PASSWORD).await;
        fill(&admin).await;
        let expected = [answers(&admin).await, answers(&theirs.visitor.with_token(Some(TOKEN))).await];
        theirs.stop();
        let layout = tables(&database).await;

        let project = Project::new(database, &[]).await;
        let server = project.server().start().await;
        let admin = login(&server.visitor(), ADMIN_EMAIL, ADMIN_PASSWORD).await;
        let reader = server.visitor().with_token(Some(TOKEN));
        for (client, expected) in [&admin, &reader].into_iter().zip(&expected) {
            let given = answers(client).await;
            for ((question, given), expected) in QUESTIONS.iter().zip(&given).zip(expected) {
                assert_eq!(given.0, expected.0, "{question}");
                assert!(alike(&given.1, &expected.1), "{question}\n  ours: {}\ntheirs: {}", given.1, expected.1);
            }
        }
        login(&server.visitor(), "reader@example.com", PASSWORD).await;
        assert_eq!(tables(&project.database).await, layout, "no table of theirs was altered");

        // What is written here is kept in their form.
        let body = json!({ "title": "ours", "published": "2030-02-03T04:05:06", "day": "2030-02-03", "stamp": "2030-02-03T04:05:06.789Z" });
        let made = admin.create("articles", body).await;
        assert_eq!((&made["published"], &made["day"]), (&json!("2030-02-03T04:05:06"), &json!("2030-02-03")));
        // Their columns on MariaDB keep whole seconds.
        let stamp = engine.pick("2030-02-03T04:05:06.789Z", "2030-02-03T04:05:06.789Z", "2030-02-03T04:05:06.000Z");
        assert_eq!(made["stamp"], stamp);
        let kept = format!("SELECT published FROM articles WHERE id = {}", made["id"]);
        if engine == Engine::Sqlite {
            assert_eq!(project.database.rows(&kept).await, [["1896321906000"]]);
        }
        admin.patch(&format!("/items/articles/{}", made["id"]), json!({ "day": "2031-01-01" })).await.data();
        let found = admin.items("articles", json!({ "filter": { "day": { "_gte": "2030-06-01" } } })).await;
        assert_eq!(found.column("title"), [json!("ours")]);

        reports_and_pulls(&project).await;
    })
    .await;
}

/// The report, the tokens, and the files that `pull` writes.
async fn reports_and_pulls(project: &Project) {
    let report = project.run(&["adopt"]);
    report.ok();
    report.says(&["2 users", "1 static token(s) stand in the clear", "1 flow(s) are active"]);
    project.run(&["adopt", "--hash-tokens"]).says(&["hashed 1 static token(s)"]);
    assert_eq!(project.database.count("directus_users", "token LIKE 'sha256:%'").await, 1);

    project.run(&["pull"]).ok();
    let plan = project.run(&["plan"]);
    let unwanted = ["change column", "drop", "alter", "make"];
    assert!(unwanted.iter().all(|word| !plan.ok().contains(word)), "{}", plan.printed);
    let server = project.server().start().await;
    let reader = server.visitor().with_token(Some(TOKEN));
    let titles = reader.get("/items/articles?sort=id&fields=title,published&limit=2").await.data();
    assert_eq!(titles[1], json!({ "title": "Article 2", "published": "2024-02-15T10:02:00" }));
}

/// Every table of the other server as the database describes it.
async fn tables(database: &Database) -> Vec<Vec<String>> {
    let sql = database.engine.pick(
        "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'tablature%' AND tbl_name NOT LIKE 'tablature%' ORDER BY name",
        "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns \
         WHERE table_schema = current_schema() AND table_name NOT LIKE 'tablature%' ORDER BY 1, 2",
        "SELECT table_name, column_name, column_type, is_nullable, column_default FROM information_schema.columns \
         WHERE table_schema = database() AND table_name NOT LIKE 'tablature%' ORDER BY 1, 2",
    );
    database.rows(sql).await
}

#[tokio::test]
async fn keys_of_several_columns_views_and_odd_types_are_served() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        database.execute("CREATE TABLE seats (hall varchar(10) NOT NULL, seat integer NOT NULL, taken boolean, PRIMARY KEY (hall, seat))").await;
        database.execute("INSERT INTO seats VALUES ('a', 1, true), ('a', 2, false), ('b', 1, true)").await;
        database.execute("CREATE VIEW taken_seats AS SELECT hall, count(*) AS n FROM seats WHERE taken = true GROUP BY hall").await;
        let odd = engine.pick("geometry", "inet", "set('x','y')");
        database.execute(&format!("CREATE TABLE odd (id integer NOT NULL PRIMARY KEY, value {odd})")).await;
        let value = engine.pick("'POINT(1 2)'", "'10.0.0.1'", "'x'");
        database.execute(&format!("INSERT INTO odd VALUES (1, {value})")).await;

        let project = Project::new(database, &[]).await;
        let server = project.server().start().await;
        let admin = server.admin();
        let seats = admin.get("/items/seats?filter[hall][_eq]=a&sort=-seat").await.data();
        assert_eq!(seats, json!([{ "hall": "a", "seat": 2, "taken": false }, { "hall": "a", "seat": 1, "taken": true }]));
        let count = admin.get("/items/seats?aggregate[count]=*").await.data();
        assert_eq!(count, json!([{ "count": "3" }]));
        admin.post("/items/seats", json!({ "hall": "c", "seat": 1 })).await.refused_with(400);
        let view = admin.get("/items/taken_seats?sort=hall&fields=hall").await.data();
        assert_eq!(view, json!([{ "hall": "a" }, { "hall": "b" }]));
        admin.patch("/items/taken_seats", json!([{ "hall": "a" }])).await.refused_with(400);
        let value = admin.get("/items/odd/1").await.data()["value"].clone();
        assert!(value.as_str().is_some_and(|text| ["POINT(1 2)", "10.0.0.1/32", "10.0.0.1", "x"].contains(&text)), "{value}");
        admin.patch("/items/odd/1", json!({ "value": "new" })).await.refused(400, "INVALID_PAYLOAD");

        let report = project.run(&["adopt"]);
        report.ok();
        report.says(&["seats has a primary key of several columns (hall, seat)", "taken_seats has no primary key", "odd.value is of the type"]);
        project.run(&["pull"]).ok();
        let names: Vec<String> = project.files().into_iter().map(|(name, _)| name).collect();
        // Whether `odd` is taken home depends on how its key counts.
        let is_taken = |table: &str| names.iter().any(|name| name.contains(table));
        assert!(!is_taken("seats"), "what has no single key stays in the database only: {names:?}");
    })
    .await;
}
