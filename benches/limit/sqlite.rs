//! The handlers on SQLite: reads in place on the HTTP worker, writes on one thread that commits groups.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::mpsc;
use std::time::Instant;

use actix_web::web::{self, Bytes, Data, Path};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use anyhow::Result;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row, Statement, params};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::article::{self, Body, Change, NewArticle};
use crate::data::{Cell, Table};
use crate::{Caller, Failure, PAGE, REMOVAL_EVERY, Read, answer, authorize, caller, json, token, workers};

const ITEM: &str = "SELECT id, title, status, body, views, price, featured, meta, author, published_at \
                    FROM articles WHERE id = ?1";
const LIST: &str = "SELECT id, title, status, body, views, price, featured, meta, author, published_at \
                    FROM articles ORDER BY id LIMIT 25 OFFSET ?1";
const FILTERED: &str = "SELECT id, title, status, body, views, price, featured, meta, author, published_at \
                        FROM articles WHERE status = ?1 AND views > ?2 ORDER BY published_at DESC, id LIMIT 25";
const COUNT: &str = "SELECT count(*) FROM articles WHERE status = ?1 AND views > ?2";
const GROUPED: &str =
    "SELECT status, count(*), sum(price), max(views) FROM articles GROUP BY status ORDER BY status";
// A list of parameters as long as the page; what is missing of it is null and finds nothing.
const AUTHORS: &str = "SELECT id, name, email FROM authors \
    WHERE id IN (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24,?25)";
const COMMENTS: &str = "SELECT article, id, name, body, written_at FROM comments \
    WHERE article IN (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24,?25) \
    ORDER BY article, id";
const TAGS: &str = "SELECT link.article, tag.id, tag.name FROM articles_tags link JOIN tags tag ON tag.id = link.tag \
    WHERE link.article IN (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24,?25) \
    ORDER BY link.article, link.id";
const CREATE: &str = "INSERT INTO articles \
    (id, title, status, body, views, price, featured, meta, author, published_at, created_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
    RETURNING id, title, status, body, views, price, featured, meta, author, published_at";
const UPDATE: &str = "UPDATE articles SET status = ?2, views = ?3, price = ?4, updated_at = ?5 WHERE id = ?1 \
    RETURNING id, title, status, body, views, price, featured, meta, author, published_at, slug, created_at, updated_at";
const ACTIVITY: &str = "INSERT INTO directus_activity \
    (action, user, timestamp, ip, user_agent, collection, item) VALUES (?1, ?2, ?3, ?4, ?5, 'articles', ?6)";
const REVISION: &str = "INSERT INTO directus_revisions (activity, collection, item, data, delta) \
    VALUES (?1, 'articles', ?2, ?3, ?4)";
const OUTBOX: &str = "INSERT INTO tablature_outbox (created_at, event, collection, item, payload, accountability) \
    VALUES (?1, ?2, 'articles', ?3, ?4, ?5)";
const REMOVE: &str = "DELETE FROM tablature_outbox WHERE id <= ?1";

/// Most writes that share a commit.
const GROUP: usize = 64;

