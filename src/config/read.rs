//! Reads every setting, collecting what is wrong.

mod edge;
mod email;
mod files;
mod graphql;
mod provider;
mod sockets;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::source::{Place, Sources};
use super::value::{self, Parsed};
use super::{
    AdminConfig, AuthConfig, Config, CookieConfig, DatabaseConfig, DatabaseTarget, LimitsConfig, LogConfig,
    LogLevel, LogStyle, ProjectConfig, SameSite, Secret, ServerConfig, TransferConfig, TrustedProxies,
    settings,
};

/// Everything that is wrong with the settings, never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<Finding>);

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    text: String,
}

impl Finding {
    pub(super) fn new(name: &str, place: Place, problem: &str) -> Self {
        Finding { text: format!("{name} ({}) {problem}", place.name()) }
    }

    pub(super) fn about_file(file: &str, problem: &str) -> Self {
        Finding { text: format!("{file}: {problem}") }
    }
}

impl ConfigErrors {
    pub(super) fn from_findings(findings: Vec<Finding>) -> Result<(), ConfigErrors> {
        if findings.is_empty() { Ok(()) } else { Err(ConfigErrors(findings)) }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {} mistake(s):", self.0.len())?;
        self.0.iter().try_for_each(|finding| write!(f, "\n  {}", finding.text))
    }
}

impl std::error::Error for ConfigErrors {}

struct Reader<'a> {
    sources: &'a Sources,
    findings: Vec<Finding>,
    read: Vec<&'static str>,
}

impl Reader<'_> {
    /// The value of a setting, `None` when unset or malformed (which is then among the findings).
    fn optional<T>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Parsed<T>) -> Option<T> {
        self.read.push(name);
        let (text, place) = self.sources.get(name)?;
        parse(text).map_err(|problem| self.findings.push(Finding::new(name, place, &problem))).ok()
    }

    fn or<T>(&mut self, name: &'static str, default: T, parse: impl FnOnce(&str) -> Parsed<T>) -> T {
        self.optional(name, parse).unwrap_or(default)
    }

    fn path(&mut self, name: &'static str, default: &str) -> PathBuf {
        PathBuf::from(self.or(name, default.to_owned(), value::text))
    }

    fn secret(&mut self, name: &'static str, least_characters: usize) -> Option<Secret<String>> {
        self.optional(name, |text| {
            if text.chars().count() < least_characters {
                Err(format!("must have at least {least_characters} characters"))
            } else {
                Ok(Secret::new(text.to_owned()))
            }
        })
    }

    fn unknown_names(&mut self) {
        for (name, place) in self.sources.names() {
            let is_ours =
                place == Place::Toml || settings::OWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
            if !is_ours
                || settings::find(name).is_some()
                || settings::is_of_provider(name)
                || settings::is_of_location(name)
            {
                continue;
            }
            let nearest = settings::all()
                .map(|setting| (strsim::damerau_levenshtein(setting.name, name), setting.name))
                .min()
                .filter(|(distance, _)| *distance <= 3);
            let hint = nearest.map(|(_, nearest)| format!("; did you mean {nearest}?")).unwrap_or_default();
            self.findings.push(Finding::new(name, place, &format!("is no setting{hint}")));
        }
    }
}

