//! From [`Syntax`] to a [`Filter`] that fits a collection.
//!
//! Start at [`resolve`]. Unknown fields and fields that the caller may not see are `Forbidden`, everything else that does not
//! fit is `InvalidQuery` and named.

use std::collections::BTreeSet;

use serde_json::Value;

use super::names::{self, Name};
use super::variables::Meaning;
use super::{
    Comparison, Condition, Filter, Operand, Place, Scalar, Syntax, Target, UserTest, Variables, values,
};
use crate::error::{Error, Result};
use crate::schema::{CollectionId, ColumnType, FieldId, FieldKind, Schema};

/// What stays the same while names and values are looked up.
pub struct Env<'a> {
    /// The model.
    pub schema: &'a Schema,
    /// What variables stand for.
    pub variables: Variables<'a>,
    /// Whether the caller may see this field.
    pub may_read: &'a dyn Fn(CollectionId, FieldId) -> bool,
    /// Whether the caller may see items of this collection.
    pub is_open: &'a dyn Fn(CollectionId) -> bool,
    /// This is the filter of a permission, which may follow relations of any kind from the user who asks.
    pub is_rule: bool,
}

/// What was seen on the way.
#[derive(Debug, Default)]
pub struct Found {
    /// Collections that conditions lead to.
    pub touched: BTreeSet<CollectionId>,
    /// A variable was used: the result fits one caller only.
    pub is_personal: bool,
    /// The moment was used: the result fits one request only.
    pub names_moment: bool,
    /// A variable stood for nothing.
    is_void: bool,
}

/// Resolves a filter against a collection.
pub fn resolve(
    env: &Env<'_>,
    found: &mut Found,
    collection: CollectionId,
    syntax: &Syntax,
) -> Result<Filter> {
    match syntax {
        Syntax::And(parts) => all(parts, |part| resolve(env, found, collection, part)),
        Syntax::Or(parts) => any(parts, |part| resolve(env, found, collection, part)),
        Syntax::Field { name, conditions } => field(env, found, collection, name, conditions),
        Syntax::Operator { name, .. } => {
            Err(Error::query(format_args!("\"{name}\" needs a field around it")))
        }
        Syntax::Quantified { .. } => Err(misplaced_quantifier()),
    }
}

fn all(parts: &[Syntax], resolve: impl FnMut(&Syntax) -> Result<Filter>) -> Result<Filter> {
    let mut parts: Vec<Filter> = parts.iter().map(resolve).collect::<Result<_>>()?;
    Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::And(parts) })
}

/// In the public API an empty `_or` matches everything, as an empty `_and` does.
fn any(parts: &[Syntax], resolve: impl FnMut(&Syntax) -> Result<Filter>) -> Result<Filter> {
    let mut parts: Vec<Filter> = parts.iter().map(resolve).collect::<Result<_>>()?;
    Ok(match parts.len() {
        0 => Filter::And(Vec::new()),
        1 => parts.remove(0),
        _ => Filter::Or(parts),
    })
}

fn misplaced_quantifier() -> Error {
    Error::query("\"_some\" and \"_none\" need a one-to-many field around them")
}

/// What the conditions under a name are about.
enum Subject<'a> {
    /// A value of the row.
    Value(Target),
    /// A many-to-one: its own value, or the item it points at.
    ToOne { field: FieldId, related: CollectionId },
    /// A one-to-many, whose items each condition is about.
    ToMany { field: FieldId, related: CollectionId },
    /// A many-to-any with its scope.
    ToAny { field: FieldId, related: CollectionId },
    /// The item at the other end: operators ask of its key.
    Item { key: Target, name: &'a str },
}

