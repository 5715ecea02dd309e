//! Latency and late frames.

use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::common::{Messages, PATIENCE, is_end, pipeline, srfusion};

/// Whether the element's source pad is live, and the least latency up to it.
pub fn query(pipeline: &gst::Pipeline) -> (bool, gst::ClockTime) {
    let pad = srfusion(pipeline).static_pad("src").unwrap();
    let end = Instant::now() + PATIENCE;
    loop {
        let mut query = gst::query::Latency::new();
        if pad.query(&mut query) {
            let (live, min, max) = query.result();
            assert!(max.is_none_or(|max| max >= min), "{min} to {max:?}");
            return (live, min);
        }
        // A source cannot say before it has a format.
        assert!(Instant::now() < end);
        std::thread::sleep(Duration::from_millis(10));
    }
}

const LIVE: &str =
    "videotestsrc is-live=true num-buffers=80 ! video/x-raw,width=16,height=16,framerate=40/1";

#[test]
fn latency_set_is_reported() {
    let pipeline = pipeline(LIVE, "latency=80000000", "fakesink sync=true");
    let element = srfusion(&pipeline);
    let bus = pipeline.bus().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    Messages::until(&bus, |message| {
        message.type_() == gst::MessageType::StreamStart
    });
    let (live, with) = query(&pipeline);
    assert!(live);
    // Announced when it changes, and then part of the pipeline's.
    element.set_property("latency", 200_000_000u64);
    let from_element = |message: &gst::Message| {
        message.type_() == gst::MessageType::Latency && message.src() == Some(element.upcast_ref())
    };
    Messages::until(&bus, from_element);
    let (_, more) = query(&pipeline);
    assert_eq!(more - with, gst::ClockTime::from_mseconds(120));
    assert_eq!(element.property::<u64>("latency"), 200_000_000);
    // However long frames take: nothing is measured into it.
    let messages = Messages::until(&bus, is_end);
    assert_eq!(
        messages
            .0
            .iter()
            .filter(|message| from_element(message))
            .count(),
        0
    );
    pipeline.set_state(gst::State::Null).unwrap();
}

#[test]
fn latency_is_measured_and_announced_seldom() {
    let pipeline = pipeline(LIVE, "", "fakesink sync=true qos=false");
    let element = srfusion(&pipeline);
    let bus = pipeline.bus().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let messages = Messages::until(&bus, is_end);
    let announced = messages
        .0
        .iter()
        .filter(|message| {
            message.type_() == gst::MessageType::Latency
                && message.src() == Some(element.upcast_ref())
        })
        .count();
    assert!((1..=2).contains(&announced), "{announced} in 80 frames");
    let measured = element.property::<u64>("latency");
    assert!(measured > 0);
    let (live, min) = query(&pipeline);
    assert!(live && min >= gst::ClockTime::from_nseconds(measured));
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(element.property::<u64>("latency"), 0);
}

#[test]
fn no_announcement_where_nothing_is_live() {
    let pipeline = pipeline(
        "videotestsrc num-buffers=40 ! video/x-raw,width=16,height=16",
        "",
        "fakesink",
    );
    let element = srfusion(&pipeline);
    let messages = crate::common::play(&pipeline);
    let from_element = |message: &&gst::Message| {
        message.type_() == gst::MessageType::Latency && message.src() == Some(element.upcast_ref())
    };
    assert_eq!(messages.0.iter().filter(from_element).count(), 0);
}

#[test]
fn late_frames_are_skipped_and_the_others_keep_their_times() {
    // Half a second for each frame of 65 rows; the source makes ten in that time.
    let pipeline = pipeline(
        "videotestsrc is-live=true num-buffers=60 ! video/x-raw,width=8,height=65,framerate=20/1 ! \
         queue leaky=downstream max-size-buffers=2 max-size-bytes=0 max-size-time=0",
        // The source's picture hardly changes: nothing of it may be kept, or frames would take no time.
        "general-model=slow-x4 face-model=none reuse=none",
        "fakesink sync=true qos=true",
    );
    let frames = crate::common::collect(&pipeline);
    let bus = pipeline.bus().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let messages = Messages::until(&bus, is_end);
    assert_eq!(messages.0.last().unwrap().type_(), gst::MessageType::Eos);
    let (reached, ..) = pipeline.state(gst::ClockTime::from_seconds(PATIENCE.as_secs()));
    reached.unwrap();
    pipeline.set_state(gst::State::Null).unwrap();
    let times: Vec<_> = frames
        .lock()
        .unwrap()
        .iter()
        .map(|frame| frame.pts().unwrap())
        .collect();
    assert!(
        !times.is_empty() && times.len() < 40,
        "{} of 60 frames",
        times.len()
    );
    assert!(times.is_sorted());
}
