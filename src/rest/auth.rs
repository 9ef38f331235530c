//! `/auth`: signing in and out.

mod cookies;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Api, client};
use crate::auth::{Credentials, Mode, Request, Tokens};
use crate::error::{Error, Result};
use crate::schema::Schema;
use crate::server::{Answer, Call, object};

pub use cookies::Cookies;

pub(super) async fn login(api: &Api, call: &mut Call<'_>) -> Result<Answer> {
    let body = object(call.json().await?)?;
    let email = text(&body, "email")?;
    if !email.contains('@') {
        return Err(Error::payload("\"email\" must be an e-mail address."));
    }
    let mode = mode(&body)?.unwrap_or(Mode::Json);
    let otp = optional(&body, "otp")?.map(str::to_owned);
    let password = text(&body, "password")?.to_owned();
    let credentials = Credentials { email: email.to_owned(), password, otp };
    let tokens = api.auth.login(&api.schema(), credentials, mode, client(call), call.now).await?;
    Ok(signed_in(api, call, tokens, mode))
}

/// `/auth/password/request`: a letter for whoever lost their password.
pub(super) async fn request_password(api: &Api, call: &mut Call<'_>) -> Result<Answer> {
    let body = object(call.json().await?)?;
    let (email, url) = (text(&body, "email")?, optional(&body, "reset_url")?);
    let schema = api.schema();
    api.accounts().request_password(request(&schema, call), email, url).await?;
    Ok(Answer::Empty)
}

/// `/auth/password/reset`: the new password, with the token of the letter.
pub(super) async fn reset_password(api: &Api, call: &mut Call<'_>) -> Result<Answer> {
    let body = object(call.json().await?)?;
    let (token, password) = (text(&body, "token")?, text(&body, "password")?);
    let schema = api.schema();
    api.accounts().reset_password(request(&schema, call), token, password).await?;
    Ok(Answer::Empty)
}

/// Who asks, from where and when.
pub(super) fn request<'a>(schema: &'a Arc<Schema>, call: &Call<'a>) -> Request<'a> {
    Request { schema, client: client(call), now: call.now, id: call.id }
}

pub(super) async fn refresh(api: &Api, call: &mut Call<'_>) -> Result<Answer> {
    let body = object(call.json().await?)?;
    let (mode, token) = presented(api, call, &body)?;
    let tokens = api.auth.refresh(&api.schema(), &token, mode, client(call), call.now).await?;
    Ok(signed_in(api, call, tokens, mode))
}

pub(super) async fn logout(api: &Api, call: &mut Call<'_>) -> Result<Answer> {
    let body = object(call.json().await?)?;
    let (mode, token) = presented(api, call, &body)?;
    api.auth.logout(&api.schema(), &token, mode).await?;
    if let Some(cookie) = api.cookies.cleared(mode) {
        call.set_cookie(&cookie);
    }
    Ok(Answer::Empty)
}

/// Hands out tokens in the way that the client asked for.
pub(super) fn signed_in(api: &Api, call: &Call<'_>, tokens: Tokens, mode: Mode) -> Answer {
    let expires = tokens.expires.as_millis() as u64;
    if let Some(cookie) = api.cookies.write(mode, &tokens, call.now) {
        call.set_cookie(&cookie);
    }
    let data = match mode {
        Mode::Json => json!({
            "access_token": tokens.access_token,
            "expires": expires,
            "refresh_token": tokens.refresh_token,
        }),
        Mode::Cookie => json!({ "access_token": tokens.access_token, "expires": expires }),
        Mode::Session => json!({ "expires": expires }),
    };
    Answer::Document(json!({ "data": data }))
}

/// The mode, and the token that goes with it: from the body, or from the cookie of that mode.
fn presented(api: &Api, call: &Call<'_>, body: &Map<String, Value>) -> Result<(Mode, String)> {
    let has_token = body.get("refresh_token").is_some_and(|token| !token.is_null());
    let mode = mode(body)?.unwrap_or(if has_token { Mode::Json } else { Mode::Cookie });
    let token = match api.cookies.name(mode) {
        None => text(body, "refresh_token")?.to_owned(),
        Some(name) => {
            let token = call.cookie(name).ok_or_else(|| {
                Error::payload("a refresh token is required, in the body or in the cookie of the mode.")
            })?;
            api.cookies.check_origin(call)?;
            token.to_owned()
        }
    };
    Ok((mode, token))
}

pub(super) fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Result<&'a str> {
    match body.get(name) {
        Some(Value::String(text)) if !text.is_empty() && !text.contains('\0') => Ok(text),
        Some(Value::String(_)) => Err(Error::payload(format_args!("\"{name}\" must not be empty."))),
        Some(Value::Null) | None => Err(Error::payload(format_args!("\"{name}\" is required."))),
        Some(_) => Err(Error::payload(format_args!("\"{name}\" must be a text."))),
    }
}

pub(super) fn optional<'a>(body: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => text(body, name).map(Some),
    }
}

pub(super) fn mode(body: &Map<String, Value>) -> Result<Option<Mode>> {
    match body.get("mode") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(mode)) if mode == "json" => Ok(Some(Mode::Json)),
        Some(Value::String(mode)) if mode == "cookie" => Ok(Some(Mode::Cookie)),
        Some(Value::String(mode)) if mode == "session" => Ok(Some(Mode::Session)),
        Some(_) => Err(Error::payload("\"mode\" must be \"json\", \"cookie\" or \"session\".")),
    }
}
