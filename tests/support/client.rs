//! Requests and answers.
//!
//! Start at [`Client`]. `get`, `post` and so on send at once; [`Client::request`] is for what needs headers or
//! a raw body. An [`Answer`] is taken apart with [`Answer::data`] when the scenario expects success,
//! [`Answer::refused`] when it does not.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// Characters of a query that need no encoding.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b',');

/// A client for what listens on this machine, without certificates and without following redirects.
pub fn http() -> reqwest::Client {
    // The server under test brings TLS into the client, which wants to know by what.
    rustls::crypto::ring::default_provider().install_default().ok();
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only([]);
    let builder = builder.redirect(reqwest::redirect::Policy::none()).timeout(Duration::from_secs(60));
    builder.build().expect("a client")
}

/// Somebody who sends requests.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Arc<str>,
    token: Option<Arc<str>>,
    log: Arc<PathBuf>,
}

impl Client {
    pub fn new(base: &str, token: Option<&str>, log: PathBuf) -> Self {
        Client { http: http(), base: base.into(), token: token.map(Into::into), log: Arc::new(log) }
    }

    /// The same server with another token, or none.
    pub fn with_token(&self, token: Option<&str>) -> Self {
        Client { token: token.map(Into::into), ..self.clone() }
    }

    /// `127.0.0.1:port` of the server.
    pub fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send().await
    }

    /// A read with parameters: lists are joined by commas, objects sent as JSON.
    pub async fn read(&self, path: &str, query: Value) -> Answer {
        self.request("GET", path).query(&query).send().await
    }

    /// The items of a collection.
    pub async fn items(&self, collection: &str, query: Value) -> Answer {
        self.read(&format!("/items/{collection}"), query).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.request("POST", path).json(&body).send().await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.request("PATCH", path).json(&body).send().await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path).send().await
    }

    pub async fn delete_with(&self, path: &str, body: Value) -> Answer {
        self.request("DELETE", path).json(&body).send().await
    }

    pub async fn search(&self, path: &str, body: Value) -> Answer {
        self.request("SEARCH", path).json(&body).send().await
    }

    /// Makes an item and gives it back, all its fields.
    #[track_caller]
    pub fn create(&self, collection: &str, body: Value) -> impl Future<Output = Value> {
        let request = self.request("POST", &format!("/items/{collection}")).json(&body);
        async move { request.send().await.data() }
    }

    /// A request to finish by hand.
    pub fn request(&self, method: &str, path: &str) -> Request {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut builder = self.http.request(method.clone(), format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            builder = builder.bearer_auth(token);
        }
        Request { builder, what: format!("{method} {path}"), log: self.log.clone() }
    }

    /// How many statements the server has sent to its database so far.
    pub async fn statements(&self) -> u64 {
        self.metric("tablature_sql_statements_total").await
    }

    /// Sum of a counter over all its labels.
    pub async fn metric(&self, name: &str) -> u64 {
        let answer = self.get("/metrics").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let text = answer.text();
        let lines = text
            .lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        let numbers: Vec<f64> = lines
            .map(|line| line.rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a number"))
            .collect();
        assert!(!numbers.is_empty(), "no metric {name} in\n{text}");
        numbers.iter().sum::<f64>() as u64
    }
}

/// A request that is being put together.
pub struct Request {
    builder: reqwest::RequestBuilder,
    what: String,
    log: Arc<PathBuf>,
}

impl Request {
    /// Parameters: lists of plain values are joined by commas, objects sent as JSON.
    pub fn query(self, query: &Value) -> Self {
        let members = query.as_object().expect("an object of parameters");
        let plain = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let pairs: Vec<(String, String)> = members
            .iter()
            .map(|(name, value)| {
                let text = match value {
                    Value::Array(list)
                        if list.iter().all(|entry| !entry.is_object() && !entry.is_array()) =>
                    {
                        list.iter().map(plain).collect::<Vec<_>>().join(",")
                    }
                    other => plain(other),
                };
                (name.clone(), text)
            })
            .collect();
        let what = format!("{}?{}", self.what, encode_pairs(&pairs));
        Request { builder: self.builder.query(&pairs), what, log: self.log }
    }

