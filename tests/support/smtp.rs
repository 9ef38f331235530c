//! A mail server that takes every letter and keeps it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A letter, as it arrived.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// Whom the envelope names.
    pub to: Vec<String>,
    /// Everything: headers and parts.
    pub raw: String,
}

/// What is encrypted of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// Nothing: it is not offered.
    Never,
    /// What follows STARTTLS, for clients that want it.
    Offered,
    /// Everything.
    Always,
}

/// The server.
pub struct Smtp {
    pub port: u16,
    kept: Arc<Kept>,
}

/// What it was sent.
#[derive(Default)]
struct Kept {
    arrived: Mutex<Vec<Arrived>>,
    /// Commands that everybody on the way could read, and those that nobody could.
    in_the_clear: Mutex<Vec<String>>,
    encrypted: Mutex<Vec<String>>,
}

/// How the server speaks.
#[derive(Clone)]
struct Manner {
    offers_tls: bool,
    is_encrypted: bool,
    kept: Arc<Kept>,
}

/// How a conversation ended.
#[derive(PartialEq, Eq)]
enum End {
    Quit,
    StartTls,
}

impl Smtp {
    pub async fn start() -> Self {
        Self::listen(Encryption::Never, None).await
    }

    /// One that has the key of a certificate, both in DER.
    pub async fn encrypted(encryption: Encryption, certificate: Vec<u8>, key: Vec<u8>) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.into()], PrivatePkcs8KeyDer::from(key).into())
            .expect("a certificate and its key");
        Self::listen(encryption, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn listen(encryption: Encryption, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let kept: Arc<Kept> = Arc::default();
        let offers_tls = encryption == Encryption::Offered;
        let manner = Manner { offers_tls, is_encrypted: false, kept: kept.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, encryption, tls.clone(), manner.clone()));
            }
        });
        Smtp { port, kept }
    }

    /// The commands that everybody on the way could read.
    pub fn in_the_clear(&self) -> Vec<String> {
        self.kept.in_the_clear.lock().expect("not poisoned").clone()
    }

    /// The commands that nobody on the way could read.
    pub fn encrypted_commands(&self) -> Vec<String> {
        self.kept.encrypted.lock().expect("not poisoned").clone()
    }

    /// The next letter to this address, which is waited for and taken away.
    pub async fn next(&self, to: &str) -> Arrived {
        let began = Instant::now();
        loop {
            if let Some(letter) = self.take(to) {
                return letter;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "no letter to {to}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How many letters wait to be taken away.
    pub fn waiting(&self) -> usize {
        self.kept.arrived.lock().expect("not poisoned").len()
    }

    fn take(&self, to: &str) -> Option<Arrived> {
        let mut arrived = self.kept.arrived.lock().expect("not poisoned");
        let position = arrived.iter().position(|letter| letter.to.iter().any(|known| known == to))?;
        Some(arrived.remove(position))
    }
}

/// Clients that do not trust the certificate end the handshake, which is their right.
async fn serve(
    stream: TcpStream,
    encryption: Encryption,
    tls: Option<TlsAcceptor>,
    manner: Manner,
) -> std::io::Result<()> {
    let encrypted = Manner { offers_tls: false, is_encrypted: true, ..manner.clone() };
    let mut stream = stream;
    if encryption != Encryption::Always {
        stream.write_all(b"220 sink\r\n").await?;
        if converse(&mut stream, &manner).await? == End::Quit {
            return Ok(());
        }
    }
    let Some(tls) = tls else { return Ok(()) };
    let mut stream = tls.accept(stream).await?;
    if encryption == Encryption::Always {
        stream.write_all(b"220 sink\r\n").await?;
    }
    converse(&mut stream, &encrypted).await?;
    Ok(())
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    manner: &Manner,
) -> std::io::Result<End> {
    let kept = &manner.kept;
    let (reader, mut writer) = tokio::io::split(stream);
    let mut lines = BufReader::new(reader).lines();
    let mut to = Vec::new();
    while let Some(line) = lines.next_line().await? {
        let heard = if manner.is_encrypted { &kept.encrypted } else { &kept.in_the_clear };
        heard.lock().expect("not poisoned").push(line.clone());
        let upper = line.to_ascii_uppercase();
        let reply = if upper.starts_with("EHLO") && manner.offers_tls {
            "250-sink\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n"
        } else if upper.starts_with("EHLO") {
            "250-sink\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n"
        } else if upper == "STARTTLS" && manner.offers_tls {
            writer.write_all(b"220 go on\r\n").await?;
            return Ok(End::StartTls);
        } else if upper.starts_with("AUTH ") {
            "235 known\r\n"
        } else if upper.starts_with("RCPT TO:") {
            let address = line.split(['<', '>']).nth(1).unwrap_or_default();
            to.push(address.to_owned());
            "250 ok\r\n"
        } else if upper == "DATA" {
            writer.write_all(b"354 go on\r\n").await?;
            let mut raw = String::new();
            while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                raw.push_str(line.strip_prefix('.').unwrap_or(&line));
                raw.push_str("\r\n");
            }
            let letter = Arrived { to: std::mem::take(&mut to), raw };
            kept.arrived.lock().expect("not poisoned").push(letter);
            "250 kept\r\n"
        } else if upper == "QUIT" {
            writer.write_all(b"221 bye\r\n").await?;
            return Ok(End::Quit);
        } else {
            "250 ok\r\n"
        };
        writer.write_all(reply.as_bytes()).await?;
    }
    Ok(End::Quit)
}

impl Arrived {
    /// A header, as it was sent.
    pub fn header(&self, name: &str) -> &str {
        let start = format!("{name}: ");
        self.raw.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_default()
    }

    /// The part that is plain text.
    pub fn text(&self) -> String {
        let part = self.raw.split("\r\n--").find(|part| part.contains("Content-Type: text/plain"));
        let part = part.unwrap_or_else(|| panic!("no text in {}", self.raw));
        let (headers, body) = part.split_once("\r\n\r\n").expect("headers and a body");
        if headers.contains("quoted-printable") {
            quoted_printable(body)
        } else if headers.contains("base64") {
            let joined: String = body.split_whitespace().collect();
            let bytes = base64::engine::general_purpose::STANDARD.decode(joined).expect("base64");
            String::from_utf8(bytes).expect("UTF-8")
        } else {
            body.to_owned()
        }
    }

    /// The link in it.
    pub fn link(&self) -> String {
        let text = self.text();
        let link = text.lines().find(|line| line.starts_with("http"));
        link.unwrap_or_else(|| panic!("no link in {text}")).trim().to_owned()
    }

    /// The token in its link.
    pub fn token(&self) -> String {
        let link = self.link();
        link.split_once("token=").unwrap_or_else(|| panic!("no token in {link}")).1.to_owned()
    }
}

fn quoted_printable(body: &str) -> String {
    let joined = body.replace("=\r\n", "");
    let mut bytes = Vec::with_capacity(joined.len());
    let mut rest = joined.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()).filter(|_| *first == b'=') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}
