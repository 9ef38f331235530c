//! Rows as YAML: a list of maps. Texts, lists and objects are written as JSON, which YAML understands without guessing.

use serde_json::Value;

use super::{Next, Put, rows};
use crate::error::Result;

pub(super) fn encode(next: &mut Next<'_>, put: &mut Put<'_>) -> Result<()> {
    let mut is_empty = true;
    while let Some(piece) = next()? {
        let mut out = String::new();
        for row in rows(&piece)? {
            is_empty = false;
            if row.is_empty() {
                out.push_str("- {}\n");
            }
            for (position, (name, value)) in row.iter().enumerate() {
                out.push_str(if position == 0 { "- " } else { "  " });
                push_name(name, &mut out);
                out.push_str(": ");
                out.push_str(&value.to_string());
                out.push('\n');
            }
        }
        put(out.into_bytes())?;
    }
    if is_empty { put(b"[]\n".to_vec()) } else { Ok(()) }
}

/// A name as it is, unless YAML would take it for something else.
fn push_name(name: &str, out: &mut String) {
    let is_plain = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !["null", "true", "false", "yes", "no", "on", "off", "y", "n"]
            .contains(&name.to_ascii_lowercase().as_str());
    if is_plain { out.push_str(name) } else { out.push_str(&Value::from(name).to_string()) }
}
