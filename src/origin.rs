//! Where each part of a frame comes from: which network drew it, or which earlier frame it was kept from. Follows finished plans in the order
//! in which frames are given out, and so knows nothing that a plan does not say. Pure; made only where somebody asks for it.

use std::collections::BTreeMap;

use crate::follow::Face;
use crate::keep::cells::Cells;
use crate::mask::Mask;
use crate::picture::{Rect, Size};
use crate::plan::Plan;
use crate::plan::rectangles::general_cells;
use crate::plan::runs::Run;
use crate::settings::View;

/// Rectangles of one origin: the frame that they were drawn in.
pub type KeptRects = (u64, Vec<Rect>);

/// A part of an expert's picture that was blended in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartOrigin {
    /// Place of the expert's kind among [`crate::Upscaler::kinds`].
    pub kind: usize,
    /// The part that was blended in, in input pixels.
    pub support: Rect,
    /// The region that the network drew and that it is taken from, in input pixels.
    pub rect: Rect,
    /// The earlier frame in which the region was drawn; `None` if it was in this one.
    pub from: Option<u64>,
}

/// What was decided on a frame and what drew it. Rectangles are in input pixels.
///
/// Wherever the general picture was wanted, each cell of 8 by 8 pixels is in exactly one of `general`, `kept`, `fast`, `kept_fast`, `interpolated`, `owed`
/// and `covered`.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameRecord {
    /// Frames that were given out before it.
    pub number: u64,
    /// The earlier frame that it is, sample by sample: nothing of it was drawn.
    pub repeats: Option<u64>,
    /// What it shows.
    pub view: View,
    /// Its objects, kind by kind in the order of [`crate::Upscaler::kinds`], in pixels of the input.
    pub objects: Vec<Vec<Face>>,
    /// What the general network drew in this frame.
    pub general: Vec<Rect>,
    /// What is taken from what it drew in earlier frames.
    pub kept: Vec<KeptRects>,
    /// What the fast network drew in this frame, for lack of time.
    pub fast: Vec<Rect>,
    /// What is taken from what that drew in earlier frames.
    pub kept_fast: Vec<KeptRects>,
    /// What was interpolated for lack of time in this frame.
    pub interpolated: Vec<Rect>,
    /// What is taken from what was interpolated for lack of time in earlier frames.
    pub owed: Vec<KeptRects>,
    /// Where the general picture is not seen, because an expert's covers it.
    pub covered: Vec<Rect>,
    /// What each kind's expert drew in this frame.
    pub experts: Vec<Vec<Rect>>,
    /// What of their pictures was blended in, kind by kind.
    pub parts: Vec<PartOrigin>,
    /// What is drawn by more than before, and shown half as it was.
    pub raised: Vec<Rect>,
    /// Whether networks were given the mean of what stands still in place of this frame's own noise.
    pub averaged: bool,
}

/// Where a cell comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Outside,
    Drawn,
    Kept(u64),
    Fast,
    KeptFast(u64),
    Interpolated,
    Owed(u64),
    Covered,
}

/// By what a cell was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DrawnBy {
    General,
    Fast,
    Interpolation,
}

/// What was drawn when, of what is kept.
#[derive(Debug, Default)]
pub struct Origins {
    /// Number of the next frame.
    next: u64,
    /// The last frame that did not repeat another.
    shown: u64,
    epoch: Option<u64>,
    size: Option<Size>,
    /// For each cell the frame that it was drawn in, and by what.
    cells: Vec<Option<(u64, DrawnBy)>>,
    /// For each place of a region the frame that it was drawn in.
    regions: Vec<u64>,
    wanted: Cells,
    drawn: Cells,
}

/// The cores of `runs`: what is taken of their pictures.
fn cores(runs: &[Run]) -> Vec<Rect> {
    let tiles = runs.iter().flat_map(|run| &run.tiles);
    tiles.map(|(_, tile)| tile.core).collect()
}

impl Origins {
    /// Notes the next frame that is given out, drawn as `plan` says, and tells where its parts come from.
    pub fn note(&mut self, plan: &Plan) -> FrameRecord {
        let size = plan.interpolated.frame();
        let number = self.next;
        self.next += 1;
        let epoch = plan.epoch.map(|epoch| epoch.number);
        let begins = plan.epoch.is_none_or(|epoch| epoch.begins);
        self.drawn.clear(size);
        if begins || self.epoch != epoch || self.size != Some(size) {
            self.cells.clear();
            self.regions.clear();
        }
        self.cells.resize(self.drawn.marked().len(), None);
        (self.epoch, self.size) = (epoch, Some(size));
        let repeats = plan.repeats.then_some(self.shown);
        if repeats.is_none() {
            self.shown = number;
        }
        let mut record = FrameRecord {
            number,
            repeats,
            view: plan.view,
            objects: plan.objects.clone(),
            general: cores(&plan.general),
            kept: Vec::new(),
            fast: Vec::new(),
            kept_fast: Vec::new(),
            interpolated: Vec::new(),
            owed: Vec::new(),
            covered: Vec::new(),
            experts: plan.experts.iter().map(|runs| cores(runs)).collect(),
            parts: self.parts(plan, number),
            raised: plan.raised.stretches().collect(),
            averaged: plan.is_steady,
        };
        if !plan.area.is_empty() {
            self.note_cells(plan, number, &mut record);
        }
        record
    }

