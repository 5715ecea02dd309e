//! What stands still, averaged: noise that changes from frame to frame cancels out, and networks see the mean. Pure.
//!
//! The steady frame holds, block by block, the mean of the frames since the block moved last; where it moves, it is the frame. Everything that
//! keeps and draws is given it in the frame's place, so that a cell is drawn anew from the mean whenever that has come far enough from what it
//! was drawn of.
//!
//! Whether a block moves is told by four numbers that noise alone keeps small: the mean difference from the steady frame and the root of the
//! mean squared one, each of the block and of the three by three around it. The noise that they are measured by is what is seen in
//! time, and never more than what is seen in space: a picture that moves everywhere differs much in time, but its flat parts are flat.
//! A stream whose noise is less than [`LEAST_NOISE`] is left as it is, and costs nothing but a look now and then.

use super::cells::CELL;
use super::compare::{BLOCK, Differences, Reference};
use crate::error::Result;
use crate::memory;
use crate::picture::format::MAX_PLANES;
use crate::picture::vector::widest;
use crate::picture::{Format, Frame, Size};

/// Standard deviation of noise from which it is averaged, and below which it is no longer, in levels of 255. What a video codec leaves is less.
const LEAST_NOISE: f32 = 2.0;
const LITTLE_NOISE: f32 = 1.4;
/// Standard deviation above which differences are movement.
const MOST_NOISE: f32 = 16.0;
/// Frames between two looks at a stream that is left as it is.
const LOOKS: u32 = 8;
/// Most frames that a mean counts for: light that changes slowly is followed in about as many.
const MOST_FRAMES: f32 = 32.0;

/// Frames in a mean from which it is worth drawing anew what was drawn of fewer, and cells along each side of the square that is at once.
const RIPE: f32 = 12.0;
const GROUP: usize = 8;

/// How far the root of the mean squared difference of a block, and of three by three, may be above the noise, as a share: four and
/// three and a half standard deviations of what noise alone gives over 24 and over nine times as many samples.
const RMS: f32 = 1.6;
const RMS_AROUND: f32 = 1.17;
/// The same of mean differences, whose pixels' noise cancels out: four standard deviations over 16 and over 144 pixels.
const MEAN: f32 = 1.0;
const MEAN_AROUND: f32 = 0.33;
/// How far the noise in time may be above that in space, which is of luma alone.
const OVER_SPACE: f32 = 1.3;

/// Pixels along a row that the noise in space is told from at once, and rows between two such.
const SEGMENT: usize = 8;
const ROWS: usize = 8;

/// The steady frame of a stream, where it has noise that is worth it.
#[derive(Debug, Default)]
pub struct Steady {
    /// The steady frame, in samples.
    frame: Reference,
    of: Option<(Format, Size)>,
    /// The same as numbers, word by word.
    means: [Vec<f32>; MAX_PLANES],
    /// Frames in the mean of each block.
    counts: Vec<f32>,
    /// Standard deviation of the noise, in levels of 255.
    noise: f32,
    /// Frames until the next look at a stream that is left as it is.
    until_look: u32,
    differences: Differences,
    /// Squared and mean differences of blocks, by what is expected of the mean's own noise, and their sums of three by three.
    squares: Vec<f32>,
    shifts: Vec<f32>,
    squares_around: Vec<f32>,
    shifts_around: Vec<f32>,
    moved: Vec<bool>,
    scratch: Vec<f32>,
    gains: Vec<f32>,
}

/// Whether samples of `format` can be averaged word by word.
fn is_plain(format: &Format) -> bool {
    let layout = format.layout();
    layout.padding.is_none() && layout.components()[0].word <= 2
}

impl Steady {
    /// Forgets everything; whatever comes is looked at anew.
    pub fn forget(&mut self) {
        self.of = None;
        self.until_look = 0;
        self.frame.clear();
    }

