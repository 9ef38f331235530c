//! Items without anything below them.

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::world::{NOW, World, object, worlds};
use crate::access::Context;
use crate::error::Error;
use crate::events::{EventAction, Events, FilterHook, Hooks};
use crate::items::{ItemPayload, ItemsService, ItemsSettings, Operation, Targets};

async fn with_b(world: &World) -> i64 {
    world.create("b", json!({ "name": "b" })).await.unwrap().keys[0].as_i64().unwrap()
}

#[tokio::test]
async fn a_new_item_has_every_column() {
    for world in worlds().await {
        let b = with_b(&world).await;
        let payload = json!({ "id": "k", "must": "x", "price": "12.3456", "tags": ["a", "b"], "data": { "n": 1 },
            "secret": "pw", "b": b, "unknown": 1, "created": "2000-01-01" });
        let written = world.create("strict", payload).await.unwrap();
        assert_eq!(written.keys, [json!("k")]);
        assert!(written.is_single);
        let rows = world.rows("strict", "id must age price tags data owner created changer changed").await;
        let expected =
            format!("k|x|18|12.346|a,b|{{\"n\":1}}|c0ffee00-0000-4000-8000-000000000001|{NOW}|-|-");
        assert_eq!(rows, [expected]);
        assert!(world.rows("strict", "secret").await[0].starts_with("$argon2id$"));
        let history = world.history("strict").await;
        let sent = r#"{"id":"k","must":"x","price":"12.346","tags":["a","b"],"data":{"n":1},"secret":"**********","b":"#;
        assert!(history[0].starts_with(&format!("create|k|{sent}")), "{history:?}");
    }
}

#[tokio::test]
async fn keys_come_back_in_order() {
    for world in worlds().await {
        let names: Vec<Value> = (0..250).map(|number| json!({ "name": format!("n{number:03}") })).collect();
        let written = world.create("c", json!(names)).await.unwrap();
        assert_eq!(written.keys.len(), 250);
        let rows = world.rows("c", "id name").await;
        let expected: Vec<String> =
            written.keys.iter().enumerate().map(|(number, key)| format!("{key}|n{number:03}")).collect();
        assert_eq!(rows, expected);
        assert_eq!(world.history("c").await.len(), 250);
        // Keys given by hand and counted ones.
        let written = world.create("c", json!([{ "id": 1000 }, {}, { "id": 1002 }])).await.unwrap();
        assert_eq!(written.keys[0], json!(1000));
        assert_eq!(world.create("c", json!([])).await.unwrap().keys, Vec::<Value>::new());
        let next = world.create("c", json!({})).await.unwrap().keys[0].as_i64().unwrap();
        assert!(next > 1002, "{next}");
    }
}

#[tokio::test]
async fn changes_and_deletions() {
    for world in worlds().await {
        let b = with_b(&world).await;
        world.create("strict", json!({ "id": "k", "must": "x", "b": b })).await.unwrap();
        let key = json!("k");
        let written = world.update("strict", &key, json!({ "age": "20", "owner": null })).await.unwrap();
        assert_eq!(written.keys, [json!("k")]);
        let rows = world.rows("strict", "id age owner changer changed").await;
        assert_eq!(rows, [format!("k|20|-|c0ffee00-0000-4000-8000-000000000001|{NOW}")]);
        let history = world.history("strict").await;
        assert!(history[1].starts_with("update|k|{\"id\":\"k\",\"must\":\"x\",\"age\":20,"), "{history:?}");
        assert!(history[1].contains("{\"age\":20,\"owner\":null,\"changer\":"), "{history:?}");

        assert!(
            world.update("strict", &json!("nobody"), json!({ "age": 20 })).await.unwrap().keys.is_empty()
        );
        let keys = vec![json!("nobody"), json!("k")];
        assert_eq!(world.delete("strict", keys).await.unwrap().keys, [json!("k")]);
        assert!(world.rows("strict", "id").await.is_empty());
        let history = world.history("strict").await;
        assert_eq!(history.len(), 3);
        assert!(history[2].starts_with("delete|k|-|-"), "{history:?}");
    }
}

