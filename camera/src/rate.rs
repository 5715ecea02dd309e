//! Frames a second over the last ten seconds. Pure.

use std::collections::VecDeque;
use std::time::Duration;

/// The stretch that is looked at.
const WINDOW: Duration = Duration::from_secs(10);
/// Counters keep no more than this; more than a camera sends.
const MOST: usize = 10_000;

/// Counts what happens, and tells how often it does.
#[derive(Debug, Clone, Default)]
pub struct Rate {
    times: VecDeque<Duration>,
    begun: Option<Duration>,
}

impl Rate {
    /// It has happened.
    pub fn count(&mut self, now: Duration) {
        self.begun.get_or_insert(now);
        if self.times.len() == MOST {
            self.times.pop_front();
        }
        self.times.push_back(now);
    }

    /// Times a second, over the last ten seconds or since the first.
    pub fn per_second(&mut self, now: Duration) -> f64 {
        while self
            .times
            .front()
            .is_some_and(|time| now.saturating_sub(*time) > WINDOW)
        {
            self.times.pop_front();
        }
        let Some(begun) = self.begun else { return 0.0 };
        let window = now
            .saturating_sub(begun)
            .clamp(Duration::from_secs(1), WINDOW);
        self.times.len() as f64 / window.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ten_seconds_count() {
        let mut rate = Rate::default();
        assert_eq!(rate.per_second(Duration::ZERO), 0.0);
        for frame in 0..200 {
            rate.count(Duration::from_millis(frame * 100));
        }
        let now = Duration::from_millis(20_000);
        assert!((rate.per_second(now) - 10.0).abs() < 0.2);
        assert!((rate.per_second(now + Duration::from_secs(5)) - 5.0).abs() < 0.2);
        assert_eq!(rate.per_second(now + Duration::from_secs(30)), 0.0);
        let mut young = Rate::default();
        (0..20).for_each(|frame| young.count(Duration::from_millis(frame * 100)));
        assert!((young.per_second(Duration::from_secs(2)) - 10.0).abs() < 0.2);
    }
}
