//! `w` of equation (2) for an object of which more than the box is known: its mask, dilated and convolved with the Gaussian. Pure.
//!
//! All of that is in coordinates of the box: padding and Gaussian are fractions of its sides. So a table of `w` over the box and its surroundings is made
//! once for a mask, and looked up wherever the box is, however large. Padding dilates by a rectangle, as it makes a box larger: of the mask that is all of
//! the box `w` is that of the box.

use std::ops::Range;
use std::sync::Arc;

use super::gauss::{CUT, cut_normal_cdf};
use crate::SCALE;
use crate::find::{BBox, InstanceMask};
use crate::picture::{Rect, Size};

/// Nodes of the table for each standard deviation. Between them `w` is interpolated linearly, which is less than a thousandth off.
const NODES_PER_SIGMA: f64 = 6.0;
/// Most nodes along a side.
const MOST_NODES: usize = 384;
/// The least standard deviation, half a cell of the mask: edges of its cells do not show.
const LEAST_SIGMA: f64 = 0.5 / InstanceMask::SIDE as f64;

/// Places along an axis, in sides of the box from its low edge.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Nodes {
    low: f64,
    step: f64,
    count: usize,
}

/// What is known along one axis while a table is made: the edges of intervals in which the dilated mask is constant, and the cells that each has the
/// largest of.
struct Intervals {
    edges: Vec<f64>,
    cells: Vec<Range<usize>>,
}

impl Intervals {
    /// Of the cells `first..end`, dilated by `padding`.
    fn new(first: usize, end: usize, padding: f64) -> Self {
        let side = InstanceMask::SIDE as f64;
        let place = |cell: usize| cell as f64 / side;
        let mut edges: Vec<f64> = (first..=end)
            .flat_map(|cell| [place(cell) - padding, place(cell) + padding])
            .collect();
        edges.sort_by(f64::total_cmp);
        edges.dedup();
        let cells = edges.windows(2).map(|pair| {
            let middle = (pair[0] + pair[1]) / 2.0;
            let low = ((middle - padding) * side).floor().max(first as f64) as usize;
            let high = ((middle + padding) * side).ceil().min(end as f64) as usize;
            low..high.max(low)
        });
        let cells = cells.collect();
        Self { edges, cells }
    }

    /// The places at which `w` is reckoned for the Gaussian of standard deviation `sigma`: from where it begins to where it ends.
    fn nodes(&self, sigma: f64) -> Nodes {
        let end = |edge: Option<&f64>| edge.copied().unwrap_or_default();
        let low = end(self.edges.first()) - CUT * sigma;
        let high = end(self.edges.last()) + CUT * sigma;
        let wanted = ((high - low) / sigma * NODES_PER_SIGMA).ceil() as usize + 1;
        let count = wanted.clamp(2, MOST_NODES);
        let step = (high - low) / (count - 1) as f64;
        Nodes { low, step, count }
    }

    /// For each of `nodes` how much of the Gaussian around it lies in each interval, from the first on that has any.
    fn shares(&self, nodes: &Nodes, sigma: f64) -> Vec<(usize, Vec<f64>)> {
        let share = |node: usize| {
            let place = nodes.low + node as f64 * nodes.step;
            let below = |edge: f64| match (place - edge) / sigma {
                t if t <= -CUT => 0.0,
                t if t >= CUT => 1.0,
                t => cut_normal_cdf(t),
            };
            let (mut first, mut shares) = (0, Vec::new());
            let mut left = below(self.edges[0]);
            for (index, edge) in self.edges[1..].iter().enumerate() {
                let right = below(*edge);
                let share = left - right;
                left = right;
                if share > 0.0 {
                    if shares.is_empty() {
                        first = index;
                    }
                    shares.push(share);
                } else if !shares.is_empty() {
                    if left <= 0.0 {
                        break;
                    }
                    shares.push(0.0);
                }
            }
            (first, shares)
        };
        (0..nodes.count).map(share).collect()
    }
}

