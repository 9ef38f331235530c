//! The rules of a collection's fields, compiled once per model.
//!
//! Start at [`Rules::of`]. A JSON Schema carries what it can say (bounds of numbers, lengths, patterns, choices); bounds of
//! decimals, dates and times are compared here by value. Types are not looked at: `values` has made sure of them before.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use jsonschema::PatternOptions;
use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use super::values::{column_value, compact_json};
use crate::error::{Error, Result};
use crate::filter::{self, Missing, Scalar, Syntax, Variables};
use crate::schema::{
    Auto, Collection, CollectionId, Column, ColumnType, DefaultValue, Field, FieldId, Schema,
};
use crate::sql::write::Texts;

/// The compiled rules of all collections of one model, each made when first needed.
pub struct Rules {
    /// Which model; see [`Schema::version`].
    pub version: u64,
    /// Tables with triggers, once somebody has asked.
    pub(super) triggered: OnceCell<HashSet<Arc<str>>>,
    collections: Vec<OnceLock<Arc<CollectionRules>>>,
}

/// What is done with the values of one collection before they are written.
pub struct CollectionRules {
    /// Every column with what stands in it when nothing is sent.
    pub columns: Vec<(FieldId, Fill)>,
    /// Texts of the writes that were done so far.
    pub(super) texts: Texts,
    validator: Option<jsonschema::Validator>,
    bounds: Vec<Bound>,
    /// Columns that the validator looks at.
    checked: Vec<FieldId>,
    /// Rules that fields have as filters.
    filters: Vec<FieldFilter>,
}

/// A filter that an item must fit when it is sent, as a field has it.
struct FieldFilter {
    syntax: Syntax,
    /// What whoever breaks it is told instead of what is wrong.
    message: Option<String>,
}

/// How large the filter of a field may be; like those of permissions.
const LIMITS: filter::Limits = filter::Limits { max_depth: 20, max_conditions: 2000 };

/// What a new row has in a column that was not sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Fill {
    /// This value; null where nothing is declared.
    Value(Scalar),
    /// The moment of writing.
    Now,
    /// A new UUID.
    Uuid,
    /// What the server knows: who and when.
    Auto(Auto),
    /// Whatever the database puts there.
    Database,
    /// The number that the database counts.
    Counted,
    /// The next of a series, known inside the transaction.
    Number,
    /// Nothing: the request is refused.
    Required,
}

/// A bound that JSON Schema cannot state: of a decimal, a date or a time.
struct Bound {
    field: FieldId,
    is_min: bool,
    limit: Scalar,
    /// As written in the model.
    shown: Value,
}

impl Rules {
    /// Nothing is compiled yet.
    pub fn new(schema: &Schema) -> Self {
        let count = schema.collections().count();
        Rules {
            version: schema.version,
            triggered: OnceCell::new(),
            collections: (0..count).map(|_| OnceLock::new()).collect(),
        }
    }

    /// The rules of one collection.
    pub fn of(&self, schema: &Schema, collection: CollectionId) -> Arc<CollectionRules> {
        let compile = || Arc::new(CollectionRules::compile(schema.collection(collection)));
        match self.collections.get(collection.0 as usize) {
            Some(slot) => slot.get_or_init(compile).clone(),
            None => compile(),
        }
    }
}

impl CollectionRules {
    fn compile(collection: &Collection) -> Self {
        let mut properties = Map::new();
        let mut bounds = Vec::new();
        let mut checked = Vec::new();
        let mut columns = Vec::new();
        for (id, field) in collection.fields() {
            let Some(column) = &field.column else { continue };
            columns.push((id, fill(column)));
            let rule = property(column);
            if !rule.is_empty() {
                properties.insert(field.name.to_string(), Value::Object(rule));
                checked.push(id);
            }
            for (is_min, limit) in [(true, &column.checks.min), (false, &column.checks.max)] {
                let Some(shown) = limit.as_ref().filter(|_| !is_json_number(&column.column_type)) else {
                    continue;
                };
                if let Ok(limit) = column_value(&column.column_type, shown) {
                    bounds.push(Bound { field: id, is_min, limit, shown: shown.clone() });
                }
            }
        }
        let validator = if properties.is_empty() {
            None
        } else {
            // The model was checked when it was loaded: what does not compile here would be a rule we wrote ourselves.
            jsonschema::options()
                .with_pattern_options(PatternOptions::regex())
                .build(&json!({ "properties": properties }))
                .inspect_err(|error| {
                    tracing::error!(collection = %collection.name, %error, "the rules of a collection do not compile");
                })
                .ok()
        };
        let filters = collection.fields().filter_map(|(_, field)| field_filter(collection, field)).collect();
        CollectionRules { columns, texts: Texts::default(), validator, bounds, checked, filters }
    }

