//! Starting, stopping, flushing, seeking, again and again, and all of it at the wrong moment.

use std::time::Duration;

use gst::ProgressType::{Canceled, Complete, Continue, Start};
use gst::prelude::*;

use crate::common::{
    Messages, PATIENCE, caps, collect, element, frame, harness, is_end, pipeline, pixel, play,
    srfusion, within,
};

const SOURCE: &str = "videotestsrc num-buffers=6 ! video/x-raw,width=16,height=16,framerate=25/1";

/// A stop or a flush may take this long: the kernel under way ends first, and the machine may be busy.
const PROMPT: Duration = Duration::from_secs(4);

#[test]
fn every_frame_comes_out_and_then_the_end() {
    let pipeline = pipeline(SOURCE, "", "fakesink");
    let frames = collect(&pipeline);
    let messages = play(&pipeline);
    assert_eq!(
        messages.progress(),
        [Start, Continue, Continue, Continue, Complete]
    );
    let frames = frames.lock().unwrap();
    let times: Vec<_> = frames
        .iter()
        .map(|frame| frame.pts().unwrap().mseconds())
        .collect();
    assert_eq!(times, [0, 40, 80, 120, 160, 200]);
    let stats: gst::Structure = srfusion(&pipeline).property("stats");
    assert_eq!(stats.get::<u64>("frames-in"), Ok(6));
    assert_eq!(stats.get::<u64>("frames-out"), Ok(6));
    // Also after the end, when nothing is active any more.
    assert_eq!(stats.get::<&str>("provider"), Ok("cpu"));
    assert_eq!(stats.get::<&str>("transfer"), Ok("floats"));
    assert!(stats.get::<f64>("total-ms").unwrap() > 0.0);
    assert!(stats.get::<f64>("total-ms").unwrap() >= stats.get::<f64>("general-ms").unwrap());
    assert!(stats.get::<u64>("tiles-run").unwrap() >= 6);
}

#[test]
fn the_end_comes_without_a_frame_too() {
    let pipeline = pipeline(
        "videotestsrc num-buffers=0 ! video/x-raw,width=16,height=16",
        "",
        "fakesink",
    );
    play(&pipeline);
}

#[test]
fn up_and_down_several_times() {
    for properties in ["", "frames-in-flight=3"] {
        cycle(properties);
    }
}

fn cycle(properties: &str) {
    let pipeline = pipeline(SOURCE, properties, "fakesink");
    let frames = collect(&pipeline);
    for _ in 0..5 {
        let messages = play(&pipeline);
        assert_eq!(
            messages.progress(),
            [Start, Continue, Continue, Continue, Complete]
        );
        assert_eq!(frames.lock().unwrap().drain(..).count(), 6);
    }
    // Other ways up and down.
    for state in [
        gst::State::Ready,
        gst::State::Null,
        gst::State::Paused,
        gst::State::Ready,
        gst::State::Paused,
    ] {
        pipeline.set_state(state).unwrap();
        let (reached, ..) = pipeline.state(gst::ClockTime::from_seconds(PATIENCE.as_secs()));
        reached.unwrap();
    }
    pipeline.set_state(gst::State::Null).unwrap();
    play(&pipeline);
}

#[test]
fn up_and_down_without_waiting() {
    let pipeline = pipeline(
        "videotestsrc ! video/x-raw,width=16,height=16",
        "",
        "fakesink sync=false",
    );
    let element = srfusion(&pipeline);
    let bus = pipeline.bus().unwrap();
    for round in 0..20u64 {
        pipeline.set_state(gst::State::Playing).unwrap();
        std::thread::sleep(Duration::from_millis(round * 4));
        within(PROMPT, || pipeline.set_state(gst::State::Ready).unwrap());
        let messages = Messages::now(&bus);
        assert_eq!(messages.errors(&element), [""; 0]);
        let progress = messages.progress();
        assert_eq!(progress.first(), Some(&Start), "round {round}");
        let ends = progress
            .iter()
            .filter(|type_| [Canceled, Complete].contains(type_))
            .count();
        assert_eq!(ends, 1, "round {round}: {progress:?}");
        pipeline.set_state(gst::State::Null).unwrap();
    }
}