/// `w` of a mask at the nodes of a grid over its box and what is around it, for a weight of 1.
#[derive(Debug, PartialEq)]
struct Table {
    x: Nodes,
    y: Nodes,
    /// Row by row; 0 along the edges.
    values: Vec<f32>,
    /// Whether a row has anything.
    used: Vec<bool>,
}

/// First and end of what is set.
fn stretch(
    mut set: impl DoubleEndedIterator<Item = bool> + ExactSizeIterator + Clone,
) -> Option<Range<usize>> {
    let end = set.clone().rposition(|is_set| is_set)? + 1;
    let first = set.position(|is_set| is_set)?;
    Some(first..end)
}

impl Table {
    /// The table of `mask`; `None` where there is nothing of the object.
    fn new(mask: &InstanceMask, padding: f64, sigma: f64) -> Option<Self> {
        let (side, cells) = (InstanceMask::SIDE, mask.values());
        let sigma = sigma.max(LEAST_SIGMA);
        let column = |x: usize| (0..side).any(|y| cells[y * side + x] > 0.0);
        let row = |y: usize| cells[y * side..][..side].iter().any(|v| *v > 0.0);
        let columns = stretch((0..side).map(column))?;
        let rows = stretch((0..side).map(row))?;
        let across = Intervals::new(columns.start, columns.end, padding);
        let down = Intervals::new(rows.start, rows.end, padding);
        let (x, y) = (across.nodes(sigma), down.nodes(sigma));
        // Dilated along rows, then along columns.
        let largest = |values: &mut dyn Iterator<Item = f32>| values.fold(0.0f32, f32::max);
        let wide: Vec<Vec<f32>> = (0..side)
            .map(|y| {
                let line = &cells[y * side..][..side];
                let cells = across.cells.iter();
                let cells = cells.map(|range| largest(&mut line[range.clone()].iter().copied()));
                cells.collect()
            })
            .collect();
        let shares = across.shares(&x, sigma);
        // Convolved along rows: of each interval of rows the values at the nodes.
        let convolved: Vec<Vec<f64>> = down
            .cells
            .iter()
            .map(|range| {
                let dilated: Vec<f64> = (0..across.cells.len())
                    .map(|index| {
                        let column = wide[range.clone()].iter().map(|line| line[index]);
                        f64::from(largest(&mut { column }))
                    })
                    .collect();
                let at = |(first, shares): &(usize, Vec<f64>)| {
                    let pairs = shares.iter().zip(&dilated[*first..]);
                    pairs.map(|(share, value)| share * value).sum::<f64>()
                };
                shares.iter().map(at).collect()
            })
            .collect();
        let mut values = vec![0.0f32; x.count * y.count];
        let mut sums = vec![0.0f64; x.count];
        let lines = values.chunks_exact_mut(x.count);
        for (line, (first, shares)) in lines.zip(down.shares(&y, sigma)) {
            sums.fill(0.0);
            for (share, row) in shares.iter().zip(&convolved[first..]) {
                let pairs = sums.iter_mut().zip(row);
                pairs.for_each(|(sum, value)| *sum += share * value);
            }
            for (value, sum) in line.iter_mut().zip(&sums) {
                *value = sum.clamp(0.0, 1.0) as f32;
            }
        }
        // Where the Gaussian begins there is nothing yet but rounding.
        for line in values.chunks_exact_mut(x.count) {
            (line[0], line[x.count - 1]) = (0.0, 0.0);
        }
        values[..x.count].fill(0.0);
        values[(y.count - 1) * x.count..].fill(0.0);
        let lines = values.chunks_exact(x.count);
        let used = lines.map(|line| line.iter().any(|v| *v > 0.0)).collect();
        Some(Self { x, y, values, used })
    }

