//! Bicubic enlargement of one component, row by row, from the grid of an input frame to that of the output: Keys' cubic convolution with
//! a = -0.5, IEEE TASSP 29(6) 1981, the picture continued at its edges by its outermost samples. Pure.

use std::ops::Range;

use super::format::{ChromaSite, Component};
use super::vector::widest;
use crate::SCALE;

/// Taps of the kernel.
const TAPS: usize = 4;

/// Where the samples of an output row (or column) lie between those of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GridAxis {
    /// The frame's width over the component's, as a power of two, in the input and in the output.
    from: u32,
    to: u32,
    /// Whether a sample that pixels share lies on the first of them, in the input and in the output.
    from_first: bool,
    to_first: bool,
}

/// The taps of one output sample: the first input sample and the weights.
#[derive(Debug, Clone, Copy)]
struct Tap {
    first: isize,
    weights: [f32; TAPS],
}

/// Keys' kernel.
fn keys(t: f64) -> f64 {
    let t = t.abs();
    if t <= 1.0 {
        (1.5 * t - 2.5) * t * t + 1.0
    } else if t < 2.0 {
        ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0
    } else {
        0.0
    }
}

impl GridAxis {
    /// Across, from component `from` of a frame with samples at `from_site` to component `to` of another.
    pub fn across(
        from: &Component,
        from_site: ChromaSite,
        to: &Component,
        to_site: ChromaSite,
    ) -> Self {
        Self {
            from: from.x_shift,
            to: to.x_shift,
            from_first: from.x_shift > 0 && from_site.left,
            to_first: to.x_shift > 0 && to_site.left,
        }
    }

    /// Down.
    pub fn down(
        from: &Component,
        from_site: ChromaSite,
        to: &Component,
        to_site: ChromaSite,
    ) -> Self {
        Self {
            from: from.y_shift,
            to: to.y_shift,
            from_first: from.y_shift > 0 && from_site.top,
            to_first: to.y_shift > 0 && to_site.top,
        }
    }

    /// Output samples for each of the input.
    fn ratio(self) -> usize {
        (SCALE << self.from) >> self.to
    }

    /// Where output sample `index` lies, counted in input samples: whole numbers are samples.
    fn position(self, index: usize) -> f64 {
        let place = |index: f64, shift: u32, first: bool| {
            let side = f64::from(1u32 << shift);
            if first {
                index * side + 0.5
            } else {
                (index + 0.5) * side
            }
        };
        let pixel = place(index as f64, self.to, self.to_first) / SCALE as f64;
        let side = f64::from(1u32 << self.from);
        if self.from_first {
            (pixel - 0.5) / side
        } else {
            pixel / side - 0.5
        }
    }

    fn tap(self, index: usize) -> Tap {
        let at = self.position(index);
        let first = at.floor() as isize - 1;
        Tap {
            first,
            weights: std::array::from_fn(|k| keys(at - (first + k as isize) as f64) as f32),
        }
    }
}

/// Enlarges rows of one component, one after the other. Keeps the rows that the next one needs too.
#[derive(Debug, Clone)]
pub struct Interpolator {
    across: Vec<Tap>,
    down: Vec<Tap>,
    /// Samples in a row of the input, and rows.
    size: (usize, usize),
    /// Output samples that are wanted.
    wanted: Range<usize>,
    /// The first input sample, perhaps before the row's own first, and how many.
    first: isize,
    length: usize,
    /// Rows that are held, each with its number.
    rows: [(Option<usize>, Vec<f32>); TAPS],
    mixed: Vec<f32>,
}

impl Default for Interpolator {
    fn default() -> Self {
        Self {
            across: Vec::new(),
            down: Vec::new(),
            size: (0, 0),
            wanted: 0..0,
            first: 0,
            length: 0,
            rows: Default::default(),
            mixed: Vec::new(),
        }
    }
}

