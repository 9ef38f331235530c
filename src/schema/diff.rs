//! The difference between what is declared and what a database has, as steps in the order in which they can run.
//!
//! Start at [`diff`]. Pure: whether two columns are stored alike is asked of the caller, and rows are counted by others.

mod defaults;
mod desired;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use defaults::canonical_default;
pub use desired::{desired_table, foreign_key_name, index_name};

use super::{
    Auto, Collection, DatabaseStructure, DefaultValue, Field, Fill, ForeignKey, OnDelete, Origin, Schema,
    SchemaStep, Table, TableColumn, TableIndex,
};

/// What [`diff`] is told beside the two sides.
#[derive(Clone, Copy)]
pub struct DiffOptions<'a> {
    /// The model of the system alone: its columns are made by migrations and never altered here.
    pub built_in: &'a Schema,
    /// Whether the column of the database (first) stores what the declared one (second) would.
    pub is_stored_alike: &'a dyn Fn(&TableColumn, &TableColumn) -> bool,
    /// Drop tables and columns that nobody declares.
    pub prune: bool,
}

/// What [`diff`] finds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Diff {
    /// Steps, in order.
    pub steps: Vec<SchemaStep>,
    /// Differences that no step can remove, one sentence each.
    pub problems: Vec<String>,
    /// Tables and views that nobody declares, and that are not dropped.
    pub unknown_tables: Vec<String>,
    /// Columns of declared tables that nobody declares, and that are not dropped, as `table.column`.
    pub unknown_columns: Vec<String>,
}

/// Compares a model with a database.
///
/// Renames come first, then what stands in the way is taken off, tables and columns are made and changed, and indexes and
/// foreign keys are put on when everything that they refer to is there. Drops come last.
pub fn diff(desired: &Schema, actual: &DatabaseStructure, options: DiffOptions<'_>) -> Diff {
    let mut work = Work {
        options,
        now: actual.clone(),
        created: Vec::new(),
        buckets: BTreeMap::new(),
        diff: Diff::default(),
    };
    let tables: Vec<(&Collection, Table)> = desired
        .collections()
        .filter(|(_, collection)| collection.origin != Origin::Database)
        .map(|(_, collection)| (collection, desired_table(desired, collection)))
        .filter(|(_, table)| !table.columns.is_empty())
        .collect();
    for (collection, table) in &tables {
        work.rename(collection, table);
    }
    let retyped = work.retyped(&tables);
    for (collection, table) in &tables {
        work.compare(collection, table, &retyped);
    }
    work.create(&retyped);
    work.references_from_elsewhere(&tables, &retyped);
    work.leftovers(&tables);
    work.diff.steps.extend(work.buckets.into_values().flatten());
    work.diff
}

/// When a step runs, first to last. Renames run before all of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    DropForeignKey,
    DropIndex,
    CreateTable,
    AddColumn,
    ChangeColumn,
    DropColumn,
    AddIndex,
    AddForeignKey,
    DropTable,
}

struct Work<'a> {
    options: DiffOptions<'a>,
    /// The database after the renames.
    now: DatabaseStructure,
    created: Vec<Table>,
    buckets: BTreeMap<Turn, Vec<SchemaStep>>,
    diff: Diff,
}

/// Columns whose type changes, as table and column: foreign keys are taken off them while it does.
type Retyped = BTreeSet<(String, String)>;

