//! PostgreSQL: binary results, parameters of few types, its error codes.

use jiff::civil;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgDatabaseError, PgQueryResult, PgRow, PgValueFormat};
use sqlx::{Arguments as _, Postgres, Row as _, ValueRef as _};

use super::pool::STATEMENT_CACHE;
use super::{Server, ServerTransaction, unavailable};
use crate::db::Settings;
use crate::db::cell::{Cell, RowView};
use crate::db::transaction::Driver;
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::schema::ColumnType;
use crate::sql::row_security::{EVERYTHING, SETTING};
use crate::sql::{ListKind, Param};

/// Day from which PostgreSQL counts.
const EPOCH: civil::Date = civil::date(2000, 1, 1);
const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;

/// Object identifiers of built-in types (system catalogue `pg_type`).
mod oid {
    pub(super) const BOOL: u32 = 16;
    pub(super) const BYTEA: u32 = 17;
    pub(super) const INT8: u32 = 20;
    pub(super) const INT2: u32 = 21;
    pub(super) const INT4: u32 = 23;
    pub(super) const FLOAT4: u32 = 700;
    pub(super) const FLOAT8: u32 = 701;
    pub(super) const DATE: u32 = 1082;
    pub(super) const TIME: u32 = 1083;
    pub(super) const TIMESTAMP: u32 = 1114;
    pub(super) const TIMESTAMPTZ: u32 = 1184;
    pub(super) const NUMERIC: u32 = 1700;
    pub(super) const UUID: u32 = 2950;
    pub(super) const JSONB: u32 = 3802;
    pub(super) const OID: u32 = 26;
}

impl Server for Postgres {
    const NAME: &'static str = "postgres";
    const BEGIN: &'static str = "BEGIN";
    const UNLIMITED: &'static str = "SET LOCAL statement_timeout = 0";
    type DatabaseFailure = PgDatabaseError;

    fn options(url: &str, settings: &Settings) -> Result<PgConnectOptions> {
        // The text holds a password, so the parser's own message is not repeated.
        let options: PgConnectOptions = url.parse().map_err(|_| Error::UnprocessableContent {
            reason: "DATABASE_URL is no valid PostgreSQL address".to_owned(),
        })?;
        let options = options.application_name("tablature").statement_cache_capacity(STATEMENT_CACHE);
        // A connection reaches all rows until it is confined to those of tenants.
        let reach = settings.row_security.then_some((SETTING, EVERYTHING));
        Ok(options.options(reach).options([
            ("statement_timeout", settings.statement_timeout.as_millis().to_string().as_str()),
            // Compiling a plan takes longer than any statement of an API.
            ("jit", "off"),
            ("TimeZone", "UTC"),
            ("extra_float_digits", "1"),
        ]))
    }

    fn session(_: &Settings) -> Vec<String> {
        Vec::new()
    }

    fn bind(params: &[Param], parent_keys: &[Scalar]) -> Result<PgArguments> {
        let mut arguments = PgArguments::default();
        for param in params {
            let added = match param {
                Param::Value(scalar) => add_scalar(&mut arguments, scalar),
                Param::Null(kind) => add_null(&mut arguments, *kind),
                Param::List(kind, values) => add_list(&mut arguments, *kind, values),
                Param::ParentKeys(kind) => add_list(&mut arguments, *kind, parent_keys),
            };
            added.map_err(|error| Error::internal(anyhow::anyhow!(error)))?;
        }
        Ok(arguments)
    }

