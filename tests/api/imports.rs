//! Items of files: every format, upserts, faults with their lines, all or nothing, skipping, rights, limits, progress.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::{Answer, Client, Database, Project, Server, each_database};

const NOTES: &str = "collection: notes\nfields:\n  id: integer_pk\n  text: { type: string, unique: true }\n  number: { type: integer, max: 100000 }\n  \
                     price: decimal(10,2)\n  flag: boolean\n  tags: csv\n  data: json\n  on: date\n  parent: m2o(notes)\n  \
                     children: o2m(notes.parent)\n";
const ALL: &str = "/items/notes?sort=id&limit=-1&fields=id,text,number,price,flag,tags,data,on,parent";

/// A form with one file.
async fn import(who: &Client, path: &str, name: &str, media_type: &str, content: &[u8]) -> Answer {
    let mut body = format!(
        "--border\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nnothing\r\n--border\r\nContent-Disposition: form-data; \
         name=\"file\"; filename=\"{name}\"\r\nContent-Type: {media_type}\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(content);
    body.extend_from_slice(b"\r\n--border--\r\n");
    let request = who.request("POST", &format!("/utils/import/{path}"));
    request.body(body, "multipart/form-data; boundary=border").timeout(Duration::from_secs(120)).send().await
}

async fn started(engine: crate::support::Engine) -> (Server, Project) {
    let site = "collection: site\nsingleton: true\nfields:\n  id: integer_pk\n";
    let project =
        Project::new(Database::fresh(engine).await, &[("notes.yaml", NOTES), ("site.yaml", site)]).await;
    let server = project.server().set("IMPORT_MAX_SIZE", "1mb").start().await;
    (server, project)
}

#[tokio::test]
async fn what_is_exported_is_imported_again() {
    each_database(async |engine| {
        let (server, _project) = started(engine).await;
        let admin = server.admin();
        let items = json!([
            { "id": 1, "text": "say \"hi\",\nthen", "number": 7, "price": "-1.50", "flag": true, "tags": ["a", "b"], "data": { "n": 1 }, "on": "2026-03-02" },
            { "id": 2, "text": "=1+1", "number": -1, "flag": false, "tags": ["one"], "data": [3, "x"], "parent": 1 },
            { "id": 3, "text": "'=quoted é🚀", "data": "\"a text\"" },
        ]);
        admin.create("notes", items).await;
        let before = admin.get(ALL).await.data();
        for format in ["json", "csv", "yaml", "xlsx"] {
            let file = admin.get(&format!("{ALL}&export={format}")).await.bytes;
            admin.delete_with("/items/notes", json!({ "query": { "limit": -1 } })).await.no_content();
            let done = import(&admin, "notes", &format!("f.{format}"), "application/octet-stream", &file).await;
            assert_eq!((done.status, done.text()), (200, String::new()), "{format}");
            let after = admin.get(ALL).await.data();
            assert_eq!(after, before, "{format}: {}", String::from_utf8_lossy(&file));
        }
        // Elements know no types: numbers within JSON come back as texts.
        let xml = admin.get("/items/notes?sort=id&fields=id,text,number,tags,flag,on&export=xml").await.bytes;
        admin.delete_with("/items/notes", json!({ "query": { "limit": -1 } })).await.no_content();
        assert_eq!(import(&admin, "notes", "f.xml", "text/xml", &xml).await.status, 200);
        let some = admin.get("/items/notes?sort=id&fields=id,text,number,tags,flag,on").await.data();
        for (after, before) in some.as_array().expect("rows").iter().zip(before.as_array().expect("rows")) {
            for field in ["id", "text", "number", "flag", "on"] {
                assert_eq!(after[field], before[field], "{field}");
            }
        }
        let added = admin.create("notes", json!({ "text": "next" })).await;
        assert_eq!(added["id"], 4, "counting goes on behind what was imported");
    })
    .await;
}

#[tokio::test]
async fn keys_decide_whether_items_are_changed_or_made() {
    each_database(async |engine| {
        let (server, _project) = started(engine).await;
        let admin = server.admin();
        admin
            .create("notes", json!([{ "id": 1, "text": "one", "number": 1 }, { "id": 2, "text": "two" }]))
            .await;
        let file = json!([
            { "id": 1, "text": "uno" },
            { "text": "new" },
            { "id": 9, "text": "nine" },
            { "id": 9, "number": 9 },
            { "id": null, "text": "nested", "children": [{ "text": "below" }] },
        ]);
        assert_eq!(
            import(&admin, "notes", "f.json", "application/json", file.to_string().as_bytes()).await.status,
            200
        );
        let rows = admin.get("/items/notes?sort=id&fields=text,number,parent.text").await.data();
        let mut texts: Vec<Value> =
            rows.as_array().expect("rows").iter().map(|row| row["text"].clone()).collect();
        texts.sort_by_key(Value::to_string);
        assert_eq!(json!(texts), json!(["below", "nested", "new", "nine", "two", "uno"]));
        let row = |text: &str| rows.as_array().expect("rows").iter().find(|row| row["text"] == text).cloned();
        assert_eq!(row("uno").expect("changed")["number"], 1, "what a file does not name stays");
        assert_eq!(row("nine").expect("made, then changed")["number"], 9);
        assert_eq!(row("below").expect("made below")["parent"]["text"], "nested");
        let revisions = admin.get("/revisions?filter[collection][_eq]=notes&limit=-1").await.data();
        assert_eq!(revisions.as_array().map(Vec::len), Some(8), "imports are recorded like every write");
    })
    .await;
}

#[tokio::test]
async fn faults_name_their_lines_and_nothing_or_all_the_rest_is_written() {
    each_database(async |engine| {
        let (server, _project) = started(engine).await;
        let admin = server.admin();
        admin.create("notes", json!({ "id": 1, "text": "taken" })).await;
        let lines = |answer: &Answer| -> Vec<(Value, Value)> {
            answer
                .errors()
                .iter()
                .map(|error| (error["extensions"]["line"].clone(), error["extensions"]["code"].clone()))
                .collect()
        };

        let csv = b"text,number\ngood,1\nbad,many\nlarge,100001\nfine,2\n";
        let refused = import(&admin, "notes", "f.csv", "text/csv", csv).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert_eq!(
            lines(&refused),
            [(json!(3), json!("INVALID_PAYLOAD")), (json!(4), json!("FAILED_VALIDATION"))]
        );
        // What only the database knows: found among many good rows, in the second batch.
        let mut many = String::from("text,number\n");
        for number in 2..1200 {
            many.push_str(&if number == 900 {
                "taken,0\n".to_owned()
            } else {
                format!("t{number},{number}\n")
            });
        }
        let refused = import(&admin, "notes", "f.csv", "text/csv", many.as_bytes()).await;
        assert_eq!(lines(&refused), [(json!(900), json!("RECORD_NOT_UNIQUE"))]);
        assert_eq!(
            admin.get("/items/notes?aggregate[count]=*").await.data()[0]["count"],
            "1",
            "nothing was written"
        );

        let done = import(&admin, "notes?mode=skip-bad", "f.csv", "text/csv", many.as_bytes()).await.data();
        assert_eq!((&done["written"], &done["refused"]), (&json!(1197), &json!(1)));
        assert_eq!(done["errors"][0]["extensions"]["line"], 900);
        let done = import(&admin, "notes?mode=skip-bad", "f.csv", "text/csv", csv).await.data();
        assert_eq!((&done["written"], &done["refused"]), (&json!(2), &json!(2)));
        assert_eq!(admin.get("/items/notes?aggregate[count]=*").await.data()[0]["count"], "1200");
    })
    .await;
}

#[tokio::test]
async fn broken_files_and_wrong_requests_are_refused() {
    each_database(async |engine| {
        let (server, _project) = started(engine).await;
        let admin = server.admin();
        for (name, content) in [
            ("f.json", &b"{\"text\":\"x\"}"[..]),
            ("f.json", b"[{\"text\":"),
            ("f.json", b"[1]"),
            ("f.xml", b"<data><data><text>&e;</text></data></data>"),
            ("f.xml", b"<!DOCTYPE d [<!ENTITY e 'x'>]><data/>"),
            ("f.yaml", b"text: x\n"),
            ("f.yaml", b"- &a {text: x}\n- *a\n"),
            ("f.xlsx", b"no archive"),
            ("f.csv", b"text\n\xff\n"),
            ("f.csv", b"text\na,b,c\n"),
        ] {
            let refused = import(&admin, "notes", name, "application/octet-stream", content).await;
            refused.refused(400, "INVALID_PAYLOAD");
        }
        import(&admin, "notes", "f.png", "image/png", b"x").await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
        import(&admin, "notes?mode=some", "f.json", "application/json", b"[]")
            .await
            .refused(400, "INVALID_QUERY");
        import(&admin, "notes", "f.csv", "text/csv", &vec![b'a'; 2 << 20])
            .await
            .refused(413, "LIMIT_EXCEEDED");
        import(&admin, "nothing", "f.json", "application/json", b"[]").await.refused(403, "FORBIDDEN");
        import(&admin, "directus_users", "f.json", "application/json", b"[]").await.refused(403, "FORBIDDEN");
        import(&admin, "site", "f.json", "application/json", b"[]").await.refused(400, "INVALID_PAYLOAD");
        admin.post("/utils/import/notes", json!([])).await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
        assert_eq!(
            import(&admin, "notes", "f.json", "application/json", b"[]").await.status,
            200,
            "nothing to import"
        );

        let policy =
            policy(&admin, "maker", json!([["notes", "create", {}, ["*"]], ["notes", "read", {}, ["*"]]]))
                .await;
        let (_, maker) = user(&admin, "maker", &[&policy]).await;
        import(&maker, "notes", "f.json", "application/json", b"[{\"text\":\"x\"}]")
            .await
            .refused(403, "FORBIDDEN");
        let visitor = server.visitor();
        import(&visitor, "notes", "f.json", "application/json", b"[{\"text\":\"x\"}]")
            .await
            .refused(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn imports_keep_to_the_rights_of_their_sender_and_tell_how_far_they_are() {
    each_database(async |engine| {
        let (server, _project) = started(engine).await;
        let admin = server.admin();
        let rules = json!([
            ["notes", "create", {}, ["text", "number", "id"], { "flag": true }, { "number": { "_lt": 50 } }],
            ["notes", "update", { "number": { "_lt": 10 } }, ["text"]],
            ["notes", "read", {}, ["*"]],
        ]);
        let policy = policy(&admin, "importer", rules).await;
        let (_, importer) = user(&admin, "importer", &[&policy]).await;
        admin.create("notes", json!([{ "id": 1, "text": "low", "number": 1 }, { "id": 2, "text": "high", "number": 20 }])).await;
        let send = async |rows: Value| {
            import(&importer, "notes?mode=skip-bad", "f.json", "application/json", rows.to_string().as_bytes()).await.data()
        };
        let done = send(json!([
            { "id": 1, "text": "lower" },
            { "id": 2, "text": "higher" },
            { "text": "made", "number": 3 },
            { "text": "too much", "number": 60 },
            { "text": "priced", "price": "1.00" },
            { "id": 7, "text": "keyed" , "number": 4 },
        ]))
        .await;
        assert_eq!((&done["written"], &done["refused"]), (&json!(2), &json!(4)), "{done}");
        let texts = admin.get("/items/notes?fields=text,flag&sort=text").await.data();
        assert_eq!(
            texts,
            json!([{ "text": "high", "flag": null }, { "text": "lower", "flag": null }, { "text": "made", "flag": true }]),
        );

        let begun = import(&importer, "notes?background=true", "f.csv", "text/csv", b"text,number\nback,1\nground,2\n").await;
        assert_eq!(begun.status, 202);
        let id = begun.json()["data"]["id"].as_str().expect("an id").to_owned();
        let path = format!("/tablature/transfers/{id}");
        let mut told = Value::Null;
        for _ in 0..100 {
            told = importer.get(&path).await.data();
            if told["state"] != "running" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!((&told["state"], &told["written"], &told["collection"]), (&json!("done"), &json!(2), &json!("notes")));
        assert_eq!(admin.get(&path).await.data()["id"], json!(id));
        assert!(importer.get("/tablature/transfers").await.data().as_array().is_some_and(|all| all.len() == 1));
        server.visitor().get(&path).await.refused(403, "FORBIDDEN");
        let (_, other) = user(&admin, "other", &[&policy]).await;
        other.get(&path).await.refused(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn commands_carry_items_over() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[("notes.yaml", NOTES)]).await;
        project.run(&["apply"]).ok();
        project.write("in.csv", "text,number\na,1\nb,2\n");
        let file = project.collections().join("in.csv").display().to_string();
        assert_eq!(project.run(&["import", "notes", &file]).ok(), "2 written, 0 refused\n");
        project.run(&["import", "notes", &file]).refused(&["Line 2: Value for field \"text\""]);
        let exported = project.run(&["export", "notes", "--query", "fields=text,number&sort=-number"]);
        assert_eq!(exported.ok(), "\"text\",\"number\"\n\"b\",2\n\"a\",1");
        assert_eq!(
            project.run(&["export", "notes", "--format", "json", "--query", "fields=id&limit=1"]).ok(),
            "[\n{\"id\":1}]\n"
        );
        project.run(&["export", "nothing"]).refused(&["nothing"]);
        project.run(&["import", "notes", "no-such-file.csv"]).refused(&["no-such-file.csv"]);
    })
    .await;
}
