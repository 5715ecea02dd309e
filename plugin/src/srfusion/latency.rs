//! How long a frame takes, as the latency query answers it. Pure arithmetic, fed with one duration per frame.

use std::time::Duration;

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

/// Estimates the processing time, and tells when the estimate is worth reporting.
#[derive(Debug, Default)]
pub(super) struct Meter {
    skipped: u32,
    window: [Duration; WINDOW],
    filled: usize,
    next: usize,
    reported: Option<Duration>,
    since: Duration,
}

impl Meter {
    /// What was reported last; zero before the first report.
    pub(super) fn reported(&self) -> Duration {
        self.reported.unwrap_or_default()
    }

    /// Takes the time of one frame. A new value to report comes back the first time the window is full, and after
    /// that when the mean has outgrown the report or fallen below half of it, at most once in five seconds of work.
    pub(super) fn push(&mut self, time: Duration) -> Option<Duration> {
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
