//! What the streams of a process know of each other: all their frames are drawn by the same processors, so that the time until a frame is due is
//! not its own. Each stream tells what its frames are thought to take, and asks what is left.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::plan::budget::fair_share;

/// How long a stream of which nothing is heard is reckoned with, unless its frames come further apart.
const RECENT: Duration = Duration::from_secs(2);
/// The least that is reckoned with for each stream whose next frame is not planned, as a part of an equal share: what stands still may move.
const RESERVE: f64 = 0.5;

/// What one stream has told.
#[derive(Debug)]
struct NeighbourState {
    id: u64,
    heard: Instant,
    /// Whether its frames are due at some time, as far as it is known.
    hurries: bool,
    /// Seconds that the networks of its last frame might have taken; `None` before the first.
    window: Option<f64>,
    /// Seconds that all of that frame would have taken.
    demand: f64,
    /// Frames that are planned and not drawn: number, and seconds that they are thought to take.
    planned: Vec<(u64, f64)>,
}

impl NeighbourState {
    /// Whether its next frame is to be expected.
    fn is_alive(&self, now: Instant) -> bool {
        let patience = self.window.map_or(RECENT, |window| {
            RECENT.max(Duration::from_secs_f64(2.0 * window))
        });
        self.hurries && now.saturating_duration_since(self.heard) <= patience
    }
}

/// Streams that know of each other: the number that was given last, and each stream under its own.
#[derive(Debug)]
pub struct Neighbourhood {
    streams: Mutex<(u64, Vec<NeighbourState>)>,
}

/// The streams of this process.
pub static PROCESS: Neighbourhood = Neighbourhood::new();

impl Neighbourhood {
    const fn new() -> Self {
        Self {
            streams: Mutex::new((0, Vec::new())),
        }
    }

    /// A stream's place, from `now` on.
    pub fn join(&'static self, now: Instant) -> Neighbour {
        let (next, streams) = &mut *self.streams.lock();
        *next += 1;
        streams.push(NeighbourState {
            id: *next,
            heard: now,
            hurries: true,
            window: None,
            demand: 0.0,
            planned: Vec::new(),
        });
        Neighbour {
            all: self,
            id: *next,
        }
    }
}

/// One stream's place among its neighbours.
#[derive(Debug)]
pub struct Neighbour {
    all: &'static Neighbourhood,
    id: u64,
}

impl Neighbour {
    /// Of the `seconds` that the networks of a frame may take, those that are left by the frames of others: what these are thought to take where they are planned;
    /// where they are still to come, as much as they wanted last, if that is less than a fair share.
    pub fn share(&self, now: Instant, seconds: f64) -> f64 {
        let (_, streams) = &*self.all.streams.lock();
        let others = || streams.iter().filter(|other| other.id != self.id);
        let alive = || others().filter(|other| other.is_alive(now));
        let least = RESERVE * seconds / (1 + alive().count()) as f64;
        let taken = |other: &NeighbourState| {
            other
                .planned
                .iter()
                .map(|(_, seconds)| seconds)
                .sum::<f64>()
        };
        let left = seconds - alive().map(taken).sum::<f64>();
        let to_come = alive().filter(|other| other.planned.is_empty());
        let mut demands: Vec<f64> = to_come
            .map(|other| {
                // Of one whose frames come more rarely a part, and of one that is new nobody knows.
                other.window.map_or(f64::INFINITY, |window| {
                    (other.demand * (seconds / window.max(f64::MIN_POSITIVE)).min(1.0)).max(least)
                })
            })
            .collect();
        fair_share(left, &mut demands).max(least)
    }

    /// Tells that frame `number`, which might take `window` seconds, is planned to take `seconds`, and would take `demand` if all of it were drawn.
    pub fn planned(&self, now: Instant, number: u64, window: f64, (seconds, demand): (f64, f64)) {
        let (_, streams) = &mut *self.all.streams.lock();
        if let Some(own) = streams.iter_mut().find(|stream| stream.id == self.id) {
            own.heard = now;
            own.hurries = true;
            own.window = Some(window);
            own.demand = demand;
            own.planned.push((number, seconds));
        }
    }

