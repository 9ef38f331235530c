//! Types that every schema may have: scalars, functions of dates, operators of filters.

use async_graphql::dynamic::{Enum, InputObject, InputValue, Object, Scalar, Type, TypeRef};
use async_graphql::{Number, Value};

use super::Types;
use super::outputs::output;
use crate::schema::{ColumnType, Field, FieldKind};

pub(super) const QUERY: &str = "Query";
pub(super) const MUTATION: &str = "Mutation";
pub(super) const SUBSCRIPTION: &str = "Subscription";

pub(super) const BIG_INT: &str = "GraphQLBigInt";
pub(super) const DATE: &str = "Date";
pub(super) const FLOAT: &str = "GraphQLFloat";
pub(super) const HASH: &str = "Hash";
pub(super) const JSON: &str = "JSON";
pub(super) const STRING_OR_FLOAT: &str = "GraphQLStringOrFloat";
pub(super) const VOID: &str = "Void";
pub(super) const EVENT: &str = "EventEnum";
pub(super) const DELETED_ONE: &str = "delete_one";
pub(super) const DELETED_MANY: &str = "delete_many";

/// All names that are not for collections.
pub(super) const NAMES: &[&str] = &[
    QUERY,
    MUTATION,
    SUBSCRIPTION,
    BIG_INT,
    DATE,
    FLOAT,
    HASH,
    JSON,
    STRING_OR_FLOAT,
    VOID,
    EVENT,
    DELETED_ONE,
    DELETED_MANY,
    "Boolean",
    "Float",
    "ID",
    "Int",
    "String",
    "Upload",
    "boolean_filter_operators",
    "big_int_filter_operators",
    "date_filter_operators",
    "hash_filter_operators",
    "id_filter_operators",
    "number_filter_operators",
    "string_filter_operators",
    "count_functions",
    "date_functions",
    "datetime_functions",
    "time_functions",
    "count_function_filter_operators",
    "date_function_filter_operators",
    "datetime_function_filter_operators",
    "time_function_filter_operators",
];

const DATES: &[&str] = &["year", "month", "week", "day", "weekday"];
const TIMES: &[&str] = &["hour", "minute", "second"];

/// The functions of a field, by the names of their types in answers and in filters.
pub(super) fn functions(field: &Field) -> Option<(&'static str, &'static str)> {
    if field.conceal {
        return None;
    }
    let count = ("count_functions", "count_function_filter_operators");
    if let FieldKind::OneToMany { .. } = field.kind {
        return Some(count);
    }
    let column_type = &field.column.as_ref()?.column_type;
    match (column_type.has_date(), column_type.has_time()) {
        (true, true) => Some(("datetime_functions", "datetime_function_filter_operators")),
        (true, false) => Some(("date_functions", "date_function_filter_operators")),
        (false, true) => Some(("time_functions", "time_function_filter_operators")),
        (false, false) => (*column_type == ColumnType::Json).then_some(count),
    }
}

/// The names of the functions of one of those types.
fn functions_of(name: &str) -> Vec<&'static str> {
    match name.split('_').next() {
        Some("datetime") => [DATES, TIMES].concat(),
        Some("date") => DATES.to_vec(),
        Some("time") => TIMES.to_vec(),
        _ => vec!["count"],
    }
}

/// The type of a value.
pub(super) fn scalar(field: &Field) -> &'static str {
    let Some(column) = &field.column else { return JSON };
    if field.conceal {
        return HASH;
    }
    match &column.column_type {
        ColumnType::Boolean => "Boolean",
        ColumnType::BigInteger => BIG_INT,
        ColumnType::Integer => "Int",
        ColumnType::Float | ColumnType::Decimal { .. } => "Float",
        ColumnType::Date | ColumnType::Time | ColumnType::DateTime | ColumnType::Timestamp => DATE,
        ColumnType::Json => JSON,
        ColumnType::Uuid => "ID",
        ColumnType::Hash => HASH,
        ColumnType::String { .. }
        | ColumnType::Text
        | ColumnType::Csv
        | ColumnType::Binary
        | ColumnType::Unknown { .. } => "String",
    }
}

/// The operators that a filter has for a value.
pub(super) fn operators(field: &Field) -> &'static str {
    match scalar(field) {
        "Boolean" => "boolean_filter_operators",
        BIG_INT => "big_int_filter_operators",
        "Int" | "Float" => "number_filter_operators",
        DATE => "date_filter_operators",
        HASH => "hash_filter_operators",
        "ID" => "id_filter_operators",
        _ => "string_filter_operators",
    }
}

