//! What an OpenID provider says of itself, and its keys; both are kept for a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::BUDGET;
use crate::outbound::Outbound;

/// How long what a provider says of itself is believed.
const BELIEVED: Duration = Duration::from_secs(3600);
/// A key that is not known may be new, but is asked for no more often than this.
const BETWEEN_QUESTIONS: Duration = Duration::from_secs(30);

/// What an OpenID provider says of itself (OpenID Connect Discovery 1.0, 3).
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) userinfo_endpoint: Option<String>,
    jwks_uri: String,
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

/// Knows one provider. Whoever asks while it is being asked waits for the same answer.
pub(super) struct Discovery {
    issuer: String,
    metadata: Mutex<Option<(Instant, Arc<Metadata>)>>,
    keys: Mutex<Option<(Instant, Arc<Vec<Jwk>>)>>,
}

impl Discovery {
    pub(super) fn new(issuer: String) -> Self {
        Discovery { issuer, metadata: Mutex::default(), keys: Mutex::default() }
    }

    pub(super) async fn metadata(&self, outbound: &Outbound) -> Result<Arc<Metadata>, String> {
        let mut kept = self.metadata.lock().await;
        if let Some((_, metadata)) = kept.as_ref().filter(|(since, _)| since.elapsed() < BELIEVED) {
            return Ok(metadata.clone());
        }
        let address = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let metadata: Metadata = document(outbound, &address).await?;
        // Whoever answers in the name of another issuer could vouch for its people.
        if metadata.issuer != self.issuer {
            return Err(format!("it calls itself {:?} instead of {:?}", metadata.issuer, self.issuer));
        }
        let metadata = Arc::new(metadata);
        *kept = Some((Instant::now(), metadata.clone()));
        Ok(metadata)
    }

    /// Keys for signatures; asked for again when one is named that is not among them.
    pub(super) async fn keys(
        &self,
        outbound: &Outbound,
        metadata: &Metadata,
        wanted: Option<&str>,
    ) -> Result<Arc<Vec<Jwk>>, String> {
        let mut kept = self.keys.lock().await;
        let has = |keys: &[Jwk]| {
            wanted.is_none_or(|kid| keys.iter().any(|key| key.common.key_id.as_deref() == Some(kid)))
        };
        let is_enough = |(since, keys): &&(Instant, Arc<Vec<Jwk>>)| {
            let age = since.elapsed();
            age < BETWEEN_QUESTIONS || (age < BELIEVED && has(keys))
        };
        if let Some((_, keys)) = kept.as_ref().filter(is_enough) {
            return Ok(keys.clone());
        }
        #[derive(Deserialize)]
        struct Keys {
            keys: Vec<Value>,
        }
        let found: Keys = document(outbound, &metadata.jwks_uri).await?;
        // A key of a kind that we do not know is no reason to do without the others.
        let keys = found.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        let is_for_signatures = |key: &Jwk| {
            key.common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature)
        };
        let keys: Arc<Vec<Jwk>> = Arc::new(keys.filter(is_for_signatures).collect());
        *kept = Some((Instant::now(), keys.clone()));
        Ok(keys)
    }
}

async fn document<T: for<'d> Deserialize<'d>>(outbound: &Outbound, address: &str) -> Result<T, String> {
    let answer = outbound.get(address, &[], BUDGET).await.map_err(|failure| failure.to_string())?;
    if answer.status != 200 {
        return Err(format!("{address} answers with status {}", answer.status));
    }
    serde_json::from_slice(&answer.body).map_err(|error| format!("{address} is not as expected: {error}"))
}
