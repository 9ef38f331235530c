//! An element whose elements are rows, whose elements are members. Attributes say nothing; there are no entities of its own.

use std::fs::File;

use indexmap::IndexMap;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use serde_json::{Map, Value};

use super::super::cells::defuse;
use super::lines::Counted;
use super::{Columns, MOST_DEPTH, Take, broken};
use crate::error::Result;
use crate::items::ImportRow;

/// An element that has begun and not ended.
#[derive(Default)]
struct Open {
    name: String,
    text: String,
    members: IndexMap<String, Vec<Value>>,
}

pub(super) fn decode(file: File, columns: &Columns, take: &mut Take<'_>) -> Result<()> {
    let (counted, place) = Counted::new(file);
    let mut reader = Reader::from_reader(counted);
    let mut buffer = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut row_line = 0;
    let mut has_root = false;
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer).map_err(|error| broken(place.line(), error))?;
        let wrong = |what: &str| broken(place.line(), what);
        let not_utf8 = |_| broken(place.line(), "the file is not UTF-8.");
        match event {
            Event::Start(start) | Event::Empty(start) if open.is_empty() && has_root => {
                drop(start);
                return Err(wrong("there is more than one element around the rows."));
            }
            Event::Start(start) => {
                has_root = true;
                if open.len() == 1 {
                    place.begin_row();
                    row_line = place.line();
                }
                if open.len() > MOST_DEPTH {
                    return Err(wrong("the row is nested too deep."));
                }
                let name = String::from_utf8(start.name().as_ref().to_vec()).map_err(not_utf8)?;
                open.push(Open { name, ..Open::default() });
            }
            Event::Empty(start) => {
                has_root = true;
                let name = String::from_utf8(start.name().as_ref().to_vec()).map_err(not_utf8)?;
                let depth = open.len();
                match open.last_mut() {
                    // The element around the rows has none, or a row has no members.
                    None => {}
                    Some(_) if depth == 1 => {
                        let outcome = take(ImportRow { line: place.line(), item: Ok(Map::new()) });
                        if outcome.is_break() {
                            return Ok(());
                        }
                    }
                    Some(above) => above.members.entry(name).or_default().push(Value::Null),
                }
            }
            Event::Text(text) => {
                let text = text.decode().map_err(|error| broken(place.line(), error))?;
                push_text(&mut open, &text);
            }
            Event::CData(text) => {
                let text = text.decode().map_err(|error| broken(place.line(), error))?;
                push_text(&mut open, &text);
            }
            Event::GeneralRef(reference) => {
                let name = reference.decode().map_err(|error| broken(place.line(), error))?;
                let letter = reference.resolve_char_ref().map_err(|error| broken(place.line(), error))?;
                match (letter, resolve_predefined_entity(&name)) {
                    (Some(letter), _) => push_text(&mut open, letter.encode_utf8(&mut [0; 4])),
                    (None, Some(text)) => push_text(&mut open, text),
                    (None, None) => return Err(wrong("the file has entities of its own.")),
                }
            }
            Event::End(_) => {
                let Some(closed) = open.pop() else {
                    return Err(wrong("an element ends that has not begun."));
                };
                match open.len() {
                    0 => {}
                    1 => {
                        let item = closed
                            .members
                            .into_iter()
                            .map(|(name, values)| {
                                let value = columns.listed(
                                    &name,
                                    values.into_iter().map(|value| typed(columns, &name, value)).collect(),
                                );
                                (name, value)
                            })
                            .collect();
                        if take(ImportRow { line: row_line, item: Ok(item) }).is_break() {
                            return Ok(());
                        }
                    }
                    _ => {
                        let Open { name, text, members } = closed;
                        let value = if members.is_empty() {
                            if text.is_empty() { Value::Null } else { Value::String(text) }
                        } else {
                            let single = |mut values: Vec<Value>| {
                                if values.len() == 1 { values.remove(0) } else { Value::Array(values) }
                            };
                            members.into_iter().map(|(name, values)| (name, single(values))).collect()
                        };
                        if let Some(above) = open.last_mut() {
                            above.members.entry(name).or_default().push(value);
                        }
                    }
                }
            }
            Event::DocType(_) => return Err(wrong("the file declares a type of document.")),
            Event::Eof if !open.is_empty() || !has_root => return Err(wrong("the file ends too early.")),
            Event::Eof => return Ok(()),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
        }
    }
}

/// Text between elements is layout; that of an element without elements is its value.
fn push_text(open: &mut [Open], text: &str) {
    if let Some(element) = open.last_mut()
        && element.members.is_empty()
    {
        element.text.push_str(text);
    }
}

fn typed(columns: &Columns, name: &str, value: Value) -> Value {
    match value {
        // An element is no formula: its text has got no apostrophe.
        Value::String(text) => match columns.value(name, &defuse(&text)) {
            // An element per entry: what is one of several is no list itself.
            Value::Array(entries) if !text.starts_with('[') => {
                entries.into_iter().next().unwrap_or(Value::Null)
            }
            value => value,
        },
        value => value,
    }
}