    /// Columns and rows of the largest rectangle of nodes that all have at least `least`, with two nodes along each side or more.
    fn rectangle(&self, least: f32) -> Option<(Range<usize>, Range<usize>)> {
        let mut heights = vec![0usize; self.x.count];
        let mut best = (0, 0..0, 0..0);
        let mut open: Vec<(usize, usize)> = Vec::new();
        for (row, line) in self.values.chunks_exact(self.x.count).enumerate() {
            for (height, value) in heights.iter_mut().zip(line) {
                *height = if *value >= least { *height + 1 } else { 0 };
            }
            // The columns from which rectangles of a height go on, lower ones first.
            open.clear();
            for (column, height) in heights.iter().copied().chain([0]).enumerate() {
                let mut from = column;
                while let Some(&(start, tall)) = open.last().filter(|(_, tall)| *tall > height) {
                    open.pop();
                    from = start;
                    let area = (column - start) * tall;
                    if area > best.0 && column - start > 1 && tall > 1 {
                        best = (area, start..column, row + 1 - tall..row + 1);
                    }
                }
                if height > 0 && open.last().is_none_or(|(_, tall)| *tall < height) {
                    open.push((from, height));
                }
            }
        }
        (best.0 > 0).then_some((best.1, best.2))
    }
}

/// A place between two nodes: the first of them, and how far it is to the second.
type Between = (u32, f32);

/// The table of a mask, where its box is in a frame. Without a table it is of nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Silhouette {
    /// What the table is of.
    key: Option<(Arc<InstanceMask>, f64, f64)>,
    table: Option<Arc<Table>>,
    /// First output column and row, and where in the table each of them is from there on.
    start: (usize, usize),
    columns: Vec<Between>,
    rows: Vec<Between>,
}

/// The whole input pixels in which `nodes` lie for a box from `low` on of this `extent`, inside `0..length`, and where each of their output pixels is.
fn place(
    nodes: &Nodes,
    (low, extent): (f64, f64),
    length: usize,
    places: &mut Vec<Between>,
) -> Range<usize> {
    let clip = |v: f64| v.clamp(0.0, length as f64);
    let end = nodes.low + (nodes.count - 1) as f64 * nodes.step;
    let first = clip((low + nodes.low * extent).floor()) as usize;
    let last = clip((low + end * extent).ceil()) as usize;
    places.clear();
    places.extend((first * SCALE..last * SCALE).map(|pixel| {
        let centre = (pixel as f64 + 0.5) / SCALE as f64;
        let along = ((centre - low) / extent - nodes.low) / nodes.step;
        let along = along.clamp(0.0, (nodes.count - 1) as f64);
        let node = (along as usize).min(nodes.count - 2);
        (node as u32, (along - node as f64) as f32)
    }));
    first..last
}

impl Silhouette {
    /// Whether it is of an object.
    pub fn is_there(&self) -> bool {
        self.table.is_some()
    }

    /// Has it be of nothing.
    pub fn clear(&mut self) {
        (self.key, self.table) = (None, None);
        self.start = (0, 0);
        self.columns.clear();
        self.rows.clear();
    }

    /// The same table as is made of `mask` with these numbers, if it is of that.
    pub fn of(&self, mask: &Arc<InstanceMask>, padding: f64, sigma: f64) -> Option<Self> {
        let is_it = |key: &(Arc<InstanceMask>, f64, f64)| {
            Arc::ptr_eq(&key.0, mask) && (key.1, key.2) == (padding, sigma)
        };
        self.key.as_ref().filter(|key| is_it(key)).map(|key| Self {
            key: Some(key.clone()),
            table: self.table.clone(),
            ..Self::default()
        })
    }

    /// Makes the table of `mask`, with `padding` and `sigma` as fractions of its box's sides, if `known` is not it.
    pub fn fill(
        &mut self,
        mask: &Arc<InstanceMask>,
        padding: f64,
        sigma: f64,
        known: Option<Self>,
    ) {
        match known {
            Some(known) => (self.key, self.table) = (known.key, known.table),
            None => {
                self.table = Table::new(mask, padding, sigma).map(Arc::new);
                self.key = Some((mask.clone(), padding, sigma));
            }
        }
    }

