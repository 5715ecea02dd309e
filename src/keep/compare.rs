//! Finds where a frame differs from a remembered one, and how much of a difference is noise. Pure; reads every sample once.
//!
//! Frames are compared in blocks of [`BLOCK`] by [`BLOCK`] input pixels. Two numbers tell noise from change: the mean difference
//! (light that changes evenly adds up in it, noise cancels out) and the root of the mean squared difference (an edge that moves
//! adds up in it although its two sides cancel out).

use crate::picture::vector::widest;
use crate::picture::{Frame, Sample, Size};

/// Side of a block in input pixels.
pub const BLOCK: usize = 4;

/// Differences up to these count as none. In levels of 255, over all samples of a block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Of the mean difference.
    pub mean: f32,
    /// Of the root of the mean squared difference.
    pub rms: f32,
}

impl Tolerance {
    /// Only equal blocks are unchanged.
    pub const EXACT: Self = Self {
        mean: 0.0,
        rms: 0.0,
    };
}

/// How far each block of a frame is from the remembered one.
#[derive(Debug, Clone, Default)]
pub struct Differences {
    columns: usize,
    rows: usize,
    /// Mean difference of each block, in levels of 255.
    mean: Vec<f32>,
    /// Root of the mean squared difference of each block, in levels of 255; 0 only if all samples are equal.
    rms: Vec<f32>,
    /// Row buffers: sums of differences and of their squares over a row of blocks, sample by sample.
    sums: Vec<f32>,
    squares: Vec<f32>,
}

impl Differences {
    /// Appends a row of blocks, of which `rows` gives the `count` rows of samples in both frames.
    #[inline(always)]
    fn add_blocks<'a, S: Sample>(
        &mut self,
        rows: impl Iterator<Item = (&'a [S], &'a [S])>,
        count: usize,
    ) {
        self.sums.clear();
        self.squares.clear();
        for (now, before) in rows {
            self.sums.resize(now.len(), 0.0);
            self.squares.resize(now.len(), 0.0);
            for (((now, before), sum), square) in now
                .iter()
                .zip(before)
                .zip(&mut self.sums)
                .zip(&mut self.squares)
            {
                let difference = now.to_f32() - before.to_f32();
                *sum += difference;
                *square += difference * difference;
            }
        }
        let scale = 255.0 / S::MAX;
        // Added in an order that leaves no sum waiting for the one before.
        let total = |values: &[f32]| match values.as_chunks::<{ 3 * BLOCK }>() {
            ([v], []) => {
                let [a, b, c] = [0, 4, 8].map(|i| (v[i] + v[i + 1]) + (v[i + 2] + v[i + 3]));
                a + b + c
            }
            _ => values.iter().sum(),
        };
        for (sums, squares) in self
            .sums
            .chunks(3 * BLOCK)
            .zip(self.squares.chunks(3 * BLOCK))
        {
            let samples = (sums.len() * count) as f32;
            self.mean.push(total(sums) / samples * scale);
            self.rms.push((total(squares) / samples).sqrt() * scale);
        }
    }

    /// Blocks in a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Rows of blocks.
    #[cfg(test)]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The largest tolerance up to `most` for which the root of the mean squared difference over the whole frame, changed blocks
    /// counted as 0, is at most `error`. All in levels of 255.
    fn within(&self, error: f32, most: f32) -> f32 {
        const STEPS: usize = 64;
        let mut squares = [0.0f32; STEPS];
        for rms in self.rms.iter().filter(|rms| **rms < most) {
            squares[(rms / most * STEPS as f32) as usize % STEPS] += rms * rms;
        }
        let mut budget = error * error * self.rms.len() as f32;
        for (step, square) in squares.iter().enumerate() {
            budget -= square;
            if budget < 0.0 {
                return step as f32 / STEPS as f32 * most;
            }
        }
        most
    }

    /// Row by row, whether each block is further away than `tolerance`.
    pub fn changed(&self, tolerance: Tolerance) -> impl Iterator<Item = bool> {
        self.excess(tolerance).map(|excess| excess > 1.0)
    }

    /// Row by row, how far each block is away in multiples of `tolerance`; infinite for any difference where that is 0.
    pub fn excess(&self, tolerance: Tolerance) -> impl Iterator<Item = f32> {
        self.mean.iter().zip(&self.rms).map(move |(mean, rms)| {
            if *rms > 0.0 {
                (mean.abs() / tolerance.mean).max(rms / tolerance.rms)
            } else {
                0.0
            }
        })
    }
}