#[tokio::test]
async fn many_are_changed_at_once() {
    for world in worlds().await {
        let written =
            world.create("b", json!([{ "name": "x" }, { "name": "y" }, { "name": "z" }])).await.unwrap();
        let keys = written.keys[..2].to_vec();
        let operation = Operation::Update(Targets::Keys(keys.clone()), object(json!({ "sort": 9 })));
        let changed = world.items.change(&world.ctx, &world.name("b"), operation).await.unwrap();
        assert_eq!(changed.keys.len(), 2);
        assert_eq!(world.rows("b", "name sort").await, ["x|9", "y|9", "z|-"]);
        let each = [json!({ "id": keys[0], "sort": 1 }), json!({ "id": keys[1], "name": "yy" })];
        let each = each.into_iter().map(object).collect();
        let changed =
            world.items.change(&world.ctx, &world.name("b"), Operation::UpdateEach(each)).await.unwrap();
        assert_eq!(changed.keys, keys);
        assert_eq!(world.rows("b", "name sort").await, ["x|1", "yy|9", "z|-"]);
        let each = Operation::UpdateEach(vec![object(json!({ "sort": 1 }))]);
        let refused = world.items.change(&world.ctx, &world.name("b"), each).await;
        assert!(matches!(refused, Err(Error::InvalidPayload { .. })));
    }
}

#[tokio::test]
async fn a_singleton_is_made_once() {
    for world in worlds().await {
        let set = |payload: Value| Operation::Update(Targets::Singleton, object(payload));
        let name = world.name("settings");
        world.items.change(&world.ctx, &name, set(json!({ "number": 1 }))).await.unwrap();
        world.items.change(&world.ctx, &name, set(json!({ "number": 2 }))).await.unwrap();
        world.create("settings", json!({ "title": "T" })).await.unwrap();
        assert_eq!(world.rows("settings", "title number").await, ["T|2"]);
    }
}

/// What is refused: code, field, and the rest of the extensions that count.
fn told(error: Error) -> Vec<(String, String, String)> {
    let all = match error {
        Error::Several(all) => all,
        one => vec![one],
    };
    all.iter()
        .map(|error| {
            let extensions = error.extensions();
            let text = |name: &str| {
                extensions
                    .get(name)
                    .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
                    .unwrap_or_default()
            };
            let rest = match error {
                Error::FailedValidation { .. } => text("type"),
                Error::InvalidPayload { .. } => String::new(),
                _ => text("value"),
            };
            (error.code().to_owned(), text("field"), rest)
        })
        .collect()
}

