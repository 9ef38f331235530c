//! Databases behind a socket: PostgreSQL and MariaDB through sqlx.
//!
//! Start at [`ServerDatabase`]. What the two differ in stands in `postgres` and `mysql`, behind [`Server`].

mod mysql;
mod pool;
mod postgres;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use futures::future::BoxFuture;
use sqlx::database::HasStatementCache;
use sqlx::{AssertSqlSafe, Connection as _, Executor, IntoArguments};
use tokio::sync::mpsc;

use self::pool::{Pool, Pooled};
use super::cell::{Cell, RowView};
use super::json::aggregate::AggregateWriter;
use super::json::document::{self, Counts, ROWS_PER_PIECE};
use super::json::level::{KeySet, Level, LevelWriter};
use super::meter::Meter;
use super::row_security::Reach;
use super::transaction::{Driver, Transaction};
use super::{JsonBytes, Row, Settings};
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::query::{Plan, ReadPlan};
use crate::schema::ColumnType;
use crate::sql::row_security::{self, REACH_EVERYTHING};
use crate::sql::{Param, ReadStatements, Statement};

/// What tells the two database servers apart.
pub(super) trait Server: sqlx::Database<Row: RowView> + HasStatementCache + Sized {
    /// Name in metrics.
    const NAME: &'static str;
    /// Opens a transaction.
    const BEGIN: &'static str;
    /// Lifts the statement timeout, perhaps for longer than the transaction: the connection is closed after it.
    const UNLIMITED: &'static str;

    /// Where and how to connect.
    fn options(url: &str, settings: &Settings) -> Result<<Self::Connection as sqlx::Connection>::Options>;
    /// Run once on each new connection.
    fn session(settings: &Settings) -> Vec<String>;
    /// Parameters in the form that the statement's text expects.
    fn bind(params: &[Param], parent_keys: &[Scalar]) -> Result<Self::Arguments>;
    /// What the server reported, in the caller's terms.
    fn translate(error: &Self::DatabaseFailure, settings: &Settings) -> Option<Error>;
    /// Its error as this server's own type.
    type DatabaseFailure: sqlx::error::DatabaseError;
    /// Number that the server counted for the key of the row inserted last.
    fn last_insert_id(result: &Self::QueryResult) -> Option<u64>;
    /// Rows that a statement touched.
    fn rows_affected(result: &Self::QueryResult) -> u64;
    /// Wraps an open transaction.
    fn driver(transaction: ServerTransaction<Self>) -> Driver;
}

/// One database on a server.
pub(super) struct ServerDatabase<S: Server> {
    shared: Arc<Shared<S>>,
    reach: Reach,
}

impl<S: Server> Clone for ServerDatabase<S> {
    fn clone(&self) -> Self {
        ServerDatabase { shared: self.shared.clone(), reach: self.reach.clone() }
    }
}

struct Shared<S: Server> {
    pool: Pool<S>,
    settings: Settings,
    meter: Meter,
}

/// An open transaction.
pub(super) struct ServerTransaction<S: Server> {
    connection: Pooled<S>,
    shared: Arc<Shared<S>>,
}

/// Translates a failure of the driver. What is no answer of the server is a lost or unreachable server.
fn translate<S: Server>(error: sqlx::Error, settings: &Settings) -> Error {
    match error {
        sqlx::Error::Database(failure) => {
            let known = failure
                .try_downcast_ref::<S::DatabaseFailure>()
                .and_then(|failure| S::translate(failure, settings));
            // The driver's own error says everything twice.
            known.unwrap_or_else(|| Error::internal(anyhow::anyhow!("the database says: {failure}")))
        }
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
            tracing::warn!(%error, "the connection to the database is lost");
            unavailable("It cannot be reached.")
        }
        other => Error::internal(other),
    }
}

fn unavailable(reason: &str) -> Error {
    Error::ServiceUnavailable { service: "database", reason: reason.to_owned(), retry_after_s: 1 }
}

/// The server is away or going away, so that the same statement may succeed on another connection.
fn is_lost(error: &Error) -> bool {
    matches!(error, Error::ServiceUnavailable { .. })
}

