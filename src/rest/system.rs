//! System collections for reading: `/users`, `/roles`, `/activity` and the like.

use super::Api;
use super::items::search_body;
use crate::access::Context;
use crate::error::{Error, Result};
use crate::query::Selection;
use crate::server::{Answer, Call};

pub(super) async fn list(api: &Api, call: &mut Call<'_>, ctx: &Context, collection: &str) -> Result<Answer> {
    if call.method.as_str() == "SEARCH" {
        let (selection, query) = search_body(api, call).await?;
        return api.items.read(ctx, collection, selection, query).await.map(Answer::Members);
    }
    let raw = call.raw_parameters();
    api.items.read_url(ctx, collection, Selection::Query, raw).await.map(Answer::Members)
}

pub(super) async fn item(
    api: &Api,
    call: &Call<'_>,
    ctx: &Context,
    collection: &str,
    key: &str,
) -> Result<Answer> {
    let selection = Selection::Key(key.to_owned());
    api.items.read_url(ctx, collection, selection, call.raw_parameters()).await.map(Answer::Members)
}

pub(super) async fn me(api: &Api, call: &Call<'_>, ctx: &Context) -> Result<Answer> {
    let user = ctx.accountability.user.as_deref().ok_or(Error::Forbidden)?;
    item(api, call, ctx, "directus_users", user).await
}
