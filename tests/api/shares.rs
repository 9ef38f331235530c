//! Shares: one item, opened to people without an account.

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::smtp::Smtp;
use crate::support::{Answer, Client, Database, Engine, Project, Server, each_database};

const AUTHORS: &str = "collection: authors\nfields:\n  id: integer_pk\n  name: string\n";
const NOTES: &str = "collection: notes\nfields:\n  id: integer_pk\n  title: string\n  secret: string\n  owner: string\n  \
                     author: { m2o: authors }\n";

/// A model with two notes: the first is Ada's, the second Grace's.
struct House {
    server: Server,
    admin: Client,
    visitor: Client,
    /// May read and share her own notes, without the secret.
    ada: Client,
    ada_id: String,
    /// With which a share is seen: titles and owners of all notes.
    role: String,
    project: Project,
    smtp: Smtp,
}

impl House {
    async fn new(engine: Engine) -> House {
        let files = [("authors.yaml", AUTHORS), ("notes.yaml", NOTES)];
        let project = Project::new(Database::fresh(engine).await, &files).await;
        let smtp = Smtp::start().await;
        let settings = project.server().set("RATE_LIMITER_AUTH_POINTS", "1000");
        let settings = settings.set("EMAIL_SMTP_HOST", "127.0.0.1");
        let server = settings.set("EMAIL_SMTP_PORT", &smtp.port.to_string()).start().await;
        let (admin, visitor) = (server.admin(), server.visitor());
        admin.create("authors", json!({ "id": 1, "name": "Ada" })).await;
        for (id, owner) in [(1, "ada"), (2, "grace")] {
            let note = json!({ "id": id, "title": format!("Note {id}"), "secret": "hidden", "owner": owner, "author": 1 });
            admin.create("notes", note).await;
        }
        let hers = json!({ "owner": { "_eq": "ada" } });
        let rights = json!([
            ["notes", "read", hers, ["id", "title", "owner", "author"]],
            ["notes", "share", hers, ["*"]],
            ["directus_shares", "create", {}, ["*"]],
            ["directus_shares", "read", {}, ["*"]],
            ["directus_shares", "update", {}, ["*"]],
        ]);
        let sharing = policy(&admin, "sharing", rights).await;
        let (ada_id, ada) = user(&admin, "ada", &[&sharing]).await;
        let seeing = policy(
            &admin,
            "seeing",
            json!([
                ["notes", "read", {}, ["id", "title", "secret", "author"]],
                ["authors", "read", {}, ["*"]]
            ]),
        )
        .await;
        let role =
            admin.post("/roles", json!({ "name": "seers" })).await.data()["id"].as_str().unwrap().to_owned();
        admin.post("/access", json!({ "role": role, "policy": seeing })).await.data();
        House { server, admin, visitor, ada, ada_id, role, project, smtp }
    }

    /// A share of Ada's for her note, with these members besides.
    async fn share(&self, more: Value) -> String {
        let mut share = json!({ "collection": "notes", "item": "1", "role": self.role, "name": "For you" });
        share.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.ada.post("/shares", share).await.data()["id"].as_str().unwrap().to_owned()
    }

    async fn open(&self, share: &str, password: Option<&str>) -> Answer {
        let mut body = json!({ "share": share });
        if let Some(password) = password {
            body["password"] = json!(password);
        }
        self.visitor.post("/shares/auth", body).await
    }

    /// Whoever opened a share.
    async fn guest(&self, share: &str) -> Client {
        let tokens = self.open(share, None).await.data();
        assert_eq!(tokens["expires"], 900_000);
        self.visitor.with_token(tokens["access_token"].as_str())
    }
}

