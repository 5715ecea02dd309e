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
    bits: Bits,
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
            bits: Bits::new(cells),
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

    /// Appends rectangles over the marked cells of `area`, which is tight, and returns what they cost.
    fn split(&self, area: Rect, edges: &mut Extents, found: &mut Vec<Rect>) -> usize {
        let whole = self.run_cost(area);
        // If one is no dearer, no cut can help.
        if area.size().area() == 1 || whole <= self.least_cost(area) {
            found.push(area);
            return whole;
        }
        let mut best: Option<(usize, [Rect; 2])> = None;
        edges.trace(&self.bits, area);
        edges.cuts(area, |halves| {
            let cost = self.run_cost(halves[0]) + self.run_cost(halves[1]);
            if best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, halves));
            }
        });
        let Some((_, halves)) = best else {
            found.push(area);
            return whole;
        };
        // A cut may pay only after a further one (a ring takes four pieces), so both halves are cut on before judging.
        let before = found.len();
        let [first, second] = halves;
        let parts = self.split(first, edges, found) + self.split(second, edges, found);
        if parts < whole {
            return parts;
        }
        found.truncate(before);
        found.push(area);
        whole
    }
}

/// Marked cells, 64 of a row in a word.
struct Bits {
    /// Words of a row.
    words: usize,
    rows: Vec<u64>,
}

impl Bits {
    fn new(cells: &Cells) -> Self {
        let columns = cells.columns();
        let words = columns.div_ceil(64);
        let mut rows = vec![0; words * cells.rows()];
        if columns > 0 {
            let marked = cells.marked().chunks(columns);
            for (row, marked) in rows.chunks_mut(words).zip(marked) {
                for (word, marked) in row.iter_mut().zip(marked.chunks(64)) {
                    let bits = marked.iter().enumerate();
                    *word = bits.fold(0, |word, (x, marked)| word | u64::from(*marked) << x);
                }
            }
        }
        Self { words, rows }
    }

    /// The words of row `y`, of which columns `from` and `to` are the first and the last that count.
    fn row(
        &self,
        y: usize,
        (from, to): (usize, usize),
    ) -> impl DoubleEndedIterator<Item = (usize, u64)> {
        let (first, last) = (from / 64, to / 64);
        let row = &self.rows[y * self.words..][..self.words];
        (first..=last).map(move |word| {
            let mut bits = row[word];
            if word == first {
                bits &= u64::MAX << (from % 64);
            }
            if word == last {
                bits &= u64::MAX >> (63 - to % 64);
            }
            (word, bits)
        })
    }
}

/// The first and the last marked cell of a row or a column.
type Extent = Option<(usize, usize)>;

/// Around two stretches.
fn joined(a: Extent, b: Extent) -> Extent {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (a, b) => a.or(b),
    }
}

/// Where the marked cells of an area begin and end, row by row and column by column. Its memory is used again for every area.
#[derive(Default)]
struct Extents {
    rows: Vec<Extent>,
    columns: Vec<Extent>,
    /// Whether each is marked otherwise than the one before. A cut between two like ones is never better than one at the next difference, and would lead
    /// the search astray.
    row_differs: Vec<bool>,
    column_differs: Vec<bool>,
    /// Around what comes from each row, or column, on.
    rest: Vec<(Extent, Extent)>,
    seen: Vec<u64>,
}