    fn translate(failure: &PgDatabaseError, settings: &Settings) -> Option<Error> {
        let collection = failure.table().unwrap_or_default().to_owned();
        let value = || detail_value(failure.detail());
        Some(match failure.code() {
            "23505" => {
                Error::RecordNotUnique { collection, field: columns_or_constraint(failure), value: value() }
            }
            "23503" => {
                Error::InvalidForeignKey { collection, field: columns_or_constraint(failure), value: value() }
            }
            "23502" => {
                Error::NotNullViolation { collection, field: failure.column().unwrap_or_default().to_owned() }
            }
            "23514" => Error::payload("a rule of the database forbids a value"),
            "22001" => Error::ValueTooLong { collection, field: String::new() },
            "22003" | "22008" => Error::ValueOutOfRange { collection, field: String::new() },
            "22P02" | "22007" | "22021" | "22P05" => {
                Error::payload("a value does not have the form of its column")
            }
            "57014" => Error::StatementTimeout { most_ms: settings.statement_timeout.as_millis() as u64 },
            "40001" | "40P01" => Error::Deadlock,
            "55P03" => Error::Conflict {
                reason: "Another request is changing the same items; nothing was changed by this one."
                    .to_owned(),
            },
            "53100" => unavailable("The disk is full."),
            "53300" => unavailable("It takes no more connections."),
            "57P01" | "57P02" | "57P03" | "25P03" | "08006" | "08003" => unavailable("It cannot be reached."),
            // A row of another tenant, where the database keeps them apart.
            "42501" if failure.message().contains("row-level security") => Error::Forbidden,
            "25006" => unavailable("It is read-only."),
            // A statement prepared before a column changed its type: a fresh connection prepares it anew.
            "0A000" if failure.message().contains("cached plan") => unavailable("A table has just changed."),
            _ => return None,
        })
    }

    fn last_insert_id(_: &PgQueryResult) -> Option<u64> {
        None
    }

    fn rows_affected(result: &PgQueryResult) -> u64 {
        result.rows_affected()
    }

    fn driver(transaction: ServerTransaction<Self>) -> Driver {
        Driver::Postgres(transaction)
    }
}

impl TryFrom<Driver> for ServerTransaction<Postgres> {
    type Error = ();

    fn try_from(driver: Driver) -> Result<Self, ()> {
        match driver {
            Driver::Postgres(transaction) => Ok(transaction),
            _ => Err(()),
        }
    }
}

type Added = std::result::Result<(), sqlx::error::BoxDynError>;

fn add_scalar(arguments: &mut PgArguments, scalar: &Scalar) -> Added {
    match scalar {
        Scalar::Null => arguments.add(None::<&str>),
        Scalar::Bool(value) => arguments.add(*value),
        Scalar::Int(value) => arguments.add(*value),
        Scalar::Float(value) => arguments.add(*value),
        Scalar::Text(text) => arguments.add(&**text),
        Scalar::Bytes(bytes) => arguments.add(&**bytes),
    }
}

/// The type of a null counts: the server keeps the types that a statement was first prepared with.
fn add_null(arguments: &mut PgArguments, kind: crate::sql::NullKind) -> Added {
    use crate::sql::NullKind;
    match kind {
        NullKind::Bool => arguments.add(None::<bool>),
        NullKind::Int => arguments.add(None::<i64>),
        NullKind::Float => arguments.add(None::<f64>),
        NullKind::Text => arguments.add(None::<&str>),
        NullKind::Bytes => arguments.add(None::<&[u8]>),
    }
}

/// A value of another kind than the list's is a null, which is what a null is, too.
fn add_list(arguments: &mut PgArguments, kind: ListKind, values: &[Scalar]) -> Added {
    fn column<'v, T>(values: &'v [Scalar], get: impl Fn(&'v Scalar) -> Option<T>) -> Vec<Option<T>> {
        values.iter().map(get).collect()
    }
    match kind {
        ListKind::Bool => arguments.add(column(values, |value| match value {
            Scalar::Bool(value) => Some(*value),
            _ => None,
        })),
        ListKind::Int => arguments.add(column(values, |value| match value {
            Scalar::Int(value) => Some(*value),
            _ => None,
        })),
        ListKind::Float => arguments.add(column(values, |value| match value {
            Scalar::Float(value) => Some(*value),
            _ => None,
        })),
        ListKind::Text => arguments.add(column(values, |value| match value {
            Scalar::Text(text) => Some(&**text),
            _ => None,
        })),
        ListKind::Bytes => arguments.add(column(values, |value| match value {
            Scalar::Bytes(bytes) => Some(&**bytes),
            _ => None,
        })),
    }
}

/// `Key (a, b)=(1, 2) already exists.` names the columns. Behind row level security that is left out, and only the constraint is
/// named.
fn columns_or_constraint(failure: &PgDatabaseError) -> String {
    failure
        .detail()
        .and_then(|detail| detail.split_once("Key ("))
        .and_then(|(_, rest)| rest.split_once(")=("))
        .map_or_else(
            || failure.constraint().unwrap_or_default().to_owned(),
            |(columns, _)| columns.replace('"', ""),
        )
}

