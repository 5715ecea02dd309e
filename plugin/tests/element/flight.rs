//! Frames in flight: the same frames in the same order, none lost and none too late, whatever happens while they are under way.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gst::prelude::*;
use gst_video::video_meta::VideoRegionOfInterestMeta;

use crate::common::{
    Line, Messages, PATIENCE, caps, collect, element, frame, harness, is_end, pipeline, pixel,
    play, srfusion, within,
};
use crate::live::query;

/// A stop or a flush may take this long: the kernel under way ends first, and the machine may be busy.
const PROMPT: Duration = Duration::from_secs(4);

fn stats(element: &gst::Element, field: &str) -> u64 {
    let stats: gst::Structure = element.property("stats");
    stats.get(field).unwrap()
}

/// What of a frame must not depend on the depth.
fn told(
    buffer: &gst::Buffer,
) -> (
    Option<gst::ClockTime>,
    Option<gst::ClockTime>,
    Vec<u8>,
    usize,
) {
    (
        buffer.pts(),
        buffer.duration(),
        buffer.map_readable().unwrap().to_vec(),
        buffer.iter_meta::<VideoRegionOfInterestMeta>().count(),
    )
}

#[test]
fn the_same_frames_at_any_depth() {
    let play = |depth: u32, properties: &str, frames: u32| {
        let source = format!(
            "videotestsrc pattern=ball background-color=0xff808080 num-buffers={frames} ! \
             video/x-raw,width=64,height=48,framerate=25/1"
        );
        let properties = format!("frames-in-flight={depth} {properties}");
        let pipeline = pipeline(&source, &properties, "fakesink");
        let collected = collect(&pipeline);
        play(&pipeline);
        assert_eq!(
            stats(&srfusion(&pipeline), "frames-in-flight"),
            u64::from(depth.max(1))
        );
        let collected = collected.lock().unwrap();
        collected.iter().map(told).collect::<Vec<_>>()
    };
    for properties in ["reuse=none", "reuse=exact", "view=split"] {
        let expected = play(1, properties, 12);
        assert_eq!(expected.len(), 12);
        assert!(expected.iter().any(|(.., regions)| *regions == 1));
        for depth in [0, 2, 3, 8] {
            let found = play(depth, properties, 12);
            assert!(found == expected, "{properties}, {depth} in flight");
        }
    }
    // Fewer than may be in flight.
    assert_eq!(play(8, "", 1).len(), 1);
}

#[test]
fn events_wait_for_the_frames_before_them_and_flags_stay() {
    let element = element();
    element.set_property("frames-in-flight", 3u32);
    let (mut harness, bus) = harness(&element, 128, 96);
    let grey = |number| frame(128, 96, [90; 3], number);
    // A gap, something of an application's own, and a tag.
    let events = [
        gst::event::Gap::builder(120 * gst::ClockTime::MSECOND).build(),
        gst::event::CustomDownstream::new(gst::Structure::new_empty("own")),
        gst::event::Tag::new(gst::TagList::new()),
    ];
    let mut number = 0;
    for event in events {
        for _ in 0..3 {
            harness.push(grey(number)).unwrap();
            number += 1;
        }
        assert!(harness.push_event(event));
        assert_eq!(u64::from(harness.buffers_in_queue()), number);
    }
    // What is marked is the frame that was, not one before it.
    harness.push(grey(9)).unwrap();
    harness.push(grey(10)).unwrap();
    let mut marked = grey(11);
    let flags = gst::BufferFlags::DISCONT;
    marked.get_mut().unwrap().set_flags(flags);
    harness.push(marked).unwrap();
    assert!(harness.push_event(gst::event::Eos::new()));
    for number in 0..12 {
        let output = harness.pull().unwrap();
        assert_eq!(output.pts(), Some(40 * number * gst::ClockTime::MSECOND));
        let discont = output.flags().contains(flags);
        assert_eq!(discont, number == 11, "frame {number}");
    }
    assert_eq!(harness.buffers_in_queue(), 0);
    assert_eq!(Messages::now(&bus).errors(&element), [""; 0]);
}

