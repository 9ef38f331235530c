//! From claims to somebody.

use serde_json::{Map, Value};

use crate::config::{ProviderConfig, ProviderDriver};

/// Longest value that the columns of users take.
const MOST_CHARACTERS: usize = 255;

/// Somebody, as a provider knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// What tells them apart at this provider.
    pub identifier: String,
    /// The issuer that vouches for it.
    pub issuer: Option<String>,
    /// E-mail.
    pub email: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Role that their groups give; `None` when groups decide nothing, `Some(None)` when none of theirs gives one.
    pub role: Option<Option<String>>,
}

/// Who the claims are about. Fails with what is missing, for the log.
pub(super) fn identity(
    config: &ProviderConfig,
    claims: &Map<String, Value>,
    issuer: Option<String>,
) -> Result<Identity, String> {
    let is_verified = is_true(claims.get("email_verified")) || is_true(claims.get("verified_email"));
    if config.require_verified_email && !is_verified {
        return Err("the e-mail is not verified".to_owned());
    }
    let email = text(claims, &config.email_key).filter(|email| is_email(email));
    let default_key = match &config.driver {
        ProviderDriver::OpenId { .. } => "sub",
        ProviderDriver::OAuth2 { .. } => &config.email_key,
    };
    let key = config.identifier_key.as_deref().unwrap_or(default_key);
    let identifier = text(claims, key).filter(|identifier| !identifier.is_empty());
    let identifier =
        identifier.ok_or_else(|| format!("there is no claim {key:?} to tell people apart by"))?;
    // Whoever may choose their e-mail there could otherwise be anybody here.
    if key == config.email_key && !is_verified {
        return Err(format!("people are told apart by {key:?}, which the provider did not verify"));
    }
    if identifier.chars().count() > MOST_CHARACTERS {
        return Err(format!("the claim {key:?} is too long"));
    }
    Ok(Identity {
        identifier,
        issuer,
        email,
        first_name: text(claims, &config.first_name_key).map(|name| name.chars().take(50).collect()),
        last_name: text(claims, &config.last_name_key).map(|name| name.chars().take(50).collect()),
        role: config.role_mapping.as_ref().map(|mapping| {
            let groups = groups(find(claims, &config.group_key));
            let given = mapping.iter().find(|(group, _)| groups.contains(&group.as_str()));
            given.map(|(_, role)| role.clone()).or_else(|| config.default_role.clone())
        }),
    })
}

/// Some providers write truth as text.
fn is_true(value: Option<&Value>) -> bool {
    matches!(value, Some(Value::Bool(true))) || value.and_then(Value::as_str) == Some("true")
}

fn is_email(text: &str) -> bool {
    let parts = text.split_once('@');
    parts.is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'))
        && text.len() <= 128
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// One group may stand without a list.
fn groups(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::Array(groups)) => groups.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(group)) => vec![group],
        _ => Vec::new(),
    }
}

/// A claim as text; numbers are taken as they are written.
fn text(claims: &Map<String, Value>, key: &str) -> Option<String> {
    match find(claims, key)? {
        Value::String(text) if !text.contains('\0') => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A claim by its name, or by names with dots between that lead into objects.
fn find<'c>(claims: &'c Map<String, Value>, key: &str) -> Option<&'c Value> {
    claims.get(key).or_else(|| {
        let (outer, inner) = key.split_once('.')?;
        find(claims.get(outer)?.as_object()?, inner)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::{Config, Sources};

    fn config(settings: &[(&str, &str)]) -> ProviderConfig {
        let mut all = vec![
            ("AUTH_PROVIDERS", "a"),
            ("AUTH_A_CLIENT_ID", "us"),
            ("AUTH_A_ISSUER_URL", "https://id.example"),
            ("AUTH_A_AUTHORIZE_URL", "https://id.example/1"),
            ("AUTH_A_ACCESS_URL", "https://id.example/2"),
            ("AUTH_A_PROFILE_URL", "https://id.example/3"),
        ];
        all.extend_from_slice(settings);
        let sources = Sources::from_texts(&all, "", "").expect("valid");
        Config::from_sources(&sources).expect("valid").providers.list.remove(0)
    }

    fn of(settings: &[(&str, &str)], claims: Value) -> Result<Identity, String> {
        identity(&config(settings), claims.as_object().expect("an object"), None)
    }

    const OPENID: (&str, &str) = ("AUTH_A_DRIVER", "openid");
    const OAUTH: (&str, &str) = ("AUTH_A_DRIVER", "oauth2");

    #[test]
    fn people_are_told_apart_by_what_does_not_change() {
        let claims = json!({ "sub": "7", "id": 42, "email": "a@b.example", "given_name": "A", "user": { "key": "k" } });
        let check = |settings: &[(&str, &str)], expected: Option<&str>| {
            let identifier = of(settings, claims.clone()).ok().map(|identity| identity.identifier);
            assert_eq!(identifier.as_deref(), expected, "{settings:?}");
        };
        check(&[OPENID], Some("7"));
        check(&[OAUTH, ("AUTH_A_IDENTIFIER_KEY", "id")], Some("42"));
        check(&[OAUTH, ("AUTH_A_IDENTIFIER_KEY", "user.key")], Some("k"));
        check(&[OAUTH, ("AUTH_A_IDENTIFIER_KEY", "nothing")], None);
        // An e-mail that nobody verified is a claim of whoever typed it.
        check(&[OAUTH], None);
        check(&[OPENID, ("AUTH_A_IDENTIFIER_KEY", "email")], None);
        let verified = json!({ "email": "a@b.example", "email_verified": true });
        assert_eq!(of(&[OAUTH], verified).expect("somebody").identifier, "a@b.example");
    }

    #[test]
    fn emails() {
        let strict = [OPENID, ("AUTH_A_REQUIRE_VERIFIED_EMAIL", "true")];
        assert!(of(&strict, json!({ "sub": "7", "email": "a@b.example" })).is_err());
        assert!(of(&strict, json!({ "sub": "7", "email": "a@b.example", "email_verified": false })).is_err());
        assert!(of(&strict, json!({ "sub": "7", "email": "a@b.example", "email_verified": "true" })).is_ok());
        for wrong in ["", "a", "@b", "a@b c.example", "a\n@b.example"] {
            assert_eq!(
                of(&[OPENID], json!({ "sub": "7", "email": wrong })).expect("somebody").email,
                None,
                "{wrong}"
            );
        }
    }

    #[test]
    fn groups_give_roles() {
        let role = |n: u8| format!("019a0000-0000-7000-8000-00000000000{n}");
        let mapping = format!("{{\"a\":\"{}\",\"b\":\"{}\"}}", role(1), role(2));
        let default = role(3);
        let mapped =
            [OPENID, ("AUTH_A_ROLE_MAPPING", mapping.as_str()), ("AUTH_A_GROUP_CLAIM_NAME", "realm.roles")];
        let with_default = [&mapped[..], &[("AUTH_A_DEFAULT_ROLE_ID", default.as_str())]].concat();
        let check = |settings: &[(&str, &str)], groups: Value, expected: Option<Option<String>>| {
            let claims = json!({ "sub": "7", "realm": { "roles": groups } });
            assert_eq!(of(settings, claims.clone()).expect("somebody").role, expected, "{claims}");
        };
        check(&mapped, json!(["b", "a"]), Some(Some(role(1))));
        check(&mapped, json!("b"), Some(Some(role(2))));
        check(&mapped, json!(["c", 1]), Some(None));
        check(&mapped, Value::Null, Some(None));
        check(&with_default, json!([]), Some(Some(role(3))));
        check(&[OPENID], json!(["a"]), None);
    }
}
