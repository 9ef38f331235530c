//! Roles, policies and permissions as files say them, kept in step with the rows that the server goes by.
//!
//! Start at [`read()`]: `declared` reads `_access.yaml` and the `permissions:` of collections with their places, `rights` turns
//! patterns into one right per policy, collection and action, `filters` holds every rule against the model. [`Access`] is the
//! outcome: the rows that ought to be there. `plan` compares them with those that are and makes the steps between.

mod declared;
mod filters;
pub(super) mod home;
mod plan;
mod rights;
mod rows;

#[cfg(test)]
mod tests;

pub use declared::PUBLIC;
pub use plan::AccessStep;
pub(super) use plan::{AccessPlan, run};
pub(super) use rows::{Access, AccessKeys, Found, Source};

use declared::Declared;
use serde_json::Value;

use crate::schema::findings::Findings;
use crate::schema::{Loaded, Schema, SourceFile};
use crate::yaml::{self, Node, emit};

/// Name of the file with roles, policies and service accounts, at the top of the folder of collections.
pub const FILE_NAME: &str = "_access.yaml";

/// Whether a right that a row gives could stand in a file: whether all that it names is there.
pub(super) fn fits(schema: &Schema, collection: &str, right: &Value) -> bool {
    let text = emit::document(right);
    let (Some(node), _) = yaml::parse("row", text.as_bytes()) else { return false };
    let Some(collection) = schema.find(collection) else { return false };
    let mut findings = Findings::default();
    filters::check_rule(schema, collection, &declared::rule(&node), &mut findings);
    findings.errors() == 0
}

/// Reads what files say about access, and the tests of `file`. Without a model (its files are broken) only the shape of `file` is looked at.
pub(super) fn read(
    file: Option<&SourceFile>,
    loaded: Option<&Loaded>,
    findings: &mut Findings,
) -> Option<(Access, Option<Node>)> {
    let root = file.and_then(|file| {
        let (root, diagnostics) = yaml::parse(&file.path, &file.text);
        // A file with nothing in it, or with comments only, says that there is nothing.
        let is_blank = |text: &[u8]| {
            let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_start);
            lines.all(|line| line.is_empty() || line.starts_with(b"#"))
        };
        if root.is_none() && is_blank(&file.text) {
            return None;
        }
        findings.extend(diagnostics);
        root
    });
    let declared = Declared::read(root.as_ref(), loaded, findings);
    let loaded = loaded?;
    let rights = rights::expand(&declared, &loaded.schema, findings);
    filters::check(&rights, &loaded.schema, findings);
    filters::check_members(&loaded.schema, &loaded.sources, findings);
    let tests = root.as_ref().and_then(|root| root.get("tests")).cloned();
    Some((Access::new(&declared, &rights), tests))
}
