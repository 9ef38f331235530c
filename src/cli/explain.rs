//! `explain`: why a user may or may not do something, and the SQL it becomes.

use clap::Args;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::Outcome;
use super::output::{complain, say};
use crate::access::{Action, Context};
use crate::app::App;
use crate::error::Result;
use crate::items::Question;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// E-mail or key of the user; a visitor when left out.
    #[arg(long)]
    user: Option<String>,
    /// Name of the collection.
    #[arg(long)]
    collection: String,
    /// create, read, update, delete or share.
    #[arg(long, default_value = "read")]
    action: String,
    /// Key of an item.
    #[arg(long)]
    item: Option<String>,
    /// Name of a field.
    #[arg(long)]
    field: Option<String>,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<Outcome> {
    let Some(action) = Action::find(&arguments.action) else {
        complain(format_args!("`{}` is none of create, read, update, delete, share", arguments.action));
        return Ok(Outcome::Misused);
    };
    let schema = app.project.model().await?;
    let (auth, items) = app.services()?;
    let now = Timestamp::now();
    let user = match &arguments.user {
        Some(user) => match auth.find_user(&schema, user).await? {
            Some(user) => Some(user),
            None => {
                complain(format_args!("there is no user {user}"));
                return Ok(Outcome::Failed);
            }
        },
        None => None,
    };
    let (accountability, rules) = auth.stand_for(&schema, user.as_deref(), now).await?;
    let ctx = Context { accountability, rules, schema: schema.clone(), now, request_id: Uuid::now_v7() };
    let directory = auth.directory(&schema).await?;
    let Arguments { collection, item, field, json, .. } = arguments;
    let explanation = items.explain(&ctx, &directory, &Question { collection, action, item, field }).await?;
    if json {
        say(format_args!("{explanation:#}"));
    } else {
        tell(&explanation);
    }
    Ok(if explanation["allowed"] == true { Outcome::Done } else { Outcome::Failed })
}

/// The explanation as lines for people.
fn tell(explanation: &Value) {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let allowed = if explanation["allowed"] == true { "allowed" } else { "refused" };
    say(format_args!("{allowed}: {}", text(&explanation["reason"]).replace('_', " ")));
    for policy in explanation["policies"].as_array().into_iter().flatten() {
        let force = if policy["in_force"] == true { "" } else { ", not in force from here" };
        say(format_args!("policy {} (by {}){force}", text(&policy["name"]), text(&policy["given_by"])));
        let of_policy = |permission: &&Value| permission["policy"] == policy["id"];
        for permission in explanation["permissions"].as_array().into_iter().flatten().filter(of_policy) {
            say(format_args!("  permission {}: {}", text(&permission["id"]), verdict(permission)));
        }
    }
    if explanation["sql"].is_object() {
        say(format_args!("sql {}", text(&explanation["sql"]["text"])));
        say(format_args!("    {}", explanation["sql"]["parameters"]));
    }
}

fn verdict(permission: &Value) -> String {
    if let Some(problem) = permission["problem"].as_str() {
        return format!("allows nothing: {problem}");
    }
    let mut parts = vec![if permission["all_rows"] == true { "all rows" } else { "some rows" }];
    match permission["finds_item"].as_bool() {
        Some(true) => parts.push("this item among them"),
        Some(false) => parts.push("not this item"),
        None => {}
    }
    if permission["names_field"] == false {
        parts.push("not this field");
    }
    if permission["decides"] == true {
        parts.push("decides");
    }
    parts.join(", ")
}