fn field(
    env: &Env<'_>,
    found: &mut Found,
    collection: CollectionId,
    name: &str,
    conditions: &[Syntax],
) -> Result<Filter> {
    let subject = match Name::parse(name) {
        Name::Function { function, field } => {
            let target = names::function(env, collection, function, field)?;
            if let Target::Count(id) = target
                && let FieldKind::OneToMany { related, .. } = env.schema.field(collection, id).kind
            {
                found.touched.insert(related);
            }
            Subject::Value(target)
        }
        Name::Scoped { field: name, collection: scope } => {
            let (id, field) = names::field(env, collection, name)?;
            let FieldKind::ManyToAny { allowed, .. } = &field.kind else {
                return Err(Error::query(format_args!(
                    "field \"{name}\" takes no collection behind a colon"
                )));
            };
            let related = env.schema.find(scope).filter(|id| allowed.contains(id)).ok_or(Error::Forbidden)?;
            found.touched.insert(related);
            Subject::ToAny { field: id, related }
        }
        Name::Field(name) => {
            let (id, field) = names::field(env, collection, name)?;
            match &field.kind {
                FieldKind::Plain | FieldKind::ManyToAny { .. } => Subject::Value(Target::Field(id)),
                FieldKind::ManyToOne { related, .. } => Subject::ToOne { field: id, related: *related },
                FieldKind::OneToMany { related, .. } => {
                    if !(env.is_open)(*related) {
                        return Err(Error::Forbidden);
                    }
                    found.touched.insert(*related);
                    Subject::ToMany { field: id, related: *related }
                }
                FieldKind::Presentation => {
                    return Err(Error::query(format_args!("field \"{name}\" holds nothing to filter by")));
                }
            }
        }
    };
    let mut scope = Scope { env, found, collection, name };
    scope.conditions(&subject, conditions)
}

/// The conditions under one name.
struct Scope<'s, 'e> {
    env: &'s Env<'e>,
    found: &'s mut Found,
    collection: CollectionId,
    name: &'s str,
}

impl Scope<'_, '_> {
    /// All of them.
    fn conditions(&mut self, subject: &Subject<'_>, conditions: &[Syntax]) -> Result<Filter> {
        match subject {
            Subject::ToAny { field, related } => {
                let filter = self.within(*related, conditions)?;
                Ok(Filter::ToAny { field: *field, collection: *related, filter: Box::new(filter) })
            }
            Subject::ToMany { field, related } => self.items_of(*field, *related, conditions),
            _ => all(conditions, |condition| self.condition(subject, condition)),
        }
    }

    fn condition(&mut self, subject: &Subject<'_>, condition: &Syntax) -> Result<Filter> {
        match condition {
            Syntax::And(parts) => all(parts, |part| self.condition(subject, part)),
            Syntax::Or(parts) => any(parts, |part| self.condition(subject, part)),
            Syntax::Quantified { .. } => Err(misplaced_quantifier()),
            Syntax::Operator { name, operand } => match subject {
                Subject::Value(target) => self.compare(target.clone(), self.name, name, operand),
                Subject::ToOne { field, .. } => self.compare(Target::Field(*field), self.name, name, operand),
                Subject::Item { key, name: field } => self.compare(key.clone(), field, name, operand),
                Subject::ToMany { .. } | Subject::ToAny { .. } => Err(misplaced_quantifier()),
            },
            Syntax::Field { name, conditions } => match subject {
                Subject::ToOne { field: to_one, related } => {
                    self.found.touched.insert(*related);
                    let filter = field(self.env, self.found, *related, name, conditions)?;
                    Ok(Filter::ToOne { field: *to_one, filter: Box::new(filter) })
                }
                Subject::Item { .. } => field(self.env, self.found, self.collection, name, conditions),
                _ => Err(Error::query(format_args!("field \"{}\" is not a relation", self.name))),
            },
        }
    }

