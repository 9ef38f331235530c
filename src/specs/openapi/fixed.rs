//! The routes that are the same for every model.
//!
//! Each file of `fixed/` describes a group: `tag`, `schemas` by name and `paths`. Of a method of a path it says `summary`, who may
//! use it (`access`), and in words (see `words`) its `query`, `body` (JSON) or other `bodies` by media type, and what it gives:
//! `data` in an envelope, a whole document (`document`), a `file` of a media type, or another status (`gives`). `shared` names
//! parameters of reads, `errors` those that few operations have, `optional` says that there need be no body.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::Access;
use super::operation::Operation;
use super::words;
use crate::yaml::{self, Node};

const FILES: &[(&str, &str)] = &[
    ("fixed/auth.yaml", include_str!("fixed/auth.yaml")),
    ("fixed/files.yaml", include_str!("fixed/files.yaml")),
    ("fixed/graphql.yaml", include_str!("fixed/graphql.yaml")),
    ("fixed/schema.yaml", include_str!("fixed/schema.yaml")),
    ("fixed/server.yaml", include_str!("fixed/server.yaml")),
    ("fixed/shares.yaml", include_str!("fixed/shares.yaml")),
    ("fixed/system.yaml", include_str!("fixed/system.yaml")),
    ("fixed/tablature.yaml", include_str!("fixed/tablature.yaml")),
    ("fixed/users.yaml", include_str!("fixed/users.yaml")),
    ("fixed/utils.yaml", include_str!("fixed/utils.yaml")),
];

/// One method of a fixed path.
pub(super) struct FixedOperation {
    /// Lower case.
    pub(super) method: String,
    pub(super) access: Access,
    pub(super) value: Value,
}

#[derive(Default)]
struct Fixed {
    paths: Vec<(String, Vec<FixedOperation>)>,
    schemas: Map<String, Value>,
}

/// Read once. The test below makes sure that the files are flawless.
static FIXED: LazyLock<Fixed> = LazyLock::new(|| read(&mut Vec::new()));

/// All fixed paths with their operations.
pub(super) fn paths() -> &'static [(String, Vec<FixedOperation>)] {
    &FIXED.paths
}

/// The schemas that they name.
pub(super) fn schemas() -> Map<String, Value> {
    FIXED.schemas.clone()
}

fn read(problems: &mut Vec<String>) -> Fixed {
    let mut fixed = Fixed::default();
    for (file, text) in FILES {
        let (root, findings) = yaml::parse(file, text.as_bytes());
        problems.extend(findings.iter().map(ToString::to_string));
        let Some(root) = root.as_ref().map(Node::to_json) else { continue };
        for (name, word) in root["schemas"].as_object().into_iter().flatten() {
            match words::schema(word) {
                Ok(schema) => drop(fixed.schemas.insert(name.clone(), schema)),
                Err(word) => problems.push(format!("{file}: {name}: {word}")),
            }
        }
        let tag = root["tag"].as_str().unwrap_or_default();
        for (path, methods) in root["paths"].as_object().into_iter().flatten() {
            let mut operations = Vec::new();
            for (method, told) in methods.as_object().into_iter().flatten() {
                match operation(method, path, tag, told) {
                    Ok(operation) => operations.push(operation),
                    Err(problem) => problems.push(format!("{file}: {method} {path}: {problem}")),
                }
            }
            fixed.paths.push((path.clone(), operations));
        }
    }
    fixed
}

fn operation(method: &str, path: &str, tag: &str, told: &Value) -> Result<FixedOperation, String> {
    let told = told.as_object().ok_or("no map")?;
    let text = |key: &str| told.get(key).and_then(Value::as_str).ok_or_else(|| format!("{key} is missing"));
    let access = Access::read(text("access")?).ok_or("access")?;
    let mut operation = Operation::new(method, path, tag, text("summary")?);
    let is_required = told.get("optional") != Some(&json!(true));
    for (key, value) in told {
        let entries = || value.as_object().into_iter().flatten();
        let names = || value.as_array().into_iter().flatten().filter_map(Value::as_str);
        match key.as_str() {
            "summary" | "access" | "optional" => {}
            "about" => operation.describe(text("about")?),
            "shared" => names().for_each(|name| operation.shared_parameter(name)),
            "query" => {
                for (name, word) in entries() {
                    let is_required = name.ends_with('!');
                    operation.parameter(name.trim_end_matches('!'), is_required, words::schema(word)?);
                }
            }
            "body" => operation.body("application/json", words::schema(value)?, is_required),
            "bodies" => {
                for (media_type, word) in entries() {
                    operation.body(media_type, words::schema(word)?, is_required);
                }
            }
            "data" => operation.data("What was asked for", words::schema(value)?),
            "document" => {
                let schema = words::schema(value)?;
                operation.answer("200", "What was asked for", Some(("application/json", schema)));
            }
            "file" => {
                let media_type = text("file")?;
                operation.answer("200", "The content", Some((media_type, json!({}))));
            }
            "gives" => {
                for (status, about) in entries() {
                    operation.answer(status, about.as_str().ok_or("gives")?, None);
                }
            }
            "errors" => {
                for (status, response) in entries() {
                    operation.error(status, response.as_str().ok_or("errors")?);
                }
            }
            other => return Err(format!("unknown key {other}")),
        }
    }
    Ok(FixedOperation { method: method.to_owned(), access, value: operation.finish(method != "get") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_flawless() {
        let mut problems = Vec::new();
        let fixed = read(&mut problems);
        assert_eq!(problems, Vec::<String>::new());
        let methods = ["get", "post", "put", "patch", "delete", "head", "options"];
        for (path, operations) in &fixed.paths {
            assert!(!operations.is_empty() && path.starts_with('/'), "{path}");
            assert!(operations.iter().all(|operation| methods.contains(&&*operation.method)), "{path}");
            for operation in operations {
                let answers = operation.value["responses"].as_object().expect("responses");
                assert!(
                    answers.keys().any(|status| status < &"400".to_owned()),
                    "{} {path}",
                    operation.method
                );
            }
        }
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/specs/openapi/fixed");
        assert_eq!(std::fs::read_dir(folder).map(Iterator::count).ok(), Some(FILES.len()));
    }
}
