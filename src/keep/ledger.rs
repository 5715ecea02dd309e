//! What of the generators' pictures still holds: the books. Pure: compares pixels, runs nothing. The pictures themselves are in
//! [`super::store`], where they are drawn; a frame may be planned while the one before is not drawn yet, so what is planned counts as drawn.
//!
//! One invariant: what these books hold was drawn of pixels from which those of this frame, context included, differ by no more
//! than is tolerated. [`Ledger::observe`] compares each frame once and drops what no longer fits, cells of the general picture and
//! regions of an expert's alike; it also tells how much has moved since objects were looked for last.
//!
//! Blocks are compared with the pixels that results were made of, never with the last frame, so slow changes add up until they
//! count. What is remembered of a block is replaced when the block changed (then everything that depends on it is dropped) and, where
//! differences are tolerated, when its cell is drawn anew for whatever reason: so that what a block differs by is what its picture is
//! wrong by. Cells beside it may have been drawn of it as it was before, which shows little and is made good when they are refreshed;
//! blocks that a kept region depends on stay as they are.

use std::time::Duration;

use super::cells::{CELL, Cells};
use super::class::{Claim, Class, REFINE, Rung};
use super::compare::{BLOCK, Differences, Reference, Tolerance};
use super::movement::Movement;
use super::noise::{self, Noise};
use super::regions::{Part, Regions};
use crate::error::Result;
use crate::picture::{Frame, Rect, Size};
use crate::settings::Reuse;

/// How near in input pixels a change drops a cell at once where differences are tolerated. A generator's result depends on its
/// surroundings ever less with distance.
const NEAR: usize = 4;
/// How much the pixels further away may change, added up since the cell was drawn, in multiples of the tolerance.
const FAR_TOLERANCE: f32 = 4.0;

/// Cells along each side of the square that is refreshed at once, and drawn before the next: single cells would pay for much context.
const REFRESH_GROUP: usize = 8;

/// Bits for the number of a square of a frame.
const SQUARES: u32 = 24;

/// What may be kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Which results may be kept at all.
    pub reuse: Reuse,
    /// Difference, in levels of 255, that is taken for noise where differences are tolerated; 0 has it estimated.
    pub threshold: f32,
    /// Longest time for which what is not exact is kept; zero is for ever.
    pub refresh: Duration,
    /// How far in input pixels the general generator's result depends on its surroundings, and that of the expert that sees farthest.
    pub context: usize,
    /// See `context`.
    pub expert_context: usize,
}

/// Where a picture stands that is kept: what was drawn since everything was forgotten last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    /// Its number, which grows.
    pub number: u64,
    /// Whether nothing of before counts: this frame begins it.
    pub begins: bool,
}

/// What is remembered of the cells of the general picture.
#[derive(Debug, Default)]
struct CellBooks {
    /// Whether the picture holds.
    valid: Vec<bool>,
    /// When it was drawn, on the stream's clock.
    drawn: Vec<Duration>,
    /// Whether it is kept although a pixel that it depends on differs.
    inexact: Vec<bool>,
    /// Whether a pixel that it depends on differs in this frame by no more than is tolerated: drawn now, it is of other pixels than
    /// those that later frames are compared with.
    tolerated: Vec<bool>,
    /// What changed in this frame, and since the cell was drawn, in the outer part of its context, in multiples of the tolerance.
    far: Vec<f32>,
    debt: Vec<f32>,
    /// What the picture was drawn by, since when it has been less than the best, and the frame from which it may be more than it is.
    rung: Vec<Rung>,
    since: Vec<Duration>,
    settled: Vec<u64>,
    /// Whether it is dropped for its age alone.
    refreshed: Vec<bool>,
}

