//! Statements that keep tenants apart when something is written.

use super::ast::{Expr, Select};
use super::expr::{At, Builder, Scope, equal};
use super::read::filtered;
use super::{Dialect, Statement, statement_of};
use crate::error::{Error, Result};
use crate::filter::{Filter, Operand};
use crate::query::RowRules;
use crate::schema::{Collection, CollectionId, ColumnType, FieldId, FieldKind, Schema};

/// Keys of items that a filter finds, all or at most so many: `SELECT key FROM table WHERE ... LIMIT n`.
pub fn build_found(
    schema: &Schema,
    dialect: Dialect,
    collection: CollectionId,
    filter: &Filter,
    most: Option<u64>,
) -> Result<Statement> {
    let open = RowRules::default();
    let mut builder = Builder::new(schema, dialect, &open);
    let (mut select, at, scope) = filtered(&mut builder, collection, Some(filter))?;
    let key = schema.collection(collection).key().ok_or(Error::Forbidden)?;
    select.joins = scope.joins;
    select.columns.push(builder.column(at, key));
    select.limit = most.map(super::read::number);
    Ok(statement_of(dialect, &select, vec![column_type(schema.collection(collection), key)]))
}

/// A field that leads to rows of tenants.
#[derive(Debug, Clone)]
pub struct Reference {
    /// The field.
    pub field: FieldId,
    /// The collection it leads to.
    pub related: CollectionId,
    /// The field there that names the tenant; `None` where the items are tenants themselves.
    pub tenant: Option<FieldId>,
    /// Its tenants are those of the row that refers to it.
    pub is_of_same_kind: bool,
    /// Rows there that may be referred to from rows without a tenant of their own.
    pub mine: Filter,
    /// Another field of a row that only joins others, which must lead to the same tenant: the field, and the field there
    /// that names the tenant.
    pub beside: Option<(FieldId, Option<FieldId>)>,
}

/// Finds a row that refers to what belongs to another tenant: for each reference (that to its own tenant first) the value where it
/// does, null where it does not.
///
/// A row with a tenant may only refer to rows of the same one; a row without one to those of whoever writes. `own` is the field
/// that names the tenant of a row, with the tenants that it may name.
/// `SELECT CASE WHEN ... THEN reference END, ... FROM table WHERE key IN (...) AND (reference IS NOT NULL AND NOT same tenant OR
/// ...) LIMIT 1`.
pub fn build_strangers(
    schema: &Schema,
    dialect: Dialect,
    collection: CollectionId,
    keys: &[Operand],
    own: Option<(FieldId, &Filter)>,
    references: &[Reference],
) -> Result<Statement> {
    let open = RowRules::default();
    let mut builder = Builder::new(schema, dialect, &open);
    let at = builder.open(collection);
    let mut select = Select::from_table(builder.table(at), at.alias);
    let mut scope = Scope::default();
    let mut broken = Vec::new();
    if let Some((field, mine)) = own {
        let filter = Filter::ToOne { field, filter: Box::new(mine.clone()) };
        let fits = builder.filter(&mut scope, at, &filter)?;
        broken.push((field, fails(fits)));
    }
    for reference in references {
        let own = own.map(|(field, _)| field);
        broken.push((reference.field, stranger(&mut builder, &mut scope, at, own, reference)?));
    }
    let key = schema.collection(collection).key().ok_or(Error::Forbidden)?;
    select.conditions.push(builder.membership(builder.column(at, key), keys, false));
    let mut types = Vec::with_capacity(broken.len());
    for (field, condition) in &broken {
        let value = builder.column(at, *field);
        select.columns.push(Expr::If(Box::new(condition.clone()), Box::new(value)));
        types.push(column_type(schema.collection(collection), *field));
    }
    let any: Vec<Expr> = broken.into_iter().map(|(_, condition)| condition).collect();
    select.conditions.push(if any.is_empty() { Expr::False } else { Expr::Or(any) });
    select.joins = scope.joins;
    select.limit = Some(Expr::One);
    Ok(statement_of(dialect, &select, types))
}

/// The row refers to something, and that is not of its tenant.
fn stranger(
    builder: &mut Builder<'_>,
    scope: &mut Scope,
    at: At,
    own: Option<FieldId>,
    reference: &Reference,
) -> Result<Expr> {
    let Reference { field, related, tenant, is_of_same_kind, mine, beside } = reference;
    let own = own.filter(|_| *is_of_same_kind);
    let is_any = matches!(builder.kind(at, *field), FieldKind::ManyToAny { .. });
    if is_any {
        let mut inner = Scope::default();
        let named = builder.names_collection(at, *field, *related)?;
        let (mut select, to) = builder.any(&mut inner, at, *field, *related)?;
        let same = belongs(builder, &mut inner, at, to, own, *tenant, mine)?;
        select.conditions.push(same);
        select.joins = inner.joins;
        select.columns.push(Expr::One);
        return Ok(Expr::And(vec![named, Expr::Exists(Box::new(select), false)]));
    }
    let to = builder.join(scope, at, *field)?;
    let mut same = belongs(builder, scope, at, to, own, *tenant, mine)?;
    if let Some((other, other_tenant)) = beside {
        let other = builder.join(scope, at, *other)?;
        let (one, two) = (named(builder, to, *tenant)?, named(builder, other, *other_tenant)?);
        same = Expr::And(vec![same, equal(one, two)]);
    }
    let is_set = Expr::Null(Box::new(builder.column(at, *field)), false);
    Ok(Expr::And(vec![is_set, fails(same)]))
}

/// The row at the other end belongs to the tenant of this one.
fn belongs(
    builder: &mut Builder<'_>,
    scope: &mut Scope,
    at: At,
    to: At,
    own: Option<FieldId>,
    tenant: Option<FieldId>,
    mine: &Filter,
) -> Result<Expr> {
    let Some(own) = own else { return builder.filter(scope, to, mine) };
    let theirs = named(builder, to, tenant)?;
    Ok(equal(theirs, builder.column(at, own)))
}

/// The tenant of a row: what its field names, or the row itself.
fn named(builder: &mut Builder<'_>, at: At, tenant: Option<FieldId>) -> Result<Expr> {
    match tenant {
        Some(tenant) => Ok(builder.column(at, tenant)),
        None => builder.key_column(at),
    }
}

/// True where the condition is false or unknown.
fn fails(condition: Expr) -> Expr {
    let holds = Expr::If(Box::new(condition), Box::new(Expr::One));
    Expr::Null(Box::new(holds), true)
}

fn column_type(collection: &Collection, field: FieldId) -> ColumnType {
    match &collection.field(field).column {
        Some(column) => column.column_type.clone(),
        None => ColumnType::Text,
    }
}
