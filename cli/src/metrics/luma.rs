//! One 8-bit luma plane, as it is coded in a video.

use srfusion::{Error, Frame, Result, Size};

/// Luma of a frame: `u8[height, width]`, row by row without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Luma {
    size: Size,
    samples: Vec<u8>,
}

impl Luma {
    /// A plane of `size`.
    ///
    /// # Errors
    /// [`Error::Shape`] if `samples` is not of `size`.
    pub fn new(samples: Vec<u8>, size: Size) -> Result<Self> {
        if samples.len() == size.area() && size.area() > 0 {
            return Ok(Self { size, samples });
        }
        Err(Error::Shape {
            what: "luma".into(),
            expected: format!("{} samples for {size}", size.area().max(1)),
            found: samples.len().to_string(),
        })
    }

    /// Luma of an RGB frame: BT.601 in studio range, 16 (black) to 235 (white), rounded.
    pub fn of(frame: &Frame<'_>) -> Self {
        let size = frame.size();
        let mut samples = Vec::with_capacity(size.area());
        for y in 0..size.height {
            samples.extend(frame.row(y).chunks_exact(3).map(|pixel| {
                let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(f32::from);
                (16.5 + (65.481 * r + 128.553 * g + 24.966 * b) / 255.0) as u8
            }));
        }
        Self { size, samples }
    }

    /// Width and height.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The samples.
    pub fn samples(&self) -> &[u8] {
        &self.samples
    }

    /// Row `y`.
    pub fn row(&self, y: usize) -> &[u8] {
        &self.samples[y * self.size.width..][..self.size.width]
    }

    /// Mean of the absolute differences of two planes of one size, in levels.
    pub fn change(&self, other: &Self) -> f64 {
        let pairs = self.samples.iter().zip(&other.samples);
        let sum: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        sum as f64 / self.samples.len() as f64
    }

    /// Peak signal-to-noise ratio against another plane of one size in dB, peak 255, without `border` pixels on each side; infinite
    /// where they are equal.
    pub fn psnr(&self, other: &Self, border: usize) -> f64 {
        let Size { width, height } = self.size;
        let (mut sum, mut count) = (0_u64, 0_usize);
        for y in border..height.saturating_sub(border) {
            let (a, b) = (self.row(y), other.row(y));
            let inner = border..width.saturating_sub(border).max(border);
            count += inner.len();
            let pairs = a[inner.clone()].iter().zip(&b[inner]);
            sum += pairs
                .map(|(a, b)| u64::from(u32::from(a.abs_diff(*b)).pow(2)))
                .sum::<u64>();
        }
        10.0 * (255.0 * 255.0 * count as f64 / sum as f64).log10()
    }
}
