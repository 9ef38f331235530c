//! How types and defaults are written in each database, and read back from what it says.

use std::str::FromStr;

use bigdecimal::BigDecimal;
use serde_json::Value;

use crate::schema::diff::canonical_default;
use crate::schema::{ColumnType, DefaultValue, TableColumn};
use crate::sql::Dialect;

/// The type of a column as it stands in `CREATE TABLE`, without null, default and key.
pub fn declared_type(dialect: Dialect, column_type: &ColumnType) -> String {
    use Dialect::{Mysql, Postgres, Sqlite};
    let by = |sqlite: &str, postgres: &str, mysql: &str| match dialect {
        Sqlite => sqlite.to_owned(),
        Postgres => postgres.to_owned(),
        Mysql => mysql.to_owned(),
    };
    match column_type {
        ColumnType::String { length } => match dialect {
            Sqlite | Mysql => format!("varchar({length})"),
            Postgres => format!("varchar({length}) COLLATE \"C\""),
        },
        ColumnType::Text | ColumnType::Csv => by("text", "text COLLATE \"C\"", "longtext"),
        ColumnType::Integer => by("integer", "integer", "int"),
        ColumnType::BigInteger => by("bigint", "bigint", "bigint"),
        ColumnType::Float => by("double", "double precision", "double"),
        ColumnType::Decimal { precision, scale } => match dialect {
            Sqlite => format!("decimal_int({precision},{scale})"),
            Postgres => format!("numeric({precision},{scale})"),
            Mysql => format!("decimal({precision},{scale})"),
        },
        ColumnType::Boolean => by("boolean", "boolean", "boolean"),
        ColumnType::Date => by("date_text", "date", "date"),
        ColumnType::Time => by("time", "time", "time"),
        ColumnType::DateTime => by("datetime_text", "timestamp", "datetime"),
        ColumnType::Timestamp => by("timestamp", "timestamptz", "datetime(3)"),
        ColumnType::Json => by("json_text", "json", "longtext"),
        ColumnType::Uuid => by("char(36)", "uuid", "char(36)"),
        ColumnType::Hash => declared_type(dialect, &ColumnType::String { length: 255 }),
        ColumnType::Binary => by("blob", "bytea", "longblob"),
        ColumnType::Unknown { sql_type } => sql_type.clone(),
    }
}

/// What a declared type holds. Types that several of ours share give the plain one (`Text` for a list, say).
pub fn read_type(dialect: Dialect, declared: &str) -> ColumnType {
    let lower = declared.trim().to_ascii_lowercase();
    let lower = lower.split(" collate ").next().unwrap_or_default().to_owned();
    let unknown = || ColumnType::Unknown { sql_type: declared.to_owned() };
    let (name, rest) = lower.split_once('(').unwrap_or((&lower, ""));
    let arguments: Vec<u32> = rest
        .split(')')
        .next()
        .unwrap_or_default()
        .split(',')
        .filter_map(|number| number.trim().parse().ok())
        .collect();
    let name = name.trim().trim_end_matches(" unsigned");
    let length = arguments.first().copied();
    let decimal = || match arguments.as_slice() {
        [precision @ 1..=65, scale @ 0..=30] if scale <= precision => {
            ColumnType::Decimal { precision: *precision as u8, scale: *scale as u8 }
        }
        [precision @ 1..=65] => ColumnType::Decimal { precision: *precision as u8, scale: 0 },
        _ => unknown(),
    };
    let text_of =
        |length: Option<u32>| length.map_or(ColumnType::Text, |length| ColumnType::String { length });
    match name {
        "varchar" | "character varying" | "nvarchar" | "varchar2" => text_of(length),
        "char" | "character" | "bpchar" => match length {
            Some(36) => ColumnType::Uuid,
            other => text_of(Some(other.unwrap_or(1))),
        },
        "text" | "tinytext" | "mediumtext" | "longtext" | "clob" | "citext" => ColumnType::Text,
        "enum" if dialect == Dialect::Mysql => ColumnType::String { length: 255 },
        "tinyint" if length == Some(1) => ColumnType::Boolean,
        "boolean" | "bool" => ColumnType::Boolean,
        "integer" | "int" | "int4" | "smallint" | "int2" | "tinyint" | "mediumint" | "year" => {
            ColumnType::Integer
        }
        "bigint" | "int8" => ColumnType::BigInteger,
        "double" | "double precision" | "float" | "float8" | "float4" | "real" => ColumnType::Float,
        "decimal_int" => decimal(),
        // SQLite keeps these as floating point, whatever the name promises.
        "decimal" | "numeric" if dialect == Dialect::Sqlite => ColumnType::Float,
        "decimal" | "numeric" => decimal(),
        "date" | "date_text" => ColumnType::Date,
        "time" | "time without time zone" => ColumnType::Time,
        "datetime" if dialect == Dialect::Mysql && length.is_some_and(|digits| digits > 0) => {
            ColumnType::Timestamp
        }
        "datetime" | "datetime_text" | "timestamp without time zone" => ColumnType::DateTime,
        "timestamp" if dialect == Dialect::Postgres => match lower.ends_with("with time zone") {
            true => ColumnType::Timestamp,
            false => ColumnType::DateTime,
        },
        "timestamp" | "timestamptz" | "timestamp with time zone" => ColumnType::Timestamp,
        "json" | "jsonb" | "json_text" => ColumnType::Json,
        "uuid" => ColumnType::Uuid,
        "blob" | "bytea" | "tinyblob" | "mediumblob" | "longblob" | "varbinary" | "binary" => {
            ColumnType::Binary
        }
        _ => unknown(),
    }
}

