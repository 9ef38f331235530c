//! The same random requests to servers on each of the databases: the answers have the same bytes.
//!
//! Needs more than one database in `TEST_DATABASES`. Every list is ordered down to the key, as an order that
//! nobody asked for may differ.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::support::random::Random;
use crate::support::{Client, Engine, blog, engines};

/// A collection with fields and relations to choose from.
struct Shape {
    name: &'static str,
    /// Fields by the way they can be asked about.
    texts: &'static [&'static str],
    numbers: &'static [&'static str],
    money: &'static [&'static str],
    moments: &'static [(&'static str, &'static [&'static str])],
    flags: &'static [&'static str],
    others: &'static [&'static str],
    /// Relations to one item, and to many.
    one: &'static [(&'static str, &'static str)],
    many: &'static [(&'static str, &'static str)],
}

const DATE: &[&str] = &["year", "month", "week", "day", "weekday"];
const TIME: &[&str] = &["hour", "minute", "second"];
const BOTH: &[&str] = &["year", "month", "week", "day", "weekday", "hour", "minute", "second"];

const SHAPES: [Shape; 7] = [
    Shape {
        name: "articles",
        texts: &["status", "title", "slug", "body"],
        numbers: &["id", "position", "views", "score"],
        money: &["price"],
        moments: &[("published_on", BOTH), ("day", DATE), ("at", TIME)],
        flags: &["featured"],
        others: &["extra", "labels"],
        one: &[("writer", "writers")],
        many: &[("comments", "comments"), ("topics", "articles_topics")],
    },
    Shape {
        name: "writers",
        texts: &["name", "email", "country"],
        numbers: &["id", "rating"],
        money: &[],
        moments: &[("born", DATE)],
        flags: &["active"],
        others: &[],
        one: &[("mentor", "writers")],
        many: &[("pupils", "writers"), ("articles", "articles")],
    },
    Shape {
        name: "comments",
        texts: &["text"],
        numbers: &["id", "score", "position"],
        money: &[],
        moments: &[],
        flags: &[],
        others: &[],
        one: &[("article", "articles"), ("writer", "writers")],
        many: &[("reactions", "reactions")],
    },
    Shape {
        name: "reactions",
        texts: &["kind"],
        numbers: &["id", "weight"],
        money: &[],
        moments: &[],
        flags: &[],
        others: &[],
        one: &[("comment", "comments"), ("writer", "writers")],
        many: &[],
    },
    Shape {
        name: "topics",
        texts: &["name", "colour"],
        numbers: &["id"],
        money: &[],
        moments: &[],
        flags: &[],
        others: &[],
        one: &[("parent", "topics")],
        many: &[("children", "topics")],
    },
    Shape {
        name: "articles_topics",
        texts: &[],
        numbers: &["id", "position"],
        money: &[],
        moments: &[],
        flags: &[],
        others: &[],
        one: &[("article", "articles"), ("topic", "topics")],
        many: &[],
    },
    Shape {
        name: "samples",
        texts: &["word", "prose", "with_default"],
        numbers: &["id", "whole", "large", "ratio", "number_default"],
        money: &["amount"],
        moments: &[("local", BOTH), ("day", DATE), ("clock", TIME), ("moment", BOTH)],
        flags: &["flag"],
        others: &["shape", "list", "code", "secret"],
        one: &[],
        many: &[],
    },
];

fn shape(name: &str) -> &'static Shape {
    SHAPES.iter().find(|shape| shape.name == name).expect("a known collection")
}

const WORDS: [&str; 16] = [
    "a",
    "A",
    "e",
    "é",
    "É",
    "ta",
    "draft",
    "published",
    "Article 1",
    "Writer 0",
    "lorem",
    "%",
    "_",
    "zeta%",
    "",
    "FR",
];

/// Makes requests.
struct Maker(Random);

impl Maker {
    fn number(&mut self) -> Value {
        match self.0.below(6) {
            0 => json!(self.0.below(1000) as f64 / 8.0),
            1 => json!(-(self.0.below(60) as i64)),
            2 => json!(3_000_000_021_i64),
            _ => json!(self.0.below(60)),
        }
    }

