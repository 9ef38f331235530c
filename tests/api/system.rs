//! System collections over their own endpoints: what everybody finds of their own, what nobody else does, and what stays closed.

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::{Client, Database, Engine, Project, Server, each_database};

const NOTES: &str = "collection: notes\nfields:\n  id: integer_pk\n  title: string\n  owner: string\n";

/// Ada and Grace may open the admin UI, Bob has a token and no rights.
struct House {
    _server: Server,
    admin: Client,
    visitor: Client,
    ada: Client,
    ada_id: String,
    grace: Client,
    grace_id: String,
    bob: Client,
    _project: Project,
}

impl House {
    async fn new(engine: Engine) -> House {
        let project = Project::new(Database::fresh(engine).await, &[("notes.yaml", NOTES)]).await;
        let server = project.server().start().await;
        let (admin, visitor) = (server.admin(), server.visitor());
        let app = admin.post("/policies", json!({ "name": "app", "app_access": true })).await.data();
        let app = app["id"].as_str().unwrap().to_owned();
        let (ada_id, ada) = user(&admin, "ada", &[&app]).await;
        let (grace_id, grace) = user(&admin, "grace", &[&app]).await;
        let (_, bob) = user(&admin, "bob", &[]).await;
        House { _server: server, admin, visitor, ada, ada_id, grace, grace_id, bob, _project: project }
    }
}

#[tokio::test]
async fn every_system_collection_has_the_ways_of_items() {
    each_database(async |engine| {
        let house = House::new(engine).await;
        let admin = &house.admin;
        let dashboard = json!({ "name": "Sales", "panels": [
            { "type": "label", "position_x": 1, "position_y": 1, "width": 4, "height": 4, "name": "b" },
            { "type": "label", "position_x": 5, "position_y": 1, "width": 4, "height": 4, "name": "a" },
        ] });
        let made = admin.post("/dashboards?fields=id,panels.name&deep[panels][_sort]=name", dashboard).await.data();
        assert_eq!(made["panels"], json!([{ "name": "a" }, { "name": "b" }]));
        let panels = admin.search("/panels", json!({ "query": { "sort": ["-name"], "fields": ["name"] } })).await;
        assert_eq!(panels.column("name"), ["b", "a"]);
        let counted = admin.get("/panels?aggregate[count]=*&meta=total_count").await.data();
        assert_eq!(counted[0]["count"].to_string().trim_matches('"'), "2");
        admin.delete(&format!("/dashboards/{}", made["id"].as_str().unwrap())).await.no_content();
        assert_eq!(admin.get("/panels").await.data(), json!([]), "a panel goes with its dashboard");
        admin.post("/dashboards", json!({})).await.refused(400, "FAILED_VALIDATION");

        let flow = json!({ "name": "Nightly", "trigger": "schedule", "options": { "cron": "0 0 * * *" }, "operations": [
            { "key": "log", "type": "log", "position_x": 1, "position_y": 1, "options": { "message": "x" } },
        ] });
        let flow = admin.post("/flows?fields=id,status,operations.key", flow).await.data();
        assert_eq!((&flow["status"], &flow["operations"]), (&json!("active"), &json!([{ "key": "log" }])));
        let named = admin.get("/operations?filter[flow][name][_eq]=Nightly&fields=key").await.column("key");
        assert_eq!(named, ["log"]);

        let batch = json!([
            { "language": "fr-FR", "key": "hello", "value": "Bonjour" },
            { "language": "de-DE", "key": "hello", "value": "Hallo" },
        ]);
        let made = admin.post("/translations?fields=id", batch).await.column("id");
        let changed = json!([{ "id": made[0], "value": "Salut" }, { "id": made[1], "value": "Servus" }]);
        let changed = admin.patch("/translations?fields=value", changed).await.column("value");
        assert_eq!(changed, ["Salut", "Servus"]);
        let all = json!({ "keys": made, "data": { "value": "!" } });
        assert_eq!(admin.patch("/translations?fields=value", all).await.column("value"), ["!", "!"]);
        let french = json!({ "query": { "filter": { "language": { "_eq": "fr-FR" } } } });
        admin.delete_with("/translations", french).await.no_content();
        assert_eq!(admin.get("/translations?fields=language").await.column("language"), ["de-DE"]);
        admin.post("/translations", json!({ "language": "fr", "key": "x" })).await.refused(400, "FAILED_VALIDATION");

        for (method, path) in [
            ("POST", "/activity"),
            ("PATCH", "/revisions"),
            ("DELETE", "/revisions/1"),
            ("POST", "/settings"),
            ("DELETE", "/settings"),
            ("GET", "/settings/1"),
            ("PUT", "/presets"),
        ] {
            admin.request(method, path).json(&json!({})).send().await.refused(404, "ROUTE_NOT_FOUND");
        }
        // Nobody comes to them as to items.
        for name in ["presets", "settings", "versions", "flows", "comments", "notifications"] {
            admin.get(&format!("/items/directus_{name}")).await.refused(403, "FORBIDDEN");
        }
    })
    .await;
}