async fn check(world: &World, payload: Value, expected: &[(&str, &str, &str)]) {
    let refused = told(world.create("strict", payload.clone()).await.expect_err("it is refused"));
    let expected: Vec<_> = expected
        .iter()
        .map(|(code, field, rest)| ((*code).to_owned(), (*field).to_owned(), (*rest).to_owned()))
        .collect();
    assert_eq!(refused, expected, "{payload} on {:?}", world.database.dialect());
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    for world in worlds().await {
        let b = with_b(&world).await;
        let (failed, invalid) = ("FAILED_VALIDATION", "INVALID_PAYLOAD");
        check(
            &world,
            json!({}),
            &[(failed, "id", "required"), (failed, "must", "required"), (failed, "b", "required")],
        )
        .await;
        check(&world, json!({ "id": "k", "must": null, "b": b }), &[(failed, "must", "nnull")]).await;
        let payload = json!({ "id": "k", "must": "X", "age": 3, "b": b });
        check(&world, payload, &[(failed, "must", "regex"), (failed, "age", "gte")]).await;
        check(&world, json!({ "id": "k", "must": "x", "age": "abc", "b": b }), &[(invalid, "", "")]).await;
        let payload =
            json!([{ "id": "k", "must": "x", "b": b }, { "id": "l", "must": "x", "age": 1, "b": b }, {}]);
        check(&world, payload, &[(failed, "age", "gte")]).await;
        let payload = json!({ "id": "k", "must": "x", "price": "99999999999", "b": b });
        check(&world, payload, &[("VALUE_OUT_OF_RANGE", "price", "")]).await;
        let long = "x".repeat(21);
        let payload = json!({ "id": "k", "must": long, "b": b });
        check(&world, payload, &[("VALUE_TOO_LONG", "must", "")]).await;
        check(
            &world,
            json!({ "id": "k", "must": "x", "b": 999_999 }),
            &[("INVALID_FOREIGN_KEY", "b", "999999")],
        )
        .await;

        world.create("strict", json!({ "id": "k", "must": "x", "b": b })).await.unwrap();
        let taken = "RECORD_NOT_UNIQUE";
        check(&world, json!({ "id": "l", "must": "x", "b": b }), &[(taken, "b", &b.to_string())]).await;
        let other = with_b(&world).await;
        check(&world, json!({ "id": "k", "must": "x", "b": other }), &[(taken, "id", "k")]).await;
        let payload = json!([{ "id": "l", "must": "x", "b": other }, { "id": "k", "must": "x", "b": with_b(&world).await }]);
        check(&world, payload, &[(taken, "id", "k")]).await;
        let payload =
            json!([{ "id": "l", "must": "x", "b": other }, { "id": "m", "must": "x", "b": 999_999 }]);
        check(&world, payload, &[("INVALID_FOREIGN_KEY", "b", "999999")]).await;
        assert_eq!(world.rows("strict", "id").await, ["k"]);

        let refused = world.delete("b", vec![json!(b)]).await;
        let Err(Error::InvalidForeignKey { collection, field, value }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!((collection, field.as_str(), value), (world.name("strict"), "id", json!(b)));
        assert!(matches!(world.create("nothing", json!({})).await, Err(Error::Forbidden)));
        assert!(matches!(world.update("b", &json!("abc"), json!({})).await, Err(Error::Forbidden)));
    }
}

#[tokio::test]
async fn an_item_takes_the_place_of_another() {
    for world in worlds().await {
        let list =
            json!([{ "name": "x", "sort": 1 }, { "name": "y", "sort": 2 }, { "name": "z", "sort": 3 }]);
        let keys = world.create("b", list).await.unwrap().keys;
        world.items.move_item(&world.ctx, &world.name("b"), (&keys[2], &keys[0]), None).await.unwrap();
        assert_eq!(world.rows("b", "name sort").await, ["x|2", "y|3", "z|1"]);
        let refused = world.items.move_item(&world.ctx, &world.name("c"), (&keys[2], &keys[0]), None).await;
        assert!(matches!(refused, Err(Error::InvalidPayload { .. })));
    }
}

#[tokio::test]
async fn events_follow_the_commit_and_leave_the_outbox() {
    for world in worlds().await {
        let mut listener = world.items.events.listen();
        world.create("c", json!({ "name": "n" })).await.unwrap();
        let _ = world.create("c", json!({ "name": [] })).await.expect_err("refused");
        let event = listener.recv().await.unwrap();
        assert_eq!((&*event.event, &*event.collection), ("items.create", &*world.name("c")));
        assert_eq!(event.payload.as_deref(), Some(r#"{"name":"n"}"#));
        assert!(listener.try_recv().is_err());
        for _ in 0..100 {
            if world.outbox().await == 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(world.outbox().await, 0);
    }
}

#[tokio::test]
async fn events_of_a_lost_process_are_announced_by_the_next() {
    for world in worlds().await {
        let collection = world.name("c");
        let key = format!("lost-{collection}");
        let moment = "2020-01-01 00:00:00";
        let text = format!(
            "INSERT INTO tablature_outbox (created_at,event,collection,item,payload,accountability) \
             VALUES ('{moment}','items.create','{collection}','{key}','{{}}','{{}}')"
        );
        world.run(text).await;
        let mut listener = world.items.events.listen();
        world.items.events.recover(&world.database).await.unwrap();
        // Other tests share the servers' outbox.
        let is_found = loop {
            match listener.try_recv() {
                Ok(event) if *event.key == *key => break true,
                Ok(_) => {}
                Err(_) => break false,
            }
        };
        // Another test's recovery may have been first.
        assert!(is_found || world.database.dialect() != crate::sql::Dialect::Sqlite);
        assert_eq!(world.outbox().await, 0);
    }
}

/// Names what has no name, and refuses what is called so.
struct Naming;

impl FilterHook for Naming {
    fn filter<'h>(
        &'h self,
        _ctx: &'h Context,
        _collection: &'h str,
        action: EventAction,
        mut payload: ItemPayload,
    ) -> BoxFuture<'h, crate::error::Result<ItemPayload>> {
        Box::pin(async move {
            if payload.get("name").is_some_and(|name| name == "refused") {
                return Err(Error::payload("refused by a hook"));
            }
            if action == EventAction::Create {
                payload.entry("name").or_insert_with(|| json!("named"));
            }
            Ok(payload)
        })
    }
}

#[tokio::test]
async fn hooks_change_and_refuse() {
    for mut world in worlds().await {
        let mut hooks = Hooks::default();
        hooks.add(std::sync::Arc::new(Naming));
        let events = Events::start(world.database.clone(), hooks);
        world.items = ItemsService::new(world.database.clone(), events, ItemsSettings::default());
        world.create("c", json!({})).await.unwrap();
        let refused = world.create("c", json!([{}, { "name": "refused" }])).await;
        assert!(matches!(refused, Err(Error::InvalidPayload { .. })), "{refused:?}");
        assert_eq!(world.rows("c", "name").await, ["named"]);
    }
}
