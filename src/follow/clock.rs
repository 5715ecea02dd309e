//! The one clock of a stream: time as its frames tell it.

use std::time::Duration;

/// Time from frame to frame where the frames carry none: a thirtieth of a second.
pub const NOMINAL_STEP: Duration = Duration::from_nanos(33_333_333);
/// The longest time from frame to frame that counts. After a longer gap, or a step back, nothing of before says where things are.
pub const LONGEST_STEP: Duration = Duration::from_secs(2);

/// A frame's place in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tick {
    /// Time since the first frame, gaps counted as far as they count.
    pub now: Duration,
    /// Time since the frame before, at most [`LONGEST_STEP`].
    pub step: Duration,
    /// Whether time went back or made a gap.
    pub jumped: bool,
}

/// Keeps the time of one stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    now: Duration,
    pts: Option<Duration>,
}

impl Clock {
    /// Forgets the last frame's presentation time, as after a seek; goes on from where it is.
    pub fn reset(&mut self) {
        self.pts = None;
    }

    /// Moves on to a frame of presentation time `pts`.
    pub fn tick(&mut self, pts: Option<Duration>) -> Tick {
        let (step, jumped) = match (self.pts, pts) {
            (Some(before), Some(now)) => {
                let step = now.saturating_sub(before);
                (step.min(LONGEST_STEP), now < before || step > LONGEST_STEP)
            }
            _ => (NOMINAL_STEP, false),
        };
        self.now += step;
        self.pts = pts;
        Tick {
            now: self.now,
            step,
            jumped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_gaps_and_frames_without_times() {
        let ms = Duration::from_millis;
        let mut clock = Clock::default();
        let mut at = |pts: Option<u64>| {
            let tick = clock.tick(pts.map(ms));
            (tick.step, tick.jumped)
        };
        assert_eq!(at(Some(5000)), (NOMINAL_STEP, false));
        assert_eq!(at(Some(5040)), (ms(40), false));
        assert_eq!(at(Some(5040)), (ms(0), false));
        assert_eq!(at(Some(5000)), (ms(0), true));
        assert_eq!(at(Some(9000)), (LONGEST_STEP, true));
        assert_eq!(at(None), (NOMINAL_STEP, false));
        assert_eq!(at(Some(100)), (NOMINAL_STEP, false));
        assert_eq!(
            clock.tick(Some(ms(200))).now,
            NOMINAL_STEP * 3 + ms(40) + LONGEST_STEP + ms(100)
        );
    }
}
