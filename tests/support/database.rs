//! Fresh databases, and a look into them that does not go through the server.
//!
//! Each belongs to this process: its name carries the process id, so that a later run can remove what a killed
//! one left.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, PgConnection, Row};

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
    Mariadb,
}

impl Engine {
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "sqlite" => Some(Engine::Sqlite),
            "postgres" => Some(Engine::Postgres),
            "mariadb" => Some(Engine::Mariadb),
            _ => None,
        }
    }

    /// A value per kind, for the few places where a scenario has to speak the database's own language.
    pub fn pick<T>(self, sqlite: T, postgres: T, mariadb: T) -> T {
        match self {
            Engine::Sqlite => sqlite,
            Engine::Postgres => postgres,
            Engine::Mariadb => mariadb,
        }
    }

    /// A name that may be a word of SQL.
    pub fn quote(self, name: &str) -> String {
        let quote = self.pick('"', '"', '`');
        format!("{quote}{name}{quote}")
    }

    fn server_url(self) -> Option<String> {
        let variable = self.pick("", "TEST_POSTGRES_URL", "TEST_MARIADB_URL");
        if variable.is_empty() {
            return None;
        }
        Some(
            std::env::var(variable)
                .unwrap_or_else(|_| panic!("{variable} is not set; see tests/services/start.sh")),
        )
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.pick("sqlite", "postgres", "mariadb"))
    }
}

/// One database of its own; gone when dropped.
pub struct Database {
    pub engine: Engine,
    /// What `DATABASE_URL` is set to.
    pub url: String,
    name: String,
    server: Option<String>,
    dir: PathBuf,
}

impl Database {
    /// An empty database on the ordinary server of this kind.
    pub async fn fresh(engine: Engine) -> Self {
        Self::on_server(engine, engine.server_url()).await
    }

