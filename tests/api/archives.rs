//! Several files as one archive.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};

use serde_json::{Value, json};

use crate::support::access::{policy, user};
use crate::support::form::Form;
use crate::support::{Answer, Client, Database, Project, each_database};

/// A file in a folder; gives its key.
async fn file(admin: &Client, name: &str, folder: Option<&Value>, content: &[u8]) -> Value {
    let form = match folder {
        Some(folder) => Form::new().field("folder", folder.as_str().unwrap()),
        None => Form::new(),
    };
    form.file(name, "text/plain", content).send(admin, "POST", "/files").await.data()["id"].clone()
}

async fn folder(admin: &Client, name: &str, parent: Option<&Value>) -> Value {
    admin.post("/folders", json!({ "name": name, "parent": parent })).await.data()["id"].clone()
}

/// Names in an archive with what they hold; folders hold nothing.
fn unpacked(answer: &Answer) -> BTreeMap<String, String> {
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/zip")), "{answer:?}");
    let mut archive = zip::ZipArchive::new(Cursor::new(&answer.bytes)).expect("an archive");
    let mut found = BTreeMap::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).expect("an entry");
        let name = entry.name().expect("a name").into_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("its content");
        found.insert(name, text);
    }
    found
}

async fn archive(who: &Client, ids: &[&Value]) -> Answer {
    who.post("/assets/files", json!({ "ids": ids })).await
}

#[tokio::test]
async fn files_and_folders_as_archives() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[]).await;
        // Fewer at a time than there are.
        let server = project.server().set("QUERY_LIMIT_MAX", "2").start().await;
        let admin = server.admin();
        let top = folder(&admin, "top", None).await;
        let inside = folder(&admin, "in/side", Some(&top)).await;
        folder(&admin, "empty", Some(&top)).await;
        let a = file(&admin, "a.txt", Some(&top), b"one").await;
        let b = file(&admin, "a.txt", Some(&top), b"two").await;
        let c = file(&admin, "c.txt", Some(&inside), "three ".repeat(50_000).as_bytes()).await;
        let elsewhere = file(&admin, "d.txt", None, b"four").await;

        let answer = admin.post(&format!("/assets/folder/{}", top.as_str().unwrap()), Value::Null).await;
        let name = answer.header("content-disposition").expect("a name").to_owned();
        assert!(name.starts_with("attachment; filename=\"top-") && name.ends_with(".zip\""), "{name}");
        let found = unpacked(&answer);
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            ["top/", "top/a (1).txt", "top/a.txt", "top/empty/", "top/in_side/", "top/in_side/c.txt"]
        );
        assert_eq!(found["top/in_side/c.txt"].len(), 300_000);
        assert!(answer.bytes.len() < 100_000, "what can be packed is: {}", answer.bytes.len());
        let both = [found["top/a.txt"].as_str(), found["top/a (1).txt"].as_str()];
        assert!(both.contains(&"one") && both.contains(&"two"), "{both:?}");

        let found = unpacked(&archive(&admin, &[&a, &b, &elsewhere]).await);
        assert_eq!(found.len(), 3);
        assert_eq!(found["d.txt"], "four");
        let nobody = json!("00000000-0000-4000-8000-000000000000");
        assert_eq!(unpacked(&archive(&admin, &[&c, &nobody]).await).len(), 1);
        archive(&admin, &[&nobody]).await.refused(400, "INVALID_PAYLOAD");
        archive(&admin, &[]).await.refused(400, "INVALID_PAYLOAD");
        archive(&admin, &[&json!("../x")]).await.refused(400, "INVALID_PAYLOAD");
        admin.post("/assets/files", json!({ "ids": "all" })).await.refused(400, "INVALID_PAYLOAD");
        let unknown = admin.post("/assets/folder/00000000-0000-4000-8000-000000000000", Value::Null).await;
        unknown.refused(403, "FORBIDDEN");
        let hollow = folder(&admin, "hollow", None).await;
        let answer = admin.post(&format!("/assets/folder/{}", hollow.as_str().unwrap()), Value::Null).await;
        answer.refused(400, "INVALID_PAYLOAD");

        // Content that is gone is left out, and the archive is whole.
        let row = admin.get(&format!("/files/{}", a.as_str().unwrap())).await.data();
        let path = project.database.dir().join("uploads").join(row["filename_disk"].as_str().unwrap());
        std::fs::remove_file(path).unwrap();
        let found = unpacked(&archive(&admin, &[&a, &b]).await);
        assert_eq!(found.values().collect::<Vec<_>>(), ["two"]);
    })
    .await;
}

#[tokio::test]
async fn archives_hold_what_may_be_read() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[]).await;
        let server = project.server().start().await;
        let admin = server.admin();
        let top = folder(&admin, "top", None).await;
        let hidden = folder(&admin, "hidden", Some(&top)).await;
        let a = file(&admin, "a.txt", Some(&top), b"one").await;
        let b = file(&admin, "b.txt", Some(&top), b"two").await;
        file(&admin, "c.txt", Some(&hidden), b"three").await;
        let rights = json!([
            ["directus_files", "read", { "title": { "_neq": "B" } }, ["id", "folder"]],
            ["directus_folders", "read", { "name": { "_neq": "hidden" } }, ["*"]],
        ]);
        let some = policy(&admin, "some", rights).await;
        let (_, reader) = user(&admin, "reader", &[&some]).await;
        let folder = format!("/assets/folder/{}", top.as_str().unwrap());
        let found = unpacked(&reader.post(&folder, Value::Null).await);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["top/", "top/a.txt"]);
        assert_eq!(unpacked(&archive(&reader, &[&a, &b]).await).keys().collect::<Vec<_>>(), ["a.txt"]);
        archive(&reader, &[&b]).await.refused(400, "INVALID_PAYLOAD");
        let below = format!("/assets/folder/{}", hidden.as_str().unwrap());
        reader.post(&below, Value::Null).await.refused(403, "FORBIDDEN");
        let (_, nobody) = user(&admin, "nobody", &[]).await;
        for who in [&nobody, &server.visitor()] {
            archive(who, &[&a]).await.refused(403, "FORBIDDEN");
            who.post(&folder, Value::Null).await.refused(403, "FORBIDDEN");
        }
    })
    .await;
}
