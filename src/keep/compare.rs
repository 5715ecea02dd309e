//! Finds where a frame differs from a remembered one. Pure; reads every sample once.
//!
//! Frames are compared in blocks of [`BLOCK`] by [`BLOCK`] input pixels. Two numbers tell noise from change: the mean difference
//! (light that changes evenly adds up in it, noise cancels out) and the root of the mean squared difference (an edge that moves
//! adds up in it although its two sides cancel out).

use crate::error::Result;
use crate::memory;
use crate::picture::format::MAX_PLANES;
use crate::picture::samples;
use crate::picture::vector::widest;
use crate::picture::{Component, Format, Frame, Rect, Size};

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
    /// Levels of 255 that the mean of each block may differ by besides what is tolerated, see [`Self::tolerate_specks`]; may be empty.
    speck: Vec<f32>,
    /// Row buffers: differences and their squares, sample by sample.
    sums: Vec<f32>,
    squares: Vec<f32>,
    /// Samples of each block.
    counts: Vec<f32>,
    codes: [Vec<f32>; 2],
}

impl Differences {
    /// Adds the differences of one row of samples of a plane, `words` of which belong to each block, beginning with block `first`.
    #[inline(always)]
    fn add_row(&mut self, first: usize, words: usize) {
        match words {
            2 => self.add_blocks::<2>(first),
            4 => self.add_blocks::<4>(first),
            8 => self.add_blocks::<8>(first),
            12 => self.add_blocks::<12>(first),
            16 => self.add_blocks::<16>(first),
            _ => self.add_blocks::<1>(first),
        }
    }

    /// The same for a number that is known, without which no loop over so few samples is vectorised.
    #[inline(always)]
    fn add_blocks<const WORDS: usize>(&mut self, first: usize) {
        // Added in pairs, so that no sum waits for the one before.
        let total = |values: &[f32; WORDS]| {
            let (pairs, rest) = values.as_chunks::<2>();
            pairs.iter().map(|[a, b]| a + b).sum::<f32>() + rest.iter().sum::<f32>()
        };
        let (sums, sums_rest) = self.sums.as_chunks::<WORDS>();
        let (squares, squares_rest) = self.squares.as_chunks::<WORDS>();
        let count = sums.len();
        let blocks = self.mean[first..].iter_mut().zip(&mut self.rms[first..]);
        for (((mean, rms), sums), squares) in blocks.zip(sums).zip(squares) {
            *mean += total(sums);
            *rms += total(squares);
        }
        let counts = &mut self.counts[first..];
        counts[..count].iter_mut().for_each(|n| *n += WORDS as f32);
        // The last block of a row may reach over the frame's edge.
        if !sums_rest.is_empty() {
            self.mean[first + count] += sums_rest.iter().sum::<f32>();
            self.rms[first + count] += squares_rest.iter().sum::<f32>();
            counts[count] += sums_rest.len() as f32;
        }
    }

    /// The differences of a row of words of one or two bytes, in levels of 255 for `gain` levels a unit.
    #[inline(always)]
    fn subtract_words(&mut self, (now, before): (&[u8], &[u8]), word: usize, gain: f32) {
        let count = now.len() / word;
        self.sums.resize(count, 0.0);
        self.squares.resize(count, 0.0);
        let results = self.sums.iter_mut().zip(&mut self.squares);
        if word == 1 {
            for (((sum, square), now), before) in results.zip(now).zip(before) {
                let difference = (f32::from(*now) - f32::from(*before)) * gain;
                (*sum, *square) = (difference, difference * difference);
            }
            return;
        }
        let pairs = now.as_chunks::<2>().0.iter().zip(before.as_chunks::<2>().0);
        for ((sum, square), (now, before)) in results.zip(pairs) {
            let of = |bytes: &[u8; 2]| f32::from(u16::from_le_bytes(*bytes));
            let difference = (of(now) - of(before)) * gain;
            (*sum, *square) = (difference, difference * difference);
        }
    }

    /// The differences of a row of one component, of a frame `width` pixels wide.
    fn subtract_samples(
        &mut self,
        (now, before): (&[u8], &[u8]),
        component: &Component,
        width: usize,
    ) {
        let count = component.width(width);
        let [codes, earlier] = &mut self.codes;
        for (row, codes) in [(now, &mut *codes), (before, &mut *earlier)] {
            codes.resize(count, 0.0);
            samples::read(row, component, 0, codes);
        }
        self.sums.clear();
        let gain = 255.0 / component.max();
        self.sums.extend(
            codes
                .iter()
                .zip(earlier)
                .map(|(now, before)| (now - *before) * gain),
        );
        self.squares.clear();
        self.squares.extend(self.sums.iter().map(|d| d * d));
    }