impl Interpolator {
    /// Begins a piece: columns `wanted` of the output of an input component of `size` samples.
    pub fn begin(
        &mut self,
        across: GridAxis,
        down: GridAxis,
        size: (usize, usize),
        wanted: Range<usize>,
    ) {
        let taps = |axis: GridAxis, taps: &mut Vec<Tap>| {
            taps.clear();
            taps.extend((0..axis.ratio().max(1)).map(|phase| axis.tap(phase)));
        };
        taps(across, &mut self.across);
        taps(down, &mut self.down);
        self.size = size;
        let ratio = self.across.len();
        let at = |index: usize, tap: &Tap| (index / ratio) as isize + tap.first;
        let ends = [wanted.start, wanted.end.max(1) - 1].map(|i| at(i, &self.across[i % ratio]));
        // Of neighbours the one may begin one sample before the other.
        self.first = ends[0] - 1;
        self.length = (ends[1] - ends[0]) as usize + TAPS + 2;
        self.wanted = wanted;
        for (held, row) in &mut self.rows {
            *held = None;
            row.resize(self.length, 0.0);
        }
        self.mixed.resize(self.length, 0.0);
    }

    /// Row `index` of the output, its wanted columns. `read` is asked for a row of the input, from a sample on.
    pub fn row(
        &mut self,
        index: usize,
        mut read: impl FnMut(usize, usize, &mut [f32]),
        to: &mut [f32],
    ) {
        let ratio = self.down.len();
        let tap = self.down[index % ratio];
        let top = (index / ratio) as isize + tap.first;
        let (width, height) = self.size;
        let numbers: [usize; TAPS] =
            std::array::from_fn(|k| (top + k as isize).clamp(0, height as isize - 1) as usize);
        let (first, length) = (self.first, self.length);
        for number in numbers {
            let (held, row) = &mut self.rows[number % TAPS];
            if *held == Some(number) {
                continue;
            }
            *held = Some(number);
            let begin = first.clamp(0, width as isize - 1) as usize;
            let end = (first + length as isize).clamp(begin as isize + 1, width as isize) as usize;
            let place = (begin as isize - first).clamp(0, length as isize - 1) as usize;
            let inside = (end - begin).min(length - place);
            read(number, begin, &mut row[place..place + inside]);
            let (left, right) = (row[place], row[place + inside - 1]);
            row[..place].fill(left);
            row[place + inside..].fill(right);
        }
        let [a, b, c, d] = numbers.map(|number| self.rows[number % TAPS].1.as_slice());
        let [wa, wb, wc, wd] = tap.weights;
        let (mixed, across, wanted) = (&mut self.mixed, &self.across, &self.wanted);
        widest(
            #[inline(always)]
            || {
                for ((((m, a), b), c), d) in mixed.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                    *m = (wa * a + wd * d) + (wb * b + wc * c);
                }
                match across.len() {
                    1 => expand::<1>(mixed, first, across, wanted.start, to),
                    2 => expand::<2>(mixed, first, across, wanted.start, to),
                    4 => expand::<4>(mixed, first, across, wanted.start, to),
                    8 => expand::<8>(mixed, first, across, wanted.start, to),
                    _ => expand::<16>(mixed, first, across, wanted.start, to),
                }
            },
        );
    }
}

