//! `/graphql/system`: what REST does beside items, in the other language.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::server::{ADMIN_EMAIL, ADMIN_PASSWORD};
use crate::support::smtp::Smtp;
use crate::support::{Answer, Client, Database, Project, Server, blog, each_database};

async fn send(client: &Client, query: &str, variables: Value) -> Answer {
    client.post("/graphql/system", json!({ "query": query, "variables": variables })).await
}

/// What is answered, without errors.
#[track_caller]
fn told(answer: &Answer) -> Value {
    let data = answer.data();
    assert_eq!(answer.json().get("errors"), None, "{answer:?}");
    data
}

async fn ask(client: &Client, query: &str, variables: Value) -> Value {
    told(&send(client, query, variables).await)
}

/// The only field of the document fails with this code.
async fn fails(client: &Client, query: &str, variables: Value, code: &str) {
    let answer = send(client, query, variables).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    let fields = body["data"].as_object().unwrap_or_else(|| panic!("{answer:?}"));
    assert!(fields.values().all(Value::is_null), "{answer:?}");
    assert_eq!(body["errors"][0]["extensions"]["code"], code, "{answer:?}");
}

/// The document does not fit what this caller may use.
async fn unknown(client: &Client, query: &str) {
    send(client, query, json!({})).await.refused(400, "GRAPHQL_VALIDATION");
}

/// The fields of the roots that this caller sees.
async fn roots(client: &Client) -> (Vec<String>, Vec<String>) {
    let query = "{ __schema { queryType { fields { name } } mutationType { fields { name } } } }";
    let schema = ask(client, query, json!({})).await["__schema"].take();
    let names = |root: &str| -> Vec<String> {
        let fields = schema[root]["fields"].as_array().cloned().unwrap_or_default();
        fields.iter().filter_map(|field| field["name"].as_str().map(str::to_owned)).collect()
    };
    (names("queryType"), names("mutationType"))
}

fn code(secret: &str) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    totp_rs::Builder::new().with_secret(secret).build_noncompliant().generate(now).to_string()
}

/// The cookie that an answer sets, as a request brings it back.
fn cookie(answer: &Answer) -> String {
    let set = answer.header("set-cookie").unwrap_or_else(|| panic!("no cookie: {answer:?}"));
    set.split(';').next().unwrap_or_default().to_owned()
}

const LOGIN: &str = "mutation M($e: String!, $p: String!, $m: auth_mode) { \
                     auth_login(email: $e, password: $p, mode: $m) { access_token refresh_token expires } }";

