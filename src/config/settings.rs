//! Every setting there is: the table behind `docs/configuration.md` and behind the search for unknown names.

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Name in the environment and in `.env`; in `tablature.toml` the same in lower case.
    pub name: &'static str,
    /// What stands when it is not set, for people.
    pub default: &'static str,
    /// What it decides.
    pub about: &'static str,
}

const fn setting(name: &'static str, default: &'static str, about: &'static str) -> Setting {
    Setting { name, default, about }
}

/// All of them, grouped as in the documentation.
pub const SETTINGS: &[(&str, &[Setting])] = &[
    (
        "Server",
        &[
            setting("HOST", "0.0.0.0", "Address to listen on."),
            setting("PORT", "8055", "Port to listen on; `0` lets the system choose one, which is logged."),
            setting(
                "PUBLIC_URL",
                "http://localhost:PORT",
                "Address under which people reach the server, with its scheme.",
            ),
            setting("WORKERS", "one per core", "Threads that answer requests."),
            setting(
                "MAX_PAYLOAD_SIZE",
                "1mb",
                "Largest request body. `kb`, `mb` and `gb` count in steps of 1024.",
            ),
            setting("MAX_JSON_DEPTH", "64", "Deepest nesting of a JSON body."),
            setting(
                "SHUTDOWN_TIMEOUT",
                "30s",
                "How long requests in flight may take once the server is told to stop.",
            ),
            setting(
                "IP_TRUST_PROXY",
                "false",
                "Whose `X-Forwarded-For` is believed: `false` for nobody's, `true` for everybody's, a number of \
                 proxies one behind the other, or a list of addresses and networks.",
            ),
            setting("COMPRESSION", "false", "Compress answers for clients that accept it."),
            setting("HSTS_ENABLED", "false", "Tell browsers to insist on https from now on."),
            setting("HSTS_MAX_AGE", "180d", "For how long."),
            setting(
                "REDIS",
                "none",
                "`redis://...` of a Redis that several nodes share. When it is away, each node goes on by itself.",
            ),
        ],
    ),
    (
        "Pages of other origins (CORS)",
        &[
            setting("CORS_ENABLED", "false", "Let pages of other origins read answers."),
            setting(
                "CORS_ORIGIN",
                "false",
                "Their origins, with commas between them, or `true` for all, then without cookies.",
            ),
            setting("CORS_METHODS", "GET,POST,PATCH,DELETE,SEARCH", "Methods that they may use."),
            setting("CORS_ALLOWED_HEADERS", "Content-Type,Authorization", "Headers that they may send."),
            setting("CORS_EXPOSED_HEADERS", "Content-Range", "Headers that they may read."),
            setting("CORS_CREDENTIALS", "true", "They may send cookies, when origins are listed."),
            setting("CORS_MAX_AGE", "18000", "How long a browser relies on it; a bare number is seconds."),
        ],
    ),
    (
        "Rate limits",
        &[
            setting("RATE_LIMITER_ENABLED", "false", "Count requests, per address and per user."),
            setting("RATE_LIMITER_POINTS", "50", "Most requests of an address, and of a user."),
            setting("RATE_LIMITER_DURATION", "1", "In this time; a bare number is seconds, here and below."),
            setting("RATE_LIMITER_GLOBAL_ENABLED", "false", "Count the requests of everybody together."),
            setting("RATE_LIMITER_GLOBAL_POINTS", "1000", "Most of them."),
            setting("RATE_LIMITER_GLOBAL_DURATION", "1", "In this time."),
            setting(
                "RATE_LIMITER_AUTH_ENABLED",
                "true",
                "Count, per address, requests to routes that sign in or send mail.",
            ),
            setting("RATE_LIMITER_AUTH_POINTS", "100", "Most of them."),
            setting("RATE_LIMITER_AUTH_DURATION", "60", "In this time."),
            setting("RATE_LIMITER_REGISTRATION_ENABLED", "true", "Count registrations, per address."),
            setting("RATE_LIMITER_REGISTRATION_POINTS", "5", "Most of them."),
            setting("RATE_LIMITER_REGISTRATION_DURATION", "60", "In this time."),
            setting(
                "RATE_LIMITER_STORE",
                "redis with REDIS",
                "`memory` to count on each node by itself, `redis` to count for all together.",
            ),
        ],
    ),
    (
        "Requests of the server",
        &[
            setting(
                "OUTGOING_ALLOW",
                "none",
                "Host names, addresses and networks that the server may ask although they are not on the internet.",
            ),
            setting(
                "IMPORT_IP_DENY_LIST",
                "none",
                "Addresses and networks that it never asks, beside those that are not on the internet.",
            ),
        ],
    ),
    (
        "First administrator",
        &[
            setting(
                "ADMIN_EMAIL",
                "admin@example.com",
                "E-mail of the administrator made when there is none.",
            ),
            setting("ADMIN_PASSWORD", "generated", "Their password. A generated one is printed once."),
            setting("ADMIN_TOKEN", "none", "Their static token."),
        ],
    ),
    (
        "Tokens",
        &[
            setting(
                "SECRET",
                "generated",
                "Key that signs tokens, at least 32 characters. A generated one is kept in `DATA_PATH`; several \
                 nodes must share one.",
            ),
            setting("ACCESS_TOKEN_TTL", "15m", "Life of an access token."),
            setting("REFRESH_TOKEN_TTL", "7d", "Life of a refresh token."),
            setting(
                "REFRESH_TOKEN_COOKIE_NAME",
                "directus_refresh_token",
                "Cookie of the refresh token, in the mode `cookie`.",
            ),
            setting("REFRESH_TOKEN_COOKIE_DOMAIN", "none", "Hosts below this domain get it too."),
            setting("REFRESH_TOKEN_COOKIE_SECURE", "as in PUBLIC_URL", "It is sent over https only."),
            setting("REFRESH_TOKEN_COOKIE_SAME_SITE", "lax", "`strict`, `lax` or `none`."),
            setting("SESSION_COOKIE_TTL", "1d", "Life of a session in the mode `session`, between requests."),
            setting(
                "SESSION_COOKIE_NAME",
                "directus_session_token",
                "Cookie of the session, in the mode `session`.",
            ),
            setting("SESSION_COOKIE_DOMAIN", "none", "Hosts below this domain get it too."),
            setting("SESSION_COOKIE_SECURE", "as in PUBLIC_URL", "It is sent over https only."),
            setting("SESSION_COOKIE_SAME_SITE", "lax", "`strict`, `lax` or `none`."),
        ],
    ),
    (
        "Database",
        &[
            setting(
                "DATABASE_URL",
                "none",
                "`sqlite:PATH`, `postgres://...` or `mysql://...`, instead of the separate `DB_` settings below.",
            ),
            setting("DB_CLIENT", "sqlite3", "`sqlite3`, `pg` (or `postgres`) or `mysql` (or `mariadb`)."),
            setting("DB_FILENAME", "data/tablature.db", "SQLite: the file."),
            setting("DB_HOST", "localhost", "Host of the database server."),
            setting("DB_PORT", "5432 or 3306", "Its port."),
            setting("DB_DATABASE", "none", "Name of the database."),
            setting("DB_USER", "none", "User of the database."),
            setting("DB_PASSWORD", "none", "Their password."),
            setting("DB_POOL__MAX", "16", "Most connections to a database server."),
            setting("DB_ACQUIRE_TIMEOUT", "5s", "How long a request waits for a connection."),
            setting(
                "DB_SQLITE_READERS",
                "2",
                "SQLite: threads for reads whose cost is not known beforehand.",
            ),
            setting("STATEMENT_TIMEOUT", "30s", "Longest run of one statement."),
        ],
    ),
    (
        "Limits of a request",
        &[
            setting("QUERY_LIMIT_DEFAULT", "100", "Rows when a query names no limit; `-1` for all."),
            setting("QUERY_LIMIT_MAX", "-1", "Most rows a query may ask for; `-1` for no limit."),
            setting(
                "MAX_RELATIONAL_DEPTH",
                "10",
                "Deepest nesting of `fields`, `filter`, `sort` and `deep`.",
            ),
            setting("MAX_FILTER_CONDITIONS", "500", "Most conditions in a filter."),
            setting("MAX_QUERY_ENTRIES", "200", "Most entries of `fields`, `sort`, `groupBy` and `alias`."),
            setting(
                "MAX_QUERY_RELATIONS",
                "500",
                "Most relations one read may follow, each of which costs a statement.",
            ),
            setting("MAX_BATCH_MUTATION", "10000", "Most items in one write."),
        ],
    ),
    (
        "Logs",
        &[
            setting(
                "LOG_LEVEL",
                "info",
                "`silent`, `error`, `warn`, `info`, `debug` or `trace`. Requests are logged at `debug`, slow ones \
                 (a second and more) at `warn`, failed ones (5xx) at `error`.",
            ),
            setting("LOG_STYLE", "raw", "`raw` for one JSON object per line, `pretty` for eyes."),
        ],
    ),
    (
        "Project",
        &[
            setting("COLLECTIONS_PATH", "collections", "Folder of the collections."),
            setting("DATA_PATH", "data", "Folder of what the server keeps for itself."),
            setting("DEMO_DATA", "none", "Folder of items that are loaded into an empty database."),
            setting("WATCH", "true", "Take over changed files while serving."),
        ],
    ),
];

