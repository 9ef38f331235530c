//! From filters and targets to expressions.
//!
//! Start at [`Builder::filter`]. Tables are opened in three functions only, [`Builder::join`], [`Builder::related`] and
//! [`Builder::named`] (and for the rows of a level itself [`Builder::rule`]): each adds the row rule of its collection. Whoever looks
//! at a value asks [`Builder::target`], which adds the rule of its field.

use std::sync::Arc;

use super::ast::{Alias, Expr, Ident, Join, Order, Seek, Select};
use super::{Dialect, NullKind, Param, dialect};
use crate::error::{Error, Result};
use crate::filter::{Comparison, Condition, Filter, Operand, Place, Scalar, Target, UserTest};
use crate::query::{ReadColumn, RowRules, Sort, SortHop};
use crate::schema::{Collection, CollectionId, Column, ColumnType, FieldId, FieldKind, Schema};

/// What builds one statement.
pub struct Builder<'a> {
    pub(super) schema: &'a Schema,
    pub(super) dialect: Dialect,
    rules: &'a RowRules,
    next: u32,
}

/// A table that expressions are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    pub(super) alias: Alias,
    pub(super) collection: CollectionId,
    /// Row rules apply to what is reached from here. They do not inside of row rules, which say themselves what they mean.
    is_guarded: bool,
}

/// The tables of one select.
#[derive(Debug, Default)]
pub struct Scope {
    pub(super) joins: Vec<Join>,
    joined: Vec<(At, FieldId, At)>,
}

impl<'a> Builder<'a> {
    /// A builder for one statement.
    pub fn new(schema: &'a Schema, dialect: Dialect, rules: &'a RowRules) -> Self {
        Builder { schema, dialect, rules, next: 0 }
    }

    /// A table of its own, on which the caller calls [`Builder::rule`].
    pub fn open(&mut self, collection: CollectionId) -> At {
        self.open_as(collection, true)
    }

    fn open_as(&mut self, collection: CollectionId, is_guarded: bool) -> At {
        let alias = Alias(self.next);
        self.next += 1;
        At { alias, collection, is_guarded }
    }