#[tokio::test]
async fn people_sign_in_and_out() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let visitor = server.visitor();
        let signing = |mode: &str| json!({ "e": ADMIN_EMAIL, "p": ADMIN_PASSWORD, "m": mode });

        let tokens = ask(&visitor, LOGIN, signing("json")).await["auth_login"].take();
        assert_eq!(tokens["expires"], "900000");
        let me = visitor.with_token(tokens["access_token"].as_str());
        let whoami = "{ users_me { email __typename } }";
        let expected = json!({ "users_me": { "email": ADMIN_EMAIL, "__typename": "directus_users" } });
        assert_eq!(ask(&me, whoami, json!({})).await, expected);

        let refresh =
            "mutation M($t: String) { r: auth_refresh(refresh_token: $t) { access_token refresh_token } }";
        let given = json!({ "t": tokens["refresh_token"] });
        let fresh = ask(&visitor, refresh, given).await["r"].take();
        assert!(fresh["access_token"].is_string() && fresh["refresh_token"] != tokens["refresh_token"]);
        let logout = "mutation M($t: String) { auth_logout(refresh_token: $t, mode: json) }";
        let given = json!({ "t": fresh["refresh_token"] });
        assert_eq!(ask(&visitor, logout, given.clone()).await, json!({ "auth_logout": true }));
        fails(&visitor, refresh, given, "INVALID_CREDENTIALS").await;
        fails(&visitor, "mutation { auth_refresh { access_token } }", json!({}), "INVALID_PAYLOAD").await;

        let answer = send(&visitor, LOGIN, signing("session")).await;
        let session = told(&answer)["auth_login"].take();
        assert_eq!((&session["access_token"], &session["refresh_token"]), (&Value::Null, &Value::Null));
        let body = json!({ "query": whoami });
        let with_cookie = async |cookie: &str, body: &Value| {
            visitor.request("POST", "/graphql/system").header("cookie", cookie).json(body).send().await
        };
        let session = cookie(&answer);
        assert_eq!(told(&with_cookie(&session, &body).await), expected);
        let bye = json!({ "query": "mutation { auth_logout(mode: session) }" });
        let answer = with_cookie(&session, &bye).await;
        assert_eq!(told(&answer), json!({ "auth_logout": true }));
        assert!(cookie(&answer).ends_with('='), "the browser forgets it");
        with_cookie(&session, &body).await.refused_with(401);

        let answer = send(&visitor, LOGIN, signing("cookie")).await;
        assert_eq!(told(&answer)["auth_login"]["refresh_token"], Value::Null);
        let again = json!({ "query": "mutation { auth_refresh(mode: cookie) { access_token } }" });
        assert!(
            told(&with_cookie(&cookie(&answer), &again).await)["auth_refresh"]["access_token"].is_string()
        );

        let wrong = json!({ "e": ADMIN_EMAIL, "p": "wrong", "m": "json" });
        fails(&visitor, LOGIN, wrong, "INVALID_CREDENTIALS").await;
        send(&visitor, LOGIN, signing("paper")).await.refused(400, "GRAPHQL_VALIDATION");
        let by_address =
            |query: &str| visitor.request("GET", "/graphql/system").query(&json!({ "query": query })).send();
        by_address("mutation { auth_logout(mode: session) }").await.refused(405, "METHOD_NOT_ALLOWED");
        let ping = by_address("{ server_ping }").await;
        assert_eq!(told(&ping), json!({ "server_ping": "pong" }));
    })
    .await;
}

#[tokio::test]
async fn each_guess_of_a_document_counts() {
    each_database(async |engine| {
        let project = Project::new(
            Database::fresh(engine).await,
            &[("a.yaml", "collection: a\nfields:\n  id: integer_pk\n")],
        )
        .await;
        let settings = project.server().set("RATE_LIMITER_AUTH_POINTS", "3");
        let server = settings.set("RATE_LIMITER_AUTH_DURATION", "1h").start().await;
        let visitor = server.visitor();
        let guesses: String = (0..5)
            .map(|n| {
                format!("g{n}: auth_login(email: \"nobody@example.com\", password: \"p{n}\") {{ expires }} ")
            })
            .collect();
        let body = send(&visitor, &format!("mutation {{ {guesses} }}"), json!({})).await.json();
        let codes: Vec<&str> = body["errors"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|error| error["extensions"]["code"].as_str())
            .collect();
        let (wrong, many) = ("INVALID_CREDENTIALS", "REQUESTS_EXCEEDED");
        assert_eq!(codes, [wrong, wrong, wrong, many, many], "{body}");
        let login = json!({ "email": ADMIN_EMAIL, "password": ADMIN_PASSWORD });
        visitor.post("/auth/login", login).await.refused(429, many);
    })
    .await;
}