    /// A whole number where the field takes no other.
    fn number_for(&mut self, field: &str) -> Value {
        if matches!(field, "ratio" | "score" | "rating") && self.0.one_in(2) {
            self.number()
        } else {
            json!(self.0.below(60))
        }
    }

    fn moment(&mut self, field: &str) -> Value {
        let (month, day) = (self.0.below(12) + 1, self.0.below(28) + 1);
        match field {
            "at" | "clock" => json!(format!("{:02}:{:02}:00", self.0.below(24), self.0.below(60))),
            "moment" => json!(format!("2023-{month:02}-{day:02}T08:00:00Z")),
            "local" | "published_on" => json!(format!("2024-{month:02}-{day:02}T10:00:00")),
            "born" => json!(format!("196{}-{month:02}-{day:02}", self.0.below(9))),
            _ => json!(format!("202{}-{month:02}-{day:02}", 3 + self.0.below(2))),
        }
    }

    fn money(&mut self) -> Value {
        json!(format!("{}.{:02}", self.0.below(120), self.0.below(100)))
    }

    /// Operators that compare values which have an order.
    fn ordered(&mut self, mut value: impl FnMut(&mut Self) -> Value) -> Value {
        let first = value(self);
        match self.0.below(10) {
            0 => json!({ "_eq": first }),
            1 => json!({ "_neq": first }),
            2 => json!({ "_lt": first }),
            3 => json!({ "_lte": first }),
            4 => json!({ "_gt": first }),
            5 => json!({ "_gte": first }),
            6 => json!({ "_between": [first, value(self)] }),
            7 => json!({ "_nbetween": [first, value(self)] }),
            8 => json!({ "_in": [first, value(self), value(self)] }),
            _ => json!({ "_nin": [first, value(self)] }),
        }
    }

    fn text_condition(&mut self) -> Value {
        let word = *self.0.pick(&WORDS);
        let operators = [
            "_eq",
            "_neq",
            "_contains",
            "_ncontains",
            "_icontains",
            "_nicontains",
            "_starts_with",
            "_nstarts_with",
            "_istarts_with",
            "_nistarts_with",
            "_ends_with",
            "_nends_with",
            "_iends_with",
            "_niends_with",
        ];
        match self.0.below(8) {
            0 => json!({ "_in": [word, *self.0.pick(&WORDS)] }),
            1 => json!({ "_nin": [word] }),
            2 => json!({ *self.0.pick(&["_empty", "_nempty"]): true }),
            _ => json!({ *self.0.pick(&operators): word }),
        }
    }

    fn condition(&mut self, of: &'static Shape, depth: usize) -> Value {
        for _ in 0..20 {
            match self.0.below(10) {
                0 | 1 if !of.texts.is_empty() => {
                    let field = *self.0.pick(of.texts);
                    let condition = self.text_condition();
                    return json!({ field: condition });
                }
                2 | 3 => {
                    let field = *self.0.pick(of.numbers);
                    let condition = self.ordered(|maker| maker.number_for(field));
                    return json!({ field: condition });
                }
                4 if !of.money.is_empty() => {
                    let field = *self.0.pick(of.money);
                    let condition = self.ordered(Self::money);
                    return json!({ field: condition });
                }
                5 if !of.moments.is_empty() => {
                    let (field, functions) = *self.0.pick(of.moments);
                    if self.0.one_in(2) {
                        let condition = self.ordered(|maker| maker.moment(field));
                        return json!({ field: condition });
                    }
                    let function = *self.0.pick(functions);
                    let condition = self
                        .ordered(|maker| json!(maker.0.below(if function == "year" { 3000 } else { 30 })));
                    return json!({ format!("{function}({field})"): condition });
                }
                6 if !of.flags.is_empty() => {
                    let flag = self.0.one_in(2);
                    return json!({ *self.0.pick(of.flags): { *self.0.pick(&["_eq", "_neq"]): flag } });
                }
                7 => {
                    let lists = [of.texts, of.numbers, of.money, of.flags, of.others];
                    let list = *self.0.pick(&lists);
                    if !list.is_empty() {
                        return json!({ *self.0.pick(list): { *self.0.pick(&["_null", "_nnull"]): true } });
                    }
                }
                8 if depth > 0 && !of.one.is_empty() => {
                    let (field, target) = *self.0.pick(of.one);
                    let inner = self.filter(shape(target), depth - 1);
                    return json!({ field: inner });
                }
                9 if depth > 0 && !of.many.is_empty() => {
                    let (field, target) = *self.0.pick(of.many);
                    if self.0.one_in(4) {
                        return json!({ format!("count({field})"): { *self.0.pick(&["_eq", "_gt", "_lte"]): self.0.below(4) } });
                    }
                    let inner = self.condition(shape(target), depth - 1);
                    return match self.0.below(3) {
                        0 => json!({ field: { "_some": inner } }),
                        1 => json!({ field: { "_none": inner } }),
                        _ => json!({ field: inner }),
                    };
                }
                _ => {}
            }
        }
        json!({ "id": { "_gt": 0 } })
    }

