//! From a payload to a tree of item writes: shapes, types, rules and rights of every level, before anything is written.
//!
//! Start at [`Planner::item`]. Unknown members of a payload are dropped, as in the public API.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::defaults;
use super::files::{self, OwnValues};
use super::plan::{Child, ItemWrite, Target, ToMany, ToManyChange, ToManyLink, ToOne};
use super::rights;
use super::validate::{Rules, is_null};
use super::values::column_value;
use crate::access::{Action, Context};
use crate::error::{Error, Result};
use crate::filter::{Missing, Scalar};
use crate::schema::{Auto, Collection, CollectionId, ColumnType, Field, FieldId, FieldKind};

/// A JSON object as it came in, numbers exact.
pub type ItemPayload = Map<String, Value>;

/// What stays the same while payloads are planned, and what is found on the way.
pub struct Planner<'c> {
    /// Who asks, when, and the model.
    pub ctx: &'c Context,
    /// Rules of the model.
    pub rules: &'c Rules,
    /// Levels of items below the first.
    pub max_depth: usize,
    /// Values of automatic fields are kept when they are sent, as for imports.
    pub keeps_automatic: bool,
    /// What the server itself says of the items of the request, in their order.
    pub own: VecDeque<OwnValues>,
    /// Everything that is wrong with the values so far.
    pub findings: Vec<Error>,
}

/// A part of the way to an item below.
enum Step<'a> {
    /// A member of an object.
    Name(&'a str),
    /// An entry of a list.
    Entry(usize),
}

