//! Short forms of types: `string(32)!`, `decimal(12,2)`, `m2o(companies)`.

use super::findings::Findings;
use super::keys::{NAME_PATTERN, is_name};
use super::model::ColumnType;
use crate::yaml::{Diagnostic, Node, quoted};

/// One short form.
#[derive(Debug)]
pub struct ShortForm {
    pub name: &'static str,
    pub takes: Arguments,
    pub about: &'static str,
}

/// What stands in parentheses behind the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arguments {
    None,
    /// At most so many characters; may be left out.
    Length {
        most: u32,
    },
    /// Digits in all, and behind the point.
    Digits,
    /// The name of a collection.
    Collection,
    /// A collection and its field.
    FarField,
}

const fn plain(name: &'static str, about: &'static str) -> ShortForm {
    ShortForm { name, takes: Arguments::None, about }
}

/// Longest `string`, in characters: what every database stores in a row.
const MOST_STRING: u32 = 16_383;
/// Longest text that can be a key everywhere.
const MOST_KEY: u32 = 255;
/// Most digits of a `decimal`: what fits 64 bits.
const MOST_DIGITS: u8 = 18;

/// All short forms.
pub const SHORT_FORMS: &[ShortForm] = &[
    ShortForm {
        name: "string",
        takes: Arguments::Length { most: MOST_STRING },
        about: "Text up to 255 characters, or as many as in parentheses",
    },
    plain("text", "Text of any length"),
    plain("integer", "Whole number of 32 bits"),
    plain("bigint", "Whole number of 64 bits"),
    ShortForm {
        name: "decimal",
        takes: Arguments::Digits,
        about: "Exact number: digits in all, and behind the point",
    },
    plain("float", "64-bit floating point"),
    plain("boolean", "True or false"),
    plain("date", "A day"),
    plain("time", "A time of day, without a zone"),
    plain("datetime", "A day and time, without a zone"),
    plain("timestamp", "A moment, kept in UTC, with milliseconds"),
    plain("json", "Any JSON"),
    plain("csv", "A list of texts"),
    plain("uuid", "An identifier"),
    plain("hash", "Argon2id hash of what is sent; never readable in the clear"),
    plain("binary", "Bytes, base64 in JSON"),
    plain("file", "Points at one file"),
    plain("image", "Points at one file, an image"),
    plain("files", "Many files, through a junction"),
    plain("uuid_pk", "Primary key: a generated UUID"),
    plain("integer_pk", "Primary key: a counting number"),
    plain("bigint_pk", "Primary key: a counting number of 64 bits"),
    ShortForm {
        name: "string_pk",
        takes: Arguments::Length { most: MOST_KEY },
        about: "Primary key: a text that the writer gives",
    },
    plain("created_at", "Timestamp set on creation"),
    plain("updated_at", "Timestamp set on change"),
    plain("created_by", "The user who creates"),
    plain("updated_by", "The user who changes"),
    ShortForm { name: "m2o", takes: Arguments::Collection, about: "Points at one item of a collection" },
    ShortForm {
        name: "o2o",
        takes: Arguments::Collection,
        about: "Points at one item of a collection, each at most once",
    },
    ShortForm {
        name: "o2m",
        takes: Arguments::FarField,
        about: "The items of a collection whose field points here",
    },
    ShortForm {
        name: "m2m",
        takes: Arguments::Collection,
        about: "Many of a collection, through a junction",
    },
];

/// A short form with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// A column of this type.
    Column(ColumnType),
    /// A primary key of this type.
    Key(ColumnType),
    /// One of the words that mean more than a type: `file`, `created_at`, ...
    Word(&'static str),
    /// A relation to a collection.
    Relation {
        kind: &'static str,
        collection: String,
        /// For `o2m`.
        field: Option<String>,
    },
}

/// Why a text is no short form.
#[derive(Debug, PartialEq, Eq)]
pub enum Mistake {
    UnknownName(String),
    Arguments(String),
}

/// Reads a short form; the flag says whether `!` stands behind it.
pub fn parse(text: &str) -> Result<(Type, bool), Mistake> {
    let (text, required) = match text.strip_suffix('!') {
        Some(text) => (text.trim_end(), true),
        None => (text, false),
    };
    let (name, arguments) = match text.split_once('(') {
        Some((name, rest)) => match rest.strip_suffix(')') {
            Some(arguments) => (name.trim_end(), Some(arguments.trim())),
            None => return Err(Mistake::Arguments(format!("{} has no closing parenthesis", quoted(text)))),
        },
        None => (text, None),
    };
    let Some(form) = SHORT_FORMS.iter().find(|form| form.name == name) else {
        return Err(Mistake::UnknownName(name.to_owned()));
    };
    let read = match (form.takes, arguments) {
        (Arguments::None, None) => simple(form.name),
        (Arguments::None, Some(_)) => {
            return Err(Mistake::Arguments(format!("{name} takes nothing in parentheses")));
        }
        (Arguments::Length { most }, length) => {
            let length = match length {
                None => 255,
                Some(length) => {
                    length.parse().ok().filter(|length| (1..=most).contains(length)).ok_or_else(|| {
                        Mistake::Arguments(format!(
                            "{name} takes a length from 1 to {most}, as in {name}(32)"
                        ))
                    })?
                }
            };
            let column_type = ColumnType::String { length };
            if form.name == "string_pk" { Type::Key(column_type) } else { Type::Column(column_type) }
        }
        (Arguments::Digits, arguments) => Type::Column(digits(arguments.unwrap_or_default())?),
        (Arguments::Collection, Some(collection)) if is_name(collection) => {
            Type::Relation { kind: form.name, collection: collection.to_owned(), field: None }
        }
        (Arguments::Collection, _) => {
            return Err(Mistake::Arguments(format!(
                "{name} takes the name of a collection, as in {name}(companies)"
            )));
        }
        (Arguments::FarField, arguments) => match arguments.and_then(|text| text.split_once('.')) {
            Some((collection, field)) if is_name(collection) && is_name(field) => Type::Relation {
                kind: form.name,
                collection: collection.to_owned(),
                field: Some(field.to_owned()),
            },
            _ => {
                let message =
                    format!("{name} takes a collection and its field, as in {name}(invoice_lines.invoice)");
                return Err(Mistake::Arguments(message));
            }
        },
    };
    Ok((read, required))
}