impl Types<'_> {
    /// One of the types above, with the number of its fields.
    pub(super) fn make_fixed(&mut self, name: &'static str) -> (Type, usize) {
        if name.ends_with("_functions") {
            let names = functions_of(name);
            let object = names.iter().fold(Object::new(name), |object, function| {
                object.field(output(*function, TypeRef::named(TypeRef::INT)))
            });
            return (object.into(), names.len());
        }
        if name.ends_with("_function_filter_operators") {
            let numbers = self.fixed("number_filter_operators");
            let names = functions_of(name);
            let input = names.iter().fold(InputObject::new(name), |input, function| {
                input.field(InputValue::new(*function, TypeRef::named(numbers.as_str())))
            });
            return (input.into(), names.len());
        }
        if name.ends_with("_filter_operators") {
            return self.make_operators(name);
        }
        match name {
            EVENT => (Enum::new(name).items(["create", "update", "delete"]).into(), 3),
            DELETED_ONE => (Object::new(name).field(output("id", TypeRef::named_nn(TypeRef::ID))).into(), 1),
            DELETED_MANY => {
                (Object::new(name).field(output("ids", TypeRef::named_list_nn(TypeRef::ID))).into(), 1)
            }
            _ => (make_scalar(name).into(), 1),
        }
    }

    fn make_operators(&mut self, name: &'static str) -> (Type, usize) {
        const EQUAL: &[&str] = &["_eq", "_neq"];
        const ORDER: &[&str] = &["_gt", "_gte", "_lt", "_lte"];
        const AMONG: &[&str] = &["_in", "_nin"];
        const BETWEEN: &[&str] = &["_between", "_nbetween"];
        const NULL: &[&str] = &["_null", "_nnull"];
        const EMPTY: &[&str] = &["_empty", "_nempty"];
        const TEXT: &[&str] = &[
            "_contains",
            "_icontains",
            "_ncontains",
            "_starts_with",
            "_nstarts_with",
            "_istarts_with",
            "_nistarts_with",
            "_ends_with",
            "_nends_with",
            "_iends_with",
            "_niends_with",
        ];
        let (value, groups, ends): (&str, &[&[&str]], &str) = match name {
            "boolean_filter_operators" => ("Boolean", &[EQUAL], ""),
            "big_int_filter_operators" => (BIG_INT, &[EQUAL, ORDER], BIG_INT),
            "number_filter_operators" => (STRING_OR_FLOAT, &[EQUAL, ORDER], STRING_OR_FLOAT),
            "date_filter_operators" => ("String", &[EQUAL, ORDER], STRING_OR_FLOAT),
            "hash_filter_operators" => ("", &[], ""),
            "id_filter_operators" => ("ID", &[EQUAL, TEXT], ""),
            _ => ("String", &[EQUAL, TEXT], ""),
        };
        for needed in [value, ends] {
            if let Some(known) = NAMES.iter().find(|known| **known == needed).filter(|_| is_own(needed)) {
                self.fixed(known);
            }
        }
        let mut fields: Vec<(&str, TypeRef)> = Vec::new();
        for operator in groups.iter().copied().flatten() {
            fields.push((operator, TypeRef::named(value)));
        }
        if !matches!(name, "boolean_filter_operators" | "hash_filter_operators") {
            fields.extend(AMONG.iter().map(|operator| (*operator, TypeRef::named_list(value))));
        }
        if !ends.is_empty() {
            fields.extend(BETWEEN.iter().map(|operator| (*operator, TypeRef::named_list(ends))));
        }
        fields.extend(NULL.iter().map(|operator| (*operator, TypeRef::named(TypeRef::BOOLEAN))));
        if matches!(name, "hash_filter_operators" | "id_filter_operators" | "string_filter_operators") {
            fields.extend(EMPTY.iter().map(|operator| (*operator, TypeRef::named(TypeRef::BOOLEAN))));
        }
        let count = fields.len();
        let input = fields
            .into_iter()
            .fold(InputObject::new(name), |input, (name, of)| input.field(InputValue::new(name, of)));
        (input.into(), count)
    }

    /// The scalar of a value, made if it is one of ours.
    pub(super) fn scalar(&mut self, name: &'static str) -> &'static str {
        if is_own(name) {
            self.fixed(name);
        }
        name
    }
}

/// Not one that GraphQL has by itself.
fn is_own(scalar: &str) -> bool {
    !matches!(scalar, "Boolean" | "Float" | "ID" | "Int" | "String" | "")
}

fn make_scalar(name: &'static str) -> Scalar {
    let about = match name {
        BIG_INT => "A whole number of 64 bits, as a text in answers",
        DATE => "A date, a time, or both, in ISO 8601",
        HASH => "A hash; nobody is shown the value",
        JSON => "Any JSON",
        STRING_OR_FLOAT => "A number, or a text with one",
        VOID => "Nothing",
        _ => "A number",
    };
    let fits: fn(&Value) -> bool = match name {
        BIG_INT => |value| match value {
            Value::Number(number) => number.is_i64() || number.is_u64(),
            Value::String(text) => text.parse::<i64>().is_ok(),
            _ => false,
        },
        FLOAT => |value| matches!(value, Value::Number(number) if is_finite(number)),
        STRING_OR_FLOAT => |value| match value {
            Value::Number(number) => is_finite(number),
            other => matches!(other, Value::String(_)),
        },
        HASH | DATE => |value| matches!(value, Value::String(_) | Value::Number(_)),
        _ => |_| true,
    };
    Scalar::new(name).description(about).validator(fits)
}

/// Not one that no column can hold: `1e999`.
fn is_finite(number: &Number) -> bool {
    number.as_f64().is_some_and(f64::is_finite)
}