    fn parts(&mut self, plan: &Plan, number: u64) -> Vec<PartOrigin> {
        let mut origin = |place: usize, fresh: bool| {
            if self.regions.len() <= place {
                self.regions.resize(place + 1, number);
            }
            if fresh {
                self.regions[place] = number;
            }
            self.regions[place]
        };
        let parts = plan.parts.iter();
        let parts = parts.map(|part| PartOrigin {
            kind: part.kind,
            support: part.support,
            rect: part.rect,
            from: Some(origin(part.place, part.fresh)).filter(|_| !part.fresh),
        });
        parts.collect()
    }

    fn note_cells(&mut self, plan: &Plan, number: u64, record: &mut FrameRecord) {
        let size = plan.interpolated.frame();
        for core in &record.general {
            self.drawn.set_touching(*core, true);
        }
        // The mask covers only where an expert's picture is blended in.
        let nowhere = Mask::default();
        let mask = if plan.parts.is_empty() {
            &nowhere
        } else {
            &plan.mask
        };
        general_cells(size, plan.area, mask, &mut self.wanted);
        let area = self.wanted.touching(plan.area);
        let columns = self.wanted.columns().max(1);
        let origins: Vec<Origin> = (0..self.cells.len())
            .map(|index| {
                if self.drawn.marked()[index] {
                    self.cells[index] = Some((number, DrawnBy::General));
                    return Origin::Drawn;
                }
                if plan.fast_cells.marked()[index] {
                    self.cells[index] = Some((number, DrawnBy::Fast));
                    return Origin::Fast;
                }
                if plan.interpolated.marked()[index] {
                    self.cells[index] = Some((number, DrawnBy::Interpolation));
                    return Origin::Interpolated;
                }
                let (x, y) = (index % columns, index / columns);
                if !(area.x..area.right()).contains(&x) || !(area.y..area.bottom()).contains(&y) {
                    return Origin::Outside;
                }
                match self.cells[index] {
                    Some((from, by)) if self.wanted.marked()[index] => match by {
                        DrawnBy::General => Origin::Kept(from),
                        DrawnBy::Fast => Origin::KeptFast(from),
                        DrawnBy::Interpolation => Origin::Owed(from),
                    },
                    _ => Origin::Covered,
                }
            })
            .collect();
        for (origin, rects) in merged(&self.wanted, &origins) {
            match origin {
                // The network's own rectangles say more.
                Origin::Outside | Origin::Drawn => {}
                Origin::Kept(from) => record.kept.push((from, rects)),
                Origin::Fast => record.fast = rects,
                Origin::KeptFast(from) => record.kept_fast.push((from, rects)),
                Origin::Interpolated => record.interpolated = rects,
                Origin::Owed(from) => record.owed.push((from, rects)),
                Origin::Covered => record.covered = rects,
            }
        }
    }
}

/// The cells of each origin as rectangles of pixels: stretches of a row, put together with equal ones below.
fn merged(cells: &Cells, origins: &[Origin]) -> BTreeMap<Origin, Vec<Rect>> {
    let mut found: BTreeMap<Origin, Vec<Rect>> = BTreeMap::new();
    // Stretches of the row above and of this one, from left to right, each with its place in the list of its origin.
    let (mut above, mut row): (Vec<Stretch>, Vec<Stretch>) = Default::default();
    for (y, line) in origins.chunks(cells.columns().max(1)).enumerate() {
        let (mut x, mut next) = (0, 0);
        row.clear();
        while let Some(&origin) = line.get(x) {
            let width = line[x..].iter().take_while(|o| **o == origin).count();
            while above.get(next).is_some_and(|stretch| stretch.x < x) {
                next += 1;
            }
            let rects = found.entry(origin).or_default();
            let same = above
                .get(next)
                .filter(|s| (s.x, s.width, s.origin) == (x, width, origin));
            let place = match same.map(|stretch| stretch.place) {
                Some(place) => {
                    rects[place].height += 1;
                    place
                }
                None => {
                    rects.push(Rect {
                        x,
                        y,
                        width,
                        height: 1,
                    });
                    rects.len() - 1
                }
            };
            row.push(Stretch {
                x,
                width,
                origin,
                place,
            });
            x += width;
        }
        std::mem::swap(&mut above, &mut row);
    }
    for rect in found.values_mut().flatten() {
        *rect = cells.pixels(*rect);
    }
    found
}

/// Cells of one row and one origin beside one another.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    x: usize,
    width: usize,
    origin: Origin,
    place: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keep::cells::CELL;

    #[test]
    fn equal_stretches_become_rectangles() {
        let size = Size::new(4 * CELL - 3, 3 * CELL);
        let cells = Cells::new(size);
        use Origin::{Drawn as D, Kept};
        let (a, b) = (Kept(1), Kept(2));
        let origins = [a, a, D, b, a, a, D, b, D, a, D, b];
        let found = merged(&cells, &origins);
        let rect = |x: usize, y: usize, width: usize, height: usize| Rect {
            x: x * CELL,
            y: y * CELL,
            width: width * CELL,
            height: height * CELL,
        };
        assert_eq!(found[&a], [rect(0, 0, 2, 2), rect(1, 2, 1, 1)]);
        // The last column ends with the frame.
        let narrow = Rect {
            width: CELL - 3,
            ..rect(3, 0, 1, 3)
        };
        assert_eq!(found[&b], [narrow]);
        let area: usize = found
            .values()
            .flatten()
            .map(|rect| rect.size().area())
            .sum();
        assert_eq!(area, size.area());
    }
}
