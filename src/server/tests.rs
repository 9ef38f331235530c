//! The edge over a real socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::*;
use crate::config::{Config, Sources};
use crate::error::{Error, Result};

struct Echo;

impl Routes for Echo {
    async fn answer(&self, call: &mut Call<'_>) -> Result<Answer> {
        call.set_route("/test");
        match call.path.first().map(AsRef::as_ref) {
            Some("panic") => panic!("on purpose"),
            Some("json") => Ok(Answer::Document(call.json().await?.unwrap_or_default())),
            Some("members") => Ok(Answer::Members(b"\"data\":[1]".to_vec())),
            Some("parameters") => Ok(Answer::Document(serde_json::json!(call.parameters()?))),
            Some("long") => Ok(Answer::Text("text/plain", "long ".repeat(1000))),
            Some("unread") => Err(Error::Forbidden),
            _ => Err(Error::RouteNotFound { path: call.path.join("/") }),
        }
    }
}

/// One server for all tests of this file.
fn address() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| {
        let environment = [
            ("HOST", "127.0.0.1"),
            ("PORT", "0"),
            ("MAX_PAYLOAD_SIZE", "1kb"),
            ("MAX_JSON_DEPTH", "3"),
            ("WORKERS", "1"),
            ("COMPRESSION", "true"),
        ];
        let sources = Sources::from_texts(&environment, "", "").expect("valid");
        let config = Config::from_sources(&sources).expect("valid").server;
        let listening = Listening::bind(&config).expect("a free port");
        let address = listening.address();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(listening.serve(&config, Arc::new(Echo))).expect("served");
        });
        address
    })
}

fn exchange(request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address()).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
    stream.write_all(request).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("answered");
    String::from_utf8_lossy(&answer).into_owned()
}

fn send(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    exchange(
        format!(
            "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        )
        .as_bytes(),
    )
}

fn check(answer: &str, status: u16, parts: &[&str]) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    for part in parts {
        assert!(answer.contains(part), "{answer} lacks {part}");
    }
}

const JSON: &str = "Content-Type: application/json\r\n";

#[test]
fn answers_have_an_envelope_and_headers() {
    let answer = send("GET", "/members", "X-Request-Id: 019a0000-0000-7000-8000-000000000001\r\n", "");
    let headers = [
        "content-type: application/json; charset=utf-8\r\n",
        "x-content-type-options: nosniff\r\n",
        "referrer-policy: no-referrer\r\n",
        "cache-control: no-store\r\n",
        "x-request-id: 019a0000-0000-7000-8000-000000000001\r\n",
        "\r\n\r\n{\"data\":[1]}",
    ];
    check(&answer, 200, &headers);
    assert!(!send("HEAD", "/members", "", "").contains("data"));
    let invented = send("GET", "/members", "X-Request-Id: x\r\n", "");
    assert!(invented.contains("x-request-id: 0") && !invented.contains("x-request-id: x"), "{invented}");
}

#[test]
fn errors_have_codes() {
    check(&send("GET", "/nope", "", ""), 404, &["\"code\":\"ROUTE_NOT_FOUND\""]);
    check(&send("PURGE", "/nope", "", ""), 404, &["\"code\":\"ROUTE_NOT_FOUND\""]);
    check(&send("GET", "/%zz", "", ""), 400, &["\"code\":\"INVALID_QUERY\"", "percent-encoding"]);
    check(&send("GET", "/%00", "", ""), 400, &["null character"]);
    check(&send("GET", "/parameters?a=%ff", "", ""), 400, &["\"code\":\"INVALID_QUERY\""]);
    check(&send("GET", &format!("/{}", "a".repeat(9000)), "", ""), 414, &["request line"]);
    let long = format!("X-Long: {}\r\n", "a".repeat(17_000));
    check(&send("GET", "/members", &long, ""), 431, &["request headers"]);
}

#[test]
fn a_panic_is_an_answer() {
    check(&send("GET", "/panic", "", ""), 500, &["\"code\":\"INTERNAL_SERVER_ERROR\"", "\"id\":"]);
    check(&send("GET", "/members", "", ""), 200, &[]);
}

#[test]
fn bodies_have_limits() {
    check(&send("POST", "/json", JSON, "{\"a\":1.10}"), 200, &["{\"a\":1.10}"]);
    check(&send("POST", "/json", JSON, "{\"a\":"), 400, &["\"code\":\"INVALID_PAYLOAD\""]);
    check(&send("POST", "/json", JSON, "[[[[]]]]"), 400, &["MAX_JSON_DEPTH"]);
    check(&send("POST", "/json", JSON, &format!("\"{}\"", "a".repeat(2000))), 400, &["MAX_PAYLOAD_SIZE"]);
    check(
        &send("POST", "/json", "Content-Type: text/plain\r\n", "{\"a\":1}"),
        415,
        &["\"mediaType\":\"text/plain\""],
    );
    let announced =
        b"POST /json HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\n{";
    check(&exchange(announced), 400, &["MAX_PAYLOAD_SIZE"]);
    check(&send("POST", "/json", JSON, ""), 200, &["\r\n\r\nnull"]);
    let broken = b"POST /json HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 3\r\nConnection: close\r\n\r\n\"\xff\"";
    check(&exchange(broken), 400, &["\"code\":\"INVALID_PAYLOAD\""]);
}

#[test]
fn a_large_body_that_nobody_reads_breaks_no_connection() {
    let body = "a".repeat(3_000_000);
    check(&send("POST", "/unread", JSON, &body), 403, &["\"code\":\"FORBIDDEN\""]);
    check(&send("POST", "/json", JSON, &body), 400, &["MAX_PAYLOAD_SIZE"]);
}

#[test]
fn one_connection_serves_several_requests() {
    let request =
        b"POST /json HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n7\
        POST /unread HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\n8\
        GET /members HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    let answer = exchange(request);
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 403 Forbidden").count(), 1, "{answer}");
}

#[test]
fn tokens_stay_out_of_parameters() {
    check(&send("GET", "/parameters?access_token=t&a=b+c", "", ""), 200, &["\r\n\r\n[[\"a\",\"b c\"]]"]);
}

#[test]
fn long_answers_are_compressed_for_those_who_ask() {
    check(&send("GET", "/long", "Accept-Encoding: gzip\r\n", ""), 200, &["content-encoding: gzip\r\n"]);
    assert!(!send("GET", "/members", "Accept-Encoding: gzip\r\n", "").contains("content-encoding"));
}
