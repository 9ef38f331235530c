//! What is answered and recorded of a write is the same, however few statements it takes.

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::{Client, Database, Engine, Project, Server, each_database};

const THINGS: &str = "collection: things
fields:
  id: uuid_pk
  name: { type: string(40), unique: true }
  whole: integer
  large: bigint
  share: float
  money: \"decimal(12,2)\"
  flag: boolean
  day: date
  at_time: time
  local: datetime
  moment: timestamp
  shape: json
  tags: csv
  raw: binary
  secret: hash
  hidden: { type: text, conceal: true }
  other: m2o(things)
  made: created_at
  changed: updated_at
";

const COUNTED: &str = "collection: counted
fields:
  id: integer_pk
  name: string
  place: integer
";

const QUIET: &str = "collection: quiet
accountability: none
fields:
  id: uuid_pk
  name: string
";

async fn started(engine: Engine) -> (Server, Project, Client) {
    let files = [("things.yaml", THINGS), ("counted.yaml", COUNTED), ("quiet.yaml", QUIET)];
    let project = Project::new(Database::fresh(engine).await, &files).await;
    let server = project.server().start().await;
    let admin = server.admin();
    (server, project, admin)
}

fn thing(name: &str) -> Value {
    json!({
        "name": name, "whole": -3, "large": "9007199254740993", "share": 0.25, "money": "12.5", "flag": true,
        "day": "2026-03-02", "at_time": "10:00", "local": "2026-03-02T10:00:00", "moment": "2026-03-02T10:00:00.5Z",
        "shape": { "b": [1, "\u{1}\"\\é"], "a": null }, "tags": ["a", "b"], "raw": "AQI=", "secret": "s3cret", "hidden": "h",
    })
}

/// `data` and `delta` of the last revision of an item, without what differs from item to item.
async fn last_revision(database: &Database, item: &Value) -> (Value, Value) {
    let item = item.as_str().expect("a key");
    let sql =
        format!("SELECT data, delta FROM directus_revisions WHERE item = '{item}' ORDER BY id DESC LIMIT 1");
    let row = database.rows(&sql).await.remove(0);
    let parse = |text: &str| {
        let mut value: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("not JSON: {text}"));
        for name in ["id", "name", "made", "changed"] {
            if let Some(text) = value.get_mut(name).filter(|value| value.is_string()) {
                *text = json!("some");
            }
        }
        value
    };
    (parse(&row[0]), parse(&row[1]))
}

#[tokio::test]
async fn a_change_is_recorded_the_same_alone_and_among_others() {
    each_database(async |engine| {
        let (_server, project, admin) = started(engine).await;
        let alone = admin.create("things", thing("alone")).await["id"].clone();
        let among = admin.create("things", thing("among")).await["id"].clone();
        for change in [
            json!({ "whole": 4, "tags": [], "shape": [{ "x": 1.50 }], "share": 0.0625, "other": alone.clone() }),
            json!({ "large": null, "share": -12.75, "money": "0", "flag": false, "raw": null, "secret": "other", "other": null }),
            json!({ "day": null, "at_time": "23:59:59", "local": null, "moment": "2026-12-31T23:59:59.999Z", "tags": null, "shape": null }),
        ] {
            admin.patch(&format!("/items/things/{}", alone.as_str().unwrap()), change.clone()).await.data();
            let operation = json!({ "action": "update", "collection": "things", "key": among, "data": change });
            admin.post("/tablature/transaction", json!({ "operations": [operation] })).await.data();
            let [one, other] =
                [last_revision(&project.database, &alone).await, last_revision(&project.database, &among).await];
            assert_eq!(one, other, "{change}");
            assert_eq!(one.0["hidden"], "**********");
        }
        for action in ["create", "update"] {
            let of = |item: &Value| format!("item = '{}' AND action = '{action}'", item.as_str().unwrap());
            let [one, other] = [
                project.database.count("directus_activity", &of(&alone)).await,
                project.database.count("directus_activity", &of(&among)).await,
            ];
            assert_eq!(one, other, "{action}");
            assert!(one > 0);
        }
    })
    .await;
}

#[tokio::test]
async fn a_write_answers_what_a_read_would() {
    each_database(async |engine| {
        let (_server, _project, admin) = started(engine).await;
        let first = admin.create("things", thing("first")).await["id"].clone();
        for fields in [
            "*",
            "id,hidden,secret,tags",
            "name,other.name",
            "year(day),money",
            "whole&alias[n]=whole&fields[]=n",
        ] {
            let mut sent = thing(fields);
            sent["other"] = first.clone();
            let made = admin.post(&format!("/items/things?fields={fields}"), sent).await.data();
            let found = admin
                .items("things", json!({ "filter": { "name": { "_eq": fields } }, "fields": "id" }))
                .await
                .data()[0]["id"]
                .clone();
            let path = format!("/items/things/{}?fields={fields}", found.as_str().unwrap());
            assert_eq!(made, admin.get(&path).await.data(), "{fields}");
            let changed = admin.patch(&path, json!({ "whole": 8, "money": "99.999", "shape": [] })).await;
            let read = admin.get(&path).await;
            assert_eq!(changed.data(), read.data(), "{fields}");
            assert_eq!(changed.header("etag"), read.header("etag"), "{fields}");
        }
        admin
            .patch("/items/things/0190a0a0-0000-7000-8000-000000000000", json!({ "whole": 1 }))
            .await
            .no_content();
        let taken = admin.post("/items/things", thing("first")).await.refused(400, "RECORD_NOT_UNIQUE");
        assert_eq!(taken[0]["extensions"]["field"], "name", "{taken:?}");
        let mut lost = thing("lost");
        lost["other"] = json!("0190a0a0-0000-7000-8000-000000000000");
        admin.post("/items/things", lost).await.refused(400, "INVALID_FOREIGN_KEY");
        assert_eq!(
            admin.items("things", json!({ "filter": { "name": { "_eq": "lost" } } })).await.data(),
            json!([])
        );
    })
    .await;
}

