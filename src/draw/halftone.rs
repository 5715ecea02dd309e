//! Where a picture is made of dots of one pixel, as scans of print, fax and dithered graphics are, networks take the dots for detail that was lost: they draw
//! beyond black and white, which is cut, and what should be grey comes out dark. There the general picture gives way to
//! interpolation, which keeps the mean. Pure, and decided by the input alone, so that it does not depend on how a frame is cut into tiles.
//!
//! The measure tells dots from lines: by how much a pixel's luma exceeds its four neighbours', or falls short of them all, less the difference that
//! there is between the two diagonals; and of that the root of the mean of squares over 7x7 pixels. Photographs stay below 0.1 (Set5,
//! Set14, 20 of BSD100, 8 of Urban100 shrunk by four), small text, lines and noise below 0.15, text of one bit below 0.2; dots that cover
//! a tenth to nine tenths of the area lie between 0.15 and 0.7, nearly all above 0.2.

use crate::SCALE;
use crate::error::Result;
use crate::memory;
use crate::picture::colour;
use crate::picture::vector::widest;
use crate::picture::{ColourFamily, Frame, Rect};

/// For messages.
const WHAT: &str = "what tells dots from a picture";

/// Contrast up to which a network is trusted, and from which on it is not.
const TRUSTED: f32 = 0.15;
const DOTS: f32 = 0.20;

/// Pixels of the box that contrast is the mean of, and of those that luma is compared with, on either side of the centre.
const BOX: usize = 3;
const SURROUND: usize = 1;
const SIDE: usize = 2 * BOX + 1;

/// How far away a pixel of the input can be that has a say, in pixels; one of them for the way from input to output pixels.
pub const REACH: usize = 1 + BOX + SURROUND;

/// Columns that energy is added up over, to see early that there is nothing.
const BLOCK: usize = 32;

/// The share of interpolation in the pixels of a tile. Memory is reused from tile to tile.
#[derive(Debug, Default)]
pub struct Halftone {
    core: Rect,
    /// Three rows of luma, 0 to 1, or of green, which stands for it: of the core and [`REACH`] around it, pixels beyond the frame as its nearest.
    luma: Vec<f32>,
    /// Squared difference to the neighbours, [`REACH`] less [`SURROUND`] around the core; of one row until it is known that there may be dots.
    energy: Vec<f32>,
    /// Its sums over rows of [`BLOCK`] columns.
    blocks: Vec<f32>,
    /// Share of interpolation, one pixel around the core.
    shares: Vec<f32>,
    columns: Vec<f32>,
}

impl Halftone {
    /// Looks at `core` of `input`. Returns whether there are dots anywhere in it.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] where the system has none for numbers of its pixels.
    pub fn find(&mut self, input: &Frame<'_>, core: Rect) -> Result<bool> {
        self.core = core;
        // Mostly there are none, and nothing but the sums has to leave the nearest cache.
        self.measure(input, false)?;
        if !self.may_have_dots() {
            return Ok(false);
        }
        self.measure(input, true)?;
        self.decide()
    }

    /// Energy's sums; all of it too if it is to be kept.
    fn measure(&mut self, input: &Frame<'_>, keep: bool) -> Result<()> {
        let wide = self.core.width + 2 * REACH;
        let (width, height) = self.measured();
        let kept = if keep { height } else { 1 };
        memory::resize(&mut self.energy, width * kept, 0.0, WHAT)?;
        let blocks = width.div_ceil(BLOCK);
        memory::resize(&mut self.blocks, blocks * height, 0.0, WHAT)?;
        self.luma.resize(3 * wide, 0.0);
        for row in 0..height + 2 * SURROUND {
            read_row(
                input,
                self.core,
                row,
                &mut self.luma[row % 3 * wide..][..wide],
            );
            let Some(y) = row.checked_sub(2 * SURROUND) else {
                continue;
            };
            let rows = [y, y + 1, y + 2].map(|row| &self.luma[row % 3 * wide..][..wide]);
            let energy = &mut self.energy[if keep { y * width } else { 0 }..][..width];
            let sums = &mut self.blocks[y * blocks..][..blocks];
            measure_row(rows, energy, sums);
        }
        Ok(())
    }