#[test]
fn a_frame_is_sent_on_though_no_other_comes_in() {
    for depth in [1u32, 2, 8] {
        let element = element();
        element.set_property("frames-in-flight", depth);
        let (mut harness, bus) = harness(&element, 16, 16);
        for number in 0..4 {
            harness.push(frame(16, 16, [90; 3], number)).unwrap();
            // Waits for a minute at most.
            let output = harness.pull().expect("a frame");
            assert_eq!(output.pts(), Some(40 * number * gst::ClockTime::MSECOND));
        }
        // Those that come out together as well.
        for number in 4..4 + u64::from(depth) {
            harness.push(frame(16, 16, [90; 3], number)).unwrap();
        }
        for number in 4..4 + u64::from(depth) {
            let output = harness.pull().expect("a frame");
            assert_eq!(output.pts(), Some(40 * number * gst::ClockTime::MSECOND));
        }
        assert_eq!(Messages::now(&bus).errors(&element), [""; 0]);
    }
}

/// The network that takes seconds, on its own.
fn slow_element(depth: u32) -> gst::Element {
    let element = element();
    element.set_property("general-model", "slow-x4");
    element.set_property("face-model", "none");
    element.set_property("frames-in-flight", depth);
    element
}

#[test]
fn marked_frames_wait_for_none() {
    let element = slow_element(3);
    let (mut harness, bus) = harness(&element, 16, 128);
    for number in 0..3 {
        let mut marked = frame(16, 128, [90; 3], number);
        let flags = gst::BufferFlags::DISCONT | gst::BufferFlags::RESYNC;
        marked.get_mut().unwrap().set_flags(flags);
        harness.push(marked).unwrap();
    }
    // All are in, and the first still takes its seconds.
    assert_eq!(harness.buffers_in_queue(), 0);
    assert_eq!(stats(&element, "frames-in"), 3);
    within(PROMPT, || drop(harness));
    assert_eq!(Messages::now(&bus).errors(&element), [""; 0]);
}

#[test]
fn frame_after_one_that_was_skipped_is_marked_and_none_before_it() {
    for depth in [1u32, 3] {
        let element = element();
        element.set_property("frames-in-flight", depth);
        let (mut harness, _bus) = harness(&element, 64, 48);
        let push = |harness: &mut gst_check::Harness, number| {
            harness.push(frame(64, 48, [90; 3], number)).unwrap();
        };
        push(&mut harness, 0);
        push(&mut harness, 1);
        // What is due before 100 ms is late, so that the frame at 80 ms is skipped.
        let time = 100 * gst::ClockTime::MSECOND;
        let qos = gst::event::Qos::new(gst::QOSType::Underflow, 1.0, 0, time);
        assert!(harness.push_upstream_event(qos));
        for number in 2..6 {
            push(&mut harness, number);
        }
        assert!(harness.push_event(gst::event::Eos::new()));
        let marked: Vec<_> = (0..harness.buffers_in_queue())
            .map(|_| harness.pull().unwrap())
            .map(|output| {
                let discont = output.flags().contains(gst::BufferFlags::DISCONT);
                (output.pts().unwrap().mseconds() / 40, discont)
            })
            .collect();
        let expected = [(0, false), (1, false), (3, true), (4, false), (5, false)];
        assert_eq!(marked, expected, "{depth} in flight");
    }
}

#[test]
fn messages_about_skipped_frames_count_those_that_went_before() {
    for depth in [1u32, 2] {
        let element = element();
        element.set_property("frames-in-flight", depth);
        let (mut harness, bus) = harness(&element, 16, 16);
        for number in 0..3 {
            harness
                .push_and_pull(frame(16, 16, [90; 3], number))
                .unwrap();
        }
        let time = 140 * gst::ClockTime::MSECOND;
        let qos = gst::event::Qos::new(gst::QOSType::Underflow, 1.0, 0, time);
        assert!(harness.push_upstream_event(qos));
        harness.push(frame(16, 16, [90; 3], 3)).unwrap();
        let messages = Messages::now(&bus);
        let counts = messages.0.iter().find_map(|message| match message.view() {
            gst::MessageView::Qos(qos) => Some((qos.timestamp(), qos.stats())),
            _ => None,
        });
        let buffers = |count| Some(gst::format::Buffers::from_u64(count)).into();
        let (timestamp, stats) = counts.expect("a message about the frame that was skipped");
        assert_eq!(timestamp, Some(120 * gst::ClockTime::MSECOND));
        assert_eq!(stats, (buffers(3), buffers(1)), "{depth} in flight");
    }
}

