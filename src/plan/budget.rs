//! How much of a frame the networks can draw in the time that there is, and which of them. Pure: over measured costs, without a clock.

use std::time::Duration;

use super::cost::Profile;
use super::rectangles::rectangles;
use super::runs::{Run, runs};
use crate::keep::cells::{CELL, Cells};
use crate::keep::class::{Claim, Class, Rung};
use crate::picture::{Rect, Size};
use crate::settings::MAX_KINDS;

/// The time that a frame may take, and what its parts are thought to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Seconds for all networks; for the whole frame until [`Budget::after`] has taken away what is not theirs.
    pub seconds: f64,
    /// Seconds that drawing takes beside networks.
    pub writing: f64,
    /// Seconds that the general generator takes for an input pixel, context and what a run costs beside its pixels counted in.
    pub general: f64,
    /// The same of the fast generator.
    pub fast: f64,
    /// The same of each kind's expert.
    pub experts: [f64; MAX_KINDS],
}

impl Budget {
    /// Seconds that the general generator takes for `cells`, with the context of those around them.
    pub fn general_cells(&self, cells: usize) -> f64 {
        (cells * CELL * CELL) as f64 * CONTEXT * self.general
    }

    /// What is left for networks where it took `elapsed` to decide what is to be drawn.
    pub fn after(&self, elapsed: Duration) -> Self {
        Self {
            seconds: self.seconds - elapsed.as_secs_f64() - self.writing,
            writing: 0.0,
            ..*self
        }
    }
}

/// What one that wants all has of `time` where others want `demands`, which it sorts: nobody has more than it wants, and who has less than that has
/// as much as any other (max-min fairness; Bertsekas and Gallager, "Data Networks", 1992, section 6.5.2). At least 0.
pub fn fair_share(time: f64, demands: &mut [f64]) -> f64 {
    demands.sort_by(f64::total_cmp);
    let (mut left, mut sharers) = (time.max(0.0), demands.len() + 1);
    for demand in demands {
        if *demand * sharers as f64 > left {
            break;
        }
        left -= *demand;
        sharers -= 1;
    }
    left / sharers as f64
}

/// Seconds that `runs` are thought to take.
pub fn seconds(runs: &[Run], profile: &Profile, per_pixel: f64) -> f64 {
    let pixels: usize = runs.iter().map(|run| run.pixels() + profile.per_run).sum();
    pixels as f64 * per_pixel
}

/// Share of the time that cells may be raised in which were drawn by less before: what fits by a hair does not fit in the next frame.
const RISING: f64 = 0.9;

/// The part of the general generator's price that the fast one may ask: for more, the better picture is worth its time, and what the general one
/// does not come to is sooner its turn.
const WORTH: f64 = 0.6;

/// How much more than its cells' pixels a generator mostly sees, for their context.
const CONTEXT: f64 = 1.25;

/// As exact as the number of cells that fit is found, as a part of it: planning takes time too.
const STEPS: usize = 64;

/// A generator and its price in seconds for an input pixel.
#[derive(Debug, Clone, Copy)]
pub struct Offer {
    /// What it may be given.
    pub profile: Profile,
    /// See [`Budget::general`].
    pub per_pixel: f64,
}

impl Offer {
    /// The least seconds that `cells` whole cells take.
    fn least(&self, cells: usize) -> f64 {
        (cells * CELL * CELL) as f64 * self.per_pixel
    }

    /// The most cells of `frame` that may be drawn in `time`, in one run without context.
    fn most(&self, frame: Size, time: f64) -> usize {
        let pixels = time / self.per_pixel.max(f64::MIN_POSITIVE);
        // Those at the frame's edges may be smaller.
        let edges = frame.width.div_ceil(CELL) + frame.height.div_ceil(CELL);
        let whole = (pixels.max(0.0) / (CELL * CELL) as f64) as usize;
        if pixels > 0.0 {
            whole.saturating_add(edges)
        } else {
            0
        }
    }

    /// The rectangles that `cells` are drawn in, and the seconds that this takes.
    fn cost(&self, cells: &Cells) -> (Vec<Rect>, f64) {
        let areas = rectangles(cells, self.profile);
        let runs = runs(cells.frame(), &areas, &self.profile);
        let time = seconds(&runs, &self.profile, self.per_pixel);
        (areas, time)
    }
}