/// Whether dates are kept as milliseconds since 1970, as others do on SQLite under names that we do not give.
pub fn keeps_milliseconds(dialect: Dialect, declared: &str) -> bool {
    let is_named = |name: &str| declared.trim().eq_ignore_ascii_case(name);
    dialect == Dialect::Sqlite && (is_named("date") || is_named("datetime"))
}

/// Whether the column of the database (first) stores what the declared one (second) would.
pub fn is_stored_alike(dialect: Dialect, actual: &TableColumn, wanted: &TableColumn) -> bool {
    actual.column_type == wanted.column_type
        || actual.column_type == read_type(dialect, &declared_type(dialect, &wanted.column_type))
        || (actual.keeps_milliseconds
            && matches!(actual.column_type, ColumnType::DateTime)
            && matches!(wanted.column_type, ColumnType::DateTime | ColumnType::Timestamp))
        // SQLite counts only in columns that are called `integer`, and keeps 64 bits in them.
        || (dialect == Dialect::Sqlite
            && actual.column_type == ColumnType::Integer
            && wanted.column_type == ColumnType::BigInteger
            && wanted.is_counted)
}

/// A constant as it stands in the text of a statement: only defaults do, because no database takes parameters there.
pub fn literal(dialect: Dialect, column_type: &ColumnType, value: &Value) -> String {
    let value = match value {
        // Canonical defaults of these are texts already.
        Value::String(_) => value.clone(),
        other => canonical_default(column_type, other),
    };
    match (column_type, &value) {
        (_, Value::Null) => "NULL".to_owned(),
        (_, Value::Bool(value)) => match dialect {
            Dialect::Postgres => value.to_string(),
            Dialect::Sqlite | Dialect::Mysql => u8::from(*value).to_string(),
        },
        (_, Value::Number(number)) => number.to_string(),
        (ColumnType::Decimal { scale, .. }, Value::String(text)) => match BigDecimal::from_str(text) {
            Ok(number) if dialect == Dialect::Sqlite => (number
                * BigDecimal::from(10_u64.pow(u32::from(*scale).min(18))))
            .with_scale(0)
            .to_plain_string(),
            Ok(number) => number.with_scale(i64::from(*scale)).to_plain_string(),
            Err(_) => quote_text(dialect, text),
        },
        (ColumnType::Timestamp | ColumnType::DateTime, Value::String(text)) if dialect == Dialect::Mysql => {
            quote_text(dialect, &text.replace('T', " ").replace('Z', ""))
        }
        (_, Value::String(text)) => quote_text(dialect, text),
        (_, other) => quote_text(dialect, &other.to_string()),
    }
}

/// A text literal. A NUL, which no database takes here, is left out.
pub fn quote_text(dialect: Dialect, text: &str) -> String {
    let doubled = text.replace('\0', "").replace('\'', "''");
    match dialect {
        Dialect::Mysql => format!("'{}'", doubled.replace('\\', "\\\\")),
        // Backslashes mean themselves here: `standard_conforming_strings` is on unless somebody turned it off.
        Dialect::Sqlite | Dialect::Postgres => format!("'{doubled}'"),
    }
}

