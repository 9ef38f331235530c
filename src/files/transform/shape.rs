//! Sizes: which part of an image is taken, and how large it becomes.

use super::operation::{Fit, Resize};

/// How an image is brought to a size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shape {
    /// Left, top, width and height of what is taken of it.
    pub taken: (f64, f64, f64, f64),
    /// What that becomes.
    pub size: (u32, u32),
    /// The whole, with bars beside it, where it is larger.
    pub canvas: (u32, u32),
}

/// The shape of an image of this size.
pub(super) fn shape((width, height): (u32, u32), resize: &Resize) -> Shape {
    let (own_w, own_h) = (f64::from(width), f64::from(height));
    let whole = (0.0, 0.0, own_w, own_h);
    let scaled = |scale: f64| (round(own_w * scale), round(own_h * scale));
    let bounded = |scale: f64| if resize.without_enlargement { scale.min(1.0) } else { scale };
    let (to_w, to_h) = match (resize.width, resize.height) {
        (Some(to_w), Some(to_h)) => (to_w, to_h),
        (to_w, to_h) => {
            let by_width = to_w.map(|to_w| f64::from(to_w) / own_w);
            let by_height = to_h.map(|to_h| f64::from(to_h) / own_h);
            let size = scaled(bounded(by_width.or(by_height).unwrap_or(1.0)));
            return Shape { taken: whole, size, canvas: size };
        }
    };
    let (by_width, by_height) = (f64::from(to_w) / own_w, f64::from(to_h) / own_h);
    let same = |size| Shape { taken: whole, size, canvas: size };
    match resize.fit {
        Fit::Inside => same(scaled(bounded(by_width.min(by_height)))),
        Fit::Outside => same(scaled(bounded(by_width.max(by_height)))),
        Fit::Fill if resize.without_enlargement => same((to_w.min(width), to_h.min(height))),
        Fit::Fill => same((to_w, to_h)),
        Fit::Contain => {
            let size = scaled(bounded(by_width.min(by_height)));
            Shape { taken: whole, size: (size.0.min(to_w), size.1.min(to_h)), canvas: (to_w, to_h) }
        }
        Fit::Cover => {
            let scale = bounded(by_width.max(by_height));
            let taken_w = (f64::from(to_w) / scale).min(own_w);
            let taken_h = (f64::from(to_h) / scale).min(own_h);
            let (x, y) = match resize.focal {
                Some((x, y)) => (f64::from(x), f64::from(y)),
                None => (own_w / 2.0, own_h / 2.0),
            };
            let left = (x - taken_w / 2.0).clamp(0.0, own_w - taken_w);
            let top = (y - taken_h / 2.0).clamp(0.0, own_h - taken_h);
            let size = (round(taken_w * scale).min(to_w), round(taken_h * scale).min(to_h));
            Shape { taken: (left, top, taken_w, taken_h), size, canvas: size }
        }
    }
}

fn round(length: f64) -> u32 {
    (length.round() as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resize(width: Option<u32>, height: Option<u32>, fit: Fit) -> Resize {
        Resize { width, height, fit, without_enlargement: false, focal: None }
    }

    #[test]
    fn sizes() {
        let check =
            |own, asked: Resize, expected| assert_eq!(shape(own, &asked).canvas, expected, "{asked:?}");
        check((64, 48), resize(None, Some(24), Fit::Cover), (32, 24));
        check((64, 48), resize(Some(128), None, Fit::Cover), (128, 96));
        check((64, 48), resize(Some(20), Some(20), Fit::Cover), (20, 20));
        check((64, 48), resize(Some(20), Some(20), Fit::Inside), (20, 15));
        check((64, 48), resize(Some(20), Some(20), Fit::Outside), (27, 20));
        check((64, 48), resize(Some(20), Some(20), Fit::Contain), (20, 20));
        check((64, 48), resize(Some(16), Some(8), Fit::Fill), (16, 8));
        check((64, 48), resize(Some(300), None, Fit::Contain), (300, 225));
        check((1000, 1), resize(Some(10), None, Fit::Cover), (10, 1));
        let modest = |width, height, fit| Resize { without_enlargement: true, ..resize(width, height, fit) };
        check((64, 48), modest(Some(128), None, Fit::Cover), (64, 48));
        check((64, 48), modest(Some(128), Some(20), Fit::Cover), (64, 20));
        check((64, 48), modest(Some(128), Some(128), Fit::Inside), (64, 48));
        assert_eq!(shape((64, 48), &resize(Some(20), Some(20), Fit::Contain)).size, (20, 15));
    }

    #[test]
    fn what_is_cut_out() {
        let cut = |focal| shape((64, 48), &Resize { focal, ..resize(Some(10), Some(10), Fit::Cover) }).taken;
        assert_eq!(cut(None), (8.0, 0.0, 48.0, 48.0));
        assert_eq!(cut(Some((1, 1))), (0.0, 0.0, 48.0, 48.0));
        assert_eq!(cut(Some((63, 10))), (16.0, 0.0, 48.0, 48.0));
        assert_eq!(cut(Some((30_000, 30_000))), (16.0, 0.0, 48.0, 48.0));
    }
}
