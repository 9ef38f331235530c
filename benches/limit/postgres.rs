//! The handlers on PostgreSQL: a few connections per HTTP worker, values in the binary form of the wire.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

use actix_web::web::{self, Bytes, Data, Path};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use anyhow::{Context as _, Result, ensure};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgConnection, PgHasArrayType, PgRow, PgTypeInfo};
use sqlx::{AssertSqlSafe, Connection as _, Encode, Postgres, Row as _, Type, ValueRef as _};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::article::{self, Body, Change, NewArticle};
use crate::data::{Cell, Table};
use crate::{Caller, Failure, PAGE, REMOVAL_EVERY, Read, answer, authorize, caller, json, token, workers};

const ITEM: &str = "SELECT id, title, status, body, views, price, featured, meta, author, published_at \
                    FROM articles WHERE id = $1";
const LIST: &str = "SELECT id, title, status, body, views, price, featured, meta, author, published_at \
                    FROM articles ORDER BY id LIMIT 25 OFFSET $1";
const FILTERED: &str = "SELECT id, title, status, body, views, price, featured, meta, author, published_at \
                        FROM articles WHERE status = $1 AND views > $2 ORDER BY published_at DESC, id LIMIT 25";
const COUNT: &str = "SELECT count(*) FROM articles WHERE status = $1 AND views > $2";
const GROUPED: &str =
    "SELECT status, count(*), sum(price), max(views) FROM articles GROUP BY status ORDER BY status";
const AUTHORS: &str = "SELECT id, name, email FROM authors WHERE id = ANY($1)";
const COMMENTS: &str = "SELECT article, id, name, body, written_at FROM comments WHERE article = ANY($1) \
                        ORDER BY article, id";
const TAGS: &str = "SELECT link.article, tag.id, tag.name FROM articles_tags link JOIN tags tag ON tag.id = link.tag \
                    WHERE link.article = ANY($1) ORDER BY link.article, link.id";
const CREATE: &str = "INSERT INTO articles \
    (id, title, status, body, views, price, featured, meta, author, published_at, created_at) \
    VALUES ($1, $2, $3, $4, $5, $6::numeric, $7, $8::json, $9, $10, $11) \
    RETURNING id, title, status, body, views, price, featured, meta, author, published_at";
const CREATE_MANY: &str = "INSERT INTO articles \
    (id, title, status, body, views, price, featured, meta, author, published_at, created_at) \
    SELECT id, title, status, body, views, price::numeric, featured, meta::json, author, published_at, $11 \
    FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
    AS sent (id, title, status, body, views, price, featured, meta, author, published_at) \
    RETURNING id, title, status, body, views, price, featured, meta, author, published_at";
const UPDATE: &str = "UPDATE articles SET status = $2, views = $3, price = $4::numeric, updated_at = $5 WHERE id = $1 \
    RETURNING id, title, status, body, views, price, featured, meta, author, published_at, slug, created_at, updated_at";
/// Activity, revision and event of any number of changes.
const RECORD: &str = "WITH changes AS (SELECT * FROM unnest($7, $8, $9) AS changes (item, data, delta)), \
    activity AS (INSERT INTO directus_activity (action, \"user\", timestamp, ip, user_agent, collection, item) \
        SELECT $1, $2, $3, $4, $5, 'articles', item FROM changes RETURNING id, item), \
    revision AS (INSERT INTO directus_revisions (activity, collection, item, data, delta) \
        SELECT activity.id, 'articles', item, data::json, delta::json FROM activity JOIN changes USING (item)) \
    INSERT INTO tablature_outbox (created_at, event, collection, item, payload, accountability) \
        SELECT $3, $6, 'articles', item, delta, $2::text FROM changes RETURNING id";
const REMOVE: &str = "DELETE FROM tablature_outbox WHERE id = ANY($1)";

/// Connections per HTTP worker; with two workers as many as the product opens.
const CONNECTIONS: usize = 5;

