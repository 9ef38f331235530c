//! The library of files: what comes in, what is refused, what is left on the disk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use image::ImageFormat;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::access::{policy, user};
use crate::support::form::{Form, picture, upload};
use crate::support::server::ADMIN_TOKEN;
use crate::support::{Client, Database, Project, Server, each_database};

const PAGES: &str = "collection: pages\nfields:\n  id: uuid_pk\n  title: string\n  cover: image\n";

/// Names of what lies in the storage, folders of what was made left out.
pub fn stored(server_dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(server_dir.join("uploads"))
        .map(|entries| {
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        })
        .unwrap_or_default();
    names.retain(|name| name != "transforms" && name != "tus" && name != "unsettled");
    names.sort();
    names
}

/// Waits until the storage holds so many objects.
pub async fn settles(server_dir: &Path, count: usize) {
    for _ in 0..500 {
        if stored(server_dir).len() == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the storage holds {:?}, not {count}", stored(server_dir));
}

fn empty() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/empty")
}

#[tokio::test]
async fn what_is_known_of_a_file() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let server = Server::start(&database, &empty()).await;
        let admin = server.admin();
        let text = upload(&admin, "my_first-note.txt", "text/plain", b"hello").await;
        let expected = json!({
            "storage": "local", "title": "My First Note", "filename_download": "my_first-note.txt",
            "type": "text/plain", "filesize": "5", "width": null, "height": null, "metadata": null, "folder": null,
            "tags": null, "description": null, "tus_id": null, "tus_data": null, "charset": null, "duration": null,
        });
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&text[name], value, "{name} of {text}");
        }
        assert!(text["uploaded_by"].is_string() && text["uploaded_on"].is_string(), "{text}");
        assert_eq!(stored(database.dir()), [text["filename_disk"].as_str().unwrap()]);

        let folder = admin.post("/folders", json!({ "name": "Pictures" })).await.data()["id"].clone();
        let form = Form::new()
            .field("folder", folder.as_str().unwrap())
            .field("tags", "[\"a\",\"b\"]")
            .field("description", "null")
            .field("focal_point_x", "12")
            .file("pic.png", "image/png", &picture(30, 20, ImageFormat::Png))
            .field("title", "comes too late");
        let png = form.send(&admin, "POST", "/files?fields=*,folder.name").await.data();
        assert_eq!((&png["width"], &png["height"], &png["metadata"]), (&json!(30), &json!(20), &json!({})));
        assert_eq!((&png["folder"]["name"], &png["tags"]), (&json!("Pictures"), &json!(["a", "b"])));
        assert_eq!((&png["title"], &png["focal_point_x"]), (&json!("Pic"), &json!(12)));

        let form = Form::new()
            .field("title", "One")
            .file("one.txt", "text/plain", b"1")
            .file("two.txt", "text/plain", b"22");
        let both = form.send(&admin, "POST", "/files?fields=title,filesize").await.data();
        assert_eq!(both, json!([{ "title": "One", "filesize": "1" }, { "title": "Two", "filesize": "2" }]));

        let found = admin.read("/files", json!({ "filter": { "folder": { "name": { "_eq": "Pictures" } } }, "fields": "title" }));
        assert_eq!(found.await.data(), json!([{ "title": "Pic" }]));
        admin.patch("/settings", json!({ "storage_default_folder": folder })).await.data();
        let homeless = upload(&admin, "a.txt", "text/plain", b"a").await;
        assert_eq!(homeless["folder"], folder);

        // A folder that goes leaves its files; one with folders below stays.
        let inner = admin.post("/folders", json!({ "name": "Inner", "parent": folder })).await.data();
        let outer_path = format!("/folders/{}", folder.as_str().unwrap());
        admin.delete(&outer_path).await.refused(400, "INVALID_FOREIGN_KEY");
        admin.delete(&format!("/folders/{}", inner["id"].as_str().unwrap())).await.no_content();
        admin.delete(&outer_path).await.no_content();
        let left = admin.get(&format!("/files/{}", homeless["id"].as_str().unwrap())).await.data();
        assert_eq!(left["folder"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn content_is_replaced_and_removed() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let server = Server::start(&database, &empty()).await;
        let admin = server.admin();
        let file = upload(&admin, "one.txt", "text/plain", b"one").await;
        let path = format!("/files/{}", file["id"].as_str().unwrap());
        let form = Form::new().field("description", "new").file(
            "two.png",
            "image/png",
            &picture(8, 6, ImageFormat::Png),
        );
        let replaced = form.send(&admin, "PATCH", &path).await.data();
        assert_eq!((&replaced["title"], &replaced["description"]), (&json!("One"), &json!("new")));
        assert_eq!(
            (&replaced["filename_download"], &replaced["type"]),
            (&json!("two.png"), &json!("image/png"))
        );
        assert_eq!((&replaced["width"], &replaced["height"]), (&json!(8), &json!(6)));
        assert_ne!(replaced["filename_disk"], file["filename_disk"]);
        settles(database.dir(), 1).await;
        assert_eq!(stored(database.dir()), [replaced["filename_disk"].as_str().unwrap()]);

        let asset = format!("/assets/{}", file["id"].as_str().unwrap());
        assert_eq!(admin.get(&format!("{asset}?width=4")).await.status, 200);
        let made =
            database.dir().join("uploads/transforms").join(replaced["filename_disk"].as_str().unwrap());
        assert_eq!(std::fs::read_dir(&made).unwrap().count(), 1);
        admin.delete(&path).await.no_content();
        settles(database.dir(), 0).await;
        for _ in 0..200 {
            if !made.exists() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(!made.exists());
        admin.get(&asset).await.refused(403, "FORBIDDEN");

        let form = Form::new().file("a", "text/plain", b"a").file("b", "text/plain", b"b");
        let ids = form.send(&admin, "POST", "/files").await.column("id");
        admin.delete_with("/files", json!(ids)).await.no_content();
        settles(database.dir(), 0).await;
    })
    .await;
}