    /// Conditions on an item of another collection, all of which one item must satisfy; operators ask of its key.
    fn within(&mut self, related: CollectionId, conditions: &[Syntax]) -> Result<Filter> {
        let key = self.env.schema.collection(related).key();
        let subject = key.map(|key| Subject::Item {
            key: Target::Field(key),
            name: &self.env.schema.field(related, key).name,
        });
        let name = self.name;
        let mut inner = Scope { env: self.env, found: self.found, collection: related, name };
        all(conditions, |condition| match &subject {
            Some(subject) => inner.condition(subject, condition),
            None => resolve(inner.env, inner.found, related, condition),
        })
    }

    /// Without a quantifier all conditions are about one item; each `_some` and `_none` stands for itself.
    fn items_of(&mut self, field: FieldId, related: CollectionId, conditions: &[Syntax]) -> Result<Filter> {
        let (quantified, plain): (Vec<&Syntax>, Vec<&Syntax>) =
            conditions.iter().partition(|condition| has_quantifier(condition));
        let mut parts = Vec::with_capacity(quantified.len() + 1);
        if let [Syntax::Operator { name, operand }] = plain.as_slice()
            && let Some(is_null) = null_test(name, operand)
        {
            // A list has no value: it is null when it is empty.
            let filter = Box::new(Filter::And(Vec::new()));
            parts.push(if is_null? {
                Filter::None { field, filter }
            } else {
                Filter::Some { field, filter }
            });
        } else if !plain.is_empty() {
            let plain: Vec<Syntax> = plain.into_iter().cloned().collect();
            parts.push(Filter::Some { field, filter: Box::new(self.within(related, &plain)?) });
        }
        for part in quantified {
            parts.push(self.quantified(field, related, part)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::And(parts) })
    }

    fn quantified(&mut self, field: FieldId, related: CollectionId, part: &Syntax) -> Result<Filter> {
        match part {
            Syntax::And(parts) => {
                all(parts, |part| self.items_of(field, related, std::slice::from_ref(part)))
            }
            Syntax::Or(parts) => any(parts, |part| self.items_of(field, related, std::slice::from_ref(part))),
            // Nothing is asked of any item, so every row will do, with items or without.
            Syntax::Quantified { conditions, .. } if conditions.is_empty() => Ok(Filter::And(Vec::new())),
            Syntax::Quantified { negated, conditions } => {
                let was_void = std::mem::take(&mut self.found.is_void);
                let filter = Box::new(self.within(related, conditions)?);
                let is_void = std::mem::replace(&mut self.found.is_void, was_void);
                self.found.is_void |= is_void;
                Ok(match negated {
                    // What is compared with nothing is false, and must not become true by being turned round.
                    true if is_void => Filter::Or(Vec::new()),
                    true => Filter::None { field, filter },
                    false => Filter::Some { field, filter },
                })
            }
            Syntax::Field { .. } | Syntax::Operator { .. } => Err(misplaced_quantifier()),
        }
    }

    /// An operator on a value.
    fn compare(&mut self, target: Target, field: &str, operator: &str, operand: &Value) -> Result<Filter> {
        let Some(column_type) = names::target_type(self.env, self.collection, &target) else {
            return Err(Error::query(format_args!("field \"{field}\" holds nothing to filter by")));
        };
        let concealed = match &target {
            Target::Field(id) => self.env.schema.field(self.collection, *id).conceal,
            _ => false,
        };
        let negated = operator.starts_with("_n") && operator != "_null";
        if let Some(is_null) = null_test(operator, operand) {
            return Ok(Filter::Compare { target, condition: Condition::Null(is_null?) });
        }
        let kind = Kind::of(operator)?;
        if concealed || !kind.fits(&column_type) {
            return Err(Error::query(format_args!(
                "operator \"{operator}\" cannot be applied to field \"{field}\" ({column_type})"
            )));
        }
        let mut values = Values { scope: self, field, operator, column_type: &column_type };
        let condition = match kind {
            Kind::Compare(comparison) => return values.comparison(target, comparison, operand),
            Kind::List => {
                if let Some(path) = values.user_path(operand) {
                    return values.user_field(target, UserTest::Among { negated }, &path, operand);
                }
                let list = values.list(operand)?;
                if list.is_empty() {
                    values.scope.found.is_void = true;
                    return Ok(Filter::Or(Vec::new()));
                }
                if negated { Condition::NotIn(list) } else { Condition::In(list) }
            }
            Kind::Between => {
                let (low, high) = values.pair(operand)?;
                if negated { Condition::NotBetween(low, high) } else { Condition::Between(low, high) }
            }
            Kind::Like { place, ignore_case } => match values.one(operand)? {
                Some(text) => Condition::Like { text, place, ignore_case, negated },
                None => return Ok(Filter::Or(Vec::new())),
            },
            Kind::Empty => match flag(operand) {
                Some(flag) => Condition::Empty(flag != negated),
                None => return Err(values.misfit(operand)),
            },
        };
        Ok(Filter::Compare { target, condition })
    }
}