/// Serves until the process is stopped.
pub async fn serve(url: &str, port: u16) -> Result<()> {
    let token = token()?;
    let mut connection = PgConnection::connect(url).await?;
    let user = sqlx::query("SELECT id FROM directus_users LIMIT 1").fetch_optional(&mut connection).await?;
    let user = user.map(|row| read_uuid(&row, 0)).transpose()?.flatten();
    connection.close().await?;
    let url = url.to_owned();
    let server = HttpServer::new(move || {
        let pool = Pool { url: url.clone(), permits: Semaphore::new(CONNECTIONS), idle: RefCell::default() };
        let server = Data::new(Server { pool, user, token: token.clone(), events: RefCell::default() });
        actix_web::rt::spawn(remove_events(server.clone()));
        App::new()
            .app_data(web::PayloadConfig::new(4 << 20))
            .app_data(server)
            .route("/items/articles/{id}", web::get().to(one))
            .route("/items/articles", web::get().to(list))
            .route("/items/articles", web::post().to(create))
            .route("/items/articles/{id}", web::patch().to(update))
    });
    Ok(server.workers(workers()).bind(("127.0.0.1", port))?.run().await?)
}

/// What each HTTP worker has.
struct Server {
    pool: Pool,
    user: Option<Uuid>,
    token: String,
    /// Committed events, to be removed: nobody listens.
    events: RefCell<Vec<i64>>,
}

/// Empties the outbox behind those who write.
async fn remove_events(server: Data<Server>) {
    loop {
        tokio::time::sleep(REMOVAL_EVERY).await;
        let events = server.events.take();
        if events.is_empty() {
            continue;
        }
        let work = async |connection: &mut PgConnection| {
            Ok(sqlx::query(REMOVE).bind(events).execute(connection).await?)
        };
        // A benchmark that has lost its database ends anyway.
        drop(server.pool.with(work).await);
    }
}

/// The connections of one worker: one that another worker's thread wakes for costs more. The driver's own pool asks the
/// database whether a connection still lives each time it is given back, which is a round trip per request.
struct Pool {
    url: String,
    permits: Semaphore,
    idle: RefCell<Vec<PgConnection>>,
}

impl Pool {
    /// Lends a connection for some work; after a failure it is closed, since nobody knows where its protocol stands.
    async fn with<T>(&self, work: impl AsyncFnOnce(&mut PgConnection) -> Result<T>) -> Result<T> {
        let _permit = self.permits.acquire().await?;
        let idle = self.idle.borrow_mut().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => PgConnection::connect(&self.url).await?,
        };
        let result = work(&mut connection).await?;
        self.idle.borrow_mut().push(connection);
        Ok(result)
    }
}

// ---------------------------------------------------------------- values on their way to the database

/// A value that the driver has no type for, in binary form.
struct Binary<T>(T);

impl Type<Postgres> for Binary<Uuid> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(2950))
    }
}

impl PgHasArrayType for Binary<Uuid> {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(2951))
    }
}

impl Encode<'_, Postgres> for Binary<Uuid> {
    fn encode_by_ref(&self, out: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
}

/// Milliseconds since 1970 as `timestamptz`.
struct Moment(i64);

/// PostgreSQL counts from 2000.
const EPOCH_MS: i64 = 946_684_800_000;

impl Type<Postgres> for Moment {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1184))
    }
}

impl PgHasArrayType for Moment {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1185))
    }
}

impl Encode<'_, Postgres> for Moment {
    fn encode_by_ref(&self, out: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        out.extend_from_slice(&((self.0 - EPOCH_MS) * 1_000).to_be_bytes());
        Ok(IsNull::No)
    }
}

fn price_text(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", (cents / 100).abs(), (cents % 100).abs())
}

// ---------------------------------------------------------------- values on their way to the answer

/// The bytes of a column; none when it is null.
fn bytes(row: &PgRow, column: usize) -> Result<Option<&[u8]>> {
    let value = row.try_get_raw(column)?;
    if value.is_null() {
        return Ok(None);
    }
    value.as_bytes().map(Some).map_err(|cause| anyhow::anyhow!(cause))
}

