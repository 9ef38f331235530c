//! The rows that both servers read: the same on every machine and in every run.

use uuid::{Builder, Uuid};

/// A value of a generated row.
#[derive(Clone)]
pub enum Cell {
    Key(Uuid),
    Text(String),
    Integer(i64),
    Cents(i64),
    Boolean(bool),
    /// Milliseconds since 1970.
    Moment(i64),
}

/// A table and its rows.
pub struct Table {
    pub name: &'static str,
    pub columns: &'static [&'static str],
    pub rows: Vec<Vec<Cell>>,
}

const ARTICLES: usize = 10_000;
const AUTHORS: usize = 1_000;
const COMMENTS: usize = 30_000;
const TAGS: usize = 200;
const LINKS: usize = 25_000;
const STATUSES: [&str; 4] = ["draft", "in_review", "published", "archived"];
const WORDS: [&str; 24] = [
    "ledger",
    "été",
    "harbour",
    "quiet",
    "column",
    "garden",
    "façade",
    "winter",
    "signal",
    "copper",
    "“river”",
    "letter",
    "margin",
    "cloud",
    "a \"quoted\" word",
    "thread",
    "lantern",
    "valley",
    "path",
    "market",
    "engine",
    "paper",
    "north",
    "bridge",
];
/// 2026-01-01T00:00:00Z.
const BEGIN: i64 = 1_767_225_600_000;

/// Makes every table, those that are referred to first.
pub fn tables() -> Vec<Table> {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let authors = keys(&mut dice, AUTHORS);
    let tags = keys(&mut dice, TAGS);
    let articles = article_keys();
    let comments = keys(&mut dice, COMMENTS);
    let links = keys(&mut dice, LINKS);
    vec![
        Table {
            name: "authors",
            columns: &["id", "name", "email", "bio"],
            rows: authors
                .iter()
                .enumerate()
                .map(|(number, &key)| {
                    vec![
                        Cell::Key(key),
                        Cell::Text(dice.words(16)),
                        Cell::Text(format!("author{number}@example.com")),
                        Cell::Text(dice.words(200)),
                    ]
                })
                .collect(),
        },
        Table {
            name: "tags",
            columns: &["id", "name"],
            rows: tags.iter().map(|&key| vec![Cell::Key(key), Cell::Text(dice.words(8))]).collect(),
        },
        Table {
            name: "articles",
            columns: &[
                "id",
                "title",
                "slug",
                "status",
                "body",
                "views",
                "price",
                "featured",
                "meta",
                "author",
                "published_at",
                "created_at",
                "updated_at",
            ],
            rows: articles
                .iter()
                .enumerate()
                .map(|(number, &key)| {
                    let moment = BEGIN + dice.below(10_000_000_000);
                    vec![
                        Cell::Key(key),
                        Cell::Text(dice.words(50)),
                        Cell::Text(format!("article-{number}")),
                        Cell::Text(STATUSES[dice.below(4) as usize].to_owned()),
                        Cell::Text(dice.words(500)),
                        Cell::Integer(dice.below(1_000)),
                        Cell::Cents(dice.below(100_000)),
                        Cell::Boolean(dice.below(10) == 0),
                        Cell::Text(format!(
                            r#"{{"words":{},"language":"fr","keys":["a","b"]}}"#,
                            dice.below(900)
                        )),
                        Cell::Key(authors[dice.below(AUTHORS as i64) as usize]),
                        Cell::Moment(moment),
                        Cell::Moment(moment - 86_400_000),
                        Cell::Moment(moment),
                    ]
                })
                .collect(),
        },
        Table {
            name: "comments",
            columns: &["id", "article", "name", "body", "written_at"],
            rows: comments
                .iter()
                .map(|&key| {
                    vec![
                        Cell::Key(key),
                        Cell::Key(articles[dice.below(ARTICLES as i64) as usize]),
                        Cell::Text(dice.words(16)),
                        Cell::Text(dice.words(150)),
                        Cell::Moment(BEGIN + dice.below(10_000_000_000)),
                    ]
                })
                .collect(),
        },
        Table {
            name: "articles_tags",
            columns: &["id", "article", "tag"],
            rows: links
                .iter()
                .map(|&key| {
                    vec![
                        Cell::Key(key),
                        Cell::Key(articles[dice.below(ARTICLES as i64) as usize]),
                        Cell::Key(tags[dice.below(TAGS as i64) as usize]),
                    ]
                })
                .collect(),
        },
    ]
}

/// The keys of the articles, for those who ask for one.
pub fn article_keys() -> Vec<Uuid> {
    keys(&mut Dice(0xD1B5_4A32_D192_ED03), ARTICLES)
}

/// UUIDs of version 7, a second apart.
fn keys(dice: &mut Dice, count: usize) -> Vec<Uuid> {
    (0..count as u64)
        .map(|number| {
            let mut random = [0; 10];
            random[..8].copy_from_slice(&dice.next().to_be_bytes());
            random[8..].copy_from_slice(&(dice.next() as u16).to_be_bytes());
            Builder::from_unix_timestamp_millis(BEGIN as u64 + number * 1_000, &random).into_uuid()
        })
        .collect()
}

/// Numbers that look random and are always the same (xorshift).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: i64) -> i64 {
        (self.next() % bound as u64) as i64
    }

    /// Words of at least `length` bytes in all.
    fn words(&mut self, length: usize) -> String {
        let mut text = String::new();
        while text.len() < length {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(WORDS[self.below(WORDS.len() as i64) as usize]);
        }
        text
    }
}
