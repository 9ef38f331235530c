//! From files to rows.
//!
//! Start at [`decode`]: it reads a file row by row, and what a text of a table stands for is told by the column it is for.

mod csv;
mod json;
mod lines;
mod typed;
mod xlsx;
mod xml;
mod yaml;

use std::fs::File;
use std::ops::ControlFlow;

use super::Format;
use crate::error::{Error, Result};
use crate::items::ImportRow;

pub(super) use typed::Columns;

/// Most bytes of one row.
const MOST_ROW_BYTES: u64 = 4 << 20;
/// Deepest nesting of one row.
const MOST_DEPTH: usize = 64;

/// Takes the next row, and says whether there shall be more.
pub(super) type Take<'t> = dyn FnMut(ImportRow) -> ControlFlow<()> + 't;

/// Reads a file. Rows that cannot be read are handed on as such, with their lines.
///
/// Fails with `InvalidPayload` where the file itself is broken, so that nothing behind can be found.
pub(super) fn decode(format: Format, file: File, columns: &Columns, take: &mut Take<'_>) -> Result<()> {
    match format {
        Format::Csv => csv::decode(file, columns, take),
        Format::Json => json::decode(file, columns, take),
        Format::Xml => xml::decode(file, columns, take),
        Format::Yaml => yaml::decode(file, columns, take),
        Format::Xlsx => xlsx::decode(file, columns, take),
    }
}

fn broken(line: u64, what: impl std::fmt::Display) -> Error {
    Error::payload(what).in_line(line)
}

