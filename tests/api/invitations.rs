//! Letters, and what they are good for: lost passwords, invitations, registrations.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::server::{ADMIN_EMAIL, ADMIN_PASSWORD};
use crate::support::smtp::Smtp;
use crate::support::{Client, Database, Engine, Server, blog, each_database};

/// A server that sends its letters to this one.
async fn server(engine: Engine, smtp: &Smtp) -> (Server, Database) {
    let database = Database::fresh(engine).await;
    let server = Server::builder(&database)
        .collections(&blog::collections())
        .set("EMAIL_SMTP_HOST", "127.0.0.1")
        .set("EMAIL_SMTP_PORT", &smtp.port.to_string())
        .set("EMAIL_FROM", "The shop <shop@example.com>")
        .set("PASSWORD_RESET_URL_ALLOW_LIST", "https://app.example/reset")
        .set("USER_INVITE_URL_ALLOW_LIST", "https://app.example")
        .set("RATE_LIMITER_REGISTRATION_ENABLED", "false")
        .start()
        .await;
    (server, database)
}

async fn login(visitor: &Client, email: &str, password: &str) -> u16 {
    visitor.post("/auth/login", json!({ "email": email, "password": password })).await.status
}

/// Sets settings of the project, which has none yet.
async fn settings(database: &Database, columns: &str, values: &str) {
    let sql = format!("INSERT INTO directus_settings (id, {columns}) VALUES (1, {values})");
    database.execute(&sql).await;
}

#[tokio::test]
async fn a_lost_password_is_replaced_once() {
    each_database(async |engine| {
        let smtp = Smtp::start().await;
        let (server, _database) = server(engine, &smtp).await;
        let visitor = server.visitor();
        let ask = async |body: Value| visitor.post("/auth/password/request", body).await;
        ask(json!({})).await.refused(400, "INVALID_PAYLOAD");
        let evil = json!({ "email": ADMIN_EMAIL, "reset_url": "https://app.example.evil/reset" });
        ask(evil).await.refused(400, "INVALID_PAYLOAD");

        let began = Instant::now();
        ask(json!({ "email": "nobody@example.com" })).await.no_content();
        let unknown = began.elapsed();
        let began = Instant::now();
        ask(json!({ "email": ADMIN_EMAIL.to_uppercase() })).await.no_content();
        let known = began.elapsed();
        for time in [unknown, known] {
            assert!(time >= Duration::from_millis(500), "{unknown:?} {known:?}");
        }
        let letter = smtp.next(ADMIN_EMAIL).await;
        assert!(letter.header("From").contains("shop@example.com"), "{letter:?}");
        assert!(letter.link().contains("/admin/reset-password?token="), "{letter:?}");
        let token = letter.token();

        let tokens = visitor.post("/auth/login", json!({ "email": ADMIN_EMAIL, "password": ADMIN_PASSWORD }));
        let tokens = tokens.await.data();
        let signed_in = visitor.with_token(tokens["access_token"].as_str());
        let reset = async |token: &str, password: &str| {
            visitor.post("/auth/password/reset", json!({ "token": token, "password": password })).await
        };
        reset("bad", "x").await.refused(403, "INVALID_TOKEN");
        reset(tokens["access_token"].as_str().unwrap(), "x").await.refused(403, "INVALID_TOKEN");
        let accept = json!({ "token": token, "password": "an-invited-password" });
        visitor.post("/users/invite/accept", accept).await.refused(403, "INVALID_TOKEN");
        visitor.with_token(Some(&token)).get("/users/me").await.refused(403, "INVALID_TOKEN");
        for _ in 0..10 {
            assert_eq!(login(&visitor, ADMIN_EMAIL, "a-guess").await, 401);
        }
        assert_eq!(login(&visitor, ADMIN_EMAIL, ADMIN_PASSWORD).await, 429);
        reset(&token, "a-second-password").await.no_content();
        reset(&token, "a-third-password").await.refused(403, "INVALID_TOKEN");
        signed_in.get("/users/me").await.refused(401, "INVALID_CREDENTIALS");
        assert_eq!(login(&visitor, ADMIN_EMAIL, ADMIN_PASSWORD).await, 401);
        assert_eq!(login(&visitor, ADMIN_EMAIL, "a-second-password").await, 200);

        let listed = json!({ "email": ADMIN_EMAIL, "reset_url": "https://app.example/reset?from=mail" });
        ask(listed).await.no_content();
        let letter = smtp.next(ADMIN_EMAIL).await;
        assert!(letter.link().starts_with("https://app.example/reset?from=mail&token="), "{letter:?}");
        assert_eq!(smtp.waiting(), 0, "nobody unknown was written to");
        let printed = server.printed();
        assert!(!printed.contains(&token) && !printed.contains(&letter.token()), "{printed}");
    })
    .await;
}

