//! `/auth/login/{provider}`: signing in elsewhere.

use serde_json::{Value, json};
use url::Url;

use super::auth::signed_in;
use super::{Api, client, not_found};
use crate::auth::Mode;
use crate::auth::providers::{Arrival, Journey, Provider, Vouched, Wish, callback};
use crate::config::ProviderMode;
use crate::error::{Error, Result};
use crate::server::{Answer, Call};

/// Longest address to be sent to afterwards: it travels in a cookie, of which browsers keep 4 kB.
const MOST_REDIRECT_BYTES: usize = 2000;
/// Longest of the other wishes.
const MOST_WISH_BYTES: usize = 64;
/// What a provider may send back, by query string or by form.
const CARRIED: [&str; 4] = ["code", "state", "iss", "error"];

/// `GET /auth`: who signs people in.
pub(super) fn list(api: &Api, call: &Call<'_>) -> Result<Answer> {
    let parameters = call.parameters()?;
    let session_only = parameters.iter().any(|(name, value)| name == "sessionOnly" && value != "false");
    let providers =
        api.providers.list().filter(|config| !session_only || config.mode == ProviderMode::Session);
    let entry = |config: &crate::config::ProviderConfig| json!({ "name": config.name, "driver": config.driver.name(), "icon": config.icon, "label": config.label });
    Ok(Answer::Document(json!({
        "data": providers.map(entry).collect::<Vec<Value>>(),
        "disableDefault": api.providers.disable_default,
    })))
}

/// Sends somebody to the provider.
pub(super) async fn depart(api: &Api, call: &Call<'_>, name: &str) -> Result<Answer> {
    let provider = find(api, call, name)?;
    let mut wish = Wish::default();
    for (name, value) in call.parameters()? {
        let (slot, most) = match name.as_str() {
            "redirect" => (&mut wish.redirect, MOST_REDIRECT_BYTES),
            "otp" => (&mut wish.otp, MOST_WISH_BYTES),
            "prompt" => (&mut wish.prompt, MOST_WISH_BYTES),
            _ => continue,
        };
        if value.len() > most {
            return Err(Error::query(format_args!("\"{name}\" is longer than {most} bytes")));
        }
        *slot = Some(value).filter(|value| !value.is_empty());
    }
    let home = api.providers.home(call.host);
    let departure = api.providers.begin(provider, wish, home, call.now).await?;
    call.set_cookie(&cookie(home, name, &departure.cookie, departure.cookie_life.as_secs()));
    Ok(Answer::Redirect(departure.location))
}

/// Takes somebody back.
pub(super) async fn arrive(api: &Api, call: &mut Call<'_>, name: &str) -> Result<Answer> {
    let provider = find(api, call, name)?;
    if call.method == "POST" {
        return resend(api, call, name).await;
    }
    let parameters = call.parameters()?;
    let parameter =
        |name: &str| parameters.iter().find(|(known, _)| known == name).map(|(_, value)| &value[..]);
    let arrival = Arrival {
        code: parameter("code"),
        state: parameter("state"),
        issuer: parameter("iss"),
        error: parameter("error"),
    };
    let journey = call.cookie(&cookie_name(name)).and_then(|cookie| api.providers.journey(provider, cookie));
    let journey = journey.ok_or(Error::InvalidCredentials)?;
    // It is used up, however this ends.
    call.set_cookie(&cookie(api.providers.home(call.host), name, "", 0));
    let outcome = sign_in(api, call, provider, &journey, &arrival).await;
    let Some(target) = &journey.wish.redirect else { return outcome };
    match outcome {
        Ok(_) => Ok(Answer::Redirect(target.clone())),
        Err(error) => {
            let target = target.split(['?', '#']).next().unwrap_or_default();
            let answer = Answer::Redirect(format!("{target}?reason={}", error.code()));
            if let Error::Internal { id, cause } = &error {
                tracing::error!(error_id = %id, cause = format!("{cause:#}"), "a sign-in elsewhere failed");
            }
            Ok(answer)
        }
    }
}

async fn sign_in(
    api: &Api,
    call: &Call<'_>,
    provider: &Provider,
    journey: &Journey,
    arrival: &Arrival<'_>,
) -> Result<Answer> {
    let identity = api.providers.identify(provider, journey, arrival, call.now).await?;
    let schema = api.schema();
    // Without a page to go back to, somebody is there to read the tokens.
    let mode = match (&journey.wish.redirect, provider.config.mode) {
        (None, _) => Mode::Json,
        (Some(_), ProviderMode::Session) => Mode::Session,
        (Some(_), ProviderMode::Cookie) => Mode::Cookie,
    };
    let vouched = Vouched { provider: &provider.config, identity: &identity, otp: journey.wish.otp.clone() };
    let tokens = api.auth.sign_in_elsewhere(&schema, vouched, mode, client(call), call.now).await?;
    Ok(signed_in(api, call, tokens, mode))
}

/// A form that another site has a browser send comes without our cookie; the request that follows it brings it.
async fn resend(api: &Api, call: &mut Call<'_>, name: &str) -> Result<Answer> {
    let body = call.form().await?;
    let mut location = callback(api.providers.home(call.host), name)?;
    {
        let mut query = location.query_pairs_mut();
        for (name, value) in body.iter().filter(|(name, _)| CARRIED.contains(&name.as_str())) {
            query.append_pair(name, value);
        }
    }
    Ok(Answer::SeeOther(location.into()))
}

fn find<'a>(api: &'a Api, call: &Call<'_>, name: &str) -> Result<&'a Provider> {
    api.providers.find(name).ok_or_else(|| not_found(call))
}

fn cookie_name(provider: &str) -> String {
    format!("tablature_sign_in_{provider}")
}

/// Strictly it would not come back with somebody whom the provider sends.
fn cookie(home: &Url, provider: &str, value: &str, life_s: u64) -> String {
    let secure = if home.scheme() == "https" { "; Secure" } else { "" };
    format!("{}={value}; Max-Age={life_s}; Path=/; HttpOnly; SameSite=Lax{secure}", cookie_name(provider))
}
