//! Items with others above and below them, in one request.

use serde_json::{Value, json};

use super::world::{NOW, World, worlds};
use crate::error::Error;

async fn keys(world: &World, collection: &str) -> Vec<Value> {
    world.rows(collection, "id").await.iter().map(|id| json!(id.parse::<i64>().unwrap())).collect()
}

#[tokio::test]
async fn everything_below_is_made() {
    for world in worlds().await {
        let texts = world.name("texts");
        let payload = json!({ "name": "p",
            "children": [{ "name": "c1" }, { "name": "c2" }],
            "links": [{ "note": "n", "c_id": { "name": "C" } }, { "c_id": null }],
            "parts": [{ "collection": texts, "sort": 1, "item": { "content": "hi" } }] });
        let key = world.create("a", payload).await.unwrap().keys[0].clone();
        assert_eq!(
            world.rows("b", "name sort a changed").await,
            [format!("c1|-|{key}|-"), format!("c2|-|{key}|-")]
        );
        let c = keys(&world, "c").await;
        assert_eq!(
            world.rows("links", "a_id c_id note").await,
            [format!("{key}|{}|n", c[0]), format!("{key}|-|-")]
        );
        let text = world.rows("texts", "id content").await;
        let id = text[0].split('|').next().unwrap();
        assert_eq!(text, [format!("{id}|hi")]);
        assert_eq!(world.rows("parts", "a_id item collection sort").await, [format!("{key}|{id}|{texts}|1")]);
        // Revisions of what is below lie under that of the item above.
        assert!(world.history("a").await[0].ends_with("|0"));
        assert!(world.history("b").await.iter().all(|entry| entry.ends_with("|1")));
        assert!(world.history("texts").await[0].ends_with("|1"));
        assert_eq!(world.history("links").await.len(), 2);
    }
}

#[tokio::test]
async fn only_what_is_named_changes() {
    for world in worlds().await {
        let payload =
            json!({ "name": "p", "children": [{ "name": "keep" }, { "name": "edit" }, { "name": "drop" }] });
        let key = world.create("a", payload).await.unwrap().keys[0].clone();
        let b = keys(&world, "b").await;
        let change = json!({ "children": { "create": [{ "name": "added" }],
            "update": [{ "id": b[1], "name": "edited" }], "delete": [b[2]] } });
        world.update("a", &key, change).await.unwrap();
        let expected = [
            format!("keep|-|{key}|-"),
            format!("edited|-|{key}|{NOW}"),
            format!("drop|-|-|{NOW}"),
            format!("added|1|{key}|-"),
        ];
        assert_eq!(world.rows("b", "name sort a changed").await, expected);
        // The item above has its activity too, though none of its own columns changed.
        assert_eq!(world.history("a").await.len(), 2);
    }
}

#[tokio::test]
async fn a_list_is_the_whole_set() {
    for world in worlds().await {
        let payload = json!({ "name": "p", "children": [{ "name": "one" }, { "name": "two" }],
            "links": [{ "note": "x" }, { "note": "y" }] });
        let key = world.create("a", payload).await.unwrap().keys[0].clone();
        let other = world.create("b", json!({ "name": "other" })).await.unwrap().keys[0].clone();
        let (b, links) = (keys(&world, "b").await, keys(&world, "links").await);
        let change = json!({ "children": [b[0], { "name": "three" }, other, { "id": 9999, "name": "given" }],
            "links": [{ "id": links[1], "note": "z" }] });
        world.update("a", &key, change).await.unwrap();
        let expected = [
            format!("one|{key}"),
            "two|-".to_owned(),
            format!("other|{key}"),
            format!("three|{key}"),
            format!("given|{key}"),
        ];
        let mut rows = world.rows("b", "name a").await;
        rows.sort();
        let mut sorted = expected.to_vec();
        sorted.sort();
        assert_eq!(rows, sorted);
        assert_eq!(world.rows("links", "id note").await, [format!("{}|z", links[1])]);
        world.update("a", &key, json!({ "children": null, "links": [] })).await.unwrap();
        assert!(world.rows("b", "a").await.iter().all(|a| a == "-"), "null is no item");
        assert!(world.rows("links", "note").await.is_empty());
    }
}

