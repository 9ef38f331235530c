//! What the database refused, told in words of the payload.
//!
//! Start at `Run::fault`.

use serde_json::Value;

use super::nested::key_text;
use super::plan::ItemWrite;
use super::run::{Run, first_value};
use super::values::column_value;
use crate::error::{Error, Result};
use crate::filter::Scalar;
use crate::schema::diff::{foreign_key_name, index_name};
use crate::schema::{Collection, CollectionId, ColumnType, FieldId, FieldKind, OnDelete};
use crate::sql::Dialect;
use crate::sql::write::{self as statements, Match};

/// Completes what a driver knows of a refused `INSERT` or `UPDATE` with the collection, and the value if it is certain.
pub(super) fn of_rows(error: Error, collection: &Collection, items: &[ItemWrite]) -> Error {
    let name = |reported: String| if reported.is_empty() { collection.name.to_string() } else { reported };
    let value_of = |field: &str, reported: Value| match culprit(collection, field, items) {
        Value::Null => typed(collection, field, reported),
        certain => certain,
    };
    match error {
        Error::RecordNotUnique { collection: reported, field, value } => {
            // MariaDB calls the index of every primary key so, PostgreSQL names the table with it.
            let is_key = field == "PRIMARY" || field.strip_suffix("_pkey") == Some(&*collection.name);
            let key = collection.key().map(|key| collection.field(key).name.to_string());
            let field = key.filter(|_| is_key).unwrap_or_else(|| of_index(collection, field));
            let value = match value_of(&field, value) {
                // The public API tells a taken e-mail in brackets, as clients that show it expect.
                Value::String(email) if &*collection.name == "directus_users" && field == "email" => {
                    Value::String(format!("[{email}]"))
                }
                value => value,
            };
            Error::RecordNotUnique { collection: name(reported), field, value }
        }
        Error::InvalidForeignKey { collection: reported, field, value } => {
            let field = of_reference(collection, field);
            let value = value_of(&field, value);
            Error::InvalidForeignKey { collection: name(reported), field, value }
        }
        Error::ValueOutOfRange { collection, field } => {
            Error::ValueOutOfRange { collection: name(collection), field }
        }
        Error::ValueTooLong { collection, field } => {
            Error::ValueTooLong { collection: name(collection), field }
        }
        Error::NotNullViolation { collection, field } => {
            Error::NotNullViolation { collection: name(collection), field }
        }
        other => other,
    }
}

/// The fields of a unique index, which is all that MariaDB names. What is no index of ours stays as it is.
fn of_index(collection: &Collection, reported: String) -> String {
    let column = |id: FieldId| collection.field(id).name.to_string();
    let single = collection
        .fields()
        .filter(|(_, field)| field.column.as_ref().is_some_and(|column| column.unique))
        .map(|(id, _)| vec![column(id)]);
    let several = collection
        .indexes
        .iter()
        .filter(|index| index.unique)
        .map(|index| index.fields.iter().copied().map(column).collect());
    let named = |columns: &Vec<String>| index_name(&collection.name, columns, true) == reported;
    single.chain(several).find(named).map_or(reported, |columns| columns.join(", "))
}

/// The field of a foreign key, where only the constraint is named.
fn of_reference(collection: &Collection, reported: String) -> String {
    let is_named = |name: &str| foreign_key_name(&collection.name, name) == reported;
    let mut names = collection.fields().map(|(_, field)| &*field.name);
    names.find(|name| is_named(name)).map_or(reported, str::to_owned)
}

/// A value as the driver reports it, a text, in the form of answers.
fn typed(collection: &Collection, field: &str, reported: Value) -> Value {
    let Some(id) = collection.find(field) else { return reported };
    let Some(column) = &collection.field(id).column else { return reported };
    match column_value(&column.column_type, &reported) {
        Ok(scalar) => shown(collection, id, &scalar),
        Err(_) => reported,
    }
}

/// The value at fault: the only one, or the one that stands twice in the rows.
fn culprit(collection: &Collection, field: &str, items: &[ItemWrite]) -> Value {
    let Some(id) = collection.find(field) else { return Value::Null };
    let values: Vec<&Scalar> =
        items.iter().filter_map(|item| item.value(id)).filter(|value| **value != Scalar::Null).collect();
    let certain = match values.as_slice() {
        [only] => Some(*only),
        _ => values
            .iter()
            .enumerate()
            .find(|(position, value)| values[..*position].contains(value))
            .map(|(_, v)| *v),
    };
    certain.map_or(Value::Null, |value| shown(collection, id, value))
}