#[test]
fn stop_while_loading() {
    let pipeline = pipeline(SOURCE, "general-model=late-x4", "fakesink");
    let element = srfusion(&pipeline);
    let bus = pipeline.bus().unwrap();
    within(PROMPT, || pipeline.set_state(gst::State::Paused).unwrap());
    Messages::until(
        &bus,
        |message| matches!(message.view(), gst::MessageView::Progress(p) if p.get().0 == Continue),
    );
    // The first frame waits by now.
    std::thread::sleep(Duration::from_millis(100));
    within(PROMPT, || pipeline.set_state(gst::State::Ready).unwrap());
    let messages = Messages::now(&bus);
    assert_eq!(messages.progress(), [Canceled]);
    assert_eq!(messages.errors(&element), [""; 0]);
    within(PROMPT, || pipeline.set_state(gst::State::Null).unwrap());
    element.set_property("general-model", "bicubic-x4");
    play(&pipeline);
}

#[test]
fn flush_while_loading() {
    let element = element();
    element.set_property("general-model", "late-x4");
    let (mut harness, _bus) = harness(&element, 16, 16);
    // The flush has to come from another thread: this one waits for the models.
    let pad = element.static_pad("sink").unwrap();
    let flush = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        pad.send_event(gst::event::FlushStart::new())
    });
    assert_eq!(
        within(PROMPT, || harness.push(frame(16, 16, [90; 3], 0))),
        Err(gst::FlowError::Flushing)
    );
    assert!(flush.join().unwrap());
    within(PROMPT, || drop(harness));
}

#[test]
fn stop_in_the_middle_of_a_network() {
    // Seconds for each frame.
    let source = "videotestsrc ! video/x-raw,width=16,height=128,framerate=25/1";
    let pipeline = pipeline(source, "general-model=slow-x4 face-model=none", "fakesink");
    let element = srfusion(&pipeline);
    let bus = pipeline.bus().unwrap();
    for _ in 0..2 {
        pipeline.set_state(gst::State::Playing).unwrap();
        Messages::until(
            &bus,
            |message| matches!(message.view(), gst::MessageView::Progress(p) if p.get().0 == Complete),
        );
        std::thread::sleep(Duration::from_millis(500));
        within(PROMPT, || pipeline.set_state(gst::State::Null).unwrap());
        assert_eq!(Messages::now(&bus).errors(&element), [""; 0]);
        assert_eq!(
            element
                .property::<gst::Structure>("stats")
                .get::<u64>("frames-out"),
            Ok(0)
        );
    }
}

#[test]
fn flush_in_the_middle_of_a_network() {
    let element = element();
    element.set_property("general-model", "slow-x4");
    element.set_property("face-model", "none");
    let (mut harness, bus) = harness(&element, 16, 128);
    let pad = element.static_pad("sink").unwrap();
    let flush = std::thread::spawn(move || {
        Messages::until(
            &bus,
            |message| matches!(message.view(), gst::MessageView::Progress(p) if p.get().0 == Complete),
        );
        std::thread::sleep(Duration::from_millis(500));
        assert!(pad.send_event(gst::event::FlushStart::new()));
        bus
    });
    assert_eq!(
        within(PATIENCE, || harness.push(frame(16, 128, [90; 3], 0))),
        Err(gst::FlowError::Flushing)
    );
    let bus = flush.join().unwrap();
    assert!(harness.push_event(gst::event::FlushStop::new(true)));
    assert!(
        harness.push_event(gst::event::Segment::new(&gst::FormattedSegment::<
            gst::ClockTime,
        >::new()))
    );
    harness.set_src_caps(caps(16, 16));
    let output = harness.push_and_pull(frame(16, 16, [90; 3], 0)).unwrap();
    assert_eq!(pixel(&output, 64, 5, 5), [90; 3]);
    assert_eq!(Messages::now(&bus).errors(&element), [""; 0]);
}