#[tokio::test]
async fn letters_lead_back_here() {
    each_database(async |engine| {
        let smtp = Smtp::start().await;
        let database = Database::fresh(engine).await;
        let server = Server::builder(&database)
            .collections(&blog::collections())
            .set("EMAIL_SMTP_HOST", "127.0.0.1")
            .set("EMAIL_SMTP_PORT", &smtp.port.to_string())
            .set("RATE_LIMITER_REGISTRATION_ENABLED", "false")
            .start()
            .await;
        let (admin, visitor) = (server.admin(), server.visitor());
        let role =
            ask(&admin, "mutation { create_roles_item(data: { name: \"Guest\" }) { id } }", json!({})).await;
        let role = &role["create_roles_item"]["id"];

        let invite = "mutation M($r: String!) { users_invite(email: \"guest@example.com\", role: $r) }";
        assert_eq!(ask(&admin, invite, json!({ "r": role })).await, json!({ "users_invite": true }));
        let token = smtp.next("guest@example.com").await.token();
        let accept = "mutation M($t: String!, $p: String!) { users_invite_accept(token: $t, password: $p) }";
        let given = json!({ "t": token, "p": "a-good-password" });
        assert_eq!(ask(&visitor, accept, given.clone()).await, json!({ "users_invite_accept": true }));
        fails(&visitor, accept, given, "INVALID_TOKEN").await;
        let signing = json!({ "e": "guest@example.com", "p": "a-good-password" });
        let tokens = ask(&visitor, LOGIN, signing).await["auth_login"].take();
        let guest = visitor.with_token(tokens["access_token"].as_str());
        unknown(&guest, invite).await;

        let lost = "mutation { auth_password_request(email: \"guest@example.com\") }";
        assert_eq!(ask(&visitor, lost, json!({})).await, json!({ "auth_password_request": true }));
        let token = smtp.next("guest@example.com").await.token();
        let reset =
            "mutation M($t: String!) { auth_password_reset(token: $t, password: \"another-password\") }";
        assert_eq!(ask(&visitor, reset, json!({ "t": token })).await, json!({ "auth_password_reset": true }));
        ask(&visitor, LOGIN, json!({ "e": "guest@example.com", "p": "another-password" })).await;

        let register =
            "mutation { users_register(email: \"new@example.com\", password: \"a-good-password\") }";
        fails(&visitor, register, json!({}), "FORBIDDEN").await;
        let open = "mutation { update_settings(data: { public_registration: true, \
                    public_registration_verify_email: true }) { public_registration } }";
        assert_eq!(ask(&admin, open, json!({})).await["update_settings"]["public_registration"], true);
        assert_eq!(ask(&visitor, register, json!({})).await, json!({ "users_register": true }));
        let token = smtp.next("new@example.com").await.token();
        let verify = "mutation M($t: String!) { users_register_verify(token: $t) }";
        assert_eq!(
            ask(&visitor, verify, json!({ "t": token })).await,
            json!({ "users_register_verify": true })
        );
        fails(&visitor, verify, json!({ "t": "nonsense" }), "INVALID_TOKEN").await;
    })
    .await;
}

