//! What the operator decides.
//!
//! Start at [`Config::load`]. Settings come from the environment, then `.env`, then `tablature.toml`; [`settings::SETTINGS`] lists
//! them all. Every mistake is found at once and named. Nothing here knows what a setting is used for.

mod edge;
mod email;
mod files;
mod graphql;
mod provider;
mod read;
mod secret;
pub mod settings;
mod sockets;
mod source;
mod transfer;
mod value;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use edge::{CorsConfig, Origins, OutgoingConfig, Rate, RateLimitsConfig, Reachable};
pub use email::{EmailConfig, LinksConfig, SmtpConfig, SmtpTls};
pub use files::{AssetsConfig, FilesConfig, LocationConfig, LocationDriver, S3Config, TusConfig};
pub use graphql::GraphqlConfig;
pub use provider::{ClientAuth, ProviderConfig, ProviderDriver, ProviderMode, ProvidersConfig};
pub use read::ConfigErrors;
pub use secret::{Secret, Secrets};
pub use sockets::{DoorConfig, SocketAuth, SocketsConfig};
pub use source::Sources;
pub use transfer::TransferConfig;
pub use value::Network;

/// Everything the operator decides, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The HTTP server.
    pub server: ServerConfig,
    /// The first administrator.
    pub admin: AdminConfig,
    /// Tokens.
    pub auth: AuthConfig,
    /// Letters.
    pub email: EmailConfig,
    /// Sockets; `None` where there are none.
    pub sockets: Option<SocketsConfig>,
    /// The database.
    pub database: DatabaseConfig,
    /// What a request may ask for.
    pub limits: LimitsConfig,
    /// GraphQL.
    pub graphql: GraphqlConfig,
    /// Imports and exports.
    pub transfer: TransferConfig,
    /// How often somebody may ask.
    pub rate_limits: RateLimitsConfig,
    /// Address of Redis, with credentials.
    pub redis: Option<Secret<String>>,
    /// Who signs people in beside us.
    pub providers: ProvidersConfig,
    /// Where the server itself may ask.
    pub outgoing: OutgoingConfig,
    /// Files.
    pub files: FilesConfig,
    /// Logs.
    pub log: LogConfig,
    /// The folders of the project.
    pub project: ProjectConfig,
}

/// The HTTP server.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Address to listen on.
    pub host: String,
    /// Port to listen on; 0 lets the system choose.
    pub port: u16,
    /// Address under which people reach the server.
    pub public_url: String,
    /// Threads that answer requests.
    pub workers: usize,
    /// Largest JSON body.
    pub max_payload_bytes: usize,
    /// Deepest nesting of a JSON body.
    pub max_json_depth: usize,
    /// How long requests in flight may take once the server is told to stop.
    pub shutdown_timeout: Duration,
    /// How long a client may read nothing of what is sent to it.
    pub send_timeout: Duration,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: TrustedProxies,
    /// The header in which a trusted proxy tells the client's address; `None` for `X-Forwarded-For`.
    pub address_header: Option<String>,
    /// Answers are compressed for those who ask.
    pub compression: bool,
    /// Which pages of other origins may read answers; `None` for none.
    pub cors: Option<CorsConfig>,
    /// How long browsers shall insist on https.
    pub hsts: Option<Duration>,
}

/// Whose `X-Forwarded-For` is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustedProxies {
    /// Nobody's.
    Nobody,
    /// Whoever connects: only for servers that cannot be reached but through a proxy.
    Everybody,
    /// Those of these networks.
    Networks(Vec<Network>),
    /// Those of so many proxies, one behind the other, the nearest being whoever connects.
    Hops(usize),
}

impl TrustedProxies {
    /// Whether what this address forwards is believed; `hop` is how many proxies stand between it and this server.
    pub fn trusts(&self, address: IpAddr, hop: usize) -> bool {
        match self {
            TrustedProxies::Nobody => false,
            TrustedProxies::Everybody => true,
            TrustedProxies::Networks(networks) => networks.iter().any(|network| network.contains(address)),
            TrustedProxies::Hops(most) => hop < *most,
        }
    }
}