    fn found(&self, at: At) -> &'a Collection {
        self.schema.collection(at.collection)
    }

    /// The name of a table.
    pub fn table(&self, at: At) -> Ident {
        Ident(Arc::clone(&self.found(at).name))
    }

    /// A column of a table, whoever asks: for what holds tables together.
    pub fn column(&self, at: At, field: FieldId) -> Expr {
        let found = self.found(at).field(field);
        let column = Expr::Column(at.alias, Ident(Arc::clone(&found.name)));
        match &found.column {
            Some(Column { keeps_milliseconds: true, column_type, .. }) => {
                Expr::Moment(Box::new(column), column_type.clone())
            }
            _ => column,
        }
    }

    fn column_type(&self, at: At, field: FieldId) -> ColumnType {
        match &self.found(at).field(field).column {
            Some(column) => column.column_type.clone(),
            None => ColumnType::Text,
        }
    }

    fn key(&self, at: At) -> Result<FieldId> {
        // Relations are only made to collections with one key; a table that we did not make may have lost it.
        self.found(at).key().ok_or(Error::Forbidden)
    }

    /// The rows of this table that the caller may see; `None` for all.
    pub fn rule(&mut self, scope: &mut Scope, at: At) -> Result<Option<Expr>> {
        let rules = self.rules;
        match rules.rows.get(&at.collection) {
            Some(rule) if at.is_guarded => self.filter(scope, At { is_guarded: false, ..at }, rule).map(Some),
            _ => Ok(None),
        }
    }

    /// The rows of this table in which the caller may see this field; `None` for all that may be seen.
    pub fn gate(&mut self, scope: &mut Scope, at: At, field: FieldId) -> Result<Option<Expr>> {
        let rules = self.rules;
        match rules.fields.get(&(at.collection, field)) {
            Some(rule) if at.is_guarded => self.filter(scope, At { is_guarded: false, ..at }, rule).map(Some),
            _ => Ok(None),
        }
    }

    /// A value, null where the caller may not see this field.
    fn behind(&mut self, scope: &mut Scope, at: At, field: FieldId, value: Expr) -> Result<Expr> {
        Ok(match self.gate(scope, at, field)? {
            Some(condition) => Expr::If(Box::new(condition), Box::new(value)),
            None => value,
        })
    }

    /// A column as the caller sees it.
    fn seen(&mut self, scope: &mut Scope, at: At, field: FieldId) -> Result<Expr> {
        let column = self.column(at, field);
        self.behind(scope, at, field, column)
    }

    /// The table at the other end of a many-to-one, joined once per scope.
    pub fn join(&mut self, scope: &mut Scope, at: At, field: FieldId) -> Result<At> {
        if let Some((_, _, to)) = scope.joined.iter().find(|(from, by, _)| *from == at && *by == field) {
            return Ok(*to);
        }
        let FieldKind::ManyToOne { related, .. } = self.found(at).field(field).kind else {
            return Err(misplaced("a join"));
        };
        let to = self.open_as(related, at.is_guarded);
        let key = self.key(to)?;
        let mut inner = Scope::default();
        let reference = self.seen(scope, at, field)?;
        let mut on = vec![equal(self.column(to, key), reference)];
        on.extend(self.rule(&mut inner, to)?);
        scope.joins.push(Join { table: self.table(to), alias: to.alias, inner: inner.joins, on });
        scope.joined.push((at, field, to));
        Ok(to)
    }

    /// A select over the items of a one-to-many of a row.
    fn related(&mut self, scope: &mut Scope, at: At, field: FieldId) -> Result<(Select, At)> {
        let FieldKind::OneToMany { related, related_field, .. } = self.found(at).field(field).kind else {
            return Err(misplaced("a one-to-many"));
        };
        let key = self.key(at)?;
        let to = self.open_as(related, at.is_guarded);
        let mut select = Select::from_table(self.table(to), to.alias);
        let outer = self.column(at, key);
        match self.found(to).field(related_field).kind {
            FieldKind::ManyToAny { collection_field, .. } => {
                select.conditions.push(self.names(to, collection_field, at.collection));
                select.conditions.push(Expr::KeyIs {
                    key: Box::new(outer),
                    text: Box::new(self.column(to, related_field)),
                    column_type: self.column_type(at, key),
                    seek: Seek::Text,
                });
            }
            _ => select.conditions.push(equal(self.column(to, related_field), outer)),
        }
        select.conditions.extend(self.rule(scope, to)?);
        // A list that may not be seen has nothing in it.
        select.conditions.extend(self.gate(scope, at, field)?);
        Ok((select, to))
    }

    /// What a field is.
    pub fn kind(&self, at: At, field: FieldId) -> &'a FieldKind {
        &self.found(at).field(field).kind
    }

    /// The primary key of a table, whoever asks.
    pub fn key_column(&self, at: At) -> Result<Expr> {
        Ok(self.column(at, self.key(at)?))
    }

    /// A many-to-any points into this collection.
    pub fn names_collection(&self, at: At, field: FieldId, related: CollectionId) -> Result<Expr> {
        match self.kind(at, field) {
            FieldKind::ManyToAny { collection_field, .. } => Ok(self.names(at, *collection_field, related)),
            _ => Err(misplaced("a many-to-any")),
        }
    }

    /// The item that a many-to-any points at, if it lies in that collection.
    pub fn any(
        &mut self,
        scope: &mut Scope,
        at: At,
        field: FieldId,
        related: CollectionId,
    ) -> Result<(Select, At)> {
        let FieldKind::ManyToAny { collection_field, .. } = self.found(at).field(field).kind else {
            return Err(misplaced("a many-to-any"));
        };
        self.named(scope, at, (collection_field, field), related)
    }

    /// The item that two columns name, its collection and its key, if it lies in that collection.
    fn named(
        &mut self,
        scope: &mut Scope,
        at: At,
        (collection_field, field): (FieldId, FieldId),
        related: CollectionId,
    ) -> Result<(Select, At)> {
        let to = self.open_as(related, at.is_guarded);
        let key = self.key(to)?;
        let mut select = Select::from_table(self.table(to), to.alias);
        select.conditions.push(self.names(at, collection_field, related));
        select.conditions.push(Expr::KeyIs {
            key: Box::new(self.column(to, key)),
            text: Box::new(self.column(at, field)),
            column_type: self.column_type(to, key),
            seek: Seek::Key,
        });
        select.conditions.extend(self.rule(scope, to)?);
        select.conditions.extend(self.gate(scope, at, field)?);
        Ok((select, to))
    }

    /// The field holds the name of this collection.
    fn names(&self, at: At, field: FieldId, collection: CollectionId) -> Expr {
        let name = Scalar::Text(Arc::clone(&self.schema.collection(collection).name));
        equal(self.column(at, field), Expr::Param(Param::Value(name), Some(ColumnType::Text)))
    }

    /// A value of a row as the caller sees it.
    pub fn target(&mut self, scope: &mut Scope, at: At, target: &Target) -> Result<Expr> {
        let (Target::Field(field) | Target::Function(_, field) | Target::Count(field)) = target;
        let value = self.raw(at, target)?;
        self.behind(scope, at, *field, value)
    }

    /// A value of a row, whoever asks.
    fn raw(&mut self, at: At, target: &Target) -> Result<Expr> {
        Ok(match target {
            Target::Field(field) => match self.column_type(at, *field) {
                ColumnType::Unknown { .. } => Expr::AsText(Box::new(self.column(at, *field))),
                _ => self.column(at, *field),
            },
            Target::Function(function, field) => {
                let column_type = self.column_type(at, *field);
                Expr::Function(*function, Box::new(self.column(at, *field)), column_type)
            }
            Target::Count(field) => match &self.found(at).field(*field).column {
                Some(column) => Expr::Length(Box::new(self.column(at, *field)), column.column_type.clone()),
                None => {
                    let mut scope = Scope::default();
                    let (mut select, _) = self.related(&mut scope, at, *field)?;
                    select.joins = scope.joins;
                    select.columns.push(count());
                    Expr::Scalar(Box::new(select))
                }
            },
        })
    }

    /// A column of a level: what it selects, null where its gate is closed.
    pub fn selected(&mut self, scope: &mut Scope, at: At, column: &ReadColumn) -> Result<Expr> {
        let value = self.raw(at, &column.target)?;
        match column.gate {
            Some(field) => self.behind(scope, at, field, value),
            None => Ok(value),
        }
    }

    /// A filter on a row.
    pub fn filter(&mut self, scope: &mut Scope, at: At, filter: &Filter) -> Result<Expr> {
        Ok(match filter {
            Filter::And(parts) => match parts.as_slice() {
                [] => Expr::True,
                [only] => self.filter(scope, at, only)?,
                _ => Expr::And(self.parts(scope, at, parts)?),
            },
            Filter::Or(parts) => match parts.as_slice() {
                [] => Expr::False,
                [only] => self.filter(scope, at, only)?,
                _ => Expr::Or(self.parts(scope, at, parts)?),
            },
            Filter::Not(inner) => Expr::Not(Box::new(self.filter(scope, at, inner)?)),
            Filter::Compare { target, condition } => {
                let value = self.target(scope, at, target)?;
                self.condition(value, condition)?
            }
            Filter::ToOne { field, filter } => {
                let to = self.join(scope, at, *field)?;
                self.filter(scope, to, filter)?
            }
            Filter::ToAny { field, collection, filter } => {
                let mut inner = Scope::default();
                let (select, to) = self.any(&mut inner, at, *field, *collection)?;
                self.exists(inner, select, to, filter, true)?
            }
            Filter::About { collection_field, field, collection, filter } => {
                let mut inner = Scope::default();
                let (select, to) = self.named(&mut inner, at, (*collection_field, *field), *collection)?;
                self.exists(inner, select, to, filter, true)?
            }
            Filter::Some { field, filter: inner } => {
                let mut scope = Scope::default();
                let (select, to) = self.related(&mut scope, at, *field)?;
                self.exists(scope, select, to, inner, true)?
            }
            Filter::None { field, filter: inner } => {
                let mut scope = Scope::default();
                let (select, to) = self.related(&mut scope, at, *field)?;
                let absent = self.exists(scope, select, to, inner, false)?;
                // What is compared with nothing is false, and must not become true by being turned round.
                let mut parts = vec![absent];
                let mut named = Vec::new();
                inner.of_user(&mut named);
                for named in named {
                    let Filter::CurrentUser { user, users, path, field, .. } = named else { continue };
                    let found = self.of_user(user, *users, path, *field)?;
                    parts.push(Expr::Exists(Box::new(found), true));
                }
                if parts.len() == 1 { parts.remove(0) } else { Expr::And(parts) }
            }
            Filter::CurrentUser { target, test, user, users, path, field } => {
                let value = self.target(scope, at, target)?;
                let found = self.of_user(user, *users, path, *field)?;
                match test {
                    UserTest::Compare(comparison) => {
                        Expr::Compare(Box::new(value), *comparison, Box::new(Expr::Scalar(Box::new(found))))
                    }
                    UserTest::Among { negated: false } => {
                        Expr::Among(Box::new(value), Box::new(found), false)
                    }
                    UserTest::Among { negated: true } => Expr::And(vec![
                        Expr::Exists(Box::new(found.clone()), true),
                        Expr::Among(Box::new(value), Box::new(found), true),
                    ]),
                }
            }
        })
    }

    /// The values behind `$CURRENT_USER.path`. Everybody may compare with what is their own.
    fn of_user(
        &mut self,
        user: &Operand,
        users: CollectionId,
        path: &[FieldId],
        field: FieldId,
    ) -> Result<Select> {
        let mut scope = Scope::default();
        let mut here = self.open_as(users, false);
        let mut select = Select::from_table(self.table(here), here.alias);
        let key = self.key(here)?;
        select.conditions.push(equal(self.column(here, key), self.operand(user)));
        for hop in path {
            here = match self.found(here).field(*hop).kind {
                FieldKind::OneToMany { .. } => self.join_many(&mut scope, here, *hop)?,
                _ => self.join(&mut scope, here, *hop)?,
            };
        }
        let value = self.column(here, field);
        select.conditions.push(Expr::Null(Box::new(value.clone()), false));
        select.columns.push(value);
        select.joins = scope.joins;
        Ok(select)
    }

    /// The items of a one-to-many, joined, which makes a row of each.
    fn join_many(&mut self, scope: &mut Scope, at: At, field: FieldId) -> Result<At> {
        let FieldKind::OneToMany { related, related_field, .. } = self.found(at).field(field).kind else {
            return Err(misplaced("a one-to-many"));
        };
        let key = self.key(at)?;
        let to = self.open_as(related, at.is_guarded);
        let on = vec![equal(self.column(to, related_field), self.column(at, key))];
        scope.joins.push(Join { table: self.table(to), alias: to.alias, inner: Vec::new(), on });
        Ok(to)
    }

    fn parts(&mut self, scope: &mut Scope, at: At, parts: &[Filter]) -> Result<Vec<Expr>> {
        parts.iter().map(|part| self.filter(scope, at, part)).collect()
    }

    fn exists(
        &mut self,
        mut scope: Scope,
        mut select: Select,
        at: At,
        filter: &Filter,
        exists: bool,
    ) -> Result<Expr> {
        let filter = self.filter(&mut scope, at, filter)?;
        push(&mut select.conditions, filter);
        select.columns.push(Expr::One);
        select.joins = scope.joins;
        Ok(Expr::Exists(Box::new(select), exists))
    }

    /// A value to compare with.
    fn operand(&self, operand: &Operand) -> Expr {
        let param = match &operand.value {
            Scalar::Null => Param::Null(match dialect::list_kind(self.dialect, &operand.column_type) {
                super::ListKind::Bool => NullKind::Bool,
                super::ListKind::Int => NullKind::Int,
                super::ListKind::Float => NullKind::Float,
                super::ListKind::Text => NullKind::Text,
                super::ListKind::Bytes => NullKind::Bytes,
            }),
            value => Param::Value(dialect::stored(self.dialect, value, &operand.column_type)),
        };
        Expr::Param(param, Some(operand.column_type.clone()))
    }

    /// A condition on a value.
    pub fn condition(&self, value: Expr, condition: &Condition) -> Result<Expr> {
        let compare = |comparison: Comparison, operand: &Operand| {
            Expr::Compare(Box::new(value.clone()), comparison, Box::new(self.operand(operand)))
        };
        Ok(match condition {
            Condition::Null(is_null) => Expr::Null(Box::new(value), *is_null),
            Condition::Equal(operand) => compare(Comparison::Equal, operand),
            Condition::NotEqual(operand) => compare(Comparison::NotEqual, operand),
            Condition::Less(operand) => compare(Comparison::Less, operand),
            Condition::LessOrEqual(operand) => compare(Comparison::LessOrEqual, operand),
            Condition::Greater(operand) => compare(Comparison::Greater, operand),
            Condition::GreaterOrEqual(operand) => compare(Comparison::GreaterOrEqual, operand),
            Condition::In(operands) => self.membership(value, operands, false),
            Condition::NotIn(operands) => self.membership(value, operands, true),
            Condition::Between(low, high) | Condition::NotBetween(low, high) => Expr::Between {
                value: Box::new(value),
                low: Box::new(self.operand(low)),
                high: Box::new(self.operand(high)),
                negated: matches!(condition, Condition::NotBetween(..)),
            },
            Condition::Like { text, place, ignore_case, negated } => Expr::Like {
                value: Box::new(value),
                pattern: pattern(text, *place, *ignore_case),
                ignore_case: *ignore_case,
                negated: *negated,
            },
            Condition::Empty(true) => {
                Expr::Or(vec![Expr::Null(Box::new(value.clone()), true), Expr::IsEmptyText(Box::new(value))])
            }
            // Null is unknown here, and so not found.
            Condition::Empty(false) => Expr::Not(Box::new(Expr::IsEmptyText(Box::new(value)))),
            Condition::Matches(_) => {
                return Err(Error::query("\"_regex\" can be used in validation rules only"));
            }
        })
    }

    /// A value among those of a list.
    pub fn membership(&self, value: Expr, operands: &[Operand], negated: bool) -> Expr {
        let Some(first) = operands.first() else {
            // A list can only be empty where a variable stood for nothing, which makes the condition false.
            return Expr::False;
        };
        let column_type = first.column_type.clone();
        let values = operands
            .iter()
            .map(|operand| match dialect::stored(self.dialect, &operand.value, &column_type) {
                Scalar::Bool(value) => Scalar::Int(i64::from(value)),
                value => value,
            })
            .collect();
        let list = Param::List(dialect::list_kind(self.dialect, &column_type), values);
        Expr::In { value: Box::new(value), list, column_type, negated }
    }

    /// A term of an order.
    pub fn order(&mut self, scope: &mut Scope, at: At, sort: &Sort) -> Result<Order> {
        let mut here = at;
        for (position, hop) in sort.path.iter().enumerate() {
            match self.found(here).field(hop.field).kind {
                FieldKind::OneToMany { .. } | FieldKind::ManyToAny { .. } => {
                    let rest = Sort { path: sort.path[position + 1..].to_vec(), ..sort.clone() };
                    let value = self.extreme(here, *hop, &rest)?;
                    return Ok(Order { value, descending: sort.descending, nullable: true });
                }
                _ => here = self.join(scope, here, hop.field)?,
            }
        }
        let value = match sort.breaks_ties {
            true => self.raw(here, &sort.target)?,
            false => self.target(scope, here, &sort.target)?,
        };
        let nullable =
            !sort.path.is_empty() || matches!(value, Expr::If(..)) || self.is_nullable(here, &sort.target);
        Ok(Order { value, descending: sort.descending, nullable })
    }

    fn is_nullable(&self, at: At, target: &Target) -> bool {
        let found = self.found(at);
        match target {
            Target::Field(field) | Target::Function(_, field) | Target::Count(field) => {
                let nullable = found.field(*field).column.as_ref().is_some_and(|column| column.nullable);
                nullable && !found.primary_key.contains(field)
            }
        }
    }

    /// The smallest or largest value among the items of a one-to-many; the value of the item that a many-to-any points at.
    fn extreme(&mut self, at: At, hop: SortHop, sort: &Sort) -> Result<Expr> {
        let mut scope = Scope::default();
        let (mut select, to) = match hop.within {
            Some(related) => self.any(&mut scope, at, hop.field, related)?,
            None => self.related(&mut scope, at, hop.field)?,
        };
        let order = self.order(&mut scope, to, sort)?;
        select.joins = scope.joins;
        select.columns.push(order.value.clone());
        select.conditions.push(Expr::Null(Box::new(order.value.clone()), false));
        select.order.push(Order { nullable: false, ..order });
        select.limit = Some(Expr::One);
        Ok(Expr::Scalar(Box::new(select)))
    }
}

