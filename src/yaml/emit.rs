//! Writes fresh YAML: block style, small lists and maps in brackets, quotes only where they are needed.

use serde_json::{Map, Value};

use super::{Yaml, scalar};

/// Longest list or map that is written in brackets, in characters.
const MOST_FLOW: usize = 90;

/// A whole document with this value.
pub fn document(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => block_map(map, 0, &mut text),
        Value::Array(items) if !items.is_empty() => block_list(items, 0, &mut text),
        other => {
            text.push_str(&flow(other));
            text.push('\n');
        }
    }
    text
}

/// What stands behind `key:`, with its leading space or line break and without a final line break; blocks are indented by `indent`.
pub fn behind_key(value: &Value, indent: usize) -> String {
    let inline = flow(value);
    let is_small = inline.chars().count() <= MOST_FLOW && !holds_maps(value);
    let mut text = String::new();
    match value {
        Value::Object(map) if !is_small => {
            text.push('\n');
            block_map(map, indent, &mut text);
        }
        Value::Array(items) if !is_small => {
            text.push('\n');
            block_list(items, indent, &mut text);
        }
        _ => {
            text.push(' ');
            text.push_str(&inline);
        }
    }
    text.truncate(text.trim_end_matches('\n').len());
    text
}

/// The value on one line.
pub fn flow(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => string(text),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(map) if map.is_empty() => "{}".to_owned(),
        Value::Object(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{}: {}", string(key), flow(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

/// A text as a scalar: plain where that reads back as the same text in any context, otherwise in double quotes.
pub fn string(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { double_quoted(text) }
}

fn holds_maps(value: &Value) -> bool {
    let inner = |value: &Value| match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => items.iter().any(|item| item.is_object() || item.is_array()),
        _ => false,
    };
    match value {
        Value::Array(items) => items.iter().any(inner),
        Value::Object(map) => map.values().any(inner),
        _ => false,
    }
}

fn block_map(map: &Map<String, Value>, indent: usize, text: &mut String) {
    for (key, value) in map {
        push_indent(indent, text);
        text.push_str(&string(key));
        text.push(':');
        text.push_str(&behind_key(value, indent + 2));
        text.push('\n');
    }
}

fn block_list(items: &[Value], indent: usize, text: &mut String) {
    for item in items {
        push_indent(indent, text);
        text.push('-');
        text.push_str(&behind_dash(item, indent + 2));
        text.push('\n');
    }
}

/// Like [`behind_key`], except that the first key of a map stands beside the dash.
fn behind_dash(value: &Value, indent: usize) -> String {
    let behind = behind_key(value, indent);
    match behind.strip_prefix('\n') {
        Some(block) => format!(" {}", block.trim_start_matches(' ')),
        None => behind,
    }
}

fn push_indent(indent: usize, text: &mut String) {
    text.extend(std::iter::repeat_n(' ', indent));
}

/// Whether a text may stand without quotes in a block and between brackets, for readers of YAML 1.1 too.
fn is_plain(text: &str) -> bool {
    let starts_well = text
        .starts_with(|first: char| first.is_alphanumeric() || matches!(first, '_' | '/' | '$' | '(' | '.'));
    let harmless = |character: char| {
        character.is_alphanumeric()
            || matches!(
                character,
                '_' | '-' | '.' | '/' | '(' | ')' | '+' | '$' | '@' | ';' | '=' | ' ' | '·'
            )
    };
    starts_well
        && !text.ends_with([' ', '-'])
        && !text.starts_with("...")
        && text.len() <= 500
        && text.chars().all(harmless)
        && matches!(scalar::resolve(text), Ok(Yaml::Text(_)))
        && !looks_typed_elsewhere(text)
}

/// Booleans and numbers of YAML 1.1 that are texts in 1.2.
fn looks_typed_elsewhere(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "y" | "n" | "yes" | "no" | "on" | "off" | "=")
        || text.chars().all(|character| {
            character.is_ascii_digit() || matches!(character, '_' | '.' | '-' | '+' | 'e' | 'E')
        })
}

fn double_quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{2028}' | '\u{2029}' | '\u{FEFF}' => quoted.push_str(&format!("\\u{:04X}", character as u32)),
            control if control.is_control() => quoted.push_str(&format!("\\x{:02X}", control as u32)),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::yaml::parse;

    #[test]
    fn strings_are_quoted_where_needed() {
        for (text, expected) in [
            ("draft", "draft"),
            ("m2o(companies)", "m2o(companies)"),
            ("decimal(12,2)", "\"decimal(12,2)\""),
            ("no", "\"no\""),
            ("2026-01-01", "\"2026-01-01\""),
            ("12", "\"12\""),
            ("", "\"\""),
            (" a", "\" a\""),
            ("a: b", "\"a: b\""),
            ("#fff", "\"#fff\""),
            ("l'été", "\"l'été\""),
            ("a\nb", "\"a\\nb\""),
        ] {
            assert_eq!(string(text), expected);
        }
    }

    #[test]
    fn documents_read_well() {
        let value = json!({
            "collection": "notes",
            "fields": {
                "id": "uuid_pk",
                "status": { "type": "string", "choices": ["draft", "sent"], "default": "draft" },
                "price": { "type": "decimal(12,2)" },
            },
            "indexes": [["a", "b"], { "fields": ["c"], "unique": true }],
            "ui": { "fields": { "status": { "width": "half", "translations": { "fr": "État" } } } },
        });
        let expected = "\
collection: notes
fields:
  id: uuid_pk
  status:
    type: string
    choices: [draft, sent]
    default: draft
  price: { type: \"decimal(12,2)\" }
indexes:
  - [a, b]
  - fields: [c]
    unique: true
ui:
  fields:
    status:
      width: half
      translations: { fr: État }
";
        // A list inside of a map still reads well on one line, a map inside of a map does not.
        let expected = expected.replace(
            "  status:\n    type: string\n    choices: [draft, sent]\n    default: draft\n",
            "  status: { type: string, choices: [draft, sent], default: draft }\n",
        );
        let expected =
            expected.replace("  - fields: [c]\n    unique: true\n", "  - { fields: [c], unique: true }\n");
        assert_eq!(document(&value), expected);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1.0e9..1.0e9f64).prop_map(Value::from),
            ".{0,20}".prop_map(Value::from),
            "[ -~\\n\\t]{0,30}".prop_map(Value::from),
            "(yes|no|null|~|true|1e3|0x1F|- a|a: b|a #b|---|\\.\\.\\.|\\|)".prop_map(Value::from),
            "[a-z]{1,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec(("[ -~é]{1,12}", inner), 0..5)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(value in any_value()) {
            let value = json!({ "root": value });
            let text = document(&value);
            let (node, findings) = parse("test.yaml", text.as_bytes());
            prop_assert!(findings.is_empty(), "{findings:?} in\n{text}");
            prop_assert_eq!(node.map(|node| node.to_json()), Some(value), "{}", text);
        }
    }
}
