//! `/collections`, `/fields` and `/relations`: the model, read and changed.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::{Api, items};
use crate::access::{Action, CollectionRules, Context};
use crate::db::JsonBytes;
use crate::error::{Error, Result};
use crate::items::Journal;
use crate::project::{Catalogue, Edit, Shown};
use crate::server::{Answer, Call, object};

/// A route of this file, with what its path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SchemaRoute<'a> {
    /// `/collections`
    Collections,
    /// `/collections/{collection}`
    Collection(&'a str),
    /// `/fields`
    AllFields,
    /// `/fields/{collection}`
    Fields(&'a str),
    /// `/fields/{collection}/{field}`
    Field(&'a str, &'a str),
    /// `/relations`
    AllRelations,
    /// `/relations/{collection}`
    Relations(&'a str),
    /// `/relations/{collection}/{field}`
    Relation(&'a str, &'a str),
}

impl<'a> SchemaRoute<'a> {
    /// The route of a path.
    pub(super) fn find(path: &'a [Cow<'a, str>]) -> Option<Self> {
        let (group, rest) = path.split_first()?;
        match (group.as_ref(), rest) {
            ("collections", []) => Some(SchemaRoute::Collections),
            ("collections", [name]) => Some(SchemaRoute::Collection(name)),
            ("fields", []) => Some(SchemaRoute::AllFields),
            ("fields", [name]) => Some(SchemaRoute::Fields(name)),
            ("fields", [name, field]) => Some(SchemaRoute::Field(name, field)),
            ("relations", []) => Some(SchemaRoute::AllRelations),
            ("relations", [name]) => Some(SchemaRoute::Relations(name)),
            ("relations", [name, field]) => Some(SchemaRoute::Relation(name, field)),
            _ => None,
        }
    }

    /// How logs and figures call it.
    pub(super) fn pattern(self) -> &'static str {
        match self {
            SchemaRoute::Collections => "/collections",
            SchemaRoute::Collection(_) => "/collections/{collection}",
            SchemaRoute::AllFields => "/fields",
            SchemaRoute::Fields(_) => "/fields/{collection}",
            SchemaRoute::Field(..) => "/fields/{collection}/{field}",
            SchemaRoute::AllRelations => "/relations",
            SchemaRoute::Relations(_) => "/relations/{collection}",
            SchemaRoute::Relation(..) => "/relations/{collection}/{field}",
        }
    }

    /// Its methods, as `Allow` lists them.
    pub(super) fn methods(self) -> &'static str {
        match self {
            SchemaRoute::Collections | SchemaRoute::Fields(_) => "GET, HEAD, POST, PATCH",
            SchemaRoute::Collection(_) | SchemaRoute::Field(..) | SchemaRoute::Relation(..) => {
                "GET, HEAD, PATCH, DELETE"
            }
            SchemaRoute::AllRelations => "GET, HEAD, POST",
            SchemaRoute::AllFields | SchemaRoute::Relations(_) => "GET, HEAD",
        }
    }
}

pub(super) async fn answer(api: &Api, call: &mut Call<'_>, route: SchemaRoute<'_>) -> Result<Answer> {
    if matches!(call.method.as_str(), "GET" | "HEAD") {
        let ctx = api.context(call).await?;
        let catalogue = api.schemas.catalogue();
        let view = View { api, ctx: &ctx, catalogue: &catalogue };
        return read(&view, route).map(data);
    }
    let ctx = api.administrator(call).await?;
    let (body, idempotency) = items::write_body(call, &ctx).await?;
    let plan = plan(&call.method, route, body)?;
    let answer = api.items.once_beside(&ctx, idempotency, async || change(api, &ctx, plan).await).await?;
    Ok(answer.body.map_or(Answer::Empty, Answer::Members))
}

