//! Comments, those who are mentioned in them, notifications and their letters.

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::smtp::Smtp;
use crate::support::{Client, Database, Engine, Project, Server, each_database};

const NOTES: &str = "collection: notes\nfields:\n  id: integer_pk\n  title: string\n  owner: string\n";

/// Two notes, Ada's and Grace's; both may open the admin UI and read their own note.
struct House {
    _server: Server,
    admin: Client,
    visitor: Client,
    ada: Client,
    ada_id: String,
    grace: Client,
    grace_id: String,
    smtp: Smtp,
    _project: Project,
}

impl House {
    async fn new(engine: Engine) -> House {
        let project = Project::new(Database::fresh(engine).await, &[("notes.yaml", NOTES)]).await;
        let smtp = Smtp::start().await;
        let settings = project.server().set("EMAIL_SMTP_HOST", "127.0.0.1");
        let server = settings.set("EMAIL_SMTP_PORT", &smtp.port.to_string()).start().await;
        let (admin, visitor) = (server.admin(), server.visitor());
        for (id, owner) in [(1, "ada"), (2, "grace")] {
            admin.create("notes", json!({ "id": id, "title": "t", "owner": owner })).await;
        }
        let app = admin.post("/policies", json!({ "name": "app", "app_access": true })).await.data();
        let app = app["id"].as_str().unwrap().to_owned();
        let mut people = Vec::new();
        for name in ["ada", "grace"] {
            let own = json!([["notes", "read", { "owner": { "_eq": name } }, ["*"]]]);
            let own = policy(&admin, name, own).await;
            people.push(user(&admin, name, &[&app, &own]).await);
        }
        let (grace_id, grace) = people.pop().unwrap();
        let (ada_id, ada) = people.pop().unwrap();
        House { _server: server, admin, visitor, ada, ada_id, grace, grace_id, smtp, _project: project }
    }
}

fn on(item: &str, comment: &str) -> Value {
    json!({ "collection": "notes", "item": item, "comment": comment })
}

