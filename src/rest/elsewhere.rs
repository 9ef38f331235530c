//! What clients of the public API ask of services of others, which this server does not speak to: hosting providers and the
//! registry of extensions. What is kept of them in the database is read and removed; the rest is refused and says so.

use std::borrow::Cow;

use serde_json::json;

use super::{Api, items};
use crate::access::Context;
use crate::error::{Error, Result};
use crate::items::{Operation, Targets};
use crate::query::{Selection, parse};
use crate::server::{Answer, Call};

const DEPLOYMENTS: &str = "directus_deployments";

/// A route of this file, with what its path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ElsewhereRoute<'a> {
    /// `/deployments`
    Deployments,
    /// `/deployments/{provider}`
    Deployment(&'a str),
    /// What a provider would do or tell, with its methods.
    Provider(&'static str),
    /// What the registry of extensions would do or tell, with its methods.
    Registry(&'static str),
    /// `/flows/trigger/{id}`
    TriggerFlow,
}

impl<'a> ElsewhereRoute<'a> {
    /// The route of a path.
    pub(super) fn find(path: &'a [Cow<'a, str>]) -> Option<Self> {
        let mut parts = [""; 6];
        let parts = parts.get_mut(..path.len())?;
        for (part, text) in parts.iter_mut().zip(path) {
            *part = text;
        }
        const READ: &str = "GET, HEAD";
        Some(match *parts {
            ["deployments"] => ElsewhereRoute::Deployments,
            ["deployments", provider] => ElsewhereRoute::Deployment(provider),
            ["deployments", _, "dashboard"] | ["deployments", _, "projects" | "runs", _] => {
                ElsewhereRoute::Provider(READ)
            }
            ["deployments", _, "projects"] => ElsewhereRoute::Provider("GET, HEAD, PATCH"),
            ["deployments", _, "projects", _, "runs"]
            | ["deployments", _, "projects", _, "runs", "stats"] => ElsewhereRoute::Provider(READ),
            ["deployments", _, "projects", _, "deploy"] | ["deployments", _, "runs", _, "cancel"] => {
                ElsewhereRoute::Provider("POST")
            }
            ["extensions", "registry"] | ["extensions", "registry", "account" | "extension", _] => {
                ElsewhereRoute::Registry(READ)
            }
            ["extensions", "registry", "install" | "reinstall"] => ElsewhereRoute::Registry("POST"),
            ["extensions", "registry", "uninstall", _] => ElsewhereRoute::Registry("DELETE"),
            ["flows", "trigger", _] => ElsewhereRoute::TriggerFlow,
            _ => return None,
        })
    }

    /// How logs and figures call it.
    pub(super) fn pattern(self) -> &'static str {
        match self {
            ElsewhereRoute::Deployments => "/deployments",
            ElsewhereRoute::Deployment(_) => "/deployments/{provider}",
            ElsewhereRoute::Provider(_) => "/deployments/{provider}/...",
            ElsewhereRoute::Registry(_) => "/extensions/registry/...",
            ElsewhereRoute::TriggerFlow => "/flows/trigger",
        }
    }

    /// Its methods, as `Allow` lists them.
    pub(super) fn methods(self) -> &'static str {
        match self {
            ElsewhereRoute::Deployments => "GET, HEAD, POST",
            ElsewhereRoute::Deployment(_) => "GET, HEAD, PATCH, DELETE",
            ElsewhereRoute::Provider(methods) | ElsewhereRoute::Registry(methods) => methods,
            ElsewhereRoute::TriggerFlow => "GET, HEAD, POST",
        }
    }
}

pub(super) async fn answer(api: &Api, call: &mut Call<'_>, route: ElsewhereRoute<'_>) -> Result<Answer> {
    let ctx = api.context(call).await?;
    match (route, call.method.as_str()) {
        // Every flow looks like one that is not there.
        (ElsewhereRoute::TriggerFlow, _) => Err(Error::Forbidden),
        (ElsewhereRoute::Deployments, "GET") => items::list(api, call, &ctx, DEPLOYMENTS).await,
        (ElsewhereRoute::Deployment(provider), "GET") => {
            let key = of_provider(api, &ctx, provider).await?;
            let query = parse::parse_pairs(&call.parameters()?, &api.limits)?;
            Ok(Answer::Members(api.items.read(&ctx, DEPLOYMENTS, Selection::Key(key), query).await?))
        }
        (ElsewhereRoute::Deployment(provider), "DELETE") => {
            let key = of_provider(api, &ctx, provider).await?;
            api.items.change(&ctx, DEPLOYMENTS, Operation::Delete(Targets::Key(key))).await?;
            Ok(Answer::Empty)
        }
        _ if !ctx.rules.is_everything() => Err(Error::Forbidden),
        (ElsewhereRoute::Registry(_), _) => Err(refused(
            "Extensions are what the folder of extensions holds: none is fetched from a registry.",
        )),
        _ => Err(refused("This server speaks to no hosting provider.")),
    }
}

fn refused(reason: &str) -> Error {
    Error::UnprocessableContent { reason: reason.to_owned() }
}

/// The key of what is kept of a provider. Fails with `Forbidden` where there is nothing for the caller.
async fn of_provider(api: &Api, ctx: &Context, provider: &str) -> Result<String> {
    let query = json!({ "fields": "id", "filter": { "provider": { "_eq": provider } }, "limit": 1 });
    let query = query.as_object().ok_or(Error::Forbidden)?;
    let query = parse::parse_object(query, &api.limits)?;
    let members = api.items.read(ctx, DEPLOYMENTS, Selection::Query, query).await?;
    let text = [b"{", members.as_slice(), b"}"].concat();
    let document: serde_json::Value = serde_json::from_slice(&text).map_err(Error::internal)?;
    document["data"][0]["id"].as_str().map(str::to_owned).ok_or(Error::Forbidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let check = |path: &str, expected: Option<(&str, &str)>| {
            let segments: Vec<Cow<'_, str>> = path.split('/').map(Cow::Borrowed).collect();
            let found = ElsewhereRoute::find(&segments).map(|route| (route.pattern(), route.methods()));
            assert_eq!(found, expected, "{path}");
        };
        check("deployments", Some(("/deployments", "GET, HEAD, POST")));
        check("deployments/a", Some(("/deployments/{provider}", "GET, HEAD, PATCH, DELETE")));
        check("deployments/a/projects/b/deploy", Some(("/deployments/{provider}/...", "POST")));
        check("deployments/a/projects/b/runs/stats", Some(("/deployments/{provider}/...", "GET, HEAD")));
        check("deployments/a/nope", None);
        check("extensions/registry", Some(("/extensions/registry/...", "GET, HEAD")));
        check("extensions/registry/uninstall/a", Some(("/extensions/registry/...", "DELETE")));
        check("extensions/a", None);
        check("flows/trigger/a", Some(("/flows/trigger", "GET, HEAD, POST")));
        check("a/b/c/d/e/f/g", None);
    }
}
