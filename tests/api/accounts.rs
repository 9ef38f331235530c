//! Users' own accounts: passwords, tokens and e-mails, guessing, the second factor, sessions.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::{Answer, Client, Server, blog, each_database};

const PASSWORD: &str = "a-good-password";

/// A user of this name, made by the administrator: the user's key.
async fn user(admin: &Client, name: &str, more: Value) -> String {
    let mut body = json!({ "email": format!("{name}@example.com"), "password": PASSWORD });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    admin.post("/users", body).await.data()["id"].as_str().unwrap().to_owned()
}

/// Gives a policy with these rights to a user, and perhaps a permission.
async fn policy(admin: &Client, user: &str, policy: Value, permission: Option<Value>) {
    let policy = admin.post("/policies", policy).await.data()["id"].clone();
    if let Some(mut permission) = permission {
        permission["policy"] = policy.clone();
        admin.post("/permissions", permission).await.data();
    }
    admin.post("/access", json!({ "user": user, "policy": policy })).await.data();
}

async fn login(visitor: &Client, name: &str, password: &str, otp: Option<&str>) -> Answer {
    let mut body = json!({ "email": format!("{name}@example.com"), "password": password });
    if let Some(otp) = otp {
        body["otp"] = json!(otp);
    }
    visitor.post("/auth/login", body).await
}

/// Somebody signed in, and the refresh token.
async fn signed_in(visitor: &Client, name: &str) -> (Client, Value) {
    let tokens = login(visitor, name, PASSWORD, None).await.data();
    (visitor.with_token(tokens["access_token"].as_str()), json!({ "refresh_token": tokens["refresh_token"] }))
}

fn code(secret: &str, steps_from_now: i64) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let totp = totp_rs::Builder::new().with_secret(secret).build_noncompliant();
    totp.generate((now + 30 * steps_from_now) as u64).to_string()
}

#[tokio::test]
async fn secrets_of_users_are_kept_as_hashes() {
    each_database(async |engine| {
        let (server, database) = blog::own(engine).await;
        let admin = server.admin();
        let id = user(&admin, "robot", json!({ "token": "token-of-the-robot" })).await;
        let robot = server.visitor().with_token(Some("token-of-the-robot"));
        assert_eq!(robot.get("/users/me").await.data(), json!({ "id": id }));
        let shown = admin.get(&format!("/users/{id}?fields=token,password")).await;
        assert_eq!(shown.data(), json!({ "token": "**********", "password": "**********" }));
        let revisions = admin.get("/revisions?limit=-1").await.text();
        assert!(!revisions.contains("token-of-the-robot") && !revisions.contains(PASSWORD), "{revisions}");
        let kept = database.rows("SELECT token FROM directus_users WHERE token IS NOT NULL").await.concat();
        assert!(kept.iter().all(|kept| kept.starts_with("sha256:")), "{kept:?}");

        let patch = async |body: Value| admin.patch(&format!("/users/{id}"), body).await;
        patch(json!({ "token": "**********" })).await.refused(400, "INVALID_PAYLOAD");
        patch(json!({ "tfa_secret": "GEZDGNBVGY3TQOJQ" })).await.refused(400, "INVALID_PAYLOAD");
        patch(json!({ "tfa_secret": null })).await.refused(400, "INVALID_PAYLOAD");
        let nested = json!({ "name": "Robots", "users": [{ "id": id, "token": "token-of-a-role" }] });
        admin.post("/roles", nested).await.data();
        robot.get("/users/me").await.refused(401, "INVALID_CREDENTIALS");
        let robot = robot.with_token(Some("token-of-a-role"));
        assert_eq!(robot.get("/users/me").await.data()["id"], json!(id));
        patch(json!({ "status": "suspended" })).await.data();
        robot.get("/users/me").await.refused(401, "INVALID_CREDENTIALS");
        patch(json!({ "status": "active" })).await.data();
        assert_eq!(robot.get("/users/me").await.status, 200);
        patch(json!({ "token": null })).await.data();
        robot.get("/users/me").await.refused(401, "INVALID_CREDENTIALS");
    })
    .await;
}

