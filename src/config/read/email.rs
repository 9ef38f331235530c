//! Reads the settings of letters.

use std::time::Duration;

use super::super::value::{self, Parsed};
use super::super::{EmailConfig, LinksConfig, SmtpConfig, SmtpTls};
use super::{Finding, Reader};

const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// What takes letters on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    None,
    Smtp,
}

pub(super) fn email(reader: &mut Reader<'_>) -> EmailConfig {
    let transport = reader.optional("EMAIL_TRANSPORT", transport);
    let host = reader.optional("EMAIL_SMTP_HOST", value::text);
    let is_secure = reader.or("EMAIL_SMTP_SECURE", false, value::boolean);
    let ignores_tls = reader.or("EMAIL_SMTP_IGNORE_TLS", false, value::boolean);
    let port = reader.or("EMAIL_SMTP_PORT", if is_secure { 465 } else { 587 }, value::whole(1, u16::MAX));
    let user = reader.optional("EMAIL_SMTP_USER", value::text);
    let password = reader.secret("EMAIL_SMTP_PASSWORD", 0);
    let needs_tls = reader.or("EMAIL_SMTP_REQUIRE_TLS", user.is_some(), value::boolean);
    let tls = match (is_secure, ignores_tls, needs_tls) {
        (true, ..) => SmtpTls::Whole,
        (false, true, _) => SmtpTls::Never,
        (false, false, true) => SmtpTls::Demanded,
        (false, false, false) => SmtpTls::Offered,
    };
    let sends_password = user.is_some() && password.is_some();
    let place_of = |reader: &Reader<'_>, name: &str| reader.sources.get(name).map(|(_, place)| place);
    if tls == SmtpTls::Never
        && let Some(place) = place_of(reader, "EMAIL_SMTP_IGNORE_TLS")
    {
        if sends_password {
            let problem = "would send EMAIL_SMTP_PASSWORD in the clear";
            reader.findings.push(Finding::new("EMAIL_SMTP_IGNORE_TLS", place, problem));
        } else if needs_tls && place_of(reader, "EMAIL_SMTP_REQUIRE_TLS").is_some() {
            let problem = "contradicts EMAIL_SMTP_REQUIRE_TLS";
            reader.findings.push(Finding::new("EMAIL_SMTP_IGNORE_TLS", place, problem));
        }
    } else if tls == SmtpTls::Offered
        && sends_password
        && let Some(place) = place_of(reader, "EMAIL_SMTP_REQUIRE_TLS")
    {
        let problem = "must not be false with EMAIL_SMTP_PASSWORD, which might be sent in the clear";
        reader.findings.push(Finding::new("EMAIL_SMTP_REQUIRE_TLS", place, problem));
    }
    if transport == Some(Transport::Smtp)
        && host.is_none()
        && let Some((_, place)) = reader.sources.get("EMAIL_TRANSPORT")
    {
        reader.findings.push(Finding::new("EMAIL_TRANSPORT", place, "needs EMAIL_SMTP_HOST"));
    }
    let is_wanted = transport != Some(Transport::None);
    EmailConfig {
        from: reader.or("EMAIL_FROM", "no-reply@example.com".to_owned(), value::text),
        smtp: host.filter(|_| is_wanted).map(|host| SmtpConfig { host, port, user, password, tls }),
        links: LinksConfig {
            password_reset: reader.or("PASSWORD_RESET_URL_ALLOW_LIST", Vec::new(), addresses),
            invitation: reader.or("USER_INVITE_URL_ALLOW_LIST", Vec::new(), addresses),
            registration: reader.or("USER_REGISTER_URL_ALLOW_LIST", Vec::new(), addresses),
            invitation_ttl: reader.or("USER_INVITE_TOKEN_TTL", WEEK, value::duration),
            registration_ttl: reader.or("EMAIL_VERIFICATION_TOKEN_TTL", WEEK, value::duration),
        },
    }
}

fn transport(value: &str) -> Parsed<Transport> {
    match value {
        "smtp" => Ok(Transport::Smtp),
        "none" => Ok(Transport::None),
        _ => Err("must be `smtp` or `none`".to_owned()),
    }
}

fn addresses(value: &str) -> Parsed<Vec<String>> {
    value.split(',').map(|entry| value::public_url(entry.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Sources};

    fn load(settings: &[(&str, &str)]) -> Result<Config, String> {
        let settings: Vec<(&str, &str)> =
            [("EMAIL_SMTP_HOST", "mail.example")].iter().chain(settings).copied().collect();
        Sources::from_texts(&settings, "", "")
            .and_then(|sources| Config::from_sources(&sources))
            .map_err(|errors| errors.to_string())
    }

    #[test]
    fn how_much_is_encrypted() {
        let check = |settings: &[(&str, &str)], expected: (SmtpTls, u16)| {
            let smtp = load(settings).expect("valid").email.smtp.expect("a mail server");
            assert_eq!((smtp.tls, smtp.port), expected, "{settings:?}");
        };
        let user = ("EMAIL_SMTP_USER", "us");
        check(&[], (SmtpTls::Offered, 587));
        check(&[user], (SmtpTls::Demanded, 587));
        check(&[("EMAIL_SMTP_REQUIRE_TLS", "true")], (SmtpTls::Demanded, 587));
        check(&[user, ("EMAIL_SMTP_SECURE", "true")], (SmtpTls::Whole, 465));
        check(&[("EMAIL_SMTP_IGNORE_TLS", "true"), ("EMAIL_SMTP_PORT", "25")], (SmtpTls::Never, 25));
    }

    #[test]
    fn no_password_is_sent_in_the_clear() {
        let secret = [("EMAIL_SMTP_USER", "us"), ("EMAIL_SMTP_PASSWORD", "hunter2")];
        let check = |more: &[(&str, &str)], expected: &str| {
            let settings: Vec<(&str, &str)> = secret.iter().chain(more).copied().collect();
            let message = load(&settings).map(drop).expect_err("refused");
            assert!(message.contains(expected) && !message.contains("hunter2"), "{message}");
        };
        check(&[("EMAIL_SMTP_IGNORE_TLS", "true")], "EMAIL_SMTP_IGNORE_TLS (environment) would send");
        check(
            &[("EMAIL_SMTP_REQUIRE_TLS", "false")],
            "EMAIL_SMTP_REQUIRE_TLS (environment) must not be false",
        );
        let both = [("EMAIL_SMTP_IGNORE_TLS", "true"), ("EMAIL_SMTP_REQUIRE_TLS", "true")];
        let message = load(&both).map(drop).expect_err("refused");
        assert!(message.contains("contradicts EMAIL_SMTP_REQUIRE_TLS"), "{message}");
    }
}
