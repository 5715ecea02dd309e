//! What may happen to an element in a pipeline that runs: streams that change, gap, jump, are played at another rate or put together anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gst::prelude::*;
use gst_check::Harness;

use crate::common::{
    Line, Messages, PATIENCE, collect, element, frame, harness, is_end, pipeline, pixel, play,
    srfusion, within,
};

/// What every kind of run is tried with.
const WAYS: [&str; 4] = [
    "",
    "frames-in-flight=3",
    "deadline=40000000",
    "deadline=40000000 reuse=tolerant frames-in-flight=2",
];

/// How long anything may take that has to wait for a frame or a model at most.
const PROMPT: Duration = Duration::from_secs(10);

#[test]
fn size_format_and_rate_change_in_mid_stream() {
    let source = "videotestsrc num-buffers=5 pattern=ball ! video/x-raw,format=I420,width=32,height=24,framerate=25/1 ! concat name=c \
                  videotestsrc num-buffers=5 pattern=ball ! video/x-raw,format=NV12,width=32,height=24,framerate=10/1 ! c. \
                  videotestsrc num-buffers=5 pattern=ball ! video/x-raw,format=RGB,width=30,height=8,framerate=50/1 ! c. \
                  videotestsrc num-buffers=5 pattern=ball ! video/x-raw,format=P010_10LE,width=16,height=64,framerate=5/1 ! c. c.";
    for properties in WAYS {
        let line = pipeline(source, properties, "fakesink");
        let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let pad = srfusion(&line).static_pad("src").unwrap();
        let sink = seen.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, _| {
            let caps = pad.current_caps().unwrap();
            let info = gst_video::VideoInfo::from_caps(&caps).unwrap();
            let found = (
                info.format(),
                info.width(),
                info.height(),
                info.fps().numer(),
            );
            sink.lock().unwrap().push(found);
            gst::PadProbeReturn::Ok
        });
        play(&line);
        use gst_video::VideoFormat::{I420, Nv12, P01010le, Rgb};
        let expected = [
            [(I420, 128, 96, 25); 5],
            [(Nv12, 128, 96, 10); 5],
            [(Rgb, 120, 32, 50); 5],
            [(P01010le, 64, 256, 5); 5],
        ];
        assert_eq!(*seen.lock().unwrap(), expected.concat(), "{properties}");
    }
}

/// A harness around an element with these properties.
fn started(properties: &str) -> (gst::Element, Harness, gst::Bus) {
    let element = element();
    for property in properties.split_whitespace() {
        let (name, value) = property.split_once('=').unwrap();
        element.set_property_from_str(name, value);
    }
    let (harness, bus) = harness(&element, 16, 16);
    (element, harness, bus)
}

#[test]
fn gaps_and_times_that_jump_or_are_missing() {
    for properties in WAYS {
        let (element, mut harness, bus) = started(properties);
        let hour = 3600 * gst::ClockTime::SECOND;
        let at = |number: u64| Some(40 * number * gst::ClockTime::MSECOND);
        // A pause of an hour, a step back, none, none again, and as if nothing had been.
        let times = [
            at(0),
            at(1),
            at(2).map(|t| t + hour),
            at(3),
            None,
            None,
            at(4),
            at(4),
            at(6),
        ];
        for (number, time) in times.into_iter().enumerate() {
            let mut input = frame(16, 16, [60 + 20 * number as u8; 3], 0);
            let made = input.get_mut().unwrap();
            made.set_pts(time);
            if time.is_none() {
                made.set_duration(None);
            }
            harness.push(input).unwrap();
            let output = harness.pull().unwrap();
            assert_eq!(output.pts(), time, "{properties}: frame {number}");
            // Nothing of a frame before shows.
            assert_eq!(
                pixel(&output, 64, 30, 30),
                [60 + 20 * number as u8; 3],
                "{properties}"
            );
        }
        // A gap goes after the frames before it and before those after it.
        while harness.try_pull_event().is_some() {}
        harness.push(frame(16, 16, [99; 3], 7)).unwrap();
        let gap = gst::event::Gap::builder(at(8).unwrap())
            .duration(at(2))
            .build();
        assert!(harness.push_event(gap));
        assert_eq!(harness.pull().unwrap().pts(), at(7));
        let events = std::iter::from_fn(|| harness.try_pull_event());
        assert!(
            events
                .into_iter()
                .any(|event| event.type_() == gst::EventType::Gap)
        );
        harness.push(frame(16, 16, [99; 3], 10)).unwrap();
        assert_eq!(harness.pull().unwrap().pts(), at(10));
        assert_eq!(Messages::now(&bus).errors(&element), [""; 0]);
    }
}

