//! Pictures in memory, and parts of them.

use srfusion::{Error, Frame, Result, Size};

/// A packed 8-bit RGB picture of its own: `u8[height, width, 3]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Width and height in pixels.
    pub size: Size,
    /// `R G B R G B ...` without padding.
    pub samples: Vec<u8>,
}

impl Picture {
    /// The picture as a frame.
    ///
    /// # Errors
    /// [`Error::Shape`] if `samples` does not have `size`.
    pub fn frame(&self) -> Result<Frame<'_>> {
        Frame::new(&self.samples, self.size, self.size.width * 3)
    }
}

/// A size that does not fit.
pub(super) fn shape(what: &str, expected: String, found: Size) -> Error {
    Error::Shape {
        what: what.to_owned(),
        expected,
        found: found.to_string(),
    }
}

/// The left upper part of `frame` whose sides are multiples of `factor`.
///
/// # Errors
/// [`Error::Shape`] if a side is shorter than `factor`.
pub fn crop_to_multiple(frame: &Frame<'_>, factor: usize) -> Result<Picture> {
    let Size { width, height } = frame.size();
    let size = Size::new(width / factor * factor, height / factor * factor);
    if size.area() == 0 {
        let expected = format!("at least {factor}x{factor} pixels");
        return Err(shape("picture", expected, frame.size()));
    }
    crop(frame, size)
}

/// The left upper part of `frame`, of `size`.
///
/// # Errors
/// [`Error::Shape`] if `frame` is smaller.
pub fn crop(frame: &Frame<'_>, size: Size) -> Result<Picture> {
    if size.width > frame.size().width || size.height > frame.size().height {
        return Err(shape("picture", format!("at least {size}"), frame.size()));
    }
    let samples = (0..size.height)
        .flat_map(|y| &frame.row(y)[..size.width * 3])
        .copied()
        .collect();
    Ok(Picture { size, samples })
}
