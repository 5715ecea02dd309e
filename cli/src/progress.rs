//! The progress bar on standard error: drawn on a terminal only, and not where the user asked for quiet.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use srfusion::Severity;

/// A bar, or nothing where nobody looks.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    hidden: bool,
    quiet: bool,
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
        Self { bar, hidden, quiet }
    }

    /// Says what is being done.
    pub fn message(&self, text: &str) {
        self.bar.set_message(text.to_owned());
    }

    /// Makes it a bar of `total` frames (0 if nobody knows how many), `done` of them done, at `rate` frames per second.
    pub fn frames(&self, done: u64, total: u64, rate: f64) {
        let total = total.max(done);
        if self.bar.length() != Some(total) {
            self.bar.set_length(total);
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg}") {
                self.bar.set_style(style);
            }
        }
        self.bar.set_position(done);
        let left = (total - done) as f64 / rate.max(1e-9);
        let left = indicatif::HumanDuration(Duration::from_secs_f64(left.min(1e9)));
        self.message(&format!(
            "{done} of {total} frames, {rate:.2} per second, {left} left"
        ));
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
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        if !self.hidden {
            self.bar.finish_and_clear();
        }
    }
}