    /// Findings about an item that breaks the filters of its fields. What is not sent breaks none.
    pub fn check_filters(
        &self,
        item: &Map<String, Value>,
        variables: &Variables<'_>,
        findings: &mut Vec<Error>,
    ) -> Result<()> {
        for FieldFilter { syntax, message } in &self.filters {
            for broken in filter::evaluate(syntax, item, variables, Missing::Fits)? {
                let told = message.clone().unwrap_or_else(|| format!("It breaks \"_{}\".", broken.rule));
                findings.push(Error::FailedValidation {
                    field: broken.field,
                    rule: broken.rule,
                    details: broken.details,
                    message: told,
                });
            }
        }
        Ok(())
    }

    /// All findings about values that are sent. Null and absent values break none of these rules.
    pub fn check(&self, collection: &Collection, values: &[(FieldId, Scalar)], findings: &mut Vec<Error>) {
        if let Some(validator) = &self.validator {
            let instance = self.instance(collection, values);
            let is_any = instance.as_object().is_some_and(|members| !members.is_empty());
            // To say that nothing is wrong is cheaper than to look for what is.
            if is_any && !validator.is_valid(&instance) {
                findings.extend(validator.iter_errors(&instance).map(|error| finding(&error)));
            }
        }
        for bound in &self.bounds {
            let Some((_, value)) = values.iter().find(|(field, _)| *field == bound.field) else { continue };
            let Some(order) = compare(value, &bound.limit) else { continue };
            if if bound.is_min { order.is_lt() } else { order.is_gt() } {
                let name = &collection.field(bound.field).name;
                findings.push(out_of_bounds(name, bound.is_min, &bound.shown));
            }
        }
    }

    fn instance(&self, collection: &Collection, values: &[(FieldId, Scalar)]) -> Value {
        let mut instance = Map::new();
        for (id, value) in values {
            if !self.checked.contains(id) {
                continue;
            }
            let field = collection.field(*id);
            let Some(column) = &field.column else { continue };
            if let Some(value) = checkable(&column.column_type, value) {
                instance.insert(field.name.to_string(), value);
            }
        }
        Value::Object(instance)
    }
}

/// The filter of a field, read. One that cannot be read was not written over the API, which refuses it.
fn field_filter(collection: &Collection, field: &Field) -> Option<FieldFilter> {
    if field.validation.as_object().is_none_or(Map::is_empty) {
        return None;
    }
    let read = filter::parse(&field.validation, "validation", LIMITS).inspect_err(|error| {
        tracing::error!(collection = %collection.name, field = %field.name, %error, "the rule of a field cannot be read");
    });
    Some(FieldFilter { syntax: read.ok()?, message: field.validation_message.clone() })
}

/// The keywords of one column.
fn property(column: &Column) -> Map<String, Value> {
    let mut rule = Map::new();
    let checks = &column.checks;
    let column_type = &column.column_type;
    if is_json_number(column_type) {
        rule.extend(checks.min.clone().map(|limit| ("minimum".to_owned(), limit)));
        rule.extend(checks.max.clone().map(|limit| ("maximum".to_owned(), limit)));
    }
    let (least, most) =
        if *column_type == ColumnType::Csv { ("minItems", "maxItems") } else { ("minLength", "maxLength") };
    rule.extend(checks.min_length.map(|limit| (least.to_owned(), json!(limit))));
    rule.extend(checks.max_length.map(|limit| (most.to_owned(), json!(limit))));
    rule.extend(checks.pattern.clone().map(|pattern| ("pattern".to_owned(), Value::String(pattern))));
    if !checks.choices.is_empty() {
        let choices: Vec<Value> = checks
            .choices
            .iter()
            .map(|choice| match column_type {
                ColumnType::Csv => Some(choice.value.clone()),
                _ => column_value(column_type, &choice.value)
                    .ok()
                    .and_then(|value| checkable(column_type, &value)),
            })
            .map(|choice| choice.unwrap_or(Value::Null))
            .collect();
        if *column_type == ColumnType::Csv {
            rule.insert("items".to_owned(), json!({ "enum": choices }));
        } else {
            rule.insert("enum".to_owned(), Value::Array(choices));
        }
    }
    rule
}