    /// Makes these the differences of a frame of `size` pixels from itself.
    pub fn clear(&mut self, size: Size) {
        self.columns = size.width.div_ceil(BLOCK);
        self.rows = size.height.div_ceil(BLOCK);
        for values in [&mut self.mean, &mut self.rms] {
            values.clear();
            values.resize(self.columns * self.rows, 0.0);
        }
        self.speck.clear();
    }

    /// Tolerates what differs by its mean alone, up to `most` levels of 255, and is no part of anything larger: light and shadows that
    /// move on cover an area, while a video codec moves the mean of single blocks. A block is part of something larger if the mean
    /// over any three by three blocks with it among them differs by more than `tolerance` as well.
    pub(super) fn tolerate_specks(&mut self, tolerance: Tolerance, most: f32) {
        self.speck.clear();
        if most <= tolerance.mean {
            return;
        }
        self.speck.resize(self.mean.len(), 0.0);
        for index in 0..self.mean.len() {
            let mean = self.mean[index].abs();
            let asks = self.rms[index] <= tolerance.rms && mean > tolerance.mean && mean <= most;
            if asks && !self.has_company(index, tolerance.mean) {
                self.speck[index] = most - tolerance.mean;
            }
        }
    }

    /// Whether the mean over any three by three blocks with block `index` among them, as far as they are there, differs by more than `limit`.
    fn has_company(&self, index: usize, limit: f32) -> bool {
        let (column, row) = (index % self.columns, index / self.columns);
        around(row, self.rows).any(|middle_row| {
            around(column, self.columns).any(|middle| {
                let columns = around(middle, self.columns);
                let rows = around(middle_row, self.rows);
                let count = (columns.len() * rows.len()) as f32;
                let line = |row: usize| &self.mean[row * self.columns..][columns.clone()];
                let sum: f32 = rows.map(|row| line(row).iter().sum::<f32>()).sum();
                sum.abs() > limit * count
            })
        })
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

    /// The blocks that `chosen` names by their indices, those side by side as one rectangle.
    pub fn runs(&self, chosen: impl Fn(usize) -> bool) -> impl Iterator<Item = Rect> {
        let (blocks, columns) = (self.mean.len(), self.columns.max(1));
        let mut index = 0;
        std::iter::from_fn(move || {
            index = (index..blocks).find(|index| chosen(*index))?;
            let first = self.block(index);
            let end = (index / columns + 1) * columns;
            let length = (index..end.min(blocks))
                .take_while(|index| chosen(*index))
                .count();
            index += length;
            Some(Rect {
                width: length * BLOCK,
                ..first
            })
        })
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

    /// The largest tolerance up to `most` for which the root of the mean squared difference over the whole frame is at most `error`. All
    /// in levels of 255. Blocks that change count as 0, and so do those beside one, which are drawn with it.
    pub(super) fn within(&self, error: f32, most: f32) -> f32 {
        const STEPS: usize = 64;
        let mut squares = [0.0f32; STEPS];
        for (index, rms) in self.rms.iter().enumerate() {
            // Most of a still picture is equal to the bit.
            if *rms == 0.0 || *rms >= most {
                continue;
            }
            let largest = self.largest_around(index);
            if largest < most {
                squares[(largest / most * STEPS as f32) as usize % STEPS] += rms * rms;
            }
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

    /// The largest root of the mean squared difference of a block and those around it, at the frame's edge of fewer.
    fn largest_around(&self, index: usize) -> f32 {
        let (column, row) = (index % self.columns, index / self.columns);
        around(row, self.rows)
            .flat_map(|row| &self.rms[row * self.columns..][around(column, self.columns)])
            .fold(0.0, |largest, rms| rms.max(largest))
    }

    /// Row by row, whether each block is further away than `tolerance`.
    pub fn changed(&self, tolerance: Tolerance) -> impl Iterator<Item = bool> {
        self.excess(tolerance).map(|excess| excess > 1.0)
    }

    /// Row by row, how far each block is away in multiples of `tolerance`; infinite for any difference where that is 0.
    pub fn excess(&self, tolerance: Tolerance) -> impl Iterator<Item = f32> {
        let specks = self.speck.iter().copied().chain(std::iter::repeat(0.0));
        let blocks = self.mean.iter().zip(&self.rms).zip(specks);
        blocks.map(move |((mean, rms), speck)| {
            if *rms > 0.0 {
                (mean.abs() / (tolerance.mean + speck)).max(rms / tolerance.rms)
            } else {
                0.0
            }
        })
    }
}

/// `at` and its neighbours on both sides, of `end` in a line.
fn around(at: usize, end: usize) -> std::ops::Range<usize> {
    at.saturating_sub(1)..(at + 2).min(end)
}

/// A frame that later ones are compared with.
#[derive(Debug, Clone, Default)]
pub struct Reference {
    /// What is remembered, if anything is.
    of: Option<(Format, Size)>,
    /// Packed rows of each plane.
    pub(super) planes: [Vec<u8>; MAX_PLANES],
}

impl Reference {
    /// Whether a frame of this format and size is remembered.
    pub fn holds(&self, frame: &Frame<'_>) -> bool {
        self.of == Some((*frame.format(), frame.size()))
    }

    /// The frame, if one is remembered.
    pub fn frame(&self) -> Option<Frame<'_>> {
        let (format, size) = self.of?;
        let layout = format.layout();
        let planes: [(&[u8], usize); MAX_PLANES] = std::array::from_fn(|plane| {
            let stride = if plane < layout.planes {
                layout.row_bytes(plane, size.width)
            } else {
                0
            };
            (self.planes[plane].as_slice(), stride)
        });
        Frame::of(format, size, &planes[..layout.planes]).ok()
    }

    /// Forgets the frame; keeps the memory.
    pub fn clear(&mut self) {
        self.of = None;
    }

    /// Remembers the whole of `frame`.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] where the system has none for it: nothing is remembered then.
    pub fn set(&mut self, frame: &Frame<'_>) -> Result<()> {
        let (layout, size) = (frame.format().layout(), frame.size());
        self.of = None;
        for (plane, data) in self.planes.iter_mut().enumerate() {
            data.clear();
            if plane < layout.planes {
                let rows = layout.rows(plane, size.height);
                let length = layout.row_bytes(plane, size.width) * rows;
                memory::reserve(data, length, "a frame to compare with")?;
                (0..rows).for_each(|y| data.extend_from_slice(frame.plane_row(plane, y)));
            }
        }
        self.of = Some((*frame.format(), size));
        Ok(())
    }

    /// Remembers `frame` inside `part` only, input pixels, which begins at multiples of four and may reach over the frame's edges. Does
    /// nothing if another size or format is remembered.
    pub fn set_part(&mut self, frame: &Frame<'_>, part: Rect) {
        if !self.holds(frame) {
            return;
        }
        let (layout, size) = (frame.format().layout(), frame.size());
        for (plane, data) in self.planes.iter_mut().enumerate().take(layout.planes) {
            let shift = layout.plane_shift(plane);
            let length = layout.row_bytes(plane, size.width);
            let (from, to) = (
                layout.bytes_to(plane, part.x),
                layout.bytes_to(plane, part.right()).min(length),
            );
            let bottom = (part.bottom() >> shift).min(layout.rows(plane, size.height));
            for y in part.y >> shift..bottom {
                data[y * length..][from..to].copy_from_slice(&frame.plane_row(plane, y)[from..to]);
            }
        }
    }

    /// Compares `frame` with what is remembered; false, with nothing compared, if that has another size or format.
    pub fn compare(&self, frame: &Frame<'_>, found: &mut Differences) -> bool {
        if !self.holds(frame) {
            return false;
        }
        let (layout, size) = (frame.format().layout(), frame.size());
        found.clear(size);
        found.counts.clear();
        found.counts.resize(found.mean.len(), 0.0);
        // Samples that share words, or words that stand for nothing, are looked at one by one.
        let apart = layout.padding.is_some() || layout.components()[0].word > 2;
        for (plane, data) in self.planes.iter().enumerate().take(layout.planes) {
            let length = layout.row_bytes(plane, size.width);
            let before = |y: usize| &data[y * length..][..length];
            let per_block = BLOCK >> layout.plane_shift(plane);
            let rows = layout.rows(plane, size.height);
            let of_plane = || layout.components().iter().filter(|c| c.plane == plane);
            let Some(component) = of_plane().next() else {
                continue;
            };
            let word = component.word;
            let gain = 255.0 / (component.max() * (1u32 << component.shift) as f32);
            for row in 0..found.rows {
                let lines = row * per_block..((row + 1) * per_block).min(rows);
                // Most of a still picture is equal, and equality is found in a fraction of the time.
                if lines
                    .clone()
                    .all(|y| frame.plane_row(plane, y) == before(y))
                {
                    let samples = lines.len() * layout.bytes_to(plane, BLOCK) / word;
                    found.counts[row * found.columns..][..found.columns]
                        .iter_mut()
                        .for_each(|count| *count += samples as f32);
                    continue;
                }
                let first = row * found.columns;
                for y in lines {
                    let pair = (frame.plane_row(plane, y), before(y));
                    if apart {
                        for component in of_plane() {
                            found.subtract_samples(pair, component, size.width);
                            found.add_row(first, BLOCK >> component.x_shift);
                        }
                        continue;
                    }
                    let words = layout.bytes_to(plane, BLOCK) / word;
                    widest(
                        #[inline(always)]
                        || {
                            found.subtract_words(pair, word, gain);
                            found.add_row(first, words);
                        },
                    );
                }
            }
        }
        let sums = found.mean.iter_mut().zip(&mut found.rms).zip(&found.counts);
        for ((mean, rms), count) in sums {
            *mean /= count.max(1.0);
            *rms = (*rms / count.max(1.0)).sqrt();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keep::noise::Noise;

    #[test]
    fn blocks_side_by_side_are_one_run() {
        let mut differences = Differences::default();
        differences.clear(Size::new(3 * BLOCK + 1, 2 * BLOCK));
        let runs = |chosen: &[usize]| {
            let runs = differences.runs(|index| chosen.contains(&index));
            runs.map(|run| {
                (
                    run.x / BLOCK,
                    run.y / BLOCK,
                    run.width / BLOCK,
                    run.height / BLOCK,
                )
            })
            .collect::<Vec<_>>()
        };
        assert_eq!(runs(&[]), []);
        // The last of a row and the first of the next are no neighbours.
        assert_eq!(
            runs(&[0, 1, 3, 4, 6, 7]),
            [(0, 0, 2, 1), (3, 0, 1, 1), (0, 1, 1, 1), (2, 1, 2, 1)]
        );
        assert_eq!(
            runs(&[0, 1, 2, 3, 4, 5, 6, 7]),
            [(0, 0, 4, 1), (0, 1, 4, 1)]
        );
    }

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
        let mut reference = Reference::default();
        let mut found = Differences::default();
        let of = |data| Frame::new(data, size, size.width * 3).unwrap();
        assert!(!reference.compare(&of(&a), &mut found));
        reference.set(&of(&a)).unwrap();
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
        let mut reference = Reference::default();
        let wide_frame = Frame::new(&wide_a, size, size.width * 3).unwrap();
        reference.set(&wide_frame).unwrap();
        let mut wide_found = Differences::default();
        assert!(reference.compare(
            &Frame::new(&wide_b, size, size.width * 3).unwrap(),
            &mut wide_found
        ));
        for (a, b) in found.rms.iter().zip(&wide_found.rms) {
            assert!((a - b).abs() < 1e-3);
        }
    }

    /// What is drawn with a block that changes spends nothing of what may be kept: as many blocks of noise are kept far from it as if
    /// it were not there.
    #[test]
    fn the_error_that_may_be_kept_is_that_of_blocks_which_are() {
        let size = Size::new(80, 40);
        // In levels, of a chessboard of single pixels: the root of the mean squared difference of a block.
        let differing = |of: &dyn Fn(usize, usize) -> u8| {
            let data = frame(size, |x, y, _| {
                let step = of(x / BLOCK, y / BLOCK);
                if (x + y) % 2 == 0 {
                    100 + step
                } else {
                    100 - step
                }
            });
            let before = vec![100u8; data.len()];
            let (mut reference, mut found) = (Reference::default(), Differences::default());
            reference
                .set(&Frame::new(&before, size, 240).unwrap())
                .unwrap();
            assert!(reference.compare(&Frame::new(&data, size, 240).unwrap(), &mut found));
            found
        };
        // 20 x 10 blocks: 8 of five levels around one of 30 by themselves, and 8 more elsewhere, alone.
        let beside = |x: usize, y: usize| (4..=6).contains(&x) && (4..=6).contains(&y);
        let elsewhere = |x: usize, y: usize| y == 1 && x >= 12;
        let moved = differing(&|x, y| match (x, y) {
            (5, 5) => 30,
            _ if beside(x, y) || elsewhere(x, y) => 5,
            _ => 0,
        });
        // One level is what 8 blocks of five levels make of 200 together.
        let enough = (8.0f32 * 25.0 / 200.0).sqrt();
        assert_eq!(moved.within(enough * 1.01, 12.0), 12.0);
        let less = moved.within(enough * 0.99, 12.0);
        assert!((4.7..=5.0).contains(&less), "{less}");
        // Without the one that changes, all 16 count.
        let still = differing(&|x, y| match (x, y) {
            (5, 5) => 0,
            _ if beside(x, y) || elsewhere(x, y) => 5,
            _ => 0,
        });
        assert!(still.within(enough * 1.01, 12.0) <= 5.0);
        assert_eq!(still.within(enough * 1.42, 12.0), 12.0);
    }

    #[test]
    fn one_sample_is_a_change_when_exact() {
        let size = Size::new(33, 9);
        let mut data = frame(size, |x, y, c| (x + y + c) as u8);
        let mut reference = Reference::default();
        let mut found = Differences::default();
        let whole = Frame::new(&data, size, 99).unwrap();
        reference.set(&whole).unwrap();
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