    /// An empty database on this server (none for SQLite, which is a file).
    pub async fn on_server(engine: Engine, server: Option<String>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        remove_leftovers();
        let name = format!("t_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = scratch_root().join(&name);
        std::fs::create_dir_all(&dir).expect("a directory for the test");
        let url = match &server {
            None => format!("sqlite:{}", dir.join("data.db").display()),
            Some(server) => {
                let collation = engine.pick("", "", " CHARACTER SET utf8mb4");
                execute_on(engine, server, &format!("CREATE DATABASE {name}{collation}")).await;
                with_database(server, &name)
            }
        };
        Database { engine, url, name, server, dir }
    }

    /// A database on PostgreSQL that is owned by a role of its own, which is bound by row level security; `url` connects as it.
    pub async fn fresh_of_plain_role() -> Self {
        let mut database = Self::fresh(Engine::Postgres).await;
        let (server, name) = (database.server.clone().expect("a server"), &database.name);
        let role = format!("r{name}");
        execute_on(Engine::Postgres, &server, &format!("DROP ROLE IF EXISTS {role}")).await;
        execute_on(Engine::Postgres, &server, &format!("CREATE ROLE {role} LOGIN PASSWORD 'plain'")).await;
        database
            .execute(&format!("ALTER DATABASE {name} OWNER TO {role}; ALTER SCHEMA public OWNER TO {role}"))
            .await;
        let mut url = url::Url::parse(&database.url).expect("an address");
        url.set_username(&role).expect("a name");
        url.set_password(Some("plain")).expect("a password");
        database.url = url.to_string();
        database
    }

    /// What a statement is refused with.
    pub async fn refusal(&self, sql: &str) -> String {
        let mut connection = PgConnection::connect(&self.url).await.expect("a connection");
        let refused = connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await;
        refused.expect_err(sql).to_string()
    }

    /// A directory that lives as long as the database, for logs and projects.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file of an SQLite database.
    pub fn file(&self) -> PathBuf {
        self.dir.join("data.db")
    }

    /// Runs statements that answer nothing.
    pub async fn execute(&self, sql: &str) {
        match self.engine {
            Engine::Sqlite => self.sqlite().execute_batch(sql).expect(sql),
            engine => execute_on(engine, &self.url, sql).await,
        }
    }

    /// Makes all who read or write a table of PostgreSQL wait, for as long as what this gives lives.
    pub async fn hold(&self, table: &str) -> Held {
        let mut connection = PgConnection::connect(&self.url).await.expect("a connection");
        let sql = format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
        connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.expect("the table");
        Held { _connection: connection }
    }

    /// Rows as texts, null as `NULL`.
    pub async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        match self.engine {
            Engine::Sqlite => self.sqlite_rows(sql),
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.expect("a connection");
                let rows =
                    connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.expect(sql);
                rows.iter().map(texts).collect()
            }
            Engine::Mariadb => {
                let mut connection = MySqlConnection::connect(&self.url).await.expect("a connection");
                let rows =
                    connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.expect(sql);
                rows.iter().map(texts).collect()
            }
        }
    }

    /// The one number that a statement answers.
    pub async fn number(&self, sql: &str) -> i64 {
        let rows = self.rows(sql).await;
        rows[0][0].parse().unwrap_or_else(|_| panic!("{sql}: {rows:?} is not a number"))
    }

    /// How many rows a table has where this holds.
    pub async fn count(&self, table: &str, condition: &str) -> i64 {
        self.number(&format!("SELECT count(*) FROM {table} WHERE {condition}")).await
    }

    /// Names of the columns of a table, in order; empty when there is no such table.
    pub async fn columns(&self, table: &str) -> Vec<String> {
        let sql = match self.engine {
            Engine::Sqlite => format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid"),
            Engine::Postgres => format!(
                "SELECT column_name FROM information_schema.columns \
                 WHERE table_schema = current_schema() AND table_name = '{table}' ORDER BY ordinal_position"
            ),
            Engine::Mariadb => format!(
                "SELECT column_name FROM information_schema.columns \
                 WHERE table_schema = database() AND table_name = '{table}' ORDER BY ordinal_position"
            ),
        };
        self.rows(&sql).await.into_iter().map(|mut row| row.remove(0)).collect()
    }

    /// Keeps a copy of every row of the outbox in `seen_events`, made by the database in the transaction that
    /// makes the row: the server removes its own as soon as the event is delivered.
    pub async fn watch_outbox(&self) {
        self.execute(
            "CREATE TABLE seen_events (id bigint PRIMARY KEY, event varchar(64), collection varchar(64), item varchar(255), \
             payload text, accountability text)",
        )
        .await;
        let columns = "id, event, collection, item, payload, accountability";
        let values = "NEW.id, NEW.event, NEW.collection, NEW.item, NEW.payload, NEW.accountability";
        let copy = format!("INSERT INTO seen_events ({columns}) VALUES ({values})");
        let on = "AFTER INSERT ON tablature_outbox FOR EACH ROW";
        let trigger = self.engine.pick(
            format!("CREATE TRIGGER see_events {on} BEGIN {copy}; END"),
            format!(
                "CREATE FUNCTION see_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {copy}; RETURN NEW; END $$; \
                 CREATE TRIGGER see_events {on} EXECUTE FUNCTION see_event()"
            ),
            format!("CREATE TRIGGER see_events {on} {copy}"),
        );
        self.execute(&trigger).await;
    }

    fn sqlite(&self) -> rusqlite::Connection {
        let connection = rusqlite::Connection::open(self.file()).expect("the database file");
        connection.busy_timeout(std::time::Duration::from_secs(10)).expect("a timeout");
        connection
    }

    fn sqlite_rows(&self, sql: &str) -> Vec<Vec<String>> {
        use rusqlite::types::ValueRef as Cell;
        let connection = self.sqlite();
        let mut statement = connection.prepare(sql).expect(sql);
        let width = statement.column_count();
        let rows = statement.query_map([], |row| {
            let text = |index| {
                Ok(match row.get_ref(index)? {
                    Cell::Null => "NULL".to_owned(),
                    Cell::Integer(number) => number.to_string(),
                    Cell::Real(number) => number.to_string(),
                    Cell::Text(bytes) | Cell::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                })
            };
            (0..width).map(text).collect()
        });
        rows.expect(sql).collect::<Result<_, _>>().expect(sql)
    }
}

/// A table that nobody else can use until the connection in here is closed.
pub struct Held {
    _connection: PgConnection,
}