fn detail_value(detail: Option<&str>) -> serde_json::Value {
    detail
        .and_then(|detail| detail.split_once(")=("))
        .and_then(|(_, rest)| rest.rsplit_once(") "))
        .map_or(serde_json::Value::Null, |(value, _)| serde_json::Value::String(value.to_owned()))
}

impl RowView for PgRow {
    fn cell(&self, column: usize, column_type: &ColumnType) -> Result<Cell<'_>> {
        let value = self.try_get_raw(column).map_err(Error::internal)?;
        if value.is_null() {
            return Ok(Cell::Null);
        }
        let bytes = value.as_bytes().map_err(|error| Error::internal(anyhow::anyhow!(error)))?;
        let type_info = value.type_info();
        let oid = type_info.oid().map_or(0, |oid| oid.0);
        if value.format() == PgValueFormat::Text {
            return text(bytes);
        }
        Ok(match oid {
            oid::BOOL => Cell::Bool(bytes.first() == Some(&1)),
            oid::INT8 => Cell::Int(i64::from_be_bytes(fixed(bytes, column_type)?)),
            oid::INT4 => Cell::Int(i32::from_be_bytes(fixed(bytes, column_type)?).into()),
            oid::INT2 => Cell::Int(i16::from_be_bytes(fixed(bytes, column_type)?).into()),
            oid::OID => Cell::Int(u32::from_be_bytes(fixed(bytes, column_type)?).into()),
            oid::FLOAT8 => Cell::Float(f64::from_be_bytes(fixed(bytes, column_type)?)),
            oid::FLOAT4 => Cell::Float(single(f32::from_be_bytes(fixed(bytes, column_type)?))),
            oid::UUID => Cell::Uuid(u128::from_be_bytes(fixed(bytes, column_type)?)),
            oid::NUMERIC => Cell::Numeric(bytes),
            oid::BYTEA => Cell::Bytes(bytes),
            oid::DATE => date(i32::from_be_bytes(fixed(bytes, column_type)?)),
            oid::TIME => time(i64::from_be_bytes(fixed(bytes, column_type)?)),
            oid::TIMESTAMP | oid::TIMESTAMPTZ => moment(i64::from_be_bytes(fixed(bytes, column_type)?)),
            // A version number stands in front of the text.
            oid::JSONB => text(bytes.get(1..).unwrap_or_default())?,
            _ => text(bytes)?,
        })
    }
}

fn text(bytes: &[u8]) -> Result<Cell<'_>> {
    simdutf8::basic::from_utf8(bytes).map(Cell::Text).map_err(Error::internal)
}

fn fixed<const N: usize>(bytes: &[u8], column_type: &ColumnType) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| {
        Error::internal(anyhow::anyhow!("{} bytes for a column of type {column_type}", bytes.len()))
    })
}

/// The double that prints like this single.
fn single(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

fn infinite(is_positive: bool) -> Cell<'static> {
    Cell::Text(if is_positive { "infinity" } else { "-infinity" })
}

fn date(days: i32) -> Cell<'static> {
    match EPOCH.checked_add(jiff::Span::new().days(days)) {
        Ok(date) => Cell::Date(date),
        Err(_) => infinite(days > 0),
    }
}

fn time(microseconds: i64) -> Cell<'static> {
    let (seconds, rest) = (microseconds / 1_000_000, microseconds % 1_000_000);
    // 24:00:00 is a time for PostgreSQL.
    if seconds >= 86_400 {
        return Cell::Text("24:00:00");
    }
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    Cell::Time(civil::time(hour as i8, minute as i8, second as i8, (rest * 1000) as i32))
}

fn moment(microseconds: i64) -> Cell<'static> {
    let days = microseconds.div_euclid(MICROSECONDS_PER_DAY);
    let day = i32::try_from(days).map(date);
    match (day, time(microseconds.rem_euclid(MICROSECONDS_PER_DAY))) {
        (Ok(Cell::Date(date)), Cell::Time(time)) => Cell::Moment(date.to_datetime(time)),
        _ => infinite(microseconds > 0),
    }
}
