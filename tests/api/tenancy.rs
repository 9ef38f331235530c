//! Tenants of one database know nothing of each other.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::random::Random;
use crate::support::server::ServerBuilder;
use crate::support::{Client, Database, Engine, Project, Server, each_database, engines, long, until};

fn collections() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/tenants")
}

/// Everything, for everybody who has the policy: only tenancy stands between them. Remarks have no tenant of their own.
fn everything() -> Value {
    let mut rights = Vec::new();
    for collection in ["firms", "people", "projects", "tasks", "tags", "projects_tags"] {
        for action in ["read", "create", "update", "delete"] {
            rights.push(json!([collection, action, {}, ["*"]]));
        }
    }
    let own = json!({ "task": { "firm": { "people": { "user": { "_eq": "$CURRENT_USER" } } } } });
    rights.push(json!(["remarks", "read", own, ["*"]]));
    rights.push(json!(["remarks", "create", {}, ["*"]]));
    json!(rights)
}

/// A key that depends on these two numbers only.
fn key(kind: u32, number: u32) -> String {
    format!("{kind:08x}-0000-4000-8000-{number:012x}")
}

const FIRM: u32 = 1;
const PERSON: u32 = 2;
const PROJECT: u32 = 3;
const TASK: u32 = 4;
const TAG: u32 = 5;
const REMARK: u32 = 6;

const WORDS: [&str; 6] = ["alpha", "beta", "Gamma", "delta", "été", "zeta"];

/// A firm with people, projects, tasks, tags and remarks; `number` tells firms apart, everything else is alike.
async fn fill(admin: &Client, number: u32, users: &[&str]) {
    let mut random = Random::new(7 + u64::from(number));
    let at = |position: u32| number * 1000 + position;
    let firm = key(FIRM, number);
    admin.create("firms", json!({ "id": firm, "name": format!("Firm {number}") })).await;
    for (position, user) in users.iter().enumerate() {
        let id = key(PERSON, at(position as u32));
        let person = json!({ "id": id, "firm": firm, "user": user, "name": WORDS[position], "active": true });
        admin.create("people", person).await;
    }
    let tags: Vec<Value> = (0..4)
        .map(|tag| json!({ "id": key(TAG, at(tag)), "firm": firm, "name": WORDS[tag as usize] }))
        .collect();
    admin.post("/items/tags", json!(tags)).await.data();
    for project in 0..8 {
        let row = json!({
            "id": key(PROJECT, at(project)), "firm": firm, "code": format!("P{project}"),
            "title": random.pick(&WORDS), "budget": format!("{}.50", random.below(1000)),
            "start": format!("2026-0{}-01", 1 + random.below(9)), "lead": key(PERSON, at(0)),
            "parent": (project > 3).then(|| key(PROJECT, at(project - 4))),
            "tags": [{ "tags_id": key(TAG, at(random.below(4) as u32)) }],
            "tasks": (0..3).map(|task| json!({
                "id": key(TASK, at(project * 10 + task)), "firm": firm, "title": random.pick(&WORDS),
                "hours": random.below(40), "done": random.one_in(2),
                "notes": [{ "id": key(REMARK, at(project * 10 + task)), "text": random.pick(&WORDS) }],
            })).collect::<Vec<_>>(),
        });
        admin.create("projects", row).await;
    }
}

/// A server with one firm, or with two; who belongs to the first speaks, with everything allowed.
async fn world(engine: Engine, has_other: bool) -> (Server, Database, Client) {
    let database = Database::fresh(engine).await;
    let server = Server::start(&database, &collections()).await;
    let me = settle(&server, has_other).await;
    (server, database, me)
}

/// The same in a database that keeps firms apart by itself.
async fn guarded_world(has_other: bool) -> (Server, Database, Client) {
    let database = Database::fresh_of_plain_role().await;
    let server = guarded(&database, &collections()).start().await;
    let me = settle(&server, has_other).await;
    (server, database, me)
}

