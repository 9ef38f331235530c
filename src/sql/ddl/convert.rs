//! Values of one type as values of another: which fit, and how they are written then.

use super::types::quote_text;
use crate::schema::ColumnType;
use crate::sql::Dialect;

/// How the values of a column become those of another type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    /// Condition on a value that is not null; `None` when every value fits.
    pub fits: Option<String>,
    /// What a value that fits becomes.
    pub value: String,
    /// What a value that does not fit becomes when losing is allowed: the beginning of a text, or null.
    pub rest: String,
}

impl Conversion {
    /// The value after the change, whatever it was before.
    pub fn expression(&self) -> String {
        match &self.fits {
            None => self.value.clone(),
            Some(fits) => format!("CASE WHEN {fits} THEN {} ELSE {} END", self.value, self.rest),
        }
    }
}

/// Converts `column` (quoted already).
pub fn convert(dialect: Dialect, column: &str, from: &ColumnType, to: &ColumnType) -> Conversion {
    use ColumnType as T;
    let always = |value: String| Conversion { fits: None, value, rest: "NULL".to_owned() };
    let when = |fits: String, value: String| Conversion { fits: Some(fits), value, rest: "NULL".to_owned() };
    match (from, to) {
        (from, to) if from == to => always(column.to_owned()),
        (T::Binary | T::Unknown { .. }, _) | (_, T::Binary | T::Unknown { .. }) => {
            when("1 = 0".to_owned(), "NULL".to_owned())
        }
        (from, T::Boolean) if from.is_number() => {
            let number = number_of(dialect, column, from);
            when(format!("{number} IN (0, 1)"), format!("({number} = 1)"))
        }
        (T::Boolean, to) if to.is_number() => {
            let number = match dialect {
                Dialect::Postgres => format!("CAST({column} AS integer)"),
                Dialect::Sqlite | Dialect::Mysql => column.to_owned(),
            };
            always(to_number(dialect, &number, &T::Integer, to))
        }
        (from, to) if from.is_number() && to.is_number() => number_to_number(dialect, column, from, to),
        (from, to) if from.has_date() && to.has_date() => moment_to_moment(dialect, column, from, to),
        (from, to) => text_to(dialect, &text_of(dialect, column, from), from, to),
    }
}

fn ten_to(power: u8) -> String {
    format!("1{}", "0".repeat(usize::from(power)))
}

/// The value of a number, free of the way SQLite keeps decimals.
fn number_of(dialect: Dialect, column: &str, from: &ColumnType) -> String {
    match from {
        ColumnType::Decimal { scale, .. } if dialect == Dialect::Sqlite && *scale > 0 => {
            format!("({column} / {}.0)", ten_to(*scale))
        }
        _ => column.to_owned(),
    }
}

fn to_number(dialect: Dialect, number: &str, from: &ColumnType, to: &ColumnType) -> String {
    match (dialect, to) {
        (Dialect::Sqlite, ColumnType::Decimal { scale, .. }) => {
            let is_whole = matches!(from, ColumnType::Integer | ColumnType::BigInteger);
            let scaled = format!("{number} * {}", ten_to(*scale));
            if is_whole { format!("({scaled})") } else { format!("CAST(ROUND({scaled}) AS INTEGER)") }
        }
        (Dialect::Sqlite, ColumnType::Float) => format!("CAST({number} AS REAL)"),
        (Dialect::Sqlite, _) => format!("CAST({number} AS INTEGER)"),
        (Dialect::Postgres, ColumnType::Decimal { precision, scale }) => {
            format!("CAST({number} AS numeric({precision},{scale}))")
        }
        (Dialect::Postgres, ColumnType::Float) => format!("CAST({number} AS double precision)"),
        (Dialect::Postgres, ColumnType::Integer) => format!("CAST({number} AS integer)"),
        (Dialect::Postgres, _) => format!("CAST({number} AS bigint)"),
        // `MODIFY` converts by itself.
        (Dialect::Mysql, _) => number.to_owned(),
    }
}

