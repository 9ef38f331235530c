//! Uploads in pieces: gone on with after a break, a restart and a lie, and in the end a file like any other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::access::{policy, user};
use crate::support::form::{picture, upload};
use crate::support::server::ServerBuilder;
use crate::support::{Answer, Client, Database, Server, each_database};

fn empty() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/empty")
}

fn server(database: &Database) -> ServerBuilder {
    Server::builder(database).collections(&empty()).set("TUS_ENABLED", "true")
}

/// Begins an upload and gives its path.
pub async fn begin(client: &Client, size: usize, metadata: &[(&str, &str)]) -> Answer {
    let metadata: Vec<String> =
        metadata.iter().map(|(name, value)| format!("{name} {}", STANDARD.encode(value))).collect();
    client
        .request("POST", "/files/tus")
        .header("tus-resumable", "1.0.0")
        .header("upload-length", &size.to_string())
        .header("upload-metadata", &metadata.join(","))
        .send()
        .await
}

pub fn place(answer: &Answer) -> String {
    assert_eq!(answer.status, 201, "{answer:?}");
    let location = answer.header("location").expect("a place");
    location[location.find("/files/tus/").expect("below /files/tus")..].to_owned()
}

pub async fn send(client: &Client, place: &str, offset: usize, content: &[u8]) -> Answer {
    client
        .request("PATCH", place)
        .header("tus-resumable", "1.0.0")
        .header("upload-offset", &offset.to_string())
        .body(content, "application/offset+octet-stream")
        .send()
        .await
}

async fn offset(client: &Client, place: &str) -> Option<String> {
    let answer = client.request("HEAD", place).header("tus-resumable", "1.0.0").send().await;
    answer.header("upload-offset").map(str::to_owned)
}

#[tokio::test]
async fn pieces_become_a_file() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let running = server(&database).start().await;
        let admin = running.admin();
        let content: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
        let metadata = [("filename", "Täst_file.bin"), ("filetype", "application/x-test"), ("description", "in pieces")];
        let begun = begin(&admin, content.len(), &metadata).await;
        assert!(begun.header("upload-expires").is_some() && begun.header("tus-resumable") == Some("1.0.0"));
        let place = place(&begun);
        let sent = send(&admin, &place, 0, &content[..1_000_000]).await;
        assert_eq!((sent.status, sent.header("upload-offset")), (204, Some("1000000")), "{sent:?}");
        assert_eq!(admin.get("/files").await.data(), json!([]), "nothing that is half there is an item");
        send(&admin, &place, 5, &content).await.refused(409, "CONFLICT");
        drop(running);

        let running = server(&database).start().await;
        let admin = running.admin();
        assert_eq!(offset(&admin, &place).await.as_deref(), Some("1000000"));
        send(&admin, &place, 1_000_000, &content[1_000_000..2_000_000]).await;
        let last = send(&admin, &place, 2_000_000, &content[2_000_000..]).await;
        assert_eq!((last.status, last.header("upload-offset")), (204, Some("3000000")), "{last:?}");
        let id = last.header("directus-file-id").expect("the file");
        let file = admin.get(&format!("/files/{id}")).await.data();
        let expected = json!({ "filename_download": "Täst_file.bin", "title": "Täst File", "description": "in pieces",
            "filesize": "3000000", "type": "application/x-test", "tus_id": null });
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&file[name], value, "{name}");
        }
        assert!(admin.get(&format!("/assets/{id}")).await.bytes == content);
        assert_eq!(offset(&admin, &place).await, None);
        assert_eq!(std::fs::read_dir(database.dir().join("uploads/tus")).unwrap().count(), 0);

        let png = picture(30, 20, image::ImageFormat::Png);
        let place = self::place(&begin(&admin, png.len(), &[("filename", "p.png")]).await);
        let last = send(&admin, &place, 0, &png).await;
        let file = admin.get(&format!("/files/{}", last.header("directus-file-id").unwrap())).await.data();
        assert_eq!((&file["type"], &file["width"]), (&json!("image/png"), &json!(30)));
        let nothing = begin(&admin, 0, &[("filename", "empty.txt")]).await;
        assert_eq!(nothing.status, 201, "{nothing:?}");
        assert!(nothing.header("directus-file-id").is_some());
    })
    .await;
}

