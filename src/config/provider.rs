//! Providers that sign people in for us: OpenID Connect and OAuth 2.0.

use serde_json::{Map, Value};

use super::Secret;

/// All providers.
#[derive(Debug, Clone, Default)]
pub struct ProvidersConfig {
    /// In the order in which people see them.
    pub list: Vec<ProviderConfig>,
    /// Nobody signs in with a password.
    pub disable_default: bool,
    /// Addresses besides `PUBLIC_URL` under which people reach this server, and come back to.
    pub public_urls: Vec<String>,
}

/// One provider.
#[derive(Debug, Clone)]
pub struct ProviderConfig {
    /// Its name: part of paths, and what users of it have as their provider.
    pub name: String,
    /// What it speaks.
    pub driver: ProviderDriver,
    /// Who we are to it.
    pub client_id: String,
    /// What proves it; `None` for a public client.
    pub client_secret: Option<Secret<String>>,
    /// How that is sent.
    pub client_auth: ClientAuth,
    /// What is asked for, with blanks between.
    pub scope: String,
    /// Further parameters of the address where people sign in.
    pub params: Map<String, Value>,
    /// Claim that tells people apart and never changes.
    pub identifier_key: Option<String>,
    /// Claim with the e-mail.
    pub email_key: String,
    /// Claim with the first name.
    pub first_name_key: String,
    /// Claim with the last name.
    pub last_name_key: String,
    /// Who is unknown is made a user.
    pub allow_public_registration: bool,
    /// Only those whose e-mail the provider verified.
    pub require_verified_email: bool,
    /// Role of those whom no group gives another.
    pub default_role: Option<String>,
    /// Names and e-mail follow the provider at each sign-in.
    pub sync_user_info: bool,
    /// Roles by group, the first that fits counts; `None` when groups decide nothing.
    pub role_mapping: Option<Vec<(String, String)>>,
    /// Claim with the groups.
    pub group_key: String,
    /// Addresses outside of ours where people may be sent afterwards.
    pub redirect_allow_list: Vec<String>,
    /// How a browser keeps its session.
    pub mode: ProviderMode,
    /// Name that people see.
    pub label: Option<String>,
    /// Icon that people see.
    pub icon: String,
}

/// What a provider speaks.
#[derive(Debug, Clone)]
pub enum ProviderDriver {
    /// OpenID Connect, by discovery.
    OpenId {
        /// Its issuer, as it calls itself.
        issuer: String,
    },
    /// OAuth 2.0 with an address that tells who somebody is.
    OAuth2 {
        /// Where people sign in.
        authorize_url: String,
        /// Where a code becomes a token.
        access_url: String,
        /// Where a token becomes a profile.
        profile_url: String,
    },
}

impl ProviderDriver {
    /// Its name in settings and answers.
    pub fn name(&self) -> &'static str {
        match self {
            ProviderDriver::OpenId { .. } => "openid",
            ProviderDriver::OAuth2 { .. } => "oauth2",
        }
    }
}

/// How the client's secret is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// In a header.
    Basic,
    /// In the form.
    Post,
    /// There is none.
    None,
}

/// How a browser keeps its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderMode {
    /// All of it in one cookie.
    Session,
    /// The refresh token in a cookie.
    Cookie,
}
