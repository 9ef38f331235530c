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
    let tls = match (is_secure, ignores_tls) {
        (true, _) => SmtpTls::Whole,
        (false, true) => SmtpTls::Never,
        (false, false) => SmtpTls::Offered,
    };
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
