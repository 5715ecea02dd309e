//! Scaling of whole RGB frames by plain interpolation, through `fast_image_resize`: bicubic for comparison, bilinear for detectors.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use crate::error::{Error, Result};
use crate::frame::{Frame, Sample, Size};

/// Interpolation kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// Triangle, widened when shrinking (antialiased).
    Bilinear,
    /// Keys' cubic convolution with a = -0.5, IEEE TASSP 29(6) 1981; widened when shrinking.
    Bicubic,
}

/// A resampler and the memory that it needs; reuse it from frame to frame.
pub struct Resampler<S> {
    resizer: Resizer,
    /// The frame without padding between rows, where it has some.
    packed: Vec<S>,
    scaled: Vec<S>,
}

impl<S: Sample> Default for Resampler<S> {
    fn default() -> Self {
        Self {
            resizer: Resizer::new(),
            packed: Vec::new(),
            scaled: Vec::new(),
        }
    }
}

impl<S: Sample> Resampler<S> {
    /// `frame` scaled to `size`; the result is packed RGB and lives until the next call.
    ///
    /// # Errors
    /// [`Error::Shape`] if the resampler refuses the sizes.
    pub fn resize(
        &mut self,
        frame: &Frame<'_, S>,
        size: Size,
        kernel: Kernel,
    ) -> Result<Frame<'_, S>> {
        let fail = |found: String| Error::Shape {
            what: "resampled frame".into(),
            expected: size.to_string(),
            found,
        };
        let source = match frame.packed() {
            Some(samples) => samples,
            None => {
                self.packed.clear();
                for y in 0..frame.size().height {
                    self.packed.extend_from_slice(frame.row(y));
                }
                &self.packed
            }
        };
        self.scaled.resize(size.area() * 3, S::zeroed());
        S::resize(
            &mut self.resizer,
            kernel,
            (source, frame.size()),
            (&mut self.scaled, size),
        )
        .map_err(fail)?;
        Frame::new(&self.scaled, size, size.width * 3)
    }
}

/// Scales pixels of one type. Called from the two implementations of [`Sample::resize`] alone: the resampler's kernels are
/// generic, and would otherwise be compiled again in every crate that calls the engine.
pub(crate) fn resize_pixels<P: PixelTrait>(
    resizer: &mut Resizer,
    kernel: Kernel,
    from: (&[u8], Size),
    to: (&mut [u8], Size),
) -> Result<(), String> {
    let side = |n: usize| u32::try_from(n).map_err(|_| format!("a side of {n}"));
    let source = TypedImageRef::<P>::from_buffer(side(from.1.width)?, side(from.1.height)?, from.0);
    let target = TypedImage::<P>::from_buffer(side(to.1.width)?, side(to.1.height)?, to.0);
    let (source, mut target) = (
        source.map_err(|e| e.to_string())?,
        target.map_err(|e| e.to_string())?,
    );
    let filter = match kernel {
        Kernel::Bilinear => FilterType::Bilinear,
        Kernel::Bicubic => FilterType::CatmullRom,
    };
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(filter))
        .use_alpha(false);
    resizer
        .resize_typed(&source, &mut target, &options)
        .map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_stays_constant_with_any_stride() {
        let size = Size::new(5, 3);
        let data: Vec<u8> = (0..3)
            .flat_map(|_| [[10u8, 20, 30].repeat(5), vec![255; 4]].concat())
            .collect();
        let frame = Frame::new(&data, size, 19).unwrap();
        let mut resampler = Resampler::default();
        let big = resampler
            .resize(&frame, size.scaled(4), Kernel::Bicubic)
            .unwrap();
        for y in 0..12 {
            assert_eq!(big.row(y), [10u8, 20, 30].repeat(20));
        }
    }
}
