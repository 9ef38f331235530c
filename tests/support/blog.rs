//! The model that most scenarios are about, its data, and a server that they share.
//!
//! `blog/reading/` holds collections that are filled once and never written to, `blog/writing/` those that
//! scenarios write to: each makes what it needs and looks at nothing else, so that all can share one server per
//! database.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::client::Client;
use super::database::{Database, Engine};
use super::server::{ADMIN_TOKEN, Server};

/// Where the collections are.
pub fn collections() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/blog")
}

/// The server of this kind that scenarios share, with the data of [`seed`] in it, and its database.
pub async fn shared_with_database(engine: Engine) -> (Client, &'static Database) {
    static SHARED: [OnceCell<(Server, Database)>; 3] = [const { OnceCell::const_new() }; 3];
    let cell = &SHARED[engine.pick(0, 1, 2)];
    let (server, database) = cell
        .get_or_init(|| async move {
            let database = Database::fresh(engine).await;
            let server = Server::start(&database, &collections()).await;
            seed(&server.admin()).await;
            (server, database)
        })
        .await;
    // A client belongs to the runtime of the scenario that uses it.
    (server.admin(), database)
}

/// The administrator of the shared server.
pub async fn shared(engine: Engine) -> Client {
    shared_with_database(engine).await.0
}

/// Somebody without a token on the shared server.
pub async fn shared_visitor(engine: Engine) -> Client {
    let admin = shared(engine).await;
    assert_eq!(admin.token(), Some(ADMIN_TOKEN));
    admin.with_token(None)
}

/// A server of its own on an empty database with the same model.
pub async fn own(engine: Engine) -> (Server, Database) {
    let database = Database::fresh(engine).await;
    (Server::start(&database, &collections()).await, database)
}

/// Fills the collections of `blog/reading/`. Keys count from one in the order of the lists below.
pub async fn seed(admin: &Client) {
    let lists = [
        ("languages", languages()),
        ("samples", samples()),
        ("writers", writers()),
        ("topics", topics()),
        ("articles", articles()),
        ("articles_topics", articles_topics()),
        ("comments", comments()),
        ("reactions", reactions()),
        ("text_blocks", (1..=4).map(|n| json!({ "content": format!("Block text {n}") })).collect()),
        (
            "image_blocks",
            (1..=3).map(|n| json!({ "address": format!("picture{n}.png"), "width": n * 100 })).collect(),
        ),
        ("quote_blocks", quotes()),
        ("articles_blocks", articles_blocks()),
        ("articles_translations", articles_translations()),
    ];
    for (collection, items) in lists {
        let count = items.len();
        let answer = admin.post(&format!("/items/{collection}?limit=-1"), Value::Array(items)).await;
        assert_eq!(answer.data().as_array().map(Vec::len), Some(count), "{answer:?}");
    }
}

/// Adds to each item the key that it has in the database.
pub fn with_keys(items: Vec<Value>) -> Vec<Value> {
    let keyed = items.into_iter().zip(1..).map(|(mut item, key)| {
        item["id"] = json!(key);
        item
    });
    keyed.collect()
}

/// Row 12 has nothing but nulls (and an empty text), row 4 an empty list.
pub fn samples() -> Vec<Value> {
    let words = [
        "alpha",
        "Beta",
        "gamma ray",
        "Delta",
        "épsilon",
        "zeta%",
        "eta_x",
        "Theta",
        "iota",
        "KAPPA",
        "lambda",
    ];
    let mut items: Vec<Value> = (1..)
        .zip(words)
        .map(|(n, word): (i64, _)| {
            let shape =
                if n % 3 == 0 { json!([n, "x"]) } else { json!({ "n": n, "deep": { "k": format!("v{n}"), "list": [1, 2, n] } }) };
            json!({
                "word": word,
                "prose": format!("Text number {n} with words"),
                "whole": (n - 6) * 10,
                "large": (n * 1_000_000_007).to_string(),
                "ratio": n as f64 * 1.5 + 0.25,
                "amount": format!("{}.{:02}", n * 10, n * 7 % 100),
                "flag": n % 2 == 0,
                "shape": shape,
                "list": if n % 4 == 0 { json!([]) } else { json!([format!("l{}", n % 3), format!("m{}", n % 2)]) },
                "local": format!("2024-{n:02}-15T10:{n:02}:00"),
                "day": format!("2024-{n:02}-{:02}", n + 9),
                "clock": format!("{:02}:30:00", n + 8),
                "moment": format!("2023-{n:02}-10T08:00:{n:02}.000Z"),
                "code": format!("aaaaaaaa-0000-4000-8000-{n:012}"),
                "secret": format!("secret{n}"),
            })
        })
        .collect();
    items.push(json!({
        "word": null, "prose": "", "whole": null, "large": null, "ratio": null, "amount": null, "flag": null, "shape": null,
        "list": null, "local": null, "day": null, "clock": null, "moment": null, "code": null, "secret": null,
    }));
    items
}