impl CellBooks {
    fn clear(&mut self, count: usize) {
        for flags in [
            &mut self.valid,
            &mut self.inexact,
            &mut self.tolerated,
            &mut self.refreshed,
        ] {
            flags.clear();
            flags.resize(count, false);
        }
        for times in [&mut self.drawn, &mut self.since] {
            times.clear();
            times.resize(count, Duration::ZERO);
        }
        self.debt.clear();
        self.debt.resize(count, 0.0);
        self.rung.clear();
        self.rung.resize(count, Rung::Blank);
        self.settled.clear();
        self.settled.resize(count, 0);
    }

    /// Notes that cell `index` is drawn by `rung` in frame `step` at `now` from that frame's pixels.
    fn draw(&mut self, index: usize, rung: Rung, step: u64, now: Duration) {
        let before = self.rung[index];
        if before != rung {
            if before != Rung::Blank {
                self.settled[index] = step + REFINE;
            }
            if before == Rung::Full || before == Rung::Blank {
                self.since[index] = now;
            }
            self.rung[index] = rung;
        }
        self.valid[index] = true;
        self.refreshed[index] = false;
        self.inexact[index] = self.tolerated[index];
        self.debt[index] = 0.0;
        self.drawn[index] = now;
    }
}

/// The rows of blocks that `area`, in input pixels, touches.
fn rows_of(area: Rect) -> std::ops::Range<usize> {
    area.y / BLOCK..area.bottom().div_ceil(BLOCK)
}

/// The blocks of row `y` that `area` touches, where a row has `columns`.
fn blocks_of(area: Rect, y: usize, columns: usize) -> std::ops::Range<usize> {
    y * columns + area.x / BLOCK..y * columns + area.right().div_ceil(BLOCK)
}

/// Marks the blocks of `cell` as replaced, but for those that are `held`.
fn replace(replaced: &mut [bool], held: &[bool], columns: usize, cell: Rect) {
    for y in rows_of(cell) {
        for block in blocks_of(cell, y, columns) {
            replaced[block] |= !held[block];
        }
    }
}

/// Which cells and regions hold, and what they were made of.
#[derive(Debug)]
pub struct Ledger {
    reference: Reference,
    differences: Differences,
    noise: Noise,
    movement: Movement,
    /// Blocks that changed in this frame, and whose remembered pixels were replaced by this frame's.
    changed: Vec<bool>,
    replaced: Vec<bool>,
    /// Blocks that kept regions depend on.
    held: Vec<bool>,
    tolerance: Tolerance,
    cells: CellBooks,
    regions: Regions,
    size: Size,
    mode: Reuse,
    /// Frames observed.
    step: u64,
    epoch: u64,
    /// Whether the epoch has not begun yet.
    fresh: bool,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            reference: Reference::default(),
            differences: Differences::default(),
            noise: Noise::default(),
            movement: Movement::default(),
            changed: Vec::new(),
            replaced: Vec::new(),
            held: Vec::new(),
            tolerance: Tolerance::EXACT,
            cells: CellBooks::default(),
            regions: Regions::default(),
            size: Size::new(0, 0),
            mode: Reuse::None,
            step: 0,
            epoch: 0,
            fresh: true,
        }
    }
}

impl Ledger {
    /// Has nothing count that was drawn or looked at so far; keeps the memory.
    pub fn forget(&mut self) {
        self.reference.clear();
        self.noise = Noise::default();
        self.movement.clear();
        self.drop_drawn();
    }

    /// Has nothing count that was drawn so far.
    fn drop_drawn(&mut self) {
        self.cells.valid.fill(false);
        self.cells.refreshed.fill(false);
        self.cells.rung.fill(Rung::Blank);
        self.cells.settled.fill(0);
        self.regions.clear();
        if !self.fresh {
            self.epoch += 1;
            self.fresh = true;
        }
    }

