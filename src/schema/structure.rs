//! What a database really has: tables, columns, keys, indexes. Read by `db::introspect`, compared by [`super::diff()`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ColumnType, DefaultValue, OnDelete, SchemaStep};

/// The tables and views of a database, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DatabaseStructure {
    /// Tables and views.
    pub tables: BTreeMap<String, Table>,
    /// Triggers; filled on SQLite only, where rebuilding a table would lose them.
    pub triggers: Vec<Trigger>,
}

/// A table or a view.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Is a view: read, never altered.
    pub is_view: bool,
    /// Text of a view; filled on SQLite only, where rebuilding a table needs views out of the way.
    pub definition: Option<String>,
    /// Columns in order.
    pub columns: Vec<TableColumn>,
    /// Names of the columns of the primary key, in order.
    pub primary_key: Vec<String>,
    /// Indexes and unique constraints, the primary key's left out.
    pub indexes: Vec<TableIndex>,
    /// Foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// What it holds, as far as the database says so.
    pub column_type: ColumnType,
    /// The type as the database writes it; `None` in what is desired.
    pub declared: Option<String>,
    /// Null is allowed.
    pub nullable: bool,
    /// Value when none is given.
    pub default: Option<DefaultValue>,
    /// The database counts.
    pub is_counted: bool,
    /// Computed by the database, cannot be written.
    pub is_generated: bool,
    /// Dates are kept as milliseconds since 1970; see [`super::Column::keeps_milliseconds`].
    #[serde(default)]
    pub keeps_milliseconds: bool,
}

/// An index or a unique constraint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableIndex {
    /// Its name.
    pub name: String,
    /// Columns in order.
    pub columns: Vec<String>,
    /// No two rows may agree in all columns.
    pub unique: bool,
    /// Part of the table's declaration rather than an object of its own, which decides how it is dropped.
    pub is_constraint: bool,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Its name; SQLite does not tell it.
    pub name: Option<String>,
    /// Referring columns.
    pub columns: Vec<String>,
    /// Table referred to.
    pub target: String,
    /// Columns referred to.
    pub target_columns: Vec<String>,
    /// What becomes of the row when the one referred to is deleted.
    pub on_delete: OnDelete,
}

/// A trigger of SQLite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// Its table.
    pub table: String,
    /// The text that makes it.
    pub definition: String,
}

impl Table {
    /// The column with this name.
    pub fn column(&self, name: &str) -> Option<&TableColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// An index over exactly these columns in this order.
    pub fn index_over(&self, columns: &[String], unique: bool) -> Option<&TableIndex> {
        self.indexes.iter().find(|index| index.unique == unique && index.columns == columns)
    }

    fn rename_column(&mut self, from: &str, to: &str) {
        let rename = |names: &mut Vec<String>| {
            names.iter_mut().filter(|name| name.as_str() == from).for_each(|name| to.clone_into(name))
        };
        self.columns.iter_mut().filter(|c| c.name == from).for_each(|c| to.clone_into(&mut c.name));
        rename(&mut self.primary_key);
        self.indexes.iter_mut().for_each(|index| rename(&mut index.columns));
        self.foreign_keys.iter_mut().for_each(|key| rename(&mut key.columns));
    }
}

impl DatabaseStructure {
    /// The table with this name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(name)
    }

    /// What the database will have after this step. A step about something that is not there changes nothing.
    pub fn apply(&mut self, step: &SchemaStep) {
        match step {
            SchemaStep::CreateTable { table } => {
                self.tables.insert(table.name.clone(), table.clone());
            }
            SchemaStep::RenameTable { from, to } => self.rename_table(from, to),
            SchemaStep::DropTable { table } => {
                self.tables.remove(table);
            }
            SchemaStep::RenameColumn { table, from, to } => {
                if let Some(table) = self.tables.get_mut(table) {
                    table.rename_column(from, to);
                }
                for other in self.tables.values_mut() {
                    for key in other.foreign_keys.iter_mut().filter(|key| key.target == *table) {
                        let names = key.target_columns.iter_mut();
                        names.filter(|name| *name == from).for_each(|name| to.clone_into(name));
                    }
                }
            }
            SchemaStep::AddColumn { table, column, .. } => {
                if let Some(table) = self.tables.get_mut(table).filter(|t| t.column(&column.name).is_none()) {
                    table.columns.push(column.clone());
                }
            }
            SchemaStep::ChangeColumn { table, to, .. } => {
                let columns = self.tables.get_mut(table).map(|table| table.columns.iter_mut());
                columns
                    .into_iter()
                    .flatten()
                    .filter(|column| column.name == to.name)
                    .for_each(|column| *column = to.clone());
            }
            SchemaStep::DropColumn { table, column } => {
                if let Some(table) = self.tables.get_mut(table) {
                    table.columns.retain(|c| c.name != *column);
                    table.indexes.retain(|index| !index.columns.contains(column));
                    table.foreign_keys.retain(|key| !key.columns.contains(column));
                }
            }
            SchemaStep::AddIndex { table, index } => {
                if let Some(table) = self.tables.get_mut(table) {
                    table.indexes.push(index.clone());
                }
            }
            SchemaStep::DropIndex { table, index } => {
                if let Some(table) = self.tables.get_mut(table) {
                    table.indexes.retain(|i| i.name != index.name);
                }
            }
            SchemaStep::AddForeignKey { table, key } => {
                if let Some(table) = self.tables.get_mut(table) {
                    table.foreign_keys.push(key.clone());
                }
            }
            SchemaStep::DropForeignKey { table, key } => {
                if let Some(table) = self.tables.get_mut(table) {
                    table.foreign_keys.retain(|k| !(k.columns == key.columns && k.target == key.target));
                }
            }
        }
    }

    fn rename_table(&mut self, from: &str, to: &str) {
        let Some(mut table) = self.tables.remove(from) else { return };
        to.clone_into(&mut table.name);
        self.tables.insert(to.to_owned(), table);
        let keys = self.tables.values_mut().flat_map(|table| table.foreign_keys.iter_mut());
        keys.filter(|key| key.target == from).for_each(|key| to.clone_into(&mut key.target));
        let triggers = self.triggers.iter_mut().filter(|trigger| trigger.table == from);
        triggers.for_each(|trigger| to.clone_into(&mut trigger.table));
    }
}