#[test]
fn overload_keeps_the_overlap() {
    // Half a second for each frame; the source makes ten in that time, and the queue marks the one after those it drops.
    let pipeline = pipeline(
        "videotestsrc is-live=true num-buffers=80 ! video/x-raw,width=8,height=65,framerate=20/1 ! \
         queue leaky=downstream max-size-buffers=2 max-size-bytes=0 max-size-time=0",
        "general-model=slow-x4 face-model=none reuse=none frames-in-flight=2",
        "fakesink sync=false",
    );
    let element = srfusion(&pipeline);
    let ahead = Arc::new(Mutex::new(Vec::new()));
    let pad = element.static_pad("src").unwrap();
    let (seen, watched) = (ahead.clone(), element.clone());
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let marked = info
            .buffer()
            .is_some_and(|buffer| buffer.flags().contains(gst::BufferFlags::DISCONT));
        let under_way = stats(&watched, "frames-in") - stats(&watched, "frames-out");
        seen.lock().unwrap().push((marked, under_way));
        gst::PadProbeReturn::Ok
    });
    play(&pipeline);
    let ahead = ahead.lock().unwrap();
    let marked = ahead.iter().filter(|(marked, _)| *marked).count();
    assert!(marked >= 3, "nothing was dropped: {ahead:?}");
    // Whenever one leaves the next is in already, but for the last.
    let overlapped = ahead.iter().filter(|(_, under_way)| *under_way > 0).count();
    assert!(overlapped * 2 > ahead.len(), "{ahead:?}");
}

#[test]
fn stop_while_a_frame_cannot_leave() {
    let pipeline = pipeline_of_many();
    let element = srfusion(&pipeline);
    let pad = element.static_pad("src").unwrap();
    for state in [gst::State::Ready, gst::State::Null, gst::State::Ready] {
        let (blocked, wait) = std::sync::mpsc::channel();
        let type_ = gst::PadProbeType::BLOCK | gst::PadProbeType::BUFFER;
        let probe = pad.add_probe(type_, move |_, _| {
            let _ = blocked.send(());
            gst::PadProbeReturn::Ok
        });
        pipeline.set_state(gst::State::Playing).unwrap();
        wait.recv_timeout(PATIENCE).unwrap();
        // Time to fill up behind it.
        std::thread::sleep(Duration::from_millis(50));
        within(PROMPT, || pipeline.set_state(state).unwrap());
        pad.remove_probe(probe.unwrap());
        let messages = Messages::now(&pipeline.bus().unwrap());
        assert_eq!(messages.errors(&element), [""; 0]);
    }
    pipeline.set_state(gst::State::Null).unwrap();
}

#[test]
fn what_downstream_says_comes_back() {
    let element = element();
    element.set_property("frames-in-flight", 2u32);
    let (mut harness, bus) = harness(&element, 16, 16);
    let pad = element.static_pad("src").unwrap();
    let flow = Arc::new(Mutex::new(Err(gst::FlowError::Eos)));
    let returned = flow.clone();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        match *returned.lock().unwrap() {
            Err(error) => {
                info.data.take();
                info.flow_res = Err(error);
                gst::PadProbeReturn::Handled
            }
            Ok(()) => gst::PadProbeReturn::Ok,
        }
    });
    let push =
        |harness: &mut gst_check::Harness, number| harness.push(frame(16, 16, [90; 3], number));
    let result = (0..4)
        .map(|number| push(&mut harness, number))
        .find(|result| result.is_err());
    assert_eq!(result, Some(Err(gst::FlowError::Eos)));
    // Told once; a flush is not needed to go on.
    *flow.lock().unwrap() = Ok(());
    let number = (4..8)
        .find(|number| push(&mut harness, *number).is_ok())
        .unwrap();
    let output = harness.pull().expect("a frame");
    assert_eq!(output.pts(), Some(40 * number * gst::ClockTime::MSECOND));
    assert_eq!(Messages::now(&bus).errors(&element), [""; 0]);
}

