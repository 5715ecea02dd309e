//! The mask of one object inside its box, at low resolution, and how it is taken from a detector's probabilities. Pure.

use super::bbox::BBox;

/// Probability that a pixel is the object's up to which it counts as none of it, and from which as all of it. Detectors are hardly ever quite
/// sure; halfway, where other programs cut, is halfway here too, and what is near it does not jump.
const NEVER: f32 = 0.25;
const SURELY: f32 = 0.75;

/// Most samples along a side of a cell: of boxes over 200 pixels of the detector's mask some are left out.
const MOST_SAMPLES: usize = 8;

/// Where in its box an object is: how much of each cell of a grid over the box is the object's, `0.0..=1.0`.
///
/// It is in coordinates of the box, so that it moves and grows with it.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceMask(Box<[f32]>);

impl InstanceMask {
    /// Cells along each side of the grid, whatever the box: as many as Mask R-CNN has.
    pub const SIDE: usize = 28;

    /// The mask of which `share`, told column and row of a cell, from the upper left one on, says how much of it is the object's. What is no number
    /// counts as none, and what is beyond `0.0..=1.0` is cut.
    pub fn new(mut share: impl FnMut(usize, usize) -> f32) -> Self {
        let cells = 0..Self::SIDE * Self::SIDE;
        let value = |cell: usize| sound(share(cell % Self::SIDE, cell / Self::SIDE));
        Self(cells.map(value).collect())
    }

    /// The whole box.
    pub fn full() -> Self {
        Self::new(|_, _| 1.0)
    }

    /// The shares of all cells, row by row from the upper left one on: [`InstanceMask::SIDE`] squared.
    pub fn values(&self) -> &[f32] {
        &self.0
    }

    /// Goes `share` of the way, `0.0..=1.0`, to `target`. Returns the largest difference that is left.
    pub(crate) fn approach(&mut self, target: &Self, share: f32) -> f32 {
        let mut left = 0.0f32;
        for (value, target) in self.0.iter_mut().zip(&target.0) {
            *value += share * (target - *value);
            left = left.max((target - *value).abs());
        }
        left
    }
}

/// A share as it may be.
fn sound(share: f32) -> f32 {
    // No number is above anything.
    if share > 0.0 { share.min(1.0) } else { 0.0 }
}

/// How much of a place is the object's where it is so with this probability.
fn certain(probability: f32) -> f32 {
    sound((probability - NEVER) / (SURELY - NEVER))
}

/// Probabilities that pixels are an object's: a picture of one plane, row by row, with at least one pixel.
pub(crate) struct Probabilities<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// A sample along an axis: the pixels on either side, and how much of the second there is.
type MaskTap = (usize, usize, f32);

/// `steps` samples in each cell of `low..high`, in pixels of which there are `length`. Beyond the first and the last they are these.
fn taps(low: f32, high: f32, steps: usize, length: usize) -> Vec<MaskTap> {
    let count = InstanceMask::SIDE * steps;
    let last = length - 1;
    let tap = |index: usize| {
        let place = low + (index as f32 + 0.5) / count as f32 * (high - low) - 0.5;
        let place = place.clamp(0.0, last as f32);
        let first = (place as usize).min(last);
        (first, (first + 1).min(last), place - first as f32)
    };
    (0..count).map(tap).collect()
}

impl Probabilities<'_> {
    /// The mask of the object whose box is `area`, in pixels of the picture, edges included as fractions. Between the centres of pixels
    /// probabilities are interpolated bilinearly; a cell has the mean over samples no further apart than pixels.
    pub(crate) fn mask(&self, area: BBox) -> InstanceMask {
        let side = InstanceMask::SIDE;
        let steps = |extent: f32| ((extent / side as f32).ceil() as usize).clamp(1, MOST_SAMPLES);
        let (wide, high) = (steps(area.width()), steps(area.height()));
        let columns = taps(area.x0, area.x1, wide, self.width);
        let rows = taps(area.y0, area.y1, high, self.height);
        let mut sums = vec![0.0f32; side * side];
        for (row, &(above, below, down)) in rows.iter().enumerate() {
            let line = |y: usize| &self.values[y * self.width..][..self.width];
            let (above, below) = (line(above), line(below));
            let cells = &mut sums[row / high * side..][..side];
            for (cell, taps) in cells.iter_mut().zip(columns.chunks_exact(wide)) {
                for &(left, right, along) in taps {
                    let upper = above[left] + along * (above[right] - above[left]);
                    let lower = below[left] + along * (below[right] - below[left]);
                    *cell += certain(upper + down * (lower - upper));
                }
            }
        }
        let samples = (wide * high) as f32;
        InstanceMask::new(|x, y| sums[y * side + x] / samples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_what_shares_can_be() {
        let odd = [f32::NAN, -1.0, 0.25, 7.0, f32::INFINITY];
        let mask = InstanceMask::new(|x, _| odd[x % odd.len()]);
        assert_eq!(mask.values()[..5], [0.0, 0.0, 0.25, 1.0, 1.0]);
        let mut moving = InstanceMask::new(|_, _| 0.0);
        assert_eq!(moving.approach(&InstanceMask::full(), 0.75), 0.25);
        assert_eq!(moving.approach(&InstanceMask::full(), 1.0), 0.0);
        assert_eq!(moving, InstanceMask::full());
    }

    #[test]
    fn a_mask_of_its_own_size_is_taken_as_it_is() {
        let side = InstanceMask::SIDE;
        let value = |x: usize, y: usize| (x * 31 + y * 17) as f32 % 97.0 / 96.0;
        let values: Vec<f32> = (0..side * side)
            .map(|i| value(i % side, i / side))
            .collect();
        let picture = Probabilities {
            values: &values,
            width: side,
            height: side,
        };
        let whole = BBox {
            x0: 0.0,
            y0: 0.0,
            x1: side as f32,
            y1: side as f32,
        };
        for (found, given) in picture.mask(whole).values().iter().zip(&values) {
            assert!((found - ((given - 0.25) * 2.0).clamp(0.0, 1.0)).abs() < 1e-4);
        }
    }
}