/// Carries a plan out. Gives the members of the answer.
async fn change(api: &Api, ctx: &Context, Plan { edits, shown }: Plan) -> Result<Option<JsonBytes>> {
    let catalogue = api.schemas.catalogue();
    let gone = |edit: &Edit| match edit {
        Edit::DeleteCollection(name) => {
            !name.starts_with("directus_") && api.system.collection(&catalogue, name).is_none()
        }
        Edit::DeleteField(collection, field) => api.system.field(&catalogue, collection, field).is_none(),
        _ => false,
    };
    // What is not there is as good as removed.
    let edits: Vec<Edit> = edits.into_iter().filter(|edit| !gone(edit)).collect();
    if !edits.is_empty() {
        api.project.remodel(edits, Journal::new(ctx)).await?;
        api.auth.forget_everywhere().await;
    }
    let catalogue = api.schemas.catalogue();
    let view = View { api, ctx, catalogue: &catalogue };
    let shown = match shown {
        Showing::Nothing => None,
        Showing::One(place) => view.place(&place),
        Showing::Many(places) => Some(places.iter().filter_map(|place| view.place(place)).collect::<Value>()),
    };
    Ok(shown.map(|shown| format!("\"data\":{shown}").into_bytes()))
}

fn data(value: Value) -> Answer {
    Answer::Document(json!({ "data": value }))
}

/// What is answered after a change.
enum Showing {
    Nothing,
    One(Place),
    Many(Vec<Place>),
}

enum Place {
    Collection(String),
    Field(String, String),
    Relation(String, String),
}

struct Plan {
    edits: Vec<Edit>,
    shown: Showing,
}

/// Most things that one request may make or change.
const MOST_EDITS: usize = 1000;

fn plan(method: &actix_web::http::Method, route: SchemaRoute<'_>, body: Option<Value>) -> Result<Plan> {
    let is_post = method == "POST";
    let one = |edit: Edit, place: Place| Plan { edits: vec![edit], shown: Showing::One(place) };
    let nothing = |edit: Edit| Plan { edits: vec![edit], shown: Showing::Nothing };
    Ok(match (method.as_str(), route) {
        ("POST" | "PATCH", SchemaRoute::Collections) => many(body, is_post, |payload| {
            let name = named(&payload, "collection")?;
            let place = Place::Collection(name.clone());
            Ok(match is_post {
                true => (Edit::CreateCollection(payload), place),
                false => (Edit::UpdateCollection(name, payload), place),
            })
        })?,
        ("POST" | "PATCH", SchemaRoute::Fields(collection)) => many(body, is_post, |payload| {
            let name = named(&payload, "field")?;
            let place = Place::Field(collection.to_owned(), name.clone());
            Ok(match is_post {
                true => (Edit::CreateField(collection.to_owned(), payload), place),
                false => (Edit::UpdateField(collection.to_owned(), name, payload), place),
            })
        })?,
        ("POST", SchemaRoute::AllRelations) => many(body, true, |payload| {
            let place = Place::Relation(named(&payload, "collection")?, named(&payload, "field")?);
            Ok((Edit::CreateRelation(payload), place))
        })?,
        ("PATCH", SchemaRoute::Collection(name)) => {
            let place = Place::Collection(name.to_owned());
            one(Edit::UpdateCollection(name.to_owned(), object(body)?), place)
        }
        ("PATCH", SchemaRoute::Field(collection, field)) => {
            let (collection, field) = (collection.to_owned(), field.to_owned());
            let place = Place::Field(collection.clone(), field.clone());
            one(Edit::UpdateField(collection, field, object(body)?), place)
        }
        ("PATCH", SchemaRoute::Relation(collection, field)) => {
            let (collection, field) = (collection.to_owned(), field.to_owned());
            let place = Place::Relation(collection.clone(), field.clone());
            one(Edit::UpdateRelation(collection, field, object(body)?), place)
        }
        (_, SchemaRoute::Collection(name)) => nothing(Edit::DeleteCollection(name.to_owned())),
        (_, SchemaRoute::Field(collection, field)) => {
            nothing(Edit::DeleteField(collection.to_owned(), field.to_owned()))
        }
        (_, SchemaRoute::Relation(collection, field)) => {
            nothing(Edit::DeleteRelation(collection.to_owned(), field.to_owned()))
        }
        (
            _,
            SchemaRoute::Collections
            | SchemaRoute::AllFields
            | SchemaRoute::Fields(_)
            | SchemaRoute::AllRelations
            | SchemaRoute::Relations(_),
        ) => Plan { edits: Vec::new(), shown: Showing::Nothing },
    })
}

