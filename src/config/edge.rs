//! What the operator decides about the edge: who may ask how often, from which pages, and where the server itself may ask.

use std::time::Duration;

use super::Network;

/// How often somebody may ask; what is `None` is not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimitsConfig {
    /// Requests per address and per user.
    pub requests: Option<Rate>,
    /// Requests of everybody together.
    pub global: Option<Rate>,
    /// Requests per address to the routes that sign in.
    pub sign_in: Option<Rate>,
    /// Registrations per address.
    pub registration: Option<Rate>,
    /// Counted in Redis, for all nodes together.
    pub is_shared: bool,
}

/// So many in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Most requests.
    pub points: u32,
    /// In this time.
    pub duration: Duration,
}

/// Which pages of other origins may read answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsConfig {
    /// Their origins.
    pub origins: Origins,
    /// `Access-Control-Allow-Methods`.
    pub methods: String,
    /// `Access-Control-Allow-Headers`.
    pub allowed_headers: String,
    /// `Access-Control-Expose-Headers`.
    pub exposed_headers: String,
    /// They may send cookies; never so when the origins are [`Origins::Any`].
    pub credentials: bool,
    /// How long a browser may rely on it.
    pub max_age: Duration,
}

/// Origins of pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Whichever.
    Any,
    /// These, as browsers write them.
    Listed(Vec<String>),
}

/// Where the server itself may ask, beside what everybody on the internet can reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutgoingConfig {
    /// Exceptions.
    pub allow: Vec<Reachable>,
    /// What is refused in any case.
    pub deny: Vec<Network>,
}

/// An exception for the server's own requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reachable {
    /// Addresses.
    Network(Network),
    /// A host by its name, wherever it is.
    Host(String),
}
