//! Buckets of object stores that speak S3.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::client::{ClientOptions, HttpClient, HttpConnector};
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, RetryConfig};

use crate::config::S3Config;
use crate::outbound;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest silence.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests that fail for a moment are sent again, for at most so long.
const RETRY_FOR: Duration = Duration::from_secs(20);
const MOST_RETRIES: usize = 3;

/// A bucket as a store; what it has taken is durable, so that both are one.
pub(super) fn open(config: &S3Config) -> object_store::Result<(Arc<dyn ObjectStore>, Arc<dyn ObjectStore>)> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&config.bucket)
        .with_region(&config.region)
        .with_retry(RetryConfig {
            max_retries: MOST_RETRIES,
            retry_timeout: RETRY_FOR,
            ..RetryConfig::default()
        })
        .with_http_connector(Connector)
        .with_virtual_hosted_style_request(!config.force_path_style);
    if let Some(endpoint) = &config.endpoint {
        let endpoint =
            if config.force_path_style { endpoint.clone() } else { hosted(endpoint, &config.bucket) };
        builder = builder.with_allow_http(endpoint.starts_with("http://")).with_endpoint(endpoint);
    }
    if let (Some(key), Some(secret)) = (&config.key, &config.secret) {
        builder = builder.with_access_key_id(key).with_secret_access_key(secret.expose());
    }
    let store = builder.build()?;
    let store: Arc<dyn ObjectStore> = if config.root.is_empty() {
        Arc::new(store)
    } else {
        Arc::new(PrefixStore::new(store, config.root.as_str()))
    };
    Ok((store.clone(), store))
}

/// The address of a bucket that stands in front of its host.
fn hosted(endpoint: &str, bucket: &str) -> String {
    match endpoint.split_once("://") {
        Some((scheme, host)) => format!("{scheme}://{bucket}.{host}"),
        None => endpoint.to_owned(),
    }
}

/// Connections with the certificates that the rest of the server trusts.
#[derive(Debug)]
struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .user_agent("Tablature")
            .tls_backend_preconfigured(outbound::tls())
            .build()
            .map_err(|error| object_store::Error::Generic { store: "S3", source: error.into() })?;
        Ok(HttpClient::new(client))
    }
}
