//! One step of a transformation, as `transforms` lists them: `["resize", { "width": 100 }]`, `["rotate", 90]`.

use serde_json::{Map, Value};

use super::Format;
use crate::error::{Error, Result};

/// How an image fits into a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It fills the size; what stands over is cut off.
    Cover,
    /// All of it is seen, with bars beside it.
    Contain,
    /// It is drawn out to the size.
    Fill,
    /// As large as fits into the size.
    Inside,
    /// As small as fills the size.
    Outside,
}

impl Fit {
    pub(super) fn find(name: &str) -> Option<Self> {
        match name {
            "cover" => Some(Fit::Cover),
            "contain" => Some(Fit::Contain),
            "fill" => Some(Fit::Fill),
            "inside" => Some(Fit::Inside),
            "outside" => Some(Fit::Outside),
            _ => None,
        }
    }
}

/// A new size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Resize {
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub fit: Fit,
    pub without_enlargement: bool,
    /// The point of the image that stays in the middle of what is cut out.
    pub focal: Option<(u32, u32)>,
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Operation {
    Resize(Resize),
    Extract {
        left: u32,
        top: u32,
        width: u32,
        height: u32,
    },
    /// By so many quarters, clockwise.
    Rotate(u8),
    /// Upside down.
    Flip,
    /// As in a mirror.
    Flop,
    Grayscale,
    Blur(f32),
    Sharpen(f32),
    Negate,
    /// Without transparency.
    Flatten([u8; 3]),
    Brighten(f32),
}

/// What a step asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Step {
    Operation(Operation),
    Format(Format, Option<u8>),
}

/// Largest number in a step.
const MOST_PIXELS: u64 = 30_000;

/// Reads the steps of a list. Fails with `InvalidQuery`.
pub(super) fn steps(list: &Value, most: usize) -> Result<Vec<Step>> {
    let list = list.as_array().ok_or_else(|| wrong("must be a list of operations"))?;
    if list.len() > most {
        return Err(wrong(&format!("must have at most {most} operations")));
    }
    list.iter().map(step).collect()
}

fn step(entry: &Value) -> Result<Step> {
    match entry {
        Value::Array(parts) => match parts.split_first() {
            Some((Value::String(method), arguments)) => named(method, arguments),
            _ => Err(wrong("must name a method in each operation")),
        },
        // As presets hold them.
        Value::Object(parts) => {
            let method =
                parts.get("method").and_then(Value::as_str).ok_or_else(|| wrong("must name a method"))?;
            let arguments = match parts.get("arguments") {
                Some(Value::Array(list)) => arguments_of(list),
                _ => Vec::new(),
            };
            named(method, &arguments)
        }
        _ => Err(wrong("must be a list of lists")),
    }
}

/// `[{ key, value }]` as one object; a list of plain values as it is.
fn arguments_of(list: &[Value]) -> Vec<Value> {
    let pair = |entry: &Value| Some((entry.get("key")?.as_str()?.to_owned(), entry.get("value")?.clone()));
    match list.iter().map(pair).collect::<Option<Map<String, Value>>>() {
        Some(object) if !object.is_empty() => vec![Value::Object(object)],
        _ => list.to_vec(),
    }
}

fn named(method: &str, arguments: &[Value]) -> Result<Step> {
    let first = arguments.first();
    let options = first.and_then(Value::as_object);
    let operation = match method {
        "resize" => Operation::Resize(resize(arguments)?),
        "extract" => {
            let options = options.ok_or_else(|| wrong("must name a region to extract"))?;
            Operation::Extract {
                left: pixels(options.get("left"), 0)?,
                top: pixels(options.get("top"), 0)?,
                width: pixels(options.get("width"), 1)?,
                height: pixels(options.get("height"), 1)?,
            }
        }
        "rotate" => {
            let angle = first.map_or(Some(0), whole).ok_or_else(|| wrong("must rotate by a number"))?;
            if angle % 90 != 0 {
                return Err(wrong("must rotate by quarters: 90, 180 or 270"));
            }
            Operation::Rotate(((angle / 90).rem_euclid(4)) as u8)
        }
        "flip" => Operation::Flip,
        "flop" => Operation::Flop,
        "grayscale" | "greyscale" => Operation::Grayscale,
        "blur" => {
            Operation::Blur(decimal(first.or(options.and_then(|of| of.get("sigma"))), 0.3, 100.0, 1.0)?)
        }
        "sharpen" => {
            let sigma = options.and_then(|of| of.get("sigma")).or(first.filter(|value| value.is_number()));
            Operation::Sharpen(decimal(sigma, 0.01, 10.0, 1.0)?)
        }
        "negate" => Operation::Negate,
        "flatten" => Operation::Flatten(colour(options.and_then(|of| of.get("background")))?),
        "modulate" => {
            Operation::Brighten(decimal(options.and_then(|of| of.get("brightness")), 0.0, 10.0, 1.0)?)
        }
        "toFormat" => {
            let name = first.and_then(Value::as_str).unwrap_or_default();
            let format = Format::find(name).ok_or_else(|| wrong("must name a known format"))?;
            let quality = arguments.get(1).and_then(|options| options.get("quality"));
            return Ok(Step::Format(format, quality.map(quality_of).transpose()?));
        }
        _ => {
            return Err(wrong(&format!("has no method \"{}\"", method.chars().take(50).collect::<String>())));
        }
    };
    Ok(Step::Operation(operation))
}

