//! How near a picture is to the true one, as the field reports it for super-resolution: PSNR and SSIM on luma; and the bicubic
//! scaling that its test pictures were made with. Pure functions in `f64`; nothing here is on the way of a frame.
//!
//! The same definitions, to the last digit that is reported, are in `models/training` (`evaluate_generator.py`, `resize.py`).

use crate::error::{Error, Result};
use crate::picture::{Frame, Size};

/// Pixels left out on every side for x4, where methods differ in how they treat what lies outside.
pub const BORDER: usize = 4;

/// Taps of the window of [`ssim`].
const WINDOW: usize = 11;
/// Standard deviation of the window of [`ssim`], in pixels.
const SIGMA: f64 = 1.5;
/// White of 8-bit samples: L in SSIM, the peak in PSNR.
const PEAK: f64 = 255.0;

/// One channel of a picture: `f64[height, width]`, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    size: Size,
    values: Vec<f64>,
}

/// What was measured between two pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Peak signal-to-noise ratio in dB; infinite where the pictures are equal.
    pub psnr: f64,
    /// Mean structural similarity, at most 1.
    pub ssim: f64,
}

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
    pub fn frame(&self) -> Result<Frame<'_, u8>> {
        Frame::new(&self.samples, self.size, self.size.width * 3)
    }
}

fn shape(what: &str, expected: String, found: Size) -> Error {
    Error::Shape {
        what: what.to_owned(),
        expected,
        found: found.to_string(),
    }
}

impl Plane {
    /// A plane of `size`, its values row by row.
    ///
    /// # Errors
    /// [`Error::Shape`] if `values` is not of `size`.
    pub fn new(values: Vec<f64>, size: Size) -> Result<Self> {
        if values.len() == size.area() {
            Ok(Self { size, values })
        } else {
            Err(Error::Shape {
                what: "plane".into(),
                expected: format!("{} values for {size}", size.area()),
                found: values.len().to_string(),
            })
        }
    }

    /// Luma of ITU-R BT.601 in studio range, 16 (black) to 235 (white), not rounded: what MATLAB's `rgb2ycbcr` calls Y.
    pub fn luma(frame: &Frame<'_, u8>) -> Self {
        let size = frame.size();
        let mut values = Vec::with_capacity(size.area());
        for y in 0..size.height {
            values.extend(frame.row(y).chunks_exact(3).map(|pixel| {
                let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(f64::from);
                16.0 + (65.481 * r + 128.553 * g + 24.966 * b) / 255.0
            }));
        }
        Self { size, values }
    }

    /// Width and height.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The plane without `border` pixels on each side.
    ///
    /// # Errors
    /// [`Error::Shape`] if nothing is left.
    pub fn inner(&self, border: usize) -> Result<Self> {
        let Size { width, height } = self.size;
        if width.min(height) <= 2 * border {
            let expected = format!("sides of more than {} pixels", 2 * border);
            return Err(shape("picture to measure", expected, self.size));
        }
        let size = Size::new(width - 2 * border, height - 2 * border);
        let values = self
            .values
            .chunks_exact(width)
            .skip(border)
            .take(size.height)
            .flat_map(|row| &row[border..width - border])
            .copied()
            .collect();
        Ok(Self { size, values })
    }

    /// Values where the window of [`ssim`] fits, each the window's weighted mean: `f64[height - 10, width - 10]`.
    fn blurred(&self, taps: &[f64; WINDOW]) -> Vec<f64> {
        let Size { width, height } = self.size;
        let (columns, rows) = (width - WINDOW + 1, height - WINDOW + 1);
        let mut column = vec![0.0; width];
        let mut result = Vec::with_capacity(columns * rows);
        for y in 0..rows {
            column.fill(0.0);
            for (tap, row) in taps.iter().zip(self.values.chunks_exact(width).skip(y)) {
                for (sum, value) in column.iter_mut().zip(row) {
                    *sum += tap * value;
                }
            }
            result.extend(column.windows(WINDOW).map(|values| {
                values
                    .iter()
                    .zip(taps)
                    .map(|(value, tap)| value * tap)
                    .sum::<f64>()
            }));
        }
        result
    }

    fn product(&self, other: &Self) -> Self {
        let values = self.values.iter().zip(&other.values);
        Self {
            size: self.size,
            values: values.map(|(a, b)| a * b).collect(),
        }
    }
}

/// Checks that two planes are of one size.
fn same(generated: &Plane, truth: &Plane) -> Result<()> {
    if generated.size == truth.size {
        Ok(())
    } else {
        Err(shape(
            "picture to measure",
            format!("{}, the true picture's size", truth.size),
            generated.size,
        ))
    }
}