/// Serves until the process is stopped.
pub async fn serve(path: &str, port: u16) -> Result<()> {
    let token = token()?;
    let writer = Writer::start(path)?;
    let path = path.to_owned();
    let server = HttpServer::new(move || {
        let reader =
            open(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the writer has opened the same file");
        App::new()
            .app_data(web::PayloadConfig::new(4 << 20))
            .app_data(Data::new(Server { reader, writer: writer.clone(), token: token.clone() }))
            .route("/items/articles/{id}", web::get().to(one))
            .route("/items/articles", web::get().to(list))
            .route("/items/articles", web::post().to(create))
            .route("/items/articles/{id}", web::patch().to(update))
    });
    Ok(server.workers(workers()).bind(("127.0.0.1", port))?.run().await?)
}

/// What each HTTP worker has.
struct Server {
    reader: Connection,
    writer: Writer,
    token: String,
}

fn open(path: &str, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.execute_batch(
        "PRAGMA mmap_size = 268435456; PRAGMA cache_size = -16000; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000;",
    )?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

// ---------------------------------------------------------------- reads

async fn one(request: HttpRequest, server: Data<Server>, id: Path<String>) -> Result<HttpResponse, Failure> {
    authorize(&request, &server.token)?;
    let mut statement = server.reader.prepare_cached(ITEM)?;
    let mut rows = statement.query([id.as_str()])?;
    let row = rows.next()?.ok_or(Failure::NOT_FOUND)?;
    let mut out = Vec::with_capacity(2048);
    out.extend_from_slice(b"{\"data\":");
    write_article(&mut out, row)?;
    out.extend_from_slice(b"}}");
    Ok(answer(out))
}

async fn list(request: HttpRequest, server: Data<Server>) -> Result<HttpResponse, Failure> {
    authorize(&request, &server.token)?;
    let mut out = Vec::with_capacity(32 << 10);
    out.extend_from_slice(b"{\"data\":[");
    match Read::of(request.query_string()).ok_or(Failure::NOT_FOUND)? {
        Read::Page { page } => {
            let mut statement = server.reader.prepare_cached(LIST)?;
            statement.raw_bind_parameter(1, (page - 1) * PAGE)?;
            write_articles(&mut out, &mut statement)?;
        }
        Read::Filtered { status, more_than } => {
            let mut statement = server.reader.prepare_cached(FILTERED)?;
            statement.raw_bind_parameter(1, status)?;
            statement.raw_bind_parameter(2, more_than)?;
            write_articles(&mut out, &mut statement)?;
            let mut count = server.reader.prepare_cached(COUNT)?;
            let count: i64 = count.query_row(params![status, more_than], |row| row.get(0))?;
            out.extend_from_slice(b"],\"meta\":{\"filter_count\":");
            json::integer(&mut out, count);
            out.extend_from_slice(b"}}");
            return Ok(answer(out));
        }
        Read::Nested { page } => write_nested(&mut out, &server.reader, (page - 1) * PAGE)?,
        Read::Grouped => {
            let mut statement = server.reader.prepare_cached(GROUPED)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                separate(&mut out);
                out.extend_from_slice(b"{\"status\":");
                write_text(&mut out, row.get_ref(0)?)?;
                out.extend_from_slice(b",\"count\":\"");
                json::integer(&mut out, row.get(1)?);
                out.extend_from_slice(b"\",\"sum\":{\"price\":");
                write_cents(&mut out, row.get_ref(2)?)?;
                out.extend_from_slice(b"},\"max\":{\"views\":");
                write_integer(&mut out, row.get_ref(3)?)?;
                out.extend_from_slice(b"}}");
            }
        }
    }
    out.extend_from_slice(b"]}");
    Ok(answer(out))
}

/// Writes a comma between the items of a list.
fn separate(out: &mut Vec<u8>) {
    if out.last() != Some(&b'[') {
        out.push(b',');
    }
}

fn write_articles(out: &mut Vec<u8>, statement: &mut Statement<'_>) -> Result<()> {
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        separate(out);
        write_article(out, row)?;
        out.push(b'}');
    }
    Ok(())
}