/// A frame that later ones are compared with.
#[derive(Debug, Clone)]
pub struct Reference<S> {
    size: Size,
    /// Packed rows.
    data: Vec<S>,
}

impl<S> Default for Reference<S> {
    fn default() -> Self {
        Self {
            size: Size::new(0, 0),
            data: Vec::new(),
        }
    }
}

impl<S: Sample> Reference<S> {
    /// Whether a frame of this size is remembered.
    pub fn holds(&self, size: Size) -> bool {
        self.size == size && size.area() > 0
    }

    /// Forgets the frame; keeps the memory.
    pub fn clear(&mut self) {
        self.size = Size::new(0, 0);
    }

    /// Remembers the whole of `frame`.
    pub fn set(&mut self, frame: &Frame<'_, S>) {
        self.size = frame.size();
        self.data.clear();
        for y in 0..self.size.height {
            self.data.extend_from_slice(frame.row(y));
        }
    }

    /// Remembers `frame` in the rows `y..bottom` and columns `x..right` only. Does nothing if another size is remembered.
    pub fn set_part(
        &mut self,
        frame: &Frame<'_, S>,
        x: usize,
        right: usize,
        y: usize,
        bottom: usize,
    ) {
        if !self.holds(frame.size()) {
            return;
        }
        let (right, bottom) = (right.min(self.size.width), bottom.min(self.size.height));
        for y in y..bottom {
            self.data[(y * self.size.width + x) * 3..(y * self.size.width + right) * 3]
                .copy_from_slice(&frame.row(y)[x * 3..right * 3]);
        }
    }

    /// Compares `frame` with what is remembered; false, with nothing compared, if that has another size.
    pub fn compare(&self, frame: &Frame<'_, S>, found: &mut Differences) -> bool {
        let size = frame.size();
        if !self.holds(size) {
            return false;
        }
        found.columns = size.width.div_ceil(BLOCK);
        found.rows = size.height.div_ceil(BLOCK);
        found.mean.clear();
        found.rms.clear();
        let length = size.width * 3;
        for top in (0..size.height).step_by(BLOCK) {
            let bottom = (top + BLOCK).min(size.height);
            let pair = |y: usize| (frame.row(y), &self.data[y * length..][..length]);
            // Most of a still picture is equal, and equality is found in a fraction of the time.
            if (top..bottom).all(|y| pair(y).0 == pair(y).1) {
                found.mean.resize(found.mean.len() + found.columns, 0.0);
                found.rms.resize(found.rms.len() + found.columns, 0.0);
                continue;
            }
            let rows = (top..bottom).map(pair);
            widest(
                #[inline(always)]
                || found.add_blocks(rows, bottom - top),
            );
        }
        true
    }
}

/// The camera's noise as the root of the mean squared difference of blocks that did not change, in levels of 255.
///
/// Every frame gives one figure: the lower quartile of the blocks that differ at all (those that are equal to the bit were
/// copied by a video codec and tell nothing, those that differ most have moved). Figures are averaged over some seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Noise {
    level: f32,
    frames: u32,
}

/// Differences above this are movement whatever the camera, in levels of 255.
const MOST_NOISE: f32 = 8.0;
/// Frames over which the noise is averaged.
const NOISE_FRAMES: u32 = 50;

impl Noise {
    /// Takes what one frame differs in from another.
    pub fn observe(&mut self, differences: &Differences) {
        const STEPS: usize = 64;
        let mut histogram = [0u32; STEPS];
        let mut count = 0;
        for value in &differences.rms {
            if *value > 0.0 && *value < MOST_NOISE {
                histogram[(value * (STEPS as f32 / MOST_NOISE)) as usize % STEPS] += 1;
                count += 1;
            }
        }
        // Too few to tell, as between copies of a frame.
        if count < 64.min(differences.rms.len() as u32 / 4) || count == 0 {
            return;
        }
        let mut seen = 0;
        let step = histogram
            .iter()
            .position(|n| {
                seen += n;
                4 * seen >= count
            })
            .unwrap_or(STEPS - 1);
        let figure = (step as f32 + 0.5) * (MOST_NOISE / STEPS as f32);
        self.frames = (self.frames + 1).min(NOISE_FRAMES);
        self.level += (figure - self.level) / self.frames as f32;
    }

