//! Two nodes on one database: what is changed on one acts on the other.

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::{Client, Database, Engine, Server, blog, each_database};

/// A node where somebody changes things, and another that is asked.
struct Nodes {
    admin: Client,
    /// Speaks to the other node.
    asked: Client,
    /// Speaks to both, with the same token.
    near: Client,
    user: String,
    policy: String,
}

impl Nodes {
    /// What both nodes answer to the very next request.
    async fn read(&self) -> u16 {
        let status = self.asked.get("/items/notes?fields=id").await.status;
        assert_eq!(self.near.get("/items/notes?fields=id").await.status, status);
        status
    }

    async fn change(&self, path: &str, body: Value) {
        self.admin.patch(path, body).await.data();
    }
}

#[tokio::test]
async fn changes_act_on_every_node() {
    each_database(async |engine| {
        if engine == Engine::Sqlite {
            // A file has one server.
            return;
        }
        let database = Database::fresh(engine).await;
        let first = Server::start(&database, &blog::collections()).await;
        let second = Server::start(&database, &blog::collections()).await;
        let admin = first.admin();
        let reads = json!([["notes", "read", {}, ["id", "name"]]]);
        let policy = policy(&admin, "reader", reads.clone()).await;
        let (user, near) = user(&admin, "reader", &[&policy]).await;
        let asked = second.visitor().with_token(near.token());
        let nodes = Nodes { admin: admin.clone(), asked, near, user: user.clone(), policy: policy.clone() };
        assert_eq!(nodes.read().await, 200);

        // A permission: its fields, its rows, its end and its return.
        let found = admin.get(&format!("/permissions?filter[policy][_eq]={policy}")).await.data()[0].clone();
        let permission = format!("/permissions/{}", found["id"]);
        nodes.change(&permission, json!({ "fields": ["name"] })).await;
        assert_eq!(nodes.read().await, 403);
        nodes.change(&permission, json!({ "fields": ["id"] })).await;
        assert_eq!(nodes.read().await, 200);
        let note = admin.create("notes", json!({ "name": "seen" })).await;
        nodes.change(&permission, json!({ "permissions": { "id": { "_neq": note["id"] } } })).await;
        assert_eq!(nodes.read().await, 200);
        let path = format!("/items/notes/{}?fields=id", note["id"]);
        nodes.asked.get(&path).await.refused(403, "FORBIDDEN");
        admin.delete(&permission).await.no_content();
        assert_eq!(nodes.read().await, 403);
        let row = json!({ "policy": policy, "collection": "notes", "action": "read", "fields": ["id"], "permissions": {} });
        admin.post("/permissions", row).await.data();
        assert_eq!(nodes.read().await, 200);
        assert_eq!(nodes.asked.get(&path).await.status, 200);

        membership(&nodes).await;
        status(&nodes).await;
    })
    .await;
}

/// Who has a policy, by themselves, by a role, or by the role above it.
async fn membership(nodes: &Nodes) {
    let Nodes { admin, user, policy, .. } = nodes;
    let grants = admin.get(&format!("/access?filter[user][_eq]={user}")).await.column("id");
    admin.delete_with("/access", json!(grants)).await.no_content();
    assert_eq!(nodes.read().await, 403);
    let above = admin.post("/roles", json!({ "name": "Above" })).await.data()["id"].clone();
    let role = admin.post("/roles", json!({ "name": "Below" })).await.data()["id"].clone();
    admin.post("/access", json!({ "role": above, "policy": policy })).await.data();
    nodes.change(&format!("/users/{user}"), json!({ "role": role })).await;
    assert_eq!(nodes.read().await, 403);
    nodes.change(&format!("/roles/{}", role.as_str().unwrap()), json!({ "parent": above })).await;
    assert_eq!(nodes.read().await, 200);
    nodes.change(&format!("/roles/{}", role.as_str().unwrap()), json!({ "parent": null })).await;
    assert_eq!(nodes.read().await, 403);
    nodes.change(&format!("/users/{user}"), json!({ "role": above })).await;
    assert_eq!(nodes.read().await, 200);
    nodes.change(&format!("/policies/{policy}"), json!({ "ip_access": ["192.0.2.1"] })).await;
    assert_eq!(nodes.read().await, 403);
    nodes.change(&format!("/policies/{policy}"), json!({ "ip_access": null })).await;
    assert_eq!(nodes.read().await, 200);
}

/// Whether a user may come in at all.
async fn status(nodes: &Nodes) {
    let Nodes { admin, user, .. } = nodes;
    let path = format!("/users/{user}");
    nodes.change(&path, json!({ "status": "suspended" })).await;
    assert_eq!(nodes.read().await, 401);
    nodes.change(&path, json!({ "status": "active" })).await;
    assert_eq!(nodes.read().await, 200);
    nodes.change(&path, json!({ "token": "another-token-altogether" })).await;
    assert_eq!(nodes.read().await, 401);
    nodes.change(&path, json!({ "token": nodes.near.token() })).await;
    assert_eq!(nodes.read().await, 200);
    admin.delete(&path).await.no_content();
    assert_eq!(nodes.read().await, 401);
}
