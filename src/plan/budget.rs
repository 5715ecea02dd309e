//! How much of a frame the networks can draw in the time that there is. Pure: over measured costs, without a clock.

use std::time::Duration;

use super::cost::Profile;
use super::rectangles::rectangles;
use super::runs::{Run, runs};
use crate::keep::cells::Cells;
use crate::picture::Rect;

/// The time that a frame may take, and what its parts are thought to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Seconds for all networks; for the whole frame until [`Budget::after`] has taken away what is not theirs.
    pub seconds: f64,
    /// Seconds that drawing takes beside networks.
    pub writing: f64,
    /// Seconds that the general generator takes for an input pixel, context and what a run costs beside its pixels counted in.
    pub general: f64,
    /// The same of the face generator.
    pub face: f64,
}

impl Budget {
    /// What is left for networks where it took `elapsed` to decide what is to be drawn.
    pub fn after(&self, elapsed: Duration) -> Self {
        Self {
            seconds: self.seconds - elapsed.as_secs_f64() - self.writing,
            writing: 0.0,
            ..*self
        }
    }
}

/// Seconds that `runs` are thought to take.
pub fn seconds(runs: &[Run], profile: &Profile, per_pixel: f64) -> f64 {
    let pixels: usize = runs.iter().map(|run| run.pixels() + profile.per_run).sum();
    pixels as f64 * per_pixel
}

/// Leaves of `wanted` what can be drawn in `time`, what comes first in `order` first (indices of cells; others are not drawn), and returns the
/// rectangles of it. Where there is time for all, all is left, whatever the order holds.
pub fn fit(
    wanted: &mut Cells,
    order: &[usize],
    profile: &Profile,
    per_pixel: f64,
    time: f64,
) -> Vec<Rect> {
    let frame = wanted.frame();
    let cost = |cells: &Cells| {
        let areas = rectangles(cells, *profile);
        let seconds = seconds(&runs(frame, &areas, profile), profile, per_pixel);
        (areas, seconds)
    };
    let (areas, needed) = cost(wanted);
    if needed <= time {
        return areas;
    }
    let of_first = |count: usize| {
        let mut cells = Cells::new(frame);
        let marked = cells.marked_mut();
        order[..count]
            .iter()
            .for_each(|index| marked[*index] = true);
        cells
    };
    // What more cells cost is not less, but for a rectangle or two: the largest number that fits, by bisection.
    let (mut low, mut high, mut best) = (0, order.len(), Vec::new());
    while low < high {
        let middle = (low + high).div_ceil(2);
        let (areas, seconds) = cost(&of_first(middle));
        if seconds <= time {
            (low, best) = (middle, areas);
        } else {
            high = middle - 1;
        }
    }
    *wanted = of_first(low);
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Size;
    use crate::plan::cost::Shapes;
    use crate::plan::tiles::Limit;
    use crate::testing::Random;

    const PROFILE: Profile = Profile {
        context: 6,
        stride: 1,
        per_run: 300,
        shapes: Shapes::Free(Limit::Area(200 * 200)),
    };

    /// Whatever is wanted and however little time there is: no more than fits is drawn, nothing that was not asked for in place of what was,
    /// and more time never draws less.
    #[test]
    fn no_more_than_fits_is_drawn() {
        let mut random = Random(0x00b0_d9e7_1234_5678);
        let frame = Size::new(200, 120);
        for round in 0..60 {
            let mut wanted = Cells::new(frame);
            let count = wanted.marked().len();
            for _ in 0..random.below(count) {
                let at = random.below(count);
                wanted.marked_mut()[at] = true;
            }
            let mut order: Vec<usize> = (0..count).filter(|i| wanted.marked()[*i]).collect();
            // Rows from below: an order of its own.
            order.reverse();
            let mut before = 0;
            for time in [0.0, 1e-3, 4e-3, 1e-2, 1.0] {
                let mut cells = wanted.clone();
                let areas = fit(&mut cells, &order, &PROFILE, 1e-6, time);
                let cost = seconds(&runs(frame, &areas, &PROFILE), &PROFILE, 1e-6);
                assert!(cost <= time, "{round}: {cost} of {time}");
                let drawn = cells.count();
                assert!(drawn >= before, "{round}");
                before = drawn;
                let first = order[..drawn].iter().all(|index| cells.marked()[*index]);
                assert!(first || cells == wanted, "{round}");
                for (index, marked) in cells.marked().iter().enumerate() {
                    let rect = cells.rect(index);
                    let covered = areas
                        .iter()
                        .any(|area| area.intersection(rect) == Some(rect));
                    assert!(!marked || covered, "{round}: {rect:?}");
                }
            }
            assert_eq!(before, wanted.count());
        }
    }
}
