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
    row: Vec<f32>,
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
            match doubled(from, size) {
                _ if same => {}
                Some(sides) => enlarge(
                    &self.plane,
                    from,
                    sides,
                    &mut self.row,
                    &mut self.colours[index],
                ),
                None => self.scale(from, size, index)?,
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

/// Which sides of `to`, width and height, are twice those of `from`, where the others are equal: colour differences in a frame that is not shrunk.
fn doubled(from: Size, to: Size) -> Option<(bool, bool)> {
    let side = |a: usize, b: usize| (a == b || 2 * a == b).then_some(a != b);
    Some((side(from.width, to.width)?, side(from.height, to.height)?))
}

/// Twice the sides that are `wide` and `high`, by the triangle kernel: three quarters of the sample that lies nearest, a quarter of the next, which
/// is what [`Scaler`] gives in ten times the time. `mixed` is memory.
fn enlarge(
    plane: &[f32],
    from: Size,
    (wide, high): (bool, bool),
    mixed: &mut Vec<f32>,
    to: &mut [f32],
) {
    let (near, next) = (0.75, 0.25);
    let width = if wide { 2 * from.width } else { from.width };
    let row = |y: usize| &plane[y * from.width..(y + 1) * from.width];
    mixed.resize(from.width, 0.0);
    for (y, to) in to.chunks_exact_mut(width).enumerate() {
        let source = if high {
            let (at, below) = (y / 2, y % 2 == 1);
            let other = if below {
                (at + 1).min(from.height - 1)
            } else {
                at.saturating_sub(1)
            };
            for ((mixed, a), b) in mixed.iter_mut().zip(row(at)).zip(row(other)) {
                *mixed = near * a + next * b;
            }
            mixed.as_slice()
        } else {
            row(y)
        };
        if !wide {
            to.copy_from_slice(source);
            continue;
        }
        let (pairs, _) = to.as_chunks_mut::<2>();
        // The ends have themselves for a neighbour.
        let last = source.len() - 1;
        let pair =
            |left: f32, at: f32, right: f32| [near * at + next * left, near * at + next * right];
        pairs[0] = pair(source[0], source[0], source[last.min(1)]);
        for (two, around) in pairs[1..].iter_mut().zip(source.windows(3)) {
            *two = pair(around[0], around[1], around[2]);
        }
        pairs[last] = pair(source[last.saturating_sub(1)], source[last], source[last]);
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

    #[test]
    fn twice_the_sides_is_what_the_scaler_gives() {
        for (from, to) in [
            (Size::new(1, 1), Size::new(2, 2)),
            (Size::new(5, 3), Size::new(10, 6)),
            (Size::new(7, 4), Size::new(14, 4)),
            (Size::new(4, 7), Size::new(4, 14)),
            (Size::new(6, 6), Size::new(6, 6)),
        ] {
            let plane: Vec<f32> = (0..from.area()).map(|i| (i * 37 % 101) as f32).collect();
            let mut found = vec![0.0; to.area()];
            enlarge(
                &plane,
                from,
                doubled(from, to).unwrap(),
                &mut Vec::new(),
                &mut found,
            );
            let mut shrinker = Shrinker {
                plane,
                ..Shrinker::default()
            };
            shrinker.colours[0] = vec![0.0; to.area()];
            shrinker.scale(from, to, 0).unwrap();
            for (a, b) in found.iter().zip(&shrinker.colours[0]) {
                assert!((a - b).abs() < 1e-4, "{from} {to}: {a} {b}");
            }
        }
        assert_eq!(doubled(Size::new(4, 4), Size::new(7, 8)), None);
        assert_eq!(doubled(Size::new(4, 4), Size::new(3, 2)), None);
    }
}
