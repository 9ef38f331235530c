//! Signing in elsewhere: OpenID Connect and OAuth 2.0, with the code flow and PKCE alone (RFC 9700).
//!
//! Start at [`Providers::begin`], which sends somebody away, and [`Providers::identify`], which finds out who came back. What must
//! survive in between travels in a cookie that only we can make (`seal`). Who that is here is the business of `people`.

mod claims;
mod discovery;
mod id_token;
mod people;
mod redirect;
pub(super) use redirect::check as check_target;
mod seal;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderName};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use url::Url;

use crate::config::{ClientAuth, ProviderConfig, ProviderDriver, ProvidersConfig, Secret};
use crate::error::{Error, Result};
use crate::outbound::{Budget, Failure, Outbound, Received};

pub use claims::Identity;
use discovery::{Discovery, Metadata};
pub use people::Vouched;
use seal::Seal;
pub use seal::{Journey, Wish};

/// What an answer of a provider may cost.
const BUDGET: Budget = Budget { time: Duration::from_secs(10), most_bytes: 1 << 20 };
/// How long somebody may take to sign in elsewhere.
const JOURNEY: Duration = Duration::from_secs(600);
/// What RFC 6749 has escaped in the parts of a client's credentials.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// All providers of this installation.
pub struct Providers {
    list: Vec<Provider>,
    /// Nobody signs in with a password.
    pub disable_default: bool,
    seal: Seal,
    public_url: Url,
    /// Other addresses of ours.
    more_urls: Vec<Url>,
    outbound: Arc<Outbound>,
}

/// One provider.
pub struct Provider {
    /// How it is configured.
    pub config: ProviderConfig,
    discovery: Option<Discovery>,
}

/// Somebody is sent away.
#[derive(Debug)]
pub struct Departure {
    /// Where to.
    pub location: String,
    /// What the browser has to bring back.
    pub cookie: String,
    /// How long it keeps it.
    pub cookie_life: Duration,
}

/// What a provider sends back, by way of the browser.
#[derive(Debug, Default)]
pub struct Arrival<'a> {
    /// To be changed for a token.
    pub code: Option<&'a str>,
    /// What we gave on the way.
    pub state: Option<&'a str>,
    /// Who sends it (RFC 9207).
    pub issuer: Option<&'a str>,
    /// Why there is no code.
    pub error: Option<&'a str>,
}

impl Providers {
    /// Providers as configured. Nothing is asked of them before somebody signs in.
    pub fn new(
        config: &ProvidersConfig,
        public_url: &str,
        secret: &Secret<String>,
        outbound: Arc<Outbound>,
    ) -> Result<Self> {
        let provider = |config: &ProviderConfig| Provider {
            config: config.clone(),
            discovery: match &config.driver {
                ProviderDriver::OpenId { issuer } => Some(Discovery::new(issuer.clone())),
                ProviderDriver::OAuth2 { .. } => None,
            },
        };
        let more_urls = config.public_urls.iter().map(|url| Url::parse(url));
        Ok(Providers {
            list: config.list.iter().map(provider).collect(),
            disable_default: config.disable_default,
            seal: Seal::new(secret),
            public_url: Url::parse(public_url).map_err(Error::internal)?,
            more_urls: more_urls.collect::<Result<_, _>>().map_err(Error::internal)?,
            outbound,
        })
    }

    /// All of them, in the order in which people see them.
    pub fn list(&self) -> impl Iterator<Item = &ProviderConfig> {
        self.list.iter().map(|provider| &provider.config)
    }

    /// The provider with this name.
    pub fn find(&self, name: &str) -> Option<&Provider> {
        self.list.iter().find(|provider| provider.config.name == name)
    }

    /// The address of ours under which somebody came who asked for this host; `PUBLIC_URL` for hosts that are not listed.
    pub fn home(&self, host: Option<&str>) -> &Url {
        let asked = host.and_then(|host| Url::parse(&format!("http://{host}")).ok());
        let is_it = |url: &&Url, asked: &Url| {
            let default = if url.scheme() == "https" { 443 } else { 80 };
            url.host() == asked.host() && url.port_or_known_default() == Some(asked.port().unwrap_or(default))
        };
        asked
            .and_then(|asked| self.more_urls.iter().find(|url| is_it(url, &asked)))
            .unwrap_or(&self.public_url)
    }