#[tokio::test]
async fn comments_are_about_what_their_maker_may_read() {
    each_database(async |engine| {
        let house = House::new(engine).await;
        let (ada, grace) = (&house.ada, &house.grace);
        let made = ada
            .post("/comments?fields=id,item,comment,user_created,user_updated", on("1", "Mine"))
            .await
            .data();
        assert_eq!((&made["user_created"], &made["user_updated"]), (&json!(house.ada_id), &Value::Null));
        let id = made["id"].as_str().unwrap();
        for closed in [on("2", "x"), on("99", "x"), on("x", "x")] {
            ada.post("/comments", closed).await.refused(403, "FORBIDDEN");
        }
        for other in ["nothing", "directus_settings", "directus_flows"] {
            let body = json!({ "collection": other, "item": "1", "comment": "x" });
            ada.post("/comments", body).await.refused(403, "FORBIDDEN");
        }
        ada.post("/comments", json!([on("1", "a"), on("2", "b")])).await.refused(403, "FORBIDDEN");
        let forged =
            json!({ "collection": "notes", "item": "1", "comment": "x", "user_created": house.grace_id });
        ada.post("/comments", forged).await.refused(403, "FORBIDDEN");
        assert_eq!(ada.get("/comments?fields=comment").await.column("comment"), ["Mine"]);

        let path = format!("/comments/{id}");
        grace.get(&path).await.refused(403, "FORBIDDEN");
        grace.patch(&path, json!({ "comment": "hers" })).await.refused(403, "FORBIDDEN");
        grace.delete(&path).await.refused(403, "FORBIDDEN");
        assert_eq!(grace.get("/comments").await.data(), json!([]));
        for moved in [json!({ "item": "2" }), json!({ "collection": "directus_users" })] {
            ada.patch(&path, moved).await.refused(403, "FORBIDDEN");
        }
        let changed =
            ada.patch(&format!("{path}?fields=comment,user_updated"), json!({ "comment": "New" })).await;
        assert_eq!(changed.data(), json!({ "comment": "New", "user_updated": house.ada_id }));
        // Her note is hers no more, and so is what she wrote about it.
        house.admin.patch("/items/notes/1", json!({ "owner": "grace" })).await.data();
        assert_eq!(ada.get("/comments").await.data(), json!([]));
        ada.patch(&path, json!({ "comment": "again" })).await.refused(403, "FORBIDDEN");
        house.admin.delete(&path).await.no_content();
        house.admin.get(&path).await.refused(403, "FORBIDDEN");
        house.visitor.post("/comments", on("1", "x")).await.refused(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn those_who_read_comments_read_those_about_their_items() {
    each_database(async |engine| {
        let house = House::new(engine).await;
        house.admin.post("/comments", json!([on("1", "about one"), on("2", "about two")])).await.data();
        let rights = json!([
            ["directus_comments", "read", {}, ["*"]],
            ["directus_comments", "update", {}, ["*"]],
            ["directus_comments", "delete", {}, ["*"]],
            ["notes", "read", { "owner": { "_eq": "ada" } }, ["id"]],
        ]);
        let moderating = policy(&house.admin, "moderating", rights).await;
        let (_, eve) = user(&house.admin, "eve", &[&moderating]).await;
        let seen = eve.get("/comments?fields=id,comment").await;
        assert_eq!(seen.column("comment"), ["about one"]);
        let found = eve.get("/comments?filter[comment][_contains]=two").await;
        assert_eq!(found.data(), json!([]));
        let two = house.admin.get("/comments?filter[item]=2&fields=id").await.column("id")[0].clone();
        let path = format!("/comments/{}", two.as_str().unwrap());
        eve.patch(&path, json!({ "comment": "x" })).await.refused(403, "FORBIDDEN");
        eve.delete(&path).await.refused(403, "FORBIDDEN");
        let one = seen.column("id")[0].clone();
        let path = format!("/comments/{}", one.as_str().unwrap());
        eve.patch(&path, json!({ "item": "2" })).await.refused(403, "FORBIDDEN");
        assert_eq!(eve.patch(&path, json!({ "comment": "better" })).await.data()["comment"], "better");
        eve.delete(&path).await.no_content();
    })
    .await;
}

#[tokio::test]
async fn those_who_are_mentioned_and_may_read_the_item_are_told() {
    each_database(async |engine| {
        let house = House::new(engine).await;
        let (ada, grace) = (&house.ada_id, &house.grace_id);
        house
            .admin
            .patch(&format!("/users/{ada}"), json!({ "first_name": "Ada", "language": "fr-FR" }))
            .await
            .data();
        let stranger = "00000000-0000-4000-8000-00000000dead";
        let comment = format!("Look @{ada}, and you @{grace}, and @{stranger}");
        house.admin.post("/comments", on("1", &comment)).await.data();
        let inbox = "/notifications?fields=recipient,sender,collection,item,status,subject,message";
        let told = house.ada.get(inbox).await.data();
        let admin = house.admin.get("/users/me?fields=id").await.data()["id"].clone();
        assert_eq!(told.as_array().map(Vec::len), Some(1), "{told}");
        assert_eq!((&told[0]["sender"], &told[0]["status"]), (&admin, &json!("inbox")));
        assert_eq!((&told[0]["collection"], &told[0]["item"]), (&json!("notes"), &json!("1")));
        assert_eq!(told[0]["subject"], "Vous êtes mentionné dans notes");
        let message = told[0]["message"].as_str().unwrap();
        assert!(message.starts_with("Look @Ada, and you @") && message.contains(grace), "{message}");
        assert_eq!(house.grace.get(inbox).await.data(), json!([]), "she may not read that note");
        let letter = house.smtp.next("ada@example.com").await;
        assert!(letter.raw.contains("/admin/content/notes/1"), "{letter:?}");

        // The same request is done once, and so is what follows from it.
        let again = || {
            let request = house.admin.request("POST", "/comments").header("idempotency-key", "once");
            request.json(&on("1", &format!("@{ada}"))).send()
        };
        assert_eq!(again().await.data()["id"], again().await.data()["id"]);
        house.smtp.next("ada@example.com").await;
        assert_eq!(house.ada.get(inbox).await.data().as_array().map(Vec::len), Some(2));
        assert_eq!(house.smtp.waiting(), 0);

        let many: String = (0..51).map(|n| format!("@00000000-0000-4000-8000-{n:012} ")).collect();
        house.admin.post("/comments", on("1", &many)).await.refused(400, "INVALID_PAYLOAD");
    })
    .await;
}

#[tokio::test]
async fn notifications_reach_their_recipient_and_nobody_else() {
    each_database(async |engine| {
        let house = House::new(engine).await;
        let (ada, grace) = (&house.ada, &house.grace);
        let new = json!({ "recipient": house.ada_id, "subject": "Hello\r\nBcc: x@example.com", "message": "<b>{{url}}</b>" });
        let made = house.admin.post("/notifications?fields=id,sender,status", new).await.data();
        assert_eq!((&made["sender"], &made["status"]), (&Value::Null, &json!("inbox")));
        let letter = house.smtp.next("ada@example.com").await;
        assert_eq!(letter.to, ["ada@example.com"]);
        assert!(letter.raw.contains("/admin/notifications"), "{letter:?}");
        let path = format!("/notifications/{}", made["id"]);
        assert_eq!(ada.get("/notifications?fields=subject").await.data().as_array().map(Vec::len), Some(1));
        assert_eq!(grace.get("/notifications").await.data(), json!([]));
        grace.get(&path).await.refused(403, "FORBIDDEN");
        grace.patch(&path, json!({ "status": "archived" })).await.refused(403, "FORBIDDEN");
        assert_eq!(ada.patch(&path, json!({ "status": "archived" })).await.data()["status"], "archived");
        for refused in [json!({ "subject": "x" }), json!({ "recipient": house.grace_id })] {
            ada.patch(&path, refused).await.refused(403, "FORBIDDEN");
        }

        // Whoever wishes no letters gets none, nor does whoever is gone.
        let grace_path = format!("/users/{}", house.grace_id);
        house.admin.patch(&grace_path, json!({ "email_notifications": false })).await.data();
        house.admin.patch(&format!("/users/{}", house.ada_id), json!({ "status": "suspended" })).await.data();
        let both = json!([
            { "recipient": house.grace_id, "subject": "quiet" }, { "recipient": house.ada_id, "subject": "gone" },
        ]);
        house.admin.post("/notifications", both).await.data();
        house.admin.patch(&grace_path, json!({ "email_notifications": true })).await.data();
        let about = json!({ "recipient": house.grace_id, "subject": "About", "collection": "notes", "item": "2/../x" });
        house.admin.post("/notifications", about).await.data();
        let letter = house.smtp.next("grace@example.com").await;
        assert!(letter.raw.contains("About") && letter.raw.contains("/admin/content/notes/2%2F..%2Fx"), "{letter:?}");
        assert_eq!(house.smtp.waiting(), 0);
        house.admin.post("/notifications", json!({ "recipient": house.grace_id })).await.refused(400, "FAILED_VALIDATION");
    })
    .await;
}

#[tokio::test]
async fn whoever_wrote_and_was_told_can_go() {
    each_database(async |engine| {
        let house = House::new(engine).await;
        let comment = house.ada.post("/comments", on("1", "mine")).await.data()["id"].as_str().unwrap().to_owned();
        let path = format!("/comments/{comment}");
        house.ada.patch(&path, json!({ "comment": "changed" })).await.data();
        let told = json!({ "recipient": house.grace_id, "sender": house.ada_id, "subject": "from Ada" });
        let told = house.admin.post("/notifications", told).await.data()["id"].clone();
        let file = "00000000-0000-4000-8000-0000000000ff";
        let row = format!(
            "INSERT INTO directus_files (id, storage, filename_download, created_on, modified_on, uploaded_by) \
             VALUES ('{file}', 'local', 'a', '2026-01-01 00:00:00', '2026-01-01 00:00:00', '{}')",
            house.ada_id
        );
        house._project.database.execute(&row).await;
        house.admin.delete(&format!("/users/{}", house.ada_id)).await.no_content();
        let kept = house.admin.get(&format!("{path}?fields=comment,user_created,user_updated")).await.data();
        assert_eq!(kept, json!({ "comment": "changed", "user_created": null, "user_updated": null }));
        let told = house.admin.get(&format!("/notifications/{told}?fields=sender")).await.data();
        assert_eq!(told, json!({ "sender": null }));
        assert_eq!(house.admin.get(&format!("/files/{file}?fields=uploaded_by")).await.data(), json!({ "uploaded_by": null }));

        // The last administrator stays, whatever refers to them.
        let admin = house.admin.get("/users/me?fields=id").await.data()["id"].as_str().unwrap().to_owned();
        let row = format!("UPDATE directus_files SET uploaded_by = '{admin}'");
        house._project.database.execute(&row).await;
        house.admin.delete(&format!("/users/{admin}")).await.refused(422, "UNPROCESSABLE_CONTENT");
        let kept = house.admin.get(&format!("/files/{file}?fields=uploaded_by")).await.data();
        assert_eq!(kept, json!({ "uploaded_by": admin }));
    })
    .await;
}
