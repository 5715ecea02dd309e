//! Faces: found, drawn, followed, attached to the output and taken from the input.

use gst::prelude::*;
use gst_check::Harness;
use gst_video::video_meta::VideoRegionOfInterestMeta;

use crate::common::{element, frame, harness, pixel};

const BRIGHT: [u8; 3] = [200, 180, 160];
const NEGATIVE: [u8; 3] = [55, 75, 95];
const DARK: [u8; 3] = [4, 4, 4];

type Rect = (u32, u32, u32, u32);

fn regions(buffer: &gst::Buffer) -> Vec<(String, Rect)> {
    buffer
        .iter_meta::<VideoRegionOfInterestMeta>()
        .map(|roi| (roi.roi_type().to_owned(), roi.rect()))
        .collect()
}

fn track(buffer: &gst::Buffer) -> u64 {
    let roi = buffer.meta::<VideoRegionOfInterestMeta>().expect("a face");
    roi.param("srfusion/face").unwrap().get("track-id").unwrap()
}

fn push(harness: &mut Harness, colour: [u8; 3], number: u64) -> gst::Buffer {
    harness
        .push_and_pull(frame(64, 64, colour, number))
        .unwrap()
}

#[test]
fn found_faces_are_attached_in_output_pixels() {
    let element = element();
    let (mut harness, _bus) = harness(&element, 64, 64);
    let output = push(&mut harness, BRIGHT, 0);
    assert_eq!(regions(&output), [("face".to_owned(), (96, 80, 64, 96))]);
    let roi = output.meta::<VideoRegionOfInterestMeta>().unwrap();
    let params = roi.param("srfusion/face").unwrap();
    assert!((params.get::<f64>("score").unwrap() - 0.9).abs() < 1e-6);
    assert_eq!(params.get::<f64>("weight"), Ok(1.0));
    assert_eq!(params.get::<bool>("held"), Ok(false));
    assert!(params.has_field_with_type("track-id", u64::static_type()));
    let points: Vec<f64> = params
        .get::<gst::Array>("points")
        .unwrap()
        .iter()
        .map(|value| value.get().unwrap())
        .collect();
    let expected =
        [0.45, 0.45, 0.55, 0.45, 0.5, 0.5, 0.46, 0.58, 0.54, 0.58].map(|fraction| fraction * 256.0);
    assert_eq!(points.len(), expected.len());
    for (point, expected) in points.iter().zip(expected) {
        assert!((point - expected).abs() < 0.01, "{points:?}");
    }
    assert_eq!(
        element
            .property::<gst::Structure>("stats")
            .get::<u64>("faces"),
        Ok(1)
    );
}

#[test]
fn no_face_no_region_and_none_when_switched_off() {
    let element = element();
    let (mut harness, _bus) = harness(&element, 64, 64);
    assert_eq!(regions(&push(&mut harness, DARK, 0)), []);
    element.set_property("attach-roi-meta", false);
    assert_eq!(regions(&push(&mut harness, BRIGHT, 1)), []);
    element.set_property("attach-roi-meta", true);
    assert_eq!(regions(&push(&mut harness, BRIGHT, 2)).len(), 1);
}

#[test]
fn face_network_draws_where_the_face_is() {
    let element = element();
    let (mut harness, _bus) = harness(&element, 64, 64);
    let output = push(&mut harness, BRIGHT, 0);
    assert_eq!(pixel(&output, 256, 128, 128), NEGATIVE);
    for (x, y) in [(0, 0), (255, 255), (128, 2), (10, 128)] {
        assert_eq!(pixel(&output, 256, x, y), BRIGHT, "at {x},{y}");
    }
    let drawn = element
        .property::<gst::Structure>("stats")
        .get::<u64>("face-pixels")
        .unwrap();
    assert!(drawn > 64 * 96 && drawn < 256 * 256 / 2, "{drawn} pixels");
}

#[test]
fn views_switch_from_frame_to_frame() {
    let element = element();
    let (mut harness, _bus) = harness(&element, 64, 64);
    let cases = [
        // view, corner, centre
        ("fused", BRIGHT, NEGATIVE),
        ("general", BRIGHT, BRIGHT),
        ("face", NEGATIVE, NEGATIVE),
        ("mask", [0; 3], [255; 3]),
        ("bicubic", BRIGHT, BRIGHT),
        ("fused", BRIGHT, NEGATIVE),
    ];
    for (number, (view, corner, centre)) in cases.into_iter().enumerate() {
        element.set_property_from_str("view", view);
        let output = push(&mut harness, BRIGHT, number as u64);
        assert_eq!(pixel(&output, 256, 1, 1), corner, "{view}, corner");
        assert_eq!(pixel(&output, 256, 130, 128), centre, "{view}, centre");
    }
    element.set_property_from_str("view", "split");
    let output = push(&mut harness, BRIGHT, 6);
    assert_eq!(pixel(&output, 256, 120, 128), BRIGHT);
    assert_eq!(pixel(&output, 256, 128, 128), [255; 3]);
    assert_eq!(pixel(&output, 256, 136, 128), NEGATIVE);
}