/// One payload or, where the body is a list, each of them. Changes come as a list only.
fn many(
    body: Option<Value>,
    takes_one: bool,
    edit: impl Fn(Map<String, Value>) -> Result<(Edit, Place)>,
) -> Result<Plan> {
    match body {
        Some(Value::Array(payloads)) => {
            if payloads.len() > MOST_EDITS {
                return Err(Error::payload(format_args!("at most {MOST_EDITS} entries are taken at once.")));
            }
            let (mut edits, mut places) = (Vec::new(), Vec::new());
            for payload in payloads {
                let Value::Object(payload) = payload else {
                    return Err(Error::payload("the body must hold objects."));
                };
                let (next, place) = edit(payload)?;
                edits.push(next);
                places.push(place);
            }
            Ok(Plan { edits, shown: Showing::Many(places) })
        }
        other if takes_one => {
            let (edit, place) = edit(object(other)?)?;
            Ok(Plan { edits: vec![edit], shown: Showing::One(place) })
        }
        _ => Err(Error::payload("the body must be a list.")),
    }
}

fn named(payload: &Map<String, Value>, name: &str) -> Result<String> {
    match payload.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()) {
        Some(text) => Ok(text.to_owned()),
        None => Err(Error::payload(format_args!("\"{name}\" is required."))),
    }
}

/// The model as one caller may see it: collections that may be read, and of those the fields that may be read.
pub(super) struct View<'a> {
    pub(super) api: &'a Api,
    pub(super) ctx: &'a Context,
    pub(super) catalogue: &'a Catalogue,
}

fn read(view: &View<'_>, route: SchemaRoute<'_>) -> Result<Value> {
    let values = |shown: Vec<Value>| Value::Array(shown);
    // The model is shown to those who may read the system collection that holds this part of it.
    let held_in = match route {
        SchemaRoute::Collections | SchemaRoute::Collection(_) => "directus_collections",
        SchemaRoute::AllFields | SchemaRoute::Fields(_) | SchemaRoute::Field(..) => "directus_fields",
        SchemaRoute::AllRelations | SchemaRoute::Relations(_) | SchemaRoute::Relation(..) => {
            "directus_relations"
        }
    };
    if !view.sees_collection(held_in) {
        return Err(Error::Forbidden);
    }
    match route {
        SchemaRoute::Collections => Ok(values(view.collections())),
        SchemaRoute::Collection(name) => {
            view.place(&Place::Collection(name.to_owned())).ok_or(Error::Forbidden)
        }
        SchemaRoute::AllFields => {
            let all = view.api.system.all_fields(view.catalogue);
            Ok(values(all.into_iter().filter_map(|shown| view.field(shown)).collect()))
        }
        SchemaRoute::Fields(name) => {
            view.place(&Place::Collection(name.to_owned())).ok_or(Error::Forbidden)?;
            let all = view.api.system.fields(view.catalogue, name);
            Ok(values(all.into_iter().filter_map(|shown| view.field(shown)).collect()))
        }
        SchemaRoute::Field(collection, field) => {
            let place = Place::Field(collection.to_owned(), field.to_owned());
            view.place(&place).ok_or(Error::Forbidden)
        }
        SchemaRoute::AllRelations => Ok(values(view.relations(|_| true))),
        SchemaRoute::Relations(name) => {
            view.place(&Place::Collection(name.to_owned())).ok_or(Error::Forbidden)?;
            Ok(values(view.relations(|shown| shown.collection == name)))
        }
        SchemaRoute::Relation(collection, field) => {
            let place = Place::Relation(collection.to_owned(), field.to_owned());
            view.place(&place).ok_or(Error::Forbidden)
        }
    }
}