    /// Where somebody has to go to sign in, who comes back to this address of ours. Fails with `InvalidPayload` when they want to be sent to an address that is not listed,
    /// and with `ServiceUnavailable` when the provider cannot be asked.
    pub async fn begin(
        &self,
        provider: &Provider,
        wish: Wish,
        home: &Url,
        now: Timestamp,
    ) -> Result<Departure> {
        let config = &provider.config;
        if let Some(target) = &wish.redirect {
            let own = self.more_urls.iter().chain([&self.public_url]);
            let own = own.map(|url| url.origin().ascii_serialization());
            let allowed: Vec<String> = config.redirect_allow_list.iter().cloned().chain(own).collect();
            redirect::check(target, home, &allowed)?;
        }
        let prompt = wish.prompt.clone();
        let (cookie, journey) = self.seal.close(&config.name, wish, home.as_str(), now, JOURNEY)?;
        let authorize = match &config.driver {
            ProviderDriver::OAuth2 { authorize_url, .. } => authorize_url.clone(),
            ProviderDriver::OpenId { .. } => self.metadata(provider).await?.authorization_endpoint.clone(),
        };
        let mut location =
            Url::parse(&authorize).map_err(|_| unavailable(config, "its address is no URL"))?;
        {
            let mut query = location.query_pairs_mut();
            for (name, value) in &config.params {
                query.append_pair(name, &value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            }
            query
                .append_pair("response_type", "code")
                .append_pair("client_id", &config.client_id)
                .append_pair("redirect_uri", callback(home, &config.name)?.as_str())
                .append_pair("scope", &config.scope)
                .append_pair("state", &self.seal.state(&journey))
                .append_pair("code_challenge", &challenge(&self.seal.verifier(&journey)))
                .append_pair("code_challenge_method", "S256");
            if provider.discovery.is_some() {
                query.append_pair("nonce", &self.seal.nonce(&journey));
            }
            if let Some(prompt) = &prompt {
                query.append_pair("prompt", prompt);
            }
        }
        Ok(Departure { location: location.into(), cookie, cookie_life: JOURNEY })
    }

    /// What a browser brought back, if it set out from here with this provider and not too long ago.
    pub fn journey(&self, provider: &Provider, cookie: &str) -> Option<Journey> {
        self.seal.open(&provider.config.name, cookie)
    }

    /// Who came back. Fails with `InvalidCredentials` when the provider does not vouch for anybody, or for somebody else, and with
    /// `ServiceUnavailable` when it cannot be asked.
    pub async fn identify(
        &self,
        provider: &Provider,
        journey: &Journey,
        arrival: &Arrival<'_>,
        now: Timestamp,
    ) -> Result<Identity> {
        let config = &provider.config;
        let refused = |why: &str| {
            tracing::info!(provider = config.name, why, "a sign-in elsewhere was refused");
            Error::InvalidCredentials
        };
        let state = arrival.state.unwrap_or_default();
        if !bool::from(state.as_bytes().ct_eq(self.seal.state(journey).as_bytes())) {
            return Err(refused("the state is another"));
        }
        if arrival.error.is_some() {
            return Err(refused("the provider says so"));
        }
        let code = arrival.code.filter(|code| !code.is_empty()).ok_or_else(|| refused("there is no code"))?;
        let metadata = match &config.driver {
            ProviderDriver::OpenId { .. } => Some(self.metadata(provider).await?),
            ProviderDriver::OAuth2 { .. } => None,
        };
        if let Some(metadata) = &metadata {
            let is_it = match arrival.issuer {
                Some(issuer) => issuer == metadata.issuer,
                None => !metadata.authorization_response_iss_parameter_supported,
            };
            if !is_it {
                return Err(refused("the answer comes from another issuer"));
            }
        }
        let tokens = self.tokens(config, metadata.as_deref(), journey, code).await?;
        let access_token = tokens.get("access_token").and_then(Value::as_str).unwrap_or_default();
        let claims = match (&config.driver, &metadata) {
            (ProviderDriver::OAuth2 { profile_url, .. }, _) => {
                self.profile(config, profile_url, access_token).await?
            }
            (ProviderDriver::OpenId { .. }, Some(metadata)) => {
                let id_token = tokens.get("id_token").and_then(Value::as_str);
                let id_token = id_token.ok_or_else(|| refused("there is no id token"))?;
                let nonce = self.seal.nonce(journey);
                let claims = self.verified(provider, metadata, id_token, &nonce, now).await?;
                self.with_user_info(config, metadata, claims, access_token).await?
            }
            (ProviderDriver::OpenId { .. }, None) => return Err(refused("there is no description of it")),
        };
        let issuer = metadata.map(|metadata| metadata.issuer.clone());
        claims::identity(config, &claims, issuer).map_err(|why| refused(&why))
    }

    /// Changes a code for tokens.
    async fn tokens(
        &self,
        config: &ProviderConfig,
        metadata: Option<&Metadata>,
        journey: &Journey,
        code: &str,
    ) -> Result<Map<String, Value>> {
        let url = match (&config.driver, metadata) {
            (ProviderDriver::OAuth2 { access_url, .. }, _) => access_url,
            (ProviderDriver::OpenId { .. }, Some(metadata)) => &metadata.token_endpoint,
            (ProviderDriver::OpenId { .. }, None) => return Err(unavailable(config, "it is not described")),
        };
        let home = Url::parse(&journey.home).map_err(Error::internal)?;
        let (callback, verifier) = (callback(&home, &config.name)?, self.seal.verifier(journey));
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", callback.as_str()),
            ("code_verifier", &verifier),
        ];
        let mut headers = vec![(ACCEPT, "application/json".to_owned())];
        let secret = config.client_secret.as_ref().map_or("", |secret| secret.expose());
        match config.client_auth {
            ClientAuth::Basic => headers.push((AUTHORIZATION, basic(&config.client_id, secret))),
            ClientAuth::Post => {
                form.extend([("client_id", config.client_id.as_str()), ("client_secret", secret)]);
            }
            ClientAuth::None => form.push(("client_id", &config.client_id)),
        }
        let answer = self.outbound.post_form(url, &form, &headers, BUDGET).await;
        let answer = answer.map_err(|failure| away(config, &failure))?;
        // A code that is not taken is the caller's business, everything else the provider's.
        if answer.status == 400 || answer.status == 401 {
            tracing::info!(provider = config.name, status = answer.status, "the provider takes no code");
            return Err(Error::InvalidCredentials);
        }
        object(config, answer)
    }