pub(super) fn read(sources: &Sources) -> Result<Config, ConfigErrors> {
    let mut reader = Reader { sources, findings: Vec::new(), read: Vec::new() };
    let redis = edge::redis(&mut reader);
    let server = server(&mut reader);
    let is_https = server.public_url.starts_with("https://");
    let config = Config {
        server,
        admin: AdminConfig {
            email: reader.or("ADMIN_EMAIL", "admin@example.com".to_owned(), value::email),
            password: reader.secret("ADMIN_PASSWORD", 8),
            token: reader.secret("ADMIN_TOKEN", 8),
        },
        auth: AuthConfig {
            secret: reader.secret("SECRET", 32),
            access_token_ttl: reader.or("ACCESS_TOKEN_TTL", Duration::from_secs(900), value::duration),
            refresh_token_ttl: reader.or("REFRESH_TOKEN_TTL", Duration::from_secs(604_800), value::duration),
            session_ttl: reader.or("SESSION_COOKIE_TTL", Duration::from_secs(86_400), value::duration),
            refresh_cookie: cookie(&mut reader, &REFRESH_COOKIE, is_https),
            session_cookie: cookie(&mut reader, &SESSION_COOKIE, is_https),
        },
        email: email::email(&mut reader),
        sockets: sockets::sockets(&mut reader),
        database: database(&mut reader),
        limits: LimitsConfig {
            query_default: reader.or("QUERY_LIMIT_DEFAULT", 100, value::whole(-1, i64::MAX)),
            query_max: reader.or("QUERY_LIMIT_MAX", -1, value::whole(-1, i64::MAX)),
            relational_depth: reader.or("MAX_RELATIONAL_DEPTH", 10, value::whole(1, 32)),
            filter_conditions: reader.or("MAX_FILTER_CONDITIONS", 500, value::whole(1, 100_000)),
            query_entries: reader.or("MAX_QUERY_ENTRIES", 200, value::whole(1, 100_000)),
            query_relations: reader.or("MAX_QUERY_RELATIONS", 500, value::whole(1, 100_000)),
            batch_mutation: reader.or("MAX_BATCH_MUTATION", 10_000, value::whole(1, 10_000_000)),
        },
        graphql: graphql::graphql(&mut reader),
        transfer: TransferConfig {
            import_max_bytes: reader.or("IMPORT_MAX_SIZE", 50 << 20, value::size) as u64,
            at_once: reader.or("MAX_TRANSFERS", 4, value::whole(1, 1000)),
        },
        rate_limits: edge::rate_limits(&mut reader, redis.is_some()),
        redis,
        outgoing: edge::outgoing(&mut reader),
        files: files::files(&mut reader),
        providers: provider::providers(&mut reader),
        log: LogConfig {
            level: reader.or("LOG_LEVEL", LogLevel::Info, value::log_level),
            style: reader.or("LOG_STYLE", LogStyle::Raw, value::log_style),
        },
        project: ProjectConfig {
            collections: reader.path("COLLECTIONS_PATH", "collections"),
            data: reader.path("DATA_PATH", "data"),
            demo_data: reader.optional("DEMO_DATA", value::text).map(PathBuf::from),
            watch: reader.or("WATCH", true, value::boolean),
            write_back: reader.or("WRITE_BACK", true, value::boolean),
            secrets: sources.secrets(),
        },
    };
    reader.unknown_names();
    debug_assert!(
        settings::all().all(|setting| reader.read.contains(&setting.name)),
        "every setting in the table is read"
    );
    ConfigErrors::from_findings(reader.findings)?;
    Ok(config)
}

fn server(reader: &mut Reader<'_>) -> ServerConfig {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let port = reader.or("PORT", 8055, value::whole(0, u16::MAX));
    ServerConfig {
        host: reader.or("HOST", "0.0.0.0".to_owned(), value::text),
        port,
        public_url: reader.or("PUBLIC_URL", format!("http://localhost:{port}"), value::public_url),
        workers: reader.or("WORKERS", cores, value::whole(1, 512)),
        max_payload_bytes: reader.or("MAX_PAYLOAD_SIZE", 1 << 20, value::size),
        // The deepest that serde_json itself follows is 128.
        max_json_depth: reader.or("MAX_JSON_DEPTH", 64, value::whole(1, 120)),
        shutdown_timeout: reader.or("SHUTDOWN_TIMEOUT", Duration::from_secs(30), value::duration),
        send_timeout: reader.or("SEND_TIMEOUT", Duration::from_secs(60), value::duration),
        trusted_proxies: reader.or("IP_TRUST_PROXY", TrustedProxies::Nobody, value::trusted_proxies),
        address_header: reader.or("IP_CUSTOM_HEADER", None, value::header_name),
        compression: reader.or("COMPRESSION", false, value::boolean),
        cors: edge::cors(reader),
        hsts: hsts(reader),
    }
}

