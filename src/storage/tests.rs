//! A folder as a store, and names.

use super::*;

fn storage(root: &std::path::Path) -> Storage {
    let driver = LocationDriver::Local { root: root.to_owned() };
    Storage::new(&[LocationConfig { name: "local".to_owned(), driver }])
}

async fn text(location: &Location, name: &str, range: Option<(u64, u64)>) -> Option<String> {
    let mut reading = location.read(name, range).await.expect("readable")?;
    let mut all = Vec::new();
    while let Some(piece) = reading.stream.next().await {
        all.extend_from_slice(&piece.expect("a piece"));
    }
    Some(String::from_utf8(all).expect("text"))
}

#[tokio::test]
async fn what_is_written_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let storage = storage(folder.path());
    let location = storage.first().expect("a location");
    let mut writer = location.write("a.txt").expect("writable");
    writer.put(Bytes::from_static(b"hello ")).await.expect("taken");
    writer.put(Bytes::from_static(b"world")).await.expect("taken");
    assert_eq!(location.find("a.txt").await.expect("asked"), None);
    writer.finish().await.expect("there");
    assert_eq!(location.find("a.txt").await.expect("asked").map(|object| object.size_bytes), Some(11));
    assert_eq!(text(location, "a.txt", None).await.as_deref(), Some("hello world"));
    assert_eq!(text(location, "a.txt", Some((6, 8))).await.as_deref(), Some("wo"));
    assert_eq!(text(location, "b.txt", None).await, None);
    location.put("folder/b", Bytes::from_static(b"b")).await.expect("written");
    assert_eq!(location.list("folder").await.expect("listed").len(), 1);
    location.remove_folder("folder").await.expect("removed");
    assert!(!folder.path().join("folder").exists());
    location.remove("a.txt").await.expect("removed");
    location.remove("a.txt").await.expect("gone already");
}

#[tokio::test]
async fn what_is_given_up_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let storage = storage(folder.path());
    let location = storage.first().expect("a location");
    let mut writer = location.write("large").expect("writable");
    for _ in 0..5 {
        writer.put(Bytes::from(vec![0; 1 << 20])).await.expect("taken");
    }
    drop(writer);
    let mut left = 1;
    for _ in 0..200 {
        left = std::fs::read_dir(folder.path()).expect("a folder").count();
        if left == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(left, 0);
}

#[test]
fn names_stay_in_their_place() {
    for name in ["a", "a.png", "0190-abc/def.webp"] {
        assert!(path(name).is_ok(), "{name}");
    }
    let long = "a".repeat(600);
    for name in ["", "..", "../a", "a/../b", "/a", "a/", ".a", "a\\b", "a\0", "a#1", "a//b", &long] {
        assert!(path(name).is_err(), "{name}");
    }
}
