//! From the JSON of a filter to [`Syntax`].
//!
//! Start at [`parse`]. Names are not looked at here, only the shape: what is an operator, a field, a list of filters.

use serde_json::{Map, Value};

use super::Syntax;
use crate::error::{Error, Result};

/// How large a filter may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Deepest nesting of fields.
    pub max_depth: usize,
    /// Most conditions.
    pub max_conditions: usize,
}

/// Every operator of the public API, with its underscore.
pub const OPERATORS: &[&str] = &[
    "_eq",
    "_neq",
    "_lt",
    "_lte",
    "_gt",
    "_gte",
    "_in",
    "_nin",
    "_null",
    "_nnull",
    "_contains",
    "_ncontains",
    "_icontains",
    "_nicontains",
    "_starts_with",
    "_nstarts_with",
    "_istarts_with",
    "_nistarts_with",
    "_ends_with",
    "_nends_with",
    "_iends_with",
    "_niends_with",
    "_between",
    "_nbetween",
    "_empty",
    "_nempty",
    "_regex",
    "_intersects",
    "_nintersects",
    "_intersects_bbox",
    "_nintersects_bbox",
];

/// Parses a filter; `parameter` is where it stands, for messages.
///
/// Fails with `InvalidQuery` when it is not an object, when `_and` and `_or` are not lists, or past the limits.
pub fn parse(value: &Value, parameter: &str, limits: Limits) -> Result<Syntax> {
    let mut state = State { parameter, limits, conditions: 0 };
    let Value::Object(map) = value else {
        return Err(Error::query(format_args!("{parameter} must be an object")));
    };
    state.all(map, Place { inside_field: false, fields: 0, depth: 0 }).map(all_of)
}

/// Several conditions as one.
fn all_of(mut conditions: Vec<Syntax>) -> Syntax {
    if conditions.len() == 1 { conditions.remove(0) } else { Syntax::And(conditions) }
}

struct State<'a> {
    parameter: &'a str,
    limits: Limits,
    conditions: usize,
}

/// Where in the filter we are.
#[derive(Clone, Copy)]
struct Place {
    /// Below a field, so that operators make sense.
    inside_field: bool,
    /// Fields above.
    fields: usize,
    /// Everything above.
    depth: usize,
}

