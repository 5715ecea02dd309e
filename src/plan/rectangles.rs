//! From the cells of a frame that are wanted to a few rectangles that cost little to run. Pure integer work.
//!
//! Every run pays for the context around it and a fixed overhead, so neighbouring cells are run together as long as the pixels
//! between them cost less than another border would. Where tiles have one size, whole tiles are counted.

use super::cost::{Profile, Shapes};
use super::tiles::{fixed_size, tile_count};
use crate::keep::cells::{CELL, Cells};
use crate::mask::Mask;
use crate::picture::{Rect, Size};

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
    profile: Profile,
}

impl<'a> Sums<'a> {
    fn new(cells: &'a Cells, profile: Profile) -> Self {
        let (columns, rows) = (cells.columns(), cells.rows());
        let mut sums = vec![0u32; (columns + 1) * (rows + 1)];
        for y in 0..rows {
            let mut line = 0;
            for x in 0..columns {
                line += u32::from(cells.marked()[y * columns + x]);
                sums[(y + 1) * (columns + 1) + x + 1] = sums[y * (columns + 1) + x + 1] + line;
            }
        }
        Self {
            cells,
            sums,
            profile,
        }
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

    /// Pixels that running `area` (in cells) costs.
    fn run_cost(&self, area: Rect) -> usize {
        let (area, frame) = (self.cells.pixels(area), self.cells.frame());
        let Profile {
            context, per_run, ..
        } = self.profile;
        match self.profile.shapes {
            Shapes::Free(_) => area.grown(context, frame).size().area() + per_run,
            // Whatever is wanted of it, a tile is run whole.
            Shapes::Fixed { tile, batch } => {
                let tile = fixed_size(tile, frame);
                let tiles = tile_count(frame, area, context, tile);
                tiles * tile.area() + tiles.div_ceil(batch.max(1)) * per_run
            }
        }
    }

    /// What any two runs over `area` cost at the least.
    fn least_cost(&self, area: Rect) -> usize {
        match self.profile.shapes {
            Shapes::Free(_) => self.count(area) * CELL * CELL + 2 * self.profile.per_run,
            Shapes::Fixed { tile, .. } => 2 * fixed_size(tile, self.cells.frame()).area(),
        }
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
        // If one is no dearer, no cut can help.
        if area.size().area() == 1 || whole <= self.least_cost(area) {
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
pub fn rectangles(cells: &Cells, profile: Profile) -> Vec<Rect> {
    let sums = Sums::new(cells, profile);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tiles::Limit;
    use crate::testing::Random;

    fn profile(context: usize, per_run: usize, shapes: Shapes) -> Profile {
        Profile {
            context,
            stride: 1,
            per_run,
            shapes,
        }
    }

    const FREE: Shapes = Shapes::Free(Limit::Area(240 * 1024));

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
            let cost = profile(random.below(20), random.below(2000), FREE);
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
                Profile {
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
        let cost = profile(10, 300, FREE);
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

    #[test]
    fn tiles_of_one_size_are_counted_whole() {
        let frame = Size::new(640, 360);
        let (tile, batch) = (Size::new(256, 256), 4);
        let fixed = profile(10, 300, Shapes::Fixed { tile, batch });
        let cost = |areas: &[Rect]| -> usize {
            areas
                .iter()
                .map(|area| tile_count(frame, *area, 10, tile) * tile.area())
                .sum()
        };
        // Ten scattered cells are not ten tiles where the whole frame is six.
        let mut cells = Cells::new(frame);
        for i in 0..10 {
            cells.set_touching(
                Rect {
                    x: 8 + 64 * i,
                    y: (i * 7 % 5) * 80,
                    width: 1,
                    height: 1,
                },
                true,
            );
        }
        let whole = cost(&[Rect::whole(frame)]);
        assert_eq!(whole, 6 * 256 * 256);
        assert!(cost(&rectangles(&cells, fixed)) <= whole);
        // And never more than the whole frame, whatever is wanted.
        let mut random = Random(99);
        for _ in 0..300 {
            let cells = random_cells(&mut random);
            let frame = cells.frame();
            let tile = Size::new(30 + random.below(60), 30 + random.below(60));
            let fixed = profile(
                random.below(10),
                random.below(300),
                Shapes::Fixed { tile, batch: 1 },
            );
            let size = fixed_size(tile, frame);
            let tiles = |areas: &[Rect]| -> usize {
                areas
                    .iter()
                    .map(|area| tile_count(frame, *area, fixed.context, size))
                    .sum()
            };
            let found = rectangles(&cells, fixed);
            assert!(tiles(&found) <= tiles(&[Rect::whole(frame)]), "{found:?}");
        }
    }
}
