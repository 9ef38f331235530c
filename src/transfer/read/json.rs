//! A list of objects, read one at a time.

use std::fmt;
use std::fs::File;

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::Value;

use super::lines::{Counted, Place};
use super::{Columns, Take, broken};
use crate::error::{Error, Result};
use crate::items::ImportRow;

pub(super) fn decode(file: File, columns: &Columns, take: &mut Take<'_>) -> Result<()> {
    let (reader, place) = Counted::new(file);
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    let mut is_stopped = false;
    let list = List { place: &place, columns, take, is_stopped: &mut is_stopped };
    let outcome = deserializer.deserialize_seq(list).and_then(|()| deserializer.end());
    match outcome {
        Err(error) if !is_stopped => {
            Err(broken(place.line(), format_args!("the file is no list of objects: {error}.")))
        }
        _ => Ok(()),
    }
}

struct List<'l, 't> {
    place: &'l Place,
    columns: &'l Columns,
    take: &'l mut Take<'t>,
    is_stopped: &'l mut bool,
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<(), A::Error> {
        loop {
            self.place.begin_row();
            let mut line = 0;
            let Some(value) = list.next_element_seed(Row { place: self.place, line: &mut line })? else {
                return Ok(());
            };
            let item = match value {
                Value::Object(item) => Ok(self.columns.mend(item)),
                _ => Err(Error::payload("every entry of the list must be an object.").in_line(line)),
            };
            if (self.take)(ImportRow { line, item }).is_break() {
                *self.is_stopped = true;
                return Err(serde::de::Error::custom("enough"));
            }
        }
    }
}

/// A value, and the line in which it begins.
struct Row<'r> {
    place: &'r Place,
    line: &'r mut u64,
}

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Value, D::Error> {
        // Its first byte has been looked at to know that it is there.
        *self.line = self.place.line();
        serde::Deserialize::deserialize(deserializer)
    }
}
