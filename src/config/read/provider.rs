//! Settings of providers, whose names depend on those in `AUTH_PROVIDERS`.

use serde_json::{Map, Value};
use url::Url;
use uuid::Uuid;

use super::{Finding, Reader};
use crate::config::source::Place;
use crate::config::value::{self, Parsed};
use crate::config::{
    ClientAuth, ProviderConfig, ProviderDriver, ProviderMode, ProvidersConfig, Secret, settings,
};

/// Where an issuer describes itself, below its own address.
const DISCOVERY: &str = "/.well-known/openid-configuration";

pub(super) fn providers(reader: &mut Reader<'_>) -> ProvidersConfig {
    let disable_default = reader.or("AUTH_DISABLE_DEFAULT", false, value::boolean);
    let names = reader.or("AUTH_PROVIDERS", Vec::new(), names);
    let place = reader.sources.get("AUTH_PROVIDERS").map(|(_, place)| place);
    let list = names.iter().filter_map(|name| provider(reader, name, place?)).collect();
    let public_urls = reader.or("AUTH_ALLOWED_PUBLIC_URLS", Vec::new(), |text| {
        text.split(',').map(|entry| own_address(entry.trim())).collect()
    });
    ProvidersConfig { list, disable_default, public_urls }
}

/// An address of ours, below which our paths lie.
fn own_address(text: &str) -> Parsed<String> {
    let url = web_address(text).ok().and_then(|text| Url::parse(&text).ok());
    let is_plain = |url: &Url| url.query().is_none() && url.fragment().is_none();
    url.filter(is_plain).map(|url| url.as_str().trim_end_matches('/').to_owned()).ok_or_else(|| {
        "must be addresses that begin with `https://` or `http://` and have no `?` and `#`".to_owned()
    })
}

fn names(text: &str) -> Parsed<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for name in text.split(',').map(|name| name.trim().to_ascii_lowercase()) {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
            return Err("must be names of letters, digits and `_`, with commas between them".to_owned());
        }
        if name == "default" || names.contains(&name) {
            return Err(format!("must not name `{name}`{}", if name == "default" { "" } else { " twice" }));
        }
        names.push(name);
    }
    Ok(names)
}

/// Reads the settings of one provider.
struct Of<'r, 's> {
    reader: &'r mut Reader<'s>,
    prefix: String,
}

impl Of<'_, '_> {
    fn optional<T>(&mut self, suffix: &str, parse: impl FnOnce(&str) -> Parsed<T>) -> Option<T> {
        debug_assert!(settings::is_of_provider(&format!("{}{suffix}", self.prefix)));
        let name = format!("{}{suffix}", self.prefix);
        let (text, place) = self.reader.sources.get(&name)?;
        parse(text).map_err(|problem| self.reader.findings.push(Finding::new(&name, place, &problem))).ok()
    }

    fn or<T>(&mut self, suffix: &str, default: T, parse: impl FnOnce(&str) -> Parsed<T>) -> T {
        self.optional(suffix, parse).unwrap_or(default)
    }

    fn text(&mut self, suffix: &str, default: &str) -> String {
        self.or(suffix, default.to_owned(), value::text)
    }

    /// A setting that this provider cannot do without.
    fn required<T>(
        &mut self,
        suffix: &str,
        place: Place,
        parse: impl FnOnce(&str) -> Parsed<T>,
    ) -> Option<T> {
        let name = format!("{}{suffix}", self.prefix);
        if self.reader.sources.get(&name).is_none() {
            let problem = format!("needs {name}");
            self.reader.findings.push(Finding::new("AUTH_PROVIDERS", place, &problem));
        }
        self.optional(suffix, parse)
    }
}