/// Peak signal-to-noise ratio in dB, `10 log10(255^2 / mean((a - b)^2))`; infinite where the planes are equal.
///
/// # Errors
/// [`Error::Shape`] if the planes are of different sizes.
pub fn psnr(generated: &Plane, truth: &Plane) -> Result<f64> {
    same(generated, truth)?;
    let squares = generated.values.iter().zip(&truth.values);
    let sum: f64 = squares.map(|(a, b)| (a - b) * (a - b)).sum();
    let error = sum / truth.values.len() as f64;
    Ok(10.0 * (PEAK * PEAK / error).log10())
}

/// Mean structural similarity of Wang, Bovik, Sheikh and Simoncelli, IEEE TIP 13(4) 2004, equation (13):
///
/// ```text
/// ((2 m1 m2 + C1) (2 s12 + C2)) / ((m1^2 + m2^2 + C1) (s1^2 + s2^2 + C2))    C1 = (0.01 * 255)^2, C2 = (0.03 * 255)^2
/// ```
///
/// over a Gaussian window of 11x11 taps and standard deviation 1.5, only where it fits.
///
/// # Errors
/// [`Error::Shape`] if the planes are of different sizes or smaller than the window.
pub fn ssim(generated: &Plane, truth: &Plane) -> Result<f64> {
    same(generated, truth)?;
    if truth.size.width.min(truth.size.height) < WINDOW {
        let expected = format!("at least {WINDOW}x{WINDOW} pixels");
        return Err(shape("picture to measure", expected, truth.size));
    }
    let (c1, c2) = ((0.01 * PEAK).powi(2), (0.03 * PEAK).powi(2));
    let taps = gaussian();
    let blur = |plane: &Plane| plane.blurred(&taps);
    let (m1, m2) = (blur(generated), blur(truth));
    let squares = [
        blur(&generated.product(generated)),
        blur(&truth.product(truth)),
        blur(&generated.product(truth)),
    ];
    let [s1, s2, s12] = &squares;
    let mut sum = 0.0;
    for (i, (m1, m2)) in m1.iter().zip(&m2).enumerate() {
        let (v1, v2, v12) = (s1[i] - m1 * m1, s2[i] - m2 * m2, s12[i] - m1 * m2);
        sum +=
            ((2.0 * m1 * m2 + c1) * (2.0 * v12 + c2)) / ((m1 * m1 + m2 * m2 + c1) * (v1 + v2 + c2));
    }
    Ok(sum / m1.len() as f64)
}

/// Taps of a Gaussian window with sum 1.
fn gaussian() -> [f64; WINDOW] {
    let taps: [f64; WINDOW] = std::array::from_fn(|i| {
        let x = i as f64 - (WINDOW / 2) as f64;
        (-x * x / (2.0 * SIGMA * SIGMA)).exp()
    });
    let sum: f64 = taps.iter().sum();
    taps.map(|tap| tap / sum)
}

/// PSNR and SSIM of luma, without `border` pixels on each side.
///
/// # Errors
/// [`Error::Shape`] if the frames are of different sizes, or too small for the border and the window of [`ssim`].
pub fn score(generated: &Frame<'_, u8>, truth: &Frame<'_, u8>, border: usize) -> Result<Score> {
    let generated = Plane::luma(generated).inner(border)?;
    let truth = Plane::luma(truth).inner(border)?;
    Ok(Score {
        psnr: psnr(&generated, &truth)?,
        ssim: ssim(&generated, &truth)?,
    })
}

/// How far two ways to draw the same pictures are apart: over all samples of all frames added, not only luma.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Difference {
    squares: u64,
    samples: u64,
    largest: u8,
}

impl Difference {
    /// Adds the difference of two frames.
    ///
    /// # Errors
    /// [`Error::Shape`] if the frames are of different sizes.
    pub fn add(&mut self, first: &Frame<'_, u8>, second: &Frame<'_, u8>) -> Result<()> {
        if first.size() != second.size() {
            let expected = second.size().to_string();
            return Err(shape("picture to measure", expected, first.size()));
        }
        for y in 0..first.size().height {
            for (a, b) in first.row(y).iter().zip(second.row(y)) {
                let apart = a.abs_diff(*b);
                self.squares += u64::from(apart).pow(2);
                self.largest = self.largest.max(apart);
            }
        }
        self.samples += 3 * first.size().area() as u64;
        Ok(())
    }

    /// PSNR in dB, peak 255; infinite where no sample differs.
    pub fn psnr(&self) -> f64 {
        let error = self.squares as f64 / self.samples.max(1) as f64;
        10.0 * (PEAK * PEAK / error).log10()
    }

