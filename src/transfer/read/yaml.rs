//! A list of maps, read one at a time. Nothing may stand for something else, so that a small file cannot become a large one.

use std::fs::File;
use std::io::Read;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

use super::lines::{Counted, Place};
use super::{Columns, MOST_DEPTH, Take, broken};
use crate::error::{Error, Result};
use crate::items::ImportRow;

/// A list or map that has begun and not ended.
enum Open {
    List(Vec<Value>),
    Map(Map<String, Value>, Option<String>),
}

pub(super) fn decode(file: File, columns: &Columns, take: &mut Take<'_>) -> Result<()> {
    let (counted, place) = Counted::new(file);
    let mut parser =
        Parser::new_from_iter(Letters { bytes: counted.bytes(), place: place.clone(), failure: false });
    let mut open: Vec<Open> = Vec::new();
    let mut is_in_list = false;
    let mut is_over = false;
    let mut row_line = 0;
    while let Some(next) = parser.next_event() {
        if place.is_row_too_large() {
            return Err(broken(place.line(), super::row_too_large()));
        }
        let (event, span) = next.map_err(|error| broken(error.marker().line() as u64, error.info()))?;
        let line = span.start.line() as u64;
        let wrong = |what: &str| broken(line, what);
        if is_in_list && open.is_empty() {
            row_line = line;
        }
        let value = match event {
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => continue,
            Event::StreamEnd => break,
            Event::Alias(_) => return Err(wrong("an alias stands for something else; write it out.")),
            Event::SequenceStart(..) if !is_in_list && !is_over => {
                is_in_list = true;
                place.begin_row();
                continue;
            }
            _ if !is_in_list => return Err(wrong("the file is no list of maps.")),
            Event::SequenceEnd if open.is_empty() => {
                (is_in_list, is_over) = (false, true);
                continue;
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() >= MOST_DEPTH => {
                return Err(wrong("the row is nested too deep."));
            }
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Map::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(entries)) => Value::Array(entries),
                Some(Open::Map(members, _)) => Value::Object(members),
                None => return Err(wrong("something ends that has not begun.")),
            },
            Event::Scalar(text, style, ..) => match open.last_mut() {
                Some(Open::Map(_, name @ None)) => {
                    *name = Some(text.into_owned());
                    continue;
                }
                _ if style == ScalarStyle::Plain => plain(&text),
                _ => Value::String(text.into_owned()),
            },
        };
        match open.last_mut() {
            Some(Open::List(entries)) => entries.push(value),
            Some(Open::Map(members, name)) => match name.take() {
                Some(name) => drop(members.insert(name, value)),
                None => return Err(wrong("a key must be a text.")),
            },
            None => {
                place.begin_row();
                let item = match value {
                    Value::Object(item) => Ok(columns.mend(item)),
                    _ => Err(Error::payload("every entry of the list must be a map.").in_line(row_line)),
                };
                if take(ImportRow { line: row_line, item }).is_break() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// A text without quotes, by the rules of YAML 1.2.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        text => match text.parse::<Number>() {
            Ok(number) => Value::Number(number),
            Err(_) => Value::String(text.to_owned()),
        },
    }
}

/// The letters of a file. What is no UTF-8 becomes a letter that YAML does not take.
struct Letters<R> {
    bytes: std::io::Bytes<R>,
    place: Place,
    failure: bool,
}

impl<R: Read> Iterator for Letters<R> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        const NO_LETTER: char = '\u{1}';
        if self.failure || self.place.is_row_too_large() {
            return None;
        }
        let mut next = || self.bytes.next()?.ok();
        let first = next()?;
        let more = match first {
            0..=0x7f => return Some(char::from(first)),
            0xc2..=0xdf => 1,
            0xe0..=0xef => 2,
            0xf0..=0xf4 => 3,
            _ => {
                self.failure = true;
                return Some(NO_LETTER);
            }
        };
        let mut letter = [first, 0, 0, 0];
        for place in &mut letter[1..=more] {
            *place = next()?;
        }
        match std::str::from_utf8(&letter[..=more]).ok().and_then(|text| text.chars().next()) {
            Some(letter) => Some(letter),
            None => {
                self.failure = true;
                Some(NO_LETTER)
            }
        }
    }
}