#[tokio::test]
async fn whoever_is_invited_becomes_a_user_by_choosing_a_password() {
    each_database(async |engine| {
        let smtp = Smtp::start().await;
        let (server, database) = server(engine, &smtp).await;
        settings(&database, "project_name, auth_password_policy", "'Café <b>', '/^.{8,}$/'").await;
        let (admin, visitor) = (server.admin(), server.visitor());
        let role = admin.post("/roles", json!({ "name": "Guests" })).await.data()["id"].clone();
        visitor
            .post("/users/invite", json!({ "email": "x@example.com", "role": role }))
            .await
            .refused(403, "FORBIDDEN");
        let invite = async |body: Value| admin.post("/users/invite", body).await;
        invite(json!({ "role": role })).await.refused(400, "INVALID_PAYLOAD");
        let breaking = json!({ "email": "x@example.com\r\nBcc: y@example.com", "role": role });
        invite(breaking).await.refused(400, "INVALID_PAYLOAD");
        let emails = ["one@example.com", "two@example.com"];
        invite(json!({ "email": emails, "role": role, "invite_url": "https://app.example/in" }))
            .await
            .no_content();
        let letters = [smtp.next(emails[0]).await, smtp.next(emails[1]).await];
        assert!(letters[0].link().starts_with("https://app.example/in?token="), "{letters:?}");
        assert!(letters[0].text().contains("Café <b>"), "{}", letters[0].text());
        assert!(letters[0].raw.contains("&lt;b&gt;"), "{letters:?}");
        let users =
            admin.read("/users", json!({ "filter": { "role": { "_eq": role } }, "fields": "status,email" }));
        assert_eq!(users.await.column("status"), ["invited", "invited"]);
        assert_eq!(login(&visitor, emails[0], "").await, 400);

        // Once more for those who have not accepted, nothing for those who have.
        invite(json!({ "email": emails[0], "role": role })).await.no_content();
        let again = smtp.next(emails[0]).await.token();
        let accept = async |token: &str, password: &str| {
            visitor.post("/users/invite/accept", json!({ "token": token, "password": password })).await
        };
        accept(&again, "short").await.refused(400, "FAILED_VALIDATION");
        accept(&again, "long enough").await.no_content();
        accept(&letters[0].token(), "another password").await.refused(403, "INVALID_TOKEN");
        assert_eq!(login(&visitor, emails[0], "long enough").await, 200);
        invite(json!({ "email": emails[0], "role": role })).await.no_content();

        // A changed e-mail takes the letter's worth away.
        let two = admin.read("/users", json!({ "filter": { "email": { "_eq": emails[1] } } })).await;
        let path = format!("/users/{}", two.column("id")[0].as_str().unwrap());
        admin.patch(&path, json!({ "email": "other@example.com" })).await.data();
        accept(&letters[1].token(), "long enough").await.refused(403, "INVALID_TOKEN");
        assert_eq!(smtp.waiting(), 0);
    })
    .await;
}

#[tokio::test]
async fn registration_is_closed_until_it_is_opened() {
    each_database(async |engine| {
        let smtp = Smtp::start().await;
        let (server, database) = server(engine, &smtp).await;
        let (admin, visitor) = (server.admin(), server.visitor());
        let register = async |email: &str, password: &str| {
            visitor.post("/users/register", json!({ "email": email, "password": password })).await
        };
        register("new@example.com", "a-password").await.refused(403, "FORBIDDEN");
        let role = admin.post("/roles", json!({ "name": "Members" })).await.data()["id"].clone();
        let columns = "public_registration, public_registration_role, default_language, public_registration_email_filter";
        let values = format!("{}, '{}', 'fr-FR', '{{\"email\":{{\"_ends_with\":\"@example.com\"}}}}'",
            engine.pick("1", "true", "1"), role.as_str().unwrap());
        settings(&database, columns, &values).await;

        register("new@other.example", "a-password").await.refused(403, "FORBIDDEN");
        register("nonsense", "a-password").await.refused(400, "INVALID_PAYLOAD");
        let evil = json!({ "email": "new@example.com", "password": "p", "verification_url": "https://evil.example" });
        visitor.post("/users/register", evil).await.refused(400, "INVALID_PAYLOAD");
        let greedy = json!({ "email": "new@example.com", "password": "a-password", "first_name": "New",
            "status": "active", "role": null, "token": "chosen-token" });
        visitor.post("/users/register", greedy).await.no_content();
        register("ADMIN@example.com", "a-password").await.no_content();
        assert_eq!(login(&visitor, "new@example.com", "a-password").await, 401, "not before the e-mail is confirmed");
        let found = admin.read("/users", json!({ "filter": { "email": { "_eq": "new@example.com" } } })).await.data();
        assert_eq!((&found[0]["status"], &found[0]["role"], &found[0]["first_name"], &found[0]["token"]),
            (&json!("unverified"), &role, &json!("New"), &Value::Null));

        let letter = smtp.next("new@example.com").await;
        assert!(letter.text().contains("Merci de votre inscription"), "{}", letter.text());
        let path = "/users/register/verify-email";
        visitor.get(path).await.refused(400, "INVALID_QUERY");
        visitor.get(&format!("{path}?token=bad")).await.refused(403, "INVALID_TOKEN");
        let link = letter.link();
        assert!(link.contains(path), "{link}");
        let confirmed = visitor.get(&format!("{path}?token={}", letter.token())).await;
        assert_eq!(confirmed.status, 302, "{confirmed:?}");
        visitor.get(&format!("{path}?token={}", letter.token())).await.refused(403, "INVALID_TOKEN");
        assert_eq!(login(&visitor, "new@example.com", "a-password").await, 200);
        assert_eq!(login(&visitor, ADMIN_EMAIL, ADMIN_PASSWORD).await, 200, "nobody took it over");
        assert_eq!(smtp.waiting(), 0, "the administrator was not written to");
    })
    .await;
}

#[tokio::test]
async fn nobody_is_written_to_without_end() {
    each_database(async |engine| {
        let smtp = Smtp::start().await;
        let (server, _database) = server(engine, &smtp).await;
        let visitor = server.visitor();
        for _ in 0..14 {
            visitor.post("/auth/password/request", json!({ "email": ADMIN_EMAIL })).await.no_content();
        }
        for _ in 0..10 {
            smtp.next(ADMIN_EMAIL).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(smtp.waiting(), 0);
    })
    .await;
}
