//! Firms that share a database, alike but for their number.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::random::Random;
use crate::support::server::ServerBuilder;
use crate::support::{Client, Database, Engine, Server};

pub(super) fn collections() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/tenants")
}

/// Everything, for everybody who has the policy: only tenancy stands between them. Remarks have no tenant of their own.
pub(super) fn everything() -> Value {
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
pub(super) fn key(kind: u32, number: u32) -> String {
    format!("{kind:08x}-0000-4000-8000-{number:012x}")
}

pub(super) const FIRM: u32 = 1;
pub(super) const PERSON: u32 = 2;
pub(super) const PROJECT: u32 = 3;
pub(super) const TASK: u32 = 4;
pub(super) const TAG: u32 = 5;
pub(super) const REMARK: u32 = 6;

pub(super) const WORDS: [&str; 6] = ["alpha", "beta", "Gamma", "delta", "été", "zeta"];

/// A firm with people, projects, tasks, tags and remarks; `number` tells firms apart, everything else is alike.
pub(super) async fn fill(admin: &Client, number: u32, users: &[&str]) {
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
pub(super) async fn world(engine: Engine, has_other: bool) -> (Server, Database, Client) {
    let database = Database::fresh(engine).await;
    let server = Server::start(&database, &collections()).await;
    let me = settle(&server, has_other).await;
    (server, database, me)
}

/// The same in a database that keeps firms apart by itself.
pub(super) async fn guarded_world(has_other: bool) -> (Server, Database, Client) {
    let database = Database::fresh_of_plain_role().await;
    let server = guarded(&database, &collections()).start().await;
    let me = settle(&server, has_other).await;
    (server, database, me)
}

pub(super) fn guarded(database: &Database, collections: &Path) -> ServerBuilder {
    Server::builder(database).collections(collections).set("TENANCY_RLS", "true")
}

pub(super) async fn settle(server: &Server, has_other: bool) -> Client {
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
