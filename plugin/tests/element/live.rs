//! Latency and late frames.

use std::sync::{Arc, Mutex};
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
    for depth in [1, 2] {
        // Half a second for each frame of 65 rows; the source makes ten in that time.
        let pipeline = pipeline(
            "videotestsrc name=source is-live=true num-buffers=60 ! \
             video/x-raw,width=8,height=65,framerate=20/1,format=RGB ! \
             queue leaky=downstream max-size-buffers=2 max-size-bytes=0 max-size-time=0",
            // Nothing may be kept of earlier frames, or frames would take no time.
            &format!("general-model=slow-x4 face-model=none reuse=none frames-in-flight={depth}"),
            "fakesink sync=true qos=true",
        );
        // Each frame shows its number, and which time belongs to it is written down.
        let times = Arc::new(Mutex::new(Vec::new()));
        let source = pipeline.by_name("source").unwrap();
        let written = times.clone();
        source
            .static_pad("src")
            .unwrap()
            .add_probe(gst::PadProbeType::BUFFER, move |_, info| {
                let mut written = written.lock().unwrap();
                if let Some(buffer) = info.buffer_mut() {
                    let buffer = buffer.make_mut();
                    written.push((buffer.pts(), buffer.duration()));
                    let shade = 4 * written.len() as u8;
                    buffer.map_writable().unwrap().fill(shade);
                }
                gst::PadProbeReturn::Ok
            });
        let frames = crate::common::collect(&pipeline);
        crate::common::play(&pipeline);
        let times = times.lock().unwrap();
        let frames = frames.lock().unwrap();
        assert!(
            !frames.is_empty() && frames.len() < 40,
            "{} of 60 frames",
            frames.len()
        );
        let mut last = 0;
        for frame in frames.iter() {
            let [shade, ..] = crate::common::pixel(frame, 32, 16, 130);
            let number = usize::from(shade.div_ceil(4));
            assert_eq!(shade % 4, 0, "a frame of no number");
            assert!(number > last, "{number} after {last}");
            last = number;
            assert_eq!((frame.pts(), frame.duration()), times[number - 1]);
        }
    }
}

/// With a deadline a network that is far too slow for the stream costs sharpness, not frames: every frame comes out, the latency is the
/// deadline, and what was left out is counted.
#[test]
fn frames_come_out_in_their_time() {
    let source = "videotestsrc is-live=true num-buffers=40 pattern=ball ! video/x-raw,format=I420,width=32,height=128,framerate=10/1";
    let properties = "general-model=slow-x4 face-model=none deadline=-1";
    let line = pipeline(source, properties, "fakesink sync=true qos=false");
    let (element, bus) = (srfusion(&line), line.bus().unwrap());
    line.set_state(gst::State::Playing).unwrap();
    let messages = Messages::until(&bus, is_end);
    assert_eq!(messages.0.last().unwrap().type_(), gst::MessageType::Eos);
    let stats = element.property::<gst::Structure>("stats");
    let count = |name: &str| stats.get::<u64>(name).unwrap();
    assert_eq!(count("frames-out"), 40);
    assert!(
        count("pixels-late") > 0 && count("tiles-late") > 0,
        "{stats}"
    );
    let shares: Vec<f64> = ["share-full", "share-fast", "share-interpolated"]
        .iter()
        .map(|name| stats.get(*name).unwrap())
        .collect();
    assert!(
        (shares.iter().sum::<f64>() - 1.0).abs() < 1e-9,
        "{shares:?}"
    );
    assert!(shares[2] > 0.0 && shares[0] < 1.0, "{shares:?}");
    assert_eq!(element.property::<u64>("latency"), 100_000_000);
    // What was left out was said, and seldom.
    let told: Vec<_> = messages
        .0
        .iter()
        .filter_map(|message| match message.view() {
            gst::MessageView::Qos(qos) if message.src() == Some(element.upcast_ref()) => {
                Some(qos.to_owned())
            }
            _ => None,
        })
        .collect();
    assert!((1..=6).contains(&told.len()), "{told:?}");
    let (_, proportion, quality) = told[0].values();
    assert!(proportion > 0.0 && quality < 1_000_000, "{told:?}");
    let left_out = told[0].structure().unwrap().get::<f64>("interpolated");
    assert!(left_out.is_ok_and(|share| share > 0.0), "{told:?}");
    let (processed, dropped) = told[told.len() - 1].stats();
    assert!(processed.value() > 0 && dropped.value() == 0, "{told:?}");
    line.set_state(gst::State::Null).unwrap();
}

