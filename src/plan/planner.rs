//! The plan of one frame.

use std::time::{Duration, Instant};

use super::budget::{Budget, Division, Offer, divide, seconds};
use super::cost::Profile;
use super::rectangles::{general_cells, rectangles};
use super::runs::{Run, runs};
use crate::follow::track::Face;
use crate::keep::cells::Cells;
use crate::keep::class::{Claim, Class, Rung};
use crate::keep::ledger::{Epoch, Ledger};
use crate::keep::regions::{Part, fresh_parts};
use crate::mask::Mask;
use crate::picture::{FrameMemory, Rect, Size, merge_overlapping};
use crate::settings::View;

/// What a plan knows of the generators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profiles {
    /// Of the general generator.
    pub general: Profile,
    /// Of the one that draws what that one has no time for, if there is one.
    pub fast: Option<Profile>,
    /// Of each kind's expert, if it has one.
    pub experts: Vec<Option<Profile>>,
    /// Which kind is faces, if that is one of them.
    pub faces: Option<usize>,
}

impl Profiles {
    /// The face generator's kind and profile, if there is one.
    fn face(&self) -> Option<(usize, Profile)> {
        let kind = self.faces?;
        Some((kind, (*self.experts.get(kind)?)?))
    }
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
    /// Cells of those that show what the fast generator drew for lack of time, in this frame or an earlier one.
    pub cells_fast: u64,
    /// Cells of those that are interpolated for lack of time, or were and are kept so.
    pub cells_late: u64,
    /// Input pixels that are interpolated in this frame.
    pub pixels_late: u64,
    /// Input pixels of the frame.
    pub pixels: u64,
}

/// By what a frame is drawn, as shares of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shares {
    /// By the general network, or an expert.
    pub full: f64,
    /// By the fast network, for lack of time.
    pub fast: f64,
    /// By interpolation, for lack of time.
    pub interpolated: f64,
}

impl Counts {
    /// By what the frame is drawn, in this frame or an earlier one whose picture is kept.
    pub fn shares(&self) -> Shares {
        let all = self.cells.max(1) as f64;
        let (fast, interpolated) = (self.cells_fast as f64 / all, self.cells_late as f64 / all);
        Shares {
            full: 1.0 - fast - interpolated,
            fast,
            interpolated,
        }
    }
}

/// What is to be drawn of a frame, and by what. Rectangles are in input pixels. Reused from frame to frame for its memory.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Which frame of the stream it is of.
    pub number: u64,
    /// What the output shows.
    pub view: View,
    /// Objects of the frame, kind by kind, in pixels of the input.
    pub objects: Vec<Vec<Face>>,
    /// Which kind is faces, if that is one of them.
    pub faces: Option<usize>,
    /// The mask of the objects that have an expert, or, where the mask itself is shown, of all.
    pub mask: Mask,
    /// Where the fused picture, or the general one alone, is wanted. Empty if another is shown.
    pub area: Rect,
    /// What networks see in the frame's place, a frame of the same format and size, where `is_steady`: the mean of what stands still.
    pub steady: FrameMemory,
    /// See `steady`.
    pub is_steady: bool,
    /// What is kept, and taken from what was kept where it holds; `None` if nothing is.
    pub epoch: Option<Epoch>,
    /// The general generator's runs.
    pub general: Vec<Run>,
    /// The fast generator's runs, and the cells of them that its picture is taken for.
    pub fast: Vec<Run>,
    /// See `fast`.
    pub fast_cells: Cells,
    /// The cells that are taken from the general picture that is kept.
    pub still: Cells,
    /// The cells for which there was no time: interpolated from this frame.
    pub interpolated: Cells,
    /// How many cells more the general generator would have drawn in more time.
    pub left_out: usize,
    /// The cells that stand still and are drawn by more than before: what was kept of them goes over into it.
    pub raised: Cells,
    /// What was counted.
    pub counts: Counts,
    /// Each expert's runs, kind by kind. Tiles carry the number of the fresh part that they belong to, counted among the fresh ones of the kind.
    pub experts: Vec<Vec<Run>>,
    /// Where the experts' pictures come from that are fused in; kind by kind.
    pub parts: Vec<Part>,
    /// The faces, by their places, that are to be compared with the input's.
    pub compared: Vec<usize>,
    /// The time that it took from the frame's being handed in until it was planned. Planning itself counts as writing: it is not known before.
    pub decided: Duration,
    /// When the frame is due, if it has a time.
    pub due: Option<Instant>,
    /// Whether the output is, sample by sample, that of the frame before, which whoever has that may send again instead of having this drawn.
    pub repeats: bool,
    /// Memory that is reused.
    wanted: Cells,
    shown: Cells,
    areas: Vec<Rect>,
    supports: Vec<(usize, Rect)>,
    claims: Vec<Claim>,
}