/// A clip with a key frame every five of 50 frames, at 25 frames a second.
fn clip(name: &str) -> std::path::PathBuf {
    crate::common::init();
    let path = std::env::temp_dir().join(format!("srfusion-{name}-{}.mp4", std::process::id()));
    let text = format!(
        "videotestsrc num-buffers=50 pattern=ball ! video/x-raw,format=I420,width=32,height=32,framerate=25/1 \
         ! x264enc key-int-max=5 bframes=0 ! h264parse ! mp4mux ! filesink location={}",
        path.display()
    );
    let made = gst::parse::launch(&text).unwrap();
    play(&made.downcast::<gst::Pipeline>().unwrap());
    path
}

#[test]
fn seeks_to_key_frames_and_other_rates() {
    let path = clip("seeks");
    let source = format!(
        "filesrc location={} ! qtdemux ! h264parse ! avdec_h264",
        path.display()
    );
    let ms = |n: u64| n * gst::ClockTime::MSECOND;
    for properties in WAYS {
        let line = pipeline(&source, properties, "fakesink sync=false");
        let (element, bus) = (srfusion(&line), line.bus().unwrap());
        let frames = collect(&line);
        let prerolled = |message: &gst::Message| message.type_() == gst::MessageType::AsyncDone;
        line.set_state(gst::State::Paused).unwrap();
        Messages::until(&bus, prerolled);
        for (rate, flags, first) in [
            // The key frame before 1.1 s is at 1.0 s.
            (1.0, gst::SeekFlags::KEY_UNIT, ms(1000)),
            (2.0, gst::SeekFlags::ACCURATE, ms(1080)),
            (0.5, gst::SeekFlags::ACCURATE, ms(1080)),
            (
                4.0,
                gst::SeekFlags::KEY_UNIT | gst::SeekFlags::TRICKMODE,
                ms(1000),
            ),
        ] {
            frames.lock().unwrap().clear();
            within(PROMPT, || {
                line.seek(
                    rate,
                    gst::SeekFlags::FLUSH | flags,
                    gst::SeekType::Set,
                    ms(1090),
                    gst::SeekType::Set,
                    ms(1800),
                )
                .unwrap();
            });
            Messages::until(&bus, prerolled);
            line.set_state(gst::State::Playing).unwrap();
            let messages = Messages::until(&bus, is_end);
            assert_eq!(messages.errors(&element), [""; 0], "{properties} {rate}");
            line.set_state(gst::State::Paused).unwrap();
            let times: Vec<_> = frames
                .lock()
                .unwrap()
                .iter()
                .filter_map(|f| f.pts())
                .collect();
            // A decoder may cut the first frame to the segment's beginning.
            let begun = times
                .first()
                .is_some_and(|time| *time >= first && *time <= first + ms(40));
            assert!(begun, "{properties} {rate}: {times:?}");
            assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
            // Those of a key frame every five may be all that there are in trick mode.
            assert!(
                times.len() >= 3 && times.len() <= 21,
                "{properties} {rate}: {times:?}"
            );
        }
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_pause_leaves_everything_as_it_was() {
    for properties in WAYS {
        let line = pipeline(
            "videotestsrc num-buffers=40 is-live=true pattern=ball ! video/x-raw,format=I420,width=32,height=32,framerate=25/1",
            properties,
            "fakesink sync=true qos=false",
        );
        let (element, bus) = (srfusion(&line), line.bus().unwrap());
        let frames = collect(&line);
        let came = Arc::new(AtomicUsize::new(0));
        let counted = came.clone();
        let pad = element.static_pad("sink").unwrap();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            gst::PadProbeReturn::Ok
        });
        line.set_state(gst::State::Playing).unwrap();
        while frames.lock().unwrap().len() < 5 {
            std::thread::sleep(Duration::from_millis(20));
        }
        within(PROMPT, || line.set_state(gst::State::Paused).unwrap());
        std::thread::sleep(Duration::from_millis(700));
        line.set_state(gst::State::Playing).unwrap();
        let messages = Messages::until(&bus, is_end);
        assert_eq!(messages.errors(&element), [""; 0]);
        // Nothing is dropped for having waited. The source itself loses the frame that it has when it pauses.
        let times: Vec<_> = frames
            .lock()
            .unwrap()
            .iter()
            .filter_map(|f| f.pts())
            .collect();
        let came = came.load(Ordering::SeqCst);
        assert!(
            came >= 39 && times.len() == came,
            "{properties}: {came} came, {times:?}"
        );
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
    }
}

/// Up and down two thousand times, with and without a frame: nothing is left over that a later run could stumble upon.
#[test]
fn thousands_of_state_cycles() {
    let element = element();
    element.set_property("deadline", 40_000_000i64);
    for cycle in 0..2000u64 {
        element.set_state(gst::State::Ready).unwrap();
        if cycle % 10 == 0 {
            element.set_state(gst::State::Paused).unwrap();
            element.set_state(gst::State::Ready).unwrap();
        }
        if cycle % 3 == 0 {
            element.set_state(gst::State::Null).unwrap();
        }
    }
    element.set_state(gst::State::Null).unwrap();
    for _ in 0..20 {
        let (mut harness, bus) = harness(&element, 16, 16);
        let output = harness.push_and_pull(frame(16, 16, [90; 3], 0)).unwrap();
        assert_eq!(pixel(&output, 64, 5, 5), [90; 3]);
        assert_eq!(Messages::now(&bus).errors(&element), [""; 0]);
        drop(harness);
        element.set_state(gst::State::Null).unwrap();
    }
}