#[test]
fn seeks() {
    let pipeline = pipeline(
        "videotestsrc ! video/x-raw,width=16,height=16,framerate=25/1",
        "",
        "fakesink sync=true",
    );
    let element = srfusion(&pipeline);
    let bus = pipeline.bus().unwrap();
    pipeline.set_state(gst::State::Paused).unwrap();
    Messages::until(&bus, |message| {
        message.type_() == gst::MessageType::AsyncDone
    });
    let frames = collect(&pipeline);
    for (second, state) in [
        (5, gst::State::Paused),
        (2, gst::State::Playing),
        (30, gst::State::Playing),
    ] {
        pipeline.set_state(state).unwrap();
        let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE;
        within(PROMPT, || {
            pipeline
                .seek_simple(flags, second * gst::ClockTime::SECOND)
                .unwrap()
        });
        Messages::until(&bus, |message| {
            message.type_() == gst::MessageType::AsyncDone
        });
        let seen = frames
            .lock()
            .unwrap()
            .drain(..)
            .next_back()
            .unwrap()
            .pts()
            .unwrap()
            .seconds();
        assert!(
            (second..second + 5).contains(&seen),
            "at {seen} s after a seek to {second} s"
        );
    }
    // And one that does not flush, to an end. It waits for the frame under way, which must not wait to be shown.
    let (reached, ..) = pipeline.state(gst::ClockTime::from_seconds(PATIENCE.as_secs()));
    reached.unwrap();
    let second = |n| gst::ClockTime::from_seconds(n);
    pipeline
        .seek(
            1.0,
            gst::SeekFlags::ACCURATE,
            gst::SeekType::Set,
            second(40),
            gst::SeekType::Set,
            second(40) + second(1) / 5,
        )
        .unwrap();
    let messages = Messages::until(&bus, is_end);
    assert_eq!(messages.0.last().unwrap().type_(), gst::MessageType::Eos);
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(Messages::now(&bus).errors(&element), [""; 0]);
}

#[test]
fn caps_change_in_a_running_pipeline() {
    let source = "videotestsrc num-buffers=5 ! video/x-raw,format=RGB,width=16,height=16,framerate=25/1 ! concat name=c \
                  videotestsrc num-buffers=5 ! video/x-raw,format=RGB,width=30,height=8,framerate=25/1 ! c. c.";
    let expected = [[64 * 64 * 3; 5], [120 * 32 * 3; 5]].concat();
    for properties in ["", "frames-in-flight=4"] {
        let pipeline = pipeline(source, properties, "fakesink");
        let frames = collect(&pipeline);
        play(&pipeline);
        let sizes: Vec<_> = frames.lock().unwrap().iter().map(|f| f.size()).collect();
        assert_eq!(sizes, expected, "{properties}");
    }
}

#[test]
fn two_in_a_row_and_two_side_by_side() {
    let models = crate::common::tiny();
    let second = format!(
        "srfusion models-dir=\"{}\" general-model=bicubic-x4 face-model=none provider=cpu",
        models.display()
    );
    let row = pipeline(SOURCE, "", &format!("{second} ! fakesink"));
    play(&row);

    let tee = format!("{SOURCE} ! tee name=t t. ! queue ! {second} ! fakesink t. ! queue");
    let side = pipeline(&tee, "", "fakesink");
    play(&side);

    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let pipeline = pipeline(SOURCE, "", "fakesink");
                play(&pipeline);
                play(&pipeline);
            });
        }
    });
}

#[test]
fn view_is_switched_while_playing() {
    let pipeline = pipeline(
        "videotestsrc pattern=white is-live=true num-buffers=60 ! video/x-raw,width=64,height=64,framerate=50/1",
        "",
        "fakesink sync=true qos=false",
    );
    let element = srfusion(&pipeline);
    let frames = collect(&pipeline);
    let bus = pipeline.bus().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut views = ["mask", "general", "face", "split", "bicubic", "fused"]
        .iter()
        .cycle();
    let messages = loop {
        if let Some(end) = bus.timed_pop_filtered(
            30 * gst::ClockTime::MSECOND,
            &[gst::MessageType::Eos, gst::MessageType::Error],
        ) {
            break end;
        }
        element.set_property_from_str("view", views.next().unwrap());
    };
    assert_eq!(messages.type_(), gst::MessageType::Eos);
    pipeline.set_state(gst::State::Null).unwrap();
    // The middle of the picture is white in some views and black in others.
    let middles: std::collections::BTreeSet<_> = frames
        .lock()
        .unwrap()
        .iter()
        .map(|frame| pixel(frame, 256, 136, 128))
        .collect();
    assert!(middles.len() >= 2, "{middles:?}");
}