impl Plan {
    /// Its objects of the kind faces.
    pub fn faces(&self) -> &[Face] {
        let faces = self.faces.and_then(|kind| self.objects.get(kind));
        faces.map_or(&[], Vec::as_slice)
    }

    /// Plans a frame of `size` pixels from what was decided on it: [`Plan::view`], [`Plan::objects`] and [`Plan::mask`]. What `kept`
    /// holds is not drawn again, and what is drawn counts there as drawn at the time beside it; without, everything is drawn and
    /// nothing kept. With a `budget` the general generator draws what there is time for beside the objects, which are always drawn; the rest
    /// is the fast generator's, or interpolated, and owed while it stands still.
    pub fn make(
        &mut self,
        size: Size,
        profiles: &Profiles,
        mut kept: Option<(&mut Ledger, Duration)>,
        budget: Option<&Budget>,
    ) -> Counts {
        self.counts = self.planned(size, profiles, &mut kept, budget);
        self.counts
    }

    fn planned(
        &mut self,
        size: Size,
        profiles: &Profiles,
        kept: &mut Option<(&mut Ledger, Duration)>,
        budget: Option<&Budget>,
    ) -> Counts {
        self.general.clear();
        self.fast.clear();
        self.fast_cells.clear(size);
        self.experts.resize_with(profiles.experts.len(), Vec::new);
        self.experts.iter_mut().for_each(Vec::clear);
        self.parts.clear();
        self.repeats = false;
        self.interpolated.clear(size);
        self.raised.clear(size);
        self.epoch = kept.as_mut().map(|(ledger, _)| ledger.begin());
        let whole = Rect::whole(size);
        self.area = match self.view {
            View::Fused | View::General => whole,
            // Without a face generator its picture is the general one, as in the fusion.
            View::Face if profiles.face().is_none() => whole,
            View::Face | View::Mask | View::Bicubic => Rect::default(),
            View::Split => Rect {
                x: whole.width / 2,
                width: whole.width - whole.width / 2,
                ..whole
            },
        };
        if let (View::Face, Some((kind, profile))) = (self.view, profiles.face()) {
            self.experts[kind] = runs(size, &[whole], &profile);
        }
        if self.area.is_empty() {
            return Counts::default();
        }
        let has_experts = profiles.experts.iter().any(Option::is_some);
        let fused = has_experts && matches!(self.view, View::Fused | View::Split);
        // Objects first: what they take is not there for the rest.
        if fused {
            self.plan_objects(size, profiles, kept);
        }
        let left = budget.map(|budget| {
            let experts = self.experts.iter().zip(&profiles.experts);
            let objects: f64 = experts
                .zip(budget.experts)
                .filter_map(|((runs, profile), price)| {
                    Some(seconds(runs, profile.as_ref()?, price))
                })
                .sum();
            Budget {
                seconds: budget.seconds - objects,
                ..*budget
            }
        });
        self.plan_general(size, profiles, fused, kept, left.as_ref())
    }