/// Waits until `frames` more have been collected.
#[track_caller]
fn await_frames(frames: &std::sync::Mutex<Vec<gst::Buffer>>, more: usize) {
    let wanted = frames.lock().unwrap().len() + more;
    let end = std::time::Instant::now() + PATIENCE;
    while frames.lock().unwrap().len() < wanted {
        assert!(std::time::Instant::now() < end, "no more frames");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Has `act` done on the streaming thread between two frames of `pad`.
fn between_frames(pad: &gst::Pad, act: impl FnOnce() + Send + 'static) {
    let (done, wait) = std::sync::mpsc::channel();
    let act = std::sync::Mutex::new(Some(act));
    pad.add_probe(gst::PadProbeType::IDLE, move |_, _| {
        if let Some(act) = act.lock().unwrap().take() {
            act();
            let _ = done.send(());
        }
        gst::PadProbeReturn::Remove
    });
    wait.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn taken_out_and_put_back_while_playing() {
    for properties in WAYS {
        let line: Line = pipeline(
            "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=32,height=32,framerate=50/1 ! identity name=before",
            properties,
            "identity name=after ! fakesink sync=false",
        );
        let (element, bus) = (srfusion(&line), line.bus().unwrap());
        let [before, after] = ["before", "after"].map(|name| line.by_name(name).unwrap());
        let frames = collect(&line);
        line.set_state(gst::State::Playing).unwrap();
        for _ in 0..3 {
            await_frames(&frames, 5);
            let pad = before.static_pad("src").unwrap();
            let (left, middle, right) = (before.clone(), element.clone(), after.clone());
            between_frames(&pad, move || {
                left.unlink(&middle);
                middle.unlink(&right);
                left.link(&right).unwrap();
            });
            let count = frames.lock().unwrap().len();
            within(PROMPT, || element.set_state(gst::State::Null).unwrap());
            std::thread::sleep(Duration::from_millis(100));
            assert!(frames.lock().unwrap().len() <= count + 3);
            let (left, middle, right) = (before.clone(), element.clone(), after.clone());
            between_frames(&pad, move || {
                left.unlink(&right);
                left.link(&middle).unwrap();
                middle.link(&right).unwrap();
            });
            element.sync_state_with_parent().unwrap();
        }
        await_frames(&frames, 5);
        line.set_state(gst::State::Null).unwrap();
        assert_eq!(
            Messages::now(&bus).errors(&element),
            [""; 0],
            "{properties}"
        );
    }
}

#[test]
fn added_to_a_pipeline_that_plays_and_taken_away() {
    crate::common::init();
    let text = "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=32,height=32,framerate=50/1 \
                ! tee name=tee allow-not-linked=true ! queue ! fakesink sync=true";
    let line = gst::parse::launch(text)
        .unwrap()
        .downcast::<gst::Pipeline>()
        .unwrap();
    let bus = line.bus().unwrap();
    line.set_state(gst::State::Playing).unwrap();
    let tee = line.by_name("tee").unwrap();
    for properties in WAYS {
        let make = |name: &str| gst::ElementFactory::make(name).build().unwrap();
        let (queue, engine, sink) = (make("queue"), element(), make("fakesink"));
        // A pipeline that plays must not wait for it.
        sink.set_property("async", false);
        for property in properties.split_whitespace() {
            let (name, value) = property.split_once('=').unwrap();
            engine.set_property_from_str(name, value);
        }
        let branch = [&queue, &engine, &sink];
        line.add_many(branch).unwrap();
        gst::Element::link_many(branch).unwrap();
        let frames = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = frames.clone();
        let pad = engine.static_pad("src").unwrap();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            seen.lock().unwrap().extend(info.buffer().cloned());
            gst::PadProbeReturn::Ok
        });
        for element in branch {
            element.sync_state_with_parent().unwrap();
        }
        tee.link(&queue).unwrap();
        await_frames(&frames, 10);
        // And away again, between two frames.
        let pad = queue.static_pad("sink").unwrap().peer().unwrap();
        let (source, first) = (pad.clone(), queue.clone());
        between_frames(&pad, move || {
            source.unlink(&first.static_pad("sink").unwrap()).unwrap();
        });
        tee.release_request_pad(&pad);
        for element in branch {
            within(PROMPT, || element.set_state(gst::State::Null).unwrap());
            line.remove(element).unwrap();
        }
        assert_eq!(Messages::now(&bus).errors(&engine), [""; 0], "{properties}");
    }
    line.set_state(gst::State::Null).unwrap();
}