#[tokio::test]
async fn a_share_shows_its_item_and_nothing_else() {
    each_database(async |engine| {
        let house = House::new(engine).await;
        let share = house.share(json!({})).await;
        let guest = house.guest(&share).await;
        // What the role may see and the maker, too.
        let seen = guest.get("/items/notes/1").await.data();
        assert_eq!(seen, json!({ "id": 1, "title": "Note 1", "author": 1 }));
        assert_eq!(guest.items("notes", json!({})).await.ids(), [1]);
        let counted = guest.items("notes", json!({ "aggregate": { "count": "*" } })).await.data();
        assert_eq!(counted[0]["count"].to_string().trim_matches('"'), "1");
        for path in [
            "/items/notes/2",
            "/items/notes/1?fields=secret",
            "/items/notes/1?fields=owner",
            "/items/notes?filter[secret][_eq]=hidden",
            "/items/authors",
            "/shares",
            &format!("/shares/{share}"),
            "/users",
            "/users/me",
            "/metrics",
        ] {
            guest.get(path).await.refused(403, "FORBIDDEN");
        }
        let behind = guest.get("/items/notes/1?fields=*,author.*,author.name").await;
        assert!(!behind.text().contains("Ada"), "{behind:?}");
        guest.patch("/items/notes/1", json!({ "title": "Mine" })).await.refused(403, "FORBIDDEN");
        guest.delete("/items/notes/1").await.refused(403, "FORBIDDEN");
        guest.post("/items/notes", json!({ "title": "Mine" })).await.refused(403, "FORBIDDEN");
        guest.post("/shares", json!({ "collection": "notes", "item": "1" })).await.refused(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn a_share_gives_no_more_than_its_maker_could() {
    each_database(async |engine| {
        let house = House::new(engine).await;
        let share = house.share(json!({})).await;
        let guest = house.guest(&share).await;
        let title = async |client: &Client| client.get("/items/notes/1").await;
        assert_eq!(title(&guest).await.status, 200);
        // The item is hers no more.
        house.admin.patch("/items/notes/1", json!({ "owner": "grace" })).await.data();
        title(&guest).await.refused(403, "FORBIDDEN");
        house.admin.patch("/items/notes/1", json!({ "owner": "ada" })).await.data();
        assert_eq!(title(&guest).await.status, 200);
        // She may share no more.
        let query = json!({ "filter": { "action": { "_eq": "share" } }, "fields": "id" });
        let right = house.admin.read("/permissions", query).await.data()[0]["id"].clone();
        house.admin.patch(&format!("/permissions/{right}"), json!({ "collection": "authors" })).await.data();
        title(&guest).await.refused(403, "FORBIDDEN");
        house.admin.patch(&format!("/permissions/{right}"), json!({ "collection": "notes" })).await.data();
        assert_eq!(title(&guest).await.status, 200);
        // She is gone.
        let ada = format!("/users/{}", house.ada_id);
        house.admin.patch(&ada, json!({ "status": "suspended" })).await.data();
        title(&guest).await.refused(401, "INVALID_CREDENTIALS");
        house.open(&share, None).await.refused(401, "INVALID_CREDENTIALS");
        house.admin.patch(&ada, json!({ "status": "active" })).await.data();
        assert_eq!(title(&guest).await.status, 200);
        house.admin.delete(&format!("/shares/{share}")).await.no_content();
        title(&guest).await.refused(401, "INVALID_CREDENTIALS");
    })
    .await;
}

#[tokio::test]
async fn only_what_one_may_share_is_shared() {
    each_database(async |engine| {
        let house = House::new(engine).await;
        for (collection, item) in [
            ("notes", "2"),
            ("notes", "9"),
            ("notes", "x"),
            ("authors", "1"),
            ("directus_users", &house.ada_id),
            ("nothing", "1"),
        ] {
            let share = json!({ "collection": collection, "item": item, "role": house.role });
            let answer = house.ada.post("/shares", share).await;
            assert!(matches!(answer.status, 400 | 403), "{collection} {item}: {answer:?}");
        }
        // The maker is who makes it, whatever is said; and nobody points a share of somebody else anywhere.
        let admin = house.admin.get("/users/me").await.data()["id"].clone();
        let share = house.share(json!({ "user_created": admin })).await;
        let kept =
            house.admin.read(&format!("/shares/{share}"), json!({ "fields": "user_created" })).await.data();
        assert_eq!(kept["user_created"], json!(house.ada_id));
        let theirs = json!({ "collection": "notes", "item": "2", "role": house.role });
        let theirs = house.admin.post("/shares", theirs).await.data()["id"].as_str().unwrap().to_owned();
        for change in [
            json!({ "item": "1" }),
            json!({ "collection": "authors" }),
            json!({ "role": null }),
            json!({ "user_created": admin }),
            json!({ "times_used": 0 }),
        ] {
            for id in [&share, &theirs] {
                house.ada.patch(&format!("/shares/{id}"), change.clone()).await.refused(403, "FORBIDDEN");
            }
            let many = json!({ "keys": [share], "data": change });
            house.ada.patch("/shares", many).await.refused(403, "FORBIDDEN");
        }
        house.ada.patch(&format!("/shares/{share}"), json!({ "name": "Renamed" })).await.data();
        assert_eq!(house.guest(&theirs).await.get("/items/notes/2").await.data()["secret"], "hidden");
    })
    .await;
}

#[tokio::test]
async fn passwords_uses_and_times() {
    each_database(async |engine| {
        let house = House::new(engine).await;
        let locked = house.share(json!({ "password": "Open-Sesame" })).await;
        for wrong in [None, Some(""), Some("open-sesame"), Some("**********")] {
            house.open(&locked, wrong).await.refused(401, "INVALID_CREDENTIALS");
        }
        assert_eq!(house.open(&locked, Some("Open-Sesame")).await.status, 200);
        let guarded = house.share(json!({ "password": "Open-Sesame" })).await;
        let guesses = (0..12).map(|guess| {
            let body = json!({ "share": guarded, "password": format!("guess {guess}") });
            house.visitor.request("POST", "/shares/auth").json(&body).send()
        });
        let answers = futures::future::join_all(guesses).await;
        assert!(answers.iter().any(|answer| answer.status == 429), "guessing has an end");
        house.open(&guarded, Some("Open-Sesame")).await.refused(429, "REQUESTS_EXCEEDED");
        let info = house.visitor.get(&format!("/shares/info/{locked}")).await.data();
        let expected = json!({
            "id": locked, "collection": "notes", "item": "1", "password": "**********", "max_uses": null,
            "times_used": 1, "date_start": null, "date_end": null,
        });
        assert_eq!(info, expected);

        let twice = house.share(json!({ "max_uses": 2 })).await;
        let all = futures::future::join_all((0..6).map(|_| house.open(&twice, None))).await;
        assert_eq!(all.iter().filter(|answer| answer.status == 200).count(), 2);
        house.open(&twice, None).await.refused(401, "INVALID_CREDENTIALS");
        assert_eq!(house.visitor.get(&format!("/shares/info/{twice}")).await.data()["times_used"], 2);

        let early = house.share(json!({ "date_start": "2999-01-01T00:00:00Z" })).await;
        let late = house.share(json!({ "date_end": "2000-01-01T00:00:00Z" })).await;
        let unknown = "019a0000-0000-7000-8000-000000000001";
        for closed in [early.as_str(), &late, unknown, "nonsense"] {
            house.open(closed, None).await.refused(401, "INVALID_CREDENTIALS");
            house.visitor.get(&format!("/shares/info/{closed}")).await.refused(403, "FORBIDDEN");
        }
        let open = house
            .share(json!({ "date_start": "2000-01-01T00:00:00Z", "date_end": "2999-01-01T00:00:00Z" }))
            .await;
        let guest = house.guest(&open).await;
        assert_eq!(guest.get("/items/notes/1").await.status, 200);
        // What ends, ends at once for those who are in.
        house
            .ada
            .patch(&format!("/shares/{open}"), json!({ "date_end": "2000-01-02T00:00:00Z" }))
            .await
            .data();
        guest.get("/items/notes/1").await.refused(401, "INVALID_CREDENTIALS");
        let ended = house.share(json!({})).await;
        let tokens = house.open(&ended, None).await.data();
        let end = json!({ "date_end": "2000-01-02T00:00:00Z" });
        house.ada.patch(&format!("/shares/{ended}"), end).await.data();
        let refresh = json!({ "refresh_token": tokens["refresh_token"] });
        house.visitor.post("/auth/refresh", refresh).await.refused(401, "INVALID_CREDENTIALS");
    })
    .await;
}

#[tokio::test]
async fn tokens_of_shares() {
    each_database(async |engine| {
        let house = House::new(engine).await;
        let share = house.share(json!({})).await;
        let tokens = house.open(&share, None).await.data();
        let token = tokens["access_token"].as_str().unwrap();
        let claims = token.split('.').nth(1).unwrap();
        let claims =
            base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!((&claims["share"], &claims["role"]), (&json!(share), &json!(house.role)));
        assert_eq!((&claims["admin_access"], &claims["app_access"]), (&json!(false), &json!(false)));
        assert_eq!(claims.get("id"), None);

        let used = async || {
            house.admin.get(&format!("/shares/{share}?fields=times_used")).await.data()["times_used"].clone()
        };
        let before = used().await;
        let refresh = async |token: &Value| {
            house.visitor.post("/auth/refresh", json!({ "refresh_token": token })).await
        };
        let renewed = refresh(&tokens["refresh_token"]).await.data();
        let guest = house.visitor.with_token(renewed["access_token"].as_str());
        assert_eq!(guest.get("/items/notes/1").await.data()["title"], "Note 1");
        guest.get("/items/notes/2").await.refused(403, "FORBIDDEN");
        refresh(&tokens["refresh_token"]).await.refused(401, "INVALID_CREDENTIALS");
        assert_eq!(used().await, before, "that is no further use");

        let session = house.visitor.post("/shares/auth", json!({ "share": share, "mode": "session" })).await;
        let cookie = session.header("set-cookie").expect("a cookie").split(';').next().unwrap().to_owned();
        let me = house.visitor.request("GET", "/items/notes/1").header("cookie", &cookie).send().await;
        assert_eq!(me.data()["title"], "Note 1");

        for wrong in [
            json!({}),
            json!({ "share": 1 }),
            json!({ "share": share, "password": 1 }),
            json!({ "share": share, "mode": "x" }),
        ] {
            house.visitor.post("/shares/auth", wrong).await.refused(400, "INVALID_PAYLOAD");
        }
        // A role that may do everything does not make an administrator of a guest.
        let roles = house.admin.read("/roles", json!({ "fields": "id,name" })).await.data();
        let everything =
            roles.as_array().unwrap().iter().find(|role| role["name"] == "Administrator").unwrap();
        let great = house.share(json!({ "role": everything["id"] })).await;
        let guest = house.guest(&great).await;
        let seen = guest.get("/items/notes/1").await.data();
        assert_eq!(seen, json!({ "id": 1, "title": "Note 1", "owner": "ada", "author": 1 }));
        guest.get("/users").await.refused(403, "FORBIDDEN");
        guest.get("/items/notes/2").await.refused(403, "FORBIDDEN");
        // A guest stays one after a restart, as long as the secret is the same.
        let House { server, project, .. } = house;
        drop(server);
        let again = project.server().start().await;
        let guest = again.visitor().with_token(guest.token());
        assert_eq!(guest.get("/items/notes/1").await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn a_share_does_not_cross_tenants() {
    each_database(async |engine| {
        let firms = "collection: firms\nfields:\n  id: integer_pk\n  people: { o2m: people.firm }\n\
                     members: { people: { user: { _eq: $CURRENT_USER } } }\n";
        let people = "collection: people\nfields:\n  id: integer_pk\n  firm: { m2o: firms }\n  \
                      user: { m2o: directus_users }\n";
        let files = "collection: papers\ntenant: firm\nfields:\n  id: integer_pk\n  title: string\n  \
                     firm: { m2o: firms, required: true }\n";
        let files = [("firms.yaml", firms), ("people.yaml", people), ("papers.yaml", files)];
        let project = Project::new(Database::fresh(engine).await, &files).await;
        let server = project.server().start().await;
        let admin = server.admin();
        let rights = json!([
            ["papers", "read", {}, ["*"]],
            ["papers", "share", {}, ["*"]],
            ["directus_shares", "create", {}, ["*"]],
            ["directus_shares", "read", {}, ["*"]],
            ["directus_shares", "update", {}, ["*"]],
            ["directus_shares", "delete", {}, ["*"]],
        ]);
        let everything = policy(&admin, "papers", rights).await;
        let (ada_id, ada) = user(&admin, "ada", &[&everything]).await;
        let role = admin.post("/roles", json!({ "name": "guests" })).await.data()["id"].clone();
        admin.post("/access", json!({ "role": role, "policy": everything })).await.data();
        for firm in [1, 2] {
            admin.create("firms", json!({ "id": firm })).await;
            admin.create("papers", json!({ "id": firm, "firm": firm, "title": format!("Of {firm}") })).await;
        }
        let person = admin.create("people", json!({ "firm": 1, "user": ada_id })).await["id"].clone();
        let share = |item: &str| json!({ "collection": "papers", "item": item, "role": role });
        ada.post("/shares", share("2")).await.refused(403, "FORBIDDEN");
        let theirs = admin.post("/shares", share("2")).await.data()["id"].clone();
        let share = ada.post("/shares", share("1")).await.data()["id"].clone();
        // Shares of what she may not see are not there for her.
        let seen = ada.get("/shares?fields=id").await.data();
        assert_eq!(seen, json!([{ "id": share }]));
        let theirs = format!("/shares/{}", theirs.as_str().unwrap());
        ada.get(&theirs).await.refused(403, "FORBIDDEN");
        ada.patch(&theirs, json!({ "name": "Mine now" })).await.refused(403, "FORBIDDEN");
        ada.delete(&theirs).await.refused(403, "FORBIDDEN");
        let tokens = server.visitor().post("/shares/auth", json!({ "share": share })).await.data();
        let guest = server.visitor().with_token(tokens["access_token"].as_str());
        assert_eq!(guest.get("/items/papers/1").await.data()["title"], "Of 1");
        guest.get("/items/papers/2").await.refused(403, "FORBIDDEN");
        // She moves to the other firm.
        admin.patch(&format!("/items/people/{person}"), json!({ "firm": 2 })).await.data();
        guest.get("/items/papers/1").await.refused(403, "FORBIDDEN");
        guest.get("/items/papers/2").await.refused(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn people_are_written_to_where_to_find_a_share() {
    each_database(async |engine| {
        let house = House::new(engine).await;
        let share = house.share(json!({})).await;
        let invite = json!({ "share": share, "emails": ["a@example.com", "b@example.com"] });
        house.ada.post("/shares/invite", invite.clone()).await.no_content();
        for email in ["a@example.com", "b@example.com"] {
            let letter = house.smtp.next(email).await;
            assert_eq!(letter.to, [email], "nobody learns of the others");
            assert!(letter.link().ends_with(&format!("/admin/shared/{share}")), "{letter:?}");
        }
        house.visitor.post("/shares/invite", invite.clone()).await.refused(403, "FORBIDDEN");
        house.guest(&share).await.post("/shares/invite", invite).await.refused(403, "FORBIDDEN");
        let unknown = json!({ "share": "019a0000-0000-7000-8000-000000000001", "emails": ["a@example.com"] });
        house.ada.post("/shares/invite", unknown).await.refused(403, "FORBIDDEN");
        for emails in [
            json!(["a b@example.com"]),
            json!(["a@example.com\r\nBcc: c@example.com"]),
            json!("a@example.com"),
            json!([1]),
        ] {
            let wrong = json!({ "share": share, "emails": emails });
            house.ada.post("/shares/invite", wrong).await.refused(400, "INVALID_PAYLOAD");
        }
        assert_eq!(house.smtp.waiting(), 0);
    })
    .await;
}
