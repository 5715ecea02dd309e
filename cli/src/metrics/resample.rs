//! The bicubic scaling that the field's test pictures were made with. Pure functions in `f64`; the same definition, to the last
//! digit, is in `models/training` (`resize.py`).

use srfusion::{Error, Frame, Result, Size};

use super::luma::Luma;
use super::picture::Picture;

/// Keys' cubic convolution kernel with a = -0.5, IEEE TASSP 29(6) 1981, of a distance in samples; zero from 2 on.
fn keys(distance: f64) -> f64 {
    let x = distance.abs();
    if x <= 1.0 {
        (1.5 * x - 2.5) * x * x + 1.0
    } else if x <= 2.0 {
        ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    } else {
        0.0
    }
}

/// The samples, with their weights, that one sample of the result is made of.
type Taps = Vec<(usize, f64)>;

/// Weights that turn `length` samples into `ceil(length * scale)`: the kernel widened by `1 / scale` where `scale` is below 1,
/// weights normalised to sum 1, pixel centres aligned, borders mirrored with the edge sample repeated.
fn weights(length: usize, scale: f64) -> Vec<Taps> {
    // A product that should be whole may come out a little above.
    let size = (length as f64 * scale - 1e-9).ceil().max(1.0) as usize;
    let stretch = scale.min(1.0);
    let width = 4.0 / stretch;
    let period = 2 * length as isize;
    (0..size)
        .map(|i| {
            let centre = (i as f64 + 1.0) / scale + 0.5 * (1.0 - 1.0 / scale) - 1.0;
            let first = (centre - width / 2.0).floor() as isize;
            let last = first + width.ceil() as isize + 1;
            let taps: Vec<_> = (first..=last)
                .map(|at| (at, keys((centre - at as f64) * stretch)))
                .filter(|(_, weight)| *weight != 0.0)
                .collect();
            let sum: f64 = taps.iter().map(|(_, weight)| weight).sum();
            taps.into_iter()
                .map(|(at, weight)| {
                    let at = at.rem_euclid(period) as usize;
                    (at.min(2 * length - 1 - at), weight / sum)
                })
                .collect()
        })
        .collect()
}

/// `frame` with sides times `scale`, as MATLAB's `imresize` makes it with its default, antialiased bicubic kernel. Rounded once,
/// half up, at the end.
///
/// # Errors
/// [`Error::Setting`] unless `scale` is a number above 0.
pub fn resize(frame: &Frame<'_>, scale: f64) -> Result<Picture> {
    if !(scale > 0.0 && scale.is_finite()) {
        return Err(Error::Setting {
            name: "scale".into(),
            expected: "a number above 0".into(),
            found: scale.to_string(),
        });
    }
    let from = frame.size();
    let (columns, rows) = (weights(from.width, scale), weights(from.height, scale));
    let size = Size::new(columns.len(), rows.len());
    let mut samples = Vec::with_capacity(size.area() * 3);
    let mut sums = vec![0.0; from.width * 3];
    for taps in &rows {
        sums.fill(0.0);
        for (y, weight) in taps {
            for (sum, sample) in sums.iter_mut().zip(frame.row(*y)) {
                *sum += weight * f64::from(*sample);
            }
        }
        for taps in &columns {
            let mut pixel = [0.0; 3];
            for (x, weight) in taps {
                for (channel, value) in pixel.iter_mut().enumerate() {
                    *value += weight * sums[x * 3 + channel];
                }
            }
            // A float to integer cast saturates, which is the clamp.
            samples.extend(pixel.map(|value| (value + 0.5).floor() as u8));
        }
    }
    Ok(Picture { size, samples })
}

/// `plane` with sides times `scale`, as [`resize`] makes it, in 32-bit floats; for the many frames of a clip.
#[derive(Debug)]
pub struct Shrinker {
    from: Size,
    columns: Vec<Taps>,
    rows: Vec<Taps>,
}

impl Shrinker {
    /// For planes of `from`, made `factor` times smaller.
    pub fn new(from: Size, factor: usize) -> Self {
        let scale = 1.0 / factor as f64;
        Self {
            from,
            columns: weights(from.width, scale),
            rows: weights(from.height, scale),
        }
    }

    /// The smaller plane, rounded once.
    ///
    /// # Errors
    /// [`Error::Shape`] for a plane of another size.
    pub fn shrink(&self, plane: &Luma) -> Result<Luma> {
        if plane.size() != self.from {
            return Err(Error::Shape {
                what: "luma".into(),
                expected: self.from.to_string(),
                found: plane.size().to_string(),
            });
        }
        let size = Size::new(self.columns.len(), self.rows.len());
        let mut samples = Vec::with_capacity(size.area());
        let mut sums = vec![0.0_f32; self.from.width];
        for taps in &self.rows {
            sums.fill(0.0);
            for (y, weight) in taps {
                let weight = *weight as f32;
                for (sum, sample) in sums.iter_mut().zip(plane.row(*y)) {
                    *sum += weight * f32::from(*sample);
                }
            }
            samples.extend(self.columns.iter().map(|taps| {
                let value: f32 = taps
                    .iter()
                    .map(|(x, weight)| *weight as f32 * sums[*x])
                    .sum();
                // A float to integer cast saturates, which is the clamp.
                (value + 0.5).floor() as u8
            }));
        }
        Luma::new(samples, size)
    }
}
