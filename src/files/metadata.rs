//! What an image says of itself: its size as people see it, what the camera wrote, title and keywords.

use std::io::Cursor;

use exif::{Exif, Field, In, Reader, Tag, Value as ExifValue};
use image::metadata::Orientation;
use image::{ImageDecoder, ImageReader, Limits};
use serde_json::{Map, Number, Value, json};

/// Longest text that is kept.
const MOST_TEXT_BYTES: usize = 2000;
/// Most numbers of one entry.
const MOST_NUMBERS: usize = 16;
/// Most keywords.
const MOST_KEYWORDS: usize = 100;

/// What is known of content.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Facts {
    /// Width and height in pixels, as it is shown.
    pub size: Option<(u32, u32)>,
    /// What is kept of its own metadata; `None` for what is no image.
    pub metadata: Option<Map<String, Value>>,
    /// Its title.
    pub title: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// Its keywords.
    pub tags: Vec<String>,
}

/// Looks at an image of which these are the first bytes, or all. `kept` names the entries to keep, `None` all.
pub(super) fn look(head: &[u8], media_type: &str, kept: Option<&[String]>) -> Facts {
    let mut facts = Facts { metadata: Some(Map::new()), ..Facts::default() };
    if media_type == "image/avif" {
        facts.size = avif_size(head);
        return facts;
    }
    let Some(found) = container(head) else { return facts };
    facts.size = Some(found.size);
    let mut metadata = Map::new();
    let raw = if media_type == "image/tiff" { Some(head.to_vec()) } else { found.exif };
    if let Some(exif) =
        raw.and_then(|raw| Reader::new().continue_on_error(true).read_raw(raw).or_else(partial).ok())
    {
        for field in exif.fields() {
            keep(&mut metadata, kept, group(field), &name(field.tag), || value(field, &exif));
        }
    }
    for (number, text) in iptc(&found.iptc.unwrap_or_default()) {
        match number {
            5 | 105 if facts.title.is_none() => facts.title = Some(text.clone()),
            120 if facts.description.is_none() => facts.description = Some(text.clone()),
            25 if facts.tags.len() < MOST_KEYWORDS => facts.tags.push(text.clone()),
            _ => {}
        }
        if let Some(name) = iptc_name(number) {
            keep(&mut metadata, kept, "iptc", name, || Some(json!(text)));
        }
    }
    facts.metadata = Some(metadata);
    facts
}

/// What could be read before something could not.
fn partial(error: exif::Error) -> Result<Exif, exif::Error> {
    error.distill_partial_result(|_| ())
}

struct Container {
    size: (u32, u32),
    exif: Option<Vec<u8>>,
    iptc: Option<Vec<u8>>,
}

fn container(head: &[u8]) -> Option<Container> {
    let mut reader = ImageReader::new(Cursor::new(head)).with_guessed_format().ok()?;
    reader.limits(Limits::default());
    let mut decoder = reader.into_decoder().ok()?;
    let (width, height) = decoder.dimensions();
    let exif = decoder.exif_metadata().ok().flatten();
    let iptc = decoder.iptc_metadata().ok().flatten();
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let size = if orientation.to_exif() >= 5 { (height, width) } else { (width, height) };
    Some(Container { size, exif, iptc })
}

/// Groups as the public API names them.
fn group(field: &Field) -> &'static str {
    match (field.tag.context(), field.ifd_num) {
        (exif::Context::Exif, _) => "exif",
        (exif::Context::Gps, _) => "gps",
        (exif::Context::Interop, _) => "interop",
        (_, In::PRIMARY) => "ifd0",
        _ => "ifd1",
    }
}

fn name(tag: Tag) -> String {
    // The name that the standard had before.
    if tag == Tag::PhotographicSensitivity { "ISOSpeedRatings".to_owned() } else { tag.to_string() }
}

fn keep(
    metadata: &mut Map<String, Value>,
    kept: Option<&[String]>,
    group: &str,
    name: &str,
    value: impl FnOnce() -> Option<Value>,
) {
    let is_kept =
        kept.is_none_or(|kept| kept.iter().any(|entry| entry.split_once('.') == Some((group, name))));
    if !is_kept || name.contains(' ') {
        return;
    }
    let Some(value) = value() else { return };
    let entry = metadata.entry(group).or_insert_with(|| json!({}));
    if let Value::Object(entry) = entry {
        entry.insert(name.to_owned(), value);
    }
}

