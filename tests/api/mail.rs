//! Letters over TLS: to mail servers whose certificate is trusted, and not to others.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::server::ADMIN_EMAIL;
use crate::support::smtp::{Encryption, Smtp};
use crate::support::{Database, Engine, Project, Server, each_database};

const PASSWORD: &str = "a-password-for-mail";

/// A project, and a certificate that nobody has signed but its own key.
struct House {
    project: Project,
    certificate: Vec<u8>,
    key: Vec<u8>,
    /// The certificate as a file for those who trust it.
    file: String,
}

impl House {
    /// The certificate is for this host.
    async fn new(engine: Engine, host: &str) -> House {
        let project = Project::new(Database::fresh(engine).await, &[]).await;
        let made = rcgen::generate_simple_self_signed([host.to_owned()]).expect("a certificate");
        let file = project.database.dir().join("mail.pem");
        std::fs::write(&file, made.cert.pem()).expect("written");
        House {
            certificate: made.cert.der().to_vec(),
            key: made.signing_key.serialize_der(),
            file: file.to_str().expect("a path in UTF-8").to_owned(),
            project,
        }
    }

    async fn smtp(&self, encryption: Encryption) -> Smtp {
        Smtp::encrypted(encryption, self.certificate.clone(), self.key.clone()).await
    }

    /// Has a letter sent to the administrator.
    async fn write(&self, smtp: &Smtp, settings: &[(&str, &str)]) -> Server {
        let builder = self.project.server().set("EMAIL_SMTP_HOST", "127.0.0.1");
        let builder = builder.set("EMAIL_SMTP_PORT", &smtp.port.to_string());
        let builder = settings.iter().fold(builder, |builder, (name, value)| builder.set(name, value));
        let server = builder.start().await;
        let asked = json!({ "email": ADMIN_EMAIL });
        server.visitor().post("/auth/password/request", asked).await.no_content();
        server
    }

    /// No letter goes out, and the log says why.
    async fn refused(&self, smtp: &Smtp, settings: &[(&str, &str)], why: &str) {
        let server = self.write(smtp, settings).await;
        let began = Instant::now();
        let printed = loop {
            let printed = server.printed();
            if printed.contains("the mail server did not take a letter") {
                break printed;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "nothing is said: {printed}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(printed.contains(why), "{why} in {printed}");
        assert!(!printed.contains(PASSWORD), "{printed}");
        assert_eq!(smtp.waiting(), 0);
        let heard = smtp.in_the_clear();
        let is_harmless =
            |line: &String| ["EHLO ", "STARTTLS", "QUIT"].iter().any(|command| line.starts_with(command));
        assert!(heard.iter().all(is_harmless), "{heard:?}");
        assert_eq!(smtp.encrypted_commands(), [""; 0]);
    }
}

fn with_password<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [("EMAIL_SMTP_USER", "us"), ("EMAIL_SMTP_PASSWORD", PASSWORD)].iter().chain(more).copied().collect()
}

#[tokio::test]
async fn letters_and_passwords_are_encrypted() {
    each_database(async |engine| {
        let house = House::new(engine, "127.0.0.1").await;
        let trusted = ("SSL_CERT_FILE", house.file.as_str());
        for (encryption, secure) in [(Encryption::Always, "true"), (Encryption::Offered, "false")] {
            let smtp = house.smtp(encryption).await;
            let server = house.write(&smtp, &with_password(&[trusted, ("EMAIL_SMTP_SECURE", secure)])).await;
            let letter = smtp.next(ADMIN_EMAIL).await;
            assert!(letter.link().contains("/admin/reset-password?token="), "{letter:?}");
            let commands = smtp.encrypted_commands();
            let proof = commands.iter().find_map(|line| line.strip_prefix("AUTH PLAIN "));
            let proof = STANDARD.decode(proof.expect("a password")).expect("base64");
            assert_eq!(proof, format!("\0us\0{PASSWORD}").into_bytes());
            let heard = smtp.in_the_clear();
            let commands: Vec<&str> = heard.iter().filter_map(|line| line.split(' ').next()).collect();
            let expected: &[&str] = if secure == "true" { &[] } else { &["EHLO", "STARTTLS"] };
            assert_eq!(commands, expected);
            let printed = server.printed();
            assert!(!printed.contains(PASSWORD) && !printed.contains("did not take"), "{printed}");
        }
        // Without a password TLS is used where it is offered.
        let smtp = house.smtp(Encryption::Offered).await;
        let _server = house.write(&smtp, &[trusted]).await;
        smtp.next(ADMIN_EMAIL).await;
        assert!(smtp.in_the_clear().iter().all(|line| !line.starts_with("MAIL")));
    })
    .await;
}

#[tokio::test]
async fn nothing_is_sent_to_a_mail_server_that_nobody_vouches_for() {
    each_database(async |engine| {
        let house = House::new(engine, "127.0.0.1").await;
        let trusted = ("SSL_CERT_FILE", house.file.as_str());
        let unknown = "invalid peer certificate: UnknownIssuer";
        let smtp = house.smtp(Encryption::Always).await;
        house.refused(&smtp, &with_password(&[("EMAIL_SMTP_SECURE", "true")]), unknown).await;
        let smtp = house.smtp(Encryption::Offered).await;
        house.refused(&smtp, &with_password(&[]), unknown).await;
        // What is offered and fails is no reason to go on without.
        house.refused(&smtp, &[], unknown).await;
        let other = House::new(engine, "mail.example").await;
        let smtp = other.smtp(Encryption::Always).await;
        let settings = [("SSL_CERT_FILE", other.file.as_str()), ("EMAIL_SMTP_SECURE", "true")];
        other.refused(&smtp, &settings, "certificate not valid for name").await;

        let smtp = house.smtp(Encryption::Never).await;
        let missing = "STARTTLS is not supported on this server";
        house.refused(&smtp, &with_password(&[trusted]), missing).await;
        house.refused(&smtp, &[trusted, ("EMAIL_SMTP_REQUIRE_TLS", "true")], missing).await;
    })
    .await;
}