    /// The steady frame of the last one taken; `None` where that is left as it is.
    pub fn frame(&self) -> Option<Frame<'_>> {
        self.of.and_then(|_| self.frame.frame())
    }

    /// Whether the mean of cell `index` of `columns` in a row has come so far in this frame that the cell is worth being drawn anew: once, between
    /// [`RIPE`] frames and twice as many, so that not all of a picture are drawn at once.
    pub fn is_ripe(&self, index: usize, columns: usize) -> bool {
        const GOLDEN: f32 = 0.618_034;
        let (column, row) = (index % columns.max(1), index / columns.max(1));
        let turn =
            ((column / GROUP) as f32 * GOLDEN + (row / GROUP) as f32 * GOLDEN * GOLDEN).fract();
        let ripe = (RIPE * (1.0 + turn)).floor();
        let blocks = CELL / BLOCK;
        let block = row * blocks * self.differences.columns() + column * blocks;
        self.of.is_some() && self.counts.get(block).is_some_and(|count| *count == ripe)
    }

    /// Takes the next frame. `differences` are those of an earlier frame from what it was compared with, which tell whether the stream may
    /// have noise.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] where the system has none for the means: everything is forgotten then.
    pub fn take(&mut self, frame: &Frame<'_>, differences: &Differences) -> Result<()> {
        let is_same = self.of == Some((*frame.format(), frame.size()));
        if !is_same {
            self.of = None;
            if !self.is_noisy(frame, differences) {
                return Ok(());
            }
            return self.begin(frame).inspect_err(|_| self.forget());
        }
        if !self.frame.compare(frame, &mut self.differences) {
            self.forget();
            return Ok(());
        }
        let space = noise_in_space(frame, &mut self.scratch);
        self.measure(space);
        if self.noise < LITTLE_NOISE {
            self.forget();
            self.until_look = LOOKS;
            return Ok(());
        }
        self.find_moved();
        self.average(frame);
        Ok(())
    }

    /// Whether the stream is worth it, as far as can be told now. Looks seldom.
    fn is_noisy(&mut self, frame: &Frame<'_>, differences: &Differences) -> bool {
        self.scratch.clear();
        let changed = differences.rms.iter().filter(|rms| **rms > 0.0);
        self.scratch.extend(changed);
        if self.scratch.len() * 2 < differences.rms.len() || self.scratch.is_empty() {
            // What a codec copies has no noise that changes.
            return false;
        }
        if self.until_look > 0 {
            self.until_look -= 1;
            return false;
        }
        self.until_look = LOOKS;
        if !is_plain(frame.format()) {
            return false;
        }
        let quarter = self.scratch.len() / 4;
        let (_, quartile, _) = self.scratch.select_nth_unstable_by(quarter, f32::total_cmp);
        // Of two frames' noise.
        let time = *quartile / std::f32::consts::SQRT_2;
        if time < LEAST_NOISE {
            return false;
        }
        let space = noise_in_space(frame, &mut self.scratch);
        self.noise = time.min(OVER_SPACE * space).min(MOST_NOISE);
        self.noise >= LEAST_NOISE
    }

    /// Begins with `frame`.
    fn begin(&mut self, frame: &Frame<'_>) -> Result<()> {
        let (layout, size) = (frame.format().layout(), frame.size());
        self.frame.set(frame)?;
        let is_wide = layout.components()[0].word == 2;
        for (means, plane) in self.means.iter_mut().zip(&self.frame.planes) {
            means.clear();
            let words = plane.len() / layout.components()[0].word;
            memory::reserve(means, words, "means of what stands still")?;
            if is_wide {
                let words = plane.as_chunks::<2>().0;
                means.extend(
                    words
                        .iter()
                        .map(|word| f32::from(u16::from_le_bytes(*word))),
                );
            } else {
                means.extend(plane.iter().map(|word| f32::from(*word)));
            }
        }
        let blocks = size.width.div_ceil(BLOCK) * size.height.div_ceil(BLOCK);
        self.counts.clear();
        self.counts.resize(blocks, 1.0);
        self.of = Some((*frame.format(), size));
        Ok(())
    }

    /// Measures the noise by the blocks of the frame compared, half of which are thought to stand still, or else by what is seen in `space`.
    fn measure(&mut self, space: f32) {
        let Self {
            squares,
            shifts,
            scratch,
            counts,
            differences,
            ..
        } = self;
        squares.clear();
        shifts.clear();
        let values = differences.rms.iter().zip(&differences.mean).zip(&*counts);
        for ((rms, mean), count) in values {
            // The mean has noise too.
            let own = 1.0 + 1.0 / count;
            squares.push(rms * rms / own);
            shifts.push(mean / own.sqrt());
        }
        scratch.clear();
        scratch.extend_from_slice(squares);
        if scratch.is_empty() {
            return;
        }
        let middle = scratch.len() / 2;
        let (_, median, _) = scratch.select_nth_unstable_by(middle, f32::total_cmp);
        let noise = median.sqrt().min(OVER_SPACE * space).min(MOST_NOISE);
        self.noise += (noise - self.noise) / 8.0;
    }

    /// Tells which blocks move.
    fn find_moved(&mut self) {
        let columns = self.differences.columns();
        let variance = self.noise * self.noise;
        around(
            &self.squares,
            columns,
            &mut self.squares_around,
            &mut self.scratch,
        );
        around(
            &self.shifts,
            columns,
            &mut self.shifts_around,
            &mut self.scratch,
        );
        let moves = |square: f32, shift: f32| {
            square > RMS * RMS * variance || shift.abs() > MEAN * self.noise
        };
        // What moves, moves beside it too: an edge may have touched no more than a pixel there.
        self.scratch.clear();
        let blocks = self.squares.iter().zip(&self.shifts);
        self.scratch
            .extend(blocks.map(|(square, shift)| f32::from(moves(*square, *shift))));
        let mut beside = Vec::new();
        let moving = std::mem::take(&mut self.scratch);
        around(&moving, columns, &mut beside, &mut self.scratch);
        self.moved.clear();
        let sums = self.squares_around.iter().zip(&self.shifts_around);
        self.moved
            .extend(sums.zip(&beside).map(|((square, shift), beside)| {
                *beside > 0.0
                    || *square > RMS_AROUND * RMS_AROUND * variance
                    || shift.abs() > MEAN_AROUND * self.noise
            }));
        for (count, moved) in self.counts.iter_mut().zip(&self.moved) {
            *count = if *moved {
                1.0
            } else {
                (*count + 1.0).min(MOST_FRAMES)
            };
        }
    }

    /// Takes `frame` into the means, and writes these.
    fn average(&mut self, frame: &Frame<'_>) {
        let (layout, size) = (frame.format().layout(), frame.size());
        let (columns, word) = (self.differences.columns(), layout.components()[0].word);
        let step = (1u32 << layout.components()[0].shift) as f32;
        for plane in 0..layout.planes {
            let length = layout.row_bytes(plane, size.width);
            let words = layout.bytes_to(plane, BLOCK) / word;
            let per_block = BLOCK >> layout.plane_shift(plane);
            let rows = layout.rows(plane, size.height);
            for (block_row, counts) in self.counts.chunks(columns).enumerate() {
                self.gains.clear();
                for count in counts {
                    let more = self.gains.len() + words;
                    self.gains.resize(more, 1.0 / count);
                }
                self.gains.truncate(length / word);
                for y in block_row * per_block..((block_row + 1) * per_block).min(rows) {
                    let now = frame.plane_row(plane, y);
                    let out = &mut self.frame.planes[plane][y * length..][..length];
                    let means = &mut self.means[plane][y * length / word..][..length / word];
                    let gains = &self.gains;
                    widest(
                        #[inline(always)]
                        || take_row(now, means, gains, word, step, out),
                    );
                }
            }
        }
    }
}

