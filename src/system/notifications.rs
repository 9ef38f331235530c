//! Notifications: rows in the inbox of a user, and a letter to whoever wants one.

use serde_json::{Value, json};

use super::{Reply, SystemItems, everything, payloads, text};
use crate::access::Context;
use crate::error::{Error, Result};
use crate::items::{Operation, WriteAnswer};
use crate::mail::{Language, Letter, Occasion, Told};
use crate::query::Selection;

const NOTIFICATIONS: &str = "directus_notifications";

/// How somebody wants to be told.
#[derive(Debug, Default)]
pub(super) struct Recipient {
    /// Where letters go; `None` for whoever wants none.
    email: Option<String>,
    /// Their language, or that of the project.
    pub(super) language: Option<String>,
    project: Option<String>,
}

impl SystemItems<'_> {
    /// Makes notifications and writes to those who are told, where they wish it.
    pub async fn create_notifications(
        &self,
        ctx: &Context,
        operation: Operation,
        reply: Reply,
    ) -> Result<WriteAnswer> {
        let new = payloads(&operation).to_vec();
        let answer = self.write(ctx, NOTIFICATIONS, operation, reply).await?;
        if !answer.is_replay {
            for notification in &new {
                let (Some(recipient), Some(subject)) =
                    (text(notification, "recipient"), text(notification, "subject"))
                else {
                    continue;
                };
                let told = Told { subject, message: text(notification, "message").unwrap_or_default() };
                let about = text(notification, "collection").zip(text(notification, "item"));
                self.write_to(ctx, recipient, told, about).await?;
            }
        }
        Ok(answer)
    }

    async fn write_to(
        &self,
        ctx: &Context,
        recipient: &str,
        told: Told<'_>,
        about: Option<(&str, &str)>,
    ) -> Result<()> {
        let recipient = self.recipient(ctx, recipient).await?;
        let Some(email) = recipient.email else { return Ok(()) };
        let url = match about {
            Some((collection, item)) => self.links.page_of(&["admin", "content", collection, item]),
            None => self.links.page_of(&["admin", "notifications"]),
        };
        let letter = Letter {
            occasion: Occasion::Notification,
            language: Language::of(recipient.language.as_deref().unwrap_or_default()),
            project: recipient.project.as_deref().unwrap_or("Tablature"),
            url: url.as_str(),
            hours: 0,
            told: Some(told),
        };
        self.mailer.send(&email, &letter);
        Ok(())
    }

    /// What is known of somebody who is told something. Nobody is written to who is not there or not active.
    pub(super) async fn recipient(&self, ctx: &Context, user: &str) -> Result<Recipient> {
        let all = everything(ctx);
        let fields = json!({ "fields": "email,email_notifications,language,status" });
        let user = match self.read(&all, "directus_users", Selection::Key(user.to_owned()), fields).await {
            Ok(user) => user,
            Err(Error::Forbidden) => return Ok(Recipient::default()),
            Err(error) => return Err(error),
        };
        let fields = json!({ "fields": "project_name,default_language" });
        let settings = self.read(&all, "directus_settings", Selection::Singleton, fields).await?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let wants_letters = user["email_notifications"] == true && user["status"] == "active";
        Ok(Recipient {
            email: text(&user["email"]).filter(|_| wants_letters),
            language: text(&user["language"]).or_else(|| text(&settings["default_language"])),
            project: text(&settings["project_name"]),
        })
    }
}