fn hsts(reader: &mut Reader<'_>) -> Option<Duration> {
    let enabled = reader.or("HSTS_ENABLED", false, value::boolean);
    let max_age = reader.or("HSTS_MAX_AGE", Duration::from_secs(180 * 86_400), value::duration);
    enabled.then_some(max_age)
}

/// Names of the settings of one cookie, and the name that the cookie has by default.
struct CookieNames {
    name: &'static str,
    domain: &'static str,
    secure: &'static str,
    same_site: &'static str,
    default: &'static str,
}

const REFRESH_COOKIE: CookieNames = CookieNames {
    name: "REFRESH_TOKEN_COOKIE_NAME",
    domain: "REFRESH_TOKEN_COOKIE_DOMAIN",
    secure: "REFRESH_TOKEN_COOKIE_SECURE",
    same_site: "REFRESH_TOKEN_COOKIE_SAME_SITE",
    default: "directus_refresh_token",
};

const SESSION_COOKIE: CookieNames = CookieNames {
    name: "SESSION_COOKIE_NAME",
    domain: "SESSION_COOKIE_DOMAIN",
    secure: "SESSION_COOKIE_SECURE",
    same_site: "SESSION_COOKIE_SAME_SITE",
    default: "directus_session_token",
};

fn cookie(reader: &mut Reader<'_>, names: &CookieNames, is_https: bool) -> CookieConfig {
    let cookie = CookieConfig {
        name: reader.or(names.name, names.default.to_owned(), value::cookie_name),
        domain: reader.optional(names.domain, value::host_name),
        secure: reader.or(names.secure, is_https, value::boolean),
        same_site: reader.or(names.same_site, SameSite::Lax, value::same_site),
    };
    if cookie.same_site == SameSite::None
        && !cookie.secure
        && let Some((_, place)) = reader.sources.get(names.same_site)
    {
        let problem = format!("is `none`, which browsers take with {} only", names.secure);
        reader.findings.push(Finding::new(names.same_site, place, &problem));
    }
    cookie
}

