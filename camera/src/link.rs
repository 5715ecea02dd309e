//! The connection to a camera: when it is opened, when it is given up, when it is tried again, and when the picture counts as lost. Pure:
//! time is what the caller says, counted from the program's start.

use std::time::Duration;

/// Waiting times before the first, second, third and every further attempt, where nothing else is asked for.
pub const DELAYS: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(60),
];
/// Without a frame for so long, a connection is given up.
pub const STALL: Duration = Duration::from_secs(10);
/// Pictures for so long, and the next loss begins the delays anew.
const SETTLED: Duration = Duration::from_secs(10);
/// Without a frame for so long, the picture is lost, unless the camera sends fewer.
const SILENCE: Duration = Duration::from_millis(700);
/// So many of a slow camera's usual intervals, instead.
const INTERVALS: u32 = 3;

/// Growing waits between attempts, for ever.
#[derive(Debug, Clone)]
pub struct Backoff {
    delays: Vec<Duration>,
    attempts: usize,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(&DELAYS)
    }
}

impl Backoff {
    /// These waits, the last for ever.
    pub fn new(delays: &[Duration]) -> Self {
        Self {
            delays: delays.to_vec(),
            attempts: 0,
        }
    }

    /// How long to wait before the next attempt.
    pub fn next(&mut self) -> Duration {
        let delay = self.delays.get(self.attempts).or(self.delays.last());
        let delay = delay.copied().unwrap_or(DELAYS[0]);
        self.attempts += 1;
        delay
    }

    /// Begins anew.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

/// What is to be done with the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Open it.
    Open,
    /// Close it.
    Close,
}

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not there, to be opened at this time.
    Waiting(Duration),
    /// Opened at this time, no frame yet.
    Connecting(Duration),
    /// Frames come, since this time.
    Live(Duration),
}

/// The connection to a camera.
#[derive(Debug, Clone)]
pub struct Link {
    state: State,
    backoff: Backoff,
    /// Time of the last frame of any connection.
    last_frame: Option<Duration>,
    /// Smoothed time from frame to frame.
    interval: Option<Duration>,
    opened: u64,
    reason: Option<String>,
    /// Whether a file has been played to its end, and nothing has failed since.
    round: bool,
}

impl Link {
    /// A connection that is to be opened at once, and after `delays` again.
    pub fn new(now: Duration, delays: &[Duration]) -> Self {
        Self {
            state: State::Waiting(now),
            backoff: Backoff::new(delays),
            last_frame: None,
            interval: None,
            opened: 0,
            reason: None,
            round: false,
        }
    }

    /// What is due.
    pub fn tick(&mut self, now: Duration) -> Option<Order> {
        match self.state {
            State::Waiting(until) if now >= until => {
                self.state = State::Connecting(now);
                self.opened += 1;
                Some(Order::Open)
            }
            State::Connecting(since) if now.saturating_sub(since) >= STALL => {
                self.failed(now, format!("no frame within {} s", STALL.as_secs()));
                Some(Order::Close)
            }
            State::Live(_) if now.saturating_sub(self.last_frame.unwrap_or(now)) >= STALL => {
                self.failed(now, format!("no frame for {} s", STALL.as_secs()));
                Some(Order::Close)
            }
            _ => None,
        }
    }

    /// A frame has come. Returns whether it is the first one after a loss, or of all.
    pub fn frame(&mut self, now: Duration) -> bool {
        let first = matches!(self.state, State::Connecting(_)) && !self.round;
        match self.state {
            // A straggler of a connection that was given up.
            State::Waiting(_) => return false,
            State::Connecting(_) => {
                self.state = State::Live(now);
                self.interval = None;
                self.reason = None;
            }
            State::Live(since) => {
                if now.saturating_sub(since) >= SETTLED {
                    self.backoff.reset();
                }
                let gap = now.saturating_sub(self.last_frame.unwrap_or(now));
                let mean = self.interval.map_or(gap, |mean| (mean * 7 + gap) / 8);
                self.interval = Some(mean);
            }
        }
        self.last_frame = Some(now);
        first
    }

    /// The connection is broken, or could not be made.
    pub fn failed(&mut self, now: Duration, reason: impl Into<String>) {
        if matches!(self.state, State::Waiting(_)) {
            return;
        }
        self.state = State::Waiting(now + self.backoff.next());
        self.reason = Some(reason.into());
        self.round = false;
    }

    /// A file in the place of a camera has come to its end: it is played again at once.
    pub fn ended(&mut self, now: Duration) {
        self.state = State::Waiting(now);
        self.opened = self.opened.saturating_sub(1);
        self.round = true;
    }