#[tokio::test]
async fn replaces_at_the_same_time_leave_one_content() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let server = Server::start(&database, &empty()).await;
        let admin = server.admin();
        let file = upload(&admin, "one.txt", "text/plain", b"one").await;
        let id = file["id"].as_str().unwrap();
        let writers = (1..=8).map(|number| {
            let (admin, path) = (admin.clone(), format!("/files/{id}"));
            tokio::spawn(async move {
                let content = "x".repeat(number * 1000);
                let form = Form::new().file("two.txt", "text/plain", content.as_bytes());
                form.send(&admin, "PATCH", &path).await.data();
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        settles(database.dir(), 1).await;
        let file = admin.get(&format!("/files/{id}")).await.data();
        let content = admin.get(&format!("/assets/{id}")).await;
        assert_eq!(content.bytes.len().to_string(), file["filesize"].as_str().unwrap());
    })
    .await;
}

#[tokio::test]
async fn what_is_refused_leaves_nothing() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let server = Server::builder(&database)
            .collections(&empty())
            .set("FILES_MAX_UPLOAD_SIZE", "100kb")
            .set("FILES_MIME_TYPE_ALLOW_LIST", "image/*,text/plain")
            .start()
            .await;
        let admin = server.admin();
        let large = Form::new().file("ok.txt", "text/plain", b"ok").file(
            "large.txt",
            "text/plain",
            &vec![b'x'; 200_000],
        );
        let errors = large.send(&admin, "POST", "/files").await.refused(413, "CONTENT_TOO_LARGE");
        assert_eq!(errors[0]["extensions"]["limit"], "FILES_MAX_UPLOAD_SIZE");
        let html = Form::new().file("pic.png", "image/png", b"<html><script>alert(1)</script></html>");
        html.send(&admin, "POST", "/files").await.refused(400, "INVALID_PAYLOAD");
        let none = Form::new().field("title", "none");
        none.send(&admin, "POST", "/files").await.refused(400, "INVALID_PAYLOAD");
        let wrong = Form::new().field("folder", "no key").file("a.txt", "text/plain", b"a");
        wrong.send(&admin, "POST", "/files").await.refused_with(400);
        let nowhere = Form::new().field("storage", "../../etc").file("a.txt", "text/plain", b"a");
        nowhere.send(&admin, "POST", "/files").await.refused(400, "INVALID_PAYLOAD");
        for (body, content_type) in [
            (b"nonsense".to_vec(), "multipart/form-data; boundary=x"),
            (
                b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nhalf".to_vec(),
                "multipart/form-data; boundary=x",
            ),
            (b"--x\r\n\r\n".to_vec(), "multipart/form-data"),
            (
                b"--x\r\nContent-Type: text/plain\r\n\r\na\r\n--x--\r\n".to_vec(),
                "multipart/form-data; boundary=x",
            ),
        ] {
            let answer = admin.request("POST", "/files").body(body, content_type).send().await;
            answer.refused(400, "INVALID_PAYLOAD");
        }
        let mut many = Form::new();
        for number in 0..150 {
            many = many.field(&format!("f{number}"), "x");
        }
        many.file("a.txt", "text/plain", b"a")
            .send(&admin, "POST", "/files")
            .await
            .refused(400, "INVALID_PAYLOAD");
        settles(database.dir(), 0).await;
        assert_eq!(admin.get("/files").await.data(), json!([]));
    })
    .await;
}