#[test]
fn frames_held_are_announced_to_upstream() {
    let least = |depth: u32| {
        let element = element();
        element.set_property("frames-in-flight", depth);
        let (mut harness, _bus) = harness(&element, 16, 16);
        harness.push_and_pull(frame(16, 16, [90; 3], 0)).unwrap();
        let mut query = gst::query::Allocation::new(Some(&caps(16, 16)), true);
        assert!(element.static_pad("sink").unwrap().query(&mut query));
        let pools: Vec<_> = query.allocation_pools().collect();
        assert!(!pools.is_empty());
        pools.iter().map(|(_, _, min, _)| *min).min().unwrap()
    };
    let alone = least(1);
    assert_eq!(least(3), alone + 3);
}

/// Waits until the models of `pipeline` are open.
fn await_models(bus: &gst::Bus) {
    Messages::until(
        bus,
        |message| matches!(message.view(), gst::MessageView::Progress(p) if p.get().0 == gst::ProgressType::Complete),
    );
}

/// Seconds for each frame.
fn slow() -> Line {
    pipeline(
        "videotestsrc ! video/x-raw,width=16,height=128,framerate=25/1",
        "general-model=slow-x4 face-model=none frames-in-flight=3",
        "fakesink",
    )
}

#[test]
fn stop_with_frames_in_flight() {
    let pipeline = slow();
    let element = srfusion(&pipeline);
    let bus = pipeline.bus().unwrap();
    for state in [gst::State::Null, gst::State::Ready, gst::State::Null] {
        pipeline.set_state(gst::State::Playing).unwrap();
        await_models(&bus);
        std::thread::sleep(Duration::from_millis(300));
        within(PROMPT, || pipeline.set_state(state).unwrap());
        assert_eq!(Messages::now(&bus).errors(&element), [""; 0]);
        assert_eq!(stats(&element, "frames-out"), 0);
        assert!(stats(&element, "frames-in") >= 2);
    }
    // At any moment.
    let pipeline = pipeline_of_many();
    let element = srfusion(&pipeline);
    for round in 0..12u64 {
        pipeline.set_state(gst::State::Playing).unwrap();
        std::thread::sleep(Duration::from_millis(round * 7));
        within(PROMPT, || pipeline.set_state(gst::State::Ready).unwrap());
        let messages = Messages::now(&pipeline.bus().unwrap());
        assert_eq!(messages.errors(&element), [""; 0]);
    }
}

fn pipeline_of_many() -> Line {
    pipeline(
        "videotestsrc pattern=ball ! video/x-raw,width=32,height=32,framerate=25/1",
        "frames-in-flight=3",
        "fakesink sync=false",
    )
}

#[test]
fn flush_drops_what_is_in_flight() {
    let element = element();
    element.set_property("general-model", "slow-x4");
    element.set_property("face-model", "none");
    element.set_property("frames-in-flight", 4u32);
    let (mut harness, bus) = harness(&element, 16, 128);
    for number in 0..3 {
        harness.push(frame(16, 128, [90; 3], number)).unwrap();
    }
    let segment = || gst::event::Segment::new(&gst::FormattedSegment::<gst::ClockTime>::new());
    within(PROMPT, || {
        assert!(harness.push_event(gst::event::FlushStart::new()));
        assert!(harness.push_event(gst::event::FlushStop::new(true)));
        assert!(harness.push_event(segment()));
    });
    harness.set_src_caps(caps(16, 16));
    harness.push(frame(16, 16, [90; 3], 50)).unwrap();
    // This one is drawn, however long that takes where other programs run.
    within(PATIENCE, || {
        assert!(harness.push_event(gst::event::Eos::new()))
    });
    let output = harness.pull().unwrap();
    assert_eq!(output.pts(), Some(gst::ClockTime::from_seconds(2)));
    assert_eq!(pixel(&output, 64, 5, 5), [90; 3]);
    assert_eq!(harness.buffers_in_queue(), 0);
    assert_eq!(Messages::now(&bus).errors(&element), [""; 0]);
}