impl State<'_> {
    /// The members of one object.
    fn all(&mut self, map: &Map<String, Value>, place: Place) -> Result<Vec<Syntax>> {
        // Logic between the fields may nest deeper than the fields do, but not without end.
        if place.fields > self.limits.max_depth || place.depth > 4 * self.limits.max_depth {
            let most = self.limits.max_depth;
            let parameter = self.parameter;
            return Err(Error::query(format_args!("{parameter} is nested more than {most} levels deep")));
        }
        map.iter().map(|(key, value)| self.member(key, value, place)).collect()
    }

    fn member(&mut self, key: &str, value: &Value, place: Place) -> Result<Syntax> {
        self.conditions += 1;
        if self.conditions > self.limits.max_conditions {
            let (parameter, most) = (self.parameter, self.limits.max_conditions);
            return Err(Error::query(format_args!("{parameter} has more than {most} conditions")));
        }
        let below = Place { depth: place.depth + 1, ..place };
        match key {
            "_and" => Ok(Syntax::And(self.list(key, value, below)?)),
            "_or" => Ok(Syntax::Or(self.list(key, value, below)?)),
            "_some" | "_none" => {
                let Value::Object(map) = value else {
                    return Err(self.wrong(key, "must be an object"));
                };
                if !place.inside_field {
                    return Err(self.wrong(key, "needs a relation around it"));
                }
                Ok(Syntax::Quantified { negated: key == "_none", conditions: self.all(map, below)? })
            }
            _ if key.starts_with('_') && (OPERATORS.contains(&key) || !value.is_object()) => {
                if !place.inside_field {
                    return Err(self.wrong(key, "needs a field around it"));
                }
                Ok(Syntax::Operator { name: key.to_owned(), operand: value.clone() })
            }
            _ => {
                let inside = Place { inside_field: true, fields: place.fields + 1, depth: place.depth + 1 };
                let conditions = match value {
                    Value::Object(map) => self.all(map, inside)?,
                    // The short form: a bare value is compared with.
                    Value::Array(_) => return Err(self.wrong(key, "must be an object of operators")),
                    _ => vec![Syntax::Operator { name: "_eq".to_owned(), operand: value.clone() }],
                };
                Ok(Syntax::Field { name: key.to_owned(), conditions })
            }
        }
    }

    /// The entries of `_and` and `_or`; one object stands for a list of one.
    fn list(&mut self, key: &str, value: &Value, place: Place) -> Result<Vec<Syntax>> {
        let entries = match value {
            Value::Array(entries) => entries.as_slice(),
            Value::Object(_) => std::slice::from_ref(value),
            _ => return Err(self.wrong(key, "must be a list of filters")),
        };
        entries
            .iter()
            .map(|entry| match entry {
                Value::Object(map) => self.all(map, place).map(all_of),
                _ => Err(self.wrong(key, "must be a list of filters")),
            })
            .collect()
    }

    fn wrong(&self, key: &str, what: &str) -> Error {
        Error::query(format_args!("\"{key}\" in {} {what}", self.parameter))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const LIMITS: Limits = Limits { max_depth: 3, max_conditions: 8 };

    fn shown(syntax: &Syntax) -> String {
        let joined = |parts: &[Syntax]| parts.iter().map(shown).collect::<Vec<_>>().join(" ");
        match syntax {
            Syntax::And(parts) => format!("(and {})", joined(parts)),
            Syntax::Or(parts) => format!("(or {})", joined(parts)),
            Syntax::Field { name, conditions } => format!("{name}[{}]", joined(conditions)),
            Syntax::Quantified { negated, conditions } => {
                format!("{}[{}]", if *negated { "none" } else { "some" }, joined(conditions))
            }
            Syntax::Operator { name, operand } => format!("{name}:{operand}"),
        }
    }

    fn check(filter: Value, expected: &str) {
        let got = match parse(&filter, "filter", LIMITS) {
            Ok(syntax) => shown(&syntax),
            Err(Error::InvalidQuery { reason }) => format!("refused: {reason}"),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(got, expected, "{filter}");
    }

    #[test]
    fn shapes() {
        check(json!({}), "(and )");
        check(json!({"a": {"_eq": 1}}), "a[_eq:1]");
        check(json!({"a": 1}), "a[_eq:1]");
        check(json!({"a": {"_gt": 1, "_lt": 2}}), "a[_gt:1 _lt:2]");
        check(json!({"a": {"_eq": 1}, "b": {"_eq": 2}}), "(and a[_eq:1] b[_eq:2])");
        check(json!({"_or": [{"a": {"_eq": 1}}, {}]}), "(or a[_eq:1] (and ))");
        check(json!({"_and": {"a": {"_eq": 1}}}), "(and a[_eq:1])");
        check(json!({"a": {"b": {"_null": true}}}), "a[b[_null:true]]");
        check(json!({"a": {"_some": {"b": {"_eq": 1}}}}), "a[some[b[_eq:1]]]");
        check(json!({"a": {"_none": {}}}), "a[none[]]");
        check(json!({"a": {"_foo": 1}}), "a[_foo:1]");
        check(json!({"_id": {"_eq": 1}}), "_id[_eq:1]");
        check(json!({"item:texts": {"title": {"_eq": "x"}}}), "item:texts[title[_eq:\"x\"]]");
    }

    #[test]
    fn refused() {
        check(json!("abc"), "refused: filter must be an object");
        check(json!([]), "refused: filter must be an object");
        check(json!({"_eq": 1}), "refused: \"_eq\" in filter needs a field around it");
        check(json!({"_some": {}}), "refused: \"_some\" in filter needs a relation around it");
        check(json!({"_and": 1}), "refused: \"_and\" in filter must be a list of filters");
        check(json!({"_and": [1]}), "refused: \"_and\" in filter must be a list of filters");
        check(json!({"a": [1]}), "refused: \"a\" in filter must be an object of operators");
        check(
            json!({"a": {"b": {"c": {"d": {"_eq": 1}}}}}),
            "refused: filter is nested more than 3 levels deep",
        );
        let wide: Vec<Value> = (0..8).map(|_| json!({"a": 1})).collect();
        check(json!({ "_or": wide }), "refused: filter has more than 8 conditions");
    }

    /// Any JSON, with the words of the language among the keys.
    pub(crate) fn any_json() -> impl Strategy<Value = Value> {
        let key = prop_oneof![
            Just("_and".to_owned()),
            Just("_or".to_owned()),
            Just("_some".to_owned()),
            Just("_none".to_owned()),
            Just("_eq".to_owned()),
            Just("_in".to_owned()),
            "[a-z_$:()\"]{0,8}",
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(8, 64, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((key.clone(), inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_parsed_or_refused(value in any_json()) {
            match parse(&value, "filter", LIMITS) {
                Ok(_) => prop_assert!(value.is_object()),
                Err(error) => prop_assert_eq!(error.code(), "INVALID_QUERY"),
            }
        }
    }
}
