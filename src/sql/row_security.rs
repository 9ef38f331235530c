//! Tenants kept apart by PostgreSQL itself: row level security that follows the model.
//!
//! Whoever works on a connection names the tenants whose rows may be reached in the setting [`SETTING`]: `*` for all, or
//! `{"collection of tenants": ["key", ...]}`. Without it nothing is reached, so that a connection of somebody else sees no row.

use super::ddl::statement;
use super::ddl::types::quote_text;
use super::ident::quote;
use super::{Dialect, Param, Statement};
use crate::access::{joined, owner};
use crate::filter::Scalar;
use crate::schema::{CollectionId, ColumnType, FieldId, FieldKind, Schema};

/// Setting of a connection that says whose rows it reaches.
pub const SETTING: &str = "tablature.tenants";
/// Its value for all rows.
pub const EVERYTHING: &str = "*";
/// Makes a connection reach all rows.
pub const REACH_EVERYTHING: &str = "SET tablature.tenants = '*'";

/// Name of the policy, the same on every table.
const POLICY: &str = "tablature_tenant";

/// The rule of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePolicy {
    /// The table.
    pub table: String,
    /// Which of its rows are reached.
    condition: String,
}

/// The rules that keep the tenants of a model apart.
pub fn policies(schema: &Schema) -> Vec<TablePolicy> {
    let mut all = Vec::new();
    for (id, collection) in schema.collections() {
        let mut conditions = Vec::new();
        if let Some((tenants, field)) = owner(schema, id)
            && let Some(field) = field.or(collection.key())
        {
            conditions.push(names_reached(schema, id, field, tenants));
        }
        for (field, ..) in joined(schema, id) {
            conditions.extend(leads_to_reached(schema, id, field));
        }
        if !conditions.is_empty() {
            let condition = format!(
                "current_setting('{SETTING}', true) = '{EVERYTHING}' OR ({})",
                conditions.join(" AND ")
            );
            all.push(TablePolicy { table: collection.name.to_string(), condition });
        }
    }
    all
}

/// The field names one of the tenants that may be reached.
fn names_reached(schema: &Schema, id: CollectionId, field: FieldId, tenants: CollectionId) -> String {
    let column = column(schema, id, field);
    let tenants = quote_text(Dialect::Postgres, &schema.collection(tenants).name);
    // What is no list of tenants names none; it must not be read as JSON either, whatever is evaluated first.
    format!(
        "{column}::text IN (SELECT jsonb_array_elements_text(\
         NULLIF(NULLIF(current_setting('{SETTING}', true), ''), '{EVERYTHING}')::jsonb -> {tenants}))"
    )
}

/// The row that the field leads to can be reached; its own table has a rule, too.
fn leads_to_reached(schema: &Schema, id: CollectionId, field: FieldId) -> Option<String> {
    let FieldKind::ManyToOne { related, .. } = schema.collection(id).field(field).kind else { return None };
    let from = column(schema, id, field);
    let to = column(schema, related, schema.collection(related).key()?);
    let table = quote(Dialect::Postgres, &schema.collection(related).name);
    Some(format!("EXISTS (SELECT 1 FROM {table} WHERE {to} = {from})"))
}

fn column(schema: &Schema, id: CollectionId, field: FieldId) -> String {
    let collection = schema.collection(id);
    let table = quote(Dialect::Postgres, &collection.name);
    format!("{table}.{}", quote(Dialect::Postgres, &collection.field(field).name))
}

impl TablePolicy {
    /// Puts the rule in force, for the owner of the table, too. The rule's text stands in its comment, to be found again.
    pub fn create(&self) -> Vec<Statement> {
        let table = quote(Dialect::Postgres, &self.table);
        let texts = [
            format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"),
            format!("ALTER TABLE {table} FORCE ROW LEVEL SECURITY"),
            format!("CREATE POLICY {POLICY} ON {table} USING ({})", self.condition),
            format!(
                "COMMENT ON POLICY {POLICY} ON {table} IS {}",
                quote_text(Dialect::Postgres, &self.condition)
            ),
        ];
        texts.into_iter().map(statement).collect()
    }

    /// Whether the comment of a rule that is in force says the same.
    pub fn is(&self, comment: &str) -> bool {
        self.condition == comment
    }
}

/// The rules in force, as rows of (table, comment). A table whose security was switched off by hand has an empty comment.
pub fn select_policies() -> Statement {
    Statement {
        columns: [ColumnType::Text, ColumnType::Text].into(),
        ..statement(format!(
            "SELECT c.relname::text, CASE WHEN c.relrowsecurity AND c.relforcerowsecurity \
             THEN coalesce(obj_description(p.oid, 'pg_policy'), '') ELSE '' END \
             FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE p.polname = '{POLICY}' AND n.nspname = current_schema() ORDER BY 1"
        ))
    }
}

/// Takes the rule of a table away.
pub fn drop_policy(table: &str) -> Vec<Statement> {
    let table = quote(Dialect::Postgres, table);
    let texts = [
        format!("DROP POLICY {POLICY} ON {table}"),
        format!("ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY"),
        format!("ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"),
    ];
    texts.into_iter().map(statement).collect()
}

/// Says which tenants a connection reaches from now on: JSON as [`SETTING`] takes it.
pub fn reach(tenants: &str) -> Statement {
    Statement {
        params: vec![Param::Value(Scalar::Text(tenants.into()))],
        columns: [ColumnType::Text].into(),
        ..statement(format!("SELECT set_config('{SETTING}', $1, false)"))
    }
}

/// The name of the role in use when no rule holds for it (a superuser, or one with BYPASSRLS); no row otherwise.
pub fn select_exempt_role() -> Statement {
    Statement {
        columns: [ColumnType::Text].into(),
        ..statement(
            "SELECT rolname::text FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls)"
                .to_owned(),
        )
    }
}