    pub fn header(self, name: &str, value: &str) -> Self {
        Request { builder: self.builder.header(name, value), ..self }
    }

    pub fn json(self, body: &Value) -> Self {
        let what = format!("{} {}", self.what, shorten(&body.to_string()));
        let builder = self.builder.header("content-type", "application/json").body(body.to_string());
        Request { builder, what, log: self.log }
    }

    pub fn body(self, body: impl Into<Vec<u8>>, content_type: &str) -> Self {
        Request { builder: self.builder.header("content-type", content_type).body(body.into()), ..self }
    }

    pub fn timeout(self, timeout: Duration) -> Self {
        Request { builder: self.builder.timeout(timeout), ..self }
    }

    pub async fn send(self) -> Answer {
        let what = self.what.clone();
        let log = self.log.clone();
        match self.try_send().await {
            Ok(answer) => answer,
            Err(error) => panic!("{what}: {error:?}\nlast lines of the server:\n{}", tail(&log)),
        }
    }

    /// For scenarios in which the server may be away.
    pub async fn try_send(self) -> reqwest::Result<Answer> {
        let Request { builder, what, log } = self;
        let response = builder.send().await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let bytes = response.bytes().await?.to_vec();
        Ok(Answer { what, status, headers, bytes, log })
    }
}

/// What the server said.
pub struct Answer {
    /// The request, for messages.
    pub what: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
    log: Arc<PathBuf>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// `data` of an answer that has to be a 200.
    #[track_caller]
    pub fn data(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json().get_mut("data").unwrap_or_else(|| panic!("no data: {self:?}")).take()
    }

    /// The items of an answer, one field of each.
    #[track_caller]
    pub fn column(&self, field: &str) -> Vec<Value> {
        let data = self.data();
        let rows = data.as_array().unwrap_or_else(|| panic!("not a list: {self:?}"));
        rows.iter()
            .map(|row| row.get(field).unwrap_or_else(|| panic!("no {field}: {self:?}")).clone())
            .collect()
    }

    /// Keys of the items, as whole numbers.
    #[track_caller]
    pub fn ids(&self) -> Vec<i64> {
        self.column("id")
            .iter()
            .map(|id| id.as_i64().unwrap_or_else(|| panic!("not a number: {self:?}")))
            .collect()
    }

    /// An answer without a body.
    #[track_caller]
    pub fn no_content(&self) {
        assert_eq!(self.status, 204, "{self:?}");
        assert!(self.bytes.is_empty(), "{self:?}");
    }

    /// The errors of an answer that has to be a refusal with this status and, first, this code. Each has a
    /// message.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Vec<Value> {
        assert_eq!(self.status, status, "{self:?}");
        let errors = self.errors();
        assert_eq!(errors[0]["extensions"]["code"], code, "{self:?}");
        errors
    }

    /// The errors of a refusal with this status, whatever their codes.
    #[track_caller]
    pub fn refused_with(&self, status: u16) -> Vec<Value> {
        assert_eq!(self.status, status, "{self:?}");
        self.errors()
    }

    /// `errors` of an answer, whatever its status.
    #[track_caller]
    pub fn errors(&self) -> Vec<Value> {
        let body = self.json();
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        assert!(!errors.is_empty(), "{self:?}");
        for error in &errors {
            assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{self:?}");
            assert!(error["extensions"]["code"].is_string(), "{self:?}");
        }
        errors
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n  -> {} {}", self.what, self.status, shorten(&self.text()))?;
        if self.status >= 500 {
            write!(f, "\nlast lines of the server:\n{}", tail(&self.log))?;
        }
        Ok(())
    }
}

/// Name and value pairs as they stand in an address.
pub fn encode_pairs(pairs: &[(String, String)]) -> String {
    let encode = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
    let encoded: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    encoded.join("&")
}

/// The end of a log.
pub fn tail(log: &std::path::Path) -> String {
    let text =
        std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(3000) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}