/// How many rows.
pub fn count() -> Expr {
    Expr::Aggregate(crate::query::AggregateFunction::Count, None, super::ast::Figures::Plain)
}

/// Two values are equal.
pub fn equal(left: Expr, right: Expr) -> Expr {
    Expr::Compare(Box::new(left), Comparison::Equal, Box::new(right))
}

/// Adds a condition, the parts of an `AND` one by one.
pub fn push(conditions: &mut Vec<Expr>, condition: Expr) {
    match condition {
        Expr::True => {}
        Expr::And(parts) => conditions.extend(parts),
        other => conditions.push(other),
    }
}

/// The pattern that finds a text in a place. `%` and `_` in it stay wild cards, as in the public API.
fn pattern(text: &Operand, place: Place, ignore_case: bool) -> Param {
    let text = match &text.value {
        Scalar::Text(text) => text.replace('\\', r"\\"),
        _ => String::new(),
    };
    let text = if ignore_case { text.to_lowercase() } else { text };
    let pattern = match place {
        Place::Anywhere => format!("%{text}%"),
        Place::Start => format!("{text}%"),
        Place::End => format!("%{text}"),
    };
    Param::Value(Scalar::Text(pattern.into()))
}

/// A plan that does not fit its own schema, which only a mistake of ours can make.
fn misplaced(what: &str) -> Error {
    Error::internal(anyhow::anyhow!("{what} through a field of another kind"))
}
