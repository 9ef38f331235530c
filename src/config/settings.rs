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
                "SEND_TIMEOUT",
                "60s",
                "How long a client may read nothing of what is sent to it before the system (Linux) ends its connection.",
            ),
            setting(
                "IP_TRUST_PROXY",
                "false",
                "Whose `X-Forwarded-For` is believed: `false` for nobody's, `true` for everybody's, a number of \
                 proxies one behind the other, or a list of addresses and networks.",
            ),
            setting(
                "IP_CUSTOM_HEADER",
                "false",
                "A header in which those proxies tell the client's address instead, `CF-Connecting-IP` say.",
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
        "Sockets",
        &[
            setting("WEBSOCKETS_ENABLED", "true", "Open sockets to those who ask for one."),
            setting(
                "WEBSOCKETS_HEARTBEAT_ENABLED",
                "true",
                "Ask each socket regularly whether somebody is there.",
            ),
            setting(
                "WEBSOCKETS_HEARTBEAT_PERIOD",
                "30",
                "How often; a bare number is seconds, here and below.",
            ),
            setting("WEBSOCKETS_REST_ENABLED", "true", "Sockets for items and subscriptions."),
            setting("WEBSOCKETS_REST_PATH", "/websocket", "Where they are."),
            setting("WEBSOCKETS_REST_CONN_LIMIT", "Infinity", "Most of them on one node."),
            setting(
                "WEBSOCKETS_REST_AUTH",
                "handshake",
                "When a client says who it is: `public` whenever it likes, `handshake` with its first message, `strict` \
                 with the request itself.",
            ),
            setting("WEBSOCKETS_REST_AUTH_TIMEOUT", "10", "How long that may take."),
            setting("WEBSOCKETS_GRAPHQL_ENABLED", "true", "Sockets for GraphQL subscriptions."),
            setting("WEBSOCKETS_GRAPHQL_PATH", "/graphql", "Where they are."),
            setting("WEBSOCKETS_GRAPHQL_CONN_LIMIT", "Infinity", "Most of them on one node."),
            setting("WEBSOCKETS_GRAPHQL_AUTH", "handshake", "As with `WEBSOCKETS_REST_AUTH`."),
            setting("WEBSOCKETS_GRAPHQL_AUTH_TIMEOUT", "10", "How long that may take."),
            setting("WEBSOCKETS_CLIENT_LIMIT", "50", "Most sockets of one address."),
            setting("WEBSOCKETS_SUBSCRIPTION_LIMIT", "100", "Most subscriptions of one socket."),
            setting("WEBSOCKETS_MESSAGE_SIZE", "1mb", "Largest message that is taken."),
            setting(
                "WEBSOCKETS_MESSAGE_RATE",
                "100",
                "Messages that a socket may send in a second; five times as many may come at once.",
            ),
            setting(
                "WEBSOCKETS_QUEUE_MESSAGES",
                "1000",
                "Messages that wait for a client that reads slowly.",
            ),
            setting(
                "WEBSOCKETS_QUEUE_SIZE",
                "4mb",
                "Their size together. Past one of the two the socket is closed.",
            ),
            setting(
                "WEBSOCKETS_HISTORY",
                "10000",
                "Events that a client may have missed and still be given.",
            ),
        ],
    ),
    (
        "Signing in elsewhere",
        &[
            setting(
                "AUTH_PROVIDERS",
                "none",
                "Names of providers of OpenID Connect and OAuth 2.0; the settings of each follow below.",
            ),
            setting("AUTH_DISABLE_DEFAULT", "false", "Nobody signs in with e-mail and password."),
            setting(
                "AUTH_ALLOWED_PUBLIC_URLS",
                "none",
                "Further addresses of this server, with commas between them: who signs in under one of them comes back to it \
                 instead of PUBLIC_URL.",
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
        "Files",
        &[
            setting(
                "STORAGE_LOCATIONS",
                "local",
                "Names of the places where content is kept, with commas between them; new content goes to the first. The settings \
                 of each follow below.",
            ),
            setting("FILES_MAX_UPLOAD_SIZE", "100mb", "Largest file that is taken."),
            setting(
                "FILES_MIME_TYPE_ALLOW_LIST",
                "*/*",
                "Media types that are taken, such as `image/*,application/pdf`. They are found in the content first.",
            ),
            setting(
                "FILE_METADATA_ALLOW_LIST",
                "ifd0.Make and others",
                "What is kept of an image's own metadata (`ifd0.`, `exif.`, `gps.` and `iptc.` with the name of a tag); `*` for all.",
            ),
            setting("FILES_MAX_IMPORT_SIZE", "50mb", "Largest file that is fetched by `/files/import`."),
            setting("FILES_IMPORT_TIMEOUT", "60s", "Longest time that may take."),
            setting("TUS_ENABLED", "false", "Take uploads in pieces (TUS 1.0) at `/files/tus`."),
            setting("TUS_CHUNK_SIZE", "8mb", "Largest piece."),
            setting("TUS_UPLOAD_EXPIRATION", "10m", "How long an upload waits for its next piece."),
        ],
    ),
    (
        "Assets",
        &[
            setting("ASSETS_CACHE_TTL", "30d", "How long browsers may keep what they were given."),
            setting(
                "ASSETS_CACHE_MAX_SIZE",
                "5gb",
                "Most bytes of images that were made and are kept, per location; the oldest go first.",
            ),
            setting("ASSETS_TRANSFORM_MAX_CONCURRENT", "one per core", "Images made at the same time."),
            setting("ASSETS_TRANSFORM_TIMEOUT", "15s", "Longest time that a request waits for an image."),
            setting(
                "ASSETS_TRANSFORM_IMAGE_MAX_DIMENSION",
                "6000",
                "Largest width and height of an image that is transformed.",
            ),
            setting("ASSETS_TRANSFORM_MAX_OPERATIONS", "5", "Most entries of `transforms`."),
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
        "GraphQL",
        &[
            setting("GRAPHQL_INTROSPECTION", "true", "Callers may ask for the schema of what they may use."),
            setting("GRAPHQL_QUERY_TOKEN_LIMIT", "5000", "Most tokens of a document."),
            setting("GRAPHQL_MAX_ALIASES", "30", "Most aliases of a document."),
            setting("GRAPHQL_MAX_DIRECTIVES", "50", "Most directives of a document."),
            setting(
                "GRAPHQL_MAX_COST",
                "2000",
                "Most that an operation may cost: 10 for a field of the root, 5 for any other field with fields of \
                 its own, 1 for the rest, fragments unfolded.",
            ),
            setting("GRAPHQL_MAX_BATCH", "0", "Most operations that one request may list; `0` for no lists."),
            setting(
                "GRAPHQL_SCHEMA_CACHE_CAPACITY",
                "100",
                "Schemas that are kept: one per model and set of rights, those asked for least recently are dropped.",
            ),
        ],
    ),
    (
        "Imports and exports",
        &[
            setting("IMPORT_MAX_SIZE", "50mb", "Largest file that is imported."),
            setting("MAX_TRANSFERS", "4", "How many imports and exports are at work at the same time."),
        ],
    ),
    (
        "Letters",
        &[
            setting(
                "EMAIL_TRANSPORT",
                "smtp with a host",
                "`smtp`, or `none` to send nothing, which is logged.",
            ),
            setting("EMAIL_FROM", "no-reply@example.com", "Who writes: an address, or `Name <address>`."),
            setting(
                "EMAIL_SMTP_HOST",
                "none",
                "Host of the mail server. Its certificate has to be for this name, and trusted by browsers or by the system: \
                 SSL_CERT_FILE and SSL_CERT_DIR name the certificates of the latter.",
            ),
            setting("EMAIL_SMTP_PORT", "587 or 465", "Its port."),
            setting("EMAIL_SMTP_USER", "none", "User of the mail server."),
            setting("EMAIL_SMTP_PASSWORD", "none", "Their password; it is sent over TLS only."),
            setting(
                "EMAIL_SMTP_SECURE",
                "false",
                "TLS from the first byte; otherwise STARTTLS, when offered.",
            ),
            setting(
                "EMAIL_SMTP_REQUIRE_TLS",
                "true with EMAIL_SMTP_USER",
                "Nothing is sent to a mail server that does not offer STARTTLS.",
            ),
            setting("EMAIL_SMTP_IGNORE_TLS", "false", "No TLS even when it is offered; not with a password."),
            setting(
                "PASSWORD_RESET_URL_ALLOW_LIST",
                "none",
                "Addresses that letters about a lost password may lead to: origins, or single pages, with commas \
                 between them.",
            ),
            setting("USER_INVITE_URL_ALLOW_LIST", "none", "The same for invitations."),
            setting("USER_REGISTER_URL_ALLOW_LIST", "none", "The same for registrations."),
            setting("USER_INVITE_TOKEN_TTL", "7d", "How long an invitation works."),
            setting("EMAIL_VERIFICATION_TOKEN_TTL", "7d", "How long an e-mail can be confirmed."),
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
            setting(
                "TENANCY_RLS",
                "false",
                "PostgreSQL: row level security keeps tenants apart in the database, too.",
            ),
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
            setting(
                "WRITE_BACK",
                "true",
                "Write changes that are made over the API into the files: those of the model always \
                 ([the model over the API](schema-api.md)), those of roles, policies and permissions where the folder has an \
                 `_access.yaml`.",
            ),
        ],
    ),
];

/// What each provider has, behind `AUTH_` and its name in capitals.
pub const PROVIDER_SETTINGS: &[Setting] = &[
    setting("DRIVER", "required", "`openid` or `oauth2`."),
    setting("CLIENT_ID", "required", "Who we are to the provider."),
    setting("CLIENT_SECRET", "none", "What proves it."),
    setting(
        "CLIENT_TOKEN_ENDPOINT_AUTH_METHOD",
        "client_secret_basic",
        "How it is sent: `client_secret_basic`, `client_secret_post` or `none`.",
    ),
    setting("ISSUER_URL", "required for openid", "Address of the issuer, or of its discovery document."),
    setting("AUTHORIZE_URL", "required for oauth2", "Where people sign in."),
    setting("ACCESS_URL", "required for oauth2", "Where a code becomes a token."),
    setting("PROFILE_URL", "required for oauth2", "Where a token becomes a profile."),
    setting("SCOPE", "openid profile email; email", "What is asked for."),
    setting("PARAMS", "none", "Further parameters of the address where people sign in, as a JSON object."),
    setting(
        "IDENTIFIER_KEY",
        "sub; the e-mail",
        "Claim that tells people apart and never changes. An e-mail counts when the provider says that it verified it.",
    ),
    setting("EMAIL_KEY", "email", "Claim with the e-mail. Dots lead into objects, here and below."),
    setting("FIRST_NAME_KEY", "given_name", "Claim with the first name."),
    setting("LAST_NAME_KEY", "family_name", "Claim with the last name."),
    setting("ALLOW_PUBLIC_REGISTRATION", "false", "Who is unknown is made a user."),
    setting("REQUIRE_VERIFIED_EMAIL", "false", "Only those whose e-mail the provider verified."),
    setting("DEFAULT_ROLE_ID", "none", "Role of new users."),
    setting("SYNC_USER_INFO", "false", "Names and e-mail follow the provider at each sign-in."),
    setting(
        "ROLE_MAPPING",
        "none",
        "Roles by group, `{\"group\":\"role id\"}`. The first that fits is the role from then on; without one it is \
         DEFAULT_ROLE_ID.",
    ),
    setting("GROUP_CLAIM_NAME", "groups", "Claim with the groups."),
    setting(
        "REDIRECT_ALLOW_LIST",
        "none",
        "Addresses outside of PUBLIC_URL where people may be sent afterwards.",
    ),
    setting("MODE", "session", "How a browser keeps its session: `session` or `cookie`."),
    setting("LABEL", "none", "Name that people see."),
    setting("ICON", "account_circle", "Icon that people see."),
];

/// What each location has, behind `STORAGE_` and its name in capitals.
pub const LOCATION_SETTINGS: &[Setting] = &[
    setting("DRIVER", "local", "`local` for a folder, `s3` for a bucket of an object store."),
    setting("ROOT", "uploads; none", "The folder; with `s3` a folder in the bucket."),
    setting("BUCKET", "required for s3", "Name of the bucket."),
    setting("REGION", "us-east-1", "Its region."),
    setting("ENDPOINT", "Amazon's", "Where another store than Amazon's is."),
    setting("KEY", "none", "Key of access; without, what the machine itself may do."),
    setting("SECRET", "none", "Its secret."),
    setting("FORCE_PATH_STYLE", "false", "The bucket stands in the path of addresses, not in their host."),
];

/// Whether a name is that of a setting of a location, listed or not.
pub fn is_of_location(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("STORAGE_") else { return false };
    LOCATION_SETTINGS.iter().any(|setting| {
        rest.strip_suffix(setting.name)
            .and_then(|location| location.strip_suffix('_'))
            .is_some_and(|location| !location.is_empty())
    })
}

/// Whether a name is that of a setting of a provider, listed or not.
pub fn is_of_provider(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("AUTH_") else { return false };
    PROVIDER_SETTINGS.iter().any(|setting| {
        rest.strip_suffix(setting.name)
            .and_then(|provider| provider.strip_suffix('_'))
            .is_some_and(|provider| !provider.is_empty())
    })
}

/// Beginnings of names in the environment that nobody but us uses: what begins so and is no setting is a mistake.
pub const OWN_PREFIXES: &[&str] = &[
    "ACCESS_TOKEN_",
    "ADMIN_",
    "ASSETS_",
    "AUTH_",
    "CORS_",
    "DB_",
    "EMAIL_",
    "FILES_",
    "FILE_METADATA_",
    "GRAPHQL_",
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
    "PASSWORD_RESET_",
    "QUERY_LIMIT_",
    "RATE_LIMITER_",
    "REFRESH_TOKEN_",
    "SESSION_COOKIE_",
    "STORAGE_",
    "TABLATURE_",
    "TUS_",
    "USER_INVITE_",
    "USER_REGISTER_",
    "WEBSOCKETS_",
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
    let mut table = |group: &str, prefix: &str, settings: &[Setting]| {
        page.push_str(&format!("\n## {group}\n\n| name | default | decides |\n| --- | --- | --- |\n"));
        for Setting { name, default, about } in settings {
            page.push_str(&format!("| `{prefix}{name}` | {default} | {about} |\n"));
        }
    };
    for (group, settings) in SETTINGS {
        table(group, "", settings);
    }
    table("Each provider of AUTH_PROVIDERS", "AUTH_<NAME>_", PROVIDER_SETTINGS);
    table("Each location of STORAGE_LOCATIONS", "STORAGE_<NAME>_", LOCATION_SETTINGS);
    page
}
