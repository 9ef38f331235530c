//! Which path is which route, and which methods it has.

use std::borrow::Cow;

use super::account::AccountRoute;
use super::archive::ArchiveRoute;
use super::elsewhere::ElsewhereRoute;
use super::files::FilesRoute;
use super::graphql::GraphqlRoute;
use super::ours::OurRoute;
use super::schema::SchemaRoute;
use super::snapshot::SnapshotRoute;
use super::system::SystemService;
use super::transfer::TransferRoute;

/// A route, with what its path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// `/items/{collection}`
    Items(&'a str),
    /// `/items/{collection}/{key}`
    Item(&'a str, &'a str),
    /// `/{system collection}`
    System(SystemRoute),
    /// `/{system collection}/{key}`
    SystemItem(SystemRoute, &'a str),
    /// `/users/me`
    Me,
    /// Below `/users`.
    Account(AccountRoute<'a>),
    /// The model.
    Schema(SchemaRoute<'a>),
    /// What system collections have beside their items.
    Service(SystemService<'a>),
    /// `/files` and below.
    Files(FilesRoute<'a>),
    /// `/graphql` and below.
    Graphql(GraphqlRoute),
    /// `/assets/{id}`, perhaps with a name behind it.
    Asset(&'a str, Option<&'a str>),
    /// Several files at once.
    Archive(ArchiveRoute<'a>),
    /// What others would do.
    Elsewhere(ElsewhereRoute<'a>),
    /// The model as a whole.
    Snapshot(SnapshotRoute),
    /// `/utils/sort/{collection}`
    Sort(&'a str),
    /// `/auth`
    Providers,
    /// `/auth/login`
    Login,
    /// `/auth/login/{provider}`
    Depart(&'a str),
    /// `/auth/login/{provider}/callback`
    Arrive(&'a str),
    /// `/auth/refresh`
    Refresh,
    /// `/auth/logout`
    Logout,
    /// `/shares/auth`
    OpenShare,
    /// `/shares/info/{id}`
    ShareInfo(&'a str),
    /// `/shares/invite`
    InviteToShare,
    /// `/auth/password/request`
    RequestPassword,
    /// `/auth/password/reset`
    ResetPassword,
    /// `/server/ping`
    Ping,
    /// `/server/health`
    Health,
    /// `/server/info`
    Info,
    /// Imports and exports.
    Transfer(TransferRoute<'a>),
    /// `/server/specs/oas`
    OpenApi,
    /// Below `/tablature`.
    Ours(OurRoute<'a>),
    /// `/tablature/explain`
    Explain,
    /// `/metrics`
    Metrics,
}

/// A system collection with an endpoint of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SystemRoute {
    /// Name of the collection.
    pub(super) collection: &'static str,
    list: &'static str,
    item: &'static str,
    takes: Takes,
}

/// What is done with the items of a system collection at its own endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// They are read.
    Reads,
    /// They are made, changed and removed, too.
    Writes,
    /// There is one, which is read and changed.
    One,
}

const fn reads(collection: &'static str, list: &'static str, item: &'static str) -> SystemRoute {
    SystemRoute { collection, list, item, takes: Takes::Reads }
}

const fn writes(collection: &'static str, list: &'static str, item: &'static str) -> SystemRoute {
    SystemRoute { collection, list, item, takes: Takes::Writes }
}

const SYSTEM: &[SystemRoute] = &[
    writes("directus_users", "/users", "/users/{id}"),
    writes("directus_roles", "/roles", "/roles/{id}"),
    writes("directus_policies", "/policies", "/policies/{id}"),
    writes("directus_access", "/access", "/access/{id}"),
    writes("directus_permissions", "/permissions", "/permissions/{id}"),
    reads("directus_activity", "/activity", "/activity/{id}"),
    reads("directus_revisions", "/revisions", "/revisions/{id}"),
    writes("directus_folders", "/folders", "/folders/{id}"),
    writes("directus_shares", "/shares", "/shares/{id}"),
    writes("directus_presets", "/presets", "/presets/{id}"),
    writes("directus_dashboards", "/dashboards", "/dashboards/{id}"),
    writes("directus_panels", "/panels", "/panels/{id}"),
    writes("directus_notifications", "/notifications", "/notifications/{id}"),
    writes("directus_translations", "/translations", "/translations/{id}"),
    writes("directus_comments", "/comments", "/comments/{id}"),
    writes("directus_versions", "/versions", "/versions/{id}"),
    writes("directus_flows", "/flows", "/flows/{id}"),
    writes("directus_operations", "/operations", "/operations/{id}"),
    SystemRoute {
        collection: "directus_settings",
        list: "/settings",
        item: "/settings/{id}",
        takes: Takes::One,
    },
];

impl<'a> Route<'a> {
    /// The route of a path, if there is one.
    pub(super) fn find(path: &'a [Cow<'a, str>]) -> Option<Self> {
        let route = match path {
            [a, collection] if a == "items" => Route::Items(collection),
            [a, collection, key] if a == "items" => Route::Item(collection, key),
            [a, b] if a == "users" && b == "me" => Route::Me,
            [a, rest @ ..]
                if a == "users"
                    && let Some(route) = AccountRoute::find(rest) =>
            {
                Route::Account(route)
            }
            [a, rest @ ..] if a == "graphql" => Route::Graphql(GraphqlRoute::find(rest)?),
            [a, rest @ ..] if a == "files" => Route::Files(FilesRoute::find(rest)?),
            [a, rest @ ..]
                if a == "assets"
                    && let Some(route) = ArchiveRoute::find(rest) =>
            {
                Route::Archive(route)
            }
            path if let Some(route) = ElsewhereRoute::find(path) => Route::Elsewhere(route),
            [a, id] if a == "assets" => Route::Asset(id, None),
            [a, id, name] if a == "assets" => Route::Asset(id, Some(name)),
            rest if let Some(route) = TransferRoute::find(rest) => Route::Transfer(route),
            [a, b, collection] if a == "utils" && b == "sort" => Route::Sort(collection),
            path if let Some(service) = SystemService::find(path) => Route::Service(service),
            [a] if a == "auth" => Route::Providers,
            [a, b] if a == "auth" => match b.as_ref() {
                "login" => Route::Login,
                "refresh" => Route::Refresh,
                "logout" => Route::Logout,
                _ => return None,
            },
            [a, b, c] if a == "auth" && b == "password" && c == "request" => Route::RequestPassword,
            [a, b, c] if a == "auth" && b == "password" && c == "reset" => Route::ResetPassword,
            [a, b, provider] if a == "auth" && b == "login" => Route::Depart(provider),
            [a, b, provider, c] if a == "auth" && b == "login" && c == "callback" => Route::Arrive(provider),
            [a, b] if a == "shares" && b == "auth" => Route::OpenShare,
            [a, b] if a == "shares" && b == "invite" => Route::InviteToShare,
            [a, b, id] if a == "shares" && b == "info" => Route::ShareInfo(id),
            [a, b] if a == "server" => match b.as_ref() {
                "ping" => Route::Ping,
                "health" => Route::Health,
                "info" => Route::Info,
                _ => return None,
            },
            [a, b, c] if a == "server" && b == "specs" && c == "oas" => Route::OpenApi,
            [a, b, c, rest @ ..] if a == "server" && b == "specs" && c == "graphql" => {
                Route::Graphql(GraphqlRoute::find_sdl(rest)?)
            }
            [a] if a == "metrics" => Route::Metrics,
            [a, b] if a == "tablature" && b == "explain" => Route::Explain,
            path if let Some(route) = SnapshotRoute::find(path) => Route::Snapshot(route),
            [a, rest @ ..]
                if a == "tablature"
                    && let Some(route) = OurRoute::find(rest) =>
            {
                Route::Ours(route)
            }
            path if let Some(route) = SchemaRoute::find(path) => Route::Schema(route),
            [list] => Route::System(find_system(list)?),
            [list, key] => {
                Route::SystemItem(find_system(list).filter(|system| system.takes != Takes::One)?, key)
            }
            _ => return None,
        };
        Some(route)
    }

    /// How logs and figures call it.
    pub(super) fn pattern(&self) -> &'static str {
        match self {
            Route::Items(_) => "/items/{collection}",
            Route::Item(..) => "/items/{collection}/{id}",
            Route::System(system) => system.list,
            Route::SystemItem(system, _) => system.item,
            Route::Me => "/users/me",
            Route::Account(route) => route.pattern(),
            Route::Schema(route) => route.pattern(),
            Route::Service(service) => service.pattern(),
            Route::Graphql(route) => route.pattern(),
            Route::Files(route) => route.pattern(),
            Route::Asset(_, None) => "/assets/{id}",
            Route::Asset(_, Some(_)) => "/assets/{id}/{name}",
            Route::Archive(route) => route.pattern(),
            Route::Elsewhere(route) => route.pattern(),
            Route::Snapshot(route) => route.pattern(),
            Route::Sort(_) => "/utils/sort/{collection}",
            Route::Providers => "/auth",
            Route::Login => "/auth/login",
            Route::Depart(_) => "/auth/login/{provider}",
            Route::Arrive(_) => "/auth/login/{provider}/callback",
            Route::Refresh => "/auth/refresh",
            Route::Logout => "/auth/logout",
            Route::OpenShare => "/shares/auth",
            Route::ShareInfo(_) => "/shares/info/{id}",
            Route::InviteToShare => "/shares/invite",
            Route::RequestPassword => "/auth/password/request",
            Route::ResetPassword => "/auth/password/reset",
            Route::Ping => "/server/ping",
            Route::Health => "/server/health",
            Route::Info => "/server/info",
            Route::Transfer(route) => route.pattern(),
            Route::OpenApi => "/server/specs/oas",
            Route::Ours(route) => route.pattern(),
            Route::Explain => "/tablature/explain",
            Route::Metrics => "/metrics",
        }
    }

    /// Its methods, as `Allow` lists them.
    pub(super) fn methods(&self) -> &'static str {
        match self {
            Route::Items(_) => "GET, HEAD, POST, PATCH, DELETE, SEARCH",
            Route::Item(..) => "GET, HEAD, PATCH, DELETE",
            Route::System(system) => match system.takes {
                Takes::Reads => "GET, HEAD, SEARCH",
                Takes::Writes => "GET, HEAD, POST, PATCH, DELETE, SEARCH",
                Takes::One => "GET, HEAD, PATCH, SEARCH",
            },
            Route::SystemItem(system, _) if system.takes == Takes::Writes => "GET, HEAD, PATCH, DELETE",
            Route::Me => "GET, HEAD, PATCH",
            Route::Arrive(_) => "GET, HEAD, POST",
            Route::Account(route) => route.methods(),
            Route::Ours(route) => route.methods(),
            Route::Schema(route) => route.methods(),
            Route::Service(service) => service.methods(),
            Route::Graphql(route) => route.methods(),
            Route::Files(route) => route.methods(),
            Route::Elsewhere(route) => route.methods(),
            Route::Snapshot(route) => route.methods(),
            Route::Transfer(route) => route.methods(),
            Route::Sort(_)
            | Route::Archive(_)
            | Route::OpenShare
            | Route::InviteToShare
            | Route::Login
            | Route::Refresh
            | Route::Logout
            | Route::RequestPassword
            | Route::ResetPassword => "POST",
            Route::SystemItem(..)
            | Route::Asset(..)
            | Route::Providers
            | Route::Depart(_)
            | Route::ShareInfo(_)
            | Route::Ping
            | Route::Health
            | Route::Info
            | Route::OpenApi
            | Route::Explain
            | Route::Metrics => "GET, HEAD",
        }
    }

    /// Whether it has this method.
    pub(super) fn takes(&self, method: &str) -> bool {
        self.methods().split(", ").any(|known| known == method)
    }
}

fn find_system(list: &str) -> Option<SystemRoute> {
    SYSTEM.iter().find(|system| &system.list[1..] == list).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let check = |path: &str, expected: Option<&str>| {
            let segments: Vec<Cow<'_, str>> = path.split('/').map(Cow::Borrowed).collect();
            assert_eq!(Route::find(&segments).map(|route| route.pattern()), expected, "{path}");
        };
        check("items/a", Some("/items/{collection}"));
        check("items/a/1", Some("/items/{collection}/{id}"));
        check("items", None);
        check("items/a/1/2", None);
        check("users", Some("/users"));
        check("users/me", Some("/users/me"));
        check("users/1", Some("/users/{id}"));
        check("roles/me", Some("/roles/me"));
        check("roles/1", Some("/roles/{id}"));
        check("settings", Some("/settings"));
        check("settings/1", None);
        check("versions/1/save", Some("/versions/{id}/save"));
        check("versions/1", Some("/versions/{id}"));
        check("permissions/me/a/1", Some("/permissions/me/{collection}/{id}"));
        check("utils/sort/a", Some("/utils/sort/{collection}"));
        check("auth/login", Some("/auth/login"));
        check("auth/password/request", Some("/auth/password/request"));
        check("auth/password/reset", Some("/auth/password/reset"));
        check("auth/password/nope", None);
        check("users/register", Some("/users/register"));
        check("users/1/nope", None);
        check("auth/login/idp", Some("/auth/login/{provider}"));
        check("auth/login/idp/callback", Some("/auth/login/{provider}/callback"));
        check("auth/login/idp/nope", None);
        check("auth/refresh/idp", None);
        check("shares/auth", Some("/shares/auth"));
        check("shares/info/1", Some("/shares/info/{id}"));
        check("shares/1", Some("/shares/{id}"));
        check("server/nope", None);
        check("metrics", Some("/metrics"));
        check("", None);
        check("files/import", Some("/files/import"));
        check("assets/files", Some("/assets/files"));
        check("assets/folder/1", Some("/assets/folder/{id}"));
        check("utils/import", Some("/utils/import"));
        check("assets/1", Some("/assets/{id}"));
        check("assets/1/a.png", Some("/assets/{id}/{name}"));
        check("assets/1/a/b", None);
        check("assets", None);
        check("nope/nothing", None);
        check("collections", Some("/collections"));
        check("schema/snapshot", Some("/schema/snapshot"));
        check("tablature/schema/plan", Some("/tablature/schema/plan"));
        check("fields/a/b", Some("/fields/{collection}/{field}"));
        check("relations/a/b/c", None);
    }

    #[test]
    fn methods() {
        let path = ["items".into(), "a".into()];
        let items = Route::find(&path).expect("a route");
        assert!(items.takes("SEARCH") && !items.takes("PUT") && !items.takes("search"));
    }
}
