//! What the hardware and the drivers allow: the requests of `make bench` answered by hand-written handlers.
//!
//! Same drivers as the product, SQL written by hand, columns written straight into the answer, and the same work: every
//! write records its activity, its revision and its event in its own transaction and answers with the item. What is missing is
//! everything that makes the product general: a schema, a query language, permissions, validation that somebody can
//! configure. `benches/run.mjs` starts it beside the product and compares.
//!
//! Start at [`Read`] for the requests it knows, then see [`sqlite`] and [`postgres`].

mod article;
mod data;
mod json;
mod postgres;
mod sqlite;

use std::io::Write as _;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError};

// The product's allocator, so that the comparison is not about allocators.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: limit serve DATABASE PORT | load DATABASE | counts DATABASE | keys
DATABASE is sqlite:PATH or postgres://...; benches/run.sh is what calls this";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["serve", database, port] => serve(database, port.parse()?),
        ["load", database] => match database.strip_prefix("sqlite:") {
            Some(path) => sqlite::load(path, &data::tables()),
            None => in_runtime(postgres::load(database, &data::tables())),
        },
        ["counts", database] => {
            let counts = match database.strip_prefix("sqlite:") {
                Some(path) => sqlite::counts(path)?,
                None => in_runtime(postgres::counts(database))?,
            };
            Ok(writeln!(std::io::stdout(), "{}", serde_json::to_string(&counts)?)?)
        }
        ["keys"] => {
            let mut out = std::io::stdout().lock();
            data::article_keys().iter().try_for_each(|key| writeln!(out, "{key}"))?;
            Ok(())
        }
        _ => Ok(writeln!(std::io::stderr(), "{USAGE}")?),
    }
}

fn serve(database: &str, port: u16) -> anyhow::Result<()> {
    actix_web::rt::System::new().block_on(async {
        match database.strip_prefix("sqlite:") {
            Some(path) => sqlite::serve(path, port).await,
            None => postgres::serve(database, port).await,
        }
    })
}

fn in_runtime<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// Events that were committed are removed from the outbox together, this often, as the product does.
const REMOVAL_EVERY: Duration = Duration::from_millis(250);

/// HTTP workers; the product has one per core, too.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// A list that can be asked for.
enum Read<'a> {
    /// 25 articles with ten fields.
    Page { page: i64 },
    /// The same with author, comments and tags.
    Nested { page: i64 },
    /// 25 articles with a status and more than some views, the newest first, and how many there are.
    Filtered { status: &'a str, more_than: i64 },
    /// Figures per status.
    Grouped,
}

impl<'a> Read<'a> {
    /// Recognises a query string.
    fn of(query: &'a str) -> Option<Self> {
        if query.starts_with("aggregate") {
            return Some(Read::Grouped);
        }
        let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name));
        if let Some(status) = value("filter[status][_eq]=") {
            return Some(Read::Filtered { status, more_than: value("filter[views][_gt]=")?.parse().ok()? });
        }
        let page = value("page=")?.parse().ok()?;
        Some(if query.contains("author.") { Read::Nested { page } } else { Read::Page { page } })
    }
}

/// Rows of a page.
const PAGE: i64 = 25;

/// Who writes, for the activity row.
struct Caller {
    address: String,
    user_agent: Option<String>,
}

/// Refuses callers without the token.
fn authorize(request: &HttpRequest, token: &str) -> Result<(), Failure> {
    let given =
        request.headers().get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    if given == Some(token.as_bytes()) { Ok(()) } else { Err(Failure(StatusCode::UNAUTHORIZED, None)) }
}

fn caller(request: &HttpRequest) -> Caller {
    let header = |headers: &HeaderMap| Some(headers.get("user-agent")?.to_str().ok()?.to_owned());
    Caller {
        address: request.peer_addr().map(|address| address.ip().to_string()).unwrap_or_default(),
        user_agent: header(request.headers()),
    }
}

/// The token that the requests of the benchmark carry.
fn token() -> anyhow::Result<String> {
    Ok(std::env::var("ADMIN_TOKEN")?)
}

fn answer(body: Vec<u8>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8")))
        .body(body)
}

/// Why a request has no answer. The benchmark takes any as a reason to stop.
#[derive(Debug)]
struct Failure(StatusCode, Option<anyhow::Error>);

impl Failure {
    const NOT_FOUND: Failure = Failure(StatusCode::NOT_FOUND, None);
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.1 {
            Some(cause) => write!(f, "{cause:#}"),
            None => write!(f, "{}", self.0),
        }
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        self.0
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(cause: E) -> Self {
        Failure(StatusCode::INTERNAL_SERVER_ERROR, Some(cause.into()))
    }
}
