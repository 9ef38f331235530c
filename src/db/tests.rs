//! The drivers on real databases: SQLite always, the servers where `TEST_POSTGRES_URL` and `TEST_MARIADB_URL` name them.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use super::{Database, Settings, Target};
use crate::error::Error;
use crate::filter::Scalar;
use crate::schema::ColumnType;
use crate::sql::{Dialect, ListKind, NullKind, Param, Statement};

fn statement(text: &str, params: Vec<Param>, columns: &[ColumnType]) -> Statement {
    Statement { text: Arc::from(text), params, columns: Arc::from(columns) }
}

fn text(value: &str) -> Scalar {
    Scalar::Text(Arc::from(value))
}

async fn databases() -> Vec<Database> {
    let file = std::env::temp_dir().join(format!("tablature-db-{}.db", uuid::Uuid::now_v7()));
    let mut targets = vec![Target::Sqlite { path: file }];
    if let Ok(url) = std::env::var("TEST_POSTGRES_URL") {
        targets.push(Target::Postgres { url });
    }
    if let Ok(url) = std::env::var("TEST_MARIADB_URL") {
        targets.push(Target::Mysql { url });
    }
    let mut databases = Vec::new();
    for target in targets {
        databases.push(Database::connect(&Settings::new(target)).await.unwrap());
    }
    databases
}

/// Removes the database of a test at its end.
pub struct PrivateDatabase {
    server: Option<(Database, String)>,
    file: Option<std::path::PathBuf>,
}

impl PrivateDatabase {
    /// Drops it; what a failed test leaves behind goes with the servers of the run.
    pub async fn remove(self) {
        if let Some((server, name)) = self.server {
            let force = if server.dialect() == Dialect::Postgres { " WITH (FORCE)" } else { "" };
            drop(server.rows(&statement(&format!("DROP DATABASE {name}{force}"), vec![], &[])).await);
        }
        if let Some(file) = self.file {
            drop(std::fs::remove_file(file));
        }
    }
}

/// Databases of their own, empty: for tests that look at everything there is.
pub async fn private_databases() -> Vec<(Database, PrivateDatabase)> {
    let file = std::env::temp_dir().join(format!("tablature-db-{}.db", uuid::Uuid::now_v7()));
    let sqlite = Settings::new(Target::Sqlite { path: file.clone() });
    let mut all =
        vec![(Database::connect(&sqlite).await.unwrap(), PrivateDatabase { server: None, file: Some(file) })];
    for variable in ["TEST_POSTGRES_URL", "TEST_MARIADB_URL"] {
        let Ok(url) = std::env::var(variable) else { continue };
        let target = |url: String| match variable {
            "TEST_POSTGRES_URL" => Target::Postgres { url },
            _ => Target::Mysql { url },
        };
        let server = Database::connect(&Settings::new(target(url.clone()))).await.unwrap();
        let name = table();
        server.rows(&statement(&format!("CREATE DATABASE {name}"), vec![], &[])).await.unwrap();
        let own = format!("{}/{name}", url.rsplit_once('/').unwrap().0);
        let database = Database::connect(&Settings::new(target(own))).await.unwrap();
        all.push((database, PrivateDatabase { server: Some((server, name)), file: None }));
    }
    all
}

/// A name that no other run uses, since the servers are shared.
fn table() -> String {
    format!("t_{}", uuid::Uuid::now_v7().simple())
}

async fn run(database: &Database, statement: Statement) -> crate::error::Result<u64> {
    let result = database.transaction(move |tx| Box::pin(async move { tx.execute(&statement).await })).await;
    result.map(super::Committed::into_inner)
}

fn placeholder(database: &Database, number: usize, cast: &str) -> String {
    match database.dialect() {
        Dialect::Sqlite => format!("?{number}"),
        Dialect::Postgres => format!("CAST(${number} AS {cast})"),
        Dialect::Mysql => "?".to_owned(),
    }
}

