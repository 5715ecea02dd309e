//! Borrowed packed RGB frames of 8 or 16 bits a sample, with checked constructors. Touches no pixel.

use resize::{PixelFormat, formats};
use rgb::Rgb;

use super::geometry::Size;
use super::vector;
use crate::error::{Error, Result};

/// A sample of a frame: `u8` or `u16`, black 0, white [`Sample::MAX`].
pub trait Sample: bytemuck::Pod + Ord + Send + Sync + 'static {
    /// Value of white.
    const MAX: f32;
    /// The sample as a number in `0.0..=MAX`.
    fn to_f32(self) -> f32;
    /// The nearest sample to `value`, which is clamped to `0.0..=MAX` first; halves round up.
    fn from_f32(value: f32) -> Self;
    /// Rounds three rows of colour values, red, green and blue, into a row of pixels: `value * gain + shift`, clamped to
    /// `0.0..=MAX`, to the nearest sample. Returns whether every value was a finite number.
    fn pack(colours: [&[f32]; 3], gain: f32, shift: f32, pixels: &mut [Self]) -> bool;
    /// What the resampler calls packed RGB of this sample.
    type Format: PixelFormat<InputPixel = Rgb<Self>, OutputPixel = Rgb<Self>>;
    /// A value of [`Sample::Format`].
    fn format() -> Self::Format;
}

impl Sample for u8 {
    type Format = formats::Rgb<u8, u8>;
    const MAX: f32 = 255.0;
    #[inline]
    fn to_f32(self) -> f32 {
        f32::from(self)
    }
    #[inline]
    fn from_f32(value: f32) -> Self {
        // A float to integer cast saturates, which is the clamp.
        (value + 0.5) as u8
    }
    fn pack(colours: [&[f32]; 3], gain: f32, shift: f32, pixels: &mut [Self]) -> bool {
        vector::pack_bytes(colours, gain, shift, pixels)
    }
    fn format() -> Self::Format {
        resize::Pixel::RGB8
    }
}

impl Sample for u16 {
    type Format = formats::Rgb<u16, u16>;
    const MAX: f32 = 65535.0;
    #[inline]
    fn to_f32(self) -> f32 {
        f32::from(self)
    }
    #[inline]
    fn from_f32(value: f32) -> Self {
        (value + 0.5) as u16
    }
    fn pack(colours: [&[f32]; 3], gain: f32, shift: f32, pixels: &mut [Self]) -> bool {
        let [red, green, blue] = colours;
        let mut bad = 0;
        for (((pixel, r), g), b) in pixels.chunks_exact_mut(3).zip(red).zip(green).zip(blue) {
            bad |= not_finite(*r) | not_finite(*g) | not_finite(*b);
            pixel[0] = Self::from_f32(r * gain + shift);
            pixel[1] = Self::from_f32(g * gain + shift);
            pixel[2] = Self::from_f32(b * gain + shift);
        }
        bad == 0
    }
    fn format() -> Self::Format {
        resize::Pixel::RGB16
    }
}

/// 1 for a value that is infinite or no number, else 0. Without a branch, so that loops over it are vectorised.
#[inline]
fn not_finite(value: f32) -> u32 {
    const EXPONENT: u32 = 0x7f80_0000;
    u32::from(value.to_bits() & EXPONENT == EXPONENT)
}

/// A read-only packed RGB frame: `R G B R G B ...`, rows `stride` samples apart.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a, S = u8> {
    data: &'a [S],
    size: Size,
    stride: usize,
}

/// A packed RGB frame to write into; same layout as [`Frame`].
#[derive(Debug)]
pub struct FrameMut<'a, S = u8> {
    data: &'a mut [S],
    size: Size,
    stride: usize,
}

/// Checks that `len` samples hold a frame of `size` with rows `stride` samples apart.
fn check(what: &str, len: usize, size: Size, stride: usize) -> Result<()> {
    let shape = |expected: String, found: String| Error::Shape {
        what: what.to_owned(),
        expected,
        found,
    };
    if size.width == 0 || size.height == 0 {
        return Err(shape("at least one pixel".into(), size.to_string()));
    }
    let row = size.width.saturating_mul(3);
    if stride < row {
        return Err(shape(
            format!("rows of at least {row} samples"),
            format!("a stride of {stride}"),
        ));
    }
    // The last row may end with its last pixel.
    let needed = stride.saturating_mul(size.height - 1).saturating_add(row);
    if len < needed {
        return Err(shape(
            format!("{needed} samples for {size}"),
            format!("{len}"),
        ));
    }
    Ok(())
}

