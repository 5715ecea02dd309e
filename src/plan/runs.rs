//! Decides what a generator runs on: from the cells of a frame whose pixels are wanted to a few rectangles, and from
//! rectangles to runs of equal tiles. Pure integer work; opens nothing, allocates its lists only.
//!
//! A frame is looked at in square cells of [`CELL`] input pixels. Every run pays for the context around it and a fixed
//! overhead, so neighbouring cells are run together as long as the pixels between them cost less than another border would.

use super::tiles::{Limit, Tile, cover};
use crate::keep::cells::{CELL, Cells};
use crate::mask::Mask;
use crate::picture::{Rect, Size};

/// Pixels beyond which equal tiles are no longer run together on a processor: from there a batch leaves its caches.
///
/// Measured with the shipped generators on two cores: four tiles of 36x36 in one run take 0.92 of the time of four runs, four of
/// 64x64 take 1.16 of it.
const CACHED_BATCH: usize = 8 * 1024;

/// What a run of a generator costs, in input pixels, and what it may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Context on each side of a tile, in input pixels.
    pub context: usize,
    /// What a run costs beside its pixels, in pixels.
    pub per_run: usize,
}

/// Which tiles a generator takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shapes {
    /// Any size, within the limit.
    Free(Limit),
    /// Tiles of one size, context included, up to `batch` of them in a run: what a provider that compiles for a shape wants.
    Fixed {
        /// Size of a tile; a smaller frame has smaller tiles, again all equal.
        tile: Size,
        /// Most tiles in a run.
        batch: usize,
    },
}

/// Tiles of one size that are run at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Size of every tile's window.
    pub window: Size,
    /// The tiles, each with the index of the rectangle that it belongs to.
    pub tiles: Vec<(usize, Tile)>,
}

impl Run {
    /// Input pixels that the generator sees.
    pub fn pixels(&self) -> usize {
        self.window.area() * self.tiles.len()
    }
}

/// The cells of `area` in which the general generator's picture is seen: all but those where the face generator's weight is 1.
pub fn general_cells(frame: Size, area: Rect, mask: &Mask, cells: &mut Cells) {
    cells.clear(frame);
    cells.set_touching(area, true);
    for opaque in mask.opaque() {
        // Cells that reach out of the opaque rectangle by a single output pixel are kept.
        let (x, y) = (
            opaque.x.div_ceil(crate::SCALE),
            opaque.y.div_ceil(crate::SCALE),
        );
        cells.set_inside(
            Rect {
                x,
                y,
                width: (opaque.right() / crate::SCALE).saturating_sub(x),
                height: (opaque.bottom() / crate::SCALE).saturating_sub(y),
            },
            false,
        );
    }
}

/// Sums of marked cells over any rectangle in four look-ups.
struct Sums<'a> {
    cells: &'a Cells,
    sums: Vec<u32>,
    cost: Cost,
}

impl<'a> Sums<'a> {
    fn new(cells: &'a Cells, cost: Cost) -> Self {
        let (columns, rows) = (cells.columns(), cells.rows());
        let mut sums = vec![0u32; (columns + 1) * (rows + 1)];
        for y in 0..rows {
            let mut line = 0;
            for x in 0..columns {
                line += u32::from(cells.marked()[y * columns + x]);
                sums[(y + 1) * (columns + 1) + x + 1] = sums[y * (columns + 1) + x + 1] + line;
            }
        }
        Self { cells, sums, cost }
    }

    /// Marked cells in `area`, in cells.
    fn count(&self, area: Rect) -> usize {
        let stride = self.cells.columns() + 1;
        let at = |x: usize, y: usize| self.sums[y * stride + x] as usize;
        at(area.right(), area.bottom()) + at(area.x, area.y)
            - at(area.right(), area.y)
            - at(area.x, area.bottom())
    }

    /// The smallest rectangle around the marked cells of `area`, if there are any.
    fn tight(&self, mut area: Rect) -> Option<Rect> {
        let all = self.count(area);
        if all == 0 {
            return None;
        }
        let holds_all = |area: Rect| self.count(area) == all;
        // Each side by bisection: the count falls as soon as a marked cell is cut off.
        let (mut low, mut high) = (0, area.height - 1);
        while low < high {
            let cut = (low + high).div_ceil(2);
            let rest = Rect {
                y: area.y + cut,
                height: area.height - cut,
                ..area
            };
            if holds_all(rest) {
                low = cut
            } else {
                high = cut - 1
            }
        }
        area.y += low;
        area.height -= low;
        let (mut low, mut high) = (1, area.height);
        while low < high {
            let height = (low + high) / 2;
            if holds_all(Rect { height, ..area }) {
                high = height
            } else {
                low = height + 1
            }
        }
        area.height = low;
        let (mut low, mut high) = (0, area.width - 1);
        while low < high {
            let cut = (low + high).div_ceil(2);
            let rest = Rect {
                x: area.x + cut,
                width: area.width - cut,
                ..area
            };
            if holds_all(rest) {
                low = cut
            } else {
                high = cut - 1
            }
        }
        area.x += low;
        area.width -= low;
        let (mut low, mut high) = (1, area.width);
        while low < high {
            let width = (low + high) / 2;
            if holds_all(Rect { width, ..area }) {
                high = width
            } else {
                low = width + 1
            }
        }
        area.width = low;
        Some(area)
    }