impl Run<'_> {
    /// Completes what a driver knows of refused rows. Where the database did not say which value it was, it is asked.
    pub(super) async fn fault(
        &mut self,
        error: Error,
        collection: &Collection,
        items: &[ItemWrite],
    ) -> Error {
        let error = of_rows(error, collection, items);
        let asked = match &error {
            // PostgreSQL has said all, and answers nothing any more in this transaction.
            _ if self.tx.dialect() == Dialect::Postgres => Ok(None),
            Error::InvalidForeignKey { field, value: Value::Null, .. } => {
                self.dangling(collection, field, items).await
            }
            Error::RecordNotUnique { field, value: Value::Null, .. } => {
                self.taken(collection, field, items).await
            }
            _ => Ok(None),
        };
        let Ok(Some((found, found_value))) = asked else { return error };
        match error {
            Error::InvalidForeignKey { collection, .. } => {
                Error::InvalidForeignKey { collection, field: found, value: found_value }
            }
            Error::RecordNotUnique { collection, .. } => {
                Error::RecordNotUnique { collection, field: found, value: found_value }
            }
            other => other,
        }
    }

    /// Completes what a driver knows of a refused `DELETE`: which collection still refers to which of the items.
    pub(super) async fn fault_of_delete(&mut self, error: Error, id: CollectionId, keys: &[Scalar]) -> Error {
        let schema = self.schema();
        let collection = schema.collection(id);
        let Some(key) = collection.key() else { return error };
        match error {
            Error::InvalidForeignKey { collection: reported, value, .. } => {
                let field = collection.field(key).name.to_string();
                let known = match self.tx.dialect() {
                    // PostgreSQL has said all, and answers nothing any more in this transaction.
                    Dialect::Postgres => Some((reported, typed(collection, &field, value))),
                    Dialect::Sqlite | Dialect::Mysql => self.referring(id, keys).await.ok().flatten(),
                };
                let (referring, value) = known.unwrap_or((collection.name.to_string(), Value::Null));
                Error::InvalidForeignKey { collection: referring, field, value }
            }
            other => other,
        }
    }

    /// The first collection that refers to one of these items and forbids its deletion.
    async fn referring(&mut self, id: CollectionId, keys: &[Scalar]) -> Result<Option<(String, Value)>> {
        let schema = self.schema();
        for (referring, field) in schema.references_to(id) {
            let collection = schema.collection(referring);
            let forbids = matches!(
                collection.field(field).kind,
                FieldKind::ManyToOne { on_delete: OnDelete::Restrict | OnDelete::NoAction, .. }
            );
            if !forbids {
                continue;
            }
            let matches = [Match { field, values: keys }];
            let statement = statements::select(self.tx.dialect(), collection, &[field], &matches);
            if let Some(value) = self.tx.rows(&statement).await?.into_iter().find_map(first_value) {
                return Ok(Some((collection.name.to_string(), shown(collection, field, &value))));
            }
        }
        Ok(None)
    }

    /// The first reference to nothing. SQLite does not even say in which field.
    async fn dangling(
        &mut self,
        collection: &Collection,
        reported: &str,
        items: &[ItemWrite],
    ) -> Result<Option<(String, Value)>> {
        let schema = self.schema();
        for (id, field) in collection.fields() {
            let FieldKind::ManyToOne { related, .. } = field.kind else { continue };
            let related = schema.collection(related);
            let Some(key) = related.key() else { continue };
            let values = distinct(items, id);
            if values.is_empty() || !(reported.is_empty() || reported == &*field.name) {
                continue;
            }
            let matches = [Match { field: key, values: &values }];
            let statement = statements::select(self.tx.dialect(), related, &[key], &matches);
            let found: Vec<Scalar> =
                self.tx.rows(&statement).await?.into_iter().filter_map(first_value).collect();
            if let Some(missing) = values.iter().find(|value| !found.contains(value)) {
                return Ok(Some((field.name.to_string(), shown(collection, id, missing))));
            }
        }
        Ok(None)
    }

    /// The first value that another row has already.
    async fn taken(
        &mut self,
        collection: &Collection,
        reported: &str,
        items: &[ItemWrite],
    ) -> Result<Option<(String, Value)>> {
        let Some(id) = collection.find(reported) else { return Ok(None) };
        let values = distinct(items, id);
        if values.is_empty() {
            return Ok(None);
        }
        let matches = [Match { field: id, values: &values }];
        let statement = statements::select(self.tx.dialect(), collection, &[id], &matches);
        let found = self.tx.rows(&statement).await?.into_iter().find_map(first_value);
        Ok(found.map(|value| (reported.to_owned(), shown(collection, id, &value))))
    }
}

fn distinct(items: &[ItemWrite], field: FieldId) -> Vec<Scalar> {
    let mut values: Vec<Scalar> = Vec::new();
    for value in items.iter().filter_map(|item| item.value(field)) {
        if *value != Scalar::Null && !values.contains(value) {
            values.push(value.clone());
        }
    }
    values
}

pub(super) fn shown(collection: &Collection, id: FieldId, value: &Scalar) -> Value {
    let field = collection.field(id);
    let is_hidden =
        field.conceal || field.column.as_ref().is_some_and(|column| column.column_type == ColumnType::Hash);
    match value {
        _ if is_hidden => Value::Null,
        Scalar::Null | Scalar::Bytes(_) => Value::Null,
        Scalar::Bool(value) => Value::from(*value),
        Scalar::Int(value) => Value::from(*value),
        Scalar::Float(value) => Value::from(*value),
        Scalar::Text(_) => Value::String(key_text(value).chars().take(100).collect()),
    }
}