fn read_uuid(row: &PgRow, column: usize) -> Result<Option<Uuid>> {
    Ok(bytes(row, column)?.map(Uuid::from_slice).transpose()?)
}

fn write(
    out: &mut Vec<u8>,
    row: &PgRow,
    column: usize,
    write: impl FnOnce(&mut Vec<u8>, &[u8]) -> Result<()>,
) -> Result<()> {
    match bytes(row, column)? {
        None => out.extend_from_slice(b"null"),
        Some(bytes) => write(out, bytes)?,
    }
    Ok(())
}

fn uuid(out: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    json::uuid(out, Uuid::from_slice(bytes)?);
    Ok(())
}

fn text(out: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    json::text(out, bytes);
    Ok(())
}

fn verbatim(out: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    out.extend_from_slice(bytes);
    Ok(())
}

fn integer(out: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    json::integer(out, i32::from_be_bytes(bytes.try_into()?).into());
    Ok(())
}

fn big_integer(out: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    json::integer(out, i64::from_be_bytes(bytes.try_into()?));
    Ok(())
}

fn boolean(out: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    json::boolean(out, bytes == [1]);
    Ok(())
}

fn moment(out: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    json::moment(out, i64::from_be_bytes(bytes.try_into()?).div_euclid(1_000) + EPOCH_MS);
    Ok(())
}

/// Writes a `numeric`: digits to the base 10000 with the weight of the first, and how many decimals to show.
fn numeric(out: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    let number = |position: usize| {
        bytes.get(position..position + 2).map(|pair| i16::from_be_bytes([pair[0], pair[1]]))
    };
    let (Some(count), Some(weight), Some(sign), Some(scale)) = (number(0), number(2), number(4), number(6))
    else {
        anyhow::bail!("not a numeric");
    };
    ensure!(sign == 0 || sign == 0x4000, "not a number");
    // Digits that are not sent are zero, in front as well as behind.
    let digit = |place: i16| {
        let position = weight - place;
        let sent = (0..count).contains(&position).then(|| number(8 + 2 * position as usize)).flatten();
        sent.unwrap_or(0)
    };
    let four = |digit: i16| {
        [digit / 1000, digit / 100 % 10, digit / 10 % 10, digit % 10].map(|value| b'0' + value as u8)
    };
    out.push(b'"');
    if sign != 0 {
        out.push(b'-');
    }
    json::integer(out, digit(weight.max(0)).into());
    for place in (0..weight.max(0)).rev() {
        out.extend_from_slice(&four(digit(place)));
    }
    if scale > 0 {
        out.push(b'.');
        let end = out.len() + scale as usize;
        for place in 1..=(scale + 3) / 4 {
            out.extend_from_slice(&four(digit(-place)));
        }
        out.truncate(end);
    }
    out.push(b'"');
    Ok(())
}

// ---------------------------------------------------------------- reads

async fn one(request: HttpRequest, server: Data<Server>, id: Path<String>) -> Result<HttpResponse, Failure> {
    authorize(&request, &server.token)?;
    let query = sqlx::query(ITEM).bind(Binary(Uuid::parse_str(&id)?));
    let row = server.pool.with(async |connection| Ok(query.fetch_optional(connection).await?)).await?;
    let mut out = Vec::with_capacity(2048);
    out.extend_from_slice(b"{\"data\":");
    write_article(&mut out, &row.ok_or(Failure::NOT_FOUND)?)?;
    out.extend_from_slice(b"}}");
    Ok(answer(out))
}

async fn list(request: HttpRequest, server: Data<Server>) -> Result<HttpResponse, Failure> {
    authorize(&request, &server.token)?;
    let read = Read::of(request.query_string()).ok_or(Failure::NOT_FOUND)?;
    Ok(answer(server.pool.with(async |connection| read_list(connection, read).await).await?))
}

