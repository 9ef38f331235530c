//! Values of arguments and variables, as JSON.

use async_graphql::parser::types::{Directive, VariableDefinition};
use async_graphql::registry::{MetaType, MetaTypeName, Registry};
use async_graphql::{Name, Positioned};
use async_graphql_value::{ConstValue as Literal, Value as Written};
use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// What is written, with variables put in; `None` for a variable without a value.
pub(super) fn value(written: &Written, variables: &Map<String, Value>) -> Option<Value> {
    Some(match written {
        Written::Variable(name) => return variables.get(name.as_str()).cloned(),
        Written::Null => Value::Null,
        Written::Number(number) => Value::Number(number.clone()),
        Written::String(text) => Value::String(text.clone()),
        Written::Boolean(flag) => Value::Bool(*flag),
        Written::Enum(name) => Value::String(name.to_string()),
        Written::Binary(_) => Value::Null,
        // In a list, a variable without a value is null.
        Written::List(entries) => {
            entries.iter().map(|entry| value(entry, variables).unwrap_or(Value::Null)).collect()
        }
        Written::Object(members) => Value::Object(
            members
                .iter()
                .filter_map(|(name, member)| Some((name.to_string(), value(member, variables)?)))
                .collect(),
        ),
    })
}

/// The arguments of a field.
pub(super) fn arguments(
    written: &[(Positioned<Name>, Positioned<Written>)],
    variables: &Map<String, Value>,
) -> Map<String, Value> {
    written
        .iter()
        .filter_map(|(name, argument)| Some((name.node.to_string(), value(&argument.node, variables)?)))
        .collect()
}

/// Names of the variables in what is written.
pub(super) fn names_in<'w>(written: &'w Written, found: &mut Vec<&'w str>) {
    match written {
        Written::Variable(name) => found.push(name),
        Written::List(entries) => entries.iter().for_each(|entry| names_in(entry, found)),
        Written::Object(members) => members.values().for_each(|member| names_in(member, found)),
        _ => {}
    }
}

/// Whether `@skip` and `@include` leave it in.
pub(super) fn is_shown<'d>(
    directives: impl IntoIterator<Item = &'d Positioned<Directive>>,
    variables: &Map<String, Value>,
) -> bool {
    directives.into_iter().all(|directive| {
        let condition = directive.node.get_argument("if");
        let is_true =
            condition.and_then(|written| value(&written.node, variables)) == Some(Value::Bool(true));
        match directive.node.name.node.as_str() {
            "skip" => !is_true,
            "include" => is_true,
            _ => true,
        }
    })
}

/// The values of the variables of an operation: those sent, else their defaults. Fails with `GraphqlValidation` for those that do
/// not fit.
pub(super) fn variables(
    registry: &Registry,
    definitions: &[Positioned<VariableDefinition>],
    sent: &Map<String, Value>,
) -> Result<Map<String, Value>> {
    let mut values = Map::new();
    for definition in definitions {
        let definition = &definition.node;
        let name = definition.name.node.as_str();
        let of = definition.var_type.node.to_string();
        match sent.get(name) {
            Some(value) => {
                check(registry, &of, value, &format!("${name}"))?;
                values.insert(name.to_owned(), value.clone());
            }
            None => match &definition.default_value {
                Some(default) => {
                    let default = default.node.clone().into_json().map_err(Error::internal)?;
                    values.insert(name.to_owned(), default);
                }
                None if definition.var_type.node.nullable => {}
                None => {
                    return Err(Error::graphql(format_args!(
                        "Variable \"${name}\" of required type \"{of}\" was not provided."
                    )));
                }
            },
        }
    }
    Ok(values)
}

/// A value as those who judge scalars take it. Not by serde, to which `3.50` is an object.
fn literal(value: &Value) -> Literal {
    match value {
        Value::Null => Literal::Null,
        Value::Bool(flag) => Literal::Boolean(*flag),
        Value::Number(number) => Literal::Number(number.clone()),
        Value::String(text) => Literal::String(text.clone()),
        // Who takes one of these takes all of them.
        Value::Array(_) => Literal::List(Vec::new()),
        Value::Object(_) => Literal::Object(IndexMap::new()),
    }
}

/// Whether a value fits a type. `at` is where it stands, for the message.
pub(super) fn check(registry: &Registry, of: &str, value: &Value, at: &str) -> Result<()> {
    let misfit = |name: &str| Err(Error::graphql(format_args!("{at} is no value of type \"{name}\".")));
    match MetaTypeName::create(of) {
        MetaTypeName::NonNull(inner) if value.is_null() => misfit(&format!("{inner}!")),
        MetaTypeName::NonNull(inner) => check(registry, inner, value, at),
        _ if value.is_null() => Ok(()),
        MetaTypeName::List(inner) => match value {
            Value::Array(entries) => {
                for (position, entry) in entries.iter().enumerate() {
                    check(registry, inner, entry, &format!("{at}[{position}]"))?;
                }
                Ok(())
            }
            // One stands for a list of one.
            one => check(registry, inner, one, at),
        },
        MetaTypeName::Named(name) => match registry.types.get(name) {
            Some(MetaType::Scalar { is_valid, .. }) => {
                let fits = is_valid.as_ref().is_none_or(|is_valid| is_valid(&literal(value)));
                if fits { Ok(()) } else { misfit(name) }
            }
            Some(MetaType::Enum { enum_values, .. }) => match value {
                Value::String(text) if enum_values.contains_key(text) => Ok(()),
                _ => misfit(name),
            },
            Some(MetaType::InputObject { input_fields, .. }) => {
                let Value::Object(members) = value else { return misfit(name) };
                if let Some(unknown) = members.keys().find(|member| !input_fields.contains_key(*member)) {
                    return Err(Error::graphql(format_args!(
                        "{at}: field \"{unknown}\" is not defined by type \"{name}\"."
                    )));
                }
                for (member, field) in input_fields {
                    match members.get(member) {
                        Some(value) => check(registry, &field.ty, value, &format!("{at}.{member}"))?,
                        None if field.ty.ends_with('!') => {
                            return Err(Error::graphql(format_args!(
                                "{at}: field \"{member}\" of required type \"{}\" was not provided.",
                                field.ty
                            )));
                        }
                        None => {}
                    }
                }
                Ok(())
            }
            _ => misfit(name),
        },
    }
}