#[tokio::test]
async fn names_stay_names() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let server = Server::start(&database, &empty()).await;
        let admin = server.admin();
        let long = format!("{}.txt", "n".repeat(5000));
        for (name, expected) in [
            ("../../../etc/passwd", Some("passwd")),
            ("C:\\\\windows\\\\a.txt", Some("a.txt")),
            ("..", None),
            ("été ☂ 日本.txt", Some("été ☂ 日本.txt")),
            (long.as_str(), None),
            ("a;b='c'.txt", Some("a;b='c'.txt")),
        ] {
            let file = upload(&admin, name, "text/plain", b"x").await;
            let kept = file["filename_download"].as_str().unwrap();
            if let Some(expected) = expected {
                assert_eq!(kept, expected, "{name}");
            }
            assert!(kept.chars().count() <= 255 && !kept.contains(['/', '\\']), "{kept}");
            let asset = admin.get(&format!("/assets/{}", file["id"].as_str().unwrap())).await;
            assert_eq!(asset.status, 200, "{name}: {asset:?}");
            let disposition = asset.headers["content-disposition"].to_str().expect("plain letters");
            assert!(disposition.starts_with("inline; filename=\""), "{disposition}");
        }
        assert!(stored(database.dir()).len() == 6 && !database.dir().join("passwd").exists());
        for name in stored(database.dir()) {
            let stem = name.split('.').next().unwrap();
            assert!(uuid::Uuid::parse_str(stem).is_ok(), "{name}");
        }
        let form = Form::new()
            .part("Content-Disposition: form-data; name=\"file\"; filename*=UTF-8''%C3%BC%0D%0Ax.txt", b"x");
        let file = form.send(&admin, "POST", "/files").await.data();
        assert_eq!(file["filename_download"], "üx.txt");
    })
    .await;
}

