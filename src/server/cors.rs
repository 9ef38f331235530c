//! Which pages of other origins may read answers (Fetch standard, CORS protocol).
//!
//! An origin that is not listed is told nothing, and none is ever repeated without being listed.

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::config::{CorsConfig, Origins};

/// What is told to pages of other origins.
pub(super) struct Cors {
    origins: Origins,
    credentials: bool,
    methods: HeaderValue,
    allowed_headers: HeaderValue,
    exposed_headers: HeaderValue,
    max_age: HeaderValue,
}

impl Cors {
    pub(super) fn new(config: &CorsConfig) -> Self {
        // The configuration holds names of methods and headers only, which are header values.
        let value = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
        Cors {
            origins: config.origins.clone(),
            credentials: config.credentials,
            methods: value(&config.methods),
            allowed_headers: value(&config.allowed_headers),
            exposed_headers: value(&config.exposed_headers),
            max_age: HeaderValue::from(config.max_age.as_secs()),
        }
    }

    /// A browser asks before it sends the request of a page.
    pub(super) fn is_preflight(request: &HttpRequest) -> bool {
        let headers = request.headers();
        request.method() == Method::OPTIONS
            && headers.contains_key(header::ORIGIN)
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    }

    pub(super) fn add_headers(&self, request: &HttpRequest, headers: &mut HeaderMap) {
        let given = request.headers().get(header::ORIGIN);
        let allowed = match &self.origins {
            Origins::Any => given.map(|_| HeaderValue::from_static("*")),
            Origins::Listed(origins) => {
                headers.append(header::VARY, HeaderValue::from_static("origin"));
                given
                    .filter(|given| origins.iter().any(|origin| origin.as_bytes() == given.as_bytes()))
                    .cloned()
            }
        };
        let Some(origin) = allowed else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        let told: &[(HeaderName, &HeaderValue)] = if Self::is_preflight(request) {
            &[
                (header::ACCESS_CONTROL_ALLOW_METHODS, &self.methods),
                (header::ACCESS_CONTROL_ALLOW_HEADERS, &self.allowed_headers),
                (header::ACCESS_CONTROL_MAX_AGE, &self.max_age),
            ]
        } else {
            &[(header::ACCESS_CONTROL_EXPOSE_HEADERS, &self.exposed_headers)]
        };
        for (name, value) in told {
            headers.insert(name.clone(), (*value).clone());
        }
    }
}
