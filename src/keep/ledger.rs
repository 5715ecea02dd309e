//! Says what of the generators' pictures still holds from frame to frame. Pure: compares pixels and keeps books, runs nothing. The
//! pictures themselves are where they are drawn, in [`crate::draw`]: a frame may be decided on while the one before is not drawn
//! yet, so what is decided counts as drawn.
//!
//! A cell holds as long as no block of pixels changed that its result depends on, context included. Blocks are compared with the
//! pixels that results were made of, never with the last frame, so slow changes add up until they count. What is remembered of a
//! block is replaced only when the block changed (then every cell that depends on it is dropped) or when its cell is refreshed.

use std::time::Duration;

use super::cells::Cells;
use crate::keep::compare::{BLOCK, Differences, Noise, Reference, Tolerance};
use crate::picture::{Frame, Rect, Sample, Size};
use crate::settings::{Parameters, Reuse};

/// How near in input pixels a change drops a cell at once where differences are tolerated. A generator's result depends on its
/// surroundings ever less with distance.
const NEAR: usize = 4;
/// How much the pixels further away may change, added up since the cell was drawn, in multiples of the tolerance.
const FAR_TOLERANCE: f32 = 4.0;

/// Cells along each side of the square that is refreshed at once: single cells would pay for much context.
const REFRESH_GROUP: usize = 8;

/// Which cells of the general generator's picture hold, and what they were made of.
#[derive(Debug)]
pub struct Kept<S> {
    reference: Reference<S>,
    differences: Differences,
    noise: Noise,
    /// Blocks that changed in this frame.
    changed: Vec<bool>,
    /// Cells whose picture holds.
    valid: Vec<bool>,
    /// When each cell was drawn, on the engine's clock.
    drawn: Vec<Duration>,
    /// Cells kept although a pixel that they depend on differs.
    inexact: Vec<bool>,
    /// What changed in this frame, and since each cell was drawn, in the outer part of its context, in multiples of the tolerance.
    far: Vec<f32>,
    debt: Vec<f32>,
    size: Size,
    mode: Reuse,
}

impl<S> Default for Kept<S> {
    fn default() -> Self {
        Self {
            reference: Reference::default(),
            differences: Differences::default(),
            noise: Noise::default(),
            changed: Vec::new(),
            valid: Vec::new(),
            drawn: Vec::new(),
            inexact: Vec::new(),
            far: Vec::new(),
            debt: Vec::new(),
            size: Size::new(0, 0),
            mode: Reuse::None,
        }
    }
}

impl<S: Sample> Kept<S> {
    /// Forgets everything; keeps the memory.
    pub fn clear(&mut self) {
        self.reference.clear();
        self.valid.fill(false);
        self.noise = Noise::default();
    }

    /// Gives the memory back; nothing is kept from now on.
    pub fn release(&mut self) {
        if self.mode != Reuse::None {
            *self = Self::default();
        }
    }