#[test]
fn seeks_with_frames_in_flight() {
    let pipeline = pipeline_of_many();
    let element = srfusion(&pipeline);
    let bus = pipeline.bus().unwrap();
    let frames = collect(&pipeline);
    pipeline.set_state(gst::State::Playing).unwrap();
    await_models(&bus);
    for second in [50, 20, 90] {
        let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE;
        within(PROMPT, || {
            pipeline
                .seek_simple(flags, second * gst::ClockTime::SECOND)
                .unwrap()
        });
        Messages::until(&bus, |message| {
            message.type_() == gst::MessageType::AsyncDone
        });
        std::thread::sleep(Duration::from_millis(100));
        within(PROMPT, || pipeline.set_state(gst::State::Paused).unwrap());
        let (reached, ..) = pipeline.state(gst::ClockTime::from_seconds(PATIENCE.as_secs()));
        reached.unwrap();
        let seen: Vec<_> = frames
            .lock()
            .unwrap()
            .drain(..)
            .map(|frame| frame.pts().unwrap())
            .collect();
        // From the first frame after the seek on, each one after the other.
        let start = second * gst::ClockTime::SECOND;
        let first = seen.iter().rposition(|time| *time == start).unwrap();
        let step = 40 * gst::ClockTime::MSECOND;
        assert!(
            seen[first..]
                .windows(2)
                .all(|pair| pair[1] == pair[0] + step)
        );
        pipeline.set_state(gst::State::Playing).unwrap();
    }
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(Messages::now(&bus).errors(&element), [""; 0]);
}

#[test]
fn frames_in_flight_add_nothing_to_the_latency_set() {
    let latency = |depth: u32| {
        let pipeline = pipeline(
            "videotestsrc is-live=true num-buffers=12 ! video/x-raw,width=16,height=16,framerate=40/1",
            &format!("latency=80000000 frames-in-flight={depth}"),
            "fakesink sync=true",
        );
        let frames = collect(&pipeline);
        let bus = pipeline.bus().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        Messages::until(&bus, |message| {
            message.type_() == gst::MessageType::StreamStart
        });
        let (live, min) = query(&pipeline);
        assert!(live);
        assert_eq!(srfusion(&pipeline).property::<u64>("latency"), 80_000_000);
        let messages = Messages::until(&bus, is_end);
        assert_eq!(messages.0.last().unwrap().type_(), gst::MessageType::Eos);
        pipeline.set_state(gst::State::Null).unwrap();
        assert_eq!(frames.lock().unwrap().len(), 12);
        min
    };
    let alone = latency(1);
    assert_eq!(latency(3), alone);
}

#[test]
fn an_error_comes_after_the_frames_before_it() {
    let element = element();
    element.set_property("general-model", "brittle-x4");
    element.set_property("face-model", "none");
    element.set_property("frames-in-flight", 3u32);
    let (mut harness, bus) = harness(&element, 16, 16);
    let mut flow = Ok(gst::FlowSuccess::Ok);
    for number in 0..6 {
        // The network has no numbers for white.
        let colour = if number == 2 { [255; 3] } else { [90; 3] };
        flow = harness.push(frame(16, 16, colour, number));
        if flow.is_err() {
            break;
        }
    }
    assert_eq!(flow, Err(gst::FlowError::Error));
    harness.push_event(gst::event::Eos::new());
    let errors = Messages::now(&bus).errors(&element);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("not finite"), "{errors:?}");
    let times: Vec<_> = (0..harness.buffers_in_queue())
        .map(|_| harness.pull().unwrap().pts().unwrap().mseconds())
        .collect();
    assert_eq!(times, [0, 40]);
}

#[test]
fn a_frame_that_cannot_be_taken_harms_none_before_it() {
    let element = element();
    element.set_property("frames-in-flight", 4u32);
    let (mut harness, bus) = harness(&element, 16, 16);
    for number in 0..3 {
        harness.push(frame(16, 16, [90; 3], number)).unwrap();
    }
    let short = gst::Buffer::with_size(16).unwrap();
    assert_eq!(harness.push(short), Err(gst::FlowError::Error));
    assert_eq!(harness.buffers_in_queue(), 3);
    assert_eq!(Messages::now(&bus).errors(&element).len(), 1);
}
