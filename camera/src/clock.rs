//! One clock for everything that a camera's pipelines do: the system's monotonic one, counted from the program's start.

use std::time::Duration;

use gst::prelude::*;

/// The clock that all pipelines run by.
#[derive(Debug, Clone)]
pub struct Clock {
    clock: gst::Clock,
    base: gst::ClockTime,
}

impl Clock {
    /// Begins to count.
    pub fn start() -> Self {
        let clock = gst::SystemClock::obtain();
        let base = clock.time();
        Self { clock, base }
    }

    /// Time since the start.
    pub fn now(&self) -> Duration {
        self.clock.time().saturating_sub(self.base).into()
    }

    /// Has `pipeline` count its running time from the start too.
    pub fn rule(&self, pipeline: &gst::Pipeline) {
        pipeline.use_clock(Some(&self.clock));
        pipeline.set_start_time(gst::ClockTime::NONE);
        pipeline.set_base_time(self.base);
    }

    /// Has `pipeline` run by the same clock, but count from when it begins to play.
    pub fn lend(&self, pipeline: &gst::Pipeline) {
        pipeline.use_clock(Some(&self.clock));
    }

    /// The time since the start that a buffer's time in a pipeline that was lent the clock stands for.
    pub fn since_start(&self, sink: &gst::Element, sample: &gst::SampleRef) -> Option<Duration> {
        let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
        let buffer = sample.buffer()?;
        let running = segment.to_running_time(buffer.pts().or(buffer.dts())?)?;
        let time = (running + sink.base_time()?).saturating_sub(self.base);
        Some(time.into())
    }
}

/// As GStreamer counts.
pub fn clock_time(time: Duration) -> gst::ClockTime {
    gst::ClockTime::try_from(time).unwrap_or(gst::ClockTime::MAX)
}