impl Planner<'_> {
    /// Plans one item and reports everything wrong with it, items below included.
    pub fn plan(
        &mut self,
        collection: CollectionId,
        target: Target,
        key: Option<Scalar>,
        payload: &ItemPayload,
    ) -> Result<ItemWrite> {
        let item = self.item(collection, target, key, payload, &[], 0)?;
        Error::from_findings(std::mem::take(&mut self.findings))?;
        Ok(item)
    }

    /// The same for a payload of which parts are missing: findings are not reported.
    pub fn rehearse(
        &mut self,
        collection: CollectionId,
        target: Target,
        payload: &ItemPayload,
    ) -> Result<ItemWrite> {
        let item = self.item(collection, target, None, payload, &[], 0)?;
        self.findings.clear();
        Ok(item)
    }

    /// Fails at once where the caller has no right or the payload no sense; faults of values become findings.
    fn item(
        &mut self,
        id: CollectionId,
        target: Target,
        key: Option<Scalar>,
        payload: &ItemPayload,
        given: &[FieldId],
        depth: usize,
    ) -> Result<ItemWrite> {
        if depth > self.max_depth {
            return Err(Error::LimitExceeded { limit: "MAX_RELATIONAL_DEPTH", most: self.max_depth as u64 });
        }
        let schema = self.ctx.schema.clone();
        let collection = schema.collection(id);
        let action = if target == Target::Create { Action::Create } else { Action::Update };
        let allowed = rights::allowed(self.ctx, id, action)?;
        let is_unlimited = self.ctx.rules.is_everything();
        files::check_payload(self.ctx, collection, payload)?;
        let own = if depth == 0 { self.own.pop_front() } else { None };
        let mut preset = rights::preset(self.ctx, &allowed, payload);
        if let Some(own) = own {
            own.join(preset.get_or_insert_with(|| payload.clone()));
        }
        // What the server says needs nobody's right.
        let named = if is_unlimited { Vec::new() } else { named(collection, action, payload, given) };
        rights::check_fields(&allowed, named.iter().copied())?;
        let upserted = (target == Target::Upsert && !is_unlimited).then(|| Arc::new(payload.clone()));
        let payload = preset.as_ref().unwrap_or(payload);
        let missing = if target == Target::Create { Missing::Null } else { Missing::Fits };
        self.findings.extend(rights::validate(self.ctx, &allowed, payload, missing)?);
        let mut item = ItemWrite {
            collection: id,
            key,
            target,
            values: Vec::with_capacity(payload.len()),
            sent: Vec::with_capacity(payload.len()),
            named,
            upserted,
            given: given.to_vec(),
            to_one: Vec::new(),
            to_many: Vec::new(),
            parent: None,
        };
        // Whose the item is may be left to the transaction.
        item.given.extend(allowed.tenant.iter().map(|rule| rule.field).filter(|_| target == Target::Create));
        for (name, value) in payload {
            let Some(field_id) = collection.find(name) else { continue };
            // What the item above says holds, whatever is sent.
            if given.contains(&field_id) {
                continue;
            }
            self.member(collection, field_id, value, payload, &mut item, depth)?;
        }
        item.values.sort_by_key(|(field, _)| *field);
        let rules = self.rules.of(&schema, id);
        rules.check(collection, &item.values, &mut self.findings);
        rules.check_filters(payload, &self.ctx.variables(), &mut self.findings)?;
        match target {
            Target::Create => {
                defaults::complete_new(
                    self.ctx,
                    collection,
                    &rules,
                    &mut item,
                    &mut self.findings,
                    self.keeps_automatic,
                );
            }
            Target::Update | Target::Upsert => defaults::complete_change(self.ctx, collection, &mut item),
        }
        Ok(item)
    }

    /// One member of a payload.
    fn member(
        &mut self,
        collection: &Collection,
        id: FieldId,
        value: &Value,
        payload: &ItemPayload,
        item: &mut ItemWrite,
        depth: usize,
    ) -> Result<()> {
        let field = collection.field(id);
        match (&field.kind, value) {
            (FieldKind::Presentation, _) => Ok(()),
            (FieldKind::OneToMany { .. }, _) => {
                if let Some(to_many) = self.items_below(collection, id, value, item.target, depth)? {
                    item.to_many.push(to_many);
                }
                Ok(())
            }
            (FieldKind::ManyToOne { related, .. }, Value::Object(inner)) => {
                let below = self.at(&[Step::Name(&field.name)], |planner| {
                    planner.upsert(*related, inner, &[], depth + 1)
                })?;
                item.to_one.push(ToOne { field: id, as_text: false, item: below });
                item.given.push(id);
                item.sent.push(id);
                Ok(())
            }
            (FieldKind::ManyToAny { allowed, collection_field }, value) if !value.is_null() => {
                self.any_item(collection, id, (allowed, *collection_field), value, payload, item, depth)
            }
            _ => {
                if let Some(scalar) = self.column(collection, id, value) {
                    let is_key = collection.key() == Some(id);
                    if is_key && scalar == Scalar::Null {
                        return Ok(());
                    }
                    if is_key && item.key.is_none() {
                        item.key = Some(scalar.clone());
                    }
                    item.values.push((id, scalar));
                    item.sent.push(id);
                }
                Ok(())
            }
        }
    }

    /// The value of a column; what is wrong with it becomes a finding.
    fn column(&mut self, collection: &Collection, id: FieldId, value: &Value) -> Option<Scalar> {
        let field = collection.field(id);
        let column = field.column.as_ref()?;
        // Null asks for the generated key; elsewhere it must be allowed.
        let is_generated = matches!(column.auto, Some(Auto::Uuid | Auto::Increment | Auto::Number));
        if value.is_null() && !column.nullable && !is_generated {
            self.findings.push(is_null(&field.name));
            return None;
        }
        match column_value(&column.column_type, value) {
            Ok(scalar) => Some(scalar),
            Err(refusal) => {
                self.findings.push(refusal.finding(&collection.name, &field.name));
                None
            }
        }
    }

    /// A many-to-any: the payload names the collection beside it.
    #[expect(clippy::too_many_arguments, reason = "one call, everything about one member of one payload")]
    fn any_item(
        &mut self,
        collection: &Collection,
        id: FieldId,
        (allowed, collection_field): (&[CollectionId], FieldId),
        value: &Value,
        payload: &ItemPayload,
        item: &mut ItemWrite,
        depth: usize,
    ) -> Result<()> {
        let field = collection.field(id);
        let naming = &collection.field(collection_field).name;
        let named = payload.get(&**naming).and_then(Value::as_str);
        let target =
            named.and_then(|name| self.ctx.schema.find(name)).filter(|target| allowed.contains(target));
        let Some(target) = target else {
            // A bare key without its collection may belong to a row that names one already.
            if named.is_none() && !value.is_object() && item.target != Target::Create {
                if let Some(scalar) = self.column(collection, id, value) {
                    item.values.push((id, scalar));
                    item.sent.push(id);
                }
                return Ok(());
            }
            let names: Vec<String> =
                allowed.iter().map(|allowed| self.ctx.schema.collection(*allowed).name.to_string()).collect();
            return Err(Error::payload(format_args!(
                "Field \"{}\" needs \"{naming}\" beside it, one of: {}",
                field.name,
                names.join(", ")
            )));
        };
        item.sent.push(id);
        if let Value::Object(inner) = value {
            let below =
                self.at(&[Step::Name(&field.name)], |planner| planner.upsert(target, inner, &[], depth + 1))?;
            item.to_one.push(ToOne { field: id, as_text: true, item: below });
            item.given.push(id);
            return Ok(());
        }
        let related = self.ctx.schema.collection(target);
        match key_value(related, value) {
            Ok(key) => item.values.push((id, as_text(key))),
            Err(_) => self.findings.push(wrong_key(&field.name)),
        }
        Ok(())
    }

    /// An item below: changed when it names a key that is there, made otherwise.
    fn upsert(
        &mut self,
        id: CollectionId,
        payload: &ItemPayload,
        given: &[FieldId],
        depth: usize,
    ) -> Result<ItemWrite> {
        let schema = self.ctx.schema.clone();
        let collection = schema.collection(id);
        let key_field = collection.key().map(|key| &collection.field(key).name);
        let sent = key_field.and_then(|name| payload.get(&**name)).filter(|value| !value.is_null());
        let target = if sent.is_some() { Target::Upsert } else { Target::Create };
        self.item(id, target, None, payload, given, depth)
    }

    /// Plans something at this place of the payload; what is found there says so in `path`.
    fn at<T>(&mut self, place: &[Step<'_>], plan: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let before = self.findings.len();
        let planned = plan(self);
        for finding in &mut self.findings[before..] {
            let Error::FailedValidation { details, .. } = finding else { continue };
            let path = details.entry("path").or_insert_with(|| json!([]));
            if let Value::Array(path) = path {
                let steps = place.iter().map(|step| match step {
                    Step::Name(name) => json!(name),
                    Step::Entry(position) => json!(position),
                });
                path.splice(0..0, steps);
            }
        }
        planned
    }

    fn items_below(
        &mut self,
        collection: &Collection,
        id: FieldId,
        value: &Value,
        above: Target,
        depth: usize,
    ) -> Result<Option<ToMany>> {
        let field = collection.field(id);
        let schema = self.ctx.schema.clone();
        let FieldKind::OneToMany { related, related_field, sort, on_deselect, .. } = &field.kind else {
            return Ok(None);
        };
        let far = schema.collection(*related);
        let any = match &far.field(*related_field).kind {
            FieldKind::ManyToAny { collection_field, .. } => {
                Some((*collection_field, collection.name.clone()))
            }
            _ => None,
        };
        let mut given = vec![*related_field];
        given.extend(any.as_ref().map(|(field, _)| *field));
        let link = ToManyLink {
            collection: *related,
            field: *related_field,
            any,
            sort: *sort,
            on_deselect: *on_deselect,
        };
        let change = match value {
            // A new item has none to let go.
            Value::Null if above == Target::Create => return Ok(None),
            Value::Null => ToManyChange::Replace(Vec::new()),
            Value::Array(entries) => {
                let mut children = Vec::with_capacity(entries.len());
                for (position, entry) in entries.iter().enumerate() {
                    let place = [Step::Name(&field.name), Step::Entry(position)];
                    children.push(match entry {
                        Value::Object(inner) => Child::Item(
                            self.at(&place, |planner| planner.upsert(*related, inner, &given, depth + 1))?,
                        ),
                        key => Child::Key(self.key_of(far, field, key)?),
                    });
                }
                ToManyChange::Replace(children)
            }
            Value::Object(parts) => self.detailed(far, *related, field, parts, &given, depth)?,
            _ => return Err(wrong_list(field)),
        };
        // Keys of items that are to point here, or no longer, are changes of those items.
        let touches_others = match &change {
            ToManyChange::Replace(children) => {
                above != Target::Create || children.iter().any(|child| matches!(child, Child::Key(_)))
            }
            ToManyChange::Detailed { delete, .. } => !delete.is_empty(),
        };
        if touches_others {
            let allowed = rights::allowed(self.ctx, *related, Action::Update)?;
            rights::check_fields(&allowed, [link.field])?;
        }
        Ok(Some(ToMany { link, change }))
    }

    /// `{ create, update, delete }`.
    fn detailed(
        &mut self,
        far: &Collection,
        related: CollectionId,
        field: &Field,
        parts: &Map<String, Value>,
        given: &[FieldId],
        depth: usize,
    ) -> Result<ToManyChange> {
        let (mut create, mut update, mut delete) = (Vec::new(), Vec::new(), Vec::new());
        let key_name = far.key().map(|key| far.field(key).name.clone());
        for (part, entries) in parts {
            let entries = entries.as_array().ok_or_else(|| wrong_list(field))?;
            for (position, entry) in entries.iter().enumerate() {
                let place = [Step::Name(&field.name), Step::Name(part), Step::Entry(position)];
                match (part.as_str(), entry) {
                    ("create", Value::Object(inner)) => {
                        create.push(
                            self.at(&place, |planner| planner.upsert(related, inner, given, depth + 1))?,
                        );
                    }
                    ("update", Value::Object(inner)) => {
                        let names_key = key_name.as_ref().is_some_and(|name| inner.contains_key(&**name));
                        if !names_key {
                            return Err(Error::payload(format_args!(
                                "Every entry of \"{}.update\" needs its primary key",
                                field.name
                            )));
                        }
                        update.push(
                            self.at(&place, |planner| planner.upsert(related, inner, given, depth + 1))?,
                        );
                    }
                    ("delete", key) => delete.push(self.key_of(far, field, key)?),
                    _ => return Err(wrong_list(field)),
                }
            }
            if !matches!(part.as_str(), "create" | "update" | "delete") {
                return Err(wrong_list(field));
            }
        }
        Ok(ToManyChange::Detailed { create, update, delete })
    }

    fn key_of(&self, far: &Collection, field: &Field, value: &Value) -> Result<Scalar> {
        key_value(far, value).map_err(|_| wrong_key(&field.name))
    }
}

