//! Scaling of whole RGB frames by plain interpolation, through the crate `resize`: bicubic for comparison, bilinear for detectors.

use resize::{Resizer, Type};
use rgb::Rgb;

use crate::error::{Error, Result};
use crate::picture::{Frame, Sample, Size};

/// Interpolation kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// Triangle, widened when shrinking (antialiased).
    Bilinear,
    /// Keys' cubic convolution with a = -0.5, IEEE TASSP 29(6) 1981; widened when shrinking.
    Bicubic,
}

/// What a resizer was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Job {
    from: Size,
    to: Size,
    kernel: Kernel,
}

/// A resampler and the memory that it needs; reuse it from frame to frame.
pub struct Resampler<S: Sample> {
    resizer: Option<(Job, Resizer<S::Format>)>,
    /// The frame without padding between rows, where it has some.
    packed: Vec<S>,
    scaled: Vec<S>,
}

impl<S: Sample> Default for Resampler<S> {
    fn default() -> Self {
        Self {
            resizer: None,
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
        let fail = |e: resize::Error| Error::Shape {
            what: "resampled frame".into(),
            expected: size.to_string(),
            found: e.to_string(),
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
        let job = Job {
            from: frame.size(),
            to: size,
            kernel,
        };
        let resizer = match &mut self.resizer {
            Some((last, resizer)) if *last == job => resizer,
            slot => {
                let kind = match kernel {
                    Kernel::Bilinear => Type::Triangle,
                    Kernel::Bicubic => Type::Catrom,
                };
                let (from, to) = (job.from, job.to);
                let made = Resizer::new(
                    from.width,
                    from.height,
                    to.width,
                    to.height,
                    S::format(),
                    kind,
                )
                .map_err(fail)?;
                &mut slot.insert((job, made)).1
            }
        };
        self.scaled.resize(size.area() * 3, S::zeroed());
        let source: &[Rgb<S>] = bytemuck::cast_slice(source);
        resizer
            .resize(source, bytemuck::cast_slice_mut(&mut self.scaled))
            .map_err(fail)?;
        Frame::new(&self.scaled, size, size.width * 3)
    }
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
