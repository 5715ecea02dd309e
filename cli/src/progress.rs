//! The progress bar on standard error: drawn on a terminal only, and not where the user asked for quiet. For programs that watch,
//! the same as lines of JSON on standard output.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use srfusion::Severity;

use crate::line;

/// What is being done while frames come out.
const UPSCALING: &str = "upscaling";
/// Shortest time between two lines of JSON that tell how far a video is.
const PAUSE: Duration = Duration::from_secs(1);
/// What the speed is the mean of: long enough for a few large frames, short enough to follow a film's scenes.
const WINDOW: Duration = Duration::from_secs(30);

/// A bar, or nothing where nobody looks.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    hidden: bool,
    quiet: bool,
    lines: Option<Lines>,
}

/// How far a video is.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// Frames that are done, those of an earlier run included.
    pub done: u64,
    /// Frames that the input most likely has; 0 if nobody knows.
    pub total: u64,
    /// Of those done, frames that an earlier run had made.
    pub reused: u64,
    /// Frames that this run still has to draw, if it is known.
    pub left: Option<u64>,
    /// Frames a second of late; `None` before the first came.
    pub rate: Option<f64>,
    /// Where the networks run; empty while nobody knows.
    pub provider: String,
}

/// Progress as lines of JSON.
#[derive(Debug)]
struct Lines {
    input: String,
    started: Instant,
    state: Mutex<ProgressState>,
}

#[derive(Debug, Default)]
struct ProgressState {
    doing: String,
    standing: Standing,
    printed: Option<Instant>,
}

/// A line; what nobody knows is null.
#[derive(Debug, Serialize)]
struct ProgressLine<'a> {
    event: &'static str,
    input: &'a str,
    doing: &'a str,
    frames: u64,
    frames_total: Option<u64>,
    frames_reused: u64,
    frames_per_second: Option<f64>,
    seconds: f64,
    seconds_left: Option<f64>,
    provider: Option<&'a str>,
}

impl Standing {
    /// Seconds until the last frame is drawn, at the speed of late.
    fn seconds_left(&self) -> Option<f64> {
        let rate = self.rate.filter(|rate| *rate > 0.0)?;
        Some(self.left? as f64 / rate)
    }
}

impl Lines {
    fn print(&self, state: &mut ProgressState) {
        state.printed = Some(Instant::now());
        let standing = &state.standing;
        let line = ProgressLine {
            event: "progress",
            input: &self.input,
            doing: &state.doing,
            frames: standing.done,
            frames_total: (standing.total > 0).then_some(standing.total.max(standing.done)),
            frames_reused: standing.reused,
            frames_per_second: standing.rate,
            seconds: self.started.elapsed().as_secs_f64(),
            seconds_left: standing.seconds_left(),
            provider: Some(standing.provider.as_str()).filter(|name| !name.is_empty()),
        };
        line::print(&line);
    }

    fn change(&self, change: impl FnOnce(&mut ProgressState) -> bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if change(&mut state) {
            self.print(&mut state);
        }
    }
}

/// Frames a second over the last while.
#[derive(Debug, Default)]
pub struct Speed(VecDeque<(Instant, u64)>);

impl Speed {
    /// Takes the number of frames until now; gives the speed once there is one.
    pub fn take(&mut self, frames: u64) -> Option<f64> {
        self.at(Instant::now(), frames)
    }

    fn at(&mut self, now: Instant, frames: u64) -> Option<f64> {
        self.0.push_back((now, frames));
        // Two remain: a frame may take longer than all that.
        while self.0.len() > 2 && now.duration_since(self.0[1].0) >= WINDOW {
            self.0.pop_front();
        }
        let (then, before) = *self.0.front()?;
        let seconds = now.duration_since(then).as_secs_f64();
        (frames > before && seconds > 0.0).then(|| (frames - before) as f64 / seconds)
    }
}

