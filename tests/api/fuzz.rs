//! 3,000 mutated requests from a fixed seed: no 5xx, no dropped connection.

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::random::Random;
use crate::support::server::ADMIN_TOKEN;
use crate::support::{blog, each_database, raw};

const METHODS: [&str; 7] = ["GET", "POST", "PATCH", "DELETE", "SEARCH", "PUT", "OPTIONS"];

/// Targets that mean something; `@` stands for `/items/`.
const TARGETS: [&str; 22] = [
    "@articles?fields=*,comments.*&filter={\"views\":{\"_gt\":5}}&sort=-views&limit=10&meta=*",
    "@articles?fields=id,writer.name,topics.topic.name&deep={\"topics\":{\"_limit\":2,\"_sort\":\"-position\"}}",
    "@articles?filter[writer][country][_eq]=FR&filter[_or][0][views][_lt]=3&page=2",
    "@articles?aggregate[count]=*&aggregate[sum]=price,views&groupBy=status,year(day)&sort=status",
    "@articles?search=lorem&fields=title&alias[head]=title",
    "@articles/1?fields=blocks.item:text_blocks.content,blocks.collection",
    "@samples?filter={\"amount\":{\"_between\":[\"1.00\",\"55.5\"]}}&sort=moment,-day",
    "@samples?filter={\"moment\":{\"_gte\":\"$NOW(-2 years)\"},\"year(day)\":{\"_in\":[2024]}}",
    "@writers?filter={\"articles\":{\"_none\":{\"status\":{\"_eq\":\"draft\"}}}}&fields=*.*",
    "@notes",
    "@notes/1",
    "@albums?fields=*,tracks.*",
    "@strict",
    "@places/one%20two",
    "@things",
    "@preferences",
    "@values",
    "@order",
    "@languages/en",
    "/users/me",
    "/server/health",
    "/auth/login",
];

const BODIES: [&str; 14] = [
    r#"{"name":"fuzz","whole":12,"flag":true,"shape":{"a":[1,2,{"b":null}]},"ratio":"1.250"}"#,
    r#"[{"name":"a"},{"name":"b","children":[{"name":"c"}]}]"#,
    r#"{"keys":[1,2,3],"data":{"whole":7}}"#,
    r#"{"query":{"filter":{"name":{"_eq":"fuzz"}}},"data":{"name":"x"}}"#,
    r#"{"query":{"filter":{"id":{"_in":[1,2]}},"fields":["id","name"],"sort":["-id"],"limit":5}}"#,
    r#"{"name":"a","tracks":{"create":[{"name":"t"}],"update":[{"id":1,"name":"u"}],"delete":[2]},"genres":[{"genre":{"name":"g"}}]}"#,
    r#"{"name":"p","parts":[{"collection":"text_parts","item":{"content":"x"}}],"label":{"name":"l"},"cover":null}"#,
    r#"{"title":"fine","age":30,"mail":"a@b","colour":"red","size":1,"marks":["a"]}"#,
    r#"{"id":"one two","name":"Place"}"#,
    r#"{"word":"w","large":"9007199254740993","amount":"12.34","day":"2024-02-29","moment":"2024-01-01T00:00:00Z","code":"c0ffee00-0000-4000-8000-000000000001","raw":"AAEC","list":["a"]}"#,
    r#"{"email":"admin@example.com","password":"no"}"#,
    r#"[1,2,3]"#,
    r#"{"site_name":"fuzz"}"#,
    "",
];

/// Pieces that break things elsewhere.
const PIECES: [&str; 36] = [
    "'",
    "\"",
    "`",
    ";",
    "--",
    "%",
    "_",
    "\\",
    "\0",
    "\u{202e}",
    "🚀",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    ".",
    "$",
    "(",
    ")",
    "*",
    "null",
    "-1",
    "1e999",
    "99999999999999999999",
    "true",
    "_and",
    "_or",
    "_some",
    "$NOW",
    "$CURRENT_USER",
    "__proto__",
    "../..",
    "select",
    "\n",
];