/// The first administrator, made when there is none.
#[derive(Debug, Clone)]
pub struct AdminConfig {
    /// E-mail to sign in with.
    pub email: String,
    /// Password; generated and printed once when unset.
    pub password: Option<Secret<String>>,
    /// Static token.
    pub token: Option<Secret<String>>,
}

/// Tokens.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// Key of signatures; generated and kept under the data folder when unset.
    pub secret: Option<Secret<String>>,
    /// Life of an access token.
    pub access_token_ttl: Duration,
    /// Life of a refresh token.
    pub refresh_token_ttl: Duration,
    /// Life of a session that lives in a cookie.
    pub session_ttl: Duration,
    /// Cookie of refresh tokens, in the mode `cookie`.
    pub refresh_cookie: CookieConfig,
    /// Cookie of sessions, in the mode `session`.
    pub session_cookie: CookieConfig,
}

/// How a cookie is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieConfig {
    /// Its name.
    pub name: String,
    /// Hosts below this domain get it too; `None` for the host that wrote it alone.
    pub domain: Option<String>,
    /// Sent over https only.
    pub secure: bool,
    /// Whether requests from other sites carry it.
    pub same_site: SameSite,
}

/// Whether requests from other sites carry a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Never.
    Strict,
    /// When somebody follows a link.
    Lax,
    /// Always.
    None,
}

/// The database.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// Which, and where.
    pub target: DatabaseTarget,
    /// Most connections.
    pub pool_max: u32,
    /// How long a request waits for a connection.
    pub acquire_timeout: Duration,
    /// Longest run of one statement.
    pub statement_timeout: Duration,
    /// SQLite: threads for reads whose cost is not bounded.
    pub sqlite_readers: usize,
    /// PostgreSQL: the database keeps tenants apart by itself, too.
    pub row_security: bool,
}

/// Which database, and where.
#[derive(Debug, Clone)]
pub enum DatabaseTarget {
    /// A file.
    Sqlite {
        /// Its path.
        path: PathBuf,
    },
    /// A PostgreSQL server, as a URL.
    Postgres {
        /// With credentials.
        url: Secret<String>,
    },
    /// A MariaDB or MySQL server, as a URL.
    Mysql {
        /// With credentials.
        url: Secret<String>,
    },
}

/// What a request may ask for.
#[derive(Debug, Clone)]
pub struct LimitsConfig {
    /// Rows when the query names no limit.
    pub query_default: i64,
    /// Most rows a query may ask for; `-1` for no limit.
    pub query_max: i64,
    /// Deepest nesting of fields, filter, sort and deep.
    pub relational_depth: usize,
    /// Most conditions in a filter.
    pub filter_conditions: usize,
    /// Most entries of `fields`, `sort`, `groupBy`, `alias`.
    pub query_entries: usize,
    /// Most relations one read may follow.
    pub query_relations: usize,
    /// Most items in one write.
    pub batch_mutation: usize,
}

/// Logs.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// Least severe level written.
    pub level: LogLevel,
    /// Form of a line.
    pub style: LogStyle,
}

/// Severity of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Nothing at all.
    Silent,
    /// What went wrong.
    Error,
    /// And what may go wrong.
    Warn,
    /// And what the server does.
    Info,
    /// And every request.
    Debug,
    /// And every step.
    Trace,
}

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStyle {
    /// One JSON object.
    Raw,
    /// For eyes.
    Pretty,
}

/// The folders of the project.
#[derive(Debug, Clone)]
pub struct ProjectConfig {
    /// Collections as YAML.
    pub collections: PathBuf,
    /// What the server keeps for itself.
    pub data: PathBuf,
    /// Items loaded into an empty database.
    pub demo_data: Option<PathBuf>,
    /// Changed files are taken over while serving.
    pub watch: bool,
    /// What is changed over the API in roles, policies and permissions is written into the files.
    pub write_back: bool,
    /// Variables that files may name instead of holding a secret.
    pub secrets: Secrets,
}

impl Config {
    /// Reads the settings of this process and of the files in the working directory.
    pub fn load() -> Result<Config, ConfigErrors> {
        Config::from_sources(&Sources::of_process()?)
    }

    /// Checks settings that are already gathered.
    pub fn from_sources(sources: &Sources) -> Result<Config, ConfigErrors> {
        read::read(sources)
    }
}