async fn read_list(connection: &mut PgConnection, read: Read<'_>) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(32 << 10);
    out.extend_from_slice(b"{\"data\":[");
    match read {
        Read::Page { page } => {
            let rows = sqlx::query(LIST).bind((page - 1) * PAGE).fetch_all(connection).await?;
            write_articles(&mut out, &rows)?;
        }
        Read::Filtered { status, more_than } => {
            let more_than = i32::try_from(more_than)?;
            let rows = sqlx::query(FILTERED).bind(status).bind(more_than).fetch_all(&mut *connection).await?;
            write_articles(&mut out, &rows)?;
            let count = sqlx::query(COUNT).bind(status).bind(more_than).fetch_one(connection).await?;
            out.extend_from_slice(b"],\"meta\":{\"filter_count\":");
            write(&mut out, &count, 0, big_integer)?;
            out.extend_from_slice(b"}}");
            return Ok(out);
        }
        Read::Nested { page } => write_nested(&mut out, connection, (page - 1) * PAGE).await?,
        Read::Grouped => {
            for row in sqlx::query(GROUPED).fetch_all(connection).await? {
                separate(&mut out);
                out.extend_from_slice(b"{\"status\":");
                write(&mut out, &row, 0, text)?;
                out.extend_from_slice(b",\"count\":\"");
                write(&mut out, &row, 1, big_integer)?;
                out.extend_from_slice(b"\",\"sum\":{\"price\":");
                write(&mut out, &row, 2, numeric)?;
                out.extend_from_slice(b"},\"max\":{\"views\":");
                write(&mut out, &row, 3, integer)?;
                out.extend_from_slice(b"}}");
            }
        }
    }
    out.extend_from_slice(b"]}");
    Ok(out)
}

/// Writes a comma between the items of a list.
fn separate(out: &mut Vec<u8>) {
    if out.last() != Some(&b'[') {
        out.push(b',');
    }
}

fn write_articles(out: &mut Vec<u8>, rows: &[PgRow]) -> Result<()> {
    for row in rows {
        separate(out);
        write_article(out, row)?;
        out.push(b'}');
    }
    Ok(())
}

/// Writes a page with its relations: one statement each.
async fn write_nested(out: &mut Vec<u8>, connection: &mut PgConnection, offset: i64) -> Result<()> {
    let articles = sqlx::query(LIST).bind(offset).fetch_all(&mut *connection).await?;
    let key = |row: &PgRow| read_uuid(row, 0)?.context("a key is null");
    let keys: Vec<Uuid> = articles.iter().map(key).collect::<Result<_>>()?;
    let binary = |keys: &[Uuid]| keys.iter().copied().map(Binary).collect::<Vec<_>>();
    let mut authors: Vec<Uuid> = Vec::with_capacity(articles.len());
    for row in &articles {
        authors.extend(read_uuid(row, 8)?);
    }
    authors.sort_unstable();
    authors.dedup();

    let rows = sqlx::query(AUTHORS).bind(binary(&authors)).fetch_all(&mut *connection).await?;
    let mut author_json = Vec::with_capacity(4 << 10);
    let mut author_pieces: HashMap<Uuid, Range<usize>> = HashMap::with_capacity(rows.len());
    for row in &rows {
        let begin = author_json.len();
        author_json.extend_from_slice(b"{\"id\":");
        write(&mut author_json, row, 0, uuid)?;
        author_json.extend_from_slice(b",\"name\":");
        write(&mut author_json, row, 1, text)?;
        author_json.extend_from_slice(b",\"email\":");
        write(&mut author_json, row, 2, text)?;
        author_json.push(b'}');
        author_pieces.insert(key(row)?, begin..author_json.len());
    }

    let comments = sqlx::query(COMMENTS).bind(binary(&keys)).fetch_all(&mut *connection).await?;
    let comments = by_article(&comments)?;
    let tags = sqlx::query(TAGS).bind(binary(&keys)).fetch_all(&mut *connection).await?;
    let tags = by_article(&tags)?;

    for (row, key) in articles.iter().zip(&keys) {
        separate(out);
        write_head(out, row)?;
        write_published_at(out, row)?;
        out.extend_from_slice(b",\"author\":");
        match read_uuid(row, 8)?.and_then(|author| author_pieces.get(&author)) {
            Some(piece) => out.extend_from_slice(&author_json[piece.clone()]),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"comments\":[");
        for row in comments.get(key).copied().unwrap_or_default() {
            separate(out);
            out.extend_from_slice(b"{\"id\":");
            write(out, row, 1, uuid)?;
            out.extend_from_slice(b",\"name\":");
            write(out, row, 2, text)?;
            out.extend_from_slice(b",\"body\":");
            write(out, row, 3, text)?;
            out.extend_from_slice(b",\"written_at\":");
            write(out, row, 4, moment)?;
            out.push(b'}');
        }
        out.extend_from_slice(b"],\"tags\":[");
        for row in tags.get(key).copied().unwrap_or_default() {
            separate(out);
            out.extend_from_slice(b"{\"tag\":{\"id\":");
            write(out, row, 1, uuid)?;
            out.extend_from_slice(b",\"name\":");
            write(out, row, 2, text)?;
            out.extend_from_slice(b"}}");
        }
        out.extend_from_slice(b"]}");
    }
    Ok(())
}