/// Writes a page with its relations: one statement each, their rows kept as JSON until the articles are put together.
fn write_nested(out: &mut Vec<u8>, reader: &Connection, offset: i64) -> Result<()> {
    let mut articles = Vec::with_capacity(32 << 10);
    let mut pieces: Vec<Range<usize>> = Vec::with_capacity(PAGE as usize);
    let mut keys: Vec<String> = Vec::with_capacity(PAGE as usize);
    let mut authors: Vec<Option<String>> = Vec::with_capacity(PAGE as usize);
    let mut statement = reader.prepare_cached(LIST)?;
    statement.raw_bind_parameter(1, offset)?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        let begin = articles.len();
        write_head(&mut articles, row)?;
        write_published_at(&mut articles, row.get_ref(9)?)?;
        pieces.push(begin..articles.len());
        keys.push(row.get(0)?);
        authors.push(row.get(8)?);
    }

    let mut distinct: Vec<&String> = authors.iter().flatten().collect();
    distinct.sort_unstable();
    distinct.dedup();
    let mut author_json = Vec::with_capacity(4 << 10);
    let mut author_pieces: HashMap<String, Range<usize>> = HashMap::with_capacity(distinct.len());
    let mut statement = reader.prepare_cached(AUTHORS)?;
    bind_keys(&mut statement, &distinct)?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        let begin = author_json.len();
        author_json.extend_from_slice(b"{\"id\":");
        write_plain(&mut author_json, row.get_ref(0)?)?;
        author_json.extend_from_slice(b",\"name\":");
        write_text(&mut author_json, row.get_ref(1)?)?;
        author_json.extend_from_slice(b",\"email\":");
        write_text(&mut author_json, row.get_ref(2)?)?;
        author_json.push(b'}');
        author_pieces.insert(row.get(0)?, begin..author_json.len());
    }

    let comments = children(reader, COMMENTS, &keys, |out, row| {
        out.extend_from_slice(b"{\"id\":");
        write_plain(out, row.get_ref(1)?)?;
        out.extend_from_slice(b",\"name\":");
        write_text(out, row.get_ref(2)?)?;
        out.extend_from_slice(b",\"body\":");
        write_text(out, row.get_ref(3)?)?;
        out.extend_from_slice(b",\"written_at\":");
        write_plain(out, row.get_ref(4)?)?;
        out.push(b'}');
        Ok(())
    })?;
    let tags = children(reader, TAGS, &keys, |out, row| {
        out.extend_from_slice(b"{\"tag\":{\"id\":");
        write_plain(out, row.get_ref(1)?)?;
        out.extend_from_slice(b",\"name\":");
        write_text(out, row.get_ref(2)?)?;
        out.extend_from_slice(b"}}");
        Ok(())
    })?;

    for (position, piece) in pieces.into_iter().enumerate() {
        separate(out);
        out.extend_from_slice(&articles[piece]);
        out.extend_from_slice(b",\"author\":");
        match authors[position].as_ref().and_then(|key| author_pieces.get(key)) {
            Some(piece) => out.extend_from_slice(&author_json[piece.clone()]),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"comments\":[");
        out.extend_from_slice(comments.of(&keys[position]));
        out.extend_from_slice(b"],\"tags\":[");
        out.extend_from_slice(tags.of(&keys[position]));
        out.extend_from_slice(b"]}");
    }
    Ok(())
}

/// The items of a relation as JSON, those of each article side by side.
struct Children {
    json: Vec<u8>,
    pieces: HashMap<String, Range<usize>>,
}

impl Children {
    fn of(&self, article: &str) -> &[u8] {
        self.pieces.get(article).map_or(&[], |piece| &self.json[piece.clone()])
    }
}

