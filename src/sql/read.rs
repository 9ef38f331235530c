//! The statements of a plan.
//!
//! Start at [`build_read`]: one statement per level, one per count, one for figures.

use super::ast::{Expr, Figures, Order, Select};
use super::expr::{At, Builder, Scope, count, equal, push};
use super::print::print;
use super::{Dialect, Param, ReadStatements, Statement, dialect};
use crate::error::{Error, Result};
use crate::filter::{Comparison, Condition, Filter, Operand, Scalar, Target};
use crate::query::{
    AggregateExpr, AggregateFunction, AggregatePlan, CountPlan, Figure, KeySelection, Limit, Link, Plan,
    ReadNode, ReadPlan, RowRules, Sort, ValueFormat,
};
use crate::schema::{CollectionId, ColumnType, Schema};

/// Rows of a page that a reader may fetch without making others wait.
const SHORT_PAGE: u64 = 100;
/// Rows in front of it that may be passed over: in an index that takes no longer than the way to another thread and back.
const SHORT_WAY: u64 = 1000;

/// Writes the statements of a plan.
pub fn build_read(schema: &Schema, dialect: Dialect, plan: &Plan) -> Result<ReadStatements> {
    match plan {
        Plan::Items(plan) => items(schema, dialect, plan),
        Plan::Aggregate(plan) => {
            let counter = |count: &CountPlan| count_rows(schema, dialect, &plan.rules, count);
            Ok(ReadStatements {
                levels: vec![figures(schema, dialect, plan)?],
                total_count: plan.total_count.as_ref().map(counter).transpose()?,
                filter_count: plan.filter_count.as_ref().map(counter).transpose()?,
                is_bounded: false,
            })
        }
    }
}

fn items(schema: &Schema, dialect: Dialect, plan: &ReadPlan) -> Result<ReadStatements> {
    let counter = |count: &CountPlan| count_rows(schema, dialect, &plan.rules, count);
    let levels = plan
        .nodes
        .iter()
        .map(|node| level(schema, dialect, &plan.rules, node))
        .collect::<Result<Vec<_>>>()?;
    let counts_rows = plan.total_count.is_some() || plan.filter_count.is_some();
    Ok(ReadStatements {
        levels,
        total_count: plan.total_count.as_ref().map(counter).transpose()?,
        filter_count: plan.filter_count.as_ref().map(counter).transpose()?,
        is_bounded: !counts_rows && plan.nodes.first().is_some_and(|root| is_bounded(schema, plan, root)),
    })
}

/// The statement of one level.
///
/// `SELECT columns FROM table [LEFT JOIN ...] WHERE ... ORDER BY ... LIMIT ... OFFSET ...`; below the root
/// `WHERE key IN (keys from above)`, and with a window of its own per parent the rows are numbered first.
fn level(schema: &Schema, dialect: Dialect, rules: &RowRules, node: &ReadNode) -> Result<Statement> {
    let mut builder = Builder::new(schema, dialect, rules);
    let at = builder.open(node.collection);
    let mut scope = Scope::default();
    let mut select = Select::from_table(builder.table(at), at.alias);
    if let Some(link) = &node.link {
        linked(&builder, at, link, &mut select)?;
    }
    if let Some(rule) = builder.rule(&mut scope, at)? {
        push(&mut select.conditions, rule);
    }
    if let Some(filter) = &node.filter {
        let filter = builder.filter(&mut scope, at, filter)?;
        push(&mut select.conditions, filter);
    }
    select.conditions.extend(by_key(&builder, at, &node.selection)?);
    for column in &node.columns {
        select.columns.push(builder.selected(&mut scope, at, column)?);
    }
    if select.columns.is_empty() {
        select.columns.push(Expr::One);
    }
    let order = order(&mut builder, &mut scope, at, &node.sort)?;
    select.joins = scope.joins;
    let select = match &node.link {
        None => {
            select.order = order;
            let is_one = matches!(node.selection, KeySelection::One(_));
            let rows = if node.defaults.is_some() { Some(1) } else { node.limit.map(|limit| limit.rows) };
            if !is_one {
                page(&mut select, rows, node.offset);
            }
            select
        }
        Some(link) if is_windowed(node.limit, node.offset) => {
            let parent = builder.column(at, link.field);
            windowed(select, parent, order, node.limit, node.offset)
        }
        Some(_) => {
            select.order = order;
            select
        }
    };
    let columns = node.columns.iter().map(|column| read_type(&column.format)).collect();
    Ok(statement_of(dialect, &select, columns))
}