fn number_to_number(dialect: Dialect, column: &str, from: &ColumnType, to: &ColumnType) -> Conversion {
    use ColumnType as T;
    if let (Dialect::Sqlite, T::Decimal { scale: old, .. }, T::Decimal { precision, scale }) =
        (dialect, from, to)
    {
        // Stays in whole numbers, which are exact.
        let limit = ten_to(*precision);
        let (value, is_exact) = if scale >= old {
            (format!("({column} * {})", ten_to(scale - old)), String::new())
        } else {
            let factor = ten_to(old - scale);
            (format!("({column} / {factor})"), format!("{column} % {factor} = 0 AND "))
        };
        let fits = Some(format!("({is_exact}ABS({value}) < {limit})"));
        return Conversion { fits, value, rest: "NULL".to_owned() };
    }
    let number = number_of(dialect, column, from);
    let value = to_number(dialect, &number, from, to);
    let whole = match dialect {
        Dialect::Postgres => format!("CAST({number} AS numeric)"),
        Dialect::Sqlite | Dialect::Mysql => number.clone(),
    };
    let fits = match to {
        T::Integer => {
            Some(format!("({number} BETWEEN -2147483648 AND 2147483647 AND ROUND({whole}) = {whole})"))
        }
        T::BigInteger => Some(format!("({number} BETWEEN -9.2e18 AND 9.2e18 AND ROUND({whole}) = {whole})")),
        T::Decimal { precision, scale } => {
            let limit = ten_to(precision.saturating_sub(*scale));
            Some(format!("(ABS({whole}) < {limit} AND ROUND({whole}, {scale}) = {whole})"))
        }
        _ => None,
    };
    Conversion { fits, value, rest: "NULL".to_owned() }
}

fn moment_to_moment(dialect: Dialect, column: &str, from: &ColumnType, to: &ColumnType) -> Conversion {
    use ColumnType as T;
    let utc = match (dialect, from) {
        (Dialect::Postgres, T::Timestamp) => format!("({column} AT TIME ZONE 'UTC')"),
        _ => column.to_owned(),
    };
    let (value, back) = match (dialect, to) {
        (Dialect::Sqlite, T::Date) => {
            (format!("substr({column}, 1, 10)"), format!("substr({column}, 12, 8) IN ('', '00:00:00')"))
        }
        (Dialect::Sqlite, T::DateTime) => (
            format!(
                "(substr({column}, 1, 10) || 'T' || CASE WHEN length({column}) > 10 THEN substr({column}, 12, 8) ELSE '00:00:00' END)"
            ),
            format!("substr({column}, 20) IN ('', '.000Z', 'Z')"),
        ),
        (Dialect::Sqlite, _) => (
            format!(
                "(substr({column}, 1, 10) || 'T' || CASE WHEN length({column}) > 10 THEN substr({column}, 12, 8) ELSE '00:00:00' END || '.000Z')"
            ),
            String::new(),
        ),
        (Dialect::Postgres, T::Date) => {
            (format!("CAST({utc} AS date)"), format!("CAST({utc} AS date) = {utc}"))
        }
        (Dialect::Postgres, T::DateTime) => (
            format!("date_trunc('second', CAST({utc} AS timestamp))"),
            format!("date_trunc('second', {utc}) = {utc}"),
        ),
        (Dialect::Postgres, _) => (format!("(CAST({utc} AS timestamp) AT TIME ZONE 'UTC')"), String::new()),
        (Dialect::Mysql, T::Date) => (column.to_owned(), format!("DATE({column}) = {column}")),
        (Dialect::Mysql, T::DateTime) => (column.to_owned(), format!("MICROSECOND({column}) = 0")),
        (Dialect::Mysql, _) => (column.to_owned(), String::new()),
    };
    let widens = crate::schema::widens(from, to) || back.is_empty();
    Conversion { fits: (!widens).then_some(back), value, rest: "NULL".to_owned() }
}

