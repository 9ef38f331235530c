//! The work itself: decode, operate, encode. It runs where waiting is allowed, and measures before it decodes.

use std::io::Cursor;

use bytes::Bytes;
use fast_image_resize::images::Image;
use fast_image_resize::{PixelType, ResizeOptions, Resizer};
use image::{
    DynamicImage, GenericImage, ImageDecoder, ImageFormat, ImageReader, Limits, Rgba, RgbaImage, imageops,
};

use super::encode::encode;
use super::operation::{Operation, Resize};
use super::recipe::Recipe;
use super::shape::shape;
use super::{Format, illegal};
use crate::error::{Error, Result};

/// Most bytes of a decoded image, before it is brought to eight bits.
const MOST_DECODED_BYTES: u64 = 288 << 20;

/// What is worked on at most.
#[derive(Debug, Clone, Copy)]
pub(in crate::files) struct Bounds {
    /// Largest side of an original.
    pub most_dimension: u32,
    /// Most pixels of an original.
    pub most_pixels_in: u64,
    /// Most pixels of what is made.
    pub most_pixels_out: u64,
}

/// Makes an image of an image.
///
/// Fails with `IllegalTransformation` for what is too large or no image.
pub(in crate::files) fn work(original: &Bytes, recipe: &Recipe, bounds: Bounds) -> Result<Vec<u8>> {
    let (mut image, colours) = decode(original, bounds)?;
    for operation in &recipe.operations {
        image = apply(image, *operation, bounds)?;
    }
    check_size(image.width(), image.height(), bounds)?;
    if recipe.format == Format::Jpeg {
        image = flatten(image, [255; 3]);
    }
    encode(image, recipe.format, recipe.quality, colours)
}

