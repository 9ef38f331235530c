//! Files in an object store that speaks S3.

use std::path::{Path, PathBuf};
use std::time::Duration;

use image::ImageFormat;
use serde_json::json;

use crate::support::form::{Form, picture, upload};
use crate::support::s3::Store;
use crate::support::server::ServerBuilder;
use crate::support::{Database, Engine, Server, each_database};
use crate::tus;

fn empty() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/empty")
}

fn server(database: &Database, store: &Store) -> ServerBuilder {
    let mut builder = Server::builder(database).collections(&empty()).set("TUS_ENABLED", "true");
    for (name, value) in store.settings() {
        builder = builder.set(name, &value);
    }
    builder
}

async fn settles(store: &Store, count: usize) {
    for _ in 0..500 {
        if store.state().objects.len() == count && store.state().uploads.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let state = store.state();
    panic!("{:?} {:?} {:?}", state.objects.keys(), state.uploads.keys(), state.requests);
}

#[tokio::test]
async fn the_same_as_on_a_disk() {
    each_database(async |engine| {
        let store = Store::start();
        let database = Database::fresh(engine).await;
        let running = server(&database, &store).start().await;
        let admin = running.admin();
        let png = upload(&admin, "pic.png", "image/png", &picture(64, 48, ImageFormat::Png)).await;
        assert_eq!((&png["storage"], &png["width"]), (&json!("cloud"), &json!(64)));
        let kept = format!("a folder/{}", png["filename_disk"].as_str().unwrap());
        assert!(store.state().objects.contains_key(&kept), "{:?}", store.state().objects.keys());
        let path = format!("/assets/{}", png["id"].as_str().unwrap());
        let small = admin.get(&format!("{path}?width=20")).await;
        assert_eq!(image::load_from_memory(&small.bytes).unwrap().width(), 20);
        assert_eq!(admin.get(&format!("{path}?width=20")).await.bytes, small.bytes);
        settles(&store, 2).await;

        // Large enough to go in pieces, and read in parts.
        let content: Vec<u8> = (0..20_u32 << 20).map(|at| (at % 251) as u8).collect();
        let large = upload(&admin, "large.bin", "application/x-large", &content).await;
        assert!(store.state().requests.iter().any(|request| request.contains("partNumber")));
        let large_path = format!("/assets/{}", large["id"].as_str().unwrap());
        assert!(admin.get(&large_path).await.bytes == content);
        let part = admin.request("GET", &large_path).header("range", "bytes=10000000-10000009").send().await;
        assert_eq!((part.status, part.bytes.as_slice()), (206, &content[10_000_000..10_000_010]));

        let form = Form::new().file("b.txt", "text/plain", b"other");
        form.send(&admin, "PATCH", &format!("/files/{}", large["id"].as_str().unwrap())).await.data();
        settles(&store, 3).await;
        admin.delete_with("/files", json!([png["id"], large["id"]])).await.no_content();
        settles(&store, 0).await;

        let place = tus::place(&tus::begin(&admin, 12_000_000, &[("filename", "p.bin")]).await);
        tus::send(&admin, &place, 0, &content[..7_000_000]).await;
        drop(running);
        let running = server(&database, &store).start().await;
        let admin = running.admin();
        let last = tus::send(&admin, &place, 7_000_000, &content[7_000_000..12_000_000]).await;
        let id = last.header("directus-file-id").unwrap_or_else(|| panic!("{last:?}")).to_owned();
        assert!(admin.get(&format!("/assets/{id}")).await.bytes == content[..12_000_000]);
        settles(&store, 1).await;
        assert!(!store.state().requests.iter().any(|request| request.starts_with("refused")));
    })
    .await;
}

#[tokio::test]
async fn a_store_that_fails_is_told() {
    let store = Store::start();
    let database = Database::fresh(Engine::Sqlite).await;
    let running = server(&database, &store).start().await;
    let admin = running.admin();
    let file = upload(&admin, "a.txt", "text/plain", b"a").await;
    store.state().fails_with = Some(403);
    let answer = Form::new().file("a.txt", "text/plain", b"a").send(&admin, "POST", "/files").await;
    let errors = answer.refused(503, "SERVICE_UNAVAILABLE");
    assert!(!errors[0].to_string().contains("127.0.0.1"), "{errors:?}");
    let path = format!("/assets/{}", file["id"].as_str().unwrap());
    admin.get(&path).await.refused(503, "SERVICE_UNAVAILABLE");
    store.state().fails_with = None;
    assert_eq!(admin.get(&path).await.bytes, b"a");
    assert_eq!(admin.get("/files").await.data().as_array().map(Vec::len), Some(1));
}
