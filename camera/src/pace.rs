//! What the output shows next, and with which time: the picture that was drawn, the last one again, or that with a notice. Pure.
//!
//! Times of frames are those of the camera, and grow by at least [`STEP`]; a frame that has no time of its own gets the time of the last one and
//! what has passed since.

use std::time::Duration;

/// Least distance of two frames.
const STEP: Duration = Duration::from_millis(1);
/// How often the notice is shown again.
const NOTICE_EVERY: Duration = Duration::from_millis(250);
/// How long the output goes without a frame while the camera is there.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// The last picture once more, with this time.
    Again(Duration),
    /// The last picture with a notice, with this time.
    Notice(Duration),
}

/// Keeps the output going.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    /// When something was shown last, and the time that it had.
    last: Option<(Duration, Duration)>,
    /// Whether the last thing shown was a picture.
    picture: bool,
}

impl Pace {
    /// A frame of time `time` was drawn. The time to show it with; `None` if it comes after the notice that its camera is lost.
    pub fn drawn(&mut self, now: Duration, time: Duration, lost: bool) -> Option<Duration> {
        if lost && !self.picture && self.last.is_some() {
            return None;
        }
        let time = match self.last {
            Some((_, last)) => time.max(last + STEP),
            None => time,
        };
        self.last = Some((now, time));
        self.picture = true;
        Some(time)
    }

    /// Nothing was drawn since. What to show now, if anything.
    pub fn idle(&mut self, now: Duration, lost: bool) -> Option<Show> {
        let Some((shown, last)) = self.last else {
            self.last = Some((now, now));
            return Some(Show::Notice(now));
        };
        let passed = now.saturating_sub(shown);
        // After a loss the notice stays until there is a picture again.
        let notice = lost || !self.picture;
        let due = if notice && self.picture {
            Duration::ZERO
        } else if notice {
            NOTICE_EVERY
        } else {
            AGAIN_AFTER
        };
        if passed < due {
            return None;
        }
        let time = last + passed.max(STEP);
        self.last = Some((now, time));
        if notice {
            self.picture = false;
            Some(Show::Notice(time))
        } else {
            Some(Show::Again(time))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(time: u64) -> Duration {
        Duration::from_millis(time)
    }

    #[test]
    fn a_loss_is_shown_at_once_and_until_the_next_picture() {
        let mut pace = Pace::default();
        assert_eq!(pace.idle(ms(0), true), Some(Show::Notice(ms(0))));
        assert_eq!(pace.idle(ms(100), true), None);
        assert_eq!(pace.idle(ms(250), false), Some(Show::Notice(ms(250))));
        assert_eq!(pace.drawn(ms(400), ms(300), false), Some(ms(300)));
        assert_eq!(pace.idle(ms(450), false), None);
        assert_eq!(pace.drawn(ms(500), ms(400), false), Some(ms(400)));
        // 100 ms later than shown is 100 ms later in time.
        assert_eq!(pace.idle(ms(600), true), Some(Show::Notice(ms(500))));
        // What was still being drawn does not flash up.
        assert_eq!(pace.drawn(ms(650), ms(450), true), None);
        assert_eq!(pace.idle(ms(700), true), None);
        assert_eq!(pace.idle(ms(850), true), Some(Show::Notice(ms(750))));
        // The camera is back, its first picture not yet drawn.
        assert_eq!(pace.idle(ms(1_100), false), Some(Show::Notice(ms(1_000))));
        assert_eq!(pace.drawn(ms(1_200), ms(1_150), false), Some(ms(1_150)));
    }

    #[test]
    fn a_slow_upscaler_is_no_loss_but_the_output_goes_on() {
        let mut pace = Pace::default();
        pace.drawn(ms(0), ms(0), false);
        assert_eq!(pace.idle(ms(900), false), None);
        assert_eq!(pace.idle(ms(1_000), false), Some(Show::Again(ms(1_000))));
        assert_eq!(pace.idle(ms(1_900), false), None);
        // A frame that is older than what was shown comes right after it.
        assert_eq!(pace.drawn(ms(2_000), ms(500), false), Some(ms(1_001)));
    }

    #[test]
    fn times_never_stand_still() {
        let mut pace = Pace::default();
        let mut last = None;
        for step in 0..2_000_u64 {
            let now = ms(step * 7);
            let lost = step % 300 < 120;
            let time = if step % 5 == 0 && !lost {
                pace.drawn(now, ms((step * 7).saturating_sub(step % 97)), lost)
            } else {
                pace.idle(now, lost).map(|show| match show {
                    Show::Again(time) | Show::Notice(time) => time,
                })
            };
            if let Some(time) = time {
                assert!(last.is_none_or(|last| time > last), "step {step}");
                last = Some(time);
            }
        }
        assert!(last.is_some_and(|last| last > ms(13_000) && last < ms(14_100)));
    }
}