    /// Where the general generator must run, and what of that it and the fast one can in the time that is `left`.
    fn plan_general(
        &mut self,
        size: Size,
        profiles: &Profiles,
        fused: bool,
        kept: &mut Option<(&mut Ledger, Duration)>,
        left: Option<&Budget>,
    ) -> Counts {
        let nowhere = Mask::default();
        let mask = if fused { &self.mask } else { &nowhere };
        general_cells(size, self.area, mask, &mut self.wanted);
        self.shown.clone_from(&self.wanted);
        if let Some((ledger, _)) = kept {
            ledger.unmark_valid(&mut self.wanted);
        }
        let mut fast_areas = Vec::new();
        self.left_out = 0;
        let areas = match left {
            None => rectangles(&self.wanted, profiles.general),
            Some(budget) => {
                let division = self.divide(size, profiles, kept, budget);
                (self.fast_cells, self.interpolated) = (division.fast, division.interpolated);
                self.left_out = division.left_out;
                fast_areas = division.fast_areas;
                division.full
            }
        };
        // Cells that hold but lie inside a rectangle are drawn with it.
        let drawn: usize = areas
            .iter()
            .map(|area| self.wanted.touching(*area).size().area())
            .sum();
        if let Some((ledger, now)) = kept {
            // What is not drawn is taken from what is kept, also where an expert's picture will cover it.
            general_cells(size, self.area, &nowhere, &mut self.still);
            for area in &areas {
                self.still.set_touching(*area, false);
            }
            let apart = self
                .fast_cells
                .stretches()
                .chain(self.interpolated.stretches());
            for stretch in apart {
                self.still.set_touching(stretch, false);
            }
            if left.is_some() {
                self.note_raised(&areas);
            }
            ledger.note_drawn(&areas, *now);
            ledger.note_cells(&self.fast_cells, Rung::Fast, *now);
            ledger.note_cells(&self.interpolated, Rung::Interpolated, *now);
            if left.is_some() {
                ledger.keep_old();
            }
        }
        self.general = runs(size, &areas, &profiles.general);
        if let Some(profile) = &profiles.fast {
            self.fast = runs(size, &fast_areas, profile);
        }
        let cells = self.shown.count() as u64;
        let (fast, late) = (self.fast_cells.count(), self.interpolated.count());
        let count = |rung: Rung, fresh: usize| match &*kept {
            Some((ledger, _)) => ledger.count(&self.shown, rung),
            None => fresh,
        };
        Counts {
            cells,
            cells_run: (drawn as u64).min(cells),
            cells_kept: cells.saturating_sub((drawn + fast + late) as u64),
            cells_fast: count(Rung::Fast, fast) as u64,
            cells_late: count(Rung::Interpolated, late) as u64,
            pixels: size.area() as u64,
            pixels_late: self
                .interpolated
                .stretches()
                .map(|s| s.size().area() as u64)
                .sum(),
        }
    }

    /// Notes what stands still and is drawn by more than before, inside of `areas` or by the fast generator.
    fn note_raised(&mut self, areas: &[Rect]) {
        for area in areas {
            self.raised.set_touching(*area, true);
        }
        let drawn = self.raised.marked_mut().iter_mut();
        for (drawn, fast) in drawn.zip(self.fast_cells.marked()) {
            *drawn |= fast;
        }
        let mut owed = vec![false; self.raised.marked().len()];
        for claim in &self.claims {
            owed[claim.cell] = claim.turn.0 == Class::Owed;
        }
        for (raised, owed) in self.raised.marked_mut().iter_mut().zip(owed) {
            *raised &= owed;
        }
    }

    /// Who draws the cells that are wanted in the time of `budget`.
    fn divide(
        &mut self,
        size: Size,
        profiles: &Profiles,
        kept: &Option<(&mut Ledger, Duration)>,
        budget: &Budget,
    ) -> Division {
        let Self { wanted, claims, .. } = self;
        claims.clear();
        // Nothing is known of any cell where nothing is kept: from the middle, where it is looked at, always the same.
        let middle = Rect::whole(size).middle();
        let cells = (0..wanted.marked().len()).filter(|cell| wanted.marked()[*cell]);
        claims.extend(cells.map(|cell| match kept {
            Some((ledger, _)) => ledger.claim(cell),
            None => Claim {
                cell,
                turn: (
                    Class::MovingSharp,
                    wanted.rect(cell).distance_squared(middle) as u64,
                ),
                rung: Rung::Full,
                there: false,
                rises: true,
            },
        }));
        claims.sort_by_key(|claim| claim.turn);
        let general = Offer {
            profile: profiles.general,
            per_pixel: budget.general,
        };
        let fast = profiles.fast.map(|profile| Offer {
            profile,
            per_pixel: budget.fast,
        });
        divide(size, claims, &general, fast.as_ref(), budget.seconds)
    }