#[tokio::test]
async fn every_type_comes_back_as_it_was_written() {
    for database in databases().await {
        let table = table();
        let types = match database.dialect() {
            Dialect::Sqlite => [
                "bigint",
                "double",
                "boolean",
                "decimal_int(12,2)",
                "date",
                "time",
                "datetime",
                "timestamp",
                "char(36)",
                "text",
                "blob",
            ],
            Dialect::Postgres => [
                "bigint",
                "double precision",
                "boolean",
                "numeric(12,2)",
                "date",
                "time",
                "timestamp",
                "timestamptz",
                "uuid",
                "text",
                "bytea",
            ],
            Dialect::Mysql => [
                "bigint",
                "double",
                "boolean",
                "decimal(12,2)",
                "date",
                "time",
                "datetime",
                "datetime(3)",
                "char(36)",
                "longtext",
                "longblob",
            ],
        };
        let columns = [
            ColumnType::BigInteger,
            ColumnType::Float,
            ColumnType::Boolean,
            ColumnType::Decimal { precision: 12, scale: 2 },
            ColumnType::Date,
            ColumnType::Time,
            ColumnType::DateTime,
            ColumnType::Timestamp,
            ColumnType::Uuid,
            ColumnType::Text,
            ColumnType::Binary,
        ];
        let declared: Vec<String> =
            types.iter().enumerate().map(|(i, name)| format!("c{i} {name}")).collect();
        let create = format!("CREATE TABLE {table} ({})", declared.join(", "));
        run(&database, statement(&create, vec![], &[])).await.unwrap();

        let values = [
            Scalar::Int(-9_007_199_254_740_993),
            Scalar::Float(0.1),
            Scalar::Bool(true),
            text("-1234567890.05"),
            text("2024-02-29"),
            text("23:59:58"),
            text("1999-12-31T23:59:59"),
            text("2026-03-02T10:00:00.007Z"),
            text("019352a4-0000-7000-8000-00000000abcd"),
            text("ünï \" \\ 🚀\n"),
            Scalar::Bytes(Arc::from(&[0u8, 255, 7][..])),
        ];
        let stored =
            values.iter().enumerate().map(|(position, value)| match (database.dialect(), position, value) {
                (Dialect::Sqlite, 3, _) => Param::Value(Scalar::Int(-123_456_789_005)),
                (Dialect::Mysql, 6 | 7, Scalar::Text(text)) => {
                    Param::Value(Scalar::Text(Arc::from(text.replace('T', " ").trim_end_matches('Z'))))
                }
                _ => Param::Value(value.clone()),
            });
        let places: Vec<String> =
            types.iter().enumerate().map(|(i, name)| placeholder(&database, i + 1, name)).collect();
        let insert = format!("INSERT INTO {table} VALUES ({})", places.join(", "));
        run(&database, statement(&insert, stored.collect(), &[])).await.unwrap();
        let kinds = [
            NullKind::Int,
            NullKind::Float,
            NullKind::Bool,
            NullKind::Text,
            NullKind::Text,
            NullKind::Text,
            NullKind::Text,
            NullKind::Text,
            NullKind::Text,
            NullKind::Text,
            NullKind::Bytes,
        ];
        let nulls = kinds.map(Param::Null).to_vec();
        run(&database, statement(&insert, nulls, &[])).await.unwrap();

        let select = format!("SELECT * FROM {table} ORDER BY CASE WHEN c0 IS NULL THEN 1 ELSE 0 END");
        let rows = database.rows(&statement(&select, vec![], &columns)).await.unwrap();
        assert_eq!(rows[0].values, values, "{:?}", database.dialect());
        assert!(rows[1].values.iter().all(|value| *value == Scalar::Null), "{:?}", database.dialect());
    }
}

#[tokio::test]
async fn lists_arrive_whole() {
    for database in databases().await {
        let (int, words) = match database.dialect() {
            Dialect::Sqlite => {
                ("SELECT sum(value) FROM rarray(?1)", "SELECT count(*) FROM rarray(?1) WHERE value = 'b'")
            }
            Dialect::Postgres => (
                "SELECT CAST(sum(v) AS bigint) FROM unnest($1) AS v",
                "SELECT count(*) FROM unnest($1) AS v WHERE v = 'b'",
            ),
            Dialect::Mysql => (
                "SELECT CAST(sum(v) AS SIGNED) FROM JSON_TABLE(?, '$[*]' COLUMNS (v bigint PATH '$')) AS t",
                "SELECT count(*) FROM JSON_TABLE(?, '$[*]' COLUMNS (v varchar(9) PATH '$')) AS t WHERE v = 'b'",
            ),
        };
        let numbers = Param::List(ListKind::Int, vec![Scalar::Int(1), Scalar::Int(2), Scalar::Int(39)]);
        let rows = database.rows(&statement(int, vec![numbers], &[ColumnType::BigInteger])).await.unwrap();
        assert_eq!(rows[0].int(0), Some(42));
        let letters = Param::List(ListKind::Text, vec![text("a\"\\"), text("b"), text("b")]);
        let rows = database.rows(&statement(words, vec![letters], &[ColumnType::BigInteger])).await.unwrap();
        assert_eq!(rows[0].int(0), Some(2));
    }
}

