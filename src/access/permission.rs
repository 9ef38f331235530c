//! One right: what a policy allows for one collection and action.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::Action;
use crate::error::Result;
use crate::filter::{self, Limits, Syntax};

/// How large the filters of a permission may be; more generous than those of requests, which strangers write.
const LIMITS: Limits = Limits { max_depth: 20, max_conditions: 2000 };

/// A row of `directus_permissions`.
#[derive(Debug, Clone)]
pub struct PermissionRow {
    /// Its key, as text.
    pub id: String,
    /// Key of the policy.
    pub policy: String,
    /// Name of the collection.
    pub collection: String,
    /// `create`, `read`, `update`, `delete` or `share`.
    pub action: String,
    /// Row filter; null and `{}` mean all rows.
    pub permissions: Value,
    /// Filter on the item that is sent; null and `{}` mean everything.
    pub validation: Value,
    /// Values filled in where the request has none.
    pub presets: Value,
    /// Names of fields, `*` for all; `None` for none.
    pub fields: Option<Vec<String>>,
}

/// One right, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Permission {
    /// Key of the row, as text; `None` for the rights that come with the admin UI.
    pub id: Option<String>,
    /// Key of the policy that gives it.
    pub policy: Arc<str>,
    /// Name of the collection.
    pub collection: Arc<str>,
    /// What is allowed.
    pub action: Action,
    /// In which rows.
    pub rows: Rows,
    /// In which fields.
    pub fields: Fields,
    /// What must be true of an item that is sent.
    pub validation: Option<Syntax>,
    /// Values filled in where the request has none.
    pub presets: Map<String, Value>,
    /// Somewhere stands a variable that differs from user to user.
    pub is_personal: bool,
    /// Paths behind `$CURRENT_USER.` in presets and validation.
    pub own_paths: Vec<Arc<str>>,
}

/// Rows that a permission is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Rows {
    /// All.
    All,
    /// Those that the filter finds.
    Where(Syntax),
}

/// Fields that a permission is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fields {
    /// All.
    All,
    /// These.
    Named(Vec<String>),
}

impl Permission {
    /// Reads a row. `None` for an action that does not exist, which allows nothing.
    ///
    /// Fails with what is wrong with the filters: such a row allows nothing either.
    pub fn read(row: &PermissionRow) -> Result<Option<Self>> {
        let Some(action) = Action::find(&row.action) else { return Ok(None) };
        let rows = match syntax(&row.permissions, "permissions")? {
            Some(filter) => Rows::Where(filter),
            None => Rows::All,
        };
        let fields = match row.fields.as_deref() {
            Some(names) if names.iter().any(|name| name == "*") => Fields::All,
            Some(names) => Fields::Named(names.to_vec()),
            None => Fields::Named(Vec::new()),
        };
        let presets = match &row.presets {
            Value::Object(presets) => presets.clone(),
            _ => Map::new(),
        };
        let mut own_paths = Vec::new();
        for value in [&row.presets, &row.validation] {
            collect_own_paths(value, &mut own_paths);
        }
        Ok(Some(Permission {
            own_paths,
            id: Some(row.id.clone()),
            policy: row.policy.as_str().into(),
            collection: row.collection.as_str().into(),
            action,
            rows,
            fields,
            validation: syntax(&row.validation, "validation")?,
            presets,
            is_personal: row.permissions.to_string().contains("$CURRENT_"),
        }))
    }
}

fn collect_own_paths(value: &Value, paths: &mut Vec<Arc<str>>) {
    match value {
        Value::String(text) => {
            if let Some(path) = text.strip_prefix("$CURRENT_USER.").filter(|path| !path.is_empty()) {
                paths.push(path.into());
            }
        }
        Value::Array(entries) => entries.iter().for_each(|entry| collect_own_paths(entry, paths)),
        Value::Object(members) => members.values().for_each(|member| collect_own_paths(member, paths)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `None` for a filter that asks for nothing.
fn syntax(filter: &Value, name: &str) -> Result<Option<Syntax>> {
    match filter {
        Value::Null => Ok(None),
        Value::Object(members) if members.is_empty() => Ok(None),
        filter => filter::parse(filter, name, LIMITS).map(Some),
    }
}