fn is_json_number(column_type: &ColumnType) -> bool {
    matches!(column_type, ColumnType::Integer | ColumnType::BigInteger | ColumnType::Float)
}

/// The value as the JSON Schema sees it; `None` for null.
fn checkable(column_type: &ColumnType, value: &Scalar) -> Option<Value> {
    Some(match (column_type, value) {
        (_, Scalar::Null) => return None,
        (_, Scalar::Bool(value)) => json!(value),
        (_, Scalar::Int(value)) => json!(value),
        (_, Scalar::Float(value)) => json!(value),
        (ColumnType::Json, Scalar::Text(text)) => serde_json::from_str(text).ok()?,
        (ColumnType::Csv, Scalar::Text(text)) if text.is_empty() => json!([]),
        (ColumnType::Csv, Scalar::Text(text)) => json!(text.split(',').collect::<Vec<_>>()),
        (_, Scalar::Text(text)) => json!(&**text),
        (_, Scalar::Bytes(_)) => return None,
    })
}

/// Order of two canonical values of one type; decimals by value.
fn compare(left: &Scalar, right: &Scalar) -> Option<std::cmp::Ordering> {
    match (left, right) {
        (Scalar::Text(left), Scalar::Text(right)) => {
            let number = |text: &str| text.parse::<bigdecimal::BigDecimal>().ok();
            match (number(left), number(right)) {
                (Some(left), Some(right)) => Some(left.cmp(&right)),
                _ => Some(left.cmp(right)),
            }
        }
        _ => None,
    }
}

/// What stands in the column of a new row when nothing is sent.
fn fill(column: &Column) -> Fill {
    match (&column.auto, &column.default) {
        (Some(Auto::Uuid), _) => Fill::Uuid,
        (Some(Auto::Increment), _) => Fill::Counted,
        (Some(Auto::Number), _) => Fill::Number,
        (Some(auto), _) => Fill::Auto(*auto),
        (None, Some(DefaultValue::Now)) => Fill::Now,
        (None, Some(DefaultValue::Uuid)) => Fill::Uuid,
        (None, Some(DefaultValue::Expression(_))) => Fill::Database,
        (None, Some(DefaultValue::Value(value))) => {
            let value = match column.column_type {
                ColumnType::Json => compact_json(value).map(Scalar::Text),
                _ => column_value(&column.column_type, value),
            };
            value.map_or(Fill::Database, Fill::Value)
        }
        (None, None) if column.nullable => Fill::Value(Scalar::Null),
        (None, None) => Fill::Required,
    }
}

fn finding(error: &jsonschema::ValidationError<'_>) -> Error {
    // The first step of the path is the field; a further one is a place inside of its value.
    let path = error.instance_path().to_string();
    let field = path
        .trim_start_matches('/')
        .split('/')
        .next()
        .unwrap_or_default()
        .replace("~1", "/")
        .replace("~0", "~");
    let mut details = Map::new();
    let (rule, message) = match error.kind() {
        ValidationErrorKind::Minimum { limit } => return out_of_bounds(&field, true, limit),
        ValidationErrorKind::Maximum { limit } => return out_of_bounds(&field, false, limit),
        ValidationErrorKind::MinLength { limit } => {
            details.insert("valid".to_owned(), json!(limit));
            ("min_length", format!("Value has to have at least {limit} characters."))
        }
        ValidationErrorKind::MaxLength { limit } => {
            details.insert("valid".to_owned(), json!(limit));
            ("max_length", format!("Value has to have at most {limit} characters."))
        }
        ValidationErrorKind::MinItems { limit } => {
            details.insert("valid".to_owned(), json!(limit));
            ("min_length", format!("Value has to have at least {limit} entries."))
        }
        ValidationErrorKind::MaxItems { limit } => {
            details.insert("valid".to_owned(), json!(limit));
            ("max_length", format!("Value has to have at most {limit} entries."))
        }
        ValidationErrorKind::Enum { options } => {
            details.insert("valid".to_owned(), (**options).clone());
            details.insert("invalid".to_owned(), error.instance().clone().into_owned());
            ("in", "Value has to be one of the choices.".to_owned())
        }
        ValidationErrorKind::Pattern { .. } => {
            details.insert("invalid".to_owned(), error.instance().clone().into_owned());
            ("regex", "Value doesn't have the correct format.".to_owned())
        }
        other => ("custom", format!("Value breaks the rule \"{}\".", other.keyword())),
    };
    Error::FailedValidation { field, rule, details, message }
}