    /// Compares `frame` with what results were made of and drops those that no longer hold. `now` is the stream's clock.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] where the system has none for a frame to compare later ones with: nothing holds then.
    pub fn observe(&mut self, frame: &Frame<'_>, now: Duration, rules: &Rules) -> Result<()> {
        let size = frame.size();
        let cells = Cells::new(size);
        self.step += 1;
        if self.mode != rules.reuse || self.size != size {
            self.drop_drawn();
            (self.mode, self.size) = (rules.reuse, size);
            self.cells.clear(cells.columns() * cells.rows());
        }
        self.changed.clear();
        self.replaced.clear();
        if !self.reference.compare(frame, &mut self.differences) {
            self.drop_drawn();
            self.movement.clear();
            self.differences.clear(size);
            self.reference.set(frame)?;
            let blocks = self.differences.mean.len();
            self.changed.resize(blocks, true);
            self.replaced.resize(blocks, true);
            return Ok(());
        }
        self.noise.observe(&self.differences);
        self.tolerance = self.noise.tolerance(0.0, &self.differences);
        let tolerance = match self.mode {
            Reuse::Tolerant if rules.threshold > 0.0 => {
                self.noise.tolerance(rules.threshold, &self.differences)
            }
            Reuse::Exact => Tolerance::EXACT,
            // Where nothing is kept, movement alone is watched for.
            Reuse::Tolerant | Reuse::None => self.tolerance,
        };
        if self.mode == Reuse::Tolerant {
            noise::tolerate_specks(&mut self.differences, tolerance);
        }
        self.changed.extend(self.differences.changed(tolerance));
        self.replaced.extend_from_slice(&self.changed);
        if self.mode != Reuse::None {
            self.drop_cells(&cells, tolerance, rules.context);
            self.refresh(&cells, now, rules.refresh);
            self.drop_regions(now, rules);
            self.replace_dropped(&cells, rules.expert_context);
        }
        Ok(())
    }

    /// Has this frame's pixels remembered of the cells that are dropped, but for those that a kept region depends on.
    fn replace_dropped(&mut self, cells: &Cells, expert_context: usize) {
        if self.mode != Reuse::Tolerant {
            return; // What is exact differs by nothing but what changed.
        }
        self.held.clear();
        self.held.resize(self.replaced.len(), false);
        let columns = self.differences.columns();
        for rect in self.regions.kept() {
            let area = rect.grown(expert_context, self.size);
            for y in rows_of(area) {
                self.held[blocks_of(area, y, columns)].fill(true);
            }
        }
        for index in (0..self.cells.valid.len()).filter(|index| !self.cells.valid[*index]) {
            replace(&mut self.replaced, &self.held, columns, cells.rect(index));
        }
    }

    /// Drops the cells that depend on what changed.
    fn drop_cells(&mut self, cells: &Cells, tolerance: Tolerance, context: usize) {
        let books = &mut self.cells;
        books.tolerated.clear();
        books.tolerated.resize(books.valid.len(), false);
        if self.mode == Reuse::Exact {
            // Nothing is far or tolerated, so that what changed side by side has one neighbourhood.
            for run in self.differences.runs(|index| self.changed[index]) {
                let near = cells.touching(run.grown(context, self.size));
                for y in near.y..near.bottom() {
                    let row = y * cells.columns();
                    books.valid[row + near.x..row + near.right()].fill(false);
                }
            }
            return;
        }
        let near = context.min(NEAR);
        books.far.clear();
        books.far.resize(books.valid.len(), 0.0);
        for (index, excess) in self.differences.excess(tolerance).enumerate() {
            if excess <= 0.0 {
                continue;
            }
            let block = self.differences.block(index);
            let whole = cells.touching(block.grown(context, self.size));
            if excess <= 1.0 {
                for y in whole.y..whole.bottom() {
                    let row = y * cells.columns();
                    books.inexact[row + whole.x..row + whole.right()].fill(true);
                    books.tolerated[row + whole.x..row + whole.right()].fill(true);
                }
                continue;
            }
            let close = cells.touching(block.grown(near, self.size));
            for y in close.y..close.bottom() {
                let row = y * cells.columns();
                books.valid[row + close.x..row + close.right()].fill(false);
            }
            if close == whole {
                continue;
            }
            for y in whole.y..whole.bottom() {
                let row = y * cells.columns();
                let inside = (close.y..close.bottom()).contains(&y);
                // Around the close ones, which count as changed already.
                let (left, right) = if inside {
                    (close.x, close.right())
                } else {
                    (whole.right(), whole.right())
                };
                for cell in (row + whole.x..row + left).chain(row + right..row + whole.right()) {
                    books.inexact[cell] = true;
                    books.far[cell] = books.far[cell].max(excess);
                }
            }
        }
        for ((debt, far), valid) in books.debt.iter_mut().zip(&books.far).zip(&mut books.valid) {
            *debt += far;
            *valid &= *debt <= FAR_TOLERANCE;
        }
    }