#[tokio::test]
async fn people_see_and_change_themselves() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let own = json!({ "id": { "_eq": "$CURRENT_USER" } });
        let rights = json!([
            ["directus_users", "read", own, ["id", "email", "first_name"]],
            ["directus_users", "update", own, ["first_name", "tfa_secret"]],
        ]);
        let policy = policy(&admin, "oneself", rights).await;
        let (id, ada) = user(&admin, "ada", &[&policy]).await;
        admin.patch(&format!("/users/{id}"), json!({ "password": "a-good-password" })).await.data();

        let query = "query Q($deep: Boolean!) { me: users_me { ...who name: first_name role @include(if: $deep) { id } } } \
                     fragment who on directus_users { key: id email }";
        send(&ada, query, json!({ "deep": false })).await.refused(400, "GRAPHQL_VALIDATION");
        let query = "{ me: users_me { ...who name: first_name } } fragment who on directus_users { key: id email }";
        let me = json!({ "key": id, "email": "ada@example.com", "name": null });
        assert_eq!(ask(&ada, query, json!({})).await, json!({ "me": me }));
        let rename = "mutation M($d: update_directus_users_input) { update_users_me(data: $d) { first_name id } }";
        let given = json!({ "d": { "first_name": "Ada" } });
        let expected = json!({ "update_users_me": { "first_name": "Ada", "id": id } });
        assert_eq!(ask(&ada, rename, given).await, expected);
        unknown(&ada, "mutation { update_users_me(data: { email: \"x@example.com\" }) { id } }").await;
        assert_eq!(ask(&ada, "{ users { first_name } }", json!({})).await, json!({ "users": [{ "first_name": "Ada" }] }));

        let generate = "mutation M($p: String!) { users_me_tfa_generate(password: $p) { secret otpauth_url } }";
        fails(&ada, generate, json!({ "p": "wrong" }), "INVALID_CREDENTIALS").await;
        let new = ask(&ada, generate, json!({ "p": "a-good-password" })).await["users_me_tfa_generate"].take();
        let secret = new["secret"].as_str().unwrap();
        assert!(new["otpauth_url"].as_str().unwrap().contains(secret));
        let enable = "mutation M($o: String!, $s: String!) { users_me_tfa_enable(otp: $o, secret: $s) }";
        fails(&ada, enable, json!({ "o": "000000", "s": secret }), "INVALID_PAYLOAD").await;
        let enabled = ask(&ada, enable, json!({ "o": code(secret), "s": secret })).await;
        let codes = enabled["users_me_tfa_enable"]["recovery_codes"].as_array().unwrap();
        assert_eq!(codes.len(), 10);
        let visitor = server.visitor();
        let signing = json!({ "e": "ada@example.com", "p": "a-good-password" });
        fails(&visitor, LOGIN, signing, "INVALID_OTP").await;
        let with_code = "mutation M($o: String) { auth_login(email: \"ada@example.com\", password: \"a-good-password\", otp: $o) { expires } }";
        ask(&visitor, with_code, json!({ "o": codes[0] })).await;
        let disable = "mutation M($o: String!) { users_me_tfa_disable(otp: $o) }";
        fails(&ada, disable, json!({ "o": codes[0] }), "INVALID_PAYLOAD").await;
        assert_eq!(ask(&ada, disable, json!({ "o": codes[1] })).await, json!({ "users_me_tfa_disable": true }));

        let mine = ask(&ada, "{ permissions_me policies_me_globals { app_access admin_access enforce_tfa } }", json!({})).await;
        assert_eq!(mine["permissions_me"], ada.get("/permissions/me").await.data());
        assert_eq!(mine["policies_me_globals"], ada.get("/policies/me/globals").await.data());
        let roles = ask(&admin, "{ roles_me { name users { email } } }", json!({})).await;
        assert_eq!(roles["roles_me"], admin.get("/roles/me?fields=name,users.email").await.data());
    })
    .await;
}

