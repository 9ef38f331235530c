//! What is served of files: caching, parts, names, images made of images, and what must not run or grow.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use image::{GenericImageView, ImageFormat};
use serde_json::{Value, json};

use crate::support::access::policy;
use crate::support::form::{Form, picture, upload};
use crate::support::{Answer, Client, Database, Engine, Server, each_database};

fn empty() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/empty")
}

async fn start(engine: Engine) -> (Server, Database, Client) {
    let database = Database::fresh(engine).await;
    let server = Server::start(&database, &empty()).await;
    let admin = server.admin();
    (server, database, admin)
}

fn path(file: &Value) -> String {
    format!("/assets/{}", file["id"].as_str().unwrap())
}

fn size(answer: &Answer) -> (u32, u32) {
    assert_eq!(answer.status, 200, "{answer:?}");
    image::load_from_memory(&answer.bytes).expect("a picture").dimensions()
}

#[tokio::test]
async fn headers_of_content() {
    each_database(async |engine| {
        let (server, _database, admin) = start(engine).await;
        let file = upload(&admin, "note.txt", "text/plain", b"hello conformance\n").await;
        let path = path(&file);
        let all = admin.get(&path).await;
        assert_eq!((all.status, all.bytes.as_slice()), (200, b"hello conformance\n".as_slice()));
        let expected = [
            ("content-type", "text/plain"),
            ("content-length", "18"),
            ("content-disposition", "inline; filename=\"note.txt\""),
            ("accept-ranges", "bytes"),
            ("cache-control", "private, max-age=2592000"),
            ("x-content-type-options", "nosniff"),
            ("vary", "Authorization, Cookie"),
            ("cross-origin-resource-policy", "cross-origin"),
        ];
        for (name, value) in expected {
            assert_eq!(all.header(name), Some(value), "{name}");
        }
        assert!(all.header("content-security-policy").unwrap().starts_with("sandbox; default-src 'none'"));
        let (tag, date) =
            (all.header("etag").unwrap().to_owned(), all.header("last-modified").unwrap().to_owned());
        let with = |name: &str, value: &str| admin.request("GET", &path).header(name, value).send();
        for (name, value, status) in [
            ("if-none-match", tag.as_str(), 304),
            ("if-none-match", &format!("W/{tag}"), 304),
            ("if-none-match", "\"other\", *", 200),
            ("if-none-match", "*", 304),
            ("if-none-match", "\"other\"", 200),
            ("if-modified-since", date.as_str(), 304),
            ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT", 200),
            ("if-modified-since", "nonsense", 200),
        ] {
            let answer = with(name, value).await;
            assert_eq!(answer.status, status, "{name}: {value}");
            assert_eq!(answer.header("etag"), Some(tag.as_str()));
            assert_eq!(answer.bytes.is_empty(), status == 304);
        }
        let part = with("range", "bytes=0-4").await;
        assert_eq!((part.status, part.bytes.as_slice()), (206, b"hello".as_slice()));
        assert_eq!(
            (part.header("content-range"), part.header("content-length")),
            (Some("bytes 0-4/18"), Some("5"))
        );
        assert_eq!(with("range", "bytes=-5").await.bytes, b"ance\n");
        let beyond = with("range", "bytes=900-999").await;
        beyond.refused(416, "RANGE_NOT_SATISFIABLE");
        assert_eq!(beyond.header("content-range"), Some("bytes */18"));
        let changed = admin
            .request("GET", &path)
            .header("range", "bytes=0-4")
            .header("if-range", "\"old\"")
            .send()
            .await;
        assert_eq!((changed.status, changed.bytes.len()), (200, 18));
        let same =
            admin.request("GET", &path).header("range", "bytes=0-4").header("if-range", &tag).send().await;
        assert_eq!(same.status, 206);
        let head = admin.request("HEAD", &path).send().await;
        assert_eq!((head.status, head.header("content-length"), head.bytes.len()), (200, Some("18"), 0));
        let named = admin.get(&format!("{path}/other%20name.txt?download")).await;
        assert_eq!(named.header("content-disposition"), Some("attachment; filename=\"other name.txt\""));
        for missing in
            ["/assets/zzz", "/assets/c0ffee00-0000-4000-8000-00000000dead", "/assets/..%2f..%2fetc%2fpasswd"]
        {
            admin.get(missing).await.refused(403, "FORBIDDEN");
        }
        server.visitor().get(&path).await.refused(403, "FORBIDDEN");
        let token = server.visitor().get(&format!("{path}?access_token={}", admin.token().unwrap())).await;
        assert_eq!(token.status, 200);

        // What everybody may see may be kept for everybody.
        let rule = json!({ "id": { "_eq": file["id"] } });
        let public = policy(&admin, "public", json!([["directus_files", "read", rule, ["id"]]])).await;
        admin.post("/access", json!({ "policy": public })).await.data();
        let seen = server.visitor().get(&path).await;
        assert_eq!((seen.status, seen.header("cache-control")), (200, Some("public, max-age=2592000")));
    })
    .await;
}