fn value(field: &Field, exif: &Exif) -> Option<Value> {
    // Times, positions and the like are more than numbers.
    let rational = |num: f64| Number::from_f64(num).map(Value::Number);
    let list = match &field.value {
        ExifValue::Ascii(texts) => {
            let text: Vec<String> =
                texts.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
            return Some(json!(cut(&text.join(" "))));
        }
        ExifValue::Short(list) => list.iter().take(MOST_NUMBERS).map(|number| json!(number)).collect(),
        ExifValue::Long(list) => list.iter().take(MOST_NUMBERS).map(|number| json!(number)).collect(),
        ExifValue::Byte(list) => list.iter().take(MOST_NUMBERS).map(|number| json!(number)).collect(),
        ExifValue::SLong(list) => list.iter().take(MOST_NUMBERS).map(|number| json!(number)).collect(),
        ExifValue::SShort(list) => list.iter().take(MOST_NUMBERS).map(|number| json!(number)).collect(),
        ExifValue::Rational(list) => {
            list.iter().take(MOST_NUMBERS).filter_map(|of| rational(of.to_f64())).collect()
        }
        ExifValue::SRational(list) => {
            list.iter().take(MOST_NUMBERS).filter_map(|of| rational(of.to_f64())).collect()
        }
        _ => return Some(json!(cut(&field.display_value().with_unit(exif).to_string()))),
    };
    let mut list: Vec<Value> = list;
    match list.len() {
        0 => None,
        1 => list.pop(),
        _ => Some(Value::Array(list)),
    }
}

fn cut(text: &str) -> String {
    let clean: String = text.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
    let end =
        clean.char_indices().map(|(at, _)| at).take_while(|at| *at <= MOST_TEXT_BYTES).last().unwrap_or(0);
    if clean.len() <= MOST_TEXT_BYTES { clean.trim().to_owned() } else { clean[..end].trim().to_owned() }
}

/// The texts of an IPTC block, with their numbers: `1C 02 number length text`, one behind the other.
fn iptc(block: &[u8]) -> Vec<(u8, String)> {
    let mut found = Vec::new();
    let mut rest = block;
    while let Some(start) = rest.windows(2).position(|pair| pair == [0x1c, 0x02]) {
        rest = &rest[start..];
        let [_, _, number, high, low, tail @ ..] = rest else { break };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        // A length with its first bit set is that of a length; nobody writes texts that long.
        match tail.get(..length).filter(|_| *high < 0x80) {
            Some(text) => {
                let text = cut(&String::from_utf8_lossy(text));
                if !text.is_empty() {
                    found.push((*number, text));
                }
                rest = &tail[length..];
            }
            None => rest = &rest[2..],
        }
    }
    found
}

fn iptc_name(number: u8) -> Option<&'static str> {
    Some(match number {
        5 => "ObjectName",
        25 => "Keywords",
        55 => "DateCreated",
        80 => "Byline",
        90 => "City",
        101 => "Country",
        105 => "Headline",
        110 => "Credit",
        115 => "Source",
        116 => "CopyrightNotice",
        120 => "Caption",
        _ => return None,
    })
}

/// The largest of the sizes that the head of an AVIF names: that of the picture, not those of its tiles and previews.
fn avif_size(head: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| head.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    let boxes = head.windows(4).enumerate().filter(|(_, name)| name == b"ispe");
    let sizes = boxes.filter_map(|(at, _)| Some((number(at + 8)?, number(at + 12)?)));
    sizes
        .filter(|(w, h)| *w > 0 && *h > 0 && *w < 1 << 20 && *h < 1 << 20)
        .max_by_key(|(w, h)| u64::from(*w) * u64::from(*h))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_and_titles() {
        let mut block = b"Photoshop 3.0\0 8BIM".to_vec();
        for (number, text) in [(5, "A title"), (25, "one"), (25, "two"), (120, "What it shows")] {
            block.extend([0x1c, 0x02, number, 0, text.len() as u8]);
            block.extend(text.as_bytes());
        }
        block.extend([0x1c, 0x02, 5, 0xff]);
        let expected = [(5, "A title"), (25, "one"), (25, "two"), (120, "What it shows")];
        let expected: Vec<(u8, String)> = expected.map(|(number, text)| (number, text.to_owned())).to_vec();
        assert_eq!(iptc(&block), expected);
        assert_eq!(iptc(&[0x1c, 0x02, 5, 0x7f, 0xff, 1]), []);
    }

    #[test]
    fn sizes_of_pictures() {
        let mut png = Cursor::new(Vec::new());
        image::DynamicImage::new_rgb8(30, 20).write_to(&mut png, image::ImageFormat::Png).expect("a picture");
        let facts = look(png.get_ref(), "image/png", None);
        assert_eq!((facts.size, facts.metadata), (Some((30, 20)), Some(Map::new())));
        for broken in [b"".as_slice(), &png.get_ref()[..10], b"\xff\xd8\xff\xe0\0\x10JFIF"] {
            assert_eq!(look(broken, "image/png", None).size, None);
        }
    }

    #[test]
    fn what_is_kept() {
        let mut metadata = Map::new();
        let kept = ["exif.FNumber".to_owned()];
        keep(&mut metadata, Some(&kept), "exif", "FNumber", || Some(json!(2.8)));
        keep(&mut metadata, Some(&kept), "gps", "GPSLatitude", || Some(json!(1)));
        assert_eq!(Value::Object(metadata), json!({ "exif": { "FNumber": 2.8 } }));
    }
}
