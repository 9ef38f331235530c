//! What people do about their own accounts, beside `/users/me` itself: second factor and sessions, and how they become users.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::auth::{optional, request, text};
use super::{Api, client};
use crate::access::{Action, Context};
use crate::auth::{Holder, NewUser};
use crate::error::{Error, Result};
use crate::server::{Answer, Call, object};

/// A route of this file, with what its path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AccountRoute<'a> {
    /// `/users/me/tfa/generate`
    NewSecondFactor,
    /// `/users/me/tfa/enable`
    EnableSecondFactor,
    /// `/users/me/tfa/disable`
    DisableSecondFactor,
    /// `/users/{id}/tfa/disable`
    ResetSecondFactor(&'a str),
    /// `/users/invite`
    Invite,
    /// `/users/invite/accept`
    AcceptInvitation,
    /// `/users/register`
    Register,
    /// `/users/register/verify-email`
    VerifyEmail,
    /// `/users/me/sessions`
    Sessions,
    /// `/users/me/sessions/{id}`
    Session(&'a str),
}

impl<'a> AccountRoute<'a> {
    /// The route of what follows `/users`.
    pub(super) fn find(path: &'a [Cow<'a, str>]) -> Option<Self> {
        let mut parts = [""; 4];
        let parts = parts.get_mut(..path.len())?;
        for (part, text) in parts.iter_mut().zip(path) {
            *part = text;
        }
        match *parts {
            ["me", "tfa", "generate"] => Some(AccountRoute::NewSecondFactor),
            ["me", "tfa", "enable"] => Some(AccountRoute::EnableSecondFactor),
            ["me", "tfa", "disable"] => Some(AccountRoute::DisableSecondFactor),
            [id, "tfa", "disable"] => Some(AccountRoute::ResetSecondFactor(id)),
            ["invite"] => Some(AccountRoute::Invite),
            ["invite", "accept"] => Some(AccountRoute::AcceptInvitation),
            ["register"] => Some(AccountRoute::Register),
            ["register", "verify-email"] => Some(AccountRoute::VerifyEmail),
            ["me", "sessions"] => Some(AccountRoute::Sessions),
            ["me", "sessions", id] => Some(AccountRoute::Session(id)),
            _ => None,
        }
    }

    /// How logs and figures call it.
    pub(super) fn pattern(self) -> &'static str {
        match self {
            AccountRoute::NewSecondFactor => "/users/me/tfa/generate",
            AccountRoute::EnableSecondFactor => "/users/me/tfa/enable",
            AccountRoute::DisableSecondFactor => "/users/me/tfa/disable",
            AccountRoute::ResetSecondFactor(_) => "/users/{id}/tfa/disable",
            AccountRoute::Invite => "/users/invite",
            AccountRoute::AcceptInvitation => "/users/invite/accept",
            AccountRoute::Register => "/users/register",
            AccountRoute::VerifyEmail => "/users/register/verify-email",
            AccountRoute::Sessions => "/users/me/sessions",
            AccountRoute::Session(_) => "/users/me/sessions/{id}",
        }
    }

    /// Its methods, as `Allow` lists them.
    pub(super) fn methods(self) -> &'static str {
        match self {
            AccountRoute::Sessions => "GET, HEAD, DELETE",
            AccountRoute::Session(_) => "DELETE",
            AccountRoute::VerifyEmail => "GET, HEAD",
            AccountRoute::Invite
            | AccountRoute::AcceptInvitation
            | AccountRoute::Register
            | AccountRoute::NewSecondFactor
            | AccountRoute::EnableSecondFactor
            | AccountRoute::DisableSecondFactor
            | AccountRoute::ResetSecondFactor(_) => "POST",
        }
    }
}

pub(super) async fn answer(api: &Api, call: &mut Call<'_>, route: AccountRoute<'_>) -> Result<Answer> {
    match route {
        AccountRoute::Invite => invite(api, call).await,
        AccountRoute::AcceptInvitation => {
            let body = object(call.json().await?)?;
            let (token, password) = (text(&body, "token")?, text(&body, "password")?);
            let schema = api.schema();
            api.accounts().accept_invitation(request(&schema, call), token, password).await?;
            Ok(Answer::Empty)
        }
        AccountRoute::Register => register(api, call).await,
        AccountRoute::VerifyEmail => {
            let parameters = call.parameters()?;
            let token = parameters.iter().find(|(name, _)| name == "token").map(|(_, token)| token.as_str());
            let token = token.ok_or_else(|| Error::query("\"token\" is required."))?;
            let schema = api.schema();
            let user = api.accounts().verify_email(request(&schema, call), token).await?;
            Ok(Answer::Redirect(format!("{}/admin/users/{user}", api.public_url)))
        }
        own => of_caller(api, call, own).await,
    }
}

async fn invite(api: &Api, call: &mut Call<'_>) -> Result<Answer> {
    let ctx = api.context(call).await?;
    let body = object(call.json().await?)?;
    let emails: Vec<String> = match body.get("email") {
        Some(Value::Array(emails)) if !emails.is_empty() => emails
            .iter()
            .map(|email| email.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| Error::payload("\"email\" must hold texts."))?,
        _ => vec![text(&body, "email")?.to_owned()],
    };
    let role = body.get("role").filter(|role| !role.is_null());
    let url = optional(&body, "invite_url")?;
    api.accounts().invite(&ctx, request(&ctx.schema, call), &emails, role, url).await?;
    Ok(Answer::Empty)
}

