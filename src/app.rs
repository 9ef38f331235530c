//! Builds everything once and hands each part what it needs.
//!
//! Start at [`App::open`]; only this file sees all rooms.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc;
use url::Url;
use uuid::Uuid;

use crate::access::{AccessRules, Accountability, Context};
use crate::auth::providers::Providers;
use crate::auth::{self, Authenticator, Links, NewAdministrator};
use crate::cache::{Redis, SharedStream};
use crate::config::{Config, CorsConfig, DatabaseTarget, LimitsConfig, Origins, Secret, ServerConfig};
use crate::db::nodes::Nodes;
use crate::db::{Database, Settings, Target};
use crate::error::{Error, Result};
use crate::events::{Belief, Events, Hooks};
use crate::files::{Files, tidy};
use crate::graphql::GraphQl;
use crate::items::{ItemsService, ItemsSettings};
use crate::mail::Mailer;
use crate::outbound::Outbound;
use crate::project::{Project, SchemaStore, Watch, follow_others};
use crate::query::QueryLimits;
use crate::realtime::{Desk, Realtime};
use crate::rest::{self, Api, Cookies, Denials};
use crate::server::{Gate, JsonLimits, Listening};
use crate::specs::Specs;
use crate::sql::Dialect;
use crate::telemetry::{Metrics, start_logs};
use crate::transfer::Transfers;

/// How often the trash is looked through for what was there long enough.
const EMPTY_TRASH_EVERY: Duration = Duration::from_secs(60 * 60);
/// How often gauges are read and figures are sorted into their buckets.
const MEASURE_EVERY: Duration = Duration::from_secs(5);

/// How long changes of access may go on before they are written into files.
const SETTLE: Duration = Duration::from_millis(200);

/// An opened project: its configuration, its database, its model.
pub struct App {
    /// What the operator decided.
    pub config: Config,
    /// The database.
    pub db: Database,
    /// Files and model.
    pub project: Arc<Project>,
    metrics: Metrics,
}

impl App {
    /// Starts the logs, connects to the database and makes the system tables.
    pub async fn open(config: Config) -> Result<App> {
        start_logs(&config.log);
        // Before anything that is measured is made, since figures are looked up once.
        let metrics = Metrics::start().map_err(Error::internal)?;
        let db = Database::connect(&database_settings(&config)?).await?;
        let project = Project::open(db.clone(), &config.project.collections).await?;
        let project = Arc::new(
            project.with_secrets(config.project.secrets.clone()).with_write_back(config.project.write_back),
        );
        Ok(App { config, db, project, metrics })
    }

    /// Who is there and the door to rows, for commands that look at a project without serving it.
    pub fn services(&self) -> Result<(Authenticator, ItemsService)> {
        let secret = secret(&self.config)?;
        let events = Events::start(self.db.clone(), Hooks::default());
        let items = ItemsService::new(self.db.clone(), events, items_settings(&self.config.limits));
        Ok((Authenticator::new(self.db.clone(), &secret, &self.config.auth), items))
    }

