//! The tree of a file.

use std::sync::Arc;

use serde_json::{Map, Number, Value};

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The file, as it was named to the reader.
    pub file: Arc<str>,
    /// Line, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
}

/// A place inside a file that is known from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// Line, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub at: Position,
    /// Just behind its last character.
    pub end: Point,
    /// How it is written.
    pub style: Style,
    /// What it is.
    pub value: Yaml,
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A scalar without quotes.
    Plain,
    /// A scalar in quotes.
    Quoted,
    /// A text behind `|` or `>`.
    BlockText,
    /// A list or map in brackets.
    Flow,
    /// A list or map made by indentation.
    Block,
}

/// What a node is. Plain scalars follow the core schema of YAML 1.2: `no`, `yes`, `on` and dates are texts.
#[derive(Debug, Clone, PartialEq)]
pub enum Yaml {
    /// `null`, `~` or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, exactly as written.
    Number(Number),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in order; keys are scalars and unique.
    Map(Vec<Entry>),
}

/// One key of a map with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key as text, whatever scalar it is.
    pub name: String,
    /// The key.
    pub key: Node,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// The text, when it is one.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Yaml::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The boolean, when it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self.value {
            Yaml::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The entries, when it is a list.
    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Yaml::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, when it is a map.
    pub fn as_map(&self) -> Option<&[Entry]> {
        match &self.value {
            Yaml::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of a key, when it is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.iter().find(|entry| entry.name == key).map(|entry| &entry.value)
    }

    /// Nothing is there.
    pub fn is_null(&self) -> bool {
        self.value == Yaml::Null
    }

    /// Neither a list nor a map.
    pub fn is_scalar(&self) -> bool {
        !matches!(self.value, Yaml::List(_) | Yaml::Map(_))
    }

    /// The kind of value, for messages.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Yaml::Null => "nothing",
            Yaml::Bool(_) => "a boolean",
            Yaml::Number(_) => "a number",
            Yaml::Text(_) => "a text",
            Yaml::List(_) => "a list",
            Yaml::Map(_) => "a map",
        }
    }

    /// The same as JSON, without places.
    pub fn to_json(&self) -> Value {
        match &self.value {
            Yaml::Null => Value::Null,
            Yaml::Bool(value) => Value::Bool(*value),
            Yaml::Number(number) => Value::Number(number.clone()),
            Yaml::Text(text) => Value::String(text.clone()),
            Yaml::List(items) => items.iter().map(Node::to_json).collect(),
            Yaml::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|entry| (entry.name.clone(), entry.value.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }
}
