//! The REST adapter: thin functions over the services, one file per group of endpoints.
//!
//! Start at [`Api`], which finds the route of a request, asks who sends it, and hands it on.

mod account;
mod archive;
mod assets;
mod auth;
mod elsewhere;
mod explain;
mod files;
mod graphql;
mod items;
mod limits;
mod ours;
mod providers;
mod route;
mod schema;
mod service;
mod snapshot;
mod shares;
mod sockets;
mod specs;
mod system;
mod transfer;
mod tus;
mod users;

use std::borrow::Cow;
use std::sync::Arc;

use crate::access::Context;
use crate::auth::providers::Providers;
use crate::auth::{Accounts, Authenticator, Client, Links, Mode};
use crate::config::RateLimitsConfig;
use crate::error::{Error, Result};
use crate::files::Files;
use crate::graphql::GraphQl;
use crate::items::ItemsService;
use crate::mail::Mailer;
use crate::project::{Project, SchemaStore, System};
use crate::query::QueryLimits;
use crate::realtime::Realtime;
use crate::schema::Schema;
use crate::server::{Answer, Call, Credentials, RouteClass, Routes};
use crate::specs::Specs;
use crate::system::SystemItems;
use crate::telemetry::Metrics;
use crate::transfer::Transfers;

pub use auth::Cookies;
pub use explain::Denials;
pub use graphql::describe as describe_graphql;
use route::Route;
pub use specs::is_route;

/// Everything that endpoints need.
pub struct Api {
    /// Rows.
    pub items: Arc<ItemsService>,
    /// GraphQL.
    pub graphql: Arc<GraphQl>,
    /// Files.
    pub files: Arc<Files>,
    /// Who is there.
    pub auth: Arc<Authenticator>,
    /// Who signs people in beside us.
    pub providers: Providers,
    /// Letters.
    pub mailer: Mailer,
    /// Where they lead.
    pub links: Links,
    /// Address under which people reach the server.
    pub public_url: String,
    /// Tokens in cookies.
    pub cookies: Cookies,
    /// The model.
    pub schemas: Arc<SchemaStore>,
    /// Descriptions of the API.
    pub specs: Specs,
    /// Files, database and the model between them.
    pub project: Arc<Project>,
    /// What every database has.
    pub system: System,
    /// Items to files and from files.
    pub transfers: Arc<Transfers>,
    /// Sockets, where there are any.
    pub realtime: Option<Realtime>,
    /// Figures.
    pub metrics: Metrics,
    /// Limits of queries.
    pub limits: QueryLimits,
    /// How often somebody may ask.
    pub rate_limits: RateLimitsConfig,
    /// Requests that were refused lately.
    pub denials: Denials,
}

impl Routes for Api {
    async fn answer(&self, call: &mut Call<'_>) -> Result<Answer> {
        let path = call.path;
        if let Some(door) = self.realtime.as_ref().and_then(|realtime| realtime.door(path))
            && call.asks_for_socket()
        {
            call.set_route(door.pattern());
            return Box::pin(sockets::open(self, call, door)).await;
        }
        let Some(route) = Route::find(path).filter(|route| {
            call.set_route(route.pattern());
            call.method == "OPTIONS" || route.takes(call.method.as_str())
        }) else {
            return Err(no_route(call));
        };
        if let Route::Files(files::FilesRoute::Begin | files::FilesRoute::GoOn(_)) = route
            && call.method == "OPTIONS"
            && self.files.config().tus.enabled
        {
            return Ok(tus::options(self, route.methods()));
        }
        if call.method == "OPTIONS" {
            return Ok(Answer::Methods(route.methods()));
        }
        let outcome = self.go(call, route).await;
        if let Err(Error::Forbidden) = &outcome {
            explain::remember(self, call, &route).await;
        }
        outcome
    }

    fn class(&self, path: &[Cow<'_, str>]) -> RouteClass {
        limits::class(path)
    }

    fn stop(&self) {
        if let Some(realtime) = &self.realtime {
            realtime.stop();
        }
    }
}

impl Api {
    /// The endpoint of a route. A request takes as much room as the largest of them, so that only those of items, which are asked
    /// for most, are part of it.
    async fn go(&self, call: &mut Call<'_>, route: Route<'_>) -> Result<Answer> {
        match route {
            Route::Items(collection) => {
                let ctx = self.context(call).await?;
                items::collection(self, call, &ctx, collection).await
            }
            Route::Item(collection, key) => {
                let ctx = self.context(call).await?;
                items::item(self, call, &ctx, collection, key).await
            }
            Route::System(route) => {
                let ctx = self.context(call).await?;
                system::list(self, call, &ctx, route.collection).await
            }
            Route::SystemItem(route, key) => {
                let ctx = self.context(call).await?;
                system::one(self, call, &ctx, route.collection, key).await
            }
            other => Box::pin(self.go_beside(call, other)).await,
        }
    }

