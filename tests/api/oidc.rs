//! Signing in elsewhere: OpenID Connect and OAuth 2.0 against a provider that this suite runs.

use serde_json::{Value, json};

use crate::support::client::http;
use crate::support::provider::{Behaviour, CLIENT_ID, CLIENT_SECRET, Provider, Signature};
use crate::support::server::{ADMIN_EMAIL, ServerBuilder, free_port};
use crate::support::{Answer, Client, Database, Engine, Project, Server, each_database};

/// A server with one provider, in whose name it signs people in as administrators.
struct House {
    // Ends before what it stands on.
    server: Server,
    provider: Provider,
    builder: ServerBuilder,
    base: String,
    _project: Project,
}

impl House {
    async fn new(engine: Engine, settings: &[(&str, &str)]) -> House {
        let project = Project::new(Database::fresh(engine).await, &[]).await;
        let provider = Provider::start();
        let first = project.server().start().await;
        let roles = first.admin().read("/roles", json!({ "fields": "id,name" })).await.data();
        let admin = roles.as_array().unwrap().iter().find(|role| role["name"] == "Administrator").unwrap();
        drop(first);
        let port = free_port();
        let base = format!("http://127.0.0.1:{port}");
        let mut builder = project
            .server()
            .set("PORT", &port.to_string())
            .set("PUBLIC_URL", &base)
            .set("OUTGOING_ALLOW", "127.0.0.1")
            .set("AUTH_PROVIDERS", "idp")
            .set("AUTH_IDP_DRIVER", "openid")
            .set("AUTH_IDP_ISSUER_URL", &provider.address)
            .set("AUTH_IDP_CLIENT_ID", CLIENT_ID)
            .set("AUTH_IDP_CLIENT_SECRET", CLIENT_SECRET)
            .set("AUTH_IDP_ALLOW_PUBLIC_REGISTRATION", "true")
            .set("AUTH_IDP_DEFAULT_ROLE_ID", admin["id"].as_str().unwrap());
        for (name, value) in settings {
            builder = builder.set(name, value);
        }
        let server = builder.start().await;
        House { server, provider, builder, base, _project: project }
    }

    /// Starts the server anew with further settings.
    async fn restart(&mut self, settings: &[(&str, &str)]) {
        self.server.kill();
        for (name, value) in settings {
            self.builder = self.builder.clone().set(name, value);
        }
        self.server = self.builder.start().await;
    }

    fn visitor(&self) -> Client {
        self.server.visitor()
    }

    /// Sets out, and gives the cookie and the address of the provider.
    async fn depart(&self, query: &str) -> (String, String) {
        let answer = self.visitor().get(&format!("/auth/login/idp{query}")).await;
        assert_eq!(answer.status, 302, "{answer:?}");
        (cookie(&answer, "tablature_sign_in_idp"), location(&answer))
    }

    /// Goes to the provider and gives the way back, relative to the server.
    async fn consent(&self, location: &str) -> String {
        let answer = http().get(location).send().await.expect("the provider answers");
        let back = answer.headers()["location"].to_str().expect("text").to_owned();
        back.strip_prefix(&self.base).expect("the way back leads here").to_owned()
    }

    async fn arrive(&self, back: &str, cookie: &str) -> Answer {
        self.visitor().request("GET", back).header("cookie", cookie).send().await
    }

    /// The whole way.
    async fn sign_in(&self, query: &str) -> Answer {
        let (cookie, location) = self.depart(query).await;
        let back = self.consent(&location).await;
        self.arrive(&back, &cookie).await
    }

    /// A sign-in without a page to go back to; gives the user.
    async fn user(&self) -> Value {
        let tokens = self.sign_in("").await.data();
        let me = self.server.visitor().with_token(tokens["access_token"].as_str());
        me.read(
            "/users/me",
            json!({ "fields": "id,email,first_name,last_name,provider,external_identifier,role,status" }),
        )
        .await
        .data()
    }

    fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        self.provider.set(change);
    }

    async fn users(&self) -> usize {
        self.server.admin().read("/users", json!({ "fields": "id" })).await.data().as_array().unwrap().len()
    }
}

