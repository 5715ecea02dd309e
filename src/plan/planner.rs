//! The plan of one frame.

use std::time::Duration;

use super::budget::{Budget, fit, seconds};
use super::cost::Profile;
use super::rectangles::{general_cells, rectangles};
use super::runs::{Run, runs};
use crate::follow::track::Face;
use crate::keep::cells::Cells;
use crate::keep::ledger::{Epoch, Ledger};
use crate::keep::regions::{Part, fresh_parts};
use crate::mask::Mask;
use crate::picture::{Rect, Size, merge_overlapping};
use crate::settings::View;

/// What a plan knows of the generators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profiles {
    /// Of the general generator.
    pub general: Profile,
    /// Of the face generator, if there is one.
    pub face: Option<Profile>,
}

/// What a plan counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Cells in which the general generator's picture is wanted.
    pub cells: u64,
    /// Cells of those that it runs for.
    pub cells_run: u64,
    /// Cells of those whose picture is kept.
    pub cells_kept: u64,
    /// Cells of those that are interpolated for lack of time, or were and are kept so.
    pub cells_late: u64,
    /// Input pixels that are interpolated in this frame.
    pub pixels_late: u64,
    /// Input pixels of the frame.
    pub pixels: u64,
}

/// What is to be drawn of a frame, and by what. Rectangles are in input pixels. Reused from frame to frame for its memory.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Which frame of the stream it is of.
    pub number: u64,
    /// What the output shows.
    pub view: View,
    /// Faces of the frame, in pixels of the input.
    pub faces: Vec<Face>,
    /// Their mask.
    pub mask: Mask,
    /// Where the fused picture, or the general one alone, is wanted. Empty if another is shown.
    pub area: Rect,
    /// What is kept, and taken from what was kept where it holds; `None` if nothing is.
    pub epoch: Option<Epoch>,
    /// The general generator's runs.
    pub general: Vec<Run>,
    /// The cells that are taken from the general picture that is kept.
    pub still: Cells,
    /// The cells for which there was no time: interpolated from this frame.
    pub interpolated: Cells,
    /// The face generator's runs. Tiles carry the number of the fresh part that they belong to, counted among the fresh ones.
    pub face: Vec<Run>,
    /// Where the face generator's picture comes from that is fused in.
    pub parts: Vec<Part>,
    /// The faces, by their places, that are to be compared with the input's.
    pub compared: Vec<usize>,
    /// The time that it took from the frame's being handed in to this plan.
    pub decided: Duration,
    /// Whether the output is, sample by sample, that of the frame before, which whoever has that may send again instead of having this drawn.
    pub repeats: bool,
    /// Memory that is reused.
    wanted: Cells,
    areas: Vec<Rect>,
    order: Vec<usize>,
}

impl Plan {
    /// Plans a frame of `size` pixels from what was decided on it: [`Plan::view`], [`Plan::faces`] and [`Plan::mask`]. What `kept`
    /// holds is not drawn again, and what is drawn counts there as drawn at the time beside it; without, everything is drawn and
    /// nothing kept. With a `budget` the general generator draws what there is time for beside the objects, which are always drawn; the rest
    /// is interpolated, and owed while it stands still.
    pub fn make(
        &mut self,
        size: Size,
        profiles: &Profiles,
        mut kept: Option<(&mut Ledger, Duration)>,
        budget: Option<&Budget>,
    ) -> Counts {
        self.general.clear();
        self.face.clear();
        self.parts.clear();
        self.repeats = false;
        self.interpolated.clear(size);
        self.epoch = kept.as_mut().map(|(ledger, _)| ledger.begin());
        let whole = Rect::whole(size);
        self.area = match self.view {
            View::Fused | View::General => whole,
            // Without a face generator its picture is the general one, as in the fusion.
            View::Face if profiles.face.is_none() => whole,
            View::Face | View::Mask | View::Bicubic => Rect::default(),
            View::Split => Rect {
                x: whole.width / 2,
                width: whole.width - whole.width / 2,
                ..whole
            },
        };
        if let (View::Face, Some(profile)) = (self.view, &profiles.face) {
            self.face = runs(size, &[whole], profile);
        }
        if self.area.is_empty() {
            return Counts::default();
        }
        let fused = profiles
            .face
            .filter(|_| matches!(self.view, View::Fused | View::Split));
        // Objects first: what they take is not there for the rest.
        if let Some(profile) = fused {
            self.plan_faces(size, &profile, &mut kept);
        }
        let left = budget.map(|budget| {
            let faces = fused.map_or(0.0, |profile| seconds(&self.face, &profile, budget.face));
            (budget.seconds - faces, budget.general)
        });
        self.plan_general(size, &profiles.general, fused.is_some(), &mut kept, left)
    }

