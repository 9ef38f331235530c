//! A throwaway database with people and rows in it, and requests to it.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::case::{Asker, Block, Case, Person};
use super::made_up::{Needed, needed};
use super::{Labels, Problem, connect, judge, told};
use crate::access::{AccessRules, Accountability, Action, Context};
use crate::auth::{Authenticator, Client, renew_static_token};
use crate::config::{AuthConfig, Secret};
use crate::db::Database;
use crate::error::{Error, Result};
use crate::events::{Events, Hooks};
use crate::items::{ItemPayload, ItemsService, ItemsSettings, Operation, Targets};
use crate::project::access::{AccessKeys, PUBLIC};
use crate::query::{self, Query, QueryLimits, Selection};
use crate::schema::{CollectionId, Schema};
use crate::yaml::{Node, Position, nearest, quoted};

/// Deepest chain of rows that are made up because others need them.
const MOST_MADE_UP: usize = 8;

pub struct World {
    database: Database,
    path: PathBuf,
    schema: Arc<Schema>,
    keys: Arc<AccessKeys>,
    auth_config: AuthConfig,
    items: ItemsService,
    auth: Authenticator,
    labels: Labels,
    /// Tokens of people by label.
    tokens: BTreeMap<String, Secret<String>>,
    /// Rows that were made up for others to refer to.
    fillers: HashMap<CollectionId, Value>,
    counter: u64,
}