    /// Where the experts must run.
    fn plan_objects(
        &mut self,
        size: Size,
        profiles: &Profiles,
        kept: &mut Option<(&mut Ledger, Duration)>,
    ) {
        let (supports, areas) = (&mut self.supports, &mut self.areas);
        supports.clear();
        for kind in 0..profiles.experts.len() {
            let own = self.mask.regions().filter(|(of, _)| *of == kind);
            areas.clear();
            areas.extend(own.filter_map(|(_, support)| support.intersection(self.area)));
            merge_overlapping(areas);
            supports.extend(areas.iter().map(|area| (kind, *area)));
        }
        match kept {
            Some((ledger, now)) => ledger.take_regions(supports, *now, &mut self.parts),
            None => fresh_parts(supports, &mut self.parts),
        }
        let experts = self.experts.iter_mut().zip(&profiles.experts);
        for (kind, (planned, profile)) in experts.enumerate() {
            let fresh = self.parts.iter().filter(|p| p.fresh && p.kind == kind);
            areas.clear();
            areas.extend(fresh.map(|part| part.rect));
            if let Some(profile) = profile {
                *planned = runs(size, areas, profile);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find::{BBox, InstanceMask};
    use crate::keep::ledger::Rules;
    use crate::picture::Frame;
    use crate::plan::cost::Shapes;
    use crate::plan::tiles::Limit;
    use crate::settings::{MAX_KINDS, Reuse};
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
                fast: (round % 3 == 0).then(|| profile(random.below(context + 1), &mut random)),
                experts: vec![(round % 4 != 0).then(|| profile(random.below(6), &mut random))],
                faces: Some(0),
            };
            let expert = profiles.experts[0];
            let rules = Rules {
                reuse: Reuse::Exact,
                threshold: 0.0,
                refresh: Duration::ZERO,
                context,
                expert_context: expert.map_or(0, |face| face.context),
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
                ledger.observe(&frame, now, &rules).unwrap();
                plan.view = if random.below(5) == 0 {
                    View::Split
                } else {
                    View::Fused
                };
                plan.objects = vec![Vec::new()];
                if random.below(2) == 0 {
                    let (x, y) = (
                        random.below(size.width) as f32,
                        random.below(size.height) as f32,
                    );
                    let side = 5.0 + random.below(60) as f32;
                    // Now and then more than the box is known: a part of it, which may be all.
                    let part = (random.below(20), 8 + random.below(21), random.below(20));
                    let is_in = |x: usize, y: usize| (part.0..part.1).contains(&x) && y >= part.2;
                    let mask = InstanceMask::new(|x, y| f32::from(u8::from(is_in(x, y))));
                    plan.objects[0].push(Face {
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
                        mask: (random.below(2) == 0).then(|| mask.into()),
                    });
                }
                plan.mask.fill(&plan.objects[0], size, 0.15, 0.1);
                let budget = Budget {
                    seconds: random.below(20_000) as f64 * 1e-6,
                    writing: 0.0,
                    general: 1e-6,
                    fast: 2e-7,
                    experts: [1e-6; MAX_KINDS],
                };
                let budget = (random.below(2) == 0).then_some(&budget);
                plan.make(size, &profiles, Some((&mut ledger, now)), budget);
                ledger.remember(&frame, false);
                // Interpolated, or the fast one's, as if drawn: of this frame.
                for cell in 0..plan.fast_cells.marked().len() {
                    let by = [&plan.fast_cells, &plan.interpolated, &plan.still];
                    let count = by.iter().filter(|cells| cells.marked()[cell]).count();
                    assert!(
                        count <= 1,
                        "round {round}: cell {cell} comes from {count} places"
                    );
                }
                for stretch in plan.fast_cells.stretches() {
                    let covered: usize = plan
                        .fast
                        .iter()
                        .flat_map(|run| &run.tiles)
                        .filter_map(|(_, tile)| tile.core.intersection(stretch))
                        .map(|part| part.size().area())
                        .sum();
                    assert_eq!(covered, stretch.size().area(), "round {round}");
                }
                let quick = plan.fast_cells.stretches();
                for stretch in plan.interpolated.stretches().chain(quick) {
                    for y in stretch.y..stretch.bottom() {
                        let row = &mut drawn[y * size.width + stretch.x..][..stretch.width];
                        row.fill(Some(time));
                    }
                }
                assert!(
                    budget.is_some() || plan.interpolated.count() + plan.fast_cells.count() == 0
                );
                if let Some(budget) = budget {
                    let runs = &plan.experts[0];
                    let faces = expert.map_or(0.0, |profile| seconds(runs, &profile, 1e-6));
                    let general = seconds(&plan.general, &profiles.general, 1e-6);
                    let fast = profiles
                        .fast
                        .map_or(0.0, |profile| seconds(&plan.fast, &profile, 2e-7));
                    assert!(
                        general + fast <= (budget.seconds - faces).max(0.0) + 1e-12,
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
                let opaque: Vec<Rect> = match expert {
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
                for support in support.filter(|_| expert.is_some()) {
                    assert!(
                        plan.parts.iter().any(|part| part.support.contains(support)
                            && part.rect.contains(part.support))
                    );
                }
            }
        }
    }
}
