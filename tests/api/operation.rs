//! Ping, health, figures, settings: what an operator sees.

use serde_json::json;

use crate::support::{Database, Server, blog, each_database};

#[tokio::test]
async fn health_and_info_for_the_administrator() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let health = admin.get("/server/health").await;
        assert_eq!((health.status, &health.json()["status"]), (200, &json!("ok")), "{health:?}");
        assert!(health.json().as_object().unwrap().len() > 1, "an administrator sees the parts: {health:?}");
        assert!(!health.text().contains("tablature:tablature"), "no credentials: {health:?}");
        let info = admin.get("/server/info").await.data();
        assert!(info.to_string().contains("version"), "{info}");
    })
    .await;
}

#[tokio::test]
async fn figures_count_requests_and_statements() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        admin.create("labels", json!({ "name": "l" })).await;
        admin.get("/items/labels/1").await.data();
        admin.get("/items/nothing").await.refused(403, "FORBIDDEN");
        let figures = admin.get("/metrics").await.text();
        for part in ["status=\"200\"", "status=\"403\"", "/items/", "tablature_sql_statements_total"] {
            assert!(figures.contains(part), "no {part} in\n{figures}");
        }
        assert!(
            !figures.contains("/items/nothing"),
            "a route is counted as declared, not as typed:\n{figures}"
        );
    })
    .await;
}

#[tokio::test]
async fn requests_carry_an_identifier() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let one = admin.get("/items/articles/1").await;
        let two = admin.get("/items/articles/1").await;
        let id = one.header("x-request-id").expect("an id").to_owned();
        assert_ne!(Some(id.as_str()), two.header("x-request-id"));
        assert_eq!(one.header("content-type"), Some("application/json; charset=utf-8"));
        let head = admin.request("HEAD", "/items/articles/1").send().await;
        assert_eq!((head.status, head.bytes.len()), (200, 0));
    })
    .await;
}

#[tokio::test]
async fn settings_that_are_wrong_stop_the_start() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let start = |name: &str, value: &str| {
            Server::builder(&database).collections(&blog::collections()).set(name, value).fails_to_start()
        };
        for (name, value) in [
            ("DB_POOL__MAX", "-1"),
            ("TABLATURE_NONSENSE", "1"),
            ("ACCESS_TOKEN_TTL", "soon"),
            ("MAX_PAYLOAD_SIZE", "1 parsec"),
            ("SECRET", "short"),
            ("LOG_LEVEL", "loud"),
        ] {
            let printed = start(name, value);
            assert!(printed.contains(name), "{name} is not named:\n{printed}");
        }
        let printed = start("DATABASE_URL", "oracle://user:hidden-password@localhost/x");
        assert!(printed.contains("DATABASE_URL"), "{printed}");
        assert!(!printed.contains("hidden-password"), "{printed}");
    })
    .await;
}

#[tokio::test]
async fn a_generated_password_is_printed_once() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let builder = Server::builder(&database)
            .collections(&blog::collections())
            .set("ADMIN_PASSWORD", "")
            .set("ADMIN_TOKEN", "");
        let server = builder.start().await;
        let printed = server.printed();
        assert!(printed.contains("admin@example.com"), "{printed}");
        drop(server);
        let server = builder.start().await;
        let again = server.printed();
        assert_eq!(again.matches("password").count(), printed.matches("password").count(), "{again}");
        let login = server
            .visitor()
            .post("/auth/login", json!({ "email": "admin@example.com", "password": "" }))
            .await;
        assert!((400..500).contains(&login.status), "{login:?}");
    })
    .await;
}