#[test]
fn a_face_keeps_its_number_until_a_flush_a_seek_or_new_caps() {
    let element = element();
    let (mut harness, _bus) = harness(&element, 64, 64);
    let first = track(&push(&mut harness, BRIGHT, 0));
    // Gaps that a leaky queue makes are no new start.
    let mut late = frame(64, 64, BRIGHT, 4);
    late.get_mut().unwrap().set_flags(gst::BufferFlags::DISCONT);
    assert_eq!(track(&harness.push_and_pull(late).unwrap()), first);

    assert!(harness.push_event(gst::event::FlushStart::new()));
    assert!(harness.push_event(gst::event::FlushStop::new(true)));
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    assert!(harness.push_event(gst::event::Segment::new(&segment)));
    let second = track(&push(&mut harness, BRIGHT, 5));
    assert_ne!(second, first);

    assert!(harness.push_event(gst::event::Segment::new(&segment)));
    let third = track(&push(&mut harness, BRIGHT, 6));
    assert_ne!(third, second);

    harness.set_src_caps(crate::common::caps(64, 32));
    let output = harness.push_and_pull(frame(64, 32, BRIGHT, 7)).unwrap();
    assert_ne!(track(&output), third);
}

#[test]
fn faces_are_held_and_reported_so() {
    let element = element();
    element.set_property("hold-time", gst::ClockTime::SECOND.nseconds());
    let (mut harness, _bus) = harness(&element, 64, 64);
    let first = track(&push(&mut harness, [60; 3], 0));
    // Too dark for the detector, too like the last frame for a scene change.
    let output = push(&mut harness, [20; 3], 1);
    let roi = output
        .meta::<VideoRegionOfInterestMeta>()
        .expect("a held face");
    let params = roi.param("srfusion/face").unwrap();
    assert_eq!(params.get::<u64>("track-id"), Ok(first));
    assert_eq!(params.get::<bool>("held"), Ok(true));
}

fn with_face(number: u64, rect: Rect) -> gst::Buffer {
    let mut input = frame(64, 64, BRIGHT, number);
    let made = input.get_mut().unwrap();
    VideoRegionOfInterestMeta::add(made, "face", rect).add_param(
        gst::Structure::builder("srfusion/face")
            .field("score", 0.75f64)
            .build(),
    );
    VideoRegionOfInterestMeta::add(made, "person", (0, 0, 32, 64));
    input
}

#[test]
fn faces_of_the_input_are_taken_and_not_doubled() {
    let element = element();
    element.set_property("use-roi-meta", true);
    // Not needed, so not missed.
    element.set_property("detector-model", "no-such-model");
    let (mut harness, _bus) = harness(&element, 64, 64);
    let output = harness
        .push_and_pull(with_face(0, (4, 40, 16, 16)))
        .unwrap();
    let mut found = regions(&output);
    found.sort();
    assert_eq!(
        found,
        [
            ("face".to_owned(), (16, 160, 64, 64)),
            ("person".to_owned(), (0, 0, 128, 256))
        ]
    );
    let roi = output
        .iter_meta::<VideoRegionOfInterestMeta>()
        .find(|roi| roi.roi_type() == "face")
        .unwrap();
    assert_eq!(
        roi.param("srfusion/face").unwrap().get::<f64>("score"),
        Ok(0.75)
    );
    assert_eq!(pixel(&output, 256, 48, 192), NEGATIVE);
    assert_eq!(pixel(&output, 256, 128, 128), BRIGHT);

    element.set_property("attach-roi-meta", false);
    let output = harness
        .push_and_pull(with_face(1, (4, 40, 16, 16)))
        .unwrap();
    let mut found = regions(&output);
    found.sort();
    assert_eq!(
        found,
        [
            ("face".to_owned(), (16, 160, 64, 64)),
            ("person".to_owned(), (0, 0, 128, 256))
        ]
    );
    let roi = output
        .iter_meta::<VideoRegionOfInterestMeta>()
        .find(|roi| roi.roi_type() == "face")
        .unwrap();
    assert!(
        !roi.param("srfusion/face").unwrap().has_field("track-id"),
        "the input's region, scaled"
    );
}

#[test]
fn faces_of_the_input_pass_when_they_are_not_asked_for() {
    let element = element();
    let (mut harness, _bus) = harness(&element, 64, 64);
    let mut found = regions(
        &harness
            .push_and_pull(with_face(0, (4, 40, 16, 16)))
            .unwrap(),
    );
    found.sort();
    let expected: [(&str, Rect); 3] = [
        ("face", (16, 160, 64, 64)),
        ("face", (96, 80, 64, 96)),
        ("person", (0, 0, 128, 256)),
    ];
    assert_eq!(
        found,
        expected.map(|(type_, rect)| (type_.to_owned(), rect))
    );
}