fn guarded(database: &Database, collections: &Path) -> ServerBuilder {
    Server::builder(database).collections(collections).set("TENANCY_RLS", "true")
}

async fn settle(server: &Server, has_other: bool) -> Client {
    let admin = server.admin();
    let rights = policy(&admin, "everything", everything()).await;
    let (mine, me) = user(&admin, "ann", &[&rights]).await;
    fill(&admin, 1, &[&mine]).await;
    if has_other {
        let (theirs, _) = user(&admin, "bob", &[&rights]).await;
        fill(&admin, 2, &[&theirs]).await;
    }
    me
}

/// Random reads in the words of the model.
struct Maker(Random);

const PLACES: [&str; 6] = ["firms", "people", "projects", "tasks", "tags", "remarks"];

impl Maker {
    fn relations(of: &str) -> &'static [(&'static str, &'static str)] {
        match of {
            "firms" => &[("people", "people"), ("projects", "projects")],
            "people" => &[("firm", "firms"), ("led", "projects")],
            "projects" => &[
                ("firm", "firms"),
                ("lead", "people"),
                ("parent", "projects"),
                ("parts", "projects"),
                ("tasks", "tasks"),
                ("tags", "projects_tags"),
            ],
            "tasks" => &[("firm", "firms"), ("project", "projects"), ("notes", "remarks")],
            "tags" => &[("firm", "firms")],
            "projects_tags" => &[("tags_id", "tags"), ("projects_id", "projects")],
            _ => &[("task", "tasks")],
        }
    }

    fn plain(of: &str) -> &'static [&'static str] {
        match of {
            "firms" | "tags" => &["name", "id"],
            "people" => &["name", "active", "id"],
            "projects" => &["code", "title", "budget", "start", "id"],
            "tasks" => &["title", "hours", "done", "id"],
            "projects_tags" => &["id"],
            _ => &["text", "id"],
        }
    }

    fn path(&mut self, of: &str, depth: usize) -> String {
        if depth > 0 && self.0.one_in(2) {
            let (field, far) = *self.0.pick(Self::relations(of));
            return format!("{field}.{}", self.path(far, depth - 1));
        }
        if self.0.one_in(5) { "*".to_owned() } else { (*self.0.pick(Self::plain(of))).to_owned() }
    }

    fn filter(&mut self, of: &str, depth: usize) -> Value {
        match self.0.below(8) {
            0 => json!({ "_and": [self.leaf(of), self.leaf(of)] }),
            1 => json!({ "_or": [self.leaf(of), self.leaf(of)] }),
            2..=4 if depth > 0 => {
                let (field, far) = *self.0.pick(Self::relations(of));
                let inner = self.filter(far, depth - 1);
                let is_list =
                    matches!(field, "people" | "projects" | "led" | "parts" | "tasks" | "tags" | "notes");
                match self.0.below(3) {
                    0 if is_list => json!({ field: { "_none": inner } }),
                    1 if is_list => json!({ field: { "_some": inner } }),
                    _ => json!({ field: inner }),
                }
            }
            _ => self.leaf(of),
        }
    }

    fn leaf(&mut self, of: &str) -> Value {
        let field = *self.0.pick(Self::plain(of));
        let condition = match field {
            "id" if of == "projects_tags" => json!({ "_gt": self.0.below(20) }),
            "id" => json!({ *self.0.pick(&["_eq", "_neq"]): key(3, 2000 + self.0.below(4) as u32) }),
            "hours" => json!({ *self.0.pick(&["_lt", "_gte", "_eq"]): self.0.below(40) }),
            "budget" => json!({ "_gt": self.0.below(1000) }),
            "start" => json!({ "_lte": "2026-05-01" }),
            "done" | "active" => json!({ "_eq": true }),
            _ => {
                json!({ *self.0.pick(&["_eq", "_neq", "_icontains", "_starts_with"]): *self.0.pick(&WORDS) })
            }
        };
        json!({ field: condition })
    }

    fn request(&mut self) -> (String, Value) {
        let of = *self.0.pick(&PLACES);
        let path = format!("/items/{of}");
        let mut query = json!({});
        if self.0.one_in(2) {
            query["filter"] = self.filter(of, 3);
        }
        if self.0.one_in(5) {
            query["search"] = json!(*self.0.pick(&WORDS));
        }
        if self.0.one_in(4) {
            let field = *self.0.pick(Self::plain(of));
            query["aggregate"] = json!({ "count": "*", "countDistinct": [field] });
            if self.0.one_in(2) {
                query["groupBy"] = json!([*self.0.pick(Self::plain(of))]);
            }
            return (path, query);
        }
        let paths: Vec<String> = (0..1 + self.0.below(4)).map(|_| self.path(of, 3)).collect();
        query["fields"] = json!(paths);
        query["meta"] = json!("*");
        query["limit"] = json!(*self.0.pick(&[-1, 3, 10]));
        let direction = *self.0.pick(&["", "-"]);
        query["sort"] = json!([format!("{direction}{}", self.0.pick(Self::plain(of))), "id"]);
        if self.0.one_in(3) {
            let (field, far) = *self.0.pick(Self::relations(of));
            let filter = self.filter(far, 2);
            query["deep"] = json!({ field: { "_filter": filter, "_limit": 2, "_sort": ["id"] } });
        }
        (path, query)
    }
}