/// Beginnings of names in the environment that nobody but us uses: what begins so and is no setting is a mistake.
pub const OWN_PREFIXES: &[&str] = &[
    "ACCESS_TOKEN_",
    "ADMIN_",
    "CORS_",
    "DB_",
    "HSTS_",
    "IMPORT_IP_",
    "IP_TRUST_",
    "MAX_BATCH_",
    "MAX_FILTER_",
    "MAX_JSON_",
    "MAX_PAYLOAD_",
    "MAX_QUERY_",
    "MAX_RELATIONAL_",
    "OUTGOING_",
    "QUERY_LIMIT_",
    "RATE_LIMITER_",
    "REFRESH_TOKEN_",
    "SESSION_COOKIE_",
    "TABLATURE_",
];

/// Every setting, in order.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().flat_map(|(_, settings)| settings.iter())
}

/// The setting with this name.
pub fn find(name: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.name == name)
}

/// `docs/configuration.md`.
pub fn documentation() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         Settings come from environment variables, from `.env`, or from `tablature.toml`, in that order of precedence; both files\n\
         stand in the working directory. In `tablature.toml` names are in lower case, and tables may group them: `db_client = \"pg\"`\n\
         and `client = \"pg\"` under `[db]` are the same. An empty value is no value.\n\n\
         A malformed value, an unknown key in `tablature.toml`, and an unknown variable that begins with one of our prefixes\n\
         (",
    );
    let prefixes: Vec<String> = OWN_PREFIXES.iter().map(|prefix| format!("`{prefix}`")).collect();
    page.push_str(&prefixes.join(", "));
    page.push_str(
        ")\n\
         stop the start with a message that names it; all such mistakes are reported at once.\n\n\
         Durations are written `500ms`, `30s`, `15m`, `2h`, `7d`; a bare number is milliseconds. This page is made from the table in\n\
         `src/config/settings.rs`: `tablature settings > docs/configuration.md`.\n",
    );
    for (group, settings) in SETTINGS {
        page.push_str(&format!("\n## {group}\n\n| name | default | decides |\n| --- | --- | --- |\n"));
        for setting in *settings {
            page.push_str(&format!("| `{}` | {} | {} |\n", setting.name, setting.default, setting.about));
        }
    }
    page
}