/// Takes a row of words into their means, and writes these, rounded to multiples of `step`.
#[inline(always)]
fn take_row(now: &[u8], means: &mut [f32], gains: &[f32], word: usize, step: f32, out: &mut [u8]) {
    let means = means.iter_mut().zip(gains);
    if word == 1 {
        for ((now, out), (mean, gain)) in now.iter().zip(out).zip(means) {
            *mean += (f32::from(*now) - *mean) * gain;
            *out = (*mean + 0.5) as u8;
        }
        return;
    }
    let words = now
        .as_chunks::<2>()
        .0
        .iter()
        .zip(out.as_chunks_mut::<2>().0);
    for ((now, out), (mean, gain)) in words.zip(means) {
        *mean += (f32::from(u16::from_le_bytes(*now)) - *mean) * gain;
        *out = ((((*mean / step) + 0.5) as u16) * step as u16).to_le_bytes();
    }
}

/// The mean of each value and its neighbours, row by row of `columns`; those outside do not count.
fn around(values: &[f32], columns: usize, means: &mut Vec<f32>, scratch: &mut Vec<f32>) {
    let rows = values.len() / columns.max(1);
    scratch.clear();
    for row in values.chunks(columns.max(1)) {
        scratch.extend((0..row.len()).map(|x| {
            let near = &row[x.saturating_sub(1)..(x + 2).min(row.len())];
            near.iter().sum::<f32>() / near.len() as f32
        }));
    }
    means.clear();
    for y in 0..rows {
        let near = y.saturating_sub(1)..(y + 2).min(rows);
        let share = 1.0 / near.len() as f32;
        let first = means.len();
        means.resize(first + columns, 0.0);
        for row in near {
            let row = &scratch[row * columns..][..columns];
            let sums = means[first..].iter_mut().zip(row);
            sums.for_each(|(sum, value)| *sum += value * share);
        }
    }
}