/// Which generator draws what of a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Division {
    /// What the general generator draws. What else lies in these rectangles is drawn with it.
    pub full: Vec<Rect>,
    /// The cells that the fast generator draws, and the rectangles in which it runs; of what else lies in these nothing is taken.
    pub fast: Cells,
    /// See `fast`.
    pub fast_areas: Vec<Rect>,
    /// The cells that neither draws although they must be drawn.
    pub interpolated: Cells,
    /// How many cells more the general generator would have drawn in more time.
    pub left_out: usize,
}

/// Divides a frame of `frame` pixels among the generators so that no more than `time` seconds are thought to be spent. What comes first in
/// `claims` is drawn first: by the general generator as much as leaves time to have the rest drawn by the `fast` one, if there is one; what
/// neither has time for is interpolated, if it must be drawn at all. A fast generator that is hardly faster is given nothing.
pub fn divide(
    frame: Size,
    claims: &[Claim],
    general: &Offer,
    fast: Option<&Offer>,
    time: f64,
) -> Division {
    let fast = fast.filter(|fast| fast.per_pixel <= WORTH * general.per_pixel);
    let of = |cells: &mut dyn Iterator<Item = usize>| {
        let mut marks = Cells::new(frame);
        cells.for_each(|cell| marks.marked_mut()[cell] = true);
        marks
    };
    let rising: Vec<&Claim> = claims
        .iter()
        .filter(|claim| claim.rises || claim.rung == Rung::Full)
        .collect();
    let kept = rising
        .iter()
        .take_while(|claim| claim.turn.0 == Class::MovingSharp)
        .count();
    // What the fast generator is given beside what the general one draws.
    let rest = |drawn: &[Rect], all: bool| -> Vec<usize> {
        let mut covered = Cells::new(frame);
        drawn
            .iter()
            .for_each(|area| covered.set_touching(*area, true));
        let wants = |claim: &&Claim| {
            let allowed = claim.rises || claim.rung >= Rung::Fast;
            let needed = if all {
                claim.there && claim.rung < Rung::Fast
            } else {
                !claim.there
            };
            allowed && needed && !covered.marked()[claim.cell]
        };
        claims
            .iter()
            .filter(wants)
            .map(|claim| claim.cell)
            .collect()
    };
    // The general generator's part of the first `count`, and what that takes.
    let part = |count: usize| {
        let cells = of(&mut rising[..count].iter().map(|claim| claim.cell));
        general.cost(&cells)
    };
    let limit = |count: usize| if count > kept { time * RISING } else { time };
    let must = claims.iter().filter(|claim| !claim.there).count();
    // More cells never take less, but for a rectangle or two: the largest number that fits, by bisection. Rectangles are only found for what
    // may fit by its pixels alone, and what the fast generator takes for the rest is reckoned by its pixels until the number is found.
    let guess = |drawn: usize| {
        let rest = must.saturating_sub(drawn);
        fast.map_or(0.0, |fast| fast.least(rest) * CONTEXT)
    };
    let most = rising.len().min(general.most(frame, time));
    let (mut low, mut high) = (0, most);
    let (mut full, mut own) = (Vec::new(), 0.0);
    if most == rising.len() {
        let (areas, seconds) = part(most);
        if seconds + guess(most) <= time {
            (low, full, own) = (most, areas, seconds);
        } else {
            high = most.saturating_sub(1);
        }
    }
    let step = (high / STEPS).max(1);
    while high.saturating_sub(low) >= step {
        let middle = (low + high).div_ceil(2);
        let (areas, seconds) = part(middle);
        if seconds + guess(middle) <= limit(middle) {
            (low, full, own) = (middle, areas, seconds);
        } else {
            high = middle - 1;
        }
    }
    // By its rectangles the fast generator may take longer: then it is given time.
    while let Some(fast) = fast.filter(|_| low > 0) {
        let left = fast.cost(&of(&mut rest(&full, false).into_iter())).1;
        if own + left <= time {
            break;
        }
        low = low * 7 / 8;
        (full, own) = part(low);
    }
    let (mut quick, mut fast_areas) = (Cells::new(frame), Vec::new());
    if let Some(fast) = fast {
        // What must be drawn, then what is there already but was interpolated.
        let mut cells = rest(&full, false);
        let needed = cells.len();
        cells.extend(rest(&full, true));
        let mut fits = |count: usize| {
            let marks = of(&mut cells[..count].iter().copied());
            let (areas, seconds) = fast.cost(&marks);
            let limit = if count > needed { time * RISING } else { time };
            let fits = own + seconds <= limit;
            if fits {
                (quick, fast_areas) = (marks, areas);
            }
            fits
        };
        // All that is needed mostly fits, as the general one's part was chosen so; a part of it may lie in more rectangles, and take longer.
        let most = fast.most(frame, time - own);
        let (mut low, mut high) = if needed <= most && fits(needed) {
            (needed, cells.len().min(most))
        } else {
            (0, needed.min(most))
        };
        let step = (high / STEPS).max(1);
        while high.saturating_sub(low) >= step {
            let middle = (low + high).div_ceil(2);
            if fits(middle) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
    }
    let needed = claims.iter().filter(|claim| !claim.there);
    let mut interpolated = of(&mut needed.map(|claim| claim.cell));
    full.iter()
        .for_each(|area| interpolated.set_touching(*area, false));
    let drawn = interpolated.marked_mut().iter_mut().zip(quick.marked());
    drawn.for_each(|(interpolated, quick)| *interpolated &= !quick);
    Division {
        full,
        fast: quick,
        fast_areas,
        interpolated,
        left_out: rising.len() - low,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::cost::Shapes;
    use crate::plan::tiles::Limit;
    use crate::testing::Random;

    const PROFILE: Profile = Profile {
        context: 6,
        stride: 1,
        per_run: 300,
        shapes: Shapes::Free(Limit::Area(200 * 200)),
    };
    const GENERAL: Offer = Offer {
        profile: PROFILE,
        per_pixel: 1e-6,
    };
    const FAST: Offer = Offer {
        profile: PROFILE,
        per_pixel: 2e-7,
    };

    fn cost(frame: Size, areas: &[Rect], offer: &Offer) -> f64 {
        seconds(
            &runs(frame, areas, &offer.profile),
            &offer.profile,
            offer.per_pixel,
        )
    }

    /// By the definition: the level up to which all demands are filled uses up the time, as bisection finds it.
    #[test]
    fn shares_are_fair() {
        let mut random = Random(0x5a5a_0123_4567_89ab);
        for _ in 0..200 {
            let mut demands: Vec<f64> = (0..random.below(7))
                .map(|_| match random.below(5) {
                    0 => f64::INFINITY,
                    some => some as f64 * random.below(100) as f64 / 100.0,
                })
                .collect();
            let time = random.below(500) as f64 / 100.0;
            let used = |level: f64| level + demands.iter().map(|d| d.min(level)).sum::<f64>();
            let (mut low, mut high) = (0.0, time);
            for _ in 0..60 {
                let middle = (low + high) / 2.0;
                if used(middle) <= time {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            assert!((fair_share(time, &mut demands) - low).abs() < 1e-9);
        }
        assert_eq!(fair_share(-1.0, &mut []), 0.0);
    }

    /// Claims of cells at random, in an order of their own.
    fn claims(frame: Size, random: &mut Random) -> Vec<Claim> {
        let count = Cells::new(frame).marked().len();
        let rungs = [Rung::Blank, Rung::Interpolated, Rung::Fast, Rung::Full];
        let mut claims = Vec::new();
        for cell in (0..count).rev() {
            let rung = rungs[random.below(4)];
            let there = rung != Rung::Blank && random.below(3) == 0;
            let class = match (there, rung) {
                (true, Rung::Full) => Class::Refresh,
                (true, _) => Class::Owed,
                (false, Rung::Full) => Class::MovingSharp,
                (false, _) => Class::Moving,
            };
            if random.below(3) > 0 {
                claims.push(Claim {
                    cell,
                    turn: (class, count as u64 - cell as u64),
                    rung,
                    there,
                    rises: rung == Rung::Blank || random.below(3) > 0,
                });
            }
        }
        claims.sort_by_key(|claim| claim.turn);
        claims
    }

    /// Whatever is wanted and however little time there is: no more than fits is drawn, every cell that must be drawn is, by one of the three,
    /// none is raised that may not be, and more time draws no less.
    #[test]
    fn no_more_than_fits_is_drawn() {
        let mut random = Random(0x00b0_d9e7_1234_5678);
        let frame = Size::new(200, 120);
        for round in 0..60 {
            let claims = claims(frame, &mut random);
            for fast in [None, Some(&FAST)] {
                let mut before = 0.0;
                for time in [0.0, 1e-3, 4e-3, 1e-2, 2e-2, 1.0] {
                    let found = divide(frame, &claims, &GENERAL, fast, time);
                    let full = cost(frame, &found.full, &GENERAL);
                    let quick = cost(frame, &found.fast_areas, &FAST);
                    assert!(
                        full + quick <= time + 1e-12,
                        "{round}: {full} + {quick} of {time}"
                    );
                    assert!(fast.is_some() || found.fast.count() == 0);
                    let covered = |areas: &[Rect], rect: Rect| {
                        areas
                            .iter()
                            .any(|area| area.intersection(rect) == Some(rect))
                    };
                    let mut drawn = 0.0;
                    for claim in &claims {
                        let rect = found.fast.rect(claim.cell);
                        let by = [
                            covered(&found.full, rect),
                            found.fast.marked()[claim.cell],
                            found.interpolated.marked()[claim.cell],
                        ];
                        let count = by.iter().filter(|by| **by).count();
                        assert!(count <= 1, "{round}: {claim:?} by {by:?}");
                        assert!(count == 1 || claim.there, "{round}: {claim:?} by nobody");
                        if by[1] {
                            assert!(covered(&found.fast_areas, rect));
                            assert!(
                                claim.rises || claim.rung >= Rung::Fast,
                                "{round}: {claim:?}"
                            );
                            // What is there is never drawn by less.
                            assert!(!claim.there || claim.rung < Rung::Fast);
                        }
                        drawn += [1.0, 0.2, 0.0]
                            .iter()
                            .zip(by)
                            .map(|(w, by)| if by { *w } else { 0.0 })
                            .sum::<f64>();
                    }
                    assert!(drawn >= 0.9 * before, "{round}: {drawn} after {before}");
                    before = drawn;
                }
            }
        }
    }

    /// Cells that must be drawn, all alike.
    fn moving(frame: Size, rung: Rung) -> Vec<Claim> {
        let count = Cells::new(frame).marked().len();
        let class = if rung == Rung::Full {
            Class::MovingSharp
        } else {
            Class::Moving
        };
        (0..count)
            .map(|cell| Claim {
                cell,
                turn: (class, 0),
                rung,
                there: false,
                rises: true,
            })
            .collect()
    }

    /// What the general generator has no time for is the fast one's, and interpolated only where not even that has.
    #[test]
    fn the_fast_one_draws_what_the_general_one_has_no_time_for() {
        let frame = Size::new(200, 120);
        let claims = moving(frame, Rung::Full);
        let all = cost(frame, &[Rect::whole(frame)], &GENERAL);
        let half = divide(frame, &claims, &GENERAL, Some(&FAST), all * 0.6);
        let pixels = |areas: &[Rect]| areas.iter().map(|area| area.size().area()).sum::<usize>();
        let full = pixels(&half.full) as f64 / frame.area() as f64;
        assert!((0.2..0.55).contains(&full), "{full}");
        assert_eq!(half.interpolated.count(), 0);
        assert!(half.fast.count() > 0);
        // Less than the fast one takes for all of it.
        let tenth = divide(frame, &claims, &GENERAL, Some(&FAST), all * 0.1);
        assert!(tenth.full.is_empty() && tenth.fast.count() > 0 && tenth.interpolated.count() > 0);
        let none = divide(frame, &claims, &GENERAL, None, all * 0.1);
        assert_eq!(none.fast.count(), 0);
    }

    /// What fits by a hair is kept, but not begun.
    #[test]
    fn nothing_is_raised_for_which_time_hardly_suffices() {
        let frame = Size::new(200, 120);
        let time = cost(frame, &[Rect::whole(frame)], &GENERAL) * 0.5;
        let sharp = divide(frame, &moving(frame, Rung::Full), &GENERAL, None, time);
        let soft = divide(
            frame,
            &moving(frame, Rung::Interpolated),
            &GENERAL,
            None,
            time,
        );
        let pixels = |areas: &[Rect]| areas.iter().map(|area| area.size().area()).sum::<usize>();
        assert!(pixels(&soft.full) < pixels(&sharp.full));
        assert!(pixels(&soft.full) > pixels(&sharp.full) * 3 / 4);
    }
}