/// The rows of each article; they come ordered by the article in their first column.
fn by_article(rows: &[PgRow]) -> Result<HashMap<Uuid, &[PgRow]>> {
    let mut pieces = HashMap::with_capacity(PAGE as usize);
    let mut begin = 0;
    for end in 1..=rows.len() {
        let article = bytes(&rows[begin], 0)?;
        if end == rows.len() || bytes(&rows[end], 0)? != article {
            pieces.insert(read_uuid(&rows[begin], 0)?.context("a key is null")?, &rows[begin..end]);
            begin = end;
        }
    }
    Ok(pieces)
}

/// Writes an article but for the closing brace.
fn write_article(out: &mut Vec<u8>, row: &PgRow) -> Result<()> {
    write_head(out, row)?;
    out.extend_from_slice(b",\"author\":");
    write(out, row, 8, uuid)?;
    write_published_at(out, row)
}

fn write_head(out: &mut Vec<u8>, row: &PgRow) -> Result<()> {
    out.extend_from_slice(b"{\"id\":");
    write(out, row, 0, uuid)?;
    out.extend_from_slice(b",\"title\":");
    write(out, row, 1, text)?;
    out.extend_from_slice(b",\"status\":");
    write(out, row, 2, text)?;
    out.extend_from_slice(b",\"body\":");
    write(out, row, 3, text)?;
    out.extend_from_slice(b",\"views\":");
    write(out, row, 4, integer)?;
    out.extend_from_slice(b",\"price\":");
    write(out, row, 5, numeric)?;
    out.extend_from_slice(b",\"featured\":");
    write(out, row, 6, boolean)?;
    out.extend_from_slice(b",\"meta\":");
    write(out, row, 7, verbatim)
}

fn write_published_at(out: &mut Vec<u8>, row: &PgRow) -> Result<()> {
    out.extend_from_slice(b",\"published_at\":");
    write(out, row, 9, moment)
}

// ---------------------------------------------------------------- writes