    /// Where the general generator must run, and what of that it can in the seconds `left`, at so many seconds a pixel.
    fn plan_general(
        &mut self,
        size: Size,
        profile: &Profile,
        fused: bool,
        kept: &mut Option<(&mut Ledger, Duration)>,
        left: Option<(f64, f64)>,
    ) -> Counts {
        let nowhere = Mask::default();
        let mask = if fused { &self.mask } else { &nowhere };
        let wanted = &mut self.wanted;
        general_cells(size, self.area, mask, wanted);
        let cells = wanted.count() as u64;
        if let Some((ledger, _)) = kept {
            ledger.unmark_valid(wanted);
        }
        let areas = match left {
            None => rectangles(wanted, *profile),
            Some((time, per_pixel)) => {
                self.interpolated.clone_from(wanted);
                self.order.clear();
                self.order
                    .extend((0..wanted.marked().len()).filter(|i| wanted.marked()[*i]));
                match kept {
                    Some((ledger, now)) => self.order.sort_by_key(|cell| ledger.turn(*cell, *now)),
                    // Nothing is known of any cell: from the middle, where it is looked at, always the same.
                    None => {
                        let middle = Rect::whole(size).middle();
                        self.order
                            .sort_by_key(|cell| wanted.rect(*cell).distance_squared(middle));
                    }
                }
                let areas = fit(wanted, &self.order, profile, per_pixel, time);
                areas
                    .iter()
                    .for_each(|area| self.interpolated.set_touching(*area, false));
                if let Some((ledger, _)) = kept {
                    // What stands still and was interpolated before is there.
                    ledger.unmark_there(&mut self.interpolated);
                }
                areas
            }
        };
        // Cells that hold but lie inside a rectangle are drawn with it.
        let drawn: usize = areas
            .iter()
            .map(|area| wanted.touching(*area).size().area())
            .sum();
        if let Some((ledger, now)) = kept {
            // What is not drawn is taken from what is kept, also where a face's picture will cover it.
            general_cells(size, self.area, &nowhere, &mut self.still);
            for area in &areas {
                self.still.set_touching(*area, false);
            }
            for stretch in self.interpolated.stretches() {
                self.still.set_touching(stretch, false);
            }
            ledger.note_drawn(&areas, *now);
            ledger.note_interpolated(&self.interpolated, *now);
        }
        self.general = runs(size, &areas, profile);
        let fresh = self.interpolated.count();
        let owed = kept.as_ref().map_or(fresh, |(ledger, _)| ledger.owed());
        Counts {
            cells,
            cells_run: (drawn as u64).min(cells),
            cells_kept: cells.saturating_sub((drawn + fresh) as u64),
            cells_late: owed as u64,
            pixels: size.area() as u64,
            pixels_late: self
                .interpolated
                .stretches()
                .map(|s| s.size().area() as u64)
                .sum(),
        }
    }