#[tokio::test]
async fn an_email_is_one_whatever_its_case() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let id = user(&admin, "Emile", json!({})).await;
        let again = json!({ "email": "eMILE@EXAMPLE.com", "password": PASSWORD });
        admin.post("/users", again).await.refused(400, "RECORD_NOT_UNIQUE");
        let other = user(&admin, "other", json!({})).await;
        let body = json!({ "email": "EMILE2@example.com" });
        admin.patch(&format!("/users/{other}"), body).await.data();
        let body = json!({ "email": "EMILE@example.com" });
        admin.patch(&format!("/users/{other}"), body.clone()).await.refused(400, "RECORD_NOT_UNIQUE");
        assert_eq!(admin.patch(&format!("/users/{id}"), body).await.data()["email"], "EMILE@example.com");
        // Beyond `a` to `z` an e-mail is compared as it is, on every database.
        let accented = user(&admin, "Émile", json!({})).await;
        let found = login(&server.visitor(), "Émile", PASSWORD, None).await.data();
        let found = server.visitor().with_token(found["access_token"].as_str());
        assert_eq!(found.get("/users/me").await.data(), json!({ "id": accented }));
        assert_eq!(login(&server.visitor(), "emile", PASSWORD, None).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn passwords_fit_the_policy_of_the_project() {
    each_database(async |engine| {
        let (server, database) = blog::own(engine).await;
        let admin = server.admin();
        database
            .execute(
                "INSERT INTO directus_settings (id, auth_password_policy) VALUES (1, '/^(?=.*[0-9]).{8,}$/')",
            )
            .await;
        for (refused, kept) in [("short1", "long enough 1"), ("no digits here", "digits 123456")] {
            let body = |password: &str| {
                let email = format!("{}@example.com", password.replace(' ', "-"));
                json!({ "email": email, "password": password })
            };
            let errors = admin.post("/users", body(refused)).await.refused(400, "FAILED_VALIDATION");
            assert_eq!(errors[0]["extensions"]["field"], "password");
            admin.post("/users", body(kept)).await.data();
        }
        let nested =
            json!({ "name": "Nested", "users": [{ "email": "n@example.com", "password": "short" }] });
        admin.post("/roles", nested).await.refused(400, "FAILED_VALIDATION");
        assert_eq!(admin.get("/roles?filter[name]=Nested").await.data(), json!([]));
    })
    .await;
}

#[tokio::test]
async fn a_new_password_or_status_ends_every_session() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let (admin, visitor) = (server.admin(), server.visitor());
        let id = user(&admin, "ann", json!({})).await;
        let own = json!({ "collection": "directus_users", "action": "update",
            "fields": ["password", "first_name"], "permissions": { "id": { "_eq": "$CURRENT_USER" } } });
        policy(&admin, &id, json!({ "name": "Own account" }), Some(own)).await;
        let (ann, refresh) = signed_in(&visitor, "ann").await;
        let (other, _) = signed_in(&visitor, "ann").await;
        assert_eq!(ann.patch("/users/me", json!({ "first_name": "Ann" })).await.status, 204);
        assert_eq!(other.get("/users/me").await.status, 200, "nothing that sessions stand on");
        ann.patch("/users/me", json!({ "role": null })).await.refused(403, "FORBIDDEN");
        let changed = ann.patch("/users/me", json!({ "password": "another-password" })).await;
        assert_eq!(changed.status, 204, "{changed:?}");
        assert_eq!(ann.get("/users/me").await.status, 200, "the session that changed it goes on");
        other.get("/users/me").await.refused(401, "INVALID_CREDENTIALS");
        let renewed = visitor.post("/auth/refresh", refresh).await.data();
        // So does a session that was renewed since the token was issued.
        ann.patch("/users/me", json!({ "password": "another-password" })).await.no_content();
        let renewed = json!({ "refresh_token": renewed["refresh_token"] });
        visitor.post("/auth/refresh", renewed).await.data();
        login(&visitor, "ann", PASSWORD, None).await.refused(401, "INVALID_CREDENTIALS");
        let tokens = login(&visitor, "ann", "another-password", None).await.data();
        let ann = visitor.with_token(tokens["access_token"].as_str());

        admin.patch(&format!("/users/{id}"), json!({ "status": "suspended" })).await.data();
        admin.patch(&format!("/users/{id}"), json!({ "status": "active" })).await.data();
        ann.get("/users/me").await.refused(401, "INVALID_CREDENTIALS");
        let tokens = login(&visitor, "ann", "another-password", None).await.data();
        admin.delete(&format!("/users/{id}")).await.no_content();
        let ann = visitor.with_token(tokens["access_token"].as_str());
        ann.get("/users/me").await.refused(401, "INVALID_CREDENTIALS");
    })
    .await;
}