#[tokio::test]
async fn settings_are_one_and_shown_in_part_to_everybody() {
    each_database(async |engine| {
        let house = House::new(engine).await;
        let (admin, visitor) = (&house.admin, &house.visitor);
        let before = admin.get("/settings").await.data();
        for name in ["project_name", "custom_css", "module_bar", "storage_asset_presets", "auth_password_policy"] {
            assert!(before.get(name).is_some(), "no {name} in {before}");
        }
        let info = visitor.get("/server/info").await.data();
        assert_eq!(info["project"]["project_name"], "Tablature");
        let change = json!({
            "project_name": "Atlas", "project_color": "#102030", "public_note": "Hello", "mapbox_key": "pk.secret",
            "ai_openai_api_key": "sk-secret",
        });
        let changed = admin.patch("/settings?fields=project_name,ai_openai_api_key", change).await.data();
        assert_eq!(changed, json!({ "project_name": "Atlas", "ai_openai_api_key": "**********" }));
        admin.patch("/settings", json!({ "project_descriptor": "Maps" })).await.data();
        assert_eq!(admin.get("/settings?fields=project_name,project_descriptor").await.data()["project_name"], "Atlas");

        let info = visitor.get("/server/info").await;
        let project = info.data()["project"].clone();
        assert_eq!(
            (&project["project_name"], &project["project_color"], &project["public_note"]),
            (&json!("Atlas"), &json!("#102030"), &json!("Hello"))
        );
        for hidden in ["secret", "version", "queryLimit", "rateLimit", "password_policy"] {
            assert!(!info.text().contains(hidden), "{hidden}: {info:?}");
        }
        let known = house.bob.get("/server/info").await;
        assert_eq!(known.data()["queryLimit"], json!({ "default": 100, "max": -1 }));
        assert!(!known.text().contains("\"version\""), "{known:?}");
        assert!(admin.get("/server/info").await.data()["version"].is_string());

        let seen = house.ada.get("/settings").await;
        assert_eq!(seen.data()["project_name"], "Atlas");
        assert!(!seen.text().contains("sk-secret"), "{seen:?}");
        for client in [&house.ada, &house.bob, visitor] {
            client.patch("/settings", json!({ "project_name": "Mine" })).await.refused(403, "FORBIDDEN");
        }
        for client in [&house.bob, visitor] {
            client.get("/settings").await.refused(403, "FORBIDDEN");
        }
    })
    .await;
}

