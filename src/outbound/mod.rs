//! Requests that the server itself sends.
//!
//! Start at [`Outbound`]: the one way out. Whatever address a caller makes the server go to, it only reaches what everybody on the
//! internet can reach, and what the operator listed; `guard` is the judge.

mod guard;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Client, Method, Response, StatusCode, Url};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::{Instant, timeout_at};

use crate::config::OutgoingConfig;
use guard::Guard;

/// Most answers that only say where to go instead.
const MOST_REDIRECTS: usize = 5;
/// A download may come in pieces of this size past its bound before it is cut off.
const MOST_BEYOND: usize = 1 << 20;
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no answer. What it says may be logged, and tells a caller nothing about networks it cannot see.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The address is none that may be asked.
    #[error("{0} may not be reached from here; OUTGOING_ALLOW lists exceptions")]
    Refused(String),
    /// What was given is no address at all.
    #[error("the address is no URL with http or https")]
    NoAddress,
    /// There was no answer in time.
    #[error("{0} did not answer within {1:?}")]
    TooSlow(String, Duration),
    /// The answer is too long.
    #[error("the answer of {0} is longer than {1} bytes")]
    TooLong(String, usize),
    /// It leads from one address to the next.
    #[error("{0} redirects too often")]
    TooManyRedirects(String),
    /// It answers something else than what was asked for.
    #[error("{0} answers with status {1}")]
    Status(String, u16),
    /// It cannot be reached.
    #[error("{0} cannot be reached: {1}")]
    Unreachable(String, String),
}

/// What came back.
#[derive(Debug)]
pub struct Received {
    /// Status of the answer.
    pub status: u16,
    /// Its body.
    pub body: Vec<u8>,
}

/// An answer that is taken as it comes in.
pub struct Download {
    response: Response,
    url: Url,
    end: Instant,
    budget: Budget,
    taken_bytes: usize,
}

impl Download {
    /// The media type that the other end says it has.
    pub fn content_type(&self) -> Option<&str> {
        let value = self.response.headers().get(CONTENT_TYPE)?.to_str().ok()?;
        Some(value.split(';').next().unwrap_or_default().trim())
    }

    /// The length that the other end announced.
    pub fn announced_bytes(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next bytes; `None` at the end.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        match timeout_at(self.end, self.response.chunk()).await {
            Ok(Ok(Some(piece))) => {
                self.taken_bytes += piece.len();
                // One byte more tells whoever counts that there are too many.
                if self.taken_bytes > self.budget.most_bytes.saturating_add(MOST_BEYOND) {
                    return Err(Failure::TooLong(name(&self.url), self.budget.most_bytes));
                }
                Ok(Some(piece))
            }
            Ok(Ok(None)) => Ok(None),
            Ok(Err(error)) => Err(failure(error, &self.url, self.budget)),
            Err(_) => Err(Failure::TooSlow(name(&self.url), self.budget.time)),
        }
    }
}

/// How much a caller is ready to spend on an answer.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Longest time until the last byte of it, redirects included.
    pub time: Duration,
    /// Most bytes.
    pub most_bytes: usize,
}

/// The way out.
pub struct Outbound {
    guard: Arc<Guard>,
    /// Made for the first request, since reading the system's certificates takes its time.
    client: OnceLock<Client>,
}

impl Outbound {
    /// With the exceptions that the operator listed.
    pub fn new(config: &OutgoingConfig) -> Self {
        let guard = Guard::new(config.allow.clone(), config.deny.clone());
        Outbound { guard: Arc::new(guard), client: OnceLock::new() }
    }

    /// Asks for a document, following redirects, each of which is judged like the first address. `headers` go to the first host only.
    pub async fn get(
        &self,
        url: &str,
        headers: &[(HeaderName, String)],
        budget: Budget,
    ) -> Result<Received, Failure> {
        let end = Instant::now() + budget.time;
        let first = address(url)?;
        let mut url = first.clone();
        for _ in 0..=MOST_REDIRECTS {
            let headers = if url.origin() == first.origin() { headers } else { &[] };
            let response = self.send(Method::GET, &url, headers, None, end, budget).await?;
            match redirect(&response, &url)? {
                Some(next) => url = next,
                None => return receive(response, &url, end, budget).await,
            }
        }
        Err(Failure::TooManyRedirects(name(&first)))
    }

    /// Asks for something that is taken as it comes in, and may be large. Redirects are followed and judged like in [`Outbound::get`].
    pub async fn download(&self, url: &str, budget: Budget) -> Result<Download, Failure> {
        let end = Instant::now() + budget.time;
        let first = address(url)?;
        let mut url = first.clone();
        for _ in 0..=MOST_REDIRECTS {
            let response = self.send(Method::GET, &url, &[], None, end, budget).await?;
            match redirect(&response, &url)? {
                Some(next) => url = next,
                None if response.status().is_success() => {
                    return Ok(Download { response, url, end, budget, taken_bytes: 0 });
                }
                None => return Err(Failure::Status(name(&url), response.status().as_u16())),
            }
        }
        Err(Failure::TooManyRedirects(name(&first)))
    }