/// Reads rows that come ordered by the article in their first column.
fn children(
    reader: &Connection,
    sql: &str,
    articles: &[String],
    write: impl Fn(&mut Vec<u8>, &Row<'_>) -> Result<()>,
) -> Result<Children> {
    let mut children =
        Children { json: Vec::with_capacity(16 << 10), pieces: HashMap::with_capacity(articles.len()) };
    let mut statement = reader.prepare_cached(sql)?;
    bind_keys(&mut statement, articles)?;
    let mut rows = statement.raw_query();
    let mut article = String::new();
    let mut begin = 0;
    while let Some(row) = rows.next()? {
        let parent = row.get_ref(0)?.as_str()?;
        if parent == article {
            children.json.push(b',');
        } else {
            children
                .pieces
                .insert(std::mem::replace(&mut article, parent.to_owned()), begin..children.json.len());
            begin = children.json.len();
        }
        write(&mut children.json, row)?;
    }
    children.pieces.insert(article, begin..children.json.len());
    Ok(children)
}

fn bind_keys(statement: &mut Statement<'_>, keys: &[impl AsRef<str>]) -> Result<()> {
    for position in 0..PAGE as usize {
        statement.raw_bind_parameter(position + 1, keys.get(position).map(AsRef::as_ref))?;
    }
    Ok(())
}

/// Writes an article but for the closing brace.
fn write_article(out: &mut Vec<u8>, row: &Row<'_>) -> Result<()> {
    write_head(out, row)?;
    out.extend_from_slice(b",\"author\":");
    write_plain(out, row.get_ref(8)?)?;
    write_published_at(out, row.get_ref(9)?)
}

fn write_head(out: &mut Vec<u8>, row: &Row<'_>) -> Result<()> {
    out.extend_from_slice(b"{\"id\":");
    write_plain(out, row.get_ref(0)?)?;
    out.extend_from_slice(b",\"title\":");
    write_text(out, row.get_ref(1)?)?;
    out.extend_from_slice(b",\"status\":");
    write_text(out, row.get_ref(2)?)?;
    out.extend_from_slice(b",\"body\":");
    write_text(out, row.get_ref(3)?)?;
    out.extend_from_slice(b",\"views\":");
    write_integer(out, row.get_ref(4)?)?;
    out.extend_from_slice(b",\"price\":");
    write_cents(out, row.get_ref(5)?)?;
    out.extend_from_slice(b",\"featured\":");
    match row.get_ref(6)? {
        ValueRef::Null => out.extend_from_slice(b"null"),
        value => json::boolean(out, value.as_i64()? != 0),
    }
    out.extend_from_slice(b",\"meta\":");
    match row.get_ref(7)? {
        ValueRef::Null => out.extend_from_slice(b"null"),
        value => out.extend_from_slice(value.as_bytes()?),
    }
    Ok(())
}

fn write_published_at(out: &mut Vec<u8>, value: ValueRef<'_>) -> Result<()> {
    out.extend_from_slice(b",\"published_at\":");
    write_plain(out, value)
}

fn write_text(out: &mut Vec<u8>, value: ValueRef<'_>) -> Result<()> {
    match value {
        ValueRef::Null => out.extend_from_slice(b"null"),
        value => json::text(out, value.as_bytes()?),
    }
    Ok(())
}

fn write_plain(out: &mut Vec<u8>, value: ValueRef<'_>) -> Result<()> {
    match value {
        ValueRef::Null => out.extend_from_slice(b"null"),
        value => json::plain(out, value.as_bytes()?),
    }
    Ok(())
}

fn write_integer(out: &mut Vec<u8>, value: ValueRef<'_>) -> Result<()> {
    match value {
        ValueRef::Null => out.extend_from_slice(b"null"),
        value => json::integer(out, value.as_i64()?),
    }
    Ok(())
}

fn write_cents(out: &mut Vec<u8>, value: ValueRef<'_>) -> Result<()> {
    match value {
        ValueRef::Null => out.extend_from_slice(b"null"),
        value => json::cents(out, value.as_i64()?),
    }
    Ok(())
}

// ---------------------------------------------------------------- writes

async fn create(request: HttpRequest, server: Data<Server>, body: Bytes) -> Result<HttpResponse, Failure> {
    authorize(&request, &server.token)?;
    let (articles, is_list) = match article::parse(&body)? {
        Body::One(article) => (vec![*article], false),
        Body::Many(articles) => (articles, true),
    };
    let articles = articles.into_iter().map(|article| (article.payload(), article)).collect();
    Ok(answer(server.writer.run(Write::Create { articles, is_list }, caller(&request)).await?))
}

async fn update(
    request: HttpRequest,
    server: Data<Server>,
    id: Path<String>,
    body: Bytes,
) -> Result<HttpResponse, Failure> {
    authorize(&request, &server.token)?;
    let write = Write::Update { id: id.into_inner(), change: Change::parse(&body)? };
    Ok(answer(server.writer.run(write, caller(&request)).await?))
}

enum Write {
    Create { articles: Vec<(Vec<u8>, NewArticle)>, is_list: bool },
    Update { id: String, change: Change },
}

struct Job {
    write: Write,
    caller: Caller,
    reply: oneshot::Sender<Result<Vec<u8>>>,
}

/// The thread that writes.
#[derive(Clone)]
struct Writer(mpsc::Sender<Job>);

impl Writer {
    fn start(path: &str) -> Result<Self> {
        let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;",
        )?;
        let user: Option<String> =
            connection.query_row("SELECT (SELECT id FROM directus_users LIMIT 1)", [], |row| row.get(0))?;
        let (sender, jobs) = mpsc::channel();
        std::thread::spawn(move || {
            let mut removed = Instant::now();
            while let Ok(first) = jobs.recv() {
                commit_group(&connection, user.as_deref(), first, &jobs);
                // Nobody listens to the events, and the last row written is one.
                if removed.elapsed() > REMOVAL_EVERY {
                    let remove = connection.prepare_cached(REMOVE);
                    drop(remove.and_then(|mut remove| remove.execute([connection.last_insert_rowid()])));
                    removed = Instant::now();
                }
            }
        });
        Ok(Writer(sender))
    }

    async fn run(&self, write: Write, caller: Caller) -> Result<Vec<u8>> {
        let (reply, done) = oneshot::channel();
        self.0.send(Job { write, caller, reply })?;
        done.await?
    }
}