impl<'a, S: Sample> Frame<'a, S> {
    /// Wraps `data` as a frame; `stride` counts samples, not bytes.
    ///
    /// # Errors
    /// [`Error::Shape`] if a side is zero, the stride is shorter than a row, or `data` is too short.
    pub fn new(data: &'a [S], size: Size, stride: usize) -> Result<Self> {
        check("input frame", data.len(), size, stride)?;
        Ok(Self { data, size, stride })
    }

    /// Width and height.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Row `y` from its first to its last pixel, `3 * width` samples. Panics if `y` is not below the height.
    #[inline]
    pub fn row(&self, y: usize) -> &'a [S] {
        &self.data[y * self.stride..][..self.size.width * 3]
    }

    /// All samples without padding between rows, if the frame has none.
    pub fn packed(&self) -> Option<&'a [S]> {
        (self.stride == self.size.width * 3).then(|| &self.data[..self.size.area() * 3])
    }
}

impl<'a, S: Sample> FrameMut<'a, S> {
    /// Wraps `data` as a frame; `stride` counts samples, not bytes.
    ///
    /// # Errors
    /// [`Error::Shape`] if a side is zero, the stride is shorter than a row, or `data` is too short.
    pub fn new(data: &'a mut [S], size: Size, stride: usize) -> Result<Self> {
        check("output frame", data.len(), size, stride)?;
        Ok(Self { data, size, stride })
    }

    /// Width and height.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Row `y` from its first to its last pixel, `3 * width` samples. Panics if `y` is not below the height.
    #[inline]
    pub fn row_mut(&mut self, y: usize) -> &mut [S] {
        &mut self.data[y * self.stride..][..self.size.width * 3]
    }

    /// The same frame for reading.
    pub fn as_frame(&self) -> Frame<'_, S> {
        Frame {
            data: self.data,
            size: self.size,
            stride: self.stride,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of `width` values around and beyond the range of black -1 to white 1.
    fn row(width: usize, channel: usize) -> Vec<f32> {
        (0..width)
            .map(|x| ((x * 37 + channel * 11) % 251) as f32 / 100.0 - 1.25)
            .collect()
    }

    #[track_caller]
    fn nearest<S: Sample + Into<f64>>(width: usize) {
        let (gain, shift) = (S::MAX / 2.0, S::MAX / 2.0);
        let rows = [0, 1, 2].map(|channel| row(width, channel));
        let mut pixels = vec![S::from_f32(7.0); 3 * width];
        assert!(S::pack(
            rows.each_ref().map(|r| r.as_slice()),
            gain,
            shift,
            &mut pixels
        ));
        for (i, sample) in pixels.iter().enumerate() {
            let value = f64::from(rows[i % 3][i / 3]) * f64::from(gain) + f64::from(shift);
            let value = value.clamp(0.0, f64::from(S::MAX));
            let found: f64 = (*sample).into();
            // Half a level, and what single precision leaves of it.
            assert!((found - value).abs() < 0.51, "{width}: {found} for {value}");
        }
    }

    #[test]
    fn samples_are_the_nearest_whatever_the_width() {
        for width in [1, 2, 3, 4, 5, 63, 64, 65, 66, 67, 200] {
            nearest::<u8>(width);
            nearest::<u16>(width);
        }
    }

    #[test]
    fn what_is_no_number_is_noticed() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, 3, 64, 70] {
                let mut rows = [0, 1, 2].map(|channel| row(71, channel));
                rows[at % 3][at] = bad;
                let rows = rows.each_ref().map(|r| r.as_slice());
                assert!(!u8::pack(rows, 255.0, 0.0, &mut [0; 3 * 71]));
                assert!(!u16::pack(rows, 65535.0, 0.0, &mut [0; 3 * 71]));
            }
        }
    }
}
