//! Changing tables of SQLite, which can rename and add columns and knows nothing else.
//!
//! A table that needs more is made anew under another name, filled, and takes the old one's place: once, for all steps about it.
//! The caller has switched off the enforcement of foreign keys and checks them before it commits.

use std::collections::BTreeSet;

use super::convert::convert;
use super::{
    add_index, column_definition, create_table, fill_expression, foreign_key, names, step_statements,
};
use crate::error::{Error, Result};
use crate::schema::{DatabaseStructure, Fill, ForeignKey, SchemaStep, Table, TableColumn, Trigger};
use crate::sql::Dialect;
use crate::sql::ident::quote;

use super::types::quote_text;

const DIALECT: Dialect = Dialect::Sqlite;

/// The statements of all steps together.
pub fn statements(steps: &[SchemaStep], actual: &DatabaseStructure) -> Result<Vec<String>> {
    let mut renamed = actual.clone();
    let mut wanted = actual.clone();
    for step in steps {
        wanted.apply(step);
        if matches!(step, SchemaStep::RenameTable { .. } | SchemaStep::RenameColumn { .. }) {
            renamed.apply(step);
        }
    }
    let created: BTreeSet<&str> = steps
        .iter()
        .filter(|step| matches!(step, SchemaStep::CreateTable { .. }))
        .map(SchemaStep::table)
        .collect();
    let rebuilt: BTreeSet<&str> = steps
        .iter()
        .filter(|step| !created.contains(step.table()) && needs_rebuild(step, steps))
        .map(SchemaStep::table)
        .collect();

    let mut all = Vec::new();
    let views: Vec<&Table> =
        actual.tables.values().filter(|table| table.is_view && !rebuilt.is_empty()).collect();
    all.extend(views.iter().map(|view| format!("DROP VIEW {}", quote(DIALECT, &view.name))));
    // A rename looks at every view and trigger, and stumbles over those whose table is just being replaced.
    let triggers: Vec<&Trigger> = actual.triggers.iter().filter(|_| !rebuilt.is_empty()).collect();
    all.extend(triggers.iter().map(|trigger| format!("DROP TRIGGER {}", quote(DIALECT, &trigger.name))));
    for step in steps {
        match step {
            SchemaStep::RenameTable { .. }
            | SchemaStep::RenameColumn { .. }
            | SchemaStep::DropTable { .. } => {
                all.extend(step_statements(DIALECT, step, actual, true));
            }
            SchemaStep::CreateTable { table } => {
                let Some(table) = wanted.table(&table.name) else { continue };
                all.push(create_table(DIALECT, table, &table.name));
                all.extend(table.indexes.iter().map(|index| add_index(DIALECT, &table.name, index)));
            }
            SchemaStep::AddColumn { table, column, .. } if !rebuilt.contains(table.as_str()) => {
                let key = added_key(steps, table, &column.name);
                all.push(add_column(table, column, key));
            }
            SchemaStep::AddIndex { table, .. } | SchemaStep::DropIndex { table, .. }
                if !rebuilt.contains(table.as_str()) && !created.contains(table.as_str()) =>
            {
                all.extend(step_statements(DIALECT, step, actual, true));
            }
            // Part of a rebuild, of `CREATE TABLE` or of `ADD COLUMN`.
            _ => {}
        }
    }
    for name in rebuilt {
        if let (Some(old), Some(new)) = (renamed.table(name), wanted.table(name)) {
            all.extend(rebuild(old, new, steps)?);
        }
    }
    let kept = triggers.iter().filter(|trigger| wanted.table(&trigger.table).is_some());
    all.extend(kept.map(|trigger| trigger.definition.clone()));
    all.extend(views.iter().filter_map(|view| view.definition.clone()));
    Ok(all)
}

fn needs_rebuild(step: &SchemaStep, steps: &[SchemaStep]) -> bool {
    match step {
        SchemaStep::ChangeColumn { .. }
        | SchemaStep::DropColumn { .. }
        | SchemaStep::DropForeignKey { .. } => true,
        SchemaStep::AddColumn { column, fill, .. } => {
            !column.nullable && (column.default.is_none() || *fill != Fill::Default)
        }
        // A column that is added without a value may bring its foreign key along.
        SchemaStep::AddForeignKey { table, key } => !steps.iter().any(|step| match step {
            SchemaStep::AddColumn { table: other, column, .. } => {
                table == other && key.columns == [column.name.clone()] && column.default.is_none()
            }
            _ => false,
        }),
        SchemaStep::DropIndex { index, .. } => index.is_constraint,
        SchemaStep::CreateTable { .. }
        | SchemaStep::RenameTable { .. }
        | SchemaStep::RenameColumn { .. }
        | SchemaStep::AddIndex { .. }
        | SchemaStep::DropTable { .. } => false,
    }
}

