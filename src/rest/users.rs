//! `/users/me`: what somebody who is signed in sees and changes of themselves.

use serde_json::json;

use super::{Api, items};
use crate::access::Context;
use crate::error::{Error, Result};
use crate::query::Selection;
use crate::server::{Answer, Call};

const USERS: &str = "directus_users";

pub(super) async fn me(api: &Api, call: &mut Call<'_>, ctx: &Context) -> Result<Answer> {
    let user = ctx.accountability.user.as_deref().ok_or(Error::Forbidden)?;
    if call.method.as_str() == "PATCH" {
        return items::one(api, call, ctx, USERS, user).await;
    }
    let selection = Selection::Key(user.to_owned());
    match api.items.read_url(ctx, USERS, selection, call.raw_parameters()).await {
        Ok(members) => Ok(Answer::Members(members)),
        // Whoever may read nothing of themselves still learns who they are.
        Err(Error::Forbidden) => Ok(Answer::Document(json!({ "data": { "id": user } }))),
        Err(error) => Err(error),
    }
}
