//! From rows to files.
//!
//! Start at [`encode`]: it takes rows in pieces, each a JSON list, and gives the file in pieces.

mod csv;
mod spool;
mod xlsx;
mod xml;
mod yaml;

use serde_json::{Map, Value};

use super::Format;
use crate::error::{Error, Result};

/// Most columns of a table: what a sheet has room for.
const MOST_COLUMNS: usize = 16_384;

/// A row on its way into a file.
pub(super) type Row = Map<String, Value>;

/// Gives the next rows as a JSON list, `None` behind the last.
pub(super) type Next<'n> = dyn FnMut() -> Result<Option<Vec<u8>>> + 'n;

/// Takes the next bytes of the file.
pub(super) type Put<'p> = dyn FnMut(Vec<u8>) -> Result<()> + 'p;

/// Writes a file. `is_flat` says that all rows have the same members, none of them an object or a list.
///
/// Fails with whatever `next` or `put` fail with, with `UnprocessableContent` for what the format has no room for.
pub(super) fn encode(format: Format, is_flat: bool, next: &mut Next<'_>, put: &mut Put<'_>) -> Result<()> {
    match format {
        Format::Json => json(next, put),
        Format::Csv => csv::encode(is_flat, next, put),
        Format::Xml => xml::encode(next, put),
        Format::Yaml => yaml::encode(next, put),
        Format::Xlsx => xlsx::encode(is_flat, next, put),
    }
}

/// The pieces are JSON already.
fn json(next: &mut Next<'_>, put: &mut Put<'_>) -> Result<()> {
    put(b"[".to_vec())?;
    let mut is_first = true;
    while let Some(mut piece) = next()? {
        // Rows without the brackets around them; none are no piece.
        piece.pop();
        if piece.len() <= 1 {
            continue;
        }
        piece[0] = if is_first { b'\n' } else { b',' };
        is_first = false;
        put(piece)?;
    }
    put(b"]\n".to_vec())
}

/// The rows of a piece.
fn rows(piece: &[u8]) -> Result<Vec<Row>> {
    serde_json::from_slice(piece).map_err(Error::internal)
}

/// Puts the values of a row under names that lead to them: `{"a":{"b":1}}` has `a.b`.
fn flatten(row: Row, flat: &mut Row) {
    for (name, value) in row {
        flatten_value(name, value, flat);
    }
}

/// As deep as the JSON of a row, whose parser has a limit.
fn flatten_value(name: String, value: Value, flat: &mut Row) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (member, value) in members {
                flatten_value(format!("{name}.{member}"), value, flat);
            }
        }
        value => drop(flat.insert(name, value)),
    }
}

fn too_many_columns() -> Error {
    Error::UnprocessableContent { reason: format!("The file would have more than {MOST_COLUMNS} columns.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encodes rows, each a piece of its own.
    pub(super) fn encoded(format: Format, is_flat: bool, rows: &[&str]) -> Vec<u8> {
        let mut pieces =
            rows.iter().map(|row| format!("[{row}]").into_bytes()).collect::<Vec<_>>().into_iter();
        let mut file = Vec::new();
        let mut put = |bytes: Vec<u8>| {
            file.extend(bytes);
            Ok(())
        };
        encode(format, is_flat, &mut || Ok(pieces.next()), &mut put).expect("a file");
        file
    }

    fn check(format: Format, is_flat: bool, rows: &[&str], expected: &str) {
        assert_eq!(String::from_utf8_lossy(&encoded(format, is_flat, rows)), expected);
    }

    #[test]
    fn json_is_one_list() {
        check(Format::Json, true, &[], "[]\n");
        check(
            Format::Json,
            true,
            &[r#"{"a":1},{"a":2}"#, r#"{"a":3}"#],
            "[\n{\"a\":1},{\"a\":2},{\"a\":3}]\n",
        );
    }

    #[test]
    fn csv_of_flat_rows() {
        check(Format::Csv, true, &[], "");
        let rows = [
            r#"{"id":1,"t":"say \"hi\"","b":true,"n":null}"#,
            r#"{"id":2,"t":"=1+1","b":false,"n":"-1.50"}"#,
        ];
        check(
            Format::Csv,
            true,
            &rows,
            "\"id\",\"t\",\"b\",\"n\"\n1,\"say \"\"hi\"\"\",true,\n2,\"'=1+1\",false,\"-1.50\"",
        );
    }

    #[test]
    fn csv_of_nested_rows_has_a_column_per_path() {
        let rows = [
            r#"{"id":1,"j":{"n":1,"deep":{"k":"v"}},"tags":["a"]}"#,
            r#"{"id":2,"j":null,"tags":[]}"#,
            r#"{"id":3,"j":[3],"tags":[{"x":1}]}"#,
        ];
        check(
            Format::Csv,
            false,
            &rows,
            "\"id\",\"j.n\",\"j.deep.k\",\"tags\",\"j\"\n1,1,\"v\",\"[\"\"a\"\"]\",\n2,,,\"[]\",\n\
             3,,,\"[{\"\"x\"\":1}]\",\"[3]\"",
        );
    }

    #[test]
    fn xml_nests_elements() {
        check(Format::Xml, true, &[], "<?xml version='1.0'?>\n<data/>");
        let rows = [r#"{"id":1,"a b":"x < y & z","n":null,"o":{"k":[1,{"m":2}]}}"#];
        check(
            Format::Xml,
            false,
            &rows,
            "<?xml version='1.0'?>\n<data>\n    <data>\n        <id>1</id>\n        <a_b>x &lt; y &amp; z</a_b>\n        \
             <n/>\n        <o>\n            <k>1</k>\n            <k>\n                <m>2</m>\n            </k>\n        \
             </o>\n    </data>\n</data>",
        );
    }

    #[test]
    fn yaml_is_a_list_of_maps() {
        check(Format::Yaml, true, &[], "[]\n");
        let rows = [r#"{"id":1,"t":"a\nb","o":{"k":[1]}}"#, r#"{}"#];
        check(Format::Yaml, false, &rows, "- id: 1\n  t: \"a\\nb\"\n  o: {\"k\":[1]}\n- {}\n");
    }

    #[test]
    fn workbooks_begin_like_archives() {
        let file = encoded(Format::Xlsx, true, &[r#"{"id":1,"t":"=1+1"}"#]);
        assert!(file.starts_with(b"PK") && file.len() > 1000, "{} bytes", file.len());
    }
}