#[tokio::test]
async fn rights() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[("pages.yaml", PAGES)]).await;
        let server = project.server().start().await;
        let admin = server.admin();
        let theirs = upload(&admin, "secret.txt", "text/plain", b"secret").await;
        let name = theirs["filename_disk"].clone();
        let rights = policy(
            &admin,
            "editors",
            json!([
                ["directus_files", "create", {}, ["title", "folder", "filename_download"], { "description": "preset" }],
                ["directus_files", "read", { "uploaded_by": { "_eq": "$CURRENT_USER" } }, ["*"]],
                ["directus_files", "update", { "uploaded_by": { "_eq": "$CURRENT_USER" } }, ["*"]],
                ["pages", "create", {}, ["*"]], ["pages", "read", {}, ["*"]], ["pages", "update", {}, ["*"]]
            ]),
        );
        let (_, editor) = user(&admin, "editor", &[&rights.await]).await;
        let visitor = server.visitor();
        let form = || Form::new().file("a.txt", "text/plain", b"a");
        form().send(&visitor, "POST", "/files").await.refused(403, "FORBIDDEN");
        let own = form().send(&editor, "POST", "/files").await.data();
        assert_eq!((&own["description"], &own["title"]), (&json!("preset"), &json!("A")));
        form().send(&editor, "PATCH", &format!("/files/{}", own["id"].as_str().unwrap())).await.data();
        let other = format!("/files/{}", theirs["id"].as_str().unwrap());
        form().send(&editor, "PATCH", &other).await.refused(403, "FORBIDDEN");
        Form::new().field("description", "x").file("a.txt", "text/plain", b"a").send(&editor, "POST", "/files").await.refused(403, "FORBIDDEN");
        let asset = format!("/assets/{}", theirs["id"].as_str().unwrap());
        editor.get(&asset).await.refused(403, "FORBIDDEN");
        visitor.get(&asset).await.refused(403, "FORBIDDEN");

        // Nobody points a file at the content of another, on whatever way.
        let point = json!({ "filename_disk": name });
        let own_path = format!("/files/{}", own["id"].as_str().unwrap());
        editor.patch(&own_path, point.clone()).await.refused(403, "FORBIDDEN");
        editor.patch(&own_path, json!({ "storage": "other" })).await.refused(403, "FORBIDDEN");
        let nested = json!({ "cover": { "id": own["id"], "filename_disk": name } });
        editor.post("/items/pages", nested).await.refused(403, "FORBIDDEN");
        let new = json!({ "storage": "local", "filename_download": "x", "filename_disk": name });
        editor.post("/files", new).await.refused(403, "FORBIDDEN");
        for wrong in ["../../etc/passwd", "/etc/passwd", "..", "a/b", ""] {
            let answer = admin.patch(&own_path, json!({ "filename_disk": wrong })).await;
            answer.refused(400, "INVALID_PAYLOAD");
        }
        let content = editor.get(&format!("/assets/{}", own["id"].as_str().unwrap())).await;
        assert_eq!(content.bytes, b"a");
        settles(project.database.dir(), 2).await;

        // The logo of the project is shown to who is not signed in.
        admin.patch("/settings", json!({ "project_logo": theirs["id"] })).await.data();
        assert_eq!(visitor.get(&asset).await.bytes, b"secret");
        admin.patch("/settings", json!({ "project_logo": null })).await.data();
        visitor.get(&asset).await.refused(403, "FORBIDDEN");

        admin.delete(&own_path).await.no_content();
        settles(project.database.dir(), 1).await;
    })
    .await;
}

#[tokio::test]
async fn a_file_without_content_is_an_item() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let server = Server::start(&database, &empty()).await;
        let admin = server.admin();
        let file = admin
            .post("/files", json!({ "title": "t", "filename_download": "a.txt", "type": "text/plain" }))
            .await
            .data();
        assert_eq!((&file["storage"], &file["filename_disk"]), (&json!("local"), &Value::Null));
        admin.get(&format!("/assets/{}", file["id"].as_str().unwrap())).await.refused(403, "FORBIDDEN");
        admin.post("/files", json!({ "title": "t" })).await.refused(400, "FAILED_VALIDATION");
        admin.post("/files", json!([1])).await.refused(400, "INVALID_PAYLOAD");
        let both = admin.post(
            "/files?fields=title",
            json!([{ "title": "a", "filename_download": "a" }, { "title": "b", "filename_download": "b" }]),
        );
        assert_eq!(both.await.data(), json!([{ "title": "a" }, { "title": "b" }]));
    })
    .await;
}

