//! What a singleton answers before it has a row.

use serde_json::{Map, Value};

use crate::filter::{Scalar, Target, values};
use crate::query::{Form, ResolvedOutput, ResolvedValue};
use crate::schema::{CollectionId, ColumnType, DefaultValue, Schema};

/// The defaults of the members asked for, as JSON; the key is null, and members without a default are left out, but for the
/// settings of the project, which are all there. Where values are typed, every member is there.
pub fn singleton(schema: &Schema, collection: CollectionId, output: &[ResolvedOutput], form: Form) -> String {
    if form == Form::Typed {
        return typed(schema, collection, output);
    }
    let found = schema.collection(collection);
    let mut answer = Map::new();
    for member in output {
        let ResolvedValue::Target(Target::Field(id)) = member.value else { continue };
        let Some(column) = &found.field(id).column else { continue };
        if found.primary_key.contains(&id) {
            answer.insert(member.key.to_string(), Value::Null);
        } else if let Some(DefaultValue::Value(value)) = &column.default
            && !value.is_null()
        {
            answer.insert(member.key.to_string(), shown(value, &column.column_type));
        } else if found.is_system() {
            answer.insert(member.key.to_string(), Value::Null);
        }
    }
    Value::Object(answer).to_string()
}

/// All members, null where there is no default.
fn typed(schema: &Schema, collection: CollectionId, output: &[ResolvedOutput]) -> String {
    let mut answer = String::from("{");
    for member in output {
        if answer.len() > 1 {
            answer.push(',');
        }
        answer.push_str(&Value::from(&*member.key).to_string());
        answer.push(':');
        match &member.value {
            ResolvedValue::Constant(text) => answer.push_str(text),
            ResolvedValue::Object(members) => answer.push_str(&typed(schema, collection, members)),
            ResolvedValue::ToMany { .. } | ResolvedValue::ToManyKeys { .. } => answer.push_str("[]"),
            ResolvedValue::Target(Target::Field(id)) => {
                let found = schema.collection(collection);
                let column = found.field(*id).column.as_ref().filter(|_| !found.primary_key.contains(id));
                match column.map(|column| (&column.column_type, &column.default)) {
                    // A number is one, whatever the default was written as.
                    Some((ColumnType::Decimal { .. }, Some(DefaultValue::Value(Value::String(text)))))
                        if text.parse::<serde_json::Number>().is_ok() =>
                    {
                        answer.push_str(text);
                    }
                    Some((column_type @ ColumnType::BigInteger, Some(DefaultValue::Value(value)))) => {
                        answer.push_str(&shown(value, column_type).to_string());
                    }
                    Some((_, Some(DefaultValue::Value(value)))) => answer.push_str(&value.to_string()),
                    _ => answer.push_str("null"),
                }
            }
            _ => answer.push_str("null"),
        }
    }
    answer.push('}');
    answer
}

/// A default in the form that a stored value is answered in.
fn shown(value: &Value, column_type: &ColumnType) -> Value {
    match column_type {
        ColumnType::BigInteger => match values::coerce(value, column_type) {
            Some(Scalar::Int(number)) => Value::from(number.to_string()),
            _ => value.clone(),
        },
        ColumnType::Decimal { scale, .. } => match values::coerce(value, column_type) {
            Some(Scalar::Text(text)) => Value::from(full_scale(&text, usize::from(*scale))),
            _ => value.clone(),
        },
        _ => value.clone(),
    }
}

/// All digits that the column has behind its point.
fn full_scale(decimal: &str, scale: usize) -> String {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    if scale == 0 { whole.to_owned() } else { format!("{whole}.{fraction:0<scale$}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_have_their_scale() {
        assert_eq!(full_scale("3.5", 2), "3.50");
        assert_eq!(full_scale("3", 2), "3.00");
        assert_eq!(full_scale("3", 0), "3");
    }
}