    /// The endpoint of any other route.
    async fn go_beside(&self, call: &mut Call<'_>, route: Route<'_>) -> Result<Answer> {
        match route {
            Route::Ping => Ok(service::ping()),
            Route::Health => service::health(self, call).await,
            Route::Providers => providers::list(self, call),
            Route::Login if self.providers.disable_default => Err(not_found(call)),
            Route::Login => auth::login(self, call).await,
            Route::Depart(provider) => providers::depart(self, call, provider).await,
            Route::Arrive(provider) => providers::arrive(self, call, provider).await,
            Route::Refresh => auth::refresh(self, call).await,
            Route::Logout => auth::logout(self, call).await,
            Route::OpenShare => shares::open(self, call).await,
            Route::ShareInfo(id) => shares::info(self, call, id).await,
            Route::InviteToShare => shares::invite(self, call).await,
            Route::RequestPassword => auth::request_password(self, call).await,
            Route::ResetPassword => auth::reset_password(self, call).await,
            Route::Sort(collection) => {
                let ctx = self.context(call).await?;
                items::sort(self, call, &ctx, collection).await
            }
            Route::Me => {
                let ctx = self.context(call).await?;
                users::me(self, call, &ctx).await
            }
            Route::Account(route) => account::answer(self, call, route).await,
            Route::Schema(route) => schema::answer(self, call, route).await,
            Route::Service(service) => system::answer(self, call, service).await,
            Route::Info => service::info(self, call).await,
            Route::Graphql(route) => Box::pin(graphql::answer(self, call, route)).await,
            Route::Files(route) => files::answer(self, call, route).await,
            Route::Asset(id, name) => assets::answer(self, call, id, name).await,
            Route::Archive(route) => archive::answer(self, call, route).await,
            Route::Elsewhere(route) => elsewhere::answer(self, call, route).await,
            Route::Snapshot(route) => snapshot::answer(self, call, route).await,
            Route::OpenApi => {
                let ctx = self.context(call).await?;
                Ok(specs::openapi(self, &ctx))
            }
            Route::Transfer(route) => {
                let ctx = self.context(call).await?;
                transfer::answer(self, call, &ctx, route).await
            }
            Route::Metrics => {
                self.administrator(call).await?;
                Ok(service::metrics(self))
            }
            Route::Ours(route) => ours::answer(self, call, route).await,
            Route::Explain => {
                let ctx = self.administrator(call).await?;
                explain::explain(self, call, &ctx).await
            }
            Route::Items(_) | Route::Item(..) | Route::System(_) | Route::SystemItem(..) => {
                Err(not_found(call))
            }
        }
    }

    fn accounts(&self) -> Accounts<'_> {
        Accounts { auth: &self.auth, items: &self.items, mailer: &self.mailer, links: &self.links }
    }

    fn system(&self) -> SystemItems<'_> {
        SystemItems { items: &self.items, auth: &self.auth, mailer: &self.mailer, links: &self.links }
    }

    /// The token that a request brings, wherever it stands.
    fn token<'a>(&self, call: &Call<'a>) -> Result<Option<Cow<'a, str>>> {
        Ok(match call.credentials()? {
            Credentials::Token(token) => Some(token),
            Credentials::Nobody => self.cookies.session(call).map(Cow::Borrowed),
        })
    }

    /// A browser stops sending the cookie of a session that is over.
    fn forget_cookie(&self, call: &Call<'_>, error: &Error) {
        let is_over = matches!(error, Error::InvalidCredentials | Error::TokenExpired | Error::InvalidToken);
        if let Some(cookie) = self.cookies.cleared(Mode::Session).filter(|_| is_over) {
            call.set_cookie(&cookie);
        }
    }

    /// The model as it is now.
    fn schema(&self) -> Arc<Schema> {
        self.schemas.schema()
    }

    /// Who sends this request, and with which model it is answered to its end. Counts it against what its user may send.
    async fn context(&self, call: &Call<'_>) -> Result<Context> {
        let ctx = self.caller(call).await?;
        if let Some(user) = &ctx.accountability.user {
            call.count_user(user).await?;
        }
        Ok(ctx)
    }

    /// The same without counting, for those who ask again.
    async fn caller(&self, call: &Call<'_>) -> Result<Context> {
        let schema = self.schema();
        let (accountability, rules) = match call.credentials()? {
            Credentials::Token(token) => {
                self.auth.authenticate(&schema, &token, client(call), call.now).await?
            }
            Credentials::Nobody => match self.cookies.session(call) {
                Some(token) => {
                    if changes_something(call) {
                        self.cookies.check_origin(call)?;
                    }
                    let spoken = self.auth.authenticate(&schema, token, client(call), call.now).await;
                    spoken.inspect_err(|error| self.forget_cookie(call, error))?
                }
                None => self.auth.visit(&schema, client(call), call.now).await?,
            },
        };
        Ok(Context { accountability, rules, schema, now: call.now, request_id: call.id })
    }

    /// The same where only administrators are let in.
    async fn administrator(&self, call: &Call<'_>) -> Result<Context> {
        let ctx = self.context(call).await?;
        if ctx.rules.is_everything() { Ok(ctx) } else { Err(Error::Forbidden) }
    }
}

/// Whether a request may do more than read.
fn changes_something(call: &Call<'_>) -> bool {
    !matches!(call.method.as_str(), "GET" | "SEARCH" | "OPTIONS")
}

fn client<'a>(call: &Call<'a>) -> Client<'a> {
    Client {
        address: call.address,
        user_agent: call.header("user-agent"),
        origin: call.header("origin"),
        tenant: call.header("x-tenant").or_else(|| call.header("x-organization-id")),
    }
}

/// Why a request finds no endpoint. Clients of GraphQL ask which methods it takes; elsewhere a method that is not there is a route
/// that is not there.
fn no_route(call: &Call<'_>) -> Error {
    match Route::find(call.path) {
        Some(Route::Graphql(route)) => Error::MethodNotAllowed {
            current: call.method.to_string(),
            allowed: route.methods().split(", ").collect(),
        },
        _ => not_found(call),
    }
}

fn not_found(call: &Call<'_>) -> Error {
    Error::RouteNotFound { path: format!("/{}", call.path.join("/")) }
}
