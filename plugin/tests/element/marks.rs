//! What output frames say of what drew them.

use gst::prelude::*;
use gst_video::video_meta::VideoSeiUserDataUnregisteredMeta;

use crate::common::{collect, element, frame, harness, pipeline, play};

/// What the frame's mark says.
fn said(buffer: &gst::Buffer) -> Option<ciborium::Value> {
    let mut marks = buffer
        .iter_meta::<VideoSeiUserDataUnregisteredMeta>()
        .filter(|meta| meta.uuid() == gstsrfusion::MARK_UUID);
    let said = marks.next().map(|meta| meta.data().to_vec())?;
    assert!(marks.next().is_none(), "more than one mark");
    Some(ciborium::from_reader(said.as_slice()).unwrap())
}

fn entry(said: &ciborium::Value, key: &str) -> ciborium::Value {
    let entries = said.as_map().unwrap();
    let found = entries.iter().find(|(name, _)| name.as_text() == Some(key));
    found.unwrap().1.clone()
}

#[test]
fn frames_are_marked_unless_they_are_not_to_be() {
    let element = element();
    let (mut harness, _bus) = harness(&element, 64, 64);
    let mut push = |colour: [u8; 3], number| {
        harness
            .push_and_pull(frame(64, 64, colour, number))
            .unwrap()
    };
    let said_of = said(&push([200, 180, 160], 0)).expect("a mark");
    let faces = entry(&said_of, "faces");
    assert_eq!(faces.as_array().unwrap().len(), 1);
    assert_eq!(entry(&said_of, "view").as_text(), Some("fused"));
    assert_eq!(entry(&said_of, "nets").as_map().unwrap().len(), 3);
    element.set_property_from_str("view", "general");
    let said_of = said(&push([200, 180, 160], 1)).expect("a mark");
    assert!(entry(&said_of, "faces").as_array().unwrap().is_empty());
    element.set_property("attach-marks", false);
    assert_eq!(said(&push([200, 180, 160], 2)), None);
    element.set_property("attach-marks", true);
    assert!(said(&push([4; 3], 3)).is_some());
}

#[test]
fn repeated_frames_and_frames_in_flight_are_marked_too() {
    for depth in [1, 3] {
        let line = pipeline(
            "videotestsrc num-buffers=6 pattern=white ! video/x-raw,format=I420,width=64,height=64",
            &format!("frames-in-flight={depth}"),
            "fakesink",
        );
        let frames = collect(&line);
        play(&line);
        let frames = frames.lock().unwrap();
        assert_eq!(frames.len(), 6);
        for buffer in frames.iter() {
            let faces = entry(&said(buffer).expect("a mark"), "faces");
            assert_eq!(faces.as_array().unwrap().len(), 1, "depth {depth}");
        }
    }
}
