//! What a wish comes to for one file: presets, rules of the project, formats.

use serde_json::{Map, Value};

use super::Format;
use super::operation::{Fit, Operation, Resize, Step};
use super::wish::{Accepts, FormatWish, Wish};
use crate::error::{Error, Result};

/// Images up to this size are made as AVIF where the client only says that it reads it: larger ones take too long.
const MOST_AVIF_PIXELS: u64 = 2_100_000;

/// What is done to an image, all of it decided.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::files) struct Recipe {
    pub(super) operations: Vec<Operation>,
    pub(in crate::files) format: Format,
    pub(super) quality: Option<u8>,
    /// It depends on what the client reads.
    pub(in crate::files) is_negotiated: bool,
}

impl Recipe {
    /// Two recipes with the same text make the same image.
    pub(in crate::files) fn text(&self) -> String {
        format!("1 {:?} {:?} {:?}", self.operations, self.format, self.quality)
    }
}

/// What a project allows of images.
#[derive(Debug, Default)]
pub(in crate::files) struct Policy {
    allowed: Allowed,
    presets: Vec<Map<String, Value>>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Allowed {
    #[default]
    All,
    Presets,
    Nothing,
}

impl Policy {
    /// By the settings of the project.
    pub(in crate::files) fn read(settings: &Map<String, Value>) -> Self {
        let allowed = match settings.get("storage_asset_transform").and_then(Value::as_str) {
            Some("none") => Allowed::Nothing,
            Some("presets") => Allowed::Presets,
            _ => Allowed::All,
        };
        let presets = settings.get("storage_asset_presets").and_then(Value::as_array);
        let presets = presets.into_iter().flatten().filter_map(|preset| preset.as_object().cloned());
        Policy { allowed, presets: presets.collect() }
    }

    /// What a wish means here. Fails with `InvalidQuery` for what is not allowed.
    fn wish(&self, wish: &Wish, most_operations: usize) -> Result<Wish> {
        let Some(key) = &wish.key else {
            return match self.allowed {
                Allowed::All => Ok(wish.clone()),
                Allowed::Presets => {
                    Err(Error::query("only the presets of this project may be asked for, by \"key\""))
                }
                Allowed::Nothing => Err(Error::query("images are not transformed in this project")),
            };
        };
        if let Some(preset) = of_system(key) {
            return Ok(preset);
        }
        let is_this = |preset: &&Map<String, Value>| preset.get("key").and_then(Value::as_str) == Some(key);
        match self.presets.iter().find(is_this).filter(|_| self.allowed != Allowed::Nothing) {
            Some(preset) => Wish::read(preset, most_operations),
            None => Err(Error::query("\"key\" is none of the presets of this project")),
        }
    }