#[tokio::test]
async fn failures_name_what_is_wrong() {
    for database in databases().await {
        let (parent, child) = (table(), table());
        let word = if database.dialect() == Dialect::Mysql { "varchar(5)" } else { "text" };
        for create in [
            format!("CREATE TABLE {parent} (id integer NOT NULL PRIMARY KEY, word {word} NOT NULL UNIQUE)"),
            format!(
                "CREATE TABLE {child} (id integer NOT NULL PRIMARY KEY, parent integer, FOREIGN KEY (parent) REFERENCES {parent} (id))"
            ),
            format!("INSERT INTO {parent} VALUES (1, 'one')"),
        ] {
            run(&database, statement(&create, vec![], &[])).await.unwrap();
        }
        let fail = async |text: String| run(&database, statement(&text, vec![], &[])).await.unwrap_err();

        let error = fail(format!("INSERT INTO {parent} VALUES (2, 'one')")).await;
        assert!(
            matches!(&error, Error::RecordNotUnique { field, .. } if field.contains("word")),
            "{error:?}"
        );
        let error = fail(format!("INSERT INTO {parent} VALUES (2, NULL)")).await;
        assert!(matches!(&error, Error::NotNullViolation { field, .. } if field == "word"), "{error:?}");
        let error = fail(format!("INSERT INTO {child} VALUES (1, 99)")).await;
        assert!(matches!(&error, Error::InvalidForeignKey { .. }), "{error:?}");
        let error = fail("SELECT nonsense FROM nowhere".to_owned()).await;
        assert!(matches!(&error, Error::Internal { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_transaction_is_whole_or_nothing() {
    for database in databases().await {
        let table = table();
        run(
            &database,
            statement(&format!("CREATE TABLE {table} (id integer NOT NULL PRIMARY KEY)"), vec![], &[]),
        )
        .await
        .unwrap();
        let insert = |number: i64| {
            let place = placeholder(&database, 1, "integer");
            statement(
                &format!("INSERT INTO {table} VALUES ({place})"),
                vec![Param::Value(Scalar::Int(number))],
                &[],
            )
        };
        let (first, second) = (insert(1), insert(1));
        let both = database
            .transaction(move |tx| {
                Box::pin(async move {
                    tx.execute(&first).await?;
                    tx.execute(&second).await
                })
            })
            .await;
        assert!(matches!(both, Err(Error::RecordNotUnique { .. })));
        // Others go on beside one that fails.
        let many = (10..40).map(|number| {
            let statement = insert(if number % 3 == 0 { 10 } else { number });
            run(&database, statement)
        });
        let results = futures::future::join_all(many).await;
        let written = results.iter().filter(|result| result.is_ok()).count();
        let count = statement(&format!("SELECT count(*) FROM {table}"), vec![], &[ColumnType::BigInteger]);
        assert_eq!(database.rows(&count).await.unwrap()[0].int(0), Some(written as i64));
        // 10 and the numbers that three does not divide.
        assert_eq!(written, 20);
    }
}

#[tokio::test]
async fn a_panic_inside_a_transaction_leaves_the_database_usable() {
    for database in databases().await {
        if database.dialect() == Dialect::Sqlite {
            let failed = database.transaction::<(), _>(|_| Box::pin(async { panic!("on purpose") })).await;
            assert!(matches!(failed, Err(Error::Internal { .. })));
        }
        let one = statement("SELECT 1", vec![], &[ColumnType::Integer]);
        let rows =
            database.transaction(move |tx| Box::pin(async move { tx.rows(&one).await })).await.unwrap();
        assert_eq!(rows.into_inner()[0].int(0), Some(1));
    }
}

#[tokio::test]
async fn a_statement_ends_at_its_deadline() {
    for target in databases().await.iter().map(Database::dialect) {
        let (settings, forever) = match target {
            Dialect::Sqlite => (
                Target::Sqlite {
                    path: std::env::temp_dir().join(format!("tablature-db-{}.db", uuid::Uuid::now_v7())),
                },
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
            ),
            Dialect::Postgres => (
                Target::Postgres { url: std::env::var("TEST_POSTGRES_URL").unwrap() },
                "SELECT 1 FROM pg_sleep(20)",
            ),
            Dialect::Mysql => (
                Target::Mysql { url: std::env::var("TEST_MARIADB_URL").unwrap() },
                "SELECT count(*) FROM seq_1_to_100000 a, seq_1_to_100000 b, seq_1_to_100 c",
            ),
        };
        let mut settings = Settings::new(settings);
        settings.statement_timeout = std::time::Duration::from_millis(200);
        let database = Database::connect(&settings).await.unwrap();
        let result = database.rows(&statement(forever, vec![], &[ColumnType::BigInteger])).await;
        assert!(matches!(result, Err(Error::StatementTimeout { most_ms: 200 })), "{target:?} {result:?}");
    }
}

#[tokio::test]
async fn a_changed_column_does_not_fail_prepared_reads() {
    for database in databases().await {
        let table = table();
        for change in [
            format!("CREATE TABLE {table} (id integer NOT NULL PRIMARY KEY, word varchar(5))"),
            format!("INSERT INTO {table} VALUES (1, 'one')"),
        ] {
            run(&database, statement(&change, vec![], &[])).await.unwrap();
        }
        let read = statement(&format!("SELECT word FROM {table}"), vec![], &[ColumnType::Text]);
        assert_eq!(database.rows(&read).await.unwrap()[0].values, [text("one")]);
        let change = match database.dialect() {
            Dialect::Sqlite => format!("ALTER TABLE {table} ADD COLUMN other text"),
            Dialect::Postgres => format!("ALTER TABLE {table} ALTER COLUMN word TYPE text"),
            Dialect::Mysql => format!("ALTER TABLE {table} MODIFY COLUMN word longtext"),
        };
        run(&database, statement(&change, vec![], &[])).await.unwrap();
        assert_eq!(database.rows(&read).await.unwrap()[0].values, [text("one")], "{:?}", database.dialect());
    }
}
