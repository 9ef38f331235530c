//! Why somebody may or may not do something: the rights that decide, and the condition that they become.
//!
//! The same rules as those of reads and writes, told instead of applied. Only administrators are shown this.

use serde_json::{Map, Value, json};

use super::nested::{key_text, key_value};
use super::service::ItemsService;
use crate::access::{AccessRules, Action, CollectionRules, Context, Directory, Limited, Permission, Rows};
use crate::error::{Error, Result};
use crate::filter::{Filter, Found, Operand, Scalar};
use crate::schema::{CollectionId, FieldId};
use crate::sql::{self, Param, Statement};

/// What is asked about.
#[derive(Debug, Clone)]
pub struct Question {
    /// Name of the collection.
    pub collection: String,
    /// What would be done.
    pub action: Action,
    /// Key of an item, as text.
    pub item: Option<String>,
    /// Name of a field.
    pub field: Option<String>,
}

/// The answer, as JSON: `allowed`, `reason`, the policies of the caller, what each permission says, and the SQL.
pub type Explanation = Value;

impl ItemsService {
    /// Explains what the caller of this context may do. Nothing is written, and only keys are read.
    ///
    /// Fails with `InvalidQuery` where collection or field are not there: who asks may know that.
    pub async fn explain(
        &self,
        ctx: &Context,
        directory: &Directory,
        question: &Question,
    ) -> Result<Explanation> {
        let unknown = |what: &str, name: &str| Error::query(format_args!("there is no {what} \"{name}\""));
        let name = &question.collection;
        let id = ctx.schema.find(name).ok_or_else(|| unknown("collection", name))?;
        let collection = ctx.schema.collection(id);
        let field = match &question.field {
            Some(name) => Some(collection.find(name).ok_or_else(|| unknown("field", name))?),
            None => None,
        };
        let who = &ctx.accountability;
        let mut told = Map::new();
        told.insert("user".to_owned(), json!(who.user));
        told.insert("role".to_owned(), json!(who.role));
        told.insert("collection".to_owned(), json!(name));
        told.insert("action".to_owned(), json!(question.action.name()));
        told.insert("item".to_owned(), json!(question.item));
        told.insert("field".to_owned(), json!(question.field));
        told.insert("policies".to_owned(), policies(directory, ctx));
        let verdict = match &*ctx.rules {
            AccessRules::Everything => Verdict::admin(),
            AccessRules::Nothing => Verdict::refused("no_policy"),
            AccessRules::Limited(limited) => self.judge(ctx, Some(limited), id, question, field).await?,
            // Made of the rights of two; neither's permissions decide alone.
            AccessRules::Shared(_) | AccessRules::Narrowed(_) => {
                self.judge(ctx, None, id, question, field).await?
            }
        };
        told.insert("allowed".to_owned(), json!(verdict.allowed));
        told.insert("reason".to_owned(), json!(verdict.reason));
        told.insert("permissions".to_owned(), json!(verdict.permissions));
        told.insert("sql".to_owned(), verdict.sql);
        Ok(Value::Object(told))
    }

    async fn judge(
        &self,
        ctx: &Context,
        limited: Option<&Limited>,
        id: CollectionId,
        question: &Question,
        field: Option<FieldId>,
    ) -> Result<Verdict> {
        let action = question.action;
        let key = match &question.item {
            Some(item) => key_value(ctx.schema.collection(id), &Value::from(item.as_str())).ok(),
            None => None,
        };
        let item = key.as_ref().filter(|_| action != Action::Create);
        let mut permissions = Vec::new();
        if let Some(limited) = limited {
            for permission in limited.permissions(id, action) {
                permissions.push(self.permission(ctx, limited, id, &permission, item, field).await?);
            }
        }
        let Some(rules) = ctx.allowed(id, action) else {
            let reason = if permissions.is_empty() { "no_permission" } else { "permission_does_not_fit" };
            return Ok(Verdict { permissions, ..Verdict::refused(reason) });
        };
        let condition = condition(&rules, field);
        let sql = match &condition {
            Some(filter) => shown(&sql::build_found(&ctx.schema, self.database.dialect(), id, filter, None)?),
            None => Value::Null,
        };
        let is_found = match item {
            Some(key) => self.finds(ctx, id, key, condition.as_ref()).await?,
            // A key that can belong to no item.
            None => question.item.is_none() || action == Action::Create,
        };
        let reason = match field {
            Some(field) if !rules.fields.contains(field) => "field_not_named",
            _ if !is_found => "row_not_found",
            _ => "permission",
        };
        Ok(Verdict { allowed: reason == "permission", reason, permissions, sql })
    }