#[tokio::test]
async fn the_model_is_read_and_changed() {
    each_database(async |engine| {
        let files = [("books.yaml", "collection: books\nfields:\n  id: integer_pk\n  title: string(80)!\n")];
        let project = Project::new(Database::fresh(engine).await, &files).await;
        let server = project.server().start().await;
        let admin = server.admin();
        let make = "mutation M($d: write_directus_collections_input!) { create_collections_item(data: $d) { \
                    collection meta { note singleton } schema { name } } }";
        let key = json!({ "field": "id", "type": "integer", "schema": { "is_primary_key": true, "has_auto_increment": true } });
        let shelf = json!({ "collection": "shelves", "meta": { "note": "Wood" }, "schema": {}, "fields": [key] });
        let expected = json!({ "create_collections_item": {
            "collection": "shelves", "meta": { "note": "Wood", "singleton": false }, "schema": { "name": "shelves" },
        } });
        assert_eq!(ask(&admin, make, json!({ "d": shelf })).await, expected);
        fails(&admin, make, json!({ "d": shelf }), "INVALID_PAYLOAD").await;

        let fields = "mutation { \
            create_fields_item(collection: \"books\", data: { field: \"shelf\", type: \"integer\", meta: { special: [\"m2o\"] } }) \
                { field type meta { special } } \
            create_relations_item(data: { collection: \"books\", field: \"shelf\", related_collection: \"shelves\", \
                schema: { on_delete: \"SET NULL\" } }) { related_collection schema { on_delete } __typename } \
            update_fields_item(collection: \"books\", field: \"title\", data: { meta: { note: \"As printed\" } }) \
                { meta { note } schema { max_length default_value } } \
            update_fields_items(collection: \"books\", data: [{ field: \"title\", meta: { hidden: true } }]) { meta { hidden } } \
            update_collections_item(collection: \"shelves\", data: { meta: { icon: \"shelves\" } }) { meta { icon } } \
            update_relations_item(collection: \"books\", field: \"shelf\", data: { schema: { on_delete: \"CASCADE\" } }) \
                { schema { on_delete } } }";
        let expected = json!({
            "create_fields_item": { "field": "shelf", "type": "integer", "meta": { "special": ["m2o"] } },
            "create_relations_item": {
                "related_collection": "shelves", "schema": { "on_delete": "SET NULL" }, "__typename": "write_directus_relations",
            },
            "update_fields_item": { "meta": { "note": "As printed" }, "schema": { "max_length": 80, "default_value": null } },
            "update_fields_items": [{ "meta": { "hidden": true } }],
            "update_collections_item": { "meta": { "icon": "shelves" } },
            "update_relations_item": { "schema": { "on_delete": "CASCADE" } },
        });
        assert_eq!(ask(&admin, fields, json!({})).await, expected);
        let query = "{ collections_by_name(name: \"shelves\") { meta { icon } } \
                     fields_in_collection(collection: \"books\") { field } \
                     f: fields_by_name(collection: \"books\", field: \"shelf\") { schema { foreign_key_table } } \
                     relations_in_collection(collection: \"books\") { field } \
                     relations_by_name(collection: \"books\", field: \"shelf\") { related_collection } }";
        let expected = json!({
            "collections_by_name": { "meta": { "icon": "shelves" } },
            "fields_in_collection": [{ "field": "id" }, { "field": "title" }, { "field": "shelf" }],
            "f": { "schema": { "foreign_key_table": "shelves" } },
            "relations_in_collection": [{ "field": "shelf" }],
            "relations_by_name": { "related_collection": "shelves" },
        });
        assert_eq!(ask(&admin, query, json!({})).await, expected);
        // The schema of items follows.
        let item = json!({ "query": "mutation { create_books_item(data: { title: \"T\", shelf: { } }) { shelf { id } } }" });
        let made = admin.post("/graphql", item).await;
        assert_eq!(told(&made)["create_books_item"]["shelf"]["id"], "1");

        let remove = "mutation { delete_relations_item(collection: \"books\", field: \"shelf\") { collection field } \
                      delete_fields_item(collection: \"books\", field: \"shelf\") { field __typename } \
                      delete_collections_item(collection: \"shelves\") { collection } }";
        let expected = json!({
            "delete_relations_item": { "collection": "books", "field": "shelf" },
            "delete_fields_item": { "field": "shelf", "__typename": "delete_field" },
            "delete_collections_item": { "collection": "shelves" },
        });
        assert_eq!(ask(&admin, remove, json!({})).await, expected);
        fails(&admin, "{ collections_by_name(name: \"shelves\") { collection } }", json!({}), "FORBIDDEN").await;
        let all = ask(&admin, "{ collections { collection } relations { field } fields { field } }", json!({})).await;
        let names: Vec<Value> = all["collections"].as_array().unwrap().iter().map(|one| one["collection"].clone()).collect();
        assert_eq!(names, admin.get("/collections").await.column("collection"));
        assert_eq!(all["fields"].as_array().unwrap().len(), admin.get("/fields").await.data().as_array().unwrap().len());
    })
    .await;
}

