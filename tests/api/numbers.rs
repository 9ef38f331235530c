//! Business numbers: series without gaps and doubles, whatever happens at the same time.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::{Client, Database, Engine, Project, Server, each_database};

const FIRMS: &str = "collection: firms
members: { owner: { _eq: $CURRENT_USER } }
fields:
  id: integer_pk
  code: string(10)
  owner: m2o(directus_users)
  bills: o2m(bills.firm)
";

const BILLS: &str = "collection: bills
tenant: firm
fields:
  id: integer_pk
  firm: { m2o: firms, required: true }
  number: { type: string(40), required: true, unique: true, number: { series: \"INV-{year}-{seq:5}\", per: [tenant, year] } }
  title: { type: string(20), required: true }
  handle: { type: string(20), unique: true }
  place: { type: string(20), number: { series: \"{city}/{seq}\", per: [city] } }
  city: string(10)
  ticket: { type: integer, number: \"{seq}\" }
";

async fn started(engine: Engine) -> (Server, Project, Client) {
    let files = [("firms.yaml", FIRMS), ("bills.yaml", BILLS)];
    let project = Project::new(Database::fresh(engine).await, &files).await;
    let server = project.server().start().await;
    let admin = server.admin();
    for id in [1, 2] {
        admin.create("firms", json!({ "id": id, "code": format!("F{id}") })).await;
    }
    (server, project, admin)
}

fn year() -> String {
    jiff::Timestamp::now().strftime("%Y").to_string()
}

async fn numbers(admin: &Client, firm: i64) -> Vec<String> {
    let query =
        json!({ "filter": { "firm": { "_eq": firm } }, "fields": "number", "sort": "number", "limit": -1 });
    let column = admin.items("bills", query).await.column("number");
    column.iter().map(|number| number.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_hundred_at_once_leave_no_gap_and_no_double() {
    each_database(async |engine| {
        let (_server, _project, admin) = started(engine).await;
        let one = |n: i64| {
            let admin = admin.clone();
            // Every fourth is refused by its title or by what is unique, some of these only by the database.
            async move {
                let body = match n % 8 {
                    3 => json!({ "firm": 1, "title": "far too long for this field" }),
                    7 => json!({ "firm": 1, "title": "t", "handle": "taken" }),
                    _ => json!({ "firm": 1, "title": format!("t{n}") }),
                };
                admin.post("/items/bills", body).await.status
            }
        };
        admin.create("bills", json!({ "firm": 1, "title": "first", "handle": "taken" })).await;
        let statuses = futures::future::join_all((0..100).map(one)).await;
        let done = statuses.iter().filter(|status| **status == 200).count();
        assert_eq!(done, 75, "{statuses:?}");
        let expected: Vec<String> = (1..=76).map(|n| format!("INV-{}-{n:05}", year())).collect();
        assert_eq!(numbers(&admin, 1).await, expected);

        // The other tenant counts for itself.
        admin.create("bills", json!({ "firm": 2, "title": "other" })).await;
        assert_eq!(numbers(&admin, 2).await, [format!("INV-{}-00001", year())]);
    })
    .await;
}

#[tokio::test]
async fn batches_and_items_below_others_are_counted_in_order() {
    each_database(async |engine| {
        let (_server, _project, admin) = started(engine).await;
        let rows: Vec<Value> = (0..5)
            .map(|n| json!({ "firm": 1 + n % 2, "title": format!("{n}"), "city": (["Rome", "Oslo"][n % 2]) }))
            .collect();
        let made =
            admin.post("/items/bills?fields=firm,number,place,ticket,title&sort=id", json!(rows)).await;
        let number = |n: u32| format!("INV-{}-{n:05}", year());
        let seen = |key: &str| made.column(key);
        assert_eq!(seen("number"), [number(1), number(1), number(2), number(2), number(3)].map(Value::from));
        assert_eq!(seen("place"), ["Rome/1", "Oslo/1", "Rome/2", "Oslo/2", "Rome/3"].map(Value::from));
        assert_eq!(seen("ticket"), [1, 2, 3, 4, 5].map(Value::from));

        let below = json!({ "code": "new", "bills": { "create": [{ "title": "a" }, { "title": "b" }] } });
        let firm = admin.create("firms", below).await["id"].as_i64().unwrap();
        assert_eq!(numbers(&admin, firm).await, [number(1), number(2)]);
    })
    .await;
}

#[tokio::test]
async fn what_is_rolled_back_gives_its_number_back() {
    each_database(async |engine| {
        let (_server, _project, admin) = started(engine).await;
        admin.create("bills", json!({ "firm": 1, "title": "a", "handle": "h" })).await;
        let batch = json!([{ "firm": 1, "title": "b" }, { "firm": 1, "title": "c", "handle": "h" }]);
        admin.post("/items/bills", batch).await.refused(400, "RECORD_NOT_UNIQUE");
        admin
            .post("/items/bills", json!({ "firm": 77, "title": "b" }))
            .await
            .refused(400, "INVALID_FOREIGN_KEY");
        let next = admin.create("bills", json!({ "firm": 1, "title": "d" })).await;
        assert_eq!(next["number"], format!("INV-{}-00002", year()));
        // A deletion leaves a hole that nobody fills: the number was given.
        admin.delete(&format!("/items/bills/{}", next["id"])).await.no_content();
        let after = admin.create("bills", json!({ "firm": 1, "title": "e" })).await;
        assert_eq!(after["number"], format!("INV-{}-00003", year()));
    })
    .await;
}

#[tokio::test]
async fn nobody_writes_a_number() {
    each_database(async |engine| {
        let (_server, _project, admin) = started(engine).await;
        let sent = json!({ "firm": 1, "title": "a", "number": "INV-MINE", "ticket": 99 });
        let made = admin.create("bills", sent).await;
        let number = format!("INV-{}-00001", year());
        assert_eq!((&made["number"], &made["ticket"]), (&json!(number), &json!(1)));
        let path = format!("/items/bills/{}", made["id"]);
        let kept = admin.patch(&path, json!({ "number": "INV-MINE", "title": "b" })).await.data();
        assert_eq!((&kept["number"], &kept["title"]), (&json!(number), &json!("b")));
        admin.patch(&path, json!({ "number": null })).await.data();
        assert_eq!(admin.get(&path).await.data()["number"], json!(number));

        // Who owns a firm counts in it without naming it.
        let rights = json!([["bills", "create", {}, ["*"]], ["bills", "read", {}, ["*"]]]);
        let rights = policy(&admin, "bills", rights).await;
        let (id, owner) = user(&admin, "owner", &[&rights]).await;
        admin.patch("/items/firms/2", json!({ "owner": id })).await.data();
        let own = owner.create("bills", json!({ "title": "mine", "number": "INV-MINE" })).await;
        assert_eq!((&own["number"], &own["firm"]), (&json!(number), &json!(2)));
    })
    .await;
}

#[tokio::test]
async fn many_writers_of_many_series_wait_for_one_another() {
    each_database(async |engine| {
        let (_server, _project, admin) = started(engine).await;
        let cities = ["Rome", "Oslo", "Bern"];
        let batch = |n: usize| {
            let rows: Vec<Value> = (0..6)
                .map(|row| json!({ "firm": 1 + (n + row) % 2, "title": "t", "city": (cities[(n * 5 + row) % 3]) }))
                .collect();
            let admin = admin.clone();
            async move { admin.post("/items/bills?fields=id", json!(rows)).await.data() }
        };
        futures::future::join_all((0..20).map(batch)).await;
        for firm in [1, 2] {
            let expected: Vec<String> = (1..=60).map(|n| format!("INV-{}-{n:05}", year())).collect();
            assert_eq!(numbers(&admin, firm).await, expected);
        }
        let places = admin.items("bills", json!({ "fields": "place", "limit": -1 })).await.column("place");
        let different: BTreeSet<String> = places.iter().map(Value::to_string).collect();
        assert_eq!(different.len(), 120);
        assert!(cities.iter().all(|city| different.contains(&format!("\"{city}/40\""))), "{different:?}");
    })
    .await;
}

#[tokio::test]
async fn imported_numbers_are_kept_and_counted_on_from() {
    each_database(async |engine| {
        let files = [("firms.yaml", FIRMS), ("bills.yaml", BILLS)];
        let project = Project::new(Database::fresh(engine).await, &files).await;
        let number = |n: u32| format!("INV-{}-{n:05}", year());
        let bills = json!([
            { "id": 1, "firm": 1, "title": "a", "number": number(41), "ticket": 7 },
            { "id": 2, "firm": 1, "title": "b", "number": "OLD-1" },
        ]);
        project.write("_data/firms.json", json!([{ "id": 1, "code": "F" }]).to_string());
        project.write("_data/bills.json", bills.to_string());
        let data = project.collections().join("_data");
        let server = project.server().set("DEMO_DATA", data.to_str().unwrap()).start().await;
        let admin = server.admin();
        assert_eq!(numbers(&admin, 1).await, [number(41), "OLD-1".to_owned()]);
        let next = admin.create("bills", json!({ "firm": 1, "title": "c" })).await;
        assert_eq!(next["number"], number(42));
        assert_eq!(next["ticket"], 9, "the second had none and got 8");
    })
    .await;
}

#[tokio::test]
async fn mistakes_in_series_have_their_place() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[]).await;
        let refused = |number: &str, said: &[&str]| {
            let text = format!("collection: it\nfields:\n  id: uuid_pk\n  city: string\n  no: {number}\n");
            project.write("it.yaml", text);
            project.run(&["plan"]).refused(said);
        };
        refused("{ type: string, number: 'A-{yaer}-{seq}' }", &["it.yaml:5:34", "yaer", "year"]);
        refused("{ type: string, number: 'A-{seq:x}' }", &["it.yaml:5:34", "seq:5"]);
        refused("{ type: string, number: 'A-{seq:40}' }", &["it.yaml:5:34", "18 digits"]);
        refused("{ type: string, number: 'A-{city:2}-{seq}' }", &["it.yaml:5:34", "city"]);
        refused("{ type: string, number: 'A-{seq' }", &["it.yaml:5:34", "not closed"]);
        refused("{ type: string, number: 'A-seq}' }", &["it.yaml:5:37", "closes nothing"]);
        refused("{ type: string, number: 'A-{year}' }", &["it.yaml:5:31", "counts nothing"]);
        refused("{ type: string, number: '{seq}{seq}' }", &["counts 2 times"]);
        refused("{ type: string, number: '{no}{seq}' }", &["it.yaml:5:32", "cannot be made of"]);
        refused("{ type: integer, number: 'A-{seq}' }", &["does not fit the type integer"]);
        refused("{ type: string, number: { per: [year] } }", &["series"]);
        refused("{ type: string, number: { series: '{seq}', per: [tenant] } }", &["has no tenant"]);
        refused("{ type: string, number: { series: '{seq}', per: [citty] } }", &["citty", "city"]);
        refused(
            "{ type: string, unique: true, number: { series: '{month}{seq}', per: [month] } }",
            &["it.yaml:5:77", "{year}"],
        );
        refused("{ type: string, unique: true, number: { series: '{seq}', per: [city] } }", &["{city}"]);
        refused("{ m2o: it, number: '{seq}' }", &["only a plain field"]);
        refused("{ type: string, default: a, number: '{seq}' }", &["neither a default"]);
    })
    .await;
}

#[tokio::test]
async fn pull_leaves_a_series_as_it_is() {
    each_database(async |engine| {
        let files = [("firms.yaml", FIRMS), ("bills.yaml", BILLS)];
        let project = Project::new(Database::fresh(engine).await, &files).await;
        project.run(&["apply"]).ok();
        let before = project.files();
        project.run(&["pull"]).ok();
        assert_eq!(project.files(), before);
        let after = project.run(&["plan"]);
        assert!(!after.ok().contains("bills"), "{}", after.printed);
    })
    .await;
}
