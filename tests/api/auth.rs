//! Nothing is open: every request but two needs the administrator's token or login.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::server::{ADMIN_EMAIL, ADMIN_PASSWORD, ADMIN_TOKEN};
use crate::support::{Answer, blog, each_database};

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

/// The cookie of this name, as the answer sets it: its value, and its attributes in order.
fn cookie(answer: &Answer, name: &str) -> (String, Vec<String>) {
    let set: Vec<&str> =
        answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
    let text = set.iter().find_map(|text| text.strip_prefix(name)?.strip_prefix('='));
    let mut parts = text.unwrap_or_else(|| panic!("no cookie {name}: {set:?} {answer:?}")).split("; ");
    let value = parts.next().unwrap().to_owned();
    let attributes = parts.filter(|part| !part.starts_with("Expires=")).map(str::to_owned).collect();
    (value, attributes)
}

fn credentials(mode: &str) -> Value {
    json!({ "email": ADMIN_EMAIL, "password": ADMIN_PASSWORD, "mode": mode })
}

#[tokio::test]
async fn a_refresh_token_may_live_in_a_cookie() {
    each_database(async |engine| {
        let visitor = blog::shared_visitor(engine).await;
        let login = visitor.post("/auth/login", credentials("cookie")).await;
        let (token, attributes) = cookie(&login, "directus_refresh_token");
        assert_eq!(attributes, ["Max-Age=604800", "Path=/", "HttpOnly", "SameSite=Lax"]);
        assert_eq!(login.data().as_object().unwrap().keys().collect::<Vec<_>>(), ["access_token", "expires"]);

        let send = async |path: &str, cookie: &str, body: Value| {
            visitor.request("POST", path).header("cookie", cookie).json(&body).send().await
        };
        let sent = format!("other=1; directus_refresh_token={token}");
        let renewed = send("/auth/refresh", &sent, json!({})).await;
        let (second, _) = cookie(&renewed, "directus_refresh_token");
        assert_ne!(token, second);
        assert!(renewed.data()["access_token"].is_string());
        send("/auth/refresh", &sent, json!({ "mode": "cookie" })).await.refused(401, "INVALID_CREDENTIALS");
        send("/auth/refresh", "other=1", json!({ "mode": "cookie" })).await.refused(400, "INVALID_PAYLOAD");
        send("/auth/refresh", &sent, json!({ "mode": "nope" })).await.refused(400, "INVALID_PAYLOAD");

        let sent = format!("directus_refresh_token={second}");
        let out = send("/auth/logout", &sent, json!({ "mode": "cookie" })).await;
        out.no_content();
        assert_eq!(cookie(&out, "directus_refresh_token").0, "");
        send("/auth/refresh", &sent, json!({ "mode": "cookie" })).await.refused(401, "INVALID_CREDENTIALS");
    })
    .await;
}

#[tokio::test]
async fn a_session_may_live_in_a_cookie() {
    each_database(async |engine| {
        let visitor = blog::shared_visitor(engine).await;
        let login = visitor.post("/auth/login", credentials("session")).await;
        let (token, attributes) = cookie(&login, "directus_session_token");
        assert_eq!(attributes, ["Max-Age=86400", "Path=/", "HttpOnly", "SameSite=Lax"]);
        assert_eq!(login.data(), json!({ "expires": 86_400_000 }));
        let claims = claims(&token);
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 86_400);
        assert!(claims["session"].is_string() && claims["admin_access"] == true, "{claims}");

        let sent = format!("directus_session_token={token}");
        let send = |method: &str, path: &str| visitor.request(method, path).header("cookie", &sent);
        let me = send("GET", "/users/me?fields=email").send().await;
        assert_eq!(me.data(), json!({ "email": ADMIN_EMAIL }));
        let refused = send("GET", "/users/me").header("authorization", "Bearer unknown").send().await;
        refused.refused(401, "INVALID_CREDENTIALS");

        let renewed = send("POST", "/auth/refresh").json(&json!({ "mode": "session" })).send().await;
        assert_eq!(renewed.data(), json!({ "expires": 86_400_000 }));
        let (second, _) = cookie(&renewed, "directus_session_token");
        let sent = format!("directus_session_token={second}");
        let send = |method: &str, path: &str| visitor.request(method, path).header("cookie", &sent);
        let out = send("POST", "/auth/logout").json(&json!({ "mode": "session" })).send().await;
        out.no_content();
        assert_eq!(cookie(&out, "directus_session_token").0, "");
        let after = send("GET", "/users/me").send().await;
        after.refused(401, "INVALID_CREDENTIALS");
        assert_eq!(cookie(&after, "directus_session_token").0, "", "the browser forgets it");
    })
    .await;
}

