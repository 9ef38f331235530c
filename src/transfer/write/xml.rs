//! Rows as XML: an element per row in one element, members as elements, lists as several of the same name.

use serde_json::{Map, Value};

use super::{Next, Put, rows};
use crate::error::Result;

/// Name of the element of all rows and of each.
const DATA: &str = "data";

pub(super) fn encode(next: &mut Next<'_>, put: &mut Put<'_>) -> Result<()> {
    let mut out = String::from("<?xml version='1.0'?>\n");
    let mut is_empty = true;
    while let Some(piece) = next()? {
        for row in rows(&piece)? {
            if std::mem::take(&mut is_empty) {
                out.push_str("<data>");
            }
            object(DATA, &row, 1, &mut out);
        }
        put(std::mem::take(&mut out).into_bytes())?;
    }
    out.push_str(if is_empty { "<data/>" } else { "\n</data>" });
    put(out.into_bytes())
}

fn object(name: &str, members: &Map<String, Value>, depth: usize, out: &mut String) {
    indent(depth, out);
    if members.is_empty() {
        push_all(out, &["<", name, "/>"]);
        return;
    }
    push_all(out, &["<", name, ">"]);
    for (member, value) in members {
        element(&element_name(member), value, depth + 1, out);
    }
    indent(depth, out);
    push_all(out, &["</", name, ">"]);
}

/// As deep as the JSON of a row, whose parser has a limit.
fn element(name: &str, value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(members) => object(name, members, depth, out),
        Value::Array(entries) => entries.iter().for_each(|entry| element(name, entry, depth, out)),
        Value::Null => {
            indent(depth, out);
            push_all(out, &["<", name, "/>"]);
        }
        Value::String(text) => {
            indent(depth, out);
            push_all(out, &["<", name, ">"]);
            escape(text, out);
            push_all(out, &["</", name, ">"]);
        }
        value => {
            indent(depth, out);
            push_all(out, &["<", name, ">", &value.to_string(), "</", name, ">"]);
        }
    }
}

fn indent(depth: usize, out: &mut String) {
    out.push('\n');
    for _ in 0..depth {
        out.push_str("    ");
    }
}

fn push_all(out: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| out.push_str(part));
}

fn escape(text: &str, out: &mut String) {
    for letter in text.chars() {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(letter),
            // XML has no way to say these.
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
}

/// A name with what no element can have replaced.
fn element_name(name: &str) -> String {
    let mut out: String = name
        .chars()
        .map(
            |letter| if letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.') { letter } else { '_' },
        )
        .collect();
    if !out.starts_with(|first: char| first.is_alphabetic() || first == '_') {
        out.insert(0, '_');
    }
    out
}