/// Reads the default that a database reports; `None` for none.
///
/// `is_text` says that the text is the value itself, without quotes (MySQL, which MariaDB left in this).
pub fn read_default(
    dialect: Dialect,
    column_type: &ColumnType,
    reported: Option<&str>,
    is_text: bool,
) -> Option<DefaultValue> {
    let reported = reported?.trim();
    let constant = |text: &str| {
        let text = match column_type {
            ColumnType::Decimal { scale, .. } if dialect == Dialect::Sqlite => BigDecimal::from_str(text)
                .map_or_else(
                    |_| text.to_owned(),
                    |n| {
                        BigDecimal::new(n.with_scale(0).into_bigint_and_exponent().0, i64::from(*scale))
                            .to_plain_string()
                    },
                ),
            ColumnType::Json => serde_json::from_str::<Value>(text)
                .map_or_else(|_| text.to_owned(), |value| value.to_string()),
            _ => text.to_owned(),
        };
        let value = Value::String(text);
        Some(DefaultValue::Value(match column_type {
            ColumnType::Json => value,
            ColumnType::Timestamp | ColumnType::DateTime => canonical_moment(column_type, value),
            other => canonical_default(other, &value),
        }))
    };
    if is_text && !reported.to_ascii_lowercase().starts_with("current_timestamp") {
        return constant(reported);
    }
    let bare = strip_parentheses(reported);
    if bare.eq_ignore_ascii_case("null") || bare.to_ascii_lowercase().starts_with("null::") {
        return None;
    }
    if let Some((text, rest)) = read_quoted(dialect, bare) {
        // What may follow is a cast: `'draft'::character varying`.
        return match rest.is_empty() || rest.starts_with("::") {
            true => constant(&text),
            false => Some(DefaultValue::Expression(reported.to_owned())),
        };
    }
    let lower = bare.to_ascii_lowercase();
    let before_cast = strip_parentheses(lower.split("::").next().unwrap_or(&lower));
    if before_cast.parse::<f64>().is_ok() || matches!(before_cast, "true" | "false" | "b'0'" | "b'1'") {
        return constant(before_cast);
    }
    let is_now =
        lower.starts_with("current_timestamp") || lower == "now()" || lower.starts_with("localtimestamp");
    Some(match is_now && (column_type.has_date() || column_type.has_time()) {
        true => DefaultValue::Now,
        false => DefaultValue::Expression(reported.to_owned()),
    })
}

fn strip_parentheses(mut text: &str) -> &str {
    while let Some(inner) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
        // `(a) + (b)` begins and ends in parentheses that are no pair.
        let mut depth = 0_i32;
        let is_pair = inner.chars().all(|character| {
            depth += i32::from(character == '(') - i32::from(character == ')');
            depth >= 0
        });
        if !is_pair {
            return text;
        }
        text = inner.trim();
    }
    text
}

/// Takes a quoted text off the front; gives its value and what follows.
fn read_quoted(dialect: Dialect, text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('\'').or_else(|| text.strip_prefix("_utf8mb4'"))?;
    let mut value = String::new();
    let mut characters = inner.char_indices().peekable();
    while let Some((position, character)) = characters.next() {
        match character {
            '\'' if characters.peek().is_some_and(|(_, next)| *next == '\'') => {
                characters.next();
                value.push('\'');
            }
            '\'' => return Some((value, &inner[position + 1..])),
            '\\' if dialect == Dialect::Mysql => value.extend(characters.next().map(|(_, next)| next)),
            other => value.push(other),
        }
    }
    None
}

/// Moments as the API writes them, whatever separators the database puts between their parts.
fn canonical_moment(column_type: &ColumnType, value: Value) -> Value {
    let Value::String(text) = &value else { return value };
    let iso = text.trim().replacen(' ', "T", 1);
    let iso = iso.trim_end_matches('Z');
    let iso = iso.strip_suffix("+00").unwrap_or(iso);
    let Ok(moment) = jiff::civil::DateTime::from_str(iso) else { return value };
    Value::String(match column_type {
        ColumnType::Timestamp => format!("{}Z", moment.strftime("%Y-%m-%dT%H:%M:%S%.3f")),
        _ => moment.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
    })
}
