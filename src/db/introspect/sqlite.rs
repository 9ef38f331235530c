//! The catalogue of SQLite: `sqlite_master` and the pragmas as tables.

use super::{add_to_index, on_delete, query, table, text};
use crate::db::Row;
use crate::schema::{ColumnType, DatabaseStructure, ForeignKey, TableColumn, Trigger};
use crate::sql::ddl::types::{keeps_milliseconds, read_default, read_type};
use crate::sql::{Dialect, Statement};

const OBJECTS: &str = "SELECT type, name, tbl_name, COALESCE(sql, '') FROM sqlite_master \
     WHERE type IN ('table', 'view', 'trigger') AND name NOT GLOB 'sqlite_*'";

const COLUMNS: &str = "SELECT m.name, p.name, p.type, p.\"notnull\", p.dflt_value, p.pk, p.hidden \
     FROM sqlite_master m, pragma_table_xinfo(m.name) p \
     WHERE m.type IN ('table', 'view') AND m.name NOT GLOB 'sqlite_*' ORDER BY m.name, p.cid";

/// Indexes over expressions or a part of the rows are nothing that we would make or could compare.
const INDEXES: &str = "SELECT m.name, i.name, x.name, i.\"unique\", i.origin = 'u' \
     FROM sqlite_master m, pragma_index_list(m.name) i, pragma_index_xinfo(i.name) x \
     WHERE m.type = 'table' AND i.origin <> 'pk' AND i.partial = 0 AND x.key = 1 \
     AND NOT EXISTS (SELECT 1 FROM pragma_index_xinfo(i.name) e WHERE e.key = 1 AND e.cid < 0) \
     ORDER BY m.name, i.name, x.seqno";

const FOREIGN_KEYS: &str = "SELECT m.name, f.id, f.\"table\", f.\"from\", COALESCE(f.\"to\", ''), f.on_delete \
     FROM sqlite_master m, pragma_foreign_key_list(m.name) f \
     WHERE m.type = 'table' ORDER BY m.name, f.id DESC, f.seq";

/// The statements to ask.
pub fn catalogue() -> Vec<Statement> {
    use ColumnType::{Integer, Text};
    vec![
        query(OBJECTS, &[Text, Text, Text, Text]),
        query(COLUMNS, &[Text, Text, Text, Integer, Text, Integer, Integer]),
        query(INDEXES, &[Text, Text, Text, Integer, Integer]),
        query(FOREIGN_KEYS, &[Text, Integer, Text, Text, Text, Text]),
    ]
}

/// Reads the answers.
pub fn assemble(answers: &[Vec<Row>], structure: &mut DatabaseStructure) {
    let [objects, columns, indexes, foreign_keys] = answers else { return };
    for row in objects {
        match text(row, 0) {
            "trigger" => structure.triggers.push(Trigger {
                name: text(row, 1).to_owned(),
                table: text(row, 2).to_owned(),
                definition: text(row, 3).to_owned(),
            }),
            kind => {
                let is_view = kind == "view";
                let found = table(structure, text(row, 1));
                found.is_view = is_view;
                found.definition = is_view.then(|| text(row, 3).to_owned());
            }
        }
    }
    let mut keys: Vec<(String, i64, String)> = Vec::new();
    for row in columns {
        // 1 marks the hidden columns of virtual tables, 2 and 3 those that are computed.
        if row.int(6) == Some(1) {
            continue;
        }
        let declared = text(row, 2);
        let column_type = read_type(Dialect::Sqlite, declared);
        let key = row.int(5).unwrap_or(0);
        let name = text(row, 1).to_owned();
        if key > 0 {
            keys.push((text(row, 0).to_owned(), key, name.clone()));
        }
        let default = row.text(4).map(|text| text.as_ref());
        table(structure, text(row, 0)).columns.push(TableColumn {
            default: read_default(Dialect::Sqlite, &column_type, default, false),
            column_type,
            declared: Some(declared.to_owned()),
            keeps_milliseconds: keeps_milliseconds(Dialect::Sqlite, declared),
            nullable: row.int(3) == Some(0) && key == 0,
            is_counted: false,
            is_generated: row.int(6).is_some_and(|hidden| hidden > 1),
            name,
        });
    }
    keys.sort();
    for (name, _, column) in keys {
        table(structure, &name).primary_key.push(column);
    }
    for found in structure.tables.values_mut() {
        if let [key] = found.primary_key.as_slice() {
            let column = found.columns.iter_mut().find(|column| column.name == *key);
            if let Some(column) = column {
                // Such a column is the number of the row, which SQLite gives out.
                let is_integer = |declared: &String| declared.eq_ignore_ascii_case("integer");
                column.is_counted = column.declared.as_ref().is_some_and(is_integer);
            }
        }
    }
    for row in indexes {
        let (unique, is_constraint) = (row.int(3) == Some(1), row.int(4) == Some(1));
        add_to_index(table(structure, text(row, 0)), text(row, 1), text(row, 2), unique, is_constraint);
    }
    let mut last: Option<(String, i64)> = None;
    for row in foreign_keys {
        let id = (text(row, 0).to_owned(), row.int(1).unwrap_or(0));
        let target = text(row, 2).to_owned();
        let target_column = match text(row, 4) {
            // Without a column the key of the target is meant.
            "" => structure.table(&target).and_then(|target| target.primary_key.first()).cloned(),
            column => Some(column.to_owned()),
        };
        let keys = &mut table(structure, text(row, 0)).foreign_keys;
        if last.as_ref() != Some(&id) {
            keys.push(ForeignKey {
                name: None,
                columns: Vec::new(),
                target,
                target_columns: Vec::new(),
                on_delete: on_delete(text(row, 5)),
            });
            last = Some(id);
        }
        if let Some(key) = keys.last_mut() {
            key.columns.push(text(row, 3).to_owned());
            key.target_columns.extend(target_column);
        }
    }
}