    fn filter(&mut self, of: &'static Shape, depth: usize) -> Value {
        match self.0.below(5) {
            0 => json!({ "_and": [self.condition(of, depth), self.condition(of, depth)] }),
            1 => json!({ "_or": [self.condition(of, depth), self.condition(of, depth)] }),
            _ => self.condition(of, depth),
        }
    }

    /// An order that leaves nothing open.
    fn sort(&mut self, of: &'static Shape) -> Value {
        let mut keys = Vec::new();
        for _ in 0..self.0.below(3) {
            let lists = [of.texts, of.numbers, of.money, of.flags];
            let list = *self.0.pick(&lists);
            let sign = if self.0.one_in(2) { "-" } else { "" };
            if let (true, Some(&(field, target))) = (self.0.one_in(4), of.one.first()) {
                keys.push(format!("{sign}{field}.{}", shape(target).numbers[0]));
            } else if let (true, Some((field, functions))) = (self.0.one_in(5), of.moments.first()) {
                keys.push(format!("{sign}{}({field})", self.0.pick(functions)));
            } else if !list.is_empty() {
                keys.push(format!("{sign}{}", self.0.pick(list)));
            }
        }
        keys.push(if self.0.one_in(2) { "id".to_owned() } else { "-id".to_owned() });
        json!(keys)
    }

    /// Fields, and what `deep` says about the lists among them.
    fn fields(
        &mut self,
        of: &'static Shape,
        prefix: &str,
        depth: usize,
        names: &mut Vec<String>,
    ) -> Map<String, Value> {
        let mut deep = Map::new();
        let lists = [of.texts, of.numbers, of.money, of.flags, of.others];
        for list in lists {
            for field in list {
                if self.0.one_in(2) {
                    names.push(format!("{prefix}{field}"));
                }
            }
        }
        for (field, functions) in of.moments {
            match self.0.below(3) {
                0 => names.push(format!("{prefix}{field}")),
                1 => names.push(format!("{prefix}{}({field})", self.0.pick(functions))),
                _ => {}
            }
        }
        names.push(format!("{prefix}id"));
        for (field, target) in of.one {
            if depth > 0 && self.0.one_in(3) {
                let inner = self.fields(shape(target), &format!("{prefix}{field}."), depth - 1, names);
                if !inner.is_empty() {
                    deep.insert((*field).to_owned(), Value::Object(inner));
                }
            } else if self.0.one_in(3) {
                names.push(format!("{prefix}{field}"));
            }
        }
        for (field, target) in of.many {
            if depth > 0 && self.0.one_in(3) {
                let target = shape(target);
                let mut inner = self.fields(target, &format!("{prefix}{field}."), depth - 1, names);
                inner.insert("_sort".to_owned(), self.sort(target));
                if self.0.one_in(2) {
                    inner.insert("_limit".to_owned(), json!(self.0.below(5)));
                }
                if self.0.one_in(4) {
                    inner.insert("_offset".to_owned(), json!(self.0.below(3)));
                }
                if self.0.one_in(3) {
                    inner.insert("_filter".to_owned(), self.filter(target, 1));
                }
                deep.insert((*field).to_owned(), Value::Object(inner));
            } else if self.0.one_in(5) {
                names.push(format!("{prefix}count({field})"));
            }
        }
        deep
    }