#[tokio::test]
async fn nothing_of_it_runs() {
    each_database(async |engine| {
        let (_server, _database, admin) = start(engine).await;
        for (name, said, content, kept) in [
            ("page.html", "text/html", "<html><script>alert(1)</script></html>", "text/html"),
            ("page.png", "image/png", "<html><script>alert(1)</script></html>", "text/html"),
            (
                "drawing.svg",
                "image/svg+xml",
                "<svg xmlns=\"http://www.w3.org/2000/svg\"><script/></svg>",
                "image/svg+xml",
            ),
            ("feed.xml", "application/xml", "<?xml version=\"1.0\"?><a/>", "application/xml"),
            ("code.js", "text/javascript", "alert(1)", "text/javascript"),
        ] {
            let file = upload(&admin, name, said, content.as_bytes()).await;
            assert_eq!(file["type"], kept, "{name}");
            let answer = admin.get(&path(&file)).await;
            assert!(
                answer.header("content-disposition").unwrap().starts_with("attachment"),
                "{name}: {answer:?}"
            );
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            assert!(answer.header("content-security-policy").unwrap().starts_with("sandbox"), "{name}");
            // What is no picture is served as it is.
            assert_eq!(admin.get(&format!("{}?width=10", path(&file))).await.bytes, content.as_bytes());
        }
    })
    .await;
}

#[tokio::test]
async fn images_of_images() {
    each_database(async |engine| {
        let (_server, database, admin) = start(engine).await;
        let file = upload(&admin, "pic.png", "image/png", &picture(64, 48, ImageFormat::Png)).await;
        let path = path(&file);
        for (query, expected) in [
            ("", (64, 48)),
            ("?height=24", (32, 24)),
            ("?width=20&height=20", (20, 20)),
            ("?width=20&height=20&fit=inside", (20, 15)),
            ("?width=20&height=20&fit=outside", (27, 20)),
            ("?width=20&height=30&fit=contain", (20, 30)),
            ("?width=128", (128, 96)),
            ("?width=128&withoutEnlargement=true", (64, 48)),
            ("?width=10&height=10&focal_point_x=1&focal_point_y=1", (10, 10)),
            ("?key=system-small-cover", (64, 64)),
            ("?key=system-medium-contain", (300, 225)),
            ("?transforms=[[\"rotate\",90]]", (48, 64)),
            (
                "?transforms=[[\"resize\",{\"width\":16,\"height\":8,\"fit\":\"fill\"}],[\"grayscale\"]]",
                (16, 8),
            ),
        ] {
            let answer = admin.get(&format!("{path}{query}")).await;
            assert_eq!(answer.header("content-type"), Some("image/png"), "{query}: {answer:?}");
            assert_eq!(size(&answer), expected, "{query}");
            let again = admin.get(&format!("{path}{query}")).await;
            assert_eq!(
                (again.bytes, again.headers["etag"].clone()),
                (answer.bytes.clone(), answer.headers["etag"].clone())
            );
        }
        for (query, accept, media_type) in [
            ("?format=jpg&width=32", "*/*", "image/jpeg"),
            ("?format=webp&width=32&quality=20", "*/*", "image/webp"),
            ("?format=tiff&width=32", "*/*", "image/tiff"),
            ("?format=avif&width=16", "*/*", "image/avif"),
            ("?format=auto&width=16", "image/avif,image/webp,*/*", "image/avif"),
            ("?format=auto&width=16", "image/webp,*/*", "image/webp"),
            ("?format=auto&width=16", "image/png", "image/png"),
        ] {
            let answer =
                admin.request("GET", &format!("{path}{query}")).header("accept", accept).send().await;
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (200, Some(media_type)),
                "{query}: {answer:?}"
            );
            let vary = answer.header("vary").unwrap_or_default();
            assert_eq!(vary.contains("Accept"), query.contains("auto"), "{query}");
        }
        for query in [
            "?width=abc",
            "?width=-5",
            "?height=0",
            "?fit=around",
            "?format=bmp",
            "?quality=101",
            "?key=nobodys",
            "?transforms={bad",
            "?transforms=[[\"explode\"]]",
            "?transforms=[[\"flip\"],[\"flip\"],[\"flip\"],[\"flip\"],[\"flip\"],[\"flip\"]]",
            "?transforms=[[\"extract\",{\"left\":60,\"top\":0,\"width\":10,\"height\":10}]]",
        ] {
            admin.get(&format!("{path}{query}")).await.refused(400, "INVALID_QUERY");
        }
        let large = admin.get(&format!("{path}?width=20000&height=20000")).await;
        large.refused(400, "ILLEGAL_ASSET_TRANSFORMATION");
        let made = database.dir().join("uploads/transforms").join(file["filename_disk"].as_str().unwrap());
        let before = std::fs::read_dir(&made).unwrap().count();

        // Many who want the same thing at once get one thing.
        let wanted = (0..10).map(|_| {
            let (admin, path) = (admin.clone(), path.clone());
            tokio::spawn(async move { admin.get(&format!("{path}?width=33")).await })
        });
        for wanted in wanted.collect::<Vec<_>>() {
            assert_eq!(size(&wanted.await.unwrap()), (33, 25));
        }
        assert_eq!(std::fs::read_dir(&made).unwrap().count(), before + 1);
        let part =
            admin.request("GET", &format!("{path}?width=33")).header("range", "bytes=1-3").send().await;
        assert_eq!((part.status, part.bytes.as_slice()), (206, b"PNG".as_slice()));
    })
    .await;
}