pub fn writers() -> Vec<Value> {
    let countries = ["FR", "DE", "US", "JP", "BR"];
    let writer = |n: i64| {
        json!({
            "name": format!("Writer {n:02}"),
            "email": format!("writer{n}@example.com"),
            "country": countries[(n % 5) as usize],
            "born": format!("19{}-0{}-11", 60 + n, n % 9 + 1),
            "rating": n as f64 * 0.75,
            "active": n % 3 != 0,
            "mentor": if n == 1 { Value::Null } else { json!(n / 2) },
        })
    };
    (1..=8).map(writer).collect()
}

pub fn topics() -> Vec<Value> {
    let names = ["rust", "sql", "api", "web", "ocr", "flow"];
    let topic = |(position, name): (usize, &str)| {
        let colour = if position % 2 == 0 { "#000000" } else { "#ffffff" };
        json!({ "name": name, "colour": colour, "parent": (position > 2).then(|| position - 2) })
    };
    names.into_iter().enumerate().map(topic).collect()
}

pub fn articles() -> Vec<Value> {
    let status = ["draft", "published", "published", "archived"];
    let article = |n: i64| {
        let half = if n % 2 == 0 { "Even ipsum" } else { "Odd lorem" };
        json!({
            "status": status[(n % 4) as usize],
            "position": 31 - n,
            "title": format!("Article {n:02}"),
            "slug": format!("article-{n}"),
            "body": (n % 5 != 0).then(|| format!("Body of article {n}. {half}.")),
            "views": n * 37 % 101,
            "price": (n % 6 != 0).then(|| format!("{}.{:02}", n * 7 / 2, n % 2 * 50)),
            "score": (n * 13 % 17) as f64 / 4.0 + 0.125,
            "published_on": (n % 4 != 0).then(|| format!("2024-{:02}-{:02}T{:02}:15:30", n % 12 + 1, n % 27 + 1, n % 24)),
            "day": format!("2023-{:02}-{:02}", n % 12 + 1, n % 28 + 1),
            "at": format!("{:02}:{:02}:00", n % 24, n * 7 % 60),
            "featured": n % 7 == 0,
            "extra": { "k": n % 3, "list": [format!("t{}", n % 4)] },
            "labels": [format!("a{}", n % 3), format!("b{}", n % 2)],
            "writer": (n % 10 != 0).then_some(n % 8 + 1),
        })
    };
    (1..=30).map(article).collect()
}

pub fn articles_topics() -> Vec<Value> {
    let links = (1..=30_i64)
        .flat_map(|article| (0..article % 4).map(move |step| (article, (article + step) % 6 + 1)));
    let row =
        |(position, (article, topic))| json!({ "article": article, "topic": topic, "position": position });
    (1..).zip(links).map(row).collect()
}

pub fn comments() -> Vec<Value> {
    let comment = |n: i64| {
        json!({
            "text": format!("Comment {n:02}"),
            "score": n * 11 % 7,
            "position": n,
            "article": n * 7 % 25 + 1,
            "writer": n % 8 + 1,
        })
    };
    (1..=60).map(comment).collect()
}

pub fn reactions() -> Vec<Value> {
    let kinds = ["like", "laugh", "doubt"];
    let reaction = |n: i64| {
        json!({
            "kind": kinds[(n % 3) as usize],
            "weight": n * 5 % 11,
            "comment": n * 13 % 60 + 1,
            "writer": n % 8 + 1,
        })
    };
    (1..=90).map(reaction).collect()
}

pub const QUOTES: [&str; 2] =
    ["c0ffee00-0000-4000-8000-000000000061", "c0ffee00-0000-4000-8000-000000000062"];

fn quotes() -> Vec<Value> {
    vec![
        json!({ "id": QUOTES[0], "quote": "To be", "by": 1 }),
        json!({ "id": QUOTES[1], "quote": "Or not", "by": 2 }),
    ]
}

pub fn articles_blocks() -> Vec<Value> {
    let rows = [
        (1, "text_blocks", "1", 1),
        (1, "image_blocks", "1", 2),
        (1, "quote_blocks", QUOTES[0], 3),
        (2, "text_blocks", "2", 1),
        (3, "image_blocks", "2", 1),
        (3, "text_blocks", "3", 2),
        (4, "quote_blocks", QUOTES[1], 1),
    ];
    let row = |(article, collection, item, sort)| json!({ "articles_id": article, "collection": collection, "item": item, "sort": sort });
    rows.into_iter().map(row).collect()
}

fn languages() -> Vec<Value> {
    vec![json!({ "code": "en", "name": "English" }), json!({ "code": "fr", "name": "Français" })]
}

pub fn articles_translations() -> Vec<Value> {
    let both = (1..=5_i64).flat_map(|article| ["en", "fr"].map(|language| (article, language)));
    let row = |(article, language): (i64, &str)| {
        let headline = format!("{} {article}", if language == "en" { "Headline" } else { "Titre" });
        json!({ "articles_id": article, "languages_code": language, "headline": headline, "lead": null })
    };
    both.map(row).collect()
}