    /// Whether the output has to say that there is no picture.
    pub fn lost(&self, now: Duration) -> bool {
        match self.state {
            State::Live(_) => {
                let gap = now.saturating_sub(self.last_frame.unwrap_or(now));
                let usual = self.interval.unwrap_or_default() * INTERVALS;
                gap >= usual.max(SILENCE)
            }
            // Between two rounds of a file nothing is lost.
            State::Waiting(_) | State::Connecting(_) => {
                self.reason.is_some()
                    || self
                        .last_frame
                        .is_none_or(|last| now.saturating_sub(last) >= SILENCE)
            }
        }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Why there is no connection, while there is none.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Time of the last frame of any connection.
    pub fn last_frame(&self) -> Option<Duration> {
        self.last_frame
    }

    /// The camera's usual time from frame to frame.
    pub fn interval(&self) -> Option<Duration> {
        self.interval
    }

    /// How often the connection was opened anew.
    pub fn reconnects(&self) -> u64 {
        self.opened.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(time: u64) -> Duration {
        Duration::from_millis(time)
    }

    /// Ticks every 100 ms from `from` to `to`; what was ordered and when.
    fn run(link: &mut Link, from: u64, to: u64) -> Vec<(u64, Order)> {
        let times = (from..=to).step_by(100);
        times
            .filter_map(|time| Some((time, link.tick(ms(time))?)))
            .collect()
    }

    #[test]
    fn a_camera_that_is_off_is_tried_after_1_5_10_60_s_for_ever() {
        let mut link = Link::new(ms(0), &DELAYS);
        let mut opened = vec![];
        let mut now = 0;
        while opened.len() < 7 {
            if link.tick(ms(now)) == Some(Order::Open) {
                opened.push(now);
                assert!(link.lost(ms(now)));
                link.failed(ms(now), "refused");
            }
            now += 100;
        }
        let gaps: Vec<_> = opened.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(gaps, [1_000, 5_000, 10_000, 60_000, 60_000, 60_000]);
        assert_eq!(link.reconnects(), 6);
        assert_eq!(link.reason(), Some("refused"));
    }

    #[test]
    fn ten_seconds_without_a_frame_end_a_connection() {
        let mut link = Link::new(ms(0), &DELAYS);
        // One that never shows anything.
        assert_eq!(
            run(&mut link, 0, 10_900),
            [(0, Order::Open), (10_000, Order::Close)]
        );
        assert_eq!(run(&mut link, 11_000, 11_000), [(11_000, Order::Open)]);
        // And one that stops.
        assert!(link.frame(ms(12_000)));
        assert!(!link.frame(ms(12_100)));
        assert_eq!(run(&mut link, 12_100, 26_000), [(22_100, Order::Close)]);
        assert_eq!(link.reason(), Some("no frame for 10 s"));
        // The second wait: it had not come back for good.
        assert_eq!(run(&mut link, 26_100, 27_100), [(27_100, Order::Open)]);
    }

    #[test]
    fn pictures_for_ten_seconds_begin_the_delays_anew() {
        let mut link = Link::new(ms(0), &DELAYS);
        for round in 0..3 {
            let start = round * 100_000;
            assert_eq!(run(&mut link, start, start), [(start, Order::Open)]);
            for frame in 0..120 {
                link.frame(ms(start + 100 + frame * 100));
            }
            link.failed(ms(start + 20_000), "reset");
            let State::Waiting(until) = link.state() else {
                unreachable!()
            };
            assert_eq!(until, ms(start + 21_000));
        }
    }

    #[test]
    fn a_loss_shows_within_a_second_and_a_slow_camera_is_none() {
        let mut link = Link::new(ms(0), &DELAYS);
        link.tick(ms(0));
        for frame in 0..50 {
            link.frame(ms(frame * 100));
            assert!(!link.lost(ms(frame * 100 + 90)));
        }
        assert!(!link.lost(ms(4_900 + 600)));
        assert!(link.lost(ms(4_900 + 700)));
        link.failed(ms(5_000), "reset");
        assert!(link.lost(ms(5_000)));
        // A frame a second is what this one sends.
        assert_eq!(run(&mut link, 6_000, 6_000).len(), 1);
        for frame in 0..30 {
            link.frame(ms(7_000 + frame * 1_000));
        }
        assert!(!link.lost(ms(36_000 + 2_500)));
        assert!(link.lost(ms(36_000 + 3_100)));
    }

    #[test]
    fn a_file_goes_round_without_a_loss() {
        let mut link = Link::new(ms(0), &DELAYS);
        link.tick(ms(0));
        link.frame(ms(100));
        link.ended(ms(200));
        assert!(!link.lost(ms(250)));
        assert_eq!(link.tick(ms(300)), Some(Order::Open));
        assert_eq!(link.reconnects(), 0);
        assert!(!link.frame(ms(400)));
        link.failed(ms(500), "gone");
        assert_eq!(link.tick(ms(1_500)), Some(Order::Open));
        assert!(link.frame(ms(1_600)));
    }

    #[test]
    fn what_comes_after_the_end_is_not_heard() {
        let mut link = Link::new(ms(0), &DELAYS);
        link.tick(ms(0));
        link.failed(ms(100), "refused");
        link.failed(ms(110), "again");
        assert!(!link.frame(ms(120)));
        assert_eq!(link.state(), State::Waiting(ms(1_100)));
        assert_eq!(link.reason(), Some("refused"));
    }
}