#[tokio::test]
async fn presets_are_of_their_user() {
    each_database(async |engine| {
        let house = House::new(engine).await;
        let (ada, grace) = (&house.ada, &house.grace);
        let own = json!({ "bookmark": "Mine", "collection": "notes", "user": house.ada_id });
        let own = ada.post("/presets", own).await.data()["id"].clone();
        let others = json!({ "bookmark": "Yours", "collection": "notes", "user": house.grace_id });
        ada.post("/presets", others.clone()).await.refused(400, "FAILED_VALIDATION");
        ada.post("/presets", json!({ "collection": "notes" })).await.refused(400, "FAILED_VALIDATION");
        let global = json!({ "bookmark": "All", "collection": "notes" });
        let global = house.admin.post("/presets", global).await.data()["id"].clone();
        let hers = grace.post("/presets", others).await.data()["id"].clone();

        assert_eq!(
            ada.get("/presets?sort=bookmark&fields=bookmark").await.column("bookmark"),
            ["All", "Mine"]
        );
        assert_eq!(
            grace.get("/presets?sort=bookmark&fields=bookmark").await.column("bookmark"),
            ["All", "Yours"]
        );
        ada.get(&format!("/presets/{hers}")).await.refused(403, "FORBIDDEN");
        for id in [&hers, &global] {
            ada.patch(&format!("/presets/{id}"), json!({ "search": "x" })).await.refused(403, "FORBIDDEN");
            ada.delete(&format!("/presets/{id}")).await.refused(403, "FORBIDDEN");
        }
        let path = format!("/presets/{own}");
        // Neither given to somebody else nor to everybody.
        for given in [json!(house.grace_id), Value::Null] {
            ada.patch(&path, json!({ "user": given })).await.refused(400, "FAILED_VALIDATION");
        }
        assert_eq!(ada.patch(&path, json!({ "search": "abc" })).await.data()["search"], "abc");
        ada.delete(&path).await.no_content();
        for client in [&house.bob, &house.visitor] {
            client.get("/presets").await.refused(403, "FORBIDDEN");
            client.post("/presets", json!({ "bookmark": "x" })).await.refused(403, "FORBIDDEN");
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_for_administrators_stays_closed() {
    each_database(async |engine| {
        let house = House::new(engine).await;
        let flow = json!({ "name": "f", "trigger": "manual" });
        let flow = house.admin.post("/flows", flow).await.data()["id"].clone();
        let closed = [
            ("GET", "/flows", json!({})),
            ("GET", &format!("/flows/{}", flow.as_str().unwrap()), json!({})),
            ("POST", "/flows", json!({ "name": "x" })),
            ("PATCH", &format!("/flows/{}", flow.as_str().unwrap()), json!({ "name": "x" })),
            ("DELETE", &format!("/flows/{}", flow.as_str().unwrap()), json!({})),
            ("SEARCH", "/flows", json!({ "query": {} })),
            ("GET", "/operations", json!({})),
            ("POST", "/operations", json!({ "key": "x", "type": "log", "flow": flow })),
            ("GET", "/extensions", json!({})),
            ("PATCH", "/extensions/x", json!({ "meta": { "enabled": false } })),
            ("GET", "/dashboards", json!({})),
            ("POST", "/dashboards", json!({ "name": "x" })),
            ("GET", "/panels", json!({})),
            ("GET", "/versions", json!({})),
            ("POST", "/versions", json!({ "key": "a", "collection": "notes", "item": "1" })),
            ("GET", "/revisions", json!({})),
            ("POST", "/translations", json!({ "language": "fr", "key": "a", "value": "b" })),
            ("POST", "/notifications", json!({ "recipient": house.grace_id, "subject": "x" })),
            ("GET", "/shares", json!({})),
            ("POST", "/shares", json!({ "collection": "notes", "item": "1" })),
            ("POST", "/utils/cache/clear", json!({})),
            ("POST", "/utils/revert/1", json!({})),
        ];
        for (method, path, body) in closed {
            for client in [&house.ada, &house.bob, &house.visitor] {
                let request = client.request(method, path);
                let request = if method == "GET" { request } else { request.json(&body) };
                request.send().await.refused(403, "FORBIDDEN");
            }
        }
        assert_eq!(house.admin.get("/extensions").await.data(), json!([]));
        for path in ["/comments", "/notifications", "/translations", "/activity", "/roles", "/policies"] {
            for client in [&house.bob, &house.visitor] {
                client.get(path).await.refused(403, "FORBIDDEN");
            }
            assert_eq!(house.ada.get(path).await.status, 200, "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn everybody_is_told_what_they_may_do() {
    each_database(async |engine| {
        let house = House::new(engine).await;
        let admin = &house.admin;
        for (id, owner) in [(1, "ada"), (2, "grace")] {
            admin.create("notes", json!({ "id": id, "title": "t", "owner": owner })).await;
        }
        let hers = json!({ "owner": { "_eq": "ada" } });
        let rights = json!([
            ["notes", "read", {}, ["id", "title", "no_such_field"]],
            ["notes", "update", hers, ["title"], { "owner": "$CURRENT_USER" }],
            ["notes", "delete", hers, ["*"]],
        ]);
        let writing = policy(admin, "writing", rights).await;
        let role = admin.post("/roles", json!({ "name": "outer" })).await.data()["id"].clone();
        let inner =
            admin.post("/roles", json!({ "name": "inner", "parent": role })).await.data()["id"].clone();
        admin.post("/access", json!({ "role": inner, "policy": writing })).await.data();
        let token = json!({ "email": "eve@example.com", "token": "token-of-eve", "role": inner });
        let eve_id = admin.post("/users", token).await.data()["id"].clone();
        let eve = admin.with_token(Some("token-of-eve"));

        let told = eve.get("/permissions/me").await.data();
        let none = json!({ "access": "none" });
        assert_eq!(
            told,
            json!({ "notes": {
                "create": none, "share": none,
                "read": { "access": "full", "fields": ["id", "title"] },
                "update": { "access": "partial", "fields": ["title"], "presets": { "owner": eve_id } },
                "delete": { "access": "partial", "fields": ["*"] },
            } })
        );
        let all = admin.get("/permissions/me").await.data();
        assert_eq!(all["notes"]["share"], json!({ "access": "full", "fields": ["*"] }));
        house.visitor.get("/permissions/me").await.refused(403, "FORBIDDEN");
        assert_eq!(house.bob.get("/permissions/me").await.data(), json!({}));

        let may = async |path: &str| {
            let told = eve.get(path).await.data();
            ["update", "delete", "share"].map(|action| told[action]["access"] == true)
        };
        assert_eq!(may("/permissions/me/notes/1").await, [true, true, false]);
        assert_eq!(may("/permissions/me/notes").await, [true, true, false]);
        for hidden in ["notes/2", "notes/99", "notes/x", "nothing/1", "nothing", "directus_users/1"] {
            assert_eq!(may(&format!("/permissions/me/{hidden}")).await, [false; 3], "{hidden}");
        }
        let told = admin.get("/permissions/me/notes/1").await.data();
        assert_eq!(told["share"], json!({ "access": true }));

        let globals = eve.get("/policies/me/globals").await.data();
        assert_eq!(globals, json!({ "app_access": false, "admin_access": false, "enforce_tfa": false }));
        assert_eq!(admin.get("/policies/me/globals").await.data()["admin_access"], true);
        house.visitor.get("/policies/me/globals").await.refused(403, "FORBIDDEN");
        assert_eq!(
            eve.get("/roles/me?fields=id,name").await.data(),
            json!([{ "id": role }, { "id": inner }])
        );
        house.visitor.get("/roles/me").await.refused(403, "FORBIDDEN");
        assert_eq!(house.bob.get("/roles/me").await.data(), json!([]));
        admin.patch(&format!("/policies/{writing}"), json!({ "enforce_tfa": true })).await.data();
        assert_eq!(eve.get("/policies/me/globals").await.data()["enforce_tfa"], true);
    })
    .await;
}

#[tokio::test]
async fn pages_are_noted_without_a_right_or_a_trace() {
    each_database(async |engine| {
        let house = House::new(engine).await;
        let database = &house._project.database;
        let before = database.count("directus_activity", "1 = 1").await;
        house.bob.patch("/users/me/track/page", json!({ "last_page": "/content/notes" })).await.no_content();
        let known = house.admin.get("/users?filter[email]=bob@example.com&fields=last_page").await;
        assert_eq!(known.column("last_page"), ["/content/notes"]);
        assert_eq!(database.count("directus_activity", "1 = 1").await, before);
        for (body, code) in [
            (json!({}), "INVALID_PAYLOAD"),
            (json!({ "last_page": 1 }), "INVALID_PAYLOAD"),
            (json!({ "last_page": "x".repeat(256) }), "VALUE_TOO_LONG"),
        ] {
            house.bob.patch("/users/me/track/page", body).await.refused(400, code);
        }
        house
            .visitor
            .patch("/users/me/track/page", json!({ "last_page": "/" }))
            .await
            .refused(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn what_is_written_about_items_is_seen_by_those_who_see_the_items() {
    each_database(async |engine| {
        let house = House::new(engine).await;
        let admin = &house.admin;
        let rights = json!([
            ["notes", "read", { "owner": { "_eq": "eve" } }, ["*"]],
            ["directus_revisions", "read", {}, ["*"]],
            ["directus_activity", "read", {}, ["*"]],
        ]);
        let all = policy(admin, "seeing", rights).await;
        let (_, eve) = user(admin, "eve", &[&all]).await;
        let rights = json!([
            ["notes", "read", { "owner": { "_eq": "eve" } }, ["id", "title"]],
            ["directus_revisions", "read", {}, ["*"]],
        ]);
        let part = policy(admin, "seeing less", rights).await;
        let (_, dan) = user(admin, "dan", &[&part]).await;
        for (id, owner) in [(1, "eve"), (2, "grace")] {
            admin.create("notes", json!({ "id": id, "title": format!("Title {id}"), "owner": owner })).await;
        }
        let revisions = eve.get("/revisions?fields=collection,item,data").await.data();
        let expected = json!([{ "collection": "notes", "item": "1", "data": { "id": 1, "title": "Title 1", "owner": "eve" } }]);
        assert_eq!(revisions, expected);
        assert_eq!(eve.get("/activity?fields=item,collection").await.data(), json!([{ "item": "1", "collection": "notes" }]));
        let counted = eve.get("/revisions?aggregate[count]=*").await.data();
        assert_eq!(counted[0]["count"].to_string().trim_matches('"'), "1");
        let other = admin.get("/revisions?filter[item]=2&fields=id").await.column("id")[0].clone();
        eve.get(&format!("/revisions/{other}")).await.refused(403, "FORBIDDEN");

        // Whoever does not see every field sees no content, and finds nothing by it.
        let revisions = dan.get("/revisions?fields=item,data,delta").await.data();
        assert_eq!(revisions, json!([{ "item": "1", "data": null, "delta": null }]));
        dan.get("/activity").await.refused(403, "FORBIDDEN");
        // The item moves out of sight, and what is written about it does, too.
        admin.patch("/items/notes/1", json!({ "owner": "grace" })).await.data();
        for client in [&eve, &dan] {
            assert_eq!(client.get("/revisions").await.data(), json!([]));
        }
    })
    .await;
}