#[tokio::test]
async fn guessing_is_limited_for_known_and_unknown_accounts_alike() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let visitor = server.visitor();
        user(&server.admin(), "target", json!({})).await;
        user(&server.admin(), "bystander", json!({})).await;
        for name in ["target", "nobody"] {
            let guesses = (0..12).map(|guess| {
                let visitor = visitor.clone();
                async move { login(&visitor, name, &format!("guess{guess}"), None).await.status }
            });
            let mut found: Vec<u16> = Vec::new();
            for guess in guesses {
                found.push(guess.await);
            }
            assert_eq!(found, [vec![401; 10], vec![429; 2]].concat(), "{name}");
        }
        let refused = login(&visitor, "target", PASSWORD, None).await;
        refused.refused(429, "REQUESTS_EXCEEDED");
        assert!(refused.header("retry-after").is_some_and(|after| after.parse::<u32>().unwrap() <= 61));
        login(&visitor, "bystander", PASSWORD, None).await.data();
    })
    .await;
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_each_code_works_once() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let (admin, visitor) = (server.admin(), server.visitor());
        let id = user(&admin, "eve", json!({})).await;
        let own = json!({ "collection": "directus_users", "action": "update", "fields": ["tfa_secret"] });
        policy(&admin, &id, json!({ "name": "Second factor" }), Some(own)).await;
        let (eve, refresh) = signed_in(&visitor, "eve").await;
        let (other, _) = signed_in(&visitor, "eve").await;
        let post = async |path: &str, body: Value| eve.post(&format!("/users/me/tfa/{path}"), body).await;
        post("generate", json!({})).await.refused(400, "INVALID_PAYLOAD");
        post("generate", json!({ "password": "wrong" })).await.refused(401, "INVALID_CREDENTIALS");
        let new = post("generate", json!({ "password": PASSWORD })).await.data();
        let secret = new["secret"].as_str().unwrap();
        let url = new["otpauth_url"].as_str().unwrap();
        assert!(url.starts_with("otpauth://totp/") && url.contains(&format!("secret={secret}")), "{url}");

        post("enable", json!({ "secret": secret, "otp": "000000" })).await.refused(400, "INVALID_PAYLOAD");
        let foreign = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        let chosen = json!({ "secret": foreign, "otp": code(foreign, 0) });
        post("enable", chosen).await.refused(400, "INVALID_PAYLOAD");
        post("disable", json!({ "otp": code(secret, 0) })).await.refused(400, "INVALID_PAYLOAD");
        let used = code(secret, 0);
        let enabled = post("enable", json!({ "secret": secret, "otp": used })).await.data();
        let recovery: Vec<String> = serde_json::from_value(enabled["recovery_codes"].clone()).unwrap();
        assert_eq!(recovery.len(), 10);
        assert_eq!(eve.get("/users/me").await.status, 200, "the session that proved it goes on");
        other.get("/users/me").await.refused(401, "INVALID_CREDENTIALS");
        post("generate", json!({ "password": PASSWORD })).await.refused(400, "INVALID_PAYLOAD");

        login(&visitor, "eve", PASSWORD, None).await.refused(401, "INVALID_OTP");
        login(&visitor, "eve", PASSWORD, Some("000000")).await.refused(401, "INVALID_OTP");
        login(&visitor, "eve", PASSWORD, Some(&used)).await.refused(401, "INVALID_OTP");
        login(&visitor, "eve", "wrong", Some(&code(secret, 0))).await.refused(401, "INVALID_CREDENTIALS");
        let good = code(secret, 1);
        let (first, second) = tokio::join!(
            login(&visitor, "eve", PASSWORD, Some(&good)),
            login(&visitor, "eve", PASSWORD, Some(&good))
        );
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401], "one code, one sign-in");
        login(&visitor, "eve", PASSWORD, Some(&recovery[0])).await.data();
        login(&visitor, "eve", PASSWORD, Some(&recovery[0])).await.refused(401, "INVALID_OTP");
        visitor.post("/auth/refresh", refresh).await.data();
        let shown = admin.get(&format!("/users/{id}?fields=tfa_secret")).await;
        assert_eq!(shown.data(), json!({ "tfa_secret": "**********" }));

        post("disable", json!({})).await.refused(400, "INVALID_PAYLOAD");
        post("disable", json!({ "otp": good })).await.refused(400, "INVALID_PAYLOAD");
        post("disable", json!({ "otp": recovery[1] })).await.no_content();
        let (eve, _) = signed_in(&visitor, "eve").await;

        let new = eve.post("/users/me/tfa/generate", json!({ "password": PASSWORD })).await.data();
        let secret = new["secret"].as_str().unwrap();
        let body = json!({ "secret": secret, "otp": code(secret, 0) });
        eve.post("/users/me/tfa/enable", body).await.data();
        let path = format!("/users/{id}/tfa/disable");
        eve.post(&path, json!({})).await.refused(403, "FORBIDDEN");
        admin.post(&path, json!({})).await.no_content();
        eve.get("/users/me").await.refused(401, "INVALID_CREDENTIALS");
        login(&visitor, "eve", PASSWORD, None).await.data();
    })
    .await;
}

