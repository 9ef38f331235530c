//! Whether a filter may find a row of which some values are known, without asking the database.
//!
//! Start at [`may_be`]. It spares reads that are sure to find nothing: whatever is not certain here, the database decides. So only
//! conditions are looked at whose outcome is the same in every database.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Condition, Filter, Operand, Scalar, Target};
use crate::schema::{Collection, ColumnType, FieldId};

/// Whether a filter may come out like this for a row, true or false; null is neither. `known` has values as answers show them to
/// somebody who may see everything, and none where the value is not known.
pub fn may_be<'v>(filter: &Filter, wanted: bool, known: &impl Fn(FieldId) -> Option<&'v Value>) -> bool {
    match filter {
        Filter::And(parts) if wanted => parts.iter().all(|part| may_be(part, wanted, known)),
        Filter::And(parts) => parts.iter().any(|part| may_be(part, wanted, known)),
        Filter::Or(parts) if wanted => parts.iter().any(|part| may_be(part, wanted, known)),
        Filter::Or(parts) => parts.iter().all(|part| may_be(part, wanted, known)),
        Filter::Not(inner) => may_be(inner, !wanted, known),
        Filter::Compare { target: Target::Field(field), condition } => {
            let outcome = known(*field).and_then(|value| outcome(condition, value));
            outcome.is_none_or(|outcome| outcome == Some(wanted))
        }
        _ => true,
    }
}

/// The fields whose values [`may_be`] can make use of.
pub fn telling_fields(filter: &Filter, collection: &Collection, found: &mut BTreeSet<FieldId>) {
    match filter {
        Filter::And(parts) | Filter::Or(parts) => {
            parts.iter().for_each(|part| telling_fields(part, collection, found));
        }
        Filter::Not(inner) => telling_fields(inner, collection, found),
        Filter::Compare { target: Target::Field(id), condition } => {
            let field = collection.field(*id);
            let column_type = field.column.as_ref().map(|column| &column.column_type);
            let is_plain = column_type.is_some_and(|of| match condition {
                Condition::Null(_) => is_compared(of) || is_dated(of),
                _ => is_compared(of),
            });
            if is_plain && is_understood(condition) && !field.conceal {
                found.insert(*id);
            }
        }
        _ => {}
    }
}

fn is_understood(condition: &Condition) -> bool {
    use Condition::{Equal, In, NotEqual, NotIn, Null};
    matches!(condition, Null(_) | Equal(_) | NotEqual(_) | In(_) | NotIn(_))
}

fn is_compared(column_type: &ColumnType) -> bool {
    use ColumnType::{BigInteger, Boolean, Integer, String, Text, Uuid};
    matches!(column_type, Integer | BigInteger | Boolean | Uuid | String { .. } | Text)
}

fn is_dated(column_type: &ColumnType) -> bool {
    matches!(column_type, ColumnType::Date | ColumnType::Time | ColumnType::DateTime | ColumnType::Timestamp)
}

/// What a condition says of a value: `None` when that is not certain, `Some(None)` for null.
fn outcome(condition: &Condition, value: &Value) -> Option<Option<bool>> {
    let among = |operands: &[Operand], negated: bool| {
        let mut is_certain = true;
        for operand in operands {
            match equal(value, operand) {
                Some(true) => return Some(Some(!negated)),
                Some(false) => {}
                None => is_certain = false,
            }
        }
        is_certain.then_some(Some(negated))
    };
    match condition {
        Condition::Null(is_null) => Some(Some(value.is_null() == *is_null)),
        Condition::Equal(_) | Condition::NotEqual(_) if value.is_null() => Some(None),
        Condition::Equal(operand) => equal(value, operand).map(Some),
        Condition::NotEqual(operand) => equal(value, operand).map(|is_equal| Some(!is_equal)),
        Condition::In(operands) | Condition::NotIn(operands) if value.is_null() || operands.is_empty() => {
            None
        }
        Condition::In(operands) => among(operands, false),
        Condition::NotIn(operands) => among(operands, true),
        _ => None,
    }
}