    /// What one permission says, and whether it would do by itself.
    async fn permission(
        &self,
        ctx: &Context,
        limited: &Limited,
        id: CollectionId,
        permission: &Permission,
        item: Option<&Scalar>,
        field: Option<FieldId>,
    ) -> Result<Value> {
        let mut found = Found::default();
        let rows = limited.rows(permission, id, &mut found, ctx.now);
        let names_field = field.is_none_or(|field| limited.names(permission, id, field));
        let (problem, finds_item) = match (&rows, item) {
            (Err(error), _) => (Some(error.to_string()), Some(false)),
            (Ok(filter), Some(key)) => (None, Some(self.finds(ctx, id, key, filter.as_ref()).await?)),
            (Ok(_), None) => (None, None),
        };
        let decides = problem.is_none() && names_field && finds_item.unwrap_or(true);
        Ok(json!({
            "id": permission.id, "policy": &*permission.policy,
            "all_rows": permission.rows == Rows::All,
            "has_validation": permission.validation.is_some(),
            "presets": permission.presets,
            "names_field": names_field, "finds_item": finds_item, "problem": problem, "decides": decides,
        }))
    }

    async fn finds(
        &self,
        ctx: &Context,
        id: CollectionId,
        key: &Scalar,
        filter: Option<&Filter>,
    ) -> Result<bool> {
        let collection = ctx.schema.collection(id);
        let column = collection.key().and_then(|key| collection.field(key).column.as_ref());
        let Some(column) = column else { return Ok(false) };
        let everything = Filter::And(Vec::new());
        let keys = vec![Operand { value: key.clone(), column_type: column.column_type.clone() }];
        let filter = filter.unwrap_or(&everything);
        let statement = sql::build_permitted(&ctx.schema, self.database.dialect(), id, keys, filter)?;
        Ok(!self.database.rows(&statement).await?.is_empty())
    }
}

struct Verdict {
    allowed: bool,
    reason: &'static str,
    permissions: Vec<Value>,
    sql: Value,
}

impl Verdict {
    fn admin() -> Self {
        Verdict { allowed: true, reason: "administrator", permissions: Vec::new(), sql: Value::Null }
    }

    fn refused(reason: &'static str) -> Self {
        Verdict { allowed: false, reason, permissions: Vec::new(), sql: Value::Null }
    }
}

/// The rows in which it is allowed, and the field with them; `None` for all.
fn condition(rules: &CollectionRules, field: Option<FieldId>) -> Option<Filter> {
    let gate = field.and_then(|field| rules.fields.rows_of(field)).cloned();
    match (rules.rows.clone(), gate) {
        (Some(rows), Some(gate)) => Some(Filter::And(vec![rows, gate])),
        (one, other) => one.or(other),
    }
}

/// The policies given to the caller, in force or not.
fn policies(directory: &Directory, ctx: &Context) -> Value {
    let who = &ctx.accountability;
    let given = directory.given(who.user.as_deref(), who.role.as_deref());
    let told = given.map(|(policy, by)| {
        json!({
            "id": policy.row.id, "name": policy.row.name, "given_by": by, "admin_access": policy.row.admin,
            "in_force": who.policies.contains(&policy.row.id),
        })
    });
    told.collect()
}

fn shown(statement: &Statement) -> Value {
    let values = statement.params.iter().map(|param| match param {
        Param::Value(value) => scalar(value),
        Param::List(_, values) => values.iter().map(scalar).collect(),
        Param::Null(_) | Param::ParentKeys(_) => Value::Null,
    });
    json!({ "text": &*statement.text, "parameters": values.collect::<Vec<_>>() })
}

fn scalar(value: &Scalar) -> Value {
    match value {
        Scalar::Null | Scalar::Bytes(_) => Value::Null,
        Scalar::Bool(value) => json!(value),
        Scalar::Int(value) => json!(value),
        Scalar::Float(value) => json!(value),
        Scalar::Text(_) => json!(&*key_text(value)),
    }
}
