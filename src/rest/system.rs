//! System collections: what making and changing their items does beside that, and the endpoints that they have beside their items.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::auth::text;
use super::{Api, items};
use crate::access::Context;
use crate::db::JsonBytes;
use crate::error::{Error, Result};
use crate::files::FILES;
use crate::items::{IdempotencyKey, Operation, Targets, hashing};
use crate::query::{Selection, parse};
use crate::server::{Answer, Call, object};
use crate::system::{Reply, random, rights};

const COMMENTS: &str = "directus_comments";
const NOTIFICATIONS: &str = "directus_notifications";
const VERSIONS: &str = "directus_versions";
/// Characters of a random text when none are asked for.
const RANDOM_CHARACTERS: usize = 32;

/// A route of this file, with what its path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SystemService<'a> {
    /// `/permissions/me`
    MyPermissions,
    /// `/permissions/me/{collection}`
    MyCollection(&'a str),
    /// `/permissions/me/{collection}/{id}`
    MyItem(&'a str, &'a str),
    /// `/policies/me/globals`
    MyGlobals,
    /// `/roles/me`
    MyRoles,
    /// `/users/me/track/page`
    TrackPage,
    /// `/versions/{id}/save`
    SaveVersion(&'a str),
    /// `/versions/{id}/compare`
    CompareVersion(&'a str),
    /// `/versions/{id}/promote`
    PromoteVersion(&'a str),
    /// `/utils/random/string`
    RandomText,
    /// `/utils/hash/generate`
    MakeHash,
    /// `/utils/hash/verify`
    CheckHash,
    /// `/utils/revert/{revision}`
    Revert(&'a str),
    /// `/utils/cache/clear`
    ClearCache,
    /// `/extensions`
    Extensions,
    /// `/extensions/{id}`
    Extension(&'a str),
}

impl<'a> SystemService<'a> {
    /// The route of a path.
    pub(super) fn find(path: &'a [Cow<'a, str>]) -> Option<Self> {
        let mut parts = [""; 4];
        let parts = parts.get_mut(..path.len())?;
        for (part, text) in parts.iter_mut().zip(path) {
            *part = text;
        }
        Some(match *parts {
            ["permissions", "me"] => SystemService::MyPermissions,
            ["permissions", "me", collection] => SystemService::MyCollection(collection),
            ["permissions", "me", collection, key] => SystemService::MyItem(collection, key),
            ["policies", "me", "globals"] => SystemService::MyGlobals,
            ["roles", "me"] => SystemService::MyRoles,
            ["users", "me", "track", "page"] => SystemService::TrackPage,
            ["versions", id, "save"] => SystemService::SaveVersion(id),
            ["versions", id, "compare"] => SystemService::CompareVersion(id),
            ["versions", id, "promote"] => SystemService::PromoteVersion(id),
            ["utils", "random", "string"] => SystemService::RandomText,
            ["utils", "hash", "generate"] => SystemService::MakeHash,
            ["utils", "hash", "verify"] => SystemService::CheckHash,
            ["utils", "revert", revision] => SystemService::Revert(revision),
            ["utils", "cache", "clear"] => SystemService::ClearCache,
            ["extensions"] => SystemService::Extensions,
            ["extensions", id] => SystemService::Extension(id),
            _ => return None,
        })
    }

    /// How logs and figures call it.
    pub(super) fn pattern(self) -> &'static str {
        match self {
            SystemService::MyPermissions => "/permissions/me",
            SystemService::MyCollection(_) => "/permissions/me/{collection}",
            SystemService::MyItem(..) => "/permissions/me/{collection}/{id}",
            SystemService::MyGlobals => "/policies/me/globals",
            SystemService::MyRoles => "/roles/me",
            SystemService::TrackPage => "/users/me/track/page",
            SystemService::SaveVersion(_) => "/versions/{id}/save",
            SystemService::CompareVersion(_) => "/versions/{id}/compare",
            SystemService::PromoteVersion(_) => "/versions/{id}/promote",
            SystemService::RandomText => "/utils/random/string",
            SystemService::MakeHash => "/utils/hash/generate",
            SystemService::CheckHash => "/utils/hash/verify",
            SystemService::Revert(_) => "/utils/revert/{revision}",
            SystemService::ClearCache => "/utils/cache/clear",
            SystemService::Extensions => "/extensions",
            SystemService::Extension(_) => "/extensions/{id}",
        }
    }

    /// Its methods, as `Allow` lists them.
    pub(super) fn methods(self) -> &'static str {
        match self {
            SystemService::MyPermissions
            | SystemService::MyCollection(_)
            | SystemService::MyItem(..)
            | SystemService::MyGlobals
            | SystemService::MyRoles
            | SystemService::CompareVersion(_)
            | SystemService::RandomText
            | SystemService::Extensions => "GET, HEAD",
            SystemService::TrackPage => "PATCH",
            SystemService::Extension(_) => "PATCH, DELETE",
            SystemService::SaveVersion(_)
            | SystemService::PromoteVersion(_)
            | SystemService::MakeHash
            | SystemService::CheckHash
            | SystemService::Revert(_)
            | SystemService::ClearCache => "POST",
        }
    }
}

/// The items of a system collection. What is more than items is kept apart from the requests that are not about it.
pub(super) async fn list(api: &Api, call: &mut Call<'_>, ctx: &Context, name: &str) -> Result<Answer> {
    match (name, call.method.as_str()) {
        (COMMENTS | NOTIFICATIONS | VERSIONS, "POST") => {
            let (body, idempotency) = items::write_body(call, ctx).await?;
            let reply = reply(api, call, idempotency)?;
            written(Box::pin(write(api, ctx, name, items::creation(body)?, reply)).await)
        }
        (VERSIONS, "PATCH") => {
            let (body, idempotency) = items::write_body(call, ctx).await?;
            let operation = items::changes(api, body)?;
            let reply = reply(api, call, idempotency)?;
            written(Box::pin(write(api, ctx, name, operation, reply)).await)
        }
        _ => items::list(api, call, ctx, name).await,
    }
}

/// One of them.
pub(super) async fn one(
    api: &Api,
    call: &mut Call<'_>,
    ctx: &Context,
    name: &str,
    key: &str,
) -> Result<Answer> {
    if name == VERSIONS && call.method.as_str() == "PATCH" {
        let (body, idempotency) = items::write_body(call, ctx).await?;
        let operation = Operation::Update(Targets::Key(key.to_owned()), object(body)?);
        let reply = reply(api, call, idempotency)?;
        return written(Box::pin(write(api, ctx, name, operation, reply)).await);
    }
    items::one(api, call, ctx, name, key).await
}

/// Makes or changes items of a system collection, with what belongs to that.
pub(super) async fn write(
    api: &Api,
    ctx: &Context,
    name: &str,
    operation: Operation,
    reply: Reply,
) -> Result<Option<JsonBytes>> {
    let system = api.system();
    let is_new = matches!(operation, Operation::Create(_) | Operation::CreateMany(_));
    let answer = match (name, is_new) {
        (COMMENTS, true) => system.create_comments(ctx, operation, reply).await,
        (NOTIFICATIONS, true) => system.create_notifications(ctx, operation, reply).await,
        (VERSIONS, true) => system.create_versions(ctx, operation, reply).await,
        (VERSIONS, false) => system.update_versions(ctx, operation, reply).await,
        (FILES, true) => {
            let (payloads, is_single) = match operation {
                Operation::Create(payload) => (vec![payload], true),
                Operation::CreateMany(payloads) => (payloads, false),
                _ => (Vec::new(), false),
            };
            let library = api.files.library(&api.items);
            return library.declare(ctx, payloads, is_single, reply.query.unwrap_or_default()).await;
        }
        _ => api.items.write(ctx, name, operation, reply.query, reply.idempotency).await,
    };
    Ok(answer?.body)
}

fn reply(api: &Api, call: &Call<'_>, idempotency: Option<IdempotencyKey>) -> Result<Reply> {
    Ok(Reply { query: Some(items::url_query(api, call)?), idempotency })
}

fn written(answer: Result<Option<JsonBytes>>) -> Result<Answer> {
    Ok(answer?.map_or(Answer::Empty, Answer::Members))
}

fn data(value: Value) -> Answer {
    Answer::Document(json!({ "data": value }))
}

pub(super) async fn answer(api: &Api, call: &mut Call<'_>, service: SystemService<'_>) -> Result<Answer> {
    let ctx = api.context(call).await?;
    match service {
        SystemService::MyPermissions => {
            ctx.accountability.user.as_ref().ok_or(Error::Forbidden)?;
            Ok(data(rights::of_collections(&ctx)))
        }
        SystemService::MyCollection(collection) => {
            Ok(data(rights::of_item(&api.items, &ctx, collection, None).await?))
        }
        SystemService::MyItem(collection, key) => {
            Ok(data(rights::of_item(&api.items, &ctx, collection, Some(key)).await?))
        }
        SystemService::MyGlobals => {
            let who = &ctx.accountability;
            let user = who.user.as_deref().ok_or(Error::Forbidden)?;
            // Also those that a missing second factor keeps from being in force.
            let who = api.auth.directory(&ctx.schema).await?.who(Some(user), who.role.as_deref(), who.ip);
            Ok(data(json!({
                "app_access": who.app,
                "admin_access": who.admin,
                "enforce_tfa": who.enforce_tfa,
            })))
        }
        SystemService::MyRoles => my_roles(api, call, &ctx).await,
        SystemService::TrackPage => {
            let user = ctx.accountability.user.as_deref().ok_or(Error::Forbidden)?;
            let body = object(call.json().await?)?;
            api.auth.note_page(&ctx.schema, user, text(&body, "last_page")?).await?;
            Ok(Answer::Empty)
        }
        SystemService::SaveVersion(id) => {
            let change = object(call.json().await?)?;
            Ok(data(api.system().save_version(&ctx, id, change).await?))
        }
        SystemService::CompareVersion(id) => Ok(data(api.system().compare_version(&ctx, id).await?)),
        SystemService::PromoteVersion(id) => {
            let body = object(call.json().await?)?;
            let fields = names(&body, "fields")?;
            let hash = text(&body, "mainHash")?;
            Ok(data(api.system().promote_version(&ctx, id, hash, fields.as_deref()).await?))
        }
        SystemService::RandomText => {
            let parameters = call.parameters()?;
            let length = parameters.iter().find(|(name, _)| name == "length");
            let length = match length.map(|(_, length)| length.parse()) {
                None => RANDOM_CHARACTERS,
                Some(Ok(length)) => length,
                Some(Err(_)) => return Err(Error::query("\"length\" must be a whole number")),
            };
            Ok(data(json!(random::text(length)?)))
        }
        SystemService::MakeHash => {
            // Making one takes a while on purpose, which is nothing for everybody.
            ctx.accountability.user.as_ref().ok_or(Error::Forbidden)?;
            let body = object(call.json().await?)?;
            let hash = hashing::hash_of(text(&body, "string")?.into()).await?;
            Ok(data(json!(&*hash)))
        }
        SystemService::CheckHash => {
            ctx.accountability.user.as_ref().ok_or(Error::Forbidden)?;
            let body = object(call.json().await?)?;
            let (string, hash) = (text(&body, "string")?, text(&body, "hash")?);
            Ok(data(json!(api.auth.has_hash(string.to_owned(), hash.to_owned()).await?)))
        }
        SystemService::Revert(revision) => {
            call.json().await?;
            api.system().revert(&ctx, revision).await?;
            Ok(Answer::Empty)
        }
        SystemService::ClearCache => {
            if !ctx.rules.is_everything() {
                return Err(Error::Forbidden);
            }
            call.json().await?;
            api.items.forget_plans();
            api.auth.forget_all();
            Ok(Answer::Done)
        }
        SystemService::Extensions | SystemService::Extension(_) => extensions(api, call, &ctx, service).await,
    }
}

/// The role of the caller and those above it, the outermost first; their keys where more may not be read.
async fn my_roles(api: &Api, call: &Call<'_>, ctx: &Context) -> Result<Answer> {
    ctx.accountability.user.as_ref().ok_or(Error::Forbidden)?;
    let roles: Vec<String> = ctx.accountability.roles.iter().rev().cloned().collect();
    let keys: Value = roles.iter().map(|id| json!({ "id": id })).collect();
    if roles.is_empty() {
        return Ok(data(keys));
    }
    let query = parse::parse_pairs(&call.parameters()?, &api.limits)?;
    match api.items.read(ctx, "directus_roles", Selection::Keys(roles), query).await {
        Ok(members) => Ok(Answer::Members(members)),
        Err(Error::Forbidden) => Ok(data(keys)),
        Err(error) => Err(error),
    }
}

/// What extensions there are, for administrators: their rows in the form that the public API has for extensions.
async fn extensions(
    api: &Api,
    call: &mut Call<'_>,
    ctx: &Context,
    service: SystemService<'_>,
) -> Result<Answer> {
    const EXTENSIONS: &str = "directus_extensions";
    if !ctx.rules.is_everything() {
        return Err(Error::Forbidden);
    }
    match (service, call.method.as_str()) {
        (SystemService::Extension(id), "DELETE") => {
            call.json().await?;
            let operation = Operation::Delete(Targets::Key(id.to_owned()));
            api.items.change(ctx, EXTENSIONS, operation).await?;
            Ok(Answer::Empty)
        }
        (SystemService::Extension(id), _) => {
            let body = object(call.json().await?)?;
            let meta = body.get("meta").and_then(Value::as_object);
            let enabled = meta.and_then(|meta| meta.get("enabled")).and_then(Value::as_bool);
            let enabled = enabled.ok_or_else(|| Error::payload("\"meta.enabled\" must be true or false."))?;
            let mut change = Map::new();
            change.insert("enabled".to_owned(), json!(enabled));
            let operation = Operation::Update(Targets::Key(id.to_owned()), change);
            if api.items.change(ctx, EXTENSIONS, operation).await?.keys.is_empty() {
                return Err(Error::Forbidden);
            }
            let all = api.system().extensions(ctx).await?;
            let one = all.into_iter().find(|extension| extension["id"] == id).ok_or(Error::Forbidden)?;
            Ok(data(one))
        }
        _ => Ok(data(Value::Array(api.system().extensions(ctx).await?))),
    }
}

fn names(body: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>> {
    let refused = || Error::payload(format_args!("\"{name}\" must be a list of texts."));
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(list)) => {
            let texts = list.iter().map(|entry| entry.as_str().map(str::to_owned).ok_or_else(refused));
            texts.collect::<Result<_>>().map(Some)
        }
        Some(_) => Err(refused()),
    }
}