/// Output samples from `start` on of `row`, whose first sample is number `first`; `P` of them lie between two of the input. Each is the same
/// sum in the same order wherever a piece begins.
#[inline(always)]
fn expand<const P: usize>(row: &[f32], first: isize, taps: &[Tap], start: usize, to: &mut [f32]) {
    const SPAN: usize = TAPS + 1;
    let Ok(taps) = <&[Tap; P]>::try_from(taps) else {
        return;
    };
    // All taps of a group lie within as many samples as that: weights by sample, then by phase.
    let least = taps[0].first;
    let mut weights = [[0.0; P]; SPAN];
    for (phase, tap) in taps.iter().enumerate() {
        for (k, weight) in tap.weights.into_iter().enumerate() {
            if let Some(of_sample) = weights.get_mut((tap.first - least) as usize + k) {
                of_sample[phase] = weight;
            }
        }
    }
    let group = |window: &[f32]| {
        let mut sums = [0.0; P];
        for (value, weights) in window.iter().zip(&weights) {
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum += weight * value;
            }
        }
        sums
    };
    let at = (start / P) as isize + least - first;
    let mut windows = row
        .get(at.max(0) as usize..)
        .unwrap_or_default()
        .windows(SPAN);
    let skipped = start % P;
    let mut rest = to;
    if skipped > 0 {
        let count = (P - skipped).min(rest.len());
        let (heads, after) = rest.split_at_mut(count);
        if let Some(window) = windows.next() {
            heads.copy_from_slice(&group(window)[skipped..skipped + count]);
        }
        rest = after;
    }
    let (groups, tail) = rest.as_chunks_mut::<P>();
    for (values, window) in groups.iter_mut().zip(windows.by_ref()) {
        *values = group(window);
    }
    if let (false, Some(window)) = (tail.is_empty(), windows.next()) {
        tail.copy_from_slice(&group(window)[..tail.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::format::PixelFormat;

    /// Every pair of subsamplings and sites, pieces at any place, against (Keys) evaluated at each sample's place in the picture.
    #[test]
    fn equals_the_kernel_at_every_place() {
        let shifts = [
            (PixelFormat::Y444, 0, 0),
            (PixelFormat::Y42b, 1, 0),
            (PixelFormat::I420, 1, 1),
            (PixelFormat::Y41b, 2, 0),
        ];
        let sites = [(false, false), (true, false), (true, true)]
            .map(|(left, top)| ChromaSite { left, top });
        for (from, ..) in shifts {
            for (to, ..) in shifts {
                for from_site in sites {
                    for to_site in sites {
                        check(from, from_site, to, to_site);
                    }
                }
            }
        }
    }

    fn check(from: PixelFormat, from_site: ChromaSite, to: PixelFormat, to_site: ChromaSite) {
        let (from, to) = (&from.layout().components()[1], &to.layout().components()[1]);
        let (width, height) = (13usize, 7usize);
        let size = (from.width(width), from.height(height));
        let value = |x: usize, y: usize| ((x * 37 + y * 91) % 101) as f32;
        let out = (to.width(4 * width), to.height(4 * height));
        // Where a sample lies in the output picture, in output pixels from its corner.
        let place = |i: usize, shift: u32, first: bool| {
            let side = f64::from(1 << shift);
            if first && shift > 0 {
                i as f64 * side + 0.5
            } else {
                (i as f64 + 0.5) * side
            }
        };
        let (across, down) = (
            GridAxis::across(from, from_site, to, to_site),
            GridAxis::down(from, from_site, to, to_site),
        );
        for wanted in [0..out.0, 3..out.0.min(9), out.0 - 1..out.0] {
            let mut interpolator = Interpolator::default();
            interpolator.begin(across, down, size, wanted.clone());
            for y in 0..out.1 {
                let mut row = vec![f32::NAN; wanted.len()];
                let read = |y: usize, first: usize, to: &mut [f32]| {
                    for (i, v) in to.iter_mut().enumerate() {
                        assert!(first + i < size.0 && y < size.1);
                        *v = value(first + i, y);
                    }
                };
                interpolator.row(y, read, &mut row);
                for (x, found) in wanted.clone().zip(row) {
                    let mut expected = 0.0;
                    let mut total = 0.0;
                    for j in -9..size.1 as isize + 9 {
                        for i in -9..size.0 as isize + 9 {
                            // The places of input samples in input pixels, continued beyond the edges.
                            let at = |i: isize, shift: u32, first: bool| {
                                let side = f64::from(1 << shift);
                                if first && shift > 0 {
                                    i as f64 * side + 0.5
                                } else {
                                    (i as f64 + 0.5) * side
                                }
                            };
                            let dx = place(x, to.x_shift, to_site.left) / 4.0
                                - at(i, from.x_shift, from_site.left);
                            let dy = place(y, to.y_shift, to_site.top) / 4.0
                                - at(j, from.y_shift, from_site.top);
                            let weight = keys(dx / f64::from(1 << from.x_shift))
                                * keys(dy / f64::from(1 << from.y_shift));
                            let (ci, cj) = (
                                i.clamp(0, size.0 as isize - 1),
                                j.clamp(0, size.1 as isize - 1),
                            );
                            expected += weight * f64::from(value(ci as usize, cj as usize));
                            total += weight;
                        }
                    }
                    assert!((total - 1.0).abs() < 1e-9);
                    assert!(
                        (f64::from(found) - expected).abs() < 1e-3,
                        "{from:?} {from_site:?} {to:?} {to_site:?} {x},{y}: {found} {expected}"
                    );
                }
            }
        }
    }
}