    /// Applies the collections, then answers requests until the process is told to stop.
    pub async fn serve(self, hooks: Hooks) -> Result<()> {
        let began = Instant::now();
        let App { config, db, project, metrics } = self;
        project.start().await?;
        let schemas = project.store();
        if let Some(new) = auth::ensure_administrator(&db, &schemas.schema(), &config.admin).await? {
            introduce(&new);
        }
        let secret = secret(&config)?;

        let events = Events::start(db.clone(), hooks);
        let redis = config.redis.as_ref().map(|url| Redis::new(url.expose())).transpose()?;
        let auth = Authenticator::new(db.clone(), &secret, &config.auth).with_events(events.clone());
        let auth = Arc::new(match &redis {
            Some(redis) => auth.with_redis(redis.clone()),
            None => auth,
        });
        let items = ItemsService::new(db.clone(), events.clone(), items_settings(&config.limits));
        let items = Arc::new(items.with_marks(auth.marks()));
        load_demo_data(&items, &config, &project).await?;
        let outbound = Arc::new(Outbound::new(&config.outgoing));
        let (files, leftovers) = Files::new(&config.files, outbound.clone());
        let left = events.listen();
        let providers = Providers::new(&config.providers, &config.server.public_url, &secret, outbound)?;
        let others = match &config.redis {
            // One Redis may serve several projects; nodes of one know each other by their secret.
            Some(url) if db.dialect() != Dialect::Sqlite => {
                let key = format!("tablature:events:{}", auth.marks()(b"events of nodes"));
                Some(SharedStream::new(url.expose(), key)?)
            }
            _ => None,
        };
        let graphql = GraphQl::new(
            items.clone(),
            query_limits(&config.limits),
            config.graphql.clone(),
            rest::describe_graphql,
        );
        let graphql = Arc::new(graphql);
        let realtime = config.sockets.clone().map(|sockets| {
            let desk = Desk {
                items: items.clone(),
                auth: auth.clone(),
                schemas: schemas.clone(),
                graphql: graphql.clone(),
                events: events.clone(),
                limits: query_limits(&config.limits),
                json: JsonLimits {
                    most_bytes: sockets.most_message_bytes,
                    most_depth: config.server.max_json_depth,
                },
                config: sockets,
                has_passwords: !providers.disable_default,
            };
            Realtime::start(desk, others)
        });
        let api = Arc::new(Api {
            items,
            graphql,
            auth,
            files: Arc::new(files),
            providers,
            mailer: Mailer::new(&config.email)
                .map_err(|problem| Error::internal(anyhow::anyhow!(problem)))?,
            links: Links::new(&config.server.public_url, &config.email.links)?,
            public_url: config.server.public_url.clone(),
            cookies: Cookies::new(&config.auth, origins(&config.server, &config.providers.public_urls)),
            schemas,
            transfers: Arc::new(Transfers::new(&config.transfer)),
            specs: Specs::new(&config.server.public_url, rest::is_route),
            project: project.clone(),
            system: project.system(),
            realtime,
            metrics: metrics.clone(),
            limits: query_limits(&config.limits),
            rate_limits: config.rate_limits.clone(),
            denials: Denials::default(),
        });
        let callers = api.clone();
        let (changed, changes) = mpsc::unbounded_channel();
        events.believe(Belief {
            is_about: is_about_callers,
            forget: Box::new(move |events| {
                callers.auth.forget_all();
                if events.iter().any(|event| is_kept_in_files(&event.collection)) {
                    // Nobody listens where files are left alone.
                    changed.send(()).ok();
                }
            }),
            lasts: auth::BELIEVED,
            nodes: Nodes::join(&db).await?,
        });
        tokio::spawn(forget_callers_of_old_files(project.store(), api.clone()));
        tokio::spawn(describe_new_models(project.store(), api.clone()));
        tokio::spawn(measure(metrics, db.clone()));
        if db.dialect() != Dialect::Sqlite {
            // A SQLite database is served by one process.
            tokio::spawn(follow_others(project.clone()));
        }
        let desk = api.clone();
        tokio::spawn(async move {
            tidy(desk.files.library(&desk.items), || desk.schemas.schema(), left, leftovers).await;
        });
        tokio::spawn(empty_trash(api.clone()));
        if config.project.write_back {
            tokio::spawn(write_back_access(changes, project.clone()));
        }
        events.recover(&db).await?;
        let _watch = config.project.watch.then(|| Watch::start(project.clone()));

        let listening = Listening::bind(&config.server).map_err(|error| {
            let address = format!("{}:{}", config.server.host, config.server.port);
            Error::internal(anyhow::Error::from(error).context(format!("cannot listen on {address}")))
        })?;
        tracing::info!(
            address = %listening.address(),
            url = config.server.public_url,
            started_in_ms = began.elapsed().as_millis() as u64,
            "serving"
        );
        let gate = Gate::new(&config.rate_limits, redis);
        listening.serve(&config.server, gate, api).await.map_err(Error::internal)?;
        events.leave().await;
        tracing::info!("stopped");
        Ok(())
    }
}

fn secret(config: &Config) -> Result<Secret<String>> {
    auth::load_secret(config.auth.secret.as_ref(), &config.project.data)
        .map_err(|error| Error::internal(anyhow::Error::from(error).context("the key for tokens")))
}

/// A generated password is told once, to whoever started the server, and never to the log.
fn introduce(new: &NewAdministrator) {
    tracing::info!("made the first administrator");
    let mut out = io::stdout().lock();
    // Nobody listening is no reason not to serve; `tablature user token` helps then.
    let _ = match &new.generated_password {
        Some(password) => {
            writeln!(out, "First administrator: {}, password {}", new.email, password.expose())
        }
        None => writeln!(out, "First administrator: {}", new.email),
    };
}

async fn load_demo_data(items: &ItemsService, config: &Config, project: &Project) -> Result<()> {
    let Some(folder) = &config.project.demo_data else { return Ok(()) };
    let ctx = Context {
        accountability: Arc::new(Accountability { admin: true, ..Accountability::default() }),
        rules: Arc::new(AccessRules::Everything),
        schema: project.store().schema(),
        now: Timestamp::now(),
        request_id: Uuid::now_v7(),
    };
    if let Some(items) = items.load_folder(&ctx, folder).await? {
        tracing::info!(items, folder = %folder.display(), "loaded demonstration data");
    }
    Ok(())
}

/// The same for what files say of roles, policies and permissions.
async fn forget_callers_of_old_files(store: Arc<SchemaStore>, api: Arc<Api>) {
    let mut changes = store.access_changes();
    while changes.changed().await.is_ok() {
        api.auth.forget_all();
    }
}