#[tokio::test]
async fn many_are_answered_in_order() {
    each_database(async |engine| {
        let (_server, project, admin) = started(engine).await;
        for collection in ["things", "counted", "quiet"] {
            let many: Vec<Value> = (0..30).map(|number| json!({ "name": format!("n{number}") })).collect();
            let path = format!("/items/{collection}?fields=id,name");
            let made = admin.post(&path, Value::Array(many)).await.data();
            assert_eq!(
                made,
                admin.items(collection, json!({ "fields": "id,name", "sort": "id" })).await.data()
            );
            let names: Vec<&str> =
                made.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
            assert_eq!(names, (0..30).map(|number| format!("n{number}")).collect::<Vec<_>>());
        }
        let one = admin.create("counted", json!({ "name": "one" })).await;
        assert_eq!(one["id"], 31);
        let keys = ["b", "a", "c"].map(|end| format!("0190a0a0-0000-7000-8000-00000000000{end}"));
        let own: Vec<Value> = keys.iter().map(|key| json!({ "id": key, "name": key })).collect();
        let made = admin.post("/items/quiet?fields=id", Value::Array(own)).await;
        assert_eq!(
            made.column("id"),
            ["a", "b", "c"].map(|end| json!(format!("0190a0a0-0000-7000-8000-00000000000{end}")))
        );
        let fewer = json!([{ "name": "x" }, { "name": "y" }]);
        assert_eq!(
            admin.post("/items/counted?fields=name&sort=-name&limit=1", fewer).await.data(),
            json!([{ "name": "y" }])
        );
        assert_eq!(project.database.count("directus_activity", "collection = 'quiet'").await, 0);
        assert_eq!(project.database.count("directus_revisions", "collection = 'counted'").await, 33);
    })
    .await;
}

#[tokio::test]
async fn what_a_trigger_makes_of_a_row_is_answered() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[("counted.yaml", COUNTED)]).await;
        let server = project.server().start().await;
        drop(server);
        let table = "counted";
        let trigger = engine.pick(
            vec![format!(
                "CREATE TRIGGER doubled AFTER INSERT ON {table} BEGIN UPDATE {table} SET place = NEW.place * 2 WHERE id = NEW.id; END"
            )],
            vec![
                "CREATE FUNCTION doubled() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.place := NEW.place * 2; RETURN NEW; END'"
                    .to_owned(),
                format!("CREATE TRIGGER doubled BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION doubled()"),
            ],
            vec![format!("CREATE TRIGGER doubled BEFORE INSERT ON {table} FOR EACH ROW SET NEW.place = NEW.place * 2")],
        );
        for statement in trigger {
            project.database.execute(&statement).await;
        }
        let server = project.server().start().await;
        let made = server.admin().post("/items/counted?fields=place", json!({ "place": 4 })).await.data();
        assert_eq!(made, json!({ "place": 8 }));
    })
    .await;
}

#[tokio::test]
async fn who_may_see_less_is_answered_less() {
    each_database(async |engine| {
        let (_server, _project, admin) = started(engine).await;
        let rights = |rows: Value| {
            json!([
                ["counted", "create", {}, ["*"]],
                ["counted", "update", {}, ["name", "place"]],
                ["counted", "read", rows, ["id", "name"]],
            ])
        };
        let open = policy(&admin, "open", rights(json!({}))).await;
        let (_, all) = user(&admin, "all", &[&open]).await;
        let narrow = policy(&admin, "narrow", rights(json!({ "place": { "_gt": 5 } }))).await;
        let (_, some) = user(&admin, "some", &[&narrow]).await;
        let made = all.post("/items/counted", json!({ "name": "a", "place": 1 })).await.data();
        assert_eq!(made, json!({ "id": made["id"], "name": "a" }));
        let path = format!("/items/counted/{}", made["id"]);
        assert_eq!(all.patch(&path, json!({ "place": 2 })).await.data(), made);
        some.post("/items/counted", json!({ "name": "b", "place": 1 })).await.no_content();
        assert_eq!(some.post("/items/counted", json!({ "name": "c", "place": 6 })).await.data()["name"], "c");
        assert_eq!(
            admin.items("counted", json!({ "fields": "name", "sort": "id" })).await.column("name"),
            ["a", "b", "c"]
        );
    })
    .await;
}