#[tokio::test]
async fn a_picture_stands_upright() {
    each_database(async |engine| {
        let (_server, _database, admin) = start(engine).await;
        let jpeg = with_exif(&picture(40, 20, ImageFormat::Jpeg));
        let file = upload(&admin, "turned.jpg", "image/jpeg", &jpeg).await;
        assert_eq!((&file["width"], &file["height"]), (&json!(20), &json!(40)), "{file}");
        assert_eq!(file["metadata"], json!({ "ifd0": { "Make": "Maker" } }));
        assert_eq!(size(&admin.get(&format!("{}?width=10", path(&file))).await), (10, 20));
    })
    .await;
}

/// A JPEG that says that it lies on its side, who made the camera, and something that is not kept.
fn with_exif(jpeg: &[u8]) -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0".to_vec();
    let entry = |tag: u16, kind: u16, count: u32, value: u32| {
        [
            tag.to_le_bytes().to_vec(),
            kind.to_le_bytes().to_vec(),
            count.to_le_bytes().to_vec(),
            value.to_le_bytes().to_vec(),
        ]
        .concat()
    };
    tiff.extend(3_u16.to_le_bytes());
    tiff.extend(entry(0x010f, 2, 6, 50));
    tiff.extend(entry(0x0112, 3, 1, 6));
    tiff.extend(entry(0x0131, 2, 6, 50));
    tiff.extend(0_u32.to_le_bytes());
    assert_eq!(tiff.len(), 50);
    tiff.extend(b"Maker\0");
    let mut segment = vec![0xff, 0xe1];
    segment.extend(u16::try_from(tiff.len() + 8).unwrap().to_be_bytes());
    segment.extend(b"Exif\0\0");
    segment.extend(tiff);
    [&jpeg[..2], &segment, &jpeg[2..]].concat()
}

#[tokio::test]
async fn bombs_do_not_go_off() {
    let (server, _database, admin) = start(Engine::Sqlite).await;
    // A header that promises 400 million pixels, and nothing behind it.
    let mut huge = picture(8, 8, ImageFormat::Png);
    huge[16..24].copy_from_slice(&[0, 0, 0x4e, 0x20, 0, 0, 0x4e, 0x20]);
    let sum = crc(&huge[12..29]);
    huge[29..33].copy_from_slice(&sum.to_be_bytes());
    let huge = upload(&admin, "huge.png", "image/png", &huge).await;
    assert_eq!(huge["width"], 20_000);
    // Few bytes that become many: one colour, 5900 by 5900.
    let mut flat = std::io::Cursor::new(Vec::new());
    image::DynamicImage::new_luma8(5900, 5900).write_to(&mut flat, ImageFormat::Png).unwrap();
    let flat = upload(&admin, "flat.png", "image/png", flat.get_ref()).await;
    let broken =
        upload(&admin, "broken.jpg", "image/jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01and then nothing").await;
    let before = memory_kb(server.process());
    let began = Instant::now();
    for (file, query) in [
        (&huge, "?width=100"),
        (&huge, "?format=webp"),
        (&flat, "?format=jpg"),
        (&flat, "?width=30000&height=30000"),
        (&broken, "?width=10"),
    ] {
        admin.get(&format!("{}{query}", path(file))).await.refused(400, "ILLEGAL_ASSET_TRANSFORMATION");
    }
    eprintln!(
        "refused in {:?}, {} kB before, {} kB after",
        began.elapsed(),
        before,
        memory_kb(server.process())
    );
    assert!(memory_kb(server.process()) < before + 500_000);
    assert_eq!(admin.get(&path(&broken)).await.status, 200);
}

