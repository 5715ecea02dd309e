//! Whole frames shrunk to what a detector takes, as red, green and blue, through the crate `resize`.

use resize::formats::Gray as GrayFormat;
use resize::{Pixel, Resizer, Type};
use rgb::Gray;

use super::colour;
use super::format::ColourFamily;
use super::{Frame, Size};
use crate::error::{Error, Result};
use crate::memory;

/// For messages.
const WHAT: &str = "frame for a detector";

type Scaler = Resizer<GrayFormat<f32, f32>>;

/// Shrinks frames by the triangle kernel, widened so that nothing aliases. Keeps what it needs from frame to frame.
#[derive(Default)]
pub struct Shrinker {
    /// Of components: of one size from and to.
    scalers: Vec<(Size, Size, Scaler)>,
    plane: Vec<f32>,
    colours: [Vec<f32>; 3],
}

impl Shrinker {
    /// `frame` at `size`: planes of red, green and blue, numbers from black 0 to white 1, packed rows. Where colour differences that pixels
    /// share lie between these is left out of account.
    ///
    /// # Errors
    /// [`Error::Shape`] if the scaler refuses the sizes, [`Error::Memory`].
    pub fn rgb(&mut self, frame: &Frame<'_>, size: Size) -> Result<[&[f32]; 3]> {
        let format = frame.format();
        let layout = format.layout();
        for plane in &mut self.colours {
            memory::resize(plane, size.area(), 0.0, WHAT)?;
        }
        for (index, component) in layout.colours().iter().enumerate() {
            let from = Size::new(
                component.width(frame.size().width),
                component.height(frame.size().height),
            );
            let same = from == size;
            let plane = if same {
                &mut self.colours[index]
            } else {
                &mut self.plane
            };
            memory::resize(plane, from.area(), 0.0, WHAT)?;
            for (y, row) in plane.chunks_exact_mut(from.width).enumerate() {
                frame.read(index, y, 0, row);
            }
            if !same {
                self.scale(from, size, index)?;
            }
            colour::to_numbers(format, index, &mut self.colours[index]);
        }
        let [red, green, blue] = &mut self.colours;
        match layout.family {
            ColourFamily::Rgb => {}
            ColourFamily::Yuv => colour::to_rgb(format.matrix, [red, green, blue]),
            ColourFamily::Gray => {
                green.copy_from_slice(red);
                blue.copy_from_slice(red);
            }
        }
        Ok(self.colours.each_ref().map(Vec::as_slice))
    }

    /// Scales the plane that was read into plane `index` of the result.
    fn scale(&mut self, from: Size, to: Size, index: usize) -> Result<()> {
        let fail = |e: resize::Error| scaling_failed(e, WHAT, from, to);
        let held = |(a, b, _): &(Size, Size, Scaler)| (*a, *b) == (from, to);
        let place = match self.scalers.iter().position(held) {
            Some(place) => place,
            None => {
                let made = Resizer::new(
                    from.width,
                    from.height,
                    to.width,
                    to.height,
                    Pixel::GrayF32,
                    Type::Triangle,
                );
                // Luma and colour differences of one stream; another stream's are not needed any more.
                if self.scalers.len() == 2 {
                    self.scalers.clear();
                }
                self.scalers.push((from, to, made.map_err(fail)?));
                self.scalers.len() - 1
            }
        };
        let source: &[Gray<f32>] = bytemuck::cast_slice(&self.plane);
        let target: &mut [Gray<f32>] = bytemuck::cast_slice_mut(&mut self.colours[index]);
        self.scalers[place].2.resize(source, target).map_err(fail)
    }
}

/// The error where `what` could not be scaled from `from` to `to`.
pub(crate) fn scaling_failed(error: resize::Error, what: &str, from: Size, to: Size) -> Error {
    match error {
        resize::Error::OutOfMemory => Error::Memory {
            what: what.to_owned(),
            bytes: to.width * from.height * size_of::<f32>(),
        },
        error => Error::Shape {
            what: what.to_owned(),
            expected: to.to_string(),
            found: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_stays_constant_with_any_stride() {
        let size = Size::new(50, 30);
        let row = [[10u8, 20, 30].repeat(50), vec![255; 4]].concat();
        let data = row.repeat(30);
        let frame = Frame::new(&data, size, 154).unwrap();
        let mut shrinker = Shrinker::default();
        for to in [Size::new(13, 8), size] {
            let planes = shrinker.rgb(&frame, to).unwrap();
            for (plane, code) in planes.into_iter().zip([10.0, 20.0, 30.0]) {
                assert_eq!(plane.len(), to.area());
                assert!(plane.iter().all(|v| (v * 255.0 - code).abs() < 1e-3));
            }
        }
    }
}
