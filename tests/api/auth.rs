//! Nothing is open: every request but two needs the administrator's token or login.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::server::{ADMIN_EMAIL, ADMIN_PASSWORD, ADMIN_TOKEN};
use crate::support::{blog, each_database};

#[tokio::test]
async fn nothing_is_open_without_a_token() {
    each_database(async |engine| {
        let visitor = blog::shared_visitor(engine).await;
        let ping = visitor.get("/server/ping").await;
        assert_eq!((ping.status, ping.text().as_str()), (200, "pong"));
        let health = visitor.get("/server/health").await;
        assert_eq!(
            (health.status, health.json()),
            (200, json!({ "status": "ok" })),
            "a visitor learns nothing more"
        );

        let reads = [
            "/items/articles",
            "/items/articles/1",
            "/items/preferences",
            "/items/missing",
            "/items/articles?aggregate[count]=*",
            "/items/directus_users",
            "/users/me",
            "/metrics",
            "/items/articles?fields=writer.name",
        ];
        for path in reads {
            let answer = visitor.get(path).await;
            assert!(matches!(answer.status, 401 | 403), "{answer:?}");
            answer.errors();
            assert!(!answer.text().contains("Article 01"), "{answer:?}");
        }
        visitor.get("/items/articles").await.refused(403, "FORBIDDEN");
        visitor.search("/items/articles", json!({ "query": {} })).await.refused(403, "FORBIDDEN");
        visitor.post("/items/notes", json!({ "name": "intruder" })).await.refused(403, "FORBIDDEN");
        visitor.patch("/items/articles/1", json!({ "title": "x" })).await.refused(403, "FORBIDDEN");
        visitor.patch("/items/preferences", json!({ "site_name": "x" })).await.refused(403, "FORBIDDEN");
        visitor.delete("/items/articles/1").await.refused(403, "FORBIDDEN");
        visitor.delete_with("/items/articles", json!([1])).await.refused(403, "FORBIDDEN");
        let info = visitor.get("/server/info").await;
        assert!(!info.text().contains("version"), "{info:?}");

        let admin = blog::shared(engine).await;
        let intruders = json!({ "filter": { "name": { "_eq": "intruder" } } });
        assert_eq!(admin.items("notes", intruders).await.data(), json!([]));
        assert_eq!(admin.get("/items/articles/1").await.data()["title"], "Article 01");
    })
    .await;
}

#[tokio::test]
async fn a_static_token_opens() {
    each_database(async |engine| {
        let visitor = blog::shared_visitor(engine).await;
        let by_query = visitor.get(&format!("/users/me?fields=email&access_token={ADMIN_TOKEN}")).await;
        assert_eq!(by_query.data(), json!({ "email": ADMIN_EMAIL }));
        let lower = visitor
            .request("GET", "/users/me")
            .header("authorization", &format!("bearer {ADMIN_TOKEN}"))
            .send()
            .await;
        assert_eq!(lower.status, 200);
        let both =
            visitor.with_token(Some(ADMIN_TOKEN)).get(&format!("/users/me?access_token={ADMIN_TOKEN}")).await;
        both.refused(400, "INVALID_PAYLOAD");
        visitor.with_token(Some("unknown")).get("/users/me").await.refused(401, "INVALID_CREDENTIALS");
        visitor.with_token(Some("unknown")).get("/items/articles").await.refused(401, "INVALID_CREDENTIALS");
        for odd in ["x".repeat(5000), "ünï".to_owned(), "' OR 1=1 --".to_owned()] {
            let answer = visitor.get(&format!("/items/articles?access_token={}", encode(&odd))).await;
            assert!((400..500).contains(&answer.status), "{answer:?}");
        }
        let prefix = &ADMIN_TOKEN[..ADMIN_TOKEN.len() - 1];
        visitor.with_token(Some(prefix)).get("/users/me").await.refused(401, "INVALID_CREDENTIALS");
    })
    .await;
}

fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[tokio::test]
async fn a_login_opens_and_can_be_renewed() {
    each_database(async |engine| {
        let visitor = blog::shared_visitor(engine).await;
        let credentials = json!({ "email": ADMIN_EMAIL.to_uppercase(), "password": ADMIN_PASSWORD });
        let login = visitor.post("/auth/login", credentials).await.data();
        assert_eq!(login["expires"], 900_000);
        let access = login["access_token"].as_str().unwrap();
        let me = visitor.with_token(Some(access)).get("/users/me?fields=email").await.data();
        assert_eq!(me, json!({ "email": ADMIN_EMAIL }));
        assert_eq!(visitor.with_token(Some(access)).get("/items/articles/1").await.status, 200);

        let refresh = json!({ "refresh_token": login["refresh_token"] });
        let renewed = visitor.post("/auth/refresh", refresh.clone()).await.data();
        assert_ne!(renewed["refresh_token"], login["refresh_token"]);
        visitor.post("/auth/refresh", refresh).await.refused(401, "INVALID_CREDENTIALS");
        visitor.post("/auth/refresh", json!({})).await.refused(400, "INVALID_PAYLOAD");
        visitor
            .post("/auth/refresh", json!({ "refresh_token": "nonsense" }))
            .await
            .refused(401, "INVALID_CREDENTIALS");
    })
    .await;
}

#[tokio::test]
async fn a_logout_ends_what_can_be_renewed() {
    each_database(async |engine| {
        let visitor = blog::shared_visitor(engine).await;
        let credentials = json!({ "email": ADMIN_EMAIL, "password": ADMIN_PASSWORD });
        let login = visitor.post("/auth/login", credentials).await.data();
        let refresh = json!({ "refresh_token": login["refresh_token"] });
        visitor.post("/auth/logout", refresh.clone()).await.no_content();
        visitor.post("/auth/refresh", refresh).await.refused(401, "INVALID_CREDENTIALS");
        visitor.post("/auth/logout", json!({})).await.refused(400, "INVALID_PAYLOAD");
    })
    .await;
}

#[tokio::test]
async fn wrong_credentials_and_tokens_are_refused() {
    each_database(async |engine| {
        let visitor = blog::shared_visitor(engine).await;
        let login = async |body: Value| visitor.post("/auth/login", body).await;
        let began = Instant::now();
        login(json!({ "email": ADMIN_EMAIL, "password": "wrong" })).await.refused(401, "INVALID_CREDENTIALS");
        assert!(began.elapsed() > Duration::from_millis(300), "a failed login takes its time");
        login(json!({ "email": "nobody@example.com", "password": "x" }))
            .await
            .refused(401, "INVALID_CREDENTIALS");
        login(json!({ "email": "not an address", "password": "x" })).await.refused(400, "INVALID_PAYLOAD");
        login(json!({})).await.refused(400, "INVALID_PAYLOAD");
        login(json!({ "email": ADMIN_EMAIL })).await.refused(400, "INVALID_PAYLOAD");
        login(json!({ "email": ADMIN_EMAIL, "password": { "$ne": "" } }))
            .await
            .refused(400, "INVALID_PAYLOAD");
        login(json!({ "email": ADMIN_EMAIL, "password": "x".repeat(100_000) })).await.errors();

        let good = login(json!({ "email": ADMIN_EMAIL, "password": ADMIN_PASSWORD })).await.data();
        let access = good["access_token"].as_str().unwrap();
        let (head, signature) = access.rsplit_once('.').unwrap();
        let swapped: String = signature.chars().rev().collect();
        let tampered = format!("{head}.{swapped}");
        visitor.with_token(Some(&tampered)).get("/users/me").await.refused(403, "INVALID_TOKEN");
        let unsigned =
            format!("{}.{}.", "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", access.split('.').nth(1).unwrap());
        let answer = visitor.with_token(Some(&unsigned)).get("/users/me").await;
        assert!(matches!(answer.status, 401 | 403), "{answer:?}");
        let refresh = good["refresh_token"].as_str().unwrap();
        visitor.with_token(Some(refresh)).get("/users/me").await.refused(401, "INVALID_CREDENTIALS");
    })
    .await;
}

#[tokio::test]
async fn secrets_do_not_reach_the_log() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let visitor = server.visitor();
        visitor.post("/auth/login", json!({ "email": ADMIN_EMAIL, "password": ADMIN_PASSWORD })).await.data();
        visitor.get(&format!("/users/me?access_token={ADMIN_TOKEN}")).await.data();
        visitor.get("/items/nothing?access_token=wrong-token").await.errors();
        let printed = server.printed();
        for secret in [ADMIN_TOKEN, ADMIN_PASSWORD, "wrong-token"] {
            assert!(!printed.contains(secret), "{secret} is in the log:\n{printed}");
        }
    })
    .await;
}