    /// Pixels that a run over `area` (in cells) costs.
    fn run_cost(&self, area: Rect) -> usize {
        self.cells
            .pixels(area)
            .grown(self.cost.context, self.cells.frame())
            .size()
            .area()
            + self.cost.per_run
    }

    /// Whether column `x` of `area` is marked otherwise than the one before. A cut between two like columns is never better than
    /// one at the next difference, and would lead the search astray.
    fn columns_differ(&self, area: Rect, x: usize) -> bool {
        let (columns, marked) = (self.cells.columns(), self.cells.marked());
        (area.y..area.bottom()).any(|y| marked[y * columns + x] != marked[y * columns + x - 1])
    }

    /// The same of row `y`.
    fn rows_differ(&self, area: Rect, y: usize) -> bool {
        let (columns, marked) = (self.cells.columns(), self.cells.marked());
        let row = |y: usize| &marked[y * columns..][area.x..area.right()];
        row(y) != row(y - 1)
    }

    /// Appends rectangles over the marked cells of `area`, which is tight, and returns what they cost.
    fn split(&self, area: Rect, found: &mut Vec<Rect>) -> usize {
        let whole = self.run_cost(area);
        // What any two runs cost at the least; if one is no dearer, no cut can help.
        let least = self.count(area) * CELL * CELL + 2 * self.cost.per_run;
        if area.size().area() == 1 || whole <= least {
            found.push(area);
            return whole;
        }
        let mut best: Option<(usize, Rect, Rect)> = None;
        let mut consider = |first: Rect, second: Rect| {
            if let (Some(first), Some(second)) = (self.tight(first), self.tight(second)) {
                let cost = self.run_cost(first) + self.run_cost(second);
                if best.is_none_or(|(least, ..)| cost < least) {
                    best = Some((cost, first, second));
                }
            }
        };
        for width in 1..area.width {
            if !self.columns_differ(area, area.x + width) {
                continue;
            }
            let left = Rect { width, ..area };
            let right = Rect {
                x: area.x + width,
                width: area.width - width,
                ..area
            };
            consider(left, right);
        }
        for height in 1..area.height {
            if !self.rows_differ(area, area.y + height) {
                continue;
            }
            let top = Rect { height, ..area };
            let bottom = Rect {
                y: area.y + height,
                height: area.height - height,
                ..area
            };
            consider(top, bottom);
        }
        let Some((_, first, second)) = best else {
            found.push(area);
            return whole;
        };
        // A cut may pay only after a further one (a ring takes four pieces), so both halves are cut on before judging.
        let before = found.len();
        let parts = self.split(first, found) + self.split(second, found);
        if parts < whole {
            return parts;
        }
        found.truncate(before);
        found.push(area);
        whole
    }
}

/// Disjoint rectangles, in input pixels, that hold every marked cell and cost little to run: found by cutting the rectangle
/// around them in two, again and again, for as long as the parts cost less than the whole. Ordered from top to bottom, then
/// left to right.
pub fn rectangles(cells: &Cells, cost: Cost) -> Vec<Rect> {
    let sums = Sums::new(cells, cost);
    let mut found = Vec::new();
    let whole = Rect::whole(Size::new(cells.columns(), cells.rows()));
    if whole.is_empty() {
        return found;
    }
    if let Some(area) = sums.tight(whole) {
        sums.split(area, &mut found);
    }
    found.sort_unstable_by_key(|rect| (rect.y, rect.x));
    for rect in &mut found {
        *rect = cells.pixels(*rect);
    }
    found
}