/// Whoever asked for GraphQL lately finds the schema of a new model made.
async fn describe_new_models(store: Arc<SchemaStore>, api: Arc<Api>) {
    let mut changes = store.model_changes();
    while changes.changed().await.is_ok() {
        let schema = store.schema();
        for (user, scope) in api.graphql.callers() {
            let now = Timestamp::now();
            // Who is gone asks no more.
            let Ok((accountability, rules)) = api.auth.stand_for(&schema, user.as_deref(), now).await else {
                continue;
            };
            let ctx =
                Context { accountability, rules, schema: schema.clone(), now, request_id: Uuid::now_v7() };
            if let Err(error) = api.graphql.get_ready(&ctx, scope).await {
                tracing::warn!(%error, "the GraphQL schema of a new model could not be made yet");
            }
        }
    }
}

/// What is changed over the API in roles, policies and permissions goes into the files that speak of them.
async fn write_back_access(mut changes: mpsc::UnboundedReceiver<()>, project: Arc<Project>) {
    while changes.recv().await.is_some() {
        // One request may change many rows.
        tokio::time::sleep(SETTLE).await;
        while changes.try_recv().is_ok() {}
        match project.write_back_access().await {
            Ok(lines) => lines.iter().for_each(|line| tracing::info!(line, "written back")),
            Err(error) => tracing::warn!(
                reason = explain(&error),
                "access was changed, and the files could not be: see `tablature pull`"
            ),
        }
    }
}

fn explain(error: &Error) -> String {
    match error {
        Error::Internal { cause, .. } => format!("{cause:#}"),
        other => other.to_string(),
    }
}

fn is_kept_in_files(collection: &str) -> bool {
    matches!(collection, "directus_roles" | "directus_policies" | "directus_access" | "directus_permissions")
}

fn is_about_callers(collection: &str) -> bool {
    matches!(
        collection,
        "directus_users"
            | "directus_roles"
            | "directus_policies"
            | "directus_access"
            | "directus_permissions"
            | "directus_sessions"
            | "directus_shares"
    )
}

/// What was in the trash for long enough is removed for good.
async fn empty_trash(api: Arc<Api>) {
    let mut ticks = tokio::time::interval(EMPTY_TRASH_EVERY);
    loop {
        ticks.tick().await;
        if let Err(error) = api.items.forget_trash(Timestamp::now()).await {
            tracing::warn!(%error, "the trash could not be emptied yet");
        }
    }
}

async fn measure(metrics: Metrics, db: Database) {
    let mut ticks = tokio::time::interval(MEASURE_EVERY);
    loop {
        ticks.tick().await;
        db.measure_pool();
        metrics.tidy();
    }
}

/// Origins of the pages that may use cookies: our own, and those that are listed for it.
fn origins(config: &ServerConfig, more_urls: &[String]) -> Vec<String> {
    let own = more_urls.iter().chain([&config.public_url]).filter_map(|url| Url::parse(url).ok());
    let own = own.map(|url| url.origin().ascii_serialization());
    let listed = match &config.cors {
        Some(CorsConfig { origins: Origins::Listed(listed), credentials: true, .. }) => listed.as_slice(),
        _ => &[],
    };
    own.chain(listed.iter().cloned()).collect()
}

fn database_settings(config: &Config) -> Result<Settings> {
    let target = match &config.database.target {
        DatabaseTarget::Sqlite { path } => {
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                std::fs::create_dir_all(folder).map_err(|error| {
                    let what = format!("the folder {} of the database cannot be made", folder.display());
                    Error::internal(anyhow::Error::from(error).context(what))
                })?;
            }
            Target::Sqlite { path: path.clone() }
        }
        DatabaseTarget::Postgres { url } => Target::Postgres { url: url.expose().clone() },
        DatabaseTarget::Mysql { url } => Target::Mysql { url: url.expose().clone() },
    };
    Ok(Settings {
        target,
        pool_size: config.database.pool_max,
        acquire_timeout: config.database.acquire_timeout,
        statement_timeout: config.database.statement_timeout,
        sqlite_readers: config.database.sqlite_readers,
        row_security: config.database.row_security,
    })
}

fn query_limits(limits: &LimitsConfig) -> QueryLimits {
    QueryLimits {
        default_limit: limits.query_default,
        max_limit: limits.query_max,
        max_depth: limits.relational_depth,
        max_conditions: limits.filter_conditions,
        max_entries: limits.query_entries,
        max_levels: limits.query_relations,
    }
}

fn items_settings(limits: &LimitsConfig) -> ItemsSettings {
    ItemsSettings {
        query: query_limits(limits),
        max_relational_depth: limits.relational_depth,
        max_batch: Some(limits.batch_mutation as u64),
    }
}
