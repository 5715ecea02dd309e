//! Many streams in one process, on one set of networks: what happens to one is nothing to the others.

use gst::prelude::*;

use crate::common::{
    Line, Messages, collect, element, frame, harness, is_end, pipeline, play, srfusion,
};

/// A live stream at five frames a second whose every frame is to be in time, of `count` frames.
fn camera(count: u32, properties: &str) -> Line {
    let source = format!(
        "videotestsrc is-live=true num-buffers={count} pattern=ball ! video/x-raw,format=NV12,width=32,height=24,framerate=5/1"
    );
    let properties = format!("deadline=-1 {properties}");
    pipeline(&source, &properties, "fakesink sync=true qos=false")
}

/// Eight live streams, while one more floods, one stops and starts, one fails, and one is given up in the middle of a run: all frames of the
/// eight come out, in order, and the networks are open once.
#[test]
fn eight_streams_and_four_that_misbehave() {
    let before = srfusion::runtime::open_sessions();
    let alone = camera(3, "");
    alone.set_state(gst::State::Playing).unwrap();
    Messages::until(&alone.bus().unwrap(), is_end);
    let one = srfusion::runtime::open_sessions() - before;
    assert!(one > 0);
    alone.set_state(gst::State::Null).unwrap();

    let cameras: Vec<_> = (0..8).map(|_| camera(20, "")).collect();
    let frames: Vec<_> = cameras.iter().map(|line| collect(line)).collect();
    for line in &cameras {
        line.set_state(gst::State::Playing).unwrap();
    }
    std::thread::scope(|scope| {
        // As many frames as there is time for, each due at once.
        scope.spawn(|| {
            let source = "videotestsrc num-buffers=400 pattern=ball ! video/x-raw,format=NV12,width=64,height=64,framerate=25/1";
            play(&pipeline(source, "deadline=1 reuse=none", "fakesink sync=false"));
        });
        scope.spawn(|| {
            for _ in 0..20 {
                let line = camera(50, "");
                line.set_state(gst::State::Playing).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(60));
                line.set_state(gst::State::Null).unwrap();
            }
        });
        // Buffers that hold no frame.
        scope.spawn(|| {
            for _ in 0..20 {
                let element = element();
                let (mut harness, bus) = harness(&element, 16, 16);
                let mut input = gst::Buffer::with_size(7).unwrap();
                input.get_mut().unwrap().set_pts(gst::ClockTime::ZERO);
                assert_eq!(harness.push(input), Err(gst::FlowError::Error));
                assert_eq!(Messages::now(&bus).errors(&element).len(), 1);
                harness.push(frame(16, 16, [90; 3], 1)).unwrap();
            }
        });
        scope.spawn(|| {
            let source = "videotestsrc ! video/x-raw,width=16,height=128,framerate=25/1";
            let line = pipeline(source, "general-model=slow-x4 face-model=none", "fakesink");
            line.set_state(gst::State::Playing).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(900));
            line.set_state(gst::State::Null).unwrap();
        });
    });
    for (line, frames) in cameras.iter().zip(&frames) {
        let messages = Messages::until(&line.bus().unwrap(), is_end);
        assert_eq!(
            messages.0.last().unwrap().type_(),
            gst::MessageType::Eos,
            "{messages:?}"
        );
        let times: Vec<_> = frames
            .lock()
            .unwrap()
            .iter()
            .filter_map(|frame| frame.pts())
            .collect();
        assert_eq!(times.len(), 20, "{times:?}");
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
        let stats: gst::Structure = srfusion(line).property("stats");
        assert_eq!(stats.get::<u64>("frames-out"), Ok(20));
    }
    // Eight streams that are at their end, and their networks are still those of one; other tests may share this process elsewhere.
    if std::env::var_os("NEXTEST").is_some() {
        assert_eq!(srfusion::runtime::open_sessions() - before, one);
    }
}