fn row_too_large() -> String {
    format!("the item is larger than {MOST_ROW_BYTES} bytes.")
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use serde_json::{Value, json};

    use super::*;
    use crate::schema::{SourceFile, load};

    fn columns() -> Columns {
        let text = b"collection: things\nfields:\n  id: integer_pk\n  name: string\n  number: integer\n  flag: boolean\n  \
                     tags: csv\n  data: json\n  on: date\n  parent: m2o(things)\n  parts: o2m(things.parent)\n";
        let files = [SourceFile { path: "things.yaml".to_owned(), text: text.to_vec() }];
        let (loaded, findings) = load(&files, 1);
        let schema = loaded.unwrap_or_else(|| panic!("{findings:?}")).schema;
        Columns::of(schema.get("things").expect("a collection"))
    }

    fn read(format: Format, content: &[u8]) -> (Vec<(u64, Value)>, Result<()>) {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(content).and_then(|()| file.seek(SeekFrom::Start(0))).expect("written");
        let mut rows = Vec::new();
        let mut take = |row: ImportRow| {
            rows.push((row.line, row.item.map_or_else(|error| json!(error.to_string()), Value::Object)));
            ControlFlow::Continue(())
        };
        let outcome = decode(format, file, &columns(), &mut take);
        (rows, outcome)
    }

    fn check(format: Format, content: &str, expected: &[(u64, Value)]) {
        let (rows, outcome) = read(format, content.as_bytes());
        assert!(outcome.is_ok(), "{outcome:?}");
        assert_eq!(rows, expected, "{content}");
    }

    #[test]
    fn csv() {
        let content = "\u{feff}name,number,flag,tags,data,parent.name\n\"a,\n\"\"b\"\"\",1,true,\"[\"\"x\"\"]\",\"{\"\"k\"\":1}\",p\n\
                       '=1,,false,\"x,y\",text,\n";
        check(
            Format::Csv,
            content,
            &[
                (
                    2,
                    json!({ "name": "a,\n\"b\"", "number": "1", "flag": true, "tags": ["x"], "data": { "k": 1 }, "parent": { "name": "p" } }),
                ),
                (
                    4,
                    json!({ "name": "=1", "number": null, "flag": false, "tags": ["x", "y"], "data": "\"text\"" }),
                ),
            ],
        );
        check(Format::Csv, "name;number\nä;2\n", &[(2, json!({ "name": "ä", "number": "2" }))]);
        check(Format::Csv, "", &[]);
        let (rows, outcome) = read(Format::Csv, b"name\nok\n\xff\nfine\n");
        assert!(outcome.is_ok() && rows.len() == 3, "{rows:?}");
        assert!(
            rows[1].1.to_string().contains("Line 3") && rows[2].1 == json!({ "name": "fine" }),
            "{rows:?}"
        );
    }

    #[test]
    fn json() {
        check(
            Format::Json,
            "[\n{\"name\":\"a\"},\n\n{\"number\":1.0,\n\"data\":[1]} ]\n",
            &[
                (2, json!({ "name": "a" })),
                (4, serde_json::from_str(r#"{"number":1.0,"data":[1]}"#).expect("JSON")),
            ],
        );
        check(Format::Json, "[]", &[]);
        for broken in ["{\"name\":1}", "[{\"a\":", "[] x", "", "[1]"] {
            let (rows, outcome) = read(Format::Json, broken.as_bytes());
            assert!(outcome.is_err() || rows[0].1.is_string(), "{broken}: {rows:?}");
        }
    }

    #[test]
    fn xml() {
        check(
            Format::Xml,
            "<?xml version='1.0'?>\n<data>\n  <data>\n    <name>a &lt; b&#33;</name>\n    <number>1</number>\n    <tags>x</tags>\n    \
             <parts><name>p</name></parts>\n    <flag/>\n  </data>\n  <data><parts>1</parts><parts>2</parts></data>\n</data>",
            &[
                (
                    3,
                    json!({ "name": "a < b!", "number": "1", "tags": ["x"], "parts": [{ "name": "p" }], "flag": null }),
                ),
                (10, json!({ "parts": ["1", "2"] })),
            ],
        );
        check(Format::Xml, "<data/>", &[]);
        for broken in [
            "<data><data>",
            "<!DOCTYPE d [<!ENTITY e 'x'>]><data><data><name>&e;</name></data></data>",
            "x",
            "",
        ] {
            assert!(read(Format::Xml, broken.as_bytes()).1.is_err(), "{broken}");
        }
    }

    #[test]
    fn yaml() {
        check(
            Format::Yaml,
            "- name: a\n  number: 1\n  data: {\"k\": [1, null]}\n- name: \"2\"\n  flag: true\n",
            &[
                (1, json!({ "name": "a", "number": 1, "data": { "k": [1, null] } })),
                (4, json!({ "name": "2", "flag": true })),
            ],
        );
        check(Format::Yaml, "[]\n", &[]);
        for broken in ["a: 1\n", "- &x {name: a}\n- *x\n", "- {name: [}\n"] {
            assert!(read(Format::Yaml, broken.as_bytes()).1.is_err(), "{broken}");
        }
    }

    #[test]
    fn xlsx() {
        let mut book = rust_xlsxwriter::Workbook::new();
        let sheet = book.add_worksheet();
        for (column, name) in ["name", "number", "flag", "on"].iter().enumerate() {
            sheet.write_string(0, column as u16, *name).expect("a cell");
        }
        let date = rust_xlsxwriter::ExcelDateTime::from_ymd(2026, 3, 2).expect("a date");
        let format = rust_xlsxwriter::Format::new().set_num_format("yyyy-mm-dd");
        sheet.write_string(2, 0, "a").expect("a cell");
        sheet.write_number(2, 1, 3.0).expect("a cell");
        sheet.write_boolean(2, 2, true).expect("a cell");
        sheet.write_datetime_with_format(2, 3, &date, &format).expect("a cell");
        let (rows, outcome) = read(Format::Xlsx, &book.save_to_buffer().expect("a workbook"));
        assert!(outcome.is_ok(), "{outcome:?}");
        assert_eq!(rows, [(3, json!({ "name": "a", "number": 3, "flag": true, "on": "2026-03-02" }))]);
        assert!(read(Format::Xlsx, b"PK no archive").1.is_err());
    }
}