fn decode(original: &Bytes, bounds: Bounds) -> Result<(DynamicImage, Option<Vec<u8>>)> {
    let unreadable = |_| illegal("The content cannot be read as an image.");
    let reader = ImageReader::new(Cursor::new(original));
    let mut reader = reader.with_guessed_format().map_err(|_| illegal("The content cannot be read."))?;
    let is_known = matches!(
        reader.format(),
        Some(ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP | ImageFormat::Tiff)
    );
    if !is_known {
        return Err(illegal("The content is no image that can be transformed."));
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(bounds.most_dimension);
    limits.max_image_height = Some(bounds.most_dimension);
    limits.max_alloc = Some(MOST_DECODED_BYTES * 2);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(unreadable)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    let is_bounded = width.max(height) <= bounds.most_dimension
        && pixels <= bounds.most_pixels_in
        && decoder.total_bytes() <= MOST_DECODED_BYTES;
    if !is_bounded {
        return Err(illegal("The image is too large to be transformed."));
    }
    let orientation = decoder.orientation().map_err(unreadable)?;
    let colours = decoder.icc_profile().ok().flatten().filter(|profile| profile.len() < 1 << 20);
    // A profile of other channels than red, green and blue says nothing of what these become.
    let colours = colours.filter(|profile| profile.get(16..20) == Some(b"RGB "));
    let image = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    let mut image =
        if image.color().has_alpha() { image.into_rgba8().into() } else { image.into_rgb8().into() };
    DynamicImage::apply_orientation(&mut image, orientation);
    Ok((image, colours))
}

fn check_size(width: u32, height: u32, bounds: Bounds) -> Result<()> {
    if u64::from(width) * u64::from(height) > bounds.most_pixels_out {
        let most = bounds.most_pixels_out / 1_000_000;
        return Err(illegal(format!("What is asked for has more than {most} million pixels.")));
    }
    Ok(())
}

fn apply(image: DynamicImage, operation: Operation, bounds: Bounds) -> Result<DynamicImage> {
    Ok(match operation {
        Operation::Resize(asked) => resize(image, &asked, bounds)?,
        Operation::Extract { left, top, width, height } => {
            let is_inside = left.checked_add(width).is_some_and(|right| right <= image.width())
                && top.checked_add(height).is_some_and(|bottom| bottom <= image.height());
            if !is_inside {
                return Err(Error::query("\"transforms\" must extract a region inside of the image"));
            }
            image.crop_imm(left, top, width, height)
        }
        Operation::Rotate(1) => image.rotate90(),
        Operation::Rotate(2) => image.rotate180(),
        Operation::Rotate(3) => image.rotate270(),
        Operation::Rotate(_) => image,
        Operation::Flip => image.flipv(),
        Operation::Flop => image.fliph(),
        Operation::Grayscale => same_layout(&image, image.grayscale()),
        Operation::Blur(sigma) => {
            check_size(image.width(), image.height(), bounds)?;
            same_layout(&image, image.fast_blur(sigma))
        }
        Operation::Sharpen(sigma) => {
            check_size(image.width(), image.height(), bounds)?;
            same_layout(&image, image.unsharpen(sigma, 1))
        }
        Operation::Negate => {
            let mut image = image;
            image.invert();
            image
        }
        Operation::Flatten(colour) => flatten(image, colour),
        Operation::Brighten(factor) => brighten(image, factor),
    })
}

/// Some operations give back other channels than they were given.
fn same_layout(like: &DynamicImage, image: DynamicImage) -> DynamicImage {
    if like.color().has_alpha() { image.into_rgba8().into() } else { image.into_rgb8().into() }
}

fn flatten(image: DynamicImage, [red, green, blue]: [u8; 3]) -> DynamicImage {
    if !image.color().has_alpha() {
        return image;
    }
    let mut canvas = RgbaImage::from_pixel(image.width(), image.height(), Rgba([red, green, blue, 255]));
    imageops::overlay(&mut canvas, &image.into_rgba8(), 0, 0);
    DynamicImage::from(canvas).into_rgb8().into()
}

fn brighten(image: DynamicImage, factor: f32) -> DynamicImage {
    let lighter = |value: &mut u8| *value = (f32::from(*value) * factor).round().clamp(0.0, 255.0) as u8;
    match image {
        DynamicImage::ImageRgba8(mut pixels) => {
            pixels.pixels_mut().for_each(|pixel| pixel.0[..3].iter_mut().for_each(lighter));
            pixels.into()
        }
        other => {
            let mut pixels = other.into_rgb8();
            pixels.iter_mut().for_each(lighter);
            pixels.into()
        }
    }
}

fn resize(image: DynamicImage, asked: &Resize, bounds: Bounds) -> Result<DynamicImage> {
    let shape = shape((image.width(), image.height()), asked);
    check_size(shape.canvas.0, shape.canvas.1, bounds)?;
    let (left, top, width, height) = shape.taken;
    let has_alpha = image.color().has_alpha();
    let pixel = if has_alpha { PixelType::U8x4 } else { PixelType::U8x3 };
    let (own_w, own_h) = (image.width(), image.height());
    let failed = |problem: String| Error::internal(anyhow::anyhow!("an image cannot be resized: {problem}"));
    let from = Image::from_vec_u8(own_w, own_h, image.into_bytes(), pixel)
        .map_err(|error| failed(error.to_string()))?;
    let mut to = Image::new(shape.size.0, shape.size.1, pixel);
    let options = ResizeOptions::new().crop(left, top, width, height);
    Resizer::new().resize(&from, &mut to, &options).map_err(|error| failed(error.to_string()))?;
    let wrong_length = || failed("its bytes do not fit its size".to_owned());
    let (to_w, to_h) = shape.size;
    let resized: DynamicImage = if has_alpha {
        RgbaImage::from_raw(to_w, to_h, to.into_vec()).ok_or_else(wrong_length)?.into()
    } else {
        image::RgbImage::from_raw(to_w, to_h, to.into_vec()).ok_or_else(wrong_length)?.into()
    };
    if shape.canvas == shape.size {
        return Ok(resized);
    }
    let mut canvas = if has_alpha {
        DynamicImage::new_rgba8(shape.canvas.0, shape.canvas.1)
    } else {
        DynamicImage::new_rgb8(shape.canvas.0, shape.canvas.1)
    };
    let (left, top) = ((shape.canvas.0 - to_w) / 2, (shape.canvas.1 - to_h) / 2);
    canvas.copy_from(&resized, left, top).map_err(|error| failed(error.to_string()))?;
    Ok(canvas)
}

#[cfg(test)]
mod tests {
    use super::super::operation::{Step, steps};
    use super::*;

    const BOUNDS: Bounds =
        Bounds { most_dimension: 6000, most_pixels_in: 36_000_000, most_pixels_out: 9_000_000 };

    fn picture(width: u32, height: u32, format: ImageFormat) -> Bytes {
        let mut bytes = Cursor::new(Vec::new());
        let picture = image::RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 128]));
        DynamicImage::from(picture).write_to(&mut bytes, format).expect("a picture");
        bytes.into_inner().into()
    }

    fn recipe(list: serde_json::Value, format: Format) -> Recipe {
        let steps = steps(&list, 20).expect("readable");
        let operations = steps.into_iter().filter_map(|step| match step {
            Step::Operation(operation) => Some(operation),
            Step::Format(..) => None,
        });
        Recipe { operations: operations.collect(), format, quality: None, is_negotiated: false }
    }

    #[test]
    fn every_operation_and_format() {
        let original = picture(64, 48, ImageFormat::Png);
        let list = serde_json::json!([
            ["resize", { "width": 40, "height": 40, "fit": "contain" }], ["extract", { "left": 2, "top": 2, "width": 30, "height": 20 }],
            ["rotate", 90], ["flip"], ["flop"], ["grayscale"], ["blur", 1], ["sharpen"], ["negate"],
            ["flatten", { "background": "#ffffff" }], ["modulate", { "brightness": 1.2 }]
        ]);
        for (format, known) in [
            (Format::Jpeg, ImageFormat::Jpeg),
            (Format::Png, ImageFormat::Png),
            (Format::Webp, ImageFormat::WebP),
            (Format::Tiff, ImageFormat::Tiff),
        ] {
            let made = work(&original, &recipe(list.clone(), format), BOUNDS).expect("made");
            let made = image::load_from_memory_with_format(&made, known).expect("readable");
            assert_eq!((made.width(), made.height()), (20, 30), "{format:?}");
        }
        let small = recipe(serde_json::json!([["resize", 16, 12]]), Format::Avif);
        let made = work(&original, &small, BOUNDS).expect("made");
        assert_eq!(made.get(4..12), Some(b"ftypavif".as_slice()));
    }

    #[test]
    fn what_is_too_large() {
        let check = |original: &Bytes, list: serde_json::Value, bounds: Bounds| {
            let made = work(original, &recipe(list, Format::Png), bounds);
            assert!(matches!(made, Err(Error::IllegalTransformation { .. })), "{made:?}");
        };
        let original = picture(64, 48, ImageFormat::Png);
        let tight = Bounds { most_dimension: 50, ..BOUNDS };
        check(&original, serde_json::json!([]), tight);
        check(&original, serde_json::json!([]), Bounds { most_pixels_in: 100, ..BOUNDS });
        check(&original, serde_json::json!([]), Bounds { most_pixels_out: 100, ..BOUNDS });
        check(&original, serde_json::json!([["resize", { "width": 10_000, "height": 10_000 }]]), BOUNDS);
        check(&Bytes::from_static(b"no image"), serde_json::json!([]), BOUNDS);
        check(&original.slice(..100), serde_json::json!([]), BOUNDS);
    }
}
