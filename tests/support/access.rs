//! Policies and users made over the API, for scenarios about what somebody may do.

use serde_json::{Value, json};

use super::client::Client;

/// A policy with these permissions: `[collection, action, row filter, fields]` each. Gives its key.
pub async fn policy(admin: &Client, name: &str, permissions: Value) -> String {
    let policy = admin.post("/policies", json!({ "name": name })).await.data()["id"].clone();
    let rows: Vec<Value> = permissions
        .as_array()
        .expect("a list")
        .iter()
        .map(|right| {
            json!({
                "policy": policy, "collection": right[0], "action": right[1], "permissions": right[2],
                "fields": right[3], "presets": right[4], "validation": right[5],
            })
        })
        .collect();
    if !rows.is_empty() {
        admin.post("/permissions", json!(rows)).await.data();
    }
    policy.as_str().expect("a key").to_owned()
}

/// A user with these policies and a static token. Gives its key and who speaks with that token.
pub async fn user(admin: &Client, name: &str, policies: &[&str]) -> (String, Client) {
    let token = format!("token-of-{name}");
    // The same name has the same key in every database.
    let digits: String = name.bytes().map(|byte| format!("{byte:02x}")).chain(["0".repeat(12)]).collect();
    let id = format!("0000000a-0000-4000-8000-{}", &digits[..12]);
    let user =
        json!({ "id": id, "email": format!("{name}@example.com"), "token": token, "status": "active" });
    let id = admin.post("/users", user).await.data()["id"].as_str().expect("a key").to_owned();
    for policy in policies {
        admin.post("/access", json!({ "user": id, "policy": policy })).await.data();
    }
    (id, admin.with_token(Some(&token)))
}
