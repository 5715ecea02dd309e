//! How long a frame takes, as the latency query answers it. Pure arithmetic, fed with one duration per frame.

use std::time::Duration;

use parking_lot::Mutex;

/// Frames that are left out at the start: caches and clocks are still cold.
const WARM_UP: u32 = 3;
/// Frames in the mean.
const WINDOW: usize = 10;
/// What is reported, over the mean: room for frames with more faces than usual.
const HEADROOM: f64 = 1.25;
/// A mean below this share of what was reported is reported anew.
const SHRINK: f64 = 0.5;
/// Time spent on frames between two reports. Each report makes the pipeline ask every element and every sink wait
/// longer or shorter, which is seen: a camera that runs for weeks must not do it often.
const HOLD: Duration = Duration::from_secs(5);

/// What came of a frame's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Outcome {
    /// The latency is another than before, and somebody wants to know.
    pub(super) changed: bool,
    /// The frame took longer than was set, which was not said before; this long was set.
    pub(super) late: Option<Duration>,
}

#[derive(Debug, Default)]
struct LatencyState {
    meter: Meter,
    /// Zero has it measured.
    set: Duration,
    /// The time that frames may take; zero is as long as it takes.
    deadline: Duration,
    /// Whether upstream was live when the latency was asked for last.
    live: bool,
    /// Whether it was said that frames take longer than the latency set.
    warned: bool,
}

/// The latency set, else the one measured.
#[derive(Debug, Default)]
pub(super) struct Latency(Mutex<LatencyState>);

impl Latency {
    /// A run begins or ends: what was measured does not hold for another.
    pub(super) fn reset(&self) {
        let mut state = self.0.lock();
        let set = state.set;
        *state = LatencyState {
            set,
            ..LatencyState::default()
        };
    }

    /// Sets it; zero has it measured. Returns whether somebody wants to know.
    pub(super) fn set(&self, latency: Duration) -> bool {
        let mut state = self.0.lock();
        (state.set, state.warned) = (latency, false);
        state.live
    }

    /// The latency is asked for, by a pipeline that is `live` or not.
    pub(super) fn asked(&self, live: bool) -> Duration {
        self.0.lock().live = live;
        self.reported()
    }

    /// What is reported.
    pub(super) fn reported(&self) -> Duration {
        let state = self.0.lock();
        match (state.set, state.deadline) {
            (Duration::ZERO, Duration::ZERO) => state.meter.reported(),
            // What does not fit in it is interpolated.
            (Duration::ZERO, deadline) => deadline,
            (set, _) => set,
        }
    }

    /// Whether the pipeline that asked last was live.
    pub(super) fn is_live(&self) -> bool {
        self.0.lock().live
    }

    /// Frames may take so long from now on. Returns whether somebody wants to know.
    pub(super) fn set_deadline(&self, deadline: Option<Duration>) -> bool {
        let mut state = self.0.lock();
        let deadline = deadline.unwrap_or_default();
        let changed = std::mem::replace(&mut state.deadline, deadline) != deadline;
        changed && state.live && state.set.is_zero()
    }

    /// Takes the time of one frame, from coming in to going out.
    pub(super) fn push(&self, took: Duration) -> Outcome {
        let mut state = self.0.lock();
        let measured = state.meter.push(took).is_some();
        let decided = !state.set.is_zero() || !state.deadline.is_zero();
        let changed = measured && !decided && state.live;
        let late = state.live && !state.set.is_zero() && took > state.set && !state.warned;
        state.warned |= late;
        Outcome {
            changed,
            late: late.then_some(state.set),
        }
    }
}

/// Estimates the processing time, and tells when the estimate is worth reporting.
#[derive(Debug, Default)]
struct Meter {
    skipped: u32,
    window: [Duration; WINDOW],
    filled: usize,
    next: usize,
    reported: Option<Duration>,
    since: Duration,
}

impl Meter {
    /// What was reported last; zero before the first report.
    fn reported(&self) -> Duration {
        self.reported.unwrap_or_default()
    }

