//! How near a picture is to the true one, as the field reports it for super-resolution: PSNR and SSIM on luma. Pure functions in
//! `f64`.
//!
//! The same definitions, to the last digit that is reported, are in `models/training` (`evaluate_generator.py`).

use srfusion::{Frame, Result, Size};

use super::luma::Luma;
use super::picture::shape;

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

impl Plane {
    /// Luma of ITU-R BT.601 in studio range, 16 (black) to 235 (white), not rounded: what MATLAB's `rgb2ycbcr` calls Y.
    pub fn luma(frame: &Frame<'_>) -> Self {
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

    /// Luma as a video has it.
    pub fn of(luma: &Luma) -> Self {
        Self {
            size: luma.size(),
            values: luma.samples().iter().copied().map(f64::from).collect(),
        }
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
        let mut result = vec![0.0; columns * rows];
        for (y, line) in result.chunks_exact_mut(columns).enumerate() {
            column.fill(0.0);
            for (tap, row) in taps.iter().zip(self.values.chunks_exact(width).skip(y)) {
                for (sum, value) in column.iter_mut().zip(row) {
                    *sum += tap * value;
                }
            }
            // Tap by tap, so that the compiler can take several columns at a time.
            for (shift, tap) in taps.iter().enumerate() {
                for (sum, value) in line.iter_mut().zip(&column[shift..]) {
                    *sum += tap * value;
                }
            }
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
pub fn score(generated: &Frame<'_>, truth: &Frame<'_>, border: usize) -> Result<Score> {
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
    pub fn add(&mut self, first: &Frame<'_>, second: &Frame<'_>) -> Result<()> {
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