    /// Root of the mean squared difference that noise alone makes, in levels of 255; 0 before anything was seen.
    #[cfg(test)]
    pub fn level(&self) -> f32 {
        self.level
    }

    /// What is taken for noise in a frame that differs by `differences` from what is remembered. `threshold` overrides the estimate
    /// where it is above 0.
    ///
    /// A multiple of the camera's noise, but never so much that the blocks which are then kept are further from the frame, all
    /// together, than [`KEPT_ERROR`].
    pub fn tolerance(&self, threshold: f32, differences: &Differences) -> Tolerance {
        let rms = if threshold > 0.0 {
            threshold
        } else {
            let most = (NOISE_GAIN * self.level).clamp(LEAST_TOLERANCE, MOST_TOLERANCE);
            differences.within(KEPT_ERROR, most).max(LEAST_TOLERANCE)
        };
        Tolerance {
            mean: rms * MEAN_SHARE,
            rms,
        }
    }
}

/// Watches for movement since the frame that faces were looked for in last.
#[derive(Debug, Clone)]
pub struct Watch<S> {
    reference: Reference<S>,
    differences: Differences,
    noise: Noise,
}

impl<S> Default for Watch<S> {
    fn default() -> Self {
        Self {
            reference: Reference::default(),
            differences: Differences::default(),
            noise: Noise::default(),
        }
    }
}

impl<S: Sample> Watch<S> {
    /// Forgets the frame, so that the next counts as changed.
    pub fn clear(&mut self) {
        self.reference.clear();
    }

    /// Whether at least `least` blocks of `frame` changed, beyond noise, since [`Watch::remember`].
    pub fn moved(&mut self, frame: &Frame<'_, S>, least: usize) -> bool {
        if !self.reference.compare(frame, &mut self.differences) {
            return true;
        }
        self.noise.observe(&self.differences);
        let tolerance = self.noise.tolerance(0.0, &self.differences);
        let changed = self.differences.changed(tolerance).filter(|c| *c).count();
        changed >= least.max(1)
    }

    /// Remembers the frame that faces were looked for in.
    pub fn remember(&mut self, frame: &Frame<'_, S>) {
        self.reference.set(frame);
    }
}

