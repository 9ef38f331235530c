//! The catalogue of MariaDB and MySQL: `information_schema`, each view asked once and nothing joined, which is what it is slow at.

use super::{add_to_index, on_delete, query, table, text};
use crate::db::Row;
use crate::schema::{ColumnType, DatabaseStructure, ForeignKey, TableColumn};
use crate::sql::ddl::types::{read_default, read_type};
use crate::sql::{Dialect, Statement};

/// The casts are for MySQL 8, which calls some of these columns binary.
const COLUMNS: &str = "SELECT CAST(TABLE_NAME AS char), CAST(COLUMN_NAME AS char), CAST(COLUMN_TYPE AS char), \
     CAST(IS_NULLABLE AS char), CAST(COLUMN_DEFAULT AS char), CAST(EXTRA AS char), VERSION() \
     FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME, ORDINAL_POSITION";

const VIEWS: &str =
    "SELECT CAST(TABLE_NAME AS char) FROM information_schema.VIEWS WHERE TABLE_SCHEMA = DATABASE()";

const INDEXES: &str = "SELECT CAST(TABLE_NAME AS char), CAST(INDEX_NAME AS char), CAST(COLUMN_NAME AS char), \
     CAST(NON_UNIQUE AS signed) FROM information_schema.STATISTICS \
     WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX";

const FOREIGN_KEYS: &str = "SELECT CAST(TABLE_NAME AS char), CAST(CONSTRAINT_NAME AS char), CAST(COLUMN_NAME AS char), \
     CAST(REFERENCED_TABLE_NAME AS char), CAST(REFERENCED_COLUMN_NAME AS char) \
     FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_NAME IS NOT NULL \
     ORDER BY TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION";

const RULES: &str = "SELECT CAST(TABLE_NAME AS char), CAST(CONSTRAINT_NAME AS char), CAST(DELETE_RULE AS char) \
     FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = DATABASE()";

/// The statements to ask.
pub fn catalogue() -> Vec<Statement> {
    use ColumnType::{BigInteger, Text};
    vec![
        query(COLUMNS, &[Text, Text, Text, Text, Text, Text, Text]),
        query(VIEWS, &[Text]),
        query(INDEXES, &[Text, Text, Text, BigInteger]),
        query(FOREIGN_KEYS, &[Text, Text, Text, Text, Text]),
        query(RULES, &[Text, Text, Text]),
    ]
}

/// Reads the answers.
pub fn assemble(answers: &[Vec<Row>], structure: &mut DatabaseStructure) {
    let [columns, views, indexes, foreign_keys, rules] = answers else { return };
    for row in columns {
        let declared = text(row, 2);
        let column_type = read_type(Dialect::Mysql, declared);
        let extra = text(row, 5).to_ascii_uppercase();
        // MySQL reports constants without quotes; MariaDB writes every default as an expression.
        let is_text =
            !text(row, 6).to_ascii_lowercase().contains("mariadb") && !extra.contains("DEFAULT_GENERATED");
        let default = row.text(4).map(|text| text.as_ref());
        table(structure, text(row, 0)).columns.push(TableColumn {
            name: text(row, 1).to_owned(),
            default: read_default(Dialect::Mysql, &column_type, default, is_text),
            column_type,
            declared: Some(declared.to_owned()),
            nullable: text(row, 3) == "YES",
            keeps_milliseconds: false,
            is_counted: extra.contains("AUTO_INCREMENT"),
            is_generated: extra.contains("VIRTUAL")
                || extra.contains("STORED GENERATED")
                || extra.contains("PERSISTENT"),
        });
    }
    for row in views {
        table(structure, text(row, 0)).is_view = true;
    }
    for row in indexes {
        let found = table(structure, text(row, 0));
        match text(row, 1) {
            "PRIMARY" => found.primary_key.push(text(row, 2).to_owned()),
            name => add_to_index(found, name, text(row, 2), row.int(3) == Some(0), false),
        }
    }
    for row in foreign_keys {
        let name = text(row, 1);
        let found = table(structure, text(row, 0));
        let is_next = |key: &&mut ForeignKey| key.name.as_deref() == Some(name);
        if let Some(key) = found.foreign_keys.last_mut().filter(is_next) {
            key.columns.push(text(row, 2).to_owned());
            key.target_columns.push(text(row, 4).to_owned());
            continue;
        }
        let rule = rules.iter().find(|rule| text(rule, 0) == text(row, 0) && text(rule, 1) == name);
        found.foreign_keys.push(ForeignKey {
            name: Some(name.to_owned()),
            columns: vec![text(row, 2).to_owned()],
            target: text(row, 3).to_owned(),
            target_columns: vec![text(row, 4).to_owned()],
            on_delete: on_delete(rule.map_or("", |rule| text(rule, 2))),
        });
    }
}
