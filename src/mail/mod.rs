//! Letters to people: templates in their language, sent over SMTP.
//!
//! Start at [`Mailer::send`]. It never waits for the other side, so that nobody learns from the time of an answer whether there was
//! somebody to write to. Knows nothing about users.

mod letters;

use std::time::Duration;

use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use rustls::RootCertStore;

use crate::config::{EmailConfig, SmtpConfig, SmtpTls};

pub use letters::{Language, Letter, Occasion, Told};
use letters::{Letters, Written};

/// How long to wait before each attempt after the first.
const RETRIES: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(60), Duration::from_secs(600)];
/// Longest exchange with the mail server.
const TIMEOUT: Duration = Duration::from_secs(30);

type Smtp = AsyncSmtpTransport<Tokio1Executor>;

/// Sends letters.
pub struct Mailer {
    from: Mailbox,
    letters: Letters,
    smtp: Option<Smtp>,
}

impl Mailer {
    /// A mailer as configured. Fails with what is wrong with the settings.
    pub fn new(config: &EmailConfig) -> Result<Self, String> {
        let from = config.from.parse().map_err(|error| format!("EMAIL_FROM is no address: {error}"))?;
        let letters = Letters::new().map_err(|error| format!("a template of letters is broken: {error}"))?;
        let smtp = config.smtp.as_ref().map(transport).transpose();
        let smtp = smtp.map_err(|error| format!("EMAIL_SMTP_HOST cannot be used: {error}"))?;
        Ok(Mailer { from, letters, smtp })
    }

    /// Sends a letter soon, and again later when the mail server does not take it. Without a mail server nothing is sent.
    pub fn send(&self, to: &str, letter: &Letter<'_>) {
        let Some(smtp) = &self.smtp else {
            tracing::warn!(
                letter = letter.occasion.name(),
                "a letter is not sent, since EMAIL_TRANSPORT is none"
            );
            return;
        };
        // The parts of a stored address never become headers by themselves.
        let message = to.parse::<Address>().map_err(|error| error.to_string()).and_then(|to| {
            let written = self.letters.write(letter).map_err(|error| error.to_string())?;
            self.message(to, written).map_err(|error| error.to_string())
        });
        match message {
            Ok(message) => {
                tokio::spawn(deliver(smtp.clone(), message, letter.occasion.name()));
            }
            Err(error) => {
                tracing::error!(letter = letter.occasion.name(), error, "a letter cannot be written")
            }
        }
    }

    fn message(&self, to: Address, written: Written) -> Result<Message, lettre::error::Error> {
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(written.subject)
            .multipart(MultiPart::alternative_plain_html(written.text, written.html))
    }
}

async fn deliver(smtp: Smtp, message: Message, letter: &'static str) {
    let mut retries = RETRIES.iter();
    loop {
        let Err(error) = smtp.send(message.clone()).await else { return };
        match retries.next().filter(|_| !error.is_permanent()) {
            Some(wait) => {
                tracing::warn!(letter, %error, "the mail server did not take a letter; it is sent again later");
                tokio::time::sleep(*wait).await;
            }
            None => {
                tracing::error!(letter, %error, "the mail server did not take a letter");
                return;
            }
        }
    }
}

fn transport(config: &SmtpConfig) -> Result<Smtp, lettre::transport::smtp::Error> {
    let tls = |make: fn(TlsParameters) -> Tls| trust(&config.host).map(make);
    let tls = match config.tls {
        SmtpTls::Whole => tls(Tls::Wrapper)?,
        SmtpTls::Demanded => tls(Tls::Required)?,
        SmtpTls::Offered => tls(Tls::Opportunistic)?,
        SmtpTls::Never => Tls::None,
    };
    let mut builder = Smtp::builder_dangerous(&config.host).port(config.port).tls(tls).timeout(Some(TIMEOUT));
    if let (Some(user), Some(password)) = (&config.user, &config.password) {
        builder = builder.credentials(Credentials::new(user.clone(), password.expose().clone()));
    }
    Ok(builder.build())
}

/// The certificates that browsers trust and those that the operator added to the system, as for every request of the server.
fn trust(host: &str) -> Result<TlsParameters, lettre::transport::smtp::Error> {
    let mut builder =
        TlsParameters::builder(host.to_owned()).certificate_store(CertificateStore::WebpkiRoots);
    let mut usable = RootCertStore::empty();
    for certificate in rustls_native_certs::load_native_certs().certs {
        // One that cannot be read must not keep the others from being used.
        if usable.add(certificate.clone()).is_ok() {
            builder = builder.add_root_certificate(Certificate::from_der(certificate.to_vec())?);
        }
    }
    builder.build()
}
