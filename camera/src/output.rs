//! The thread that keeps a camera's output going: what was drawn, and a notice over the last picture where nothing is.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver as Inbox, RecvTimeoutError};
use std::time::Duration;

use gst_video::prelude::*;
use parking_lot::Mutex;

use crate::encoder::Encoder;
use crate::engine::output_caps;
use crate::link::Backoff;
use crate::log::error;
use crate::notice::{self, Planes};
use crate::pace::{Pace, Show};
use crate::view::{TICK, View};

/// Keeps the output going until the camera is stopped.
pub fn show(view: &Arc<View>, frames: &Inbox<gst::Buffer>) {
    let mut pace = Pace::default();
    let mut last: Option<gst::Buffer> = None;
    let mut encoder: Option<Encoder> = None;
    let mut backoff = Backoff::default();
    let mut next = Duration::ZERO;
    let failure: Arc<Mutex<Option<String>>> = Arc::default();
    let name = &view.config.name;
    while !view.stop.load(Ordering::Relaxed) {
        let frame = match frames.recv_timeout(TICK) {
            Ok(frame) => Some(frame),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        view.beat(1);
        let Some(size) = view.size.get().copied() else {
            continue;
        };
        let now = view.clock.now();
        if let Some(reason) = failure.lock().take() {
            encoder = None;
            let delay = backoff.next();
            next = now + delay;
            error!(
                "{name}: encoding failed, next attempt in {} s: {reason}",
                delay.as_secs()
            );
        }
        if encoder.is_none() && now >= next {
            let failure = failure.clone();
            let told = failure.clone();
            let failed = move |reason| {
                // The first reason is the cause of the others.
                failure.lock().get_or_insert(reason);
            };
            match Encoder::start(&view.config, &view.clock, size, &view.hub, failed) {
                Ok(started) => encoder = Some(started),
                Err(reason) => *told.lock() = Some(reason),
            }
        }
        let Some(encoder) = &mut encoder else {
            continue;
        };
        let lost = view.lost();
        let shown = match frame {
            Some(frame) => {
                let time = frame.pts().map_or(now, Duration::from);
                pace.drawn(now, time, lost).map(|time| {
                    last = Some(frame.clone());
                    (Some(frame), time)
                })
            }
            None => pace.idle(now, lost).map(|show| match show {
                Show::Again(time) => (last.clone(), time),
                Show::Notice(time) => (noticed(size, last.as_ref(), &view.notice()), time),
            }),
        };
        if let Some((Some(frame), time)) = shown
            && let Err(reason) = encoder.push(frame, time)
        {
            failure.lock().get_or_insert(reason);
        }
    }
}

/// The last picture, or an empty one, with a notice.
fn noticed(size: (u32, u32), last: Option<&gst::Buffer>, text: &str) -> Option<gst::Buffer> {
    let info = gst_video::VideoInfo::from_caps(&output_caps(size)).ok()?;
    let mut buffer = match last {
        Some(last) => last.copy_deep().ok()?,
        None => gst::Buffer::with_size(info.size()).ok()?,
    };
    {
        let buffer = buffer.get_mut()?;
        let mut frame = gst_video::VideoFrameRef::from_buffer_ref_writable(buffer, &info).ok()?;
        let mut strides = [0; 3];
        for (stride, known) in strides.iter_mut().zip(frame.plane_stride()) {
            *stride = usize::try_from(*known).ok()?;
        }
        let [luma, blue, red, _] = frame.planes_data_mut();
        let mut planes = Planes {
            size: (size.0 as usize, size.1 as usize),
            data: [luma, blue, red],
            strides,
        };
        if last.is_none() {
            notice::blank(&mut planes);
        }
        notice::write(&mut planes, text);
    }
    Some(buffer)
}
