//! The way out, towards a server of this process.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;
use crate::config::{Config, Sources};

const BUDGET: Budget = Budget { time: Duration::from_secs(3), most_bytes: 1000 };

fn outbound(allow: &str, deny: &str) -> Outbound {
    let settings = [("OUTGOING_ALLOW", allow), ("IMPORT_IP_DENY_LIST", deny)];
    let sources = Sources::from_texts(&settings, "", "").expect("valid");
    Outbound::new(&Config::from_sources(&sources).expect("valid").outgoing)
}

/// Answers each connection with what `answer` makes of its request, and gives its port.
fn server(answer: impl Fn(&str) -> String + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap_or_default();
            let text = answer(&String::from_utf8_lossy(&request[..read]));
            stream.write_all(text.as_bytes()).ok();
        }
    });
    port
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn nothing_of_this_machine_is_reached() {
    let port = server(|_| ok("secret"));
    let out = outbound("", "");
    let hosts = ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "0x7f.1"];
    for host in hosts {
        let answer = out.get(&format!("http://{host}:{port}/"), &[], BUDGET).await;
        assert!(matches!(answer, Err(Failure::Refused(_))), "{host}: {answer:?}");
        let answer = out.post_form(&format!("http://{host}:{port}/"), &[("a", "b")], &[], BUDGET).await;
        assert!(matches!(answer, Err(Failure::Refused(_))), "{host}: {answer:?}");
    }
}

#[tokio::test]
async fn only_http() {
    let out = outbound("127.0.0.1", "");
    for url in ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "127.0.0.1", "http://", ""] {
        let answer = out.get(url, &[], BUDGET).await;
        assert!(matches!(answer, Err(Failure::NoAddress)), "{url}: {answer:?}");
    }
}

#[tokio::test]
async fn exceptions_are_reached() {
    let port = server(|request| ok(request.lines().next().unwrap_or_default()));
    for allow in ["127.0.0.0/8,::1", "localhost"] {
        let answer = outbound(allow, "").get(&format!("http://localhost:{port}/a?b"), &[], BUDGET).await;
        assert_eq!(answer.expect("an answer").body, b"GET /a?b HTTP/1.1");
    }
    let denied =
        outbound("localhost", "127.0.0.0/8,::1").get(&format!("http://localhost:{port}/"), &[], BUDGET).await;
    assert!(matches!(denied, Err(Failure::Refused(_))), "{denied:?}");
}

#[tokio::test]
async fn redirects_are_judged_and_carry_no_secrets_to_others() {
    let target = server(|request| ok(if request.contains("authorization: t") { "told" } else { "not told" }));
    let moved = |to: String| {
        format!("HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
    };
    let port = server(move |request| match request.split(' ').nth(1) {
        Some("/away") => moved(format!("http://127.0.0.1:{target}/")),
        Some("/inside") => moved("http://127.0.0.2/".to_owned()),
        Some("/file") => moved("file:///etc/passwd".to_owned()),
        Some("/here") => moved("/end".to_owned()),
        Some("/end") => ok(if request.contains("authorization: t") { "told" } else { "not told" }),
        _ => moved("/again".to_owned()),
    });
    let out = outbound("127.0.0.1", "");
    let headers = [(reqwest::header::AUTHORIZATION, "t".to_owned())];
    let get = async |path: &str| out.get(&format!("http://127.0.0.1:{port}{path}"), &headers, BUDGET).await;
    assert_eq!(get("/here").await.expect("an answer").body, b"told");
    assert_eq!(get("/away").await.expect("an answer").body, b"not told");
    assert!(matches!(get("/inside").await, Err(Failure::Refused(_))));
    assert!(matches!(get("/file").await, Err(Failure::NoAddress)));
    assert!(matches!(get("/again").await, Err(Failure::TooManyRedirects(_))));
    let form = out.post_form(&format!("http://127.0.0.1:{port}/away"), &[("a", "b")], &headers, BUDGET).await;
    assert_eq!(form.expect("an answer").status, 302);
}

#[tokio::test]
async fn answers_have_limits() {
    let port = server(|request| {
        if request.contains("/slow") {
            std::thread::sleep(Duration::from_secs(2));
        }
        ok(&"a".repeat(1001))
    });
    let out = outbound("127.0.0.1", "");
    let long = out.get(&format!("http://127.0.0.1:{port}/"), &[], BUDGET).await;
    assert!(matches!(long, Err(Failure::TooLong(_, 1000))), "{long:?}");
    let hasty = Budget { time: Duration::from_millis(200), ..BUDGET };
    let slow = out.get(&format!("http://127.0.0.1:{port}/slow"), &[], hasty).await;
    assert!(matches!(slow, Err(Failure::TooSlow(..))), "{slow:?}");
}

#[tokio::test]
async fn failures_tell_no_paths() {
    let out = outbound("127.0.0.1", "");
    let failure =
        out.get("http://127.0.0.1:1/path?token=hunter2", &[], BUDGET).await.expect_err("nobody listens");
    let text = failure.to_string();
    assert!(text.starts_with("127.0.0.1:1 cannot be reached") && !text.contains("hunter2"), "{text}");
}