async fn create(request: HttpRequest, server: Data<Server>, body: Bytes) -> Result<HttpResponse, Failure> {
    authorize(&request, &server.token)?;
    let (articles, is_list) = match article::parse(&body)? {
        Body::One(article) => (vec![*article], false),
        Body::Many(articles) => (articles, true),
    };
    let now = article::now();
    let keys: Vec<Uuid> = articles.iter().map(|_| Uuid::now_v7()).collect();
    let items: Vec<String> = keys.iter().map(Uuid::to_string).collect();
    let payloads = articles
        .iter()
        .map(|article| Ok(String::from_utf8(article.payload())?))
        .collect::<Result<Vec<_>>>()?;

    let records =
        Records { action: "create", event: "items.create", items, data: payloads.clone(), delta: payloads };
    let work = async |connection: &mut PgConnection| {
        let mut transaction = connection.begin().await?;
        let rows = match articles.as_slice() {
            [article] => vec![insert(&mut transaction, keys[0], article, now).await?],
            _ => insert_many(&mut transaction, &keys, &articles, now).await?,
        };
        let events = records.insert(&mut transaction, server.user, &caller(&request), now).await?;
        transaction.commit().await?;
        server.events.borrow_mut().extend(events);
        Ok(rows)
    };
    let rows = server.pool.with(work).await?;

    let mut out = Vec::with_capacity(2048 * rows.len());
    out.extend_from_slice(if is_list { b"{\"data\":[" } else { b"{\"data\":" });
    if is_list {
        write_articles(&mut out, &rows)?;
        out.push(b']');
    } else {
        write_article(&mut out, &rows[0])?;
        out.push(b'}');
    }
    out.push(b'}');
    Ok(answer(out))
}

async fn insert(connection: &mut PgConnection, key: Uuid, article: &NewArticle, now: i64) -> Result<PgRow> {
    let query = sqlx::query(CREATE)
        .bind(Binary(key))
        .bind(&article.title)
        .bind(article.status.as_deref().unwrap_or("draft"))
        .bind(article.body.as_deref())
        .bind(article.views.unwrap_or(0))
        .bind(article.price.map(price_text))
        .bind(article.featured.unwrap_or(false))
        .bind(article.meta.as_ref().map(ToString::to_string))
        .bind(article.author.map(Binary))
        .bind(article.published_at.map(Moment))
        .bind(Moment(now));
    Ok(query.fetch_one(connection).await?)
}

async fn insert_many(
    connection: &mut PgConnection,
    keys: &[Uuid],
    articles: &[NewArticle],
    now: i64,
) -> Result<Vec<PgRow>> {
    let prices: Vec<_> = articles.iter().map(|article| article.price.map(price_text)).collect();
    let metas: Vec<_> =
        articles.iter().map(|article| article.meta.as_ref().map(ToString::to_string)).collect();
    let query = sqlx::query(CREATE_MANY)
        .bind(keys.iter().copied().map(Binary).collect::<Vec<_>>())
        .bind(articles.iter().map(|article| article.title.as_str()).collect::<Vec<_>>())
        .bind(articles.iter().map(|article| article.status.as_deref().unwrap_or("draft")).collect::<Vec<_>>())
        .bind(articles.iter().map(|article| article.body.as_deref()).collect::<Vec<_>>())
        .bind(articles.iter().map(|article| article.views.unwrap_or(0)).collect::<Vec<_>>())
        .bind(prices)
        .bind(articles.iter().map(|article| article.featured.unwrap_or(false)).collect::<Vec<_>>())
        .bind(metas)
        .bind(articles.iter().map(|article| article.author.map(Binary)).collect::<Vec<_>>())
        .bind(articles.iter().map(|article| article.published_at.map(Moment)).collect::<Vec<_>>())
        .bind(Moment(now));
    Ok(query.fetch_all(connection).await?)
}