#[test]
fn properties_set_in_playing_wait_for_the_next_start() {
    use gst_video::video_meta::VideoRegionOfInterestMeta;
    use srfusion::settings::{Change, SETTINGS};

    let element = element();
    // A face that is no longer found is gone at once.
    element.set_property("hold-time", 0u64);
    element.set_property("fade-time", 0u64);
    let (mut harness, bus) = harness(&element, 64, 64);
    let mut number = 0;
    let mut look = || {
        // Another shade each time, so that nothing is kept of the frame before.
        let shade = 200 + number as u8;
        let input = frame(64, 64, [shade; 3], number);
        number += 1;
        let output = harness.push_and_pull(input).unwrap();
        let negative = 255 - shade;
        assert_eq!(pixel(&output, 256, 1, 1), [shade; 3]);
        let face = pixel(&output, 256, 128, 128) == [negative; 3];
        let regions = output.iter_meta::<VideoRegionOfInterestMeta>().count();
        let stats: gst::Structure = element.property("stats");
        let provider: String = element.property("active-provider");
        (
            face,
            regions,
            provider,
            stats.get::<u64>("frames-in-flight"),
        )
    };
    let before = (true, 1, "cpu".to_owned(), Ok(1));
    assert_eq!(look(), before);
    let changes = [
        ("general-model", "no-such"),
        ("face-model", "none"),
        ("general-fast-model", "no-such"),
        ("detector-model", "none"),
        ("objects", "face,no-such"),
        ("detector-size", "64"),
        ("identity-model", "/nonexistent.onnx"),
        ("models-dir", "/nonexistent"),
        ("runtime-library", "/nonexistent/libonnxruntime.so"),
        ("provider", "cuda"),
        ("device-id", "7"),
        ("deterministic", "true"),
        ("precision", "fp16"),
        ("threads", "1"),
        ("cache-dir", "/nonexistent"),
        ("tile-size", "21"),
        ("tile-overlap", "1"),
        ("use-roi-meta", "true"),
        ("frames-in-flight", "3"),
        ("audit", "/nonexistent/record.jsonl"),
    ];
    let ready = SETTINGS
        .iter()
        .filter(|setting| setting.change == Change::Ready);
    let mut changed: Vec<_> = changes.iter().map(|(name, _)| *name).collect();
    let mut all: Vec<_> = ready.map(|setting| setting.name).collect();
    changed.sort_unstable();
    all.sort_unstable();
    assert_eq!(changed, all, "a setting is not tried here");
    for (name, value) in changes {
        element.set_property_from_str(name, value);
        assert_eq!(look(), before, "{name}={value}");
    }
    assert_eq!(Messages::now(&bus).errors(&element), [""; 0]);
    // Now they hold, each with its own consequence.
    element.set_state(gst::State::Null).unwrap();
    assert!(element.set_state(gst::State::Ready).is_err());
    for (name, value) in [
        ("general-model", "bicubic-x4"),
        ("identity-model", ""),
        ("models-dir", crate::common::tiny().to_str().unwrap()),
        ("runtime-library", ""),
        ("provider", "cpu"),
        ("precision", "auto"),
        ("face-model", "inverted-x4"),
        ("objects", "face"),
        ("cache-dir", ""),
        ("tile-size", "0"),
        ("tile-overlap", "-1"),
        ("audit", ""),
    ] {
        element.set_property_from_str(name, value);
    }
    drop(harness);
    let (mut harness, _bus) = crate::common::harness(&element, 64, 64);
    let output = harness.push_and_pull(frame(64, 64, [200; 3], 0)).unwrap();
    // Faces would have come with the frame.
    assert_eq!(pixel(&output, 256, 128, 128), [200; 3]);
    assert_eq!(output.iter_meta::<VideoRegionOfInterestMeta>().count(), 0);
    let stats: gst::Structure = element.property("stats");
    assert_eq!(stats.get::<u64>("frames-in-flight"), Ok(3));
}
