//! Items as files: `export=` in every format, nested, empty, of one item, by somebody with few rights.

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::{Client, Database, Project, blog, each_database};

const NOTES: &str = "collection: notes\nfields:\n  id: integer_pk\n  text: string\n  number: integer\n  price: decimal(10,2)\n  \
                     flag: boolean\n  tags: csv\n  data: json\n  parent: m2o(notes)\n  children: o2m(notes.parent)\n";

async fn notes(admin: &Client) {
    let items = json!([
        { "id": 1, "text": "say \"hi\",\nthen", "number": 7, "price": "-1.50", "flag": true, "tags": ["a", "b"], "data": { "n": 1, "o": { "k": "v" } } },
        { "id": 2, "text": "=HYPERLINK(\"x\")", "number": -1, "flag": false, "tags": [], "data": [3], "parent": 1 },
        { "id": 3, "text": "é🚀" },
    ]);
    admin.create("notes", items).await;
}

#[tokio::test]
async fn reads_are_answered_with_files() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[("notes.yaml", NOTES)]).await;
        let server = project.server().start().await;
        let admin = server.admin();
        notes(&admin).await;

        let csv = admin.get("/items/notes?export=csv&fields=id,text,number,price,flag&sort=id").await;
        assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
        let name = csv.header("content-disposition").unwrap_or_default();
        assert!(name.starts_with("attachment; filename=\"notes 20") && name.ends_with(".csv\""), "{name}");
        assert_eq!(
            csv.text(),
            "\"id\",\"text\",\"number\",\"price\",\"flag\"\n1,\"say \"\"hi\"\",\nthen\",7,\"-1.50\",true\n\
             2,\"'=HYPERLINK(\"\"x\"\")\",-1,,false\n3,\"é🚀\",,,",
        );
        let nested = admin.get("/items/notes?export=csv&fields=id,data,tags,parent.text,children.id&sort=id").await;
        assert_eq!(
            nested.text(),
            "\"id\",\"data.n\",\"data.o.k\",\"tags\",\"children\",\"data\",\"parent.text\"\n\
             1,1,\"v\",\"[\"\"a\"\",\"\"b\"\"]\",\"[{\"\"id\"\":2}]\",,\n2,,,\"[]\",\"[]\",\"[3]\",\"say \"\"hi\"\",\nthen\"\n\
             3,,,,\"[]\",,",
        );
        let json = admin.get("/items/notes?export=json&fields=id,parent.id&sort=id").await;
        assert_eq!(json.json(), json!([{ "id": 1, "parent": null }, { "id": 2, "parent": { "id": 1 } }, { "id": 3, "parent": null }]));
        let one = admin.get("/items/notes/2?export=json&fields=id,number").await;
        assert_eq!(one.json(), json!({ "id": 2, "number": -1 }));
        assert_eq!(admin.get("/items/notes/2?export=csv&fields=id,number").await.text(), "\"id\",\"number\"\n2,-1");
        let xml = admin.get("/items/notes?export=xml&fields=id,tags&limit=1&sort=id").await;
        assert_eq!(xml.header("content-type"), Some("text/xml; charset=utf-8"));
        assert_eq!(
            xml.text(),
            "<?xml version='1.0'?>\n<data>\n    <data>\n        <id>1</id>\n        <tags>a</tags>\n        <tags>b</tags>\n    \
             </data>\n</data>",
        );
        let yaml = admin.get("/items/notes?export=yaml&fields=id,flag,data&limit=1&sort=id").await;
        assert_eq!(yaml.text(), "- id: 1\n  flag: true\n  data: {\"n\":1,\"o\":{\"k\":\"v\"}}\n");
        assert!(admin.get("/items/notes?export=xlsx").await.bytes.starts_with(b"PK"));
        let search = json!({ "query": { "export": "csv", "fields": ["id"], "filter": { "id": { "_gt": 1 } }, "sort": ["-id"] } });
        assert_eq!(admin.search("/items/notes", search).await.text(), "\"id\"\n3\n2");
        assert_eq!(admin.get("/items/notes?export=csv&filter[id][_lt]=0").await.text(), "");
        let figures = admin.get("/items/notes?export=csv&aggregate[count]=*").await;
        assert_eq!(figures.text(), "\"count\"\n\"3\"");

        admin.get("/items/notes?export=pdf").await.refused(400, "INVALID_QUERY");
        admin.get("/items/nothing?export=csv").await.refused(403, "FORBIDDEN");
        admin.get("/items/notes/9?export=csv").await.refused(403, "FORBIDDEN");
        admin.get("/items/notes?export=csv&fields=nothing").await.refused(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn files_hold_no_more_than_their_reader_may_see() {
    each_database(async |engine| {
        let (server, _database) = blog::own(engine).await;
        let admin = server.admin();
        blog::seed(&admin).await;
        let rules = json!([["articles", "read", { "status": { "_eq": "published" } }, ["id", "title", "status"]]]);
        let policy = policy(&admin, "exporter", rules).await;
        let (_, reader) = user(&admin, "exporter", &[&policy]).await;
        let published = admin
            .items("articles", json!({ "fields": "id", "limit": -1, "sort": "id", "filter": { "status": { "_eq": "published" } } }))
            .await
            .ids();
        let file = reader.get("/items/articles?export=csv&sort=id").await.text();
        assert!(file.starts_with("\"id\",\"status\",\"title\"\n"), "{file}");
        let ids: Vec<i64> = file.lines().skip(1).filter_map(|line| line.split(',').next()?.parse().ok()).collect();
        assert_eq!(ids, published);
        reader.get("/items/articles?export=csv&fields=views").await.refused(403, "FORBIDDEN");
        reader.get("/items/comments?export=csv").await.refused(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn rows_without_number_come_in_order_and_with_what_belongs_to_them() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[("notes.yaml", NOTES)]).await;
        let server = project.server().start().await;
        let admin = server.admin();
        for first in [1, 1001] {
            let items: Vec<Value> = (first..first + 1000)
                .map(|id| json!({ "id": id, "number": id, "parent": (id > 1).then_some(id / 2) }))
                .collect();
            admin.create("notes", json!(items)).await;
        }
        let rows =
            admin.get("/items/notes?export=json&fields=id,parent.id,children.id&sort=-id").await.json();
        let rows = rows.as_array().expect("a list");
        assert_eq!(rows.len(), 2000, "more than the default limit, more than one piece");
        for (row, id) in rows.iter().zip((1..=2000).rev()) {
            assert_eq!(row["id"], id);
            let parent = if id > 1 { json!({ "id": id / 2 }) } else { Value::Null };
            assert_eq!(row["parent"], parent, "{id}");
            let children = (1..=2000).filter(|child| *child > 1 && child / 2 == id).count();
            assert_eq!(row["children"].as_array().map(Vec::len), Some(children), "{id}");
        }
        assert_eq!(admin.get("/items/notes?export=csv&fields=id&limit=3").await.text(), "\"id\"\n1\n2\n3");
    })
    .await;
}

#[tokio::test]
async fn files_of_the_library_are_made_behind_the_answer() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[("notes.yaml", NOTES)]).await;
        let server = project.server().start().await;
        let admin = server.admin();
        notes(&admin).await;
        let body = json!({ "format": "csv", "query": { "fields": ["id", "number"], "sort": ["id"] }, "file": { "title": "All notes" } });
        admin.post("/utils/export/notes", body).await.no_content();
        let mut file = Value::Null;
        for _ in 0..200 {
            let found = admin.get("/files?filter[title][_eq]=All notes&fields=id,type,filename_download").await.data();
            if let Some(found) = found.get(0) {
                file = found.clone();
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!(file["type"], "text/csv");
        assert!(file["filename_download"].as_str().is_some_and(|name| name.starts_with("notes 20")), "{file}");
        let content = admin.get(&format!("/assets/{}", file["id"].as_str().unwrap_or_default())).await;
        assert_eq!(content.text(), "\"id\",\"number\"\n1,7\n2,-1\n3,");

        admin.post("/utils/export/notes", json!({ "query": {}, "file": {} })).await.refused(400, "INVALID_PAYLOAD");
        admin.post("/utils/export/notes", json!({ "format": "pdf", "query": {}, "file": {} })).await.no_content();
        let last = admin.get("/tablature/transfers").await.data();
        let states: Vec<&Value> = last.as_array().expect("a list").iter().map(|job| &job["state"]).collect();
        assert_eq!(states, [&json!("done"), &json!("failed")]);
        let body = json!({ "format": "csv", "query": {}, "file": {} });
        admin.post("/utils/export/nothing", body.clone()).await.refused(403, "FORBIDDEN");
        server.visitor().post("/utils/export/notes", body).await.refused(403, "FORBIDDEN");
    })
    .await;
}