/// Runs a job and those that wait behind it in one transaction, then answers them all.
fn commit_group(connection: &Connection, user: Option<&str>, first: Job, jobs: &mpsc::Receiver<Job>) {
    let mut done = Vec::with_capacity(GROUP);
    let run = |sql: &str| connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
    let mut outcome = run("BEGIN IMMEDIATE");
    let mut next = Some(first);
    while let Some(job) = next.take() {
        let result = run("SAVEPOINT job").map_err(Into::into).and_then(|_| {
            let result = run_job(connection, user, job.write, &job.caller);
            if result.is_err() {
                run("ROLLBACK TO job")?;
            }
            run("RELEASE job")?;
            result
        });
        done.push((job.reply, result));
        if done.len() < GROUP {
            next = jobs.try_recv().ok();
        }
    }
    outcome = outcome.and_then(|_| run("COMMIT"));
    for (reply, result) in done {
        let result = match &outcome {
            Ok(_) => result,
            Err(cause) => Err(anyhow::anyhow!("{cause}")),
        };
        // A client that has left does not wait for its answer.
        drop(reply.send(result));
    }
}

fn run_job(connection: &Connection, user: Option<&str>, write: Write, caller: &Caller) -> Result<Vec<u8>> {
    let now = article::now();
    let moment = json::moment_text(now);
    let moment = std::str::from_utf8(&moment)?;
    let mut out = Vec::with_capacity(2048);
    out.extend_from_slice(b"{\"data\":");
    match write {
        Write::Create { articles, is_list } => {
            if is_list {
                out.push(b'[');
            }
            let mut statement = connection.prepare_cached(CREATE)?;
            let mut keys = Vec::with_capacity(articles.len());
            for (_, article) in &articles {
                let id = Uuid::now_v7().to_string();
                let published_at = article.published_at.map(json::moment_text);
                let published_at = published_at.as_ref().map(|text| std::str::from_utf8(text)).transpose()?;
                let mut rows = statement.query(params![
                    id,
                    article.title,
                    article.status.as_deref().unwrap_or("draft"),
                    article.body,
                    article.views.unwrap_or(0),
                    article.price,
                    article.featured.unwrap_or(false),
                    article.meta.as_ref().map(ToString::to_string),
                    article.author.map(|author| author.to_string()),
                    published_at,
                    moment,
                ])?;
                let row = rows.next()?.ok_or_else(|| anyhow::anyhow!("an insert returned nothing"))?;
                if is_list {
                    separate(&mut out);
                }
                write_article(&mut out, row)?;
                out.push(b'}');
                // The statement has to be run to its end.
                while rows.next()?.is_some() {}
                keys.push(id);
            }
            for (id, (payload, _)) in keys.iter().zip(&articles) {
                let payload = std::str::from_utf8(payload)?;
                record(connection, user, caller, "create", moment, id, payload, payload)?;
            }
            out.extend_from_slice(if is_list { b"]}" } else { b"}" });
        }
        Write::Update { id, change } => {
            let mut statement = connection.prepare_cached(UPDATE)?;
            let mut rows = statement.query(params![id, change.status, change.views, change.price, moment])?;
            let row = rows.next()?.ok_or_else(|| anyhow::anyhow!("no such article"))?;
            let begin = out.len();
            write_article(&mut out, row)?;
            let mut whole = out[begin..].to_vec();
            whole.extend_from_slice(b",\"slug\":");
            write_text(&mut whole, row.get_ref(10)?)?;
            whole.extend_from_slice(b",\"created_at\":");
            write_plain(&mut whole, row.get_ref(11)?)?;
            whole.extend_from_slice(b",\"updated_at\":");
            write_plain(&mut whole, row.get_ref(12)?)?;
            whole.push(b'}');
            while rows.next()?.is_some() {}
            out.extend_from_slice(b"}}");
            let payload = change.payload(now);
            let (data, delta) = (std::str::from_utf8(&whole)?, std::str::from_utf8(&payload)?);
            record(connection, user, caller, "update", moment, &id, data, delta)?;
        }
    }
    Ok(out)
}