fn simple(name: &'static str) -> Type {
    let column = match name {
        "text" => ColumnType::Text,
        "integer" => ColumnType::Integer,
        "bigint" => ColumnType::BigInteger,
        "float" => ColumnType::Float,
        "boolean" => ColumnType::Boolean,
        "date" => ColumnType::Date,
        "time" => ColumnType::Time,
        "datetime" => ColumnType::DateTime,
        "timestamp" => ColumnType::Timestamp,
        "json" => ColumnType::Json,
        "csv" => ColumnType::Csv,
        "uuid" => ColumnType::Uuid,
        "hash" => ColumnType::Hash,
        "binary" => ColumnType::Binary,
        "uuid_pk" => return Type::Key(ColumnType::Uuid),
        "integer_pk" => return Type::Key(ColumnType::Integer),
        "bigint_pk" => return Type::Key(ColumnType::BigInteger),
        word => return Type::Word(word),
    };
    Type::Column(column)
}

fn digits(arguments: &str) -> Result<ColumnType, Mistake> {
    let numbers = arguments.split_once(',').and_then(|(precision, scale)| {
        Some((precision.trim().parse::<u8>().ok()?, scale.trim().parse::<u8>().ok()?))
    });
    match numbers {
        Some((precision, scale)) if (1..=MOST_DIGITS).contains(&precision) && scale <= precision => {
            Ok(ColumnType::Decimal { precision, scale })
        }
        _ => Err(Mistake::Arguments(format!(
            "decimal takes its digits and how many of them stand behind the point, as in decimal(12,2), at most {MOST_DIGITS}"
        ))),
    }
}

/// Reports a text that is no short form, or has the `!` that only the short notation takes.
pub fn check(node: &Node, findings: &mut Findings) {
    match parse(node.as_text().unwrap_or_default()) {
        Ok((_, false)) => {}
        Ok((_, true)) => findings.push(
            Diagnostic::error(&node.at, "\"!\" is only for the short notation")
                .expected("\"required: true\" beside the type"),
        ),
        Err(mistake) => report(mistake, node, findings),
    }
}

/// Reports why a text is no short form.
pub fn report(mistake: Mistake, node: &Node, findings: &mut Findings) {
    match mistake {
        Mistake::UnknownName(name) => {
            let diagnostic = Diagnostic::error(&node.at, format!("unknown type {}", quoted(&name)));
            findings.push_nearest(diagnostic, &name, SHORT_FORMS.iter().map(|form| form.name));
        }
        Mistake::Arguments(message) => findings.push(Diagnostic::error(&node.at, message)),
    }
}

/// Regular expressions that together match the texts [`parse`] takes, without `!`, for editors.
pub fn pattern(form: &ShortForm) -> Option<String> {
    let name = form.name;
    const NAME: &str = NAME_PATTERN;
    match form.takes {
        Arguments::None => None,
        Arguments::Length { .. } => Some(format!("{name}\\( *[0-9]+ *\\)")),
        Arguments::Digits => Some(format!("{name}\\( *[0-9]+ *, *[0-9]+ *\\)")),
        Arguments::Collection => Some(format!("{name}\\( *{NAME} *\\)")),
        Arguments::FarField => Some(format!("{name}\\( *{NAME}\\.{NAME} *\\)")),
    }
}

/// Whether the name may stand without arguments.
pub fn stands_alone(form: &ShortForm) -> bool {
    matches!(form.takes, Arguments::None | Arguments::Length { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = match parse(text) {
            Ok((Type::Column(column), required)) => format!("{column}{}", if required { "!" } else { "" }),
            Ok((Type::Key(column), _)) => format!("key {column}"),
            Ok((Type::Word(word), required)) => format!("word {word}{}", if required { "!" } else { "" }),
            Ok((Type::Relation { kind, collection, field }, _)) => {
                format!("{kind} {collection} {}", field.unwrap_or_default())
            }
            Err(Mistake::UnknownName(name)) => format!("unknown {name}"),
            Err(Mistake::Arguments(message)) => message,
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn short_forms() {
        check("string", "string(255)");
        check("string(32)!", "string(32)!");
        check("string(0)", "string takes a length from 1 to 16383, as in string(32)");
        check("string(32", "\"string(32\" has no closing parenthesis");
        check("text!", "text!");
        check("text(3)", "text takes nothing in parentheses");
        check("decimal(12, 2)", "decimal(12,2)");
        check(
            "decimal(19,2)",
            "decimal takes its digits and how many of them stand behind the point, as in decimal(12,2), at most 18",
        );
        check("string_pk(64)", "key string(64)");
        check("created_at!", "word created_at!");
        check("m2o(companies)!", "m2o companies ");
        check("m2o", "m2o takes the name of a collection, as in m2o(companies)");
        check("o2m(lines.invoice)", "o2m lines invoice");
        check("o2m(lines)", "o2m takes a collection and its field, as in o2m(invoice_lines.invoice)");
        check("strng", "unknown strng");
    }
}