    /// Most levels that two samples are apart.
    pub fn largest(&self) -> u8 {
        self.largest
    }
}

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
pub fn resize(frame: &Frame<'_, u8>, scale: f64) -> Result<Picture> {
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

/// The left upper part of `frame` whose sides are multiples of `factor`.
///
/// # Errors
/// [`Error::Shape`] if a side is shorter than `factor`.
pub fn crop_to_multiple(frame: &Frame<'_, u8>, factor: usize) -> Result<Picture> {
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
pub fn crop(frame: &Frame<'_, u8>, size: Size) -> Result<Picture> {
    if size.width > frame.size().width || size.height > frame.size().height {
        return Err(shape("picture", format!("at least {size}"), frame.size()));
    }
    let samples = (0..size.height)
        .flat_map(|y| &frame.row(y)[..size.width * 3])
        .copied()
        .collect();
    Ok(Picture { size, samples })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise over waves, and numbers for it from the Python evaluation.
    fn picture(size: Size, seed: u32) -> Picture {
        let mut state = seed;
        let mut samples = Vec::new();
        for y in 0..size.height as u32 {
            for x in 0..size.width as u32 {
                for c in 0..3 {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let wave = (x * x / 7 + y * 5 + c * 60) % 200;
                    samples.push((wave + (state >> 24) % 50) as u8);
                }
            }
        }
        Picture { size, samples }
    }

    fn sum(picture: &Picture) -> u64 {
        let weighted = picture.samples.iter().enumerate();
        weighted
            .map(|(i, v)| (i as u64 % 251 + 1) * u64::from(*v))
            .sum()
    }

    #[test]
    fn equal_pictures_and_known_errors() {
        let picture = picture(Size::new(40, 30), 1);
        let frame = picture.frame().unwrap();
        let same = score(&frame, &frame, BORDER).unwrap();
        assert_eq!((same.psnr, same.ssim), (f64::INFINITY, 1.0));
        let mut none = Difference::default();
        none.add(&frame, &frame).unwrap();
        assert_eq!((none.psnr(), none.largest()), (f64::INFINITY, 0));

        let other = Picture {
            samples: picture.samples.iter().map(|v| v + 3).collect(),
            ..picture.clone()
        };
        let other = other.frame().unwrap();
        // Three levels of 255 everywhere are 3 * 219 / 255 of luma.
        let error: f64 = 3.0 * 219.0 / 255.0;
        let score = score(&other, &frame, BORDER).unwrap();
        assert!((score.psnr - 20.0 * (255.0 / error).log10()).abs() < 1e-9);
        let mut three = Difference::default();
        three.add(&other, &frame).unwrap();
        assert!((three.psnr() - 20.0 * 85f64.log10()).abs() < 1e-9);
        // As many samples again without a difference halve the mean square.
        three.add(&frame, &frame).unwrap();
        assert!((three.psnr() - 10.0 * (85.0f64.powi(2) * 2.0).log10()).abs() < 1e-9);
        assert_eq!(three.largest(), 3);
    }

    #[test]
    fn sizes_are_checked() {
        let (a, b) = (picture(Size::new(40, 30), 1), picture(Size::new(30, 40), 1));
        let (a, b) = (a.frame().unwrap(), b.frame().unwrap());
        let message = score(&a, &b, 4).unwrap_err().to_string();
        assert!(
            message.contains("32x22") && message.contains("22x32"),
            "{message}"
        );
        assert!(Difference::default().add(&a, &b).is_err());
        assert!(score(&a, &a, 15).unwrap_err().to_string().contains("30"));
        assert!(score(&a, &a, 10).unwrap_err().to_string().contains("11x11"));
        assert!(crop(&a, Size::new(40, 31)).is_err());
        assert_eq!(crop_to_multiple(&a, 4).unwrap().size, Size::new(40, 28));
        assert!(resize(&a, 0.0).is_err() && resize(&a, f64::NAN).is_err());
        assert!(Plane::new(vec![0.0; 5], Size::new(2, 3)).is_err());
    }

    #[test]
    fn flat_pictures_stay_flat() {
        for (width, height) in [(4, 4), (17, 23), (1, 9)] {
            let flat = Picture {
                size: Size::new(width, height),
                samples: [200, 3, 255].repeat(width * height),
            };
            for scale in [0.25, 0.3, 1.0, 4.0] {
                let scaled = resize(&flat.frame().unwrap(), scale).unwrap();
                assert!(scaled.samples.chunks_exact(3).all(|p| p == [200, 3, 255]));
            }
        }
    }

    #[test]
    fn same_as_the_python_evaluation() {
        let truth = picture(Size::new(64, 48), 7);
        let small = resize(&truth.frame().unwrap(), 0.25).unwrap();
        let large = resize(&small.frame().unwrap(), 4.0).unwrap();
        let odd = resize(&truth.frame().unwrap(), 0.37).unwrap();
        let score = score(&large.frame().unwrap(), &truth.frame().unwrap(), BORDER).unwrap();
        // From evaluate_generator.score and resize.resize_u8 of models/training for the same picture.
        assert_eq!(sum(&truth), 142_614_369);
        assert_eq!(sum(&small), 8_174_036);
        assert_eq!(sum(&large), 142_511_979);
        assert_eq!((odd.size, sum(&odd)), (Size::new(24, 18), 19_733_690));
        assert!((score.psnr - 22.664_089_236_996_286).abs() < 1e-9);
        assert!((score.ssim - 0.464_251_422_016_986_66).abs() < 1e-9);
    }
}