/// A value as the text that the API shows.
fn text_of(dialect: Dialect, column: &str, from: &ColumnType) -> String {
    use ColumnType as T;
    let cast = || match dialect {
        Dialect::Sqlite | Dialect::Postgres => format!("CAST({column} AS text)"),
        Dialect::Mysql => format!("CAST({column} AS char)"),
    };
    match (dialect, from) {
        (_, T::String { .. } | T::Text | T::Csv | T::Hash) => column.to_owned(),
        (Dialect::Sqlite, T::Decimal { scale, .. }) if *scale > 0 => {
            let ten = ten_to(*scale);
            format!(
                "(CASE WHEN {column} < 0 THEN '-' ELSE '' END || (ABS({column}) / {ten}) || '.' || printf('%0{scale}d', ABS({column}) % {ten}))"
            )
        }
        (Dialect::Sqlite | Dialect::Mysql, T::Boolean) => {
            format!("CASE WHEN {column} THEN 'true' ELSE 'false' END")
        }
        (Dialect::Postgres, T::DateTime) => format!("to_char({column}, 'YYYY-MM-DD\"T\"HH24:MI:SS')"),
        (Dialect::Postgres, T::Timestamp) => {
            format!("to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')")
        }
        _ => cast(),
    }
}

fn text_to(dialect: Dialect, text: &str, from: &ColumnType, to: &ColumnType) -> Conversion {
    use ColumnType as T;
    let length = match dialect {
        Dialect::Sqlite => format!("length({text})"),
        Dialect::Postgres | Dialect::Mysql => format!("char_length({text})"),
    };
    let cut = |most: u32| Conversion {
        fits: Some(format!("{length} <= {most}")),
        value: text.to_owned(),
        rest: if from.is_text() { format!("substr({text}, 1, {most})") } else { "NULL".to_owned() },
    };
    let by = |sqlite: String, postgres: &str| match dialect {
        Dialect::Sqlite => sqlite,
        Dialect::Postgres => format!("CAST({text} AS {postgres})"),
        Dialect::Mysql => text.to_owned(),
    };
    let shaped = |shape: Shape, value: String| Conversion {
        fits: Some(is_shaped(dialect, text, shape)),
        value,
        rest: "NULL".to_owned(),
    };
    match to {
        T::String { length } => cut(*length),
        T::Hash => cut(255),
        T::Text | T::Csv => Conversion { fits: None, value: text.to_owned(), rest: "NULL".to_owned() },
        T::Integer => shaped(Shape::Whole { digits: 9 }, by(format!("CAST({text} AS INTEGER)"), "integer")),
        T::BigInteger => {
            shaped(Shape::Whole { digits: 18 }, by(format!("CAST({text} AS INTEGER)"), "bigint"))
        }
        T::Float => shaped(
            Shape::Decimal { whole: 15, fraction: 15 },
            by(format!("CAST({text} AS REAL)"), "double precision"),
        ),
        T::Decimal { precision, scale } => shaped(
            Shape::Decimal { whole: precision.saturating_sub(*scale), fraction: *scale },
            by(
                format!("CAST(ROUND(CAST({text} AS REAL) * {}) AS INTEGER)", ten_to(*scale)),
                &format!("numeric({precision},{scale})"),
            ),
        ),
        T::Boolean => {
            let is_true = format!("lower({text}) IN ('true', 't', '1')");
            let value = match dialect {
                Dialect::Sqlite | Dialect::Postgres => format!("({is_true})"),
                Dialect::Mysql => format!("CASE WHEN {is_true} THEN '1' ELSE '0' END"),
            };
            let fits = Some(format!("lower({text}) IN ('true', 't', '1', 'false', 'f', '0')"));
            Conversion { fits, value, rest: "NULL".to_owned() }
        }
        T::Date => shaped(Shape::Date, by(text.to_owned(), "date")),
        T::Time => shaped(Shape::Time, by(text.to_owned(), "time")),
        T::DateTime => shaped(
            Shape::Moment,
            match dialect {
                Dialect::Sqlite => format!("strftime('%Y-%m-%dT%H:%M:%S', {text})"),
                Dialect::Postgres => format!("date_trunc('second', CAST({text} AS timestamp))"),
                Dialect::Mysql => format!("replace(replace({text}, 'T', ' '), 'Z', '')"),
            },
        ),
        T::Timestamp => shaped(
            Shape::Moment,
            match dialect {
                Dialect::Sqlite => format!("strftime('%Y-%m-%dT%H:%M:%fZ', {text})"),
                Dialect::Postgres => format!("(CAST({text} AS timestamp) AT TIME ZONE 'UTC')"),
                Dialect::Mysql => format!("replace(replace({text}, 'T', ' '), 'Z', '')"),
            },
        ),
        T::Uuid => shaped(Shape::Uuid, by(format!("lower({text})"), "uuid")),
        T::Json if from.is_text() => Conversion {
            fits: Some(match dialect {
                Dialect::Sqlite | Dialect::Mysql => format!("json_valid({text})"),
                // What passes here and is no JSON after all makes the change fail as a whole.
                Dialect::Postgres => format!("{text} ~ '^\\s*([\\[{{\"0-9-]|true|false|null)'"),
            }),
            value: by(text.to_owned(), "json"),
            rest: "NULL".to_owned(),
        },
        T::Json if from.is_number() || *from == T::Boolean => {
            Conversion { fits: None, value: by(text.to_owned(), "json"), rest: "NULL".to_owned() }
        }
        T::Json => Conversion {
            fits: None,
            value: match dialect {
                Dialect::Sqlite => format!("('\"' || {text} || '\"')"),
                Dialect::Postgres => format!("to_json({text})"),
                Dialect::Mysql => format!("concat('\"', {text}, '\"')"),
            },
            rest: "NULL".to_owned(),
        },
        T::Binary | T::Unknown { .. } => {
            Conversion { fits: Some("1 = 0".to_owned()), value: "NULL".to_owned(), rest: "NULL".to_owned() }
        }
    }
}