/// The rows that belong to the keys from above.
fn linked(builder: &Builder<'_>, at: At, link: &Link, select: &mut Select) -> Result<()> {
    let column_type = match &builder.schema.field(at.collection, link.field).column {
        Some(column) => column.column_type.clone(),
        None => ColumnType::Text,
    };
    select.conditions.push(Expr::In {
        value: Box::new(builder.column(at, link.field)),
        list: Param::ParentKeys(dialect::list_kind(builder.dialect, &column_type)),
        column_type,
        negated: false,
    });
    if let Some(any) = &link.any {
        let name = Param::Value(Scalar::Text(any.collection.clone()));
        let name = Expr::Param(name, Some(ColumnType::Text));
        select.conditions.push(equal(builder.column(at, any.collection_field), name));
    }
    Ok(())
}

fn by_key(builder: &Builder<'_>, at: At, selection: &KeySelection) -> Result<Option<Expr>> {
    let condition = match selection {
        KeySelection::Any => return Ok(None),
        KeySelection::One(key) => Condition::Equal(key.clone()),
        KeySelection::Many(keys) => Condition::In(keys.clone()),
    };
    let Some(key) = builder.schema.collection(at.collection).key() else { return Ok(Some(Expr::False)) };
    builder.condition(builder.column(at, key), &condition).map(Some)
}

fn order(builder: &mut Builder<'_>, scope: &mut Scope, at: At, sort: &[Sort]) -> Result<Vec<Order>> {
    sort.iter().map(|sort| builder.order(scope, at, sort)).collect()
}

pub(super) fn number(value: u64) -> Expr {
    Expr::Param(Param::Value(Scalar::Int(i64::try_from(value).unwrap_or(i64::MAX))), None)
}

fn page(select: &mut Select, rows: Option<u64>, offset: u64) {
    // Only PostgreSQL knows an offset without a limit.
    select.limit = match rows {
        Some(rows) => Some(number(rows)),
        None => (offset > 0).then(|| number(u64::MAX)),
    };
    select.offset = (offset > 0).then(|| number(offset));
}

/// Below the root the database cuts only what the query says; other limits are cut while reading.
fn is_windowed(limit: Option<Limit>, offset: u64) -> bool {
    offset > 0 || limit.is_some_and(|limit| limit.explicit)
}

/// Numbers the rows of each parent and keeps those of the window:
/// `SELECT w.c0, ... FROM (SELECT ..., ROW_NUMBER() OVER (PARTITION BY parent ORDER BY ...) AS cN FROM ...) AS w WHERE w.cN <= limit`.
fn windowed(mut inner: Select, parent: Expr, order: Vec<Order>, limit: Option<Limit>, offset: u64) -> Select {
    let position = inner.columns.len();
    inner.columns.push(Expr::RowNumber(Box::new(parent), order));
    let row_number = || Box::new(Expr::Output(position));
    let mut conditions = Vec::new();
    if offset > 0 {
        conditions.push(Expr::Compare(row_number(), Comparison::Greater, Box::new(number(offset))));
    }
    if let Some(limit) = limit {
        let last = number(offset.saturating_add(limit.rows));
        conditions.push(Expr::Compare(row_number(), Comparison::LessOrEqual, Box::new(last)));
    }
    Select {
        columns: (0..position).map(Expr::Output).collect(),
        conditions,
        order: vec![Order { value: Expr::Output(position), descending: false, nullable: false }],
        ..Select::from_select(inner)
    }
}

/// `SELECT COUNT(*) FROM table [LEFT JOIN ...] WHERE ...`
fn count_rows(schema: &Schema, dialect: Dialect, rules: &RowRules, plan: &CountPlan) -> Result<Statement> {
    let mut builder = Builder::new(schema, dialect, rules);
    let (mut select, at, scope) = filtered(&mut builder, plan.collection, plan.filter.as_ref())?;
    select.conditions.extend(by_key(&builder, at, &plan.selection)?);
    select.joins = scope.joins;
    select.columns.push(count());
    Ok(statement_of(dialect, &select, vec![ColumnType::BigInteger]))
}