impl View<'_> {
    fn is_limited(&self) -> bool {
        !self.ctx.rules.is_everything()
    }

    fn rules(&self, collection: &str) -> Option<std::sync::Arc<CollectionRules>> {
        self.ctx.allowed(self.ctx.schema.find(collection)?, Action::Read)
    }

    fn sees_collection(&self, collection: &str) -> bool {
        !self.is_limited() || self.rules(collection).is_some()
    }

    fn sees_field(&self, collection: &str, field: &str) -> bool {
        if !self.is_limited() {
            return true;
        }
        let found = self.ctx.schema.get(collection).and_then(|known| known.find(field));
        match (self.rules(collection), found) {
            (Some(rules), Some(id)) => rules.fields.contains(id),
            _ => false,
        }
    }

    fn place(&self, place: &Place) -> Option<Value> {
        match place {
            Place::Collection(name) => self.collection(self.api.system.collection(self.catalogue, name)?),
            Place::Field(collection, field) => {
                self.field(self.api.system.field(self.catalogue, collection, field)?)
            }
            Place::Relation(collection, field) => {
                let found = self.relations(|shown| shown.collection == *collection && shown.field == *field);
                found.into_iter().next()
            }
        }
    }

    fn collections(&self) -> Vec<Value> {
        let all = self.api.system.collections(self.catalogue);
        all.into_iter().filter_map(|shown| self.collection(shown)).collect()
    }

    fn collection(&self, shown: Shown) -> Option<Value> {
        let Shown { collection, mut value, .. } = shown;
        if !self.sees_collection(&collection) {
            // A folder is for whoever sees something in it.
            let is_folder = value["schema"].is_null() && !self.api.system.has(&collection);
            if !is_folder || !self.sees_inside(&collection, 0) {
                return None;
            }
        }
        if self.is_limited()
            && let Some(meta) = value.get_mut("meta").and_then(Value::as_object_mut)
        {
            for name in ["archive_field", "sort_field"] {
                let hidden = meta
                    .get(name)
                    .and_then(Value::as_str)
                    .is_some_and(|field| !self.sees_field(&collection, field));
                if hidden {
                    meta.insert(name.to_owned(), Value::Null);
                }
            }
        }
        Some(value)
    }

    fn sees_inside(&self, folder: &str, depth: usize) -> bool {
        let rows = self.catalogue.registry.collections.iter();
        let mut inside = rows.filter(|(_, row)| row.get("group").and_then(Value::as_str) == Some(folder));
        depth < 20
            && inside.any(|(key, _)| self.sees_collection(&key[0]) || self.sees_inside(&key[0], depth + 1))
    }

    fn field(&self, shown: Shown) -> Option<Value> {
        let Shown { collection, field, mut value } = shown;
        if !self.sees_field(&collection, &field) {
            return None;
        }
        if self.is_limited()
            && let Some(schema) = value.get_mut("schema").and_then(Value::as_object_mut)
        {
            let target = schema.get("foreign_key_table").and_then(Value::as_str);
            if target.is_some_and(|target| !self.sees_collection(target)) {
                schema.insert("foreign_key_table".to_owned(), Value::Null);
                schema.insert("foreign_key_column".to_owned(), Value::Null);
            }
        }
        Some(value)
    }

    fn relations(&self, wanted: impl Fn(&Shown) -> bool) -> Vec<Value> {
        let all = self.api.system.relations(self.catalogue).into_iter().filter(wanted);
        all.filter_map(|shown| self.relation(shown)).collect()
    }

    /// A relation is for whoever sees both of its ends; of one to many collections, those that may be seen are named.
    fn relation(&self, shown: Shown) -> Option<Value> {
        let Shown { collection, field, mut value } = shown;
        if !self.is_limited() {
            return Some(value);
        }
        if !self.sees_field(&collection, &field) {
            return None;
        }
        if let Some(related) = value["related_collection"].as_str()
            && !self.sees_collection(related)
        {
            return None;
        }
        let related = value["related_collection"].as_str().map(str::to_owned);
        let meta = value.get_mut("meta").and_then(Value::as_object_mut);
        if let Some(meta) = meta {
            if let Some(alias) = meta.get("one_field").and_then(Value::as_str)
                && !related.is_some_and(|related| self.sees_field(&related, alias))
            {
                meta.insert("one_field".to_owned(), Value::Null);
            }
            for name in ["junction_field", "sort_field", "one_collection_field"] {
                let hidden = meta
                    .get(name)
                    .and_then(Value::as_str)
                    .is_some_and(|field| !self.sees_field(&collection, field));
                if hidden {
                    meta.insert(name.to_owned(), Value::Null);
                }
            }
            if let Some(Value::Array(allowed)) = meta.get_mut("one_allowed_collections") {
                allowed.retain(|name| name.as_str().is_some_and(|name| self.sees_collection(name)));
                if allowed.is_empty() {
                    return None;
                }
            }
        }
        Some(value)
    }
}