    /// Compares `frame` with what the picture was made of and drops the cells that no longer hold. `context` is how far in input
    /// pixels a result depends on its surroundings, `now` the engine's clock.
    pub fn observe(
        &mut self,
        frame: &Frame<'_, S>,
        context: usize,
        now: Duration,
        parameters: &Parameters,
    ) {
        let size = frame.size();
        let cells = Cells::new(size);
        if self.mode != parameters.reuse || self.size != size {
            self.mode = parameters.reuse;
            self.size = size;
            self.clear();
            let count = cells.columns() * cells.rows();
            for flags in [&mut self.valid, &mut self.inexact] {
                flags.clear();
                flags.resize(count, false);
            }
            self.drawn.clear();
            self.drawn.resize(count, Duration::ZERO);
            self.debt.clear();
            self.debt.resize(count, 0.0);
        }
        self.changed.clear();
        if !self.reference.compare(frame, &mut self.differences) {
            self.valid.fill(false);
            self.reference.set(frame);
            self.changed.resize(
                size.width.div_ceil(BLOCK) * size.height.div_ceil(BLOCK),
                true,
            );
            return;
        }
        let tolerance = match self.mode {
            Reuse::Tolerant => {
                self.noise.observe(&self.differences);
                self.noise
                    .tolerance(parameters.reuse_threshold as f32, &self.differences)
            }
            Reuse::None | Reuse::Exact => Tolerance::EXACT,
        };
        self.changed.extend(self.differences.changed(tolerance));
        let columns = self.differences.columns();
        let near = if self.mode == Reuse::Exact {
            context
        } else {
            context.min(NEAR)
        };
        self.far.clear();
        self.far.resize(self.valid.len(), 0.0);
        for (index, excess) in self.differences.excess(tolerance).enumerate() {
            if excess <= 0.0 {
                continue;
            }
            let block = Rect {
                x: index % columns * BLOCK,
                y: index / columns * BLOCK,
                width: BLOCK,
                height: BLOCK,
            };
            let whole = cells.touching(block.grown(context, size));
            let close = cells.touching(block.grown(near, size));
            for y in whole.y..whole.bottom() {
                let row = y * cells.columns();
                for x in whole.x..whole.right() {
                    let cell = row + x;
                    if excess <= 1.0 {
                        self.inexact[cell] = true;
                    } else if (close.y..close.bottom()).contains(&y)
                        && (close.x..close.right()).contains(&x)
                    {
                        self.valid[cell] = false;
                    } else {
                        self.inexact[cell] = true;
                        self.far[cell] = self.far[cell].max(excess);
                    }
                }
            }
            if excess > 1.0 {
                self.reference
                    .set_part(frame, block.x, block.right(), block.y, block.bottom());
            }
        }
        let most = FAR_TOLERANCE;
        for ((debt, far), valid) in self.debt.iter_mut().zip(&self.far).zip(&mut self.valid) {
            *debt += far;
            *valid &= *debt <= most;
        }
        if self.mode == Reuse::Tolerant && parameters.refresh_time > Duration::ZERO {
            for index in 0..self.valid.len() {
                let (column, row) = (index % cells.columns(), index / cells.columns());
                let share = lifetime(column / REFRESH_GROUP, row / REFRESH_GROUP);
                let age = now.saturating_sub(self.drawn[index]);
                if self.inexact[index] && age >= parameters.refresh_time.mul_f32(share) {
                    self.valid[index] = false;
                    let cell = cells.rect(index);
                    self.reference
                        .set_part(frame, cell.x, cell.right(), cell.y, cell.bottom());
                }
            }
        }
    }

    /// Unmarks the cells of `wanted` whose picture holds, so that those that must be drawn are left.
    pub fn unmark_valid(&self, wanted: &mut Cells) {
        for (marked, valid) in wanted.marked_mut().iter_mut().zip(&self.valid) {
            *marked &= !valid;
        }
    }

    /// Notes that the cells that share a pixel with `areas` were drawn into the picture at `now`, from the pixels of this frame.
    pub fn note_drawn(&mut self, areas: &[Rect], now: Duration) {
        let cells = Cells::new(self.size);
        for area in areas {
            let inside = cells.touching(*area);
            for y in inside.y..inside.bottom() {
                let row = y * cells.columns();
                let range = row + inside.x..row + inside.right();
                self.valid[range.clone()].fill(true);
                self.inexact[range.clone()].fill(false);
                self.debt[range.clone()].fill(0.0);
                self.drawn[range].fill(now);
            }
        }
    }

    /// Whether a result for `area` (input pixels), drawn at `drawn`, still holds in this frame: no pixel of it or of the context
    /// around it changed, and it is not too old. Asked in every frame for as long as the result is kept.
    pub fn holds(
        &self,
        area: Rect,
        context: usize,
        drawn: Duration,
        now: Duration,
        parameters: &Parameters,
    ) -> bool {
        let refresh = parameters.refresh_time;
        let fresh = self.mode == Reuse::Exact
            || refresh == Duration::ZERO
            || now.saturating_sub(drawn) < refresh;
        fresh && !self.changed_within(area, context)
    }