    /// Takes the time of one frame. A new value to report comes back the first time the window is full, and after
    /// that when the mean has outgrown the report or fallen below half of it, at most once in five seconds of work.
    fn push(&mut self, time: Duration) -> Option<Duration> {
        if self.skipped < WARM_UP {
            self.skipped += 1;
            return None;
        }
        self.window[self.next] = time;
        self.next = (self.next + 1) % WINDOW;
        self.filled = (self.filled + 1).min(WINDOW);
        self.since = self.since.saturating_add(time);
        if self.filled < WINDOW {
            return None;
        }
        let mean = self.window.iter().sum::<Duration>() / WINDOW as u32;
        let due = match self.reported {
            None => true,
            Some(reported) => {
                self.since >= HOLD && (mean > reported || mean < reported.mul_f64(SHRINK))
            }
        };
        due.then(|| {
            let value = mean.mul_f64(HEADROOM);
            self.reported = Some(value);
            self.since = Duration::ZERO;
            value
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn feed(meter: &mut Meter, time: Duration, frames: usize) -> Vec<Duration> {
        (0..frames).filter_map(|_| meter.push(time)).collect()
    }

    #[test]
    fn first_report_leaves_out_the_warm_up() {
        let mut meter = Meter::default();
        assert_eq!(feed(&mut meter, 900 * MS, WARM_UP as usize), []);
        assert_eq!(feed(&mut meter, 40 * MS, WINDOW - 1), []);
        assert_eq!(meter.reported(), Duration::ZERO);
        assert_eq!(meter.push(40 * MS), Some(50 * MS));
        assert_eq!(meter.reported(), 50 * MS);
    }

    #[test]
    fn latency_set_is_reported_and_late_frames_are_told_of_once() {
        let latency = Latency::default();
        assert_eq!(latency.push(90 * MS), Outcome::default());
        assert!(!latency.set(40 * MS));
        assert_eq!(latency.asked(true), 40 * MS);
        let late = Outcome {
            late: Some(40 * MS),
            changed: false,
        };
        assert_eq!(latency.push(40 * MS), Outcome::default());
        assert_eq!(latency.push(41 * MS), late);
        assert_eq!(latency.push(90 * MS), Outcome::default());
        assert!(latency.set(50 * MS));
        assert_eq!(latency.push(51 * MS).late, Some(50 * MS));
        // Measured all the while, and kept apart from what was set when a run ends.
        for _ in 0..20 {
            assert!(!latency.push(60 * MS).changed);
        }
        assert!(latency.set(Duration::ZERO));
        assert!(latency.reported() > 50 * MS);
        latency.set(50 * MS);
        latency.reset();
        assert_eq!(latency.reported(), 50 * MS);
        // Nobody has asked since.
        assert!(!latency.set(Duration::ZERO));
        assert_eq!(latency.reported(), Duration::ZERO);
        latency.asked(true);
        assert_eq!((0..20).filter(|_| latency.push(MS).changed).count(), 1);
    }

    #[test]
    fn steady_and_noisy_times_are_reported_once() {
        let mut meter = Meter::default();
        let times = (0..10_000u32)
            .filter_map(|i| meter.push((30 + (i * 7) % 20) * MS))
            .count();
        assert_eq!(times, 1);
    }

    #[test]
    fn growth_and_shrinkage_are_reported_seldom() {
        let mut meter = Meter::default();
        feed(&mut meter, 20 * MS, 100);
        let grown = feed(&mut meter, 100 * MS, 1000);
        assert!(!grown.is_empty() && grown.len() <= 2, "{grown:?}");
        assert_eq!(meter.reported(), 125 * MS);
        let shrunk = feed(&mut meter, 20 * MS, 1000);
        assert!(!shrunk.is_empty() && shrunk.len() <= 2, "{shrunk:?}");
        assert!(meter.reported() < 63 * MS);
    }
}
