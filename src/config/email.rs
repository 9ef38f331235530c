//! What the operator decides about letters.

use std::time::Duration;

use super::Secret;

/// Letters.
#[derive(Debug, Clone)]
pub struct EmailConfig {
    /// Who writes them.
    pub from: String,
    /// The mail server; `None` when nothing is sent.
    pub smtp: Option<SmtpConfig>,
    /// Where they lead.
    pub links: LinksConfig,
}

/// The mail server.
#[derive(Debug, Clone)]
pub struct SmtpConfig {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who we are to it.
    pub user: Option<String>,
    /// What proves it.
    pub password: Option<Secret<String>>,
    /// How it is spoken to.
    pub tls: SmtpTls,
}

/// How much of a conversation with a mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// All of it.
    Whole,
    /// What follows the greeting; nothing is sent to a server that does not offer it.
    Demanded,
    /// What follows the greeting, when the server offers it.
    Offered,
    /// Nothing.
    Never,
}

/// Where letters may lead beside this server: origins, or single pages.
#[derive(Debug, Clone)]
pub struct LinksConfig {
    /// To choose a new password.
    pub password_reset: Vec<String>,
    /// To accept an invitation.
    pub invitation: Vec<String>,
    /// To confirm an e-mail.
    pub registration: Vec<String>,
    /// How long an invitation works.
    pub invitation_ttl: Duration,
    /// How long an e-mail can be confirmed.
    pub registration_ttl: Duration,
}