impl Progress {
    /// A spinner with a message, until [`Progress::length`] makes it a bar.
    pub fn new(quiet: bool) -> Self {
        let hidden = quiet || !std::io::stderr().is_terminal();
        let target = if hidden {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(8)
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self {
            bar,
            hidden,
            quiet,
            lines: None,
        }
    }

    /// The same, and lines of JSON about `input` on standard output.
    pub fn with_lines(self, input: &Path) -> Self {
        let lines = Lines {
            input: input.display().to_string(),
            started: Instant::now(),
            state: Mutex::default(),
        };
        Self {
            lines: Some(lines),
            ..self
        }
    }

    /// Says what is being done.
    pub fn message(&self, text: &str) {
        self.bar.set_message(text.to_owned());
        if let Some(lines) = &self.lines {
            lines.change(|state| {
                let new = state.doing != text;
                text.clone_into(&mut state.doing);
                new
            });
        }
    }

    /// Makes it a bar of frames, and says how far it is.
    pub fn standing(&self, standing: &Standing) {
        let Standing { done, total, .. } = *standing;
        let total = total.max(done);
        if self.bar.length() != Some(total) {
            self.bar.set_length(total);
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg}") {
                self.bar.set_style(style);
            }
        }
        self.bar.set_position(done);
        let speed = standing
            .rate
            .map_or(String::new(), |rate| format!(", {rate:.2} per second"));
        let left = standing.seconds_left().map_or(String::new(), |left| {
            let left = Duration::from_secs_f64(left.min(1e9));
            format!(", {} left", indicatif::HumanDuration(left))
        });
        self.bar
            .set_message(format!("{done} of {total} frames{speed}{left}"));
        if let Some(lines) = &self.lines {
            lines.change(|state| {
                let new = state.doing != UPSCALING;
                UPSCALING.clone_into(&mut state.doing);
                state.standing.clone_from(standing);
                new || state.printed.is_none_or(|last| last.elapsed() >= PAUSE)
            });
        }
    }

    /// Says what the engine has to tell since it was last asked, and warns of what is worse than was asked for, such as another provider.
    pub fn tell(&self, upscaler: &mut srfusion::Upscaler) {
        for notice in upscaler.take_notices() {
            match notice.severity {
                Severity::Worse => self.warn(&notice.text),
                Severity::Better | Severity::Info => self.note(&notice.text),
            }
        }
    }

    /// Prints what is worth knowing on standard error without tearing the bar, but where the user asked for quiet.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.bar.suspend(|| eprintln!("srfusion: note: {text}"));
        }
    }

    /// Prints a warning on standard error without tearing the bar.
    pub fn warn(&self, text: &str) {
        self.bar.suspend(|| eprintln!("srfusion: warning: {text}"));
        if let Some(lines) = &self.lines {
            line::print(&serde_json::json!({
                "event": "warning", "input": lines.input, "warning": text
            }));
        }
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        if !self.hidden {
            self.bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_is_that_of_late() {
        let mut speed = Speed::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(speed.at(at(0), 0), None);
        assert_eq!(speed.at(at(1), 0), None);
        // Ten frames a second for a minute, then one.
        let mut found = None;
        for second in 2..=60 {
            found = speed.at(at(second), (second - 1) * 10);
        }
        assert!((found.unwrap() - 10.0).abs() < 0.2, "{found:?}");
        for second in 61..=120 {
            found = speed.at(at(second), 590 + second - 60);
        }
        assert!((found.unwrap() - 1.0).abs() < 0.05, "{found:?}");
        // A single frame that takes minutes.
        assert!((speed.at(at(400), 651).unwrap() - 1.0 / 280.0).abs() < 1e-3);
    }

    #[test]
    fn what_is_left_is_what_has_to_be_drawn() {
        let standing = Standing {
            done: 60,
            total: 100,
            reused: 50,
            left: Some(40),
            rate: Some(4.0),
            ..Standing::default()
        };
        assert_eq!(standing.seconds_left(), Some(10.0));
        let early = Standing {
            rate: None,
            ..standing
        };
        assert_eq!(early.seconds_left(), None);
    }
}