impl Drop for Database {
    fn drop(&mut self) {
        // A scenario that failed may have left connections open, hence a forced end on PostgreSQL. Nothing here
        // may panic, as that would hide why the scenario failed.
        if let Some(server) = self.server.take() {
            drop_in_background(self.engine, server, self.name.clone()).join().ok();
        }
        if !std::thread::panicking() {
            std::fs::remove_dir_all(&self.dir).ok();
        }
    }
}

/// Where the files of test runs are.
fn scratch_root() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("api")
}

/// The server's address with another database in it.
fn with_database(server: &str, name: &str) -> String {
    let (base, _) = server.rsplit_once('/').expect("a path in the address of a database server");
    format!("{base}/{name}")
}

async fn execute_on(engine: Engine, url: &str, sql: &str) {
    match engine {
        Engine::Sqlite => unreachable!("SQLite has no server"),
        Engine::Postgres => {
            let mut connection = PgConnection::connect(url).await.expect("a connection to PostgreSQL");
            connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.expect(sql);
            connection.close().await.ok();
        }
        Engine::Mariadb => {
            let mut connection = MySqlConnection::connect(url).await.expect("a connection to MariaDB");
            connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.expect(sql);
            connection.close().await.ok();
        }
    }
}

/// All cells of a row as texts: the simple protocol sends every value as one.
fn texts<R>(row: &R) -> Vec<String>
where
    R: Row,
    usize: sqlx::ColumnIndex<R>,
    for<'a> Option<String>: sqlx::Decode<'a, R::Database>,
{
    (0..row.len())
        .map(|index| {
            let cell: Result<Option<String>, _> = row.try_get_unchecked(index);
            cell.expect("a cell as text").unwrap_or_else(|| "NULL".to_owned())
        })
        .collect()
}

/// Drops a database from a thread of its own, as there may be no runtime left to do it on.
fn drop_in_background(engine: Engine, server: String, name: String) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        let sql = format!("DROP DATABASE IF EXISTS {name}{}", engine.pick("", " WITH (FORCE)", ""));
        runtime.block_on(async {
            let statement = sqlx::raw_sql(AssertSqlSafe(sql));
            match engine {
                Engine::Sqlite => {}
                Engine::Postgres => {
                    if let Ok(mut connection) = PgConnection::connect(&server).await {
                        connection.execute(statement).await.ok();
                    }
                }
                Engine::Mariadb => {
                    if let Ok(mut connection) = MySqlConnection::connect(&server).await {
                        connection.execute(statement).await.ok();
                    }
                }
            }
        });
    })
}

/// Removes what runs that were killed, and servers shared between scenarios, have left behind.
fn remove_leftovers() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if let Ok(entries) = std::fs::read_dir(scratch_root()) {
            for entry in entries.flatten() {
                if is_left_over(&entry.file_name().to_string_lossy()) {
                    std::fs::remove_dir_all(entry.path()).ok();
                }
            }
        }
        for engine in super::engines() {
            let Some(server) = engine.server_url() else { continue };
            for name in database_names(engine, server.clone()) {
                if is_left_over(&name) {
                    drop_in_background(engine, server.clone(), name).join().ok();
                }
            }
        }
    });
}

/// Belongs to a process that is no more.
fn is_left_over(name: &str) -> bool {
    let process = name.strip_prefix("t_").and_then(|rest| rest.split_once('_')).map(|(process, _)| process);
    let process = process.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    process.is_some_and(|process| !Path::new("/proc").join(process).exists())
}

fn database_names(engine: Engine, server: String) -> Vec<String> {
    let list = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        runtime.block_on(async {
            match engine {
                Engine::Sqlite => None,
                Engine::Postgres => {
                    let mut connection = PgConnection::connect(&server).await.ok()?;
                    sqlx::query_scalar("SELECT datname::text FROM pg_database")
                        .fetch_all(&mut connection)
                        .await
                        .ok()
                }
                Engine::Mariadb => {
                    let mut connection = MySqlConnection::connect(&server).await.ok()?;
                    let sql = "SELECT CAST(schema_name AS CHAR) FROM information_schema.schemata";
                    sqlx::query_scalar(sql).fetch_all(&mut connection).await.ok()
                }
            }
        })
    });
    list.join().ok().flatten().unwrap_or_default()
}