    /// Sends a form. Redirects are not followed: what the form holds is meant for this address alone.
    pub async fn post_form(
        &self,
        url: &str,
        form: &[(&str, &str)],
        headers: &[(HeaderName, String)],
        budget: Budget,
    ) -> Result<Received, Failure> {
        let end = Instant::now() + budget.time;
        let url = address(url)?;
        let response = self.send(Method::POST, &url, headers, Some(form), end, budget).await?;
        receive(response, &url, end, budget).await
    }

    async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: &[(HeaderName, String)],
        form: Option<&[(&str, &str)]>,
        end: Instant,
        budget: Budget,
    ) -> Result<Response, Failure> {
        // Names are judged where they are resolved; what is an address already never gets there.
        if let Some(ip) = literal(url) {
            self.guard.judge(None, ip).map_err(|()| Failure::Refused(name(url)))?;
        }
        let mut request = self.client().request(method, url.clone());
        let mut map = HeaderMap::new();
        for (header, value) in headers {
            let mut value = HeaderValue::from_str(value)
                .map_err(|_| Failure::Unreachable(name(url), format!("{header} cannot be sent")))?;
            value.set_sensitive(true);
            map.insert(header.clone(), value);
        }
        request = request.headers(map);
        if let Some(form) = form {
            request = request.form(form);
        }
        match timeout_at(end, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(failure(error, url, budget)),
            Err(_) => Err(Failure::TooSlow(name(url), budget.time)),
        }
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| {
            Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .connect_timeout(CONNECT_TIMEOUT)
                .user_agent("Tablature")
                .dns_resolver(GuardedResolver(self.guard.clone()))
                .tls_backend_preconfigured(tls())
                .build()
                .expect("nothing in these settings depends on anything outside")
        })
    }
}

/// The certificates that browsers trust and those that the operator added to the system.
pub fn tls() -> ClientConfig {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Resolves names to those of their addresses that may be reached: what is connected to is what was judged.
struct GuardedResolver(Arc<Guard>);

impl Resolve for GuardedResolver {
    fn resolve(&self, host: Name) -> Resolving {
        let guard = self.0.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> =
                found.into_iter().filter(|at| guard.judge(Some(host.as_str()), at.ip()).is_ok()).collect();
            if allowed.is_empty() {
                return Err(NotReachable.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// A name none of whose addresses may be reached.
#[derive(Debug, thiserror::Error)]
#[error("none of its addresses may be reached")]
struct NotReachable;

fn address(url: &str) -> Result<Url, Failure> {
    let url = Url::parse(url).map_err(|_| Failure::NoAddress)?;
    check_scheme(url)
}

fn check_scheme(url: Url) -> Result<Url, Failure> {
    if matches!(url.scheme(), "http" | "https") && url.host().is_some() {
        Ok(url)
    } else {
        Err(Failure::NoAddress)
    }
}

fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        url::Host::Ipv4(ip) => Some(IpAddr::V4(ip)),
        url::Host::Ipv6(ip) => Some(IpAddr::V6(ip)),
        url::Host::Domain(_) => None,
    }
}

fn redirect(response: &Response, url: &Url) -> Result<Option<Url>, Failure> {
    let moves = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    let Some(location) = response.headers().get(LOCATION).filter(|_| moves) else { return Ok(None) };
    let location = location.to_str().map_err(|_| Failure::NoAddress)?;
    url.join(location).map_err(|_| Failure::NoAddress).and_then(check_scheme).map(Some)
}

async fn receive(
    mut response: Response,
    url: &Url,
    end: Instant,
    budget: Budget,
) -> Result<Received, Failure> {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    loop {
        match timeout_at(end, response.chunk()).await {
            Ok(Ok(Some(piece))) if body.len() + piece.len() > budget.most_bytes => {
                return Err(Failure::TooLong(name(url), budget.most_bytes));
            }
            Ok(Ok(Some(piece))) => body.extend_from_slice(&piece),
            Ok(Ok(None)) => return Ok(Received { status, body }),
            Ok(Err(error)) => return Err(failure(error, url, budget)),
            Err(_) => return Err(Failure::TooSlow(name(url), budget.time)),
        }
    }
}

/// Host and port: paths and parameters may hold secrets.
fn name(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn failure(error: reqwest::Error, url: &Url, budget: Budget) -> Failure {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    loop {
        if cause.is::<NotReachable>() {
            return Failure::Refused(name(url));
        }
        match cause.source() {
            Some(inner) => cause = inner,
            None if error.is_timeout() => return Failure::TooSlow(name(url), budget.time),
            None => return Failure::Unreachable(name(url), cause.to_string()),
        }
    }
}
