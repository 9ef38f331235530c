//! Where people may be sent once they have signed in.

use url::Url;

use crate::error::{Error, Result};

/// Lets pass paths and addresses below ours, and what the operator listed: a whole origin, or one path of it.
pub(in crate::auth) fn check(target: &str, public_url: &Url, allowed: &[String]) -> Result<()> {
    let refused = || Error::payload("\"redirect\" is an address that is not listed.");
    // Browsers drop line breaks and tabs, and take a backslash for a slash; whoever needs them means no good.
    if target.chars().any(|c| c.is_control() || c == '\\') {
        return Err(refused());
    }
    let target = if target.starts_with('/') { public_url.join(target) } else { Url::parse(target) };
    let target = target.map_err(|_| refused())?;
    if !matches!(target.scheme(), "http" | "https")
        || !target.username().is_empty()
        || target.password().is_some()
    {
        return Err(refused());
    }
    let is_listed = allowed.iter().filter_map(|entry| Url::parse(entry).ok()).any(|entry| {
        entry.origin() == target.origin() && (entry.path() == "/" || entry.path() == target.path())
    });
    if is_listed || target.origin() == public_url.origin() { Ok(()) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        let public = Url::parse("https://api.example/base").expect("a URL");
        let allowed = ["https://app.example", "https://other.example/in"].map(str::to_owned);
        let is_allowed = |target: &str| check(target, &public, &allowed);
        let check = |target: &str, expected| {
            assert_eq!(is_allowed(target).is_ok(), expected, "{target}");
        };
        for fine in [
            "/",
            "/admin/login?continue=1",
            "https://api.example/anything",
            "https://app.example",
            "https://app.example/deep?a=b",
            "https://other.example/in?a=b",
        ] {
            check(fine, true);
        }
        for wrong in [
            "",
            "admin",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "https://evil.example",
            "http://api.example/",
            "https://api.example.evil/",
            "https://api.example@evil.example/",
            "https://u@api.example/",
            "https://api.example:444/",
            "https://other.example/in/side",
            "https://other.example/",
            "javascript:alert(1)",
            "data:text/html,x",
        ] {
            check(wrong, false);
        }
    }
}