/// Tiles for `areas`, disjoint rectangles of a frame, put together into runs. Every pixel of the areas lies in the core of
/// exactly one tile, and every window lies inside the frame and carries the whole context.
pub fn runs(frame: Size, areas: &[Rect], cost: Cost, shapes: Shapes) -> Vec<Run> {
    match shapes {
        Shapes::Free(limit) => {
            let mut runs: Vec<Run> = Vec::new();
            for (index, area) in areas.iter().enumerate() {
                for tile in cover(frame, *area, cost.context, limit) {
                    join(&mut runs, frame, cost, index, tile);
                }
            }
            runs
        }
        Shapes::Fixed { tile, batch } => {
            let size = Size::new(
                tile.width.min(frame.width).max(1),
                tile.height.min(frame.height).max(1),
            );
            let mut tiles = Vec::new();
            for (index, area) in areas.iter().enumerate() {
                let limit = Limit::Sides(size);
                tiles.extend(
                    cover(frame, *area, cost.context, limit)
                        .into_iter()
                        .map(|tile| (index, grown(tile, size, frame))),
                );
            }
            tiles
                .chunks(batch.max(1))
                .map(|tiles| Run {
                    window: tiles.first().map_or(size, |(_, tile)| tile.window.size()),
                    tiles: tiles.to_vec(),
                })
                .collect()
        }
    }
}

/// `tile` with a window of at least `size`, moved back inside the frame.
fn grown(tile: Tile, size: Size, frame: Size) -> Tile {
    let window = tile.window;
    let (width, height) = (window.width.max(size.width), window.height.max(size.height));
    Tile {
        window: Rect {
            x: window.x.min(frame.width - width),
            y: window.y.min(frame.height - height),
            width,
            height,
        },
        ..tile
    }
}

/// Adds `tile` to the last run if that is cheaper than a run of its own, both windows grown to the larger sides.
fn join(runs: &mut Vec<Run>, frame: Size, cost: Cost, index: usize, tile: Tile) {
    let own = tile.window.size();
    if let Some(last) = runs.last_mut() {
        let common = Size::new(
            last.window.width.max(own.width),
            last.window.height.max(own.height),
        );
        let together = common.area() * (last.tiles.len() + 1);
        if together <= CACHED_BATCH && together <= last.pixels() + own.area() + cost.per_run {
            last.window = common;
            last.tiles.push((index, tile));
            for (_, tile) in &mut last.tiles {
                *tile = grown(*tile, common, frame);
            }
            return;
        }
    }
    runs.push(Run {
        window: own,
        tiles: vec![(index, tile)],
    });
}

/// Learns what a run costs beside its pixels, from the times of runs: the intercept of a line through (pixels, seconds), older
/// runs counting ever less.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunTimes {
    weight: f64,
    pixels: f64,
    seconds: f64,
    pixels_squared: f64,
    product: f64,
}

/// What a run of the shipped generators costs beside its pixels on two cores, in pixels; holds until enough was measured.
const USUAL_PER_RUN: usize = 300;
/// What a measured overhead is kept within: a hiccup of the machine must not turn the plan upside down.
const PER_RUN_RANGE: (f64, f64) = (0.0, 4096.0);

impl Default for RunTimes {
    fn default() -> Self {
        Self {
            weight: 0.0,
            pixels: 0.0,
            seconds: 0.0,
            pixels_squared: 0.0,
            product: 0.0,
        }
    }
}

impl RunTimes {
    /// Takes the time of a run over `pixels` input pixels.
    pub fn observe(&mut self, pixels: usize, time: std::time::Duration) {
        const KEEP: f64 = 0.99;
        let (x, y) = (pixels as f64, time.as_secs_f64());
        self.weight = KEEP * self.weight + 1.0;
        self.pixels = KEEP * self.pixels + x;
        self.seconds = KEEP * self.seconds + y;
        self.pixels_squared = KEEP * self.pixels_squared + x * x;
        self.product = KEEP * self.product + x * y;
    }