/// Name and value of a cookie that an answer sets.
fn cookie(answer: &Answer, name: &str) -> String {
    let all = answer.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
    let start = format!("{name}=");
    let found = all.into_iter().find(|text| text.starts_with(&start));
    let found = found.unwrap_or_else(|| panic!("no cookie {name}: {answer:?}"));
    assert!(found.contains("HttpOnly") && found.contains("SameSite=Lax"), "{found}");
    found.split(';').next().unwrap_or_default().to_owned()
}

fn location(answer: &Answer) -> String {
    answer.header("location").unwrap_or_else(|| panic!("no location: {answer:?}")).to_owned()
}

fn person(subject: &str) -> Value {
    json!({
        "sub": subject,
        "email": format!("{subject}@example.com"),
        "email_verified": true,
        "given_name": "Ada",
        "family_name": "Lovelace",
    })
}

#[tokio::test]
async fn somebody_signs_in_elsewhere() {
    each_database(async |engine| {
        let house = House::new(engine, &[("AUTH_IDP_LABEL", "Our provider")]).await;
        let listed = house.visitor().get("/auth").await.json();
        let expected =
            json!([{ "name": "idp", "driver": "openid", "icon": "account_circle", "label": "Our provider" }]);
        assert_eq!((&listed["data"], &listed["disableDefault"]), (&expected, &json!(false)));

        house.provider.person(person("ada"));
        let user = house.user().await;
        assert_eq!(user["email"], "ada@example.com");
        assert_eq!(user["first_name"], "Ada");
        assert_eq!(user["last_name"], "Lovelace");
        assert_eq!(user["provider"], "idp");
        assert_eq!(user["external_identifier"], "ada");
        // The second time it is the same person, whatever they are called by now.
        house.provider.person(json!({ "sub": "ada", "email": "other@example.com", "given_name": "Augusta" }));
        let again = house.user().await;
        assert_eq!(again, user);
        house.provider.person(person("grace"));
        assert_ne!(house.user().await["id"], user["id"]);
        // What a provider says of itself is asked for once.
        assert_eq!(house.provider.requests("/.well-known/openid-configuration"), 1);
        assert_eq!(house.provider.requests("/keys"), 1);
    })
    .await;
}

#[tokio::test]
async fn a_page_gets_its_session_in_a_cookie() {
    each_database(async |engine| {
        let mut house =
            House::new(engine, &[("AUTH_IDP_REDIRECT_ALLOW_LIST", "https://app.example/in")]).await;
        house.provider.person(person("ada"));
        let arrived = house.sign_in("?redirect=https%3A%2F%2Fapp.example%2Fin%3Fa%3Db").await;
        assert_eq!((arrived.status, location(&arrived).as_str()), (302, "https://app.example/in?a=b"));
        assert!(arrived.bytes.is_empty(), "{arrived:?}");
        let session = cookie(&arrived, "directus_session_token");
        let me = house.visitor().request("GET", "/users/me").header("cookie", &session).send().await;
        assert_eq!(me.data()["email"], "ada@example.com");

        house.restart(&[("AUTH_IDP_MODE", "cookie")]).await;
        assert_eq!(house.visitor().get("/auth?sessionOnly").await.json()["data"], json!([]));
        let arrived = house.sign_in("?redirect=/admin/login").await;
        assert_eq!(location(&arrived), "/admin/login");
        let refresh = cookie(&arrived, "directus_refresh_token");
        let renew = house.visitor().request("POST", "/auth/refresh").header("cookie", &refresh);
        let renewed = renew.header("origin", &house.base).json(&json!({ "mode": "cookie" })).send().await;
        assert!(renewed.data()["access_token"].is_string());
    })
    .await;
}