#[tokio::test]
async fn small_services() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let made = ask(&admin, "mutation { r: utils_random_string(length: 12) h: utils_hash_generate(string: \"abc\") }", json!({})).await;
        assert_eq!(made["r"].as_str().unwrap().len(), 12);
        let verify = "mutation M($h: String!) { a: utils_hash_verify(string: \"abc\", hash: $h) b: utils_hash_verify(string: \"x\", hash: $h) }";
        assert_eq!(ask(&admin, verify, json!({ "h": made["h"] })).await, json!({ "a": true, "b": false }));
        fails(&admin, "mutation { utils_random_string(length: 501) }", json!({}), "INVALID_QUERY").await;
        assert_eq!(ask(&admin, "mutation { utils_cache_clear }", json!({})).await, json!({ "utils_cache_clear": null }));

        let album = admin.create("albums", json!({ "name": "a" })).await["id"].clone();
        let tracks: Vec<Value> =
            (1..=3).map(|n| json!({ "name": format!("t{n}"), "album": album, "position": n })).collect();
        let keys = admin.post("/items/tracks", json!(tracks)).await.column("id");
        let sort = "mutation M($a: ID!, $b: ID!) { utils_sort(collection: \"tracks\", item: $a, to: $b) }";
        let moved = ask(&admin, sort, json!({ "a": keys[2].to_string(), "b": keys[0] })).await;
        assert_eq!(moved, json!({ "utils_sort": true }));
        assert_eq!(admin.get("/items/tracks?sort=position&fields=name").await.column("name"), ["t3", "t1", "t2"]);

        let note = admin.create("notes", json!({ "name": "first" })).await["id"].clone();
        admin.patch(&format!("/items/notes/{note}"), json!({ "name": "second" })).await.data();
        let query = "query Q($f: directus_revisions_filter) { revisions(filter: $f, sort: [\"id\"], limit: 1) { id collection } }";
        let about = json!({ "f": { "collection": { "_eq": "notes" }, "item": { "_eq": note.to_string() } } });
        let revision = ask(&admin, query, about).await["revisions"][0]["id"].clone();
        let revert = "mutation M($r: ID!) { utils_revert(revision: $r) }";
        assert_eq!(ask(&admin, revert, json!({ "r": revision })).await, json!({ "utils_revert": true }));
        assert_eq!(admin.get(&format!("/items/notes/{note}")).await.data()["name"], "first");
        fails(&admin, revert, json!({ "r": 99_999_999 }), "FORBIDDEN").await;

        let server_says = "{ server_ping server_health server_specs_oas extensions { id name meta { enabled } } \
                           server_info { project { project_name } queryLimit { default } rateLimit version websocket { rest { path } } } \
                           items: server_specs_graphql system: server_specs_graphql(scope: system) }";
        let says = ask(&admin, server_says, json!({})).await;
        assert_eq!((&says["server_ping"], &says["extensions"]), (&json!("pong"), &json!([])));
        assert_eq!(says["server_health"]["status"], "ok");
        assert_eq!(says["server_specs_oas"]["openapi"], "3.1.0");
        let info = admin.get("/server/info").await.data();
        assert_eq!(says["server_info"]["version"], info["version"]);
        assert_eq!(says["server_info"]["queryLimit"]["default"], info["queryLimit"]["default"]);
        assert_eq!(says["items"], admin.get("/server/specs/graphql").await.text());
        assert!(says["system"].as_str().unwrap().contains("create_collections_item("));
    })
    .await;
}