/// Checksum of a chunk of a PNG.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(
            sum ^ u32::from(*byte),
            |sum, _| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 },
        )
    })
}

pub fn memory_kb(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or_default()
}

#[tokio::test]
async fn a_large_upload_is_never_whole_in_memory() {
    let (server, _database, admin) = start(Engine::Sqlite).await;
    upload(&admin, "warm.txt", "text/plain", b"warm").await;
    let before = memory_kb(server.process());
    let content: Vec<u8> = (0..90_u32 << 20).map(|at| (at % 251) as u8).collect();
    let (body, content_type) = Form::new().file("large.bin", "application/x-large", &content).finish();
    let process = server.process();
    let watching = tokio::spawn(async move {
        let mut most = 0;
        loop {
            most = most.max(memory_kb(process));
            tokio::time::sleep(Duration::from_millis(5)).await;
            if most == u64::MAX {
                return;
            }
            PEAK.store(most, std::sync::atomic::Ordering::Relaxed);
        }
    });
    let file = admin.request("POST", "/files").body(body, &content_type).send().await.data();
    watching.abort();
    let peak = PEAK.load(std::sync::atomic::Ordering::Relaxed);
    eprintln!("{before} kB before, at most {peak} kB during an upload of 90 MB");
    assert!(peak < before + 40_000, "{peak} kB, {before} kB before");
    let last = admin.request("GET", &path(&file)).header("range", "bytes=94371830-").send().await;
    assert_eq!(last.bytes, content[94_371_830..]);
}

static PEAK: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

#[tokio::test]
async fn who_may_not_see_a_file_learns_nothing_of_it() {
    each_database(async |engine| {
        let (_server, _database, admin) = start(engine).await;
        let file = upload(&admin, "pic.png", "image/png", &picture(8, 8, ImageFormat::Png)).await;
        let rights = policy(&admin, "nothing", json!([])).await;
        let (_, nobody) = crate::support::access::user(&admin, "nobody", &[&rights]).await;
        let there = nobody.get(&format!("{}?width=4", path(&file))).await;
        let missing = nobody.get("/assets/c0ffee00-0000-4000-8000-00000000dead?width=4").await;
        assert_eq!((there.status, there.bytes), (missing.status, missing.bytes));
    })
    .await;
}

#[tokio::test]
async fn images_that_were_made_stay_few() {
    each_database(async |engine| {
        let database = Database::fresh(engine).await;
        let server = Server::builder(&database).collections(&empty());
        let server = server.set("ASSETS_CACHE_MAX_SIZE", "20kb").start().await;
        let admin = server.admin();
        let file = upload(&admin, "pic.png", "image/png", &picture(64, 64, ImageFormat::Png)).await;
        let path = path(&file);
        for width in 30..60 {
            // Pixels as they are: some kilobytes each.
            let answer = admin.get(&format!("{path}?width={width}&format=tiff")).await;
            assert_eq!(size(&answer).0, width);
        }
        let folder = database.dir().join("uploads/transforms");
        let kept = || -> u64 {
            let folders = std::fs::read_dir(&folder).unwrap().flatten();
            let files = folders.flat_map(|folder| std::fs::read_dir(folder.path()).unwrap().flatten());
            files.map(|file| file.metadata().unwrap().len()).sum()
        };
        for tries in 0.. {
            let kept = kept();
            if (1..=20 << 10).contains(&kept) {
                break;
            }
            assert!(tries < 500, "{kept} bytes are kept");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(size(&admin.get(&format!("{path}?width=30&format=tiff")).await).0, 30, "made once more");
    })
    .await;
}
