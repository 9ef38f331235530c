//! `search`: one text, looked for in every field that can be searched.

use std::sync::Arc;

use serde_json::Value;

use super::Resolver;
use crate::filter::{Condition, Filter, Operand, Place, Scalar, Target, values};
use crate::schema::{CollectionId, ColumnType};

impl Resolver<'_> {
    /// Rows that contain the text, in any case, in a text, or equal it in a number or UUID; fields that the caller may not
    /// see do not count.
    pub(super) fn search(&self, collection: CollectionId, text: &str) -> Filter {
        let shared: Arc<str> = text.into();
        let value = Value::from(text);
        let fields = self.schema().collection(collection).fields().filter_map(|(id, field)| {
            let column_type = &field.column.as_ref()?.column_type;
            if field.conceal || !field.searchable || !(self.env.may_read)(collection, id) {
                return None;
            }
            let condition = match column_type {
                ColumnType::String { .. } | ColumnType::Text | ColumnType::Csv => Condition::Like {
                    text: Operand { value: Scalar::Text(shared.clone()), column_type: column_type.clone() },
                    place: Place::Anywhere,
                    ignore_case: true,
                    negated: false,
                },
                ColumnType::Integer
                | ColumnType::BigInteger
                | ColumnType::Decimal { .. }
                | ColumnType::Uuid => Condition::Equal(Operand {
                    value: values::coerce(&value, column_type)?,
                    column_type: column_type.clone(),
                }),
                _ => return None,
            };
            Some(Filter::Compare { target: Target::Field(id), condition })
        });
        Filter::Or(fields.collect())
    }
}