fn database(reader: &mut Reader<'_>) -> DatabaseConfig {
    let target = database_target(reader);
    let row_security = reader.or("TENANCY_RLS", false, value::boolean);
    if row_security && !matches!(target, DatabaseTarget::Postgres { .. }) {
        let place = reader.sources.get("TENANCY_RLS").map(|(_, place)| place);
        reader.findings.extend(place.map(|place| Finding::new("TENANCY_RLS", place, "needs PostgreSQL")));
    }
    DatabaseConfig {
        target,
        row_security,
        pool_max: reader.or("DB_POOL__MAX", 16, value::whole(1, 10_000)),
        acquire_timeout: reader.or("DB_ACQUIRE_TIMEOUT", Duration::from_secs(5), value::duration),
        statement_timeout: reader.or("STATEMENT_TIMEOUT", Duration::from_secs(30), value::duration),
        sqlite_readers: reader.or("DB_SQLITE_READERS", 2, value::whole(1, 64)),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    Sqlite,
    Postgres,
    Mysql,
}

fn client(value: &str) -> Parsed<Client> {
    match value {
        "sqlite" | "sqlite3" => Ok(Client::Sqlite),
        "pg" | "postgres" | "postgresql" => Ok(Client::Postgres),
        "mysql" | "mariadb" => Ok(Client::Mysql),
        _ => Err("must be `sqlite3`, `pg` or `mysql`".to_owned()),
    }
}

fn database_target(reader: &mut Reader<'_>) -> DatabaseTarget {
    let url = reader.optional("DATABASE_URL", database_url);
    let chosen = reader.optional("DB_CLIENT", client);
    let file = reader.path("DB_FILENAME", "data/tablature.db");
    let host = reader.or("DB_HOST", "localhost".to_owned(), value::text);
    let port = reader.optional("DB_PORT", value::whole(1, u16::MAX));
    let name = reader.optional("DB_DATABASE", value::text);
    let user = reader.optional("DB_USER", value::text);
    let password = reader.secret("DB_PASSWORD", 0);

    if let Some(url) = url {
        if let Some((_, place)) = reader.sources.get("DB_CLIENT") {
            reader.findings.push(Finding::new("DB_CLIENT", place, "and DATABASE_URL exclude each other"));
        }
        return url;
    }
    let client = chosen.unwrap_or(Client::Sqlite);
    if client == Client::Sqlite {
        return DatabaseTarget::Sqlite { path: file };
    }
    for (setting, missing) in [("DB_DATABASE", name.is_none()), ("DB_USER", user.is_none())] {
        if missing && let Some((_, place)) = reader.sources.get("DB_CLIENT") {
            reader.findings.push(Finding::new("DB_CLIENT", place, &format!("needs {setting}")));
        }
    }
    let escape = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let credentials = match &password {
        Some(password) => {
            format!("{}:{}", escape(user.as_deref().unwrap_or_default()), escape(password.expose()))
        }
        None => escape(user.as_deref().unwrap_or_default()),
    };
    let (scheme, default_port) =
        if client == Client::Postgres { ("postgres", 5432) } else { ("mysql", 3306) };
    let port = port.unwrap_or(default_port);
    let name = escape(name.as_deref().unwrap_or_default());
    // A host that is a path is the folder of a socket, which a URL takes as a parameter.
    let url = if host.starts_with('/') {
        let parameter = if client == Client::Postgres { "host" } else { "socket" };
        format!("{scheme}://{credentials}@localhost:{port}/{name}?{parameter}={}", escape(&host))
    } else {
        format!("{scheme}://{credentials}@{host}:{port}/{name}")
    };
    let url = Secret::new(url);
    if client == Client::Postgres { DatabaseTarget::Postgres { url } } else { DatabaseTarget::Mysql { url } }
}

fn database_url(value: &str) -> Parsed<DatabaseTarget> {
    // Never part of the message: the value may hold a password.
    let expected = || "must begin with `sqlite:`, `postgres://` or `mysql://`".to_owned();
    if let Some(path) = value.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return if path.is_empty() {
            Err("names no file".to_owned())
        } else {
            Ok(DatabaseTarget::Sqlite { path: PathBuf::from(path) })
        };
    }
    let (scheme, rest) = value.split_once("://").ok_or_else(expected)?;
    match scheme {
        "postgres" | "postgresql" => {
            Ok(DatabaseTarget::Postgres { url: Secret::new(format!("postgres://{rest}")) })
        }
        "mysql" | "mariadb" => Ok(DatabaseTarget::Mysql { url: Secret::new(format!("mysql://{rest}")) }),
        _ => Err(expected()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(environment: &[(&str, &str)], dotenv: &str, toml: &str) -> Result<Config, String> {
        Sources::from_texts(environment, dotenv, toml)
            .and_then(|sources| Config::from_sources(&sources))
            .map_err(|errors| errors.to_string())
    }

    fn check_refused(environment: &[(&str, &str)], dotenv: &str, toml: &str, expected: &[&str]) {
        let message = load(environment, dotenv, toml).expect_err("refused");
        for part in expected {
            assert!(message.contains(part), "{message} lacks {part}");
        }
    }

    #[test]
    fn defaults() {
        let config = load(&[], "", "").expect("valid");
        assert_eq!((config.server.host.as_str(), config.server.port), ("0.0.0.0", 8055));
        assert!(
            matches!(config.database.target, DatabaseTarget::Sqlite { path } if path.as_os_str() == "data/tablature.db")
        );
    }

    #[test]
    fn precedence() {
        let config =
            load(&[("PORT", "1")], "PORT=2\nHOST=a", "port = 3\nhost = \"b\"\npublic_url = \"http://c/\"");
        let config = config.expect("valid").server;
        assert_eq!((config.port, config.host.as_str(), config.public_url.as_str()), (1, "a", "http://c"));
    }

    #[test]
    fn tables_and_lists() {
        let toml = "ip_trust_proxy = [\"10.0.0.0/8\", \"::1\"]\n[query_limit]\ndefault = 7\nmax = 50\n";
        let config = load(&[], "", toml).expect("valid");
        assert_eq!((config.limits.query_default, config.limits.query_max), (7, 50));
        assert!(config.server.trusted_proxies.trusts("10.1.1.1".parse().expect("address"), 0));
    }

    #[test]
    fn parts_of_a_database_become_a_url() {
        let environment = [
            ("DB_CLIENT", "pg"),
            ("DB_HOST", "db"),
            ("DB_DATABASE", "shop"),
            ("DB_USER", "me"),
            ("DB_PASSWORD", "a:b@c/d"),
        ];
        let config = load(&environment, "", "").expect("valid");
        assert!(!format!("{config:?}").contains("a%3Ab"), "the password shows");
        let DatabaseTarget::Postgres { url } = config.database.target else { panic!("not PostgreSQL") };
        assert_eq!(url.expose(), "postgres://me:a%3Ab%40c%2Fd@db:5432/shop");
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        check_refused(
            &[("PORT", "70000"), ("DB_CLENT", "pg"), ("LOG_LEVEL", "loud")],
            "ACCESS_TOKEN_TTL=soon",
            "qeury_limit_max = 3\nwatch = \"perhaps\"",
            &[
                "6 mistake",
                "PORT (environment) must be a whole number from 0 to 65535",
                "DB_CLENT (environment) is no setting; did you mean DB_CLIENT?",
                "LOG_LEVEL",
                "ACCESS_TOKEN_TTL (.env) must be a duration",
                "QEURY_LIMIT_MAX (tablature.toml) is no setting; did you mean QUERY_LIMIT_MAX?",
                "WATCH (tablature.toml)",
            ],
        );
    }

    #[test]
    fn refused() {
        check_refused(
            &[("DB_CLIENT", "pg")],
            "",
            "",
            &["DB_CLIENT (environment) needs DB_DATABASE", "DB_USER"],
        );
        check_refused(&[("DATABASE_URL", "oracle://u:secret@h/d")], "", "", &["DATABASE_URL", "must begin"]);
        check_refused(&[("SECRET", "short")], "", "", &["SECRET (environment) must have at least 32"]);
        check_refused(&[], "", "port = [[1]]", &["PORT (tablature.toml)"]);
        check_refused(&[], "", "port = \n", &["tablature.toml: line 1"]);
        check_refused(&[], "no equals sign here", "", &[".env"]);
        check_refused(&[("SESSION_COOKIE_SAME_SITE", "none")], "", "", &["SESSION_COOKIE_SECURE only"]);
        check_refused(&[("TENANCY_RLS", "true")], "", "", &["TENANCY_RLS (environment) needs PostgreSQL"]);
        check_refused(&[("EMAIL_TRANSPORT", "smtp")], "", "", &["EMAIL_TRANSPORT", "needs EMAIL_SMTP_HOST"]);
        check_refused(&[("EMAIL_TRANSPORT", "sendmail")], "", "", &["must be `smtp` or `none`"]);
        check_refused(&[("PASSWORD_RESET_URL_ALLOW_LIST", "app.example")], "", "", &["must begin with"]);
        check_refused(&[("SESSION_COOKIE_NAME", "a;b")], "", "", &["SESSION_COOKIE_NAME", "letters"]);
        check_refused(&[("REFRESH_TOKEN_COOKIE_DOMAIN", "a b; Path=/")], "", "", &["host"]);
    }

    #[test]
    fn secrets_of_malformed_values_stay_out_of_messages() {
        let message = load(&[("DATABASE_URL", "oracle://u:hunter2@h/d")], "", "").expect_err("refused");
        assert!(!message.contains("hunter2"));
        let message = load(&[], "DB_PASSWORD=\"hunter2", "").expect_err("refused");
        assert!(!message.contains("hunter2"), "{message}");
    }

    #[test]
    fn documentation_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == settings::documentation(),
            "docs/configuration.md is old: run `tablature settings > docs/configuration.md`"
        );
    }
}
