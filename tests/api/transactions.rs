//! `POST /tablature/transaction`: many operations, all of them or none.

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::{Answer, Client, Database, Engine, Project, Server, each_database};

const FIRMS: &str = "collection: firms
fields:
  id: integer_pk
  name: { type: string(20), unique: true }
  secret: hash
  shape: json
  bills: o2m(bills.firm)
";

const BILLS: &str = "collection: bills
fields:
  id: uuid_pk
  number: { type: string(20), number: \"B{seq:3}\" }
  firm: m2o(firms)
  total: { type: \"decimal(12,2)\", min: 0 }
  text: text
  entries: { o2m: entries.bill, on_deselect: delete }
";

const ENTRIES: &str = "collection: entries
fields:
  id: integer_pk
  bill: { m2o: bills, on_delete: cascade }
  text: string(40)
";

const NOTICE: &str = "collection: notice
singleton: true
fields:
  id: integer_pk
  text: string
";

async fn started(engine: Engine) -> (Server, Project, Client) {
    let files =
        [("firms.yaml", FIRMS), ("bills.yaml", BILLS), ("entries.yaml", ENTRIES), ("notice.yaml", NOTICE)];
    let project = Project::new(Database::fresh(engine).await, &files).await;
    let server = project.server().start().await;
    let admin = server.admin();
    (server, project, admin)
}

async fn transact(client: &Client, operations: Value) -> Answer {
    client.post("/tablature/transaction", json!({ "operations": operations })).await
}

#[tokio::test]
async fn later_operations_name_what_earlier_ones_gave() {
    each_database(async |engine| {
        let (_server, _project, admin) = started(engine).await;
        let answer = transact(
            &admin,
            json!([
                { "action": "create", "collection": "firms", "as": "firm", "data": { "name": "Ada" } },
                {
                    "action": "create", "collection": "bills", "as": "bill", "fields": ["number", "firm.name"],
                    "data": { "firm": { "$ref": "firm.id" }, "total": "12.5" },
                },
                {
                    "action": "create", "collection": "entries", "as": "entries",
                    "data": [
                        { "bill": { "$ref": "bill.id" }, "text": { "$ref": "bill.number" } },
                        { "bill": { "$ref": "bill.id" }, "text": { "$ref": "bill.firm.name" } },
                    ],
                },
                { "action": "update", "collection": "entries", "key": { "$ref": "entries.1.id" }, "data": { "text": "changed" } },
                { "action": "delete", "collection": "entries", "keys": [{ "$ref": "entries.0.id" }] },
                {
                    "action": "read", "collection": "entries", "fields": ["text", "bill.number"],
                    "query": { "filter": { "bill": { "_eq": { "$ref": "bill.id" } } } },
                },
                { "action": "update", "collection": "notice", "data": { "text": { "$ref": "bill.number" } } },
            ]),
        )
        .await;
        let data = answer.data();
        assert_eq!(data[0], json!({ "id": 1 }));
        assert_eq!((&data[1]["number"], &data[1]["firm"]), (&json!("B001"), &json!({ "name": "Ada" })));
        assert_eq!(data[2].as_array().map(Vec::len), Some(2));
        assert_eq!(data[4], Value::Null);
        assert_eq!(data[5], json!([{ "text": "changed", "bill": { "number": "B001" } }]));
        assert_eq!(admin.get("/items/notice").await.data()["text"], "B001");
        let bill = admin.get(&format!("/items/bills/{}", data[1]["id"].as_str().unwrap())).await.data();
        assert_eq!((&bill["firm"], &bill["total"]), (&json!(1), &json!("12.50")));

        // One more: found by a read, its key alone as a reference.
        let answer = transact(
            &admin,
            json!([
                { "action": "read", "collection": "firms", "as": "found", "query": { "filter": { "name": { "_eq": "Ada" } } } },
                { "action": "update", "collection": "firms", "key": { "$ref": "found.0.id" }, "data": { "name": "Grace" }, "fields": ["name"] },
            ]),
        )
        .await;
        assert_eq!(answer.data()[1], json!({ "id": 1, "name": "Grace" }));
    })
    .await;
}

#[tokio::test]
async fn all_or_nothing_and_the_number_of_what_failed() {
    each_database(async |engine| {
        let (_server, project, admin) = started(engine).await;
        let before = admin.metric("tablature_sql_statements_total").await;
        assert!(before > 0);
        let make =
            json!({ "action": "create", "collection": "firms", "as": "firm", "data": { "name": "A" } });
        let check = async |last: Value, status: u16, code: &str| {
            let errors = transact(&admin, json!([make, last])).await.refused(status, code);
            assert!(errors.iter().all(|error| error["extensions"]["operation"] == 1), "{errors:?}");
            assert_eq!(project.database.count("firms", "1 = 1").await, 0);
        };
        let bill = |data: Value| json!({ "action": "create", "collection": "bills", "data": data });
        check(bill(json!({ "firm": 99 })), 400, "INVALID_FOREIGN_KEY").await;
        check(bill(json!({ "firm": { "$ref": "firm.id" }, "total": "-1" })), 400, "FAILED_VALIDATION").await;
        check(bill(json!({ "total": { "$ref": "firm.nope" } })), 400, "INVALID_PAYLOAD").await;
        check(bill(json!({ "total": { "$ref": "other.id" } })), 400, "INVALID_PAYLOAD").await;
        check(
            json!({ "action": "create", "collection": "firms", "data": { "name": "A" } }),
            400,
            "RECORD_NOT_UNIQUE",
        )
        .await;
        check(json!({ "action": "create", "collection": "nope", "data": {} }), 403, "FORBIDDEN").await;
        check(json!({ "action": "create", "collection": "directus_activity", "data": {} }), 403, "FORBIDDEN")
            .await;
        check(
            json!({ "action": "update", "collection": "firms", "data": { "name": "B" } }),
            400,
            "INVALID_PAYLOAD",
        )
        .await;
        check(json!({ "action": "explode", "collection": "firms" }), 400, "INVALID_PAYLOAD").await;
        check(
            json!({ "action": "create", "collection": "firms", "data": {}, "dta": 1 }),
            400,
            "INVALID_PAYLOAD",
        )
        .await;
        check(
            json!({ "action": "create", "collection": "firms", "as": "firm", "data": {} }),
            400,
            "INVALID_PAYLOAD",
        )
        .await;
        check(
            json!({ "action": "create", "collection": "firms", "as": "0", "data": {} }),
            400,
            "INVALID_PAYLOAD",
        )
        .await;
        check(json!({ "action": "delete", "collection": "firms", "keys": 1 }), 400, "INVALID_PAYLOAD").await;
        check(json!({ "action": "read", "collection": "firms", "key": 9 }), 403, "FORBIDDEN").await;
        check(json!("x"), 400, "INVALID_PAYLOAD").await;

        for body in
            [json!({}), json!([]), json!({ "operations": {} }), json!({ "operations": [], "more": 1 })]
        {
            admin.post("/tablature/transaction", body).await.refused(400, "INVALID_PAYLOAD");
        }
        let many: Vec<Value> = vec![make.clone(); 501];
        transact(&admin, json!(many)).await.refused(413, "LIMIT_EXCEEDED");
        assert_eq!(transact(&admin, json!([])).await.data(), json!([]));
        assert_eq!(
            project.database.count("directus_activity", "collection = 'firms'").await,
            0,
            "nothing is recorded"
        );
        assert_eq!(project.database.count("tablature_outbox", "1 = 1").await, 0, "nothing is announced");
    })
    .await;
}

#[tokio::test]
async fn five_hundred_operations_at_once() {
    each_database(async |engine| {
        let (_server, project, admin) = started(engine).await;
        let mut operations =
            vec![json!({ "action": "create", "collection": "bills", "as": "bill", "data": { "text": "long" } })];
        operations.extend((0..499).map(|n| {
            json!({ "action": "create", "collection": "entries", "data": { "bill": { "$ref": "bill.id" }, "text": format!("{n}") } })
        }));
        let began = std::time::Instant::now();
        assert_eq!(transact(&admin, json!(operations)).await.data().as_array().map(Vec::len), Some(500));
        eprintln!("500 operations took {:?}", began.elapsed());
        assert_eq!(project.database.count("entries", "bill IS NOT NULL").await, 499);
        assert_eq!(project.database.count("directus_activity", "collection = 'entries'").await, 499);
    })
    .await;
}

#[tokio::test]
async fn each_operation_is_judged_by_what_it_really_writes() {
    each_database(async |engine| {
        let (_server, project, admin) = started(engine).await;
        admin.create("firms", json!({ "id": 1, "name": "open" })).await;
        admin.create("firms", json!({ "id": 2, "name": "closed" })).await;
        let rights = json!([
            ["firms", "read", { "name": { "_eq": "open" } }, ["id", "name"]],
            ["firms", "update", { "name": { "_eq": "open" } }, ["shape"]],
            ["bills", "create", { "firm": { "name": { "_eq": "open" } } }, ["firm", "total", "text"], {}, { "total": { "_lt": 100 } }],
            ["bills", "read", {}, ["id", "text"]],
            ["entries", "create", {}, ["text"]],
        ]);
        let rights = policy(&admin, "clerk", rights).await;
        let (_, clerk) = user(&admin, "clerk", &[&rights]).await;
        let refused = async |operations: Value, code: &str| {
            let status = if code == "FORBIDDEN" { 403 } else { 400 };
            transact(&clerk, operations).await.refused(status, code);
            assert_eq!(project.database.count("bills", "1 = 1").await, 0);
        };
        let line = |text: Value| json!({ "action": "create", "collection": "entries", "as": "line", "data": { "text": text } });
        let bill = |data: Value| json!({ "action": "create", "collection": "bills", "as": "bill", "data": data });
        let read = json!({ "action": "read", "collection": "firms", "as": "firm", "query": {} });
        refused(json!([bill(json!({ "firm": 2, "total": 5 }))]), "FORBIDDEN").await;
        refused(json!([line(json!("500")), bill(json!({ "firm": 1, "total": 500 }))]), "FAILED_VALIDATION").await;
        // The rule sees the value, not the reference; the row rule sees the row.
        let number = json!({ "action": "create", "collection": "entries", "as": "line", "data": [{ "text": "a" }] });
        refused(json!([number, read, bill(json!({ "firm": 2, "total": { "$ref": "firm.0.id" } }))]), "FORBIDDEN").await;
        refused(json!([read, bill(json!({ "firm": 1, "total": 5, "number": { "$ref": "firm.0.id" } }))]), "FORBIDDEN").await;
        refused(json!([read, { "action": "update", "collection": "firms", "key": 2, "data": { "shape": { "$ref": "firm.0.id" } } }]), "FORBIDDEN").await;
        refused(json!([{ "action": "delete", "collection": "firms", "key": 1 }]), "FORBIDDEN").await;
        refused(json!([{ "action": "read", "collection": "firms", "fields": ["secret"] }]), "FORBIDDEN").await;

        let done = transact(
            &clerk,
            json!([read, bill(json!({ "firm": { "$ref": "firm.0.id" }, "total": 5, "text": "t" })), line(json!({ "$ref": "bill.text" }))]),
        )
        .await;
        done.refused(400, "INVALID_PAYLOAD");
        let asked = json!({
            "action": "create", "collection": "bills", "as": "bill", "fields": ["text"],
            "data": { "firm": { "$ref": "firm.0.id" }, "total": { "$ref": "firm.0.id" }, "text": "t" },
        });
        let done = transact(&clerk, json!([read, asked, line(json!({ "$ref": "bill.text" }))])).await.data();
        assert_eq!(done[0], json!([{ "id": 1, "name": "open" }]));
        assert!(done[2]["id"].is_number(), "the key of what one made, though nothing of it may be read: {done}");
    })
    .await;
}

#[tokio::test]
async fn secrets_are_hashed_and_data_stays_data() {
    each_database(async |engine| {
        let (_server, project, admin) = started(engine).await;
        let schema = json!({ "$ref": "#/$defs/a" });
        let data = transact(
            &admin,
            json!([
                { "action": "create", "collection": "firms", "as": "a", "data": { "name": "a", "shape": schema } },
                { "action": "create", "collection": "firms", "data": { "name": "b", "secret": "s3cret", "shape": { "$ref": "a.id" } }, "fields": ["shape"] },
                { "action": "create", "collection": "directus_roles", "as": "role", "data": { "name": "Clerks" } },
                {
                    "action": "create", "collection": "directus_users", "as": "user",
                    "data": { "email": "new@example.com", "password": "Passw0rd-of-new", "role": { "$ref": "role.id" } },
                },
            ]),
        )
        .await
        .data();
        assert_eq!(data[1]["shape"], 1);
        assert_eq!(admin.get("/items/firms/1").await.data()["shape"], schema);
        assert_eq!(project.database.count("firms", "secret LIKE '$argon2id$%'").await, 1);
        let login = json!({ "email": "new@example.com", "password": "Passw0rd-of-new" });
        assert_eq!(admin.with_token(None).post("/auth/login", login).await.status, 200);

        let stolen = json!([
            { "action": "create", "collection": "firms", "as": "a", "data": { "name": "c" }, "fields": ["name"] },
            { "action": "create", "collection": "firms", "data": { "secret": { "$ref": "a.name" } } },
        ]);
        transact(&admin, stolen).await.refused(400, "INVALID_PAYLOAD");
    })
    .await;
}

#[tokio::test]
async fn a_transaction_with_a_key_is_done_once() {
    each_database(async |engine| {
        let (_server, project, admin) = started(engine).await;
        let body = json!({ "operations": [
            { "action": "create", "collection": "firms", "as": "firm", "data": {} },
            { "action": "create", "collection": "bills", "data": { "firm": { "$ref": "firm.id" } } },
        ] });
        let send = |body: &Value| {
            let request = admin.request("POST", "/tablature/transaction").header("Idempotency-Key", "one");
            request.json(body).send()
        };
        let first = send(&body).await;
        first.data();
        let second = send(&body).await;
        assert_eq!((second.status, &second.bytes), (200, &first.bytes));
        assert_eq!(project.database.count("bills", "1 = 1").await, 1);
        send(&json!({ "operations": [] })).await.refused(422, "UNPROCESSABLE_CONTENT");
    })
    .await;
}

#[tokio::test]
async fn transactions_at_the_same_time_see_whole_ones_only() {
    each_database(async |engine| {
        let (_server, _project, admin) = started(engine).await;
        let name = |n: usize| format!("firm {}", n % 5);
        let one = |n: usize| {
            let admin = admin.clone();
            let operations = json!([
                { "action": "create", "collection": "bills", "as": "bill", "data": { "text": name(n) } },
                { "action": "create", "collection": "firms", "as": "firm", "data": { "name": name(n) } },
                { "action": "update", "collection": "bills", "key": { "$ref": "bill.id" }, "data": { "firm": { "$ref": "firm.id" } } },
            ]);
            async move { transact(&admin, operations).await.status }
        };
        let statuses = futures::future::join_all((0..30).map(one)).await;
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 5, "{statuses:?}");
        let bills = admin.items("bills", json!({ "fields": ["number", "text", "firm.name"], "limit": -1 })).await.data();
        let bills = bills.as_array().unwrap();
        assert_eq!(bills.len(), 5);
        assert!(bills.iter().all(|bill| bill["firm"]["name"] == bill["text"]), "{bills:?}");
        let mut numbers: Vec<&str> = bills.iter().filter_map(|bill| bill["number"].as_str()).collect();
        numbers.sort();
        assert_eq!(numbers, ["B001", "B002", "B003", "B004", "B005"], "what was refused took no number");
    })
    .await;
}
