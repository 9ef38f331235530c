//! Tokens in cookies, and who may make a browser send them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::auth::{Mode, Tokens};
use crate::config::{AuthConfig, CookieConfig, SameSite};
use crate::error::{Error, Result};
use crate::server::Call;

/// How tokens are put into cookies and found there.
pub struct Cookies {
    refresh: CookieConfig,
    refresh_ttl: Duration,
    session: CookieConfig,
    session_ttl: Duration,
    /// Origins of the pages that may use them, beside those of the very host that is asked.
    origins: Vec<String>,
}

impl Cookies {
    /// Cookies as configured; pages of these origins may use them.
    pub fn new(config: &AuthConfig, origins: Vec<String>) -> Self {
        Cookies {
            refresh: config.refresh_cookie.clone(),
            refresh_ttl: config.refresh_token_ttl,
            session: config.session_cookie.clone(),
            session_ttl: config.session_ttl,
            origins,
        }
    }

    /// The cookie that carries the token of this mode; `None` when the body does.
    pub(super) fn name(&self, mode: Mode) -> Option<&str> {
        self.of(mode).map(|(cookie, _)| cookie.name.as_str())
    }

    /// The token of a session, as the request brings it.
    pub(in crate::rest) fn session<'a>(&self, call: &Call<'a>) -> Option<&'a str> {
        call.cookie(&self.session.name)
    }

    /// The cookie to send with these tokens.
    pub(super) fn write(&self, mode: Mode, tokens: &Tokens, now: Timestamp) -> Option<String> {
        let (cookie, ttl) = self.of(mode)?;
        let value = match mode {
            Mode::Session => &tokens.access_token,
            Mode::Json | Mode::Cookie => tokens.refresh_token.as_ref()?,
        };
        let life = SignedDuration::try_from(ttl).ok()?;
        Some(text(cookie, value, ttl, now.checked_add(life).ok()?))
    }

    /// A cookie in place of the one of this mode: empty, and over long ago.
    pub(in crate::rest) fn cleared(&self, mode: Mode) -> Option<String> {
        let (cookie, ttl) = self.of(mode)?;
        Some(text(cookie, "", ttl, Timestamp::UNIX_EPOCH))
    }

    /// Fails with `Forbidden` when a page of an origin that is not listed made a browser send this.
    ///
    /// Programs that are no browsers send no `Origin`, and carry no cookies that they were not given.
    pub(in crate::rest) fn check_origin(&self, call: &Call<'_>) -> Result<()> {
        let is_allowed = match call.header("origin") {
            Some(origin) => {
                self.origins.iter().any(|known| known == origin) || is_of_host(origin, call.header("host"))
            }
            None => call.header("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none")),
        };
        if is_allowed { Ok(()) } else { Err(Error::Forbidden) }
    }

    fn of(&self, mode: Mode) -> Option<(&CookieConfig, Duration)> {
        match mode {
            Mode::Json => None,
            Mode::Cookie => Some((&self.refresh, self.refresh_ttl)),
            Mode::Session => Some((&self.session, self.session_ttl)),
        }
    }
}

/// The page came from the host that is asked.
fn is_of_host(origin: &str, host: Option<&str>) -> bool {
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_some_and(|authority| host.is_some_and(|host| authority.eq_ignore_ascii_case(host)))
}

fn text(cookie: &CookieConfig, value: &str, life: Duration, expires: Timestamp) -> String {
    let same_site = match cookie.same_site {
        SameSite::Strict => "Strict",
        SameSite::Lax => "Lax",
        SameSite::None => "None",
    };
    let domain = cookie.domain.as_ref().map(|domain| format!("Domain={domain}; ")).unwrap_or_default();
    let secure = if cookie.secure { "; Secure" } else { "" };
    format!(
        "{}={value}; Max-Age={}; {domain}Path=/; Expires={}; HttpOnly{secure}; SameSite={same_site}",
        cookie.name,
        life.as_secs(),
        expires.strftime("%a, %d %b %Y %H:%M:%S GMT"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_say_who_may_send_them() {
        let mut cookie = CookieConfig {
            name: "session".to_owned(),
            domain: None,
            secure: false,
            same_site: SameSite::Lax,
        };
        let life = Duration::from_secs(60);
        let expires = Timestamp::from_second(1_000_000_000).expect("a time");
        let time = "Expires=Sun, 09 Sep 2001 01:46:40 GMT";
        assert_eq!(
            text(&cookie, "v", life, expires),
            format!("session=v; Max-Age=60; Path=/; {time}; HttpOnly; SameSite=Lax")
        );
        cookie.domain = Some("example.com".to_owned());
        cookie.secure = true;
        cookie.same_site = SameSite::None;
        assert_eq!(
            text(&cookie, "", life, expires),
            format!(
                "session=; Max-Age=60; Domain=example.com; Path=/; {time}; HttpOnly; Secure; SameSite=None"
            )
        );
    }

    #[test]
    fn a_page_is_of_the_host_it_names() {
        let check = |origin, host, expected| assert_eq!(is_of_host(origin, host), expected, "{origin}");
        check("http://127.0.0.1:8055", Some("127.0.0.1:8055"), true);
        check("https://app.example", Some("APP.example"), true);
        check("https://app.example.evil", Some("app.example"), false);
        check("https://app.example:8443", Some("app.example"), false);
        check("null", Some("null"), false);
        check("https://app.example", None, false);
    }
}