fn provider(reader: &mut Reader<'_>, name: &str, place: Place) -> Option<ProviderConfig> {
    let mut of = Of { reader, prefix: format!("AUTH_{}_", name.to_ascii_uppercase()) };
    let driver = driver(&mut of, place);
    let is_openid = matches!(driver, Some(ProviderDriver::OpenId { .. }));
    let client_id = of.required("CLIENT_ID", place, value::text);
    let client_secret = of.optional("CLIENT_SECRET", |text| Ok(Secret::new(text.to_owned())));
    let default_auth = if client_secret.is_some() { ClientAuth::Basic } else { ClientAuth::None };
    let client_auth = of.or("CLIENT_TOKEN_ENDPOINT_AUTH_METHOD", default_auth, |text| match text {
        "none" => Ok(ClientAuth::None),
        "client_secret_basic" if client_secret.is_some() => Ok(ClientAuth::Basic),
        "client_secret_post" if client_secret.is_some() => Ok(ClientAuth::Post),
        "client_secret_basic" | "client_secret_post" => Err("needs a CLIENT_SECRET".to_owned()),
        _ => Err("must be `client_secret_basic`, `client_secret_post` or `none`".to_owned()),
    });
    let scope = of.text("SCOPE", if is_openid { "openid profile email" } else { "email" });
    let params = of.or("PARAMS", Map::new(), json_object);
    let identifier_key = of.optional("IDENTIFIER_KEY", value::text);
    let email_key = of.text("EMAIL_KEY", "email");
    let first_name_key = of.text("FIRST_NAME_KEY", "given_name");
    let last_name_key = of.text("LAST_NAME_KEY", "family_name");
    let allow_public_registration = of.or("ALLOW_PUBLIC_REGISTRATION", false, value::boolean);
    let require_verified_email = of.or("REQUIRE_VERIFIED_EMAIL", false, value::boolean);
    let default_role = of.optional("DEFAULT_ROLE_ID", role);
    let sync_user_info = of.or("SYNC_USER_INFO", false, value::boolean);
    let role_mapping = of.optional("ROLE_MAPPING", role_mapping);
    let group_key = of.text("GROUP_CLAIM_NAME", "groups");
    let redirect_allow_list = of.or("REDIRECT_ALLOW_LIST", Vec::new(), |text| {
        text.split(',').map(|entry| web_address(entry.trim())).collect()
    });
    let mode = of.or("MODE", ProviderMode::Session, |text| match text {
        "session" => Ok(ProviderMode::Session),
        "cookie" => Ok(ProviderMode::Cookie),
        _ => Err("must be `session` or `cookie`".to_owned()),
    });
    let label = of.optional("LABEL", value::text);
    let icon = of.text("ICON", "account_circle");
    Some(ProviderConfig {
        name: name.to_owned(),
        driver: driver?,
        client_id: client_id?,
        client_secret,
        client_auth,
        scope,
        params,
        identifier_key,
        email_key,
        first_name_key,
        last_name_key,
        allow_public_registration,
        require_verified_email,
        default_role,
        sync_user_info,
        role_mapping,
        group_key,
        redirect_allow_list,
        mode,
        label,
        icon,
    })
}

fn driver(of: &mut Of<'_, '_>, place: Place) -> Option<ProviderDriver> {
    let is_openid = of.required("DRIVER", place, |text| match text {
        "openid" => Ok(true),
        "oauth2" => Ok(false),
        _ => Err("must be `openid` or `oauth2`".to_owned()),
    })?;
    if is_openid {
        let issuer = of.required("ISSUER_URL", place, web_address)?;
        let issuer = issuer.strip_suffix(DISCOVERY).unwrap_or(&issuer).to_owned();
        return Some(ProviderDriver::OpenId { issuer });
    }
    let authorize_url = of.required("AUTHORIZE_URL", place, web_address);
    let access_url = of.required("ACCESS_URL", place, web_address);
    let profile_url = of.required("PROFILE_URL", place, web_address);
    Some(ProviderDriver::OAuth2 {
        authorize_url: authorize_url?,
        access_url: access_url?,
        profile_url: profile_url?,
    })
}

/// An address as it was written: issuers are compared byte for byte.
fn web_address(text: &str) -> Parsed<String> {
    let url = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none()
    });
    url.map(|_| text.to_owned()).ok_or_else(|| "must begin with `https://` or `http://`".to_owned())
}

fn role(text: &str) -> Parsed<String> {
    let id = Uuid::try_parse(text).map_err(|_| "must be the id of a role".to_owned())?;
    Ok(id.to_string())
}

/// `json:` may stand before it, as in the public documentation.
fn json_object(text: &str) -> Parsed<Map<String, Value>> {
    let text = text.strip_prefix("json:").unwrap_or(text);
    serde_json::from_str(text).map_err(|_| "must be a JSON object".to_owned())
}