    /// Drops the cells that are not exact and old.
    fn refresh(&mut self, cells: &Cells, now: Duration, refresh: Duration) {
        self.cells.refreshed.fill(false);
        if self.mode != Reuse::Tolerant || refresh == Duration::ZERO {
            return;
        }
        for index in 0..self.cells.valid.len() {
            let (column, row) = (index % cells.columns(), index / cells.columns());
            let share = lifetime(column / REFRESH_GROUP, row / REFRESH_GROUP);
            let age = now.saturating_sub(self.cells.drawn[index]);
            if self.cells.inexact[index] && age >= refresh.mul_f32(share) {
                // What moves too is dropped for that.
                self.cells.refreshed[index] = self.cells.valid[index];
                self.cells.valid[index] = false;
            }
        }
    }

    /// Drops the cells of which `ripe` says that what they were drawn of has become better, if they are not exact: as those that are old.
    pub fn drop_ripe(&mut self, ripe: impl Fn(usize, usize) -> bool) {
        if self.mode != Reuse::Tolerant {
            return;
        }
        let (cells, columns) = (Cells::new(self.size), self.differences.columns());
        for index in 0..self.cells.valid.len() {
            let holds = self.cells.valid[index] && self.cells.inexact[index];
            if !holds || !ripe(index, cells.columns()) {
                continue;
            }
            self.cells.refreshed[index] = true;
            self.cells.valid[index] = false;
            replace(&mut self.replaced, &self.held, columns, cells.rect(index));
        }
    }

    /// Drops the regions that depend on what changed, and those that are not exact and old.
    fn drop_regions(&mut self, now: Duration, rules: &Rules) {
        let (size, columns, changed) = (self.size, self.differences.columns(), &self.changed);
        let ages = self.mode == Reuse::Tolerant && rules.refresh > Duration::ZERO;
        // The whole region must hold, not only the part that is wanted now: the mask may move over the rest later.
        self.regions.retain(|rect, drawn| {
            let area = rect.grown(rules.expert_context, size);
            let is_changed = |y: usize| {
                let row = changed.get(blocks_of(area, y, columns));
                row.is_none_or(|blocks| blocks.contains(&true))
            };
            let is_old = ages && now.saturating_sub(drawn) >= rules.refresh;
            !is_old && !rows_of(area).any(is_changed)
        });
    }

    /// How far the frame observed is from what it was compared with.
    pub fn differences(&self) -> &Differences {
        &self.differences
    }

    /// Whether at least `least` blocks of the frame observed changed, beyond noise, since objects were looked for last.
    pub fn moved(&mut self, least: usize) -> bool {
        let tolerance = noise::of_movement(self.tolerance);
        self.movement.count(&self.differences, tolerance) >= least.max(1)
    }

    /// Ends the comparison: remembers of `frame`, the one observed, what replaces what is remembered. `looked` says whether objects
    /// are looked for in it.
    pub fn remember(&mut self, frame: &Frame<'_>, looked: bool) {
        for index in (0..self.replaced.len()).filter(|index| self.replaced[*index]) {
            self.movement.replace(&self.differences, index);
        }
        for run in self.differences.runs(|index| self.replaced[index]) {
            self.reference.set_part(frame, run);
        }
        if looked {
            let replaced = &self.replaced;
            self.movement
                .look(&self.differences, |index| replaced[index]);
        }
    }