/// `{ width, height, fit }`, or width and height one after the other.
fn resize(arguments: &[Value]) -> Result<Resize> {
    let options = arguments.iter().find_map(Value::as_object);
    let optional = |name: &str, position: usize| {
        let value =
            options.and_then(|of| of.get(name)).or(arguments.get(position).filter(|value| value.is_number()));
        value.filter(|value| !value.is_null()).map(|value| pixels(Some(value), 1)).transpose()
    };
    let fit = match options.and_then(|of| of.get("fit")) {
        None | Some(Value::Null) => Fit::Cover,
        Some(name) => name.as_str().and_then(Fit::find).ok_or_else(|| wrong("must name a known fit"))?,
    };
    let resize = Resize {
        width: optional("width", 0)?,
        height: optional("height", 1)?,
        fit,
        without_enlargement: options.and_then(|of| of.get("withoutEnlargement")) == Some(&Value::Bool(true)),
        focal: None,
    };
    if resize.width.is_none() && resize.height.is_none() {
        return Err(wrong("must resize to a width or a height"));
    }
    Ok(resize)
}

fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.to_string().parse().ok(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A number of pixels.
pub(super) fn pixels(value: Option<&Value>, least: u64) -> Result<u32> {
    value
        .and_then(whole)
        .and_then(|number| u64::try_from(number).ok())
        .filter(|number| (least..=MOST_PIXELS).contains(number))
        .map(|number| number as u32)
        .ok_or_else(|| wrong(&format!("must have whole numbers of pixels from {least} to {MOST_PIXELS}")))
}

pub(super) fn quality_of(value: &Value) -> Result<u8> {
    let quality = whole(value).filter(|quality| (1..=100).contains(quality));
    quality
        .map(|quality| quality as u8)
        .ok_or_else(|| Error::query("\"quality\" must be a whole number from 1 to 100"))
}

fn decimal(value: Option<&Value>, least: f32, most: f32, default: f32) -> Result<f32> {
    let Some(value) = value.filter(|value| !value.is_null() && !value.is_boolean()) else {
        return Ok(default);
    };
    let number: Option<f32> = match value {
        Value::Number(number) => number.to_string().parse().ok(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number
        .filter(|number| number.is_finite() && (least..=most).contains(number))
        .ok_or_else(|| wrong(&format!("must have numbers from {least} to {most} here")))
}

/// `#rrggbb`, or `{ r, g, b }`; black without any.
fn colour(value: Option<&Value>) -> Result<[u8; 3]> {
    let unreadable = || wrong("must name colours as \"#rrggbb\"");
    match value {
        None | Some(Value::Null) => Ok([0, 0, 0]),
        Some(Value::String(text)) => {
            let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii());
            let number =
                digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or_else(unreadable)?;
            let [_, red, green, blue] = number.to_be_bytes();
            Ok([red, green, blue])
        }
        Some(Value::Object(parts)) => {
            let part = |name: &str| parts.get(name).and_then(whole).and_then(|part| u8::try_from(part).ok());
            match (part("r"), part("g"), part("b")) {
                (Some(red), Some(green), Some(blue)) => Ok([red, green, blue]),
                _ => Err(unreadable()),
            }
        }
        Some(_) => Err(unreadable()),
    }
}

fn wrong(problem: &str) -> Error {
    Error::query(format_args!("\"transforms\" {problem}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists() {
        let check = |list: Value, expected: &[Operation]| {
            let expected: Vec<Step> = expected.iter().map(|operation| Step::Operation(*operation)).collect();
            assert_eq!(steps(&list, 5).expect("readable"), expected, "{list}");
        };
        let size = Resize {
            width: Some(16),
            height: Some(8),
            fit: Fit::Fill,
            without_enlargement: false,
            focal: None,
        };
        check(json!([["rotate", 90]]), &[Operation::Rotate(1)]);
        check(json!([["rotate", -90], ["flip"]]), &[Operation::Rotate(3), Operation::Flip]);
        check(json!([["resize", { "width": 16, "height": 8, "fit": "fill" }]]), &[Operation::Resize(size)]);
        check(json!([["resize", 16, 8, { "fit": "fill" }]]), &[Operation::Resize(size)]);
        check(json!([["blur", 2], ["grayscale"]]), &[Operation::Blur(2.0), Operation::Grayscale]);
        check(json!([["flatten", { "background": "#ff0080" }]]), &[Operation::Flatten([255, 0, 128])]);
        let arguments = json!([{ "key": "width", "value": 16 }, { "key": "height", "value": "8" }, { "key": "fit", "value": "fill" }]);
        check(json!([{ "method": "resize", "arguments": arguments }]), &[Operation::Resize(size)]);
        let webp = steps(&json!([["toFormat", "webp", { "quality": 50 }]]), 5).expect("readable");
        assert_eq!(webp, [Step::Format(Format::Webp, Some(50))]);
    }

    #[test]
    fn refused() {
        for list in [
            json!({}),
            json!([["explode"]]),
            json!([[]]),
            json!(["rotate"]),
            json!([["rotate", 45]]),
            json!([["rotate", "left"]]),
            json!([["resize", {}]]),
            json!([["resize", { "width": -1 }]]),
            json!([["resize", { "width": 1e9 }]]),
            json!([["resize", { "width": 10, "fit": "around" }]]),
            json!([["extract", { "left": 0 }]]),
            json!([["blur", 1e9]]),
            json!([["toFormat", "bmp"]]),
            json!([["flip"], ["flip"], ["flip"], ["flip"], ["flip"], ["flip"]]),
        ] {
            assert!(matches!(steps(&list, 5), Err(Error::InvalidQuery { .. })), "{list}");
        }
    }
}