fn added_key<'a>(steps: &'a [SchemaStep], table: &str, column: &str) -> Option<&'a ForeignKey> {
    steps.iter().find_map(|step| match step {
        SchemaStep::AddForeignKey { table: other, key } if other == table && key.columns == [column] => {
            Some(key)
        }
        _ => None,
    })
}

fn add_column(table: &str, column: &TableColumn, key: Option<&ForeignKey>) -> String {
    let key = key.map_or_else(String::new, |key| {
        // At a column the constraint names its target only.
        let whole = foreign_key(DIALECT, table, key);
        let (name, rest) = whole.split_once(" FOREIGN KEY ").unwrap_or(("", &whole));
        let target = rest.find(" REFERENCES ").map_or(rest, |start| &rest[start..]);
        format!(" {name}{target}")
    });
    format!("ALTER TABLE {} ADD COLUMN {}{key}", quote(DIALECT, table), column_definition(DIALECT, column))
}

fn rebuild(old: &Table, new: &Table, steps: &[SchemaStep]) -> Result<Vec<String>> {
    if old.columns.iter().any(|column| column.is_generated) {
        let reason =
            format!("{} has computed columns, which would be lost: change this table by hand", old.name);
        return Err(Error::UnprocessableContent { reason });
    }
    let temporary = format!("tablature_new_{}", new.name);
    let mut targets = Vec::new();
    let mut sources = Vec::new();
    for column in &new.columns {
        let source = match old.column(&column.name) {
            Some(before) => {
                let name = quote(DIALECT, &column.name);
                Some(convert(DIALECT, &name, &before.column_type, &column.column_type).expression())
            }
            None => None,
        };
        let fill = fill_of(steps, &new.name, &column.name);
        let fill = fill.and_then(|(column, fill)| fill_expression(DIALECT, column, fill));
        let source = match (source, fill) {
            (Some(source), Some(fill)) => format!("COALESCE({source}, {fill})"),
            (Some(source), None) => source,
            (None, Some(fill)) => fill,
            // New and without a value of its own: the default, or null.
            (None, None) => continue,
        };
        targets.push(column.name.clone());
        sources.push(source);
    }
    let (old_name, temporary_name) = (quote(DIALECT, &old.name), quote(DIALECT, &temporary));
    let mut all = vec![
        create_table(DIALECT, new, &temporary),
        format!(
            "INSERT INTO {temporary_name} ({}) SELECT {} FROM {old_name}",
            names(DIALECT, &targets),
            sources.join(", ")
        ),
    ];
    if new.columns.iter().any(|column| column.is_counted) {
        // Numbers that were given out once are not given out again.
        let (old_text, new_text) = (quote_text(DIALECT, &old.name), quote_text(DIALECT, &temporary));
        all.push(format!("DELETE FROM sqlite_sequence WHERE name = {new_text}"));
        all.push(format!(
            "INSERT INTO sqlite_sequence (name, seq) SELECT {new_text}, seq FROM sqlite_sequence WHERE name = {old_text}"
        ));
    }
    all.push(format!("DROP TABLE {old_name}"));
    all.push(format!("ALTER TABLE {temporary_name} RENAME TO {old_name}"));
    all.extend(
        new.indexes
            .iter()
            .filter(|index| !index.is_constraint)
            .map(|index| add_index(DIALECT, &new.name, index)),
    );
    // What was declared inside of the table is an index of its own from now on.
    all.extend(new.indexes.iter().filter(|index| index.is_constraint).map(|index| {
        let name = crate::schema::diff::index_name(&new.name, &index.columns, index.unique);
        add_index(
            DIALECT,
            &new.name,
            &crate::schema::TableIndex { name, is_constraint: false, ..index.clone() },
        )
    }));
    Ok(all)
}

fn fill_of<'a>(steps: &'a [SchemaStep], table: &str, name: &str) -> Option<(&'a TableColumn, Fill)> {
    steps.iter().find_map(|step| match step {
        SchemaStep::AddColumn { table: other, column, fill } if other == table && column.name == name => {
            (*fill != Fill::Nothing && *fill != Fill::Default).then_some((column, *fill))
        }
        SchemaStep::ChangeColumn { table: other, to, fill, .. } if other == table && to.name == name => {
            (*fill != Fill::Nothing).then_some((to, *fill))
        }
        _ => None,
    })
}
