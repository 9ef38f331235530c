//! MariaDB and MySQL: the binary protocol of prepared statements, lists as JSON, their error numbers.

use jiff::civil;
use sqlx::mysql::{MySqlArguments, MySqlConnectOptions, MySqlDatabaseError, MySqlQueryResult, MySqlRow};
use sqlx::{Arguments as _, MySql, Row as _, TypeInfo as _, ValueRef as _};

use super::pool::STATEMENT_CACHE;
use super::{Server, ServerTransaction, unavailable};
use crate::db::Settings;
use crate::db::cell::{Cell, RowView};
use crate::db::transaction::Driver;
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::schema::ColumnType;
use crate::sql::Param;

impl Server for MySql {
    const NAME: &'static str = "mysql";
    const BEGIN: &'static str = "START TRANSACTION";
    const UNLIMITED: &'static str = "SET SESSION /*M! max_statement_time = 0, */ /*!80000 max_execution_time = 0, */ time_zone = '+00:00'";
    type DatabaseFailure = MySqlDatabaseError;

    fn options(url: &str, _: &Settings) -> Result<MySqlConnectOptions> {
        // The text holds a password, so the parser's own message is not repeated.
        let options: MySqlConnectOptions = url.parse().map_err(|_| Error::UnprocessableContent {
            reason: "DATABASE_URL is no valid MariaDB address".to_owned(),
        })?;
        Ok(options
            .statement_cache_capacity(STATEMENT_CACHE)
            .charset("utf8mb4")
            .collation("utf8mb4_nopad_bin"))
    }

    fn session(settings: &Settings) -> Vec<String> {
        let limit = settings.statement_timeout;
        let (seconds, milliseconds) = (limit.as_secs_f64(), limit.as_millis());
        vec![
            "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO'"
                .to_owned(),
            // MySQL knows the limit by another name and unit, and for reads alone. The first comment is read by MariaDB only, the
            // second by MySQL only.
            format!(
                "SET SESSION /*M! max_statement_time = {seconds}, */ /*!80000 max_execution_time = {milliseconds}, */ \
                 time_zone = '+00:00'"
            ),
        ]
    }

    fn bind(params: &[Param], parent_keys: &[Scalar]) -> Result<MySqlArguments> {
        let mut arguments = MySqlArguments::default();
        for param in params {
            let added = match param {
                Param::Value(scalar) => match scalar {
                    Scalar::Null => arguments.add(None::<&str>),
                    Scalar::Bool(value) => arguments.add(*value),
                    Scalar::Int(value) => arguments.add(*value),
                    Scalar::Float(value) => arguments.add(*value),
                    Scalar::Text(text) => arguments.add(&**text),
                    Scalar::Bytes(bytes) => arguments.add(&**bytes),
                },
                Param::Null(_) => arguments.add(None::<&str>),
                Param::List(_, values) => arguments.add(list(values)),
                Param::ParentKeys(_) => arguments.add(list(parent_keys)),
            };
            added.map_err(|error| Error::internal(anyhow::anyhow!(error)))?;
        }
        Ok(arguments)
    }

    fn translate(failure: &MySqlDatabaseError, settings: &Settings) -> Option<Error> {
        let message = failure.message();
        let value = serde_json::Value::Null;
        Some(match failure.number() {
            1062 => {
                let (collection, field) = named_key(message);
                Error::RecordNotUnique { collection, field, value }
            }
            1451 | 1452 => {
                let (collection, field) = named_reference(message);
                Error::InvalidForeignKey { collection, field, value }
            }
            1048 | 1364 => {
                Error::NotNullViolation { collection: String::new(), field: quoted(message, '\'') }
            }
            1406 => Error::ValueTooLong { collection: String::new(), field: quoted(message, '\'') },
            1264 | 1690 => Error::ValueOutOfRange { collection: String::new(), field: quoted(message, '\'') },
            1292 | 1366 | 3140 | 4025 => Error::payload("a value does not have the form of its column"),
            1969 | 3024 | 1317 => {
                Error::StatementTimeout { most_ms: settings.statement_timeout.as_millis() as u64 }
            }
            1213 | 1020 => Error::Deadlock,
            1205 => Error::Conflict {
                reason: "Another request is changing the same items; nothing was changed by this one."
                    .to_owned(),
            },
            1021 | 1114 => unavailable("The disk is full."),
            1040 | 1203 => unavailable("It takes no more connections."),
            1053 | 1077 | 1079 | 1080 | 1927 | 2006 | 2013 => unavailable("It cannot be reached."),
            1290 | 1836 => unavailable("It is read-only."),
            1153 => Error::payload("a value is larger than the database takes"),
            1118 => Error::UnprocessableContent { reason: ROW_TOO_WIDE.to_owned() },
            _ => return None,
        })
    }

    fn last_insert_id(result: &MySqlQueryResult) -> Option<u64> {
        Some(result.last_insert_id())
    }

    fn rows_affected(result: &MySqlQueryResult) -> u64 {
        result.rows_affected()
    }

    fn driver(transaction: ServerTransaction<Self>) -> Driver {
        Driver::Mysql(transaction)
    }
}

impl TryFrom<Driver> for ServerTransaction<MySql> {
    type Error = ();

    fn try_from(driver: Driver) -> Result<Self, ()> {
        match driver {
            Driver::Mysql(transaction) => Ok(transaction),
            _ => Err(()),
        }
    }
}