async fn register(api: &Api, call: &mut Call<'_>) -> Result<Answer> {
    let body = object(call.json().await?)?;
    let name = |name: &str| optional(&body, name).map(|name| name.map(str::to_owned));
    let new = NewUser {
        email: text(&body, "email")?.to_owned(),
        password: text(&body, "password")?.to_owned(),
        first_name: name("first_name")?,
        last_name: name("last_name")?,
    };
    let url = optional(&body, "verification_url")?;
    let schema = api.schema();
    api.accounts().register(request(&schema, call), new, url).await?;
    Ok(Answer::Empty)
}

async fn of_caller(api: &Api, call: &mut Call<'_>, route: AccountRoute<'_>) -> Result<Answer> {
    let ctx = api.context(call).await?;
    let user = ctx.accountability.user.as_deref().ok_or(Error::Forbidden)?;
    let token = api.token(call)?;
    let holder = Holder { user, token: token.as_deref(), client: client(call) };
    match route {
        AccountRoute::NewSecondFactor => {
            let body = object(call.json().await?)?;
            let password = text(&body, "password")?.to_owned();
            let new = api.auth.new_second_factor(&ctx.schema, user, password, call.now).await?;
            Ok(Answer::Document(json!({ "data": { "secret": new.secret, "otpauth_url": new.url } })))
        }
        AccountRoute::EnableSecondFactor => {
            let body = object(call.json().await?)?;
            let (secret, code) = (text(&body, "secret")?, text(&body, "otp")?);
            let may = may_enrol(api, &ctx).await?;
            let enabled = api.auth.enable_second_factor(&ctx.schema, holder, secret, code, may, call.now);
            Ok(Answer::Document(json!({ "data": { "recovery_codes": enabled.await? } })))
        }
        AccountRoute::DisableSecondFactor => {
            let body = object(call.json().await?)?;
            let code = text(&body, "otp")?;
            api.auth.disable_second_factor(&ctx.schema, holder, code, call.now).await?;
            Ok(Answer::Empty)
        }
        AccountRoute::ResetSecondFactor(id) => {
            if !ctx.accountability.admin {
                return Err(Error::Forbidden);
            }
            call.json().await?;
            let holder = Holder { user: id, token: None, ..holder };
            api.auth.reset_second_factor(&ctx.schema, holder, call.now).await?;
            Ok(Answer::Empty)
        }
        AccountRoute::Sessions if call.method == "DELETE" => {
            api.auth.end_all_sessions(&ctx.schema, user).await?;
            Ok(Answer::Empty)
        }
        AccountRoute::Sessions => {
            let current = holder.token.and_then(|token| api.auth.session_of(token));
            let sessions = api.auth.sessions(&ctx.schema, user, call.now).await?;
            let sessions: Vec<Value> = sessions
                .into_iter()
                .map(|session| {
                    json!({
                        "is_current": current.as_ref() == Some(&session.id),
                        "id": session.id,
                        "expires": session.expires.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
                        "ip": session.ip,
                        "user_agent": session.user_agent,
                        "origin": session.origin,
                    })
                })
                .collect();
            Ok(Answer::Document(json!({ "data": sessions })))
        }
        AccountRoute::Invite
        | AccountRoute::AcceptInvitation
        | AccountRoute::Register
        | AccountRoute::VerifyEmail => Err(super::not_found(call)),
        AccountRoute::Session(id) => {
            api.auth.end_session(&ctx.schema, user, id).await?;
            Ok(Answer::Empty)
        }
    }
}

/// Whoever must have a second factor may get one; others need a permission that names it.
async fn may_enrol(api: &Api, ctx: &Context) -> Result<bool> {
    let users = ctx.schema.find("directus_users").ok_or(Error::Forbidden)?;
    let field = ctx.schema.collection(users).find("tfa_secret").ok_or(Error::Forbidden)?;
    if ctx.allowed(users, Action::Update).is_some_and(|rules| rules.fields.contains(field)) {
        return Ok(true);
    }
    let who = &ctx.accountability;
    let directory = api.auth.directory(&ctx.schema).await?;
    Ok(directory.who(who.user.as_deref(), who.role.as_deref(), who.ip).enforce_tfa)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let check = |path: &str, expected: Option<&str>| {
            let segments: Vec<Cow<'_, str>> = path.split('/').map(Cow::Borrowed).collect();
            assert_eq!(AccountRoute::find(&segments).map(AccountRoute::pattern), expected, "{path}");
        };
        check("me/tfa/generate", Some("/users/me/tfa/generate"));
        check("me/tfa/disable", Some("/users/me/tfa/disable"));
        check("1/tfa/disable", Some("/users/{id}/tfa/disable"));
        check("1/tfa/enable", None);
        check("me/sessions", Some("/users/me/sessions"));
        check("me/sessions/1", Some("/users/me/sessions/{id}"));
        check("1/sessions", None);
        check("invite", Some("/users/invite"));
        check("invite/accept", Some("/users/invite/accept"));
        check("register/verify-email", Some("/users/register/verify-email"));
        check("me", None);
        check("a/b/c/d/e", None);
    }
}