#[tokio::test]
async fn items_of_the_system_are_written_as_over_rest() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let rights = json!([["notes", "read", {}, ["*"]]]);
        let reading = policy(&admin, "reading", rights).await;
        let (ada, _) = user(&admin, "ada", &[&reading]).await;
        let note = admin.create("notes", json!({ "name": "first" })).await["id"].to_string();
        let comment = format!(
            "mutation {{ create_comments_item(data: {{ collection: \"notes\", item: \"{note}\", comment: \"Hi @{ada}\" }}) \
             {{ comment item user_created {{ email }} }} }}"
        );
        let expected = json!({ "create_comments_item": {
            "comment": format!("Hi @{ada}"), "item": note, "user_created": { "email": ADMIN_EMAIL },
        } });
        assert_eq!(ask(&admin, &comment, json!({})).await, expected);
        let query = "query Q($u: ID!) { notifications(filter: { recipient: { id: { _eq: $u } } }) { collection item } }";
        let told = json!({ "notifications": [{ "collection": "notes", "item": note }] });
        assert_eq!(ask(&admin, query, json!({ "u": ada })).await, told, "whoever is mentioned is told");

        let version = "mutation { create_versions_item(data: { key: \"draft\", name: \"Draft\", collection: \"articles\", item: \"1\" }) { key hash } }";
        fails(&admin, version, json!({}), "UNPROCESSABLE_CONTENT").await;
        let files = "mutation { create_files_item(data: { filename_download: \"a.txt\", title: \"A\" }) { title storage } }";
        assert_eq!(ask(&admin, files, json!({})).await, json!({ "create_files_item": { "title": "A", "storage": "local" } }));
        let folders = "mutation { create_folders_items(data: [{ name: \"a\" }, { name: \"b\" }]) { id name } \
                       folders: create_folders_item(data: { name: \"c\" }) { name } }";
        let made = ask(&admin, folders, json!({})).await;
        let ids: Vec<&str> = made["create_folders_items"].as_array().unwrap().iter().filter_map(|one| one["id"].as_str()).collect();
        let change = "mutation M($i: [ID]!) { update_folders_items(ids: $i, data: { name: \"z\" }) { name } delete_folders_items(ids: $i) { ids } }";
        let expected = json!({ "update_folders_items": [{ "name": "z" }, { "name": "z" }], "delete_folders_items": { "ids": ids } });
        assert_eq!(ask(&admin, change, json!({ "i": ids })).await, expected);
        let figures = "{ folders_aggregated { count { id } } roles(filter: { name: { _eq: \"Administrator\" } }) { name users { email } } }";
        let figures = ask(&admin, figures, json!({})).await;
        assert_eq!(figures["folders_aggregated"], json!([{ "count": { "id": 1 } }]));
        assert_eq!(figures["roles"][0]["users"][0]["email"], ADMIN_EMAIL);
        // An address that this server does not fetch from.
        let import = "mutation { import_file(url: \"http://127.0.0.1:9/x\", data: { title: \"T\" }) { id } }";
        fails(&admin, import, json!({}), "SERVICE_UNAVAILABLE").await;
        // Nobody could be written to there.
        for email in ["nobody", "two@at@signs.example", "a space@b.example", "@b.example", "a@", ""] {
            let create = "mutation M($e: String) { create_users_item(data: { email: $e }) { id } }";
            fails(&admin, create, json!({ "e": email }), "FAILED_VALIDATION").await;
            let change = "mutation M($u: ID!, $e: String) { update_users_item(id: $u, data: { email: $e }) { id } }";
            fails(&admin, change, json!({ "u": ada, "e": email }), "FAILED_VALIDATION").await;
        }
        for closed in [
            "{ sessions { token } }",
            "{ migrations { name } }",
            "mutation { create_activity_item(data: { action: \"x\" }) { id } }",
            "mutation { update_revisions_items(ids: [1], data: { item: \"2\" }) { id } }",
            "mutation { create_fields_items(data: []) { id } }",
            "{ articles { id } }",
        ] {
            unknown(&admin, closed).await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_refers_to_the_model_is_a_name() {
    each_database(async |engine| {
        let admin = blog::shared(engine).await;
        let query =
            "{ __type(name: \"directus_comments\") { fields { name type { kind ofType { kind } } } } }";
        for path in ["/graphql", "/graphql/system"] {
            let described = admin.post(path, json!({ "query": query })).await.data();
            let fields = described["__type"]["fields"].as_array().expect("fields");
            let collection = fields.iter().find(|field| field["name"] == "collection").expect("a collection");
            let kinds = [&collection["type"]["kind"], &collection["type"]["ofType"]["kind"]];
            assert!(kinds.iter().any(|kind| **kind == "SCALAR"), "{path}: {collection}");
        }
    })
    .await;
}

#[tokio::test]
async fn everybody_sees_what_they_may_use() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        let reading = policy(&admin, "reading", json!([["articles", "read", {}, ["id"]]])).await;
        let (id, plain) = user(&admin, "plain", &[&reading]).await;
        let app =
            admin.post("/policies", json!({ "name": "app", "app_access": true })).await.data()["id"].clone();
        let (_, person) = user(&admin, "person", &[app.as_str().unwrap()]).await;

        let everybody = [
            "auth_login",
            "auth_refresh",
            "auth_logout",
            "auth_password_request",
            "users_register",
            "users_invite_accept",
        ];
        let (queries, mutations) = roots(&server.visitor()).await;
        assert_eq!(
            queries,
            ["server_specs_oas", "server_specs_graphql", "server_ping", "server_info", "server_health"]
        );
        for name in everybody {
            assert!(mutations.iter().any(|known| known == name), "{name}: {mutations:?}");
        }
        let has = |names: &[String], name: &str| names.iter().any(|known| known == name);
        for name in [
            "users_me_tfa_generate",
            "utils_hash_generate",
            "utils_cache_clear",
            "users_invite",
            "import_file",
            "utils_revert",
        ] {
            assert!(!has(&mutations, name), "{name}");
        }
        unknown(&server.visitor(), "{ users_me { id } }").await;
        unknown(&server.visitor(), "{ server_info { version } }").await;
        let info = ask(&server.visitor(), "{ server_info { project { project_name } } }", json!({})).await;
        assert_eq!(info["server_info"]["project"]["project_name"], "Tablature");

        let (queries, mutations) = roots(&plain).await;
        assert!(has(&queries, "permissions_me") && has(&mutations, "users_me_tfa_generate"));
        for name in ["users_me", "collections", "fields", "roles_me", "users", "extensions"] {
            assert!(!has(&queries, name), "{name}: whoever may not read it does not see it");
            unknown(&plain, &format!("{{ {name} {{ __typename }} }}")).await;
        }
        for name in
            ["create_collections_item", "update_users_me", "users_invite", "utils_cache_clear", "import_file"]
        {
            assert!(!has(&mutations, name), "{name}");
        }

        let (queries, mutations) = roots(&person).await;
        for name in ["users_me", "collections", "relations_by_name", "settings", "roles_me", "presets"] {
            assert!(has(&queries, name), "{name}: {queries:?}");
        }
        assert!(has(&mutations, "update_users_me") && has(&mutations, "create_presets_item"));
        assert!(!has(&mutations, "create_fields_item") && !has(&mutations, "update_extensions_item"));
        let mine = ask(&person, "{ collections { collection } users { email } }", json!({})).await;
        assert_eq!(mine["users"], json!([{ "email": "person@example.com" }]));
        assert_eq!(
            mine["collections"],
            json!(
                person
                    .get("/collections")
                    .await
                    .data()
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|one| json!({ "collection": one["collection"] }))
                    .collect::<Vec<_>>()
            )
        );

        let (queries, mutations) = roots(&admin).await;
        for name in ["access", "files_by_id", "users_aggregated", "extensions", "settings", "versions"] {
            assert!(has(&queries, name), "{name}");
        }
        for name in [
            "update_settings",
            "delete_users_items",
            "update_roles_batch",
            "create_fields_item",
            "utils_cache_clear",
        ] {
            assert!(has(&mutations, name), "{name}");
        }
        assert!(!has(&mutations, "create_activity_item"));

        // Rights that are gone are gone from the next request on.
        admin.delete(&format!("/users/{id}")).await.no_content();
        plain.post("/graphql/system", json!({ "query": "{ permissions_me }" })).await.refused_with(401);
    })
    .await;
}