/// What a text must look like to become something else.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Whole { digits: u8 },
    Decimal { whole: u8, fraction: u8 },
    Date,
    Time,
    Moment,
    Uuid,
}

fn is_shaped(dialect: Dialect, text: &str, shape: Shape) -> String {
    const DATE: &str = "[0-9]{4}-[0-9]{2}-[0-9]{2}";
    const TIME: &str = "[0-9]{2}:[0-9]{2}:[0-9]{2}";
    let operator = match dialect {
        // Has no regular expressions of its own, but functions that give null for what they cannot read.
        Dialect::Sqlite => return is_shaped_in_sqlite(text, shape),
        Dialect::Postgres => "~",
        Dialect::Mysql => "REGEXP",
    };
    let pattern = match shape {
        Shape::Whole { digits } => format!("^-?[0-9]{{1,{digits}}}$"),
        Shape::Decimal { whole, fraction: 0 } => format!("^-?[0-9]{{1,{}}}$", whole.max(1)),
        Shape::Decimal { whole, fraction } => {
            format!("^-?[0-9]{{1,{}}}([.][0-9]{{1,{fraction}}})?$", whole.max(1))
        }
        Shape::Date => format!("^{DATE}$"),
        Shape::Time => format!("^{TIME}$"),
        Shape::Moment => format!("^{DATE}([T ]{TIME}([.][0-9]{{1,6}})?Z?)?$"),
        Shape::Uuid => "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$".to_owned(),
    };
    format!("{text} {operator} {}", quote_text(dialect, &pattern))
}

fn is_shaped_in_sqlite(text: &str, shape: Shape) -> String {
    let digits = "[0-9]";
    match shape {
        Shape::Whole { digits } => format!(
            "(ltrim({text}, '-') <> '' AND ltrim({text}, '-') NOT GLOB '*[^0-9]*' AND length({text}) <= {digits})"
        ),
        // Fifteen digits are what a floating point number carries without loss.
        Shape::Decimal { whole, fraction } => format!(
            "({text} GLOB '*[0-9]*' AND ltrim({text}, '-') NOT GLOB '*[^0-9.]*' AND {text} NOT GLOB '*.*.*' \
             AND length({text}) <= 16 AND ABS(CAST({text} AS REAL)) < {} \
             AND ROUND(CAST({text} AS REAL), {fraction}) = CAST({text} AS REAL))",
            ten_to(whole)
        ),
        Shape::Date => format!("(date({text}) IS {text} AND length({text}) = 10)"),
        Shape::Time => format!("(time({text}) IS {text} AND length({text}) = 8)"),
        Shape::Moment => format!("(datetime({text}) IS NOT NULL AND {text} GLOB '{}-*')", digits.repeat(4)),
        Shape::Uuid => {
            let hex = |count: usize| "[0-9a-fA-F]".repeat(count);
            format!("{text} GLOB '{}-{}-{}-{}-{}'", hex(8), hex(4), hex(4), hex(4), hex(12))
        }
    }
}
