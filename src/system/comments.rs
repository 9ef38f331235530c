//! Comments: whoever is mentioned in one hears of it, if they may see what it is about.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Reply, SystemItems, payloads, text};
use crate::access::Context;
use crate::error::{Error, Result};
use crate::items::{Operation, WriteAnswer};
use crate::mail::Language;
use crate::query::Selection;

const COMMENTS: &str = "directus_comments";
/// Most people that one comment tells.
const MOST_MENTIONED: usize = 50;

/// `@` and the key of a user.
#[expect(clippy::expect_used, reason = "the expression is written here and compiles")]
static MENTION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("@([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})")
        .expect("an expression")
});

impl SystemItems<'_> {
    /// Makes comments and tells those who are mentioned in them.
    ///
    /// Fails with `InvalidPayload` for a comment that mentions more people than one may tell at once.
    pub async fn create_comments(
        &self,
        ctx: &Context,
        operation: Operation,
        reply: Reply,
    ) -> Result<WriteAnswer> {
        let comments = payloads(&operation).to_vec();
        let mentioned: Vec<BTreeSet<Uuid>> =
            comments.iter().map(|comment| mentions(text(comment, "comment").unwrap_or_default())).collect();
        if mentioned.iter().any(|mentioned| mentioned.len() > MOST_MENTIONED) {
            let reason = format_args!("a comment may mention {MOST_MENTIONED} people at most.");
            return Err(Error::payload(reason));
        }
        let answer = self.write(ctx, COMMENTS, operation, reply).await?;
        if !answer.is_replay {
            for (comment, mentioned) in comments.iter().zip(mentioned) {
                let (Some(collection), Some(item), Some(comment)) =
                    (text(comment, "collection"), text(comment, "item"), text(comment, "comment"))
                else {
                    continue;
                };
                for user in mentioned {
                    self.mention(ctx, &user.to_string(), (collection, item), comment).await?;
                }
            }
        }
        Ok(answer)
    }

    /// Leaves a notification for somebody who is mentioned. Whoever is not there, or may not read the item, hears nothing.
    async fn mention(
        &self,
        ctx: &Context,
        user: &str,
        (collection, item): (&str, &str),
        comment: &str,
    ) -> Result<()> {
        let known = match self.auth.stand_for(&ctx.schema, Some(user), ctx.now).await {
            Ok((accountability, rules)) => Context { accountability, rules, ..ctx.clone() },
            Err(Error::Forbidden) => return Ok(()),
            Err(error) => return Err(error),
        };
        let item_key = Selection::Key(item.to_owned());
        match self.read(&known, collection, item_key, json!({})).await {
            Ok(_) => {}
            Err(Error::Forbidden) => return Ok(()),
            Err(error) => return Err(error),
        }
        let language = Language::of(self.recipient(ctx, user).await?.language.as_deref().unwrap_or_default());
        let subject = match language {
            Language::English => format!("You were mentioned in {collection}"),
            Language::French => format!("Vous êtes mentionné dans {collection}"),
        };
        let notification = json!({
            "recipient": user,
            "sender": ctx.accountability.user,
            "subject": subject,
            "message": self.with_names(&known, comment).await,
            "collection": collection,
            "item": item,
        });
        let Value::Object(notification) = notification else { return Ok(()) };
        let all = super::everything(ctx);
        self.create_notifications(&all, Operation::Create(notification), Reply::default()).await.map(|_| ())
    }

    /// The comment with names in place of keys, as far as its reader may know them.
    async fn with_names(&self, reader: &Context, comment: &str) -> String {
        let keys = mentions(comment).into_iter().map(|key| key.to_string()).collect();
        let fields = json!({ "fields": "id,first_name,last_name", "limit": -1 });
        let Ok(users) = self.read(reader, "directus_users", Selection::Keys(keys), fields).await else {
            return comment.to_owned();
        };
        let mut told = comment.to_owned();
        for user in users.as_array().into_iter().flatten() {
            let names = ["first_name", "last_name"].map(|name| user[name].as_str().unwrap_or_default());
            let name = names.join(" ");
            if let Some(key) = user["id"].as_str().filter(|_| !name.trim().is_empty()) {
                told = told.replace(&format!("@{key}"), &format!("@{}", name.trim()));
            }
        }
        told
    }
}

fn mentions(comment: &str) -> BTreeSet<Uuid> {
    MENTION.captures_iter(comment).filter_map(|found| Uuid::try_parse(found.get(1)?.as_str()).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_mentioned_by_their_keys() {
        let check = |comment: &str, expected: &[&str]| {
            let found: Vec<String> = mentions(comment).iter().map(Uuid::to_string).collect();
            assert_eq!(found, expected, "{comment}");
        };
        let (a, b) = ("00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b");
        check("nobody @ all, @ada, a@example.com", &[]);
        check(&format!("@{a} and @{b}, @{a} again"), &[a, b]);
        check(&format!("@{}!", a.to_uppercase()), &[a]);
        check(&format!("{a} without its sign, @{}", &a[1..]), &[]);
    }
}