    /// Tells that its frames may take as long as they do: they wait for those of others.
    pub fn waits(&self) {
        let (_, streams) = &mut *self.all.streams.lock();
        if let Some(own) = streams.iter_mut().find(|stream| stream.id == self.id) {
            own.hurries = false;
        }
    }

    /// Tells that frame `number`, and any before it, needs no more work.
    pub fn done(&self, number: u64) {
        let (_, streams) = &mut *self.all.streams.lock();
        if let Some(own) = streams.iter_mut().find(|stream| stream.id == self.id) {
            own.planned.retain(|(planned, _)| *planned > number);
        }
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let (_, streams) = &mut *self.all.streams.lock();
        streams.retain(|stream| stream.id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: f64 = 0.14;

    fn neighbours(count: usize, now: Instant) -> Vec<Neighbour> {
        // Tests of one process must not see each other's.
        let all: &'static Neighbourhood = Box::leak(Box::new(Neighbourhood::new()));
        (0..count).map(|_| all.join(now)).collect()
    }

    /// One round of frames that come together: of stream i all would take `wanted(i)` seconds. What each is planned to take.
    fn round(
        all: &[Neighbour],
        now: Instant,
        number: u64,
        wanted: impl Fn(usize) -> f64,
    ) -> Vec<f64> {
        let mut planned = Vec::new();
        for (i, one) in all.iter().enumerate() {
            let seconds = one.share(now, WINDOW).min(wanted(i));
            one.planned(now, number, WINDOW, (seconds, wanted(i)));
            planned.push(seconds);
        }
        all.iter().for_each(|one| one.done(number));
        planned
    }

    #[test]
    fn frames_that_come_together_fit_together() {
        let start = Instant::now();
        let at = |frame: u32| start + frame * Duration::from_millis(200);
        let all = neighbours(8, start);
        // New ones take equal shares, as nobody knows what the others want.
        let first = round(&all, at(0), 0, |_| 1.0);
        assert!(
            first.iter().all(|s| (s - WINDOW / 8.0).abs() < 1e-9),
            "{first:?}"
        );
        // Where others stand still one that moves has most of the time, whichever of them it is.
        for mover in [0, 3, 7] {
            let wanted = |i| if i == mover { 1.0 } else { 0.002 };
            for frame in 1..4 {
                round(&all, at(frame), frame.into(), wanted);
            }
            let planned = round(&all, at(4), 4, wanted);
            assert!(planned[mover] > 0.55 * WINDOW, "{mover}: {planned:?}");
        }
        // And where all of them begin to move at once, no more is planned than there is, from the first frame on.
        for frame in 5..9 {
            round(&all, at(frame), frame.into(), |_| 0.001);
        }
        for frame in 9..12 {
            let planned = round(&all, at(frame), frame.into(), |_| 1.0);
            let sum: f64 = planned.iter().sum();
            assert!(sum <= WINDOW + 1e-9, "{frame}: {planned:?}");
        }
        let planned = round(&all, at(12), 12, |_| 1.0);
        assert!(
            planned.iter().all(|s| (s - WINDOW / 8.0).abs() < 1e-9),
            "{planned:?}"
        );
    }

    #[test]
    fn who_is_gone_takes_nothing() {
        let start = Instant::now();
        let mut all = neighbours(3, start);
        round(&all, start, 0, |_| 1.0);
        assert!(all[0].share(start, WINDOW) < 0.4 * WINDOW);
        // One ends, of the other nothing is heard.
        all.pop();
        let later = start + RECENT + Duration::from_millis(1);
        assert_eq!(all[0].share(later, WINDOW), WINDOW);
        // A frame of the other that is under way counts until it is done.
        all[1].planned(later, 7, WINDOW, (0.1, 0.1));
        assert!((all[0].share(later, WINDOW) - 0.04).abs() < 1e-9);
        all[1].done(7);
        // One whose frames come ten times as rarely takes a tenth.
        all[1].planned(later, 8, 10.0 * WINDOW, (0.1, 0.1));
        all[1].done(8);
        assert!((all[0].share(later, WINDOW) - 0.75 * WINDOW).abs() < 1e-9);
        all[1].waits();
        assert_eq!(all[0].share(later, WINDOW), WINDOW);
    }
}