/// The fields that an item sets: those of its payload and those that the item above sets.
fn named(collection: &Collection, action: Action, payload: &ItemPayload, given: &[FieldId]) -> Vec<FieldId> {
    let mut named: Vec<FieldId> = payload.keys().filter_map(|name| collection.find(name)).collect();
    named.extend(given.iter().filter(|field| !payload.contains_key(&*collection.field(**field).name)));
    // The key says which item is changed; it is not changed itself.
    named.retain(|field| action == Action::Create || collection.key() != Some(*field));
    named
}

/// The primary key that a JSON value or the text of a path stands for. `Forbidden` when it can be the key of no item.
pub fn key_value(collection: &Collection, value: &Value) -> Result<Scalar> {
    let key = collection.key().ok_or(Error::Forbidden)?;
    let column = collection.field(key).column.as_ref().ok_or(Error::Forbidden)?;
    match column_value(&column.column_type, value) {
        Ok(Scalar::Null) | Err(_) => Err(Error::Forbidden),
        Ok(key) => Ok(key),
    }
}

/// A key as the text that many-to-any columns, activity and revisions hold.
pub fn key_text(key: &Scalar) -> Arc<str> {
    match key {
        Scalar::Null | Scalar::Bytes(_) => Arc::from(""),
        Scalar::Bool(value) => value.to_string().into(),
        Scalar::Int(value) => value.to_string().into(),
        Scalar::Float(value) => value.to_string().into(),
        Scalar::Text(text) => text.clone(),
    }
}

/// A key as a value of a text column.
pub fn as_text(key: Scalar) -> Scalar {
    match key {
        Scalar::Text(_) | Scalar::Null => key,
        other => Scalar::Text(key_text(&other)),
    }
}

/// A key as a JSON value of an answer.
pub fn key_json(collection: &Collection, key: &Scalar) -> Value {
    let column = collection.key().and_then(|key| collection.field(key).column.as_ref());
    match key {
        Scalar::Int(value) if column.is_none_or(|column| column.column_type != ColumnType::BigInteger) => {
            Value::from(*value)
        }
        other => Value::String(key_text(other).to_string()),
    }
}

fn wrong_key(field: &str) -> Error {
    Error::payload(format_args!("Field \"{field}\" holds a value that cannot be the key of an item"))
}

fn wrong_list(field: &Field) -> Error {
    Error::payload(format_args!(
        "Field \"{}\" takes a list of keys or objects, or an object with lists \"create\", \"update\" and \"delete\"",
        field.name
    ))
}