    /// What a run costs beside its pixels, in pixels.
    pub fn per_run(&self) -> usize {
        // Runs of one size tell nothing of the intercept.
        let spread = self.weight * self.pixels_squared - self.pixels * self.pixels;
        if self.weight < 16.0 || spread < 0.1 * self.pixels * self.pixels {
            return USUAL_PER_RUN;
        }
        let slope = (self.weight * self.product - self.pixels * self.seconds) / spread;
        let intercept = (self.seconds - slope * self.pixels) / self.weight;
        if slope <= 0.0 {
            return USUAL_PER_RUN;
        }
        (intercept / slope).clamp(PER_RUN_RANGE.0, PER_RUN_RANGE.1) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;
    use std::time::Duration;

    fn random_cells(random: &mut Random) -> Cells {
        let frame = Size::new(1 + random.below(300), 1 + random.below(200));
        let mut cells = Cells::new(frame);
        for _ in 0..random.below(5) {
            let (x, y) = (random.below(frame.width), random.below(frame.height));
            cells.set_touching(
                Rect {
                    x,
                    y,
                    width: 1 + random.below(frame.width - x),
                    height: 1 + random.below(frame.height - y),
                },
                random.below(4) > 0,
            );
        }
        let share = 1 + random.below(40);
        for marked in cells.marked_mut() {
            *marked |= random.below(share) == 0 && share < 30;
        }
        cells
    }

    #[test]
    fn rectangles_hold_every_marked_cell_once() {
        let mut random = Random(0x1234_5678_9abc_def1);
        for _ in 0..1500 {
            let cells = random_cells(&mut random);
            let cost = Cost {
                context: random.below(20),
                per_run: random.below(2000),
            };
            let found = rectangles(&cells, cost);
            assert_eq!(found, rectangles(&cells, cost), "order");
            assert!(found.is_sorted_by_key(|r| (r.y, r.x)));
            let mut held = vec![0; cells.marked().len()];
            for rect in &found {
                assert!(
                    rect.right() <= cells.frame().width && rect.bottom() <= cells.frame().height
                );
                let inside = cells.touching(*rect);
                for y in inside.y..inside.bottom() {
                    for x in inside.x..inside.right() {
                        held[y * cells.columns() + x] += 1;
                    }
                }
            }
            for (held, marked) in held.iter().zip(cells.marked()) {
                assert!(*held <= 1, "overlap in {found:?}");
                assert!(*held == 1 || !marked, "left out of {found:?}");
            }
            let total: usize = found
                .iter()
                .map(|r| r.grown(cost.context, cells.frame()).size().area() + cost.per_run)
                .sum();
            let whole = rectangles(
                &cells,
                Cost {
                    per_run: usize::MAX / 4,
                    ..cost
                },
            );
            assert!(whole.len() <= 1);
            for r in &whole {
                let one = r.grown(cost.context, cells.frame()).size().area() + cost.per_run;
                assert!(total <= one, "dearer than one rectangle: {total} > {one}");
            }
        }
    }

    #[test]
    fn rectangles_of_known_shapes() {
        let frame = Size::new(640, 480);
        let cost = Cost {
            context: 10,
            per_run: 300,
        };
        let mut cells = Cells::new(frame);
        assert!(rectangles(&cells, cost).is_empty());
        cells.set_touching(Rect::whole(frame), true);
        assert_eq!(rectangles(&cells, cost), [Rect::whole(frame)]);
        // A hole in the middle that is worth going round takes four pieces.
        let hole = Rect {
            x: 160,
            y: 96,
            width: 320,
            height: 288,
        };
        cells.set_inside(hole, false);
        let ring = rectangles(&cells, cost);
        assert_eq!(ring.len(), 4, "{ring:?}");
        assert!(ring.iter().all(|r| !r.overlaps(hole)));
        // Two far corners are two runs, two neighbours one.
        cells.clear(frame);
        let at = |x, y| Rect {
            x,
            y,
            width: 1,
            height: 1,
        };
        cells.set_touching(at(0, 0), true);
        cells.set_touching(at(639, 479), true);
        assert_eq!(rectangles(&cells, cost).len(), 2);
        cells.clear(frame);
        cells.set_touching(at(100, 100), true);
        cells.set_touching(at(132, 100), true);
        assert_eq!(rectangles(&cells, cost).len(), 1);
    }

    #[track_caller]
    fn check_runs(frame: Size, areas: &[Rect], cost: Cost, shapes: Shapes) -> Vec<Run> {
        let runs = runs(frame, areas, cost, shapes);
        let what = format!("{frame} {areas:?} {cost:?} {shapes:?}");
        let mut written = vec![0u8; frame.area()];
        for run in &runs {
            for (index, tile) in &run.tiles {
                let (w, c, context) = (tile.window, tile.core, cost.context);
                assert_eq!(w.size(), run.window, "unequal tiles: {what}");
                assert!(
                    w.right() <= frame.width && w.bottom() <= frame.height,
                    "outside the frame: {what}"
                );
                assert_eq!(c.intersection(areas[*index]), Some(c), "area: {what}");
                assert!(
                    w.x == 0 && c.x >= w.x || w.x + context <= c.x,
                    "left: {what}"
                );
                assert!(
                    w.y == 0 && c.y >= w.y || w.y + context <= c.y,
                    "top: {what}"
                );
                assert!(
                    w.right() == frame.width && c.right() <= frame.width
                        || c.right() + context <= w.right(),
                    "right: {what}"
                );
                assert!(
                    w.bottom() == frame.height && c.bottom() <= frame.height
                        || c.bottom() + context <= w.bottom(),
                    "bottom: {what}"
                );
                for y in c.y..c.bottom() {
                    for x in c.x..c.right() {
                        written[y * frame.width + x] += 1;
                    }
                }
            }
        }
        for y in 0..frame.height {
            for x in 0..frame.width {
                let wanted = areas
                    .iter()
                    .any(|a| (a.x..a.right()).contains(&x) && (a.y..a.bottom()).contains(&y));
                assert_eq!(written[y * frame.width + x], u8::from(wanted), "{what}");
            }
        }
        runs
    }

    #[test]
    fn runs_write_every_pixel_once_with_context() {
        let mut random = Random(42);
        for _ in 0..800 {
            let cells = random_cells(&mut random);
            let cost = Cost {
                context: random.below(14),
                per_run: random.below(3000),
            };
            let areas = rectangles(&cells, cost);
            let frame = cells.frame();
            let least = 2 * cost.context + 1;
            check_runs(
                frame,
                &areas,
                cost,
                Shapes::Free(Limit::Area(least * least + random.below(20_000))),
            );
            let shapes = Shapes::Fixed {
                tile: Size::new(least + random.below(90), least + random.below(90)),
                batch: 1 + random.below(5),
            };
            let runs = check_runs(frame, &areas, cost, shapes);
            if let Shapes::Fixed { tile, batch } = shapes {
                let size = Size::new(tile.width.min(frame.width), tile.height.min(frame.height));
                assert!(
                    runs.iter().all(|run| run.window == size),
                    "one static shape"
                );
                assert!(runs.iter().all(|run| run.tiles.len() <= batch));
            }
        }
    }

    #[test]
    fn small_faces_share_a_run() {
        let frame = Size::new(640, 360);
        let cost = Cost {
            context: 10,
            per_run: 300,
        };
        let face = |x, y, side| Rect {
            x,
            y,
            width: side,
            height: side,
        };
        let shapes = Shapes::Free(Limit::Area(200_000));
        let small = [face(100, 100, 20), face(300, 80, 21), face(500, 200, 19)];
        assert_eq!(check_runs(frame, &small, cost, shapes).len(), 1);
        let large = [face(20, 20, 120), face(300, 80, 130)];
        assert_eq!(check_runs(frame, &large, cost, shapes).len(), 2);
        // The one at the edge has less context to its left; together both windows are as wide as the wider.
        let edge = [face(0, 0, 20), face(300, 80, 22)];
        check_runs(frame, &edge, cost, shapes);
    }

    #[test]
    fn overhead_of_a_run_is_learnt() {
        let mut times = RunTimes::default();
        assert_eq!(times.per_run(), USUAL_PER_RUN);
        for _ in 0..40 {
            times.observe(4096, Duration::from_micros(4096));
        }
        assert_eq!(times.per_run(), USUAL_PER_RUN, "one size tells nothing");
        let mut times = RunTimes::default();
        for pixels in [1000, 5000, 20_000, 100_000].repeat(20) {
            times.observe(pixels, Duration::from_nanos(800 * (pixels as u64 + 700)));
        }
        assert!(times.per_run().abs_diff(700) < 60, "{}", times.per_run());
    }

    #[test]
    fn cells_at_the_edges() {
        let mut cells = Cells::new(Size::new(2 * CELL + 1, CELL + 1));
        assert_eq!((cells.columns(), cells.rows()), (3, 2));
        assert_eq!(
            cells.rect(5),
            Rect {
                x: 2 * CELL,
                y: CELL,
                width: 1,
                height: 1
            }
        );
        cells.set_inside(
            Rect {
                x: CELL - 1,
                y: 0,
                width: CELL + 2,
                height: CELL + 1,
            },
            true,
        );
        assert_eq!(cells.marked(), [false, true, true, false, true, true]);
        cells.set_touching(
            Rect {
                x: CELL,
                y: CELL - 1,
                width: 1,
                height: 1,
            },
            false,
        );
        assert_eq!(cells.count(), 3);
        let stretches: Vec<_> = cells.stretches().collect();
        assert_eq!(stretches.len(), 2, "{stretches:?}");
        assert_eq!(stretches[1].right(), 2 * CELL + 1);
        assert_eq!((stretches[0].x, stretches[0].y), (2 * CELL, 0));
        let pixels: usize = stretches.iter().map(|r| r.size().area()).sum();
        let marked: usize = (0..6)
            .filter(|i| cells.marked()[*i])
            .map(|i| cells.rect(i).size().area())
            .sum();
        assert_eq!(pixels, marked);
    }
}