/// Where two texts part, with what stands around.
fn difference(left: &str, right: &str) -> String {
    let same = left.bytes().zip(right.bytes()).take_while(|(one, other)| one == other).count();
    let around = |text: &str| {
        let bytes = &text.as_bytes()[same.saturating_sub(100)..text.len().min(same + 100)];
        String::from_utf8_lossy(bytes).into_owned()
    };
    format!("{}\n{}", around(left), around(right))
}

/// The strongest form of it: whatever somebody of the first firm asks, the answer is the same, byte for byte, as in a world
/// where the second firm does not exist.
#[tokio::test]
async fn another_tenant_makes_no_difference_to_any_answer() {
    each_database(async |engine| {
        let (with, _first, me_with) = world(engine, true).await;
        let (_without, _second, me_without) = world(engine, false).await;
        compare(&with, &me_with, &me_without, if long() { 20_000 } else { 700 }).await;
    })
    .await;
}

/// The same where the database keeps them apart, too.
#[tokio::test]
async fn another_tenant_makes_no_difference_behind_row_level_security() {
    if !engines().contains(&Engine::Postgres) {
        return;
    }
    let (with, _first, me_with) = guarded_world(true).await;
    let (_without, _second, me_without) = guarded_world(false).await;
    compare(&with, &me_with, &me_without, if long() { 5_000 } else { 200 }).await;
}