/// The rows of a collection that the caller may see and the filter finds. The joins of the scope are still to be added.
pub(super) fn filtered(
    builder: &mut Builder<'_>,
    collection: CollectionId,
    filter: Option<&Filter>,
) -> Result<(Select, At, Scope)> {
    let at = builder.open(collection);
    let mut scope = Scope::default();
    let mut select = Select::from_table(builder.table(at), at.alias);
    if let Some(rule) = builder.rule(&mut scope, at)? {
        push(&mut select.conditions, rule);
    }
    if let Some(filter) = filter {
        let filter = builder.filter(&mut scope, at, filter)?;
        push(&mut select.conditions, filter);
    }
    Ok((select, at, scope))
}

/// `SELECT groups, figures FROM table [LEFT JOIN ...] WHERE ... GROUP BY groups ORDER BY ... LIMIT ... OFFSET ...`
///
/// Where a value is hidden in some rows, what the caller sees of each row is selected first and the figures are made of that:
/// `SELECT w.c0, SUM(w.c1) FROM (SELECT CASE WHEN ... THEN ... END, ...) AS w GROUP BY w.c0`.
fn figures(schema: &Schema, dialect: Dialect, plan: &AggregatePlan) -> Result<Statement> {
    let mut builder = Builder::new(schema, dialect, &plan.rules);
    let (mut rows, at, mut scope) = filtered(&mut builder, plan.collection, plan.filter.as_ref())?;
    let targets = targets(plan);
    let is_gated = targets.iter().any(|target| {
        let (Target::Field(field) | Target::Function(_, field) | Target::Count(field)) = target;
        plan.rules.gate(plan.collection, *field).is_some()
    });
    let mut values = Vec::with_capacity(targets.len());
    for target in &targets {
        values.push(builder.target(&mut scope, at, target)?);
    }
    rows.joins = scope.joins;
    let mut select = rows;
    if is_gated {
        select.columns = std::mem::take(&mut values);
        values = (0..targets.len()).map(Expr::Output).collect();
        if select.columns.is_empty() {
            select.columns.push(Expr::One);
        }
        select = Select::from_select(select);
    }
    let terms = Terms { schema, collection: plan.collection, targets, values };
    for column in &plan.columns {
        select.columns.push(terms.figure(&column.value, Figures::ExactShown));
    }
    for target in &plan.group_by {
        select.group_by.push(terms.value(target));
    }
    for sort in &plan.sort {
        select.order.push(Order {
            value: terms.figure(&sort.value, Figures::ExactSorted),
            descending: sort.descending,
            nullable: is_gated || is_nullable(schema, plan.collection, &sort.value),
        });
    }
    page(&mut select, plan.limit, plan.offset);
    let columns = plan.columns.iter().map(|column| read_type(&column.format)).collect();
    Ok(statement_of(dialect, &select, columns))
}

/// Everything that groups and figures are made of, each of them once.
fn targets(plan: &AggregatePlan) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    let values =
        plan.columns.iter().map(|column| &column.value).chain(plan.sort.iter().map(|sort| &sort.value));
    let named = values.filter_map(|value| match value {
        AggregateExpr::Group(target) => Some(target.clone()),
        AggregateExpr::Figure(figure) => figure.field.map(Target::Field),
    });
    for target in plan.group_by.iter().cloned().chain(named) {
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    targets
}

/// The values that figures are made of.
struct Terms<'a> {
    schema: &'a Schema,
    collection: CollectionId,
    targets: Vec<Target>,
    values: Vec<Expr>,
}

impl Terms<'_> {
    fn value(&self, target: &Target) -> Expr {
        let position = self.targets.iter().position(|known| known == target);
        position.and_then(|position| self.values.get(position)).cloned().unwrap_or(Expr::One)
    }

    fn figure(&self, value: &AggregateExpr, exact: Figures) -> Expr {
        let Figure { function, field } = match value {
            AggregateExpr::Group(target) => return self.value(target),
            AggregateExpr::Figure(figure) => figure,
        };
        let column_type = field
            .and_then(|field| self.schema.field(self.collection, field).column.as_ref())
            .map(|column| &column.column_type);
        let is_exact = !matches!(column_type, Some(ColumnType::Float) | None);
        let value = field.map(|field| Box::new(self.value(&Target::Field(field))));
        Expr::Aggregate(*function, value, if is_exact { exact } else { Figures::Plain })
    }
}