async fn update(
    request: HttpRequest,
    server: Data<Server>,
    id: Path<String>,
    body: Bytes,
) -> Result<HttpResponse, Failure> {
    authorize(&request, &server.token)?;
    let change = Change::parse(&body)?;
    let now = article::now();
    let id = Uuid::parse_str(&id)?;
    let work = async |connection: &mut PgConnection| {
        let mut transaction = connection.begin().await?;
        let query = sqlx::query(UPDATE)
            .bind(Binary(id))
            .bind(&change.status)
            .bind(change.views)
            .bind(change.price.map(price_text))
            .bind(Moment(now));
        let row = query.fetch_one(&mut *transaction).await?;
        let mut article = Vec::with_capacity(2048);
        write_article(&mut article, &row)?;
        let mut whole = article.clone();
        whole.extend_from_slice(b",\"slug\":");
        write(&mut whole, &row, 10, text)?;
        whole.extend_from_slice(b",\"created_at\":");
        write(&mut whole, &row, 11, moment)?;
        whole.extend_from_slice(b",\"updated_at\":");
        write(&mut whole, &row, 12, moment)?;
        whole.push(b'}');
        let records = Records {
            action: "update",
            event: "items.update",
            items: vec![id.to_string()],
            data: vec![String::from_utf8(whole)?],
            delta: vec![String::from_utf8(change.payload(now))?],
        };
        let events = records.insert(&mut transaction, server.user, &caller(&request), now).await?;
        transaction.commit().await?;
        server.events.borrow_mut().extend(events);
        Ok(article)
    };
    let article = server.pool.with(work).await?;
    let mut out = Vec::with_capacity(article.len() + 16);
    out.extend_from_slice(b"{\"data\":");
    out.extend_from_slice(&article);
    out.extend_from_slice(b"}}");
    Ok(answer(out))
}

/// What is recorded about changes.
struct Records {
    action: &'static str,
    event: &'static str,
    items: Vec<String>,
    data: Vec<String>,
    delta: Vec<String>,
}

impl Records {
    /// Gives the numbers of the events.
    async fn insert(
        self,
        connection: &mut PgConnection,
        user: Option<Uuid>,
        caller: &Caller,
        now: i64,
    ) -> Result<Vec<i64>> {
        let query = sqlx::query(RECORD)
            .bind(self.action)
            .bind(user.map(Binary))
            .bind(Moment(now))
            .bind(&caller.address)
            .bind(&caller.user_agent)
            .bind(self.event)
            .bind(self.items)
            .bind(self.data)
            .bind(self.delta);
        let rows = query.fetch_all(connection).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }
}

// ---------------------------------------------------------------- data

/// Fills the tables, which are there and empty.
pub async fn load(url: &str, tables: &[Table]) -> Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    for table in tables {
        let mut lines = String::new();
        for row in &table.rows {
            for (position, cell) in row.iter().enumerate() {
                if position > 0 {
                    lines.push('\t');
                }
                match cell {
                    Cell::Key(key) => write!(lines, "{key}")?,
                    // None of the texts has a tab, a line end or a backslash.
                    Cell::Text(text) => lines.push_str(text),
                    Cell::Integer(value) => write!(lines, "{value}")?,
                    Cell::Cents(value) => lines.push_str(&price_text(*value)),
                    Cell::Boolean(value) => lines.push_str(if *value { "t" } else { "f" }),
                    Cell::Moment(value) => lines.push_str(std::str::from_utf8(&json::moment_text(*value))?),
                }
            }
            lines.push('\n');
        }
        let sql = format!("COPY \"{}\" ({}) FROM STDIN", table.name, table.columns.join(", "));
        let mut copy = connection.copy_in_raw(&sql).await?;
        copy.send(lines.as_bytes()).await?;
        copy.finish().await?;
    }
    // What the server would do by itself a minute later, in the middle of a measurement. Not to the tables that are still empty:
    // it would then plan the checks of their foreign keys for empty tables, and keep the plan.
    for table in tables {
        let sql = format!("VACUUM ANALYZE \"{}\"", table.name);
        sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await?;
    }
    Ok(connection.close().await?)
}

/// Rows per table, and how many events there have been.
pub async fn counts(url: &str) -> Result<HashMap<&'static str, i64>> {
    let mut connection = PgConnection::connect(url).await?;
    let mut counts = HashMap::new();
    for (name, sql) in [
        ("articles", "SELECT count(*) FROM articles"),
        ("activity", "SELECT count(*) FROM directus_activity"),
        ("revisions", "SELECT count(*) FROM directus_revisions"),
        ("events", "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM tablature_outbox_id_seq"),
    ] {
        counts.insert(name, sqlx::query(sql).fetch_one(&mut connection).await?.try_get(0)?);
    }
    connection.close().await?;
    Ok(counts)
}