    /// Puts it where `bbox` is in an input frame of `size` pixels. Returns the rectangle outside which its `w` is 0, in input pixels; `None` if that
    /// is everywhere.
    pub fn place(&mut self, bbox: BBox, size: Size) -> Option<Rect> {
        let table = self.table.as_ref()?;
        let along = |low: f32, high: f32| (f64::from(low), f64::from(high) - f64::from(low));
        let (x, y) = (along(bbox.x0, bbox.x1), along(bbox.y0, bbox.y1));
        let across = place(&table.x, x, size.width, &mut self.columns);
        let down = place(&table.y, y, size.height, &mut self.rows);
        self.start = (across.start * SCALE, down.start * SCALE);
        (!across.is_empty() && !down.is_empty()).then(|| Rect {
            x: across.start,
            y: down.start,
            width: across.len(),
            height: down.len(),
        })
    }

    /// A rectangle in output pixels in which all of `w` for a weight of 1 is at least `least`.
    pub fn rectangle(&self, least: f32) -> Option<Rect> {
        // What lies between two nodes is no less than the lesser, but for rounding.
        let (columns, rows) = self.table.as_ref()?.rectangle(least + 1e-5)?;
        let inside = |places: &[Between], nodes: &Range<usize>| {
            let is_in = |(node, _): &Between| {
                let node = *node as usize;
                nodes.start <= node && node + 1 < nodes.end
            };
            stretch(places.iter().map(is_in))
        };
        let (across, down) = (inside(&self.columns, &columns)?, inside(&self.rows, &rows)?);
        Some(Rect {
            x: self.start.0 + across.start,
            y: self.start.1 + down.start,
            width: across.len(),
            height: down.len(),
        })
    }