/// Where not even interpolation is in time, frames are dropped, which is said: a face is drawn in any case, here by a network that takes seconds.
#[test]
fn what_cannot_be_in_time_is_dropped_and_said() {
    let source = "videotestsrc is-live=true num-buffers=80 pattern=white ! video/x-raw,format=RGB,width=48,height=86,framerate=10/1 \
                  ! queue leaky=downstream max-size-buffers=2 max-size-bytes=0 max-size-time=0";
    // Other tests of this process may have a slow network with another number of threads, which would have to be waited for.
    // The margin gives the slow network more to draw than there is time for.
    let properties = "face-model=slow-x4 deadline=-1 reuse=none threads=3 mask-padding=0.15";
    let line = pipeline(source, properties, "fakesink sync=true qos=true");
    let (element, bus) = (srfusion(&line), line.bus().unwrap());
    let frames = crate::common::collect(&line);
    line.set_state(gst::State::Playing).unwrap();
    let messages = Messages::until(&bus, is_end);
    line.set_state(gst::State::Null).unwrap();
    assert_eq!(messages.0.last().unwrap().type_(), gst::MessageType::Eos);
    let drops = messages.0.iter().filter(|message| match message.view() {
        gst::MessageView::Qos(qos) => {
            message.src() == Some(element.upcast_ref()) && qos.stats().1.value() > 0
        }
        _ => false,
    });
    assert!(drops.count() > 0, "{messages:?}");
    let count = frames.lock().unwrap().len();
    assert!((1..80).contains(&count), "{count}");
    let stats = element.property::<gst::Structure>("stats");
    assert!(stats.get::<u64>("deadline-missed").unwrap() > 0, "{stats}");
}

/// What the general network has no time for is drawn by the fast one, which is opened with a deadline alone; one that is named must be there.
#[test]
fn the_fast_network_draws_what_there_is_no_time_for() {
    let source = "videotestsrc is-live=true num-buffers=40 pattern=ball ! video/x-raw,format=I420,width=32,height=128,framerate=10/1";
    let opened = |messages: &Messages| {
        let says_so = |message: &&gst::Message| match message.view() {
            gst::MessageView::Progress(progress) => progress.get().2.contains("fast general model"),
            _ => false,
        };
        messages.0.iter().filter(says_so).count()
    };
    let models = "general-model=slow-x4 general-fast-model=bicubic-x4 face-model=none";
    let line = pipeline(
        source,
        &format!("{models} deadline=-1"),
        "fakesink sync=true qos=false",
    );
    let (element, bus) = (srfusion(&line), line.bus().unwrap());
    line.set_state(gst::State::Playing).unwrap();
    let messages = Messages::until(&bus, is_end);
    let stats = element.property::<gst::Structure>("stats");
    line.set_state(gst::State::Null).unwrap();
    assert_eq!(opened(&messages), 1, "{messages:?}");
    assert_eq!(stats.get::<u64>("frames-out"), Ok(40));
    assert!(stats.get::<u64>("tiles-fast").unwrap() > 0, "{stats}");
    assert!(
        stats.get::<f64>("share-fast").unwrap() > stats.get::<f64>("share-interpolated").unwrap(),
        "{stats}"
    );

    // Without a deadline nobody asks for it.
    let source = "videotestsrc num-buffers=2 ! video/x-raw,width=16,height=16";
    let line = pipeline(source, "general-fast-model=no-such", "fakesink");
    assert_eq!(opened(&crate::common::play(&line)), 0);
    let line = pipeline(
        source,
        "general-fast-model=no-such deadline=1000000000",
        "fakesink",
    );
    let (element, bus) = (srfusion(&line), line.bus().unwrap());
    assert!(line.set_state(gst::State::Playing).is_err());
    let errors = Messages::now(&bus).errors(&element);
    assert!(
        errors.len() == 1 && errors[0].contains("no-such"),
        "{errors:?}"
    );
    line.set_state(gst::State::Null).unwrap();
    // The default is not in this folder, which is said and nothing worse.
    let line = pipeline(source, "deadline=1000000000", "fakesink");
    let messages = crate::common::play(&line);
    let said = messages.0.iter().any(|message| match message.view() {
        gst::MessageView::Info(info) => info.error().message().contains("general-x4-fast"),
        _ => false,
    });
    assert!(said, "{messages:?}");
}
