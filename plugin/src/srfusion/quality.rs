//! When it is told, and how, that frames are drawn by less than the best for lack of time: QoS messages whose quality is the share of the
//! picture that is at its best. Pure arithmetic.

use std::time::{Duration, Instant};

use gst::prelude::*;
use gst_base::prelude::*;
use parking_lot::Mutex;
use srfusion::Shares;

/// Least time between two messages: quality may change in every frame.
const HOLD: Duration = Duration::from_secs(1);

/// The best quality, as messages give it.
const BEST: i32 = 1_000_000;

/// What a message says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Told {
    /// How much later than its time the frame is done, in nanoseconds; below 0 where it is sooner.
    jitter: i64,
    /// The time that frames take, over what they may.
    proportion: f64,
    /// Millionths of the picture that are at their best.
    quality: i32,
    /// Of the frames since the message before, the largest shares that were drawn by less.
    fast: f64,
    interpolated: f64,
    /// Frames that came out and that were dropped in this run.
    processed: u64,
    dropped: u64,
}

#[derive(Debug)]
struct State {
    /// Mean of the time taken over the time given.
    proportion: f64,
    told: i32,
    told_at: Option<Instant>,
    fast: f64,
    interpolated: f64,
    processed: u64,
    dropped: u64,
}

/// Follows the quality of frames, and tells when it is worth a message.
#[derive(Debug)]
pub(super) struct Quality(Mutex<State>);

impl Default for Quality {
    fn default() -> Self {
        Self(Mutex::new(State {
            proportion: 1.0,
            told: BEST,
            told_at: None,
            fast: 0.0,
            interpolated: 0.0,
            processed: 0,
            dropped: 0,
        }))
    }
}

impl Quality {
    /// A run begins.
    pub(super) fn reset(&self) {
        *self.0.lock() = Self::default().0.into_inner();
    }

    /// A frame was dropped before it was drawn.
    pub(super) fn dropped(&self) {
        self.0.lock().dropped += 1;
    }

    /// Takes a frame drawn by `shares` that `took` so long of `budget`, at `now`. What is to be told, if anything: that quality is another than was
    /// told last, at most once a second.
    pub(super) fn push(
        &self,
        shares: &Shares,
        took: Duration,
        budget: Option<Duration>,
        now: Instant,
    ) -> Option<Told> {
        let mut state = self.0.lock();
        state.processed += 1;
        let budget = budget?;
        let share = took.as_secs_f64() / budget.as_secs_f64().max(1e-9);
        state.proportion += (share - state.proportion) / 16.0;
        state.fast = state.fast.max(shares.fast);
        state.interpolated = state.interpolated.max(shares.interpolated);
        let quality = (shares.full.clamp(0.0, 1.0) * f64::from(BEST)).round() as i32;
        let held = state
            .told_at
            .is_some_and(|at| now.saturating_duration_since(at) < HOLD);
        if quality == state.told || held {
            return None;
        }
        (state.told, state.told_at) = (quality, Some(now));
        let nanoseconds = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        Some(Told {
            jitter: nanoseconds(took).saturating_sub(nanoseconds(budget)),
            proportion: state.proportion,
            quality,
            fast: std::mem::take(&mut state.fast),
            interpolated: std::mem::take(&mut state.interpolated),
            processed: state.processed,
            dropped: state.dropped,
        })
    }
}

/// The message that says `told` of `buffer`, which belongs into `segment`.
pub(super) fn message(
    element: &gst_base::BaseTransform,
    told: &Told,
    live: bool,
    buffer: &gst::BufferRef,
) -> gst::Message {
    let segment = element.src_pad().sticky_event::<gst::event::Segment>(0);
    let segment =
        segment.and_then(|event| event.segment().downcast_ref::<gst::ClockTime>().cloned());
    let pts = buffer.pts();
    let in_segment = |at: fn(
        &gst::FormattedSegment<gst::ClockTime>,
        Option<gst::ClockTime>,
    ) -> Option<gst::ClockTime>| {
        segment.as_ref().and_then(|segment| at(segment, pts))
    };
    gst::message::Qos::builder(live)
        .src(element)
        .running_time(in_segment(|segment, pts| segment.to_running_time(pts)))
        .stream_time(in_segment(|segment, pts| segment.to_stream_time(pts)))
        .timestamp(pts)
        .duration(buffer.duration())
        .values(told.jitter, told.proportion, told.quality)
        .stats(
            gst::format::Buffers::from_u64(told.processed),
            gst::format::Buffers::from_u64(told.dropped),
        )
        .other_field("fast", told.fast)
        .other_field("interpolated", told.interpolated)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(fast: f64, interpolated: f64) -> Shares {
        Shares {
            full: 1.0 - fast - interpolated,
            fast,
            interpolated,
        }
    }

    #[test]
    fn a_change_of_quality_is_told_at_once_and_then_seldom() {
        let quality = Quality::default();
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let time = |ms: u64| Duration::from_millis(ms);
        let budget = Some(time(40));
        // At its best, or without a time, there is nothing to be said.
        assert_eq!(
            quality.push(&shares(0.0, 0.0), time(30), budget, at(0)),
            None
        );
        assert_eq!(
            quality.push(&shares(0.0, 0.5), time(30), None, at(40)),
            None
        );
        let told = quality
            .push(&shares(0.25, 0.25), time(50), budget, at(80))
            .unwrap();
        assert_eq!((told.quality, told.jitter), (500_000, 10_000_000));
        assert_eq!((told.fast, told.interpolated), (0.25, 0.25));
        assert_eq!((told.processed, told.dropped), (3, 0));
        quality.dropped();
        for frame in 3..27 {
            let found = quality.push(
                &shares(0.1, 0.01 * frame as f64),
                time(30),
                budget,
                at(frame * 40),
            );
            assert_eq!(found, None, "{frame}");
        }
        // The worst of what was not told is told with the next.
        let told = quality
            .push(&shares(0.0, 0.0), time(30), budget, at(1100))
            .unwrap();
        assert_eq!((told.quality, told.dropped), (BEST, 1));
        assert_eq!((told.fast, told.interpolated), (0.1, 0.26));
        assert!(told.jitter < 0 && told.proportion > 0.5 && told.proportion < 1.2);
        assert_eq!(
            quality.push(&shares(0.0, 0.0), time(30), budget, at(9000)),
            None
        );
    }
}