/// Asks both worlds the same, and checks what became of it in the one with two firms.
async fn compare(with: &Server, me_with: &Client, me_without: &Client, count: usize) {
    let mut maker = Maker(Random::new(20_261_121));
    let mut with_rows = 0;
    for number in 0..count {
        let (path, query) = maker.request();
        let there = me_with.read(&path, query.clone()).await;
        let alone = me_without.read(&path, query.clone()).await;
        let what = format!("request {number} {path} {query}");
        assert!(there.status == 200, "{what}: {there:?}");
        assert!(there.bytes == alone.bytes, "{what}\n{}", difference(&there.text(), &alone.text()));
        with_rows += usize::from(there.text().len() > 40);
    }
    assert!(with_rows > count / 3, "only {with_rows} of {count} answers hold anything");

    // Writes that name what belongs to the other firm, or to nobody: alike, too.
    let theirs = |kind| key(kind, if kind == FIRM { 2 } else { 2000 });
    let mine = |kind| key(kind, if kind == FIRM { 1 } else { 1000 });
    let task = || json!({ "title": "new", "id": key(TASK, 1900) });
    let mut refused = vec![
        ("POST", "/items/tasks".to_owned(), json!({ "title": "x", "firm": theirs(FIRM) })),
        ("POST", "/items/tasks".to_owned(), json!({ "title": "x", "project": theirs(PROJECT) })),
        ("POST", "/items/remarks".to_owned(), json!({ "text": "x", "task": theirs(TASK) })),
        ("POST", "/items/projects".to_owned(), json!({ "title": "x", "tasks": [theirs(TASK)] })),
        ("POST", "/items/projects".to_owned(), json!({ "title": "x", "tags": [{ "tags_id": theirs(TAG) }] })),
        ("POST", "/items/projects".to_owned(), json!({ "title": "x", "lead": theirs(PERSON) })),
        (
            "POST",
            "/items/projects".to_owned(),
            json!({ "title": "x", "tasks": [{ "title": "y", "project": theirs(PROJECT), "firm": theirs(FIRM) }] }),
        ),
        ("PATCH", format!("/items/projects/{}", mine(PROJECT)), json!({ "lead": theirs(PERSON) })),
        ("PATCH", format!("/items/projects/{}", mine(PROJECT)), json!({ "parent": theirs(PROJECT) })),
        ("PATCH", format!("/items/projects/{}", mine(PROJECT)), json!({ "firm": theirs(FIRM) })),
        (
            "PATCH",
            format!("/items/projects/{}", mine(PROJECT)),
            json!({ "tasks": { "create": [], "update": [{ "id": key(TASK, 1000), "project": theirs(PROJECT), "firm": theirs(FIRM) }], "delete": [] } }),
        ),
        (
            "PATCH",
            "/items/tasks".to_owned(),
            json!({ "keys": [mine(TASK), theirs(TASK)], "data": { "title": "x" } }),
        ),
        ("DELETE", "/items/tasks".to_owned(), json!([mine(TASK), theirs(TASK)])),
    ];
    for kind in [(FIRM, "firms"), (PERSON, "people"), (PROJECT, "projects"), (TASK, "tasks"), (TAG, "tags")] {
        refused.push((
            "PATCH",
            format!("/items/{}/{}", kind.1, theirs(kind.0)),
            json!({ "id": theirs(kind.0) }),
        ));
        refused.push(("DELETE", format!("/items/{}/{}", kind.1, theirs(kind.0)), json!({})));
        refused.push(("GET", format!("/items/{}/{}", kind.1, theirs(kind.0)), json!(null)));
    }
    for (method, path, body) in &refused {
        let there = me_with.request(method, path).json(body).send().await;
        let alone = me_without.request(method, path).json(body).send().await;
        assert!((400..500).contains(&there.status), "{method} {path} {body}: {there:?}");
        assert_eq!((there.status, there.text()), (alone.status, alone.text()), "{method} {path} {body}");
    }
    let admin = with.admin();
    let firms = json!({ "aggregate": { "count": "*" }, "groupBy": ["firm"], "sort": ["firm"] });
    for (collection, rows) in [("tasks", "24"), ("projects", "8"), ("tags", "4"), ("people", "1")] {
        let counted = admin.items(collection, firms.clone()).await.data();
        assert_eq!(counted[0]["count"], rows, "{collection}: {counted}");
        assert_eq!(counted[1]["count"], rows, "{collection}: {counted}");
    }

    // New rows are stamped; what is unique is so within a firm.
    let made = me_with.post("/items/tasks", task()).await.data();
    assert_eq!(made["firm"], mine(FIRM));
    let taken = json!({ "code": "P1", "title": "x" });
    assert_eq!(
        me_with.post("/items/projects", taken.clone()).await.status,
        me_without.post("/items/projects", taken).await.status
    );
    admin.post("/items/projects", json!({ "code": "only there", "firm": theirs(FIRM) })).await.data();
    me_with.post("/items/projects", json!({ "code": "only there" })).await.data();
}

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