#[tokio::test]
async fn pages_of_other_origins_cannot_use_a_cookie_to_change_something() {
    each_database(async |engine| {
        let visitor = blog::shared_visitor(engine).await;
        let login = visitor.post("/auth/login", credentials("session")).await;
        let sent = format!("directus_session_token={}", cookie(&login, "directus_session_token").0);
        let host = visitor.address().to_owned();
        let create = async |name: &str, value: &str| {
            let request = visitor.request("POST", "/items/notes").header("cookie", &sent).header(name, value);
            request.json(&json!({ "name": "by cookie" })).send().await
        };
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", &format!("http://{host}.evil.example")),
            ("sec-fetch-site", "cross-site"),
        ] {
            create(name, value).await.refused(403, "FORBIDDEN");
        }
        create("origin", &format!("http://{host}")).await.data();
        create("sec-fetch-site", "same-origin").await.data();
        let foreign = visitor.request("POST", "/auth/logout").header("cookie", &sent);
        let foreign = foreign.header("origin", "https://evil.example").json(&json!({ "mode": "session" }));
        foreign.send().await.refused(403, "FORBIDDEN");
        let form = visitor.request("POST", "/items/notes").header("cookie", &sent);
        form.body("name=x", "application/x-www-form-urlencoded").send().await.refused_with(415);
        let read = visitor.request("GET", "/users/me?fields=email").header("cookie", &sent);
        let read = read.header("origin", "https://evil.example").send().await;
        assert_eq!(read.status, 200, "reading changes nothing, and the page is not shown the answer");
    })
    .await;
}

fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let part = token.split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn everybody_who_is_active_may_sign_in() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let visitor = admin.with_token(None);
        let user = admin
            .post("/users", json!({ "email": "Plain@example.com", "password": "plain-password" }))
            .await
            .data();
        let id = user["id"].as_str().unwrap();
        let login = json!({ "email": "plain@example.com", "password": "plain-password" });
        let tokens = visitor.post("/auth/login", login.clone()).await.data();
        let access = tokens["access_token"].as_str().unwrap();
        let claims = claims(access);
        let mut names: Vec<&String> = claims.as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, ["admin_access", "app_access", "exp", "iat", "id", "iss", "role"]);
        assert_eq!((&claims["id"], &claims["role"]), (&user["id"], &Value::Null));
        assert_eq!((&claims["admin_access"], &claims["iss"]), (&json!(false), &json!("directus")));

        let seen = json!({ "filter": { "action": { "_eq": "login" }, "user": { "_eq": id } } });
        let activity = admin.read("/activity", seen).await.data();
        assert_eq!(activity.as_array().map(Vec::len), Some(1), "{activity}");
        assert_eq!((&activity[0]["item"], &activity[0]["ip"]), (&user["id"], &json!("127.0.0.1")));

        admin.patch(&format!("/users/{id}"), json!({ "status": "suspended" })).await.data();
        visitor.post("/auth/login", login).await.refused(401, "INVALID_CREDENTIALS");
        let refresh = json!({ "refresh_token": tokens["refresh_token"] });
        visitor.post("/auth/refresh", refresh).await.refused(401, "INVALID_CREDENTIALS");
        visitor.with_token(Some(access)).get("/users/me").await.refused(401, "INVALID_CREDENTIALS");
        admin.delete(&format!("/users/{id}")).await.no_content();
    })
    .await;
}
