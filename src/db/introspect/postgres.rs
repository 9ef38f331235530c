//! The catalogue of PostgreSQL: `pg_catalog`, which answers many times faster than `information_schema`.

use super::{add_to_index, on_delete, query, table, text};
use crate::db::Row;
use crate::schema::{ColumnType, DatabaseStructure, ForeignKey, TableColumn};
use crate::sql::ddl::types::{read_default, read_type};
use crate::sql::{Dialect, Statement};

const COLUMNS: &str = "SELECT CAST(c.relname AS text), c.relkind IN ('v', 'm'), CAST(a.attname AS text), \
     format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid), \
     a.attidentity <> '', a.attgenerated <> '' \
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
     LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum \
     WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) \
     AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition ORDER BY c.relname, a.attnum";

const CONSTRAINTS: &str = "SELECT CAST(c.relname AS text), CAST(con.conname AS text), con.contype = 'p', \
     CAST(a.attname AS text), CAST(t.relname AS text), CAST(ta.attname AS text), CAST(con.confdeltype AS text) \
     FROM pg_constraint con JOIN pg_class c ON c.oid = con.conrelid AND NOT c.relispartition \
     CROSS JOIN LATERAL unnest(con.conkey, con.confkey) WITH ORDINALITY AS k(number, target, position) \
     JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.number \
     LEFT JOIN pg_class t ON t.oid = con.confrelid AND con.contype = 'f' \
     LEFT JOIN pg_attribute ta ON ta.attrelid = con.confrelid AND ta.attnum = k.target AND con.contype = 'f' \
     WHERE con.connamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) \
     AND con.contype IN ('p', 'f') ORDER BY c.relname, con.conname, k.position";

/// Indexes over expressions or a part of the rows are nothing that we would make or could compare.
const INDEXES: &str = "SELECT CAST(c.relname AS text), CAST(ic.relname AS text), CAST(a.attname AS text), \
     i.indisunique, EXISTS (SELECT 1 FROM pg_constraint con WHERE con.conindid = i.indexrelid AND con.contype = 'u') \
     FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class ic ON ic.oid = i.indexrelid \
     CROSS JOIN LATERAL unnest(CAST(i.indkey AS int2[])) WITH ORDINALITY AS k(number, position) \
     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number \
     WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) \
     AND NOT i.indisprimary AND i.indexprs IS NULL AND i.indpred IS NULL AND i.indisvalid AND NOT c.relispartition \
     AND c.relkind IN ('r', 'p', 'm') AND k.position <= i.indnkeyatts ORDER BY c.relname, ic.relname, k.position";

/// The statements to ask.
pub fn catalogue() -> Vec<Statement> {
    use ColumnType::{Boolean, Text};
    vec![
        query(COLUMNS, &[Text, Boolean, Text, Text, Boolean, Text, Boolean, Boolean]),
        query(CONSTRAINTS, &[Text, Text, Boolean, Text, Text, Text, Text]),
        query(INDEXES, &[Text, Text, Text, Boolean, Boolean]),
    ]
}

/// Reads the answers.
pub fn assemble(answers: &[Vec<Row>], structure: &mut DatabaseStructure) {
    let [columns, constraints, indexes] = answers else { return };
    let is = |row: &Row, column: usize| row.bool(column) == Some(true);
    for row in columns {
        let found = table(structure, text(row, 0));
        found.is_view = is(row, 1);
        let declared = text(row, 3);
        let column_type = read_type(Dialect::Postgres, declared);
        let default = row.text(5).map(|text| text.as_ref());
        // Older tables count through a sequence in the default.
        let is_serial = default.is_some_and(|default| default.starts_with("nextval("));
        let is_generated = is(row, 7);
        let is_plain = !is_serial && !is_generated;
        found.columns.push(TableColumn {
            name: text(row, 2).to_owned(),
            default: default
                .filter(|_| is_plain)
                .and_then(|default| read_default(Dialect::Postgres, &column_type, Some(default), false)),
            column_type,
            declared: Some(declared.to_owned()),
            nullable: !is(row, 4),
            keeps_milliseconds: false,
            is_counted: is_serial || is(row, 6),
            is_generated,
        });
    }
    let mut last = (String::new(), String::new());
    for row in constraints {
        let found = table(structure, text(row, 0));
        let column = text(row, 3).to_owned();
        if is(row, 2) {
            found.primary_key.push(column);
            continue;
        }
        let name = (text(row, 0).to_owned(), text(row, 1).to_owned());
        if name != last {
            found.foreign_keys.push(ForeignKey {
                name: Some(name.1.clone()),
                columns: Vec::new(),
                target: text(row, 4).to_owned(),
                target_columns: Vec::new(),
                on_delete: on_delete(text(row, 6)),
            });
            last = name;
        }
        if let Some(key) = found.foreign_keys.last_mut() {
            key.columns.push(column);
            key.target_columns.push(text(row, 5).to_owned());
        }
    }
    for row in indexes {
        add_to_index(table(structure, text(row, 0)), text(row, 1), text(row, 2), is(row, 3), is(row, 4));
    }
}