    /// What is to be made of a file of this format and size, with its own focal point.
    pub(in crate::files) fn recipe(
        &self,
        wish: &Wish,
        accepts: Accepts,
        original: Format,
        focal: (Option<u32>, Option<u32>),
        most_operations: usize,
    ) -> Result<Recipe> {
        let wish = self.wish(wish, most_operations)?;
        let mut operations = Vec::new();
        let (mut format, mut quality) = (None, wish.quality);
        for step in &wish.steps {
            match step {
                Step::Operation(operation) => operations.push(*operation),
                Step::Format(named, named_quality) => {
                    format = Some(*named);
                    quality = named_quality.or(quality);
                }
            }
        }
        if wish.width.is_some() || wish.height.is_some() {
            let focal = wish.focal_x.or(focal.0).zip(wish.focal_y.or(focal.1));
            operations.push(Operation::Resize(Resize {
                width: wish.width,
                height: wish.height,
                fit: wish.fit.unwrap_or(Fit::Cover),
                without_enlargement: wish.without_enlargement,
                focal,
            }));
        }
        let format = match wish.format {
            Some(FormatWish::Fixed(format)) => format,
            Some(FormatWish::Auto) => automatic(accepts, original, &operations),
            None => format.unwrap_or(original),
        };
        Ok(Recipe { operations, format, quality, is_negotiated: wish.is_negotiated() })
    }
}

/// The best format that a client reads.
fn automatic(accepts: Accepts, original: Format, operations: &[Operation]) -> Format {
    let is_small = operations.iter().any(|operation| match operation {
        Operation::Resize(Resize { width: Some(width), height, .. }) => {
            u64::from(*width) * u64::from(height.unwrap_or(*width)) <= MOST_AVIF_PIXELS
        }
        Operation::Resize(Resize { height: Some(height), .. }) => {
            u64::from(*height) * u64::from(*height) <= MOST_AVIF_PIXELS
        }
        _ => false,
    });
    match original {
        _ if accepts.avif && is_small => Format::Avif,
        _ if accepts.webp => Format::Webp,
        Format::Jpeg => Format::Jpeg,
        _ => Format::Png,
    }
}

/// The presets that are always there.
fn of_system(key: &str) -> Option<Wish> {
    let (width, height, fit) = match key {
        "system-small-cover" => (64, Some(64), Fit::Cover),
        "system-small-contain" => (64, None, Fit::Contain),
        "system-medium-cover" => (300, Some(300), Fit::Cover),
        "system-medium-contain" => (300, None, Fit::Contain),
        "system-large-cover" => (800, Some(800), Fit::Cover),
        "system-large-contain" => (800, None, Fit::Contain),
        _ => return None,
    };
    Some(Wish {
        width: Some(width),
        height,
        fit: Some(fit),
        format: Some(FormatWish::Auto),
        ..Wish::default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(settings: Value) -> Policy {
        Policy::read(settings.as_object().expect("an object"))
    }

    fn recipe(policy: &Policy, pairs: &[(&str, &str)], accept: &str) -> Result<Recipe> {
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let wish = Wish::parse(&pairs, 5)?.expect("a wish");
        policy.recipe(&wish, Accepts::parse(accept), Format::Png, (Some(3), Some(4)), 5)
    }

    #[test]
    fn what_a_project_allows() {
        let preset = json!({ "key": "thumb", "fit": "cover", "width": 11, "height": 9, "quality": 80,
            "withoutEnlargement": false, "format": "png", "transforms": [] });
        let check = |allowed: &str, pairs: &[(&str, &str)], expected: bool| {
            let policy =
                policy(json!({ "storage_asset_transform": allowed, "storage_asset_presets": [preset] }));
            assert_eq!(recipe(&policy, pairs, "").is_ok(), expected, "{allowed} {pairs:?}");
        };
        check("all", &[("width", "10")], true);
        check("all", &[("key", "thumb")], true);
        check("all", &[("key", "other")], false);
        check("presets", &[("width", "10")], false);
        check("presets", &[("key", "thumb")], true);
        check("none", &[("key", "thumb")], false);
        check("none", &[("key", "system-small-cover")], true);
        check("none", &[("width", "10")], false);
    }

    #[test]
    fn formats() {
        let policy = policy(json!({}));
        let check = |pairs: &[(&str, &str)], accept: &str, expected: Format| {
            assert_eq!(
                recipe(&policy, pairs, accept).expect("a recipe").format,
                expected,
                "{pairs:?} {accept}"
            );
        };
        check(&[("width", "10")], "image/avif", Format::Png);
        check(&[("width", "10"), ("format", "auto")], "image/avif,image/webp", Format::Avif);
        check(&[("width", "5000"), ("format", "auto")], "image/avif,image/webp", Format::Webp);
        check(&[("key", "system-small-cover")], "image/webp", Format::Webp);
        check(&[("key", "system-small-cover")], "*/*", Format::Png);
        check(&[("format", "jpg")], "image/avif", Format::Jpeg);
        check(&[("transforms", r#"[["toFormat","webp"]]"#)], "", Format::Webp);
    }

    #[test]
    fn the_point_that_matters() {
        let policy = policy(json!({}));
        let focal = |pairs: &[(&str, &str)]| match recipe(&policy, pairs, "").expect("a recipe").operations[..]
        {
            [Operation::Resize(resize)] => resize.focal,
            _ => panic!("one operation"),
        };
        assert_eq!(focal(&[("width", "10")]), Some((3, 4)));
        assert_eq!(focal(&[("width", "10"), ("focal_point_x", "7"), ("focal_point_y", "8")]), Some((7, 8)));
    }
}