    /// Where the face generator must run.
    fn plan_faces(
        &mut self,
        size: Size,
        profile: &Profile,
        kept: &mut Option<(&mut Ledger, Duration)>,
    ) {
        let supports = &mut self.areas;
        supports.clear();
        let visible = |support: Rect| support.intersection(self.area);
        supports.extend(self.mask.supports().filter_map(visible));
        merge_overlapping(supports);
        match kept {
            Some((ledger, now)) => ledger.take_regions(supports, *now, &mut self.parts),
            None => fresh_parts(supports, &mut self.parts),
        }
        let fresh = self.parts.iter().filter(|part| part.fresh);
        self.areas.clear();
        self.areas.extend(fresh.map(|part| part.rect));
        self.face = runs(size, &self.areas, profile);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find::BBox;
    use crate::keep::ledger::Rules;
    use crate::picture::Frame;
    use crate::plan::cost::Shapes;
    use crate::plan::tiles::Limit;
    use crate::settings::Reuse;
    use crate::testing::Random;

    fn profile(context: usize, random: &mut Random) -> Profile {
        let side = 3 * context + 8 + random.below(60);
        Profile {
            context,
            stride: [1, 1, 4, 7][random.below(4)],
            per_run: random.below(600),
            shapes: match random.below(3) {
                0 => Shapes::Free(Limit::Area(side * side)),
                1 => Shapes::Free(Limit::Side(side)),
                _ => Shapes::Fixed {
                    tile: Size::new(side, side),
                    batch: 1 + random.below(4),
                },
            },
        }
    }

    /// Whatever is wanted, kept and changed: each pixel that shows comes from exactly one place, every window carries its whole
    /// context, and what is kept was drawn of pixels that have not changed since, by a model of its own that knows no cells.
    #[test]
    fn every_pixel_comes_from_one_place_and_none_is_stale() {
        let mut random = Random(0x0bad_cafe_1234_5678);
        for round in 0..60 {
            let size = Size::new(20 + random.below(120), 20 + random.below(90));
            let context = random.below(9);
            let profiles = Profiles {
                general: profile(context, &mut random),
                face: (round % 4 != 0).then(|| profile(random.below(6), &mut random)),
            };
            let rules = Rules {
                reuse: Reuse::Exact,
                threshold: 0.0,
                refresh: Duration::ZERO,
                context,
                expert_context: profiles.face.map_or(0, |face| face.context),
            };
            let (mut ledger, mut plan) = (Ledger::default(), Plan::default());
            let mut data = vec![0u8; 3 * size.area()];
            // When each pixel changed last, and when the general picture was drawn there.
            let (mut changed, mut drawn) = (vec![0; size.area()], vec![None; size.area()]);
            for time in 1..20 {
                if random.below(3) > 0 {
                    let (x, y) = (random.below(size.width), random.below(size.height));
                    data[3 * (y * size.width + x)] ^= 1 + random.below(255) as u8;
                    changed[y * size.width + x] = time;
                }
                let now = Duration::from_millis(40 * time);
                let frame = Frame::new(&data, size, 3 * size.width).unwrap();
                ledger.observe(&frame, now, &rules);
                ledger.remember(&frame, false);
                plan.view = if random.below(5) == 0 {
                    View::Split
                } else {
                    View::Fused
                };
                plan.faces.clear();
                if random.below(2) == 0 {
                    let (x, y) = (
                        random.below(size.width) as f32,
                        random.below(size.height) as f32,
                    );
                    let side = 5.0 + random.below(60) as f32;
                    plan.faces.push(Face {
                        id: 1,
                        bbox: BBox {
                            x0: x,
                            y0: y,
                            x1: x + side,
                            y1: y + side,
                        },
                        score: 1.0,
                        points: None,
                        weight: 1.0,
                        held: false,
                    });
                }
                plan.mask.fill(&plan.faces, size, 0.15, 0.1);
                let budget = Budget {
                    seconds: random.below(20_000) as f64 * 1e-6,
                    writing: 0.0,
                    general: 1e-6,
                    face: 1e-6,
                };
                let budget = (random.below(2) == 0).then_some(&budget);
                plan.make(size, &profiles, Some((&mut ledger, now)), budget);
                // Interpolated, as if drawn: of this frame, and nothing is drawn twice.
                for stretch in plan.interpolated.stretches() {
                    for y in stretch.y..stretch.bottom() {
                        let row = &mut drawn[y * size.width + stretch.x..][..stretch.width];
                        row.fill(Some(time));
                    }
                }
                assert!(budget.is_some() || plan.interpolated.count() == 0);
                if let Some(budget) = budget {
                    let faces = profiles
                        .face
                        .map_or(0.0, |profile| seconds(&plan.face, &profile, 1e-6));
                    let general = seconds(&plan.general, &profiles.general, 1e-6);
                    assert!(
                        general <= (budget.seconds - faces).max(0.0),
                        "round {round}"
                    );
                }
                for run in &plan.general {
                    for (_, tile) in &run.tiles {
                        for y in tile.core.y..tile.core.bottom() {
                            drawn[y * size.width + tile.core.x..][..tile.core.width]
                                .fill(Some(time));
                        }
                    }
                }
                let opaque: Vec<Rect> = match profiles.face {
                    Some(_) => plan.mask.opaque().collect(),
                    None => Vec::new(),
                };
                for y in plan.area.y..plan.area.bottom() {
                    for x in plan.area.x..plan.area.right() {
                        let pixel = Rect {
                            x,
                            y,
                            width: 1,
                            height: 1,
                        };
                        let inside = |rect: &Rect| rect.contains(pixel.scaled(crate::SCALE));
                        if opaque.iter().any(inside) {
                            continue;
                        }
                        let when = drawn[y * size.width + x];
                        let seen = pixel.grown(context, size);
                        let newest = (seen.y..seen.bottom())
                            .flat_map(|y| &changed[y * size.width..][seen.x..seen.right()])
                            .max();
                        assert!(when.is_some(), "round {round}, {x},{y} was never drawn");
                        assert!(when >= newest.copied(), "round {round}, {x},{y} is stale");
                    }
                }
                let support = plan
                    .mask
                    .supports()
                    .filter_map(|s| s.intersection(plan.area));
                for support in support.filter(|_| profiles.face.is_some()) {
                    assert!(
                        plan.parts.iter().any(|part| part.support.contains(support)
                            && part.rect.contains(part.support))
                    );
                }
            }
        }
    }
}