impl<S: Server> ServerDatabase<S>
where
    S::Arguments: IntoArguments<S>,
    for<'c> &'c mut S::Connection: Executor<'c, Database = S>,
{
    /// How many connections are in use, and how many are open and idle.
    pub(super) fn connections(&self) -> (usize, usize) {
        self.shared.pool.connections()
    }

    /// Connects once, so that a wrong address or password is known at start.
    pub(super) async fn connect(url: &str, settings: &Settings) -> Result<Self> {
        let pool = Pool::new(S::options(url, settings)?, S::session(settings), settings);
        let shared = Shared { pool, settings: settings.clone(), meter: Meter::new(<S as Server>::NAME) };
        let database = ServerDatabase { shared: Arc::new(shared), reach: Reach::Everything };
        database.shared.pool.acquire().await?.release();
        if settings.row_security {
            database.check_role().await?;
        }
        Ok(database)
    }

    /// Row level security that does not hold for whoever connects would keep nobody apart.
    async fn check_role(&self) -> Result<()> {
        let found = self.rows(&row_security::select_exempt_role()).await?;
        let Some(Scalar::Text(role)) = found.first().and_then(|row| row.values.first()) else {
            return Ok(());
        };
        let reason = format!(
            "TENANCY_RLS is on, but row level security does not hold for the role \"{role}\" of DATABASE_URL: it is a \
             superuser or has BYPASSRLS. Connect as a role that is neither"
        );
        Err(Error::UnprocessableContent { reason })
    }

    /// The same database, as far as this reaches.
    pub(super) fn within(&self, reach: Reach) -> Self {
        ServerDatabase { shared: self.shared.clone(), reach }
    }

    /// Whether the database keeps tenants apart by itself.
    pub(super) fn has_row_security(&self) -> bool {
        self.shared.settings.row_security
    }

    /// A connection that reaches what it is meant to.
    async fn acquire(&self) -> Result<Pooled<S>> {
        loop {
            let mut connection = self.shared.pool.acquire().await?;
            if !self.has_row_security() {
                return Ok(connection);
            }
            match self.confine(&mut connection).await {
                Ok(()) => return Ok(connection),
                // It was lost while it lay idle.
                Err(error) if is_lost(&error) && connection.was_idle() => continue,
                Err(error) => return Err(error),
            }
        }
    }

    /// Opens a connection to all rows, or to those of some tenants, who are looked up with all in reach.
    async fn confine(&self, connection: &mut Pooled<S>) -> Result<()> {
        if connection.is_confined() {
            plain(connection.get()?, REACH_EVERYTHING, &self.shared).await?;
            connection.set_confined(false);
        }
        let Reach::Tenants(all) = &self.reach else { return Ok(()) };
        let mut reached = serde_json::Map::new();
        for tenants in all.iter() {
            let found = rows(connection.get()?, &tenants.found, &self.shared).await?;
            let key = |key: &Scalar| match key {
                Scalar::Text(text) => serde_json::Value::from(&**text),
                Scalar::Int(number) => number.to_string().into(),
                // Nothing else is a key.
                _ => serde_json::Value::Null,
            };
            let keys = found.iter().filter_map(|row| row.values.first()).map(key).collect();
            reached.insert(tenants.collection.to_string(), keys);
        }
        let reached = serde_json::Value::Object(reached).to_string();
        connection.set_confined(true);
        rows(connection.get()?, &row_security::reach(&reached), &self.shared).await.map(|_| ())
    }

    pub(super) async fn read_json(&self, plan: &Plan, statements: &ReadStatements) -> Result<JsonBytes> {
        loop {
            let mut connection = self.acquire().await?;
            let result = read_json(connection.get()?, plan, statements, &self.shared).await;
            if let Some(result) = connection.settle(result) {
                return result;
            }
        }
    }

    pub(super) async fn rows(&self, statement: &Statement) -> Result<Vec<Row>> {
        loop {
            let mut connection = self.acquire().await?;
            let result = rows(connection.get()?, statement, &self.shared).await;
            if let Some(result) = connection.settle(result) {
                return result;
            }
        }
    }

    /// See `Database::write_at_once`.
    pub(super) async fn write_at_once(&self, statement: &Statement) -> Result<Option<Vec<Row>>> {
        let mut connection = self.acquire().await?;
        if !connection.is_fresh() {
            connection.release();
            return Ok(None);
        }
        let result = rows(connection.get()?, statement, &self.shared).await;
        // A statement that failed has undone itself.
        if !matches!(&result, Err(error) if is_lost(error)) {
            connection.release();
        }
        result.map(Some)
    }

    /// See `Database::read_pieces`. The connection is closed afterwards, whose rows nobody may have read to their end.
    pub(super) async fn read_pieces(
        &self,
        plan: &Plan,
        statements: &ReadStatements,
        pieces: mpsc::Sender<JsonBytes>,
    ) -> Result<()> {
        let plan = match plan {
            Plan::Items(plan) => plan,
            Plan::Aggregate(_) => {
                let members = self.read_json(plan, statements).await?;
                let _ = pieces.send(document::list_of(members)).await;
                return Ok(());
            }
        };
        let Some((first, below)) = statements.levels.split_first() else { return Ok(()) };
        let mut opened = self.begin().await?;
        let connection = opened.connection.get()?;
        plain(connection, S::UNLIMITED, &self.shared).await?;
        let start = Instant::now();
        let arguments = S::bind(&first.params, &[])?;
        let mut found =
            connection.fetch(sqlx::query_with::<S, _>(AssertSqlSafe(first.text.clone()), arguments));
        let mut is_over = false;
        while !is_over {
            let mut key_sets: Vec<KeySet> = plan.nodes.iter().map(|_| KeySet::default()).collect();
            let mut writer = LevelWriter::new(plan, 0, &mut key_sets);
            let mut count = 0;
            while count < ROWS_PER_PIECE && !is_over {
                let row = found.try_next().await;
                match row.map_err(|error| translate::<S>(error, &self.shared.settings))? {
                    Some(row) => {
                        writer.push(&row)?;
                        count += 1;
                    }
                    None => is_over = true,
                }
            }
            let mut levels = vec![writer.finish()];
            if count == 0 {
                break;
            }
            if !below.is_empty() {
                // Rows are still coming in over the first connection.
                let mut second = self.acquire().await?;
                self.read_below(second.get()?, plan, below, key_sets, &mut levels).await?;
                second.release();
            }
            if pieces.send(document::piece(plan, levels)).await.is_err() {
                break;
            }
        }
        self.shared.meter.record(1, start);
        Ok(())
    }

    /// The levels below the first, for the rows of one piece.
    async fn read_below(
        &self,
        connection: &mut S::Connection,
        plan: &ReadPlan,
        statements: &[Statement],
        mut key_sets: Vec<KeySet>,
        levels: &mut Vec<Level>,
    ) -> Result<()> {
        for (position, statement) in statements.iter().enumerate() {
            let position = position + 1;
            if key_sets[position].is_empty() {
                levels.push(Level::default());
                continue;
            }
            let mut writer = LevelWriter::new(plan, position, &mut key_sets);
            let parent_keys = writer.parent_keys();
            each(connection, statement, &parent_keys, &self.shared, |row| writer.push(row)).await?;
            levels.push(writer.finish());
        }
        Ok(())
    }

    /// Opens a transaction; a connection that was lost while it lay idle is replaced.
    async fn begin(&self) -> Result<ServerTransaction<S>> {
        loop {
            let mut connection = self.acquire().await?;
            let was_idle = connection.was_idle();
            match plain(connection.get()?, S::BEGIN, &self.shared).await {
                Ok(()) => return Ok(ServerTransaction { connection, shared: self.shared.clone() }),
                Err(error) if is_lost(&error) && was_idle => continue,
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) async fn transaction<T, F>(&self, body: F, is_schema: bool) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Transaction) -> BoxFuture<'t, Result<T>> + Send + 'static,
        ServerTransaction<S>: TryFrom<Driver>,
    {
        let mut opened = self.begin().await?;
        if is_schema {
            plain(opened.connection.get()?, S::UNLIMITED, &self.shared).await?;
        }
        let mut transaction = Transaction::new(S::driver(opened));
        let result = body(&mut transaction).await;
        let foreign = || Error::internal(anyhow::anyhow!("a transaction changed its driver"));
        let mut opened =
            ServerTransaction::<S>::try_from(transaction.into_driver()).map_err(|_| foreign())?;
        let connection = opened.connection.get()?;
        match result {
            Ok(value) => {
                plain(connection, "COMMIT", &self.shared).await?;
                if !is_schema {
                    opened.connection.release();
                }
                Ok(value)
            }
            Err(error) => {
                // A connection that cannot roll back is closed instead, which has the same effect.
                if !is_schema && !is_lost(&error) && plain(connection, "ROLLBACK", &self.shared).await.is_ok()
                {
                    opened.connection.release();
                }
                Err(error)
            }
        }
    }
}

impl<S: Server> ServerTransaction<S>
where
    S::Arguments: IntoArguments<S>,
    for<'c> &'c mut S::Connection: Executor<'c, Database = S>,
{
    pub(super) async fn execute(&mut self, statement: &Statement) -> Result<S::QueryResult> {
        let start = Instant::now();
        let arguments = S::bind(&statement.params, &[])?;
        let query = sqlx::query_with::<S, _>(AssertSqlSafe(statement.text.clone()), arguments);
        let result = self.connection.get()?.execute(query).await;
        self.shared.meter.record(1, start);
        result.map_err(|error| translate::<S>(error, &self.shared.settings))
    }

    pub(super) async fn rows(&mut self, statement: &Statement) -> Result<Vec<Row>> {
        rows(self.connection.get()?, statement, &self.shared).await
    }

    pub(super) async fn read_json(&mut self, plan: &Plan, statements: &ReadStatements) -> Result<JsonBytes> {
        read_json(self.connection.get()?, plan, statements, &self.shared).await
    }
}

/// Runs a text without parameters in the simple protocol.
async fn plain<S: Server>(
    connection: &mut S::Connection,
    text: &'static str,
    shared: &Shared<S>,
) -> Result<()>
where
    for<'c> &'c mut S::Connection: Executor<'c, Database = S>,
{
    connection.execute(text).await.map(|_| ()).map_err(|error| translate::<S>(error, &shared.settings))
}

/// Runs a statement and hands its rows to `take`.
async fn each<S: Server>(
    connection: &mut S::Connection,
    statement: &Statement,
    parent_keys: &[Scalar],
    shared: &Shared<S>,
    mut take: impl FnMut(&S::Row) -> Result<()> + Send,
) -> Result<()>
where
    S::Arguments: IntoArguments<S>,
    for<'c> &'c mut S::Connection: Executor<'c, Database = S>,
{
    let start = Instant::now();
    let arguments = S::bind(&statement.params, parent_keys)?;
    let query = sqlx::query_with::<S, _>(AssertSqlSafe(statement.text.clone()), arguments);
    let mut failure = None;
    {
        let mut found = connection.fetch(query);
        loop {
            match found.try_next().await {
                Ok(Some(row)) => {
                    // After a failure the rest is still read, so that the connection stays in step.
                    if failure.is_none() {
                        failure = take(&row).err();
                    }
                }
                Ok(None) => break,
                Err(error) => return Err(translate::<S>(error, &shared.settings)),
            }
        }
    }
    shared.meter.record(1, start);
    failure.map_or(Ok(()), Err)
}

async fn rows<S: Server>(
    connection: &mut S::Connection,
    statement: &Statement,
    shared: &Shared<S>,
) -> Result<Vec<Row>>
where
    S::Arguments: IntoArguments<S>,
    for<'c> &'c mut S::Connection: Executor<'c, Database = S>,
{
    let mut found = Vec::new();
    each(connection, statement, &[], shared, |row| {
        found.push(Row::read(row, &statement.columns)?);
        Ok(())
    })
    .await?;
    Ok(found)
}

async fn read_json<S: Server>(
    connection: &mut S::Connection,
    plan: &Plan,
    statements: &ReadStatements,
    shared: &Shared<S>,
) -> Result<JsonBytes>
where
    S::Arguments: IntoArguments<S>,
    for<'c> &'c mut S::Connection: Executor<'c, Database = S>,
{
    match plan {
        Plan::Items(plan) => {
            let levels = read_items(connection, plan, statements, shared).await?;
            let counts = counts(connection, statements, shared).await?;
            document::assemble(plan, levels, counts)
        }
        Plan::Aggregate(plan) => {
            let mut writer = AggregateWriter::new(plan);
            for statement in &statements.levels {
                each(connection, statement, &[], shared, |row| writer.push(row)).await?;
            }
            let counts = counts(connection, statements, shared).await?;
            Ok(writer.finish(counts))
        }
    }
}

async fn read_items<S: Server>(
    connection: &mut S::Connection,
    plan: &ReadPlan,
    statements: &ReadStatements,
    shared: &Shared<S>,
) -> Result<Vec<Level>>
where
    S::Arguments: IntoArguments<S>,
    for<'c> &'c mut S::Connection: Executor<'c, Database = S>,
{
    let mut key_sets: Vec<KeySet> = plan.nodes.iter().map(|_| KeySet::default()).collect();
    let mut levels = Vec::with_capacity(plan.nodes.len());
    for (position, statement) in statements.levels.iter().enumerate() {
        if position > 0 && key_sets[position].is_empty() {
            levels.push(Level::default());
            continue;
        }
        let mut writer = LevelWriter::new(plan, position, &mut key_sets);
        let parent_keys = writer.parent_keys();
        each(connection, statement, &parent_keys, shared, |row| writer.push(row)).await?;
        levels.push(writer.finish());
    }
    Ok(levels)
}

async fn counts<S: Server>(
    connection: &mut S::Connection,
    statements: &ReadStatements,
    shared: &Shared<S>,
) -> Result<Counts>
where
    S::Arguments: IntoArguments<S>,
    for<'c> &'c mut S::Connection: Executor<'c, Database = S>,
{
    let mut counts = Counts::default();
    let wanted =
        [(&statements.total_count, &mut counts.total), (&statements.filter_count, &mut counts.filtered)];
    for (statement, count) in wanted {
        let Some(statement) = statement else { continue };
        each(connection, statement, &[], shared, |row| {
            if let Cell::Int(value) = row.cell(0, &ColumnType::BigInteger)? {
                *count = Some(value);
            }
            Ok(())
        })
        .await?;
    }
    Ok(counts)
}

/// Closes a connection without waiting for the server.
fn discard<S: Server>(connection: S::Connection) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            let _ = tokio::time::timeout(Duration::from_secs(1), connection.close_hard()).await;
        });
    }
}