    /// Sides of the field of energy.
    fn measured(&self) -> (usize, usize) {
        let around = 2 * (REACH - SURROUND);
        (self.core.width + around, self.core.height + around)
    }

    /// Whether there is as much energy anywhere, in columns of two neighbouring blocks, as dots have in one box: without it there are none.
    fn may_have_dots(&self) -> bool {
        let (width, _) = self.measured();
        let blocks = width.div_ceil(BLOCK);
        let least = TRUSTED * TRUSTED * (SIDE * SIDE) as f32;
        self.blocks
            .windows(blocks * (SIDE - 1) + 1)
            .step_by(blocks)
            .enumerate()
            .any(|(row, _)| {
                let sum = |block: usize| -> f32 {
                    (row..row + SIDE)
                        .filter_map(|y| self.blocks.get(y * blocks + block))
                        .sum()
                };
                (0..blocks).any(|block| {
                    let next = if block + 1 < blocks {
                        sum(block + 1)
                    } else {
                        0.0
                    };
                    sum(block) + next >= least
                })
            })
    }

    /// Shares of interpolation. Returns whether one is above 0.
    fn decide(&mut self) -> Result<bool> {
        let (wide, _) = self.measured();
        let (width, height) = (self.core.width + 2, self.core.height + 2);
        memory::resize(&mut self.shares, width * height, 0.0, WHAT)?;
        self.columns.resize(wide, 0.0);
        let mut any = false;
        for (y, shares) in self.shares.chunks_exact_mut(width).enumerate() {
            let columns = &mut self.columns[..wide];
            columns.fill(0.0);
            for row in self.energy[y * wide..].chunks_exact(wide).take(SIDE) {
                columns.iter_mut().zip(row).for_each(|(sum, e)| *sum += e);
            }
            for (share, part) in shares.iter_mut().zip(columns.windows(SIDE)) {
                let contrast = (part.iter().sum::<f32>() / (SIDE * SIDE) as f32).sqrt();
                *share = ((contrast - TRUSTED) / (DOTS - TRUSTED)).clamp(0.0, 1.0);
                any |= *share > 0.0;
            }
        }
        Ok(any)
    }

    /// Share of interpolation in the pixels of row `y` of the output from pixel `x` on, both of the frame and in the core. Returns whether one is above 0.
    pub fn row(&self, x: usize, y: usize, shares: &mut [f32]) -> bool {
        let width = self.core.width + 2;
        // An output pixel's place in the field, whose first pixel's centre is half a pixel before the core less one.
        let place = |output: usize, begin: usize| {
            let at = (output - begin * SCALE) as f32 + 0.5;
            let at = at / SCALE as f32 + 0.5;
            (at as usize, at.fract())
        };
        let (row, down) = place(y, self.core.y);
        let [above, below] = [row, row + 1].map(|row| &self.shares[row * width..][..width]);
        let mut any = false;
        for (i, share) in shares.iter_mut().enumerate() {
            let (column, across) = place(x + i, self.core.x);
            let mean = |row: &[f32]| row[column] * (1.0 - across) + row[column + 1] * across;
            *share = mean(above) * (1.0 - down) + mean(below) * down;
            any |= *share > 0.0;
        }
        any
    }
}

/// Luma of row `row` around `core`, of which the first lies [`REACH`] before it.
fn read_row(input: &Frame<'_>, core: Rect, row: usize, to: &mut [f32]) {
    let size = input.size();
    let layout = input.format().layout();
    let index = usize::from(layout.family == ColourFamily::Rgb);
    let left = core.x.saturating_sub(REACH);
    let right = (core.right() + REACH).min(size.width);
    let y = (core.y + row).saturating_sub(REACH).min(size.height - 1);
    let (first, rest) = to.split_at_mut(REACH + left - core.x);
    let (inner, last) = rest.split_at_mut(right - left);
    input.read(index, y, left, inner);
    colour::scale(inner, 1.0 / layout.components()[index].max(), 0.0);
    first.fill(inner[0]);
    last.fill(inner[inner.len() - 1]);
}