/// Changes a text in one of many ways.
fn mutate(random: &mut Random, text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len() + 1);
        let piece = *random.pick(&PIECES);
        match random.below(7) {
            0 => drop(bytes.splice(at..at, piece.bytes())),
            1 if at < bytes.len() => drop(bytes.splice(at..=at, piece.bytes())),
            2 => bytes.truncate(at),
            3 => {
                let end = (at + random.below(12)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, part));
            }
            4 => {
                let end = (at + random.below(8)).min(bytes.len());
                drop(bytes.drain(at..end));
            }
            5 if at < bytes.len() => bytes[at] = random.next() as u8,
            _ => {
                // A word for another word.
                let whole = String::from_utf8_lossy(&bytes).into_owned();
                let words: Vec<&str> = whole
                    .split(|sign: char| !sign.is_alphanumeric() && sign != '_')
                    .filter(|w| !w.is_empty())
                    .collect();
                if words.len() > 1 {
                    let (old, new) = (*random.pick(&words), *random.pick(&words));
                    bytes = whole.replacen(old, if random.one_in(3) { piece } else { new }, 1).into_bytes();
                }
            }
        }
    }
    bytes
}

/// Encodes what may not stand in the first line of a request, and leaves the rest as it is. (What is no HTTP at
/// all is the subject of `bad_input`.)
fn encode_target(target: &[u8]) -> Vec<u8> {
    let mut encoded = if target.first() == Some(&b'/') { Vec::new() } else { vec![b'/'] };
    for &byte in target {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%[]{}".contains(&byte) {
            encoded.push(byte);
        } else {
            encoded.extend(format!("%{byte:02X}").bytes());
        }
    }
    encoded
}

fn request(random: &mut Random) -> Vec<u8> {
    let target = random.pick(&TARGETS).replace('@', "/items/");
    let target = if random.one_in(2) { target.into_bytes() } else { mutate(random, &target) };
    let body = *random.pick(&BODIES);
    let body = if random.one_in(2) { body.as_bytes().to_vec() } else { mutate(random, body) };
    let (method, has_body) = match random.below(10) {
        0..=3 => ("GET", false),
        4..=8 => (METHODS[1 + random.below(4)], true),
        _ => (*random.pick(&METHODS), random.one_in(2)),
    };
    let mut bytes = format!("{method} ").into_bytes();
    bytes.extend(encode_target(&target));
    bytes.extend(b" HTTP/1.1\r\nhost: x\r\n");
    if !random.one_in(20) {
        bytes.extend(format!("authorization: Bearer {ADMIN_TOKEN}\r\n").bytes());
    }
    if has_body {
        let kind = if random.one_in(25) { "text/plain" } else { "application/json" };
        bytes.extend(format!("content-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len()).bytes());
        bytes.extend(body);
    } else {
        bytes.extend(b"\r\n");
    }
    bytes
}

#[tokio::test]
async fn mutated_requests_get_an_answer() {
    each_database(async |engine| {
        let (mut server, _database) = blog::own(engine).await;
        blog::seed(&server.admin()).await;
        let address = format!("127.0.0.1:{}", server.port());
        let mut random = Random::new(20_260_302);
        let mut stream = TcpStream::connect(&address).await.expect("a connection");
        let mut by_class = [0_usize; 6];
        let mut wrong = Vec::new();
        for number in 0..3000 {
            let bytes = request(&mut random);
            let sent = stream.write_all(&bytes).await;
            let answer = match sent {
                Ok(()) => raw::read_answer(&mut stream).await,
                Err(error) => Err(error),
            };
            let shown = || format!("{number}: {}", String::from_utf8_lossy(&bytes));
            match answer {
                Ok(answer) => {
                    by_class[usize::from(answer.status / 100).min(5)] += 1;
                    if answer.status >= 500 {
                        wrong.push(format!(
                            "{}\n  -> {} {}",
                            shown(),
                            answer.status,
                            String::from_utf8_lossy(&answer.body)
                        ));
                    }
                    let closes = answer.head.to_ascii_lowercase().contains("connection: close");
                    let is_json = answer.head.to_ascii_lowercase().contains("application/json");
                    if is_json
                        && serde_json::from_slice::<Value>(&answer.body).is_err()
                        && !answer.body.is_empty()
                    {
                        wrong.push(format!(
                            "{}\n  -> no JSON: {}",
                            shown(),
                            String::from_utf8_lossy(&answer.body)
                        ));
                    }
                    if closes {
                        stream = TcpStream::connect(&address).await.expect("a connection");
                    }
                }
                Err(error) => {
                    wrong.push(format!("{}\n  -> {error}", shown()));
                    stream = TcpStream::connect(&address).await.expect("a connection");
                }
            }
        }
        eprintln!("{engine}: answers by class {:?}", &by_class[1..]);
        assert!(wrong.is_empty(), "{} of 3000:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
        assert!(by_class[2] > 300 && by_class[4] > 300, "the mixture tests both: {by_class:?}");
        assert!(server.is_running());
    })
    .await;
}
