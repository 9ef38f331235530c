//! `/auth`: signing in and out.

use serde_json::{Map, Value, json};

use super::{Api, client};
use crate::auth::Tokens;
use crate::error::{Error, Result};
use crate::server::{Answer, Call, object};

pub(super) fn providers() -> Answer {
    Answer::Document(json!({ "data": [], "disableDefault": false }))
}

pub(super) async fn login(api: &Api, call: &mut Call<'_>) -> Result<Answer> {
    let body = object(call.json().await?)?;
    let email = text(&body, "email")?;
    if !email.contains('@') {
        return Err(Error::payload("\"email\" must be an e-mail address."));
    }
    let password = text(&body, "password")?.to_owned();
    check_mode(&body)?;
    let schema = api.schema();
    let tokens = api.auth.login(&schema, email, password, client(call), call.now).await?;
    Ok(signed_in(&tokens))
}

pub(super) async fn refresh(api: &Api, call: &mut Call<'_>) -> Result<Answer> {
    let body = object(call.json().await?)?;
    check_mode(&body)?;
    let refresh_token = text(&body, "refresh_token")?;
    let schema = api.schema();
    let tokens = api.auth.refresh(&schema, refresh_token, client(call), call.now).await?;
    Ok(signed_in(&tokens))
}

pub(super) async fn logout(api: &Api, call: &mut Call<'_>) -> Result<Answer> {
    let body = object(call.json().await?)?;
    check_mode(&body)?;
    api.auth.logout(&api.schema(), text(&body, "refresh_token")?).await?;
    Ok(Answer::Empty)
}

fn signed_in(tokens: &Tokens) -> Answer {
    Answer::Document(json!({ "data": {
        "access_token": tokens.access_token,
        "expires": tokens.expires.as_millis() as u64,
        "refresh_token": tokens.refresh_token,
    } }))
}

fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Result<&'a str> {
    match body.get(name) {
        Some(Value::String(text)) if !text.is_empty() && !text.contains('\0') => Ok(text),
        Some(Value::String(_)) => Err(Error::payload(format_args!("\"{name}\" must not be empty."))),
        Some(_) => Err(Error::payload(format_args!("\"{name}\" must be a text."))),
        None => Err(Error::payload(format_args!("\"{name}\" is required."))),
    }
}

/// Tokens travel in bodies; cookies need rules of their own against forged requests.
fn check_mode(body: &Map<String, Value>) -> Result<()> {
    match body.get("mode") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(mode)) if mode == "json" => Ok(()),
        Some(_) => Err(Error::payload("\"mode\" must be \"json\".")),
    }
}