const ROW_TOO_WIDE: &str = "its columns together are wider than the database allows (65,535 bytes, a string taking 4 per \
    character, a text next to nothing): declare long strings as `text` or with a smaller length";

/// The values as a JSON array, which the statement opens with `JSON_TABLE`.
fn list(values: &[Scalar]) -> String {
    let mut out = vec![b'['];
    for (position, value) in values.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        match value {
            Scalar::Null | Scalar::Bytes(_) => out.extend_from_slice(b"null"),
            Scalar::Bool(value) => out.push(b'0' + u8::from(*value)),
            Scalar::Int(value) => out.extend_from_slice(itoa::Buffer::new().format(*value).as_bytes()),
            Scalar::Float(value) => crate::db::cell::write_float(*value, &mut out),
            Scalar::Text(text) => crate::db::json::value::write_text(text, &mut out),
        }
    }
    out.push(b']');
    String::from_utf8_lossy(&out).into_owned()
}

/// The first text in these quotes.
fn quoted(message: &str, quote: char) -> String {
    message.split(quote).nth(1).unwrap_or_default().to_owned()
}

/// `Duplicate entry 'x' for key 'table_column_unique'` names the constraint, MySQL with its table in front.
fn named_key(message: &str) -> (String, String) {
    let key = message.rsplit('\'').nth(1).unwrap_or_default();
    match key.split_once('.') {
        Some((table, key)) => (table.to_owned(), key.to_owned()),
        None => (String::new(), key.to_owned()),
    }
}

/// ``... fails (`database`.`table`, CONSTRAINT `name` FOREIGN KEY (`column`) REFERENCES ...`` names table and column.
fn named_reference(message: &str) -> (String, String) {
    let table = message.split('`').nth(3).unwrap_or_default().to_owned();
    let column = message.split_once("FOREIGN KEY (").map_or_else(String::new, |(_, rest)| quoted(rest, '`'));
    (table, column)
}

impl RowView for MySqlRow {
    fn cell(&self, column: usize, column_type: &ColumnType) -> Result<Cell<'_>> {
        let value = self.try_get_raw(column).map_err(Error::internal)?;
        if value.is_null() {
            return Ok(Cell::Null);
        }
        let type_info = value.type_info().into_owned();
        let bytes = <&[u8] as sqlx::Decode<MySql>>::decode(value)
            .map_err(|error| Error::internal(anyhow::anyhow!(error)))?;
        let name = type_info.name();
        Ok(match name {
            "BOOLEAN" | "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" | "YEAR" => {
                Cell::Int(signed(bytes))
            }
            "TINYINT UNSIGNED" | "SMALLINT UNSIGNED" | "MEDIUMINT UNSIGNED" | "INT UNSIGNED" => {
                Cell::Int(unsigned(bytes) as i64)
            }
            "BIGINT UNSIGNED" => match i64::try_from(unsigned(bytes)) {
                Ok(value) => Cell::Int(value),
                Err(_) => Cell::Float(unsigned(bytes) as f64),
            },
            "DOUBLE" => Cell::Float(f64::from_bits(unsigned(bytes))),
            "FLOAT" => {
                let value = f32::from_bits(unsigned(bytes) as u32);
                Cell::Float(value.to_string().parse().unwrap_or(f64::from(value)))
            }
            "DATE" | "DATETIME" | "TIMESTAMP" => moment(bytes, name == "DATE"),
            "TIME" => time(bytes),
            "BLOB" | "TINYBLOB" | "MEDIUMBLOB" | "LONGBLOB" | "BINARY" | "VARBINARY" | "BIT" | "GEOMETRY"
                if *column_type == ColumnType::Binary =>
            {
                Cell::Bytes(bytes)
            }
            _ => match simdutf8::basic::from_utf8(bytes) {
                Ok(text) => Cell::Text(text),
                Err(_) => Cell::Bytes(bytes),
            },
        })
    }
}

/// A little-endian number of 1 to 8 bytes.
fn unsigned(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn signed(bytes: &[u8]) -> i64 {
    let unused = 64 - 8 * bytes.len().clamp(1, 8) as u32;
    ((unsigned(bytes) << unused) as i64) >> unused
}

/// Length, year (2 bytes), month, day, and where it is longer hour, minute, second and microseconds (4 bytes).
fn moment(bytes: &[u8], is_date: bool) -> Cell<'static> {
    let part = |from: usize, to: usize| unsigned(bytes.get(from..to).unwrap_or_default());
    let Ok(date) = civil::Date::new(part(1, 3) as i16, part(3, 4) as i8, part(4, 5) as i8) else {
        return Cell::Null;
    };
    if is_date {
        return Cell::Date(date);
    }
    let nanoseconds = part(8, 12) as i32 * 1000;
    match civil::Time::new(part(5, 6) as i8, part(6, 7) as i8, part(7, 8) as i8, nanoseconds) {
        Ok(time) => Cell::Moment(date.to_datetime(time)),
        Err(_) => Cell::Null,
    }
}

/// Length, sign, days (4 bytes), hour, minute, second, microseconds.
fn time(bytes: &[u8]) -> Cell<'static> {
    let part = |from: usize, to: usize| unsigned(bytes.get(from..to).unwrap_or_default());
    match civil::Time::new(part(6, 7) as i8, part(7, 8) as i8, part(8, 9) as i8, 0) {
        Ok(time) => Cell::Time(time),
        Err(_) => Cell::Null,
    }
}