    fn list(&mut self, of: &'static Shape) -> Value {
        let mut names = Vec::new();
        let deep = self.fields(of, "", 3, &mut names);
        let mut query = json!({ "fields": names, "sort": self.sort(of), "limit": self.0.below(40) });
        if !deep.is_empty() {
            query["deep"] = Value::Object(deep);
        }
        if !self.0.one_in(4) {
            query["filter"] = self.filter(of, 2);
        }
        if self.0.one_in(6) {
            query["search"] = json!(*self.0.pick(&WORDS));
        }
        if self.0.one_in(4) {
            query["meta"] = json!("*");
        }
        if self.0.one_in(6) {
            query["offset"] = json!(self.0.below(10));
        }
        query
    }

    fn aggregate(&mut self, of: &'static Shape) -> Value {
        let mut functions = Map::new();
        functions.insert("count".to_owned(), json!("*"));
        for function in ["sum", "avg", "min", "max", "countDistinct", "sumDistinct"] {
            if self.0.one_in(3) {
                let list = if of.money.is_empty() || self.0.one_in(2) { of.numbers } else { of.money };
                functions.insert(function.to_owned(), json!([*self.0.pick(list)]));
            }
        }
        let mut query = json!({ "aggregate": functions });
        let groups: Vec<String> = of.texts.iter().chain(of.flags).map(|field| (*field).to_owned()).collect();
        if self.0.one_in(2) && !groups.is_empty() {
            let mut by = vec![self.0.pick(&groups).clone()];
            if let (true, Some((field, functions))) = (self.0.one_in(3), of.moments.first()) {
                by.push(format!("{}({field})", self.0.pick(functions)));
            }
            query["sort"] = json!(by);
            query["groupBy"] = json!(by);
        }
        if self.0.one_in(2) {
            query["filter"] = self.filter(of, 1);
        }
        query
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_requests_get_the_same_bytes() {
    let engines: Vec<Engine> = engines();
    if engines.len() < 2 {
        eprintln!("one database alone cannot differ from others");
        return;
    }
    let mut clients: Vec<(Engine, Client)> = Vec::new();
    for engine in engines {
        clients.push((engine, blog::shared(engine).await));
    }
    let mut maker = Maker(Random::new(7));
    let mut answered = 0;
    let mut different = Vec::new();
    let mut spent = vec![Duration::ZERO; clients.len()];
    for number in 0..2000 {
        let of = &SHAPES[maker.0.below(SHAPES.len())];
        let query = if maker.0.one_in(5) { maker.aggregate(of) } else { maker.list(of) };
        let body = json!({ "query": query });
        let path = format!("/items/{}", of.name);
        let ask = async |client: &Client| {
            let answer = client.search(&path, body.clone()).await;
            (answer.status, answer.text())
        };
        let mut answers = Vec::new();
        for ((_, client), spent) in clients.iter().zip(&mut spent) {
            let began = Instant::now();
            answers.push(ask(client).await);
            *spent += began.elapsed();
        }
        answered += usize::from(answers[0].0 == 200);
        if let Some(position) = answers.iter().position(|answer| answer != &answers[0]) {
            different.push(format!(
                "{number}: SEARCH {path} {body}\n  {}: {} {}\n  {}: {} {}",
                clients[0].0,
                answers[0].0,
                answers[0].1,
                clients[position].0,
                answers[position].0,
                answers[position].1
            ));
        }
    }
    eprintln!(
        "2,000 requests to {} databases in {spent:?}, {answered} of them answered with 200",
        clients.len()
    );
    assert!(
        different.is_empty(),
        "{} answers differ:\n{}",
        different.len(),
        different[..different.len().min(10)].join("\n")
    );
    assert!(answered > 1900, "{answered}: most requests are meant to be good");
}