impl Work<'_> {
    fn push(&mut self, turn: Turn, step: SchemaStep) {
        self.buckets.entry(turn).or_default().push(step);
    }

    fn rename(&mut self, collection: &Collection, table: &Table) {
        if self.now.table(&table.name).is_none()
            && let Some(from) = collection.was.iter().find(|name| self.now.table(name).is_some())
        {
            self.rename_step(SchemaStep::RenameTable { from: from.clone(), to: table.name.clone() });
        }
        let Some(found) = self.now.table(&table.name) else { return };
        let mut columns: BTreeSet<String> = found.columns.iter().map(|column| column.name.clone()).collect();
        for (_, field) in collection.fields().filter(|(_, field)| !field.is_alias()) {
            let name = field.name.as_ref();
            // A former name that another field bears now is not this one's any more.
            let former = |name: &&String| columns.contains(*name) && table.column(name).is_none();
            if !columns.contains(name)
                && let Some(from) = field.was.iter().find(former).cloned()
            {
                columns.remove(&from);
                columns.insert(name.to_owned());
                let table = table.name.clone();
                self.rename_step(SchemaStep::RenameColumn { table, from, to: name.to_owned() });
            }
        }
    }

    fn rename_step(&mut self, step: SchemaStep) {
        self.now.apply(&step);
        self.diff.steps.push(step);
    }

    fn retyped(&self, tables: &[(&Collection, Table)]) -> Retyped {
        let mut all = Retyped::new();
        for (collection, table) in tables {
            let Some(found) = self.now.table(&table.name) else { continue };
            for column in table.columns.iter().filter(|column| !self.is_built_in(collection, &column.name)) {
                let is_retyped = |old: &TableColumn| !(self.options.is_stored_alike)(old, column);
                if found.column(&column.name).is_some_and(is_retyped) {
                    all.insert((table.name.clone(), column.name.clone()));
                }
            }
        }
        all
    }

    fn is_built_in(&self, collection: &Collection, column: &str) -> bool {
        let built_in = || self.options.built_in.get(&collection.name);
        collection.is_system() && built_in().is_some_and(|own| own.find(column).is_some())
    }

    fn compare(&mut self, collection: &Collection, table: &Table, retyped: &Retyped) {
        let Some(found) = self.now.table(&table.name).cloned() else {
            let indexes = table.indexes.iter().map(|index| self.with_free_name(index)).collect();
            self.created.push(Table { indexes, ..table.clone() });
            return;
        };
        if found.is_view {
            return;
        }
        if found.primary_key != table.primary_key {
            self.diff.problems.push(format!(
                "the primary key of {} is ({}) in the database and ({}) in its file: a key cannot be exchanged",
                table.name,
                found.primary_key.join(", "),
                table.primary_key.join(", ")
            ));
        }
        for (_, field) in collection.fields() {
            if !self.is_built_in(collection, &field.name)
                && let Some(column) = table.column(&field.name)
            {
                self.compare_column(table, field, column, found.column(&field.name));
            }
        }
        self.compare_indexes(collection, table, &found);
        self.compare_foreign_keys(collection, table, &found, retyped);
        if !collection.is_system() {
            self.unknown_columns(table, &found);
        }
    }

    /// Makes tables in an order in which most of what they refer to is there already, so that they are made with their foreign
    /// keys; adding those later costs a copy of the table on MariaDB. What closes a circle is added at the end.
    fn create(&mut self, retyped: &Retyped) {
        let mut waiting = std::mem::take(&mut self.created);
        let mut made: BTreeSet<String> = BTreeSet::new();
        while !waiting.is_empty() {
            let names: BTreeSet<&str> = waiting.iter().map(|table| table.name.as_str()).collect();
            let blockers = |table: &Table| {
                let targets = table.foreign_keys.iter().map(|key| key.target.as_str());
                targets.filter(|target| *target != table.name && names.contains(target)).count()
            };
            // In a circle somebody has to be first: the one that waits for the fewest.
            let next = (0..waiting.len()).min_by_key(|position| blockers(&waiting[*position])).unwrap_or(0);
            let mut table = waiting.remove(next);
            let (now, later): (Vec<_>, Vec<_>) = table.foreign_keys.into_iter().partition(|key| {
                let is_there =
                    self.now.table(&key.target).is_some() && !is_touched(&table.name, key, retyped);
                key.target == table.name || made.contains(&key.target) || is_there
            });
            table.foreign_keys = now;
            later.iter().for_each(|key| self.add_foreign_key(&table.name, key));
            made.insert(table.name.clone());
            self.push(Turn::CreateTable, SchemaStep::CreateTable { table });
        }
    }

    fn compare_column(
        &mut self,
        table: &Table,
        field: &Field,
        column: &TableColumn,
        found: Option<&TableColumn>,
    ) {
        let fill = fill_for(field, column);
        let table_name = table.name.clone();
        let Some(found) = found else {
            // What the database cannot write down as a default is filled in between: null first, then required.
            let is_filled_later = matches!(fill, Fill::Now | Fill::Uuid);
            let first = TableColumn { nullable: column.nullable || is_filled_later, ..column.clone() };
            let fill_now = if is_filled_later { Fill::Nothing } else { fill };
            let step =
                SchemaStep::AddColumn { table: table_name.clone(), column: first.clone(), fill: fill_now };
            self.push(Turn::AddColumn, step);
            if is_filled_later {
                let step =
                    SchemaStep::ChangeColumn { table: table_name, from: first, to: column.clone(), fill };
                self.push(Turn::ChangeColumn, step);
            }
            return;
        };
        if column.is_counted && !found.is_counted {
            self.diff.problems.push(format!("the database does not count {table_name}.{}", column.name));
        }
        let mut last = found.clone();
        let mut changes: Vec<(TableColumn, Fill)> = Vec::new();
        let default = if keeps_default(field, column, found) { &found.default } else { &column.default };
        if !(self.options.is_stored_alike)(found, column) {
            last = TableColumn { nullable: found.nullable, default: default.clone(), ..column.clone() };
            changes.push((last.clone(), Fill::Nothing));
        } else if *default != found.default {
            last.default.clone_from(default);
            changes.push((last.clone(), Fill::Nothing));
        }
        if column.nullable != found.nullable {
            last.nullable = column.nullable;
            changes.push((last, fill));
        }
        let mut from = found.clone();
        for (to, fill) in changes {
            let step = SchemaStep::ChangeColumn { table: table_name.clone(), from, to: to.clone(), fill };
            self.push(Turn::ChangeColumn, step);
            from = to;
        }
    }

    fn compare_indexes(&mut self, collection: &Collection, table: &Table, found: &Table) {
        for index in &table.indexes {
            let is_there = found.index_over(&index.columns, index.unique).is_some()
                || (!index.unique && found.index_over(&index.columns, true).is_some());
            let is_built_in = index.columns.iter().all(|column| self.is_built_in(collection, column));
            if !is_there && !is_built_in {
                self.add_index(&table.name, index);
            }
        }
        if collection.is_system() {
            return;
        }
        for index in &found.indexes {
            // Indexes that somebody else made under other names are left alone.
            let ours = index_name(&table.name, &index.columns, index.unique);
            let is_ours = index.name == ours || index.name.starts_with(&format!("{ours}_"));
            let is_wanted =
                table.indexes.iter().any(|i| i.columns == index.columns && i.unique == index.unique);
            // Columns that nobody declares are left alone, and so is what belongs to them.
            let is_known = index.columns.iter().all(|column| table.column(column).is_some());
            if is_ours && is_known && !is_wanted {
                let step = SchemaStep::DropIndex { table: table.name.clone(), index: index.clone() };
                self.push(Turn::DropIndex, step);
            }
        }
    }

    fn compare_foreign_keys(
        &mut self,
        collection: &Collection,
        table: &Table,
        found: &Table,
        retyped: &Retyped,
    ) {
        let is_retyped = |key: &ForeignKey| is_touched(&table.name, key, retyped);
        for key in &found.foreign_keys {
            let is_known = key.columns.iter().all(|column| table.column(column).is_some());
            let is_built_in = key.columns.iter().any(|column| self.is_built_in(collection, column));
            let is_wanted = table.foreign_keys.iter().any(|wanted| is_same_key(wanted, key));
            if is_known && !is_built_in && (!is_wanted || is_retyped(key)) {
                let step = SchemaStep::DropForeignKey { table: table.name.clone(), key: key.clone() };
                self.push(Turn::DropForeignKey, step);
            }
        }
        for key in &table.foreign_keys {
            let is_built_in = key.columns.iter().any(|column| self.is_built_in(collection, column));
            let is_there = found.foreign_keys.iter().any(|other| is_same_key(key, other));
            if !is_built_in && (!is_there || is_retyped(key)) {
                self.add_foreign_key(&table.name, key);
            }
        }
    }

    /// Takes foreign keys of tables that nobody declares off columns whose type changes, and puts them on again.
    fn references_from_elsewhere(&mut self, tables: &[(&Collection, Table)], retyped: &Retyped) {
        let declared: BTreeSet<&str> = tables.iter().map(|(_, table)| table.name.as_str()).collect();
        let touched: Vec<(String, ForeignKey)> = self
            .now
            .tables
            .values()
            .filter(|table| !declared.contains(table.name.as_str()))
            .flat_map(|table| table.foreign_keys.iter().map(|key| (table.name.clone(), key.clone())))
            .filter(|(table, key)| is_touched(table, key, retyped))
            .collect();
        for (table, key) in touched {
            let step = SchemaStep::DropForeignKey { table: table.clone(), key: key.clone() };
            self.push(Turn::DropForeignKey, step);
            self.push(Turn::AddForeignKey, SchemaStep::AddForeignKey { table, key });
        }
    }

    fn unknown_columns(&mut self, table: &Table, found: &Table) {
        let is_unknown = |column: &&String| table.column(column).is_none();
        let unknown: Vec<&String> =
            found.columns.iter().map(|column| &column.name).filter(is_unknown).collect();
        if !self.options.prune {
            let names = unknown.iter().map(|column| format!("{}.{column}", table.name));
            self.diff.unknown_columns.extend(names);
            return;
        }
        // A key or an index over two such columns is dropped once.
        let touches = |columns: &[String]| columns.iter().any(|column| unknown.contains(&column));
        for key in found.foreign_keys.iter().filter(|key| touches(&key.columns)) {
            let step = SchemaStep::DropForeignKey { table: table.name.clone(), key: key.clone() };
            self.push(Turn::DropForeignKey, step);
        }
        for index in found.indexes.iter().filter(|index| touches(&index.columns)) {
            let step = SchemaStep::DropIndex { table: table.name.clone(), index: index.clone() };
            self.push(Turn::DropIndex, step);
        }
        for column in unknown {
            let step = SchemaStep::DropColumn { table: table.name.clone(), column: column.clone() };
            self.push(Turn::DropColumn, step);
        }
    }

    fn leftovers(&mut self, tables: &[(&Collection, Table)]) {
        let declared: BTreeSet<&str> = tables.iter().map(|(_, table)| table.name.as_str()).collect();
        let unknown: Vec<Table> = self
            .now
            .tables
            .values()
            .filter(|table| !declared.contains(table.name.as_str()) && !is_reserved(&table.name))
            .cloned()
            .collect();
        for table in unknown {
            if !self.options.prune || table.is_view {
                self.diff.unknown_tables.push(table.name);
                continue;
            }
            for key in table.foreign_keys {
                self.push(
                    Turn::DropForeignKey,
                    SchemaStep::DropForeignKey { table: table.name.clone(), key },
                );
            }
            self.push(Turn::DropTable, SchemaStep::DropTable { table: table.name });
        }
    }

    fn add_index(&mut self, table: &str, index: &TableIndex) {
        let index = self.with_free_name(index);
        self.push(Turn::AddIndex, SchemaStep::AddIndex { table: table.to_owned(), index });
    }

    fn with_free_name(&self, index: &TableIndex) -> TableIndex {
        // Names of indexes are unique per database on SQLite and PostgreSQL, and renamed columns leave theirs behind.
        let is_taken = |name: &str| {
            self.now.tables.values().flat_map(|table| &table.indexes).any(|index| index.name == name)
        };
        let mut index = index.clone();
        let base = index.name.clone();
        let mut number = 2;
        while is_taken(&index.name) {
            index.name = format!("{base}_{number}");
            number += 1;
        }
        index
    }

    fn add_foreign_key(&mut self, table: &str, key: &ForeignKey) {
        let step = SchemaStep::AddForeignKey { table: table.to_owned(), key: key.clone() };
        self.push(Turn::AddForeignKey, step);
    }
}