#[tokio::test]
async fn what_is_pointed_at() {
    for world in worlds().await {
        let payload = json!({ "name": "kid", "a": { "name": "old" } });
        let key = world.create("b", payload).await.unwrap().keys[0].clone();
        let a = keys(&world, "a").await[0].clone();
        world.update("b", &key, json!({ "a": { "id": a, "name": "new" } })).await.unwrap();
        assert_eq!(world.rows("a", "id name").await, [format!("{a}|new")]);
        world.update("b", &key, json!({ "a": { "id": 77, "name": "made" } })).await.unwrap();
        assert_eq!(world.rows("b", "a").await, ["77"]);
        world.update("b", &key, json!({ "a": null })).await.unwrap();
        assert_eq!(world.rows("b", "name a").await, ["kid|-"]);
        // Nothing is made for an item that is not there.
        assert!(
            world.update("b", &json!(12345), json!({ "a": { "name": "x" } })).await.unwrap().keys.is_empty()
        );
        assert_eq!(world.rows("a", "id").await.len(), 2);
    }
}

#[tokio::test]
async fn trees_and_deletions() {
    for world in worlds().await {
        let payload =
            json!({ "name": "root", "children": [{ "name": "kid", "children": [{ "name": "grandkid" }] }] });
        let key = world.create("tree", payload).await.unwrap().keys[0].clone();
        let ids = keys(&world, "tree").await;
        let rows = world.rows("tree", "name parent").await;
        assert_eq!(rows, ["root|-".to_owned(), format!("kid|{}", ids[0]), format!("grandkid|{}", ids[1])]);
        // Taken out, and gone with what is below it.
        world.update("tree", &key, json!({ "children": [] })).await.unwrap();
        assert_eq!(world.rows("tree", "name").await, ["root"]);

        let texts = world.name("texts");
        let payload = json!({ "name": "p", "parts": [{ "collection": texts, "item": { "content": "hi" } }] });
        world.create("a", payload).await.unwrap();
        let text = world.rows("texts", "id").await[0].clone();
        world.delete("texts", vec![json!(text)]).await.unwrap();
        assert!(world.rows("parts", "id").await.is_empty());
    }
}

#[tokio::test]
async fn the_far_side_of_a_many_to_any() {
    for world in worlds().await {
        let a = world.create("a", json!({ "name": "p" })).await.unwrap().keys[0].clone();
        let text = world.create("texts", json!({ "content": "t", "uses": [{ "a_id": a }] })).await.unwrap();
        let expected = format!("{a}|{}|{}", text.keys[0].as_str().unwrap(), world.name("texts"));
        assert_eq!(world.rows("parts", "a_id item collection").await, [expected]);
        let part = keys(&world, "parts").await[0].clone();
        let change = json!({ "parts": { "update": [{ "id": part, "collection": world.name("texts"),
            "item": { "id": text.keys[0], "content": "T" } }] } });
        world.update("a", &a, change).await.unwrap();
        assert_eq!(world.rows("texts", "content").await, ["T"]);
        let refused = world.create("parts", json!({ "item": { "content": "x" } })).await;
        assert!(matches!(refused, Err(Error::InvalidPayload { .. })), "{refused:?}");
        let refused = world.create("parts", json!({ "item": 1, "collection": world.name("b") })).await;
        assert!(matches!(refused, Err(Error::InvalidPayload { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn wrong_shapes_and_all_or_nothing() {
    for world in worlds().await {
        for children in [
            json!("string"),
            json!({ "foo": 1 }),
            json!(5),
            json!({ "create": 1 }),
            json!({ "update": [{ "name": "x" }] }),
        ] {
            let refused = world.create("a", json!({ "name": "p", "children": children })).await;
            assert!(matches!(refused, Err(Error::InvalidPayload { .. })), "{children} {refused:?}");
        }
        // The last child points at nothing: nothing at all is written.
        let payload = json!({ "name": "p", "links": [{ "note": "n" }, { "c_id": 999_999 }] });
        let refused = world.create("a", payload).await;
        assert!(matches!(refused, Err(Error::InvalidForeignKey { .. })), "{refused:?}");
        let refused = world.create("a", json!({ "name": "p", "children": [123_456] })).await;
        assert!(matches!(refused, Err(Error::Forbidden)), "{refused:?}");
        assert!(world.rows("a", "id").await.is_empty());
        assert!(world.history("a").await.is_empty());
        let mut deep = json!({ "name": "leaf" });
        for _ in 0..11 {
            deep = json!({ "name": "node", "children": [deep] });
        }
        let refused = world.create("tree", deep).await;
        assert!(matches!(refused, Err(Error::LimitExceeded { .. })), "{refused:?}");
    }
}
