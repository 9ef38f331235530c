//! What `$CURRENT_USER.path` stands for in presets and validations, looked up before something is written.
//!
//! Row filters name the user's fields in the statement itself; a payload has to be complete before there is one.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::service::ItemsService;
use crate::access::{AccessRules, Accountability, Context};
use crate::error::{Error, Result};
use crate::query::{Query, Selection};

impl ItemsService {
    /// The context with the values of the user's own fields that the rules for writing name; nothing is read where they name none.
    pub(super) async fn with_own<'c>(&self, ctx: &'c Context) -> Result<Cow<'c, Context>> {
        let AccessRules::Limited(limited) = &*ctx.rules else { return Ok(Cow::Borrowed(ctx)) };
        let mut paths: Vec<&str> = limited.own_paths().collect();
        if paths.is_empty() {
            return Ok(Cow::Borrowed(ctx));
        }
        paths.sort_unstable();
        paths.dedup();
        let mut own = Map::new();
        if let Some(user) = &ctx.accountability.user {
            for path in paths {
                // Rarely, and large: writes should not carry it along.
                own.insert(path.to_owned(), Box::pin(self.own_value(ctx, user, path)).await?);
            }
        }
        let accountability = Accountability { own: Some(own), ..(*ctx.accountability).clone() };
        Ok(Cow::Owned(Context { accountability: Arc::new(accountability), ..ctx.clone() }))
    }

    /// One value, several where the path leads through a list; null for what is not there.
    async fn own_value(&self, ctx: &Context, user: &str, path: &str) -> Result<Value> {
        let steps: Vec<String> = path.split('.').map(str::to_owned).collect();
        let query = Query { fields: vec![steps.clone()], ..Query::default() };
        // Everybody may use what is their own, whether or not it may be read.
        let open = Context { rules: Arc::new(AccessRules::Everything), ..ctx.clone() };
        let read = self.read(&open, "directus_users", Selection::Key(user.to_owned()), query).await;
        let members = match read {
            Ok(members) => members,
            Err(Error::Forbidden | Error::InvalidQuery { .. }) => {
                tracing::warn!(path, "a preset or a validation names a field of users that is not there");
                return Ok(Value::Null);
            }
            Err(error) => return Err(error),
        };
        let document = [b"{", members.as_slice(), b"}"].concat();
        let document: Value = serde_json::from_slice(&document).map_err(Error::internal)?;
        Ok(follow(&document["data"], &steps))
    }
}

fn follow(value: &Value, steps: &[String]) -> Value {
    match (value, steps) {
        (Value::Array(entries), _) => {
            let found = entries.iter().map(|entry| follow(entry, steps)).filter(|found| !found.is_null());
            let several = found.flat_map(|found| match found {
                Value::Array(several) => several,
                one => vec![one],
            });
            Value::Array(several.collect())
        }
        (Value::Object(members), [step, rest @ ..]) => {
            members.get(step).map_or(Value::Null, |value| follow(value, rest))
        }
        (_, [_, ..]) => Value::Null,
        (value, []) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths() {
        let user =
            json!({ "role": { "name": "Editor" }, "teams": [{ "id": 1 }, { "id": null }, { "id": 2 }] });
        let check = |path: &str, expected: Value| {
            let steps: Vec<String> = path.split('.').map(str::to_owned).collect();
            assert_eq!(follow(&user, &steps), expected, "{path}");
        };
        check("role.name", json!("Editor"));
        check("role.name.more", json!(null));
        check("nothing", json!(null));
        check("teams.id", json!([1, 2]));
    }
}