fn role_mapping(text: &str) -> Parsed<Vec<(String, String)>> {
    let mut mapping = Vec::new();
    for (group, id) in json_object(text)? {
        let id = id.as_str().ok_or_else(|| format!("must give the id of a role to `{group}`"))?;
        mapping.push((group, role(id)?));
    }
    Ok(mapping)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Sources};

    fn load(settings: &[(&str, &str)], toml: &str) -> Result<Config, String> {
        Sources::from_texts(settings, "", toml)
            .and_then(|sources| Config::from_sources(&sources))
            .map_err(|errors| errors.to_string())
    }

    #[test]
    fn providers() {
        let role = "019a0000-0000-7000-8000-000000000001";
        let mapping = format!("json:{{\"editors\":\"{role}\"}}");
        let settings = [
            ("AUTH_PROVIDERS", "Keycloak, github"),
            ("AUTH_KEYCLOAK_DRIVER", "openid"),
            ("AUTH_KEYCLOAK_ISSUER_URL", "https://id.example/realms/a/.well-known/openid-configuration"),
            ("AUTH_KEYCLOAK_CLIENT_ID", "us"),
            ("AUTH_KEYCLOAK_CLIENT_SECRET", "hunter2"),
            ("AUTH_KEYCLOAK_ROLE_MAPPING", &mapping),
        ];
        let toml = "[auth.github]\ndriver = \"oauth2\"\nclient_id = \"us\"\nauthorize_url = \"https://a.example/1\"\n\
             access_url = \"https://a.example/2\"\nprofile_url = \"https://a.example/3\"\nicon = \"code\"\n";
        let config = load(&settings, toml).expect("valid");
        assert!(!format!("{config:?}").contains("hunter2"));
        let [keycloak, github] = &config.providers.list[..] else { panic!("two providers") };
        let ProviderDriver::OpenId { issuer } = &keycloak.driver else { panic!("OpenID Connect") };
        assert_eq!((keycloak.name.as_str(), issuer.as_str()), ("keycloak", "https://id.example/realms/a"));
        assert_eq!(keycloak.role_mapping, Some(vec![("editors".to_owned(), role.to_owned())]));
        assert_eq!(
            (keycloak.client_auth, keycloak.scope.as_str()),
            (ClientAuth::Basic, "openid profile email")
        );
        assert_eq!((github.client_auth, github.scope.as_str()), (ClientAuth::None, "email"));
        assert_eq!((github.driver.name(), github.icon.as_str()), ("oauth2", "code"));
    }

    #[test]
    fn refused() {
        let check = |settings: &[(&str, &str)], expected: &[&str]| {
            let message = load(settings, "").map(drop).expect_err("refused");
            for part in expected {
                assert!(message.contains(part), "{message} lacks {part}");
            }
        };
        check(
            &[("AUTH_PROVIDERS", "a")],
            &["AUTH_PROVIDERS (environment) needs AUTH_A_DRIVER", "AUTH_A_CLIENT_ID"],
        );
        for wrong in
            ["shop.example", "https://shop.example,", "https://a.example/?b=c", "https://u@a.example"]
        {
            check(
                &[("AUTH_ALLOWED_PUBLIC_URLS", wrong)],
                &["AUTH_ALLOWED_PUBLIC_URLS (environment) must be"],
            );
        }
        check(&[("AUTH_PROVIDERS", "default")], &["must not name `default`"]);
        check(&[("AUTH_PROVIDERS", "a,A")], &["twice"]);
        check(&[("AUTH_PROVIDERS", "a/b")], &["letters"]);
        check(
            &[("AUTH_PROVIDERS", "a"), ("AUTH_A_DRIVER", "saml")],
            &["AUTH_A_DRIVER (environment) must be"],
        );
        check(&[("AUTH_PROVIDERS", "a"), ("AUTH_A_DRIVER", "openid")], &["needs AUTH_A_ISSUER_URL"]);
        check(
            &[("AUTH_PROVIDERS", "a"), ("AUTH_A_DRIVER", "oauth2")],
            &["AUTH_A_ACCESS_URL", "AUTH_A_PROFILE_URL"],
        );
        check(&[("AUTH_PROVIDERS", "a"), ("AUTH_A_ROLE_MAPPING", "{\"g\":1}")], &["AUTH_A_ROLE_MAPPING"]);
        check(&[("AUTH_PROVIDERS", "a"), ("AUTH_A_DEFAULT_ROLE_ID", "editor")], &["the id of a role"]);
        check(&[("AUTH_PROVIDERS", "a"), ("AUTH_A_REDIRECT_ALLOW_LIST", "javascript:1")], &["https://"]);
        check(
            &[("AUTH_PROVIDER", "a")],
            &["AUTH_PROVIDER (environment) is no setting; did you mean AUTH_PROVIDERS?"],
        );
        check(&[("AUTH_A_CLIENT_IDD", "a")], &["AUTH_A_CLIENT_IDD"]);
        // A provider that is not listed may keep its settings.
        load(&[("AUTH_A_CLIENT_ID", "a")], "").expect("valid");
    }
}
