//! Names inside one collection: fields, functions of fields (`year(day)`), many-to-any fields with a scope (`item:texts`).
//!
//! Filters, sorts, groups and the fields of an answer all read names here, so that they refuse the same ones.

use super::{Env, Function, Target};
use crate::error::{Error, Result};
use crate::schema::{CollectionId, ColumnType, Field, FieldId, FieldKind};

/// What a name consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name<'a> {
    /// `title`.
    Field(&'a str),
    /// `year(day)`.
    Function {
        /// `year`.
        function: &'a str,
        /// `day`.
        field: &'a str,
    },
    /// `item:texts`.
    Scoped {
        /// `item`.
        field: &'a str,
        /// `texts`.
        collection: &'a str,
    },
}

impl<'a> Name<'a> {
    /// Takes a name apart; what it refers to is not looked at.
    pub fn parse(name: &'a str) -> Self {
        if let Some((function, rest)) = name.split_once('(')
            && let Some(field) = rest.strip_suffix(')')
        {
            return Name::Function { function: function.trim(), field: field.trim() };
        }
        match name.split_once(':') {
            Some((field, collection)) => Name::Scoped { field, collection },
            None => Name::Field(name),
        }
    }
}

/// The field with this name, if the caller may see it; anything else looks the same as a field that is not there.
pub fn field<'e>(env: &Env<'e>, collection: CollectionId, name: &str) -> Result<(FieldId, &'e Field)> {
    let id = env.schema.collection(collection).find(name).ok_or(Error::Forbidden)?;
    if !(env.may_read)(collection, id) {
        return Err(Error::Forbidden);
    }
    Ok((id, env.schema.field(collection, id)))
}

/// A function of a field; fails with `InvalidQuery` where the function is unknown or means nothing for the field.
pub fn function(env: &Env<'_>, collection: CollectionId, function: &str, name: &str) -> Result<Target> {
    let known = known_function(function);
    if known.is_none() && function != "count" {
        return Err(Error::query(format_args!("\"{function}\" is not a function")));
    }
    let (id, field) = field(env, collection, name)?;
    if let FieldKind::OneToMany { related, .. } = field.kind
        && !(env.is_open)(related)
    {
        return Err(Error::Forbidden);
    }
    let column_type = field.column.as_ref().map(|column| &column.column_type);
    let fits = match known {
        Some((_, Part::Date)) => column_type.is_some_and(ColumnType::has_date),
        Some((_, Part::Time)) => column_type.is_some_and(ColumnType::has_time),
        None => {
            matches!(field.kind, FieldKind::OneToMany { .. })
                || matches!(column_type, Some(ColumnType::Json | ColumnType::Csv))
        }
    };
    if !fits || field.conceal {
        return Err(Error::query(format_args!("{function}() cannot be applied to field \"{name}\"")));
    }
    Ok(match known {
        Some((known, _)) => Target::Function(known, id),
        None => Target::Count(id),
    })
}

/// What a function needs of its field.
#[derive(Clone, Copy)]
enum Part {
    Date,
    Time,
}

fn known_function(name: &str) -> Option<(Function, Part)> {
    Some(match name {
        "year" => (Function::Year, Part::Date),
        "month" => (Function::Month, Part::Date),
        "week" => (Function::Week, Part::Date),
        "day" => (Function::Day, Part::Date),
        "weekday" => (Function::Weekday, Part::Date),
        "hour" => (Function::Hour, Part::Time),
        "minute" => (Function::Minute, Part::Time),
        "second" => (Function::Second, Part::Time),
        _ => return None,
    })
}

/// The field or function of a field with this name, as a value that rows can be sorted or grouped by.
///
/// Fails with `InvalidQuery` where the field holds no value of its own, or none that has an order.
pub fn ordered(env: &Env<'_>, collection: CollectionId, name: &str, parameter: &str) -> Result<Target> {
    match Name::parse(name) {
        Name::Function { function: called, field } => function(env, collection, called, field),
        Name::Field(name) | Name::Scoped { field: name, .. } => {
            let (id, field) = field(env, collection, name)?;
            let has_order = field.column.as_ref().is_some_and(|column| {
                !matches!(
                    column.column_type,
                    ColumnType::Json | ColumnType::Binary | ColumnType::Unknown { .. }
                )
            });
            if !has_order || field.conceal {
                return Err(Error::query(format_args!("field \"{name}\" cannot be used in \"{parameter}\"")));
            }
            Ok(Target::Field(id))
        }
    }
}

/// The type of the values of a target; `None` for fields that hold none.
pub fn target_type(env: &Env<'_>, collection: CollectionId, target: &Target) -> Option<ColumnType> {
    match target {
        Target::Field(id) => {
            env.schema.field(collection, *id).column.as_ref().map(|column| column.column_type.clone())
        }
        Target::Function(..) | Target::Count(_) => Some(ColumnType::Integer),
    }
}