/// Belongs to the product, whatever its file says.
pub fn is_reserved(table: &str) -> bool {
    table.starts_with("tablature_") || table.starts_with("directus_")
}

fn is_touched(table: &str, key: &ForeignKey, retyped: &Retyped) -> bool {
    let touches = |table: &str, column: &String| retyped.contains(&(table.to_owned(), column.clone()));
    key.columns.iter().any(|column| touches(table, column))
        || key.target_columns.iter().any(|column| touches(&key.target, column))
}

/// `restrict` and `no_action` are one here: both refuse, and MariaDB reports either for the other.
fn is_same_key(left: &ForeignKey, right: &ForeignKey) -> bool {
    let behaviour = |key: &ForeignKey| match key.on_delete {
        OnDelete::NoAction => OnDelete::Restrict,
        other => other,
    };
    left.columns == right.columns
        && left.target == right.target
        && left.target_columns == right.target_columns
        && behaviour(left) == behaviour(right)
}

fn fill_for(field: &Field, column: &TableColumn) -> Fill {
    if column.nullable {
        return Fill::Nothing;
    }
    let declared = field.column.as_ref();
    let is_auto = |auto: Auto| declared.is_some_and(|column| column.auto == Some(auto));
    match declared.and_then(|column| column.default.as_ref()) {
        Some(DefaultValue::Value(_)) => Fill::Default,
        Some(DefaultValue::Now) => Fill::Now,
        Some(DefaultValue::Uuid) => Fill::Uuid,
        Some(DefaultValue::Expression(_)) | None => match () {
            () if is_auto(Auto::CreatedAt) || is_auto(Auto::UpdatedAt) => Fill::Now,
            () if is_auto(Auto::Uuid) => Fill::Uuid,
            () => Fill::Nothing,
        },
    }
}

/// Defaults that compute something were written by somebody else: they stay unless a constant is declared.
fn keeps_default(field: &Field, column: &TableColumn, found: &TableColumn) -> bool {
    match (&column.default, &found.default) {
        (None, Some(DefaultValue::Value(_))) => {
            // A constant here is a remnant, unless the server fills the column anyway.
            field.column.as_ref().is_some_and(|column| column.auto.is_some())
        }
        (None, _) => true,
        (Some(wanted), Some(there)) => wanted == there,
        (Some(_), None) => false,
    }
}