/// Standard deviation of the noise that a frame's flat parts show, in levels of 255: a quarter of its segments have less. The filter is
/// Immerkaer's ("Fast noise variance estimation", 1996), which edges and slopes do not pass.
fn noise_in_space(frame: &Frame<'_>, found: &mut Vec<f32>) -> f32 {
    let component = frame.format().layout().components()[0];
    let (width, height) = (
        component.width(frame.size().width),
        component.height(frame.size().height),
    );
    found.clear();
    let mut rows = [const { Vec::new() }; 3];
    rows.iter_mut()
        .for_each(|row: &mut Vec<f32>| row.resize(width, 0.0));
    for y in (1..height.saturating_sub(1)).step_by(ROWS) {
        for (row, y) in rows.iter_mut().zip(y - 1..) {
            frame.read(0, y, 0, row);
        }
        let [above, middle, below] = &rows;
        let bend = |row: &[f32], x: usize| row[x - 1] - 2.0 * row[x] + row[x + 1];
        for first in (1..width.saturating_sub(SEGMENT)).step_by(SEGMENT) {
            let sum: f32 = (first..first + SEGMENT)
                .map(|x| (bend(above, x) - 2.0 * bend(middle, x) + bend(below, x)).abs())
                .sum();
            // What is cut off at black or white has none.
            if sum > 0.0 {
                found.push(sum);
            }
        }
    }
    if found.is_empty() {
        return 0.0;
    }
    let quarter = found.len() / 4;
    let (_, quartile, _) = found.select_nth_unstable_by(quarter, f32::total_cmp);
    // The mean absolute value of noise behind the filter is 6 sqrt(2 / pi) of its deviation; the lower quartile of the mean of eight
    // that are not independent lies at 0.8 of it.
    let scale = 6.0 * (2.0 / std::f32::consts::PI).sqrt() * 0.8;
    *quartile / SEGMENT as f32 / scale * 255.0 / component.max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::PixelFormat;
    use crate::testing::Random;

    const SIZE: Size = Size::new(160, 96);

    /// Noise of about a normal distribution.
    fn noise(random: &mut Random, deviation: f32) -> f32 {
        let sum: f32 = (0..12)
            .map(|_| random.below(65_536) as f32 / 65_536.0)
            .sum();
        (sum - 6.0) * deviation
    }

    /// A frame of `format` whose components are `value` of place and component, in levels of 255, with noise of `deviation`.
    fn frame(
        format: PixelFormat,
        random: &mut Random,
        deviation: f32,
        value: impl Fn(usize, usize, usize) -> f32,
    ) -> Vec<Vec<u8>> {
        let layout = format.layout();
        let mut planes: Vec<Vec<u8>> = (0..layout.planes)
            .map(|plane| {
                vec![0; layout.row_bytes(plane, SIZE.width) * layout.rows(plane, SIZE.height)]
            })
            .collect();
        let strides: Vec<_> = (0..layout.planes)
            .map(|plane| layout.row_bytes(plane, SIZE.width))
            .collect();
        for (index, c) in layout.components().iter().enumerate() {
            for y in 0..c.height(SIZE.height) {
                for x in 0..c.width(SIZE.width) {
                    let level =
                        value(x << c.x_shift, y << c.y_shift, index) + noise(random, deviation);
                    let code = (level / 255.0 * c.max()).round().clamp(0.0, c.max()) as u16;
                    let word = (code << c.shift).to_le_bytes();
                    let at = y * strides[c.plane] + c.offset + x * c.step;
                    planes[c.plane][at..at + c.word].copy_from_slice(&word[..c.word]);
                }
            }
        }
        planes
    }

    fn of(format: PixelFormat, planes: &[Vec<u8>]) -> Frame<'_> {
        let layout = format.layout();
        let planes: Vec<(&[u8], usize)> = planes
            .iter()
            .enumerate()
            .map(|(plane, data)| (data.as_slice(), layout.row_bytes(plane, SIZE.width)))
            .collect();
        Frame::of(Format::rgb(format), SIZE, &planes).unwrap()
    }

    fn scene(x: usize, y: usize, index: usize) -> f32 {
        if index > 0 {
            return 120.0;
        }
        60.0 + x as f32 * 0.5
            + if (x / 20 + y / 20).is_multiple_of(2) {
                40.0
            } else {
                0.0
            }
    }

    /// Takes a frame as the flow does.
    fn take(
        steady: &mut Steady,
        before: &mut Reference,
        found: &mut Differences,
        frame: &Frame<'_>,
    ) {
        if !before.compare(frame, found) {
            found.clear(SIZE);
        }
        before.set(frame).unwrap();
        steady.take(frame, found).unwrap();
    }

    /// Root of the mean squared distance of luma from the scene, in levels, of the pixels that `counts`.
    fn error(
        frame: &Frame<'_>,
        value: impl Fn(usize, usize) -> f32,
        counts: impl Fn(usize, usize) -> bool,
    ) -> f32 {
        let max = frame.format().layout().components()[0].max();
        let (mut sum, mut n, mut row) = (0.0, 0.0f32, vec![0.0; SIZE.width]);
        for y in 0..SIZE.height {
            frame.read(0, y, 0, &mut row);
            for (x, code) in row.iter().enumerate() {
                if counts(x, y) {
                    sum += (code * 255.0 / max - value(x, y)).powi(2);
                    n += 1.0;
                }
            }
        }
        (sum / n.max(1.0)).sqrt()
    }

    #[test]
    fn noise_of_what_stands_still_cancels_out_in_every_plain_format() {
        for format in [
            PixelFormat::Nv12,
            PixelFormat::I420,
            PixelFormat::Rgb,
            PixelFormat::P010Le,
            PixelFormat::I420Le10,
            PixelFormat::Gray16Le,
        ] {
            let mut random = Random(0x1234_5678_9abc_def1);
            let (mut steady, mut before, mut found) = Default::default();
            for _ in 0..60 {
                let planes = frame(format, &mut random, 6.0, scene);
                take(&mut steady, &mut before, &mut found, &of(format, &planes));
            }
            let mean = steady.frame().expect("noise is seen");
            let left = error(&mean, |x, y| scene(x, y, 0), |_, _| true);
            assert!(left < 1.8, "{format:?}: {left} of 6 levels are left");
            assert!(
                (4.0..7.5).contains(&steady.noise),
                "{format:?}: {}",
                steady.noise
            );
            if format == PixelFormat::P010Le {
                let row = mean.plane_row(0, 5).as_chunks::<2>().0;
                assert!(
                    row.iter()
                        .all(|word| u16::from_le_bytes(*word).is_multiple_of(64))
                );
            }
        }
    }

    /// A square that moves over it leaves nothing behind, and is as sharp as in the frame.
    #[test]
    fn what_moves_leaves_no_trail() {
        let format = PixelFormat::Nv12;
        for contrast in [30.0, 60.0, -60.0] {
            let mut random = Random(0x0fed_cba9_8765_4321);
            let (mut steady, mut before, mut found) = Default::default();
            for turn in 0..60usize {
                let left = 10 + 2 * turn;
                let inside =
                    |x: usize, y: usize| (left..left + 24).contains(&x) && (30..54).contains(&y);
                let value = |x: usize, y: usize, index: usize| {
                    scene(x, y, index)
                        + if index == 0 && inside(x, y) {
                            contrast
                        } else {
                            0.0
                        }
                };
                let planes = frame(format, &mut random, 6.0, value);
                take(&mut steady, &mut before, &mut found, &of(format, &planes));
                let Some(mean) = steady.frame().filter(|_| turn > 20) else {
                    continue;
                };
                let moving = error(&mean, |x, y| value(x, y, 0), inside);
                // What it was over in the frames before.
                let behind =
                    |x: usize, y: usize| (left - 24..left).contains(&x) && (30..54).contains(&y);
                let trail = error(&mean, |x, y| value(x, y, 0), behind);
                assert!(
                    moving < 6.6 && trail < 6.6,
                    "{contrast}, {turn}: {moving} and {trail}"
                );
            }
            assert!(steady.frame().is_some());
        }
    }

    /// A clean picture that moves everywhere is not taken for noise, nor one that stands still.
    #[test]
    fn what_has_no_noise_is_left_as_it_is() {
        let mut random = Random(0x1357_9bdf_0246_8ace);
        for speed in [0, 1, 3] {
            let (mut steady, mut before, mut found) = Default::default();
            for turn in 0..40 {
                let planes = frame(PixelFormat::I420, &mut random, 0.5, |x, y, index| {
                    scene(x + speed * turn, y + turn * speed / 2, index)
                });
                take(
                    &mut steady,
                    &mut before,
                    &mut found,
                    &of(PixelFormat::I420, &planes),
                );
                assert!(steady.frame().is_none(), "{speed}, {turn}");
            }
        }
        // Formats whose samples share words are never.
        let (mut steady, mut before, mut found) = Default::default();
        for _ in 0..40 {
            let planes = frame(PixelFormat::Rgbx, &mut random, 6.0, scene);
            take(
                &mut steady,
                &mut before,
                &mut found,
                &of(PixelFormat::Rgbx, &planes),
            );
            assert!(steady.frame().is_none());
        }
    }
}
