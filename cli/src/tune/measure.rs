//! Measuring one combination of settings on some frames, within a time.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use srfusion::{
    Canceller, Config, Error, Frame, FrameInfo, FrameMut, Parameters, Rect, SCALE, Size, Upscaler,
};

use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::video::Scene;

/// Frames in which everything is measured: all of their area, or a part of it where a frame takes too long.
#[derive(Debug)]
pub struct Footage {
    /// Width and height of a frame.
    pub frame: Size,
    /// The part of it that is upscaled.
    pub window: Rect,
    /// Frames from each place, whole.
    pub scenes: Vec<Scene>,
}

/// What came of a combination.
#[derive(Debug, Clone, PartialEq)]
pub enum TrialOutcome {
    /// Frames a second, reckoned to whole frames, and how many were timed.
    Measured(f64, usize),
    /// Why it cannot be.
    Failed(String),
    /// The time was over before the first frame.
    Late,
}

impl Footage {
    /// The samples of a part of `frame`, packed.
    pub fn cut(&self, frame: &[u8], part: Rect) -> Vec<u8> {
        let row = self.frame.width * 3;
        frame
            .chunks_exact(row)
            .skip(part.y)
            .take(part.height)
            .flat_map(|line| &line[part.x * 3..(part.x + part.width) * 3])
            .copied()
            .collect()
    }

    /// Makes the window smaller, so that a frame that takes `time` would take about `wanted`; around its middle.
    pub fn shrink(&mut self, time: Duration, wanted: Duration) {
        /// Shortest side worth measuring.
        const LEAST: usize = 64;
        let scale = (wanted.as_secs_f64() / time.as_secs_f64().max(1e-9)).sqrt();
        let side = |side: usize| ((side as f64 * scale) as usize).max(LEAST).min(side);
        let Rect {
            x,
            y,
            width,
            height,
        } = self.window;
        let (wide, high) = (side(width), side(height));
        self.window = Rect {
            x: x + (width - wide) / 2,
            y: y + (height - high) / 2,
            width: wide,
            height: high,
        };
    }

    /// What share of a frame's area the window is.
    pub fn share(&self) -> f64 {
        self.window.size().area() as f64 / self.frame.area() as f64
    }
}

/// Has `work` cancelled at `until`, or when the user interrupts.
pub fn within<T>(until: Instant, work: impl FnOnce(&Canceller) -> T) -> T {
    let canceller = Canceller::new();
    let stop = canceller.clone();
    interrupt::on_interrupt(move || stop.cancel());
    let (done, ended) = channel::<()>();
    let late = canceller.clone();
    let timer = std::thread::spawn(move || {
        let left = until.saturating_duration_since(Instant::now());
        if ended.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
            late.cancel();
        }
    });
    let result = work(&canceller);
    drop(done);
    // It only waits.
    let _ = timer.join();
    result
}

/// Opens the models of `config` and upscales the frames of `footage` again and again for about `slice`, until `until` at the latest.
///
/// # Errors
/// [`Failure::Interrupted`].
pub fn measure(
    config: &Config,
    parameters: &Parameters,
    footage: &Footage,
    slice: Duration,
    until: Instant,
) -> Result<TrialOutcome> {
    let (mut frames, mut time) = (0_usize, Duration::ZERO);
    let found = within(until, |canceller| -> srfusion::Result<()> {
        let mut upscaler = Upscaler::open(config, canceller, &mut |_| ())?;
        upscaler.set_parameters(parameters.clone())?;
        let mut output = Vec::new();
        // Not timed: memory is taken, kernels are chosen.
        if let Some(first) = footage.scenes.iter().flatten().next() {
            upscale(&mut upscaler, footage, first, &mut output)?;
        }
        while time < slice {
            for scene in &footage.scenes {
                upscaler.reset();
                for frame in scene {
                    time += upscale(&mut upscaler, footage, frame, &mut output)?;
                    frames += 1;
                    if time >= slice {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    });
    if interrupt::interrupted() {
        return Err(Failure::Interrupted);
    }
    let rate = || frames as f64 / time.as_secs_f64().max(1e-9) * footage.share();
    match found {
        Ok(()) => Ok(TrialOutcome::Measured(rate(), frames)),
        Err(Error::Cancelled) if frames > 0 => Ok(TrialOutcome::Measured(rate(), frames)),
        Err(Error::Cancelled) => Ok(TrialOutcome::Late),
        Err(error) => Ok(TrialOutcome::Failed(error.to_string())),
    }
}

/// Upscales a frame's window; gives the time it took.
fn upscale(
    upscaler: &mut Upscaler,
    footage: &Footage,
    (time, data): &(Duration, Vec<u8>),
    output: &mut Vec<u8>,
) -> srfusion::Result<Duration> {
    let size = footage.window.size();
    let large = size.scaled(SCALE);
    let input = footage.cut(data, footage.window);
    output.resize(large.area() * 3, 0);
    let input = Frame::new(&input, size, size.width * 3)?;
    let mut output = FrameMut::new(output, large, large.width * 3)?;
    let info = FrameInfo {
        pts: Some(*time),
        ..FrameInfo::default()
    };
    let start = Instant::now();
    upscaler.process(input, &info, &mut output)?;
    Ok(start.elapsed())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn footage(width: usize, height: usize) -> Footage {
        Footage {
            frame: Size::new(width, height),
            window: Rect {
                x: 0,
                y: 0,
                width,
                height,
            },
            scenes: Vec::new(),
        }
    }

    #[test]
    fn a_window_is_cut_from_the_middle() {
        let mut footage = footage(400, 200);
        footage.shrink(Duration::from_secs(4), Duration::from_secs(1));
        let window = footage.window;
        assert_eq!(
            (window.x, window.y, window.width, window.height),
            (100, 50, 200, 100)
        );
        assert!((footage.share() - 0.25).abs() < 1e-9);
        // Never less than is worth measuring, and never more than there is.
        footage.shrink(Duration::from_secs(1000), Duration::from_secs(1));
        assert_eq!((footage.window.width, footage.window.height), (64, 64));
        let data: Vec<u8> = (0..400 * 200 * 3).map(|at| (at / 3 % 400) as u8).collect();
        let part = Rect {
            x: 3,
            y: 7,
            width: 2,
            height: 2,
        };
        assert_eq!(
            footage.cut(&data, part),
            [3, 3, 3, 4, 4, 4, 3, 3, 3, 4, 4, 4]
        );
    }

    #[test]
    fn work_is_cancelled_in_time() {
        let until = Instant::now() + Duration::from_millis(50);
        let cancelled = within(until, |canceller| {
            let start = Instant::now();
            while !canceller.is_cancelled() && start.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(5));
            }
            canceller.is_cancelled()
        });
        assert!(cancelled);
        let early = within(Instant::now() + Duration::from_secs(600), |canceller| {
            canceller.is_cancelled()
        });
        assert!(!early);
    }
}