    /// Raises `w` of the output pixels from `x` on of output row `y` to its own, for an object of this `weight`. Returns whether any of its may be above 0.
    pub fn raise(&self, weight: f32, x: usize, y: usize, w: &mut [f32]) -> bool {
        let row = y.checked_sub(self.start.1).and_then(|y| self.rows.get(y));
        let (Some(table), Some(&(row, down))) = (&self.table, row) else {
            return false;
        };
        let (row, count) = (row as usize, table.x.count);
        let (left, right) = (
            self.start.0.max(x),
            (self.start.0 + self.columns.len()).min(x + w.len()),
        );
        if left >= right || !(table.used[row] || table.used[row + 1]) {
            return false;
        }
        let line = |row: usize| &table.values[row * count..][..count];
        let (above, below) = (line(row), line(row + 1));
        let columns = &self.columns[left - self.start.0..right - self.start.0];
        for (w, &(node, along)) in w[left - x..right - x].iter_mut().zip(columns) {
            let node = node as usize;
            let upper = above[node] + along * (above[node + 1] - above[node]);
            let lower = below[node] + along * (below[node + 1] - below[node]);
            let value = (upper + down * (lower - upper)).clamp(0.0, 1.0);
            *w = w.max(weight * value);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    const SIDE: usize = InstanceMask::SIDE;

    /// A disc with a notch, soft along its edge, and a speck apart from it.
    fn shape() -> InstanceMask {
        InstanceMask::new(|x, y| {
            let (u, v) = ((x as f32 + 0.5) / 28.0, (y as f32 + 0.5) / 28.0);
            if (x, y) == (26, 2) {
                return 0.7;
            }
            if (11..14).contains(&x) && y < 12 {
                return 0.0;
            }
            ((0.36 - (u - 0.45).hypot(v - 0.55)) * 20.0).clamp(0.0, 1.0)
        })
    }

    /// All of `w`, row by row.
    fn weights(mask: &InstanceMask, bbox: BBox, size: Size, padding: f64, sigma: f64) -> Vec<f32> {
        let mut silhouette = Silhouette::default();
        silhouette.fill(&Arc::new(mask.clone()), padding, sigma, None);
        let support = silhouette.place(bbox, size).unwrap().scaled(SCALE);
        let out = size.scaled(SCALE);
        let mut all = vec![0.0; out.area()];
        for (y, row) in all.chunks_exact_mut(out.width).enumerate() {
            silhouette.raise(1.0, 0, y, row);
            let mut part = vec![0.0; 13];
            silhouette.raise(1.0, 9, y, &mut part);
            assert_eq!(part, row[9..22]);
            for (x, w) in row.iter().enumerate() {
                let is_in = (support.x..support.right()).contains(&x)
                    && (support.y..support.bottom()).contains(&y);
                assert!(*w == 0.0 || is_in, "{w} at {x},{y} outside of {support:?}");
            }
        }
        all
    }

    /// By brute force in two dimensions, in f64: at each point of a grid finer than the output's the largest value of the cells that touch the
    /// rectangle around it, convolved with the sampled, cut and normalised Gaussian.
    fn reference(
        mask: &InstanceMask,
        bbox: BBox,
        size: Size,
        padding: f64,
        sigma: f64,
    ) -> Vec<f64> {
        const FINE: usize = 9;
        let step = 1.0 / (SCALE * FINE) as f64;
        let (width, height) = (f64::from(bbox.x1 - bbox.x0), f64::from(bbox.y1 - bbox.y0));
        let reach = |extent: f64| ((padding + CUT * sigma) * extent / step).ceil() as i64 + 40;
        // The grid goes beyond the frame, which cuts the mask and does not change it.
        let (mx, my) = (reach(width), reach(height));
        let grid = (
            (size.width * SCALE * FINE) as i64 + 2 * mx,
            (size.height * SCALE * FINE) as i64 + 2 * my,
        );
        let touched = |p: f64| {
            let (low, high) = ((p - padding) * SIDE as f64, (p + padding) * SIDE as f64);
            (0..SIDE).filter(move |cell| (*cell as f64) < high && *cell as f64 + 1.0 > low)
        };
        let kernel = |extent: f64| -> Vec<f64> {
            let reach = (CUT * sigma * extent / step).floor() as i64;
            let all: Vec<f64> = (-reach..=reach)
                .map(|k| (-0.5 * (k as f64 * step / (sigma * extent)).powi(2)).exp())
                .collect();
            let sum: f64 = all.iter().sum();
            all.iter().map(|v| v / sum).collect()
        };
        let (kx, ky) = (kernel(width), kernel(height));
        let centres = |count: usize, margin: i64| {
            (0..count * SCALE).map(move |x| margin + (x * FINE + FINE / 2) as i64)
        };
        let columns: Vec<Vec<usize>> = (0..grid.0)
            .map(|x| {
                let u = ((x - mx) as f64 + 0.5) * step;
                touched((u - f64::from(bbox.x0)) / width).collect()
            })
            .collect();
        // Along rows, at the centres of output pixels alone.
        let rows: Vec<Vec<f64>> = (0..grid.1)
            .map(|y| {
                let v = ((y - my) as f64 + 0.5) * step;
                let cells: Vec<usize> = touched((v - f64::from(bbox.y0)) / height).collect();
                let best: Vec<f64> = (0..SIDE)
                    .map(|x| {
                        cells
                            .iter()
                            .map(|y| f64::from(mask.values()[y * SIDE + x]))
                            .fold(0.0, f64::max)
                    })
                    .collect();
                let line: Vec<f64> = columns
                    .iter()
                    .map(|cells| cells.iter().map(|x| best[*x]).fold(0.0, f64::max))
                    .collect();
                let half = kx.len() as i64 / 2;
                centres(size.width, mx)
                    .map(|x| {
                        let taps = kx.iter().enumerate();
                        taps.map(|(k, g)| g * line[(x + k as i64 - half) as usize])
                            .sum()
                    })
                    .collect()
            })
            .collect();
        let half = ky.len() as i64 / 2;
        centres(size.height, my)
            .flat_map(|y| {
                let (rows, ky) = (&rows, &ky);
                (0..size.width * SCALE).map(move |x| {
                    let taps = ky.iter().enumerate();
                    taps.map(|(k, g)| g * rows[(y + k as i64 - half) as usize][x])
                        .sum::<f64>()
                })
            })
            .collect()
    }

    fn at(x0: f32, y0: f32, x1: f32, y1: f32) -> BBox {
        BBox { x0, y0, x1, y1 }
    }

    #[test]
    fn equals_brute_force_dilation_and_convolution() {
        let size = Size::new(26, 20);
        for (bbox, padding, sigma) in [
            (at(5.3, 3.7, 20.1, 16.9), 0.15, 0.1),
            (at(5.3, 3.7, 20.1, 16.9), 0.0, 0.06),
            (at(-6.0, 8.5, 9.25, 24.0), 0.3, 0.08),
        ] {
            let found = weights(&shape(), bbox, size, padding, sigma);
            let expected = reference(&shape(), bbox, size, padding, sigma);
            let pairs = found.iter().zip(&expected);
            let worst = pairs
                .map(|(w, e)| (f64::from(*w) - e).abs())
                .fold(0.0, f64::max);
            // The reference's grid is half a point off at the steepest, a 37th of the standard deviation of a pixel and more.
            assert!(worst < 0.012, "{bbox:?}, {padding}, {sigma}: {worst}");
            let spread = found
                .iter()
                .fold([1.0f32, 0.0], |[l, h], v| [l.min(*v), h.max(*v)]);
            assert!(spread[0] == 0.0 && spread[1] > 0.95, "{spread:?}");
        }
    }

    #[test]
    fn opaque_rectangles_are_opaque() {
        let mut random = Random(0x0acd_1234_9876_0001);
        let size = Size::new(60, 50);
        let mut found = 0;
        for round in 0..60 {
            let mask = match round % 3 {
                0 => shape(),
                1 => InstanceMask::full(),
                _ => {
                    let (x0, y0) = (random.below(20), random.below(20));
                    let (x1, y1) = (x0 + random.below(20), y0 + random.below(20));
                    InstanceMask::new(|x, y| {
                        f32::from(u8::from((x0..x1).contains(&x) && (y0..y1).contains(&y)))
                    })
                }
            };
            let (x, y) = (
                random.below(50) as f32 - 10.0,
                random.below(40) as f32 - 10.0,
            );
            let bbox = at(
                x,
                y,
                x + 8.5 + random.below(30) as f32,
                y + 7.3 + random.below(40) as f32,
            );
            let mut silhouette = Silhouette::default();
            silhouette.fill(&Arc::new(mask), 0.15, 0.1, None);
            let least = 1.0 - 1.0 / 1024.0;
            if silhouette.place(bbox, size).is_none() {
                continue;
            }
            let Some(rect) = silhouette.rectangle(least) else {
                continue;
            };
            found += 1;
            let mut row = vec![0.0; rect.width];
            for y in rect.y..rect.bottom() {
                row.fill(0.0);
                assert!(silhouette.raise(1.0, rect.x, y, &mut row));
                assert!(row.iter().all(|w| *w >= least), "round {round}: {row:?}");
            }
        }
        assert!(found > 25, "{found}");
    }

    #[test]
    fn nothing_of_an_object_has_no_table() {
        let mut silhouette = Silhouette::default();
        let nothing = Arc::new(InstanceMask::new(|_, _| 0.0));
        silhouette.fill(&nothing, 0.15, 0.1, None);
        assert!(
            silhouette
                .place(at(1.0, 1.0, 9.0, 9.0), Size::new(10, 10))
                .is_none()
        );
        assert!(!silhouette.raise(1.0, 0, 5, &mut [0.0; 40]));
        // As sharp and as wide as the settings allow.
        let all = [(0.0, 0.0), (2.0, 0.0), (2.0, 1.0)];
        for (padding, sigma) in all {
            let w = weights(
                &shape(),
                at(2.0, 2.0, 9.0, 9.0),
                Size::new(12, 12),
                padding,
                sigma,
            );
            assert!(w.iter().all(|w| (0.0..=1.0).contains(w)));
        }
    }
}
