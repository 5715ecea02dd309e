//! Finds where a frame differs from a remembered one. Pure; reads every sample once.
//!
//! Frames are compared in blocks of [`BLOCK`] by [`BLOCK`] input pixels. Two numbers tell noise from change: the mean difference
//! (light that changes evenly adds up in it, noise cancels out) and the root of the mean squared difference (an edge that moves
//! adds up in it although its two sides cancel out).

use crate::picture::vector::widest;
use crate::picture::{Frame, Rect, Sample, Size};

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
    pub(super) mean: Vec<f32>,
    /// Root of the mean squared difference of each block, in levels of 255; 0 only if all samples are equal.
    pub(super) rms: Vec<f32>,
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

    /// Makes these the differences of a frame of `size` pixels from itself.
    pub fn clear(&mut self, size: Size) {
        self.columns = size.width.div_ceil(BLOCK);
        self.rows = size.height.div_ceil(BLOCK);
        for values in [&mut self.mean, &mut self.rms] {
            values.clear();
            values.resize(self.columns * self.rows, 0.0);
        }
    }

    /// The pixels of block `index`; those at the right and lower edge may reach over the frame's.
    pub fn block(&self, index: usize) -> Rect {
        Rect {
            x: index % self.columns.max(1) * BLOCK,
            y: index / self.columns.max(1) * BLOCK,
            width: BLOCK,
            height: BLOCK,
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
    pub(super) fn within(&self, error: f32, most: f32) -> f32 {
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

    /// Remembers `frame` inside `part` only, input pixels, which may reach over its edges. Does nothing if another size is remembered.
    pub fn set_part(&mut self, frame: &Frame<'_, S>, part: Rect) {
        if !self.holds(frame.size()) {
            return;
        }
        let (right, bottom) = (
            part.right().min(self.size.width),
            part.bottom().min(self.size.height),
        );
        for y in part.y..bottom {
            self.data[(y * self.size.width + part.x) * 3..(y * self.size.width + right) * 3]
                .copy_from_slice(&frame.row(y)[part.x * 3..right * 3]);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keep::noise::Noise;

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
        let part = Rect {
            x: 32,
            y: 8,
            width: BLOCK,
            height: BLOCK,
        };
        reference.set_part(&Frame::new(&data, size, 99).unwrap(), part);
        assert!(reference.compare(&Frame::new(&data, size, 99).unwrap(), &mut found));
        assert_eq!(found.changed(Tolerance::EXACT).filter(|c| *c).count(), 0);
    }
}
