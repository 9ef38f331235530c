//! What everybody may know of the project before they sign in.

use serde_json::{Value, json};

use super::{SystemItems, everything};
use crate::access::Context;
use crate::error::Result;
use crate::query::Selection;

/// What `project_name` is before somebody names the project.
const COLUMN_DEFAULT: &str = "Directus";
/// Settings that pages show to visitors.
const PUBLIC: &[&str] = &[
    "project_name",
    "project_descriptor",
    "project_logo",
    "project_color",
    "default_language",
    "default_appearance",
    "default_theme_light",
    "default_theme_dark",
    "theme_light_overrides",
    "theme_dark_overrides",
    "public_foreground",
    "public_background",
    "public_favicon",
    "public_note",
    "public_registration",
    "public_registration_verify_email",
    "custom_css",
];

impl SystemItems<'_> {
    /// Name, colours, pictures and the like.
    pub async fn project(&self, ctx: &Context) -> Result<Value> {
        let fields = json!({ "fields": PUBLIC });
        let mut told = self.read(&everything(ctx), "directus_settings", Selection::Singleton, fields).await?;
        // The default of the column is that of the public API, and nobody's name.
        if told["project_name"] == COLUMN_DEFAULT {
            told["project_name"] = json!("Tablature");
        }
        Ok(told)
    }
}