    /// The epoch of the frame that is planned, which has begun from now on.
    pub fn begin(&mut self) -> Epoch {
        Epoch {
            number: self.epoch,
            begins: std::mem::take(&mut self.fresh),
        }
    }

    /// Unmarks the cells of `wanted` whose picture holds and is the general network's, so that those that must be drawn are left.
    pub fn unmark_valid(&self, wanted: &mut Cells) {
        let books = self.cells.valid.iter().zip(&self.cells.rung);
        for (marked, (valid, rung)) in wanted.marked_mut().iter_mut().zip(books) {
            *marked &= !valid || *rung != Rung::Full;
        }
    }

    /// What `cell`, which is wanted, asks for where there is no time for all: what was sharp first, and of what is owed the oldest.
    pub fn claim(&self, cell: usize) -> Claim {
        let books = &self.cells;
        let (rung, there) = (books.rung[cell], books.valid[cell]);
        let refreshed = books.refreshed[cell];
        let class = match (there || refreshed, rung) {
            (true, Rung::Full) => Class::Refresh,
            (true, _) => Class::Owed,
            (false, Rung::Full) => Class::MovingSharp,
            (false, _) => Class::Moving,
        };
        let place = match class {
            Class::Owed => self.owed_place(cell),
            Class::Refresh => u64::try_from(books.drawn[cell].as_nanos()).unwrap_or(u64::MAX),
            // What shows more than another stays ahead of it.
            _ => (((Rung::Full as u64) - (rung as u64)) << SQUARES) | self.square(cell),
        };
        Claim {
            cell,
            turn: (class, place),
            rung,
            there: there || refreshed,
            rises: rung == Rung::Blank || self.step >= books.settled[cell],
        }
    }

    /// The place of `cell` among those that are owed: what has been so for longer first, by half seconds.
    fn owed_place(&self, cell: usize) -> u64 {
        const ABOUT: Duration = Duration::from_millis(500);
        let since = self.cells.since[cell].as_nanos() / ABOUT.as_nanos();
        u64::try_from(since << SQUARES).map_or(u64::MAX, |since| since | self.square(cell))
    }

    /// The square that `cell` lies in. Of cells that are alike one square is drawn after the other: here and there they take several times as long
    /// as in one piece, for the context of each.
    fn square(&self, cell: usize) -> u64 {
        let columns = self.size.width.div_ceil(CELL).max(1);
        let (column, row) = (cell % columns, cell / columns);
        (row / REFRESH_GROUP * columns.div_ceil(REFRESH_GROUP) + column / REFRESH_GROUP) as u64
    }

    /// Number of the cells of `shown` whose picture was drawn by `rung`.
    pub fn count(&self, shown: &Cells, rung: Rung) -> usize {
        let marked = shown.marked().iter().zip(&self.cells.rung);
        marked.filter(|(shown, is)| **shown && **is == rung).count()
    }

    /// Has the cells that are old, but were not drawn for lack of time, hold for another frame, and what they were drawn of remembered.
    pub fn keep_old(&mut self) {
        let (cells, columns) = (Cells::new(self.size), self.differences.columns());
        for index in 0..self.cells.refreshed.len() {
            if !std::mem::take(&mut self.cells.refreshed[index]) {
                continue;
            }
            self.cells.valid[index] = true;
            let cell = cells.rect(index);
            for y in rows_of(cell) {
                let blocks = blocks_of(cell, y, columns);
                self.replaced[blocks.clone()].copy_from_slice(&self.changed[blocks]);
            }
        }
    }

    /// Notes that `cells` are drawn by `rung` at `now` from the pixels of the frame observed.
    pub fn note_cells(&mut self, cells: &Cells, rung: Rung, now: Duration) {
        for (index, marked) in cells.marked().iter().enumerate() {
            if *marked {
                self.cells.draw(index, rung, self.step, now);
            }
        }
    }

