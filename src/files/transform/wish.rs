//! What a request wishes of an image, before it is known of which.

use serde_json::{Map, Value, json};

use super::Format;
use super::operation::{Fit, Step, pixels, quality_of, steps};
use crate::error::{Error, Result};

/// What a request wishes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wish {
    /// Name of a preset, which says all of it.
    pub(super) key: Option<String>,
    pub(super) width: Option<u32>,
    pub(super) height: Option<u32>,
    pub(super) fit: Option<Fit>,
    pub(super) format: Option<FormatWish>,
    pub(super) quality: Option<u8>,
    pub(super) without_enlargement: bool,
    pub(super) focal_x: Option<u32>,
    pub(super) focal_y: Option<u32>,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FormatWish {
    /// The best that the client reads.
    Auto,
    Fixed(Format),
}

/// The formats that a client says it reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Accepts {
    pub(super) avif: bool,
    pub(super) webp: bool,
}

impl Accepts {
    /// By an `Accept` header. One that says nothing of images counts as reading the oldest formats only.
    pub fn parse(header: &str) -> Self {
        let names = |wanted: &str| {
            header.split(',').any(|entry| {
                let mut parts = entry.split(';').map(str::trim);
                let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
                is_named
                    && !parts
                        .any(|part| part.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0))
            })
        };
        Accepts { avif: names("image/avif"), webp: names("image/webp") }
    }
}

const NAMES: [&str; 10] = [
    "key",
    "width",
    "height",
    "fit",
    "format",
    "quality",
    "withoutEnlargement",
    "focal_point_x",
    "focal_point_y",
    "transforms",
];

impl Wish {
    /// What these parameters of a URL wish; `None` when they wish nothing. Others are not looked at.
    ///
    /// Fails with `InvalidQuery`.
    pub fn parse(parameters: &[(String, String)], most_operations: usize) -> Result<Option<Self>> {
        let mut said = Map::new();
        for (name, value) in parameters {
            if NAMES.contains(&name.as_str()) && !value.is_empty() {
                let value = if name == "transforms" {
                    serde_json::from_str(value).map_err(|_| Error::query("\"transforms\" must be JSON"))?
                } else {
                    json!(value)
                };
                said.insert(name.clone(), value);
            }
        }
        if said.is_empty() { Ok(None) } else { Wish::read(&said, most_operations).map(Some) }
    }

    /// The same for an object, as presets are.
    pub(super) fn read(said: &Map<String, Value>, most_operations: usize) -> Result<Self> {
        let get = |name: &str| said.get(name).filter(|value| !value.is_null() && **value != json!(""));
        let size = |name: &str, least: u64| {
            let number = get(name).map(|value| pixels(Some(value), least)).transpose();
            number.map_err(|_| Error::query(format_args!("\"{name}\" must be a whole number of pixels")))
        };
        let unknown = |name: &str| Error::query(format_args!("\"{name}\" has no such value"));
        Ok(Wish {
            key: get("key").and_then(Value::as_str).map(str::to_owned),
            width: size("width", 1)?,
            height: size("height", 1)?,
            fit: match get("fit") {
                None => None,
                Some(name) => Some(name.as_str().and_then(Fit::find).ok_or_else(|| unknown("fit"))?),
            },
            format: match get("format").map(|format| format.as_str().unwrap_or_default()) {
                None => None,
                Some("auto") => Some(FormatWish::Auto),
                Some(name) => Some(FormatWish::Fixed(Format::find(name).ok_or_else(|| unknown("format"))?)),
            },
            quality: get("quality").map(quality_of).transpose()?,
            without_enlargement: match get("withoutEnlargement") {
                None => false,
                Some(Value::Bool(value)) => *value,
                Some(Value::String(text)) if text == "true" || text == "1" => true,
                Some(Value::String(text)) if text == "false" || text == "0" => false,
                Some(_) => return Err(unknown("withoutEnlargement")),
            },
            focal_x: size("focal_point_x", 0)?,
            focal_y: size("focal_point_y", 0)?,
            steps: match get("transforms") {
                None => Vec::new(),
                Some(list) => steps(list, most_operations)?,
            },
        })
    }

    /// Whether what is made depends on what the client reads.
    pub(super) fn is_negotiated(&self) -> bool {
        self.format == Some(FormatWish::Auto)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Option<Wish>> {
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Wish::parse(&pairs, 5)
    }

    #[test]
    fn wishes() {
        assert_eq!(parse(&[("download", ""), ("v", "3"), ("width", "")]).expect("readable"), None);
        let wish =
            parse(&[("width", "300"), ("format", "auto"), ("quality", "80"), ("withoutEnlargement", "true")]);
        let expected = Wish {
            width: Some(300),
            format: Some(FormatWish::Auto),
            quality: Some(80),
            without_enlargement: true,
            ..Wish::default()
        };
        assert_eq!(wish.expect("readable"), Some(expected));
    }

    #[test]
    fn refused() {
        for (name, value) in [
            ("width", "abc"),
            ("width", "-5"),
            ("width", "0"),
            ("width", "1.5"),
            ("height", "999999999"),
            ("fit", "around"),
            ("format", "bmp"),
            ("quality", "0"),
            ("quality", "101"),
            ("withoutEnlargement", "perhaps"),
            ("focal_point_x", "-1"),
            ("transforms", "{bad"),
            ("transforms", "{}"),
        ] {
            assert!(matches!(parse(&[(name, value)]), Err(Error::InvalidQuery { .. })), "{name}={value}");
        }
    }

    #[test]
    fn accepted_formats() {
        let check =
            |header, avif, webp| assert_eq!(Accepts::parse(header), Accepts { avif, webp }, "{header}");
        check("image/avif,image/webp,image/png,*/*;q=0.8", true, true);
        check("image/webp", false, true);
        check("image/avif;q=0, image/webp;q=0.5", false, true);
        check("*/*", false, false);
        check("", false, false);
    }
}
