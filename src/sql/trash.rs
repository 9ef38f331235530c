//! Statements on `tablature_trash`: what was deleted and can be restored.

use std::fmt::Write as _;
use std::sync::Arc;

use super::ident::quote;
use super::write::stored;
use super::{Dialect, Param, Statement};
use crate::filter::Scalar;
use crate::schema::ColumnType;

const TABLE: &str = "tablature_trash";

/// Columns of an entry, in the order in which they are written and read.
const COLUMNS: [(&str, ColumnType); 7] = [
    ("id", ColumnType::Uuid),
    ("collection", ColumnType::Text),
    ("item", ColumnType::Text),
    ("deleted_at", ColumnType::Timestamp),
    ("deleted_by", ColumnType::Uuid),
    ("expires_at", ColumnType::Timestamp),
    ("content", ColumnType::Text),
];

/// Puts an entry there, with its values in the order of the columns above.
pub fn insert(dialect: Dialect, values: [Scalar; 7]) -> Statement {
    let mut writer = Writer::new(dialect);
    let names: Vec<String> = COLUMNS.iter().map(|(name, _)| quote(dialect, name)).collect();
    let marks: Vec<String> =
        COLUMNS.iter().zip(values).map(|((_, kind), value)| writer.param(kind, value)).collect();
    let text =
        format!("INSERT INTO {} ({}) VALUES ({})", quote(dialect, TABLE), names.join(","), marks.join(","));
    writer.finish(text, &[])
}

/// Which entries are meant.
#[derive(Debug, Clone, Default)]
pub struct Which<'a> {
    /// Those of this collection.
    pub collection: Option<&'a str>,
    /// The one with this key.
    pub id: Option<&'a str>,
    /// Those that this user deleted.
    pub by: Option<&'a str>,
    /// Those that are older than the one with this key.
    pub before: Option<&'a str>,
    /// Those whose time was over at this moment.
    pub expired_at: Option<&'a str>,
    /// Those whose time was not over at this moment.
    pub kept_at: Option<&'a str>,
}

/// Reads entries, the latest first: the columns above, the content only where it is asked for.
pub fn select(dialect: Dialect, which: &Which<'_>, most: u64, has_content: bool) -> Statement {
    let mut writer = Writer::new(dialect);
    let columns = &COLUMNS[..COLUMNS.len() - usize::from(!has_content)];
    let names: Vec<String> = columns.iter().map(|(name, _)| quote(dialect, name)).collect();
    let condition = writer.condition(which);
    let lock = if has_content && dialect != Dialect::Sqlite { " FOR UPDATE" } else { "" };
    let (table, id) = (quote(dialect, TABLE), quote(dialect, "id"));
    let text =
        format!("SELECT {} FROM {table}{condition} ORDER BY {id} DESC LIMIT {most}{lock}", names.join(","));
    writer.finish(text, columns)
}

/// Removes entries for good.
pub fn delete(dialect: Dialect, which: &Which<'_>) -> Statement {
    let mut writer = Writer::new(dialect);
    let condition = writer.condition(which);
    writer.finish(format!("DELETE FROM {}{condition}", quote(dialect, TABLE)), &[])
}

struct Writer {
    dialect: Dialect,
    params: Vec<Param>,
}

impl Writer {
    fn new(dialect: Dialect) -> Self {
        Writer { dialect, params: Vec::new() }
    }

    fn param(&mut self, column_type: &ColumnType, value: Scalar) -> String {
        self.params.push(stored(self.dialect, column_type, value));
        let number = self.params.len();
        match (self.dialect, column_type) {
            (Dialect::Sqlite, _) => format!("?{number}"),
            (Dialect::Mysql, _) => "?".to_owned(),
            (Dialect::Postgres, ColumnType::Uuid) => format!("CAST(CAST(${number} AS text) AS uuid)"),
            (Dialect::Postgres, ColumnType::Timestamp) => {
                format!("CAST(CAST(${number} AS text) AS timestamptz)")
            }
            (Dialect::Postgres, _) => format!("CAST(${number} AS text)"),
        }
    }

    fn condition(&mut self, which: &Which<'_>) -> String {
        let mut text = String::new();
        let tests = [
            ("collection", "=", &ColumnType::Text, which.collection),
            ("id", "=", &ColumnType::Uuid, which.id),
            ("deleted_by", "=", &ColumnType::Uuid, which.by),
            ("id", "<", &ColumnType::Uuid, which.before),
            ("expires_at", "<=", &ColumnType::Timestamp, which.expired_at),
        ];
        for (name, operator, kind, value) in tests {
            let Some(value) = value else { continue };
            let word = if text.is_empty() { " WHERE" } else { " AND" };
            let mark = self.param(kind, Scalar::Text(value.into()));
            let _ = write!(text, "{word} {}{operator}{mark}", quote(self.dialect, name));
        }
        if let Some(moment) = which.kept_at {
            let word = if text.is_empty() { " WHERE" } else { " AND" };
            let mark = self.param(&ColumnType::Timestamp, Scalar::Text(moment.into()));
            let name = quote(self.dialect, "expires_at");
            let _ = write!(text, "{word} ({name} IS NULL OR {name}>{mark})");
        }
        text
    }

    fn finish(self, text: String, columns: &[(&str, ColumnType)]) -> Statement {
        let columns: Vec<ColumnType> = columns.iter().map(|(_, kind)| kind.clone()).collect();
        Statement { text: text.into(), params: self.params, columns: Arc::from(columns) }
    }
}
