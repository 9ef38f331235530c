//! System collections: `/users`, `/roles`, `/activity` and the like, read and written like any other.

use super::{Api, items};
use crate::access::Context;
use crate::error::{Error, Result};
use crate::server::{Answer, Call};

pub(super) async fn me(api: &Api, call: &mut Call<'_>, ctx: &Context) -> Result<Answer> {
    let user = ctx.accountability.user.as_deref().ok_or(Error::Forbidden)?;
    items::one(api, call, ctx, "directus_users", user).await
}