impl Extents {
    /// Looks at `area`.
    fn trace(&mut self, bits: &Bits, area: Rect) {
        let (from, to) = (area.x, area.right() - 1);
        for extents in [&mut self.rows, &mut self.columns] {
            extents.clear();
        }
        self.columns.resize(area.width, None);
        self.row_differs.clear();
        self.column_differs.clear();
        self.column_differs.resize(area.width, false);
        self.seen.clear();
        self.seen.resize(2 * bits.words, 0);
        let (seen, differs) = self.seen.split_at_mut(bits.words);
        for y in area.y..area.bottom() {
            let mut extent = None;
            let mut before = 0;
            for (word, marked) in bits.row(y, (from, to)) {
                if marked != 0 {
                    let first = 64 * word + marked.trailing_zeros() as usize;
                    let last = 64 * word + 63 - marked.leading_zeros() as usize;
                    extent = joined(extent, Some((first, last)));
                }
                for x in ones(marked & !seen[word]) {
                    self.columns[64 * word + x - from] = Some((y, y));
                }
                seen[word] |= marked;
                differs[word] |= marked ^ (marked << 1 | before >> 63);
                before = marked;
            }
            self.rows.push(extent);
            let like_before = y > area.y && {
                let rows = [y, y - 1].map(|y| bits.row(y, (from, to)));
                let [own, above] = rows;
                own.eq(above)
            };
            self.row_differs.push(!like_before);
        }
        for (word, differs) in differs.iter().enumerate() {
            for x in ones(*differs) {
                if let Some(flag) = (64 * word + x)
                    .checked_sub(from)
                    .and_then(|x| self.column_differs.get_mut(x))
                {
                    *flag = true;
                }
            }
        }
        // From below, the first that is seen of a column is its last.
        seen.fill(0);
        for y in (area.y..area.bottom()).rev() {
            for (word, marked) in bits.row(y, (from, to)) {
                for x in ones(marked & !seen[word]) {
                    if let Some((_, last)) = &mut self.columns[64 * word + x - from] {
                        *last = y;
                    }
                }
                seen[word] |= marked;
            }
        }
    }

    /// The smallest rectangle around what is marked, if anything is.
    fn tight(&self, area: Rect) -> Option<Rect> {
        let rows = self.rows.iter().enumerate();
        let (x, y) = rows.fold((None, None), |(x, y), (row, extent)| {
            let own = extent.map(|_| (area.y + row, area.y + row));
            (joined(x, *extent), joined(y, own))
        });
        around(x, y)
    }

    /// Calls `each` with both halves of every cut through `area`, which was looked at, from left to right and from top to bottom: the smallest rectangles
    /// around what is marked in them.
    fn cuts(&mut self, area: Rect, mut each: impl FnMut([Rect; 2])) {
        let mut along = |extents: &[Extent], differs: &[bool], begin: usize, swap: bool| {
            let own = |index: usize| extents[index].map(|_| (begin + index, begin + index));
            self.rest.clear();
            self.rest.resize(extents.len(), (None, None));
            let mut rest = (None, None);
            for index in (0..extents.len()).rev() {
                rest = (joined(rest.0, own(index)), joined(rest.1, extents[index]));
                self.rest[index] = rest;
            }
            let mut before = (None, None);
            for (index, rest) in self.rest.iter().enumerate() {
                if index > 0 && differs[index] {
                    let half = |(along, across): (Extent, Extent)| match swap {
                        true => around(across, along),
                        false => around(along, across),
                    };
                    if let (Some(first), Some(second)) = (half(before), half(*rest)) {
                        each([first, second]);
                    }
                }
                before = (
                    joined(before.0, own(index)),
                    joined(before.1, extents[index]),
                );
            }
        };
        along(&self.columns, &self.column_differs, area.x, false);
        along(&self.rows, &self.row_differs, area.y, true);
    }
}

/// Places of the ones in a word.
fn ones(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = word.trailing_zeros() as usize;
        // Takes away the lowest.
        let is_left = word != 0;
        word &= word.wrapping_sub(1);
        is_left.then_some(place)
    })
}

