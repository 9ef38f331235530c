//! Rows as JSON text for revisions and events.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::db::write_json_text;
use crate::filter::Scalar;
use crate::schema::{Collection, ColumnType, Field, FieldId};

/// What stands for a value that nobody may see.
const CONCEALED: &[u8] = b"\"**********\"";

/// These columns of a row as a JSON object, in the form of answers. Hashes and concealed values are not shown.
pub fn row_json<'v>(collection: &Collection, values: impl Iterator<Item = (FieldId, &'v Scalar)>) -> String {
    let mut out = Vec::with_capacity(1024);
    out.push(b'{');
    for (number, (id, value)) in values.enumerate() {
        let field = collection.field(id);
        if number > 0 {
            out.push(b',');
        }
        write_json_text(&field.name, &mut out);
        out.push(b':');
        write_value(&mut out, field, value);
    }
    out.push(b'}');
    String::from_utf8(out).expect("texts and what is ASCII are a text together")
}

fn write_value(out: &mut Vec<u8>, field: &Field, value: &Scalar) {
    let column_type = field.column.as_ref().map_or(&ColumnType::Text, |column| &column.column_type);
    match (column_type, value) {
        (_, Scalar::Null) => out.extend_from_slice(b"null"),
        (ColumnType::Hash, _) => out.extend_from_slice(CONCEALED),
        _ if field.conceal => out.extend_from_slice(CONCEALED),
        (_, Scalar::Bool(value)) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        (ColumnType::BigInteger, Scalar::Int(value)) => {
            out.push(b'"');
            out.extend_from_slice(itoa::Buffer::new().format(*value).as_bytes());
            out.push(b'"');
        }
        (_, Scalar::Int(value)) => out.extend_from_slice(itoa::Buffer::new().format(*value).as_bytes()),
        (_, Scalar::Float(value)) => {
            out.extend_from_slice(serde_json::Value::from(*value).to_string().as_bytes())
        }
        (ColumnType::Json, Scalar::Text(text)) => out.extend_from_slice(text.as_bytes()),
        (ColumnType::Csv, Scalar::Text(text)) => {
            out.push(b'[');
            for (number, entry) in text.split(',').filter(|_| !text.is_empty()).enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                write_json_text(entry, out);
            }
            out.push(b']');
        }
        (_, Scalar::Text(text)) => write_json_text(text, out),
        (_, Scalar::Bytes(bytes)) => write_json_text(&BASE64.encode(bytes), out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Column, Origin};

    #[test]
    fn rows_look_as_in_answers() {
        let field = |name: &str, column_type| Field::plain(name, Column::new(column_type));
        let mut secret = field("secret", ColumnType::Text);
        secret.conceal = true;
        let fields = vec![
            field("a", ColumnType::Integer),
            field("b", ColumnType::BigInteger),
            field("c", ColumnType::Csv),
            field("d", ColumnType::Json),
            field("e", ColumnType::Hash),
            secret,
            field("g", ColumnType::Decimal { precision: 5, scale: 2 }),
            field("h", ColumnType::Text),
        ];
        let collection = Collection::new("t", Origin::Yaml, fields);
        let text = |text: &str| Scalar::Text(text.into());
        let values = [
            Scalar::Int(1),
            Scalar::Int(2),
            text("x,y"),
            text(r#"{"k":[1]}"#),
            text("$argon2id$"),
            text("open"),
            text("1.50"),
            Scalar::Null,
        ];
        let ids = (0..values.len()).map(|position| FieldId(position as u32));
        assert_eq!(
            row_json(&collection, ids.zip(&values)),
            r#"{"a":1,"b":"2","c":["x","y"],"d":{"k":[1]},"e":"**********","secret":"**********","g":"1.50","h":null}"#
        );
    }
}