    /// Notes that the cells that share a pixel with `areas` are drawn by the general network at `now` from the pixels of the frame observed.
    pub fn note_drawn(&mut self, areas: &[Rect], now: Duration) {
        let cells = Cells::new(self.size);
        for area in areas {
            let inside = cells.touching(*area);
            for y in inside.y..inside.bottom() {
                let row = y * cells.columns();
                for index in row + inside.x..row + inside.right() {
                    self.cells.draw(index, Rung::Full, self.step, now);
                }
            }
        }
    }

    /// As [`Regions::take`].
    pub fn take_regions(
        &mut self,
        supports: &[(usize, Rect)],
        now: Duration,
        parts: &mut Vec<Part>,
    ) {
        self.regions.take(self.size, supports, now, parts);
    }
}

/// How much of the refresh time a group of cells lives, 0.5 to 1.0: spreads refreshes over frames. The fraction of a multiple of
/// the golden ratio falls evenly over its range whatever the number of groups.
fn lifetime(column: usize, row: usize) -> f32 {
    const GOLDEN: f32 = 0.618_034;
    let turn = (column as f32 * GOLDEN + row as f32 * GOLDEN * GOLDEN).fract();
    0.5 + 0.5 * turn
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keep::cells::CELL;

    const SIZE: Size = Size::new(4 * CELL, 2 * CELL);

    fn rules(reuse: Reuse) -> Rules {
        Rules {
            reuse,
            threshold: 6.0,
            refresh: Duration::from_secs(1),
            context: 2,
            expert_context: 2,
        }
    }

    /// Where an object is, within one cell.
    fn region(x: usize, y: usize) -> Rect {
        Rect {
            x,
            y,
            width: 6,
            height: 6,
        }
    }

    /// Observes a grey frame, brighter by `more` in column `x` of cells, and returns the cells that do not hold.
    fn observe(ledger: &mut Ledger, reuse: Reuse, ms: u64, x: usize, more: u8) -> Vec<usize> {
        let mut brighter = [0; 4];
        brighter[x] = more;
        observe_columns(ledger, reuse, ms, brighter)
    }

    /// As [`observe`], each column of cells brighter by as much.
    fn observe_columns(
        ledger: &mut Ledger,
        reuse: Reuse,
        ms: u64,
        brighter: [u8; 4],
    ) -> Vec<usize> {
        let mut data = vec![100u8; 3 * SIZE.area()];
        for row in data.chunks_exact_mut(3 * SIZE.width) {
            for (cell, more) in row.chunks_exact_mut(3 * CELL).zip(brighter) {
                cell.fill(100 + more);
            }
        }
        let frame = Frame::new(&data, SIZE, 3 * SIZE.width).unwrap();
        let now = Duration::from_millis(ms);
        ledger.observe(&frame, now, &rules(reuse)).unwrap();
        ledger.remember(&frame, false);
        let mut wanted = Cells::new(SIZE);
        wanted.marked_mut().fill(true);
        ledger.unmark_valid(&mut wanted);
        let cells = wanted.marked().iter().enumerate();
        cells.filter(|(_, marked)| **marked).map(|c| c.0).collect()
    }

    #[test]
    fn a_cell_redrawn_for_its_neighbours_sake_stays_inexact() {
        let whole = [Rect::whole(SIZE)];
        let mut ledger = Ledger::default();
        let at = Duration::from_millis;
        assert_eq!(observe(&mut ledger, Reuse::Tolerant, 0, 0, 0).len(), 8);
        ledger.note_drawn(&whole, at(0));
        // Two levels are tolerated, and drawn with the rest, so they are in the picture and not in what frames are compared with.
        assert!(observe(&mut ledger, Reuse::Tolerant, 40, 1, 2).is_empty());
        ledger.note_drawn(&whole, at(40));
        // Back to where it was: equal to what is remembered, but not to what was drawn.
        assert!(observe(&mut ledger, Reuse::Tolerant, 80, 1, 0).is_empty());
        let refreshed = observe(&mut ledger, Reuse::Tolerant, 1080, 1, 0);
        assert!(
            refreshed.contains(&1) && refreshed.contains(&5),
            "{refreshed:?}"
        );
        assert!(!refreshed.contains(&3), "{refreshed:?}");
    }

    /// Column 0 changes, so that column 1 is drawn with it, of its own light as it is then.
    #[test]
    fn what_is_drawn_again_is_compared_with_what_it_was_drawn_of() {
        let mut ledger = Ledger::default();
        let mut draw = |ms, brighter| {
            let dropped = observe_columns(&mut ledger, Reuse::Tolerant, ms, brighter);
            let mut cells = Cells::new(SIZE);
            dropped.iter().for_each(|c| cells.marked_mut()[*c] = true);
            ledger.note_cells(&cells, Rung::Full, Duration::from_millis(ms));
            dropped
        };
        assert_eq!(draw(0, [0, 0, 0, 0]).len(), 8);
        assert_eq!(draw(40, [50, 2, 0, 0]), [0, 1, 4, 5]);
        // Four levels from where it began are more than is tolerated, two from where it was drawn are not.
        assert!(draw(80, [50, 4, 0, 0]).is_empty());
        assert_eq!(draw(120, [50, 6, 0, 0]), [0, 1, 2, 4, 5, 6]);
    }

    /// A region in column 2, whose context reaches into column 1, is not drawn when that is.
    #[test]
    fn what_a_kept_region_depends_on_stays_what_it_is_compared_with() {
        let mut ledger = Ledger::default();
        let support = [(0, region(16, 4))];
        let mut parts = Vec::new();
        for (ms, brighter, fresh) in [
            (0, [0, 0, 0, 0], true),
            (40, [50, 2, 0, 0], false),
            (80, [50, 4, 0, 0], true),
        ] {
            observe_columns(&mut ledger, Reuse::Tolerant, ms, brighter);
            let now = Duration::from_millis(ms);
            ledger.note_drawn(&[Rect::whole(SIZE)], now);
            ledger.take_regions(&support, now, &mut parts);
            assert_eq!(parts[0].fresh, fresh, "at {ms} ms");
        }
    }

    #[test]
    fn what_is_forgotten_begins_an_epoch_of_its_own() {
        let mut ledger = Ledger::default();
        observe(&mut ledger, Reuse::Exact, 0, 0, 0);
        let first = ledger.begin();
        assert!(first.begins && !ledger.begin().begins);
        ledger.note_drawn(&[Rect::whole(SIZE)], Duration::ZERO);
        let mut parts = Vec::new();
        let support = [(0, Rect::whole(SIZE))];
        ledger.take_regions(&support, Duration::ZERO, &mut parts);
        assert!(observe(&mut ledger, Reuse::Exact, 40, 0, 0).is_empty());
        ledger.take_regions(&support, Duration::ZERO, &mut parts);
        assert!(!parts[0].fresh && ledger.begin().number == first.number);
        ledger.forget();
        ledger.forget();
        assert_eq!(observe(&mut ledger, Reuse::Exact, 80, 0, 0).len(), 8);
        let second = ledger.begin();
        assert!(second.begins && second.number == first.number + 1);
        ledger.take_regions(&support, Duration::ZERO, &mut parts);
        assert!(parts[0].fresh);
        // So does another way of keeping.
        observe(&mut ledger, Reuse::Tolerant, 120, 0, 0);
        assert!(ledger.begin().begins);
    }

    #[test]
    fn regions_hold_until_a_pixel_in_reach_changes() {
        let mut ledger = Ledger::default();
        let support = [(0, region(0, 0))];
        let (mut parts, now) = (Vec::new(), Duration::ZERO);
        observe(&mut ledger, Reuse::Exact, 0, 0, 0);
        ledger.take_regions(&support, now, &mut parts);
        // Two cells away is out of reach, beside it is not.
        for (x, fresh) in [(3, false), (3, false), (2, false), (1, true)] {
            observe(&mut ledger, Reuse::Exact, 40, x, 50);
            ledger.take_regions(&support, now, &mut parts);
            assert_eq!(parts[0].fresh, fresh, "{x}");
        }
    }
}
