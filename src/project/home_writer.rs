//! Edits about access, written into the texts of files.

use serde_json::{Map, Value, json};

use super::access::FILE_NAME;
use super::access::home::{Edit, Place};
use super::pull::{Writer, unwritable};
use crate::error::Result;
use crate::schema::SourceMap;
use crate::schema::keys::access::ACTION_NAMES;
use crate::yaml::{Node, Yaml, edit, emit, parse};

impl Writer {
    /// Carries out edits. Each file keeps its comments and its order.
    pub(super) fn take_access(&mut self, edits: Vec<Edit>, sources: &SourceMap) -> Result<()> {
        for edit in edits {
            let file = match &edit.place {
                Place::Access => format!("{}/{FILE_NAME}", self.root()),
                Place::Collection(name) => match sources.collection(name) {
                    Some(at) => at.file.to_string(),
                    None => continue,
                },
            };
            let before = self.text(&file).unwrap_or_default().to_owned();
            let after = carry_out(&file, &before, &edit)?;
            if after != before {
                self.change(&file, after, format!("{file}: {}", told(&edit)));
            }
        }
        Ok(())
    }
}

fn told(edit: &Edit) -> String {
    let path: Vec<&str> = edit.path.iter().map(String::as_str).collect();
    let (what, path) = match (path.as_slice(), &edit.value) {
        ([path @ .., "+"], Some(value)) => return format!("{} of {} added", plain(value), path.join(".")),
        ([path @ .., "-"], Some(value)) => return format!("{} of {} removed", plain(value), path.join(".")),
        (path, None) => ("removed", path),
        (path, Some(_)) => ("set", path),
    };
    format!("{} {what}", path.join("."))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn carry_out(file: &str, text: &str, change: &Edit) -> Result<String> {
    let (root, _) = parse(file, text.as_bytes());
    let path: Vec<&str> = change.path.iter().map(String::as_str).collect();
    let Some(root) = root else {
        // Nothing in it yet, comments at most.
        return Ok(match (&change.value, path.split_last()) {
            (Some(_), Some((&"-", _))) | (None, _) => text.to_owned(),
            (Some(value), Some((&"+", path))) => {
                format!("{text}{}", emit::document(&nested(path, json!([value]))))
            }
            (Some(value), _) => format!("{text}{}", emit::document(&nested(&path, value.clone()))),
        });
    };
    match (path.as_slice(), &change.value) {
        ([path @ .., "+"], Some(value)) => {
            let mut list = list_at(&root, path);
            if list.contains(value) {
                return Ok(text.to_owned());
            }
            list.push(value.clone());
            put(file, text, &root, path, Value::Array(list))
        }
        ([path @ .., "-"], Some(value)) => {
            let mut list = list_at(&root, path);
            let before = list.len();
            list.retain(|known| known != value);
            match (list.len() == before, list.is_empty()) {
                (true, _) => Ok(text.to_owned()),
                (false, true) => edit::remove(file, text, path).map_err(unwritable),
                (false, false) => put(file, text, &root, path, Value::Array(list)),
            }
        }
        (path, None) => match at(&root, path) {
            Some(_) => edit::remove(file, text, path).map_err(unwritable),
            None => Ok(text.to_owned()),
        },
        (path, Some(value)) => put(file, text, &root, path, value.clone()),
    }
}

fn at<'n>(root: &'n Node, path: &[&str]) -> Option<&'n Node> {
    path.iter().try_fold(root, |node, step| node.get(step))
}

fn list_at(root: &Node, path: &[&str]) -> Vec<Value> {
    let list = at(root, path).and_then(Node::as_list).unwrap_or_default();
    list.iter().map(Node::to_json).collect()
}

/// Sets what is there; where it is not, adds it with all that has to stand around it.
fn put(file: &str, text: &str, root: &Node, path: &[&str], value: Value) -> Result<String> {
    if at(root, path).is_some() {
        return edit::set(file, text, path, &value).map_err(unwritable);
    }
    let mut length = path.len() - 1;
    while length > 0 && at(root, &path[..length]).is_none() {
        length -= 1;
    }
    let (there, missing) = path.split_at(length);
    let node = at(root, there).unwrap_or(root);
    match (&node.value, missing) {
        (Yaml::Map(_) | Yaml::Null, [first, rest @ ..]) => {
            edit::insert(file, text, there, first, &nested(rest, value)).map_err(unwritable)
        }
        // `[read, create]` becomes a map of actions.
        (_, [action]) => {
            let mut rights = short_rights(node);
            rights.insert((*action).to_owned(), value);
            edit::set(file, text, there, &Value::Object(rights)).map_err(unwritable)
        }
        _ => Ok(text.to_owned()),
    }
}

/// A value inside of maps with these keys.
fn nested(path: &[&str], value: Value) -> Value {
    path.iter().rev().fold(value, |value, key| json!({ *key: value }))
}

/// The short form of rights as the map that says the same.
fn short_rights(node: &Node) -> Map<String, Value> {
    let mut rights = Map::new();
    for word in node.as_list().unwrap_or(std::slice::from_ref(node)).iter().filter_map(Node::as_text) {
        match word {
            "all" => ACTION_NAMES.iter().for_each(|action| {
                rights.insert((*action).to_owned(), Value::Bool(true));
            }),
            "none" => ACTION_NAMES.iter().for_each(|action| {
                rights.insert((*action).to_owned(), Value::Bool(false));
            }),
            action => {
                rights.insert(action.to_owned(), Value::Bool(true));
            }
        }
    }
    rights
}
