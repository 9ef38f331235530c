//! `openapi`, `graphql-schema` and `types`: the model as documents for programs.

use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use uuid::Uuid;

use super::Outcome;
use super::output::{complain, print, say};
use crate::access::{AccessRules, Accountability, Context};
use crate::app::App;
use crate::error::Result;
use crate::graphql::{self, Scope};
use crate::rest;
use crate::schema::Schema;
use crate::specs;

#[derive(Debug, Args)]
pub(super) struct OpenApi {
    /// E-mail or key of a user: what this user may use. Everything, when neither a user nor a role is named.
    #[arg(long, conflicts_with_all = ["role", "visitor"])]
    user: Option<String>,
    /// Name or key of a role: what somebody with this role may use.
    #[arg(long, conflicts_with = "visitor")]
    role: Option<String>,
    /// What everybody may use without signing in.
    #[arg(long)]
    visitor: bool,
}

#[derive(Debug, Args)]
pub(super) struct GraphqlSchema {
    #[command(flatten)]
    whose: OpenApi,
    /// What belongs to the system (`/graphql/system`) instead of items.
    #[arg(long)]
    system: bool,
}

/// Prints the OpenAPI document.
pub(super) async fn openapi(app: &App, arguments: OpenApi) -> Result<Outcome> {
    let Some(ctx) = context(app, &arguments).await? else { return Ok(Outcome::Failed) };
    say(format_args!("{:#}", specs::document(&ctx, &app.config.server.public_url, rest::is_route)));
    Ok(Outcome::Done)
}

/// Prints the GraphQL schema.
pub(super) async fn graphql_schema(app: &App, arguments: GraphqlSchema) -> Result<Outcome> {
    let Some(ctx) = context(app, &arguments.whose).await? else { return Ok(Outcome::Failed) };
    let scope = if arguments.system { Scope::System } else { Scope::Items };
    print(graphql::sdl(&ctx, scope, rest::describe_graphql)?);
    Ok(Outcome::Done)
}

/// Prints TypeScript types.
pub(super) async fn types(app: &App) -> Result<Outcome> {
    print(specs::typescript(&*app.project.model().await?));
    Ok(Outcome::Done)
}

/// The context of whoever the document is for; `None`, after complaining, when there is nobody of that name.
async fn context(app: &App, whose: &OpenApi) -> Result<Option<Context>> {
    let schema = app.project.model().await?;
    let Some((accountability, rules)) = subject(app, &schema, whose).await? else { return Ok(None) };
    let now = Timestamp::now();
    Ok(Some(Context { accountability, rules, schema, now, request_id: Uuid::now_v7() }))
}

/// Whose document it is; `None`, after complaining, when there is nobody of that name.
async fn subject(
    app: &App,
    schema: &Arc<Schema>,
    arguments: &OpenApi,
) -> Result<Option<(Arc<Accountability>, Arc<AccessRules>)>> {
    let (auth, _) = app.services()?;
    if let Some(user) = &arguments.user {
        let Some(key) = auth.find_user(schema, user).await? else {
            complain(format_args!("there is no user {user}"));
            return Ok(None);
        };
        return auth.stand_for(schema, Some(&key), Timestamp::now()).await.map(Some);
    }
    if let Some(role) = &arguments.role {
        let found = auth.stand_for_role(schema, role).await?;
        if found.is_none() {
            complain(format_args!("there is no role {role}"));
        }
        return Ok(found);
    }
    if arguments.visitor {
        return auth.stand_for(schema, None, Timestamp::now()).await.map(Some);
    }
    let admin =
        Accountability { user: Some(Uuid::nil().to_string()), admin: true, ..Accountability::default() };
    Ok(Some((Arc::new(admin), Arc::new(AccessRules::Everything))))
}
