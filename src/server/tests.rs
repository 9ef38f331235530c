//! The edge over a real socket.

use std::borrow::Cow;
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

    fn class(&self, path: &[Cow<'_, str>]) -> RouteClass {
        if path.first().is_some_and(|first| first == "sign-in") {
            RouteClass::SignIn
        } else {
            RouteClass::Other
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
            ("CORS_ENABLED", "true"),
            ("CORS_ORIGIN", "https://app.example,http://localhost:3000"),
            ("RATE_LIMITER_AUTH_POINTS", "3"),
            ("IP_TRUST_PROXY", "1"),
            ("HSTS_ENABLED", "true"),
            ("HSTS_MAX_AGE", "1d"),
        ];
        let sources = Sources::from_texts(&environment, "", "").expect("valid");
        let Config { server, rate_limits, .. } = Config::from_sources(&sources).expect("valid");
        let listening = Listening::bind(&server).expect("a free port");
        let address = listening.address();
        std::thread::spawn(move || {
            let served = listening.serve(&server, Gate::new(&rate_limits, None), Arc::new(Echo));
            actix_web::rt::System::new().block_on(served).expect("served");
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
        "content-security-policy: default-src 'none';",
        "frame-ancestors 'none'",
        "cross-origin-opener-policy: same-origin\r\n",
        "strict-transport-security: max-age=86400; includeSubDomains\r\n",
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

#[test]
fn listed_origins_may_read_answers() {
    for origin in ["https://app.example", "http://localhost:3000"] {
        let allowed = format!("access-control-allow-origin: {origin}\r\n");
        let headers = format!("Origin: {origin}\r\n");
        let credentials = "access-control-allow-credentials: true\r\n";
        let exposed = "access-control-expose-headers: Content-Range\r\n";
        check(
            &send("GET", "/members", &headers, ""),
            200,
            &[&allowed, credentials, exposed, "vary: origin\r\n"],
        );
        check(&send("GET", "/nope", &headers, ""), 404, &[&allowed]);
        let preflight = format!("{headers}Access-Control-Request-Method: PATCH\r\n");
        let expected = [
            &allowed,
            credentials,
            "access-control-allow-methods: GET, POST, PATCH, DELETE, SEARCH\r\n",
            "access-control-allow-headers: Content-Type, Authorization\r\n",
            "access-control-max-age: 18000\r\n",
        ];
        check(&send("OPTIONS", "/anything", &preflight, ""), 204, &expected);
    }
}

#[test]
fn other_origins_are_told_nothing() {
    let others = [
        "null",
        "https://app.example.evil",
        "https://evil-app.example",
        "http://app.example",
        "https://APP.example",
        "*",
        "",
    ];
    for origin in others {
        let headers = format!("Origin: {origin}\r\nAccess-Control-Request-Method: POST\r\n");
        for (method, path) in [("GET", "/members"), ("OPTIONS", "/members")] {
            let answer = send(method, path, &headers, "");
            assert!(
                answer.contains("vary: origin") && !answer.contains("access-control"),
                "{origin}: {answer}"
            );
        }
    }
    assert!(!send("GET", "/members", "", "").contains("access-control"));
}

#[test]
fn both_reasons_for_different_answers_are_named() {
    let answer = send("GET", "/long", "Accept-Encoding: gzip\r\nOrigin: https://app.example\r\n", "");
    check(&answer, 200, &["vary: origin\r\n", "vary: accept-encoding\r\n"]);
}

#[test]
fn requests_beyond_the_limit_are_refused() {
    let from =
        |address: &str| send("POST", "/sign-in", &format!("X-Forwarded-For: 9.9.9.9, {address}\r\n"), "");
    for left in [2, 1, 0] {
        let limit = format!("ratelimit: \"sign-in\";r={left};t=");
        check(&from("203.0.113.1"), 404, &[&limit, "ratelimit-policy: \"sign-in\";q=3;w=60\r\n"]);
    }
    let expected = [
        "\"code\":\"REQUESTS_EXCEEDED\"",
        "\"limit\":3",
        "\"reset\":\"20",
        "retry-after: 20\r\n",
        "ratelimit: \"sign-in\";r=0;t=60\r\n",
    ];
    check(&from("203.0.113.1"), 429, &expected);
    check(&from("203.0.113.2"), 404, &[]);
    let other = send("GET", "/members", "X-Forwarded-For: 203.0.113.1\r\n", "");
    assert!(other.starts_with("HTTP/1.1 200") && !other.contains("ratelimit"), "{other}");
}