/// Energy of a row of pixels, from the rows above and below and their own, and its sums over [`BLOCK`] columns.
fn measure_row([above, own, below]: [&[f32]; 3], energy: &mut [f32], sums: &mut [f32]) {
    let width = energy.len();
    widest(
        #[inline(always)]
        || {
            // Slices of one length, so that nothing is checked in the loop.
            let energy = &mut energy[..width];
            let (a, b, c) = (&above[..width], &above[1..][..width], &above[2..][..width]);
            let (d, e, f) = (&own[..width], &own[1..][..width], &own[2..][..width]);
            let (g, h, i) = (&below[..width], &below[1..][..width], &below[2..][..width]);
            for x in 0..width {
                let around = [d[x], f[x], b[x], h[x]];
                energy[x] = dot(e[x], around, [a[x] + i[x], c[x] + g[x]]);
            }
            for (sum, block) in sums.iter_mut().zip(energy.chunks(BLOCK)) {
                *sum = total(block);
            }
        },
    );
}

/// How much a pixel is a dot, squared: `own` its luma, `around` that of its four neighbours, `diagonals` the sums of the pairs across it.
#[inline(always)]
fn dot(own: f32, [left, right, up, down]: [f32; 4], diagonals: [f32; 2]) -> f32 {
    let beyond = own - larger(larger(left, right), larger(up, down));
    let short = smaller(smaller(left, right), smaller(up, down)) - own;
    let [first, second] = diagonals.map(|sum| (own - 0.5 * sum).abs());
    let dot = larger(larger(beyond, short) - (first - second).abs(), 0.0);
    dot * dot
}