/// The rectangle of the columns `x` and rows `y`.
fn around(x: Extent, y: Extent) -> Option<Rect> {
    let ((left, right), (top, bottom)) = (x?, y?);
    Some(Rect {
        x: left,
        y: top,
        width: right + 1 - left,
        height: bottom + 1 - top,
    })
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
    let mut edges = Extents::default();
    edges.trace(&sums.bits, whole);
    if let Some(area) = edges.tight(whole) {
        sums.split(area, &mut edges, &mut found);
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

    /// The same search, cell by cell: every cut of a rectangle at a difference, the cheapest of them, both halves cut on before judging.
    fn searched(cells: &Cells, profile: Profile) -> Vec<Rect> {
        let marked = |x: usize, y: usize| cells.marked()[y * cells.columns() + x];
        let places = |area: Rect| {
            (area.y..area.bottom())
                .flat_map(move |y| (area.x..area.right()).map(move |x| (x, y)))
                .filter(move |(x, y)| marked(*x, *y))
        };
        let tight = |area: Rect| {
            let (x, y) = (places(area).map(|p| p.0), places(area).map(|p| p.1));
            let (x0, y0) = (x.clone().min()?, y.clone().min()?);
            Some(Rect {
                x: x0,
                y: y0,
                width: x.max()? + 1 - x0,
                height: y.max()? + 1 - y0,
            })
        };
        let sums = Sums::new(cells, profile);
        fn cut(
            sums: &Sums<'_>,
            area: Rect,
            tight: &dyn Fn(Rect) -> Option<Rect>,
            marked: &dyn Fn(usize, usize) -> bool,
            found: &mut Vec<Rect>,
        ) -> usize {
            let whole = sums.run_cost(area);
            if area.size().area() == 1 || whole <= sums.least_cost(area) {
                found.push(area);
                return whole;
            }
            let (x, y) = (area.x, area.y);
            let rows = y..area.bottom();
            let columns = (x + 1..area.right())
                .filter(|x| rows.clone().any(|y| marked(*x, y) != marked(x - 1, y)));
            let columns = columns.map(|at| {
                let (width, rest) = (at - x, area.right() - at);
                let right = Rect {
                    x: at,
                    width: rest,
                    ..area
                };
                [Rect { width, ..area }, right]
            });
            let lines = (y + 1..area.bottom())
                .filter(|y| (x..area.right()).any(|x| marked(x, *y) != marked(x, y - 1)));
            let lines = lines.map(|at| {
                let (height, rest) = (at - y, area.bottom() - at);
                let lower = Rect {
                    y: at,
                    height: rest,
                    ..area
                };
                [Rect { height, ..area }, lower]
            });
            let halves = columns
                .chain(lines)
                .map(|cut| cut.map(|half| tight(half).unwrap()));
            let cheapest = halves
                .min_by_key(|halves| halves.map(|half| sums.run_cost(half)).iter().sum::<usize>());
            let Some([first, second]) = cheapest else {
                found.push(area);
                return whole;
            };
            let before = found.len();
            let parts =
                cut(sums, first, tight, marked, found) + cut(sums, second, tight, marked, found);
            if parts < whole {
                return parts;
            }
            found.truncate(before);
            found.push(area);
            whole
        }
        let mut found = Vec::new();
        let whole = Rect::whole(Size::new(cells.columns(), cells.rows()));
        if let Some(area) = tight(whole) {
            cut(&sums, area, &tight, &marked, &mut found);
        }
        found.sort_unstable_by_key(|rect| (rect.y, rect.x));
        found.into_iter().map(|rect| cells.pixels(rect)).collect()
    }

    #[test]
    fn rectangles_are_those_of_a_search_cell_by_cell() {
        let mut random = Random(0x0dd0_5eed_1234_5677);
        for _ in 0..300 {
            let cells = random_cells(&mut random);
            let profile = profile(random.below(20), random.below(2000), FREE);
            assert_eq!(rectangles(&cells, profile), searched(&cells, profile));
        }
        // More columns than a word has bits, and edges of words.
        for columns in [63, 64, 65, 128, 150] {
            let mut cells = Cells::new(Size::new(columns * CELL, 5 * CELL));
            for marked in cells.marked_mut() {
                *marked = random.below(9) == 0;
            }
            let profile = profile(8, 300, FREE);
            assert_eq!(
                rectangles(&cells, profile),
                searched(&cells, profile),
                "{columns}"
            );
        }
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