    fn changed_within(&self, area: Rect, context: usize) -> bool {
        let area = area.grown(context, self.size);
        let columns = self.size.width.div_ceil(BLOCK);
        (area.y / BLOCK..area.bottom().div_ceil(BLOCK)).any(|y| {
            self.changed
                .get(y * columns + area.x / BLOCK..y * columns + area.right().div_ceil(BLOCK))
                .is_none_or(|blocks| blocks.contains(&true))
        })
    }
}

/// A part of the mask's support, and the region of the face generator's picture that it is taken from. A region has a place, in
/// which another may follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The part, in input pixels.
    pub support: Rect,
    /// Where the region is kept.
    pub place: usize,
    /// The region, in input pixels.
    pub rect: Rect,
    /// Whether the region must be drawn in this frame.
    pub fresh: bool,
}

/// A region that was drawn.
#[derive(Debug, Clone, Copy, Default)]
struct Region {
    rect: Rect,
    /// On the engine's clock.
    drawn: Duration,
}

/// The regions that the face generator drew, for as long as they hold.
#[derive(Debug, Default)]
pub struct Regions(Vec<Region>);

/// Kept regions begin and end at multiples of this many input pixels: a box that trembles stays inside its region.
const REGION_GRID: usize = 4;

impl Regions {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.fill(Region::default());
    }

    /// Decides where the picture of a frame of `frame` pixels comes from whose mask reaches over `supports`, disjoint rectangles of
    /// input pixels, and puts it into `parts`, in the order of the supports. `holds` says whether the result of a rectangle drawn at
    /// a time may be kept; `None` if none may. `now` is the engine's clock. What must be drawn counts as drawn from now on.
    pub fn begin(
        &mut self,
        frame: Size,
        supports: &[Rect],
        now: Duration,
        holds: Option<&dyn Fn(Rect, Duration) -> bool>,
        parts: &mut Vec<Part>,
    ) {
        let regions = &mut self.0;
        parts.clear();
        for &support in supports {
            // The whole region must hold, not only the part that is wanted now: the mask may move over the rest later.
            let found = regions.iter().position(|region| {
                region.rect.contains(support)
                    && holds.is_some_and(|holds| holds(region.rect, region.drawn))
            });
            parts.push(Part {
                support,
                place: found.unwrap_or(usize::MAX),
                rect: found.map_or(Rect::default(), |place| regions[place].rect),
                fresh: found.is_none(),
            });
        }
        for index in 0..parts.len() {
            if !parts[index].fresh {
                continue;
            }
            let support = parts[index].support;
            let rect = match holds {
                Some(_) => snapped(support, frame),
                None => support,
            };
            let taken = |place| parts.iter().any(|part| part.place == place);
            let place = (0..regions.len())
                .find(|place| !taken(*place))
                .unwrap_or(regions.len());
            if place == regions.len() {
                regions.push(Region::default());
            }
            regions[place] = Region { rect, drawn: now };
            (parts[index].place, parts[index].rect) = (place, rect);
        }
        // What no support is in was drawn of pixels that may have changed since: it could only mislead later.
        for (place, region) in regions.iter_mut().enumerate() {
            if !parts.iter().any(|part| part.place == place) {
                region.rect = Rect::default();
            }
        }
    }
}

/// `rect` with its sides moved out to the grid, inside the frame.
fn snapped(rect: Rect, frame: Size) -> Rect {
    let down = |v: usize| v / REGION_GRID * REGION_GRID;
    let up = |v: usize, end: usize| v.next_multiple_of(REGION_GRID).min(end);
    let (x, y) = (down(rect.x), down(rect.y));
    Rect {
        x,
        y,
        width: up(rect.right(), frame.width) - x,
        height: up(rect.bottom(), frame.height) - y,
    }
}

/// How much of the refresh time a group of cells lives, 0.5 to 1.0: spreads refreshes over frames. The fraction of a multiple of
/// the golden ratio falls evenly over its range whatever the number of groups.
fn lifetime(column: usize, row: usize) -> f32 {
    const GOLDEN: f32 = 0.618_034;
    let turn = (column as f32 * GOLDEN + row as f32 * GOLDEN * GOLDEN).fract();
    0.5 + 0.5 * turn
}
