//! From pixels to bytes.

use std::io::Cursor;

use image::codecs::avif::AvifEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::tiff::TiffEncoder;
use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageResult};

use super::{Format, illegal};
use crate::error::{Error, Result};

/// Quality where none is asked for.
const JPEG_QUALITY: u8 = 80;
const WEBP_QUALITY: u8 = 80;
const AVIF_QUALITY: u8 = 60;
/// The fastest: at lower speeds two million pixels take a minute.
const AVIF_SPEED: u8 = 10;
/// Larger ones the format does not know.
const MOST_WEBP_SIDE: u32 = 16_383;

/// An image, eight bits per channel, in a format.
pub(super) fn encode(
    image: DynamicImage,
    format: Format,
    quality: Option<u8>,
    colours: Option<Vec<u8>>,
) -> Result<Vec<u8>> {
    let (width, height) = (image.width(), image.height());
    let has_alpha = image.color().has_alpha();
    let layout = if has_alpha { ExtendedColorType::Rgba8 } else { ExtendedColorType::Rgb8 };
    let pixels = image.into_bytes();
    let mut bytes = Vec::new();
    match format {
        Format::Jpeg => {
            let mut encoder = JpegEncoder::new_with_quality(&mut bytes, quality.unwrap_or(JPEG_QUALITY));
            keep_colours(&mut encoder, colours);
            written(encoder.write_image(&pixels, width, height, layout))?;
        }
        Format::Png => {
            let mut encoder = PngEncoder::new(&mut bytes);
            keep_colours(&mut encoder, colours);
            written(encoder.write_image(&pixels, width, height, layout))?;
        }
        Format::Tiff => {
            let encoder = TiffEncoder::new(Cursor::new(&mut bytes));
            written(encoder.write_image(&pixels, width, height, layout))?;
        }
        Format::Avif => {
            let quality = quality.unwrap_or(AVIF_QUALITY);
            let encoder = AvifEncoder::new_with_speed_quality(&mut bytes, AVIF_SPEED, quality);
            let encoder = encoder.with_num_threads(Some(1));
            written(encoder.write_image(&pixels, width, height, layout))?;
        }
        Format::Webp => {
            if width.max(height) > MOST_WEBP_SIDE {
                return Err(illegal(format!("WebP images have at most {MOST_WEBP_SIDE} pixels per side.")));
            }
            let encoder = if has_alpha {
                webp::Encoder::from_rgba(&pixels, width, height)
            } else {
                webp::Encoder::from_rgb(&pixels, width, height)
            };
            let quality = f32::from(quality.unwrap_or(WEBP_QUALITY));
            let encoded = encoder.encode_simple(false, quality);
            let encoded = encoded
                .map_err(|error| Error::internal(anyhow::anyhow!("WebP cannot be encoded: {error:?}")))?;
            bytes = encoded.to_vec();
        }
    }
    Ok(bytes)
}

/// What the numbers mean as colours.
fn keep_colours(encoder: &mut impl ImageEncoder, colours: Option<Vec<u8>>) {
    if let Some(colours) = colours {
        // A format without a place for it shows the usual colours.
        encoder.set_icc_profile(colours).ok();
    }
}

fn written(result: ImageResult<()>) -> Result<()> {
    result.map_err(|error| Error::internal(anyhow::Error::from(error).context("an image cannot be encoded")))
}