#[tokio::test]
async fn files_from_elsewhere() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let port = elsewhere().await;
        let allowing = Server::builder(&database)
            .collections(&empty())
            .set("OUTGOING_ALLOW", "127.0.0.1")
            .set("FILES_MAX_IMPORT_SIZE", "100kb")
            .start()
            .await;
        let admin = allowing.admin();
        let import = |path: &str| {
            admin.post(
                "/files/import",
                json!({ "url": format!("http://127.0.0.1:{port}{path}"), "data": { "title": "T" } }),
            )
        };
        let file = import("/some%20pic.png").await.data();
        assert_eq!(
            (&file["title"], &file["width"], &file["filename_download"]),
            (&json!("T"), &json!(12), &json!("some pic.png"))
        );
        import("/missing").await.refused(503, "SERVICE_UNAVAILABLE");
        import("/large").await.refused(413, "CONTENT_TOO_LARGE");
        import("/endless").await.refused(413, "CONTENT_TOO_LARGE");
        admin
            .post("/files/import", json!({ "url": "file:///etc/passwd" }))
            .await
            .refused(400, "INVALID_PAYLOAD");
        admin.post("/files/import", json!({})).await.refused(400, "INVALID_PAYLOAD");
        admin
            .post("/files/import", json!({ "url": "http://127.0.0.1:9/x" }))
            .await
            .refused(503, "SERVICE_UNAVAILABLE");
        allowing
            .visitor()
            .post("/files/import", json!({ "url": "http://127.0.0.1:9/x" }))
            .await
            .refused(403, "FORBIDDEN");
        settles(database.dir(), 1).await;
        drop(allowing);
        let server = Server::start(&database, &empty()).await;
        let url = format!("http://localhost:{port}/some.png");
        let errors = server
            .admin()
            .post("/files/import", json!({ "url": url }))
            .await
            .refused(503, "SERVICE_UNAVAILABLE");
        assert!(!errors[0].to_string().contains(&port.to_string()), "{errors:?}");
    })
    .await;
}

/// A server with a picture, something too large, and something that never ends.
async fn elsewhere() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let read = stream.read(&mut request).await.unwrap_or_default();
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                let png = picture(12, 7, ImageFormat::Png);
                let head = |status: &str, length: usize| {
                    format!(
                        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: image/png\r\nContent-Length: {length}\r\n\r\n"
                    )
                };
                if request.starts_with("GET /some") {
                    stream.write_all(head("200 OK", png.len()).as_bytes()).await.ok();
                    stream.write_all(&png).await.ok();
                } else if request.starts_with("GET /large") {
                    stream.write_all(head("200 OK", 1 << 30).as_bytes()).await.ok();
                } else if request.starts_with("GET /endless") {
                    stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await.ok();
                    while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
                } else {
                    stream.write_all(head("404 Not Found", 0).as_bytes()).await.ok();
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn an_upload_that_is_cut_off_is_no_file() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let mut server = Server::start(&database, &empty()).await;
        let half = half_an_upload(&server.admin()).await;
        drop(half);
        settles(database.dir(), 0).await;
        let half = half_an_upload(&server.admin()).await;
        server.kill();
        drop(half);
        let server = Server::start(&database, &empty()).await;
        assert_eq!(server.admin().get("/files").await.data(), json!([]));
        // What was being written has no name of its own yet, and is no file to anybody.
        assert!(stored(database.dir()).iter().all(|name| name.contains('#')), "{:?}", stored(database.dir()));
        let file = upload(&server.admin(), "a.txt", "text/plain", b"a").await;
        assert_eq!(file["filesize"], "1");
    })
    .await;
}

