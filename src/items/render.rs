//! Rows as JSON text for revisions and events.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::filter::Scalar;
use crate::schema::{Collection, ColumnType, Field, FieldId};
use crate::sql::write::push_json_text;

/// What stands for a value that nobody may see.
const CONCEALED: &str = "\"**********\"";

/// These columns of a row as a JSON object, in the form of answers. Hashes and concealed values are not shown.
pub fn row_json<'v>(collection: &Collection, values: impl Iterator<Item = (FieldId, &'v Scalar)>) -> String {
    let mut out = String::with_capacity(256);
    out.push('{');
    for (number, (id, value)) in values.enumerate() {
        let field = collection.field(id);
        if number > 0 {
            out.push(',');
        }
        push_json_text(&mut out, &field.name);
        out.push(':');
        push_value(&mut out, field, value);
    }
    out.push('}');
    out
}

fn push_value(out: &mut String, field: &Field, value: &Scalar) {
    let column_type = field.column.as_ref().map_or(&ColumnType::Text, |column| &column.column_type);
    match (column_type, value) {
        (_, Scalar::Null) => out.push_str("null"),
        (ColumnType::Hash, _) => out.push_str(CONCEALED),
        _ if field.conceal => out.push_str(CONCEALED),
        (_, Scalar::Bool(value)) => out.push_str(if *value { "true" } else { "false" }),
        (ColumnType::BigInteger, Scalar::Int(value)) => push_json_text(out, &value.to_string()),
        (_, Scalar::Int(value)) => out.push_str(&value.to_string()),
        (_, Scalar::Float(value)) => out.push_str(&serde_json::Value::from(*value).to_string()),
        (ColumnType::Json, Scalar::Text(text)) => out.push_str(text),
        (ColumnType::Csv, Scalar::Text(text)) => {
            out.push('[');
            for (number, entry) in text.split(',').filter(|_| !text.is_empty()).enumerate() {
                if number > 0 {
                    out.push(',');
                }
                push_json_text(out, entry);
            }
            out.push(']');
        }
        (_, Scalar::Text(text)) => push_json_text(out, text),
        (_, Scalar::Bytes(bytes)) => push_json_text(out, &BASE64.encode(bytes)),
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
