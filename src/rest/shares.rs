//! `/shares/auth`, `/shares/info` and `/shares/invite`: items opened to people without an account. The shares themselves are a system collection.

use std::sync::Arc;

use serde_json::{Value, json};

use super::auth::{mode, request, signed_in, text};
use super::{Api, client};
use crate::access::{AccessRules, Accountability, Context};
use crate::auth::Mode;
use crate::error::{Error, Result};
use crate::query::{Selection, parse};
use crate::server::{Answer, Call, object};

/// What everybody with the link may know before they have opened it.
const KNOWN: &str = "id,collection,item,password,max_uses,times_used,date_start,date_end";

pub(super) async fn open(api: &Api, call: &mut Call<'_>) -> Result<Answer> {
    let body = object(call.json().await?)?;
    let share = text(&body, "share")?;
    let password = match body.get("password") {
        None | Some(Value::Null) => None,
        Some(Value::String(password)) => Some(password.clone()),
        Some(_) => return Err(Error::payload("\"password\" must be a text.")),
    };
    let mode = mode(&body)?.unwrap_or(Mode::Json);
    let tokens = api.auth.open_share(&api.schema(), share, password, mode, client(call), call.now).await?;
    Ok(signed_in(api, call, tokens, mode))
}

/// `{"share":...,"emails":[...]}`: writes to people where to find it.
pub(super) async fn invite(api: &Api, call: &mut Call<'_>) -> Result<Answer> {
    let ctx = api.context(call).await?;
    let body = object(call.json().await?)?;
    let share = text(&body, "share")?;
    let refused = || Error::payload("\"emails\" must be a list of texts.");
    let emails = body.get("emails").and_then(Value::as_array).ok_or_else(refused)?;
    let emails = emails.iter().map(|email| email.as_str().map(str::to_owned).ok_or_else(refused));
    let emails: Vec<String> = emails.collect::<Result<_>>()?;
    api.accounts().invite_to_share(&ctx, request(&ctx.schema, call), share, &emails).await?;
    Ok(Answer::Empty)
}

pub(super) async fn info(api: &Api, call: &Call<'_>, id: &str) -> Result<Answer> {
    // Whoever knows the key of a share that is open may know this much of it; the password shows as being there or not.
    let ctx = Context {
        accountability: Arc::new(Accountability::default()),
        rules: Arc::new(AccessRules::Everything),
        schema: api.schema(),
        now: call.now,
        request_id: call.id,
    };
    let query = json!({ "fields": KNOWN, "filter": { "_and": [
        { "_or": [{ "date_start": { "_null": true } }, { "date_start": { "_lte": "$NOW" } }] },
        { "_or": [{ "date_end": { "_null": true } }, { "date_end": { "_gt": "$NOW" } }] },
    ] } });
    let Value::Object(query) = query else { return Err(Error::Forbidden) };
    let query = parse::parse_object(&query, &api.limits)?;
    let selection = Selection::Key(id.to_owned());
    api.items.read(&ctx, "directus_shares", selection, query).await.map(Answer::Members)
}