/// Sends three of ten megabytes, and waits until some of them are on the disk.
async fn half_an_upload(admin: &Client) -> TcpStream {
    let (body, content_type) =
        Form::new().file("large.bin", "application/octet-stream", &vec![7; 10 << 20]).finish();
    let mut stream = TcpStream::connect(admin.address()).await.unwrap();
    let head = format!(
        "POST /files HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body[..3 << 20]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    stream
}

#[tokio::test]
async fn a_disk_that_is_away_is_told() {
    let database = Database::fresh(crate::support::Engine::Sqlite).await;
    std::fs::write(database.dir().join("occupied"), "a file").unwrap();
    let server = Server::builder(&database)
        .collections(&empty())
        .set("STORAGE_LOCAL_ROOT", database.dir().join("occupied/uploads").to_str().unwrap())
        .start()
        .await;
    let admin = server.admin();
    let answer = Form::new().file("a.txt", "text/plain", b"a").send(&admin, "POST", "/files").await;
    let errors = answer.refused(503, "SERVICE_UNAVAILABLE");
    assert_eq!(errors[0]["extensions"]["service"], "storage");
    assert!(!errors[0].to_string().contains("occupied"), "{errors:?}");
    assert_eq!(answer.header("retry-after"), Some("30"));
    assert_eq!(admin.get("/files").await.data(), json!([]));
    std::fs::remove_file(database.dir().join("occupied")).unwrap();
    upload(&admin, "a.txt", "text/plain", b"a").await;
}

/// Content with a mark of this age, as a process leaves it behind that ends before there is an item.
fn broken_off(uploads: &Path, name: &str, age: Duration) {
    std::fs::create_dir_all(uploads.join("unsettled")).unwrap();
    std::fs::write(uploads.join(name), b"half way").unwrap();
    mark(uploads, name, age);
}

fn mark(uploads: &Path, name: &str, age: Duration) {
    let mark = std::fs::File::create(uploads.join("unsettled").join(name)).unwrap();
    mark.set_modified(std::time::SystemTime::now() - age).unwrap();
}

#[tokio::test]
async fn uploads_that_broke_off_are_swept_up() {
    each_database(async |engine| {
        let project = Project::new(Database::fresh(engine).await, &[]).await;
        let mut server = project.server().start().await;
        let kept = upload(&server.admin(), "a.txt", "text/plain", b"hello").await;
        let kept = kept["filename_disk"].as_str().unwrap().to_owned();
        server.terminate();
        server.ended(Duration::from_secs(10)).await;
        let uploads = project.database.dir().join("uploads");
        let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(86_400));
        let (old, young) =
            ("01a1fda9-0000-7000-8000-000000000001.txt", "01a1fda9-0000-7000-8000-000000000002.txt");
        broken_off(&uploads, old, day + hour);
        broken_off(&uploads, young, day - hour);
        mark(&uploads, &kept, day + hour);
        // What somebody else put there is none of our business.
        std::fs::write(uploads.join("01a1fda9-0000-7000-8000-000000000003.txt"), b"x").unwrap();
        project.run(&["doctor"]).says(&["note     storage, local: 2 upload(s) broke off"]);
        let server = project.server().start().await;
        settles(project.database.dir(), 3).await;
        assert!(!uploads.join(old).exists() && uploads.join(young).exists() && uploads.join(&kept).exists());
        let marks = || -> Vec<_> {
            let marks = std::fs::read_dir(uploads.join("unsettled")).unwrap().flatten();
            marks.map(|mark| mark.file_name()).collect()
        };
        for _ in 0..500 {
            if marks().len() == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(marks(), [young]);
        let all = server.admin().get("/files").await;
        let asset = format!("/assets/{}", all.data()[0]["id"].as_str().unwrap());
        assert_eq!(server.admin().get(&asset).await.text(), "hello");
    })
    .await;
}
