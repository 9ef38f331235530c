//! What a write answers, and that it answers the same when it is sent again.

use serde_json::{Value, json};

use super::world::{World, object, worlds};
use crate::error::Error;
use crate::filter::Syntax;
use crate::items::{IdempotencyKey, Operation, Targets, WriteAnswer};
use crate::query::Query;

fn fields(names: &str) -> Option<Query> {
    let fields = names.split(' ').map(|path| path.split('.').map(str::to_owned).collect()).collect();
    Some(Query { fields, ..Query::default() })
}

fn key(name: &str, body: &str) -> Option<IdempotencyKey> {
    Some(IdempotencyKey::new("u", "POST", "/items/a", name, body.as_bytes()))
}

async fn write(
    world: &World,
    collection: &str,
    operation: Operation,
    answer: Option<Query>,
    key: Option<IdempotencyKey>,
) -> crate::error::Result<WriteAnswer> {
    world.items.write(&world.ctx, &world.name(collection), operation, answer, key).await
}

fn text(answer: &WriteAnswer) -> &str {
    std::str::from_utf8(answer.body.as_deref().unwrap_or_default()).unwrap()
}

fn where_name_is(name: &str) -> Query {
    let equal = Syntax::Operator { name: "_eq".to_owned(), operand: json!(name) };
    let filter = Some(Syntax::Field { name: "name".to_owned(), conditions: vec![equal] });
    Query { filter, ..Query::default() }
}

#[tokio::test]
async fn the_items_written_are_answered() {
    for world in worlds().await {
        let one =
            Operation::Create(object(json!({ "name": "p", "children": [{ "name": "x" }, { "name": "y" }] })));
        let answer = write(&world, "a", one, fields("name children.name"), None).await.unwrap();
        assert_eq!(text(&answer), r#""data":{"name":"p","children":[{"name":"x"},{"name":"y"}]}"#);
        let many = Operation::CreateMany((0..150).map(|_| object(json!({ "name": "n" }))).collect());
        let answer = write(&world, "c", many, fields("name"), None).await.unwrap();
        assert_eq!(text(&answer).matches(r#"{"name":"n"}"#).count(), 150);
        let none = Operation::CreateMany(Vec::new());
        assert_eq!(text(&write(&world, "c", none, fields("name"), None).await.unwrap()), r#""data":[]"#);
        let missing = Operation::Update(Targets::Key("99999".to_owned()), object(json!({ "name": "m" })));
        let answer = write(&world, "c", missing, fields("name"), None).await.unwrap();
        assert_eq!((answer.status, answer.body), (204, None));
        let set = Operation::Update(Targets::Singleton, object(json!({ "number": 1 })));
        let answer = write(&world, "settings", set, fields("title number"), None).await.unwrap();
        assert_eq!(text(&answer), r#""data":{"title":"Untitled","number":1}"#);
    }
}

#[tokio::test]
async fn a_query_names_the_targets() {
    for world in worlds().await {
        world.create("c", json!([{ "name": "x" }, { "name": "y" }, { "name": "x" }])).await.unwrap();
        let targets = || Targets::Query(Box::new(where_name_is("x")));
        let change = Operation::Update(targets(), object(json!({ "name": "z" })));
        let answer = write(&world, "c", change, fields("name"), None).await.unwrap();
        assert_eq!(text(&answer), r#""data":[{"name":"z"},{"name":"z"}]"#);
        let answer = write(&world, "c", Operation::Delete(targets()), fields("name"), None).await.unwrap();
        assert_eq!(answer.status, 204);
        let gone = Operation::Delete(Targets::Query(Box::new(where_name_is("z"))));
        write(&world, "c", gone, None, None).await.unwrap();
        assert_eq!(world.rows("c", "name").await, ["y"]);
    }
}

#[tokio::test]
async fn a_key_is_worked_once() {
    for world in worlds().await {
        let name = uuid::Uuid::now_v7().to_string();
        let create = || Operation::Create(object(json!({ "name": "p" })));
        let first = write(&world, "c", create(), fields("id name"), key(&name, "body")).await.unwrap();
        assert!(!first.is_replay);
        let again = write(&world, "c", create(), fields("id name"), key(&name, "body")).await.unwrap();
        assert_eq!((again.status, again.is_replay, &again.body), (200, true, &first.body));
        let other = write(&world, "c", create(), fields("id name"), key(&name, "other")).await;
        assert!(matches!(other, Err(Error::UnprocessableContent { .. })), "{other:?}");
        assert_eq!(world.rows("c", "name").await, ["p"]);

        // What failed is not kept: the next try is a first one.
        let name = uuid::Uuid::now_v7().to_string();
        let wrong = Operation::Create(object(json!({ "name": ["x"] })));
        assert!(write(&world, "c", wrong, None, key(&name, "a")).await.is_err());
        let right = write(&world, "c", create(), None, key(&name, "b")).await.unwrap();
        assert_eq!((right.status, right.is_replay), (204, false));

        let name = uuid::Uuid::now_v7().to_string();
        let parallel = (0..8).map(|_| write(&world, "tree", create(), fields("name"), key(&name, "body")));
        let answers = futures::future::join_all(parallel).await;
        for answer in &answers {
            assert!(matches!(answer, Ok(_) | Err(Error::Conflict { .. })), "{answer:?}");
        }
        assert!(answers.iter().any(Result::is_ok));
        assert_eq!(world.rows("tree", "name").await, ["p"]);
    }
}

#[tokio::test]
async fn demonstration_data_may_refer_in_circles() {
    for world in worlds().await {
        let folder = std::env::temp_dir().join(format!("tablature-seed-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(&folder).unwrap();
        let save = |name: &str, content: Value| {
            std::fs::write(folder.join(format!("{}.json", world.name(name))), content.to_string()).unwrap();
        };
        save(
            "tree",
            json!([{ "id": 1, "name": "x", "parent": 2 }, { "id": 2, "name": "y", "parent": 1 }, { "id": 3 }]),
        );
        save("b", json!([{ "id": 5, "name": "kid", "a": 7 }]));
        save("a", json!([{ "id": 7, "name": "up" }]));
        let loaded = world.items.load_folder(&world.ctx, &folder).await.unwrap();
        assert_eq!(loaded, Some(5));
        assert_eq!(world.rows("tree", "id parent").await, ["1|2", "2|1", "3|-"]);
        assert_eq!(world.rows("b", "id a").await, ["5|7"]);
        // There is something in it now: nothing is loaded again.
        assert_eq!(world.items.load_folder(&world.ctx, &folder).await.unwrap(), None);
        let next = world.create("tree", json!({ "name": "z" })).await.unwrap();
        assert_eq!(next.keys, [json!(4)]);
        std::fs::write(folder.join("nothing.json"), "[]").unwrap();
        assert!(world.items.load_folder(&world.ctx, &folder).await.is_err());
    }
}
