//! What is left to services of others: what is kept of them is data, the rest is refused.

use serde_json::{Value, json};

use crate::support::access::user;
use crate::support::{Database, Project, each_database};

const ID: &str = "00000000-0000-4000-8000-000000000001";

#[tokio::test]
async fn extensions_are_rows() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[]).await;
        let server = project.server().start().await;
        let admin = server.admin();
        let table = engine.quote("directus_extensions");
        let insert = format!(
            "INSERT INTO {table} (enabled, id, folder, source) VALUES (true, '{ID}', 'shop', 'local')"
        );
        project.database.execute(&insert).await;
        let (_, nobody) = user(&admin, "nobody", &[]).await;
        let path = format!("/extensions/{ID}");
        nobody.patch(&path, json!({ "meta": { "enabled": false } })).await.refused(403, "FORBIDDEN");
        nobody.delete(&path).await.refused(403, "FORBIDDEN");
        let off = admin.patch(&path, json!({ "meta": { "enabled": false } })).await.data();
        assert_eq!((&off["name"], &off["meta"]["enabled"]), (&json!("shop"), &json!(false)));
        assert_eq!(admin.get("/extensions").await.data()[0]["meta"]["enabled"], false);
        admin.patch(&path, json!({ "meta": { "enabled": "no" } })).await.refused(400, "INVALID_PAYLOAD");
        admin.patch(&path, json!({ "enabled": true })).await.refused(400, "INVALID_PAYLOAD");
        let nowhere = "/extensions/nope";
        admin.patch(nowhere, json!({ "meta": { "enabled": true } })).await.refused(403, "FORBIDDEN");
        admin.delete(&path).await.no_content();
        assert_eq!(admin.get("/extensions").await.data(), json!([]));
        admin.patch(&path, json!({ "meta": { "enabled": true } })).await.refused(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn providers_are_rows() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[]).await;
        let server = project.server().start().await;
        let admin = server.admin();
        let table = engine.quote("directus_deployments");
        let insert = format!(
            "INSERT INTO {table} (id, provider, credentials) VALUES ('{ID}', 'vercel', 'a-secret-token')"
        );
        project.database.execute(&insert).await;
        let (_, nobody) = user(&admin, "nobody", &[]).await;
        let all = admin.get("/deployments").await;
        assert_eq!(all.data()[0]["provider"], "vercel");
        assert!(!all.text().contains("a-secret-token"), "{all:?}");
        assert_eq!(
            admin.get("/deployments/vercel?fields=provider").await.data(),
            json!({ "provider": "vercel" })
        );
        admin.get("/deployments/netlify").await.refused(403, "FORBIDDEN");
        for path in
            ["/deployments", "/deployments/vercel", "/deployments/vercel/projects", "/extensions/registry"]
        {
            nobody.get(path).await.refused(403, "FORBIDDEN");
        }
        nobody.delete("/deployments/vercel").await.refused(403, "FORBIDDEN");
        for (method, path) in [
            ("POST", "/deployments"),
            ("PATCH", "/deployments/vercel"),
            ("GET", "/deployments/vercel/dashboard"),
            ("GET", "/deployments/vercel/projects/1/runs/stats"),
            ("POST", "/deployments/vercel/runs/1/cancel"),
            ("GET", "/extensions/registry"),
            ("POST", "/extensions/registry/install"),
            ("DELETE", "/extensions/registry/uninstall/1"),
        ] {
            let answer = admin.request(method, path).send().await;
            let errors = answer.refused(422, "UNPROCESSABLE_CONTENT");
            assert!(errors[0]["extensions"]["reason"].is_string(), "{errors:?}");
        }
        admin.get("/deployments/vercel/nope").await.refused(404, "ROUTE_NOT_FOUND");
        admin.delete("/deployments/vercel").await.no_content();
        assert_eq!(admin.get("/deployments").await.data(), json!([]));
        for who in [&admin, &server.visitor()] {
            who.get(&format!("/flows/trigger/{ID}")).await.refused(403, "FORBIDDEN");
            who.post(&format!("/flows/trigger/{ID}"), Value::Null).await.refused(403, "FORBIDDEN");
        }
    })
    .await;
}