impl World {
    pub fn new(
        database: Database,
        path: PathBuf,
        schema: Arc<Schema>,
        keys: Arc<AccessKeys>,
        auth_config: AuthConfig,
    ) -> Result<Self> {
        // The events end in nothing: nobody listens here.
        let events = Events::start(database.clone(), Hooks::default());
        let items = ItemsService::new(database.clone(), events, ItemsSettings::default());
        let secret = Secret::new(format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()));
        let auth = Authenticator::new(database.clone(), &secret, &auth_config);
        Ok(World {
            database,
            path,
            schema,
            keys,
            auth_config,
            items,
            auth,
            labels: Labels::new(),
            tokens: BTreeMap::new(),
            fillers: HashMap::new(),
            counter: 0,
        })
    }

    /// The same world in another file.
    pub async fn copy(&self, path: &Path) -> Result<World> {
        // Nothing is being written now, so the file and what waits beside it are a whole.
        for suffix in ["", "-wal"] {
            let name = |path: &Path| {
                let mut name = path.as_os_str().to_owned();
                name.push(suffix);
                PathBuf::from(name)
            };
            match tokio::fs::copy(name(&self.path), name(path)).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound || suffix.is_empty() => {
                    return Err(Error::internal(error));
                }
                _ => {}
            }
        }
        let database = connect(path).await?;
        let fresh = World::new(
            database,
            path.to_owned(),
            self.schema.clone(),
            self.keys.clone(),
            self.auth_config.clone(),
        )?;
        Ok(World {
            labels: self.labels.clone(),
            tokens: self.tokens.clone(),
            fillers: self.fillers.clone(),
            counter: self.counter,
            ..fresh
        })
    }

    /// Ends the world and removes its files.
    pub fn remove(self) {
        let path = self.path.clone();
        drop(self);
        // The folder goes in the end anyway.
        std::fs::remove_file(&path).ok();
    }

    /// Makes the people and rows that tests share.
    pub async fn prepare(&mut self, block: &Block<'_>) -> Result<(), Problem> {
        for (label, person) in &block.people {
            self.add_person(label, person).await?;
        }
        match block.given {
            Some(given) => self.add_rows(given).await,
            None => Ok(()),
        }
    }

    async fn add_person(&mut self, label: &str, person: &Person<'_>) -> Result<(), Problem> {
        let at = person.at;
        if label == PUBLIC || self.tokens.contains_key(label) {
            return Err(Problem::new(at, format!("{} is somebody already", quoted(label))));
        }
        self.counter += 1;
        let email = format!(
            "{}{}@example.com",
            label.replace(|c: char| !c.is_ascii_alphanumeric(), ""),
            self.counter
        );
        let mut user = Map::new();
        user.insert("first_name".to_owned(), json!(label));
        user.insert("email".to_owned(), json!(email));
        user.insert("status".to_owned(), json!("active"));
        if let Some(role) = person.role {
            user.insert("role".to_owned(), json!(key_of("role", role, &self.keys.roles)?));
        }
        if let Some(more) = person.user {
            for entry in more.as_map().unwrap_or_default() {
                user.insert(entry.name.clone(), self.value(&entry.value)?);
            }
        }
        let mut policies = Vec::with_capacity(person.policies.len());
        for policy in person.policies {
            policies.push(key_of("policy", policy, &self.keys.policies)?);
        }
        let email = user.get("email").and_then(Value::as_str).unwrap_or(&email).to_owned();
        let key = self.make(at, "directus_users", user).await?;
        for policy in policies {
            let grant = json!({ "user": key, "policy": policy });
            self.make(at, "directus_access", object(grant)).await?;
        }
        let token = renew_static_token(&self.database, &self.schema, &email)
            .await
            .map_err(|error| Problem::caused(at, "no token can be made", &error))?;
        self.tokens.insert(label.to_owned(), token);
        self.labels.insert(label.to_owned(), key);
        self.auth.forget_all();
        Ok(())
    }

    /// Rows by collection, each with a label or in a list.
    async fn add_rows(&mut self, given: &Node) -> Result<(), Problem> {
        for entry in given.as_map().unwrap_or_default() {
            let collection = self.collection(&entry.name, &entry.key.at)?;
            if let Some(rows) = entry.value.as_list() {
                for row in rows {
                    self.add_row(collection, &row.at, row, None).await?;
                }
                continue;
            }
            let Some(rows) = entry.value.as_map() else {
                let text = format!(
                    "{} cannot be {}; expected rows by label",
                    quoted(&entry.name),
                    entry.value.kind()
                );
                return Err(Problem::new(&entry.value.at, text));
            };
            for row in rows {
                self.add_row(collection, &row.key.at, &row.value, Some(&row.name)).await?;
            }
        }
        Ok(())
    }

    async fn add_row(
        &mut self,
        collection: CollectionId,
        at: &Position,
        row: &Node,
        label: Option<&str>,
    ) -> Result<(), Problem> {
        if let Some(label) = label.filter(|label| self.labels.contains_key(*label)) {
            return Err(Problem::new(at, format!("{} names something already", quoted(label))));
        }
        let payload = match self.value(row)? {
            Value::Object(payload) => payload,
            Value::Null => Map::new(),
            _ => return Err(Problem::new(at, "a row is a map of values")),
        };
        let known = self.schema.collection(collection);
        for entry in row.as_map().unwrap_or_default() {
            if known.find(&entry.name).is_none() {
                let names = known.fields().map(|(_, field)| &*field.name);
                let what = format!("field of {}", known.name);
                return Err(Problem::new(&entry.key.at, unknown(&what, &entry.name, names)));
            }
        }
        let key = self.complete(at, collection, payload, 0).await?;
        if let Some(label) = label {
            self.labels.insert(label.to_owned(), key);
        }
        Ok(())
    }

    /// Makes a row; what it requires and does not say is made up.
    async fn complete(
        &mut self,
        at: &Position,
        id: CollectionId,
        mut payload: ItemPayload,
        depth: usize,
    ) -> Result<Value, Problem> {
        if depth > MOST_MADE_UP {
            return Err(Problem::new(at, "too many rows would have to be made up: name some of them"));
        }
        let schema = self.schema.clone();
        let collection = schema.collection(id);
        for (field_id, field) in collection.fields() {
            if payload.contains_key(&*field.name) {
                continue;
            }
            self.counter += 1;
            match needed(collection, field_id, field, self.counter) {
                None => {}
                Some(Needed::Value(value)) => {
                    payload.insert(field.name.to_string(), value);
                }
                Some(Needed::Item(related)) => {
                    let is_unique = field.column.as_ref().is_some_and(|column| column.unique);
                    let key = self.filler(at, related, is_unique, depth).await?;
                    payload.insert(field.name.to_string(), key);
                }
                Some(Needed::AnyItem(related, collection_field)) => {
                    let key = self.filler(at, related, false, depth).await?;
                    payload.insert(field.name.to_string(), json!(key_text(&key)));
                    let name = collection.field(collection_field).name.to_string();
                    payload.insert(name, json!(*schema.collection(related).name));
                }
            }
        }
        let name = collection.name.clone();
        self.make(at, &name, payload).await
    }

    async fn filler(
        &mut self,
        at: &Position,
        related: CollectionId,
        is_unique: bool,
        depth: usize,
    ) -> Result<Value, Problem> {
        if let Some(key) = self.fillers.get(&related).filter(|_| !is_unique) {
            return Ok(key.clone());
        }
        let key = Box::pin(self.complete(at, related, Map::new(), depth + 1)).await?;
        self.fillers.insert(related, key.clone());
        Ok(key)
    }

    /// Makes a row as an administrator.
    async fn make(&self, at: &Position, collection: &str, payload: ItemPayload) -> Result<Value, Problem> {
        let made = self.items.put(&self.administrator(), collection, Operation::Create(payload)).await;
        let made = made.map_err(|error| {
            Problem::caused(at, &format!("the row of {collection} cannot be made"), &error)
        })?;
        Ok(made.keys.into_iter().next().unwrap_or_default())
    }

    fn administrator(&self) -> Context {
        let accountability = Accountability { admin: true, ..Accountability::default() };
        self.context(Arc::new(accountability), Arc::new(AccessRules::Everything))
    }

    fn context(&self, accountability: Arc<Accountability>, rules: Arc<AccessRules>) -> Context {
        Context {
            accountability,
            rules,
            schema: self.schema.clone(),
            now: Timestamp::now(),
            request_id: Uuid::now_v7(),
        }
    }

    fn collection(&self, name: &str, at: &Position) -> Result<CollectionId, Problem> {
        self.schema.find(name).ok_or_else(|| {
            let names = self.schema.collections().map(|(_, collection)| &*collection.name);
            Problem::new(at, unknown("collection", name, names))
        })
    }

    /// A value with keys in the place of labels.
    fn value(&self, node: &Node) -> Result<Value, Problem> {
        if let Some(text) = node.as_text() {
            let Some(label) = text.strip_prefix('$').filter(|label| !is_variable(label)) else {
                return Ok(json!(text));
            };
            return self.labels.get(label).cloned().ok_or_else(|| {
                Problem::new(
                    &node.at,
                    unknown("row or person labelled", label, self.labels.keys().map(String::as_str)),
                )
            });
        }
        if let Some(list) = node.as_list() {
            return list.iter().map(|node| self.value(node)).collect::<Result<Vec<_>, _>>().map(Value::Array);
        }
        if let Some(entries) = node.as_map() {
            let mut map = Map::new();
            for entry in entries {
                map.insert(entry.name.clone(), self.value(&entry.value)?);
            }
            return Ok(Value::Object(map));
        }
        Ok(node.to_json())
    }

    fn object(&self, node: Option<&Node>) -> Result<Map<String, Value>, Problem> {
        match node {
            Some(node) => self.value(node).map(object),
            None => Ok(Map::new()),
        }
    }

    /// Carries out one test.
    pub async fn try_case(&mut self, case: &Case<'_>) -> Result<(), Problem> {
        let [(action, node)] = case.requests.as_slice() else {
            return Err(Problem::new(case.at, "a test names one of read, create, update and delete"));
        };
        let Some(expect) = case.expect else { return Err(Problem::new(case.at, "nothing is expected")) };
        if let Some(given) = case.given {
            self.add_rows(given).await?;
        }
        let label = match &case.asker {
            Some(Asker::Named(label, at)) => {
                if *label != PUBLIC && !self.tokens.contains_key(*label) {
                    let known = self.tokens.keys().map(String::as_str).chain([PUBLIC]);
                    return Err(Problem::new(at, unknown("person", label, known)));
                }
                (*label).to_owned()
            }
            Some(Asker::Described(person)) => {
                self.add_person("me", person).await?;
                "me".to_owned()
            }
            None => PUBLIC.to_owned(),
        };
        let ctx = self.enter(case, &label).await?;
        let name = node.as_text().unwrap_or_default();
        let collection = self.collection(name, &node.at)?;
        let outcome = match action {
            Action::Read => self.read(&ctx, case, collection).await?,
            _ => self.write(&ctx, case, *action, collection).await?,
        };
        self.judge(case, expect, collection, outcome).await
    }

    /// The context of a request of this person.
    async fn enter(&self, case: &Case<'_>, label: &str) -> Result<Context, Problem> {
        let address = match case.from {
            None => None,
            Some(node) => {
                let text = node.as_text().unwrap_or_default();
                let address: Option<IpAddr> = text.parse().ok();
                let problem = || Problem::new(&node.at, format!("{} is no address", quoted(text)));
                Some(address.ok_or_else(problem)?)
            }
        };
        let tenant = match case.tenant {
            Some(node) => Some(key_text(&self.value(node)?)),
            None => None,
        };
        let client = Client { address, tenant: tenant.as_deref(), ..Client::default() };
        let now = Timestamp::now();
        let entered = match self.tokens.get(label) {
            Some(token) => self.auth.authenticate(&self.schema, token.expose(), client, now).await,
            None => self.auth.visit(&self.schema, client, now).await,
        };
        let (accountability, rules) =
            entered.map_err(|error| Problem::caused(case.at, "signing in failed", &error))?;
        Ok(self.context(accountability, rules))
    }

    fn query(&self, case: &Case<'_>) -> Result<Query, Problem> {
        let mut parameters = self.object(case.query)?;
        parameters.entry("limit").or_insert_with(|| json!(-1));
        let at = case.query.map_or(case.at, |node| &node.at);
        query::parse::parse_object(&parameters, &QueryLimits::default())
            .map_err(|error| Problem::caused(at, "the query cannot be read", &error))
    }

    fn item(&self, case: &Case<'_>) -> Result<Option<String>, Problem> {
        let Some(node) = case.item else { return Ok(None) };
        Ok(Some(key_text(&self.value(node)?)))
    }

    async fn read(&self, ctx: &Context, case: &Case<'_>, id: CollectionId) -> Result<Outcome, Problem> {
        let query = self.query(case)?;
        let collection = self.schema.collection(id);
        let selection = match self.item(case)? {
            Some(key) => Selection::Key(key),
            None if collection.singleton => Selection::Singleton,
            None => Selection::Query,
        };
        let is_ordered = !query.sort.is_empty();
        let read = self.items.read(ctx, &collection.name, selection, query).await;
        let rows = match read {
            Ok(bytes) => data(&bytes).map_err(|error| Problem::new(case.at, error))?,
            Err(error) => return Ok(Outcome::Refused(error)),
        };
        Ok(Outcome::Rows { rows, is_ordered })
    }

    async fn write(
        &self,
        ctx: &Context,
        case: &Case<'_>,
        action: Action,
        id: CollectionId,
    ) -> Result<Outcome, Problem> {
        let targets = match self.item(case)? {
            Some(key) => Some(Targets::Key(key)),
            None if self.schema.collection(id).singleton => Some(Targets::Singleton),
            None if case.query.is_some() => Some(Targets::Query(Box::new(self.query(case)?))),
            None => None,
        };
        let payload = match case.payload {
            Some(node) => self.value(node)?,
            None => Value::Null,
        };
        let operation = match (action, targets, payload) {
            (Action::Create, _, Value::Object(payload)) => Operation::Create(payload),
            (Action::Create, _, Value::Array(list)) => {
                Operation::CreateMany(list.into_iter().map(object).collect())
            }
            (Action::Update, Some(targets), Value::Object(payload)) => Operation::Update(targets, payload),
            (Action::Delete, Some(targets), Value::Null) => Operation::Delete(targets),
            (Action::Create | Action::Update, _, Value::Null) => {
                return Err(Problem::new(case.at, "a \"payload\" is missing"));
            }
            (Action::Delete, Some(_), _) => return Err(Problem::new(case.at, "a deletion has no payload")),
            _ => return Err(Problem::new(case.at, "an \"item\" is missing")),
        };
        let name = &self.schema.collection(id).name;
        Ok(match self.items.change(ctx, name, operation).await {
            Ok(written) => Outcome::Written(written.keys.into_iter().next().unwrap_or_default()),
            Err(error) => Outcome::Refused(error),
        })
    }

    async fn judge(
        &self,
        case: &Case<'_>,
        expect: &Node,
        id: CollectionId,
        outcome: Outcome,
    ) -> Result<(), Problem> {
        let wrong = |text: String| Err(Problem::new(&expect.at, self.with_labels(text)));
        let code = match expect.as_text() {
            Some("refused") => Some("FORBIDDEN"),
            Some(_) => None,
            None => expect.get("error").and_then(Node::as_text),
        };
        let key = match (code, &outcome) {
            (Some(code), Outcome::Refused(error)) => {
                return if codes(error).contains(&code) {
                    Ok(())
                } else {
                    wrong(format!("expected to be refused with {code}, was with {}", told(error)))
                };
            }
            (Some(_), Outcome::Rows { rows, .. }) => {
                return wrong(format!("expected to be refused, got {} rows", rows.len()));
            }
            (Some(_), Outcome::Written(_)) => return wrong("expected to be refused, was allowed".to_owned()),
            (None, Outcome::Refused(error)) => return wrong(format!("was refused with {}", told(error))),
            (None, Outcome::Written(key)) => Some(key.clone()),
            (None, Outcome::Rows { .. }) => None,
        };
        let collection = self.schema.collection(id);
        let list = |name: &str| expect.get(name).map(|node| self.value(node)).transpose();
        let (rows, is_ordered) = match &outcome {
            Outcome::Rows { rows, is_ordered } => (rows.as_slice(), *is_ordered),
            _ => (&[][..], false),
        };
        let names_rows = ["rows", "keys", "count", "fields"].iter().any(|name| expect.get(name).is_some());
        if names_rows && key.is_some() {
            return wrong("a write has no rows; expected \"allowed\", \"refused\" or \"stored\"".to_owned());
        }
        let mut told = None;
        if let Some(Value::Array(expected)) = list("rows")? {
            told = told.or(judge::rows(&expected, rows, is_ordered));
        }
        if let Some(Value::Array(expected)) = list("keys")? {
            let key = collection.key().map(|id| collection.field(id).name.to_string()).unwrap_or_default();
            told = told.or(judge::keys(&expected, rows, &key));
        }
        if let Some(expected) = list("count")?.and_then(|count| count.as_u64())
            && expected != rows.len() as u64
        {
            told = told.or(Some(format!("expected {expected} rows, got {}", rows.len())));
        }
        if let Some(names) = expect.get("fields").and_then(Node::as_list) {
            let names: Vec<&str> = names.iter().filter_map(Node::as_text).collect();
            told = told.or(judge::fields(&names, rows));
        }
        if let Some(expected) = list("stored")? {
            let stored = self.stored(case, collection.name.as_ref(), key, &expected).await?;
            told = told.or(judge::difference(&expected, &stored));
        }
        told.map_or(Ok(()), wrong)
    }

    /// A text in which keys have become labels again.
    fn with_labels(&self, text: String) -> String {
        let keys = self.labels.iter().filter(|(_, key)| key.is_string());
        keys.fold(text, |text, (label, key)| text.replace(&key.to_string(), &format!("${label}")))
    }

    /// The item that was written, as an administrator sees it.
    async fn stored(
        &self,
        case: &Case<'_>,
        collection: &str,
        key: Option<Value>,
        expected: &Value,
    ) -> Result<Value, Problem> {
        let key = match key {
            Some(key) => key_text(&key),
            None => self.item(case)?.unwrap_or_default(),
        };
        let names = expected.as_object().into_iter().flat_map(Map::keys);
        let query = Query { fields: names.map(|name| vec![name.clone()]).collect(), ..Query::default() };
        let read = self.items.read(&self.administrator(), collection, Selection::Key(key), query).await;
        let bytes = read.map_err(|error| Problem::caused(case.at, "the item cannot be read", &error))?;
        let rows = data(&bytes).map_err(|error| Problem::new(case.at, error))?;
        Ok(rows.into_iter().next().unwrap_or_default())
    }
}