#[tokio::test]
async fn only_who_may() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let running = server(&database)
            .set("FILES_MAX_UPLOAD_SIZE", "1mb")
            .set("FILES_MIME_TYPE_ALLOW_LIST", "text/plain")
            .start()
            .await;
        let admin = running.admin();
        let rights = json!([["directus_files", "create", {}, ["*"]], ["directus_files", "read", {}, ["*"]]]);
        let makers = policy(&admin, "makers", rights).await;
        let (_, maker) = user(&admin, "maker", &[&makers]).await;
        let (_, other) = user(&admin, "other", &[&makers]).await;
        let refused = begin(&running.visitor(), 5, &[]).await;
        refused.refused(403, "FORBIDDEN");
        assert_eq!(refused.header("tus-resumable"), Some("1.0.0"), "errors say what is spoken here, too");
        assert_eq!(running.visitor().get("/files").await.header("tus-resumable"), None);
        begin(&maker, 2 << 20, &[]).await.refused(413, "CONTENT_TOO_LARGE");
        let place = place(&begin(&maker, 5, &[("filename", "a.txt")]).await);
        send(&other, &place, 0, b"hello").await.refused(403, "FORBIDDEN");
        send(&running.visitor(), &place, 0, b"hello").await.refused(403, "FORBIDDEN");
        assert_eq!(offset(&other, &place).await, None);
        let removed = other.request("DELETE", &place).header("tus-resumable", "1.0.0").send().await;
        removed.refused(403, "FORBIDDEN");
        send(&maker, &place, 0, b"hello and more").await.refused(400, "INVALID_PAYLOAD");
        let last = send(&maker, &place, 0, b"hello").await;
        assert_eq!(last.status, 204, "{last:?}");

        // Another's file is not replaced by its name, and a type that is not taken is not taken here either.
        let theirs = upload(&admin, "b.txt", "text/plain", b"theirs").await;
        let id = theirs["id"].as_str().unwrap();
        begin(&maker, 4, &[("id", id)]).await.refused(403, "FORBIDDEN");
        assert_eq!(admin.get(&format!("/assets/{id}")).await.bytes, b"theirs");
        let mine = self::place(&begin(&admin, 4, &[("id", id), ("filename", "c.txt")]).await);
        let last = send(&admin, &mine, 0, b"mine").await;
        assert_eq!(last.header("directus-file-id"), Some(id));
        assert_eq!(admin.get(&format!("/assets/{id}")).await.bytes, b"mine");
        let html = self::place(&begin(&maker, 14, &[("filetype", "text/plain")]).await);
        send(&maker, &html, 0, b"<html><p></p>\n").await.refused(400, "INVALID_PAYLOAD");
        begin(&maker, 4, &[("filename_disk", "x")]).await.refused(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn the_protocol() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let running = server(&database).set("TUS_UPLOAD_EXPIRATION", "2s").start().await;
        let admin = running.admin();
        let options = running.visitor().request("OPTIONS", "/files/tus").send().await;
        assert_eq!((options.status, options.header("tus-version")), (204, Some("1.0.0")));
        assert_eq!(options.header("tus-extension"), Some("creation,termination,expiration"));
        assert_eq!(options.header("tus-max-size"), Some("104857600"));
        let old = admin
            .request("POST", "/files/tus")
            .header("tus-resumable", "0.2.2")
            .header("upload-length", "5")
            .send()
            .await;
        assert_eq!((old.status, old.header("tus-version")), (412, Some("1.0.0")));
        let place = place(&begin(&admin, 5, &[("filename", "a.txt")]).await);
        let json = admin
            .request("PATCH", &place)
            .header("tus-resumable", "1.0.0")
            .header("upload-offset", "0")
            .json(&json!({}));
        json.send().await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
        let head = admin.request("HEAD", &place).header("tus-resumable", "1.0.0").send().await;
        assert_eq!(
            (head.header("upload-length"), head.header("cache-control")),
            (Some("5"), Some("no-store"))
        );
        assert_eq!(head.header("upload-metadata"), Some("filename YS50eHQ="));
        for wrong in ["", "-1", "1e3", "99999999999999999999999"] {
            let request = admin
                .request("POST", "/files/tus")
                .header("tus-resumable", "1.0.0")
                .header("upload-length", wrong);
            request.send().await.refused(400, "INVALID_PAYLOAD");
        }
        let garbled =
            admin.request("POST", "/files/tus").header("tus-resumable", "1.0.0").header("upload-length", "5");
        garbled.header("upload-metadata", "filename !!!").send().await.refused(400, "INVALID_PAYLOAD");
        for nobodys in
            ["/files/tus/zzz", "/files/tus/..%2f..%2fetc", "/files/tus/c0ffee00-0000-4000-8000-00000000dead"]
        {
            send(&admin, nobodys, 0, b"x").await.refused(403, "FORBIDDEN");
        }
        let gone = admin.request("DELETE", &place).header("tus-resumable", "1.0.0").send().await;
        assert_eq!(gone.status, 204);
        assert_eq!(offset(&admin, &place).await, None);
        let late = self::place(&begin(&admin, 5, &[]).await);
        tokio::time::sleep(Duration::from_millis(3500)).await;
        send(&admin, &late, 0, b"hello").await.refused(403, "FORBIDDEN");
        let both = self::place(&begin(&admin, 400_000, &[]).await);
        let content = vec![1; 400_000];
        let (one, two) = tokio::join!(send(&admin, &both, 0, &content), send(&admin, &both, 0, &content));
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert!(statuses == [204, 409] || statuses == [204, 403], "{statuses:?}");
        assert_eq!(admin.get("/files?aggregate[count]=id").await.data()[0]["count"]["id"], "1");
    })
    .await;
    let database = Database::fresh(crate::support::Engine::Sqlite).await;
    let running = Server::start(&database, &empty()).await;
    begin(&running.admin(), 5, &[]).await.refused(404, "ROUTE_NOT_FOUND");
}
