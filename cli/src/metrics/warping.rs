//! The warping error of a video: what is left of the difference of neighbouring frames when motion is taken out, flicker above all.
//!
//! E*warp as Lai et al. (ECCV 2018) have it, times 1000 as the field reports it: the mean of `(A(p) - B(p + d))^2`, samples from 0
//! to 1, over the pixels that are not hidden, mean over the pairs of neighbouring frames without a cut between them. On luma; motion and hidden
//! pixels are those of the *input*, so that two ways to upscale one input are measured with the same motion: a quarter of the
//! input's pixel is one pixel of the output.

use srfusion::{Error, Result, SCALE, Size};

use super::luma::Luma;
use super::motion::{Motion, STEPS, sample};

/// What the scale of E*warp is multiplied by.
const SCALE_OF_ERROR: f64 = 1000.0;

/// Where the pixels of one frame of an input are in the next.
#[derive(Debug)]
pub struct Correspondence {
    motion: Motion,
    hidden: Vec<bool>,
    size: Size,
}

impl Correspondence {
    /// Of `a` in `b`.
    ///
    /// # Errors
    /// [`Error::Shape`] if they are of different sizes.
    pub fn between(a: &Luma, b: &Luma) -> Result<Self> {
        expect("input", a.size(), b.size())?;
        let motion = Motion::between(a, b);
        let hidden = motion.occluded(&Motion::between(b, a));
        Ok(Self {
            motion,
            hidden,
            size: a.size(),
        })
    }

    /// Fraction of the pixels that are hidden or not to be trusted.
    pub fn hidden(&self) -> f64 {
        self.hidden.iter().filter(|hidden| **hidden).count() as f64 / self.hidden.len() as f64
    }

    /// E*warp of the input's own frames, `b` interpolated; `None` where everything is hidden.
    ///
    /// # Errors
    /// [`Error::Shape`] for frames of another size than the input's.
    pub fn input_error(&self, a: &Luma, b: &Luma) -> Result<Option<f64>> {
        expect("input", self.size, a.size())?;
        expect("input", self.size, b.size())?;
        let (mut sum, mut count) = (0_u64, 0_u64);
        for y in 0..self.size.height {
            for x in 0..self.size.width {
                if self.hidden[y * self.size.width + x] {
                    continue;
                }
                let (dx, dy) = self.motion.at(x, y);
                let place = |at: usize, shift: isize| (at as isize * STEPS + shift) as usize;
                let found = sample(b, place(x, dx), place(y, dy));
                sum += u64::from(a.row(y)[x].abs_diff(found)).pow(2);
                count += 1;
            }
        }
        Ok(error(sum, count))
    }

    /// E*warp of upscaled frames; `None` where everything is hidden.
    ///
    /// # Errors
    /// [`Error::Shape`] for frames that do not have four times the input's sides.
    pub fn output_error(&self, a: &Luma, b: &Luma) -> Result<Option<f64>> {
        // One step of a displacement is one pixel of the output.
        const { assert!(STEPS as usize == SCALE) };
        expect("output", self.size.scaled(SCALE), a.size())?;
        expect("output", self.size.scaled(SCALE), b.size())?;
        let (mut sum, mut count) = (0_u64, 0_u64);
        for y in 0..self.size.height {
            let hidden = &self.hidden[y * self.size.width..][..self.size.width];
            for row in y * SCALE..(y + 1) * SCALE {
                for (x, _) in hidden.iter().enumerate().filter(|(_, hidden)| !**hidden) {
                    let (dx, dy) = self.motion.at(x, y);
                    let from = (x * SCALE) as isize + dx;
                    let second = b.row((row as isize + dy) as usize);
                    let second = &second[from as usize..][..SCALE];
                    let first = &a.row(row)[x * SCALE..][..SCALE];
                    let pairs = first.iter().zip(second);
                    let squares = pairs.map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2));
                    sum += u64::from(squares.sum::<u32>());
                    count += SCALE as u64;
                }
            }
        }
        Ok(error(sum, count))
    }
}

fn error(sum: u64, count: u64) -> Option<f64> {
    (count > 0).then(|| SCALE_OF_ERROR * sum as f64 / (255.0 * 255.0 * count as f64))
}

fn expect(what: &str, expected: Size, found: Size) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::Shape {
        what: format!("{what} frame to warp"),
        expected: expected.to_string(),
        found: found.to_string(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn plane(size: Size, value: impl Fn(usize, usize) -> u8) -> Luma {
        let values = (0..size.area()).map(|i| value(i % size.width, i / size.width));
        Luma::new(values.collect(), size).unwrap()
    }

    #[test]
    fn motion_is_taken_out_and_flicker_is_not() {
        let size = Size::new(64, 48);
        let scene = |x: usize, y: usize| ((x * x / 5 + y * 7 + x * y / 3) % 200) as u8;
        let (a, b) = (plane(size, scene), plane(size, |x, y| scene(x + 4, y)));
        let way = Correspondence::between(&a, &b).unwrap();
        assert!(way.hidden() < 0.3, "{}", way.hidden());
        let large = |x0: usize, add: u8| {
            plane(size.scaled(4), move |x, y| scene((x + x0) / 4, y / 4) + add)
        };
        let still = way.output_error(&large(0, 0), &large(16, 0)).unwrap();
        let flickers = way.output_error(&large(0, 0), &large(16, 5)).unwrap();
        assert_eq!(still, Some(0.0));
        let five = 1000.0 * (5.0_f64 / 255.0).powi(2);
        assert!((flickers.unwrap() - five).abs() < 1e-9, "{flickers:?}");
        assert_eq!(way.input_error(&a, &b).unwrap(), Some(0.0));
        assert!(way.output_error(&a, &b).is_err());
        assert!(Correspondence::between(&a, &large(0, 0)).is_err());
    }

    #[test]
    fn where_nothing_can_be_followed_there_is_no_number() {
        assert_eq!(error(0, 0), None);
    }
}