/// Somebody who reaches the server under several addresses comes back to the one they set out from.
#[tokio::test]
async fn people_come_back_to_the_address_they_came_from() {
    each_database(async |engine| {
        let urls = "https://shop.example/api, http://inner.example:8443";
        let mut house = House::new(engine, &[("AUTH_ALLOWED_PUBLIC_URLS", urls)]).await;
        house.provider.person(person("ada"));
        let depart = async |house: &House, headers: &[(&str, &str)], query: &str| {
            let request = house.visitor().request("GET", &format!("/auth/login/idp{query}"));
            headers.iter().fold(request, |request, (name, value)| request.header(name, value)).send().await
        };
        let way_back = |answer: &Answer| {
            let location = url::Url::parse(&location(answer)).expect("a URL");
            let found = location.query_pairs().find(|(name, _)| name == "redirect_uri");
            found.expect("a way back").1.into_owned()
        };
        let here = format!("{}/auth/login/idp/callback", house.base);
        for (host, expected) in [
            ("shop.example", "https://shop.example/api/auth/login/idp/callback"),
            ("SHOP.example:443", "https://shop.example/api/auth/login/idp/callback"),
            ("inner.example:8443", "http://inner.example:8443/auth/login/idp/callback"),
            ("inner.example", &here),
            ("evil.example", &here),
            ("shop.example.evil.example", &here),
            ("shop.example:444", &here),
        ] {
            let answer = depart(&house, &[("host", host)], "").await;
            assert_eq!(way_back(&answer), expected, "{host}");
            let set = answer.header("set-cookie").expect("a cookie");
            assert_eq!(set.contains("; Secure"), expected.starts_with("https"), "{host}: {set}");
            // Only proxies that are trusted say what was asked of them.
            let forwarded = depart(&house, &[("x-forwarded-host", host)], "").await;
            assert_eq!(way_back(&forwarded), here);
        }

        // The whole way; the code is good for the way back that it was asked with alone.
        let shop = [("host", "shop.example")];
        let set_out = depart(&house, &shop, "?redirect=/admin").await;
        let cookie = cookie(&set_out, "tablature_sign_in_idp");
        let answer = http().get(location(&set_out)).send().await.expect("the provider answers");
        let back = answer.headers()["location"].to_str().expect("text").to_owned();
        let back = back.strip_prefix("https://shop.example/api").expect("the way back leads to the shop");
        let arrived = house.visitor().request("GET", back).header("host", "shop.example");
        let arrived = arrived.header("cookie", &cookie).send().await;
        assert_eq!((arrived.status, location(&arrived).as_str()), (302, "/admin"));

        // Pages of all addresses of ours may be gone back to, and no others.
        for fine in ["https://shop.example/in", "http://inner.example:8443/", "/in", &house.base.clone()] {
            let answer = depart(&house, &shop, &format!("?redirect={fine}")).await;
            assert_eq!(answer.status, 302, "{fine}: {answer:?}");
        }
        for wrong in [
            "https://evil.example/",
            "http://shop.example/",
            "https://shop.example.evil.example/",
            "//evil.example/",
        ] {
            let evil = [("host", "evil.example")];
            depart(&house, &evil, &format!("?redirect={wrong}")).await.refused(400, "INVALID_PAYLOAD");
            depart(&house, &shop, &format!("?redirect={wrong}")).await.refused(400, "INVALID_PAYLOAD");
        }
        depart(&house, &[("host", "evil.example")], "?redirect=http://evil.example/")
            .await
            .refused(400, "INVALID_PAYLOAD");

        house.restart(&[("IP_TRUST_PROXY", "127.0.0.1")]).await;
        let forwarded = depart(&house, &[("x-forwarded-host", "shop.example")], "").await;
        assert_eq!(way_back(&forwarded), "https://shop.example/api/auth/login/idp/callback");
    })
    .await;
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_that_is_not_listed() {
    let house =
        House::new(Engine::Sqlite, &[("AUTH_IDP_REDIRECT_ALLOW_LIST", "https://app.example/in")]).await;
    for target in [
        "https://evil.example",
        "https://app.example/out",
        "https://app.example.evil/in",
        "//evil.example",
        "/%5Cevil.example",
        "/%09/evil.example",
        "javascript:alert(1)",
        "http://127.0.0.1:1/",
    ] {
        let answer = house.visitor().get(&format!("/auth/login/idp?redirect={target}")).await;
        answer.refused(400, "INVALID_PAYLOAD");
    }
    let long = house.visitor().get(&format!("/auth/login/idp?redirect=/{}", "a".repeat(2001))).await;
    long.refused(400, "INVALID_QUERY");
    for path in ["/auth/login/nobody", "/auth/login/nobody/callback", "/auth/login/idp/callback/more"] {
        house.visitor().get(path).await.refused(404, "ROUTE_NOT_FOUND");
    }
    assert_eq!(house.provider.requests("/.well-known/openid-configuration"), 0);
}

#[tokio::test]
async fn who_is_refused_learns_why_on_their_page() {
    each_database(async |engine| {
        let mut house = House::new(engine, &[("AUTH_IDP_ALLOW_PUBLIC_REGISTRATION", "false")]).await;
        house.provider.person(person("ada"));
        house.sign_in("").await.refused(401, "INVALID_CREDENTIALS");
        let arrived = house.sign_in("?redirect=/admin/login?continue=1%23here").await;
        assert_eq!(location(&arrived), "/admin/login?reason=INVALID_CREDENTIALS");
        let (cookie, departed) = house.depart("?redirect=/in").await;
        let state = departed.split(['?', '&']).find(|pair| pair.starts_with("state=")).expect("a state");
        let denied =
            house.arrive(&format!("/auth/login/idp/callback?error=access_denied&{state}"), &cookie).await;
        assert_eq!(location(&denied), "/in?reason=INVALID_CREDENTIALS");

        // With an e-mail of somebody who signs in here, nobody becomes them.
        house.restart(&[("AUTH_IDP_ALLOW_PUBLIC_REGISTRATION", "true")]).await;
        let before = house.users().await;
        for email in [ADMIN_EMAIL.to_owned(), ADMIN_EMAIL.to_uppercase()] {
            house.provider.person(json!({ "sub": "thief", "email": email, "email_verified": true }));
            house.sign_in("").await.refused(403, "INVALID_PROVIDER");
        }
        house.restart(&[("AUTH_IDP_REQUIRE_VERIFIED_EMAIL", "true")]).await;
        for verified in [json!(false), Value::Null] {
            house
                .provider
                .person(json!({ "sub": "new", "email": "new@example.com", "email_verified": verified }));
            house.sign_in("").await.refused(401, "INVALID_CREDENTIALS");
        }
        assert_eq!(house.users().await, before);
    })
    .await;
}

#[tokio::test]
async fn a_way_back_works_for_who_set_out_and_once() {
    each_database(async |engine| {
        let house = House::new(engine, &[]).await;
        house.provider.person(person("ada"));
        let (cookie, location) = house.depart("").await;
        let back = house.consent(&location).await;
        // Somebody else, with no journey, with another, or with one that they made up.
        house.visitor().get(&back).await.refused(401, "INVALID_CREDENTIALS");
        let (other, _) = house.depart("").await;
        house.arrive(&back, &other).await.refused(401, "INVALID_CREDENTIALS");
        let (name, value) = cookie.split_once('=').expect("a value");
        let parts: Vec<&str> = value.split('.').collect();
        for forged in [
            format!("{name}={}.{}.", parts[0], parts[1]),
            format!("{name}={}.{}.{}", parts[0], parts[1], "A".repeat(43)),
            format!("{name}="),
            format!("tablature_sign_in_other={value}"),
        ] {
            house.arrive(&back, &forged).await.refused(401, "INVALID_CREDENTIALS");
        }
        for wrong in ["state=wrong&code=code-0", "code=code-0", "", "state=", "code=&state="] {
            let answer = house.arrive(&format!("/auth/login/idp/callback?{wrong}"), &cookie).await;
            answer.refused(401, "INVALID_CREDENTIALS");
        }
        assert_eq!(house.provider.requests("/token"), 0, "nothing of this reaches the provider");
        let arrived = house.arrive(&back, &cookie).await;
        assert!(arrived.data()["access_token"].is_string());
        house.arrive(&back, &cookie).await.refused(401, "INVALID_CREDENTIALS");
    })
    .await;
}

#[tokio::test]
async fn id_tokens_are_judged() {
    let house = House::new(Engine::Sqlite, &[]).await;
    house.provider.person(person("ada"));
    let before = house.users().await;
    let check = async |change: &dyn Fn(&mut Behaviour)| {
        house.behave(change);
        house.sign_in("").await.refused(401, "INVALID_CREDENTIALS");
        house.behave(|behaviour| {
            behaviour.twist = json!({});
            behaviour.signature = Signature::Right;
            behaviour.user_info = None;
            behaviour.answered_issuer = None;
        });
    };
    let twists = [
        json!({ "aud": "somebody else" }),
        json!({ "aud": [] }),
        json!({ "aud": null }),
        json!({ "aud": [CLIENT_ID, "somebody else"] }),
        json!({ "azp": "somebody else" }),
        json!({ "iss": "https://evil.example" }),
        json!({ "iss": null }),
        json!({ "nonce": "another" }),
        json!({ "nonce": null }),
        json!({ "exp": 1_000_000_000 }),
        json!({ "exp": null }),
        json!({ "nbf": 4_000_000_000_u32 }),
        json!({ "iat": 4_000_000_000_u32 }),
        json!({ "iat": null }),
        json!({ "sub": null }),
        json!({ "sub": "" }),
        json!({ "sub": 7 }),
    ];
    for twist in twists {
        check(&|behaviour| behaviour.twist = twist.clone()).await;
    }
    for signature in [Signature::OtherKey, Signature::None, Signature::Shared] {
        check(&|behaviour| behaviour.signature = signature).await;
    }
    check(&|behaviour| behaviour.user_info = Some(person("grace"))).await;
    check(&|behaviour| behaviour.answered_issuer = Some("https://evil.example".to_owned())).await;
    assert_eq!(house.users().await, before);
    house.behave(|behaviour| behaviour.twist = json!({ "aud": [CLIENT_ID, "another"], "azp": CLIENT_ID }));
    assert_eq!(house.user().await["external_identifier"], "ada");
}

#[tokio::test]
async fn a_provider_may_change_its_key() {
    let house = House::new(Engine::Sqlite, &[]).await;
    house.provider.person(person("ada"));
    house.user().await;
    house.behave(|behaviour| behaviour.key_id = "second".to_owned());
    // Within half a minute of the last question a name that is not known is not asked for again: it may be made up.
    house.sign_in("").await.refused(401, "INVALID_CREDENTIALS");
    assert_eq!(house.provider.requests("/keys"), 1);
}

#[tokio::test]
async fn groups_decide_roles_where_they_are_mapped() {
    each_database(async |engine| {
        let mut house = House::new(engine, &[]).await;
        house.provider.person(person("ada"));
        let admin = house.user().await["role"].as_str().unwrap().to_owned();
        let mapping = json!({ "admins": admin }).to_string();
        let unknown = "019a0000-0000-7000-8000-000000000001";
        house.restart(&[("AUTH_IDP_ROLE_MAPPING", &mapping), ("AUTH_IDP_DEFAULT_ROLE_ID", "")]).await;
        let role = async |house: &House, subject: &str| {
            let query = json!({ "filter": { "external_identifier": { "_eq": subject } }, "fields": "role" });
            house.server.admin().read("/users", query).await.data()[0]["role"].clone()
        };
        for (groups, expected) in [
            (json!(["others", "admins"]), json!(admin)),
            (json!(["others"]), Value::Null),
            (json!("admins"), json!(admin)),
            (Value::Null, Value::Null),
        ] {
            for subject in ["ada", "grace"] {
                let mut claims = person(subject);
                claims["groups"] = groups.clone();
                house.provider.person(claims);
                assert_eq!(house.sign_in("").await.status, 200);
                assert_eq!(role(&house, subject).await, expected, "{subject} {groups}");
            }
        }
        house.restart(&[("AUTH_IDP_ROLE_MAPPING", &json!({ "admins": unknown }).to_string())]).await;
        let mut claims = person("ada");
        claims["groups"] = json!(["admins"]);
        house.provider.person(claims);
        // A role that is not there: nobody is let in with another one.
        let answer = house.sign_in("").await;
        assert!(answer.status >= 400, "{answer:?}");
    })
    .await;
}

#[tokio::test]
async fn names_follow_the_provider_when_asked_for() {
    each_database(async |engine| {
        let house = House::new(engine, &[("AUTH_IDP_SYNC_USER_INFO", "true")]).await;
        house.provider.person(person("ada"));
        house.user().await;
        house
            .provider
            .person(json!({ "sub": "ada", "email": "countess@example.com", "given_name": "Augusta" }));
        let user = house.user().await;
        assert_eq!(user["email"], "countess@example.com");
        assert_eq!(
            (user["first_name"].as_str(), user["last_name"].as_str()),
            (Some("Augusta"), Some("Lovelace"))
        );
        // An e-mail that somebody else has stays theirs.
        house.provider.person(json!({ "sub": "ada", "email": ADMIN_EMAIL }));
        assert_eq!(house.user().await["email"], "countess@example.com");
    })
    .await;
}

#[tokio::test]
async fn people_of_a_provider_are_users_like_others() {
    each_database(async |engine| {
        let house = House::new(engine, &[]).await;
        let admin = house.server.admin();
        house.provider.person(person("ada"));
        let id = house.user().await["id"].as_str().unwrap().to_owned();
        // A password is none of theirs.
        let body = json!({ "email": "ada@example.com", "password": "" });
        house.visitor().post("/auth/login", body).await.refused(400, "INVALID_PAYLOAD");
        admin.patch(&format!("/users/{id}"), json!({ "status": "suspended" })).await.data();
        house.sign_in("").await.refused(401, "INVALID_CREDENTIALS");
        admin
            .patch(&format!("/users/{id}"), json!({ "status": "active", "provider": "default" }))
            .await
            .data();
        house.sign_in("").await.refused(403, "INVALID_PROVIDER");
    })
    .await;
}

#[tokio::test]
async fn a_second_factor_here_is_asked_for_on_this_way_too() {
    each_database(async |engine| {
        let house = House::new(engine, &[]).await;
        house.provider.person(person("ada"));
        let tokens = house.sign_in("").await.data();
        let ada = house.visitor().with_token(tokens["access_token"].as_str());
        let id = ada.get("/users/me").await.data()["id"].as_str().unwrap().to_owned();
        let admin = house.server.admin();
        admin.patch(&format!("/users/{id}"), json!({ "password": "Ada-Passw0rd" })).await.data();
        let tokens = house.sign_in("").await.data();
        let ada = house.visitor().with_token(tokens["access_token"].as_str());
        let new = ada.post("/users/me/tfa/generate", json!({ "password": "Ada-Passw0rd" })).await.data();
        let secret = new["secret"].as_str().unwrap();
        let bytes = totp_rs::Secret::try_from_base32(secret).unwrap();
        let totp = totp_rs::Builder::new().with_secret(bytes).build_noncompliant();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let body = json!({ "secret": secret, "otp": totp.generate(now).to_string() });
        let enabled = ada.post("/users/me/tfa/enable", body).await.data();
        let recovery = enabled["recovery_codes"][0].as_str().unwrap();

        house.sign_in("").await.refused(401, "INVALID_OTP");
        house.sign_in("?otp=000000").await.refused(401, "INVALID_OTP");
        let page = house.sign_in("?redirect=/in").await;
        assert_eq!(location(&page), "/in?reason=INVALID_OTP");
        assert!(house.sign_in(&format!("?otp={recovery}")).await.data()["access_token"].is_string());
        house.sign_in(&format!("?otp={recovery}")).await.refused(401, "INVALID_OTP");
        let mut last = 0;
        for _ in 0..12 {
            last = house.sign_in("?otp=000000").await.status;
        }
        assert_eq!(last, 429, "guessing has an end");
    })
    .await;
}

#[tokio::test]
async fn a_form_comes_back_as_well() {
    let house = House::new(Engine::Sqlite, &[]).await;
    house.provider.person(person("ada"));
    let (cookie, location) = house.depart("").await;
    let back = house.consent(&location).await;
    let (path, query) = back.split_once('?').expect("a query");
    // The browser sends no cookie with the form of another site.
    let form = format!("{query}&redirect=https://evil.example&a=%0d%0ab");
    let request = house.visitor().request("POST", path);
    let answer = request.body(form, "application/x-www-form-urlencoded").send().await;
    assert_eq!(answer.status, 303, "{answer:?}");
    let next =
        answer.header("location").expect("a location").strip_prefix(&house.base).expect("ours").to_owned();
    assert_eq!(next, back);
    assert!(house.arrive(&next, &cookie).await.data()["access_token"].is_string());
    let json = house.visitor().post(path, json!({ "code": "a" })).await;
    json.refused(415, "UNSUPPORTED_MEDIA_TYPE");
}

#[tokio::test]
async fn oauth_without_openid() {
    each_database(async |engine| {
        let provider = Provider::start();
        let at = |path: &str| format!("{}{path}", provider.address);
        let settings = [
            ("AUTH_IDP_DRIVER", "oauth2"),
            ("AUTH_IDP_AUTHORIZE_URL", &at("/authorize")),
            ("AUTH_IDP_ACCESS_URL", &at("/token")),
            ("AUTH_IDP_PROFILE_URL", &at("/userinfo")),
            ("AUTH_IDP_IDENTIFIER_KEY", "id"),
            ("AUTH_IDP_FIRST_NAME_KEY", "name.first"),
            ("AUTH_IDP_CLIENT_TOKEN_ENDPOINT_AUTH_METHOD", "client_secret_post"),
        ];
        let house = House::new(engine, &settings).await;
        provider.person(json!({ "id": 42, "email": "ada@example.com", "name": { "first": "Ada" } }));
        let user = house.user().await;
        assert_eq!(
            (user["external_identifier"].as_str(), user["first_name"].as_str()),
            (Some("42"), Some("Ada"))
        );
        assert_eq!(house.user().await["id"], user["id"]);
        provider.person(json!({ "email": "ada@example.com" }));
        house.sign_in("").await.refused(401, "INVALID_CREDENTIALS");
        assert_eq!(provider.requests("/.well-known/openid-configuration"), 0);
    })
    .await;
}

#[tokio::test]
async fn a_provider_that_is_away_is_named() {
    let mut house = House::new(Engine::Sqlite, &[("OUTGOING_ALLOW", "10.0.0.1")]).await;
    // This machine is none that the server may ask.
    house.visitor().get("/auth/login/idp").await.refused(503, "SERVICE_UNAVAILABLE");
    assert_eq!(house.provider.requests("/.well-known/openid-configuration"), 0);
    house.restart(&[("OUTGOING_ALLOW", "127.0.0.1")]).await;
    house.behave(|behaviour| behaviour.issuer = Some("https://evil.example".to_owned()));
    let answer = house.visitor().get("/auth/login/idp").await;
    let errors = answer.refused(503, "SERVICE_UNAVAILABLE");
    assert_eq!(errors[0]["extensions"]["service"], "openid");
    assert!(!answer.text().contains("127.0.0.1"), "{answer:?}");
    // It is asked again as soon as it may be there.
    house.behave(|behaviour| behaviour.issuer = None);
    house.provider.person(person("ada"));
    let (cookie, location) = house.depart("").await;
    let back = house.consent(&location).await;
    let House { server, provider, .. } = house;
    provider.stop().await;
    let answer = server.visitor().request("GET", &back).header("cookie", &cookie).send().await;
    answer.refused(503, "SERVICE_UNAVAILABLE");
}

#[tokio::test]
async fn passwords_can_be_switched_off() {
    let house = House::new(Engine::Sqlite, &[("AUTH_DISABLE_DEFAULT", "true")]).await;
    assert_eq!(house.visitor().get("/auth").await.json()["disableDefault"], true);
    let body = json!({ "email": ADMIN_EMAIL, "password": "Admin-Passw0rd" });
    house.visitor().post("/auth/login", body).await.refused(404, "ROUTE_NOT_FOUND");
    house.provider.person(person("ada"));
    assert_eq!(house.user().await["provider"], "idp");
}