fn is_nullable(schema: &Schema, collection: CollectionId, value: &AggregateExpr) -> bool {
    match value {
        AggregateExpr::Group(Target::Field(field) | Target::Function(_, field) | Target::Count(field)) => {
            schema.field(collection, *field).column.as_ref().is_some_and(|column| column.nullable)
        }
        AggregateExpr::Figure(figure) => !matches!(
            figure.function,
            AggregateFunction::Count | AggregateFunction::CountDistinct | AggregateFunction::CountAll
        ),
    }
}

/// Those of these rows that a rule finds: `SELECT key FROM table [LEFT JOIN ...] WHERE key IN (...) AND ...`.
pub fn build_permitted(
    schema: &Schema,
    dialect: Dialect,
    collection: CollectionId,
    keys: Vec<Operand>,
    rule: &Filter,
) -> Result<Statement> {
    let open = RowRules::default();
    let mut builder = Builder::new(schema, dialect, &open);
    let (mut select, at, scope) = filtered(&mut builder, collection, Some(rule))?;
    let key = schema.collection(collection).key().ok_or(Error::Forbidden)?;
    let column_type = match &schema.field(collection, key).column {
        Some(column) => column.column_type.clone(),
        None => ColumnType::Text,
    };
    select.joins = scope.joins;
    select.columns.push(builder.column(at, key));
    select.conditions.push(builder.membership(builder.column(at, key), &keys, false));
    Ok(statement_of(dialect, &select, vec![column_type]))
}

pub(super) fn statement_of(dialect: Dialect, select: &Select, columns: Vec<ColumnType>) -> Statement {
    let (text, params) = print(dialect, select);
    Statement { text: text.into(), params, columns: columns.into() }
}

/// The type that a column is read with.
fn read_type(format: &ValueFormat) -> ColumnType {
    match format {
        ValueFormat::Typed(column_type) => column_type.clone(),
        ValueFormat::Concealed | ValueFormat::SumText { .. } => ColumnType::Text,
        ValueFormat::NumberText => ColumnType::BigInteger,
        ValueFormat::Quoted(column_type) => column_type.clone(),
        ValueFormat::Bare(format) => read_type(format),
    }
}

/// Whether the database finds the rows of the root without looking at many others, in other tables either.
fn is_bounded(schema: &Schema, plan: &ReadPlan, root: &ReadNode) -> bool {
    let found = schema.collection(root.collection);
    let is_short = root.limit.is_some_and(|limit| limit.rows <= SHORT_PAGE) && root.offset <= SHORT_WAY;
    let is_indexed = |sort: &Sort| {
        sort.path.is_empty()
            && match sort.target {
                Target::Field(field) => {
                    let column = found.field(field).column.as_ref();
                    found.primary_key.contains(&field)
                        || column.is_some_and(|column| column.indexed || column.unique)
                }
                Target::Function(..) | Target::Count(_) => false,
            }
    };
    let by_key = match &root.selection {
        KeySelection::One(_) => true,
        KeySelection::Many(keys) => keys.len() as u64 <= SHORT_PAGE,
        KeySelection::Any => root.defaults.is_some(),
    };
    let along_index = is_short
        && root.filter.is_none()
        && !plan.rules.rows.contains_key(&root.collection)
        && root.sort.first().is_none_or(is_indexed);
    let finds_unique = |filter: &Filter| match filter {
        Filter::Compare { target: Target::Field(field), condition: Condition::Equal(_) } => {
            let column = found.field(*field).column.as_ref();
            found.key() == Some(*field) || column.is_some_and(|column| column.unique)
        }
        _ => false,
    };
    let is_found = by_key || along_index || root.filter.as_ref().is_some_and(finds_unique);
    is_found && plan.nodes.iter().all(|node| node.filter.as_ref().is_none_or(Filter::stays_near))
}