/// As vector instructions have it: luma is a number always.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// The sum of `values`, eight side by side.
#[inline(always)]
fn total(values: &[f32]) -> f32 {
    let (eights, rest) = values.as_chunks::<8>();
    let mut lanes = [0.0; 8];
    for eight in eights {
        for (lane, value) in lanes.iter_mut().zip(eight) {
            *lane += value;
        }
    }
    lanes.iter().chain(rest).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Size;

    fn grey(size: Size, value: impl Fn(usize, usize) -> u8) -> Vec<u8> {
        (0..size.area())
            .flat_map(|i| [value(i % size.width, i / size.width); 3])
            .collect()
    }

    /// Shares in f64 over the whole picture, as the file's first lines say them.
    fn shares(size: Size, value: impl Fn(usize, usize) -> u8) -> Vec<f64> {
        let at = |x: isize, y: isize| {
            let x = x.clamp(0, size.width as isize - 1) as usize;
            let y = y.clamp(0, size.height as isize - 1) as usize;
            f64::from(value(x, y)) / 255.0
        };
        let field = |radius: isize, of: &dyn Fn(isize, isize) -> f64, x: isize, y: isize| {
            let side = (2 * radius + 1) as f64;
            (-radius..=radius)
                .flat_map(|dy| (-radius..=radius).map(move |dx| (dx, dy)))
                .map(|(dx, dy)| of(x + dx, y + dy))
                .sum::<f64>()
                / (side * side)
        };
        let energy = |x: isize, y: isize| {
            let own = at(x, y);
            let from = |dx, dy| (own - (at(x - dx, y - dy) + at(x + dx, y + dy)) / 2.0).abs();
            let around = [at(x - 1, y), at(x + 1, y), at(x, y - 1), at(x, y + 1)];
            let peak = around.iter().map(|v| own - v).fold(f64::MAX, f64::min);
            let pit = around.iter().map(|v| v - own).fold(f64::MAX, f64::min);
            (peak.max(pit) - (from(1, 1) - from(1, -1)).abs())
                .max(0.0)
                .powi(2)
        };
        (0..size.area())
            .map(|i| {
                let (x, y) = ((i % size.width) as isize, (i / size.width) as isize);
                let contrast = field(3, &energy, x, y).sqrt();
                let (low, high) = (f64::from(TRUSTED), f64::from(DOTS));
                ((contrast - low) / (high - low)).clamp(0.0, 1.0)
            })
            .collect()
    }

    /// Dots on the left, an edge in the middle, nothing on the right.
    fn mixed(x: usize, y: usize) -> u8 {
        match x {
            0..30 => 255 * ((x * 7 + y * 5 + x * y).is_multiple_of(3)) as u8,
            30..60 => 20,
            _ => 220,
        }
    }

    #[test]
    fn is_what_it_says_however_a_frame_is_cut() {
        let size = Size::new(90, 40);
        let data = grey(size, mixed);
        let frame = Frame::new(&data, size, 3 * size.width).unwrap();
        let expected = shares(size, mixed);
        let mut halftone = Halftone::default();
        let mut seen = [false; 2];
        for (width, height) in [(90, 40), (7, 9), (33, 40), (16, 16)] {
            for y in (0..size.height).step_by(height) {
                for x in (0..size.width).step_by(width) {
                    let core = Rect {
                        x,
                        y,
                        width: width.min(size.width - x),
                        height: height.min(size.height - y),
                    };
                    let found = halftone.find(&frame, core).unwrap();
                    seen[usize::from(found)] = true;
                    for row in 0..core.height {
                        for column in 0..core.width {
                            let wanted = expected[(y + row) * size.width + x + column];
                            let share = if found {
                                halftone.shares[(row + 1) * (core.width + 2) + column + 1]
                            } else {
                                0.0
                            };
                            let apart = (f64::from(share) - wanted).abs();
                            assert!(apart < 1e-3, "{core:?} {column} {row}: {share}, {wanted}");
                        }
                    }
                }
            }
        }
        assert_eq!(seen, [true, true]);
    }

    #[test]
    fn shares_change_evenly_from_pixel_to_pixel() {
        let size = Size::new(90, 40);
        let data = grey(size, mixed);
        let frame = Frame::new(&data, size, 3 * size.width).unwrap();
        let mut halftone = Halftone::default();
        assert!(halftone.find(&frame, Rect::whole(size)).unwrap());
        let mut row = vec![0.0; SCALE * size.width];
        assert!(halftone.row(0, 60, &mut row));
        assert!(row[20..100].iter().all(|share| *share > 0.9), "{row:?}");
        assert!(row[160..].iter().all(|share| *share == 0.0), "{row:?}");
        let largest = row.windows(2).map(|pair| (pair[1] - pair[0]).abs());
        assert!(largest.fold(0.0, f32::max) < 0.25, "{row:?}");
        // The part of a row, of a tile, is the same.
        let core = Rect {
            x: 20,
            y: 10,
            width: 30,
            height: 20,
        };
        assert!(halftone.find(&frame, core).unwrap());
        let mut part = vec![0.0; 40];
        halftone.row(4 * 22, 60, &mut part);
        for (part, whole) in part.iter().zip(&row[4 * 22..]) {
            assert!((part - whole).abs() < 1e-4);
        }
    }

    #[test]
    fn lines_edges_and_noise_are_no_dots() {
        let size = Size::new(64, 48);
        let noise = |x: usize, y: usize| ((x * 7919 + y * 104_729 + x * y * 31) % 97) as u8 + 80;
        let edge = |x: usize, y: usize| if x + 2 * y > 70 { 255 } else { 0 };
        let line = |x: usize, y: usize| if (x + y).is_multiple_of(16) { 255 } else { 0 };
        let pictures = [grey(size, noise), grey(size, edge), grey(size, line)];
        for data in pictures {
            let frame = Frame::new(&data, size, 3 * size.width).unwrap();
            let found = Halftone::default().find(&frame, Rect::whole(size));
            assert!(!found.unwrap());
        }
    }
}
