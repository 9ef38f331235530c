//! Cursors: where a page ended, so that the next one begins there without passing over all rows before.
//!
//! A cursor holds the values by which the last row was sorted, and a hash of what was asked. It is a condition on what the caller
//! sees anyway, bound as parameters, so that nothing is won by making one up.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Query, Sort};
use crate::error::{Error, Result};
use crate::filter::{Condition, Filter, Operand, Scalar, Target, values};
use crate::schema::{Collection, FieldId};

/// Bytes of the hash of what was asked.
const HASH_BYTES: usize = 8;

/// How the next page of a list is found.
#[derive(Debug, Clone, PartialEq)]
pub struct Continuation {
    /// The rows behind the cursor; `None` on the first page.
    pub after: Option<Filter>,
    /// What the order compares, every one a column of the collection.
    pub fields: Vec<FieldId>,
    /// What was asked, in short.
    pub hash: [u8; HASH_BYTES],
}

/// What a cursor is good for: the same list in the same order, through the same filter.
pub(super) fn hash(collection: &str, query: &Query, order: &[Sort]) -> [u8; HASH_BYTES] {
    let asked = format!("{:?}", (collection, order, &query.filter, &query.search));
    let mut hash = [0; HASH_BYTES];
    hash.iter_mut().zip(Sha256::digest(asked.as_bytes())).for_each(|(byte, of)| *byte = of);
    hash
}

/// The cursor of the last row of a page, whose values stand in `row` as a JSON list.
pub fn write(hash: &[u8; HASH_BYTES], row: &[u8]) -> String {
    BASE64.encode([hash.as_slice(), row].concat())
}

/// The rows behind the one of a cursor. Nulls are larger than everything, on every database.
///
/// Fails with `InvalidQuery` for a text that is no cursor, or that of another list.
pub(super) fn after(
    text: &str,
    hash: [u8; HASH_BYTES],
    collection: &Collection,
    order: &[Sort],
    fields: &[FieldId],
) -> Result<Filter> {
    let bytes = BASE64.decode(text).ok().filter(|bytes| bytes.len() > HASH_BYTES).ok_or_else(unknown)?;
    let (of, row) = bytes.split_at(HASH_BYTES);
    if of != hash {
        return Err(Error::query("\"cursor\" belongs to another filter, search or sort"));
    }
    let row: Vec<Value> = serde_json::from_slice(row).map_err(|_| unknown())?;
    if row.len() != fields.len() {
        return Err(unknown());
    }
    let mut terms = Vec::with_capacity(row.len());
    for ((field, sort), value) in fields.iter().zip(order).zip(&row) {
        let column = collection.field(*field).column.as_ref().ok_or_else(unknown)?;
        let value = values::coerce(value, &column.column_type).ok_or_else(unknown)?;
        terms.push(Term {
            field: *field,
            descending: sort.descending,
            nullable: column.nullable,
            operand: Operand { value, column_type: column.column_type.clone() },
        });
    }
    Ok(behind(&terms))
}

fn unknown() -> Error {
    Error::query("\"cursor\" is none that was answered")
}

/// One value of the row at which a page ended.
struct Term {
    field: FieldId,
    descending: bool,
    nullable: bool,
    operand: Operand,
}

impl Term {
    fn is(&self, condition: Condition) -> Filter {
        Filter::Compare { target: Target::Field(self.field), condition }
    }

    fn is_null(&self) -> bool {
        self.operand.value == Scalar::Null
    }

    fn same(&self) -> Filter {
        self.is(if self.is_null() { Condition::Null(true) } else { Condition::Equal(self.operand.clone()) })
    }

    /// Rows that come later by this value alone; `None` where there are none.
    fn later(&self) -> Option<Filter> {
        match (self.is_null(), self.descending) {
            (true, false) => None,
            (true, true) => Some(self.is(Condition::Null(false))),
            (false, true) => Some(self.is(Condition::Less(self.operand.clone()))),
            (false, false) => {
                let greater = self.is(Condition::Greater(self.operand.clone()));
                Some(match self.nullable {
                    true => Filter::Or(vec![greater, self.is(Condition::Null(true))]),
                    false => greater,
                })
            }
        }
    }

    /// Rows that do not come earlier, in a form that an index finds; `None` where it takes more than one range.
    fn not_earlier(&self) -> Option<Filter> {
        match (self.is_null(), self.descending, self.nullable) {
            (true, ..) | (false, false, true) => None,
            (false, true, _) => Some(self.is(Condition::LessOrEqual(self.operand.clone()))),
            (false, false, false) => Some(self.is(Condition::GreaterOrEqual(self.operand.clone()))),
        }
    }
}

/// `a >= x AND (a > x OR (a = x AND (b > y OR ...)))`; the first part says nothing new and is what an index is searched by.
fn behind(terms: &[Term]) -> Filter {
    let Some((first, rest)) = terms.split_first() else { return Filter::Or(Vec::new()) };
    if rest.is_empty() {
        return first.later().unwrap_or(Filter::Or(Vec::new()));
    }
    let ties = Filter::And(vec![first.same(), behind(rest)]);
    let behind = match first.later() {
        Some(later) => Filter::Or(vec![later, ties]),
        None => ties,
    };
    match first.not_earlier() {
        Some(bound) => Filter::And(vec![bound, behind]),
        None => behind,
    }
}