fn out_of_bounds(field: &str, is_min: bool, limit: &Value) -> Error {
    let (rule, message) = if is_min {
        ("gte", format!("Value has to be greater than or equal to {limit}."))
    } else {
        ("lte", format!("Value has to be less than or equal to {limit}."))
    };
    let details = Map::from_iter([("valid".to_owned(), limit.clone())]);
    Error::FailedValidation { field: field.to_owned(), rule, details, message }
}

/// A value that must be there is missing.
pub fn missing(field: &str) -> Error {
    let message = "Value is required.".to_owned();
    Error::FailedValidation { field: field.to_owned(), rule: "required", details: Map::new(), message }
}

/// A null where the column takes none.
pub fn is_null(field: &str) -> Error {
    let message = "Value can't be null.".to_owned();
    Error::FailedValidation { field: field.to_owned(), rule: "nnull", details: Map::new(), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Checks, Choice, Field, Origin};

    fn findings(column_type: ColumnType, checks: Checks, value: Value) -> Vec<(String, String)> {
        let mut column = Column::new(column_type.clone());
        column.checks = checks;
        let collection = Collection::new("t", Origin::Yaml, vec![Field::plain("a", column)]);
        let rules = CollectionRules::compile(&collection);
        let value = column_value(&column_type, &value).expect("a value that fits");
        let mut found = Vec::new();
        rules.check(&collection, &[(FieldId(0), value)], &mut found);
        found
            .iter()
            .map(|error| match error {
                Error::FailedValidation { field, rule, details, .. } => (
                    format!("{field} {rule}"),
                    details.get("valid").map(Value::to_string).unwrap_or_default(),
                ),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn check(column_type: ColumnType, checks: Checks, good: Value, bad: Value, rule: &str, valid: &str) {
        assert_eq!(findings(column_type.clone(), checks.clone(), good), []);
        assert_eq!(findings(column_type, checks, bad), [(format!("a {rule}"), valid.to_owned())]);
    }

    #[test]
    fn bounds() {
        let from = |limit: Value| Checks { min: Some(limit), ..Checks::default() };
        let to = |limit: Value| Checks { max: Some(limit), ..Checks::default() };
        check(ColumnType::Integer, from(json!(18)), json!(18), json!(17), "gte", "18");
        check(ColumnType::Float, to(json!(1.5)), json!(1.5), json!("1.6"), "lte", "1.5");
        let money = ColumnType::Decimal { precision: 12, scale: 2 };
        check(money.clone(), from(json!(0)), json!("0"), json!("-0.01"), "gte", "0");
        check(money, to(json!(100)), json!("99.99"), json!("100.01"), "lte", "100");
        check(
            ColumnType::Date,
            from(json!("2026-01-01")),
            json!("2026-01-01"),
            json!("2025-12-31"),
            "gte",
            "\"2026-01-01\"",
        );
        check(ColumnType::Time, to(json!("18:00")), json!("18:00:00"), json!("18:00:01"), "lte", "\"18:00\"");
    }

    #[test]
    fn texts() {
        let pattern = Checks { pattern: Some("^[A-Z]{3}$".to_owned()), ..Checks::default() };
        check(ColumnType::Text, pattern, json!("EUR"), json!("eur"), "regex", "");
        let short = Checks { max_length: Some(2), ..Checks::default() };
        check(ColumnType::Text, short.clone(), json!("üü"), json!("abc"), "max_length", "2");
        check(ColumnType::Csv, short, json!(["a", "b"]), json!(["a", "b", "c"]), "max_length", "2");
        let choice = |value: Value| Choice { value, label: None };
        let choices = Checks { choices: vec![choice(json!("a")), choice(json!("b"))], ..Checks::default() };
        check(ColumnType::Text, choices.clone(), json!("a"), json!("c"), "in", r#"["a","b"]"#);
        check(ColumnType::Csv, choices, json!(["a", "b"]), json!(["c"]), "in", r#"["a","b"]"#);
        let numbers = Checks { choices: vec![choice(json!(1)), choice(json!("2"))], ..Checks::default() };
        check(ColumnType::Integer, numbers, json!("2"), json!(3), "in", "[1,2]");
    }

    #[test]
    fn null_breaks_no_rule() {
        let checks = Checks { min: Some(json!(1)), max_length: Some(1), ..Checks::default() };
        assert_eq!(findings(ColumnType::Integer, checks, Value::Null), []);
    }
}