/// What became of a request.
enum Outcome {
    Rows {
        rows: Vec<Value>,
        is_ordered: bool,
    },
    /// The key of the first item.
    Written(Value),
    Refused(Error),
}

fn codes(error: &Error) -> Vec<&'static str> {
    match error {
        Error::Several(errors) => errors.iter().map(Error::code).collect(),
        one => vec![one.code()],
    }
}

/// The rows of an answer.
fn data(bytes: &[u8]) -> Result<Vec<Value>, String> {
    let text = String::from_utf8_lossy(bytes);
    let answer: Value = serde_json::from_str(&format!("{{{text}}}"))
        .map_err(|error| format!("the answer is no JSON: {error}"))?;
    Ok(match answer.get("data").cloned().unwrap_or_default() {
        Value::Array(rows) => rows,
        one => vec![one],
    })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// A key as it stands in a path or header.
fn key_text(key: &Value) -> String {
    key.as_str().map_or_else(|| key.to_string(), str::to_owned)
}

/// `$NOW` and its like are no labels.
fn is_variable(name: &str) -> bool {
    name.starts_with("CURRENT_") || name == "NOW" || name.starts_with("NOW(")
}

fn key_of(what: &str, node: &Node, keys: &BTreeMap<String, String>) -> Result<String, Problem> {
    let key = node.as_text().unwrap_or_default();
    let known = keys.keys().map(String::as_str);
    keys.get(key).cloned().ok_or_else(|| Problem::new(&node.at, unknown(what, key, known)))
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let hint = nearest(name, known).map(|known| format!("; did you mean \"{known}\"?")).unwrap_or_default();
    format!("there is no {what} {}{hint}", quoted(name))
}