/// Root of the mean squared difference, in levels of 255, that all kept blocks of a frame may have together. Differences of the
/// input come out of the generators about as large, and most frames stay far below.
const KEPT_ERROR: f32 = 2.45;
/// Tolerance of the root of the mean squared difference in multiples of the noise. The noise of a video codec, which is estimated
/// from its quietest blocks, is several times as large where there is detail.
const NOISE_GAIN: f32 = 12.0;
/// Limits of the tolerance, in levels of 255.
const LEAST_TOLERANCE: f32 = 2.0;
const MOST_TOLERANCE: f32 = 12.0;
/// Tolerance of the mean difference, as a share of that of the root of the mean squared one.
const MEAN_SHARE: f32 = 0.5;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(size: Size, value: impl Fn(usize, usize, usize) -> u8) -> Vec<u8> {
        let mut data = Vec::new();
        for y in 0..size.height {
            for x in 0..size.width {
                data.extend((0..3).map(|c| value(x, y, c)));
            }
        }
        data
    }

    #[test]
    fn counts_what_a_plain_loop_counts() {
        let size = Size::new(37, 19);
        let a = frame(size, |x, y, c| (x * 7 + y * 13 + c * 5) as u8);
        let b = frame(size, |x, y, c| {
            ((x * 7 + y * 13 + c * 5) as u8).wrapping_add((x * y % 9 == 4) as u8 * 200)
        });
        let mut reference = Reference::<u8>::default();
        let mut found = Differences::default();
        let of = |data| Frame::new(data, size, size.width * 3).unwrap();
        assert!(!reference.compare(&of(&a), &mut found));
        reference.set(&of(&a));
        assert!(reference.compare(&of(&b), &mut found));
        assert_eq!((found.columns(), found.rows()), (10, 5));
        for row in 0..5 {
            for column in 0..10 {
                let (mut sum, mut squares, mut n) = (0.0, 0.0f32, 0.0);
                for y in row * 4..(row * 4 + 4).min(19) {
                    for x in column * 4..(column * 4 + 4).min(37) {
                        for c in 0..3 {
                            let i = (y * 37 + x) * 3 + c;
                            let d = f32::from(b[i]) - f32::from(a[i]);
                            sum += d;
                            squares += d * d;
                            n += 1.0;
                        }
                    }
                }
                let i = row * 10 + column;
                assert!((found.mean[i] - sum / n).abs() < 1e-3);
                assert!((found.rms[i] - (squares / n).sqrt()).abs() < 1e-3);
            }
        }
        // Wide samples of the same picture differ as much.
        let wide = |data: &[u8]| data.iter().map(|v| u16::from(*v) * 257).collect::<Vec<_>>();
        let (wide_a, wide_b) = (wide(&a), wide(&b));
        let mut reference = Reference::<u16>::default();
        reference.set(&Frame::new(&wide_a, size, size.width * 3).unwrap());
        let mut wide_found = Differences::default();
        assert!(reference.compare(
            &Frame::new(&wide_b, size, size.width * 3).unwrap(),
            &mut wide_found
        ));
        for (a, b) in found.rms.iter().zip(&wide_found.rms) {
            assert!((a - b).abs() < 1e-3);
        }
    }

    #[test]
    fn one_sample_is_a_change_when_exact() {
        let size = Size::new(33, 9);
        let mut data = frame(size, |x, y, c| (x + y + c) as u8);
        let mut reference = Reference::default();
        let mut found = Differences::default();
        reference.set(&Frame::new(&data, size, 99).unwrap());
        data[(8 * 33 + 32) * 3 + 2] ^= 1;
        assert!(reference.compare(&Frame::new(&data, size, 99).unwrap(), &mut found));
        let changed: Vec<_> = found.changed(Tolerance::EXACT).collect();
        assert_eq!(changed.iter().filter(|c| **c).count(), 1);
        assert!(changed[changed.len() - 1]);
        assert_eq!(
            found
                .changed(Noise::default().tolerance(0.0, &found))
                .filter(|c| *c)
                .count(),
            0
        );
        reference.set_part(&Frame::new(&data, size, 99).unwrap(), 32, 36, 8, 12);
        assert!(reference.compare(&Frame::new(&data, size, 99).unwrap(), &mut found));
        assert_eq!(found.changed(Tolerance::EXACT).filter(|c| *c).count(), 0);
    }

    #[test]
    fn noise_is_estimated_beside_movement() {
        let size = Size::new(160, 120);
        let mut state = 88172645463325252u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % 4) as i32 - 2 // uniform, standard deviation 1.12; of a difference of two: 1.58
        };
        let mut noisy = |shift: usize| {
            let mut data = frame(size, |x, y, _| {
                if x < 60 {
                    ((x + shift) * 40 % 255) as u8
                } else {
                    100 + (y % 3) as u8
                }
            });
            data.iter_mut()
                .for_each(|v| *v = (i32::from(*v) + random()).clamp(0, 255) as u8);
            data
        };
        let mut noise = Noise::default();
        let mut found = Differences::default();
        for i in 0..20 {
            let (a, b) = (noisy(i), noisy(i + 1));
            let mut reference = Reference::default();
            reference.set(&Frame::new(&a, size, 480).unwrap());
            assert!(reference.compare(&Frame::new(&b, size, 480).unwrap(), &mut found));
            noise.observe(&found);
        }
        assert!((1.3..1.7).contains(&noise.level()), "{}", noise.level());
        let tolerance = noise.tolerance(0.0, &found);
        let changed: Vec<_> = found.changed(tolerance).collect();
        let share = |columns: std::ops::Range<usize>| {
            let blocks = (0..30).flat_map(|r| columns.clone().map(move |c| r * 40 + c));
            let (mut n, mut all) = (0, 0);
            for i in blocks {
                n += usize::from(changed[i]);
                all += 1;
            }
            n as f32 / all as f32
        };
        assert_eq!(share(0..15), 1.0, "movement");
        assert_eq!(share(15..40), 0.0, "noise");
    }
}