/// Writes the activity, the revision and the event of one change.
#[expect(clippy::too_many_arguments, reason = "the columns of three rows")]
fn record(
    connection: &Connection,
    user: Option<&str>,
    caller: &Caller,
    action: &str,
    moment: &str,
    item: &str,
    data: &str,
    delta: &str,
) -> Result<()> {
    connection.prepare_cached(ACTIVITY)?.execute(params![
        action,
        user,
        moment,
        caller.address,
        caller.user_agent,
        item
    ])?;
    connection.prepare_cached(REVISION)?.execute(params![
        connection.last_insert_rowid(),
        item,
        data,
        delta
    ])?;
    connection.prepare_cached(OUTBOX)?.execute(params![
        moment,
        if action == "create" { "items.create" } else { "items.update" },
        item,
        delta,
        user
    ])?;
    Ok(())
}

// ---------------------------------------------------------------- data

/// Fills the tables, which are there and empty.
pub fn load(path: &str, tables: &[Table]) -> Result<()> {
    let mut connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let transaction = connection.transaction()?;
    for table in tables {
        let places: Vec<String> = (1..=table.columns.len()).map(|number| format!("?{number}")).collect();
        let sql = format!(
            "INSERT INTO \"{}\" ({}) VALUES ({})",
            table.name,
            table.columns.join(", "),
            places.join(", ")
        );
        let mut statement = transaction.prepare(&sql)?;
        for row in &table.rows {
            for (position, cell) in row.iter().enumerate() {
                let position = position + 1;
                match cell {
                    Cell::Key(key) => statement.raw_bind_parameter(position, key.to_string())?,
                    Cell::Text(text) => statement.raw_bind_parameter(position, text)?,
                    Cell::Integer(value) | Cell::Cents(value) => {
                        statement.raw_bind_parameter(position, value)?
                    }
                    Cell::Boolean(value) => statement.raw_bind_parameter(position, value)?,
                    Cell::Moment(value) => statement
                        .raw_bind_parameter(position, std::str::from_utf8(&json::moment_text(*value))?)?,
                }
            }
            statement.raw_execute()?;
        }
    }
    transaction.commit()?;
    // The file is copied afterwards, without what would still be in the log.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

/// Rows per table, and how many events there have been.
pub fn counts(path: &str) -> Result<HashMap<&'static str, i64>> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let count = |(name, sql)| Ok((name, connection.query_row(sql, [], |row| row.get(0))?));
    [
        ("articles", "SELECT count(*) FROM articles"),
        ("activity", "SELECT count(*) FROM directus_activity"),
        ("revisions", "SELECT count(*) FROM directus_revisions"),
        ("events", "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'tablature_outbox'"),
    ]
    .into_iter()
    .map(count)
    .collect()
}