    async fn profile(
        &self,
        config: &ProviderConfig,
        url: &str,
        access_token: &str,
    ) -> Result<Map<String, Value>> {
        let headers = [
            (AUTHORIZATION, format!("Bearer {access_token}")),
            (ACCEPT, "application/json".to_owned()),
            (HeaderName::from_static("cache-control"), "no-store".to_owned()),
        ];
        let answer = self.outbound.get(url, &headers, BUDGET).await;
        object(config, answer.map_err(|failure| away(config, &failure))?)
    }

    /// Claims of the id token, and what the provider tells beyond them of the same subject.
    async fn with_user_info(
        &self,
        config: &ProviderConfig,
        metadata: &Metadata,
        mut claims: Map<String, Value>,
        access_token: &str,
    ) -> Result<Map<String, Value>> {
        let Some(url) = metadata.userinfo_endpoint.as_deref().filter(|_| !access_token.is_empty()) else {
            return Ok(claims);
        };
        let info = self.profile(config, url, access_token).await?;
        if info.get("sub") != claims.get("sub") {
            tracing::warn!(provider = config.name, "the user info is about somebody else");
            return Err(Error::InvalidCredentials);
        }
        for (name, value) in info {
            // What was signed counts.
            claims.entry(name).or_insert(value);
        }
        Ok(claims)
    }

    async fn metadata(&self, provider: &Provider) -> Result<Arc<Metadata>> {
        let discovery = provider.discovery.as_ref();
        let discovery = discovery.ok_or_else(|| unavailable(&provider.config, "it is not described"))?;
        discovery.metadata(&self.outbound).await.map_err(|reason| unavailable(&provider.config, &reason))
    }

    async fn verified(
        &self,
        provider: &Provider,
        metadata: &Metadata,
        id_token: &str,
        nonce: &str,
        now: Timestamp,
    ) -> Result<Map<String, Value>> {
        let config = &provider.config;
        let discovery = provider.discovery.as_ref();
        let discovery = discovery.ok_or_else(|| unavailable(config, "it is not described"))?;
        let header = id_token::header(id_token);
        let refused = |why: String| {
            tracing::warn!(provider = config.name, why, "an id token was refused");
            Error::InvalidCredentials
        };
        let header = header.map_err(refused)?;
        let keys = discovery.keys(&self.outbound, metadata, header.kid.as_deref()).await;
        let keys = keys.map_err(|reason| unavailable(config, &reason))?;
        let expected =
            id_token::Expected { issuer: &metadata.issuer, client_id: &config.client_id, nonce, now };
        id_token::verify(id_token, &header, &keys, &expected).map_err(refused)
    }
}

/// Where a provider sends people back to, at this address of ours.
pub fn callback(home: &Url, provider: &str) -> Result<Url> {
    let base = home.as_str().trim_end_matches('/');
    Url::parse(&format!("{base}/auth/login/{provider}/callback")).map_err(Error::internal)
}

/// The challenge of a verifier (RFC 7636, `S256`).
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// RFC 6749, 2.3.1: both parts are escaped before they are joined.
fn basic(client_id: &str, secret: &str) -> String {
    let escape = |text| utf8_percent_encode(text, ESCAPED);
    format!("Basic {}", STANDARD.encode(format!("{}:{}", escape(client_id), escape(secret))))
}

fn object(config: &ProviderConfig, answer: Received) -> Result<Map<String, Value>> {
    if answer.status != 200 {
        return Err(unavailable(config, &format!("it answers with status {}", answer.status)));
    }
    serde_json::from_slice(&answer.body).map_err(|_| unavailable(config, "it does not answer with JSON"))
}

fn away(config: &ProviderConfig, failure: &Failure) -> Error {
    unavailable(config, &failure.to_string())
}

/// Callers learn that the provider is away; why is for the log.
fn unavailable(config: &ProviderConfig, reason: &str) -> Error {
    tracing::error!(provider = config.name, reason, "a provider cannot be asked");
    Error::ServiceUnavailable {
        service: config.driver.name(),
        reason: "The provider cannot be asked.".to_owned(),
        retry_after_s: 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges() {
        // The example of RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn credentials_are_escaped() {
        assert_eq!(basic("a:b", "c d"), format!("Basic {}", STANDARD.encode("a%3Ab:c%20d")));
    }
}