/// Whether a value is equal to an operand, where every database says the same.
fn equal(value: &Value, operand: &Operand) -> Option<bool> {
    match (&operand.column_type, value, &operand.value) {
        (ColumnType::Integer | ColumnType::BigInteger, Value::Number(number), Scalar::Int(other)) => {
            Some(number.as_i64()? == *other)
        }
        (ColumnType::BigInteger, Value::String(text), Scalar::Int(other)) => {
            Some(text.parse::<i64>().ok()? == *other)
        }
        (ColumnType::Boolean, Value::Bool(value), Scalar::Bool(other)) => Some(value == other),
        (
            ColumnType::Uuid | ColumnType::String { .. } | ColumnType::Text,
            Value::String(text),
            Scalar::Text(other),
        ) => {
            if **text == **other {
                return Some(true);
            }
            // Tables that were there before may compare without regard to case, accents, spaces at the end or what is not seen.
            let is_shown = |text: &str| text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
            let is_plain = is_shown(text) && is_shown(other);
            let differs = !text.trim_end().eq_ignore_ascii_case(other.trim_end());
            (is_plain && differs).then_some(false)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const A: FieldId = FieldId(0);
    const B: FieldId = FieldId(1);

    fn is(field: FieldId, condition: Condition) -> Filter {
        Filter::Compare { target: Target::Field(field), condition }
    }

    fn text(value: &str) -> Operand {
        Operand { value: Scalar::Text(value.into()), column_type: ColumnType::Text }
    }

    fn number(value: i64) -> Operand {
        Operand { value: Scalar::Int(value), column_type: ColumnType::Integer }
    }

    /// Whether it may be true, and whether it may be false, with this value of `A` and nothing known of `B`.
    fn outcomes(filter: &Filter, value: &Value) -> (bool, bool) {
        let known = |field| (field == A).then_some(value);
        (may_be(filter, true, &known), may_be(filter, false, &known))
    }

    #[test]
    fn what_is_certain_is_decided_and_nothing_else() {
        use Condition::{Empty, Equal, In, NotEqual, NotIn, Null};
        const TRUE: (bool, bool) = (true, false);
        const FALSE: (bool, bool) = (false, true);
        const NULL: (bool, bool) = (false, false);
        const UNKNOWN: (bool, bool) = (true, true);
        let cases = [
            (Equal(text("a")), json!("a"), TRUE),
            (Equal(text("a")), json!("b"), FALSE),
            (Equal(text("a")), json!("A"), UNKNOWN),
            (Equal(text("a")), json!("a "), UNKNOWN),
            (Equal(text("a")), json!("ä"), UNKNOWN),
            (Equal(text("a")), json!("a\u{1}"), UNKNOWN),
            (Equal(text("a")), json!(null), NULL),
            (NotEqual(text("a")), json!("b"), TRUE),
            (NotEqual(text("a")), json!("A"), UNKNOWN),
            (NotEqual(text("a")), json!(null), NULL),
            (Equal(number(1)), json!(1), TRUE),
            (Equal(number(1)), json!(2), FALSE),
            (Equal(number(1)), json!("1"), UNKNOWN),
            (In(vec![number(1), number(2)]), json!(2), TRUE),
            (In(vec![number(1), number(2)]), json!(3), FALSE),
            (In(vec![text("a"), text("b")]), json!("B"), UNKNOWN),
            (In(vec![]), json!(3), UNKNOWN),
            (In(vec![]), json!(null), UNKNOWN),
            (NotIn(vec![number(1)]), json!(3), TRUE),
            (NotIn(vec![number(1)]), json!(1), FALSE),
            (Null(true), json!(null), TRUE),
            (Null(false), json!(null), FALSE),
            (Null(false), json!("x"), TRUE),
            (Empty(true), json!(""), UNKNOWN),
        ];
        for (condition, value, expected) in cases {
            let filter = is(A, condition);
            assert_eq!(outcomes(&filter, &value), expected, "{filter:?} {value}");
            let (may_be_true, may_be_false) = expected;
            let negated = Filter::Not(Box::new(filter.clone()));
            assert_eq!(outcomes(&negated, &value), (may_be_false, may_be_true), "{negated:?} {value}");
            let unknown = is(B, Equal(number(1)));
            let both = Filter::And(vec![filter.clone(), unknown.clone()]);
            assert_eq!(outcomes(&both, &value), (may_be_true, true), "{both:?} {value}");
            let either = Filter::Or(vec![filter, unknown]);
            assert_eq!(outcomes(&either, &value), (true, may_be_false), "{either:?} {value}");
        }
        assert_eq!(outcomes(&Filter::And(vec![]), &json!(1)), TRUE);
        assert_eq!(outcomes(&Filter::Or(vec![]), &json!(1)), FALSE);
    }
}