#[tokio::test]
async fn whoever_must_have_a_second_factor_can_do_nothing_before() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let (admin, visitor) = (server.admin(), server.visitor());
        let id = user(&admin, "max", json!({})).await;
        let strict = json!({ "name": "Strict", "enforce_tfa": true, "admin_access": true });
        policy(&admin, &id, strict, None).await;
        let free = user(&admin, "free", json!({})).await;
        let (max, _) = signed_in(&visitor, "max").await;
        max.get("/items/notes").await.refused(403, "FORBIDDEN");
        max.get("/metrics").await.refused(403, "FORBIDDEN");
        max.post("/users", json!({ "email": "x@example.com" })).await.refused(403, "FORBIDDEN");
        assert_eq!(max.get("/users/me").await.data(), json!({ "id": id }));
        let new = max.post("/users/me/tfa/generate", json!({ "password": PASSWORD })).await.data();
        let secret = new["secret"].as_str().unwrap();
        let body = json!({ "secret": secret, "otp": code(secret, 0) });
        max.post("/users/me/tfa/enable", body).await.data();
        assert_eq!(max.get("/items/notes").await.status, 200);
        assert_eq!(max.get("/metrics").await.status, 200);

        // Without a permission that names it, and without being made to, nobody sets it.
        let (free, _) = (signed_in(&visitor, "free").await.0, free);
        let new = free.post("/users/me/tfa/generate", json!({ "password": PASSWORD })).await.data();
        let secret = new["secret"].as_str().unwrap();
        let body = json!({ "secret": secret, "otp": code(secret, 0) });
        free.post("/users/me/tfa/enable", body).await.refused(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one_or_all() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let visitor = server.visitor();
        user(&server.admin(), "sam", json!({})).await;
        user(&server.admin(), "tom", json!({})).await;
        let (here, refresh) = signed_in(&visitor, "sam").await;
        let (there, _) = signed_in(&visitor, "sam").await;
        let (tom, _) = signed_in(&visitor, "tom").await;
        let renewed = visitor.post("/auth/refresh", refresh).await.data();
        let here_now = here.with_token(renewed["access_token"].as_str());

        let sessions = here_now.get("/users/me/sessions").await.data();
        let sessions = sessions.as_array().unwrap();
        assert_eq!(sessions.len(), 2, "one that was renewed is one: {sessions:?}");
        let (current, others): (Vec<&Value>, Vec<&Value>) =
            sessions.iter().partition(|session| session["is_current"] == true);
        assert_eq!((current.len(), others.len(), &current[0]["ip"]), (1, 1, &json!("127.0.0.1")));
        let path = format!("/users/me/sessions/{}", others[0]["id"].as_str().unwrap());
        tom.delete(&path).await.refused(403, "FORBIDDEN");
        tom.delete("/users/me/sessions/unknown").await.refused(403, "FORBIDDEN");
        here.delete(&path).await.no_content();
        there.get("/users/me").await.refused(401, "INVALID_CREDENTIALS");
        assert_eq!(here_now.get("/users/me").await.status, 200);
        here.delete("/users/me/sessions").await.no_content();
        here_now.get("/users/me").await.refused(401, "INVALID_CREDENTIALS");
        assert_eq!(tom.get("/users/me").await.status, 200);
        visitor.get("/users/me/sessions").await.refused(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn the_last_administrator_stays() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let me = admin.get("/users/me?fields=id,role").await.data();
        let path = format!("/users/{}", me["id"].as_str().unwrap());
        let role = format!("/roles/{}", me["role"].as_str().unwrap());
        let access = admin.get("/access?fields=id,policy").await.data();
        let grant = format!("/access/{}", access[0]["id"].as_str().unwrap());
        let policy = format!("/policies/{}", access[0]["policy"].as_str().unwrap());
        let refused = async || {
            for (path, body) in [
                (&path, json!({ "status": "suspended" })),
                (&path, json!({ "role": null })),
                (&policy, json!({ "admin_access": false })),
                (&role, json!({ "users": [] })),
            ] {
                admin.patch(path, body).await.refused(422, "UNPROCESSABLE_CONTENT");
            }
            for path in [&path, &grant] {
                admin.delete(path).await.refused(422, "UNPROCESSABLE_CONTENT");
            }
        };
        refused().await;
        assert_eq!(admin.patch(&path, json!({ "first_name": "Ada" })).await.status, 200);

        // A role below the one that gives everything gives it too, to those who are active.
        let below = json!({ "name": "Deputies", "parent": me["role"] });
        let below = admin.post("/roles", below).await.data()["id"].clone();
        let deputy = user(&admin, "deputy", json!({ "role": below, "status": "suspended" })).await;
        refused().await;
        let body = json!({ "status": "active", "token": "deputy-token" });
        admin.patch(&format!("/users/{deputy}"), body).await.data();
        admin.delete(&path).await.no_content();
        let deputy = server.visitor().with_token(Some("deputy-token"));
        assert_eq!(deputy.get("/metrics").await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn what_ends_a_session_acts_on_every_node() {
    each_database(async |engine| {
        // A SQLite database is served by one process.
        if engine.pick(true, false, false) {
            return;
        }
        let (server, database) = blog::own(engine).await;
        let other = Server::start(&database, &blog::collections()).await;
        user(&server.admin(), "ann", json!({})).await;
        for way in ["logout", "all", "one"] {
            let (here, refresh) = signed_in(&server.visitor(), "ann").await;
            let there = other.visitor().with_token(here.token());
            assert_eq!(there.get("/users/me").await.status, 200);
            match way {
                "logout" => server.visitor().post("/auth/logout", refresh).await.no_content(),
                "all" => here.delete("/users/me/sessions").await.no_content(),
                _ => {
                    let id = here.get("/users/me/sessions").await.data()[0]["id"].clone();
                    here.delete(&format!("/users/me/sessions/{}", id.as_str().unwrap())).await.no_content();
                }
            }
            there.get("/users/me").await.refused(401, "INVALID_CREDENTIALS");
        }
    })
    .await;
}