fn has_quantifier(syntax: &Syntax) -> bool {
    match syntax {
        Syntax::Quantified { .. } => true,
        Syntax::And(parts) | Syntax::Or(parts) => parts.iter().any(has_quantifier),
        Syntax::Field { .. } | Syntax::Operator { .. } => false,
    }
}

/// Whether this asks for null (`true`) or for anything else; `None` for other questions.
fn null_test(operator: &str, operand: &Value) -> Option<Result<bool>> {
    let asked = match operator {
        "_null" => flag(operand),
        "_nnull" => flag(operand).map(|flag| !flag),
        "_eq" if operand.is_null() => Some(true),
        "_neq" if operand.is_null() => Some(false),
        _ => return None,
    };
    Some(asked.ok_or_else(|| Error::query(format_args!("\"{operator}\" takes true or false"))))
}

/// The operand of a test without a value: written or not (`filter[x][_null]`), or turned round with `false`.
fn flag(operand: &Value) -> Option<bool> {
    match operand {
        Value::Bool(flag) => Some(*flag),
        Value::Null => Some(true),
        Value::String(text) => match text.as_str() {
            "" | "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        Value::Number(number) => match number.as_i64() {
            Some(1) => Some(true),
            Some(0) => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Operators by what they take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Compare(Comparison),
    List,
    Between,
    Like { place: Place, ignore_case: bool },
    Empty,
}

impl Kind {
    fn of(operator: &str) -> Result<Self> {
        Ok(match operator {
            "_eq" => Kind::Compare(Comparison::Equal),
            "_neq" => Kind::Compare(Comparison::NotEqual),
            "_lt" => Kind::Compare(Comparison::Less),
            "_lte" => Kind::Compare(Comparison::LessOrEqual),
            "_gt" => Kind::Compare(Comparison::Greater),
            "_gte" => Kind::Compare(Comparison::GreaterOrEqual),
            "_in" | "_nin" => Kind::List,
            "_between" | "_nbetween" => Kind::Between,
            "_contains" | "_ncontains" => Kind::Like { place: Place::Anywhere, ignore_case: false },
            "_icontains" | "_nicontains" => Kind::Like { place: Place::Anywhere, ignore_case: true },
            "_starts_with" | "_nstarts_with" => Kind::Like { place: Place::Start, ignore_case: false },
            "_istarts_with" | "_nistarts_with" => Kind::Like { place: Place::Start, ignore_case: true },
            "_ends_with" | "_nends_with" => Kind::Like { place: Place::End, ignore_case: false },
            "_iends_with" | "_niends_with" => Kind::Like { place: Place::End, ignore_case: true },
            "_empty" | "_nempty" => Kind::Empty,
            "_regex" => return Err(Error::query("\"_regex\" can be used in validation rules only")),
            _ => return Err(Error::query(format_args!("\"{operator}\" is not an operator"))),
        })
    }

    fn fits(self, column_type: &ColumnType) -> bool {
        let is_text = column_type.is_text() || matches!(column_type, ColumnType::Unknown { .. });
        let has_order = column_type.is_number() || column_type.has_date() || column_type.has_time();
        match self {
            Kind::Compare(Comparison::Equal | Comparison::NotEqual) | Kind::List => {
                !matches!(column_type, ColumnType::Json | ColumnType::Binary)
            }
            Kind::Compare(_) | Kind::Between => has_order,
            Kind::Like { .. } | Kind::Empty => is_text,
        }
    }
}

/// The operands of one operator.
struct Values<'v, 's, 'e> {
    scope: &'v mut Scope<'s, 'e>,
    field: &'v str,
    operator: &'v str,
    column_type: &'v ColumnType,
}

impl Values<'_, '_, '_> {
    fn comparison(&mut self, target: Target, comparison: Comparison, operand: &Value) -> Result<Filter> {
        if let Some(path) = self.user_path(operand) {
            return self.user_field(target, UserTest::Compare(comparison), &path, operand);
        }
        let Some(operand) = self.one(operand)? else {
            // An absent value (nobody is signed in) equals nothing and differs from nothing.
            return Ok(Filter::Or(Vec::new()));
        };
        let condition = match comparison {
            Comparison::Equal => Condition::Equal(operand),
            Comparison::NotEqual => Condition::NotEqual(operand),
            Comparison::Less => Condition::Less(operand),
            Comparison::LessOrEqual => Condition::LessOrEqual(operand),
            Comparison::Greater => Condition::Greater(operand),
            Comparison::GreaterOrEqual => Condition::GreaterOrEqual(operand),
        };
        Ok(Filter::Compare { target, condition })
    }

    /// The path behind `$CURRENT_USER`, where the operand is one.
    fn user_path<'o>(&self, operand: &'o Value) -> Option<Vec<&'o str>> {
        let text = match operand {
            Value::String(text) => text,
            Value::Array(entries) => match entries.as_slice() {
                [Value::String(text)] => text,
                _ => return None,
            },
            _ => return None,
        };
        text.strip_prefix("$CURRENT_USER.").map(|path| path.split('.').collect())
    }

    /// One value; `None` where a variable stands for nothing.
    fn one(&mut self, operand: &Value) -> Result<Option<Operand>> {
        if let Value::String(text) = operand {
            match self.scope.env.variables.meaning(text) {
                Meaning::Text => {}
                Meaning::Moment(moment) => {
                    self.scope.found.is_personal = true;
                    self.scope.found.names_moment = true;
                    let value =
                        values::moment(moment, self.column_type).ok_or_else(|| self.misfit(operand))?;
                    return Ok(Some(self.operand(value)));
                }
                Meaning::Key(key) => {
                    self.scope.found.is_personal = true;
                    self.scope.found.is_void |= key.is_none();
                    return key.map(|key| self.value(&Value::from(key))).transpose();
                }
                Meaning::Keys(_) | Meaning::UserField(_) | Meaning::Malformed => {
                    return Err(self.misfit(operand));
                }
            }
        }
        if operand.is_null() {
            return Err(self.misfit(operand));
        }
        self.value(operand).map(Some)
    }

    fn value(&self, value: &Value) -> Result<Operand> {
        let value = values::coerce(value, self.column_type).ok_or_else(|| self.misfit(value))?;
        Ok(self.operand(value))
    }

    fn operand(&self, value: Scalar) -> Operand {
        Operand { value, column_type: self.column_type.clone() }
    }

    /// A list, a text with commas, or one value.
    fn list(&mut self, operand: &Value) -> Result<Vec<Operand>> {
        let entries = entries(operand);
        if entries.is_empty() {
            return Err(Error::query(format_args!(
                "operator \"{}\" on field \"{}\" needs at least one value",
                self.operator, self.field
            )));
        }
        let mut operands = Vec::with_capacity(entries.len());
        for entry in &entries {
            if let Value::String(text) = entry
                && let Meaning::Keys(keys) = self.scope.env.variables.meaning(text)
            {
                self.scope.found.is_personal = true;
                for key in keys {
                    operands.push(self.value(&Value::from(key.as_str()))?);
                }
            } else if !entry.is_null() {
                operands.extend(self.one(entry)?);
            }
        }
        Ok(operands)
    }

    fn pair(&mut self, operand: &Value) -> Result<(Operand, Operand)> {
        if let [low, high] = entries(operand).as_slice()
            && let (Some(low), Some(high)) = (self.one(low)?, self.one(high)?)
        {
            return Ok((low, high));
        }
        Err(Error::query(format_args!(
            "operator \"{}\" on field \"{}\" needs two values",
            self.operator, self.field
        )))
    }

    /// `$CURRENT_USER.role.name`: the value is looked up by the statement itself.
    fn user_field(
        &mut self,
        target: Target,
        test: UserTest,
        path: &[&str],
        operand: &Value,
    ) -> Result<Filter> {
        let env = self.scope.env;
        self.scope.found.is_personal = true;
        let users = env.schema.find("directus_users").ok_or(Error::Forbidden)?;
        let key = env.schema.collection(users).key().ok_or(Error::Forbidden)?;
        self.scope.found.is_void |= env.variables.user.is_none();
        let Some((last, hops)) = path.split_last() else { return Err(self.misfit(operand)) };
        let (mut collection, mut followed) = (users, Vec::with_capacity(hops.len()));
        let mut test = test;
        for hop in hops {
            let (id, field) = names::field(env, collection, hop)?;
            collection = match (&field.kind, test) {
                (FieldKind::ManyToOne { related, .. }, _) => *related,
                (FieldKind::OneToMany { related, related_field, .. }, _)
                    if env.is_rule && is_many_to_one(env.schema, *related, *related_field) =>
                {
                    test = match test {
                        UserTest::Compare(Comparison::Equal) => UserTest::Among { negated: false },
                        UserTest::Compare(Comparison::NotEqual) => UserTest::Among { negated: true },
                        UserTest::Compare(_) => return Err(self.misfit(operand)),
                        among => among,
                    };
                    *related
                }
                _ => return Err(self.misfit(operand)),
            };
            followed.push(id);
        }
        let (field, found) = names::field(env, collection, last)?;
        let same_type = found.column.as_ref().is_some_and(|column| {
            column.column_type == *self.column_type
                || (column.column_type.is_text() && self.column_type.is_text())
        });
        if !same_type || found.conceal {
            return Err(self.misfit(operand));
        }
        let key_type = names::target_type(env, users, &Target::Field(key)).ok_or(Error::Forbidden)?;
        let user = env.variables.user.map_or(Value::Null, Value::from);
        let value = values::coerce(&user, &key_type).ok_or_else(|| self.misfit(operand))?;
        Ok(Filter::CurrentUser {
            target,
            test,
            user: Operand { value, column_type: key_type },
            users,
            path: followed,
            field,
        })
    }

    fn misfit(&self, value: &Value) -> Error {
        let mut shown = value.to_string();
        if let Some((cut, _)) = shown.char_indices().nth(100) {
            shown.truncate(cut);
            shown.push('…');
        }
        let (operator, field, column_type) = (self.operator, self.field, self.column_type);
        Error::query(format_args!("{shown} in \"{operator}\" does not fit field \"{field}\" ({column_type})"))
    }
}

fn is_many_to_one(schema: &Schema, collection: CollectionId, field: FieldId) -> bool {
    matches!(schema.field(collection, field).kind, FieldKind::ManyToOne { .. })
}

/// The values of a list operand.
fn entries(operand: &Value) -> Vec<Value> {
    match operand {
        Value::Array(entries) => entries.clone(),
        Value::String(text) if text.is_empty() => Vec::new(),
        Value::String(text) => text.split(',').map(|part| Value::from(part.trim())).collect(),
        other => vec![other.clone()],
    }
}
